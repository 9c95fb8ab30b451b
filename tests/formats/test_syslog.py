"""Syslog messages: what is read from a header, and that nothing is lost where senders do not keep to the grammar."""

from __future__ import annotations

import re
import time
from datetime import date, timedelta

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shipper.events import FACILITIES, SEVERITIES
from shipper.formats import syslog
from shipper.formats.syslog import Message, dated, parse
from shipper.record import Envelope


def header(message: Message) -> dict[str, object]:
    """What the envelope has, as it stands in a record; and the text and the error, where they are not empty."""
    found: dict[str, object] = msgspec.to_builtins(message.envelope)
    return found | {name: text for name, text in (("message", message.message), ("error", message.error)) if text}


MAIL_INFO = {"facility": "mail", "severity": "info"}
BSD = {"timestamp": "Aug 30 16:53:05", "hostname": "mail"}


# RFC 5424


def test_rfc5424_header() -> None:
    """PRI, version, stamp, host, application, process id, message id, structured data and text each get their field."""
    text = '<22>1 2004-08-30T16:53:05.123-07:00 mail.example.com imapd 4711 LOGIN [origin ip="192.0.2.1" ip="192.0.2.2"][meta] hello'
    assert header(parse(text)) == MAIL_INFO | {
        "version": 1,
        "timestamp": "2004-08-30T16:53:05.123-07:00",
        "hostname": "mail.example.com",
        "app_name": "imapd",
        "proc_id": "4711",
        "msg_id": "LOGIN",
        "structured_data": {"origin": {"ip": ["192.0.2.1", "192.0.2.2"]}, "meta": {}},
        "message": "hello",
    }


@pytest.mark.parametrize("message", ["", " ", " two blanks in front", "[not data]", "a\nb"])
def test_rfc5424_nil_fields_are_absent_and_the_message_keeps_its_blanks(message: str) -> None:
    """`-` is no value. Behind the one blank that separates, all is message: more blanks, brackets, line feeds."""
    assert header(parse(f"<22>1 - - - - - - {message}")) == MAIL_INFO | {"version": 1} | ({"message": message} if message else {})


def test_rfc5424_message_may_be_missing() -> None:
    """A header that ends with its structured data is whole."""
    assert parse("<22>1 - - - - - -") == Message(Envelope("mail", "info", 1), "")


@pytest.mark.parametrize(
    ("written", "value"),
    [
        (r"a \"b\" \\ [c\]", r'a "b" \ [c]'),
        (r"line\nbell\a", r"line\nbell\a"),
        ("", ""),
        ("a]b=c d", "a]b=c d"),
        ("z\u00fcrich \u2028", "z\u00fcrich \u2028"),
    ],
)
def test_structured_data_escapes(written: str, value: str) -> None:
    r"""`\"`, `\\` and `\]` are unescaped; before any other character a backslash is a backslash (RFC 5424 6.3.3)."""
    message = parse(f'<22>1 - - - - - [x@1 v="{written}"] m')
    assert (message.envelope.structured_data, message.message, message.error) == ({"x@1": {"v": value}}, "m", "")


def test_structured_data_id_that_comes_again_is_kept_both_times() -> None:
    """The standard forbids it; one object would swallow the other."""
    data = parse('<22>1 - - - - - [a x="1"][b y="2"][a x="3"][a]').envelope.structured_data
    assert data == {"a": [{"x": "1"}, {"x": "3"}, {}], "b": {"y": "2"}}


@pytest.mark.parametrize(
    "tail",
    [
        '[action:"Drop"; flags:"278528"] text',
        "[] text",
        '[ a x="1"] text',
        '[a x="1"',
        '[a x="1]',
        '[a x="1\\',
        '[a x="1"x] text',
        '[a ="1"] text',
        '[a x="1"][b',
        '[a x="1"]text',
        "-text",
        "text",
        "",
    ],
)
def test_bad_structured_data_goes_to_the_message(tail: str) -> None:
    """From where the structured data should begin, all is message as it was written; the error names the column."""
    message = parse(f"<22>1 - mail imapd - - {tail}")
    envelope = message.envelope
    assert (envelope.hostname, envelope.app_name, envelope.structured_data, message.message) == ("mail", "imapd", None, tail)
    assert re.match(r"column \d+: expected .*structured data, ", message.error), message.error


