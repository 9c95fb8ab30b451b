"""The settings of the mail server that is played: what it logs, in which shape, and where; and its configuration files that say so.

MTA options have the names of `option.dat` (`LOG_FILENAME=1`), options of the service logs those of `configutil` (`logfile.imap.loglevel`,
`local.msgtrace.active`; `logfile.*.loglevel` for all services). Case does not matter. An option that rules nothing that is generated is
written to `option.dat`, and else without effect.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from shipper.generate.cast import DOMAIN, HOST, HOSTED, SERVER_IP
from shipper.mailserver import optionfile
from shipper.mailserver.options import FACILITIES, LEVELS, canonical
from shipper.record import Connection, Header, Mta

ROOT = "/opt/SUNWmsgsr"
QUEUE = f"{ROOT}/data/queue"

DEFAULTS = {
    "LOG_FORMAT": 1,
    "LOG_CONNECTION": 3,
    "LOG_DIAGNOSTICS": 1,
    "LOG_FILENAME": 1,
    "LOG_MESSAGE_ID": 1,
    "LOG_PROCESS": 1,
    "LOG_USERNAME": 1,
}
"""A site that wants to be able to follow its messages; LOG_DIAGNOSTICS is on in every server."""
STRUCTURED = ("LOG_FILTER", "LOG_NOTARY", "LOG_PRIORITY", "LOG_QUEUE_TIME", "LOG_REASON")
"""On by themselves, too, when LOG_FORMAT is above 3."""

SERVICES = ("imap", "pop", "http", "admin", "default", "imta")
_SERVICE_OPTIONS = {
    "loglevel": "Notice",
    "maxlogfiles": "10",
    "maxlogfilesize": "2097152",
    "maxlogsize": "20971520",
    "rollovertime": "86400",
    "expirytime": "604800",
    "syslogfacility": "none",
}
_TALKATIVE = ("imap", "pop", "http", "imta", "msgtrace")
"""Logged from Information on, or logins, and what the message trace says, would not be seen."""
_TRACES = ("no", "yes", "msgtrace")


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """One service's log: levels up to `level` of `LEVELS` are written; sizes in bytes, times in seconds; `to_syslog`: no file at all."""

    level: int
    files: int
    file_size: int
    size: int
    rollover: int
    expiry: int
    to_syslog: bool


@dataclass(frozen=True, slots=True)
class Settings:
    """What this server writes. `mta`: MTA options by their names in capitals; `configutil`: those of the services."""

    mta: Mapping[str, int]
    configutil: Mapping[str, str]

    @property
    def log_format(self) -> int:
        return self.mta["LOG_FORMAT"]

    @property
    def connection(self) -> int:
        """The bits of LOG_CONNECTION."""
        return self.mta["LOG_CONNECTION"]

    @property
    def separate(self) -> bool:
        """Whether connection records have files of their own."""
        return self.mta.get("SEPARATE_CONNECTION_LOG", 0) != 0

    @property
    def headers(self) -> bool:
        return self.mta.get("LOG_HEADER", 0) != 0

    @property
    def trace(self) -> str:
        """Where the message trace goes: `no`, `yes` (each service's own log) or `msgtrace` (a file of its own)."""
        return self.configutil["local.msgtrace.active"]

    @property
    def fields(self) -> tuple[str, ...]:
        """The optional fields of MTA records, in the order in which they stand in a line."""
        return optionfile.optional_fields({name: str(value) for name, value in self.mta.items()})

    def service(self, name: str) -> ServiceSettings:
        """The settings of one service's log."""
        option = {key: self.configutil[f"logfile.{name}.{key}"] for key in _SERVICE_OPTIONS}
        return ServiceSettings(
            level=LEVELS.index(option["loglevel"].lower()),
            files=int(option["maxlogfiles"]),
            file_size=int(option["maxlogfilesize"]),
            size=int(option["maxlogsize"]),
            rollover=int(option["rollovertime"]),
            expiry=int(option["expirytime"]),
            to_syslog=option["syslogfacility"].lower() != "none",
        )


