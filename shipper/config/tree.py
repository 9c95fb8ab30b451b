"""YAML text -> a tree that knows the place of everything in it.

Scalars stay text, as they were written: what `no`, `010` or `1:30` mean is said by the option that they are for, not by YAML. Only an empty
plain scalar, `~` and `null` are None. The tree is made from the events of PyYAML's parser, so nothing is ever constructed: tags are refused,
aliases counted, keys may not come twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol

import yaml

from shipper.config.problems import Place, Problem

MAX_OCTETS = 512 * 1024
MAX_NODES = 50_000
"""Values after all aliases are put in: far more than a configuration has, far less than an alias bomb."""
MAX_DEPTH = 30

_BREAKS = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
_NULLS = ("", "~", "null", "Null", "NULL")
_PLAIN_TAGS = ("!", "tag:yaml.org,2002:str", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")


@dataclass(slots=True)
class Node:
    """A value and its place.

    `key`: the place of its key, or of the value where there is none. `size`, `depth`: values and levels in it, with all aliases put in.
    `written`: the text of a scalar before variables; `variable`: some of it came from one; `unknown`: one had no value, and that is to be no error.
    """

    value: dict[str, Node] | list[Node] | str | None
    place: Place
    key: Place
    size: int = 1
    depth: int = 0
    written: str = ""
    variable: bool = False
    unknown: bool = False

    def keyed(self, key: Place) -> Node:
        """The same value under a key."""
        return replace(self, key=key)


class _Mark(Protocol):
    """Where the parser is; counted from 0."""

    line: int
    column: int


@dataclass(slots=True)
class _Open:
    """A mapping or a list that has not ended."""

    node: Node
    anchor: str | None
    key: Node | None = None
    merged: list[Node] = field(default_factory=list)


class _Wrong(Exception):
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def lines_of(content: str) -> list[str]:
    """The lines as YAML counts them."""
    return _BREAKS.split(content)


def plain(node: Node) -> object:
    """The values without places."""
    if isinstance(node.value, dict):
        return {name: plain(child) for name, child in node.value.items()}
    if isinstance(node.value, list):
        return [plain(child) for child in node.value]
    return node.value


def decode(name: str, octets: bytes) -> tuple[str, list[Problem]]:
    """A file's text; what is wrong in it is replaced by U+FFFD, and a problem."""
    octets = octets.removeprefix(b"\xef\xbb\xbf")
    if octets[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "", [Problem("C102", "the file is UTF-16, not UTF-8", Place(name, 1, 1), notes=("save it as UTF-8",))]
    try:
        return octets.decode(), []
    except UnicodeDecodeError as error:
        before = lines_of(octets[: error.start].decode(errors="replace"))
        place = Place(name, len(before), len(before[-1]) + 1)
        note = "save the file as UTF-8; an octet of a value can be written in double quotes as \\xE4"
        return octets.decode(errors="replace"), [Problem("C102", f"octet {octets[error.start]:#04x} is not UTF-8", place, notes=(note,))]


def parse(name: str, content: str) -> tuple[Node | None, list[Problem]]:
    """The tree of the one document in the text, None when there is nothing in it or it cannot be read; and all problems.

    Never raises. Places are inside the text.
    """
    reading = _Reading(name, lines_of(content))
    try:
        reading.run(content)
    except _Wrong as wrong:
        reading.problems.append(wrong.problem)
        return None, reading.problems
    return reading.root, reading.problems


class _Reading:
    def __init__(self, name: str, lines: list[str]) -> None:
        self.name = name
        self.lines = lines
        self.problems: list[Problem] = []
        self.root: Node | None = None
        self._stack: list[_Open] = []
        self._anchors: dict[str, Node | None] = {}
        self._nodes = 0
        self._documents = 0

    def run(self, content: str) -> None:
        for event in self._events(content):
            if isinstance(event, yaml.DocumentStartEvent):
                self._documents += 1
                if self._documents > 1:
                    raise _Wrong(
                        Problem("C102", "a second document begins here", self._place(event.start_mark), notes=("remove the line ---",))
                    )
            elif isinstance(event, yaml.ScalarEvent):
                self._check(event)
                null = event.style is None and event.tag is None and event.value in _NULLS
                place = self._place(event.start_mark, event.end_mark)
                self._add(Node(None if null else event.value, place, place, written=event.value), event.anchor)
            elif isinstance(event, yaml.AliasEvent):
                self._alias(event)
            elif isinstance(event, yaml.CollectionStartEvent):
                self._check(event)
                place = self._place(event.start_mark)
                self._check_depth(0, place)
                value: dict[str, Node] | list[Node] = {} if isinstance(event, yaml.MappingStartEvent) else []
                if event.anchor:
                    self._anchors[event.anchor] = None
                self._stack.append(_Open(Node(value, place, place), event.anchor))
            elif isinstance(event, yaml.CollectionEndEvent):
                done = self._stack.pop()
                self._merge(done)
                self._add(done.node, done.anchor)

    def _events(self, content: str) -> Iterator[yaml.Event]:
        """The parser's events; whatever it raises is a problem with a place."""
        last: _Mark | None = None
        try:
            for event in yaml.parse(content, Loader=yaml.SafeLoader):
                last = event.end_mark
                yield event
        except yaml.reader.ReaderError as error:
            before = lines_of(content[: error.position])
            place = Place(self.name, len(before), len(before[-1]) + 1)
            sign = error.character if isinstance(error.character, int) else ord(error.character)
            raise _Wrong(Problem("C102", f"the character U+{sign:04X} may not stand in YAML", place)) from None
        except yaml.MarkedYAMLError as error:
            raise _Wrong(self._syntax(error, last)) from None
        except (ValueError, OverflowError, IndexError, AttributeError, TypeError, RecursionError):  # PyYAML on odd escapes and directives
            raise _Wrong(Problem("C102", "this is not YAML", self._place(last))) from None

    def _syntax(self, error: yaml.MarkedYAMLError, last: _Mark | None) -> Problem:
        place = self._place(error.problem_mark or error.context_mark or last)
        what, notes = error.problem or "", []
        if "'\\t'" in what or "\t" in self.lines[place.line - 1][: place.column]:
            return Problem("C102", "a tab, where YAML takes only blanks", place, "a tab", ("indent with blanks",))
        if "found undefined tag handle" in what:
            return Problem(
                "C112", "tags are not allowed", place, notes=("write the value without !; text that begins with ! needs quotes",)
            )
        if "mapping values are not allowed" in what:
            notes.append("a text with ': ' in it needs quotes, and options of one section the same indentation")
        elif "cannot start any token" in what:
            notes.append("a text that begins with this sign needs quotes")
        if error.context and error.context_mark:
            notes.append(f"{error.context} at line {self._place(error.context_mark).line}")
        return Problem("C102", f"this is not YAML: {what}", place, notes=tuple(notes))

    def _check(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        """No tag but those that say what is the case anyway; no half characters."""
        if event.tag is not None and event.tag not in _PLAIN_TAGS:
            label = event.tag.replace("tag:yaml.org,2002:", "!!")
            self.problems.append(
                Problem("C112", f"the tag {label} is not allowed", self._place(event.start_mark), notes=("write the value without it",))
            )
        if isinstance(event, yaml.ScalarEvent) and any("\ud800" <= sign <= "\udfff" for sign in event.value):
            raise _Wrong(Problem("C102", "half a character (a surrogate)", self._place(event.start_mark, event.end_mark)))

    def _alias(self, event: yaml.AliasEvent) -> None:
        place = self._place(event.start_mark, event.end_mark)
        if event.anchor not in self._anchors:
            raise _Wrong(Problem("C102", f"there is no anchor &{event.anchor} before this alias", place))
        target = self._anchors[event.anchor]
        if target is None:
            raise _Wrong(Problem("C111", f"*{event.anchor} stands inside of what it repeats", place))
        self._add(target.keyed(target.place), None, place)

    def _add(self, node: Node, anchor: str | None, alias: Place | None = None) -> None:
        """A whole value: a key, the value of one, an element, or the document."""
        self._nodes += node.size if alias else 1
        if self._nodes > MAX_NODES:
            raise _Wrong(Problem("C111", f"more than {MAX_NODES:,} values, with all aliases put in", alias or node.place))
        if anchor:
            self._anchors[anchor] = node
        if alias:
            self._check_depth(node.depth - 1, alias)
        if not self._stack:
            self.root = node
            return
        parent = self._stack[-1]
        parent.node.size += node.size
        parent.node.depth = max(parent.node.depth, node.depth + 1)
        if isinstance(parent.node.value, list):
            parent.node.value.append(node)
        elif parent.key is None:
            if not isinstance(node.value, str):
                what = "an empty key" if node.value is None else "a list or mapping as a key"
                raise _Wrong(Problem("C102", f"{what}", alias or node.place, notes=("a key is a word, and after it comes a colon",)))
            parent.key = node
        else:
            self._pair(parent, parent.key, node, alias)
            parent.key = None

    def _check_depth(self, more: int, place: Place) -> None:
        if len(self._stack) + more >= MAX_DEPTH:
            raise _Wrong(Problem("C111", f"more than {MAX_DEPTH} levels", place))

    def _pair(self, parent: _Open, key: Node, node: Node, alias: Place | None) -> None:
        assert isinstance(parent.node.value, dict) and isinstance(key.value, str)
        name = key.value
        if name == "<<":
            for one in node.value if isinstance(node.value, list) else [node]:
                if not isinstance(one.value, dict):
                    raise _Wrong(Problem("C102", "only mappings can be merged by <<", alias or key.place))
                parent.merged.append(one)
            return
        before = parent.node.value.get(name)
        if before is not None:
            note = f"the first one is at line {before.key.line}"
            self.problems.append(Problem("C103", f"'{name}' is given twice", key.place, "the second time", (note,)))
            return
        parent.node.value[name] = node.keyed(key.place)

    def _merge(self, done: _Open) -> None:
        """Puts in what `<<` names; what the mapping says itself holds."""
        for other in done.merged:
            assert isinstance(other.value, dict) and isinstance(done.node.value, dict)
            for name, node in other.value.items():
                done.node.value.setdefault(name, node)

    def _place(self, start: _Mark | None, end: _Mark | None = None) -> Place:
        """A place inside the text: what the parser means by its end is the end of the last line."""
        if start is None:
            return Place(self.name, 1, 1)
        line = min(start.line, len(self.lines) - 1)
        width = len(self.lines[line])
        column = min(start.column, width) if start.line == line else width
        stop = end.column if end is not None and end.line == start.line else width
        return Place(self.name, line + 1, column + 1, max(1, stop - column) if end is not None else 1)
