"""The generated mail server: reproducible, plausible, and every line of it readable."""

from __future__ import annotations

import gzip
import hashlib
import os
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest

from shipper.errors import Failure
from shipper.formats import Log, mta_fields
from shipper.formats.names import debug_date, service_of
from shipper.framing import blocks
from shipper.generate import Account, Plan, generate, midnight, serve, settings_of
from shipper.generate.server import line_of
from shipper.generate.settings import Concealment, Settings
from shipper.mailserver import optionfile
from shipper.reader import Reader
from shipper.record import Connection, Debug, Header, Mta, Record, Service, Store, Text, Unparsed
from shipper.stamps import Clock, epoch_ns

ALL = (
    "LOG_NODE=1,LOG_NOTARY=1,LOG_ENVELOPE_ID=1,LOG_SENSITIVITY=1,LOG_PRIORITY=1,LOG_INTERMEDIATE=1,LOG_FILTER=1,LOG_REMOTE_MTA=1,"
    "LOG_QUEUE_TIME=1,LOG_CONNECTION=255,LOG_HEADER=1,SEPARATE_CONNECTION_LOG=1"
)


def server(options: str = "") -> Settings:
    return settings_of(None, options, None)


def files(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()}


def read(path: Path, fields: Sequence[str] | None = None, zone: str = "UTC") -> Iterator[Record]:
    """The records of one file, as `convert` reads it."""
    clock = Clock(ZoneInfo(zone))
    log = Log(clock, fields=tuple(fields) if fields is not None else None, service=service_of(path.name))
    if log.service in ("dispatcher", "job_controller"):
        log.date = debug_date(path.stat().st_mtime, clock.zone, path.read_text()[:11])
    reader = Reader(log, raw="always")
    with path.open("rb") as stream:
        for block in blocks(iter(lambda: stream.read(1 << 18), b"")):
            yield from reader.read(block)


@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Account]:
    """Nine days of a small server, a Monday first."""
    out = tmp_path_factory.mktemp("week")
    options = "LOG_CONNECTION=135,LOG_NOTARY=1,logfile.*.expirytime=9999999,logfile.*.maxlogfiles=99"
    return out, generate(Plan(server(options), days=9, rate=500, seed=3), out)


@pytest.fixture(scope="module")
def records(week: tuple[Path, Account]) -> list[Record]:
    """What stands in the MTA's logs of the week, in order."""
    log = week[0] / "log"
    return [record for name in ("mail.log", "mail.log_yesterday", "mail.log_current") for record in read(log / name)]


# Reproducible

DIGEST = "77de42d7074c8213"


def test_the_same_seed_and_options_give_the_same_bytes(tmp_path: Path) -> None:
    """In another process with other hashes, too; another seed gives other bytes."""
    code = (
        "import sys; from pathlib import Path; from shipper.generate import Plan, generate, settings_of;"
        "generate(Plan(settings_of(None, 'LOG_HEADER=1', None), days=2, rate=300, seed=int(sys.argv[2])), Path(sys.argv[1]))"
    )
    for name, seed, hashes in (("a", "5", "1"), ("b", "5", "2"), ("c", "6", "1")):
        subprocess.run([sys.executable, "-c", code, tmp_path / name, seed], env={**os.environ, "PYTHONHASHSEED": hashes}, check=True)
    a, b, c = (files(tmp_path / name) for name in "abc")
    assert a == b
    assert a["log/mail.log_current"] != c["log/mail.log_current"]


def test_the_bytes_are_those_of_every_python(tmp_path: Path) -> None:
    """A digest of a small log, made on 3.11, 3.12 and 3.13. It changes when the generator is changed on purpose: then set it anew."""
    generate(Plan(server(), lines=2000, seed=1), tmp_path)
    digest = hashlib.sha256(b"".join(files(tmp_path / "log").values())).hexdigest()
    assert digest[:16] == DIGEST


