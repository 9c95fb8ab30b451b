"""What was sent last to a receiver that answers nothing, kept for a while: it may not have been read when the connection breaks.

- `octets` of payloads are kept at most, the newest, of one connection; what is older is let go.
- What is in doubt when a connection ends is sent again, in the order it had, before anything new; it then is what was sent last.
- A payload is sent again ten times at most, so nothing is missing after ten breaks in a row. Then it is let go: a receiver that ends every
  connection after a few moments must come further nevertheless.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

MOST_TIMES = 10
"""Breaks in a row that a payload outlives. What is behind it waits that long at most for a receiver that never reads it."""


class Sent(NamedTuple):
    """The payloads of one send, and when it was done (seconds of some clock); `times` they have been sent again."""

    payloads: tuple[bytes, ...]
    when: float
    times: int = 0


class Recent:
    """`octets` 0 keeps nothing."""

    def __init__(self, octets: int) -> None:
        self._most = octets
        self._octets = 0
        self._sent: deque[Sent] = deque()
        self.again: deque[Sent] = deque()
        """In doubt, and not sent again yet."""

    @property
    def waiting(self) -> int:
        """Payloads that are to be sent again."""
        return sum(len(sent.payloads) for sent in self.again)

    def add(self, payloads: Sequence[bytes], now: float, times: int = 0) -> None:
        """These have been sent."""
        if not self._most or times >= MOST_TIMES:
            return
        self._sent.append(Sent(tuple(payloads), now, times))
        self._octets += sum(map(len, payloads))
        while self._octets > self._most:
            oldest = self._sent.popleft()
            self._octets -= sum(map(len, oldest.payloads))
            if rest := _last(oldest.payloads, self._most - self._octets):
                self._sent.appendleft(oldest._replace(payloads=rest))
                self._octets += sum(map(len, rest))
                return

    def ended(self, doubtful_since: float | None) -> int:
        """The connection has: what was sent since then is to be sent again (None: nothing). How many payloads that are."""
        doubtful = [] if doubtful_since is None else [sent for sent in self._sent if sent.when >= doubtful_since]
        self.again.extendleft(reversed(doubtful))
        self._sent.clear()
        self._octets = 0
        return sum(len(sent.payloads) for sent in doubtful)


def _last(payloads: tuple[bytes, ...], octets: int) -> tuple[bytes, ...]:
    """The last ones that are no more octets than these."""
    start = len(payloads)
    while start and (octets := octets - len(payloads[start - 1])) >= 0:
        start -= 1
    return payloads[start:]
