"""Payloads that are lines of text, held as the octets in which they stand one behind the other.

Most lines go from the profile to the file, through a spool and back, without anyone looking at a single one. `Lines` is the same to all as the
list of them, and cuts itself into that only when somebody does look.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload


class Lines(Sequence[bytes]):
    """`count` lines, each with its LF, and no other LF in them."""

    __slots__ = ("_count", "_list", "octets")

    def __init__(self, octets: bytes, count: int) -> None:
        self.octets = octets
        self._count = count
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
        return self._lines()[index]

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._lines())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Lines):
            return self.octets == other.octets
        return isinstance(other, Sequence) and self._lines() == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Lines({self.octets!r}, {self._count})"

    def ends(self) -> list[int]:
        """Where each ends: the octet behind its LF."""
        ends = []
        end = self.octets.find(b"\n") + 1
        while end:
            ends.append(end)
            end = self.octets.find(b"\n", end) + 1
        return ends

    def _lines(self) -> list[bytes]:
        if self._list is None:
            self._list = [line + b"\n" for line in self.octets.split(b"\n")]
            self._list.pop()
        return self._list


def size(payloads: Sequence[bytes]) -> int:
    """Octets of all of them."""
    return len(payloads.octets) if isinstance(payloads, Lines) else sum(map(len, payloads))


def joined(payloads: Sequence[bytes]) -> bytes:
    """All of them, one behind the other."""
    return payloads.octets if isinstance(payloads, Lines) else b"".join(payloads)


def together(several: Sequence[Sequence[bytes]]) -> Sequence[bytes]:
    """Several as one."""
    lines = [each for each in several if isinstance(each, Lines)]
    if len(lines) < len(several):
        return tuple([payload for each in several for payload in each])
    return lines[0] if len(lines) == 1 else Lines(b"".join([each.octets for each in lines]), sum(map(len, lines)))
