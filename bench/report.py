"""The tables: on the terminal as they come, and together, with machine and versions, as docs/performance.md."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from bench.measure import Cost
from bench.peers import Peer
from shipper import __version__

INTRODUCTION = """\
# Performance

Written by `make bench`; run it where you want to know. All programs read the same generated log, each alone on one CPU and in turns, from the
page cache to a file; a figure is the median of the runs. CPU time is the whole process's, user and system, its start included. **Read the
ratios**: they hold on other machines, the absolute figures do not.

- *copying the bytes* is `cat`: what reading and writing cost without looking inside.
- The peers do what their users set up for such a log: the files in `bench/peers/` are their configurations. They do less: neither converts a
  date or a number, nor tells a queue's name from its attempt, nor makes an id. rsyslog is there twice, with rules and with a regular expression,
  which it runs again for each field; that one gets a twentieth of the lines. *read* is the share of lines that a program did not give up on.
- shipper is plain Python here, with msgspec for the JSON.
"""


class Row(NamedTuple):
    """One program on one log. `reference`: CPU seconds a line that the ratio is to; `read`: the share of the lines that it could read, None
    where it reads none."""

    name: str
    how: str
    lines: int
    cost: Cost
    reference: float
    read: float | None

    def per_second(self) -> str:
        return f"{self.lines / self.cost.wall:,.0f}"

    def per_line(self) -> str:
        return f"{self.cost.cpu / self.lines * 1e6:.2f}"

    def ratio(self) -> str:
        return f"{(self.cost.cpu / self.lines) / self.reference:.2f}"

    def memory(self) -> str:
        return f"{self.cost.rss / 1e6:.0f}"


class Document:
    """Collects what was measured; each part is printed at once."""

    def __init__(self, lines: int, runs: int, peers: Sequence[Peer], missing: str) -> None:
        self._parts = [INTRODUCTION, _surroundings(runs, peers, missing)]
        self._say(self._parts[1])

    def race(self, title: str, log: Path, lines: int, rows: Sequence[Row]) -> None:
        """One log, all programs."""
        heads = ("", "lines/s", "CPU µs/line", "CPU, shipper native = 1", "read", "MB", "how")
        table = [
            (row.name, row.per_second(), row.per_line(), row.ratio(), "" if row.read is None else f"{row.read:.2%}", row.memory(), row.how)
            for row in rows
        ]
        self._add(f"## {title}\n\n{lines:,} lines of {log.stat().st_size / lines:.0f} bytes, one CPU.\n\n{_table(heads, table)}")

    def linearity(self, rows: Sequence[Row]) -> None:
        """One program, more and more lines."""
        table = [(row.name, f"{row.cost.cpu:.2f}", row.per_line(), row.memory()) for row in rows]
        heads = ("MTA log to native", "CPU s", "CPU µs/line", "MB")
        self._add(f"## Twice the lines, twice the time\n\nOne CPU.\n\n{_table(heads, table)}")

    def all_cpus(self, rows: Sequence[Row]) -> None:
        """One program, on one CPU and on all; times are of the wall clock."""
        table = [(row.name, row.per_second(), row.per_line(), f"{rows[0].cost.wall / row.cost.wall:.2f}") for row in rows]
        heads = ("MTA log to native", "lines/s", "CPU µs/line", "times as fast")
        self._add(f"## All CPUs\n\n{rows[0].lines:,} lines; the output's order of the lines is kept.\n\n{_table(heads, table)}")

    def save(self, path: Path) -> None:
        """Writes the whole report."""
        path.write_text("\n".join(self._parts))
        self._say(f"written to {path}")

    def _add(self, part: str) -> None:
        self._parts.append(part)
        self._say(part)

    def _say(self, text: str) -> None:
        progress("")
        print(text, flush=True)


def progress(text: str) -> None:
    """What is going on, on a terminal only; the next text takes its place."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def _surroundings(runs: int, peers: Sequence[Peer], missing: str) -> str:
    count = len(os.sched_getaffinity(0))
    versions = sorted({f"{peer.name.partition(',')[0]} {peer.version}" for peer in peers})
    facts = [
        ("date", datetime.now(UTC).strftime("%Y-%m-%d")),
        ("shipper", f"{__version__} on {platform.python_implementation()} {platform.python_version()}"),
        ("machine", f"{_processor()}, {count} CPUs, {platform.system()} {platform.release().split('-')[0]}"),
        ("peers", ", ".join(versions) or f"skipped: rsyslog, syslog-ng ({missing})"),
        ("runs", str(runs)),
    ]
    return _table(("", "measured"), facts)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A markdown table with its columns lined up; figures to the right."""
    widths = [max(len(row[column]) for row in [heads, *rows]) for column in range(len(heads))]
    right = [column > 0 and all(not row[column] or row[column][0].isdigit() for row in rows) for column in range(len(heads))]

    def line(cells: Sequence[str]) -> str:
        fitted = [cell.rjust(width) if to_right else cell.ljust(width) for cell, width, to_right in zip(cells, widths, right, strict=True)]
        return "| " + " | ".join(fitted) + " |"

    rule = "|" + "|".join("-" * (width + 1) + (":" if to_right else "-") for width, to_right in zip(widths, right, strict=True)) + "|"
    return "\n".join([line(heads), rule, *map(line, rows), ""])
