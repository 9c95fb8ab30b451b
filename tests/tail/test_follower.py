"""Every line once, through every way in which a log can be rotated: what the follower decides, with real files and a clock moved by hand."""

from __future__ import annotations

import bz2
import errno
import gzip
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from shipper.tail.follower import HELD, MISSING, SLICE
from tests.tail.follow import Desk


def numbered(first: int, count: int, size: int = 60) -> list[str]:
    """Lines that differ from the first octet on."""
    return [f"{number:06d} " + "x" * size for number in range(first, first + count)]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.follower.close()


def test_lines_are_read_as_they_come(desk: Desk) -> None:
    """Also of a file that was empty, and with a last line that comes in two pieces."""
    desk.path().touch()
    assert desk.poll() == []
    desk.write("one", "two")
    assert desk.poll() == ["one", "two"]
    with desk.path().open("a") as file:
        file.write("thr")
    assert desk.poll() == []
    with desk.path().open("a") as file:
        file.write("ee\nfour")
    assert desk.poll() == ["three"]
    assert desk.wait(60) == []


@pytest.mark.parametrize("stopped", [False, True])
def test_a_renamed_file_is_read_on(desk: Desk, stopped: bool) -> None:
    """Its last lines, written after the renaming too, and the new file from its beginning; while reading, or over a restart."""
    desk.write(*numbered(0, 50))
    desk.poll()
    marks = desk.stop() if stopped else None
    desk.write(*numbered(50, 10))
    desk.path().rename(desk.path("app.log.1"))
    desk.write(*numbered(60, 5), name="app.log.1")
    desk.write(*numbered(65, 30))
    if marks is not None:
        desk.start(marks)
    desk.poll()
    assert sorted(desk.lines) == numbered(0, 95)
    assert desk.follower.rotations == 1


def test_renamed_many_times_while_stopped(desk: Desk) -> None:
    """A week of rotations, each file with its own number, and the first read in part."""
    desk.write(*numbered(0, 50))
    desk.poll()
    marks = desk.stop()
    desk.write(*numbered(50, 10))
    for day in range(7):
        for number in range(day, 0, -1):
            desk.path(f"app.log.{number}").rename(desk.path(f"app.log.{number + 1}"))
        desk.path().rename(desk.path("app.log.1"))
        desk.write(*numbered(60 + day, 1))
    desk.start(marks)
    desk.poll()
    assert sorted(desk.lines) == numbered(0, 67)


@pytest.mark.parametrize("read", [0, 10, 50])
@pytest.mark.parametrize("stopped", [False, True])
@pytest.mark.parametrize("after", [0, 1, 200])
def test_copy_and_truncate(desk: Desk, read: int, stopped: bool, after: int) -> None:
    """The copy is the content that was read, and read on; the file begins anew, also when it is longer again than what was read."""
    if read:
        desk.write(*numbered(0, read))
        desk.poll()
    else:
        desk.look()
    marks = desk.stop() if stopped else None
    desk.write(*numbered(read, 60 - read))
    if marks is None and after == 1:
        desk.look()  # a look between writing and copying
    desk.copy("app.log.1")
    os.truncate(desk.path(), 0)
    desk.write(*numbered(60, after))
    if marks is not None:
        desk.start(marks)
    desk.wait(2 * HELD)
    assert sorted(desk.lines) == numbered(0, 60 + after)
    assert desk.follower.lost_octets == 0


def test_a_copy_is_seen_before_the_truncation(desk: Desk) -> None:
    """It waits, whole or half, and is not read meanwhile."""
    desk.write(*numbered(0, 400))
    desk.poll()
    desk.write(*numbered(400, 20))
    half = desk.path().read_bytes()[:10_000]
    desk.path("app.log.1").write_bytes(half)
    desk.look()
    desk.copy("app.log.1")
    desk.look()
    assert [held.why for held in desk.follower.held.values()] == [f"a copy of '{desk.path()}'"]
    os.truncate(desk.path(), 0)
    desk.write(*numbered(420, 3))
    desk.wait(2 * HELD)
    assert sorted(desk.lines) == numbered(0, 423)
    assert desk.follower.rotations == 1


