"""A process of its own for the tests: input `file`, a file of JSON lines that is fsynced, a file of positions. Nothing else.

python follow_files.py STATE OUT POLL GLOB...
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from typing import Any

import msgspec

from shipper.batch import Batch
from shipper.inputs.base import Reading
from shipper.inputs.file import FileInput
from shipper.tail import listing


class Places:
    """Positions in one file, written when they change: at once, and not again before they are on disk."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.latest: dict[str, Any] | None = None
        self.changed = asyncio.Event()

    def load(self) -> dict[str, Any]:
        try:
            with open(self.path) as file:
                return dict(json.load(file))
        except FileNotFoundError:
            return {}

    def save(self, places: dict[str, Any]) -> None:
        self.latest = places
        self.changed.set()

    def write(self) -> None:
        self.changed.clear()
        with open(self.path + ".new", "w") as file:
            json.dump(self.latest, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(self.path + ".new", self.path)

    async def run(self) -> None:
        while True:
            await self.changed.wait()
            self.write()


async def main(state: str, out: str, poll: str, *patterns: str) -> None:
    places = Places(state)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    print("ready", flush=True)
    sink = os.open(out, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    end = os.fstat(sink).st_size
    while end and os.pread(sink, 1, end - 1) != b"\n":  # the line in which the last one was killed
        end -= 1
    os.ftruncate(sink, end)
    encoder = msgspec.json.Encoder()

    async def deliver(batch: Batch) -> None:
        rest = memoryview(encoder.encode_lines(batch.records))
        while rest:
            rest = rest[os.write(sink, rest) :]
        os.fsync(sink)
        batch.receipt.settle()

    follow = FileInput("logs", lambda known: listing(patterns, ["*.new", ".*"], known), Reading(), poll=float(poll), idle_flush=1.0)
    writing = asyncio.create_task(places.run())
    await follow.run(deliver, places, stop)
    writing.cancel()
    if places.latest is not None:
        places.write()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
