"""The output `otlp`: what each answer means for the records, over HTTP and over gRPC."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from pydantic import SecretStr, ValidationError

from shipper.batch import Arrival
from shipper.deadletter import Letter, letters, waiting_files
from shipper.outputs.base import Limits, Refused, TooLarge, Unavailable
from shipper.outputs.http import TlsSettings
from shipper.outputs.otlp import PATIENCE, Otlp, Section, make
from shipper.profiles import otlp
from shipper.record import Text
from tests.outputs.bad_server import BadServer, Request, Step, hangs, is_cut, never_ends, resets, says
from tests.receivers.running import OBSERVED, deliver, records

PROTOBUF, JSON, HTML = "application/x-protobuf", "application/json", "text/html; charset=utf-8"
PAGE = b"<!DOCTYPE html><html><title>Welcome</title><body>Please log in</body></html>"
ARRIVAL = Arrival("test", 1_116_028_800_000_000_000)


def payloads(count: int = 3) -> list[bytes]:
    return Otlp("o", "http://h").render([Text(message=f"line {number}") for number in range(count)], ARRIVAL)


def partial(rejected: int, message: str = "") -> ExportLogsServiceResponse:
    return ExportLogsServiceResponse(partial_success=ExportLogsPartialSuccess(rejected_log_records=rejected, error_message=message))


async def send(output: Otlp, waiting: Sequence[bytes]) -> None:
    async with output.sender() as sender:
        await sender.send(waiting)


def outcome(output: Otlp, waiting: Sequence[bytes] | None = None) -> Exception | None:
    """What a send raises; None if all is taken."""
    try:
        asyncio.run(send(output, payloads() if waiting is None else waiting))
    except (Unavailable, Refused, TooLarge) as error:
        return error
    return None


def answered(step: Step, waiting: Sequence[bytes] | None = None, **settings: Any) -> Exception | None:
    with BadServer([step]) as server:
        found = outcome(Otlp("o", server.url + "/v1/logs", proxy="", **settings), waiting)
        assert len(server.requests) <= 1, "the lane tries again, not the sender"
        return found


@pytest.mark.parametrize("protocol", ["http/protobuf", "http/json"])
def test_a_request_is_what_the_protocol_says(protocol: Any) -> None:
    """Path, content type, headers, gzip, and the records in order."""
    waiting = payloads(5)
    with BadServer([says(200)]) as server:
        output = Otlp("o", server.url + "/v1/logs", protocol=protocol, headers={"X-Api-Key": SecretStr("k")}, proxy="")
        assert outcome(output, waiting) is None
        (request,) = server.requests
    assert (request.path, request.headers["X-Api-Key"], request.headers["Content-Encoding"]) == ("/v1/logs", "k", "gzip")
    if protocol == "http/json":
        assert request.headers["Content-Type"] == JSON
        found = json_format.Parse(request.body, ExportLogsServiceRequest())
    else:
        assert request.headers["Content-Type"] == PROTOBUF
        found = ExportLogsServiceRequest.FromString(request.body)
    records = [record for logs in found.resource_logs for scope in logs.scope_logs for record in scope.log_records]
    assert [record.body.string_value for record in records] == [f"line {number}" for number in range(5)]


@pytest.mark.parametrize(
    "step",
    [
        says(200),
        says(204),
        says(202),
        says(200, b"", PROTOBUF),
        says(200, partial(0).SerializeToString(), PROTOBUF),
        says(200, partial(0, "a warning").SerializeToString(), PROTOBUF),
        says(200, b"{}", JSON),
        says(200, b'{"partialSuccess":{}}', JSON),
        says(200, b'{"partialSuccess":null}', "application/json; charset=utf-8"),
        says(200, b'{"partialSuccess":{"rejectedLogRecords":"0","errorMessage":"a warning"}}', JSON),
        says(200, b'{"partial_success":{"rejected_log_records":0}}', JSON),
    ],
)
def test_taken(step: Step) -> None:
    """Nothing, or an OTLP answer that rejects nothing."""
    assert answered(step) is None


@pytest.mark.parametrize(
    "step",
    [
        says(200, partial(2, "too old").SerializeToString(), PROTOBUF),
        says(200, b'{"partialSuccess":{"rejectedLogRecords":"2","errorMessage":"too old"}}', JSON),
        says(200, b'{"partialSuccess":{"rejectedLogRecords":2,"errorMessage":"too old"}}', JSON),
    ],
)
def test_partial_success_is_set_aside(step: Step) -> None:
    """Counted, with the receiver's words; of one record, or of all, it is known which."""
    error = answered(step)
    assert isinstance(error, Refused)
    assert (error.unnamed, error.indices, error.again) == (2, (), ())
    assert error.reason == "the receiver rejected 2 of 3: too old"
    error = answered(step, payloads(2))
    assert isinstance(error, Refused) and (error.unnamed, error.indices) == (0, (0, 1))


