"""The spool: what it has taken comes out again, in order, once; damage costs what is damaged; a blocked disk costs nothing."""

from __future__ import annotations

import errno
import itertools
import os
import random
import resource
import shutil
import signal
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any
from zlib import crc32

import msgpack  # type: ignore[import-untyped]
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, precondition, rule

from shipper.segment import Frame
from shipper.spool import Disk, Spool, SpoolBlocked

Frames = list[tuple[list[bytes], int]]


class Unsynced(Disk):
    """A disk that is quick: nothing is switched off in these tests, processes are killed at most."""

    def sync(self, descriptor: int) -> None:
        pass


def opened(directory: Path, disk: Disk | None = None, **options: Any) -> Spool:
    """A spool whose damage is dated."""
    return Spool(directory, now=lambda: 1_700_000_000.0, disk=disk or Unsynced(), **options)


def numbered(start: int, *sizes: int) -> Frames:
    """Frames of so many payloads each, that name themselves; their arrival is the number of the first."""
    count = itertools.count(start)
    return [([b"payload %d" % next(count) for _ in range(size)], start) for size in sizes]


def all_of(spool: Spool) -> list[bytes]:
    """Reads to the end, and acknowledges nothing."""
    frames = iter(spool.read, None)
    return [payload for frame in frames if frame for payload in frame.payloads]


def wanted(start: int, end: int) -> list[bytes]:
    return [b"payload %d" % number for number in range(start, end)]


