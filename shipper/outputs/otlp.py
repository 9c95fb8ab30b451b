"""Output `otlp`: log records for OpenTelemetry collectors, over HTTP (protobuf or JSON) or gRPC.

A receiver has taken a request when it says so in OTLP: with no body at all, or with an `ExportLogsServiceResponse`. Then:

    rejected records in it            set aside, and never sent again: it does not say which ones, so the whole request is kept beside
    2xx and anything else, 3xx        this is no OTLP receiver: nothing is taken, tries are rare
    400, INVALID_ARGUMENT             there may be one bad record: smaller and smaller requests, the one record that is left is refused
    413, RESOURCE_EXHAUSTED (size)    smaller requests
    401 403 404 405 415               a setting is wrong here or there: nothing is taken, tries are rare
    408 429 502 503 504, UNAVAILABLE  later, and not before the time it names
    500 and what else there is        later; after `PATIENCE` of them in a row as 400

What the settings leave open is as the variables OTEL_EXPORTER_OTLP_LOGS_… and OTEL_EXPORTER_OTLP_… say.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from loguru import logger
from pydantic import Field, SecretStr

from shipper import __version__, compiled
from shipper.batch import Arrival
from shipper.config.units import Duration
from shipper.outputs.base import Limits, Refused, Sender, TooLarge, Unavailable
from shipper.outputs.http import (
    LONGEST_WAIT,
    MOST,
    Answer,
    Client,
    HeaderName,
    HeaderSecret,
    TlsSettings,
    Url,
    bad_certificates,
    check_status,
    in_thread,
    told,
)
from shipper.outputs.section import WHICH, BatchSettings, Common
from shipper.profiles import otlp
from shipper.record import Record
from shipper.router import Takes
from shipper.straight import payloads

PATIENCE = 10
"""Answers of 500 in a row after which the fault is looked for in the records."""

PROTOBUF, JSON = "application/x-protobuf", "application/json"

Protocol = Literal["http/protobuf", "http/json", "grpc"]


class RequestSettings(BatchSettings):
    """How much is sent at a time. A request costs as much as a thousand records of it, so 4 MiB, which gRPC servers take by default, are used."""

    records: int = Field(4000, ge=1, le=100_000, description="Records in one request at most.")


class Section(Common):
    """An OpenTelemetry collector, or anything else that takes OTLP."""

    type: Literal["otlp"]
    takes: Takes = Field("all", description=WHICH)
    batch: RequestSettings = Field(RequestSettings(), description="How much is sent at a time.")
    endpoint: Url | None = Field(
        None,
        description="Where to send: `http://host:4318` or `https://…`; without a path it is `/v1/logs`. For gRPC `http://host:4317` or `https://…`.",
    )
    protocol: Protocol | None = Field(None, description="How: `http/protobuf` (the default), `http/json` or `grpc`.")
    headers: dict[HeaderName, HeaderSecret] | None = Field(None, description="Headers of every request, such as an API key. Shown nowhere.")
    compression: Literal["gzip", "none"] | None = Field(None, description="Of requests: `gzip` (the default) or `none`.")
    timeout: Duration | None = Field(None, gt=0, description="How long to wait for a connection, and for an answer; 10s if not given.")
    tls: TlsSettings | None = Field(None, description="Certificates, for `https`.")
    proxy: SecretStr | None = Field(None, description="Proxy for HTTP; the usual variables if not given, none if empty.")


class Otlp:
    """One output of this kind. `twin`: the compiled twin's module, where it is."""

    def __init__(
        self,
        name: str,
        endpoint: str,
        *,
        protocol: Protocol = "http/protobuf",
        headers: Mapping[str, SecretStr] | None = None,
        compress: bool = True,
        timeout: float = 10.0,
        tls: TlsSettings | None = None,
        proxy: str | None = None,
        limits: Limits | None = None,
        twin: Any = None,
    ) -> None:
        self.name = name
        self.limits = limits or Limits()
        self.protocol = protocol
        self.endpoint = endpoint
        self.headers = dict(headers or {})
        self.compress = compress
        self.timeout = timeout
        self.tls = tls or TlsSettings()
        self.proxy = proxy
        self.verdict = _Verdict(name)
        self._twin = twin

    def request(self, payloads: Sequence[bytes]) -> bytes:
        """What is sent of these payloads, in protobuf."""
        return otlp.request(payloads, self._twin)

    def render(self, records: Sequence[Record], arrival: Arrival) -> Sequence[bytes]:
        """One payload for each record (`profiles.otlp`), whatever the protocol."""
        return payloads(records, None, lambda some, _: otlp.payloads(some, arrival.observed), arrival.observed)

    def ready(self) -> None:
        """Raises `Unavailable` when the certificates cannot be used."""
        if self.endpoint.startswith("https:"):
            self.tls.ready()

    def sender(self) -> Sender:
        """A connection to the collector."""
        return _GrpcSender(self) if self.protocol == "grpc" else _HttpSender(self)


