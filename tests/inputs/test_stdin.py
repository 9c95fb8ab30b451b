"""Input `stdin`: a pipe is read to its end, whatever pieces it comes in."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from shipper.batch import Batch
from shipper.inputs.base import Reading
from shipper.inputs.stdin import Section, Stdin
from shipper.record import Record


class Nothing:
    def load(self) -> dict[str, Any]:
        return {}

    def save(self, places: dict[str, Any]) -> None:
        raise AssertionError("a pipe has no places")


def given_out(pieces: list[bytes], max_line: int = 1 << 20) -> list[Record]:
    """The records of a pipe into which these pieces are written."""
    reading, writing = os.pipe()

    def write() -> None:
        for piece in pieces:
            os.write(writing, piece)
        os.close(writing)

    records: list[Record] = []

    async def deliver(batch: Batch) -> None:
        records.extend(batch.records)
        batch.receipt.settle()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        asyncio.run(Stdin("in", Reading(), max_line=max_line, descriptor=reading).run(deliver, Nothing(), asyncio.Event()))
    finally:
        thread.join()
        os.close(reading)
    return records


@settings(max_examples=40, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=40).map(lambda piece: piece.replace(b"\r", b"a")), max_size=8))
def test_every_line_is_one_record(pieces: list[bytes]) -> None:
    """The last one too, with or without a line end; its offset is that in the stream."""
    stream = b"".join(pieces)
    lines = stream.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    records = given_out(pieces)
    assert len(records) == len(lines)


def test_a_long_line_is_cut_and_the_next_is_whole() -> None:
    records = given_out([b"a\n", b"y" * 5000, b"y" * 70_000, b"y\nb\nc"], max_line=1024)
    assert [len(getattr(record, "message", "")) for record in records] == [1, 1024, 1, 1]
    assert "line of 75001 octets, cut after 1024" in records[1].error


def test_it_stops_while_nothing_comes() -> None:
    """And hands over what was read of a line that had no end yet."""
    reading, writing = os.pipe()
    os.write(writing, b"whole\nhalf")
    records: list[Record] = []
    stop = asyncio.Event()

    async def deliver(batch: Batch) -> None:
        records.extend(batch.records)
        batch.receipt.settle()
        stop.set()

    async def run() -> None:
        source = Stdin("in", Reading(), descriptor=reading)
        async with asyncio.timeout(5):
            await source.run(deliver, Nothing(), stop)
        assert source.lag()[0]["state"] == "stopped"

    asyncio.run(run())
    os.close(writing)
    os.close(reading)
    assert [getattr(record, "message", "") for record in records] == ["whole", "half"]


def test_its_section() -> None:
    assert Section.model_validate({"type": "stdin"}).service == ""
