"""The effective configuration as YAML: what was written and every default, without secrets and without what variables hold.

What came from a variable is shown as it was written (`${VAR}`), so that the text can be read back with the same meaning, but for secrets.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from shipper.config.problems import without_default, without_password
from shipper.config.sections import Config
from shipper.config.tree import Node

STARS = "**********"
"""What pydantic shows of a secret."""

_DOLLAR = re.compile(r"\$(?=[${])")


def effective(config: Config, tree: Node) -> str:
    """YAML text, ending with LF."""
    values = config.settings.model_dump(mode="json", by_alias=True, exclude_none=True)
    routes = [{name: value for name, value in route.items() if value not in ({}, [], False)} for route in values.pop("routes")]
    for room, sections in (("inputs", config.inputs), ("outputs", config.outputs)):
        values[room] = {name: _dumped(section) for name, section in sections.items()}
    if routes:
        values["routes"] = routes
    text: str = yaml.safe_dump(_shown(values, tree), allow_unicode=True, sort_keys=False, width=120)
    return text


def _dumped(section: Any) -> dict[str, Any]:
    dumped = section.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {"type": dumped.pop("type"), **dumped}


def _shown(value: Any, node: Node | None) -> Any:
    """A value as it may be shown; `node`: where it was written, if it was."""
    if node is not None and node.variable and (value != STARS or without_default(node.written)):
        return node.written
    if isinstance(value, dict):
        there = node.value if node is not None and isinstance(node.value, dict) else {}
        return {name: _shown(inner, there.get(name)) for name, inner in value.items()}
    if isinstance(value, list):
        known: list[Node | None] = list(node.value) if node is not None and isinstance(node.value, list) else [node]
        if len(known) != len(value):
            known = [None] * len(value)
        return [_shown(inner, one) for inner, one in zip(value, known, strict=True)]
    return _DOLLAR.sub("$$", without_password(value)) if isinstance(value, str) else value
