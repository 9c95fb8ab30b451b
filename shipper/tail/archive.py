"""The content of a compressed log, read forwards, as if it were a plain file.

Compressing a log makes a new file of another size with the same content. `measure` unpacks it once, without keeping anything, and says what is
needed to tell whose content it is; `Unpacked` gives slices of it.
"""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable, Iterable
from typing import NamedTuple

from shipper.archives import ArchiveBroken, Content
from shipper.tail.marks import BEGIN, TAIL, alike, digest, heads_of


class Measured(NamedTuple):
    """Of an archive's content: digests of its beginnings, octets, digests of what stands before the positions that were asked for, and why it
    cannot be read to its end. `size` is 0 where nobody had read a content that begins alike: then the rest was not unpacked."""

    heads: tuple[str, ...]
    size: int
    tails: dict[int, str]
    broken: str


def measure(path: str, known: Iterable[tuple[tuple[str, ...], int]], given_up: Callable[[], bool] = lambda: False) -> Measured:
    """Unpacks an archive; `known`: beginnings and positions of the contents that it may be a copy of. Raises OSError, also when `given_up`
    says so on the way."""
    with open(path, "rb", buffering=0) as stream:
        content = Unpacked(stream, path)
        heads = heads_of(content.read(0, BEGIN))
        positions = sorted({position for begin, position in known if position and (alike(begin, heads) or position < 16)})
        tails: dict[int, str] = {}
        if positions:
            for position in positions:
                before = min(TAIL, position)
                while content.end < position and not content.ended:
                    _go_on(given_up)
                    content.pull()
                octets = content.read(position - before, before)
                if len(octets) == before:
                    tails[position] = digest(octets)
            while not content.ended:
                _go_on(given_up)
                content.pull()
        return Measured(heads, content.end if content.ended else 0, tails, content.broken)


def _go_on(given_up: Callable[[], bool]) -> None:
    if given_up():
        raise OSError(errno.ECANCELED, os.strerror(errno.ECANCELED))


class Unpacked:
    """A window on the content that moves forwards. `end`: octets unpacked so far; `broken`: why it ended before its end."""

    def __init__(self, stream: io.FileIO, name: str) -> None:
        self._stream = stream
        content = Content(stream, name)
        self._chunks = content.chunks()
        self._window = b""
        self._start = 0
        self.ended = False
        self.broken = ""

    @property
    def end(self) -> int:
        return self._start + len(self._window)

    def pull(self, keep: int = TAIL) -> None:
        """Unpacks about one MiB more, and forgets all before it but `keep` octets."""
        try:
            chunk = next(self._chunks, None)
        except ArchiveBroken as failure:
            self.broken, chunk = str(failure), None
        if chunk is None:
            self.ended = True
            return
        kept = self._window[-keep:] if keep else b""
        self._start += len(self._window) - len(kept)
        self._window = kept + chunk

    def read(self, offset: int, size: int) -> bytes:
        """Octets of the content; what stands more than 1024 octets before the last read ones may be gone: `b""`."""
        while self.end < offset + size and not self.ended:
            self.pull(max(TAIL, self.end - offset + TAIL))
        begin = offset - self._start
        return self._window[begin : begin + size] if begin >= 0 else b""

    def close(self) -> None:
        self._stream.close()


def unpacked(descriptor: int, name: str) -> Unpacked:
    """The content behind an open descriptor, which it then owns."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    return Unpacked(io.FileIO(descriptor, "rb", closefd=True), name)
