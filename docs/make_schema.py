"""Writes docs/schema.md and shipper/profiles/native.schema.json from the tables in the code: `python docs/make_schema.py [DIRECTORY]`.

A test holds both current.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from shipper.profiles import native
from shipper.profiles.base import EVENTS
from shipper.profiles.fields import FIELDS, Field
from shipper.record import Connection, Debug, Envelope, Header, Mta, Record, Service, Source

ROOT = Path(__file__).resolve().parent.parent

SECTIONS: tuple[tuple[str, str, type], ...] = (
    ("Every record", "", Record),
    ("`source`", "An object: where the line was read.", Source),
    ("`syslog`", "An object: the header that the record came behind.", Envelope),
    ("Message and connection records", "Kinds `mta` and `connection`.", Connection),
    ("Message records", "Kind `mta`.", Mta),
    ("Headers", "Kind `header`: the lines that LOG_HEADER adds.", Header),
    ("Service and store records", "Kinds `service` and `store`; `debug` has `service`, `category`, `level` and `message` too.", Service),
    ("The text of a line", "Kinds `debug`, `syslog` and `text`.", Debug),
)


def markdown() -> str:
    """docs/schema.md."""
    parts = [INTRODUCTION]
    done: set[Field] = set()
    for title, text, struct in SECTIONS:
        rows = [field for field in FIELDS if issubclass(struct, field.of) and field not in done]
        done.update(rows)
        if rows:
            parts.append(f"## {title}\n")
            if text:
                parts.append(f"{text}\n")
            parts.append("| field | ECS | OpenTelemetry | what it says |\n|---|---|---|---|\n" + "".join(map(row, rows)))
    assert done == set(FIELDS), set(FIELDS) - done
    parts.append("## Events\n")
    parts.append(
        "`event` is one of these; the other columns are what ECS makes of it. Severities of MTA records are ours; a service record has that of"
        " its level.\n"
    )
    parts.append(
        "| event | what happened | `event.category` | `event.type` | `event.action` | `event.outcome` | severity |\n|---|---|---|---|---|---|---|\n"
    )
    parts[-1] += "".join(
        f"| `{event.name}` | {event.meaning} | {', '.join(event.category)} | {', '.join(event.types)} | {event.action} | {event.outcome} |"
        f" {event.severity} |\n"
        for event in EVENTS.values()
    )
    parts.append(AFTER_EVENTS)
    return "\n".join(parts)


def row(field: Field) -> str:
    said = field.text + (f"; {field.written}" if field.written else "")
    return f"| `{field.name}` | {places(field.ecs)} | {places(field.otel)} | {escaped(said)} |\n"


def places(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def escaped(text: str) -> str:
    return text.replace("|", "\\|")


INTRODUCTION = """\
# The schema

*Made by `docs/make_schema.py` from `shipper/profiles/fields.py` and `shipper/events.py`; a test holds it current.*

One record for each line of log. `--profile` says how it is written: `native` is the record as it stands, `ecs` an Elastic Common Schema 9.4
document, `otel` an OpenTelemetry log record in OTLP's JSON. All three write one JSON object a line, in the order of the log.

A field that the line does not have is left out. Nothing is ever `null`, `""`, `{}` or `[]`, and nothing is guessed: what is derived is said
below. [native.schema.json](../shipper/profiles/native.schema.json) is the JSON Schema of the native profile.

How to read the tables:

- **field** is the native name. **ECS** and **OpenTelemetry** say where the other profiles have the same value; the last column says where it is
  written differently, and what else follows from it.
- `[]` after an ECS name: the value is one of an array. In `related.*` every value stands once.
- `@local` and `@remote` are the ends of a connection. Where the other side called (`direction: in`), the remote end is `source` and `client`, the
  local one `destination` and `server`; where this server called, it is the other way round. Message records that do not name a direction have one by
  their action: E, J, B and V are inbound, the others outbound. In OpenTelemetry the ends are `client` and `server`.
- `<…>` is a field of the OpenTelemetry log record itself, not an attribute.

What every **ECS** document also has: `ecs.version`, `event.kind` (`event`, or `pipeline_error` where something could not be read),
`event.module: sunmsg`, `event.dataset` (`sunmsg.mta` for message, connection and header records; `sunmsg.service`, `sunmsg.store`,
`sunmsg.debug`; `sunmsg.other` for the rest), `event.created` (when it was read), `message` and `sunmsg.kind`. Message, connection and header
records have `service.name` and `service.type`: `mta`. Records that are the product's have `observer.vendor` and `observer.product`. Addresses in
`email.*` are those of the envelope, as in Elastic's own integrations for mail servers. `log.offset` and `log.source.address` are Filebeat's,
not ECS's. `sunmsg.extra`, `sunmsg.service.attributes` and `log.syslog.structured_data` hold names that the log chose: map them as `flattened`.

What every **OpenTelemetry** record also has: `<observedTimeUnixNano>`, `<body>`, and `service.namespace: sunmsg`. A line is a bare
`LogRecord`, without the resource around it that OTLP has, so the resource attributes (`service.namespace`, `service.name`, `host.name`) come first
among its attributes. `service.name` is the process, or `mta`.
"""

AFTER_EVENTS = """\
A `mta.auth` record that tells of a failure has outcome `failure` and severity `notice`. A `service.close` record without a user has category
`network` and action `connection-close`. A service or debug record of level Error or above that has no type of its own has the type `error`.
"""


def main(directory: Path) -> None:
    (directory / "docs").mkdir(parents=True, exist_ok=True)
    (directory / "docs" / "schema.md").write_text(markdown(), "utf-8")
    target = directory / "shipper" / "profiles" / "native.schema.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(native.schema(), indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT)
