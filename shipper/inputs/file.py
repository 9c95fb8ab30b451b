"""Input `file`: any log that one or more globs name, followed through every rotation. `shipper.tail` decides; here is the loop around it.

Every `poll` seconds it is looked at what files there are (in a thread: a network file system may take its time), then each file that has
something new gets its turn: one slice of up to 384 KiB, handed over in batches of up to 2000 records, over all files. A position is passed
when what was read up to it is settled.
"""

from __future__ import annotations

import asyncio
import glob
import os
import resource
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Literal

import msgspec
from loguru import logger
from pydantic import Field

from shipper.batch import Arrival, Batch, Receipt
from shipper.compiled import line_ends
from shipper.config.units import Duration, Texts
from shipper.formats.debug import time_of_day
from shipper.formats.names import debug_date, service_of
from shipper.framing import MAX_LINE, Block
from shipper.inputs.base import Deliver, Places, Reading
from shipper.inputs.section import Common, MaxLine, Poll, unreadable, unreadable_file
from shipper.ledger import Ledger
from shipper.reader import Reader
from shipper.record import Record
from shipper.screen import escaped
from shipper.stamps import system_zone
from shipper.straight import StraightReader, joined, reader_of
from shipper.tail import Follower, Listing, Mark, Measured, Piece, Point, Sight, Start, Tail, listing, measure
from shipper.tail.follower import FORGET
from shipper.tail.marks import alike
from shipper.tail.slices import LINES
from shipper.workers import warmed

UNFINISHED = "the line has no end"

WARM_BEFORE = 1 << 16
WARM_AT_MOST = 1 << 20
"""Octets before the position that a reader is shown when it begins there, at first and at most: 50 ms of work."""

FEW = 100
"""Files whose positions are saved at each change; those of more are saved once a turn of the loop."""
MEASURE = 0.2
"""Seconds that are waited for archives to be compared before the others have their turn."""

AHEAD = 10_000
"""Records that may be unsettled before it is waited for some to be: who reads far ahead of a receiver that takes them only needs memory, and leaves
it less of the processor."""
PATIENCE = 0.05
"""Seconds that are waited for that at most, before each batch: a receiver that is slow may wait in its buffer, and does not hold up the others."""
ALIVE = 1.0
"""Seconds without any in which that is done: for a receiver that takes none nobody waits."""

Look = Callable[[Sequence[str]], Listing]
"""What files there are now; the argument are paths that are followed though no pattern may name them. May block."""
Order = Callable[[list[Tail]], list[Tail]]
"""The order in which files that have something new are read; who waited longest comes first in the argument."""


class Section(Common):
    """Settings of an input of this type."""

    type: Literal["file"]
    paths: Texts = Field(min_length=1, description="Files, by path or glob (`**` goes through directories). Name the rotated ones too.")
    exclude: Texts = Field((), description="Globs of paths or names that are left out.")
    start: Start = Field(
        "beginning",
        alias="from",
        description="At the very first start: files from their `beginning`, or only what comes after their `end`; `now` is the same.",
    )
    poll: Poll = 0.5
    idle_flush: Duration = Field(5.0, description="Seconds after which the last line of a rotated file is read without its line end.")
    max_line: MaxLine = MAX_LINE
    max_open: int | None = Field(None, ge=1, description="Files open at a time; else a quarter of what the system allows, 512 at most.")
    forget: Duration = Field(FORGET, description="Seconds after which a file that is gone is forgotten.")

    def patterns(self) -> list[str]:
        """The files that it reads, as globs."""
        return list(self.paths)

    def unreadable(self) -> Iterator[tuple[str, str]]:
        """(option, what `check` says of it) of what is not there, or is closed to us. A glob may match nothing yet."""
        yield from dict.fromkeys(said for path in self.paths for said in self._unreadable(path))

    def _unreadable(self, path: str) -> Iterator[tuple[str, str]]:
        if not glob.has_magic(path):
            yield from unreadable_file("paths", path)
            return
        directory = os.path.dirname(path)
        while glob.has_magic(directory):
            directory = os.path.dirname(directory)
        yield from unreadable("paths", directory, [path], self.exclude)


def make(name: str, section: Section, reading: Reading) -> FileInput:
    """The input of a section."""
    paths, exclude = section.paths, section.exclude
    return FileInput(
        name,
        lambda known: listing(paths, exclude, known),
        reading,
        start=section.start,
        poll=section.poll,
        idle_flush=section.idle_flush,
        max_line=section.max_line,
        max_open=section.max_open,
        forget=section.forget,
    )


