"""`python -m bench`: measures, prints the tables, and writes them into docs/performance.md, whose prose it leaves as it is.

All programs read the same generated log, in turns; the best of the runs counts. A program on one CPU has it to itself: the benchmark itself, and
what sends or receives for a program, is on the others, where there are some.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from bench import conversion, corpus, following, peers, report, shares, size, udp
from bench.measure import Failed
from bench.report import Row, megabytes, number, ratio
from shipper import compiled

PAGE = Path(__file__).resolve().parent.parent / "docs" / "performance.md"
KINDS = {"mta": "MTA log", "service": "service log"}
FORMATS = {4: "MTA log in XML", 5: "MTA log in JSON"}
"""By LOG_FORMAT."""


SLOW = 20
"""Peers that get one of so many lines, or fewer, are on one CPU only."""


class Sizes(NamedTuple):
    """How much of everything: lines that are generated, and those of a log, which has these over and over; runs; lines that are followed; for how
    many seconds, and at how many rates, datagrams are sent; octets of the large file; records that wait; the unit of linearity; seconds
    that an idle service gets to give memory back; whether messages of another program are sent, too."""

    generated: int
    lines: int
    runs: int
    followed: int
    seconds: float
    steps: int
    large: int
    waiting: int
    unit: int
    settled: float
    others: bool

    def __str__(self) -> str:
        return f"{self.lines:,} lines, best of {self.runs}; {self.followed:,} lines followed; UDP {self.seconds:g} s a rate"


SMALL = Sizes(2_000, 2_000, 1, 2_000, 0.2, 2, 1 << 20, 2_000, 1_000, 0.5, False)
USUAL = Sizes(200_000, 400_000, 2, 100_000, 1.5, 5, 200_000_000, 200_000, 200_000, 7.0, False)
FULL = Sizes(1_000_000, 1_000_000, 3, 1_000_000, 3.0, 7, 2_000_000_000, 1_000_000, 1_000_000, 7.0, True)


class Bench:
    """One run of the benchmark: its logs, sizes and peers, and a method for each table."""

    def __init__(
        self,
        sizes: Sizes,
        logs: dict[str, tuple[Path, int]],
        found: Sequence[peers.Peer],
        missing: list[str],
        document: report.Document,
        scratch: Path,
    ) -> None:
        self.sizes, self.logs, self.found, self.missing, self.document, self.scratch = sizes, logs, found, missing, document, scratch
        self.all = os.sched_getaffinity(0)
        self.one = {max(self.all)}
        self._alone: dict[str, list[Row]] = {}

    def run(self, names: Sequence[str]) -> None:
        jobs: dict[str, Callable[[], None]] = {
            "convert": self.convert,
            "formats": self.formats,
            "cores": self.cores,
            "archive": self.archive,
            "tail": self.tail,
            "otlp": self.otlp,
            "udp": self.udp,
            "memory": self.memory,
            "linear": self.linear,
            "start": self.start,
            "idle": self.idle,
            "shares": self.shares,
        }
        for name in names:
            jobs[name]()

    def give_up(self, name: str, job: str, failure: Failed) -> None:
        """A peer that fails is left out, and named. We must not fail. Raises Failed."""
        if name.startswith("shipper"):
            raise failure
        self.missing.append(f"{name}: {job}, it failed")
        print(f"bench: {job}: {failure}", file=sys.stderr)

    def convert(self) -> None:
        """A log to JSON, on one CPU."""
        for kind, title in KINDS.items():
            log, lines = self.logs[kind]
            rows = conversion.race(
                title, conversion.field(kind, self.found), log, lines, self.sizes.runs, self._apart(self.one), self.scratch, self.give_up
            )
            self._alone[kind] = rows
            caption = f"{KINDS[kind]} → JSON: {lines:,} lines of {log.stat().st_size / lines:.0f} bytes, one CPU."
            self.document.add(kind, caption, *_race(rows))

    def formats(self) -> None:
        """The MTA's other formats, which no peer has an expression for."""
        lines = self.sizes.lines // 8
        for log_format, title in FORMATS.items():
            report.progress(f"generating {title}")
            log = corpus.in_format(conversion.SHIPPER, self.scratch, log_format, lines)
            octets = log.stat().st_size / lines
            field, cpus = conversion.field("mta", ()), self._apart(self.one)
            rows = conversion.race(title, field, log, lines, self.sizes.runs, cpus, self.scratch, self.give_up)
            log.unlink()
            self.document.add("formats", f"{title} → JSON: {lines:,} lines of {octets:.0f} bytes, one CPU.", *_race(rows))

    def cores(self) -> None:
        """The same on all CPUs."""
        if len(self.all) < 2:
            return
        for kind, title in KINDS.items():
            log, lines = self.logs[kind]
            many = corpus.repeated(log, self.scratch / "many", 2)
            field = [one for one in conversion.field(kind, self.found) if one.share and one.part < SLOW]
            field.insert(1, conversion.apart("native"))
            field = [one if one.part == 1 else one._replace(part=2 * one.part) for one in field]  # as many lines as on one CPU
            alone = {row.name: row for row in self._alone.get(kind, [])}
            alone |= {f"{name}, apart": row for name, row in alone.items()}
            rows = conversion.race(f"{title}, all CPUs", field, many, 2 * lines, self.sizes.runs, self.all, self.scratch, self.give_up)
            many.unlink()
            table = [
                (
                    row.name,
                    number(row.rate, ",.0f"),
                    number(row.each * 1e6, ".2f"),
                    ratio(row.each, rows[0].each),
                    ratio(row.rate, alone[row.name].rate) if row.name in alone else report.NONE,
                    ratio(row.rate, len(self.all) * alone[row.name].rate) if row.name in alone else report.NONE,
                )
                for row in rows
            ]
            heads = ("", "lines/s", "CPU µs/line", "CPU, shipper = 1", "times one CPU", "of linear")
            self.document.add("cores", f"{title} → JSON: {2 * lines:,} lines, or the first of them, {len(self.all)} CPUs.", heads, table)

    def archive(self) -> None:
        """A .gz to JSON, on one CPU; what unpacks is on it, too."""
        log, lines = self.logs["mta"]
        rows = conversion.race(
            "archive",
            conversion.field_of_archives("mta", self.found),
            log,
            lines,
            self.sizes.runs,
            self.one,
            self.scratch,
            self.give_up,
            packed=True,
        )
        self.document.add("archive", f"MTA log.gz → JSON: {lines:,} lines, one CPU for all that takes part.", *_race(rows))

    def tail(self) -> None:
        """A log followed into a file."""
        self._follow("tail", "MTA log followed → JSON lines", following.followers("mta", self.found), sink=False)

    def otlp(self) -> None:
        """A log followed to a receiver."""
        self._follow(
            "otlp", "MTA log followed → OTLP over HTTP, gzip, to a receiver that counts", following.senders("mta", self.found), sink=True
        )

    def _follow(self, name: str, title: str, field: Sequence[following.Follower], *, sink: bool) -> None:
        log, lines = self.logs["mta"]
        followed = self.sizes.followed
        many = corpus.cycled(log, self.scratch / "followed", lines, followed)
        rows = []
        for one in field:
            report.progress(f"{title}: {one.name}")
            try:
                rows.append(following.follow(one, many, max(1, followed // one.part), self._apart(self.one), self.scratch, sink=sink))
            except Failed as failure:
                self.give_up(one.name, title, failure)
        many.unlink()
        heads = ("", "records/s", "CPU µs/record", "CPU, shipper = 1", "MB", "lines", "how")
        table = [
            (
                row.name,
                number(row.rate, ",.0f"),
                number(row.each * 1e6, ".2f"),
                ratio(row.each, rows[0].each),
                megabytes(row.cost.rss),
                f"{row.records:,}",
                row.how,
            )
            for row in rows
        ]
        self.document.add(name, f"{title}: {followed:,} lines, or the first of them, one CPU.", heads, table)

    def udp(self) -> None:
        """Datagrams without loss."""
        log, lines = self.logs["mta"]
        kinds = {"MTA records behind a syslog header": udp.messages(log, min(lines, 5000))}
        if self.sizes.others:
            kinds["messages of another program"] = [udp.OTHER]
        for title, bodies in kinds.items():
            found = []
            for one in udp.receivers(self.found):
                try:
                    found.append(udp.measure(one, bodies, self.sizes.seconds, self.sizes.steps, self._apart(self.one), self.scratch))
                except Failed as failure:
                    self.give_up(one.name, "UDP", failure)
            first = found[0].best
            reference = first.cpu / first.sent if first else 0.0
            table = [
                (
                    each.name,
                    f"{'≥ ' if each.limited else ''}{each.best.rate:,.0f}" if each.best else report.NONE,
                    number(each.best.cpu / each.best.sent * 1e6, ".2f") if each.best else report.NONE,
                    ratio(each.best.cpu / each.best.sent, reference) if each.best else report.NONE,
                    megabytes(each.rss),
                    each.how,
                )
                for each in found
            ]
            heads = ("", "datagrams/s without loss", "CPU µs/datagram", "CPU, shipper = 1", "MB", "how")
            size = sum(map(len, bodies)) // len(bodies)
            self.document.add("udp", f"UDP → JSON lines: {title}, {size} octets, {self.sizes.seconds:g} s a rate, one CPU.", heads, table)

    def memory(self) -> None:
        """A large file, and a receiver that is not there."""
        log, lines = self.logs["mta"]
        sizes = (self.sizes.large // 10, self.sizes.large)
        table = [
            (f"{one.name}, {one.octets / 1e6:,.0f} MB", megabytes(one.peak), f"{one.seconds:,.1f}")
            for one in conversion.memory(log, lines, sizes, self.scratch)
        ]
        for count in (self.sizes.waiting // 10, self.sizes.waiting):
            many = corpus.cycled(log, self.scratch / "waiting", lines, count)
            found = following.waiting(many, count, self.one, self.scratch)
            many.unlink()
            table.append((f"run, {count:,} records waiting for a dead receiver", megabytes(found.rss), f"{found.wall:,.1f}"))
        self.document.add("memory", "Memory of all processes of a run together.", ("", "MB at most", "seconds"), table)

    def start(self) -> None:
        """Commands with next to nothing to do."""
        table = [
            (name, f"{cost.wall * 1e3:.0f}", f"{cost.cpu * 1e3:.0f}")
            for name, cost in size.starts(self.logs["mta"][0], 2 * self.sizes.runs, self.one, self.scratch)
        ]
        self.document.add("start", f"Best of {2 * self.sizes.runs} starts.", ("", "ms", "CPU ms"), table)

    def idle(self) -> None:
        """The service with nothing to do."""
        log, lines = self.logs["mta"]
        wanted = self.sizes.followed // 2
        followed = corpus.cycled(log, self.scratch / "idle", lines, wanted)
        table = [
            (f"{kind}, {when}", megabytes(held.resident), megabytes(held.share))
            for kind, before, after in size.idle(followed, wanted, self.sizes.settled, self.one, self.scratch)
            for when, held in (("before any record", before), (f"after {wanted:,} records", after))
        ]
        self.document.add("idle", "One input, one output.", ("", "resident, MB", "share (PSS), MB"), table)

    def shares(self) -> None:
        """What users feed in, and how much of it the compiled twin does."""
        module = compiled.find().module
        if module is None:
            return
        lines = min(self.sizes.generated, 20_000)
        logs = shares.Logs(conversion.SHIPPER, self.scratch, lines)
        table = []
        for kind, with_twin, plain in shares.rows(logs, module, self.sizes.runs):
            report.progress(kind.name)
            figures = [number(one.seconds / one.lines * 1e6, ".1f") for one in (with_twin, plain)]
            table.append((kind.name, f"{with_twin.share:.1%}", *figures, f"{with_twin.lines:,}"))
        heads = ("", "of the twin", "CPU µs/line", "plain Python", "lines")
        self.document.add("shares", f"Logs of a server that writes about {lines:,} lines.", heads, table)

    def linear(self) -> None:
        """Twice the lines, twice the time."""
        log, lines = self.logs["mta"]
        rows = conversion.linearity(log, lines, self.sizes.unit, max(1, self.sizes.runs - 1), self.one, self.scratch)
        table = [
            (row.name, f"{row.cost.cpu:.2f}", number(row.each * 1e6, ".2f"), ratio(row.cost.cpu, rows[0].cost.cpu), megabytes(row.cost.rss))
            for row in rows
        ]
        heads = ("", "CPU s", "CPU µs/line", "CPU, first = 1", "MB")
        self.document.add("linear", "MTA log → native JSON, one CPU, start included.", heads, table)

    def _apart(self, cpus: set[int]) -> set[int]:
        """These CPUs for the program, the others for us."""
        if self.all - cpus:
            os.sched_setaffinity(0, self.all - cpus)
        return cpus


def _race(rows: Sequence[Row]) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Heads and lines of a table; the ratios are to the floor, which is the first, and to the first that reads."""
    copied, ours = rows[0], next(row for row in rows if row.read is not None)
    heads = ("", "lines/s", "CPU µs/line", "CPU, shipper = 1", "CPU, bytes = 1", "start ms", "read", "MB", "lines", "how")
    return heads, [
        (
            row.name,
            number(row.rate, ",.0f"),
            number(row.each * 1e6, ".2f"),
            ratio(row.each, ours.each),
            ratio(row.each, copied.each, ".1f"),
            f"{row.start.cpu * 1e3:.0f}" if row.start else "",
            "" if row.read is None else f"{row.read:.2%}",
            megabytes(row.cost.rss),
            f"{row.records:,}",
            row.how,
        )
        for row in rows
    ]


JOBS = ("convert", "formats", "cores", "archive", "tail", "otlp", "udp", "memory", "linear", "start", "idle", "shares")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description="How fast shipper is, beside what else could do the same here.")
    parser.add_argument("--small", action="store_true", help="only whether it works, in less than a minute")
    parser.add_argument("--full", action="store_true", help="more of everything, for half an hour")
    parser.add_argument("--only", nargs="+", choices=JOBS, default=JOBS, metavar="JOB", help=f"some tables: {', '.join(JOBS)}")
    parser.add_argument("--lines", type=int, help="lines of each log")
    parser.add_argument("--runs", type=int, help="runs of each program; the best counts")
    parser.add_argument("--large", type=int, metavar="MB", help="size of the large file whose conversion's memory is measured")
    parser.add_argument("--mta", type=Path, help="an MTA log of your own instead of the generated one")
    parser.add_argument("--service", type=Path, help="a service log of your own instead of the generated one")
    parser.add_argument("--no-peers", action="store_true", help="shipper alone")
    parser.add_argument("--output", type=Path, default=PAGE, help="where the report goes (default docs/performance.md)")
    options = parser.parse_args()

    sizes = SMALL if options.small else FULL if options.full else USUAL
    sizes = sizes._replace(
        lines=options.lines or sizes.lines, runs=options.runs or sizes.runs, large=(options.large or 0) * 10**6 or sizes.large
    )
    found, missing = ([], ["peers, as asked"]) if options.no_peers else peers.installed()
    available = os.sched_getaffinity(0)
    if len(available) < 2:
        missing.append("all CPUs: there is one")
    document = report.Document()
    load = os.getloadavg()[0]

    def surroundings(missing: Sequence[str]) -> list[tuple[str, str]]:
        return report.surroundings(str(sizes), found, missing, load, len(available))

    print(report.table(("", "measured"), surroundings(missing)), flush=True)
    with tempfile.TemporaryDirectory(prefix="shipper-bench-") as name:
        scratch = Path(name)
        report.progress("generating logs")
        own = {"mta": options.mta, "service": options.service}
        made = {} if all(own.values()) else corpus.generated(conversion.SHIPPER, scratch, min(sizes.lines, sizes.generated))
        logs: dict[str, tuple[Path, int]] = {}
        for kind in KINDS:
            log = scratch / f"{kind}-cut.log"
            logs[kind] = log, corpus.cut(own[kind] or made[kind], log, sizes.lines)
        bench = Bench(sizes, logs, found, missing, document, scratch)
        for job in options.only:
            os.sched_setaffinity(0, available)
            bench.run([job])
    document.add("machine", "", ("", "measured"), surroundings(missing))
    document.save(PAGE, options.output)


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(f"bench: {failure}")
    except KeyboardInterrupt:
        sys.exit(130)
