"""The compiled twin of the straight case: whether it is here, and what it is told.

Python is the definition of what is read and written: `formats/mta_straight.py` and what that uses. `native/` is the same in Rust, for lines of the
MTA and of services to native and ECS JSON: octets of a log in, lines of output out, without a Python object for a line and without the
interpreter's lock. It never decides anything on its own. What it does not know it leaves to Python line by line (`fused`), and names and events it
is told from here. `tests/native/` holds it to the Python, octet for octet.

To change how a line is read: change the Python first; the tests of `tests/native/` then fail; then change the twin.

It is a package of its own, `shipper-native`, of the same version as this one; one of another version is not used. `SHIPPER_NATIVE=0` turns it
off.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from datetime import date
from importlib import import_module
from string import ascii_uppercase
from typing import Any, NamedTuple, Protocol

from shipper import __version__, events
from shipper.formats import mta_attributes, mta_fields, mta_text, service
from shipper.formats.envelope import LEVEL_WORDS
from shipper.formats.names import PREFIXES, SERVICE_OF
from shipper.identity import LINES_KEPT, SECONDS_KEPT, content_of
from shipper.profiles import ecs
from shipper.profiles.base import INBOUND, PROTOCOLS
from shipper.reader import RawPolicy
from shipper.record import Connection, Mta, Record, Service, Store, Syslog

INTERFACE = 38
"""Of the calls between the two; one more with each change of them, here and in `native/src/lib.rs`."""
PROFILES = frozenset(("native", "ecs"))
"""The profiles that the twin renders."""
BARE = "id"
"""In place of a profile: a line has the id, the kind, and nothing else."""


class Found(NamedTuple):
    """The twin's module, None where it is not used; `why` says so in few words."""

    module: Any
    why: str

    @property
    def unfit(self) -> bool:
        """It is installed and wanted, and cannot be used: another one has to be installed."""
        return self.module is None and self.why not in (_OFF, _ABSENT)


_OFF, _ABSENT = "turned off by SHIPPER_NATIVE=0", "not installed"


def find() -> Found:
    """Looks for the twin. What is installed and does not fit is not used, whatever is wrong with it."""
    if os.environ.get("SHIPPER_NATIVE", "") == "0":
        return Found(None, _OFF)
    try:
        module = import_module("shipper_native")
    except ImportError as error:
        return Found(None, _ABSENT if isinstance(error, ModuleNotFoundError) else f"cannot be loaded: {error}")
    version = getattr(module, "VERSION", "?")
    if version != __version__ or getattr(module, "INTERFACE", 0) != INTERFACE:
        return Found(None, f"built for another state of shipper (version {version}), so not used")
    return Found(module, version)


def line_ends(module: Any, octets: bytes | bytearray) -> int:
    """How many lines end in these octets; with the twin in a tenth of the time."""
    if module is not None and type(octets) is bytes:
        count: int = module.line_ends(octets)
        return count
    return len(octets) - len(octets.replace(b"\n", b""))  # a third of the time that `count` takes


KINDS = ("mta", "connection", "service", "store")
"""The kinds of records that the twin renders, in the order in which it counts them."""


ACTIONS = (*((letter, events.code_event(letter)) for letter in ascii_uppercase), ("U", events.AUTH_FAILED))
"""Letters of entry codes and their events, by the number that the twin has for them."""


class Lines(Protocol):
    """Lines of output that stay where the twin has made them, for `Output.write`: `count` of them, so many octets long."""

    @property
    def count(self) -> int: ...
    def __len__(self) -> int: ...
    def begin(self, size: int) -> bytes:
        """The first octets."""
        ...


class Run(NamedTuple):
    """What a run of the twin gives.

    `out`: the lines of output, None while there are gaps; `gaps`: lines that it left out, as (number in the run, first octet, octet after it);
    `hour`: whether it stopped for a stamp of another hour, or of another zone; `next`: where the next line begins, one octet after the end
    at the end; `lines`: that it went through; `kinds`: how many it rendered of each of `KINDS`; `panics`: lines at which it gave up; `first`
    and `last`: the smallest and the largest time of the lines rendered, as text.
    """

    out: bytes | Lines | None
    gaps: list[tuple[int, int, int]]
    hour: bool
    next: int
    lines: int
    kinds: tuple[int, int, int, int]
    panics: int
    first: str
    last: str


Hours = tuple[tuple[str, str, str] | None, tuple[str, str, str] | None]
"""The hours (`Clock.hour`) that the clocks of messages' bodies and of their headers are in; None where that cannot be told."""


class MessagesRun(NamedTuple):
    """What a run over syslog messages gives.

    `messages`: so many it has rendered; `needs`: where it stopped for a stamp of an hour that it was not told, that stamp as MTA
    text has it, else `""`, of a body and of a header; `latest`: the format that took the last of the bodies that one took: 0 `mta_text`,
    1 `service`, -1: none did; `kinds`: of each of `KINDS`, and of `syslog` at the end; `panics`: see `Run`.
    """

    messages: int
    needs: tuple[str, str]
    latest: int
    kinds: tuple[int, int, int, int, int]
    panics: int