def settings(options: Mapping[str, str]) -> Settings:
    """The settings of a server with these options (names as `mailserver.optionfile.parse` gives them) beside the defaults.

    Raises ValueError, whose text is for the user, for a value that cannot be.
    """
    mta = dict(DEFAULTS)
    configutil = {"local.msgtrace.active": "yes"}
    for service in (*SERVICES, "msgtrace"):
        for key, value in _SERVICE_OPTIONS.items():
            talks = key == "loglevel" and service in _TALKATIVE
            configutil[f"logfile.{service}.{key}"] = "Information" if talks else value
    for name, value in options.items():
        if "." in name:
            _service_option(configutil, name.lower(), value)
        elif (number := optionfile.integer(value)) is not None:
            mta[name] = number
        elif name in DEFAULTS or name in STRUCTURED:
            raise ValueError(f"{name}={value}: a number")
    if not 1 <= mta["LOG_FORMAT"] <= 6:
        raise ValueError(f"LOG_FORMAT={mta['LOG_FORMAT']}: there are 1 (standard) to 6 (flat JSON)")
    if mta["LOG_FORMAT"] > 3:
        for name in STRUCTURED:
            mta.setdefault(name, 1)
    return Settings(mta, configutil)


def _service_option(configutil: dict[str, str], name: str, value: str) -> None:
    name = canonical(name)
    if name.startswith("logfile.*."):
        for service in (*SERVICES, "msgtrace"):
            _service_option(configutil, name.replace("*", service), value)
        return
    if name not in configutil:
        raise ValueError(f"{name}: no option of a service log that is generated")
    key = name.rpartition(".")[2]
    allowed: tuple[str, ...] = ()
    if key == "loglevel":
        allowed = LEVELS
    elif key == "syslogfacility":
        allowed = ("none", *FACILITIES)
    elif name == "local.msgtrace.active":
        allowed = _TRACES
    if allowed and value.lower() not in allowed:
        raise ValueError(f"{name}={value}: one of {', '.join(allowed)}")
    if not allowed and not value.isdecimal():
        raise ValueError(f"{name}={value}: a number")
    configutil[name] = value.lower() if name == "local.msgtrace.active" else value


_ATTRIBUTES = {
    "node": ("host",),
    "process": ("process", "pid", "thread", "sequence"),
    "notary": ("notary_flags",),
    "filename": ("queue_file", "queue_id", "attempt"),
    "envelope_id": ("envelope_id",),
    "message_id": ("message_id", "related_message_id"),
    "username": ("username", "authenticated"),
    "connection": ("remote_name",),
    "sensitivity": ("sensitivity",),
    "priority": ("priority",),
    "intermediate": ("intermediate_address",),
    "initial": ("initial_address",),
    "filter": ("filter",),
    "reason": ("reason",),
    "diagnostic": ("diagnostic", "banner"),
    "remote_mta": ("remote_mta",),
    "application": ("application",),
    "queue_time": ("queue_seconds",),
}
"""Optional field -> what of a record says it."""
_NONE: dict[str, bool | None] = {
    "authenticated": False,
    **dict.fromkeys(("pid", "thread", "sequence", "notary_flags", "attempt", "queue_seconds", "local_port", "remote_port")),
}
_SERVER_SIDE = frozenset("EJBV")


class Concealment:
    """Takes out of records what a server with these optional fields does not log: for the formats that write all that a record has."""

    def __init__(self, fields: Sequence[str]) -> None:
        def empty(*attributes: str) -> tuple[tuple[str, str | bool | None], ...]:
            return tuple((attribute, _NONE.get(attribute, "")) for attribute in attributes)

        self._anywhere = empty(*(name for field in ("node", "process") if field not in fields for name in _ATTRIBUTES[field]))
        later = (names for field, names in _ATTRIBUTES.items() if field not in fields and field not in ("node", "process"))
        self._message = empty(*(name for names in later for name in names))
        ends = ("transport", "local_ip", "local_port", "remote_port") if "transport" not in fields else ()
        peer = ("remote_dns",) if "connection" not in fields else ()
        both = ("remote_ip",) if ends and peer else ()
        self._server_side = empty(*ends, *peer, *both)

    def __call__(self, record: Mta | Connection | Header) -> None:
        for name, value in self._anywhere:
            setattr(record, name, value)
        if isinstance(record, Mta):
            for name, value in self._message:
                setattr(record, name, value)
            if record.action in _SERVER_SIDE:
                for name, value in self._server_side:
                    setattr(record, name, value)


