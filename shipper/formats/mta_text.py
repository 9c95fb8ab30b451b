"""MTA transaction and connection records as text: LOG_FORMAT 1 (standard), 2 (`<>` for an empty address) and 3 (counted fields).

    1         11        21        31        41        51
    19-Jan-1998 19:16:57.64 l            tcp_local    E 1 adam@example.com rfc822;bob@example.org bob@example.org
    |                       |            |            | | |                |                      |
    time, local             source       destination  | | sender           original recipient     recipient
                            channel      channel      | size in blocks
                                                      entry code
    [node] and [process] may stand before the source channel, optional fields follow the recipient.

Rules:
- Columns first: the two channels are padded to 12 columns, an absent one is 12 blanks, an empty sender is nothing between two blanks. Never
  split on blanks alone. Only a line whose columns are gone (a copy from a web page or a mail) is read by elimination: the entry code is the
  capital letters that a size follows.
- Optional fields do not say what they are. When `log.fields` names them they are taken in that order; else each is told by its shape.
- A line is ours when it begins with `dd-Mon-yyyy `. If then something is not what it should be, the error names the column.
- `TS > Name: value` is a header line of the message being logged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from itertools import takewhile

from shipper import events
from shipper.formats import mta_fields as fields
from shipper.formats import mta_straight as straight
from shipper.formats.base import Format, Log, stopped, unparsed
from shipper.record import Connection, Header, Mta, Record, Unparsed
from shipper.stamps import MONTHS

OPTIONAL = (
    "node",
    "process",
    "notary",
    "filename",
    "envelope_id",
    "message_id",
    "username",
    "connection",
    "sensitivity",
    "priority",
    "intermediate",
    "initial",
    "filter",
    "reason",
    "diagnostic",
    "remote_mta",
    "transport",
    "application",
    "queue_time",
)
"""The optional fields in the order in which they stand in a line: two before the channels, the others after the recipient."""

_NUMBERS = frozenset(("notary", "sensitivity", "priority", "queue_time"))
"""Optional fields that LOG_FORMAT 3 writes without a count."""
_STATUS = ("reason", "diagnostic", "remote_mta", "transport")
_OF_REPLY = frozenset(" 2345")
"""How a reply can begin, blanks before it included."""
_READERS: dict[str, Callable[[Mta, str], object]] = {
    "filename": fields.queue_file,
    "message_id": fields.message_id,
    "username": fields.username,
    "connection": fields.source_system,
    "diagnostic": fields.diagnostic,
    "transport": fields.transport,
    "application": fields.application,
}
_DEQUEUES = frozenset("DKQRWZ")
"""Codes of records that can have a time in the queue."""
DAEMONS = frozenset(
    f"{channel}-daemon" for channel in ("ims-ms", "process", "reprocess", "conversion", "defragment", "hold", "bitbucket", "pipe")
)
"""Official host names of channels that need no network."""
_UPPER = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")


def parse_run(lines: Sequence[str], start: int, log: Log, out: list[Record]) -> int:
    """Reads MTA text records; see `base`. Stops at the first line that does not begin with `dd-Mon-yyyy `."""
    stamp_of, zone_source, named = log.clock.mta, log.clock.source, log.fields
    message = straight.message if named is None else partial(straight.message, by_name=partial(_by_name, named=named))
    bare = named is not None and "process" not in named and "node" not in named
    append = out.append
    for index in range(start, len(lines)):
        line = lines[index]
        if line[2:7:4] != "--":  # of the date
            if not _odd_day(line):
                return index
            end = line.find(" ", line.find(":"))
        elif line[20:24:3] == ". ":
            end = 23
        else:
            end = line.find(" ", 12)
        if end < 0:
            end = len(line)
        time = stamp_of(line[:end])
        if not time:
            if line[3:6].lower() not in MONTHS and not _odd_day(line):
                return index
            append(unparsed(stopped(1, "a date and time dd-Mon-yyyy hh:mm:ss.cc", line)))
            continue
        connects = " TCP|" in line[45:90]  # behind its code; in a message it stands in parentheses, or far behind
        record: Record | None = (straight.connection if connects else message)(line, end + 1, time, zone_source)
        if record is None or (bare and record.pid is not None):  # a process that nobody has told of
            record = _record(line, end + 1, time, zone_source, named)
        append(record)
    return len(lines)


def _record(line: str, first: int, time: str, zone_source: str, named: tuple[str, ...] | None) -> Record:
    """Any line with a good time stamp, whose rest begins at `first`: by columns, and by elimination where there are none."""
    line = line.rstrip(" ")
    found = _columns(line, first)
    if found is None:
        if line[first : first + 2] == "> ":
            return _header(line[first + 2 :], time, zone_source)
        found = _eliminate(line, first)
    if found is None:
        return _failed(line, first, time, zone_source)
    channel, source, destination, at, stop = found
    code = line[at:stop]
    action, modifiers, event = fields.code_parts(code)
    before = line[first:channel].strip(" ")
    direction = {"+": "in", "-": "out"}.get(destination, "")
    if direction:
        destination = ""
        if action not in events.MTA_EVENTS or not line[stop + 1 : stop + 2].isdecimal():
            connection = Connection(
                time=time,
                time_zone_source=zone_source,
                event=event.name,
                severity=event.severity,
                code=code,
                action=action,
                modifiers=modifiers,
                source_channel=source,
                direction=direction,
            )
            if before:
                _before(connection, before, named)
            _connection_tail(connection, line[stop + 1 :].strip(" "), named)
            return connection
    sized = line.find(" ", stop + 1)
    if sized < 0:
        sized = len(line)
    size = line[stop + 1 : sized]
    if not _is_number(size):
        return _failed(line, first, time, zone_source, column=stop + 2, expected="a size in blocks")
    record = Mta(
        time=time,
        time_zone_source=zone_source,
        event=event.name,
        severity=event.severity,
        code=code,
        action=action,
        modifiers=modifiers,
        source_channel=source,
        destination_channel=destination,
        direction=direction,
        size_blocks=int(size),
    )
    if before:
        _before(record, before, named)
    tail = line[sized + 1 :]
    if tail[:1].isdecimal():
        items, reached = _counted(tail)
        addresses = tuple(item for item in items[:3] if isinstance(item, str))
        if len(addresses) == 3:  # else it is another format's line
            _from_counted(record, addresses, items[3:], named)
            if reached < len(tail):
                record.error = stopped(sized + 2 + reached, "a counted field (length, colon, text)", line)
            return record
    sender, kind, original, recipient, rest = _addresses(tail)
    if sender and sender != "<>":
        record.sender = sender
    else:
        record.null_sender = True
    record.original_recipient_type = kind
    if original != "<>":
        record.original_recipient = original
    if action == "B":
        _bad_command(record, f"{recipient} {rest}".strip(" "))
        return record
    if recipient != "<>":
        record.recipient = recipient
    if rest:
        if named is None:
            _by_shape(record, rest)
        else:
            _by_name(record, rest, named)
    return record


def _columns(line: str, first: int) -> tuple[int, str, str, int, int] | None:
    """By columns: the source channel at `channel`, the destination 13 after it, the code 26 after it, with no, one or two words before.

    A channel that needs more than its column pushes what follows. An empty node is one blank more before the next word.
    Returns (channel, source, destination, index of the code, index after it).
    """
    channel = first
    for _ in range(3):
        while line[channel : channel + 1] == " ":
            channel += 1
        source, start = _column(line, channel)
        destination, at = _column(line, start) if source else ("", -1)
        if at > 0:
            stop = line.find(" ", at)
            if stop < 0:
                stop = len(line)
            if fields.is_code(line[at:stop]) and not (len(destination) == 1 and destination in _UPPER):
                return channel, source, destination, at, stop
        channel = line.find(" ", channel) + 1
        if not channel:
            break
    return None


def _column(line: str, start: int) -> tuple[str, int]:
    """A word, or none, padded to 12 columns, and the index after the blank that ends them; -1 where this is no such column."""
    end = line.find(" ", start)
    stop = max(end, start + 12)
    if end < 0 or stop >= len(line) or line[end : stop + 1].strip(" "):
        return "", -1
    return line[start:end], stop + 1


FORMAT = Format("mta_text", "MTA transaction and connection records, LOG_FORMAT 1 to 3", parse_run)


def _odd_day(line: str) -> bool:
    """Whether the line begins with a date whose day has one digit, or a blank before it (`1-Jan-1998`, ` 1-Jan-1998`)."""
    return (line[1:2] == "-" and line[5:6] == "-" and line[:1].isdecimal() and line[2:5].lower() in MONTHS) or (
        line[:1] == " " and line[2:3] == "-" and line[6:7] == "-" and line[1:2].isdecimal() and line[3:6].lower() in MONTHS
    )


def _failed(line: str, first: int, time: str, zone_source: str, *, column: int = 0, expected: str = "an entry code and a size") -> Unparsed:
    """The record of a line with a good time stamp and something wrong after it."""
    if not column:
        channel = first
        for _ in range(3):  # reading stopped where two columns were found, and no code after them
            source, start = _column(line, channel)
            at = _column(line, start)[1] if source else -1
            channel = line.find(" ", channel) + 1
            if at > 0 or not channel:
                break
        if at <= 0:  # ... or after the first word
            word = line[first:].lstrip(" ").partition(" ")[0]
            at = line.find(word, min(first, len(line))) + len(word)
            at += len(line[at:]) - len(line[at:].lstrip(" "))
        column = at + 1
    record = unparsed(stopped(column, expected, line))
    record.time, record.time_zone_source = time, zone_source
    return record


def _header(text: str, time: str, zone_source: str) -> Record:
    """`Subject: value`, after the `>`."""
    name, colon, value = text.partition(":")
    record = Header(time=time, time_zone_source=zone_source, event=events.HEADER.name, severity=events.HEADER.severity)
    if colon and name and " " not in name.rstrip(" "):
        record.header_name = name.rstrip(" ")
        record.header_value = value[1:] if value[:1] == " " else value
    else:
        record.header_value = text
        record.error = "a header line without a name"
    return record


def _eliminate(line: str, first: int) -> tuple[int, str, str, int, int] | None:
    """A line without its columns: the entry code is the word of capitals with a size after it, or with `+` or `-` before it.

    Returns the same as `_columns`.
    """
    words = line[first:].split(None, 6)
    for number in range(1, min(len(words) - 1, 5)):
        code = words[number]
        if not fields.is_code(code):
            continue
        connects = words[number - 1] in ("+", "-")
        if not connects and not words[number + 1].isdecimal():
            continue
        lead = words[:number]
        if connects:
            if number == 1:
                continue
            source, destination, before = lead[-2], lead[-1], lead[:-2]
        else:
            before, destination = lead[:-1], ""
            source = lead[-1]
            # Of more words than the source channel, a process before it tells that there is no destination.
            if number > 1 and not (number < 4 and fields.is_process(lead[number - 2])):
                before, source, destination = lead[:-2], lead[-2], lead[-1]
        if len(before) > 2 or (len(before) == 2 and not fields.is_process(before[1])):
            continue
        at = channel = first
        for position, word in enumerate(words[: number + 1]):
            at = line.find(word, at)
            if position == len(before):
                channel = at
            at += len(word)
        return channel, source, destination, at - len(code), at
    return None


def _before(record: Mta | Connection, text: str, named: tuple[str, ...] | None) -> None:
    """The words before the source channel: node, process, or both."""
    words = text.split()
    if len(words) == 2:
        record.host = words[0]
        fields.process(record, words[1])
    elif words and (fields.is_process(words[0]) if named is None or "node" in named else "process" in named):
        fields.process(record, words[0])
    elif words:
        record.host = words[0]


def _address_end(text: str, start: int) -> int:
    """The index of the blank after the address that begins at `start`; a blank inside quotes is part of it."""
    quoted = False
    position = start
    while True:
        blank = text.find(" ", position)
        if blank < 0:
            return len(text)
        piece = text[position:blank]
        if '"' in piece:
            quoted ^= (piece.count('"') - piece.count('\\"')) % 2 == 1
        if not quoted or '"' not in text[blank:]:
            return blank
        position = blank + 1


def _addresses(tail: str) -> tuple[str, str, str, str, str]:
    """(sender, type of the original recipient, original recipient, recipient, the rest), for all but the straight case."""
    typed = 0 if tail[:7] == "rfc822;" else tail.find(" rfc822;") + 1
    if typed == 0 and tail[:7] != "rfc822;":  # another type, or none: LOG_FORMAT 2 writes `<>`
        end = _address_end(tail, 0)
        sender = tail[:end]
        typed = end + 1
        end = _address_end(tail, typed)
        kind, semicolon, original = tail[typed:end].partition(";")
        if not semicolon or not kind.replace("-", "").isalnum():
            kind, original = "", tail[typed:end]
    else:
        sender = tail[: typed - 1] if typed else ""
        end = _address_end(tail, typed + 7)
        kind, original = "rfc822", tail[typed + 7 : end]
    after = _address_end(tail, end + 1)
    return sender, kind, original, tail[end + 1 : after], tail[after + 1 :]


def _bad_command(record: Mta, text: str) -> None:
    """The recipient field of a B record is the command, and what follows the reply to it: `VRFY adam 252 …`."""
    position = 0
    while True:
        blank = text.find(" ", position)
        if blank < 0:
            record.bad_command = text
            return
        if fields.is_reply(text[blank + 1 : blank + 6]):
            record.bad_command = text[:blank].rstrip(" ")
            fields.status(record, text[blank + 1 :])
            return
        position = blank + 1


def _word(text: str) -> tuple[str, str]:
    word, _, rest = text.partition(" ")
    return word, rest


def _is_number(text: str) -> bool:
    return text.isdecimal() and text.isascii() and len(text) < 19


def _is_queue_file(word: str) -> bool:
    """A path as the queue has them: absolute, or with a `queue` directory in it; `(TCP|…` begins a diagnostic."""
    if word[:1] == "/":
        return "://" not in word
    return ("queue/" in word and word[:1] != "(" and ";" not in word and "://" not in word) or (word[1:3] == ":\\" and "\\queue\\" in word)


def _message_id_end(text: str) -> int:
    """The index after `<id>` or `<new>,<original>` at the beginning of `text`; 0 when that is not there."""
    end = text.find(">")
    if end > 0 and text[end + 1 : end + 3] == ",<":
        end = text.find(">", end + 2)
    if end < 0 or text[end + 1 : end + 2] not in ("", " "):
        return 0
    return end + 1


def _by_shape(record: Mta, rest: str) -> None:
    """The optional fields of a line whose server's options are not known: each is told by its shape, in the order of `OPTIONAL`."""
    plain = record.action in ("E", "D")  # these have no free text but a diagnostic that can be told by its beginning
    rest = rest.lstrip(" ")  # a field that the record has no value for is nothing between two blanks
    word, after = _word(rest)
    if _is_number(word) and (plain or not fields.is_reply(rest) or _optional_follows(after)):
        record.notary_flags = int(word)
        rest = after.lstrip(" ")
        word, after = _word(rest)
    if "/" in word and _is_queue_file(word):
        fields.queue_file(record, word)
        rest = after.lstrip(" ")
        word, after = _word(rest)
    if word and word[0] != "<" and after[:1] == "<" and (plain or record.queue_file) and _is_opaque(word) and _message_id_end(after):
        record.envelope_id = word
        rest = after
    if rest[:1] == "<" and (end := _message_id_end(rest)):
        fields.message_id(record, rest[:end])
        rest = rest[end + 1 :].lstrip(" ")
    if rest:
        rest = _username(record, rest, plain)
    if rest and (end := _source_system_end(rest, plain)):
        fields.source_system(record, rest[:end])
        rest = rest[end + 1 :]
    rest = rest.lstrip(" ")
    if rest:
        rest = _words(record, rest, plain).lstrip(" ")
    if rest:
        _tail(record, rest)


