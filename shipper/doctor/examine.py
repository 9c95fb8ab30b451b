"""Settings and logs -> a report: rows of what is logged where, and findings with the line to add.

A finding is about something that an admin would want to know before an incident: a question that the logs cannot answer, records that come twice
or never, values that do not mean what they seem to, logs that are gone before an outage is over. It says what to add where.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from shipper import events
from shipper.doctor.look import Found, LogFile
from shipper.knowledge.logfile_options import size_text, time_text
from shipper.mailserver import destinations
from shipper.mailserver.destinations import CONNECTIONS, MESSAGES, SEPARATE, Destination, destination
from shipper.mailserver.settings import MailServer, Setting
from shipper.record import Connection, Mta, Service

Level = Literal["error", "warning", "advice"]
OUTAGE = 3 * 86400.0
"""Seconds that an outage may last, from Friday evening to Monday, before logs that nobody read are gone."""

SERVICES = ("imap", "pop", "http", "admin", "default", "imta")
"""Those that every server has."""
SHOW = ("msconfig show > msconfig.txt", "shipper doctor --configutil msconfig.txt")
"""How the settings of a unified configuration come here."""
_LOGINS = ("imap", "pop", "http")
_MUCH = 1 << 30


@dataclass(frozen=True, slots=True)
class Row:
    """What is logged where: `what` the records are, `where` they go, and the settings that say so."""

    what: str
    where: str
    by: tuple[Setting, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """`about`: `nothing`, `questions`, `twice or never`, `alarm`, `retention` or `files`; `fix`: lines to add, or commands, as they stand; `place`:
    where the setting stands, or should."""

    level: Level
    about: str
    what: str
    why: str = ""
    fix: tuple[str, ...] = ()
    place: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """`zone`: of the stamps that name none, "" where nothing says it."""

    found: Found
    server: MailServer
    rows: Sequence[Row]
    findings: Sequence[Finding]
    zone: str = ""
    unread: Sequence[LogFile] = field(default=())

    def facilities(self) -> list[str]:
        """With which facilities the server sends anything to syslog, so that somebody has to listen."""
        return sorted({one.facility for one in _destinations(self.server).values() if one.syslog})


def examine(
    server: MailServer,
    found: Found,
    *,
    outage: float = OUTAGE,
    reads: Callable[[LogFile], bool] | None = None,
    local: str = "",
    now: float | None = None,
) -> Report:
    """The report. `reads` says whether an input reads a log (None: those that `written` would configure do); `local`: this machine's zone."""
    now = time.time() if now is None else now
    findings = [
        *_nothing(server, found),
        *_questions(server, found),
        *_twice_or_never(server, found),
        *_alarms(server),
        *_retention(server, found, outage),
        *_growth(server, found),
    ]
    zone, doubts = _zone(found, local)
    findings += doubts
    if found.unified and "configutil" not in found.settings:
        findings.append(_unified(found.unified))
    if found.closed:
        findings.append(_closed(found.closed))
    unread = [log for log in found.logs if not (reads or _usual)(log)]
    if unread:
        findings.append(_not_read(unread))
    order = {"error": 0, "warning": 1, "advice": 2}
    findings.sort(key=lambda finding: order[finding.level])
    return Report(found, server, list(_rows(server, found)), findings, zone, unread)


def _usual(log: LogFile) -> bool:
    return log.kind in ("mta", "service", "debug")


def _destinations(server: MailServer) -> dict[str, Destination]:
    """What the settings say of each kind of record, by its name for people; of services those that have settings, and those that all have."""
    said = {"MTA records": destination(server, Mta), "connection records": destination(server, Connection)}
    for service in sorted({*SERVICES, *server.services} - {"*"}):
        said[service] = destination(server, Service, service, "emergency")
    return {name: one for name, one in said.items() if one is not None}


