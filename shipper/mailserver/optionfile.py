"""An MTA option file (option.dat): its options, and which optional fields they put into a text record.

    ! more to correlate by
    LOG_PROCESS=1
    Log_Connection = 8%43
    LOG_HEADERS_ALLOWED=Subject,\\
        From

- `name=value`, the name in any case; blanks around both do not count. The last setting of a name holds.
- A line that begins with `!`, `;` or `#` is a comment, also between a line that ends in `\\` and the one that it goes on in.
- A number may be `base%digits`, the base in decimal: `8%43` is 35. `0x23` is taken for the same.

Sources: the option file format of the Messaging Server reference (acmki, bgajt), seed table 21-8; order of the fields: seed and `mta_text`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from shipper.formats.mta_text import OPTIONAL

_COMMENT = ("!", ";", "#")

CONNECTION, TRANSPORT, APPLICATION = 1, 32, 64
"""Bits of LOG_CONNECTION that add fields to a record."""

_SWITCHES: dict[str, tuple[str, ...]] = {
    "LOG_NODE": ("node",),
    "LOG_PROCESS": ("process",),
    "LOG_NOTARY": ("notary",),
    "LOG_FILENAME": ("filename",),
    "LOG_ENVELOPE_ID": ("envelope_id",),
    "LOG_MESSAGE_ID": ("message_id",),
    "LOG_USERNAME": ("username",),
    "LOG_SENSITIVITY": ("sensitivity",),
    "LOG_PRIORITY": ("priority",),
    "LOG_INTERMEDIATE": ("intermediate", "initial"),
    "LOG_FILTER": ("filter",),
    "LOG_QUEUE_TIME": ("queue_time",),
}
"""Options that add fields when they are not 0."""

_BITS = {"LOG_REASON": ("reason", 0), "LOG_DIAGNOSTICS": ("diagnostic", 1), "LOG_REMOTE_MTA": ("remote_mta", 0)}
"""Options whose bit 0 adds a field, and their defaults."""


class Problem(NamedTuple):
    """A line that cannot be read: its number, from 1, and why."""

    line: int
    reason: str


def parse(text: str) -> tuple[dict[str, str], list[Problem]]:
    """All options, names in upper case, and the lines that are none."""
    options: dict[str, str] = {}
    problems: list[Problem] = []
    held, first = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith(_COMMENT):
            continue
        if not held:
            first = number
        line = held + (line.strip() if held else line.rstrip())
        if line.endswith("\\"):
            held = line[:-1]
            continue
        held = ""
        _option(line, first, options, problems)
    if held:
        _option(held, first, options, problems)
    return options, problems


def _option(line: str, number: int, options: dict[str, str], problems: list[Problem]) -> None:
    name, equals, value = line.partition("=")
    name = name.strip().upper()
    if equals and name and not name.count(" "):
        options[name] = value.strip()
    elif line.strip():
        problems.append(Problem(number, "expected name=value"))


def integer(value: str) -> int | None:
    """`43`, `-1`, `8%43`, `0x23` -> the number; None when it is none."""
    digits = value.strip()
    if not digits.isascii() or "_" in digits:  # Python's own liberties
        return None
    sign = -1 if digits.startswith("-") else 1
    digits = digits.lstrip("+-")
    base, percent, rest = digits.partition("%")
    try:
        if percent:
            return sign * int(rest, int(base)) if 2 <= int(base) <= 36 else None
        return sign * int(digits, 16 if digits[:2].lower() == "0x" else 10)
    except ValueError:
        return None


def optional_fields(options: Mapping[str, str]) -> tuple[str, ...]:
    """The optional fields that a server with these options writes into its text records, in their order."""

    def number(name: str, default: int = 0) -> int:
        value = integer(options.get(name, ""))
        return default if value is None else value

    on = {field for option, fields in _SWITCHES.items() if number(option) for field in fields}
    on |= {field for option, (field, default) in _BITS.items() if number(option, default) & 1}
    connection = number("LOG_CONNECTION")
    bits = ((CONNECTION, "connection"), (TRANSPORT, "transport"), (APPLICATION, "application"))
    on |= {field for bit, field in bits if connection & bit}
    return tuple(field for field in OPTIONAL if field in on)
