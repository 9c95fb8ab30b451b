"""Tests of a configuration: sample lines -> the records and outputs that they should become, read and routed as the service does it, without network.

    tests:
      - name: deliveries go to the archive
        input: mta                    # whose settings hold, and what a route's `input` is
        lines: |
          19-Jan-1998 19:16:57.64 l tcp_local E 1 bob@example.com rfc822;amy@example.org amy@example.org
        records:                      # one for each line; fields of the native profile, those that matter
          - {kind: mta, code: E, recipient: amy@example.org}
        routes: [archive, siem]       # of every record; or one list, or `dropped`, for each of them
        priority: mail.info           # of every record at a syslog output, or one for each; `as it is`: that of the record

A field that is expected without a value must be absent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import msgspec
from pydantic import BeforeValidator, Field

from shipper.config.problems import Place, Problem
from shipper.config.sections import Config
from shipper.config.tree import MAX_OCTETS, Node, decode, lines_of, parse
from shipper.config.units import Part
from shipper.config.validate import did_you_mean, listed, validated
from shipper.framing import Block
from shipper.inputs.base import Reading
from shipper.mailserver.settings import priority_in_words, priority_of
from shipper.reader import Reader
from shipper.record import Record
from shipper.router import Decision

DROPPED = "dropped"
AS_IT_IS = "as it is"
"""What a syslog output has for records whose facility and severity no setting gives: those of the record."""


def _lines(value: object) -> object:
    return value.removesuffix("\n").split("\n") if isinstance(value, str) else value


class Case(Part):
    """One test."""

    name: str = Field("", description="What it promises.")
    input: str = Field("", description="The input that the lines come by: its zone, host and fields hold.")
    service: str = Field("", description="What the name of the log would say: imap, dispatcher.")
    lines: Annotated[list[str], BeforeValidator(_lines)] = Field(min_length=1, description="The lines of a log.")
    records: list[dict[str, Any]] | None = Field(None, description="What each line becomes.")
    routes: str | list[str | list[str]] | None = Field(None, description="The outputs that get the records, or `dropped`.")
    priority: str | list[str] | None = Field(None, description="What they have at a syslog output, as mail.info; or `as it is`.")


class _Cases(Part):
    tests: list[Case] = Field(min_length=1)


@dataclass
class Trial:
    """The tests of one file: how many there are, their names that failed, and why, as problems (C113)."""

    count: int = 0
    failed: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    sources: dict[str, Sequence[str]] = field(default_factory=dict)

    @property
    def readable(self) -> bool:
        """Whether the file could be read as tests."""
        return all(problem.number == "C113" for problem in self.problems)


def run(path: Path, config: Config) -> Trial:
    """Runs the tests of one file. Never raises for what is in it."""
    trial, name = Trial(), str(path)
    try:
        with path.open("rb") as file:
            octets = file.read(MAX_OCTETS)
    except OSError as error:
        trial.problems.append(Problem("C101", f"cannot read '{name}': {(error.strerror or '').lower()}", Place(name, 0, 0)))
        return trial
    content, problems = decode(name, octets)
    trial.sources[name] = lines_of(content)
    root, more = parse(name, content)
    trial.problems += problems + more
    if root is None or not isinstance(root.value, dict):
        if not trial.problems:
            trial.problems.append(Problem("C105", "there are no tests in this file", Place(name, 1, 1)))
        return trial
    cases = validated(_Cases, root, "this file", "a file of tests", trial.problems)
    listed_nodes = root.value["tests"].value if "tests" in root.value else []
    if cases is None or not isinstance(listed_nodes, list) or trial.problems:
        return trial
    for number, (case, node) in enumerate(zip(cases.tests, listed_nodes, strict=True), 1):
        trial.count += 1
        title = case.name or f"test {number}"
        wrong = _Case(case, node, config, title).run()
        if wrong:
            trial.failed.append(title)
            trial.problems += wrong
    return trial


class _Case:
    def __init__(self, case: Case, node: Node, config: Config, title: str) -> None:
        assert isinstance(node.value, dict)
        self.case = case
        self.parts = node.value
        self.node = node
        self.config = config
        self.title = title
        self.problems: list[Problem] = []

    def run(self) -> list[Problem]:
        if self.case.input and self.case.input not in self.config.inputs:
            self._wrong(f"there is no input '{self.case.input}'", self.parts["input"], did_you_mean(self.case.input, self.config.inputs))
            return self.problems
        records = self._read()
        if self.case.records is not None:
            self._records(records)
        if self.case.routes is not None:
            self._routes(records)
        if self.case.priority is not None:
            self._priorities(records)
        return self.problems

    def _read(self) -> list[Record]:
        reader = reader_of(self.config, self.case.input, self.case.service)
        return reader.read(Block("\n".join(self.case.lines).encode(errors="surrogateescape"), 0))

    def _records(self, records: Sequence[Record]) -> None:
        expected = self.parts["records"].value
        assert isinstance(expected, list)
        if len(expected) != len(records):
            what = f"{_count(len(records), 'line')}, {_count(len(expected), 'record')} expected"
            self._wrong(what, self.parts["records"])
            return
        for number, (node, record) in enumerate(zip(expected, records, strict=True), 1):
            native = msgspec.json.decode(msgspec.json.encode(record))
            assert isinstance(node.value, dict)
            self._compare(f"record {number}", node.value, native)

    def _compare(self, where: str, expected: Mapping[str, Node], found: Mapping[str, Any]) -> None:
        for name, node in expected.items():
            value = found.get(name)
            if isinstance(node.value, dict) and isinstance(value, dict):
                self._compare(f"{where}: {name}", node.value, value)
            elif not _same(node, value):
                if value is None:
                    notes = did_you_mean(name, found) or (f"it has: {', '.join(found)}",)
                    self._wrong(f"{where} has no {name}", node, notes)
                else:
                    self._wrong(f"{where}: {name} is {_shown(value)}", node)

    def _routes(self, records: Sequence[Record]) -> None:
        node = self.parts["routes"]
        router = self.config.router()
        expected = [node] * len(records)
        if isinstance(node.value, list) and any(isinstance(one.value, list) or one.value == DROPPED for one in node.value):
            expected = node.value
            if len(expected) != len(records):
                self._wrong(f"{_count(len(records), 'record')}, routes of {len(expected)}", node)
                return
        for number, (one, record) in enumerate(zip(expected, records, strict=True), 1):
            wanted = [inner.value for inner in one.value] if isinstance(one.value, list) else [] if one.value == DROPPED else [one.value]
            for name in wanted:
                if name not in router.outputs:
                    self._wrong(f"there is no output '{name}'", one, did_you_mean(str(name), router.outputs))
                    return
            decision = router.decide(record, self.case.input)
            if sorted(decision.to) != sorted(str(name) for name in wanted):
                self._wrong(f"record {number} {_told(decision)}", one)

    def _priorities(self, records: Sequence[Record]) -> None:
        node = self.parts["priority"]
        expected = node.value if isinstance(node.value, list) else [node] * len(records)
        if len(expected) != len(records):
            self._wrong(f"{_count(len(records), 'record')}, priorities of {len(expected)}", node)
            return
        router = self.config.router()
        for number, (one, record) in enumerate(zip(expected, records, strict=True), 1):
            decision = router.decide(record, self.case.input)
            word = AS_IT_IS if decision.priority is None else f"as {priority_in_words(decision.priority)}"
            wanted = priority_of(str(one.value)) if one.value != AS_IT_IS else None
            if wanted is None and one.value != AS_IT_IS:
                self._wrong(f"'{one.value}' is no priority", one, ("as mail.info, or `as it is`: that of the record",))
            elif wanted != decision.priority:
                self._wrong(f"record {number} goes to syslog {word}{_because(decision)}", one)

    def _wrong(self, what: str, node: Node, notes: tuple[str, ...] = ()) -> None:
        self.problems.append(Problem("C113", f"{self.title}: {what}", node.place, "expected" if node.value is not None else "", notes))


def reader_of(config: Config, input: str, service: str = "") -> Reader:
    """What reads lines as an input of this name would; as the configuration says, where it has none. `service`: what a log's name would say."""
    settings, section = config.settings, config.inputs.get(input)
    zone = getattr(section, "timezone", None) or settings.timezone
    host = getattr(section, "host", None) or settings.host
    reading = Reading(ZoneInfo(zone) if zone else None, host, settings.raw, config.fields_of(section))
    return Reader(reading.log(service), raw=getattr(section, "raw", None) or settings.raw)


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'s' if number != 1 else ''}"


def _because(decision: Decision) -> str:
    """What settings say of it, as the end of a sentence."""
    return f", as {', '.join(map(str, decision.destination.by))} says" if decision.destination else ""


def _told(decision: Decision) -> str:
    because = f", as the route at {decision.rule.place} says" if decision.rule else _because(decision) or ", as no route fits it"
    return f"goes to {listed(decision.to, 'and')}{because}" if decision.to else f"is dropped{because}"


def _shown(value: object) -> str:
    return repr(value) if isinstance(value, str) else msgspec.json.encode(value).decode()


def _same(node: Node, value: Any) -> bool:
    """Whether what was expected, as text, means this value."""
    wanted = node.value
    if wanted is None or value is None:
        return value is None and wanted is None
    if isinstance(wanted, list):
        return isinstance(value, list) and len(value) == len(wanted) and all(_same(*pair) for pair in zip(wanted, value, strict=True))
    if isinstance(wanted, dict):
        return False
    if isinstance(value, bool):
        return wanted.lower() in (("yes", "true", "on") if value else ("no", "false", "off"))
    if isinstance(value, int | float):
        try:
            return float(wanted) == value
        except ValueError:
            return False
    return bool(wanted == value)
