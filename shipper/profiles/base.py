"""What a profile is, and what all of them ask of a record before they write it.

A profile renders records as JSON lines: one line for each record, in order, each ending in LF, valid UTF-8, and never `""`, `null`, `{}` or
`[]`. It is pure: the time of reading is passed in.

Records come from formats, which read what anyone may have written. `json_lines` makes sure of the rest: a lone surrogate becomes U+FFFD; a
value that JSON does not have (NaN) or that says nothing goes away. U+0085, U+2028 and U+2029 are written as escapes, as some readers of lines end
a line at them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from typing import Any, TypeVar

import msgspec

from shipper import events
from shipper.record import Connection, Header, Mta, Record, Service, Store

Render = Callable[[Sequence[Record], int], bytes]
"""(records, time of reading in nanoseconds since 1970 UTC) -> JSON lines."""


@dataclass(frozen=True, slots=True)
class Profile:
    """One rendering of the schema: its name on the command line, what it is, and how records are written in it."""

    name: str
    title: str
    render: Render


_ENCODER = msgspec.json.Encoder()
encode = _ENCODER.encode

_LINE_ENDS = ((b"\xe2\x80\xa8", b"\\u2028"), (b"\xe2\x80\xa9", b"\\u2029"), (b"\xc2\x85", b"\\u0085"))
"""Characters that end a line for some readers, and how JSON says them instead. In JSON they can only stand inside a string."""

_SURROGATE = re.compile("[\ud800-\udfff]")


_WITH_ATTRIBUTES = frozenset((Service, Store))
"""Asked for by class, as `isinstance` of a struct goes a long way when the answer is no."""


def json_lines(
    records: Sequence[Record], documents: Mapping[type[Record], Callable[[Any, Any], object]] | None = None, context: object = None
) -> bytes:
    """One line each of the records, or of what the function in `documents` for its type makes of each: `make(record, context)`.

    Records are made fit to be written first: copied, where that changes them.
    """
    records = sound_records(records)
    try:
        lines = _encoded(records, documents, context)
    except UnicodeEncodeError:
        lines = _encoded(sound_records(records, every=True), documents, context)
    if not lines.isascii():
        for character, escape in _LINE_ENDS:
            lines = lines.replace(character, escape)
    return lines


def sound_records(records: Sequence[Record], *, every: bool = False) -> Sequence[Record]:
    """The records, with copies for those that hold what JSON and protobuf cannot, or what says nothing. Lone surrogates are looked for only
    where `every` record is copied: whoever encodes finds out."""
    if every:
        return [_sound(record) for record in records]
    # Only these fields can hold it. (A search of the lines for `""` costs ten times as much.)
    doubtful = [
        number
        for number, record in enumerate(records)
        if record.extra is not None
        or (
            (syslog := record.syslog) is not None
            and (syslog.structured_data is not None or syslog.facility == syslog.timestamp == syslog.peer == "")
        )
        or (record.__class__ is Mta and record.queue_seconds.__class__ is float)
        or (record.__class__ in _WITH_ATTRIBUTES and record.attributes is not None)
        or ((source := record.source) is not None and source.offset is None and not source.file and not source.peer)
    ]
    if doubtful:
        records = list(records)
        for number in doubtful:
            records[number] = _sound(records[number])
    return records


def _encoded(records: Sequence[Record], documents: Mapping[type[Record], Callable[[Any, Any], object]] | None, context: object) -> bytes:
    if documents is None:
        return _ENCODER.encode_lines(records)
    # One kind after the other, as Python finds a field faster in an object of the same class as the one before; and one document after the
    # other, which so has the memory of the one before: together 5 % less than encoding a few dozen in their order.
    lines = [b""] * (len(records) + 1)
    buffer = bytearray()
    numbers: dict[type[Record], list[int]] = {}
    for number, record in enumerate(records):
        numbers.setdefault(record.__class__, []).append(number)
    for kind, those in numbers.items():
        make = documents[kind]
        for number in those:
            _ENCODER.encode_into(make(records[number], context), buffer)
            lines[number] = bytes(buffer)
    return b"\n".join(lines)


_Struct = TypeVar("_Struct", bound=msgspec.Struct)


def _sound(struct: _Struct) -> _Struct:
    """A copy of a record, or of an object in it, that JSON can hold, and without values that say nothing."""
    struct = copy(struct)
    for name, default in zip(struct.__struct_fields__, struct.__struct_defaults__, strict=True):
        value = getattr(struct, name)
        if value is not None and value != default:
            value = _sound_value(value)
            setattr(struct, name, default if value is None else value)
    return struct


def _sound_value(value: Any) -> Any:
    """The value as it can be written; None when nothing is left of it."""
    if isinstance(value, msgspec.Struct):
        value = _sound(value)
        return None if value == type(value)() else value
    if isinstance(value, str):
        return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", value) or None
    if isinstance(value, dict):
        kept = {_sound_value(str(name)) or "_": sound for name, inner in value.items() if (sound := _sound_value(inner)) is not None}
        return kept or None
    if isinstance(value, list | tuple):
        return [sound for inner in value if (sound := _sound_value(inner)) is not None] or None
    if isinstance(value, float) and not abs(value) < float("inf"):
        return None
    return value


EVENTS: dict[str, events.Event] = {
    event.name: event
    for event in (
        *events.MTA_EVENTS.values(),
        *events.CONNECTION_EVENTS.values(),
        *events.SERVICE_EVENTS.values(),
        events.OTHER_CODE,
        events.HEADER,
        events.DEBUG,
        events.SYSLOG,
        events.TEXT,
        events.UNPARSED,
    )
}
"""Every event by name. Of the two pairs with one name it is the successful login, and the session of a known user."""

_AUTH = events.AUTH_FAILED.name
_CLOSE = events.CLOSE_UNAUTHENTICATED.name


def event_of(name: str, severity: str, user: bool) -> events.Event:
    """The event of a record with this `event` and `severity`. A failed SMTP login is told by its severity, a session that no one logged in to
    by having no `user`."""
    if name == _AUTH and severity == events.AUTH_FAILED.severity:
        return events.AUTH_FAILED
    if name == _CLOSE and not user:
        return events.CLOSE_UNAUTHENTICATED
    return EVENTS.get(name) or events.SERVICE_EVENTS["message"]._replace(name=name, meaning=name or "no event")


def summary(record: Record, event: events.Event) -> str:
    """One line for a human, of a record that has no message of its own; never empty.

    `deliver adam@example.com -> bob@example.org: smtp;250 2.1.5 Ok` · `connection-open in tcp_local 192.0.2.7` · `Subject: Hello`
    """
    if type(record) is Mta:
        told = (
            f"{event.action} {record.bad_command}"
            if record.bad_command
            else f"{event.action} {record.sender or '<>'} -> {record.recipient}"
        )
        detail = record.diagnostic or record.reason
        return f"{told}: {detail}" if detail else told
    if type(record) is Connection:
        other = record.remote_ip or record.remote_dns or record.dns_host or record.initial_host
        told = " ".join([word for word in (event.action, record.direction, record.source_channel, other, record.username) if word])
        detail = record.diagnostic or record.tag or record.reason
        return f"{told}: {detail}" if detail else told or event.meaning
    if isinstance(record, Header):
        return f"{record.header_name}: {record.header_value}"
    return record.raw or event.meaning


INBOUND = frozenset("EJBV")
"""Actions of message records that the receiving side writes, so that the connection they name came in. The others are the sending side's."""

PROTOCOLS = {"imap": "imap", "pop": "pop3", "http": "http"}
"""Service -> protocol that its clients speak."""


@lru_cache(maxsize=8192)
def ip_version(text: str) -> int:
    """4, 6, or 0 for what is no IP address (one with a zone, `fe80::1%eth0`, means something on one host only, and is none either)."""
    try:
        return 0 if "%" in text else ip_address(text).version
    except ValueError:
        return 0
