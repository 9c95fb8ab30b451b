"""Service logs, beside their golden files: what holds for every line, and how fast."""

from __future__ import annotations

import time
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shipper import events
from shipper.formats import Log, service
from shipper.record import Debug, Record, Service, Store, Unparsed
from shipper.stamps import Clock

GOLDEN = Path(__file__).parent / "service"
LINES = sorted({line for path in GOLDEN.glob("*/input.log") for line in path.read_text("latin-1").split("\n") if line})

HEAD = "[30/Aug/2004:16:53:05 -0700] vadar imapd[13027]: Account Notice: "


def log(name: str = "") -> Log:
    return Log(clock=Clock(ZoneInfo("UTC")), service=name)


def parse(*lines: str, name: str = "") -> list[Record]:
    """The records of lines that are all of this format."""
    found: list[Record] = []
    assert service.parse_run(lines, 0, log(name), found) == len(lines)
    assert len(found) == len(lines)
    return found


def of(message: str) -> Service:
    (record,) = parse(HEAD + message)
    assert isinstance(record, Service)
    assert record.message == message
    return record


# What a line may hold.

words = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_characters='[]:"\x7f\x85\xa0'), min_size=1, max_size=12)
texts = st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cs"]), max_size=60)
users = st.one_of(words, st.tuples(words, words).map(" ".join))
ports = st.integers(1, 65535)
ips = st.one_of(st.ip_addresses(v=4).map(str), st.ip_addresses(v=6).map(lambda ip: ip.exploded))
pieces = st.sampled_from(
    [
        "login [",
        "badlogin: [",
        "close [",
        "append:",
        "fetch:",
        "expunge:",
        ":<",
        ">",
        "] ",
        " 2004/8/30 1:02:03 0:00:01 1 2 3",
        "(id 1) ",
        "=",
        "|",
    ]
)
messages = st.lists(st.one_of(pieces, texts), max_size=8).map("".join)


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """A line of the golden files with a piece cut out, doubled, or replaced."""
    line = draw(st.sampled_from(LINES))
    start = draw(st.integers(0, len(line)))
    end = draw(st.integers(start, len(line)))
    return line[:start] + draw(st.one_of(st.just(""), texts, pieces, st.just(line[start:end] * 2))) + line[end:]


@given(st.lists(st.one_of(texts, damaged(), messages.map(HEAD.__add__)), max_size=20))
@example(["30/Aug/2004:16:53:05 0700 x", "30/Aug/2004:16:53:05 -0700 x imapd[1]: General Notice: half a stamp begins the next line"])
@example(["[30/Aug/2004:16:53:05 -0700", "[30/Aug/2004:16:53:05 -0700] x imapd[1]: General Notice: and a whole one too"])
def test_one_record_for_each_line_whatever_it_holds(lines: list[str]) -> None:
    """Never an exception; a run ends before the first line that is not of this format, and line by line the records are the same."""
    together: list[Record] = []
    position = 0
    while position < len(lines):
        reached = service.parse_run(lines, position, log(), together)
        assert position <= reached <= len(lines)
        position = reached
        if position < len(lines):
            assert service.parse_run(lines[position : position + 1], 0, log(), []) == 0
            position += 1
    alone: list[Record] = []
    for line in lines:
        service.parse_run([line], 0, log(), alone)
    assert together == alone
    assert [msgspec.json.decode(msgspec.json.encode(record), type=type(record)) for record in together] == together


@given(st.one_of(st.sampled_from(LINES), damaged(), messages.map(HEAD.__add__)))
@example(HEAD)
@example(HEAD + " ")
@example(HEAD.rstrip())
def test_a_rendered_record_is_parsed_as_the_same_record(line: str) -> None:
    """parse(render(record)) is the record, for every record of a line; so what `generate` writes is what it meant."""
    found: list[Record] = []
    service.parse_run([line], 0, log(), found)
    for record in found:
        if isinstance(record, Service) and record.time:
            assert parse(service.render(record)) == [record]


@given(messages)
def test_behind_a_syslog_header_the_same_is_read(message: str) -> None:
    """`Account Notice: ...`, with time and process from elsewhere, gives the record of the whole line."""
    (whole,) = parse(HEAD + message)
    text = "Account Notice: " + message
    assert service.is_body(text)
    body = service.parse_body(text, "2004-08-30T16:53:05-07:00", "record", "imapd", 13027, log())
    body.host = "vadar"
    assert body == whole


@pytest.mark.parametrize(
    "text",
    ["", "Account", "Account Notice", "Account: x", "Accounts Notice: x", "Account Notable: x", "ſtore Notice: x", " LDAP Alert: x"],
)
def test_only_a_known_category_and_level_begin_a_body(text: str) -> None:
    """A syslog message of another program is none of the mail server's."""
    assert not service.is_body(text)


