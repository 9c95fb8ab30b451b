"""Syslog messages, RFC 5424 and RFC 3164 as daemons and relays really write it: header -> `Envelope`, the rest -> message.

    <22>1 2004-08-30T16:53:05.123-07:00 mail.example.com imapd 4711 - [meta sequenceId="29"] text
    <22>Aug 30 16:53:05 mail.example.com imapd[4711]: text
    Aug 30 16:53:05 mail imapd[4711]: [ID 702911 mail.notice] text      in a file: no PRI; Solaris tells it in the text
    2004-08-30T16:53:05.123456-07:00 mail imapd[4711]: text             the same, as rsyslog writes files

Rules:
- What is read goes into a field, what is not stays in the message, and where a sender broke the grammar `error` says where: octets are never
  dropped. A PRI above 191, or an RFC 5424 header that stops short, leaves its text whole in the message; so does bad structured data.
- RFC 5424's grammar is for VERSION 1. A higher one is read by it only where the whole header fits; otherwise it is text behind a PRI.
- RFC 3164: a word is a host when a blank follows it, a tag when it ends in `:` or in `[pid]`; everything else is message. `host word word` has
  no tag, unless the caller knows that its senders leave the colon out (`colonless_tag`).
- RFC 5424 keeps every blank of its message; RFC 3164 loses the one after its tag. A byte order mark before the message is no part of it.
- A stamp without a year gets one only by `received`; a stamp without a zone gets none here (`stamps.Clock.iso` adds the log's).
- Names and ids of any length are taken, and any octet but a blank in them: what writes text lines escapes, this does not.
"""

from __future__ import annotations

import re
from calendar import isleap
from datetime import date
from functools import lru_cache
from typing import Any, NamedTuple

from shipper.events import FACILITIES, LEVELS, SEVERITIES
from shipper.formats.base import stopped
from shipper.record import Envelope
from shipper.stamps import MONTH_NAMES, MONTHS, zone_text


class Message(NamedTuple):
    """A syslog message. `error`: what of it breaks the grammar, and is in the message therefore; `pri_assumed`: it had no PRI, 13 was taken."""

    envelope: Envelope
    message: str
    error: str = ""
    pri_assumed: bool = False


DAYS_AHEAD = 6
"""Calendar days that a stamp without a year may be ahead of the date it is read by: so never more than 7 days, whatever the hour."""

_PRIORITIES = [*((facility, severity) for facility in FACILITIES for severity in SEVERITIES), ("", "")]
"""By PRI; the last, also had as -1, is that of a message without one."""
_SEVERITY_NAMES = {**LEVELS, **{name: name for name in SEVERITIES}, "panic": "emerg", "warn": "warning"}
_LAST_DAY = date.max.toordinal()

_PRI = re.compile(r"<([0-9]+)>")
_CLOCK = r"[0-9]{2}:[0-9]{2}:[0-9]{2}"
_FRACTION = r"[.,][0-9]{1,9}"
_RFC5424 = re.compile(
    rf"([1-9][0-9]{{0,2}}) (-|[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}T{_CLOCK}(?:{_FRACTION})?(?:[Zz]|[+-][0-9]{{2}}:?[0-9]{{2}})?)"
    r" ([^ ]+) ([^ ]+) ([^ ]+) ([^ ]+)(?: |\Z)"
)
_ELEMENT = re.compile(r'\[([^\s=\]"]+)((?: +[^\s=\]"]+="[^"\\]*+(?:\\.[^"\\]*+)*+")*+) *\]', re.DOTALL)
_PARAM = re.compile(r' +([^\s=\]"]+)="([^"\\]*+(?:\\.[^"\\]*+)*+)"', re.DOTALL)
_ESCAPED = re.compile(r'\\(["\\\]])')
_BSD = re.compile(rf"([A-Za-z]{{3}}) ([ 0-9]?[0-9]) (?:([0-9]{{4}}) )?({_CLOCK})({_FRACTION})?(?: ((?:19|20)[0-9]{{2}})(?= ))?(?= |\Z)")
_ISO = re.compile(rf"([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}})[T ]({_CLOCK})({_FRACTION})?([Zz]|[+-][0-9]{{2}}(?::?[0-9]{{2}})?)?(?= |\Z)")
_NO_HOST = r"(?!last message repeated |[0-9]{1,2}-[A-Za-z]{3}-[0-9]{4} |(?:19|20)[0-9]{2} )"
"""What looks like a host behind a stamp, and is a message of syslogd, a record of the MTA, or a year."""
_HOST = re.compile(rf" ++{_NO_HOST}([\w:][\w.:%@-]{{0,254}})(?<!:) ")
_TAG = re.compile(
    r" *+(?:(?![\[<{\"(])([^\s:\[]{1,255})\[([^\s\[\]]{0,255})\](?::|(?=\s|\Z))|(?![0-9]+:)([\w%/.][^\s:\[]{0,254}):(?=\s|\Z))"
)
_WORD = re.compile(r" *+([\w%/.][^\s:\[]{0,254}) +(?=[^ ])")
_STRAIGHT = re.compile(
    rf"(?:<([0-9]{{1,3}})>)?((?:({'|'.join(MONTH_NAMES)}) ([ 0-9][0-9]) ({_CLOCK}))"
    rf"|[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}T{_CLOCK}(?:\.[0-9]{{1,9}})?(?:Z|[+-][01][0-9]:[0-5][0-9])?) "
    rf"{_NO_HOST}([\w][\w.-]{{0,254}}+) ([A-Za-z_][\w/.-]{{0,254}}+)(?:\[([0-9]{{1,255}})\])?: "
)
"""The header of RFC 3164 as it nearly always is, in one expression, with the same result as by the pieces. Its only `: ` is its end, so that it
is cut out first, and is known again: in a burst most messages have the header of another one."""
_HEADER = 256
"""Characters of a header that is looked for so; a longer one is read by the pieces."""
_NO_MESSAGE = frozenset((" ", "[", "\ufeff"))
"""What the pieces read of the beginning of a message."""
_SOLARIS = re.compile(r" ?\[ID ([0-9]{1,10}) ([a-z0-9]{1,10})\.([a-z]{1,10})\] ?")


