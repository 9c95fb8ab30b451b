"""Reads the mail server's own files, and what our configuration says instead of them -> a `MailServer`.

    server = read({"tailor": Named("/opt/SUNWmsgsr/config/imta_tailor")}, settings)

The files, in the order in which a later one wins: `option_file`, `channels`, `dispatcher` (each named by itself, or by the tailor file, or
standing where the product has it beside the tailor file), `configutil`; then the settings by hand, which win over all. Whatever a file has in
it, nothing is raised: what cannot be read or taken is in `problems`, what is odd in `warnings`.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path

from shipper.errors import Place, Problem
from shipper.mailserver import configutil, dispatcher, optionfile
from shipper.mailserver.channels import Channels
from shipper.mailserver.contradictions import contradictions
from shipper.mailserver.lines import Assignment, physical
from shipper.mailserver.options import CHANNEL_OPTIONS, LAST_FORMAT, LOGFILE, LOGFILE_PREFIX, MTA, MTA_ELSE, SERVICES, canonical
from shipper.mailserver.settings import MAIL_INFO, MailServer, Refused, Setting, kind_of, priority_of, typed
from shipper.mailserver.tailor import FILES, UNIFIED, Tailor, is_here

MAX_OCTETS = 4 << 20
_CHANNEL = "channel:"
_PRIORITY = MTA["LOG_MESSAGES_SYSLOG"]
_UNITS = re.compile(r"([0-9]{1,9})\s*([a-z]{1,7})", re.IGNORECASE | re.ASCII)
_OCTETS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_OFF = ("0", "no", "off", "false")
_SHOW = "`msconfig show > FILE` writes a file that can be read"


@dataclass(frozen=True, slots=True)
class Named:
    """A file, and where it is named, for the message when it cannot be read."""

    path: str
    place: Place | None = None


def read(files: Mapping[str, Named], own: Sequence[Assignment] = (), *, mta_priority: int = MAIL_INFO, lenient: bool = False) -> MailServer:
    """The settings of a mail server. `files`: `tailor`, `option_file`, `channels`, `dispatcher`, `configutil` -> where it is. `own`: settings
    by hand, in any spelling. `lenient`: a file that is not there is no problem."""
    return _Reading(files, lenient).run(own, mta_priority)


@dataclass
class _Reading:
    files: Mapping[str, Named]
    lenient: bool
    settings: dict[str, Setting] = field(default_factory=dict)
    replaced: dict[str, Setting] = field(default_factory=dict)
    channels: dict[str, Setting] = field(default_factory=dict)
    headers: dict[str, Setting] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    read: list[str] = field(default_factory=list)
    sources: dict[str, Sequence[str]] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    tailor: Tailor | None = None
    by_hand: Mapping[str, Place] = field(default_factory=dict)
    hand: bool = False
    mta_known: bool = False

    def run(self, own: Sequence[Assignment], mta_priority: int) -> MailServer:
        self.by_hand = {canonical(one.name): one.place for one in own}
        self._tailor()
        for kind in ("option_file", "channels", "dispatcher", "configutil"):
            opened = self._file(kind)
            if opened is None:
                continue
            file, text = opened
            if kind == "channels":
                self._channels(file, text)
                continue
            reader = {"option_file": optionfile.read, "dispatcher": dispatcher.read, "configutil": configutil.read}[kind]
            found, problems = reader(file, text)
            self._told(problems)
            self._take(found)
            self.mta_known = self.mta_known or kind == "option_file" or any(canonical(one.name) in MTA for one in found)
        self.hand = True
        self._take(own)
        self._beside()
        bare = MailServer(self.settings, self.channels, self.headers, mta_priority, self.mta_known, self.replaced, files=tuple(self.read))
        self._told(contradictions(bare))
        order = {name: number for number, name in enumerate(self.read)}
        self.warnings.sort(key=lambda warning: (order.get(warning.place.file, -1), warning.place.line, warning.place.column))
        return replace(bare, problems=tuple(self.problems), warnings=tuple(self.warnings), sources=self.sources)

    def _told(self, problems: Sequence[Problem]) -> None:
        for problem in problems:
            (self.warnings if problem.warning else self.problems).append(problem)

    # Files

    def _tailor(self) -> None:
        named = self.files.get("tailor")
        opened = self._open(Path(named.path), named.place) if named else None
        if named is None or opened is None:
            return
        found, problems = optionfile.read(*opened)
        self._told(problems)
        self.tailor = Tailor({one.name.upper(): one for one in found}, Path(named.path).parent)

    def _file(self, kind: str) -> tuple[str, str] | None:
        """The file of a kind, if there is one: named by the configuration, by the tailor file, or where it usually stands."""
        if named := self.files.get(kind):
            return self._open(Path(named.path), named.place)
        if self.tailor is None or kind not in FILES:
            return None
        if found := self.tailor.named(kind):
            return self._open(found[0], found[1].value_place)
        if written := self.tailor.settings.get(FILES[kind]):
            notes = (f"name the file itself, as '{kind}' in 'mailserver'",)
            message = f"what '{written.value}' stands for is not said in this file"
            self.problems.append(Problem("C114", message, written.value_place, "", notes))
            return None
        usual = self.tailor.beside(kind)
        return self._open(usual, None) if is_here(usual) else None

    def _open(self, path: Path, place: Place | None, *, spare: bool = False) -> tuple[str, str] | None:
        """A file's name and text. What cannot be read is a problem at `place`, or, with `spare`, a warning there."""
        name = str(path)
        try:
            if place and stat.S_ISFIFO(path.stat().st_mode):
                raise ValueError("a pipe may never end")
            with path.open("rb") as file:
                octets = file.read(MAX_OCTETS + 1)
            reason = f"it is larger than {MAX_OCTETS >> 20} MB" if len(octets) > MAX_OCTETS else ""
        except (OSError, ValueError) as error:
            octets = b""
            reason = (getattr(error, "strerror", None) or "not a file").lower()
            if self.lenient and isinstance(error, FileNotFoundError):
                return None
        if reason:
            self._told([Problem("C114", f"cannot read '{name}': {reason}", place or Place(name, 0, 0), warning=spare)])
            return None
        try:
            text = octets.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = octets.decode("latin-1")
        self.sources[name] = physical(text)
        if name not in self.read:
            self.read.append(name)
        if text.lstrip("\ufeff \t\r\n").startswith("<?xml"):
            self.problems.append(Problem("C115", "this is the unified configuration itself, in XML", Place(name, 1, 1), "", (_SHOW,)))
            return None
        return name, text

    def _beside(self) -> None:
        """Says when these are probably not the files that the server goes by: beside a unified configuration it reads none of them."""
        if "configutil" in self.files or any(Path(file).name == UNIFIED for file in self.read):
            return
        for file in self.read:
            beside = Path(file).parent / UNIFIED
            if beside.is_file():
                message = f"a server that has this unified configuration goes by it, and not by '{Path(file).name}' beside it"
                notes = (_SHOW, "name that as 'configutil' in 'mailserver', and none of the others")
                self.warnings.append(Problem("C156", message, Place(str(beside), 0, 0), "", notes, warning=True))
                return

    def _channels(self, file: str, text: str) -> None:
        found = Channels(file, text, self._included)
        self._told(found.problems)
        self.channels, self.headers = found.logging, found.headers

    def _included(self, written: str, above: str, place: Place, spare: bool) -> tuple[str, str] | None:
        """A file that imta.cnf names: `IMTA_TABLE:internet.rules`, or a path that begins where imta.cnf stands."""
        folder = Path(above).parent
        path: Path | None = folder / written
        if ":" in written and not (path and is_here(path)):
            path = (self.tailor or Tailor({}, folder)).path(written)
            if path is None and written.upper().startswith("IMTA_TABLE:"):
                path = folder / written.partition(":")[2]
        if path is None:
            message = f"what '{written}' stands for is not known without the tailor file"
            self._told([Problem("C114", message, place, "", ("name imta_tailor as 'tailor' in 'mailserver'",), warning=spare)])
            return None
        return self._open(path, place, spare=spare)

    # Settings

    def _take(self, found: Sequence[Assignment]) -> None:
        for written in found:
            name = canonical(written.name)
            if name.startswith(_CHANNEL):
                self._channel(name, written)
                continue
            self._known(name, written)
            value = typed(name, written.value)
            if isinstance(value, Refused):
                self._refused(written, value)
                continue
            if value == "" and not kind_of(name):
                continue
            if name == "LOG_FORMAT" and isinstance(value, int) and value > LAST_FORMAT:
                message = f"LOG_FORMAT={written.value} is a format that we do not know: the last one known is {LAST_FORMAT}"
                self.warnings.append(Problem("C156", message, written.value_place, warning=True))
            setting = Setting(name, value, written.place, written.value)
            before = self.settings.get(name)
            if before is not None and self.hand and name not in self.replaced and before.place and not self._ours(before):
                self.replaced[name] = before
            elif before is not None and before.value != value:
                message = f"{written.name} is set twice: {before.written} and {written.value}; the last one holds"
                where = f"the other one, {before.name}={before.written}, is at {before.place}"
                self.warnings.append(Problem("C155", message, written.place, "the last one", (where,), warning=True))
            self.settings[name] = setting

    def _ours(self, setting: Setting) -> bool:
        return setting.place is None or setting.place.file not in self.sources

    def _refused(self, written: Assignment, refused: Refused) -> None:
        shown = written.value if len(written.value) <= 60 else f"{written.value[:57]}..."
        message = f"{written.name} {refused.must}, not '{shown}'"
        notes = _meant(canonical(written.name), written.value, refused)
        if not self.hand and (winner := self.by_hand.get(canonical(written.name))):
            notes = (f"what stands at {winner} is taken instead",)
            self.warnings.append(Problem("C115", message, written.value_place, "", notes, warning=True))
        else:
            self.problems.append(Problem("C115", message, written.value_place, "", notes))

    def _channel(self, name: str, written: Assignment) -> None:
        """`channel:tcp_local.logging`, `channel:defaults.logheader`: keywords in the unified configuration's spelling; others rule no log."""
        channel, _, keyword = name.removeprefix(_CHANNEL).rpartition(".")
        channel = "" if channel == "defaults" else channel
        if keyword in ("logging", "nologging"):
            on = (keyword == "logging") != (written.value.lower() in _OFF)
            self.channels[channel] = Setting("logging" if on else "nologging", int(on), written.place, written.value)
        elif keyword == "logheader":
            number = optionfile.integer(written.value)
            if number is None or number < 0:
                self._refused(written, Refused("must be a number, 0 or more"))
            else:
                self.headers[channel] = Setting("logheader", number, written.place, written.value)

    def _known(self, name: str, written: Assignment) -> None:
        """Says when a name looks like that of a logging option and is none; once of each."""
        if name in self.seen:
            return
        self.seen.add(name)
        notes: tuple[str, ...] = ()
        if kind_of(name) or name in MTA_ELSE:
            if not name.startswith(LOGFILE_PREFIX):
                return
            service = name.split(".")[1]
            if service in SERVICES:
                return
            message = f"'{service}' is no service that we know"
            near = _near(service, SERVICES)
            notes = (f"did you mean '{near[0]}'?",) if near else (f"the services: {', '.join(SERVICES[:-1])}",)
        elif name in CHANNEL_OPTIONS:
            message = f"'{written.name}' is an option of a channel's own option file: here it has no effect"
        elif name.startswith(LOGFILE_PREFIX):
            message = f"'{written.name}' is no option of a log file that we know: it is kept, and rules nothing"
            near = _near(name.rpartition(".")[2], LOGFILE)
            notes = (f"did you mean '{near[0]}'?",) if near else (f"the options: {', '.join(LOGFILE)}",)
        elif "." not in name:
            near = _near(name, MTA, 0.85)
            if not near and not name.startswith("LOG_"):
                return
            message = f"'{written.name}' is no logging option of the MTA that we know: it is kept, and rules nothing"
            notes = (f"did you mean '{near[0]}'?",) if near else ()
        else:
            return
        self.warnings.append(Problem("C156", message, written.place, "", notes, warning=True))