@pytest.mark.parametrize("word", service._CATEGORIES)
@pytest.mark.parametrize("level", [*events.LEVELS, "NOTICE", "Information"])
def test_every_category_and_level_begins_a_body(word: str, level: str) -> None:
    """Those of the manuals, in any case."""
    assert service.is_body(f"{word} {level}: x")
    assert service.is_body(f"{word} {level}:x")
    assert parse(f"{HEAD[:48]} {word} {level}: x")[0].severity == events.LEVELS[level.lower()]


# The events, from their fields.


@given(ips, ports, users, st.sampled_from(["plaintext", "CRAM-MD5", "PLAIN"]))
def test_a_login_is_read_back(ip: str, port: int, user: str, mechanism: str) -> None:
    """Address, port, user (of one word or two) and mechanism are those that were written."""
    record = of(f"login [{ip}:{port}] {user} {mechanism}")
    assert record.event == "service.login"
    assert (record.client_ip, record.client_port, record.user, record.auth_method) == (ip, port, user, mechanism)


@given(ips, ports, users, st.sampled_from(service.REASONS), st.sampled_from(["", "hold", "inactive"]))
def test_a_bad_login_is_read_back(ip: str, port: int, user: str, reason: str, state: str) -> None:
    """Whatever name was tried: it ends where the known reason begins, and the account's state is apart from the reason."""
    if state:
        reason = "account disabled"
    record = of(f"badlogin: [{ip}:{port}] plaintext {user} {reason}" + (f" ({state})" if state else ""))
    assert record.event == "service.badlogin"
    assert (record.client_ip, record.client_port, record.user, record.auth_method) == (ip, port, user, "plaintext")
    assert (record.reason, record.account_state) == (reason, state)


@given(
    ips, ports, st.one_of(users, st.just("[unauthenticated]")), st.datetimes(), st.integers(0, 10**7), st.integers(0, 10**17),
    st.integers(0, 10**17), st.integers(0, 99),
)  # fmt: skip
def test_a_session_s_end_is_read_back(ip: str, port: int, user: str, began: object, length: int, in_: int, out: int, boxes: int) -> None:
    """Begin, length and the three numbers; the begin has the line's zone, and no one was logged in when it says so."""
    began = str(began)[:19]
    year, month, day = (int(text) for text in began[:10].split("-"))
    clock = f"{int(began[11:13])}{began[13:]}"
    duration = f"{length // 3600}:{length // 60 % 60:02}:{length % 60:02}"
    record = of(f"close [{ip}:{port}] {user} {year:04}/{month}/{day} {clock} {duration} {in_} {out} {boxes}")
    assert record.event == "service.close"
    assert (record.client_ip, record.client_port) == (ip, port)
    assert record.user == ("" if user == "[unauthenticated]" else user)
    assert (record.session_start, record.session_seconds) == (f"{began.replace(' ', 'T')}-07:00", length)
    assert (record.bytes_from_client, record.bytes_to_client, record.mailboxes) == (in_, out, boxes)


folders = st.lists(st.one_of(words, st.just("Sent Messages"), st.just("Re: plans")), min_size=1, max_size=4).map(
    lambda names: "user/" + "/".join(names)
)
ids = st.one_of(st.just(""), st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="<>"), max_size=40))


@given(users, folders, st.integers(0, 10**12), ids)
def test_a_message_s_way_through_the_store_is_read_back(user: str, folder: str, size: int, message_id: str) -> None:
    """append, fetch and expunge: names with blanks, folders with blanks and colons, any id, the empty one too."""
    append = of(f"append:{user}:{folder}:{size}:<{message_id}>")
    fetch = of(f"fetch:{user}:{folder}:<{message_id}>")
    expunge = of(f"expunge:{folder}:<{message_id}>")
    for record, event in ((append, "store.append"), (fetch, "store.fetch"), (expunge, "store.expunge")):
        assert isinstance(record, Store)
        assert (record.event, record.folder, record.message_id, record.error) == (event, folder, message_id, "")
    assert (append.user, fetch.user, expunge.user) == (user, user, "")
    assert append.size_bytes == size
    assert fetch.size_bytes is None


@given(st.dictionaries(words.filter(lambda word: not set(word) & set("=|")), texts.filter(lambda text: "|" not in text), min_size=1))
def test_pairs_are_read_back(pairs: dict[str, str]) -> None:
    """`key=value|key=value` becomes an object of what has a value; blanks at the line's end are no part of it."""
    message = "|".join(f"{key}={value}" for key, value in pairs.items())
    last = next(reversed(pairs))
    pairs[last] = pairs[last].rstrip()
    record = of(message)
    if "[" not in message and not message.startswith("(id "):
        assert record.attributes == ({key: value for key, value in pairs.items() if value} or None)


