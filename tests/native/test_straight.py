"""A `Straight` is the list of its records, whatever becomes of it; and the service writes the same with the twin and without."""

from __future__ import annotations

import gzip
import json
import os
import random
import signal
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from shipper import compiled
from shipper.batch import Arrival
from shipper.formats import Log
from shipper.formats.names import service_of
from shipper.framing import Block
from shipper.mailserver.settings import MailServer
from shipper.outputs import elasticsearch, log_files
from shipper.outputs.base import Output
from shipper.profiles import PROFILES
from shipper.reader import RawPolicy, Reader
from shipper.record import Record
from shipper.router import Router, Rule, Taker
from shipper.stamps import Clock
from shipper.straight import Straight, StraightReader, apart, joined, rendered
from tests.native.differ import FIELDS, GOLDEN, ZONES, Seeds, golden_options, log_of
from tests.service import TELEMETRY, Running, status

MODULE, WHY = compiled.find()
FILES = [log_files.Section(type="log_files", directory="logs", profile=profile) for profile in ("native", "ecs")]
OUTPUTS: list[Output] = [
    elasticsearch.make("bulk", elasticsearch.Section(type="elasticsearch", url="http://localhost:9200")),
    *[log_files.make("files", section, MailServer.of({"SEPARATE_CONNECTION_LOG": each})) for section in FILES for each in (0, 1)],
]
pytestmark = pytest.mark.skipif(MODULE is None, reason=f"no compiled twin: {WHY}")
OBSERVED = 1_700_000_000_123_456_789


def portions(data: bytes, rng: random.Random) -> Iterator[Block]:
    """Blocks of a few lines or of many."""
    lines = data.split(b"\n")
    at = offset = 0
    while at < len(lines):
        some = b"\n".join(lines[at : at + (size := rng.choice((1, 2, 30, 300, 3000)))])
        yield Block(some, offset)
        at, offset = at + size, offset + len(some) + 1


def both(
    data: bytes,
    profile: str,
    *,
    zone: str = "UTC",
    file: str = "mail.log",
    peer: str = "",
    host: str = "",
    raw: RawPolicy = "errors",
    fields: tuple[str, ...] | None = None,
    seed: int = 1,
) -> Iterator[tuple[Sequence[Record], list[Record]]]:
    """What the twin and what Python alone makes of portions of a log."""
    fast = StraightReader(MODULE, profile, Log(clock=Clock(ZoneInfo(zone)), fields=fields, host=host), file=file, peer=peer, raw=raw)
    slow = Reader(Log(clock=Clock(ZoneInfo(zone)), fields=fields, host=host), file=file, peer=peer, raw=raw)
    for block in portions(data, random.Random(seed)):
        yield fast.read(block, OBSERVED), slow.read(block)


def holds(found: Sequence[Record], wanted: list[Record], rng: random.Random) -> None:
    """The law, for one batch."""
    assert len(found) == len(wanted)
    for profile in ("ecs", "native", "otel"):
        assert rendered(found, PROFILES[profile], OBSERVED) == PROFILES[profile].render(wanted, OBSERVED)
    for output in OUTPUTS:
        assert output.render(found, Arrival("in", OBSERVED)) == output.render(wanted, Arrival("in", OBSERVED))
    assert sum([1 for record in apart(found) if record.error]) == sum([1 for record in wanted if record.error])
    if isinstance(found, Straight):
        assert found.kinds >= {type(record) for place, record in enumerate(wanted) if place not in found.apart}
        assert all(wanted[place] == one for place, one in found.apart.items())
        places = [place for place in range(len(wanted)) if rng.random() < 0.4]
        chosen = found.of(places)
        assert rendered(chosen, PROFILES[found.profile], OBSERVED) == PROFILES[found.profile].render(
            [wanted[place] for place in places], OBSERVED
        )
        assert list(chosen) == [wanted[place] for place in places]
    assert list(found) == wanted
    assert found[len(wanted) // 2 :] == wanted[len(wanted) // 2 :] and found[-1] == wanted[-1]


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: f"{path.parent.parent.name}/{path.parent.name}")
def test_the_law_for_all_fixtures(path: Path) -> None:
    """Of every format."""
    told, file = golden_options(path)
    for profile in compiled.PROFILES:
        for found, wanted in both(
            path.read_bytes(), profile, zone=told["zone"], file=file or "a/mail.log", host=told["host"], raw=told["raw"]
        ):
            holds(found, wanted, random.Random(1))


