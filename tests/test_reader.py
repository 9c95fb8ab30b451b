"""The reader: what every record gets, whatever its format; and every octet can be had back."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from shipper import reader
from shipper.formats import BY_NAME, FORMATS, Log
from shipper.framing import Block, blocks
from shipper.reader import RawPolicy, Reader, octets
from shipper.record import AnyRecord, Record, Text, Unparsed
from shipper.stamps import Clock

GOLDEN = sorted((Path(__file__).parent / "formats").glob("*/*/input.log"))
GOOD = b"19-Jan-1998 19:16:57.64 l            tcp_local    E 1 adam@example.com rfc822;bob@example.org bob@example.org"


def records(data: bytes, *, raw: RawPolicy = "always", file: str = "mail.log", host: str = "", pieces: int = 1 << 20) -> list[Record]:
    """All records of a stream that is read in pieces of this size."""
    reader = Reader(Log(Clock(ZoneInfo("UTC")), host=host), file=file, raw=raw)
    cut = [data[start : start + pieces] for start in range(0, len(data), pieces)]
    return [record for block in blocks(cut) for record in reader.read(block)]


lines = st.sampled_from([line for path in GOLDEN for line in path.read_bytes().split(b"\n")])
noise = st.binary(max_size=80).map(lambda line: line.replace(b"\n", b" "))
mixed = st.lists(lines | noise | st.tuples(lines, noise).map(lambda two: two[0][:40] + two[1] + two[0][40:]), max_size=12)


@given(mixed, st.integers(1, 300))
def test_one_record_for_each_line_and_every_octet_back(found: list[bytes], pieces: int) -> None:
    """Damage, binary or text: as many records as lines, in order, at their offsets, and the line's octets are in the record."""
    data = b"\n".join(found)
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return
    got = records(data, pieces=pieces)
    expected = data.split(b"\n")
    if expected[-1] == b"":
        expected.pop()
    assert [octets(record) for record in got] == expected
    position = 0
    for record, line in zip(got, expected, strict=True):
        assert record.source is not None and record.source.offset == position
        position += len(line) + 1
    assert msgspec.json.decode(msgspec.json.encode(got), type=list[AnyRecord]) == got


@given(mixed, st.integers(1, 300))
def test_batches_make_no_difference(found: list[bytes], pieces: int) -> None:
    """However a log is cut into pieces, it is the same records, ids and all."""
    data = b"\n".join(found)
    assert records(data, pieces=pieces) == records(data)


BODIES = (
    b"30-Oct-2005 %s.64 tcp_local    ims-ms       E 1 adam@example.com rfc822;bob@example.org bob@example.org",
    b"30-Oct-2005 %s.64 tcp_local    + O TCP|192.0.2.1|25|192.0.2.2|1234 SMTP",
    b'<en ts="2005-10-30T%s.64" ac="E" sc="tcp_local" fr="adam@example.com" to="bob@example.org"/>',
    b'<en ts="no time" ac="E" sc="tcp_local" fr="adam@example.com" to="bob@example.org"/>',
    b'{"ac":"E","sc":"tcp_local","fr":"adam@example.com"}',
    b"[30/Oct/2005:%s +0100] mail imapd[27]: Account Information: login [192.0.2.7:1234] adam plaintext",
    b"Account Notice: badlogin: [192.0.2.7:40718] plaintext user1 authentication failure",
    b"Account Notice: close [192.0.2.7:1234] user1 2005/10/30 1:59:01 0:20:00 10 20 1",
    b"Oct 30 %s relay imta: 30-Oct-2005 %s.64 tcp_local    ims-ms       E 1 adam@example.com rfc822;bob@example.org bob@example.org",
    b"text of another program",
)
HEADERS = (b"<22>Oct 30 %s mail imta[411]: ", b"<22>1 2005-10-30T%s.5 mail imta 411 - - ", b"<22>Oct 30 %s.25 mail imta: ", b"<22>")
messages = st.lists(
    st.tuples(st.sampled_from(HEADERS), st.sampled_from(BODIES), st.integers(3600, 4 * 3600 - 1), st.integers(-3600, 3600)), max_size=12
)
"""Headers, bodies, seconds of the header's stamp since midnight, and how many later that of the body is."""