def _optional_follows(text: str) -> bool:
    """Whether another optional field follows: then the number before it is no SMTP reply."""
    word, _ = _word(text)
    return text[:1] in ("<", "*") or word in fields.ACCOUNTS or _is_queue_file(word) or _source_system_end(text) > 0


def _is_opaque(word: str) -> bool:
    """Whether this can be an envelope id: one word that is no delivery status."""
    return word[:1] not in ("(", "*") and word[:4] != "dns;" and word[:5] not in fields.STATUS_TYPES and word not in fields.ACCOUNTS


def _username(record: Mta, rest: str, plain: bool) -> str:
    """Takes the user name at the beginning of `rest`, if there is one; returns what follows."""
    word, after = _word(rest)
    if word[:1] == "*" or word in fields.ACCOUNTS:
        fields.username(record, word)
        return after
    if word[:1] in ("(", "<") or word[:4] in ("dns;", "TCP|") or word[:5] in fields.STATUS_TYPES or _is_number(word):
        return rest
    if word.lower() in fields.WORDS:
        return rest
    if not after:
        if plain and not _is_host(word) and "." not in word and "@" not in word:
            fields.username(record, word)
            return ""
        return rest
    if after[:1] == "(" and after[:5] != "(TCP|":
        return rest  # the name of the source system
    second = after.find(" ")
    if (
        after[:5] in fields.STATUS_TYPES
        or (after[:4] == "dns;" and "." not in word)
        or (second > 0 and after[second + 1 : second + 2] == "(" and _source_system_end(after))
        or (second > 0 and after[second + 1 : second + 5] == "dns;" and plain)
    ):
        fields.username(record, word)
        return after
    return rest


