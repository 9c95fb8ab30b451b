"""The lane: whatever the receiver answers, every payload is delivered or set aside, in order, once; receipts and books say no more than is true."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loguru import logger

from shipper.batch import Arrival, Receipt
from shipper.buffer import Buffer, DiskBuffer, MemoryBuffer
from shipper.deadletter import DeadLetters, Letter, letters, waiting_files
from shipper.lane import DAMAGED, UNREAD, Lane
from shipper.outputs.base import Limits, Refused, Sender, TooLarge, Unavailable
from shipper.recent import MOST_TIMES
from shipper.record import Record, Text
from shipper.retry import Backoff
from shipper.spool import Disk, Spool

Fault = tuple[Any, ...]


class Unsynced(Disk):
    """A disk that is quick: nothing is switched off in these tests."""

    def sync(self, descriptor: int) -> None:
        pass


class Receiver:
    """An output whose receiver answers by a script, and takes everything when that has ended. Refuses a second time what it refused once."""

    name = "fake"

    def __init__(self, script: Sequence[Fault] = (), limits: Limits | None = None) -> None:
        self.limits = limits or Limits(10, 200)
        self.script = list(script)
        self.taken: list[bytes] = []
        self.sizes: list[int] = []
        self.open = 0
        self.before: Callable[[], None] = lambda: None
        self.took: Callable[[], None] = lambda: None

    def render(self, records: Sequence[Record], arrival: Arrival) -> list[bytes]:
        return [record.id.encode() for record in records]

    def sender(self) -> Sender:
        return Connection(self)


class Connection:
    """One connection to it."""

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver

    async def __aenter__(self) -> Connection:
        if self.receiver.script and self.receiver.script[0][0] == "no connection":
            self.receiver.script.pop(0)
            raise Unavailable("nobody listens")
        self.receiver.open += 1
        assert self.receiver.open == 1, "one connection at a time"
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.receiver.open -= 1

    async def send(self, payloads: Sequence[bytes]) -> None:
        receiver = self.receiver
        receiver.before()
        receiver.sizes.append(len(payloads))
        assert 0 < len(payloads) <= receiver.limits.payloads
        await asyncio.sleep(0)
        fault, *more = receiver.script.pop(0) if receiver.script else ("ok",)
        if fault == "unavailable":
            raise Unavailable("busy", misconfigured=more[0])
        if fault == "bug":
            raise KeyError(payloads[0])
        if fault == "hang":
            await asyncio.sleep(3600)
        if fault == "too large" and len(payloads) > more[0]:
            raise TooLarge("too much")
        if fault == "refused":
            never = [index for index in range(len(payloads)) if index in more[0]]
            again = [index for index in range(len(payloads)) if index in more[1] and index not in never]
            kept = [payload for index, payload in enumerate(payloads) if index not in never and index not in again]
            receiver.taken += kept
            receiver.took()
            raise Refused("bad field", never, reasons={0: "bad first"}, again=again, unnamed=more[2])
        receiver.taken += payloads
        receiver.took()
        if fault == "lost answer":
            raise Unavailable("reset")


def at_once(**options: Any) -> Backoff:
    """Back-off that waits for nothing."""
    return Backoff(chance=lambda: 0.0, first=0.0, cap=0.0, **options)


def records(*numbers: int) -> list[Record]:
    return [Text(id=f"{number:04}") for number in numbers]


def ids(*numbers: int) -> list[bytes]:
    return [b"%04d" % number for number in numbers]


def aside(directory: Path) -> list[Letter]:
    return [letter for path in waiting_files(directory) for letter in letters(path) if isinstance(letter, Letter)]


class Scene:
    """A lane with its receiver; receipts are counted when they are settled."""

    def __init__(
        self, directory: Path, receiver: Receiver, kind: str = "memory", *, octets: int = 1 << 20, send_seconds: float = 5.0
    ) -> None:
        self.directory = directory
        self.receiver = receiver
        self.settled: list[int] = []
        self.buffer: Buffer = (
            MemoryBuffer(octets) if kind == "memory" else DiskBuffer(Spool(directory / "spool", octets=octets, disk=Unsynced()), again=0.01)
        )
        clock = lambda: 1_700_000_000_000_000_000  # noqa: E731
        self.lane = Lane(
            receiver, self.buffer, DeadLetters(directory / "dead"), backoff=at_once(), send_seconds=send_seconds, now=clock
        )  # fmt: skip
        receiver.before = receiver.took = self.look
        self.stop = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    def look(self) -> None:
        assert self.lane.balanced

    def run(self) -> None:
        self.task = asyncio.ensure_future(self.lane.run(self.stop))

    async def put(self, *numbers: int) -> None:
        await self.lane.put(records(*numbers), Arrival("test", numbers[0] if numbers else 0), Receipt(lambda: self.settled.extend(numbers)))
        self.look()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                self.look()
                await asyncio.sleep(0.001)

    async def emptied(self) -> None:
        await self.until(lambda: self.lane.waiting == 0 and not self.lane._aside)

    async def end(self, seconds: float = 5.0) -> None:
        self.stop.set()
        await self.lane.drain(seconds)
        if self.task:
            await self.task
        self.look()
        assert self.receiver.open == 0


class Weighed(bytes):
    """A payload that says when nobody has it any more."""

    gone = 0

    def __del__(self) -> None:
        Weighed.gone += 1


def test_what_is_delivered_is_let_go(tmp_path: Path) -> None:
    """Not only when there is something new: a service with nothing to do has no last batch in memory."""

    class Light(Receiver):
        def render(self, records: Sequence[Record], arrival: Arrival) -> list[bytes]:
            return [Weighed(record.id.encode()) for record in records]

    async def play() -> None:
        receiver = Light()
        scene = Scene(tmp_path, receiver)
        scene.run()
        await scene.put(*range(10))
        await scene.until(lambda: len(receiver.taken) == 10)
        receiver.taken.clear()
        await scene.until(lambda: Weighed.gone == 10)
        await scene.end()

    asyncio.run(play())


indices = st.sets(st.integers(0, 9), max_size=4)
faults = st.one_of(
    st.just(("ok",)),
    st.tuples(st.just("unavailable"), st.booleans()),
    st.just(("bug",)),
    st.just(("no connection",)),
    st.tuples(st.just("too large"), st.integers(0, 6)),
    st.tuples(st.just("refused"), indices, st.just(set()), st.just(0)),
)
batches = st.lists(st.integers(0, 14), max_size=12)


@pytest.mark.parametrize("kind", ["memory", "disk"])
@settings(deadline=None, max_examples=100)
@given(script=st.lists(faults, max_size=25), sizes=batches, size=st.integers(0, 3))
def test_without_a_crash_everything_once_and_in_order(kind: str, script: list[Fault], sizes: list[int], size: int) -> None:
    """Under any answers: what is delivered and what is set aside are together what was put, each once, each in order; at every step the books
    balance, and in memory no receipt is settled before its payloads are safe."""

    async def play(directory: Path) -> None:
        receiver = Receiver(script, Limits(10, 4 * (10 - 3 * size)))
        scene = Scene(directory, receiver, kind)
        scene.run()
        count = itertools.count()
        for length in sizes:
            await scene.put(*itertools.islice(count, length))
        total = next(count)
        if kind == "memory":

            def safe() -> None:
                known = {*receiver.taken, *(letter.payload for letter in aside(directory / "dead"))}
                assert {b"%04d" % number for number in scene.settled} <= known
                scene.look()

            receiver.before = receiver.took = safe
        await scene.emptied()
        await scene.end()
        apart = [letter.payload for letter in aside(directory / "dead")]
        assert receiver.taken == sorted(set(receiver.taken)) and apart == sorted(set(apart))
        assert sorted(receiver.taken + apart) == ids(*range(total))
        assert scene.settled == list(range(total))
        assert scene.lane.counts.delivered == len(receiver.taken)
        assert sum(scene.lane.set_aside.values()) == len(apart)

    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(play(Path(directory)))


worse = st.one_of(
    faults,
    st.just(("lost answer",)),
    st.tuples(st.just("refused"), indices, indices, st.integers(0, 2)),
    st.just(("crash",)),
    st.just(("stop",)),
)


@settings(deadline=None, max_examples=150)
@given(script=st.lists(worse, max_size=25), sizes=batches)
def test_with_crashes_everything_at_least_once(script: list[Fault], sizes: list[int]) -> None:
    """A disk buffer, killed at any send and opened again, its input offering again what was not settled: everything is delivered or set aside at
    least once, and (if none is refused, or taken later than its neighbours) comes in order; a clean stop between makes nothing twice."""

    async def play(directory: Path) -> None:
        offered = []
        count = itertools.count()
        for length in sizes:
            offered.append(list(itertools.islice(count, length)))
        total = next(count)
        taken: list[bytes] = []
        rest = list(script)
        settled: set[int] = set()
        clean = not any(fault[0] in ("crash", "lost answer") or (fault[0] == "refused" and (fault[2] or fault[3])) for fault in script)
        while True:
            cut = next((index for index, fault in enumerate(rest) if fault[0] in ("crash", "stop")), None)
            part, how = (rest, "") if cut is None else (rest[:cut], rest[cut][0])
            rest = [] if cut is None else rest[cut + 1 :]
            receiver = Receiver(part)
            scene = Scene(directory, receiver, "disk")
            scene.run()
            for numbers in offered:
                if not settled.issuperset(numbers):
                    await scene.put(*numbers)
            if how:
                await scene.until(lambda receiver=receiver, scene=scene: not receiver.script or not scene.lane.waiting)  # type: ignore[misc]
            else:
                await scene.emptied()
            if how == "crash":
                assert scene.task is not None
                scene.task.cancel()
                await asyncio.wait([scene.task])
                assert isinstance(scene.buffer, DiskBuffer)
                scene.buffer._closed = True
                scene.buffer._thread.shutdown()
                await asyncio.sleep(0)
            else:
                await scene.end(0.0 if how else 5.0)
            settled |= set(scene.settled)
            taken += receiver.taken
            if not how:
                break
        apart = [letter.payload for letter in aside(directory / "dead")]
        assert {*taken, *apart} == set(ids(*range(total)))
        assert settled == set(range(total))
        first = list(dict.fromkeys(taken))
        if not any(fault[0] in ("refused", "too large") for fault in script):
            assert first == sorted(first)
        if clean:
            assert taken == first and not {*taken} & {*apart}

    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(play(Path(directory)))


def play(directory: Path, receiver: Receiver, story: Callable[[Scene], Any], **options: Any) -> None:
    """A story with a running lane."""

    async def told() -> None:
        scene = Scene(directory, receiver, **options)
        scene.run()
        await story(scene)
        await scene.end()

    asyncio.run(told())


def test_too_large_halves_and_grows_back(tmp_path: Path) -> None:
    """Ten, five, two, and from there slowly more, up to the limit and not above."""
    receiver = Receiver([("too large", 3)] * 3, Limits(10, 10_000))

    async def story(scene: Scene) -> None:
        await scene.put(*range(400))
        await scene.emptied()

    play(tmp_path, receiver, story)
    assert receiver.taken == ids(*range(400))
    assert receiver.sizes[:4] == [10, 5, 2, 2]
    assert max(receiver.sizes[4:10]) <= 4 and max(receiver.sizes) == 10


def test_one_record_that_is_too_large_costs_a_few_small_sends(tmp_path: Path) -> None:
    """It is found by halving, and set aside; then it was not the number, and each send has twice as many as the one before."""
    receiver = Receiver([("too large", 1)] * 6 + [("too large", 0)], Limits(64, 100_000))

    async def story(scene: Scene) -> None:
        await scene.put(*range(64))
        for start in range(64, 1024, 64):
            await scene.put(*range(start, start + 64))
        await scene.emptied()

    play(tmp_path, receiver, story)
    assert receiver.taken == ids(*range(1, 1024))
    assert receiver.sizes[:14] == [64, 32, 16, 8, 4, 2, 1, 1, 2, 4, 8, 16, 32, 64]
    assert len(receiver.sizes) < 32


def test_what_was_too_large_is_come_near_to_slowly(tmp_path: Path) -> None:
    """A receiver that never takes more than 30 at a time refuses one send in fifty, or fewer, once that is known."""
    receiver = Receiver([("too large", 30)] * 2000, Limits(64, 100_000))

    async def story(scene: Scene) -> None:
        for start in range(0, 9600, 64):
            await scene.put(*range(start % 9600, start + 64))
        await scene.emptied()

    play(tmp_path, receiver, story)
    too_many = len([size for size in receiver.sizes if size > 30])
    assert len(receiver.taken) == 9600
    assert too_many <= 2 + len(receiver.sizes) // 12, receiver.sizes


def test_one_that_is_too_large_is_set_aside(tmp_path: Path) -> None:
    """Alone, with the receiver's words; those around it are delivered."""
    receiver = Receiver([("too large", 1), ("ok",), ("too large", 0)], Limits(2, 10_000))

    async def story(scene: Scene) -> None:
        await scene.put(0, 1)
        await scene.put(2)
        await scene.emptied()
        assert scene.lane.set_aside == {"too much": 1}
        assert scene.settled == [0, 1, 2]

    play(tmp_path, receiver, story)
    assert receiver.taken == ids(0, 2)
    assert aside(tmp_path / "dead") == [Letter(b"0001", "fake", "too much", 1_700_000_000_000_000_000)]


