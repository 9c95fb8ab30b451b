"""What users feed in, and how much of each kind the compiled twin does itself: for a table, and for a test that pins the shares.

A line counts as the twin's when no record of Python was made for it. The lines are of one generated day each, or made of it.
"""

from __future__ import annotations

import asyncio
import codecs
import json
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from shipper.batch import Batch
from shipper.config.load import load
from shipper.formats import BY_NAME
from shipper.framing import blocks
from shipper.inputs import file, stdin
from shipper.inputs.base import Reading
from shipper.mailserver.optionfile import optional_fields
from shipper.mailserver.optionfile import parse as parse_options
from shipper.passage import Options, Passage, portions
from shipper.profiles import PROFILES
from shipper.service import output_of, wanted_profile
from shipper.stamps import MONTH_NAMES, epoch_ns
from shipper.straight import Straight

ALL = (
    "LOG_CONNECTION=255,LOG_NODE=1,LOG_PROCESS=1,LOG_NOTARY=1,LOG_FILENAME=1,LOG_MESSAGE_ID=1,LOG_USERNAME=1,LOG_FILTER=1,LOG_QUEUE_TIME=1,"
    "LOG_PRIORITY=1,LOG_SENSITIVITY=1,LOG_INTERMEDIATE=1,LOG_INITIAL=1,LOG_ENVELOPE_ID=1,LOG_REASON=1,LOG_DIAGNOSTICS=1"
)
SERVICES = ("imap", "pop", "http", "admin", "default", "imta")
JSONL = {"type": "jsonl", "path": "/tmp/out.jsonl"}
Change = Callable[[bytes], bytes]
CHUNK = 1 << 18


class Kind(NamedTuple):
    """Lines of `files` (beginnings of their names; of services all together) of a server with these options, changed. `told`: by `--option-file`
    which they are. Of `convert` (`plan` None) `options` are those of `Options`; else they go by the `input` through `run` with this plan of
    outputs and routes. `least`: the share that the twin must have, in hundredths."""

    name: str
    least: float
    log_format: int = 1
    settings: str = ""
    files: Sequence[str] = ("mail.log",)
    told: bool = False
    change: Change | None = None
    options: dict[str, Any] = {}  # noqa: RUF012
    plan: dict[str, Any] | None = None
    input: str = "file"


def _syslog(form: int, tag: str = "imta", bare: bool = False) -> Change:
    """Lines behind syslog headers of the same second, as daemons write them into files; `bare`: in place of their own stamps."""

    def headed(line: bytes) -> bytes:
        found = re.match(rb"\[?(\d\d)[-/]([A-Z][a-z]{2})[-/](\d{4})[ :]([\d:]{8})", line)
        if found is None:
            return line
        day, month, year, clock = (part.decode() for part in found.groups())
        number = MONTH_NAMES.index(month) + 1
        process, pid, inner = tag, 411, line
        if bare and (own := re.match(rb"\[[^]]*\] \S+ (\w+)\[(\d+)\]: ", line)):
            process, pid, inner = own[1].decode(), int(own[2]), line[own.end() :]
        head = (
            f"{month} {int(day):2d} {clock} mail {process}[{pid}]: ",
            f"<22>1 {year}-{number:02d}-{day}T{clock}+00:00 mail {process} {pid} - - ",
            f"{year}-{number:02d}-{day}T{clock}.123456+00:00 mail {process}[{pid}]: ",
        )[form]
        return head.encode() + inner

    return lambda data: b"\n".join([headed(line) for line in data.split(b"\n")])


def _run(name: str, least: float, *outputs: dict[str, Any], **more: Any) -> Kind:
    known = {"change", "files", "input", "log_format", "settings"}
    plan = {"outputs": {f"out{number}": output for number, output in enumerate(outputs)}} | {
        key: value for key, value in more.items() if key not in known
    }
    return Kind(name, least, plan=plan, **{key: value for key, value in more.items() if key in known})


OTLP = {"type": "otlp", "endpoint": "http://127.0.0.1:4318"}
RELAY = {"type": "syslog", "host": "127.0.0.1", "takes": "all"}
BULK = {"type": "elasticsearch", "url": "http://127.0.0.1:9200"}
ECS = {**JSONL, "profile": "ecs"}
NATIVE = {**JSONL, "profile": "native"}

