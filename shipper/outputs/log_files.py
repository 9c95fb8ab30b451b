"""Output `log_files`: log files as the mail server has them, one family for each service, under the limits of its settings.

    imap                   the current file
    imap.63.915107696      rolled over: service, sequence, when it was begun
    .imap.64.915194096     empty: what the current file is going to be called
    .log_files.lock        empty: who has it locked may write, roll over and delete here

A payload is the family's name, a blank, and the line. Nothing is remembered of a directory but the highest numbers that were seen in it: each
send looks at what is there, so files may be renamed or deleted under it, and another process may write to the same families.

Roll-over, in this order: the current file gets its number as a second name, then loses its own; the next number is taken by an empty file that
must not be there yet; the new current file is made; the empty file of the last number goes. Wherever this is broken off, what is there says
where it goes on: no line is lost, and no number is given twice or left out. Before a line is written, the number of its file is on the disk.

A current file without such an empty file beside it was not begun by this program: it is the mail server's, and neither written to nor renamed.

Limits and names: `mailserver.logfiles`. Old files go before something is written that there would be no room for; where that does not help
against a full disk, nothing is written, and the lane keeps the records. What a service has left behind is looked at when it is written to, and
once a minute while anything is.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import re
import socket
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal
from zlib import crc32

from pydantic import Field

from shipper.batch import Arrival
from shipper.config.units import Duration, Size
from shipper.errors import Failure
from shipper.formats.mta_text import OPTIONAL
from shipper.intents import About, Stretch
from shipper.mailserver.logfiles import (
    DEFAULT,
    OF_MTA,
    OPTIONS,
    Limits,
    LogFile,
    directory_of,
    family_of,
    is_due,
    is_family,
    limits_of,
    rolled,
    surplus,
)
from shipper.mailserver.settings import MailServer
from shipper.outputs import base
from shipper.outputs.base import Refused, Unavailable
from shipper.outputs.jsonl import whole_lines
from shipper.outputs.section import Common, FileRetrySettings, no_directory
from shipper.profiles import PROFILES
from shipper.profiles.server_text import USUAL, lines
from shipper.record import Record
from shipper.screen import escaped

LOCK = ".log_files.lock"
FAMILIES = 500
"""Families in one directory; what would make one more goes to `default`."""
_LOCK_SECONDS = 10.0
_SWEEP_SECONDS = 60.0

Limit = Annotated[Size | None, Field(ge=0)]
Seconds = Annotated[Duration | None, Field(ge=0)]


class Section(Common):
    """Log files as the mail server writes them: a family for each service, with its limits."""

    type: Literal["log_files"]
    retry: FileRetrySettings = Field(FileRetrySettings(), description="When to try again.")
    directory: str | None = Field(None, min_length=1, description="Where the files are; empty: `logdir` of the mail server's settings.")
    profile: Literal["ecs", "native", "otel", "text"] = Field(
        "ecs", description="How records are written: JSON lines of a profile, or `text`, the server's own format."
    )
    fields: list[Literal[OPTIONAL]] | None = Field(  # type: ignore[valid-type]
        None, description="Optional fields of MTA records in `text`; empty: those of the server's option file, else the usual ones."
    )
    maxlogfilesize: Limit = Field(
        None, description="Begin a new file before this one would become larger; empty: the server's setting, 0: never."
    )
    maxlogfiles: int | None = Field(
        None, ge=0, description="Files of a service, the current one too; empty: the server's setting, 0: any number."
    )
    maxlogsize: Limit = Field(None, description="Size of all files of a service; empty: the server's setting, 0: any.")
    minfreediskspace: Limit = Field(None, description="What must stay free on the disk; empty: the server's setting, 0: nothing.")
    rollovertime: Seconds = Field(None, description="Begin a new file when this one is older; empty: the server's setting, 0: never.")
    expirytime: Seconds = Field(None, description="Delete files that were done so long ago; empty: the server's setting, 0: never.")
    fsync: Literal["always", "never"] = Field("always", description="Whether lines count as delivered only when they are on the disk.")
    mode: Annotated[str, Field(pattern=r"^0?[0-7]{3}$")] = Field("0640", description="Permissions of a new file, in octal.")

    def limits(self, family: str, server: MailServer) -> Limits:
        """What holds for a family: what the section says, else the server's settings."""
        given = {name: value for name in OPTIONS if (value := getattr(self, name)) is not None}
        return limits_of(family, server)._replace(**given)

    def missing(self) -> Iterator[tuple[str, str]]:
        """(option, what `check` says of it) of directories that are not there."""
        if self.directory:
            yield from no_directory("directory", Path(self.directory).absolute())

    def lacks(self, server: MailServer) -> Iterator[str]:
        """What neither the section nor the server's settings say."""
        if not self.directory and not directory_of(DEFAULT, server):
            yield "no 'directory', and the mail server's settings have no logdir"


