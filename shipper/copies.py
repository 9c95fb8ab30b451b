"""A record that comes by file and by syslog is delivered once, and our own messages that come back to us are stopped.

**Copies.** A server with `LOG_MESSAGES_SYSLOG=22` writes each record to a file and sends it to syslog. Who reads the one and receives the other gets
every record twice, behind different headers: one without a host, one with. So the two are known by what stands in the line itself: every field
but the id, the host, the place and the envelope. Of identical lines as many are copies as came by the other way: the n-th by syslog is the n-th
of the file. A copy is settled when the record is that it is a copy of: whatever happens to that one, one of them is read again.

**Loops.** What we send to a relay may come back to our syslog input. A message of ours says so (`origin`) and has the record's id (`uid`): one that
passed here lately is stopped. RFC 3164 and raw lines cannot say it. There a loop shows in that one message, with every field and the second the
same, goes on coming from an address that we send to: many times, and seconds after it came first. A program that says the same thing a
thousand times in one second has done so by then.

Memory is bounded: records are remembered for `KEPT_SECONDS` to twice that, and at most twice `KEPT` of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from operator import attrgetter

from shipper.batch import Receipt
from shipper.record import KINDS, Connection, Header, Mta, Record, Service, Store, Syslog
from shipper.straight import Straight

KEPT = 100_000
KEPT_SECONDS = 300.0
COPY = "a copy of what came by another input"
LOOP = "our own message that came back"
"""Why records are left out."""

_TWICE = (Mta, Connection, Header, Service, Store)
"""Kinds that the mail server itself both writes and sends."""
_NOT_IN_THE_LINE = ("id", "host", "source", "syslog", "raw", "extra", "error", "attributes", "time_zone_source")
_OURS = re.compile(r'\[origin software="shipper"[^\]]*\]\[[^\] ]+@[0-9]+ uid="([^"]+)"')
_MARK = b"[origin software="
_PASSES = 20
_PASSING_SECONDS = 5.0
"""How often, and how long, what may be a loop of messages without a mark is let through."""


@dataclass(slots=True)
class _Seen:
    """How often a record came by file, by syslog, and from an address that we send to, since when, and the receipt of the last one that was
    passed on."""

    since: float
    by_file: int = 0
    by_syslog: int = 0
    from_relay: int = 0
    receipt: Receipt | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """`records`: those that are no copies and no loop; `left_out`: how many of the others, by reason; `wait_for`: receipts of what they are copies
    of, which are not settled yet."""

    records: Sequence[Record]
    left_out: dict[str, int]
    wait_for: Sequence[Receipt]


def _getter(kind: type[Record]) -> Callable[[Record], object]:
    return attrgetter(*(name for name in kind.__struct_fields__ if name not in _NOT_IN_THE_LINE))


_FIELDS = {kind: _getter(kind) for kind in KINDS}


class Copies:
    """What came lately. `now`: seconds of a clock that does not go back."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._since = now()
        self._lines: tuple[dict[int, _Seen], dict[int, _Seen]] = ({}, {})
        self._ids: tuple[set[str], set[str]] = (set(), set())

    def check(self, records: Sequence[Record], receipt: Receipt, *, by_syslog: bool, both: bool, relays: Collection[str] | None) -> Checked:
        """Looks at the records of one batch, whose receipt is `receipt`. `both`: records come by file and by syslog, so that there can be copies;
        `relays`: the addresses that our syslog outputs send to, so that there can be loops; None: we have no such output."""
        if self._now() - self._since > KEPT_SECONDS or len(self._lines[0]) > KEPT or len(self._ids[0]) > KEPT:
            self._turn()
        if relays is not None and by_syslog and not both and isinstance(records, Straight) and not self._doubtful(records, relays):
            self._ids[0].update(records.ids())
            return Checked(records, {}, [])
        passed: list[Record] = []
        left_out: dict[str, int] = {}
        waiting: dict[int, Receipt] = {}
        for record in records:
            if by_syslog and relays is not None and self._came_back(record, relays):
                left_out[LOOP] = left_out.get(LOOP, 0) + 1
                continue
            original = self._copy_of(record, receipt, by_syslog) if both and isinstance(record, _TWICE) else None
            if original is not None:
                left_out[COPY] = left_out.get(COPY, 0) + 1
                if not original.settled and original is not receipt:
                    waiting[id(original)] = original
                continue
            if relays is not None:
                self._ids[0].add(record.id)
            passed.append(record)
        return Checked(passed if left_out else records, left_out, list(waiting.values()))

    def _doubtful(self, records: Straight, relays: Collection[str]) -> bool:
        """Whether one of these may be of a loop. The twin reads no message that may be ours by its
        structured data."""
        packs = records.packs()
        return (
            any(pack.hold(_MARK) or not set(relays).isdisjoint(pack.senders()) for pack in packs)
            or any(self._came_back(record, relays) for record in records.apart.values())
        )  # fmt: skip

    def _copy_of(self, record: Record, receipt: Receipt, by_syslog: bool) -> Receipt | None:
        """The receipt of the record that this one is a copy of; None: it is none."""
        seen = self._seen(record)
        if by_syslog:
            seen.by_syslog += 1
            is_copy = seen.by_syslog <= seen.by_file
        else:
            seen.by_file += 1
            is_copy = seen.by_file <= seen.by_syslog
        if is_copy and seen.receipt is not None:
            return seen.receipt
        seen.receipt = receipt
        return None

    def _seen(self, record: Record) -> _Seen:
        key = hash((type(record), _FIELDS[type(record)](record)))
        lately, before = self._lines
        seen = lately.get(key)
        if seen is None:
            seen = lately[key] = before.pop(key) if key in before else _Seen(self._now())
        return seen

    def _came_back(self, record: Record, relays: Collection[str]) -> bool:
        envelope = record.syslog
        if envelope is None:
            return False
        if uid := _uid(envelope.structured_data) or (_uid_inside(record.message) if isinstance(record, Syslog) else ""):
            return uid in self._ids[0] or uid in self._ids[1]
        if envelope.peer not in relays:
            return False
        seen = self._seen(record)
        seen.from_relay += 1
        return seen.from_relay > _PASSES and self._now() - seen.since > _PASSING_SECONDS

    def _turn(self) -> None:
        self._lines = ({}, self._lines[0])
        self._ids = (set(), self._ids[0])
        self._since = self._now()


def _uid(structured: dict[str, object] | None) -> str:
    """The record's id in a message that a shipper sent; `""` in any other."""
    if not structured:
        return ""
    origin = structured.get("origin")
    ours = isinstance(origin, dict) and origin.get("software") == "shipper"
    for name, element in structured.items() if ours else ():
        if "@" in name and isinstance(element, dict) and isinstance(uid := element.get("uid"), str):
            return uid
    return ""


def _uid_inside(message: str) -> str:
    """The same where a relay has put a header of its own before the message that a shipper sent."""
    found = _OURS.search(message) if _MARK.decode() in message else None
    return found[1] if found else ""