def test_files_carry_the_time_of_their_last_line(week: tuple[Path, Account]) -> None:
    """So that a log whose lines have only a time of day has its date."""
    for path in (week[0] / "log").iterdir():
        if path.name.startswith(("mail.log", "imap")):
            last = list(read(path))[-1]
            assert abs((epoch_ns(last.time) or 0) / 1e9 - path.stat().st_mtime) < 90, path.name


# Readable


@pytest.mark.parametrize("log_format", range(1, 7))
@pytest.mark.parametrize("options", ["", ALL], ids=["default", "all"])
def test_every_line_is_read_as_the_record_that_was_written(log_format: int, options: str, tmp_path: Path) -> None:
    """Nothing is unparsed, text or in error, and each field has the value that the server meant, in each LOG_FORMAT."""
    plan = Plan(server(f"{options},LOG_FORMAT={log_format}"), days=1, rate=400, seed=log_format)
    meant: list[Record] = []
    write = line_of(plan.settings)
    conceal = Concealment(plan.settings.fields)

    def line(record: Mta | Connection | Header) -> str:
        text = write(record)
        if log_format < 4:
            conceal(record)
            if isinstance(record, Header):  # a header line says neither where nor by whom
                record.host, record.pid, record.thread, record.sequence = "", None, None, None
        meant.append(record)
        return text

    made = serve(plan, tmp_path, line)
    made.run(midnight(plan.start + timedelta(days=1), made.zone), None, lambda now: None)
    made.close()
    names = [name for name in ("mail.log_yesterday", "mail.log_current", "connection.log_current") if (tmp_path / name).exists()]
    found = [record for name in names for record in read(tmp_path / name, plan.settings.fields)]
    if plan.settings.separate:
        meant.sort(key=lambda record: isinstance(record, Connection))
    assert len(found) == len(meant) > 1500
    for ours, theirs in zip(meant, found, strict=True):
        assert shown(ours) == shown(theirs), theirs.raw


def shown(record: Record) -> dict[str, object]:
    """A record's fields, without those that are told by others of its fields, and without what only the reader adds."""
    assert not record.error, (record.error, record.raw)
    told = {"id", "raw", "source", "event", "severity", "time_zone_source", "modifiers", "action", "smtp_code", "enhanced_status"}
    told |= {"queue_id", "attempt", "initial_host", "dns_host", "tls_cipher", "null_sender"}
    return {name: value for name, value in msgspec.to_builtins(record).items() if name not in told and value not in (None, "", False)}


@pytest.mark.parametrize("log_format", range(1, 7))
def test_the_default_options_need_not_be_told(log_format: int, tmp_path: Path) -> None:
    """Reading by shape gives the same records as reading with the options known."""
    generate(Plan(server(f"LOG_FORMAT={log_format}"), lines=2500, seed=9), tmp_path)
    path = tmp_path / "log" / "mail.log_current"
    assert list(read(path)) == list(read(path, server().fields))


@pytest.mark.parametrize("trace", ["yes", "msgtrace", "no"])
def test_every_line_of_the_services_is_read(trace: str, tmp_path: Path) -> None:
    """Service logs give service and store records, debug logs debug records."""
    generate(Plan(server(f"local.msgtrace.active={trace}"), days=3, rate=400, seed=2), tmp_path)
    events: Counter[str] = Counter()
    for path in sorted((tmp_path / "log").iterdir()):
        for record in read(path):
            assert not record.error and not isinstance(record, Text | Unparsed), record
            if not path.name.startswith("mail.log"):
                assert isinstance(record, Service | Debug), record
                events[record.event] += 1
    usual = {"service.login", "service.badlogin", "service.close", "service.message", "service.log_created", "mta.debug"}
    assert usual <= set(events)
    assert ({"store.append", "store.fetch", "store.expunge"} <= set(events)) == (trace != "no")
    assert (tmp_path / "log" / "msgtrace").exists() == (trace == "msgtrace")


