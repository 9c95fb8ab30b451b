"""Conditions: what each test of a field means, and that compiling changes nothing."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipper.changes import Change, Sample, settable
from shipper.conditions import (
    All,
    Among,
    Condition,
    Field,
    Not,
    Prefix,
    Present,
    Question,
    Range,
    Regex,
    among,
    endless,
    field_names,
    field_type,
    ordered,
    read,
    sort_of,
    within,
)
from shipper.config.load import load
from shipper.profiles import PROFILES
from shipper.profiles.rfc5424 import Style
from shipper.profiles.rfc5424 import render as as_syslog
from shipper.record import KINDS, Connection, Envelope, Mta, Record, Service, Source, Syslog, Text

RECORDS: list[Record] = [
    Mta(code="E", sender="amy@example.com", smtp_code=250, severity="info", time="2026-03-01T10:00:00.5+01:00", queue_seconds=1.5),
    Mta(code="Q", null_sender=True, severity="warning", time="2026-03-01T12:00:00Z", queue_seconds=90, remote_ip="192.0.2.7", thread=0),
    Connection(code="O", remote_ip="2001:db8::1", severity="err", time="2016-12-31T23:59:60Z"),
    Service(service="imap", attributes={"k": "v"}, size_bytes=3 << 20, client_ip="not an address", user="amy"),
    Syslog(syslog=Envelope(facility="daemon", version=1, severity="crit"), source=Source("", None, "198.51.100.1")),
    Text(message="x", extra={"n": 1, "yes": True, "list": [1]}, time="no time"),
]


def fit(condition: Condition, input: str = "here") -> list[int]:
    """The numbers of the records that fit."""
    return [number for number, record in enumerate(RECORDS) if fits(condition, record, input)]


def fits(condition: Condition, record: Record, input: str = "here") -> bool:
    planned = condition.on(type(record), input)
    return planned if isinstance(planned, bool) else planned(record)


@pytest.mark.parametrize(
    ("name", "test", "expected"),
    [
        ("kind", Among(frozenset(["mta", "text"])), [0, 1, 5]),
        ("kind", Prefix(("s",)), [3, 4]),
        ("input", Regex("^he"), [0, 1, 2, 3, 4, 5]),
        ("code", Prefix(("E", "O")), [0, 2]),
        ("sender", Prefix(("",)), [0, 1]),
        ("sender", Regex("@example[.]"), [0]),
        ("sender", Regex("^$"), [1]),
        ("remote_ip", Present(), [1, 2]),
        ("null_sender", Present(), [1]),
        ("thread", Present(), [1]),
        ("syslog.facility", Present(), [4]),
        ("extra.list", Present(), [5]),
        ("extra.list", Among(frozenset(["[1]"])), []),
        ("extra.n", Among(frozenset(["1"])), [5]),
        ("extra.yes", Among(frozenset(["true"])), [5]),
        ("extra.list", Prefix(("[",)), []),
        ("extra.other", Regex(""), []),
        ("attributes.k", Regex("v"), [3]),
        ("smtp_code", Range(200, 299), [0]),
        ("queue_seconds", Range(1.5, 89.9), [0]),
        ("queue_seconds", Range(least=0), [0, 1]),
        ("syslog.version", Range(most=1), [4]),
    ],
)
def test_a_field_and_a_test(name: str, test: Question, expected: list[int]) -> None:
    """What is empty passes what empty text passes; what is not there, or no number, passes nothing."""
    assert fit(Field(name, test)) == expected
    assert fit(Not(Field(name, test))) == [number for number in range(6) if number not in expected]


@pytest.mark.parametrize(
    ("name", "least", "most", "expected"),
    [
        ("severity", "warning", None, [1, 2]),
        ("severity", "notice", "warning", [1]),
        ("severity", None, "info", [0]),
        ("syslog.severity", "err", None, [4]),
        ("size_bytes", "1MB", "3MB", [3]),
        ("queue_seconds", "1m", "1h", [1]),
        ("time", "2026-03-01T09:00:00.5Z", None, [0, 1]),
        ("time", "2026-03-01T09:00:00.6Z", "2026-03-01T13:00:00+01:00", [1]),
        ("time", None, "2016-12-31T23:59:59Z", [2]),
    ],
)
def test_ranges_have_the_units_of_their_field(name: str, least: str | None, most: str | None, expected: list[int]) -> None:
    """Both ends are in it. The more severe is the more; times are points in time, whatever zone they are written in."""
    ends = [None if end is None else read(name, end) for end in (least, most)]
    assert fit(within(name, *ends)) == expected


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("remote_ip", ["192.0.2.0/24"], [1]),
        ("remote_ip", ["2001:db8::/32", "192.0.2.7"], [1, 2]),
        ("remote_ip", ["192.0.2.8/31"], []),
        ("remote_ip", ["2001:0DB8:0::1"], [2]),
        ("remote_ip", ["", "0.0.0.0/0"], [0, 1]),
        ("client_ip", ["0.0.0.0/0", "::/0"], []),
        ("source.peer", ["198.51.100.0/30"], [4]),
    ],
)
def test_networks(name: str, values: list[str], expected: list[int]) -> None:
    """Addresses in them; what is no address is in none."""
    found = [read(name, value) for value in values]
    assert None not in found
    assert fit(among(name, frozenset(value for value in found if value is not None))) == expected


def test_what_is_no_value_of_its_field() -> None:
    """Nothing is read as something else."""
    wrong = [("smtp_code", "2.5"), ("smtp_code", "9" * 30), ("queue_seconds", "soon"), ("size_bytes", "-1"), ("null_sender", "2"),
             ("remote_ip", "192.0.2.7/24"), ("remote_ip", "300.0.0.1"), ("severity", "warn"), ("time", "2026-03-01"),
             ("time", "2026-03-01T00:00:00"), ("session_start", "today")]  # fmt: skip
    assert [pair for pair in wrong if read(*pair) is not None] == []


TREES: st.SearchStrategy[Condition] = st.recursive(
    st.builds(
        Field,
        st.sampled_from(["kind", "input", "code", "sender", "syslog.facility", "extra.n", "attributes.k"]),
        st.one_of(
            st.builds(Among, st.frozensets(st.sampled_from(["mta", "here", "E", "", "daemon", "1", "v"]))),
            st.builds(Prefix, st.tuples(st.sampled_from(["", "m", "a", "E"]))),
            st.builds(Regex, st.sampled_from(["^$", "[a-m]", "1|v"])),
            st.just(Present()),
        ),
    ),
    lambda inner: st.builds(Not, inner) | st.builds(All, st.lists(inner, max_size=4).map(tuple)),
    max_leaves=12,
)


@given(TREES)
@settings(max_examples=300, deadline=None)
def test_a_compiled_condition_means_what_it_says(tree: Condition) -> None:
    """Taken apart and asked field by field, every record gives the same answer."""

    def asked(condition: Any, record: Record) -> bool:
        if isinstance(condition, All):
            return all(asked(one, record) for one in condition.conditions)
        if isinstance(condition, Not):
            return not asked(condition.condition, record)
        return fits(condition, record)

    for record in RECORDS:
        assert fits(tree, record) == asked(tree, record)


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "(a|aa)*b", "(x?y?)*z", "((a{1,9})b?){1,99}", "(?=(a+)+b)", "a(b(c*d?)+)", "(?i:(a*)*)", "(.*,)+x"]
)
def test_expressions_without_end_are_known(pattern: str) -> None:
    """Repeats of what can be matched in several ways, however deep."""
    assert endless(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "^5\\.[0-9]+\\.",
        "^(a|b|c)$",
        r"(\d{1,3}\.){3}\d+",
        "(ab)*",
        "(a++b)+",
        "((?>a|aa)b)*",
        "[a-z]+@(one|two)[.]example$",
        "(?<!x)a*b*",
        "(a)(?(1)b|c)",
    ],
)
def test_ordinary_expressions_are_not(pattern: str) -> None:
    """Those that people write, and the ways around."""
    assert not endless(pattern)


def test_an_expression_sees_only_so_much() -> None:
    """A long text is matched up to 1,000 characters, and costs no more than that."""
    slow = Field("message", Regex("a.*b.*c$"))
    assert fits(Field("message", Regex("x")), Text(message="a" * 999 + "x"))
    assert not fits(Field("message", Regex("x")), Text(message="a" * 1000 + "x"))
    started = time.process_time()
    assert not fits(slow, Text(message="ab" * 500_000))
    assert time.process_time() - started < 2


def test_every_field_has_a_sort() -> None:
    """And every value that a record can have is a value of it."""
    assert all(sort_of(name) for name in field_names())
    assert {sort_of(name) for name in field_names() if ordered(name)} == {"whole", "size", "duration", "severity", "time"}
    assert [sort_of(name) for name in ("", "nothing", "syslog", "extra.", "x.y")] == [None] * 5


class TestChanges:
    """`set` and `sample`."""

    def test_a_copy_is_changed(self) -> None:
        """The record itself, and what is in it, stays; a kind without the field stays without it."""
        record = Service(service="imap", syslog=Envelope(facility="mail", hostname="a"), attributes={"k": "v"}, extra={"n": 1})
        change = Change(
            (
                ("severity", "err"),
                ("syslog.facility", "local3"),
                ("attributes.new", "x"),
                ("attributes.k", ""),
                ("extra.n", ""),
                ("code", "E"),
            )
        )
        assert change(record) == Service(
            service="imap", severity="err", syslog=Envelope(facility="local3", hostname="a"), attributes={"new": "x"}
        )
        assert record == Service(service="imap", syslog=Envelope(facility="mail", hostname="a"), attributes={"k": "v"}, extra={"n": 1})
        assert change(Mta()) == Mta(severity="err", syslog=Envelope(facility="local3"), code="E")

    @given(st.data())
    @settings(max_examples=200, deadline=None)
    def test_every_profile_writes_what_was_set(self, data: st.DataObject) -> None:
        """Whatever value a field may have."""
        name = data.draw(st.sampled_from([name for name in field_names() if settable(name)]))
        words = {"severity": ["err", "debug"], "syslog.severity": ["err"], "syslog.facility": ["local3"], "direction": ["in", "out"]}
        kinds: dict[Any, st.SearchStrategy[Any]] = {
            str: st.sampled_from(words[name]) if name in words else st.text(),
            int: st.integers(0, 2**63 - 1), float: st.floats(0, 1e300), bool: st.booleans(),
        }  # fmt: skip
        value = data.draw(kinds[field_type(name)])
        for record in (kind() for kind in KINDS):
            changed = Change(((name, value),))(record)
            for profile in PROFILES.values():
                assert profile.render([changed], 0)
            for form in ("rfc5424", "rfc3164", "raw"):
                assert as_syslog([changed], 0, Style(form, "mail", "", 1, 1400))

    def test_a_sample_goes_by_the_id(self) -> None:
        """About so many as it says, the same ones each time, and a smaller share is a part of a larger one."""
        records = [Text(id=f"{number:032x}") for number in range(20_000)]
        tenth = {record.id for record in records if Sample(0.1)(record)}
        assert 1800 < len(tenth) < 2200
        assert tenth == {record.id for record in reversed(records) if Sample(0.1)(record)}
        assert {record.id for record in records if Sample(0.01)(record)} < tenth
        assert isinstance(Sample(0.5)(Text(id="no id \udc80")), bool)


def test_what_the_page_shows_is_good(tmp_path: Path) -> None:
    """The example of docs/routing.md, and every condition in its table."""
    page = (Path(__file__).parent.parent / "docs" / "routing.md").read_text().partition("\n## Routes\n")[2]
    (example,) = re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    shown = [cell.replace("\\|", "|") for cell in re.findall(r"^\| `([^`]+)` \|[^|]*\|$", page, re.MULTILINE)]
    assert len(shown) >= 9
    head = "inputs: {a: {type: stdin}}\noutputs:\n  siem: {type: syslog}\n  archive: {type: jsonl, path: '-'}\n"
    for routes in (example, *(f"routes:\n  - when:\n      {line}\n    to: siem\n" for line in shown)):
        path = tmp_path / "shipper.yaml"
        path.write_text(head + routes)
        loaded = load(path, {})
        assert not loaded.errors, [(problem.message, str(problem.place)) for problem in loaded.errors]
        assert loaded.config and loaded.config.rules