# Which service.


def test_the_process_says_the_service_then_the_file_then_nobody() -> None:
    """`imapd` is imap in whatever file; a process that is not known is of the file's service, and `default` without a name."""
    line = "[30/Aug/2004:16:53:05 -0700] vadar {}[1]: General Notice: x"
    assert [
        record.service for record in parse(line.format("imapd"), line.format("cgi_task"), name="pop") if isinstance(record, Service)
    ] == ["imap", "admin"]
    (named,), (unnamed,) = parse(line.format("newd"), name="pop"), parse(line.format("newd"))
    assert isinstance(named, Service)
    assert isinstance(unnamed, Service)
    assert (named.service, unnamed.service) == ("pop", "default")


@pytest.mark.parametrize(("process", "name"), [("dispatcher", ""), ("job_controller", "imap"), ("tcp_smtp_server", "dispatcher")])
def test_dispatcher_and_job_controller_write_debug_records(process: str, name: str) -> None:
    """With use_nslog the grammar is that of the services, the kind stays `debug`; the severity is the level's."""
    (record,) = parse(f"[30/Aug/2004:16:53:05 -0700] mta1 {process}[1]: Network Error: accept failed", name=name)
    assert isinstance(record, Debug)
    assert (record.service in service.DEBUG_LOGS, record.category, record.level, record.severity) == (True, "Network", "Error", "err")
    assert (record.message, record.time) == ("accept failed", "2004-08-30T16:53:05-07:00")


# What is of this format.


@pytest.mark.parametrize(
    "line",
    [
        "", "x", "[", "[]", "19-Jan-1998 19:16:57.64 tcp_local    l            E 1", "Account Notice: no stamp",
        "[Wed Oct 11 14:32:52 2000] [error] [client 192.0.2.7] x", '192.0.2.7 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 1',
        "30-Aug-2004:16:53:05 vadar imapd[1]: General Notice: x", "[30/August/2004:16:53:05 -0700] x", "30/08/2004:16:53:05 -0700 x",
    ],
)  # fmt: skip
def test_other_formats_lines_are_left_alone(line: str) -> None:
    """Only a line that begins with the stamp of service logs is of this format."""
    found: list[Record] = []
    assert service.parse_run([line], 0, log(), found) == 0
    assert not found


def test_an_error_says_the_column_where_reading_stopped() -> None:
    """Columns count from 1; the blank before what is missing is not what is missing."""
    cases = {
        "": "column 30: expected a host name",
        "vadar": "column 35: expected process[pid]:",
        "vadar imapd": "column 36: expected process[pid]:",
        "vadar imapd[x]: General Notice: y": "column 36: expected process[pid]:",
        "vadar imapd[1]:": "column 45: expected a category",
        "vadar imapd[1]: General": "column 53: expected a level and ':'",
        "vadar imapd[1]: General Notice": "column 54: expected a level and ':'",
    }
    for rest, error in cases.items():
        (record,) = parse(HEAD[:29] + rest)
        assert isinstance(record, Unparsed)
        assert record.error.startswith(error), rest


# Time.

HOSTILE = [
    *"()[]<>:=|0é ", '"', '" ', ":<", "a=|", "=x|", "x|", "a ", "1/1/1 ", "2004/8/30 1:02:03 ", " 2004/8/30 1:02:03 0:00:01 1 2 3", "user/", ":user/",
]  # fmt: skip
OPENINGS = [
    "", "login [", "login [192.0.2.7:1] ", "badlogin: [", "badlogin: [192.0.2.7:1] plaintext ", "close [192.0.2.7:1] ", "append:", "fetch:u:",
    "expunge:", "(id ", "a=b|", "user[",
]  # fmt: skip


def seconds(line: str) -> float:
    """Of two tries the shorter, as the machine has other work too."""
    taken = []
    for _ in range(2):
        begin = time.process_time()
        service.parse_run([line], 0, log(), [])
        taken.append(time.process_time() - begin)
    return min(taken)


@pytest.mark.parametrize("opening", OPENINGS)
def test_a_long_line_takes_time_in_proportion(opening: str) -> None:
    """A megabyte of what could make a parser go back and forth, after every beginning, is read in a fraction of a second."""
    for piece in HOSTILE:
        assert seconds(HEAD + opening + piece * (1_000_000 // len(piece))) < 0.5, piece


@pytest.mark.parametrize("piece", HOSTILE)
def test_a_long_line_without_a_message_too(piece: str) -> None:
    """The same where the head should be, and where the stamp should be."""
    flood = piece * (1_000_000 // len(piece))
    for line in (flood, "[" + flood, HEAD[:29] + flood, HEAD[:29] + "vadar " + flood, HEAD[:48] + flood):
        assert seconds(line) < 0.5
