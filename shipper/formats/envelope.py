"""What a line can stand behind: a syslog header (RFC 3164 or RFC 5424), and a `file:` prefix as grep writes it.

    Aug 30 16:53:05 mail imta[411]: 30-Aug-2004 16:53:05.12 tcp_local    ims-ms       E 1 ...     syslog header, MTA record
    <22>1 2004-08-30T16:53:05-07:00 mail imapd 4711 - - Account Notice: badlogin: [...            ... a service record without its stamp
    mail.log_current:30-Aug-2004 16:53:05.12 ...      mail.log:12:30-Aug-2004 ...                 grep -H, grep -n
    mx1:/logs/mail.log-30-Aug-2004 16:53:05.12 ...                                                of many hosts; grep -C

Rules:
- The body's own stamp is the record's time; the header's is in `syslog`, and gives the time of a body that has none. The body's own host wins,
  and so do its process and pid: those of the header are the daemon's that wrote the line. They stay in `syslog`.
- A header's stamp without a year takes it from the record it stands before, else from the log's date, and then `extra` says
  `year_assumed`; else it stays as written, and a message without another stamp has no time.
- Of two headers, one in the other, the inner one is the record's `syslog`, the relay's outer one is in `extra`.
- A line of a file is a syslog message when it begins with a PRI or a BSD stamp. Many programs begin lines with an ISO 8601 stamp; there it
  takes a host and a tag, too.
- A prefix is only taken off where one of our records, or a syslog message, can begin behind it; it says nothing, so foreign text stays whole.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Protocol

import msgspec

from shipper import events
from shipper.formats import service, syslog
from shipper.formats.base import Log
from shipper.record import Envelope, Record, Service, Syslog
from shipper.stamps import MONTH_NAMES, Clock, epoch_ns


class Opened(Protocol):
    """An envelope that was opened. `inner` is the line inside.

    `body`: the record of an inner line that is none by itself, but is one of the mail server's together with the envelope. `attach` puts what the
    envelope says into the record of the inner line. `record`: that of the whole line when what is inside is none of the mail server's; None
    when the envelope says nothing.
    """

    inner: str

    def body(self) -> Record | None: ...

    def attach(self, record: Record) -> None: ...

    def record(self) -> Record | None: ...


_RECORD_BEGINS = (
    r"(?:[ 0-9]?[0-9]-[A-Za-z]{3}-[0-9]{4} [0-9]{2}:[0-9]{2}"  # MTA text
    r"|\[?[0-9]{1,2}/[A-Za-z]{3}/[0-9]{4}:[0-9]{2}"  # service log
    r"|<[A-Za-z_][A-Za-z0-9_.-]{0,31} [a-z]{2}=|\{\")"  # XML, JSON
)
_DEBUG_BEGINS = r"[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]"
_SYSLOG_BEGINS = (
    r"<[0-9]{1,3}>|[A-Z][a-z]{2} [ 0-9][0-9] (?:[0-9]{4} )?[0-9]{2}:[0-9]{2}:[0-9]{2} |[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}"
)
_PREFIX = re.compile(rf"[^\s{{}}<>\"'=,;|()\[\]]{{1,400}}?[:-](?={_RECORD_BEGINS}|{_DEBUG_BEGINS}|{_SYSLOG_BEGINS})")
_PREFIX_LENGTH = 400
_TAG_WITHOUT_COLON = re.compile(rf"([\w%/.][^\s:\[]{{0,254}}) +(?={_RECORD_BEGINS})")

_SYSLOG_BEGINNINGS = frozenset(
    (
        *(name for month in MONTH_NAMES for name in (month, month.upper(), month.lower())),
        *(f"<{digit}{after}" for digit in "0123456789" for after in ">0123456789"),
        *(f"{number:03d}" for number in range(1000)),  # of a year
        "1 1",
        "1 2",
    )
)
"""The first three characters of every line that may have a syslog header: one look, because most lines have none."""
LEVEL_WORDS = frozenset("trace debug info information notice warn warning error err fatal critical crit severe fine config".split())
"""What other programs write after an ISO stamp, in the place of a syslog host."""


def lacks_year(line: str) -> bool:
    """Whether the line begins with the stamp of a syslog header that has no year (`<22>Jan 19 19:16:57 `, `Jan 19 …`)."""
    stamp = line[line.find(">", 0, 5) + 1 :]
    return stamp[:3].title() in MONTH_NAMES and stamp[3:4] == " " and begins_as_syslog(line)


def begins_as_syslog(line: str) -> bool:
    """Whether a syslog header may begin here: then no line format takes the line, which saves asking them all."""
    return line[:3] in _SYSLOG_BEGINNINGS


def open_envelope(line: str, log: Log) -> Opened | None:
    """The outermost envelope of a line, or None. Never raises."""
    if begins_as_syslog(line):
        message = syslog.parse(line)
        if _is_syslog(message):
            return SyslogHeader(message, log)
    word = line[: line.find(" ", 0, _PREFIX_LENGTH)]
    if (":" in word or "-" in word) and (prefix := _PREFIX.match(line)):
        return FilePrefix(line[prefix.end() :])
    return None


def _is_syslog(message: syslog.Message) -> bool:
    """Whether it has a PRI, or without one is more than a line of a program that begins its lines with a stamp as well."""
    envelope = message.envelope
    if envelope.facility or message.error:
        return True
    stamp = envelope.timestamp
    if not stamp[:1].isdigit() or envelope.version is not None:
        return bool(stamp)
    host, tag = envelope.hostname, envelope.app_name
    return bool(host and tag) and host.lower() not in LEVEL_WORDS and tag.lower() not in LEVEL_WORDS


_YEAR_ASSUMED = {"year_assumed": True}
"""In `extra` of a record whose time has its year from the file's date."""


