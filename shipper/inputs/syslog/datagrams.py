"""Messages that come as datagrams: UDP and Unix sockets, drained some hundred at a wake-up.

A datagram is a message. One without octets is counted and is none; one longer than `max_message` is cut and says so. What the kernel dropped
because we did not read fast enough is asked of it now and then: a count, and a line in our log when it begins and when it is over.

A wake-up costs as much as some datagrams, so a socket that was emptied is left alone for two milliseconds: at 30,000 a second that makes 60
datagrams of each wake-up.
"""

from __future__ import annotations

import asyncio
import socket

from loguru import logger

from shipper.inputs.syslog.address import Address, bound, buffer, kernel
from shipper.inputs.syslog.counts import Counts
from shipper.inputs.syslog.inbox import Inbox
from shipper.inputs.syslog.senders import Senders

AT_ONCE = 256
_REST_SECONDS = 0.002
_LARGEST = 65536
"""More than a UDP datagram can be long, so that the kernel never cuts one."""
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
        """See `Input.lag`. `octets`: in the kernel, with its overhead; None where the system does not say."""
        held = kernel(self._sock)
        state = "dropping" if self._dropping is not None else "reading" if self._running else "stopped"
        return {"listen": str(self.address), "octets": held.waiting if held else None, "buffer": buffer(self._sock), "state": state}

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
        receive, size, counts = self._sock.recvfrom, self._size, self._counts
        messages, peers, limit, local = self._inbox.messages, self._inbox.peers, self._max, self._local
        allowed = self._senders.allowed if self._senders.some else None
        for _ in range(most):
            try:
                message, sender = receive(size)
            except (BlockingIOError, InterruptedError):
                return False
            except OSError as problem:  # an ICMP answer to something this socket never sent, or no memory: the next read tells
                logger.debug("{}: {}", self.address, problem)
                return False
            peer = "" if local else sender[0]
            if allowed is not None and not local and not allowed(peer):
                counts.denied += 1
            elif len(message) > limit:
                counts.truncated += 1
                of = "" if local else f" of {len(message)},"  # the kernel does not say how long one was that is longer than we asked for
                self._inbox.add(message[:limit], peer, f"datagram{of} cut after {limit} octets")
            elif len(message) > 3 or message.strip(b"\r\n\0"):
                messages.append(message)
                peers.append(peer)
            else:
                counts.empty += 1
        return True