def _source_system_end(rest: str, plain: bool = False) -> int:
    """The index after `name (dns [ip])`, `name ([ip])` or `([ip])` at the beginning of `rest`; 0 when that is not there.

    Also `name (dns)`, as the channel keyword identnonesymbolic has it, where the record is `plain`: a free text could begin so too.
    """
    open_ = rest.find("(")
    if rest[:5] == "(TCP|":
        return 0
    if open_ < 0:
        name, after = _word(rest)
        last = not after or (_is_number(_word(after)[0]) and not fields.is_reply(after))  # what may follow are sensitivity and priority
        if last and _is_host(name):
            return len(name)
        return 0
    if open_ and (rest[open_ - 1] != " " or " " in rest[: open_ - 1] or ";" in rest[:open_]):
        return 0
    named = rest[open_ + 1 : rest.find(")", open_)] if plain and open_ else ""
    if _is_host(named) and not set(named) & set(" |[") and rest[open_ + len(named) + 2 : open_ + len(named) + 3] in ("", " "):
        return open_ + len(named) + 2
    close = rest.find("])", open_)
    bracket = rest.find("[", open_)
    if close < 0 or bracket < 0 or bracket > close:
        return 0
    bracket = rest.rfind("[", open_, close)
    if not fields.is_ip(rest[bracket + 1 : close]) or rest[close + 2 : close + 3] not in ("", " "):
        return 0
    return close + 2


