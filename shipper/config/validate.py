"""A node of the tree -> a section, with everything that is wrong in it said in words and at its place.

pydantic reads the text of the scalars and says what it cannot take; this maps the path of each of its errors back to the node, and its own
words to ours. What came from a variable, or is a secret, is not quoted.
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, SecretBytes, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from shipper.config.problems import Problem, without_password
from shipper.config.tree import Node, plain

Model = TypeVar("Model", bound=BaseModel)

TOP = "the configuration"
"""What the top level is called in messages."""

_MUST = {
    "int": "a whole number",
    "float": "a number",
    "bool": "yes or no",
    "string": "text",
    "list": "a list",
    "tuple": "a list",
    "set": "a list",
    "frozen_set": "a list",
    "dict": "a section of options",
    "model": "a section of options",
    "path": "a path",
    "url": "a URL",
}
"""What pydantic wanted, by the first word of its type of error."""


def validated(model: type[Model], node: Node, where: str, what: str, problems: list[Problem]) -> Model | None:
    """The section, or None and at least one problem more, or None where only a variable without a value was in the way.

    `where` names the section in messages (`input 'mta'`), `what` its kind (`a 'mta_log' input`).
    """
    try:
        return model.model_validate(plain(node))
    except ValidationError as error:
        found = [_Found(model, node, one) for one in error.errors(include_url=False, include_input=False)]
    meant = {(id(one.node), name) for one in found if one.kind == "extra_forbidden" for name in one.near()[:1]}
    groups: dict[tuple[Any, ...], list[_Found]] = {}
    for one in found:
        if one.kind == "missing" and (id(one.node), one.option) in meant:
            continue  # it is there, misspelt
        groups.setdefault((one.place, one.kind in ("extra_forbidden", "missing") and one.option), []).append(one)
    problems += [problem for group in groups.values() if (problem := _problem(group, where, what))]
    return None


def secrets_in(model: type[BaseModel], node: Node) -> Iterator[Node]:
    """The nodes that a section takes for secrets, whatever their names."""
    for name, info in _fields(model):
        found = node.value.get(name) if isinstance(node.value, dict) else None
        if found is None:
            continue
        if _mentions_secret(info.annotation):
            yield found
        for inner in sections_in(info.annotation):
            for one in found.value if isinstance(found.value, list) else [found]:
                yield from secrets_in(inner, one)


def nearest(word: str, known: Iterable[str]) -> list[str]:
    """The names that are nearest to a word, the nearest first; at most three."""
    by_folded = {name.lower().replace("-", "_"): name for name in known}
    return [by_folded[name] for name in get_close_matches(word.lower().replace("-", "_"), list(by_folded), 3, 0.6)]


def did_you_mean(word: str, known: Iterable[str]) -> tuple[str, ...]:
    """A note with the names that are nearest to a word, or none."""
    near = nearest(word, known)
    return (f"did you mean {' or '.join(repr(name) for name in near)}?",) if near else ()


def listed(names: Sequence[str], last: str = "or") -> str:
    """`a, b or c`."""
    return f"{', '.join(names[:-1])} {last} {names[-1]}" if len(names) > 1 else "".join(names)


class _Found:
    """One error of pydantic, brought back to the tree."""

    def __init__(self, model: type[BaseModel], root: Node, error: Mapping[str, Any]) -> None:
        self.kind: str = error["type"]
        self.context: Mapping[str, Any] = error.get("ctx") or {}
        self.text: str = error["msg"]
        self.node = root
        self.names: list[str] = []
        self.option = ""
        self.fields: list[FieldInfo] = []
        self.models: list[type[BaseModel]] = [model]
        path = list(error["loc"])
        on_key = path[-1:] == ["[key]"]
        if self.kind in ("extra_forbidden", "missing"):
            self.option = str(path.pop())
        for step in path:
            self._walk(step)
        if self.kind == "extra_forbidden" and isinstance(self.node.value, dict) and self.option in self.node.value:
            self.place = self.node.value[self.option].key
        elif self.kind.startswith("union_tag"):
            self.option = str(self.context.get("discriminator", "")).strip("'")
            inner = self.node.value.get(self.option) if isinstance(self.node.value, dict) else None
            self.place = inner.place if inner else self.node.key
        elif self.kind == "missing" or on_key or isinstance(self.node.value, dict | list) or self.node.value is None:
            self.place = self.node.key
        else:
            self.place = self.node.place

    def _walk(self, step: str | int) -> None:
        value = self.node.value
        if isinstance(value, dict) and step in value and isinstance(step, str):
            self.node = value[step]
            self.names.append(step)
            fields = [found for model in self.models if (found := _field(model, step))]
            if fields or not self._in_container():
                self.fields = fields
                self.models = [model for one in fields for model in sections_in(one.annotation)]
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            self.node = value[step]
            self.names.append(str(step + 1))
        else:  # which member of a union, or which validator: no place of the tree
            tagged = [model for model in self.models if _tagged(model, step)]
            self.models = tagged or self.models

    def _in_container(self) -> bool:
        return any(get_origin(_bare(one.annotation)) in (dict, list) for one in self.fields)

    def near(self) -> list[str]:
        """The options that an unknown one may have been meant for."""
        there = self.node.value if isinstance(self.node.value, dict) else {}
        return [name for name in nearest(self.option, self.options) if name not in there]

    @property
    def secret(self) -> bool:
        return any(_mentions_secret(one.annotation) for one in self.fields)

    @property
    def options(self) -> dict[str, FieldInfo]:
        return {name: info for model in self.models for name, info in _fields(model)}


def _problem(group: list[_Found], where: str, what: str) -> Problem | None:
    first = group[0]
    if first.kind == "extra_forbidden":
        return _unknown_option(first, where, what)
    inside = _section_name(first.names, where)
    if first.kind == "missing" or first.kind == "union_tag_not_found":
        info = first.options.get(first.option)
        notes: tuple[str, ...] = (f"{first.option}: {info.description}",) if info and info.description else ()
        return Problem("C105", f"{inside} has no '{first.option}'", first.place, notes=notes)
    if any(node.unknown for node in _nodes(first.node)):
        return None
    value = first.node.value
    if value is None and not first.kind.startswith("value_error"):
        return Problem("C106", f"{inside} has no value", first.place, notes=('leave it out to have its default; an empty text is ""',))
    words = list(dict.fromkeys(_must(one) for one in group))
    if len(words) > 1:
        words = [word.removeprefix("must be ") for word in words]
        words = [f"must be {listed(words)}"]
    message, notes = words[0], _near(group, value)
    hidden = first.secret or any(node.variable for node in _nodes(first.node))
    if hidden and any(node.value in message for node in _nodes(first.node) if isinstance(node.value, str) and node.value):
        message = "has a value that is not accepted"
    label = ""
    if isinstance(value, dict | list):
        label = f"this is {'a section' if isinstance(value, dict) else 'a list'}" if "must be" in message else ""
    elif isinstance(value, str) and "must be" in message:
        if not hidden and len(value) <= 60 and "\n" not in value:
            message += f", not '{value}'"
            if message.startswith("must be a list"):
                notes = (without_password(f"write it as a list: [{value}]"),)
        elif first.node.variable:
            label = "what the variable holds is none"
    sentence = f"{inside}{'' if message.startswith(('must ', 'has ', 'says ')) else ':'} {message}"
    return Problem("C106", without_password(sentence), first.place, label, notes, hidden=first.secret)


def _unknown_option(found: _Found, where: str, what: str) -> Problem:
    inside = _section_name(found.names, where)
    options = found.options
    near = found.near()
    elsewhere = [name for name, info in options.items() for model in sections_in(info.annotation) if found.option in dict(_fields(model))]
    notes: tuple[str, ...] = (f"the options: {', '.join(options)}",) if options else ()
    if near:
        notes = (f"did you mean {' or '.join(repr(name) for name in near)}?",)
    elif elsewhere:
        notes = (f"'{found.option}' stands under '{elsewhere[0]}:'",)
    closest = [options[name] for name in nearest(found.option, options)]
    hidden = any(_mentions_secret(info.annotation) for info in closest)
    label = f"not an option of {what if not found.names else inside}"
    return Problem("C104", f"unknown option '{found.option}' in {inside}", found.place, label, notes, hidden=hidden)


def _must(found: _Found) -> str:
    """What the value has to be, as the end of a sentence."""
    kind, context = found.kind, found.context
    if kind in ("literal_error", "enum"):
        return f"must be {listed(_choices(found))}"
    if kind == "union_tag_invalid":
        return f"has a '{found.option}' that is not {listed(_choices(found))}"
    for name, words in (("greater_than", "more than"), ("less_than", "less than")):
        if kind == name or kind == f"{name}_equal":
            limit = next(iter(context.values()), "")
            number = f"{limit:g}" if isinstance(limit, float) else str(limit)
            return f"must be {number} or {words.split()[0]}" if kind.endswith("equal") else f"must be {words} {number}"
    if kind == "string_too_short" or (kind == "too_short" and context.get("min_length") == 1):
        return "must not be empty" if context.get("min_length") == 1 else f"must have {context.get('min_length')} characters or more"
    if kind == "string_pattern_mismatch":
        return f"must be text that fits {context.get('pattern')}"
    if kind == "value_error":
        return str(context.get("error") or found.text)
    start = kind.rpartition("_")[0]
    for name in (start, start.rpartition("_")[0]):
        if name in _MUST and kind.endswith(("_type", "_parsing", "_from_float", "_attributes")):
            return f"must be {_MUST[name]}"
    return found.text.replace("Input should be", "must be").replace("Input should", "must")


def _choices(found: _Found) -> list[str]:
    text = str(found.context.get("expected") or found.context.get("expected_tags") or "")
    return [part.strip().strip("'\"") for part in text.replace(" or ", ", ").split(",") if part.strip()]


def _near(group: list[_Found], value: object) -> tuple[str, ...]:
    """Which of the choices, or of the names that a validator knows, may have been meant."""
    for one in group:
        if one.context.get("near"):
            return (f"did you mean {' or '.join(repr(name) for name in one.context['near'])}?",)
    if isinstance(value, str):
        return did_you_mean(value, [name for one in group if one.kind in ("literal_error", "enum") for name in _choices(one)])
    return ()


def _section_name(names: Sequence[str], where: str) -> str:
    """`'buffer' in output 'elk'`, `route 2`, `'log'`: a section of the configuration, or one in it."""
    inside = where
    for number, name in enumerate(names):
        top = where == TOP and number == 0
        if name.isdecimal():
            inside = f"route {name}" if inside == "'routes'" else f"element {name} of {inside}"
        else:
            inside = f"'{name}'" if top else f"'{name}' in {inside}"
    return inside


def _nodes(node: Node) -> Iterator[Node]:
    yield node
    children = node.value.values() if isinstance(node.value, dict) else node.value if isinstance(node.value, list) else ()
    for child in children:
        yield from _nodes(child)


def _fields(model: type[BaseModel]) -> list[tuple[str, FieldInfo]]:
    """The options of a section by their names, `type` and its own before those that all of its room have."""
    own = model.__annotations__
    fields = sorted(model.model_fields.items(), key=lambda field: (field[0] != "type", field[0] not in own))
    return [(info.alias or name, info) for name, info in fields]


def _field(model: type[BaseModel], name: str) -> FieldInfo | None:
    return dict(_fields(model)).get(name)


def _bare(annotation: Any) -> Any:
    return _bare(get_args(annotation)[0]) if get_origin(annotation) is Annotated else annotation


def sections_in(annotation: Any) -> list[type[BaseModel]]:
    """The sections that a value of this type can be."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) if not isinstance(part, str) for model in sections_in(part)]


def _tagged(model: type[BaseModel], tag: object) -> bool:
    """Whether a model has a Literal field with this one value, or is named so."""
    if model.__name__ == tag:
        return True
    return any(get_origin(info.annotation) is Literal and get_args(info.annotation) == (tag,) for info in model.model_fields.values())


def _mentions_secret(annotation: Any) -> bool:
    if annotation in (SecretStr, SecretBytes):
        return True
    if get_origin(annotation) in (Union, types.UnionType, dict, list, Annotated):
        return any(_mentions_secret(part) for part in get_args(annotation))
    return False
