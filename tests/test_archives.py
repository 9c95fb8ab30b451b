"""Archives: what is in them comes out, whatever their kind and number of members; what is broken says so after all that could be read."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import sys
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipper.archives import CHUNK, ArchiveBroken, Content, kind_of

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": lambda data: zstd.compress(data, options={zstd.CompressionParameter.checksum_flag: 1}),
}
LINES = b"".join(b"line %d of a log\n" % number for number in range(20_000))


class Dribble(io.RawIOBase):
    """A pipe that gives a few octets at a time."""

    def __init__(self, data: bytes, step: int) -> None:
        self.rest, self.step = data, step

    def read(self, size: int = -1) -> bytes:
        size = self.step if size < 0 else min(size, self.step)
        piece, self.rest = self.rest[:size], self.rest[size:]
        return piece


def unpacked(data: bytes) -> tuple[bytes, ArchiveBroken | None]:
    """The content, and how it broke off."""
    pieces = []
    try:
        for chunk in Content(io.BytesIO(data), "a").chunks():
            pieces.append(chunk)
    except ArchiveBroken as broken:
        return b"".join(pieces), broken
    return b"".join(pieces), None


@pytest.mark.parametrize("place", (None, 30, 20_000, -6))
def test_gzip_is_the_same_whoever_unpacks_it(place: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """By isal, where that is installed, or by zlib: the same content, of several members too; of a damaged one up to a piece, and that it is."""
    packed = bytearray(gzip.compress(LINES, mtime=0) + gzip.compress(LINES[:100], mtime=0))
    if place is not None:
        packed[place] ^= 0xFF
    found, broken = unpacked(bytes(packed))
    monkeypatch.setattr("shipper.archives._gzip", lambda _: zlib)
    wanted, failed = unpacked(bytes(packed))
    assert (broken is None) == (failed is None) == (place is None)
    assert abs(len(found) - len(wanted)) <= 1 << 15
    assert found == wanted or place is not None
    assert "Error" not in str(broken)


@pytest.mark.parametrize("flags", range(32))
def test_headers_of_gzip_come_in_pieces(flags: int) -> None:
    """With any of their optional parts (RFC 1952), as programs that pack in parallel write them, wherever a read ends."""
    header = b"\x1f\x8b\x08" + bytes([flags]) + bytes(6)
    header += b"\3\0abc" * bool(flags & 4) + b"mail.log\0" * bool(flags & 8) + b"a comment\0" * bool(flags & 16)
    if flags & 2:
        header += (zlib.crc32(header) & 0xFFFF).to_bytes(2, "little")
    packed = header + gzip.compress(LINES[:100], mtime=0)[10:]

    for step in range(1, len(header)):
        assert b"".join(Content(Dribble(packed, step), "a.gz").chunks()) == LINES[:100]


@pytest.mark.parametrize("kind", PACK)
def test_members_and_padding(kind: str) -> None:
    """One member, several, empty ones, and zeros between and behind them: all of the content, and all of the file read."""
    pack = PACK[kind]
    one = pack(LINES)
    for packed, times in ((one, 1), (one + one, 2), (pack(b"") + one + b"\0" * 70_000 + one + b"\0\0\0\0", 2), (pack(b""), 0)):
        content = Content(io.BytesIO(packed), "a")
        assert b"".join(content.chunks()) == LINES * times
        assert (content.kind, content.position) == (kind, len(packed))


def test_archives_of_several_kinds_in_one_file() -> None:
    """`cat a.gz b.zst c.xz d.bz2` is read as what it is."""
    packed = b"".join(pack(b"%s\n" % kind.encode()) for kind, pack in PACK.items())
    assert unpacked(packed) == (b"gzip\nbzip2\nxz\nzstd\n", None)


@pytest.mark.parametrize("step", (1, 2, 3, 7, 4096))
@pytest.mark.parametrize("kind", PACK)
def test_a_pipe_may_give_little_at_a_time(kind: str, step: int) -> None:
    """Where a stream is cut makes no difference."""
    packed = PACK[kind](LINES[:2000])
    assert b"".join(Content(Dribble(packed + packed, step), "a").chunks()) == LINES[:2000] * 2


def test_told_by_content_and_not_by_name() -> None:
    """A text named .gz is text; a gzip without an ending is unpacked; a text that begins like one is text."""
    assert b"".join(Content(io.BytesIO(b"19-Jan-1998\n"), "mail.log.gz").chunks()) == b"19-Jan-1998\n"
    for text in (b"", b"B", b"BZh9 is no archive\n", b"\x1f", b"\xfd7zX", b"Q", b"P*M\n"):
        assert kind_of(text) == ""
        assert b"".join(Content(io.BytesIO(text), "a").chunks()) == text


def test_a_plain_pipe_is_not_waited_for() -> None:
    """Lines that came are given out before the pipe has ended."""
    reading, writing = os.pipe()
    with open(reading, "rb", buffering=0) as stream:
        os.write(writing, b"x\n")
        assert next(Content(stream, "-").chunks()) == b"x\n"
        os.close(writing)


def test_gzip_says_when_it_was_written_to() -> None:
    """The time in the header dates a debug log in an archive."""
    content = Content(io.BytesIO(gzip.compress(b"x", mtime=915107696)), "a")
    list(content.chunks())
    assert content.modified == 915107696


@pytest.mark.parametrize("kind", PACK)
def test_cut_anywhere(kind: str) -> None:
    """A cut archive gives a beginning of its content, then where it broke; never all, never an error of another kind."""
    text = LINES[:5000]
    packed = PACK[kind](text)
    for length in range(10, len(packed)):
        content, broken = unpacked(packed[:length])
        assert text.startswith(content)
        assert broken is not None, length
        assert broken.position == length
    content, broken = unpacked(PACK[kind](LINES)[:-2])
    assert len(content) > len(LINES) - 200_000
    assert broken is not None and "ends in the middle" in str(broken)


@pytest.mark.parametrize("kind", PACK)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damaged_anywhere(kind: str, data: st.DataObject) -> None:
    """A wrong octet is told by the archive's own checksum, if it was not in a place that says nothing (a date, a name)."""
    text = LINES[:3000]
    packed = bytearray(PACK[kind](text))
    position = data.draw(st.integers(10, len(packed) - 1))
    packed[position] ^= data.draw(st.integers(1, 255))
    content, broken = unpacked(bytes(packed))
    assert broken is not None or content == text


def test_what_is_behind_an_archive_is_told() -> None:
    """Octets behind the last member that are no archive: all before them is given, and they are not passed over in silence."""
    content, broken = unpacked(gzip.compress(LINES) + b"mail.log goes on\n")
    assert content == LINES
    assert broken is not None and "something else" in broken.reason


@pytest.mark.parametrize("kind", PACK)
def test_a_bomb_comes_in_pieces(kind: str) -> None:
    """A hundred megabytes of zeros come in chunks of a megabyte."""
    size = 20_000_000 if kind == "xz" else 100_000_000
    packed = PACK[kind](bytes(size))
    total = 0
    for chunk in Content(io.BytesIO(packed), "a").chunks():
        assert len(chunk) <= CHUNK + (1 << 15)
        total += len(chunk)
    assert total == size
