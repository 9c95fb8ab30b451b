"""Output jsonl: whole lines, on the disk when it says so, whatever happens to the file."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.batch import Arrival
from shipper.outputs.base import Unavailable
from shipper.outputs.jsonl import JsonLines, Section, rotated
from shipper.record import Mta, Text


def output(path: Path | str, now: Callable[[], float] = lambda: 1_700_000_000.0, **settings: Any) -> JsonLines:
    return JsonLines("out", Section(type="jsonl", path=str(path), **settings), now=now)


def send(out: JsonLines, *batches: list[bytes]) -> None:
    """One connection, and these batches over it."""

    async def run() -> None:
        async with out.sender() as sender:
            for batch in batches:
                await sender.send(batch)

    asyncio.run(run())


def test_records_become_lines_in_order(tmp_path: Path) -> None:
    """One payload for each record; the file has them as they are, with 0640."""
    out = output(tmp_path / "a.jsonl", profile="native")
    payloads = out.render([Mta(code="E", id="1"), Text(message="x\u2028y\n", id="2")], Arrival("in", 0))
    assert len(payloads) == 2
    send(out, payloads[:1], payloads[1:])
    lines = (tmp_path / "a.jsonl").read_bytes().splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["1", "2"]
    assert stat.S_IMODE((tmp_path / "a.jsonl").stat().st_mode) == 0o640


def test_a_file_has_one_writer(tmp_path: Path) -> None:
    """A second one, a replay beside the service, is told so and cuts nothing off; when the first has ended it may write."""

    async def run() -> None:
        path = tmp_path / "a.jsonl"
        async with output(path).sender() as first:
            await first.send([b"1\n"])
            with path.open("ab") as half:
                half.write(b"a line that is being wri")
            with pytest.raises(Unavailable, match="another process, or another output, is writing to it"):
                async with output(path).sender():
                    pass
            assert path.read_bytes() == b"1\na line that is being wri"
        async with output(path).sender() as second:
            await second.send([b"2\n"])
        assert path.read_bytes() == b"1\n2\n"

    asyncio.run(run())


@given(st.binary(max_size=300))
def test_half_a_line_is_cut_off_before_anything_is_written(left: bytes) -> None:
    """Whatever a crash left at the end of the file: whole lines stay, half a line goes, and what is sent is whole."""
    path = Path(os.environ.get("TMPDIR", "/tmp")) / f"shipper-half-{os.getpid()}.jsonl"
    path.write_bytes(left)
    try:
        send(output(path), [b"{}\n"])
        assert path.read_bytes() == left[: left.rfind(b"\n") + 1] + b"{}\n"
    finally:
        path.unlink()


def test_a_renamed_or_deleted_file_is_begun_anew(tmp_path: Path) -> None:
    """A rotation program renames it, with or without HUP, or someone deletes it: the next lines are in a new file of the name."""
    path = tmp_path / "a.jsonl"
    out = output(path)

    async def run() -> None:
        async with out.sender() as sender:
            await sender.send([b"1\n"])
            path.rename(tmp_path / "a.1")
            out.reopen()
            await sender.send([b"2\n"])
            path.rename(tmp_path / "a.2")
            await sender.send([b"3\n"])
            path.unlink()
            await sender.send([b"4\n"])

    asyncio.run(run())
    assert [(tmp_path / name).read_bytes() for name in ("a.1", "a.2", "a.jsonl")] == [b"1\n", b"2\n", b"4\n"]


def clock(start: float) -> Iterator[float]:
    while True:
        yield start
        start += 1


def test_rotation_by_size_loses_nothing_and_keeps_so_many(tmp_path: Path) -> None:
    """No file is larger than the limit, the newest stay, in order, also those of one second."""
    path = tmp_path / "a.jsonl"
    send(output(path, rotate_size=20, keep=3), *[[b"%08d\n" % number] for number in range(14)])
    files = [*rotated(path), path]
    assert len(files) == 4
    assert all(file.stat().st_size <= 20 for file in files)
    kept = b"".join(file.read_bytes() for file in files).split()
    assert kept == [b"%08d" % number for number in range(14)][-len(kept) :]


def test_rotation_by_age(tmp_path: Path) -> None:
    """A file older than the limit is done; time is told by the clock that was given."""
    path = tmp_path / "a.jsonl"
    ticks = clock(1_700_000_000)
    send(output(path, now=lambda: next(ticks), rotate_age=5), *[[b"%d\n" % number] for number in range(12)])
    assert len(rotated(path)) >= 2
    assert b"".join(file.read_bytes() for file in [*rotated(path), path]).split() == [b"%d" % number for number in range(12)]


def test_what_is_no_plain_file_is_refused(tmp_path: Path) -> None:
    """A directory, a symbolic link, a place that is not there: unavailable, in words, and nothing is written through a link."""
    (tmp_path / "target").write_bytes(b"")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    os.mkfifo(tmp_path / "pipe")
    for name, words in (("link", "symbolic link"), ("pipe", "not a plain file"), ("", "directory"), ("no/such", "no such file")):
        with pytest.raises(Unavailable, match=words):
            send(output(tmp_path / name if name else tmp_path), [b"x\n"])
    assert (tmp_path / "target").read_bytes() == b""


FULL = """
import asyncio, resource, signal, sys
from shipper.outputs.base import Unavailable
from shipper.outputs.jsonl import JsonLines, Section
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
async def run():
    async with JsonLines("o", Section(type="jsonl", path=sys.argv[1])).sender() as sender:
        taken = 0
        for number in range(10):
            try:
                await sender.send([b"%029d\\n" % number])
                taken += 1
            except Unavailable as reason:
                print(taken, reason)
                return
asyncio.run(run())
"""


def test_a_full_disk_takes_nothing_by_halves(tmp_path: Path) -> None:
    """A write that does not fit is undone: the file ends with the last whole batch, and the sender says why."""
    assert resource.getrlimit(resource.RLIMIT_FSIZE)
    path = tmp_path / "a.jsonl"
    done = subprocess.run([sys.executable, "-c", FULL, str(path)], capture_output=True, text=True, check=True)
    taken, reason = done.stdout.split(" ", 1)
    assert path.read_bytes() == b"".join(b"%029d\n" % number for number in range(int(taken)))
    assert taken == "3" and "file too large" in reason


def test_standard_output_whose_reader_has_gone(tmp_path: Path) -> None:
    """Nobody to deliver to is unavailable, not an end."""
    reader, writer = os.pipe()
    out = JsonLines("o", Section(type="jsonl", path="-"), out=writer)
    send(out, [b"1\n", b"2\n"])
    assert os.read(reader, 10) == b"1\n2\n"
    os.close(reader)
    with pytest.raises(Unavailable, match="standard output"):
        send(out, [b"3\n"])
    os.close(writer)
