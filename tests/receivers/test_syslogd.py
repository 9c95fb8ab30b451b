"""The output `syslog` of a whole service against rsyslog and syslog-ng: from a log file to their files, counted back by id."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from shipper import events
from shipper.profiles.rfc5424 import PARAMETERS, SD_ID, one_line
from shipper.record import KINDS
from tests.receivers.syslogd.daemons import DAEMONS, Certificates, Daemon, Message

COMMAND = [sys.executable, "-m", "shipper"]
ENVIRONMENT = {**{name: value for name, value in os.environ.items() if name != "STATE_DIRECTORY"}, "TZ": "UTC", "LC_ALL": "C.UTF-8"}


class Logged(NamedTuple):
    """A log as octets, and the ids of its records in their order."""

    octets: bytes
    ids: list[str]

    def first(self, lines: int) -> Logged:
        """Its beginning. Every line of these logs is a record."""
        return Logged(b"".join(self.octets.splitlines(keepends=True)[:lines]), self.ids[:lines])


def convert(octets: bytes) -> list[dict[str, Any]]:
    """The native records of a log, as `shipper convert` has them."""
    command = [*COMMAND, "convert", "-", "--quiet", "--timezone", "UTC", "--profile", "native"]
    done = subprocess.run(command, input=octets, capture_output=True, env=ENVIRONMENT, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Logged:
    """100,000 lines of a mail server: messages, connections, services."""
    folder = tmp_path_factory.mktemp("log")
    subprocess.run([*COMMAND, "generate", "--lines", "100000", "--out", str(folder), "--quiet"], env=ENVIRONMENT, check=True)
    files = sorted((folder / "log").iterdir(), key=lambda path: (not path.name.startswith("mail.log_y"), path.name))
    octets = b"".join(path.read_bytes() for path in files)
    ids = [record["id"] for record in convert(octets)]
    assert len(ids) == len(set(ids)) == octets.count(b"\n") == 100_000
    return Logged(octets, ids)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates.make(tmp_path_factory.mktemp("tls"))


class Service:
    """`shipper run`: one file to one syslog output."""

    def __init__(self, folder: Path, settings: dict[str, Any], raw: str) -> None:
        self.folder = folder
        self.log = folder / "in" / "mail.log"
        self.log.parent.mkdir(exist_ok=True)
        config = {
            "state": str(folder / "state"),
            "timezone": "UTC",
            "telemetry": {"http": "off"},
            "inputs": {"mail": {"type": "file", "paths": [str(self.log)], "poll": "50ms", "raw": raw}},
            "outputs": {
                "siem": {
                    "type": "syslog",
                    "takes": "all",
                    "hostname": "mail.example.com",
                    "retry": {"first": "50ms", "longest": "200ms"},
                    **settings,
                }
            },
        }
        (folder / "shipper.yaml").write_text(yaml.safe_dump(config))
        self.process: subprocess.Popen[bytes]
        self.starts = 0
        self.start()

    def start(self) -> None:
        with (self.folder / "shipper.log").open("ab") as said:
            self.process = subprocess.Popen(
                [*COMMAND, "run", str(self.folder / "shipper.yaml"), "--allow-root", "--log-format", "text"],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                env=ENVIRONMENT,
            )
        self.starts += 1

    def until_running(self) -> None:
        """Before that a signal ends it as it ends any program."""
        while self.said().count(" running: ") < self.starts:
            assert self.process.poll() is None, self.said()
            time.sleep(0.02)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        if number == signal.SIGTERM:
            self.until_running()
        self.process.send_signal(number)
        return self.process.wait(30)

    def said(self) -> str:
        return (self.folder / "shipper.log").read_text()


@contextmanager
def serving(folder: Path, daemon: Daemon, protocol: str, framing: str = "octet", raw: str = "errors", **settings: Any) -> Iterator[Service]:
    """A service that sends to the daemon, which is started before it and stopped after it. The service has to end well."""
    tls = {"tls": {"ca": daemon.certificates.ca, **settings.pop("tls", {})}} if protocol == "tls" else {}
    daemon.program.start()
    try:
        where = {"path": str(daemon.unix)} if protocol == "unix" else {"port": daemon.port(protocol, framing), "framing": framing}
        service = Service(folder, {"protocol": protocol, **where, **tls, **settings}, raw)
        try:
            yield service
            assert service.end() == 0, service.said()
            assert "Traceback" not in service.said()
        finally:
            if service.process.poll() is None:
                service.end(signal.SIGKILL)
        daemon.program.stop()
    finally:
        daemon.program.kill()


def arrived(daemon: Daemon) -> int:
    """Lines in its file."""
    return daemon.file.read_bytes().count(b"\n") if daemon.file.exists() else 0


def until(daemon: Daemon, count: int, *, quiet: float = 30.0) -> int:
    """Waits for so many messages, or until none has come for `quiet` seconds; how many there are."""
    found, last = arrived(daemon), time.monotonic()
    while found < count and time.monotonic() - last < quiet:
        time.sleep(0.02)
        if (now := arrived(daemon)) != found:
            found, last = now, time.monotonic()
    return found


STREAMS = [
    ("rsyslog", "tcp", "octet", 100_000),
    ("rsyslog", "tcp", "lf", 5_000),
    ("rsyslog", "tls", "octet", 5_000),
    ("syslog-ng", "tcp", "octet", 5_000),
    ("syslog-ng", "tcp", "lf", 5_000),
    ("syslog-ng", "tls", "octet", 100_000),
]


@pytest.mark.parametrize(("kind", "protocol", "framing", "count"), STREAMS)
def test_every_record_arrives_once(
    tmp_path: Path, log: Logged, certificates: Certificates, kind: str, protocol: str, framing: str, count: int
) -> None:
    """By TCP and TLS, both framings: every id of the log is there once, in the order of the log."""
    log = log.first(count)
    daemon = DAEMONS[kind](tmp_path, certificates)
    with serving(tmp_path, daemon, protocol, framing) as service:
        service.log.write_bytes(log.octets)
        until(daemon, count)
    assert daemon.uids() == log.ids


@pytest.mark.parametrize("kind", DAEMONS)
def test_what_udp_loses_is_what_the_kernel_says(tmp_path: Path, log: Logged, certificates: Certificates, kind: str) -> None:
    """3,000 datagrams: none twice, none torn, and those that are missing are those that the receiver's kernel has counted as dropped."""
    log = log.first(3000)
    daemon = DAEMONS[kind](tmp_path, certificates)
    with serving(tmp_path, daemon, "udp") as service:
        service.log.write_bytes(log.octets)
        until(daemon, len(log.ids), quiet=3)
        dropped = daemon.dropped()
    seen = daemon.uids()
    assert len(seen) == len(set(seen)) and set(seen) <= set(log.ids)
    assert len(seen) + dropped == len(log.ids)
    assert dropped <= len(log.ids) // 10, "with a receive buffer of some megabytes this is slow enough"


