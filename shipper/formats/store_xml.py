"""The message store's transaction log (`messagetrace.activate` = `transactlog`): one self-closed XML element a line.

    <ap pi="4711" sn="ims_master" ts="2014-06-02T22:02:15.03" us="bob" fo="user/bob/INBOX" sz="2034" mi="&lt;0JDJ00D02IBWDX00@example.com&gt;"/>
    |   |         |               |
    |   process   service         time: ISO 8601 with or without a zone (8.0.2), or dd/Mon/yyyy:hh:mm:ss +zzzz (8.0)
    what was done

The manuals promise `pi` (decimal, unlike the MTA's), `sn` and `ts` in every element, two-letter names, and that attributes come and go; which
there are they do not say. So:

- A line is ours when it is an element with `ts` and with `pi` or `sn`, and none of the MTA's (`en`, `co`, `he`). One that breaks off after it
  has named one of these three is unparsed.
- The events append, fetch and expunge are known by their names, whole or in two letters; any other element is the event `store.<element>`.
- `us`, `fo`, `sz`, `mi`, `ip` and their longer spellings have fields. Every other attribute is in `extra` under its own name, and so is the
  second of two with the same meaning.
- The server logs all of it at its level Critical. That says nothing of what happened, and is not taken over.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shipper import events
from shipper.formats import mta_attributes, mta_fields, xml_element
from shipper.formats.base import Format, Log, stopped, unparsed
from shipper.record import Record, Store

VERBS = {"append": "append", "ap": "append", "fetch": "fetch", "fe": "fetch", "expunge": "expunge", "ex": "expunge"}
"""Element -> what was done. The names of two letters are a guess."""
FIELDS = {
    "ts": "time", "pi": "pid", "sn": "service",
    "us": "user", "ui": "user", "user": "user",
    "fo": "folder", "mb": "folder", "folder": "folder", "mailbox": "folder",
    "mi": "message_id", "msgid": "message_id",
    "sz": "size_bytes", "size": "size_bytes",
    "ip": "client_ip",
}  # fmt: skip
_ALWAYS = frozenset(("pi", "sn", "ts"))
_WRITTEN = {"append": "ap", "fetch": "fe", "expunge": "ex"}


def parse_run(lines: Sequence[str], start: int, log: Log, out: list[Record]) -> int:
    """Reads elements of the store; see `base`. Stops at the first line that is none."""
    for index in range(start, len(lines)):
        line = lines[index]
        if not line.lstrip(" \t").startswith("<"):
            return index
        element = xml_element.scan(line)
        if element is None or element.name.lower() in mta_attributes.ELEMENTS or _ALWAYS.isdisjoint(element.names):
            return index
        if element.column:
            reason = stopped(element.column, element.expected, line)
            out.append(unparsed(reason))
        elif "ts" in element.names and len(_ALWAYS.intersection(element.names)) > 1:
            out.append(_record(element, log))
        else:
            return index
    return len(lines)


FORMAT = Format("store_xml", "message store transaction log, XML", parse_run)


def _record(element: xml_element.Element, log: Log) -> Store:
    verb = element.name.lower()
    event = events.SERVICE_EVENTS.get(VERBS.get(verb, ""))
    record = Store(event=event.name if event else f"store.{verb}", severity="info")
    for name, value in zip(element.names, element.values, strict=True):
        if not _fill(record, name, value, log):
            mta_attributes.keep(record, name, value)
    if not record.time:
        record.error = f"{record.error}; no time stamp (ts)" if record.error else "no time stamp (ts)"
    return record


def _fill(record: Store, name: str, value: str, log: Log) -> bool:
    """Puts an attribute into its field, an empty one nowhere; False when it has no field, or another stands there, or it cannot be read."""
    field = FIELDS.get(name, "")
    if not field or not value:
        return bool(field)
    if getattr(record, field) not in ("", None):
        return False
    if field == "time":
        record.time, record.time_zone_source = log.clock.iso(value)
        if not record.time and (time := log.clock.nslog(value)):
            record.time, record.time_zone_source = time, "record"
        return record.time != ""
    if field in ("pid", "size_bytes"):
        if not (value.isdecimal() and value.isascii() and len(value) < 19):
            return False
        setattr(record, field, int(value))
        return True
    if field == "message_id" and value[:1] == "<" and value[-1:] == ">":
        value = value[1:-1]
    if field == "client_ip" and not (mta_fields.is_ip(value) and ("." in value or ":" in value)):
        return False
    setattr(record, field, value)
    return True


def render(record: Store) -> str:
    """A record as one line, without its LF. For every record that was read from such a line, reading it again gives the same record."""
    verb = record.event.removeprefix("store.")
    optional: dict[str, Any] = {
        "us": record.user,
        "fo": record.folder,
        "sz": record.size_bytes,
        "mi": f"<{record.message_id}>" if record.message_id else "",
        "ip": record.client_ip,
    }
    attributes: dict[str, Any] = {"pi": record.pid} if record.pid is not None else {}
    attributes |= {"sn": record.service, "ts": mta_attributes.stamp(record)}
    attributes |= {name: value for name, value in optional.items() if value not in ("", None)}
    return xml_element.write(_WRITTEN.get(verb, verb), (*attributes.items(), *(record.extra or {}).items()))
