"""Input service_log: files by their sequence, in order; what was deleted unread is a loss that is said."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from shipper.batch import Batch
from shipper.inputs.base import Reading
from shipper.inputs.service_log import ServiceLogInput, sequence
from shipper.record import Service
from tests.inputs.places import Places


class Imap:
    """A service that writes its log, and rolls it over."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "imap"
        self.number = 0
        self.files = 0

    def write(self, count: int) -> None:
        with open(self.path, "a") as file:
            for _ in range(count):
                self.number += 1
                file.write(
                    f"[01/Mar/2005:08:00:00 +0000] mail imapd[1]: Account Information: login [192.0.2.1:1] u{self.number} plaintext\n"
                )

    def roll(self) -> Path:
        self.files += 1
        old = self.path.with_name(f"imap.{self.files}.{1110000000 + self.files}")
        os.rename(self.path, old)
        return old


def run(folder: Path, places: Places, between: Any = None) -> tuple[list[int], ServiceLogInput]:
    """One life of the input: until there is nothing more."""
    got: list[int] = []
    made = ServiceLogInput("imap", str(folder), ["imap"], Reading(ZoneInfo("UTC")), poll=0.01)

    async def deliver(batch: Batch) -> None:
        for record in batch.records:
            assert isinstance(record, Service) and record.service == "imap"
            got.append(int(record.user[1:]))
        batch.receipt.settle()

    async def main() -> None:
        stop = asyncio.Event()
        task = asyncio.create_task(made.run(deliver, places, stop))
        await asyncio.sleep(0.06)
        if between:
            between()
        before = -1
        while before != len(got):
            before = len(got)
            await asyncio.sleep(0.06)
        stop.set()
        await task

    asyncio.run(main())
    return got, made


def test_files_are_read_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    """10 comes after 9, the current file last; roll-overs while it runs and while it does not."""
    imap, places = Imap(tmp_path), Places()
    for _ in range(11):
        imap.write(3)
        imap.roll()
    imap.write(2)
    (tmp_path / "imapd.core").write_text("not a log of this service\n")
    first, _ = run(tmp_path, places, lambda: (imap.write(2), imap.roll(), imap.write(2)))
    for _ in range(3):
        imap.write(4)
        imap.roll()
    second, made = run(tmp_path, places)
    assert first + second == list(range(1, imap.number + 1))
    assert made.losses == (0, 0)


def test_what_the_server_deleted_unread_is_counted(tmp_path: Path) -> None:
    """Numbers that are missing after a long stop: one loss event, with a guess of its size; the rest is read."""
    imap, places = Imap(tmp_path), Places()
    imap.write(5)
    imap.roll()
    imap.write(5)
    run(tmp_path, places)
    files = []
    for _ in range(6):
        imap.write(10)
        files.append(imap.roll())
    for old in files[:4]:
        old.unlink()
    got, made = run(tmp_path, places)
    assert got == list(range(51, imap.number + 1))
    events, octets = made.losses
    assert events >= 1
    assert octets > 0


def test_names() -> None:
    """What a file's name says, and what is none of these."""
    assert sequence("/l/imap.63.915107696") == ("/l/imap", 63)
    assert sequence("/l/imap.63.915107696.gz") == ("/l/imap", 63)
    assert sequence("/l/imap.63.915107696.xz") == ("/l/imap", 63)
    assert sequence("/l/imap") == ("/l/imap", None)
    assert sequence("/l/imap.63") == ("/l/imap.63", None)
    assert sequence("/l/mail.log.63.915107696") == ("/l/mail.log", 63)
    assert sequence("/l/other.log.63.915107696") == ("/l/other.log.63.915107696", None)