def parse(text: str, received: date | None = None, *, assume_pri: bool = False, colonless_tag: bool = False) -> Message:
    """One syslog message, without its framing -> its header and its text. Never raises; linear in the length of the text.

    `received`: when it came, in the log's zone: the year of a stamp that has none (without it the stamp stays as written). `assume_pri`: from
    the network, where no PRI means 13 (RFC 3164 4.3.3); in a file it means that nobody wrote one down. `colonless_tag`: the first of the words
    after the host is the tag, with or without a colon.
    """
    end = text.find(": ", 0, _HEADER) + 2
    if end > 1 and text[end : end + 1] not in _NO_MESSAGE and (head := _head(text[:end], received, assume_pri)):
        facility, severity, stamp, host, tag, pid, assumed = head
        return Message(Envelope(facility, severity, None, stamp, host, tag, pid), text[end:], "", assumed)
    return _any(text, received, assume_pri, colonless_tag)


@lru_cache(maxsize=2048)
def _head(text: str, received: date | None, assume_pri: bool) -> tuple[str, str, str, str, str, str, bool] | None:
    """(facility, severity, stamp, host, tag, pid, whether the PRI is assumed) of a header as `_STRAIGHT` knows it, and of nothing else."""
    if text.find(">1 ", 2, 7) >= 0 or not (straight := _STRAIGHT.fullmatch(text)):
        return None
    digits, stamp, month, day, clock, host, tag, pid = straight.groups()
    number = int(digits) if digits else 13 if assume_pri else -1
    if number > 191:
        return None
    if month and received is not None:
        stamp = f"{_day(month, day, received)}T{clock}"
    return *_PRIORITIES[number], stamp, host, tag, pid or "", assume_pri and not digits


def _any(text: str, received: date | None, assume_pri: bool, colonless_tag: bool) -> Message:
    """What `parse` does, without its short cut."""
    at, number, assumed = 0, -1, False
    if text[:1] == "<" and (pri := _PRI.match(text)):
        digits = pri[1]
        if len(digits) > 3 or int(digits) > 191:
            return Message(Envelope(), text, stopped(2, "a PRI of 0 to 191", text))
        number, at = int(digits), pri.end()
    elif assume_pri:
        number, assumed = 13, True
    facility, severity = _PRIORITIES[number]
    if text[at : at + 1].isdigit():
        message = _rfc5424(text, at, facility, severity)
        if message is not None:
            return message._replace(pri_assumed=True) if assumed else message
    return _rfc3164(text, at, Envelope(facility, severity), received, colonless_tag, assumed)


def dated(stamp: str, reference: date) -> str:
    """`Jan 19 19:16:57.5` -> `1998-01-19T19:16:57.5`, in the last year that does not put it a week or more after the reference.

    Any other stamp comes back as it is.
    """
    found = _BSD.match(stamp)
    return _bsd_stamp(found, reference) or stamp if found else stamp


def _rfc5424(text: str, at: int, facility: str, severity: str) -> Message | None:
    """The message whose VERSION stands at `at`; None when it is to be read as RFC 3164."""
    head = _RFC5424.match(text, at)
    if head is None:
        if at == 0 or not text.startswith("1 ", at):
            return None
        return Message(Envelope(facility, severity, 1), text[at:], stopped(at + 3, "TIMESTAMP HOSTNAME APP-NAME PROCID MSGID", text))
    version, stamp, host, app, proc, msg_id = head.groups()
    begin = head.end()
    error, data = "", None
    if text.startswith("-", begin):
        end = begin + 1
    else:
        data, end = _structured_data(text, begin)
    if end == begin or text[end : end + 1] not in ("", " "):
        if version != "1":
            return None
        error = stopped(end + 1, "structured data", text) if end == begin else stopped(end + 1, "a blank after structured data", text)
        data, message = None, text[begin:]
    else:
        message = text[end + 1 :]
    if stamp == "-":
        stamp = ""
    elif ((stamp[-1] != "Z" and stamp[-6] not in "+-") or "," in stamp) and (found := _ISO.match(stamp)):
        stamp = _iso_stamp(found)
    envelope = Envelope(
        facility,
        severity,
        int(version),
        stamp,
        "" if host == "-" else host,
        "" if app == "-" else app,
        "" if proc == "-" else proc,
        "" if msg_id == "-" else msg_id,
        data,
    )
    return Message(envelope, message.removeprefix("\ufeff"), error)


