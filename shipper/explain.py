"""What a word of the mail server's logs or settings means, in words and in the outside schemas: the answers of all subjects, in one order.

A word that means several things gets all its meanings, the likeliest first. A status text (`550 5.7.1 Relaying not permitted`) is taken apart
into its codes.
"""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Iterable, Sequence

from shipper.knowledge import ELSE, SUBJECTS, Meaning, enhanced, smtp
from shipper.screen import Emphasis, escaped, plain

LONGEST = 500
"""Characters of a word that are looked at: no word of ours is near that."""

_LABEL = 11
_NARROWEST = 40


def explain(word: str) -> list[Meaning]:
    """All meanings of a word, the likeliest first; `[]` when nobody knows it. Never raises."""
    word = word.strip()[:LONGEST]
    if not word:
        return []
    found = [meaning for subject in SUBJECTS for meaning in subject.meanings(word)]
    if not found and " " in word:
        found = [meaning for piece in word.split()[:8] for meaning in (*smtp.meanings(piece), *enhanced.meanings(piece))]
    known = [meaning for meaning in found if meaning.rank < ELSE] or found
    return sorted(known, key=lambda meaning: meaning.rank)


def nearest(word: str, count: int = 5) -> list[str]:
    """The names that look most like a word that nobody knows, the nearest first. What stands after `=` is kept: `LOG_CONECTION=3`."""
    name, equals, value = word.strip()[:LONGEST].partition("=")
    names = {known.lower(): known for subject in SUBJECTS for known in subject.words()}
    close = difflib.get_close_matches(name.lower(), names, count, 0.6)
    return [names[found] + equals + value if explain(names[found] + equals + value) else names[found] for found in close]


def as_text(meanings: Sequence[Meaning], width: int = 80, emphasis: Emphasis = plain) -> str:
    """The answer as a terminal shows it, in lines of at most `width` cells, each with its LF."""
    width = max(width, _NARROWEST)
    return "\n".join("".join(line + "\n" for line in _lines(meaning, width, emphasis)) for meaning in meanings)


def _lines(meaning: Meaning, width: int, emphasis: Emphasis) -> list[str]:
    word, room = escaped(meaning.word), max(width - len(meaning.kind) - 4, 8)
    if len(word) > room:
        word = word[: room - 3] + "..."
    if len(word) + len(meaning.kind) + 4 > width:
        lines = [emphasis(word), f"  ({meaning.kind})"]
    else:
        lines = [f"{emphasis(word)}  ({meaning.kind})"]
    lines += _wrapped(escaped(meaning.title), width, "  ")
    if meaning.parts:
        lines.append("")
        label = max(min(max(len(name) for name, _ in meaning.parts) + 2, 26), _LABEL)
        for name, text in meaning.parts:
            lines += _labelled(name, text, width, label)
    if meaning.notes:
        lines.append("")
        for note in meaning.notes:
            lines += _wrapped(escaped(note), width, "  ")
    facts = [*meaning.facts]
    if meaning.see:
        facts.append(("see also", ", ".join(meaning.see)))
    if facts:
        lines.append("")
        label = max(_LABEL, max(len(name) for name, _ in facts) + 2)
        for name, text in facts:
            lines += _labelled(name, text, width, label)
    return lines


def _wrapped(text: str, width: int, indent: str) -> list[str]:
    return textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)


def _labelled(name: str, text: str, width: int, label: int) -> list[str]:
    indent = " " * (2 + label)
    first = f"  {escaped(name):<{label}}"
    wrapped = textwrap.wrap(escaped(text), width - len(indent), break_on_hyphens=False) or [""]
    if len(first) > len(indent):
        return [first.rstrip(), *(indent + line for line in wrapped)]
    return [(first + wrapped[0]).rstrip(), *(indent + line for line in wrapped[1:])]


def as_data(word: str, meanings: Iterable[Meaning]) -> dict[str, object]:
    """The answer for machines: `{"word": …, "meanings": [{"kind", "word", "title", "notes", "parts", "facts", "see"}]}`."""
    return {
        "word": word,
        "meanings": [
            {
                "kind": meaning.kind,
                "word": meaning.word,
                "title": meaning.title,
                "notes": list(meaning.notes),
                "parts": [{"name": name, "text": text} for name, text in meaning.parts],
                "facts": [{"name": name, "text": text} for name, text in meaning.facts],
                "see": list(meaning.see),
            }
            for meaning in meanings
        ],
    }


def overview(width: int = 80, emphasis: Emphasis = plain) -> str:
    """What can be asked: each kind of word with examples."""
    width = max(width, _NARROWEST)
    lines = [emphasis("shipper explain WORD..."), ""]
    for subject in SUBJECTS:
        if subject.examples:
            lines.append(f"  {subject.name}")
            lines += _wrapped("   ".join(subject.examples), width, "      ")
    return "".join(line + "\n" for line in lines)
