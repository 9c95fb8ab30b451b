"""`shipper run` as a process: nothing lost, nothing twice that need not be, whatever signal comes when."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

import pytest

from tests.service import COMMAND, ENVIRONMENT, TELEMETRY, Running, append, free_port, line, numbers, running, shipper, status


def test_a_stop_and_a_start_in_the_middle_cost_nothing(tmp_path: Path) -> None:
    """Stopped by TERM again and again while the log grows: exit 0 each time, every record once and in order."""
    written = 0
    for round in range(3):
        with running(tmp_path) as service:
            append(service.log, written, 3000)
            written += 3000
            if round % 2:
                service.until_told("running")
                append(service.log, written, 2000)
                written += 2000
            else:
                service.until_written(written - 1500)
            assert service.stop() == 0
            assert "stopped" in service.told[-1]
    with running(tmp_path) as service:
        service.until_told("running")
        assert service.until_written(written) == list(range(written))
        assert service.stop() == 0
    assert numbers(service.out) == list(range(written))


@pytest.mark.parametrize("buffer", ["disk", "memory"])
def test_kill_loses_nothing_and_repeats_next_to_nothing(tmp_path: Path, buffer: str) -> None:
    """Killed at any moment of its work: after the next start every record is there. What had been written is not written again, though nobody
    came to note it: three lines a kill at most, on average."""
    written = 0
    kills = 8
    config = (
        f"state: {tmp_path}/state\n{TELEMETRY}"
        f"inputs:\n  mail: {{type: file, paths: ['{tmp_path}/in/*.log'], poll: 50ms}}\n"
        f"outputs:\n  out: {{type: jsonl, path: {tmp_path}/out.jsonl, profile: native, buffer: {{kind: {buffer}}}}}\n"
    )
    for round in range(kills):
        with running(tmp_path, config=config) as service:
            append(service.log, written, 2000)
            before = written
            written += 2000
            if round:
                service.until_written(max(0, before - 1000) + 250 * round)
            else:
                service.until_written(500)
            service.process.kill()
            service.process.wait()
    with running(tmp_path, config=config) as service:
        append(service.log, written, 1)
        last = time.monotonic() + 15
        while set(numbers(service.out)) != set(range(written + 1)):
            assert time.monotonic() < last, "records are missing"
            time.sleep(0.05)
        assert service.stop() == 0
    twice = sum(count - 1 for count in Counter(numbers(service.out)).values())
    assert twice <= kills * 3


def test_a_second_service_on_the_same_state_ends_at_once(tmp_path: Path) -> None:
    """It says who has it and ends with 75; the first one runs on."""
    with running(tmp_path) as service:
        service.until_told("running")
        begin = time.monotonic()
        second = shipper("run", service.config, "--allow-root")
        assert second.returncode == 75
        assert f"in use by process {service.process.pid}" in second.stderr
        assert time.monotonic() - begin < 15
        assert service.stop() == 0


def awake(pid: int) -> None:
    """Waits until a process has taken TERM into its own hands."""
    last = time.monotonic() + 10
    while True:
        status = Path(f"/proc/{pid}/status").read_text()
        caught = int(status.partition("SigCgt:")[2].split()[0], 16)
        if caught >> (signal.SIGTERM - 1) & 1:
            return
        assert time.monotonic() < last, "TERM has its default"
        time.sleep(0.002)


def test_term_right_after_the_start_is_safe(tmp_path: Path) -> None:
    """Whenever TERM comes nothing is lost, and the exit code is 0, from the moment in which Python has its first line of us."""
    for milliseconds in (0, 50, 100, 200, 300, 400, 500, 600, 800):
        with running(tmp_path) as service:
            if not service.log.exists():
                append(service.log, 0, 100)
            awake(service.process.pid)
            time.sleep(milliseconds / 1000)
            assert service.stop() == 0
    with running(tmp_path) as service:
        service.until_told("running")
        assert service.until_written(100) == list(range(100))
        assert service.stop() == 0
    assert numbers(service.out) == list(range(100))


def test_hup_takes_a_good_configuration_and_reopens_files(tmp_path: Path) -> None:
    """Under load: another profile and a second output from then on, a renamed file is begun anew, no record is lost or comes twice."""
    with running(tmp_path) as service:
        append(service.log, 0, 5000)
        service.until_written(500)
        more = f"  more: {{type: jsonl, path: {tmp_path}/more.jsonl, profile: native}}\n"
        service.config.write_text(service.yaml(outputs=more))
        service.process.send_signal(signal.SIGHUP)
        service.until_told("configuration taken: 1 inputs, 2 outputs")
        append(service.log, 5000, 1000)
        service.until_written(6000)
        service.out.rename(tmp_path / "old.jsonl")
        service.process.send_signal(signal.SIGHUP)
        append(service.log, 6000, 10)
        service.until_written(10)
        assert service.stop() == 0
    assert numbers(tmp_path / "old.jsonl") + numbers(service.out) == list(range(6010))
    late = numbers(tmp_path / "more.jsonl")
    assert late == list(range(late[0], 6010)) and late[0] <= 5000


def test_hup_swaps_what_changed_and_keeps_the_rest(tmp_path: Path) -> None:
    """An output and an input that change are drained and begun anew: the books balance over both, every record comes once."""
    with running(tmp_path) as service:
        append(service.log, 0, 3000)
        service.until_written(200)
        for round in range(3):
            text = service.yaml().replace("profile: native", f"profile: native, keep: {round + 2}").replace("50ms", f"{60 + round}ms")
            service.config.write_text(text)
            service.told.clear()
            service.process.send_signal(signal.SIGHUP)
            service.until_told("configuration taken")
            append(service.log, 3000 + round * 1000, 1000)
        service.until_written(6000)
        told = json.loads(shipper("status", "--json", service.config).stdout)
        assert told["ledger"]["read"] == 6000
        assert told["ledger"]["outputs"]["out"]["delivered"] == 6000
        assert told["ledger"]["outputs"]["out"]["balanced"]
        assert service.stop() == 0
    assert numbers(service.out) == list(range(6000))


def test_a_bad_configuration_changes_nothing(tmp_path: Path) -> None:
    """HUP with an unknown key, with what is no YAML, with nothing in it: the old one runs on, and the log says what is wrong, with file and line."""
    with running(tmp_path) as service:
        service.until_told("running")
        good = service.config.read_text()
        for number, bad in enumerate((good + "inptus: {}\n", good + "state: [", "")):
            service.config.write_text(bad)
            service.told.clear()
            service.process.send_signal(signal.SIGHUP)
            said = service.until_told("not taken")
            assert re.search(r"shipper\.yaml:\d+:\d+: ", said)
            append(service.log, number * 10, 10)
            service.until_written(number * 10 + 10)
        assert "a newer one was refused" in shipper("status", tmp_path / "state").stdout
        service.config.write_text(good)
        service.process.send_signal(signal.SIGHUP)
        service.until_told("configuration taken")
        assert service.stop() == 0
    assert numbers(service.out) == list(range(30))


def test_a_dead_output_is_named_and_stops_no_other(tmp_path: Path) -> None:
    """/readyz says 503 and its name, /healthz stays well, the other output gets everything, and the books balance for both."""
    port, dead = free_port(), free_port()
    outputs = f"  siem: {{type: syslog, takes: all, protocol: tcp, host: 127.0.0.1, port: {dead}}}\n"
    with running(tmp_path, extra=f"telemetry: {{http: '127.0.0.1:{port}'}}\n", outputs=outputs) as service:
        append(service.log, 0, 2000)
        assert service.until_written(2000) == list(range(2000))
        service.until_told("output 'siem': waiting")
        base = f"http://127.0.0.1:{port}"
        with pytest.raises(urllib.error.HTTPError) as raised:
            urllib.request.urlopen(f"{base}/readyz")
        with raised.value as answer:
            assert answer.code == 503
            assert list(json.load(answer)["down"]) == ["siem"]
        with urllib.request.urlopen(f"{base}/healthz") as answer:
            assert answer.read() == b"ok\n"
        with urllib.request.urlopen(f"{base}/metrics") as answer:
            metrics = answer.read().decode()
        assert 'shipper_records_read_total{input="mail"} 2000.0' in metrics
        assert 'shipper_output_records_total{outcome="delivered",output="out"} 2000.0' in metrics
        assert 'shipper_output_up{output="siem"} 0.0' in metrics
        assert 'shipper_output_resent_records_total{output="siem"} 0.0' in metrics
        assert 'shipper_input_files{input="mail"} 1.0' in metrics and 'shipper_input_rotations_total{input="mail"} 0.0' in metrics
        assert "127.0.0.1" not in metrics and "example" not in metrics
        with urllib.request.urlopen(f"{base}/status") as answer:
            ledger = json.load(answer)["ledger"]
        assert ledger["read"] == 2000
        assert ledger["outputs"]["siem"]["waiting"] == 2000
        assert all(books["balanced"] for books in ledger["outputs"].values())
        with pytest.raises(urllib.error.HTTPError) as raised:
            urllib.request.urlopen(f"{base}/tap")
        raised.value.close()
        assert raised.value.code == 404, "records are for the service's own user"
        told = shipper("status", service.config)
        assert told.returncode == 1
        assert "output siem (syslog, waiting: " in told.stdout
        assert service.stop() == 0
    with socket.socket() as receiver:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        receiver.bind(("127.0.0.1", dead))
        receiver.listen()
        receiver.settimeout(15)
        with running(tmp_path) as service:
            connection, _ = receiver.accept()
            with connection:
                octets = b""
                while b"user1999@" not in octets:
                    octets += connection.recv(1 << 16)
                assert service.stop() == 0
            assert {f"user{number}@" for number in range(2000)} <= set(re.findall(r"user\d+@", octets.decode()))
    assert numbers(service.out) == list(range(2000))


def test_an_output_that_blocks_can_be_taken_out(tmp_path: Path) -> None:
    """A full output lets the input wait; taken out of the configuration, it waits no longer, and the others get every record."""
    siem = (
        f"  siem: {{type: syslog, takes: all, protocol: tcp, host: 127.0.0.1, port: {free_port()}, buffer: {{kind: memory, size: 64KB}}}}\n"
    )
    with running(tmp_path, extra=f"grace: 1s\n{TELEMETRY}", outputs=siem) as service:
        append(service.log, 0, 5000)
        service.until_told("output 'siem': waiting")
        service.config.write_text(service.config.read_text().replace(siem, ""))
        service.process.send_signal(signal.SIGHUP)
        service.until_told("configuration taken: 1 inputs, 1 outputs")
        last = time.monotonic() + 15
        while set(numbers(service.out)) != set(range(5000)):
            assert time.monotonic() < last, "records are missing"
            time.sleep(0.05)
        assert service.stop() == 0


def test_what_waits_for_an_output_that_is_gone_is_told(tmp_path: Path) -> None:
    """An output whose receiver is away is taken out of the configuration: what it holds on the disk is kept, and delivered when it is back."""
    with socket.create_server(("127.0.0.1", 0)) as receiver:
        receiver.settimeout(15)
        siem = "  siem: {{type: syslog, takes: all, protocol: tcp, host: 127.0.0.1, port: {}}}\n"
        with running(tmp_path, outputs=siem.format(free_port())) as service:
            append(service.log, 0, 100)
            service.until_written(100)
            service.until_told("output 'siem': waiting")
            service.config.write_text(service.yaml())
            service.process.send_signal(signal.SIGHUP)
            service.until_told("records wait for 'siem'")
            service.config.write_text(service.yaml(outputs=siem.format(receiver.getsockname()[1])))
            service.process.send_signal(signal.SIGHUP)
            connection, _ = receiver.accept()
            with connection:
                octets = b""
                while b"user99@" not in octets:
                    octets += connection.recv(1 << 16)
                assert service.stop() == 0
    assert {f"user{number}@" for number in range(100)} <= set(re.findall(r"user\d+@", octets.decode()))
    assert numbers(service.out) == list(range(100))


def test_a_second_term_ends_at_once(tmp_path: Path) -> None:
    """A receiver that hangs would take the whole grace period; the second TERM does not wait for it, and what is delivered elsewhere is saved."""
    with socket.create_server(("127.0.0.1", 0)) as hung:
        outputs = f"  siem: {{type: syslog, takes: all, protocol: tcp, host: 127.0.0.1, port: {hung.getsockname()[1]}, buffer: {{kind: memory}}}}\n"
        with running(tmp_path, extra=f"grace: 20s\n{TELEMETRY}", outputs=outputs) as service:
            append(service.log, 0, 100_000)
            service.until_written(1000)
            service.process.send_signal(signal.SIGTERM)
            service.until_told("stopping")
            begin = time.monotonic()
            assert service.stop() == 0
            assert time.monotonic() - begin < 12


def test_a_secret_is_nowhere(tmp_path: Path) -> None:
    """A token in the configuration is in no log line, no status, no metric, and no file of the state directory."""
    port = free_port()
    outputs = (
        f"  collector:\n    type: otlp\n    endpoint: http://127.0.0.1:{free_port()}\n"
        "    headers: {authorization: '${TOKEN:?the token}'}\n"
    )
    extra = f"telemetry: {{http: '127.0.0.1:{port}'}}\nlog: {{level: debug}}\n"
    with running(tmp_path, extra=extra, outputs=outputs, TOKEN="canary-in-the-mine") as service:
        append(service.log, 0, 10)
        service.until_told("output 'collector': waiting")
        service.config.write_text(service.config.read_text() + "nonsense: 1\n")
        service.process.send_signal(signal.SIGHUP)
        service.until_told("not taken")
        pages = [urllib.request.urlopen(f"http://127.0.0.1:{port}/{page}").read() for page in ("status", "metrics")]
        assert service.stop() == 0
    files = [path.read_bytes() for path in (tmp_path / "state").rglob("*") if path.is_file()]
    assert all(b"canary" not in octets for octets in [*pages, *files, "\n".join(service.told).encode()])


def test_tap_shows_what_passes(tmp_path: Path) -> None:
    """Records that fit, as JSON lines on standard output and nothing else there; a field that is none is refused."""
    with running(tmp_path) as service:
        service.until_told("running")
        watching = subprocess.Popen(
            [*COMMAND, "tap", str(service.config), "--where", "sender=user7@example.com,user9@example.com", "--count", "2"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=ENVIRONMENT,
        )
        number = 0
        while watching.poll() is None:
            append(service.log, number % 10, 1)
            number += 1
            time.sleep(0.05)
        shown, said = watching.communicate(timeout=15)
        assert [json.loads(one)["sender"] for one in shown.splitlines()] in (
            ["user7@example.com", "user9@example.com"],
            ["user9@example.com", "user7@example.com"],
        )
        assert said == b""
        wrong = shipper("tap", tmp_path / "state", "--where", "sneder=x")
        assert wrong.returncode == 2
        assert "no field 'sneder'" in wrong.stderr
        assert (tmp_path / "state" / "control").stat().st_mode & 0o777 == 0o600
        assert service.stop() == 0


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_is_told(tmp_path: Path, abstract: bool) -> None:
    """READY when everything runs, WATCHDOG while it does, RELOADING with its time and READY again, STOPPING."""
    address = f"@shipper-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind("\0" + address[1:] if abstract else address)
        systemd.settimeout(15)

        def until(text: str) -> str:
            while text not in (said := systemd.recv(4096).decode()):
                pass
            return said

        with running(tmp_path, NOTIFY_SOCKET=address, WATCHDOG_USEC="300000") as service:
            assert "STATUS=" in until("READY=1")
            until("WATCHDOG=1")
            service.process.send_signal(signal.SIGHUP)
            assert re.search(r"^MONOTONIC_USEC=\d+$", until("RELOADING=1"), re.MULTILINE)
            until("READY=1")
            service.process.send_signal(signal.SIGTERM)
            until("STOPPING=1")
            assert service.ended() == 0


def test_a_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    """With standard input alone the service ends when that does, and everything is delivered."""
    config = (
        f"state: {tmp_path}/state\n{TELEMETRY}inputs:\n  pipe: {{type: stdin}}\n"
        f"outputs:\n  out: {{type: jsonl, path: {tmp_path}/out.jsonl, profile: native}}\n"
    )
    with running(tmp_path, config=config) as service:
        assert service.process.stdin
        service.process.stdin.write("".join(map(line, range(3000))).encode())
        service.process.stdin.close()
        service.process.stdin = None
        assert service.ended() == 0
    assert numbers(service.out) == list(range(3000))


def test_a_stop_in_the_middle_of_a_reload_costs_nothing(tmp_path: Path) -> None:
    """TERM a moment after HUP, whatever the swap is doing by then: exit 0, every record once."""
    written = 0
    for round in range(3):
        with running(tmp_path) as service:
            append(service.log, written, 3000)
            written += 3000
            service.until_told("running")
            service.config.write_text(service.yaml().replace("profile: native", f"profile: native, keep: {round + 2}"))
            service.process.send_signal(signal.SIGHUP)
            time.sleep(0.01 * round)
            assert service.stop() == 0
    with running(tmp_path) as service:
        service.until_told("running")
        service.until_written(written)
        assert service.stop() == 0
    assert numbers(service.out) == list(range(written))


def test_what_a_changed_output_held_in_memory_goes_to_the_next(tmp_path: Path) -> None:
    """A receiver was never there, and its output keeps what waits in memory: with a new address the new receiver gets every record, and the
    other output none of them again."""
    with socket.create_server(("127.0.0.1", 0)) as receiver:
        receiver.settimeout(15)
        outputs = "  siem: {{type: syslog, takes: all, protocol: tcp, host: 127.0.0.1, port: {}, buffer: {{kind: memory}}}}\n"
        dead = outputs.format(free_port())
        with running(tmp_path, extra=f"grace: 2s\n{TELEMETRY}", outputs=dead) as service:
            append(service.log, 0, 1000)
            service.until_written(1000)
            service.until_told("output 'siem': waiting")
            service.config.write_text(service.config.read_text().replace(dead, outputs.format(receiver.getsockname()[1])))
            service.process.send_signal(signal.SIGHUP)
            connection, _ = receiver.accept()
            connection.settimeout(15)
            with connection:
                octets = b""
                while b"user999@" not in octets:
                    octets += connection.recv(1 << 16)
                assert service.stop() == 0
    assert {f"user{number}@" for number in range(1000)} <= set(re.findall(r"user\d+@", octets.decode()))
    assert numbers(service.out) == list(range(1000))


@pytest.mark.parametrize("change", ["output", "both", "type", "gone"])
def test_a_reload_keeps_what_cannot_be_read_again(tmp_path: Path, change: str) -> None:
    """Messages came by syslog, and are held up by an output that has no more room in memory. A reload that changes the output, or the input too,
    passes them on to the new one, each once. Where nobody can have them, what waited is counted as lost, with a line in the log."""
    port, count = free_port(), 20_000  # more than one batch of a connection has
    messages = b"".join(b"<22>Mar  2 10:00:00 mailhost app: number %d of them\n" % number for number in range(count))
    with socket.create_server(("127.0.0.1", 0)) as receiver:
        receiver.settimeout(15)
        net = f"  net: {{type: syslog, listen: ['tcp://127.0.0.1:{port}'], max_message: SIZE}}\n"
        out = "  siem: {{type: syslog, takes: all, protocol: tcp, framing: lf, host: 127.0.0.1, port: {}, buffer: {{kind: memory, size: 20000}}}}\n"
        rest = f"  rest: {{type: jsonl, path: {tmp_path}/rest.jsonl, takes: all, profile: native}}\n"
        begin = f"state: {tmp_path}/state\ngrace: 4s\n{TELEMETRY}inputs:\n"
        before = begin + net.replace("SIZE", "5000") + "outputs:\n" + rest + out.format(free_port())
        after = {
            "output": begin + net.replace("SIZE", "5000") + "outputs:\n" + rest + out.format(receiver.getsockname()[1]),
            "both": begin + net.replace("SIZE", "6000") + "outputs:\n" + rest + out.format(receiver.getsockname()[1]),
            "type": begin
            + net.replace("SIZE", "5000")
            + "outputs:\n"
            + rest
            + f"  siem: {{type: jsonl, path: {tmp_path}/siem.jsonl, takes: all}}\n",
            "gone": begin + net.replace("SIZE", "5000") + "outputs:\n" + rest,
        }[change]
        with running(tmp_path, config=before) as service:
            service.until_told("output 'siem': waiting")
            with socket.create_connection(("127.0.0.1", port)) as sender:
                sender.sendall(messages)
            last = time.monotonic() + 15
            while not status(tmp_path / "state")["ledger"]["read"]:
                assert time.monotonic() < last
                time.sleep(0.05)
            time.sleep(0.5)
            service.config.write_text(after)
            service.process.send_signal(signal.SIGHUP)
            got = b""
            if change in ("output", "both"):
                connection, _ = receiver.accept()
                connection.settimeout(15)
                with connection:
                    while got.count(b"\n") < count:
                        got += connection.recv(1 << 16)
            service.until_told("configuration taken")
            last = time.monotonic() + 10
            while (tmp_path / "rest.jsonl").read_bytes().count(b"\n") < count:
                assert time.monotonic() < last
                time.sleep(0.05)
            time.sleep(0.3)
            ledger = json.loads(shipper("status", "--json", service.config).stdout)["ledger"]
            assert all(books["balanced"] for books in ledger["outputs"].values()), ledger
            assert ledger["read"] == count
            if change in ("type", "gone"):
                said = service.until_told("that waited for it in memory are lost")
                assert 0 < ledger["outputs"]["siem"]["lost"] == int(re.findall(r"(\d+) records", said)[0]) < count
            else:
                assert ledger["outputs"]["siem"]["lost"] == 0
            assert service.stop() == 0
    if got:
        assert sorted(int(one) for one in re.findall(rb"number (\d+) of", got)) == list(range(count))
    assert (tmp_path / "rest.jsonl").read_bytes().count(b"\n") == count


def test_what_an_input_cannot_hand_over_before_the_end_is_counted(tmp_path: Path) -> None:
    """A stop while messages find no room: when the grace period is over they are lost, and the log says how many."""
    port = free_port()
    config = (
        f"state: {tmp_path}/state\ngrace: 1s\n{TELEMETRY}inputs:\n  net: {{type: syslog, listen: ['tcp://127.0.0.1:{port}']}}\n"
        f"outputs:\n  siem: {{type: syslog, takes: all, protocol: tcp, port: {free_port()}, buffer: {{kind: memory, size: 20000}}}}\n"
    )
    with running(tmp_path, config=config) as service:
        service.until_told("output 'siem': waiting")
        with socket.create_connection(("127.0.0.1", port)) as sender:
            sender.sendall(b"".join(b"<22>Mar  2 10:00:00 mailhost app: number %d\n" % number for number in range(20_000)))
        last = time.monotonic() + 15
        while not status(tmp_path / "state")["ledger"]["read"]:
            assert time.monotonic() < last
            time.sleep(0.05)
        time.sleep(0.5)
        assert service.stop() == 0
        assert any("records are lost, output 'siem' had no room for them" in one for one in service.told), service.told
        assert any("records that waited for it in memory are lost" in one for one in service.told), service.told
        assert not any("kept for the next start" in one for one in service.told)


def test_what_no_position_waits_for_is_lost_with_the_memory_it_is_in(tmp_path: Path) -> None:
    """An output that is not required, and keeps in memory what its receiver has not taken: a stop does not say that this is kept."""
    outputs = f"  siem: {{type: syslog, takes: all, required: no, protocol: tcp, port: {free_port()}, buffer: {{kind: memory}}}}\n"
    with running(tmp_path, extra=f"grace: 1s\n{TELEMETRY}", outputs=outputs) as service:
        append(service.log, 0, 300)
        service.until_written(300)
        assert service.stop() == 0
        assert any("output 'siem' is stopped: 300 records that waited for it in memory are lost" in one for one in service.told), (
            service.told
        )
        assert not any("kept for the next start" in one for one in service.told)


def test_a_reload_under_load_loses_no_datagram_and_no_descriptor(tmp_path: Path) -> None:
    """An input that listens is changed again and again while datagrams come in: its sockets are handed on, every one is delivered once; in the
    end as many files are open as were after the first time."""
    port = free_port()
    config = (
        f"state: {tmp_path}/state\n{TELEMETRY}inputs:\n  net: {{type: syslog, listen: ['udp://127.0.0.1:{port}'], max_message: SIZE}}\n"
        f"outputs:\n  out: {{type: jsonl, path: {tmp_path}/out.jsonl, profile: native}}\n"
    )
    with running(tmp_path, config=config.replace("SIZE", "5000")) as service, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        service.until_told("running")
        opened = []
        sent = 0
        for round in range(12):
            service.config.write_text(config.replace("SIZE", str(6000 + round)))
            service.told.clear()
            service.process.send_signal(signal.SIGHUP)
            while not any("configuration taken" in one for one in service.told):
                for _ in range(50):
                    sender.sendto(f"<22>Mar  2 10:00:00 mailhost app: {sent}".encode(), ("127.0.0.1", port))
                    sent += 1
                if select.select([service.process.stderr], [], [], 0.01)[0]:
                    service.until_told("configuration taken")
            opened.append(len(os.listdir(f"/proc/{service.process.pid}/fd")))
        last = time.monotonic() + 15
        while len(lines := service.out.read_bytes().splitlines()) < sent and time.monotonic() < last:
            time.sleep(0.05)
        assert sorted(int(json.loads(one)["message"]) for one in lines) == list(range(sent))
        assert max(opened[2:]) <= opened[1] + 3, "what is just being written is open too; of 12 reloads each would show"
        assert service.stop() == 0


def test_a_port_that_is_taken_is_a_bad_configuration(tmp_path: Path) -> None:
    """At a reload the old one runs on; at the start it is exit code 75, and the message says which."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other, running(tmp_path) as service:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        service.until_told("running")
        net = f"inputs:\n  net: {{type: syslog, listen: ['udp://127.0.0.1:{port}']}}\n"
        service.config.write_text(service.yaml().replace("inputs:\n", net))
        service.process.send_signal(signal.SIGHUP)
        assert str(port) in service.until_told("not taken")
        append(service.log, 0, 10)
        service.until_written(10)
        assert service.stop() == 0
        again = shipper("run", service.config, "--allow-root")
        assert again.returncode == 75
        assert str(port) in again.stderr