def test_refused_ones_have_their_own_reasons(tmp_path: Path) -> None:
    """Item by item, as a bulk answer has them; those to be sent again are sent again alone."""
    receiver = Receiver([("refused", {0, 3}, {1}, 0)])

    async def story(scene: Scene) -> None:
        await scene.put(0, 1, 2, 3, 4)
        await scene.emptied()
        assert scene.lane.set_aside == {"bad first": 1, "bad field": 1}

    play(tmp_path, receiver, story)
    assert receiver.taken == ids(2, 4, 1)
    assert [(letter.payload, letter.reason) for letter in aside(tmp_path / "dead")] == [(b"0000", "bad first"), (b"0003", "bad field")]


def test_refused_without_names_is_counted_and_all_are_kept(tmp_path: Path) -> None:
    """OTLP's partial success: nothing is sent again, the count is the receiver's, and the dead letters have all of that send."""
    receiver = Receiver([("refused", set(), set(), 2)])

    async def story(scene: Scene) -> None:
        await scene.put(*range(5))
        await scene.emptied()
        assert (scene.lane.counts.delivered, scene.lane.set_aside) == (3, {"bad field": 2})

    play(tmp_path, receiver, story)
    assert receiver.taken == ids(*range(5))
    kept = aside(tmp_path / "dead")
    assert [letter.payload for letter in kept] == ids(*range(5))
    assert {letter.reason for letter in kept} == {"bad field (2 of these 5, the receiver does not say which)"}


