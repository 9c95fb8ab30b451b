"""Input `file` as a part of the service: batches, receipts, places, identities, and a process that is killed again and again."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from shipper.batch import Batch
from shipper.inputs.base import Reading
from shipper.inputs.file import AHEAD, UNFINISHED, FileInput, Section, make
from shipper.record import Record
from shipper.stamps import ZoneInfo

SERVICE = "[27/Jan/1999:12:01:{second:02d} -0800] server imapd[123]: Store Notice: the same line again"


class Memory:
    """Places as JSON, as they would be on disk."""

    def __init__(self) -> None:
        self.text = "{}"

    def load(self) -> dict[str, Any]:
        return dict(json.loads(self.text))

    def save(self, places: dict[str, Any]) -> None:
        self.text = json.dumps(places)


class Sink:
    """Takes batches, and settles them or keeps their receipts."""

    def __init__(self, settle: bool = True) -> None:
        self.settle = settle
        self.batches: list[Batch] = []
        self.arrived = asyncio.Event()

    async def __call__(self, batch: Batch) -> None:
        self.batches.append(batch)
        if self.settle:
            batch.receipt.settle()
        self.arrived.set()

    @property
    def records(self) -> list[Record]:
        return [record for batch in self.batches for record in batch.records]

    @property
    def lines(self) -> list[str]:
        return [getattr(record, "message", "") for record in self.records]

    async def until(self, count: int) -> None:
        async with asyncio.timeout(10):
            while len(self.records) < count:
                self.arrived.clear()
                await self.arrived.wait()


def section(tmp_path: Path, **settings: Any) -> Section:
    return Section.model_validate({"type": "file", "paths": [str(tmp_path / "*.log*")], "poll": 0.02, "idle_flush": 0.1, **settings})


@asynccontextmanager
async def following(tmp_path: Path, sink: Callable[[Batch], Awaitable[None]], places: Memory, **settings: Any) -> AsyncIterator[FileInput]:
    """An input that runs, and is stopped in good order."""
    stop = asyncio.Event()
    follow = make("logs", section(tmp_path, **settings), Reading(zone=ZoneInfo("UTC")))
    running = asyncio.create_task(follow.run(sink, places, stop))
    yield follow
    stop.set()
    async with asyncio.timeout(5):
        await running


def test_records_come_in_batches_with_their_place(tmp_path: Path) -> None:
    """At most 2000 records each, of one or many files; each record knows its file and offset."""
    log = tmp_path / "a.log"
    log.write_text("".join(f"line {number}\n" for number in range(4800)))
    (tmp_path / "b.log").write_text("other\n")

    async def run() -> None:
        sink = Sink()
        async with following(tmp_path, sink, Memory()):
            await sink.until(4801)
        assert max(len(batch.records) for batch in sink.batches) <= 2000
        assert len(sink.batches) <= 5
        source = next(record for record in sink.records if getattr(record, "message", "") == "line 1000").source
        assert source is not None and (source.file, source.offset) == (str(log), log.read_text().index("line 1000"))
        assert {batch.arrival.input for batch in sink.batches} == {"logs"}

    asyncio.run(run())


def test_who_takes_records_is_not_read_far_ahead_of(tmp_path: Path) -> None:
    """As long as some are settled, not many more than 10,000 records are unsettled. Where none are, nobody is held up: all that is there is read."""
    (tmp_path / "a.log").write_text("a line\n" * 40_000)

    async def run() -> None:
        slow, dead = Sink(settle=False), Sink(settle=False)
        most = 0
        async with following(tmp_path, slow, Memory()):
            async with asyncio.timeout(30):
                for number in range(20):
                    await slow.until(2000 * (number + 1))
                    await asyncio.sleep(0.04)
                    most = max(most, len(slow.batches) - number)
                    slow.batches[number].receipt.settle()
        assert most * 2000 <= 2 * AHEAD
        async with following(tmp_path, dead, Memory()):
            await dead.until(40_000)

    asyncio.run(run())


def test_a_position_moves_only_when_it_is_settled(tmp_path: Path) -> None:
    """What was handed over and not settled comes again after a restart; what was settled does not."""
    log = tmp_path / "a.log"
    log.write_text("one\n")

    async def run() -> None:
        places = Memory()
        first = Sink()
        async with following(tmp_path, first, places):
            await first.until(1)
            first.settle = False
            with log.open("a") as file:
                file.write("two\nthree\n")
            await first.until(3)
        second = Sink()
        async with following(tmp_path, second, places) as follow:
            await second.until(2)
            with log.open("a") as file:
                file.write("four\n")
            await second.until(3)
            assert [(entry["octets"], entry["waiting"]) for entry in follow.lag()] == [(0, 0)]
        assert second.lines == ["two", "three", "four"]
        for batch in first.batches[1:]:  # after the stop: lanes drain when inputs have ended
            batch.receipt.settle()

    asyncio.run(run())


def test_settled_after_the_stop_is_remembered(tmp_path: Path) -> None:
    """So that a clean stop makes no duplicates."""
    (tmp_path / "a.log").write_text("one\ntwo\n")

    async def run() -> None:
        places = Memory()
        sink = Sink(settle=False)
        async with following(tmp_path, sink, places):
            await sink.until(2)
        for batch in sink.batches:
            batch.receipt.settle()
        assert [entry["position"] for entry in places.load()["files"]] == [8]

    asyncio.run(run())


def test_an_output_that_waits_holds_the_input_back(tmp_path: Path) -> None:
    """No more is read than was asked for, however much there is."""
    (tmp_path / "a.log").write_text("".join(f"line {number}\n" for number in range(100_000)))

    async def run() -> None:
        gate = asyncio.Event()
        seen: list[int] = []

        async def deliver(batch: Batch) -> None:
            seen.append(len(batch.records))
            await gate.wait()

        stop = asyncio.Event()
        follow = make("logs", section(tmp_path), Reading())
        running = asyncio.create_task(follow.run(deliver, Memory(), stop))
        while not seen:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert len(seen) == 1
        stop.set()
        gate.set()
        await running
        assert sum(seen) < 60_000, "after the stop only what was read already"

    asyncio.run(run())


@pytest.mark.parametrize("stops", [1, 5])
def test_ids_are_those_of_one_run(tmp_path: Path, stops: int) -> None:
    """Identical lines are told apart by their count, also when the count began before a restart, or before a rotation."""
    log = tmp_path / "imap.log"
    lines = [SERVICE.format(second=number // 40) for number in range(400)]

    async def run(directory: Path, restarts: int) -> list[str]:
        places, ids = Memory(), []
        for number in range(restarts):
            part = lines[number * len(lines) // restarts : (number + 1) * len(lines) // restarts]
            with (directory / "imap.log").open("a") as file:
                file.write("".join(line + "\n" for line in part))
            sink = Sink()
            async with following(directory, sink, places):
                await sink.until(len(part))
            ids += [record.id for record in sink.records]
        return ids

    (tmp_path / "once").mkdir()
    (tmp_path / "often").mkdir()
    once = asyncio.run(run(tmp_path / "once", 1))
    often = asyncio.run(run(tmp_path / "often", stops))
    assert once == often
    assert len(set(once)) == 400
    assert not log.exists()


def test_the_date_of_a_debug_log_survives_a_restart(tmp_path: Path) -> None:
    """Its lines have a time of day only; midnight was seen before the stop."""
    log = tmp_path / "tcp_smtp_server.log-0DK"
    head = "23:59:58.10: Debug output enabled, system host.example.com, process 1.2, SMTP server version 8.0\n"

    async def run() -> None:
        places, sink = Memory(), Sink()
        log.write_text(head + "23:59:59.00: late\n00:00:01.00: early\n")
        async with following(tmp_path, sink, places):
            await sink.until(3)
        with log.open("a") as file:
            file.write("00:00:02.00: next\n")
        async with following(tmp_path, sink, places):
            await sink.until(4)
        days = [record.time[:10] for record in sink.records]
        assert days[0] < days[2] == days[3]

    asyncio.run(run())


def test_an_unfinished_line_says_so(tmp_path: Path) -> None:
    """The last line of a rotated file, whose end never came."""
    log = tmp_path / "a.log"
    log.write_text("a line that is long enough for its file to be known again by it, so to speak\ncut o")

    async def run() -> None:
        sink = Sink()
        async with following(tmp_path, sink, Memory()):
            await sink.until(1)
            log.rename(tmp_path / "a.log.1")
            log.write_text("new\n")
            await sink.until(3)
        by_line = {getattr(record, "message", ""): record.error for record in sink.records}
        assert by_line["cut o"] == UNFINISHED and not by_line["new"]

    asyncio.run(run())


def test_from_the_end(tmp_path: Path) -> None:
    """`from: end` passes over what is there at the first start, and remembers that it did; nothing is passed over at the second start."""
    log = tmp_path / "a.log"
    log.write_text("old\n")

    async def run() -> None:
        places, sink = Memory(), Sink()
        async with following(tmp_path, sink, places, **{"from": "end"}) as follow:
            while not follow.lag():
                await asyncio.sleep(0.01)
        with log.open("a") as file:
            file.write("new\n")
        (tmp_path / "b.log").write_text("other\n")
        async with following(tmp_path, sink, places, **{"from": "end"}):
            await sink.until(2)
        assert sorted(sink.lines) == ["new", "other"]

    asyncio.run(run())


def test_thousands_of_files(tmp_path: Path) -> None:
    """With few descriptors; each has its turn, and the loop is never held up for long."""
    for number in range(3000):
        (tmp_path / f"{number}.log").write_text(f"{number} a line of its own in {number}\n")

    async def run() -> None:
        sink, longest = Sink(), 0.0
        before = len(os.listdir("/proc/self/fd"))

        async def ticks() -> None:
            nonlocal longest
            while True:
                before = time.monotonic()
                await asyncio.sleep(0.001)
                longest = max(longest, time.monotonic() - before)

        ticking = asyncio.create_task(ticks())
        async with following(tmp_path, sink, Memory(), max_open=16, poll=0.5):
            await sink.until(3000)
            assert len(os.listdir("/proc/self/fd")) - before < 40
        ticking.cancel()
        assert len(set(sink.lines)) == 3000
        assert longest < 2, longest

    asyncio.run(run())


def test_archives_beside_their_logs(tmp_path: Path) -> None:
    """Compressed while it runs: nothing comes twice. A stop does not wait for an archive to be compared."""
    log = tmp_path / "a.log"
    lines = [f"{number} of a log that will be compressed" for number in range(5000)]

    async def run() -> None:
        places, sink = Memory(), Sink()
        log.write_text("".join(line + "\n" for line in lines))
        (tmp_path / "b.log.gz").write_bytes(gzip.compress(b"another one\n"))
        for name in (tmp_path / "b.log.gz", log):
            os.utime(name, (1e9, 1e9))
        async with following(tmp_path, sink, places):
            await sink.until(5001)
            (tmp_path / "a.log.1.gz").write_bytes(gzip.compress(log.read_bytes()))
            os.utime(tmp_path / "a.log.1.gz", (1e9, 1e9))
            log.rename(tmp_path / "gone")
            await asyncio.sleep(0.2)
        async with following(tmp_path, sink, places):
            await asyncio.sleep(0.2)
        assert sorted(sink.lines) == sorted(["another one", *lines])

    asyncio.run(run())


LINE = re.compile(r"seq=(\d{8}) crc=([0-9a-f]{8}) (x*)")


class Writer:
    """A server that writes numbered lines and has its log rotated, by a seed."""

    def __init__(self, directory: Path, seed: int) -> None:
        self.dice = random.Random(seed)
        self.directory = directory
        self.live = directory / "app.log"
        self.count = self.files = 0
        self.out = directory.parent / "out"
        self.file = self.live.open("ab", 0)

    def line(self) -> bytes:
        self.count += 1
        body = f"{self.count:08d} " + "x" * self.dice.choice([5, 40, 200, 900])
        number, pad = body.split(" ")
        return f"seq={number} crc={zlib.crc32(body.encode()):08x} {pad}\n".encode()

    def append(self, most: int = 100) -> None:
        for _ in range(self.dice.randint(1, most)):
            line = self.line()
            cut = self.dice.randrange(1, len(line)) if self.dice.random() < 0.05 else len(line)
            self.file.write(line[:cut])
            if line[cut:]:
                time.sleep(self.dice.uniform(0, 0.01))
                self.file.write(line[cut:])

    def reopen(self) -> None:
        self.file.close()
        self.file = self.live.open("ab", 0)

    def rename(self) -> None:
        self.files += 1
        self.live.rename(f"{self.live}.{self.files}")
        self.append(20)
        self.reopen()

    def copytruncate(self) -> None:
        self.files += 1
        shutil.copyfile(self.live, f"{self.live}.{self.files}")
        os.ftruncate(self.file.fileno(), 0)
        self.append(self.dice.choice([1, 5, 200]))

    def replace(self) -> None:
        if self.drain():
            if self.dice.random() < 0.5:
                self.live.unlink()
            else:
                other = self.directory / "other"
                other.write_bytes(b"".join(self.line() for _ in range(self.dice.choice([3, 600]))))
                other.rename(self.live)
            self.reopen()

    def symlink(self) -> None:
        if self.drain():
            self.files += 1
            data, link = self.directory / f"data-{self.files}", self.directory / "link"
            data.touch()
            link.symlink_to(data)
            link.rename(self.live)
            self.reopen()

    def seen(self) -> tuple[Counter[int], int]:
        """How often each number came out, and lines that are damaged."""
        came: Counter[int] = Counter()
        torn = 0
        for line in self.out.read_bytes().splitlines() if self.out.exists() else []:
            try:
                message = json.loads(line).get("message", "")
            except ValueError:
                continue  # it is being written
            found = LINE.fullmatch(message)
            if found and zlib.crc32(f"{found[1]} {found[3]}".encode()) == int(found[2], 16):
                came[int(found[1])] += 1
            else:
                torn += 1
        return came, torn

    def drain(self, seconds: float = 15) -> bool:
        """Waits until all that was written has come out."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if len(self.seen()[0]) == self.count:
                return True
            time.sleep(0.05)
        return False


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("profile", ["rename", "copytruncate", "replace", "symlink"])
def test_killed_while_rotating(tmp_path: Path, profile: str, number: signal.Signals) -> None:
    """Nothing lost, nothing torn; and nothing twice but what was delivered in the moment before a kill."""
    logs = tmp_path / "logs"
    logs.mkdir()
    writer = Writer(logs, seed=1)
    command = [sys.executable, str(Path(__file__).with_name("follow_files.py")), str(tmp_path / "state"), str(writer.out), "0.05"]

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen([*command, f"{logs}/app.log*"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    process = start()
    kills = 0
    try:
        for turn in range(27):
            writer.append()
            if writer.dice.random() < 0.3:
                getattr(writer, profile)()
            time.sleep(writer.dice.uniform(0, 0.04))
            if turn % 9 == 8:
                if number == signal.SIGTERM:  # before that nobody is there who could stop in good order
                    assert process.stdout and process.stdout.readline() == b"ready\n"
                process.send_signal(number)
                assert process.wait(20) == (0 if number == signal.SIGTERM else -number), process.communicate()
                process.communicate()
                kills += 1
                process = start()
        assert writer.drain(), f"{writer.count - len(writer.seen()[0])} of {writer.count} did not come out"
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=20)
        writer.file.close()
    came, torn = writer.seen()
    assert len(came) == writer.count and not torn
    repeated = sum(came.values()) - len(came)
    assert repeated <= (500 * kills if number == signal.SIGKILL else 0), f"{repeated} of {len(came)} came twice after {kills} kills"
    assert not errors, errors
