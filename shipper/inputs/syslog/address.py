"""`udp://127.0.0.1:5514` -> where to listen, and the socket that does.

    udp://127.0.0.1:5514   tcp://[::1]:5514   tls://0.0.0.0:6514   unix:///run/shipper/log.sock

- The host is an IP address, of IPv4 or IPv6 in brackets: a name could mean another one tomorrow. An IPv6 address is only that; for both list both.
- A Unix socket that a process left behind when it ended is replaced; one that somebody listens on is not, nor is any other file.
"""

from __future__ import annotations

import errno
import os
import re
import socket
import stat
import struct
from ipaddress import ip_address
from typing import Literal, NamedTuple, cast

from loguru import logger

from shipper.errors import Failure

Protocol = Literal["udp", "tcp", "tls", "unix"]

_URL = re.compile(r"(udp|tcp|tls)://(?:\[([0-9A-Fa-f:.%\w]+)\]|([0-9.]+)):([0-9]{1,5})")
_MEMINFO = getattr(socket, "SO_MEMINFO", 55)
_RCVBUFFORCE = getattr(socket, "SO_RCVBUFFORCE", 33)
_BACKLOG = 1024


class Address(NamedTuple):
    """Where to listen. `host` is the path of a Unix socket; `port` 0 is any that is free."""

    protocol: Protocol
    host: str
    port: int = 0

    def __str__(self) -> str:
        if self.protocol == "unix":
            return f"unix://{self.host}"
        return f"{self.protocol}://[{self.host}]:{self.port}" if ":" in self.host else f"{self.protocol}://{self.host}:{self.port}"


def parse(text: str) -> Address:
    """Raises ValueError with a sentence for the user."""
    if text.startswith("unix:///"):
        return Address("unix", text.removeprefix("unix://"))
    found = _URL.fullmatch(text.strip())
    if found is None:
        raise ValueError(
            "must be udp://ADDRESS:PORT, tcp://ADDRESS:PORT, tls://ADDRESS:PORT or unix:///PATH; ADDRESS is an IP address, IPv6 in []"
        )
    protocol, six, four, port = found.groups()
    try:
        ip_address(six or four)
    except ValueError:
        raise ValueError(f"{six or four} is no IP address") from None
    if int(port) > 65535:
        raise ValueError("a port is at most 65535")
    return Address(cast(Protocol, protocol), six or four, int(port))


def bind(address: Address, *, receive_buffer: int, mode: int) -> socket.socket:
    """A bound socket that does not block (and listens, if it is of a stream). Raises Failure R507."""
    try:
        if address.protocol == "unix":
            return _unix(address.host, mode, receive_buffer)
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        kind = socket.SOCK_DGRAM if address.protocol == "udp" else socket.SOCK_STREAM
        made = socket.socket(family, kind)
        try:
            if family == socket.AF_INET6:
                made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            if kind == socket.SOCK_STREAM:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            else:
                _set_buffer(made, receive_buffer, address)
            made.bind((address.host, address.port))
            if kind == socket.SOCK_STREAM:
                made.listen(_BACKLOG)
            made.setblocking(False)
        except BaseException:
            made.close()
            raise
        return made
    except OSError as problem:
        raise Failure("R507", f"{address}: {os.strerror(problem.errno) if problem.errno else problem}") from None


def bound(address: Address, made: socket.socket) -> Address:
    """The address with the port that the system gave."""
    return address if address.protocol == "unix" else address._replace(port=made.getsockname()[1])


def _unix(path: str, mode: int, receive_buffer: int) -> socket.socket:
    remove_stale(path)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        _set_buffer(made, receive_buffer, Address("unix", path))
        before = os.umask(0o777 & ~mode)
        try:
            made.bind(path)
        finally:
            os.umask(before)
        os.chmod(path, mode)
        made.setblocking(False)
    except BaseException:
        made.close()
        raise
    return made


def remove_stale(path: str) -> None:
    """Unlinks a socket that nobody listens on, if we may."""
    try:
        if stat.S_ISSOCK(os.lstat(path).st_mode) and not _answers(path):
            os.unlink(path)
    except OSError:
        pass


def _answers(path: str) -> bool:
    """Whether somebody listens on a Unix socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
        return probe.connect_ex(path) not in (errno.ECONNREFUSED, errno.ENOENT)


def _set_buffer(made: socket.socket, octets: int, address: Address) -> None:
    """Asks for a receive buffer, over the system's limit where we may; says so when it is less."""
    try:
        made.setsockopt(socket.SOL_SOCKET, _RCVBUFFORCE, octets)
    except OSError:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, octets)
    got = buffer(made)
    if got < octets:
        logger.warning("{}: receive buffer of {} octets instead of {}: sysctl -w net.core.rmem_max={}", address, got, octets, octets)


def buffer(made: socket.socket) -> int:
    """The receive buffer in octets, as it was asked for: the kernel counts twice that, for its own needs."""
    return made.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2


class Kernel(NamedTuple):
    """What the kernel holds for a datagram socket (octets, with its own overhead), and how many datagrams it dropped since it was made."""

    waiting: int
    drops: int


def kernel(made: socket.socket) -> Kernel | None:
    """None where the system does not say (it does from Linux 4.12 on)."""
    try:
        info = made.getsockopt(socket.SOL_SOCKET, _MEMINFO, 36)
    except OSError:
        return None
    if len(info) < 36:
        return None
    numbers = struct.unpack("9I", info[:36])
    return Kernel(numbers[0], numbers[8])
