"""What is remembered over restarts: one directory that one service owns, and in it one file with how far every input was.

The directory is 0700 and locked with flock: the lock dies with the process, however it dies, so no stale one can block a start.

`checkpoints` is one line of header and one JSON object, {"number": N, "inputs": {NAME: PLACES}}:

    shipper checkpoints 1 3f0c…          the version of the format, SHA-256 of version and object
    {"number":17,"inputs":{"mail":{…}}}

It is written whole, once a second at most: to a new file, fsync, the old one becomes `checkpoints.previous`, the new one takes the name, fsync of
the directory. In between `checkpoints.recent` is written the same way but without any fsync, some milliseconds after each change: it outlives
a killed process, and maybe not a power cut. The one with the highest number that is whole holds. What it does not have yet, as the process was
killed before, `intents` may tell: that stands as "ahead" in the places of an input.

A damaged one is set aside as `checkpoints.corrupt-TIME`; without one every input begins from its start, and knows that it was not new. One whose
checksum is right and whose version is not ours was written by a newer release: it is left alone and we do not start.
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

from shipper.durable import sync_names
from shipper.errors import Failure
from shipper.intents import Intents, done

VERSION = 1
EVERY = 1.0
"""Seconds between two writes that are durable; also how long a failed one waits."""

_PAUSE = 0.005
_SHARE = 9
"""After a write that is not durable at least so many seconds until the next, and so many times what it took: a tenth of the time at most."""

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
    could not be read; `written` counts durable writes; `intents` are those of this run, and `delivered` what those of the run before say of
    spools. Raises `Failure` R502 for a file of a newer release."""

    def __init__(self, directory: Path) -> None:
        self.problem = ""
        self.lost = False
        self.written = 0
        self._path = directory / "checkpoints"
        self._previous = directory / "checkpoints.previous"
        self._recent = directory / "checkpoints.recent"
        self._new = directory / "checkpoints.new"
        self._changed = asyncio.Event()
        self._behind = asyncio.Event()  # what is durable is older than what there is
        self._writers = ThreadPoolExecutor(2, "checkpoints")  # of its own: the others may all be waiting for receivers
        self._number = 0
        self._inputs: dict[str, dict[str, Any]] = {}
        self.delivered: dict[str, int] = {}
        self._read()
        self.intents = Intents(directory)
        self.intents.turn(self._number)
        if self._number:
            self._go_on(directory)

    def _go_on(self, directory: Path) -> None:
        """Takes in what the run before had done, and not noted any more."""
        ahead, self.delivered = done(directory)
        for name, places in ahead.items():
            self.save(name, {**self.load(name), "ahead": [*self.load(name).get("ahead", ()), *places]})

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
        self._behind.set()

    async def run(self) -> None:
        """Writes what changes until it is cancelled. A write that fails is tried again."""
        await asyncio.gather(self._keep_recent(), self._keep_durable())

    async def _keep_recent(self) -> None:
        """Apart from the other, so that it never waits for a slow disk."""
        loop = asyncio.get_running_loop()
        while True:
            await self._changed.wait()
            self._changed.clear()
            took = 0.0
            try:
                took = await loop.run_in_executor(self._writers, self._write, self._document(), False)
            except OSError:
                pass  # the durable one says so
            await asyncio.sleep(max(_PAUSE, _SHARE * took))

    async def _keep_durable(self) -> None:
        while True:
            await self._behind.wait()
            await self.finish()
            await asyncio.sleep(EVERY)

    async def finish(self) -> bool:
        """Makes durable what changed, now; False when that failed (`problem` says why, and what changed waits for the next time)."""
        if not self._behind.is_set():
            return True
        self._behind.clear()
        self.intents.turn(self._number + 1)
        writing = asyncio.get_running_loop().run_in_executor(self._writers, self._write, self._document(), True)
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            await asyncio.wait([writing])  # a write that has begun ends before anyone begins another
            self._behind.set()
            raise
        except OSError as error:
            self._behind.set()
            reason = (error.strerror or str(error)).lower()
            if not self.problem:
                logger.error("checkpoints cannot be written: {}; trying again, what is delivered meanwhile may come twice", reason)
            self.problem = reason
            return False
        if self.problem:
            logger.info("checkpoints are written again")
        self.problem = ""
        self.written += 1
        self.intents.forget()
        return True

    async def close(self) -> None:
        """Makes everything durable, at the end."""
        if await self.finish():
            self.intents.forget(all=True)

    def _document(self) -> bytes:
        self._number += 1
        # Not msgspec: the name of a file may be no UTF-8.
        return encoded(json.dumps({"number": self._number, "inputs": self._inputs}, separators=(",", ":")).encode())

    def _write(self, octets: bytes, durable: bool) -> float:
        """In a thread. The seconds that it took."""
        begin = time.monotonic()
        new = self._new if durable else self._recent.with_suffix(".recent-new")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            rest = memoryview(octets)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if not durable:
            os.replace(new, self._recent)
            return time.monotonic() - begin
        spare = self._previous.with_suffix(".spare")
        try:
            spare.unlink(missing_ok=True)
            os.link(self._path, spare)
            os.replace(spare, self._previous)
        except (FileNotFoundError, PermissionError):
            pass  # the first one; or a file system without hard links, where there is no previous copy
        os.replace(new, self._path)
        sync_names(self._path.parent)
        return time.monotonic() - begin

    def _read(self) -> None:
        """Takes the newest that is whole."""
        found: dict[Path, tuple[int, dict[str, dict[str, Any]]] | None] = {}
        for path in (self._path, self._recent, self._previous):
            try:
                found[path] = decoded(path.read_bytes(), path)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise Failure("R503", f"'{path}' cannot be read: {(error.strerror or str(error)).lower()}") from None
        for path, content in found.items():
            if content is None:
                self._set_aside(path)
        whole = {path: content for path, content in found.items() if content is not None}
        if whole:
            newest = max(whole, key=lambda path: whole[path][0])
            self._number, self._inputs = whole[newest]
            if found.get(self._path) is None and newest is self._previous:
                logger.warning("going on from the copy of the checkpoints before the last: some records may come twice")
        elif found:
            self.lost = True
            logger.error("no checkpoints can be read: every input begins from its start, and records may come twice")

    def _set_aside(self, path: Path) -> None:
        if path is self._recent:
            return  # what a power cut leaves of it; the next change writes it anew
        aside = path.with_name(f"{path.name}.corrupt-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
        try:
            os.replace(path, aside)
            logger.error("the checkpoints in '{}' are damaged; set aside as '{}'", path, aside.name)
        except OSError:
            logger.error("the checkpoints in '{}' are damaged", path)


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


def decoded(octets: bytes, path: Path) -> tuple[int, dict[str, dict[str, Any]]] | None:
    """(number, places of every input); None when the file is damaged. Raises `Failure` R502 for a newer version, whole."""
    head, _, document = octets.partition(b"\n")
    header = _HEADER.fullmatch(head)
    if header is None or _checksum(int(header[1]), document) != header[2].decode():
        return None
    if int(header[1]) != VERSION:
        raise Failure("R502", f"'{path}' was written by a newer release (format {int(header[1])}, this one reads {VERSION})")
    content = json.loads(document)
    return content["number"], content["inputs"]


def _checksum(version: int, document: bytes) -> str:
    return sha256(b"%d\n" % version + document).hexdigest()
