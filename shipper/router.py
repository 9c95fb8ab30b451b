"""Which records go to which outputs: the mail server's own settings, and routes over the fields of a record before them, compiled once.

Routes are tried in their order and the first that fits decides: the record goes to the outputs that it names, or is dropped. A record that
no route fits goes where the server's settings send it (`mailserver.destinations`): what is for syslog to the syslog outputs, what is for log
files to the others; an output that takes all gets all. What goes to a syslog output carries the facility and severity of the settings, also
where a route named the output, but for what a route has set; another output gets the record as it was read. A record that ends nowhere is
counted, by who says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from shipper.conditions import Condition, Fits, Value, equal
from shipper.events import FACILITIES, SEVERITIES
from shipper.mailserver.destinations import Destination, destination
from shipper.mailserver.settings import MailServer
from shipper.record import Record, Service
from shipper.straight import Straight


class Change(Protocol):
    """Sets fields of a record. `values`: which, and to what."""

    @property
    def values(self) -> tuple[tuple[str, Value], ...]: ...

    def __call__(self, record: Record) -> Record:
        """A changed copy."""
        ...


@dataclass(frozen=True, slots=True)
class Rule:
    """A route. `when`: field -> the values that fit, or a condition; `to`: names of outputs, none: dropped; `place`: where it stands, and `number`:
    which it is, for people. `keep`: which of the records that fit are kept, the others are dropped; `change` gives the record that goes on
    in the place of one that fits. One that does not end (`ends`) changes or drops records, and leaves where they go to what follows."""

    when: Mapping[str, frozenset[Value]] | Condition
    to: tuple[str, ...] = ()
    place: str = ""
    number: int = 0
    keep: Callable[[Record], bool] | None = None
    change: Change | None = None
    ends: bool = True


Role = Literal["syslog", "files"]
Takes = Literal["settings", "all"]


@dataclass(frozen=True, slots=True)
class Taker:
    """An output. `role`: what it is to the server's settings, a syslog server or a log file; `takes`: what these send there, or all records."""

    name: str
    role: Role = "files"
    takes: Takes = "all"


class Share(NamedTuple):
    """What one output gets of a batch, in order. `priorities`: for a syslog output, of each record: facility × 8 + severity, None: as the record
    has it. None for all: as the records have it."""

    records: Sequence[Record]
    priorities: Sequence[int | None] | None = None


class Routed(NamedTuple):
    """Output -> its share; an output that gets nothing is not there. `dropped`: records that go nowhere, by who says so."""

    shares: dict[str, Share]
    dropped: dict[str, int]


class Decision(NamedTuple):
    """What becomes of one record. `to`: the outputs; `priority`: of a syslog output, None: as the record has it; `rule`: the route that decides,
    None: the settings; `destination`: what these say, None: nothing; `record`: as routes have changed it; `dropped`: who drops it, "": nobody."""

    to: tuple[str, ...]
    priority: int | None
    rule: Rule | None
    destination: Destination | None
    record: Record
    dropped: str


class _Outcome(NamedTuple):
    """Where records go. Two that are equal are the same object."""

    to: tuple[str, ...]
    priority: int | None
    dropped: str


_SETS = {"severity": 1, "syslog.facility": 2}
_Plan = tuple[tuple[Fits | None, Rule, int], ...]
"""The routes that records of one kind from one input can fit, in order (with None they all do), and what each sets of `_SETS`."""

_MOST = 4096
"""Decisions that are remembered: what a level or a service is called comes from the log, and may be anything."""


