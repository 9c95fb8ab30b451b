"""Output `syslog`: RFC 5424, RFC 3164 or the server's own lines; over UDP, TCP, TLS, or a Unix socket.

Syslog has no answers, so what counts as delivered differs:

- TCP and TLS: when the other side's kernel has acknowledged every octet (its send queue is empty), and the connection still stands. What was not
  acknowledged is sent again on the next connection. What was, and its program had not read or not stored when it died, no sender can know:
  so the last `resend` octets of the connection are sent again too. All of them after a reset (a kernel answers so for a program that
  left octets unread) or a silence; after an orderly end (a program that had read everything, or stopped reading) only those of its last
  seconds: a receiver that is restarted while nothing is sent gets nothing twice.
- UDP and Unix sockets: when our kernel took it. A datagram that is lost on the way is lost.

Rules:
- TLS checks the receiver's name and chain, by 1.2 at least. After the handshake the receiver has a moment to object: with TLS 1.3 it refuses a
  client's certificate only then, and would lose what was already sent. The end is orderly (`close_notify`), or what is in flight is lost.
- TCP frames by octet counting (RFC 6587, 3.4.1) unless the section says `lf`.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import math
import os
import socket
import ssl
import struct
import termios
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from shipper.batch import Arrival
from shipper.certificates import Named, wrong
from shipper.config.units import Duration, Part, Size
from shipper.events import FACILITIES
from shipper.outputs.base import Limits, Refused, Unavailable
from shipper.outputs.section import Common
from shipper.profiles.rfc5424 import DOCUMENTATION_NUMBER, Style, render
from shipper.record import Record
from shipper.router import Role
from shipper.straight import payloads

_DATAGRAM = 1400
"""Octets of a UDP message by default: what fits into one packet on most networks."""
_STORED = 5.0
"""Seconds after which a receiver has stored what its program has read."""
_OBJECTION = 0.25
"""Seconds that a TLS receiver has to object to our certificate."""


class TlsSettings(Part):
    """TLS of a client."""

    ca: str = Field("", description="File with the certificates that the receiver's chain must end in; empty: the system's.")
    certificate: str = Field("", description="File with our own certificate and its chain, for a receiver that wants one.")
    key: str = Field("", description="File with its key; empty: it is in the same file.")
    name: str = Field("", description="The receiver's name in its certificate; empty: `host`.")

    def on_disk(self) -> Iterator[tuple[str, str]]:
        """(option, what `check` says of it) of files that cannot be used."""
        yield from wrong(trusted=Named("ca", self.ca), own=Named("certificate", self.certificate), key=Named("key", self.key))


class Section(Common):
    """Syslog messages to a relay or a SIEM."""

    role: ClassVar[Role] = "syslog"

    type: Literal["syslog"]
    protocol: Literal["udp", "tcp", "tls", "unix"] = Field("udp", description="How messages travel.")
    host: str = Field("127.0.0.1", min_length=1, description="The receiver's name or address.")
    port: int | None = Field(None, ge=1, le=65535, description="Its port; 514, or 6514 for TLS.")
    path: str = Field("", description="The socket, with `protocol: unix` (as `/dev/log`).")
    format: Literal["rfc5424", "rfc3164", "raw"] = Field("rfc5424", description="How messages are written.")
    framing: Literal["octet", "lf"] = Field("octet", description="How messages are told apart on TCP and TLS.")
    facility: Literal[tuple(FACILITIES)] = Field("mail", description="Facility of records that did not come by syslog.")  # type: ignore[valid-type]
    hostname: str = Field("", description="Host of records that name none.")
    enterprise: int = Field(
        DOCUMENTATION_NUMBER, ge=1, description="Private enterprise number of our structured data; 32473 is only for examples."
    )
    max_size: Size | None = Field(None, ge=480, description="Octets of a message: 1400 by UDP, else 8192.")
    tls: TlsSettings = Field(TlsSettings(), description="For `protocol: tls`.")
    timeout: Duration = Field(20.0, gt=0, lt=30, description="How long connecting, or the receiver's silence, may last.")
    resend: Size = Field(
        16 << 20, le=1 << 30, description="TCP and TLS: octets, the last ones, that are sent again when a connection broke; 0: none."
    )

    def doubts(self) -> Iterator[tuple[str, str]]:
        """(option, what `check` says of it) of settings that work, but hardly as they are meant."""
        if self.format == "rfc5424" and self.enterprise == DOCUMENTATION_NUMBER:
            yield "enterprise", "enterprise number 32473 is for examples only: register one and set `enterprise`"
        if self.format == "rfc5424" and self.path == "/dev/log":
            yield "path", "who listens on /dev/log expects `format: rfc3164`, unless it is told otherwise"

    @model_validator(mode="after")
    def _fits(self) -> Section:
        if self.protocol == "unix" and not self.path:
            raise ValueError("`path` is missing: the socket that `protocol: unix` sends to")
        return self


class Syslog:
    """One output of this kind."""

    def __init__(self, name: str, section: Section) -> None:
        self.name = name
        self.limits = Limits(section.batch.records, section.batch.size)
        self._section = section
        most = section.max_size or (_DATAGRAM if section.protocol == "udp" else 8192)
        self._style = Style(section.format, section.facility, section.hostname, section.enterprise, most, section.protocol == "unix")

    def render(self, records: Sequence[Record], arrival: Arrival, priorities: Sequence[int | None] | None = None) -> Sequence[bytes]:
        """One message for each record, without its frame; see `Prioritized`."""
        observed, style = arrival.observed, self._style
        return payloads(records, style, lambda some, given: render(some, observed, style, given), observed, priorities)

    def ready(self) -> None:
        """Raises `Unavailable` when the certificates cannot be used."""
        if self._section.protocol == "tls":
            _context(self._section.tls)

    def sender(self) -> _DatagramSender | _StreamSender:
        section = self._section
        if section.protocol == "unix":
            return _DatagramSender(partial(_connect_unix, section.path), section.path)
        if section.protocol == "udp":
            address = (section.host, section.port or 514)
            return _DatagramSender(partial(_connect_udp, *address), f"{address[0]} port {address[1]}")
        return _StreamSender(section)


def make(name: str, section: Section) -> Syslog:
    """The output that a section describes."""
    return Syslog(name, section)


def _context(tls: TlsSettings) -> ssl.SSLContext:
    """Made for each connection, so that a certificate that was renewed on disk is taken with the next. Raises `Unavailable`."""
    files = tls.ca or "the system's"
    try:
        context = ssl.create_default_context(cafile=tls.ca or None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.hostname_checks_common_name = False
        if tls.certificate:
            files = f"{tls.certificate} and {tls.key}" if tls.key else tls.certificate
            context.load_cert_chain(tls.certificate, tls.key or None)
    except OSError as error:
        raise Unavailable(f"certificates cannot be used: {files}: {_why(error)}", misconfigured=True) from error
    return context


def _why(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate refused: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {(error.reason or str(error)).lower().replace('_', ' ')}"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.errno and error.errno > 0:
        return os.strerror(error.errno).lower()  # asyncio has the address in its own text, and so has what stands before this
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__


async def _connect_udp(host: str, port: int) -> socket.socket:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    family, kind, protocol, _, address = found[0]
    end = socket.socket(family, kind | socket.SOCK_NONBLOCK, protocol)
    try:
        end.connect(address)
    except OSError:
        end.close()
        raise
    return end


async def _connect_unix(path: str) -> socket.socket:
    end = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        end.connect(path)
    except OSError:
        end.close()
        raise
    return end


class _DatagramSender:
    """One connected datagram socket: a message a datagram."""

    def __init__(self, connect: Callable[[], Awaitable[socket.socket]], name: str) -> None:
        self._connect = connect
        self._name = name
        self._socket: socket.socket | None = None

    async def __aenter__(self) -> _DatagramSender:
        try:
            self._socket = await self._connect()
        except OSError as error:
            raise Unavailable(f"{self._name}: {_why(error)}") from error
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._socket:
            self._socket.close()

    async def send(self, payloads: Sequence[bytes]) -> None:
        assert self._socket is not None
        loop = asyncio.get_running_loop()
        refused: list[int] = []
        for number, message in enumerate(payloads):
            try:
                await loop.sock_sendall(self._socket, message)
            except OSError as error:
                if error.errno == errno.EMSGSIZE:
                    refused.append(number)
                    continue
                raise Unavailable(f"{self._name}: {_why(error)}") from error
        if refused:
            raise Refused(f"{self._name}: longer than a datagram can be", refused)


class _StreamSender:
    """One TCP or TLS connection. See `Unanswered`."""

    def __init__(self, section: Section) -> None:
        self.keep = section.resend
        self._section = section
        self._port = section.port or (6514 if section.protocol == "tls" else 514)
        self._name = f"{section.host} port {self._port}"
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter | None = None
        self._below: asyncio.WriteTransport
        """The transport on the socket itself: what TLS has encrypted waits there, and is not in the buffer of the one above."""
        self._broken = False
        self._watching: asyncio.Task[None] | None = None
        self._ended_at = 0.0
        self._reset = False

    async def __aenter__(self) -> _StreamSender:
        section = self._section
        try:
            tls = _context(section.tls) if section.protocol == "tls" else None
            async with asyncio.timeout(section.timeout):
                self._reader, self._writer = await asyncio.open_connection(section.host, self._port)
                self._below = self._writer.transport
                if tls:
                    await self._writer.start_tls(tls, server_hostname=section.tls.name or section.host)
            if tls:
                await self._objection()
        except (OSError, TimeoutError, ValueError) as error:
            await self._close()
            wrong = isinstance(error, ssl.SSLError)
            raise Unavailable(f"{self._name}: {_why(error)}", misconfigured=wrong) from error
        self._watching = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._watching:
            self._watching.cancel()
        await self._close()

    def doubtful_since(self) -> float | None:
        if self._reset or (self._broken and not self._ended_at):
            return -math.inf
        return self._ended_at - _STORED if self._ended_at else None

    async def ended(self) -> None:
        assert self._watching is not None
        await asyncio.wait([self._watching])

    async def _watch(self) -> None:
        """Until the receiver ends the connection: when, and how. What it says meanwhile is of no meaning."""
        try:
            while await self._reader.read(65536):
                pass
        except ssl.SSLError:  # the end of the connection without an end of TLS
            pass
        except OSError:
            self._reset = True
        self._ended_at = asyncio.get_running_loop().time()

    async def send(self, payloads: Sequence[bytes]) -> None:
        assert self._writer is not None
        if self._section.framing == "octet":
            frames = b"".join([b"%d %b" % (len(message), message) for message in payloads])
        else:
            frames = b"".join([message + b"\n" for message in payloads])
        try:
            async with asyncio.timeout(self._section.timeout):
                self._alive()
                self._writer.write(frames)
                await self._writer.drain()
                await self._acknowledged()
                self._alive()
        except (OSError, TimeoutError) as error:
            self._broken = True
            raise Unavailable(f"{self._name}: {_why(error)}") from error

    def _alive(self) -> None:
        assert self._writer is not None
        if self._reader.at_eof() or self._reader.exception() or self._writer.transport.is_closing():
            raise ConnectionResetError(errno.ECONNRESET, "closed by the receiver")

    async def _acknowledged(self) -> None:
        """Waits until nothing is in our buffer and the kernel's send queue is empty: the other kernel has it all."""
        assert self._writer is not None
        transport = self._writer.transport
        end: socket.socket = transport.get_extra_info("socket")
        pause = 0.0005
        while transport.get_write_buffer_size() or self._below.get_write_buffer_size() or _unacknowledged(end):
            self._alive()
            await asyncio.sleep(pause)
            pause = min(pause * 2, 0.004)

    async def _objection(self) -> None:
        """Raises when the receiver closes, or sends an alert, right after the handshake."""
        try:
            async with asyncio.timeout(_OBJECTION):
                if not await self._reader.read(1):
                    raise ssl.SSLError(1, "closed by the receiver after the handshake")
        except TimeoutError:
            pass  # silence is consent

    async def _close(self) -> None:
        if self._writer is None:
            return
        transport = self._writer.transport
        if self._broken:  # what is in its buffer will be sent again, on another connection
            transport.abort()
        self._writer.close()
        try:
            async with asyncio.timeout(5):
                await self._writer.wait_closed()
        except (OSError, TimeoutError):
            transport.abort()


def _unacknowledged(end: socket.socket) -> int:
    """Octets that the other side's kernel has not acknowledged (Linux: SIOCOUTQ); 0 where the system cannot say."""
    if end.fileno() < 0:
        raise ConnectionResetError(errno.ECONNRESET, "closed by the receiver")
    try:
        return int(struct.unpack("i", fcntl.ioctl(end.fileno(), termios.TIOCOUTQ, b"\0\0\0\0"))[0])
    except OSError:
        return 0
