"""Chance, reproducibly: the same throws for the same seed on every Python.

Only `Random.random` is used, whose sequence is promised to stay; `choice`, `randrange` and the distributions of the standard library may
change from one version to the next, and are slower.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from random import Random
from typing import TypeVar

T = TypeVar("T")


class Dice:
    """Throws of one seed, in one order."""

    __slots__ = ("random",)

    def __init__(self, seed: int) -> None:
        self.random = Random(seed).random

    def chance(self, probability: float) -> bool:
        return self.random() < probability

    def below(self, limit: int) -> int:
        """0 to limit - 1, all alike."""
        return int(self.random() * limit)

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self.random()

    def pick(self, things: Sequence[T]) -> T:
        return things[int(self.random() * len(things))]

    def favourite(self, things: Sequence[T]) -> T:
        """One of them, the first far more often than the last: few senders and hosts make most of the traffic."""
        share = self.random()
        return things[int(share * share * len(things))]

    def wait(self, mean: float) -> float:
        """Seconds until the next of events that come at random, so many seconds apart in the mean."""
        return -log(1.0 - self.random()) * mean

    def octets(self) -> int:
        """The size of a message: most have a few kilobytes, a few have megabytes; 900 to 12 million."""
        return min(int(900.0 * (1.0 - self.random()) ** -0.8), 12_000_000)

    def hex(self, digits: int) -> str:
        return f"{int(self.random() * 16**digits):0{digits}x}"
