"""MTA text records: the laws that the golden files cannot show."""

from __future__ import annotations

import time
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.formats import Log, mta_text
from shipper.formats import mta_straight as straight
from shipper.record import Connection, Mta, Record, Unparsed
from shipper.stamps import Clock

GOLDEN = sorted((Path(__file__).parent / "mta_text").glob("*/input.log"))
LINES = [line for path in GOLDEN for line in path.read_text().splitlines()]
PIECES = ["", " ", "  ", '"', "<", ">", "<>", "(", ")", "[", "]", ":", ";", "|", ",", "/", "*", "276", "550 ", "+", "ü", "\x00"]
PIECES += [
    " rfc822;<> ",
    " <> ",
    "dns;",
    "smtp;",
    " TCP|",
    "rfc822;",
    "mailsrv ",
    "E 1 ",
    "276 /q/ZZ1.00 ",
    "<a@b> ",
    "h (d [192.0.2.1])",
    '"a b"@c ',
    '"a rfc822;b"@c ',
    "SMTP 500 5.7.1 x",
    "mailsrv mx.example.net 77",
    "q/queue/tcp/ZZ0A.01",
]


def read(line: str, fields: tuple[str, ...] | None = None) -> Record:
    """The one record of one line."""
    out: list[Record] = []
    assert mta_text.parse_run([line], 0, Log(Clock(ZoneInfo("UTC")), fields=fields), out) == 1
    assert len(out) == 1
    return out[0]


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A golden line with up to four pieces cut out, doubled, replaced or put in, after its time stamp."""
    line = draw(st.sampled_from(LINES))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(min(12, len(line)), len(line)))
        end = draw(st.integers(start, min(len(line), start + 12)))
        piece = draw(st.sampled_from([*PIECES, line[start:end] * 2]))
        line = line[:start] + piece + line[end:]
    return line


@given(mutated())
def test_the_straight_expression_reads_what_the_long_way_reads(line: str) -> None:
    """The fast case is no second opinion: a line that it takes gives the same record as reading it step by step."""
    if straight.message(line, 24, "", "") is None and straight.connection(line, 24, "", "") is None:
        return
    log = Log(Clock(ZoneInfo("UTC")))
    stamp = log.clock.mta(line[:23])
    if not stamp or line[23:24] != " ":
        return
    assert read(line) == mta_text._record(line, 24, stamp, "config", None)


@given(mutated(), st.sets(st.sampled_from(mta_text.OPTIONAL)), st.booleans())
def test_lines_whose_fields_are_told_are_read_alike_the_long_way(line: str, told: set[str], all_of_them: bool) -> None:
    """The straight expression goes only as far as the recipient there, and a word before the channels is what it was told to be."""
    named = mta_text.OPTIONAL if all_of_them else tuple(name for name in mta_text.OPTIONAL if name in told)
    stamp = Log(Clock(ZoneInfo("UTC"))).clock.mta(line[:23])
    if stamp and line[23:24] == " " and line[20:21] == ".":
        assert read(line, named) == mta_text._record(line, 24, stamp, "config", named)


@given(mutated() | st.text(max_size=200) | st.sampled_from(LINES).flatmap(lambda line: st.text().map(lambda text: line[:24] + text)))
def test_any_line_is_one_record_or_not_ours(line: str) -> None:
    """Whatever a line holds, it is read without an exception, as one record, or left to another format."""
    out: list[Record] = []
    reached = mta_text.parse_run([line], 0, Log(Clock(ZoneInfo("UTC"))), out)
    assert len(out) == reached
    assert all(record.error for record in out if isinstance(record, Unparsed))


@given(st.lists(st.sampled_from(LINES), min_size=1, max_size=30), st.data())
def test_where_a_run_is_cut_makes_no_difference(lines: list[str], data: st.DataObject) -> None:
    """Lines read in two runs give the records that one run gives."""
    whole: list[Record] = []
    parts: list[Record] = []
    mta_text.parse_run(lines, 0, Log(Clock(ZoneInfo("UTC"))), whole)
    log = Log(Clock(ZoneInfo("UTC")))
    cut = data.draw(st.integers(0, len(lines)))
    mta_text.parse_run(lines[:cut], 0, log, parts)
    mta_text.parse_run(lines, cut, log, parts)
    assert parts == whole


names = st.text("abcdefghijklmnopqrstuvwxyz_-", min_size=1, max_size=12).filter(lambda name: name not in "-+")


@given(names, names | st.just(""), st.sampled_from(["E", "D", "Q", "R", "J", "EEA", "DS"]), st.sampled_from(["", "2e2d.2.1 ", "h 2e2d.5 "]))
def test_columns_tell_the_channels(source: str, destination: str, code: str, before: str) -> None:
    """Two channels of up to 12 columns, the second perhaps blank, are read from their columns, whatever they are called."""
    record = read(f"19-Jan-1998 19:16:57.64 {before}{source:<12} {destination:<12} {code} 1  rfc822;b@example.org b@example.org")
    assert isinstance(record, Mta)
    assert (record.source_channel, record.destination_channel, record.code) == (source, destination, code)
    assert record.null_sender
    assert record.pid == (0x2E2D if before else None)
    assert record.host == ("h" if before.startswith("h") else "")


@pytest.mark.parametrize("line", [line for line in LINES if "tcp_local" in line and " > " not in line])
def test_collapsed_blanks_lose_nothing_but_what_blanks_said(line: str) -> None:
    """A copy whose runs of blanks became one still gives channels, code and addresses."""
    whole, collapsed = read(line), read(" ".join(line.split()))
    if isinstance(whole, Mta | Connection) and not line.startswith(" ") and '"' not in line and whole.action not in "B":
        assert isinstance(collapsed, type(whole))
        for name in (
            "code",
            "source_channel",
            "destination_channel",
            "direction",
            "pid",
            "recipient",
            "sender",
            "size_blocks",
            "remote_ip",
        ):
            assert getattr(collapsed, name, None) == getattr(whole, name, None), name


@pytest.mark.parametrize("filler", ["(", " ", '"', "<", ">", "a", "1", "1:", "a ", "<>,", "TCP|", " dns;", "550 5", "([", ") smtp;"])
@pytest.mark.parametrize("head", ["", "E 1 ", "E 1 a@example.com rfc822;b b ", "B 0 a rfc822; ", "D 1 a rfc822;b b dns;h (TCP|a|1|b|2) ("])
def test_a_long_line_is_read_in_linear_time(head: str, filler: str) -> None:
    """A line of a megabyte of what an expression could stumble over is read in well under a second."""
    line = f"19-Jan-1998 19:16:57.64 tcp_local                 {head}" + filler * (1_000_000 // len(filler))
    before = time.process_time()
    read(line)
    assert time.process_time() - before < 1.0


def test_named_fields_decide_what_shape_cannot() -> None:
    """With the server's fields known, one bare word after the message id is the user name it is, and not a host's."""
    line = "19-Jan-1998 19:16:57.64 tcp_local    l            E 1 a@example.com rfc822;b@example.org b <i@example.com> john.doe"
    by_name, by_shape = read(line, ("message_id", "username")), read(line)
    assert isinstance(by_name, Mta) and isinstance(by_shape, Mta)
    assert by_name.username == "john.doe"
    assert by_shape.remote_name == "john.doe"
