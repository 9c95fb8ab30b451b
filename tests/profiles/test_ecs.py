"""The ECS profile: each field in its place in the table, the rules of ECS, and the public list of its fields."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from shipper import events
from shipper.profiles import ecs
from shipper.profiles.base import EVENTS
from shipper.profiles.fields import FIELDS
from shipper.record import KINDS, Connection, Debug, Header, Mta, Record, Service, Store, Syslog, Text, Unparsed

OBSERVED = 1_116_028_800_123_456_789
OBSERVED_TEXT = "2005-05-14T00:00:00.123456Z"


def documents(records: list[Record]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ecs.render(records, OBSERVED).splitlines()]


def document(record: Record) -> dict[str, Any]:
    (found,) = documents([record])
    return found


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted path, value) of every value that is no object; lists are values."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, f"{path}.{name}" if path else name)
    else:
        yield path, value


# --- The same documents, made by going through the table: slow, and easy to see right. ---


def put(target: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.removesuffix("[]").split(".")
    for name in parents:
        target = target.setdefault(name, {})
    if path.endswith("[]"):
        values = target.setdefault(last, [])
        if value not in values:
            values.append(value)
    else:
        target.setdefault(last, value)


def is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def in_utc(time: str) -> str:
    """The instant of a time that ISO 8601 as Elasticsearch reads it does not have; `""` if a date cannot hold it."""
    if not time:
        return ""
    leap = time[17:19] == "60"
    moment = datetime.fromisoformat(time[:17] + "59" + time[19:] if leap else time)
    offset = moment.utcoffset() or timedelta()
    try:
        return (moment.replace(tzinfo=None) - offset + timedelta(seconds=leap)).isoformat(timespec="microseconds") + "Z"
    except OverflowError:
        return ""


def plain_date(time: str) -> bool:
    return len(time) > 24 and time[10] == "T" and time[17:19] != "60" and time[-6] in "+-"


def the_event(record: Record) -> events.Event:
    if record.event == "mta.auth" and record.severity == "notice":
        return events.AUTH_FAILED
    if record.event == "service.close" and isinstance(record, Service) and not record.user:
        return events.CLOSE_UNAUTHENTICATED
    return EVENTS.get(record.event) or events.SERVICE_EVENTS["message"]._replace(name=record.event, meaning=record.event or "no event")


def reference(record: Record) -> dict[str, Any]:
    """The document of a record by the table, and by the rules that its last column and the profile's beginning state."""
    made: dict[str, Any] = {}
    event = the_event(record)
    failed = event.outcome == "failure"
    wire = record if isinstance(record, Mta | Connection) else None
    direction = wire.direction if wire else ""
    if isinstance(record, Mta) and not direction:
        direction = "in" if record.action and record.action in "EJBV" else "out"
    ends = {"@remote": ("source", "client"), "@local": ("destination", "server")}
    if direction == "out":
        ends = {"@remote": ends["@local"], "@local": ends["@remote"]}

    put(made, "ecs.version", "9.4.0")
    put(made, "event.kind", "pipeline_error" if record.error else "event")
    put(made, "event.module", "sunmsg")
    group = {Mta: "mta", Connection: "mta", Header: "mta", Service: "service", Store: "store", Debug: "debug"}.get(type(record), "other")
    put(made, "event.dataset", f"sunmsg.{group}")
    put(made, "event.created", OBSERVED_TEXT)
    put(made, "event.outcome", event.outcome)
    put(made, "sunmsg.kind", record.kind)
    types = list(event.types)
    if not types and isinstance(record, Service | Debug) and record.severity in ("emerg", "alert", "crit", "err"):
        types = ["error"]
    for path, value in (("event.category", list(event.category)), ("event.type", types), ("event.action", event.action)):
        if value:
            put(made, path, value)
    if not isinstance(record, Syslog | Text):
        put(made, "observer.vendor", "Sun")
        put(made, "observer.product", "Messaging Server")
    if wire or isinstance(record, Header):
        put(made, "service.name", "mta")
        put(made, "service.type", "mta")

    time = record.time if plain_date(record.time) else in_utc(record.time)
    put(made, "@timestamp", time or OBSERVED_TEXT)
    tags = ([] if time else ["time_unknown"]) + (["parse_error"] if record.error else [])
    if tags:
        put(made, "tags", tags)
    if record.time_zone_source in ("config", "system") and plain_date(record.time):
        put(made, "event.timezone", record.time[-6:])
    put(made, "message", the_message(record, event))
    if record.error:
        put(made, "error.message", record.error)

    for struct in (record, record.source, record.syslog):
        if struct is not None:
            for name, default in zip(struct.__struct_fields__, struct.__struct_defaults__, strict=True):
                value = getattr(struct, name)
                if value != default or (value is not None and value == 0 and value is not False):
                    place(made, type(struct), name, value, ends, failed)

    if record.severity:
        put(made, "log.level", record.severity)
        made["event"]["severity"] = events.SEVERITIES.index(record.severity)
    if isinstance(record, Service | Debug) and (record.process or record.service):
        put(made, "service.name", record.process or record.service)
    if record.syslog is not None:
        facility, severity = record.syslog.facility, record.syslog.severity
        if facility in events.FACILITIES:
            put(made, "log.syslog.facility.code", events.FACILITIES.index(facility))
        if severity in events.SEVERITIES:
            put(made, "log.syslog.severity.code", events.SEVERITIES.index(severity))
        if facility in events.FACILITIES and severity in events.SEVERITIES:
            put(made, "log.syslog.priority", events.FACILITIES.index(facility) * 8 + events.SEVERITIES.index(severity))
        if record.syslog.peer:
            put(made, "log.source.address", record.syslog.peer)
    if wire:
        derive_wire(made, wire, direction, ends, failed)
    if isinstance(record, Service):
        if is_ip(record.client_ip):
            put(made, "network.type", f"ipv{ip_address(record.client_ip).version}")
        if (record.client_ip or record.client_port is not None) and record.service in ("imap", "pop", "http"):
            put(made, "network.protocol", "pop3" if record.service == "pop" else record.service)
        octets = (record.bytes_from_client, record.bytes_to_client)
        if octets[0] is not None and octets[1] is not None and sum(map(int, octets)) < 2**63:
            put(made, "network.bytes", octets[0] + octets[1])
    return made


