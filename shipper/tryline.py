"""How one line is read: its format, each field with its columns, the codes in words, and where reading stopped.

    1         11        21        31        41        51        61
    |         |         |         |         |         |         |
    19-Jan-1998 19:16:57.64 l            tcp_local    E 1 adam@example.com
    ~~~~~~~~~~~~~~~~~~~~~~~ ~            ~~~~~~~~~    ~ ~ ~~~~~~~~~~~~~~~~

The line is read by the same reader that `convert` uses; what is added here only looks at the result. Columns count characters from 1.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec

from shipper import events, spans
from shipper.explain import explain
from shipper.formats import FORMATS, Format, Log, open_envelope
from shipper.formats.envelope import FilePrefix
from shipper.framing import Block, blocks
from shipper.knowledge import enhanced, smtp
from shipper.reader import Reader
from shipper.record import Record, Syslog, Unparsed
from shipper.screen import Emphasis, escaped, one_cell, plain
from shipper.spans import Before, Span
from shipper.stamps import Clock

SHOWN = 4000
"""Characters of a line that are drawn under the ruler."""

_NARROWEST = 40
_MAX_ENVELOPES = 4


class Tried(NamedTuple):
    """One line as it was read. `number`: which line, from 1; `format` and `title`: "" when no format takes it; `before`: what it stands behind;
    `start`: index of its own beginning; `unread`: stretches of no field; `column`: where reading stopped, from 1, or 0."""

    number: int
    line: str
    format: str
    title: str
    before: tuple[str, ...]
    start: int
    record: Record
    spans: list[Span]
    unread: list[tuple[int, int]]
    column: int


def try_lines(chunks: Iterable[bytes], log: Log, only: Format | None = None) -> Iterator[Tried]:
    """Each line of a stream, as it is read by this log's settings. `only` forces one format."""
    reader = Reader(log, raw="always", only=only)
    number = 0
    for block in blocks(chunks):
        for frame in block.lines():  # a line that was cut is a block of its own
            record = reader.read(Block(frame, 0 if number == 0 else 1, block.cut))[0]
            number += 1
            yield _tried(number, record, log, only)


def _tried(number: int, record: Record, log: Log, only: Format | None) -> Tried:
    line = record.raw.rstrip("\r").removeprefix("\ufeff")
    if not isinstance(record, Unparsed) and not record.error:
        record.raw = ""
    form, before = _format_of(line, record, log, (only,) if only else FORMATS)
    found, unread = spans.locate(line, record, before)
    start = before[-1].end if before else 0
    stopped = re.search(r"column ([0-9]{1,9}):", record.error)
    column = int(stopped[1]) + start if stopped else 0
    if isinstance(record, Unparsed):
        unread = []
    behind = ["a syslog header" if stretch.header else "a file: prefix" for stretch in before]
    if isinstance(record, Syslog) and not form and not any(stretch.header for stretch in before):
        behind.append("a syslog header")
    name, title = (form.name, form.title) if form else ("", "")
    return Tried(number, line, name, title, tuple(behind), start, record, found, unread, min(column, len(line) + 1))


def _format_of(line: str, record: Record, log: Log, formats: tuple[Format, ...]) -> tuple[Format | None, list[Before]]:
    """(the format that takes this line, what it stands behind, from the outermost on), asked in the order in which the reader asks."""
    inner = line
    before: list[Before] = []
    while True:
        for form in formats:
            if _takes(form, inner, log):
                return form, before
        envelope = open_envelope(inner, log) if len(before) < _MAX_ENVELOPES else None
        if envelope is None:
            break
        at = len(line) - len(inner)
        before.append(Before(not isinstance(envelope, FilePrefix), at, len(line) - len(envelope.inner)))
        inner = envelope.inner
        if envelope.body() is not None:
            return next((form for form in formats if form.name == "service"), None), before
    if not isinstance(record, Syslog):
        return None, []
    return None, before[: next((number for number, stretch in enumerate(before) if stretch.header), 0)]


def _takes(form: Format, line: str, log: Log) -> bool:
    """Whether a format reads this line as its own, asked without touching the log's state."""
    copy = Log(Clock(log.clock.zone), log.fields, log.service, log.host, log.date, log.time_of_day)
    try:
        return form.parse_run((line,), 0, copy, []) > 0
    except Exception:  # the reader sets such a line down as unparsed, under this format
        return True


