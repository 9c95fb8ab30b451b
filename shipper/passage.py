"""One log's way from blocks to lines of output: read, chosen by time, counted, rendered.

A `Passage` belongs to one log and is given all its blocks in order, or is first shown the blocks before those that it is to render
(`show`): what the lines of a log leave behind for the next ones reaches back some seconds, and `state` says whether two passages would go on
alike. Bytes in, bytes out: no file, no process, no clock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from hashlib import blake2b
from typing import Any, NamedTuple

from shipper import compiled
from shipper.dedupe import ID_SIZE, Keys, Minutes
from shipper.errors import Failure
from shipper.formats import Format, Log
from shipper.formats.names import service_of
from shipper.framing import MAX_LINE, Block
from shipper.fused import FORMATS, Fused, Hour, Write
from shipper.profiles import Profile
from shipper.reader import RawPolicy, Reader
from shipper.record import KINDS, Record, Unparsed
from shipper.stamps import Clock, epoch_ns

EXAMPLES = 3
LINES = 16_384
"""Lines of a block at most: a megabyte of empty lines is a million records otherwise."""


@dataclass(frozen=True, slots=True)
class Options:
    """How logs are read and written.

    `zone` None: the system's. `since` and `until`: nanoseconds since 1970; a record is inside when since <= its time < until. `observed`: the
    time of reading in nanoseconds since 1970, for the profiles that write it. `max_line`: octets of a line that are read. `twin`: the module
    that `compiled.find` found; None: all is done in Python.
    """

    profile: Profile
    zone: tzinfo | None = None
    fields: tuple[str, ...] | None = None
    only: Format | None = None
    host: str = ""
    raw: RawPolicy = "errors"
    since: int | None = None
    until: int | None = None
    dedupe: bool = False
    max_line: int = MAX_LINE
    observed: int = 0
    twin: Any = None


class Example(NamedTuple):
    """A line that could not be read: its number in what was tallied (from 0), its offset in the log, and why."""

    line: int
    offset: int | None
    reason: str


Instant = tuple[int, str]
"""Nanoseconds since 1970, and the same as the record has it."""


@dataclass(slots=True)
class Tally:
    """What was read and what became of it. `kinds`, `first`, `last` and `errors` are of the records written."""

    lines: int = 0
    octets: int = 0
    written: int = 0
    outside: int = 0
    repeated: int = 0
    errors: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    first: Instant | None = None
    last: Instant | None = None
    examples: list[Example] = field(default_factory=list)
    compiled: int = 0
    """Lines that the compiled twin rendered."""
    given_up: int = 0
    """Lines at which it failed, and which were done in Python."""

    def add(self, other: Tally) -> None:
        """Takes in what came after. The lines of the examples are then counted from the beginning of this one."""
        if len(self.examples) < EXAMPLES:
            moved = [example._replace(line=example.line + self.lines) for example in other.examples]
            self.examples = (self.examples + moved)[:EXAMPLES]
        self.lines += other.lines
        self.octets += other.octets
        self.written += other.written
        self.outside += other.outside
        self.repeated += other.repeated
        self.errors += other.errors
        self.kinds.update(other.kinds)
        self.compiled += other.compiled
        self.given_up += other.given_up
        self.first = min((instant for instant in (self.first, other.first) if instant), default=None)
        self.last = max((instant for instant in (self.last, other.last) if instant), default=None)


class Piece(NamedTuple):
    """The output of one block: JSON lines, and of each what it is known by, its kind and whether it has an error, where repeats go out."""

    lines: bytes | bytearray
    keys: Keys | None = None
    kinds: bytes = b""


_KIND = {kind: number for number, kind in enumerate(KINDS)}
_ERROR = 0x80
_OF_TWIN = bytes([next((_KIND[kind] for kind in KINDS if kind.kind == name), 0) for name in compiled.KINDS]).ljust(256, b"\0")
_HOUR = 3600 * 1_000_000_000


@dataclass(slots=True)
class _Known:
    """The lines of output of a block, and of each its time, its id, and its `_code`; `records`: those that Python has read, by the number of their
    line."""

    lines: bytes
    times: list[str]
    ids: bytearray
    kinds: bytearray
    records: dict[int, Record]


class Passage:
    """Renders one log. `date`: of the first line, where lines have only a time of day; `write`: is given the output as it is made, also as `Lines`,
    where nobody has to look at it before."""

    def __init__(self, options: Options, file: str, date: tuple[int, int, int] | None = None, write: Write | None = None) -> None:
        self._options = options
        log = Log(
            clock=Clock(options.zone), fields=options.fields, service=service_of(file), host=options.host, date=date
        )  # fmt: skip
        write = None if _chooses(options) else write
        twin = _twin(options, log, file, write is not None)
        self._reader = Reader(log, file=file, raw=options.raw, only=options.only, ids=twin)
        self._twin = twin
        self._fused = Fused(twin, self._reader, log.clock, options.only is None, write) if twin else None
        self._guessing = Clock(options.zone)
        self._minutes = Minutes()
        self._inside = True  # whether the last record with a time was; those without one go with it
        self.tally = Tally()

    def show(self, block: Block) -> list[Record]:
        """Reads lines that are rendered elsewhere, for what they leave behind. Where the twin does that, of its lines there is a record for each
        second, with no more than that."""
        seen: list[Record]
        if self._fused and not block.cut and not block.encoding:
            if not _chooses(self._options):
                return self._fused.show(block)
            known = self._known(block, self._fused, lambda _: True)
            times, ids = known.times, bytes(known.ids)
            seen = [*known.records.values(), *(Record(time=second) for second in {time[:19] for time in times if time})]
        else:
            seen = self._reader.read(block)
            times, ids = _times(seen), _ids(seen)
        if self._options.dedupe:
            self._minutes.keys(times, ids)
        if self._windowed():
            self._choose(times, _span(times))
        return seen

    def render(self, block: Block) -> Piece:
        """The output of a block, where it was not written at once, and all of it in the tally."""
        options, tally = self._options, self.tally
        if self._fused and not block.cut and not block.encoding:
            tally.octets += len(block.data) + 1
            if _chooses(options):
                return self._chosen(self._known(block, self._fused, self._unwanted))
            before = tally.written
            lines = self._fused.render(block, self._rendered, self._counted)
            tally.lines += tally.written - before
            return Piece(lines)
        records: Sequence[Record] = self._reader.read(block)
        count = block.data.count(b"\n") + 1
        if len(records) != count:
            raise Failure("X402", f"{count} lines gave {len(records)} records, at octet {block.offset:,}")
        tally.octets += len(block.data) + block.cut + 1
        times = _times(records)
        span = _span(times)
        keys = self._minutes.keys(times, _ids(records)) if options.dedupe else None
        numbers: Sequence[int] = range(count)
        if self._windowed():
            numbers = self._choose(times, span)
            if len(numbers) != count:
                records = [records[number] for number in numbers]
                span = _span(_times(records))
                keys = keys and _chosen(keys, numbers)
        self._count(records, numbers, span)
        tally.lines += count
        tally.outside += count - len(records)
        if not records:
            return Piece(b"", keys)
        lines = options.profile.render(records, options.observed)
        if keys is None:
            return Piece(lines)
        return Piece(lines, keys, bytes([_code(record) for record in records]))

    def _known(self, block: Block, fused: Fused, unwanted: Callable[[Hour], bool]) -> _Known:
        """All lines of a block through the twin, and what is known of each."""
        count = compiled.line_ends(self._options.twin, block.data) + 1
        known = _Known(b"", [""] * count, bytearray(ID_SIZE * count), bytearray(count), {})
        assert self._twin is not None
        twin = self._twin

        def rendered(records: Sequence[Record], numbers: Sequence[int]) -> bytes:
            known.records.update(zip(numbers, records, strict=True))
            return self._options.profile.render(records, self._options.observed)

        def counted(run: compiled.Run, number: int) -> None:
            end = number + run.lines
            kinds, known.times[number:end] = twin.each()
            known.kinds[number:end] = kinds.translate(_OF_TWIN)
            known.ids[ID_SIZE * number : ID_SIZE * end] = twin.ids()
            self.tally.given_up += run.panics

        known.lines = fused.render(block, rendered, counted, unwanted)
        for number, record in known.records.items():
            known.times[number] = record.time
            known.kinds[number] = _code(record)
            known.ids[ID_SIZE * number : ID_SIZE * (number + 1)] = bytes.fromhex(record.id)
        return known

    def _chosen(self, known: _Known) -> Piece:
        """Those of a block that are wanted, and all of it in the tally."""
        tally, times, lines = self.tally, known.times, known.lines
        count = len(times)
        span = _span(times)
        keys = self._minutes.keys(times, bytes(known.ids)) if self._options.dedupe else None
        numbers: Sequence[int] = range(count)
        kinds = bytes(known.kinds)
        records = known.records
        if self._windowed():
            numbers = self._choose(times, span)
            if len(numbers) != count:
                all_lines = lines.split(b"\n")
                lines = b"".join([all_lines[number] + b"\n" for number in numbers])
                kinds = bytes([kinds[number] for number in numbers])
                span = _span([times[number] for number in numbers])
                keys = keys and _chosen(keys, numbers)
                inside = frozenset(numbers)
                records = {number: record for number, record in records.items() if number in inside}
        self._count([*records.values()], [*records], span)
        of_twin = Counter(kinds)
        of_twin.subtract(_code(record) for record in records.values())
        for code, number in of_twin.items():
            if number:
                tally.kinds[KINDS[code].kind] += number
        tally.compiled += len(numbers) - len(records)
        tally.written += len(numbers) - len(records)
        tally.lines += count
        tally.outside += count - len(numbers)
        return Piece(lines) if keys is None else Piece(lines, keys, kinds)

    def begin(self, block: Block, threads: Any) -> None:
        """Has a block that is to be rendered later begun by other threads (the twin's `Threads`), where the twin does that."""
        if self._fused and not block.cut and not block.encoding:
            self._fused.begin(block, threads, self._guessing)

    def take_tally(self) -> Tally:
        """What was rendered since this was last called."""
        tally, self.tally = self.tally, Tally()
        return tally

    def state(self) -> bytes:
        """A digest of all that the next lines can depend on; the same for passages that will go on alike."""
        digest = blake2b(digest_size=16)
        digest.update(repr((self._minutes.second, self._inside)).encode())
        for part in self._reader.state():
            digest.update(part)
        return digest.digest()

    def _rendered(self, records: Sequence[Record], numbers: Sequence[int]) -> bytes:
        """Lines of output of what Python has read for the twin."""
        self._count(records, numbers, _span(_times(records)))
        return self._options.profile.render(records, self._options.observed)

    def _counted(self, run: compiled.Run, _: int) -> None:
        """What the twin has rendered, in the tally."""
        tally, rendered = self.tally, sum(run.kinds)
        if rendered:
            tally.written += rendered
            tally.compiled += rendered
            tally.kinds.update({kind: count for kind, count in zip(compiled.KINDS, run.kinds, strict=True) if count})
            for time in (run.first, run.last):
                if (at := epoch_ns(time)) is not None:
                    tally.first = min(tally.first or (at, time), (at, time))
                    tally.last = max(tally.last or (at, time), (at, time))
        tally.given_up += run.panics

    def _windowed(self) -> bool:
        return self._options.since is not None or self._options.until is not None

    def _unwanted(self, hour: Hour) -> bool:
        """Whether nothing of an hour is inside --since and --until."""
        since, until = self._options.since, self._options.until
        begin = epoch_ns(f"{hour[1]}00:00{hour[2]}")
        return begin is not None and ((since is not None and begin + _HOUR <= since) or (until is not None and until <= begin))

    def _count(self, records: Sequence[Record], numbers: Sequence[int], span: tuple[Instant, Instant] | None) -> None:
        tally = self.tally
        kinds: Counter[type[Record]] = Counter(map(type, records))
        for kind, count in kinds.items():
            tally.kinds[kind.kind] += count
        tally.written += len(records)
        if span is not None:
            tally.first = min(tally.first or span[0], span[0])
            tally.last = max(tally.last or span[1], span[1])
        tally.errors += len([record for record in records if record.error])
        if kinds[Unparsed] and len(tally.examples) < EXAMPLES:
            for number, record in zip(numbers, records, strict=True):
                if isinstance(record, Unparsed):
                    offset = record.source.offset if record.source else None
                    tally.examples.append(Example(tally.lines + number, offset, record.error))
            del tally.examples[EXAMPLES:]

    def _choose(self, times: Sequence[str], span: tuple[Instant, Instant] | None) -> Sequence[int]:
        """The numbers of the records inside --since and --until, by their times; one without a time goes with the one before it."""
        since, until = self._options.since, self._options.until
        if span is None:
            return range(len(times) if self._inside else 0)
        first, last = span[0][0], span[1][0]
        whole = (since is None or since <= first) and (until is None or last < until)
        none = (since is not None and last < since) or (until is not None and until <= first)
        if (whole or none) and (times[0] or self._inside == whole):
            self._inside = whole
            return range(len(times) if whole else 0)
        numbers = []
        inside = self._inside
        for number, time in enumerate(times):
            if time:
                at = epoch_ns(time)
                inside = at is None or ((since is None or since <= at) and (until is None or at < until))
            if inside:
                numbers.append(number)
        self._inside = inside
        return numbers


def _twin(options: Options, log: Log, file: str, lines: bool) -> compiled.Twin | None:
    """The compiled twin for a log, where there is one for what is wanted."""
    if options.twin is None or options.profile.name not in compiled.PROFILES:
        return None
    if options.only not in (None, *FORMATS):
        return None
    try:
        return compiled.Twin(
            options.twin,
            zone_source=log.clock.source,
            file=file,
            host=log.host,
            raw=options.raw,
            profile=options.profile.name,
            observed=options.observed,
            fields=options.fields,
            each=_chooses(options),
            lines=lines,
        )
    except UnicodeEncodeError:  # half a character in the log's name
        return None


def drop_repeated(piece: Piece, repeated: Sequence[int], tally: Tally) -> bytes | bytearray:
    """The lines of a piece without the repeated ones, which the tally had as written."""
    if not repeated:
        return piece.lines
    lines: list[bytes | bytearray] = [*piece.lines.split(b"\n")]
    for number in repeated:
        lines[number] = b""
        code = piece.kinds[number]
        kind = KINDS[code & ~_ERROR].kind
        tally.kinds[kind] -= 1
        tally.errors -= code >= _ERROR
    tally.written -= len(repeated)
    tally.repeated += len(repeated)
    kept = [line for line in lines if line]
    return b"\n".join(kept) + b"\n" if kept else b""


def portions(blocks: Iterator[Block], twin: Any = None) -> Iterator[Block]:
    """The same blocks, none of more than some thousand lines. `twin`: see `Options`."""
    for block in blocks:
        if len(block.data) < LINES or compiled.line_ends(twin, block.data) < LINES:
            yield block
            continue
        lines = block.data.split(b"\n")
        offset = block.offset
        for begin in range(0, len(lines), LINES):
            data = b"\n".join(lines[begin : begin + LINES])
            yield block._replace(data=data, offset=offset)
            offset += len(data.decode(errors="replace").encode(block.encoding)) + 2 if block.encoding else len(data) + 1


def _chosen(keys: Keys, numbers: Sequence[int]) -> Keys:
    """The keys of some of the records."""
    minutes = [minute for minute, count in keys.runs for _ in range(count)]
    size = len(keys.ids) // len(minutes)
    ids = b"".join([keys.ids[number * size : (number + 1) * size] for number in numbers])
    return Keys(ids, [(minutes[number], 1) for number in numbers])


def _chooses(options: Options) -> bool:
    """Whether not all records are written."""
    return options.dedupe or options.since is not None or options.until is not None


def _code(record: Record) -> int:
    """What kind of record this is, and whether it has an error."""
    return _KIND[type(record)] | (_ERROR if record.error else 0)


def _times(records: Sequence[Record]) -> list[str]:
    return [record.time for record in records]


def _ids(records: Sequence[Record]) -> bytes:
    return bytes.fromhex("".join([record.id for record in records]))


def _span(of: Sequence[str]) -> tuple[Instant, Instant] | None:
    """The first and the last of these times, None where there is none."""
    times = [time for time in of if time]
    if not times:
        return None
    zones = {time[-6:] for time in times}
    if len(zones) == 1:
        ends = [min(times), max(times)]
    else:
        groups = [[time for time in times if time[-6:] == zone] for zone in zones]
        ends = [end for group in groups for end in (min(group), max(group))]
    instants = [(at, end) for end in ends if (at := epoch_ns(end)) is not None]
    return (min(instants), max(instants)) if instants else None