class Router:
    """Rules for these outputs (a name alone is one that takes all), and the settings of the mail server."""

    __slots__ = ("_all", "_known", "_outcomes", "_plans", "_rules", "_server", "_syslog", "_takers", "outputs")

    def __init__(self, rules: Sequence[Rule], outputs: Sequence[str | Taker], server: MailServer | None = None) -> None:
        self._takers = tuple(Taker(output) if isinstance(output, str) else output for output in outputs)
        self.outputs = tuple(taker.name for taker in self._takers)
        self._rules = tuple(rules)
        self._server = server or MailServer()
        self._syslog = frozenset(taker.name for taker in self._takers if taker.role == "syslog")
        self._plans: dict[tuple[type[Record], str], _Plan] = {}
        self._outcomes: dict[_Outcome, _Outcome] = {}
        self._known: dict[object, _Outcome] = {}
        only_all = all(taker.takes == "all" for taker in self._takers) and not self._syslog and not rules
        self._all = _Outcome(self.outputs, None, "") if only_all else None

    def route(self, records: Sequence[Record], input: str = "") -> Routed:
        """The shares of a batch. `input` is the name of the input that the records came by. A list that one output gets whole is not copied."""
        if not records:
            return Routed({}, {})
        if self._all is not None:
            return Routed(dict.fromkeys(self.outputs, Share(records)), {})
        if isinstance(records, Straight) and (alike := self._alike(records, input)) is not None:
            return self._whole(records, alike)
        if isinstance(records, Straight) and (told := self._by_kinds(records, input)) is not None:
            outcomes = told
        elif self._rules:
            decided = [self._decide(record, input) for record in records]
            outcomes = [outcome for outcome, _, _ in decided]
            if any(new is not record for record, (_, new, _) in zip(records, decided, strict=True)):
                records = [record for _, record, _ in decided]
        else:
            known, settled = self._known, self._settled
            outcomes = [known.get(type(record)) or settled(record) for record in records]
        first = outcomes[0]
        if outcomes.count(first) == len(outcomes):
            return self._whole(records, first)
        shares: dict[str, Share] = {}
        dropped: dict[str, int] = {}
        different = set(outcomes)
        for outcome in different:
            if outcome.dropped:
                dropped[outcome.dropped] = outcomes.count(outcome)
        for name in self.outputs:
            takers = {outcome for outcome in different if name in outcome.to}
            if takers == different:
                mine, of = records, outcomes
            elif takers:
                places = [place for place, outcome in enumerate(outcomes) if outcome in takers]
                mine = records.of(places) if isinstance(records, Straight) else [records[place] for place in places]
                of = [outcome for outcome in outcomes if outcome in takers]
            else:
                continue
            with_priority = name in self._syslog and any(outcome.priority is not None for outcome in takers)
            shares[name] = Share(mine, [outcome.priority for outcome in of] if with_priority else None)
        return Routed(shares, dropped)

    def decide(self, record: Record, input: str = "") -> Decision:
        """What becomes of one record, and why."""
        outcome, record, rule = self._decide(record, input)
        return Decision(outcome.to, outcome.priority, rule, self._destination(record), record, outcome.dropped)

    def reachable(self, record: Record, input: str = "") -> frozenset[str]:
        """The outputs that records of this kind (and service, level) can come to from an input, whatever else is in them."""
        reached: set[str] = set()
        for fits, rule, _ in self._plan(type(record), input):
            reached.update(rule.to)
            if fits is None and rule.ends:
                return frozenset(reached)
        return frozenset(reached.union(self._settled(record).to))

    def tried(self, record: Record, input: str = "") -> list[tuple[bool, Rule]]:
        """The routes that a record of this kind from this input can fit, in order, and whether each takes all of them: then it is the last."""
        return [(fits is None and rule.ends, rule) for fits, rule, _ in self._plan(type(record), input)]

    def by_settings(self, record: Record) -> Decision:
        """What becomes of a record that no route fits."""
        outcome = self._settled(record)
        return Decision(outcome.to, outcome.priority, None, self._destination(record), record, outcome.dropped)

    def _alike(self, records: Straight, input: str) -> _Outcome | None:
        """Where all of these go, if that is one way and can be told without looking at each."""
        found = {self._of_kind(kind, input) for kind in records.kinds}
        for record in records.apart.values():
            outcome, changed, _ = self._decide(record, input)
            found.add(outcome if changed is record else None)
        return found.pop() if len(found) == 1 else None

    def _by_kinds(self, records: Straight, input: str) -> list[_Outcome] | None:
        """Where each of these goes, if its kind alone says that."""
        of_kinds = {kind: self._of_kind(kind, input) for kind in records.kinds}
        if None in of_kinds.values():
            return None
        outcomes = [of_kinds[kind] if kind else None for kind in records.kind_of_each()]
        for place, record in records.apart.items():
            outcome, changed, _ = self._decide(record, input)
            if changed is not record:
                return None
            outcomes[place] = outcome
        return outcomes  # type: ignore[return-value]

    def _of_kind(self, kind: type[Record], input: str) -> _Outcome | None:
        """Where every record of this kind goes, as it is; None when it depends."""
        depends = issubclass(kind, Service) and bool(self._server.services)
        for fits, rule, _ in self._plan(kind, input):
            if fits is not None or rule.keep is not None or rule.change is not None:
                return None
            if rule.ends:
                return None if depends and not self._syslog.isdisjoint(rule.to) else self._decide(kind(), input)[0]
        settled = self._settled(kind())
        return None if depends or settled.dropped else settled

    def _whole(self, records: Sequence[Record], outcome: _Outcome) -> Routed:
        """A batch with one outcome."""
        priorities = None if outcome.priority is None else [outcome.priority] * len(records)
        shares = {name: Share(records, priorities if name in self._syslog else None) for name in outcome.to}
        return Routed(shares, {outcome.dropped: len(records)} if outcome.dropped else {})

    def _decide(self, record: Record, input: str) -> tuple[_Outcome, Record, Rule | None]:
        plan = self._plans.get((type(record), input))
        own = 0
        for fits, rule, sets in self._plan(type(record), input) if plan is None else plan:
            if fits is None or fits(record):
                if rule.keep is not None and not rule.keep(record):
                    return self._same(_Outcome((), None, f"sample of route {rule.number}")), record, rule
                if rule.change is not None:
                    record = rule.change(record)
                    own |= sets
                if rule.ends:
                    if not rule.to:
                        return self._same(_Outcome((), None, f"route {rule.number}")), record, rule
                    priority = None if self._syslog.isdisjoint(rule.to) else self._priority(record, own)
                    return self._same(_Outcome(rule.to, priority, "")), record, rule
        outcome = self._known.get(type(record)) or self._settled(record)
        if own and outcome.priority is not None:
            outcome = self._same(outcome._replace(priority=self._priority(record, own)))
        return outcome, record, None

    def _priority(self, record: Record, own: int) -> int | None:
        """What a record has at a syslog output, where routes have set these parts of it."""
        word = (self._known.get(type(record)) or self._settled(record)).priority
        if word is None or not own:
            return word
        facility = record.syslog.facility if record.syslog and own & _SETS["syslog.facility"] else ""
        code = FACILITIES.index(facility) if facility in FACILITIES else word >> 3
        severity = SEVERITIES.index(record.severity) if own & _SETS["severity"] and record.severity in SEVERITIES else word & 7
        return code * 8 + severity

    def _settled(self, record: Record) -> _Outcome:
        """Where the settings send a record. What they say of a kind as such is remembered by the kind."""
        kind = type(record)
        key: object = (kind, record.service, record.level, record.severity) if isinstance(record, Service) else kind
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _MOST:
                self._known.clear()
            found = self._known[key] = self._same(self._sent(record))
        return found

    def _sent(self, record: Record) -> _Outcome:
        said = self._destination(record)
        if said is None:
            return _Outcome(self.outputs, None, "")
        to = tuple(
            taker.name for taker in self._takers if taker.takes == "all" or (said.syslog if taker.role == "syslog" else said.files)
        )  # fmt: skip
        priority = said.priority(record.severity) if self._syslog else None
        return _Outcome(to, priority, "" if to else f"setting {said.by[-1].name}")

    def _destination(self, record: Record) -> Destination | None:
        service, level = (record.service, record.level) if isinstance(record, Service) else ("", "")
        return destination(self._server, type(record), service, level)

    def _same(self, outcome: _Outcome) -> _Outcome:
        return self._outcomes.setdefault(outcome, outcome)

    def _plan(self, kind: type[Record], input: str) -> _Plan:
        """The rules that a record of this kind from this input can fit."""
        if (known := self._plans.get((kind, input))) is not None:
            return known
        plan: list[tuple[Fits | None, Rule, int]] = []
        for rule in self._rules:
            condition = equal(rule.when) if isinstance(rule.when, Mapping) else rule.when
            fits = condition.on(kind, input)
            if fits is False:
                continue
            sets = sum(_SETS.get(name, 0) for name, _ in rule.change.values) if rule.change else 0
            plan.append((None if fits is True else fits, rule, sets))
            if fits is True and rule.ends:
                break
        found = self._plans[kind, input] = tuple(plan)
        return found
