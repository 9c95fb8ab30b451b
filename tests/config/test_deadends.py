"""Outputs that get nothing, records that go nowhere, and syslog that comes back: what `check` says, and where it says nothing."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from shipper.config.load import Loaded, load
from shipper.config.problems import text

MTA = "inputs:\n  mta: {type: mta_log, directory: /x}\n"
BOTH = MTA + "  services: {type: service_log, directory: /x}\n"
NET = "inputs:\n  net: {type: syslog, listen: ['LISTEN']}\n"
SIEM = "outputs:\n  siem: {type: syslog, enterprise: 99999, host: 192.0.2.1}\n"
FILES = "  files: {type: jsonl, path: a}\n"


def checked(folder: Path, config: str) -> Loaded:
    path = folder / "shipper.yaml"
    path.write_text(config)
    loaded = load(path, {})
    assert all(text(problem, loaded.sources) for problem in loaded.problems)
    return loaded


def told(loaded: Loaded, number: str) -> list[str]:
    return [
        f"{problem.place.line} {problem.message}".replace(f"{Path(problem.place.file).parent}/", "")
        for problem in loaded.problems
        if problem.number == number
    ]


def server(settings: str) -> str:
    return f"mailserver:\n  settings: {{{settings}}}\n"


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (
            BOTH + SIEM + FILES,
            "5 output 'siem' gets nothing from the MTA and the services: none of it is for syslog, as LOG_MESSAGES_SYSLOG is 0 (its default)"
            " and no service has a syslogfacility",
        ),
        (
            server("LOG_MESSAGES_SYSLOG: 0, LOG_CONNECTIONS_SYSLOG: 0") + MTA + SIEM + FILES,
            "6 output 'siem' gets nothing from the MTA and the services: none of it is for syslog, as LOG_MESSAGES_SYSLOG is 0"
            " (shipper.yaml:2:14) and LOG_CONNECTIONS_SYSLOG is 0 (shipper.yaml:2:38)",
        ),
        (
            server("LOG_MESSAGES_SYSLOG: -22, LOG_CONNECTION: 3") + MTA + SIEM + FILES,
            "7 output 'files' gets nothing from the MTA and the services: none of it is for log files, as LOG_MESSAGES_SYSLOG is -22"
            " (shipper.yaml:2:14)",
        ),
    ],
)
def test_an_output_that_the_settings_leave_without_records(tmp_path: Path, config: str, said: str) -> None:
    """A warning at the output, with the settings that decide, their places, and what to set."""
    loaded = checked(tmp_path, config)
    assert told(loaded, "C157") == [said] and loaded.config
    (problem,) = [problem for problem in loaded.warnings if problem.number == "C157"]
    assert any("`takes: all`" in note for note in problem.notes)
    assert any("LOG_MESSAGES_SYSLOG: 22" in note for note in problem.notes) == ("siem" in said)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (
            server("LOG_MESSAGES_SYSLOG: -22, LOG_CONNECTION: 3, imap.logfile.syslogfacility: local3") + BOTH + "outputs:\n" + FILES,
            [
                "2 records of mta, header and connection go nowhere: they are for syslog only, as LOG_MESSAGES_SYSLOG is -22 (shipper.yaml:2:14),"
                " and there is no output for that",
                "2 records of service imap go nowhere: they are for syslog only, as logfile.imap.syslogfacility is local3 (shipper.yaml:2:59),"
                " and there is no output for that",
            ],
        ),
        (
            server("pop.logfile.syslogfacility: mail") + BOTH + SIEM,
            [
                "7 records of mta, header, connection, service imap, service http, service admin, service default and service imta go nowhere:"
                " they are for log files only, as no setting sends them to syslog, and there is no output for that",
            ],
        ),
    ],
)
def test_records_that_no_output_gets(tmp_path: Path, config: str, said: list[str]) -> None:
    """A warning at the setting, once for each that decides it."""
    assert told(checked(tmp_path, config), "C157") == said


@pytest.mark.parametrize(
    "config",
    [
        server("LOG_MESSAGES_SYSLOG: 22") + MTA + SIEM + FILES,
        server("imap.logfile.syslogfacility: mail") + BOTH + SIEM + FILES,
        MTA + SIEM.replace("syslog,", "syslog, takes: all,"),
        MTA + SIEM + FILES + "routes:\n  - when: {code: Q}\n    to: [siem, files]\n",
        MTA + "outputs:\n" + FILES,
        server("LOG_MESSAGES_SYSLOG: -22, LOG_CONNECTION: 3") + MTA + "outputs:\n  all: {type: otlp, endpoint: 'http://192.0.2.1:4318'}\n",
        server("imap.logfile.loglevel: Nolog") + BOTH + "outputs:\n" + FILES,
    ],
)
def test_nothing_is_said_where_all_is_well(tmp_path: Path, config: str) -> None:
    """Settings, `takes: all`, or a route gives the output something; Nolog is meant."""
    assert told(checked(tmp_path, config), "C157") == []


def test_settings_that_are_not_here_are_not_guessed_at(tmp_path: Path) -> None:
    """Where the server's files are named and this is another machine (`--no-env`), nothing is said of what they would send where."""
    path = tmp_path / "shipper.yaml"
    path.write_text("mailserver: {option_file: option.dat, channels: ../imta.cnf}\n" + MTA + SIEM + FILES)
    loaded = load(path, {}, lenient=True)
    assert loaded.problems == [] and loaded.config and loaded.config.unread() == ["option.dat", "../imta.cnf"]
    (tmp_path / "option.dat").write_text("LOG_USERNAME=1\n")
    (tmp_path.parent / "imta.cnf").write_text("")
    loaded = load(path, {}, lenient=True)
    assert loaded.config and loaded.config.unread() == [] and len(told(loaded, "C157")) == 1


