"""A running service that gets the same records by file and by syslog, and one whose messages come back to it."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path

from tests.service import free_port, running, shipper

LINE = "22-Nov-2026 10:00:{second:02d}.{part:02d} tcp_local    ims-ms       D 1 a@example.com rfc822;b{number}@example.org b{number}@ims-ms-daemon\n"
TELEMETRY = "telemetry: {http: off}\n"


def line(number: int) -> str:
    return LINE.format(second=number // 100 % 60, part=number % 100, number=number)


def recipients(path: Path) -> list[str]:
    return [json.loads(one)["recipient"] for one in path.read_text().splitlines()] if path.exists() else []


def wait_until(true: object, seconds: float = 20) -> None:
    last = time.monotonic() + seconds
    while not true():  # type: ignore[operator]
        assert time.monotonic() < last
        time.sleep(0.02)


def test_what_the_server_writes_and_sends_is_delivered_once(tmp_path: Path) -> None:
    """300 records by file and by UDP, half of them first by the one and half by the other, behind a header that names a host; the copies are
    counted, and the books balance."""
    port = free_port()
    (tmp_path / "log").mkdir()
    current = tmp_path / "log" / "mail.log_current"
    current.write_text("".join(map(line, range(150))))
    config = (
        f"state: {tmp_path}/state\n{TELEMETRY}inputs:\n  mta: {{type: mta_log, directory: {tmp_path}/log, poll: 50ms}}\n"
        f"  wire: {{type: syslog, listen: ['udp://127.0.0.1:{port}']}}\n"
        f"outputs:\n  out: {{type: jsonl, path: {tmp_path}/out.jsonl, profile: native}}\n"
    )
    with running(tmp_path, config=config) as service, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        service.until_told("running:")
        wait_until(lambda: len(recipients(service.out)) == 150)
        for number in range(300):
            sender.sendto(f"<22>Nov 22 10:00:00 mail mta: {line(number).rstrip()}".encode(), ("127.0.0.1", port))
        wait_until(lambda: len(recipients(service.out)) == 300)
        with current.open("a") as log:
            log.write("".join(map(line, range(150, 300))))

        def ledger() -> dict[str, object]:
            found: dict[str, object] = json.loads(shipper("status", "--json", tmp_path / "state").stdout)["ledger"]
            return found

        wait_until(lambda: ledger()["read"] == 600)
        assert ledger()["dropped"] == 300
        assert service.stop() == 0
        assert sorted(recipients(service.out)) == sorted(f"b{number}@ims-ms-daemon" for number in range(300))
    with running(tmp_path) as service:  # the copies' positions were saved too
        service.until_told("running:")
        assert service.stop() == 0
        assert len(recipients(service.out)) == 300


def test_a_loop_ends(tmp_path: Path) -> None:
    """What we send to a relay that sends it back to us goes round once; that is said once, and counted."""
    port = free_port()
    relay = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    relay.bind(("127.0.0.1", 0))
    relay.settimeout(20)
    config = (
        f"state: {tmp_path}/state\n{TELEMETRY}inputs:\n  wire: {{type: syslog, listen: ['udp://127.0.0.1:{port}']}}\n"
        f"outputs:\n  out: {{type: jsonl, path: {tmp_path}/out.jsonl, profile: native}}\n"
        f"  relay: {{type: syslog, host: 127.0.0.1, port: {relay.getsockname()[1]}, takes: all, enterprise: 99999}}\n"
    )
    with relay, running(tmp_path, config=config) as service:
        service.until_told("running:")
        for number in range(20):
            relay.sendto(f"<22>Nov 22 10:00:00 mail other: message {number}".encode(), ("127.0.0.1", port))
        for _ in range(20):
            relay.sendto(relay.recv(2000), ("127.0.0.1", port))
        service.until_told("messages that we sent come back")
        relay.settimeout(0.5)
        try:
            raise AssertionError(relay.recv(2000))
        except TimeoutError:
            pass
        told = json.loads(shipper("status", "--json", tmp_path / "state").stdout)["ledger"]
        assert (told["read"], told["dropped"]) == (40, 20)
        assert service.stop() == 0
        assert len(service.out.read_text().splitlines()) == 20
