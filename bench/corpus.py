"""The logs to read: a busy server's day from `shipper generate`, the files of the MTA joined to one log, and those of the services."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from bench.measure import to_the_end

MTA = ("mail.log", "mail.log_yesterday", "mail.log_current")
SERVICES = ("imap", "pop", "http", "admin", "default", "imta")
LINES_FOR_ONE = 2.4
"""Generated lines of any kind for each that is wanted of the kind with fewer: the services write two lines of five."""


def generated(shipper: Sequence[str], scratch: Path, lines: int) -> dict[str, Path]:
    """A log of the MTA and one of all services, each of at least `lines` lines, as `scratch`/mta.log and service.log."""
    total = round(lines * LINES_FOR_ONE) + 1000
    size = ["--lines", str(total), "--rate", "200000", "--users", "20000", "--domains", "2000", "--seed", "1"]
    to_the_end([*shipper, "generate", *size, "--quiet", "--out", str(scratch / "server")], cpus=os.sched_getaffinity(0))
    logs = scratch / "server" / "log"
    parts = {"mta": [logs / name for name in MTA], "service": [part for service in SERVICES for part in _rolled(logs, service)]}
    for kind, files in parts.items():
        with (scratch / f"{kind}.log").open("wb") as joined:
            for file in files:
                if file.exists():
                    with file.open("rb") as source:
                        shutil.copyfileobj(source, joined, 1 << 20)
    shutil.rmtree(scratch / "server")
    return {kind: scratch / f"{kind}.log" for kind in parts}


def in_format(shipper: Sequence[str], scratch: Path, log_format: int, lines: int) -> Path:
    """A log of the MTA of `lines` lines in another LOG_FORMAT than text."""
    size = ["--lines", str(round(1.6 * lines) + 1000), "--rate", "200000", "--users", "20000", "--domains", "2000", "--seed", "1"]
    out = scratch / "server"
    to_the_end([*shipper, "generate", *size, "--log-format", str(log_format), "--quiet", "--out", str(out)], cpus=os.sched_getaffinity(0))
    log = scratch / f"format-{log_format}.log"
    cut(out / "log" / "mail.log_current", log, lines)
    shutil.rmtree(out)
    return log


def _rolled(logs: Path, service: str) -> list[Path]:
    """`imap.63.915107696`, `imap.64.…`, and `imap` at the end."""
    old = [path for path in logs.glob(f"{service}.*") if re.fullmatch(r"\.\d+\.\d+", path.name.removeprefix(service))]
    return [*sorted(old, key=lambda path: int(path.name.split(".")[1])), logs / service]


def head(log: Path, target: Path, lines: int) -> int:
    """The first lines of a log, each with its end, and how many there were."""
    with log.open("rb") as source, target.open("wb") as sink:
        chosen = list(islice(source, lines))
        sink.writelines(chosen)
    return len(chosen)


def repeated(log: Path, target: Path, times: int) -> Path:
    """The log as many times over."""
    with target.open("wb") as sink:
        for _ in range(times):
            with log.open("rb") as source:
                shutil.copyfileobj(source, sink, 1 << 20)
    return target


def cut(log: Path, target: Path, lines: int) -> int:
    """So many lines of a log, which comes over and over if it is shorter; how many it is."""
    with log.open("rb") as source:
        there = sum(1 for _ in source)
    cycled(log, target, there, lines)
    return lines


def cycled(log: Path, target: Path, lines: int, wanted: int) -> Path:
    """A log of `wanted` lines: this one, of `lines` lines, over and over, and the first of it at last."""
    repeated(log, target, wanted // lines)
    with log.open("rb") as source, target.open("ab") as sink:
        sink.writelines(islice(source, wanted % lines))
    return target


def remove(folder: Path) -> None:
    """With all in it."""
    shutil.rmtree(folder)
