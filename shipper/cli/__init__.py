"""The command line: one module for each command, one line here for each module.

A module `cli/NAME.py` has a function NAME with typer annotations; its docstring is the help, and a `CONTEXT`, if there is one, its click
settings. The function imports what is heavy (formats, profiles, engines) when it runs, so that `shipper --help` is quick. What a command
cannot do it raises as `errors.Failure`; `main` prints it.
"""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module
from typing import Annotated

import typer

from shipper import __version__
from shipper.cli import messages
from shipper.errors import EX_INTERRUPTED, Failure

app = typer.Typer(
    name="shipper",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from shipper import compiled

        module, why = compiled.find()
        print(f"shipper {__version__} (native: {'no' if module is None else 'yes'}, {why})")
        raise typer.Exit


@app.callback()
def shipper(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")] = False,
) -> None:
    """Logs of Sun / iPlanet / Oracle Messaging Server as records of one schema."""


COMMANDS = {
    "convert": "convert",
    "run": "run",
    "status": "status",
    "tap": "tap",
    "replay": "replay",
    "try": "try_",
    "explain": "explain",
    "generate": "generate",
    "doctor": "doctor",
    "check": "check",
    "routes": "routes",
    "test": "test_",
    "assets": "assets",
}
"""Command -> module in `shipper.cli`, and function of the same name in it; in the order in which the help shows them."""

for _command, _module in COMMANDS.items():
    _found = import_module(f"shipper.cli.{_module}")
    app.command(_command, context_settings=getattr(_found, "CONTEXT", None))(getattr(_found, _module))


def main() -> None:
    """The entry point: runs the command; a failure is a message and an exit code, never a traceback."""
    try:
        app()
    except Failure as failure:
        messages.print_failure(failure)
        sys.exit(failure.exit)
    except KeyboardInterrupt:
        sys.exit(EX_INTERRUPTED)
    except BrokenPipeError:  # whoever read our output has gone: end as other programs do then
        die_of(signal.SIGPIPE)
    except Exception as error:
        if os.environ.get("SHIPPER_TRACEBACK"):
            raise
        ours = Failure("X499", f"{type(error).__name__}: {error}")
        messages.print_failure(ours)
        sys.exit(ours.exit)


def die_of(number: signal.Signals) -> None:
    """Ends this process by a signal, so that whoever started it sees that."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