def place(made: dict[str, Any], struct: type[Any], name: str, value: Any, ends: dict[str, tuple[str, str]], failed: bool) -> None:
    """Puts one field where the table says, written as it says."""
    (row,) = [field for field in FIELDS if field.name == name and issubclass(struct, field.of)] or [None]
    if row is None:
        return
    if name in ("time", "severity", "message", "error") and issubclass(struct, Record):
        return
    for path in row.ecs:
        written: Any = value
        if name == "direction":
            written = {"in": "inbound", "out": "outbound"}[value]
        elif name == "session_seconds":
            written, path = (value * 10**9, path) if value * 10**9 < 2**63 else (value, "sunmsg.session.seconds")
        elif name == "version":
            written = str(value)
        elif (path == "service.name" and issubclass(struct, Mta | Connection | Header)) or (path == "error.message" and not failed):
            continue
        elif path == "event.start" and not plain_date(value):
            path = "sunmsg.session.start"
        elif path.endswith(("ip", "ip[]")) and not is_ip(value):
            if path.endswith("[]"):
                continue
            path = path.removesuffix("ip") + "address"
        end, _, rest = path.partition(".")
        for root in ends.get(end, (end,)):
            put(made, f"{root}.{rest}" if rest else root, written)


def derive_wire(made: dict[str, Any], record: Mta | Connection, direction: str, ends: dict[str, tuple[str, str]], failed: bool) -> None:
    """What follows from more than one field of a message or connection record."""
    for address in (record.local_ip, record.remote_ip):
        if is_ip(address):
            made.setdefault("network", {})["type"] = f"ipv{ip_address(address).version}"
    if protocol := record.application.split("/")[0].lower():
        put(made, "network.protocol", protocol)
    if record.dns_host:
        for root in ends["@remote"]:
            put(made, f"{root}.domain", record.dns_host)
    known = (record.transport, record.application, record.initial_host, record.local_port is not None, record.remote_port is not None)
    if direction and (isinstance(record, Connection) or any(known) or made.get("source") or made.get("destination")):
        put(made, "network.direction", {"in": "inbound", "out": "outbound"}[direction])
    elif "direction" in made.get("network", {}):
        del made["network"]["direction"]
    if made.get("network") == {}:
        del made["network"]
    if record.reason:
        put(made, "event.reason", record.reason)
    if "A" in record.modifiers:
        put(made, "sunmsg.mta.entry.sasl", True)
    if "S" in record.modifiers or record.tls_cipher:
        put(made, "tls.established", True)
    if record.diagnostic.startswith(("smtp;", "dns;")):
        put(made, "sunmsg.mta.diagnostic_type", record.diagnostic.split(";")[0])
    if failed and record.enhanced_status:
        put(made, "error.code", record.enhanced_status)


