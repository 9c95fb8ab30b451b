"""Writes docs/configuration.md, conf/shipper.yaml and conf/shipper.schema.json from the sections in the code:
`python docs/make_configuration.py [DIRECTORY]`.

A test holds all three current.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import msgspec
import yaml
from pydantic import BaseModel

from shipper.config.schema import schema
from shipper.config.sections import Kinds, Route, Settings, known_inputs, known_outputs
from shipper.config.validate import listed, sections_in

ROOT = Path(__file__).resolve().parent.parent

EXAMPLES: dict[str, Any] = {
    "file.paths": ["/var/log/app/*.log"],
    "mta_log.directory": "/var/opt/sun/comms/messaging64/log",
    "service_log.directory": "/var/opt/sun/comms/messaging64/log",
    "jsonl.path": "/var/log/shipper/mail.jsonl",
    "elasticsearch.url": "https://elastic.example.com:9200",
    "tls.certificate": "/etc/shipper/tls/shipper.crt",
    "tls.key": "/etc/shipper/tls/shipper.key",
    "otlp.endpoint": "http://127.0.0.1:4318",
}
"""What a required option, which has no default, has in the sample: by type of input or output, or by the option that it stands under."""

ACTIVE = ("mta_log", "jsonl")
"""The input and the output that the sample has in force."""


def options(model: type[BaseModel]) -> Iterator[tuple[str, Any, str, bool]]:
    """(name, default as it is written, description, required) of each option of a section but `type`, its own first."""
    defaults = model.model_construct().model_dump(mode="json", by_alias=True, warnings=False)
    own = model.__annotations__
    for name, info in sorted(model.model_fields.items(), key=lambda field: field[0] not in own):
        if name != "type":
            called = info.alias or name
            text, known = info.description or "", choices(info.annotation)
            if 1 < len(known) < 10 and not all(choice in text for choice in known):
                text = f"{text} One of {listed(known)}."
            yield called, defaults.get(called), text, info.is_required()


def choices(annotation: Any) -> list[str]:
    """The words that an option takes, where it takes only some."""
    if get_origin(annotation) is Literal:
        return [str(choice) for choice in get_args(annotation)]
    return [choice for part in get_args(annotation) if get_origin(part) is Literal for choice in choices(part)]


def inner(model: type[BaseModel], name: str) -> type[BaseModel] | None:
    """The section that an option is, or can be."""
    found = next((info for field, info in model.model_fields.items() if (info.alias or field) == name), None)
    sections = sections_in(found.annotation) if found else []
    return sections[0] if len(sections) == 1 and name != "routes" else None


def written(value: Any) -> str:
    """A value in one line of YAML; nothing for None."""
    return "" if value is None else yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("...\n").strip()


def sample() -> str:
    """conf/shipper.yaml."""
    lines = [SAMPLE_HEAD]
    for name, default, text, _ in options(Settings):
        if name != "routes":
            lines += [*option(Settings, name, default, text, False, "", "#", name), ""]
    for kinds in (known_inputs(), known_outputs()):
        base = common(kinds)
        lines += [f"# {HEADS[kinds.what]}", f"{kinds.what}s:"]
        for kind in sorted(kinds.modules, key=lambda kind: kind not in ACTIVE):
            model, active = kinds.section(kind), kind in ACTIVE
            name = {"jsonl": "file", "file": "logs", "mta_log": "mta", "service_log": "services"}.get(kind, kind)
            start, mark = ("    ", "") if active else ("  #  ", "")
            lines += [*comment(summary(model), "  "), f"  {'' if active else '#'}{name}:", f"{start}type: {kind}"]
            for called, default, text, required in options(model):
                if active or base is None or not shared(model, base, called):
                    mark = "#" if active and not required else ""
                    lines += option(model, called, default, text, required, start, mark, kind)
            if not active:
                lines += comment(f"And {listed([name for name, *_ in options(base)], 'and')} as above." if base else "", "    ")
            lines.append("")
    lines += [
        f"# {HEADS['route']}",
        "#routes:",
        "#  - when: {kind: [mta, connection]}",
        "#    to: [file]",
        "#  - when: {kind: debug}",
        "#    drop: yes",
    ]
    return "\n".join(lines) + "\n"


def option(model: type[BaseModel], name: str, default: Any, text: str, required: bool, indent: str, mark: str, within: str) -> list[str]:
    """An option of the sample, with what is in it where it is a section. `indent` has a `#` in it where all around is commented out."""
    lines = comment(text, indent.replace("#", ""))
    section = inner(model, name)
    if section is None:
        return [*lines, f"{indent}{mark}{name}: {written(example(model, name, within) if required else default)}".rstrip()]
    lines.append(f"{indent}{mark}{name}:")
    for called, value, what, needed in options(section):
        given = default.get(called, value) if isinstance(default, dict) else value
        lines += option(section, called, given, what, needed, f"{indent}{mark}  ", "", name)
    return lines


def example(model: type[BaseModel], name: str, within: str) -> Any:
    """What a required option has in the sample."""
    choices = get_args(model.model_fields[name].annotation) if name in model.model_fields else ()
    return EXAMPLES.get(f"{within}.{name}", choices[0] if choices and isinstance(choices[0], str) else "...")


def shared(model: type[BaseModel], base: type[BaseModel], name: str) -> bool:
    """Whether an option of a section is that of all of its room."""
    return any((info.alias or field) == name for field, info in base.model_fields.items()) and name not in model.__annotations__


def comment(text: str, indent: str) -> list[str]:
    return [f"{indent}# {line}" for line in textwrap.wrap(text.replace("`", ""), 100 - len(indent), break_on_hyphens=False)]


def summary(model: type[BaseModel]) -> str:
    """The first sentence of a section's docstring, or of its module's."""
    own = (model.__doc__ or "").strip().split("\n")[0]
    if own and not own.startswith(("Settings of", "`type:")):
        return own
    module = (sys.modules[model.__module__].__doc__ or "").strip().split("\n\n")[0].replace("\n", " ")
    told = module.partition(":")[2].strip() if module.startswith("Input") else module
    first = told.split(". ")[0].removesuffix(".")
    return f"{first[:1].upper()}{first[1:]}."


def reference() -> str:
    """The tables of docs/configuration.md."""
    parts = ["## Options at the top\n", table(Settings)]
    for kinds in (known_inputs(), known_outputs()):
        parts.append(f"## {kinds.what.capitalize()}s\n")
        parts.append(BEFORE[kinds.what])
        parts += [
            f"### `{kind}`\n\n{summary(kinds.section(kind))}\n\n{table(kinds.section(kind), common(kinds))}" for kind in kinds.modules
        ]
    parts += ["## Routes\n", ROUTES, table(Route)]
    return "\n".join(parts)


def common(kinds: Kinds) -> type[BaseModel] | None:
    """What all sections of a room are on top of."""
    if not kinds.modules:
        return None
    base = kinds.section(next(iter(kinds.modules))).__mro__[1]
    return base if issubclass(base, BaseModel) else None


def table(model: type[BaseModel], base: type[BaseModel] | None = None) -> str:
    """A row for each option; those of `base` have a table of their own."""
    rows = ["| option | default | what it says |", "|---|---|---|"]
    rows += _rows(model, "", base)
    return "\n".join(rows) + "\n"


def _rows(model: type[BaseModel], prefix: str, base: type[BaseModel] | None = None) -> Iterator[str]:
    for name, default, text, required in options(model):
        if (
            base is not None
            and any((info.alias or field) == name for field, info in base.model_fields.items())
            and name not in model.__annotations__
        ):
            continue
        section = inner(model, name)
        shown = "required" if required else "" if section or default in (None, "", [], {}) else f"`{written(default)}`"
        yield f"| `{prefix}{name}` | {shown} | {text.replace('|', chr(92) + '|')} |"
        if section is not None:
            yield from _rows(section, f"{prefix}{name}.")


INTRODUCTION = """\
# Configuration

