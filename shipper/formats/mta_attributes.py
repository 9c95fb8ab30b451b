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
from typing import Any

from shipper import events
from shipper.formats import mta_fields as fields
from shipper.record import Connection, Header, Mta, Record
from shipper.stamps import Clock

ELEMENTS = frozenset(("en", "co", "he"))
KNOWN: dict[str, frozenset[str]] = {
    "en": frozenset("ts no pi sc dc dr ac sz so od de rf fi ei mi us ss se pr in ia fl re di rm tr ap qt".split()),
    "co": frozenset("ts no pi sc dr ac tr ap mi us di ss re".split()),
    "he": frozenset("ts no pi va hn hv".split()),
}
"""Element -> its attributes that have a field."""

_DIRECTIONS = {"+": "in", "-": "out"}
_SIGNS = {"in": "+", "out": "-"}
_SERVER_SIDE = frozenset("EJBV")
_SECONDS = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,9})?(?:e-?[0-9]{1,2})?")


def read(element: str, names: Sequence[str], values: Sequence[str], clock: Clock) -> Mta | Connection | Header:
    """The record of an element of `ELEMENTS` with these attributes. Never raises."""
    attributes = dict(zip(names, values, strict=True))
    if len(attributes) == len(names):
        return of(element, attributes, clock)
    attributes, again = _first(names, values, KNOWN[element])
    record = of(element, attributes, clock)
    for name, value in again:
        keep(record, name, value)
    return record


def of(element: str, attributes: dict[str, str], clock: Clock) -> Mta | Connection | Header:
    """The same where no name comes twice."""
    known = KNOWN[element]
    record = _READ[element](attributes, clock)
    if not known.issuperset(attributes):
        for name, value in attributes.items():
            if name not in known:
                keep(record, name, value)
    return record


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


def _begin(record: Mta | Connection | Header, attributes: dict[str, str], clock: Clock) -> None:
    """What every element has: time, node, process."""
    get = attributes.get
    stamp = get("ts", "")
    record.time, record.time_zone_source = clock.iso(stamp)
    if not record.time:
        if stamp:
            _unread(record, "ts", stamp, "a time yyyy-mm-ddThh:mm:ss.cc")
        else:
            _trouble(record, "no time stamp (ts)")
    record.host = get("no", "")
    if text := get("pi", ""):
        fields.process(record, text)


def _code(record: Mta | Connection, code: str) -> None:
    if fields.is_code(code):
        record.code = code
    elif code:
        _unread(record, "ac", code, "an entry code")
    else:
        _trouble(record, "no entry code (ac)")
    record.action, record.modifiers, event = fields.code_parts(record.code)
    record.event, record.severity = event.name, event.severity


def _message(attributes: dict[str, str], clock: Clock) -> Mta:
    get = attributes.get
    record = Mta(
        source_channel=get("sc", ""),
        destination_channel=get("dc", ""),
        envelope_id=get("ei", ""),
        sensitivity=get("se", ""),
        priority=get("pr", ""),
        intermediate_address=get("in", ""),
        initial_address=get("ia", ""),
        filter=get("fl", ""),
        reason=get("re", ""),
    )
    _begin(record, attributes, clock)
    _code(record, get("ac", ""))
    sender = get("so")
    if sender == "" or sender == "<>":
        record.null_sender = True
    elif sender:
        record.sender = sender
    if text := get("od", ""):
        kind, semicolon, address = text.partition(";")
        if semicolon and kind.replace("-", "").isalnum():
            record.original_recipient_type, text = kind, address
        if text != "<>":
            record.original_recipient = text
    if (text := get("de", "")) != "<>":
        if record.action == "B":
            record.bad_command = text
        else:
            record.recipient = text
    if text := get("sz", ""):
        record.size_blocks = _number(record, "sz", text)
    if text := get("rf", ""):
        record.notary_flags = _number(record, "rf", text)
    if text := get("fi", ""):
        fields.queue_file(record, text)
    if text := get("mi", ""):
        fields.message_id(record, text)
    if text := get("qt", ""):
        if text.isdecimal() and text.isascii() and len(text) < 16:
            record.queue_seconds = int(text)
        elif _SECONDS.fullmatch(text):
            record.queue_seconds = float(text)
        else:
            _unread(record, "qt", text, "seconds")
    if text := get("dr", ""):
        _direction(record, text)
    _wire(record, attributes)
    return record


def _connection(attributes: dict[str, str], clock: Clock) -> Connection:
    get = attributes.get
    record = Connection(source_channel=get("sc", ""), tag=get("mi", ""), reason=get("re", ""))
    _begin(record, attributes, clock)
    _code(record, get("ac", ""))
    if text := get("dr", ""):
        _direction(record, text)
    _wire(record, attributes)
    if record.action == "U" and fields.auth_failed(record):
        record.severity = events.AUTH_FAILED.severity
    return record


def _header(attributes: dict[str, str], clock: Clock) -> Header:
    get = attributes.get
    record = Header(event=events.HEADER.name, severity=events.HEADER.severity)
    _begin(record, attributes, clock)
    text = get("va", "")
    if get("hn", "") or get("hv", ""):  # a guess at a server that writes name and value apart
        if text:
            keep(record, "va", text)
        text = f"{get('hn', '').rstrip(': ')}: {get('hv', '')}"
    name, colon, value = text.partition(":")
    name = name.rstrip(" ")
    if colon and name and " " not in name:
        record.header_name = name
        record.header_value = value[1:] if value[:1] == " " else value
    else:
        record.header_value = text
        _trouble(record, "a header line without a name")
    return record


_READ: dict[str, Callable[[dict[str, str], Clock], Mta | Connection | Header]] = {"en": _message, "co": _connection, "he": _header}


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


def _wire(record: Mta | Connection, attributes: dict[str, str]) -> None:
    """User, application, and the two ends of the connection: `ss`, then `di` and `rm`, then `tr`."""
    get = attributes.get
    if text := get("us", ""):
        fields.username(record, text)
    if text := get("ap", ""):
        fields.application(record, text)
    source, status = get("ss", ""), get("di", "")
    dns = ip = ""
    if source:
        fields.source_system(record, source)
        dns, ip = record.remote_dns, record.remote_ip
    if type(record) is Mta:
        if status:
            fields.diagnostic(record, status)
        if text := get("rm", ""):
            _remote_mta(record, text)
    elif status:
        fields.status(record, status)
    if text := get("tr", ""):
        _transport(record, text)
    if dns and not record.remote_dns:  # `dns;` alone names no host
        record.remote_dns = dns
    if (dns and record.remote_dns != dns) or (ip and record.remote_ip != ip):
        _other_host(record, source, dns, "dns;" in status)


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
