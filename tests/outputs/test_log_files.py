"""Output log_files: families of files as the mail server has them, under its limits, whatever happens to the files, the disk or the process."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any
from zlib import crc32
from zoneinfo import ZoneInfo

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from shipper.batch import Arrival, Batch
from shipper.config.load import load
from shipper.errors import Failure
from shipper.inputs.base import Reading
from shipper.inputs.service_log import ServiceLogInput
from shipper.intents import Stretch
from shipper.mailserver.logfiles import LogFile, rolled
from shipper.mailserver.settings import MailServer
from shipper.outputs.base import Findable, Refused, Unavailable
from shipper.outputs.families import LOCK, no_step
from shipper.outputs.log_files import LogFiles, Section, make
from shipper.outputs.sequences import Sequences
from shipper.record import Connection, Debug, Header, Mta, Record, Service, Source, Store, Syslog, Text, Unparsed
from tests.inputs.places import Places
from tests.service import Running, running

START = 1_700_000_000
DAY = 86400
PLENTY = 1 << 40


class World:
    """A clock and a disk that only move when they are told to."""

    def __init__(self) -> None:
        self.now = float(START)
        self.free: Callable[[], int] = lambda: PLENTY

    def output(
        self, directory: Path | None, server: MailServer | None = None, written: Callable[[str], None] = no_step, **settings: Any
    ) -> LogFiles:
        section = Section(type="log_files", directory=str(directory) if directory else None, **settings)
        return LogFiles("out", section, server or MailServer(), now=lambda: self.now, free=lambda _: self.free(), written=written)


def send(out: LogFiles, *batches: Sequence[bytes]) -> None:
    """One connection, and these batches over it; in this thread, as a loop and a thread for each take longer than all the rest."""
    sender = out.sender()
    for batch in batches:
        sender._send(batch)


def older(directory: Path, family: str = "imap") -> list[LogFile]:
    """The files that were rolled over, from old to new."""
    found = [file for path in directory.iterdir() if (file := rolled(path.name, path.stat().st_size)) and file.family == family]
    return sorted(found, key=lambda file: file.sequence)


def content(directory: Path, family: str = "imap") -> list[bytes]:
    """All lines that are there, from old to new."""
    paths = [directory / file.name for file in older(directory, family)]
    if (directory / family).exists():
        paths.append(directory / family)
    return [line for path in paths for line in path.read_bytes().splitlines()]


def number_of_current(directory: Path, family: str = "imap") -> int:
    (marker,) = directory.glob(f".{family}.[0-9]*.[0-9]*")
    return int(marker.name.split(".")[-2])


# --- which family ---

FAMILY = [
    (Mta(code="E"), "mail.log", "mail.log"),
    (Header(header_name="Subject"), "mail.log", "mail.log"),
    (Connection(code="O"), "mail.log", "connection.log"),
    (Service(service="imap"), "imap", "imap"),
    (Service(service="mmp"), "mmp", "mmp"),
    (Service(service=""), "default", "default"),
    (Service(service="../../etc/x"), "etc_x", "etc_x"),
    (Service(service="/"), "default", "default"),
    (Service(service="mail.log"), "mail_log", "mail_log"),
    (Service(service="a b\nc\0é" + "x" * 99), "a_b_c__" + "x" * 57, "a_b_c__" + "x" * 57),
    (Store(service="imap"), "imap", "imap"),
    (Store(service="imap", source=Source("/logs/msgtrace.3.1700000000")), "msgtrace", "msgtrace"),
    (Debug(service="dispatcher"), "dispatcher", "dispatcher"),
    (Text(message="x"), "default", "default"),
    (Text(message="x", source=Source("/logs/pop")), "pop", "pop"),
    (Unparsed(raw="x", source=Source("/logs/mail.log_current")), "mail.log", "mail.log"),
    (Unparsed(raw="x", source=Source("/logs/connection.log_current")), "mail.log", "connection.log"),
    (Syslog(message="x"), "default", "default"),
]


@pytest.mark.parametrize(("record", "together", "apart"), FAMILY, ids=lambda value: value.kind if isinstance(value, Record) else None)
def test_a_record_goes_to_the_family_of_its_service(tmp_path: Path, record: Record, together: str, apart: str) -> None:
    """Of the MTA `mail.log`, connections apart with SEPARATE_CONNECTION_LOG; of a service its own; whatever stands there, it is a plain name."""
    for server, family in ((MailServer(), together), (MailServer.of({"SEPARATE_CONNECTION_LOG": 1}), apart)):
        for profile in ("native", "ecs", "text"):
            (payload,) = World().output(tmp_path, server, profile=profile).render([record], Arrival("in", 0))
            assert payload.split(b" ")[0].decode() == family
            assert payload.count(b"\n") == 1 and payload.endswith(b"\n")


def test_lines_of_a_batch_are_in_their_families_in_order(tmp_path: Path) -> None:
    """Each family has its lines, whole and in order; the files have 0640; nothing else is there but what is hidden."""
    records = [Service(service=("imap", "pop")[number % 2], message=str(number)) for number in range(20)]
    out = World().output(tmp_path, profile="native")
    payloads = out.render(records, Arrival("in", 0))
    send(out, payloads[:7], payloads[7:])
    assert [json.loads(line)["message"] for line in content(tmp_path, "imap")] == [str(number) for number in range(0, 20, 2)]
    assert [json.loads(line)["message"] for line in content(tmp_path, "pop")] == [str(number) for number in range(1, 20, 2)]
    assert sorted(path.name for path in tmp_path.iterdir() if path.name[0] != ".") == ["imap", "pop"]
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o640 for path in tmp_path.iterdir())
    assert all(path.stat().st_size == 0 for path in tmp_path.iterdir() if path.name[0] == ".")


def test_what_has_no_family_is_refused_and_the_rest_is_written(tmp_path: Path) -> None:
    """A spool can hold what another kind of output of this name has left there: it goes to the dead letters."""
    with pytest.raises(Refused) as refused:
        send(World().output(tmp_path), [b'{"kind":"mta"}\n', b"imap 1\n", b"../x 2\n", b"imap no end", b""])
    assert refused.value.indices == (0, 2, 3, 4) and refused.value.again == ()
    assert content(tmp_path) == [b"1"]


def test_names_from_a_log_do_not_fill_the_disk_with_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond so many families, lines go to `default`; none is lost."""
    monkeypatch.setattr("shipper.outputs.families.FAMILIES", 20)
    send(World().output(tmp_path), *([b"s%d %d\n" % (number, number)] for number in range(15)))
    send(World().output(tmp_path), [b"s%d %d\n" % (number, number) for number in range(30)])
    assert len([path for path in tmp_path.iterdir() if path.name[0] != "."]) == 21
    assert content(tmp_path, "default") == [b"%d" % number for number in range(20, 30)]


