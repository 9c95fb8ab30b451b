"""The mail server that is played: its clock, what it has under way, and how what happens becomes lines.

What happens is told as *lives*: generators that write records and yield how many seconds pass until they go on. The server lets them go on in
the order of time, so its memory is what is under way at one moment, however long it runs. Times are whole hundredths of a second since 1970.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from heapq import heappop, heappush, heapreplace
from pathlib import Path
from zoneinfo import ZoneInfo

from shipper.formats import mta_json, mta_xml, service
from shipper.formats.mta_text_render import renderer
from shipper.generate.cast import HOST, NODE, Cast
from shipper.generate.dice import Dice
from shipper.generate.logs import DebugLog, MtaFamily, ServiceLog
from shipper.generate.settings import SERVICES, Concealment, Settings
from shipper.mailserver.options import LEVELS
from shipper.record import Connection, Header, Mta, Service
from shipper.stamps import offset_text

Life = Iterator[float]
Line = Callable[[Mta | Connection | Header], str]

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_PAIRS = [high + low for high in _DIGITS for low in _DIGITS]
_LATE = 0.004
"""Share of the records that one thread writes a moment after another one has written a later stamp."""
_THREADS = 500
"""Connections after which a process ends and another takes its place."""


class Thread:
    """One thread of a process: what LOG_PROCESS shows as `pid.thread.sequence`; `thread` is None where a process has but one."""

    __slots__ = ("pid", "sequence", "thread")

    def __init__(self, pid: int, thread: int | None, sequence: int) -> None:
        self.pid = pid
        self.thread = thread
        self.sequence = sequence


class Program:
    """A program with some processes, each with many threads, or one."""

    def __init__(self, dice: Dice, processes: int, threaded: bool = True) -> None:
        self._dice = dice
        self._pids = [2000 + dice.below(28000) for _ in range(processes)]
        self._used = [dice.below(_THREADS) for _ in range(processes)]
        self._threaded = threaded

    def pid(self) -> int:
        return self._dice.pick(self._pids)

    def thread(self) -> Thread:
        """The next free thread; a process that has served enough ends."""
        number = self._dice.below(len(self._pids))
        self._used[number] += 1
        if self._used[number] > _THREADS:
            self._used[number] = 0
            self._pids[number] = 2000 + self._dice.below(28000)
        used = self._used[number]
        return Thread(self._pids[number], 1 + used % 60, 0) if self._threaded else Thread(self._pids[number], None, used)


class Server:
    """The server: `now` is its clock; `begin` starts a life, `run` lets all go on; `mta`, `service` and `debug` write.

    `line` writes a record of the MTA; `start` is the first moment, in hundredths of a second since 1970.
    """

    def __init__(self, directory: Path, settings: Settings, line: Line, cast: Cast, dice: Dice, zone: ZoneInfo, start: int) -> None:
        self.settings = settings
        self.cast = cast
        self.dice = dice
        self.zone = zone
        self.now = start
        self.lines = 0
        self.smtp = Program(dice, 3)
        self.client = Program(dice, 4)
        self.store = Program(dice, 2)
        self.inner = Program(dice, 1, threaded=False)
        self.imapd, self.popd, self.mshttpd = Program(dice, 3), Program(dice, 2), Program(dice, 1)
        self.connection_bits = settings.connection
        self._directory = directory
        self._under_way: list[tuple[int, int, Life]] = []
        self._begun = 0
        self._quarter = -1
        self._turn(self.now // 100)
        self.messages = MtaFamily(directory, "mail.log")
        self.connections = MtaFamily(directory, "connection.log") if settings.separate else self.messages
        self._line = line
        self.services: dict[str, ServiceLog] = {}
        self._levels: dict[str, frozenset[str]] = {}
        names = (*SERVICES, "msgtrace") if settings.trace == "msgtrace" else SERVICES
        for name in names:
            limits = settings.service(name)
            self._levels[name] = frozenset(level.capitalize() for level in LEVELS[: limits.level + 1])
            if not limits.to_syslog:
                sequence = 20 + dice.below(400)
                self.services[name] = ServiceLog(directory, name, sequence, limits, self.now // 100, self._created(name))
        self.debugs: dict[str, DebugLog] = {}

    # Time

    def local(self) -> datetime:
        """Now, in the server's time zone."""
        return datetime.fromtimestamp(self.now // 100, self.zone)

    def time(self) -> str:
        """Now, as a record of the MTA has it: ISO 8601 with hundredths."""
        now = self.now
        if self.dice.random() < _LATE:
            now -= 1 + self.dice.below(30)
        second, hundredths = divmod(now, 100)
        if second != self._second:
            self._turn(second)
        return f"{self._iso}.{hundredths:02d}{self._offset}"

    def second(self) -> str:
        """Now, as a record of a service has it: ISO 8601."""
        second = self.now // 100
        if second != self._second:
            self._turn(second)
        return self._iso + self._offset

    def session_start(self) -> str:
        """Now, as a close event tells when its session began: `2005/3/7 9:26:53`."""
        iso = self.second()
        return f"{iso[:4]}/{int(iso[5:7])}/{int(iso[8:10])} {int(iso[11:13])}:{iso[14:19]}"

    def _turn(self, second: int) -> None:
        """Makes the texts of another second. A zone changes its offset, and the day its date, at the beginning of a quarter of an hour."""
        self._second = second
        quarter, rest = divmod(second, 900)
        if quarter != self._quarter:
            local = datetime.fromtimestamp(second - rest, self.zone)
            offset = local.utcoffset()
            self._quarter = quarter
            self._offset = offset_text(int(offset.total_seconds()) if offset else 0)
            self._date = f"{local.year:04d}-{local.month:02d}-{local.day:02d}T{local.hour:02d}:"
            self._minute = local.minute
        minute, rest = divmod(rest, 60)
        self._iso = f"{self._date}{self._minute + minute:02d}:{rest:02d}"

    # Lives

    def begin(self, life: Life, after: float = 0.0) -> None:
        """Lets a life begin in so many seconds."""
        self._begun += 1
        heappush(self._under_way, (self.now + int(after * 100), self._begun, life))

    @property
    def under_way(self) -> int:
        """How many lives are under way: what the server's memory grows with."""
        return len(self._under_way)

    def run(self, until: int | None, lines: int | None, passed: Callable[[int], None]) -> None:
        """Lets all lives go on until this time, or until so many lines are written. `passed` is told the time, now and then."""
        waiting = self._under_way
        turns = 0
        while waiting:
            at, _, life = waiting[0]
            if (until is not None and at >= until) or (lines is not None and self.lines >= lines):
                break
            self.now = at
            delay = next(life, None)  # what it begins comes after it in the heap: its own place stays the first
            if delay is None:
                heappop(waiting)
            else:
                self._begun += 1
                heapreplace(waiting, (at + 1 + int(delay * 100), self._begun, life))
            turns += 1
            if not turns & 0x3FFF:
                passed(self.now)

    def unique(self) -> str:
        """A name that the server never gave before, as queue files and message ids have it: `0IDC2K7F00A1`."""
        self._begun += 1
        number, pairs = self.now, _PAIRS
        number, a = divmod(number, 1296)
        number, b = divmod(number, 1296)
        number, c = divmod(number, 1296)
        return f"0I{pairs[number % 1296]}{pairs[c]}{pairs[b]}{pairs[a]}{pairs[self._begun % 1296]}"

    # Writing

    def mta(self, record: Mta | Header) -> None:
        """Writes a record of the MTA, or a header line."""
        self.lines += 1
        self.messages.write(self._line(record), self._second)

    def connection(self, record: Connection) -> None:
        self.lines += 1
        self.connections.write(self._line(record), self._second)

    def service(self, name: str, process: str, pid: int, category: str, level: str, message: str) -> None:
        """Writes an event of a service, unless its level is not logged or the service logs to syslog."""
        log = self.services.get(name)
        if log is None or level not in self._levels[name]:
            return
        self.lines += 1
        line = service.render(
            Service(time=self.second(), host=NODE, process=process, pid=pid, category=category, level=level, message=message)
        )
        log.write(line, self._second)

    def trace(self, name: str, process: str, pid: int, message: str) -> None:
        """Writes what the message trace says of a store operation: in the service's own log, in that of the trace, or not at all."""
        where = self.settings.trace
        if where != "no":
            self.service(name if where == "yes" else where, process, pid, "Store", "Information", message)

    def debug(self, name: str, text: str) -> None:
        """Writes a line of a debug log: `hh:mm:ss.cc: text`."""
        log = self.debugs.get(name)
        if log is None:
            pid = self.inner.pid()
            log = self.debugs[name] = DebugLog(self._directory, name, self.unique(), self.now // 100)
            head = f"Debug output enabled, system {HOST}, process {pid:x}.0, {name} server version 6.2-3.04 (built Jul 15 2005)"
            self.lines += 1
            log.write(f"{self.time()[11:22]}: {head}", self.now // 100)
        self.lines += 1
        log.write(f"{self.time()[11:22]}: {text}", self.now // 100)

    def _created(self, name: str) -> Callable[[int], str]:
        process = {"imap": "imapd", "pop": "popd", "http": "mshttpd", "admin": "cgi_store", "imta": "ims_master"}.get(name, "stored")
        program = {"imap": self.imapd, "pop": self.popd, "http": self.mshttpd, "imta": self.store}.get(name, self.inner)

        def line(epoch: int) -> str:
            self.lines += 1
            message = f"Log created ({epoch})"
            pid = program.pid()
            return service.render(
                Service(time=self.second(), host=NODE, process=process, pid=pid, category="General", level="Notice", message=message)
            )

        return line

    def close(self) -> None:
        """Writes what is held, and gives the files their times."""
        self.messages.close()
        if self.connections is not self.messages:
            self.connections.close()
        for log in self.services.values():
            log.close()
        for debug in self.debugs.values():
            debug.close()


def line_of(settings: Settings) -> Line:
    """How a server with these settings writes a record of the MTA. The record is its line's alone: it may lose what is not logged."""
    if settings.log_format < 4:
        return renderer(settings.log_format, settings.fields)
    conceal = Concealment(settings.fields)
    nested = settings.log_format == 5

    def line(record: Mta | Connection | Header) -> str:
        conceal(record)
        return mta_xml.render(record) if settings.log_format == 4 else mta_json.render(record, nested)

    return line
