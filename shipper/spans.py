"""Where in its line each field of a record stands: the columns that `shipper try` shows.

Parsers say what a line holds, not where: that would cost every line of every log. So the fields are found again in the line, in the order in
which their kind of record has them, each from the end of the one before, so that equal texts (a sender who is the recipient) are told apart.

- A span is exact when the text there is the value itself. It is not where a value was made from the text: a time with its zone, a number
  from hexadecimal, `in` from `+`, `<` from `&lt;`.
- A field within another (`action` in `code`, `smtp_code` in `diagnostic`) has a span inside the other's.
- A field that stands nowhere in the line (`severity`) has no span. An empty sender has one without width.
- Text that no field claims is what was not read; marks of the format (`dns;`, brackets, attribute names) are nobody's to claim.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from shipper.formats import store_xml, xml_element
from shipper.record import Connection, Debug, Envelope, Header, Mta, Record, Service, Syslog, Text, Unparsed

LONGEST = 1 << 14
"""Characters of a line in which fields are looked for; nobody reads the columns of what is behind."""


class Span(NamedTuple):
    """`line[start:end]` is where `field` stands. `exact`: it is the value as it is; `inside`: within the span of another field."""

    field: str
    start: int
    end: int
    exact: bool = True
    inside: bool = False


def _literal(text: str) -> str:
    """The pattern of a text; of one that is longer than any field is, a pattern that fits nowhere: compiling it would take seconds."""
    return re.escape(text) if len(text) <= _LONG else "(?!)"


_LONG = 2000
_NO_WORD = "()[]<>|,;" + "".join(chr(code) for code in range(0x3001) if chr(code).isspace())
_COUNT = r"(?:[0-9]{1,9}:)?"
"""The length before a field in LOG_FORMAT 3."""


class Before(NamedTuple):
    """`line[start:end]` is what the record's own line stands behind: a syslog `header`, or else a `file:` prefix."""

    header: bool
    start: int
    end: int


def locate(line: str, record: Record, before: Sequence[Before] = ()) -> tuple[list[Span], list[tuple[int, int]]]:
    """(the spans of a record's fields in the order of the line, the stretches that no field claims).

    `before`: from the outermost to the innermost. Of two syslog headers the inner one is the record's. Never raises; linear in the line's
    length for each field.
    """
    shown = line[:LONGEST]
    tape = _Tape(shown, range(len(shown) + 1), {}, bytearray(len(shown)))
    headers = [stretch for stretch in before if stretch.header]
    for stretch in before:
        part = tape.part(stretch.start, min(stretch.end, len(shown)))
        text = part.text.rstrip()
        if stretch.header and stretch is headers[-1] and record.syslog:
            _header(part, record.syslog)
        elif text:
            part.claim("extra.relay" if stretch.header else "prefix", 0, len(text))
    start = before[-1].end if before else 0
    inner = tape.part(min(start, len(shown)), len(shown))
    if isinstance(record, Syslog) and record.syslog and not headers and not inner.text.lstrip().startswith("{"):
        message = inner.text.rfind(record.message) if record.message else len(inner.text)
        _header(inner.part(0, max(message, 0)), record.syslog)
    _inner(inner, record)
    return tape.found(), list(tape.unread())