class Packed(Protocol):
    """The twin's `Messages`: syslog messages and the names of their senders, in one piece."""

    def __len__(self) -> int: ...

    def part(self, start: int, end: int) -> tuple[list[bytes], list[str]]:
        """Messages, without the end that is their framing's, and their senders."""
        ...

    def senders(self) -> list[str]:
        """All of these."""
        ...

    def hold(self, piece: bytes) -> bool:
        """Whether this stands in one of the messages."""
        ...


class Payloads(NamedTuple):
    """Payloads, one behind the other; where each ends, as `lines.Packed` has it; the numbers of those that Python has to render, which are empty."""

    octets: bytes
    table: bytes
    left: list[int]


class Twin:
    """The twin at work on one log. It is what gives ids there, too, as it has the count of identical lines. `fields`: see `formats.base.Log`;
    `peer`: where lines come from that are of no file; `each`: whether it is asked for each line; `lines`: whether output is given as `Lines`."""

    def __init__(
        self,
        module: Any,
        *,
        zone_source: str,
        file: str,
        host: str,
        raw: RawPolicy,
        profile: str,
        observed: int,
        fields: tuple[str, ...] | None = None,
        peer: str = "",
        each: bool = False,
        lines: bool = False,
    ) -> None:
        kinds = (Mta, Connection) if profile == "ecs" else ()
        documents = [[tuple(ecs.fixed(kind, event.name, event.severity, True, observed)) for _, event in ACTIONS] for kind in kinds]
        self._twin = module.Twin(
            events=[(event.name, event.severity) for _, event in ACTIONS],
            messages="".join(events.MTA_EVENTS),
            accounts=sorted(mta_fields.ACCOUNTS),
            words=(sorted(mta_fields.SENSITIVITIES), sorted(mta_fields.PRIORITIES)),
            failures=list(mta_fields.FAILURES),
            daemons=sorted(mta_text.DAEMONS),
            fields=None if fields is None else [name for name in mta_text.OPTIONAL if name in fields],
            attributes=(
                list(_ATTRIBUTES),
                sorted(mta_attributes.KNOWN["en"]),
                sorted(mta_attributes.KNOWN["co"]),
                "".join(events.CONNECTION_EVENTS),
            ),
            zone_source=zone_source,
            file=file,
            peer=peer,
            host=host,
            raw=raw == "always",
            seconds_kept=SECONDS_KEPT,
            lines_kept=LINES_KEPT,
            bare=profile == BARE,
            each=each,
            lines=lines,
            ecs=(*documents, "".join(INBOUND), ecs.fixed_tail(True)) if profile == "ecs" else None,
            service=_service(profile, observed),
            syslog=_syslog(profile, observed),
        )

    def run(self, data: bytes, start: int, offset: int, hour: tuple[str, str, str], quiet: bool = False) -> Run:
        """Renders lines of the MTA from octet `start` of `data` on, as far as their stamps are of this hour: (how lines begin, the hour as ISO 8601,
        its offset). Lines of text begin with the hour (`Clock.hour`), of XML with `<`, of JSON with `{`, those behind a syslog header with `>`
        and the hour of the text in them. `offset`: of `data` in the log;
        `quiet`: lines are read for what they leave behind, and an empty one is put in the place of each."""
        return Run(*self._twin.run(data, start, offset, hour, quiet))

    def run_service(self, data: bytes, start: int, offset: int) -> Run:
        """The same for lines of a service log, as far as their stamps are usual ones of one zone."""
        return Run(*self._twin.run_service(data, start, offset))

    def prepare(self, threads: Any, data: bytes, offset: int, hours: list[tuple[str, str, str]]) -> Any:
        """Has one of `threads` (the module's `Threads`) begin runs from the first octet on, before their turn; `hours`: that they may be of, none
        of a service log."""
        return self._twin.begin(threads, data, offset, hours)

    def take(self, begun: Any) -> None:
        """The next runs are those that `prepare` gave, each that is of the same lines and the same hour; else it was in vain."""
        self._twin.take(begun)

    def see(self, observed: int) -> None:
        """ECS documents say from now on that they were read then, in nanoseconds since 1970."""
        self._twin.see(ecs.created(observed))

    def seconds(self) -> list[str]:
        """The seconds (ISO 8601, without an offset) of the lines that the last run rendered, in their order; one may come again."""
        seconds: list[str] = self._twin.seconds()
        return seconds

    def each(self) -> tuple[bytes, list[str]]:
        """Of each line of the last run the number of its kind in `KINDS` and its time; 255 and "" of a gap."""
        kinds, times = self._twin.each()
        return kinds, times

    def ids(self) -> bytes:
        """The ids of all lines of the last run, sixteen octets each; of one with gaps when these have theirs."""
        ids: bytes = self._twin.ids()
        return ids

    def look_ahead(self, writer: Any, observed: int) -> None:
        """Of the lines of runs from now on `writer` (`payloads.otlp_writer`) renders payloads at once. `observed`: when they were read."""
        self._twin.look_ahead(writer, observed)

    def ahead(self) -> Any:
        """These payloads of the last run, for `payloads.Stretch`; when all its lines have ids."""
        return self._twin.ahead()

    def payloads(
        self,
        writer: Any,
        data: bytes,
        start: int,
        offset: int,
        hour: tuple[str, str, str] | None,
        ids: bytes,
        observed: int,
        priorities: Sequence[int | None] | None = None,
        made: Sequence[tuple[int, bytes]] = (),
    ) -> Payloads:
        """What `writer` (`payloads.otlp_writer`, `payloads.syslog_writer`) makes of the lines of a run, which began at octet `start`: a payload of
        each. `hour`: None of service logs; `ids`: of these lines; `observed`: when they were read, in
        nanoseconds since 1970; `priorities`: see `rfc5424.render`; `made`: payloads that Python has made already, with the numbers of their
        lines, which grow."""
        return Payloads(*self._twin.payloads(writer, data, start, offset, hour, ids, observed, priorities, list(made)))

    def message_payloads(
        self,
        writer: Any,
        messages: Packed,
        start: int,
        hours: Hours,
        limit: date,
        ids: bytes,
        observed: int,
        priorities: Sequence[int | None] | None = None,
        made: Sequence[tuple[int, bytes]] = (),
    ) -> Payloads:
        """The same of syslog messages, which a run took with these `hours` and this `limit`."""
        day = (limit.year, limit.month, limit.day)
        return Payloads(*self._twin.message_payloads(writer, messages, start, hours, day, ids, observed, priorities, list(made)))

    def run_messages(
        self,
        messages: Packed,
        start: int,
        end: int,
        hours: Hours,
        limit: date,
    ) -> MessagesRun:
        """Renders the syslog messages of these numbers, as far as they are straight, and their stamps without a zone of these hours; their lines are
        kept for `written`. `limit`: the last day of a stamp without a year."""
        ran = self._twin.run_messages(messages, start, end, hours, (limit.year, limit.month, limit.day))
        return MessagesRun(*ran)

    def put(self, lines: bytes) -> None:
        """Lines that Python has rendered, behind those that are kept."""
        self._twin.put(lines)

    def written(self) -> bytes:
        """The lines that are kept, of messages and those that were put between, which they are no longer."""
        lines: bytes = self._twin.written()
        return lines

    def filled(self, lines: bytes) -> bytes | Lines:
        """The output of a run that had gaps, with the rendered records of these in it. They must have got their ids before, all together."""
        whole: bytes | Lines = self._twin.filled(lines)
        return whole

    def assign(self, records: Sequence[Record], lines: Sequence[str]) -> None:
        """See `identity.Ids`."""
        ids = self._twin.assign([(record.time[:19], content_of(record, line)) for record, line in zip(records, lines, strict=True)])
        for record, known in zip(records, ids, strict=True):
            record.id = known

    def state(self) -> Iterator[bytes]:
        """See `identity.Ids`."""
        yield self._twin.state()


