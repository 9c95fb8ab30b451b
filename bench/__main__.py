"""`python -m bench`: measures, prints the tables, and writes docs/performance.md.

One generated log for all, each program alone on one CPU, in turns, so that a slow minute of the machine hits all of them; medians of the runs.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from bench import corpus, peers, report
from bench.measure import Cost, Failed, middle, to_the_end, until_written

ROOT = Path(__file__).resolve().parent.parent
SHIPPER = [sys.executable, "-m", "shipper"]
KINDS = {"mta": "MTA log", "service": "service log"}
REFERENCE = "shipper, native"
UNREAD = (b'"kind":"unparsed"', b'"kind":"text"')
"""What a record of ours has, in any profile, whose line could not be read."""


class Contender(NamedTuple):
    """One program at its work: `run(log, output, state, lines)`; `unread`: what a line of its output has that it could not read;
    `part`: of how many lines it gets one."""

    name: str
    how: str
    run: Callable[[Path, Path, Path, int], Cost]
    unread: tuple[bytes, ...] = ()
    part: int = 1


def convert(log: Path, output: Path, profile: str, jobs: int, cpus: set[int]) -> Cost:
    options = ["--profile", profile, "--jobs", str(jobs), "--timezone", "UTC"]
    return to_the_end([*SHIPPER, "convert", str(log), "-o", str(output), *options], cpus=cpus)


def contenders(kind: str, cpus: set[int], found: list[peers.Peer]) -> list[Contender]:
    """Everything that is measured on a log of this kind, the floor first."""

    def ours(profile: str) -> Contender:
        def run(log: Path, output: Path, state: Path, lines: int) -> Cost:
            return convert(log, output, profile, 1, cpus)

        return Contender(f"shipper, {profile}", f"convert --profile {profile} --jobs 1", run, UNREAD)

    def theirs(peer: peers.Peer) -> Contender:
        def run(log: Path, output: Path, state: Path, lines: int) -> Cost:
            command = peer.command(kind, log, output, state)
            return until_written(command, cpus=cpus, output=output, lines=lines, env=peer.environment())

        return Contender(peer.name, peer.how, run, (b"{}\n", b'"unparsed-data"', b'"time":""'), peer.part)

    def copy(log: Path, output: Path, state: Path, lines: int) -> Cost:
        return to_the_end(["cat", str(log)], cpus=cpus, output=output)

    return [Contender("copying the bytes", "cat", copy), ours("native"), ours("ecs"), *map(theirs, found)]


def share_read(output: Path, marks: tuple[bytes, ...]) -> float:
    """The share of lines that the program could read."""
    read = count = 0
    with output.open("rb") as stream:
        for line in stream:
            count += 1
            read += not any(mark in line for mark in marks)
    return read / count if count else 0.0


def race(kind: str, log: Path, lines: int, runs: int, cpus: set[int], found: list[peers.Peer], scratch: Path) -> list[report.Row]:
    """All contenders on one log, in turns."""
    field = contenders(kind, cpus, found)
    costs: dict[str, list[Cost]] = {contender.name: [] for contender in field}
    shares: dict[str, float] = {}
    output = scratch / "output"
    pieces = {part: (scratch / f"{kind}-{part}.log", lines // part) for part in {contender.part for contender in field}}
    for piece, count in pieces.values():
        corpus.head(log, piece, count)
    for turn in range(runs):
        for contender in field:
            report.progress(f"{KINDS[kind]}, run {turn + 1} of {runs}: {contender.name}")
            state = scratch / f"{kind}-{turn}-{contender.name}"
            piece, count = pieces[contender.part]
            costs[contender.name].append(contender.run(piece, output, state, count))
            if contender.unread and not turn:
                shares[contender.name] = share_read(output, contender.unread)
            output.unlink()
    reference = middle(costs[REFERENCE]).cpu / lines
    return [
        report.Row(
            contender.name, contender.how, lines // contender.part, middle(costs[contender.name]), reference, shares.get(contender.name)
        )
        for contender in field
    ]


def linearity(log: Path, lines: int, runs: int, cpus: set[int], scratch: Path) -> list[report.Row]:
    """The same log once, twice, and four times over."""
    rows = []
    for times in (1, 2, 4):
        many = corpus.repeated(log, scratch / "many", times)
        report.progress(f"{lines * times:,} lines")
        cost = middle([convert(many, scratch / "output", "native", 1, cpus) for _ in range(runs)])
        rows.append(report.Row(f"{lines * times:,} lines", "", lines * times, cost, 0.0, None))
    return rows


def all_cpus(log: Path, lines: int, runs: int, scratch: Path) -> list[report.Row]:
    """`--jobs` of 1, and of all CPUs that we may use, on a log four times as long."""
    available = os.sched_getaffinity(0)
    many = corpus.repeated(log, scratch / "many", 4)
    rows = []
    for jobs in sorted({1, len(available)}):
        report.progress(f"--jobs {jobs}")
        cost = middle([convert(many, scratch / "output", "native", jobs, available) for _ in range(runs)])
        rows.append(report.Row(f"--jobs {jobs}", "", lines * 4, cost, 0.0, None))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="How fast shipper reads logs, beside what else could read them here."
    )
    parser.add_argument("--lines", type=int, default=200_000, help="lines of each log (default %(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each program; medians count (default %(default)s)")
    parser.add_argument("--mta", type=Path, help="an MTA log of your own instead of the generated one")
    parser.add_argument("--service", type=Path, help="a service log of your own instead of the generated one")
    parser.add_argument("--no-peers", action="store_true", help="shipper alone")
    parser.add_argument(
        "--output", type=Path, default=ROOT / "docs" / "performance.md", help="where the report goes (default docs/performance.md)"
    )
    options = parser.parse_args()

    found, missing = ([], "left out") if options.no_peers else peers.installed()
    one = {max(os.sched_getaffinity(0))}
    document = report.Document(options.lines, options.runs, found, missing)
    with tempfile.TemporaryDirectory(prefix="shipper-bench-") as name:
        scratch = Path(name)
        report.progress("generating logs")
        own = {"mta": options.mta, "service": options.service}
        made = {} if all(own.values()) else corpus.generated(SHIPPER, scratch, options.lines)
        logs: dict[str, tuple[Path, int]] = {}
        for kind, title in KINDS.items():
            log = scratch / f"{kind}-cut.log"
            lines = corpus.head(own[kind] or made[kind], log, options.lines)
            logs[kind] = log, lines
            document.race(title, log, lines, race(kind, log, lines, options.runs, one, found, scratch))
        document.linearity(linearity(*logs["mta"], options.runs, one, scratch))
        document.all_cpus(all_cpus(*logs["mta"], options.runs, scratch))
    document.save(options.output)


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(f"bench: {failure}")
    except KeyboardInterrupt:
        sys.exit(130)
