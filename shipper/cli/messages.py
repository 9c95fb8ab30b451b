"""What a command says on standard error: failures, in one form for all commands.

error[I201]: there is no file 'mail.lgo'
  --> option.dat:12
   = did you mean 'mail.log'?
   = help: shipper explain I201
"""

from __future__ import annotations

import sys
import textwrap
from typing import TextIO

from shipper.cli import terminal
from shipper.errors import Failure
from shipper.screen import bold, escaped

WIDTH = 80


def print_failure(failure: Failure, stream: TextIO | None = None) -> None:
    """A failure, with where, what may help, and how to read more. What it quotes cannot move the cursor."""
    stream = stream or sys.stderr
    if stream is None:  # closed by whoever started us
        return
    head = f"error[{failure.number}]:"
    lines = [f"{bold(head) if stream.isatty() else head} {escaped(failure.message)}"]
    if failure.place:
        lines.append(f"  --> {escaped(failure.place)}")
    lines += [wrapped(f"   = {escaped(note)}", "     ") for note in failure.notes]
    lines.append(f"   = help: shipper explain {failure.number}")
    write("\n".join(lines) + "\n", stream)


def write(text: str, stream: TextIO | None = None) -> None:
    """Text to standard error; one that is closed is no reason to fail."""
    try:
        terminal.be_lenient()
        (stream or sys.stderr).write(text)
        (stream or sys.stderr).flush()
    except (OSError, ValueError, AttributeError):
        pass


def wrapped(text: str, indent: str = "  ", width: int = WIDTH) -> str:
    """A paragraph for a terminal of 80 columns; a word that is longer (a path) stays whole."""
    return textwrap.fill(text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
