"""What a log file's own name and its date say of the lines in it.

    imap  imap.63.915107696                service logs: service, sequence number, epoch
    mail.log_current  connection.log       MTA transaction logs
    dispatcher.log-0DK00HV8RWFQC           debug logs: component, and what makes the name unique

A name helps, and is never needed: where it says nothing, the lines do.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, tzinfo
from typing import NamedTuple

SERVICES = frozenset("imap pop http admin default imta msgtrace mmp watcher".split())
"""Logs whose file is named after the service alone."""

_ENDING = re.compile(r"\.(?:gz|bz2|xz|zst|Z|zip)$")
_PROXY = re.compile(r"(?:Imap|Pop|Smtp|Submit)Proxy|AService")
_MTA = {"mail": "mta", "connection": "connection"}
_COMPONENTS = frozenset("dispatcher job_controller return post cleanup".split())
_COMPONENT = re.compile(r"[\w.-]{1,64}_(?:master|slave|server|client)", re.ASCII)

FAMILY = r"[A-Za-z][A-Za-z0-9_-]{0,63}|(?:mail|connection)\.log"
"""The current file of a service's log, and of what the output `log_files` writes for the MTA."""
_OF_FAMILY = re.compile(rf"({FAMILY})(?:\.([0-9]{{1,18}})\.([0-9]{{1,18}}))?(\.(?:gz|bz2|xz|zst))?")


class OfFamily(NamedTuple):
    """A file of a service's log. `rolled`: (sequence, when it was begun in seconds since 1970); None of the current one."""

    family: str
    rolled: tuple[int, int] | None
    packed: bool


def of_family(name: str) -> OfFamily | None:
    """`imap.63.915107696.gz` -> (`imap`, (63, 915107696), True); `imap` -> (`imap`, None, False); None for a name that is no such."""
    shape = _OF_FAMILY.fullmatch(name)
    if shape is None:
        return None
    family, sequence, begun, ending = shape.groups()
    return OfFamily(family, (int(sequence), int(begun)) if sequence else None, bool(ending))


def service_of(file_name: str) -> str:
    """`imap.63.915107696.gz` -> `imap`, `mail.log_current` -> `mta`, `tcp_local_master.log-0DK` -> `tcp_local_master`; `""`: none known.

    `file_name` may have directories before it.
    """
    name = file_name.replace("\\", "/").rpartition("/")[2]
    while ending := _ENDING.search(name):
        name = name[: ending.start()]
    if _PROXY.match(name):
        return "mmp"
    base, log, rest = name.partition(".log")
    if log and not rest[:1].isalnum():
        if base in _MTA:
            return _MTA[base]
        if base in SERVICES or base in _COMPONENTS or _COMPONENT.fullmatch(base):
            return base
        return ""
    base, _, rest = name.partition(".")
    numbers = rest.split(".") if rest else []
    if base in SERVICES and len(numbers) in (0, 2) and all(number.isdecimal() for number in numbers):
        return base
    return ""


def debug_date(modified: float, zone: tzinfo, time_of_day: str) -> tuple[int, int, int] | None:
    """(year, month, day) of the first line of a debug log, whose lines have only a time of day, for `Log.date`.

    `modified`: when the file was last written to, seconds since 1970; `time_of_day`: `hh:mm:ss` of its first line (`debug.time_of_day`).
    The day is that of the last change where the log's clock stands; the day before when the line is later in the day than the change. A log
    that was written to for more than a day gets a date that is too late by the days it was open for: its header line knows better.
    None: the file's date is none of the calendar.
    """
    try:
        last = datetime.fromtimestamp(modified, zone)
        if time_of_day[:8] > last.strftime("%H:%M:%S"):
            last -= timedelta(days=1)
    except (OverflowError, ValueError, OSError):
        return None
    return last.year, last.month, last.day


_PROCESSES = {
    "imap": ("imapd",),
    "pop": ("popd", "pop3d"),
    "http": ("mshttpd", "httpd"),
    "admin": ("admin",),
    "imta": ("ims_master", "lmtp", "tcp_lmtp_server"),
    "mmp": ("ImapProxy", "PopProxy", "SmtpProxy", "SubmitProxy", "AService"),
    "default": ("msprobe", "imexpire", "imdbverify", "impurge", "imsched", "imcheck", "reconstruct", "mboxutil", "stored", "watcher"),
}
SERVICE_OF = {process: service for service, processes in _PROCESSES.items() for process in processes}
PREFIXES = {"cgi_": "admin"}
"""What a process of a service may begin with."""


def service_of_process(process: str) -> str:
    """The service whose log a process writes: `imapd` -> `imap`, `cgi_store` -> `admin`; `""` when only the file can tell."""
    return SERVICE_OF.get(process) or next((service for prefix, service in PREFIXES.items() if process.startswith(prefix)), "")