@pytest.mark.parametrize(
    "step",
    [
        says(200, PAGE, HTML),
        says(200, PAGE, JSON),
        says(200, PAGE),
        says(200, PAGE, PROTOBUF),
        says(200, b"OK", "text/plain"),
        says(200, b'{"status":"ok"}', JSON),
        says(200, b'{"partialSuccess":{"rejectedLogRecords":"many"}}', JSON),
        says(200, b'{"partialSuccess":7}', JSON),
        says(200, b"[" * 100_000, JSON),
        says(200, b"[]", JSON),
        says(200, b"\x0a\xff", PROTOBUF),
        never_ends,
        *(says(status, Location="https://elsewhere.example.com/") for status in (301, 302, 303, 307, 308)),
        *(says(status, PAGE, HTML) for status in (401, 403, 404, 405, 407, 410, 415)),
    ],
)
def test_what_is_no_otlp_receiver_takes_nothing(step: Step) -> None:
    """A captive portal, a proxy, a wrong port or path: never taken for success; the records wait, and the output is misconfigured."""
    error = answered(step)
    assert isinstance(error, Unavailable) and error.misconfigured, error


@pytest.mark.parametrize(
    ("status", "header", "seconds"), [(429, "7", 7), (503, "garbage", None), (502, "", None), (504, "1", 1), (408, "", None)]
)
def test_later(status: int, header: str, seconds: float | None) -> None:
    """The receiver's own time, if it is one."""
    error = answered(says(status, b"busy", "text/plain", Retry_After=header))
    assert isinstance(error, Unavailable)
    assert (error.retry_after, error.misconfigured, error.reason) == (seconds, False, f"HTTP {status}: busy")


@pytest.mark.parametrize("step", [resets, is_cut, hangs])
def test_no_answer_is_later(step: Step) -> None:
    """A lost answer too: what was taken comes a second time, with the same id."""
    error = answered(step, timeout=0.3)
    assert isinstance(error, Unavailable) and not error.misconfigured


def test_one_bad_record_is_looked_for_by_halves() -> None:
    """400 is how collectors say "too large" as well; the reason is the message of the Status."""
    status = b"\x08\x03\x12\x0abad record"
    for error in (answered(says(400, status, PROTOBUF)), answered(says(400, b'{"code":3,"message":"bad record"}', JSON))):
        assert isinstance(error, TooLarge) and error.reason == "HTTP 400: bad record"
    assert isinstance(answered(says(413)), TooLarge)


def test_500_is_the_receivers_fault_for_a_while() -> None:
    """Then a record may be its cause. One success, and counting begins anew; a new connection does not."""
    with BadServer([says(500)] * (PATIENCE + 1) + [says(200), says(500)]) as server:
        output = Otlp("o", server.url, proxy="")
        kinds = [type(outcome(output)) for _ in range(PATIENCE + 3)]
    assert kinds == [Unavailable] * PATIENCE + [TooLarge, type(None), Unavailable]


# --- Through a lane ---


def test_partial_success_through_a_lane(tmp_path: Path) -> None:
    """Sent once; as many counted as set aside as were rejected, and all of the request kept beside."""
    with BadServer([says(200, partial(2, "too old").SerializeToString(), PROTOBUF)]) as server:
        lane = asyncio.run(deliver(Otlp("o", server.url, proxy=""), tmp_path, count=5))
        assert len(server.requests) == 1
    assert (lane.counts.delivered, sum(lane.set_aside.values())) == (3, 2)
    kept = [letter.payload for path in waiting_files(tmp_path) for letter in letters(path) if isinstance(letter, Letter)]
    assert kept == otlp.payloads(records(0, 5), OBSERVED)