class _Tape:
    """A stretch of the line, its escapes undone, in which fields are looked for from left to right.

    `_places[i]` is the index in the line of character i. `spans` and `_taken` belong to the whole line; `_free` says which characters of this
    stretch nobody claimed yet: those of a field are free again for the fields inside it.
    """

    def __init__(self, text: str, places: Sequence[int], spans: dict[str, Span], taken: bytearray, inside: bool = False) -> None:
        self.text = text
        self.cursor = 0
        self._places = places
        self.spans = spans
        self._taken = taken
        self._free = bytearray(len(text))
        self._inside = inside

    def part(self, start: int, end: int, inside: bool = False) -> _Tape:
        return _Tape(self.text[start:end], self._places[start : end + 1], self.spans, self._taken, inside)

    def decoded(self, start: int, end: int, escape: re.Pattern[str], decode: Callable[[str], str]) -> _Tape:
        """A part in which escapes stand for characters: `&lt;`."""
        text: list[str] = []
        places: list[int] = []
        position = start
        while position < end:
            found = escape.match(self.text, position, end)
            signs = decode(found[0]) if found else self.text[position]
            after = found.end() if found else position + 1
            text.append(signs)
            places += [self._places[position]] * len(signs)
            position = after
        places.append(self._places[end])
        return _Tape("".join(text), places, self.spans, self._taken)

    def claim(self, field: str, start: int, end: int, value: object = None) -> _Tape:
        """Sets down that the field stands here; returns its stretch, for what is inside it."""
        first, last = self._places[start], self._places[end]
        exact = value is None or (self.text[start:end] == str(value) and last - first == end - start)
        self.spans.setdefault(field, Span(field, first, last, exact, self._inside))
        self.mark(start, end)
        self.cursor = max(self.cursor, end)
        return self.part(start, end, inside=True)

    def mark(self, start: int, end: int) -> None:
        """Sets down that these characters are accounted for."""
        self._free[start:end] = b"\1" * (end - start)
        first, last = self._places[start], self._places[end]
        self._taken[first:last] = b"\1" * (last - first)

    @property
    def start(self) -> int:
        """Where in the line the stretch begins."""
        return self._places[0]

    def claimed(self) -> bool:
        """Whether anything of this stretch belongs to a field, or is accounted for."""
        return 1 in self._free

    def skip(self, pattern: str) -> bool:
        """Goes over a mark of the format that stands at the cursor."""
        found = re.compile(pattern).match(self.text, self.cursor)
        if found:
            self.mark(found.start(), found.end())
            self.cursor = found.end()
        return bool(found)

    def skip_counts(self) -> None:
        """Goes over the lengths that LOG_FORMAT 3 writes before fields, those before empty ones (`0:`) too."""
        for found in re.finditer(r"(?<![^\s])[0-9]{1,9}:", self.text):
            after = found.end()
            if self.text[after : after + 1].strip() == "" or self._free[after]:
                self.mark(found.start(), after)

    def match(self, pattern: str, flags: int = 0) -> re.Match[str] | None:
        """The first place from the cursor on, else from the beginning, where the pattern fits what is unclaimed."""
        expression = re.compile(pattern, flags)
        for begin in (self.cursor, 0):
            for found in expression.finditer(self.text, begin):
                if self._free.find(1, found.start(), found.end()) < 0:
                    return found
        return None

    def take(self, field: str, value: object, *, before: str = "", after: str = "", here: bool = False, shown: str = "") -> _Tape | None:
        """Finds a field's text and claims it. Asked in turn: at the cursor, as a word from there on, as a word anywhere, as a piece of one.

        `before` and `after` are what must stand around it; `here`: nowhere but at the cursor; `shown`: a pattern, where the line does not have
        the value itself. A field that was found already, or that is empty, is not looked for.
        """
        if value in ("", None) or field in self.spans:
            return None
        if len(str(value)) > _LONG:
            return self._take_long(field, before + str(value), len(before))
        core = f"{_literal(before)}({shown or _literal(str(value))}){_literal(after)}"
        left = "" if before else rf"(?<![^\s]){_COUNT}"
        right = "" if after else r"(?![^\s])"
        found = re.compile(rf"\s*{_COUNT}{core}{right}").match(self.text, self.cursor)
        if found is None and not here:
            found = self.match(left + core + right)
            if found is None and len(str(value)) > 2:
                found = self.match(core)
        if found is None:
            return None
        self.mark(found.start() + len(found[0]) - len(found[0].lstrip()), found.end())
        self.cursor = max(self.cursor, found.end())
        return self.claim(field, found.start(1), found.end(1), value)

    def _take_long(self, field: str, text: str, skipped: int) -> _Tape | None:
        """A value of thousands of characters; of one that goes on behind what is looked at, as much as there is."""
        at = self.text.find(text, self.cursor)
        if at < 0 and (at := self.text.find(text[:_LONG], self.cursor)) >= 0 and not text.startswith(self.text[at:]):
            at = -1
        return None if at < 0 else self.claim(field, at + skipped, min(at + len(text), len(self.text)), text[skipped:])

    def rest(self, field: str, value: str) -> _Tape | None:
        """Claims a text that goes to the end of the stretch, or the last place where it stands."""
        if not value or field in self.spans:
            return None
        at = self.text.rfind(value)
        if at < 0 and len(self.text) == LONGEST and (cut := self.text.find(value[:64], self.cursor)) >= 0:
            return self.claim(field, cut, len(self.text), value)
        return None if at < 0 else self.claim(field, at, at + len(value), value)

    def groups(self, found: re.Match[str], fields: Iterable[tuple[str, object]]) -> None:
        """Claims the groups of a match, one for each field. The whole match is accounted for."""
        self.mark(found.start(), found.end())
        for number, (field, value) in enumerate(fields, 1):
            if value not in ("", None) and found.start(number) < found.end(number) and field not in self.spans:
                self.claim(field, found.start(number), found.end(number), value)
        self.cursor = max(self.cursor, found.end())

    def found(self) -> list[Span]:
        return sorted(self.spans.values(), key=lambda span: (span.start, span.end > span.start, span.inside, -span.end))

    def unread(self) -> Iterator[tuple[int, int]]:
        """Stretches that nobody claimed, from word to word; brackets and other marks alone are none."""
        for stretch in re.finditer(rb"\0+", bytes(self._taken)):
            text = self.text[stretch.start() : stretch.end()]
            words = text.strip(_NO_WORD)
            if words:
                start = stretch.start() + text.find(words)
                yield start, start + len(words)


