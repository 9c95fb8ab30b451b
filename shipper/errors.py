"""Our own errors, by number: what it is, why it comes, how to solve it, and the exit code.

A `Failure` is one such error as it happened: `shipper` prints it, and `shipper explain I201` prints its row here. A number is never used for
something else later. `U` wrong use, `I` input, `O` output, `X` the program itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

EX_STRICT = 1
EX_USAGE = 2
EX_NOINPUT = 66
EX_SOFTWARE = 70
EX_IOERR = 74
EX_NOPERM = 77
EX_INTERRUPTED = 130


class ErrorKind(NamedTuple):
    """One numbered error. `what`, `why` and `solve` are sentences for the user; `exit` is the process's exit code."""

    what: str
    why: str
    solve: str
    exit: int


ERRORS: dict[str, ErrorKind] = {}


class Failure(Exception):
    """A numbered error as it happened: `message` names the thing, `place` the file (`file:line:column`), `notes` what helps."""

    def __init__(self, number: str, message: str, *, place: str = "", notes: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.number = number
        self.message = message
        self.place = place
        self.notes = tuple(notes)

    @property
    def exit(self) -> int:
        """The exit code of the process that ends with it."""
        return ERRORS[self.number].exit