def make(name: str, section: Section, environ: Mapping[str, str] = os.environ) -> Otlp:
    """The output that a section describes, on top of what the environment says."""
    said = _Variables(environ)
    tls = section.tls or said.tls()
    tls.warn(name)
    protocol = section.protocol or said.protocol()
    endpoint = section.endpoint
    if endpoint is None:
        endpoint = said.endpoint(protocol)
    elif protocol != "grpc" and urlsplit(endpoint).path in ("", "/"):
        endpoint = endpoint.rstrip("/") + "/v1/logs"
    return Otlp(
        name,
        endpoint,
        protocol=protocol,
        headers=section.headers if section.headers is not None else said.headers(),
        compress=(section.compression or said.text("COMPRESSION") or "gzip") == "gzip",
        timeout=section.timeout or said.timeout() or 10.0,
        tls=tls,
        proxy=section.proxy.get_secret_value() if section.proxy is not None else None,
        limits=Limits(section.batch.records, section.batch.size),
        twin=compiled.find().module,
    )


class _Variables:
    """OTEL_EXPORTER_OTLP_LOGS_NAME, and before OTEL_EXPORTER_OTLP_NAME. What makes no sense is as if it were not set."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def text(self, name: str) -> str:
        for prefix in ("OTEL_EXPORTER_OTLP_LOGS_", "OTEL_EXPORTER_OTLP_"):
            if text := self._environ.get(prefix + name, "").strip():
                return text
        return ""

    def protocol(self) -> Protocol:
        text = self.text("PROTOCOL")
        if text == "grpc":
            return "grpc"
        return "http/json" if text == "http/json" else "http/protobuf"

    def endpoint(self, protocol: Protocol) -> str:
        """The variable for logs is taken as it is, the other is a base for the path."""
        found = self.text("ENDPOINT") or ("http://localhost:4317" if protocol == "grpc" else "http://localhost:4318")
        if protocol == "grpc" or self._environ.get("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "").strip():
            return found
        return found.rstrip("/") + "/v1/logs"

    def headers(self) -> dict[str, SecretStr]:
        """`name=value,name=value`, percent-encoded."""
        pairs = [pair.partition("=") for pair in self.text("HEADERS").split(",")]
        found = {unquote(name).strip(): unquote(value).strip() for name, _, value in pairs if value}
        return {
            name: SecretStr(value)
            for name, value in found.items()
            if re.fullmatch(r"[\w.-]+", name, re.ASCII) and value.isascii() and value.isprintable()
        }

    def timeout(self) -> float:
        """In seconds; the variable has milliseconds."""
        text = self.text("TIMEOUT")
        return int(text) / 1000 if re.fullmatch("[0-9]{1,9}", text, re.ASCII) else 0.0

    def tls(self) -> TlsSettings:
        ca, certificate, key = self.text("CERTIFICATE"), self.text("CLIENT_CERTIFICATE"), self.text("CLIENT_KEY")
        return TlsSettings(
            ca_file=Path(ca) if ca else None,
            cert_file=Path(certificate) if certificate else None,
            key_file=Path(key) if key and certificate else None,
        )


class _Verdict:
    """What an answer means for the payloads of its request; remembers what was said last, so that it is logged once."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._failures = 0
        self._warning = ""

    def taken(self, payloads: int, rejected: int, message: str) -> None:
        """An OTLP answer. Returns when all are taken, else raises `Refused`."""
        self._failures = 0
        words = told(message)
        if rejected <= 0:
            if words and words != self._warning:
                logger.warning("{}: the receiver took all and says: {}", self._name, words)
            self._warning = words
            return
        reason = f"the receiver rejected {rejected} of {payloads}" + (f": {words}" if words else "")
        if rejected >= payloads:
            raise Refused(reason, range(payloads))
        raise Refused(reason, unnamed=rejected)

    def bad(self, reason: str) -> TooLarge:
        """400: one of them is bad, or all together are too large; a smaller request tells."""
        return TooLarge(reason)

    def broken(self, reason: str) -> TooLarge | Unavailable:
        """500: the receiver's own fault, as a rule; but a record may be the cause."""
        self._failures += 1
        return Unavailable(reason) if self._failures <= PATIENCE else TooLarge(reason)