def _inner(tape: _Tape, record: Record) -> None:
    """The fields of a record in its own line, by the kind of record and the form of the line."""
    text = tape.text
    first = text.lstrip()[:1]
    if isinstance(record, Unparsed):
        _stamp(tape, record)
    elif first == "{" and not (isinstance(record, Text | Syslog) and record.message == text):
        _json(tape, record)
    elif isinstance(record, Text | Syslog):
        tape.rest("message", record.message)
    elif first == "<":
        _xml(tape, record)
    elif isinstance(record, Mta | Connection | Header):
        _mta_text(tape, record)
        tape.skip_counts()
    elif isinstance(record, Service | Debug):
        _service(tape, record)


_STAMPS = re.compile(
    r"\s?[0-9]{1,2}-[A-Za-z]{3}-[0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?"  # MTA text
    r"|[0-9]{1,2}/[A-Za-z]{3}/[0-9]{4}:[0-9]{2}:[0-9]{2}:[0-9]{2}(?: [-+][0-9]{2}:?[0-9]{2})?"  # service log
    r"|[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]+)?(?:[Zz]|[-+][0-9]{2}:?[0-9]{2})?"  # XML, JSON, syslog
    r"|[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?"  # debug log
)


def _stamp(tape: _Tape, record: Record) -> None:
    """The time stamp at the cursor."""
    tape.skip(r"\[")
    found = _STAMPS.match(tape.text, tape.cursor)
    if found and record.time and record.time[11:19] in found[0]:
        start = found.end() - len(found[0].lstrip())
        tape.claim("time", start, found.end(), record.time)
    elif found:
        tape.cursor = found.end()
    tape.skip(r"\]|:(?= |$)")


def _process(tape: _Tape, record: Record, here: bool = False) -> None:
    """`1f625.2.1`: pid, thread and sequence, in hexadecimal."""
    if record.pid is None:
        tape.take("process", record.process, here=here)
        return
    numbers = [(name, value) for name in ("pid", "thread", "sequence") if (value := getattr(record, name)) is not None]
    pattern = r"(?<![^\s])" + r"\.".join(f"(0*{value:x})" for _, value in numbers) + r"(?![^\s,])"
    if here:
        blanks = re.compile(r"\s*").match(tape.text, tape.cursor)
        found = re.compile(pattern, re.IGNORECASE).match(tape.text, blanks.end() if blanks else tape.cursor)
    else:
        found = tape.match(pattern, re.IGNORECASE)
    if found:
        tape.groups(found, numbers)


def _code(tape: _Tape, record: Mta | Connection) -> None:
    code = tape.take("code", record.code)
    if code:
        code.claim("action", 0, 1, record.action)
        if record.modifiers:
            code.claim("modifiers", 1, len(code.text), record.modifiers)


def _direction(tape: _Tape, record: Mta | Connection) -> None:
    sign = {"in": "+", "out": "-"}.get(record.direction, "")
    tape.take("direction", record.direction, shown=_literal(sign))