@pytest.mark.parametrize("text", ["1 notATime mail su - - - text", "1 2004-08-30T16:53:05Z mail su", "1 ", "1 one file removed"])
def test_rfc5424_header_that_stops_short_is_message(text: str) -> None:
    """A header that cannot be read leaves everything behind the PRI in the message, and an error."""
    assert header(parse("<22>" + text)) == MAIL_INFO | {"version": 1, "message": text, "error": parse("<22>" + text).error}
    assert parse("<22>" + text).error.startswith("column 7: expected TIMESTAMP HOSTNAME")


def test_only_version_1_is_bound_to_the_grammar_of_rfc5424() -> None:
    """A higher version is read by it where the whole header fits; where it does not, the text is plain text behind a PRI, and no error."""
    assert header(parse('<22>2 2004-08-30T16:53:05Z mail su - - [a x="1"] hi'))["version"] == 2
    for text in (
        "2 files removed",
        "2 2004-08-30T16:53:05Z mail su - - [bad",
        "0 2004-08-30T16:53:05Z mail su - - - hi",
        "1000 - - - - - - hi",
    ):
        assert header(parse("<22>" + text)) == MAIL_INFO | {"message": text}


def test_long_names_are_kept_whole() -> None:
    """Names longer than the standard allows are data, not errors: only what writes syslog again has to cut them."""
    host, app, proc, msg_id, name = ("h" * 300, "a" * 60, "p" * 200, "m" * 50, "n" * 40)
    envelope = parse(f'<22>1 - {host} {app} {proc} {msg_id} [{name} {name}="v"]').envelope
    assert (envelope.hostname, envelope.app_name, envelope.proc_id, envelope.msg_id) == (host, app, proc, msg_id)
    assert envelope.structured_data == {name: {name: "v"}}


def test_line_feeds_in_header_fields_stay_in_their_field() -> None:
    """They make no second record: one message stays one, and JSON escapes them."""
    message = parse("<22>1 - ma\nil su\n<1>1 4 - - hi")
    assert (message.envelope.hostname, message.envelope.app_name, message.message) == ("ma\nil", "su\n<1>1", "hi")
    assert b"\n" not in msgspec.json.encode(message.envelope)


@pytest.mark.parametrize(
    "head", ["<22>1 - - - - - - ", "<22>1 - - - - - [a] ", "<22>Aug 30 16:53:05 mail su: ", "<22>Aug 30 16:53:05 mail su[1]: ", "<22>"]
)
def test_byte_order_mark_is_no_part_of_the_message(head: str) -> None:
    """It says that the message is UTF-8, which it is here anyway. Only the first one goes."""
    assert parse(f"{head}\ufeffhi").message == "hi"
    assert parse(f"{head}\ufeff\ufeffhi").message == "\ufeffhi"


# RFC 3164


def test_rfc3164_header() -> None:
    """PRI, stamp, host, tag and process id each get their field; the blank behind the tag goes."""
    assert header(parse("<22>Aug 30 16:53:05 mail imapd[4711]: hello")) == MAIL_INFO | BSD | {
        "app_name": "imapd",
        "proc_id": "4711",
        "message": "hello",
    }


@pytest.mark.parametrize(
    ("tail", "tag", "pid", "message"),
    [
        ("su: text", "su", "", "text"),
        ("su:", "su", "", ""),
        ("su:  text ", "su", "", " text "),
        ("su:\ttext", "su", "", "\ttext"),
        ("su:\ntext\nmore", "su", "", "\ntext\nmore"),
        (" su[7]: two blanks behind the host", "su", "7", "two blanks behind the host"),
        ("root[8539]:no blank behind it", "root", "8539", "no blank behind it"),
        ("postfix/smtpd[1]: the whole name is the tag", "postfix/smtpd", "1", "the whole name is the tag"),
        ("imapd[4711] no colon, but a pid", "imapd", "4711", "no colon, but a pid"),
        ("imapd[]: an empty pid", "imapd", "", "an empty pid"),
        ("imapd[12-a]: a pid that is no number", "imapd", "12-a", "a pid that is no number"),
        ("%ASA-4-106023: Deny udp", "%ASA-4-106023", "", "Deny udp"),
        ("odd!tag{};[3]: text", "odd!tag{};", "3", "text"),
        ("3proxy: text", "3proxy", "", "text"),
        ("word word: no tag without a colon or pid", "", "", "word word: no tag without a colon or pid"),
        ("value1,value2", "", "", "value1,value2"),
        (" one blank of these goes", "", "", "one blank of these goes"),
        ("http://www.example.com/ is up", "", "", "http://www.example.com/ is up"),
        ("643: *Jan  8 12:00:00: a sequence number", "", "", "643: *Jan  8 12:00:00: a sequence number"),
        ('{"ac": "E"}', "", "", '{"ac": "E"}'),
        ("[30/Aug/2004:16:53:05 -0700] mail imapd[1]: x", "", "", "[30/Aug/2004:16:53:05 -0700] mail imapd[1]: x"),
        ("30/Aug/2004:16:53:05 -0700 mail imapd[1]: x", "", "", "30/Aug/2004:16:53:05 -0700 mail imapd[1]: x"),
        ("16:53:05.12: a time of day", "", "", "16:53:05.12: a time of day"),
        ("", "", "", ""),
    ],
)
def test_tags(tail: str, tag: str, pid: str, message: str) -> None:
    """A tag ends in `:` or `[pid]`. What has neither, is only digits, or begins as data does, is message; one blank before that goes."""
    wanted = MAIL_INFO | BSD | {name: text for name, text in (("app_name", tag), ("proc_id", pid), ("message", message)) if text}
    assert header(parse(f"<22>Aug 30 16:53:05 mail {tail}")) == wanted


