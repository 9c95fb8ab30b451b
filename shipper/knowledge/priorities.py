"""Syslog priorities: the number facility×8 + severity (`22`, `<22>`), the pair in words (`mail.info`), a facility or a severity alone.

Sources: RFC 5424, section 6.2.1; the names are those of syslog(3) and of `logger`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from shipper import events
from shipper.knowledge.base import CERTAIN, LIKELY, POSSIBLE, Meaning, Subject

HIGHEST = len(events.FACILITIES) * 8 - 1
_SEVERITY_MEANING = {
    "emerg": "the system is unusable",
    "alert": "somebody has to act at once",
    "crit": "critical condition",
    "err": "error",
    "warning": "warning",
    "notice": "normal, but worth noting",
    "info": "informational",
    "debug": "for debugging",
}
_FACILITY_MEANING = {
    "kern": "the kernel",
    "user": "programs of users; what syslog takes where none is given",
    "mail": "the mail system",
    "daemon": "servers without a facility of their own",
    "auth": "authentication and authorisation",
    "syslog": "the syslog server itself",
    "lpr": "printing",
    "news": "network news",
    "uucp": "UUCP",
    "cron": "scheduled jobs",
    "authpriv": "authentication, for eyes that may see names",
    "ftp": "file transfer",
    "ntp": "time synchronisation",
    "audit": "audit records",
    "console": "alerts to the console (log alert)",
    "clock": "scheduled jobs (clock daemon)",
}
_OTHER_NAMES = {"panic": "emerg", "error": "err", "critical": "crit", "warn": "warning", "information": "info", "informational": "info"}
_NUMBER = re.compile(r"<?([0-9]{1,3})>?")


def in_words(number: int) -> str:
    """22 -> `mail.info`."""
    return f"{events.FACILITIES[number >> 3]}.{events.SEVERITIES[number & 7]}"


def _facility_meaning(name: str) -> str:
    return _FACILITY_MEANING.get(name, f"for local use, number {name[-1]}")


def _pair(number: int, rank: int) -> Meaning:
    facility, severity = events.FACILITIES[number >> 3], events.SEVERITIES[number & 7]
    return Meaning(
        "syslog priority",
        f"<{number}>",
        f"{facility}.{severity}: facility {number >> 3} × 8 + severity {number & 7} = {number}",
        parts=((facility, _facility_meaning(facility)), (severity, _SEVERITY_MEANING[severity])),
        facts=(
            ("ECS", f"log.syslog.priority: {number}; log.syslog.facility.name: {facility}; log.syslog.severity.name: {severity}"),
            ("OTel", f"SeverityNumber {events.OTEL_SEVERITY[severity]}"),
        ),
        see=(f"LOG_MESSAGES_SYSLOG={number}",),
        rank=rank,
    )


def meanings(word: str) -> list[Meaning]:
    number = _NUMBER.fullmatch(word)
    if number and word.isascii() and (word[0] == "<") == (word[-1] == ">"):
        value = int(number[1])
        return [_pair(value, CERTAIN if word[0] == "<" else LIKELY)] if value <= HIGHEST else []
    facility, dot, severity = word.lower().partition(".")
    severity = _OTHER_NAMES.get(severity, severity)
    if dot:
        if facility in events.FACILITIES and severity in events.SEVERITIES:
            return [_pair(events.FACILITIES.index(facility) * 8 + events.SEVERITIES.index(severity), CERTAIN)]
        return []
    found = []
    if facility in events.FACILITIES:
        code = events.FACILITIES.index(facility)
        note = "The values that logfile.<service>.syslogfacility takes are user, mail, daemon and local0 to local7."
        title = f"{_facility_meaning(facility)}; number {code}, so {facility}.info is <{code * 8 + 6}>"
        rank = CERTAIN if facility not in ("mail", "user", "audit", "console") else POSSIBLE
        found.append(Meaning("syslog facility", facility, title, (note,), see=(f"{facility}.info", "syslogfacility"), rank=rank))
    name = _OTHER_NAMES.get(facility, facility)
    if name in events.SEVERITIES:
        code = events.SEVERITIES.index(name)
        facts = (("OTel", f"SeverityNumber {events.OTEL_SEVERITY[name]}"), ("ECS", f"log.syslog.severity.code: {code}, .name: {name}"))
        title = f"{_SEVERITY_MEANING[name]}; number {code} of 0 (worst) to 7"
        found.append(Meaning("syslog severity", name, title, facts=facts, see=(f"mail.{name}",), rank=LIKELY))
    return found


def words() -> Iterable[str]:
    return [*events.FACILITIES, *events.SEVERITIES, *(f"mail.{severity}" for severity in events.SEVERITIES)]


SUBJECT = Subject("syslog priorities", ("<22>", "mail.info", "local3", "warning"), meanings, words)
