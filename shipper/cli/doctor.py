"""`shipper doctor`: what a mail server logs where, what its logs cannot answer, and a configuration made from its settings."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shipper.cli import messages, terminal
from shipper.errors import EX_CONFIG, EX_STRICT, Failure
from shipper.screen import escaped

if TYPE_CHECKING:
    from shipper.doctor.look import LogFile

_SYSTEM = Path("/etc")


def doctor(
    directory: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="The mail server's directory, or that of its configuration or its logs.")
    ] = None,
    tailor: Annotated[Path | None, typer.Option("--tailor", metavar="FILE", help="imta_tailor, which names the others.")] = None,
    option_file: Annotated[Path | None, typer.Option("--option-file", metavar="FILE", help="option.dat.")] = None,
    channels: Annotated[Path | None, typer.Option("--channels", metavar="FILE", help="imta.cnf.")] = None,
    dispatcher: Annotated[Path | None, typer.Option("--dispatcher", metavar="FILE", help="dispatcher.cnf.")] = None,
    configutil: Annotated[
        Path | None, typer.Option("--configutil", metavar="FILE", help="What `configutil` (or `msconfig show`) printed.")
    ] = None,
    logs: Annotated[Path | None, typer.Option("--logs", metavar="DIR", help="Where the logs are.")] = None,
    outage: Annotated[str, typer.Option("--outage", metavar="TIME", help="How long nobody may read the logs before some are gone.")] = "3d",
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="Which logs no input of this configuration reads.")
    ] = None,
    write_config: Annotated[
        Path | None, typer.Option("--write-config", metavar="FILE", help="Write a configuration; `-` is standard output.")
    ] = None,
    syslog: Annotated[str, typer.Option("--syslog", metavar="HOST:PORT", help="In it: who receives what goes to syslog.")] = "",
    force: Annotated[bool, typer.Option("--force", help="Write over a configuration that is there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The report as JSON.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="End with 1 when there is an error or a warning.")] = False,
) -> None:
    """Look at a mail server's own settings: what is logged where, and what is missing.

    Nothing is changed, and nothing is sent anywhere.

    \b
    Examples:
      shipper doctor /opt/sun/comms/messaging64
      configutil > configutil.txt
      shipper doctor --option-file option.dat --configutil configutil.txt
      shipper doctor /opt/sun/comms/messaging64 --write-config shipper.yaml

    Exit code: 0; 1 with --strict; 66 when there is nothing to look at; 78 when
    a settings file cannot be read.
    """
    from shipper.config.problems import text
    from shipper.config.units import duration
    from shipper.doctor.examine import SHOW, examine
    from shipper.doctor.look import look
    from shipper.doctor.report import document, lines
    from shipper.doctor.written import configuration
    from shipper.mailserver.reading import Named, read
    from shipper.mailserver.tailor import is_here

    terminal.be_lenient()
    named = {
        name: path
        for name, path in (
            ("tailor", tailor),
            ("option_file", option_file),
            ("channels", channels),
            ("dispatcher", dispatcher),
            ("configutil", configutil),
        )
        if path is not None
    }
    for path in (directory, logs, *named.values()):
        if path is not None and not is_here(path):
            raise Failure("I201", f"there is no file or directory '{path}'")
    try:
        seconds = duration(outage)
    except ValueError:
        raise Failure("U111", f"--outage {outage} is not a time, as 3d or 12h") from None
    receiver = _receiver(syslog) if syslog else ""
    if directory is None and not named and logs is None:
        directory = Path(os.environ.get("MSG_ROOT", "."))
    found = look(directory, named, logs)
    if not found.settings and not found.logs:
        where = f"'{directory}'" if directory else "these"
        if found.unified:
            raise Failure("I207", f"{where}: there is a unified configuration, '{found.unified.name}', which is not read", notes=SHOW)
        note = "name the server's directory, or the files: --option-file, --configutil, --logs"
        raise Failure("I207", f"{where}: neither settings nor logs of a mail server are here", notes=[note])
    server = read({name: Named(str(path)) for name, path in found.settings.items()})
    report = examine(server, found, outage=seconds, reads=_reads(config) if config else None, local=_local_zone())
    told = {finding.place for finding in report.findings}
    problems = [*server.problems, *(warning for warning in server.warnings if str(warning.place) not in told)]
    if as_json:
        sys.stdout.write(json.dumps(document(report), indent=2) + "\n")
    elif write_config != Path("-"):
        sys.stdout.write("\n".join(lines(report, terminal.width())) + "\n")
    for problem in problems:
        messages.write("\n" + text(problem, server.sources))
    if write_config is not None:
        places = _places(write_config, found.owner)
        if receiver and not report.facilities():
            messages.write("\n--syslog has no effect: the settings send nothing to syslog, so nothing is configured for it\n")
        _write(write_config, configuration(report, **places, syslog=receiver), force)
        if write_config != Path("-"):
            _make_room(places["output"].parent, places.get("user", ""))
    if server.problems:
        raise typer.Exit(EX_CONFIG)
    if strict and (server.warnings or any(finding.level != "advice" for finding in report.findings)):
        raise typer.Exit(EX_STRICT)


def _receiver(written: str) -> str:
    """`HOST:PORT`, with syslog's own port where none is said. Raises `Failure`."""
    host, colon, port = written.rpartition(":")
    if not colon or written.endswith("]"):
        host, port = written, "514"
    bare = host.removeprefix("[").removesuffix("]")
    if not bare or (":" in bare and bare == host) or not (port.isascii() and port.isdecimal() and 0 < int(port[:6]) < 65536):
        raise Failure("U112", f"--syslog {written} is not HOST:PORT, as siem.example.com:514 or [2001:db8::1]:514")
    return f"{host}:{port}"


