"""What the mail server's own settings say of a record: to syslog, to log files, or to both, and with which facility and severity.

    MTA and header records     LOG_MESSAGES_SYSLOG       0, unset   log files only
    connection records         LOG_CONNECTIONS_SYSLOG    20         syslog as mail.warning, and log files
                               (unset: as messages)      -22        syslog as mail.info, no log files
                                                         1          syslog as `mta_priority`, and log files; -1 likewise, without files
    service, store records     logfile.SERVICE.syslogfacility
                                                         local3     syslog as local3, with the severity of the record's level; no log files, no filter
                                                         none       log files; only what logfile.SERVICE.loglevel lets through

- The number is the priority word of syslog(3), facility × 8 + severity. One without a facility goes out as `user`, as syslog(3) has it. The guide's 1
  means "on"; the product itself would read it as user.alert.
- SEPARATE_CONNECTION_LOG says whose log file connection records stand in, and nothing of where they go.
- `logfile.default` is the log of a service of that name, which has what other processes do (seed, "Managing Service Logs"); it is no fallback for
  services without settings of their own. The proxies (MMP) have logs of their own, so `default` does not speak of them either.
- The level rules files only. Its default, Notice, holds where settings of services are known; where none is, nothing says what the server would
  have left out, and it has written what we read. A record without a level passes (the store's transaction log has none that means anything).
- Of debug logs, of other programs' syslog, and of lines that no format reads no setting speaks: they go everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

from shipper import events
from shipper.mailserver.options import TRACE
from shipper.mailserver.settings import MailServer, Setting
from shipper.record import Connection, Header, Mta, Record, Service, Store

MESSAGES = "LOG_MESSAGES_SYSLOG"
CONNECTIONS = "LOG_CONNECTIONS_SYSLOG"
SEPARATE = "SEPARATE_CONNECTION_LOG"

_USER = 8
"""The facility of a priority word that has none."""

_TRACE_APART = ("msgtrace", "transactlog")
"""Where the message trace of the store has a log of its own: there its operations stand, whichever process writes them."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a record goes. `facility`, `severity`: keywords of what goes to syslog, "": as the record has it; `family`: whose log file it stands in
    (`mail`, `connection`, or the service); `by`: the settings that decide, the one that has the last word at the end."""

    syslog: bool
    files: bool
    facility: str
    severity: str
    family: str
    by: tuple[Setting, ...]

    def priority(self, severity: str) -> int | None:
        """The priority word of a record of this severity; None: as the record has it."""
        if not self.facility:
            return None
        word = self.severity or severity
        return events.FACILITIES.index(self.facility) * 8 + (events.SEVERITIES.index(word) if word in events.SEVERITIES else 6)


def destination(server: MailServer, kind: type[Record], service: str = "", level: str = "") -> Destination | None:
    """What the settings say of a record of this kind (of this service, at this level); None: nothing."""
    if kind is Mta or kind is Header:
        return _of_the_mta(server, server.option(MESSAGES), "mail")
    if kind is Connection:
        return _of_the_mta(server, server.option(CONNECTIONS), family(server, kind))
    if issubclass(kind, Service):
        return _of_a_service(server, family(server, kind, service), level)
    return None


def family(server: MailServer, kind: type[Record], service: str = "") -> str:
    """Whose log file a record stands in: `mail`, `connection`, or that of its service; `""` for a kind that no setting speaks of."""
    if kind is Connection:
        return "connection" if server.number(SEPARATE) else "mail"
    if kind is Mta or kind is Header:
        return "mail"
    if kind is Store and server.option(TRACE).value in _TRACE_APART:
        return "msgtrace"
    return (service or "default") if issubclass(kind, Service) else ""


def _of_the_mta(server: MailServer, said: Setting, family: str) -> Destination:
    if said.number == 0:
        return Destination(False, True, "", "", family, (said,))
    word = abs(said.number)
    if word == 1:
        word = server.mta_priority
    elif word < 8:
        word += _USER
    return Destination(True, said.number > 0, events.FACILITIES[word >> 3], events.SEVERITIES[word & 7], family, (said,))


def _of_a_service(server: MailServer, service: str, level: str) -> Destination:
    facility = server.logfile(service, "syslogfacility")
    if facility.value in events.FACILITIES:
        return Destination(True, False, str(facility.value), "", service, (facility,))
    least = server.logfile(service, "loglevel")
    if not server.services or _passes(level, str(least.value)):
        return Destination(False, True, "", "", service, (facility,))
    return Destination(False, False, "", "", service, (facility, least))


def _passes(level: str, least: str) -> bool:
    """Whether a record of this level is written to a log file with this loglevel."""
    if least.lower() == "nolog":
        return False
    rank = _RANKS.get(level.lower())
    return rank is None or rank <= _RANKS.get(least.lower(), 7)


_RANKS = {name: events.SEVERITIES.index(severity) for name, severity in events.LEVELS.items()}
