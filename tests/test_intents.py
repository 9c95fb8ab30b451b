"""What was about to be written, and whether it was: law by law, on real files."""

from __future__ import annotations

import os
from pathlib import Path
from zlib import crc32

import pytest

from shipper.batch import Flight
from shipper.intents import Done, Intents, Stretch, done

OCTETS = b"one line\nand another\n"


def stretch(path: Path, octets: bytes = OCTETS) -> Stretch:
    status = path.stat()
    return Stretch(str(path), status.st_dev, status.st_ino, status.st_size, len(octets), crc32(octets))


def put(intents: Intents, path: Path, output: str, *flights: Flight, to: int = 0, written: bytes = OCTETS) -> None:
    """Notes that something is to be written, and writes that much of it."""
    path.touch()
    about = intents.about(output, flights, to=to)
    assert about is not None
    about(stretch(path))
    with path.open("ab") as file:
        file.write(written)


@pytest.mark.parametrize(
    "written", [OCTETS, OCTETS[:-1], b"", OCTETS.upper(), bytes(len(OCTETS))], ids=["all", "part", "none", "other", "zeros"]
)
def test_what_stands_there_whole_is_done(tmp_path: Path, written: bytes) -> None:
    """Whatever a kill or a power cut made of a write: only the very octets count."""
    put(Intents(tmp_path), tmp_path / "out", "out", Flight(1, "app", ["place"], ["out"], None), to=7, written=written)
    assert done(tmp_path) == (Done({"app": [["place"]]}, {"out": 7}) if written == OCTETS else Done({}, {}))


def test_a_file_that_was_rotated_is_found_and_another_of_its_name_is_not(tmp_path: Path) -> None:
    """By its inode, in its directory."""
    put(Intents(tmp_path), tmp_path / "out", "out", to=7)
    (tmp_path / "out").rename(tmp_path / "out-20260302T100000")
    (tmp_path / "out").write_bytes(OCTETS)
    assert done(tmp_path).delivered == {"out": 7}
    (tmp_path / "out-20260302T100000").unlink()
    assert done(tmp_path).delivered == {}


def test_a_batch_is_done_when_all_that_is_waited_for_has_it(tmp_path: Path) -> None:
    """Of two outputs one is not enough."""
    intents = Intents(tmp_path)
    flight = Flight(1, "app", "place", ["a", "b"], None)
    put(intents, tmp_path / "a.out", "a", flight)
    assert done(tmp_path).ahead == {}
    put(intents, tmp_path / "b.out", "b", flight)
    assert done(tmp_path).ahead == {"app": ["place"]}


def test_nothing_is_passed_over(tmp_path: Path) -> None:
    """A batch that was written does not count while the one before it is not: the input would go on behind both."""
    intents = Intents(tmp_path)
    first = Flight(1, "app", "first", ["other"], None)
    second = Flight(2, "app", "second", ["out"], first)
    third = Flight(3, "app", "third", ["out"], second)
    put(intents, tmp_path / "out", "out", second, third)
    assert done(tmp_path).ahead == {}
    put(intents, tmp_path / "other", "other", first)
    assert done(tmp_path).ahead == {"app": ["first", "second", "third"]}


def test_what_was_settled_before_needs_no_intent(tmp_path: Path) -> None:
    """It is asked when the intent is made: a batch before it that a receiver took long ago is no obstacle, nor is one whose input says nothing."""
    intents = Intents(tmp_path)
    first = Flight(1, "app", None, ["siem"], None)
    second = Flight(2, "app", "second", ["out"], first)
    assert intents.about("out", [first]) is None
    first.settle()
    put(intents, tmp_path / "out", "out", second)
    assert done(tmp_path).ahead == {"app": ["second"]}


def test_half_an_intent_is_none_and_the_next_is_whole(tmp_path: Path) -> None:
    """A kill in the middle of a note costs this one."""
    put(Intents(tmp_path), tmp_path / "out", "out", to=7)
    noted = tmp_path / "intents.0"
    os.truncate(noted, noted.stat().st_size - 5)
    put(Intents(tmp_path), tmp_path / "more", "more", to=8)
    with noted.open("ab") as file:
        file.write(b"\0\0\xff 12\n")
    assert done(tmp_path).delivered == {"more": 8}


def test_two_files_of_intents_stay(tmp_path: Path) -> None:
    """With each durable checkpoint a new one is begun: what was under way at the last one is known, and there are never many."""
    intents = Intents(tmp_path)
    for number in range(1, 6):
        intents.turn(number)
        intents.forget()
        put(intents, tmp_path / "out", "out", to=number)
    assert sorted(path.name for path in tmp_path.glob("intents.*")) == ["intents.4", "intents.5"]
    assert done(tmp_path).delivered == {"out": 5}
    intents.forget(all=True)
    assert done(tmp_path) == Done({}, {})
