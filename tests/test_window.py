"""What --since and --until take."""

from __future__ import annotations

from datetime import date
from zoneinfo import ZoneInfo

import pytest

from shipper.stamps import epoch_ns
from shipper.window import since, until

BERLIN = ZoneInfo("Europe/Berlin")
TODAY = date(2026, 3, 29)  # summer time begins


@pytest.mark.parametrize(
    ("text", "first", "last"),
    (
        ("2026-03-31", "2026-03-31T00:00:00+02:00", "2026-04-01T00:00:00+02:00"),
        ("20260331", "2026-03-31T00:00:00+02:00", "2026-04-01T00:00:00+02:00"),
        ("2026-03-31T10:20", "2026-03-31T10:20:00+02:00", "2026-03-31T10:20:00+02:00"),
        (" 2026-03-31 10:20:30.5 ", "2026-03-31T10:20:30.5+02:00", "2026-03-31T10:20:30.5+02:00"),
        ("2026-03-31T10:20:30Z", "2026-03-31T10:20:30+00:00", "2026-03-31T10:20:30+00:00"),
        ("2026-01-31T10:20:30-05:00", "2026-01-31T10:20:30-05:00", "2026-01-31T10:20:30-05:00"),
        ("today", "2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00"),
        ("Yesterday", "2026-03-28T00:00:00+01:00", "2026-03-29T00:00:00+01:00"),
    ),
)
def test_points_in_time(text: str, first: str, last: str) -> None:
    """Dates, times, words; a date is its first instant as --since, and its whole day as --until."""
    assert since(text, BERLIN, TODAY) == epoch_ns(first)
    assert until(text, BERLIN, TODAY) == epoch_ns(last)


@pytest.mark.parametrize(
    "text", ("", "x", "2026-02-30", "2026-13-01", "31.03.2026", "10:20", "tomorrow", "9999-12-31", "-1", "2d", "２０２６-03-31")
)
def test_anything_else_is_none(text: str) -> None:
    """No guess, no exception. The last day that there is has no day after it."""
    assert until(text, BERLIN, TODAY) is None