def _original(tape: _Tape, record: Mta) -> None:
    """`rfc822;address`, or the address alone."""
    if record.original_recipient_type:
        tape.take("original_recipient_type", record.original_recipient_type, after=";")
        tape.take("original_recipient", record.original_recipient, here=True)
    else:
        tape.take("original_recipient", record.original_recipient)


def _queue_file(tape: _Tape, record: Mta) -> None:
    file = tape.take("queue_file", record.queue_file)
    if file:
        name = file.text.rfind(record.queue_id)
        if name >= 0 and record.queue_id:
            if record.attempt is not None and name >= 2:
                file.claim("attempt", name - 2, name, record.attempt)
            file.claim("queue_id", name, name + len(record.queue_id), record.queue_id)


def _message_ids(tape: _Tape, record: Mta) -> None:
    """`<id>`, `<new>,<original>`, or an id without brackets."""
    if record.related_message_id:
        found = tape.match(rf"<({_literal(record.message_id)})>,<({_literal(record.related_message_id)})>")
        if found:
            tape.groups(found, (("message_id", record.message_id), ("related_message_id", record.related_message_id)))
            return
    if tape.take("message_id", record.message_id, before="<", after=">") is None:
        tape.take("message_id", record.message_id)


def _username(tape: _Tape, record: Mta | Connection) -> None:
    if record.authenticated:
        name = tape.take("username", record.username, before="*")
        if name:
            at = tape.text.rfind("*", 0, tape.cursor - len(record.username) + 1)
            tape.claim("authenticated", at, at + 1, "true")
    else:
        tape.take("username", record.username)


def _source_system(tape: _Tape, record: Mta | Connection) -> None:
    """`helo (dns [ip])`, `helo ([ip])`, `([ip])`, or a name alone. What the delivery part names too is left to that."""
    tape.take("remote_name", record.remote_name)
    known = (("remote_dns", record.remote_dns, rf"\(({_literal(record.remote_dns)})(?= \[|\))"),
             ("remote_ip", record.remote_ip, rf"\[(?:IPv6:)?({_literal(record.remote_ip)})\]"))  # fmt: skip
    for field, value, pattern in known:
        found = tape.match(pattern) if value else None
        if found and (record.transport if field == "remote_ip" else f"dns;{value}" in tape.text):
            tape.mark(found.start(), found.end())  # it stands in the delivery part once more
        elif found:
            tape.groups(found, ((field, value),))


def _transport(tape: _Tape, record: Mta | Connection) -> None:
    """`TCP|local ip|port|remote ip|port`."""
    if not record.transport:
        return
    ports = ["" if port is None else f"0*{port}" for port in (record.local_port, record.remote_port)]
    addresses = [_literal(address) for address in (record.local_ip, record.remote_ip)]
    pattern = rf"({_literal(record.transport)})\|({addresses[0]})\|({ports[0]})\|({addresses[1]})\|({ports[1]})"
    found = tape.match(pattern, re.IGNORECASE)
    if found:
        names = ("transport", "local_ip", "local_port", "remote_ip", "remote_port")
        tape.groups(found, [(name, getattr(record, name)) for name in names])


def _application(tape: _Tape, record: Mta | Connection) -> None:
    application = tape.take("application", record.application)
    if application and "/" in application.text:
        application.cursor = application.text.find("/")
        for name in ("initial_host", "dns_host", "tls_cipher"):
            application.take(name, getattr(record, name), before="/")


def _status(tape: _Tape, record: Mta | Connection) -> None:
    """The delivery status with the codes in it."""
    status = tape.take("diagnostic", record.diagnostic, here=True) or tape.rest("diagnostic", record.diagnostic)
    if status:
        status.skip(r"smtp;\s*")
        if record.smtp_code is not None:
            status.take("smtp_code", record.smtp_code, shown=rf"{record.smtp_code}(?![0-9])", after="", here=False)
        status.take("enhanced_status", record.enhanced_status)


def _delivery(tape: _Tape, record: Mta | Connection) -> None:
    """`[host ]dns;host (TCP|…) (banner) smtp;250 …`."""
    if isinstance(record, Mta):
        tape.take("remote_mta", record.remote_mta)
    if record.remote_dns:
        found = tape.match(rf"dns;({_literal(record.remote_dns)})(?![^\s])")
        if found:
            tape.groups(found, (("remote_dns", record.remote_dns),))
    _transport(tape, record)
    if isinstance(record, Mta):
        tape.take("banner", record.banner, before="(", after=")")
    _status(tape, record)


