"""`shipper run`: the service."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from shipper.errors import EX_CONFIG, Failure, Problem

if TYPE_CHECKING:
    from shipper.config.tree import Node


class LogForm(StrEnum):
    """How our own log looks."""

    auto = "auto"
    text = "text"
    json = "json"


def run(
    config: Annotated[str, typer.Argument(metavar="CONFIG", help="The configuration file; conf.d beside it is read too.")],
    allow_root: Annotated[bool, typer.Option("--allow-root", help="Run as root, and stay it.")] = False,
    log_format: Annotated[LogForm | None, typer.Option("--log-format", help="Instead of what the configuration says.")] = None,
) -> None:
    """Run the service: follow logs, receive syslog, deliver records, lose nothing.

    It stays in the foreground and writes its own log to standard error.

    \b
    Signals:
      TERM, INT  stop reading, deliver what was read (as long as grace lasts),
                 save positions, exit 0; a second one: stop at once
      HUP        read the configuration again and reopen output files; a bad
                 configuration changes nothing

    \b
    Examples:
      shipper run /etc/shipper/shipper.yaml
      shipper check shipper.yaml && kill -HUP $PID

    Exit code: 0; 70 error of ours; 75 another shipper runs there, or a port is
    taken; 77 no permission, root; 78 configuration.
    """
    from shipper.cli import configuration, messages
    from shipper.config.load import load
    from shipper.config.sections import OwnLog
    from shipper.process import open_log
    from shipper.service import Service

    loaded = load(config, os.environ)
    log = loaded.config.settings.log if loaded.config else OwnLog(format="json" if _says_json(loaded.tree) else "text")
    as_text = open_log(log_format.value if log_format else log.format, log.level)
    if as_text:
        configuration.print_problems(loaded)
    else:
        _log(loaded.problems)
    if loaded.config is None:
        raise typer.Exit(EX_CONFIG)
    code = 0
    try:
        Service(lambda: load(config, os.environ), loaded, allow_root=allow_root).run()
    except Failure as failure:
        if as_text:
            messages.print_failure(failure)
        else:
            _log([failure])
        code = failure.exit
    # Not sys.exit: a thread may still wait for a receiver that is dead.
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            pass
    os._exit(code)


def _says_json(tree: Node | None) -> bool:
    """Whether a configuration with errors wants our own log in JSON."""
    log = tree.value.get("log") if tree is not None and isinstance(tree.value, dict) else None
    form = log.value.get("format") if log is not None and isinstance(log.value, dict) else None
    return form is not None and form.value == "json"


def _log(said: Iterable[Problem | Failure]) -> None:
    """Errors and warnings as entries of our own log: a program reads it, and would stumble over lines for people."""
    from loguru import logger

    for one in said:
        level = "WARNING" if isinstance(one, Problem) and one.warning else "ERROR"
        logger.bind(number=one.number, place=str(one.place), notes=one.notes).log(level, "{}", one.message)
