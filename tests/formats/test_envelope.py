"""Records behind a syslog header or a `file:` prefix: the same record as without, and what the envelope says."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shipper.formats import BY_NAME, Log, open_envelope
from shipper.formats.envelope import SyslogHeader
from shipper.framing import Block
from shipper.reader import Reader
from shipper.record import Debug, Record, Syslog, Text, Unparsed
from shipper.stamps import Clock

GOLDEN = Path(__file__).parent
MTA = "30-Aug-2004 16:53:04.12 tcp_local    ims-ms       E 1 adam@example.com rfc822;bob@example.org bob@example.org"
SERVICE = "[30/Aug/2004:16:53:05 -0700] mail imapd[4711]: Account Notice: login [192.0.2.7:40718] user1 plaintext"
BODY = "Account Notice: login [192.0.2.7:40718] user1 plaintext"

HEADERS = [
    "<22>Aug 30 16:53:05 relay su[7]: ",
    "Aug 30 16:53:05 relay su: ",
    "Aug 30 16:53:05 relay su[7]: [ID 702911 mail.info] ",
    "Aug 30 16:53:05 relay su[7] ",
    "<22>su[7]: ",
    "<22>1 2004-08-30T16:53:05Z relay su 7 - - ",
    '<22>1 2004-08-30T16:53:05Z relay su 7 - [a x="1 \\] 2"] ',
    "2004-08-30T16:53:05.5-07:00 relay su[7]: ",
]
PREFIXES = ["mail.log:", "./a/mail.log_current:12:", "mx1:/logs/mail.log-", r"C:\logs\mail.log:", "imap.63.915107696:"]


def golden_lines() -> list[str]:
    """The golden lines of every format but ours that are read right."""
    lines = [
        line.rstrip("\r")
        for path in sorted(GOLDEN.glob("*/*/input.log"))
        if path.parent.parent.name != "envelope"
        for line in path.read_bytes().decode(errors="replace").split("\n")
    ]
    return [line for line in dict.fromkeys(lines) if line.isprintable() and not isinstance(read(line), Text | Syslog)]


def log_of(host: str = "") -> Log:
    return Log(Clock(ZoneInfo("UTC")), host=host, date=(2004, 9, 1))


def read(line: str, host: str = "") -> Record:
    (record,) = Reader(log_of(host), raw="never").read(Block(line.encode(), 0))
    return record


def plain(record: Record, *without: str) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(record)
    return {name: value for name, value in fields.items() if name not in without}


LINES = golden_lines()


def test_there_are_lines_of_every_kind() -> None:
    """The laws below say something about every kind of record that a log's line can be."""
    assert {type(read(line)).__name__ for line in LINES} >= {"Mta", "Connection", "Header", "Service", "Store", "Unparsed"}


@pytest.mark.parametrize("header", HEADERS)
def test_record_behind_a_syslog_header(header: str) -> None:
    """It is the record of the line alone; only a host and a time that the line does not have come from the header, which is in `syslog`."""
    for line in LINES:
        alone, behind = read(line), read(header + line)
        assert isinstance(behind.syslog, msgspec.Struct), line
        envelope = plain(behind)["syslog"]
        assert (envelope["app_name"], envelope.get("proc_id", "7")) == ("su", "7")
        host = "relay" if "relay" in header else ""
        assert behind.host == (alone.host or host), line
        without = ["id", "syslog", "host"] + ([] if alone.time else ["time", "time_zone_source", "extra"])
        assert plain(behind, *without) == plain(alone, *without), line


@pytest.mark.parametrize("header", HEADERS)
def test_id_is_that_of_the_line_without_its_envelope(header: str) -> None:
    """The syslog copy and the file's copy of a record have one id, where it is known from which host the file is."""
    for prefix in ("", *PREFIXES):
        assert read(prefix + header + MTA).id == read(MTA, "relay" if "relay" in header else "").id
        assert read(prefix + header + SERVICE).id == read(SERVICE).id


