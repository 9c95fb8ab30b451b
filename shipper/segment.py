"""The octets of a spool's segment: frames, one behind the other, each of which says twice what is in it.

    index │ payloads │ index      index = mark first count length observed crc │ end of each payload │ crc up to there
                                          4    8     4     4      8        4     count * 4             count * 4

Every payload has a number; `first` is that of the first one of the frame, `length` what all of them have together, `observed` when they arrived.
The crc of the index is over all of it but the mark, which says whether it is the one before or behind the payloads. All checksums start from
the segment's seed, so that a log line that looks like a frame is none.

- Where one index is damaged, the other has it all. Where a payload is damaged, only that one is: the checksum behind a good one follows from that
  before it. Where none is, the last one says so, at once.
- Frames of 0.1 have one index, without lengths, and one crc over all payloads, which are msgpack: they are read, and not written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from struct import Struct, pack, unpack
from typing import Any, NamedTuple, Protocol

import msgpack  # type: ignore[import-untyped]

from shipper.checksum import crc32
from shipper.lines import Packed, packed
from shipper.lines import size as octets

_MARK = b"\xf5SP"
_OLD = _MARK + b"\x01"
_BEFORE = _MARK + b"\x02"
_BEHIND = _MARK + b"\x03"
_FIELDS = Struct(">QIIq")
_FIXED = 4 + _FIELDS.size + 4
_OLD_FIELDS = Struct(">4sQIIII")


@dataclass(frozen=True, slots=True)
class Frame:
    """Payloads that came together, the number of the first, and when that arrived (nanoseconds since 1970)."""

    first: int
    observed: int
    payloads: Sequence[bytes]


class Damaged(NamedTuple):
    """Octets of a segment where payloads were, from and to."""

    start: int
    stop: int


class Index(Protocol):
    """Where a frame is, and what: offsets in its segment of itself (`start`, `stop`) and of its payloads (`body`, of `length`); the number of its
    first payload, and the one behind its last."""

    @property
    def start(self) -> int: ...
    @property
    def body(self) -> int: ...
    @property
    def length(self) -> int: ...
    @property
    def stop(self) -> int: ...
    @property
    def first(self) -> int: ...
    @property
    def end(self) -> int: ...

    def pieces(self, body: bytes) -> list[Frame | Damaged]:
        """What its payloads are, in order, the good ones together. `body` may lack its end."""
        ...


class _Index(NamedTuple):
    start: int
    body: int
    length: int
    stop: int
    first: int
    end: int
    observed: int
    table: bytes
    seed: int

    def pieces(self, body: bytes) -> list[Frame | Damaged]:
        count = self.end - self.first
        if len(body) == self.length and crc32(body, self.seed) == int.from_bytes(self.table[-4:], "little"):
            return [Frame(self.first, self.observed, Packed(body, count, self.table[: 4 * count]))]
        table = unpack(f"<{2 * count}I", self.table)
        ends, checks = table[:count], table[count:]
        payloads = tuple([body[start:end] for start, end in zip((0, *ends), ends, strict=False)])
        before = (self.seed, *checks)
        good = [end <= len(body) and crc32(*given) == check for *given, check, end in zip(payloads, before, checks, ends, strict=False)]
        found: list[Frame | Damaged] = []
        start = 0
        while start < count:
            stop = start + 1
            while stop < count and good[stop] == good[start]:
                stop += 1
            if good[start]:
                found.append(Frame(self.first + start, self.observed, payloads[start:stop]))
            else:
                found.append(Damaged(self.body + (ends[start - 1] if start else 0), self.body + ends[stop - 1]))
            start = stop
        return found


class _OldIndex(NamedTuple):
    start: int
    body: int
    length: int
    stop: int
    first: int
    end: int
    crc: int
    seed: int

    def pieces(self, body: bytes) -> list[Frame | Damaged]:
        if len(body) == self.length and crc32(body, self.seed) == self.crc:
            try:
                observed, payloads = msgpack.unpackb(body)
                if len(payloads) == self.end - self.first:
                    return [Frame(self.first, observed, tuple(payloads))]
            except (ValueError, TypeError, msgpack.UnpackException):
                pass
        return [Damaged(self.start, self.stop)]


def size(payloads: Sequence[bytes]) -> int:
    """Octets of a frame of these."""
    return 2 * (_FIXED + 8 * len(payloads)) + octets(payloads)


def written(first: int, payloads: Sequence[bytes], observed: int, seed: int, twin: Any = None) -> list[bytes]:
    """A frame, in parts. `twin`: the module that `compiled.find` found; it makes the same sooner."""
    whole = packed(payloads)
    table: bytes = _sealed(whole, seed) if twin is None else twin.sealed(whole.octets, whole.known, seed)
    fields = _FIELDS.pack(first, len(whole), len(whole.octets), observed)
    index = fields + crc32(table, crc32(fields, seed)).to_bytes(4, "big") + table
    return [_BEFORE, index, whole.octets, _BEHIND, index]


def _sealed(payloads: Packed, seed: int) -> bytes:
    """The end of each payload, and then the checksums up to there."""
    check, checks = seed, []
    for payload in payloads:
        check = crc32(payload, check)
        checks.append(check)
    return payloads.table() + pack(f"<{len(checks)}I", *checks)


def index_octets(header: bytes) -> int:
    """How many octets an index has that begins so, if it is one; 0 if it is none."""
    mark = header[:4]
    if mark in (_BEFORE, _BEHIND) and len(header) >= _FIXED:
        return _FIXED + 8 * int.from_bytes(header[12:16], "big")
    return _OLD_FIELDS.size if mark == _OLD else 0


def parsed(octets: bytes, seed: int, offset: int, at: int = 0) -> Index | None:
    """The index that stands there in `octets`, which are from `offset` on; None if none does, or it is damaged."""
    mark = octets[at : at + 4]
    if mark == _OLD:
        return _old(octets[at : at + _OLD_FIELDS.size], seed, offset + at)
    if mark not in (_BEFORE, _BEHIND) or len(octets) - at < _FIXED:
        return None
    first, count, length, observed = _FIELDS.unpack_from(octets, at + 4)
    check = int.from_bytes(octets[at + _FIXED - 4 : at + _FIXED], "big")
    table = octets[at + _FIXED : at + _FIXED + 8 * count]
    if len(table) != 8 * count or crc32(table, crc32(octets[at + 4 : at + _FIXED - 4], seed)) != check:
        return None
    span = _FIXED + len(table)
    body = offset + at + span if mark == _BEFORE else offset + at - length
    return _Index(body - span, body, length, body + length + span, first, first + count, observed, table, seed)


def _old(octets: bytes, seed: int, start: int) -> Index | None:
    if len(octets) != _OLD_FIELDS.size:
        return None
    _, first, count, length, crc, own = _OLD_FIELDS.unpack(octets)
    if crc32(octets[:-4], seed) != own:
        return None
    body = start + _OLD_FIELDS.size
    return _OldIndex(start, body, length, body + length, first, first + count, crc, seed)


def candidates(octets: bytes) -> Iterator[int]:
    """Where an index may begin."""
    found = octets.find(_MARK)
    while found >= 0:
        yield found
        found = octets.find(_MARK, found + 1)


def torn(rest: bytes, seed: int) -> bool:
    """Whether this, at the end of a segment, is what a crash leaves of an append: the begin of a frame, or nothing at all."""
    if len(rest) < _FIXED or not any(rest):
        return True
    index = parsed(rest, seed, 0)
    return index_octets(rest) > len(rest) if index is None else index.stop > len(rest)
