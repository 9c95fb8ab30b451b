"""Payloads of the compiled twin are those of Python, octet for octet: OTLP by protobuf, and syslog of each form, whole and cut."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from shipper import compiled, payloads
from shipper.formats import Log
from shipper.framing import Block
from shipper.fused import Fused
from shipper.lines import Packed
from shipper.profiles import native, otlp, rfc5424
from shipper.profiles.rfc5424 import Style
from shipper.reader import Reader
from shipper.record import Record
from shipper.stamps import Clock
from shipper.straight import Straight, StraightReader, joined
from shipper.straight import payloads as again
from tests.native.differ import FIELDS, GOLDEN, OBSERVED, SETTINGS, ZONES, Seeds, fields_of, golden_options, headed, log_of

MODULE, WHY = compiled.find()
pytestmark = pytest.mark.skipif(MODULE is None, reason=f"no compiled twin: {WHY}")

STYLES = (
    Style(),
    Style("rfc5424", "local3", "relay.example.com", 4711, 480),
    Style("rfc5424", "mail", "ä host", 4711, 1400),
    Style("rfc3164", "mail", "relay.example.com", most=480),
    Style("rfc3164", "local7", "", local=True, most=100),
    Style("raw", "mail", "", most=1400),
)
PRIORITIES = (None, None, None, 0, 22, 191)


class Told(NamedTuple):
    """How a log is read."""

    zone: str = "UTC"
    file: str = "mail.log"
    host: str = ""
    raw: Any = "errors"
    fields: tuple[str, ...] | None = None
    peer: str = ""

    def log(self) -> Log:
        return Log(clock=Clock(ZoneInfo(self.zone)), fields=self.fields, host=self.host)


_USUAL = Told()


def listed(made: compiled.Payloads) -> list[bytes | None]:
    """A payload of each, None of one that Python has to render."""
    found: list[bytes | None] = [*Packed(made.octets, len(made.table) // 4, made.table)]
    for number in made.left:
        assert not found[number]
        found[number] = None
    return found


class Watched(compiled.Twin):
    """A twin that renders the lines of each run once more, with every writer: `found` has the payloads by the offset of the line."""

    def __init__(self, told: Told, zone_source: str, priorities: dict[int, int | None]) -> None:
        super().__init__(
            MODULE, zone_source=zone_source, file=told.file, peer=told.peer, host=told.host, raw=told.raw, profile="native", observed=OBSERVED,
            fields=told.fields,
        )  # fmt: skip
        self.writers = [payloads.otlp_writer(MODULE, zone_source=zone_source, file=told.file)]
        self.writers += [payloads.syslog_writer(MODULE, zone_source=zone_source, host=told.host, style=style) for style in STYLES]
        self.found: dict[int, list[bytes | None]] = {}
        self._priorities = priorities
        self._last: Any = None

    def run(self, data: bytes, start: int, offset: int, hour: tuple[str, str, str], quiet: bool = False) -> compiled.Run:
        return self._done(data, start, offset, hour, super().run(data, start, offset, hour, quiet))

    def run_service(self, data: bytes, start: int, offset: int) -> compiled.Run:
        return self._done(data, start, offset, None, super().run_service(data, start, offset))

    def _done(self, data: bytes, start: int, offset: int, hour: tuple[str, str, str] | None, run: compiled.Run) -> compiled.Run:
        self._last = (data, start, offset, hour, run)
        if run.out is not None:
            self._again()
        return run

    def assign(self, records: Sequence[Record], lines: Sequence[str]) -> None:
        super().assign(records, lines)
        if self._last and self._last[-1].out is None:
            self._again()

    def _again(self) -> None:
        data, start, offset, hour, run = self._last
        self._last = None
        offsets = []
        at = start
        for _ in range(run.lines):
            offsets.append(offset + at)
            at = data.find(b"\n", at) + 1
        priorities = [self._priorities.get(at) for at in offsets]
        ids = self.ids()
        assert len(ids) == 16 * run.lines
        made = [listed(self.payloads(writer, data, start, offset, hour, ids, OBSERVED, priorities)) for writer in self.writers]
        for number, at in enumerate(offsets):
            self.found[at] = [found[number] for found in made]


def differs(data: bytes, told: Told = _USUAL, seed: int = 1) -> tuple[str, int, int]:
    """(what is not the same, lines, payloads that the twin made)."""
    rng = random.Random(seed)
    block = Block(data, 0)
    log = told.log()
    records = Reader(log, file=told.file, peer=told.peer, raw=told.raw).read(block)
    lines = data.split(b"\n")
    offsets = [0]
    for line in lines:
        offsets.append(offsets[-1] + len(line) + 1)
    priorities = {at: rng.choice(PRIORITIES) for at in offsets}
    ours = [otlp.payloads(records, OBSERVED)]
    given = [priorities[at] for at in offsets[:-1]]
    ours += [rfc5424.render(records, OBSERVED, style, given) for style in STYLES]

    log = told.log()
    twin = Watched(told, log.clock.source, priorities)
    reader = Reader(log, file=told.file, peer=told.peer, raw=told.raw, ids=twin)
    Fused(twin, reader, log.clock, opens=True).render(block, lambda records, _: native.render(records, OBSERVED), lambda *_: None)
    made = 0
    for number, (line, at) in enumerate(zip(lines, offsets, strict=False)):
        for name, mine, its in zip(("otlp", *STYLES), ours, twin.found.get(at, ()), strict=False):
            if its is not None and its != mine[number]:
                return f"{told} line {number + 1}, {name}: {line!r}\nPython {mine[number]!r}\n  twin {its!r}", len(lines), made
            made += its is not None
    return "", len(lines), made


def test_golden_lines_are_the_same() -> None:
    """Every fixture, with its own options."""
    total = 0
    for path in GOLDEN:
        wanted, file = golden_options(path)
        if wanted["only"] is not None:
            continue
        for raw in (wanted["raw"], "always"):
            told = Told(wanted["zone"], file, wanted["host"], raw, wanted["fields"])
            found, _, made = differs(path.read_bytes(), told)
            assert not found
            total += made
    assert total > 1700


@pytest.mark.parametrize("log_format", range(1, 7))
def test_generated_logs_are_the_same(log_format: int, tmp_path: Path) -> None:
    """Logs of a server of each LOG_FORMAT and set of options."""
    for number, chosen in enumerate(SETTINGS):
        data = generated(tmp_path / str(number), chosen, "--log-format", str(log_format), "--seed", str(log_format))
        services = [path.read_bytes().rstrip(b"\n") for path in (tmp_path / str(number) / "log").iterdir() if path.name[:4] != "mail"]
        for some in (data, *services):
            found, lines, made = differs(some, Told(ZONES[(log_format + number) % len(ZONES)], raw="always" if number == 1 else "errors"))
            assert not found
            if log_format == 1 and not chosen and lines > 100:
                assert made > 0.9 * lines * (1 + len(STYLES)), "else everything would be the same, and nothing faster"
        found, lines, made = differs(data, Told("Europe/Berlin", fields=fields_of(tmp_path / str(number))))
        assert not found
        if "LOG_HEADER" not in chosen:
            assert made > 0.9 * lines * (1 + len(STYLES))


@pytest.mark.parametrize("form", [0, 1, 2, 4])
def test_lines_behind_a_syslog_header_are_the_same(form: int, tmp_path: Path) -> None:
    """With a PRI and without: facility and severity are those of the header, if it has them."""
    data = b"\n".join(headed(line, form) for line in generated(tmp_path, SETTINGS[1]).split(b"\n"))
    for told in (Told(), Told(raw="always", file="", peer="stdin")):
        found, lines, made = differs(data, told)
        assert not found
        assert made > 0.7 * lines * (1 + len(STYLES))


def generated(directory: Path, chosen: str, *more: str) -> bytes:
    command = [sys.executable, "-m", "shipper", "generate", "--lines", "800", "--rate", "20000", "--quiet", "--out", str(directory), *more]
    subprocess.run([*command, *(["--options", chosen] if chosen else [])], check=True)
    return (directory / "log" / "mail.log_current").read_bytes().rstrip(b"\n")


def test_damaged_lines_are_the_same(pool: Seeds) -> None:
    """Lines with octets flipped, cut, doubled and moved."""
    for number in range(8):
        found, _ = log_differs(pool, f"1 {number}")
        assert not found


def log_differs(pool: Seeds, name: str) -> tuple[str, int]:
    """(what differs of the log of this name, lines)."""
    rng = random.Random(name)
    file, peer = rng.choice((("", ""), ("", "stdin"), ("", 'a "b"/é'), ("mail.log", ""), ('a "b"/é', "")))
    told = Told(
        rng.choice(ZONES), file, rng.choice(("", "mta1.example.com", "hö st")),
        rng.choice(("always", "errors", "never")), rng.choice(FIELDS), peer,
    )  # fmt: skip
    found, lines, _ = differs(log_of(rng, pool, 2000), told, rng.randrange(1 << 30))
    return found, lines


def test_a_request_of_its_payloads_is_read_by_opentelemetry(tmp_path: Path) -> None:
    """And has a log record of each line."""
    data = generated(tmp_path, SETTINGS[1])
    told = Told()
    log = told.log()
    twin = Watched(told, log.clock.source, {})
    Fused(twin, Reader(log, file=told.file, ids=twin), log.clock).render(
        Block(data, 0), lambda records, _: native.render(records, OBSERVED), lambda *_: None
    )
    made = [found[0] for found in twin.found.values() if found[0] is not None]
    request = ExportLogsServiceRequest.FromString(otlp.request(made))
    records = [record for logs in request.resource_logs for scope in logs.scope_logs for record in scope.log_records]
    assert len(records) == len(made) > 300
    assert {pair.key for record in records for pair in record.attributes} >= {"email.to.address", "network.peer.address", "log.record.uid"}


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([b"", b"a", b"b" * 200, b"c" * 20_000]), st.sampled_from([0, 1, 90, 127, 128, 16_383, 16_384, 40_000]))
    )
)
def test_a_request_is_joined_alike(parts: list[tuple[bytes, int]]) -> None:
    """Of any resources in any order, with lengths of every width."""
    waiting = [len(resource).to_bytes(4, "big") + resource + bytes(size) for resource, size in parts]
    assert otlp.request(waiting, MODULE) == otlp.request(waiting)


@pytest.mark.parametrize("octets", [b"", b"\0\0\0", b"\0\0\0\2a", b"\xff\xff\xff\xff"])
def test_what_is_no_payload_is_left_to_python(octets: bytes) -> None:
    """As a spool that somebody has touched may give it."""
    assert otlp.request([octets], MODULE) == otlp.request([octets])


def test_an_id_for_each_line_or_none(tmp_path: Path) -> None:
    """Priorities for other lines than these are refused; lines that are not there are Python's."""
    told = Told()
    twin = Watched(told, "config", {})
    hour = ("19-Jan-1998 19:", "1998-01-19T19:", "+00:00")
    with pytest.raises(ValueError, match="lines"):
        twin.payloads(twin.writers[0], b"", 0, 0, hour, bytes(16), OBSERVED, [None, None])
    assert listed(twin.payloads(twin.writers[0], b"a text", 0, 0, hour, bytes(48), OBSERVED)) == [None, None, None]
    told_before = twin.payloads(twin.writers[0], b"a text", 0, 0, hour, bytes(48), OBSERVED, made=[(0, b"one"), (2, b"three")])
    assert listed(told_before) == [b"one", None, b"three"]


