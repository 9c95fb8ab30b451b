"""What the tests against real receivers share: a program that is started, killed and started again; 100,000 records sent through a lane."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from shipper.batch import Arrival, Receipt
from shipper.buffer import MemoryBuffer
from shipper.deadletter import DeadLetters
from shipper.lane import Lane
from shipper.outputs.base import Output
from shipper.record import Connection, Mta, Record, Service, Source
from shipper.retry import Backoff

CACHE = Path(os.environ.get("SHIPPER_CI_CACHE") or Path.home() / ".cache" / "shipper-ci")
RECORDS = 100_000
OBSERVED = 1_116_028_800_000_000_000

SECONDS = 600
"""A test of 100,000 records may take, on a busy machine. (Alone it takes 5 to 15.)"""

PATIENCE = 240
"""Seconds that a receiver may take to start, on one that is busy with three others of them. (Alone it takes 1 to 10.)"""

_FILE_OCTETS = 4 << 30
"""A receiver that spins on bad input fills no disk."""


def installed(name: str, proof: str, script: str) -> Path:
    """Where a receiver is; the test is skipped by name where it is not."""
    place = CACHE / name
    if not (place / proof).exists():
        pytest.skip(f"{name} is not here: {script}")
    return place


class Program:
    """A receiver as a process of ours. `ready` is a URL that answers 200 when it is, or a local port that takes connections then. `file`: the
    lines that it writes; a kill may cut the last one, and what it writes when it is started again must not stand behind that half."""

    def __init__(
        self, command: Sequence[str], ready: str | int, log: Path, environment: Mapping[str, str] | None = None, *, file: Path | None = None
    ) -> None:
        self._command = list(command)
        self._file = file
        self._environment = {**os.environ, **(environment or {})}
        self._ready = ready
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it is ready."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (_FILE_OCTETS, _FILE_OCTETS)),
            )
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and self._process.poll() is None:
            try:
                with (
                    socket.create_connection(("127.0.0.1", self._ready), timeout=5)
                    if isinstance(self._ready, int)
                    else urllib.request.urlopen(self._ready, timeout=5)
                ):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)
        self.kill()
        pytest.fail(f"{self._command[0]} did not start:\n{self._log.read_text(errors='replace')[-3000:]}")

    def kill(self) -> None:
        """At once, as a power cut would."""
        self._end(signal.SIGKILL)
        if self._file and self._file.exists():
            whole = self._file.read_bytes().rfind(b"\n") + 1
            os.truncate(self._file, whole)

    def stop(self) -> None:
        """In order."""
        self._end(signal.SIGTERM)

    def hang(self) -> None:
        """It reads nothing more, and its connections stand, until it is killed."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def uid(number: int) -> str:
    """The id of the record with this number."""
    return f"{number:032x}"


def records(first: int, count: int) -> list[Record]:
    """Records as logs have them, each with its number as id."""
    found: list[Record] = []
    for number in range(first, first + count):
        time_text = f"2005-05-13T{number // 3600 % 24:02d}:{number // 60 % 60:02d}:{number % 60:02d}.{number % 100:02d}+02:00"
        source = Source("/var/opt/SUNWmsgsr/log/mail.log_current", number * 150)
        host = f"mail{number % 3}.example.com"
        if number % 4 < 2:
            found.append(
                Mta(
                    time=time_text,
                    time_zone_source="config",
                    event="mta.dequeue",
                    severity="info",
                    id=uid(number),
                    source=source,
                    host=host,
                    pid=number % 30_000,
                    code="DES",
                    action="D",
                    modifiers="ES",
                    source_channel="tcp_local",
                    destination_channel="ims-ms",
                    size_blocks=number % 500,
                    sender=f"adam{number}@example.com",
                    original_recipient="bob@example.org",
                    recipient="bob@example.org",
                    original_recipient_type="rfc822",
                    diagnostic="smtp;250 2.1.5 bob@example.org and options OK",
                    smtp_code=250,
                    enhanced_status="2.1.5",
                    transport="TCP",
                    local_ip="192.0.2.1",
                    local_port=2788,
                    remote_ip="198.51.100.25",
                    remote_port=25,
                )
            )
        elif number % 4 == 2:
            found.append(
                Connection(
                    time=time_text,
                    time_zone_source="config",
                    event="mta.connection.open",
                    severity="info",
                    id=uid(number),
                    source=source,
                    host=host,
                    code="O",
                    action="O",
                    source_channel="tcp_local",
                    direction="in",
                    transport="TCP",
                    local_ip="192.0.2.1",
                    local_port=25,
                    remote_ip="203.0.113.7",
                    remote_port=40_000 + number % 20_000,
                    application="SMTP",
                )
            )
        else:
            found.append(
                Service(
                    time=time_text,
                    time_zone_source="record",
                    event="service.login",
                    severity="notice",
                    id=uid(number),
                    source=source,
                    host=host,
                    process="imapd",
                    pid=number % 30_000,
                    service="imap",
                    category="Account",
                    level="Notice",
                    user=f"user{number}",
                    message=f"login [203.0.113.9:4000] user{number} plaintext",
                    client_ip="203.0.113.9",
                    client_port=4000,
                )
            )
    return found


async def deliver(
    output: Output, letters: Path, *, count: int = RECORDS, meanwhile: Callable[[Lane], Coroutine[Any, Any, None]] | None = None
) -> Lane:
    """Sends that many records through a lane of its own, and returns it when nothing waits any more. `meanwhile` runs beside it."""
    lane = Lane(output, MemoryBuffer(16 << 20), DeadLetters(letters), backoff=Backoff(first=0.05, cap=0.5))
    stop = asyncio.Event()
    settled = 0

    def then() -> None:
        nonlocal settled
        settled += 1

    running = asyncio.create_task(lane.run(stop))
    beside = asyncio.create_task(meanwhile(lane)) if meanwhile else None
    batches = 0
    for first in range(0, count, 500):
        await lane.put(records(first, min(500, count - first)), Arrival("test", OBSERVED), Receipt(then))
        batches += 1
    async with asyncio.timeout(SECONDS - 30):
        while settled < batches:
            assert not running.done(), running.exception()
            await asyncio.sleep(0.02)
        if beside:
            await beside
    stop.set()
    await running
    await lane.drain(5)
    assert lane.balanced and lane.waiting == 0
    return lane


def cut_in_the_middle(program: Program, count: int = RECORDS) -> Callable[[Lane], Coroutine[Any, Any, None]]:
    """Kills the receiver when a third is delivered, and starts it again."""

    async def run(lane: Lane) -> None:
        while lane.counts.delivered < count // 3:
            await asyncio.sleep(0.005)
        await asyncio.to_thread(program.kill)
        await asyncio.sleep(0.3)
        await asyncio.to_thread(program.start)

    return run


def running(program: Program) -> Iterator[Program]:
    """For fixtures."""
    program.start()
    try:
        yield program
    finally:
        program.kill()