def test_where_the_lines_of_a_send_will_stand_is_told_if_that_is_one_place(tmp_path: Path) -> None:
    """For the next start, after a kill: told before they are written, and of a send that stands in two places not at all."""
    told: list[tuple[Stretch, bytes]] = []
    out = World().output(tmp_path, profile="text", maxlogfilesize=150)
    sender = out.sender()
    assert isinstance(sender, Findable)
    sender.about = lambda stretch: told.append((stretch, Path(stretch.path).read_bytes()))
    sender._send([b"imap 1\n", b"imap 2\n"])
    sender._send([b"imap 3\n"])
    assert len(told) == 2
    octets = (tmp_path / "imap").read_bytes()
    for stretch, before in told:
        there = octets[stretch.start : stretch.start + stretch.octets]
        assert (len(there), crc32(there), octets[: stretch.start]) == (stretch.octets, stretch.crc, before)
        assert (stretch.device, stretch.inode) == ((tmp_path / "imap").stat().st_dev, (tmp_path / "imap").stat().st_ino)
    sender._send([b"imap 4\n", b"pop 5\n"])
    sender._send([b"imap " + b"6" * 99 + b"\n", b"imap " + b"7" * 99 + b"\n"])
    with pytest.raises(Refused):
        sender._send([b"imap 8\n", b"?"])
    assert len(told) == 2


# --- where ---


def test_the_directory_is_that_of_the_settings(tmp_path: Path) -> None:
    """Without `directory`, each service's logdir; one that has none follows `default`. With it, all are there."""
    for name in ("one", "two", "three"):
        (tmp_path / name).mkdir()
    server = MailServer.of({"logfile.imap.logdir": str(tmp_path / "one"), "logfile.default.logdir": str(tmp_path / "two")})
    send(World().output(None, server), [b"imap 1\n", b"pop 2\n", b"mail.log 3\n"])
    send(World().output(tmp_path / "three", server), [b"imap 4\n", b"pop 5\n"])
    assert content(tmp_path / "one") == [b"1"]
    assert (content(tmp_path / "two", "pop"), content(tmp_path / "two", "mail.log")) == ([b"2"], [b"3"])
    assert (content(tmp_path / "three"), content(tmp_path / "three", "pop")) == ([b"4"], [b"5"])


def test_an_output_that_knows_no_directory_is_an_error(tmp_path: Path) -> None:
    """Neither `directory` nor logdir: said by `check`, before anything runs."""
    (tmp_path / "c.yaml").write_text("inputs:\n  in: {type: stdin}\noutputs:\n  out: {type: log_files}\n")
    assert [(problem.number, problem.place.line) for problem in load(tmp_path / "c.yaml", {}).errors] == [("C116", 4)]
    with pytest.raises(Failure, match="directory") as failure:
        make("out", Section(type="log_files"), MailServer())
    assert failure.value.number == "C116"


def test_the_section_is_read(tmp_path: Path) -> None:
    """Sizes and times as people write them; 0 is no limit; nothing negative."""
    (tmp_path / "c.yaml").write_text(
        "inputs:\n  in: {type: stdin}\noutputs:\n  out:\n    type: log_files\n    directory: /tmp\n    profile: text\n"
        "    maxlogfilesize: 3MB\n    maxlogfiles: 0\n    expirytime: 2w\n    fields: [process, message_id]\n"
    )
    found = load(tmp_path / "c.yaml", {})
    assert not found.errors and found.config
    section = found.config.outputs["out"]
    limits = section.limits(
        "imap", MailServer.of({"logfile.imap.maxlogfiles": 3, "logfile.imap.maxlogsize": 99, "logfile.pop.maxlogsize": 7})
    )
    assert limits == (3 << 20, 0, 99, 5 << 20, DAY, 14 * DAY)
    (tmp_path / "c.yaml").write_text((tmp_path / "c.yaml").read_text().replace("maxlogfiles: 0", "maxlogfiles: -1"))
    assert load(tmp_path / "c.yaml", {}).errors


def test_the_defaults_of_services_and_of_the_mta() -> None:
    """Services: what the guide proposes. The MTA never deletes a line: only roll-over and free space, unless the section asks for more."""
    section = Section(type="log_files", directory="/x")
    assert section.limits("pop", MailServer()) == (2 << 20, 10, 20 << 20, 5 << 20, DAY, 7 * DAY)
    strict = MailServer.of({"logfile.imta.maxlogfiles": 1, "logfile.*.expirytime": 1})
    assert section.limits("mail.log", strict) == section.limits("connection.log", strict) == (0, 0, 0, 5 << 20, DAY, 0)
    assert Section(type="log_files", directory="/x", expirytime="30d").limits("mail.log", strict).expirytime == 30 * DAY


