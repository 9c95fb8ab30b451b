"""The families of the server's log files: names, and what the limits say, as laws over any directory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.mailserver.logfiles import Limits, LogFile, directory_of, family_name, is_due, is_family, limits_of, rolled, surplus
from shipper.mailserver.settings import MailServer

NOW = 1_000_000


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("imap.63.915107696", ("imap", 63, 915107696)),
        ("mail.log.7.1700000000", ("mail.log", 7, 1700000000)),
        ("connection.log.1.1", ("connection.log", 1, 1)),
        ("imap", None),
        ("imap.63", None),
        ("imap.63.915107696.gz", None),
        ("other.log.7.1700000000", None),
        (".imap.63.915107696", None),
        ("imap.-1.5", None),
        ("imap.1.٣", None),
        ("imap.1.2\n", None),
    ],
)
def test_the_names_of_files_that_were_rolled_over(name: str, parts: tuple[str, int, int] | None) -> None:
    """service.sequence.timestamp, and what is none of these; a name is made of its parts again."""
    found = rolled(name)
    assert (found and found[:3]) == parts
    assert found is None or found.name == name


@given(st.text(max_size=100))
def test_whatever_a_service_is_called_its_family_is_a_plain_name(service: str) -> None:
    """One path component of a known alphabet, never hidden, never one of the MTA's."""
    name = family_name(service)
    assert is_family(name) and "." not in name and "/" not in name
    assert family_name(name) == name


files = st.lists(st.tuples(st.integers(0, 100), st.integers(0, 60)), max_size=8).map(
    lambda each: [
        LogFile("imap", number, NOW - 500 + sum(age for _, age in each[: number + 1]), size) for number, (size, _) in enumerate(each)
    ]
)
limits = st.builds(
    Limits,
    maxlogfiles=st.sampled_from([0, 1, 2, 5]),
    maxlogsize=st.sampled_from([0, 50, 200]),
    minfreediskspace=st.sampled_from([0, 100, 300]),
    expirytime=st.sampled_from([0, 1, 100, 300]),
)


@given(files, st.integers(0, 100), st.integers(0, 400), limits)
def test_the_oldest_go_until_the_limits_hold_and_no_further(older: list[LogFile], size: int, free: int, limits: Limits) -> None:
    """What goes is the oldest; after it every limit holds, or nothing is left that could go; the last that went had to."""

    def held(gone: int) -> bool:
        left = older[gone:]
        ended = [*(file.begun for file in left[1:]), NOW]
        reachable = free + sum(file.size for file in older) >= limits.minfreediskspace
        return (
            (not limits.maxlogfiles or len(left) + 1 <= limits.maxlogfiles)
            and (not limits.maxlogsize or size + sum(file.size for file in left) <= limits.maxlogsize)
            and (free + sum(file.size for file in older[:gone]) >= limits.minfreediskspace or not reachable)
            and (not limits.expirytime or not left or NOW - ended[0] < limits.expirytime)
        )

    goes = surplus(older, size, NOW, free, NOW, limits)
    assert goes == older[: len(goes)]
    assert held(len(goes)) or len(goes) == len(older)
    assert not goes or not held(len(goes) - 1)


@given(st.integers(0, 100), st.integers(1, 100), st.integers(-100, 100), st.sampled_from([0, 10, 80]), st.sampled_from([0, 10, 80]))
def test_an_empty_file_is_never_rolled_over(size: int, more: int, age: int, most: int, rollover: int) -> None:
    """Else by size or by age, whichever comes first; without limits never."""
    due = is_due(size, more, NOW - age, NOW, Limits(maxlogfilesize=most, rollovertime=rollover))
    assert due == (size > 0 and bool((most and size + more > most) or (rollover and abs(age) >= rollover)))


def test_limits_and_directories_are_those_of_the_service() -> None:
    """Its own settings, those for all services, the product's defaults; the MTA's families have only what the product does to them."""
    server = MailServer.of(
        {"logfile.imap.maxlogfiles": 3, "logfile.*.maxlogsize": 99, "imap.logfile.logdir": "/a", "base.logfile.logdir": "/b"}
    )
    assert limits_of("imap", server) == (2 << 20, 3, 99, 5 << 20, 86400, 604800)
    assert limits_of("mail.log", server) == (0, 0, 0, 5 << 20, 86400, 0)
    assert [directory_of(family, server) for family in ("imap", "pop", "mail.log", "default")] == ["/a", "/b", "/b", "/b"]
    assert directory_of("pop", MailServer.of({"logfile.imap.logdir": "/a"})) == "/a"
    assert directory_of("pop", MailServer()) == ""
