"""One log's way: chosen by time, counted, and the same wherever it is cut."""

from __future__ import annotations

import json
from collections.abc import Iterator
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipper.framing import Block, blocks
from shipper.passage import LINES, Options, Passage, Tally, drop_repeated, portions
from shipper.profiles import PROFILES
from shipper.stamps import epoch_ns

NATIVE = PROFILES["native"]
ZONE = ZoneInfo("Europe/Berlin")


def mta(clock: str, size: int = 1) -> str:
    return f"02-Mar-2026 {clock} tcp_local    ims-ms       EE {size} a@example.com rfc822;b@example.org b@example.org"


def rendered(text: str, options: Options, size: int = 1 << 20) -> tuple[list[dict[str, object]], Tally]:
    data = text.encode()
    passage = Passage(options, "mail.log")
    lines = b""
    for block in portions(blocks(data[at : at + size] for at in range(0, len(data), size))):
        lines += passage.render(block).lines
    return [json.loads(line) for line in lines.splitlines()], passage.tally


LOG = [
    "a line before any time",
    mta("10:00:00.00"),
    "goes with it",
    mta("10:00:10.50"),
    mta("10:00:05.00"),
    "goes with it",
    mta("10:00:20.00"),
    "[02/Mar/2026:11:00:12 +0200] host imapd[1]: General Notice: ten and twelve seconds here",
    "02-Mar-2026 10:00:0x.00 cannot be read",
]


@pytest.mark.parametrize(
    ("since", "until", "kept"),
    (
        ("", "", range(9)),
        ("2026-03-02T10:00:10.5+01:00", "", (0, 3, 6, 7, 8)),
        ("", "2026-03-02T10:00:10.5+01:00", (0, 1, 2, 4, 5)),
        ("2026-03-02T10:00:05+01:00", "2026-03-02T10:00:10.51+01:00", (0, 3, 4, 5)),
        ("2026-03-03T00:00:00+01:00", "", (0,)),
    ),
)
def test_since_and_until(since: str, until: str, kept: tuple[int, ...]) -> None:
    """Instants, whatever their zone; up to `until`, that not included; a line without a time goes with the line before it."""
    for size in (1 << 20, 200, 1):
        records, tally = rendered("\n".join(LOG) + "\n", Options(NATIVE, ZONE, since=epoch_ns(since), until=epoch_ns(until)), size)
        offsets = [sum(len(line) + 1 for line in LOG[:number]) for number in kept]
        assert [record["source"]["offset"] for record in records] == offsets  # type: ignore[index]
        assert (tally.lines, tally.written, tally.outside) == (9, len(offsets), 9 - len(offsets))


def test_the_tally() -> None:
    """Lines, kinds, the span in instants and not in letters, what could not be read and where."""
    _, tally = rendered("\n".join(LOG) + "\n", Options(NATIVE, ZONE), 64)
    assert tally.kinds == {"mta": 4, "text": 3, "service": 1, "unparsed": 1}
    assert tally.first and tally.first[1] == "2026-03-02T10:00:00.00+01:00"
    assert tally.last and tally.last[1] == "2026-03-02T10:00:20.00+01:00"
    assert [(example.line, example.offset) for example in tally.examples] == [(8, sum(len(line) + 1 for line in LOG[:8]))]
    assert tally.examples[0].reason.startswith("column ")


def test_tallies_add_up() -> None:
    """Of two tallies one after the other, the lines of examples are counted on."""
    _, first = rendered("\n".join(LOG), Options(NATIVE, ZONE))
    _, second = rendered("\n".join(LOG), Options(NATIVE, ZONE))
    first.add(second)
    assert (first.lines, first.written, first.kinds["mta"]) == (18, 18, 8)
    assert [example.line for example in first.examples] == [8, 17]


