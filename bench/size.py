"""Before the first record and after the last: how long a command takes to start, and the memory of a service that has nothing to do."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bench import report
from bench.following import PATIENCE, SHIPPER, free_port, run_command, status_of
from bench.measure import Child, Cost, best, to_the_end
from bench.sink import Sink

BEGUN = 2.0
"""Seconds after the start of a service."""


class Held(NamedTuple):
    """Octets of a service: what it has resident, and the same with what it shares counted by share."""

    resident: int
    share: int


def starts(log: Path, runs: int, cpus: set[int], scratch: Path) -> list[tuple[str, Cost]]:
    """(command, what its start costs): each of them with next to nothing to do, the best of so many. Raises Failed."""
    folder = Path(tempfile.mkdtemp(dir=scratch))
    line = folder / "line.log"
    with log.open("rb") as lines:
        line.write_bytes(lines.readline())
    config = run_command(folder, {"type": "file", "paths": [str(line)]}, {"type": "jsonl", "path": str(folder / "out")})[-2]
    commands = {
        "--help": ["--help"],
        "convert, one line": ["convert", "-q", "-o", str(folder / "out"), str(line)],
        "try": ["try", "--", line.read_text().rstrip("\n")],
        "explain": ["explain", "LOG_CONNECTION"],
        "check": ["check", config],
    }
    return [("python, nothing", _start([SHIPPER[0], "-c", "pass"], runs, cpus))] + [
        (name, _start([*SHIPPER, *arguments], runs, cpus)) for name, arguments in commands.items()
    ]


def _start(argv: Sequence[str], runs: int, cpus: set[int]) -> Cost:
    report.progress(f"start: {' '.join(argv[1:4])}")
    return best([to_the_end(argv, cpus=cpus) for _ in range(runs)])


def idle(log: Path, lines: int, settled: float, cpus: set[int], scratch: Path) -> list[tuple[str, Held, Held]]:
    """(output, before there is a log of so many lines, `settled` seconds after all of it is delivered) for the service, which gives memory back
    once no record has come for five. Raises Failed."""
    found = []
    for kind in ("jsonl", "otlp"):
        report.progress(f"an idle service, {kind}")
        folder = Path(tempfile.mkdtemp(dir=scratch))
        followed, port = folder / "mail.log", free_port()
        with Sink() as receiver:
            end = {"endpoint": f"http://127.0.0.1:{receiver.port}"} if kind == "otlp" else {"path": str(folder / "out")}
            child = Child(run_command(folder, {"type": "file", "paths": [str(followed)]}, {"type": kind, **end}, port), cpus)
            try:
                _until_delivered(child, port, 0)
                time.sleep(min(BEGUN, settled))
                before = Held(child.resident(), child.memory())
                followed.symlink_to(log)
                _until_delivered(child, port, lines)
                time.sleep(settled)
                found.append((kind, before, Held(child.resident(), child.memory())))
            finally:
                child.kill()
                child.cost()
    return found


def _until_delivered(child: Child, port: int, lines: int) -> None:
    """Waits until so many are."""
    seen, heard = -1, time.monotonic()
    while seen < lines:
        time.sleep(0.25)
        ledger = status_of(port).get("ledger", {})
        new = sum(int(each["delivered"]) for each in ledger.get("outputs", {}).values()) if ledger else -1
        if new > seen:
            seen, heard = new, time.monotonic()
        elif child.ended() or time.monotonic() - heard > PATIENCE:
            raise child.failed(f"{seen:,} of {lines:,} records are delivered")
