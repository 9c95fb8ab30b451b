"""The command line: one module for each command, one line here for each module.

A module `cli/NAME.py` has a function NAME with typer annotations; its docstring is the help, and a `CONTEXT`, if there is one, its click
settings. A command's module is loaded when that command is asked for, and the function imports what is heavy (formats, profiles, engines)
when it runs, so that every command starts with what it needs and no more. What a command cannot do it raises as `errors.Failure`; `main`
prints it.
"""

from __future__ import annotations

import os
import signal
import sys
from errno import EDQUOT, ENOSPC
from functools import partial
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from shipper import __version__
from shipper.cli import messages
from shipper.errors import EX_INTERRUPTED, Failure

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

_Typer = partial(typer.Typer, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
"""Help is plain text: with frames and colours it takes 80 ms more."""


class _AsGiven:
    """How an option gets its value: text as it is, where text is what the command wants, and the default as it is. For all else typer asks pydantic,
    and loads it: 85 ms, half of the start of most commands."""

    def __init__(self, param: Any) -> None:
        self._by_typer = type(param).get_runtime_param

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """As typer calls it."""
        several = param.multiple or param.nargs == -1
        if value is None:
            return () if several else None
        wanted = param.type_descriptor.annotation
        if value is param.default or (wanted is str and isinstance(value, str)):
            return value
        if wanted == list[str] and isinstance(value, tuple):
            return list(value)
        return self._by_typer(param).coerce(value, param=param, ctx=ctx)


def _light(params: list[Any]) -> list[Any]:
    for param in params:
        if hasattr(param, "get_runtime_param"):  # an older typer does not know pydantic
            param.get_runtime_param = partial(_AsGiven, param)
    return params


class _Command(TyperCommand):
    """The command that is to run."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _light(super().get_params(ctx))


class _Listed(TyperCommand):
    """A command as the list of commands shows it. Its options are not made: that takes a while for all."""

    def get_short_help_str(self, limit: int = 0) -> str:
        """All of the first sentence; what is too long for a line goes on in the next."""
        return " ".join((self.help or "").partition("\n\n")[0].split())


class _Commands(TyperGroup):
    """The commands, each loaded when it is asked for."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _light(super().get_params(ctx))

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> _Listed | None:
        if (module := COMMANDS.get(cmd_name)) is None:
            return None
        return _Listed(cmd_name, help=getattr(import_module(f"shipper.cli.{module}"), module).__doc__)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The command that is to run, with its options."""
        if args[0] not in COMMANDS:
            self.commands = {name: _Listed(name) for name in COMMANDS}  # whose names are offered, where one is near
        name, _, rest = super().resolve_command(ctx, args)  # ends the process where there is none of that name
        function = COMMANDS[name or ""]
        module = import_module(f"shipper.cli.{function}")
        one = _Typer()
        one.command(name, cls=_Command, context_settings=getattr(module, "CONTEXT", None))(getattr(module, function))
        return name, typer.main.get_command(one), rest


app = _Typer(name="shipper", cls=_Commands, no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]})


def _version(wanted: bool) -> None:
    if wanted:
        from shipper import compiled

        module, why = compiled.find()
        print(f"shipper {__version__} (native: {f'no, {why}; all works, slower' if module is None else f'yes, {why}'})")
        raise typer.Exit


@app.callback()
def shipper(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")] = False,
) -> None:
    """Logs of Sun / iPlanet / Oracle Messaging Server as records of one schema."""


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
        ours = _full(error) or Failure("X499", f"{type(error).__name__}: {error}")
        messages.print_failure(ours)
        sys.exit(ours.exit)


def _full(error: Exception) -> Failure | None:
    """What a command says when its answer had no room: nothing that it opens itself, which it names, ends here."""
    if isinstance(error, OSError) and error.errno in (ENOSPC, EDQUOT) and error.filename is None:
        return Failure("O301", f"'standard output': {(error.strerror or str(error)).lower()}")
    return None


def die_of(number: signal.Signals) -> None:
    """Ends this process by a signal, so that whoever started it sees that."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