def test_a_log_across_the_end_of_summer_time_is_read_in_its_zone(tmp_path: Path) -> None:
    """Stamps are the server's local time; the hour that comes twice is told by the order of the lines."""
    generate(Plan(server(), days=1, rate=1500, start=date(2005, 10, 30), zone="Europe/Berlin"), tmp_path)
    times = [epoch_ns(record.time) or 0 for record in read(tmp_path / "log" / "mail.log_current", zone="Europe/Berlin")]
    assert all(later - before > -1e9 for before, later in pairwise(times))
    assert 24.5 * 3600e9 < times[-1] - times[0] < 25 * 3600e9


# Plausible


def test_lines_stand_in_the_order_of_time_but_for_a_moment(week: tuple[Path, Account]) -> None:
    """Threads that write in turn are some hundredths late now and then; the services, with whole seconds, hardly ever."""
    for path in (week[0] / "log").iterdir():
        times = [epoch_ns(record.time) or 0 for record in read(path) if not isinstance(record, Debug)]
        steps = [later - before for before, later in pairwise(times)]
        assert min(steps, default=0) >= (-400_000_000 if path.name.startswith("mail") else 0), path.name
        if path.name == "mail.log":
            assert any(step < 0 for step in steps)


def test_every_code_and_channel_occurs(records: list[Record]) -> None:
    """The codes of the manual, with modifiers, and the channels of the examples."""
    codes = Counter(record.code for record in records if isinstance(record, Mta | Connection))
    assert {code[0] for code in codes} == set("EDJKQRVWZBOCXYUI")
    assert {"EE", "EES", "EEA", "EESA", "DE", "DES", "EESC"} <= set(codes)
    sources = {record.source_channel for record in records if isinstance(record, Mta)}
    assert sources >= {"tcp_local", "tcp_intranet", "tcp_auth", "l", "ims-ms", "process", "reprocess", "conversion", "tcp_partner_gateway"}


def test_what_is_dequeued_was_enqueued(records: list[Record]) -> None:
    """Each D, R or K ends what an E of the same queue id and recipient began, but for what waited when the log began."""
    begun: dict[tuple[str, str], float] = {}
    old = 0
    ended: Counter[tuple[str, str]] = Counter()
    for record in records:
        if not isinstance(record, Mta) or not record.queue_id:
            continue
        key = (record.queue_id, record.recipient)
        if record.action == "E":
            assert key not in begun
            begun[key] = epoch_ns(record.time) or 0
        elif record.action in "DRK":
            ended[key] += 1
            if key not in begun:
                old += 1
    assert max(ended.values()) == 1
    assert sum(key in ended for key in begun) > 0.97 * len(begun)
    assert 0 < old < 0.02 * len(begun)  # what was tried before, and recipients that a Z record moved to a file of their own


def test_tries_are_counted_and_get_rarer(records: list[Record]) -> None:
    """Q records of one file count on from try to try, each at least some minutes after the last; W comes after a day, R after three."""
    tries: dict[str, list[Mta]] = defaultdict(list)
    for record in records:
        if isinstance(record, Mta) and record.action in "QWR" and record.queue_id:
            tries[record.queue_id].append(record)
    many = [each for each in tries.values() if len({record.attempt for record in each if record.action == "Q"}) > 3]
    assert len(many) > 5
    for each in many:
        waits = {record.attempt: epoch_ns(record.time) or 0 for record in each if record.action == "Q"}
        attempts = [attempt or 0 for attempt in waits]
        assert attempts == list(range(attempts[0], attempts[-1] + 1))
        moments = list(waits.values())
        assert all(later - before > 1200e9 for before, later in pairwise(moments))
    assert any(record.action == "W" for each in tries.values() for record in each)
    assert any(record.action == "R" and "3 days" in record.diagnostic for each in tries.values() for record in each)