def test_a_send_that_hangs_is_cut(tmp_path: Path) -> None:
    """After its time it counts as unavailable, on a new connection the same goes again."""
    receiver = Receiver([("hang",)])

    async def story(scene: Scene) -> None:
        await scene.put(0, 1)
        await scene.emptied()
        assert scene.lane.counts.connects == 2
        assert scene.lane.last_error == "no answer within 0.05 s"

    play(tmp_path, receiver, story, send_seconds=0.05)
    assert receiver.taken == ids(0, 1)


def test_one_line_for_each_change_of_state(tmp_path: Path) -> None:
    """Fifty failures are one line, and so is the end of them; no payload stands in any, whatever an exception had to say."""
    receiver = Receiver([*[("unavailable", False)] * 25, *[("bug",)] * 25, ("unavailable", True), ("ok",)])
    lines: list[str] = []
    sink = logger.add(lambda message: lines.append(message.record["message"]), level="DEBUG")

    async def story(scene: Scene) -> None:
        await scene.put(1234)
        await scene.emptied()
        assert scene.lane.counts.retries == 51

    try:
        play(tmp_path, receiver, story)
    finally:
        logger.remove(sink)
    states = [line.split(": ")[1] for line in lines]
    assert states == ["connected", "waiting", "misconfigured", "connected"]
    assert "1234" not in "".join(lines)