def _structured_data(text: str, at: int) -> tuple[dict[str, Any] | None, int]:
    """`[id name="value" ...]...` -> ({id: {name: value}}, where it ends); (None, `at`) when one of its elements is none.

    What comes twice has a list: an SD-ID of its objects (RFC 5424 forbids it, senders do it), a PARAM-NAME of its values.
    """
    data: dict[str, Any] = {}
    end = at
    while text.startswith("[", end):
        element = _ELEMENT.match(text, end)
        if element is None:
            return None, at
        params: dict[str, Any] = {}
        for name, value in _PARAM.findall(element[2]):
            if "\\" in value:
                value = _ESCAPED.sub(r"\1", value)
            params[name] = _with(params[name], value) if name in params else value
        name = element[1]
        data[name] = _with(data[name], params) if name in data else params
        end = element.end()
    return data or None, end


def _with(before: Any, value: object) -> list[Any]:
    """What a name has that came before, as a list with one value more."""
    if not isinstance(before, list):
        return [before, value]
    before.append(value)
    return before


def _rfc3164(text: str, at: int, envelope: Envelope, received: date | None, colonless_tag: bool, assumed: bool) -> Message:
    """The message that begins, behind its PRI, at `at`."""
    stamp = ""
    if found := _BSD.match(text, at):
        stamp = _bsd_stamp(found, received)
    elif found := _ISO.match(text, at):
        stamp = _iso_stamp(found)
    if found and stamp:
        envelope.timestamp = stamp
        at = found.end()
        if host := _HOST.match(text, at):
            envelope.hostname = host[1]
            at = host.end()
        elif text.startswith(" - ", at) and _TAG.match(text, at + 2):
            at += 2  # who has no host says so as RFC 5424 does: we, and relays between the two
    tag = _TAG.match(text, at)
    if tag:
        name, pid, plain = tag.groups()
        envelope.app_name = name or plain
        envelope.proc_id = pid or ""
        at = tag.end()
        if text.startswith("[ID ", at + 1) and (solaris := _SOLARIS.match(text, at)):
            at = _solaris(solaris, envelope)
            return Message(envelope, text[at:], "", assumed)
    elif colonless_tag and envelope.hostname and (tag := _WORD.match(text, at)):
        envelope.app_name = tag[1]
        return Message(envelope, text[tag.end() :], "", assumed)
    if text.startswith(" ", at):
        at += 1
    return Message(envelope, text[at:].removeprefix("\ufeff"), "", assumed)


def _solaris(found: re.Match[str], envelope: Envelope) -> int:
    """Takes `[ID msgid facility.severity] ` into the envelope, where it fits; gives where the message begins."""
    facility, severity = found[2], _SEVERITY_NAMES.get(found[3])
    if facility not in FACILITIES or severity is None:
        return found.start() + 1
    envelope.msg_id = found[1]
    if not envelope.facility:
        envelope.facility, envelope.severity = facility, severity
    return found.end()


def _bsd_stamp(found: re.Match[str], reference: date | None) -> str:
    """The stamp in ISO 8601 if its year is known, else as written; `""` when its word is no month."""
    month, day, year_before, clock, fraction, year_after = found.groups()
    number = MONTHS.get(month.lower())
    if number is None:
        return ""
    year = year_before or year_after
    if year:
        begin = f"{year}-{number:02d}-{int(day):02d}"
    elif reference is not None:
        begin = _day(month, day, reference)
    else:
        return found[0]
    return f"{begin}T{clock}.{fraction[1:]}" if fraction else f"{begin}T{clock}"


@lru_cache(maxsize=1024)
def _day(month_name: str, day_text: str, reference: date) -> str:
    """`Jan`, ` 9` -> `1998-01-09`, in the last year in which it is at most DAYS_AHEAD days after the reference; 29 February: in a leap year."""
    month, day = MONTHS[month_name.lower()], int(day_text)
    limit = date.fromordinal(min(reference.toordinal() + DAYS_AHEAD, _LAST_DAY))
    year = limit.year if (month, day) <= (limit.month, limit.day) else limit.year - 1
    while month == 2 and day == 29 and year > 0 and not isleap(year):
        year -= 1
    return f"{year:04d}-{month:02d}-{day:02d}"


def _iso_stamp(found: re.Match[str]) -> str:
    """A stamp that `_ISO` found -> `T` between date and time, `.` before the fraction, the zone as `Z` or `+hh:mm`; as written if it is none."""
    day, clock, fraction, zone = found.groups()
    if zone:
        zone = "Z" if zone in "Zz" else zone_text(zone)
        if not zone:
            return found[0]
    return f"{day}T{clock}{'.' + fraction[1:] if fraction else ''}{zone or ''}"
