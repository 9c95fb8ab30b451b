"""A whole service under the mail server's settings: what a syslog receiver on the network sees, and what stands in the files."""

from __future__ import annotations

import json
import re
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service import append, line, running, shipper

IMAP = "[02/Mar/2026:10:00:0{} +0000] mail imapd[17]: Account {}: login [192.0.2.7:1340] amy plain\n"
CONNECTION = "02-Mar-2026 10:00:00.00 tcp_local    +            O TCP|192.0.2.1|25|192.0.2.9|4711 SMTP\n"


@pytest.fixture
def receiver() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(0.1)
        yield listening


def priorities(receiver: socket.socket, count: int, seconds: float = 15) -> Counter[int]:
    """The priorities of so many datagrams, and of those that come behind them; all that comes in a moment where none is expected."""
    found: list[bytes] = []
    last = time.monotonic() + seconds
    while True:
        try:
            found.append(receiver.recv(65536))
        except TimeoutError:
            if len(found) >= count or time.monotonic() > last:
                return Counter(int(re.match(rb"<(\d+)>1 ", one)[1]) for one in found)  # type: ignore[index]


def config(home: Path, receiver: socket.socket, settings: str, *, source: str = "", extra: str = "") -> str:
    port = receiver.getsockname()[1]
    return (
        f"state: {home}/state\ntimezone: UTC\ntelemetry: {{http: off}}\n{settings}"
        f"inputs:\n  mail: {source or f'{{type: file, paths: [{home}/in/*], poll: 50ms}}'}\n"
        f"outputs:\n  siem: {{type: syslog, host: 127.0.0.1, port: {port}, facility: local7}}\n"
        f"  out: {{type: jsonl, path: {home}/out.jsonl, profile: native}}\n"
        f"  all: {{type: jsonl, path: {home}/all.jsonl, profile: native, takes: all}}\n{extra}"
    )


def kinds(path: Path) -> Counter[str]:
    if not path.exists():
        return Counter()
    return Counter(json.loads(one)["kind"] for one in path.read_bytes().splitlines())


def until(path: Path, count: int) -> Counter[str]:
    last = time.monotonic() + 15
    while (found := kinds(path)).total() < count:
        assert time.monotonic() < last, found
        time.sleep(0.02)
    return found


def write(service_in: Path) -> None:
    """Three messages, two connections, and a service's records at three levels."""
    service_in.mkdir(exist_ok=True)
    append(service_in / "mail.log", 0, 3)
    with (service_in / "mail.log").open("a") as log:
        log.write(CONNECTION * 2)
    levels = ("Notice", "Information", "Error")
    (service_in / "imap").write_text("".join(IMAP.format(number, level) for number, level in enumerate(levels)))


@pytest.mark.parametrize(
    ("settings", "sent", "files"),
    [
        ("", {}, {"mta": 3, "connection": 2, "service": 3}),
        ("LOG_MESSAGES_SYSLOG: 0", {}, {"mta": 3, "connection": 2, "service": 3}),
        ("LOG_MESSAGES_SYSLOG: 1", {22: 5}, {"mta": 3, "connection": 2, "service": 3}),
        ("LOG_MESSAGES_SYSLOG: 20", {20: 5}, {"mta": 3, "connection": 2, "service": 3}),
        ("LOG_MESSAGES_SYSLOG: 134", {134: 5}, {"mta": 3, "connection": 2, "service": 3}),
        ("LOG_MESSAGES_SYSLOG: -22", {22: 5}, {"service": 3}),
        ("LOG_MESSAGES_SYSLOG: 20, LOG_CONNECTIONS_SYSLOG: -134", {20: 3, 134: 2}, {"mta": 3, "service": 3}),
        ("imap.logfile.syslogfacility: local3", {157: 1, 158: 1, 155: 1}, {"mta": 3, "connection": 2}),
        ("LOG_MESSAGES_SYSLOG: 22, imap.logfile.loglevel: Error", {22: 5}, {"mta": 3, "connection": 2, "service": 1}),
    ],
)
def test_what_the_settings_send_where(
    tmp_path: Path, receiver: socket.socket, settings: str, sent: dict[int, int], files: dict[str, int]
) -> None:
    """The receiver sees the priority of the settings and nothing else; files have the rest; who takes all has all, with the record's own severity."""
    write(tmp_path / "in")
    with running(tmp_path, config=config(tmp_path, receiver, f"mailserver: {{settings: {{{settings}}}}}\n")) as service:
        assert until(tmp_path / "all.jsonl", 8) == {"mta": 3, "connection": 2, "service": 3}
        assert priorities(receiver, sum(sent.values())) == sent
        assert service.stop() == 0
    assert kinds(tmp_path / "out.jsonl") == files
    assert {json.loads(one)["severity"] for one in (tmp_path / "all.jsonl").read_bytes().splitlines()} == {"info", "notice", "err"}