def test_the_receivers_time_is_kept(tmp_path: Path) -> None:
    """Not sooner than it asked for; a stop does not wait for what will not come in time."""

    class Throttled(Receiver):
        def sender(self) -> Sender:
            return Slowly(self)

    class Slowly(Connection):
        async def send(self, payloads: Sequence[bytes]) -> None:
            sent.append(time.monotonic())
            if len(sent) != 2:
                raise Unavailable("429", retry_after=0.1 if len(sent) == 1 else 60)
            await super().send(payloads)

    sent: list[float] = []

    async def story(scene: Scene) -> None:
        await scene.put(0)
        await scene.emptied()
        await scene.put(1)
        await scene.until(lambda: len(sent) == 3)
        before = time.monotonic()
        await scene.end(5)
        assert time.monotonic() - before < 4
        assert scene.lane.waiting == 1 and scene.settled == [0]

    play(tmp_path, Throttled(), story)
    assert sent[1] - sent[0] >= 0.1


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_drain_sends_what_waits(tmp_path: Path, kind: str) -> None:
    """Also what was put a moment before, and when no run ever was."""

    async def story() -> None:
        receiver = Receiver()
        scene = Scene(tmp_path, receiver, kind)
        for number in range(50):
            await scene.put(number)
        await scene.end()
        assert receiver.taken == ids(*range(50)) and scene.settled == list(range(50))

    asyncio.run(story())