def _rows(server: MailServer, found: Found) -> Iterator[Row]:
    for name, one in _destinations(server).items():
        by = list(one.by[:1])
        syslog = f"syslog as {one.facility}{'.' if one.severity else ' (severity: its level)'}{one.severity}" if one.syslog else ""
        if name == "connection records" and not server.number("LOG_CONNECTION") & ~1:
            yield Row(name, "nowhere: they are not written", (server.option("LOG_CONNECTION"),))
            continue
        of_the_mta = name in ("MTA records", "connection records")
        file = "" if not one.files else f"{one.family}.log_current" if of_the_mta else f"{one.family}, {_kept(server, name, by)}"
        if name == "connection records":
            by.append(server.option(SEPARATE))
        where = f"{syslog}, and {file}" if one.syslog and one.files else f"{syslog} only" if one.syslog else file
        yield Row(name, where, tuple(by))
    if (mask := server.dispatcher_debug).number:
        yield Row("dispatcher", f"dispatcher.log-*, with debug output (mask {mask.number:#x})", (mask,))


def _kept(server: MailServer, service: str, by: list[Setting]) -> str:
    level = server.logfile(service, "loglevel")
    if str(level.value) == "nolog":
        by.append(level)
        return "which stays empty"
    by.append(level)
    return f"{level.value} and worse; {_limits(server, service)}"


def _limits(server: MailServer, service: str) -> str:
    def number(option: str) -> int:
        return server.logfile(service, option).number

    return (
        f"{number('maxlogfiles')} files of {size_text(number('maxlogfilesize'))}, "
        f"{size_text(number('maxlogsize'))} in all, {time_text(number('expirytime'))}"
    )


# What is wrong, subject by subject


def _nothing(server: MailServer, found: Found) -> Iterator[Finding]:
    """Nothing is logged at all, by the MTA or by one of its channels."""
    if "channels" not in found.settings:
        if found.unified:
            return
        why = "Without it nobody can say which channels log: the keyword `logging` stands there."
        yield Finding("advice", "nothing", "imta.cnf was not found", why)
        return
    silent = [name for name in server.channels if name and not server.logging(name).number]
    default = server.logging("")
    file = str(found.settings["channels"])
    if not any(setting.number for setting in server.channels.values()):
        why = "The keyword `logging` stands at no channel, and not in `defaults`: mail.log_current stays empty."
        fix = ("defaults logging", "imsimta cnbuild; imsimta restart")
        yield Finding("error", "nothing", "The MTA logs nothing at all", why, fix, str(default.place or file))
    elif silent:
        why = "What passes through these channels leaves no record: a message seems to vanish there."
        places = str(server.logging(silent[0]).place or file)
        names = ", ".join(silent[:8]) + (f" and {len(silent) - 8} more" if len(silent) > 8 else "")
        yield Finding("warning", "nothing", f"Channels without logging: {names}", why, ("logging  (at each, or in defaults)",), places)


_QUESTIONS: tuple[tuple[str, int, Level, str, str], ...] = (
    (
        "LOG_MESSAGE_ID",
        1,
        "warning",
        "No message can be followed over its channels",
        "Records have no message id, so nothing joins the enqueue to the delivery or the bounce.",
    ),
    (
        "LOG_CONNECTION",
        1,
        "warning",
        "Nobody can say which host sent a message",
        "Bit 0 of LOG_CONNECTION (1) puts the sending system into message records.",
    ),
    (
        "LOG_CONNECTION",
        2,
        "advice",
        "Connections are not logged",
        "Bit 1 (2) writes a record when a connection is opened, closed, rejected or fails: a server that cannot be reached shows only there.",
    ),
    (
        "LOG_CONNECTION",
        128,
        "advice",
        "SMTP logins, good and bad, are not logged",
        "Bit 7 (128) writes a record for each: without it nobody sees who guesses passwords.",
    ),
    (
        "LOG_FILENAME",
        1,
        "advice",
        "Attempts of one message cannot be told apart",
        "The queue file's name says which attempt it is, and joins deferrals.",
    ),
    (
        "LOG_PROCESS",
        1,
        "advice",
        "Messages and their connection cannot be joined",
        "The process id is what message and connection records share.",
    ),
    (
        "LOG_USERNAME",
        1,
        "advice",
        "Nobody can say which user submitted a message",
        "The user name shows whose account sends spam.",
    ),
    (
        "LOG_DIAGNOSTICS",
        1,
        "warning",
        "Reasons of rejections and deferrals are missing",
        "Without diagnostics a record says that a delivery failed, and not why.",
    ),
)
"""(option, bit, level, what cannot be answered, why)."""


