"""What sections of the configuration are made of: `Part`, and sizes, durations and time zones as people write them.

    size:    10   10B   64 KiB   10MB   1.5 GB       K, M, G, T are 1024, 1024 * 1024, ...; with or without B or iB
    since:   5    5s    500ms    10m    1h   1h30m   d is 24 hours, w seven days

A number alone is octets, or seconds. Case does not matter. Nothing negative.
What these say when a text is none of them never quotes it: whoever reports the error knows whether it may be shown.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

_SIZE = re.compile(r"([0-9]{1,19}(?:\.[0-9]{1,9})?)\s*([kmgt]?)(?:i?b)?", re.IGNORECASE | re.ASCII)
_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)\s*(ms|s|m|h|d|w)\s*", re.IGNORECASE | re.ASCII)
_SHARE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*(%?)", re.ASCII)
_FACTORS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}

SIZE_HELP = "a size: octets, or a number with K, M, G or T (64K, 10MB, 2 GiB; K is 1024)"
DURATION_HELP = "a time: seconds, or a number with ms, s, m, h, d or w (500ms, 30s, 1h30m, 7d)"

SHARE_HELP = "a share: 10 (one in ten), or 10%"


class Part(BaseModel):
    """A section, or a part of one: nothing unknown in it, nothing changed after it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def size(value: object) -> int:
    """`10`, `"10MB"`, `"64 KiB"` -> octets. Raises PydanticCustomError for anything else."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    shape = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if shape is None or ("." in shape[1] and not shape[2]):
        raise PydanticCustomError("size", "must be {help}", {"help": SIZE_HELP})
    factor = _FACTORS[shape[2].lower()]
    return int(float(shape[1]) * factor) if "." in shape[1] else int(shape[1]) * factor


def duration(value: object) -> float:
    """`5`, `"5s"`, `"1h30m"` -> seconds. Raises PydanticCustomError for anything else."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e12:
        return float(value)
    text = value.strip() if isinstance(value, str) else ""
    if re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,9})?", text, re.ASCII):
        return float(text)
    seconds, position = 0.0, 0
    while position < len(text) and (part := _DURATION.match(text, position)):
        unit = _SECONDS[part[2].lower()]
        seconds += float(part[1]) * unit if unit >= 1 else float(part[1]) / round(1 / unit)  # 344ms is 0.344, and nothing beside it
        position = part.end()
    if not text or position < len(text):
        raise PydanticCustomError("duration", "must be {help}", {"help": DURATION_HELP})
    return seconds


def share(value: object) -> float:
    """`10` (one in ten), `"10%"` -> 0.1. Raises PydanticCustomError for anything that is not more than nothing and less than all."""
    text = value.strip() if isinstance(value, str) else str(value)
    shape = _SHARE.fullmatch(text)
    found = 0.0 if shape is None or not float(shape[1]) else float(shape[1]) / 100 if shape[2] else 1 / float(shape[1])
    if not 0 < found < 1 or (shape and not shape[2] and "." in shape[1]):
        raise PydanticCustomError("share", "must be {help}", {"help": SHARE_HELP})
    return found


def time_zone(name: str) -> str:
    """The name itself, when it is one of the IANA database. Raises PydanticCustomError, with the nearest names as `near`, when not."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        names = sorted(available_timezones())
        city = name.rpartition("/")[2].lower().replace(" ", "_")
        near = [known for known in names if known.lower() == name.lower() or known.rpartition("/")[2].lower() == city]
        near = near[:3] or get_close_matches(name, names, 3, 0.6)
        raise PydanticCustomError("time_zone", "must be a time zone as Europe/Berlin or UTC", {"near": near}) from None
    return name


def size_text(octets: int) -> str:
    """Octets as they are written: `65536` -> `64KiB`, `10` -> `10`."""
    for unit, factor in (("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if octets and not octets % factor:
            return f"{octets // factor}{unit}"
    return str(octets)


def duration_text(seconds: float) -> str:
    """Seconds as they are written: `90.0` -> `90s`, `3600` -> `1h`, `0.5` -> `500ms`."""
    for unit, factor in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        if seconds and not seconds % factor:
            return f"{seconds / factor:.0f}{unit}"
    unit, number = ("ms", seconds * 1000) if 0 < seconds < 1 and (seconds * 1000).is_integer() else ("s", seconds)
    return f"{f'{number:.9f}'.rstrip('0').rstrip('.')}{unit}"


Size = Annotated[
    int,
    BeforeValidator(size),
    PlainSerializer(size_text, return_type=str, when_used="json"),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0},
                {"type": "string", "pattern": r"^\s*[0-9]+(\.[0-9]+)?\s*[kKmMgGtT]?([iI]?[bB])?\s*$"},
            ],
            "description": SIZE_HELP,
        }
    ),
]
"""Octets. A default is given as a number: `limit: Size = 10 << 20`."""

Duration = Annotated[
    float,
    BeforeValidator(duration),
    PlainSerializer(duration_text, return_type=str, when_used="json"),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0},
                {
                    "type": "string",
                    "pattern": r"^\s*[0-9]+(\.[0-9]+)?(\s*(ms|[smhdwSMHDW])(\s*[0-9]+(\.[0-9]+)?\s*(ms|[smhdwSMHDW]))*)?\s*$",
                },
            ],
            "description": DURATION_HELP,
        }
    ),
]
"""Seconds. A default is given as a number: `wait: Duration = 5.0`."""

Share = Annotated[
    float,
    BeforeValidator(share),
    PlainSerializer(lambda part: f"{part * 100:.9g}%", return_type=str, when_used="json"),
    WithJsonSchema(
        {
            "anyOf": [{"type": "integer", "minimum": 2}, {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?\s*%?$"}],
            "description": SHARE_HELP,
        }
    ),
]
"""More than nothing, and less than all."""

TimeZone = Annotated[str, AfterValidator(time_zone)]
"""A name of the IANA database."""

Texts = Annotated[
    tuple[str, ...],
    BeforeValidator(lambda value: (value,) if isinstance(value, str) else value, json_schema_input_type=str | tuple[str, ...]),
]
"""A list of texts; one alone may stand without its brackets."""