def test_the_first_look_after_a_truncation_comes_late(desk: Desk) -> None:
    """The copy is found by that look, and read: nothing is lost, and nothing is said to be."""
    with desk.path().open("a") as file:
        file.write("0")
    desk.poll()
    desk.write("000000 begun before", "another one")
    desk.copy("app.log.1")
    desk.look(0.1)
    os.truncate(desk.path(), 0)
    desk.read()
    desk.look(30)
    assert desk.read() == ["0000000 begun before", "another one"]
    assert desk.follower.lost_octets == 0 and desk.follower.losses == 0


def test_a_copy_that_stays_is_never_read(desk: Desk) -> None:
    """Someone's backup, however old, also after the file itself was rotated away and after a restart."""
    desk.write(*numbered(0, 400))
    desk.poll()
    desk.copy("app-backup.log")
    desk.write(*numbered(400, 100))
    desk.wait(2 * HELD)
    os.truncate(desk.path(), 0)
    desk.write(*numbered(500, 10))
    desk.wait(2 * HELD)
    desk.restart()
    desk.wait(2 * HELD)
    assert sorted(desk.lines) == numbered(0, 510)


def test_truncation_without_a_copy_is_a_loss_that_is_said(desk: Desk) -> None:
    """What is known to have been there and was not read: once, with its octets."""
    desk.write(*numbered(0, 10))
    desk.poll()
    desk.write(*numbered(10, 5))
    desk.look()
    os.truncate(desk.path(), 0)
    desk.write(*numbered(15, 1))
    desk.wait(3 * HELD)
    assert desk.lines == numbered(0, 10) + numbered(15, 1)
    assert (desk.follower.losses, desk.follower.lost_octets) == (1, 5 * 68)
    assert len(desk.notices) == 1 and "340 octets are lost" in desk.notices[0]


@pytest.mark.parametrize("count", [3, 600])
@pytest.mark.parametrize("stopped", [False, True])
def test_replaced_by_a_smaller_or_larger_file(desk: Desk, count: int, stopped: bool) -> None:
    """A new file under the old name, moved there at once."""
    desk.write(*numbered(0, 100))
    desk.poll()
    marks = desk.stop() if stopped else None
    desk.write(*numbered(100, count), name="new")
    desk.path("new").rename(desk.path())
    if marks is not None:
        desk.start(marks)
    desk.wait(20)
    assert desk.lines == numbered(0, 100 + count)


@pytest.mark.parametrize("count", [3, 100, 600])
def test_written_over_in_place(desk: Desk, count: int) -> None:
    """The same inode with other octets, shorter, equally long or longer: as an inode that is used again."""
    desk.write(*numbered(0, 100))
    desk.poll()
    marks = desk.stop()
    desk.path().write_text("".join(line + "\n" for line in numbered(100, count)))
    desk.start(marks)
    desk.wait(5)
    assert desk.lines == numbered(0, 100 + count)


def test_deleted_while_it_is_read(desk: Desk) -> None:
    """To its end, with what the writer still adds; then its descriptor is given back."""
    desk.write(*numbered(0, 10))
    desk.poll()
    with desk.path().open("a") as writer:
        desk.path().unlink()
        writer.write("late\nand later")
        writer.flush()
        assert desk.poll() == ["late"]
        desk.wait(7)
    assert desk.unfinished == ["and later"]
    desk.wait(10)
    assert [tail.descriptor for tail in desk.follower.tails] == [-1]
    assert desk.follower.losses == 0


def test_deleted_unread_is_a_loss(tmp_path: Path) -> None:
    """A file that went while nobody was there to read it."""
    desk = Desk(tmp_path)
    desk.write(*numbered(0, 10))
    desk.look()
    marks = desk.stop()
    desk.path().unlink()
    desk.start(marks)
    desk.wait(2 * MISSING)
    assert (desk.follower.losses, desk.follower.lost_octets) == (1, 680)


