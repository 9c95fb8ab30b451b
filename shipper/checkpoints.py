"""What is remembered over restarts: one directory that one service owns, and in it one file with how far every input was.

The directory is 0700 and locked with flock: the lock dies with the process, however it dies, so no stale one can block a start.

`checkpoints` is one line of header and one JSON object, {"inputs": {NAME: PLACES}}:

    shipper checkpoints 1 3f0c…          the version of the format, SHA-256 of version and object
    {"inputs":{"mail":{…}}}

It is written whole: to a new file, fsync, the old one becomes `checkpoints.previous`, the new one takes the name, fsync of the directory.
A damaged one is set aside as `checkpoints.corrupt-TIME` and the previous copy is read in its place; without one every input begins as if it
had never run. One whose checksum is right and whose version is not ours was written by a newer release: it is left alone and we do not start.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any

from loguru import logger

from shipper.errors import Failure

VERSION = 1
EVERY = 1.0
"""Seconds between two writes of what changed; also how long a failed write waits."""

_LOCK_SECONDS = 0.5
"""A killed process may hold the lock for a moment after it is gone from sight."""

_HEADER = re.compile(rb"shipper checkpoints (\d{1,9}) ([0-9a-f]{64})")


class StateDirectory:
    """The directory with all that outlives the process, held for as long as this object is open. Raises `Failure` R501, R503."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if path.stat().st_mode & 0o077 and path.stat().st_uid == os.geteuid():
                path.chmod(0o700)
            self._lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise Failure("R503", f"the state directory '{path}' cannot be used: {(error.strerror or str(error)).lower()}") from None
        self._take()

    def _take(self) -> None:
        last = time.monotonic() + _LOCK_SECONDS
        while True:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() < last:
                    time.sleep(0.05)
                    continue
                owner = os.pread(self._lock, 20, 0).decode(errors="replace").strip()
                os.close(self._lock)
                who = f" by process {owner}" if owner.isdecimal() else ""
                raise Failure("R501", f"the state directory '{self.path}' is in use{who}") from None
            except OSError as error:
                os.close(self._lock)
                reason = (error.strerror or str(error)).lower()
                raise Failure("R503", f"the state directory '{self.path}' cannot be locked: {reason}") from None
        try:
            os.ftruncate(self._lock, 0)
            os.pwrite(self._lock, b"%d\n" % os.getpid(), 0)
        except OSError:
            pass  # only for the message above: a full disk is no reason not to start

    def give(self, uid: int, gid: int) -> None:
        """Makes the directory and what is in it another user's, before the process becomes that user."""
        for directory, names, files in os.walk(self.path):
            for name in (*names, *files):
                os.chown(os.path.join(directory, name), uid, gid, follow_symlinks=False)
        os.chown(self.path, uid, gid)

    def close(self) -> None:
        """Lets another instance have it."""
        os.close(self._lock)


