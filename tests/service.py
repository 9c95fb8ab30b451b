"""`shipper run` as a process, for tests: a service in a directory of its own, told of and waited for."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

COMMAND = [sys.executable, "-m", "shipper"]
ENVIRONMENT = {**{name: value for name, value in os.environ.items() if name != "STATE_DIRECTORY"}, "TZ": "UTC", "LC_ALL": "C.UTF-8"}
TELEMETRY = "telemetry: {http: off}\n"


def line(number: int) -> str:
    return (
        f"02-Mar-2026 10:{number // 600 % 60:02d}:{number // 10 % 60:02d}.{number % 10}0 tcp_local    ims-ms       EE 1 user{number}@example.com"
        f" rfc822;bob@example.org bob@example.org\n"
    )


def append(path: Path, first: int, count: int) -> None:
    with path.open("a") as log:
        log.write("".join(map(line, range(first, first + count))))


def numbers(path: Path) -> list[int]:
    """The numbers of the records in an output file, in order; a half line at its end is not yet one."""
    if not path.exists():
        return []
    whole, _, _ = path.read_bytes().rpartition(b"\n")
    return [int(json.loads(one)["sender"].removeprefix("user").partition("@")[0]) for one in whole.splitlines()]


class Running:
    """A service in a directory: `shipper.yaml`, `in/*.log` -> `out.jsonl`."""

    def __init__(
        self,
        home: Path,
        config: str = "",
        *,
        extra: str = "",
        outputs: str = "",
        code: str = "",
        wrapper: tuple[str, ...] = (),
        **environment: str,
    ) -> None:
        self.home = home
        self.log = home / "in" / "mail.log"
        self.out = home / "out.jsonl"
        self.config = home / "shipper.yaml"
        self.log.parent.mkdir(exist_ok=True)
        if config or not self.config.exists():
            self.config.write_text(config or self.yaml(extra, outputs))
        self.told: list[str] = []
        self._partial = b""
        command = [sys.executable, "-c", code] if code else COMMAND
        self.process = subprocess.Popen(
            [*wrapper, *command, "run", str(self.config), "--allow-root", "--log-format", "text"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**ENVIRONMENT, **environment},
        )

    def yaml(self, extra: str = TELEMETRY, outputs: str = "") -> str:
        return (
            f"state: {self.home}/state\n{extra or TELEMETRY}"
            f"inputs:\n  mail: {{type: file, paths: ['{self.home}/in/*.log'], poll: 50ms}}\n"
            f"outputs:\n  out: {{type: jsonl, path: {self.out}, profile: native}}\n{outputs}"
        )

    def until_told(self, text: str, seconds: float = 15) -> str:
        """Waits for a line of the service's own log."""
        assert self.process.stderr
        last = time.monotonic() + seconds
        while True:
            for one in self.told:
                if text in one:
                    return one
            left = last - time.monotonic()
            assert left > 0, f"never said {text!r}, but:\n" + "\n".join(self.told)
            waiting = select.poll()  # select() knows descriptors below 1,024 only, and a test may have more
            waiting.register(self.process.stderr, select.POLLIN)
            if waiting.poll(left * 1000):
                octets = os.read(self.process.stderr.fileno(), 1 << 16)
                assert octets, f"ended without saying {text!r}, but:\n" + "\n".join(self.told)
                *whole, self._partial = (self._partial + octets).split(b"\n")
                self.told += [one.decode() for one in whole]

    def until_written(self, count: int, seconds: float = 15) -> list[int]:
        """Waits for so many records in the output."""
        last = time.monotonic() + seconds
        while len(found := numbers(self.out)) < count:
            assert time.monotonic() < last, f"{len(found)} of {count} records"
            assert self.process.poll() is None, self.rest()
            time.sleep(0.02)
        return found

    def rest(self) -> str:
        """What the service has said, once it has ended."""
        assert self.process.stderr
        self.told += (self._partial + self.process.stderr.read()).decode().splitlines()
        self._partial = b""
        return "\n".join(self.told)

    def stop(self, number: signal.Signals = signal.SIGTERM, seconds: float = 15) -> int:
        """Sends a signal and waits for the end: the exit code."""
        self.process.send_signal(number)
        return self.ended(seconds)

    def ended(self, seconds: float = 15) -> int:
        code = self.process.wait(seconds)
        said = self.rest()
        assert "Traceback" not in said or code == 70, said
        for stream in (self.process.stdin, self.process.stderr):
            if stream:
                stream.close()
        return code


@contextmanager
def running(home: Path, **settings: Any) -> Iterator[Running]:
    service = Running(home, **settings)
    try:
        yield service
    finally:
        if service.process.poll() is None:
            service.stop(signal.SIGKILL)
        for stream in (service.process.stdin, service.process.stderr):
            if stream:
                stream.close()


def shipper(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True, env=ENVIRONMENT, timeout=30, check=False)


def status(state: Path) -> dict[str, Any]:
    """What the service of this state directory says of itself, asked without the cost of a process."""
    directory = os.open(state, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
            asking.connect(f"/proc/self/fd/{directory}/control")  # however long the name is
            asking.sendall(b"GET /status HTTP/1.0\r\n\r\n")
            answer = b"".join(iter(lambda: asking.recv(1 << 16), b""))
    finally:
        os.close(directory)
    found: dict[str, Any] = json.loads(answer.partition(b"\r\n\r\n")[2])
    return found


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port