One YAML file says what `shipper run` reads and where it delivers. `conf/shipper.yaml` is a sample with every option; `conf/` has a complete one for
Elasticsearch (`elk.yaml`), an OpenTelemetry collector (`otlp-collector.yaml`), a syslog relay to a SIEM (`syslog-relay.yaml`), a sidecar
(`sidecar.yaml`) and an archive of JSON lines (`archive.yaml`).

```yaml
timezone: Europe/Berlin
inputs:
  mta:
    type: mta_log
    directory: /var/opt/sun/comms/messaging64/log
outputs:
  archive:
    type: jsonl
    path: /var/log/shipper/mail.jsonl
```

## Checking

`shipper check` says all that is wrong at once: where, what was probably meant, and what to do. What it takes, `shipper run` takes. It exits
with 0, or with 78 when there is an error (`--strict`: or a warning). Nothing is opened or connected to.

```console
$ printf '%s\\n' 'timezome: Europe/Berlin' 'inputs:' '  app: {type: file, paths: [app.log*]}' \\
    'outputs:' '  archive: {type: jsonl, path: "-", keep: many}' > wrong.yaml
$ shipper check wrong.yaml; echo $?
error[C104]: unknown option 'timezome' at the top
  --> wrong.yaml:1:1
  |
1 | timezome: Europe/Berlin
  | ^^^^^^^^ not an option of a configuration
  = did you mean 'timezone'?
  = help: shipper explain C104

error[C106]: 'keep' in output 'archive' must be a whole number, not 'many'
  --> wrong.yaml:5:43
  |
5 |   archive: {type: jsonl, path: "-", keep: many}
  |                                           ^^^^
  = help: shipper explain C106
wrong.yaml: not good, 2 errors
78
```

