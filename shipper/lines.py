"""Payloads that are held as the octets in which they stand one behind the other.

Most records go from the profile to the receiver, through a spool and back, without anyone looking at a single one. `Packed` is the same to all as
the list of them, and cuts itself into that only when somebody does look.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from struct import pack, unpack
from typing import overload


class Packed(Sequence[bytes]):
    """`count` payloads. `table`: where each ends, as little-endian numbers of four octets; None: they are lines, each with its LF, and no other
    LF in them."""

    __slots__ = ("_count", "_list", "_table", "octets")

    def __init__(self, octets: bytes, count: int, table: bytes | None = None) -> None:
        self.octets = octets
        self._count = count
        self._table = table
        self._list: list[bytes] | None = None

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | Sequence[bytes]:
        if isinstance(index, slice) and index.indices(self._count) == (0, self._count, 1):
            return self
        return self._cut()[index]

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._cut())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self._cut() == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Packed({self.octets!r}, {self._count})"

    @property
    def known(self) -> bytes | None:
        """`table`, as far as anyone knows it."""
        return self._table

    def table(self) -> bytes:
        """Where each ends."""
        if self._table is None:
            self._table = table(self._cut())
        return self._table

    def _cut(self) -> list[bytes]:
        if self._list is None:
            if self._table is None:
                self._list = [line + b"\n" for line in self.octets.split(b"\n")]
                self._list.pop()
            else:
                octets, ends = self.octets, unpack(f"<{self._count}I", self._table)
                self._list = [octets[start:end] for start, end in zip((0, *ends), ends, strict=False)]
        return self._list


def table(payloads: Sequence[bytes]) -> bytes:
    """Where each of these ends, one behind the other: see `Packed`."""
    return pack(f"<{len(payloads)}I", *accumulate(map(len, payloads)))


def packed(payloads: Sequence[bytes]) -> Packed:
    """The same, one behind the other."""
    return payloads if isinstance(payloads, Packed) else Packed(b"".join(payloads), len(payloads), table(payloads))


def size(payloads: Sequence[bytes]) -> int:
    """Octets of all of them."""
    return len(payloads.octets) if isinstance(payloads, Packed) else sum(map(len, payloads))


def joined(payloads: Sequence[bytes]) -> bytes:
    """All of them, one behind the other."""
    return payloads.octets if isinstance(payloads, Packed) else b"".join(payloads)


def together(several: Sequence[Sequence[bytes]]) -> Sequence[bytes]:
    """Several as one."""
    if len(several) == 1 and isinstance(several[0], Packed):
        return several[0]
    known = [each for each in several if isinstance(each, Packed)]
    if len(known) < len(several):
        return tuple([payload for each in several for payload in each])
    tables: list[bytes] = []
    before = 0
    for each in known if any(each.known is not None for each in known) else ():
        ends = unpack(f"<{len(each)}I", each.table())
        tables.append(pack(f"<{len(ends)}I", *[before + end for end in ends]) if before else each.table())
        before += len(each.octets)
    return Packed(b"".join([each.octets for each in known]), sum(map(len, known)), b"".join(tables) if tables else None)