def test_no_host_is_a_hyphen() -> None:
    """Where a tag follows it: it is what RFC 5424 writes for none. Elsewhere it is the beginning of a message."""
    assert header(parse("<22>Aug 30 16:53:05 - imapd[4711]: hello")) == {
        "facility": "mail",
        "severity": "info",
        "timestamp": "Aug 30 16:53:05",
        "app_name": "imapd",
        "proc_id": "4711",
        "message": "hello",
    }
    assert parse("<22>Aug 30 16:53:05 - no tag").message == "- no tag"


def test_tag_without_colon_is_an_option() -> None:
    """Where senders are known to leave the colon out, the first word is the tag; with a colon it stays the tag that it was."""
    for text in ("mta E 1 text", "mta  E 1 text"):
        message = parse(f"<22>Aug 30 16:53:05 mail {text}", colonless_tag=True)
        assert (message.envelope.app_name, message.message) == ("mta", "E 1 text")
    message = parse("<22>Aug 30 16:53:05 mail mta: E 1 text", colonless_tag=True)
    assert (message.envelope.app_name, message.message) == ("mta", "E 1 text")


@pytest.mark.parametrize(
    ("tail", "host", "tag", "message"),
    [
        ("192.0.2.1 su: hi", "192.0.2.1", "su", "hi"),
        ("2001:db8::4 su: hi", "2001:db8::4", "su", "hi"),
        ("::1 su: hi", "::1", "su", "hi"),
        ("fe80::1%eth0 su: hi", "fe80::1%eth0", "su", "hi"),
        ("mail_1.example.com su: hi", "mail_1.example.com", "su", "hi"),
        ("su: hi", "", "su", "hi"),
        ("su[1]: hi", "", "su", "hi"),
        ("word", "", "", "word"),
        ("mail ", "mail", "", ""),
        ("--- last message repeated 1 time ---", "", "", "--- last message repeated 1 time ---"),
        ("last message repeated 2 times", "", "", "last message repeated 2 times"),
        ("mail last message repeated 2 times", "mail", "", "last message repeated 2 times"),
        ("30-Aug-2004 16:53:05.12 tcp_local", "", "", "30-Aug-2004 16:53:05.12 tcp_local"),
    ],
)
def test_hosts(tail: str, host: str, tag: str, message: str) -> None:
    """A host is a word that a blank follows: IPv6 addresses too. A tag straight after the stamp is a tag, and what begins a record is none."""
    found = parse(f"<22>Aug 30 16:53:05 {tail}")
    assert (found.envelope.hostname, found.envelope.app_name, found.message) == (host, tag, message)