def the_message(record: Record, event: events.Event) -> str:
    if getattr(record, "message", ""):
        return str(record.message)  # type: ignore[attr-defined]
    if isinstance(record, Mta):
        told = f"{event.action} {record.bad_command or (record.sender or '<>') + ' -> ' + record.recipient}"
    elif isinstance(record, Connection):
        other = record.remote_ip or record.remote_dns or record.dns_host or record.initial_host
        told = " ".join(filter(None, (event.action, record.direction, record.source_channel, other, record.username)))
        detail = record.diagnostic or record.tag or record.reason
        return f"{told}: {detail}" if detail else told or event.meaning
    elif isinstance(record, Header):
        return f"{record.header_name}: {record.header_value}"
    else:
        return record.raw or event.meaning
    detail = record.diagnostic or record.reason
    return f"{told}: {detail}" if detail else told


def ordered(made: dict[str, Any]) -> dict[str, Any]:
    """With the arrays of `related` in one order: they are sets."""
    related = {name: sorted(values) for name, values in made.get("related", {}).items()}
    return {**made, "related": related} if related else made


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_documents_are_what_the_table_and_the_rules_say(drawn_records: SearchStrategy[list[Record]], data: st.DataObject) -> None:
    """Drawn records, in every combination of fields: the same documents as a plain renderer makes by going through the table."""
    records = data.draw(drawn_records)
    for record, found in zip(records, documents(records), strict=True):
        assert ordered(found) == ordered(reference(record))


def test_samples_are_what_the_table_and_the_rules_say(samples: list[Record], golden_records: list[Record]) -> None:
    """The same for the samples, which have every field of every kind at once, and for what the formats read in their golden cases."""
    records = samples + [record for record in golden_records if not unsound(record)]
    for record, found in zip(records, documents(records), strict=True):
        assert ordered(found) == ordered(reference(record))


def unsound(record: Record) -> bool:
    """Whether it has something empty in `extra`, which the document leaves out."""
    return any(value in ("", None, [], {}) or value == [None] for _, value in leaves(record.extra or {}))


def test_no_field_is_lost(samples: list[Record]) -> None:
    """The value of every native field stands somewhere in the document. `action` and `modifiers` are letters of `code`, `reason` of a record
    with a `diagnostic` is ours: all of it is there."""
    for record, found in zip(samples, documents(samples), strict=True):
        there = [value for _, value in leaves(found)]
        flat = [inner for value in there for inner in (value if isinstance(value, list) else [value])]
        for struct in (record, record.source, record.syslog):
            if struct is None:
                continue
            for name, default in zip(struct.__struct_fields__, struct.__struct_defaults__, strict=True):
                value = getattr(struct, name)
                if value == default or name in ("source", "syslog"):
                    continue
                written = {
                    "direction": {"in": "inbound", "out": "outbound"}.get(str(value)),
                    "session_seconds": value * 10**9 if isinstance(value, int) else None,
                    "version": str(value),
                    "severity": events.SEVERITIES.index(value) if value in events.SEVERITIES else None,
                    "time": found["@timestamp"],  # held by the tests of times
                }.get(name, value)
                if isinstance(value, dict):
                    assert all(leaf in [value for _, value in leaves(found)] for _, leaf in leaves(value)), (type(struct), name)
                else:
                    assert written in flat, (type(struct), name)


# --- Rules of ECS, in our own words ---

EXPECTED_TYPES = {
    "authentication": {"start", "end", "info"},
    "email": {"info"},
    "network": {"access", "allowed", "connection", "denied", "end", "info", "protocol", "start"},
    "session": {"start", "end", "info"},
}
"""`event.category` -> types that ECS expects beside it, of the categories that we use."""


def every_event() -> list[events.Event]:
    return [*EVENTS.values(), events.AUTH_FAILED, events.CLOSE_UNAUTHENTICATED]


@pytest.mark.parametrize("event", every_event(), ids=lambda event: f"{event.name}-{event.outcome}")
def test_a_type_stands_only_with_a_category_that_expects_it(event: events.Event) -> None:
    """Every type is expected by one of the event's categories, and every category expects one of its types."""
    assert bool(event.category) == bool(event.types)
    for category in event.category:
        assert EXPECTED_TYPES[category] & set(event.types)
    for kind in event.types:
        assert any(kind in EXPECTED_TYPES[category] for category in event.category)
    assert event.outcome in ("success", "failure", "unknown")


