"""OTLP on the wire: records as protobuf log records, and requests made of them.

A payload is one record with its resource, complete in itself:

    4 octets, big endian: how long the resource is · the resource, a `Resource` message · the record, a `LogRecord` message

The same payloads make every kind of request, so that what waits in a spool can be sent by another protocol than it was meant for: `request` is
an `ExportLogsServiceRequest` in protobuf, `json_request` the same in OTLP's JSON. Both put records of one resource together, and keep
their order there.

What stands where is the OTel profile's affair (`otel`); its JSON and these octets say the same, which tests hold by OpenTelemetry's own
classes. This is a hot path: a record's values come as one tuple, each text costs a look-up of what stands before a value of that length,
and one join makes the payload. OTLP 1.x does not change: the numbers of its fields stand below.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec

from shipper import __version__, events
from shipper.lines import packed
from shipper.profiles import otel
from shipper.profiles.base import sound_records
from shipper.record import KINDS, Connection, Debug, Envelope, Header, Mta, Record, Service, Source

SCOPE = "shipper"

_astuple = msgspec.structs.astuple
_fixed64 = struct.Struct("<Q").pack
_double = struct.Struct("<d").pack


def payloads(records: Sequence[Record], observed: int) -> list[bytes]:
    """One payload a record, in order. `observed`: when the records were read, in nanoseconds since 1970 UTC."""
    records = sound_records(records)
    seen = b"\x59" + _fixed64(observed)
    try:
        return [_payload(record, seen) for record in records]
    except UnicodeEncodeError:
        return [_payload(record, seen) for record in sound_records(records, every=True)]


def request(waiting: Sequence[bytes], twin: Any = None) -> bytes:
    """An `ExportLogsServiceRequest` of these payloads. `twin`: the module that `compiled.find` found; it makes the same in a quarter of the time."""
    if twin is not None:
        made: bytes | None = twin.otlp_request([(part.octets, part.table()) for part in packed(waiting).parts], _SCOPE)
        if made is not None:
            return made
    parts: list[bytes] = []
    for resource, records in _by_resource(waiting):
        lengths = list(map(len, records))
        before = [_IN_SCOPE[length] if length < _SHORT else b"\x12" + _varint(length) for length in lengths]
        logs = len(_SCOPE) + sum(map(len, before)) + sum(lengths)
        named = b"".join((b"\x0a", _varint(len(resource)), resource, b"\x12", _varint(logs), _SCOPE))
        parts += (b"\x0a", _varint(len(named) - len(_SCOPE) + logs), named)
        parts += chain.from_iterable(zip(before, records, strict=True))
    return b"".join(parts)  # the only time that a record is copied, beside its parting from its resource


def json_request(waiting: Sequence[bytes]) -> bytes:
    """The same as `request`, in OTLP's JSON."""
    scope = {"name": SCOPE, "version": __version__}
    logs = [
        {
            "resource": _message(resource, _RESOURCE),
            "scopeLogs": [{"scope": scope, "logRecords": [_message(record, _LOG_RECORD) for record in records]}],
        }
        for resource, records in _by_resource(waiting)
    ]
    return msgspec.json.encode({"resourceLogs": logs})


def _by_resource(waiting: Sequence[bytes]) -> list[tuple[bytes, list[bytes]]]:
    """(resource, its records). Most payloads have the resource of the one before: the same beginning, as that says how long it is."""
    groups: dict[bytes, list[bytes]] = {}
    beginning: bytes | None = None
    for payload in waiting:
        if beginning is None or not payload.startswith(beginning):
            end = 4 + int.from_bytes(payload[:4], "big")
            beginning = payload[:end]
            add = groups.setdefault(beginning, []).append
        add(payload[end:])
    return [(beginning[4:], records) for beginning, records in groups.items()]


# ---------------------------------------------------------------------------------------------------------------------------------- numbers


def _long_varint(number: int) -> bytes:
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    found.append(number)
    return bytes(found)


