"""A receiver of OTLP that takes everything at once, and counts the records in it. It runs in threads of the benchmark's own process, which has
nothing else to do meanwhile, on other CPUs than the sender where there are some."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import SimpleQueue
from types import TracebackType


class Sink:
    """`with Sink() as sink`: it listens at `sink.port`; `records` so far."""

    def __init__(self) -> None:
        self.records = 0
        self._bodies: SimpleQueue[tuple[bytes, bool] | None] = SimpleQueue()
        bodies = self._bodies

        class Handler(BaseHTTPRequestHandler):
            """The answer comes first: how long we count is no matter of the sender's."""

            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()
                bodies.put((body, self.headers.get("Content-Encoding") == "gzip"))

            def log_message(self, *_: object) -> None:
                return None

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.port = int(self._server.server_port)
        self._threads = [
            threading.Thread(target=self._server.serve_forever, daemon=True),
            threading.Thread(target=self._count, daemon=True),
        ]

    def __enter__(self) -> Sink:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._bodies.put(None)

    def _count(self) -> None:
        while found := self._bodies.get():
            body, packed = found
            self.records += count_records(zlib.decompress(body, 31) if packed else body)


def count_records(body: bytes) -> int:
    """The log records in an ExportLogsServiceRequest."""
    return sum(
        1
        for resource in _fields(body, 0, len(body), 1)  # resource_logs
        for scope in _fields(body, *resource, 2)  # scope_logs
        for _ in _fields(body, *scope, 2)  # log_records
    )


def _fields(body: bytes, at: int, end: int, wanted: int) -> Iterator[tuple[int, int]]:
    """Where the messages of the field `wanted` begin and end. All fields here are messages or texts. Raises ValueError at anything else."""
    while at < end:
        tag = body[at]
        if tag & 7 != 2:
            raise ValueError(f"wire type {tag & 7} at {at}")
        length, shift, at = 0, 0, at + 1
        while True:
            octet = body[at]
            at += 1
            length |= (octet & 127) << shift
            if octet < 128:
                break
            shift += 7
        if tag >> 3 == wanted:
            yield at, at + length
        at += length
