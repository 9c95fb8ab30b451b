"""The records as lines of the server's own logs.

    mta, connection, header    LOG_FORMAT 1, 2 and 3 as text, 4 as XML, 5 and 6 as JSON, with the optional fields that are named
    service, store, debug      [02/Jan/1999:13:08:21 -0700] host process[pid]: Category Level: message
    store without a level      an element of the store transaction log
    text                       the line as it was

Rules:
- A record that has its line (`raw`) is written as it was.
- What the server's formats cannot hold (no time, no host, no direction of a connection, a line end inside a field, a syslog message of another
  program) is a line of the native profile, which this program reads back. So nothing is lost, and no field makes a second line.
- Only what a format has a place for is in its line: reading it again gives the record's fields of that format.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

from shipper.formats import mta_json, mta_xml, service, store_xml
from shipper.formats.mta_fields import is_code
from shipper.formats.mta_text_render import renderer
from shipper.profiles.base import json_lines
from shipper.reader import octets
from shipper.record import Connection, Debug, Header, Mta, Record, Service, Store, Text

USUAL = ("process", "filename", "message_id", "username", "connection", "diagnostic")
"""The optional fields of MTA records that most servers write. They are told by their shape, so that nobody has to name them when reading."""

_TIME = re.compile(r"[0-9]{4}-(?:0[1-9]|1[0-2])-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?[+-][0-9]{2}:[0-9]{2}", re.ASCII)
_HEAD = re.compile(r"\S{1,255} [^\s\[\]:]{1,64}: [A-Za-z][A-Za-z0-9_-]{0,31} [A-Za-z][A-Za-z0-9_-]{0,31}:", re.ASCII)

Render = Callable[[Sequence[Record]], list[bytes]]


def lines(log_format: int = 1, fields: Sequence[str] = USUAL) -> Render:
    """One line, with its LF, for each record. Raises ValueError for a LOG_FORMAT that is none of 1 to 6, and for an unknown field."""
    line: Callable[[Mta | Connection | Header], str]
    if log_format in (5, 6):

        def line(record: Mta | Connection | Header) -> str:
            return mta_json.render(record, nested=log_format == 5)

    else:
        line = mta_xml.render if log_format == 4 else renderer(log_format, fields)

    def text(record: Record) -> str | None:
        """The record's line; None where the server's formats have none for it."""
        if isinstance(record, Text):
            return record.message
        if not _TIME.fullmatch(record.time):
            return None
        if isinstance(record, Header):
            return line(record)
        if isinstance(record, Mta | Connection):
            return line(record) if log_format > 3 or _has_columns(record) else None
        if isinstance(record, Store) and not record.category and not record.message:
            return store_xml.render(record) if record.event.startswith("store.") else None
        if isinstance(record, Service | Debug) and _fits(record.host, record.process, record.category, record.level):
            return service.render(record)
        return None

    def render(records: Sequence[Record]) -> list[bytes]:
        return [_octets(record, text(record)) for record in records]

    return render


def _has_columns(record: Mta | Connection) -> bool:
    """Whether a record of the MTA has what its text begins with: a channel, a direction where there is no other channel, a code."""
    channels = (record.source_channel, record.destination_channel if isinstance(record, Mta) else record.direction)
    return is_code(record.code) and channels[0] != "" and (isinstance(record, Mta) or channels[1] != "") and " " not in "".join(channels)


@lru_cache(maxsize=1024)
def _fits(host: str, process: str, category: str, level: str) -> bool:
    """Whether a service log can have these before its message."""
    return _HEAD.fullmatch(f"{host} {process}: {category} {level}:") is not None


def _octets(record: Record, text: str | None) -> bytes:
    """The line of a record: its own, else this text, else the native one."""
    try:
        line = octets(record) if record.raw else None if text is None else text.encode()
    except UnicodeEncodeError:
        line = None
    if line is None or b"\n" in line or (b"\r" in line and not record.raw):
        return json_lines([record])
    return line + b"\n"
