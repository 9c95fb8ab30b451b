"""MTA records as JSON: LOG_FORMAT 5 (an object in an object) and 6 (flat), with the attributes that LOG_FORMAT 4 has in XML.

    {"en":{"ts":"2014-06-02T22:02:13.94","sc":"tcp_local","dc":"ims-ms","ac":"E","sz":3,"so":"adam@example.com", …}}
    {"en":[{"ts":"2014-06-02T22:02:13.94","sc":"tcp_local", …}]}
    {"ts":"2014-06-02T22:02:13.94","sc":"tcp_local","dc":"ims-ms","ac":"E","sz":3,"so":"adam@example.com", …}

The manuals name the formats and show no line of them; these are the shapes that the names allow. What the attributes mean is in
`mta_attributes`.

- Numbers may stand as numbers or as text. `null` and `""` say nothing. A list under a known name is that attribute several times.
- A flat object is ours when it has an entry code `ac`, or a header line `va`, beside `ts`, `sc` or `pi`; it is a connection when it says a
  direction, or when its code is a connection's and it has no address. Any other object is another format's.
- One record for each line: of several elements in a line the first is the record, the others are in `extra` as `more`, and `error` says so.
- A line that begins as ours and is no JSON is unparsed; so is one that nests too deep.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from shipper import events
from shipper.formats import json_line, mta_attributes
from shipper.formats.base import Format, Log, unparsed
from shipper.record import Connection, Header, Mta, Record, Unparsed

_MORE = "more than one element in the line; the others are in extra.more"
_EMPTY = (None, "")
_SIMPLE = frozenset((str, int))
_NESTED = re.compile(r'[ \t]*+\{[ \t]*+"(?:en|co|he)"[ \t]*+:')
_FLAT = re.compile(r'[ \t]*+\{[ \t]*+"[a-z]{2}"[ \t]*+:')


def parse_run(lines: Sequence[str], start: int, log: Log, out: list[Record]) -> int:
    """Reads MTA records in JSON; see `base`. Stops at the first line that is no object of one of the three shapes."""
    decode = msgspec.json.Decoder().decode
    for index in range(start, len(lines)):
        line = lines[index]
        if not line.lstrip(" \t").startswith("{"):
            return index
        try:
            decoded = decode(line) if json_line.shallow(line) else None
        except ValueError:
            decoded = None
        record = _record(decoded, log) if isinstance(decoded, dict) else _broken(line) if decoded is None else None
        if record is None:
            return index
        out.append(record)
    return len(lines)


FORMAT = Format("mta_json", "MTA transaction and connection records as JSON, LOG_FORMAT 5 and 6", parse_run)


def _broken(line: str) -> Unparsed | None:
    """A line that is no JSON: unparsed when it begins as ours, else not ours."""
    if not _NESTED.match(line) and not (_FLAT.match(line) and ('"ac"' in line or '"sc"' in line)):
        return None
    return unparsed(json_line.trouble(line))


def _record(decoded: dict[str, Any], log: Log) -> Mta | Connection | Header | Unparsed | None:
    """The record of an object, or None when it has none of the three shapes."""
    element = next(iter(decoded), "")
    if element not in mta_attributes.ELEMENTS:
        flat = _flat(decoded)
        return _read(flat, decoded, log) if flat else None
    inner = decoded.pop(element)
    if isinstance(inner, list) and inner and isinstance(inner[0], dict):
        attributes, *others = inner
        if others:
            decoded = {element: others, **decoded}
    elif isinstance(inner, dict):
        attributes = inner
    else:
        return unparsed(f'column 1: expected an object in "{element}", found {msgspec.json.encode(inner).decode()[:24]}')
    record = _read(element, attributes, log)
    if decoded:
        mta_attributes.keep(record, "more", decoded)
        record.error = f"{record.error}; {_MORE}" if record.error else _MORE
    return record


def _flat(decoded: dict[str, Any]) -> str:
    """The element that a flat object is, or `""`."""
    get = decoded.get
    if get("ts") in _EMPTY and get("sc") in _EMPTY and get("pi") in _EMPTY:
        return ""
    code = get("ac")
    if code in _EMPTY:
        return "he" if isinstance(get("va"), str | list) else ""
    if not isinstance(code, str):
        return ""
    if get("dr") not in _EMPTY:
        return "co"
    if code[:1] not in events.CONNECTION_EVENTS:
        return "en"
    addressed = any(get(name) is not None for name in ("dc", "so", "od", "de"))  # a connection has none of these, not even empty
    return "en" if addressed else "co"


def _read(element: str, attributes: dict[str, Any], log: Log) -> Mta | Connection | Header:
    """The record of an element. What is no text and no number stands in `extra` as it was."""
    known = mta_attributes.KNOWN[element]
    if known.issuperset(attributes) and _SIMPLE.issuperset(map(type, attributes.values())):
        return mta_attributes.read(element, tuple(attributes), [str(value) for value in attributes.values()], log.clock)
    names: list[str] = []
    values: list[str] = []
    others: list[tuple[str, Any]] = []
    for name, value in attributes.items():
        if type(value) is str and name in known:
            names.append(name)
            values.append(value)
        elif name not in known:
            others.append((name, value))
        elif value is not None:
            texts = [_text(each) for each in (value if isinstance(value, list) else [value])]
            if None in texts:
                others.append((name, value))
            else:
                names += [name] * len(texts)
                values += texts  # type: ignore[arg-type]
    record = mta_attributes.read(element, names, values, log.clock)
    for name, value in others:
        mta_attributes.keep(record, name, value)
    return record


def _text(value: Any) -> str | None:
    """A text or number as text, None of anything else."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def render(record: Mta | Connection | Header, nested: bool) -> str:
    """A record as one line, without its LF: LOG_FORMAT 5 when `nested`, else 6. For every record that was read from such a line, reading it
    again gives the same record."""
    element, fields = mta_attributes.write(record)
    attributes: dict[str, Any] = dict(fields)
    more: dict[str, Any] = {}
    for name, value in (record.extra or {}).items():
        if name == "more" and isinstance(value, dict) and _MORE in record.error:
            more = dict(value)
        elif attributes.get(name, "") == "":
            attributes[name] = value
        else:
            attributes[name] = [attributes[name], *(value if isinstance(value, list) else [value])]
    if not nested:
        return msgspec.json.encode(attributes | more).decode()
    if isinstance(others := more.pop(element, None), list):
        return msgspec.json.encode({element: [attributes, *others], **more}).decode()
    return msgspec.json.encode({element: attributes, **more}).decode()
