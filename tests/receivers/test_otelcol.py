"""The output `otlp` against an OpenTelemetry Collector: what is sent is there, whatever happens to the receiver meanwhile."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shipper.batch import Arrival
from shipper.lane import Lane
from shipper.outputs.base import Limits, Unavailable
from shipper.outputs.otlp import Otlp
from shipper.record import Text
from tests.receivers.running import (
    OBSERVED,
    RECORDS,
    SECONDS,
    Program,
    cut_in_the_middle,
    deliver,
    installed,
    records,
    running,
    uid,
)
from tests.service import free_port

pytestmark = pytest.mark.timeout(SECONDS)

PROTOCOLS = ("http/protobuf", "http/json", "grpc")


class Collector:
    """One collector: its program, its ports, and what it has written."""

    def __init__(self, directory: Path, binary: Path, *, limit: int = 0) -> None:
        self.grpc, self.http, health = free_port(), free_port(), free_port()
        self.file = directory / "records.jsonl"
        # With `rotation` the collector writes through, so that a kill costs nothing of what it has acknowledged.
        limiter = {"memory_limiter": {"check_interval": "100ms", "limit_mib": limit, "spike_limit_mib": 0}} if limit else {}
        config = {
            "extensions": {"health_check": {"endpoint": f"127.0.0.1:{health}"}},
            "receivers": {
                "otlp": {
                    "protocols": {
                        "grpc": {"endpoint": f"127.0.0.1:{self.grpc}", "max_recv_msg_size_mib": 1},
                        "http": {"endpoint": f"127.0.0.1:{self.http}", "max_request_body_size": 1 << 20},
                    }
                }
            },
            "processors": limiter,
            "exporters": {"file": {"path": str(self.file), "rotation": {"max_megabytes": 4000}}},
            "service": {
                "extensions": ["health_check"],
                "telemetry": {"metrics": {"level": "none"}},
                "pipelines": {"logs": {"receivers": ["otlp"], "processors": list(limiter), "exporters": ["file"]}},
            },
        }
        path = directory / "collector.yaml"
        path.write_text(json.dumps(config))
        command = [str(binary), "--config", str(path)]
        self.program = Program(command, f"http://127.0.0.1:{health}/", directory / "collector.log", file=self.file)

    def output(self, protocol: Any, limits: Limits | None = None) -> Otlp:
        url = f"http://127.0.0.1:{self.grpc}" if protocol == "grpc" else f"http://127.0.0.1:{self.http}/v1/logs"
        return Otlp("collector", url, protocol=protocol, proxy="", limits=limits)

    def records(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """(id, record) of everything that was written."""
        with self.file.open("rb") as lines:
            for line in lines:
                for logs in json.loads(line)["resourceLogs"]:
                    for record in (record for scope in logs["scopeLogs"] for record in scope["logRecords"]):
                        attributes = {pair["key"]: pair["value"] for pair in record["attributes"]}
                        yield attributes.get("log.record.uid", {}).get("stringValue", ""), record


@pytest.fixture
def binary() -> Path:
    return installed("otelcol-0.160.0", "otelcol", "tests/receivers/otelcol/install.sh") / "otelcol"


@pytest.fixture
def collector(tmp_path: Path, binary: Path) -> Iterator[Collector]:
    found = Collector(tmp_path, binary)
    for _ in running(found.program):
        yield found


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_all_records_arrive_once(collector: Collector, tmp_path: Path, protocol: Any) -> None:
    """100,000 of them, counted back by id. The collector takes one megabyte at a time: what is too large for it is halved."""
    lane = asyncio.run(deliver(collector.output(protocol), tmp_path / "letters"))
    collector.program.stop()
    seen = Counter(name for name, _ in collector.records())
    assert len(seen) == RECORDS and set(seen.values()) == {1}
    assert lane.counts.delivered == RECORDS and not lane.set_aside


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_receiver_that_is_killed_loses_nothing(collector: Collector, tmp_path: Path, protocol: Any) -> None:
    """Killed in the middle and started again: every record is there, and what came twice is known by its id."""
    count = 30_000
    limits = Limits(500, 1 << 20)
    meanwhile = cut_in_the_middle(collector.program, count)
    lane = asyncio.run(deliver(collector.output(protocol, limits), tmp_path / "letters", count=count, meanwhile=meanwhile))
    collector.program.stop()
    seen = Counter(name for name, _ in collector.records())
    assert len(seen.keys() ^ {uid(number) for number in range(count)}) == 0
    assert sum(seen.values()) - count <= limits.payloads, "the request that was under way, and no more"
    assert lane.counts.delivered == count and lane.counts.connects >= 2


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_one_record_too_large_is_set_aside_alone(collector: Collector, tmp_path: Path, protocol: Any) -> None:
    """Larger than the collector takes: the others arrive."""
    output = collector.output(protocol)
    lines = [Text(id=uid(number), message=("x" * (3 << 20) if number == 3 else "short")) for number in range(8)]
    output.compress = False
    waiting = output.render(lines, Arrival("test", 0))

    async def run() -> Lane:
        class Rendered(Otlp):
            """Sends these, whatever the records."""

            def render(self, records: Any, arrival: Arrival) -> list[bytes]:
                return waiting[: len(records)]

        output.__class__ = Rendered
        return await deliver(output, tmp_path / "letters", count=8)

    lane = asyncio.run(run())
    collector.program.stop()
    assert sorted(name for name, _ in collector.records()) == [uid(number) for number in range(8) if number != 3]
    assert (lane.counts.delivered, sum(lane.set_aside.values())) == (7, 1)


def test_the_collector_reads_what_the_record_says(collector: Collector, tmp_path: Path) -> None:
    """Times, severity, event name and body, as the collector has them."""
    asyncio.run(deliver(collector.output("http/protobuf"), tmp_path / "letters", count=4))
    collector.program.stop()
    found = dict(collector.records())
    record = found[uid(0)]
    assert record["eventName"] == "sunmsg.mta.dequeue" and record["severityNumber"] == 9
    assert record["timeUnixNano"] == "1115935200000000000" and record["observedTimeUnixNano"] == "1116028800000000000"
    assert record["body"]["stringValue"].startswith("deliver adam0@example.com -> bob@example.org")
    assert found[uid(3)]["severityText"] == "Notice"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_overloaded_collector_is_waited_for(tmp_path: Path, binary: Path, protocol: Any) -> None:
    """Its memory limiter refuses everything: that is no fault of the records, nor of the settings."""
    overloaded = Collector(tmp_path, binary, limit=1)
    output = overloaded.output(protocol)
    waiting = output.render(records(0, 100), Arrival("test", OBSERVED))

    async def run() -> Unavailable:
        async with output.sender() as sender:
            while True:  # until the limiter has looked at the memory for the first time
                try:
                    await sender.send(waiting)
                except Unavailable as error:
                    return error

    for _ in running(overloaded.program):
        error = asyncio.run(run())
        assert not error.misconfigured and ("503" in error.reason or "UNAVAILABLE" in error.reason), error
