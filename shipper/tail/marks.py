"""How a file's content is known again after its name, its inode or its size has changed. Pure: octets come from a function.

A content is known by its beginning (digests of its first 16, 64, 256, 1024 and 4096 octets, as many as there are) and by what stands
directly before the position up to which it was read (a digest of the last 1024 octets there). Names and inodes only say where to look
first: the system gives an inode to a new file as soon as the old one is gone, and logs that begin with a banner all begin alike.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import NamedTuple

import msgspec

LADDER = (16, 64, 256, 1024, 4096)
BEGIN = LADDER[-1]
TAIL = 1024
SURE = 64
"""Octets that have to be read of a file that is not there any more before another file is taken for it."""

Read = Callable[[int, int], bytes]
"""`read(offset, size)`: octets of the content, fewer at its end. May raise OSError."""


class Point(NamedTuple):
    """A place between two lines. `tail`: digest of the octets directly before it. `date`: that the reader was at, in logs whose lines have
    only a time of day. `inside`: it is in a line of which no more is read."""

    position: int = 0
    tail: str = ""
    date: tuple[int, int, int] | None = None
    inside: bool = False


class Mark(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is remembered of one content over a restart. `real`: the file itself where `path` is a symbolic link. `size`: octets there were
    when it was last looked at; `seen`: when that was, seconds since 1970. `rolled`: nothing more is written to it. `kind` of an archive, with the
    nanoseconds since 1970 at which it was written and whether it is read to its end: it is not unpacked again to be known. `device` is negative
    where the file has another content now. `limit`: what stands behind this octet is read elsewhere. `inside`: the position is
    in a line of which no more is read."""

    path: str
    device: int = 0
    inode: int = 0
    heads: tuple[str, ...] = ()
    position: int = 0
    tail: str = ""
    date: tuple[int, int, int] | None = None
    size: int = 0
    seen: float = 0
    real: str = ""
    rolled: bool = False
    kind: str = ""
    modified: int = 0
    finished: bool = False
    limit: int | None = None
    inside: bool = False


def digest(octets: bytes) -> str:
    """16 hex digits. BLAKE2b, as who writes into a log must not be able to make two contents look like one."""
    return blake2b(octets, digest_size=8).hexdigest()


def heads_of(begin: bytes) -> tuple[str, ...]:
    """The digests of the beginnings of a content whose first octets are given: up to 4096, or all there are."""
    return tuple([digest(begin[:length]) for length in LADDER if length <= len(begin)])


def alike(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether two contents begin alike, as far as both are known: at least their first 16 octets."""
    common = min(len(one), len(other))
    return common > 0 and one[common - 1] == other[common - 1]


def holds(point: Point, read: Read) -> bool:
    """Whether a content has before this point what stood there when it was read."""
    before = min(TAIL, point.position)
    return digest(read(point.position - before, before)) == point.tail if before else True


def continues(heads: tuple[str, ...], point: Point, its_heads: tuple[str, ...], its_size: int, its_read: Read) -> bool:
    """Whether a file has the content that begins with `heads`, was read up to `point`, and perhaps goes on."""
    if not 0 < point.position <= its_size:
        return False
    if min(LADDER[0], point.position, its_size) >= LADDER[0] and not alike(heads, its_heads):
        return False
    return holds(point, its_read)


def begins(read: Read, size: int, whole: Read, whole_size: int) -> bool:
    """Whether the content of `size` octets is a beginning of the whole one, by its first and its last 4096 octets."""
    if not 0 < size <= whole_size:
        return False
    if read(0, min(BEGIN, size)) != whole(0, min(BEGIN, size)):
        return False
    start = max(0, size - BEGIN)
    return read(start, size - start) == whole(start, size - start)
