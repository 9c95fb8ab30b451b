"""The terminal, or the pipe, that a command's answer goes to: how wide it is, and what it can show."""

from __future__ import annotations

import os
import shutil
import sys

from shipper.screen import Emphasis, bold, plain

WIDEST = 120
"""Cells: prose in longer lines is hard to read."""


def width() -> int:
    """Cells of a line: the terminal's, or 80 in a pipe (`COLUMNS` says otherwise)."""
    return min(shutil.get_terminal_size((80, 24)).columns, WIDEST)


def emphasis() -> Emphasis:
    """Bold print on a terminal, nothing in a pipe; nothing either where `NO_COLOR` is set or the terminal is dumb."""
    dumb = os.environ.get("TERM", "") in ("", "dumb") or bool(os.environ.get("NO_COLOR"))
    return bold if sys.stdout.isatty() and not dumb else plain


def be_lenient() -> None:
    """Lets what standard output and error cannot show in their encoding be shown as its escape, instead of ending in an error."""
    for stream in filter(None, (sys.stdout, sys.stderr)):  # one that was closed is None
        stream.reconfigure(errors="backslashreplace")