_SHORT = 1 << 11
"""Numbers below it are looked up: nearly all there are. More would be memory that a service with the twin has for nothing."""
_VARINTS = tuple(_long_varint(number) for number in range(_SHORT))
_IN_SCOPE = tuple(b"\x12" + number for number in _VARINTS)
"""What stands in a `ScopeLogs` before a record of that many octets."""


def _varint(number: int) -> bytes:
    """Of 0 to 2**64-1."""
    if number < _SHORT:
        return _VARINTS[number]
    if number < 1 << 14:
        return bytes((number & 127 | 128, number >> 7))
    if number < 1 << 21:
        return bytes((number & 127 | 128, number >> 7 & 127 | 128, number >> 14))
    if number < 1 << 28:
        return bytes((number & 127 | 128, number >> 7 & 127 | 128, number >> 14 & 127 | 128, number >> 21))
    return _long_varint(number)


def _field(tag: bytes, *parts: bytes) -> bytes:
    """A field that has a length: text, or a message."""
    content = b"".join(parts)
    return tag + _varint(len(content)) + content


# ------------------------------------------------------------------------------------------------------------------------------- attributes
# LogRecord: 1 time, 2 severity number, 3 severity text, 5 body, 6 attributes, 11 observed time, 12 event name. Resource: 1 attributes.
# KeyValue: 1 key, 2 value. AnyValue: 1 string, 2 bool, 3 int, 4 double, 5 array {1 values}, 6 list of KeyValues {1 values}.

_INT64 = range(-(2**63), 2**63)


def _any_value(value: object) -> bytes:
    """An `AnyValue` message."""
    if isinstance(value, str):
        return _field(b"\x0a", value.encode())
    if isinstance(value, bool):
        return b"\x10\x01" if value else b"\x10\x00"
    if isinstance(value, int):
        return b"\x18" + _varint(value & 0xFFFFFFFFFFFFFFFF) if value in _INT64 else _any_value(str(value))
    if isinstance(value, float):
        return b"\x21" + _double(value)
    if isinstance(value, dict):
        return _field(b"\x32", *(_key_value(b"\x0a", name, inner) for name, inner in value.items()))
    if isinstance(value, list | tuple):
        return _field(b"\x2a", *(_field(b"\x0a", _any_value(inner)) for inner in value))
    return _any_value(str(value))


def _key_value(tag: bytes, name: str, value: object) -> bytes:
    """A field with a `KeyValue` message."""
    return _field(tag, _field(b"\x0a", name.encode()), _field(b"\x12", _any_value(value)))