def _is_host(word: str) -> bool:
    """Whether this can be the name of a source system: it has a domain, or is what a channel on the same machine is called officially."""
    return ("." in word and "@" not in word and ";" not in word and word[-1:] != ".") or word in DAEMONS


def _words(record: Mta, rest: str, plain: bool) -> str:
    """Takes sensitivity, priority, intermediate and initial address, as far as they are there; returns what follows."""
    numbers: list[str] = []
    while rest:
        word, after = _word(rest)
        if _is_number(word) and (plain or not fields.is_reply(rest)) and len(numbers) < 2:
            numbers.append(word)
        elif word.lower() in fields.SENSITIVITIES:
            record.sensitivity = word
        elif word.lower() in fields.PRIORITIES:
            record.priority = word
        elif plain and "@" in word and ";" not in word and word[0] != "(" and word[-1] not in ".:,>" and not record.initial_address:
            if record.intermediate_address:
                record.initial_address = word
            else:
                record.intermediate_address = word
        else:
            break
        rest = after
    if len(numbers) == 1 and not rest and len(numbers[0]) > 1 and record.action in _DEQUEUES:  # a priority has one digit
        record.queue_seconds = int(numbers[0])
    elif numbers:
        record.priority = numbers[-1]
        if len(numbers) == 2:
            record.sensitivity = numbers[0]
    return rest


