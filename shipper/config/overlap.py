"""Outputs of log files that write where an input reads: nothing is written over the mail server's own files, and what was would be read again."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch, fnmatchcase
from itertools import takewhile
from pathlib import Path
from typing import Any

from shipper.config.deadends import SERVICES
from shipper.config.problems import Problem
from shipper.config.sections import Config
from shipper.mailserver.logfiles import MAIL, OF_MTA, family_name
from shipper.record import KINDS, Record, Service


def overlaps(config: Config, *, on_disk: bool) -> Iterator[Problem]:
    """Errors: of each such output and input one. `on_disk`: whether it may be looked at what files there are."""
    for output, section in config.outputs.items():
        for input, source in config.inputs.items():
            if section.type == "log_files" and hasattr(source, "patterns"):
                yield from _overlap(config, output, section, input, source, on_disk)


def _overlap(config: Config, output: str, section: Any, input: str, source: Any, on_disk: bool) -> Iterator[Problem]:
    server = config.server
    comes_back = _reaches(config, input, output)
    of_mta = OF_MTA if server.number("SEPARATE_CONNECTION_LOG") else (MAIL,)
    named = (*SERVICES, "msgtrace", *getattr(source, "services", ()), *(service for service in server.services if service != "*"))
    for family in dict.fromkeys((*of_mta, *(name if name in OF_MTA else family_name(name) for name in named))):
        directory = section.directory_of(family, server)
        if not directory:
            continue
        path = Path(os.path.realpath(directory), family)
        older = path.with_name(f"{family}.1.1000000000")
        if on_disk and any(_is_in(pattern, path.parent) for pattern in source.patterns()) and section.is_others(family, server):
            what = f"would never write to '{directory}/{family}': it is the mail server's own"
        elif comes_back and (reads(source, path) or reads(source, older)):
            what = f"writes '{family}' into '{directory}'"
        else:
            continue
        why = "" if section.directory else "; it has no 'directory', and that is the mail server's logdir"
        yield Problem(
            "C119",
            f"output '{output}' {what}, and input '{input}' reads there{why}",
            config.places[f"outputs.{output}"],
            notes=(
                f"the input is at {config.places[f'inputs.{input}']}",
                "give the output a `directory` of its own, as `directory: /var/log/shipper`",
            ),
        )
        return


def _reaches(config: Config, input: str, output: str) -> bool:
    """Whether records of the input can come to the output."""
    router = config.router()
    samples: list[Record] = [*(kind() for kind in KINDS), Service(service="imap", level="Emergency")]
    return any(output in router.reachable(record, input) for record in samples)


def reads(source: Any, path: Path) -> bool:
    """Whether an input, by its section, reads the file of this path, if it is there."""
    if any(fnmatch(str(path), one) or fnmatch(path.name, one) for one in getattr(source, "exclude", ())):
        return False
    return any(_fits(*_rest(pattern, path)) for pattern in source.patterns())


def _is_in(pattern: str, directory: Path) -> bool:
    """Whether a glob names files of a directory."""
    wanted, parts = _rest(pattern, directory / "x")
    return parts is not None and _fits(wanted if wanted[-1] == "**" else [*wanted[:-1], "x"], parts)


def _rest(pattern: str, path: Path) -> tuple[Sequence[str], Sequence[str] | None]:
    """The parts of a glob from the first one that is a pattern, or the name, on; those of the path there, None where it is elsewhere."""
    parts = Path(os.path.abspath(pattern)).parts
    literal = list(takewhile(lambda part: not glob.has_magic(part), parts[:-1]))
    base = Path(os.path.realpath(Path(*literal))).parts
    return parts[len(literal) :], path.parts[len(base) :] if path.parts[: len(base)] == base else None


def _fits(wanted: Sequence[str], parts: Sequence[str] | None) -> bool:
    if parts is None or not wanted:
        return parts is not None and not parts
    if wanted[0] == "**":
        return _fits(wanted[1:], parts) or (bool(parts) and _fits(wanted, parts[1:]))
    return bool(parts) and fnmatchcase(parts[0], wanted[0]) and _fits(wanted[1:], parts[1:])