def test_symbolic_link_that_is_switched(tmp_path: Path) -> None:
    """The new file from its beginning, and the old one to its end though no pattern names it; also when it was switched while stopped."""
    desk = Desk(tmp_path, "app.log")
    for stopped in (False, True):
        first = 100 * stopped
        data = tmp_path / f"data-{stopped:d}"
        data.touch()
        link = tmp_path / "link"
        link.symlink_to(data)
        link.rename(desk.path())
        desk.write(*numbered(first, 50))
        desk.poll()
        marks = desk.stop() if stopped else None
        desk.write(*numbered(first + 50, 20))
        other = tmp_path / f"other-{stopped:d}"
        other.touch()
        link.symlink_to(other)
        link.rename(desk.path())
        desk.write(*numbered(first + 70, 30))
        if marks is not None:
            desk.start(marks)
        desk.wait(3)
    assert sorted(desk.lines) == numbered(0, 200)


def test_hard_links_are_one_file(desk: Desk) -> None:
    desk.write(*numbered(0, 10))
    os.link(desk.path(), desk.path("app.hard"))
    desk.wait(2)
    desk.write(*numbered(10, 10))
    desk.wait(2)
    desk.path().unlink()
    desk.write(*numbered(20, 10), name="app.hard")
    desk.wait(2)
    assert desk.lines == numbered(0, 30)


@pytest.mark.parametrize("banner", [10, 100, 1024, 5000])
def test_files_that_begin_alike(desk: Desk, banner: int) -> None:
    """Logs with the same first octets are different logs: every line of each, over restarts and rotations too."""
    head = "#" * banner
    expected = []
    for name in ("app.a", "app.b", "app.c"):
        desk.write(head, *[f"{name} {line}" for line in numbered(0, 50)], name=name)
        expected += [head, *[f"{name} {line}" for line in numbered(0, 50)]]
    desk.poll()
    desk.restart()
    for name in ("app.a", "app.b", "app.c"):
        desk.path(name).rename(desk.path(name + ".1"))
        desk.write(head, f"{name} new", name=name)
        expected += [head, f"{name} new"]
    desk.wait(2 * HELD)
    assert sorted(desk.lines) == sorted(expected)


def test_a_line_that_many_logs_begin_with(desk: Desk) -> None:
    """A file whose only line another one has too is read, when it has stayed so for a while."""
    desk.write("server started, ready", "and more", name="app.a")
    desk.poll()
    desk.write("server started, ready", name="app.b")
    desk.wait(2 * HELD)
    assert desk.lines == ["server started, ready", "and more", "server started, ready"]


def test_a_file_that_was_packed_before_anything_of_it_was_read(tmp_path: Path) -> None:
    """Held by its descriptor, and read from there: the archive, of which nothing had to be unpacked before, is known as its copy."""
    desk, last = Desk(tmp_path, max_open=3), "the last one " + 60 * "x"

    def rename(*numbers: int) -> None:
        for number in numbers:
            desk.path().rename(desk.path(f"app.log.{number}"))
            desk.path().touch()

    desk.path().touch()
    rename(1)
    desk.look(0.1)
    desk.write(*numbered(0, 10, 400))
    desk.look(0.1)
    desk.write(last)
    rename(*range(2, 8))
    desk.look(0.1)
    rename(*range(8, 11))
    desk.path("app.log.2.gz").write_bytes(gzip.compress(desk.path("app.log.2").read_bytes()))
    desk.path("app.log.2").unlink()
    desk.wait(150)
    desk.follower.close()
    assert sorted(filter(None, desk.lines)) == [*numbered(0, 10, 400), last]


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress])
@pytest.mark.parametrize("read", [0, 300, 500])
@pytest.mark.parametrize("stopped", [False, True])
def test_compressed_meanwhile(desk: Desk, pack: object, read: int, stopped: bool) -> None:
    """The archive is the file: read on from where the file was, and not at all when it had been read."""
    assert callable(pack)
    if read:
        desk.write(*numbered(0, read))
        desk.poll()
    marks = desk.stop() if stopped else None
    desk.write(*numbered(read, 500 - read))
    desk.path().rename(desk.path("app.log.1"))
    if marks is None:
        desk.look()
    desk.path("app.log.1.gz").write_bytes(pack(desk.path("app.log.1").read_bytes()))
    if marks is None:
        desk.look()
    desk.path("app.log.1").unlink()
    desk.write(*numbered(500, 10))
    if marks is not None:
        desk.start(marks)
    desk.wait(60)
    assert sorted(desk.lines) == numbered(0, 510)
    desk.restart()
    assert desk.wait(30) == []


