"""Which records go where."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.record import KINDS, Envelope, Mta, Record, Service, Source, Store, Syslog, Text
from shipper.router import Routed, Router, Rule, Share, Value, field_names, field_type


def rule(*to: str, **when: Value) -> Rule:
    return Rule({name.replace("__", "."): frozenset([value]) for name, value in when.items()}, to)


RECORDS: list[Record] = [
    Mta(code="E", smtp_code=250, null_sender=True, host="a"),
    Mta(code="Q", syslog=Envelope(facility="mail"), source=Source("mail.log", 3)),
    Service(service="imap", attributes={"k": "v"}, host="a"),
    Store(service="imap"),
    Syslog(syslog=Envelope(facility="daemon", version=1)),
    Text(message="x", extra={"n": "1", "list": [1]}),
]


def test_without_rules_every_output_gets_every_record() -> None:
    """In order, and without a copy."""
    shares, dropped = Router([], ["a", "b"]).route(RECORDS)
    assert shares == {"a": Share(RECORDS), "b": Share(RECORDS)} and shares["a"].records is RECORDS and not dropped
    assert Router([], ["a"]).route([]) == Routed({}, {})


@pytest.mark.parametrize(
    ("conditions", "fit"),
    [
        ({"kind": "mta"}, [0, 1]),
        ({"service": "imap"}, [2, 3]),
        ({"smtp_code": 250}, [0]),
        ({"null_sender": True}, [0]),
        ({"null_sender": False}, [1]),
        ({"smtp_code": ""}, []),
        ({"host": ""}, [1, 3, 4, 5]),
        ({"syslog__facility": "mail"}, [1]),
        ({"syslog__version": 1}, [4]),
        ({"source__file": "mail.log"}, [1]),
        ({"attributes__k": "v"}, [2]),
        ({"extra__n": "1"}, [5]),
        ({"extra__list": "1"}, []),
        ({"input": "here"}, [0, 1, 2, 3, 4, 5]),
        ({"input": "there"}, []),
        ({"kind": "mta", "host": "a", "input": "here"}, [0]),
    ],
)
def test_conditions(conditions: dict[str, Value], fit: list[int]) -> None:
    """Each kind of condition, alone and together; what a kind does not have fits nothing."""
    routed = Router([rule("a", **conditions), rule("rest")], ["a", "rest"]).route(RECORDS, "here")
    assert [RECORDS.index(record) for record in routed.shares.get("a", Share([])).records] == fit


@given(
    st.lists(
        st.builds(
            Rule,
            st.dictionaries(
                st.sampled_from(["kind", "host", "code", "service", "input", "syslog.facility"]),
                st.frozensets(st.sampled_from(["mta", "a", "E", "imap", "here", "mail", ""])),
                max_size=2,
            ),
            st.lists(st.sampled_from(["x", "y", "z"]), unique=True, max_size=3).map(tuple),
        ),
        max_size=5,
    ),
    st.lists(st.sampled_from(RECORDS), max_size=20),
)
def test_every_record_is_routed_or_counted(rules: list[Rule], records: list[Record]) -> None:
    """The first rule that fits decides, as one would read it; each record is with its outputs, in order, or in `dropped`."""
    router = Router(rules, ["x", "y", "z"])
    routed = router.route(records, "here")

    def value(record: Record, name: str) -> object:
        if name in ("kind", "input"):
            return record.kind if name == "kind" else "here"
        if name == "syslog.facility":
            return getattr(record.syslog, "facility", None)
        return getattr(record, name, None)

    expected: dict[str, list[Record]] = {}
    dropped = 0
    for record in records:
        fits = [one for one in rules if all(value(record, name) in values for name, values in one.when.items())]
        to = fits[0].to if fits else ("x", "y", "z")
        dropped += not to
        for name in to:
            expected.setdefault(name, []).append(record)
    assert {name: share.records for name, share in routed.shares.items()} == expected
    assert sum(routed.dropped.values()) == dropped


def test_every_field_of_the_schema_can_be_asked_for() -> None:
    """But those that are objects."""
    for kind in KINDS:
        objects = {"source", "syslog", "extra", "attributes"}
        assert {name for name in kind.__struct_fields__ if field_type(name) is None} <= objects
    assert {name: field_type(name) for name in ("pid", "queue_seconds", "null_sender", "sender", "syslog.version", "extra.a")} == {
        "pid": int, "queue_seconds": float, "null_sender": bool, "sender": str, "syslog.version": int, "extra.a": str,
    }  # fmt: skip
    assert all(field_type(name) for name in field_names())
    assert [field_type(name) for name in ("", "nothing", "syslog", "syslog.x", "x.y", "extra", "extra.")] == [None] * 7