def _tail(record: Mta, rest: str) -> None:
    """What is left: the delivery status, and after it transport, application and queue time where LOG_CONNECTION asks for them."""
    found = 0 if rest[:4] == "TCP|" else rest.rfind(" TCP|") + 1
    if found or rest[:4] == "TCP|":
        word, after = _word(rest[found:])
        if fields.transport(record, word):
            rest = rest[: max(0, found - 1)]
            if after:
                word, after = _word(after)
                if _is_number(word) and not after:
                    record.queue_seconds = int(word)
                else:
                    fields.application(record, word)
                    if _is_number(after):
                        record.queue_seconds = int(after)
                    elif after:
                        rest = f"{rest} {after}".lstrip(" ")
    if _is_number(rest) and record.action in _DEQUEUES:
        record.queue_seconds = int(rest)
    elif rest:
        fields.diagnostic(record, rest)


def _by_name(record: Mta, rest: str, named: tuple[str, ...]) -> None:
    """The optional fields of a server whose options are known, in their order. One that is empty stands as nothing between two blanks; one
    that the record does not have may be missing: a word that cannot be this field is left for the next."""
    plain = record.action in ("E", "D")
    if "queue_time" in named and record.action in _DEQUEUES:
        before, _, word = rest.rpartition(" ")
        if _is_number(word):
            record.queue_seconds = int(word)
            rest = before
    for name in _behind(named):
        if not plain and rest[:1] in _OF_REPLY and fields.is_reply(rest.lstrip(" ")) and not _optional_follows(_word(rest)[1]):
            break
        if name == "filter" and _word(rest)[1][:4] == "dns;":
            break  # the name of the host that follows once more
        if name == "connection":
            end = _source_system_end(rest, plain)
            if end:
                fields.source_system(record, rest[:end])
        elif name == "message_id" and rest[:1] == "<" and (end := _message_id_end(rest)):
            fields.message_id(record, rest[:end])
        else:
            end = _address_end(rest, 0)
            if end and not _takes(record, name, rest[:end], plain):
                continue
        if end or (rest[:1] == " " and name != "connection"):  # it stands only where there is something to say (seed example 21-9)
            rest = rest[end + 1 :]
    rest = rest.lstrip(" ")
    if rest:
        _tail(record, rest)