def _questions(server: MailServer, found: Found) -> Iterator[Finding]:
    if "option_file" not in found.settings and not found.unified:
        why = "The options are taken to have the product's defaults, which leave most questions open."
        yield Finding("warning", "questions", "No option.dat was found", why, ("shipper doctor --option-file PATH",))
    connection = server.option("LOG_CONNECTION")
    wanted = connection.number
    for option, bit, _, _, _ in _QUESTIONS:
        if option == "LOG_CONNECTION":
            wanted |= bit
    for option, bit, level, what, why in _QUESTIONS:
        setting = server.option(option)
        if setting.number & bit or (option != "LOG_CONNECTION" and setting.number):
            continue
        line = f"LOG_CONNECTION={wanted}" if option == "LOG_CONNECTION" else f"{option}=1"
        yield Finding(level, "questions", what, why, (line,), _place(setting, found, "option_file"))
    for service in _LOGINS:
        level_set = server.logfile(service, "loglevel")
        here = found.of("service", service) or server.is_set(f"logfile.{service}.loglevel")
        to_syslog = str(server.logfile(service, "syslogfacility").value) in events.FACILITIES
        if here and not to_syslog and str(level_set.value) not in ("information", "debug"):
            what = f"Logins to {service} are not logged"
            why = f"They have level Information, and the log file takes {level_set.value} and worse. Bad logins have Notice."
            fix = (f"logfile.{service}.loglevel = Information",)
            yield Finding("advice", "questions", what, why, fix, _place(level_set, found, "configutil"))
    trace = server.option("local.msgtrace.active")
    if "configutil" in found.settings and str(trace.value) in ("0", "no", ""):
        why = "Whether a delivered message was put into a folder, fetched, or deleted, only the message trace says."
        fix = ("local.msgtrace.active = yes",)
        yield Finding(
            "advice", "questions", "What becomes of a message in the store is not logged", why, fix, _place(trace, found, "configutil")
        )


def _twice_or_never(server: MailServer, found: Found) -> Iterator[Finding]:
    for name, option in (("MTA records", MESSAGES), ("Connection records", CONNECTIONS)):
        setting = server.option(option)
        place = _place(setting, found, "option_file")
        if setting.number > 0 and (option == MESSAGES or server.is_set(CONNECTIONS)):
            why = (
                "Who reads the files and receives the syslog has each of them twice. "
                "shipper knows the copy by what stands in the line, and delivers it once."
            )
            yield Finding("advice", "twice or never", f"{name} go to syslog and to log files", why, (), place)
        elif setting.number < 0 and (option == MESSAGES or server.is_set(CONNECTIONS)):
            why = (
                "No log file is written. What syslog loses is lost for good, and by UDP it loses records under load: "
                "a positive number writes the files as well."
            )
            yield Finding("warning", "twice or never", f"{name} go to syslog only", why, (f"{option}={-setting.number}",), place)
            family = "mail" if option == MESSAGES else destinations.family(server, Connection)
            if files := found.of("mta", family):
                what = f"Log files of {family}.log are still there"
                newest = max(log.modified for log in files)
                why = f"The server writes no more to them since {option} is negative; the newest is of {_day(newest)}. They hold what was before."
                yield Finding("advice", "twice or never", what, why, (), place)
    for service in sorted({*SERVICES, *server.services} - {"*"}):
        facility = server.logfile(service, "syslogfacility")
        files = found.of("service", service)
        if facility.value not in events.FACILITIES:
            continue
        place = _place(facility, found, "configutil")
        if files:
            newest = max(log.modified for log in files)
            what = f"{service} goes to syslog, and log files of it are still there"
            why = (
                f"The server writes no more to them since the facility was set; the newest is of {_day(newest)}. They hold what was before."
            )
            yield Finding("advice", "twice or never", what, why, (), place)
        else:
            why = "A facility takes the place of the log file: what syslog loses is nowhere else, and who reads files only never sees it."
            yield Finding("advice", "twice or never", f"{service} goes to syslog only", why, (), place)