def test_the_number_of_a_file_that_was_compressed_is_given_to_another(desk: Desk) -> None:
    """Nothing comes twice: what was read of the first is known when its archive is compared, though a file with its number has other lines."""
    begun = [f"{number} of the first" for number in range(100)]
    desk.write(*begun)
    desk.poll()
    desk.write("written before it was renamed")
    number = desk.path().stat().st_ino
    desk.path("app.log.1.gz").write_bytes(gzip.compress(desk.path().read_bytes()))
    desk.path().unlink()
    desk.wait(10)
    for other in range(100):  # until the file system gives that number again
        desk.path("other").write_text("of the second\n")
        if desk.path("other").stat().st_ino == number:
            break
        desk.path("other").rename(desk.path(f"{other}"))
    else:
        pytest.skip("this file system gives no number again")
    desk.path("other").rename(desk.path())
    desk.wait(200)
    assert desk.lines == [*begun, "written before it was renamed", "of the second"]


def test_written_over_and_gone_before_it_was_looked_at(desk: Desk) -> None:
    """What was written over was read; the other lines are found in the archive. None is missing, and none is said to be."""
    desk.write(*(f"{number:02} first" for number in range(40)))
    desk.poll()
    desk.path().write_text("".join(f"{number:02} other\n" for number in range(40)) + "one more\n")
    desk.path("app.log.1.gz").write_bytes(gzip.compress(desk.path().read_bytes()))
    desk.path().unlink()
    desk.wait(200)
    assert len(desk.lines) == len(set(desk.lines)) == 81
    assert desk.follower.lost_octets == 0 and not desk.notices


def test_archives_of_before_are_read_once(desk: Desk) -> None:
    """And one that is damaged as far as it goes, with a word about it."""
    packed = gzip.compress("".join(line + "\n" for line in numbered(0, 3000)).encode())
    desk.path("app.1.gz").write_bytes(packed)
    desk.path("app.2.gz").write_bytes(gzip.compress("".join(line + "\n" for line in numbered(3000, 1000)).encode()))
    desk.wait(5)
    assert sorted(desk.lines) == numbered(0, 4000)
    desk.path("app.3.gz").write_bytes(gzip.compress("".join(line + "\n" for line in numbered(4000, 1000)).encode())[:-9])
    desk.restart()
    desk.wait(2 * MISSING)
    assert sorted(set(desk.lines)) == sorted(desk.lines)
    assert any("ends in the middle" in notice for notice in desk.notices)


def test_restarted_in_the_middle_of_an_archive(desk: Desk) -> None:
    """It is unpacked again, and what was read of it is passed over."""
    desk.path("app.1.gz").write_bytes(gzip.compress("".join(line + "\n" for line in numbered(0, 60_000)).encode()))
    desk.look()
    desk.read(slices=5)
    assert 0 < len(desk.lines) < 60_000
    desk.restart()
    desk.wait(5)
    assert desk.lines == numbered(0, 60_000)


