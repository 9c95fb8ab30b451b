"""One JSON object on a line: what can be decoded without harm, and where a line stops being JSON."""

from __future__ import annotations

import json
import re

from shipper.formats.base import stopped

DEPTH = 64
"""Objects and lists in one another that are read: encoders and decoders of JSON give up, or run out of stack, at some depth."""

_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[\]{}]')
_EXPECTED = {
    "Expecting value": "a value",
    "Expecting ',' delimiter": "',' or the end of the object",
    "Expecting ':' delimiter": "':'",
    "Expecting property name enclosed in double quotes": "a name in quotes",
    "Unterminated string starting at": "a text that ends",
    "Invalid control character at": "no control character",
    "Extra data": "the end of the line",
}
"""What json.JSONDecodeError says -> what should stand there."""


def shallow(line: str) -> bool:
    """Whether the line nests no deeper than `DEPTH`; brackets in texts do not count."""
    if line.count("{") + line.count("[") <= DEPTH:
        return True
    depth = 0
    for found in _BRACKET.finditer(line):
        depth += 1 if found[0] in "{[" else -1 if found[0] in "}]" else 0
        if depth > DEPTH:
            return False
    return True


def trouble(line: str) -> str:
    """The `error` of a line that is no JSON, or none that we decode: where reading stopped, as `stopped` says it."""
    if not shallow(line):
        return f"column 1: expected JSON of at most {DEPTH} levels"
    try:
        json.loads(line)
    except json.JSONDecodeError as problem:
        return stopped(problem.pos + 1, _EXPECTED.get(problem.msg, "valid JSON"), line)
    except ValueError as problem:
        return f"column 1: expected valid JSON, found: {str(problem)[:80]}"
    return "column 1: expected valid JSON, found half a surrogate pair or a number out of range"  # what the standard library takes
