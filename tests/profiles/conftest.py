"""What the tests of the profiles share: sample records, drawn records, and the time they were read."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec
import pytest
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from shipper import events
from shipper.profiles.base import EVENTS
from shipper.record import KINDS, AnyRecord, Envelope, Record, Source

NATIVE = Path(__file__).with_name("native.jsonl")

TIMES = (
    "",
    "1998-01-19T19:16:57.64-05:00",
    "2005-03-01T08:00:00+00:00",
    "2016-12-31T23:59:60.5+01:00",
    "1890-05-01T12:00:00+00:53:28",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:60-12:00",
    "2554-07-22T00:00:00.123456789+00:00",
)
POOLS: dict[str, tuple[str, ...]] = {
    "time": TIMES,
    "session_start": (*TIMES, "yesterday", "1998/12/3 6:54:32"),
    "time_zone_source": ("", "record", "config", "system"),
    "event": (*EVENTS, "of.no.table", ""),
    "severity": (*events.SEVERITIES, ""),
    "facility": (*events.FACILITIES, "local99", ""),
    "id": ("0" * 32, "0123456789abcdef" * 2),
    "action": tuple("EDJKQRVWZBOCXYUIM"),
    "modifiers": ("", "A", "SA", "EC", "Q", '"'),
    "direction": ("", "in", "out"),
    "remote_ip": ("", "192.0.2.1", "198.51.100.2", "2001:db8::1", "fe80::1%eth0", "not an address", "010.0.0.1"),
    "application": ("", "SMTP", "SMTP/a.example.com/b.example.com", "LMTP/x", "/"),
    "diagnostic": ("", "smtp;250 2.1.5 Ok", "dns;host.example.com", "smtp", "no; it does not"),
    "service": ("", "imap", "pop", "http", "admin", "imta"),
}
POOLS["local_ip"] = POOLS["client_ip"] = POOLS["remote_ip"]
"""Values that the profiles look at. Of the other texts, some are drawn from a few, so that two fields are often the same."""


@pytest.fixture(scope="session")
def observed() -> int:
    """2005-05-14T00:00:00.123456789Z, when the samples were read."""
    return 1_116_028_800_123_456_789


@pytest.fixture(scope="session")
def samples() -> list[Record]:
    """The records of native.jsonl: lines as logs have them, and for every kind one with every field."""
    return [msgspec.json.decode(line, type=AnyRecord) for line in NATIVE.read_bytes().split(b"\n") if line]


FEW = ("", "a@example.com", "b@example.com", "host.example.com", "a", 'a "quoted" \\ back', "\u2028 \u2029 \x85 \x1b", "é…😀")
TEXTS = {name: st.sampled_from(pool) for name, pool in POOLS.items()}
TEXT = st.sampled_from(FEW)
WILD_TEXT = st.one_of(TEXT, st.text(max_size=8), st.sampled_from(["\ud800", "x\udfffy"]))
NUMBER = st.one_of(st.integers(0, 3), st.integers(0, 2**63 - 1))
OBJECT = st.dictionaries(st.sampled_from(["k", "a.b", '"']), st.sampled_from(["v", '"', "\u2028"]), min_size=1)
LEAF = st.sampled_from([None, True, False, 0, 1.5, float("nan"), 2**70, "", "a", "\udc00", {}, []])
WILD_OBJECT = st.dictionaries(
    st.sampled_from(["", "a", "\ud800"]),
    st.one_of(LEAF, st.lists(LEAF, max_size=2), st.dictionaries(st.sampled_from(["", "b"]), LEAF, max_size=2)),
    max_size=3,
)
HINTS = {struct: get_type_hints(struct) for struct in (*KINDS, Source, Envelope)}


@st.composite
def _struct(draw: st.DrawFn, struct: type[Any], wild: bool) -> Any:
    names = struct.__struct_fields__
    chosen = draw(st.one_of(st.sets(st.sampled_from(names), max_size=14), st.just(set(names))))
    return struct(**{name: _value(draw, HINTS[struct][name], name, wild) for name in names if name in chosen})


@pytest.fixture(scope="session")
def golden_records() -> list[Record]:
    """What the formats read in their golden cases; not `native`, which reads what anyone wrote in our name as it is."""
    paths = [path for path in sorted((NATIVE.parent.parent / "formats").glob("*/*/expected.jsonl")) if path.parent.parent.name != "native"]
    return [msgspec.json.decode(line, type=AnyRecord) for path in paths for line in path.read_bytes().split(b"\n") if line]


def _value(draw: st.DrawFn, hint: Any, name: str, wild: bool) -> Any:
    if isinstance(hint, types.UnionType):
        hint = next(each for each in get_args(hint) if each is not type(None))
    if hint is str:
        return draw(WILD_TEXT if wild and name not in ("time", "event", "severity") else TEXTS.get(name, TEXT))
    if hint is int:
        return draw(NUMBER)
    if hint is bool:
        return draw(st.booleans())
    if hint in (Source, Envelope):
        return draw(_struct(hint, wild))
    return draw(WILD_OBJECT if wild else OBJECT)


@st.composite
def _records(draw: st.DrawFn, wild: bool) -> list[Record]:
    kinds = draw(st.lists(st.sampled_from(KINDS), max_size=3))
    return [draw(_struct(kind, wild)) for kind in kinds]


@pytest.fixture(scope="session")
def drawn_records() -> SearchStrategy[list[Record]]:
    """Records as formats make them, in every combination of fields."""
    return _records(False)


@pytest.fixture(scope="session")
def wild_records() -> SearchStrategy[list[Record]]:
    """Records that no format should make: lone surrogates, empty and odd values anywhere."""
    return _records(True)