@pytest.mark.parametrize(
    ("written", "timestamp"),
    [
        ("Aug 30 16:53:05", "Aug 30 16:53:05"),
        ("Aug  3 16:53:05", "Aug  3 16:53:05"),
        ("Aug 3 16:53:05", "Aug 3 16:53:05"),
        ("AUG 03 16:53:05", "AUG 03 16:53:05"),
        ("Aug 30 16:53:05.123456", "Aug 30 16:53:05.123456"),
        ("Aug 30 2004 16:53:05", "2004-08-30T16:53:05"),
        ("Aug  3 2004 16:53:05,5", "2004-08-03T16:53:05.5"),
        ("Aug 30 16:53:05 2004", "2004-08-30T16:53:05"),
        ("Aug  3 16:53:05.5 2004", "2004-08-03T16:53:05.5"),
        ("2004-08-30T16:53:05.123456-07:00", "2004-08-30T16:53:05.123456-07:00"),
        ("2004-08-30T16:53:05Z", "2004-08-30T16:53:05Z"),
        ("2004-08-30T16:53:05", "2004-08-30T16:53:05"),
        ("2004-08-30 16:53:05", "2004-08-30T16:53:05"),
        ("2004-08-30 16:53:05,12-0700", "2004-08-30T16:53:05.12-07:00"),
        ("2004-08-30T16:53:05-07", "2004-08-30T16:53:05-07:00"),
    ],
)
def test_stamps(written: str, timestamp: str) -> None:
    """With fraction, year, a month in capitals, ISO 8601 with any zone or none: made ISO 8601 as far as the sender said what that takes."""
    message = parse(f"<22>{written} mail su: hi")
    assert header(message) == MAIL_INFO | {"timestamp": timestamp, "hostname": "mail", "app_name": "su", "message": "hi"}
    if "T" in written and (written.endswith("Z") or written[-6] in "+-"):
        assert parse(f"<22>1 {written} mail su - - - hi").envelope.timestamp == timestamp


@pytest.mark.parametrize(
    "text", ["Foo 11 22:14:15 mail x", "mail x", " mail x", "Aug 30 16:53 mail x", "*Jan  8 12:00:00 x", "643: *Jan  8 x"]
)
def test_no_stamp_is_no_error(text: str) -> None:
    """Behind a PRI any text is a message (RFC 3164 4.3.2); without a stamp there is no host to be found in it."""
    assert header(parse("<22>" + text)) == MAIL_INFO | {"message": text.removeprefix(" ")}


def test_tag_straight_after_the_pri() -> None:
    """What local programs send to a socket: a tag, and neither stamp nor host."""
    assert header(parse("<22>imapd[4711]: hi")) == MAIL_INFO | {"app_name": "imapd", "proc_id": "4711", "message": "hi"}


@pytest.mark.parametrize(
    ("pri", "solaris", "wanted"),
    [
        ("", "[ID 702911 mail.notice] ", {"facility": "mail", "severity": "notice", "msg_id": "702911"}),
        ("", "[ID 845546 daemon.error] ", {"facility": "daemon", "severity": "err", "msg_id": "845546"}),
        ("<22>", "[ID 702911 mail.notice] ", MAIL_INFO | {"msg_id": "702911"}),
    ],
)
def test_solaris_message_id(pri: str, solaris: str, wanted: dict[str, str]) -> None:
    """Solaris writes a number, facility and severity before the text: all three get their fields, and a PRI is believed first."""
    assert header(parse(f"{pri}Aug 30 16:53:05 mail imapd[4711]: {solaris}hi")) == wanted | BSD | {
        "app_name": "imapd", "proc_id": "4711", "message": "hi",
    }  # fmt: skip
    other = f"{pri}Aug 30 16:53:05 mail imapd[4711]: [ID 1 nothing.known] hi"
    assert parse(other).message == "[ID 1 nothing.known] hi"


# PRI


def test_every_pri_is_a_facility_and_a_severity() -> None:
    """0 to 191: facility times 8 plus severity; zeros in front are tolerated."""
    for number in range(192):
        for text in (f"<{number}>1 - - - - - - x", f"<{number:03d}>Aug 30 16:53:05 mail su: x", f"<{number}>x"):
            envelope = parse(text).envelope
            assert FACILITIES.index(envelope.facility) * 8 + SEVERITIES.index(envelope.severity) == number


@pytest.mark.parametrize("pri", ["<192>", "<999>", "<1000>", "<" + "9" * 5000 + ">"])
@pytest.mark.parametrize("rest", ["1 - - - - - - x", "Aug 30 16:53:05 mail su: x", ""])
def test_pri_above_191_keeps_the_whole_text(pri: str, rest: str) -> None:
    """Nobody knows what such a number means: nothing is read, everything is kept, and the error says so."""
    message = parse(pri + rest, assume_pri=True)
    assert (message.envelope, message.message, message.pri_assumed) == (Envelope(), pri + rest, False)
    assert message.error.startswith("column 2: expected a PRI of 0 to 191, found ")


