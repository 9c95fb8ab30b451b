"""What the mail server was told to log, and where: one typed value for each setting, with the place that it comes from.

    server = MailServer.of({"LOG_MESSAGES_SYSLOG": 22, "logfile.imap.loglevel": "Debug"})
    server.number("LOG_MESSAGES_SYSLOG")            22
    server.logfile("imap", "loglevel").value        "debug"
    server.logfile("pop", "maxlogfilesize").value   2097152, with `place` None: the product's default

Two servers are equal when the same settings are set to the same values, wherever they stand. Names, kinds and defaults: `options`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from shipper.errors import Place, Problem
from shipper.events import FACILITIES, SEVERITIES
from shipper.mailserver.optionfile import FIELD_OPTIONS, integer, optional_fields
from shipper.mailserver.options import LOGFILE, LOGFILE_PREFIX, MTA, NAMED, ON_WITH_XML, Kind, canonical, service_name

MAIL_INFO = 22
BY_HAND = Place("by hand", 0, 0)


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting. `name` is canonical; `value` a number (sizes in octets, times in seconds), or text, of levels and facilities in small
    letters; `place`: where it stands, None: nowhere, it is the product's default; `written`: the value as it stands there."""

    name: str
    value: int | str
    place: Place | None = field(default=None, compare=False)
    written: str = field(default="", compare=False)

    @property
    def number(self) -> int:
        """The value as a number; 0 where it is none."""
        return self.value if isinstance(self.value, int) else 0

    def __str__(self) -> str:
        """`LOG_MESSAGES_SYSLOG=22 (option.dat:3:1)`, `logfile.imap.syslogfacility=none (default)`."""
        return f"{self.name}={self.written or self.value} ({self.place or 'default'})"


@dataclass(frozen=True)
class MailServer:
    """A mail server's settings. `settings`: those that are set, by their canonical names; `channels`: of imta.cnf, channel -> its `logging`
    or `nologging` (value 1 or 0), `headers` -> its `logheader` (value: the number), `""` standing for a channel that says nothing of its own.

    `channels` is empty where no imta.cnf was read: then nothing is known of channels. `problems`: what cannot be read or taken, `warnings`:
    contradictions and names that are not known, `files`: what was read, `sources`: file -> its lines, for messages.
    """

    settings: Mapping[str, Setting] = field(default_factory=dict)
    channels: Mapping[str, Setting] = field(default_factory=dict)
    headers: Mapping[str, Setting] = field(default_factory=dict)
    mta_priority: int = MAIL_INFO
    """What records are sent to syslog as where LOG_MESSAGES_SYSLOG is 1: facility * 8 + severity."""
    mta_known: bool = False
    """Whether an option file was read: then what does not stand in it has the product's default."""
    replaced: Mapping[str, Setting] = field(default_factory=dict, compare=False)
    """What stands in the server's files under names that our own configuration sets, which wins."""
    problems: tuple[Problem, ...] = field(default=(), compare=False)
    warnings: tuple[Problem, ...] = field(default=(), compare=False)
    files: tuple[str, ...] = field(default=(), compare=False)
    sources: Mapping[str, Sequence[str]] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, settings: Mapping[str, int | str] = {}, channels: Mapping[str, str] = {}, *, mta_priority: str = "mail.info") -> MailServer:
        """A server with these settings, in any spelling, and channels (`{"tcp_local": "logging"}`); without contradictions looked for.
        Raises ValueError for a value that cannot be."""
        found = {}
        for written, value in settings.items():
            name = canonical(written)
            taken = typed(name, str(value))
            if isinstance(taken, Refused):
                raise ValueError(f"{written}={value}: {taken.must}")
            found[name] = Setting(name, taken, BY_HAND, str(value))
        logging = {name: Setting(word, int(word == "logging"), BY_HAND, word) for name, word in channels.items()}
        priority = priority_of(mta_priority)
        if priority is None:
            raise ValueError(f"mta_priority={mta_priority}: facility.severity")
        return cls(found, logging, mta_priority=priority)

    def option(self, name: str) -> Setting:
        """A setting, or the product's default for it: of an unset LOG_CONNECTIONS_SYSLOG the LOG_MESSAGES_SYSLOG that it follows; of one
        that nothing is known of 0. `name` in any spelling."""
        name = canonical(name)
        if found := self.settings.get(name):
            return found
        if name == "LOG_CONNECTIONS_SYSLOG":
            return self.option("LOG_MESSAGES_SYSLOG")
        if name.startswith(LOGFILE_PREFIX) and name.count(".") == 2:
            _, service, option = name.split(".")
            return self.logfile(service, option)
        if name in ON_WITH_XML and self.number("LOG_FORMAT") > 3:
            return Setting(name, 1)
        kind = kind_of(name)
        return Setting(name, kind.default if kind else 0)

    def number(self, name: str) -> int:
        """The value of `option(name)`; 0 where it is no number."""
        return self.option(name).number

    def logfile(self, service: str, option: str) -> Setting:
        """`logfile.SERVICE.OPTION`: what is set for the service, else for all (`logfile.*.OPTION`), else the product's default.

        `syslogfacility` is `none` or a facility; `loglevel` one of `options.LEVELS`; sizes are octets, times seconds; `logdir` is `""` where
        it is not set. Raises KeyError for an option that log files do not have.
        """
        kind = LOGFILE[option]
        name = f"{LOGFILE_PREFIX}{service_name(service)}.{option}"
        return self.settings.get(name) or self.settings.get(f"{LOGFILE_PREFIX}*.{option}") or Setting(name, kind.default)

    def is_set(self, name: str) -> bool:
        """Whether a setting stands anywhere, if only with its default. `name` in any spelling."""
        return canonical(name) in self.settings

    @property
    def services(self) -> tuple[str, ...]:
        """The services that have a log file option set, in the order of their names."""
        return tuple(sorted({name.split(".")[1] for name in self.settings if name.startswith(LOGFILE_PREFIX)}))

    def logging(self, channel: str) -> Setting:
        """Whether a channel logs: value 1 or 0; `name` and `written` are the keyword, `logging` or `nologging`.

        The product's default is `nologging`. Ask `channels` first: without an imta.cnf nothing is known.
        """
        return self.channels.get(channel) or self.channels.get("") or Setting("nologging", 0)

    def logheader(self, channel: str) -> Setting:
        """Which of a channel's messages have their header lines logged (bit 0: at dequeue, 3: also at enqueue): its `logheader N`, else
        LOG_HEADER."""
        return self.headers.get(channel) or self.headers.get("") or self.option("LOG_HEADER")

    @property
    def dispatcher_debug(self) -> Setting:
        """DEBUG of dispatcher.cnf, as a mask of 32 bits; 0 where it is not set."""
        found = self.option("dispatcher.debug")
        return replace(found, value=found.number & 0xFFFFFFFF)

    @property
    def fields(self) -> tuple[str, ...] | None:
        """The optional fields of the MTA's text records, in their order. None where they are not known: no option file was read, none of the
        options that rule them is set, or LOG_FORMAT is above 3, and text is what was written before that."""
        if self.number("LOG_FORMAT") > 3 or not (self.mta_known or any(name in self.settings for name in FIELD_OPTIONS)):
            return None
        return optional_fields({name: str(found.value) for name, found in self.settings.items() if "." not in name})


