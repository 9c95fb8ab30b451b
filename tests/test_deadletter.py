"""Dead letters: what was added is read back octet by octet, whatever crashes; a replay takes each file once."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipper.deadletter import DeadLetters, Letter, claim, finished, letters, waiting_files

WHEN = 1_700_000_000_000_000_000


def letter(payload: bytes, reason: str = "no") -> Letter:
    return Letter(payload, "siem", reason, WHEN)


def all_of(directory: Path) -> list[Letter | int]:
    return [letter for path in waiting_files(directory) for letter in letters(path)]


@settings(deadline=None)
@given(
    st.lists(
        st.lists(st.tuples(st.binary(max_size=50), st.text(max_size=20), st.text("0123456789abcdef", max_size=8)), max_size=4), max_size=6
    )
)
def test_octets_come_back(groups: list[list[tuple[bytes, str, str]]]) -> None:
    """Any payload and any reason, over any number of files, in order."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name) / "dead"
        written = []
        for group in groups:
            added = [Letter(payload, "out", reason, WHEN, number) for payload, reason, number in group]
            DeadLetters(directory, file_octets=300).add(added)
            written += added
        assert all_of(directory) == written


def test_lines_are_for_people(tmp_path: Path) -> None:
    """Text stands as text, what is not UTF-8 as base64; one line each, whatever is in it."""
    DeadLetters(tmp_path).add([letter("Müller\n<x@example.com>".encode(), "400: \x1b\ud800"), letter(b"\xff\n")])
    lines = (tmp_path / "00000001.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"time": "2023-11-14T22:13:20Z", "output": "siem", "reason": "400: \x1b\\ud800", "payload": "Müller\n<x@example.com>"},
        {"time": "2023-11-14T22:13:20Z", "output": "siem", "reason": "no", "payload_base64": "/wo="},
    ]
    assert (tmp_path / "00000001.jsonl").stat().st_mode & 0o777 == 0o600


def test_half_a_line_costs_itself_only(tmp_path: Path) -> None:
    """Cut at every length, as by a crash: all whole lines come back, the half one by its number, and what is added later is whole."""
    DeadLetters(tmp_path / "a").add([letter(b"one"), letter(b"two")])
    octets = (tmp_path / "a" / "00000001.jsonl").read_bytes()
    first = octets.index(b"\n")
    for length in range(len(octets)):
        directory = tmp_path / f"cut{length}"
        directory.mkdir()
        (directory / "00000001.jsonl").write_bytes(octets[:length])
        DeadLetters(directory).add([letter(b"three")])
        found = [each.payload if isinstance(each, Letter) else each for each in all_of(directory)]
        expected: list[bytes | int] = [b"one"] if length >= first else [1] if length else []
        if length > first + 1:
            expected.append(b"two" if length >= len(octets) - 1 else 2)
        assert found == [*expected, b"three"]


@pytest.mark.parametrize(
    "line", [b"", b"{}", b"[]", b"null", b'{"time":"x","payload":"p"}', b'{"time":"2026-01-01T00:00:00Z","payload_base64":"?"}', b"\xff"]
)
def test_a_strange_line_is_told_by_its_number(tmp_path: Path, line: bytes) -> None:
    """A file that a person edited."""
    DeadLetters(tmp_path).add([letter(b"one")])
    path = tmp_path / "00000001.jsonl"
    path.write_bytes(line + b"\n" + path.read_bytes())
    assert all_of(tmp_path) == [1, letter(b"one")]


def test_a_replay_takes_a_file_once(tmp_path: Path) -> None:
    """Claimed, it gets no more letters; broken off, it is found again; finished, it is not offered, and stays."""
    dead = DeadLetters(tmp_path)
    dead.add([letter(b"one")])
    claimed = claim(waiting_files(tmp_path)[0])
    dead.add([letter(b"two")])
    assert [path.name for path in waiting_files(tmp_path)] == ["00000001.jsonl.replaying", "00000002.jsonl"]
    assert list(letters(claimed)) == [letter(b"one")]
    assert claim(claimed) == claimed
    assert finished(claimed).name == "00000001.jsonl.replayed"
    assert all_of(tmp_path) == [letter(b"two")]
    finished(claim(waiting_files(tmp_path)[0]))
    dead.add([letter(b"three")])
    assert [path.name for path in waiting_files(tmp_path)] == ["00000003.jsonl"]


ADDER = """
import sys
from pathlib import Path
from shipper.deadletter import DeadLetters, Letter
dead = DeadLetters(Path(sys.argv[1]))
for number in range(300):
    dead.add([Letter(b"%d" % number, "out", "no", 0)])
"""


def test_claiming_while_letters_are_added_loses_none(tmp_path: Path) -> None:
    """One process adds, another claims and finishes again and again: every letter is read exactly once."""
    adding = subprocess.Popen([sys.executable, "-c", ADDER, str(tmp_path)])
    found: list[int] = []
    claims = 0
    while adding.poll() is None or waiting_files(tmp_path):
        for path in waiting_files(tmp_path):
            claimed = claim(path)
            found += [int(each.payload) for each in letters(claimed) if isinstance(each, Letter)]
            finished(claimed)
            claims += 1
    assert adding.returncode == 0
    assert found == list(range(300))
    assert claims > 1


def test_a_claim_waits_for_who_is_adding(tmp_path: Path) -> None:
    """A file that someone has open to add to is not taken from under him."""
    DeadLetters(tmp_path).add([letter(b"one")])
    path = waiting_files(tmp_path)[0]
    with path.open("ab") as adding:
        fcntl.flock(adding, fcntl.LOCK_EX)
        claiming = threading.Thread(target=claim, args=(path,))
        claiming.start()
        claiming.join(0.1)
        assert claiming.is_alive() and path.exists()
    claiming.join(10)
    assert [path.suffix for path in waiting_files(tmp_path)] == [".replaying"]


def test_a_failure_is_told(tmp_path: Path) -> None:
    """Whoever set it aside has to know that it is not on the disk."""
    (tmp_path / "dead").write_text("")
    with pytest.raises(OSError):
        DeadLetters(tmp_path / "dead").add([letter(b"one")])
