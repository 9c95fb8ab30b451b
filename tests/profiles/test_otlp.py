"""OTLP on the wire: what OpenTelemetry's own classes read of it is what the OTel profile says in JSON."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import pytest
from google.protobuf import json_format
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from shipper import __version__
from shipper.profiles import otel, otlp
from shipper.record import Mta, Record, Service, Source, Text

OBSERVED = 1_116_028_800_123_456_789


def expected(records: Sequence[Record]) -> list[LogRecord]:
    """The log records of the OTel profile, whose attributes begin with those of the resource."""
    lines = otel.render(records, OBSERVED).split(b"\n")[:-1]
    return [json_format.Parse(line, LogRecord(), ignore_unknown_fields=False) for line in lines]


def in_order(record: LogRecord, more: Sequence[KeyValue] = ()) -> LogRecord:
    """The same with its attributes (and these) in the order of their names: a set has no other."""
    found = LogRecord()
    found.CopyFrom(record)
    del found.attributes[:]
    found.attributes.extend(sorted((*more, *record.attributes), key=lambda pair: pair.key))
    return found


def unpacked(request: ExportLogsServiceRequest) -> list[LogRecord]:
    """The log records of a request, each with the attributes of its resource."""
    found = []
    resources = [each.resource.SerializeToString(deterministic=True) for each in request.resource_logs]
    assert len(set(resources)) == len(resources), "each resource once"
    for logs in request.resource_logs:
        assert len(logs.scope_logs) == 1
        scope = logs.scope_logs[0]
        assert (scope.scope.name, scope.scope.version) == ("shipper", __version__)
        found += [in_order(record, logs.resource.attributes) for record in scope.log_records]
    return found


def same(found: list[LogRecord], records: Sequence[Record]) -> None:
    """The same log records; grouped by resource, and in order within each."""
    groups: dict[tuple[tuple[str, str], ...], list[LogRecord]] = {}
    wanted_records = expected(records)
    assert len(wanted_records) == len(records)
    for wanted in wanted_records:
        pairs = tuple((pair.key, pair.value.string_value) for pair in wanted.attributes if pair.key in otel.RESOURCE)
        groups.setdefault(pairs, []).append(in_order(wanted))
    assert found == [record for group in groups.values() for record in group]


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_every_request_is_what_the_otel_profile_says(drawn_records: SearchStrategy[list[Record]], data: st.DataObject) -> None:
    """Records of all kinds, in protobuf and in JSON, parsed by OpenTelemetry's classes."""
    records = data.draw(drawn_records)
    payloads = otlp.payloads(records, OBSERVED)
    assert len(payloads) == len(records)
    request = ExportLogsServiceRequest.FromString(otlp.request(payloads))
    same(unpacked(request), records)
    in_json = json_format.Parse(otlp.json_request(payloads), ExportLogsServiceRequest(), ignore_unknown_fields=False)
    assert in_json == request


def test_what_logs_hold_is_sent_as_it_is(samples: list[Record], golden_records: list[Record]) -> None:
    """The samples, and what the formats read in their golden cases."""
    records = samples + golden_records
    payloads = otlp.payloads(records, OBSERVED)
    request = ExportLogsServiceRequest.FromString(otlp.request(payloads))
    same(unpacked(request), records)
    assert json_format.Parse(otlp.json_request(payloads), ExportLogsServiceRequest()) == request


@pytest.mark.parametrize("length", [0, 1, 80, 100, 117, 118, 119, 120, 127, 128, 511, 512, 2047, 2048, 16383, 16384, 70_000])
def test_lengths_of_every_width(length: int) -> None:
    """Wherever a length needs one octet more: of the text, of the value, of the attribute, of the record."""
    records = [Text(message="m" * length, host="h" * length), Mta(message_id="ä" * length, pid=length, source=Source("f" * length, length))]
    same(unpacked(ExportLogsServiceRequest.FromString(otlp.request(otlp.payloads(records, OBSERVED)))), records)


def test_texts_that_no_octets_stand_for() -> None:
    """A lone surrogate is U+FFFD, in the one record that has it."""
    records = [Text(message="good"), Service(message="bad \udce9", user="\ud800"), Mta(extra={"\udfff": "\udfff"})]
    same(unpacked(ExportLogsServiceRequest.FromString(otlp.request(otlp.payloads(records, OBSERVED)))), records)


def test_nothing_makes_an_empty_request() -> None:
    """Protobuf's empty message is no octets."""
    assert otlp.request([]) == b""
    assert otlp.json_request([]) == b'{"resourceLogs":[]}'


@given(rejected=st.integers(-(2**63), 2**63 - 1), message=st.text())
@example(0, "")
def test_answers_are_read(rejected: int, message: str) -> None:
    """As OpenTelemetry's classes write them: partial success, empty, and with an empty partial success in it."""
    answer = ExportLogsServiceResponse(partial_success=ExportLogsPartialSuccess(rejected_log_records=rejected, error_message=message))
    assert otlp.partial_success(answer.SerializeToString()) == (rejected, message)
    assert otlp.partial_success(ExportLogsServiceResponse().SerializeToString()) == (0, "")


@given(octets=st.binary(max_size=60))
@example(b"<!DOCTYPE html><html><body>Please log in</body></html>")
def test_what_is_no_answer_is_a_value_error_and_nothing_else(octets: bytes) -> None:
    """Whatever an unknown server says; what OpenTelemetry's classes refuse, we refuse."""
    try:
        otlp.partial_success(octets)
    except ValueError:
        return
    ExportLogsServiceResponse.FromString(octets)


@given(octets=st.binary(max_size=60))
def test_status_messages_are_read_or_empty(octets: bytes) -> None:
    """Never an exception."""
    assert isinstance(otlp.status_message(octets), str)
    assert otlp.status_message(b"\x08\x03\x12\x02no") == "no"


def test_a_payload_says_how_long_its_resource_is() -> None:
    """The form that waits in spools: it may never change without a change of the spool's version."""
    (payload,) = otlp.payloads([Text(message="m", host="h")], 7)
    (length,) = struct.unpack(">I", payload[:4])
    record = LogRecord.FromString(payload[4 + length :])
    assert (record.body.string_value, record.observed_time_unix_nano, record.time_unix_nano) == ("m", 7, 0)