@pytest.mark.parametrize("ahead", [False, True])
@pytest.mark.parametrize("profile", ["native", "ecs", compiled.BARE])
def test_what_was_read_for_lines_gives_the_same_payloads(profile: str, ahead: bool, tmp_path: Path) -> None:
    """Of several blocks together, of lines of all kinds, of some of the records, with priorities for some; rendered ahead or not."""
    rng = random.Random(profile)
    files = [tmp_path / "log" / name for name in ("mail.log_current", "imap", "imta")]
    generated(tmp_path, SETTINGS[1])
    data = b"\n".join([path.read_bytes().rstrip(b"\n") for path in files])
    lines = data.split(b"\n")
    log = Told().log()
    straight = StraightReader(MODULE, profile, log, file="mail.log", raw="errors", otlp=ahead)
    plain = Reader(Told().log(), file="mail.log", raw="errors")
    parts: list[Any] = []
    records: list[Record] = []
    offset = 0
    for begin in range(0, len(lines), 300):
        block = Block(b"\n".join(lines[begin : begin + 300]), offset)
        parts.append(straight.read(block, OBSERVED))
        records += plain.read(block)
        offset += len(block.data) + 1
    given = [rng.choice(PRIORITIES) for _ in records]
    some = sorted(rng.sample(range(len(records)), len(records) // 3))
    whole = joined(parts)
    assert isinstance(whole, Straight)
    assert sum(stretch.lines for _, stretch in whole.stretches) > 300
    assert whole.profile == profile
    assert {getattr(stretch, "ahead", None) is not None for _, stretch in whole.stretches} == {ahead}
    for found, wanted, priorities in ((whole, records, given), (whole.of(some), [records[n] for n in some], [given[n] for n in some])):
        assert again(found, None, lambda left, _: otlp.payloads(left, OBSERVED), OBSERVED) == otlp.payloads(wanted, OBSERVED)
        for style in STYLES[:4]:
            for mine in (priorities, None):
                made = again(found, style, lambda left, its, style=style: rfc5424.render(left, OBSERVED, style, its), OBSERVED, mine)
                assert made == rfc5424.render(wanted, OBSERVED, style, mine)
    assert list(whole) == records