class _Log:
    """What the input has of one tail: its reader, with the compiled twin where that is here and the log for it, and its ledger."""

    def __init__(self, reader: Reader | StraightReader, ledger: Ledger[Point]) -> None:
        self.ledger = ledger
        self.straight = isinstance(reader, StraightReader)
        self.reader = reader.reader if isinstance(reader, StraightReader) else reader
        self._reads = reader

    def read(self, block: Block, observed: int) -> Sequence[Record]:
        """`observed`: when, in nanoseconds since 1970."""
        return self._reads.read(block, observed) if isinstance(self._reads, StraightReader) else self._reads.read(block)


class FileInput:
    """Follows the files that `look` finds. `monotonic` and `wall` are clocks in seconds."""

    def __init__(
        self,
        name: str,
        look: Look,
        reading: Reading,
        *,
        start: Start = "beginning",
        poll: float = 0.5,
        idle_flush: float = 5.0,
        max_line: int = MAX_LINE,
        max_open: int | None = None,
        forget: float = FORGET,
        order: Order = lambda tails: tails,
        follower: type[Follower] = Follower,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.name = name
        self._find = look
        self._reading = reading
        self._start: Start = start
        self._poll = poll
        self._idle_flush = idle_flush
        self._max_line = max_line
        self._max_open = max_open or min(512, max(4, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4))
        self._forget = forget
        self._order = order
        self._kind = follower
        self._monotonic = monotonic
        self._wall = wall
        self._follower: Follower | None = None
        self._logs: dict[Tail, _Log] = {}
        self._records: list[Sequence[Record]] = []
        self._count = 0
        self._observed = 0  # when the first of these were read
        self._receipts: list[Receipt] = []
        self._points: dict[Tail, Point] = {}
        self._places: Places | None = None
        self._unsettled = 0
        self._settled = asyncio.Event()
        self._heard = 0.0  # when something was settled, or all was
        self._dirty = False
        self._stopping = False
        self._measuring: tuple[Sight, asyncio.Future[Measured]] | None = None

    # --- the loop ---

    async def run(self, deliver: Deliver, places: Places, stop: asyncio.Event) -> None:
        """Follows until `stop` is set."""
        remembered = places.load()
        marks = _went_on([msgspec.convert(mark, Mark) for mark in remembered.get("files", [])], remembered.get("ahead", []))
        follower = self._kind(
            marks,
            first=not remembered and not getattr(places, "lost", False),
            start=self._start,
            max_line=self._max_line,
            max_open=self._max_open,
            idle_flush=self._idle_flush,
            forget=self._forget,
            notice=self._notice,
            count=partial(line_ends, self._reading.twin),
        )
        self._follower, self._places, self._stopping = follower, places, False
        saved: list[object] | None = None
        try:
            while not stop.is_set():
                due = self._monotonic() + self._poll
                await self._look(follower, stop)
                bound: list[object] = [(tail.path, tail.key, tail.rolled, tail.finished) for tail in follower.tails]
                if bound != saved:
                    saved = bound
                    self._save()
                await self._turns(follower, deliver, stop, due)
                if not stop.is_set() and not follower.pending and (wait := due - self._monotonic()) > 0:
                    try:
                        await asyncio.wait_for(stop.wait(), wait)
                    except TimeoutError:
                        pass
        finally:
            self._stopping = True  # what is settled from now on is passed at once
            if self._measuring is not None:
                await asyncio.wait({self._measuring[1]})
                self._measuring[1].exception()
                self._measuring = None
            follower.close()

    async def _look(self, follower: Follower, stop: asyncio.Event) -> None:
        known = [tail.real for tail in follower.tails if tail.real]
        found = await asyncio.to_thread(self._find, known)
        follower.look(found, self._monotonic(), self._wall())
        if await self._measure(follower, stop):
            follower.look(found, self._monotonic(), self._wall())
        if len(self._logs) > len(follower.tails):
            here = set(follower.tails)
            self._logs = {tail: log for tail, log in self._logs.items() if tail in here}

    async def _measure(self, follower: Follower, stop: asyncio.Event) -> bool:
        """Compares archives with what was read, in a thread, and goes on without it when that takes longer; whether it has come to an end."""
        last = self._monotonic() + MEASURE
        any_done = False
        while not stop.is_set() and (left := last - self._monotonic()) > 0:
            if self._measuring is None:
                wanted = follower.unmeasured()
                if wanted is None:
                    break
                work = asyncio.to_thread(measure, wanted[0].path, wanted[1], lambda: stop.is_set() or self._stopping)
                self._measuring = (wanted[0], asyncio.ensure_future(work))
            sight, task = self._measuring
            if not (await asyncio.wait({task}, timeout=left))[0]:
                break
            self._measuring = None
            any_done = True
            failure = task.exception()
            if failure is None:
                follower.measured(sight, task.result(), self._monotonic())
            elif isinstance(failure, OSError):
                follower.measured(sight, failure, self._monotonic())
            else:
                raise failure
        return any_done

    async def _turns(self, follower: Follower, deliver: Deliver, stop: asyncio.Event, due: float) -> None:
        """A turn for each file that has something, again and again until the next look is due or there is nothing more."""
        while not stop.is_set() and (ready := self._order(follower.ready(self._monotonic()))):
            for tail in ready:
                for piece in follower.read(tail, self._monotonic()):
                    if self._count + sum([line_ends(self._reading.twin, block.data) + 1 for block in piece.blocks]) > LINES:
                        await self._hand_over(deliver)
                    self._take(follower, tail, piece)
                    await asyncio.sleep(0)
                if stop.is_set() or self._monotonic() >= due:
                    break
            await self._hand_over(deliver)
            await asyncio.sleep(0)
            if self._monotonic() >= due:
                break

    async def _hand_over(self, deliver: Deliver) -> None:
        if not self._receipts:
            return
        records, receipts, points, count = self._records, self._receipts, self._points, self._count
        self._records, self._receipts, self._points, self._count = [], [], {}, 0
        places = [msgspec.to_builtins(_at(tail, point)) for tail, point in points.items()] if len(points) <= FEW else None

        def settled() -> None:
            self._unsettled -= count
            self._settled.set()
            self._heard = self._monotonic()
            for receipt in receipts:
                receipt.settle()

        if not self._unsettled:
            self._heard = self._monotonic()
        self._unsettled += count
        await deliver(Batch(joined(records), Arrival(self.name, self._observed), Receipt(settled), places))
        if self._unsettled > AHEAD and self._monotonic() - self._heard < ALIVE:
            self._settled.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._settled.wait(), PATIENCE)

    def _notice(self, text: str) -> None:
        logger.warning("input {}: {}", self.name, text)

    # --- records and positions ---

    def _take(self, follower: Follower, tail: Tail, piece: Piece) -> None:
        """The records of some lines, and a receipt for the point after them."""
        log = self._logs.get(tail)
        if log is None:
            log = self._logs[tail] = _Log(self._reader(tail, piece), self._ledger(tail))
        elif log.straight and log.reader.file != tail.path and piece.blocks:  # the twin has the name in its lines
            plain = not tail.kind and tail.descriptor >= 0
            reader = self._reader(tail, piece, piece.blocks[0].offset) if plain else log.reader
            log = self._logs[tail] = _Log(reader, log.ledger)
        reader = log.reader
        if piece.blocks:
            reader.file = tail.path
        if not self._receipts:
            self._observed = time.time_ns()
        records = [reader.read(block) if piece.unfinished else log.read(block, self._observed) for block in piece.blocks]
        if piece.unfinished and records:
            last = records[-1][-1]
            last.error = f"{last.error}; {UNFINISHED}" if last.error else UNFINISHED
        count = sum(map(len, records))
        point = self._points[tail] = piece.point._replace(date=reader.log.date)
        self._receipts.append(log.ledger.receipt(point, count))
        self._records += records
        self._count += count

    def _ledger(self, tail: Tail) -> Ledger[Point]:
        def moved(point: Point) -> None:
            tail.settled = point
            self._changed()

        return Ledger(moved)

    def _reader(self, tail: Tail, piece: Piece, position: int | None = None) -> Reader | StraightReader:
        """The reader of a log that is read on at a position (None: up to where it is settled), or begun."""
        position = tail.settled.position if position is None else position
        date = tail.settled.date
        if date is None and position == 0 and piece.blocks:
            date = self._date(tail, piece.blocks[0].data)
        plain = not (tail.kind or tail.encoding or tail.descriptor < 0)

        def anew() -> tuple[Reader | StraightReader, Callable[[Block], list[Record]]]:
            log = self._reading.log(service_of(tail.path))
            log.date = date
            told = self._reading
            twin = None if tail.encoding else told.twin
            reader = reader_of(twin, told.profile, log, file=tail.path, raw=told.raw, otlp=told.otlp)
            return reader, reader.reader.read if isinstance(reader, StraightReader) else reader.read

        if position == 0 or not plain:
            return anew()[0]
        reader = warmed(anew, tail.descriptor, position, WARM_BEFORE, WARM_AT_MOST, self._max_line)
        inner = reader.reader if isinstance(reader, StraightReader) else reader
        inner.log.date = date or inner.log.date
        return reader

    def _date(self, tail: Tail, begin: bytes) -> tuple[int, int, int] | None:
        """The date of a debug log's first line, by when the log was last written to."""
        for line in begin[:65536].split(b"\n", 50)[:50]:
            if clock := time_of_day(line.decode("latin-1")):
                return debug_date(tail.modified / 1e9, self._reading.zone or system_zone(), clock)
        return None

    def _changed(self) -> None:
        """Positions have moved: those of one turn of the loop are saved together."""
        if self._stopping or (self._follower is not None and len(self._follower.tails) <= FEW):
            self._save()
        elif not self._dirty:
            self._dirty = True
            asyncio.get_running_loop().call_soon(self._save)

    def _save(self) -> None:
        self._dirty = False
        if self._places is not None and self._follower is not None:
            self._places.save({"files": [msgspec.to_builtins(tail.mark()) for tail in self._follower.tails]})

    # --- for `status` ---

    @property
    def losses(self) -> tuple[int, int]:
        """Loss events of this run, and the octets that they cost, as far as known."""
        return (self._follower.losses, self._follower.lost_octets) if self._follower else (0, 0)

    def counters(self) -> dict[str, int]:
        """Of this run: files that were renamed, truncated or replaced; losses, and the octets that they cost, as far as known. Now: the files
        that it knows, has open, and cannot read."""
        follower = self._follower
        if follower is None:
            return {}
        tails = list(follower.tails)
        return {
            "files": len(tails),
            "files_open": len([tail for tail in tails if tail.descriptor >= 0]),
            "files_failing": len([tail for tail in tails if tail.trouble]),
            "rotations": follower.rotations,
            "files_lost": follower.losses,
            "octets_lost": follower.lost_octets,
        }

    def lag(self) -> list[dict[str, Any]]:
        """Of each file: `path`, `state` and `why`, `octets` behind, `position`, `size`, records `waiting` to be settled, `seconds` since the
        last record, and `trouble` where it cannot be read."""
        if self._follower is None:
            return []
        now = self._monotonic()
        return [*self._tails(self._follower.tails, now), *self._held(self._follower)]

    def _tails(self, tails: Iterable[Tail], now: float) -> Iterable[dict[str, Any]]:
        for tail in tails:
            size = tail.size
            if tail.descriptor >= 0 and not tail.kind:
                try:
                    size = os.fstat(tail.descriptor).st_size
                except OSError:
                    pass
            behind = 0 if tail.finished or tail.kind else max(0, size - tail.position)
            yield {
                "path": escaped(tail.path),
                "state": "failing" if tail.trouble else tail.state if behind or not tail.listed else "at its end",
                "why": tail.why,
                "octets": behind,
                "position": tail.position,
                "settled": tail.settled.position,
                "size": size,
                "waiting": self._logs[tail].ledger.waiting if tail in self._logs else 0,
                "seconds": round(now - tail.recorded, 3) if tail.recorded else None,
                **({"trouble": tail.trouble} if tail.trouble else {}),
            }

    def _held(self, follower: Follower) -> Iterable[dict[str, Any]]:
        for held in follower.held.values():
            yield {"path": escaped(held.sight.path), "state": "held", "why": held.why, "octets": 0, "size": held.sight.size}


def _at(tail: Tail, point: Point) -> Mark:
    """What is to be remembered of it when it is settled up to there."""
    finished = tail.finished and point.position == tail.position
    return msgspec.structs.replace(
        tail.mark(), position=point.position, tail=point.tail, date=point.date, finished=finished, inside=point.inside
    )


def _went_on(marks: list[Mark], ahead: Iterable[list[Any]]) -> list[Mark]:
    """The marks, and those of batches that are known to be delivered, though nobody came to note it. Of one content the furthest holds."""
    for mark in (msgspec.convert(each, Mark) for places in ahead for each in places):
        for index, known in enumerate(marks):
            if (known.device, known.inode) == (mark.device, mark.inode) and (not known.heads or alike(known.heads, mark.heads)):
                if known.position < mark.position or (known.position == mark.position and mark.finished):
                    marks[index] = mark
                break
        else:
            marks.append(mark)
    return marks