def test_a_poisoned_record_through_a_lane(tmp_path: Path) -> None:
    """400 as long as it is in the request: it is found by halves, and only it is set aside."""
    poison = records(13, 1)[0].id.encode()

    def answer(request: Request) -> None:
        request.answer(400 if poison in request.body else 200)

    with BadServer([answer]) as server:
        lane = asyncio.run(deliver(Otlp("o", server.url, proxy=""), tmp_path, count=64))
        assert len(server.requests) < 50
    assert (lane.counts.delivered, list(lane.set_aside.items())) == (63, [("HTTP 400", 1)])


# --- gRPC ---


class Aborted(Exception):
    """What the server shall answer: code, words, and the status's details."""

    def __init__(self, code: grpc.StatusCode, words: str = "", details: bytes = b"") -> None:
        super().__init__(words)
        self.code, self.words, self.details = code, words, details


@contextmanager
def collector(answer: Callable[[bytes, Any], bytes], credentials: Any = None) -> Iterator[int]:
    """A gRPC server with the log service; its port."""

    def export(request: bytes, context: Any) -> bytes:
        try:
            return answer(request, context)
        except Aborted as aborted:
            if aborted.details:
                context.set_trailing_metadata((("grpc-status-details-bin", aborted.details),))
            context.abort(aborted.code, aborted.words)
        raise AssertionError

    server = grpc.server(futures.ThreadPoolExecutor(2))
    service = "opentelemetry.proto.collector.logs.v1.LogsService"
    method: Any = grpc.unary_unary_rpc_method_handler(export)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"Export": method}),))
    port = server.add_secure_port("127.0.0.1:0", credentials) if credentials else server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(0).wait()


def over_grpc(answer: Callable[[bytes, Any], bytes], waiting: Sequence[bytes] | None = None) -> Exception | None:
    with collector(answer) as port:
        return outcome(Otlp("o", f"http://127.0.0.1:{port}", protocol="grpc", headers={"X-Api-Key": SecretStr("k")}, timeout=5), waiting)


def aborts(code: str, words: str = "", details: bytes = b"") -> Callable[[bytes, Any], bytes]:
    def answer(request: bytes, context: Any) -> bytes:
        raise Aborted(getattr(grpc.StatusCode, code), words, details)

    return answer


def retry_info(seconds: int) -> bytes:
    """A `google.rpc.Status` with a RetryInfo."""
    delay = b"\x0a\x02\x08" + struct.pack("B", seconds)
    kind = b"type.googleapis.com/google.rpc.RetryInfo"
    packed = b"\x0a" + struct.pack("B", len(kind)) + kind + b"\x12" + struct.pack("B", len(delay)) + delay
    return b"\x08\x08\x1a" + struct.pack("B", len(packed)) + packed


def test_grpc_sends_the_same_request() -> None:
    """The records in order, and the headers as metadata."""
    seen = []

    def answer(request: bytes, context: Any) -> bytes:
        seen.append((request, dict(context.invocation_metadata())))
        return b""

    waiting = payloads(4)
    assert over_grpc(answer, waiting) is None
    ((request, metadata),) = seen
    assert request == otlp.request(waiting) and metadata["x-api-key"] == "k"


def test_grpc_partial_success_is_set_aside() -> None:
    """As over HTTP."""
    error = over_grpc(lambda request, context: partial(1, "no").SerializeToString())
    assert isinstance(error, Refused) and (error.unnamed, error.reason) == (1, "the receiver rejected 1 of 3: no")
    error = over_grpc(lambda request, context: b"\xff\xff")
    assert isinstance(error, Unavailable) and error.misconfigured


@pytest.mark.parametrize(
    ("answer", "kind", "misconfigured", "seconds"),
    [
        (aborts("UNAVAILABLE", "overloaded"), Unavailable, False, None),
        (aborts("UNAVAILABLE", "overloaded", retry_info(9)), Unavailable, False, 9),
        (aborts("RESOURCE_EXHAUSTED", "slow down", retry_info(5)), Unavailable, False, 5),
        (aborts("RESOURCE_EXHAUSTED", "slow down"), Unavailable, False, None),
        (aborts("RESOURCE_EXHAUSTED", "grpc: received message larger than max (5 vs. 4)"), TooLarge, False, None),
        (aborts("ABORTED", "", b"\xff\xff garbage"), Unavailable, False, None),
        (aborts("DATA_LOSS"), Unavailable, False, None),
        (aborts("INVALID_ARGUMENT", "bad"), TooLarge, False, None),
        (aborts("INTERNAL"), Unavailable, False, None),
        (aborts("UNAUTHENTICATED"), Unavailable, True, None),
        (aborts("PERMISSION_DENIED"), Unavailable, True, None),
        (aborts("UNIMPLEMENTED"), Unavailable, True, None),
    ],
)
def test_grpc_codes(answer: Callable[[bytes, Any], bytes], kind: type[Exception], misconfigured: bool, seconds: float | None) -> None:
    """As the OTLP specification has them; a time to wait comes in RetryInfo."""
    error = over_grpc(answer)
    assert type(error) is kind
    if isinstance(error, Unavailable):
        assert (error.misconfigured, error.retry_after) == (misconfigured, seconds)