_ATTRIBUTES = (
    "ts", "no", "pi", "sc", "dc", "dr", "ac", "sz", "so", "od", "de", "rf", "fi", "ei", "mi", "us", "ss", "se", "pr", "in", "ia", "fl", "re", "di",
    "rm", "tr", "ap", "qt", "va",
)  # fmt: skip
"""In the order of `native/src/attributes.rs`."""

_SERVICE_EVENTS = (
    (Service, "login"),
    (Service, "badlogin"),
    (Service, "close"),
    (Service, "message"),
    (Store, "append"),
    (Store, "fetch"),
    (Store, "expunge"),
)
"""In the order of `native/src/service.rs`."""


def service_cases() -> list[tuple[type[Record], str, str, bool]]:
    """(kind, event, severity, whether there is a user) of service records, in the order in which the twin numbers them."""
    rows = [(kind, events.SERVICE_EVENTS[name].name) for kind, name in _SERVICE_EVENTS]
    return [(kind, name, severity, user) for kind, name in rows for severity in events.SEVERITIES for user in (False, True)]


def _service(profile: str, observed: int) -> tuple[object, ...]:
    """What the twin is told of service logs."""
    severities = list(events.SEVERITIES)
    documents = [tuple(ecs.fixed(*case, observed)) for case in service_cases()]
    return (
        sorted(SERVICE_OF.items()),
        sorted(PREFIXES.items()),
        [(level, severities.index(severity)) for level, severity in events.LEVELS.items()],
        severities,
        [events.SERVICE_EVENTS[name].name for _, name in _SERVICE_EVENTS],
        sorted(service.MECHANISMS),
        list(service.REASONS),
        documents if profile == "ecs" else [],
        ecs.fixed_tail(False),
        sorted(PROTOCOLS.items()),
    )


def _syslog(profile: str, observed: int) -> tuple[object, ...]:
    """What the twin is told of syslog messages."""
    event = events.SYSLOG.name
    documents = [tuple(ecs.fixed(Syslog, event, severity, True, observed)) for severity in events.SEVERITIES]
    documents = documents if profile == "ecs" else []
    return list(events.FACILITIES), list(events.SEVERITIES), event, documents, ecs.fixed_tail(None), sorted(LEVEL_WORDS)
