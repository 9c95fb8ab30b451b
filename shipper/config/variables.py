"""What stands for something else in a value: `${VAR}`, `${VAR:-default}`, `${VAR:?message}`, `${env:VAR}`, `${file:PATH}`, `$$`.

Values are filled in after the YAML was read, one scalar at a time, so that no value can change the structure; keys are never touched, and
what was filled in is not looked at again. `:-` stands in for a variable that is unset or empty, `:?` ends with the message for one; else an
unset variable is an error. The line end at the end of a file is not part of it. `$$` is one `$`; any other `$` that no `{` follows is itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from shipper.config.problems import Problem
from shipper.config.tree import Node

MAX_FILE = 64 * 1024
_PIECES = re.compile(r"\$\$|\$\{([^{}]*)\}|\$\{|[^$]+|\$")
_VARIABLE = re.compile(r"(?:env:)?([A-Za-z_][A-Za-z0-9_]*)(?:(:-|:\?)(.*))?", re.DOTALL)
GRAMMAR = "write ${VAR}, ${VAR:-default}, ${VAR:?message} or ${file:PATH}; $$ is one $"


class Unset(Exception):
    """A reference has no value here. The text says why, and has no value in it."""


class Malformed(Exception):
    """A reference cannot be read."""


def filled(node: Node, environment: Mapping[str, str], folder: Path, lenient: bool, problems: list[Problem]) -> Node:
    """The tree with all references filled in; what goes wrong is added to `problems`.

    `folder`: where relative paths start. `lenient`: a reference without a value here is no problem. A node without a value is `unknown`.
    """
    if isinstance(node.value, dict):
        named = {name: filled(child, environment, folder, lenient, problems) for name, child in node.value.items()}
        return replace(node, value=named)
    if isinstance(node.value, list):
        return replace(node, value=[filled(child, environment, folder, lenient, problems) for child in node.value])
    if node.value is None or "$" not in node.value:
        return node
    try:
        pieces = [_piece(found, environment, folder) for found in _PIECES.finditer(node.value)]
    except Malformed as malformed:
        problems.append(Problem("C107", str(malformed), node.place, notes=(GRAMMAR,)))
    except Unset as unset:
        if not lenient:
            problems.append(Problem("C107", str(unset), node.place))
    else:
        return replace(node, value="".join(pieces), variable=any(found[1] is not None for found in _PIECES.finditer(node.value)))
    return replace(node, variable=True, unknown=True)


def _piece(found: re.Match[str], environment: Mapping[str, str], folder: Path) -> str:
    if found[0] == "$$":
        return "$"
    if found[1] is None:
        if found[0] == "${":
            raise Malformed("'${' without a '}'")
        return found[0]
    if found[1].startswith("file:"):
        return _content(found[1].removeprefix("file:"), folder)
    shape = _VARIABLE.fullmatch(found[1])
    if shape is None:
        raise Malformed("'${...}' is not the name of a variable")
    name, operator, rest = shape.groups()
    value = environment.get(name)
    if operator == ":-":
        return value or rest
    if operator == ":?" and not value:
        raise Unset(f"the variable {name} is {'unset' if value is None else 'empty'}{': ' if rest else ''}{rest}")
    if value is None:
        raise Unset(f"the variable {name} is not set, and has no default")
    return value


def _content(path: str, folder: Path) -> str:
    """A file's text, without the line end at its end."""
    try:
        with (folder / path).open("rb") as file:
            octets = file.read(MAX_FILE + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a path"
        raise Unset(f"the file '{path}' cannot be read: {reason.lower()}") from None
    if len(octets) > MAX_FILE:
        raise Unset(f"the file '{path}' is larger than {MAX_FILE // 1024} KiB")
    try:
        return octets.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise Unset(f"the file '{path}' is not UTF-8") from None
