"""The laws that every format in the registry keeps; a new format is held to them by being registered and having golden lines."""

from __future__ import annotations

import time
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shipper.formats import FORMATS, Format, Log
from shipper.framing import Block
from shipper.reader import Reader, octets
from shipper.record import Record, Unparsed
from shipper.stamps import Clock

GOLDEN = Path(__file__).parent / "formats"
EVERY = [line for path in sorted(GOLDEN.glob("*/*/input.log")) for line in path.read_text(errors="replace").split("\n") if line]
FILLERS = [
    "(",
    " ",
    '"',
    "<",
    ">",
    "[",
    "]",
    "{",
    "&",
    "=",
    "|",
    ":",
    ",",
    "\\",
    "a",
    "0",
    "-",
    ".",
    "é",
    "[[",
    "a=b|",
    ":<a>",
    "&amp;",
    '{"a":',
]


def lines_of(form: Format) -> list[str]:
    """The golden lines that this format reads."""
    mine: list[str] = []
    for line in EVERY:
        out: list[Record] = []
        if form.parse_run([line], 0, new_log(), out) == 1 and not isinstance(out[0], Unparsed):
            mine.append(line)
    return mine


def new_log() -> Log:
    return Log(Clock(ZoneInfo("UTC")), date=(2005, 3, 1))


OWN = {form.name: lines_of(form) for form in FORMATS}
every_format = pytest.mark.parametrize("form", FORMATS, ids=lambda form: str(form.name))
quiet = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def damaged(data: st.DataObject, line: str) -> str:
    """The line with up to three pieces cut out, doubled, replaced or put in."""
    for _ in range(data.draw(st.integers(0, 3))):
        start = data.draw(st.integers(0, len(line)))
        end = data.draw(st.integers(start, min(len(line), start + 20)))
        put = data.draw(st.sampled_from(["", *FILLERS, line[start:end] * 2, "\x00", "\r", "ü", "\u202e"]))
        line = line[:start] + put + line[end:]
    return line


@every_format
def test_has_lines_of_its_own(form: Format) -> None:
    """Golden lines exist for each format; without them the other laws would say nothing."""
    assert OWN[form.name], f"no golden lines for {form.name}"


@every_format
@quiet
@given(data=st.data())
def test_one_record_for_each_line_and_never_an_exception(form: Format, data: st.DataObject) -> None:
    """Damaged or whole, alone or among others: a run ends at the first line that is not the format's, with a record for each before it."""
    lines = [damaged(data, data.draw(st.sampled_from(OWN[form.name] if data.draw(st.booleans()) else EVERY))) for _ in range(4)]
    out: list[Record] = []
    reached = form.parse_run(lines, 0, new_log(), out)
    assert 0 <= reached <= len(lines)
    assert len(out) == reached
    assert all(record.error for record in out if isinstance(record, Unparsed))
    assert not any(record.id or record.raw or record.source for record in out), "the reader's fields are the reader's"


@every_format
@quiet
@given(data=st.data())
def test_batches_make_no_difference_and_octets_come_back(form: Format, data: st.DataObject) -> None:
    """Through the reader: blocks of any number of lines give the same records, and each has its line's octets."""
    lines = [damaged(data, data.draw(st.sampled_from(OWN[form.name]))).replace("\n", " ") for _ in range(6)]
    frames = [line.encode() for line in lines]
    cut = data.draw(st.integers(0, len(frames)))
    whole = Reader(new_log(), file="x", raw="always").read(Block(b"\n".join(frames), 0))
    reader = Reader(new_log(), file="x", raw="always")
    first, second = b"\n".join(frames[:cut]), b"\n".join(frames[cut:])
    parts = reader.read(Block(first, 0)) if cut else []
    parts += reader.read(Block(second, len(first) + 1 if cut else 0)) if cut < len(frames) else []
    assert parts == whole
    assert [octets(record) for record in whole] == frames


@every_format
@pytest.mark.parametrize("filler", FILLERS)
def test_a_megabyte_of_anything_is_read_in_linear_time(form: Format, filler: str) -> None:
    """The beginning of a real line, then a megabyte of what could make an expression explode: read in well under a second."""
    shortest = min(OWN[form.name], key=len)
    for keep in (0, len(shortest) // 2, len(shortest)):
        line = shortest[:keep] + filler * (1_000_000 // len(filler))
        begin = time.process_time()
        form.parse_run([line], 0, new_log(), [])
        assert time.process_time() - begin < 1.5


@pytest.mark.parametrize("filler", FILLERS)
@pytest.mark.parametrize("start", ["", "<", "<22>", "<22>1 ", "mail.log:", "<22>Jan  1 00:00:00 ", '<22>1 - - - - - [a b="'])
def test_envelopes_are_opened_in_linear_time(start: str, filler: str) -> None:
    """The same through the whole reader, behind the beginning of an envelope."""
    reader = Reader(new_log())
    begin = time.process_time()
    assert len(reader.read(Block((start + filler * (1_000_000 // len(filler))).encode(), 0))) == 1
    assert time.process_time() - begin < 1.5
