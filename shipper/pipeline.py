"""The tasks of the service: one for each input, one for each output's lane, one for the checkpoints; nothing else creates any.

    input ─ deliver ─▶ router ─▶ lane.put (each output that gets some) ─▶ receipt settled ─▶ places ─▶ checkpoints

`deliver` holds a branch of the batch's receipt of its own until every output has been given its share; each required output gets one more.
Order is kept: an input has one batch on its way at a time, and it is put to all its outputs before the next one is read.

Stop order: inputs first, then lanes until they have nothing left or the grace period ends, then checkpoints. What was not delivered by then
was never settled, and is read again. A task that fails is logged, and ends the service in the same order: a part that is missing is never
passed over in silence.

A swap keeps what is the same in both plans running, with its sockets and what waits in it. An input that changes hands over what it has read,
and the next one begins when that is settled; a lane that changes delivers what it has before the next one begins. What it could not deliver,
and is on no disk, the next one has first. A batch that waits for room in a lane that is exchanged goes to the next one as well.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count as numbered
from typing import Any

from loguru import logger

from shipper.batch import Arrival, Batch, Flight, Receipt
from shipper.buffer import BufferClosed, Left
from shipper.checkpoints import Checkpoints, NamedPlaces
from shipper.copies import LOOP, Copies
from shipper.errors import Failure
from shipper.inputs.base import Input
from shipper.lane import Lane
from shipper.outputs.base import Output
from shipper.record import Record
from shipper.router import Router, Share
from shipper.straight import apart
from shipper.telemetry import Tap

_FOR_INPUTS = 0.8
"""The share of the grace period that inputs have to hand over what they have read; usually they take none of it."""

_AT_ONCE = 0.5
"""Seconds that cancelled tasks have to end."""

_TO_CLOSE = 3.0
"""Seconds that a lane has, after what it had to deliver in, to close its connection and what waits on its disk."""


@dataclass(frozen=True, slots=True)
class Source:
    """An input of the configuration. `made_of`: two of the same are the same input. `resumes`: begun again, it hands over again what was not
    settled (a file does; a socket does not)."""

    input: Input
    made_of: object
    resumes: bool = True
    by_syslog: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """An output of the configuration. `lane` makes its lane, and opens what waits on the disk: not before the lane of that name before it is
    closed. `required`: positions wait for it. `durable`: what waits for it is on the disk."""

    output: Output
    lane: Callable[[], Lane]
    made_of: object
    required: bool = True
    durable: bool = True


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to run: inputs and outputs by name, and which records go where. `relays`: the hosts that syslog outputs send to, None where there
    is no such output."""

    sources: Mapping[str, Source]
    targets: Mapping[str, Target]
    router: Router
    relays: frozenset[str] | None = None

    @property
    def comes_twice(self) -> bool:
        """Whether records come by syslog and by another way, so that there may be copies."""
        return {source.by_syslog for source in self.sources.values()} == {True, False}


@dataclass(slots=True)
class InputCount:
    """Records of one input since the start. `dropped`: those that go nowhere, by what says so, a route or a setting of the mail server; `damaged`:
    lines that could not be read, or in part."""

    read: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    damaged: int = 0

    def drop(self, dropped: Mapping[str, int]) -> None:
        """So many of these go nowhere, by what says so."""
        for reason, number in dropped.items():
            self.dropped[reason] = self.dropped.get(reason, 0) + number


@dataclass(slots=True)
class _Reading:
    """An input that runs. `unsettled`: batches that it has handed over and are nowhere safe yet; `passing`: one is being given to lanes; `last`:
    the batch that was handed over last."""

    name: str
    source: Source
    places: NamedPlaces
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    unsettled: int = 0
    passing: bool = False
    last: Flight | None = None


@dataclass(slots=True)
class _Sending:
    """A lane that runs."""

    target: Target
    lane: Lane
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