# --- limits ---

LINE = b"imap 123456789\n"  # of 10 octets in its file


def write(out: LogFiles, world: World, lines: int, seconds: float = 0) -> None:
    """So many lines of 10 octets, one at a time, and so long between two."""
    for _ in range(lines):
        send(out, [LINE])
        world.now += seconds


@pytest.mark.parametrize(
    ("limits", "lines", "seconds", "files", "current"),
    [
        ({}, 30, 0, 0, 30),
        ({"maxlogfilesize": 50}, 30, 0, 5, 5),
        ({"maxlogfilesize": 55}, 30, 0, 5, 5),
        ({"maxlogfilesize": 5}, 4, 0, 3, 1),  # a line that is larger than a file may be has one for itself
        ({"maxlogfilesize": 50, "maxlogfiles": 3}, 30, 0, 2, 5),
        ({"maxlogfilesize": 50, "maxlogfiles": 1}, 31, 0, 0, 1),
        ({"maxlogfiles": 1}, 30, 0, 0, 30),
        ({"maxlogfilesize": 50, "maxlogsize": 120}, 30, 0, 1, 5),
        ({"maxlogfilesize": 50, "maxlogsize": 100, "maxlogfiles": 9}, 31, 0, 1, 1),
        ({"maxlogsize": 50}, 12, 0, 0, 2),  # less than a file may have: then a file has no more than that
        ({"rollovertime": 10}, 30, 1, 2, 10),
        ({"rollovertime": "1d"}, 3, 2 * DAY, 2, 1),
        ({"rollovertime": 10, "maxlogfilesize": 50}, 30, 1, 5, 5),  # whichever comes first
        ({"rollovertime": 10, "expirytime": 25}, 60, 1, 2, 10),
        ({"rollovertime": 10, "expirytime": 25, "maxlogfiles": 2}, 60, 1, 1, 10),
        ({"expirytime": 5}, 30, 1, 0, 30),  # none of them takes the current file
    ],
)
def test_whichever_limit_comes_first_rules(
    tmp_path: Path, limits: dict[str, Any], lines: int, seconds: float, files: int, current: int
) -> None:
    """So many files that were rolled over, and so many lines in the current one."""
    world = World()
    unlimited = {"maxlogfilesize": 0, "maxlogfiles": 0, "maxlogsize": 0, "minfreediskspace": 0, "rollovertime": 0, "expirytime": 0}
    write(world.output(tmp_path, **{**unlimited, **limits}), world, lines, seconds)
    assert (len(older(tmp_path)), len((tmp_path / "imap").read_bytes().splitlines())) == (files, current)


def test_the_limits_are_those_of_the_services_settings(tmp_path: Path) -> None:
    """Each service has its own; what the section says wins."""
    server = MailServer.of({"logfile.imap.maxlogfilesize": 20, "logfile.imap.maxlogfiles": 2, "logfile.pop.maxlogfilesize": 30})
    batch = [b"imap 123456789\n", b"pop 123456789\n", b"mail.log 123456789\n"]
    send(World().output(tmp_path, server), *[batch] * 12)
    assert [len(older(tmp_path, family)) for family in ("imap", "pop", "mail.log")] == [1, 3, 0]
    send(World().output(tmp_path, server, maxlogfiles=1), batch)
    assert [len(older(tmp_path, family)) for family in ("imap", "pop", "mail.log")] == [0, 0, 0]


def test_names_have_the_sequence_and_when_the_file_was_begun(tmp_path: Path) -> None:
    """`imap.1.<epoch>`, `imap.2.<epoch>`, …: one more each time, the time at which it was begun."""
    world = World()
    write(world.output(tmp_path, maxlogfilesize=20), world, 7, 10)
    assert [file.name for file in older(tmp_path)] == [f"imap.{number}.{START + (number - 1) * 20}" for number in (1, 2, 3)]


def test_space_is_made_on_a_full_disk_and_what_cannot_be_held_is_not_written(tmp_path: Path) -> None:
    """The oldest files go until so much is free; with none left the lane keeps the lines, is told why, and goes on when there is room."""
    world = World()
    out = world.output(tmp_path, maxlogfilesize=50, minfreediskspace=1000)
    write(out, world, 25)
    disk = 1000 + sum(path.stat().st_size for path in tmp_path.iterdir()) - 60
    world.free = lambda: disk - sum(path.stat().st_size for path in tmp_path.iterdir())
    write(out, world, 1)
    assert [file.sequence for file in older(tmp_path)] == [3, 4, 5]
    world.free = lambda: 1000  # and deleting does not make it more, as somebody else has the file open
    for left in (2, 1, 0):
        with pytest.raises(Unavailable, match="1,000 octets would stay free on the disk, and older files of it were deleted"):
            write(out, world, 1)
        assert len(older(tmp_path)) == left
    with pytest.raises(Unavailable, match="would not help"):
        write(out, world, 1)
    world.free = lambda: PLENTY
    write(out, world, 1)
    assert len(content(tmp_path)) == 2
    assert number_of_current(tmp_path) == 6


def test_no_file_is_deleted_where_that_does_not_help(tmp_path: Path) -> None:
    """Others have filled the disk: all of a service's files together would not make the room. They stay."""
    world = World()
    out = world.output(tmp_path, maxlogfilesize=50, minfreediskspace=1000)
    write(out, world, 25)
    world.free = lambda: 500
    with pytest.raises(Unavailable, match="would not help"):
        write(out, world, 1)
    assert len(content(tmp_path)) == 25