@pytest.mark.parametrize("patient", [True, False])
def test_a_drain_that_is_not_patient_ends_when_the_receiver_goes(tmp_path: Path, patient: bool) -> None:
    """It dies in the middle of the drain: what waits on the disk need not wait for it, what waits in memory does."""

    async def story() -> None:
        receiver = Receiver([("ok",), ("unavailable", False), *[("no connection",)] * 5])
        scene = Scene(tmp_path, receiver, "disk")
        await scene.put(*range(30))
        scene.lane._backoff = Backoff(chance=lambda: 0.5, first=0.1, cap=0.1)
        before = time.monotonic()
        await scene.lane.drain(5.0, patient=patient)
        assert receiver.taken == ids(*range(30 if patient else 10))
        assert scene.lane.waiting == (0 if patient else 20) and scene.lane.balanced
        assert time.monotonic() - before < (5.0 if patient else 3.0)

    asyncio.run(story())


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_drain_keeps_its_time(tmp_path: Path, kind: str) -> None:
    """With a receiver that hangs: the rest stays in the spool, whose receipts are settled, or in memory, whose are not; the next run has it."""

    async def story() -> None:
        receiver = Receiver([("ok",), ("hang",)])
        scene = Scene(tmp_path, receiver, kind, send_seconds=60)
        scene.run()
        await scene.put(*range(10))
        await scene.put(*range(10, 20))
        await scene.until(lambda: len(receiver.sizes) == 2)
        before = time.monotonic()
        await scene.end(0.1)
        assert time.monotonic() - before < 20
        assert receiver.taken == ids(*range(10))
        assert scene.settled == list(range(10 if kind == "memory" else 20))
        receiver.script = []
        again = Scene(tmp_path, receiver, kind)
        assert again.lane.counts.found == (0 if kind == "memory" else 10)
        if kind == "memory":
            await again.put(*range(10, 20))
        await again.end()
        assert receiver.taken == ids(*range(20))

    asyncio.run(story())


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_a_full_buffer_holds_the_input(tmp_path: Path, kind: str) -> None:
    """With a receiver that is away, put waits; nothing is dropped; when the receiver is back everything goes, in order."""

    async def story() -> None:
        receiver = Receiver()
        receiver.script = [("no connection",)] * 1_000_000
        scene = Scene(tmp_path, receiver, kind, octets=400)
        if isinstance(scene.buffer, DiskBuffer):
            scene.buffer._pending_octets = 100
        scene.run()
        done: list[int] = []

        async def feed() -> None:
            for number in range(0, 400, 2):
                await scene.put(number, number + 1)
                done.append(number)

        feeding = asyncio.ensure_future(feed())
        await scene.until(lambda: bool(done) and (kind == "memory" or "full size" in scene.buffer.trouble))
        await asyncio.sleep(0.01)
        held = len(done)
        assert 10 < held < 100
        await asyncio.sleep(0.02)
        assert len(done) == held
        receiver.script = []
        await feeding
        await scene.emptied()
        await scene.end()
        assert receiver.taken == ids(*range(400)) and scene.lane.dropped == 0

    asyncio.run(story())