class LogFiles:
    """One output of this kind. `now` gives seconds since 1970, `free` the octets that are free where a directory (a descriptor) is."""

    def __init__(
        self,
        name: str,
        section: Section,
        server: MailServer,
        *,
        now: Callable[[], float] = time.time,
        free: Callable[[int], int] | None = None,
        written: Callable[[str], None] = lambda step: None,
    ) -> None:
        self.name = name
        self.limits = base.Limits(section.batch.records, section.batch.size)
        self.section = section
        self.server = server
        self.now = now
        self.free = free or _free
        self.step = written
        self.numbers: dict[str, int] = {}
        """Directory and family -> the highest number seen: a directory that was emptied does not begin again."""
        self.families: dict[str, set[str]] = {}
        """Directory -> the families that were written there."""
        self.swept = now()
        self._separate = server.number("SEPARATE_CONNECTION_LOG") != 0
        self._profile = PROFILES.get(section.profile)
        self._text = lines(server.number("LOG_FORMAT"), section.fields if section.fields is not None else server.fields or USUAL)

    def render(self, records: Sequence[Record], arrival: Arrival) -> list[bytes]:
        """`family line` for each record, with its LF."""
        if self._profile is None:
            written = self._text(records)
        else:
            written = self._profile.render(records, arrival.observed).splitlines(keepends=True)
        return [b"%b %b" % (family_of(record, self._separate).encode(), line) for record, line in zip(records, written, strict=True)]

    def directory(self, family: str) -> str:
        return self.section.directory or directory_of(family, self.server)

    def sender(self) -> _Sender:
        return _Sender(self)


def make(name: str, section: Section, server: MailServer) -> LogFiles:
    """The output that a section describes. Raises `Failure` C116 where nobody says in which directory."""
    for lack in section.lacks(server):
        raise Failure("C116", f"output '{name}': {lack}")
    return LogFiles(name, section, server)


class _Sender:
    """Writes in a thread, as a disk can be slow. `about`: is told where the payloads of a send are going to stand, if that is one stretch."""

    def __init__(self, output: LogFiles) -> None:
        self._output = output
        self.about: About | None = None

    async def __aenter__(self) -> _Sender:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def send(self, payloads: Sequence[bytes]) -> None:
        await asyncio.to_thread(self._send, payloads)

    def _send(self, payloads: Sequence[bytes]) -> None:
        """Writes each family's lines; what one of them does not take now is all that is to come again."""
        strangers: list[int] = []
        families: dict[str, list[int]] = {}
        for index, payload in enumerate(payloads):
            family = payload[: max(0, payload.find(b" ", 0, 80))].decode("ascii", "replace")
            if is_family(family) and payload.endswith(b"\n"):
                families.setdefault(family, []).append(index)
            else:
                strangers.append(index)
        directories: dict[str, dict[str, list[int]]] = {}
        for family, indices in families.items():
            directories.setdefault(self._output.directory(family), {})[family] = indices
        left: list[int] = []
        failure: Unavailable | None = None
        for path, wanted in directories.items():
            try:
                with _locked(path, self._output) as directory:
                    for family, indices in directory.by_family(wanted).items():
                        taken = 0
                        try:
                            cut = [payloads[index][payloads[index].index(b" ") + 1 :] for index in indices]
                            for count in directory.write(family, cut, self.about if len(indices) == len(payloads) else None):
                                taken += count
                        except Unavailable as error:
                            failure = error
                            left += indices[taken:]
                        self._output.families.setdefault(path, set()).add(family)
            except Unavailable as error:
                failure = error
                left += [index for indices in wanted.values() for index in indices]
        self._sweep()
        if failure and len(left) == len(payloads):
            raise failure
        if strangers or left:
            reason = failure.reason if failure and not strangers else "no line of a log file: it has no family before it"
            raise Refused(reason, strangers, again=sorted(left))

    def _sweep(self) -> None:
        """The limits of families that are not written to at the moment."""
        now = self._output.now()
        if abs(now - self._output.swept) < _SWEEP_SECONDS:
            return
        self._output.swept = now
        for path, families in list(self._output.families.items()):
            try:
                with _locked(path, self._output) as directory:
                    for family in families:
                        directory.trim(family)
            except Unavailable:
                pass  # whoever writes there finds out


