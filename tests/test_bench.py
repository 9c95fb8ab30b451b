"""The benchmark reads its measurements right, and writes them where they belong. (`.ci/run` runs all of it, a small one.)"""

from __future__ import annotations

import gzip
import os
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from bench import corpus, peers, udp
from bench.measure import Child, Cost, Count, Failed, best, family, ticks, to_the_end, until_written
from bench.report import NONE, Row, placed, table
from bench.sink import Sink, count_records
from shipper.profiles import otlp
from shipper.record import Text

HERE = os.sched_getaffinity(0)


def test_the_best_of_runs_is_the_least_of_each_figure() -> None:
    """What else a machine does only adds; memory is the most that was seen."""
    assert best([Cost(2, 3, 4), Cost(1, 5, 6)]) == Cost(1, 3, 6)
    assert Cost(2, 3, 4).without(Cost(0.5, 1, 99)) == Cost(1.5, 2, 4)


def test_cpu_time_is_read_behind_any_name() -> None:
    """A program may be called `a) R 1 (b`; its own time and that of its ended children count."""
    assert ticks("77 (a) R 1 (b) S 1 1 1 0 -1 4194304 1 1 0 0 10 20 300 4000 20 0 1") == 4330


def test_a_child_is_charged_with_what_it_burns() -> None:
    """Half a second of a loop in a grandchild, while it runs, and memory."""
    loop = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'while True: pass'])"
    child = Child([sys.executable, "-c", loop], HERE)
    try:
        end = time.monotonic() + 30
        while child.cpu() < 0.5 and time.monotonic() < end:
            time.sleep(0.02)
        assert child.cpu() >= 0.5 and child.memory() > 1 << 20
    finally:
        for pid in reversed(family(child.pid)[1:]):
            os.kill(pid, 9)
        child.kill()
        child.cost()


@given(st.lists(st.binary(max_size=9), max_size=9), st.sampled_from([b"\n", b"ab", b"aXaXb"]))
def test_marks_are_counted_wherever_the_file_is_cut(tmp_path_factory: pytest.TempPathFactory, parts: list[bytes], mark: bytes) -> None:
    """A file that grows by any pieces has as many marks as the whole of it."""
    path = tmp_path_factory.mktemp("count") / "log"
    pieces = [piece.replace(b"\0", mark) for piece in parts]
    count = Count(path, mark)
    assert count.now() == 0
    with path.open("ab", buffering=0) as sink:
        for piece in pieces:
            sink.write(piece)
            count.now()
    assert count.now() == b"".join(pieces).count(mark)
    count.close()


def test_a_program_that_fails_is_no_measurement() -> None:
    """Its message has what it said."""
    with pytest.raises(Failed, match="ended with 3\nno such thing"):
        to_the_end(["sh", "-c", "echo no such thing >&2; exit 3"], cpus=HERE)


def test_a_daemon_is_measured_until_all_is_written(tmp_path: Path) -> None:
    """With what feeds it; and one that ends before is a failure."""
    output = tmp_path / "output"
    command = ["sh", "-c", f"cat > {output}; sleep 60"]
    cost = until_written(command, cpus=HERE, count=Count(output), wanted=3, feed=["printf", "1\\n2\\n3\\n"])
    assert cost.wall < 30 and cost.rss > 0
    with pytest.raises(Failed, match="wrote 1 of 2 records"):
        until_written(["sh", "-c", f"echo 1 > {output}2"], cpus=HERE, count=Count(tmp_path / "output2"), wanted=2, patience=5)


def test_a_sink_counts_log_records() -> None:
    """Those of any request of ours, as OpenTelemetry's own classes count them."""
    texts = [Text(id=f"{number:032x}", message="x" * number, host=f"host{number % 3}") for number in range(300)]
    body = otlp.request(otlp.payloads(texts, 1))
    request = ExportLogsServiceRequest.FromString(body)
    there = sum(len(scope.log_records) for resource in request.resource_logs for scope in resource.scope_logs)
    assert count_records(body) == there == 300
    assert count_records(b"") == 0


def test_a_sink_takes_requests() -> None:
    """Over HTTP, packed or not; it answers and counts behind."""
    request = ExportLogsServiceRequest()
    for _ in range(5):
        request.resource_logs.add().scope_logs.add().log_records.add().body.string_value = "x"
    body = request.SerializeToString()
    with Sink() as sink:
        for packed in (False, True):
            headers = {"Content-Encoding": "gzip"} if packed else {}
            call = urllib.request.Request(f"http://127.0.0.1:{sink.port}/v1/logs", gzip.compress(body) if packed else body, headers)
            with urllib.request.urlopen(call, timeout=10) as answer:
                assert answer.status == 200
        end = time.monotonic() + 10
        while sink.records < 10 and time.monotonic() < end:
            time.sleep(0.01)
        assert sink.records == 10


@given(st.floats(udp.SLOWEST, udp.FASTEST))
def test_the_rate_is_found_by_halving(limit: float) -> None:
    """Eight probes come within four percent of any rate between the slowest and the fastest."""
    held = [udp.SLOWEST]

    def holds(rate: float) -> bool:
        if rate <= limit:
            held.append(rate)
        return rate <= limit

    udp.search(holds, udp.SLOWEST, udp.FASTEST, 8)
    assert max(held) <= limit * 1.000001 <= max(held) * 1.04


