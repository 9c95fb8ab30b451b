"""Text from outside, made fit for a terminal: nothing in it can move the cursor, change colours or turn the direction of writing.

`escaped` shows such a character as its escape (`\\x1b`); `one_cell` as one sign, so that columns under a line stay columns of the line.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

Emphasis = Callable[[str], str]
"""Marks a piece of our own text as important, or does nothing to it where there is no terminal."""

_PICTURES = {code: chr(0x2400 + code) for code in range(0x20)} | {0x7F: "\u2421"}


def plain(text: str) -> str:
    """No emphasis: for pipes and files."""
    return text


def bold(text: str) -> str:
    return f"\x1b[1m{text}\x1b[0m"


def escaped(text: str) -> str:
    """Control characters, direction marks, invisible and undefined characters and lone surrogates as `\\x1b`, `\\u202e`."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def one_cell(text: str) -> str:
    """As many cells as characters: what is not one printable cell is its picture (`␛`) where Unicode has one, else `\ufffd`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(sign if _is_one_cell(sign) else _PICTURES.get(ord(sign), "\ufffd") for sign in text)


def _is_one_cell(sign: str) -> bool:
    return sign.isprintable() and not unicodedata.combining(sign) and unicodedata.east_asian_width(sign) not in "WF" and not _is_mark(sign)


def _is_mark(sign: str) -> bool:
    return unicodedata.category(sign) in ("Mn", "Me", "Mc")
