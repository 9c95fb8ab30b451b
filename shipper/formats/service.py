"""Service logs (nslog): imap, pop, http, admin, default, imta, the proxies, and the message trace, which has the same grammar.

    [30/Aug/2004:16:53:05 -0700] vadar imapd[13027]: Account Notice: badlogin: [192.0.2.7:40718] plaintext user1 authentication failure
    |---------- stamp ---------| host  process|pid|  categ.  level   |------------------------- message ------------------------------|

    login [address] user mechanism
    close [address] user 2004/8/30 16:53:05 0:00:26 octets-from-client octets-to-client mailboxes
    append:user:folder:size:<message id>       fetch:user:folder:<message id>       expunge:folder:<message id>

- The console's views leave the brackets of the stamp out, copies lose one of them; all are read. A server that logs to syslog leaves the
  stamp, the host and the process to the syslog header: `parse_body` reads the rest.
- A line is of this format when it begins with such a stamp. What follows the stamp and cannot be read makes it `Unparsed`.
- `message` is all that stands after the level, also where fields were taken from it. A message that begins like one of the events above and
  goes on otherwise is just a message.
- Addresses are `ip:port`. In an IPv6 address the last group is the port when what is left is an address without it: the product always
  writes the port, but copies lose it. What is no IP address, as a name or the empty `[]`, gives no `client_ip`.
- Message ids come from senders, folder names from users. The id begins at the last `:<`; the folder after the first colon, or where its
  path begins, as a user's name may have colons too.
- `dispatcher` and `job_controller` write this grammar when `use_nslog` is 1: those records are `Debug`.

Sources: seed, "Understanding Service Log File Format" and "Message Store Logging Examples".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date
from functools import lru_cache
from ipaddress import ip_address
from typing import Any, NamedTuple

from msgspec.structs import replace

from shipper import events
from shipper.formats.base import Format, Log, stopped, unparsed
from shipper.formats.names import service_of_process
from shipper.record import Debug, Record, Service, Store, Unparsed
from shipper.stamps import MONTH_NAMES

_STAMP = re.compile(r"\[?([0-9]{1,2}/[A-Za-z]{3}/[0-9]{4}:[0-9:]{1,8}(?: [-+][0-9]{2}:?[0-9]{2})?)\]?(?: |$)")
_PIECES = (
    ("a host name", re.compile(r" {0,8}(\S{1,255})(?: {1,8}|$)")),
    ("process[pid]:", re.compile(r"([^\s\[\]:]{1,64})(?:\[([0-9]{1,10})\])?: {0,8}")),
    ("a category", re.compile(r"([A-Za-z][A-Za-z0-9_-]{0,31})(?: {1,8}|$)")),
    ("a level and ':'", re.compile(r"([A-Za-z][A-Za-z0-9_-]{0,31}):")),
)
"""What stands between the stamp and the message, in order."""
_HEAD = re.compile("".join(piece.pattern for _, piece in _PIECES))
_CATEGORIES = "General LDAP Network Account Protocol Statistics Stats Store".split()
_BEGUN = 40
"""Characters in which a category and a level have their place."""
_BODY = re.compile(rf"({'|'.join(_CATEGORIES)}) ({'|'.join(events.LEVELS)}):", re.IGNORECASE | re.ASCII)

_SESSION = re.compile(
    r"([0-9]{4}/[0-9]{1,2}/[0-9]{1,2}) {1,8}((?:[01]?[0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]) {1,8}"
    r"([0-9]{1,9}:[0-5][0-9]:[0-5][0-9])(?: {1,8}([0-9]{1,18}) {1,8}([0-9]{1,18}) {1,8}([0-9]{1,18})(?= |$))?"
)

DEBUG_LOGS = ("dispatcher", "job_controller")
MECHANISMS = frozenset("plaintext plain login cram-md5 digest-md5 apop ntlm gssapi external xoauth2 oauthbearer anonymous".split())
"""What a login may end with, in lower case; only asked where the user's name has blanks."""
REASONS = ("authentication failure", "authentication failed", "user not found", "account disabled")
"""How a badlogin ends, in lower case, without an account's state. They tell where the user's name ends, when it has blanks."""

_LOGIN = events.SERVICE_EVENTS["login"].name
_BADLOGIN = events.SERVICE_EVENTS["badlogin"].name
_CLOSE = events.SERVICE_EVENTS["close"].name
_LOG_CREATED = events.SERVICE_EVENTS["created"].name
_MESSAGE = events.SERVICE_EVENTS["message"].name