def test_the_first_start_at_the_end(tmp_path: Path) -> None:
    """What is there is passed over, up to the last line end; what comes after, and files that come after, are read whole."""
    desk = Desk(tmp_path, start="end")
    desk.write("old", "older")
    with desk.path().open("a") as file:
        file.write("hal")
    desk.path("app.0.gz").write_bytes(gzip.compress(b"ancient\n"))
    assert desk.wait(3) == []
    with desk.path().open("a") as file:
        file.write("f\nnew\n")
    desk.write("other", name="app.2")
    desk.restart()
    assert sorted(desk.wait(3)) == ["half", "new", "other"]


def test_a_partial_line_of_a_rotated_file(desk: Desk) -> None:
    """Given out once, flagged, some seconds after the file was rotated away; never while it may be completed."""
    desk.write("whole line, long enough to know the file by it, as there are more octets than sixty-four")
    with desk.path().open("a") as file:
        file.write("cut of")
    desk.wait(30)
    desk.path().rename(desk.path("app.log.1"))
    desk.write("next")
    desk.poll()
    assert desk.unfinished == []
    desk.wait(10)
    assert desk.unfinished == ["cut of"]
    desk.restart()
    desk.wait(10)
    assert len(desk.lines) == 3


def test_more_files_than_descriptors(tmp_path: Path) -> None:
    """Each gets its turn in every round; those that are not read are closed."""
    desk = Desk(tmp_path, max_open=4)
    for number in range(40):
        desk.write(*numbered(number * 1000, 20), name=f"app.{number}")
    big = numbered(900_000, 20_000)
    desk.write(*big, name="app.big")
    desk.look()
    desk.read(slices=50)
    assert len({path for path, _ in desk.places}) == 41, "the big one keeps nobody waiting"
    desk.read()
    for number in range(40):
        desk.write(*numbered(number * 1000 + 20, 1), name=f"app.{number}")
    desk.poll()
    assert len(desk.lines) == 40 * 21 + 20_000
    assert sum(tail.descriptor >= 0 for tail in desk.follower.tails) <= 4


def test_a_very_long_line(tmp_path: Path) -> None:
    """Cut where it is longer than allowed, with what was left out counted; the next line is whole. Its memory is bounded by the slice."""
    desk = Desk(tmp_path, max_line=1 << 16)
    desk.path().write_bytes(b"a\n" + b"y" * (5 * SLICE + 17) + b"\nb\n" + b"z" * (SLICE + 1))
    desk.poll()
    assert [len(line) for line in desk.lines] == [1, 1 << 16, 1]
    with desk.path().open("ab") as file:
        file.write(b"\nc\n")
    desk.poll()
    assert [len(line) for line in desk.lines] == [1, 1 << 16, 1, 1 << 16, 1]


def test_a_very_long_line_of_an_archive(tmp_path: Path) -> None:
    """A small archive that holds a huge line gives one record of it, not one for each piece; the next line is whole."""
    desk = Desk(tmp_path, max_line=1 << 16)
    desk.path("app.1.gz").write_bytes(gzip.compress(b"a\n" + bytes(40 * SLICE) + b"\nb\n" + b"z" * (3 * SLICE)))
    desk.wait(5)
    assert [len(line) for line in desk.lines] == [1, 1 << 16, 1, 1 << 16]


def test_a_restart_in_a_very_long_line_of_an_archive(tmp_path: Path) -> None:
    """After each slice: what is left of the line is no line of its own, and the next one is whole. In UTF-16 too."""
    for encoding in ("utf-8", "utf-16"):
        here = tmp_path / encoding
        here.mkdir()
        text = "a\n" + "x" * (20 * SLICE) + "\nb\n" + "z" * (5 * SLICE) + "\nc\n"
        (here / "app.1.gz").write_bytes(gzip.compress(text.encode(encoding)))
        desk = Desk(here, max_line=1 << 16)
        desk.look()
        desk.wait(5)
        whole = [line[:3] for line in desk.lines]
        assert len(whole) == 5
        desk = Desk(here, max_line=1 << 16)
        for _ in range(10):
            desk.look()
        for _ in range(100):
            (tail,) = desk.follower.tails
            before = tail.position
            while tail.position == before and not tail.finished:  # what was read is unpacked again
                desk.read(slices=1)
            desk.restart()
            desk.look()
        assert tail.finished
        assert [line[:3] for line in desk.lines] == whole


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16(desk: Desk, encoding: str) -> None:
    """With a byte order mark, from the middle on too; characters whose octets look like a line end are none."""
    text = "".join(f"{number} Ċ ਊ\n" for number in range(1000))
    octets = ("\ufeff" + text).encode(encoding)
    desk.path().write_bytes(octets[:5001])
    desk.poll()
    desk.restart()
    with desk.path().open("ab") as file:
        file.write(octets[5001:])
    desk.poll()
    assert desk.lines == text.split("\n")[:-1]