def _mta_text(tape: _Tape, record: Mta | Connection | Header) -> None:
    """`TS [node] [process] SRC DST CODE SIZE FROM ORIGTO TO [optional …]`, `TS > Name: value`."""
    _stamp(tape, record)
    if isinstance(record, Header):
        tape.skip(r"\s*>\s?")
        if tape.take("header_name", record.header_name, here=True, after=":") is None:
            tape.take("header_name", record.header_name)
        tape.skip(r"\s*:\s?")
        tape.rest("header_value", record.header_value)
        return
    tape.take("host", record.host, here=True)
    _process(tape, record, here=True)
    tape.take("source_channel", record.source_channel)
    if isinstance(record, Connection) or record.direction:
        _direction(tape, record)
    else:
        tape.take("destination_channel", record.destination_channel, here=True)
    _code(tape, record)
    if isinstance(record, Connection):
        _transport(tape, record)
        _application(tape, record)
        _username(tape, record)
        _source_system(tape, record)
        _status(tape, record)
        return
    if record.size_blocks is not None:
        tape.take("size_blocks", record.size_blocks, shown=f"0*{record.size_blocks}")
    _sender(tape, record)
    _original(tape, record)
    tape.take("recipient", record.recipient)
    tape.take("bad_command", record.bad_command)
    if record.notary_flags is not None:
        tape.take("notary_flags", record.notary_flags, shown=f"0*{record.notary_flags}")
    _queue_file(tape, record)
    tape.take("envelope_id", record.envelope_id)
    _message_ids(tape, record)
    _username(tape, record)
    _source_system(tape, record)
    for name in ("sensitivity", "priority", "intermediate_address", "initial_address", "filter", "reason"):
        tape.take(name, getattr(record, name))
    _delivery(tape, record)
    _application(tape, record)
    if record.queue_seconds is not None:
        tape.take("queue_seconds", record.queue_seconds)


def _sender(tape: _Tape, record: Mta) -> None:
    """The sender; an empty one is `<>`, `0:`, or nothing between two blanks."""
    if record.sender:
        tape.take("sender", record.sender)
        return
    if record.null_sender:
        found = re.compile(r" (<>|0:(?=\s)|)").match(tape.text, tape.cursor)
        start, end = found.span(1) if found else (tape.cursor, tape.cursor)
        tape.claim("null_sender", start, end, "true")


_XML = re.compile(r"([^\s=<>\"'/&]++)[ \t]*+=[ \t]*+(?:\"([^\"]*+)\"|'([^']*+)')")
_XML_MARKS = re.compile(r"\s*</?[\w.:-]+|\s*/?>\s*$")
_ENTITY = re.compile(r"&(?:#x?[0-9A-Fa-f]{1,8}|lt|gt|amp|quot|apos);")
_JSON = re.compile(r"\"([^\"\\]{0,64})\"\s*+:\s*+\[?\s*+(?:\"((?:[^\"\\]++|\\.)*+)\"|([^\s\"{}\[\],]++))")
_JSON_MARKS = re.compile(r"[\s{}\[\],]++|\"[^\"\\]{0,64}\"\s*+:\s*+(?=[{\[])|(?<![^\s,:\[])null(?![^\s,}\]])")
_ESCAPE = re.compile(r"\\(?:u[dD][89abAB][0-9A-Fa-f]{2}\\u[dD][c-fC-F][0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|.)")
_JSON_SIGNS = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


def _json_character(text: str) -> str:
    if text[1] != "u" or len(text) < 6:
        return _JSON_SIGNS.get(text[1], text[1])
    first = int(text[2:6], 16)
    return chr(0x10000 + ((first & 0x3FF) << 10) + (int(text[8:], 16) & 0x3FF)) if len(text) > 6 else chr(first)