def test_what_was_written_before_the_disk_was_full_does_not_come_again(tmp_path: Path) -> None:
    """Room for the first file of a batch only: the lane is told which lines to bring again, and they are written when there is room."""
    world = World()
    out = world.output(tmp_path, maxlogfilesize=30, minfreediskspace=1000)
    left = [PLENTY, 900]
    world.free = lambda: left.pop(0) if left else PLENTY
    batch = [b"imap %09d\n" % number for number in range(6)]
    with pytest.raises(Refused, match="would stay free") as refused:
        send(out, batch)
    assert refused.value.indices == () and refused.value.again == (3, 4, 5)
    send(out, [batch[index] for index in refused.value.again])
    assert content(tmp_path) == [b"%09d" % number for number in range(6)]


FULL = """
import asyncio, resource, signal, sys
from shipper.mailserver.settings import MailServer
from shipper.outputs.base import Unavailable
from shipper.outputs.log_files import LogFiles, Section
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
async def run():
    async with LogFiles("o", Section(type="log_files", directory=sys.argv[1]), MailServer()).sender() as sender:
        for number in range(10):
            try:
                await sender.send([b"imap %029d\\n" % number])
            except Unavailable as reason:
                print(number, reason)
                return
asyncio.run(run())
"""


def test_a_write_that_does_not_fit_is_undone(tmp_path: Path) -> None:
    """The system takes half a line: the file ends with the last whole one, and the sender says why."""
    done = subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, check=True)
    taken, reason = done.stdout.split(" ", 1)
    assert (taken, "file too large" in reason) == ("3", True)
    assert (tmp_path / "imap").read_bytes() == b"".join(b"%029d\n" % number for number in range(3))


def test_free_space_is_that_of_the_real_file_system(tmp_path: Path) -> None:
    """Asked of the system, for the directory itself: nobody has an exabyte."""
    section = Section(type="log_files", directory=str(tmp_path), minfreediskspace=1 << 60)
    with pytest.raises(Unavailable, match="would stay free"):
        send(LogFiles("out", section, MailServer()), [LINE])
    section = Section(type="log_files", directory=str(tmp_path), minfreediskspace=1)
    send(LogFiles("out", section, MailServer()), [LINE])


def test_a_family_without_lines_loses_what_expired_as_well(tmp_path: Path) -> None:
    """Once a minute, whether anything is written or not; the current file stays."""
    world = World()
    out = world.output(tmp_path, maxlogfilesize=10, expirytime=100)
    out.sweep = 0.01

    async def play() -> None:
        async with out.sender() as sender, asyncio.timeout(10):
            await sender.send([b"pop 123456789\n"] * 3)
            await asyncio.sleep(0.05)
            assert len(older(tmp_path, "pop")) == 2
            world.now += 101
            while list(tmp_path.glob("pop.*")):  # by name: one may go while we look
                await asyncio.sleep(0.01)

    asyncio.run(play())
    assert len(content(tmp_path, "pop")) == 1


def test_a_clock_that_was_wrong_does_not_stop_the_roll_over(tmp_path: Path) -> None:
    """A file begun in a future that never was is as old as it seems young; the sequence does not care."""
    world = World()
    out = world.output(tmp_path, rollovertime=DAY)
    world.now = START + 900 * DAY
    write(out, world, 1)
    world.now = START
    write(out, world, 2)
    assert [(file.sequence, file.begun) for file in older(tmp_path)] == [(1, START + 900 * DAY)]
    assert number_of_current(tmp_path) == 2


# --- the sequence ---


def test_the_sequence_goes_on_after_a_restart_and_in_an_emptied_directory(tmp_path: Path) -> None:
    """Its own names say how far it was; without any file the hidden one; in a new directory what the running process knows."""
    world = World()
    logs = tmp_path / "logs"
    logs.mkdir()
    write(world.output(logs, maxlogfilesize=20), world, 5)
    write(world.output(logs, maxlogfilesize=20), world, 2)
    assert [file.sequence for file in older(logs)] == [1, 2, 3] and number_of_current(logs) == 4
    for path in logs.glob("[!.]*"):
        path.unlink()
    out = world.output(logs, maxlogfilesize=20)
    write(out, world, 3)
    assert [file.sequence for file in older(logs)] == [5]
    shutil.rmtree(logs)
    with pytest.raises(Unavailable, match="no such file"):
        write(out, world, 1)
    logs.mkdir()
    write(out, world, 3)
    assert [file.sequence for file in older(logs)] == [7]


def test_numbers_that_somebody_else_has_used_are_not_used_again(tmp_path: Path) -> None:
    """A backup was put back, with higher numbers than ours: the next one is higher than all."""
    world = World()
    out = world.output(tmp_path, maxlogfilesize=20)
    write(out, world, 3)
    (tmp_path / "imap.90.1600000000").write_bytes(b"old\n")
    (tmp_path / f"imap.91.{START}").write_bytes(b"old too\n")
    write(out, world, 3)
    (tmp_path / "imap.95.1").mkdir()
    write(out, world, 2)
    assert number_of_current(tmp_path) == 97
    (tmp_path / "imap.95.1").rmdir()
    assert [file.sequence for file in older(tmp_path)] == [1, 90, 91, 92, 96]
    assert content(tmp_path) == [b"123456789"] * 2 + [b"old", b"old too"] + [b"123456789"] * 6