class _Before(dict[int, bytes]):
    """What stands in a record before a text that is the value of this attribute, by the octets of the text."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._key = _field(b"\x0a", name.encode()) + b"\x12"
        self.numbers = tuple(self.number(digits) for digits in range(11))

    def __missing__(self, length: int) -> bytes:
        text = b"\x0a" + _varint(length)
        value = self._key + _varint(len(text) + length) + text
        found = b"\x32" + _varint(len(value) + length) + value
        if length < 512:
            self[length] = found
        return found

    def number(self, digits: int) -> bytes:
        """The same before a number whose varint has that many octets."""
        return b"".join((b"\x32", _varint(len(self._key) + 2 + digits), self._key, _varint(1 + digits), b"\x18"))


_NAMES = {name for rows in otel.ROWS.values() for _, name in rows}
_BEFORE = {name: _Before(name) for name in (*_NAMES, "log.file.name", "log.record.original", "network.type", "network.protocol.name")}


_REPEATED = frozenset((
    "event", "severity", "level", "time_zone_source", "process", "code", "action", "modifiers", "source_channel", "destination_channel", "direction",
    "smtp_code", "enhanced_status", "authenticated", "transport", "local_ip", "local_port", "application", "tls_cipher", "original_recipient_type",
    "null_sender", "notary_flags", "attempt", "filter", "priority", "sensitivity", "service", "category", "auth_method", "account_state", "facility",
    "version", "hostname", "app_name",
))  # fmt: skip
"""Fields of few values: those of a record are remembered together."""

_Pick = Callable[[tuple[Any, ...]], tuple[Any, ...]]
_Columns = tuple[_Before, ...]


def _split(kind: type[msgspec.Struct]) -> tuple[_Pick, _Pick, _Columns]:
    """Of a type of record, or `Envelope`: what picks the values that repeat, what picks the others, and the attributes of these."""
    names, fields = dict(otel.ROWS[kind]), kind.__struct_fields__
    assert len(names) == len(otel.ROWS[kind]), "a field is one attribute"
    repeated = [index for index, field in enumerate(fields) if field in _REPEATED]
    others = [index for index, field in enumerate(fields) if field in names and field not in _REPEATED]
    assert len(repeated) > 1 and len(others) > 1, "itemgetter gives a tuple"
    return itemgetter(*repeated), itemgetter(*others), tuple(_BEFORE[names[fields[index]]] for index in others)


_SPLIT = {kind: _split(kind) for kind in otel.ROWS if kind is not Source}


class _Repeating(NamedTuple):
    """Of the values that repeat in a type of record: which of them are attributes, and of what name; which say more than that, or -1."""

    told: tuple[int, ...]
    columns: _Columns
    severity: int
    event: int
    level: int


def _repeating(kind: type[msgspec.Struct]) -> _Repeating:
    names = dict(otel.ROWS[kind])
    fields = [field for field in kind.__struct_fields__ if field in _REPEATED]
    told = tuple(number for number, field in enumerate(fields) if field in names)
    severity, event = (fields.index("severity"), fields.index("event")) if issubclass(kind, Record) else (-1, -1)
    level = fields.index("level") if issubclass(kind, Service | Debug) else -1
    return _Repeating(told, tuple(_BEFORE[names[fields[number]]] for number in told), severity, event, level)


_REPEATING = {kind: _repeating(kind) for kind in _SPLIT}


# ----------------------------------------------------------------------------------------------------------------------------------- records


def _payload(record: Record, seen: bytes) -> bytes:
    body = otel.body(record)
    text = body.encode()
    length = _varint(len(text))
    time = otel.time_unix_nano(record)
    parts = [
        _resource(record),
        b"\x09" + _fixed64(time) if time else b"",
        seen,
        b"\x2a",
        _varint(1 + len(length) + len(text)),
        b"\x0a",
        length,
        text,
    ]
    _add(record, parts)
    source, syslog, raw = record.source, record.syslog, record.raw
    if source is not None:
        if source.file:
            parts.append(_file(source.file))
        if source.offset is not None:
            digits = _varint(source.offset & 0xFFFFFFFFFFFFFFFF)
            parts += (_OFFSET.numbers[len(digits)], digits)
        if source.peer:
            parts.append(_key_value(b"\x32", _PEER.name, source.peer))
    if syslog is not None:
        _add(syslog, parts)
    if raw and raw != body:
        text = raw.encode()
        parts += (_ORIGINAL[len(text)], text)
    if derive := _DERIVING.get(record.__class__):
        for name, value in derive(record):
            before = _ENDS.get(name)
            if before is None:
                parts.append(_derived(name, value))
            elif value.__class__ is str:
                text = value.encode()
                parts += (before[len(text)], text)
            elif 0 <= value < 1 << 63:
                digits = _varint(value)
                parts += (before.numbers[len(digits)], digits)
            else:
                parts.append(_derived(name, value))
    return b"".join(parts)


_DERIVING: dict[type[Record], Callable[[Any], list[tuple[str, Any]]]] = {
    **{kind: otel.wire_attributes for kind in KINDS if issubclass(kind, Mta | Connection)},
    **{kind: otel.session_attributes for kind in KINDS if issubclass(kind, Service)},
}
"""By class, as `isinstance` of a struct goes a long way when the answer is no."""
_ENDS = {name: _Before(name) for name in ("client.address", "client.port", "server.address", "server.port")}
"""Attributes that say the same of few records."""
_OFFSET, _PEER, _ORIGINAL = _BEFORE["sunmsg.log.offset"], _BEFORE["sunmsg.log.source.address"], _BEFORE["log.record.original"]


def _add(record: Record | Envelope, parts: list[bytes]) -> None:
    """Adds what is an attribute as it stands in the record; and its severity and the name of its event."""
    kind = record.__class__
    values = _astuple(record)
    repeated, others, columns = _SPLIT[kind]
    parts.append(_repeated(kind, repeated(values)))
    _add_values(others(values), columns, parts.append)


def _add_values(values: tuple[Any, ...], columns: _Columns, add: Callable[[bytes], None]) -> None:
    """Adds an attribute for each of the values that says something."""
    for value, before in zip(values, columns, strict=True):
        if value is None:
            continue
        kind = value.__class__
        if kind is str:
            if value:
                text = value.encode()
                add(before[len(text)])
                add(text)
        elif kind is int and 0 <= value < 1 << 63:
            digits = _VARINTS[value] if value < _SHORT else _varint(value)
            add(before.numbers[len(digits)])
            add(digits)
        elif value is not False:
            add(_key_value(b"\x32", before.name, value))


@lru_cache(maxsize=512)
def _repeated(kind: type[msgspec.Struct], values: tuple[Any, ...]) -> bytes:
    """Of the values of fields that repeat."""
    told, columns, severity, event, level = _REPEATING[kind]
    parts: list[bytes] = []
    _add_values(tuple(values[number] for number in told), columns, parts.append)
    if severity >= 0 and (number := events.OTEL_SEVERITY.get(values[severity])):
        parts.append(b"\x10" + _varint(number))
    if event >= 0 and values[event]:
        parts.append(_field(b"\x62", f"{events.NAMESPACE}.{values[event]}".encode()))
    if level >= 0 and values[level]:
        parts.append(_field(b"\x1a", values[level].encode()))
    return b"".join(parts)


@lru_cache(maxsize=512)
def _derived(name: str, value: str | int) -> bytes:
    """An attribute that says the same of many records: an address, a protocol."""
    return _key_value(b"\x32", name, value)


@lru_cache(maxsize=256)
def _file(path: str) -> bytes:
    name = path.rpartition("/")[2] or path
    return _key_value(b"\x32", "log.file.path", path) + _key_value(b"\x32", "log.file.name", name)


def _resource(record: Record) -> bytes:
    """A payload's beginning: the resource behind its length."""
    kind = record.__class__
    if kind is Mta or kind is Connection or kind is Header:
        return _named_resource("mta", record.host)
    return _named_resource(record.process or (record.service if isinstance(record, Service | Debug) else ""), record.host)