def _pairs(
    tape: _Tape, pair: re.Pattern[str], marks: re.Pattern[str], escape: re.Pattern[str], decode: Callable[[str], str]
) -> Iterator[tuple[str, _Tape]]:
    """Names and values, of an XML element or a JSON object of any depth: each value is a stretch of its own."""
    for mark in marks.finditer(tape.text):
        tape.mark(mark.start(), mark.end())
    for found in pair.finditer(tape.text):
        group = 2 if found[2] is not None else 3
        tape.mark(found.start(), found.start(group))
        tape.mark(found.end(group), found.end())
        yield found[1], tape.decoded(*found.span(group), escape, decode)


def _xml(tape: _Tape, record: Record) -> None:
    for name, value in _pairs(tape, _XML, _XML_MARKS, _ENTITY, xml_element.decode):
        if isinstance(record, Mta | Connection | Header):
            _mta_attribute(value, record, name)
        elif name == "ts":
            _stamp(value, record)
        elif field := store_xml.FIELDS.get(name):
            value.take(
                field, getattr(record, field, ""), before="<" if value.text[:1] == "<" else "", after=">" if value.text[-1:] == ">" else ""
            )
        _extra(value, record, name)


def _json(tape: _Tape, record: Record) -> None:
    """The MTA's JSON, or our own native profile, in which names are those of the fields."""
    native = re.search(r'"kind"\s*:', tape.text) is not None
    whole = _containers(tape, record)
    for name, value in _pairs(tape, _JSON, _JSON_MARKS, _ESCAPE, _json_character):
        if any(start <= value.start < end for start, end in whole):
            continue
        if native:
            _native(value, record, name)
        elif isinstance(record, Mta | Connection | Header):
            _mta_attribute(value, record, name)
        _extra(value, record, name)
    for name, held in (record.extra or {}).items():
        if name == "more":  # whole records, behind the first in the same line
            tape.mark(0, len(tape.text))
        elif isinstance(held, str):  # the second of two values
            tape.take(f"extra.{name}", held, before='"', after='"')
        elif isinstance(held, list):  # the second and those after it
            for value in held:
                if isinstance(value, str) and (found := tape.match(f'"({_literal(value)})"')):
                    tape.groups(found, ((f"extra.{name}", held),))


def _mta_attribute(value: _Tape, record: Mta | Connection | Header, name: str) -> None:
    read = _ATTRIBUTES.get(name)
    if read is not None:
        read(value, record)


def _native(value: _Tape, record: Record, name: str) -> None:
    """A member of a native record, or of the objects in it."""
    if name in ("id", "file", "offset", "peer", "source", "raw"):
        value.mark(0, len(value.text))  # of the reading before this one
        return
    for prefix, holder in (("", record), ("syslog.", record.syslog)):
        held = getattr(holder, name, None)
        said = not isinstance(held, str | bool | None) or value.text in (held, str(held).lower())
        if held not in ("", None) and said and not isinstance(held, dict | Envelope) and prefix + name not in value.spans:
            value.claim(prefix + name, 0, len(value.text), held)
            return
    attributes = getattr(record, "attributes", None) or {}
    if name in attributes and not value.claimed():
        value.claim(f"attributes.{name}", 0, len(value.text), attributes[name])


def _extra(value: _Tape, record: Record, name: str) -> None:
    """An attribute that has no field: it is in `extra`, the second of two with the same name among others in a list."""
    if value.claimed() or not record.extra or name not in record.extra:
        return
    held = record.extra[name]
    texts = [str(one) for one in held] if isinstance(held, list) else [str(held), str(held).lower()]
    if value.text in texts:
        value.claim(f"extra.{name}", 0, len(value.text), held)


def _containers(tape: _Tape, record: Record) -> list[tuple[int, int]]:
    """The objects and lists that one field has as a whole: their stretches."""
    holders = {f"extra.{name}": held for name, held in (record.extra or {}).items() if isinstance(held, list | dict)}
    if record.syslog and record.syslog.structured_data:
        holders["syslog.structured_data"] = record.syslog.structured_data
    found = []
    for field, held in holders.items():
        begun = re.search(rf'"{_literal(field.partition(".")[2])}"\s*:\s*(?=[\[{{])', tape.text)
        if begun:
            try:
                value, end = json.JSONDecoder().raw_decode(tape.text, begun.end())
            except (ValueError, RecursionError):
                continue
            if value != held:
                continue
            tape.claim(field, begun.end(), end, held)
            found.append((begun.end(), end))
    return found


