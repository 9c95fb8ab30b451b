"""`shipper status`: how far a running service is, and what each output does."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from shipper.cli import terminal
from shipper.errors import EX_STRICT
from shipper.screen import escaped

_ALIVE_SECONDS = 5.0
"""How long a service that is alive may take to say so."""


def status(
    service: Annotated[str, typer.Argument(metavar="CONFIG", help="The service's configuration file, or its state directory.")],
    as_json: Annotated[bool, typer.Option("--json", help="The whole answer as JSON.")] = False,
    alive: Annotated[bool, typer.Option("--alive", help="Ask only whether it answers: for health checks.")] = False,
) -> None:
    """Show how a running service is: lag of each file, state of each output, the books.

    \b
    Examples:
      shipper status /etc/shipper/shipper.yaml
      shipper status --json /var/lib/shipper
      shipper status --alive /var/lib/shipper

    Exit code: 0; 1 when an output takes nothing (not with --alive); 75 when no
    service answers.
    """
    from shipper.cli import control

    if alive:
        sys.stdout.write(control.asked(control.state_of(service), "/healthz", _ALIVE_SECONDS).read().decode())
        return
    told: dict[str, Any] = json.loads(control.asked(control.state_of(service), "/status").read())
    terminal.be_lenient()
    sys.stdout.write(json.dumps(told, indent=2) + "\n" if as_json else "\n".join(lines(told)) + "\n")
    if told["down"]:
        raise typer.Exit(EX_STRICT)


def lines(told: dict[str, Any]) -> Iterator[str]:
    """The answer for people."""
    config = told["config"]
    memory = f"{told['memory'] / (1 << 20):.0f} MiB"
    yield f"shipper {told['version']}, process {told['pid']}, {told['state']} since {told['started']}, {memory}"
    yield f"config {config['hash']} of {', '.join(escaped(name) for name in config['files'])}, taken {config['taken']}"
    if config["refused"]:
        yield f"  a newer one was refused: {escaped(config['refused'])}"
    if told["checkpoints"]["problem"]:
        yield f"  positions cannot be saved: {told['checkpoints']['problem']}"
    ledger = told["ledger"]
    for name, one in told["inputs"].items():
        books = ledger["inputs"][name]
        yield f"input {name} ({one['type']}, {one['state']}): {books['read']:,} records read, {books['damaged']:,} damaged"
        if events := ", ".join(f"{count:,} {event.replace('_', ' ')}" for event, count in one["counts"].items() if count):
            yield f"  {events}"
        for lag in one["lag"]:
            yield f"  {_lag(lag)}"
    for name, one in told["outputs"].items():
        error = f": {escaped(one['last_error'])}" if one["last_error"] and one["state"] in ("waiting", "misconfigured") else ""
        yield f"output {name} ({one['type']}, {one['state']}{error})"
        if one["spool"]:
            yield f"  {escaped(one['spool'])}"
        books = ledger["outputs"][name]
        parts = [
            f"{books[part]:,} {part.replace('_', ' ')}" for part in ("delivered", "set_aside", "lost", "waiting", "not_routed", "again")
        ]
        found = f" and {books['found']:,} found" if books["found"] else ""
        yield f"  {ledger['read']:,} read{found} = {' + '.join(part for part in parts if not part.startswith('0 ')) or '0'}"
        if not books["balanced"]:
            yield "  the books do not balance: an error of ours, please report it"
    if ledger["dropped"]:
        said = ", ".join(f"{count:,} by {escaped(reason)}" for reason, count in ledger["dropped_by"].items())
        yield f"{ledger['dropped']:,} records went to no output: {said}"


_DETAILS = ("position", "settled", "size", "waiting", "why")
"""What of a file is only for `--json`."""


def _lag(lag: dict[str, Any]) -> str:
    """One file or socket of an input: `mail.log_current: 1,200 octets, 3 s behind`."""
    rest = {name: value for name, value in lag.items() if value not in (None, "", 0) and name not in _DETAILS}
    name = next((str(rest.pop(key)) for key in ("file", "path", "listen", "address", "name") if key in rest), "")
    octets, seconds = rest.pop("octets", 0), rest.pop("seconds", 0)
    behind = [f"{octets:,} octets behind, the last record {seconds:,.0f} s ago"] if octets else []
    state = [escaped(str(rest.pop("state")))] if "state" in rest else []
    return f"{escaped(name)}: {', '.join([*behind, *state, *(f'{key} {escaped(str(value))}' for key, value in rest.items())])}"
