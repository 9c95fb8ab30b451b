"""One output's disk spool: payloads that wait in files, bounded in size, until the receiver has taken them.

A spool is a directory of segments, which are frames of payloads (`segment` has their octets), and are only ever appended to. Every payload has a
number, one more than that of the payload before. The name of a segment is `SEGMENT-FIRST-SEED.spool`: its own number, the number of its first
payload, and what its checksums start from. The file `position` has the number of the first payload that is not yet acknowledged, the file
`end` the one behind the last that was durable.

- What `append` has returned from is on the disk, directory and all. What a failed `append` wrote is never built upon: its frames come again,
  under the same numbers, in a new segment, and of two segments with the same numbers the later holds.
- What is damaged is skipped, payload by payload: the numbers of those behind say how many are lost. Its octets are kept beside the segment
  (`.corrupt-TIME`).
- Half a frame at the end is what a crash leaves of an append that never returned: it is cut off. Where payloads before `end` are missing, they
  are lost.
- A segment is unlinked when a position behind it is durable, and not before.
- Nothing that stands in the files keeps a spool from opening.

No more than a frame is held in memory, whatever waits. One thread may append and trim while another reads and acknowledges.
"""

from __future__ import annotations

import errno
import os
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from shipper import segment as frames_of
from shipper.checksum import crc32
from shipper.durable import sync_names
from shipper.intents import About, Stretch
from shipper.segment import Damaged, Frame, Index

SEGMENT_OCTETS = 16 << 20

_NAME = re.compile(r"(\d{10})-(\d{20})-([0-9a-f]{8})\.spool")
_SLOT = 512
_BLOCK = 4096
_TRIES = 10
_FULL = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))


