"""What a file holds, unpacked: plain, gzip, bzip2, xz or zstd, told by its first octets and not by its name.

- Any number of members or frames one after the other, of one kind or of several, with zeros between or after them (tapes, xz padding).
- Unpacked in pieces of 32 KiB, so that an archive of a million zeros for each octet costs time and no memory.
- What can be read of a damaged archive is given out before `ArchiveBroken` says where and why it ended.
"""

from __future__ import annotations

import bz2
import lzma
import re
import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

CHUNK = 1 << 18
"""Octets of a chunk, about: a plain file's reads, and what unpacked pieces are joined to. A thousand lines: more at a time is no faster."""

_PACKED = 1 << 16
_PIECE = 1 << 15
"""What one call unpacks at most; also what is lost before a damaged place, as a call that fails gives nothing."""

_XZ_MEMORY = 100 << 20
"""A dictionary of 64 MiB (`xz -9`) and what it needs besides; more is refused."""
_ZSTD_WINDOW = 27
"""Windows up to 128 MiB (`zstd --long`), as the zstd command takes without being told to."""

_NUMBER = re.compile(r"^Error -[0-9]+ ")
"""What isal puts before the reason."""
_ONE_PIECE = frozenset((b"\0", b"\4", b"\10", b"\20"))
"""Flags of gzip headers that isal reads: with one optional piece at most, and no checksum. In others it loses its way when they come in two reads."""
_MAGIC = re.compile(
    rb"(?P<gzip>\x1f\x8b\x08)|(?P<bzip2>BZh[1-9](?:1AY&SY|\x17rE8P\x90))|(?P<xz>\xfd7zXZ\0)|(?P<zstd>\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18)"
)
_MAGIC_SIZE = 10
_FIRST = frozenset(b"\x1fB\xfd\x28" + bytes(range(0x50, 0x60)))


class ArchiveBroken(Exception):
    """An archive that ends too early or makes no sense. `position`: how many octets of the packed file had been read."""

    def __init__(self, name: str, reason: str, position: int) -> None:
        super().__init__(f"{name}: {reason}, after {position:,} octets")
        self.name = name
        self.reason = reason
        self.position = position


class Stream(Protocol):
    """Any unbuffered binary file, pipe or socket file: `read` gives some octets, none at the end."""

    def read(self, size: int, /) -> bytes | None: ...


class _Unpacker(Protocol):
    """What bz2, lzma and zstd have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


def _gzip(begin: bytes) -> Any:
    """What unpacks a gzip member; isal takes half of the time, and is loaded when there is something for it."""
    if begin[3:4] not in _ONE_PIECE:
        return zlib
    try:
        from isal import isal_zlib
    except ImportError:
        return zlib
    return isal_zlib


class _Gzip:
    """One gzip member, in the shape of the others."""

    def __init__(self, begin: bytes) -> None:
        module = _gzip(begin)
        self._damage = module.error
        self._stream: zlib._Decompress = module.decompressobj(31)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        try:
            piece = self._stream.decompress(self._stream.unconsumed_tail + data, max_length)
        except self._damage as damage:
            raise zlib.error(_NUMBER.sub("", str(damage))) from damage
        self.needs_input = not self._stream.unconsumed_tail and len(piece) < max_length
        return piece


_UNPACKERS: dict[str, Callable[[bytes], _Unpacker]] = {
    "gzip": _Gzip,
    "bzip2": lambda _: bz2.BZ2Decompressor(),
    "xz": lambda _: lzma.LZMADecompressor(lzma.FORMAT_XZ, _XZ_MEMORY),
    "zstd": lambda _: zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW}),
}
_DAMAGE = (zlib.error, lzma.LZMAError, zstd.ZstdError, OSError, EOFError, ValueError)


def kind_of(begin: bytes) -> str:
    """`gzip`, `bzip2`, `xz` or `zstd`, by the first octets of a file (10 are enough); `""` for anything else."""
    found = _MAGIC.match(begin)
    return str(found.lastgroup) if found else ""


class Content:
    """The content of one stream. `kind`: `""` for a plain one, known when the first chunk is, as is `modified`: when what was packed had last
    been written to, in seconds since 1970, 0 where that is not said. `position`: octets read of the stream."""

    def __init__(self, stream: Stream, name: str, chunk: int = CHUNK) -> None:
        self.name = name
        self.kind = ""
        self.modified = 0
        self.position = 0
        self._stream = stream
        self._chunk = chunk

    def chunks(self) -> Iterator[bytes]:
        """The content in pieces of up to `chunk` and a little. Raises `ArchiveBroken`, after all that could be read, and OSError."""
        begin = self._begin(b"")
        self.kind = kind_of(begin)
        if not self.kind:
            if begin:
                yield begin
            while data := self._read(self._chunk):
                yield data
            return
        if self.kind == "gzip":
            self.modified = int.from_bytes(begin[4:8], "little")
        pieces: list[bytes] = []
        size = 0
        broken: ArchiveBroken | None = None
        try:
            for piece in self._unpacked(begin, self.kind):
                pieces.append(piece)
                size += len(piece)
                if size >= self._chunk:
                    yield b"".join(pieces)
                    pieces, size = [], 0
        except ArchiveBroken as failure:
            broken = failure
        if pieces:
            yield b"".join(pieces)
        if broken is not None:
            raise broken

    def _unpacked(self, data: bytes, kind: str) -> Iterator[bytes]:
        """The pieces of all members, the first of which begins with `data`."""
        while True:
            unpacker = _UNPACKERS[kind](data)
            while not unpacker.eof:
                if unpacker.needs_input and not data and not (data := self._read(_PACKED)):
                    raise ArchiveBroken(self.name, f"the {kind} archive ends in the middle", self.position)
                try:
                    piece = unpacker.decompress(data, _PIECE)
                except _DAMAGE as damage:
                    raise ArchiveBroken(
                        self.name, f"the {kind} archive is damaged ({str(damage).rpartition(': ')[2]})", self.position
                    ) from damage
                data = b""
                if piece:
                    yield piece
            data = unpacker.unused_data.lstrip(b"\0")
            while not data and (more := self._read(_PACKED)):
                data = more.lstrip(b"\0")
            data = self._begin(data)
            if not data:
                return
            kind = kind_of(data)
            if not kind:
                raise ArchiveBroken(self.name, "something else after the end of the archive", self.position - len(data))

    def _begin(self, data: bytes) -> bytes:
        """Enough octets to tell the kind by, or all there are. A stream that can be none of the archives is not waited for."""
        while len(data) < _MAGIC_SIZE and (not data or data[0] in _FIRST) and (more := self._read(_PACKED)):
            data += more
        return data

    def _read(self, size: int) -> bytes:
        data = self._stream.read(size) or b""
        self.position += len(data)
        return data
