"""Messages that come as datagrams: UDP and Unix sockets, drained some hundred at a wake-up.

A datagram is a message. One without octets is counted and is none; one longer than `max_message` is cut and says so. What the kernel dropped
because we did not read fast enough is asked of it now and then: a count, and a line in our log when it begins and when it is over.

A wake-up costs as much as some datagrams, so a socket that was emptied is left alone for two milliseconds, or five where the kernel has much room:
at 30,000 a second that makes 60 datagrams of each wake-up, or 150.

With the compiled twin (`Drained`) one call of the system takes many datagrams, in a thread that needs nothing of Python: so a socket is read also
while the loop renders or waits. The loop watches the socket only while nothing comes. The thread packs messages into batches; when some of these
wait, as the outputs make us wait, it reads no more. They are lost with a kill, as what the kernel holds is. What is made of them is the same. Where
the system gives no thread the loop reads, as without the twin.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from loguru import logger

from shipper.compiled import Packed
from shipper.inputs.syslog.address import Address, bound, buffer, kernel
from shipper.inputs.syslog.counts import Counts
from shipper.inputs.syslog.inbox import MANY, Inbox, Taken
from shipper.inputs.syslog.senders import Senders

AT_ONCE = 256
_REST_SECONDS = 0.002
_LONG_REST_SECONDS = 0.005
_MUCH = 2 << 20
"""Octets of a kernel's buffer that has room for what comes in the longer rest, at 400,000 a second."""
_LARGEST = 65536
"""More than a UDP datagram can be long, so that the kernel never cuts one."""
_FEW = 3
"""Octets of a datagram that may be an empty one, with the end of a line that is none."""
_QUIET_SECONDS = 60
"""Without a drop for so long, it is over."""