@pytest.mark.parametrize(
    "text", ["Aug 30 16:53:05 mail su: x", "Use the phone", "<>x", "<-1>x", "<abc>x", "<22", "1 2004-08-30T16:53:05Z m s - - - x", ""]
)
def test_message_without_pri(text: str) -> None:
    """From the network it counts as 13 and says that this was assumed; in a file nobody wrote a PRI down, and none is made up."""
    message = parse(text, assume_pri=True)
    assert (message.envelope.facility, message.envelope.severity, message.pri_assumed) == ("user", "notice", True)
    plain = parse(text)
    assert (plain.envelope.facility, plain.envelope.severity, plain.pri_assumed, plain.error) == ("", "", False, "")
    assert plain.message == message.message


# The year


@pytest.mark.parametrize(
    ("stamp", "received", "timestamp"),
    [
        ("Dec 31 23:59:59", date(2005, 1, 1), "2004-12-31T23:59:59"),
        ("Jan  1 00:00:05", date(2004, 12, 31), "2005-01-01T00:00:05"),
        ("Jan  6 00:00:00", date(2004, 12, 31), "2005-01-06T00:00:00"),
        ("Jan  7 00:00:00", date(2004, 12, 31), "2004-01-07T00:00:00"),
        ("Aug 30 16:53:05.5", date(2004, 8, 30), "2004-08-30T16:53:05.5"),
        ("Feb 29 12:00:00", date(2005, 3, 1), "2004-02-29T12:00:00"),
        ("Feb 29 12:00:00", date(2104, 2, 1), "2096-02-29T12:00:00"),
        ("Dec 31 12:00:00", date.max, "9999-12-31T12:00:00"),
        ("Feb 29 12:00:00", date.min, "0000-02-29T12:00:00"),
    ],
)
def test_year_of_a_stamp_that_has_none(stamp: str, received: date, timestamp: str) -> None:
    """The last one that puts the stamp less than 7 days after the day it came on; 29 February is in a leap year."""
    assert dated(stamp, received) == timestamp
    for text in (f"<22>{stamp} mail su: x", f"{stamp} mail su: x", f"<22>{stamp} word"):
        assert parse(text, received).envelope.timestamp == timestamp


@given(stamp=st.dates(min_value=date(1970, 1, 1)), reference=st.dates(min_value=date(1980, 1, 1)))
def test_year_is_never_more_than_a_week_ahead(stamp: date, reference: date) -> None:
    """Whatever the day: less than 7 days ahead, and no more than a year back, or from leap year to leap year."""
    found = date.fromisoformat(dated(f"{stamp:%b} {stamp.day:2d} 23:59:59", reference)[:10])
    assert (found.month, found.day) == (stamp.month, stamp.day)
    assert found - reference < timedelta(days=7)
    assert reference - found < timedelta(days=366 if (stamp.month, stamp.day) != (2, 29) else 8 * 366)


def test_without_a_date_to_go_by_the_stamp_stays_as_written() -> None:
    """No year is invented; a stamp that has its year, or is none, is not touched."""
    assert parse("<22>Aug 30 16:53:05 mail su: x").envelope.timestamp == "Aug 30 16:53:05"
    for stamp in ("2004-08-30T16:53:05Z", "Foo 30 16:53:05", "", "yesterday"):
        assert dated(stamp, date(2005, 1, 1)) == stamp


# Laws

PIECES = [
    "<22>", "<0>", "<191>", "<192>", "<", ">", "1 ", "2 ", "- ", "-", " ", "  ", ":", ": ", "[", "]", '"', "\\", "=", "\ufeff", "\n", "\0",
    "Aug 30 16:53:05", "Aug  3 16:53:05.12", "AUG 30 2004 16:53:05", "2004-08-30T16:53:05.5Z", "2004-08-30 16:53:05", "2004-13-30T16:53:05-07",
    "mail", " mail ", " 2004 ", "192.0.2.1 ", "2001:db8::4 ", "imapd", " imapd[4711]: ", "su: ", "[ID 7 mail.info] ", "[a]", '[a x="1"]',
    '[b y="\\]"] ', "last message repeated 2 times", "30-Aug-2004 16:53:05.12 ", "Account Notice: ", "\u00b2", "\u0661", "\u00a0",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES) | st.text(max_size=4), max_size=14).map("".join)
RECEIVED = st.none() | st.dates()