def segments(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.spool"))


def test_what_was_put_comes_out_in_order(tmp_path: Path) -> None:
    """Payloads with the arrival of their frame, over several segments."""
    spool = opened(tmp_path, segment_octets=100)
    for start in range(0, 40, 4):
        spool.append(numbered(start, 1, 3))
    assert len(segments(tmp_path)) > 3
    frames = [frame for frame in iter(spool.read, None) if frame]
    assert [payload for frame in frames for payload in frame.payloads] == wanted(0, 40)
    assert frames[2] == Frame(4, 4, (b"payload 4",))
    spool.close()


def test_a_clean_stop_goes_on_exactly(tmp_path: Path) -> None:
    """Closed and opened: the first payload is the first that was not acknowledged, also in the middle of a frame."""
    for acknowledged in range(13):
        directory = tmp_path / str(acknowledged)
        spool = opened(directory, segment_octets=60)
        spool.append(numbered(0, 5))
        spool.append(numbered(5, 7))
        all_of(spool)
        spool.acknowledge(acknowledged)
        spool.close()
        again = opened(directory)
        assert again.waiting == 12 - acknowledged
        assert all_of(again) == wanted(acknowledged, 12)
        assert (again.lost, again.damaged, again.torn) == (0, 0, 0)
        again.close()


def test_a_segment_goes_when_the_position_is_behind_it(tmp_path: Path) -> None:
    """Unlinked as a whole, never before; a spool that is empty has at most the segment it writes to."""
    spool = opened(tmp_path, segment_octets=1)
    for start in range(5):
        spool.append(numbered(start, 1))
    all_of(spool)
    for number, left in ((0, 5), (1, 4), (3, 2), (5, 1)):
        spool.acknowledge(number)
        spool.trim()
        assert len(segments(tmp_path)) == left
    spool.close()
    assert segments(tmp_path) == []


def test_the_bound_holds_and_room_comes_back(tmp_path: Path) -> None:
    """No more octets than allowed, whatever is put; what was refused is not in it; acknowledged payloads make room."""
    spool = opened(tmp_path, octets=2000)
    put = taken = 0
    refusals = 0
    for _ in range(200):
        try:
            spool.append(numbered(put, 3))
            put += 3
        except SpoolBlocked as blocked:
            assert blocked.full and "full size" in blocked.reason
            refusals += 1
            while frame := spool.read():
                assert list(frame.payloads) == wanted(taken, taken + len(frame.payloads))
                taken += len(frame.payloads)
            spool.acknowledge(taken)
        assert sum(path.stat().st_size for path in segments(tmp_path)) == spool.size <= 2000
    assert refusals > 2
    spool.close()


def test_one_that_is_larger_than_the_spool_is_taken_alone(tmp_path: Path) -> None:
    """Nothing can wait for ever for room that never comes."""
    spool = opened(tmp_path, octets=1000)
    spool.append([([b"x" * 5000], 1)])
    with pytest.raises(SpoolBlocked):
        spool.append([([b"y"], 1)])
    assert all_of(spool) == [b"x" * 5000]
    spool.acknowledge(1)
    spool.append([([b"y"], 1)])
    assert all_of(spool) == [b"y"]
    spool.close()


def test_it_leaves_free_space_to_others(tmp_path: Path) -> None:
    """Below `keep_free` nothing is written."""

    class Nearly(Unsynced):
        def free(self, directory: Path) -> int:
            return 1000

    spool = opened(tmp_path, keep_free=900, disk=Nearly())
    spool.append(numbered(0, 1))
    with pytest.raises(SpoolBlocked, match="free on the disk") as blocked:
        spool.append([([b"x" * 200], 1)])
    assert blocked.value.full
    spool.close()


# Damage


def small(directory: Path) -> list[tuple[int, int]]:
    """Two segments of a few frames: behind each frame, the number of payloads and the octets of its segment."""
    spool = opened(directory, segment_octets=300)
    ends = []
    for size in (2, 1, 3, 2, 1, 2):
        spool.append(numbered(spool.end, size))
        ends.append((spool.end, segments(directory)[-1].stat().st_size))
    spool.close()
    assert len(segments(directory)) == 2
    return ends


def copied(source: Path, target: Path) -> Path:
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
    return target


def test_any_one_bit_costs_one_payload_at_most(tmp_path: Path) -> None:
    """Every bit of every segment, one at a time: all payloads are delivered, in order, but the one that it is in; that is counted, and its octets
    are kept."""
    ends = small(tmp_path / "whole")
    total = ends[-1][0]
    costly = 0
    for name in [path.name for path in segments(tmp_path / "whole")]:
        octets = (tmp_path / "whole" / name).read_bytes()
        for bit in range(len(octets) * 8):
            work = copied(tmp_path / "whole", tmp_path / "work") if bit == 0 else tmp_path / "work"
            for left in work.glob("*corrupt*"):
                left.unlink()
            for path in segments(tmp_path / "whole"):
                (work / path.name).write_bytes(path.read_bytes())
            (work / "position").unlink(missing_ok=True)
            shutil.copy(tmp_path / "whole" / "end", work / "end")
            flipped = bytearray(octets)
            flipped[bit // 8] ^= 1 << bit % 8
            (work / name).write_bytes(flipped)
            spool = opened(work)
            got = all_of(spool)
            missing = [payload for payload in wanted(0, total) if payload not in got]
            assert got == [payload for payload in wanted(0, total) if payload not in missing], bit
            assert len(missing) <= 1, bit
            assert spool.damaged == spool.lost == len(missing)
            kept = [path.read_bytes() for path in work.glob("*.corrupt-20231114T221320Z")]
            assert len(kept) == len(missing) and all(len(octets) <= len(b"payload 10") and octets in flipped for octets in kept)
            assert spool.position == (0 if got[0] == b"payload 0" else 1)
            costly += len(missing)
            spool.append([([b"and on"], 1)])
            assert all_of(spool) == [b"and on"]
            spool.acknowledge(spool.end)
            spool.close()
            for path in segments(work):
                path.unlink()
    assert costly == 8 * len(b"".join(wanted(0, total)))


def test_cut_anywhere_keeps_all_whole_frames(tmp_path: Path) -> None:
    """The last segment, truncated at every length: what is whole is delivered, half a frame is cut off and counted, and what is put then comes
    after it. The same with the rest as zeros, as a power cut leaves it."""
    ends = small(tmp_path / "whole")
    for name in ("position", "end"):
        (tmp_path / "whole" / name).unlink()
    first, last = segments(tmp_path / "whole")
    octets = last.read_bytes()
    in_first = next(end for end, size in ends if size == first.stat().st_size)
    for length, filler in itertools.product(range(len(octets) + 1), (b"", b"\0")):
        work = copied(tmp_path / "whole", tmp_path / "work")
        (work / last.name).write_bytes(octets[:length] + filler * (len(octets) - length))
        spool = opened(work)
        got = all_of(spool)
        whole = max([in_first, *(end for end, size in ends if end > in_first and size <= length)])
        assert got[:whole] == wanted(0, whole) and (filler or len(got) == whole)
        assert got == wanted(0, len(got)), "of a frame whose end is zeros, what is good"
        at_border = length in (0, *(size for _, size in ends))
        if filler:
            assert spool.torn <= 1 and spool.damaged <= 1, "a header that is whole, and nothing behind it"
            assert spool.torn + spool.damaged > 0 or len(got) == ends[-1][0]
        else:
            assert (spool.torn, spool.damaged, spool.lost) == (0 if at_border else 1, 0, 0)
        spool.append([([b"and on"], 1)])
        assert all_of(spool) == [b"and on"]
        spool.close()
        again = opened(work)
        assert all_of(again) == [*got, b"and on"]
        again.close()


def test_what_was_durable_and_is_cut_off_is_lost(tmp_path: Path) -> None:
    """The last segment, truncated at every length by somebody else than us: what is whole is delivered, also of the frame that is cut; the rest
    is counted as lost, and what is put then has numbers behind it."""
    ends = small(tmp_path / "whole")
    total = ends[-1][0]
    first, last = segments(tmp_path / "whole")
    octets = last.read_bytes()
    in_first = next(end for end, size in ends if size == first.stat().st_size)
    seen = set()
    for length in range(len(octets) + 1):
        work = copied(tmp_path / "whole", tmp_path / "work")
        (work / last.name).write_bytes(octets[:length])
        spool = opened(work)
        assert spool.waiting == total
        got = all_of(spool)
        assert got == wanted(0, max([in_first, *(number + 1 for number in range(total) if b"payload %d" % number in octets[:length])]))
        assert (spool.lost, spool.torn, spool.end) == (total - len(got), 0, total)
        seen.add(len(got))
        spool.append([([b"and on"], 1)])
        assert all_of(spool) == [b"and on"]
        spool.close()
    assert seen == set(range(in_first, total + 1))


def test_segments_that_are_all_gone_are_counted(tmp_path: Path) -> None:
    """Deleted by hand: what was not delivered is lost, and nothing else; a spool that was emptied in order has lost nothing, without its position
    either."""
    spool = opened(tmp_path)
    spool.append(numbered(0, 5))
    all_of(spool)
    spool.acknowledge(2)
    spool.close()
    for path in segments(tmp_path):
        path.unlink()
    again = opened(tmp_path)
    assert all_of(again) == [] and again.lost == 3 and again.waiting == 0
    again.append(numbered(5, 1))
    all_of(again)
    again.acknowledge(6)
    again.close()
    assert segments(tmp_path) == []
    (tmp_path / "position").unlink()
    empty = opened(tmp_path)
    assert all_of(empty) == [] and empty.lost == 0
    empty.append(numbered(6, 1))
    assert all_of(empty) == wanted(6, 7)
    empty.close()


def test_a_damaged_payload_costs_itself_in_a_full_frame(tmp_path: Path) -> None:
    """One bad octet among 500 records, and a block of zeros: all others come, in order, in pieces whose numbers fit."""
    payloads = [b"%03d" % number + bytes([65 + number % 26]) * 200 for number in range(500)]
    spool = opened(tmp_path)
    spool.append([(payloads, 7), ([b"next"], 8)])
    path = segments(tmp_path)[0]
    octets = bytearray(path.read_bytes())
    octets[octets.index(payloads[250]) + 100] ^= 0x20
    begin = octets.index(payloads[400]) + 10
    octets[begin : begin + 500] = bytes(500)
    path.write_bytes(octets)
    again = opened(tmp_path)
    frames = [frame for frame in iter(again.read, None) if frame]
    assert [frame.first for frame in frames] == [0, 251, 403, 500]
    assert [payload for frame in frames for payload in frame.payloads] == [*payloads[:250], *payloads[251:400], *payloads[403:], b"next"]
    assert {frame.observed for frame in frames[:3]} == {7}
    assert (again.lost, again.damaged) == (4, 2)
    again.acknowledge(260)
    assert again.waiting == 501 - 260 - 3
    again.close()
    spool.close()


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=8),
    damage=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.sampled_from(["flip", "zeros", "cut out", "doubled"])), max_size=5),
)
def test_whatever_is_damaged_the_rest_comes_in_order(tmp_path: Path, sizes: list[int], damage: list[tuple[float, str]]) -> None:
    """Bits, blocks, pieces that are missing or stand there twice: what comes out is what was put, in order, once; all that is missing is counted,
    and what is put then comes behind it."""
    directory = tmp_path / os.urandom(8).hex()
    spool = opened(directory, segment_octets=700)
    for size in sizes:
        spool.append(numbered(spool.end, size))
    total = spool.end
    spool.close()
    for where, how in damage:
        path = segments(directory)[int(where * 1000) % len(segments(directory))]
        octets = bytearray(path.read_bytes())
        at = int(where * len(octets))
        piece = octets[at : at + 40]
        octets[at : at + 40] = {
            "flip": bytes([*piece[:1]]).translate(bytes(range(255, -1, -1))) + piece[1:],
            "zeros": bytes(len(piece)),
            "cut out": b"",
            "doubled": piece * 2,
        }[how]
        path.write_bytes(octets)
    again = opened(directory)
    got = all_of(again)
    assert got == [payload for payload in wanted(0, total) if payload in set(got)]
    assert len(got) + again.lost == again.end >= total
    again.append(numbered(again.end, 2))
    assert all_of(again) == wanted(again.end - 2, again.end)
    again.acknowledge(again.end)
    assert again.waiting == 0
    again.close()