class _HttpSender:
    def __init__(self, output: Otlp) -> None:
        self._output = output
        headers = {name: value.get_secret_value() for name, value in output.headers.items()}
        self._client = Client(headers, timeout=output.timeout, tls=output.tls, proxy=output.proxy, compress=output.compress)
        self._json = output.protocol == "http/json"

    async def __aenter__(self) -> _HttpSender:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._client.close()

    async def send(self, payloads: Sequence[bytes]) -> None:
        body = otlp.json_request(payloads) if self._json else self._output.request(payloads)
        answer = await self._client.post(self._output.endpoint, body, JSON if self._json else PROTOBUF)
        if 200 <= answer.status < 300:
            rejected, message = _success(answer)
            self._output.verdict.taken(len(payloads), rejected, message)
            return
        said = _words(answer)
        check_status(answer, said)
        reason = f"HTTP {answer.status}: {told(said)}" if said else f"HTTP {answer.status}"
        if answer.status == 400:
            raise self._output.verdict.bad(reason)
        if answer.status >= 500:
            raise self._output.verdict.broken(reason)
        raise Unavailable(reason, misconfigured=True)


def _success(answer: Answer) -> tuple[int, str]:
    """(rejected, message) of an answer of 2xx. Raises `Unavailable` where it is no answer of an OTLP receiver."""
    if not answer.whole:
        raise Unavailable(f"HTTP {answer.status}, and no end of it: this is no OTLP receiver", misconfigured=True)
    if not answer.body:
        return 0, ""
    try:
        if answer.kind == JSON:
            return _json_success(json.loads(answer.body))
        if answer.kind in (PROTOBUF, "application/protobuf", "application/octet-stream", ""):
            return otlp.partial_success(answer.body)
    except (ValueError, TypeError, RecursionError):
        pass
    what = "a page of HTML" if "html" in answer.kind or answer.body.lstrip()[:1] == b"<" else "not OTLP"
    raise Unavailable(f"HTTP {answer.status}, but the answer is {what}: this is no OTLP receiver", misconfigured=True)


def _json_success(answer: Any) -> tuple[int, str]:
    """`{}` or `{"partialSuccess": {"rejectedLogRecords": "1", "errorMessage": "…"}}`. Raises ValueError or TypeError for anything else."""
    if not isinstance(answer, dict):
        raise TypeError
    if not answer:
        return 0, ""
    partial = answer["partialSuccess"] if "partialSuccess" in answer else answer.get("partial_success", ...)
    if partial is None:
        return 0, ""
    if not isinstance(partial, dict):
        raise TypeError
    rejected = partial.get("rejectedLogRecords", partial.get("rejected_log_records", 0))
    return int(rejected or 0), str(partial.get("errorMessage", partial.get("error_message", "")) or "")


def _words(answer: Answer) -> str:
    """What an answer that is no success says: the message of its `Status`, or its text."""
    if answer.kind == JSON:
        try:
            found = json.loads(answer.body)
            return str(found["message"]) if isinstance(found, dict) and found.get("message") else ""
        except (ValueError, RecursionError):
            return ""
    if answer.kind in (PROTOBUF, "application/protobuf"):
        return otlp.status_message(answer.body)
    return answer.body[:400].decode("utf-8", "replace") if answer.kind == "text/plain" else ""


_METHOD = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
_SIZE = re.compile(r"larger than|too large|too big|message size|exceeds", re.IGNORECASE)
_NOT_OURS = re.compile(r"certificate|handshake|ssl_error|wrong_version|http1|unexpected http|content-type", re.IGNORECASE)
_LATER = ("CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS", "RESOURCE_EXHAUSTED")
_SETTING = ("UNAUTHENTICATED", "PERMISSION_DENIED", "UNIMPLEMENTED", "NOT_FOUND")


