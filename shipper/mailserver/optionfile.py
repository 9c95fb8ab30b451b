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

import re
from collections.abc import Mapping

from shipper.errors import Problem
from shipper.formats.mta_text import OPTIONAL
from shipper.mailserver.lines import Assignment, Line, logical

COMMENTS = "!;#"

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


FIELD_OPTIONS = (*_SWITCHES, *_BITS, "LOG_CONNECTION")
"""All options that decide on the fields of a text record."""

_NUMBER = re.compile(r"([+-]?)([1-9][0-9]?%|0[xX]|)([0-9A-Za-z]{1,4000})")


def read(file: str, text: str) -> tuple[list[Assignment], list[Problem]]:
    """All settings in their order, names as they are written, and the lines that are none."""
    found: list[Assignment] = []
    problems: list[Problem] = []
    for line in logical(file, text, COMMENTS, strip=True):
        if option := assignment(line):
            found.append(option)
        elif line.text.strip():
            place = line.place(len(line.text) - len(line.text.lstrip()), len(line.text.strip()))
            notes = ("a comment begins with !, ; or # in the first column",)
            problems.append(Problem("C115", "expected name=value", place, "", notes))
    return found, problems


def assignment(line: Line) -> Assignment | None:
    """A line `name = value`; None when it is none."""
    written, equals, value = line.text.partition("=")
    name = written.strip()
    if not equals or not name or any(character.isspace() for character in name):
        return None
    start = len(line.text) - len(value.lstrip())
    return Assignment(name, value.strip(), line.place(written.index(name), len(name)), line.place(start, max(1, len(value.strip()))))


def parse(text: str) -> tuple[dict[str, str], list[Problem]]:
    """All options, names in upper case, and the lines that are none. The last setting of a name holds."""
    found, problems = read("", text)
    return {option.name.upper(): option.value for option in found}, problems


def integer(value: str) -> int | None:
    """`43`, `-1`, `8%43`, `0x23` -> the number; None when it is none."""
    shape = _NUMBER.fullmatch(value.strip())
    if not shape:
        return None
    sign, base, digits = shape.groups()
    try:
        number = int(digits, int(base[:-1])) if base.endswith("%") else int(digits, 16 if base else 10)
    except ValueError:  # a digit that the base does not have, or no such base
        return None
    return -number if sign == "-" else number


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
