"""What a line can stand behind: a `file:` prefix as grep writes it, and a syslog header (RFC 3164 or RFC 5424)."""

from __future__ import annotations

from typing import Protocol

from shipper.formats.base import Log
from shipper.record import Record


class Opened(Protocol):
    """An envelope that was opened: `inner` is the line inside; `attach` puts what the envelope says into the record of that line;
    `record` is the record of the whole line when what is inside is none of the mail server's formats (None: the envelope says nothing)."""

    inner: str

    def attach(self, record: Record) -> None: ...

    def record(self) -> Record | None: ...


def open_envelope(line: str, log: Log) -> Opened | None:
    """The outermost envelope of a line, or None. Never raises."""
    return None
