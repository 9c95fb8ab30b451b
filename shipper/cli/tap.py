"""`shipper tap`: the records that pass through a running service now."""

from __future__ import annotations

import sys
from typing import Annotated
from urllib.parse import urlencode

import typer

from shipper.cli import messages
from shipper.errors import EX_TEMPFAIL, EX_USAGE


def tap(
    service: Annotated[str, typer.Argument(metavar="CONFIG", help="The service's configuration file, or its state directory.")],
    where: Annotated[
        list[str] | None, typer.Option("--where", "-w", metavar="FIELD=VALUE,...", help="Only records with one of these values.")
    ] = None,
    profile: Annotated[str, typer.Option("--profile", "-p", metavar="NAME", help="Schema: native, ecs or otel.")] = "native",
    count: Annotated[int, typer.Option("--count", "-n", min=0, metavar="N", help="End after so many records; 0: never.")] = 0,
) -> None:
    """Watch live records: JSON lines on standard output, notices on standard error.

    What is watched does not wait for the watcher: when records come faster than
    they can be written here, some are not shown, and a notice says how many.

    \b
    Examples:
      shipper tap shipper.yaml
      shipper tap shipper.yaml --where kind=mta --where code=Q,R
      shipper tap /var/lib/shipper -w input=imap -n 10

    FIELD is a field of the native profile, or input. All conditions must hold.
    """
    pairs = [("profile", profile)]
    for one in where or []:
        name, equals, value = one.partition("=")
        if not equals:
            messages.write(f"error: '{one}' is not FIELD=VALUE\n")
            raise typer.Exit(EX_USAGE)
        pairs.append((name, value))
    # All of HTTP, and ssl with it, is loaded when something is asked.
    from http.client import HTTPException

    from shipper.cli import control

    response = control.asked(control.state_of(service), f"/tap?{urlencode(pairs)}")
    if response.status != 200:
        messages.write(f"error: {response.read(1000).decode(errors='replace')}")
        raise typer.Exit(EX_USAGE)
    shown = 0
    try:
        while line := response.readline():
            if line.startswith(b"#"):
                if line != b"#\n":
                    messages.write(f"shipper tap: {line[2:].decode()}")
                continue
            sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()
            shown += 1
            if shown == count:
                return
    except (OSError, HTTPException):
        pass
    messages.write("shipper tap: the service has stopped\n")
    raise typer.Exit(EX_TEMPFAIL)