@pytest.mark.parametrize("profile", sorted(compiled.PROFILES))
def test_the_law_for_damaged_logs(profile: str, pool: Seeds) -> None:
    """With identical lines, hours that come twice, and lines of other formats."""
    rng = random.Random(f"straight {profile}")
    for seed in range(4):
        data = log_of(rng, pool, 1200)
        told: dict[str, Any] = {
            "zone": rng.choice(ZONES),
            "raw": rng.choice(("always", "errors", "never")),
            "host": rng.choice(("", "mta1")),
            "fields": FIELDS[2 * seed],
            **({"file": "", "peer": 'a "b"/é'} if seed % 2 else {}),
        }
        batches = list(both(data, profile, seed=seed, **told))
        for found, wanted in batches:
            holds(found, wanted, rng)
        holds(joined([found for found, _ in batches]), [record for _, wanted in batches for record in wanted], rng)


@pytest.mark.parametrize("profile", sorted(compiled.PROFILES))
def test_a_run_goes_through_the_same_lines_in_every_profile(profile: str) -> None:
    """Also where its first line is one that only Python can write in one of them: the records of ECS lines are read from native ones."""
    close = b"[29/May/2019:10:51:37 %b] store1 imapd[1]: Account Notice: close [192.0.2.7:4] user%d 2019/5/29 10:45:01 %d:06:36 1 2 3"
    told = [(b"+0200", 0), (b"+0200", 9_999_999), (b"-0700", 0), (b"-0700", 1), (b"+0200", 0)]
    data = b"\n".join([close % (zone, number, hours) for number, (zone, hours) in enumerate(told)])
    for seed in range(8):
        for found, wanted in both(data, profile, file="imap", seed=seed):
            holds(found, wanted, random.Random(seed))


def test_keys_without_a_value_are_the_same() -> None:
    """They are nothing, for a route too."""
    line = b"[30/Aug/2004:16:53:05 -0700] vadar imsched[1]: General Notice: "
    data = b"\n".join(line + text for text in (b"a=1", b"alarmid=|state=down", b"alarmid=", b"alarmid=|", b"alarmid=|a=|alarmid=7"))
    for found, wanted in both(data, "native", file="imsched"):
        holds(found, wanted, random.Random(1))


@pytest.mark.parametrize("profile", [*sorted(compiled.PROFILES), compiled.BARE])
def test_a_line_says_of_what_kind_its_record_is(profile: str, pool: Seeds) -> None:
    """Whatever texts are in it."""
    rng = random.Random(profile)
    for data in (log_of(rng, pool, 1500), b"\n".join(pool.mta[:500]), b"\n".join(rng.sample(pool.service, 500))):
        for found, wanted in both(data, profile, raw="always"):
            if isinstance(found, Straight):
                assert found.kind_of_each() == [None if place in found.apart else type(record) for place, record in enumerate(wanted)]


def routers() -> Iterator[tuple[str, Router]]:
    takers = (Taker("files", "files", "settings"), Taker("syslog", "syslog", "settings"), Taker("all"))
    own: dict[str, dict[str, int | str]] = {
        "none": {}, "apart": {"LOG_CONNECTIONS_SYSLOG": -20}, "syslog": {"LOG_MESSAGES_SYSLOG": -22}, "level": {"logfile.imap.loglevel": "Error"},
        "facility": {"logfile.imap.syslogfacility": "local3"},
    }  # fmt: skip
    for name, settings in own.items():
        server = MailServer.of(settings)
        rules = {
            "none": [],
            "a kind is dropped": [Rule({"kind": frozenset(["connection"])})],
            "services": [Rule({"kind": frozenset(["service", "store"])}, ("syslog", "all"))],
            "a field": [Rule({"code": frozenset(["E", "D"])}, ("all",))],
            "the input": [Rule({"input": frozenset(["in"])}, ("all", "syslog"))],
            "a sample": [Rule({"kind": frozenset(["mta"])}, ("all",), keep=lambda record: record.id[0] < "8")],
        }
        for rule, of in rules.items():
            yield f"{name}, {rule}", Router(of, takers, server)
    yield "everything to all", Router([], ["all", "files"])