@contextmanager
def _locked(path: str, output: LogFiles) -> Iterator[_Directory]:
    """The directory, for us alone. Raises `Unavailable`, also for what the system says against anything done in it."""
    descriptor = lock = -1
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        lock = _lock(descriptor)
        yield _Directory(path, descriptor, output)
    except OSError as error:
        raise _unavailable(path, error) from error
    finally:
        for each in (lock, descriptor):
            if each >= 0:
                os.close(each)


def _lock(directory: int) -> int:
    """The lock file, locked, and still there. A lock on one that was deleted meanwhile would keep nobody out."""
    last = time.monotonic() + _LOCK_SECONDS
    while True:
        lock = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640, dir_fd=directory)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(lock), os.stat(LOCK, dir_fd=directory, follow_symlinks=False)):
                return lock
        except (BlockingIOError, FileNotFoundError):
            pass
        except OSError:
            os.close(lock)
            raise
        os.close(lock)
        if time.monotonic() > last:
            raise Unavailable("another process writes these log files, and does not come to an end")
        time.sleep(0.02)


class _Directory:
    """One directory while we have its lock. Its methods raise OSError and `Unavailable`."""

    def __init__(self, path: str, descriptor: int, output: LogFiles) -> None:
        self._path = path
        self._at = descriptor
        self._output = output
        self._older: dict[str, list[LogFile]] = {}
        self._markers: dict[str, list[LogFile]] = {}
        self._last: dict[str, int] = {}  # the highest number that any name has, whatever it is that is called so
        for entry in os.scandir(descriptor):
            hidden = entry.name.startswith(".")
            if file := rolled(entry.name[hidden:]):
                if hidden:
                    self._markers.setdefault(file.family, []).append(file)
                else:
                    self._last[file.family] = max(self._last.get(file.family, 0), file.sequence)
                    status = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(status.st_mode):
                        self._older.setdefault(file.family, []).append(file._replace(size=status.st_size))
        for files in (*self._older.values(), *self._markers.values()):
            files.sort(key=lambda file: (file.sequence, file.begun))

    def by_family(self, wanted: dict[str, list[int]]) -> dict[str, list[int]]:
        """The same with `default` for families that would be too many here."""
        room = FAMILIES - len(self._markers)
        known: dict[str, list[int]] = {}
        for family, indices in wanted.items():
            if family not in self._markers and family not in (*OF_MTA, DEFAULT):
                room -= 1
                family = family if room >= 0 else DEFAULT
            known[family] = sorted([*known.get(family, ()), *indices])
        return known

    def write(self, family: str, written: Sequence[bytes], about: About | None = None) -> Iterator[int]:
        """Writes whole lines, in as many files as the limits ask for; how many lines were taken, each time when they were."""
        limits = self._output.section.limits(family, self._output.server)
        file, number = self._current(family)
        try:
            done = 0
            while done < len(written):
                now = self._output.now()
                size = os.fstat(file).st_size
                if is_due(size, len(written[done]), number.begun, now, limits):
                    os.fsync(file)
                    os.close(file)
                    file = -1
                    file, number = self._roll(family, number)
                    size = 0
                head = b"" if size else self._head(family, number)
                chunk, count = bytearray(head + written[done]), 1
                while done + count < len(written):
                    line = written[done + count]
                    if is_due(size + len(chunk), len(line), number.begun, now, limits):
                        break
                    chunk += line
                    count += 1
                self._make_room(family, size + len(chunk), len(chunk), number.begun, now, limits)
                if about is not None and count == len(written):
                    path, status = os.path.join(os.path.abspath(self._path), family), os.fstat(file)
                    about(Stretch(path, status.st_dev, status.st_ino, size, len(chunk), crc32(chunk)))
                self._append(file, chunk, size)
                done += count
                yield count
        finally:
            if file >= 0:
                os.close(file)

    def trim(self, family: str) -> None:
        """Deletes what the limits do not leave any more. The current file stays as it is."""
        if markers := self._markers.get(family):
            try:
                size = os.stat(family, dir_fd=self._at, follow_symlinks=False).st_size
            except FileNotFoundError:
                size = 0
            limits = self._output.section.limits(family, self._output.server)
            self._delete(family, size, self._output.free(self._at), markers[-1].begun, self._output.now(), limits)

    # --- the current file and its number ---

    def _current(self, family: str) -> tuple[int, LogFile]:
        """The current file, open, with nothing but whole lines in it, and what it is going to be called."""
        self._older.setdefault(family, [])
        markers = self._markers.setdefault(family, [])
        there = self._status(family)
        key = f"{self._path}/{family}"
        last = self._last.get(family, 0)
        if there is None:
            # Two markers: the roll-over came to the second one, and no further. One alone: its file is gone, and the number with it.
            if len(markers) > 1 and markers[-1].sequence > max(last, self._output.numbers.get(key, 0)):
                number = markers[-1]
            else:
                number = self._mark(family, max(last, *(marker.sequence for marker in markers), self._output.numbers.get(key, 0), 0) + 1)
            file = self._create(family)
        else:
            if not markers and there.st_size:
                reason = (
                    f"'{family}' is there, and was not begun by this program: another directory is needed, or another name for that file"
                )
                raise Unavailable(reason, misconfigured=True)
            number = markers[-1] if markers else LogFile(family, 0, 0)
            if number.sequence <= last or number.sequence < self._output.numbers.get(key, 0):
                twin = self._status(number.name) if markers else None
                if twin is not None and os.path.samestat(twin, there):  # it has its number, and still its own name
                    os.unlink(family, dir_fd=self._at)
                    return self._current(family)
                number = self._mark(family, max(last, self._output.numbers.get(key, 0)) + 1, number.begun)
            file = self._open(family, os.O_RDWR | os.O_APPEND)
            try:
                if not stat.S_ISREG(os.fstat(file).st_mode):
                    raise Unavailable(f"'{family}' is not a plain file", misconfigured=True)
                whole_lines(file, os.fstat(file).st_size)
            except BaseException:
                os.close(file)
                raise
        self._settle(family, number)
        self._output.numbers[key] = number.sequence
        return file, number

    def _roll(self, family: str, number: LogFile) -> tuple[int, LogFile]:
        """The current file gets its number; a new one is begun."""
        size = os.stat(family, dir_fd=self._at, follow_symlinks=False).st_size
        try:
            os.link(family, number.name, src_dir_fd=self._at, dst_dir_fd=self._at, follow_symlinks=False)
            self._output.step("linked")
            os.unlink(family, dir_fd=self._at)
        except FileExistsError:
            raise Unavailable(f"'{number.name}' appeared beside its current file, and is not overwritten") from None
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EACCES) or self._status(number.name):
                raise
            os.rename(family, number.name, src_dir_fd=self._at, dst_dir_fd=self._at)  # a file system without hard links
        self._output.step("renamed")
        self._older[family].append(number._replace(size=size))
        self._last[family] = number.sequence
        new = self._mark(family, number.sequence + 1)
        file = self._create(family)
        self._settle(family, new)
        self._output.numbers[f"{self._path}/{family}"] = new.sequence
        return file, new

    def _mark(self, family: str, sequence: int, begun: int = 0) -> LogFile:
        """Takes a number for the current file."""
        number = LogFile(family, sequence, begun or int(self._output.now()))
        os.close(self._open(f".{number.name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        self._markers[family].append(number)
        self._output.step("numbered")
        return number

    def _create(self, family: str) -> int:
        file = self._open(family, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL)
        self._output.step("created")
        return file

    def _settle(self, family: str, number: LogFile) -> None:
        """This is the current file's number, and on the disk; the markers before it go."""
        if self._markers[family] == [number] and self._output.numbers.get(f"{self._path}/{family}") == number.sequence:
            return
        os.fsync(self._at)
        for marker in self._markers[family]:
            if marker != number:
                os.unlink(f".{marker.name}", dir_fd=self._at)
                self._output.step("settled")
        self._markers[family] = [number]

    # --- lines, and room for them ---

    def _append(self, file: int, chunk: bytearray, size: int) -> None:
        """Writes all of it or, as far as the system lets us, nothing."""
        try:
            rest = memoryview(chunk)
            while rest:
                rest = rest[os.write(file, rest) :]
            if self._output.section.fsync == "always":
                os.fdatasync(file)
        except OSError:
            try:
                os.ftruncate(file, size)
            except OSError:
                pass  # what is half there is cut off before anything else is written
            raise
        self._output.step("written")

    def _make_room(self, family: str, size: int, more: int, begun: float, now: float, limits: Limits) -> None:
        """Deletes what has to go before so many octets more are written. Raises `Unavailable` where the disk stays too full."""
        free = self._output.free(self._at) - more
        gone = self._delete(family, size, free, begun, now, limits)
        if free < limits.minfreediskspace and (not gone or self._output.free(self._at) - more < limits.minfreediskspace):
            what = "older files of it were deleted, and it is not enough yet" if gone else "deleting its older files would not help"
            raise Unavailable(f"'{family}': less than {limits.minfreediskspace:,} octets would stay free on the disk, and {what}")

    def _delete(self, family: str, size: int, free: int, begun: float, now: float, limits: Limits) -> int:
        older = self._older.get(family, [])
        goes = surplus(older, size, begun, free, now, limits)
        for file in goes:
            try:
                os.unlink(file.name, dir_fd=self._at)
            except FileNotFoundError:
                pass
            self._output.step("deleted")
        del older[: len(goes)]
        return len(goes)

    def _head(self, family: str, number: LogFile) -> bytes:
        """What a service's text log begins with."""
        if self._output.section.profile != "text" or family in OF_MTA:
            return b""
        stamp = datetime.fromtimestamp(number.begun).astimezone().strftime("%d/%b/%Y:%H:%M:%S %z")
        host = re.sub(r"\s", "", socket.gethostname()) or "localhost"
        return f"[{stamp}] {host} shipper[{os.getpid()}]: General Notice: Log created ({number.begun})\n".encode()

    def _open(self, name: str, flags: int) -> int:
        return os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, int(self._output.section.mode, 8), dir_fd=self._at)

    def _status(self, name: str) -> os.stat_result | None:
        try:
            return os.stat(name, dir_fd=self._at, follow_symlinks=False)
        except FileNotFoundError:
            return None


def _free(directory: int) -> int:
    """Octets that this user may still write there."""
    found = os.fstatvfs(directory)
    return found.f_bavail * found.f_frsize


def _unavailable(path: str, error: OSError) -> Unavailable:
    name = escaped(os.path.basename(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else path)
    if error.errno == errno.ELOOP:
        return Unavailable(f"'{name}': a symbolic link, and these are not followed", misconfigured=True)
    return Unavailable(f"'{name}': {(error.strerror or str(error)).lower()}")
