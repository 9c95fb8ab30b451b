"""`python -m bench.udp`: how many datagrams a second are received and read into records without losing one, and what one costs.

A paced sender, a process of its own, sends the lines of a generated MTA log and those of another program behind syslog headers, faster from
step to step until the kernel drops one. The receiver is the syslog input as it is configured by default, in this process; its CPU time is all
of it: the loop, the socket, the parsing, the id.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import multiprocessing
import socket
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from bench import corpus
from shipper.batch import Batch
from shipper.inputs.base import Reading
from shipper.inputs.syslog import Section, make

HEADER = b"<22>Aug 30 16:53:05 mail.example.com imta[411]: "
OTHER = b"<86>Aug 30 16:53:05 mail.example.com sshd[911]: Accepted publickey for adam from 192.0.2.7 port 51234 ssh2: " + b"x" * 190
STEPS = (10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 120, 140, 160, 180, 200)
"""Thousands of datagrams a second."""


class Run(NamedTuple):
    """One rate: datagrams sent, read and dropped by the kernel; seconds that sending took; CPU seconds of the receiver."""

    sent: int
    read: int
    dropped: int
    seconds: float
    cpu: float


def send(port: int, lines: Sequence[bytes], count: int, rate: int) -> None:
    """The sender: `count` datagrams, in time as even as a process can."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(("127.0.0.1", port))
        began, done = time.perf_counter(), 0
        while done < count:
            due = min(count, int((time.perf_counter() - began) * rate) + 1)
            for number in range(done, due):
                sender.send(lines[number % len(lines)])
            done = max(done, due)


class NoPlaces:
    """Syslog remembers nothing."""

    def load(self) -> dict[str, object]:
        return {}

    def save(self, places: dict[str, object]) -> None:
        pass


async def receive(lines: Sequence[bytes], rate: int, seconds: float) -> Run:
    """One run at this rate."""
    receiver = make("udp", Section(type="syslog", listen=("udp://127.0.0.1:0",)), Reading(ZoneInfo("UTC")))

    async def deliver(batch: Batch) -> None:
        batch.receipt.settle()

    stop, count = asyncio.Event(), int(rate * seconds)
    running = asyncio.create_task(receiver.run(deliver, NoPlaces(), stop))
    while not receiver.addresses:
        await asyncio.sleep(0.01)
    port = int(receiver.addresses[0].rpartition(":")[2])
    sender = multiprocessing.get_context("spawn").Process(target=send, args=(port, lines, count, rate))
    sender.start()
    while not receiver.counts.received and sender.is_alive():
        await asyncio.sleep(0.001)
    began, cpu = time.perf_counter(), time.process_time()
    while sender.is_alive():
        await asyncio.sleep(0.05)
    took = time.perf_counter() - began
    stop.set()
    await running
    cpu = time.process_time() - cpu
    receiver.close()
    return Run(count, receiver.counts.received, receiver.counts.kernel_drops, took, cpu)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.udp", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="how long each rate is sent")
    options = parser.parse_args()
    gc.freeze()
    gc.set_threshold(50_000)
    with tempfile.TemporaryDirectory() as directory:
        log = corpus.generated([sys.executable, "-m", "shipper"], Path(directory), 5000)["mta"]
        bodies = [line for line in log.read_bytes().split(b"\n") if line]
    for name, lines in (("MTA records", [HEADER + body for body in bodies]), ("other messages", [OTHER])):
        print(f"{name}, {sum(map(len, lines)) // len(lines)} octets")
        for rate in STEPS:
            run = asyncio.run(receive(lines, rate * 1000, options.seconds))
            print(
                f"  {run.sent / run.seconds:9,.0f}/s  read {run.read:,} of {run.sent:,}, {1e6 * run.cpu / max(run.read, 1):.1f} µs CPU each"
            )
            if run.read < run.sent:
                break


if __name__ == "__main__":
    main()