@pytest.mark.parametrize(("name", "router"), list(routers()), ids=[name for name, _ in routers()])
def test_it_goes_where_its_records_go(name: str, router: Router, pool: Seeds) -> None:
    """Shares, priorities and what is dropped are those of the list, and so are their lines; no matter which can be told by the kinds alone."""
    rng = random.Random(name)
    straight = [line for line in pool.mta if line[20:21] == b"."][:400]
    services = b"\n".join(pool.service[:400])
    for data in (log_of(rng, pool, 800), b"\n".join(pool.mta[:800]), b"\n".join(straight), services):
        for found, wanted in both(data, "native"):
            shares, dropped = router.route(found, "in")
            others, elsewhere = router.route(wanted, "in")
            assert dropped == elsewhere and list(shares) == list(others)
            for output, share in shares.items():
                assert share.priorities == others[output].priorities
                holds(share.records, list(others[output].records), rng)


# The service


class Service(Running):
    """With two outputs, one of each profile, over a log that is rotated."""

    def yaml(self, extra: str = TELEMETRY, outputs: str = "") -> str:
        more = f"  ecs: {{type: jsonl, path: {self.home}/ecs.jsonl, profile: ecs}}\n" if "native" in self.home.name else ""
        profile = self.home.name.split("-")[0]
        return (
            f"state: {self.home}/state\ntimezone: Europe/Berlin\n{extra or TELEMETRY}"
            f"inputs:\n  mail: {{type: file, paths: ['{self.home}/in/*'], poll: 50ms}}\n"
            f"outputs:\n  out: {{type: jsonl, path: {self.out}, profile: {profile}}}\n{more}{outputs}"
        )

    def lines(self) -> dict[str, list[bytes]]:
        """What it has written, without what no two runs have in common."""
        found = {}
        for path in sorted(self.home.glob("*.jsonl")):
            lines = path.read_bytes().replace(str(self.home).encode(), b"HOME").splitlines(keepends=True)
            found[path.name] = [_timeless(line) if b'"created":"' in line else line for line in lines]
        return found

    def until_named(self, path: Path) -> None:
        """A log is known by its new name."""
        last = time.monotonic() + 60
        while str(path) not in [log["path"] for log in status(self.home / "state")["inputs"]["mail"]["lag"]]:
            assert time.monotonic() < last
            time.sleep(0.02)

    def until_lines(self, count: int) -> None:
        last = time.monotonic() + 60
        paths = [self.out, *([self.home / "ecs.jsonl"] if "ecs.jsonl" in self.config.read_text() else [])]
        while any(not path.exists() or path.read_bytes().count(b"\n") < count for path in paths):
            assert time.monotonic() < last
            assert self.process.poll() is None, self.rest()
            time.sleep(0.05)


def _timeless(line: bytes) -> bytes:
    """An ECS document without the time of reading."""
    document = json.loads(line)
    del document["event"]["created"]
    if "time_unknown" in document.get("tags", ()):
        del document["@timestamp"]
    return json.dumps(document).encode()


def logs(pool: Seeds) -> list[bytes]:
    """Portions of a log, of whole lines, which have damage in between."""
    rng = random.Random("service")
    return [log_of(rng, pool, 1200).rstrip(b"\r\n") + b"\n", b"\n".join(pool.mta[:3000]) + b"\n", log_of(rng, pool, 500) + b"\n"]


