"""The names, kinds, bounds and defaults of the settings that decide what the mail server logs and where.

Log file options have the name that `configutil` has for them (`logfile.imap.loglevel`); the spelling of the unified configuration
(`imap.logfile.loglevel`, `base.logfile.loglevel` for the service `default`, `mta.logfile.loglevel` for `imta`) is read as the same name.
Options of the MTA are in capitals. Sizes are octets, times seconds. The defaults of the log files are those that the seed proposes in
"Planning the Options You Want".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

SERVICES = ("imap", "pop", "http", "admin", "default", "imta", "mta", "mmp", "msgtrace", "dispatcher", "job_controller", "*")
FACILITIES = ("user", "mail", "daemon", *(f"local{number}" for number in range(8)))
LEVELS = ("nolog", "emergency", "alert", "critical", "error", "warning", "notice", "information", "debug")
"""From nothing to everything: a level brings those before it with it."""

SAME_SERVICE = {"mta": "imta", "base": "default", "messagetrace": "msgtrace", "imapproxy": "mmp", "popproxy": "mmp", "aservice": "mmp"}
"""Other names of a service -> that of `configutil`: those of the unified configuration, and what the MMP calls its log files."""


class Kind(NamedTuple):
    """What a value has to be: a `number` from `least` to `most`, one of `words`, or (neither) any text."""

    default: int | str
    number: bool = True
    least: int = 0
    most: int = (1 << 63) - 1
    words: tuple[str, ...] = ()
    unit: str = ""


LOGFILE: Mapping[str, Kind] = {
    "logdir": Kind("", number=False),
    "loglevel": Kind("notice", number=False, words=LEVELS),
    "maxlogfiles": Kind(10, least=1, unit="files"),
    "maxlogfilesize": Kind(2 << 20, least=1, unit="bytes"),
    "maxlogsize": Kind(20 << 20, least=1, unit="bytes"),
    "minfreediskspace": Kind(5 << 20, unit="bytes"),
    "rollovertime": Kind(86400, least=1, unit="seconds"),
    "expirytime": Kind(604800, least=1, unit="seconds"),
    "syslogfacility": Kind("none", number=False, words=(*FACILITIES, "none")),
}
"""Options of `logfile.SERVICE.`; words in small letters, case does not matter."""

_PRIORITY = Kind(0, least=-191, most=191)
_SWITCH = Kind(0)
_BITS = Kind(0, least=-1)
"""A sum of bits; -1 has them all."""

MTA: Mapping[str, Kind] = {
    "LOG_MESSAGES_SYSLOG": _PRIORITY,
    "LOG_CONNECTIONS_SYSLOG": _PRIORITY,
    "LOG_CONNECTION": _BITS,
    "SEPARATE_CONNECTION_LOG": _SWITCH,
    "LOG_FORMAT": Kind(1, least=1),
    "LOG_MESSAGE_ID": _SWITCH,
    "LOG_FILENAME": _SWITCH,
    "LOG_PROCESS": _SWITCH,
    "LOG_USERNAME": _SWITCH,
    "LOG_NOTARY": _SWITCH,
    "LOG_NODE": _SWITCH,
    "LOG_INTERMEDIATE": _BITS,
    "LOG_FILTER": _SWITCH,
    "LOG_REASON": _BITS,
    "LOG_DIAGNOSTICS": Kind(1, least=-1),
    "LOG_REMOTE_MTA": _BITS,
    "LOG_QUEUE_TIME": _SWITCH,
    "LOG_SENSITIVITY": _SWITCH,
    "LOG_PRIORITY": _SWITCH,
    "LOG_ENVELOPE_ID": _SWITCH,
    "LOG_HEADER": _BITS,
    "LOG_SNDOPR": _SWITCH,
    "SNDOPR_PRIORITY": Kind(5, most=127),
    "BLOCK_SIZE": Kind(1024, least=1),
    "LOG_ALQ": Kind(2000),
    "LOG_DEQ": Kind(1000),
}
"""Options of option.dat that rule the log; every other one is kept as it stands."""

MTA_ELSE = (
    "LOG_LOCAL", "LOG_AUTH", "LOG_ACTION", "LOG_DELIVERY_FLAGS", "LOG_IMAP_FLAGS", "LOG_HEADER_OPTIONS", "LOG_HEADERS_MAXCHARS",
)  # fmt: skip
"""Names of logging options whose values nothing here depends on."""

CHANNEL_OPTIONS = ("LOG_BANNER", "LOG_TRANSPORTINFO", "MAX_B_ENTRIES", "LOG_PAGE_COUNT")
"""Options that stand in the option file of a channel, and have no effect in option.dat."""

NAMED: Mapping[str, Kind] = {
    "dispatcher.debug": Kind(0, least=-(1 << 31), most=(1 << 32) - 1),
    "local.msgtrace.active": Kind("no", number=False, words=("no", "yes", "msgtrace", "transactlog")),
}
"""What is neither an option of the MTA nor of a log file."""

LAST_FORMAT = 6
"""The highest LOG_FORMAT that is known; a later one is kept and reported."""

ON_WITH_XML = (
    "LOG_FILENAME", "LOG_FILTER", "LOG_MESSAGE_ID", "LOG_NOTARY", "LOG_PRIORITY", "LOG_PROCESS", "LOG_QUEUE_TIME", "LOG_REASON", "LOG_USERNAME",
)  # fmt: skip
"""On by themselves, from 6.3p1 on, when LOG_FORMAT is above 3."""

LOGFILE_PREFIX = "logfile."

TRACE = "local.msgtrace.active"
"""The message trace of the store: `no`, `yes`, `msgtrace` or `transactlog`; the unified configuration calls it `messagetrace.activate`."""


def service_name(name: str) -> str:
    """`IMAP` -> `imap`, `mta` -> `imta`, `ImapProxy` -> `mmp`: the name under which a service's settings stand."""
    lower = name.lower()
    return SAME_SERVICE.get(lower, lower)


def canonical(name: str) -> str:
    """The one name of a setting, from any of its spellings; a name that nothing is known of becomes what it is in its file's own case.

    `log_connection`, `mta.log_connection`, `role.mta.LOG_CONNECTION` -> `LOG_CONNECTION`;
    `imap.logfile.LogLevel`, `role.imap.logfile.loglevel` -> `logfile.imap.loglevel`; `messagetrace.activate` -> `local.msgtrace.active`.
    """
    word = name.strip()
    lower = word.lower()
    if "." not in word:
        return word.upper()
    first, _, rest = lower.partition(".")
    if first in ("role", "instance") and rest:
        return canonical(word[len(first) + 1 :])
    pieces = lower.split(".")
    if len(pieces) == 3 and pieces[0] == "logfile":
        return f"logfile.{service_name(pieces[1])}.{pieces[2]}"
    if len(pieces) == 3 and pieces[1] == "logfile":
        return f"logfile.{service_name(pieces[0])}.{pieces[2]}"
    if first == "mta" and "." not in rest:
        return rest.upper()
    return TRACE if lower == "messagetrace.activate" else lower
