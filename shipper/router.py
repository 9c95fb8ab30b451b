"""Which records go to which outputs: rules over the fields of a record, compiled once.

Rules are tried in their order and the first that fits decides: the record goes to the outputs that it names, or is dropped. A record that
no rule fits goes to every output. A rule fits when each of its conditions does: the field has one of the values. A field that a kind of
record does not have fits nothing.

Fields are those of the native profile, `kind` among them; `input` is the name of the input; `syslog.facility`, `source.file`,
`attributes.NAME` and `extra.NAME` look inside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args, get_type_hints

from shipper.record import KINDS, Envelope, Record, Source

Value = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Rule:
    """`when`: field -> the values that fit; `to`: names of outputs, none: dropped; `place`: where the rule stands, for people."""

    when: Mapping[str, frozenset[Value]]
    to: tuple[str, ...] = ()
    place: str = ""


_Conditions = tuple[tuple[str, str, frozenset[Value]], ...]
_Plan = tuple[tuple[_Conditions, Rule], ...]
"""What is left to ask of one kind of record from one input, and the rules in order; the last one always fits."""


class Router:
    """Rules for these outputs. `dropped` counts the records that a rule dropped."""

    __slots__ = ("_all", "_plans", "_rules", "dropped", "outputs")

    def __init__(self, rules: Sequence[Rule], outputs: Sequence[str]) -> None:
        self.outputs = tuple(outputs)
        self.dropped = 0
        self._rules = tuple(rules)
        self._all = Rule({}, self.outputs)
        self._plans: dict[tuple[type[Record], str], _Plan] = {}

    def route(self, records: Sequence[Record], input: str = "") -> dict[str, Sequence[Record]]:
        """Output -> its records, in order; an output that gets none is not there. `input` is the name of the input they came by."""
        if not self._rules:
            return dict.fromkeys(self.outputs, records) if records else {}
        lists: dict[str, list[Record]] = {}
        for record in records:
            to = self.rule(record, input).to
            if not to:
                self.dropped += 1
            for name in to:
                if name in lists:
                    lists[name].append(record)
                else:
                    lists[name] = [record]
        return {name: lists[name] for name in self.outputs if name in lists}

    def rule(self, record: Record, input: str = "") -> Rule:
        """The rule that decides on a record; without a `place` when it is none of ours, and the record goes everywhere."""
        plan = self._plans.get((type(record), input))
        if plan is None:
            plan = self._plans[type(record), input] = self._plan(type(record), input)
        for conditions, rule in plan:
            for name, inner, values in conditions:
                found = getattr(record, name)
                if (_inside(found, inner) if inner else found) not in values:
                    break
            else:
                return rule
        return self._all

    def _plan(self, kind: type[Record], input: str) -> _Plan:
        """The rules that a record of this kind from this input can fit, without the conditions that are settled by that alone."""
        plan = []
        for rule in self._rules:
            left = []
            for name, values in rule.when.items():
                if name in ("kind", "input"):
                    if (kind.kind if name == "kind" else input) not in values:
                        break
                elif name.partition(".")[0] not in kind.__struct_fields__:
                    break
                else:
                    outer, _, inner = name.partition(".")
                    left.append((outer, inner, values))
            else:
                plan.append((tuple(left), rule))
                if not left:
                    break
        return tuple(plan)


def _inside(found: Any, name: str) -> Any:
    """What an object of a record has under a name; None for nothing, and for a list or an object."""
    value = found.get(name) if isinstance(found, dict) else getattr(found, name, None)
    return value if isinstance(value, str | int | float) else None


def field_type(name: str) -> type[Value] | None:
    """What type of value a condition on this field needs: str, int, float or bool; None when there is no such field."""
    if name in ("kind", "input"):
        return str
    outer, _, inner = name.partition(".")
    if inner:
        if outer in ("extra", "attributes"):
            return str
        within = {"syslog": Envelope, "source": Source}.get(outer)
        return _scalar(get_type_hints(within).get(inner)) if within else None
    return next((found for kind in KINDS if (found := _scalar(get_type_hints(kind).get(outer)))), None)


def field_names() -> list[str]:
    """The fields that a condition can be on, without those inside objects whose names are the log's own."""
    names = dict.fromkeys(["kind", "input"])
    for kind in KINDS:
        names |= dict.fromkeys(name for name in kind.__struct_fields__ if field_type(name))
    names |= {f"syslog.{name}": None for name in Envelope.__struct_fields__ if field_type(f"syslog.{name}")}
    names |= {"source.file": None, "source.peer": None}
    return list(names)


def _scalar(hint: Any) -> type[Value] | None:
    """`int | None` -> int, `int | float` -> float; None for what is no single value."""
    kinds = [kind for kind in get_args(hint) or (hint,) if kind in (str, int, float, bool)]
    return kinds[-1] if kinds else None
