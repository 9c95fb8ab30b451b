"""`shipper generate`: the logs of a mail server that does not exist."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path
from typing import Annotated

import typer


def generate(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Where to: DIR/log gets the logs, DIR/config the settings.")],
    days: Annotated[
        int | None, typer.Option("--days", "-d", min=1, metavar="N", help="So many days. One, if --lines is not given.")
    ] = None,
    lines: Annotated[int | None, typer.Option("--lines", "-n", min=1, metavar="N", help="Stop after about N lines.")] = None,
    rate: Annotated[float, typer.Option("--rate", "-r", min=1, metavar="R", help="Messages a day; each makes twelve lines.")] = 2000,
    seed: Annotated[int, typer.Option("--seed", "-s", metavar="S", help="Same seed and options: same bytes.")] = 1,
    start: Annotated[str, typer.Option("--start", metavar="DATE", help="The first day.")] = "2005-03-07",
    timezone: Annotated[str, typer.Option("--timezone", "-z", metavar="IANA", help="The server's time zone.")] = "UTC",
    log_format: Annotated[
        int | None,
        typer.Option("--log-format", "-f", metavar="N", help="1 text, 2 non-null, 3 counted, 4 XML, 5 JSON, 6 flat JSON."),
    ] = None,
    options: Annotated[
        str, typer.Option("--options", "-O", metavar="NAME=N,...", help="Settings as in option.dat or configutil, above those of a file.")
    ] = "",
    option_file: Annotated[Path | None, typer.Option("--option-file", metavar="FILE", help="An option.dat with the settings.")] = None,
    users: Annotated[int, typer.Option("--users", min=1, metavar="N", help="Mailboxes on the server.")] = 200,
    domains: Annotated[int, typer.Option("--domains", min=1, metavar="N", help="Mail domains out there.")] = 60,
    compress: Annotated[bool, typer.Option("--compress", help="On Sundays, pack mail.log into mail.log.DATE.gz.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Write the logs of a mail server that does not exist: for demos, tests, benchmarks.

    MTA and connection logs, service logs with their roll-overs, debug logs:
    users send, read and mistype passwords, lists expand, hosts fail and
    recover, messages wait and bounce, strangers try to relay. All names and
    addresses are invented.

    \b
    Examples:
      shipper generate --out demo
      shipper generate --days 7 --rate 20000 --seed 4 --out week
      shipper generate --lines 1000000 --out big --quiet
      shipper generate --out xml --log-format 4 --timezone Europe/Berlin
      shipper generate --out many --options \\
        LOG_CONNECTION=255,LOG_NODE=1,SEPARATE_CONNECTION_LOG=1

    Without --options a server logs as one whose admin wants to follow messages:
    LOG_FILENAME, LOG_MESSAGE_ID, LOG_PROCESS, LOG_USERNAME, LOG_CONNECTION=3.
    """
    import gc

    from shipper import generate as engine
    from shipper.cli import terminal

    terminal.be_lenient()
    settings = engine.settings_of(option_file, options, log_format)
    plan = engine.Plan(
        settings=settings,
        days=1 if days is None and lines is None else days,
        lines=lines,
        rate=rate,
        seed=seed,
        start=_day(start),
        zone=timezone,
        users=users,
        domains=domains,
        compress=compress,
    )
    gc.freeze()
    gc.set_threshold(50_000)  # few objects are in cycles: a tenth less time
    if quiet or not sys.stderr.isatty():
        account = engine.generate(plan, out)
    else:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        columns = (TextColumn("generating"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("", total=1.0)
            account = engine.generate(plan, out, lambda share: progress.update(task, completed=share))
    if not quiet:
        sys.stdout.write(account.text(out, plan))


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        from shipper.errors import Failure

        raise Failure("U103", f"'{text}' is no date such as 2005-03-07") from None
