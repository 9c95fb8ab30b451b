"""The framing of syslog over a stream: cut anywhere, the same messages; nothing lost, nothing twice, nothing made up."""

from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.inputs.syslog.framer import MAX_COUNT, UNENDED, Framed, Framer

LIMIT = 64


def framed(octets: bytes, cuts: list[int] | None = None, limit: int = LIMIT) -> tuple[list[Framed], str]:
    """All messages of a stream that comes in these pieces, and why it broke."""
    framer = Framer(limit)
    found: list[Framed] = []
    places = [0, *sorted(cut % (len(octets) + 1) for cut in cuts or []), len(octets)]
    for start, end in itertools.pairwise(places):
        found += framer.feed(octets[start:end])
    return found + framer.close(), framer.broken


def counted(message: bytes) -> bytes:
    return b"%d %b" % (len(message), message)


piece = st.one_of(
    st.binary(max_size=90),
    st.sampled_from(
        [b"\n", b"\r\n", b"\0\n", b"0 ", b"7 <1>", b"12 <13>message\n", b"99999999999 x", b"123456789012345678901 y", b"200 ", b"x" * 64]
    ),
    st.binary(min_size=1, max_size=200).map(counted),
    st.binary(max_size=200).map(lambda octets: b"<13>" + octets.replace(b"\n", b" ") + b"\r\n"),
)
cuts = st.lists(st.integers(0, 5000), max_size=30)


@given(st.lists(piece, max_size=12).map(b"".join), cuts)
def test_any_octets_cut_anywhere_are_the_same_messages(octets: bytes, cuts: list[int]) -> None:
    """Pieces of any size, down to single octets: the same messages, the same errors."""
    whole = framed(octets)
    assert framed(octets, cuts) == whole
    assert framed(octets, list(range(len(octets)))) == whole
    assert all(len(message.octets) <= LIMIT for message in whole[0])


message = st.binary(min_size=1, max_size=LIMIT).map(
    lambda octets: b"<1" + octets[2:].replace(b"\n", b"_").replace(b"\0", b"_").rstrip(b"\r") + b">"
)


@given(st.lists(st.tuples(message, st.sampled_from(["count", "lf", "crlf", "nul", "nul+lf", "count+lf"])), max_size=20), cuts)
def test_both_framings_mixed(messages: list[tuple[bytes, str]], cuts: list[int]) -> None:
    """What a sender framed comes out, whatever it changes its mind to in the middle."""
    ends = {"lf": b"\n", "crlf": b"\r\n", "nul": b"\0", "nul+lf": b"\0\n"}
    stream = b"".join(
        text + ends[how] if how in ends else counted(text) + (b"\n" if "lf" in how else b"") for text, how in messages if len(text) <= LIMIT
    )
    assert framed(stream, cuts) == ([Framed(text) for text, _ in messages if len(text) <= LIMIT], "")


def test_counted_messages_may_hold_lf() -> None:
    """An octet-counted message is its octets, LF or not."""
    assert framed(counted(b"<13>one\ntwo") + counted(b"<13>3"))[0] == [Framed(b"<13>one\ntwo"), Framed(b"<13>3")]


@pytest.mark.parametrize("length", [LIMIT - 1, LIMIT, LIMIT + 1, LIMIT + 2, 10 * LIMIT])
@pytest.mark.parametrize("framing", ["lf", "crlf", "count"])
def test_a_message_that_is_too_long_is_one_message(length: int, framing: str) -> None:
    """It is cut, says so, and its rest is no second record; the next one is whole."""
    text = b"<" + b"x" * (length - 1)
    first = counted(text) if framing == "count" else text + (b"\n" if framing == "lf" else b"\r\n")
    for cuts in ([], list(range(len(first)))):
        got, broken = framed(first + b"<13>next\n", cuts)
        assert [message.octets for message in got] == [text[:LIMIT], b"<13>next"]
        assert bool(got[0].error) == (length > LIMIT)
        assert (f"cut after {LIMIT}" in got[0].error) == (length > LIMIT)
        assert not broken


@pytest.mark.parametrize("count", [b"0", b"00", b"2000000", b"99999999999999999999"])
def test_an_absurd_count_ends_the_connection_and_keeps_what_was_read(count: bytes) -> None:
    """Everything before it, and the line it stands in; not what follows."""
    got, broken = framed(b"<13>before\n" + count + b" <13>text\n<13>lost\n")
    assert got[0] == Framed(b"<13>before")
    assert got[1].octets == count + b" <13>text"
    assert "octet count" in got[1].error
    assert len(got) == 2
    assert broken


def test_a_count_without_end_breaks_at_the_limit() -> None:
    """An absurd count before endless octets without LF does not wait for one."""
    framer = Framer(LIMIT)
    assert framer.feed(b"0 " + b"x" * LIMIT)
    assert framer.broken


def test_a_line_that_begins_with_digits_is_a_line() -> None:
    """A stamp or a number is no octet count, unless a blank follows the digits."""
    assert framed(b"2004-08-30T16:53:05Z mail imapd: x\n")[0] == [Framed(b"2004-08-30T16:53:05Z mail imapd: x")]
    assert framed(b"123\n456\n")[0] == [Framed(b"123"), Framed(b"456")]


def test_the_last_line_without_its_end_is_delivered_and_says_so() -> None:
    """LF or octets that never came are told in the error."""
    assert framed(b"<13>a\n<13>b")[0] == [Framed(b"<13>a"), Framed(b"<13>b", UNENDED)]
    assert framed(b"20 <13>half")[0] == [Framed(b"<13>half", "the connection ended after 8 of the message's 20 octets")]
    assert framed(b"<13>a\n\r\n\0")[0] == [Framed(b"<13>a")]
    assert framed(b"123")[0] == [Framed(b"123", UNENDED)]


def test_memory_is_bounded_and_time_linear() -> None:
    """Megabytes without LF keep no more than the limit; single octets cost no more for a long message than for a short one."""
    framer = Framer(4096)
    framer.feed(b"<")
    for _ in range(1000):
        assert framer.feed(b"x" * 4096) == []
        assert len(framer._held) <= 4097
    began = time.process_time()
    framer = Framer(MAX_COUNT)
    for _ in range(200_000):
        framer.feed(b"x")
    assert time.process_time() - began < 5
    assert len(framer.close()[0].octets) == 200_000