@lru_cache(maxsize=16)
def _behind(named: tuple[str, ...]) -> tuple[str, ...]:
    """Those between the recipient and the delivery status, in their order."""
    return tuple(takewhile(lambda name: name not in _STATUS, (name for name in OPTIONAL[2:] if name in named)))


def _takes(record: Mta, name: str, word: str, plain: bool) -> bool:
    """Puts a word into the field of this name; False when it cannot be that."""
    if word[:4] in ("dns;", "TCP|") or word[:5] == "(TCP|" or word[:5] in fields.STATUS_TYPES:
        return False
    if name == "username":
        fields.username(record, word)
    elif name == "application":
        if word[:4] not in ("SMTP", "LMTP"):
            return False
        fields.application(record, word)
    elif name in ("notary", "queue_time"):
        if not _is_number(word):
            return False
        if name == "notary":
            record.notary_flags = int(word)
        else:
            record.queue_seconds = int(word)
    elif name == "filename":
        if "/" not in word and "\\" not in word:
            return False
        fields.queue_file(record, word)
    elif name == "envelope_id":
        if word[:1] == "<":
            return False
        record.envelope_id = word
    elif name in ("sensitivity", "priority"):
        if not _is_number(word) and word.lower() not in fields.WORDS:
            return False
        setattr(record, name, word)
    elif name in ("intermediate", "initial"):
        if word == "<>":
            return True
        if "@" not in word:
            return False
        setattr(record, f"{name}_address", word)
    elif name == "filter" and plain:
        record.filter = word
    else:
        return False
    return True


