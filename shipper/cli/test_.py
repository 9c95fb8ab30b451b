"""`shipper test`: the tests that stand beside a configuration."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from shipper.cli import configuration, messages, terminal
from shipper.errors import EX_CONFIG, EX_NOINPUT, EX_STRICT
from shipper.screen import bold, escaped, plain


def test_(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="Where the tests are: all *.yaml in it, at any depth.")],
    config: Annotated[str, typer.Option(metavar="FILE", help="The configuration; else DIR/shipper.yaml, or DIR/../shipper.yaml.")] = "",
) -> None:
    """Run the tests beside a configuration: lines in, expected records and routes.

    Lines are read and routed as the service does it; nothing is opened or sent.
    Variables need no values.

    \b
    A file of tests:
      tests:
        - name: bounces go to the archive
          lines: |
            19-Jan-1998 19:16:57.64 tcp_local l R 1 a@example.com rfc822;b@example.org b@example.org
          records: [{kind: mta, code: R, recipient: b@example.org}]
          routes: [archive]

    Exit code: 0; 1 when a test failed; 66 no tests; 78 the configuration, or a
    file of tests, cannot be read.
    """
    import os

    from shipper.config.load import load
    from shipper.config.problems import text
    from shipper.config.trial import run

    terminal.be_lenient()
    root = Path(folder)
    chosen = (
        Path(config) if config else next((path for path in (root / "shipper.yaml", root.parent / "shipper.yaml") if path.is_file()), None)
    )
    if chosen is None:
        messages.write(f"error: there is no shipper.yaml in {escaped(folder)}, nor above it\n  = name one: --config FILE\n")
        raise typer.Exit(EX_NOINPUT)
    loaded = load(chosen, os.environ, lenient=True)
    if loaded.config is None and not loaded.errors:
        loaded = load(chosen, os.environ)
    if loaded.config is None:
        configuration.print_problems(loaded)
        raise typer.Exit(EX_CONFIG)
    files = sorted(path for path in root.rglob("*.yaml") if path.resolve() not in {Path(name).resolve() for name in loaded.sources})
    if not files:
        messages.write(
            f"error: there are no tests in {escaped(folder)}\n  = a file of tests ends in .yaml; `shipper test --help` shows one\n"
        )
        raise typer.Exit(EX_NOINPUT)
    for name in loaded.config.unread():
        messages.write(f"note: '{escaped(name)}' is not on this machine: for what it sets, routes go by the product's defaults\n")
    trials = [run(path, loaded.config) for path in files]
    emphasis = bold if sys.stderr.isatty() else plain
    problems = [text(problem, trial.sources, emphasis) for trial in trials for problem in trial.problems]
    if problems:
        messages.write("\n".join(problems))
    count, failed = sum(trial.count for trial in trials), sum(len(trial.failed) for trial in trials)
    sys.stdout.write(f"{count} test{'s' if count != 1 else ''}, {failed} failed\n")
    if not all(trial.readable for trial in trials):
        raise typer.Exit(EX_CONFIG)
    if failed:
        raise typer.Exit(EX_STRICT)
