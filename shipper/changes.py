"""What a route does to the records that fit it before they go on: fields are set, or only some are kept.

Both are functions of the record alone. Nothing is changed in place: other outputs, and whoever watches, have the record as it was read.
"""

from __future__ import annotations

from binascii import crc32
from copy import copy
from dataclasses import dataclass

from shipper.conditions import Value, field_type
from shipper.record import Envelope, Record

FACILITY = "facility"
"""What `syslog.facility` may be called when it is set: records that did not come by syslog can have it, too."""

_FIXED = ("kind", "input", "id", "time", "time_zone_source", "event", "session_start", "source.file", "source.offset", "source.peer")
"""What a record is, and where and when: what is made of it depends on that."""


@dataclass(frozen=True, slots=True)
class Change:
    """Sets fields: (name, value), as `settable` has them. A kind of record that does not have a field stays without it."""

    values: tuple[tuple[str, Value], ...]

    def __call__(self, record: Record) -> Record:
        """A copy with the fields set."""
        changed = copy(record)
        for name, value in self.values:
            outer, _, inner = name.partition(".")
            if outer not in record.__struct_fields__:
                continue
            if not inner:
                setattr(changed, outer, value)
            elif outer == "syslog":
                envelope = copy(changed.syslog) or Envelope()
                setattr(envelope, inner, value)
                changed.syslog = envelope
            else:
                within = {**(getattr(changed, outer) or {}), inner: value}
                setattr(changed, outer, {key: found for key, found in within.items() if found != ""} or None)
        return changed


@dataclass(frozen=True, slots=True)
class Sample:
    """Keeps a share of the records, the same ones wherever they come by: it goes by the id."""

    share: float

    def __call__(self, record: Record) -> bool:
        """Whether a record is kept."""
        return crc32(record.id.encode(errors="replace")) < self.share * 0x1_0000_0000


def settable(name: str) -> bool:
    """Whether a route can set a field."""
    return name not in _FIXED and field_type(name) is not None
