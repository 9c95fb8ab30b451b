"""Payloads that are held as the octets in which they stand one behind the other.

Most records go from the profile to the receiver, through a spool and back, without anyone looking at a single one. `Packed` is the same to all as
the list of them, and cuts itself into that only when somebody does look. Several together are one in parts, whose octets stay where they are until
somebody wants them in one piece.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from struct import pack, unpack
from typing import overload


class Packed(Sequence[bytes]):
    """`count` payloads. `table`: where each ends, as little-endian numbers of four octets; None: they are lines, each with its LF, and no other
    LF in them. `parts`: those that it is made of, itself where it is in one piece."""

    __slots__ = ("_count", "_list", "_octets", "_parts", "_table")

    def __init__(self, octets: bytes, count: int, table: bytes | None = None) -> None:
        self._octets = octets
        self._count = count
        self._table = table
        self._parts: tuple[Packed, ...] = ()
        self._list: list[bytes] | None = None

    @classmethod
    def of(cls, parts: Sequence[Packed]) -> Packed:
        """Several as one."""
        if len(parts) == 1:
            return parts[0]
        whole = cls(b"", sum(map(len, parts)))
        whole._parts = tuple([piece for part in parts for piece in part.parts])
        return whole

    @property
    def parts(self) -> tuple[Packed, ...]:
        return self._parts or (self,)

    @property
    def octets(self) -> bytes:
        """All of them, one behind the other."""
        if parts := self._parts:  # another thread may be at the same
            self._table = self.known
            self._octets = b"".join([part.octets for part in parts])
            self._parts = ()
        return self._octets

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
        return self.table() if any(part.known is not None for part in self._parts) else self._table

    def table(self) -> bytes:
        """Where each ends."""
        if self._table is None:
            parts = self._parts
            self._table = _behind_each_other(parts) if parts else table(self._cut())
        return self._table

    def _cut(self) -> list[bytes]:
        if self._list is None:
            if parts := self._parts:
                self._list = [payload for part in parts for payload in part]
            elif self._table is None:
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
    return sum([len(part.octets) for part in payloads.parts]) if isinstance(payloads, Packed) else sum(map(len, payloads))


def joined(payloads: Sequence[bytes]) -> bytes:
    """All of them, one behind the other."""
    return payloads.octets if isinstance(payloads, Packed) else b"".join(payloads)


def together(several: Sequence[Sequence[bytes]]) -> Sequence[bytes]:
    """Several as one."""
    known = [each for each in several if isinstance(each, Packed)]
    if len(known) < len(several):
        return tuple([payload for each in several for payload in each])
    return Packed.of(known)


def _behind_each_other(parts: Sequence[Packed]) -> bytes:
    """`Packed.table` of these together."""
    tables: list[bytes] = []
    before = 0
    for part in parts:
        ends = unpack(f"<{len(part)}I", part.table())
        tables.append(pack(f"<{len(ends)}I", *[before + end for end in ends]) if before else part.table())
        before += len(part.octets)
    return b"".join(tables)
