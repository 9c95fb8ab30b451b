"""How much happens when: the curve of a working day and of the week."""

from __future__ import annotations

from collections.abc import Callable

from shipper.generate.server import Life, Server

_HOURS = (30, 22, 18, 16, 18, 26, 48, 92, 152, 196, 204, 182, 146, 172, 192, 184, 168, 142, 104, 84, 74, 66, 56, 42)
"""Messages in each hour of a working day, of 2434: the peak is before noon, a second one after it."""
_DAYS = (1.16, 1.22, 1.20, 1.18, 1.06, 0.64, 0.54)
"""Monday to Sunday, against the mean day."""
_PACE = tuple(tuple(day * hour * 24 / sum(_HOURS) for hour in _HOURS) for day in _DAYS)
_STEP = 600.0
"""Seconds for which the pace is taken as it is."""


def arrivals(server: Server, per_day: float, begin: Callable[[Server], Life], steady: float = 0.0) -> Life:
    """Begins lives all the time, so many a day in the mean, at random; `steady` is the share that comes day and night alike."""
    if per_day <= 0:
        return
    dice = server.dice
    while True:
        local = server.local()
        before, after = _PACE[local.weekday()][local.hour], _PACE[local.weekday()][(local.hour + 1) % 24]
        pace = before + (after - before) * local.minute / 60
        gap = dice.wait(86400 / (per_day * (pace * (1 - steady) + steady)))
        if gap > _STEP:  # chance has no memory: ask again with the pace of then
            yield _STEP
        else:
            yield gap
            server.begin(begin(server))