def head_of(envelope: Envelope) -> str:
    """A pattern of the head that this envelope was read from: its fields as they are in their order, and nothing but marks between them."""
    host, app, proc, msg_id = map(re.escape, (envelope.hostname, envelope.app_name, envelope.proc_id, envelope.msg_id))
    if envelope.version is not None:
        fields = " ".join(field or "-" for field in (host, app, proc, msg_id))
        data = r"\[.*\]" if envelope.structured_data else "-?"
        return rf"(<\d+>)?{envelope.version} (-|\S{{19,35}}) {fields} ?{data} ?\ufeff?|<\d+>"
    stamp = r"(?=.*\d\d:\d\d:\d\d).{14,40}?" if envelope.timestamp else ""
    tag = rf" *{app}(\[{proc}\])?:?" if app else ""
    solaris = rf" ?\[ID {msg_id} \w+\.\w+\]" if msg_id else ""
    return rf"(<\d+>)?{stamp}{' +' + host if host else ''}{tag}{solaris} {{0,9}}\ufeff?"


@given(text=TEXTS, received=RECEIVED, assume_pri=st.booleans(), colonless_tag=st.booleans())
@example(text="<22>" + "1" * 5000, received=None, assume_pri=True, colonless_tag=False)
def test_nothing_of_a_message_is_lost(text: str, received: date | None, assume_pri: bool, colonless_tag: bool) -> None:
    """Never an exception; the message is the end of the text as it came; what stands before it is in the envelope."""
    message = parse(text, received, assume_pri=assume_pri, colonless_tag=colonless_tag)
    assert text.endswith(message.message)
    head = text[: len(text) - len(message.message)]
    assert re.fullmatch(head_of(message.envelope), head, re.DOTALL), (head, message)


@given(text=TEXTS, received=RECEIVED, assume_pri=st.booleans())
@example(text="Aug 30 16:53:05 2004 su: x", received=None, assume_pri=False)
def test_short_cut_changes_nothing(text: str, received: date | None, assume_pri: bool) -> None:
    """The one expression for the usual shape of RFC 3164 says what the pieces say."""
    assert parse(text, received, assume_pri=assume_pri) == syslog._any(text, received, assume_pri, False)


WORDS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60).filter(lambda word: word != "-")
VALUES = st.text(max_size=20)
NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters='="]'), min_size=1, max_size=40)
DATA = st.dictionaries(NAMES, st.dictionaries(NAMES, VALUES, max_size=3), max_size=3)


def escaped(value: str) -> str:
    return re.sub(r'(["\\\]])', r"\\\1", value)


@given(
    pri=st.integers(0, 191), fields=st.lists(st.just("-") | WORDS, min_size=4, max_size=4), data=DATA, text=st.none() | st.text(max_size=40)
)
def test_rfc5424_round_trip(pri: int, fields: list[str], data: dict[str, dict[str, str]], text: str | None) -> None:
    """Any message of the standard's grammar, written and read again, has the fields it was made of."""
    written = "".join(
        f"[{name}{''.join(f' {key}={chr(34)}{escaped(value)}{chr(34)}' for key, value in of.items())}]" for name, of in data.items()
    )
    message = parse(f"<{pri}>1 2004-08-30T16:53:05.5Z {' '.join(fields)} {written or '-'}" + ("" if text is None else " " + text))
    host, app, proc, msg_id = ("" if field == "-" else field for field in fields)
    facility, severity = FACILITIES[pri // 8], SEVERITIES[pri % 8]
    assert message.envelope == Envelope(facility, severity, 1, "2004-08-30T16:53:05.5Z", host, app, proc, msg_id, data or None)
    assert (message.message, message.error) == ((text or "").removeprefix("\ufeff"), "")


@pytest.mark.parametrize(
    "fill",
    ["<", "[", "]", " ", '"', "\\", "a", ":", "9", "[a]", '[a x="1"]', ' x="', '\\"', "a=", "é", "\n", "- ", "<1>", "Aug 30 16:53:05 "],
)
@pytest.mark.parametrize(
    "head",
    [
        "",
        "<22>",
        "<",
        "<22>1 ",
        "<22>1 - - - - - ",
        "<22>1 - - - - - [a ",
        '<22>1 - - - - - [a x="',
        "Aug 30 16:53:05 ",
        "Aug 30 16:53:05 mail ",
        "2004-08-30T16:53:05 m x: ",
    ],
)
def test_a_megabyte_of_anything_is_read_in_milliseconds(head: str, fill: str) -> None:
    """Linear time: no header, however it goes on, makes the reading explode."""
    text = head + fill * (1_000_000 // len(fill))
    begun = time.process_time()
    parse(text)
    parse(text, colonless_tag=True)
    assert time.process_time() - begun < 0.5 * (4 if "[a" in fill else 1), "far from linear"