def _reads(config: Path) -> Callable[[LogFile], bool]:
    """Whether an input of a configuration reads a log."""
    from shipper.cli import configuration
    from shipper.config.overlap import reads

    inputs = [section for section in configuration.read(str(config)).inputs.values() if hasattr(section, "patterns")]
    return lambda log: any(reads(section, Path(os.path.realpath(log.path))) for section in inputs)


def _local_zone() -> str:
    """The name of this machine's zone, "" where it has none."""
    from shipper.stamps import system_zone

    return getattr(system_zone(), "key", "")


def _places(config: Path, owner: tuple[int, int] | None) -> dict[str, Any]:
    """Where the service keeps its state and writes its records: the system's directories for a configuration in /etc, which systemd makes, else
    beside it. Whoever is root now names whom to become: the owner of the logs."""
    path = config.absolute()
    if _SYSTEM in path.parents:
        return {"state": Path("/var/lib/shipper"), "output": Path("/var/log/shipper/mail.jsonl")}
    user = ""
    if os.geteuid() == 0:
        uid = owner[0] if owner else 0
        try:
            user = pwd.getpwuid(uid).pw_name
        except KeyError:
            user = str(uid)
    directory = Path.cwd() if config == Path("-") else path.parent
    return {"state": directory / "shipper-state", "output": directory / "shipper-records" / "mail.jsonl", "user": user}


def _make_room(directory: Path, user: str) -> None:
    """The directory of the records, for who will write them; where that is not ours to make, the service says what it cannot write."""
    try:
        directory.mkdir(mode=0o750, exist_ok=True)
        if user:
            shutil.chown(directory, int(user) if user.isdecimal() else user)
    except OSError:
        pass


def _write(path: Path, text: str, force: bool) -> None:
    """The configuration where it was asked for, and what to do with it."""
    if path == Path("-"):
        sys.stdout.write(text)
        return
    try:
        with path.open("w" if force else "x") as out:
            out.write(text)
    except FileExistsError:
        raise Failure("O304", f"'{path}' is there already", notes=["--force writes over it"]) from None
    except OSError as error:
        raise Failure("O303", f"'{path}' cannot be written: {(error.strerror or str(error)).lower()}") from None
    written = escaped(str(path))
    messages.write(
        f"\n{written}: written. Next:\n  shipper check {written}\n  shipper routes {written}\n  shipper run {written}\n  shipper status {written}\n"
    )