class _GrpcSender:
    """gRPC, by its library's blocking client in a thread; messages are octets, as we make and read them ourselves."""

    def __init__(self, output: Otlp) -> None:
        self._output = output
        self._channel: Any = None
        self._call: Any = None
        self._stamps: object = None
        self._metadata = [(name.lower(), value.get_secret_value()) for name, value in output.headers.items()]

    async def __aenter__(self) -> _GrpcSender:
        try:
            import grpc  # noqa: F401
        except ImportError:
            raise Unavailable("gRPC is not installed: pip install 'shipper[grpc]'", misconfigured=True) from None
        return self

    async def __aexit__(self, *_: object) -> None:
        self._close()

    async def send(self, payloads: Sequence[bytes]) -> None:
        import grpc

        self._connect()
        body = self._output.request(payloads)
        try:
            answer = await in_thread(lambda: self._call(body, timeout=self._output.timeout, metadata=self._metadata))
        except grpc.RpcError as error:
            raise self._failed(error) from None
        try:
            rejected, message = otlp.partial_success(answer)
        except ValueError:
            raise Unavailable("the answer is not OTLP: this is no OTLP receiver", misconfigured=True) from None
        self._output.verdict.taken(len(payloads), rejected, message)

    def _connect(self) -> None:
        """A channel; a new one after a certificate's file has changed."""
        import grpc

        tls, parts = self._output.tls, urlsplit(self._output.endpoint)
        try:
            stamps = tls.stamps()
            if self._channel is not None and stamps == self._stamps:
                return
            self._close()
            files = [
                path.read_bytes() if path is not None else None for path in (tls.ca_file, tls.key_file or tls.cert_file, tls.cert_file)
            ]
        except OSError as error:
            raise bad_certificates(error) from None
        if parts.scheme == "https" and not tls.verify:
            raise Unavailable("gRPC always checks certificates: name its `ca_file`, or use HTTP", misconfigured=True)
        # The lane decides when to try again, so the library's own waits are short, and each output has connections of its own.
        options = [
            ("grpc.max_receive_message_length", MOST),
            ("grpc.enable_retries", 0),
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 1000),
            ("grpc.primary_user_agent", f"shipper/{__version__}"),
        ]
        compression = grpc.Compression.Gzip if self._output.compress else grpc.Compression.NoCompression
        if parts.scheme == "https":
            credentials = grpc.ssl_channel_credentials(*files)
            self._channel = grpc.secure_channel(parts.netloc, credentials, options=options, compression=compression)
        else:
            self._channel = grpc.insecure_channel(parts.netloc, options=options, compression=compression)
        self._call = self._channel.unary_unary(_METHOD)
        self._stamps = stamps

    def _close(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def _failed(self, error: Any) -> Exception:
        code, details = error.code().name, error.details() or ""
        reason = f"gRPC {code}: {told(details)}" if details else f"gRPC {code}"
        delay = _retry_delay(error.trailing_metadata() or ())
        if code == "RESOURCE_EXHAUSTED" and delay is None and _SIZE.search(details):
            return TooLarge(reason)
        if code in _LATER:
            return Unavailable(reason, retry_after=delay, misconfigured=bool(_NOT_OURS.search(details)))
        if code in _SETTING:
            return Unavailable(reason, misconfigured=True)
        if code == "INVALID_ARGUMENT":
            return self._output.verdict.bad(reason)
        return self._output.verdict.broken(reason)


def _retry_delay(metadata: Sequence[tuple[str, str | bytes]]) -> float | None:
    """Seconds of the `RetryInfo` that a gRPC status carries, if it does."""
    for name, status in metadata:
        if name != "grpc-status-details-bin" or not isinstance(status, bytes):
            continue
        try:
            for number, detail in otlp.fields(status):
                if number != 3:
                    continue
                packed = dict(otlp.fields(detail))
                if bytes(packed.get(1, b"")).endswith(b"google.rpc.RetryInfo"):
                    duration = dict(otlp.fields(dict(otlp.fields(packed[2]))[1]))
                    return min(int(duration.get(1, 0)) + int(duration.get(2, 0)) / 1e9, LONGEST_WAIT)
        except (ValueError, IndexError, KeyError, TypeError):
            return None
    return None