- `--print` prints the effective configuration: all that was written and every default, secrets as `**********`, variables by their names.
- `--no-env` looks at a configuration where its variables have no values, as in CI.
- `--schema` prints the JSON Schema. Editors with a YAML language server take it from a first line
  `# yaml-language-server: $schema=shipper.schema.json`; `conf/shipper.schema.json` is the same.

## How values are read

What an option wants decides what its value is, not YAML's rules for words: where text is wanted, `no`, `010`, `1:30` and `2026-03-31` are that text;
where yes or no is wanted, `no` and `off` are no; where a number is wanted, `010` is ten, and `1:30` is an error. An option with no value after its
colon is an error too, so that nothing is forgotten in silence.

- **Sizes** are octets, or a number with K, M, G or T (`64K`, `10MB`, `2 GiB`; K is 1024).
- **Durations** are seconds, or a number with ms, s, m, h, d or w, or several of them (`500ms`, `30s`, `1h30m`, `7d`).
- **Unknown options, and options that are given twice, are errors.** Nothing is skipped.
- Anchors, aliases and `<<` may be used. Tags (`!something`) may not. A file has 512 KiB at most.

## Variables and secrets

In every value, but in no name of an option:

| written | is |
|---|---|
| `${VAR}`, `${env:VAR}` | the variable; an error when it is not set |
| `${VAR:-default}` | the variable, or the default when it is not set or empty |
| `${VAR:?message}` | the variable, or an error with this message when it is not set or empty |
| `${file:PATH}` | the content of a file, without the line end at its end; from the directory of the configuration |
| `$$` | one `$`; any other `$` that no `{` follows is itself |

They are filled in after the YAML was read: a value can never become an option. What a variable holds is shown in no message and not by
`--print`; nor are passwords, tokens and keys, wherever they come from.

## conf.d

Files `conf.d/*.yaml` in the directory of the configuration are read after it, in the order of their names. Their inputs, outputs and routes are
added. A name, or any other option, that stands in two files is an error that names both places.

## Tests

Tests stand beside a configuration: lines in, expected records and routes out. They are run without network, by the same code that the service runs.

