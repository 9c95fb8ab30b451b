"""What moves from hop to hop: a batch of records with one arrival and one receipt.

A receipt says whether what was read is safe. It is held by everyone the batch goes to: who takes it on calls `branch`, who has made it durable
(the receiver took it, it is fsynced in a spool, or it is in the dead letters) calls `settle`; a route that drops records settles too. When the
last branch is settled, and not before, the position it came from may be passed. Silence means "offer it again": a branch that is forgotten,
cancelled or lost in a crash makes a duplicate and never a loss.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shipper.record import Record


class Receipt:
    """Open until every branch is settled; then `then` is called, once. A new receipt has one branch: that of whoever made it."""

    __slots__ = ("_open", "_then")

    def __init__(self, then: Callable[[], None]) -> None:
        self._open = 1
        self._then = then

    def branch(self) -> Receipt:
        """One more that has to settle. Only who still holds a branch may make another."""
        assert self._open > 0, "a settled receipt takes no more branches"
        self._open += 1
        return self

    def settle(self) -> None:
        """One branch is durable."""
        assert self._open > 0, "a branch is settled once"
        self._open -= 1
        if not self._open:
            self._then()

    @property
    def settled(self) -> bool:
        """Whether every branch is."""
        return not self._open


@dataclass(frozen=True, slots=True)
class Arrival:
    """Which input read it, and when: nanoseconds since 1970."""

    input: str
    observed: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Records that were read together, in order."""

    records: Sequence[Record]
    arrival: Arrival
    receipt: Receipt
