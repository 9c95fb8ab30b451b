"""The engine: the same output on any number of processes, an account that balances, and what is said of inputs that end badly."""

from __future__ import annotations

import bz2
import gzip
import json
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from shipper import compiled, workers
from shipper.convert import BEGIN, SIZES, Account, Conversion, jobs_for
from shipper.errors import Failure
from shipper.formats import Log, mta_json, mta_xml
from shipper.framing import Block
from shipper.outfile import open_output
from shipper.passage import Options, Tally
from shipper.profiles import PROFILES
from shipper.reader import Reader
from shipper.record import Mta
from shipper.sources import Source, find
from shipper.stamps import Clock
from shipper.workers import Finish, Pool, Sizes, Take, Task

BERLIN = ZoneInfo("Europe/Berlin")
PLAIN = Options(PROFILES["native"], BERLIN, observed=1)
SMALL = Sizes(range=2000, hold=100_000, before=500, at_most=8000)


def convert(
    paths: list[Path], options: Options = PLAIN, jobs: int = 1, sizes: Sizes = SMALL, out: Path | None = None
) -> tuple[bytes, Account]:
    target = out or paths[0].parent / "out.jsonl"
    sources, left = find([str(path) for path in paths])
    output = open_output(str(target))
    account = Conversion(options, output, jobs, sizes=sizes).run(sources, left)
    output.finish()
    return target.read_bytes(), account


def balance(account: Account) -> tuple[object, ...]:
    """What has to be the same however many processes did it."""
    failures = [(failure.number, failure.message, failure.notes) for failure in account.failures]
    return replace(account.tally, compiled=0), account.logs, account.empty, account.examples, failures


def mta(instant: datetime, text: str) -> str:
    local = instant.astimezone(BERLIN)
    return f"{local:%d-%b-%Y %H:%M:%S}.{local.microsecond // 10000:02d} tcp_local    ims-ms       EE 1 a@example.com rfc822;{text}@example.org b@x"


def a_log(seed: int, kind: str, lines: int) -> bytes:
    """Repeated lines, stamps out of order by seconds, kinds mixed, over the hour that summer time repeats."""
    dice = random.Random(seed)
    instant = datetime(2026, 10, 24, 23, 30, tzinfo=UTC) if dice.random() < 0.6 else datetime(2026, 3, 2, tzinfo=UTC)
    pace = dice.choice((0.01, 0.2, 1, 5, 30))
    out: list[str] = []
    for _ in range(lines):
        instant += timedelta(seconds=dice.expovariate(1 / pace))
        stamp = instant - timedelta(seconds=dice.random() * 12 if dice.random() < 0.02 else 0)
        chance = dice.random()
        if out and chance < 0.25:
            out.append(out[-1])
        elif kind == "mta" or (kind == "mixed" and chance < 0.6):
            out.append(mta(stamp, "bc"[dice.randrange(2)]))
        elif kind == "service" or (kind == "mixed" and chance < 0.8):
            out.append(
                f"[{stamp:%d/%b/%Y:%H:%M:%S} +0000] host imapd[77]: Account Notice: login [192.0.2.{dice.randrange(3)}:4] user plaintext"
            )
        elif kind == "debug" or (kind == "mixed" and chance < 0.9):
            out.append(f"{stamp:%H:%M:%S}.00: {dice.randrange(3)}")
        else:
            out.append(dice.choice(("text", "", "\x00\xff", "02-Mar-2026 10:00:0x")))
    return "\n".join(out).encode("latin-1") + b"\n" * dice.randrange(2)


@pytest.mark.parametrize("seed", range(12))
def test_any_number_of_processes_gives_the_same_octets(seed: int, tmp_path: Path) -> None:
    """Plain files and archives cut into pieces of a few lines, at borders between identical lines, in the repeated hour, in logs whose lines have
    no date, with --dedupe and --since, with the compiled twin and without: the same output and the same account."""
    dice = random.Random(seed)
    paths = []
    for number in range(3):
        path = tmp_path / f"log{number}"
        data = a_log(seed * 10 + number, dice.choice(("mta", "service", "debug", "mixed", "text")), dice.randrange(1500))
        path.write_bytes(gzip.compress(data, mtime=0) if dice.random() < 0.4 else data)
        os.utime(path, (1_772_500_000, 1_772_500_000))
        paths.append(path)
    paths.append(paths[0].with_name("copy"))
    paths[-1].write_bytes(paths[0].read_bytes())
    since = 1_772_409_600_000_000_000 if dice.random() < 0.3 else None
    options = Options(PROFILES["native"], BERLIN, since=since, dedupe=dice.random() < 0.5, observed=1)
    expected = convert(paths, options)
    twin = compiled.find().module
    for jobs, sizes in (
        (1, SIZES),
        (2, Sizes(range=300, hold=1000, before=400, at_most=1600)),
        (3, Sizes(range=dice.choice((1000, 30_000)), hold=10**7, before=dice.choice((300, 20_000)), at_most=20_000)),
    ):
        for module in (None, twin) if twin else (None,):
            given = convert(paths, replace(options, twin=module), jobs, sizes)
            assert given[0] == expected[0]
            assert balance(given[1]) == balance(expected[1])


