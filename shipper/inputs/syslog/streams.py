"""Messages that come over connections, TCP or TLS: each read by itself, as far as there is room, so that no peer holds up another.

- A connection over a limit, in all or from one address, is taken and closed at once: its sender sees that, and the listener's queue stays free.
- Without descriptors or memory for one more, the listener rests for a second, and says so once.
- A connection is closed that is silent for `idle_timeout`, or not through its TLS handshake in time; one whose framing breaks, after what was
  read. TLS ends with our close_notify.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
from collections import Counter
from dataclasses import dataclass
from typing import Any

from loguru import logger

from shipper.inputs.syslog.address import Address, bound
from shipper.inputs.syslog.counts import Counts
from shipper.inputs.syslog.framer import Framed, Framer
from shipper.inputs.syslog.inbox import Inbox
from shipper.inputs.syslog.senders import Senders
from shipper.inputs.syslog.tls import Certificates

_ACCEPT_AT_ONCE = 64
_REST_SECONDS = 1.0
_READ = 65536
"""More than a TLS record holds: what is left of one would be in OpenSSL, and nothing would tell us."""
_LAST = 8 << 20
"""Octets read of a connection when we end: more than a kernel holds for it."""
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


@dataclass(frozen=True, slots=True)
class Limits:
    """Of all connections of an input. Octets; connections; seconds."""

    max_message: int
    connections: int
    connections_per_address: int
    idle_timeout: float
    handshake_timeout: float


class Connections:
    """Those that are open, of all listeners of an input. `twin`: the module that `compiled.find` found, or None."""

    def __init__(self, limits: Limits, twin: Any = None) -> None:
        self.limits = limits
        self.twin = twin
        self.open: set[Connection] = set()
        self.by_address: Counter[str] = Counter()

    def refusal(self, peer: str) -> str:
        """Why there may be no more from this address; `""` if there may."""
        if len(self.open) >= self.limits.connections:
            return f"{self.limits.connections} connections are open (max_connections)"
        if self.by_address[peer] >= self.limits.connections_per_address:
            return f"it has {self.limits.connections_per_address} connections open (max_connections_per_address)"
        return ""

    def add(self, connection: Connection) -> None:
        self.open.add(connection)
        self.by_address[connection.peer] += 1

    def remove(self, connection: Connection) -> None:
        self.open.discard(connection)
        self.by_address[connection.peer] -= 1
        if not self.by_address[connection.peer]:
            del self.by_address[connection.peer]

    def look(self, now: float) -> None:
        """Closes those that have been silent for too long. `now` in seconds of the loop's clock."""
        for connection in [connection for connection in self.open if connection.overdue(now)]:
            connection.expire()

    def empty(self) -> None:
        """Reads what has arrived, and closes all."""
        for connection in list(self.open):
            connection.empty()

    def stop(self) -> None:
        """Closes all."""
        for connection in list(self.open):
            connection.close()


class Listener:
    """One listening socket. `sock` does not block; it stays open. `certificates`: None is TCP without TLS."""

    def __init__(
        self,
        address: Address,
        sock: socket.socket,
        inbox: Inbox,
        counts: Counts,
        senders: Senders,
        connections: Connections,
        certificates: Certificates | None,
    ) -> None:
        self.address = bound(address, sock)
        self.inbox = inbox
        self.counts = counts
        self.senders = senders
        self.connections = connections
        self.certificates = certificates
        self._sock = sock
        self._watching = False
        self._exhausted = False

    def start(self) -> None:
        """Begins to accept."""
        if not self._watching:
            self._watching = True
            asyncio.get_running_loop().add_reader(self._sock.fileno(), self._readable)

    def stop(self) -> None:
        """Accepts no more."""
        self._exhausted = False
        if self._watching:
            self._watching = False
            asyncio.get_running_loop().remove_reader(self._sock.fileno())

    def lag(self) -> dict[str, object]:
        """See `Input.lag`."""
        own = sum(connection.listener is self for connection in self.connections.open)
        state = "exhausted" if self._exhausted else "listening" if self._watching else "stopped"
        return {"listen": str(self.address), "connections": own, "state": state}

    def _readable(self) -> None:
        for _ in range(_ACCEPT_AT_ONCE):
            try:
                sock, sender = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as problem:
                if problem.errno in _EXHAUSTED:
                    self._rest(problem)
                    return
                logger.debug("{}: {}", self.address, problem)
                return
            if self._exhausted:
                self._exhausted = False
                logger.info("{}: connections are taken again", self.address)
            self._accepted(sock, sender[0])

    def _accepted(self, sock: socket.socket, peer: str) -> None:
        if not self.senders.allowed(peer):
            self.counts.denied += 1
            sock.close()
            return
        if reason := self.connections.refusal(peer):
            self.counts.refused += 1
            self.senders.refused(peer, reason)
            sock.close()
            return
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if self.certificates is not None:
            try:
                sock = self.certificates.context().wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
            except OSError:  # it is gone already
                sock.close()
                return
        self.counts.connections += 1
        self.connections.add(Connection(self, sock, peer))

    def _rest(self, problem: OSError) -> None:
        self.counts.accept_failures += 1
        if not self._exhausted:
            self._exhausted = True
            logger.warning("{}: no connections can be taken: {} (LimitNOFILE?)", self.address, problem.strerror)
        asyncio.get_running_loop().remove_reader(self._sock.fileno())
        self._watching = False
        asyncio.get_running_loop().call_later(_REST_SECONDS, self._again)

    def _again(self) -> None:
        if self._exhausted:
            self.start()