class Pipeline:
    """Runs a plan, and swaps it for another one. `read`: counts of inputs, `given`: records routed to each output, `gone`: lanes that a swap or
    the stop has ended, with their counts."""

    def __init__(self, plan: Plan, checkpoints: Checkpoints, taps: set[Tap]) -> None:
        self.plan = plan
        self._comes_twice = plan.comes_twice
        self.checkpoints = checkpoints
        self.read: dict[str, InputCount] = {}
        self.given: dict[str, int] = {}
        self.gone: dict[str, list[Lane]] = {}
        self._taps = taps
        self._flights = numbered(time.time_ns())  # numbers that no run before had
        self._copies = Copies(time.monotonic)
        self._relays: frozenset[str] = frozenset()
        self._reading: dict[str, _Reading] = {}
        self._sending: dict[str, _Sending] = {}
        self._gate = asyncio.Event()
        self._changed = asyncio.Event()
        self._leaving: list[_Reading] = []
        self._failure: Failure | None = None
        self._swapping: asyncio.Task[Any] | None = None

    async def run(
        self,
        stop: asyncio.Event,
        grace: float,
        running: Callable[[], None],
        draining: Callable[[], None],
        companions: Mapping[str, Coroutine[Any, Any, None]],
    ) -> None:
        """Until `stop` is set, or every input has come to its end, or a task fails (raises `Failure`, after an orderly stop). `running` is
        called when everything has been started, `draining` when the stop begins; `companions` run as long as the pipeline does, and end it when
        they fail. Cancelled, it ends at once, and saves the checkpoints."""
        others = [asyncio.create_task(self.checkpoints.run(), name="checkpoints")]
        others += [asyncio.create_task(companion, name=name) for name, companion in companions.items()]
        for task in others:
            task.add_done_callback(self._ended)
        try:
            for name, target in self.plan.targets.items():
                self._send(name, target)
            for name, source in self.plan.sources.items():
                self._read(name, source)
            self._gate.set()
            self._look_up_relays()
            running()
            await self._until_done(stop)
            draining()
            await self._drain(grace)
        finally:
            readings = [reading.task for reading in (*self._reading.values(), *self._leaving)]
            tasks = [*others, *filter(None, [*readings, *(sending.task for sending in self._sending.values())])]
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=_AT_ONCE)
            if self._sending:  # stopped at once: what waits on the disk gets its position nevertheless
                await self._stop_lanes(set(self._sending), 0.0, _AT_ONCE)
            await self.checkpoints.close()
        if self._failure:
            raise self._failure

    async def swap(self, plan: Plan, grace: float) -> None:
        """Takes another plan. Each of its steps lasts half of `grace` at most."""
        loop = asyncio.get_running_loop()
        self._swapping = asyncio.current_task()
        changed = {name for name, reading in self._reading.items() if not _same(plan.sources.get(name), reading.source)}
        try:
            await self._stop_inputs(changed, grace / 2)
            self._gate.clear()
            lanes = {name for name, sending in self._sending.items() if not _same(plan.targets.get(name), sending.target)}
            last = loop.time() + grace / 2
            before = {name: sending.lane for name, sending in self._sending.items() if name in lanes}
            await self._stop_lanes(lanes, max(0.0, last - loop.time()))
            ready = {name: plan.targets[name].lane() for name in plan.targets if name not in self._sending}
            again: set[str] = set()
            for name, lane in before.items():
                again |= self._hand_on(lane, ready.get(name))
            await self._stop_inputs(again & set(self._reading), 0)
            sources = {name: reading.source for name, reading in self._reading.items()}
            targets = {name: sending.target for name, sending in self._sending.items()}
            self.plan = replace(plan, sources={**plan.sources, **sources}, targets={**plan.targets, **targets})
            self._comes_twice = self.plan.comes_twice
            self._look_up_relays()
            for name in plan.targets:
                if name not in self._sending:
                    self._send(name, plan.targets[name], ready[name])
            for name in plan.sources:
                if name not in self._reading:
                    self._read(name, plan.sources[name])
        finally:
            self._swapping = None
            self._gate.set()
            self._changed.set()

    def inputs(self) -> Iterable[tuple[str, Source, bool]]:
        """(name, input, whether it has come to its end) of those that run."""
        return [(name, reading.source, bool(reading.task and reading.task.done())) for name, reading in list(self._reading.items())]

    def lanes(self) -> Iterable[tuple[str, Target, Lane]]:
        """(name, output, lane) of those that run."""
        return [(name, sending.target, sending.lane) for name, sending in list(self._sending.items())]

    def _read(self, name: str, source: Source) -> None:
        reading = self._reading[name] = _Reading(name, source, self.checkpoints.places(name))
        self.read.setdefault(name, InputCount())
        running = source.input.run(self._deliver(name, reading), reading.places, reading.stop)
        reading.task = asyncio.create_task(running, name=f"input '{name}'")
        reading.task.add_done_callback(self._ended)

    def _hand_on(self, before: Lane, lane: Lane | None) -> set[str]:
        """What a lane that was stopped held in memory goes to the one that takes its place, if that can send it; else it is read again. Returns
        the inputs that are to do so. What no input can read again, or no output wants any more, is given up, and counted."""
        left = before.left()
        if not left:
            return set()
        if lane is not None and lane.alike(before):
            lane.take_over(left)
            return set()
        again, lost = set(), []
        for each in left:
            flight = each.receipt.flight
            reading = self._reading.get(flight.input) if flight else None
            if lane is not None and reading is not None and reading.source.resumes:
                again.add(reading.name)
            else:
                lost.append(each)
        _give_up(before, lost)
        return again

    def _send(self, name: str, target: Target, lane: Lane | None = None) -> None:
        sending = self._sending[name] = _Sending(target, lane or target.lane())
        self.given.setdefault(name, 0)
        sending.task = asyncio.create_task(sending.lane.run(sending.stop), name=f"output '{name}'")
        sending.task.add_done_callback(self._ended)

    def _deliver(self, name: str, reading: _Reading) -> Callable[[Batch], Awaitable[None]]:
        count = self.read[name]

        async def deliver(batch: Batch) -> None:
            await self._gate.wait()
            reading.passing = True
            try:
                await self._pass_on(batch, name, count, reading)
            finally:
                reading.passing = False
                self._changed.set()

        return deliver

    async def _pass_on(self, batch: Batch, name: str, count: InputCount, reading: _Reading) -> None:
        records, arrival, passed = batch.records, batch.arrival, batch.receipt
        count.read += len(records)
        count.damaged += sum([1 for record in apart(records) if record.error])
        for tap in self._taps:
            tap.offer(records, name, arrival.observed)
        twins: Sequence[Receipt] = ()
        if self._comes_twice or (self.plan.relays is not None and reading.source.by_syslog):
            records, twins = self._seen_before(batch, name, count, reading.source)
        shares, dropped = self.plan.router.route(records, name)
        count.drop(dropped)
        reading.unsettled += 1
        required = [output for output in shares if self._sending[output].target.required]
        # Of what another batch has on its way no intent of this one speaks.
        flight = reading.last = Flight(next(self._flights), name, None if twins else batch.places, required, reading.last)

        def settled() -> None:
            flight.settle()
            reading.unsettled -= 1
            if not reading.places.retired:
                passed.settle()
            self._changed.set()

        receipt = Receipt(settled, flight)
        for twin in twins:
            twin.after(receipt.branch().settle)
        left = dict(shares)
        try:
            for output, share in shares.items():
                branch = receipt.branch() if output in required else Receipt(_nothing)
                await self._put(output, share, arrival, branch)
                del left[output]
        except asyncio.CancelledError:
            if not reading.source.resumes:
                self._lose(name, left)
            raise
        receipt.settle()

    async def _put(self, output: str, share: Share, arrival: Arrival, branch: Receipt) -> None:
        """Gives an output its share; one that is exchanged meanwhile gets it as the new one."""
        self.given[output] = self.given.get(output, 0) + len(share.records)
        try:
            while (sending := self._sending.get(output)) is not None:
                try:
                    await sending.lane.put(share.records, arrival, branch, share.priorities)
                    return
                except BufferClosed:
                    closed = sending
                    await self._until(lambda: self._sending.get(output) is not closed, None)  # noqa: B023
        except asyncio.CancelledError:
            self.given[output] -= len(share.records)
            raise
        self.given[output] -= len(share.records)  # there is no such output any more
        branch.settle()

    def _lose(self, name: str, shares: Mapping[str, Share]) -> None:
        """What an input cannot read again, and found no room before the end."""
        for output, share in shares.items():
            if sending := self._sending.get(output):
                self.given[output] += len(share.records)
                sending.lane.lose(len(share.records))
                logger.warning("input '{}': {} records are lost, output '{}' had no room for them", name, len(share.records), output)

    def _seen_before(self, batch: Batch, name: str, count: InputCount, source: Source) -> tuple[Sequence[Record], Sequence[Receipt]]:
        """The records that did not come before by another way, and the receipts that stand for the others."""
        plan = self.plan
        relays = None if plan.relays is None else self._relays
        checked = self._copies.check(batch.records, batch.receipt, by_syslog=source.by_syslog, both=self._comes_twice, relays=relays)
        if LOOP in checked.left_out and LOOP not in count.dropped:
            logger.warning("input '{}': messages that we sent come back to it; they are dropped and counted", name)
        count.drop(checked.left_out)
        return checked.records, checked.wait_for

    def _look_up_relays(self) -> None:
        """The addresses of the plan's relays, when the name server says them: neither the start nor a reload waits for it."""
        if not (hosts := self.plan.relays):
            return

        def found(looked: asyncio.Future[frozenset[str]]) -> None:
            if not looked.cancelled() and hosts == self.plan.relays:
                self._relays = looked.result()

        asyncio.get_running_loop().run_in_executor(None, _addresses, hosts).add_done_callback(found)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A task is done: an input came to its end, somebody stopped it, or it failed."""
        self._changed.set()
        if task.cancelled() or (error := task.exception()) is None:
            return
        if self._failure is None:
            failed = Failure("R506", f"{task.get_name()}: {type(error).__name__}: {error}")
            self._failure = error if isinstance(error, Failure) else failed
        logger.opt(exception=error).error("{} failed; the service stops", task.get_name())

    async def _until_done(self, stop: asyncio.Event) -> None:
        stopping = asyncio.ensure_future(stop.wait())
        stopping.add_done_callback(lambda _: self._changed.set())
        try:
            await self._until(lambda: stop.is_set() or self._failure is not None or self._all_read(), None)
        finally:
            stopping.cancel()

    async def _until(self, true: Callable[[], bool], last: float | None) -> bool:
        """Waits for something that a change of ours makes true, until that time of the loop; whether it is."""
        while not true():
            self._changed.clear()
            try:
                async with asyncio.timeout_at(last):
                    await self._changed.wait()
            except TimeoutError:
                return true()
        return True

    def _all_read(self) -> bool:
        """Every input has come to its end by itself, as a pipe does; not while a swap has stopped some."""
        readings = (*self._reading.values(), *self._leaving)
        return not self._swapping and all(reading.task and reading.task.done() for reading in readings)

    async def _drain(self, grace: float) -> None:
        loop = asyncio.get_running_loop()
        last = loop.time() + grace
        if self._swapping:
            await _finished([self._swapping], 0)
        self._gate.set()
        await self._stop_inputs(set(self._reading), grace * _FOR_INPUTS, settled=False)
        stopped = [sending.lane for sending in self._sending.values()]
        resumed = {name for name, source in self.plan.sources.items() if source.resumes}
        await self._stop_lanes(set(self._sending), max(0.0, last - loop.time()))
        for lane in stopped:
            # What no position waits for is not read again either.
            _give_up(lane, [each for each in lane.left() if not each.receipt.flight or each.receipt.flight.input not in resumed])

    async def _stop_inputs(self, names: set[str], seconds: float, *, settled: bool = True) -> None:
        """Lets inputs hand over what they have, and return; with `settled`, waits for that to be safe, and lets what is not be read again by
        another input of the name. One that cannot do that, and finds no room for what it has, goes on until it does, beside the other."""
        stopped = [self._reading[name] for name in names]
        for reading in stopped:
            reading.stop.set()
        last = asyncio.get_running_loop().time() + seconds
        if settled:
            lasting = [reading for reading in stopped if not reading.source.resumes]
            stopped = [reading for reading in stopped if reading.source.resumes]
            if lasting:
                await asyncio.wait([reading.task for reading in lasting if reading.task], timeout=_AT_ONCE)
            for reading in lasting:
                self._leaving.append(self._reading.pop(reading.name))
                if reading.task and not reading.task.done():
                    reading.task.add_done_callback(partial(self._left, reading))
                else:
                    self._left(reading, None)
        else:
            stopped += self._leaving
        await _finished([reading.task for reading in stopped], seconds)
        if settled:
            await self._until(lambda: not any(reading.unsettled for reading in stopped), last)
            for reading in stopped:
                reading.places.retired = True
        for reading in stopped:
            self._reading.pop(reading.name, None)
            _close(reading)

    def _left(self, reading: _Reading, _: object) -> None:
        """An input that was stopped a while ago has ended."""
        if reading in self._leaving:
            self._leaving.remove(reading)
        _close(reading)

    async def _stop_lanes(self, names: set[str], seconds: float, closing: float = _TO_CLOSE) -> None:
        """Lets lanes deliver what they have; what is left in memory then is not settled."""
        stopped = {name: self._sending[name] for name in names}
        for sending in stopped.values():
            sending.stop.set()
        if stopped:
            drains = [
                asyncio.ensure_future(sending.lane.drain(_worth_waiting(sending, seconds), patient=not _safe(sending)))
                for sending in stopped.values()
            ]
            await asyncio.wait(drains, timeout=seconds + closing)
            for sending, drain in zip(stopped.values(), drains, strict=True):
                if not drain.done():
                    drain.cancel()
                elif drain.exception():
                    logger.error("output '{}' did not close in order: {!r}", sending.lane.name, drain.exception())
            await _finished([sending.task for sending in stopped.values()], 0)
        for name in stopped:
            self.gone.setdefault(name, []).append(self._sending.pop(name).lane)


async def send_again(lane: Lane, letters: Iterable[tuple[bytes, int]], patience: float) -> bool:
    """Sends (payload, observed) through a lane of its own; whether all are taken, or set aside again. Gives up when the receiver takes nothing
    for so many seconds."""
    moved = asyncio.Event()
    unsettled = 0

    def settled() -> None:
        nonlocal unsettled
        unsettled -= 1
        moved.set()

    async def feed() -> None:
        nonlocal unsettled
        for payload, observed in letters:
            unsettled += 1
            await lane.put_payloads([payload], observed, Receipt(settled))
        moved.set()

    stop = asyncio.Event()
    sending, feeding = asyncio.create_task(lane.run(stop)), asyncio.create_task(feed())
    try:
        while unsettled or not feeding.done():
            moved.clear()
            async with asyncio.timeout(patience):
                await moved.wait()
            if feeding.done():
                feeding.result()
        return True
    except TimeoutError:
        return False
    finally:
        feeding.cancel()
        stop.set()
        await lane.drain(0)
        await _finished([sending, feeding], 0)


async def _finished(tasks: Iterable[asyncio.Task[None] | None], seconds: float) -> None:
    """Waits for tasks so long, then cancels those that are left."""
    left = [task for task in tasks if task]
    if not left:
        return
    _, late = await asyncio.wait(left, timeout=seconds)
    for task in late:
        task.cancel()
    if late:
        await asyncio.wait(late, timeout=_AT_ONCE)


def _same(new: Source | Target | None, old: Source | Target) -> bool:
    return new is not None and new.made_of == old.made_of


def _worth_waiting(sending: _Sending, seconds: float) -> float:
    """Nobody waits for a receiver that is away when nothing is won by it."""
    return 0.0 if _safe(sending) and sending.lane.state in ("waiting", "misconfigured") else seconds


def _safe(sending: _Sending) -> bool:
    """Whether what waits is on the disk, and as safe there."""
    return sending.target.durable and not sending.lane.status()["spool"]


def _give_up(lane: Lane, lost: Sequence[Left]) -> None:
    """These nobody can have any more."""
    lane.gives_up(lost)
    if lost:
        records = sum(len(each.payloads) for each in lost)
        logger.warning("output '{}' is stopped: {} records that waited for it in memory are lost", lane.name, records)


def _addresses(hosts: Iterable[str]) -> frozenset[str]:
    """Those of hosts, as far as they can be told; loops without a mark are not known by the others."""
    found: set[str] = set()
    for host in hosts:
        with suppress(OSError, UnicodeError):
            found |= {str(address[4][0]) for address in socket.getaddrinfo(host, None)}
    return frozenset(found)


def _close(reading: _Reading) -> None:
    if close := getattr(reading.source.input, "close", None):
        close()


def _nothing() -> None:
    """What waits for an output that is not required: nothing."""
