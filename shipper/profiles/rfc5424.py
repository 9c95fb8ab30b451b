"""Records as syslog messages: RFC 5424 with structured data, RFC 3164, or the server's own line behind an RFC 3164 header.

    <22>1 1998-01-19T19:16:57.64-08:00 mail mta 128549 mta.dequeue [timeQuality tzKnown="1"][mta@32473 uid="…" code="D" …] deliver a -> b
    <22>Jan 19 19:16:57 mail mta[128549]: deliver a -> b

One message is one record for every receiver: control characters (LF, CR, NUL, ESC, C1, line separators) are written as `#012`, as other
daemons write them, so that nothing in a log can begin a second message or paint a terminal. In structured data `"`, `\\` and `]` have a
backslash before them (RFC 5424, 6.3.3). A message without BOM is UTF-8 all the same, as ours are.

When a message is longer than `most`, `origin` goes, the text is cut at its end down to half of the room, and of the parameters those go that
have no room then, the least needed before the others. The id stays: what is sent twice must be known again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from operator import attrgetter
from typing import NamedTuple

from shipper import __version__, events
from shipper.profiles.base import event_of, summary
from shipper.record import KINDS, Connection, Debug, Mta, Record, Service, Store, Syslog, Text
from shipper.stamps import MONTH_NAMES

DOCUMENTATION_NUMBER = 32473
"""The private enterprise number that RFC 5612 keeps for examples."""

PARAMETERS = (
    ("uid", "id"),
    ("code", "code"),
    ("from", "sender"),
    ("null-from", "null_sender"),
    ("to", "recipient"),
    ("src-ch", "source_channel"),
    ("dst-ch", "destination_channel"),
    ("dir", "direction"),
    ("user", "username"),
    ("user", "user"),
    ("sasl", "authenticated"),
    ("rip", "remote_ip"),
    ("rport", "remote_port"),
    ("rip", "client_ip"),
    ("rport", "client_port"),
    ("lip", "local_ip"),
    ("lport", "local_port"),
    ("msgid", "message_id"),
    ("msgid-rel", "related_message_id"),
    ("code-smtp", "smtp_code"),
    ("esc", "enhanced_status"),
    ("diag", "diagnostic"),
    ("reason", "reason"),
    ("state", "account_state"),
    ("auth", "auth_method"),
    ("orcpt", "original_recipient"),
    ("orcpt-type", "original_recipient_type"),
    ("blocks", "size_blocks"),
    ("size", "size_bytes"),
    ("folder", "folder"),
    ("qfile", "queue_file"),
    ("attempt", "attempt"),
    ("envid", "envelope_id"),
    ("helo", "remote_name"),
    ("rdns", "remote_dns"),
    ("rmta", "remote_mta"),
    ("ihost", "initial_host"),
    ("dhost", "dns_host"),
    ("app", "application"),
    ("cipher", "tls_cipher"),
    ("proto", "transport"),
    ("tag", "tag"),
    ("cmd", "bad_command"),
    ("notary", "notary_flags"),
    ("qsec", "queue_seconds"),
    ("inter", "intermediate_address"),
    ("init", "initial_address"),
    ("filter", "filter"),
    ("prio", "priority"),
    ("sens", "sensitivity"),
    ("banner", "banner"),
    ("svc", "service"),
    ("cat", "category"),
    ("level", "level"),
    ("start", "session_start"),
    ("dur", "session_seconds"),
    ("bin", "bytes_from_client"),
    ("bout", "bytes_to_client"),
    ("mbx", "mailboxes"),
    ("hname", "header_name"),
    ("tid", "thread"),
    ("pcnt", "sequence"),
    ("perr", "error"),
)
"""(parameter, field), the most needed first: a message that is too long loses them from the end."""
_ACTED = frozenset((Service, Store))


def _fields(kind: type[Record]) -> tuple[tuple[str, ...], Callable[[Record], tuple[object, ...]]]:
    """(names of the parameters that records of a kind can have, what gets their values): one call in place of a look-up for each of the table."""
    rows = [(name, field) for name, field in PARAMETERS if field in kind.__struct_fields__]
    get = attrgetter(*(field for _, field in rows))
    return tuple(name for name, _ in rows), get if len(rows) > 1 else lambda record: (get(record),)


_FIELDS = {kind: _fields(kind) for kind in KINDS}
ORIGIN = f'[origin software="shipper" swVersion="{__version__}"]'
SD_ID = {Mta: "mta", Connection: "conn", Service: "svc", Store: "svc"}

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_QUOTED = re.compile(r'["\\\]]')
_SPECIAL = re.compile(f"{_CONTROL.pattern}|{_QUOTED.pattern}")
_NOT_HOST = re.compile(r"[^0-9A-Za-z._:%-]")
_SECOND = re.compile(r"\d{4}-(?:0[1-9]|1[0-2])-\d\dT\d\d:\d\d:\d\d", re.ASCII)
_TIME = re.compile(_SECOND.pattern + r"(?:\.\d+)?[+-]\d\d:\d\d", re.ASCII)
"""What a record's time is, unless somebody wrote another into a native record."""
_NOT_HEADER = re.compile(r"[^\x21-\x7e]")


