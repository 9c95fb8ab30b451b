"""Our own records read back: nothing is lost between a record and its line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.formats import Log, native
from shipper.framing import Block
from shipper.reader import Reader
from shipper.record import KINDS, Envelope, Record, Source, Unparsed

HERE = Path(__file__).parent
EXPECTED = [line for path in sorted(HERE.glob("*/*/expected.jsonl")) for line in path.read_text("utf-8").split("\n")[:-1]]

texts = st.text(st.characters(codec="utf-8"), max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
sources = st.builds(Source, file=texts, offset=st.none() | st.integers(0, 2**62), peer=texts)
envelopes = st.builds(
    Envelope, facility=texts, severity=texts, version=st.none() | st.just(1), structured_data=st.none() | st.just({"a": {"b": "c"}})
)
TYPES: dict[Any, st.SearchStrategy[Any]] = {
    str: texts,
    bool: st.booleans(),
    int: st.integers(-(2**62), 2**62),
    float: st.floats(allow_nan=False, allow_infinity=False),
    type(None): st.none(),
    Source: sources,
    Envelope: envelopes,
    dict[str, Any]: st.dictionaries(texts, values, min_size=1, max_size=3),
    dict[str, str]: st.dictionaries(texts, texts, min_size=1, max_size=3),
}


def _values(hint: Any) -> st.SearchStrategy[Any]:
    return TYPES[hint] if hint in TYPES else st.one_of([TYPES[each] for each in get_args(hint)])


def records_of(kind: type[Record]) -> st.SearchStrategy[Record]:
    """Records of a kind with any of its fields set to any value of the field's type."""
    hints = get_type_hints(kind)
    fields = {name: _values(hints[name]) for name in kind.__struct_fields__}
    always = {"error": fields.pop("error").filter(bool)} if kind is Unparsed else {}
    return st.fixed_dictionaries(always, optional=fields).map(lambda chosen: kind(**chosen))


def read(line: str) -> Record | None:
    """The one record of one line; None when the line is not the format's."""
    out: list[Record] = []
    assert native.parse_run([line], 0, Log(keeps_ids=True), out) == len(out)
    return out[0] if out else None


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_a_record_of_any_kind_comes_back(kind: type[Record]) -> None:
    """parse(render(record)) is the record, whatever its fields hold, and its line is one line."""

    @given(records_of(kind))
    def comes_back(record: Record) -> None:
        line = native.render(record)
        assert "\n" not in line
        again = read(line)
        assert type(again) is kind
        assert again == record

    comes_back()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_blanks_and_the_order_of_members_are_irrelevant(kind: type[Record]) -> None:
    """Another program may have written the line again: sorted, indented, escaped."""

    @given(records_of(kind))
    def comes_back(record: Record) -> None:
        line = json.dumps(json.loads(native.render(record)), sort_keys=True, separators=(" , ", " : "))
        assert read(line) == record

    comes_back()


def test_among_other_lines_no_record_brings_its_own_id() -> None:
    """A line in a mail log that claims to be a record of another log gets the id, source and raw of where it stands."""
    line = '{"kind":"text","id":"0123456789abcdef0123456789abcdef","source":{"file":"other"},"error":"x","raw":"y"}'
    (record,) = Reader(Log(), file="mail.log").read(Block(line.encode(), 0))
    assert record.source == Source("mail.log", 0)
    assert record.raw == line
    assert record.id != "0123456789abcdef0123456789abcdef"


@given(st.sampled_from([line for line in EXPECTED if '"raw"' not in line and '"error"' not in line]))
def test_the_output_of_every_other_format_is_input(line: str) -> None:
    """What a golden file expects, read as a log of its own, is the same record, but for its id."""
    expected = json.loads(line)
    (record,) = Reader(Log(), only=native.FORMAT).read(Block(line.encode(), 0))
    found = json.loads(msgspec.json.encode(record))
    assert found | {"id": ""} == expected | {"id": ""}


@given(st.sampled_from(EXPECTED), texts.filter(lambda name: name not in ("kind", "extra")), values)
def test_a_member_that_the_schema_has_not_is_kept(line: str, name: str, value: Any) -> None:
    """It stands in extra, as it was."""
    members = json.loads(line)
    record = read(json.dumps({**members, f"x-{name}": value}))
    assert record is not None
    assert record.extra is not None
    assert record.extra[f"x-{name}"] == value


@given(st.sampled_from(EXPECTED), st.data())
def test_any_damage_is_one_record_or_not_ours(line: str, data: st.DataObject) -> None:
    """Lines with pieces cut out and put in: never an exception, one record, an error that says where."""
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(line)))
        end = data.draw(st.integers(start, min(len(line), start + 12)))
        pieces = ["", '"', "{", "}", "[", ":", ",", "\\", "\\ud800", "\x00", "ü", "null", "1e999"]
        line = line[:start] + data.draw(st.sampled_from(pieces)) + line[end:]
    record = read(line)
    if record is not None:
        msgspec.json.encode(record)
        assert record.error or not isinstance(record, Unparsed)
