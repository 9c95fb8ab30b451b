"""The two-letter attributes of an MTA record, as LOG_FORMAT 4 (XML), 5 and 6 (JSON) name them: attributes -> record, record -> attributes.

    en   ts no pi sc dc ac sz so od de rf fi ei mi us ss se pr in ia fl re di rm tr ap qt    message enqueued, dequeued, refused …
    co   ts no pi sc dr ac tr ap mi us di ss re                                              connection
    he   ts no pi va                                                                         header line of the message

The same values as in text records, each under its own name. In `co` the attribute `mi` is a free text, our `tag`.

Rules:
- No order, no attribute that must be there: one that is missing or empty leaves its field at its default. Only the empty sender says
  something, and a record without a time stamp or entry code says so in `error`.
- None is dropped. What has no field is in `extra` under its own name: attributes that are not known, the second of two with the same name (a
  list when there are more), and values that could not be read, which `error` names.
- `ss`, `di` and `tr` all tell of the other end of the connection. When the source system `ss` is another host than the one that the status
  and the transport speak of, it is kept whole in `extra`: the record's `remote_…` fields are always of one host.
- For a record that was read from attributes, read(write(record)) is the record.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

from shipper import events
from shipper.formats import mta_fields as fields
from shipper.record import Connection, Header, Mta, Record
from shipper.stamps import Clock

ELEMENTS = frozenset(("en", "co", "he"))
_NAMES: dict[str, tuple[str, ...]] = {
    "en": tuple("ts no pi sc dc dr ac sz so od de rf fi ei mi us ss se pr in ia fl re di rm tr ap qt".split()),
    "co": tuple("ts no pi sc dr ac tr ap mi us di ss re".split()),
    "he": tuple("ts no pi va hn hv".split()),
}
"""Element -> its attributes that have a field, in the order in which `_READ` gets their values."""
KNOWN: dict[str, frozenset[str]] = {element: frozenset(names) for element, names in _NAMES.items()}

_DIRECTIONS = {"+": "in", "-": "out"}
_SIGNS = {"in": "+", "out": "-"}
_SERVER_SIDE = frozenset("EJBV")
_SECONDS = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,9})?(?:e-?[0-9]{1,2})?")


def read(element: str, names: Sequence[str], values: Sequence[str], clock: Clock) -> Mta | Connection | Header:
    """The record of an element of `ELEMENTS` with these attributes. Never raises."""
    known = KNOWN[element]
    if len(names) <= len(known) and known.issuperset(names) and (pick := _pick(element, tuple(names))):
        return _READ[element](pick((*values, None)), clock)
    attributes, again = _first(names, values, known)
    record = _READ[element]([attributes.get(name) for name in _NAMES[element]], clock)
    for name, value in attributes.items():
        if name not in known:
            keep(record, name, value)
    for name, value in again:
        keep(record, name, value)
    return record


@lru_cache(maxsize=1024)
def _pick(element: str, names: tuple[str, ...]) -> Callable[[Sequence[str | None]], Sequence[str | None]] | None:
    """What puts the values of these attributes, with None behind them, in the order of `_NAMES`: one step for all of a record, as a server writes
    few different ones. None where a name comes twice."""
    if len(set(names)) < len(names):
        return None
    return itemgetter(*[names.index(name) if name in names else -1 for name in _NAMES[element]])


def _first(names: Sequence[str], values: Sequence[str], known: frozenset[str]) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """(the first value of each name, the others). An empty value counts as none, but for a sender's."""
    attributes: dict[str, str] = {}
    again: list[tuple[str, str]] = []
    for name, value in zip(names, values, strict=True):
        held = attributes.get(name)
        if held is None or (held == "" and name in known and name != "so"):
            attributes[name] = value
        else:
            again.append((name, value))
    return attributes, again


def keep(record: Record, name: str, value: Any) -> None:
    """Puts what has no field into `extra`; under a name that is taken, into a list with what is there."""
    if record.extra is None:
        record.extra = {name: value}
    elif name not in record.extra:
        record.extra[name] = value
    elif isinstance(held := record.extra[name], list):
        held.append(value)
    else:
        record.extra[name] = [held, value]


def _trouble(record: Record, problem: str) -> None:
    record.error = f"{record.error}; {problem}" if record.error else problem


