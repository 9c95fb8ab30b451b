"""Trying a line: every field is shown where it stands, for the golden lines of every format, and no line whatever breaks it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.formats import BY_NAME, FORMATS, Log, xml_element
from shipper.formats.names import service_of
from shipper.framing import blocks
from shipper.reader import Reader
from shipper.spans import LONGEST
from shipper.stamps import Clock
from shipper.tryline import Tried, as_data, as_text, try_lines, values

CASES = sorted(Path(__file__).parent.glob("formats/*/*/input.log"))


def tried(text: str | bytes, zone: str = "UTC", fields: tuple[str, ...] | None = None, only: str = "") -> list[Tried]:
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    return list(try_lines([data], Log(Clock(ZoneInfo(zone)), fields), BY_NAME.get(only)))


def golden(path: Path) -> list[Tried]:
    options = path.with_name("options.json")
    chosen = json.loads(options.read_text()) if options.exists() else {}
    fields = tuple(chosen["fields"]) if chosen.get("fields") else None
    return tried(path.read_bytes(), chosen.get("timezone", "UTC"), fields)


def columns(one: Tried) -> dict[str, tuple[int, int]]:
    return {span.field: (span.start + 1, span.end) for span in one.spans}


def agrees(field: str, value: Any, text: str) -> bool:
    """Whether this text is how a line writes this value, where it does not write the value itself."""
    if unescape(text) == str(value) or xml_element.decode(text) == str(value) or (isinstance(value, list) and text in value):
        return True
    for written in (text, f'"{text}"'):
        try:
            if json.loads(written) == value:
                return True
        except ValueError:
            pass
    if field in ("time", "session_start", "syslog.timestamp"):
        clock = re.search(r"([0-9]{1,2}):([0-9]{2}:[0-9]{2})(?![0-9:])(\.[0-9]+)?", text)
        return clock is not None and f"{clock[1]:0>2}:{clock[2]}{clock[3] or ''}" in str(value)
    if field in ("pid", "thread", "sequence"):
        return bool(int(text, 16) == value)
    if field in ("syslog.facility", "syslog.severity"):
        return text.isdecimal()
    if field == "session_seconds":
        hours, minutes, seconds = text.split(":")
        return bool(int(hours) * 3600 + int(minutes) * 60 + int(seconds) == value)
    if field == "attempt":
        return bool(91 - ord(text[1]) == value)
    if isinstance(value, int) and text.isdecimal():
        return int(text) == value
    made = {"+": "in", "-": "out", "<>": True, "0:": True, "": True, "*": True}
    return text.lower() == value or made.get(unescape(text)) == value or field in ("syslog.structured_data", "queue_seconds")


def law(one: Tried) -> None:
    """What holds for every line: spans say what stands there, and no two claim the same characters."""
    fields = values(one.record)
    end = 0
    for span in one.spans:
        text = one.line[span.start : span.end]
        assert 0 <= span.start <= span.end <= len(one.line)
        if span.field in ("prefix", "extra.relay"):
            continue
        value = fields[span.field]
        if span.end == LONGEST:
            assert value.startswith(text)
            continue
        assert (text == str(value)) if span.exact else agrees(span.field, value, text), (span, text, value)
        if span.inside:
            assert any(outer.start <= span.start and span.end <= outer.end for outer in one.spans if not outer.inside), span
        elif span.field != "syslog.severity":
            assert span.start >= end, f"{span} overlaps the one before"
            end = span.end
    for start, stop in one.unread:
        assert one.line[start:stop].strip() == one.line[start:stop] != ""
        assert all(stop <= span.start or span.end <= start for span in one.spans if span.end > span.start)


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parts[-3]}/{path.parts[-2]}")
def test_spans_of_golden_lines_say_what_stands_there(path: Path) -> None:
    """The text at each span is the field's value, or is made into it in the way that the format documents."""
    for one in golden(path):
        law(one)


