"""The record's `id`: the same for the same record in every copy of its line.

    id = BLAKE2b-128( line [ NUL host ] [ NUL NUL number ] ), 32 hex digits

`line` is the line as UTF-8 without its envelope (syslog header, `file:` prefix) and without blanks and CR at its end; `host` is the
record's host where it has one; `number` is how many lines of the same content and host came before it in the same second of the same log,
left out when none did. A debug log's lines have only a time of day: there the date goes before the line. No file name, inode or offset:
`mail.log_current`, `mail.log_yesterday`, `mail.log`, its `.gz` and the syslog copy agree.

Two identical lines have the same time stamp, so only the last few seconds need remembering; the log's own disorder is far below that. A
line without a time counts to the second of the line before it.
BLAKE2b and not a faster hash: senders choose much of a line, and must not be able to make two records look like one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Protocol

from shipper.record import Debug, Record

SECONDS_KEPT = 8
LINES_KEPT = 200_000
"""Different lines remembered of one second: more than a server writes, so only a file without time stamps reaches it."""


def content_of(record: Record, line: str) -> bytes:
    """What the id of a record is made of, but for the count of identical lines; `line` is without its envelope."""
    content = line.rstrip().encode()
    if type(record) is Debug:
        content = b"%b %b" % (record.time[:10].encode(), content)
    if record.host:
        content = b"%b\0%b" % (content, record.host.encode())
    return content


class Ids(Protocol):
    """What gives the records of one log their ids."""

    def assign(self, records: Sequence[Record], lines: Sequence[str]) -> None:
        """Gives each record its id; `lines` are their lines without envelopes. Records come in the order of the log."""

    def state(self) -> Iterator[bytes]:
        """What the next ids depend on, in pieces for a digest."""


class Identity:
    """Counts the identical lines of one log."""

    __slots__ = ("_counts", "_second", "_seconds")

    def __init__(self) -> None:
        self._second = ""
        self._counts: dict[bytes, int] = {}
        self._seconds: dict[str, dict[bytes, int]] = {"": self._counts}

    def assign(self, records: Sequence[Record], lines: Sequence[str]) -> None:
        second, counts = self._second, self._counts
        begun = blake2b(digest_size=16).copy  # a copy costs two thirds of a new one
        for record, line in zip(records, lines, strict=True):
            if record.id:  # a native record that may keep its own
                continue
            content = content_of(record, line)
            if record.time[:19] != second and record.time:
                second = record.time[:19]
                counts = self._turn(second)
            if content in counts:
                before = counts[content]
                counts[content] = before + 1
                content = b"%b\0\0%d" % (content, before)
            else:
                if len(counts) >= LINES_KEPT:
                    counts.clear()
                counts[content] = 1
            digest = begun()
            digest.update(content)
            record.id = digest.hexdigest()
        self._second, self._counts = second, counts

    def state(self) -> Iterator[bytes]:
        yield self._second.encode()
        for second, counts in self._seconds.items():
            yield b"%b %d " % (second.encode(), len(counts))
            yield b"\n".join(counts)
            yield repr([(line, number) for line, number in counts.items() if number > 1]).encode()

    def _turn(self, second: str) -> dict[bytes, int]:
        """The counts of another second; that of the second not seen for longest is forgotten."""
        counts = self._seconds.pop(second, None)
        if counts is None:
            counts = {}
            if len(self._seconds) >= SECONDS_KEPT:
                del self._seconds[next(iter(self._seconds))]
        self._seconds[second] = counts
        return counts