def clocked(text: bytes, second: int) -> bytes:
    return text.replace(b"%s", b"%02d:%02d:%02d" % (second // 3600, second // 60 % 60, second % 60))


@given(messages, st.lists(st.integers(1, 5), min_size=1))
@example([(HEADERS[0], BODIES[3], 9000, 0), (HEADERS[0], BODIES[2], 9000, 3600)], [1])
def test_batches_of_messages_make_no_difference(found: list[tuple[bytes, bytes, int, int]], sizes: list[int]) -> None:
    """In the hour that comes twice, whatever bodies come together and whether their times can be read: however many are read at once, it is the same
    records, ids and all."""
    sent = [clocked(header, second) + clocked(body, second + later) for header, body, second, later in found]
    got: list[list[Record]] = []
    for batches in ([max(1, len(sent))], sizes):
        reader, start = Reader(Log(Clock(ZoneInfo("Europe/Berlin")))), 0
        got.append([])
        while start < len(sent):
            size = batches[len(got[-1]) % len(batches)]
            some = sent[start : start + size]
            got[-1] += reader.read_messages(some, date(2005, 10, 30), ["192.0.2.1"] * len(some))
            start += size
    assert got[0] == got[1]


def test_the_same_line_has_the_same_id_in_every_copy() -> None:
    """Another file, another offset, a CR or blanks at the end: the same id. Another host: another."""
    (first,) = records(GOOD, file="mail.log_current")
    copies = records(b"some text\n" + GOOD + b"  \r\n", file="mail.log")
    assert copies[1].id == first.id
    assert first.id != records(GOOD, host="mail2.example.com")[0].id
    assert len(first.id) == 32 and set(first.id) <= set("0123456789abcdef")


def test_identical_lines_of_one_second_are_told_apart() -> None:
    """Three identical lines are three events: three ids, the same three in each copy of the log."""
    once = [record.id for record in records(b"\n".join([GOOD] * 3))]
    assert len(set(once)) == 3
    other = GOOD.replace(b":57.", b":58.")
    again = [record.id for record in records(b"\n".join([GOOD, other, GOOD, other, GOOD]))]
    assert again[0::2] == once


def test_raw_is_kept_as_asked() -> None:
    """By default only of what could not be read; `always` of all; `never` of none."""
    data = GOOD + b"\n19-Jan-1998 99:16:57.64 nonsense"
    assert [bool(record.raw) for record in records(data, raw="errors")] == [False, True]
    assert [bool(record.raw) for record in records(data, raw="always")] == [True, True]
    assert [bool(record.raw) for record in records(data, raw="never")] == [False, False]


def test_what_is_not_utf8_is_kept_and_said() -> None:
    """A Latin-1 name in an address is read as such; the record says so, and the octets can be had back."""
    line = GOOD.replace(b"adam", b"j\xf6rg")
    (record,) = records(line, raw="errors")
    assert msgspec.to_builtins(record)["sender"] == "jörg@example.com"
    assert "not UTF-8" in record.error
    assert octets(record) == line


def test_a_cut_line_says_so() -> None:
    """A line over the limit is its own record with an error; the next one is whole."""
    data = GOOD + b"x" * 5000 + b"\n" + GOOD
    reader = Reader(Log(Clock(ZoneInfo("UTC"))))
    got = [record for block in blocks([data], max_line=1000) for record in reader.read(block)]
    assert len(got) == 2
    assert f"line of {len(GOOD) + 5000} octets, cut after 1000" in got[0].error
    assert got[1].error == ""


def test_bom_and_carriage_returns_are_not_part_of_a_field() -> None:
    """A file from Windows: the first and the last field are right, and `raw` is the line as it was."""
    data = b"\xef\xbb\xbf" + GOOD + b"\r\n" + GOOD + b"\r\n"
    for record in records(data):
        assert msgspec.to_builtins(record)["recipient"] == "bob@example.org"
        assert octets(record).endswith(b"\r")


def test_a_forced_format_takes_nothing_else() -> None:
    """With a format forced, another format's line is unparsed and says why."""
    reader = Reader(Log(Clock(ZoneInfo("UTC"))), only=BY_NAME["mta_text"])
    good, other = reader.read(Block(GOOD + b"\nfoo", 0))
    assert good.error == ""
    assert isinstance(other, Unparsed) and "mta_text" in other.error


def test_foreign_lines_are_text() -> None:
    """A line of no known format is kept whole as text, an empty one too."""
    one, two = records(b"hello world\n\n")
    assert isinstance(one, Text) and one.message == "hello world"
    assert isinstance(two, Text) and two.message == ""


def test_native_records_keep_their_ids_only_when_nothing_else_is_expected() -> None:
    """What we wrote is read back whole with the format forced; in a mixed log its id is made anew, so that no line can claim another's."""
    (first,) = records(GOOD, file="mail.log")
    line = msgspec.json.encode(first)
    reader = Reader(Log(Clock(ZoneInfo("UTC"))), file="mail.jsonl", only=BY_NAME["native"])
    kept, broken = reader.read(Block(line + b"\n{", 0))
    assert kept == first
    assert broken.error and broken.id and broken.source and broken.source.file == "mail.jsonl"
    (anew,) = Reader(Log(Clock(ZoneInfo("UTC"))), file="mail.jsonl").read(Block(line, 0))
    assert anew.id != first.id and anew.source and anew.source.file == "mail.jsonl"


def test_a_debug_line_of_another_day_is_another_record() -> None:
    """Debug logs write the time of day alone: the same text at the same time on two days has two ids."""
    line = b"10:11:12.13: Debug output of a channel\n"
    (one,) = Reader(Log(Clock(ZoneInfo("UTC")), date=(2005, 3, 1))).read(Block(line, 0))[:1]
    (two,) = Reader(Log(Clock(ZoneInfo("UTC")), date=(2005, 3, 2))).read(Block(line, 0))[:1]
    assert one.id != two.id


def test_every_record_begins_with_one_of_these() -> None:
    """What stands behind a header is offered to the formats only then."""
    taken = set()
    for path in sorted((Path(__file__).parent / "formats").glob("*/*/input.log")):
        for line in path.read_bytes().decode("utf-8", "replace").split("\n"):
            if any(form.parse_run([line], 0, Log(), []) for form in FORMATS):
                taken.add(line[0])
                assert line[0] in reader._BEGINS, line
    assert {"0", "1", "[", "<", "{", "D", " "} <= taken
