"""Options of the services' log files, in both spellings: `logfile.imap.loglevel` (configutil) and `imap.logfile.loglevel` (unified).

Names, bounds and defaults are those of `mailserver.options`. Sizes are in bytes, times in seconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from shipper.knowledge.base import CERTAIN, LIKELY, Meaning, Subject
from shipper.mailserver.options import FACILITIES, LEVELS, LOGFILE, SERVICES


class _Option(NamedTuple):
    title: str
    default: str
    unit: str
    notes: tuple[str, ...] = ()


def size_text(octets: int) -> str:
    """2097152 -> `2 MB`, in the units of 1024 that the guide counts in."""
    for unit, factor in (("GB", 1 << 30), ("MB", 1 << 20), ("kB", 1 << 10)):
        if octets >= factor:
            return f"{octets / factor:.4g} {unit}"
    return f"{octets} bytes"


def time_text(seconds: int) -> str:
    """90000 -> `1 day 1 h`."""
    pieces = []
    for unit, length in ((" day", 86400), (" h", 3600), (" min", 60), (" s", 1)):
        count, seconds = divmod(seconds, length)
        if count:
            pieces.append(f"{count}{unit}{'s' if unit == ' day' and count > 1 else ''}")
    return " ".join(pieces) or "0 s"


def _default(name: str) -> str:
    """The default as a number, and in words: `2097152 (2 MB)`."""
    kind = LOGFILE[name]
    assert isinstance(kind.default, int)
    words = {"bytes": size_text, "seconds": time_text}.get(kind.unit)
    return f"{kind.default} ({words(kind.default)})" if words else str(kind.default)


OPTIONS: dict[str, _Option] = {
    "logdir": _Option("the directory of the service's log files", "the server's log directory", ""),
    "loglevel": _Option(
        "the least important level that is logged", "Notice", "a level", ("A level brings all that are more important with it.",)
    ),
    "maxlogfiles": _Option("how many log files the directory may hold", _default("maxlogfiles"), "files"),
    "maxlogfilesize": _Option("how big one log file may become before a new one is begun", _default("maxlogfilesize"), "bytes"),
    "maxlogsize": _Option("how much all log files of the service may take together", _default("maxlogsize"), "bytes"),
    "minfreediskspace": _Option("how much must stay free on the disk; below that old log files go", _default("minfreediskspace"), "bytes"),
    "rollovertime": _Option("after what time a new log file is begun", _default("rollovertime"), "seconds"),
    "expirytime": _Option("at what age a log file is deleted", _default("expirytime"), "seconds"),
    "syslogfacility": _Option(
        "send the service's events to syslog, with this facility",
        "none: to log files",
        "user, mail, daemon, local0 to local7, or none",
        (
            "Once it is set, every other log file option of the service is ignored: no file, no level, no limits.",
            "The file stops growing then; only syslog has the events.",
        ),
    ),
}
_LIMITS = {"maxlogfiles", "maxlogfilesize", "maxlogsize", "minfreediskspace", "rollovertime", "expirytime"}
_WHICHEVER = "Whichever of the limits is met first rules."


def _value(name: str, value: str) -> str:
    """What a value means, as a sentence."""
    option = OPTIONS[name]
    if option.unit in ("bytes", "seconds", "files"):
        if not value.isdecimal() or not value.isascii() or len(value) > 18:
            return f"'{value}' is not a number of {option.unit}."
        number = int(value)
        text = {"bytes": size_text, "seconds": time_text}.get(option.unit, "{} files".format)(number)
        return f"{value} is {text}." if option.unit != "files" else f"At most {text}."
    if name == "syslogfacility":
        if value.lower() == "none":
            return "Not to syslog: the log files, and the options that rule them, are used."
        if value.lower() in FACILITIES:
            facility = value.lower()
            return f"Events go to syslog as {facility}.<severity>, the severity from each event's level: {facility}.notice for a Notice."
        return f"'{value}' is none of the values: user, mail, daemon, local0 to local7, none."
    if name == "loglevel":
        level = value.lower()
        if level not in LEVELS:
            return f"'{value}' is no level; the levels are {', '.join(LEVELS)}."
        return "Nothing is logged." if level == "nolog" else f"Logged: {', '.join(LEVELS[1 : LEVELS.index(level) + 1])}."
    return f"The files are in {value}."


def meanings(word: str) -> list[Meaning]:
    setting, equals, value = word.partition("=")
    pieces = setting.strip().lower().split(".")
    service = ""
    if len(pieces) == 3 and "logfile" in pieces[:2] and pieces[2] in OPTIONS:
        service = pieces[1] if pieces[0] == "logfile" else pieces[0]
        name = pieces[2]
    elif len(pieces) == 2 and pieces[0] == "logfile" and pieces[1] in OPTIONS:
        name = pieces[1]
    elif len(pieces) == 1 and pieces[0] in OPTIONS:
        name = pieces[0]
    else:
        return []
    option = OPTIONS[name]
    who = service or "<service>"
    notes: list[str] = []
    if equals:
        notes.append(_value(name, value.strip().strip('"')))
    if service and service not in SERVICES:
        notes.append(f"'{service}' is not one of the services we know: {', '.join(SERVICES[:-1])}.")
    notes += option.notes
    if name in _LIMITS:
        notes.append(_WHICHEVER)
    facts = [("default", option.default)]
    if option.unit:
        facts.append(("value", option.unit))
    facts.append(("spellings", f"logfile.{who}.{name} (configutil), {who}.logfile.{name} (unified configuration)"))
    title = f"{service}: {option.title}" if service and service != "*" else option.title
    return [
        Meaning("log file option", word.strip(), title, tuple(notes), facts=tuple(facts), rank=CERTAIN if service else LIKELY,
                see=("Notice",) if name == "loglevel" else ("mail", "LOG_MESSAGES_SYSLOG") if name == "syslogfacility" else ())
    ]  # fmt: skip


def words() -> Iterable[str]:
    return [*OPTIONS, *(f"logfile.{service}.{name}" for service in SERVICES[:5] for name in OPTIONS)]


SUBJECT = Subject("log file options", ("logfile.imap.loglevel", "imap.logfile.syslogfacility=local3", "rollovertime"), meanings, words)
