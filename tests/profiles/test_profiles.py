"""What every profile promises, whatever the records: laws over the registry, golden files, and a home for every field."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from shipper.profiles import PROFILES, Profile
from shipper.profiles.fields import FIELDS, field_of
from shipper.record import KINDS, AnyRecord, Envelope, Mta, Record, Service, Source, Text, Unparsed

HERE = Path(__file__).resolve().parent


@pytest.fixture(params=PROFILES.values(), ids=PROFILES, scope="session")
def profile(request: pytest.FixtureRequest) -> Profile:
    found = request.param
    assert isinstance(found, Profile)
    return found


def leaves(value: Any) -> Iterator[Any]:
    """Every value and every name in a JSON value."""
    if isinstance(value, dict):
        yield from value
        if not value:
            yield value
        for inner in value.values():
            yield from leaves(inner)
    elif isinstance(value, list):
        if not value:
            yield value
        for inner in value:
            yield from leaves(inner)
    else:
        yield value


def read(rendered: bytes) -> list[dict[str, Any]]:
    """The objects of JSON lines; a name that comes twice in one object is an error."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len({name for name, _ in pairs}) == len(pairs), pairs
        return dict(pairs)

    text = rendered.decode("utf-8")
    assert text == "" or text.endswith("\n")
    return [json.loads(line, object_pairs_hook=unique) for line in text.splitlines()]


def test_the_samples_are_rendered_as_their_golden_files_say(
    profile: Profile, samples: list[Record], observed: int, request: pytest.FixtureRequest
) -> None:
    """Line by line and member by member, in order. (`--bless` rewrites ecs.jsonl and otel.jsonl; native.jsonl is what is rendered.)"""
    path = HERE / f"{profile.name}.jsonl"
    found = profile.render(samples, observed)
    if request.config.getoption("--bless") and profile.name != "native":
        path.write_bytes(found)
    expected = path.read_bytes()
    for number, (is_, should_be) in enumerate(zip(found.split(b"\n"), expected.split(b"\n"), strict=True), 1):
        assert json.loads(is_ or b"0") == json.loads(should_be or b"0"), f"{path}:{number}"
    assert found == expected


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_one_record_is_one_line_in_order_whatever_it_holds(
    profile: Profile, wild_records: SearchStrategy[list[Record]], data: st.DataObject
) -> None:
    """n records give n lines, by LF and by any reader's idea of a line end; each is a JSON object of valid UTF-8 without `""`, null, `{}`, `[]`."""
    records = data.draw(wild_records)
    for number, record in enumerate(records):
        record.id = f"{number:032x}"
    before = deepcopy(records)
    rendered = profile.render(records, 1)
    assert records == before or any(part != part for part in leaves(msgspec.to_builtins(records))), "the records were changed"
    assert rendered.count(b"\n") == len(records)
    objects = read(rendered)
    assert len(objects) == len(records)
    for number, found in enumerate(objects):
        assert f"{number:032x}" in leaves(found)
        assert not [leaf for leaf in leaves(found) if leaf is None or leaf == "" or leaf == {} or leaf == []]


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_how_records_are_batched_makes_no_difference(
    profile: Profile, drawn_records: SearchStrategy[list[Record]], data: st.DataObject
) -> None:
    """One at a time, or all together: the same octets."""
    records = data.draw(drawn_records)
    assert profile.render(records, 7) == b"".join(profile.render([record], 7) for record in records)


def test_no_records_are_no_octets(profile: Profile) -> None:
    """Nothing in, nothing out."""
    assert profile.render([], 1) == b""


def test_a_large_batch_is_all_its_records(profile: Profile) -> None:
    """A thousand records, a thousand lines, in order."""
    records = [Text(id=f"{number:032x}", message=f"line {number}") for number in range(1000)]
    found = read(profile.render(records, 1))
    assert [f"line {number}" in leaves(each) and f"{number:032x}" in leaves(each) for number, each in enumerate(found)] == [True] * 1000


def test_odd_values_do_not_stop_a_batch(profile: Profile) -> None:
    """A lone surrogate becomes U+FFFD, what says nothing goes away, and the records around it come out as ever."""
    odd = [
        Text(id="1" * 32, message="before"),
        Mta(id="2" * 32, sender="a\ud800b@example.com"),
        Mta(id="5" * 32, queue_seconds=float("inf")),
        Mta(id="6" * 32, source=Source()),
        Mta(id="7" * 32, syslog=Envelope()),
        Service(
            id="3" * 32, attributes={"empty": "", "": "nameless"}, extra={"none": None, "list": [], "deep": {"er": {}}, "nan": float("nan")}
        ),
        Unparsed(id="4" * 32, error="after"),
    ]
    whole = profile.render(odd, 1).split(b"\n")
    assert [whole[0], whole[-2]] == profile.render([odd[0], odd[-1]], 1).split(b"\n")[:2]
    for number, record in enumerate(odd):
        assert profile.render([record], 1) == whole[number] + b"\n"
    assert "a\N{REPLACEMENT CHARACTER}b@example.com" in whole[1].decode()
    assert b"nameless" in whole[5]
    for absent in (b"queue_seconds", b"syslog", b"source", b"extra", b"empty", b":null", b"{}"):
        assert absent not in b"".join(whole[2:6])


def test_separators_of_lines_are_escaped(profile: Profile) -> None:
    """U+2028, U+2029, U+0085 and control characters stand as escapes, and read back as they were."""
    text = "a\u2028b\u2029c\x85d\re\nf\x0bg\x0ch\x1ci\x1ej\x00k\x1bl\u202e"
    rendered = profile.render([Text(message=text)], 1)
    assert len(rendered.decode().splitlines()) == 1
    assert text in leaves(json.loads(rendered))


def every_field() -> list[tuple[type, str]]:
    return [(struct, name) for struct in (*KINDS, Source, Envelope) for name in struct.__struct_fields__]


def test_every_field_has_a_row_and_every_row_a_field() -> None:
    """The table says of each field what it is and where each profile has it, and of no other."""
    used = set()
    for struct, name in every_field():
        if name in ("source", "syslog") and issubclass(struct, Record):
            continue
        row = field_of(struct, name)
        used.add(row)
        assert row.text and row.ecs and row.otel, row
        assert sum(field.name == name and issubclass(struct, field.of) for field in FIELDS) == 1
    assert used == set(FIELDS)
    with pytest.raises(KeyError):
        field_of(Text, "sender")


def test_the_samples_have_every_field_of_every_kind(samples: list[Record]) -> None:
    """So that golden files and the tests that go over them speak of all of it."""
    seen: set[tuple[type, str]] = set()
    for record in samples:
        for struct in (record, record.source, record.syslog):
            if struct is not None:
                defaults = zip(struct.__struct_fields__, struct.__struct_defaults__, strict=True)
                seen |= {(type(struct), name) for name, default in defaults if getattr(struct, name) != default}
    assert not set(every_field()) - seen


def test_native_lines_are_read_back_as_the_same_records(samples: list[Record], observed: int) -> None:
    """The native profile loses nothing."""
    lines = PROFILES["native"].render(samples, observed).splitlines()
    assert [msgspec.json.decode(line, type=AnyRecord) for line in lines] == samples