@lru_cache(maxsize=1024)
def _named_resource(name: str, host: str) -> bytes:
    pairs = (("service.namespace", events.NAMESPACE), ("service.name", name), ("host.name", host))
    found = b"".join(_key_value(b"\x0a", key, text) for key, text in pairs if text)
    return struct.pack(">I", len(found)) + found


def fixed_fields(event: str, severity: str) -> bytes:
    """For the compiled twin: the fields of a log record that its severity and its event make."""
    return b"\x10" + _varint(events.OTEL_SEVERITY[severity]) + _field(b"\x62", f"{events.NAMESPACE}.{event}".encode())


def fixed_resource(name: str) -> bytes:
    """For the compiled twin: the resource of a service's records, but for the host."""
    return _named_resource(name, "")[4:]


def fixed_file(path: str) -> bytes:
    """For the compiled twin: the attributes that a log's name gives its records."""
    return _file(path) if path else b""


_SCOPE = _field(b"\x0a", _field(b"\x0a", SCOPE.encode()), _field(b"\x12", __version__.encode()))
"""The beginning of a `ScopeLogs`: who made these records of what it read."""


# ------------------------------------------------------------------------------------------------------------------------------ and in JSON

_VALUES: dict[int, tuple[str, Any]] = {}
_ANY: dict[int, tuple[str, Any]] = {
    1: ("stringValue", str),
    2: ("boolValue", bool),
    3: ("intValue", int),
    4: ("doubleValue", float),
    5: ("arrayValue", _VALUES),
}
_VALUES[1] = ("values", [_ANY])
_PAIR: dict[int, tuple[str, Any]] = {1: ("key", str), 2: ("value", _ANY)}
_ANY[6] = ("kvlistValue", {1: ("values", [_PAIR])})
_RESOURCE: dict[int, tuple[str, Any]] = {1: ("attributes", [_PAIR])}
_LOG_RECORD: dict[int, tuple[str, Any]] = {
    1: ("timeUnixNano", "time"),
    2: ("severityNumber", "number"),
    3: ("severityText", str),
    5: ("body", _ANY),
    6: ("attributes", [_PAIR]),
    11: ("observedTimeUnixNano", "time"),
    12: ("eventName", str),
}
"""Number of a field -> its name in JSON, and what it is; a list is a field that comes many times."""