def _one(field: str) -> Callable[[_Tape, Any], None]:
    """An attribute that is one field as a whole."""

    def read(tape: _Tape, record: Any) -> None:
        value = getattr(record, field, None)
        if value not in ("", None) and str(value) in (tape.text, tape.text.lstrip("0")):
            tape.claim(field, 0, len(tape.text), value)

    return read


def _attribute_sender(tape: _Tape, record: Any) -> None:
    if record.sender:
        tape.take("sender", record.sender)
    elif record.null_sender:
        tape.claim("null_sender", 0, len(tape.text), "true")


def _attribute_recipient(tape: _Tape, record: Any) -> None:
    _one("bad_command" if record.bad_command else "recipient")(tape, record)


def _attribute_message_id(tape: _Tape, record: Any) -> None:
    if isinstance(record, Connection):
        _one("tag")(tape, record)
    else:
        _message_ids(tape, record)


def _attribute_seconds(tape: _Tape, record: Any) -> None:
    if record.queue_seconds is not None and tape.text:
        tape.claim("queue_seconds", 0, len(tape.text), record.queue_seconds)


def _attribute_header(tape: _Tape, record: Any) -> None:
    if isinstance(record, Header):
        tape.take("header_name", record.header_name, here=True, after=":")
        tape.rest("header_value", record.header_value)


_ATTRIBUTES: dict[str, Callable[[_Tape, Any], None]] = {
    "ts": _stamp,
    "no": _one("host"),
    "pi": _process,
    "sc": _one("source_channel"),
    "dc": _one("destination_channel"),
    "dr": _direction,
    "ac": _code,
    "sz": _one("size_blocks"),
    "so": _attribute_sender,
    "od": _original,
    "de": _attribute_recipient,
    "rf": _one("notary_flags"),
    "fi": _queue_file,
    "ei": _one("envelope_id"),
    "mi": _attribute_message_id,
    "us": _username,
    "ss": _source_system,
    "se": _one("sensitivity"),
    "pr": _one("priority"),
    "in": _one("intermediate_address"),
    "ia": _one("initial_address"),
    "fl": _one("filter"),
    "re": _one("reason"),
    "di": _delivery,
    "rm": _delivery,
    "tr": _transport,
    "ap": _application,
    "qt": _attribute_seconds,
    "va": _attribute_header,
    "hn": _one("header_name"),
    "hv": _one("header_value"),
}
"""Attribute -> how its value is read."""


def _service(tape: _Tape, record: Service | Debug) -> None:
    """`[stamp] host process[pid]: Category Level: message`; a debug log's `hh:mm:ss.cc: message`."""
    _stamp(tape, record)
    if record.category or record.level:
        tape.take("host", record.host, here=True)
        if record.pid is None:
            tape.take("process", record.process, here=True, after=":")
        else:
            found = re.compile(rf"\s*({_literal(record.process)})\[(0*{record.pid})\]:?").match(tape.text, tape.cursor)
            if found:
                tape.groups(found, (("process", record.process), ("pid", record.pid)))
        tape.take("category", record.category, here=True)
        tape.take("level", record.level, here=True, after=":")
    message = tape.rest("message", record.message)
    if message is None:
        return
    if isinstance(record, Debug):
        message.take("host", record.host)
        _process(message, record)
        message.take("service", record.service)
        return
    if record.event.startswith("store."):
        _operation(message, record)
    else:
        _event(message, record)