def old_frame(first: int, payloads: list[bytes], observed: int, seed: int) -> bytes:
    """A frame as 0.1 wrote it."""
    body = msgpack.packb((observed, payloads))
    header = struct.pack(">4sQIII", b"\xf5SP\x01", first, len(payloads), len(body), crc32(body, seed))
    return header + crc32(header, seed).to_bytes(4, "big") + body


def test_segments_of_0_1_are_read(tmp_path: Path) -> None:
    """With frames that have one checksum: a damaged one costs the frame, a torn one is cut off, and new frames come behind."""
    octets = b"".join(old_frame(number, wanted(number, number + 3), 5, 0xABCD) for number in range(0, 9, 3))
    path = tmp_path / f"0000000001-{0:020}-0000abcd.spool"
    path.write_bytes(octets + old_frame(9, wanted(9, 12), 5, 0xABCD)[:40])
    spool = opened(tmp_path)
    spool.append(numbered(9, 2))
    assert all_of(spool) == wanted(0, 11)
    assert (spool.torn, spool.lost) == (1, 0)
    spool.close()
    for bit in range(len(octets) * 8):
        flipped = bytearray(octets)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        again = opened(tmp_path)
        got = all_of(again)
        assert (len(got), again.lost, again.damaged) == (8, 3, 1)
        again._close_reading()
        (tmp_path / "position").unlink()