class Datagrams:
    """One socket of datagrams. `sock` is bound and does not block; it stays open. `shared`: another input counts what it has dropped so far."""

    def __init__(
        self,
        address: Address,
        sock: socket.socket,
        inbox: Inbox,
        counts: Counts,
        senders: Senders,
        max_message: int,
        *,
        shared: bool = False,
    ) -> None:
        self.address = bound(address, sock)
        self._sock = sock
        self._inbox = inbox
        self._counts = counts
        self._senders = senders
        self._max = max_message
        self._size = max(_LARGEST, max_message + 1)
        self._local = address.protocol == "unix"
        self._running = False
        self._watching = False
        held = kernel(sock)
        self._drops = held.drops if held and shared else 0
        self._dropping: float | None = None  # when it last dropped, while it does

    def start(self) -> None:
        """Begins to read."""
        self._running = True
        self._watch()

    def stop(self) -> None:
        """Reads no more."""
        self._running = False
        self._unwatch()

    def empty(self) -> None:
        """Reads what the kernel still holds, as it would be lost with the socket."""
        for _ in range(buffer(self._sock) // AT_ONCE):  # in that buffer there is no room for more; others may come as fast as we read
            if not self._read(AT_ONCE):
                break
        self._inbox.added()

    def waiting(self) -> tuple[int, int]:
        """Messages that were read and are not in the inbox, and their octets."""
        return 0, 0

    def look(self, now: float) -> None:
        """Counts what the kernel dropped. `now` in seconds of the loop's clock."""
        held = kernel(self._sock)
        if held is None:
            return
        new = (held.drops - self._drops) % (1 << 32)
        self._drops = held.drops
        self._counts.kernel_drops += new
        if new and self._dropping is None:
            size = buffer(self._sock)
            logger.warning("{}: the kernel dropped {} datagrams, as its buffer of {} octets was full", self.address, new, size)
            logger.warning("{}: raise receive_buffer, and with it `sysctl -w net.core.rmem_max={}`", self.address, 4 * size)
        if new:
            self._dropping = now
        elif self._dropping is not None and now - self._dropping > _QUIET_SECONDS:
            self._dropping = None
            logger.info("{}: no datagrams dropped any more; {} in all", self.address, self._counts.kernel_drops)

    def lag(self) -> dict[str, object]:
        """See `Input.lag`. `octets`: in the kernel, with its overhead, and read by the twin; None where the system does not say."""
        held = kernel(self._sock)
        state = "dropping" if self._dropping is not None else "reading" if self._running else "stopped"
        octets = held.waiting + self.waiting()[1] if held else None
        return {"listen": str(self.address), "octets": octets, "buffer": buffer(self._sock), "state": state}

    def _watch(self) -> None:
        if self._running and not self._watching:
            self._watching = True
            asyncio.get_running_loop().add_reader(self._sock.fileno(), self._readable)

    def _unwatch(self) -> None:
        if self._watching:
            self._watching = False
            asyncio.get_running_loop().remove_reader(self._sock.fileno())

    def _readable(self) -> None:
        room = self._inbox.room
        if room <= 0:
            self._unwatch()
            self._inbox.when_room(self._watch)
            return
        if not self._read(min(room, AT_ONCE)):
            self._unwatch()
            asyncio.get_running_loop().call_later(_REST_SECONDS, self._watch)
        self._inbox.added()

    def _read(self, most: int) -> bool:
        """Reads so many datagrams at most; whether there were that many."""
        try:
            messages, peers, odd = self._received(most)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError as problem:  # an ICMP answer to something this socket never sent, or no memory: the next read tells
            logger.debug("{}: {}", self.address, problem)
            return False
        inbox, senders = self._inbox, self._senders
        if odd or (senders.some and not self._local and not all(map(senders.allowed, dict.fromkeys(peers)))):
            for message, peer in zip(messages, peers, strict=True):
                if self._is_one(peer, len(message), len(message) > _FEW or bool(message.strip(b"\r\n\0"))):
                    inbox.add(message[: self._max], peer, self._cut(len(message)))
        else:
            inbox.messages += messages
            inbox.peers += peers
        return len(messages) == most

    def _is_one(self, peer: str, length: int, some: bool) -> bool:
        """Whether a datagram of this length is a message, by the rules; counts it, if it is none or too long. `some`: whether it has any octets."""
        counts = self._counts
        if not self._local and not self._senders.allowed(peer):
            counts.denied += 1
        elif length > self._max:
            counts.truncated += 1
            return True
        elif some:
            return True
        else:
            counts.empty += 1
        return False

    def _cut(self, length: int) -> str:
        """What is said of one that is too long."""
        if length <= self._max:
            return ""
        of = "" if self._local else f" of {length},"  # the kernel does not say how long one was that is longer than we asked for
        return f"datagram{of} cut after {self._max} octets"

    def _received(self, most: int) -> tuple[list[bytes], list[str], bool]:
        """Datagrams, their senders, and whether one of them is a case for `_is_one`. Raises OSError when there are none."""
        receive, size, limit, local = self._sock.recvfrom, self._size, self._max, self._local
        messages: list[bytes] = []
        peers: list[str] = []
        odd = False
        try:
            for _ in range(most):
                message, sender = receive(size)
                messages.append(message)
                peers.append("" if local else sender[0])
                if not _FEW < len(message) <= limit:
                    odd = True
        except OSError:
            if not messages:
                raise
        return messages, peers, odd


class Drained(Datagrams):
    """One socket that the compiled twin reads. `twin`: the module that `compiled.find` found."""

    def __init__(self, *told: Any, twin: Any, shared: bool = False) -> None:
        super().__init__(*told, shared=shared)
        self._drain = twin.Drain(
            self._sock.fileno(),
            size=self._size,
            at_once=AT_ONCE,
            limit=self._max,
            most=MANY,
            rest=_LONG_REST_SECONDS if not self._local and buffer(self._sock) >= _MUCH else _REST_SECONDS,
            local=self._local,
            name=_name,
        )
        self._inbox.drained.append(self._take)
        self._alone = False  # whether there was no thread once, which was said

    def start(self) -> None:
        super().start()
        asyncio.get_running_loop().add_reader(self._drain.fileno(), self._told)

    def stop(self) -> None:
        if self._running:
            asyncio.get_running_loop().remove_reader(self._drain.fileno())
        super().stop()
        self._drain.stop()

    def empty(self) -> None:
        for _ in range(buffer(self._sock) // AT_ONCE):
            if self._drain.read() < AT_ONCE:
                break
        self._inbox.added()

    def waiting(self) -> tuple[int, int]:
        _, messages, octets, _ = self._drain.state()
        return messages, octets

    def _readable(self) -> None:
        try:
            self._drain.go()
        except OSError as problem:  # asked again with the next datagrams
            if not self._alone:
                logger.warning("{}: read without a thread of its own, and slower: {} (LimitNPROC, TasksMax?)", self.address, problem)
            self._alone = True
            super()._readable()
        else:
            self._unwatch()

    def _told(self) -> None:
        self._drain.hear()
        if not self._tell():
            self._watch()

    def _tell(self) -> bool:
        """Tells the inbox what waits; whether the thread reads."""
        going, messages, _, whole = self._drain.state()
        if messages:
            self._inbox.added(whole=whole, some=True)
        return bool(going)

    def _take(self) -> Taken | None:
        if (taken := self._drain.take()) is None:
            return None
        self._tell()
        messages, peers, odd = taken
        if odd or (self._senders.some and not self._local and not all(map(self._senders.allowed, peers))):
            return self._by_the_rules(messages, odd)
        return Taken(messages, [], {})

    def _by_the_rules(self, packed: Packed, odd: dict[int, int]) -> Taken:
        """A batch where something is to be left out, or to be said. `odd`: the length of those that are empty or too long, by number."""
        messages: list[bytes] = []
        peers: list[str] = []
        wrong: dict[int, str] = {}
        for number, (message, peer) in enumerate(zip(*packed.part(0, len(packed)), strict=True)):
            length = odd.get(number, len(message))
            if self._is_one(peer, length, number not in odd):
                if error := self._cut(length):
                    wrong[len(messages)] = error
                messages.append(message)
                peers.append(peer)
        return Taken(messages, peers, wrong)


def _name(address: bytes, interface: int) -> str:
    """A sender's address, as Python has it."""
    if len(address) == 4:
        return socket.inet_ntop(socket.AF_INET, address)
    text = socket.inet_ntop(socket.AF_INET6, address)
    return socket.getnameinfo((text, 0, 0, interface), socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)[0] if interface else text


def unread(sock: socket.socket) -> int:
    """Datagrams that are still in the kernel, which are lost with the socket; they are read to be counted. Of a stream 0."""
    count = 0
    if sock.fileno() >= 0 and sock.type == socket.SOCK_DGRAM:
        for _ in range(buffer(sock) // AT_ONCE):  # in that buffer there is no room for more, and who sends without a pause must not keep us
            try:
                sock.recv(1)
            except OSError:
                break
            count += 1
    return count