def parse_run(lines: Sequence[str], start: int, log: Log, out: list[Record]) -> int:
    """Reads service log lines from `start` on; see `base.ParseRun`."""
    opening, size, time, wrong = "\n", 0, "", ""  # the stamp of the line before with its brackets and blank (no line has an LF), and so on
    for position in range(start, len(lines)):
        line = lines[position]
        if not line.startswith(opening):
            stamp = _STAMP.match(line)
            if stamp is None:
                return position
            size = stamp.end()
            time = log.clock.nslog(stamp[1])
            opening = stamp[0] if time and line[size - 1] == " " else "\n"  # half a stamp may be the beginning of the next one
            wrong = "" if time else f"column {stamp.start(1) + 1}: expected a date, a time of day and a zone, found {stamp[1]!r}"
        # Few different heads stand in a log, so where one ends is guessed and what it says looked up: 1.5 µs less than the pattern.
        colon = line.find(":", line.find("]: ", size) + 3)
        head = _head(line[size : colon + 1], log.service) if size < colon < size + 200 else None
        if head is None:
            match = _HEAD.match(line, size)
            if match is None:
                out.append(_unparsed(line, size))
                continue
            colon = match.end() - 1
            head = _head(match[0], log.service)
            assert head is not None, "what the pattern matched, it matches"
        text = line[colon + 2 :] if line[colon + 1 : colon + 2] == " " else line[colon + 1 :]
        record = _read(head, time, text)
        if wrong:
            record.time_zone_source = ""
            record.error = f"{record.error}; {wrong}" if record.error else wrong
        out.append(record)
    return len(lines)


def is_body(text: str) -> bool:
    """Whether a text begins as the line does after its process, with a category and a level that the product knows."""
    return _begun(text[: text.find(":", 0, _BEGUN) + 1]) is not None


def parse_body(text: str, time: str, time_zone_source: str, process: str, pid: int | None, log: Log) -> Record:
    """`Account Notice: ...`, as a syslog message has it whose header says the rest -> its record. `text` is one that `is_body`."""
    end = text.find(":") + 1
    begun = _begun(text[:end])
    assert begun is not None, "is_body was asked"
    head = _templates(process, log.service, time_zone_source, "", pid, *begun)
    return _read(head, time, text[end:].removeprefix(" "))


@lru_cache(maxsize=256)
def _begun(text: str) -> tuple[str, str] | None:
    """`Account Notice:` -> its two words; None when these are not such."""
    match = _BODY.fullmatch(text)
    return (match[1], match[2]) if match else None


def render(record: Service | Debug) -> str:
    """The line of a record that has a time, in the form with both brackets: parsed again it is the same record.

    `message` is written as it is; the fields that were taken from it are not looked at.
    """
    time = record.time
    stamp = f"{time[8:10]}/{MONTH_NAMES[int(time[5:7]) - 1]}/{time[:4]}:{time[11:19]} {time[-6:-3]}{time[-2:]}"
    pid = "" if record.pid is None else f"[{record.pid}]"
    return f"[{stamp}] {record.host} {record.process}{pid}: {record.category} {record.level}: {record.message}"


class Head(NamedTuple):
    """Records that have what stands between stamp and message, to be copied. `debug`: what the line is where it is no service's."""

    service: Service
    store: Store
    debug: Debug | None


@lru_cache(maxsize=1024)
def _head(text: str, log_service: str) -> Head | None:
    """`vadar imapd[13027]: Account Notice:` -> what it says; None when it is no such thing."""
    match = _HEAD.fullmatch(text)
    if match is None:
        return None
    host, process, pid, category, level = match.groups()
    return _templates(process, log_service, "record", host, int(pid) if pid else None, category, level)


@lru_cache(maxsize=1024)
def _templates(process: str, log_service: str, zone_source: str, host: str, pid: int | None, category: str, level: str) -> Head:
    service = process if process in DEBUG_LOGS else service_of_process(process) or log_service or "default"
    known: dict[str, Any] = {
        "time_zone_source": zone_source,
        "host": host,
        "process": process,
        "pid": pid,
        "service": service,
        "category": category,
        "level": level,
        "severity": events.LEVELS.get(level.lower(), "info"),
    }
    debug = Debug(event=events.DEBUG.name, **known) if service in DEBUG_LOGS else None
    return Head(Service(event=_MESSAGE, **known), Store(**known), debug)


def _read(head: Head, time: str, text: str) -> Record:
    """The record of a message, by how it begins."""
    if head.debug is not None:
        return replace(head.debug, time=time, message=text)
    if text[:1] == " ":  # a folded line that was joined again keeps the blanks of its second part
        record = _read(head, time, text.lstrip(" "))
        if isinstance(record, Service):
            record.message = text
        return record
    return _READERS.get(text[:5], _other)(head, time, text)