def values(record: Record) -> dict[str, Any]:
    """The record's fields as native JSON has them, flat: `syslog.hostname`, `extra.xx`; without `raw`, `source` and `id`."""
    flat: dict[str, Any] = {}
    for name, value in msgspec.to_builtins(record).items():
        if name in ("raw", "source", "id"):
            continue
        if isinstance(value, dict) and name in ("syslog", "extra", "attributes"):
            flat.update((f"{name}.{key}", inner) for key, inner in value.items())
        else:
            flat[name] = value
    return flat


def as_data(tried: Tried) -> dict[str, Any]:
    """The answer for machines. Columns count characters from 1, both ends included; an empty field ends before it begins."""
    return {
        "line_number": tried.number,
        "line": tried.line,
        "format": tried.format or None,
        "behind": list(tried.before),
        "record": msgspec.to_builtins(tried.record),
        "spans": [
            {"field": span.field, "columns": [span.start + 1, span.end], "text": tried.line[span.start : span.end], "exact": span.exact}
            for span in tried.spans
        ],
        "not_read": [{"columns": [start + 1, end], "text": tried.line[start:end]} for start, end in tried.unread],
        "stopped": tried.column or None,
    }


def as_text(tried: Tried, width: int = 80, emphasis: Emphasis = plain) -> str:
    """The answer as a terminal shows it, in lines of at most `width` cells, each with its LF."""
    width = max(width, _NARROWEST)
    form = f"{tried.format}: {tried.title}" if tried.format else "none of the mail server's begins like this line"
    if isinstance(tried.record, Syslog) and not tried.format:
        form = "syslog: a message of another program"
    lines = _pair("format", form, width)
    if tried.before:
        lines += _pair("behind", ", then ".join(tried.before), width)
    lines += _pair("kind", tried.record.kind, width)
    lines += ["", *_drawn(tried, width, emphasis)]
    failed = isinstance(tried.record, Unparsed)
    if failed or tried.record.error:
        lines += ["", *_trouble(tried, width, emphasis)]
    if not failed:
        lines += ["", *_fields(tried, width, emphasis)]
    return "".join(line.rstrip() + "\n" for line in lines)


def _pair(label: str, text: str, width: int) -> list[str]:
    return textwrap.wrap(f"{label:<8}{escaped(text)}", width, subsequent_indent=" " * 8, break_on_hyphens=False)


def _drawn(tried: Tried, width: int, emphasis: Emphasis) -> list[str]:
    """The line in pieces of the terminal's width, each under its ruler, with marks under what is read and a caret where it stopped."""
    line = tried.line[:SHOWN]
    marks = bytearray(b" " * (len(line) + 1))
    for start, end in ((span.start, min(span.end, len(line))) for span in tried.spans if not span.inside):
        marks[start:end] = b"~" * max(0, end - start)
    for start, end in tried.unread:
        marks[start : min(end, len(line))] = b"?" * max(0, min(end, len(line)) - start)
    if 0 < tried.column <= len(line) + 1:
        marks[tried.column - 1] = ord("^")
    drawn: list[str] = []
    step = width // 10 * 10
    for begin in range(0, max(len(line), tried.column if tried.column <= SHOWN else 0, 1), step):
        end = min(begin + step, len(line))
        if begin:
            drawn.append("")
        tens = range(begin, max(end, begin + 1), 10)
        drawn.append("".join(f"{ten + 1:<10}" for ten in tens))
        drawn.append("|         " * len(tens))
        drawn.append(emphasis(one_cell(line[begin:end])) if end > begin else "")
        drawn.append(marks[begin : begin + step].decode())
    if len(tried.line) > SHOWN:
        drawn.append(f"... and {len(tried.line) - SHOWN} characters more")
    return drawn


def _trouble(tried: Tried, width: int, emphasis: Emphasis) -> list[str]:
    """What could not be read, and what helps."""
    error = tried.record.error
    if tried.start and tried.column:  # its columns begin behind what the line stands behind; ours do not
        error = re.sub(r"column [0-9]+:", f"column {tried.column}:", error, count=1)
    lines = _wrapped(f"error: {error}", width, "  ")
    lines[0] = emphasis(lines[0][:6]) + lines[0][6:]
    for text in _help(tried):
        lines += _wrapped(f"  = help: {text}", width, "          ")
    return lines