def test_a_current_file_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    """The mail server's own `imap` is there: nothing is written, renamed or deleted, and it is said."""
    (tmp_path / "imap").write_bytes(b"its own\n")
    (tmp_path / "imap.4.1600000000").write_bytes(b"its own too\n")
    with pytest.raises(Unavailable, match="not begun by this program") as said:
        send(World().output(tmp_path, maxlogfiles=1), [LINE])
    assert said.value.misconfigured
    assert content(tmp_path) == [b"its own too", b"its own"]


def test_links_pipes_and_directories_are_not_written_to(tmp_path: Path) -> None:
    """What is no plain file of our own takes nothing; the other families go on, and only the rest comes again."""
    (tmp_path / "target").write_bytes(b"")
    os.symlink(tmp_path / "target", tmp_path / "imap")
    (tmp_path / "pop").mkdir()
    os.mkfifo(tmp_path / "http")
    with pytest.raises(Refused) as refused:
        send(World().output(tmp_path), [LINE, b"pop 1\n", b"http 1\n", b"admin 1\n"])
    assert refused.value.indices == () and refused.value.again == (0, 1, 2)
    assert content(tmp_path, "admin") == [b"1"] and (tmp_path / "target").read_bytes() == b""
    for family in ("imap", "pop", "http"):
        (tmp_path / f".{family}.1.1").touch()
        with pytest.raises(Unavailable):
            send(World().output(tmp_path), [family.encode() + b" 1\n"])
    assert (tmp_path / "target").read_bytes() == b""


def test_files_that_are_renamed_or_deleted_under_us(tmp_path: Path) -> None:
    """The next lines go to a new current file, under a new number; what was moved away keeps its lines."""
    world = World()
    out = world.output(tmp_path)

    async def run() -> None:
        async with out.sender() as sender:
            await sender.send([b"imap 1\n"])
            (tmp_path / "imap").rename(tmp_path / "moved")
            await sender.send([b"imap 2\n"])
            (tmp_path / "imap").unlink()
            (tmp_path / LOCK).unlink()
            await sender.send([b"imap 3\n"])

    asyncio.run(run())
    assert ((tmp_path / "moved").read_bytes(), (tmp_path / "imap").read_bytes()) == (b"1\n", b"3\n")
    assert number_of_current(tmp_path) == 3


def test_half_a_line_is_cut_off_before_anything_is_written(tmp_path: Path) -> None:
    """What a crash or a full disk left: it was not taken, and comes again."""
    out = World().output(tmp_path)
    send(out, [b"imap whole\n"])
    with (tmp_path / "imap").open("ab") as file:
        file.write(b"hal")
    send(out, [b"imap next\n"])
    assert content(tmp_path) == [b"whole", b"next"]


# --- our own input reads it ---


class Reader:
    """The input `service_log` on what is written: which messages came, in one life of it after the other."""

    def __init__(self, directory: Path, services: Sequence[str]) -> None:
        self.directory = directory
        self.services = services
        self.places = Places()
        self.got: list[int] = []
        self.losses = 0

    async def read(self, while_it_runs: Callable[[], Awaitable[None]], wanted: int = 0) -> None:
        """Follows until so many have come in all, or nothing more comes. (What was renamed between a look and an open is tried again a second
        later.)"""
        made = ServiceLogInput("in", str(self.directory), self.services, Reading(ZoneInfo("UTC")), poll=0.01)
        stop = asyncio.Event()
        task = asyncio.create_task(made.run(self._deliver, self.places, stop))
        await while_it_runs()
        before = -1
        for _ in range(100):
            if before == len(self.got) >= wanted:
                break
            before = len(self.got)
            await asyncio.sleep(0.1)
        stop.set()
        await task
        self.losses += made.losses[0]

    async def _deliver(self, batch: Batch) -> None:
        for record in batch.records:
            assert isinstance(record, Service | Mta), record
            if isinstance(record, Mta) or record.process != "shipper":
                self.got.append(int(record.message if isinstance(record, Service) else record.message_id))
        batch.receipt.settle()


def numbered(number: int) -> Record:
    """One record of a service, one of the MTA, in turn."""
    time = "2005-03-07T09:26:53.58+00:00"
    if number % 2:
        return Service(time=time, host="mail", process="imapd", service="imap", category="Account", level="Notice", message=str(number))
    return Mta(time=time, code="E", source_channel="l", destination_channel="ims-ms", size_blocks=1, sender="a@example.com",
               original_recipient_type="rfc822", original_recipient="b@example.com", recipient="b@example.com", message_id=str(number))  # fmt: skip


@pytest.mark.parametrize("profile", ["native", "text"])
def test_our_own_input_follows_what_is_written(tmp_path: Path, profile: str) -> None:
    """While files are rolled over under it: every record once, and nothing called a loss."""
    reader = Reader(tmp_path, ["imap", "mail.log"])
    out = World().output(tmp_path, profile=profile, maxlogfilesize=1000, maxlogfiles=0, maxlogsize=0)

    async def write() -> None:
        async with out.sender() as sender:
            for begin in range(0, 400, 20):
                await sender.send(out.render([numbered(number) for number in range(begin, begin + 20)], Arrival("in", 0)))
                await asyncio.sleep(0.005)

    asyncio.run(reader.read(write, 400))
    assert len(older(tmp_path)) > 5 and len(older(tmp_path, "mail.log")) > 5
    assert sorted(reader.got) == list(range(400))
    assert reader.losses == 0


