"""Which records fit: questions about the fields of a record, compiled for each kind of record.

A condition is a tree of `Field` (a field passes a test), `All` and `Not`. `on(kind, input)` says what is left of it for records of one kind
from one input: True, False, or a function that asks one record. What the kind and the input settle is settled there, once.

Rules:
- Fields are those of the native profile, `kind` among them; `input` is the name of the input; `syslog.facility`, `source.file`,
  `attributes.NAME` and `extra.NAME` look inside.
- A field that a kind of record does not have passes no test. A field that a record has not filled in is `""`, or nothing where it is a number.
- `Not` fits exactly what the condition in it does not fit, records without that field too.
- What a regular expression is given is cut at `MOST_MATCHED` characters: senders choose much of a line, and `re` tries all ways there are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache, reduce
from importlib import import_module
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from math import inf
from operator import attrgetter
from typing import Any, Literal, Protocol, get_args, get_type_hints

from shipper.config.units import DURATION_HELP, SIZE_HELP, duration, size
from shipper.events import SEVERITIES
from shipper.record import KINDS, Envelope, Record, Source

MOST_MATCHED = 1000
"""Characters of a field that a regular expression sees."""

_FEW = 4
"""Times that something may be repeated in several ways each."""

Value = str | int | float | bool
Fits = Callable[[Record], bool]
Sort = Literal["text", "whole", "number", "yesno", "size", "duration", "severity", "time", "address"]
"""What the values of a field are."""

MUST: dict[Sort, str] = {
    "text": "text",
    "whole": "a whole number",
    "number": "a number",
    "yesno": "yes or no",
    "size": SIZE_HELP,
    "duration": DURATION_HELP,
    "severity": "a severity",
    "time": "a point in time with its zone, as 2026-03-31T10:20:00+02:00",
    "address": "an address as 192.0.2.1 or 2001:db8::1, or a network as 192.0.2.0/24",
}
"""What a value must be, as the end of a sentence."""

_SIZES = ("size_bytes", "bytes_from_client", "bytes_to_client")
_DURATIONS = ("queue_seconds", "session_seconds")
_ADDRESSES = ("local_ip", "remote_ip", "client_ip", "source.peer", "syslog.peer")
_TIMES = ("time", "session_start")
_RANK = {name: len(SEVERITIES) - number for number, name in enumerate(SEVERITIES)}
"""The more severe, the higher."""


class Condition(Protocol):
    """A question to a record."""

    def on(self, kind: type[Record], input: str) -> bool | Fits:
        """What is left to ask of a record of this kind from this input."""
        ...


@dataclass(frozen=True, slots=True)
class All:
    """Each of these fits; every record when there are none."""

    conditions: tuple[Condition, ...] = ()

    def on(self, kind: type[Record], input: str) -> bool | Fits:
        left: list[Fits] = []
        for condition in self.conditions:
            planned = condition.on(kind, input)
            if planned is False:
                return False
            if planned is not True:
                left.append(planned)
        return reduce(_both, left) if left else True


ALWAYS = All()


def _both(first: Fits, second: Fits) -> Fits:
    return lambda record: first(record) and second(record)


@dataclass(frozen=True, slots=True)
class Not:
    """This does not fit."""

    condition: Condition

    def on(self, kind: type[Record], input: str) -> bool | Fits:
        planned = self.condition.on(kind, input)
        if isinstance(planned, bool):
            return not planned
        fits = planned
        return lambda record: not fits(record)


class Question(Protocol):
    """A question to the value of a field."""

    def asks(self) -> Callable[[Any], bool]: ...


@dataclass(frozen=True, slots=True)
class Field:
    """The value of a field passes a test."""

    name: str
    test: Question

    def on(self, kind: type[Record], input: str) -> bool | Fits:
        asks = self.test.asks()
        if self.name in ("kind", "input"):
            return asks(kind.kind if self.name == "kind" else input)
        outer, _, inner = self.name.partition(".")
        if outer not in kind.__struct_fields__:
            return False
        get = attrgetter(outer)
        if not inner:
            return lambda record: asks(get(record))
        look = _there if isinstance(self.test, Present) else _inside
        return lambda record: asks(look(get(record), inner))


@dataclass(frozen=True, slots=True)
class Among:
    """It is one of these."""

    values: frozenset[Value]

    def asks(self) -> Callable[[Any], bool]:
        return self.values.__contains__


@dataclass(frozen=True, slots=True)
class Networks:
    """It is one of these addresses, or one in these networks."""

    values: frozenset[Value]
    networks: tuple[IPv4Network | IPv6Network, ...]

    def asks(self) -> Callable[[Any], bool]:
        values, networks = self.values, self.networks

        def ask(value: Any) -> bool:
            if value in values:
                return True
            try:
                address = ip_address(value)
            except ValueError:
                return False
            return any(address in network for network in networks)

        return ask


@dataclass(frozen=True, slots=True)
class Prefix:
    """It begins with one of these."""

    prefixes: tuple[str, ...]

    def asks(self) -> Callable[[Any], bool]:
        prefixes = self.prefixes
        return lambda value: value is not None and value.startswith(prefixes)


@dataclass(frozen=True, slots=True)
class Regex:
    """Somewhere in it this is found."""

    pattern: str

    def asks(self) -> Callable[[Any], bool]:
        search = re.compile(self.pattern).search
        return lambda value: value is not None and search(value, 0, MOST_MATCHED) is not None


@dataclass(frozen=True, slots=True)
class Range:
    """It is not less than `least` and not more than `most`: a number, the rank of a severity, or seconds since 1970."""

    least: float = -inf
    most: float = inf
    sort: Sort = "number"

    def asks(self) -> Callable[[Any], bool]:
        least, most = self.least, self.most
        if self.sort == "severity":
            rank = _RANK
            return lambda value: least <= rank.get(value, -inf) <= most if value else False
        if self.sort == "time":
            return lambda value: (seconds := instant(value)) is not None and least <= seconds <= most
        return lambda value: value is not None and least <= value <= most


@dataclass(frozen=True, slots=True)
class Present:
    """The record has it."""

    def asks(self) -> Callable[[Any], bool]:
        return lambda value: value is not None and value != "" and value is not False


def equal(values: Mapping[str, frozenset[Value]]) -> Condition:
    """Each of these fields has one of its values."""
    return All(tuple(Field(name, Among(found)) for name, found in values.items()))


def among(name: str, values: frozenset[Value]) -> Field:
    """A field has one of these values, which `read` gave."""
    networks = tuple(ip_network(str(value)) for value in values if sort_of(name) == "address" and "/" in str(value))
    return Field(name, Networks(values, networks) if networks else Among(values))


def within(name: str, least: Value | None, most: Value | None) -> Field:
    """A field is between these, both included, which `read` gave; None: no limit there."""
    sort = sort_of(name) or "number"
    return Field(name, Range(-inf if least is None else _measure(sort, least), inf if most is None else _measure(sort, most), sort))


def ordered(name: str) -> bool:
    """Whether a field can be in a range."""
    return sort_of(name) not in ("text", "yesno", "address", None)


def _measure(sort: Sort, value: Value) -> float:
    if sort == "severity":
        return _RANK[str(value)]
    return instant(str(value)) or 0.0 if sort == "time" else float(value)


def instant(time: str | None) -> float | None:
    """An ISO 8601 time with its zone -> seconds since 1970; None when it is none. A leap second is the one before it."""
    if not time:
        return None
    if time[17:19] == "60":
        time = f"{time[:17]}59{time[19:]}"
    try:
        moment = datetime.fromisoformat(time)
        return moment.timestamp() if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


def read(name: str, text: str) -> Value | None:
    """What somebody wrote for a field, as the field's type; None when it is no such thing."""
    sort = sort_of(name)
    try:
        if sort == "whole":
            return int(text, 10) if len(text) < 20 else None
        if sort == "number":
            return float(text)
        if sort == "size":
            return size(text)
        if sort == "duration":
            return duration(text)
        if sort == "address" and text:
            return str(ip_network(text)) if "/" in text else str(ip_address(text))
    except ValueError:
        return None
    if sort == "yesno":
        return yes_or_no(text)
    if (sort == "severity" and text and text not in SEVERITIES) or (sort == "time" and text and instant(text) is None):
        return None
    return text


