"""Messages that the compiled twin takes out of a connection are those that Python does, wherever the connection is cut."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipper import compiled
from shipper.inputs.syslog.framer import Framed, Framer

MODULE, WHY = compiled.find()
pytestmark = pytest.mark.skipif(MODULE is None, reason=f"no compiled twin: {WHY}")

LIMIT = 64


def framed(octets: bytes, cuts: list[int], *, twin: bool) -> tuple[list[Framed], str, int]:
    """All messages of a stream that comes in these pieces, why it broke, and how many the twin took."""
    framer = Framer(LIMIT, MODULE if twin else None)
    found: list[Framed] = []
    taken = 0
    places = [0, *sorted(cut % (len(octets) + 1) for cut in cuts), len(octets)]
    for start, end in itertools.pairwise(places):
        messages, rest = framer.straight(octets[start:end])
        assert all(messages), "an empty one is for Python to count"
        taken += len(messages)
        found += [Framed(message) for message in messages]
        found += framer.feed(rest)
        if framer.broken:
            break
    return found + framer.close(), framer.broken, taken


def counted(message: bytes) -> bytes:
    return b"%d %b" % (len(message), message)


odd = st.one_of(
    st.binary(max_size=90),
    st.sampled_from(
        [
            b"\n",
            b"\r\n",
            b"\0\n",
            b"0 ",
            b"7 <1>",
            b"99999999999 x",
            b"123456789012345678901 y",
            b"200 ",
            b"5",
            b"2 \r\n",
            b"1 \n",
            b"12x\n",
        ]
    ),
    st.binary(min_size=1, max_size=200).map(counted),
)
text = st.one_of(
    st.binary(max_size=LIMIT + 2).map(lambda octets: b"<" + octets.replace(b"\n", b" ").replace(b"\0", b" ")),
    st.integers(LIMIT - 2, LIMIT + 2).map(lambda size: b"x" * size),
)
usual = st.one_of(
    text.map(lambda octets: octets + b"\n"),
    text.map(lambda octets: octets + b"\r\n"),
    text.map(lambda octets: octets + b"\0"),
    text.map(counted),
)
cuts = st.lists(st.integers(0, 5000), max_size=30)


@settings(max_examples=300)
@given(st.lists(st.one_of(usual, usual, usual, odd), max_size=16).map(b"".join), cuts)
def test_any_octets_cut_anywhere_are_the_same_messages(octets: bytes, cuts: list[int]) -> None:
    """With and without the twin: the same messages, errors and end."""
    assert framed(octets, cuts, twin=True)[:2] == framed(octets, cuts, twin=False)[:2]


@given(st.lists(usual, max_size=16).map(b"".join))
def test_single_octets_are_the_same_messages(octets: bytes) -> None:
    """However small the pieces."""
    every = list(range(len(octets)))
    assert framed(octets, every, twin=True)[:2] == framed(octets, every, twin=False)[:2]


def test_the_twin_takes_what_is_usual() -> None:
    """All whole messages of a piece, and the one that began in the piece before."""
    lines, counts = b"<13>one\n<13>two\r\n<13>three\n", counted(b"<13>one") + counted(b"<13>two\n") + counted(b"<13>three")
    for stream in (lines, counts):
        for cut in range(len(stream)):
            assert framed(stream, [cut], twin=True)[2] == 3