def test_a_bounce_names_the_message_it_is_about(records: list[Record]) -> None:
    """The message of an R record, or W, has a notification by the channel process, from nobody, to its sender and the postmaster."""
    mta = [record for record in records if isinstance(record, Mta)]
    notices = [record for record in mta if record.action == "E" and record.destination_channel == "process"]
    assert notices and all(record.null_sender and record.related_message_id for record in notices)
    bounced = {record.message_id: record.sender for record in mta if record.action in "RW"}
    about = defaultdict(set)
    for record in notices:
        about[record.related_message_id].add(record.recipient)
    assert set(bounced) == set(about)
    for message_id, sender in bounced.items():
        assert about[message_id] == {sender, "postmaster@example.com"}
    passed_on = {record.message_id for record in mta if record.action == "E" and record.source_channel == "process"}
    assert {record.message_id for record in notices} >= passed_on > set()


def test_a_connection_opens_before_it_closes_and_carries_its_messages(records: list[Record]) -> None:
    """O and C of one thread are pairs with the same ends; E and D of the same thread stand between them."""
    open_: dict[tuple[int | None, int | None], tuple[str, int | None]] = {}
    pairs = inside = 0
    for record in records:
        if not isinstance(record, Mta | Connection) or record.thread is None:
            continue
        key = (record.pid, record.thread)
        if record.action == "O":
            open_[key] = (record.remote_ip, record.remote_port)
        elif record.action == "C":
            assert open_.pop(key, None) == (record.remote_ip, record.remote_port)
            pairs += 1
        elif isinstance(record, Mta) and record.action in "ED" and record.source_channel.startswith("tcp_"):
            inside += key in open_
            assert key in open_ or record.destination_channel == "process", record.raw
    assert pairs > 1000 and inside > 1000


def test_lists_have_one_message_and_many_recipients(records: list[Record]) -> None:
    """The original recipient is the list, the current ones its members, here and out there, one file for each host out there."""
    expanded: dict[str, list[Mta]] = defaultdict(list)
    for record in records:
        if isinstance(record, Mta) and record.action == "E" and record.destination_channel != "reprocess":  # noqa: SIM102
            if record.original_recipient.startswith(("staff@", "dev-team@")):
                expanded[record.message_id].append(record)
    assert expanded
    for each in expanded.values():
        assert len({record.recipient for record in each}) == len(each) > 3
        hosts = defaultdict(set)
        for record in each:
            if record.destination_channel.startswith("tcp_"):
                hosts[record.queue_id].add(record.recipient.rpartition("@")[2])
        assert all(len(names) == 1 for names in hosts.values())


def test_relay_attempts_are_several_and_the_last_says_so(records: list[Record]) -> None:
    """J records of one session: only the last one has the mark."""
    sessions: dict[tuple[int | None, int | None, str], list[str]] = defaultdict(list)
    for record in records:
        if isinstance(record, Mta) and record.action == "J" and "Relaying" in record.diagnostic:
            sessions[(record.pid, record.thread, record.sender)].append(record.diagnostic)
    assert any(len(each) > 3 for each in sessions.values())
    for each in sessions.values():
        assert ["last of this session" in text for text in each] == [False] * (len(each) - 1) + [True]


def test_what_users_read_was_delivered_to_them(week: tuple[Path, Account]) -> None:
    """A fetch is of a message that was appended to that user's mailbox before; who reads has logged in."""
    log = week[0] / "log"
    found: list[Record] = []
    for service in ("imta", "imap", "pop", "http"):
        for path in log.glob(f"{service}*"):
            found += read(path)
    found.sort(key=lambda record: (record.time, record.event != "store.append"))
    appended = set()
    logged_in = set()
    fetched = 0
    for record in found:
        if isinstance(record, Store) and record.event == "store.append":
            appended.add((record.user, record.message_id))
        elif isinstance(record, Service) and record.event == "service.login":
            logged_in.add(record.user)
        elif isinstance(record, Store) and record.event == "store.fetch":
            fetched += 1
            assert (record.user, record.message_id) in appended
            assert record.user in logged_in
    assert fetched > 500