@pytest.mark.parametrize("prefix", PREFIXES)
def test_record_behind_a_prefix(prefix: str) -> None:
    """It is the record of the line alone, id and all; the same behind a syslog header, in front of one, and both."""
    for line in LINES:
        alone = read(line)
        if isinstance(alone, Debug | Unparsed) or not alone.time or line.startswith(" "):
            continue  # what only half looks like a record, as the text of debug logs, stays whole
        assert read(prefix + line) == alone, line
        for header in HEADERS:
            assert read(prefix + header + line) == read(header + line)
            assert plain(read(header + prefix + line), "syslog") == plain(read(header + line), "syslog")


def test_service_record_that_has_its_stamp_in_the_header() -> None:
    """What a server writes whose log goes to syslog is the record that its file would have, but for who says when."""
    alone = plain(read(SERVICE), "id", "syslog", "time_zone_source")
    for header in ("<21>1 2004-08-30T16:53:05-07:00 mail imapd 4711 - - ", "2004-08-30T16:53:05-07:00 mail imapd[4711]: "):
        assert plain(read(header + BODY), "id", "syslog", "time_zone_source") == alone
        assert plain(read("messages:" + header + BODY)) == plain(read(header + BODY))


def test_service_records_with_the_same_text_have_different_ids() -> None:
    """The stamp is in the header then, so the header is part of what the id is made of."""
    ids = {read(f"<21>Aug 30 16:53:{second:02d} mail imapd[4711]: {BODY}").id for second in range(60)}
    assert len(ids) == 60


def test_a_forced_format_is_kept_to() -> None:
    """`--format` reads its own records behind envelopes, and nothing else; the service format's are those of a server's syslog, too."""
    for only, line, kind in (
        ("mta-text", HEADERS[0] + MTA, "mta"),
        ("mta-text", HEADERS[0] + BODY, "unparsed"),
        ("service", HEADERS[0] + BODY, "service"),
        ("service", HEADERS[0] + MTA, "unparsed"),
    ):
        form = next(form for name, form in BY_NAME.items() if name.replace("_", "-") == only)
        (record,) = Reader(log_of(), only=form).read(Block(line.encode(), 0))
        assert record.kind == kind, (only, line)


def test_relays() -> None:
    """Of two headers the inner one is the record's; the relay's is kept beside it. Foreign text keeps the outer one, and the inner as text."""
    record = read("<13>1 2004-08-30T16:53:07Z relay rsyslogd - - - <22>Aug 30 16:53:05 mail imta[411]: " + MTA)
    assert (record.host, plain(record)["syslog"]["app_name"]) == ("mail", "imta")
    assert record.extra == {
        "relay": {
            "facility": "user", "severity": "notice", "version": 1, "timestamp": "2004-08-30T16:53:07Z",
            "hostname": "relay", "app_name": "rsyslogd",
        }
    }  # fmt: skip
    foreign = read("<13>Aug 30 16:53:07 relay <38>Aug 30 16:53:05 mail sshd[17]: hi")
    assert isinstance(foreign, Syslog)
    assert (foreign.host, foreign.message, foreign.extra) == ("relay", "<38>Aug 30 16:53:05 mail sshd[17]: hi", {"year_assumed": True})


def test_message_of_another_program() -> None:
    """Its time, host, process, pid and severity come from the header; the year, which that has not, from the file's date, and that is said."""
    record = read("<35>Aug 30 16:53:05 mail sshd[17]: hi")
    assert plain(record, "id", "syslog") == {
        "kind": "syslog", "time": "2004-08-30T16:53:05+00:00", "time_zone_source": "config", "event": "syslog.message", "severity": "err",
        "host": "mail", "process": "sshd", "pid": 17, "message": "hi", "extra": {"year_assumed": True},
    }  # fmt: skip