```console
$ mkdir tests
$ printf '%s\\n' 'timezone: UTC' 'inputs:' '  app: {type: file, paths: [app.log*]}' 'outputs:' \\
    '  archive: {type: jsonl, path: archive.jsonl, takes: all}' '  siem: {type: syslog, host: siem.example.com, enterprise: 99999, takes: all}' \\
    'routes:' '  - when: {code: E}' '    to: archive' '  - when: {kind: text}' '    drop: yes' > shipper.yaml
$ printf '%s\\n' 'tests:' '  - name: what is enqueued goes to the archive' '    lines: |' \\
    '      19-Jan-1998 19:16:57.64 l            tcp_local    E 1 bob@example.com rfc822;amy@example.org amy@example.org' \\
    '      hello' '    records:' '      - {kind: mta, code: E, recipient: amy@example.org}' '      - {kind: text}' \\
    '    routes: [archive, dropped]' > tests/mail.yaml
$ shipper check shipper.yaml
shipper.yaml: good
$ shipper test tests
1 test, 0 failed
```

`records` has one entry for each line, with the fields of the native profile that matter; a field that is given without a value must be absent.
`routes` is the outputs of every record, or a list with one entry for each record: an output, a list of them, or `dropped`. `input` names the input
whose settings hold; `service` says what the log's name would (`imap`, `dispatcher`); `priority` is what records have at a syslog output, as
`mail.info`, one for all or a list with one for each. The exit code is 1 when a test failed. `conf/tests/elk.yaml`
has tests of `conf/elk.yaml`.

"""

HEADS = {
    "input": "Where lines come from: a name of your own for each, and its type.",
    "output": "Where records go.",
    "route": "Which records go where. The first route that fits decides; what no route fits goes where the mail server's settings send it.",
}

SAMPLE_HEAD = """\
# The configuration of shipper. Every option is here: what is commented out has that value already.
# Check it with `shipper check /etc/shipper/shipper.yaml`. Files in conf.d beside it are read too.
#
# Sizes: 64K, 10MB, 2GiB. Durations: 500ms, 30s, 1h30m, 7d.
# Variables: ${VAR}, ${VAR:-default}, ${VAR:?message}, ${file:PATH}; $$ is one $.
# Editors that know JSON Schema take shipper.schema.json, which lies beside the sample:
# yaml-language-server: $schema=shipper.schema.json
"""

BEFORE = {
    "input": "Each input has a name of your own, and under it `type` and the options of that type. Those that every input has:\n\n{input}",
    "output": "Each output has a name of your own, and under it `type` and the options of that type. Those that every output has:\n\n{output}",
}

ROUTES = """\
`routes` is a list. For each record its routes are tried in their order, and the first that fits, with `to` or `drop`, decides. A record that none
decides about goes where the mail server's settings send it. `when` has fields of the native profile ([schema.md](schema.md)), and `kind` and
`input`, each with a value, a list of values, or a test; [routing.md](routing.md#routes) has all of them, and what `set` and `sample` do.

```yaml
routes:
  - when: {kind: debug}
    drop: yes
  - when: {kind: [mta, connection], source_channel: [tcp_local, tcp_intranet], not: {sender: {prefix: "monitor@"}}}
    to: [siem, archive]
```
"""


def markdown() -> str:
    """docs/configuration.md."""
    text = INTRODUCTION + reference()
    for kinds in (known_inputs(), known_outputs()):
        base = common(kinds)
        text = text.replace(f"{{{kinds.what}}}", table(base) if base else "")
    return text


def main(directory: Path) -> None:
    (directory / "docs").mkdir(parents=True, exist_ok=True)
    (directory / "conf").mkdir(parents=True, exist_ok=True)
    (directory / "docs" / "configuration.md").write_text(markdown())
    (directory / "conf" / "shipper.yaml").write_text(sample())
    (directory / "conf" / "shipper.schema.json").write_text(msgspec.json.format(msgspec.json.encode(schema()), indent=2).decode() + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT)
