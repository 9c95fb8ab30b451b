"""How long to wait before trying again: exponential back-off with full jitter, and the receiver's own wish above it.

Full jitter: any time between nothing and a bound that doubles with each failure. A hundred shippers that lost the same receiver in the same
second do not come back in the same second.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable


class Backoff:
    """Counts failures in a row. `first` and `cap` are the bounds of the first wait and of the longest one; `most` is how long a receiver may
    ask for (all in seconds); `chance` gives a number from 0 up to 1."""

    def __init__(self, *, first: float = 0.5, cap: float = 60.0, most: float = 600.0, chance: Callable[[], float] = random.random) -> None:
        self.failures = 0
        self._first = first
        self._cap = cap
        self._most = most
        self._chance = chance

    def failed(self, retry_after: float | None = None, *, rarely: bool = False) -> float:
        """One more failure: the seconds to wait now. Never less than what the receiver named, as far as `most` allows; `rarely`: near the cap at
        once, for what waiting alone does not mend."""
        bound = self._cap if rarely else min(self._cap, self._first * 2.0 ** min(self.failures, 60))
        self.failures += 1
        wait = bound * (0.5 + self._chance() / 2) if rarely else bound * self._chance()
        if retry_after is None or not math.isfinite(retry_after) or retry_after <= 0:
            return wait
        return min(retry_after, self._most) + min(wait, self._first)

    def succeeded(self) -> None:
        """The next failure is a first one again."""
        self.failures = 0
