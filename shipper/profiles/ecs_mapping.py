"""What Elasticsearch and OpenSearch have to know before ECS documents of ours come: types of fields, data streams, how long they stay.

Texts are keywords, unless they are for reading. What stands below `sunmsg` has its type written down, from the table of fields, and nothing else is
ever added there; below `extra` and its like, whose names are not ours, all values are found and none becomes a field of the index.
"""

from __future__ import annotations

import types
from typing import Any, Union, get_args, get_origin, get_type_hints

from shipper import __version__, events
from shipper.profiles.fields import FIELDS

NAME = f"logs-{events.NAMESPACE}"
PATTERNS = [f"logs-{events.NAMESPACE}.*-*"]

PRIORITY = 250
"""Above the 100 of Elasticsearch's own template for `logs-*-*`."""

_KEYWORD = {"type": "keyword", "ignore_above": 1024}
_TEXT = {"type": "text", "norms": False}
_DERIVED: dict[str, dict[str, Any]] = {
    "sunmsg.kind": _KEYWORD,
    "sunmsg.mta.diagnostic_type": _KEYWORD,
    "sunmsg.mta.entry.sasl": {"type": "boolean"},
    "sunmsg.session.seconds": {"type": "long"},
    "sunmsg.session.start": _KEYWORD,
}
"""What the profile makes of several fields, or of values that another place does not take."""

_ENDS = ("source", "destination", "client", "server")
_ECS: dict[str, dict[str, Any]] = {
    "@timestamp": {"type": "date"},
    "message": _TEXT,
    "error.message": _TEXT,
    "event.created": {"type": "date"},
    "event.start": {"type": "date"},
    "event.duration": {"type": "long"},
    "event.severity": {"type": "long"},
    "event.original": {"type": "keyword", "index": False, "doc_values": False},
    "related.ip": {"type": "ip"},
    **{f"{end}.ip": {"type": "ip"} for end in _ENDS},
    **{f"{end}.port": {"type": "long"} for end in _ENDS},
    **{f"{end}.bytes": {"type": "long"} for end in ("source", "destination", "network")},
    "process.pid": {"type": "long"},
    "process.thread.id": {"type": "long"},
    "log.offset": {"type": "long"},
    "log.syslog.priority": {"type": "long"},
    "log.syslog.facility.code": {"type": "long"},
    "log.syslog.severity.code": {"type": "long"},
    "tls.established": {"type": "boolean"},
}
"""Fields of ECS that are no keywords. What is not named here, and is text, becomes one."""


def component_template(*, opensearch: bool = False) -> dict[str, Any]:
    """`_component_template/logs-sunmsg`: the types of all fields."""
    anything = {"type": "flat_object"} if opensearch else {"type": "flattened", "ignore_above": 1024}
    properties: dict[str, Any] = {}
    for path, mapping in {**_ECS, "log.syslog.structured_data": anything, **_sunmsg(anything)}.items():
        *parents, last = path.split(".")
        level = properties
        for parent in parents:
            level = level.setdefault(parent, {}).setdefault("properties", {})
        level[last] = mapping
    properties[events.NAMESPACE]["dynamic"] = False
    return {
        "template": {
            "mappings": {
                "date_detection": False,
                "dynamic_templates": [{"texts": {"match_mapping_type": "string", "mapping": _KEYWORD}}],
                "properties": properties,
            }
        },
        "_meta": {"description": "Messaging Server logs in ECS", "version": __version__},
    }


def index_template(*, opensearch: bool = False) -> dict[str, Any]:
    """`_index_template/logs-sunmsg`: the data streams."""
    settings: dict[str, Any] = {"index.codec": "best_compression"}
    if not opensearch:
        settings["index.lifecycle.name"] = NAME
    return {
        "index_patterns": PATTERNS,
        "data_stream": {},
        "priority": PRIORITY,
        "composed_of": [NAME],
        "template": {"settings": settings},
        "_meta": {"description": "Messaging Server logs in ECS", "version": __version__},
    }


def policy(*, opensearch: bool = False, days: int = 90) -> dict[str, Any]:
    """How long data stays: a new index each month or 50 GB, gone after `days`. An ILM policy, or OpenSearch's ISM policy."""
    if not opensearch:
        rollover = {"max_age": "30d", "max_primary_shard_size": "50gb"}
        phases = {"hot": {"actions": {"rollover": rollover}}, "delete": {"min_age": f"{days}d", "actions": {"delete": {}}}}
        return {"policy": {"phases": phases}}
    hot = {
        "name": "hot",
        "actions": [{"rollover": {"min_index_age": "30d", "min_primary_shard_size": "50gb"}}],
        "transitions": [{"state_name": "delete", "conditions": {"min_rollover_age": f"{days}d"}}],
    }
    gone = {"name": "delete", "actions": [{"delete": {}}], "transitions": []}
    return {
        "policy": {
            "description": "Messaging Server logs in ECS",
            "default_state": "hot",
            "states": [hot, gone],
            "ism_template": [{"index_patterns": PATTERNS, "priority": PRIORITY}],
        }
    }


def requests(*, opensearch: bool = False) -> list[tuple[str, dict[str, Any]]]:
    """(path, body) of what to PUT, in this order."""
    return [
        (f"/_plugins/_ism/policies/{NAME}" if opensearch else f"/_ilm/policy/{NAME}", policy(opensearch=opensearch)),
        (f"/_component_template/{NAME}", component_template(opensearch=opensearch)),
        (f"/_index_template/{NAME}", index_template(opensearch=opensearch)),
    ]


def _sunmsg(anything: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The type of every field of ours, by its path."""
    found = dict(_DERIVED)
    for field in FIELDS:
        for path in field.ecs:
            if path.startswith(f"{events.NAMESPACE}."):
                found[path] = _mapping(get_type_hints(field.of[0])[field.name], anything)
    return found


def _mapping(hint: Any, anything: dict[str, Any]) -> dict[str, Any]:
    """A field's Python type -> its type in the index."""
    if get_origin(hint) in (Union, types.UnionType):
        present = [each for each in get_args(hint) if each is not type(None)]
        hint = float if float in present else present[0]
    simple: dict[Any, dict[str, Any]] = {str: _KEYWORD, int: {"type": "long"}, float: {"type": "double"}, bool: {"type": "boolean"}}
    return simple.get(hint, anything)