def test_dead_letters_that_cannot_be_written_hold_the_lane(tmp_path: Path) -> None:
    """Nothing is passed for which there is no place; when there is, it goes on."""
    receiver = Receiver([("refused", {1}, set(), 0)])
    (tmp_path / "dead").write_text("in the way")

    async def story(scene: Scene) -> None:
        await scene.put(0, 1, 2)
        await scene.until(lambda: scene.lane.state == "waiting")
        assert "dead letters" in scene.lane.last_error
        assert scene.settled == [] and scene.lane.waiting == 1
        (tmp_path / "dead").unlink()
        await scene.emptied()
        assert scene.settled == [0, 1, 2]

    play(tmp_path, receiver, story)
    assert [letter.payload for letter in aside(tmp_path / "dead")] == ids(1)


def test_what_the_disk_damaged_is_in_the_books(tmp_path: Path) -> None:
    """A flipped bit in the spool: one record is set aside, the rest is delivered, the books balance."""

    async def story() -> None:
        first = Scene(tmp_path, Receiver(), "disk")
        for number in range(0, 30, 10):
            await first.put(*range(number, number + 10))
            await first.until(lambda: first.settled[-1:] == [number + 9])  # noqa: B023
        await first.buffer.close()
        path = next((tmp_path / "spool").glob("*.spool"))
        octets = bytearray(path.read_bytes())
        octets[octets.index(b"0015")] ^= 4
        path.write_bytes(octets)
        receiver = Receiver()
        second = Scene(tmp_path, receiver, "disk")
        assert second.lane.counts.found == 30
        await second.end()
        assert receiver.taken == ids(*range(15), *range(16, 30))
        assert second.lane.set_aside == {DAMAGED: 1} and second.lane.waiting == 0

    asyncio.run(story())


def test_a_second_life_is_cancel_safe(tmp_path: Path) -> None:
    """A run that is cancelled anywhere and followed by a drain delivers everything; only the send that was cut may come twice."""

    async def story(cut_after: int, directory: Path) -> None:
        receiver = Receiver(limits=Limits(5, 1000))
        scene = Scene(directory, receiver, "disk")
        scene.run()
        for number in range(0, 40, 4):
            await scene.put(*range(number, number + 4))
        for _ in range(cut_after):
            await asyncio.sleep(0)
        assert scene.task is not None
        scene.task.cancel()
        await asyncio.wait([scene.task])
        scene.task = None
        await scene.end()
        assert sorted(set(receiver.taken)) == list(dict.fromkeys(receiver.taken)) == ids(*range(40))
        assert len(receiver.taken) <= 45

    for cut_after in range(0, 60, 3):
        asyncio.run(story(cut_after, tmp_path / str(cut_after)))


