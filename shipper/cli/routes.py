"""`shipper routes`: which records go where, with which facility and severity, and which setting or route says so."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shipper.cli import configuration, terminal
from shipper.errors import Failure
from shipper.screen import escaped

if TYPE_CHECKING:
    from shipper.config.sections import Config
    from shipper.config.ways import Way, Went
    from shipper.mailserver.settings import Setting
    from shipper.router import Rule


_BY, _BEFORE = "decided by", "routes before"
_LONGEST = 1 << 20


def routes(
    config: Annotated[str, typer.Argument(metavar="CONFIG", help="The configuration file; conf.d beside it is read too.")],
    line: Annotated[
        str | None, typer.Option("--line", metavar="LINE", help="Say it for this line of a log; - reads it from standard input.")
    ] = None,
    input: Annotated[str, typer.Option("--input", metavar="NAME", help="The input that the line comes by; else each of them.")] = "",
    service: Annotated[str, typer.Option("--service", metavar="NAME", help="What the name of the log would say: imap, dispatcher.")] = "",
    json: Annotated[bool, typer.Option("--json", help="JSON, for machines.")] = False,
) -> None:
    """Show which records go where, and which setting or route decides it.

    A row for each kind of record, a column for each output: the facility and
    severity that syslog outputs get, and the setting that says so, with its file
    and line. With --line: what becomes of that line, and how it would be sent.

    \b
    Examples:
      shipper routes /etc/shipper/shipper.yaml
      shipper routes shipper.yaml --line "$(tail -1 mail.log_current)"
      tail -1 imap | shipper routes shipper.yaml --line - --service imap
      shipper routes --json shipper.yaml

    Exit code: 0; 2 there is no such input; 78 the configuration is not good.
    """
    import msgspec

    from shipper.config.ways import line_went, ways

    read = configuration.read(config)
    terminal.be_lenient()
    if line is not None:
        if input and input not in read.inputs:
            raise typer.BadParameter(f"there is no input '{input}'; the inputs: {', '.join(read.inputs)}", param_hint="--input")
        octets = sys.stdin.buffer.readline(_LONGEST) if line == "-" else os.fsencode(line)
        octets = octets.rstrip(b"\r\n").partition(b"\n")[0]
        if not octets:
            raise Failure("I202", "there is no line")
        went = line_went(read, octets, input, service)
        if json:
            sys.stdout.write(msgspec.json.encode([_went_data(read, one) for one in went]).decode() + "\n")
        else:
            sys.stdout.write("\n".join(_went_text(read, one, len(went) > 1) for one in went))
        return
    rows = ways(read)
    if json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode([_way_data(row) for row in rows]), indent=2).decode() + "\n")
        return
    heads = ["records", *map(escaped, read.outputs), _BY, _BEFORE]
    cells = [[row.records, *(row.outputs.get(name, "-") for name in read.outputs), _decided(row), _numbers(row)] for row in rows]
    if not any(row.before for row in rows):
        heads, cells = heads[:-1], [row[:-1] for row in cells]
    if sys.stdout.isatty():
        _table(heads, cells, heads.index(_BY))
    else:
        sys.stdout.write(_aligned([heads, *cells]))
    for _, rule in sorted({rule.number: rule for row in rows for rule in row.before}.items()):
        sys.stdout.write(f"route {rule.number}: {escaped(_route(rule))}\n")


def _decided(row: Way) -> str:
    from shipper.config.ways import settings_told

    if row.rule:
        return escaped(f"route {row.rule.number} ({row.rule.place})")
    return escaped(settings_told(row.by)) if row.by else "-"


def _numbers(row: Way) -> str:
    return ", ".join(str(rule.number) for rule in row.before) or "-"


def _route(rule: Rule) -> str:
    """What a route does to those that fit it."""
    done = [*(["sets fields"] if rule.change else []), *(["keeps a share"] if rule.keep else [])]
    if rule.ends:
        done.append(f"to {', '.join(rule.to)}" if rule.to else "drops")
    return f"{', '.join(done)} ({rule.place})"


def _aligned(rows: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() + "\n" for row in rows)


def _table(heads: list[str], cells: list[list[str]], by: int) -> None:
    """A table as wide as the terminal; where it would be wider, who decides stands below it."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    widths = [max(map(len, column)) + 3 for column in zip(heads, *cells, strict=True)]
    below = list(dict.fromkeys(row[by] for row in cells if row[by] != "-")) if sum(widths) > console.width else []
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in heads:
        table.add_column(Text(head), no_wrap=head not in ("records", _BY, _BEFORE), overflow="fold")
    for row in cells:
        shown = [f"[{below.index(cell) + 1}]" if number == by and cell in below else cell for number, cell in enumerate(row)]
        table.add_row(*(Text(cell, style="dim" if cell == "-" else "") for cell in shown))
    console.print(table)
    for number, who in enumerate(below, 1):
        sys.stdout.write(f"[{number}] {who}\n")