def _unread(record: Record, name: str, text: str, expected: str) -> None:
    keep(record, name, text)
    _trouble(record, f"attribute {name}: expected {expected}, found {text[:24]!r}")


_Values = Sequence[str | None]
"""The values of an element's attributes in the order of `_NAMES`, None where one is not there."""


def _begin(record: Mta | Connection | Header, stamp: str | None, node: str | None, process: str | None, clock: Clock) -> None:
    """What every element has."""
    record.time, record.time_zone_source = clock.iso(stamp or "")
    if not record.time:
        if stamp:
            _unread(record, "ts", stamp, "a time yyyy-mm-ddThh:mm:ss.cc")
        else:
            _trouble(record, "no time stamp (ts)")
    record.host = node or ""
    if process:
        fields.process(record, process)


def _code(record: Mta | Connection, code: str | None) -> None:
    if code and fields.is_code(code):
        record.code = code
    elif code:
        _unread(record, "ac", code, "an entry code")
    else:
        _trouble(record, "no entry code (ac)")
    record.action, record.modifiers, event = fields.code_parts(record.code)
    record.event, record.severity = event.name, event.severity


def _message(values: _Values, clock: Clock) -> Mta:
    (
        ts, no, pi, source, destination, dr, ac, sz, sender, original, recipient, rf, file, envelope_id, message_id, us, ss, sensitivity,
        priority, intermediate, initial, filter_, reason, di, rm, tr, ap, qt,
    ) = values  # fmt: skip
    record = Mta(source_channel=source or "", destination_channel=destination or "")
    _begin(record, ts, no, pi, clock)
    _code(record, ac)
    if sender == "" or sender == "<>":
        record.null_sender = True
    elif sender:
        record.sender = sender
    if original:
        kind, semicolon, address = original.partition(";")
        if semicolon and kind.replace("-", "").isalnum():
            record.original_recipient_type, original = kind, address
        if original != "<>":
            record.original_recipient = original
    if recipient and recipient != "<>":
        if record.action == "B":
            record.bad_command = recipient
        else:
            record.recipient = recipient
    if sz:
        record.size_blocks = _number(record, "sz", sz)
    if rf:
        record.notary_flags = _number(record, "rf", rf)
    if file:
        fields.queue_file(record, file)
    if envelope_id:
        record.envelope_id = envelope_id
    if message_id:
        fields.message_id(record, message_id)
    if sensitivity:
        record.sensitivity = sensitivity
    if priority:
        record.priority = priority
    if intermediate:
        record.intermediate_address = intermediate
    if initial:
        record.initial_address = initial
    if filter_:
        record.filter = filter_
    if reason:
        record.reason = reason
    if qt:
        if qt.isdecimal() and qt.isascii() and len(qt) < 16:
            record.queue_seconds = int(qt)
        elif _SECONDS.fullmatch(qt):
            record.queue_seconds = float(qt)
        else:
            _unread(record, "qt", qt, "seconds")
    if dr:
        _direction(record, dr)
    _wire(record, us, ap, ss, di, rm, tr)
    return record


def _connection(values: _Values, clock: Clock) -> Connection:
    ts, no, pi, source, dr, ac, tr, ap, tag, us, di, ss, reason = values
    record = Connection(source_channel=source or "", tag=tag or "", reason=reason or "")
    _begin(record, ts, no, pi, clock)
    _code(record, ac)
    if dr:
        _direction(record, dr)
    _wire(record, us, ap, ss, di, None, tr)
    if record.action == "U" and fields.auth_failed(record):
        record.severity = events.AUTH_FAILED.severity
    return record


def _header(values: _Values, clock: Clock) -> Header:
    ts, no, pi, va, hn, hv = values
    record = Header(event=events.HEADER.name, severity=events.HEADER.severity)
    _begin(record, ts, no, pi, clock)
    text = va or ""
    if hn or hv:  # a guess at a server that writes name and value apart
        if text:
            keep(record, "va", text)
        text = f"{(hn or '').rstrip(': ')}: {hv or ''}"
    name, colon, value = text.partition(":")
    name = name.rstrip(" ")
    if colon and name and " " not in name:
        record.header_name = name
        record.header_value = value[1:] if value[:1] == " " else value
    else:
        record.header_value = text
        _trouble(record, "a header line without a name")
    return record


