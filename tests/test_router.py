"""Which records go where."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.changes import Change
from shipper.conditions import Value, field_names, field_type
from shipper.mailserver.destinations import destination
from shipper.mailserver.settings import MailServer
from shipper.record import KINDS, Connection, Envelope, Mta, Record, Service, Source, Store, Syslog, Text
from shipper.router import Routed, Router, Rule, Share, Taker


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


TAKERS = [Taker("siem", "syslog", "settings"), Taker("files", "files", "settings"), Taker("all")]
SERVERS = [
    MailServer.of(settings)
    for settings in (
        {},
        {"LOG_MESSAGES_SYSLOG": 20},
        {"LOG_MESSAGES_SYSLOG": -22, "LOG_CONNECTIONS_SYSLOG": 134},
        {"logfile.imap.syslogfacility": "local3", "logfile.pop.loglevel": "error"},
        {"logfile.*.loglevel": "nolog", "LOG_MESSAGES_SYSLOG": 1},
    )
]
KINDS_OF_ALL: list[Record] = [
    *(kind(severity="info") for kind in KINDS if kind not in (Service, Store)),
    *(kind(service=service, level=level, severity=severity) for kind in (Service, Store) for service in ("imap", "pop", "")
      for level, severity in (("Notice", "notice"), ("Error", "err"))),
]  # fmt: skip
SET = Change((("severity", "crit"), ("syslog.facility", "local7")))
RULES = [
    Rule({"kind": frozenset(["debug"])}, (), "a:1", 1),
    Rule({"service": frozenset(["pop"])}, ("siem", "all"), "a:2", 2),
    Rule({"kind": frozenset(["header"])}, (), "a:3", 3, change=SET, ends=False),
    Rule({"kind": frozenset(["connection"])}, ("files", "siem"), "a:4", 4, change=Change((("severity", "crit"),))),
    Rule({"kind": frozenset(["store"])}, ("all",), "a:5", 5, keep=lambda record: record.severity == "err"),
]


@given(
    st.sampled_from(SERVERS),
    st.lists(st.sampled_from(RULES), unique_by=lambda rule: rule.number),
    st.lists(st.sampled_from(KINDS_OF_ALL), max_size=30),
)
def test_the_settings_and_routes_before_them(server: MailServer, rules: list[Rule], records: list[Record]) -> None:
    """Each record by itself, as one would read it: the first route that fits, else the settings; its priority at syslog outputs; or who drops it."""
    router = Router(rules, TAKERS, server)
    shares, dropped = router.route(records, "here")
    expected: dict[str, list[tuple[Record, int | None]]] = {}
    reasons = Counter[str]()
    for record in records:
        said = destination(server, type(record), getattr(record, "service", ""), getattr(record, "level", ""))
        fits = [rule for rule in rules if all(getattr(record, name, None) in values for name, values in rule.when.items())]  # type: ignore[union-attr]
        to = [name for name, gets in (("siem", not said or said.syslog), ("files", not said or said.files), ("all", True)) if gets]
        reason = f"setting {said.by[-1].name}" if said else ""
        word = said.priority(record.severity) if said else None
        for rule in fits:
            if rule.keep and not rule.keep(record):
                to, reason = [], f"sample of route {rule.number}"
                break
            if rule.change:
                record = rule.change(record)
                facility = 23 if rule.number == 3 else word and word >> 3
                word = None if word is None else int(facility or 0) * 8 + 2
            if rule.ends:
                to, reason = list(rule.to), f"route {rule.number}"
                break
        reasons.update([reason] if not to else [])
        for name in to:
            expected.setdefault(name, []).append((record, word if name == "siem" else None))
    assert dropped == reasons
    assert {
        name: list(zip(share.records, share.priorities or [None] * len(share.records), strict=True)) for name, share in shares.items()
    } == expected
    assert Counter(decision.dropped for record in records if not (decision := router.decide(record, "here")).to) == reasons


def test_priorities_are_only_for_syslog_outputs() -> None:
    """And only where a setting gives them; what another output gets is the record as it was read."""
    records: list[Record] = [Mta(severity="info"), Text(message="x")]
    shares, _ = Router([], TAKERS, MailServer.of({"LOG_MESSAGES_SYSLOG": 20})).route(records)
    assert {name: share.priorities for name, share in shares.items()} == {"siem": [20, None], "files": None, "all": None}
    assert all(share.records is records for share in shares.values())
    assert Router([], TAKERS).route([Text(message="x")]).shares["siem"].priorities is None


def test_a_batch_that_goes_whole_is_not_copied() -> None:
    """Whether it has one outcome, or several that an output has in common."""
    records: list[Record] = [Mta(), Connection()] * 3
    for settings in ({"LOG_MESSAGES_SYSLOG": 22}, {"LOG_MESSAGES_SYSLOG": -22, "LOG_CONNECTIONS_SYSLOG": 134}):
        shares, _ = Router([], TAKERS, MailServer.of(settings)).route(records)
        assert shares["siem"].records is records and shares["all"].records is records


def test_names_from_the_log_do_not_fill_the_memory() -> None:
    """What is remembered of services and levels has an end, and forgetting changes nothing."""
    router = Router([], TAKERS, MailServer.of({"logfile.imap.syslogfacility": "local3"}))
    for number in range(10_000):
        router.route([Service(service=f"s{number}", level="Notice", severity="notice"), Service(service="imap", severity="err")])
    assert len(router._known) <= 4096
    shares, _ = router.route([Service(service="imap", severity="err"), Mta()])
    assert shares["siem"].priorities == [19 * 8 + 3]


def test_what_can_be_reached() -> None:
    """By records of a kind from an input: each route that may fit, and the settings where none fits all."""
    router = Router([Rule({"code": frozenset(["Q"])}, ("all",)), Rule({"input": frozenset(["net"])}, ("files",))], TAKERS)
    assert router.reachable(Mta(), "mail") == {"all", "files"}
    assert router.reachable(Text(), "mail") == {"siem", "files", "all"}
    assert router.reachable(Text(), "net") == {"files"} and router.reachable(Mta(), "net") == {"all", "files"}
