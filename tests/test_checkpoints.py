"""Checkpoints: the state directory has one owner, and what was written last, or the copy before it, is always found again."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from shipper.checkpoints import Checkpoints, StateDirectory, encoded
from shipper.errors import Failure

HOLDER = "import sys, time; from pathlib import Path; from shipper.checkpoints import StateDirectory; \
state = StateDirectory(Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"

WRITER = """
import asyncio, sys
from pathlib import Path
from shipper.checkpoints import Checkpoints

async def run():
    checkpoints = Checkpoints(Path(sys.argv[1]))
    number = checkpoints.load("mail").get("number", 0)
    while True:
        number += 1
        checkpoints.save("mail", {"number": number})
        assert await checkpoints.finish()
        print(number, flush=True)

asyncio.run(run())
"""


def written(directory: Path, **inputs: dict[str, object]) -> None:
    async def write() -> None:
        checkpoints = Checkpoints(directory)
        for name, places in inputs.items():
            checkpoints.save(name, places)
        assert await checkpoints.finish()

    asyncio.run(write())


def test_what_was_saved_is_there_after_a_restart(tmp_path: Path) -> None:
    """Each input has its own; a file name that is no UTF-8 comes back as it was; a new input has nothing."""
    name = os.fsdecode(b"/var/log/caf\xe9")
    written(tmp_path, mail={name: 17})
    written(tmp_path, imap={"file": 3})
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.places("mail").load() == {name: 17}
    assert checkpoints.places("imap").load() == {"file": 3}
    assert checkpoints.places("other").load() == {}
    assert not checkpoints.places("other").lost
    assert (tmp_path / "checkpoints").stat().st_mode & 0o777 == 0o600


def test_any_flipped_bit_is_noticed_and_the_copy_before_is_taken(tmp_path: Path) -> None:
    """Damaged in whatever bit, it is set aside, and the service starts from the copy before the last."""
    written(tmp_path, mail={"at": 1})
    written(tmp_path, mail={"at": 2})
    current, previous = tmp_path / "checkpoints", tmp_path / "checkpoints.previous"
    good, before = current.read_bytes(), previous.read_bytes()
    for bit in range(len(good) * 8):
        damaged = bytearray(good)
        damaged[bit // 8] ^= 1 << bit % 8
        current.write_bytes(damaged)
        assert Checkpoints(tmp_path).load("mail") == {"at": 1}
        (aside,) = tmp_path.glob("checkpoints.corrupt-*")
        assert aside.read_bytes() == damaged
        aside.unlink()
        assert previous.read_bytes() == before


@pytest.mark.parametrize("fill", [b"", b"\0"], ids=["cut", "zeroes"])
def test_a_torn_file_never_keeps_the_service_from_starting(tmp_path: Path, fill: bytes) -> None:
    """Cut at every length, or zeroes from there on, and without a previous copy: every input starts anew, and knows that it was not new."""
    good = encoded(b'{"number":2,"inputs":{"mail":{"at":2}}}')
    for length in range(len(good)):
        (tmp_path / "checkpoints").write_bytes(good[:length] + fill * (len(good) - length))
        checkpoints = Checkpoints(tmp_path)
        assert checkpoints.load("mail") == {}
        assert checkpoints.places("mail").lost


def test_a_newer_format_is_refused_and_left_alone(tmp_path: Path) -> None:
    """A downgrade says so, and the newer release finds its file as it left it."""
    newer = encoded(b'{"somehow":"else"}', version=2)
    (tmp_path / "checkpoints").write_bytes(newer)
    with pytest.raises(Failure) as raised:
        Checkpoints(tmp_path)
    assert raised.value.number == "R502"
    assert raised.value.exit == 78
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoints"]
    assert (tmp_path / "checkpoints").read_bytes() == newer


def test_a_full_disk_is_waited_for(tmp_path: Path) -> None:
    """A write that fails is a state that is shown, and is made up for when it can be written again."""

    async def run() -> None:
        checkpoints = Checkpoints(tmp_path)
        obstacle = tmp_path / "checkpoints.new"
        obstacle.mkdir()
        checkpoints.save("mail", {"at": 5})
        assert not await checkpoints.finish()
        assert checkpoints.problem == "is a directory"
        obstacle.rmdir()
        assert await checkpoints.finish()
        assert checkpoints.problem == ""

    asyncio.run(run())
    assert Checkpoints(tmp_path).load("mail") == {"at": 5}


def test_a_kill_at_any_moment_leaves_what_was_written_last(tmp_path: Path) -> None:
    """A writer is killed again and again: what it said to be written is found, nothing is set aside."""
    last = 0
    for round in range(8):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE) as writer:
            assert writer.stdout
            told = [writer.stdout.readline() for _ in range(20 + round)]
            writer.send_signal(signal.SIGKILL)
            told += writer.stdout.readlines()
        at = Checkpoints(tmp_path).load("mail")["number"]
        assert at in (int(told[-1]), int(told[-1]) + 1)
        assert at > last
        last = at
    assert not list(tmp_path.glob("*corrupt*"))


STREAM = """
import asyncio, sys
from pathlib import Path
from shipper import checkpoints as module

module.EVERY = 3600  # what is durable is that of the first moment

async def run():
    checkpoints = module.Checkpoints(Path(sys.argv[1]))
    asyncio.create_task(checkpoints.run())
    number = checkpoints.load("mail").get("number", 0)
    while not checkpoints.written:
        checkpoints.save("mail", {"number": number + 1})
        await asyncio.sleep(0.01)
    for number in range(number + 2, number + 32):
        checkpoints.save("mail", {"number": number})
        print(number, flush=True)
        await asyncio.sleep(0.02)
    await asyncio.sleep(3600)

asyncio.run(run())
"""


def test_what_was_saved_milliseconds_before_a_kill_is_there(tmp_path: Path) -> None:
    """Durable once a second, but written with each change, and soon: a kill costs what was saved in the last moment, a power cut more."""
    for _ in range(4):
        with subprocess.Popen([sys.executable, "-c", STREAM, str(tmp_path)], stdout=subprocess.PIPE) as writer:
            assert writer.stdout
            told = [int(writer.stdout.readline()) for _ in range(30)]
            last = time.monotonic() + 10
            recent = tmp_path / "checkpoints.recent"
            while not recent.exists() or b'{"number":%d}' % told[-1] not in recent.read_bytes():
                assert time.monotonic() < last
                time.sleep(0.01)
            writer.send_signal(signal.SIGKILL)
        assert Checkpoints(tmp_path).load("mail")["number"] == told[-1]
    (tmp_path / "checkpoints.recent").write_bytes(b"")
    assert Checkpoints(tmp_path).load("mail")["number"] == told[0] - 1
    assert not list(tmp_path.glob("*corrupt*"))


def test_a_second_service_gives_up_at_once_and_a_killed_one_blocks_nobody(tmp_path: Path) -> None:
    """The second says who holds the directory, soon; when that one is killed the next starts at once."""
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout and holder.stdout.readline() == b"held\n"
        begin = time.monotonic()
        with pytest.raises(Failure) as raised:
            StateDirectory(tmp_path)
        assert time.monotonic() - begin < 10
        assert raised.value.number == "R501"
        assert f"process {holder.pid}" in raised.value.message
        holder.kill()
        StateDirectory(tmp_path).close()
    assert tmp_path.stat().st_mode & 0o777 == 0o700
