"""What a receiver will never take, kept with the reason: JSON lines that a person can read and `replay` can send again.

    {"time": "2026-01-31T12:00:00Z", "output": "siem", "reason": "400: no such field", "payload": "..."}

`payload_base64` stands instead of `payload` where the octets are not UTF-8. Files are `NUMBER.jsonl`, the highest number the one that is written to;
beyond its size a new one is begun. `add` returns when the letters are on the disk.

Replaying: `claim` gives a file the end `.replaying`, so that nothing is added to it any more; `letters` reads it; `finished` makes that
`.replayed`. A replay that was broken off is found by its name, and begins that file again. None is ever deleted.
"""

from __future__ import annotations

import base64
import fcntl
import os
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from shipper.durable import sync_names

FILE_OCTETS = 16 << 20

_NAME = re.compile(r"(\d{8})\.jsonl(\.replaying|\.replayed)?")


class Letter(msgspec.Struct, frozen=True):
    """One payload that was refused: which output's, why, and when it was set aside (nanoseconds since 1970). `id`: of the record, if known."""

    payload: bytes
    output: str
    reason: str
    time: int
    id: str = ""


class _Line(msgspec.Struct, omit_defaults=True):
    time: str = ""
    output: str = ""
    reason: str = ""
    id: str = ""
    payload: str | None = None
    payload_base64: str | None = None


class DeadLetters:
    """The dead letters of one output, in a directory of their own."""

    def __init__(self, directory: Path, *, file_octets: int = FILE_OCTETS) -> None:
        self._directory = directory
        self._file_octets = file_octets

    def add(self, letters: Sequence[Letter]) -> None:
        """Appends them and returns when they are durable. Blocks; raises OSError, and then leaves nothing of them but perhaps a line that
        `letters` will find a second time."""
        octets = b"".join(_encoded(letter) for letter in letters)
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = self._opened()
        try:
            start = os.lseek(descriptor, 0, os.SEEK_END)
            try:
                if start and os.pread(descriptor, 1, start - 1) != b"\n":
                    octets = b"\n" + octets  # half a line, of a crash
                rest = memoryview(octets)
                while rest:
                    rest = rest[os.write(descriptor, rest) :]
                os.fsync(descriptor)
                if not start:
                    sync_names(self._directory)
            except OSError:
                os.ftruncate(descriptor, start)
                raise
        finally:
            os.close(descriptor)

    def _opened(self) -> int:
        """The file to append to, locked, so that no replay claims it before it is closed."""
        while True:
            latest, path = max(((int(named[1]), entry) for entry, named in _named(self._directory)), default=(0, self._directory))
            if path.suffix != ".jsonl" or _size(path) >= self._file_octets:
                path = self._directory / f"{latest + 1:08}.jsonl"
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            try:
                if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                    return descriptor
            except FileNotFoundError:
                pass
            os.close(descriptor)  # claimed in between


def waiting_files(directory: Path) -> list[Path]:
    """The files that are not replayed yet, the oldest first; those of a replay that was broken off among them."""
    return sorted(path for path, named in _named(directory) if named[2] != ".replayed")


def claim(path: Path) -> Path:
    """Takes a file for replaying: its new name. Raises OSError."""
    if path.suffix == ".replaying":
        return path
    claimed = path.with_name(path.name + ".replaying")
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        path.rename(claimed)
        sync_names(path.parent)
    finally:
        os.close(descriptor)
    return claimed


def finished(path: Path) -> Path:
    """Marks a claimed file as replayed: its new name. Raises OSError."""
    done = path.with_suffix(".replayed")
    path.rename(done)
    sync_names(path.parent)
    return done


def letters(path: Path) -> Iterator[Letter | int]:
    """Each letter of a file, in order; in place of a line that is none (half of one, of a crash), its number, from 1. Raises OSError."""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            yield _decoded(line) or number


def _encoded(letter: Letter) -> bytes:
    line = _Line(
        time=datetime.fromtimestamp(letter.time // 1_000_000_000, UTC).isoformat().replace("+00:00", "Z"),
        output=letter.output,
        reason=letter.reason.encode("utf-8", "backslashreplace").decode(),
        id=letter.id,
    )
    try:
        line.payload = letter.payload.decode()
    except UnicodeDecodeError:
        line.payload_base64 = base64.b64encode(letter.payload).decode()
    return msgspec.json.encode(line) + b"\n"


def _decoded(octets: bytes) -> Letter | None:
    try:
        line = msgspec.json.decode(octets, type=_Line)
        when = int(datetime.fromisoformat(line.time).timestamp()) * 1_000_000_000
        if line.payload is not None:
            payload = line.payload.encode()
        elif line.payload_base64 is not None:
            payload = base64.b64decode(line.payload_base64, validate=True)
        else:
            return None
    except (ValueError, msgspec.MsgspecError):
        return None
    return Letter(payload, line.output, line.reason, when, line.id)


def _named(directory: Path) -> Iterator[tuple[Path, re.Match[str]]]:
    try:
        entries = list(directory.iterdir())
    except FileNotFoundError:
        return
    for path in entries:
        if named := _NAME.fullmatch(path.name):
            yield path, named


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
