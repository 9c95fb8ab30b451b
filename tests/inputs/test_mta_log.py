"""Input mta_log: every record of the family once, whatever the nightly job does and however long nobody was there."""

from __future__ import annotations

import asyncio
import gzip
import os
import random
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from shipper.batch import Batch
from shipper.inputs.base import Reading
from shipper.inputs.mta_log import MtaLogInput
from shipper.record import Mta
from tests.inputs.places import Places


class Server:
    """The mail server's side: lines with numbers, and the message return job."""

    def __init__(self, folder: Path, stem: str = "mail.log") -> None:
        self.folder, self.stem = folder, stem
        self.number = 0
        self.day = 1

    def path(self, rest: str) -> Path:
        return self.folder / f"{self.stem}{rest}"

    def write(self, count: int) -> None:
        with open(self.path("_current"), "a") as file:
            for _ in range(count):
                self.number += 1
                file.write(
                    f"{self.day % 28 + 1:02d}-Mar-2005 08:00:00.00 tcp_local    l            E 1 a{self.number}@example.com "
                    f"rfc822;b@example.org b@example.org\n"
                )

    def midnight(self, *, in_parts: bool = False) -> None:
        """Yesterday is appended to the cumulative file, current becomes yesterday."""
        yesterday = self.path("_yesterday")
        if yesterday.exists():
            octets = yesterday.read_bytes()
            with open(self.path(""), "ab") as file:
                file.write(octets)
            yesterday.unlink()
        if self.path("_current").exists():
            os.rename(self.path("_current"), yesterday)
        self.day += 1


class Client:
    """Our side: starts, reads until there is nothing more, stops."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.places = Places()
        self.got: list[int] = []
        self.input: MtaLogInput | None = None

    def run(self, *, start: str = "beginning", at_least: float = 0.06, between: Any = None) -> None:
        async def deliver(batch: Batch) -> None:
            for record in batch.records:
                assert isinstance(record, Mta), record
                self.got.append(int(record.sender[1:].partition("@")[0]))
            batch.receipt.settle()

        async def main() -> None:
            self.input = MtaLogInput("mta", str(self.folder), Reading(ZoneInfo("UTC")), start=start, poll=0.01)
            stop = asyncio.Event()
            task = asyncio.create_task(self.input.run(deliver, self.places, stop))
            before = -1
            await asyncio.sleep(at_least)
            if between:
                between()
                await asyncio.sleep(at_least)
            while len(self.got) != before:
                before = len(self.got)
                await asyncio.sleep(0.06)
            stop.set()
            await task

        asyncio.run(main())


def test_a_day_and_its_night(tmp_path: Path) -> None:
    """First start with history, then lines, midnights while running: all once, in order."""
    server, client = Server(tmp_path), Client(tmp_path)
    for _ in range(3):
        server.write(20)
        server.midnight()
    server.write(20)
    client.run(between=lambda: (server.write(5), server.midnight(), server.write(5)))
    client.run(between=lambda: (server.midnight(), server.write(5), server.midnight()))
    assert client.got == list(range(1, server.number + 1))


@pytest.mark.parametrize("nights", [1, 2, 3, 6])
@pytest.mark.parametrize("read", [0, 1, 37])
def test_stopped_over_nights(tmp_path: Path, nights: int, read: int) -> None:
    """Stopped at any point of a day, for one night or many: what was missed is read from the cumulative file, nothing of it twice."""
    server, client = Server(tmp_path), Client(tmp_path)
    server.write(30)
    server.midnight()
    server.write(read)
    client.run()
    server.write(23)
    for _ in range(nights):
        server.midnight()
        server.write(11)
    client.run()
    assert client.got == list(range(1, server.number + 1))
    assert client.input and client.input.losses == (0, 0)
    server.write(3)
    server.midnight()
    client.run()
    assert client.got == list(range(1, server.number + 1))


@pytest.mark.parametrize("start", ["end", "now"])
def test_first_start_at_the_end(tmp_path: Path, start: str) -> None:
    """Only what comes after the first start; a night away after that loses nothing."""
    server, client = Server(tmp_path), Client(tmp_path)
    for _ in range(3):
        server.write(10)
        server.midnight()
    server.write(10)
    client.run(start=start, between=lambda: server.write(7))
    for _ in range(3):
        server.midnight()
        server.write(4)
    client.run(start=start)
    assert client.got == list(range(41, server.number + 1))


def test_history_that_the_site_rotated_and_compressed(tmp_path: Path) -> None:
    """What was missed stands in mail.log.1.gz by now: it is found there, and read on to its end."""
    server, client = Server(tmp_path), Client(tmp_path)
    server.write(100)
    client.run()
    server.write(40)
    for _ in range(2):
        server.midnight()
        server.write(10)
    history = server.path("")
    with gzip.open(server.path(".1.gz"), "wb") as packed:
        packed.write(history.read_bytes())
    history.unlink()
    client.run(at_least=0.3)
    assert client.got == list(range(1, server.number + 1))


def test_what_is_nowhere_is_a_loss_only_when_there_can_be_one(tmp_path: Path) -> None:
    """Yesterday's log was read to its end, and the site deletes its history: nothing is lost, nothing is said."""
    server, client = Server(tmp_path), Client(tmp_path)
    server.write(10)
    server.midnight()
    server.write(10)
    client.run()
    server.midnight()
    server.path("").unlink()
    server.write(5)
    client.run()
    assert client.got == list(range(1, 26))
    assert client.input and client.input.losses == (0, 0)


def test_two_families_in_one_directory(tmp_path: Path) -> None:
    """Message and connection logs are two families: neither is taken for the other's history."""
    mail, connection, client = Server(tmp_path), Server(tmp_path, "connection.log"), Client(tmp_path)
    connection.number = 1000
    for server in (mail, connection):
        server.write(12)
    client.run()
    for _ in range(3):
        for server in (mail, connection):
            server.write(8)
            server.midnight()
    client.run()
    assert sorted(client.got) == [*range(1, mail.number + 1), *range(1001, connection.number + 1)]


@pytest.mark.parametrize("seed", range(6))
def test_any_order_of_events(tmp_path: Path, seed: int) -> None:
    """Writing, midnights and restarts in any order, also while it runs: every record once."""
    dice = random.Random(seed)
    server, client = Server(tmp_path), Client(tmp_path)
    server.write(5)
    for _ in range(9):
        for _ in range(dice.randrange(4)):
            dice.choice([lambda: server.write(dice.randrange(1, 60)), server.midnight])()
        if dice.random() < 0.6:
            client.run(between=dice.choice([None, server.midnight, lambda: server.write(9)]))
    client.run()
    assert sorted(client.got) == list(range(1, server.number + 1))