def test_what_goes_nowhere_is_counted_by_who_says_so(tmp_path: Path, receiver: socket.socket) -> None:
    """Routes and settings, in the status, and the books balance."""
    write(tmp_path / "in")
    settings = "mailserver: {settings: {LOG_MESSAGES_SYSLOG: -22, imap.logfile.loglevel: Error}}\n"
    routes = (
        "routes:\n  - when: {kind: connection}\n    drop: yes\n  - when: {code: {prefix: E}, sender: user1@example.com}\n    to: [out]\n"
    )
    text = config(tmp_path, receiver, settings, extra=routes).replace(
        f"  all: {{type: jsonl, path: {tmp_path}/all.jsonl, profile: native, takes: all}}\n", ""
    )
    with running(tmp_path, config=text):
        assert until(tmp_path / "out.jsonl", 2) == {"mta": 1, "service": 1}
        assert priorities(receiver, 2) == {22: 2}
        told = json.loads(shipper("status", str(tmp_path / "shipper.yaml"), "--json").stdout)
        ledger = told["ledger"]
        assert ledger["dropped_by"] == {"route 1": 2, "setting logfile.imap.loglevel": 2} and ledger["dropped"] == 4
        assert all(output["balanced"] for output in ledger["outputs"].values())
        text = shipper("status", str(tmp_path / "shipper.yaml")).stdout
        assert "4 records went to no output" in text and "2 by route 1" in text and "2 by setting logfile.imap.loglevel" in text


def test_hup_takes_the_servers_files_as_they_are_now(tmp_path: Path, receiver: socket.socket) -> None:
    """A changed option.dat is a new plan, and inputs and outputs run on; a bad one changes nothing."""
    options, log = tmp_path / "option.dat", tmp_path / "in" / "mail.log"
    options.write_text("LOG_MESSAGES_SYSLOG=20\n")
    with running(tmp_path, config=config(tmp_path, receiver, "mailserver: {option_file: option.dat}\n")) as service:

        def more(first: int) -> None:
            append(log, first, 10)
            until(tmp_path / "all.jsonl", first + 10)

        more(0)
        assert priorities(receiver, 10) == {20: 10}
        options.write_text("LOG_MESSAGES_SYSLOG=-134\n")
        service.process.send_signal(signal.SIGHUP)
        service.until_told("configuration taken")
        more(10)
        assert priorities(receiver, 10) == {134: 10}
        options.write_text("LOG_MESSAGES_SYSLOG=often\n")
        service.process.send_signal(signal.SIGHUP)
        assert "option.dat:1:21" in service.until_told("the new configuration is not taken")
        more(20)
        assert priorities(receiver, 10) == {134: 10}
        assert service.stop() == 0
    assert kinds(tmp_path / "out.jsonl") == {"mta": 10} and kinds(tmp_path / "all.jsonl") == {"mta": 30}


def test_records_that_came_by_syslog_follow_the_same_settings(tmp_path: Path, receiver: socket.socket) -> None:
    """Their kind decides, not how they came; what no setting speaks of keeps what it came with."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
        sending.bind(("127.0.0.1", 0))
        port = sending.getsockname()[1]
        sending.close()
    source = f"{{type: syslog, listen: ['udp://127.0.0.1:{port}']}}"
    settings = "mailserver: {settings: {LOG_MESSAGES_SYSLOG: -20, imap.logfile.syslogfacility: local3}}\n"
    with running(tmp_path, config=config(tmp_path, receiver, settings, source=source)) as service:
        service.until_told("running")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
            for body in (
                "<134>1 2026-03-02T10:00:00Z mail mta 1 - - " + line(0).rstrip(),
                "<134>1 2026-03-02T10:00:00Z mail imapd 17 - - Account Notice: login [192.0.2.7:1340] amy plain",
                "<134>1 2026-03-02T10:00:00Z mail cron 1 - - something else",
            ):
                sending.sendto(body.encode(), ("127.0.0.1", port))
        assert until(tmp_path / "all.jsonl", 3) == {"mta": 1, "service": 1, "syslog": 1}
        assert priorities(receiver, 3) == {20: 1, 157: 1, 134: 1}
        assert service.stop() == 0
    assert kinds(tmp_path / "out.jsonl") == {"syslog": 1}