@pytest.mark.parametrize("profile", ["native", "ecs"])
def test_the_service_writes_the_same_with_the_twin_and_without(profile: str, pool: Seeds, tmp_path: Path) -> None:
    """Over a rotation and a restart, and of an archive, octet for octet."""
    portions = [*logs(pool), b"\n".join(pool.mta[3000:3200]) + b"\n", b"\n".join(pool.mta[3200:]) + b"\n"]
    with ThreadPoolExecutor(2) as side_by_side:
        python, twin = side_by_side.map(lambda native: written(tmp_path / f"{profile}-{native}", native, *portions), ("0", "1"))
    assert python == twin


def written(home: Path, native: str, first: bytes, second: bytes, third: bytes, late: bytes, archived: bytes) -> dict[str, list[bytes]]:
    """What a service writes of a log, of lines that come after its rotation, of its successor and an archive."""
    home.mkdir()
    service = Service(home, SHIPPER_NATIVE=native)
    try:
        with service.log.open("ab") as log:
            log.write(first)
        service.until_lines(count := first.count(b"\n"))
        service.log.rename(old := service.log.with_name("mail.log_yesterday"))
        service.until_named(old)
        with old.open("ab") as log:  # under its new name, which stands in the lines
            log.write(late)
        service.until_lines(count := count + late.count(b"\n"))
        service.log.write_bytes(second)
        service.until_lines(count := count + second.count(b"\n"))
        assert service.stop() == 0
        with service.log.open("ab") as log:
            log.write(third)
        service = Service(home, SHIPPER_NATIVE=native)
        service.until_lines(count := count + third.count(b"\n"))
        other = service.log.with_name("new")
        other.write_bytes(gzip.compress(archived))
        os.utime(other, (time.time() - 60,) * 2)  # it is complete
        other.rename(service.log.with_name("other.gz"))
        service.until_lines(count + archived.count(b"\n"))
        assert service.stop() == 0
    finally:
        if service.process.poll() is None:
            service.stop(signal.SIGKILL)
    return service.lines()


def test_a_new_name_stands_in_lines_behind_a_hole(pool: Seeds, tmp_path: Path) -> None:
    """Of a log that was renamed, and goes on behind a gap of NULs, which is no line."""
    (home := tmp_path / "native-1").mkdir()
    service = Service(home, SHIPPER_NATIVE="1")
    try:
        some = b"\n".join(pool.mta[:50]) + b"\n"
        service.log.write_bytes(some)
        service.until_lines(50)
        service.log.rename(new := service.log.with_name("mail.log_yesterday"))
        service.until_named(new)
        with new.open("ab") as log:
            log.write(bytes(5000) + some)
        service.until_lines(100)
        assert service.stop() == 0
    finally:
        if service.process.poll() is None:
            service.stop(signal.SIGKILL)
    files = [json.loads(line)["source"]["file"] for line in service.lines()["out.jsonl"]]
    assert files == ["HOME/in/mail.log"] * 50 + ["HOME/in/mail.log_yesterday"] * 50


def test_a_kill_loses_nothing_and_what_comes_twice_is_the_same(pool: Seeds, tmp_path: Path) -> None:
    """With the twin, killed again and again: every line that Python would write is there, and no other."""
    home = tmp_path / "native-1"
    home.mkdir()
    data = b"".join(logs(pool))
    lines = [line + b"\n" for line in data[:-1].split(b"\n")]
    rng = random.Random(3)
    service = Service(home, SHIPPER_NATIVE="1")
    try:
        for begin in range(0, len(lines), 700):
            with service.log.open("ab") as log:
                log.write(b"".join(lines[begin : begin + 700]))
            time.sleep(rng.random() / 3)
            service.stop(signal.SIGKILL)
            service = Service(home, SHIPPER_NATIVE="1")
        service.until_lines(len(lines))
        time.sleep(0.5)
        assert service.stop() == 0
    finally:
        if service.process.poll() is None:
            service.stop(signal.SIGKILL)
    reader = Reader(Log(clock=Clock(ZoneInfo("Europe/Berlin")), service=service_of("mail.log")), file="HOME/in/mail.log")
    wanted = PROFILES["native"].render(reader.read(Block(data[:-1], 0)), 0).splitlines(keepends=True)
    found = service.lines()["out.jsonl"]
    assert set(found) == set(wanted)
    assert len(found) - len(wanted) < 2000