_EMPTY = Envelope()


class SyslogHeader:
    """A syslog message that was read: from a line of a file, or (with the time it came in the stamp's year) from the network. `clock`: of its stamp,
    where that is not the log's."""

    __slots__ = ("_clock", "_envelope", "_error", "_log", "_message", "_tag", "_year_assumed", "inner")

    def __init__(self, read: syslog.Message, log: Log, clock: Clock | None = None) -> None:
        self._envelope, self._message, self._error, _ = read
        self._log = log
        self._clock = clock or log.clock
        self._year_assumed = False
        self._tag = ""
        self.inner = "" if self._error else self._message
        if not self._envelope.app_name and (word := _TAG_WITHOUT_COLON.match(self._message)):
            self._tag = word[1]
            self.inner = self._message[word.end() :]

    def body(self) -> Record | None:
        """The service record of `process[pid]: Category Level: text`, as a server writes it whose log goes to syslog."""
        if not service.is_body(self.inner):
            return None
        envelope = self._envelope
        time, zone_source = self._time("")
        record = service.parse_body(self.inner, time, zone_source, envelope.app_name, _number(envelope.proc_id), self._log)
        if isinstance(record, Service) and record.session_start:
            self._set_session_zone(record)
        return record

    def _set_session_zone(self, record: Service) -> None:
        """A session's start names no zone: it is the server's, and so the log's or the header's (a relay may have made that UTC). It is the
        one by which the session ends, after its seconds, when the record was written.
        """
        starts = (record.session_start, self._log.clock.iso(record.session_start[:19])[0])
        if starts[0] == starts[1]:
            return
        end = (epoch_ns(record.time) or 0) - (record.session_seconds or 0) * 1_000_000_000
        record.session_start = min(starts, key=lambda start: abs((epoch_ns(start) or 0) - end))

    def attach(self, record: Record) -> None:
        envelope = self._envelope
        if self._tag:
            envelope.app_name = self._tag
        time, zone_source = self._time(record.time)
        if time:
            record.time, record.time_zone_source = time, zone_source
        if self._year_assumed:
            record.extra = {**(record.extra or {}), **_YEAR_ASSUMED}
        if not record.host:
            record.host = envelope.hostname
        if record.syslog is None:
            record.syslog = envelope
        else:
            record.extra = {**(record.extra or {}), "relay": msgspec.to_builtins(envelope)}

    def record(self) -> Record:
        envelope = self._envelope
        time, zone_source = self._time("")
        error = self._error
        if not time and envelope.timestamp[:1].isdigit() and not error:
            error = f"the stamp is no time: {envelope.timestamp[:40]}"
        return Syslog(
            time=time,
            time_zone_source=zone_source,
            event=events.SYSLOG.name,
            severity=envelope.severity or events.SYSLOG.severity,
            host=envelope.hostname,
            process=envelope.app_name,
            pid=_number(envelope.proc_id),
            syslog=envelope if envelope != _EMPTY else None,
            error=error,
            message=self._message,
            extra=dict(_YEAR_ASSUMED) if self._year_assumed else None,
        )

    def _time(self, other: str) -> tuple[str, str]:
        """The header's stamp as the time of a record, and where its zone is from: nothing when the record has an `other` time of its own.

        The header's year, if it has none, comes by that time, else by the log's date.
        """
        envelope, log = self._envelope, self._log
        if envelope.timestamp[:1].isalpha():
            near = _date(other)
            if near is None and log.date:
                near = _date("{:04d}-{:02d}-{:02d}".format(*log.date))
                self._year_assumed = True
            if near is not None:
                envelope.timestamp = syslog.dated(envelope.timestamp, near)
        return ("", "") if other else self._clock.iso(envelope.timestamp)


class FilePrefix:
    """`mail.log:`, in front of a line. Which file it was is not kept: the record is the same in each."""

    __slots__ = ("inner",)

    def __init__(self, inner: str) -> None:
        self.inner = inner

    def body(self) -> Record | None:
        return None

    def attach(self, record: Record) -> None:
        return None

    def record(self) -> Record | None:
        return None


def _date(time: str) -> date | None:
    if not time:
        return None
    try:
        return date.fromisoformat(time[:10])
    except ValueError:
        return None


def _number(proc_id: str) -> int | None:
    return int(proc_id) if proc_id and proc_id.isdecimal() and proc_id.isascii() and len(proc_id) < 19 else None
