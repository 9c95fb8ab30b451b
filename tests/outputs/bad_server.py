"""An HTTP server that does what it is told, however bad, and remembers what it was sent.

    with BadServer(script) as server: ...

`script` is a list of steps, one for each request; the last one is for all that follow. A step is a function that gets the request and answers it.
"""

from __future__ import annotations

import contextlib
import gzip
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Request(BaseHTTPRequestHandler):
    """One connection; `body` is that of the request being answered, unpacked."""

    protocol_version = "HTTP/1.1"
    body: bytes
    server: _Server

    def do_POST(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Content-Encoding") == "gzip":
            self.body = gzip.decompress(self.body)
        owner = self.server.owner
        with owner.lock:
            step = owner.script[min(len(owner.requests), len(owner.script) - 1)]
            owner.requests.append(self)
        try:
            step(self)
        except OSError:
            self.close_connection = True

    def answer(self, status: int, body: bytes = b"", kind: str = "", **headers: str) -> None:
        """`Retry_After` in `headers` is written with a hyphen."""
        self.send_response_only(status)
        if kind:
            self.send_header("Content-Type", kind)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    owner: BadServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


Step = Callable[[Request], None]


class BadServer:
    """Runs while it is entered. `requests` in the order they came; `hang` ends what hangs."""

    def __init__(self, script: Sequence[Step], tls: ssl.SSLContext | None = None) -> None:
        self.script = list(script)
        self.requests: list[Request] = []
        self.lock = threading.Lock()
        self.hang = threading.Event()
        self._tls = tls

    def __enter__(self) -> BadServer:
        self._server = _Server(("127.0.0.1", 0), Request)
        self._server.owner = self
        if self._tls is not None:
            self._server.socket = self._tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self._server.server_address[1]
        self.url = f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.hang.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def says(status: int, body: bytes = b"", kind: str = "", **headers: str) -> Step:
    """Answers with that."""
    return lambda request: request.answer(status, body, kind, **headers)


def resets(request: Request) -> None:
    """Took the request, and the connection breaks before an answer: it may have been stored, and nobody knows."""
    request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.close_connection = True
    with contextlib.suppress(OSError):
        request.connection.shutdown(socket.SHUT_RDWR)
    request.connection.close()


def hangs(request: Request) -> None:
    """Never answers."""
    request.server.owner.hang.wait(20)
    request.close_connection = True


def never_ends(request: Request) -> None:
    """200, and 50 MB of it."""
    request.send_response_only(200)
    request.send_header("Content-Type", "application/json")
    request.send_header("Content-Length", str(50 << 20))
    request.end_headers()
    for _ in range(50 << 4):
        request.wfile.write(b" " * (1 << 16))


def drips(request: Request) -> None:
    """An octet now and then, so that no single wait is too long."""
    request.send_response_only(200)
    request.send_header("Content-Length", "1000")
    request.end_headers()
    for _ in range(1000):
        request.wfile.write(b" ")
        if request.server.owner.hang.wait(0.05):
            return


def is_cut(request: Request) -> None:
    """Ends in the middle of its answer."""
    request.send_response_only(200)
    request.send_header("Content-Length", "1000")
    request.end_headers()
    request.wfile.write(b"{")
    request.close_connection = True
