"""Log files written where an input reads: an error of `check`, with both places; elsewhere nothing is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipper.config.load import load
from shipper.config.problems import text
from shipper.mailserver.settings import MailServer
from shipper.outputs.log_files import LogFiles, Section
from tests.outputs.test_log_files import LINE, send

SERVER = "mailserver:\n  settings: {logfile.default.logdir: DIR}\n"


def said(folder: Path, config: str, *, lenient: bool = False) -> list[str]:
    """What is said of it, with DIR for the server's directory."""
    path = folder / "shipper.yaml"
    path.write_text(config.replace("DIR", str(folder / "logs")))
    loaded = load(path, {}, lenient=lenient)
    found = [problem for problem in loaded.problems if problem.number == "C119"]
    assert all(not problem.warning and text(problem, loaded.sources) for problem in found)
    return [
        f"{problem.place.line} {problem.message} ({problem.notes[0]})".replace(str(folder / "logs"), "DIR").replace(f"{folder}/", "")
        for problem in found
    ]


MTA = "inputs:\n  mta: {type: mta_log, directory: DIR}\n"
SERVICES = "inputs:\n  store: {type: service_log, directory: DIR/}\n"
OUT = "outputs:\n  logs: {type: log_files}\n"
NAMED = "outputs:\n  logs: {type: log_files, directory: DIR}\n"
READ = " reads there; it has no 'directory', and that is the mail server's logdir (the input is at shipper.yaml:4:3)"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (SERVER + MTA + OUT, "6 output 'logs' writes 'mail.log' into 'DIR', and input 'mta'" + READ),
        (SERVER + SERVICES + OUT, "6 output 'logs' writes 'imap' into 'DIR', and input 'store'" + READ),
        (MTA + NAMED, "4 output 'logs' writes 'mail.log' into 'DIR', and input 'mta' reads there (the input is at shipper.yaml:2:3)"),
        (
            "inputs:\n  all: {type: file, paths: [DIR/../logs/mail.log*]}\n" + NAMED,
            "4 output 'logs' writes 'mail.log' into 'DIR', and input 'all' reads there (the input is at shipper.yaml:2:3)",
        ),
        (
            "inputs:\n  all: {type: file, paths: ['DIR/../*/**']}\n" + NAMED,
            "4 output 'logs' writes 'mail.log' into 'DIR', and input 'all' reads there (the input is at shipper.yaml:2:3)",
        ),
    ],
)
def test_what_is_written_where_it_is_read_is_an_error(tmp_path: Path, config: str, message: str) -> None:
    """By the server's logdir or by name; whatever the files are now."""
    (tmp_path / "logs").mkdir()
    assert said(tmp_path, config) == said(tmp_path, config, lenient=True) == [message]


def test_a_link_to_the_directory_is_the_directory(tmp_path: Path) -> None:
    """Both ends are followed to where they lead."""
    (tmp_path / "logs").mkdir()
    (tmp_path / "link").symlink_to("logs")
    assert said(tmp_path, f"inputs:\n  mta: {{type: mta_log, directory: {tmp_path}/link}}\n" + NAMED)


@pytest.mark.parametrize(
    "config",
    [
        "inputs:\n  mta: {type: mta_log, directory: DIR}\noutputs:\n  logs: {type: log_files, directory: DIR/ours}\n",
        "inputs:\n  net: {type: syslog, listen: ['127.0.0.1:5514']}\n" + NAMED,
        "inputs:\n  some: {type: file, paths: ['DIR/*.txt', 'DIR/*/imap', 'DIRx/imap']}\n" + NAMED,
        "inputs:\n  some: {type: file, paths: ['DIR/imap*'], exclude: ['imap*']}\n" + NAMED,
        SERVICES + "  net: {type: syslog, listen: ['127.0.0.1:5514']}\n" + NAMED + "  all: {type: jsonl, path: x}\n"
        "routes:\n  - {when: {input: store}, to: all}\n",
    ],
)
def test_other_places_other_files_and_files_of_ours_that_do_not_come_back_are_fine(tmp_path: Path, config: str) -> None:
    """A directory of its own, other names, or a route that keeps what is read from what is written."""
    (tmp_path / "logs" / "ours").mkdir(parents=True)
    assert said(tmp_path, config) == []


def test_files_of_the_mail_server_in_a_directory_that_is_read_are_an_error(tmp_path: Path) -> None:
    """Its own `imap` is there: nothing would ever be written, even if nothing comes back. One that we began is no such."""
    logs = tmp_path / "logs"
    logs.mkdir()
    config = "inputs:\n  debug: {type: file, paths: ['DIR/dispatcher.log*']}\n" + NAMED
    assert said(tmp_path, config) == []
    send(LogFiles("logs", Section(type="log_files", directory=str(logs)), MailServer()), [LINE])
    assert said(tmp_path, config) == []
    (logs / "pop").write_text("its own\n")
    (message,) = said(tmp_path, config)
    assert message.startswith(
        "4 output 'logs' would never write to 'DIR/pop': it is the mail server's own, and input 'debug' reads there ("
    )
    assert said(tmp_path, config, lenient=True) == []