def test_twins_are_told_apart() -> None:
    """A failed SMTP login and a session that no one logged in to have the name of their better halves, and another outcome or category."""
    good, bad = documents([Connection(event="mta.auth", severity="info"), Connection(event="mta.auth", severity="notice")])
    assert (good["event"]["outcome"], bad["event"]["outcome"]) == ("success", "failure")
    known, unknown = documents([Service(event="service.close", user="eve"), Service(event="service.close")])
    assert (known["event"]["category"], known["event"]["action"]) == (["session", "network"], "logout")
    assert (unknown["event"]["category"], unknown["event"]["action"]) == (["network"], "connection-close")


def test_an_error_of_a_service_has_a_type() -> None:
    """A message without an event of its own has no category, and the type `error` from level Error up."""
    found = documents([Service(event="service.message", severity=severity) for severity in ("warning", "err", "crit")])
    assert [each["event"].get("type") for each in found] == [None, ["error"], ["error"]]
    assert not any("category" in each["event"] for each in found)


def test_the_null_sender_is_left_out_and_said() -> None:
    """No address field is `""` or `<>`."""
    found = document(Mta(event="mta.enqueue", null_sender=True, recipient="adam@example.com"))
    assert "from" not in found["email"] and "sender" not in found["email"]
    assert found["sunmsg"]["mta"]["null_sender"] is True
    assert found["related"] == {"user": ["adam@example.com"]}


def test_related_values_stand_once() -> None:
    """The same user, host or address in several fields is one value in `related`."""
    ends = {"local_ip": "192.0.2.1", "remote_ip": "192.0.2.1", "remote_dns": "a.example.com", "dns_host": "a.example.com"}
    found = document(Mta(sender="eve", recipient="eve", username="eve", host="a.example.com", **ends))  # type: ignore[arg-type]
    assert found["related"] == {"user": ["eve"], "hosts": ["a.example.com"], "ip": ["192.0.2.1"]}


def test_a_bad_command_is_no_recipient() -> None:
    """It stands in no address field."""
    found = document(Mta(event="mta.bad_command", action="B", bad_command="FROB", sender="adam@example.com"))
    assert found["sunmsg"]["smtp"]["bad_command"] == "FROB"
    assert "to" not in found["email"] and found["related"]["user"] == ["adam@example.com"]


@pytest.mark.parametrize(
    ("record", "source", "destination"),
    [
        (Connection(direction="in", local_ip="192.0.2.1", remote_ip="198.51.100.2"), "198.51.100.2", "192.0.2.1"),
        (Connection(direction="out", local_ip="192.0.2.1", remote_ip="198.51.100.2"), "192.0.2.1", "198.51.100.2"),
        (Mta(action="E", local_ip="192.0.2.1", remote_ip="198.51.100.2"), "198.51.100.2", "192.0.2.1"),
        (Mta(action="D", local_ip="192.0.2.1", remote_ip="198.51.100.2"), "192.0.2.1", "198.51.100.2"),
    ],
)
def test_source_is_who_called(record: Record, source: str, destination: str) -> None:
    """By direction; client and server are the same ends."""
    found = document(record)
    assert (found["source"]["ip"], found["destination"]["ip"]) == (source, destination)
    assert (found["client"], found["server"]) == (found["source"], found["destination"])


@pytest.mark.parametrize("text", ["somewhere", "1.2.3", "192.0.2.256", "fe80::1%eth0", "010.1.1.1", "192.0.2.1 "])
def test_what_is_no_ip_address_is_not_in_an_ip_field(text: str) -> None:
    """Elasticsearch would refuse the whole document."""
    found = documents([Connection(direction="in", remote_ip=text), Service(client_ip=text)])
    for each in found:
        assert each["source"] == {"address": text}
        assert "related" not in each
        assert "type" not in each.get("network", {})


@pytest.mark.parametrize(
    ("time", "timestamp", "zone"),
    [
        ("1998-01-19T19:16:57.64-05:00", "1998-01-19T19:16:57.64-05:00", "-05:00"),
        ("2016-12-31T23:59:60.25+00:00", "2017-01-01T00:00:00.250000Z", None),
        ("1890-05-01T12:00:00+00:53:28", "1890-05-01T11:06:32.000000Z", None),
        ("2014-06-02T22:02:15.03Z", "2014-06-02T22:02:15.030000Z", None),
        ("", OBSERVED_TEXT, None),
    ],
)
def test_timestamps_are_dates_that_elasticsearch_reads(time: str, timestamp: str, zone: str | None) -> None:
    """As written where it can be, the same instant in UTC where not, the time of reading and a tag where there is none."""
    found = document(Mta(time=time, time_zone_source="config"))
    assert found["@timestamp"] == timestamp
    assert found["event"].get("timezone") == zone
    assert found.get("tags") == (None if time else ["time_unknown"])


