"""What is wrong with a configuration, where, and what to do: shown as compilers show it.

    error[C104]: unknown option 'timezome' in input 'mta'
      --> shipper.yaml:12:5
       |
    12 |     timezome: Europe/Berlin
       |     ^^^^^^^^ not an option of a 'mta_log' input
       = did you mean 'timezone'?
       = help: shipper explain C104

A value that may be a secret is never shown, wherever it stands in that line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from shipper.errors import Place as Place
from shipper.errors import Problem as Problem
from shipper.screen import Emphasis, escaped, one_cell, plain

_SECRET = r"[\w.-]*(?:pas\w*w|pass|pwd|secr|tok|key|cred|auth|cookie|community)[\w.-]*"
_SECRET_KEY = re.compile(rf"(?:^|[\s{{,\"'])[\"']?{_SECRET}[\"']?\s*:\s+", re.IGNORECASE)
_SECRET_NAME = re.compile(_SECRET, re.IGNORECASE)
_NAMES_A_FILE = re.compile(r"(?:_|-)?(?:file|path|id)[\"']?\s*:?\s*$", re.IGNORECASE)
_SECRET_SETTING = re.compile(r"(?:pass(?:word|wd|phrase)?|pwd|secret|cred)[\w.:-]*[\"']?(?:\s*[=:]\s*|\s+-v\s+|\s+)(?=\S)", re.IGNORECASE)
_PARTS_OF_A_URL = re.compile(r"(://[^/\s:@]*:)[^/\s@]+(@)")
_SHOWN = 110
"""Columns of a source line that are shown."""


def text(problem: Problem, sources: Mapping[str, Sequence[str]], emphasis: Emphasis = plain) -> str:
    """The problem as lines, with the line of the file that it is in. `sources`: file -> its lines."""
    place = problem.place
    head = f"{'warning' if problem.warning else 'error'}[{problem.number}]:"
    lines = [f"{emphasis(head)} {escaped(problem.message)}", f"  --> {escaped(str(place))}"]
    source = sources.get(place.file, ())
    margin = ""
    if 0 < place.line <= len(source):
        number = str(place.line)
        margin = " " * (len(number) - 1)
        shown = masked(source[place.line - 1], place.column if problem.hidden else 0)
        start = max(0, min(place.column - 1, len(shown)) - 60) if len(shown) > _SHOWN else 0
        shown = one_cell(shown[start : start + _SHOWN].replace("\t", " "))
        caret = " " * min(place.column - 1 - start, len(shown)) + "^" * max(1, min(place.length, len(shown) - (place.column - 1 - start)))
        lines += [f"  {margin}|", f"{number} | {shown}".rstrip(), f"  {margin}| {caret} {escaped(problem.label)}".rstrip()]
    lines += [f"  {margin}= {escaped(note)}" for note in problem.notes]
    lines.append(f"  {margin}= help: shipper explain {problem.number}")
    return "\n".join(lines) + "\n"


def masked(line: str, column: int = 0) -> str:
    """A line without what may be a secret: what stands behind such a name, passwords in a URL, and everything behind the key at `column`.

    Values that the tree knows to be secrets are stars already (see `load`); this is for files that no tree could be made of, too.
    """
    if column:
        key, colon, _ = line[column - 1 :].partition(":")
        line = line[: column - 1] + (f"{key}{colon} ***" if colon else "***")
    for found in _SECRET_KEY.finditer(line):
        if found.end() < len(line) and not _NAMES_A_FILE.search(found[0]) and not line.startswith(("**", "${"), found.end()):
            line = f"{line[: found.end()]}***"
            break
    return without_password(line)


def without_password(text: str) -> str:
    """A text without the passwords of URLs in it."""
    return _PARTS_OF_A_URL.sub(r"\1***\2", text)


def without_secret(line: str) -> str:
    """A line of one of the mail server's files without what stands behind a name as `local.ugldapbindcred`."""
    found = _SECRET_SETTING.search(line)
    return f"{line[: found.end()]}***" if found else line


def names_secret(name: str) -> bool:
    """Whether an option of this name may hold a secret."""
    return _SECRET_NAME.fullmatch(name) is not None and not _NAMES_A_FILE.search(name)


def without_default(written: str) -> bool:
    """Whether a text with a variable has nothing in it that could be a secret."""
    return ":-" not in written
