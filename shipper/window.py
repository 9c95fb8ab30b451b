"""What a user writes for a point in time (--since, --until) -> nanoseconds since 1970.

`2026-03-31`, `2026-03-31T10:20`, `2026-03-31 10:20:30.5`, each with a zone (`Z`, `+02:00`) or without, `today`, `yesterday`.
"""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta, tzinfo

_DATE = re.compile(r"\d{4}-\d\d-\d\d|\d{8}", re.ASCII)
_WORDS = {"today": 0, "yesterday": 1}


def since(text: str, zone: tzinfo, today: date) -> int | None:
    """From when on; a date alone is its first instant. `zone`: of what names none. None when it is no point in time."""
    return _instant(text, zone, today, 0)


def until(text: str, zone: tzinfo, today: date) -> int | None:
    """Up to when, that instant not included; a date alone includes its whole day."""
    return _instant(text, zone, today, 1)


def _instant(text: str, zone: tzinfo, today: date, whole_days: int) -> int | None:
    text = text.strip()
    try:
        if text.lower() in _WORDS:
            day = today - timedelta(days=_WORDS[text.lower()] - whole_days)
            return _nanoseconds(datetime.combine(day, time(), zone))
        if _DATE.fullmatch(text):
            return _nanoseconds(datetime.combine(date.fromisoformat(text) + timedelta(days=whole_days), time(), zone))
        moment = datetime.fromisoformat(text.replace("z", "Z"))
        return _nanoseconds(moment if moment.tzinfo else moment.replace(tzinfo=zone))
    except (ValueError, OverflowError):
        return None


def _nanoseconds(moment: datetime) -> int:
    since_1970 = moment - datetime.fromisoformat("1970-01-01T00:00:00+00:00")
    return (since_1970.days * 86400 + since_1970.seconds) * 1_000_000_000 + since_1970.microseconds * 1000