KINDS = (
    *(Kind(f"LOG_FORMAT={number}", 99.9, number) for number in range(1, 7)),
    *(Kind(f"LOG_FORMAT={number}, all options", 99.9, number, ALL) for number in range(1, 7)),
    *(Kind(f"LOG_FORMAT={number}, all options, --option-file", 99.9, number, ALL, told=True) for number in (1, 3)),
    *(Kind(f"LOG_FORMAT={number}, LOG_HEADER", 80, number, "LOG_HEADER=1") for number in (1, 4, 5, 6)),
    Kind("SEPARATE_CONNECTION_LOG, connection.log", 99.9, 1, "SEPARATE_CONNECTION_LOG=1", ("connection.log",)),
    Kind("service logs", 99.5, files=SERVICES),
    Kind("debug logs", 0, files=("dispatcher.log", "job_controller.log")),
    Kind("lines that end with CR LF", 99.9, change=lambda data: data.replace(b"\n", b"\r\n")),
    Kind("UTF-16", 0, change=lambda data: codecs.BOM_UTF16_LE + data.decode().encode("utf-16-le")),
    Kind("MTA text that syslog wrote", 99.9, change=_syslog(0)),
    Kind("the same, RFC 5424", 99.9, change=_syslog(1)),
    Kind("service logs that syslog wrote", 99.5, files=SERVICES, change=_syslog(0, "imapd")),
    Kind("service lines of syslog, without stamps of their own", 0, files=SERVICES, change=_syslog(0, bare=True)),
    Kind("--profile ecs", 99.9, options={"profile": "ecs"}),
    Kind("--profile otel", 0, options={"profile": "otel"}),
    Kind("--raw always", 99.9, options={"raw": "always"}),
    Kind("--format mta_text", 99.9, options={"only": "mta_text"}),
    Kind("--dedupe", 99.9, options={"dedupe": True}),
    Kind("--since, --until: one hour", 99.9, options={"since": "2005-03-07T09:00:00+00:00", "until": "2005-03-07T10:00:00+00:00"}),
    _run("run: file → jsonl, native", 99.9, NATIVE),
    _run("run: file → jsonl, ecs", 99.9, ECS),
    _run("run: file → jsonl, otel", 0, {**JSONL, "profile": "otel"}),
    _run("run: file → otlp", 99.9, OTLP),
    _run("run: file → syslog", 99.9, RELAY),
    _run("run: file → elasticsearch", 99.9, BULK),
    _run("run: file → native, ecs and otlp together", 99.9, NATIVE, OTLP),
    _run("run: service logs → jsonl, native", 99.5, NATIVE, files=SERVICES),
    _run("run: file that syslog wrote → jsonl, native", 99.9, NATIVE, change=_syslog(0)),
    _run("run: stdin → jsonl, native", 99.9, NATIVE, input="stdin"),
    _run("run: stdin → otlp", 99.9, OTLP, input="stdin"),
    _run("run: routes by kind", 99.9, NATIVE, OTLP, routes=[{"when": {"kind": "connection"}, "to": ["out1"]}]),
    _run("run: routes by kind → ecs and elasticsearch", 99.9, ECS, BULK, routes=[{"when": {"kind": "connection"}, "to": ["out1"]}]),
    _run("run: routes by kind → otlp and syslog", 99.9, OTLP, RELAY, routes=[{"when": {"kind": "connection"}, "to": ["out0"]}]),
    _run("run: routes by a field", 0, NATIVE, OTLP, routes=[{"when": {"action": "E"}, "to": ["out1"]}]),
    _run("run: redaction", 0, {**NATIVE, "redact": {"addresses": "pseudonym", "key": "0123456789abcdef0123456789abcdef"}}),
)


class Measured(NamedTuple):
    """The share of lines that were the twin's, lines, and CPU seconds."""

    share: float
    lines: int
    seconds: float


class Logs:
    """Generated logs, each made when it is first asked for."""

    def __init__(self, shipper: Sequence[str], scratch: Path, lines: int) -> None:
        self._shipper, self._scratch, self._lines = shipper, scratch, lines
        self._made: dict[tuple[int, str], Path] = {}

    def of(self, kind: Kind) -> tuple[bytes, str, tuple[str, ...] | None]:
        """The octets, the log's name, and the optional fields that are told."""
        key = kind.log_format, kind.settings
        if key not in self._made:
            out = self._made[key] = self._scratch / f"server-{len(self._made)}"
            command = [*self._shipper, "generate", "--lines", str(self._lines), "--rate", "200000", "--quiet", "--out", str(out)]
            more = ["--options", kind.settings] if kind.settings else []
            subprocess.run([*command, "--log-format", str(kind.log_format), *more], check=True)
        made = self._made[key]
        paths = sorted(
            path for path in (made / "log").iterdir() if any(path.name.partition("-")[0].startswith(name) for name in kind.files)
        )
        data = b"".join([path.read_bytes() for path in paths]).rstrip(b"\n")
        fields = None
        if kind.told:
            (path,) = (made / "config").glob("option.dat")
            fields = optional_fields(parse_options(path.read_text())[0])
        return kind.change(data) if kind.change else data, paths[0].name, fields


