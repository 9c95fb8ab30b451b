"""Which content each file has, and how far it was read: decisions from one look at the files to the next, and slices read in turn.

A *tail* is one content that is followed through renames, copies, truncation and compression. Each look binds tails to files:

- A file that is where it was (device, inode) and still has before the position what was read there, goes on.
- Where it has not, or is shorter, its content was truncated or replaced: the file begins anew, and the old content is looked for elsewhere.
- A file that no tail is bound to has the content of a tail that has lost its file, when it begins like it and has before the position what was
  read there: it goes on there. Is the tail's own file still there, it is a copy, and held: it is read from that position when the other is
  truncated or gone, and never twice. Else it is new, and read from its beginning.
- In doubt a file is read: what came twice has the same ids, what is lost is lost.

A content whose file is gone is read on through the open descriptor. What was there, and can not be read any more, is a loss: said and counted,
with the octets known to be missing. No file is waited for: what fails is tried again after 1 to 60 s, the others meanwhile.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Literal

from shipper.archives import kind_of
from shipper.framing import MAX_LINE
from shipper.screen import escaped
from shipper.tail.archive import Measured, Unpacked, unpacked
from shipper.tail.listing import Listing, Sight
from shipper.tail.marks import BEGIN, LADDER, SURE, TAIL, Mark, Point, Read, alike, begins, continues, digest, heads_of, holds
from shipper.tail.slices import Piece, encoding_of, framed, line_ends, line_feeds, pieces

SLICE = 3 << 17
CANDIDATES = 500
"""New files that one look decides about: 50 ms of work."""
HELD = 10.0
"""Seconds that a small file which begins like another is taken for a copy of it, and that truncated content is looked for elsewhere."""
GAP = bytes(512)
HOLE = "zero octets are passed over: it was truncated under a writer that does not append"
STABLE = 2.0
"""Seconds without a change after which a copy is complete."""
QUIET_DELETED = 5.0
QUIET_MOVED = 30.0
"""Seconds without a new octet after which a file that is gone is closed."""
MISSING = 60.0
"""Seconds after which a file that is gone unread is a loss. Directories come back."""
COMPARED = 2 * MISSING
"""Seconds that a content is known for which was read and has no file any more: an archive of it may wait to be compared again."""
FORGET = 7 * 86400.0
RETRY = 60.0

Start = Literal["beginning", "end", "now"]
PRead = Callable[[int, int, int], bytes]
Key = tuple[int, int]
_NOBODY: Key = (-1, -1)


class Tail:
    """One content. `point`: read up to here; `settled`: safe up to here. `path` is where it was seen last."""

    def __init__(self, mark: Mark) -> None:
        self.path = mark.path
        self.real = mark.real
        self.key: Key = (mark.device, mark.inode)
        self.limit = mark.limit  # read up to here and no further
        self.drained = False  # its file was moved away or deleted, and read on until nothing more came
        self.deleted = False  # the file that it was drained from, whose number another one can get now
        self.heads = mark.heads
        self.point = self.settled = Point(mark.position, mark.tail, mark.date, mark.inside)
        self.size = mark.size
        self.modified = mark.modified
        self.seen = mark.seen
        self.rolled = mark.rolled
        self.state = "remembered"
        self.why = "remembered from the run before"
        self.listed = False
        self.truncated = mark.device < 0  # its file has another content now
        self.kind = mark.kind  # of an archive
        self.missing: float | None = None  # since when it has lost its file
        self.changed = 0.0  # when its file changed last
        self.turn = 0
        self.descriptor = -1
        self.unpacked: Unpacked | None = None
        self.finished = mark.finished  # an archive, read to its end
        self.stuck = -1  # the size at which no whole line was left
        self.scanned = 0  # where the search for the end of a long line has come to
        self.encoding: str | None = None
        self.counted = False  # its loss
        self.retry_at = 0.0
        self.delay = 0.0
        self.trouble = ""
        self.recorded = 0.0  # when the last record was read

    @property
    def position(self) -> int:
        return self.point.position

    @property
    def behind(self) -> int:
        """Octets not yet read, as far as known."""
        return 0 if self.finished or self.kind else max(0, self.end - self.position)

    @property
    def end(self) -> int:
        """Up to where it is to be read, as far as known."""
        return self.size if self.limit is None else min(self.size, self.limit)

    def mark(self) -> Mark:
        """What is to be remembered of it."""
        settled = self.settled
        finished = self.finished and settled.position == self.position
        device, inode = self.key
        return Mark(
            path=self.path, device=device, inode=inode, heads=self.heads, position=settled.position, tail=settled.tail, date=settled.date,
            size=self.size, seen=self.seen, real=self.real, rolled=self.rolled, limit=self.limit, kind=self.kind,
            modified=self.modified if self.kind else 0, finished=finished, inside=settled.inside,
        )  # fmt: skip


def _furthest(tail: Tail) -> tuple[int, bool]:
    """The order in which contents are compared: who was read furthest knows best, and of two the one that has lost its file."""
    return -tail.position, tail.listed


class Held:
    """A file that is not read for now, and why."""

    def __init__(self, sight: Sight, now: float, skip: bool) -> None:
        self.sight = sight
        self.skip = skip  # it was there before the first start, and is not to be read
        self.since = self.changed = now
        self.why = ""
        self.copy: tuple[Tail, int, int] | None = None  # of which content it is a beginning, at which size and time of change
        self.measured: Measured | None = None
        self.measured_at = 0.0
        self.retry_at = 0.0
        self.delay = 0.0


class Follower:
    """The tails of one input. `first`: nothing is remembered, `start` says what is done with what is there already. `now` is monotonic, in
    seconds; `wall` seconds since 1970. `notice` is told what an operator should know. `count`: of LF."""

    def __init__(
        self,
        marks: Iterable[Mark] = (),
        *,
        first: bool = True,
        start: Start = "beginning",
        max_line: int = MAX_LINE,
        max_open: int = 256,
        idle_flush: float = 5.0,
        forget: float = FORGET,
        notice: Callable[[str], None] = lambda text: None,
        pread: PRead = os.pread,
        count: Callable[[bytes], int] = line_feeds,
    ) -> None:
        self.tails = [Tail(mark) for mark in marks]
        self.held: dict[Key, Held] = {}
        self.losses = 0
        self.lost_octets = 0
        self.rotations = 0
        self._skip = first and start != "beginning"
        self._max_line = max_line
        self._max_open = max(1, max_open)
        self._idle_flush = idle_flush
        self._forget = forget
        self._notice = notice
        self._pread = pread
        self._count = count
        self._turns = 0
        self._open: dict[Tail, None] = {}  # in the order of their last use
        self._alike: dict[str, list[Tail]] = {}  # by each of the digests of their beginnings
        self._alike_to_the_end: dict[str, list[Tail]] = {}  # by the longest one
        self.pending = False  # there are more files than one look decides about
        self._small: list[Tail] = []  # that have lost a content of fewer octets

    # --- looking ---

    def look(self, listing: Listing, now: float, wall: float) -> None:
        """Takes in what the files are now."""
        sights: dict[Key, Sight] = {}
        paths = {tail.key: tail.path for tail in self.tails if not tail.truncated}
        for sight in listing.sights:
            if sight.key not in sights or sight.path == paths.get(sight.key):
                sights[sight.key] = sight
        bound: set[Key] = set()
        for tail in self.tails:
            found = None if tail.truncated or tail.deleted else sights.get(tail.key)
            if found is None:
                self._unseen(tail, listing, now, wall)
            elif self._still(tail, found, now, wall):
                bound.add(found.key)
        candidates = [sight for key, sight in sights.items() if key not in bound]
        for key in [key for key in self.held if key in bound or key not in sights or not sights[key].size]:
            del self.held[key]
        self._alike, self._alike_to_the_end = {}, {}
        for tail in self.tails if candidates else ():
            self._index(tail)
        self._small = [tail for tail in self.tails if 0 < tail.position < LADDER[0] and not tail.listed]
        candidates = [sight for sight in candidates if sight.size and self._waits(sight, now)]
        candidates.sort(key=lambda sight: (-sight.size, sight.modified, sight.path))  # what is a copy comes after the longer one
        self.pending = len(candidates) > CANDIDATES
        for sight in candidates[:CANDIDATES]:
            self._candidate(sight, now, wall)
        if not self.pending and self.unmeasured() is None:
            self._lost(listing, now)
        self._skip = False
        self._forget_old(listing.troubles, now, wall)

    def _still(self, tail: Tail, sight: Sight, now: float, wall: float) -> bool:
        """Whether the file that a tail was bound to still has its content."""
        changed = (sight.size, sight.modified) != (tail.size, tail.modified)
        if tail.kind:
            if changed and not tail.listed:
                self._truncated(tail, "it is another archive", now)
                return False
            if changed:
                tail.finished = False  # it was not complete, or something was added
        elif changed or not tail.listed:
            if now < tail.retry_at:
                return True
            try:
                if not self._verified(tail, sight):
                    short = sight.size < tail.position
                    self._truncated(
                        tail, "it is shorter than what was read of it" if short else "it has another content than was read", now
                    )
                    return False
            except OSError as error:
                self._fail(tail, error, now)
                return True
            tail.delay, tail.trouble = 0.0, ""
        if tail.path != sight.path:
            tail.rolled = True
            self.rotations += 1
            tail.why = f"renamed from '{escaped(tail.path)}'"
            tail.path, tail.changed = sight.path, now
        if changed or not tail.listed:
            tail.changed = now
        tail.real = sight.real or (tail.real if tail.real == sight.path else "")
        tail.size, tail.modified, tail.seen = sight.size, sight.modified, wall
        tail.listed, tail.missing = True, None
        if tail.state in ("remembered", "missing", "gone"):
            tail.state = "reading"
            if tail.why.startswith("remembered"):
                tail.why = "the same file as before the restart"
        return True

    def _verified(self, tail: Tail, sight: Sight) -> bool:
        """Whether the content is still that of the tail; its beginning is remembered as it grows. Raises OSError."""
        read = self._reading(tail, sight)
        if not holds(tail.point, read):
            return False
        if len(tail.heads) < len(LADDER) or tail.position < SURE:
            heads = heads_of(read(0, BEGIN))
            if tail.heads and not self._begins_as(tail, heads):
                return False
            tail.heads = heads
        return True

    def _begins_as(self, tail: Tail, heads: tuple[str, ...]) -> bool:
        return len(heads) >= len(tail.heads) and alike(heads, tail.heads)

    def _reading(self, tail: Tail, sight: Sight) -> Read:
        if tail.descriptor < 0:
            self._opened(tail, sight.path)
        descriptor = tail.descriptor
        return lambda offset, size: self._pread(descriptor, size, offset)

    def _truncated(self, tail: Tail, why: str, now: float) -> None:
        """Its file has another content: it has none now."""
        self._close(tail)
        tail.truncated, tail.listed, tail.missing = True, False, now
        tail.rolled = True
        self.rotations += 1
        tail.state, tail.why = "truncated", why
        tail.key = _NOBODY

    def _unseen(self, tail: Tail, listing: Listing, now: float, wall: float) -> None:
        """No file of the listing is the tail's."""
        if tail.path in listing.troubles:
            tail.trouble = listing.troubles[tail.path]
            return
        if tail.missing is None:
            tail.missing = tail.changed = now
        tail.listed = False
        if tail.descriptor >= 0 and not tail.kind:
            try:
                found = os.fstat(tail.descriptor)
                if found.st_size != tail.size and not self._verified(tail, Sight(tail.path, *tail.key, found.st_size, 0)):
                    self._truncated(tail, "it had another content than was read before it was gone", now)
                    return
            except OSError as error:
                self._fail(tail, error, now)
                return
            if found.st_size != tail.size:
                tail.size, tail.changed = found.st_size, now
            tail.rolled = True
            tail.state, tail.why = "reading on", "it was deleted" if not found.st_nlink else "it was moved away"
            quiet = QUIET_MOVED if found.st_nlink else QUIET_DELETED
            if tail.size <= tail.position and now - tail.changed > quiet:
                self._close(tail)
                tail.state, tail.drained, tail.deleted = "gone", True, not found.st_nlink
            return
        if not tail.truncated:
            tail.state = "gone" if tail.behind == 0 else "missing"

    def _lost(self, listing: Listing, now: float) -> None:
        """What has had no file for long enough is a loss. After the candidates: the first look since then may find the content elsewhere."""
        for tail in self.tails:
            if tail.missing is None or tail.path in listing.troubles or (tail.descriptor >= 0 and not tail.kind):
                continue
            if tail.truncated and now - tail.missing > HELD:
                self._loss(tail, "was truncated or replaced before all of it was read")
            elif not tail.truncated and now - tail.missing > MISSING:
                self._loss(tail, "is gone, and was not read to its end")

    def _loss(self, tail: Tail, what: str) -> None:
        if tail.counted:
            return
        tail.counted = True
        if octets := tail.behind:
            self.losses += 1
            self.lost_octets += octets
            self._notice(f"'{escaped(tail.path)}' {what}: about {octets:,} octets are lost")

    def _forget_old(self, troubles: Mapping[str, str], now: float, wall: float) -> None:
        for tail in list(self.tails):
            if not (tail.listed or tail.position or tail.heads or tail.kind or tail.path in troubles) and tail.descriptor < 0:
                self.tails.remove(tail)  # nothing is known that its content could be told by, and its file's number can be another's
                continue
            if tail.listed or tail.descriptor >= 0 or tail.settled.position != tail.position or tail.missing is None:
                continue
            gone = now - tail.missing
            if (tail.truncated and tail.counted and gone > COMPARED) or (wall - tail.seen > self._forget and gone > MISSING):
                self.tails.remove(tail)

    # --- files that nobody is bound to ---

    def _waits(self, sight: Sight, now: float) -> bool:
        """Takes in that the file is there; whether it is to be decided about."""
        held = self.held.get(sight.key)
        if held is None:
            held = self.held[sight.key] = Held(sight, now, self._skip)
        elif (held.sight.size, held.sight.modified) != (sight.size, sight.modified):
            held.changed = now
            held.measured = None
        held.sight = sight
        return now >= held.retry_at

    def _candidate(self, sight: Sight, now: float, wall: float) -> None:
        held = self.held[sight.key]
        try:
            descriptor = os.open(sight.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            try:
                found = os.fstat(descriptor)
                if (found.st_dev, found.st_ino) == sight.key:  # else the next look will see what it is
                    self._decide(held, lambda offset, size: self._pread(descriptor, size, offset), found.st_size, now, wall)
            finally:
                os.close(descriptor)
        except OSError as error:
            held.delay = min(RETRY, max(1.0, held.delay * 2))
            held.retry_at = now + held.delay
            reason = (error.strerror or str(error)).lower()
            if held.why != reason:
                self._notice(f"'{escaped(sight.path)}' cannot be read: {reason}; trying again")
            held.why = reason

    def _decide(self, held: Held, read: Read, size: int, now: float, wall: float) -> None:
        """Whose content it is."""
        sight = held.sight
        begin = read(0, BEGIN)
        kind = kind_of(begin)
        if kind:
            self._decide_archive(held, kind, now, wall)
            return
        heads = heads_of(begin)
        for tail in sorted((*self._beginning_as(heads), *self._small), key=_furthest):
            known = alike(heads, tail.heads)
            if not known and tail.heads and heads:
                continue
            goes_on = continues(tail.heads, tail.point, heads, size, read)
            if tail.listed or tail.descriptor >= 0:
                if self._copied(held, tail, known, goes_on, read, size, now):
                    if held.copy is not None and now - held.changed > HELD and tail.settled.position >= size:
                        self._known_copy(tail, sight, heads, read, size, now, wall)
                    return
            elif (goes_on and (tail.truncated or tail.position >= SURE or tail.key == sight.key)) or (
                known and tail.truncated and not tail.position and not tail.counted
            ):
                self._bind(tail, sight, "", heads, now, wall)
                return
            elif known and not goes_on and tail.position > size and now - held.changed < STABLE:
                held.why = f"a copy of '{escaped(tail.path)}', not complete"
                return
        if held.copy is not None and held.copy[1:] == (size, sight.modified) and held.copy[0].position >= size:
            if held.copy[0].settled.position >= size:  # until then what was read of the other one may be wanted from here again
                self._known_copy(held.copy[0], sight, heads, read, size, now, wall)
            return
        tail = self._new(sight, "", heads, now, wall)
        if held.skip:
            tail.point = tail.settled = self._last_line(read, size)
            tail.why = "was there before the first start"

    def _known_copy(
        self, of: Tail, sight: Sight, heads: tuple[str, ...], read: Read, size: int, now: float, wall: float
    ) -> None:  # fmt: skip
        """A copy whose octets were all read from the other file: nothing of it is to be read, and that is remembered."""
        tail = self._new(sight, "", heads, now, wall)
        before = min(TAIL, size)
        tail.point = tail.settled = Point(size, digest(read(size - before, before)))
        tail.why, tail.rolled = f"a copy of '{escaped(of.path)}', which was read", True

    def _copied(self, held: Held, tail: Tail, known: bool, goes_on: bool, read: Read, size: int, now: float) -> bool:
        """Whether a file is a copy of one that is there, and held."""
        sure = goes_on
        if not goes_on:
            if not known:
                return False
            try:
                whole = self._reading(tail, Sight(tail.path, *tail.key, tail.size, 0))
                sure = begins(read, size, whole, os.fstat(tail.descriptor).st_size)
            except OSError:
                held.why = f"perhaps a copy of '{escaped(tail.path)}', which cannot be read now"
                return True
            if not sure and not (size < tail.position and now - held.changed < STABLE):
                return False
        if size < BEGIN and now - held.since > HELD:
            held.copy = None
            return False  # two logs with the same first lines
        if goes_on and size > tail.size and tail.listed and now - held.since > HELD:
            return False
        held.why = f"a copy of '{escaped(tail.path)}'" if sure else f"perhaps a copy of '{escaped(tail.path)}', not complete"
        held.copy = (tail, size, held.sight.modified) if sure else None
        return True

    def _decide_archive(self, held: Held, kind: str, now: float, wall: float) -> None:
        """Whose content an archive has, when it was measured; until then it is held."""
        sight, measured = held.sight, held.measured
        if measured is None:
            if wall - sight.modified / 1e9 >= STABLE or now - held.changed >= STABLE:
                held.why = f"a {kind} archive, to be compared"
            else:
                held.why = f"a {kind} archive, perhaps not complete"
            return
        if measured.broken and now - held.changed < MISSING:
            held.why = measured.broken
            return
        for tail in sorted(self.tails, key=_furthest):
            position = tail.position
            if not (alike(tail.heads, measured.heads) or 0 < position < LADDER[0]):
                continue
            if not position:
                if tail.counted:
                    continue
                if not tail.listed and tail.descriptor < 0:
                    self._bind(tail, sight, kind, measured.heads, now, wall)
                    return
            elif position > measured.size > 0 or (position in measured.tails and measured.tails[position] != tail.point.tail):
                continue
            if position not in measured.tails:
                if position and now - held.measured_at > MISSING:
                    held.measured = None
                held.why = f"a {kind} archive, to be compared again"
                return
            if tail.listed or tail.descriptor >= 0:
                held.why = f"a {kind} archive of '{escaped(tail.path)}'"
                return
            self._bind(tail, sight, kind, measured.heads, now, wall)
            tail.finished = measured.size == position
            return
        tail = self._new(sight, kind, measured.heads, now, wall)
        tail.rolled = True
        if held.skip:
            tail.finished = True
            tail.why = "was there before the first start"

    def unmeasured(self) -> tuple[Sight, list[tuple[tuple[str, ...], int]]] | None:
        """An archive that has to be measured (`archive.measure`), with the contents that it may be a copy of."""
        for held in self.held.values():
            if held.measured is None and held.why.endswith(("to be compared", "to be compared again")):
                return held.sight, [(tail.heads, tail.position) for tail in self.tails]
        return None

    def measured(self, sight: Sight, result: Measured | OSError, now: float) -> None:
        """What came of it."""
        held = self.held.get(sight.key)
        if held is None:
            return
        if isinstance(result, Measured):
            held.measured, held.measured_at, held.delay = result, now, 0.0
            return
        held.delay = min(RETRY, max(1.0, held.delay * 2))
        held.retry_at = now + held.delay
        held.why = (result.strerror or str(result)).lower()

    def _bind(self, tail: Tail, sight: Sight, kind: str, heads: tuple[str, ...], now: float, wall: float) -> None:
        """This file has the content of a tail that has lost its own."""
        how = "truncated or replaced" if tail.truncated else "gone"
        self._close(tail)
        tail.why = f"the content of '{escaped(tail.path)}', which is {how}: read on from octet {tail.position:,}"
        tail.key, tail.truncated, tail.rolled, tail.kind = sight.key, False, True, kind
        tail.heads = heads if len(heads) > len(tail.heads) else tail.heads
        self._seen(tail, sight, now, wall)

    def _index(self, tail: Tail) -> None:
        for head in tail.heads:
            self._alike.setdefault(head, []).append(tail)
        if tail.heads:
            self._alike_to_the_end.setdefault(tail.heads[-1], []).append(tail)

    def _beginning_as(self, heads: tuple[str, ...]) -> list[Tail]:
        """The tails that begin alike as far as both are known."""
        if not heads:
            return []
        found = list(self._alike.get(heads[-1], ()))
        for head in heads[:-1]:
            found += self._alike_to_the_end.get(head, ())
        return found

    def _new(self, sight: Sight, kind: str, heads: tuple[str, ...], now: float, wall: float) -> Tail:
        tail = Tail(Mark(sight.path, sight.device, sight.inode, heads))
        tail.why, tail.kind = "new", kind
        self.tails.append(tail)
        self._index(tail)
        self._seen(tail, sight, now, wall)
        return tail

    def _seen(self, tail: Tail, sight: Sight, now: float, wall: float) -> None:
        self.held.pop(sight.key, None)
        tail.path, tail.real, tail.size, tail.modified, tail.seen = sight.path, sight.real, sight.size, sight.modified, wall
        tail.listed, tail.missing, tail.changed, tail.state, tail.counted, tail.deleted = True, None, now, "reading", False, False
        tail.stuck, tail.scanned, tail.encoding = -1, 0, None

    def _last_line(self, read: Read, size: int) -> Point:
        """Behind the last line end."""
        encoding = encoding_of(read(0, 2))
        end = size & ~1 if encoding else size
        while end > 0:
            start = max(0, end - SLICE)
            ends = line_ends(read(start, end - start), encoding)
            if ends:
                position = start + ends[-1]
                before = min(TAIL, position)
                return Point(position, digest(read(position - before, before)))
            end = start
        return Point()

    # --- reading ---

    def ready(self, now: float) -> list[Tail]:
        """The tails that have something to read, the one that waited longest first."""
        found = []
        unpacking = next((tail for tail in self.tails if tail.unpacked is not None), None)
        for tail in self.tails:
            if tail.truncated or tail.retry_at > now or not (tail.listed or tail.descriptor >= 0) or tail.state == "remembered":
                continue
            if tail.kind:
                if not tail.finished and unpacking in (None, tail):
                    unpacking = tail
                    found.append(tail)
            elif tail.end > max(tail.position, tail.scanned) and (tail.size != tail.stuck or self._flushes(tail, now)):
                found.append(tail)
        found.sort(key=lambda tail: tail.turn)
        return found

    def _flushes(self, tail: Tail, now: float) -> bool:
        """Whether what stands behind the last line end will never get one."""
        return tail.rolled and now - tail.changed >= self._idle_flush

    def read(self, tail: Tail, now: float) -> list[Piece]:
        """Its next lines: a bounded slice. None, when there is no whole line, or it cannot be read now."""
        self._turns += 1
        tail.turn = self._turns
        try:
            found = self._unpack(tail, now) if tail.kind else self._slice(tail, now)
        except OSError as error:
            self._fail(tail, error, now)
            return []
        tail.delay, tail.trouble = 0.0, ""
        if found:
            tail.point = found[-1].point
            tail.scanned, tail.stuck = 0, -1
            tail.recorded = now
        return found

    def _slice(self, tail: Tail, now: float) -> list[Piece]:
        if tail.descriptor < 0:
            self._opened(tail, tail.path)
        else:
            self._open[tail] = self._open.pop(tail, None)
        descriptor, position = tail.descriptor, tail.position
        before = min(TAIL, position)
        most = SLICE if tail.limit is None else min(SLICE, tail.limit - position)
        octets = self._pread(descriptor, before + most, position - before)
        if not position:
            same = not tail.heads or self._begins_as(tail, heads_of(octets[:BEGIN]))
        else:
            same = digest(octets[:before]) == tail.point.tail
        if not same:
            self._truncated(tail, "it has another content than was read", now)
            return []
        if tail.encoding is None:
            tail.encoding = encoding_of(octets[:2] if not position else self._pread(descriptor, 2, 0))
        body = octets[before:]
        if not tail.encoding and not tail.scanned and body.startswith(GAP):
            return [self._gap(octets[:before], body, tail)]
        found = pieces(octets[:before], body, position, tail.encoding, self._max_line, self._count)
        if found:
            return found
        if len(body) == SLICE:
            return self._long(tail, descriptor, now)
        if body and tail.size <= position + len(body) and self._flushes(tail, now):
            return [self._unfinished(octets[:before], body, tail)]
        tail.stuck = max(tail.size, position + len(body))
        if tail.stuck != tail.size:
            tail.size, tail.changed = tail.stuck, now
        return []

    def _gap(self, before: bytes, body: bytes, tail: Tail) -> Piece:
        """What a writer leaves that does not append: after a truncation it goes on at its old offset, behind a hole."""
        if tail.why != HOLE:
            tail.why = HOLE
            self._notice(f"'{escaped(tail.path)}': {HOLE}")
        length = len(body) - len(body.lstrip(b"\0"))
        return Piece((), Point(tail.position + length, digest((before + body[:length])[-TAIL:])))

    def _unfinished(self, before: bytes, body: bytes, tail: Tail) -> Piece:
        position = tail.position + len(body)
        point = Point(position, digest((before + body)[-TAIL:]))
        return Piece(framed(body, tail.position, tail.encoding or "", self._max_line), point, unfinished=True)

    def _long(self, tail: Tail, descriptor: int, now: float) -> list[Piece]:
        """A line longer than a slice: its end is looked for, slice by slice, and only so much of it read as is wanted."""
        start = tail.position
        encoding = tail.encoding or ""
        unit = 2 if encoding else 1
        octets = self._pread(descriptor, SLICE, max(tail.scanned, start))
        ends = line_ends(octets, encoding)
        stop = max(tail.scanned, start) + (ends[0] if ends else len(octets))
        if not ends and len(octets) == SLICE:
            tail.scanned = stop
            return []
        if not ends and not (tail.size <= stop and self._flushes(tail, now)):
            tail.stuck = tail.size = max(tail.size, stop)
            return []
        length = stop - start - (unit if ends else 0)
        line = self._pread(descriptor, min(length, self._max_line), start)
        block = framed(line, start, encoding, self._max_line)[0]
        before = self._pread(descriptor, min(TAIL, stop), stop - min(TAIL, stop))
        return [Piece((block._replace(cut=length - len(line)),), Point(stop, digest(before)), unfinished=not ends)]

    def _unpack(self, tail: Tail, now: float) -> list[Piece]:
        """The same for an archive, which is unpacked forwards; a restart in its middle unpacks what was read again."""
        if tail.unpacked is None:
            descriptor = os.open(tail.path, os.O_RDONLY | os.O_CLOEXEC)
            tail.unpacked = unpacked(descriptor, tail.path)
            tail.encoding = encoding_of(tail.unpacked.read(0, 2))
        content, position = tail.unpacked, tail.position
        before = min(TAIL, position)
        if content.end < position and not content.ended:
            content.pull()
            return []
        octets = content.read(position - before, before + SLICE)
        if before and digest(octets[:before]) != tail.point.tail:
            self._truncated(tail, "the archive has another content than was read", now)
            return []
        body = octets[before:]
        assert tail.encoding is not None
        if tail.point.inside and body:
            ends = line_ends(body, tail.encoding)
            passed = ends[0] if ends else len(body)
            return [Piece((), Point(position + passed, digest(octets[: before + passed][-TAIL:]), inside=not ends))]
        found = pieces(octets[:before], body, position, tail.encoding, self._max_line, self._count)
        if found:
            return found
        if len(body) == SLICE:
            line = content.read(position, self._max_line + SLICE)
            ends = line_ends(line, tail.encoding)
            if ends or content.ended:
                body = line
                found = pieces(octets[:before], body, position, tail.encoding, self._max_line, self._count)
            else:  # longer than any line that is read: its end is looked for from here, and nothing of it kept
                piece = self._unfinished(octets[:before], line[: self._max_line], tail)
                return [piece._replace(point=piece.point._replace(inside=True))]
            if found:
                return found
        self._close(tail)
        tail.finished, tail.state = True, "read to its end"
        if content.broken:
            tail.why = content.broken
            self._notice(f"{escaped(content.broken)}; what stands before that was read")
        return [self._unfinished(octets[:before], body, tail)] if body else []

    # --- descriptors ---

    def _opened(self, tail: Tail, path: str) -> None:
        """Opens the tail's file. Raises OSError, also when something else stands there now."""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            for other in [other for other in self._open if other.listed]:  # others of this process need some too
                self._close(other)
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        found = os.fstat(descriptor)
        if (found.st_dev, found.st_ino) != tail.key:
            os.close(descriptor)
            raise FileNotFoundError(f"'{escaped(path)}' is another file now")
        tail.descriptor = descriptor
        self._open[tail] = None
        if len(self._open) > self._max_open:
            spare = [other for other in self._open if other.listed and other is not tail]
            for other in spare[: len(self._open) - self._max_open]:
                self._close(other)

    def _close(self, tail: Tail) -> None:
        if tail.unpacked is not None:
            tail.unpacked.close()
            tail.unpacked = None
        if tail.descriptor >= 0:
            os.close(tail.descriptor)
            tail.descriptor = -1
        self._open.pop(tail, None)

    def _fail(self, tail: Tail, error: OSError, now: float) -> None:
        """Later again; with a new descriptor, as this one may be stale."""
        reason = (error.strerror or str(error)).lower()
        if tail.listed or tail.missing is None:
            self._close(tail)
        tail.delay = min(RETRY, max(1.0, tail.delay * 2))
        tail.retry_at = now + tail.delay
        if isinstance(error, FileNotFoundError):  # the next look will say where it is
            tail.retry_at = now
        elif tail.trouble != reason:
            self._notice(f"'{escaped(tail.path)}' cannot be read: {reason}; trying again")
        tail.trouble = reason

    def close(self) -> None:
        """Closes all files."""
        for tail in self.tails:
            self._close(tail)