@pytest.mark.skipif(compiled.find().module is None, reason="threads are for the compiled twin")
@pytest.mark.parametrize("seed", range(8))
def test_any_number_of_threads_gives_the_same_octets(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of some lines, begun before their turn: identical lines, hours that come twice, other formats and damaged lines between them, archives;
    the output and the account of Python alone."""
    dice = random.Random(seed)
    monkeypatch.setattr("shipper.convert.FOR_THREADS", dice.choice((1500, 50_000)))
    monkeypatch.setattr(Conversion, "_for_threads", lambda *_: True)  # whatever the first lines are
    paths = []
    for number in range(3):
        path = tmp_path / f"log{number}"
        lines = a_log(seed * 10 + number, dice.choice(("mta", "service")), 1200).split(b"\n")
        for foreign in a_log(seed, "mixed", 60).split(b"\n"):
            lines.insert(dice.randrange(len(lines)), foreign[: dice.choice((10, 60, 400))])
        data = b"\n".join(lines)
        path.write_bytes(gzip.compress(data, mtime=0) if dice.random() < 0.4 else data)
        paths.append(path)
    for profile, host in (("native", ""), ("native", "mta1.example.com"), ("ecs", "")):
        options = replace(PLAIN, profile=PROFILES[profile], host=host)
        expected = convert(paths, options)
        for jobs in (2, 4):
            given = convert(paths, replace(options, twin=compiled.find().module), jobs)
            assert given[0] == expected[0]
            assert balance(given[1]) == balance(expected[1])
            assert given[1].tally.compiled > 300


@pytest.mark.skipif(compiled.find().module is None, reason="threads are for the compiled twin")
def test_threads_know_of_no_hour_behind_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last hour that a calendar has, as damage or a broken clock may write it, is converted as by one process."""
    monkeypatch.setattr("shipper.convert.FOR_THREADS", 20_000)
    monkeypatch.setattr(Conversion, "_for_threads", lambda *_: True)
    line = mta(datetime(2026, 3, 2, 9, tzinfo=UTC), "bob")
    log = tmp_path / "mail.log"
    log.write_text(f"31-Dec-9999 23:{line[15:]}\n" * 1000)
    assert convert([log], replace(PLAIN, twin=compiled.find().module), 3)[0] == convert([log])[0]


def hours_of(form: str) -> list[str]:
    """Lines of sixty hours, a day without any between them, in one of the forms; a foreign one now and then."""
    begin = datetime(2026, 3, 2, tzinfo=UTC)
    instants = [begin + timedelta(seconds=36 * number + (86400 if number > 3000 else 0)) for number in range(6000)]
    if form in ("service", "behind"):
        header = "%b %e %H:%M:%S mail1 imapd[77]: " if form == "behind" else ""
        rest = "host imapd[77]: Account Notice: login [192.0.2.3:4] u plaintext"
        return [f"{instant.strftime(header)}[{instant:%d/%b/%Y:%H:%M:%S} +0000] {rest}" for instant in instants]
    lines = [mta(instant, f"user{number}") for number, instant in enumerate(instants)]
    if form == "enveloped":
        return [f"Mar  2 00:00:00 mail1 mta: {line}" for line in lines]
    if form == "text":
        return [line if number % 700 else "what is that" for number, line in enumerate(lines)]
    records = Reader(Log(clock=Clock(BERLIN))).read(Block("\n".join(lines).encode(), 0))
    return [mta_xml.render(record) if form == "xml" else mta_json.render(record, True) for record in records if isinstance(record, Mta)]


@pytest.mark.skipif(compiled.find().module is None, reason="threads are for the compiled twin")
@pytest.mark.parametrize("form", ("text", "xml", "json", "enveloped", "service", "behind"))
def test_what_threads_begin_with_is_not_in_vain(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All hours of a block are begun before their turn, not only that of its first line: most lines are done by then. The output is the same."""
    monkeypatch.setattr("shipper.convert.FOR_THREADS", 100_000)
    monkeypatch.setattr(Conversion, "_for_threads", lambda *_: True)
    begun = []

    def prepare(twin: compiled.Twin, *arguments: Any) -> Any:
        begun.append(own(twin, *arguments))
        return begun[-1]

    own = compiled.Twin.prepare
    monkeypatch.setattr(compiled.Twin, "prepare", prepare)
    log = tmp_path / "mail.log"
    log.write_text("\n".join(hours_of(form)) + "\n")
    given, account = convert([log], replace(PLAIN, twin=compiled.find().module), 3)
    assert given == convert([log])[0]
    begins = 1 + BEGIN // (log.stat().st_size // 6000)  # of the first block, by which the others are guessed
    assert sum(one.taken for one in begun) > 0.85 * (account.tally.lines - begins)


@pytest.mark.skipif(compiled.find().module is None, reason="threads are for the compiled twin")
def test_a_disk_that_is_full_ends_threads_too(tmp_path: Path) -> None:
    """What the one that writes meets ends the conversion, and no thread waits for ever."""
    log = tmp_path / "mail.log"
    log.write_bytes(a_log(1, "mta", 20_000))
    output = open_output("/dev/full")
    with pytest.raises(Failure, match="no space left") as raised:
        Conversion(replace(PLAIN, twin=compiled.find().module), output, 3, sizes=SMALL).run(find([str(log)])[0])
    assert raised.value.number == "O301"


@pytest.mark.skipif(compiled.find().module is None, reason="threads are for the compiled twin")
def test_nothing_is_written_after_a_conversion_by_threads_has_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept then stays as it is."""
    monkeypatch.setattr("shipper.convert.FOR_THREADS", 20_000)
    monkeypatch.setattr(Conversion, "_for_threads", lambda *_: True)
    log = tmp_path / "mail.log"
    log.write_bytes(a_log(1, "mta", 20_000))
    output = open_output(str(tmp_path / "out"))
    done = []

    def watch(position: int) -> None:
        done.append(position)
        if position > 1_000_000:
            raise Failure("X402", "enough")

    with pytest.raises(Failure, match="enough"):
        Conversion(replace(PLAIN, twin=compiled.find().module), output, 3, watch).run(find([str(log)])[0])
    lines = output.lines
    kept = Path(output.keep())
    size = kept.stat().st_size
    time.sleep(0.1)
    assert (kept.stat().st_size, output.lines) == (size, lines)
    assert lines == kept.read_bytes().count(b"\n") > 0
    assert done == sorted(done)


def test_what_somebody_has_removed_is_not_said_to_be_kept(tmp_path: Path) -> None:
    """The file that has no name yet, gone while it was written to: the conversion fails, and names no file that is not there."""
    output = open_output(str(tmp_path / "out"))
    output.write(b"{}\n")
    for path in tmp_path.iterdir():
        path.unlink()
    with pytest.raises(Failure, match="could not be written"):
        output.finish()
    assert output.keep() == ""


def test_a_log_whose_ranges_are_done_before_the_next_is_asked_for_is_in_the_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it is where there are few processes and short logs."""

    class AtOnce(Pool):
        def run(self, plan: Iterator[Task], take: Take, finish: Finish, wake: Callable[[], None]) -> None:
            for task in plan:
                finish(task, Tally(lines=1, outside=1), None)

    monkeypatch.setattr("shipper.convert.Pool", AtOnce)
    for number in range(3):
        (tmp_path / f"log{number}").write_bytes(a_log(number, "mta", 20))
    _, account = convert([tmp_path], jobs=2)
    assert account.logs == 3
    assert account.tally.lines >= 3


def test_a_range_that_begins_wrongly_is_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand lines of one second: no worker can know the counts in the middle, so ranges are dropped, and the output is right."""
    dropped = []

    class Counted(Pool):
        def __exit__(self, *reason: object) -> None:
            dropped.append(self.dropped)
            super().__exit__(*reason)

    monkeypatch.setattr("shipper.convert.Pool", Counted)
    log = tmp_path / "mail.log"
    line = mta(datetime(2026, 3, 2, 9, tzinfo=UTC), "bob")
    log.write_text("".join(f"{line}\n" for _ in range(3000)))
    expected, _ = convert([log])
    given, _ = convert([log], jobs=3)
    assert given == expected
    assert len({json.loads(record)["id"] for record in given.splitlines()}) == 3000
    assert dropped[0] > 0


def test_an_ordinary_log_needs_no_second_try(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a log with some lines a second every range counts: the work of the other processes is not thrown away."""
    dropped = []

    class Counted(Pool):
        def __exit__(self, *reason: object) -> None:
            dropped.append((self.dropped, self._count))
            super().__exit__(*reason)

    monkeypatch.setattr("shipper.convert.Pool", Counted)
    begin = datetime(2026, 3, 2, 9, tzinfo=UTC)
    for kind in (lambda data: data, gzip.compress, bz2.compress):
        log = tmp_path / "mail.log"
        log.write_bytes(kind("".join(mta(begin + timedelta(seconds=n / 5), str(n)) + "\n" for n in range(20_000)).encode()))
        expected, _ = convert([log])
        given, _ = convert([log], jobs=3, sizes=Sizes(range=100_000, before=10_000))
        assert given == expected
    assert all(drops == 0 and tasks >= 2 for drops, tasks in dropped), dropped


def test_copies_of_a_log_come_out_once(tmp_path: Path) -> None:
    """Yesterday's records stand in mail.log too, and in its archive; identical lines within one log are all kept."""
    begin = datetime(2026, 3, 2, 9, tzinfo=UTC)
    lines = [mta(begin + timedelta(seconds=n // 3), "same") + "\n" for n in range(900)]
    (tmp_path / "mail.log").write_text("".join(lines))
    (tmp_path / "mail.log_yesterday").write_text("".join(lines[600:]))
    (tmp_path / "mail.log.1.gz").write_bytes(gzip.compress("".join(lines[:300]).encode()))
    paths = [tmp_path / name for name in ("mail.log", "mail.log_yesterday", "mail.log.1.gz")]
    for jobs in (1, 2):
        out, account = convert(paths, Options(PROFILES["native"], BERLIN, dedupe=True), jobs)
        assert (account.tally.lines, account.tally.written, account.tally.repeated) == (1500, 900, 600)
        assert account.tally.kinds == {"mta": 900}
        assert [json.loads(line)["source"]["file"] for line in out.splitlines()] == [str(paths[0])] * 900


@pytest.mark.parametrize("jobs", (1, 2))
def test_what_ends_badly_is_told_and_the_rest_is_converted(jobs: int, tmp_path: Path) -> None:
    """A broken archive in the middle, an empty file, a missing one: all lines that there are, and a failure for each with what was converted."""
    begin = datetime(2026, 3, 2, 9, tzinfo=UTC)
    lines = "".join(mta(begin + timedelta(seconds=n), str(n)) + "\n" for n in range(3000)).encode()
    broken = tmp_path / "a.gz"
    packed = gzip.compress(lines)
    broken.write_bytes(packed[: len(packed) // 2])
    (tmp_path / "b").write_bytes(lines)
    (tmp_path / "c").write_bytes(b"")
    out, account = convert([broken, tmp_path / "b", tmp_path / "c", tmp_path / "d"], jobs=jobs)
    failures = {failure.number: failure for failure in account.failures}
    assert set(failures) == {"I204", "I201"}
    before = account.tally.lines - 3000
    assert 1000 < before < 2900
    assert failures["I204"].notes == (f"its {before:,} lines before that were converted",)
    assert str(broken) in failures["I204"].message and f"after {len(packed) // 2:,} octets" in failures["I204"].message
    assert out.count(b"\n") == account.tally.written == before + 3000
    assert account.empty == [str(tmp_path / "c")]


@pytest.mark.parametrize("jobs", (1, 2))
def test_a_file_that_becomes_shorter_is_told(jobs: int, tmp_path: Path) -> None:
    """Copied and truncated while it is read: what was read is kept, and the loss is said."""
    log = tmp_path / "mail.log"
    begin = datetime(2026, 3, 2, 9, tzinfo=UTC)
    log.write_text("".join(mta(begin + timedelta(seconds=n), str(n)) + "\n" for n in range(2000)))
    source = Source(str(log), log.stat().st_size + 5000, log.stat().st_mtime, (1, log.stat().st_ino))
    output = open_output(str(tmp_path / "out"))
    account = Conversion(PLAIN, output, jobs, sizes=SMALL).run([source])
    assert [failure.number for failure in account.failures] == ["I205"]
    assert "became shorter" in account.failures[0].message
    assert account.tally.written == output.lines == 2000


@pytest.mark.parametrize("jobs", (1, 2))
def test_a_log_that_grows_is_read_to_the_size_it_had(jobs: int, tmp_path: Path) -> None:
    """What is written to mail.log_current meanwhile belongs to the next conversion."""
    log = tmp_path / "mail.log_current"
    log.write_text("one\ntwo\n")
    sources, _ = find([str(log)])
    log.write_text("one\ntwo\nthree\n")
    output = open_output(str(tmp_path / "out"))
    assert Conversion(PLAIN, output, jobs).run(sources).tally.lines == 2


@pytest.mark.parametrize("jobs", (1, 2))
def test_debug_logs_are_dated_by_their_file(jobs: int, tmp_path: Path) -> None:
    """Lines with a time of day: the date is that of the file's last change, or what gzip has of it, and the next day after midnight."""
    text = "".join(f"{n // 60 % 24:02d}:{n % 60:02d}:00.00: {n}\n" for n in range(22 * 60, 26 * 60)).encode()
    written = datetime(2026, 3, 3, 1, 59, 30, tzinfo=BERLIN).timestamp()
    plain, packed = tmp_path / "dispatcher.log-0DK00", tmp_path / "dispatcher.log-0DK01.gz"
    plain.write_bytes(text)
    os.utime(plain, (written, written))
    packed.write_bytes(gzip.compress(text, mtime=int(written)))
    out, _ = convert([plain, packed], jobs=jobs)
    times = [json.loads(line)["time"][:16] for line in out.splitlines()]
    assert times[:240] == times[240:]
    assert len(set(times)) == 240 and sorted(times[:240]) == times[:240]


def test_a_worker_that_is_killed_is_a_failure_and_no_hang(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGKILL, as the system does for want of memory: told within a moment, and no process stays behind. What is kept are whole lines."""
    pids: list[int] = []

    class Watched(Pool):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments)  # type: ignore[arg-type]
            pids.extend(worker.pid for worker in self._workers)
            threading.Timer(0.3, lambda: os.kill(pids[1], signal.SIGKILL)).start()

    monkeypatch.setattr("shipper.convert.Pool", Watched)
    log = tmp_path / "mail.log"
    log.write_bytes(b"x\n" * 400_000)
    begun = time.monotonic()
    output = open_output(str(tmp_path / "out"))
    with pytest.raises(Failure, match=r"worker process \d+ was killed by SIGKILL") as raised:
        Conversion(PLAIN, output, 2, sizes=Sizes(range=1 << 16)).run(find([str(log)])[0])
    assert raised.value.number == "X401" and raised.value.exit == 74
    assert time.monotonic() - begun < 10
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    kept = Path(output.keep()).read_bytes() if output.lines else b""
    assert kept.count(b"\n") == output.lines and kept[-1:] in (b"", b"\n")


@pytest.mark.parametrize("jobs", (1, 2))
def test_a_file_that_the_disk_takes_meanwhile_is_the_same(jobs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flushed after every few lines, by a thread beside the one that writes, or beside the processes that do."""
    log = tmp_path / "mail.log"
    log.write_bytes(a_log(1, "mta", 3000))
    expected, _ = convert([log])
    monkeypatch.setattr("shipper.outfile.EARLY", 100)
    assert convert([log], jobs=jobs, sizes=Sizes(range=3000))[0] == expected


def test_an_error_inside_a_worker_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a worker raises comes out as a failure of ours, with its text."""

    def fails(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(workers, "_do", fails)
    log = tmp_path / "mail.log"
    log.write_bytes(b"x\n" * 100)
    with pytest.raises(Failure, match="RuntimeError: a bug"):
        convert([log], jobs=2)


def test_how_many_processes_are_worth_it() -> None:
    """One for little and for a pipe, all cores for much; archives count for what is in them."""
    cores = len(os.sched_getaffinity(0))
    assert jobs_for([Source("-")]) == 1
    assert jobs_for([Source("a", 32 << 20)]) == 1
    assert jobs_for([Source("a", 1 << 40)]) == cores
    assert jobs_for([Source("a.gz", 5 << 20)]) == min(cores, 10)
