"""A dump of the server's settings: what `configutil` lists, or `msconfig show` in the unified configuration.

    logfile.imap.loglevel = Notice                     configutil
    logfile.imap.loglevel: "Notice"                    some of its copies in tickets and wikis
    role.imap.logfile.loglevel = Notice                msconfig show
    role.channel:tcp_local.logging (novalue)
    configutil -o logfile.imap.loglevel -v Notice      a script that sets it
    msconfig set imap.logfile.loglevel Notice

- Quotes around a value do not count. A `#`, `!` or `;` begins a comment. A prompt (`msconfig> show`) is no setting, unless a setting is
  made there.
- An empty value is none: configutil lists what is not set as well. `;lang-xx` behind a name is left out of it.
- The spelling of `msconfig show` was found for channels (`role.channel:hold.official_host_name = hold-daemon`); that of an option without
  a value was not: `(novalue)`, `(no value)` and nothing at all are taken.
- `config.xml` itself is not read.
- What is none of these is reported and else left alone: values of several lines are in such dumps.
"""

from __future__ import annotations

import re

from shipper.errors import Problem
from shipper.mailserver.lines import Assignment, Line, physical
from shipper.mailserver.optionfile import COMMENTS

_NAME = r"(?P<name>[A-Za-z*][\w*:.-]*)(?:;lang-[\w-]+)?"
_SHAPES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"\s*(?:[$%>]\s*)?(?:[\w./-]*/)?configutil(?:\s+-[A-Za-np-z])*\s+-o\s+{_NAME}\s+-v(?:\s+|$)",
        rf"\s*(?:[$%]\s+)?(?:(?:[\w./-]*/)?msconfig(?:\s+|[>#*]\s*))?set\s+{_NAME}(?:\s+|$)",
        rf"\s*{_NAME}\s*=",
        rf"\s*{_NAME}\s*:(?:\s|$)",
        r"\s*(?P<name>[A-Za-z][\w:-]*\.[\w:.-]+)(?=\s*(?:\(no ?value\))?\s*$)",
    )
)
"""What stands before a value; the last one has none."""
_PROMPT = re.compile(r"\s*(?:msconfig[>#*]|[$%]\s)(?!.*(?:[\s>#*]set|\s-v)\s)", re.IGNORECASE)
_NO_VALUE = re.compile(r"\(no ?value\)", re.IGNORECASE)
SWITCHED_ON = "(novalue)"
"""What the value of an option without one is given as."""


def read(file: str, text: str) -> tuple[list[Assignment], list[Problem]]:
    """All settings of a dump, and the lines that are none, as warnings."""
    found: list[Assignment] = []
    problems: list[Problem] = []
    for number, written in enumerate(physical(text), 1):
        line = Line(written.rstrip(), file, ((0, number, 1),))
        if not line.text or line.text.lstrip()[0] in COMMENTS:
            continue
        shape = next((shape for pattern in _SHAPES if (shape := pattern.match(line.text))), None)
        if shape:
            rest = line.text[shape.end() :].lstrip()
            start = len(line.text) - len(rest)
            if len(rest) > 1 and rest[0] == rest[-1] and rest[0] in "\"'":
                rest, start = rest[1:-1], start + 1
            if shape.re is _SHAPES[-1] or _NO_VALUE.fullmatch(rest):
                rest = SWITCHED_ON
            if rest:
                found.append(Assignment(shape["name"], rest, line.span(shape, "name"), line.place(start, len(rest))))
        elif not _PROMPT.match(line.text):
            place = line.place(len(line.text) - len(line.text.lstrip()), len(line.text.strip()))
            problems.append(Problem("C156", "this is no setting: name = value was expected", place, warning=True))
    return found, problems
