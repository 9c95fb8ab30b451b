"""`Packed` payloads are the list of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shipper.lines import Packed, joined, packed, size, together
from shipper.segment import Frame, parsed, written

LINES = st.lists(st.binary(max_size=6).map(lambda octets: octets.replace(b"\n", b"") + b"\n"), min_size=1, max_size=8)


@given(LINES, st.slices(8), st.lists(LINES, max_size=3))
def test_the_law(lines: list[bytes], part: slice, more: list[list[bytes]]) -> None:
    """Length, items, slices, sizes, and several together, of one sort or of both."""
    same = Packed(b"".join(lines), len(lines))
    assert (len(same), list(same), same[-1]) == (len(lines), lines, lines[-1])
    assert list(same[part]) == lines[part] and same[:] is same
    assert same == lines and same == packed(lines) and same != [*lines, b"\n"]
    assert size(same) == size(lines) and joined(same) == joined(lines)
    whole = [line for each in (lines, *more) for line in each]
    assert together([same, *(Packed(b"".join(each), len(each)) for each in more)]) == whole
    assert together([same, *map(packed, more)]) == whole
    assert list(together([same, *more])) == whole
    one = together([together([same, *map(packed, more)]), same])
    assert isinstance(one, Packed) and [len(part) for part in one.parts] == [*map(len, (lines, *more, lines))]
    assert (len(one), size(one), joined(one), one[-1]) == (len(whole) + len(lines), len(joined(one)), b"".join([*whole, *lines]), lines[-1])
    assert one.parts == (one,) and one == [*whole, *lines]


@given(st.lists(st.binary(max_size=4), min_size=1, max_size=8), st.slices(8))
def test_the_law_of_what_are_no_lines(payloads: list[bytes], part: slice) -> None:
    """LF in them or not, empty or not."""
    same = packed(payloads)
    assert (len(same), list(same), same[-1], list(same[part])) == (len(payloads), payloads, payloads[-1], payloads[part])
    assert size(same) == size(payloads) and joined(same) == joined(payloads) and packed(same) is same
    assert together([same, Packed(b"one\ntwo\n", 2), same]) == [*payloads, b"one\n", b"two\n", *payloads]


@given(st.lists(st.binary(max_size=4), min_size=1, max_size=6), LINES, st.integers(0, 2**32 - 1))
def test_a_frame_gives_back_what_it_was_made_of(payloads: list[bytes], lines: list[bytes], seed: int) -> None:
    """Lines or anything else."""
    for made in (payloads, lines, Packed(b"".join(lines), len(lines))):
        octets = b"".join(written(7, made, 1, seed))
        index = parsed(octets, seed, 0)
        assert index is not None
        (frame,) = index.pieces(octets[index.body : index.body + index.length])
        assert isinstance(frame, Frame) and (frame.first, list(frame.payloads)) == (7, list(made))
