"""A log followed into JSON lines and to an OTLP receiver, with positions kept, beside the peers; and records that wait for a dead receiver.

Every program is one on one CPU, and gets the log as a mail server writes it: some lines are there when it starts, and when it has delivered
them all others are appended at once. What those cost is measured, so its start counts for none. The rate is that from the first of them to
the last; how soon a program notices that there is something new is another matter. Half a second more of CPU time is counted, for what is done
behind: positions, answers.
"""

from __future__ import annotations

import http.client
import json
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from bench import report
from bench.measure import POLL, Child, Cost, Count
from bench.peers import Job, Peer
from bench.report import Row
from bench.sink import Sink

SHIPPER = (sys.executable, "-m", "shipper")
PATIENCE = 120.0
BEHIND = 0.5
"""Seconds that are counted after the last record."""


class Follower(NamedTuple):
    """One program: `start(folder, log, target)` writes its configuration into the folder and says how it is started; `part`: of how many lines
    it gets one."""

    name: str
    how: str
    start: Callable[[Path, Path, object], Sequence[str]]
    env: dict[str, str] = {}  # noqa: RUF012
    mark: bytes = b"\n"
    part: int = 1


def run_command(folder: Path, inputs: Mapping[str, object], output: Mapping[str, object], port: int = 0) -> list[str]:
    """The service of ours with this input and output."""
    config = folder / "shipper.yaml"
    http = {"telemetry": {"http": f"127.0.0.1:{port}" if port else "off"}}
    config.write_text(
        json.dumps({"state": str(folder / "state"), "timezone": "UTC", "inputs": {"in": inputs}, "outputs": {"out": output}, **http})
    )
    return [*SHIPPER, "run", str(config), "--allow-root"]


def ours(profile: str, buffer: str) -> Follower:
    def start(folder: Path, log: Path, target: object) -> Sequence[str]:
        output: dict[str, object] = {"type": "otlp", "endpoint": f"http://127.0.0.1:{target}"}
        if profile != "otlp":
            output = {"type": "jsonl", "path": str(target), "profile": profile}
        return run_command(folder, {"type": "file", "paths": [str(log)]}, {**output, "buffer": {"kind": buffer}})

    return Follower(f"shipper, {profile}, buffer in memory" if buffer == "memory" else f"shipper, {profile}, buffer on disk", "run", start)


def theirs(peer: Peer, kind: str, job: Job) -> Follower:
    def start(folder: Path, log: Path, target: object) -> Sequence[str]:
        return peer.command(job, kind, folder / "state", source=log, target=target)

    # There are fewer lines to begin with than of a log that is read once.
    return Follower(peer.name, peer.ways[job].how, start, peer.environment(), peer.mark, max(1, peer.part // 8))


def followers(kind: str, peers: Sequence[Peer]) -> list[Follower]:
    """Log to JSON lines in a file."""
    own = [ours("native", "memory"), ours("ecs", "memory"), ours("native", "disk")]
    return own + [theirs(peer, kind, "tail") for peer in peers if "tail" in peer.ways]


def senders(kind: str, peers: Sequence[Peer]) -> list[Follower]:
    """Log to an OTLP receiver."""
    return [ours("otlp", "memory"), ours("otlp", "disk")] + [theirs(peer, kind, "otlp") for peer in peers if "otlp" in peer.ways]


def follow(one: Follower, log: Path, lines: int, cpus: set[int], scratch: Path, *, sink: bool = False) -> Row:
    """What the lines after the first ones cost, of so many in all."""
    folder = Path(tempfile.mkdtemp(dir=scratch))
    first = max(1, min(1000, lines // 10))
    followed = folder / "log" / "mail.log"
    followed.parent.mkdir()
    with log.open("rb") as source:
        begin, rest = (b"".join(islice(source, count)) for count in (first, lines - first))
    followed.write_bytes(begin)
    if not sink:
        count = Count(folder / "output", one.mark)
        try:
            return _follow(one, one.start(folder, followed, folder / "output"), count.now, followed, rest, first, lines, cpus)
        finally:
            count.close()
    with Sink() as receiver:
        return _follow(one, one.start(folder, followed, receiver.port), lambda: receiver.records, followed, rest, first, lines, cpus)


def _follow(
    one: Follower, command: Sequence[str], now: Callable[[], int], log: Path, rest: bytes, first: int, lines: int, cpus: set[int]
) -> Row:
    child = Child(command, cpus, one.env)
    try:
        _wait(child, now, first)
        time.sleep(BEHIND)
        seen, cpu = now(), child.cpu()
        with log.open("ab", buffering=0) as sink:
            sink.write(rest)
        came = _wait(child, now, lines, seen)
        time.sleep(BEHIND)
        cpu = child.cpu() - cpu
    finally:
        child.kill()
        rss = child.cost().rss
    # The rate is of those that came after the first of them were seen; it is stretched to all, for the row.
    after, seconds = lines - came[0][1], came[-1][0] - came[0][0]
    wall = seconds * (lines - first) / after if after > 0 else 0.0
    return Row(one.name, one.how, lines - first, Cost(wall, cpu, rss))


def _wait(child: Child, now: Callable[[], int], wanted: int, seen: int = 0) -> list[tuple[float, int]]:
    """Waits for so many records, and says when there were how many. Raises Failed when none comes for a while."""
    came: list[tuple[float, int]] = []
    heard = time.monotonic()
    while seen < wanted:
        new = now()
        if new > seen:
            seen, heard = new, time.monotonic()
            came.append((heard, seen))
        elif child.ended() or time.monotonic() - heard > PATIENCE:
            raise child.failed(f"delivered {seen} of {wanted} records")
        else:
            time.sleep(POLL)
    return came


def waiting(log: Path, count: int, cpus: set[int], scratch: Path) -> Cost:
    """Reads a log of so many lines for an OTLP receiver that is not there, until all of them wait. Raises Failed."""
    report.progress(f"{count:,} records for a receiver that is not there")
    folder = Path(tempfile.mkdtemp(dir=scratch))
    status, nobody = free_port(), free_port()
    output = {"type": "otlp", "endpoint": f"http://127.0.0.1:{nobody}", "buffer": {"kind": "disk", "size": "64GiB"}}
    child = Child(run_command(folder, {"type": "file", "paths": [str(log)]}, output, status), cpus)
    heard, seen = time.monotonic(), -1
    try:
        while seen < count:
            time.sleep(0.25)
            books = [each.get("books", each) for each in status_of(status).get("outputs", {}).values()]
            new = sum(int(each.get("waiting", 0)) for each in books)
            if new > seen:
                seen, heard = new, time.monotonic()
            elif child.ended() or time.monotonic() - heard > PATIENCE:
                raise child.failed(f"{seen:,} of {count:,} records wait")
    finally:
        child.kill()
        cost = child.cost()
    return cost


def status_of(port: int) -> dict[str, Any]:
    """What the service says of itself; `{}` while it does not answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/status")
        return dict(json.loads(connection.getresponse().read()))
    except (OSError, ValueError, http.client.HTTPException):
        return {}
    finally:
        connection.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as end:
        return int(end.getsockname()[1])