def _event(message: _Tape, record: Service) -> None:
    """`login [ip:port] user method`, `badlogin: [ip:port] method user reason (state)`, `close [ip:port] user start length n n n`."""
    port = rf":({record.client_port})" if record.client_port is not None else "()"
    peer = rf"\[\[?({_literal(record.client_ip)})\]?{port}\]"
    found = message.match(peer) if record.client_ip else None
    if found:
        if found.start():
            message.take("user", record.user, here=True, after="[")
        message.groups(found, (("client_ip", record.client_ip), ("client_port", record.client_port)))
    elif bracket := re.compile(r"[a-z]+:? \[[^\]]{0,99}\]").match(message.text):
        message.mark(bracket.start(), bracket.end())
        message.cursor = bracket.end()
    words = ("auth_method", "user") if record.event.endswith("badlogin") else ("user", "auth_method")
    for name in words:
        message.take(name, getattr(record, name))
    if record.event.endswith(".close"):
        session = message.match(r"([0-9]{4}/[0-9]{1,2}/[0-9]{1,2} +[0-9:]{7,8}) +([0-9]+:[0-9:]{5})(?: +([0-9]+) +([0-9]+) +([0-9]+))?")
        if session:
            names = ("session_start", "session_seconds", "bytes_from_client", "bytes_to_client", "mailboxes")
            message.groups(session, [(name, getattr(record, name)) for name in names])
    message.take("reason", record.reason)
    message.take("account_state", record.account_state, before="(", after=")")
    message.take("message_id", record.message_id, before="<", after=">")
    for name, value in (record.attributes or {}).items():
        pair = message.match(rf"(?<![^|\s(])({_literal(name)})[= ]({_literal(value)})(?![^|\s)])")
        if pair:
            message.claim(f"attributes.{name}", *pair.span(2), value)


def _operation(message: _Tape, record: Service) -> None:
    """`append:user:folder:size:<id>`, `fetch:user:folder:<id>`, `expunge:folder:<id>`."""
    message.skip(r"[a-z]+")
    for name in ("user", "folder"):
        message.take(name, getattr(record, name), before=":")
    if record.size_bytes is not None and (found := message.match(rf":(0*{record.size_bytes})(?=:<)")):
        message.groups(found, (("size_bytes", record.size_bytes),))
    message.take("message_id", record.message_id, before=":<")


_HEADER_STAMP = re.compile(
    r"[A-Za-z]{3} [ 0-9]?[0-9] (?:[0-9]{4} )?[0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]+)?(?: (?:19|20)[0-9]{2}(?= ))?"
    r"|[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]+)?(?:[Zz]|[-+][0-9]{2}(?::?[0-9]{2})?)?"
)


def _header(tape: _Tape, header: Envelope) -> None:
    """`<22>1 STAMP HOST APP PROC MSGID [data]`, `<22>STAMP HOST APP[PROC]:`, `STAMP HOST APP[PROC]: [ID 702911 mail.notice]`."""
    notice = re.search(r"\[ID ([0-9]+) ([a-z0-9]+)\.([a-z]+)\]", tape.text)
    if header.facility and (pri := re.compile(r"<([0-9]{1,3})>").match(tape.text)):
        for name in ("facility", "severity"):
            tape.claim(f"syslog.{name}", *pri.span(1), getattr(header, name))
        tape.cursor = pri.end()
    if notice and notice[1] == header.msg_id:
        at = tape.cursor
        tape.groups(notice, [(f"syslog.{name}", getattr(header, name)) for name in ("msg_id", "facility", "severity")])
        tape.cursor = at
    if header.version is not None:
        tape.take("syslog.version", header.version, here=True)
        tape.skip(r"\s+")
    if header.timestamp and (stamp := _HEADER_STAMP.match(tape.text, tape.cursor)):
        tape.claim("syslog.timestamp", *stamp.span(), header.timestamp)
    nil = r"\s*-(?=\s|$)"
    if header.version is not None:
        if not header.timestamp:
            tape.skip(nil)
        for name in ("hostname", "app_name", "proc_id", "msg_id"):
            if tape.take(f"syslog.{name}", getattr(header, name), here=True) is None:
                tape.skip(nil)
        start = len(tape.text) - len(tape.text[tape.cursor :].lstrip())
        if header.structured_data and (data := _DATA.match(tape.text, start)):
            tape.claim("syslog.structured_data", *data.span(), header.structured_data)
        else:
            tape.skip(nil)
        return
    tape.take("syslog.hostname", header.hostname, here=True)
    process = rf"(?:\[({_literal(header.proc_id)})\])?" if header.proc_id else "()"
    found = re.compile(rf"\s*({_literal(header.app_name)}){process}:?").match(tape.text, tape.cursor)
    if found and header.app_name:
        tape.groups(found, (("syslog.app_name", header.app_name), ("syslog.proc_id", header.proc_id)))


_DATA = re.compile(r"(?:\[(?:[^\]\"\\]++|\"(?:[^\"\\]++|\\.)*+\")*+\])+")
