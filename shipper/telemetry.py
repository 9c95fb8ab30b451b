"""What the service shows of itself: metrics, health, status, and live records.

The counting is plain integers in the parts that do the work. When somebody asks, `Seen.numbers` reads them off, observable instruments of the
OpenTelemetry SDK take them over, and its Prometheus reader writes them. Nothing here is called for a record, but `Tap.offer` while
somebody watches.

Two doors: a TCP address for what holds no personal data (`/healthz`, `/readyz`, `/metrics`, `/status`), and a Unix socket in the state directory,
for the service's own user, that has `/tap` too.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from shipper import __version__
from shipper.conditions import Value, field_type
from shipper.errors import Failure
from shipper.profiles import PROFILES
from shipper.record import Record
from shipper.router import Router, Rule

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Observation
    from opentelemetry.sdk.metrics.export import MetricReader
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Router as Pages

COUNTERS = {
    "shipper_records_read": "Records that an input has handed over.",
    "shipper_records_damaged": "Records of lines that could not be read, or only in part; they are delivered as the others are.",
    "shipper_records_dropped": "Records that go to no output, by what says so: a route, or a setting of the mail server.",
    "shipper_input_messages": "Syslog messages taken, each a record.",
    "shipper_input_kernel_drops": "Datagrams that the kernel dropped, as its buffer was full.",
    "shipper_input_oversize_messages": "Messages longer than max_message, that were cut.",
    "shipper_input_framing_errors": "Connections that were closed for their framing.",
    "shipper_input_connections": "Connections taken.",
    "shipper_input_refused": "Connections and datagrams refused, by reason: allow, limit, tls.",
    "shipper_input_rotations": "Files that were renamed, truncated or replaced while they were followed.",
    "shipper_input_lost_files": "Files that went before all of them was read.",
    "shipper_input_lost_octets": "Octets that were lost with them, as far as known.",
    "shipper_input_events": "What an input counts besides, by event.",
    "shipper_output_records": "Records of an output that are done with, by outcome: delivered, set_aside, lost.",
    "shipper_output_failures": "Times that a receiver could not take anything.",
    "shipper_output_octets": "Octets of the payloads that were delivered.",
    "shipper_output_resent_records": "Records sent a second time, as a connection broke and the receiver may not have read them.",
    "shipper_reloads": "Configurations taken (outcome=taken) or refused (outcome=refused) on HUP.",
    "shipper_checkpoints_written": "Times that the checkpoints were written.",
}
GAUGES = {
    "shipper_input_open_connections": "Connections that are open.",
    "shipper_input_files": "Files that an input knows: followed, remembered, or just gone.",
    "shipper_input_open_files": "Files that it has open.",
    "shipper_input_failing_files": "Files that cannot be read now.",
    "shipper_output_waiting_records": "Records that wait for an output.",
    "shipper_output_up": "1 when the output's receiver took what it was last given, else 0.",
    "shipper_input_lag_octets": "Octets that stand in an input's files and are not read yet.",
    "shipper_input_lag_seconds": "Age of the oldest of them.",
    "shipper_checkpoints_failing": "1 when the checkpoints cannot be written.",
    "shipper_certificate_end_time_seconds": "When the certificate of an input or an output ends, in seconds since 1970.",
    "shipper_loop_delay_seconds": "How much too late the event loop was, at its latest in the last seconds.",
    "shipper_resident_octets": "Memory of the process.",
    "shipper_start_time_seconds": "When the process began, in seconds since 1970.",
}
"""Every metric: its name and what it is. Labels are names from the configuration, never an address or a host."""

_COUNTED = {
    "received": ("shipper_input_messages", ""),
    "kernel_drops": ("shipper_input_kernel_drops", ""),
    "truncated": ("shipper_input_oversize_messages", ""),
    "broken": ("shipper_input_framing_errors", ""),
    "connections": ("shipper_input_connections", ""),
    "open": ("shipper_input_open_connections", ""),
    "denied": ("shipper_input_refused", "allow"),
    "refused": ("shipper_input_refused", "limit"),
    "failed": ("shipper_input_refused", "tls"),
    "files": ("shipper_input_files", ""),
    "files_open": ("shipper_input_open_files", ""),
    "files_failing": ("shipper_input_failing_files", ""),
    "files_lost": ("shipper_input_lost_files", ""),
    "octets_lost": ("shipper_input_lost_octets", ""),
    "rotations": ("shipper_input_rotations", ""),
}
"""What an input counts by its own name -> the metric, and the reason in it."""

_TAP_WAITING = 200
"""Batches that may wait for one who watches; what is more is not shown, and counted."""


class Number(NamedTuple):
    """One value of one metric."""

    name: str
    value: float
    labels: Mapping[str, str] = {}


def of_input(name: str, counts: Mapping[str, int]) -> Iterator[Number]:
    """The metrics of what an input counts; what has no metric of its own is an event."""
    for event, value in counts.items():
        metric, reason = _COUNTED.get(event, ("", ""))
        labels = {"input": name, **({"reason": reason} if reason else {} if metric else {"event": event})}
        yield Number(metric or "shipper_input_events", value, labels)


class Seen(Protocol):
    """What is looked at: the service."""

    taps: set[Tap]

    def numbers(self) -> Iterable[Number]:
        """All metrics, now. May be called by another thread."""
        ...

    def status(self) -> dict[str, Any]:
        """A JSON object for people and `shipper status`."""
        ...

    def down(self) -> dict[str, str]:
        """Output -> why it takes nothing; empty when all do."""
        ...


class Tap:
    """One who watches: records that fit all conditions, in a profile. Slow ones miss records, and are told how many."""

    def __init__(self, when: Mapping[str, frozenset[Value]], profile: str = "native") -> None:
        self._router = Router([Rule(when, ("tap",)), Rule({})], ["tap"])
        self._profile = PROFILES[profile]
        self._waiting: asyncio.Queue[bytes] = asyncio.Queue(_TAP_WAITING)
        self._missed = 0

    def offer(self, records: Sequence[Record], input: str, observed: int) -> None:
        """Records on their way to the outputs."""
        share = self._router.route(records, input).shares.get("tap")
        if share is None:
            return
        fitting = share.records
        if self._waiting.full():
            self._missed += len(fitting)
        else:
            self._waiting.put_nowait(self._profile.render(fitting, observed))

    async def lines(self) -> AsyncIterator[bytes]:
        """JSON lines, and notices: lines that begin with `#`. An empty piece every second, so that a closed connection is noticed."""
        while True:
            if self._missed and not self._waiting.full():
                missed, self._missed = self._missed, 0
                yield b"# %d records were not shown: they came faster than they could be written\n" % missed
            try:
                async with asyncio.timeout(1):
                    piece = await self._waiting.get()
            except TimeoutError:
                piece = b"#\n"
            yield piece


def conditions(pairs: Iterable[tuple[str, str]]) -> dict[str, frozenset[Value]]:
    """`field`, `value,value` as somebody wrote them -> the conditions of a rule. Raises ValueError, its text for people."""
    when: dict[str, frozenset[Value]] = {}
    for name, text in pairs:
        wanted = field_type(name)
        if wanted is None:
            raise ValueError(f"records have no field '{name}'")
        words = text.split(",")
        try:
            values: list[Value] = [word in ("true", "yes") if wanted is bool else wanted(word) for word in words]
        except ValueError:
            raise ValueError(f"field '{name}' is a number, '{text}' is none") from None
        when[name] = when.get(name, frozenset()) | frozenset(values)
    return when


class Metrics:
    """The instruments over `seen.numbers`. `endpoint`: where they go to by OTLP, too, with `headers`, every `interval` seconds."""

    def __init__(self, seen: Seen, *, endpoint: str = "", headers: Mapping[str, str] | None = None, interval: float = 60.0) -> None:
        from opentelemetry.exporter.prometheus import PrometheusMetricReader
        from opentelemetry.metrics import Observation
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.resources import Resource
        from prometheus_client import CollectorRegistry

        self._seen = seen
        self._read_off: dict[str, list[Number]] = {}
        self._asked: set[str] = set()
        self._registry = CollectorRegistry()
        readers: list[MetricReader] = [PrometheusMetricReader(registry=self._registry, scope_info_enabled=False, disable_target_info=True)]
        if endpoint:
            readers.append(_pushing(endpoint, dict(headers or {}), interval))
        resource = Resource.create({"service.name": "shipper", "service.version": __version__})
        self._provider = MeterProvider(readers, resource, shutdown_on_exit=False)
        meter = self._provider.get_meter("shipper", __version__)

        def observe(name: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
            def callback(_: CallbackOptions) -> Iterable[Observation]:
                return [Observation(number.value, dict(number.labels)) for number in self._numbers(name)]

            return callback

        for name, text in COUNTERS.items():
            meter.create_observable_counter(name, [observe(name)], description=text)
        for name, text in GAUGES.items():
            meter.create_observable_gauge(name, [observe(name)], description=text)

    def _numbers(self, name: str) -> list[Number]:
        """The values of one metric. All are read off together, when one is asked for a second time."""
        if name in self._asked or not self._asked:
            self._asked.clear()
            self._read_off.clear()
            for number in self._seen.numbers():
                self._read_off.setdefault(number.name, []).append(number)
        self._asked.add(name)
        return self._read_off.get(name, [])

    def text(self) -> bytes:
        """All of them, as Prometheus reads it."""
        from prometheus_client import generate_latest

        return generate_latest(self._registry)

    def close(self) -> None:
        """Sends what is to be sent, and ends the threads."""
        self._provider.shutdown(timeout_millis=3000)


def _loaded() -> None:
    """Has what `Metrics` stands on in memory: 5 MiB that a service has only when somebody asks for its metrics."""
    for module in ("opentelemetry.sdk.metrics", "opentelemetry.exporter.prometheus"):
        import_module(module)


def _pushing(endpoint: str, headers: dict[str, str], interval: float) -> MetricReader:
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    try:
        exporters = import_module("opentelemetry.exporter.otlp.proto.http.metric_exporter")
    except ImportError:
        note = "install it with the service: pip install 'shipper[telemetry]'"
        raise Failure("R511", "our own metrics cannot go out by OTLP: its exporter is not installed", notes=[note]) from None
    exporter = exporters.OTLPMetricExporter(endpoint=f"{endpoint.rstrip('/')}/v1/metrics", headers=headers)
    return PeriodicExportingMetricReader(exporter, export_interval_millis=interval * 1000)


def application(seen: Seen, metrics: Callable[[], Metrics], *, private: bool) -> Pages:
    """The pages; `private` with live records too. `metrics` is called when somebody asks for them."""
    from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
    from starlette.routing import Route
    from starlette.routing import Router as Pages

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_: Request) -> Response:
        down = seen.down()
        return JSONResponse({"ready": not down, "down": down}, 503 if down else 200)

    async def measured(_: Request) -> Response:
        await asyncio.to_thread(_loaded)  # once a fifth of a second, in which the loop turns on
        return PlainTextResponse(metrics().text(), media_type="text/plain; version=0.0.4")

    async def status(_: Request) -> Response:
        return JSONResponse(seen.status())

    async def tap(request: Request) -> Response:
        pairs = [(name, value) for name, value in request.query_params.multi_items() if name != "profile"]
        profile = request.query_params.get("profile", "native")
        try:
            when = conditions(pairs)
            if profile not in PROFILES:
                raise ValueError(f"there is no profile '{profile}'")
        except ValueError as error:
            return PlainTextResponse(f"{error}\n", 400)
        watcher = Tap(when, profile)

        async def lines() -> AsyncIterator[bytes]:
            seen.taps.add(watcher)
            try:
                yield b"#\n"
                async for piece in watcher.lines():
                    yield piece
            finally:
                seen.taps.discard(watcher)

        return StreamingResponse(lines(), media_type="application/x-ndjson")

    routes = [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", measured), Route("/status", status)]
    return Pages([*routes, Route("/tap", tap)] if private else routes)


async def serve(pages: Pages, listening: socket.socket, stop: asyncio.Event) -> None:
    """Answers on a socket that listens already, until `stop` is set."""
    import uvicorn

    class Server(uvicorn.Server):
        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield  # signals are the service's

    settings = uvicorn.Config(
        pages,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=1,
        limit_concurrency=100,
    )
    server = Server(settings)
    serving = asyncio.ensure_future(server.serve([listening]))
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait([serving, stopping], return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        server.should_exit = True
        await serving


def listen(host: str, port: int) -> socket.socket:
    """A TCP socket for `serve`. Raises `Failure` R507."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listening = socket.socket(family, kind)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(100)
    except OSError as error:
        raise Failure(
            "R507", f"nothing can listen on port {port} for health and metrics: {(error.strerror or str(error)).lower()}"
        ) from None
    listening.setblocking(False)
    return listening


def listen_unix(path: Path) -> socket.socket:
    """A Unix socket for `serve` that only this process's user may use; one that a killed process left is replaced. Raises `Failure` R507."""
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        path.unlink(missing_ok=True)
        # By way of the descriptor, as the address of a Unix socket has 107 octets at most.
        listening.bind(f"/proc/self/fd/{directory}/{path.name}" if len(os.fsencode(path)) > 100 else str(path))
        listening.listen(100)
    except OSError as error:
        listening.close()
        raise Failure("R507", f"'{path}' cannot be listened on: {(error.strerror or str(error)).lower()}") from None
    finally:
        os.umask(mask)
        os.close(directory)
    listening.setblocking(False)
    return listening