class Style(NamedTuple):
    """How messages are written. `form`: `rfc5424`, `rfc3164` or `raw`; `facility`: a keyword, for records that did not come by syslog; `host`:
    of records that name none; `enterprise`: the number in our SD-IDs; `most`: octets of a message, 0 for any; `local`: without a host in
    RFC 3164, as programs write to the socket of their own machine, and daemons expect it there."""

    form: str = "rfc5424"
    facility: str = "mail"
    host: str = ""
    enterprise: int = DOCUMENTATION_NUMBER
    most: int = 0
    local: bool = False


def render(records: Sequence[Record], observed: int, style: Style, priorities: Sequence[int | None] | None = None) -> list[bytes]:
    """One message for each record, without framing. `observed`: nanoseconds since 1970, the time of a message whose record has none (3164);
    `priorities`: facility × 8 + severity of each, None: as the record has it."""
    write = _write_5424 if style.form == "rfc5424" else _write_3164
    if priorities is None:
        return [write(record, observed, style, None) for record in records]
    return [write(record, observed, style, priority) for record, priority in zip(records, priorities, strict=True)]


def one_line(text: str) -> str:
    """The text with its control characters as `#ooo`, octal (`#x2028` for the line separators)."""
    return _CONTROL.sub(_number, text) if _CONTROL.search(text) else text