def test_dead_letters_are_sent_again(tmp_path: Path) -> None:
    """What was set aside goes through its output, the file is kept as replayed, and nothing is left to replay."""
    service = Running(tmp_path)
    service.until_told("running")
    assert service.stop() == 0
    letters = tmp_path / "state" / "dead-letters" / "out"
    letters.mkdir(parents=True)
    native = [json.dumps({"kind": "mta", "sender": f"user{number}@example.com"}) + "\n" for number in range(3)]
    rows = [{"time": "2026-03-02T10:00:00Z", "output": "out", "reason": "400: mapping", "payload": payload} for payload in native]
    (letters / "00000001.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    listed = shipper("replay", service.config, "--list")
    assert "3 output 'out': 400: mapping" in listed.stdout
    sent = shipper("replay", service.config)
    assert sent.returncode == 0, sent.stderr
    assert "3 delivered to 'out', 0 set aside again" in sent.stdout
    assert sent.stderr == ""  # that it is connected is for the service's own log
    assert numbers(service.out) == [0, 1, 2]
    assert [path.name for path in letters.iterdir()] == ["00000001.jsonl.replayed"]
    assert shipper("replay", service.config).returncode == 66


def test_a_replay_beside_the_service(tmp_path: Path) -> None:
    """Into the file that the service is writing: it is told that somebody else writes there, and nothing of either is lost or torn; when the
    service has ended the same replay succeeds."""
    with running(tmp_path) as service:
        service.until_told("running")
        letters = tmp_path / "state" / "dead-letters" / "out"
        letters.mkdir(parents=True, exist_ok=True)
        native = [json.dumps({"kind": "mta", "sender": f"user{number}@example.com"}) + "\n" for number in range(1000, 1003)]
        rows = [{"time": "2026-03-02T10:00:00Z", "output": "out", "reason": "400: mapping", "payload": payload} for payload in native]
        (letters / "00000001.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        append(service.log, 0, 10)
        service.until_written(10)
        replay = subprocess.Popen(
            [*COMMAND, "replay", str(service.config), "--patience", "3"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=ENVIRONMENT,
            text=True,
        )
        number = 10
        while replay.poll() is None:
            append(service.log, number, 10)
            number += 10
            time.sleep(0.1)
        assert replay.stdout
        said = replay.stdout.read()
        replay.stdout.close()
        service.until_written(number)
        assert service.stop() == 0
    assert replay.returncode == 75, said
    assert numbers(service.out) == list(range(number))
    assert shipper("replay", service.config).returncode == 0
    assert numbers(service.out) == [*range(number), 1000, 1001, 1002]


def isolated() -> bool:
    """Whether a process may be the first of a PID namespace here."""
    try:
        return subprocess.run(["unshare", "--fork", "--pid", "true"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@pytest.mark.skipif(not isolated(), reason="no PID namespaces here")
def test_as_process_1_it_obeys_signals(tmp_path: Path) -> None:
    """The first process of a container has no default for signals: TERM stops it nevertheless, with exit code 0."""
    with running(tmp_path, wrapper=("unshare", "--fork", "--pid", "--kill-child")) as service:
        append(service.log, 0, 100)
        service.until_written(100)
        service.until_told("running")
        children = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGTERM)
        assert service.ended() == 0
        assert service.told[-1].endswith("stopped")


@pytest.mark.skipif(not isolated(), reason="no PID namespaces here")
def test_as_process_1_it_obeys_signals_while_it_starts(tmp_path: Path) -> None:
    """Also then no signal goes by unheard."""
    for milliseconds in (0, 100, 300, 500):
        with running(tmp_path, wrapper=("unshare", "--fork", "--pid", "--kill-child")) as service:
            children = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children")
            while not (found := children.read_text().split()):
                time.sleep(0.002)
            awake(int(found[0]))
            time.sleep(milliseconds / 1000)
            os.kill(int(found[0]), signal.SIGTERM)
            assert service.ended() == 0


BROKEN = """
import shipper.inputs.file as file

async def run(self, deliver, places, stop):
    raise ZeroDivisionError("as it happens")

file.FileInput.run = run
from shipper.cli import main
main()
"""


def test_a_part_that_fails_ends_the_service_in_order(tmp_path: Path) -> None:
    """A bug in an input is never passed over: the log names it, everything else is stopped in order, the exit code is 70."""
    with running(tmp_path, code=BROKEN) as service:
        assert service.ended() == 70
    said = "\n".join(service.told)
    assert "input 'mail' failed; the service stops" in said
    assert "error[R506]: input 'mail': ZeroDivisionError" in said


def usable_by(uid: int) -> bool:
    """Whether this Python can be run by that user at all: one in root's home cannot."""
    try:
        tried = subprocess.run([sys.executable, "-c", "import shipper.cli"], user=uid, group=uid, cwd="/", capture_output=True, check=False)
    except PermissionError:
        return False
    return tried.returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be refused, and give up being it")
def test_root_is_refused_or_given_up(tmp_path: Path) -> None:
    """Without a word it does not run as root; with `user` it becomes that user for good, and the state is that user's."""
    with running(tmp_path) as service:
        service.until_told("running")
        assert service.stop() == 0
    refused = shipper("run", service.config)
    assert refused.returncode == 77
    assert "root" in refused.stderr
    if not usable_by(65534):
        pytest.skip("this Python cannot be read by another user")
    home = tmp_path
    while home != home.parent:  # pytest makes these for root alone
        home.chmod(home.stat().st_mode | 0o011)
        home = home.parent
    os.chown(tmp_path, 65534, 65534)
    service.config.write_text(service.yaml(extra=f"user: '65534'\n{TELEMETRY}"))
    service.out.unlink(missing_ok=True)
    with running(tmp_path) as service:
        service.until_told("running")
        append(service.log, 0, 10)
        service.until_written(10)
        status = Path(f"/proc/{service.process.pid}/status").read_text()
        assert re.search(r"^Uid:\s+65534\s+65534\s+65534\s+65534$", status, re.MULTILINE)
        assert re.search(r"^Groups:\s*(65534)?\s*$", status, re.MULTILINE)
        assert re.search(r"^NoNewPrivs:\s+1$", status, re.MULTILINE)
        assert (tmp_path / "state" / "checkpoints.previous").parent.stat().st_uid == 65534
        assert service.stop() == 0
    assert service.out.stat().st_uid == 65534


@pytest.mark.parametrize("option", [True, False])
@pytest.mark.parametrize(("rest", "code", "numbers"), [("", 75, ["C159", "R507"]), ("inputs: {x: {type: none}}\n", 78, ["C108"])])
def test_all_that_a_service_says_in_json_is_json(rest: str, code: int, numbers: list[str], option: bool, tmp_path: Path) -> None:
    """Also the warnings of its configuration, before anything else, and what it ends with: each with its number, its place and what helps."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        (tmp_path / "x.yaml").write_text(
            f"state: {tmp_path}/state\ntelemetry: {{http: '127.0.0.1:{taken.getsockname()[1]}'}}\n"
            + (rest or f"inputs: {{mail: {{type: file, paths: ['{tmp_path}/none/mail.log']}}}}\n")
            + f"outputs: {{out: {{type: jsonl, path: {tmp_path}/out}}}}\n"
            + ("" if option else "log: {format: json}\n")
        )
        ended = subprocess.run(
            [*COMMAND, "run", str(tmp_path / "x.yaml"), "--allow-root", *(["--log-format", "json"] if option else [])],
            env=ENVIRONMENT,
            capture_output=True,
            timeout=60,
        )
    said = [json.loads(line) for line in ended.stderr.splitlines()]
    assert ended.returncode == code
    assert [one["number"] for one in said if "number" in one] == numbers
    assert [one["level"] for one in said if "number" in one] == ["warning" if one == "C159" else "error" for one in numbers]
    assert said[0]["place"].startswith(f"{tmp_path}/x.yaml:3:")
