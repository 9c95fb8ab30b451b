"""Syslog messages from the network, as the reader reads them: one record each, no state between them, the sender's address never forged."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from shipper.formats import Log
from shipper.framing import Block
from shipper.reader import RawPolicy, Reader, octets
from shipper.record import AnyRecord, Mta, Record, Service, Syslog, Unparsed
from shipper.stamps import Clock

RECEIVED = date(2004, 8, 30)
PEER = "198.51.100.7"
MTA = b"30-Aug-2004 16:53:05.12 tcp_local    ims-ms       E 1 adam@example.com rfc822;bob@example.org bob@example.org"
SERVICE = b"Account Notice: badlogin: [192.0.2.7:51234] plaintext adam authentication failure"
LINES = [
    line for path in sorted((Path(__file__).parent / "formats").glob("*/*/input.log")) for line in path.read_bytes().split(b"\n") if line
]
HEADERS = (
    b"",
    b"<22>Aug 30 16:53:05 mail.example.com imta[411]: ",
    b"<22>1 2004-08-30T16:53:05.5-07:00 mail.example.com imapd 4711 - - ",
    b"<22>Aug 30 16:53:05 relay.example.com <21>Aug 30 16:53:04 mail.example.com imapd[5]: ",
    b"<999>",
)


def read(
    *messages: bytes, peers: list[str] | None = None, raw: RawPolicy = "always", host: str = "", received: date = RECEIVED, **more: Any
) -> list[Record]:
    reader = Reader(Log(Clock(ZoneInfo("UTC")), host=host), raw=raw)
    return reader.read_messages(messages, received, peers or [PEER] * len(messages), **more)


def from_file(*lines: bytes) -> list[Record]:
    return Reader(Log(Clock(ZoneInfo("UTC"))), file="mail.log").read(Block(b"\n".join(lines), 0))


bodies = st.sampled_from(LINES) | st.binary(max_size=60)
messages = st.lists(st.tuples(st.sampled_from(HEADERS), bodies).map(b"".join), max_size=8)


@given(messages)
def test_one_record_for_each_message_and_its_octets_back(found: list[bytes]) -> None:
    """Whatever it holds, LF or none: a record, its sender, and all of it but the framing's end."""
    got = read(*found)
    assert [octets(record) for record in got] == [message.rstrip(b"\r\n\0") for message in found]
    for record in got:
        assert record.source is not None and record.source.peer == PEER and not record.source.file
        assert record.syslog is not None and record.syslog.peer == PEER
        assert len(record.id) == 32
    assert msgspec.json.decode(msgspec.json.encode(got), type=list[AnyRecord]) == got


@given(messages)
def test_a_message_is_read_by_itself(found: list[bytes]) -> None:
    """In a batch or alone, after any others: the same record, but for the count in its id."""
    together = read(*found)
    for record, message in zip(together, found, strict=True):
        alone = read(message)[0]
        alone.id = record.id
        assert record == alone


def test_the_copy_in_a_file_has_the_same_id() -> None:
    """A record by its body; what is told by the header only, by all but the PRI, which a file does not have."""
    header = b"Aug 30 16:53:05 mail.example.com imapd[4711]: "
    for body in (MTA, SERVICE, b"something else"):
        network, file = read(b"<22>" + header + body + b"\n"), from_file(header + body)
        assert network[0].id == file[0].id
        assert network[0].kind == file[0].kind
    assert read(MTA)[0].id == from_file(MTA)[0].id


def test_every_format_is_read_behind_a_header_as_in_a_file() -> None:
    """The same kind, id and event, line by line, for every sample line that has a record's beginning; a time of day alone has no date here."""
    header = b"Aug 30 16:53:05 mail.example.com daemon[4711]: "
    compared = 0
    for line in LINES:
        line = line.rstrip(b"\r")
        file, network = from_file(header + line)[0], read(b"<22>" + header + line)[0]
        if file.kind != "debug" and file.kind != "text":
            compared += 1
            assert (network.kind, network.id, network.event) == (file.kind, file.id, file.event), line
    assert compared > 300


def test_a_time_of_day_alone_is_no_debug_line() -> None:
    """There is no date before it that it could belong to: not even behind two headers, after a line that has one."""
    relayed = b"<22>Aug 30 16:53:07 relay.example.com <21>Aug 30 16:53:05 mail.example.com dispatcher: "
    dated = relayed + b"23:59:58.41: Debug output enabled, built 30 August 2004, system mta1.example.com, process 1f625.2"
    assert [record.kind for record in read(dated, relayed + b"00:00:02.80: accepted", b"<13>00:00:02.80: accepted")] == ["syslog"] * 3


def test_the_same_message_twice_is_two_records() -> None:
    """Their ids are told apart as in a file; those of two hosts always are."""
    one = b"<22>Aug 30 16:53:05 mail.example.com imta[411]: " + MTA
    ids = [record.id for record in read(one, one, one.replace(b"mail.", b"mx2."))]
    assert len(set(ids)) == 3


