"""Syslog messages through the compiled twin, with Python at those that it does not know.

- The twin goes on until a message is not straight, or has a stamp without a zone in another hour than the clock is in: what Python makes of a
  message can move the clock, so one that it reads is read in its place, and there are no gaps.
- Python reads one message there, and more where the twin takes none at all; the twin is given few at first, and more while it takes all that it
  gets. So messages that are not for it cost little more than without it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any

import msgspec

from shipper.compiled import MessagesRun, Twin
from shipper.formats import Log, mta_text, service
from shipper.formats.syslog import DAYS_AHEAD
from shipper.reader import RawPolicy, Reader
from shipper.record import AnyRecord, Record

FEW = 4
"""Messages that the twin is given after it stopped at the first."""
MOST = 4096
"""... and at most."""
STRETCH = 32
"""Messages that Python reads at most before the twin is asked again."""

_DECODER = msgspec.json.Decoder(AnyRecord)
_FORMATS = (mta_text.FORMAT, service.FORMAT)


class Messages:
    """Messages of one input. `module`: see `passage.Options.twin`; `profile` and `observed`: what the twin writes."""

    def __init__(self, log: Log, *, raw: RawPolicy = "errors", module: Any = None, profile: str = "native", observed: int = 0) -> None:
        self._twin = _twin(module, log, raw, profile, observed)
        self._reader = Reader(log, raw=raw, ids=self._twin)
        self._clock = log.clock
        self._given = FEW
        self._stretch = 1

    def read(
        self, messages: list[bytes], received: date, peers: list[str], wrong: Mapping[int, str], *, colonless_tag: bool = False
    ) -> Iterator[MessagesRun | list[Record]]:
        """See `Reader.read_messages`; the messages in order, some as what the twin gives for them, and some as records."""
        if self._twin is None:
            yield self._reader.read_messages(messages, received, peers, wrong, colonless_tag=colonless_tag)
            return
        limit = _limit(received)
        position, count = 0, len(messages)
        ends = [*sorted(wrong), count]  # one that something befell is Python's
        while position < count:
            end = next(end for end in ends if end >= position)
            most = min(self._given, end - position)
            run = self._run(self._twin, messages, peers, position, most, limit) if most else None
            if run is not None:
                if run.messages:
                    yield run
                position += run.messages
                if run.messages:
                    self._stretch = 1
                if run.messages == most:
                    self._given = min(4 * self._given, MOST)
                    continue
                self._given = max(FEW, 2 * run.messages)
            last = min(count, position + self._stretch)
            said = {index - position: error for index, error in wrong.items() if position <= index < last}
            yield self._reader.read_messages(messages[position:last], received, peers[position:last], said, colonless_tag=colonless_tag)
            position = last
            self._stretch = min(2 * self._stretch, STRETCH)

    def records(
        self, messages: list[bytes], received: date, peers: list[str], wrong: Mapping[int, str], *, colonless_tag: bool = False
    ) -> list[Record]:
        """The same as records, where the twin writes the native profile: to read that again takes a fifth of the time that Python takes for the
        messages."""
        records: list[Record] = []
        for part in self.read(messages, received, peers, wrong, colonless_tag=colonless_tag):
            records += part if isinstance(part, list) else _DECODER.decode_lines(part.out)
        return records

    def _run(self, twin: Twin, messages: list[bytes], peers: list[str], start: int, most: int, limit: date) -> MessagesRun:
        run = twin.run_messages(messages, peers, start, most, self._clock.latest_hour(), limit)
        if run.needs and not run.messages and (hour := self._clock.hour(run.needs)) is not None:
            run = twin.run_messages(messages, peers, start, most, hour, limit)
        if run.latest >= 0:
            self._reader.took(_FORMATS[run.latest])
        return run


def _twin(module: Any, log: Log, raw: RawPolicy, profile: str, observed: int) -> Twin | None:
    if module is None or log.fields is not None:
        return None
    try:
        return Twin(module, zone_source=log.clock.source, file="", host=log.host, raw=raw, profile=profile, observed=observed)
    except UnicodeEncodeError:  # half a character in the host's name
        return None


def _limit(received: date) -> date:
    """The last day of a stamp without a year: see `syslog.DAYS_AHEAD`."""
    try:
        return received + timedelta(DAYS_AHEAD)
    except OverflowError:
        return date.max
