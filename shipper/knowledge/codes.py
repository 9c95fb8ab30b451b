"""Entry codes of the MTA's log with any modifiers (`E`, `DSA`, `EEQ`), and what each is in ECS, OpenTelemetry, OCSF and CIM.

A code is one letter for what happened and a letter for each circumstance. The letters that follow are an open set: `EEX` is explained too, as
far as it is known. Sources: seed, table 21-2; the 6.3 guide's tables of action and modifier codes.
"""

from __future__ import annotations

from collections.abc import Iterable

from shipper import events
from shipper.knowledge.base import CERTAIN, LIKELY, POSSIBLE, Meaning, Subject

_LONGEST = 8
_MEANINGS = {code: event.meaning for code, event in {**events.MTA_EVENTS, **events.CONNECTION_EVENTS}.items()}
_MEANINGS["U"] = "SMTP authentication succeeded, or failed, as the record's text says"
_NOTES: dict[str, tuple[str, ...]] = {
    "B": (
        "The recipient's place in the record holds the command that was refused, the diagnostic the answer that the server gave.",
        "The channel option MAX_B_ENTRIES (10 unless set) ends the logging of them in one session.",
    ),
    "D": ("One record for each recipient. The diagnostic of an SMTP channel is the other server's answer to this recipient.",),
    "E": ("One record for each recipient: a message to three people makes three, with one message id.",),
    "J": (
        "The message was never queued, so the size is 0. The diagnostic is the answer that the sender was given.",
        "The last J record of a session says that it is the last.",
    ),
    "K": (
        "Like R, but the sender hears nothing: NOTIFY=NEVER was asked for, or an administrator deleted or returned the message with imsimta qm.",
    ),
    "Q": (
        "The size is the amount that was handled before the failure and may be 0.",
        "With LOG_FILENAME=1 the file name tells which attempt it was: ZZ first, ZY second, ZX third.",
    ),
    "R": ("A message to the sender about the failure was queued: look for an E record to the channel `process` just before it.",),
    "V": ("The manuals do not list it; it is seen where the other side broke off in the middle of sending a message.",),
    "W": ("The message stays in the queue. The channel keyword `notices` says after how many days a warning goes out.",),
    "Z": ("The message file of all recipients is removed, and one for those who are still to be served is written at once.",),
    "C": ("The diagnostic says why it was closed, a limit of the session that was reached included.",),
    "I": ("A client asked with ETRN that mail waiting for it be sent.",),
    "O": ("`+` instead of a destination channel: a client connected to us; `-`: we connected to a server.",),
    "U": ("Written when bit 7 (value 128) of LOG_CONNECTION is set. The user name stands in its own field where it is known.",),
    "X": ("Refused before any message: by an access table such as PORT_ACCESS, or by a limit.",),
    "Y": ("Nothing was exchanged: no route, refused, timed out. The TCP part may be missing from the record.",),
}


def _facts(code: str, event: events.Event) -> tuple[tuple[str, str], ...]:
    name = f"{events.NAMESPACE}.{event.name}"
    ecs = [f"event.code: {code}", f"event.action: {event.action}", f"event.outcome: {event.outcome}"]
    ecs += [f"event.category: {', '.join(event.category)}", f"event.type: {', '.join(event.types)}"]
    if "S" in code[1:]:
        ecs.append("tls.established: true")
    return (
        ("event", f"{event.name}, severity {event.severity}"),
        ("ECS", "; ".join(ecs)),
        ("OTel", f"EventName {name}, SeverityNumber {events.OTEL_SEVERITY[event.severity]}"),
        ("OCSF", event.ocsf),
        ("CIM", event.cim),
        ("CEF", f"severity {event.cef_severity}"),
    )


def _entry_code(word: str) -> Meaning | None:
    code = word.upper()
    event = events.MTA_EVENTS.get(code[:1]) or events.CONNECTION_EVENTS.get(code[:1])
    if event is None or not code.isascii() or not code.isalpha() or len(code) > _LONGEST:
        return None
    unknown = [letter for letter in code[1:] if letter not in events.MODIFIERS]
    if len(unknown) > 1 or (unknown and word != code):
        return None
    known = [events.MODIFIERS[letter] for letter in dict.fromkeys(code[1:]) if letter in events.MODIFIERS and letter != "Q"]
    notes = _NOTES[code[0]]
    if unknown:
        notes += (f"No manual lists the modifier {unknown[0]}. It is kept as written, in `modifiers`.",)
    if code[0] == "U":
        notes += (f"Below is a success; a failure has outcome failure and severity {events.AUTH_FAILED.severity}.",)
    parts = []
    if len(code) > 1:
        parts = [(code[0], _MEANINGS[code[0]])]
        parts += [(letter, events.MODIFIERS.get(letter, "not known")) for letter in code[1:]]
    where = "connection" if code[0] in events.CONNECTION_EVENTS else "message"
    return Meaning(
        f"entry code of a {where} record",
        code,
        "; ".join([_MEANINGS[code[0]], *known]),
        notes,
        tuple(parts),
        _facts(code, event),
        ("LOG_CONNECTION",) if where == "connection" else (),
        POSSIBLE if unknown else CERTAIN if word == code else LIKELY,
    )


def _modifier(word: str) -> Meaning | None:
    letter = word.upper()
    meaning = events.MODIFIERS.get(letter)
    if meaning is None:
        return None
    notes = [f"It follows the letter of what happened, as in E{letter} or D{letter}; the order of several is not fixed."]
    if letter == "A":
        notes.append("The user name in the record then begins with an asterisk (LOG_USERNAME=1).")
    if letter == "P":
        notes.append("Seen on mail that came through the MMP's submission proxy; no manual says so.")
    return Meaning(
        "modifier of an entry code", letter, meaning, tuple(notes), see=("EEC", "DSA"), rank=LIKELY if word == letter else POSSIBLE
    )


def meanings(word: str) -> list[Meaning]:
    return [found for found in (_entry_code(word), _modifier(word)) if found]


def words() -> Iterable[str]:
    letters = [*events.MTA_EVENTS, *events.CONNECTION_EVENTS]
    return [*letters, *(letter + ending for letter in "BDE" for ending in ("A", "S", "SA")), "EE", "EEC", "JA", "JE"]


SUBJECT = Subject("entry codes and modifiers", ("E", "DSA", "EEQ", "C"), meanings, words)