def _unparsed(line: str, at: int) -> Unparsed:
    """A line that goes on after its stamp as no service log does: where, and what should stand there."""
    expected = "a service log's line"
    for what, piece in _PIECES:
        match = piece.match(line, at)
        if match is None:
            expected = what
            break
        at = match.end()
    at += len(line[at : at + 8]) - len(line[at : at + 8].lstrip(" "))
    return unparsed(stopped(at + 1, expected, line))


# The events. Each reads a message into a copy of the record that its head gave; a message of another form is left to `_other`.


def _login(head: Head, time: str, text: str) -> Record:
    """`login [address] user mechanism`"""
    ip, port, end = _peer(text, 7)
    if text[:7] != "login [" or end < 0:
        return _other(head, time, text)
    left = text[end + 2 :].rstrip()
    user, mechanism = _user(left)
    if " " in mechanism:
        before, _, last = left.rpartition(" ")
        user, mechanism = (before, last) if last.lower() in MECHANISMS else (user, mechanism[: mechanism.index(" ")])
    return replace(head.service, time=time, event=_LOGIN, message=text, client_ip=ip, client_port=port, user=user, auth_method=mechanism)


def _badlogin(head: Head, time: str, text: str) -> Record:
    """`badlogin: [address] mechanism user reason`, an account's state in parentheses behind its reason."""
    ip, port, end = _peer(text, 11)
    if text[:11] != "badlogin: [" or end < 0:
        return _other(head, time, text)
    mechanism, _, left = text[end + 2 :].rstrip().partition(" ")
    state = ""
    if left[-1:] == ")":
        before, _, inside = left.rpartition(" (")
        if before[-16:].lower() == "account disabled":
            left, state = before, inside[:-1]
    ending = left[-24:].lower()
    user, reason = "", ""
    for known in REASONS:
        if ending.endswith(known) and left[-len(known) - 1 : -len(known)] in ("", " "):
            user, reason = _unquoted(left[: -len(known) - 1]), left[-len(known) :]
            break
    else:
        user, reason = _user(left)
    return replace(
        head.service, time=time, event=_BADLOGIN, message=text, client_ip=ip, client_port=port, auth_method=mechanism, user=user, reason=reason,
        account_state=state,
    )  # fmt: skip


def _close(head: Head, time: str, text: str) -> Record:
    """`close [address] user yyyy/m/d h:mm:ss h:mm:ss`, and three numbers or none; its date has the zone of the line."""
    ip, port, end = _peer(text, 7)
    if text[:7] != "close [" or end < 0:
        return _other(head, time, text)
    session = _SESSION.match(text, text.find(" ", end + 2) + 1)
    if session is None or session.end() < len(text):  # the last such piece, as the user's name stands before it and may look like one
        for later in _SESSION.finditer(text, end + 2):
            session = later
    if session is None:
        return _other(head, time, text)
    user = text[end + 2 : session.start()].rstrip(" ")
    day, clock, length, from_client, to_client, mailboxes = session.groups()
    began = _iso_date(day)
    return replace(
        head.service, time=time, event=_CLOSE, message=text, client_ip=ip, client_port=port, user="" if user == "[unauthenticated]" else user,
        session_start=f"{began}T{clock if len(clock) == 8 else '0' + clock}{time[-6:]}" if began and time else "",
        session_seconds=_seconds(length),
        bytes_from_client=int(from_client) if from_client else None,
        bytes_to_client=int(to_client) if to_client else None,
        mailboxes=int(mailboxes) if mailboxes else None,
        error="" if began else f"the session's date is none: {day}",
    )  # fmt: skip


def _log_created(head: Head, time: str, text: str) -> Record:
    """`Log created (epoch)`, the first line of every file."""
    is_it = text[:13] == "Log created (" and text.rstrip()[-1:] == ")" and text.rstrip()[13:-1].isdecimal()
    return replace(head.service, time=time, event=_LOG_CREATED, message=text) if is_it else _other(head, time, text)