NOWHERE = {"kind", "event", "severity", "time_zone_source", "error", "service"}
"""Fields that are made of others, or of the file's name."""


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parts[-3]}/{path.parts[-2]}")
def test_every_field_of_golden_lines_is_found(path: Path) -> None:
    """Nothing that was read from a line is left without its columns: only what is made of other fields or comes from the envelope."""
    for one in golden(path):
        found = {span.field for span in one.spans}
        for name, value in values(one.record).items():
            if name in found or name in NOWHERE or name.startswith(("attributes.", "extra.")):
                continue
            assert one.record.syslog is not None, f"{name}={value!r} in {one.line!r}"


@pytest.mark.parametrize("form", [1, 3, 4, 6])
def test_nothing_of_a_server_s_log_is_left_unread(form: int, tmp_path: Path) -> None:
    """Every word of every line of a generated server is some field's, whatever its LOG_FORMAT, and every field has its columns."""
    options = "LOG_CONNECTION=255,LOG_NODE=1,LOG_NOTARY=1,LOG_PRIORITY=1,LOG_QUEUE_TIME=1,LOG_REASON=1,LOG_ENVELOPE_ID=1"
    command = [sys.executable, "-m", "shipper", "generate", "--lines", "400", "--out", str(tmp_path), "--log-format", str(form), "--quiet"]
    subprocess.run([*command, "--options", options], check=True, timeout=60)
    for path in sorted(tmp_path.glob("log/*")):
        log = Log(Clock(ZoneInfo("UTC")), service=service_of(path.name), date=(2005, 3, 7))
        for one in try_lines([path.read_bytes()], log):
            law(one)
            assert one.unread == [], one.line
            assert {name for name in values(one.record) if not name.startswith("extra.")} - NOWHERE == {
                span.field for span in one.spans if not span.field.startswith("extra.")
            } - NOWHERE, one.line


def test_what_is_read_is_what_convert_reads() -> None:
    """The record is the reader's own, whatever is looked at afterwards."""
    for path in CASES:
        if path.with_name("options.json").exists():
            continue
        reader = Reader(Log(Clock(ZoneInfo("UTC"))))
        records = [record for block in blocks([path.read_bytes()]) for record in reader.read(block)]
        assert [msgspec.json.encode(one.record) for one in golden(path)] == [msgspec.json.encode(record) for record in records]


def test_a_sender_who_is_the_recipient_has_columns_of_his_own() -> None:
    """Equal texts are told apart by the order of the fields."""
    (one,) = tried("19-Jan-1998 19:16:57.64 l            l            E 1 a@b.example rfc822;a@b.example a@b.example")
    law(one)
    assert columns(one) == {
        "time": (1, 23),
        "source_channel": (25, 25),
        "destination_channel": (38, 38),
        "code": (51, 51),
        "action": (51, 51),
        "size_blocks": (53, 53),
        "sender": (55, 65),
        "original_recipient_type": (67, 72),
        "original_recipient": (74, 84),
        "recipient": (86, 96),
    }


def test_equal_words_everywhere() -> None:
    """A line of which every field is the same letter or number, as far as the format allows."""
    (one,) = tried("19-Jan-1998 19:16:57.64 1.1.1 E            E            E 1 E rfc822;E E 1 /q/E <E> *E E (E [192.0.2.1])")
    law(one)
    found = columns(one)
    assert [found[name][0] for name in ("source_channel", "destination_channel", "code", "size_blocks", "sender")] == [31, 44, 57, 59, 61]
    assert [found[name][0] for name in ("original_recipient", "recipient", "notary_flags", "queue_file", "message_id")] == [
        70,
        72,
        74,
        76,
        82,
    ]
    assert [found[name][0] for name in ("username", "remote_name", "remote_dns", "remote_ip")] == [86, 88, 91, 94]
    assert one.unread == []


def test_no_two_fields_have_the_same_place() -> None:
    """A field that stands nowhere in the line is not found where another one of the same text stands."""
    line = b"21:15:00.12: Debug output enabled, system imap, process 1f.2"
    (one,) = try_lines([line], Log(Clock(ZoneInfo("UTC")), service="imap", date=(2004, 8, 30)))
    law(one)
    assert columns(one)["host"] == (43, 46)
    assert one.record.service == "imap"  # type: ignore[attr-defined]
    assert "service" not in columns(one)


