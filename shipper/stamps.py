"""Time stamps of the logs, made ISO 8601 with an offset, without inventing what they do not say.

    19-Jan-1998 19:16:57.64        MTA text          local time, no zone: the log's zone is taken
    1998-01-19T19:16:57.64[+01:00] MTA and store XML  the same, unless it names one
    02/Jan/1999:13:08:21 -0700     service logs       zone in the line

A `Clock` belongs to one log, as the hour that daylight saving repeats can only be told by the order of the lines: a stamp in it is the
first of its two instants until that would be a jump back by more than half an hour; then it is the second. Stamps come in runs of the same
second, so the last second is remembered; only the fraction differs.
"""

from __future__ import annotations

import os
import re
import time as _time
from calendar import timegm
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

ZoneSource = Literal["config", "system"]

MONTHS = {name: number for number, name in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)}
MONTH_NAMES = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
_MTA = re.compile(r"[0-9]{2}-[A-Za-z]{3}-[0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{2})?(?= )")
_SIXTY = frozenset(f"{number:02d}" for number in range(60))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FRACTIONS = 1000
_BACKWARDS = 1800
"""A step back by more seconds than this, inside the repeated hour, is the clock's and not that of two processes writing in turn."""


def system_zone() -> tzinfo:
    """The machine's zone, by `TZ`, `/etc/localtime` or the C library; UTC where none of them says."""
    name = os.environ.get("TZ", "").lstrip(":")
    if not name:
        target = os.path.realpath("/etc/localtime")
        name = target.partition("zoneinfo/")[2]
    try:
        if name:
            return ZoneInfo(name.removeprefix("posix/").removeprefix("right/"))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass
    offset = _time.localtime().tm_gmtoff
    return timezone(timedelta(seconds=offset)) if offset else ZoneInfo("UTC")


