"""`shipper check`: whether a configuration would be taken, and all that is wrong with it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from shipper.cli import configuration, messages, terminal
from shipper.errors import EX_CONFIG, EX_USAGE
from shipper.screen import escaped

if TYPE_CHECKING:
    from shipper.config.load import Loaded
    from shipper.config.sections import Config


def check(
    paths: Annotated[
        list[str] | None, typer.Argument(metavar="CONFIG", help="Configuration files; conf.d beside each is read too.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings are errors.")] = False,
    show: Annotated[bool, typer.Option("--print", help="Print the effective configuration, without secrets.")] = False,
    no_env: Annotated[bool, typer.Option("--no-env", help="Variables and files that are not there are no errors.")] = False,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of a configuration, for editors.")] = False,
) -> None:
    """Check a configuration: all errors at once, each with file, line and column.

    What `check` takes, `run` takes. Files of certificates are looked at, but
    nothing is connected to.

    \b
    Examples:
      shipper check /etc/shipper/shipper.yaml
      shipper check --print shipper.yaml
      shipper check --no-env conf/*.yaml
      shipper check --schema > shipper.schema.json

    Exit code: 0, also with warnings; 78 when there is an error, or with
    --strict a warning.
    """
    import os

    from shipper.config.load import load
    from shipper.config.show import effective

    terminal.be_lenient()
    if schema:
        import msgspec

        from shipper.config.schema import schema as made

        sys.stdout.write(msgspec.json.format(msgspec.json.encode(made()), indent=2).decode() + "\n")
        return
    if not paths:
        messages.write("error: no CONFIG was given\n  = for example: shipper check /etc/shipper/shipper.yaml\n")
        raise typer.Exit(EX_USAGE)
    failed = False
    for number, path in enumerate(paths):
        loaded = load(path, os.environ, lenient=no_env)
        if loaded.problems and number:
            messages.write("\n")
        configuration.print_problems(loaded)
        for note in _replaced(loaded):
            messages.write(f"{note}\n")
        bad = bool(loaded.errors) or (strict and bool(loaded.warnings))
        failed = failed or bad
        if show and loaded.config is not None and loaded.tree is not None:
            sys.stdout.write(("---\n" if number else "") + effective(loaded.config, loaded.tree))
        else:
            sys.stdout.write(f"{escaped(path)}: {_verdict(bad, len(loaded.errors), len(loaded.warnings))}{_note(loaded.config)}\n")
    if failed:
        raise typer.Exit(EX_CONFIG)


def _note(config: Config | None) -> str:
    """What holds where no setting of the mail server is known, and an output goes by them."""
    if config is None or config.server.settings or config.server.files:
        return ""
    by_settings = any(section.takes == "settings" for section in config.outputs.values())
    return "; no settings of a mail server are known, so the product's defaults hold: everything is for log files" if by_settings else ""


def _replaced(loaded: Loaded) -> Iterator[str]:
    """What our own settings put in the place of others in the mail server's files."""
    server = loaded.config.server if loaded.config else None
    for name, before in server.replaced.items() if server else ():
        if server and server.settings[name] != before:
            yield f"note: {escaped(str(server.settings[name]))} is taken, not {escaped(str(before))}"


def _verdict(bad: bool, errors: int, warnings: int) -> str:
    counts = [f"{count} {word}{'s' if count > 1 else ''}" for count, word in ((errors, "error"), (warnings, "warning")) if count]
    return f"{'not good' if bad else 'good'}{', ' if counts else ''}{', '.join(counts)}"
