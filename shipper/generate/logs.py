"""The files that a mail server's logs are in, and how one becomes the next.

    mail.log_current -> mail.log_yesterday -> added to mail.log      by the return job each midnight; the same for connection.log
    imap -> imap.63.915107696                                        service, sequence, epoch at which it was begun
    dispatcher.log-0DK00HV8RWFQC                                     a file each time that the program starts

Nothing here tells the time: it is passed in, as seconds since 1970, and files get it as their time of change.
"""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from shipper.generate.settings import ServiceSettings

_HELD = 2048
"""Lines that are gathered before they are written."""


class LogFile:
    """A file that lines are added to. `lines` and `octets` count what was written, LFs included."""

    __slots__ = ("_held", "_stream", "lines", "octets", "path")

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stream = path.open("wb")
        self._held: list[str] = []
        self.lines = 0
        self.octets = 0

    def write(self, line: str) -> None:
        held = self._held
        held.append(line)
        if len(held) >= _HELD:
            self.flush()

    def flush(self) -> None:
        if self._held:
            octets = ("\n".join(self._held) + "\n").encode()
            self._stream.write(octets)
            self.lines += len(self._held)
            self.octets += len(octets)
            self._held.clear()

    def close(self, changed: int) -> None:
        """`changed`: seconds since 1970 of the last line."""
        self.flush()
        self._stream.close()
        os.utime(self.path, (changed, changed))


class MtaFamily:
    """`mail.log_current`, `mail.log_yesterday` and `mail.log`, or the same of `connection.log`. `last`: the time of the last line."""

    def __init__(self, directory: Path, name: str) -> None:
        self._directory = directory
        self._name = name
        self.current = LogFile(directory / f"{name}_current")
        self.last = 0
        self.lines = 0
        self.octets = 0

    def write(self, line: str, now: int) -> None:
        self.last = now
        self.current.write(line)

    def roll(self) -> None:
        """What the return job does about midnight."""
        self.close()
        yesterday, cumulative = self._path("_yesterday"), self._path("")
        if yesterday.exists():
            changed = yesterday.stat().st_mtime
            with yesterday.open("rb") as source, cumulative.open("ab") as target:
                shutil.copyfileobj(source, target, 1 << 20)
            os.utime(cumulative, (changed, changed))
        self.current.path.replace(yesterday)
        self.current = LogFile(self.current.path)

    def archive(self, day: str) -> None:
        """What a site's own `daily_cleanup` does once a week: `mail.log` becomes `mail.log.20050313.gz`."""
        cumulative = self._path("")
        if cumulative.exists():
            changed = cumulative.stat().st_mtime
            packed = self._path(f".{day}.gz")
            with cumulative.open("rb") as source, packed.open("wb") as target, gzip.GzipFile("", "wb", 6, target, mtime=0) as stream:
                shutil.copyfileobj(source, stream, 1 << 20)
            os.utime(packed, (changed, changed))
            cumulative.unlink()

    def close(self) -> None:
        self.current.close(self.last)
        self.lines += self.current.lines
        self.octets += self.current.octets

    def _path(self, ending: str) -> Path:
        return self._directory / (self._name + ending)


class ServiceLog:
    """`imap` and its older files, kept and deleted by the service's limits; whichever is met first.

    `created` writes the first line of a new file: given its epoch, the line.
    """

    def __init__(self, directory: Path, name: str, sequence: int, limits: ServiceSettings, now: int, created: Callable[[int], str]) -> None:
        self.limits = limits
        self._directory = directory
        self._name = name
        self._sequence = sequence
        self._created = created
        self._older: list[tuple[Path, int, int]] = []  # path, octets, epoch of its last change
        self.lines = self.octets = self.deleted = 0
        self._begin(now)

    def _begin(self, now: int) -> None:
        self._epoch = now
        self._until = now + self.limits.rollover
        self._current = LogFile(self._directory / self._name)
        self._written = 0
        self._last = now
        self.write(self._created(now), now)

    def write(self, line: str, now: int) -> None:
        if self._written and (self._written + len(line) >= self.limits.file_size or now >= self._until):
            self._roll(now)
        self._written += len(line) + 1
        self._last = now
        self._current.write(line)

    def _roll(self, now: int) -> None:
        self.close()
        old = self._directory / f"{self._name}.{self._sequence}.{self._epoch}"
        self._current.path.replace(old)
        self._sequence += 1
        self._older.append((old, self._current.octets, self._last))
        while self._older and (
            len(self._older) >= self.limits.files
            or sum(octets for _, octets, _ in self._older) + self.limits.file_size > self.limits.size
            or self._older[0][2] + self.limits.expiry < now
        ):
            self._older.pop(0)[0].unlink()
            self.deleted += 1
        self._begin(now)

    def close(self) -> None:
        self._current.close(self._last)
        self.lines += self._current.lines
        self.octets += self._current.octets


class DebugLog:
    """`dispatcher.log-UNIQUE`, of one run of the program."""

    def __init__(self, directory: Path, name: str, unique: str, now: int) -> None:
        self._file = LogFile(directory / f"{name}.log-{unique}")
        self._last = now
        self.lines = self.octets = 0

    def write(self, line: str, now: int) -> None:
        self._last = now
        self._file.write(line)

    def close(self) -> None:
        self._file.close(self._last)
        self.lines, self.octets = self._file.lines, self._file.octets
