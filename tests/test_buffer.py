"""The two buffers: in order, bounded, and a receipt is settled exactly when its payloads are safe."""

from __future__ import annotations

import asyncio
import errno
import os
import tempfile
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loguru import logger

from shipper.batch import Receipt
from shipper.buffer import Buffer, DiskBuffer, MemoryBuffer, WhenFull
from shipper.outputs.base import Limits
from shipper.spool import Disk, Spool

ONE = Limits(1, 1)
ALL = Limits(1_000_000, 1 << 30)


class Unsynced(Disk):
    """A disk that is quick: nothing is switched off in these tests."""

    def sync(self, descriptor: int) -> None:
        pass


class Gate(Disk):
    """Syncs when it is let through, or fails as it is told."""

    def __init__(self) -> None:
        self.gate = threading.Semaphore(0)
        self.syncs = 0
        self.fails = 0

    def sync(self, descriptor: int) -> None:
        self.gate.acquire(timeout=10)
        self.syncs += 1
        if self.fails:
            self.fails -= 1
            raise OSError(errno.EIO, os.strerror(errno.EIO))


class Settled:
    """Receipts by name, in the order in which they are settled."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def of(self, name: str) -> Receipt:
        return Receipt(lambda: self.names.append(name))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


def told(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(story)


def buffers(directory: Path) -> list[Buffer]:
    return [MemoryBuffer(1 << 20), DiskBuffer(Spool(directory))]


@settings(deadline=None, max_examples=60)
@given(
    sizes=st.lists(st.lists(st.integers(0, 9), max_size=6), min_size=1, max_size=10),
    steps=st.lists(st.tuples(st.integers(1, 8), st.integers(1, 30), st.floats(0, 1)), max_size=30),
)
def test_payloads_are_merged_and_split_to_the_limits(sizes: list[list[int]], steps: list[tuple[int, int, float]]) -> None:
    """From the front, in order, as many as allowed and one at least; what is not done is taken again. What was put together stays together,
    where there is something before it."""

    async def story(buffer: Buffer) -> None:
        expected = []
        puts: list[int] = []
        settled = Settled()
        for number, lengths in enumerate(sizes):
            payloads = [bytes([65 + number]) * length for length in lengths]
            await buffer.put(payloads, settled.of(str(number)), number)
            expected += payloads
            puts += [number] * len(payloads)
        await until(lambda: buffer.waiting == len(expected) and (isinstance(buffer, MemoryBuffer) or len(settled.names) == len(sizes)))
        for most, octets, part in [*steps, *[(100, 1000, 1.0)] * 10]:
            if not expected:
                break
            taken = await buffer.take(Limits(most, octets))
            assert taken is not None
            count = len(taken.payloads)
            assert list(taken.payloads) == expected[:count]
            assert 1 <= count <= most
            assert count == 1 or sum(map(len, taken.payloads)) <= octets
            more = puts.count(puts[count]) if puts[count:] and puts[count] != puts[0] else 1
            following = expected[count : count + more]
            assert count + more > most or not following or sum(map(len, [*taken.payloads, *following])) > octets, "as many as allowed"
            done = int(count * part)
            buffer.done(done)
            del expected[:done], puts[:done]
            assert buffer.waiting == len(expected)
        if isinstance(buffer, DiskBuffer) or not expected:
            empty = [str(number) for number, lengths in enumerate(sizes) if not lengths]
            assert sorted(settled.names, key=int) == [str(number) for number in range(len(sizes))]
            assert [name for name in settled.names if name not in empty] == [str(number) for number, lengths in enumerate(sizes) if lengths]
        await buffer.close()

    with tempfile.TemporaryDirectory() as name:
        for buffer_of in (lambda: MemoryBuffer(1 << 20), lambda: DiskBuffer(Spool(Path(name) / "spool", disk=Unsynced()))):

            async def with_buffer(make: Callable[[], Buffer] = buffer_of) -> None:
                await story(make())

            told(with_buffer())


def test_memory_settles_when_done() -> None:
    """A receipt whose payloads are half done is not settled; one without payloads is at once."""

    async def story() -> None:
        settled = Settled()
        buffer = MemoryBuffer(1000)
        await buffer.put([], settled.of("none"), 0)
        await buffer.put([b"a", b"b"], settled.of("first"), 0)
        await buffer.put([b"c"], settled.of("second"), 0)
        buffer.done(1)
        assert settled.names == ["none"]
        buffer.done(1)
        assert settled.names == ["none", "first"]
        buffer.done(1)
        assert settled.names == ["none", "first", "second"]

    told(story())


def test_disk_settles_after_the_sync_and_never_before(tmp_path: Path) -> None:
    """File and, for a new segment, directory; puts are not held up, and what came while one sync ran goes with the next, all together."""

    async def story() -> None:
        settled = Settled()
        disk = Gate()
        disk.gate.release()  # the position, on opening
        disk.gate.release()
        buffer = DiskBuffer(Spool(tmp_path, disk=disk))
        opened = disk.syncs
        for number in range(20):
            await buffer.put([b"x"], settled.of(str(number)), 0)
        await asyncio.sleep(0.02)
        assert settled.names == [] and buffer.waiting == 20
        disk.gate.release()  # the file
        await until(lambda: disk.syncs == opened + 1)
        await asyncio.sleep(0.01)
        assert settled.names == [], "the directory is not synced yet"
        disk.gate.release()  # the directory
        await until(lambda: settled.names == ["0"])
        disk.gate.release()  # all others in one
        await until(lambda: len(settled.names) == 20)
        assert disk.syncs == opened + 3
        assert (await buffer.take(ALL)) is not None
        disk.gate.release(100)
        await buffer.close()

    told(story())


def test_a_failed_sync_settles_nothing_and_is_made_good(tmp_path: Path) -> None:
    """EIO three times: put goes on until its bound, says why, settles when the same octets are durable elsewhere, and gives each once."""

    async def story() -> None:
        settled = Settled()
        disk = Gate()
        disk.gate.release(1000)
        buffer = DiskBuffer(Spool(tmp_path, disk=disk), again=0.01)
        disk.fails = 3
        await buffer.put([b"a", b"b"], settled.of("first"), 0)
        await until(lambda: "input/output error" in buffer.trouble)
        assert settled.names == []
        await buffer.put([b"c"], settled.of("second"), 0)
        await until(lambda: settled.names == ["first", "second"])
        assert buffer.trouble == ""
        await until(lambda: buffer.waiting == 3)
        taken = await buffer.take(ALL)
        assert taken is not None and taken.payloads == (b"a", b"b", b"c")
        await buffer.close()

    told(story())


@pytest.mark.parametrize("kind", ["memory", "disk"])
@pytest.mark.parametrize("when_full", ["wait", "drop"])
def test_what_happens_when_it_is_full(tmp_path: Path, kind: str, when_full: WhenFull) -> None:
    """`wait`: put returns when there is room. `drop`: at once, counted and settled; nothing that was taken is touched."""

    async def story() -> None:
        settled = Settled()
        buffer: Buffer
        if kind == "memory":
            buffer = MemoryBuffer(100, when_full)
        else:
            buffer = DiskBuffer(Spool(tmp_path, octets=200), when_full=when_full, pending_octets=100, again=0.01)
        put = 0

        async def fill() -> None:
            nonlocal put
            for number in range(40):
                await buffer.put([b"%08d" % number] * 5, settled.of(str(number)), 0)
                put += 1
                if kind == "disk":
                    await until(lambda wanted=put: len(settled.names) == wanted or "full size" in buffer.trouble)  # type: ignore[misc]

        filling = asyncio.ensure_future(fill())
        if kind == "disk":
            await until(lambda: "full size" in buffer.trouble)
        if when_full == "drop":
            await until(lambda: put == 40)
        await asyncio.sleep(0.02)
        if when_full == "wait":
            assert 2 <= put < 20 and buffer.dropped == 0
        else:
            assert put == 40 and 100 < buffer.dropped == 200 - buffer.waiting
        seen: list[bytes] = []
        while len(seen) + buffer.dropped < 200:
            taken = await buffer.take(Limits(3, 1000))
            assert taken is not None
            seen += taken.payloads
            buffer.done(len(taken.payloads))
        await filling
        assert seen == sorted(seen)
        assert sorted(settled.names) == sorted(map(str, range(40)))
        await buffer.close()

    told(story())


def test_take_waits_and_is_woken(tmp_path: Path) -> None:
    """Until something is put, or until the end; cancelled, it has taken nothing."""

    async def story() -> None:
        for buffer in buffers(tmp_path):
            taking = asyncio.ensure_future(buffer.take(ALL))
            await asyncio.sleep(0)
            taking.cancel()
            await asyncio.wait([taking])
            taking = asyncio.ensure_future(buffer.take(ALL))
            await asyncio.sleep(0)
            await buffer.put([b"a"], Receipt(lambda: None), 7)
            taken = await taking
            assert taken is not None and (taken.payloads, taken.observed) == ((b"a",), 7)
            buffer.done(1)
            taking = asyncio.ensure_future(buffer.take(ALL))
            await asyncio.sleep(0)
            buffer.wake()
            assert await taking is None
            await buffer.close()

    told(story())


def test_a_spool_holds_little_in_memory(tmp_path: Path) -> None:
    """Forty megabytes wait; what is in memory is what one send takes, and one frame."""

    async def story() -> None:
        spool = Spool(tmp_path, segment_octets=4 << 20, disk=Unsynced())
        for _ in range(80):
            spool.append([([os.urandom(1000)] * 500, 0)])
        spool.close()
        before = resident()
        buffer = DiskBuffer(Spool(tmp_path))
        count = 0
        most = 0
        while buffer.waiting:
            taken = await buffer.take(Limits(1000, 1 << 20))
            assert taken is not None
            count += len(taken.payloads)
            buffer.done(len(taken.payloads))
            most = max(most, resident())
        assert count == 40_000
        assert most - before < 12 << 20
        await buffer.close()

    told(story())


def resident() -> int:
    """Octets of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_segments_go_while_nothing_is_put(tmp_path: Path) -> None:
    """A backlog that is sent gives its room back at once, not with the next record."""

    async def story() -> None:
        spool = Spool(tmp_path, segment_octets=1, disk=Unsynced())
        for _ in range(30):
            spool.append([([b"x"], 0)])
        buffer = DiskBuffer(spool)
        while buffer.waiting:
            assert await buffer.take(ONE) is not None
            buffer.done(1)
            await asyncio.sleep(0.001)
        await until(lambda: buffer._work is None)
        assert len(list(tmp_path.glob("*.spool"))) <= 2
        await buffer.close()

    told(story())


