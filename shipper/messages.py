"""Syslog messages through the compiled twin, with Python at those that it does not know.

- The twin goes on until a message is not straight, or has a stamp without a zone in another hour than its clock is in: what Python makes of a
  message can move the clock, so one that it reads is read in its place, and there are no gaps.
- Python reads one message there, and more where the twin takes none at all; the twin is given few at first, and more while it takes all that it
  gets. So messages that are not for it cost little more than without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from functools import partial
from typing import Any

from shipper.compiled import BARE, Hours, MessagesRun, Packed, Twin
from shipper.compiled import PROFILES as TWINS
from shipper.formats import Log, mta_text, service
from shipper.formats.syslog import DAYS_AHEAD
from shipper.payloads import Spell, Writers
from shipper.reader import RawPolicy, Reader
from shipper.record import Connection, Mta, Record, Service, Store, Syslog
from shipper.straight import Straight, decoded, lines_of

FEW = 4
"""Messages that the twin is given after it stopped at the first."""
MOST = 4096
"""... and at most."""
STRETCH = 32
"""Messages that Python reads at most before the twin is asked again."""

Some = list[bytes] | Packed
_KINDS: tuple[type[Record], ...] = (Mta, Connection, Service, Store, Syslog)
_ID = 16
_FORMATS = (mta_text.FORMAT, service.FORMAT)


class Messages:
    """Messages of one input. `module`: see `passage.Options.twin`; `profile` and `observed`: what the twin writes; `otlp`: whether it makes payloads
    of that at once."""

    def __init__(
        self, log: Log, *, raw: RawPolicy = "errors", module: Any = None, profile: str = "native", observed: int = 0, otlp: bool = False
    ) -> None:
        profile = profile if profile in TWINS or profile == BARE else "native"  # outputs of other kinds need the records
        self._module = module
        self._again = partial(_twin, module, log, raw, "native", observed)
        self._twin = _twin(module, log, raw, profile, observed)
        self._profile = lines_of(profile)
        if self._twin is not None:
            self._writers = Writers(module, self._twin, zone_source=log.clock.source, file="", host=log.host)
        self._otlp = otlp
        self._hours: Hours = (None, None)  # that the twin was told last
        self._reader = Reader(log, raw=raw, ids=self._twin)
        self._clocks = (log.clock, self._reader.headers)
        self._given = FEW
        self._stretch = 1

    def read(
        self, messages: Some, received: date, peers: list[str], wrong: Mapping[int, str], *, colonless_tag: bool = False
    ) -> Iterator[MessagesRun | list[Record]]:
        """See `Reader.read_messages`; the messages in order, some as what the twin gives for them (`written` has their lines), and some as records.
        Messages that the twin has packed have their `peers` in them."""
        if self._twin is None:
            whole = (messages, peers) if isinstance(messages, list) else messages.part(0, len(messages))
            yield self._reader.read_messages(whole[0], received, whole[1], wrong, colonless_tag=colonless_tag)
            return
        packed = self._packed(messages, peers)
        limit = _limit(received)
        position, count = 0, len(packed)
        ends = [*sorted(wrong), count]  # one that something befell is Python's
        while position < count:
            end = next(end for end in ends if end >= position)
            most = min(self._given, end - position)
            run = self._run(self._twin, packed, position, position + most, limit) if most else None
            if run is not None:
                if run.messages:
                    yield run
                position += run.messages
                if run.messages:
                    self._stretch = 1
                if run.messages == most:
                    self._given = min(4 * self._given, MOST)
                    continue
                if run.messages and any(run.needs):
                    continue  # the next run begins there, and is told
                self._given = max(FEW, 2 * run.messages)
            last = min(count, position + self._stretch)
            said = {index - position: error for index, error in wrong.items() if position <= index < last}
            part, senders = packed.part(position, last)
            yield self._reader.read_messages(part, received, senders, said, colonless_tag=colonless_tag)
            position = last
            self._stretch = min(2 * self._stretch, STRETCH)

    def written(self) -> bytes:
        """The lines of those that the twin has read since this was asked last."""
        return self._twin.written() if self._twin is not None else b""

    def straight(
        self,
        messages: Some,
        received: date,
        peers: list[str],
        wrong: Mapping[int, str],
        *,
        colonless_tag: bool = False,
        observed: int = 0,
    ) -> Sequence[Record]:
        """The same as records; of those that the twin has read these are its lines, until somebody looks (`straight.Straight`). `observed`: when
        they were read, in nanoseconds since 1970."""
        if self._twin is None:
            (records,) = self.read(messages, received, peers, wrong, colonless_tag=colonless_tag)
            assert isinstance(records, list), "there is no twin"
            return records
        packed = self._packed(messages, peers)
        apart: dict[int, Record] = {}
        kinds: set[type[Record]] = set()
        spells: list[tuple[int, Spell]] = []
        count, limit = 0, _limit(received)
        if self._profile.name == "ecs":
            self._twin.see(observed)
        if self._otlp:
            self._twin.look_ahead(self._writers.of(None), observed)
        for part in self.read(packed, received, peers, wrong, colonless_tag=colonless_tag):
            if isinstance(part, list):
                apart.update(enumerate(part, count))
                self._twin.put(self._profile.render(part, observed))
                count += len(part)
            else:
                kinds.update([kind for kind, some in zip(_KINDS, part.kinds, strict=True) if some])
                ids, ahead = self._twin.ids(), self._twin.ahead()
                spells.append((count, Spell(part.messages, self._writers, packed, count, self._hours, limit, ids, ahead)))
                count += part.messages
        octets = self.written()
        if not kinds:
            return [*apart.values()]
        native = self._profile.name == "native"
        made = partial(decoded, octets, apart) if native else partial(_again, self._again, count, [spell for _, spell in spells], apart)
        return Straight(self._profile.name, octets, count, frozenset(kinds), apart, observed, made, spells)

    def _packed(self, messages: Some, peers: list[str]) -> Packed:
        """As the twin has them."""
        if isinstance(messages, list):
            packed: Packed = self._module.Messages(messages, peers)
            return packed
        return messages

    def _run(self, twin: Twin, messages: Packed, start: int, end: int, limit: date) -> MessagesRun:
        bodies, headers = self._clocks
        self._hours = (bodies.latest_hour(), headers.latest_hour())
        run = twin.run_messages(messages, start, end, self._hours, limit)
        body, header = run.needs
        if not run.messages and (body or header):
            told = (bodies.hour(body), self._hours[1]) if body else (self._hours[0], headers.hour(header))
            if told != self._hours:
                self._hours = told
                run = twin.run_messages(messages, start, end, told, limit)
        if run.latest >= 0:
            self._reader.took(_FORMATS[run.latest])
        return run


def _twin(module: Any, log: Log, raw: RawPolicy, profile: str, observed: int) -> Twin | None:
    if module is None:
        return None
    try:
        return Twin(
            module, zone_source=log.clock.source, file="", host=log.host, raw=raw, profile=profile, observed=observed, fields=log.fields
        )  # fmt: skip
    except UnicodeEncodeError:  # half a character in the host's name
        return None


def _limit(received: date) -> date:
    """The last day of a stamp without a year: see `syslog.DAYS_AHEAD`."""
    try:
        return received + timedelta(DAYS_AHEAD)
    except OverflowError:
        return date.max


def _again(native: Callable[[], Twin | None], count: int, spells: Sequence[Spell], apart: Mapping[int, Record]) -> list[Record]:
    """The records of messages whose lines are of another profile: the twin reads them once more."""
    twin = native()
    assert twin is not None, "there was one for the lines"
    lines = [b""] * count
    for spell in spells:
        end = spell.start + spell.lines
        twin.run_messages(spell.messages, spell.start, end, spell.hours, spell.limit)
        lines[spell.start : end] = twin.written().split(b"\n")[: spell.lines]
    records = decoded(b"\n".join(lines) + b"\n", apart)
    for spell in spells:
        for number in range(spell.lines):
            records[spell.start + number].id = spell.ids[number * _ID : (number + 1) * _ID].hex()
    return records