def _number(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"#{code:03o}" if code < 256 else f"#x{code:04x}"


def _write_5424(record: Record, observed: int, style: Style, priority: int | None) -> bytes:
    word = _priority(record, style) if priority is None else priority
    head = (
        f"<{word}>1 {_timestamp(record.time)} {_host(record, style)} {_word(_application(record), 48)} "
        f"{record.pid if record.pid is not None else '-'} {_word(record.event, 32)} "
    )
    quality = "" if not record.time else _quality(record)
    parameters = _parameters(record)
    identifier = element_id(type(record), style)
    text = one_line(_text(record))
    message = f"{head}{quality}{ORIGIN}{_element(identifier, parameters)} {text}".encode(errors="replace")
    if not style.most or len(message) <= style.most:
        return message
    frame = f"{head}{quality}[{identifier} ] " if parameters else f"{head}{quality} "
    parameters, text = _fitted(parameters, text.encode(errors="replace"), style.most - len(frame))
    return _cut(f"{head}{quality}{_element(identifier, parameters)} {text}".encode(errors="replace"), style.most)


def _quality(record: Record) -> str:
    return f'[timeQuality tzKnown="{int(record.time_zone_source != "system")}"]'


def element_id(kind: type[Record], style: Style) -> str:
    """The SD-ID of our structured data in messages of a kind of record."""
    return f"{SD_ID.get(kind, 'log')}@{style.enterprise}"


def _element(identifier: str, parameters: Sequence[str]) -> str:
    return f"[{identifier} {' '.join(parameters)}]" if parameters else ""


def _fitted(parameters: Sequence[str], text: bytes, room: int) -> tuple[list[str], str]:
    """What there is room for, in octets: half of it is the text's if it needs so much; in the rest parameters, the most needed first, each one
    that still fits; what they leave is the text's again. The id is small and comes first: it is always there."""
    for_text = min(len(text), room // 2)
    left = room - for_text
    kept: list[str] = []
    for number, parameter in enumerate(parameters):
        size = len(parameter.encode(errors="replace")) + 1
        if size <= left or number == 0:
            kept.append(parameter)
            left -= size
    return kept, text[: max(0, for_text + left)].decode(errors="ignore")


def _write_3164(record: Record, observed: int, style: Style, priority: int | None) -> bytes:
    if style.form == "raw":
        text = record.raw or _text(record)
    else:
        text = _text(record)
    stamp = _bsd(record.time, observed)
    tag = _tag(record)
    pid = "" if record.pid is None else f"[{record.pid}]"
    host = "" if style.local else f"{_host(record, style)} "
    word = _priority(record, style) if priority is None else priority
    message = f"<{word}>{stamp} {host}{tag}{pid}: {one_line(text)}".encode(errors="replace")
    return message if not style.most or len(message) <= style.most else _cut(message, style.most)


def _tag(record: Record) -> str:
    return _word(_application(record), 32).replace(":", "_").replace("[", "_")


class Head(NamedTuple):
    """Of the header of a record's message, what its event, its host and the style decide. `quality` is an element of structured data."""

    priority: int
    host: str
    application: str
    id: str
    quality: str


def head(record: Record, style: Style) -> Head:
    """For the compiled twin."""
    application = _word(_application(record), 48) if style.form == "rfc5424" else _tag(record)
    return Head(_priority(record, style), _host(record, style), application, f"{_word(record.event, 32)} ", _quality(record))


def _cut(message: bytes, most: int) -> bytes:
    """The beginning of a message, not through the middle of a character."""
    return message[:most].decode(errors="ignore").encode()


def _priority(record: Record, style: Style) -> int:
    facility = (record.syslog.facility if record.syslog else "") or style.facility
    code = events.FACILITIES.index(facility) if facility in events.FACILITIES else 2
    severity = events.SEVERITIES.index(record.severity) if record.severity in events.SEVERITIES else 6
    return code * 8 + severity


def _timestamp(time: str) -> str:
    """A record's time as RFC 5424 has it: at most six digits of a fraction, no leap second; `-` where there is none that it can say."""
    if time[17:19] == "60" or not _TIME.fullmatch(time):
        return "-"
    return time if len(time) <= 32 else f"{time[:26]}{time[-6:]}"


def _bsd(time: str, observed: int) -> str:
    """`Jan 19 19:16:57`, in the zone of the record's time; the time of reading in UTC where it has none."""
    if _SECOND.match(time):
        return f"{MONTH_NAMES[int(time[5:7]) - 1]} {int(time[8:10]):2d} {time[11:19]}"
    read = datetime.fromtimestamp(observed // 1_000_000_000, UTC)
    return f"{MONTH_NAMES[read.month - 1]} {read.day:2d} {read:%H:%M:%S}"


def _application(record: Record) -> str:
    if record.process:
        return record.process
    if isinstance(record, Service | Debug) and record.service:
        return record.service
    return "mta" if record.event.startswith("mta.") else "shipper"


def _host(record: Record, style: Style) -> str:
    """The host as a name or address: receivers stop reading at a bracket, or refuse the message."""
    return _NOT_HOST.sub("_", record.host or style.host)[:255] or "-"


def _word(text: str, most: int) -> str:
    """A header field: printable ASCII without blanks, `-` when there is nothing of it."""
    return _NOT_HEADER.sub("_", text)[:most] or "-"


def _parameters(record: Record) -> list[str]:
    """`name="value"` of each field that the record has, in the order of `PARAMETERS`."""
    names, get = _FIELDS[type(record)]
    found: list[str] = []
    for name, value in zip(names, get(record), strict=True):
        if value is None or value == "" or value is False:
            continue
        text = "1" if value is True else str(value)
        if _SPECIAL.search(text):
            text = one_line(_QUOTED.sub(r"\\\g<0>", text))
        found.append(f'{name}="{text}"')
    if type(record) in _ACTED and (act := event_of(record.event, record.severity, bool(getattr(record, "user", ""))).action):
        found.insert(1, f'act="{act}"')
    return found


def _text(record: Record) -> str:
    """What a human reads: the message, or what stands in its place."""
    if isinstance(record, Service | Debug | Syslog | Text):
        return record.message
    if record.raw:
        return record.raw
    return summary(record, event_of(record.event, record.severity, False))
