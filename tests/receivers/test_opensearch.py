"""The output `elasticsearch` against OpenSearch, with the templates that `shipper assets` prints."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shipper.batch import Arrival
from shipper.deadletter import Letter, letters, waiting_files
from shipper.outputs.elasticsearch import Elasticsearch, Section, make
from shipper.profiles.ecs_mapping import requests
from shipper.record import AnyRecord, Record
from tests.receivers.running import RECORDS, SECONDS, Program, cut_in_the_middle, deliver, installed, running
from tests.service import free_port

pytestmark = pytest.mark.timeout(SECONDS)

SAMPLES = Path(__file__).parents[1] / "profiles" / "native.jsonl"


class Node:
    """One OpenSearch node, with its data in a directory of the test."""

    def __init__(self, directory: Path, place: Path) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        command = [
            "java", "-Xms512m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
            f"-Dlog4j2.configurationFile={place / 'log4j2.properties'}",
            "-cp", f"{place / 'classes'}:{place / 'lib'}/*", "Node", str(directory / "node"), str(port),
        ]  # fmt: skip
        ready = f"{self.url}/_cluster/health?wait_for_status=yellow&timeout=1s"
        self.program = Program(command, ready, directory / "node.log")

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        octets = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, octets, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def install(self) -> None:
        """The templates; the policy needs a plugin that this node does not have."""
        for path, body in requests(opensearch=True)[1:]:
            assert self.ask("PUT", path, body)["acknowledged"]

    def count(self, stream: str = "logs-sunmsg.*") -> int:
        self.ask("POST", f"/{stream}/_refresh")
        return int(self.ask("GET", f"/{stream}/_count")["count"])

    def output(self, **settings: Any) -> Elasticsearch:
        return make("search", Section.model_validate({"type": "elasticsearch", "url": self.url, "proxy": "", **settings}))


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    place = installed("opensearch-2.19.6", "ready", "tests/receivers/opensearch/install.sh")
    found = Node(tmp_path_factory.mktemp("opensearch"), place)
    for _ in running(found.program):
        found.install()
        yield found


def test_all_records_arrive_once(node: Node, tmp_path: Path) -> None:
    """100,000 of them into their data streams, counted back; and once more, which changes nothing."""
    lane = asyncio.run(deliver(node.output(namespace="all"), tmp_path / "letters"))
    assert (node.count("logs-sunmsg.mta-all"), node.count("logs-sunmsg.service-all")) == (RECORDS * 3 // 4, RECORDS // 4)
    assert lane.counts.delivered == RECORDS and not lane.set_aside
    asyncio.run(deliver(node.output(namespace="all"), tmp_path / "letters", count=5000))
    assert node.count("logs-sunmsg.*-all") == RECORDS


def test_a_receiver_that_is_killed_loses_nothing(node: Node, tmp_path: Path) -> None:
    """Killed in the middle and started again: every record is there, and none twice."""
    count = 20_000
    meanwhile = cut_in_the_middle(node.program, count)
    lane = asyncio.run(
        deliver(node.output(namespace="cut", batch={"records": 500}), tmp_path / "letters", count=count, meanwhile=meanwhile)
    )
    assert node.count("logs-sunmsg.*-cut") == count
    assert lane.counts.delivered == count and not lane.set_aside and lane.counts.connects >= 2


def test_no_sample_is_refused(node: Node, samples: list[Record]) -> None:
    """Every kind of record with every field, in the types of the template; what is not in it is text."""
    output = node.output(namespace="samples")

    async def run() -> None:
        async with output.sender() as sender:
            await sender.send(output.render(samples, Arrival("test", 1_116_028_800_000_000_000)))

    asyncio.run(run())
    assert node.count("logs-sunmsg.*-samples") == len({record.id for record in samples})
    mapping = node.ask("GET", "/logs-sunmsg.mta-samples/_mapping/field/sunmsg.mta.attempt,source.ip,message,host.name,sunmsg.extra")
    (index,) = mapping.values()
    types = {path: next(iter(field["mapping"].values()))["type"] for path, field in index["mappings"].items()}
    assert types == {
        "sunmsg.mta.attempt": "long",
        "source.ip": "ip",
        "message": "text",
        "host.name": "keyword",
        "sunmsg.extra": "flat_object",
    }


def test_a_refused_record_is_set_aside_alone(node: Node, tmp_path: Path) -> None:
    """A document with a value that its field does not take: refused with its reason, and the others are there."""
    output = node.output(namespace="bad")

    class Spoiled(Elasticsearch):
        """Writes nonsense into one document."""

        def render(self, records: Any, arrival: Arrival) -> list[bytes]:
            found = super().render(records, arrival)
            found[5] = found[5].replace(b'"port":25', b'"port":"adam@example.com"')
            return found

    output.__class__ = Spoiled
    lane = asyncio.run(deliver(output, tmp_path / "letters", count=20))
    assert node.count("logs-sunmsg.*-bad") == 19
    assert (lane.counts.delivered, list(lane.set_aside.values())) == (19, [1])
    found = [letter for path in waiting_files(tmp_path / "letters") for letter in letters(path)]
    assert [letter.reason for letter in found if isinstance(letter, Letter)] == ["400 mapper_parsing_exception (field destination.port)"]


@pytest.fixture
def samples() -> list[Record]:
    return [msgspec.json.decode(line, type=AnyRecord) for line in SAMPLES.read_bytes().split(b"\n") if line]
