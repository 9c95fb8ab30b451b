"""What Elasticsearch is told of the fields: every field that the ECS profile writes has the type of what stands in it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from shipper.profiles import ecs
from shipper.profiles.ecs_mapping import component_template, index_template, policy, requests
from shipper.record import Record

PUBLIC = Path(
    os.environ.get("ECS_FIELDS") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "shipper-ci" / "ecs-9.4.0.json"
)


def types(properties: dict[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    for name, mapping in properties.items():
        if "properties" in mapping:
            yield from types(mapping["properties"], f"{path}{name}.")
        else:
            yield path + name, mapping["type"]


MAPPING = dict(types(component_template()["template"]["mappings"]["properties"]))


def values(document: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """(path, value) of a document, each value of a list; an object with names that are not ours is one value."""
    for name, value in document.items():
        if isinstance(value, dict) and MAPPING.get(path + name) != "flattened":
            yield from values(value, f"{path}{name}.")
        else:
            for each in value if isinstance(value, list) else [value]:
                yield path + name, each


def fits(kind: str, value: Any) -> bool:
    """Whether Elasticsearch would index this value as that type."""
    if kind in ("keyword", "text"):
        return isinstance(value, str)
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "long":
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63
    if kind == "double":
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "ip":
        return bool(ip_address(value))
    if kind == "date":
        return bool(datetime.fromisoformat(value))
    return kind == "flattened" and isinstance(value, dict)


def checked(records: list[Record]) -> set[str]:
    """The paths of ours that these records have; each value fits its type."""
    seen = set()
    for line in ecs.render(records, 1_116_028_800_123_456_789).splitlines():
        for path, value in values(json.loads(line)):
            if path.startswith("sunmsg."):
                assert path in MAPPING, path
                seen.add(path)
            kind = MAPPING.get(path, "keyword")
            assert fits(kind, value), (path, kind, value)
    return seen


def test_every_field_has_its_type(samples: list[Record], golden_records: list[Record]) -> None:
    """Of the samples, which have every field, and of all golden cases. What is not named is text."""
    seen = checked(samples + golden_records)
    ours = {path for path in MAPPING if path.startswith("sunmsg.")}
    assert ours - seen <= {"sunmsg.session.seconds", "sunmsg.session.start"}


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_whatever_stands_in_a_record(drawn_records: SearchStrategy[list[Record]], data: st.DataObject) -> None:
    """No drawn record has a value that its field does not take."""
    checked(data.draw(drawn_records))


@pytest.mark.skipif(not PUBLIC.is_file(), reason="the public list of ECS fields is not here: tests/ecs_fields/fetch.sh")
def test_types_of_ecs_fields_are_those_of_ecs() -> None:
    """As published, but for text that is for reading, and IP addresses' ends."""
    public = json.loads(PUBLIC.read_text())
    for path, kind in MAPPING.items():
        if path in public and kind != "text":
            assert public[path]["type"] == kind, path


def test_requests_for_both() -> None:
    """Policy before template; Elasticsearch has ILM, OpenSearch ISM and `flat_object`."""
    assert [path for path, _ in requests()] == [
        "/_ilm/policy/logs-sunmsg",
        "/_component_template/logs-sunmsg",
        "/_index_template/logs-sunmsg",
    ]
    assert index_template()["composed_of"] == ["logs-sunmsg"]
    assert index_template()["template"]["settings"]["index.lifecycle.name"] == "logs-sunmsg"
    assert "lifecycle" not in json.dumps(index_template(opensearch=True))
    assert "flattened" not in json.dumps(component_template(opensearch=True))
    assert policy(days=7)["policy"]["phases"]["delete"]["min_age"] == "7d"
    assert policy(opensearch=True)["policy"]["ism_template"][0]["index_patterns"] == ["logs-sunmsg.*-*"]