def test_damaged_payloads_count_as_lost_and_wait_no_more(tmp_path: Path) -> None:
    """One in the middle of a frame, and the last frame cut off: what is good is given in order, what waits is right at every step, and the loss is
    said in the log."""
    spool = Spool(tmp_path, disk=Unsynced())
    spool.append([([b"payload %d" % number for number in range(6)], 0), ([b"cut off"], 0)])
    path = next(tmp_path.glob("*.spool"))
    octets = bytearray(path.read_bytes())
    octets[octets.index(b"payload 3")] ^= 1
    path.write_bytes(octets[: octets.index(b"cut off")])

    async def story() -> None:
        buffer = DiskBuffer(Spool(tmp_path, disk=Unsynced()), name="siem")
        assert buffer.waiting == 7
        taken = await buffer.take(Limits(5, 1 << 20))
        assert taken is not None and taken.payloads == (b"payload 0", b"payload 1", b"payload 2", b"payload 4", b"payload 5")
        assert (buffer.waiting, buffer.lost) == (6, 1)
        for count, left in ((2, 4), (1, 3), (1, 2)):
            buffer.done(count)
            assert buffer.waiting == left
        taken = await buffer.take(ALL)
        assert taken is not None and taken.payloads == (b"payload 5",)
        assert (buffer.waiting, buffer.lost) == (1, 2)
        buffer.done(1)
        assert buffer.waiting == 0
        await buffer.close()

    said: list[str] = []
    heard = logger.add(lambda line: said.append(str(line)), format="{message}")
    try:
        told(story())
    finally:
        logger.remove(heard)
    assert [line for line in said if "'siem': 1 records in" in line and "damaged" in line]