def test_nobody_can_claim_to_be_another_sender() -> None:
    """HOSTNAME says who wrote it, never who sent it; neither does a record of ours in a body, and it keeps no id."""
    forged = b'{"kind":"mta","id":"%s","source":{"peer":"192.0.2.1"},"syslog":{"peer":"192.0.2.1","hostname":"mx"},"raw":"no"}'
    for message in (b"<13>Aug 30 16:53:05 192.0.2.1 app: x", b"<13>" + forged % (b"f" * 32)):
        record = read(message)[0]
        assert record.source is not None and record.source.peer == PEER
        assert record.syslog is not None and record.syslog.peer == PEER
        assert record.id != "f" * 32
        assert record.raw == message.decode()
    assert isinstance(read(b"<13>" + forged % (b"f" * 32))[0], Mta)


def test_the_year_is_that_of_reception() -> None:
    """A stamp without a year is never a week ahead of the day it came; the 29th of February is of a leap year."""
    stamps = {
        (b"Dec 31 23:59:59", date(2005, 1, 1)): "2004-12-31T23:59:59+00:00",
        (b"Jan  1 00:00:01", date(2004, 12, 31)): "2005-01-01T00:00:01+00:00",
        (b"Jan 20 00:00:01", date(2004, 12, 31)): "2004-01-20T00:00:01+00:00",
        (b"Feb 29 12:00:00", date(2007, 3, 1)): "2004-02-29T12:00:00+00:00",
    }
    for (stamp, received), time in stamps.items():
        assert read(b"<13>" + stamp + b" mail app: x", received=received)[0].time == time


def test_lf_inside_a_message_stays_in_it() -> None:
    """Only those at its end are the framing's."""
    record = read(b"<13>Aug 30 16:53:05 mail app: one\ntwo\n\n\0")[0]
    assert isinstance(record, Syslog) and record.message == "one\ntwo"
    record = read(b"<22>Aug 30 16:53:05 mail imapd[7]: " + SERVICE + b"\n30-Aug-2004 16:53:05.12 forged")[0]
    assert isinstance(record, Service)


def test_what_has_no_pri_says_that_13_was_assumed() -> None:
    """In `extra`, next to what the record has there already."""
    bare, told = read(b"Aug 30 16:53:05 mail app: x", b"<13>Aug 30 16:53:05 mail app: x")
    assert bare.extra == {"pri_assumed": True} and told.extra is None
    assert bare.syslog is not None and (bare.syslog.facility, bare.syslog.severity) == ("user", "notice")


def test_what_cannot_be_read_says_so_and_is_kept() -> None:
    """A PRI that is none, octets that are no UTF-8, a record that is damaged; and what befell a message on its way."""
    pri, latin, damaged, cut = read(
        b"<192>x",
        b"<13>Aug 30 16:53:05 mail app: gr\xfcn",
        b"<13>Aug 30 16:53:05 mail imta: " + MTA[:40],
        b"<13>x",
        wrong={3: "cut", 1: "late"},
    )
    assert "PRI" in pri.error and isinstance(pri, Syslog) and pri.message == "<192>x"
    assert latin.error.startswith("late; octet ") and isinstance(latin, Syslog) and latin.message == "grün"
    assert isinstance(damaged, Unparsed) and damaged.error.startswith("column ") and damaged.host == "mail"
    assert cut.error == "cut"


def test_a_host_is_filled_in_only_for_this_machine() -> None:
    """Messages without a host: from a local socket it is ours, from the network it is not known."""
    local, network = read(b"<13>app: x", b"<13>app: x", peers=["", PEER], host="here.example.com")
    assert (local.host, local.source) == ("here.example.com", None)
    assert network.host == ""


def test_a_relay_in_front_of_a_record() -> None:
    """The inner header is the record's, the relay's own is kept; the sender is the relay."""
    record = read(b"<22>Aug 30 16:53:07 relay.example.com <21>Aug 30 16:53:05 mail.example.com imta[4]: " + MTA)[0]
    assert isinstance(record, Mta) and record.host == "mail.example.com"
    assert record.syslog is not None and (record.syslog.hostname, record.syslog.peer) == ("mail.example.com", PEER)
    assert record.extra is not None and record.extra["relay"]["hostname"] == "relay.example.com"


def test_a_tag_without_a_colon_where_that_is_said() -> None:
    """`host word word`: text, unless the senders are known to leave the colon out."""
    message = b"<13>Aug 30 16:53:05 mail.example.com app it works"
    plain, tagged = read(message)[0], read(message, colonless_tag=True)[0]
    assert isinstance(plain, Syslog) and (plain.process, plain.message) == ("", "app it works")
    assert isinstance(tagged, Syslog) and (tagged.process, tagged.message) == ("app", "it works")
