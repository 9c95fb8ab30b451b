"""The record's `id`: the same for the same record in every copy of its line.

    id = BLAKE2b-128( line [ NUL host ] [ NUL NUL number ] ), 32 hex digits

`line` is the line as UTF-8 without its envelope (syslog header, `file:` prefix) and without blanks and CR at its end; `host` is the record's
host where it has one; `number` is how many lines of the same content and host came before it in the same second of the same log, left out
when none did. No file name, inode or offset: `mail.log_current`, `mail.log_yesterday`, `mail.log`, its `.gz` and the syslog copy agree.

Two identical lines have the same time stamp, so only the last few seconds need remembering; the log's own disorder is far below that. A
line without a time counts to the second of the line before it.
BLAKE2b and not a faster hash: senders choose much of a line, and must not be able to make two records look like one.
"""

from __future__ import annotations

from hashlib import blake2b

SECONDS_KEPT = 8
LINES_KEPT = 200_000
"""Different lines remembered of one second: more than a server writes, so only a file without time stamps reaches it."""


class Identity:
    """Counts identical lines of one log; called once for each record, in order."""

    __slots__ = ("_counts", "_second", "_seconds")

    def __init__(self) -> None:
        self._second = ""
        self._counts: dict[bytes, int] = {}
        self._seconds: dict[str, dict[bytes, int]] = {"": self._counts}

    def of(self, line: str, host: str, time: str) -> str:
        """The id of the record of this line (without its envelope); `time` is the record's."""
        content = line.rstrip().encode()
        if host:
            content += b"\0" + host.encode()
        if time and time[:19] != self._second:
            self.turn(time[:19])
        counts = self._counts
        before = counts.get(content, 0)
        counts[content] = before + 1
        if before:
            content += b"\0\0%d" % before
        elif len(counts) > LINES_KEPT:
            counts.clear()
        return blake2b(content, digest_size=16).hexdigest()

    def turn(self, second: str) -> None:
        """Goes to the counts of another second, and forgets the one not seen for longest."""
        self._second = second
        seconds = self._seconds
        counts = seconds.pop(second, None)
        if counts is None:
            counts = {}
            if len(seconds) >= SECONDS_KEPT:
                del seconds[next(iter(seconds))]
        seconds[second] = self._counts = counts