def test_a_segment_that_is_gone_is_counted(tmp_path: Path) -> None:
    """Deleted by hand between two others: the rest goes on, and the ledger knows how many are missing."""
    spool = opened(tmp_path, segment_octets=1)
    for start in range(0, 9, 3):
        spool.append(numbered(start, 3))
    segments(tmp_path)[1].unlink()
    spool.close()
    again = opened(tmp_path)
    assert all_of(again) == [*wanted(0, 3), *wanted(6, 9)]
    assert again.lost == 3
    again.acknowledge(3)
    assert (again.position, again.waiting) == (6, 3)
    again.close()


@pytest.mark.parametrize("content", [b"", b"\0" * 1024, b"\xff" * 4096, b"99999999999999999999 00000000\n", b"x" * 40])
def test_a_lost_position_means_from_the_beginning(tmp_path: Path, content: bytes) -> None:
    """Never a silent jump to the end."""
    spool = opened(tmp_path)
    spool.append(numbered(0, 4))
    all_of(spool)
    spool.acknowledge(2)
    spool.close()
    (tmp_path / "position").write_bytes(content)
    again = opened(tmp_path)
    assert all_of(again) == wanted(0, 4)
    again.close()


def test_any_bit_of_the_position_costs_repetition_only(tmp_path: Path) -> None:
    """A flipped bit: from the position before, or from the beginning; nothing is passed over."""
    spool = opened(tmp_path / "whole")
    spool.append(numbered(0, 4))
    all_of(spool)
    spool.acknowledge(1)
    spool.acknowledge(3)
    spool.close()
    octets = (tmp_path / "whole" / "position").read_bytes()
    seen = set()
    for bit in (*range(30 * 8), *range(512 * 8, 542 * 8)):
        flipped = bytearray(octets)
        flipped[bit // 8] ^= 1 << bit % 8
        work = copied(tmp_path / "whole", tmp_path / "work") if bit == 0 else tmp_path / "work"
        (work / "position").write_bytes(flipped)
        again = opened(work)
        seen.add(again.position)
        again._close_reading()
    assert seen == {1, 3}


def test_a_line_that_looks_like_a_frame_is_none(tmp_path: Path) -> None:
    """A payload that holds a whole frame of another spool is not delivered as one when the frame around it is damaged."""
    other = opened(tmp_path / "other")
    other.append([([b"forged"], 1)])
    frame = segments(tmp_path / "other")[0].read_bytes()
    spool = opened(tmp_path / "spool")
    spool.append([([b"harmless", frame], 1)])
    spool.append([([b"next"], 1)])
    path = segments(tmp_path / "spool")[0]
    octets = bytearray(path.read_bytes())
    octets[5] ^= 1
    octets[octets.index(b"\xf5SP\x03", octets.index(frame) + len(frame)) + 5] ^= 1
    path.write_bytes(octets)
    again = opened(tmp_path / "spool")
    assert all_of(again) == [b"next"]
    assert again.lost == 2


def test_of_two_segments_with_the_same_numbers_the_later_holds(tmp_path: Path) -> None:
    """A failed append that could not even be cut off stays behind the end of its segment: what was written again is read, once."""
    spool = opened(tmp_path / "spool")
    spool.append(numbered(0, 2, 2))
    copied(tmp_path / "spool", tmp_path / "again")
    spool.append([([b"never confirmed"] * 3, 0)])
    again = opened(tmp_path / "again")
    again.append(numbered(4, 3))
    first, _ = segments(tmp_path / "again")
    octets = bytearray(segments(tmp_path / "spool")[0].read_bytes())
    first.write_bytes(octets)
    later = opened(tmp_path / "again")
    assert all_of(later) == wanted(0, 7)
    assert (later.lost, later.damaged) == (0, 0)
    octets[octets.index(b"payload 3")] ^= 1
    first.write_bytes(octets)
    damaged = opened(tmp_path / "again")
    assert all_of(damaged) == [*wanted(0, 3), *wanted(4, 7)]
    assert (damaged.lost, damaged.damaged) == (1, 1)


def test_strange_files_are_left_alone(tmp_path: Path) -> None:
    """Whatever lies in the directory, the spool opens and works, and deletes nothing that is not its own."""
    strange = ["0000000001-x.spool", "note.txt", ".hidden", "0000000007-00000000000000000000-00000000.spool.bak"]
    for name in strange:
        (tmp_path / name).write_bytes(b"?")
    (tmp_path / "0000000009-00000000000000000003-00000000.spool").mkdir()
    (tmp_path / "0000000002-00000000000000000003-00000000.spool").write_bytes(os.urandom(5000))
    spool = opened(tmp_path)
    assert all_of(spool) == []
    spool.append(numbered(0, 2))
    assert all_of(spool) == wanted(0, 2)
    spool.acknowledge(spool.end)
    spool.close()
    assert set(strange) <= {path.name for path in tmp_path.iterdir()}


# A disk that fails


class Faulty(Disk):
    """Fails at the calls it is told to: `faults` has an error number, or None, for each write or sync to come."""

    def __init__(self) -> None:
        self.faults: list[int | None] = []

    def _next(self) -> None:
        if self.faults and (number := self.faults.pop(0)):
            raise OSError(number, os.strerror(number))

    def write(self, descriptor: int, octets: memoryview) -> int:
        try:
            self._next()
        except OSError:
            os.write(descriptor, octets[: len(octets) // 2])  # a write that fails in the middle
            raise
        return os.write(descriptor, octets[: max(1, len(octets) // 2)])

    def sync(self, descriptor: int) -> None:
        self._next()


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(faults=st.lists(st.sampled_from([None, None, None, errno.ENOSPC, errno.EIO]), max_size=60), data=st.data())
def test_after_a_failed_write_the_same_is_written_again(tmp_path: Path, faults: list[int | None], data: st.DataObject) -> None:
    """ENOSPC and EIO at any write or fsync, half written: an append that failed is tried again, and every payload comes out once, in order,
    also from a spool that was opened anew."""
    directory = tmp_path / os.urandom(8).hex()
    disk = Faulty()
    disk.faults = list(faults)
    spool = opened(directory, disk=disk, segment_octets=data.draw(st.sampled_from([1, 300, 10_000])))
    got: list[bytes] = []
    for start in range(0, 24, 4):
        while True:
            try:
                spool.append(numbered(start, 1, 3))
                break
            except SpoolBlocked as blocked:
                assert blocked.full is (os.strerror(errno.ENOSPC).lower() in blocked.reason)
        if data.draw(st.booleans()):
            got += all_of(spool)
    assert got + all_of(spool) == wanted(0, 24)
    assert (spool.lost, spool.damaged) == (0, 0)
    disk.faults = []
    again = opened(copied(directory, tmp_path / "copy"))  # as after a crash
    assert all_of(again) == wanted(0, 24)
    assert again.lost == 0
    spool.close()


def test_what_cannot_be_opened_now_is_not_lost(tmp_path: Path) -> None:
    """Too many open files: told, and all is read when there are fewer; the same on opening."""
    spool = opened(tmp_path, segment_octets=1)
    for start in range(3):
        spool.append(numbered(start, 1))
    assert spool.read() is not None
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
    try:
        for _ in range(3):
            with pytest.raises(OSError):
                spool.read()
        with pytest.raises(OSError):
            opened(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert all_of(spool) == wanted(1, 3)
    assert spool.lost == 0
    spool.close()


def test_a_bad_block_costs_what_is_in_it(tmp_path: Path) -> None:
    """The disk does not give one block, ever: ten tries, and then what is behind it; what it gives again after three tries costs nothing."""

    class BadBlock(Unsynced):
        left = 3

        def read(self, descriptor: int, octets: int, offset: int) -> bytes:
            if self.left and offset < 24_000 and offset + octets > 20_000:
                self.left -= 1
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return super().read(descriptor, octets, offset)

    disk = BadBlock()
    spool = opened(tmp_path, disk=disk)
    for number in range(40):
        spool.append([([b"%04d" % number + b"x" * 1000], 0)])

    def patiently() -> list[int]:
        got: list[int] = []
        for _ in range(500):
            try:
                if (frame := spool.read()) is None:
                    return got
                got.append(int(frame.payloads[0][:4]))
            except OSError:
                pass
        raise AssertionError("it never ends")

    assert patiently() == list(range(40)) and spool.lost == 0
    spool.close()
    disk.left = 0
    spool = opened(tmp_path)
    assert spool.waiting == 40
    spool = opened(tmp_path, disk=disk)
    disk.left = 10**9
    got = patiently()
    assert got[:15] == list(range(15)) and got[-10:] == list(range(30, 40))
    assert 4 <= spool.lost == 40 - len(got) <= 10
    spool.close()


class Machine(RuleBasedStateMachine):
    """Put, read, acknowledge, fail, crash and stop in any order, against a list."""

    taken: Bundle[int] = Bundle("taken")

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(os.environ["SPOOL_TEST_DIRECTORY"]) / os.urandom(8).hex()
        self.disk = Faulty()
        self.count = 0
        self.read_to = 0
        self.position = 0
        self.open()

    def open(self) -> None:
        self.spool = opened(self.directory, disk=self.disk, octets=4000, segment_octets=400)

    @rule(sizes=st.lists(st.integers(1, 5), min_size=1, max_size=3), fault=st.sampled_from([0, 0, 0, errno.EIO, errno.ENOSPC]))
    def append(self, sizes: list[int], fault: int) -> None:
        self.disk.faults = [None, fault] if fault else []
        try:
            self.spool.append(numbered(self.count, *sizes))
            self.count += sum(sizes)
        except SpoolBlocked:
            pass
        self.disk.faults = []

    @rule()
    def read(self) -> None:
        frame = self.spool.read()
        if frame is None:
            assert self.read_to == self.count
        else:
            assert list(frame.payloads) == wanted(self.read_to, self.read_to + len(frame.payloads))
            self.read_to += len(frame.payloads)

    @rule(part=st.floats(0, 1))
    def acknowledge(self, part: float) -> None:
        self.position += int((self.read_to - self.position) * part)
        self.spool.acknowledge(self.position)

    @precondition(lambda self: self.spool.trimmable)
    @rule()
    def trim(self) -> None:
        self.spool.trim()

    @rule(clean=st.booleans())
    def restart(self, clean: bool) -> None:
        if clean:
            self.spool.close()
        self.open()
        self.read_to = self.position

    @invariant()
    def nothing_is_lost(self) -> None:
        assert self.spool.waiting == self.count - self.position
        assert (self.spool.lost, self.spool.damaged) == (0, 0)

    def teardown(self) -> None:
        assert all_of(self.spool) == wanted(self.read_to, self.count)
        self.spool.close()


def test_any_order_of_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever happens, every payload that was taken is read once a run, in order, from the acknowledged position on."""
    monkeypatch.setenv("SPOOL_TEST_DIRECTORY", str(tmp_path))
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(Machine, settings=settings(deadline=None, max_examples=60, stateful_step_count=40))


# A process that is killed

WRITER = """
import sys, threading
from pathlib import Path
from shipper.spool import Spool
spool = Spool(Path(sys.argv[1]), segment_octets=20_000)
number = int(sys.argv[2])
out = sys.stdout
lock = threading.Lock()
def say(line):
    with lock:
        out.write(line + "\\n"); out.flush()
say(f"start {spool.position}")
def write():
    global number
    while True:
        group = [([b"%d " % (number + part * 10 + each) + b"x" * 80 for each in range(10)], 1) for part in range(3)]
        spool.append(group)
        number += 30
        say(f"put {number}")
        if spool.trimmable:
            spool.trim()
threading.Thread(target=write, daemon=True).start()
while True:
    frame = spool.read()
    if frame is None:
        continue
    say("got " + " ".join(payload.split()[0].decode() for payload in frame.payloads))
    spool.acknowledge(frame.first + len(frame.payloads))
"""


def test_kill_9_loses_nothing(tmp_path: Path) -> None:
    """A process that writes and reads is killed ten times: whatever append had returned from is delivered. What comes twice is, for each kill, at
    most the frame that was not yet acknowledged, and the group that was durable before its writer heard of it and was put again."""
    chance = random.Random(1)
    written = 0
    delivered: list[int] = []
    for _ in range(10):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), str(written)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        limit = chance.randint(2, 150)
        for lines, line in enumerate(process.stdout):
            word, *rest = line.split()
            if word == "put":
                written = int(rest[0])
            elif word == "got":
                delivered += [int(number) for number in rest]
            if lines >= limit:
                break
        process.send_signal(signal.SIGKILL)
        for line in process.stdout:
            word, *rest = line.split()
            if not line.endswith("\n"):
                break
            if word == "put":
                written = int(rest[0])
            elif word == "got":
                delivered += [int(number) for number in rest]
        process.stdout.close()
        process.wait()
    spool = opened(tmp_path)
    delivered += [int(payload.split()[0]) for payload in all_of(spool)]
    assert (spool.lost, spool.damaged) == (0, 0)
    assert set(range(written)) <= set(delivered)
    assert len(delivered) - len(set(delivered)) <= 10 * (10 + 30)
    spool.close()


def test_files_are_private(tmp_path: Path) -> None:
    """Mail addresses are in it: directory 0700, files 0600."""
    spool = opened(tmp_path / "spool")
    spool.append(numbered(0, 1))
    spool.acknowledge(0)
    assert (tmp_path / "spool").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "spool").iterdir()} == {0o600}
    spool.close()