def _help(tried: Tried) -> Iterator[str]:
    if isinstance(tried.record, Unparsed):
        if tried.format == "mta_text":
            yield "channels stand in columns of 12; was the line cut, or folded into several?"
        yield "`convert` keeps such a line whole, as a record of kind unparsed"
    elif "no date" in tried.record.error:
        yield "the lines of debug logs have no date: it is taken from the file they are in"


def _wrapped(text: str, width: int, indent: str) -> list[str]:
    return textwrap.wrap(escaped(text), width, subsequent_indent=indent, break_on_hyphens=False, drop_whitespace=True)


def _fields(tried: Tried, width: int, emphasis: Emphasis) -> list[str]:
    """A table: columns, name and value of each field in the order of the line; what was not read; then what stands nowhere in it."""
    fields = values(tried.record)
    fields.pop("kind", None)
    fields.pop("error", None)
    rows: list[tuple[int, str, str, list[str]]] = []
    for span in tried.spans:
        if span.field in fields or span.field == "prefix":
            value = fields.pop(span.field, tried.line[span.start : span.end])
            notes = _words(span.field, value, tried.record)
            if not span.exact and span.end > span.start:
                notes.insert(0, f"from '{tried.line[span.start : span.end][:200]}'")
            elif span.end == span.start:
                notes.insert(0, "empty")
            rows.append((span.start, _columns(span), ("· " if span.inside else "") + span.field, [_shown(value), *notes]))
    rows += [(start, f"{start + 1}-{end}", "?", [tried.line[start:end][:200], "not read"]) for start, end in tried.unread]
    rows.sort(key=lambda row: row[0])
    for name, value in fields.items():
        source = "from the syslog header" if tried.record.syslog and name in ("time", "host", "process", "pid") else "derived"
        rows.append((0, "", name, [_shown(value), *_words(name, value, tried.record), source]))
    label = min(max((len(row[2]) for row in rows), default=0), width // 3)
    left = 12 + label + 2
    lines = [emphasis(f"{'columns':>9}   {'field':<{label}}  value")]
    for _, columns, name, (value, *notes) in rows:
        text = escaped(value) + (f"  ({escaped('; '.join(notes))})" if notes else "")
        first = f"{columns:>9}   {escaped(name)[: width - 12]:<{label}}  "
        pieces = textwrap.wrap(text, max(width - left, 10), break_on_hyphens=False) or [""]
        if len(first) <= left:
            first += pieces.pop(0)
        lines.append(first)
        lines += [" " * left + piece for piece in pieces]
    return lines


def _columns(span: Span) -> str:
    if span.end <= span.start + 1:
        return str(span.start + 1)
    return f"{span.start + 1}-{span.end}"


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return value if len(value) <= 1000 else f"{value[:1000]}... ({len(value)} characters)"
    return msgspec.json.encode(value).decode()[:1000]


def _words(field: str, value: Any, record: Record) -> list[str]:
    """What a field's value means, where that is not plain from it."""
    if field == "code":
        if getattr(record, "action", "") == "U" and record.severity == events.AUTH_FAILED.severity:
            return [events.AUTH_FAILED.meaning]
        found = [meaning.title for meaning in explain(str(value)) if meaning.kind.startswith("entry code")]
        return found[:1]
    if field == "modifiers":
        parts = [meaning.title for letter in str(value) for meaning in explain(letter) if meaning.kind.startswith("modifier")]
        return ["; ".join(parts)] if parts else []
    if field == "smtp_code":
        return [smtp.reply(str(value))]
    if field == "enhanced_status":
        return [enhanced.status(str(value))]
    if field in ("level", "category"):
        found = [meaning.title for meaning in explain(str(value)) if meaning.kind.startswith(field)]
        return found[:1]
    if field == "event":
        found = [meaning.title for meaning in explain(str(value)) if meaning.kind == "event"]
        return found[:1] if not getattr(record, "code", "") else []
    if field == "direction":
        return ["a client connected to us" if value == "in" else "we connected to a server"]
    if field == "attempt":
        return [f"delivery attempt {value}"]
    if field == "null_sender":
        return ["a notification"]
    if field == "time_zone_source":
        return [
            {"record": "the line names its zone", "config": "the zone that was asked for", "system": "this machine's zone"}.get(
                str(value), ""
            )
        ]
    return []