_READ: dict[str, Callable[[_Values, Clock], Mta | Connection | Header]] = {"en": _message, "co": _connection, "he": _header}


def _number(record: Mta, name: str, text: str) -> int | None:
    if text.isdecimal() and text.isascii() and len(text) < 19:
        return int(text)
    _unread(record, name, text, "a number")
    return None


def _direction(record: Mta | Connection, sign: str) -> None:
    if sign in _DIRECTIONS:
        record.direction = _DIRECTIONS[sign]
    else:
        _unread(record, "dr", sign, "'+' or '-'")


def _wire(
    record: Mta | Connection,
    user: str | None,
    application: str | None,
    source: str | None,
    status: str | None,
    remote_mta: str | None,
    transport: str | None,
) -> None:
    """User, application, and the two ends of the connection: source system, then status and remote MTA, then transport."""
    if user:
        fields.username(record, user)
    if application:
        fields.application(record, application)
    dns = ip = ""
    if source:
        fields.source_system(record, source)
        dns, ip = record.remote_dns, record.remote_ip
    if type(record) is Mta:
        if status:
            fields.diagnostic(record, status)
        if remote_mta:
            _remote_mta(record, remote_mta)
    elif status:
        fields.status(record, status)
    if transport:
        _transport(record, transport)
    if dns and not record.remote_dns:  # `dns;` alone names no host
        record.remote_dns = dns
    if source and ((dns and record.remote_dns != dns) or (ip and record.remote_ip != ip)):
        _other_host(record, source, dns, "dns;" in (status or ""))


def _other_host(record: Mta | Connection, source: str, dns: str, told: bool) -> None:
    """The source system (`source`, its DNS name `dns`) is another host than the one that status and transport name."""
    keep(record, "ss", source)
    record.remote_name = ""
    if record.remote_dns == dns and not told:
        record.remote_dns = ""
    if not record.transport:
        record.remote_ip = ""


_ENDS = ("transport", "local_ip", "local_port", "remote_ip", "remote_port")
_REMOTE = ("remote_mta", "remote_dns", *_ENDS, "banner", "diagnostic")


def _transport(record: Mta | Connection, text: str) -> None:
    if not record.transport:
        if not fields.transport(record, text):
            _unread(record, "tr", text, "TCP|ip|port|ip|port")
        return
    other = Connection()  # the status named one already
    if not fields.transport(other, text):
        _unread(record, "tr", text, "TCP|ip|port|ip|port")
    elif any(getattr(other, name) != getattr(record, name) for name in _ENDS):
        keep(record, "tr", text)


def _remote_mta(record: Mta, text: str) -> None:
    """`HOST`, or the `[HOST ]dns;HOST (TCP|…) (banner)` that servers with this attribute leave out of the diagnostic."""
    other = Mta(remote_mta=text)
    if "dns;" in text:
        other.remote_mta = ""
        fields.diagnostic(other, text)
    found = [(name, value) for name in _REMOTE if (value := getattr(other, name))]
    if other.diagnostic or any(getattr(record, name) not in ("", None, value) for name, value in found):
        keep(record, "rm", text)
        return
    for name, value in found:
        setattr(record, name, value)


