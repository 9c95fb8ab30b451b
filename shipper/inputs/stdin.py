"""Input `stdin`: the lines of a pipe, until it ends. Nothing is remembered: what a pipe has given is given.

Read in a thread of its own and not by the event loop: standard input may be a file or a terminal, which the loop cannot wait for.
"""

from __future__ import annotations

import asyncio
import os
import select
import time
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from shipper.batch import Arrival, Batch, Receipt
from shipper.framing import MAX_LINE, Block
from shipper.inputs.base import LINGER_SECONDS, Deliver, Places, Reading
from shipper.inputs.section import Common, MaxLine
from shipper.reader import Reader
from shipper.record import Record
from shipper.straight import StraightReader, joined, reader_of
from shipper.tail.slices import LINES, framed, line_ends

PEER = "stdin"
SLICE = 1 << 18
"""Octets that go together; a pipe gives a quarter of them at a time, at most."""


class Section(Common):
    """Settings of an input of this type."""

    type: Literal["stdin"]
    service: str = Field("", description="What the lines are of, where they do not say it: `imap`, `dispatcher`, ...")
    max_line: MaxLine = MAX_LINE


def make(name: str, section: Section, reading: Reading) -> Stdin:
    """The input of a section."""
    return Stdin(name, reading, service=section.service, max_line=section.max_line)


class Stdin:
    """Reads one descriptor to its end."""

    def __init__(self, name: str, reading: Reading, *, service: str = "", max_line: int = MAX_LINE, descriptor: int = 0) -> None:
        self.name = name
        self._reading = reading
        self._service = service
        self._max_line = max_line
        self._descriptor = descriptor
        self._position = 0
        self._recorded = 0.0
        self._state = "not begun"
        self._waiting = 0

    async def run(self, deliver: Deliver, places: Places, stop: asyncio.Event) -> None:
        """Until the end of the pipe, or `stop`."""
        reader = self._reader()
        rest = b""  # the beginning of a line, at most max_line octets of it
        cut = 0  # octets of that line that were left out
        self._state = "reading"
        while not stop.is_set():
            octets = await asyncio.to_thread(self._read)
            if octets is None:
                continue
            rest, cut = await self._lines(reader, rest, cut, octets, deliver)
            if not octets:
                self._state = "ended"
                return
        if rest:  # read, and so not to be had again
            await self._lines(reader, rest, cut, b"", deliver)
        self._state = "stopped"

    def _reader(self) -> Reader | StraightReader:
        """With the compiled twin, where that is here."""
        told = self._reading
        return reader_of(told.twin, told.profile, told.log(self._service), peer=PEER, raw=told.raw, otlp=told.otlp)

    def _read(self) -> bytes | None:
        """Some octets, none at the end; None when there was nothing for a moment, so that `stop` is seen."""
        try:
            waiting = select.poll()  # select() knows no descriptor above 1,023, and a service may have more
            waiting.register(self._descriptor, select.POLLIN)
            if not waiting.poll(10_000 * LINGER_SECONDS):
                return None
            return os.read(self._descriptor, SLICE)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    async def _lines(
        self, reader: Reader | StraightReader, rest: bytes, cut: int, octets: bytes, deliver: Deliver
    ) -> tuple[bytes, int]:  # fmt: skip
        """Hands over the whole lines of `rest` and `octets`; gives what is left. No octets: the last line is whole."""
        if cut:
            end = octets.find(b"\n")
            if end < 0 and octets:
                return rest, cut + len(octets)
            block = framed(rest, self._position, "", self._max_line)[0]
            cut += max(0, end)
            await self._hand_over(reader, [block._replace(cut=cut)], deliver)
            self._position += len(rest) + cut + 1
            rest, octets = b"", octets[end + 1 :]
            if not octets:
                return b"", 0
        body = rest + octets
        ends = line_ends(body, "")
        if not octets and body:
            ends = [*ends, len(body)]
        start = 0
        for number in range(LINES - 1, len(ends) + LINES - 1, LINES):
            end = ends[min(number, len(ends) - 1)]
            found = framed(body[start:end], self._position, "", self._max_line)
            self._position += end - start
            start = end
            await self._hand_over(reader, found, deliver)
        body = body[start:]
        return body[: self._max_line], max(0, len(body) - self._max_line)

    async def _hand_over(self, reader: Reader | StraightReader, blocks: Sequence[Block], deliver: Deliver) -> None:
        observed = time.time_ns()
        read = [reader.read(block, observed) if isinstance(reader, StraightReader) else reader.read(block) for block in blocks]
        records: Sequence[Record] = joined(read) if read else []
        count = len(records)
        self._waiting += count
        self._recorded = time.monotonic()

        def settled() -> None:
            self._waiting -= count

        await deliver(Batch(records, Arrival(self.name, observed), Receipt(settled)))

    def lag(self) -> list[dict[str, Any]]:
        """One line: its state, octets read, records waiting to be settled, seconds since the last one."""
        seconds = round(time.monotonic() - self._recorded, 3) if self._recorded else None
        state = {"path": "stdin", "state": self._state, "octets": 0, "position": self._position}
        return [{**state, "waiting": self._waiting, "seconds": seconds}]