def yes_or_no(text: str) -> bool | None:
    """What YAML calls yes and no; None when it is neither."""
    return {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}.get(text.lower())


def endless(pattern: str) -> bool:
    """Whether a regular expression, which `re` can read, may take more than all time for a text of 50 characters: it repeats something that can
    be matched in several ways. Possessive repeats and atomic groups are matched in one."""
    return _endless(import_module("re._parser").parse(pattern))


def _endless(parts: Any) -> bool:
    for name, arguments in parts:
        if str(name) in ("MAX_REPEAT", "MIN_REPEAT") and arguments[1] > _FEW and _several(arguments[2]):
            return True
        if any(_endless(inner) for inner in _within(name, arguments)):
            return True
    return False


def _several(parts: Any) -> bool:
    """Whether there are several ways to match this."""
    for name, arguments in parts:
        word = str(name)
        if word == "BRANCH" or (word in ("MAX_REPEAT", "MIN_REPEAT") and arguments[0] != arguments[1]):
            return True
        if word not in ("ATOMIC_GROUP", "POSSESSIVE_REPEAT") and any(_several(inner) for inner in _within(name, arguments)):
            return True
    return False


def _within(name: Any, arguments: Any) -> list[Any]:
    """The parts that a part of a regular expression has in it."""
    word = str(name)
    if word.endswith("REPEAT"):
        return [arguments[2]]
    if word == "BRANCH":
        return list(arguments[1])
    if word in ("SUBPATTERN", "ASSERT", "ASSERT_NOT"):
        return [arguments[-1]]
    if word == "ATOMIC_GROUP":
        return [arguments]
    return [part for part in arguments[1:] if part is not None] if word == "GROUPREF_EXISTS" else []