def _counted(text: str) -> tuple[list[str | int], int]:
    """LOG_FORMAT 3: `16:adam@example.com 22:rfc822;bob@example.org 276 …` -> the fields, a number without a count as an int.

    Also the index where reading stopped: the end, when the text is counted through and through.
    """
    items: list[str | int] = []
    position = 0
    while position < len(text):
        colon = position
        while colon < position + 10 and text[colon : colon + 1].isdecimal():
            colon += 1
        if colon == position:
            break
        number = int(text[position:colon])
        counts = text[colon : colon + 1] == ":"
        end = colon + 1 + number if counts else colon
        if end > len(text) or text[end : end + 1] not in ("", " "):
            break
        items.append(text[colon + 1 : end] if counts else number)
        position = end + 1
    return items, position


def _from_counted(record: Mta, addresses: tuple[str, str, str], items: list[str | int], named: tuple[str, ...] | None) -> None:
    """The counted fields: three addresses, then the optional ones, by name or told by their shape."""
    sender, typed, recipient = addresses
    if sender and sender != "<>":
        record.sender = sender
    else:
        record.null_sender = True
    kind, semicolon, original = typed.partition(";")
    record.original_recipient_type, original = (kind, original) if semicolon else ("", typed)
    if original != "<>":
        record.original_recipient = original
    if record.action == "B":
        record.bad_command = recipient
    elif recipient != "<>":
        record.recipient = recipient
    if named is None or not _counted_by_name(record, items, named):
        _counted_by_shape(record, items)


def _counted_by_name(record: Mta, items: list[str | int], named: tuple[str, ...]) -> bool:
    """The optional fields of a server whose options are known: an absent text is counted as 0, an absent number is left out.

    False, and nothing changed, when the fields are not those.
    """
    taken: dict[str, str | int] = {}
    position = 0
    for name in OPTIONAL[2:]:
        if name in named and name != "remote_mta" and position < len(items):
            item = items[position]
            if isinstance(item, int) == (name in _NUMBERS):
                taken[name] = item
                position += 1
            elif isinstance(item, int):
                return False
    if position < len(items):
        return False
    for name, item in taken.items():
        if isinstance(item, int):
            if name == "notary":
                record.notary_flags = item
            elif name == "queue_time":
                record.queue_seconds = item
            else:
                setattr(record, name, str(item))
        elif item:
            if name in _READERS:
                _READERS[name](record, item)
            elif name in ("intermediate", "initial"):
                setattr(record, f"{name}_address", "" if item == "<>" else item)
            else:
                setattr(record, name, item)
    return True


