"""What every command does that reads a configuration: all that is wrong with it on standard error, and exit code 78."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TextIO

import typer

from shipper.cli import messages
from shipper.errors import EX_CONFIG
from shipper.screen import bold, plain

if TYPE_CHECKING:
    from shipper.config.load import Loaded
    from shipper.config.sections import Config


SHOWN = 100
"""Problems that are shown; whoever has more than that has one mistake that makes many."""


def read(path: str) -> Config:
    """The configuration, with the environment of this process. Warnings are printed, but for what is not there, which `check` says; errors too,
    and end the command."""
    import os

    from shipper.config.load import NOT_THERE, load

    loaded = load(path, os.environ)
    loaded.problems[:] = [problem for problem in loaded.problems if problem.number not in NOT_THERE]
    print_problems(loaded)
    if loaded.config is None:
        raise typer.Exit(EX_CONFIG)
    return loaded.config


def print_problems(loaded: Loaded, stream: TextIO | None = None) -> None:
    """All errors and warnings, each with its line, one blank line between two."""
    from shipper.config.problems import text

    stream = stream or sys.stderr
    emphasis = bold if stream.isatty() else plain
    shown = [text(problem, loaded.sources, emphasis) for problem in loaded.problems[:SHOWN]]
    if len(loaded.problems) > SHOWN:
        shown.append(f"... and {len(loaded.problems) - SHOWN:,} more\n")
    if shown:
        messages.write("\n".join(shown), stream)