def measured(kind: Kind, logs: Logs, module: Any) -> Measured:
    """`module`: the twin's, None for plain Python."""
    data, name, fields = logs.of(kind)
    begun = time.process_time()
    lines, done = _converted(kind, data, name, fields, module) if kind.plan is None else _ran(kind, kind.plan, data, name, fields, module)
    return Measured(done / lines, lines, time.process_time() - begun)


def _converted(kind: Kind, data: bytes, name: str, fields: tuple[str, ...] | None, module: Any) -> tuple[int, int]:
    """(lines, those that the twin did)."""
    told = {"profile": "native", **kind.options}
    told["profile"] = PROFILES[told["profile"]]
    if only := told.get("only"):
        told["only"] = BY_NAME[only]
    told |= {end: epoch_ns(told[end]) for end in ("since", "until") if end in told}
    passage = Passage(Options(zone=ZoneInfo("UTC"), fields=fields, twin=module, **told), name)
    for block in portions(blocks(iter([data[at : at + CHUNK] for at in range(0, len(data), CHUNK)])), module):
        passage.render(block)
    tally = passage.take_tally()
    return tally.lines, tally.compiled + (tally.outside if module and "since" in told else 0)


def _ran(kind: Kind, plan: dict[str, Any], data: bytes, name: str, fields: tuple[str, ...] | None, module: Any) -> tuple[int, int]:
    """The same through an input, routes and outputs, as far as their payloads."""
    with tempfile.TemporaryDirectory(prefix="shares-") as folder:
        log, path = Path(folder) / name, Path(folder) / "shipper.yaml"
        log.write_bytes(data + b"\n")
        source = {"type": "stdin"} if kind.input == "stdin" else {"type": "file", "paths": [str(log)], "poll": "10ms"}
        path.write_text(json.dumps({"state": f"{folder}/state", "timezone": "UTC", "inputs": {"in": source}, **plan}))
        config = load(path, os.environ).config
        assert config is not None, load(path, os.environ).errors
        sections = config.outputs
        otlp = any(section.type == "otlp" and not section.redact for section in sections.values())
        reading = Reading(ZoneInfo("UTC"), fields=fields, twin=module, profile=wanted_profile(sections.values()), otlp=otlp)
        outputs = {each: (output_of(each, section, config.server), section.redact) for each, section in sections.items()}
        redacts = {each: redact.redaction() if redact else None for each, (_, redact) in outputs.items()}
        router = config.router()
        wanted = data.count(b"\n") + 1
        lines = done = 0
        stop = asyncio.Event()

        async def deliver(batch: Batch) -> None:
            nonlocal lines, done
            for each, share in router.route(batch.records, "in").shares.items():
                redact = redacts[each]
                records: Any = redact(share.records) if redact else share.records
                given = () if share.priorities is None else (share.priorities,)
                outputs[each][0].render(records, batch.arrival, *given)
            if isinstance(batch.records, Straight) and not batch.records.looked_at:
                done += len(batch.records) - len(batch.records.apart)
            lines += len(batch.records)
            batch.receipt.settle()
            if lines >= wanted:
                stop.set()

        if kind.input == "file":
            asyncio.run(file.make("in", config.inputs["in"], reading).run(deliver, _Nowhere(), stop))
        else:
            with log.open("rb") as stream:
                asyncio.run(stdin.Stdin("in", reading, descriptor=stream.fileno()).run(deliver, _Nowhere(), stop))
    return lines, done


class _Nowhere:
    """Nothing is remembered."""

    def load(self) -> dict[str, Any]:
        return {}

    def save(self, places: dict[str, Any]) -> None:
        pass


def rows(logs: Logs, module: Any, runs: int) -> Iterator[tuple[Kind, Measured, Measured]]:
    """Of each kind what the twin does of it, the best of the runs, and plain Python, once."""
    for kind in KINDS:
        yield kind, min([measured(kind, logs, module) for _ in range(runs)], key=lambda one: one.seconds), measured(kind, logs, None)
