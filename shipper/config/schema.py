"""The JSON Schema of the configuration, for editors: made from the sections, so that it says what `check` says."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from shipper.config.sections import Kinds, Settings, known_inputs, known_outputs

_VARIABLE = {"type": "string", "pattern": r"\$\{"}
"""A number or a yes may stand behind a variable."""


def schema(inputs: Kinds | None = None, outputs: Kinds | None = None) -> dict[str, Any]:
    """One JSON Schema (2020-12) of a main file. Files in conf.d have the same, without what is required."""
    kinds = (inputs or known_inputs(), outputs or known_outputs())
    sections = {kind.what: {name: kind.section(name) for name in kind.modules} for kind in kinds}
    models: list[type[BaseModel]] = [Settings, *(model for found in sections.values() for model in found.values())]
    refs, shared = models_json_schema([(model, "validation") for model in models], ref_template="#/$defs/{model}")
    definitions = shared.get("$defs", {})
    top = definitions.pop(refs[Settings, "validation"]["$ref"].rpartition("/")[2])
    for what, found in sections.items():
        top["properties"][f"{what}s"] = {
            "type": "object",
            "description": f"Name of your own -> one {what}.",
            "minProperties": 1,
            "propertyNames": {"pattern": "^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"},
            "additionalProperties": {"oneOf": [refs[model, "validation"] for model in found.values()]},
        }
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "shipper",
        **{name: value for name, value in top.items() if name not in ("title", "description")},
        "required": ["inputs", "outputs"],
        "$defs": dict(sorted(definitions.items())),
    }
    opened: dict[str, Any] = _open(whole)
    return opened


def _open(part: Any) -> Any:
    """Lets a variable stand where something else than text is expected; leaves out titles that only repeat names, and pydantic's own words."""
    if isinstance(part, list):
        return [_open(inner) for inner in part]
    if not isinstance(part, dict):
        return part
    done = {}
    for name, value in part.items():
        if name in ("gt", "ge", "lt", "le") or (name == "title" and value != "shipper"):
            continue
        done[name] = {key: _open(inner) for key, inner in value.items()} if name in ("properties", "$defs") else _open(value)
    if "anyOf" in done:
        choices = [choice for inner in done["anyOf"] for choice in inner.get("anyOf", [inner])]
        done["anyOf"] = [choice for number, choice in enumerate(choices) if choice not in choices[:number]]
    elif "enum" in done or done.get("type") in ("integer", "number", "boolean"):
        kept = {name: done.pop(name) for name in ("default", "description") if name in done}
        return {"anyOf": [done, _VARIABLE], **kept}
    return done
