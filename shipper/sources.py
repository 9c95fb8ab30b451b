"""Files, directories, globs and `-` of a command line -> the logs to read, in an order that makes sense, and what is left out and why.

What is named comes in the order of the command line. What a directory or a glob holds is sorted: by name, numbers by their value, the parts
of one log from old to new:

    imap.62.915000000  imap.63.915107696  imap            the server's own roll-over, by sequence number
    mail.log  mail.log_yesterday  mail.log_current        the MTA's
    mail.log-20260301  mail.log-20260302  mail.log        logrotate with dates
    mail.log.2.gz  mail.log.1.gz  mail.log                logrotate with numbers
"""

from __future__ import annotations

import glob
import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from typing import NamedTuple

from shipper.errors import Failure

STDIN = "-"


class Source(NamedTuple):
    """One log to read. `path` as named (`-`: standard input); `size` and `modified` (seconds since 1970) where it is a plain file, else 0."""

    path: str
    size: int = 0
    modified: float = 0.0
    identity: tuple[int, int] = (0, 0)

    @property
    def name(self) -> str:
        """The path as text, fit for JSON whatever octets it has."""
        return path_text(self.path)


class LeftOut(NamedTuple):
    """Something that is not read. `failure` where that is an error; else it was found in a directory and is nothing to read."""

    path: str
    reason: str
    failure: Failure | None = None


