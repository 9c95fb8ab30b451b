"""Records of a log that the compiled twin reads: lines of a profile at once, and Records when somebody looks at one.

Most records go whole from their log into a file, and nobody asks for a field of them. `Straight` is the list of such records, and has of them the
lines that the twin has rendered for one profile. Who counts them, or wants these lines, has them as they are; who looks at a record makes the
list: from the lines, where these are native, else from what the twin renders a second time. It is the list that `Reader` makes, with the same ids.

What the twin leaves to Python stands `apart`: its records are there from the beginning.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any, overload

import msgspec

from shipper.compiled import BARE, Run, Twin, line_ends
from shipper.compiled import KINDS as TWINS
from shipper.compiled import Packed as Pack
from shipper.formats import Log
from shipper.framing import Block
from shipper.fused import Fused
from shipper.lines import Packed, packed, together
from shipper.payloads import Spell, Stretch, Writers, payloads_of
from shipper.profiles import PROFILES, Profile
from shipper.profiles.rfc5424 import Style
from shipper.reader import RawPolicy, Reader
from shipper.record import KINDS, AnyRecord, Record, Text

_BARE = Profile(BARE, "ids", lambda records, _: b"".join([record.id.encode() + b"\n" for record in records]))
"""Where nobody wants lines: the twin then reads them and writes none."""


def lines_of(profile: str) -> Profile:
    """The profile of this name, or `BARE`."""
    return _BARE if profile == BARE else PROFILES[profile]


_decoder = msgspec.json.Decoder(AnyRecord)
_KIND = {kind.kind: kind for kind in KINDS}
_ID = 16
_KIND_MARKS = {"native": b'{"kind":"', "ecs": b'"sunmsg":{"kind":"', BARE: b'"'}
"""By profile: what stands before the kind of a record that the twin has read."""


Priorities = Sequence[int | None] | None
"""See `rfc5424.render`."""
Payloads = Callable[[Sequence[Record], Priorities], list[bytes]]


class Straight(Sequence[Record]):
    """`count` records, and `octets`: a line of `profile` for each, which says, where it does, that it was read at `observed` (nanoseconds since
    1970). `kinds`: all that those may have which the twin has read; `apart`: the others, by their place. `made` makes the list. `stretches`:
    lines that the twin can render for outputs that have no lines, with the place of the first."""

    __slots__ = ("_count", "_made", "_records", "_within", "apart", "kinds", "observed", "octets", "profile", "stretches")

    def __init__(
        self,
        profile: str,
        octets: bytes,
        count: int,
        kinds: frozenset[type[Record]],
        apart: Mapping[int, Record],
        observed: int,
        made: Callable[[], list[Record]],
        stretches: Sequence[tuple[int, Stretch | Spell]] = (),
    ) -> None:
        self.profile = profile
        self.stretches = stretches
        self._within: tuple[Straight, Sequence[int]] | None = None
        self.kinds = kinds
        self.apart = apart
        self.octets = octets
        self.observed = observed
        self._count = count
        self._made = made
        self._records: list[Record] | None = None

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> list[Record]: ...
    def __getitem__(self, index: int | slice) -> Record | list[Record]:
        if self._records is None:
            self._records = self._made()
        return self._records[index]

    @property
    def looked_at(self) -> bool:
        """Whether the records have been made."""
        return self._records is not None

    def kind_of_each(self) -> list[type[Record] | None]:
        """What each of them is, as its line says; None of those apart."""
        mark, found = _KIND_MARKS[self.profile], []
        known = {kind.kind.encode(): kind for kind in self.kinds}
        for line in self.octets.split(b"\n")[:-1]:
            begin = line.find(mark) + len(mark)
            found.append(known.get(line[begin : line.find(b'"', begin)]))
        for place in self.apart:
            found[place] = None
        return found

    def of(self, numbers: Sequence[int]) -> Straight:
        """Those at these places, which grow."""
        lines = self.octets.split(b"\n")
        octets = b"".join([lines[number] + b"\n" for number in numbers])
        apart = {place: self.apart[number] for place, number in enumerate(numbers) if number in self.apart}
        some = Straight(
            self.profile, octets, len(numbers), self.kinds, apart, self.observed, lambda: [self[number] for number in numbers]
        )  # fmt: skip
        some._within = (self, numbers)
        return some

    def ids(self) -> list[str]:
        """Their ids, without a look at the records."""
        if self._within is not None:
            whole, numbers = self._within
            known = whole.ids()
            return [known[number] for number in numbers]
        found = [""] * self._count
        for place, stretch in self.stretches:
            digits = stretch.ids.hex()
            found[place : place + stretch.lines] = [digits[at : at + 2 * _ID] for at in range(0, len(digits), 2 * _ID)]
        for place, record in self.apart.items():
            found[place] = record.id
        return found

    def packs(self) -> list[Pack]:
        """What those of them came in that came by syslog, and that the twin has read."""
        return list({id(spell.messages): spell.messages for _, spell in self.stretches if isinstance(spell, Spell)}.values())

    def payloads(self, style: Style | None, python: Payloads, observed: int, priorities: Priorities = None) -> Sequence[bytes]:
        """A payload for each: a syslog message in a style, or (None) OTLP. `python` makes those that the twin does not."""
        if self._within is None:
            return self._payloads(style, python, observed, priorities)
        whole, numbers = self._within
        of_all: list[int | None] | None = None
        if priorities is not None:
            of_all = [None] * len(whole)
            for number, priority in zip(numbers, priorities, strict=True):
                of_all[number] = priority
        found = whole.payloads(style, python, observed, of_all)
        return [found[number] for number in numbers]

    def _payloads(self, style: Style | None, python: Payloads, observed: int, priorities: Priorities) -> Sequence[bytes]:
        def rendered(numbers: Sequence[int]) -> list[bytes]:
            records = [self.apart.get(number) or self[number] for number in numbers]
            return python(records, priorities and [priorities[number] for number in numbers]) if records else []

        ends = [0, *(place + stretch.lines for place, stretch in self.stretches)]
        begins = [*(place for place, _ in self.stretches), self._count]
        first = sorted({*self.apart, *chain.from_iterable(map(range, ends, begins))})
        made = dict(zip(first, rendered(first), strict=True))
        parts: list[Packed] = []
        left: list[int] = []
        for (place, stretch), before in zip(self.stretches, ends, strict=False):
            end = place + stretch.lines
            inside = first[bisect_left(first, place) : bisect_left(first, end)]
            found = payloads_of(
                stretch, style, observed, priorities and priorities[place:end], [(number - place, made[number]) for number in inside]
            )  # fmt: skip
            parts += (packed([made[number] for number in range(before, place)]), Packed(found.octets, stretch.lines, found.table))
            left += [place + number for number in found.left]
        parts.append(packed([made[number] for number in range(ends[-1], self._count)]))
        whole = together([part for part in parts if part])
        if not left:
            return whole
        given = list(whole)
        for number, payload in zip(left, rendered(left), strict=True):
            given[number] = payload
        return given


def joined(several: Sequence[Sequence[Record]]) -> Sequence[Record]:
    """Several as one."""
    if len(several) == 1:
        return several[0]
    straight = [each for each in several if isinstance(each, Straight)]
    if len(straight) < len(several) or len({(each.profile, each.observed) for each in straight}) != 1:
        return [record for each in several for record in each]
    apart: dict[int, Record] = {}
    stretches: list[tuple[int, Stretch | Spell]] = []
    count = 0
    for each in straight:
        apart |= {count + number: record for number, record in each.apart.items()}
        stretches += [(count + place, stretch) for place, stretch in each.stretches]
        count += len(each)
    return Straight(
        straight[0].profile,
        b"".join([each.octets for each in straight]),
        count,
        frozenset().union(*(each.kinds for each in straight)),
        apart,
        straight[0].observed,
        lambda: [record for each in straight for record in each],
        stretches,
    )


def rendered(records: Sequence[Record], profile: Profile, observed: int) -> bytes:
    """A line of a profile for each of the records."""
    if isinstance(records, Straight) and records.profile == profile.name and observed == records.observed:
        return records.octets
    return profile.render(records, observed)


def payloads(
    records: Sequence[Record], style: Style | None, python: Payloads, observed: int, priorities: Priorities = None
) -> Sequence[bytes]:
    """See `Straight.payloads`; `python` makes all of other records."""
    if isinstance(records, Straight):
        return records.payloads(style, python, observed, priorities)
    return python(records, priorities)


def apart(records: Sequence[Record]) -> Iterable[Record]:
    """All but those that the twin has read: these have no error."""
    return records.apart.values() if isinstance(records, Straight) else records


class _Noting(Twin):
    """A twin that notes what it was asked to run, and from which octet on, for another one."""

    def begin(self) -> None:
        """From here on."""
        self.asked: list[tuple[int, Callable[[Twin], Run]]] = []
        self.latest: tuple[bytes, int, int, tuple[str, str, str] | None] = (b"", 0, 0, None)

    def run(self, data: bytes, start: int, offset: int, hour: tuple[str, str, str], quiet: bool = False) -> Run:
        self.latest = (data, start, offset, hour)
        self.asked.append((start, lambda twin: twin.run(data, start, offset, hour)))
        return super().run(data, start, offset, hour, quiet)

    def run_service(self, data: bytes, start: int, offset: int) -> Run:
        self.latest = (data, start, offset, None)
        self.asked.append((start, lambda twin: twin.run_service(data, start, offset)))
        return super().run_service(data, start, offset)


class StraightReader:
    """Reads one log like `Reader`, with the twin before it, which renders `profile`, and (`otlp`) payloads of OTLP. Raises UnicodeEncodeError for
    half a character in the log's name."""

    def __init__(
        self, module: Any, profile: str, log: Log, *, file: str = "", peer: str = "", raw: RawPolicy, otlp: bool = False
    ) -> None:  # fmt: skip
        told: dict[str, Any] = {
            "zone_source": log.clock.source, "file": file, "peer": peer, "host": log.host, "raw": raw, "observed": 0, "fields": log.fields,
        }  # fmt: skip
        self._module = module
        self._again = partial(Twin, module, profile="native", **told)
        self._profile = lines_of(profile)
        self._otlp = otlp
        self._twin = _Noting(module, profile=profile, **told)
        self._writers = Writers(module, self._twin, zone_source=log.clock.source, file=file, host=log.host)
        self.reader = Reader(log, file=file, peer=peer, raw=raw, ids=self._twin)
        self._fused = Fused(self._twin, self.reader, log.clock, opens=True)

    def read(self, block: Block, observed: int = 0) -> Sequence[Record]:
        """One record for each line of the block, in order. `observed`: when it was read, in nanoseconds since 1970, for the lines."""
        if block.cut or block.encoding:
            return self.reader.read(block)
        apart: dict[int, Record] = {}
        kinds: set[str] = set()
        runs: list[tuple[int, bytes]] = []  # of each the number of lines, and their ids
        stretches: list[tuple[int, Stretch | Spell]] = []
        native = self._profile.name == "native"
        self._twin.begin()
        if self._profile.name == "ecs":
            self._twin.see(observed)
        if self._otlp:
            self._twin.look_ahead(self._writers.of(None), observed)

        def python(records: Sequence[Record], numbers: Sequence[int]) -> bytes:
            apart.update(zip(numbers, records, strict=True))
            return self._profile.render(records, observed)

        def counted(run: Run, place: int) -> None:
            kinds.update([kind for kind, count in zip(TWINS, run.kinds, strict=True) if count])
            ids = self._twin.ids()
            if run.lines:
                data, start, offset, hour = self._twin.latest
                stretches.append((place, Stretch(run.lines, self._writers, data, start, offset, hour, ids, self._twin.ahead())))
            if not native:
                runs.append((run.lines, ids))

        octets = self._fused.render(block, python, counted)
        count = line_ends(self._module, block.data) + 1
        if native:
            made = partial(decoded, octets, apart)
        else:
            made = partial(_again, block.data, count, self._twin.asked, runs, apart, self._again)
        of_twin = frozenset(_KIND[kind] for kind in kinds)
        return Straight(self._profile.name, octets, count, of_twin, dict(sorted(apart.items())), observed, made, stretches)