def test_repeats_go_out_of_a_piece() -> None:
    """Their lines, their kinds, their errors; the sum stays."""
    passage = Passage(Options(NATIVE, ZONE, dedupe=True), "mail.log")
    piece = passage.render(Block("\n".join(LOG).encode(), 0))
    left = drop_repeated(piece, [1, 8], passage.tally)
    assert [json.loads(line)["kind"] for line in left.splitlines()] == ["text", "text", "mta", "mta", "text", "mta", "service"]
    assert (passage.tally.written, passage.tally.repeated, passage.tally.kinds["unparsed"], passage.tally.errors) == (7, 2, 0, 0)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([*LOG, "", "ä", LOG[1]]), max_size=40), st.integers(1, 300), st.booleans())
def test_what_was_shown_leaves_the_same_state(lines: list[str], size: int, dedupe: bool) -> None:
    """A passage that was shown lines goes on as one that rendered them."""
    options = Options(NATIVE, ZONE, dedupe=dedupe, since=epoch_ns("2026-03-02T10:00:05+01:00"))
    data = "\n".join(lines).encode()
    one, other = Passage(options, "mail.log"), Passage(options, "mail.log")
    for block in blocks([data]):
        one.render(block)
    for block in blocks(data[at : at + size] for at in range(0, len(data), size)):
        other.show(block)
    assert one.state() == other.state()


@pytest.mark.parametrize(
    "line", (mta("10:00:00.00"), "text", "23:59:59.00: of a debug log", "[02/Mar/2026:11:00:12 +0200] h imapd[1]: General Notice: x")
)
def test_the_state_tells_what_matters(line: str) -> None:
    """One line more of any kind is another state: the next one like it has another id, or another date."""
    options = Options(NATIVE, ZONE)
    one, other = Passage(options, "a", (2026, 3, 2)), Passage(options, "a", (2026, 3, 2))
    for passage in (one, other):
        passage.show(Block("\n".join(LOG).encode(), 0))
    assert one.state() == other.state()
    other.show(Block(line.encode(), 0))
    assert one.state() != other.state()


def test_the_state_tells_the_two_passes_of_a_repeated_hour() -> None:
    """25-Oct-2026 02:30 in Berlin is before or after the clock was put back; nothing else in the hour's lines says which."""
    options = Options(NATIVE, ZONE)
    states = []
    for before in ("01:59:59", "02:59:59"):
        passage = Passage(options, "a")
        for clock in (before, "02:10:00"):
            passage.show(Block(mta(f"{clock}.00").replace("02-Mar", "25-Oct").encode(), 0))
        states.append(passage.state())
    assert states[0] != states[1]


@pytest.mark.parametrize("encoding", ("", "utf-16-le"))
def test_blocks_of_very_many_lines_are_cut(encoding: str) -> None:
    """A megabyte of empty lines is not a million records at once; offsets stay those of the file."""
    data = b"\n".join([b"", b"x", "ä".encode()] * LINES)
    cut = list(portions(iter([Block(data, 7, 0, encoding)])))
    assert b"\n".join(block.data for block in cut) == data
    assert all(block.data.count(b"\n") < LINES for block in cut)
    assert cut[0].offset == 7
    second = b"\n".join(data.split(b"\n")[:LINES]).decode()
    assert cut[1].offset == 7 + (len(second.encode(encoding)) + 2 if encoding else len(second.encode()) + 1)


def test_memory_of_a_long_line() -> None:
    """A line that is cut says so, and the next one is whole."""

    def chunks() -> Iterator[bytes]:
        yield from (b"x" * 100_000 for _ in range(50))
        yield b"\n" + LOG[1].encode()

    passage = Passage(Options(NATIVE, ZONE), "a")
    out = b"".join(passage.render(block).lines for block in portions(blocks(chunks(), max_line=2000)))
    first, second = (json.loads(line) for line in out.splitlines())
    assert first["error"] == "line of 5000000 octets, cut after 2000"
    assert second["code"] == "EE"
