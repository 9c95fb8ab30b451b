"""Our own error numbers (`I201`), and the exit codes they end with."""

from __future__ import annotations

import re
from collections.abc import Iterable

from shipper.errors import ERRORS
from shipper.knowledge.base import Meaning, Subject


def meanings(word: str) -> list[Meaning]:
    shape = re.fullmatch(r"(?:error)?\[?([A-Za-z][0-9]{3})\]?:?", word)
    number = shape[1].upper() if shape else ""
    error = ERRORS.get(number)
    if error is None:
        return []
    facts = (("solve", error.solve), ("exit code", str(error.exit)))
    return [Meaning("error of shipper", number, error.what, (error.why,), facts=facts)]


def words() -> Iterable[str]:
    return list(ERRORS)


SUBJECT = Subject("error numbers of shipper", tuple(ERRORS)[:1], meanings, words)