def test_a_stop_tries_once_more(tmp_path: Path) -> None:
    """In the middle of a long back-off of our own: the receiver that is back by then gets everything before the end."""

    async def story() -> None:
        receiver = Receiver([("unavailable", False)])
        scene = Scene(tmp_path, receiver)
        scene.lane._backoff = Backoff(first=60.0, cap=60.0, chance=lambda: 1.0)
        scene.run()
        await scene.put(*range(10))
        await scene.until(lambda: scene.lane.state == "waiting")
        await scene.end(5)
        assert receiver.taken == ids(*range(10))

    asyncio.run(story())


def test_letters_are_written_once(tmp_path: Path) -> None:
    """A run that is cancelled while its dead letters are being written: the drain waits for that write and makes no second one."""

    class Slowly(DeadLetters):
        def add(self, letters: Sequence[Letter]) -> None:
            begun.set()
            go_on.wait(10)
            super().add(letters)

    begun, go_on = threading.Event(), threading.Event()

    async def story() -> None:
        receiver = Receiver([("refused", {1}, set(), 0)])
        scene = Scene(tmp_path, receiver)
        scene.lane._dead_letters = Slowly(tmp_path / "dead")
        scene.run()
        await scene.put(0, 1, 2)
        await scene.until(begun.is_set)
        assert scene.task is not None
        scene.task.cancel()
        await asyncio.wait([scene.task])
        scene.task = None
        go_on.set()
        await scene.end()
        assert scene.settled == [0, 1, 2]

    asyncio.run(story())
    assert [letter.payload for letter in aside(tmp_path / "dead")] == ids(1)


def test_a_sloppy_answer_makes_no_nonsense(tmp_path: Path) -> None:
    """Indices that do not exist, or that are refused and to be sent again at once: each payload is still delivered or set aside once."""

    class Sloppy(Receiver):
        def sender(self) -> Sender:
            return Wrongly(self)

    class Wrongly(Connection):
        async def send(self, payloads: Sequence[bytes]) -> None:
            if not sends:
                sends.append(len(payloads))
                self.receiver.taken += [payloads[0]]
                raise Refused("odd", (1, 1, 99, -1), again=(1, 2, 7), unnamed=0)
            await super().send(payloads)

    sends: list[int] = []
    receiver = Sloppy()

    async def story(scene: Scene) -> None:
        await scene.put(0, 1, 2)
        await scene.emptied()

    play(tmp_path, receiver, story)
    assert receiver.taken == ids(0, 2)
    assert [letter.payload for letter in aside(tmp_path / "dead")] == ids(1)


def test_a_drain_without_time_is_in_order(tmp_path: Path) -> None:
    """While the run is still writing dead letters: it may end that, and the spool is closed behind it, not under it."""

    class Slowly(DeadLetters):
        def add(self, letters: Sequence[Letter]) -> None:
            begun.set()
            time.sleep(0.1)
            super().add(letters)

    begun = threading.Event()

    async def story() -> None:
        scene = Scene(tmp_path, Receiver([("refused", {0, 1}, set(), 0)]), "disk")
        scene.lane._dead_letters = Slowly(tmp_path / "dead")
        scene.run()
        await scene.put(0, 1)
        await scene.until(begun.is_set)
        await scene.end(0)
        assert scene.lane.waiting == 0
        assert Scene(tmp_path, Receiver(), "disk").lane.counts.found == 0

    asyncio.run(story())
    assert [letter.payload for letter in aside(tmp_path / "dead")] == ids(0, 1)


class Silent(Receiver):
    """A receiver that answers nothing: it has what it was sent only when it has read that. `breaks` by a script of (sends until the connection
    is reset, how many of the last payloads it had not read)."""

    def __init__(self, breaks: Sequence[tuple[int, int]], keep: int) -> None:
        super().__init__()
        self.breaks = list(breaks)
        self.keep = keep
        self.sent = 0
        self.broken = asyncio.Event()

    def sender(self) -> Sender:
        return SilentConnection(self)