def test_what_the_limits_deleted_unread_is_told_as_a_loss(tmp_path: Path) -> None:
    """The reader was away while files came and went: what is left comes once, and that there was more is said."""
    reader = Reader(tmp_path, ["imap"])
    out = World().output(tmp_path, profile="native", maxlogfilesize=1000, maxlogfiles=3)

    async def write(begin: int, end: int) -> None:
        async with out.sender() as sender:
            await sender.send(out.render([numbered(number) for number in range(begin, end, 2)], Arrival("in", 0)))

    asyncio.run(reader.read(lambda: write(1, 41)))
    assert reader.losses == 0 and sorted(reader.got) == reader.got and reader.got[-1] == 39
    asyncio.run(write(41, 201))
    before = len(reader.got)
    asyncio.run(reader.read(lambda: asyncio.sleep(0)))
    new = reader.got[before:]
    assert new == list(range(201 - 2 * len(new), 201, 2)) and 0 < len(new) < 80
    assert reader.losses >= 1


# --- crashes, and more than one writer ---


class Killed(BaseException):
    """What stands for a kill: nothing is tidied up."""


class Killer:
    """Ends the process, as it were, at one of the steps."""

    def __init__(self, at: int) -> None:
        self.left = at

    def __call__(self, step: str) -> None:
        self.left -= 1
        if self.left < 0:
            raise Killed(step)


@pytest.mark.parametrize("at", range(40))
def test_a_kill_between_any_two_steps_costs_no_line_and_no_number(tmp_path: Path, at: int) -> None:
    """Killed at the first, second, … step of rolling over, numbering, creating, deleting: the next start goes on. What was under way comes
    again; all else is there once and in order, the numbers are those without gaps, and nothing is left lying about."""
    world = World()
    batches = [[b"imap %03d line %d\n" % (number, line) for line in range(3)] for number in range(6)]
    killer = Killer(at)
    killed = -1
    for number, batch in enumerate(batches):
        try:
            send(world.output(tmp_path, written=killer, maxlogfilesize=25, maxlogfiles=50), batch)
        except Killed:
            killed = number
            killer.left = 1000
            send(world.output(tmp_path, maxlogfilesize=25, maxlogfiles=50), batch)
    assert killed >= 0
    found = content(tmp_path)
    wanted = [line[5:-1] for batch in batches for line in batch]
    assert list(dict.fromkeys(found)) == wanted
    assert {line for line in found if found.count(line) > 1} <= {line[5:-1] for line in batches[killed]}
    numbers = [file.sequence for file in older(tmp_path)]
    assert [*numbers, number_of_current(tmp_path)] == list(range(numbers[0], numbers[0] + len(numbers) + 1))
    assert numbers[0] == 1 or (at == 0 and numbers[0] == 2)  # the very first number may be lost with a file that never was


@pytest.mark.parametrize("at", range(30))
def test_a_kill_while_old_files_are_deleted_keeps_the_limits(tmp_path: Path, at: int) -> None:
    """The limits hold again with the next line, and what stays are the newest lines."""
    world = World()
    killer = Killer(at)
    limits = {"maxlogfilesize": 25, "maxlogfiles": 3, "maxlogsize": 70}
    for number in range(10):
        line = b"imap %09d\n" % number
        try:
            send(world.output(tmp_path, written=killer, **limits), [line])
        except Killed:
            killer.left = 1000
            send(world.output(tmp_path, **limits), [line])
    found = list(dict.fromkeys(content(tmp_path)))
    assert found == [b"%09d" % number for number in range(10)][-len(found) :]
    assert len(older(tmp_path)) <= 2 and len(content(tmp_path)) * 10 <= 70


WRITER = """
import asyncio, sys
from shipper.mailserver.settings import MailServer
from shipper.outputs.log_files import LogFiles, Section
async def run():
    section = Section(type="log_files", directory=sys.argv[1], maxlogfilesize=400, maxlogfiles=0, maxlogsize=0, fsync="never")
    async with LogFiles("o", section, MailServer()).sender() as sender:
        number = int(sys.argv[3])
        while number < int(sys.argv[4]):
            await sender.send([b"imap %s %08d\\n" % (sys.argv[2].encode(), number + each) for each in range(10)])
            number += 10
            print(number, flush=True)
asyncio.run(run())
"""


def writer(directory: Path, name: str, begin: int, end: int = 1 << 30) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", WRITER, str(directory), name, str(begin), str(end)], stdout=subprocess.PIPE, text=True)


def test_a_killed_process_loses_no_line_and_no_number(tmp_path: Path) -> None:
    """kill -9 while it rolls over hundreds of times: everything it called written is there, in order, in files numbered without a gap."""
    begin = 0
    for turn in range(4):
        process = writer(tmp_path, "a", begin)
        assert process.stdout
        for _ in range(20 + 7 * turn):
            begin = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        for line in process.stdout:
            begin = int(line)
        process.wait()
        process.stdout.close()
    writer(tmp_path, "a", begin, begin + 10).communicate()
    found = [int(line.split()[1]) for line in content(tmp_path)]
    assert list(dict.fromkeys(found)) == list(range(begin + 10))
    assert len(found) <= begin + 10 + 4 * 10
    numbers = [file.sequence for file in older(tmp_path)] + [number_of_current(tmp_path)]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_two_processes_share_the_families_of_a_directory(tmp_path: Path) -> None:
    """Both roll over as they write: no number twice, no line lost or doubled, each one's lines in order, no file above its size."""
    processes = [writer(tmp_path, name, 0, 600) for name in ("a", "b")]
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    lines = [line.split() for line in content(tmp_path)]
    for name in (b"a", b"b"):
        assert [int(number) for whose, number in lines if whose == name] == list(range(600))
    numbers = [file.sequence for file in older(tmp_path)]
    assert [*numbers, number_of_current(tmp_path)] == list(range(1, len(numbers) + 2))
    assert all(file.size <= 400 for file in older(tmp_path))