def _went_text(config: Config, went: Went, several: bool) -> str:
    from shipper.config.trial import AS_IT_IS
    from shipper.config.ways import YES
    from shipper.mailserver.settings import priority_in_words

    decision, record = went.decision, went.record
    facts = {name: getattr(record, name, "") for name in ("service", "code", "level", "severity")}
    rows = [["read as", ", ".join([record.kind, *(f"{name} {value}" for name, value in facts.items() if value)])]]
    if record.error:
        rows.append(["error", record.error])
    rows.append([_BY, _why(went)])
    for name in decision.to:
        priority = decision.priority
        word = AS_IT_IS if priority is None else priority_in_words(priority)
        rows.append([name, word if config.outputs[name].role == "syslog" else YES])
        if message := _message(config, name, went):
            rows.append(["", message])
    if not decision.to:
        rows.append(["goes to", f"no output: dropped by {decision.dropped}"])
    heading = f"by input {', '.join(went.inputs)}\n" if several else ""
    return heading + _aligned([[escaped(cell) for cell in row] for row in rows])


def _why(went: Went) -> str:
    from shipper.config.ways import settings_told

    decision = went.decision
    if decision.rule:
        return f"route {decision.rule.number}: {_route(decision.rule)}"
    return settings_told(decision.destination.by) if decision.destination else "nothing: no setting speaks of these, and no route fits"


def _message(config: Config, name: str, went: Went) -> str:
    """What a syslog output would send, without what it is not to get; "" for other outputs."""
    from shipper.batch import Arrival
    from shipper.service import output_of

    section = config.outputs[name]
    if section.role != "syslog":
        return ""
    output: Any = output_of(name, section, config.server)
    records = section.redact.redaction()([went.record]) if section.redact else [went.record]
    (message,) = output.render(records, Arrival(went.inputs[0], 0), [went.decision.priority])
    text: str = message.decode(errors="replace")
    return text


def _setting_data(setting: Setting) -> dict[str, Any]:
    place = setting.place
    return {"name": setting.name, "value": setting.value, "place": str(place) if place else None}


def _rule_data(rule: Rule) -> dict[str, Any]:
    return {"number": rule.number, "place": rule.place, "to": list(rule.to)}


def _way_data(row: Way) -> dict[str, Any]:
    return {
        "records": row.records,
        "outputs": row.outputs,
        "settings": [_setting_data(setting) for setting in row.by],
        "route": _rule_data(row.rule) if row.rule else None,
        "routes_before": [_rule_data(rule) for rule in row.before],
    }


def _went_data(config: Config, went: Went) -> dict[str, Any]:
    import msgspec

    decision = went.decision
    return {
        "inputs": list(went.inputs),
        "record": msgspec.to_builtins(decision.record),
        "outputs": list(decision.to),
        "priority": decision.priority,
        "messages": {name: message for name in decision.to if (message := _message(config, name, went))},
        "settings": [_setting_data(setting) for setting in decision.destination.by] if decision.destination and not decision.rule else [],
        "route": _rule_data(decision.rule) if decision.rule else None,
        "dropped": decision.dropped or None,
    }