class SilentConnection(Connection):
    """Sends fail from its end on, or (`idle`) nobody sends and it ends nevertheless."""

    def __init__(self, receiver: Silent) -> None:
        super().__init__(receiver)
        self.silent = receiver
        self.keep = receiver.keep
        receiver.broken.clear()

    def doubtful_since(self) -> float | None:
        return float("-inf") if self.silent.broken.is_set() else None

    async def ended(self) -> None:
        await self.silent.broken.wait()

    async def send(self, payloads: Sequence[bytes]) -> None:
        if self.silent.broken.is_set():
            raise Unavailable("reset")
        await super().send(payloads)
        self.silent.sent += 1
        if self.silent.breaks and self.silent.sent >= self.silent.breaks[0][0]:
            _, unread = self.silent.breaks.pop(0)
            self.silent.sent = 0
            if unread:
                del self.silent.taken[-unread:]
            self.silent.broken.set()


@pytest.mark.parametrize("kind", ["memory", "disk"])
@settings(deadline=None, max_examples=60)
@given(breaks=st.lists(st.tuples(st.integers(1, 6), st.integers(0, 4)), max_size=MOST_TIMES), sizes=batches)
def test_what_a_broken_connection_may_have_lost_is_sent_again(kind: str, breaks: list[tuple[int, int]], sizes: list[int]) -> None:
    """Resets at any send, the last payloads unread: nothing is missing, as each connection sends again from what it kept, in order; and it is
    sent again also while nothing new comes, as often as a payload may be. The books balance, and count them once."""

    async def play(directory: Path) -> None:
        receiver = Silent([(after + 4, unread) for after, unread in breaks], 4 * 100)
        scene = Scene(directory, receiver, kind)
        scene.run()
        count = itertools.count()
        for length in sizes:
            await scene.put(*itertools.islice(count, length))
            await asyncio.sleep(0)
        total = next(count)
        await scene.emptied()
        await scene.until(lambda: set(receiver.taken) == set(ids(*range(total))))
        await scene.end()
        first = list(dict.fromkeys(receiver.taken))
        assert sorted(first) == ids(*range(total))
        assert scene.lane.counts.delivered == total
        assert scene.lane.counts.resent >= len(receiver.taken) - total

    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(play(Path(directory)))


def test_without_a_break_nothing_comes_twice_and_little_is_kept(tmp_path: Path) -> None:
    """An orderly end: nothing again. After a break no more than `keep` octets, the last ones, before anything new."""

    async def play() -> None:
        receiver = Silent([(50, 0)], 4 * 25)
        scene = Scene(tmp_path, receiver)
        scene.run()
        await scene.put(*range(500))
        await scene.until(lambda: len(receiver.taken) == 525)
        await scene.put(500)
        await scene.until(lambda: len(receiver.taken) == 526)
        await scene.end()
        assert receiver.taken == ids(*range(500), *range(475, 500), 500)
        assert scene.lane.counts.resent == 25

    asyncio.run(play())


def test_what_could_not_be_sent_again_is_a_letter(tmp_path: Path) -> None:
    """The receiver does not come back before we end: what it may not have read waits for a replay, and is delivered no more."""

    async def play() -> None:
        receiver = Silent([(1, 5)], 4 * 100)
        receiver.script = [("ok",), *[("no connection",)] * 10_000]
        scene = Scene(tmp_path, receiver)
        scene.run()
        await scene.put(*range(7))
        await scene.until(lambda: bool(scene.lane.counts.retries))
        await scene.end(0.05)
        assert [letter.payload for letter in aside(tmp_path / "dead")] == ids(*range(7))
        assert scene.lane.counts.delivered == 0 and scene.lane.set_aside == {UNREAD: 7}

    asyncio.run(play())