def test_a_writer_that_never_lets_go_is_waited_for_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock is held by a process that hangs: unavailable, in words, and nothing is written meanwhile."""
    monkeypatch.setattr("shipper.outputs.families._LOCK_SECONDS", 0.2)
    (tmp_path / LOCK).touch()
    with (tmp_path / LOCK).open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(Unavailable, match="another process"):
            send(World().output(tmp_path), [LINE])
    send(World().output(tmp_path), [LINE])
    assert content(tmp_path) == [b"123456789"]


def test_the_service_takes_limits_from_the_servers_files(tmp_path: Path) -> None:
    """`shipper run` with a configutil dump: its limits, the new ones after HUP, and after kill -9 no line too few and no number twice."""
    logs, dump = tmp_path / "logs", tmp_path / "configutil.dump"
    logs.mkdir()
    dump.write_text("logfile.imap.maxlogfilesize = 1000\nlogfile.imap.loglevel = Information\nlogfile.imap.maxlogfiles = 100\n")
    config = (
        f"state: {tmp_path}/state\ntelemetry: {{http: off}}\nmailserver: {{configutil: {dump}}}\n"
        f"inputs:\n  in: {{type: file, paths: ['{tmp_path}/in/*.log'], poll: 50ms}}\n"
        f"outputs:\n  out: {{type: log_files, directory: {logs}, profile: text}}\n"
    )

    def write(begin: int, service: Running) -> None:
        with service.log.open("a") as file:
            for number in range(begin, begin + 50):
                file.write(f"[01/Mar/2005:08:00:00 +0000] mail imapd[1]: Account Information: login [192.0.2.1:1] u{number} plaintext\n")
        last = time.monotonic() + 15
        while True:
            try:
                if b" u%d " % (begin + 49) in (logs / "imap").read_bytes():
                    return
            except FileNotFoundError:
                pass  # it is being rolled over
            assert time.monotonic() < last and service.process.poll() is None
            time.sleep(0.02)

    with running(tmp_path, config=config) as first:
        write(0, first)
        assert len(older(logs)) >= 4 and all(file.size <= 1000 for file in older(logs))
        highest = older(logs)[-1].sequence
        dump.write_text(dump.read_text().replace("1000", "3000"))
        first.process.send_signal(signal.SIGHUP)
        first.until_told("configuration taken")
        write(50, first)
        write(100, first)
        assert any(2000 < file.size <= 3000 for file in older(logs) if file.sequence > highest)
        first.process.kill()
        first.process.wait()
    with running(tmp_path) as second:
        write(150, second)
        second.process.send_signal(signal.SIGTERM)
        second.process.wait()
    users = [int(line.split()[8][1:]) for line in content(logs) if b"login" in line]
    assert list(dict.fromkeys(users)) == list(range(200))
    numbers = [file.sequence for file in older(logs)] + [number_of_current(logs)]
    assert numbers == list(range(1, len(numbers) + 1))


def test_the_sequence_goes_on_when_the_whole_directory_was_removed_while_nobody_ran(tmp_path: Path) -> None:
    """Its hidden names too: the state directory has the highest number of each family, and `shipper run` goes on behind it."""
    logs = tmp_path / "logs"
    logs.mkdir()
    config = (
        f"state: {tmp_path}/state\ntelemetry: {{http: off}}\n"
        f"inputs:\n  in: {{type: file, paths: ['{tmp_path}/in/*.log'], poll: 50ms}}\n"
        f"outputs:\n  out: {{type: log_files, directory: {logs}, profile: text, maxlogfilesize: 1000, takes: all}}\n"
    )

    def write(service: Running, begin: int) -> None:
        with service.log.open("a") as file:
            for number in range(begin, begin + 30):
                file.write(f"[01/Mar/2005:08:00:00 +0000] mail imapd[1]: Account Notice: login [192.0.2.1:1] u{number} plaintext\n")
        last = time.monotonic() + 15
        while not (logs / "imap").exists() or b" u%d " % (begin + 29) not in (logs / "imap").read_bytes():
            assert time.monotonic() < last and service.process.poll() is None
            time.sleep(0.02)
        service.process.send_signal(signal.SIGTERM)
        service.process.wait()

    with running(tmp_path, config=config) as first:
        write(first, 0)
    highest = number_of_current(logs)
    assert highest >= 3
    shutil.rmtree(logs)
    logs.mkdir()
    with running(tmp_path) as second:
        write(second, 30)
    numbers = [*(file.sequence for file in older(logs)), number_of_current(logs)]
    assert numbers == list(range(highest + 1, highest + 1 + len(numbers)))


@pytest.mark.parametrize("damaged", [b"", b"{", b"[" * 5000, b"[1]", b'{"a": 1}', b'{"%s": {"imap": "x"}}', b"\xff\0"])
def test_damaged_numbers_in_the_state_directory_stop_nothing(tmp_path: Path, damaged: bytes) -> None:
    """They are a lower bound: without them the directory's own names say how far it was, and the next number is kept again."""
    path, logs, world = tmp_path / "sequences", tmp_path / "logs", World()
    logs.mkdir()
    write(world.output(logs, maxlogfilesize=20), world, 5)
    path.write_bytes(damaged.replace(b"%s", bytes(logs)))
    out = LogFiles("out", Section(type="log_files", directory=str(logs), maxlogfilesize=20), MailServer(), sequences=Sequences(path))
    write(out, world, 2)
    assert number_of_current(logs) == 4 == Sequences(path).of(str(logs), "imap")