def _there(found: Any, name: str) -> Any:
    """What an object of a record has under a name, whatever it is."""
    return found.get(name) if isinstance(found, dict) else getattr(found, name, None)


def _inside(found: Any, name: str) -> Any:
    """The same as a value that can be asked: a number in an object whose names are the log's own is its digits; a list or an object is None."""
    value = _there(found, name)
    if isinstance(found, dict) and isinstance(value, bool | int | float):
        return str(value).lower()
    return value if isinstance(value, str | int | float) else None


def sort_of(name: str) -> Sort | None:
    """What the values of a field are; None when there is no such field."""
    if name in _SIZES:
        return "size"
    if name in _DURATIONS:
        return "duration"
    if name in _ADDRESSES:
        return "address"
    if name in _TIMES:
        return "time"
    if name in ("severity", "syslog.severity"):
        return "severity"
    found = field_type(name)
    sorts: dict[type[Value], Sort] = {str: "text", int: "whole", float: "number", bool: "yesno"}
    return sorts[found] if found else None


def field_type(name: str) -> type[Value] | None:
    """What type of value a condition on this field needs: str, int, float or bool; None when there is no such field."""
    if name in ("kind", "input"):
        return str
    outer, _, inner = name.partition(".")
    if outer in ("extra", "attributes"):
        return str if inner else None
    return _types().get(name)


@cache
def _types() -> dict[str, type[Value]]:
    """The type of every field that has a single value; of two kinds of record that have a field of one name, it is the same."""
    found: dict[str, type[Value]] = {}
    for prefix, struct in [("", kind) for kind in KINDS] + [("syslog.", Envelope), ("source.", Source)]:
        for name, hint in get_type_hints(struct).items():
            if kind := _scalar(hint):
                found.setdefault(prefix + name, kind)
    return {name: kind for name, kind in found.items() if name != "kind"}


def field_names() -> list[str]:
    """The fields that a condition can be on, without those inside objects whose names are the log's own."""
    return ["kind", "input", *(name for name in _types() if name != "source.offset")]


def _scalar(hint: Any) -> type[Value] | None:
    """`int | None` -> int, `int | float` -> float; None for what is no single value."""
    kinds = [kind for kind in get_args(hint) or (hint,) if kind in (str, int, float, bool)]
    return kinds[-1] if kinds else None
