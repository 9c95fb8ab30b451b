"""What is seen of the service: metrics under their documented names, live records that never hold up delivery."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from shipper.inputs.syslog.counts import Counts
from shipper.record import Mta, Service
from shipper.telemetry import COUNTERS, GAUGES, Metrics, Number, Tap, conditions, of_input

OPERATING = Path(__file__).resolve().parent.parent / "docs" / "operating.md"


class Seen:
    """A service that stands still."""

    def __init__(self) -> None:
        self.taps: set[Tap] = set()
        self.asked = 0

    def numbers(self) -> Iterable[Number]:
        self.asked += 1
        for name in (*COUNTERS, *GAUGES):
            yield Number(name, 7, {"input": "mail"})

    def status(self) -> dict[str, Any]:
        return {}

    def down(self) -> dict[str, str]:
        return {}


def test_every_metric_is_there_and_documented() -> None:
    """Each under its name, with a help text; counters end in _total; nothing else is exposed; docs/operating.md has each."""
    seen = Seen()
    metrics = Metrics(seen)
    text = metrics.text().decode()
    found = set(re.findall(r'^(\w+)\{input="mail"\} 7\.0$', text, re.MULTILINE))
    assert found == {f"{name}_total" for name in COUNTERS} | set(GAUGES)
    assert set(re.findall(r"^# HELP (\w+) \S", text, re.MULTILINE)) == found
    page = OPERATING.read_text().replace("`, `_seconds`", "` `shipper_input_lag_seconds`")
    for name in found:
        assert f"`{name}`" in page, name
    metrics.text()
    assert seen.asked == 2, "the numbers are read off once for each look"
    metrics.close()


def test_what_inputs_count_is_a_metric() -> None:
    """Every count of a syslog input and of one that follows files: under a name of its own, or as an event; no value is shown twice."""
    counts = {name: number for number, name in enumerate((*Counts.__slots__, "open"), 1)}
    numbers = list(of_input("net", counts))
    assert sorted(number.value for number in numbers) == sorted(counts.values())
    assert {number.name for number in numbers} <= {*COUNTERS, *GAUGES}
    assert len({(number.name, *number.labels.items()) for number in numbers}) == len(numbers)
    shown = {(number.name, number.labels.get("reason", "")): number.value for number in numbers}
    assert shown["shipper_input_kernel_drops", ""] == counts["kernel_drops"]
    assert shown["shipper_input_refused", "tls"] == counts["failed"]
    assert shown["shipper_input_open_connections", ""] == counts["open"]


def test_two_services_in_one_process_have_metrics_of_their_own() -> None:
    """No global registry."""
    one, two = Metrics(Seen()), Metrics(Seen())
    assert one.text() == two.text()
    one.close()
    two.close()


def test_our_metrics_go_out_by_otlp() -> None:
    """To the collector's /v1/metrics, with the headers of the configuration; at the latest at the end."""
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http.metric_exporter")
    got: list[tuple[str, str, bytes]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append((self.path, self.headers["x-token"], self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        metrics = Metrics(Seen(), endpoint=f"http://127.0.0.1:{server.server_port}", headers={"x-token": "t"}, interval=3600)
        metrics.close()
        server.shutdown()
    assert [(path, token) for path, token, _ in got] == [("/v1/metrics", "t")]
    assert b"shipper_records_read" in got[0][2]


def test_a_tap_has_what_fits_and_nobody_waits_for_it() -> None:
    """Records that fit all conditions; what a slow watcher misses is counted and told."""

    async def run() -> list[bytes]:
        tap = Tap(conditions([("kind", "mta"), ("code", "E,Q"), ("input", "mail")]))
        wanted = Mta(code="E")
        for _ in range(203):
            tap.offer([wanted, Mta(code="D"), Service(service="imap")], "mail", 0)
        tap.offer([wanted], "other", 0)
        lines = tap.lines()
        pieces = [await anext(lines) for _ in range(201)]
        tap.offer([wanted], "mail", 0)
        pieces.append(await anext(lines))
        return pieces

    first, *rest = asyncio.run(run())
    assert first == b'{"kind":"mta","code":"E"}\n'
    assert rest.count(first) == 200
    assert [piece for piece in rest if piece.startswith(b"#")] == [
        b"# 3 records were not shown: they came faster than they could be written\n"
    ]


def test_conditions_that_cannot_be_are_refused() -> None:
    """An unknown field, a number that is none: said in words."""
    assert conditions([("pid", "7"), ("pid", "8"), ("authenticated", "true")]) == {
        "pid": frozenset((7, 8)),
        "authenticated": frozenset((True,)),
    }
    for pair, says in ((("sneder", "x"), "no field 'sneder'"), (("pid", "x"), "is a number")):
        with pytest.raises(ValueError, match=says):
            conditions([pair])