def test_a_delivery_with_everything() -> None:
    """The parts of the diagnostic have columns; the codes are inside the status, not in the banner before it."""
    tail = "dns;mx.example.org (TCP|192.0.2.1|2788|198.51.100.7|25) (250 2.1.5 ESMTP [x]) smtp;250 2.1.5 bob@example.org OK"
    (one,) = tried(f"19-Jan-1998 19:17:01.16 tcp_local                 D 1 a@example.com rfc822;bob@example.org bob@example.org {tail}")
    law(one)
    at = one.line.index(tail)
    found = {field: one.line[start - 1 : end] for field, (start, end) in columns(one).items()}
    assert found["remote_dns"] == "mx.example.org"
    assert found["banner"] == "250 2.1.5 ESMTP [x]"
    assert found["diagnostic"] == "smtp;250 2.1.5 bob@example.org OK"
    assert columns(one)["smtp_code"][0] - 1 == at + tail.index("smtp;") + 5
    assert columns(one)["enhanced_status"][0] - 1 == at + tail.index("smtp;") + 9
    assert one.unread == []


def test_an_empty_sender_has_a_place_and_no_width() -> None:
    (one,) = tried("19-Jan-1998 20:49:33.00 tcp_local    process      E 1  rfc822;adam@example.com adam@example.com")
    law(one)
    assert columns(one)["null_sender"] == (55, 54)
    assert "null_sender" in as_text(one)


def test_columns_behind_a_syslog_header_and_a_prefix_are_the_whole_line_s() -> None:
    header = "mail.log:<22>Aug 30 16:53:05 mail imta[411]: "
    (one,) = tried(header + "30-Aug-2004 16:53:05.12 tcp_local    ims-ms       E 1 a@example.com rfc822;b@example.org b@example.org")
    law(one)
    assert one.before == ("a file: prefix", "a syslog header")
    assert one.format == "mta_text"
    assert columns(one)["time"] == (len(header) + 1, len(header) + 23)
    assert columns(one)["syslog.hostname"] == (30, 33)
    assert one.unread == []


def test_where_reading_stopped_is_under_the_caret() -> None:
    """The caret stands under the column that the error names, also behind a prefix, and help follows."""
    bad = "19-Jan-1998 19:16:57.64 l            tcp_local    ?? 1 a@example.com"
    for prefix in ("", "mail.log:"):
        (one,) = tried(prefix + bad)
        assert one.record.kind == "unparsed"
        text = as_text(one)
        drawn = text.splitlines()
        caret = next(number for number, line in enumerate(drawn) if line.rstrip().endswith("^"))
        assert drawn[caret].index("^") == one.column - 1
        assert f"column {one.column}:" in text
        assert "= help:" in text


def test_words_stand_beside_codes() -> None:
    (one,) = tried(
        "28-May-1998 12:02:23.00 tcp_local                 JA 0 a@example.com rfc822; b@example.org 550 5.7.1 Relaying not permitted"
    )
    text = re.sub(r"\s+", " ", as_text(one))
    assert "with SASL authentication" in text
    assert "relaying not permitted, or judged to be spam" in text
    assert "(from '28-May-1998 12:02:23.00')" in text


def test_a_failed_login_is_not_called_a_success() -> None:
    (one,) = tried(
        "01-Mar-2005 08:00:00.00 tcp_local    +            U TCP|192.0.2.1|25|198.51.100.7|1244 SMTP adam 535 5.7.8 Bad password"
    )
    text = re.sub(r"\s+", " ", as_text(one))
    assert "SMTP authentication failed" in text
    assert "succeeded" not in text


def test_what_no_field_has_is_shown_as_not_read() -> None:
    """A counted field that is cut off belongs to no field."""
    line = "01-Mar-2005 08:00:00.10 tcp_local    l            E 4 0: 22:rfc822;bob@example.org 15:bob@example.org 99:short"
    (one,) = tried(line)
    law(one)
    assert [one.line[start:end] for start, end in one.unread] == ["99:short"]
    assert "not read" in as_text(one)


def test_a_forced_format_reads_nothing_else() -> None:
    (one,) = tried("foo bar", only="service")
    assert one.record.kind == "unparsed"
    assert one.column == 1