@dataclass(frozen=True, slots=True)
class Refused:
    """A value that cannot be: `must` says what is right, as `must be …`; `near` are words that may have been meant."""

    must: str
    known: tuple[str, ...] = ()


def typed(name: str, written: str) -> int | str | Refused:
    """The value of a setting as its kind has it; a number where nothing is known of it and it looks like one."""
    kind = kind_of(name)
    if kind is None:
        number = integer(written)
        return written if number is None else number
    if kind.words:
        word = written.lower()
        return word if word in kind.words else Refused(f"must be {', '.join(kind.words[:-1])} or {kind.words[-1]}", kind.words)
    if not kind.number:
        return written
    number = integer(written)
    what = f"a number of {kind.unit}" if kind.unit else "a number"
    if number is None:
        return Refused(f"must be {what}")
    if number < kind.least:
        return Refused(f"must be {what}, {kind.least} or more")
    if number > kind.most:
        return Refused(f"must be {what} from {kind.least} to {kind.most}")
    return number


def kind_of(name: str) -> Kind | None:
    """What is known of a setting, by its canonical name."""
    if name.startswith(LOGFILE_PREFIX) and name.count(".") == 2:
        return LOGFILE.get(name.rpartition(".")[2])
    return MTA.get(name) or NAMED.get(name)


def priority_of(text: str) -> int | None:
    """`mail.info`, `22` -> 22; None when it is no syslog priority."""
    facility, dot, severity = text.strip().lower().partition(".")
    if dot:
        known = facility in FACILITIES and severity in SEVERITIES
        return FACILITIES.index(facility) * 8 + SEVERITIES.index(severity) if known else None
    number = int(text) if text.isdecimal() and text.isascii() and len(text) < 4 else -1
    return number if 0 <= number < len(FACILITIES) * 8 else None


def priority_in_words(number: int) -> str:
    """22 -> `mail.info`."""
    return f"{FACILITIES[number >> 3]}.{SEVERITIES[number & 7]}"