def write_config(settings: Settings, directory: Path, zone: str) -> None:
    """The server's own configuration files, named as it has them, as far as they rule the logs."""
    options = "".join(f"{name}={value}\n" for name, value in settings.mta.items())
    dump = "".join(f"{name} = {value}\n" for name, value in sorted(settings.configutil.items()))
    texts = {
        "option.dat": f"! MTA options of {HOST}\nBLOCK_SIZE=1024\n{options}",
        "configutil.txt": f"local.hostname = {HOST}\nservice.defaultdomain = {DOMAIN}\n{dump}",
        "imta_tailor": _TAILOR.format(root=ROOT, host=HOST, domain=DOMAIN),
        "imta.cnf": _CNF.format(host=HOST, domain=DOMAIN, hosted=HOSTED, separator="\n" * 2),
        "dispatcher.cnf": _DISPATCHER.format(root=ROOT, ip=SERVER_IP),
        "timezone": f"{zone}\n",
    }
    for name, text in texts.items():
        (directory / name).write_text(text, encoding="utf-8", newline="\n")


_TAILOR = """\
# Where the MTA has its files
IMTA_ROOT={root}/
IMTA_EXE={root}/lib/
IMTA_QUEUE={root}/data/queue/
IMTA_LOG={root}/data/log/
IMTA_TABLE={root}/config/
IMTA_OPTION_FILE={root}/config/option.dat
IMTA_CONFIG_FILE={root}/config/imta.cnf
IMTA_DISPATCHER_CONFIG={root}/config/dispatcher.cnf
IMTA_DEFAULT_DOMAIN={domain}
IMTA_HOST={host}
IMTA_USER=inetmail
"""
_CNF = """\
! rewrite rules
{host}                   $U%$D@{host}
{domain}                 $U%$D@ims-ms-daemon
{hosted}                 $U%$D@ims-ms-daemon
.                        $U%$H$D@tcp_local-daemon

! channels
defaults logging notices 1 2 3 copywarnpost copysendpost postheadonly noswitchchannel immnonurgent maxjobs 7 defaulthost {domain}

l defragment
{host}

ims-ms defragment subdirs 20 backoff "pt5m" "pt30m" "pt2h" "pt4h" maxjobs 2 pool IMS_POOL fileinto $U+$S@$D
ims-ms-daemon

tcp_local smtp mx single_sys remotehost inner switchchannel identnonelimited subdirs 20 \\
 maxjobs 7 pool SMTP_POOL maytlsserver saslswitchchannel tcp_auth
tcp-daemon

tcp_intranet smtp mx single_sys subdirs 20 dequeue_removeroute \\
 maxjobs 7 pool SMTP_POOL maytlsserver allowswitchchannel saslswitchchannel tcp_auth
tcp_intranet-daemon

tcp_auth smtp mx single_sys mustsaslserver noswitchchannel
tcp_auth-daemon

tcp_partner_gateway smtp mx single_sys backoff "pt30m" "pt1h" "pt2h" "pt4h"
tcp_partner_gateway-daemon

process
process-daemon

reprocess
reprocess-daemon

conversion
conversion-daemon
"""
_DISPATCHER = """\
! Services of the dispatcher
MIN_PROCS=1
MAX_PROCS=4
DEBUG=4097

[SERVICE=SMTP]
PORT=25
IMAGE={root}/lib/tcp_smtp_server
LOGFILE={root}/data/log/tcp_smtp_server.log
INTERFACE_ADDRESS={ip}

[SERVICE=SMTP_SUBMIT]
PORT=587
IMAGE={root}/lib/tcp_smtp_server
LOGFILE={root}/data/log/tcp_submit_server.log
PARAMETER=CHANNEL=tcp_submit
"""
