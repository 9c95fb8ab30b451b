"""What is about to be written, noted before: the next start looks whether it was. So a kill repeats nothing of what goes into a file.

Between "the octets are in the file" and "the position is noted" a process can be killed, and on a busy machine these lie far apart: there is
an fsync between them, and the turn of another thread. So who writes into a file (a spool, an output file) first notes an *intent*, without
any fsync:

    crc {"output": "out", "stretch": [path, device, inode, start, octets, crc], "to": N, "flights": [...]}

`stretch` says which octets are to stand where. If they do stand there, at the next start, the write took place, whatever was noted after it;
then they are made durable, and these are done with: payloads of the output's spool before `to`, and its part of the batches in `flights`. A
batch is done with when every output that positions wait for has its part and the batch before it was settled or is done with as well; then
its input goes on behind it. In every other case it is read, or sent, again: an intent that is lost, torn or wrong makes a repeat and never a loss.
After a power cut the checksums tell what the disk has.

Intents stand in `intents.NUMBER`. With each durable checkpoint a new file is begun, and those before the one before it go: what is settled
stands in the checkpoint then.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from shipper.batch import Flight
from shipper.checksum import crc32
from shipper.durable import sync_names

_NAME = "intents."


class Stretch(NamedTuple):
    """Octets that stand, or shall, in the file: from `start` on so many, with this CRC-32."""

    path: str
    device: int
    inode: int
    start: int
    octets: int
    crc: int


About = Callable[[Stretch], None]
"""Is told of the stretch directly before it is written, in any thread."""


class Done(NamedTuple):
    """What the intents of the run before say. `ahead`: of each input the places behind batches that are done with, in order; `delivered`: of
    each output the number of the first payload of its spool that is not."""

    ahead: dict[str, list[Any]]
    delivered: dict[str, int]


class Intents:
    """The intents of this run."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._descriptor = -1
        self._current = self._previous = _NAME + "0"

    def about(self, output: str, flights: Iterable[Flight | None] = (), *, to: int = 0) -> About | None:
        """What is to be called before these are written to the output; None when there is nothing to note. To be asked for in the loop, as it
        looks which batches are settled by now."""
        noted = [
            [flight.number, flight.input, flight.places, flight.outputs, flight.behind]
            for flight in flights
            if flight is not None and flight.places is not None
        ]
        if not noted and not to:
            return None

        def note(stretch: Stretch) -> None:
            # Not msgspec: the name of a file may be no UTF-8.
            self._append(json.dumps({"output": output, "stretch": stretch, "to": to, "flights": noted}, separators=(",", ":")).encode())

        return note

    def turn(self, number: int) -> None:
        """From now on intents are noted in another file: a checkpoint of this number has what was settled before."""
        with self._lock:
            self._previous, self._current = self._current, f"{_NAME}{number}"
            self._close()

    def forget(self, *, all: bool = False) -> None:
        """The checkpoint is durable: what was noted before the turn before is not needed."""
        with self._lock:
            if all:
                self._close()
            kept = () if all else (self._current, self._previous)
            for path in self._directory.glob(_NAME + "*"):
                if path.name not in kept:
                    path.unlink(missing_ok=True)

    def _append(self, document: bytes) -> None:
        line = b"\n%08x %b\n" % (crc32(document), document)  # what is before it may be half a line, of a kill
        with self._lock:
            try:
                if self._descriptor < 0:
                    path = self._directory / self._current
                    self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
                os.write(self._descriptor, line)
            except OSError:
                pass  # then a kill makes a repeat

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1


def done(directory: Path) -> Done:
    """What was done by the run before, as far as its intents show. What this relies on is durable."""
    ahead: dict[str, list[Any]] = {}
    delivered: dict[str, int] = {}
    flights: dict[int, tuple[str, Any, Sequence[str], int | None]] = {}
    parts: dict[int, set[str]] = {}
    found = _Found()
    for intent in _noted(directory):
        if found.stands(Stretch(*intent["stretch"])):
            output = intent["output"]
            delivered[output] = max(delivered.get(output, 0), intent["to"])
            for number, *flight in intent["flights"]:
                flights[number] = (flight[0], flight[1], flight[2], flight[3])
                parts.setdefault(number, set()).add(output)
    found.close()
    whole: set[int] = set()
    for number in sorted(flights):  # a batch has a higher number than the one before it
        name, places, outputs, before = flights[number]
        if parts[number].issuperset(outputs) and (before is None or before in whole):
            whole.add(number)
            ahead.setdefault(name, []).append(places)
    return Done(ahead, {output: number for output, number in delivered.items() if number})


def _noted(directory: Path) -> Iterator[dict[str, Any]]:
    paths = [path for path in directory.glob(_NAME + "*") if path.name.removeprefix(_NAME).isdecimal()]
    for path in sorted(paths, key=lambda path: int(path.name.removeprefix(_NAME))):
        try:
            lines = path.read_bytes().split(b"\n")
        except OSError:
            continue
        for line in lines:
            crc, _, document = line.partition(b" ")
            if document and crc == b"%08x" % crc32(document):
                yield json.loads(document)


class _Found:
    """The files that intents speak of, each opened once; durable as soon as something is found in it."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, int, int], int] = {}

    def stands(self, stretch: Stretch) -> bool:
        try:
            key = stretch[:3]
            if key not in self._open:
                self._open[key] = descriptor = _opened(stretch)
                if descriptor >= 0:
                    os.fsync(descriptor)
                    sync_names(Path(stretch.path).parent)
            descriptor, crc, at, end = self._open[key], 0, stretch.start, stretch.start + stretch.octets
            while descriptor >= 0 and at < end and (octets := os.pread(descriptor, min(end - at, 1 << 20), at)):
                crc, at = crc32(octets, crc), at + len(octets)
            return at == end and crc == stretch.crc
        except OSError:
            return False

    def close(self) -> None:
        for descriptor in self._open.values():
            if descriptor >= 0:
                os.close(descriptor)


def _opened(stretch: Stretch) -> int:
    """The file, also when it was renamed in its directory (by a rotation); -1 when it is gone."""
    path = Path(stretch.path)
    same = [path, *(Path(entry.path) for entry in os.scandir(path.parent) if entry.inode() == stretch.inode)]
    for each in same:
        try:
            descriptor = os.open(each, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            continue
        status = os.fstat(descriptor)
        if (status.st_dev, status.st_ino) == (stretch.device, stretch.inode):
            return descriptor
        os.close(descriptor)
    return -1
