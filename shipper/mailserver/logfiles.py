"""The server's log files as a family: which records share one, how its files are called, and what its limits say. Pure.

    imap                   the current file, the only one that is written to
    imap.63.915107696      rolled over: service, sequence, when it was begun (seconds since 1970)

Rules:
- One family for each service. Records of the MTA have `mail.log`; its connection records too, or `connection.log` with
  SEPARATE_CONNECTION_LOG=1. What belongs to no service has `default`, as with the product.
- The sequence counts up as long as the server lives; a higher number is a newer file.
- Whichever limit is met first rules. None of them takes the current file. 0 is no limit.
- A file's age counts from when the next one was begun, and that stands in their names: copying files does not make them younger.
- The MTA never deletes what it has written, and logfile.imta.* rules the log of ims_master, not `mail.log`: for the MTA's families only the
  defaults of `rollovertime` and `minfreediskspace` hold, unless somebody asks for more.

Sources: seed, "Understanding Service Log File Format" and "Planning the Options You Want"; roll-over of `mail.log`: seed, table 21-2.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from shipper.formats.names import FAMILY, of_family, service_of
from shipper.mailserver.options import LOGFILE
from shipper.mailserver.settings import MailServer
from shipper.record import Connection, Debug, Header, Mta, Record, Service, Store

MAIL, CONNECTION, DEFAULT = "mail.log", "connection.log", "default"
OF_MTA = (MAIL, CONNECTION)
"""Families that the MTA writes."""
OPTIONS = ("maxlogfilesize", "maxlogfiles", "maxlogsize", "minfreediskspace", "rollovertime", "expirytime")

_OTHER = re.compile(r"[^A-Za-z0-9_-]")
_FAMILY = re.compile(FAMILY)


class Limits(NamedTuple):
    """What a family may take: octets of one file, files, octets of all of them, octets that stay free on the disk; seconds after which a new
    file is begun, and after which one is deleted. 0: no limit."""

    maxlogfilesize: int = 0
    maxlogfiles: int = 0
    maxlogsize: int = 0
    minfreediskspace: int = 0
    rollovertime: float = 0
    expirytime: float = 0


class LogFile(NamedTuple):
    """A file that was rolled over. `begun`: seconds since 1970."""

    family: str
    sequence: int
    begun: int
    size: int = 0

    @property
    def name(self) -> str:
        return f"{self.family}.{self.sequence}.{self.begun}"


def rolled(name: str, size: int = 0) -> LogFile | None:
    """`imap.63.915107696` -> its parts; None for a name that is no such."""
    file = of_family(name)
    return LogFile(file.family, *file.rolled, size) if file and file.rolled and not file.packed else None


def is_family(name: str) -> bool:
    """Whether a current file can have this name."""
    return _FAMILY.fullmatch(name) is not None


@lru_cache(maxsize=1024)
def family_name(service: str) -> str:
    """The family of a service. A name can come from a log, and anything may stand there: what is no letter, digit, `_` or `-` is a `_`, and
    a name has 64 characters at most and begins with a letter. `../../etc/x` -> `etc_x`."""
    return _OTHER.sub("_", service).lstrip("0123456789_-")[:64] or DEFAULT


@lru_cache(maxsize=1024)
def _family_of_file(path: str) -> str:
    """The family that a log file itself is of; `""` where its name does not say."""
    service = service_of(path)
    if service in ("mta", "connection"):
        return MAIL if service == "mta" else CONNECTION
    return family_name(service) if service else ""


def family_of(record: Record, separate: bool) -> str:
    """The family that a record is written to. `separate`: SEPARATE_CONNECTION_LOG."""
    kind = type(record)
    if kind is Mta or kind is Header:
        return MAIL
    if kind is Connection:
        return CONNECTION if separate else MAIL
    file = record.source.file if record.source else ""
    if isinstance(record, Store) and _family_of_file(file) == "msgtrace":
        return "msgtrace"
    if isinstance(record, Service | Debug) and record.service:
        return family_name(record.service)
    found = _family_of_file(file) or DEFAULT
    return MAIL if found == CONNECTION and not separate else found


def limits_of(family: str, server: MailServer) -> Limits:
    """The limits of a family, as the server's settings have them."""
    if family in OF_MTA:
        return Limits(minfreediskspace=int(LOGFILE["minfreediskspace"].default), rollovertime=int(LOGFILE["rollovertime"].default))
    return Limits(*(server.logfile(family, option).number for option in OPTIONS))


def directory_of(family: str, server: MailServer) -> str:
    """The directory of a family by `logdir`, its own or else that of `default`, of `imta`, or of the first service that has one; `""` where no
    service has."""
    order = (DEFAULT, "imta", *server.services) if family in OF_MTA else (family, DEFAULT, "imta", *server.services)
    return next((str(found) for service in order if (found := server.logfile(service, "logdir").value)), "")


def is_due(size: int, more: int, begun: float, now: float, limits: Limits) -> bool:
    """Whether a new file is begun before so many octets more are written. An empty file never is."""
    if not size:
        return False
    most = min((limit for limit in (limits.maxlogfilesize, limits.maxlogsize) if limit), default=0)
    # A file from the future, begun before the clock was set right, is as old as it seems young.
    return bool((most and size + more > most) or (limits.rollovertime and abs(now - begun) >= limits.rollovertime))


def surplus(older: Sequence[LogFile], size: int, begun: float, free: int, now: float, limits: Limits) -> list[LogFile]:
    """The files to delete, the oldest first. `older`: those rolled over, from old to new; `size` and `begun` of the current one, `free` octets
    on the disk, both as they will be after the next write."""
    goes: list[LogFile] = []
    old = sum(file.size for file in older)
    total = size + old
    within_reach = free + old >= limits.minfreediskspace  # else others fill the disk, and no file of ours would help
    for number, file in enumerate(older):
        ended = max(file.begun, older[number + 1].begun if number + 1 < len(older) else begun)  # the clock may have gone back
        files = len(older) - number + 1
        if not (
            (limits.maxlogfiles and files > limits.maxlogfiles)
            or (limits.maxlogsize and total > limits.maxlogsize)
            or (within_reach and free < limits.minfreediskspace)
            or (limits.expirytime and now - ended >= limits.expirytime)
        ):
            break
        goes.append(file)
        total -= file.size
        free += file.size
    return goes