def test_prose_stays_and_tables_are_written_into_their_places() -> None:
    """One that has no place yet comes at the end; writing twice gives the same."""
    page = "# Performance\n\nProse.\n\n<!-- bench: one -->\n\nold\n\n<!-- end -->\n\nMore \\1 prose.\n"
    once = placed(page, {"one": "new \\1\n", "two": "other\n"})
    assert once == (
        "# Performance\n\nProse.\n\n<!-- bench: one -->\n\nnew \\1\n\n<!-- end -->\n\nMore \\1 prose.\n"
        "\n<!-- bench: two -->\n\nother\n\n<!-- end -->\n"
    )
    assert placed(once, {"one": "new \\1\n", "two": "other\n"}) == once


def test_every_table_has_its_place_in_the_page() -> None:
    """docs/performance.md has prose for each of them."""
    page = (Path(__file__).parent.parent / "docs" / "performance.md").read_text()
    named = re.findall(r"<!-- bench: (\w+) -->", page)
    assert named == [
        "machine",
        "mta",
        "service",
        "formats",
        "shares",
        "cores",
        "archive",
        "tail",
        "otlp",
        "udp",
        "memory",
        "linear",
        "start",
        "idle",
    ]
    assert page.count("<!-- end -->") == len(named)


def test_figures_stand_to_the_right() -> None:
    """With those that could not be measured."""
    assert table(("", "rate", "how"), [("a", "≥ 12", "x"), ("b", NONE, "yy")]) == (
        "|   | rate | how |\n|---|-----:|-----|\n| a | ≥ 12 | x   |\n| b |    – | yy  |\n"
    )


def test_too_few_lines_give_no_figure() -> None:
    """Where a run cost no more than its start."""
    row = Row("a", "", 10, Cost(0.0, -0.1, 1))
    assert (row.rate, row.each) == (0.0, 0.0)
    assert Row("a", "", 10, Cost(2.0, 1.0, 1)).rate == 5.0


def _peers(tmp_path: Path) -> list[peers.Peer]:
    """As if they were installed."""
    (tmp_path / "usr/lib/x86_64-linux-gnu/rsyslog").mkdir(parents=True)
    (tmp_path / "usr/lib/syslog-ng/3.38").mkdir(parents=True)
    others = (peers.collector, peers.filebeat, peers.telegraf, peers.fluent_bit, peers.vector)
    return [one._replace(version="3.38.1") for one in [*peers.debian(tmp_path), *[peer(tmp_path) for peer in others]]]


@pytest.mark.parametrize("kind", ["mta", "service"])
def test_every_configuration_is_filled_in(tmp_path: Path, kind: str) -> None:
    """No word is left over; input and output stand in it."""
    ways = [(peer, job) for peer in _peers(tmp_path) for job in peer.ways]
    for number, (peer, job) in enumerate(ways):
        state = tmp_path / str(number)
        command = peer.command(job, kind, state, source="/in/mail.log", target="/out/put")
        (text,) = [path.read_text() for path in state.iterdir() if path.is_file()]
        assert str(state / peer.ways[job].config) in command
        assert not re.search(r"@[A-Z]+@", " ".join([text, *command]))
        assert re.search("/out/put|'/out'.*\\s.*'put'|path: '/out', filename: 'put'", text) and ("/in" in text or job == "archive")


def test_every_configuration_that_is_there_is_used(tmp_path: Path) -> None:
    """None is left behind."""
    used = {way.config for peer in _peers(tmp_path) for way in peer.ways.values()}
    assert used == {path.name for path in peers.HERE.iterdir() if path.suffix in (".conf", ".yaml", ".yml")}


def test_what_peers_could_not_read_is_told(tmp_path: Path) -> None:
    """Each in its own way: without the fields of a line, or with empty ones."""
    output = tmp_path / "output"
    output.write_bytes(b'{"code":"E","time":"x"}\n{}\n{"time":"","code":""}\n{"originalmsg":"y","unparsed-data":"\\"code\\":\\"E\\""}\n')
    assert peers.share_read(output, "mta", 4) == 0.25
    output.write_bytes(b'{"mail":{"level": "Notice"},"log":{}}\n{"message":"y","log":{}}\n')
    assert peers.share_read(output, "service", 2) == 0.5
    output.write_bytes(b'{"logRecords":[{"attributes":[{"key":"code"}]},{"body":{}},{"attributes":[{"key":"code"}]},{"body":{}}]}\n')
    assert peers.share_read(output, "mta", 4) == 0.5


def test_a_log_is_as_long_as_wanted(tmp_path: Path) -> None:
    """Shorter, or over and over."""
    log = tmp_path / "log"
    log.write_bytes(b"1\n2\n3\n")
    assert corpus.cut(log, tmp_path / "cut", 2) == 2 and (tmp_path / "cut").read_bytes() == b"1\n2\n"
    assert corpus.cut(log, tmp_path / "cut", 7) == 7 and (tmp_path / "cut").read_bytes() == b"1\n2\n3\n1\n2\n3\n1\n"


def test_the_command_knows_its_jobs() -> None:
    """`--only` and `--help`."""
    done = subprocess.run([sys.executable, "-m", "bench", "--only", "nothing"], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "linear" in done.stderr
