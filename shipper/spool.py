"""One output's disk spool: payloads that wait in files, bounded in size, until the receiver has taken them.

A spool is a directory of segments. A segment is frames, one behind the other, and is only ever appended to:

    mark  first  count  length  crc of body  crc of header │ body = msgpack [observed, [payload, ...]]
    4     8      4      4       4            4             │ length octets

Every payload has a number, one more than that of the payload before; `first` is that of the first payload of the frame. The name of a segment is
`SEGMENT-FIRST-SEED.spool`: its own number, the number of its first payload, and what both checksums start from (so that a log line that
looks like a frame is none). The file `position` has the number of the first payload that is not yet acknowledged.

- What `append` has returned from is on the disk, directory and all. What a failed `append` wrote is never built upon: its frames come again,
  under the same numbers, in a new segment, and of two segments with the same numbers the later holds.
- A frame that is damaged is skipped: the numbers of the next good one say how many payloads are lost. Its octets are kept beside the segment
  (`.corrupt-TIME`). Half a frame at the end is what a crash leaves of an append that never returned: it is cut off.
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
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from zlib import crc32

import msgpack  # type: ignore[import-untyped]

from shipper.intents import About, Stretch

SEGMENT_OCTETS = 16 << 20

_MARK = b"\xf5SP\x01"
_HEADER = Struct(">4sQIII")
_CHECKED = Struct(">4sQIIII")
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


@dataclass(frozen=True, slots=True)
class Frame:
    """Payloads that came together, the number of the first, and when that arrived (nanoseconds since 1970)."""

    first: int
    observed: int
    payloads: tuple[bytes, ...]


class _Segment:
    """`size` is what is durable of it (or was there when the spool was opened)."""

    __slots__ = ("first", "number", "path", "seed", "size")

    def __init__(self, path: Path, number: int, first: int, seed: int, size: int = 0) -> None:
        self.path = path
        self.number = number
        self.first = first
        self.seed = seed
        self.size = size


class _Header:
    __slots__ = ("count", "crc", "end", "first", "length")

    def __init__(self, first: int, count: int, length: int, crc: int) -> None:
        self.first = first
        self.count = count
        self.length = length
        self.crc = crc
        self.end = first + count


class Spool:
    """The spool in `directory`, which is made if it is not there. Raises OSError when the directory cannot be made or listed, or a file in it
    not be opened.

    `octets`: what all segments may hold together; a single append larger than that is taken when nothing else waits. `keep_free`: octets of
    the disk that are left to others. `delivered`: payloads before this number are known to be delivered. Public
    counters: `torn` tails cut, `damaged` stretches skipped, `lost` payloads in them.
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
        self._lock = threading.Lock()
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._segments = self._listed()
        self._last_number = self._segments[-1].number if self._segments else 0
        self._place = _Place(directory / "position")
        self.position = max(self._place.load(), self._segments[0].first if self._segments else 0)
        self.end = self.position
        if self._segments:
            self.end = max(self.position, self._measured(self._segments[-1]))
        if self.position < delivered <= self.end:
            self.position = delivered
            self._place.store(delivered)
        self._writing: _Segment | None = None
        self._descriptor = -1
        self._reading: _Segment | None = None
        self._reading_descriptor = -1
        self._offset = 0
        self._next = self.position
        self._failures = 0
        self._unsure: list[tuple[int, int]] = []
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
        bodies = [(msgpack.packb((observed, tuple(payloads))), len(payloads)) for payloads, observed in frames]
        segment = self._with_room(sum(_CHECKED.size + len(body) for body, _ in bodies))
        number = self.end
        joined = bytearray()
        for body, count in bodies:
            checked = _HEADER.pack(_MARK, number, count, len(body), crc32(body, segment.seed))
            joined += checked + crc32(checked, segment.seed).to_bytes(4, "big") + body
            number += count
        if about is not None:
            about(self._stretch(segment, joined))
        try:
            rest = memoryview(joined)
            while rest:
                rest = rest[self._disk.write(self._descriptor, rest) :]
            self._disk.sync(self._descriptor)
            if not segment.size:
                _sync_directory(self.directory, self._disk)
        except OSError as error:
            self._abandon()
            raise _blocked(error) from error
        with self._lock:
            if not segment.size:
                self._segments.append(segment)
            segment.size += len(joined)
            self.end = number

    def _stretch(self, segment: _Segment, octets: bytearray) -> Stretch:
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

    # Reading

    def read(self) -> Frame | None:
        """The next frame, in order; None when there is no other. Raises OSError when the disk does not give it: then try again. A place that it
        has not given ten times is damaged."""
        try:
            frame = self._read()
        except OSError as error:
            self._failures += 1
            if error.errno == errno.EIO and self._failures >= _TRIES and self._reading is not None:
                start, self._offset = self._offset, min(self._offset + _BLOCK, self._reading.size)
                self._unsure.append((start, self._offset))
                self._failures = 0
            raise
        self._failures = 0
        return frame

    def _read(self) -> Frame | None:
        while True:
            with self._lock:
                if self._next >= self.end:
                    return None
                limit = self._turned_to_segment()
            segment = self._reading
            if segment is None or self._offset >= segment.size:
                self._gap(limit)
                continue
            header = self._header(self._reading_descriptor, segment, self._offset)
            if header is None:
                start, self._offset = self._offset, self._resynced(self._reading_descriptor, segment, self._offset + 1)
                self._unsure.append((start, self._offset))
            elif header.first >= limit:
                self._offset = segment.size  # written again, in the segment that follows
            elif (frame := self._frame(segment, header)) is not None:
                return frame

    def acknowledge(self, number: int) -> None:
        """All payloads before `number` are delivered or set aside."""
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
        self._unsure.clear()

    def _header(self, descriptor: int, segment: _Segment, offset: int) -> _Header | None:
        """The header of a frame that begins and ends in this segment."""
        octets = self._octets_at(descriptor, _CHECKED.size, offset)
        header = _parsed(octets, segment.seed)
        return header if header and offset + _CHECKED.size + header.length <= segment.size else None

    def _frame(self, segment: _Segment, header: _Header) -> Frame | None:
        """What is new of the frame at the offset, which is passed."""
        start = self._offset
        body = self._octets_at(self._reading_descriptor, header.length, start + _CHECKED.size)
        self._offset += _CHECKED.size + header.length
        content = _content(body, header, segment.seed)
        if content is None:
            self._unsure.append((start, self._offset))
            return None
        if header.end <= self._next:
            self._unsure.clear()  # what is damaged before an acknowledged frame was acknowledged too
            return None
        if header.first > self._next:
            self._gap(header.first)
        self._unsure.clear()
        observed, payloads = content
        fresh = payloads[self._next - header.first :]
        frame = Frame(self._next, observed, tuple(fresh))
        self._next = header.end
        return frame

    def _gap(self, to: int) -> None:
        """The payloads from the next number to this one are nowhere: counted, and the damaged octets where they were are kept."""
        start, self._next = self._next, to
        self.lost += to - start
        self.damaged += len(self._unsure)
        for region in self._unsure:
            self._keep_aside(*region)
        self._unsure.clear()
        self._skipped[start] = to
        if self.position == start:
            self.acknowledge(start)

    def _keep_aside(self, start: int, end: int) -> None:
        assert self._reading is not None
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._now()))
        try:
            descriptor = os.open(f"{self._reading.path}.corrupt-{stamp}", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                os.write(descriptor, self._octets_at(self._reading_descriptor, end - start, start))
            finally:
                os.close(descriptor)
        except OSError:
            pass  # counted all the same

    def _resynced(self, descriptor: int, segment: _Segment, offset: int) -> int:
        """Where the next whole, good frame at or behind `offset` begins; the segment's end if there is none."""
        octets = self._octets_at(descriptor, segment.size - offset, offset)
        found = octets.find(_MARK)
        while found >= 0:
            header = _parsed(octets[found : found + _CHECKED.size], segment.seed)
            if header is not None:
                begin = found + _CHECKED.size
                if _content(octets[begin : begin + header.length], header, segment.seed) is not None:
                    return offset + found
            found = octets.find(_MARK, found + 1)
        return segment.size

    def _octets_at(self, descriptor: int, octets: int, offset: int) -> bytes:
        """So many octets of a segment, fewer only at its end or when it is gone."""
        found = b""
        while descriptor >= 0 and len(found) < octets and (more := self._disk.read(descriptor, octets - len(found), offset + len(found))):
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

    def _measured(self, segment: _Segment) -> int:
        """The number behind the last payload of the last segment, whose torn tail is cut. A damaged end has at least one payload."""
        end, offset = segment.first, 0
        descriptor = _opened(segment.path)
        if descriptor < 0:
            return end
        try:
            while offset < segment.size:
                header = self._header(descriptor, segment, offset)
                if header is not None:
                    offset += _CHECKED.size + header.length
                    end = max(end, header.end)
                elif (found := self._resynced(descriptor, segment, offset + 1)) < segment.size:
                    offset = found
                else:
                    break
            if offset < segment.size:
                rest = self._octets_at(descriptor, segment.size - offset, offset)
                if len(rest) < _CHECKED.size or not any(rest) or _parsed(rest[: _CHECKED.size], segment.seed):
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
    """The file with the position: two slots, written in turn and in place, so that one is always whole; the highest that is whole holds."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1
        self._slot = 0
        self._written = 0
        self._synced = -1
        self._directory_synced = False

    def load(self) -> int:
        """The position as it was last stored; 0 when it is lost."""
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
        return self._written

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
                _sync_directory(self._path.parent, disk)
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


def _parsed(octets: bytes, seed: int) -> _Header | None:
    """A header whose own checksum is right."""
    if len(octets) != _CHECKED.size:
        return None
    mark, first, count, length, crc, own = _CHECKED.unpack(octets)
    if mark != _MARK or crc32(octets[:-4], seed) != own:
        return None
    return _Header(first, count, length, crc)


def _content(body: bytes, header: _Header, seed: int) -> tuple[int, list[bytes]] | None:
    """(arrival, payloads) of a body that is whole."""
    if len(body) != header.length or crc32(body, seed) != header.crc:
        return None
    try:
        observed, payloads = msgpack.unpackb(body)
        return (observed, payloads) if len(payloads) == header.count else None
    except (ValueError, TypeError, msgpack.UnpackException):
        return None


def _opened(path: Path) -> int:
    """A descriptor to read from; -1 when the file is gone. Raises OSError for what may pass, such as too many open files."""
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return -1


def _sync_directory(directory: Path, disk: Disk) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        disk.sync(descriptor)
    finally:
        os.close(descriptor)


def _blocked(error: OSError) -> SpoolBlocked:
    return SpoolBlocked(f"the spool cannot be written: {(error.strerror or str(error)).lower()}", full=error.errno in _FULL)
