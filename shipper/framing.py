"""Bytes of a file or stream -> blocks of whole lines.

A block is some hundred kilobytes of whole lines, so that what follows works on many lines at a time. A line ends with LF; a CR before it
stays in the line. The last line needs no LF.

- A line longer than `max_line` octets is cut there, and a block of its own: `cut` says how many octets were left out. Memory stays
  bounded, and the next line is whole.
- A stream that begins with a UTF-16 byte order mark is turned into UTF-8; `encoding` then says what the file has, as offsets are the
  file's.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from typing import NamedTuple

MAX_LINE = 1 << 20


class Block(NamedTuple):
    """Whole lines, joined by LF, without the last LF. `offset`: of its first octet, in the file. `cut`: octets left out of its one line."""

    data: bytes
    offset: int
    cut: int = 0
    encoding: str = ""

    def lines(self) -> list[bytes]:
        """The lines, without their LF."""
        return self.data.split(b"\n")


def blocks(chunks: Iterable[bytes], offset: int = 0, max_line: int = MAX_LINE) -> Iterator[Block]:
    """Cuts a stream, given in pieces of any size, at the ends of lines. `offset` is the file's offset of the first octet."""
    stream = iter(chunks)
    begin = b""
    for chunk in stream:
        begin += chunk
        if len(begin) >= 2:
            break
    if offset == 0 and begin[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        encoding = "utf-16-le" if begin[:2] == codecs.BOM_UTF16_LE else "utf-16-be"
        yield from _utf16(_after(begin, stream), encoding, max_line)
        return
    for data, start, cut in _whole_lines(_after(begin, stream), max_line):
        yield Block(data, offset + start, cut)


def _after(begin: bytes, stream: Iterator[bytes]) -> Iterator[bytes]:
    if begin:
        yield begin
    yield from stream


def _whole_lines(stream: Iterable[bytes], max_line: int) -> Iterator[tuple[bytes, int, int]]:
    """(whole lines without the last LF, offset of the first, octets left out)."""
    start = 0  # offset of the first octet that was not yielded yet
    parts: list[bytes | memoryview] = []  # the beginning of a line that has not ended, at most max_line octets
    held = 0  # its length so far, with what was left out
    for chunk in stream:
        first = chunk.find(b"\n")
        if first < 0:
            room = max_line - held
            if room > 0:
                parts.append(chunk[:room])
            held += len(chunk)
            continue
        position = 0
        last = chunk.rfind(b"\n")
        if held and held + first <= max_line:
            parts.append(memoryview(chunk)[:last])  # joined without another copy
            whole = b"".join(parts)
            for data, begins, cut in _bounded(whole, max_line):
                yield data, start + begins, cut
            parts, held = [], 0
            start += len(whole) + 1
            position = last + 1
        elif held:
            length = held + first
            room = max_line - held
            if room > 0:
                parts.append(chunk[: min(first, room)])
            yield b"".join(parts), start, max(0, length - max_line)
            parts, held = [], 0
            start += length + 1
            position = first + 1
        if last >= position:
            for data, begins, cut in _bounded(chunk[position:last], max_line):
                yield data, start + begins, cut
            start += last + 1 - position
            position = last + 1
        rest = len(chunk) - position
        if rest:
            parts, held = [chunk[position : position + max_line]], rest
    if held:
        yield b"".join(parts), start, max(0, held - max_line)


def _bounded(data: bytes, max_line: int) -> Iterator[tuple[bytes, int, int]]:
    """Whole lines -> the same; one that is too long apart from the others, and cut."""
    if len(data) <= max_line:
        yield data, 0, 0
        return
    start = position = 0
    while len(data) - position > max_line:
        end = data.rfind(b"\n", position, position + max_line + 1)
        if end >= 0:  # all lines up to there are short enough
            position = end + 1
            continue
        end = data.find(b"\n", position)
        stop = end if end >= 0 else len(data)
        if position > start:
            yield data[start : position - 1], start, 0
        yield data[position : position + max_line], position, stop - position - max_line
        start = position = stop + 1
        if end < 0:
            return
    yield data[start:], start, 0


def _utf16(stream: Iterable[bytes], encoding: str, max_line: int) -> Iterator[Block]:
    """A UTF-16 stream as UTF-8 blocks; half a character at the end, or half a pair, becomes U+FFFD."""
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")

    def text() -> Iterator[bytes]:
        first = True
        for chunk in stream:
            piece = decoder.decode(chunk)
            if first and piece:
                piece, first = piece[1:], False
            yield piece.encode()
        yield decoder.decode(b"", final=True).encode()

    offset = 2
    for data, _, cut in _whole_lines(text(), max_line):
        yield Block(data, offset, cut, encoding)
        offset += len(data.decode(errors="replace").encode(encoding)) + cut + 2
