"""Families of log files in a directory: roll-over, their numbers, and room for them.

    imap                   the current file
    imap.63.915107696      rolled over: service, sequence, when it was begun
    .imap.64.915194096     empty: what the current file is going to be called
    .log_files.lock        empty: who has it locked may write, roll over and delete here

Nothing is remembered of a directory but the highest numbers that were seen in it: each send looks at what is there, so files may be renamed or
deleted under it, and another process may write to the same families.

Roll-over, in this order: the current file gets its number as a second name, then loses its own; the next number is taken by an empty file that
must not be there yet; the new current file is made; the empty file of the last number goes. Wherever this is broken off, what is there says
where it goes on: no line is lost, and no number is given twice or left out. Before a line is written, the number of its file is on the disk.

A current file without such an empty file beside it was not begun by this program: it is the mail server's, and neither written to nor renamed.

Limits and names: `mailserver.logfiles`. Old files go before something is written that there would be no room for; where that does not help
against a full disk, nothing is written.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import socket
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from shipper.checksum import crc32
from shipper.intents import About, Stretch
from shipper.mailserver.logfiles import DEFAULT, OF_MTA, Limits, LogFile, is_due, rolled, surplus
from shipper.outputs.base import Unavailable
from shipper.outputs.jsonl import whole_lines
from shipper.outputs.sequences import Sequences
from shipper.screen import escaped

LOCK = ".log_files.lock"
FAMILIES = 500
"""Families in one directory; what would make one more goes to `default`."""
_LOCK_SECONDS = 10.0


def free(directory: int) -> int:
    """Octets that this user may still write there."""
    found = os.fstatvfs(directory)
    return found.f_bavail * found.f_frsize


def is_others(directory: str, family: str) -> bool:
    """Whether the current file is there, and was not begun by this program: then nothing can be written to the family."""
    try:
        return os.stat(os.path.join(directory, family)).st_size > 0 and not any(
            name.startswith(f".{family}.") and rolled(name[1:]) for name in os.listdir(directory)
        )
    except OSError:
        return False


def no_step(step: str) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True)
class Terms:
    """How an output has its files. `limits` of a family; `durable`: lines are on the disk when they are written; `mode` of a new file; `heads`:
    services' files begin with a line of ours. `now`: seconds since 1970, `free`: octets that are free where a directory (a descriptor) is, `step`
    is told what was done."""

    limits: Callable[[str], Limits]
    sequences: Sequences
    durable: bool
    mode: int
    heads: bool
    now: Callable[[], float] = time.time
    free: Callable[[int], int] = free
    step: Callable[[str], None] = no_step


@contextmanager
def locked(path: str, terms: Terms) -> Iterator[Directory]:
    """The directory, for us alone. Raises `Unavailable`, also for what the system says against anything done in it."""
    descriptor = lock = -1
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        lock = _lock(descriptor)
        yield Directory(path, descriptor, terms)
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


class Directory:
    """One directory while we have its lock. Its methods raise OSError and `Unavailable`."""

    def __init__(self, path: str, descriptor: int, terms: Terms) -> None:
        self._path = path
        self._at = descriptor
        self._terms = terms
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
        limits = self._terms.limits(family)
        file, number = self._current(family)
        try:
            done = 0
            while done < len(written):
                now = self._terms.now()
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
            limits = self._terms.limits(family)
            self._delete(family, size, self._terms.free(self._at), markers[-1].begun, self._terms.now(), limits)

    # --- the current file and its number ---

    def _current(self, family: str) -> tuple[int, LogFile]:
        """The current file, open, with nothing but whole lines in it, and what it is going to be called."""
        self._older.setdefault(family, [])
        markers = self._markers.setdefault(family, [])
        there = self._status(family)
        last = self._last.get(family, 0)
        if there is None:
            # Two markers: the roll-over came to the second one, and no further. One alone: its file is gone, and the number with it.
            if len(markers) > 1 and markers[-1].sequence > max(last, self._terms.sequences.of(self._path, family)):
                number = markers[-1]
            else:
                number = self._mark(
                    family, max(last, *(marker.sequence for marker in markers), self._terms.sequences.of(self._path, family), 0) + 1
                )
            file = self._create(family)
        else:
            if not markers and there.st_size:
                reason = (
                    f"'{family}' is there, and was not begun by this program: another directory is needed, or another name for that file"
                )
                raise Unavailable(reason, misconfigured=True)
            number = markers[-1] if markers else LogFile(family, 0, 0)
            if number.sequence <= last or number.sequence < self._terms.sequences.of(self._path, family):
                twin = self._status(number.name) if markers else None
                if twin is not None and os.path.samestat(twin, there):  # it has its number, and still its own name
                    os.unlink(family, dir_fd=self._at)
                    return self._current(family)
                number = self._mark(family, max(last, self._terms.sequences.of(self._path, family)) + 1, number.begun)
            file = self._open(family, os.O_RDWR | os.O_APPEND)
            try:
                if not stat.S_ISREG(os.fstat(file).st_mode):
                    raise Unavailable(f"'{family}' is not a plain file", misconfigured=True)
                whole_lines(file, os.fstat(file).st_size)
            except BaseException:
                os.close(file)
                raise
        self._settle(family, number)
        self._terms.sequences.took(self._path, family, number.sequence)
        return file, number

    def _roll(self, family: str, number: LogFile) -> tuple[int, LogFile]:
        """The current file gets its number; a new one is begun."""
        size = os.stat(family, dir_fd=self._at, follow_symlinks=False).st_size
        try:
            os.link(family, number.name, src_dir_fd=self._at, dst_dir_fd=self._at, follow_symlinks=False)
            self._terms.step("linked")
            os.unlink(family, dir_fd=self._at)
        except FileExistsError:
            raise Unavailable(f"'{number.name}' appeared beside its current file, and is not overwritten") from None
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EACCES) or self._status(number.name):
                raise
            os.rename(family, number.name, src_dir_fd=self._at, dst_dir_fd=self._at)  # a file system without hard links
        self._terms.step("renamed")
        self._older[family].append(number._replace(size=size))
        self._last[family] = number.sequence
        new = self._mark(family, number.sequence + 1)
        file = self._create(family)
        self._settle(family, new)
        self._terms.sequences.took(self._path, family, new.sequence)
        return file, new

    def _mark(self, family: str, sequence: int, begun: int = 0) -> LogFile:
        """Takes a number for the current file."""
        number = LogFile(family, sequence, begun or int(self._terms.now()))
        os.close(self._open(f".{number.name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        self._markers[family].append(number)
        self._terms.step("numbered")
        return number

    def _create(self, family: str) -> int:
        file = self._open(family, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL)
        self._terms.step("created")
        return file

    def _settle(self, family: str, number: LogFile) -> None:
        """This is the current file's number, and on the disk; the markers before it go."""
        if self._markers[family] == [number] and self._terms.sequences.of(self._path, family) == number.sequence:
            return
        os.fsync(self._at)
        for marker in self._markers[family]:
            if marker != number:
                os.unlink(f".{marker.name}", dir_fd=self._at)
                self._terms.step("settled")
        self._markers[family] = [number]

    # --- lines, and room for them ---

    def _append(self, file: int, chunk: bytearray, size: int) -> None:
        """Writes all of it or, as far as the system lets us, nothing."""
        try:
            rest = memoryview(chunk)
            while rest:
                rest = rest[os.write(file, rest) :]
            if self._terms.durable:
                os.fdatasync(file)
        except OSError:
            try:
                os.ftruncate(file, size)
            except OSError:
                pass  # what is half there is cut off before anything else is written
            raise
        self._terms.step("written")

    def _make_room(self, family: str, size: int, more: int, begun: float, now: float, limits: Limits) -> None:
        """Deletes what has to go before so many octets more are written. Raises `Unavailable` where the disk stays too full."""
        free = self._terms.free(self._at) - more
        gone = self._delete(family, size, free, begun, now, limits)
        if free < limits.minfreediskspace and (not gone or self._terms.free(self._at) - more < limits.minfreediskspace):
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
            self._terms.step("deleted")
        del older[: len(goes)]
        return len(goes)

    def _head(self, family: str, number: LogFile) -> bytes:
        """What a service's text log begins with."""
        if not self._terms.heads or family in OF_MTA:
            return b""
        stamp = datetime.fromtimestamp(number.begun).astimezone().strftime("%d/%b/%Y:%H:%M:%S %z")
        host = re.sub(r"\s", "", socket.gethostname()) or "localhost"
        return f"[{stamp}] {host} shipper[{os.getpid()}]: General Notice: Log created ({number.begun})\n".encode()

    def _open(self, name: str, flags: int) -> int:
        return os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, self._terms.mode, dir_fd=self._at)

    def _status(self, name: str) -> os.stat_result | None:
        try:
            return os.stat(name, dir_fd=self._at, follow_symlinks=False)
        except FileNotFoundError:
            return None


def _unavailable(path: str, error: OSError) -> Unavailable:
    name = escaped(os.path.basename(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else path)
    if error.errno == errno.ELOOP:
        return Unavailable(f"'{name}': a symbolic link, and these are not followed", misconfigured=True)
    return Unavailable(f"'{name}': {(error.strerror or str(error)).lower()}")
