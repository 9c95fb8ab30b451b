"""The native profile: its JSON Schema, and that all of our records are what it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from shipper.profiles import native
from shipper.record import KINDS, AnyRecord, Mta, Record, Service, Source

HERE = Path(__file__).resolve().parent
COMMITTED = Path(native.__file__).with_name("native.schema.json")
GOLDEN = sorted(path for path in (HERE.parent / "formats").glob("*/*/expected.jsonl") if path.parent.parent.name != "native")
"""All but those of the format `native`: what others wrote in our name is read as it is."""


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(native.schema())


def complaints(validator: jsonschema.Draft202012Validator, found: dict[str, Any]) -> list[str]:
    """What is wrong with one record, by the schema of its own kind (that of `oneOf` names every kind's)."""
    whole = native.schema()
    of_kind = {"$defs": whole["$defs"], "$ref": f"#/$defs/{found.get('kind', 'text')}"}
    errors = jsonschema.Draft202012Validator(of_kind).iter_errors(found)
    named = [f"{'.'.join(map(str, error.absolute_path))}: {error.message}" for error in errors]
    assert bool(named) != validator.is_valid(found)
    return named


def test_the_schema_is_a_schema() -> None:
    """By the rules of draft 2020-12."""
    jsonschema.Draft202012Validator.check_schema(native.schema())


def test_the_committed_schema_is_current() -> None:
    """native.schema.json is what `schema()` says; `python docs/make_schema.py` writes it."""
    assert json.loads(COMMITTED.read_text("utf-8")) == native.schema()


def test_samples_are_valid(samples: list[Record], validator: jsonschema.Draft202012Validator) -> None:
    """Records of every kind, with every field."""
    for number, line in enumerate(native.render(samples, 1).splitlines(), 1):
        assert complaints(validator, json.loads(line)) == [], f"native.jsonl:{number}"


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: f"{path.parent.parent.name}/{path.parent.name}")
def test_golden_records_are_valid(path: Path, validator: jsonschema.Draft202012Validator) -> None:
    """What the formats read in their golden cases comes out as the schema promises."""
    records = [msgspec.json.decode(line, type=AnyRecord) for line in path.read_bytes().split(b"\n") if line]
    for number, line in enumerate(native.render(records, 1).splitlines(), 1):
        assert complaints(validator, json.loads(line)) == [], f"{path}:{number}"


@pytest.mark.parametrize(
    "change",
    [
        {"unknown": "field"},
        {"sender": None},
        {"sender": ""},
        {"pid": "7"},
        {"pid": -1},
        {"pid": 2**63},
        {"severity": "bad"},
        {"time_zone_source": "guess"},
        {"time": "19-Jan-1998"},
        {"time": "1998-01-19T19:16:57"},
        {"id": "short"},
        {"kind": "nothing"},
        {"kind": "connection"},
        {"null_sender": False},
        {"remote_port": 65536},
        {"direction": "inbound"},
        {"extra": {}},
        {"extra": {"a": None}},
        {"extra": {"a": [""]}},
        {"source": {}},
        {"source": {"line": 7}},
        {"syslog": {"severity": "bad"}},
    ],
    ids=str,
)
def test_the_schema_refuses(change: dict[str, Any], samples: list[Record], validator: jsonschema.Draft202012Validator) -> None:
    """Unknown fields, null, "", wrong types and values; absent fields that every record has."""
    (good,) = [json.loads(native.render([record], 1)) for record in samples if isinstance(record, Mta) and record.envelope_id]
    assert validator.is_valid(good)
    assert not validator.is_valid({**good, **change})
    for name in ("kind", "event", "severity", "id"):
        assert not validator.is_valid({key: value for key, value in good.items() if key != name})


def test_kind_comes_first_and_fields_keep_their_order() -> None:
    """A reader that looks at the beginning of a line sees what it is."""
    line = native.render([Service(message="m", time="t", user="u", host="h")], 1)
    assert line == b'{"kind":"service","time":"t","host":"h","message":"m","user":"u"}\n'
    for kind in KINDS:
        assert native.render([kind()], 1) == b'{"kind":"%s"}\n' % kind.kind.encode()


def test_zeros_are_values() -> None:
    """Offset 0, 0 blocks and sequence 0 are written; False and absent numbers are not."""
    line = native.render([Mta(source=Source("f", 0), size_blocks=0, sequence=0, null_sender=False)], 1)
    assert json.loads(line) == {"kind": "mta", "source": {"file": "f", "offset": 0}, "size_blocks": 0, "sequence": 0}
