"""What all sockets of an input have read and nobody has taken: messages, one batch at most, and what the compiled twin has read beside it, which
is taken batch by batch.

Whoever reads asks `room` first and reads no more than that. Without room it stops watching its socket, and is called when there is some again:
while the outputs make us wait, what comes in waits in the kernel, which makes the sender wait (TCP) or counts what it drops (UDP).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from shipper.compiled import Packed
from shipper.inputs.base import LINGER_RECORDS, LINGER_SECONDS

MANY = 4096
"""Messages of a batch where the compiled twin packs them."""
_OCTETS = 512 << 10
"""Octets of messages beyond which no more are read."""


class Taken(NamedTuple):
    """Messages of a batch, and the names of their senders; those that the twin has packed have these in them. `wrong`: what befell the message of
    that number on its way."""

    messages: list[bytes] | Packed
    peers: list[str]
    wrong: dict[int, str]


class Inbox:
    """`ready` is set when there is a batch to take: when it is full, or the first message has waited long enough. `most`: messages of a batch;
    `drained`: are asked for a batch that the twin has read, and say what is left (`added`)."""

    def __init__(self, most: int = LINGER_RECORDS) -> None:
        self._most = most
        self._octets = 0
        self.ready = asyncio.Event()
        self.messages: list[bytes] = []
        self.peers: list[str] = []
        self.wrong: dict[int, str] = {}
        self.drained: list[Callable[[], Taken | None]] = []
        self._open = True
        self._linger: asyncio.TimerHandle | None = None
        self._waiting: list[Callable[[], None]] = []

    @property
    def room(self) -> int:
        """How many messages should be read now."""
        return self._most - len(self.messages) if self._open and self._octets < _OCTETS else 0

    def add(self, message: bytes, peer: str, error: str = "") -> None:
        """One message. What a socket gave at once is taken even where it is more than there was room for."""
        if error:
            self.wrong[len(self.messages)] = error
        self.messages.append(message)
        self.peers.append(peer)
        self._octets += len(message)

    def extend(self, messages: list[bytes], peer: str) -> None:
        """Some of one sender, with which nothing is wrong."""
        self.messages += messages
        self.peers += [peer] * len(messages)
        self._octets += sum(map(len, messages))

    def added(self, *, whole: bool = False, some: bool = False) -> None:
        """After some were added. Of what is not here: whether a whole batch waits, or some."""
        if whole or len(self.messages) >= self._most or self._octets >= _OCTETS:
            self.ready.set()
        elif self._linger is None and (some or self.messages):
            self._linger = asyncio.get_running_loop().call_later(LINGER_SECONDS, self.ready.set)

    def when_room(self, resume: Callable[[], None]) -> None:
        """Calls `resume` as soon as there is room."""
        self._waiting.append(resume)

    def take(self) -> deque[Taken]:
        """All there is, in batches; of what the twin has read one of each socket. There is no room until `reopen`."""
        messages, peers, wrong = self.messages, self.peers, self.wrong
        self.messages, self.peers, self.wrong, self._octets = [], [], {}, 0
        taken: deque[Taken] = deque()
        most = 2 * self._most  # what is read at once can be more than was asked for: a connection gives as many messages as 64 KiB hold
        for start in range(0, len(messages), most):
            end = start + most
            said = {number - start: error for number, error in wrong.items() if start <= number < end}
            taken.append(Taken(messages[start:end], peers[start:end], said))
        self._open = False
        self.ready.clear()
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        taken += [some for drained in self.drained if (some := drained()) is not None]
        return taken

    def reopen(self) -> None:
        """What was taken has been handed over."""
        self._open = True
        waiting, self._waiting = self._waiting, []
        for resume in waiting:
            resume()
