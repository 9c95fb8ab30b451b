"""Our own native profile, read back: what `--profile native` wrote is a log like any other.

    {"kind":"mta","time":"2014-06-02T22:02:13.94+02:00","time_zone_source":"config","event":"mta.enqueue","severity":"info", …}

A line is ours when it is an object whose `kind` is one of the schema's. Every field comes back as it was written; `id`, `source` and `raw`
only where nothing but native records is expected (`log.keeps_ids`): among other lines none may claim to be another log's record. A member
that the schema has not (another program added it, or a later version of ours) goes to `extra` under its own name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from shipper.formats import json_line
from shipper.formats.base import Format, Log, unparsed
from shipper.record import KINDS, AnyRecord, Record, Unparsed

_KINDS = frozenset(record.kind for record in KINDS)
_KIND = re.compile(rf'"kind"[ \t]*+:[ \t]*+"(?:{"|".join(sorted(_KINDS))})"')
_decode = msgspec.json.Decoder(AnyRecord).decode
_FIELDS = {record: frozenset((*record.__struct_fields__, "kind")) for record in KINDS}


def parse_run(lines: Sequence[str], start: int, log: Log, out: list[Record]) -> int:
    """Reads native records; see `base`. Stops at the first line that is no object with a `kind` of the schema."""
    for index in range(start, len(lines)):
        line = lines[index]
        if not ((line.startswith("{") and _KIND.match(line, 1)) or _begins(line)):
            return index
        if not json_line.shallow(line):
            out.append(unparsed(json_line.trouble(line)))
            continue
        record: Record
        try:
            record = _decode(line)
        except ValueError as problem:
            if not _ours(line):
                return index
            record = unparsed(_reason(line, problem))
        else:
            if msgspec.json.encode(record) != line.encode():  # written by another encoder, or with members that we have not
                _strangers(record, line)
            if not log.keeps_ids:
                record.id = record.raw = ""
                record.source = None
            if not record.error and isinstance(record, Unparsed):
                record.error = "unparsed, and no reason given"
        out.append(record)
    return len(lines)


FORMAT = Format("native", "native records as JSON, as this program writes them", parse_run)


def _begins(line: str) -> bool:
    """Whether an object has a kind of the schema somewhere, where it is not its first member."""
    return line.lstrip(" \t").startswith("{") and _KIND.search(line) is not None


def _ours(line: str) -> bool:
    """Whether a line that cannot be read and has a kind of the schema in it has it in the right place, as far as can be told."""
    try:
        decoded = msgspec.json.decode(line)
    except ValueError:
        return True
    return isinstance(decoded, dict) and decoded.get("kind") in _KINDS


def _reason(line: str, problem: Exception) -> str:
    """A value of another type than the schema's by its path, anything else by its column."""
    if isinstance(problem, msgspec.ValidationError):
        return f"not a native record: {problem}"
    return json_line.trouble(line)


def _strangers(record: Record, line: str) -> None:
    """Puts the members that the schema has not into `extra`."""
    members: dict[str, Any] = msgspec.json.decode(line)
    fields = _FIELDS[type(record)]
    for name, value in members.items():
        if name not in fields:
            record.extra = {**(record.extra or {}), name: value}


def render(record: Record) -> str:
    """A record as one line, without its LF; parse(render(record)) is the record."""
    return msgspec.json.encode(record).decode()
