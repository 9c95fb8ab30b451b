"""The server's own lines: reading what was written gives the records that it was written from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from shipper import generate
from shipper.formats import Log, names
from shipper.formats.mta_text import OPTIONAL
from shipper.framing import blocks
from shipper.mailserver.settings import MailServer
from shipper.profiles.server_text import USUAL, lines
from shipper.reader import NOT_UTF8, Reader
from shipper.record import Debug, Header, Mta, Record, Service, Store, Syslog, Text, Unparsed
from shipper.stamps import Clock
from tests.formats.test_golden import CASES, name, reader_of

TIME = "2005-03-07T09:26:53.58+00:00"
FIELDS = tuple(name for name in OPTIONAL if name != "reason")  # its text cannot be told from the diagnostic's


def read(octets: bytes, file: str = "", fields: Sequence[str] | None = None) -> list[Record]:
    log = Log(Clock(ZoneInfo("UTC")), fields=None if fields is None else tuple(fields), service=names.service_of(file))
    reader = Reader(log, file=file, raw="never")
    return [record for block in blocks([octets]) for record in reader.read(block)]


def bare(record: Record) -> Record:
    """The record without what is the reader's, not the line's."""
    return replace(record, id="", source=None, raw="")


@pytest.mark.parametrize(
    "options",
    [
        "",
        "LOG_FORMAT=2,LOG_NODE=1,LOG_HEADER=1",
        "LOG_FORMAT=3,LOG_CONNECTION=255,SEPARATE_CONNECTION_LOG=1",
        "LOG_FORMAT=4,LOG_HEADER=1",
        "LOG_FORMAT=5,LOG_QUEUE_TIME=1",
        "LOG_FORMAT=6,LOG_CONNECTION=255",
    ],
)
def test_the_logs_of_a_server_are_written_as_it_would(tmp_path: Path, options: str) -> None:
    """Every record of generated logs, written with the server's own settings and read again, is the same record."""
    settings = generate.settings_of(None, options, None)
    generate.generate(generate.Plan(settings, days=None, lines=1200), tmp_path)
    server = MailServer.of({option: str(value) for option, value in settings.mta.items()})
    render = lines(server.number("LOG_FORMAT"), server.fields or USUAL)
    kinds: Counter[str] = Counter()
    for path in sorted((tmp_path / "log").iterdir()):
        records = read(path.read_bytes(), path.name, server.fields)
        written = render(records)
        assert all(line.endswith(b"\n") and line.count(b"\n") == 1 for line in written)
        assert [bare(record) for record in read(b"".join(written), path.name, server.fields)] == [bare(record) for record in records]
        kinds.update(record.kind for record in records)
    assert {"mta", "connection", "service", "store"} <= kinds.keys() and "unparsed" not in kinds


@pytest.mark.parametrize("case", CASES, ids=name)
def test_whatever_was_read_is_one_line_and_reads_as_well_as_before(case: Path) -> None:
    """The records of all golden files, also damaged ones, with their lines: a file of these lines is a file of the same records."""
    octets = (case / "input.log").read_bytes()
    reader = reader_of(case)
    records = [record for block in blocks([octets]) for record in reader.read(block)]
    written = lines(1, FIELDS)(records)
    assert all(line.endswith(b"\n") and line.count(b"\n") == 1 for line in written)
    for record, line in zip(records, written, strict=True):
        (again,) = read(line, record.source.file if record.source else "", FIELDS)
        if not record.error:
            assert not isinstance(again, Unparsed), line
        if isinstance(record, Service | Store | Header) and not record.error and line[:1] == b"[":
            assert (again.time[:19], again.host, again.process, again.pid) == (record.time[:19], record.host, record.process, record.pid)
            assert isinstance(again, Service) and isinstance(record, Service) and again.message == record.message


def test_a_record_with_its_line_is_written_as_it_was() -> None:
    """Whatever the line is; but a line end inside it makes no second line."""
    render = lines()
    assert render([Mta(time=TIME, code="E", raw="as it was\r")]) == [b"as it was\r\n"]
    assert render([Unparsed(error=f"octet 1: {NOT_UTF8}", raw="\xe9")]) == [b"\xe9\n"]
    (line,) = render([Unparsed(error="x", raw="one\ntwo")])
    assert line.count(b"\n") == 1 and len(read(line)) == 1


def test_what_the_servers_formats_cannot_hold_is_a_native_line() -> None:
    """Nothing of it is lost: reading it again gives the record."""
    full = Service(time=TIME, host="mail", process="imapd", pid=1, service="imap", category="Account", level="Notice", message="x")
    for record in (
        Mta(code="E", severity="info"),
        Syslog(time=TIME, message="of another program", severity="info"),
        Debug(service="dispatcher", message="no level", severity="debug"),
        replace(full, host=""),
        replace(full, process="a b"),
        replace(full, level=""),
        replace(full, time=""),
        replace(full, time="2005-03-07T09:26:53+00:53:28"),
        replace(full, message="x\n[07/Mar/2005:09:26:53 +0000] mail imapd[1]: Account Notice: login [192.0.2.1:1] eve plain"),
        replace(full, message="x\ry"),
        replace(full, host="a\nb"),
    ):
        (line,) = lines()([record])
        assert line.startswith(b'{"kind":')
        (again,) = read(line)
        assert bare(again) == bare(record)
    assert not lines()([full])[0].startswith(b"{")
    assert not lines()([Text(message="")])[0].strip()


@given(st.builds(Service, time=st.just(TIME), host=st.text(max_size=3), process=st.text(max_size=3), category=st.text(max_size=3),
                 level=st.text(max_size=3), message=st.text(max_size=9)))  # fmt: skip
def test_no_field_makes_a_second_line(record: Service) -> None:
    """Whatever stands in a record, it is one line, and no other record."""
    (line,) = lines()([record])
    assert line.count(b"\n") == 1
    (again,) = read(line)
    assert isinstance(again, Service | Store | Unparsed | Text | Debug)


def test_a_format_that_does_not_exist_is_refused() -> None:
    """A wrong LOG_FORMAT or field is the caller's error."""
    with pytest.raises(ValueError, match="LOG_FORMAT=7"):
        lines(7)
    with pytest.raises(ValueError, match="colour"):
        lines(1, ("colour",))