def test_grpc_without_a_server_and_with_a_wrong_one(tmp_path: Path) -> None:
    """A closed port is later; a server that is not gRPC's, or has another CA, is misconfigured; with the CA it is good."""
    error = outcome(Otlp("o", "http://127.0.0.1:1", protocol="grpc", timeout=5))
    assert isinstance(error, Unavailable) and not error.misconfigured and "UNAVAILABLE" in error.reason
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    server = ca.issue_cert("localhost")
    credentials = grpc.ssl_server_credentials([(server.private_key_pem.bytes(), b"".join(pem.bytes() for pem in server.cert_chain_pems))])
    with collector(lambda request, context: b"", credentials) as port:
        output = Otlp("o", f"https://localhost:{port}", protocol="grpc", timeout=5)
        error = outcome(output)
        assert isinstance(error, Unavailable) and error.misconfigured, error
        trusting = TlsSettings(ca_file=tmp_path / "ca.pem")
        assert outcome(Otlp("o", f"https://localhost:{port}", protocol="grpc", timeout=5, tls=trusting)) is None


# --- Settings ---


def test_settings_from_the_environment() -> None:
    """Those for logs before the others; a base has the path added; the configuration before all."""
    nothing = Section(type="otlp")
    output = make("o", nothing, {})
    assert (output.endpoint, output.protocol, output.compress, output.timeout) == (
        "http://localhost:4318/v1/logs",
        "http/protobuf",
        True,
        10.0,
    )
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "https://c.example.com:4318/otlp/",
        "OTEL_EXPORTER_OTLP_HEADERS": "api-key=a%20b, broken ,evil=a%0d%0ab,x=1",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "2500",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
        "OTEL_EXPORTER_OTLP_CERTIFICATE": "/etc/ca.pem",
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": "/etc/c.pem",
        "OTEL_EXPORTER_OTLP_CLIENT_KEY": "/etc/k.pem",
    }
    output = make("o", nothing, environ)
    assert (output.endpoint, output.compress, output.timeout) == ("https://c.example.com:4318/otlp/v1/logs", False, 2.5)
    assert {name: value.get_secret_value() for name, value in output.headers.items()} == {"api-key": "a b", "x": "1"}
    assert output.tls == TlsSettings(ca_file=Path("/etc/ca.pem"), cert_file=Path("/etc/c.pem"), key_file=Path("/etc/k.pem"))
    environ |= {"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "https://l.example.com/as-it-is", "OTEL_EXPORTER_OTLP_LOGS_TIMEOUT": "soon"}
    output = make("o", nothing, environ)
    assert (output.endpoint, output.timeout) == ("https://l.example.com/as-it-is", 10.0)
    ours = Section.model_validate(
        {
            "type": "otlp",
            "endpoint": "http://h:4318",
            "compression": "gzip",
            "timeout": "1m",
            "headers": {"k": "v\n"},
            "batch": {"records": 7},
        }
    )
    output = make("o", ours, environ)
    assert (output.endpoint, output.compress, output.timeout) == ("http://h:4318/v1/logs", True, 60.0)
    assert output.headers["k"].get_secret_value() == "v"
    assert output.limits == Limits(7, 4 << 20)
    assert make("o", nothing, {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}).endpoint == "http://localhost:4317"


def test_secrets_are_not_shown() -> None:
    """Neither as text nor as JSON."""
    section = Section.model_validate({"type": "otlp", "headers": {"api-key": "canary"}})
    assert "canary" not in repr(section) + str(section) + section.model_dump_json()
    with pytest.raises(ValidationError):
        Section.model_validate({"type": "otlp", "headers": {"a b": "c"}})
    assert json.loads(section.model_dump_json())["headers"]