def test_a_state_directory_that_takes_nothing_does_not_hold_up_the_log_files(tmp_path: Path) -> None:
    """The numbers in it are a help for a directory that is gone; what is in the directory counts."""
    world, gone = World(), Sequences(tmp_path / "gone" / "sequences")
    out = LogFiles("out", Section(type="log_files", directory=str(tmp_path), maxlogfilesize=20), MailServer(), sequences=gone)
    write(out, world, 5)
    assert number_of_current(tmp_path) == 3 == gone.of(str(tmp_path), "imap")


class Families(RuleBasedStateMachine):
    """Lines, time, a disk that fills up, restarts, kills, two writers: whatever comes in whatever order."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="shipper-log-files-"))
        self.world = World()
        self.others = 0
        self.world.free = lambda: 5000 - self.others - sum(path.stat().st_size for path in self.directory.iterdir())
        self.sent: list[bytes] = []
        self.counter = 0
        self.names: dict[int, str] = {}
        self.highest = 0

    def teardown(self) -> None:
        shutil.rmtree(self.directory)

    @initialize(
        file=st.sampled_from([0, 25, 60]),
        files=st.sampled_from([0, 1, 2, 4]),
        total=st.sampled_from([0, 50, 150]),
        free=st.sampled_from([0, 4000]),
        rollover=st.sampled_from([0, 50]),
        expiry=st.sampled_from([0, 120]),
    )
    def begin(self, file: int, files: int, total: int, free: int, rollover: int, expiry: int) -> None:
        self.limits: dict[str, Any] = {
            "maxlogfilesize": file,
            "maxlogfiles": files,
            "maxlogsize": total,
            "minfreediskspace": free,
            "rollovertime": rollover,
            "expirytime": expiry,
        }
        self.writers = [self.world.output(self.directory, **self.limits) for _ in range(2)]

    @rule(who=st.integers(0, 1), lines=st.integers(1, 8), killed=st.none() | st.integers(0, 12))
    def write(self, who: int, lines: int, killed: int | None) -> None:
        batch = [b"imap %05d%s\n" % (self.counter + each, b"." * ((self.counter + each) % 7)) for each in range(lines)]
        self.counter += lines
        before = {file.name: file for file in older(self.directory)}
        out = self.writers[who]
        if killed is not None:
            out.step = Killer(killed)
        try:
            send(out, batch)
            self.sent += [line[5:-1] for line in batch]
            self.held(before)
        except (Unavailable, Refused, Killed) as error:
            assert isinstance(error, Killed) or self.limits["minfreediskspace"], error
            there = set(content(self.directory))
            taken = max((number + 1 for number, line in enumerate(batch) if line[5:-1] in there), default=0)
            if isinstance(error, Refused):
                taken = len(batch) - len(error.again)
            self.sent += [line[5:-1] for line in batch[:taken]]
            if isinstance(error, Killed):
                self.writers[who] = self.world.output(self.directory, **self.limits)
                self.counter += 1
                self.write(who, 1, None)  # what is seen while it was down is settled with the next line
        out.step = lambda step: None

    def held(self, before: dict[str, LogFile]) -> None:
        """After a write the limits hold, and no file was deleted that they would have left."""
        here = older(self.directory)
        size = (self.directory / "imap").stat().st_size
        one = len((self.directory / "imap").read_bytes().splitlines()) == 1
        limits = self.limits
        total = size + sum(file.size for file in here)
        assert not limits["maxlogfiles"] or len(here) < limits["maxlogfiles"]
        assert not limits["maxlogsize"] or total <= limits["maxlogsize"] or (one and not here)
        assert not limits["maxlogfilesize"] or size <= limits["maxlogfilesize"] or one
        assert self.world.free() >= limits["minfreediskspace"]
        gone = [file for name, file in before.items() if name not in {file.name for file in here}]
        if gone:
            last = max(gone, key=lambda file: file.sequence)
            after = [file for file in here if file.sequence > last.sequence]
            assert after == here, "a newer file was deleted before an older one"
            following = here[0].sequence if here else number_of_current(self.directory)
            assert (
                last.sequence + 1 < following  # of what came between, and went as well, nothing is known any more
                or (limits["maxlogfiles"] and len(here) + 2 > limits["maxlogfiles"])
                or (limits["maxlogsize"] and total + last.size > limits["maxlogsize"])
                or self.world.free() - last.size < limits["minfreediskspace"]
                or limits["expirytime"]
            )

    @rule(seconds=st.sampled_from([1, 30, 60, 200]))
    def time_passes(self, seconds: int) -> None:
        self.world.now += seconds

    @rule(octets=st.sampled_from([0, 700, 950, 1100]))
    def others_use_the_disk(self, octets: int) -> None:
        self.others = octets

    @rule(who=st.integers(0, 1))
    def restart(self, who: int) -> None:
        self.writers[who] = self.world.output(self.directory, **self.limits)

    @precondition(lambda self: self.sent)
    @rule()
    def somebody_empties_the_directory(self) -> None:
        for path in self.directory.glob("[!.]*"):
            path.unlink()
        self.sent = []

    @invariant()
    def the_newest_lines_are_there_once_and_in_order(self) -> None:
        found = content(self.directory)
        assert not found or found == self.sent[-len(found) :]

    @invariant()
    def the_sequence_strictly_grows(self) -> None:
        for file in older(self.directory):
            assert self.names.setdefault(file.sequence, file.name) == file.name
        new = max((file.sequence for file in older(self.directory)), default=0)
        assert new >= self.highest or not older(self.directory)
        self.highest = max(self.highest, new)

    @invariant()
    def no_limit_takes_the_current_file(self) -> None:
        assert not self.sent or (self.directory / "imap").exists()


TestFamilies = Families.TestCase
TestFamilies.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