def path_text(path: str) -> str:
    """A path as valid Unicode: octets that are not UTF-8 as `\\xe4`."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def find(paths: Sequence[str]) -> tuple[list[Source], list[LeftOut]]:
    """All logs that these arguments name. Reads directories and file status, opens no file."""
    found: list[Source] = []
    left: list[LeftOut] = []
    names: dict[tuple[int, int], str] = {}
    for path in paths:
        for one in _argument(path):
            if isinstance(one, LeftOut):
                left.append(one)
            elif one.identity != (0, 0) and one.identity in names:
                left.append(LeftOut(one.path, f"the same file as {path_text(names[one.identity])}"))
            else:
                names[one.identity] = one.path
                found.append(one)
    return found, left


def _argument(path: str) -> Iterator[Source | LeftOut]:
    if path == STDIN:
        yield Source(STDIN)
    elif not os.path.lexists(path) and glob.has_magic(path):
        matches = sorted(
            glob.glob(path, recursive=True), key=lambda match: (natural(os.path.dirname(match)), order(os.path.basename(match)))
        )
        if not matches:
            yield LeftOut(path, "matches nothing", Failure("I201", f"no file matches '{path_text(path)}'"))
        for match in matches:
            yield from _named(match, within=True)
    else:
        yield from _named(path, within=False)


def _named(path: str, within: bool) -> Iterator[Source | LeftOut]:
    """A file, or a directory and all in it. `within`: found in a directory or by a glob, and not named by the user."""
    try:
        status = os.stat(path)
    except OSError as error:
        yield _unreadable(path, error, within)
        return
    mode = status.st_mode
    if stat.S_ISDIR(mode):
        yield from _directory(path, within)
    elif stat.S_ISREG(mode):
        yield Source(path, status.st_size, status.st_mtime, (status.st_dev, status.st_ino))
    elif within:
        yield LeftOut(path, _what(mode))
    elif stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
        yield Source(path)
    else:
        yield LeftOut(path, _what(mode), Failure("I206", f"'{path_text(path)}' is {_what(mode)}"))


def _directory(path: str, within: bool) -> Iterator[Source | LeftOut]:
    try:
        entries = list(os.scandir(path))
    except OSError as error:
        yield _unreadable(path, error, within)
        return
    directories = sorted((entry for entry in entries if entry.is_dir(follow_symlinks=False)), key=lambda entry: natural(entry.name))
    anything = False
    for entry in sorted((entry for entry in entries if not entry.is_dir(follow_symlinks=False)), key=lambda entry: order(entry.name)):
        if entry.is_dir():
            yield LeftOut(entry.path, "a link to a directory")
            continue
        for one in _named(entry.path, within=True):
            anything = anything or isinstance(one, Source) or one.failure is not None
            yield one
    for entry in directories:
        for one in _directory(entry.path, within=True):
            anything = anything or isinstance(one, Source) or one.failure is not None
            yield one
    if not anything and not within:
        yield LeftOut(path, "no file in it", Failure("I202", f"there is no file to read in '{path_text(path)}'"))


def _unreadable(path: str, error: OSError, within: bool) -> LeftOut:
    return LeftOut(path, (error.strerror or "unreadable").lower(), None if _dangling(path, error, within) else unopened(path, error))


def _dangling(path: str, error: OSError, within: bool) -> bool:
    return within and isinstance(error, FileNotFoundError) and os.path.islink(path)


def unopened(path: str, error: OSError) -> Failure:
    """The failure of a file that could not be opened."""
    name = path_text(path)
    if isinstance(error, PermissionError):
        return Failure("I203", f"'{name}' may not be read: {(error.strerror or '').lower()}")
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        directory, base = os.path.split(path)
        try:
            near = get_close_matches(base, os.listdir(directory or "."), 1, 0.75)
        except OSError:
            near = []
        notes = [f"did you mean '{path_text(os.path.join(directory, near[0]))}'?"] if near else []
        return Failure("I201", f"there is no file '{name}'", notes=notes)
    return Failure("I205", f"'{name}' cannot be opened: {(error.strerror or str(error)).lower()}")


def _what(mode: int) -> str:
    kinds = ((stat.S_ISSOCK, "a socket"), (stat.S_ISFIFO, "a named pipe"), (stat.S_ISBLK, "a disk"), (stat.S_ISCHR, "a device"))
    return next((what for test, what in kinds if test(mode)), "no file")


Order = tuple[tuple[tuple[int, int, str], ...], int, tuple[int, ...], str]

_PACKED = re.compile(r"\.(?:gz|bz2|xz|zst|Z)$")
_NUMBERED = re.compile(r"(?P<base>.+?)\.(?P<sequence>\d{1,18})\.(?P<epoch>\d{1,18})")
_DATED = re.compile(r"(?P<base>.+?)[-._](?P<date>(?:19|20)\d\d-?[01]\d-?[0-3]\d(?:-?\d{1,6})?)")
_ROTATED = re.compile(r"(?P<base>.+?)\.(?P<number>\d{1,7})")
_RENAMED = ("_yesterday", "_current")


def order(name: str) -> Order:
    """The key that sorts the files of one directory: parts of one log beside each other, from old to new."""
    bare = _PACKED.sub("", name)
    rank: tuple[int, ...] = (2,) if bare == name else (1, 1)
    base, age = bare, 0
    for number, ending in enumerate(_RENAMED, 1):
        if bare.endswith(ending) and bare != ending:
            base, age = bare.removesuffix(ending), number
    if match := _NUMBERED.fullmatch(bare):
        base, rank = match["base"], (0, int(match["sequence"]), int(match["epoch"]))
    elif match := _DATED.fullmatch(bare):
        base, rank = match["base"], (0, int(match["date"].replace("-", "")))
    elif match := _ROTATED.fullmatch(bare):
        base, rank = match["base"], (1, -int(match["number"]))
    return natural(base), age, rank, name


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """A key that sorts `a2` before `a10`."""
    return tuple((0, int(part), part) if part.isdecimal() and len(part) < 19 else (1, 0, part) for part in re.split(r"(\d+)", name) if part)


def total(sources: Iterable[Source]) -> int:
    """Octets of all of these, as they are stored; 0 when a pipe among them makes that unknown."""
    sizes = [source.size if source.identity != (0, 0) else -1 for source in sources]
    return 0 if -1 in sizes else sum(sizes)
