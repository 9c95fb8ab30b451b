"""Where one output's payloads wait between the inputs and the receiver: in memory, or in a spool on disk. Both have the same face.

- `put` waits while there is no room, or (`drop`) counts and settles what does not fit: for sources that cannot be held up.
- `take` gives payloads from the front, in order, as many as a send may have, and leaves them where they are. `done(n)` removes the first n. So
  a take that failed, was too large or was cancelled is simply taken again.
- Who takes payloads to a file asks `about` them first, and tells it of the stretch before writing: so the next start can see whether they are
  there (`intents`).
- In memory a receipt is settled when its payloads are done. In a spool it is settled when they are fsynced: all that was put while one fsync
  ran goes into the next.

`octets` bound the payloads themselves; what Python adds to each (some 40 octets, in memory alone) is not counted.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, Protocol

from loguru import logger

from shipper.batch import Flight, Receipt
from shipper.intents import About, Intents
from shipper.lines import size, together
from shipper.outputs.base import Limits
from shipper.segment import Frame
from shipper.spool import Spool, SpoolBlocked

WhenFull = Literal["wait", "drop"]


class BufferClosed(Exception):
    """It takes nothing more; nothing of this put is in it."""


@dataclass(frozen=True, slots=True)
class Left:
    """What one put has left in a buffer that is closed: not done, and nowhere safe."""

    payloads: Sequence[bytes]
    receipt: Receipt
    observed: int


@dataclass(frozen=True, slots=True)
class Taken:
    """Payloads from the front of a buffer, at least one, and when the first of them arrived (nanoseconds since 1970)."""

    payloads: Sequence[bytes]
    observed: int


class Buffer(Protocol):
    """What a lane needs to know of it. `waiting` payloads are put and not done; `lost` ones were damaged on the disk; `dropped` ones found no
    room. `trouble`: why nothing can be put on the disk now, `""` when it can."""

    dropped: int

    @property
    def waiting(self) -> int: ...
    @property
    def lost(self) -> int: ...
    @property
    def trouble(self) -> str: ...

    async def put(self, payloads: Sequence[bytes], receipt: Receipt, observed: int) -> None:
        """Takes over one branch of the receipt. Raises `BufferClosed`, also while it waits."""
        ...

    async def take(self, limits: Limits) -> Taken | None:
        """What is first, when there is something; None after `wake`, when there is nothing."""
        ...

    def about(self, count: int) -> About | None:
        """What is to be told of the stretch before the first `count` payloads are written into a file; None when nobody wants to know."""
        ...

    def done(self, count: int) -> None:
        """The first `count` payloads are delivered or set aside."""
        ...

    def wake(self) -> None:
        """From now on `take` returns at once."""
        ...

    async def close(self) -> None:
        """Makes durable what can be."""
        ...

    def left(self) -> list[Left]:
        """Once it is closed: what would be gone with it."""
        ...

    def adopt(self, left: Sequence[Left]) -> None:
        """Takes over what another one has left, also beyond its bounds."""
        ...


class _Bell:
    """Wakes everyone who waits for a change; each looks for himself whether it was his."""

    def __init__(self) -> None:
        self._waiters: set[asyncio.Future[None]] = set()

    def ring(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def wait(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)


class _Parcel:
    """What is left of one put, or of one frame of a spool: `payloads[start:]`, which are so many octets."""

    __slots__ = ("observed", "octets", "payloads", "receipt", "start")

    def __init__(self, payloads: Sequence[bytes], observed: int, receipt: Receipt | None = None) -> None:
        self.payloads = payloads
        self.observed = observed
        self.receipt = receipt
        self.octets = size(payloads)
        self.start = 0


def _front(parcels: deque[_Parcel], limits: Limits) -> Taken:
    """As many payloads from the front as the limits allow, and one in any case. What was put together is not taken apart for a few more in one
    send."""
    chosen: list[Sequence[bytes]] = []
    payloads, octets = limits.payloads, limits.octets
    for parcel in parcels:
        rest = parcel.payloads[parcel.start :]
        if len(rest) > payloads or parcel.octets > octets:
            if not chosen:
                chosen.append(_beginning(rest, payloads, octets))
            break
        chosen.append(rest)
        payloads -= len(rest)
        octets -= parcel.octets
    return Taken(together(chosen), parcels[0].observed)


def _beginning(rest: Sequence[bytes], payloads: int, octets: int) -> Sequence[bytes]:
    """The first of these, as many as so many octets have room for, and one in any case."""
    for number, payload in enumerate(rest[:payloads]):
        octets -= len(payload)
        if octets < 0 and number:
            return rest[:number]
    return rest[:payloads]


def _left(parcels: Iterable[_Parcel]) -> list[Left]:
    return [Left(parcel.payloads[parcel.start :], parcel.receipt, parcel.observed) for parcel in parcels if parcel.receipt]


def _removed(parcels: deque[_Parcel], count: int) -> int:
    """Removes the first payloads and settles the receipts of those parcels that are empty by it; the octets that are gone."""
    gone = 0
    while count:
        parcel = parcels[0]
        step = min(count, len(parcel.payloads) - parcel.start)
        end = parcel.start + step
        octets = parcel.octets if end == len(parcel.payloads) else size(parcel.payloads[parcel.start : end])
        gone += octets
        parcel.octets -= octets
        parcel.start = end
        count -= step
        if parcel.start == len(parcel.payloads):
            parcels.popleft()
            if parcel.receipt is not None:
                parcel.receipt.settle()
    return gone


class MemoryBuffer:
    """At most `octets` of payloads; a put that is larger by itself is taken when nothing else waits. `intents`: those of the service, where its
    output named `name` is one of them."""

    lost = 0
    trouble = ""

    def __init__(self, octets: int, when_full: WhenFull = "wait", *, name: str = "", intents: Intents | None = None) -> None:
        self.dropped = 0
        self._name = name
        self._intents = intents
        self.waiting = 0
        self._octets = octets
        self._when_full = when_full
        self._held = 0
        self._parcels: deque[_Parcel] = deque()
        self._bell = _Bell()
        self._awake = False
        self._closed = False

    async def put(self, payloads: Sequence[bytes], receipt: Receipt, observed: int) -> None:
        if not payloads:
            receipt.settle()
            return
        parcel = _Parcel(payloads, observed, receipt)
        while not self._closed and self._parcels and self._held + parcel.octets > self._octets:
            if self._when_full == "drop":
                self.dropped += len(payloads)
                receipt.settle()
                return
            await self._bell.wait()
        if self._closed:
            raise BufferClosed
        self._append(parcel)

    def _append(self, parcel: _Parcel) -> None:
        self._parcels.append(parcel)
        self._held += parcel.octets
        self.waiting += len(parcel.payloads)
        self._bell.ring()

    async def take(self, limits: Limits) -> Taken | None:
        while not self._parcels:
            if self._awake:
                return None
            await self._bell.wait()
        return _front(self._parcels, limits)

    def about(self, count: int) -> About | None:
        if self._intents is None:
            return None
        flights: list[Flight | None] = []
        for parcel in self._parcels:
            count -= len(parcel.payloads) - parcel.start
            if count < 0:
                break
            flights.append(parcel.receipt.flight if parcel.receipt else None)
        return self._intents.about(self._name, flights)

    def done(self, count: int) -> None:
        assert count <= self.waiting
        self.waiting -= count
        self._held -= _removed(self._parcels, count)
        self._bell.ring()

    def wake(self) -> None:
        self._awake = True
        self._bell.ring()

    async def close(self) -> None:
        """What still waits was never settled: its input offers it again, or another buffer adopts it."""
        self._closed = True
        self._bell.ring()

    def left(self) -> list[Left]:
        return _left(self._parcels)

    def adopt(self, left: Sequence[Left]) -> None:
        for each in left:
            self._append(_Parcel(each.payloads, each.observed, each.receipt))


class DiskBuffer:
    """In front of a spool. At most `pending_octets` of payloads wait in memory for their fsync; when the disk takes none, these fill up first,
    and then `when_full` holds. A failed write is tried again every `again` seconds, and whenever something was delivered. How far the receiver has
    taken what is here is made durable at most `behind` seconds later: so much comes twice after a power cut.

    `name`: the output's, for our own log. `intents`: those of the service."""

    def __init__(
        self,
        spool: Spool,
        *,
        name: str = "",
        when_full: WhenFull = "wait",
        pending_octets: int = 8 << 20,
        again: float = 1.0,
        behind: float = 1.0,
        intents: Intents | None = None,
    ) -> None:
        self.dropped = 0
        self._spool = spool
        self._name = name
        self._when_full = when_full
        self._pending_octets = pending_octets
        self._again = again
        self._intents = intents
        self._behind = behind
        self._pending: deque[_Parcel] = deque()
        self._held = 0
        self._end = spool.end
        self._troubles = {"read": "", "write": ""}
        self._logged = -60.0
        self._told = False
        self._lost_told = 0
        self._lost_at = -60.0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"spool-{name}")
        self._work: asyncio.Future[None] | None = None
        self._group: list[_Parcel] = []
        self._trim = False
        self._later: asyncio.TimerHandle | None = None
        self._noting: asyncio.TimerHandle | None = None
        self._parcels: deque[_Parcel] = deque()
        self._taken_to = spool.position
        self._bell = _Bell()
        self._awake = False
        self._closed = False

    @property
    def waiting(self) -> int:
        return self._end - self._spool.position - self._spool.skipped

    @property
    def trouble(self) -> str:
        return self._troubles["write"] or self._troubles["read"]

    @property
    def lost(self) -> int:
        return self._spool.lost

    async def put(self, payloads: Sequence[bytes], receipt: Receipt, observed: int) -> None:
        if not payloads:
            receipt.settle()
            return
        parcel = _Parcel(payloads, observed, receipt)
        while not self._closed and self._held and self._held + parcel.octets > self._pending_octets:
            if self._when_full == "drop":
                self.dropped += len(payloads)
                receipt.settle()
                return
            await self._bell.wait()
        if self._closed:
            raise BufferClosed
        self._append(parcel)

    def _append(self, parcel: _Parcel) -> None:
        self._pending.append(parcel)
        self._held += parcel.octets
        self._end += len(parcel.payloads)
        if not self._later:
            self._start()

    async def take(self, limits: Limits) -> Taken | None:
        while True:
            self._fill(limits)
            if self._parcels:
                return _front(self._parcels, limits)
            if self._awake and not self._work:
                return None
            await self._bell.wait()

    def about(self, count: int) -> About | None:
        for parcel in self._parcels if self._intents else ():
            size = len(parcel.payloads) - parcel.start
            if count <= size and isinstance(parcel, _FrameParcel):
                return self._intents.about(self._name, to=parcel.first + parcel.start + count) if self._intents else None
            count -= size
        return None

    def done(self, count: int) -> None:
        _removed(self._parcels, count)
        front = self._parcels[0] if self._parcels else None
        self._spool.acknowledge(front.first + front.start if isinstance(front, _FrameParcel) else self._taken_to)
        if self._spool.trimmable or self._troubles["write"]:
            self._start(trim=True)
        elif not self._noting and not self._closed:
            self._noting = asyncio.get_running_loop().call_later(self._behind, self._note)
        self._bell.ring()

    def wake(self) -> None:
        self._awake = True
        self._bell.ring()

    async def close(self) -> None:
        """Writes what is pending, if the disk takes it, and makes the position durable."""
        while self._work or (self._pending and not self._troubles["write"]):
            if not self._work:
                self._start()
            await self._bell.wait()
        self._closed = True
        for timer in (self._later, self._noting):
            if timer:
                timer.cancel()
        self._bell.ring()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._spool.close)
        self._thread.shutdown(wait=False)

    def left(self) -> list[Left]:
        """What the disk did not take."""
        return _left(self._pending)

    def adopt(self, left: Sequence[Left]) -> None:
        for each in left:
            self._append(_Parcel(each.payloads, each.observed, each.receipt))

    def _fill(self, limits: Limits) -> None:
        """Reads frames until there is enough for one send."""
        payloads = sum(len(parcel.payloads) - parcel.start for parcel in self._parcels)
        octets = sum(parcel.octets for parcel in self._parcels)
        while payloads < limits.payloads and octets <= limits.octets:
            try:
                frame = self._spool.read()
            except OSError as error:
                self._troubled("read", f"the spool cannot be read: {(error.strerror or str(error)).lower()}")
                self._start_later()
                return
            self._troubled("read", "")
            self._say_lost()
            if frame is None:
                return
            parcel = _FrameParcel(frame)
            self._taken_to = frame.first + len(frame.payloads)
            self._parcels.append(parcel)
            payloads += len(frame.payloads)
            octets += parcel.octets

    def _start(self, *, trim: bool = False) -> None:
        """Gives the thread what there is to do, unless it works: then it comes next."""
        self._trim = self._trim or trim
        if self._work or self._closed or not (self._pending or self._trim):
            return
        trim, self._trim = self._trim, False
        if self._later:
            self._later.cancel()
            self._later = None
        octets = 0
        while self._pending and (not self._group or octets + self._pending[0].octets <= self._spool.segment_octets):
            octets += self._pending[0].octets
            self._group.append(self._pending.popleft())
        frames = [(parcel.payloads, parcel.observed) for parcel in self._group]
        about = (
            self._intents.about(self._name, [parcel.receipt.flight for parcel in self._group if parcel.receipt]) if self._intents else None
        )
        self._work = asyncio.get_running_loop().run_in_executor(self._thread, self._write, frames, about, trim)
        self._work.add_done_callback(self._wrote)

    def _write(self, frames: list[tuple[Sequence[bytes], int]], about: About | None, trim: bool) -> None:
        """In the thread."""
        if trim or self._spool.trimmable:
            try:
                self._spool.trim()
            except OSError:
                pass  # segments that are done with stay a while longer, and the position is noted the next time
        if frames:
            self._spool.append(frames, about)

    def _wrote(self, work: asyncio.Future[None]) -> None:
        """Back in the loop: all of the group is durable, or none of it."""
        self._work = None
        group, self._group = self._group, []
        failure = work.exception()
        if failure is None:
            if group:
                self._troubled("write", "")
            for parcel in group:
                self._held -= parcel.octets
                assert parcel.receipt is not None
                parcel.receipt.settle()
            self._start()
        else:
            self._pending.extendleft(reversed(group))
            self._troubled("write", failure.reason if isinstance(failure, SpoolBlocked) else f"error in the spool: {failure!r}")
            self._start_later()
        self._bell.ring()

    def _say_lost(self) -> None:
        """Records that were safe and are damaged now: said at once, and then once a minute at most."""
        now = asyncio.get_running_loop().time()
        if self._spool.lost > self._lost_told and now - self._lost_at >= 60:
            self._lost_told, self._lost_at = self._spool.lost, now
            directory = self._spool.directory
            logger.error(
                "output '{}': {} records in '{}' are lost, damaged or cut off; what is left of them is kept",
                self._name,
                self.lost,
                directory,
            )

    def _note(self) -> None:
        """The position is made durable, and segments that are done with go."""
        self._noting = None
        self._start(trim=True)

    def _start_later(self) -> None:
        if not self._later and not self._closed:
            self._later = asyncio.get_running_loop().call_later(self._again, self._retry)

    def _retry(self) -> None:
        self._later = None
        self._start()
        self._bell.ring()

    def _troubled(self, what: Literal["read", "write"], reason: str) -> None:
        """Says that there is trouble, at most once a minute (a full spool is full and not full with every segment that goes), and that what was
        said is over."""
        self._troubles[what] = reason
        if self.trouble and not self._told:
            now = asyncio.get_running_loop().time()
            if now - self._logged >= 60:
                self._logged, self._told = now, True
                logger.warning("output '{}': {}", self._name, self.trouble)
        elif self._told and not self.trouble:
            self._told = False
            logger.info("output '{}': the spool is in order again", self._name)


class _FrameParcel(_Parcel):
    __slots__ = ("first",)

    def __init__(self, frame: Frame) -> None:
        super().__init__(frame.payloads, frame.observed)
        self.first = frame.first
