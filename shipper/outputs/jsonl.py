"""Output `jsonl`: JSON lines of any profile, to a file that is rotated by size and age, or to standard output.

A file is appended to in whole lines. What a crash or a full disk left as half a line at its end is cut off before anything else is written: it
was not taken, and comes again. Who writes has the file locked, so that no other shipper does, a replay for one. `send` returns when the lines are
written, and with `fsync: always` on the disk.

Rotation renames `mail.jsonl` to `mail.jsonl-20261122T142200` (UTC; `.1`, `.2` … where that exists) and begins a new file; `keep` says how many
of these stay. A rotation program of one's own renames the file and sends HUP: then `reopen` begins the new one.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import re
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal

from loguru import logger
from pydantic import Field

from shipper.batch import Arrival
from shipper.checksum import crc32
from shipper.config.units import Duration, Size
from shipper.durable import sync_names
from shipper.intents import About, Stretch
from shipper.lines import Packed, joined
from shipper.outputs.base import Limits, Unavailable
from shipper.outputs.section import Common, FileBatchSettings, FileRetrySettings, no_directory
from shipper.profiles import PROFILES, Profile
from shipper.record import Record
from shipper.straight import rendered

_TAIL = 1 << 16
_LOCK_SECONDS = 0.5
_ROTATED = re.compile(r"-([0-9]{8}T[0-9]{6})(?:\.([0-9]{1,9}))?")


class Section(Common):
    """JSON lines in a file or on standard output."""

    type: Literal["jsonl"]
    retry: FileRetrySettings = Field(FileRetrySettings(), description="When to try again.")
    batch: FileBatchSettings = Field(FileBatchSettings(), description="How much is written at a time.")
    path: str = Field(min_length=1, description="The file, or `-` for standard output.")
    profile: Literal["ecs", "native", "otel"] = Field("ecs", description="How records are written.")
    fsync: Literal["always", "never"] = Field("always", description="Whether lines count as delivered only when they are on the disk.")
    mode: Annotated[str, Field(pattern=r"^0?[0-7]{3}$")] = Field("0640", description="Permissions of a new file, in octal.")
    rotate_size: Size | None = Field(None, gt=0, description="Begin a new file before this one would become larger.")
    rotate_age: Duration | None = Field(None, gt=0, description="Begin a new file when this one is older.")
    keep: int = Field(10, ge=1, description="How many rotated files stay; older ones are deleted.")

    def missing(self) -> Iterator[tuple[str, str]]:
        """(option, what `check` says of it) of directories that are not there."""
        if self.path != "-":
            yield from no_directory("path", Path(self.path).absolute().parent)


class JsonLines:
    """One output of this kind. `now` gives seconds since 1970; `out` is the descriptor of standard output."""

    def __init__(self, name: str, section: Section, *, now: Callable[[], float] = time.time, out: int = 1) -> None:
        self.name = name
        self.limits = Limits(section.batch.records, section.batch.size)
        self._section = section
        self._profile: Profile = PROFILES[section.profile]
        self._now = now
        self._out = out
        self._open: set[_FileSender] = set()

    def render(self, records: Sequence[Record], arrival: Arrival) -> Sequence[bytes]:
        """One JSON line for each record, with its LF."""
        return Packed(rendered(records, self._profile, arrival.observed), len(records))

    def sender(self) -> _FileSender | _StdoutSender:
        if self._section.path == "-":
            return _StdoutSender(self._out)
        return _FileSender(self._section, self._now, self._open)

    def reopen(self) -> None:
        """HUP: the file may have been renamed; the next lines go to one of its name."""
        for sender in self._open:
            sender.renamed = True


def make(name: str, section: Section) -> JsonLines:
    """The output that a section describes."""
    return JsonLines(name, section)


class _FileSender:
    """The open file. Works in a thread, as a disk can be slow."""

    def __init__(self, section: Section, now: Callable[[], float], opened: set[_FileSender]) -> None:
        self._section = section
        self._path = Path(section.path)
        self._now = now
        self._opened = opened
        self._file = -1
        self._identity = (0, 0)
        self._since = 0.0
        self.renamed = False
        self.about: About | None = None

    async def __aenter__(self) -> _FileSender:
        await asyncio.to_thread(self._begin)
        self._opened.add(self)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._opened.discard(self)
        await asyncio.to_thread(self._end)

    async def send(self, payloads: Sequence[bytes]) -> None:
        await asyncio.to_thread(self._write, joined(payloads))

    def _begin(self) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            self._file = os.open(self._path, flags, int(self._section.mode, 8))
            status = os.fstat(self._file)
            if not stat.S_ISREG(status.st_mode):
                raise Unavailable(f"{self._path.name}: not a plain file", misconfigured=True)
            _lock(self._file, self._path)
            size = whole_lines(self._file, os.fstat(self._file).st_size)
            if status.st_size == 0:
                sync_names(self._path.parent)
        except OSError as error:
            self._end()
            raise _unavailable(self._path, error) from error
        except Unavailable:
            self._end()
            raise
        self._identity = (status.st_dev, status.st_ino)
        self._since = status.st_mtime if size else self._now()
        self.renamed = False

    def _end(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _write(self, lines: bytes) -> None:
        if self.renamed or self._gone():
            self._end()
            self._begin()
        size = os.fstat(self._file).st_size
        if self._due(size, len(lines)):
            self._rotate()
            size = 0
        if self.about is not None:
            self.about(Stretch(str(self._path.absolute()), *self._identity, size, len(lines), crc32(lines)))
        try:
            rest = memoryview(lines)
            while rest:
                rest = rest[os.write(self._file, rest) :]
            if self._section.fsync == "always":
                os.fdatasync(self._file)
        except OSError as error:
            self._undo(size)
            raise _unavailable(self._path, error) from error

    def _gone(self) -> bool:
        """Whether the file of this name is no longer the one that is open: someone renamed or deleted it."""
        try:
            status = os.stat(self._path, follow_symlinks=False)
        except OSError:
            return True
        return (status.st_dev, status.st_ino) != self._identity

    def _undo(self, size: int) -> None:
        """A write failed: the file ends where it did before, as nothing of this was taken."""
        try:
            os.ftruncate(self._file, size)
        except OSError:
            self.renamed = True  # open it anew: what is half there is then cut off

    def _due(self, size: int, more: int) -> bool:
        most, age = self._section.rotate_size, self._section.rotate_age
        if not size:
            return False
        return (most is not None and size + more > most) or (age is not None and self._now() - self._since >= age)

    def _rotate(self) -> None:
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(self._now()))
        target = self._path.with_name(f"{self._path.name}-{stamp}")
        if (before := rotated(self._path)) and (last := _age(self._path, before[-1])) >= (stamp, 0):
            target = self._path.with_name(f"{self._path.name}-{last[0]}.{last[1] + 1}")  # also when the clock went back
        try:
            os.fsync(self._file)
            os.rename(self._path, target)
        except OSError as error:
            raise _unavailable(self._path, error) from error
        self._end()
        self._begin()
        for old in rotated(self._path)[: -self._section.keep]:
            try:
                old.unlink()
            except OSError as error:
                logger.warning("old file {!r} cannot be deleted: {}", old.name, error.strerror)


def rotated(path: Path) -> list[Path]:
    """The rotated files of a path, oldest first."""
    return sorted((entry for entry in path.parent.iterdir() if _age(path, entry) > ("", 0)), key=lambda entry: _age(path, entry))


def _age(path: Path, entry: Path) -> tuple[str, int]:
    """`mail.jsonl-20261122T142200.2` -> its time and number; `("", 0)` of a file that is not one of these."""
    name = entry.name
    shape = _ROTATED.fullmatch(name, len(path.name)) if name.startswith(path.name) else None
    return (shape[1], int(shape[2] or 0)) if shape else ("", 0)


def _lock(file: int, path: Path) -> None:
    """Two who append to a file, and cut off half lines, would cut each other's: the second one waits for the first to end. Who was killed may hold
    it for a moment more."""
    last = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= last:
                raise Unavailable(f"{path.name}: another process, or another output, is writing to it") from None
            time.sleep(0.02)
        except OSError:
            return  # a file system without locks


def whole_lines(file: int, size: int) -> int:
    """Cuts off what stands after the last LF; the size that is left."""
    end = size
    while end:
        begin = max(0, end - _TAIL)
        found = os.pread(file, end - begin, begin).rfind(b"\n")
        if found >= 0:
            end = begin + found + 1
            break
        end = begin
    if end < size:
        os.ftruncate(file, end)
    return end


def _unavailable(path: Path, error: OSError) -> Unavailable:
    if error.errno == errno.ELOOP:
        return Unavailable(f"{path.name}: a symbolic link, and these are not followed", misconfigured=True)
    return Unavailable(f"{path.name}: {(error.strerror or str(error)).lower()}")


class _StdoutSender:
    """Standard output. When its reader has gone there is nobody to deliver to."""

    def __init__(self, out: int) -> None:
        self._out = out

    async def __aenter__(self) -> _StdoutSender:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def send(self, payloads: Sequence[bytes]) -> None:
        await asyncio.to_thread(self._write, joined(payloads))

    def _write(self, lines: bytes) -> None:
        rest = memoryview(lines)
        try:
            while rest:
                rest = rest[os.write(self._out, rest) :]
        except OSError as error:
            raise Unavailable(f"standard output: {(error.strerror or str(error)).lower()}", misconfigured=True) from error
