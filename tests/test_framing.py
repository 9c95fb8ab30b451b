"""Framing: the same lines, whatever pieces they come in."""

from __future__ import annotations

from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from shipper.framing import Block, blocks


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    """The data in pieces of these sizes, and the rest in one."""
    pieces, position = [], 0
    for size in sizes:
        pieces.append(data[position : position + size])
        position += size
    return [*pieces, data[position:]]


def frames(found: list[Block]) -> list[tuple[int, bytes, int]]:
    """(offset, line, octets left out) of each line."""
    lines = []
    for block in found:
        offset = block.offset
        for line in block.lines():
            lines.append((offset, line, block.cut))
            offset += len(line) + 1
    return lines


logs = st.lists(st.binary(max_size=12).filter(lambda line: b"\n" not in line), max_size=12).map(b"\n".join) | st.binary(max_size=60)
safe = logs.filter(lambda data: data[:2] not in (b"\xff\xfe", b"\xfe\xff"))


@given(safe, st.lists(st.integers(0, 20), max_size=12), st.booleans())
def test_pieces_make_no_difference(data: bytes, sizes: list[int], ends: bool) -> None:
    """Every line once, in order, at its offset, however the stream is cut; with or without the last LF."""
    if ends and data:
        data += b"\n"
    expected, offset = [], 0
    for line in data.split(b"\n") if data else []:
        expected.append((offset, line, 0))
        offset += len(line) + 1
    if data.endswith(b"\n"):
        expected.pop()
    assert frames(list(blocks(cut(data, sizes)))) == expected


@given(safe, st.lists(st.integers(0, 20), max_size=12), st.integers(1, 8))
def test_a_long_line_costs_only_itself(data: bytes, sizes: list[int], limit: int) -> None:
    """With a limit, long lines are cut at it and say how much was left out; all others are whole, in their place."""
    long = frames(list(blocks(cut(data, sizes), max_line=limit)))
    whole = frames(list(blocks([data])))
    assert long == [(offset, line[:limit], max(0, len(line) - limit)) for offset, line, _ in whole]


def test_a_bomb_of_zeros_takes_the_memory_of_one_line() -> None:
    """Gigabytes without an LF are one line; not more than its limit is held."""
    chunk = bytes(1 << 20)
    (block,) = blocks(islice(iter(lambda: chunk, b""), 2000), max_line=1 << 20)
    assert len(block.data) == 1 << 20
    assert block.cut == 1999 << 20


@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40), st.sampled_from(["utf-16-le", "utf-16-be"]), st.lists(st.integers(0, 9))
)
def test_utf16_files_become_utf8(text: str, encoding: str, sizes: list[int]) -> None:
    """A file with a UTF-16 byte order mark gives the lines it shows, with the file's own offsets."""
    data = ("\ufeff" + text).encode(encoding)
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    found = list(blocks(cut(data, sizes)))
    assert [line for block in found for line in block.lines()] == [line.encode() for line in lines]
    for block in found:
        assert data[block.offset :].startswith(block.lines()[0].decode().encode(encoding))
