"""The OTel profile: records as OpenTelemetry log records in OTLP's JSON, one `LogRecord` a line.

    {"timeUnixNano":"885255421160000000","observedTimeUnixNano":"…","severityNumber":9,"eventName":"sunmsg.mta.dequeue",
     "body":{"stringValue":"…"},"attributes":[{"key":"email.to.address","value":{"stringValue":"bob@example.com"}}, …]}

Which field is which attribute is in `fields` and, made from it, in docs/schema.md. The rules behind it:

- A line is a bare log record, which has no room for a resource. What OTLP says of the resource (`service.namespace`, `service.name`, `host.name`)
  therefore stands first among the attributes. `resource` and `attributes` give the two apart, for an output that sends OTLP.
- 64-bit integers are strings, as in all OTLP JSON. A time that is unknown, or that nanoseconds since 1970 cannot hold, is `"0"`.
- `severityText` is the level that a service wrote. The MTA writes none: its records have only the number, which is ours.
- `body` is always a string: the record's own message; else the line itself, where the record has it; else a short summary.
- Objects (`extra`, values of `k=v|k=v` messages, structured data) are key-value lists. No key comes twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec

from shipper import events
from shipper.profiles.base import INBOUND, PROTOCOLS, Profile, event_of, ip_version, json_lines, summary
from shipper.profiles.fields import FIELDS
from shipper.record import KINDS, Connection, Debug, Envelope, Header, Mta, Record, Service, Source
from shipper.stamps import epoch_ns

Value = str | int | float | bool | list[Any] | dict[str, Any]
"""What an attribute may be."""

RESOURCE = ("service.namespace", "service.name", "host.name")
"""Attributes that are the resource's: the same for all records of one service on one host. The process id is not one of them, as every new
SMTP server process would be a resource of its own."""

_DERIVED = ("error.type", "log.record.original")
"""Attributes whose presence depends on more than their field."""

_INT64 = range(-(2**63), 2**63)
_UINT64 = range(2**64)


def _rows(struct: type[msgspec.Struct]) -> tuple[tuple[str, str], ...]:
    """(field, attribute that has its value as it is) of a type of record, or of `Source`, `Envelope`."""
    return tuple(
        (field.name, name)
        for field in FIELDS
        if issubclass(struct, field.of)
        for name in field.otel
        if name[0] not in "<@" and name not in RESOURCE and name not in _DERIVED
    )


_OBJECTS: tuple[type[msgspec.Struct], ...] = (*KINDS, Source, Envelope)
ROWS = {struct: _rows(struct) for struct in _OBJECTS}


def render(records: Sequence[Record], observed: int) -> bytes:
    """One log record a line. `observed`: when the records were read, in nanoseconds since 1970 UTC."""
    return json_lines(records, _LINES, str(observed))


PROFILE = Profile("otel", "OpenTelemetry log records in OTLP's JSON, one a line", render)


def _line(record: Record, observed: str) -> dict[str, Any]:
    line: dict[str, Any] = {"timeUnixNano": str(time_unix_nano(record)), "observedTimeUnixNano": observed}
    if number := events.OTEL_SEVERITY.get(record.severity):
        line["severityNumber"] = number
    if text := severity_text(record):
        line["severityText"] = text
    if record.event:
        line["eventName"] = event_name(record)
    line["body"] = {"stringValue": body(record)}
    line["attributes"] = [
        _KeyValue(name, _AnyValue(value) if value.__class__ is str else _any_value(value))
        for name, value in (*resource(record), *attributes(record))
    ]
    return line


class _KeyValue(msgspec.Struct, gc=False):
    key: str
    value: _AnyValue


class _AnyValue(msgspec.Struct, omit_defaults=True, gc=False):
    """A value as OTLP's JSON has it: one of these."""

    stringValue: str | None = None  # noqa: N815 - OTLP's names
    boolValue: bool | None = None  # noqa: N815
    intValue: str | None = None  # noqa: N815
    doubleValue: float | None = None  # noqa: N815
    arrayValue: dict[str, list[_AnyValue]] | None = None  # noqa: N815
    kvlistValue: dict[str, list[_KeyValue]] | None = None  # noqa: N815


def _any_value(value: Value | None) -> _AnyValue:
    if isinstance(value, str):
        return _AnyValue(value)
    if isinstance(value, bool):
        return _AnyValue(None, value)
    if isinstance(value, int):
        return _AnyValue(None, None, str(value)) if value in _INT64 else _AnyValue(str(value))
    if isinstance(value, float):
        return _AnyValue(doubleValue=value)
    if isinstance(value, dict):
        return _AnyValue(kvlistValue={"values": [_KeyValue(name, _any_value(inner)) for name, inner in value.items()]})
    if isinstance(value, list | tuple):
        return _AnyValue(arrayValue={"values": [_any_value(inner) for inner in value]})
    return _AnyValue(str(value))


