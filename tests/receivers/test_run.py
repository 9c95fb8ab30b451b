"""`shipper run` and real receivers: 100,000 lines of a log, and the receiver killed in the middle. Nothing is lost, what came twice is known."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.receivers.running import RECORDS, SECONDS, Program, installed
from tests.receivers.syslogd.daemons import Certificates, Rsyslog
from tests.receivers.test_opensearch import Node
from tests.receivers.test_otelcol import Collector
from tests.service import Running, append, running, shipper

pytestmark = pytest.mark.timeout(SECONDS)


def delivered(service: Running) -> int:
    """Records that the receiver has taken, by the service's own books."""
    told = shipper("status", "--json", service.config)
    return int(json.loads(told.stdout)["ledger"]["outputs"]["there"]["delivered"]) if told.stdout else 0


def through(home: Path, output: str, receiver: Program, *, count: int) -> set[str]:
    """Lets the service read so many lines, kills the receiver when a third is delivered, and starts it again. Returns the ids of all records,
    as a second output has them, once the books say that all are delivered and they balance."""
    extra = "telemetry: {http: off}\ngrace: 5s\n"
    with running(home, extra=extra, outputs=f"  there: {{{output}, takes: all, retry: {{first: 50ms, longest: 500ms}}}}\n") as service:
        append(service.log, 0, count)
        service.until_told("output 'there': connected", 60)
        last = time.monotonic() + SECONDS - 60
        while delivered(service) < count // 3:
            assert time.monotonic() < last
            time.sleep(0.05)
        receiver.kill()
        service.until_told("output 'there': waiting", 30)
        time.sleep(0.3)
        receiver.start()
        while delivered(service) < count:
            assert time.monotonic() < last, shipper("status", service.config).stdout
            time.sleep(0.2)
        ledger = json.loads(shipper("status", "--json", service.config).stdout)["ledger"]
        assert ledger["read"] == count
        assert all(books["balanced"] and not books["set_aside"] and not books["lost"] for books in ledger["outputs"].values())
        assert service.stop() == 0
    ids = [json.loads(line)["id"] for line in service.out.read_bytes().splitlines()]
    assert len(set(ids)) == len(ids) == count
    return set(ids)


def all_there(ids: set[str], arrived: Iterable[str], most_twice: int) -> None:
    """Every id arrived, and no other; some twice, as many as may be on their way."""
    seen = Counter(arrived)
    assert (len(ids - set(seen)), len(set(seen) - ids)) == (0, 0), "missing, unknown"
    assert sum(seen.values()) - len(ids) <= most_twice


def test_collector(tmp_path: Path) -> None:
    """OTLP by http/protobuf: what came twice is one request at most."""
    collector = Collector(tmp_path, installed("otelcol-0.160.0", "otelcol", "tests/receivers/otelcol/install.sh") / "otelcol")
    collector.program.start()
    try:
        output = f"type: otlp, endpoint: 'http://127.0.0.1:{collector.http}', protocol: http/protobuf, batch: {{records: 500, size: 1MB}}"
        ids = through(tmp_path, output, collector.program, count=RECORDS)
    finally:
        collector.program.stop()
    all_there(ids, (name for name, _ in collector.records()), 500)


def test_opensearch(tmp_path: Path) -> None:
    """`_bulk` with our ids: nothing is there twice, whatever was sent twice."""
    node = Node(tmp_path, installed("opensearch-2.19.6", "ready", "tests/receivers/opensearch/install.sh"))
    node.program.start()
    try:
        node.install()
        ids = through(tmp_path, f"type: elasticsearch, url: '{node.url}', namespace: run", node.program, count=RECORDS)
        assert node.count("logs-sunmsg.*-run") == len(ids) == RECORDS
    finally:
        node.program.kill()


def test_rsyslog(tmp_path: Path) -> None:
    """Syslog over TCP, which acknowledges nothing: what the kernel took and rsyslog did not write is sent again."""
    daemon = Rsyslog(tmp_path, Certificates.make(tmp_path))
    daemon.program.start()
    try:
        output = f"type: syslog, protocol: tcp, host: 127.0.0.1, port: {daemon.tcp}, resend: 64MiB"  # it queues 50,000 messages
        ids = through(tmp_path, output, daemon.program, count=RECORDS)
        last = time.monotonic() + 60
        while set(daemon.uids()) != ids and time.monotonic() < last:
            time.sleep(0.5)
    finally:
        daemon.program.stop()
    all_there(ids, daemon.uids(), RECORDS)