def reader_of(
    module: Any, profile: str, log: Log, *, file: str = "", peer: str = "", raw: RawPolicy, otlp: bool = False
) -> Reader | StraightReader:  # fmt: skip
    """A `StraightReader` where there is the twin (`module`), and the names that it is told have no half characters; else a `Reader`."""
    if module is not None:
        try:
            return StraightReader(module, profile, log, file=file, peer=peer, raw=raw, otlp=otlp)
        except UnicodeEncodeError:
            pass
    return Reader(log, file=file, peer=peer, raw=raw)


def decoded(octets: bytes, apart: Mapping[int, Record]) -> list[Record]:
    """The records of native lines, but for those that are there."""
    if not apart:
        return _decoder.decode_lines(octets)
    lines = octets.split(b"\n")
    lines.pop()
    for number in apart:
        lines[number] = b""
    found = iter(_decoder.decode_lines(b"\n".join([line for line in lines if line])))
    return [apart[number] if not line else next(found) for number, line in enumerate(lines)]


def _again(
    data: bytes,
    count: int,
    asked: Sequence[tuple[int, Callable[[Twin], Run]]],
    runs: Sequence[tuple[int, bytes]],
    apart: Mapping[int, Record],
    native: Callable[[], Twin],
) -> list[Record]:
    """The same where the lines are of another profile: the twin reads them once more."""
    lines = [b""] * count
    ids = [b""] * count
    for (start, run), (size, known) in zip(asked, runs, strict=True):
        twin = native()
        done = run(twin)
        octets: Any = done.out
        if octets is None:
            gaps = [Text() for _ in done.gaps]
            twin.assign(gaps, [""] * len(gaps))
            octets = twin.filled(b"\n" * len(gaps))
        first = data.count(b"\n", 0, start)
        lines[first : first + size] = octets.split(b"\n")[:size]
        ids[first : first + size] = [known[place : place + _ID] for place in range(0, _ID * size, _ID)]
    records = decoded(b"\n".join(lines) + b"\n", apart)
    for number, (record, known) in enumerate(zip(records, ids, strict=True)):
        if number not in apart:
            record.id = known.hex()
    return records