def _operation(head: Head, time: str, text: str) -> Record:
    """`append:user:folder:size:<id>`, `fetch:user:folder:<id>`, `expunge:folder:<id>`: what happened to a message in the store."""
    verb, _, left = text.partition(":")
    at = left.rfind(":<")
    event = _OPERATIONS.get(verb)
    if at < 0 or event is None:
        return _other(head, time, text)
    message_id = left[at + 2 :].rstrip()
    folder, user, size = left[:at], "", ""
    if verb == "append":
        before, _, last = folder.rpartition(":")
        if before and last.isdecimal() and last.isascii() and len(last) < 19:
            folder, size = before, last
    if verb != "expunge":
        colon = folder.find(":")
        if not folder.startswith(_NAMESPACES, colon + 1):
            path = folder.find(":user/", colon + 1)
            colon = path if path >= 0 else colon
        user, folder = folder[: max(colon, 0)], folder[colon + 1 :]
    return replace(
        head.store, time=time, event=event, message=text, user=user, folder=folder,
        size_bytes=int(size) if size else None,
        message_id=message_id.removesuffix(">"),
        error="" if message_id[-1:] == ">" else "the message id has no end",
    )  # fmt: skip


def _other(head: Head, time: str, text: str) -> Record:
    """Any other message: a proxy's `(id 12) ...`, `user[address] ...` of httpd, `key=value|key=value`, or just text."""
    record = replace(head.service, time=time, message=text)
    if text[:4] == "(id ":
        number = text[4 : max(text.find(")", 4, 32), 0)]
        if number.isdecimal():
            record.attributes = {"id": number}
        return record
    bracket = text.find("[", 0, 256)
    if bracket >= 0 and " " not in text[:bracket]:
        ip, port, end = _peer(text, bracket + 1)
        if ip:
            record.user, record.client_ip, record.client_port = text[:bracket], ip, port
            if text.startswith("created message <", end + 2):
                record.message_id = text[end + 19 :].rstrip().removesuffix(">")
    elif "=" in text:
        record.attributes = _attributes(text)
    return record


_OPERATIONS = {verb: events.SERVICE_EVENTS[verb].name for verb in ("append", "fetch", "expunge")}
_NAMESPACES = ("user/", "shared/")
_READERS: dict[str, Callable[[Head, str, str], Record]] = {
    "login": _login,
    "badlo": _badlogin,
    "close": _close,
    "Log c": _log_created,
    "appen": _operation,
    "fetch": _operation,
    "expun": _operation,
}
"""By the first five characters of the message."""


# The pieces of the messages.


def _peer(text: str, start: int) -> tuple[str, int | None, int]:
    """What stands in the bracket that opens before `start`: (IP, port, where it closes); no IP when it is none; -1 when it never closes.

    `192.0.2.7:40718`, `192.0.2.7`, `2001:db8::7:40718`, `[2001:db8::7]:40718`
    """
    end = text.find("]", start, start + 80)
    if text.startswith("[", start):
        end = text.find("]", end + 1, start + 80)
    if end < 0:
        return "", None, -1
    address = text[start:end]
    ip, _, port = address.rpartition(":")
    if address[:1] == "[":
        address = address[1:-1]
        ip = ip[1:-1]
    if port.isdecimal() and len(port) < 6 and _is_ip(ip):
        return ip, int(port), end
    return address if _is_ip(address) else "", None, end


@lru_cache(maxsize=4096)
def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return "%" not in text  # the zone of a link-local address is no part of it, and receivers refuse it


@lru_cache(maxsize=64)
def _iso_date(text: str) -> str:
    """`1998/12/3` -> `1998-12-03`; `""` when the calendar has no such day."""
    try:
        return date(*map(int, text.split("/"))).isoformat()
    except ValueError:
        return ""


@lru_cache(maxsize=4096)
def _seconds(text: str) -> int:
    """`0:00:26` -> 26"""
    hours, minutes, seconds = text.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds)


def _user(text: str) -> tuple[str, str]:
    """(user, what stands after it): the name is one word, unless it has quotation marks."""
    if text[:1] == '"' and (end := text.find('" ', 1)) > 0:
        return text[1:end], text[end + 2 :]
    user, _, left = text.partition(" ")
    return user, left


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text


def _attributes(text: str) -> dict[str, str] | None:
    """`function=getserverhello|port=2500|error=failed to connect` -> the pairs; None when the first key is no single word.

    Keys may have blanks and parentheses; a piece without a key belongs to the value before it. A key without a value says nothing.
    """
    found: dict[str, list[str]] = {}
    key = ""
    for piece in text.rstrip().split("|"):
        name, equals, value = piece.partition("=")
        if not found and (not equals or not name or " " in name):
            return None
        if equals and name:
            key = name
            found.setdefault(key, []).append(value)
        else:
            found[key].append(piece)
    return {key: value for key, values in found.items() if (value := "|".join(values))} or None


FORMAT = Format("service", "service logs (nslog): imap, pop, http, admin, default, imta, proxies, message trace", parse_run)
