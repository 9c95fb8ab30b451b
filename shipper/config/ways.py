"""Which records go where, and who says so: for each kind of record, and for one line.

A way is what the router does with records of one kind; of a service, and of the store where its operations have a log of their own. Routes whose
conditions need the record itself are named, as they may take it before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from shipper.config.sections import Config
from shipper.config.trial import AS_IT_IS, reader_of
from shipper.framing import Block
from shipper.mailserver.destinations import family
from shipper.mailserver.settings import Setting
from shipper.record import Connection, Debug, Header, Mta, Record, Service, Store, Syslog, Text, Unparsed
from shipper.router import Decision, Router, Rule

YES = "yes"


class Way(NamedTuple):
    """What becomes of one kind of record. `outputs`: output -> `mail.info`, `local3.<level>`, `as it is` (syslog), `yes`, `Notice+` (what is at least
    so severe); without those that get none. `by`: the settings that decide, `rule`: the route that takes them all, neither: nobody.
    `before`: the routes that may take or change some of them before that."""

    records: str
    outputs: dict[str, str]
    by: tuple[Setting, ...]
    rule: Rule | None
    before: tuple[Rule, ...]


def ways(config: Config) -> list[Way]:
    """A row for each kind of record, those of the server first."""
    router = config.router()
    rows: list[tuple[str, Record]] = [(kind.kind, kind()) for kind in (Mta, Connection, Header)]
    of_store = "" if family(config.server, Store, "imap") == "msgtrace" else " (and its store)"
    for service in (name for name in config.server.services if name != "*"):
        rows.append((f"service {service}{of_store}", Service(service=service)))
    others = "other services" if any(name != "*" for name in config.server.services) else "services"
    rows.append((f"{others}{of_store and ' (and store)'}", Service(service="*")))
    if not of_store:
        rows.append(("store", Store(service="msgtrace")))
    rows += [(kind.kind, kind()) for kind in (Debug, Syslog, Text, Unparsed)]
    return [_way(config, router, label, record) for label, record in rows]


def _way(config: Config, router: Router, label: str, record: Record) -> Way:
    plans = [router.tried(record, input) for input in config.inputs]
    lasts = [plan[-1][1] if plan and plan[-1][0] else None for plan in plans]
    rule = lasts[0] if lasts and all(last is lasts[0] for last in lasts) else None
    tried = {found.number: found for plan in plans for _, found in plan if found is not rule}
    before = tuple(tried[number] for number in sorted(tried))
    worst, least = (_decided(router, record, level) for level in ("Emergency", "Debug"))
    said = least.destination
    word = f"{said.facility}.{said.severity or '<level>'}" if said and said.syslog else AS_IT_IS
    outputs = {}
    for name, section in config.outputs.items():
        if name not in (rule.to if rule else worst.to):
            continue
        limited = said is not None and rule is None and name not in least.to
        outputs[name] = word if section.role == "syslog" else f"{str(said.by[-1].value).capitalize()}+" if limited and said else YES
    decided = said if worst.to != least.to else worst.destination  # a loglevel decides only where it keeps something from an output
    return Way(label, outputs, decided.by if decided and not rule else (), rule, before)


def _decided(router: Router, record: Record, level: str) -> Decision:
    """What the settings say of it at this level, whatever routes there are."""
    if isinstance(record, Service):
        record = type(record)(service=record.service, level=level)
    return router.by_settings(record)


@dataclass(frozen=True, slots=True)
class Went:
    """What becomes of one line by some inputs, all in the same way."""

    inputs: tuple[str, ...]
    decision: Decision

    @property
    def record(self) -> Record:
        return self.decision.record


def line_went(config: Config, line: bytes, input: str = "", service: str = "") -> list[Went]:
    """How a line is read, and where it goes, by one input, or by each; inputs by which it is the same stand together."""
    router = config.router()
    found: dict[Any, tuple[list[str], Decision]] = {}
    for name in [input] if input else config.inputs:
        (record, *_) = reader_of(config, name, service).read(Block(line, 0))
        decision = router.decide(record, name)
        key = (decision.to, decision.priority, decision.rule and decision.rule.number, decision.dropped, type(record))
        found.setdefault(key, ([], decision))[0].append(name)
    return [Went(tuple(names), decision) for names, decision in found.values()]


def settings_told(settings: Sequence[Setting]) -> str:
    """`LOG_MESSAGES_SYSLOG=22 (option.dat:3:1)`; what has the last word, where it is another one than the first, behind it."""
    return ", ".join(dict.fromkeys(map(str, settings)))
