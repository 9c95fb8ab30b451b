"""The routes of a configuration -> rules for the router, or all that is wrong with them.

    when:  {FIELD: VALUE}              it is this            {FIELD: [VALUE, ...]}   it is one of these
           {FIELD: {OPERATOR: ...}}    one of `OPERATORS`    {not: {FIELD: ...}}     not all of these fit
    set:   {FIELD: VALUE}
    sample, to, drop: as the section has them

What a value must be is said by its field: sizes and times have units, addresses may be networks, severities have an order.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from shipper.changes import FACILITY, Change, Sample, settable
from shipper.conditions import (
    MUST,
    All,
    Condition,
    Field,
    Not,
    Prefix,
    Present,
    Regex,
    Value,
    among,
    endless,
    field_names,
    ordered,
    read,
    sort_of,
    within,
    yes_or_no,
)
from shipper.config.problems import Place, Problem
from shipper.config.tree import Node
from shipper.config.units import share
from shipper.config.validate import did_you_mean, listed
from shipper.events import FACILITIES, SEVERITIES
from shipper.record import KINDS as RECORDS
from shipper.router import Rule

OPERATORS = ("equal", "in", "prefix", "regex", "range", "present", "not")
_LIMITS = ("min", "max")


def rules(routes: Node | None, inputs: Sequence[str], outputs: Sequence[str], problems: list[Problem]) -> tuple[Rule, ...] | None:
    """The rules, in order; None when something is wrong with one. `inputs`, `outputs`: the names of those that there are.

    The section of a route has looked at the shapes of what is not read here, and said what is wrong with them.
    """
    if routes is None:
        return ()
    if not isinstance(routes.value, list):
        return None
    before = len(problems)
    found = [
        _Route(number, route, inputs, outputs, problems).rule()
        for number, route in enumerate(routes.value, 1)
        if isinstance(route.value, dict)
    ]
    return tuple(found) if len(problems) == before else None


class _Route:
    def __init__(self, number: int, node: Node, inputs: Sequence[str], outputs: Sequence[str], problems: list[Problem]) -> None:
        assert isinstance(node.value, dict)
        self.number = number
        self.node = node
        self.options: Mapping[str, Node] = node.value
        self.outputs = outputs
        self.problems = problems
        self.known: Mapping[str, Sequence[str]] = {
            "kind": [record.kind for record in RECORDS],
            "input": inputs,
            "severity": SEVERITIES,
            "syslog.severity": ("", *SEVERITIES),
            "syslog.facility": ("", *FACILITIES),
            "direction": ("", "in", "out"),
        }

    def rule(self) -> Rule:
        to = []
        for node in _each(self.options.get("to")):
            if isinstance(node.value, str) and not node.unknown:
                to.append(node.value)
                if node.value not in self.outputs:
                    self._nothing(f"output '{node.value}'", node, node.value, self.outputs)
        when, drop = self.options.get("when"), self.options.get("drop")
        return Rule(
            self._fields(when.value) if when is not None and isinstance(when.value, dict) else All(),
            tuple(dict.fromkeys(to)),
            f"{self.node.place.file}:{self.node.place.line}",
            self.number,
            self._sample(self.options.get("sample")),
            self._change(self.options.get("set")),
            bool(to) or (drop is not None and isinstance(drop.value, str) and yes_or_no(drop.value) is True),
        )

    # when

    def _fields(self, fields: Mapping[str, Node]) -> All:
        """All of these fit."""
        found: list[Condition] = []
        for name, node in fields.items():
            if name == "not":
                if isinstance(node.value, dict) and node.value:
                    found.append(Not(self._fields(node.value)))
                else:
                    self._wrong("'not'", "must be fields with their values, as {kind: mta}", node)
            elif sort_of(name) is None:
                self._nothing(f"field '{name}'", node, name, field_names(), node.key)
            elif (condition := self._field(name, node)) is not None:
                found.append(condition)
        return All(tuple(found))

    def _field(self, name: str, node: Node) -> Condition | None:
        """One field and what is asked of it; None when that is wrong, and said."""
        if not isinstance(node.value, dict):
            return among(name, frozenset(self._values(name, node)))
        unknown = [operator for operator in node.value if operator not in OPERATORS]
        for operator in unknown:
            notes = did_you_mean(operator, OPERATORS) or (f"there is {listed(OPERATORS, 'and')}",)
            message = f"unknown operator '{operator}' in route {self.number}"
            self.problems.append(Problem("C104", message, node.value[operator].key, "not an operator", notes))
        if unknown:
            return None
        if len(node.value) != 1:
            note = "one more test of the same field can stand under 'not:', or in a route before"
            self._wrong(f"'{name}'", f"must have one operator: {listed(OPERATORS)}", node, (note,), node.key)
            return None
        operator, inner = next(iter(node.value.items()))
        if operator == "not":
            condition = self._field(name, inner)
            return None if condition is None else Not(condition)
        if operator == "in":
            return among(name, frozenset(self._values(name, inner)))
        if operator == "range":
            return self._range(name, inner)
        texts = [one.value for one in _each(inner) if isinstance(one.value, str)]
        if inner.unknown or any(one.unknown for one in _each(inner)):
            return None
        if len(texts) != len(_each(inner)) or not texts or (operator != "prefix" and isinstance(inner.value, list)):
            self._wrong(
                f"'{operator}' of '{name}'", f"must be {'text, or a list of texts' if operator == 'prefix' else 'one value'}", inner
            )
            return None
        if operator == "equal":
            return among(name, frozenset(self._values(name, inner)))
        if operator == "present":
            there = yes_or_no(texts[0])
            if there is None:
                self._wrong(f"'present' of '{name}'", "must be yes or no", inner)
            return Field(name, Present()) if there else Not(Field(name, Present()))
        if sort_of(name) not in ("text", "address", "time", "severity"):
            self._wrong(f"'{name}'", f"is {'yes or no' if sort_of(name) == 'yesno' else 'a number'}: '{operator}' is for text", inner)
            return None
        return Field(name, Prefix(tuple(texts))) if operator == "prefix" else self._regex(name, inner, texts[0])

    def _regex(self, name: str, node: Node, pattern: str) -> Condition | None:
        try:
            re.compile(pattern)
        except (re.error, RecursionError, OverflowError) as error:
            why = "" if node.variable else f": {error}"
            self._wrong(f"'regex' of '{name}'", f"must be a regular expression of Python{why}", node)
            return None
        if endless(pattern):
            note = "a line made for it would stop the service; possessive ones (a++) and atomic groups (?>...) do not try again"
            self._wrong(f"'regex' of '{name}'", "must not repeat without limit what can itself be matched in several ways", node, (note,))
            return None
        return Field(name, Regex(pattern))

    def _range(self, name: str, node: Node) -> Condition | None:
        if not ordered(name):
            self._wrong(f"'{name}'", "cannot be in a range: numbers, sizes, times and severities can", node)
            return None
        if not isinstance(node.value, dict) or not node.value or any(limit not in _LIMITS for limit in node.value):
            self._wrong(f"'range' of '{name}'", "must have a 'min' or a 'max', or both, as {min: 1, max: 10}", node)
            return None
        least, most = (self._limit(name, limit, node.value[limit]) if limit in node.value else None for limit in _LIMITS)
        found = within(name, least, most)
        if found.test.least > found.test.most:  # type: ignore[attr-defined]
            self._wrong(f"'range' of '{name}'", "must have a 'min' that is not above its 'max'", node)
        return found

    def _limit(self, name: str, limit: str, node: Node) -> Value | None:
        if isinstance(node.value, list | dict | None) or node.value == "":
            self._wrong(f"'{limit}' of '{name}'", f"must be {MUST[sort_of(name) or 'number']}", node)
            return None
        return next(iter(self._values(name, node)), None)

    def _values(self, name: str, condition: Node, called: str = "") -> list[Value]:
        """The values of a field, as its type; what is none of it is said. `called`: how the field was written, if not so."""
        values: list[Value] = []
        known = self.known.get(name)
        name, field = called or name, name
        if condition.value is None or condition.value == []:
            notes = ('an empty text is ""',) if called else ('an empty text is ""; whether the field is there: {present: no}',)
            self.problems.append(Problem("C106", f"'{name}' in route {self.number} has no value", condition.key, notes=notes))
        for node in _each(condition):
            if node.unknown or node.value is None:
                continue
            if not isinstance(node.value, str):
                self._wrong(f"'{name}'", f"must be {MUST[sort_of(field) or 'text']}", node)
            elif known is not None and node.value not in known:
                self._nothing(f"{name} '{node.value}'", node, node.value, [word for word in known if word])
            elif (value := read(field, node.value)) is None:
                self._wrong(f"'{name}'", f"must be {MUST[sort_of(field) or 'text']}", node)
            else:
                values.append(value)
        return values

    # set, sample

    def _change(self, node: Node | None) -> Change | None:
        if node is None or not isinstance(node.value, dict):
            return None
        values: list[tuple[str, Value]] = []
        for written, inner in node.value.items():
            name = f"syslog.{FACILITY}" if written == FACILITY else written
            if sort_of(name) is None:
                names = [FACILITY, *(one for one in field_names() if settable(one))]
                self._nothing(f"field '{written}'", inner, written, names, inner.key)
            elif not settable(name):
                self._wrong(f"'{written}'", "cannot be set: what is made of a record depends on it", inner, place=inner.key)
            elif isinstance(inner.value, str | None):
                found = self._values(name, inner, written)
                if any(isinstance(value, int | float) and value < 0 for value in found):
                    self._wrong(f"'{written}'", "must not be negative", inner)
                values += [(name, value) for value in found]
            else:
                self._wrong(f"'{written}' in 'set'", "must be one value", inner)
        return Change(tuple(values))

    def _sample(self, node: Node | None) -> Sample | None:
        if node is None or not isinstance(node.value, str) or node.unknown:
            return None
        try:
            return Sample(share(node.value))
        except ValueError:
            return None  # the section has said it

    # What is wrong

    def _wrong(self, what: str, must: str, node: Node, notes: tuple[str, ...] = (), place: Place | None = None) -> None:
        self.problems.append(Problem("C106", f"{what} in route {self.number} {must}", place or _place(node), notes=notes))

    def _nothing(self, what: str, node: Node, word: str, known: Sequence[str], place: Place | None = None) -> None:
        if node.variable and place is None:
            what = what.partition(" ")[0] + " of that name"
            word = ""
        notes = did_you_mean(word, known)
        if not notes and 0 < len(known) <= 20:
            notes = (f"there is {listed(list(known), 'and')}",)
        message = f"route {self.number} names the {what}, and there is none"
        self.problems.append(Problem("C110", message, place or node.place, notes=notes))


def _place(node: Node) -> Place:
    """Where a value stands; a section or a list stands at its key."""
    return node.place if isinstance(node.value, str) else node.key


def _each(node: Node | None) -> list[Node]:
    """One value, or those of a list."""
    if node is None:
        return []
    return node.value if isinstance(node.value, list) else [node]
