"""The native profile: the records as they are, flat, with the product's own names. It loses nothing and can be read back."""

from __future__ import annotations

import types
from collections.abc import Sequence
from typing import Any, Union, get_args, get_origin, get_type_hints

from shipper import events
from shipper.profiles.base import Profile, json_lines
from shipper.profiles.fields import field_of
from shipper.record import KINDS, Envelope, Record, Source


def render(records: Sequence[Record], observed: int) -> bytes:
    """One JSON object a line, `kind` first, then the fields in the order of the schema. The time of reading is not part of a record."""
    return json_lines(records)


PROFILE = Profile("native", "the records as they are: flat, the product's own names, nothing left out", render)


_TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d(:\d\d)?)$"
_LIMITS: dict[str, dict[str, Any]] = {
    "time": {"pattern": _TIME},
    "time_zone_source": {"enum": ["record", "config", "system"]},
    "event": {"pattern": r"^[a-z0-9_]+(\.[a-z0-9_]+)*$"},
    "severity": {"enum": list(events.SEVERITIES)},
    "id": {"pattern": "^[0-9a-f]{32}$"},
    "direction": {"enum": ["in", "out"]},
    "enhanced_status": {"pattern": r"^[245]\.\d{1,3}\.\d{1,3}$"},
    "smtp_code": {"minimum": 100, "maximum": 999},
    "local_port": {"maximum": 65535},
    "remote_port": {"maximum": 65535},
    "client_port": {"maximum": 65535},
    "attempt": {"minimum": 1},
    "action": {"maxLength": 1},
}
_ALWAYS = ("kind", "event", "severity", "id")


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of one line of the native profile; `native.schema.json` is this."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "One record of a Messaging Server log, native profile",
        "description": "One JSON object a line. A field that the line of log does not have is left out: nothing is null, empty or a guess.",
        "oneOf": [{"$ref": f"#/$defs/{kind.kind}"} for kind in KINDS],
        "$defs": {
            **{kind.kind: _object(kind) for kind in KINDS},
            "source": _object(Source),
            "envelope": _object(Envelope),
            "value": {
                "description": "Any JSON value that says something.",
                "oneOf": [
                    {"type": "string", "minLength": 1},
                    {"type": ["number", "boolean"]},
                    {"type": "array", "items": {"$ref": "#/$defs/value"}, "minItems": 1},
                    _named({"$ref": "#/$defs/value"}),
                ],
            },
        },
    }


def _object(struct: type[Any]) -> dict[str, Any]:
    """A type of record, or one of the objects inside a record."""
    properties: dict[str, Any] = {}
    if issubclass(struct, Record):
        properties["kind"] = {"const": struct.kind, "description": "What kind of record this is."}
    hints = get_type_hints(struct)
    for name in struct.__struct_fields__:
        properties[name] = {**_type(hints[name]), **_LIMITS.get(name, {}), **_description(struct, name)}
        if name == "severity" and struct is Envelope:
            properties[name]["enum"] = list(events.SEVERITIES)
    whole: dict[str, Any] = {"description": (struct.__doc__ or "").partition("\n")[0], "type": "object", "properties": properties}
    if issubclass(struct, Record):
        whole["required"] = list(_ALWAYS)
    else:
        whole["minProperties"] = 1
    return {**whole, "additionalProperties": False}


def _description(struct: type[Any], name: str) -> dict[str, str]:
    if issubclass(struct, Record) and name in ("source", "syslog"):
        return {}
    return {"description": field_of(struct, name).text + "."}


def _type(hint: Any) -> dict[str, Any]:
    """A field's Python type -> JSON Schema. `None` is not in it: absent fields are left out."""
    simple: dict[Any, dict[str, Any]] = {
        str: {"type": "string", "minLength": 1},
        int: {"type": "integer", "minimum": 0, "maximum": 2**63 - 1},
        float: {"type": "number", "minimum": 0},
        bool: {"const": True},
        Source: {"$ref": "#/$defs/source"},
        Envelope: {"$ref": "#/$defs/envelope"},
        dict[str, Any]: _named({"$ref": "#/$defs/value"}),
        dict[str, str]: _named({"type": "string", "minLength": 1}),
    }
    if get_origin(hint) in (Union, types.UnionType):
        present = [each for each in get_args(hint) if each is not type(None)]
        return _type(float if float in present else present[0])
    return simple[hint]


def _named(values: dict[str, Any]) -> dict[str, Any]:
    """An object of any names whose values are such."""
    return {"type": "object", "propertyNames": {"minLength": 1}, "additionalProperties": values, "minProperties": 1}