def test_control_characters_never_reach_the_terminal() -> None:
    """Escapes, direction marks and other invisible characters are shown, not sent; columns still count characters."""
    evil = "a\x1b[31m\u202e\u200b\x07\tb\x7f@example.com"
    (one,) = tried(f"19-Jan-1998 19:16:57.64 l            tcp_local    E 1 {evil} rfc822;b@example.org b@example.org")
    for text in (as_text(one), as_text(tried(evil)[0])):
        assert all(line.isprintable() for line in text.split("\n"))
    assert "\\x1b[31m\\u202e\\u200b" in re.sub(r"\n\s+", "", as_text(one))


LINES = st.sampled_from([line for path in CASES for line in path.read_text(errors="replace").split("\n") if line])


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """A golden line with a piece cut out, doubled, or replaced by any text."""
    line = draw(LINES)
    start = draw(st.integers(0, len(line)))
    end = draw(st.integers(start, min(len(line), start + 30)))
    middle = draw(st.one_of(st.just(""), st.just(line[start:end] * 2), st.text(max_size=10), st.sampled_from(list(' <>()|;:."\\&*'))))
    return line[:start] + middle + line[end:]


@given(st.one_of(st.text(max_size=200), damaged()), st.sampled_from([40, 80, 120]))
def test_any_line_is_shown(line: str, width: int) -> None:
    """Never an exception; one answer a line; no line of it wider than the terminal; the drawn pieces are the line; JSON that can be read."""
    answers = tried(line + "\n")
    assert len(answers) == line.count("\n") + 1
    for one in answers:
        law(one)
        text = as_text(one, width)
        assert all(len(row) <= width for row in text.split("\n"))
        assert all(row.isprintable() for row in text.split("\n"))
        answer = json.loads(msgspec.json.encode(as_data(one)))
        assert [span["text"] for span in answer["spans"]] == [one.line[span.start : span.end] for span in one.spans]


@given(st.binary(max_size=100))
def test_any_octets_are_shown(data: bytes) -> None:
    for one in tried(data):
        assert as_text(one)


def drawn_lines(text: str) -> Iterator[tuple[str, str]]:
    """(ruler, line) of each piece."""
    rows = text.split("\n")
    for number, row in enumerate(rows):
        if row.startswith("|") and set(row) <= {"|", " "}:
            yield rows[number - 1], rows[number + 1]


@pytest.mark.parametrize("width", [40, 47, 80, 100])
def test_the_ruler_counts_the_columns(width: int) -> None:
    """Over each tenth character stands its column, from 1; put together, the pieces are the line."""
    line = "19-Jan-1998 19:16:57.64 l            tcp_local    E 1 a@example.com rfc822;b@example.org b@example.org <id@example.com>"
    (one,) = tried(line)
    pieces = list(drawn_lines(as_text(one, width)))
    step = width // 10 * 10
    assert "".join(piece.ljust(step) for _, piece in pieces).rstrip() == line
    for number, (ruler, piece) in enumerate(pieces):
        for found in re.finditer("[0-9]+", ruler):
            column = int(found[0])
            assert piece[found.start() : found.start() + 1] == line[column - 1 : column]
            assert column - 1 == number * step + found.start()


def test_a_line_without_end_is_quick() -> None:
    """A megabyte of anything: what is shown is bounded, and so is the time (the test's timeout is the law)."""
    for piece in ("(", " ", "a", '"a":"', "<en a=", "&lt;", "1:", "\x1b"):
        start = "19-Jan-1998 19:16:57.64 l            tcp_local    E 1 "
        for line in (
            start + piece * (1_000_000 // len(piece)),
            piece * (1_000_000 // len(piece)),
            '<en ts="' + piece * 200_000,
            '{"en":{"so":"' + piece * 200_000,
        ):
            (one,) = tried(line)
            law(one)
            assert len(as_text(one)) < 40_000
            assert all(span.end <= LONGEST for span in one.spans)


def test_every_format_is_told_by_name() -> None:
    """Each format takes the golden lines of its own directory."""
    for form in FORMATS:
        names = {one.format for path in CASES if path.parts[-3] == form.name for one in golden(path)}
        assert form.name in names
