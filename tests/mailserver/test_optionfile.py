"""MTA option files: read as the server reads them, and what they say of text records."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.mailserver.optionfile import integer, optional_fields, parse

FILE = """! what we log
LOG_PROCESS=1
 Log_Connection = 8%43
; half a line goes on below the comment
FORWARD_DATA=a,\\
# not this
   b
LOG_USERNAME=0
log_username=1
"""


def test_options() -> None:
    """Names in any case, blanks around both, comments of three kinds, a line that goes on behind one, the last setting holds."""
    options, problems = parse(FILE)
    assert options == {"LOG_PROCESS": "1", "LOG_CONNECTION": "8%43", "FORWARD_DATA": "a,b", "LOG_USERNAME": "1"}
    assert problems == []
    assert optional_fields(options) == ("process", "username", "connection", "diagnostic", "transport")


def test_a_line_that_is_no_option_is_told_by_its_number() -> None:
    """The number is that of the line on which it begins; the others are read."""
    options, problems = parse("A=1\nthis is\\\n no option\n\nB=2\n=3\nC=4\\")
    assert options == {"A": "1", "B": "2", "C": "4"}
    assert [problem.place.line for problem in problems] == [2, 6]


@pytest.mark.parametrize(
    ("text", "number"),
    (
        ("43", 43),
        (" 8%43 ", 35),
        ("16%fF", 255),
        ("2%101", 5),
        ("0x23", 35),
        ("-1", -1),
        ("8%99", None),
        ("1%0", None),
        ("99%1", None),
        ("yes", None),
        ("", None),
        ("-8%26", -22),
        ("+22", 22),
        ("--22", None),
        ("- 22", None),
        ("8%-26", None),
        ("-8%-26", None),
        ("0%22", None),
        ("2_2", None),
    ),
)
def test_numbers(text: str, number: int | None) -> None:
    """A base in front of a percent sign; hexadecimal as C has it; nothing else."""
    assert integer(text) == number


@pytest.mark.parametrize(
    ("options", "fields"),
    (
        ({}, ("diagnostic",)),
        ({"LOG_DIAGNOSTICS": "0"}, ()),
        ({"LOG_CONNECTION": "2", "LOG_DIAGNOSTICS": "0"}, ()),
        ({"LOG_CONNECTION": "255", "LOG_DIAGNOSTICS": "2"}, ("connection", "transport", "application")),
        (
            {"LOG_NODE": "1", "LOG_FILENAME": "1", "LOG_INTERMEDIATE": "1", "LOG_DIAGNOSTICS": "0"},
            ("node", "filename", "intermediate", "initial"),
        ),
        ({"LOG_REASON": "3", "LOG_REMOTE_MTA": "4"}, ("reason", "diagnostic")),
    ),
)
def test_fields_stand_in_the_order_of_the_record(options: dict[str, str], fields: tuple[str, ...]) -> None:
    """Bits of LOG_CONNECTION, bit 0 of three others, and the one that is on by default."""
    assert optional_fields(options) == fields


@given(st.text(), st.text())
def test_never_an_exception(text: str, value: str) -> None:
    """Whatever someone calls an option file."""
    options, _ = parse(text)
    optional_fields({**options, "LOG_CONNECTION": value})
