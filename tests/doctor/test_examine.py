"""What the settings and logs of a server make the doctor say: a row for each thing that an admin would want to know, and none too many."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shipper.doctor.examine import Finding, Report, examine
from shipper.doctor.look import Found, LogFile, classed, look
from shipper.doctor.report import lines
from shipper.mailserver.settings import MailServer

EVERYTHING = {
    "LOG_CONNECTION": 255,
    "LOG_MESSAGE_ID": 1,
    "LOG_FILENAME": 1,
    "LOG_PROCESS": 1,
    "LOG_USERNAME": 1,
    "local.msgtrace.active": "yes",
    "logfile.*.loglevel": "Information",
}
LOGGING = {"": "logging"}
SETTINGS = {"option_file": Path("option.dat"), "channels": Path("imta.cnf"), "configutil": Path("configutil.txt")}
DAY = 86400.0


def log(name: str, size: int = 1000, since: float | None = None, modified: float = 10 * DAY) -> LogFile:
    kind, family, sequence = classed(name)
    return LogFile(Path("/log") / name, kind, family, size, modified, sequence, since)


def report(settings: dict[str, int | str], *logs: LogFile, channels: dict[str, str] = LOGGING) -> Report:
    found = Found(SETTINGS, Path("/log"), logs)
    return examine(MailServer.of({**EVERYTHING, **settings}, channels), found, local="UTC", now=10 * DAY)


def titles(made: Report) -> list[str]:
    return [finding.what for finding in made.findings]


def the(made: Report, part: str) -> Finding:
    (found,) = [finding for finding in made.findings if part in finding.what]
    return found


def test_a_server_that_answers_everything_hears_nothing() -> None:
    """With every option on there is nothing to say."""
    made = report({}, log("mail.log_current"), log("imap"))
    assert made.findings == []
    assert "every question" in list(lines(made, 80))[-1]


@pytest.mark.parametrize(
    ("settings", "says", "adds"),
    [
        ({"LOG_MESSAGE_ID": 0}, "No message can be followed", "LOG_MESSAGE_ID=1"),
        ({"LOG_CONNECTION": 2}, "which host sent", "LOG_CONNECTION=131"),
        ({"LOG_CONNECTION": 1}, "Connections are not logged", "LOG_CONNECTION=131"),
        ({"LOG_CONNECTION": 3}, "SMTP logins", "LOG_CONNECTION=131"),
        ({"LOG_FILENAME": 0}, "Attempts of one message", "LOG_FILENAME=1"),
        ({"LOG_PROCESS": 0}, "cannot be joined", "LOG_PROCESS=1"),
        ({"LOG_USERNAME": 0}, "which user submitted", "LOG_USERNAME=1"),
        ({"LOG_DIAGNOSTICS": 0}, "Reasons of rejections", "LOG_DIAGNOSTICS=1"),
        ({"local.msgtrace.active": "no"}, "in the store is not logged", "local.msgtrace.active = yes"),
        ({"logfile.pop.loglevel": "Notice"}, "Logins to pop", "logfile.pop.loglevel = Information"),
        ({"LOG_MESSAGES_SYSLOG": 1}, "LOG_MESSAGES_SYSLOG=1 means user.alert", "LOG_MESSAGES_SYSLOG=22"),
        ({"LOG_MESSAGES_SYSLOG": -1}, "LOG_MESSAGES_SYSLOG=-1 means user.alert", "LOG_MESSAGES_SYSLOG=-22"),
        ({"LOG_MESSAGES_SYSLOG": 17}, "means alert for every record", "LOG_MESSAGES_SYSLOG=22"),
        ({"LOG_MESSAGES_SYSLOG": -22}, "MTA records go to syslog only", "LOG_MESSAGES_SYSLOG=22"),
        ({"LOG_CONNECTIONS_SYSLOG": -134}, "Connection records go to syslog only", "LOG_CONNECTIONS_SYSLOG=134"),
    ],
)
def test_what_is_missing_is_said_with_the_line_to_add(settings: dict[str, int | str], says: str, adds: str) -> None:
    """One finding about it, and the line."""
    assert adds in the(report(settings), says).fix


def test_nothing_is_logged_without_the_keyword() -> None:
    """No channel, and `defaults` neither: an error. Some channels: they are named."""
    made = report({}, channels={"l": "nologging", "tcp_local": "nologging"})
    assert the(made, "logs nothing at all").level == "error"
    made = report({}, channels={"": "logging", "l": "nologging"})
    assert the(made, "Channels without logging: l").level == "warning"


def test_both_ways_is_told_once_and_the_value_that_is_meant_as_one_is_no_alarm() -> None:
    """22 is mail.info: records come twice, and nobody is called."""
    made = report({"LOG_MESSAGES_SYSLOG": 22})
    assert titles(made) == ["MTA records go to syslog and to log files"]


def test_logs_that_are_gone_before_an_outage_is_over() -> None:
    """By size at the rate that the files show, or by time; what lasts says nothing."""
    quick = log("imap", size=30 << 20, since=9 * DAY)
    assert "lasts 16 h" in the(report({}, quick), "log of imap").what
    assert report({}, log("imap", size=1 << 20, since=3 * DAY)).findings == []
    short = report({"logfile.imap.expirytime": 3600}, log("imap", size=1000, since=9 * DAY))
    assert the(short, "log of imap lasts 1 h").fix == ("logfile.imap.expirytime = 518400",)


def test_retention_by_time_is_known_from_the_settings_alone() -> None:
    """Without any logs to look at; also where the number of files ends it: three of six hours are gone after 18."""
    assert the(report({"logfile.pop.expirytime": 3600}), "log of pop lasts 1 h").place == "by hand"
    made = report({"logfile.pop.rollovertime": 21600, "logfile.pop.maxlogfiles": 3})
    assert the(made, "log of pop lasts 18 h").fix == ("logfile.pop.maxlogfiles = 24",)
    assert report({"logfile.pop.rollovertime": 86400, "logfile.pop.maxlogfiles": 3}).findings == []


def test_a_service_that_only_syslog_has() -> None:
    """It is said, as it is of the MTA; no line would change it but that without a facility."""
    assert titles(report({"logfile.imap.syslogfacility": "local1"})) == ["imap goes to syslog only"]


def test_a_service_on_syslog_whose_files_are_still_there() -> None:
    """The files hold what was before; nobody is told of retention or levels of files that are not written."""
    made = report({"logfile.imap.syslogfacility": "local1", "logfile.imap.loglevel": "Error"}, log("imap", 30 << 20, 9 * DAY))
    assert titles(made) == ["imap goes to syslog, and log files of it are still there"]


def test_the_mta_on_syslog_only_whose_files_are_still_there() -> None:
    """As with a service."""
    made = report({"LOG_MESSAGES_SYSLOG": -22}, log("mail.log_current"))
    assert titles(made) == ["MTA records go to syslog only", "Log files of mail.log are still there"]


def test_files_that_no_input_reads() -> None:
    """By name; logs that the inputs know are none of them."""
    made = report({}, log("mail.log_current"), log("dispatcher.log-0I1EZZ"), log("core.1234"), log("notes.txt"))
    assert the(made, "No input reads").what == "No input reads: core.1234, notes.txt"


@pytest.mark.parametrize(
    ("name", "is_"),
    [
        ("mail.log", ("mta", "mail", None)),
        ("mail.log_yesterday", ("mta", "mail", None)),
        ("connection.log_current", ("mta", "connection", None)),
        ("mail.log.2005-03-06.gz", ("mta", "mail", None)),
        ("imap", ("service", "imap", None)),
        ("imap.63.915107696", ("service", "imap", 63)),
        ("imap.63.915107696.gz", ("service", "imap", 63)),
        ("job_controller.log-0I1F00EYQNA2", ("debug", "job_controller", None)),
        ("readme", ("other", "", None)),
    ],
)
def test_names_of_logs(name: str, is_: tuple[str, str, int | None]) -> None:
    """As the server gives them."""
    assert classed(name) == is_


def test_looking_finds_settings_and_logs_from_wherever_it_begins(tmp_path: Path) -> None:
    """From the server's directory, its configuration's, or its logs'; a directory without any is said to be that."""
    for name in ("config/option.dat", "config/imta_tailor", "data/log/mail.log_current", "data/log/imap"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    for begin in (tmp_path, tmp_path / "config"):
        found = look(begin, {})
        assert found.settings["option_file"] == tmp_path / "config/option.dat"
        assert found.directory == tmp_path / "data/log"
        assert found.owner == (os.getuid(), os.getgid())
    (tmp_path / "empty").mkdir()
    assert not look(tmp_path / "empty", {}).settings


def test_what_this_user_may_not_read_is_said() -> None:
    """And not taken for missing."""
    found = Found(SETTINGS, Path("/log"), (log("imap"),), closed=[Path("/log"), Path("/log/imap")])
    made = examine(MailServer.of(EVERYTHING, LOGGING), found, local="UTC", now=10 * DAY)
    assert the(made, "may not read").what == "This user may not read: /log, /log/imap"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_closed_directory_is_no_missing_one(tmp_path: Path) -> None:
    """Nor a closed log."""
    (tmp_path / "log").mkdir()
    (tmp_path / "log/imap").write_text("x")
    (tmp_path / "log/imap").chmod(0)
    assert look(tmp_path, {}).closed == [tmp_path / "log/imap"]
    (tmp_path / "log").chmod(0)
    assert look(tmp_path, {}).closed == [tmp_path / "log"]
    (tmp_path / "log").chmod(0o700)
