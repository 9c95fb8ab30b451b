"""Where converted lines go: standard output, or a file that has its name only when it is whole.

A file is written beside its final name and takes it at the end, after fsync; the disk gets to work before that. If that end never comes, nothing
stands under the final name; what was written by then can be kept as `NAME.partial`, whole lines only. What a kill leaves
(`.NAME.xxxxxxxx.partial`) the next conversion to this name removes.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import stat
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from shipper.compiled import Lines, line_ends
from shipper.durable import sync_names
from shipper.errors import Failure
from shipper.sources import path_text

EARLY = 32 << 20
"""Octets that are written between two times that the disk is asked to take them."""
_FULL = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))


class OutputClosed(Exception):
    """Whoever read our standard output has gone (`| head`)."""


class Output:
    """An open descriptor, written to in whole lines, by this process or by children of it that take turns. `lines`: how many of them are written,
    `octets`: how long these are."""

    def __init__(self, descriptor: int, name: str) -> None:
        self.lines = 0
        self.octets = 0
        self.name = name
        self._descriptor = descriptor
        self._twin: Any = None
        self._outlet: Any = None

    def take_lines(self, twin: Any) -> bool:
        """Whether lines may be those of the twin (see `compiled.find`) from now on; it counts all of them."""
        self._twin = twin
        try:
            self._outlet = twin and self._opened(twin.Outlet)
        except OSError:
            pass  # they come as octets then
        return self._outlet is not None

    def write(self, data: bytes | bytearray | Lines) -> None:
        """Writes whole lines. Raises `Failure` O301 or O303, or `OutputClosed`."""
        done, size = 0, len(data)
        while done < size:
            try:
                if isinstance(data, (bytes, bytearray)):
                    done += os.write(self._descriptor, memoryview(data)[done:])
                else:
                    done += self._outlet.write(data, done)
            except BlockingIOError:
                room = select.poll()
                room.register(self._descriptor, select.POLLOUT)
                room.poll()
            except BrokenPipeError as error:
                raise OutputClosed from error
            except OSError as error:
                self._cut(bytes(data[:done]) if isinstance(data, (bytes, bytearray)) else data.begin(done))
                raise self._failed(error) from error
        self.written(line_ends(self._twin, data) if isinstance(data, (bytes, bytearray)) else data.count, size)

    def written(self, lines: int, octets: int) -> None:
        """So much was written, by whoever did it."""
        self.lines += lines
        self.octets += octets

    def shared(self) -> Output:
        """The same for a child process, which tells its own account with `written`."""
        child = Output(self._descriptor, self.name)
        child._twin = self._twin
        return child

    def finish(self) -> None:
        """Everything is written: the file takes its name."""

    def keep(self) -> str:
        """The conversion failed: the name under which whole lines are kept, or `""`."""
        return ""

    def discard(self) -> None:
        """The conversion was given up: nothing is kept."""

    def _opened(self, outlet: Callable[[str | None], Any]) -> Any:
        """The same file for the twin; None where that cannot be."""
        return outlet(None) if self._descriptor == 1 else None

    def _cut(self, written: bytes) -> None:
        """A write failed after these octets: a file loses the half line at its end."""
        whole = written.rfind(b"\n") + 1
        half = len(written) - whole
        self.written(written.count(b"\n"), whole)
        try:
            if half and stat.S_ISREG(os.fstat(self._descriptor).st_mode):
                end = os.lseek(self._descriptor, -half, os.SEEK_CUR)
                os.ftruncate(self._descriptor, end)
        except OSError:
            pass  # the failure that led here is told anyway

    def _failed(self, error: OSError) -> Failure:
        reason = (os.strerror(error.errno) if error.errno else str(error)).lower()
        if error.errno in _FULL:
            return Failure("O301", f"'{self.name}': {reason}")
        return Failure("O303", f"'{self.name}' could not be written: {reason}")


class FileOutput(Output):
    """A file that appears under its name when it is whole. Raises `Failure` O302 when it cannot be made."""

    def __init__(self, path: str) -> None:
        self._target = os.path.realpath(path)
        directory, base = os.path.split(self._target)
        prefix, suffix = f".{base[:200]}.", ".partial"
        _clean(directory, prefix, suffix)
        try:
            descriptor, self._temporary = tempfile.mkstemp(prefix=prefix, suffix=suffix, dir=directory)
            while not _held(descriptor):  # another conversion has removed it in the same moment
                os.close(descriptor)
                descriptor, self._temporary = tempfile.mkstemp(prefix=prefix, suffix=suffix, dir=directory)
        except OSError as error:
            raise Failure("O302", f"'{path_text(path)}' cannot be made: {(error.strerror or str(error)).lower()}") from error
        super().__init__(descriptor, path_text(path))
        fcntl.fcntl(descriptor, fcntl.F_SETFL, fcntl.fcntl(descriptor, fcntl.F_GETFL) | os.O_APPEND)  # the twin writes to it as well
        self._flushing: threading.Thread | None = None
        self._flushed = 0
        self._lost: OSError | None = None

    def written(self, lines: int, octets: int) -> None:
        super().written(lines, octets)
        if self.octets - self._flushed >= EARLY and not (self._flushing and self._flushing.is_alive()):
            self._flushed = self.octets
            self._flushing = threading.Thread(target=self._flush, daemon=True)
            self._flushing.start()

    def _opened(self, outlet: Callable[[str | None], Any]) -> Any:
        return outlet(self._temporary)

    def _cut(self, written: bytes) -> None:
        os.lseek(self._descriptor, 0, os.SEEK_END)  # the twin writes by a descriptor of its own, which does not move this one
        super()._cut(written)

    def _flush(self) -> None:
        """Lets the disk write while we read: else all of that comes at the end."""
        try:
            os.fdatasync(self._descriptor)
        except OSError as error:
            self._lost = error  # the system tells it once

    def finish(self) -> None:
        if self._flushing:
            self._flushing.join()
        try:
            if self._lost:
                raise self._lost
            os.fchmod(self._descriptor, self._mode())
            os.fsync(self._descriptor)
            os.close(self._descriptor)
            os.replace(self._temporary, self._target)
            sync_names(Path(self._target).parent)
        except OSError as error:
            raise self._failed(error) from error

    def keep(self) -> str:
        if not self.lines:
            self.discard()
            return ""
        kept = f"{self._target}.partial"
        try:
            os.ftruncate(self._descriptor, self.octets)  # a process that was killed may have written half a line
            os.fchmod(self._descriptor, self._mode())
            os.fsync(self._descriptor)
        except OSError:
            pass  # what the disk takes of it; the failure that led here is told anyway
        try:
            os.replace(self._temporary, kept)
        except OSError:
            kept = self._temporary
            if not os.path.exists(kept):  # somebody has removed it
                return ""
        return path_text(kept)

    def discard(self) -> None:
        try:
            os.unlink(self._temporary)
        except OSError:
            pass

    def _mode(self) -> int:
        """The permissions of the file that is replaced, or those that a new file gets."""
        try:
            return stat.S_IMODE(os.stat(self._target).st_mode)
        except OSError:
            mask = os.umask(0o077)
            os.umask(mask)
            return 0o666 & ~mask


def _held(descriptor: int) -> bool:
    """Locks a file that was just made; whether it is still there."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        pass  # a file system without locks, or one who looks at it and finds it locked by us or gone
    return os.fstat(descriptor).st_nlink > 0


def _clean(directory: str, prefix: str, suffix: str) -> None:
    """Removes what conversions to this name left behind that were killed: files of its kind that no living process has locked."""
    try:
        names = [name for name in os.listdir(directory) if name.startswith(prefix) and name.endswith(suffix)]
    except OSError:
        return
    for name in names:
        if len(name) != len(prefix) + 8 + len(suffix):  # what `mkstemp` puts between
            continue
        path = os.path.join(directory, name)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(path)
            finally:
                os.close(descriptor)
        except OSError:
            pass  # somebody's who still writes, or not ours to remove


def open_output(path: str | None) -> Output:
    """`None` and `-` are standard output; what exists and is no plain file (`/dev/null`, a named pipe) is written to as it is."""
    if path is None or path == "-":
        try:
            os.fstat(1)
        except OSError as error:
            raise Failure("O302", "standard output is closed") from error
        return Output(1, "standard output")
    try:
        special = not stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        special = False
    if special:
        try:
            return Output(os.open(path, os.O_WRONLY), path_text(path))
        except OSError as error:
            raise Failure("O302", f"'{path_text(path)}' cannot be written to: {(error.strerror or str(error)).lower()}") from error
    return FileOutput(path)