class Checkpoints:
    """The places of all inputs. `problem` is why the last write failed, `""` when it did not; `lost` that there had been places, and they
    could not be read. Raises `Failure` R502 for a file of a newer release."""

    def __init__(self, directory: Path) -> None:
        self.problem = ""
        self.lost = False
        self.written = 0
        self._path = directory / "checkpoints"
        self._previous = directory / "checkpoints.previous"
        self._new = directory / "checkpoints.new"
        self._changed = asyncio.Event()
        self._writer = ThreadPoolExecutor(1, "checkpoints")  # of its own: the others may all be waiting for receivers
        self._inputs = self._read()

    def places(self, name: str) -> NamedPlaces:
        """What the input of this name remembers."""
        return NamedPlaces(self, name)

    def load(self, name: str) -> dict[str, Any]:
        """The places of one input, as they were saved last in this run or the one before it."""
        return self._inputs.get(name, {})

    def save(self, name: str, places: dict[str, Any]) -> None:
        """Remembers them; they are on disk when `run` or `finish` has written them."""
        self._inputs[name] = places
        self._changed.set()

    async def run(self) -> None:
        """Writes what changed, once a second at most, until it is cancelled. A write that fails is tried again."""
        while True:
            await self._changed.wait()
            await self.finish()
            await asyncio.sleep(EVERY)

    async def finish(self) -> bool:
        """Writes what changed, now; False when that failed (`problem` says why, and what changed waits for the next time)."""
        if not self._changed.is_set():
            return True
        self._changed.clear()
        document = json.dumps({"inputs": self._inputs}, separators=(",", ":")).encode()  # not msgspec: a file name may be no UTF-8
        # Shielded: a write that has begun ends before anyone begins another.
        writing = asyncio.get_running_loop().run_in_executor(self._writer, self._write, document)
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            await asyncio.wait([writing])
            if writing.exception():
                self._changed.set()
            raise
        except OSError as error:
            self._changed.set()
            reason = (error.strerror or str(error)).lower()
            if not self.problem:
                logger.error("checkpoints cannot be written: {}; trying again, what is delivered meanwhile may come twice", reason)
            self.problem = reason
            return False
        if self.problem:
            logger.info("checkpoints are written again")
        self.problem = ""
        self.written += 1
        return True

    def _write(self, document: bytes) -> None:
        descriptor = os.open(self._new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            rest = memoryview(encoded(document))
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        spare = self._previous.with_suffix(".spare")
        try:
            spare.unlink(missing_ok=True)
            os.link(self._path, spare)
            os.replace(spare, self._previous)
        except (FileNotFoundError, PermissionError):
            pass  # the first one; or a file system without hard links, where there is no previous copy
        os.replace(self._new, self._path)
        directory = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def _read(self) -> dict[str, dict[str, Any]]:
        found = False
        for path in (self._path, self._previous):
            try:
                octets = path.read_bytes()
            except FileNotFoundError:
                continue
            except OSError as error:
                raise Failure("R503", f"'{path}' cannot be read: {(error.strerror or str(error)).lower()}") from None
            found = True
            inputs = decoded(octets, path)
            if inputs is not None:
                if path is self._previous:
                    logger.warning("going on from the copy of the checkpoints before the last: some records may come twice")
                return inputs
            aside = path.with_name(f"{path.name}.corrupt-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
            try:
                os.replace(path, aside)
                logger.error("the checkpoints in '{}' are damaged; set aside as '{}'", path, aside.name)
            except OSError:
                logger.error("the checkpoints in '{}' are damaged", path)
        if found:
            self.lost = True
            logger.error("no checkpoints can be read: every input begins from its start, and records may come twice")
        return {}


class NamedPlaces:
    """One input's share of the checkpoints: its `Places`. `retired`: another input has taken over the name, and what this one saves is old."""

    def __init__(self, checkpoints: Checkpoints, name: str) -> None:
        self.retired = False
        self._checkpoints = checkpoints
        self._name = name

    @property
    def lost(self) -> bool:
        """There had been places, and they could not be read: nothing says that this input is new."""
        return self._checkpoints.lost

    def load(self) -> dict[str, Any]:
        return self._checkpoints.load(self._name)

    def save(self, places: dict[str, Any]) -> None:
        if not self.retired:
            self._checkpoints.save(self._name, places)


def encoded(document: bytes, version: int = VERSION) -> bytes:
    """The file: its header and the object."""
    return f"shipper checkpoints {version} {_checksum(version, document)}\n".encode() + document


def decoded(octets: bytes, path: Path) -> dict[str, dict[str, Any]] | None:
    """The places of every input; None when the file is damaged. Raises `Failure` R502 for a newer version, whole."""
    head, _, document = octets.partition(b"\n")
    header = _HEADER.fullmatch(head)
    if header is None or _checksum(int(header[1]), document) != header[2].decode():
        return None
    if int(header[1]) != VERSION:
        raise Failure("R502", f"'{path}' was written by a newer release (format {int(header[1])}, this one reads {VERSION})")
    inputs = json.loads(document)["inputs"]
    assert isinstance(inputs, dict), "what has the right checksum was written by us"
    return inputs


def _checksum(version: int, document: bytes) -> str:
    return sha256(b"%d\n" % version + document).hexdigest()
