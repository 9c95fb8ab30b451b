"""Settings that take each other's effect away, or have another effect than they seem to have: one warning each, with both places.

A rule is a function from a server to what it has to say; `RULES` has them all. Each is a row of docs/mailserver.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from shipper.errors import Place, Problem
from shipper.events import FACILITIES, SEVERITIES
from shipper.mailserver.options import LEVELS, LOGFILE, LOGFILE_PREFIX, TRACE
from shipper.mailserver.settings import MailServer, Setting

RECORDS = 2 | 4 | 128
"""The bits of LOG_CONNECTION that make connection records: opened and closed, ETRN, authentication."""

_SYSLOG = ("LOG_MESSAGES_SYSLOG", "LOG_CONNECTIONS_SYSLOG")
_UNUSUAL = range(12, 16)
"""Facilities of RFC 5424 that syslog(3) does not have: ntp, audit, console, clock."""

Said = Iterator[Problem]


def contradictions(server: MailServer) -> list[Problem]:
    """All that the rules say, as warnings."""
    return [said for rule in RULES for said in rule(server)]


def _warning(about: Setting, message: str, *others: Setting, note: str = "") -> Problem:
    """About one setting; the places of the others stand in the notes."""
    notes = [f"{_told(other)}: {other.place or 'the default'}" for other in others]
    return Problem("C155", message, about.place or Place("", 0, 0), "", (*notes, *([note] if note else [])), warning=True)


def _told(setting: Setting) -> str:
    """`LOG_CONNECTION=3`; a keyword of a channel alone."""
    return setting.name if setting.name in ("logging", "nologging") else f"{setting.name}={setting.written or setting.value}"


def _on_by_one(server: MailServer) -> Said:
    for name in _SYSLOG:
        setting = server.settings.get(name)
        if setting and abs(setting.number) == 1:
            priority = f"{FACILITIES[server.mta_priority >> 3]}.{SEVERITIES[server.mta_priority & 7]}"
            yield _warning(
                setting,
                f"{setting.name}={setting.written}: the guide says 1 for 'on', and the server itself then sends user.alert; "
                f"we send {priority} (mta_priority)",
                note=f"{'-' if setting.number < 0 else ''}22 says mail.info",
            )


def _without_facility(server: MailServer) -> Said:
    for name in _SYSLOG:
        setting = server.settings.get(name)
        number = abs(setting.number) if setting else 0
        if setting and 2 <= number < 8:
            yield _warning(
                setting,
                f"{setting.name}={setting.written} has no facility: records go out as user.{SEVERITIES[number]}",
                note=f"{16 + number} is mail.{SEVERITIES[number]}",
            )
        elif setting and number >> 3 in _UNUSUAL:
            facility = FACILITIES[number >> 3]
            yield _warning(setting, f"{setting.name}={setting.written}: '{facility}' is a facility that syslog(3) of most systems lacks")


def _no_files(server: MailServer) -> Said:
    setting = server.settings.get("LOG_MESSAGES_SYSLOG")
    if setting and setting.number < 0:
        yield _warning(
            setting, f"{setting.name}={setting.written} is negative: no mail.log is written, and only a syslog receiver sees the records"
        )


def _separate_log_without_files(server: MailServer) -> Said:
    separate, syslog = server.settings.get("SEPARATE_CONNECTION_LOG"), server.option("LOG_CONNECTIONS_SYSLOG")
    if separate and separate.number and syslog.number < 0:
        yield _warning(separate, f"connection.log stays empty: {syslog.name} is negative, connection records go to syslog only", syslog)


def _no_connection_records(server: MailServer) -> Said:
    connection = server.option("LOG_CONNECTION")
    if connection.number & RECORDS or not (connection.place or server.mta_known):
        return
    for name in ("SEPARATE_CONNECTION_LOG", "LOG_CONNECTIONS_SYSLOG"):
        setting = server.settings.get(name)
        if setting and setting.number:
            yield _warning(setting, f"{setting.name} has no effect: LOG_CONNECTION does not log connections", connection,
                           note="LOG_CONNECTION=3 does")  # fmt: skip


def _facility_and_files(server: MailServer) -> Said:
    for service in server.services:
        facility = server.logfile(service, "syslogfacility")
        if facility.value == "none" or service == "*":
            continue
        others = [
            found
            for option in LOGFILE
            if option != "syslogfacility"
            if (found := server.settings.get(f"{LOGFILE_PREFIX}{service}.{option}"))
        ]
        if others and facility.place:
            names = ", ".join(found.name.rpartition(".")[2] for found in others)
            message = f"{facility.name}={facility.written} sends everything to syslog: {names} of '{service}' {_have(others)} no effect"
            yield _warning(facility, message, *others)


def _have(others: list[Setting]) -> str:
    return "have" if len(others) > 1 else "has"


def _limits(server: MailServer) -> Said:
    for service in server.services:
        if server.logfile(service, "syslogfacility").value != "none":
            continue
        for smaller, larger, why in (
            ("maxlogfilesize", "maxlogsize", "older files go before one is full"),
            ("rollovertime", "expirytime", "a log file is old enough to go before a new one is begun"),
        ):
            one, all_ = server.logfile(service, smaller), server.logfile(service, larger)
            if one.number > all_.number:
                about, other = (one, all_) if one.place else (all_, one)
                yield _warning(about, f"{one.name.rpartition('.')[2]} of '{service}' is more than {larger}: {why}", other)


def _limits_out_of_reach(server: MailServer) -> Said:
    """The number of files, and how big and old each may become, bounds their size and age together as well."""
    for service in server.services:
        if server.logfile(service, "syslogfacility").value != "none":
            continue
        files = server.logfile(service, "maxlogfiles")
        for whole, part, what in (("maxlogsize", "maxlogfilesize", "bytes"), ("expirytime", "rollovertime", "seconds")):
            limit, each = server.logfile(service, whole), server.logfile(service, part)
            most = files.number * each.number
            if limit.place and limit.value != LOGFILE[whole].default and limit.number > most:
                told = f"{files.number} files of {each.number} {what} are {most}"
                yield _warning(limit, f"{whole} of '{service}' is never reached: {told}, and older ones go", files, each)


def _trace_filtered(server: MailServer) -> Said:
    trace = server.settings.get(TRACE)
    services = {"yes": ("imap", "pop"), "msgtrace": ("msgtrace",)}.get(str(trace.value) if trace else "", ())
    for service in services:
        level = server.logfile(service, "loglevel")
        if (
            trace
            and LEVELS.index(str(level.value)) < LEVELS.index("information")
            and server.logfile(service, "syslogfacility").value == "none"
        ):
            yield _warning(trace, f"the message trace is written at Information, and '{service}' logs less: it is left out", level)


def _nothing_logged(server: MailServer) -> Said:
    if not server.channels or any(channel.value for channel in server.channels.values()):
        return
    for name in (*_SYSLOG, "LOG_FORMAT", "LOG_MESSAGE_ID"):
        setting = server.settings.get(name)
        if setting and setting.number:
            said = next((channel for channel in server.channels.values() if channel.place), Setting("nologging", 0))
            note = "the keyword 'logging' on the channel 'defaults' turns it on"
            yield _warning(setting, f"{setting.name} has no effect on messages: no channel has the keyword 'logging'", said, note=note)
            return


RULES: tuple[Callable[[MailServer], Said], ...] = (
    _on_by_one,
    _without_facility,
    _no_files,
    _separate_log_without_files,
    _no_connection_records,
    _facility_and_files,
    _limits,
    _limits_out_of_reach,
    _trace_filtered,
    _nothing_logged,
)
