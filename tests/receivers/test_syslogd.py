"""The output `syslog` of a whole service against rsyslog and syslog-ng: from a log file to their files, counted back by id."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from tests.receivers.syslogd.daemons import DAEMONS, Certificates, Daemon

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

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self.folder = folder
        self.log = folder / "in" / "mail.log"
        self.log.parent.mkdir(exist_ok=True)
        config = {
            "state": str(folder / "state"),
            "timezone": "UTC",
            "telemetry": {"http": "off"},
            "inputs": {"mail": {"type": "file", "paths": [str(self.log)], "poll": "50ms"}},
            "outputs": {
                "siem": {"type": "syslog", "hostname": "mail.example.com", "retry": {"first": "50ms", "longest": "200ms"}, **settings}
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
        self.process.send_signal(number)
        return self.process.wait(30)

    def said(self) -> str:
        return (self.folder / "shipper.log").read_text()


@contextmanager
def serving(folder: Path, daemon: Daemon, protocol: str, framing: str = "octet", **settings: Any) -> Iterator[Service]:
    """A service that sends to the daemon, which is started before it and stopped after it. The service has to end well."""
    tls = {"tls": {"ca": daemon.certificates.ca, **settings.pop("tls", {})}} if protocol == "tls" else {}
    daemon.program.start()
    try:
        service = Service(folder, {"protocol": protocol, "port": daemon.port(protocol, framing), "framing": framing, **tls, **settings})
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
    ("rsyslog", "tcp", "lf", 10_000),
    ("rsyslog", "tls", "octet", 10_000),
    ("syslog-ng", "tcp", "octet", 10_000),
    ("syslog-ng", "tcp", "lf", 10_000),
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
    """TERM in the middle, three times: it ends well each time, nothing is missing and nothing comes twice."""
    log = log.first(30_000)
    daemon = DAEMONS[kind](tmp_path, certificates)
    with serving(tmp_path, daemon, protocol) as service:
        service.log.write_bytes(log.octets)
        for part in (1, 2, 3):
            until(daemon, len(log.ids) * part // 4)
            service.until_running()
            assert service.end() == 0, service.said()
            service.start()
        until(daemon, len(log.ids))
    assert daemon.uids() == log.ids


@pytest.mark.parametrize("kind", DAEMONS)
def test_a_service_that_is_killed_loses_nothing(tmp_path: Path, log: Logged, certificates: Certificates, kind: str) -> None:
    """KILL in the middle: every id is there; what came twice is what was sent and not yet noted."""
    log = log.first(30_000)
    daemon = DAEMONS[kind](tmp_path, certificates)
    with serving(tmp_path, daemon, "tcp") as service:
        service.log.write_bytes(log.octets)
        for part in (1, 2):
            until(daemon, len(log.ids) * part // 3)
            service.end(signal.SIGKILL)
            service.start()
        until(daemon, len(log.ids))
        time.sleep(0.2)
    seen = Counter(daemon.uids())
    print(f"sent twice: {seen.total() - len(seen)}")
    assert set(seen) == set(log.ids)


@pytest.mark.parametrize(("number", "name"), [(signal.SIGKILL, "killed"), (signal.SIGTERM, "stopped")])
@pytest.mark.parametrize(("kind", "protocol"), [("rsyslog", "tcp"), ("rsyslog", "tls"), ("syslog-ng", "tcp"), ("syslog-ng", "tls")])
def test_a_receiver_that_goes_loses_no_more_than_it_had_taken(
    tmp_path: Path, log: Logged, certificates: Certificates, kind: str, protocol: str, number: signal.Signals, name: str
) -> None:
    """In the middle, and back after 300 ms. All arrives but one stretch: what its kernel had acknowledged, and its program not written."""
    log = log.first(30_000)
    daemon = DAEMONS[kind](tmp_path, certificates)
    with serving(tmp_path, daemon, protocol) as service:
        service.log.write_bytes(log.octets)
        until(daemon, len(log.ids) // 3)
        daemon.program.kill() if number == signal.SIGKILL else daemon.program.stop()
        daemon.mend()
        written = arrived(daemon)
        time.sleep(0.3)
        daemon.program.start()
        until(daemon, len(log.ids), quiet=2)
    seen = Counter(daemon.uids())
    missing = [place for place, uid in enumerate(log.ids) if uid not in seen]
    print(f"{kind}, {protocol}, {name} after {written}: missing {len(missing)}, twice {seen.total() - len(seen)}")
    assert set(seen) <= set(log.ids)
    assert missing == list(range(written, written + len(missing))), "one stretch, right behind what was written"
