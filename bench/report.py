"""The tables: on the terminal as they come, and together in docs/performance.md, each in its place among prose that stays as it is.

A place is all between `<!-- bench: NAME -->` and `<!-- end -->`.
"""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from bench.measure import Cost
from bench.peers import Peer, title
from shipper import __version__, compiled

NONE = "–"
"""What stands for a figure that was not, or could not be, measured."""


class Row(NamedTuple):
    """One program at one job. `cost` is what so many `records` cost; `reference`: CPU seconds a record that the ratio is to; `start`: what the
    program took for one line, if that is left out of `cost`; `read`: the share of lines that it could read, None where it reads none."""

    name: str
    how: str
    records: int
    cost: Cost
    start: Cost | None = None
    read: float | None = None

    @property
    def each(self) -> float:
        """CPU seconds a record; 0 where there were too few to tell."""
        return max(0.0, self.cost.cpu / self.records)

    @property
    def rate(self) -> float:
        """Records a second; 0 where there were too few to tell."""
        return self.records / self.cost.wall if self.cost.wall > 0.001 else 0.0


def number(value: float, form: str) -> str:
    """A figure; what is not above 0 was not measured."""
    return format(value, form) if value > 0 else NONE


def ratio(value: float, reference: float, form: str = ".2f") -> str:
    return format(value / reference, form) if value > 0 and reference > 0 else NONE


def megabytes(octets: int) -> str:
    return f"{octets / 1e6:.0f}"


class Document:
    """Collects tables by name; each is printed at once."""

    def __init__(self) -> None:
        self._tables: dict[str, str] = {}

    def add(self, name: str, caption: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table, and the sentence before it; more than one of a name stand below each other."""
        text = f"{caption}\n\n{table(heads, rows)}" if caption else table(heads, rows)
        self._tables[name] = f"{self._tables[name]}\n{text}" if name in self._tables else text
        progress("")
        print(f"{text}", flush=True)

    def save(self, page: Path, target: Path) -> None:
        """Writes the page with these tables in their places to `target`."""
        target.write_text(placed(page.read_text() if page.exists() else "# Performance\n", self._tables))
        progress("")
        print(f"written to {target}", flush=True)


def placed(page: str, tables: dict[str, str]) -> str:
    """The page with each table in its place; one that has no place comes at the end."""
    for name, text in tables.items():
        begin, end = f"<!-- bench: {name} -->", "<!-- end -->"
        block = f"{begin}\n\n{text}\n{end}"
        pattern = re.compile(re.escape(begin) + r".*?" + re.escape(end), re.DOTALL)
        if pattern.search(page):
            page = pattern.sub(lambda _, block=block: block, page, count=1)  # type: ignore[misc]
        else:
            page = f"{page.rstrip()}\n\n{block}\n"
    return page


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A markdown table with its columns lined up; figures to the right."""
    widths = [max(len(row[column]) for row in [heads, *rows]) for column in range(len(heads))]
    right = [column > 0 and all(not row[column] or row[column] == NONE or row[column].lstrip("≥ ")[:1].isdigit() for row in rows)
             for column in range(len(heads))]  # fmt: skip

    def line(cells: Sequence[str]) -> str:
        fitted = [cell.rjust(width) if to_right else cell.ljust(width) for cell, width, to_right in zip(cells, widths, right, strict=True)]
        return "| " + " | ".join(fitted) + " |"

    rule = "|" + "|".join("-" * (width + 1) + (":" if to_right else "-") for width, to_right in zip(widths, right, strict=True)) + "|"
    return "\n".join([line(heads), rule, *map(line, rows), ""])


def surroundings(sizes: str, peers: Sequence[Peer], missing: Sequence[str], load: float, cpus: int) -> list[tuple[str, str]]:
    """What was measured, where, with what."""
    found = compiled.find()
    versions = sorted({f"{title(peer)} {peer.version}" for peer in peers})
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return [
        ("date", datetime.now(UTC).strftime("%Y-%m-%d")),
        ("shipper", f"{__version__} on {python}"),
        ("compiled twin", f"yes, {found.why}" if found.module else f"no: {found.why}"),
        ("gzip", "isal" if find_spec("isal") else "zlib"),
        ("machine", f"{_processor()}, {cpus} CPU{'s'[: cpus - 1]}, {platform.system()} {platform.release().split('-')[0]}"),
        ("load before", f"{load:.1f}"),
        ("peers", ", ".join(versions) or "none"),
        ("not measured", "; ".join(missing) or "nothing"),
        ("sizes", sizes),
    ]


def progress(text: str) -> None:
    """What is going on, on a terminal only; the next text takes its place."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