OWN = socket.gethostname()


@pytest.mark.parametrize(
    ("listen", "output"),
    [
        ("udp://127.0.0.1:5514", "host: 127.0.0.1, port: 5514"),
        ("udp://0.0.0.0:5514", "host: 127.0.0.1, port: 5514"),
        ("udp://0.0.0.0:5514", "host: 127.0.0.9, port: 5514"),
        ("udp://0.0.0.0:5514", "host: localhost, port: 5514"),
        ("udp://[::]:5514", "host: localhost, port: 5514"),
        ("udp://[::]:5514", "host: '::1', port: 5514"),
        ("udp://[::1]:5514", "host: '::1', port: 5514"),
        ("udp://0.0.0.0:5514", "host: 0.0.0.0, port: 5514"),
        ("udp://0.0.0.0:5514", f"host: {OWN}, port: 5514"),
        ("udp://0.0.0.0:5514", f"host: {OWN.upper()}., port: 5514"),
        ("udp://0.0.0.0:5514", "host: '::ffff:127.0.0.1', port: 5514"),
        ("udp://0.0.0.0:514", "host: 127.0.0.1"),
        ("tcp://0.0.0.0:5514", "protocol: tcp, host: localhost, port: 5514"),
        ("unix:///run/shipper/../shipper/log", "protocol: unix, path: /run/shipper/log"),
    ],
)
def test_a_loop_is_an_error(tmp_path: Path, listen: str, output: str) -> None:
    """At the output, with the place of the input: whatever this machine is called."""
    config = NET.replace("LISTEN", listen) + f"outputs:\n  siem: {{type: syslog, enterprise: 99999, {output}}}\n"
    loaded = checked(tmp_path, config)
    (said,) = told(loaded, "C117")
    assert said.startswith("4 output 'siem' sends to ") and loaded.config is None
    assert loaded.errors[0].notes[0].endswith("shipper.yaml:2:3")


@pytest.mark.parametrize(
    ("listen", "output", "routes"),
    [
        ("udp://127.0.0.1:5514", "host: 127.0.0.1, port: 5515", ""),
        ("udp://127.0.0.1:5514", "host: 127.0.0.2, port: 5514", ""),
        ("udp://127.0.0.1:5514", "host: 192.0.2.1, port: 5514", ""),
        ("udp://0.0.0.0:5514", "host: 192.0.2.1, port: 5514", ""),
        ("udp://0.0.0.0:5514", "host: siem.example.com, port: 5514", ""),
        ("udp://0.0.0.0:5514", "host: '::1', port: 5514", ""),
        ("udp://0.0.0.0:5514", "protocol: tcp, host: 127.0.0.1, port: 5514", ""),
        ("udp://127.0.0.1:5514", "host: 127.0.0.1, port: 5514", "routes:\n  - when: {input: net}\n    to: [files]\n"),
        ("udp://127.0.0.1:5514", "host: 127.0.0.1, port: 5514", "routes:\n  - when: {input: net}\n    drop: yes\n"),
        ("unix:///run/shipper/log", "protocol: unix, path: /dev/log", ""),
    ],
)
def test_what_is_no_loop(tmp_path: Path, listen: str, output: str, routes: str) -> None:
    """Another port, host or protocol; or a route that keeps what comes in there from going out there."""
    outputs = f"outputs:\n  siem: {{type: syslog, enterprise: 99999, {output}}}\n" + FILES
    loaded = checked(tmp_path, NET.replace("LISTEN", listen) + MTA.removeprefix("inputs:\n") + outputs + routes)
    assert told(loaded, "C117") == [] and loaded.config
