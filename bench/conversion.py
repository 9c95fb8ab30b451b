"""Logs converted once through: beside the peers on one CPU and on all, from an archive, more and more lines, and a large file in little memory."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from bench import corpus, report
from bench.measure import POLL, Child, Cost, Count, Failed, best, to_the_end, until_written
from bench.peers import Job, Peer, share_read
from bench.report import Row
from shipper import compiled

SHIPPER = (sys.executable, "-m", "shipper")
UNREAD = (b'"kind":"unparsed"', b'"kind":"text"')
"""What a record of ours has, in any profile, whose line could not be read."""

GiveUp = Callable[[str, str, Failed], None]
"""Is told who failed at what, and how; raises it where that must not be."""


class Contender(NamedTuple):
    """One program at its work: `run(log, output, state, lines, cpus)`; `share(output, lines)`: of its lines that it could read; `part`: of how
    many lines it gets one."""

    name: str
    how: str
    run: Callable[[Path, Path, Path, int, set[int]], Cost]
    share: Callable[[Path, int], float] | None = None
    part: int = 1


def convert(log: Path, output: Path, profile: str, jobs: int, cpus: set[int], *, python: bool = False) -> Cost:
    """One run of `shipper convert`; `python`: without the compiled twin."""
    return to_the_end(_command(log, output, profile, jobs), cpus=cpus, env={"SHIPPER_NATIVE": "0"} if python else {})


def _command(log: Path, output: Path, profile: str, jobs: int) -> list[str]:
    options = ["--profile", profile, "--jobs", str(jobs), "--timezone", "UTC", "--quiet"]
    return [*SHIPPER, "convert", str(log), "-o", str(output), *options]


def ours(profile: str, *, python: bool = False) -> Contender:
    """shipper, as many processes as CPUs."""

    def run(log: Path, output: Path, state: Path, lines: int, cpus: set[int]) -> Cost:
        return convert(log, output, profile, len(cpus), cpus, python=python)

    name = f"shipper, {profile}, plain Python" if python else f"shipper, {profile}"
    how = "convert, SHIPPER_NATIVE=0" if python else "convert"
    return Contender(name, how, run, share_of_ours, 4 if python else 1)


def apart(profile: str) -> Contender:
    """shipper, as many conversions at once as there are CPUs, one on each, of its own part of the log: what the machine itself gives for more CPUs,
    with its memory and its disk."""

    def run(log: Path, output: Path, state: Path, lines: int, cpus: set[int]) -> Cost:
        outputs = [output, *(output.with_name(f"{output.name}-{cpu}") for cpu in sorted(cpus)[1:])]
        parts = [state.with_name(f"{state.name}-{cpu}.log") for cpu in sorted(cpus)]
        for part in parts:
            corpus.head(log, part, max(1, lines // len(cpus)))
        children = [
            Child(_command(part, target, profile, 1), {cpu}) for part, target, cpu in zip(parts, outputs, sorted(cpus), strict=True)
        ]
        costs = [child.cost() for child in children]
        for path in (*parts, *outputs[1:]):
            path.unlink()
        for child in children:
            if child.code:
                raise child.failed(f"ended with {child.code}")
        return Cost(max(cost.wall for cost in costs), sum(cost.cpu for cost in costs), sum(cost.rss for cost in costs))

    return Contender(f"shipper, {profile}, apart", "convert, one for each CPU", run)


def theirs(peer: Peer, kind: str, job: Job = "read") -> Contender:
    """A peer that reads the log, or its archive; what unpacks it for the peer counts with it."""
    way = peer.ways[job]

    def run(log: Path, output: Path, state: Path, lines: int, cpus: set[int]) -> Cost:
        feed = ("zcat", str(log)) if way.into else ()
        into = state.with_suffix(".log") if way.into == "file" else None
        source = into or log
        command = peer.command(job, kind, state, source=source, target=output, cpus=len(cpus))
        output.unlink(missing_ok=True)
        count = Count(output, peer.mark)
        cost = until_written(command, cpus=cpus, count=count, wanted=lines, env=peer.environment(), feed=feed, into=into)
        if into is not None:
            into.unlink()
        return cost

    return Contender(peer.name, way.how, run, lambda output, lines: share_read(output, kind, lines), peer.part)


def floor(*command: str) -> Contender:
    """Only the bytes."""

    def run(log: Path, output: Path, state: Path, lines: int, cpus: set[int]) -> Cost:
        return to_the_end([*command, str(log)], cpus=cpus, output=output)

    return Contender("unpacking the bytes" if "zcat" in command else "copying the bytes", " ".join(command), run)


def floor_of_output() -> Contender:
    """Only the bytes of the JSON that shipper makes of the log."""

    def run(log: Path, output: Path, state: Path, lines: int, cpus: set[int]) -> Cost:
        made = log.with_suffix(".json")
        if not made.exists():
            convert(log, made, "native", len(cpus), cpus)
        return to_the_end(["cat", str(made)], cpus=cpus, output=output)

    return Contender("copying the JSON", "cat", run)


def share_of_ours(output: Path, lines: int) -> float:
    """The share of lines that shipper could read."""
    with output.open("rb") as stream:
        return sum(not any(mark in line for mark in UNREAD) for line in stream) / lines


def race(
    title: str,
    field: Sequence[Contender],
    log: Path,
    lines: int,
    runs: int,
    cpus: set[int],
    scratch: Path,
    give_up: GiveUp,
    *,
    packed: bool = False,
) -> list[Row]:
    """All contenders on one log, in turns, so that a slow minute of the machine hits all of them. Each reads one line as well, in every turn: that
    is its start."""
    folder = scratch / "race"
    folder.mkdir()
    output = folder / "output"

    def piece(count: int) -> Path:
        place = folder / f"{count}.log"
        if packed:
            place = place.with_suffix(".log.gz")
        if not place.exists():
            corpus.head(log, place.with_suffix("") if packed else place, count)
            if packed:
                subprocess.run(["gzip", "-6", str(place.with_suffix(""))], check=True)
        return place

    costs: dict[str, list[Cost]] = {contender.name: [] for contender in field}
    starts: dict[str, list[Cost]] = {contender.name: [] for contender in field}
    shares: dict[str, float] = {}
    lost: set[str] = set()
    for turn in range(runs):
        for number, contender in enumerate(field):
            if contender.name in lost:
                continue
            report.progress(f"{title}, run {turn + 1} of {runs}: {contender.name}")
            state, count = folder / f"{turn}-{number}", max(1, lines // contender.part)
            try:
                start = contender.run(piece(1), output, state.with_name(state.name + "-start"), 1, cpus)
                output.unlink()
                costs[contender.name].append(contender.run(piece(count), output, state, count, cpus))
            except Failed as failure:
                give_up(contender.name, title, failure)
                lost.add(contender.name)
                continue
            starts[contender.name].append(start)
            if contender.share and not turn:
                shares[contender.name] = contender.share(output, count)
            output.unlink()
    corpus.remove(folder)
    rows = []
    for one in field:
        if one.name in lost:
            continue
        start = best(starts[one.name])
        rows.append(Row(one.name, one.how, max(1, lines // one.part), best(costs[one.name]).without(start), start, shares.get(one.name)))
    return rows


def field(kind: str, peers: Sequence[Peer]) -> list[Contender]:
    """Everything that is measured on a log of this kind, the floor first."""
    plain = [ours("native", python=True)] if compiled.find().module else []
    return [
        floor("cat"),
        floor_of_output(),
        ours("native"),
        ours("ecs"),
        *plain,
        *[theirs(peer, kind) for peer in peers if "read" in peer.ways],
    ]


def field_of_archives(kind: str, peers: Sequence[Peer]) -> list[Contender]:
    return [floor("zcat"), ours("native"), ours("ecs"), *[theirs(peer, kind, "archive") for peer in peers if "archive" in peer.ways]]


def linearity(log: Path, lines: int, unit: int, runs: int, cpus: set[int], scratch: Path) -> list[Row]:
    """1, 2, 4 and 8 times `unit` lines, the same log over and over, or the first of it."""
    rows = []
    for times in (1, 2, 4, 8):
        wanted = unit * times
        report.progress(f"{wanted:,} lines")
        many = corpus.cycled(log, scratch / "many", lines, wanted)
        cost = best([convert(many, scratch / "output", "native", 1, cpus) for _ in range(runs)])
        many.unlink()
        (scratch / "output").unlink()
        rows.append(Row(f"{wanted:,} lines", "", wanted, cost))
    return rows


class Watched(NamedTuple):
    """The most memory of all processes together, as looked at many times a second."""

    name: str
    octets: int
    seconds: float
    peak: int


def memory(log: Path, lines: int, sizes: Sequence[int], scratch: Path) -> list[Watched]:
    """A log of so many octets, converted on one CPU and on all. Where all its bytes go is nowhere."""
    available = os.sched_getaffinity(0)
    found = []
    for octets in sizes:
        report.progress(f"a log of {octets / 1e6:,.0f} MB")
        many = corpus.cycled(log, scratch / "large", lines, max(1, lines * octets // log.stat().st_size))
        for jobs in sorted({1, len(available)}):
            options = ["--profile", "native", "--jobs", str(jobs), "--timezone", "UTC", "--quiet"]
            child = Child([*SHIPPER, "convert", str(many), *options], available)
            peak = 0
            while not child.ended():
                peak = max(peak, child.memory())
                time.sleep(4 * POLL)
            cost = child.cost()
            if child.code:
                raise child.failed(f"ended with {child.code}")
            found.append(Watched(f"convert --jobs {jobs}", many.stat().st_size, cost.wall, peak))
        many.unlink()
    return found