@pytest.mark.parametrize("kind", DAEMONS)
def test_mutual_tls(tmp_path: Path, log: Logged, certificates: Certificates, kind: str) -> None:
    """With our certificate all arrives. Without it nothing is sent, so that nothing is lost, and the reason is told."""
    log = log.first(2000)
    daemon = DAEMONS[kind](tmp_path, certificates, mutual=True)
    certificate, key = certificates.client
    with serving(tmp_path, daemon, "tls") as service:
        service.log.write_bytes(log.octets)
        end = time.monotonic() + 20
        while "misconfigured" not in service.said() and time.monotonic() < end:
            time.sleep(0.05)
        assert "misconfigured" in service.said()
    assert daemon.uids() == [], service.said()
    with serving(tmp_path, daemon, "tls", tls={"certificate": certificate, "key": key}) as service:
        until(daemon, len(log.ids))
    assert daemon.uids() == log.ids


@pytest.mark.parametrize(("kind", "protocol"), [("rsyslog", "tcp"), ("syslog-ng", "tls")])
def test_a_service_that_is_stopped_and_started_sends_all_once(
    tmp_path: Path, log: Logged, certificates: Certificates, kind: str, protocol: str
) -> None:
    """TERM in the middle, twice: it ends well each time, nothing is missing and nothing comes twice."""
    log = log.first(15_000)
    daemon = DAEMONS[kind](tmp_path, certificates)
    with serving(tmp_path, daemon, protocol) as service:
        service.log.write_bytes(log.octets)
        for part in (1, 2):
            until(daemon, len(log.ids) * part // 3)
            assert service.end() == 0, service.said()
            service.start()
        until(daemon, len(log.ids))
    assert daemon.uids() == log.ids


@pytest.mark.parametrize("kind", DAEMONS)
def test_a_service_that_is_killed_loses_nothing(tmp_path: Path, log: Logged, certificates: Certificates, kind: str) -> None:
    """KILL in the middle: every id is there; what came twice is what was sent and not yet noted."""
    log = log.first(15_000)
    daemon = DAEMONS[kind](tmp_path, certificates)
    with serving(tmp_path, daemon, "tcp") as service:
        service.log.write_bytes(log.octets)
        until(daemon, len(log.ids) // 3)
        service.end(signal.SIGKILL)
        service.start()
        end = time.monotonic() + 30
        while len(set(daemon.uids())) < len(log.ids) and time.monotonic() < end:
            time.sleep(0.1)
    seen = Counter(daemon.uids())
    print(f"{kind}: sent twice {seen.total() - len(seen)}")
    assert set(seen) == set(log.ids)


@pytest.mark.parametrize(
    ("kind", "protocol", "framing", "number", "count"),
    [
        ("rsyslog", "tcp", "octet", signal.SIGKILL, 100_000),
        ("rsyslog", "tcp", "lf", signal.SIGKILL, 15_000),
        ("rsyslog", "tls", "octet", signal.SIGKILL, 15_000),
        ("rsyslog", "tls", "octet", signal.SIGTERM, 15_000),
        ("syslog-ng", "tcp", "octet", signal.SIGKILL, 15_000),
        ("syslog-ng", "tcp", "lf", signal.SIGKILL, 15_000),
        ("syslog-ng", "tls", "octet", signal.SIGKILL, 100_000),
        ("syslog-ng", "tcp", "octet", signal.SIGTERM, 15_000),
    ],
)
def test_a_receiver_that_goes_in_the_middle_loses_nothing(
    tmp_path: Path, log: Logged, certificates: Certificates, kind: str, protocol: str, framing: str, number: signal.Signals, count: int
) -> None:
    """Killed or stopped, and back after 300 ms: every id is there. What comes twice is what `resend` holds at most, and was sent last."""
    log = log.first(count)
    daemon = DAEMONS[kind](tmp_path, certificates)
    # rsyslog may have 50,000 messages in its queue.
    with serving(tmp_path, daemon, protocol, framing, resend="64MiB") as service:
        service.log.write_bytes(log.octets)
        until(daemon, len(log.ids) // 3)
        if number == signal.SIGKILL:
            daemon.program.kill()
        else:
            daemon.program.stop()
        before = daemon.uids()
        time.sleep(0.3)
        daemon.program.start()
        until(daemon, len(before) + len(log.ids), quiet=3)
    after = daemon.uids()[len(before) :]
    again = len(before) + len(after) - len(log.ids)
    print(f"{kind}, {protocol} {framing}, {number.name} after {len(before)}: twice {again}, first again {log.ids.index(after[0])}")
    assert before == log.ids[: len(before)]
    assert after == log.ids[-len(after) :], "from somewhere in what it had, to the end, in order"
    assert again >= 0, "nothing is missing"


@pytest.mark.parametrize(("kind", "protocol"), [("rsyslog", "tcp"), ("rsyslog", "tls"), ("syslog-ng", "tcp")])
def test_a_receiver_that_hangs_and_is_killed_loses_nothing(
    tmp_path: Path, log: Logged, certificates: Certificates, kind: str, protocol: str
) -> None:
    """Stopped in the middle until its kernel takes no more, and killed then: all that the kernel and its queue had is sent again."""
    log = log.first(60_000)
    daemon = DAEMONS[kind](tmp_path, certificates)
    with serving(tmp_path, daemon, protocol, resend="64MiB") as service:  # a kernel takes what the last of `net.ipv4.tcp_rmem` says
        service.log.write_bytes(log.octets)
        until(daemon, len(log.ids) // 6)
        daemon.program.hang()
        time.sleep(3)
        daemon.program.kill()
        before = daemon.uids()
        daemon.program.start()
        until(daemon, len(before) + len(log.ids), quiet=3)
    after = daemon.uids()[len(before) :]
    print(f"{kind}, {protocol}, killed after {len(before)}: twice {len(before) + len(after) - len(log.ids)}")
    assert before == log.ids[: len(before)] and after == log.ids[-len(after) :]
    assert len(before) + len(after) >= len(log.ids), "nothing is missing"


@pytest.mark.parametrize(("kind", "protocol"), [("rsyslog", "tls"), ("syslog-ng", "tcp")])
def test_a_receiver_that_is_restarted_while_nothing_is_sent_costs_nothing(
    tmp_path: Path, log: Logged, certificates: Certificates, kind: str, protocol: str
) -> None:
    """As its upgrade does on a quiet evening: we see that the connection is closed before we write to it. In the first five seconds of
    silence it may not have stored what it got last, and gets that again."""
    log = log.first(4000)
    before = log.first(2000)
    daemon = DAEMONS[kind](tmp_path, certificates)
    with serving(tmp_path, daemon, protocol) as service:
        service.log.write_bytes(before.octets)
        until(daemon, len(before.ids))
        time.sleep(5.5)
        daemon.program.stop()
        daemon.program.start()
        with service.log.open("ab") as more:
            more.write(log.octets[len(before.octets) :])
        until(daemon, len(log.ids))
    assert daemon.uids() == log.ids


@pytest.mark.parametrize("kind", DAEMONS)
@pytest.mark.parametrize(
    ("form", "protocol", "framing"),
    [("rfc3164", "tcp", "lf"), ("rfc3164", "tls", "octet"), ("rfc3164", "unix", ""), ("raw", "tcp", "lf"), ("raw", "unix", "")],
)
def test_without_structured_data(
    tmp_path: Path, log: Logged, certificates: Certificates, kind: str, form: str, protocol: str, framing: str
) -> None:
    """RFC 3164 and the server's own lines, by TCP, TLS and to the socket that a daemon has for its own machine: each record once, in order, its
    program, its process and its text (`raw`: its line) as they are."""
    log = log.first(5000)
    lines = log.octets.decode().splitlines()
    records = convert(log.octets)
    should = [
        (
            record.get("process", "") or record.get("service", "") or ("mta" if record["event"].startswith("mta.") else "shipper"),
            record.get("pid"),
            one_line(line if form == "raw" or record["kind"] in ("mta", "connection") else record.get("message", "")),
        )
        for line, record in zip(lines, records, strict=True)
    ]
    daemon = DAEMONS[kind](tmp_path, certificates, glibc=True)
    with serving(tmp_path, daemon, protocol, framing, raw="always", format=form) as service:
        service.log.write_bytes(log.octets)
        until(daemon, len(lines), quiet=5)
    found = [
        (message.app, int(message.pid) if message.pid.isdigit() else None, message.text.removeprefix(" ")) for message in daemon.messages()
    ]
    assert len(found) == len(should)
    assert found == should


@pytest.mark.parametrize("kind", DAEMONS)
def test_structured_data_by_a_unix_socket(tmp_path: Path, log: Logged, certificates: Certificates, kind: str) -> None:
    """A daemon that is told to expect RFC 5424 there has every record once, in order: a full socket makes us wait."""
    log = log.first(20_000)
    daemon = DAEMONS[kind](tmp_path, certificates)
    with serving(tmp_path, daemon, "unix") as service:
        service.log.write_bytes(log.octets)
        until(daemon, len(log.ids))
    assert daemon.uids() == log.ids


EVIL = (
    'quotes " and \\" and \\\\',
    "brackets ] [ ]] [mta@32473 uid=",
    "ends with a backslash \\",
    "LF \n<11>1 - other - - - - second message",
    "NUL \0, CR \r\n, TAB \t, ESC \x1b[31m, DEL \x7f, C1 \x85, \u2028, \u2029",
    "ünïcödé 日本 🙂, \u202e",
    "10 <22>1 - - - - - - x",
    "%s %n $(id) `id` ${HOST} #012",
    " blanks at both ends ",
)


def odd() -> Iterator[dict[str, Any]]:
    """Native records with everything that a message could stumble over: each severity and facility, odd text in each place."""
    base = {"time": "2005-05-13T00:00:00.123456+02:00", "time_zone_source": "record"}
    for number, severity in enumerate(events.SEVERITIES):
        yield {"kind": "mta", **base, "event": "mta.dequeue", "severity": severity, "host": f"mail{number}.example.com", "code": "D"}
    for number, facility in enumerate(events.FACILITIES):
        yield {"kind": "syslog", **base, "event": "syslog.message", "severity": "info", "pid": number, "process": "app", "message": "x",
               "syslog": {"facility": facility}}  # fmt: skip
    for number, text in enumerate(EVIL):
        yield {"kind": "mta", **base, "event": "mta.dequeue", "severity": "info", "sender": text, "diagnostic": text, "username": text}
        yield {"kind": "service", **base, "event": "service.login", "severity": "info", "message": text, "user": text, "pid": number}
        yield {"kind": "text", **base, "event": "text", "severity": "info", "host": text, "process": text, "message": text}
    yield {"kind": "text", "event": "text", "severity": "info", "message": "without a time"}
    yield {"kind": "text", **base, "event": "text", "severity": "info", "process": "p" * 200, "host": "h" * 300, "message": "long names"}
    yield {"kind": "service", **base, "event": "service.login", "severity": "info", "message": "m" * 60_000, "user": "long text"}
    yield {"kind": "mta", **base, "event": "mta.dequeue", "severity": "info", "sender": "s@example.com", "diagnostic": "d" * 60_000}
    yield {"kind": "text", **base, "event": "text", "severity": "info", "message": "after the long ones"}


def expected(record: dict[str, Any]) -> Message:
    """What a receiver is to understand of a native record, by RFC 5424 and our own table; built from the record and not from our message."""
    kind = next(kind for kind in KINDS if kind.kind == record["kind"])
    parameters = {
        name: [one_line("1" if record[field] is True else str(record[field]))]
        for name, field in PARAMETERS
        if field in kind.__struct_fields__ and field in record and record[field] != "" and record[field] is not False
    }
    return Message(
        re.sub(r"[^0-9A-Za-z._:%-]", "_", record.get("host", "") or "mail.example.com")[:255],
        printable(record.get("process", "") or record.get("service", ""), 48),
        str(record.get("pid", "")),
        record["event"],
        events.FACILITIES.index(record.get("syslog", {}).get("facility", "mail")),
        events.SEVERITIES.index(record["severity"]),
        record.get("time", ""),
        one_line(record.get("message", "")),
        {f"{SD_ID.get(kind, 'log')}@32473": parameters},
    )


@pytest.mark.parametrize(("kind", "protocol", "framing"), [("rsyslog", "tls", "octet"), ("syslog-ng", "tcp", "lf")])
def test_the_receiver_understands_what_the_record_says(
    tmp_path: Path, log: Logged, certificates: Certificates, kind: str, protocol: str, framing: str
) -> None:
    """Header, structured data and text, of a log and of records as odd as they can be. One record is one message, the long ones too."""
    lines = log.first(2000).octets + b"".join(json.dumps(record).encode() + b"\n" for record in odd())
    records = convert(lines)
    daemon = DAEMONS[kind](tmp_path, certificates)
    with serving(tmp_path, daemon, protocol, framing) as service:
        service.log.write_bytes(lines)
        until(daemon, len(records), quiet=5)
    messages = list(daemon.messages())
    assert len(messages) == len(records)
    wrong = [
        (should, found)
        for should, found in zip(map(expected, records), messages, strict=True)
        if not understood(should, found._replace(pid=found.pid.removeprefix("-")))
    ]
    assert not wrong, wrong[:3]


def understood(should: Message, found: Message) -> bool:
    """Whether a message is what it should be. Of one above 8192 octets all header fields, the id, and a beginning of the rest."""
    (identifier,) = should.sd
    ours = {name: value for name, value in found.sd.get(identifier, {}).items() if name != "act"}
    head = found._replace(time="", text="", sd={}) == should._replace(time="", text="", sd={}, app=should.app or found.app)
    time_ = not should.time or datetime.fromisoformat(found.time) == datetime.fromisoformat(should.time)
    if len(should.text) + len(str(should.sd)) < 8000:
        rest = ours == should.sd[identifier] and found.text == (should.text or found.text)
    else:
        rest = all(should.sd[identifier][name] == value for name, value in ours.items())
        rest = rest and (not should.text or (should.text.startswith(found.text) and len(found.text) > 4000))
    return head and time_ and rest and ours["uid"] == should.sd[identifier]["uid"]


def printable(text: str, most: int) -> str:
    """A header field."""
    return re.sub(r"[^!-~]", "_", text)[:most]
