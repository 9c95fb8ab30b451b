"""What a format is, and what is known of the log that its lines come from.

A format reads *runs*: `parse_run(lines, start, log, out)` reads `lines[start:]` as long as they are this format's own, appends one record
for each line to `out`, in order, and returns the index of the first line that is not its own (`start` when not even the first is). So a
file of one format costs one call a batch, and a file of many formats is told apart line by line.

Rules:
- One record for each line, never an exception, whatever the line holds. A line that begins as the format does but cannot be read is its
  own: an `Unparsed` record whose `error` says where reading stopped, by column.
- A format is pure: text in, records out. It knows no file, socket or clock; all that one line leaves for the next is in `Log`.
- Linear time in the length of the line: no regular expression that can backtrack over an unbounded piece twice.
- `id`, `source` and `raw` are the reader's; a format leaves them alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from shipper import events
from shipper.record import Record, Unparsed
from shipper.stamps import Clock


@dataclass(slots=True)
class Log:
    """What is known of one log, and the state its lines leave behind.

    `clock`: the zone of stamps that name none. `fields`: the optional fields of MTA text records in order, when the user said which the
    server writes (None: told by their shape). `service`: what the file's name says (`imap`, `dispatcher`), or `""`. `host`: for lines that
    name none. `date`: (year, month, day) that lines with only a time of day belong to, and `time_of_day` the last such time, to see
    midnight pass. `keeps_ids`: nothing but our own native records is expected, and they keep the id, source and raw that they have.
    """

    clock: Clock = field(default_factory=Clock)
    fields: tuple[str, ...] | None = None
    service: str = ""
    host: str = ""
    date: tuple[int, int, int] | None = None
    time_of_day: str = ""
    keeps_ids: bool = False


ParseRun = Callable[[Sequence[str], int, Log, list[Record]], int]


@dataclass(frozen=True, slots=True)
class Format:
    """One line format: its name on the command line, what it is, and how a run of its lines is read."""

    name: str
    title: str
    parse_run: ParseRun


def stopped(column: int, expected: str, line: str) -> str:
    """The `error` of a line that could not be read: where reading stopped (columns count from 1), what was expected, what stands there."""
    found = line[column - 1 : column + 23]
    what = f"found {found!r}" if found else "the line ends there"
    return f"column {column}: expected {expected}, {what}"


def unparsed(reason: str) -> Unparsed:
    """The record of a line that begins as a format does and cannot be read."""
    return Unparsed(event=events.UNPARSED.name, severity=events.UNPARSED.severity, error=reason)
