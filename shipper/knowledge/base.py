"""What an answer about one word looks like, and what a subject is that can give one.

A word may mean several things (`C` is an entry code and a modifier, `mail` a syslog facility and a log): every subject is asked, and `rank`
brings what is most likely meant to the top.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

CERTAIN = 0
"""The word has the shape of this subject alone, or is one of its names as they are written."""
LIKELY = 1
POSSIBLE = 2
ELSE = 3
"""Only worth saying when no other subject knows the word."""


class Meaning(NamedTuple):
    """One meaning of a word. `title` is one line; `notes` are sentences; `parts` are the pieces of the word, or the values it can have, each
    with its meaning; `facts` say what it is called elsewhere, (label, text); `see` are words that can be asked next."""

    kind: str
    word: str
    title: str
    notes: tuple[str, ...] = ()
    parts: tuple[tuple[str, str], ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    see: tuple[str, ...] = ()
    rank: int = CERTAIN


class Subject(NamedTuple):
    """A kind of word. `meanings` never raises and gives `[]` for a word of another kind; `words` are its names, to find the nearest one in."""

    name: str
    examples: tuple[str, ...]
    meanings: Callable[[str], list[Meaning]]
    words: Callable[[], Iterable[str]]
