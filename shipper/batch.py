"""What moves from hop to hop: a batch of records with one arrival and one receipt.

A receipt says whether what was read is safe. It is held by everyone the batch goes to: who takes it on calls `branch`, who has made it durable
(the receiver took it, it is fsynced in a spool, or it is in the dead letters) calls `settle`; a route that drops records settles too. When the
last branch is settled, and not before, the position it came from may be passed. Silence means "offer it again": a branch that is forgotten,
cancelled or lost in a crash makes a duplicate and never a loss.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from shipper.record import Record


class Flight:
    """A batch that an input has handed over, until it is settled. `places`: what the input would remember behind it, None when it does not say;
    `outputs`: those that it waits for; `before`: the one of the input before it. Numbers grow."""

    __slots__ = ("_before", "input", "number", "outputs", "places", "settled")

    def __init__(self, number: int, input: str, places: Any, outputs: Sequence[str], before: Flight | None) -> None:
        self.number = number
        self.input = input
        self.places = places
        self.outputs = outputs
        self._before = before
        self.settled = False

    @property
    def behind(self) -> int | None:
        """The number of the one before it, while that is not settled."""
        return self._before.number if self._before and not self._before.settled else None

    def settle(self) -> None:
        """Every output has it."""
        self.settled = True
        self._before = None


class Receipt:
    """Open until every branch is settled; then `then` is called, once. A new receipt has one branch: that of whoever made it."""

    __slots__ = ("_open", "_then", "flight")

    def __init__(self, then: Callable[[], None], flight: Flight | None = None) -> None:
        self.flight = flight
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
            then, self._then = self._then, _nothing  # whoever remembers a settled receipt does not hold what it stood for
            then()

    def after(self, then: Callable[[], None]) -> None:
        """Calls this when it is settled as well; at once when it is."""
        if not self._open:
            then()
            return
        first = self._then

        def both() -> None:
            first()
            then()

        self._then = both

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
    """Records that were read together, in order. `places`: what the input will remember when they are settled, as far as that is another thing
    than before; None where it does not say. (`intents` has what it is for.)"""

    records: Sequence[Record]
    arrival: Arrival
    receipt: Receipt
    places: Any = None


def _nothing() -> None:
    """What is left to do after a receipt was settled."""