def _alarms(server: MailServer) -> Iterator[Finding]:
    for option in (MESSAGES, CONNECTIONS):
        if option == CONNECTIONS and not server.is_set(CONNECTIONS):
            continue
        setting = server.option(option)
        number = abs(setting.number)
        if not number:
            continue
        place = str(setting.place or "")
        severity = events.SEVERITIES[number & 7]
        if number < 8:
            meant = f"user.{severity}"
            what = f"{option}={setting.number} means {meant} to the server"
            why = (
                "The number is a syslog priority, facility × 8 + severity. "
                + (f"Every message of the day is an alarm on whoever watches for {severity}. " if (number & 7) <= 3 else "")
                + "22 is mail.info."
            )
            yield Finding("warning", "alarm", what, why, (f"{option}={22 if setting.number > 0 else -22}",), place)
        elif number & 7 <= 3:
            what = f"{option}={setting.number} means {severity} for every record"
            why = "A delivery and a bounce arrive with the same severity: whoever watches for it is called for each message."
            better = (number & ~7) | 6
            yield Finding("warning", "alarm", what, why, (f"{option}={better if setting.number > 0 else -better}",), place)


def _retention(server: MailServer, found: Found, outage: float) -> Iterator[Finding]:
    """Logs of services are deleted by limits: whether they outlast an outage of whoever reads them. Limits of time need no logs to be known."""
    timed = {one for one in server.services for option in ("expirytime", "rollovertime") if server.is_set(f"logfile.{one}.{option}")}
    for service in sorted({log.family for log in found.of("service")} | timed - {"*"}):
        if str(server.logfile(service, "syslogfacility").value) in events.FACILITIES:
            continue
        files, each, rollover, expiry = (
            server.logfile(service, option) for option in ("maxlogfiles", "maxlogfilesize", "rollovertime", "expirytime")
        )
        room = min(server.logfile(service, "maxlogsize").number, files.number * each.number)
        rate = _rate(found.of("service", service))
        by_size = room / rate if rate else float("inf")
        by_files = float(files.number * rollover.number)
        lasts = min(expiry.number, by_files, by_size)
        if lasts >= outage:
            continue
        needed = int(rate * outage * 2) or room
        if lasts == expiry.number:
            setting, cause = expiry, "It expires"
            fix: tuple[str, ...] = (f"logfile.{service}.expirytime = {int(outage * 2)}",)
        elif lasts == by_files:
            setting = rollover if rollover.place else files
            cause = f"With a new one each {time_text(rollover.number)}, {files.number} files are full"
            fix = (f"logfile.{service}.maxlogfiles = {-(-int(outage * 2) // rollover.number)}",)
        else:
            setting, cause = (
                server.logfile(service, "maxlogsize"),
                f"At {size_text(int(rate * 86400))} a day its {size_text(room)} are full",
            )
            fix = (f"logfile.{service}.maxlogsize = {needed}", f"logfile.{service}.maxlogfiles = {-(-needed // each.number)}")
        why = f"{cause} after {_about(lasts)}, and an outage may last {_about(outage)}: what was not read by then is lost."
        yield Finding("warning", "retention", f"The log of {service} lasts {_about(lasts)}", why, fix, _place(setting, found, "configutil"))