def write(record: Mta | Connection | Header) -> tuple[str, dict[str, str | int | float]]:
    """(element, attributes) of a record; what is in its `extra` is the caller's to add.

    Those that the MTA always writes are there also when they are empty. Of a record whose time zone is not its own the time stamp is local.
    """
    if isinstance(record, Header):
        name = f"{record.header_name}: " if record.header_name else ""
        return "he", {**_start(record), "va": name + record.header_value}
    attributes: dict[str, str | int | float] = _start(record)
    attributes["sc"] = record.source_channel
    source, status, remote_mta, transport = _texts(record)
    user = f"*{record.username}" if record.authenticated else record.username
    if isinstance(record, Connection):
        optional: dict[str, str | int | float | None] = {
            "dr": _SIGNS.get(record.direction),
            "ac": record.code,
            "tr": transport,
            "ap": record.application,
            "mi": record.tag,
            "us": user,
            "ss": source,
            "re": record.reason,
            "di": status,
        }
        return "co", attributes | {name: value for name, value in optional.items() if value}
    attributes["dc"] = record.destination_channel
    if sign := _SIGNS.get(record.direction):
        attributes["dr"] = sign
    attributes["ac"] = record.code
    if record.size_blocks is not None:
        attributes["sz"] = record.size_blocks
    if record.sender or record.null_sender:
        attributes["so"] = record.sender
    kind = f"{record.original_recipient_type};" if record.original_recipient_type else ""
    attributes["od"] = kind + record.original_recipient
    attributes["de"] = record.bad_command or record.recipient
    optional = {
        "rf": record.notary_flags,
        "fi": record.queue_file,
        "ei": record.envelope_id,
        "mi": _message_id(record),
        "us": user,
        "ss": source,
        "se": record.sensitivity,
        "pr": record.priority,
        "in": record.intermediate_address,
        "ia": record.initial_address,
        "fl": record.filter,
        "re": record.reason,
        "di": status,
        "rm": remote_mta,
        "tr": transport,
        "ap": record.application,
        "qt": record.queue_seconds,
    }
    return "en", attributes | {name: value for name, value in optional.items() if value not in ("", None)}


def _start(record: Mta | Connection | Header) -> dict[str, str | int | float]:
    attributes: dict[str, str | int | float] = {}
    if record.time:
        attributes["ts"] = stamp(record)
    if record.host:
        attributes["no"] = record.host
    if process := _process(record):
        attributes["pi"] = process
    return attributes


def stamp(record: Record) -> str:
    """`2014-06-02T22:02:13.94`: the time as the log had it, with its offset only where the line named one."""
    time = record.time
    if record.time_zone_source == "record":
        return time
    return time[: max(time.find("+", 19), time.find("-", 19))]


def _process(record: Mta | Connection | Header) -> str:
    if record.pid is None:
        return record.process
    numbers = [number for number in (record.pid, record.thread, record.sequence) if number is not None]
    return ".".join(f"{number:x}" for number in numbers)


def _message_id(record: Mta) -> str:
    if record.related_message_id:
        return f"<{record.message_id}>,<{record.related_message_id}>"
    if ">,<" in record.message_id:
        return record.message_id
    return f"<{record.message_id}>" if record.message_id else ""


def _texts(record: Mta | Connection) -> tuple[str, str, str, str]:
    """(ss, di, rm, tr) of a record: the two ends of the connection where the side that wrote the record has them."""
    name, dns, ip = record.remote_name, record.remote_dns, record.remote_ip
    transport = ""
    if record.transport:
        ports = ["" if port is None else str(port) for port in (record.local_port, record.remote_port)]
        transport = f"{record.transport.upper()}|{record.local_ip}|{ports[0]}|{ip}|{ports[1]}"
    whole = "(" in name  # a source system that has not the shape of one
    message = record if isinstance(record, Mta) else None
    alone = message is None or (not message.banner and message.diagnostic[:1] == "(" and ")" in message.diagnostic)
    # Then nothing may stand before the status: it would be read as the banner.
    in_source = not whole and (bool(name) or alone or record.action in _SERVER_SIDE or bool(ip and not transport))
    source = name
    if in_source:
        address = f"[{ip}]" if ip and fields.is_ip(ip) and (name or dns or not transport) else ""
        inner = f"{dns} {address}".strip(" ")
        source = f"{name} ({inner})".lstrip(" ") if inner else name
    if message is None or alone:
        return source, record.diagnostic, message.remote_mta if message else "", transport
    parts: list[str] = []
    remote_mta = message.remote_mta
    if dns and (not in_source or message.banner or remote_mta):
        parts.append(f"dns;{dns}")
        if remote_mta and not set(" ;(").intersection(remote_mta):
            parts.insert(0, remote_mta)
            remote_mta = ""
    told = bool(parts) or bool(message.banner) or "dns;" in record.diagnostic
    if record.transport == "tcp" and (told or "tr" in (record.extra or ())):
        parts.append(f"({transport})")
        transport = ""
    if message.banner:
        parts.append(f"({message.banner})")
    if record.diagnostic:
        parts.append(record.diagnostic)
    return source, " ".join(parts), remote_mta, transport