def test_days_have_peaks_and_weekends_are_quiet(records: list[Record]) -> None:
    """Submissions: many more before noon than at night, on Wednesday than on Sunday."""
    moments = [datetime.fromisoformat(record.time) for record in records if isinstance(record, Mta) and record.code in ("EEA", "EESA")]
    hours = Counter(moment.hour for moment in moments)
    days = Counter(moment.date() for moment in moments)
    assert hours[10] + hours[9] > 4 * (hours[2] + hours[3] + 1)
    assert days[date(2005, 3, 9)] > 1.5 * days[date(2005, 3, 13)]


def test_all_names_and_addresses_are_invented(week: tuple[Path, Account]) -> None:
    """Only domains and networks that are set aside for documentation."""
    import re

    text = b"".join(files(week[0] / "log").values()).decode()
    ips = set(re.findall(r"\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b", text))
    assert ips and all(ip.startswith(("192.0.2.", "198.51.100.", "203.0.113.")) or ip == "6.0.3790.211" for ip in ips)
    domains = set(re.findall(r"@([a-z0-9.-]+\.[a-z]+)[> ]", text))
    assert domains and all(re.search(r"(^|\.)example\.(com|net|org)$|\.invalid$", domain) for domain in domains), domains


# Files


def test_the_files_of_the_mta_are_those_of_the_days(week: tuple[Path, Account]) -> None:
    """mail.log has all days but the last two, and no line is lost or doubled by the roll-over."""
    log, account = week[0] / "log", week[1]
    lines = [len((log / name).read_bytes().splitlines()) for name in ("mail.log", "mail.log_yesterday", "mail.log_current")]
    assert sum(lines) == account.lines["mail.log"]
    spans = [[record.time[:10] for record in read(log / name)] for name in ("mail.log", "mail.log_yesterday", "mail.log_current")]
    assert spans[0][0] == "2005-03-07" and spans[0].count("2005-03-14") < 50
    assert set(spans[1]) <= {"2005-03-14", "2005-03-15"} and spans[1].count("2005-03-15") < 50
    assert set(spans[2]) == {"2005-03-15"}


def test_service_logs_keep_their_limits(tmp_path: Path) -> None:
    """No file above its size, no more files than allowed; each begins by saying when it was created, as its name does; sequences rise."""
    options = "logfile.imap.maxlogfilesize=20000,imap.logfile.maxlogfiles=4,logfile.pop.syslogfacility=mail,logfile.http.loglevel=Notice"
    account = generate(Plan(server(options), days=2, rate=600), tmp_path)
    older = sorted((tmp_path / "log").glob("imap.*"), key=lambda path: int(path.name.split(".")[1]))
    assert len(older) == 3 and account.deleted > 10
    assert all(path.stat().st_size <= 20_000 for path in older)
    assert [int(path.name.split(".")[1]) for path in older] == list(
        range(int(older[0].name.split(".")[1]), int(older[-1].name.split(".")[1]) + 1)
    )
    for path in older:
        assert f"General Notice: Log created ({path.name.split('.')[2]})" in path.read_text().splitlines()[0]
    assert not (tmp_path / "log" / "pop").exists()
    levels = {record.level for record in read(tmp_path / "log" / "http") if isinstance(record, Service)}
    assert levels == {"Notice"}


def test_connection_records_have_files_of_their_own_when_asked(tmp_path: Path) -> None:
    """SEPARATE_CONNECTION_LOG=1, with the same roll-over."""
    generate(Plan(server("SEPARATE_CONNECTION_LOG=1"), days=3, rate=300), tmp_path)
    for name in ("", "_yesterday", "_current"):
        assert all(isinstance(record, Connection) for record in read(tmp_path / "log" / f"connection.log{name}"))
        assert not any(isinstance(record, Connection) for record in read(tmp_path / "log" / f"mail.log{name}"))


def test_old_logs_can_be_packed(tmp_path: Path) -> None:
    """With `compress`, on Sunday mail.log becomes an archive of the day, and nothing is lost."""
    account = generate(Plan(server(), days=9, rate=100, compress=True), tmp_path)
    log = tmp_path / "log"
    packed = gzip.decompress((log / "mail.log.20050313.gz").read_bytes())
    rest = [(log / f"mail.log{name}").read_bytes() for name in ("", "_yesterday", "_current")]
    assert sum(text.count(b"\n") for text in (packed, *rest)) == account.lines["mail.log"]


