"""`shipper doctor` as a new user meets it: from a directory to a running service, with nothing but what the commands print."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SHIPPER = [sys.executable, "-m", "shipper"]
OPTIONS = "LOG_MESSAGES_SYSLOG=22,LOG_CONNECTION=3,SEPARATE_CONNECTION_LOG=1,logfile.imap.syslogfacility=local1"


def shipper(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*SHIPPER, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def server(tmp_path: Path) -> Path:
    """A mail server's directory, with two days of logs."""
    done = shipper("generate", "--out", "server", "--days", 2, "--rate", 100, "--quiet", "--options", OPTIONS, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    return tmp_path / "server"


def test_from_a_directory_to_a_running_service(server: Path, tmp_path: Path) -> None:
    """doctor, check, routes, run: every line of every log is a record, and nothing that doctor wrote is warned about but the settings
    themselves."""
    done = shipper("doctor", server, "--write-config", "shipper.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    next_steps = [line.split() for line in done.stderr.splitlines() if line.startswith("  shipper ")]
    assert [step[1] for step in next_steps] == ["check", "routes", "run", "status"]
    config = tmp_path / "shipper.yaml"
    config.write_text(config.read_text() + "telemetry: {http: off}\n")
    config.write_text(config.read_text().replace("udp://127.0.0.1:5514", "udp://127.0.0.1:0"))
    for command in ("check", "routes"):
        done = shipper(command, config, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
    lines = sum(len(path.read_bytes().splitlines()) for path in (server / "log").iterdir())
    service = subprocess.Popen([*SHIPPER, "run", config], stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    try:
        last = time.monotonic() + 30
        told = {"ledger": {"outputs": {"records": {"delivered": 0}}}}
        while told["ledger"]["outputs"]["records"]["delivered"] < lines:
            assert time.monotonic() < last and service.poll() is None, told
            time.sleep(0.1)
            status = shipper("status", "--json", config, cwd=tmp_path)
            told = json.loads(status.stdout) if status.returncode == 0 else told
    finally:
        service.send_signal(signal.SIGTERM)
        assert service.wait(30) == 0
        service.stderr.close()  # type: ignore[union-attr]
    assert len((tmp_path / "shipper-records/mail.jsonl").read_text().splitlines()) == lines


def test_a_receiver_for_syslog_gets_what_the_settings_send(server: Path, tmp_path: Path) -> None:
    """`--syslog`: an output of that type; `check` takes it."""
    shipper("doctor", server, "--write-config", "with.yaml", "--syslog", "siem.example.com:6514", cwd=tmp_path)
    text = (tmp_path / "with.yaml").read_text()
    assert "host: siem.example.com\n    port: 6514" in text and "takes: all" not in text
    assert shipper("check", "with.yaml", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize("receiver", ["bad:", ":514", "h:99999", "h:0", "2001:db8::1", "[]:514", "h:smtp"])
def test_a_receiver_that_is_none_is_not_written(server: Path, tmp_path: Path, receiver: str) -> None:
    """Into a configuration that `check` would not take; a host alone has syslog's own port."""
    done = shipper("doctor", server, "--write-config", "with.yaml", "--syslog", receiver, cwd=tmp_path)
    assert done.returncode == 2 and receiver in done.stderr and not (tmp_path / "with.yaml").exists()


def test_a_receiver_alone_has_the_usual_port(server: Path, tmp_path: Path) -> None:
    """And where nothing goes to syslog, that it gets nothing is said."""
    done = shipper("doctor", server, "--write-config", "with.yaml", "--syslog", "siem.example.com", cwd=tmp_path)
    assert "host: siem.example.com\n    port: 514\n" in (tmp_path / "with.yaml").read_text() and "no effect: the" not in done.stderr
    (tmp_path / "option.dat").write_text("LOG_MESSAGES_SYSLOG=0\n")
    done = shipper("doctor", "--option-file", "option.dat", "--write-config", "without.yaml", "--syslog", "siem.example.com", cwd=tmp_path)
    assert done.returncode == 0 and "--syslog has no effect" in done.stderr


def test_what_is_there_is_not_written_over(server: Path, tmp_path: Path) -> None:
    """Unless --force says so."""
    for expected, more in ((0, []), (2, []), (0, ["--force"])):
        assert shipper("doctor", server, "--write-config", "a.yaml", *more, cwd=tmp_path).returncode == expected


def test_settings_that_cannot_be_read_are_shown_with_their_place(server: Path, tmp_path: Path) -> None:
    """78, the line with a caret; the report is printed nevertheless."""
    option_file = server / "config" / "option.dat"
    option_file.write_text(option_file.read_text().replace("LOG_MESSAGES_SYSLOG=22", "LOG_MESSAGES_SYSLOG=mail"))
    done = shipper("doctor", server, cwd=tmp_path)
    assert done.returncode == 78
    assert "LOG_MESSAGES_SYSLOG=mail" in done.stderr and "^" in done.stderr
    assert "What is logged where" in done.stdout


def test_files_by_themselves_and_json(server: Path, tmp_path: Path) -> None:
    """Without a directory, from option.dat and a dump; `--strict` ends with 1 for a warning."""
    files = ["--option-file", server / "config/option.dat", "--configutil", server / "config/configutil.txt"]
    done = shipper("doctor", *files, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["logs"] is None
    assert {"what": "imap"}.items() <= {key: row[key] for row in told["records"] for key in ("what",) if row["what"] == "imap"}.items()
    (server / "config/option.dat").write_text("LOG_MESSAGES_SYSLOG=1\n")
    assert shipper("doctor", *files, "--strict", cwd=tmp_path).returncode == 1


def test_contradictions_are_in_the_json_too(tmp_path: Path) -> None:
    """What `doctor` says of settings beside its findings, programs get as well: all problems and warnings, with their places."""
    (tmp_path / "dump.txt").write_text("logfile.imap.syslogfacility = local3\nlogfile.imap.loglevel = Debug\nlogfile.pop.loglevel = Info\n")
    done = shipper("doctor", "--configutil", "dump.txt", "--json", cwd=tmp_path)
    assert done.returncode == 78
    told = {(one["level"], one["number"], one["place"]) for one in json.loads(done.stdout)["settings_problems"]}
    assert told == {("error", "C115", "dump.txt:3:24"), ("warning", "C155", "dump.txt:1:1")}


def test_it_is_as_wide_as_the_terminal(server: Path, tmp_path: Path) -> None:
    """Of 80 cells where nothing says more, however long the names of settings are."""
    done = subprocess.run([*SHIPPER, "doctor", "server"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
                          env={**os.environ, "COLUMNS": "80"})  # fmt: skip
    assert [line for line in done.stdout.splitlines() if len(line) > 80] == []


def test_logs_that_a_configuration_does_not_read(server: Path, tmp_path: Path) -> None:
    """By name, with `--config`."""
    (tmp_path / "one.yaml").write_text(
        f"inputs:\n  mta: {{type: mta_log, directory: {server}/log}}\noutputs:\n  out: {{type: jsonl, path: out.jsonl}}\n"
    )
    done = shipper("doctor", server, "--config", "one.yaml", cwd=tmp_path)
    assert "No input reads: admin" in done.stdout and "mail.log_current" not in done.stdout.partition("No input reads")[2]


@pytest.mark.parametrize(
    ("arguments", "code"), [(["."], 66), (["nowhere"], 66), (["--outage", "long", "."], 2), (["--option-file", "none"], 66)]
)
def test_nothing_to_look_at(arguments: list[str], code: int, tmp_path: Path) -> None:
    """Says so, with how to name it."""
    done = shipper("doctor", *arguments, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert "error[" in done.stderr and "Traceback" not in done.stderr


def test_a_unified_configuration_is_not_passed_over(server: Path, tmp_path: Path) -> None:
    """It is not read: that is said, and how its settings come here, whether there is anything else to look at or not. Once they are there it is of no
    interest, and nothing asks for files that such a server does not have."""
    (tmp_path / "alone").mkdir()
    for place in (tmp_path / "alone", server / "config"):
        (place / "config.xml").write_text('<?xml version="1.0"?><confgroups/>')
    alone = shipper("doctor", "alone", cwd=tmp_path)
    assert alone.returncode == 66 and "msconfig show > msconfig.txt" in alone.stderr and "config.xml" in alone.stderr
    for name in ("option.dat", "imta.cnf", "configutil.txt"):
        both = shipper("doctor", server, cwd=tmp_path)
        if name != "configutil.txt":
            assert "config.xml" not in both.stdout + both.stderr
        (server / "config" / name).rename(tmp_path / name)
    none = shipper("doctor", server, "--json", cwd=tmp_path)
    assert none.stdout.count("has a unified configuration") == 1 and "config.xml" not in none.stderr
    assert "was not found" not in none.stdout and "No option.dat" not in none.stdout
    shown = shipper("doctor", server, "--configutil", tmp_path / "configutil.txt", cwd=tmp_path)
    assert "has a unified" not in shown.stdout and "No option.dat" not in shown.stdout


def test_run_by_root_it_names_the_owner_of_the_logs(server: Path, tmp_path: Path) -> None:
    """Whom the service is to become; the directory of the records is theirs."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    for path in (server / "log").iterdir():
        os.chown(path, 65534, 65534)
    shipper("doctor", server, "--write-config", "a.yaml", cwd=tmp_path)
    assert "user: nobody" in (tmp_path / "a.yaml").read_text()
    assert (tmp_path / "shipper-records").stat().st_uid == 65534
