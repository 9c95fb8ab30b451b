"""Lines of the mail server's files as the server sees them, each part with its place in the file: comments gone, continued lines joined.

A line that ends in `\\` goes on in the next one, over comments between them. A comment begins in the first column; before a line that
continues none, blanks may stand before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from shipper.errors import Place

_ENDS = re.compile(r"\r\n|\n|\r")


class Line(NamedTuple):
    """A line, joined; `spots`: (offset in `text`, line, column) of each stretch of the file that it consists of."""

    text: str
    file: str
    spots: tuple[tuple[int, int, int], ...]

    def place(self, start: int = 0, length: int = 1) -> Place:
        """Where in the file `text[start : start + length]` begins; as long as it goes in that line of the file."""
        offset, line, column = next(spot for spot in reversed(self.spots) if spot[0] <= start)
        later = [spot[0] for spot in self.spots if spot[0] > start]
        return Place(self.file, line, column + start - offset, max(1, min(length, (later[0] if later else len(self.text)) - start)))

    def span(self, shape: re.Match[str], group: str | int) -> Place:
        """The place of what a regular expression found in `text`."""
        return self.place(shape.start(group), shape.end(group) - shape.start(group))


class Assignment(NamedTuple):
    """`name = value` as it is written, both with their places."""

    name: str
    value: str
    place: Place
    value_place: Place


def physical(text: str) -> list[str]:
    """The lines of a file, whichever of the three line ends it has."""
    return _ENDS.split(text)


def logical(file: str, text: str, comments: str, *, strip: bool) -> Iterator[Line]:
    """The lines that are no comments; an empty one is given as such. `comments`: the characters that begin one; `strip`: the blanks at the
    beginning of a continued line do not count."""
    pieces: list[str] = []
    spots: list[tuple[int, int, int]] = []
    length = 0
    for number, line in enumerate(physical(text), 1):
        first = line[:1] if spots else line.lstrip()[:1]
        if first and first in comments:
            continue
        start = len(line) - len(line.lstrip()) if spots and strip else 0
        rest = line[start:].rstrip()
        spots.append((length, number, start + 1))
        goes_on = rest.endswith("\\")
        pieces.append(rest[:-1] if goes_on else rest)
        length += len(pieces[-1])
        if not goes_on:
            yield Line("".join(pieces), file, tuple(spots))
            pieces, spots, length = [], [], 0
    if spots:
        yield Line("".join(pieces), file, tuple(spots))
