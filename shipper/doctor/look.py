"""What a mail server's directory has: its settings files by their names, its logs with their sizes and times.

A directory may be the server's own, its configuration's, its logs', or a copy of one of them on another machine: what stands in `imta_tailor` of
paths holds where they exist, else a file of that name in the directory.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from shipper.formats.names import of_family
from shipper.knowledge.files import SERVICES as SERVICE_FILES
from shipper.mailserver.tailor import UNIFIED

DEPTH = 3
"""How many directories below the one that was named are looked through."""

NAMES: Mapping[str, tuple[str, ...]] = {
    "tailor": ("imta_tailor",),
    "option_file": ("option.dat",),
    "channels": ("imta.cnf",),
    "dispatcher": ("dispatcher.cnf",),
    "configutil": (
        "configutil.txt",
        "configutil.dump",
        "configutil.out",
        "configutil",
        "msconfig.txt",
        "msconfig.dump",
        "msconfig.out",
        "msg.conf",
    ),
}
"""Option of the configuration's `mailserver` section -> names that such a file has. `configutil` and `msconfig` are no files of the server: they
are what its admin saved of these commands' output."""

_OPTIONAL_LOGS = ("log", "data/log", "logs")
_STEM = re.compile(r"(mail|connection)\.log(?:_current|_yesterday)?(?:[.-].*)?")
_DEBUG = re.compile(r"([A-Za-z0-9_]{1,64})\.log(?:-\S{1,60})?")
_SERVICES = frozenset((*SERVICE_FILES, "ImapProxy", "PopProxy", "AService", "SubmitProxy")) - {"watcher"}
_STAMP = re.compile(rb"\[?(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-]\d{4})\]?")


@dataclass(frozen=True, slots=True)
class LogFile:
    """One file of the log directory. `kind`: `mta`, `service`, `debug` or `other`; `family`: `mail`, `connection`, the service or the program;
    `sequence`: of a service's rolled file; `since`: seconds since 1970 of its first line, where that says it; `zone`: the offset in that line."""

    path: Path
    kind: str
    family: str
    size: int
    modified: float
    sequence: int | None = None
    since: float | None = None
    zone: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """`settings`: option of the `mailserver` section -> file; `directory`: of the logs, None where there are none; `owner`: the user (by number)
    and group of the newest log; `zone`: what a file `timezone` beside the settings says; `closed`: directories and logs that
    this user may not read; `unified`: a unified configuration, which is not read."""

    settings: Mapping[str, Path] = field(default_factory=dict)
    directory: Path | None = None
    logs: Sequence[LogFile] = ()
    owner: tuple[int, int] | None = None
    zone: str = ""
    closed: Sequence[Path] = ()
    unified: Path | None = None

    def of(self, kind: str, family: str = "") -> list[LogFile]:
        """The logs of a kind, or of one family of it."""
        return [log for log in self.logs if log.kind == kind and family in ("", log.family)]


def look(directory: Path | None, named: Mapping[str, Path], logs: Path | None = None) -> Found:
    """What is in a directory, and beside it where it is only the configuration's or the logs'; `named` files are taken as they are."""
    files = dict(named)
    beneath: list[Path] = []
    if directory is not None:
        beneath = _beneath(directory)
        if directory.name in ("config", "log", "logs") and not any(os.path.exists(one / "mail.log_current") for one in beneath):
            beneath += [one for one in _beneath(directory.parent) if one not in beneath]
        for option, names in NAMES.items():
            if option not in files and (there := _first(beneath, names)):
                files[option] = there
    if logs is None:
        logs = next((one for one in beneath if _has_logs(one)), None)
    found = _files(logs) if logs is not None else []
    newest = max(found, key=lambda log: log.modified, default=None)
    status = _status(newest.path) if newest else None
    zone = _first(beneath, ("timezone",))
    closed = [one for one in beneath if not os.access(one, os.R_OK | os.X_OK)] + [
        log.path for log in found if not os.access(log.path, os.R_OK)
    ]
    return Found(
        files,
        logs,
        found,
        (status.st_uid, status.st_gid) if status else None,
        _text(zone).strip()[:64] if zone else "",
        closed,
        _first(beneath, (UNIFIED,)),
    )


def classed(name: str) -> tuple[str, str, int | None]:
    """`imap.63.915107696` -> (`service`, `imap`, 63); `mail.log_current` -> (`mta`, `mail`, None)."""
    if stem := _STEM.fullmatch(name):
        return "mta", stem[1], None
    file = of_family(name)
    if file and file.family in _SERVICES:
        return "service", file.family, file.rolled[0] if file.rolled else None
    if debug := _DEBUG.fullmatch(name):
        return "debug", debug[1], None
    return "other", "", None


def _beneath(directory: Path) -> list[Path]:
    """The directory and those below it, the nearest first."""
    found = [directory]
    level = [directory]
    for _ in range(DEPTH):
        level = [Path(entry.path) for one in level for entry in _entries(one) if entry.is_dir(follow_symlinks=False)][:1000]
        found += sorted(level)
    return found


def _entries(directory: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            return list(entries)
    except OSError:
        return []


def _first(directories: Iterable[Path], names: Sequence[str]) -> Path | None:
    return next((one / name for one in directories for name in names if os.path.isfile(one / name)), None)


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _has_logs(directory: Path) -> bool:
    return any(classed(entry.name)[0] in ("mta", "service") and os.path.isfile(entry.path) for entry in _entries(directory))


def _files(directory: Path) -> list[LogFile]:
    found = []
    for entry in sorted(_entries(directory), key=lambda entry: entry.name):
        try:
            if not entry.is_file():
                continue
            status = entry.stat()
        except OSError:
            continue
        kind, family, sequence = classed(entry.name)
        since, zone = _begin(Path(entry.path)) if kind == "service" else (None, None)
        found.append(LogFile(Path(entry.path), kind, family, status.st_size, status.st_mtime, sequence, since, zone))
    return found


def _begin(path: Path) -> tuple[float | None, timedelta | None]:
    """When the first line of a service's log was written, and the offset that it says."""
    try:
        with path.open("rb") as log:
            stamp = _STAMP.match(log.read(200))
    except OSError:
        return None, None
    if stamp is None:
        return None, None
    try:
        moment = datetime.strptime(b" ".join(stamp.groups()).decode(), "%d %b %Y %H %M %S %z")
    except ValueError:
        return None, None
    return moment.timestamp(), moment.utcoffset()