def test_a_zone_from_the_record_is_not_repeated() -> None:
    """`event.timezone` is for stamps that named no zone."""
    found = document(Service(time="2004-08-30T16:53:05-07:00", time_zone_source="record"))
    assert "timezone" not in found["event"]
    assert found["sunmsg"]["time"]["zone_source"] == "record"


def test_what_could_not_be_read_is_a_pipeline_error() -> None:
    """With the reason, a tag, and the line where the record has it."""
    found = document(Unparsed(event="parse_error", severity="warning", error="column 9: expected a code", raw="the line"))
    assert (found["event"]["kind"], found["event"]["original"], found["message"]) == ("pipeline_error", "the line", "the line")
    assert (found["error"]["message"], found["tags"]) == ("column 9: expected a code", ["time_unknown", "parse_error"])


# --- The public list of fields ---

NOT_ECS = {"log.offset", "log.source.address"}
"""Fields outside `sunmsg` that ECS does not have; Filebeat writes both."""

FIELD_LIST = Path(
    os.environ.get("ECS_FIELDS") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "shipper-ci" / "ecs-9.4.0.json"
)


@pytest.fixture(scope="module")
def public() -> dict[str, dict[str, Any]]:
    """field -> {type, array, allowed} of the published schema; `tests/ecs_fields/fetch.sh` gets it."""
    if not FIELD_LIST.is_file():
        pytest.skip(f"no list of ECS fields at {FIELD_LIST}: run tests/ecs_fields/fetch.sh")
    found: dict[str, dict[str, Any]] = json.loads(FIELD_LIST.read_text("utf-8"))
    return found


def fits(kind: str, value: Any) -> bool:
    """Whether Elasticsearch takes the value into a field of this type."""
    if kind == "ip":
        return isinstance(value, str) and is_ip(value)
    if kind == "date":
        return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
    if kind == "long":
        return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63
    if kind == "boolean":
        return isinstance(value, bool)
    return isinstance(value, str)


def check(found: dict[str, Any], public: dict[str, dict[str, Any]]) -> None:
    """Every field is in the list, with a value of its type, in an array where ECS has one; values that ECS enumerates are among them."""
    structured = found.get("log", {}).get("syslog", {}).pop("structured_data", {})
    assert public["log.syslog.structured_data"]["type"] == "flattened" or not structured
    for path, value in leaves({name: part for name, part in found.items() if name != "sunmsg"}):
        if path in NOT_ECS:
            assert path not in public, f"{path} is in ECS now"
            continue
        assert path in public, f"{path} is not in ECS"
        field = public[path]
        assert isinstance(value, list) == field["array"], path
        for each in value if isinstance(value, list) else [value]:
            assert fits(field["type"], each), (path, field["type"], each)
            if field["allowed"]:
                assert each in field["allowed"], (path, each)
    event = found["event"]
    for kind in event.get("type", []):
        expected = [public["event.category"]["allowed"][category] for category in event.get("category", [])]
        assert not expected or any(kind in types for types in expected)


def test_samples_fit_the_public_field_list(samples: list[Record], golden_records: list[Record], public: dict[str, dict[str, Any]]) -> None:
    """Names, types, arrays and enumerated values of all that the samples have, and the formats' golden cases."""
    for found in documents(samples + golden_records):
        check(found, public)


def test_every_event_fits_the_public_field_list(public: dict[str, dict[str, Any]]) -> None:
    """Every event of the tables, under every kind and severity."""
    for event in every_event():
        for found in documents([kind(event=event.name, severity=severity) for kind in KINDS for severity in events.SEVERITIES]):
            check(found, public)
        for kind in event.types:
            assert any(kind in public["event.category"]["allowed"][category] for category in event.category)
        for category in event.category:
            assert EXPECTED_TYPES[category] == set(public["event.category"]["allowed"][category])


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_drawn_records_fit_the_public_field_list(
    drawn_records: SearchStrategy[list[Record]], public: dict[str, dict[str, Any]], data: st.DataObject
) -> None:
    """Whatever combination of fields and odd addresses and times."""
    for found in documents(data.draw(drawn_records)):
        check(found, public)