def _rate(logs: Sequence[LogFile]) -> float:
    """Octets a second over the time that these logs tell of; 0 where they tell of less than an hour."""
    begin = min((log.since for log in logs if log.since), default=None)
    end = max((log.modified for log in logs), default=0.0)
    return sum(log.size for log in logs) / (end - begin) if begin and end - begin > 3600 else 0.0


def _growth(server: MailServer, found: Found) -> Iterator[Finding]:
    for family in ("mail", "connection"):
        whole = next((log for log in found.of("mta", family) if log.path.name == f"{family}.log"), None)
        if whole is not None and whole.size > _MUCH:
            why = "The MTA appends to it every night and never makes it smaller: a `daily_cleanup` of the site's own has to rename it."
            yield Finding("advice", "retention", f"{whole.path.name} has {size_text(whole.size)}", why)
    if (mask := server.dispatcher_debug).number:
        why = f"`shipper explain {mask.number:08X}` says what it is. Debug output grows with every connection; 0 ends it."
        yield Finding("advice", "retention", "The dispatcher writes debug output", why, ("DEBUG=0",), str(mask.place or ""))


def _unified(file: Path) -> Finding:
    what = f"The server has a unified configuration, {file.name}, which is not read"
    why = "It goes by that, and by no option.dat or imta.cnf beside it. What its settings are is not known here until they are shown."
    return Finding("warning", "files", what, why, SHOW, str(file))


def _closed(closed: Sequence[Path]) -> Finding:
    """What a look at it all would have shown is not in the report, and the service will need to read it."""
    names = ", ".join(map(str, closed[:5])) + (f" and {len(closed) - 5} more" if len(closed) > 5 else "")
    why = (
        "What is there is not in this report. The service needs to read the logs: run it, and this, as a user of the group that they have."
    )
    return Finding("warning", "files", f"This user may not read: {names}", why)


def _not_read(unread: Sequence[LogFile]) -> Finding:
    names = ", ".join(log.path.name for log in unread[:10]) + (f" and {len(unread) - 10} more" if len(unread) > 10 else "")
    return Finding("advice", "files", f"No input reads: {names}", "Name them in an input of type `file`, if they are logs.")


def _zone(found: Found, local: str) -> tuple[str, list[Finding]]:
    """The zone of the MTA's stamps, which name none: as a file beside the settings says it, else this machine's, if the services' logs agree."""
    if found.zone:
        try:
            ZoneInfo(found.zone)
            return found.zone, []
        except (ZoneInfoNotFoundError, ValueError):
            pass
    newest = max((log for log in found.of("service") if log.since and log.zone is not None), key=lambda log: log.since or 0, default=None)
    if newest is None or newest.since is None or newest.zone is None:
        return local, []
    if local and datetime.fromtimestamp(newest.since, ZoneInfo(local)).utcoffset() == newest.zone:
        return local, []
    hours = newest.zone.total_seconds() / 3600
    what = f"The server's zone is {hours:+g} h from UTC, and this machine's is not"
    why = "MTA stamps name no zone. The offset is that of the services' logs; summer time is not known from it."
    guess = "UTC" if not hours else f"Etc/GMT{-hours:+.0f}" if hours == int(hours) else ""
    return guess, [
        Finding("warning", "files", what, why, ("timezone: Europe/Berlin  (in shipper.yaml: the server's own)",), str(newest.path))
    ]


def _place(setting: Setting, found: Found, option: str) -> str:
    """Where a setting stands; where it should, if it stands nowhere."""
    return str(setting.place) if setting.place else str(found.settings.get(option, ""))


def _day(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds):%d %B %Y}"


def _about(seconds: float) -> str:
    """`2 days 5 h`, `5 h`, `12 min`: as exact as an estimate is."""
    step = 3600 if seconds >= 3600 else 60
    return time_text(max(step, int(seconds) // step * step))
