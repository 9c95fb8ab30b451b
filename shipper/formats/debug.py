"""Debug logs of the dispatcher, the job controller and the channel programs: lines with a time of day and no date.

    23:59:58.41: Debug output enabled, system mta1.example.com, process 1f625.2, tcp_smtp server version ...
    |-- time --|                              |---- host ----|          |pid| seq |service|
    23:59:59.07: connection from 192.0.2.7
    00:00:02.80: accepted

- The hundredths may be missing, and in the header line the time of day. A line without a time of day that is no header goes on from the one
  before it: it is not of this format.
- `Log.date` is the date of the line before; before the first line, what the caller knows of that one (`names.debug_date`). A date in the
  header line or in the first line is better and replaces it; the date on which the server was built is none. `Log.time_of_day` is the time
  of the line before, `hh:mm:ss`. A time of day that is earlier by more than three hours is of the next day; less is a clock put back, by hand
  or by summer time, or threads that write in turn.
- Without any date a record has no `time`, and its `error` says the time of day.
- `host`, `pid` and `sequence` are in the record of the header line, which names them.

Sources: seed, "Enabling Dispatcher Debugging"; the header line is that of later versions.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, timedelta

from shipper import events
from shipper.formats import mta_fields
from shipper.formats.base import Format, Log
from shipper.record import Debug, Record
from shipper.stamps import MONTHS

_TIMED = re.compile(r"((?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60))(\.[0-9]{1,9})?:(?: |$)")
_HEADER = re.compile(
    r"Debug output enabled(?:, system ([^\s,]{1,255}))?(?:, process ([0-9A-Fa-f.]{1,64}))?(?:, ([^,]{1,64}?) server version)?",
    re.IGNORECASE,
)
_MONTH = f"(?P<month>{'|'.join(MONTHS)})[a-z]{{0,6}}"
_DAY = "(?P<day>[0-9]{1,2})"
_YEAR = "(?P<year>[12][0-9]{3})"
_DATES = (
    re.compile(rf"(?<![0-9]){_YEAR}[-/](?P<month>[0-9]{{2}})[-/](?P<day>[0-9]{{2}})(?![0-9])"),
    re.compile(rf"(?<![0-9]){_DAY}[-/ ]{_MONTH}[-/ ]{_YEAR}(?![0-9])", re.IGNORECASE | re.ASCII),
    re.compile(rf"\b{_MONTH} {{1,2}}{_DAY}(?:,| [0-9:.]{{5,11}}(?: [A-Z]{{1,5}})?)? {_YEAR}(?![0-9])", re.IGNORECASE | re.ASCII),
)
"""2004-08-30, 2004/08/30; 30-Aug-2004, 30 August 2004; Aug 30 2004, August 30, 2004, Aug 30 16:53:05 PDT 2004."""
_BUILT = re.compile(r"\b(?:built|compiled|released?)\b[^0-9]{0,16}$", re.IGNORECASE)

BACKWARDS = 3 * 3600
"""A time of day that is earlier by more seconds than this is of the next day."""


def parse_run(lines: Sequence[str], start: int, log: Log, out: list[Record]) -> int:
    """Reads debug log lines from `start` on; see `base.ParseRun`."""
    second, iso = "", ""  # the time of day of the line before, and its instant
    for position in range(start, len(lines)):
        line = lines[position]
        timed = _TIMED.match(line)
        text = line if timed is None else line[timed.end() :]
        header = _HEADER.match(text) if text[:1] in ("D", "d") else None
        if timed is None and header is None:
            return position
        record = Debug(event=events.DEBUG.name, severity=events.DEBUG.severity, service=log.service, message=text)
        found = _date(text[:1000]) if header is not None or not log.time_of_day else None
        if found is not None:
            log.date, log.time_of_day, second = found, "", ""
        if header is not None:
            record.host = header[1] or ""
            record.service = log.service or header[3] or ""
            mta_fields.process(record, header[2] or "")
        if timed is not None:
            clock, fraction = timed[1], timed[2] or ""
            if log.date is None:
                record.error = f"no date: {line[: timed.end()].rstrip(' :')} is only a time of day"
            else:
                if clock != second:
                    if clock < log.time_of_day and _seconds(log.time_of_day) - _seconds(clock) > BACKWARDS:
                        next_day = date(*log.date) + timedelta(days=1)
                        log.date = next_day.year, next_day.month, next_day.day
                    second, iso = clock, log.clock.local(*log.date, clock)
                record.time = iso[:19] + fraction + iso[19:]
                record.time_zone_source = log.clock.source
            log.time_of_day = clock
        out.append(record)
    return len(lines)


def time_of_day(line: str) -> str:
    """`hh:mm:ss` of a debug log's line, for `names.debug_date`; `""` when it has none."""
    timed = _TIMED.match(line)
    return timed[1] if timed is not None else ""


def _date(text: str) -> tuple[int, int, int] | None:
    """The first date in a text, as (year, month, day), that is not the one on which something was built."""
    for pattern in _DATES:
        for match in pattern.finditer(text):
            month = match["month"].lower()
            try:
                day = date(int(match["year"]), MONTHS.get(month) or int(month), int(match["day"]))
            except ValueError:
                continue
            if not _BUILT.search(text[max(0, match.start() - 32) : match.start()]):
                return day.year, day.month, day.day
    return None


def _seconds(clock: str) -> int:
    return int(clock[:2]) * 3600 + int(clock[3:5]) * 60 + int(clock[6:])


FORMAT = Format("debug", "debug logs of dispatcher, job_controller and channels: a time of day and a text", parse_run)