_LINES = dict.fromkeys(KINDS, _line)


def time_unix_nano(record: Record) -> int:
    """Nanoseconds since 1970 UTC; 0 for unknown."""
    time, digits, within = record.time, "", 0
    if time[19:20] == "." and time[-6:-5] in ("+", "-") and time[20:-6].isdecimal():
        digits, time = time[20:-6], time[:19] + time[-6:]
    if time[13:17:3] == "::" and (second := _SECONDS.get(time[17:19])):
        time, within = f"{time[:17]}00{time[19:]}", second
    start = _epoch_ns(time)
    return start + within + int((digits + "000000000")[:9]) if start is not None and start + within in _UINT64 else 0


_epoch_ns = lru_cache(maxsize=1024)(epoch_ns)
"""Records come in runs of the same minute."""
_SECONDS = {f"{second:02}": second * 1_000_000_000 for second in range(60)}


def event_name(record: Record) -> str:
    return f"{events.NAMESPACE}.{record.event}"


def severity_text(record: Record) -> str:
    """The level as the source wrote it, or `""`."""
    return record.level if isinstance(record, Service | Debug) else ""


def body(record: Record) -> str:
    """The text of a record; never empty."""
    message: str = getattr(record, "message", "")
    return (
        message
        or record.raw
        or summary(record, event_of(record.event, record.severity, not isinstance(record, Service) or record.user != ""))
    )


def resource(record: Record) -> list[tuple[str, str]]:
    """The resource attributes of a record: `service.namespace`, `service.name`, `host.name`, each where it is known."""
    if isinstance(record, Mta | Connection | Header):
        name = "mta"
    else:
        name = record.process or (record.service if isinstance(record, Service | Debug) else "")
    found = [("service.namespace", events.NAMESPACE), ("service.name", name), ("host.name", record.host)]
    return [(attribute, text) for attribute, text in found if text]


def attributes(record: Record) -> list[tuple[str, Value]]:
    """The attributes of a record that are not its resource's, in the order of the schema. Every key once."""
    found: list[tuple[str, Value]] = []
    _copy(record, found)
    if record.source is not None:
        _copy(record.source, found)
        if record.source.file:
            found.append(("log.file.name", record.source.file.rpartition("/")[2] or record.source.file))
    if record.syslog is not None:
        _copy(record.syslog, found)
    if record.raw and record.raw != body(record):
        found.append(("log.record.original", record.raw))
    if isinstance(record, Mta | Connection):
        found += wire_attributes(record)
    elif isinstance(record, Service):
        found += session_attributes(record)
    return found


def _copy(struct: Record | Source | Envelope, found: list[tuple[str, Value]]) -> None:
    """Adds what stands in an attribute as it stands in the record."""
    for field, name in ROWS[type(struct)]:
        value = getattr(struct, field)
        if value is not None and value is not False and value != "":
            found.append((name, value))


def wire_attributes(record: Mta | Connection) -> list[tuple[str, str | int]]:
    """What several fields of such a record say together."""
    found: list[tuple[str, str | int]] = []
    direction = record.direction
    if not direction and isinstance(record, Mta):
        direction = "in" if record.action in INBOUND else "out"
    there, here = ("server", "client") if direction == "out" else ("client", "server")
    if address := record.remote_dns or record.dns_host or record.remote_ip:
        found.append((f"{there}.address", address))
    if record.remote_port is not None:
        found.append((f"{there}.port", record.remote_port))
    if record.local_ip:
        found.append((f"{here}.address", record.local_ip))
    if record.local_port is not None:
        found.append((f"{here}.port", record.local_port))
    if version := ip_version(record.remote_ip) or ip_version(record.local_ip):
        found.append(("network.type", f"ipv{version}"))
    if protocol := record.application.partition("/")[0].lower():
        found.append(("network.protocol.name", protocol))
    if "A" in record.modifiers:
        found.append(("sunmsg.mta.entry.sasl", True))
    if "S" in record.modifiers or record.tls_cipher:
        found.append(("tls.established", True))
    kind, separator, _ = record.diagnostic.partition(";")
    if separator and kind in ("smtp", "dns"):
        found.append(("sunmsg.mta.diagnostic_type", kind))
    if record.enhanced_status and event_of(record.event, record.severity, True).outcome == "failure":
        found.append(("error.type", record.enhanced_status))
    return found


def session_attributes(record: Service) -> list[tuple[str, str | int]]:
    """What several fields of a service's record say together."""
    found: list[tuple[str, str | int]] = []
    if version := ip_version(record.client_ip):
        found.append(("network.type", f"ipv{version}"))
    if record.client_ip and record.service in PROTOCOLS:
        found.append(("network.protocol.name", PROTOCOLS[record.service]))
    if record.reason and event_of(record.event, record.severity, bool(record.user)).outcome == "failure":
        found.append(("error.type", record.reason))
    return found