class Connection:
    """One peer's."""

    def __init__(self, listener: Listener, sock: socket.socket, peer: str) -> None:
        self.listener = listener
        self.peer = peer
        self._sock = sock
        self._fd = sock.fileno()
        self._framer = Framer(listener.connections.limits.max_message, listener.connections.twin)
        self._loop = asyncio.get_running_loop()
        self._seen = self._loop.time()
        self._tls = sock if isinstance(sock, ssl.SSLSocket) else None
        self._shaken = self._tls is None
        self._closed = False
        self._paused = False
        self._loop.add_reader(self._fd, self._readable)

    def overdue(self, now: float) -> bool:
        """Whether it has been silent for too long. While we do not read it, it is not its silence."""
        if self._paused:
            return False
        limits = self.listener.connections.limits
        return now - self._seen > (limits.idle_timeout if self._shaken else limits.handshake_timeout)

    def expire(self) -> None:
        """Closes it for its silence."""
        if not self._shaken:
            self._fail("no TLS handshake in time")
            return
        self.listener.counts.idle += 1
        self.close()

    def empty(self) -> None:
        """Reads what has arrived, as it would be lost with the connection, and closes it; a peer that never pauses is cut off."""
        octets = _LAST
        while self._shaken and not self._closed and octets > 0 and (got := self._read()):
            octets -= got
        self.close()

    def _readable(self) -> None:
        if self._closed or self._paused:
            return
        if not self._shaken and not self._shake():
            return
        if self.listener.inbox.room <= 0:
            self._paused = True
            self._loop.remove_reader(self._fd)
            self.listener.inbox.when_room(self._resume)
            return
        self._read()

    def _resume(self) -> None:
        if not self._closed:
            self._paused = False
            self._seen = self._loop.time()
            self._loop.add_reader(self._fd, self._readable)

    def _shake(self) -> bool:
        """Goes on with the TLS handshake; whether it is done."""
        assert self._tls is not None
        self._loop.remove_writer(self._fd)
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLWantWriteError:
            self._loop.add_writer(self._fd, self._readable)
            return False
        except ssl.SSLCertVerificationError as problem:
            self._fail(f"its certificate is not accepted: {problem.verify_message}")
            return False
        except (ssl.SSLError, OSError) as problem:
            said = problem.reason if isinstance(problem, ssl.SSLError) else problem.strerror
            self._fail(f"no TLS handshake: {(said or 'it was cut off').replace('_', ' ').lower()}")
            return False
        certificates = self.listener.certificates
        assert certificates is not None
        if reason := certificates.refusal(self._tls):
            self._fail(reason)
            return False
        self._shaken = True
        self._seen = self._loop.time()
        return True

    def _read(self) -> int:
        """One read; gives its octets, 0 when there were none."""
        try:
            octets = self._sock.recv(_READ)
        except (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return 0
        except OSError:
            octets = b""
        if not octets:
            self.close()
            return 0
        self._seen = self._loop.time()
        size = len(octets)
        messages, octets = self._framer.straight(octets)
        if messages:
            self.listener.inbox.extend(messages, self.peer)
            self.listener.inbox.added()
        self._take(self._framer.feed(octets))
        if self._framer.broken:
            self.listener.counts.broken += 1
            self.listener.senders.refused(self.peer, self._framer.broken)
            self.close()
        return size

    def _take(self, messages: list[Framed]) -> None:
        inbox, counts, peer = self.listener.inbox, self.listener.counts, self.peer
        for octets, error in messages:
            if error:
                counts.truncated += "cut after" in error
            if octets:
                inbox.add(octets, peer, error)
            else:
                counts.empty += 1
        if messages:
            inbox.added()

    def _fail(self, reason: str) -> None:
        self.listener.counts.failed += 1
        self.listener.senders.refused(self.peer, reason)
        self.close()

    def close(self) -> None:
        """Takes what has begun and not ended, and closes it."""
        if self._closed:
            return
        self._closed = True
        last = self._framer.close()
        self.listener.counts.unended += len(last)
        self._take(last)
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        self.listener.connections.remove(self)
        if self._tls is not None and self._shaken:
            with contextlib.suppress(OSError, ValueError):
                self._tls.unwrap()  # sends our close_notify, and does not wait for theirs
        self._sock.close()