class Disk:
    """Reads that fail when told to."""

    def __init__(self) -> None:
        self.broken: set[int] = set()
        self.errno = errno.EIO

    def pread(self, descriptor: int, size: int, offset: int) -> bytes:
        if os.fstat(descriptor).st_ino in self.broken:
            raise OSError(self.errno, os.strerror(self.errno))
        return os.pread(descriptor, size, offset)


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE])
def test_a_file_that_cannot_be_read_for_a_while(tmp_path: Path, number: int) -> None:
    """Tried again within 60 s, from where it was; the others meanwhile; said once."""
    disk = Disk()
    disk.errno = number
    desk = Desk(tmp_path, pread=disk.pread)
    desk.write(*numbered(0, 10))
    desk.poll()
    disk.broken.add(desk.path().stat().st_ino)
    desk.write(*numbered(10, 10))
    desk.write("other", name="app.other")
    assert desk.wait(300) == ["other"]
    disk.broken.clear()
    desk.wait(61)
    assert desk.lines == [*numbered(0, 10), "other", *numbered(10, 10)]
    assert len(desk.notices) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_permission_denied_then_granted(desk: Desk) -> None:
    desk.write("one")
    desk.path().chmod(0)
    desk.write("two", name="app.2")
    assert desk.wait(10) == ["two"]
    desk.path().chmod(0o600)
    assert desk.wait(61) == ["one"]


def test_a_directory_that_vanishes_and_returns(tmp_path: Path) -> None:
    """Positions are kept; nothing is a loss that comes back."""
    logs = tmp_path / "logs"
    logs.mkdir()
    desk = Desk(logs)
    desk.write(*numbered(0, 10))
    desk.poll()
    logs.rename(tmp_path / "away")
    desk.wait(50)
    (tmp_path / "away").rename(logs)
    desk.write(*numbered(10, 10))
    desk.wait(5)
    assert desk.lines == numbered(0, 20)
    assert desk.follower.losses == 0


def test_files_that_are_gone_are_forgotten(tmp_path: Path) -> None:
    """After the time that is set, and not before."""
    desk = Desk(tmp_path, forget=3600.0)
    for number in range(10):
        desk.write("line", name=f"app.{number}")
    desk.poll()
    for number in range(9):
        desk.path(f"app.{number}").unlink()
    desk.wait(60)
    assert len(desk.marks()) == 10
    desk.poll(3600)
    desk.poll(3600)
    assert len(desk.marks()) == 1


def test_a_writer_that_does_not_append(desk: Desk) -> None:
    """After a truncation it goes on at its old offset: the hole before that is no line, however large, and is said."""
    with desk.path().open("wb", 0) as writer:
        writer.write(b"".join(line.encode() + b"\n" for line in numbered(0, 10_000)))
        desk.poll()
        desk.copy("app.log.1")
        os.truncate(desk.path(), 0)
        writer.write(b"after it\n")
        desk.wait(5)
        writer.write(b"and more\n")
        desk.wait(5)
    assert desk.lines == [*numbered(0, 10_000), "after it", "and more"]
    assert len(desk.notices) == 1 and "does not append" in desk.notices[0]
