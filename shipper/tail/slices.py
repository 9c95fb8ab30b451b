"""A slice of a file, read at a point between two lines -> blocks of whole lines, and the point after each. Pure.

What stands behind the last line end is left for the next slice: nothing is held between two of them, so a file costs no memory while it is
not read, and a point is always between two lines.
"""

from __future__ import annotations

import codecs
import sys
from collections.abc import Callable
from typing import NamedTuple

from shipper.framing import Block, blocks
from shipper.tail.marks import TAIL, Point, digest

LINES = 2000

_BOMS = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}


class Piece(NamedTuple):
    """Some lines, and the point after them. `unfinished`: the last one has no line end and will get none."""

    blocks: tuple[Block, ...]
    point: Point
    unfinished: bool = False


def encoding_of(begin: bytes) -> str:
    """`utf-16-le`, `utf-16-be` by a file's first octets, else `""`."""
    return next((name for name, mark in _BOMS.items() if begin.startswith(mark)), "")


def line_feeds(octets: bytes) -> int:
    """How many there are."""
    return octets.count(b"\n")


def line_ends(octets: bytes, encoding: str) -> list[int]:
    """Offsets directly after each LF."""
    if encoding:
        units = memoryview(octets[: len(octets) & ~1]).cast("H")
        native = encoding.endswith("le") == (sys.byteorder == "little")
        line_feed = 0x000A if native else 0x0A00
        return [2 * number + 2 for number, unit in enumerate(units) if unit == line_feed]
    ends = []
    end = octets.find(b"\n") + 1
    while end:
        ends.append(end)
        end = octets.find(b"\n", end) + 1
    return ends


def pieces(
    before: bytes, octets: bytes, position: int, encoding: str, max_line: int, count: Callable[[bytes], int] = line_feeds
) -> list[Piece]:
    """The whole lines of `octets`, which stand at `position` behind `before` (at least the last 1024 octets, or all there are). `count`: of LF."""
    ends = line_ends(octets, encoding) if encoding or count(octets) > LINES else [octets.rfind(b"\n") + 1]
    if ends == [0]:
        return []
    found = []
    start = 0
    for number in range(LINES - 1, len(ends) + LINES - 1, LINES):
        end = ends[min(number, len(ends) - 1)]
        point = Point(position + end, digest((before + octets[max(0, end - TAIL) : end])[-TAIL:]))
        found.append(Piece(framed(octets[start:end], position + start, encoding, max_line), point))
        start = end
    return found


def framed(octets: bytes, position: int, encoding: str, max_line: int) -> tuple[Block, ...]:
    """Blocks of lines that stand at `position`."""
    if not encoding or position == 0:
        return tuple(blocks([octets], position, max_line))
    mark = _BOMS[encoding]
    return tuple(block._replace(offset=block.offset + position - len(mark)) for block in blocks([mark + octets], 0, max_line))