class SpoolBlocked(Exception):
    """Nothing of an append is kept, and it should be tried again. `full`: for want of room, by our own bound or on the disk. `reason` is for
    people."""

    def __init__(self, reason: str, *, full: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.full = full


class Disk:
    """The calls by which octets become durable; a test hands over one that fails."""

    def write(self, descriptor: int, octets: memoryview) -> int:
        return os.write(descriptor, octets)

    def sync(self, descriptor: int) -> None:
        os.fdatasync(descriptor)

    def read(self, descriptor: int, octets: int, offset: int) -> bytes:
        return os.pread(descriptor, octets, offset)

    def free(self, directory: Path) -> int:
        """Octets that an ordinary user may still write there."""
        found = os.statvfs(directory)
        return found.f_bavail * found.f_frsize


class _Segment:
    """`size` is what is durable of it (or was there when the spool was opened)."""

    __slots__ = ("first", "number", "path", "seed", "size")

    def __init__(self, path: Path, number: int, first: int, seed: int, size: int = 0) -> None:
        self.path = path
        self.number = number
        self.first = first
        self.seed = seed
        self.size = size


class Spool:
    """The spool in `directory`, which is made if it is not there. Raises OSError when the directory cannot be made or listed, or a file in it
    not be opened.

    `octets`: what all segments may hold together; a single append larger than that is taken when nothing else waits. `keep_free`: octets of
    the disk that are left to others. `delivered`: payloads before this number are known to be delivered. `twin`: the module that `compiled.find`
    found. Public counters: `torn` tails cut, `damaged` stretches skipped, `lost` payloads in them or cut off.
    """

    def __init__(
        self,
        directory: Path,
        *,
        octets: int = 1 << 30,
        segment_octets: int = SEGMENT_OCTETS,
        keep_free: int = 0,
        delivered: int = 0,
        disk: Disk | None = None,
        now: Callable[[], float] = time.time,
        twin: Any = None,
    ) -> None:
        self.directory = directory
        self.torn = 0
        self.damaged = 0
        self.lost = 0
        self._octets = octets
        self.segment_octets = max(1, min(segment_octets, octets // 4))
        self._keep_free = keep_free
        self._disk = disk or Disk()
        self._now = now
        self._twin = twin
        self._lock = threading.Lock()
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._segments = self._listed()
        self._last_number = self._segments[-1].number if self._segments else 0
        self._failures = 0
        self._place = _Place(directory / "position")
        self._durable = _Place(directory / "end")
        known, durable = self._place.load(), self._durable.load() or 0
        if known is None:  # lost, or new: from the beginning of what there is
            known = self._segments[0].first if self._segments else durable
            self._place.store(known)
        self.position = max(known, self._segments[0].first if self._segments else 0)
        self.end = max(self.position, durable)
        if self._segments:
            self.end = max(self.end, self._measured(self._segments[-1], durable))
        if self.position < delivered <= self.end:
            self.position = delivered
            self._place.store(delivered)
        self._writing: _Segment | None = None
        self._descriptor = -1
        self._reading: _Segment | None = None
        self._reading_descriptor = -1
        self._offset = 0
        self._next = self.position
        self._pieces: deque[Frame | Damaged] = deque()
        self._unsure: list[Damaged] = []
        self._skipped: dict[int, int] = {}
        try:
            self.trim()
        except OSError:
            pass  # a disk that only reads: what is here is delivered nevertheless

    @property
    def skipped(self) -> int:
        """Payloads that are lost and not yet passed by the position."""
        return sum(end - start for start, end in self._skipped.items())

    @property
    def waiting(self) -> int:
        """Payloads that are durable here and not acknowledged."""
        return self.end - self.position - self.skipped

    @property
    def size(self) -> int:
        """Octets of all segments."""
        with self._lock:
            return sum(segment.size for segment in self._segments)

    # Writing

    def append(self, frames: Sequence[tuple[Sequence[bytes], int]], about: About | None = None) -> None:
        """Puts (payloads, arrival) behind all others, each as a frame, and returns when they are durable. Raises `SpoolBlocked`: then none of
        them is in the spool, and the spool is as good as before. `about` is told of the stretch before."""
        assert all(payloads for payloads, _ in frames), "a frame has payloads"
        segment = self._with_room(sum(frames_of.size(payloads) for payloads, _ in frames))
        number = self.end
        parts: list[bytes] = []
        for payloads, observed in frames:
            parts += frames_of.written(number, payloads, observed, segment.seed, self._twin)
            number += len(payloads)
        joined = b"".join(parts)
        if about is not None:
            about(self._stretch(segment, joined))
        try:
            rest = memoryview(joined)
            while rest:
                rest = rest[self._disk.write(self._descriptor, rest) :]
            self._disk.sync(self._descriptor)
            if not segment.size:
                sync_names(self.directory, self._disk.sync)
        except OSError as error:
            self._abandon()
            raise _blocked(error) from error
        with self._lock:
            if not segment.size:
                self._segments.append(segment)
            segment.size += len(joined)
            self.end = number
        self._durable.store(number)

    def _stretch(self, segment: _Segment, octets: bytes) -> Stretch:
        status = os.fstat(self._descriptor)
        return Stretch(str(segment.path.absolute()), status.st_dev, status.st_ino, segment.size, len(octets), crc32(octets))

    def _with_room(self, octets: int) -> _Segment:
        """The segment that takes so many octets. Raises `SpoolBlocked`."""
        try:
            free = self._disk.free(self.directory)
            if free - octets < self._keep_free:
                left = f", and {self._keep_free} are to be left" if self._keep_free else ""
                raise SpoolBlocked(f"no room for the spool: {free} octets are free on the disk{left}", full=True)
            if self.size + octets > self._octets:
                if self.position < self.end:
                    raise SpoolBlocked(f"the spool has its full size of {self._octets} octets", full=True)
                self._close_writing()
                self.trim()
            if self._writing is None or self._writing.size >= self.segment_octets:
                self._close_writing()
                self._open_writing()
        except OSError as error:
            raise _blocked(error) from error
        assert self._writing is not None
        return self._writing

    def _open_writing(self) -> None:
        number = self._last_number + 1
        seed = int.from_bytes(os.urandom(4), "big")
        path = self.directory / f"{number:010}-{self.end:020}-{seed:08x}.spool"
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._last_number = number
        self._writing = _Segment(path, number, self.end, seed)

    def _close_writing(self) -> None:
        if self._writing is not None:
            self._writing = None
            os.close(self._descriptor)

    def _abandon(self) -> None:
        """After a failed write or sync nobody knows what the disk has: the segment ends where it last was durable. That it is cut there is
        tidiness; the next segment's first number says so anyway."""
        segment = self._writing
        assert segment is not None
        try:
            if segment.size:
                os.ftruncate(self._descriptor, segment.size)
            else:
                segment.path.unlink()
        except OSError:
            pass
        try:
            self._close_writing()
        except OSError:
            pass

    def trim(self) -> None:
        """Makes the position durable and unlinks what lies wholly before it. Raises OSError."""
        durable = self._place.sync(self._disk)
        with self._lock:
            done: list[_Segment] = []
            ends = [*(segment.first for segment in self._segments[1:]), self.end]
            for segment, end in zip(self._segments, ends, strict=False):
                if end > durable or segment is self._writing:
                    break
                done.append(segment)
        for segment in done:
            try:
                segment.path.unlink()
            except FileNotFoundError:
                pass
            with self._lock:
                self._segments.remove(segment)

    @property
    def trimmable(self) -> bool:
        """Whether a trim would unlink something."""
        with self._lock:
            return len(self._segments) > 1 and self._segments[1].first <= self.position

    def close(self) -> None:
        """Makes the position durable, exactly: the next to open this spool begins with the first payload that is not acknowledged."""
        try:
            self._close_writing()
            self.trim()
        except OSError:
            pass  # what was not made durable comes twice
        self._close_reading()
        self._place.close()
        self._durable.close()

    # Reading

    def read(self) -> Frame | None:
        """The next frame, in order, or what of it is good; None when there is no other. Raises OSError when the disk does not give it: then try
        again. What it has not given ten times is damaged."""
        try:
            frame = self._read()
        except OSError as error:
            self._failures += error.errno == errno.EIO
            raise
        self._failures = 0
        return frame

    def _read(self) -> Frame | None:
        while True:
            while self._pieces:
                piece = self._pieces.popleft()
                if isinstance(piece, Damaged):
                    self._unsure.append(piece)
                elif (frame := self._fresh(piece)) is not None:
                    return frame
            with self._lock:
                if self._next >= self.end:
                    return None
                limit = self._turned_to_segment()
            segment, descriptor = self._reading, self._reading_descriptor
            if segment is None or self._offset >= segment.size:
                self._gap(limit)
                continue
            index, known = self._index(descriptor, segment, self._offset)
            if index is None:
                index, known = self._resynced(descriptor, segment, self._offset), b""
            if index is None or self._offset < index.start:
                end = segment.size if index is None else index.start
                self._unsure.append(Damaged(self._offset, end))
                self._offset = end
            elif index.first >= limit:
                self._offset = segment.size  # written again, in the segment that follows
            else:
                within = index.body - self._offset
                whole = len(known) >= within + index.length
                self._pieces.extend(
                    index.pieces(known[within : within + index.length] if whole else self._body(descriptor, segment, index))
                )
                self._offset = index.stop

    def _fresh(self, frame: Frame) -> Frame | None:
        """What is new of it; None if nothing is."""
        end = frame.first + len(frame.payloads)
        if self._next < frame.first:
            self._gap(frame.first)
        self._unsure.clear()  # what is damaged before an acknowledged payload was acknowledged too
        if end <= self._next:
            return None
        known, self._next = self._next - frame.first, end
        return Frame(frame.first + known, frame.observed, frame.payloads[known:]) if known else frame

    def acknowledge(self, number: int) -> None:
        """All payloads before `number` are delivered or set aside."""
        for start in [start for start in self._skipped if start < number] if self._skipped else ():
            del self._skipped[start]
        while number in self._skipped:
            number = self._skipped.pop(number)
        assert self.position <= number <= self.end
        self.position = number
        self._place.store(number)

    def _turned_to_segment(self) -> int:
        """Turns to the segment that has the next number, if any can have it; the number at which its own end."""
        for segment in self._segments:
            if self._reading is None or segment.number > self._reading.number:
                if self._reading is not None and segment.first > self._next:
                    return segment.first
                descriptor = _opened(segment.path)
                self._close_reading()
                self._reading = segment
                self._reading_descriptor = descriptor
        return self.end

    def _close_reading(self) -> None:
        if self._reading_descriptor >= 0:
            os.close(self._reading_descriptor)
        self._reading_descriptor = -1
        self._offset = 0
        self._pieces.clear()
        self._unsure.clear()

    def _index(self, descriptor: int, segment: _Segment, offset: int) -> tuple[Index | None, bytes]:
        """The index of the frame that begins there, and what has been read from there on."""
        octets = self._octets_at(descriptor, min(_BLOCK, segment.size - offset), offset)
        more = frames_of.index_octets(octets) - len(octets)
        if 0 < more <= segment.size - offset - len(octets):
            octets += self._octets_at(descriptor, more, offset + len(octets))
        index = frames_of.parsed(octets, segment.seed, offset)
        return (index if index and index.start == offset else None), octets

    def _body(self, descriptor: int, segment: _Segment, index: Index) -> bytes:
        return self._octets_at(descriptor, min(index.length, segment.size - index.body), index.body)

    def _gap(self, to: int) -> None:
        """The payloads from the next number to this one are nowhere: counted, and the damaged octets where they were are kept."""
        start, self._next = self._next, to
        self.lost += to - start
        self.damaged += len(self._unsure)
        for region in self._unsure:
            self._keep_aside(region)
        self._unsure.clear()
        self._skipped[start] = to
        if self.position == start:
            self.acknowledge(start)

    def _keep_aside(self, region: Damaged) -> None:
        assert self._reading is not None
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._now()))
        try:
            descriptor = os.open(f"{self._reading.path}.corrupt-{stamp}", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                os.write(descriptor, self._octets_at(self._reading_descriptor, region.stop - region.start, region.start))
            finally:
                os.close(descriptor)
        except OSError:
            pass  # counted all the same

    def _resynced(self, descriptor: int, segment: _Segment, offset: int) -> Index | None:
        """The index of the next frame that begins there or behind it and has a good one."""
        octets = self._octets_at(descriptor, segment.size - offset, offset)
        for at in frames_of.candidates(octets):
            index = frames_of.parsed(octets, segment.seed, offset, at)
            if index is not None and index.start >= offset:
                return index
        return None

    def _octets_at(self, descriptor: int, octets: int, offset: int) -> bytes:
        """So many octets of a segment, fewer only at its end or when it is gone. Blocks that the disk has often enough not given are zeros."""
        found = b""
        while descriptor >= 0 and len(found) < octets:
            at, wanted = offset + len(found), octets - len(found)
            given_up = self._failures >= _TRIES
            if given_up:
                wanted = min(wanted, _BLOCK - at % _BLOCK)
            try:
                more = self._disk.read(descriptor, wanted, at)
            except OSError as error:
                if not given_up or error.errno != errno.EIO:
                    raise
                more = bytes(wanted)
            if not more:
                break
            found += more
        return found

    # Opening

    def _listed(self) -> list[_Segment]:
        """The segments that are there, by number."""
        segments: list[_Segment] = []
        for entry in os.scandir(self.directory):
            named = _NAME.fullmatch(entry.name)
            if named and entry.is_file(follow_symlinks=False):
                size = entry.stat(follow_symlinks=False).st_size
                segments.append(_Segment(self.directory / entry.name, int(named[1]), int(named[2]), int(named[3], 16), size))
        return sorted(segments, key=lambda segment: segment.number)

    def _measured(self, segment: _Segment, durable: int) -> int:
        """The number behind the last payload of the last segment, whose torn tail is cut, unless payloads before `durable` were there. A damaged
        end has at least one payload."""
        end, offset = segment.first, 0
        descriptor = _opened(segment.path)
        if descriptor < 0:
            return end
        try:
            while offset < segment.size:
                index = self._index(descriptor, segment, offset)[0] or self._resynced(descriptor, segment, offset)
                if index is None or index.stop > segment.size:
                    break
                end, offset = max(end, index.end), index.stop
            if offset < segment.size and end >= durable:
                if frames_of.torn(self._octets_at(descriptor, segment.size - offset, offset), segment.seed):
                    self.torn += 1
                    os.truncate(segment.path, offset)
                    segment.size = offset
                else:
                    end += 1
        except OSError:
            end += segment.size  # the disk does not give it all now: what follows must not have the numbers of what it may give later
        finally:
            os.close(descriptor)
        return end


class _Place:
    """A file with one number: two slots, written in turn and in place, so that one is always whole; the highest that is whole holds."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1
        self._slot = 0
        self._written = 0
        self._synced = -1
        self._directory_synced = False

    def load(self) -> int | None:
        """The number as it was last stored; None when there is none, or it is damaged."""
        try:
            self._open()
            octets = os.pread(self._descriptor, 2 * _SLOT, 0)
        except OSError:
            octets = b""
        found: list[tuple[int, int]] = []
        for slot in (0, 1):
            line = octets[slot * _SLOT : slot * _SLOT + 30]
            number, checksum = line[:20], line[21:29]
            if number.isdigit() and checksum == f"{crc32(number):08x}".encode():
                found.append((int(number), slot))
        self._written, latest = max(found, default=(0, 1))
        self._slot = 1 - latest
        return self._written if found else None

    def store(self, number: int) -> None:
        """Writes it, so that it outlives this process; `sync` makes it outlive the machine. A failure is met again by `sync`."""
        text = f"{number:020}".encode()
        line = text + b" " + f"{crc32(text):08x}".encode() + b"\n"
        try:
            self._open()
            os.pwrite(self._descriptor, line.ljust(_SLOT, b"\n"), self._slot * _SLOT)
        except OSError:
            return
        self._slot = 1 - self._slot
        self._written = number

    def sync(self, disk: Disk) -> int:
        """Makes durable what is written, and returns it. Raises OSError."""
        written = self._written
        if written != self._synced:
            self._open()
            disk.sync(self._descriptor)
            if not self._directory_synced:
                sync_names(self._path.parent, disk.sync)
                self._directory_synced = True
            self._synced = written
        return written

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _open(self) -> None:
        if self._descriptor < 0:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _opened(path: Path) -> int:
    """A descriptor to read from; -1 when the file is gone. Raises OSError for what may pass, such as too many open files."""
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return -1


def _blocked(error: OSError) -> SpoolBlocked:
    return SpoolBlocked(f"the spool cannot be written: {(error.strerror or str(error)).lower()}", full=error.errno in _FULL)
