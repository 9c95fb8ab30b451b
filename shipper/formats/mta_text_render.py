"""MTA records back to text lines: LOG_FORMAT 1 (standard), 2 (`<>` for an empty address) and 3 (counted fields).

The other way of `mta_text`: for every record that is written with the same optional fields, parse(render(record)) is the record.

Rules:
- An optional field that the MTA writes whenever its option is on (NOTARY flags, file name, ids, user name, sensitivity, priority) and that a
  record does not have is nothing between two blanks, as the empty sender is; the others stand only where there is a value. No blanks at the
  end of a line. In format 3 every text that is not there is `0:`, and a number that is not there is left out.
- A connection record has transport, application, user name and diagnostic, as far as there are values; in format 3 all four are counted.
- A record of the client side (D, Q, R …) has the names and ends of its connection in the delivery status: `[HOST ]dns;HOST (TCP|…) (banner)
  smtp;250 …`; one of the server side (E, J …) in the connection information, `helo (dns [ip])`, and, if asked for, in the transport field.
- Of a B record's optional fields formats 1 and 2 have only the reply: the command may hold blanks, and nothing else tells where it ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from shipper.formats.mta_text import OPTIONAL
from shipper.record import Connection, Header, Mta
from shipper.stamps import MONTH_NAMES

MONTHS = {f"{number:02d}": name for number, name in enumerate(MONTH_NAMES, 1)}
SIGNS = {"in": "+", "out": "-"}
SERVER_SIDE = frozenset("EJBV")
"""Entry codes that the receiving side writes: the connection that they belong to is the one the message comes in by."""

Line = Callable[[Mta | Connection | Header], str]
_Piece = Callable[[Mta], str | None]
"""An optional field of a record as text; None where it does not stand at all."""


def render(record: Mta | Connection | Header, log_format: int = 1, fields: Sequence[str] = ()) -> str:
    """The line of one record, without its LF; `fields` are the optional ones that the server writes, of `mta_text.OPTIONAL`."""
    return renderer(log_format, fields)(record)


def renderer(log_format: int = 1, fields: Sequence[str] = ()) -> Line:
    """`render` for many records of one server: a function of the record alone. Raises ValueError for another format or field."""
    if log_format not in (1, 2, 3):
        raise ValueError(f"LOG_FORMAT={log_format} is no text format")
    unknown = [name for name in fields if name not in OPTIONAL]
    if unknown:
        raise ValueError(f"no optional field {unknown[0]!r}")
    empty = "<>" if log_format == 2 else ""
    counts = log_format == 3
    with_node, with_process = "node" in fields, "process" in fields
    pieces = _pieces(fields, counts, empty)
    reply_only = [_counted(_status)] if counts and "diagnostic" in fields else [_status] if "diagnostic" in fields else []

    second = stamp = ""  # the last second, and how it is written: the same for many lines

    def head(record: Mta | Connection) -> str:
        nonlocal second, stamp
        time = record.time
        if time[:19] != second:
            second, stamp = time[:19], f"{time[8:10]}-{MONTHS.get(time[5:7], '')}-{time[:4]} {time[11:19]}"
        text = stamp + (time[19:22] if time[22:23] in ("+", "-") else _fraction(time)) + " "
        if with_node:
            text += record.host + " "
        if with_process:
            if record.thread is not None and record.pid is not None and record.sequence is not None:
                text += f"{record.pid:x}.{record.thread:x}.{record.sequence:x} "
            else:
                text += process(record) + " "
        return text

    def message(record: Mta) -> str:
        original = record.original_recipient or empty
        if record.original_recipient_type:
            original = f"{record.original_recipient_type};{original}"
        sender, recipient = record.sender or empty, record.bad_command or record.recipient or empty
        if counts:
            sender, original, recipient = f"{len(sender)}:{sender}", f"{len(original)}:{original}", f"{len(recipient)}:{recipient}"
        destination = record.destination_channel or SIGNS.get(record.direction, "")
        size = record.size_blocks or 0
        text = f"{head(record)}{record.source_channel:<12} {destination:<12} {record.code} {size} {sender} {original} {recipient}"
        for piece in reply_only if record.bad_command and not counts else pieces:
            value = piece(record)
            if value is not None:
                text += " " + value
        return text.rstrip(" ")

    def connection(record: Connection) -> str:
        text = f"{head(record)}{record.source_channel:<12} {SIGNS.get(record.direction, ''):<12} {record.code}"
        user = f"*{record.username}" if record.authenticated else record.username
        for value in (_ends(record), record.application, user, record.diagnostic):
            if counts:
                text += f" {len(value)}:{value}"
            elif value:
                text += " " + value
        return text

    def line(record: Mta | Connection | Header) -> str:
        if isinstance(record, Mta):
            return message(record)
        if isinstance(record, Connection):
            return connection(record)
        time = record.time
        name = f"{record.header_name}: " if record.header_name else ""
        return f"{time[8:10]}-{MONTHS.get(time[5:7], '')}-{time[:4]} {time[11:19]}{_fraction(time)} > {name}{record.header_value}"

    return line


def process(record: Mta | Connection) -> str:
    """`1f625.2.1`: pid, thread and sequence in hexadecimal, as far as the record has them."""
    if record.pid is None:
        return record.process
    if record.sequence is None:
        return f"{record.pid:x}"
    if record.thread is None:
        return f"{record.pid:x}.{record.sequence:x}"
    return f"{record.pid:x}.{record.thread:x}.{record.sequence:x}"


def _fraction(time: str) -> str:
    """`2005-03-07T09:26:53.58-08:00` -> `.58`."""
    return time[19:].partition("+")[0].partition("-")[0] if time[19:20] == "." else ""


def _pieces(fields: Sequence[str], counts: bool, empty: str) -> list[_Piece]:
    """The optional fields after the recipient, in the order in which they stand."""

    def notary(record: Mta) -> str | None:
        return _number(record.notary_flags)

    def filename(record: Mta) -> str:
        return record.queue_file

    def envelope_id(record: Mta) -> str:
        return record.envelope_id

    def message_id(record: Mta) -> str:
        if record.related_message_id:
            return f"<{record.message_id}>,<{record.related_message_id}>"
        return f"<{record.message_id}>" if record.message_id else ""

    def username(record: Mta) -> str:
        return f"*{record.username}" if record.authenticated else record.username

    def connection(record: Mta) -> str | None:
        if record.action not in SERVER_SIDE and (record.transport or not record.remote_ip):
            return record.remote_name or None
        if not record.remote_dns and not record.remote_ip:
            return record.remote_name or None
        inner = f"{record.remote_dns} [{record.remote_ip}]".lstrip(" ") if record.remote_ip else record.remote_dns
        return f"{record.remote_name} ({inner})" if record.remote_name else f"({inner})"

    def sensitivity(record: Mta) -> str | None:
        return record.sensitivity or None

    def priority(record: Mta) -> str | None:
        return record.priority or None

    def intermediate(record: Mta) -> str | None:
        return record.intermediate_address or (empty if record.initial_address else None)

    def initial(record: Mta) -> str | None:
        return record.initial_address or None

    def sieve(record: Mta) -> str | None:
        return record.filter or None

    def reason(record: Mta) -> str | None:
        return record.reason or None

    def transport(record: Mta) -> str | None:
        return (_ends(record) or None) if record.action in SERVER_SIDE else None

    def application(record: Mta) -> str | None:
        return record.application or None

    def queue_time(record: Mta) -> str | None:
        return _number(record.queue_seconds)

    def or_blank(piece: _Piece) -> _Piece:
        return piece if counts else lambda record: piece(record) or ""

    numbers = {"notary": or_blank(notary), "sensitivity": or_blank(sensitivity), "priority": or_blank(priority), "queue_time": queue_time}
    texts: dict[str, _Piece] = {
        "filename": filename,
        "envelope_id": envelope_id,
        "message_id": message_id,
        "username": username,
        "connection": connection,
        "intermediate": intermediate,
        "initial": initial,
        "filter": sieve,
        "reason": reason,
        "diagnostic": _status,
        "transport": transport,
        "application": application,
    }
    pieces = []
    for name in OPTIONAL:
        if name in fields and name in numbers:
            pieces.append(numbers[name])
        elif name in fields and name in texts:
            pieces.append(_counted(texts[name]) if counts else texts[name])
    return pieces


def _counted(piece: _Piece) -> _Piece:
    def counted(record: Mta) -> str | None:
        text = piece(record) or ""
        return f"{len(text)}:{text}"

    return counted


def _number(number: float | None) -> str | None:
    return None if number is None else str(number)


def _ends(record: Mta | Connection) -> str:
    """`TCP|local ip|local port|remote ip|remote port`, or nothing."""
    if not record.transport:
        return ""
    local, remote = record.local_port, record.remote_port
    ports = ("" if local is None else local, "" if remote is None else remote)
    return f"{record.transport.upper()}|{record.local_ip}|{ports[0]}|{record.remote_ip}|{ports[1]}"


def _status(record: Mta) -> str | None:
    """`[HOST ]dns;HOST (TCP|…|…|…|…) (banner) smtp;250 2.1.5 …`, as far as the record has its parts."""
    if record.action in SERVER_SIDE:
        return record.diagnostic or None
    parts = []
    if record.remote_dns and (record.transport or not record.remote_ip):
        if record.remote_mta:
            parts.append(record.remote_mta)
        parts.append(f"dns;{record.remote_dns}")
    if record.transport:
        parts.append(f"({_ends(record)})")
    if record.banner:
        parts.append(f"({record.banner})")
    if record.diagnostic:
        parts.append(record.diagnostic)
    return " ".join(parts) or None
