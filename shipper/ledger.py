"""Receipts that are settled in any order -> one position to go on from: the end of the longest settled beginning.

The tailer keeps one for each file, the spool one for its segments. What is behind the position is never needed again; what is before it will be
offered again after a restart, settled or not.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from shipper.batch import Receipt

Position = TypeVar("Position")


class _Entry(Generic[Position]):
    __slots__ = ("position", "settled", "weight")

    def __init__(self, position: Position, weight: int) -> None:
        self.position = position
        self.weight = weight
        self.settled = False


class Ledger(Generic[Position]):
    """Issues receipts in the order of reading. `moved` is called with each new position; `waiting` is the weight (records, octets: as the
    caller counts) that is issued and not yet passed."""

    def __init__(self, moved: Callable[[Position], None]) -> None:
        self._moved = moved
        self._entries: deque[_Entry[Position]] = deque()
        self.waiting = 0

    def receipt(self, position: Position, weight: int = 1) -> Receipt:
        """A receipt for what was read up to `position`; it has one branch, the caller's."""
        entry = _Entry(position, weight)
        self._entries.append(entry)
        self.waiting += weight

        def settled() -> None:
            entry.settled = True
            self._pass()

        return Receipt(settled)

    def _pass(self) -> None:
        passed: _Entry[Position] | None = None
        while self._entries and self._entries[0].settled:
            passed = self._entries.popleft()
            self.waiting -= passed.weight
        if passed is not None:
            self._moved(passed.position)
