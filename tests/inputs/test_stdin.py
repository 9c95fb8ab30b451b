"""Input `stdin`: a pipe is read to its end, whatever pieces it comes in."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipper import compiled
from shipper.batch import Batch
from shipper.inputs.base import Reading
from shipper.inputs.stdin import Section, Stdin
from shipper.record import Record
from shipper.straight import apart


class Nothing:
    def load(self) -> dict[str, Any]:
        return {}

    def save(self, places: dict[str, Any]) -> None:
        raise AssertionError("a pipe has no places")


def given_out(
    pieces: list[bytes], max_line: int = 1 << 20, told: Reading | None = None, batches: list[Batch] | None = None
) -> list[Record]:  # fmt: skip
    """The records of a pipe into which these pieces are written; and the batches that they came in."""
    reading, writing = os.pipe()

    def write() -> None:
        for piece in pieces:
            os.write(writing, piece)
        os.close(writing)

    records: list[Record] = []

    async def deliver(batch: Batch) -> None:
        if batches is not None:
            batches.append(batch)
        records.extend(batch.records)
        batch.receipt.settle()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        asyncio.run(Stdin("in", told or Reading(), max_line=max_line, descriptor=reading).run(deliver, Nothing(), asyncio.Event()))
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


def test_lines_that_the_compiled_twin_reads_are_the_same() -> None:
    """Whatever pieces they come in, and with what is not for it in between; and it does read them."""
    module, why = compiled.find()
    if module is None:
        pytest.skip(f"no compiled twin: {why}")
    line = b"19-Jan-1998 19:%02d:%02d.64 2e2d.2.1 tcp_local    ims-ms       E 1 adam@example.com rfc822;bob@example.org bob@example.org\n"
    stream = b"".join([line % (number // 60, number % 60) for number in range(3000)]) + b"y" * 3000 + b"\nthe last"
    pieces = [stream[:7], stream[7:200_000], stream[200_000:330_000], stream[330_000:]]
    for profile in ("native", "ecs"):
        batches: list[Batch] = []
        with_twin = given_out(pieces, 2000, Reading(twin=module, profile=profile), batches)
        assert with_twin == given_out(pieces, 2000)
        assert sum([len(batch.records) - len([*apart(batch.records)]) for batch in batches]) > 2500