@pytest.mark.parametrize(("proc_id", "pid"), [("0", 0), ("4711", 4711), ("x", None), ("1" * 30, None), ("\u0661", None), ("\u00b2", None)])
def test_only_a_number_is_a_pid(proc_id: str, pid: int | None) -> None:
    """RFC 5424 allows any word; one that is no decimal number stays in `syslog.proc_id` alone."""
    record = read(f"<35>1 - mail su {proc_id} - - hi")
    assert (record.pid, plain(record)["syslog"]["proc_id"]) == (pid, proc_id)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "just words: and a colon",
        "note:12 apples",
        "note:[sic] pears",
        "a-b c-d",
        MTA,
        SERVICE,
        BODY,
        SERVICE[1:29] + SERVICE[30:],
        "16:53:05.12: a debug log's line",
        '<en ts="2004-08-30T16:53:04.12"/>',
        '{"time":"2004-08-30T16:53:05Z","a-b":{"c":1}}',
        "<p>12</p>",
        "<22",
        "<>x",
        "Marvellous 12:00:00",
        "Mar 12:00:00 x",
        "2004-08-30 16:53:05,120 INFO main: text",
        "2004-08-30T16:53:05Z ERROR main: text",
        "2004-08-30T16:53:05Z main ERROR: text",
        "2004-08-30T16:53:05Z some text",
        "2004-08-30",
        "1 - - - - - -",
        "1 2 3",
        "http://www.example.com/2004-08-30T16:53:05",
        "a(b:30-Aug-2004 16:53:04.12",
        "with blanks.log:30-Aug-2004 16:53:04.12",
        "x" * 500 + ":30-Aug-2004 16:53:04.12",
    ],
)
def test_no_envelope(line: str) -> None:
    """Lines of our formats, and lines of others that only look alike, have none: they stay whole."""
    assert open_envelope(line, log_of()) is None


PIECES = [
    *HEADERS, *PREFIXES, MTA, SERVICE, BODY, "Aug 30 16:53:05 ", "<22>", "<999>", "1 ", "mail ", "mta ", ":", "-", " ", "[", "30-Aug-2004 ",
    "16:53:05.12 ", "Feb 31 12:00:00 mail su: ", "0000-12-31T23:59:60Z mail su: ", "9999-12-31T23:59:59-23:00 mail su: ",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=8).map("".join)


@given(line=TEXTS)
@example(line="<999>x")
@example(line="<22>1 2004-08-30T16:53:05Z m")
def test_what_is_inside_is_the_end_of_the_line(line: str) -> None:
    """Opening never raises and always comes to an end: what is inside is shorter, and stands in the line as it is."""
    log = log_of()
    while (opened := open_envelope(line, log)) is not None:
        assert len(opened.inner) < len(line)
        assert line.endswith(opened.inner)
        for record in (opened.record(), opened.body()):
            if isinstance(record, Syslog):
                assert line.endswith(record.message)
        line = opened.inner


@given(line=TEXTS.filter(lambda line: "\n" not in line and "\r" not in line))
def test_every_line_is_one_record_that_can_be_written(line: str) -> None:
    """However envelopes and pieces of lines are mixed: one record, its JSON is one line, its time has an offset."""
    record = read(line)
    assert b"\n" not in msgspec.json.encode(record)
    assert not record.time or re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?[+-]\d\d:\d\d(:\d\d)?", record.time), record.time


@pytest.mark.parametrize(
    "fill", ["<", "[", " ", '"', ":", "-", "a:", "1-", "<22>", "x:<22>", "Aug 30 16:53:05 ", "Aug 30 16:53:05 m su: ", "30-Aug-2004 "]
)
def test_a_megabyte_of_anything_is_opened_in_milliseconds(fill: str) -> None:
    """Linear time; and envelopes in envelopes are opened a few deep."""
    line = fill * (1_000_000 // len(fill))
    begun = time.process_time()
    opened = open_envelope(line, log_of())
    if isinstance(opened, SyslogHeader):
        opened.record()
        opened.body()
    assert time.process_time() - begun < 0.25
    begun = time.process_time()
    read(line)
    assert time.process_time() - begun < 2