def _near(word: str, known: Iterable[str], cutoff: float = 0.6) -> list[str]:
    """The name that a word was probably meant to be; nobody meant a long one."""
    return get_close_matches(word, known, 1, cutoff) if len(word) <= 40 else []


def _meant(name: str, value: str, refused: Refused) -> tuple[str, ...]:
    """What a value that is none was probably meant to be, or how the right ones are written."""
    word = value.lower()
    near = [known for known in refused.known if word and known.startswith(word)] or _near(word, refused.known)
    if near:
        return (f"did you mean '{near[0]}'?",)
    kind = kind_of(name)
    if kind is _PRIORITY:
        priority = priority_of(value) if "." in value else None
        if priority is not None:
            return (f"{value} is {priority}",)
        return ("facility * 8 + severity: 22 is mail.info and log files, -22 mail.info without log files, 0 log files only",)
    if name == "dispatcher.debug":
        return ("-1 is everything; a mask in hexadecimal is written 16%FFFFFFFF",)
    shape = _UNITS.fullmatch(value) if kind else None
    factors = {"bytes": _OCTETS, "seconds": _SECONDS}.get(kind.unit, {}) if kind else {}
    if shape and (factor := factors.get(shape[2][:1].lower())):
        return (f"{value} is {int(shape[1]) * factor}",)
    return ()
