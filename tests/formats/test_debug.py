"""Debug logs, beside their golden files: dates out of times of day."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.formats import Log, debug
from shipper.record import Debug, Record
from shipper.stamps import Clock

UTC = ZoneInfo("UTC")


def log(date: tuple[int, int, int] | None = None) -> Log:
    return Log(clock=Clock(UTC), date=date, service="dispatcher")


def parse(lines: list[str], of: Log) -> list[Record]:
    found: list[Record] = []
    assert debug.parse_run(lines, 0, of, found) == len(lines) == len(found)
    return found


@given(st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1)), st.lists(st.integers(0, 20 * 3600 * 100), max_size=60), st.integers(1, 7))
def test_the_days_are_those_of_the_lines(begin: datetime, gaps: list[int], size: int) -> None:
    """Lines up to twenty hours apart: every one gets its own date back, whatever the batches, from the date of the first."""
    moments = [begin.replace(microsecond=0)]
    for gap in gaps:
        moments.append(moments[-1] + timedelta(milliseconds=10 * gap))
    lines = [f"{moment:%H:%M:%S}.{moment.microsecond // 10000:02}: text" for moment in moments]
    of = log((begin.year, begin.month, begin.day))
    found = [record for start in range(0, len(lines), size) for record in parse(lines[start : start + size], of)]
    assert [record.time for record in found] == [f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 10000:02}+00:00" for moment in moments]


@given(
    st.lists(
        st.one_of(st.text(), st.from_regex(debug._TIMED), st.from_regex(debug._HEADER)).map(lambda text: text.replace("\n", "")), max_size=9
    )
)
def test_one_record_for_each_line_whatever_it_holds(lines: list[str]) -> None:
    """Never an exception; every line is of this format or not, alone as in a run."""
    for date in (None, (2004, 2, 28)):
        of, position = log(date), 0
        found: list[Record] = []
        while position < len(lines):
            reached = debug.parse_run(lines, position, of, found)
            position = max(reached, position + 1)
        assert len(found) == sum(debug.parse_run([line], 0, log(date), []) for line in lines)


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("2004-08-30", (2004, 8, 30)), ("at 2004/08/30.", (2004, 8, 30)), ("30-Aug-2004 16:53", (2004, 8, 30)), ("3-AUG-2004", (2004, 8, 3)),
        ("30/Aug/2004:16:53:05 -0700", (2004, 8, 30)), ("30 August 2004", (2004, 8, 30)), ("Aug 30, 2004", (2004, 8, 30)),
        ("Mon Aug  2 16:53:05 2004", (2004, 8, 2)), ("Mon Aug 30 16:53:05 PDT 2004", (2004, 8, 30)),
        ("server version 6.3 (built Feb  8 2005)", None), ("(built 2005-02-08), started 2006-01-02", (2006, 1, 2)), ("released on 1-Jan-2005", None),
        ("2004-02-30", None), ("12004-02-03", None), ("2004-02-031", None), ("08/30/2004", None), ("Aug 2004", None), ("", None),
    ],
)  # fmt: skip
def test_the_first_line_s_date_is_found(text: str, date: tuple[int, int, int] | None) -> None:
    """In the usual forms; not the date of the build, not a day that the calendar lacks, nothing of which the order must be guessed."""
    of = log()
    (record,) = parse([f"16:53:05.00: {text}"], of)
    assert of.date == date
    assert bool(record.time) == bool(date)
    assert bool(record.error) == (date is None)


def test_a_date_in_the_log_is_better_than_the_file_s() -> None:
    """What convert knows from the file gives way to the header line; a date in any later line is just text."""
    of = log((2011, 11, 11))
    first, second = parse(["23:59:00.00: Debug output enabled, 2004-08-30", "00:01:00.00: message of 1999-01-01"], of)
    assert (first.time, second.time) == ("2004-08-30T23:59:00.00+00:00", "2004-08-31T00:01:00.00+00:00")


def test_the_header_names_host_and_process() -> None:
    """pid and sequence are hexadecimal, as everywhere in the MTA; the file's name knows the component better than the header."""
    (record,) = parse(["Debug output enabled, system mta1.example.com, process 1f625.2, tcp_smtp server version 6.3"], log())
    assert isinstance(record, Debug)
    assert (record.host, record.pid, record.sequence, record.service) == ("mta1.example.com", 0x1F625, 2, "dispatcher")


@pytest.mark.parametrize(
    "line",
    [
        "", "16:53:05", "16:53:05 text", "16:53:05.00 text", "16:53: text", "24:00:00.00: x", "16:60:00.00: x", "x 16:53:05.00: x",
        "2004-08-30 16:53:05.00: x", "19-Jan-1998 19:16:57.64 tcp_local", " 16:53:05.00: x", "debug output enabled?"[1:], "١٦:53:05.00: x",
    ],
)  # fmt: skip
def test_other_formats_lines_are_left_alone(line: str) -> None:
    """A line is of this format when a time of day and a colon begin it, or the words of the header."""
    assert debug.parse_run([line], 0, log(), []) == 0
    assert debug.time_of_day(line) == ""


def test_a_line_s_time_of_day_is_told_without_reading_it() -> None:
    """For the caller that needs it before the first line can have a date."""
    assert debug.time_of_day("16:53:05.00: x") == debug.time_of_day("16:53:05: x") == "16:53:05"


@pytest.mark.parametrize(
    "piece", ["(", " ", ":", "0", "Aug 1 ", "Aug ", "1-Aug-", "built ", "2004-08-3", "Debug output enabled", ", process 1"]
)
def test_a_long_line_takes_time_in_proportion(piece: str) -> None:
    """A megabyte of anything is read in a fraction of a second."""
    flood = piece * (1_000_000 // len(piece))
    for line in (flood, "16:53:05.00: " + flood, "16:53:05." + flood, "Debug output enabled, system " + flood):
        begin = time.process_time()
        debug.parse_run([line], 0, log(), [])
        assert time.process_time() - begin < 0.5