def offset_text(seconds: int) -> str:
    """UTC offset in seconds -> `+01:00`; odd seconds of old local mean times are kept as `+00:53:28`."""
    sign = "-" if seconds < 0 else "+"
    minutes, rest = divmod(abs(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{sign}{hours:02d}:{minutes:02d}" + (f":{rest:02d}" if rest else "")


class Clock:
    """Turns the stamps of one log into ISO 8601. `source` is what `time_zone_source` says of a stamp that names no zone."""

    __slots__ = (
        "_fixed",
        "_fractions",
        "_hour",
        "_hour_iso",
        "_last",
        "_nslog",
        "_offset",
        "_prefix",
        "_second",
        "_second_iso",
        "source",
        "zone",
    )

    def __init__(self, zone: tzinfo | None = None, source: ZoneSource = "config") -> None:
        self.zone: tzinfo = zone if zone is not None else system_zone()
        self.source: str = source if zone is not None else "system"
        self._fixed = isinstance(self.zone, timezone)
        self._fractions: set[str] = set()  # such as were good
        self._last: int | None = None  # seconds since 1970 of the last stamp without a zone; of its hour's begin, where that is enough
        self._hour = self._second = "?"  # the last stamp, as written, up to its hour and up to its second; "?" when it must not be reused
        self._second_iso: str | None = None  # the same of a stamp in ISO 8601 without a zone; what stands there can be any text
        self._hour_iso = self._prefix = self._offset = ""  # the same in ISO 8601, and the offset
        self._nslog: tuple[str, str] = ("", "")

    def another(self) -> Clock:
        """One of the same zone, for stamps that come in an order of their own."""
        other = Clock(self.zone)
        other.source = self.source
        return other

    def mta(self, stamp: str) -> str:
        """`19-Jan-1998 19:16:57.64` -> `1998-01-19T19:16:57.64-05:00`; `""` when it is no such stamp.

        The day may have one digit or a blank before it, the month any case, the fraction any number of digits or none.
        """
        if stamp[:20] != self._second:
            if stamp[:15] != self._hour or stamp[15:17] not in _SIXTY or stamp[17:18] != ":" or stamp[18:20] not in _SIXTY:
                return self._mta_slow(stamp)
            self._prefix = self._hour_iso + stamp[15:20]
            self._second = stamp[:20]
        fraction = stamp[20:]
        if fraction not in self._fractions:
            if fraction and not (fraction[0] == "." and fraction[1:].isdecimal() and fraction.isascii() and len(fraction) < 11):
                return ""
            if len(self._fractions) < _FRACTIONS:
                self._fractions.add(fraction)
        return f"{self._prefix}{fraction}{self._offset}"

    def _mta_slow(self, stamp: str) -> str:
        """Any stamp; leaves behind what the next one of the same second or hour needs."""
        parts = stamp.lstrip(" ").split("-", 2)
        if len(parts) != 3 or len(stamp) > 40:
            return ""
        day, month, rest = parts
        number = MONTHS.get(month.lower())
        year, clock, fraction = rest[:4], rest[5:13], rest[13:]
        if number is None or rest[4:5] != " " or not day.isdecimal():
            return ""
        if fraction and not (fraction[0] == "." and fraction[1:].isdecimal() and fraction.isascii() and len(fraction) < 11):
            return ""
        if not self._local(year, number, day, clock):
            return ""
        if len(stamp) - len(fraction) == 20 and self._uniform(year, number, day, clock):
            self._hour = stamp[:15]
            self._hour_iso = self._prefix[:14]
        return self._prefix + fraction + self._offset

    def hour(self, line: str) -> tuple[str, str, str] | None:
        """For whoever reads stamps without us: the hour that a line of MTA text begins in, as (`19-Jan-1998 19:`, `1998-01-19T19:`, offset), its
        stamp read as by `mta`. None, and nothing changed, where that is no usual stamp, or its hour has more than one offset, or an odd one.
        """
        if line[:15] != self._hour:
            match = _MTA.match(line)
            month = MONTHS.get(line[3:6].lower())
            year, day, clock = line[7:11], line[:2], line[12:20]
            if match is None or month is None or not _plausible(year, month, day, clock) or not self._uniform(year, month, day, clock):
                return None
            self._local(year, month, day, clock)
            self._hour = line[:15]
            self._hour_iso = self._prefix[:14]
        return (self._hour, self._hour_iso, self._offset) if len(self._offset) == 6 else None

    def latest_hour(self) -> tuple[str, str, str] | None:
        """The hour of the stamp before, as `hour` gives it; None where that is not known, or has more than one offset."""
        return (self._hour, self._hour_iso, self._offset) if len(self._hour) == 15 and len(self._offset) == 6 else None

    def latest_iso_hour(self) -> tuple[str, str] | None:
        """The same in ISO 8601, after any stamp that this was enough for: (`1998-01-19T19:`, offset)."""
        return (self._hour_iso, self._offset) if self._hour_iso and len(self._offset) == 6 else None

    def _uniform(self, year: str, month: int, day: str, clock: str) -> bool:
        """Whether the whole hour of this time has one offset: then its other stamps need no calendar."""
        if self._fixed:
            return True
        begin = datetime(int(year), month, int(day), int(clock[:2]))
        ends = (begin, begin.replace(minute=59, second=59))
        return len({self.zone.utcoffset(end.replace(fold=fold)) for end in ends for fold in (0, 1)}) == 1

    def iso(self, stamp: str) -> tuple[str, str]:
        """`1998-01-19T19:16:57.64` -> (ISO 8601 with offset, where the zone is from: `record` or the clock's); `("", "")` when it is none.

        A blank or `T` between date and time, fraction and zone (`Z`, `+hhmm`, `+hh:mm`) optional.
        """
        if stamp[:19] == self._second_iso and stamp[19:] in self._fractions:
            return stamp + self._offset, self.source
        if len(stamp) < 19 or stamp[4] != "-" or stamp[7] != "-" or stamp[10] not in "T t" or not stamp.isascii():
            return "", ""
        rest = stamp[19:]
        known = stamp[:14] == self._hour_iso and stamp[16] == ":" and stamp[14:16] in _SIXTY and stamp[17:19] in _SIXTY
        if known and (not rest or (rest[0] == "." and rest[1:].isdigit() and len(rest) < 11)):
            self._second_iso = stamp[:19]
            if len(self._fractions) < _FRACTIONS:
                self._fractions.add(rest)
            return stamp + self._offset, self.source
        fraction = ""
        if rest[:1] in (".", ","):
            digits = len(rest[1:]) - len(rest[1:].lstrip("0123456789"))
            if not 0 < digits < 10:
                return "", ""
            fraction, rest = "." + rest[1 : 1 + digits], rest[1 + digits :]
        month = stamp[5:7]
        if not (month.isdigit() and 1 <= int(month) <= 12):
            return "", ""
        if rest:
            zone = zone_text(rest.strip())
            if not zone or not _plausible(stamp[:4], int(month), stamp[8:10], stamp[11:19]):
                return "", ""
            return f"{stamp[:10]}T{stamp[11:19]}{fraction}{zone}", "record"
        if not self._local(stamp[:4], int(month), stamp[8:10], stamp[11:19]):
            return "", ""
        if self._uniform(stamp[:4], int(month), stamp[8:10], stamp[11:19]):
            self._hour_iso = self._prefix[:14]
        return self._prefix + fraction + self._offset, self.source

    def nslog(self, stamp: str) -> str:
        """`02/Jan/1999:13:08:21 -0700` -> `1999-01-02T13:08:21-07:00`; `""` when it is no such stamp."""
        if stamp == self._nslog[0]:
            return self._nslog[1]
        parts = stamp.split("/", 2)
        if len(parts) != 3:
            return ""
        day, month, rest = parts
        number = MONTHS.get(month.lower())
        zone = zone_text(rest[14:])
        if number is None or rest[4:5] != ":" or rest[13:14] != " " or not zone or not _plausible(rest[:4], number, day, rest[5:13]):
            return ""
        iso = f"{rest[:4]}-{number:02d}-{int(day):02d}T{rest[5:13]}{zone}"
        self._nslog = (stamp, iso)
        return iso

    def state(self) -> object:
        """What later stamps without a zone depend on: the stamp before, exactly in an hour that comes twice, else its hour."""
        if self._last is None or self._fixed:
            return None
        try:
            local = datetime.fromtimestamp(self._last, self.zone)
        except (ValueError, OverflowError, OSError):
            return self._last
        if self.zone.utcoffset(local) != self.zone.utcoffset(local.replace(fold=1 - local.fold)):
            return self._last
        return local.replace(minute=0, second=0).isoformat()

    def local(self, year: int, month: int, day: int, clock: str, fraction: str = "") -> str:
        """A date and a local `hh:mm:ss` -> ISO 8601; `""` when there is no such date or time. `fraction` is `""` or `.` and digits."""
        iso = self._local(f"{year:04d}", month, str(day), clock)
        return self._prefix + fraction + self._offset if iso else ""

    def _local(self, year: str, month: int, day: str, clock: str) -> str:
        """Sets the prefix and offset of a new second; `""` (and nothing changed) when the numbers are no time."""
        if not _plausible(year, month, day, clock):
            return ""
        self._hour = self._second = "?"
        self._second_iso = None
        self._hour_iso = ""
        leap = clock[6:] == "60"
        naive = datetime(int(year), month, int(day), int(clock[:2]), int(clock[3:5]), 59 if leap else int(clock[6:]))
        try:
            offset = self._resolve(naive)
        except OverflowError:  # the first and last day that there are, moved out by their offset
            offset = 0
        self._prefix = f"{year}-{month:02d}-{int(day):02d}T{clock}"
        self._offset = offset_text(offset)
        return self._prefix

    def _resolve(self, naive: datetime) -> int:
        """The UTC offset of a local time in seconds; in the repeated hour by the stamp before it."""
        seconds = timegm(naive.timetuple())
        first = self.zone.utcoffset(naive) or timedelta()
        offset = int(first.total_seconds())
        if not self._fixed:
            later = int((self.zone.utcoffset(naive.replace(fold=1)) or timedelta()).total_seconds())
            repeated = later < offset
            if repeated and self._last is not None and seconds - offset < self._last - _BACKWARDS:
                offset = later
        self._last = seconds - offset
        return offset


def _plausible(year: str, month: int, day: str, clock: str) -> bool:
    """Whether this is a date of the calendar and a time of day `hh:mm:ss` (a leap second included)."""
    if len(clock) != 8 or clock[2] != ":" or clock[5] != ":" or len(year) != 4:
        return False
    numbers = (year, day, clock[:2], clock[3:5], clock[6:])
    if not all(text.isdigit() and text.isascii() for text in numbers):
        return False
    hour, minute, second = int(clock[:2]), int(clock[3:5]), int(clock[6:])
    if hour > 23 or minute > 59 or second > 60:
        return False
    try:
        datetime(int(year), month, int(day))
    except ValueError:
        return False
    return True


def zone_text(zone: str) -> str:
    """`Z`, `+0100`, `-07:00`, `+01` -> `+hh:mm`; `""` when it is no offset."""
    if zone in ("Z", "z"):
        return "+00:00"
    sign, digits = zone[:1], zone[1:].replace(":", "", 1)
    if sign not in ("+", "-") or not digits.isdigit() or not digits.isascii() or len(digits) not in (2, 4):
        return ""
    hours, minutes = digits[:2], digits[2:] or "00"
    if int(hours) > 23 or int(minutes) > 59:
        return ""
    return f"{sign}{hours}:{minutes}"


def epoch_ns(time: str) -> int | None:
    """ISO 8601 as records have it -> nanoseconds since 1970 UTC; None for `""` and for years that have no such number."""
    if len(time) < 20:
        return None
    clock = time[:19]
    rest = time[19:]
    fraction = 0
    if rest[0] == ".":
        digits = rest[1 : len(rest) - len(rest[1:].lstrip("0123456789"))]
        if not digits:
            return None
        fraction = int((digits + "000000000")[:9])
        rest = rest[1 + len(digits) :]
    try:
        leap = clock[17:] == "60"
        second = datetime.fromisoformat((clock[:17] + "59" if leap else clock) + rest)
    except ValueError:
        return None
    since = (second if rest else second.replace(tzinfo=UTC)) - _EPOCH
    return (since.days * 86_400 + since.seconds + leap) * 1_000_000_000 + fraction
