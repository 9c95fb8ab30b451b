"""Blocks of one log through the compiled twin, with Python at the lines that it does not know.

- The twin is asked where the line before was the MTA's, and the stamp of the next is in an hour that has one offset from UTC; or where it was a
  service log's. It stops where that ends, and leaves gaps for lines that are not straight: these are read together, and put where they
  belong.
- In XML and JSON the stamp can be anywhere in a line, so the hour is that of the line before, and Python reads the first of each hour.
- Lines behind a syslog header are such lines each for itself, whatever the line before was: of the hour that is known, or of the day and the zone
  that a service's own stamp names.
- Where it stops Python reads some lines: one at first, more where the twin gives little in between, so that a log that is not for it costs
  no more than without it.
- Other threads may begin with blocks before it is their turn (`begin`). What is asked of the twin for a block is guessed then, all hours from that of
  its first line to that of its last, and asked again in its turn: what was begun counts only where both are the same. The count of identical
  lines comes in at the end.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from shipper.compiled import Lines, Run, Twin
from shipper.formats import begins_as_syslog, mta_json, mta_text, mta_xml, service
from shipper.framing import Block
from shipper.reader import Reader
from shipper.record import Record
from shipper.stamps import MONTH_NAMES, MONTHS, Clock

BEGINS = {mta_xml.FORMAT: "<", mta_json.FORMAT: "{"}
"""How lines of the MTA begin that are no text."""
ENVELOPED = ">"
"""The same of lines behind a syslog header, and then the hour."""
NO_STAMP = " " * 15
"""In place of the hour of the MTA, where that is not known: no stamp begins so."""
LONGEST = 320
"""Octets of a header and the stamp behind it, at most."""
_STAMP = re.compile(rb"(?:: |- )\[([0-9]{2})/([A-Za-z]{3})/([0-9]{4}):([0-9]{2}):[0-9]{2}:[0-9]{2} ([+-][0-9]{2})([0-9]{2})\] ")
FORMATS = (mta_text.FORMAT, service.FORMAT, *BEGINS)
"""What the twin reads."""
LONG = 64
"""A run of so many lines was worth it."""
MOST = 4096
"""Lines that Python reads at once."""
HOURS = 64
"""Of one block, that are guessed."""
_HOUR = timedelta(hours=1)
_OF_MTA = re.compile(r"([0-9]{2})-([A-Za-z]{3})-([0-9]{4}) ([0-9]{2}):|([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}):")

Rendered = Callable[[Sequence[Record], Sequence[int]], bytes]
"""(records, their numbers in the block) -> lines of output."""
Counted = Callable[[Run, int], None]
"""(run, number of its first line in the block)"""
Write = Callable[[bytes | bytearray | Lines], None]
"""Is given lines of output."""
Hour = tuple[str, str, str]
"""Of lines of the MTA, see `Twin.run`."""


class Fused:
    """One log. `reader` has the twin for its ids. `opens`: whether the twin reads lines behind a syslog header; `write`: is given the output as it is
    made, where the twin gives `Lines`."""

    def __init__(self, twin: Twin, reader: Reader, clock: Clock, opens: bool = False, write: Write | None = None) -> None:
        self._twin = twin
        self._reader = reader
        self._clock = clock
        self._begun: dict[int, Any] = {}  # runs that were begun, by the offset of their block
        self._opens = opens
        self._write = write
        self._stretch = 1  # lines that Python reads when the twin stops

    def render(self, block: Block, rendered: Rendered, counted: Counted, unwanted: Callable[[Hour], bool] = lambda _: False) -> bytes:
        """The output of a block of plain octets, where it was not written at once. `counted` is told of each run of the twin, `rendered` renders what
        Python has read. Of an hour that is `unwanted` the twin gives empty lines."""
        data, size = block.data, len(block.data)
        pieces: list[bytes | Lines] = []
        write: Callable[[bytes | Lines], None] = self._write or pieces.append
        position = number = 0
        while position <= size:
            run = self._run(data, position, block.offset, unwanted)
            if run is not None:
                write(self._whole(block, run, number, rendered))
                counted(run, number)
                position = run.next
                number += run.lines
                if run.lines >= LONG:
                    self._stretch = 1
                if position > size or (run.hour and run.lines):
                    continue
            end = _after(data, position, self._stretch)
            records = self._reader.read(Block(data[position:end], block.offset + position))
            write(rendered(records, range(number, number + len(records))))
            position = end + 1
            number += len(records)
            self._stretch = min(2 * self._stretch, MOST)
        return b"".join(cast(list[bytes], pieces))

    def show(self, block: Block) -> list[Record]:
        """Reads lines that are rendered elsewhere, for what they leave behind. Of those that the twin reads there is one record for each second,
        with no more than that."""
        seen: list[Record] = []

        def read(records: Sequence[Record], numbers: Sequence[int]) -> bytes:
            seen.extend(records)
            return b"\n" * len(records)

        self.render(block, read, lambda *_: seen.extend(Record(time=second) for second in self._twin.seconds()), lambda _: True)
        return seen

    def begin(self, block: Block, threads: Any, guessing: Clock) -> None:
        """Has a block that is to be rendered later begun by other threads. `guessing`: a clock of the same zone, for that alone."""
        hours = self._guessed(block.data, guessing)
        if hours or self._reader.latest is service.FORMAT:
            self._begun[block.offset] = self._twin.prepare(threads, block.data, block.offset, hours)

    def _guessed(self, data: bytes, guessing: Clock) -> list[Hour]:
        """The hours that lines of a block may be of."""
        enveloped = self._opens and begins_as_syslog(data[:3].decode("latin-1"))
        begin = BEGINS.get(self._reader.latest, "") if not enveloped else ENVELOPED
        own = _own_hour(data, 0) if enveloped and not self._clock.latest_hour() else None
        first, last = _hour_in(data, 0), _hour_in(data, data.rfind(b"\n") + 1)
        hours: list[Hour] = []
        if not (begin or self._reader.latest is mta_text.FORMAT) or first is None or last is None:
            return hours
        begun, ended = sorted((first, last))
        for at in [begun + number * _HOUR for number in range(min(HOURS, (ended - begun) // _HOUR + 1))]:
            if own:
                hours.append((ENVELOPED + NO_STAMP, f"{at:%Y-%m-%dT%H}:", own[1]))
            elif hour := guessing.hour(f"{at:%d}-{MONTH_NAMES[at.month - 1]}-{at:%Y %H}:00:00 "):
                hours.append((begin + hour[0] if begin in ("", ENVELOPED) else begin, *hour[1:]))
        return hours

    def _run(self, data: bytes, position: int, offset: int, unwanted: Callable[[Hour], bool]) -> Run | None:
        """A run of the twin, where the line before says that this is for it."""
        if position == 0 and (begun := self._begun.pop(offset, None)):
            self._twin.take(begun)
        hour = self._hour(data, position, self._clock)
        if hour is None:
            return self._twin.run_service(data, position, offset) if self._reader.latest is service.FORMAT else None
        quiet = hour[0][0] != ENVELOPED and unwanted(hour)  # a service's line behind a header can be of another hour
        return self._twin.run(data, position, offset, hour, quiet)

    def _hour(self, data: bytes, position: int, clock: Clock) -> Hour | None:
        """The hour that lines of the MTA are in, where the line before was one, or they stand behind a header."""
        if self._opens and begins_as_syslog(data[position : position + 3].decode("latin-1")):
            known = self._clock.latest_hour()
            if own := _own_hour(data, position):
                known = known if known and known[1:] == own else (NO_STAMP, *own)
            return known and (ENVELOPED + known[0], *known[1:])
        latest = self._reader.latest
        if latest is mta_text.FORMAT:
            return clock.hour(data[position : position + 32].decode("latin-1"))
        if (begin := BEGINS.get(latest)) and (iso := self._clock.latest_iso_hour()):
            return begin, *iso
        return None

    def _whole(self, block: Block, run: Run, number: int, rendered: Rendered) -> bytes | Lines:
        """The output of a run, its gaps filled."""
        if run.out is not None:
            return run.out
        data = block.data
        records = self._reader.read_apart(
            [data[start:end] for _, start, end in run.gaps], [block.offset + start for _, start, _ in run.gaps]
        )
        return self._twin.filled(rendered(records, [number + index for index, _, _ in run.gaps]))


def _own_hour(data: bytes, position: int) -> tuple[str, str] | None:
    """The hour and the offset that the stamp of a service's line behind a header names."""
    end = data.find(b"\n", position, position + LONGEST)
    stamp = _STAMP.search(data, position, end if end >= 0 else position + LONGEST)
    if stamp is None:
        return None
    day, month, year, hour, hours, minutes = [part.decode("ascii") for part in stamp.groups()]
    number = MONTHS.get(month.lower())
    return (f"{year}-{number:02d}-{day}T{hour}:", f"{hours}:{minutes}") if number else None


def _hour_in(data: bytes, position: int) -> datetime | None:
    """The hour that a line is in, by the first stamp in it that is no header's."""
    try:
        if own := _own_hour(data, position):
            return datetime.fromisoformat(f"{own[0]}00")
        if found := _OF_MTA.search(data[position : position + LONGEST].decode("latin-1")):
            day, month, year, hour, *iso = found.groups()
            return datetime(int(year), MONTHS.get(month.lower(), 0), int(day), int(hour)) if hour else datetime.fromisoformat(iso[0])
    except ValueError:
        pass  # no such day
    return None


def _after(data: bytes, position: int, lines: int) -> int:
    """The end of so many lines."""
    for _ in range(lines):
        end = data.find(b"\n", position)
        if end < 0:
            return len(data)
        position = end + 1
    return position - 1
