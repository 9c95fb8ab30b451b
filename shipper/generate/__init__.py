"""The logs of a mail server that does not exist: any size, any LOG_FORMAT, every time the same for the same seed.

    dice      chance                       settings  what the server logs, and its configuration files
    cast      who takes part               logs      the files and how they roll over
    server    clock, lives, writing        volume    how much happens when
    mail, access, chores                   the lives: what happens

The way: lives of messages, readers and of the server itself write records; `formats` makes them lines; `logs` puts these into files.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from shipper.errors import Failure
from shipper.generate import access, chores, mail
from shipper.generate.cast import invent
from shipper.generate.dice import Dice
from shipper.generate.logs import DebugLog, MtaFamily, ServiceLog
from shipper.generate.server import Line, Server, line_of
from shipper.generate.settings import Settings, settings, write_config
from shipper.generate.volume import arrivals
from shipper.mailserver import optionfile
from shipper.sources import unopened

START = date(2005, 3, 7)
"""A Monday, some weeks after the guide's release; so that the same command makes the same logs on every day."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be generated. `rate`: messages a day, in the mean of a week. `lines` ends it after about so many, `days` at a midnight;
    whichever is met first, one of them has to be given. `zone`: IANA name, the server's own."""

    settings: Settings
    days: int | None = 1
    lines: int | None = None
    rate: float = 2000.0
    seed: int = 1
    start: date = START
    zone: str = "UTC"
    users: int = 200
    domains: int = 60
    compress: bool = False


@dataclass(frozen=True, slots=True)
class Account:
    """What was generated: lines and octets in each log (a name for each family of files), and the time of the last line.

    `deleted`: service log files that the server's own limits removed again; their lines are in the counts.
    """

    lines: dict[str, int]
    octets: dict[str, int]
    deleted: int
    end: datetime

    def text(self, out: Path, plan: Plan) -> str:
        """The account for a person, in 80 columns, and what to do next."""
        rows = [(name, f"{count:,}", f"{self.octets[name] / 1e6:,.1f} MB") for name, count in self.lines.items()]
        rows.append(("together", f"{sum(self.lines.values()):,}", f"{sum(self.octets.values()) / 1e6:,.1f} MB"))
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        lines = [f"{name:<{widths[0]}}  {count:>{widths[1]}} lines  {size:>{widths[2]}}" for name, count, size in rows]
        if self.deleted:
            lines.append(f"older files removed by the limits of the service logs: {self.deleted}")
        lines.append(
            f"{plan.start} 00:00 to {self.end:%Y-%m-%d %H:%M}, {plan.zone}; LOG_FORMAT={plan.settings.log_format}, seed {plan.seed}"
        )
        lines.append(f"logs in {out / 'log'}, settings in {out / 'config'}")
        return "\n".join(lines) + "\n"


def settings_of(option_file: Path | None, options: str, log_format: int | None) -> Settings:
    """The settings of an option file, with `NAME=N,NAME=N` above them, and LOG_FORMAT above both. Raises `Failure`."""
    text = options.replace(",", "\n")
    if option_file is not None:
        try:
            text = option_file.read_text(encoding="utf-8", errors="replace") + "\n" + text
        except OSError as error:
            raise unopened(str(option_file), error) from error
    if log_format is not None:
        text += f"\nLOG_FORMAT={log_format}"
    named, problems = optionfile.parse(text)
    if problems:
        raise Failure("U110", f"'{text.splitlines()[problems[0].place.line - 1]}': {problems[0].message}")
    try:
        return settings(named)
    except ValueError as error:
        raise Failure("U121", str(error)) from None


def generate(plan: Plan, out: Path, passed: Callable[[float], None] = lambda share: None) -> Account:
    """Writes `out/log` and `out/config`, which must be empty. `passed` is told the share done, 0 to 1, now and then. Raises `Failure`."""
    try:
        ZoneInfo(plan.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Failure("U102", f"there is no time zone '{plan.zone}'") from None
    for directory in (out / "log", out / "config"):
        try:
            directory.mkdir(parents=True, exist_ok=True)
            taken = next(directory.iterdir(), None)
        except OSError as error:
            raise Failure("O302", f"'{directory}' cannot be made: {(error.strerror or str(error)).lower()}") from error
        if taken is not None:
            raise Failure("U122", f"'{directory}' is not empty")
    try:
        return _generate(plan, out, passed)
    except OSError as error:
        number = "O301" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "O303"
        raise Failure(number, f"'{out}': {(error.strerror or str(error)).lower()}") from error


def _generate(plan: Plan, out: Path, passed: Callable[[float], None]) -> Account:
    assert plan.days is not None or plan.lines is not None
    logs = out / "log"
    write_config(plan.settings, out / "config", plan.zone)
    server = serve(plan, logs, line_of(plan.settings))
    began = server.now
    until = None if plan.days is None else midnight(plan.start + timedelta(days=plan.days), server.zone)

    def tell(now: int) -> None:
        shares = [(now - began) / (until - began)] if until is not None else []
        if plan.lines:
            shares.append(server.lines / plan.lines)
        passed(min(1.0, max(shares)))

    server.run(until, plan.lines, tell)
    server.close()
    written: dict[str, MtaFamily | ServiceLog | DebugLog] = {"mail.log": server.messages}
    if plan.settings.separate:
        written["connection.log"] = server.connections
    written |= server.services
    written |= server.debugs
    return Account(
        lines={name: log.lines for name, log in written.items()},
        octets={name: log.octets for name, log in written.items()},
        deleted=sum(log.deleted for log in server.services.values()),
        end=server.local(),
    )


def serve(plan: Plan, logs: Path, line: Line) -> Server:
    """The server at its first moment, with all that goes on there, each as often as it should. `logs`: an empty directory."""
    zone = ZoneInfo(plan.zone)
    dice = Dice(plan.seed)
    cast = invent(dice, plan.users, plan.domains)
    server = Server(logs, plan.settings, line, cast, dice, zone, midnight(plan.start, zone))
    rate = plan.rate
    for life in (chores.return_job(server, plan.compress), mail.backlog(server, 4 + int(rate / 100))):
        server.begin(life)
    for endless in (chores.nightly, chores.probe, chores.dispatch, mail.outages):
        server.begin(endless(server))
    for per_day, begin, steady in (
        (rate * 0.42, mail.receive, 0.3),
        (rate * 0.36, mail.submit, 0.05),
        (rate * 0.02, mail.submit_to_list, 0.05),
        (rate * 0.02, mail.report, 0.9),
        (rate * 0.04, mail.relay_attempt, 0.9),
        (rate * 0.05, mail.rejected, 0.9),
        (rate * 0.002, mail.guess_passwords, 0.9),
        (rate * 0.9, access.read_mail, 0.1),
        (rate * 0.002, access.guess_passwords, 0.9),
        (6 + rate * 0.002, chores.administer, 0.0),
    ):
        server.begin(arrivals(server, per_day, begin, steady))
    return server


def midnight(day: date, zone: ZoneInfo) -> int:
    """When a day begins in a zone, in hundredths of a second since 1970."""
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) * 100