def _counted_by_shape(record: Mta, items: list[str | int]) -> None:
    """The optional fields, told by their shape in the order of `OPTIONAL`."""
    sends = record.action in ("E", "D")
    numbers: list[int] = []
    texts: list[str] = []
    for number, item in enumerate(items):
        if isinstance(item, int):
            if record.notary_flags is None and not texts and not numbers and not record.queue_file and not record.message_id:
                record.notary_flags = item
            else:
                numbers.append(item)
            continue
        following = items[number + 1] if number + 1 < len(items) else ""
        plain = not texts and " " not in item
        if not item:
            continue
        if plain and not record.queue_file and not record.message_id and _is_queue_file(item):
            fields.queue_file(record, item)
        elif plain and not record.message_id and not record.envelope_id and isinstance(following, str) and following[:1] == "<":
            record.envelope_id = item
        elif not texts and not record.message_id and item[0] == "<" and _message_id_end(item) == len(item):
            fields.message_id(record, item)
        elif item[:4] == "TCP|" and fields.transport(record, item):
            pass
        elif record.transport and item[:4] == "SMTP" and " " not in item and not record.application:
            fields.application(record, item)
        elif not record.username and plain and (item[0] == "*" or item in fields.ACCOUNTS):
            fields.username(record, item)
        elif not record.remote_name and not record.remote_ip and _source_system_end(item, sends) == len(item) and not _diagnoses(item):
            fields.source_system(record, item)
        elif not record.username and plain and not _diagnoses(item) and (record.message_id or "@" not in item):
            if record.message_id or record.envelope_id or not record.queue_file:
                fields.username(record, item)
            else:
                record.envelope_id = item
        else:
            texts.append(item)
    for text in texts:
        address = sends and " " not in text and "@" in text and text[-1] not in ".:,>"
        if _diagnoses(text) or (text is texts[-1] and not address):
            fields.diagnostic(record, text)
        elif " " not in text and "@" in text and not record.initial_address:
            if record.intermediate_address:
                record.initial_address = text
            else:
                record.intermediate_address = text
        else:
            record.reason = f"{record.reason}; {text}" if record.reason else text
    if len(numbers) > 2:
        record.queue_seconds = numbers.pop()
    if numbers:
        record.priority = str(numbers[-1])
        if len(numbers) == 2:
            record.sensitivity = str(numbers[0])


def _diagnoses(text: str) -> bool:
    """Whether this is a delivery status by its beginning."""
    return text[:4] == "dns;" or text[:5] == "(TCP|" or text[:5] in fields.STATUS_TYPES or " dns;" in text[:260]


def _connection_tail(record: Connection, rest: str, named: tuple[str, ...] | None) -> None:
    """`TCP|…|…|…|… SMTP/… diagnostic`; of a record whose connection was never opened the first part can be missing.

    In LOG_FORMAT 3 transport, application, user name and diagnostic are counted, an absent one as 0.
    """
    if rest[:1].isdecimal():
        items, reached = _counted(rest)
        texts = [item for item in items if isinstance(item, str)]
        if texts and reached >= len(rest):
            if len(texts) == 4 and (fields.transport(record, texts[0]) or not texts[0]):
                if texts[1]:
                    fields.application(record, texts[1])
                if texts[2]:
                    fields.username(record, texts[2])
                if texts[3]:
                    fields.status(record, texts[3])
                if record.action == "U" and fields.auth_failed(record):
                    record.severity = events.AUTH_FAILED.severity
                return
            rest = " ".join(text for text in texts if text)
    word, after = _word(rest)
    if word.count("|") == 4 and fields.transport(record, word):
        rest = after.lstrip(" ")
        word, after = _word(rest)
    if word[:4] == "SMTP" or word[:4] == "LMTP" or (word.isupper() and word.isalpha() and record.transport and not after):
        fields.application(record, word)
        rest = after.lstrip(" ")
    if not rest:
        return
    word, after = _word(rest)
    named_so = record.action == "U" and named is not None and "username" in named  # of the others hardly one has a user
    if not fields.is_reply(rest) and (
        word[:1] == "*" or word in fields.ACCOUNTS or named_so or (record.action == "U" and (not after or fields.is_reply(after)))
    ):
        fields.username(record, word)
        rest = after
    if rest:
        fields.status(record, rest)
    if record.action == "U" and fields.auth_failed(record):
        record.severity = events.AUTH_FAILED.severity
