"""The OTel profile: what it writes is an OTLP LogRecord by OpenTelemetry's own classes, and says what the record says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from shipper.profiles import otel
from shipper.profiles.fields import field_of
from shipper.record import Connection, Debug, Mta, Record, Service, Source, Syslog, Text, Unparsed

OBSERVED = 1_116_028_800_123_456_789


def parsed(record: Record) -> LogRecord:
    """The line of a record, read by OpenTelemetry's classes; unknown names are an error."""
    found: LogRecord = json_format.Parse(otel.render([record], OBSERVED), LogRecord(), ignore_unknown_fields=False)
    return found


def plain(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "kvlist_value":
        return {each.key: plain(each.value) for each in value.kvlist_value.values}
    if kind == "array_value":
        return [plain(each) for each in value.array_value.values]
    return getattr(value, str(kind))


def attributes(record: Record) -> dict[str, Any]:
    """The attributes on the wire, of which none may come twice."""
    found = [(each.key, plain(each.value)) for each in parsed(record).attributes]
    assert len({key for key, _ in found}) == len(found), sorted(key for key, _ in found)
    return dict(found)


@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_every_line_is_a_log_record(drawn_records: SearchStrategy[list[Record]], data: st.DataObject) -> None:
    """Parsed by OpenTelemetry's classes: the observed time, a string body, unique attributes, each as `attributes` and `resource` give it."""
    for record in data.draw(drawn_records):
        found = parsed(record)
        assert found.observed_time_unix_nano == OBSERVED
        assert found.body.WhichOneof("value") == "string_value" and found.body.string_value
        assert found.time_unix_nano == otel.time_unix_nano(record)
        assert attributes(record) == dict(otel.resource(record)) | dict(otel.attributes(record))


def test_no_field_is_lost(samples: list[Record], golden_records: list[Record]) -> None:
    """Every native field has its value in the attributes that the table names, or in the record's own fields: of the samples, and of what the
    formats read in their golden cases."""
    for record in samples + golden_records:
        line, there = parsed(record), attributes(record)
        for struct in (record, record.source, record.syslog):
            if struct is None:
                continue
            for name, default in zip(struct.__struct_fields__, struct.__struct_defaults__, strict=True):
                value = getattr(struct, name)
                if value == default or (isinstance(struct, Record) and name in ("source", "syslog")):
                    continue
                if name == "extra" and any(part in json.dumps(value) for part in ('""', "null", "{}", "[]")):
                    continue  # what says nothing is left out
                for place in field_of(type(struct), name).otel:
                    if place == "log.record.original":
                        assert value in (there.get(place), line.body.string_value), (type(struct), name)
                    elif place in ("error.type", "service.name") or place[0] == "@":
                        continue  # conditional: each has a test of its own
                    elif place[0] != "<":
                        assert there[place] == value, (type(struct), name)
                    else:
                        written = {
                            "time": line.time_unix_nano,
                            "event": line.event_name.removeprefix("sunmsg."),
                            "severity": line.severity_number,
                            "level": line.severity_text,
                            "message": line.body.string_value,
                        }[name]
                        assert written and (written == value or name in ("time", "severity")), (type(struct), name)


@pytest.mark.parametrize(
    ("time", "nanoseconds"),
    [
        ("1970-01-01T00:00:00+00:00", 0),
        ("1998-01-19T19:17:01.16-05:00", 885_255_421_160_000_000),
        ("2005-05-14T02:00:00.123456789+02:00", 1_116_028_800_123_456_789),
        ("2016-12-31T23:59:60.5+00:00", 1_483_228_800_500_000_000),
        ("2554-07-21T23:34:33.7+00:00", 18_446_744_073_700_000_000),
        ("2554-07-22T00:00:00+00:00", 0),
        ("1969-12-31T23:59:59.9+00:00", 0),
        ("0001-01-01T00:00:00+14:00", 0),
        ("", 0),
        ("1998-01-20T00:17:01.16Z", 885_255_421_160_000_000),
        ("nonsense", 0),
        ("1998-01-20T00:17:01.x+00:00", 0),
    ],
)
def test_times_are_nanoseconds(time: str, nanoseconds: int) -> None:
    """UTC; 0 is "unknown", which is also what an unsigned 64-bit number cannot say."""
    assert parsed(Mta(time=time)).time_unix_nano == nanoseconds


def test_severity_text_is_the_logs_own() -> None:
    """The number is always there; the text only where the service wrote a level."""
    mta, service = parsed(Mta(severity="warning")), parsed(Service(severity="notice", level="Notice"))
    assert (mta.severity_number, mta.severity_text) == (13, "")
    assert (service.severity_number, service.severity_text) == (10, "Notice")


def test_the_body_is_a_string() -> None:
    """A service's message, else the line, else a summary; the line is not repeated as log.record.original where it is the body."""
    raw = "19-Jan-1998 ... the line"
    mta = Mta(event="mta.enqueue", sender="a@example.com", recipient="b@example.com")
    assert parsed(mta).body.string_value == "enqueue a@example.com -> b@example.com"
    mta.raw = raw
    assert parsed(mta).body.string_value == raw
    assert "log.record.original" not in attributes(mta)
    service = Service(event="service.login", message="login [] user1 plaintext", raw=raw)
    assert parsed(service).body.string_value == "login [] user1 plaintext"
    assert attributes(service)["log.record.original"] == raw
    assert parsed(Text(event="text")).body.string_value == "a line of no known format"
    assert parsed(Unparsed(event="parse_error", raw=raw)).body.string_value == raw


@pytest.mark.parametrize(
    ("record", "resource"),
    [
        (Mta(host="h", pid=7), {"service.name": "mta", "host.name": "h"}),
        (Connection(), {"service.name": "mta"}),
        (Service(process="imapd", service="imap", pid=7), {"service.name": "imapd"}),
        (Debug(service="dispatcher"), {"service.name": "dispatcher"}),
        (Syslog(process="sshd", host="h"), {"service.name": "sshd", "host.name": "h"}),
        (Text(), {}),
    ],
)
def test_the_resource_is_what_a_service_on_a_host_has_in_common(record: Record, resource: dict[str, str]) -> None:
    """Namespace, service and host, apart from the attributes; on the line they come first. The process id is never one of them."""
    whole = {"service.namespace": "sunmsg", **resource}
    assert dict(otel.resource(record)) == whole
    assert not whole.keys() & dict(otel.attributes(record)).keys()
    line = json.loads(otel.render([record], OBSERVED))
    assert [each["key"] for each in line["attributes"]][: len(whole)] == list(whole)


def test_client_and_server_are_the_ends_by_direction() -> None:
    """By name where it is known, else by address; local and peer stay what they are."""
    ends: dict[str, Any] = {"local_ip": "192.0.2.1", "local_port": 25, "remote_ip": "198.51.100.2", "remote_port": 4000}
    inbound = attributes(Connection(direction="in", **ends))
    assert (inbound["client.address"], inbound["client.port"]) == ("198.51.100.2", 4000)
    assert (inbound["server.address"], inbound["server.port"]) == ("192.0.2.1", 25)
    outbound = attributes(Mta(action="D", remote_dns="mx.example.org", **ends))
    assert (outbound["server.address"], outbound["server.port"]) == ("mx.example.org", 4000)
    assert (outbound["client.address"], outbound["client.port"]) == ("192.0.2.1", 25)
    for found in (inbound, outbound):
        assert (found["network.local.address"], found["network.peer.address"]) == ("192.0.2.1", "198.51.100.2")
        assert found["network.type"] == "ipv4"


def test_errors_of_failures_have_a_type() -> None:
    """The enhanced status of a failed delivery, the reason of a failed login; a success has none."""
    assert attributes(Mta(event="mta.bounce", enhanced_status="5.1.1"))["error.type"] == "5.1.1"
    assert "error.type" not in attributes(Mta(event="mta.dequeue", enhanced_status="2.1.5"))
    assert attributes(Service(event="service.badlogin", reason="user not found"))["error.type"] == "user not found"


def test_values_keep_their_types() -> None:
    """Numbers, booleans, lists and objects; a number beyond 64 bits is its digits."""
    record = Mta(
        null_sender=True, size_blocks=0, queue_seconds=1.5, extra={"n": 1, "big": 2**64, "l": ["a", 2], "o": {"b": True}, "f": 2.5}
    )
    found = attributes(record)
    assert found["sunmsg.mta.null_sender"] is True
    assert found["sunmsg.mta.size.blocks"] == 0
    assert found["sunmsg.mta.queue_seconds"] == 1.5
    assert found["sunmsg.extra"] == {"n": 1, "big": str(2**64), "l": ["a", 2], "o": {"b": True}, "f": 2.5}


def test_the_file_is_named_with_and_without_its_directory() -> None:
    """log.file.name and log.file.path; the offset beside them."""
    found = attributes(Text(source=Source("/var/log/mail.log", 7)))
    assert (found["log.file.name"], found["log.file.path"], found["sunmsg.log.offset"]) == ("mail.log", "/var/log/mail.log", 7)
