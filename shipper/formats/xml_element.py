"""One self-closed XML element on a line, as the MTA and the message store write their records: `<en ts="…" ac="E"/>`.

Read by hand and not by an XML parser: a line is no document, nothing is ever expanded but characters, and damage must be told by its column.

- Attributes in any order, in single or double quotes, blanks or tabs between them; `></en>` does for `/>`. Nothing but blanks may follow.
- References `&lt; &gt; &amp; &quot; &apos; &#10; &#x0A;` are decoded once; any other `&` stands for itself.
- A name that comes twice is there twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

_STRAIGHT = re.compile(r'<([A-Za-z_][\w.:-]*+)((?: [A-Za-z_][\w.:-]*+=")++)')
_SHAPE = 400
"""Characters of the longest element, without its values, that is remembered."""
_NAME = re.compile(r"<([A-Za-z_][\w.:-]*+)")
_BLANKS = re.compile(r"[ \t\r]*+")
_ATTRIBUTE = re.compile(r"[ \t]++([^\s=<>\"'/&]++)[ \t]*+=[ \t]*+(?:\"([^\"]*+)\"|'([^']*+)')")
_BEGUN = re.compile(r"([^\s=<>\"'/&]++)[ \t]*+(?:(=)[ \t]*+([\"'])?+)?+")
_REFERENCE = re.compile(r"&(?:#x([0-9A-Fa-f]{1,8})|#([0-9]{1,8})|(lt|gt|amp|quot|apos));")
_ENTITIES = {"lt": "<", "gt": ">", "amp": "&", "quot": '"', "apos": "'"}
_ESCAPES = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;", ord('"'): "&quot;"} | {
    code: f"&#{code};" for code in (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029)
}


class Element(NamedTuple):
    """An element: its name, and its attributes in order. `column` (from 1) is where reading stopped and `expected` what should have stood
    there; 0 when the element is whole."""

    name: str
    names: Sequence[str]
    values: list[str]
    column: int = 0
    expected: str = ""


def straight(line: str) -> tuple[str, tuple[str, ...], list[str]] | None:
    """(name, names, values) of an element as the servers write it: `<name first="…" second="…"/>`, and no single blank more. None of any
    other, which `scan` reads."""
    text = line
    if "&" in line and line.startswith("<"):  # these two make no other reference, and an id in each line has them
        text = line.replace("&lt;", "<").replace("&gt;", ">")
    pieces = text.split('"')
    if pieces.pop() != "/>" or len(pieces) % 2:
        return None
    around = '"'.join(pieces[::2])
    shape = _shape(around) if len(around) < _SHAPE else None
    if shape is None:
        return None
    values = pieces[1::2]
    if "&" in text:
        values = [decode(value) for value in values]
    return shape[0], shape[1], values


@lru_cache(maxsize=1024)
def _shape(around: str) -> tuple[str, tuple[str, ...]] | None:
    """What stands around the values of a straight element, `<en ts=" ac=`, -> its name and those of its attributes; None of any other.

    A server writes some dozen of them, and each millions of times.
    """
    found = _STRAIGHT.fullmatch(around + '"')
    return (found[1], tuple(found[2][1:-2].split('=" '))) if found else None


def scan(line: str) -> Element | None:
    """The element that is this line; None when the line does not begin with `<name` after blanks. Never raises; linear time."""
    position = _end(_BLANKS, line, 0)
    begun = _NAME.match(line, position)
    if begun is None:
        return None
    names: list[str] = []
    values: list[str] = []
    position = begun.end()
    while found := _ATTRIBUTE.match(line, position):
        names.append(found[1])
        values.append(decode(found[2] if found[3] is None else found[3]))
        position = found.end()
    blanks = _end(_BLANKS, line, position)
    closing = f"></{begun[1]}"
    if line.startswith("/>", blanks):
        end = blanks + 2
    elif line.startswith(closing, blanks) and line.startswith(">", end := _end(_BLANKS, line, blanks + len(closing))):
        end += 1
    else:
        return Element(begun[1], names, values, *_broken(line, position, blanks))
    rest = _end(_BLANKS, line, end)
    if rest < len(line):
        return Element(begun[1], names, values, rest + 1, "the end of the line")
    return Element(begun[1], names, values)


def _broken(line: str, position: int, blanks: int) -> tuple[int, str]:
    """(column, what should stand there) where neither an attribute nor the end of the element follows."""
    begun = _BEGUN.match(line, blanks)
    if begun is None or blanks == position:
        return blanks + 1, "an attribute or '/>'"
    if not begun[2]:
        return begun.end() + 1, "'='"
    if not begun[3]:
        return begun.end() + 1, "a value in quotes"
    return len(line) + 1, f"the {begun[3]} that ends the value of {begun[1]!r}"


def _end(pattern: re.Pattern[str], line: str, position: int) -> int:
    found = pattern.match(line, position)
    return found.end() if found else position


def decode(text: str) -> str:
    """`a &lt;b&gt;` -> `a <b>`; a reference that names no character stays as it is."""
    return _REFERENCE.sub(_character, text) if "&" in text else text


def _character(found: re.Match[str]) -> str:
    if found[3]:
        return _ENTITIES[found[3]]
    code = int(found[1], 16) if found[1] else int(found[2])
    if code > 0x10FFFF or 0xD800 <= code < 0xE000:  # no character of Unicode
        return found[0]
    return chr(code)


def write(name: str, attributes: Iterable[tuple[str, Any]]) -> str:
    """An element as one line. Values are written as text, their control characters and line separators as references; a list is the same
    attribute several times."""
    pairs = ((key, each) for key, value in attributes for each in (value if isinstance(value, list) else (value,)))
    return f"<{name}" + "".join([f' {key}="{str(value).translate(_ESCAPES)}"' for key, value in pairs]) + "/>"