def _message(octets: bytes, names: dict[int, tuple[str, Any]]) -> dict[str, Any]:
    """A message of ours as OTLP's JSON has it."""
    found: dict[str, Any] = {}
    for number, value in fields(octets):
        name, what = names[number]
        if what is str:
            found[name] = str(value, "utf-8")
        elif isinstance(what, list):
            found.setdefault(name, []).append(_pair(value) if what[0] is _PAIR else _message(value, what[0]))
        elif isinstance(what, dict):
            found[name] = _message(value, what)
        elif what is int:
            found[name] = str(_signed(value))
        elif what is bool:
            found[name] = bool(value)
        elif what is float:
            found[name] = struct.unpack("<d", value)[0]
        elif what == "time":
            found[name] = str(int.from_bytes(value, "little"))
        else:
            found[name] = value
    return found


@lru_cache(maxsize=512)
def _pair(octets: bytes) -> dict[str, Any]:
    """An attribute; quickly where it is a short text."""
    length = octets[1]
    value = length + 4
    if length < 128 and octets[value - 1] < 128 and octets[value] == 10:
        return {"key": octets[2 : value - 2].decode(), "value": {"stringValue": octets[value + 2 :].decode()}}
    return _message(octets, _PAIR)


def fields(octets: bytes) -> Iterator[tuple[int, Any]]:
    """(number, value) of the fields of a message: int, or octets. Raises ValueError or IndexError for what is none."""
    position, end = 0, len(octets)
    while position < end:
        tag, position = _read_varint(octets, position)
        kind = tag & 7
        if kind == 0:
            value, position = _read_varint(octets, position)
            yield tag >> 3, value
            continue
        if kind == 2:
            length, position = _read_varint(octets, position)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise ValueError("not protobuf")
        if position + length > end:
            raise ValueError("cut short")
        yield tag >> 3, octets[position : position + length]
        position += length


def _signed(number: int) -> int:
    return number - 2**64 if number >= 2**63 else number


def _read_varint(octets: bytes, position: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        octet = octets[position]
        position += 1
        number |= (octet & 127) << shift
        if octet < 128:
            return number, position
        shift += 7
        if shift > 63:
            raise ValueError("a number longer than 64 bits")


def partial_success(octets: bytes) -> tuple[int, str]:
    """(rejected records, message) of an `ExportLogsServiceResponse`; (0, "") of one that says nothing. Raises ValueError for what is none."""
    try:
        rejected, message = 0, ""
        for number, value in fields(octets):
            if not 0 < number < 1 << 29 or (number == 1 and not isinstance(value, bytes)):
                raise ValueError("no such field")
            if number == 1:
                for inner, told in fields(value):
                    if inner == 1 and isinstance(told, int):
                        rejected = _signed(told)
                    elif inner == 2 and isinstance(told, bytes):
                        message = told.decode()
        return rejected, message
    except IndexError:
        raise ValueError("cut short") from None


def status_message(octets: bytes) -> str:
    """The message of a `Status`, as an answer of 4xx or 5xx has it; `""` where there is none."""
    try:
        for number, value in fields(octets):
            if number == 2 and isinstance(value, bytes):
                return value.decode("utf-8", "replace")
    except (ValueError, IndexError):
        pass
    return ""
