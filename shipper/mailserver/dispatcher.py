"""The dispatcher's configuration file (dispatcher.cnf): `option=value`, in sections `[SERVICE=SMTP]`; above the first one, for all services.

    DEBUG=-1
    [SERVICE=SMTP]
    PORT=25
    PARAMETER=CHANNEL=tcp_local

Comments, continuation and numbers are those of option files. A setting is given the name that the unified configuration has for it,
`dispatcher.debug`, `dispatcher.service:SMTP.port`. Sources: "Dispatcher Configuration File" of the reference (acmlf), seed, table 21-3.
"""

from __future__ import annotations

import re

from shipper.errors import Problem
from shipper.mailserver.lines import Assignment, logical
from shipper.mailserver.optionfile import COMMENTS, assignment

_SECTION = re.compile(r"\s*\[\s*SERVICE\s*=\s*([^\]\s]+)\s*\]\s*", re.IGNORECASE)


def read(file: str, text: str) -> tuple[list[Assignment], list[Problem]]:
    """All settings of a dispatcher.cnf, and the lines that are none (warnings: nothing that rules a log stands in them)."""
    found: list[Assignment] = []
    problems: list[Problem] = []
    section = "dispatcher."
    for line in logical(file, text, COMMENTS, strip=True):
        if shape := _SECTION.fullmatch(line.text):
            section = f"dispatcher.service:{shape[1]}."
        elif option := assignment(line):
            found.append(option._replace(name=section + option.name.lower()))
        elif line.text.strip():
            place = line.place(len(line.text) - len(line.text.lstrip()), len(line.text.strip()))
            problems.append(Problem("C156", "this is neither option=value nor [SERVICE=name]: it is not read", place, warning=True))
    return found, problems