@pytest.mark.parametrize("options", ["", "LOG_CONNECTION=0,LOG_FILENAME=0,LOG_PROCESS=0", "LOG_NODE=1,LOG_CONNECTION=32"])
def test_the_option_file_that_is_written_is_the_one_in_force(options: str, tmp_path: Path) -> None:
    """Reading option.dat tells the optional fields of the lines."""
    plan = Plan(server(options), lines=500)
    generate(plan, tmp_path)
    named, problems = optionfile.parse((tmp_path / "config" / "option.dat").read_text())
    assert not problems
    assert optionfile.optional_fields(named) == plan.settings.fields


def test_the_settings_are_written_as_the_server_has_them(tmp_path: Path) -> None:
    """option.dat, imta_tailor, imta.cnf, dispatcher.cnf and what configutil shows."""
    generate(Plan(server("logfile.imap.syslogfacility=local3"), lines=500), tmp_path)
    config = {path.name: path.read_text() for path in (tmp_path / "config").iterdir()}
    assert "logfile.imap.syslogfacility = local3\n" in config["configutil.txt"]
    assert "IMTA_OPTION_FILE=" in config["imta_tailor"]
    assert "\ntcp_local smtp " in config["imta.cnf"]
    assert "[SERVICE=SMTP]" in config["dispatcher.cnf"]


def test_a_number_of_lines_is_met(tmp_path: Path) -> None:
    """`lines` ends the log after about so many; no day is too long for it."""
    account = generate(Plan(server(), days=None, lines=20_000, rate=500), tmp_path)
    assert 20_000 <= sum(account.lines.values()) < 20_100
    assert account.end.date() > date(2005, 3, 7)


def test_what_is_under_way_does_not_grow_with_the_days(tmp_path: Path) -> None:
    """Memory is what is under way: after a week of days not more than after one, but for the queue of hosts that are down."""
    plan = Plan(server(), days=6, rate=300)
    made = serve(plan, tmp_path, line_of(plan.settings))
    counts = []
    for day in (1, 6):
        made.run(midnight(plan.start + timedelta(days=day), made.zone), None, lambda now: None)
        counts.append(made.under_way)
    made.close()
    assert counts[1] < 3 * counts[0] < 600


# Wrong use


@pytest.mark.parametrize(
    ("options", "number"),
    [
        ("LOG_FORMAT=7", "U121"),
        ("LOG_FILENAME=yes", "U121"),
        ("logfile.imap.loglevel=loud", "U121"),
        ("logfile.smtp.loglevel=Debug", "U121"),
        ("x", "U110"),
    ],
)
def test_settings_that_cannot_be_are_refused(options: str, number: str) -> None:
    """A failure with a number, before anything is written."""
    with pytest.raises(Failure) as failed:
        server(options)
    assert failed.value.number == number


def test_nothing_is_written_over_or_among_files(tmp_path: Path) -> None:
    """A directory that has something in it is left alone."""
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "mail.log").write_text("mine")
    with pytest.raises(Failure) as failed:
        generate(Plan(server()), tmp_path)
    assert failed.value.number == "U122"
    assert files(tmp_path) == {"log/mail.log": b"mine"}


def test_a_record_of_the_client_side_is_whole(tmp_path: Path) -> None:
    """The delivery status of a D record has host, ends, banner and reply, as the parser takes them apart."""
    generate(Plan(server(), lines=3000), tmp_path)
    delivered = [record for record in read(tmp_path / "log" / "mail.log_current") if isinstance(record, Mta) and record.code == "DE"]
    assert delivered
    for record in delivered:
        assert record.remote_dns and record.banner and record.transport == "tcp" and record.diagnostic.startswith("smtp;")
        again = Mta()
        mta_fields.status(again, record.diagnostic)
        assert again.smtp_code == record.smtp_code == 250
