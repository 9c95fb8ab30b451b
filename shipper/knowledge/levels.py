"""Levels and categories of service logs (seed, tables 21-4 and 21-5, and the levels that later versions add)."""

from __future__ import annotations

from collections.abc import Iterable

from shipper import events
from shipper.knowledge.base import CERTAIN, LIKELY, Meaning, Subject

_LEVELS: dict[str, tuple[str, str, str]] = {
    "Nolog": ("nothing is logged", "later versions", ""),
    "Emergency": ("the service cannot go on at all", "later versions", ""),
    "Alert": ("somebody has to act at once", "later versions", ""),
    "Critical": (
        "a severe problem, the fewest lines of all",
        "table 21-4",
        "For example: the server cannot reach a mailbox, or a library that it needs to run. "
        "Store transaction logs are written at this level whatever happened: do not alarm on them.",
    ),
    "Error": ("an error", "table 21-4", "For example: a connection to a client or to another server could not be made."),
    "Warning": ("a warning", "table 21-4", "For example: the server does not understand what a client sent."),
    "Notice": ("normal, but worth noting", "table 21-4", "The default. For example: a login fails, a session ends."),
    "Information": ("every important action", "table 21-4", "For example: a user logs in or out, a mailbox is created or renamed."),
    "Debug": ("every step, for finding faults", "table 21-4", "The most lines of all; not for every day."),
}
_CATEGORIES: dict[str, tuple[str, str]] = {
    "General": ("what has no category of its own in this service", ""),
    "LDAP": ("access to the LDAP directory", ""),
    "Network": ("connections", "Errors of sockets are here."),
    "Account": ("user accounts", "Logins, failed logins and ends of sessions are here."),
    "Protocol": ("commands of the protocol", "Errors that POP, IMAP or HTTP functions return are here."),
    "Stats": ("the gathering of statistics", "The guide calls this category Statistics."),
    "Store": ("low-level access to the message store", "Read and write errors are here, and the message trace: append, fetch, expunge."),
}
_OTHER_NAMES = {"statistics": "stats", "info": "information", "warn": "warning", "crit": "critical", "err": "error", "emerg": "emergency"}


def meanings(word: str) -> list[Meaning]:
    name = word.lower().rstrip(":")
    name = _OTHER_NAMES.get(name, name)
    found = []
    for position, (level, (text, source, note)) in enumerate(_LEVELS.items()):
        if level.lower() != name:
            continue
        keyword = events.LEVELS[name]
        notes = [note] if note else []
        if position > 0:
            above = list(_LEVELS)[1:position]
            notes.append(f"With this loglevel the log has this level{' and ' + ', '.join(above) if above else ''}.")
        facts = [("source", source)]
        if name != "nolog":
            facts += [("syslog", f"severity {keyword} ({events.SEVERITIES.index(keyword)})"), ("ECS", f"log.level: {level}")]
            facts += [("OTel", f"SeverityText {level}, SeverityNumber {events.OTEL_SEVERITY[keyword]}")]
        rank = LIKELY if word.lower() in _OTHER_NAMES or (word == "debug") else CERTAIN
        found.append(Meaning("level of a service log", level, text, tuple(notes), facts=tuple(facts), see=("loglevel",), rank=rank))
    for category, (text, note) in _CATEGORIES.items():
        if category.lower() == name:
            facts = [("source", "table 21-5"), ("ECS", f"log.logger: {category}"), ("OTel", f"sunmsg.service.category: {category}")]
            notes = [note] if note else []
            found.append(Meaning("category of a service log", category, text, tuple(notes), facts=tuple(facts)))
    return found


def words() -> Iterable[str]:
    return [*_LEVELS, *_CATEGORIES, "Statistics"]


SUBJECT = Subject("levels and categories of service logs", ("Notice", "Account", "Store"), meanings, words)
