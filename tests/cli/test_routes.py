"""`shipper routes` as a process: the table, one line, and what both say for machines."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

CONFIG = """
timezone: UTC
mailserver:
  option_file: option.dat
  settings: {imap.logfile.syslogfacility: local3, pop.logfile.loglevel: Warning}
inputs:
  mta: {type: mta_log, directory: /x}
  services: {type: service_log, directory: /x}
outputs:
  siem: {type: syslog, host: 192.0.2.1, enterprise: 99999}
  old: {type: syslog, host: 192.0.2.2, format: raw, takes: all}
  files: {type: jsonl, path: a}
  all: {type: otlp, endpoint: "http://192.0.2.3:4318"}
routes:
  - when: {kind: mta, code: {prefix: Q}}
    to: [old, files]
  - when: {kind: mta, code: R}
    drop: yes
  - when: {kind: debug}
    to: [files]
"""
MTA = "19-Jan-1998 19:16:57.64 l            tcp_local    {} 1 bob@example.com rfc822;amy@example.org amy@example.org"
IMAP = "[20/Jan/1998:09:15:30 +0000] mail {}[17]: Account {}: login [192.0.2.7:1340] amy plain"


def shipper(folder: Path, *words: str, line: str = "") -> subprocess.CompletedProcess[str]:
    known = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    command = [sys.executable, "-m", "shipper", "routes", *words]
    return subprocess.run(command, cwd=folder, env=known, capture_output=True, text=True, timeout=60, check=False, input=line)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "option.dat").write_text("! ours\nLOG_MESSAGES_SYSLOG=22\nLOG_CONNECTION=3\nLOG_CONNECTIONS_SYSLOG=-134\n")
    (tmp_path / "shipper.yaml").write_text(CONFIG)
    return tmp_path


def test_the_table(folder: Path) -> None:
    """A row for each kind; in a pipe aligned text, all of it, whatever the width."""
    done = shipper(folder, "shipper.yaml")
    assert (done.returncode, done.stderr) == (0, "")
    head, *rows = done.stdout.splitlines()
    assert head.split() == ["records", "siem", "old", "files", "all", "decided", "by", "routes", "before"]
    cells = {row[: head.index("siem")].strip(): row[head.index("siem") :].split() for row in rows if not row.startswith("route ")}
    assert cells == {
        "mta": ["mail.info", "mail.info", "yes", "yes", "LOG_MESSAGES_SYSLOG=22", "(option.dat:2:1)", "1,", "2"],
        "connection": ["local0.info", "local0.info", "-", "yes", "LOG_CONNECTIONS_SYSLOG=-134", "(option.dat:4:1)", "-"],
        "header": ["mail.info", "mail.info", "yes", "yes", "LOG_MESSAGES_SYSLOG=22", "(option.dat:2:1)", "-"],
        "service imap (and its store)": ["local3.<level>", "local3.<level>", "-", "yes", "logfile.imap.syslogfacility=local3",
                                         "(shipper.yaml:5:14)", "-"],
        "service pop (and its store)": ["-", *"as it is".split(), "Warning+", "yes", "logfile.pop.syslogfacility=none", "(default),",
                                        "logfile.pop.loglevel=Warning", "(shipper.yaml:5:51)", "-"],
        "other services (and store)": ["-", *"as it is".split(), "Notice+", "yes", "logfile.*.syslogfacility=none", "(default),",
                                       "logfile.*.loglevel=notice", "(default)", "-"],
        "debug": ["-", "-", "yes", "-", "route", "3", "(shipper.yaml:19)", "-"],
        **{kind: [*"as it is as it is yes yes - -".split()] for kind in ("syslog", "text", "unparsed")},
    }  # fmt: skip
    assert [row for row in rows if row.startswith("route ")] == [
        "route 1: to old, files (shipper.yaml:15)",
        "route 2: drops (shipper.yaml:17)",
    ]


def test_routes_stand_below_in_their_order(folder: Path) -> None:
    """Also where the first kind of record passes one by."""
    config = CONFIG.replace(
        "    drop: yes", "    drop: yes\n  - when: {kind: service}\n    sample: 10\n  - when: {severity: err}\n    to: [all]"
    )
    (folder / "shipper.yaml").write_text(config)
    rows = shipper(folder, "shipper.yaml").stdout.splitlines()
    assert [row.split(":")[0] for row in rows if row.startswith("route ")] == ["route 1", "route 2", "route 3", "route 4"]


def test_the_table_for_machines(folder: Path) -> None:
    """The same, with values and places apart."""
    rows = {row["records"]: row for row in json.loads(shipper(folder, "--json", "shipper.yaml").stdout)}
    assert rows["connection"] == {
        "records": "connection",
        "outputs": {"siem": "local0.info", "old": "local0.info", "all": "yes"},
        "settings": [{"name": "LOG_CONNECTIONS_SYSLOG", "value": -134, "place": "option.dat:4:1"}],
        "route": None,
        "routes_before": [],
    }
    assert rows["other services (and store)"]["settings"][0]["place"] is None
    assert rows["debug"]["route"] == {"number": 3, "place": "shipper.yaml:19", "to": ["files"]} and rows["debug"]["settings"] == []


@pytest.mark.parametrize(
    ("line", "outputs", "priority", "who"),
    [
        (MTA.format("E"), ["siem", "old", "files", "all"], 22, "LOG_MESSAGES_SYSLOG"),
        (MTA.format("Q"), ["old", "files"], 22, 1),
        (MTA.format("R"), [], None, 2),
        (IMAP.format("imapd", "Debug"), ["siem", "old", "all"], 19 * 8 + 7, "logfile.imap.syslogfacility"),
        (IMAP.format("popd", "Warning"), ["old", "files", "all"], None, "logfile.pop.syslogfacility"),
        (IMAP.format("popd", "Notice"), ["old", "all"], None, "logfile.pop.loglevel"),
        ("hello", ["siem", "old", "files", "all"], None, None),
    ],
)
def test_one_line(folder: Path, line: str, outputs: list[str], priority: int | None, who: str | int | None) -> None:
    """Where it goes, as what, who says so, and what syslog outputs would send; for people and for machines."""
    (went,) = json.loads(shipper(folder, "shipper.yaml", "--line", line, "--json").stdout)
    assert (went["outputs"], went["priority"]) == (outputs, priority)
    assert (went["route"]["number"] if went["route"] else went["settings"][-1]["name"] if went["settings"] else None) == who
    assert set(went["messages"]) == {"siem", "old"} & set(outputs)
    assert all(message.startswith(f"<{priority}>") for message in went["messages"].values() if priority is not None)
    text = shipper(folder, "shipper.yaml", "--line", "-", line=line + "\n")
    assert (text.returncode, text.stderr) == (0, "")
    assert all(message in text.stdout for message in went["messages"].values())
    assert [name for name in ("siem", "old", "files", "all") if f"\n{name} " in text.stdout] == outputs
    assert ("dropped by" in text.stdout) == (not outputs)
    assert str(who) in text.stdout or who is None


def test_inputs_that_read_or_route_a_line_differently(folder: Path) -> None:
    """Each is told; one can be chosen; what is in a line cannot move the cursor."""
    with (folder / "shipper.yaml").open("a") as config:
        config.write("  - when: {input: mta}\n    to: [all]\n")
    text = shipper(folder, "shipper.yaml", "--line", "he\x1b[2Jllo").stdout
    assert text.startswith("by input mta\nread as") and "\n\nby input services\nread as" in text and "\x1b" not in text
    text = shipper(folder, "shipper.yaml", "--line", "hello", "--input", "mta").stdout
    assert "by input" not in text and "route 4: to all (shipper.yaml:21)" in text


def test_what_is_wrong(folder: Path) -> None:
    """78 for a bad configuration, 2 for an input that is not there."""
    assert shipper(folder, "none.yaml").returncode == 78
    done = shipper(folder, "shipper.yaml", "--line", "x", "--input", "mtb")
    assert done.returncode == 2 and "mtb" in done.stderr and "services" in done.stderr
    assert shipper(folder, "shipper.yaml", "--line", "-").returncode == 66
    done = shipper(folder, "shipper.yaml", "--line", "")  # what $(tail -1 LOG) gives of an empty log
    assert done.returncode == 66 and not done.stdout
    done = shipper(folder, "shipper.yaml", "--line", b"\xff\xfe \x1b".decode(errors="surrogateescape"), "--json")
    assert done.returncode == 0 and json.loads(done.stdout)
    (folder / "option.dat").write_text("LOG_MESSAGES_SYSLOG=many\n")
    done = shipper(folder, "shipper.yaml")
    assert done.returncode == 78 and "option.dat:1:21" in done.stderr and not done.stdout


def test_no_room_for_the_answer(folder: Path) -> None:
    """As with every command: 74, and no error of ours."""
    with open("/dev/full", "wb") as full:
        command = [sys.executable, "-m", "shipper", "routes", "shipper.yaml"]
        done = subprocess.run(command, cwd=folder, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert done.returncode == 74 and "no space left" in done.stderr and "X499" not in done.stderr


def test_on_a_terminal(folder: Path) -> None:
    """A table that fits; what decides stands below where it does not."""
    leader, follower = pty.openpty()
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "COLUMNS": "80", "TERM": "dumb"}
    command = [sys.executable, "-m", "shipper", "routes", "shipper.yaml"]
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=follower, stderr=follower) as process:
        os.close(follower)
        octets = b""
        try:
            while piece := os.read(leader, 1 << 16):
                octets += piece
        except OSError:
            pass  # the other side has ended
        assert process.wait(30) == 0
    os.close(leader)
    lines = octets.decode().splitlines()
    table = lines[: next(number for number, line in enumerate(lines) if line.startswith("[1]"))]
    assert max(map(len, table)) <= 80 and any("local3.<level>" in line for line in table)
    assert "[1] LOG_MESSAGES_SYSLOG=22 (option.dat:2:1)" in lines


def test_what_an_output_is_not_to_get_is_not_shown(folder: Path) -> None:
    """The message is what would be sent, with its redaction."""
    path = folder / "shipper.yaml"
    path.write_text(path.read_text().replace("host: 192.0.2.1,", "host: 192.0.2.1, redact: {addresses: remove},"))
    (went,) = json.loads(shipper(folder, "shipper.yaml", "--line", MTA.format("E"), "--json").stdout)
    assert "bob@example.com" not in went["messages"]["siem"] and "bob@example.com" in went["messages"]["old"]
