"""What a log file's name and date say."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.formats import names


@pytest.mark.parametrize(
    ("name", "service"),
    [
        ("imap", "imap"), ("imap.63.915107696", "imap"), ("imap.63.915107696.gz", "imap"), ("default.1.2", "default"), ("msgtrace", "msgtrace"),
        ("/var/log/pop", "pop"), ("C:\\logs\\http.1.2.zip", "http"), ("admin.7.915107696.tar.gz", ""), ("imta", "imta"), ("imap.old", ""),
        ("mail.log", "mta"), ("mail.log_current", "mta"), ("mail.log_yesterday", "mta"), ("mail.log.3.bz2", "mta"), ("mail.log-2005", "mta"),
        ("mail.logs", ""), ("connection.log", "connection"), ("connection.log_yesterday.xz", "connection"), ("mail", ""),
        ("dispatcher.log", "dispatcher"), ("dispatcher.log-0DK00HV8RWFQC", "dispatcher"), ("job_controller.log-1.gz", "job_controller"),
        ("tcp_local_master.log-0DK", "tcp_local_master"), ("ims-ms_master.log", "ims-ms_master"), ("tcp_smtp_server.log-x", "tcp_smtp_server"),
        ("return.log-1", "return"), ("ImapProxy_20190702.log", "mmp"), ("AService.log", "mmp"), ("server.log", ""), ("syslog", ""),
        ("imap.63", ""), ("imap.63.1.2", ""), ("", ""), (".gz", ""), ("-", ""), (".log", ""), ("x/", ""),
    ],
)  # fmt: skip
def test_a_name_says_the_service(name: str, service: str) -> None:
    """Its own name, whatever directory it is in and however it is compressed; nothing where it could be any log."""
    assert names.service_of(name) == service


@given(st.text())
def test_any_name_is_a_name(name: str) -> None:
    """Never an exception."""
    assert isinstance(names.service_of(name), str)
    assert isinstance(names.service_of_process(name), str)


PARIS = ZoneInfo("Europe/Paris")


@pytest.mark.parametrize(
    ("modified", "first", "date"),
    [
        (datetime(2004, 8, 30, 16, 53, 5), "08:00:00", (2004, 8, 30)),
        (datetime(2004, 8, 30, 16, 53, 5), "16:53:05", (2004, 8, 30)),
        (datetime(2004, 8, 30, 16, 53, 5), "16:53:06", (2004, 8, 29)),
        (datetime(2005, 1, 1, 0, 0, 1), "23:59:59", (2004, 12, 31)),
        (datetime(2004, 3, 28, 3, 30, 0), "23:00:00", (2004, 3, 27)),
    ],
)
def test_the_first_line_is_of_the_last_day_that_has_had_its_hour(modified: datetime, first: str, date: tuple[int, int, int]) -> None:
    """The day on which the file was last written to, where the server is; the day before when the line cannot be of that day yet."""
    assert names.debug_date(modified.replace(tzinfo=PARIS).timestamp(), PARIS, first) == date


@pytest.mark.parametrize("modified", [1e20, -1e20, float("inf"), float("nan")])
def test_a_file_s_date_that_is_none(modified: float) -> None:
    """A file system may say anything."""
    assert names.debug_date(modified, PARIS, "00:00:00") is None
