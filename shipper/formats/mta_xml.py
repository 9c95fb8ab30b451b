"""MTA records as XML: LOG_FORMAT 4, one self-closed element a line, no root element and no prolog.

    <en ts="2014-06-02T22:02:13.94" sc="tcp_local" dc="ims-ms" ac="E" sz="3" so="adam@example.com" od="rfc822;bob@example.org" de="bob@ims-ms-daemon"/>
    |   |                           |              |           |      |      |                     |                           |
    |   time, local                 source         destination |      size   sender                original recipient          recipient
    element: en, co, he             channel        channel     entry code

What the attributes mean is in `mta_attributes`, how an element is read in `xml_element`. A line is ours when it begins with `<en`, `<co` or
`<he`, with blanks before it or not; what is not whole then is unparsed. The lines that make a file of them an XML document (`<?xml …`, `<log>`,
comments) are text.
"""  # noqa: E501

from __future__ import annotations

from collections.abc import Sequence

from shipper.formats import mta_attributes, xml_element
from shipper.formats.base import Format, Log, stopped, unparsed
from shipper.record import Connection, Header, Mta, Record

_BEGIN = frozenset(f"<{name} " for name in mta_attributes.ELEMENTS)
_AFTER = frozenset(("", " ", "\t", "/", ">"))


def parse_run(lines: Sequence[str], start: int, log: Log, out: list[Record]) -> int:
    """Reads `en`, `co` and `he` elements; see `base`. Stops at the first line that does not begin as one."""
    clock, straight, read = log.clock, xml_element.straight, mta_attributes.read
    for index in range(start, len(lines)):
        line = lines[index]
        if line[:4] not in _BEGIN and not begins(line):
            return index
        found = straight(line)
        if found:
            out.append(read(*found, clock))
            continue
        element = xml_element.scan(line)
        if element is None:  # not for a line that begins so
            return index
        if element.column:
            reason = stopped(element.column, element.expected, line)
            out.append(unparsed(reason))
        else:
            out.append(read(element.name, element.names, element.values, clock))
    return len(lines)


FORMAT = Format("mta_xml", "MTA transaction and connection records as XML, LOG_FORMAT 4", parse_run)


def begins(line: str) -> bool:
    """Whether the line begins as an `en`, `co` or `he` element does."""
    at = line.find("<")
    return at >= 0 and line[at + 1 : at + 3] in mta_attributes.ELEMENTS and line[at + 3 : at + 4] in _AFTER and not line[:at].strip(" \t")


def render(record: Mta | Connection | Header) -> str:
    """A record as one line, without its LF. For every record that was read from such a line, reading it again gives the same record."""
    name, attributes = mta_attributes.write(record)
    return xml_element.write(name, (*attributes.items(), *(record.extra or {}).items()))
