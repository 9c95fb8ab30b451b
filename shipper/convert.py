"""Logs to lines of output: the engine of `shipper convert`, without a terminal.

Each log is read on its own, in the order of the sources; what cannot be read is a `Failure` in the account, and the next log is read. Only
what concerns the output itself is raised. The account balances: every line read is a record written, outside the wanted time, or a repeat.
"""

from __future__ import annotations

import codecs
import os
import queue
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, repeat
from typing import Any, TypeVar

from shipper.archives import CHUNK, ArchiveBroken, Content, kind_of
from shipper.compiled import Lines
from shipper.dedupe import Seen
from shipper.errors import Failure
from shipper.formats.debug import time_of_day
from shipper.formats.envelope import lacks_year
from shipper.formats.names import debug_date
from shipper.framing import Block, blocks
from shipper.fused import Write
from shipper.outfile import Output
from shipper.passage import EXAMPLES, Options, Passage, Piece, Tally, drop_repeated, portions
from shipper.record import Debug
from shipper.sources import STDIN, LeftOut, Source, unopened
from shipper.stamps import system_zone
from shipper.workers import Pool, Sizes, Task, line_start

PARALLEL_FROM = 32 << 20
"""Octets from which the start of workers pays."""
SIZES = Sizes()
PACKED = 8
"""How many times larger the content of an archive is, about."""
BEGIN = 1 << 16
"""Octets of a log by which it is judged."""
FOR_THREADS = 1 << 19
"""Octets of a chunk of a log that threads read: fewer are handed on, and the processor's cache still has them."""
AHEAD = 2
"""Blocks for each thread that are read before their turn."""
SMALL = 1 << 16
"""Pieces of output that have fewer octets are put together before another thread writes them: to hand on each takes longer than to make it."""
WAITING = 4
"""Blocks and pieces of output that may wait between two threads."""
JUDGED = 16
"""Logs, the largest, whose beginnings say who does the work."""
DROPS, ALONE = 4, 16
"""After so many dropped ranges of a log, one worker reads so many of them alone."""

Watch = Callable[[int], None]
"""Called now and then with the octets done so far, of all sources together, as they are stored."""


@dataclass(slots=True)
class Example:
    """A line that could not be read: where, by file, line (from 1) and offset, and why."""

    file: str
    line: int
    offset: int | None
    reason: str


@dataclass(slots=True)
class Account:
    """What became of all lines, and of all that was named."""

    tally: Tally = field(default_factory=Tally)
    logs: int = 0
    empty: list[str] = field(default_factory=list)
    examples: list[Example] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    left: list[LeftOut] = field(default_factory=list)
    jobs: int = 1
    threads: bool = False
    """Whether these are threads, and not processes."""


@dataclass(slots=True)
class _Log:
    """One log while it is read."""

    source: Source
    number: int
    before: int
    """Octets of the sources before it."""
    file: int
    content: Content
    tally: Tally = field(default_factory=Tally)
    broken: tuple[int, str] | None = None
    archive: str = ""
    tasks: int = 0
    done: int = 0
    planned: bool = False

    @property
    def position(self) -> int:
        return self.before + self.content.position


def jobs_for(sources: Sequence[Source]) -> int:
    """How many processes or threads are worth it: all cores for much input, one for little, and for a pipe, whose lines should come out as they
    come in."""
    size = sum(map(_content, sources))
    if size <= PARALLEL_FROM:
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, size // SIZES.range))


Item = TypeVar("Item")


def _beside(items: Iterator[Item]) -> Iterator[Item]:
    """The same, made by a thread of its own, some of them ahead."""
    made: queue.Queue[tuple[Item | None, BaseException | None]] = queue.Queue(WAITING)

    def make() -> None:
        try:
            for item in items:
                made.put((item, None))
            made.put((None, None))
        except BaseException as failure:
            made.put((None, failure))

    threading.Thread(target=make, daemon=True).start()
    while True:
        item, failure = made.get()
        if failure:
            raise failure
        if item is None:
            return
        yield item


class _Writer:
    """Writes beside those who read: a thread with the next pieces of output."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._pieces: queue.Queue[bytes | bytearray | Lines | None] = queue.Queue(WAITING)
        self._small: list[bytes | bytearray] = []
        self._size = 0  # of these
        self._failed: BaseException | None = None
        self._writing = threading.Lock()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def write(self, lines: bytes | bytearray | Lines) -> None:
        """Raises what `Output.write` raised for this one or for one before."""
        if self._failed:
            raise self._failed
        size = len(lines)
        if size >= SMALL:
            self._hand_on()
            self._pieces.put(lines)
            return
        self._small.append(lines if isinstance(lines, (bytes, bytearray)) else lines.begin(size))
        self._size += size
        if self._size >= SMALL:
            self._hand_on()

    def _hand_on(self) -> None:
        if self._small:
            self._pieces.put(b"".join(self._small))
            self._small, self._size = [], 0

    def finish(self) -> None:
        """All of it is written. Raises the same."""
        self._hand_on()
        self._pieces.put(None)
        self._thread.join()
        if self._failed:
            raise self._failed

    def stop(self, failure: BaseException) -> None:
        """Nothing is written any more, unless whoever reads it does not take what is being written."""
        self._failed = self._failed or failure
        self._writing.acquire(timeout=1)

    def _run(self) -> None:
        while (lines := self._pieces.get()) is not None:
            with self._writing:
                if self._failed is None:
                    try:
                        self._output.write(lines)
                    except BaseException as failure:
                        self._failed = failure


class Conversion:
    """One run of the engine. `jobs` threads where the compiled twin reads most of it, which need no copies, else processes; `watch` is told how
    far it is."""

    def __init__(self, options: Options, output: Output, jobs: int = 1, watch: Watch = lambda position: None, sizes: Sizes = SIZES) -> None:
        self.account = Account(jobs=jobs)
        self._options = options
        self._output = output
        self._lines = output.take_lines(options.twin)
        self._watch = watch
        self._sizes = sizes
        self._seen = Seen() if options.dedupe else None
        self._logs: dict[int, _Log] = {}
        self._done = 0

    def run(self, sources: Sequence[Source], left: Iterable[LeftOut] = ()) -> Account:
        """Converts all sources. Raises `Failure` and `OutputClosed` where the output cannot go on, or a worker."""
        self.account.left += left
        self.account.failures += [one.failure for one in self.account.left if one.failure]
        try:
            if self.account.jobs > 1 and self._for_threads(sources):
                self.account.threads = True
                jobs = self.account.jobs
                threads = self._options.twin.Threads(jobs - jobs // 4)  # reading, counting and writing take a part of four CPUs
                writer = _Writer(self._output)
                try:
                    for log in self._opened(sources):
                        self._alone(log, writer.write, threads)
                except BaseException as failure:
                    writer.stop(failure)
                    raise
                writer.finish()
            elif self.account.jobs > 1:
                with Pool(self.account.jobs, self._options, self._sizes, self._output) as pool:
                    pool.run(self._plan(sources, pool), self._write, self._range_done, lambda: self._watch(self._done))
            else:
                for log in self._opened(sources):
                    self._alone(log, self._output.write)
        except sqlite3.Error as error:
            raise Failure("O301", f"no room for the temporary file of --dedupe: {error}") from error
        finally:
            if self._seen:
                self._seen.close()
        tally = self.account.tally
        if tally.lines != tally.written + tally.outside + tally.repeated or tally.written != self._output.lines:
            raise Failure(
                "X402",
                f"{tally.lines} lines read, {tally.written} written, {tally.outside} outside, {tally.repeated} repeated; "
                f"the output has {self._output.lines}",
            )
        return self.account

    def _opened(self, sources: Iterable[Source]) -> Iterator[_Log]:
        """The sources that can be opened. A log is closed, and in the account, when `_close` is called."""
        before = 0
        chunk = FOR_THREADS if self.account.threads else CHUNK
        for number, source in enumerate(sources):
            try:
                file = 0 if source.path == STDIN else os.open(source.path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError as error:
                self.account.failures.append(unopened(source.path, error))
                continue
            log = _Log(source, number, before, file, Content(_Stream(file, source.size), source.name, chunk))
            self._logs[number] = log
            before += source.size
            yield log

    def _for_threads(self, sources: Sequence[Source]) -> bool:
        """Whether the twin reads most of it, and most of it stands in large logs: only within one are threads at work side by side."""
        judged = sorted([source for source in sources if source.size], key=_content)[-JUDGED:]
        if self._options.twin is None or sum(map(_content, judged)) < len(sources) * 2 * self._sizes.range:
            return False
        of_twin = 0
        for source in judged:
            try:
                with open(source.path, "rb", buffering=0) as stream:
                    begin = next(Content(stream, source.name).chunks(), b"")
            except (OSError, ArchiveBroken):
                continue
            passage = Passage(self._options, source.name)
            passage.render(Block(begin[: begin.rfind(b"\n", 0, BEGIN)], 0))
            if 2 * passage.tally.compiled > passage.tally.lines:
                of_twin += _content(source)
        return 2 * of_twin > sum(map(_content, judged))

    def _alone(self, log: _Log, write: Write, threads: Any = None) -> None:
        """Reads one log in this process; with `threads`, which begin with blocks before it is their turn."""
        passage: Passage | None = None
        waiting: deque[Block] = deque()
        ahead = AHEAD * self.account.jobs if threads else 0
        read = _beside(self._blocks(log)) if threads else self._blocks(log)
        for block in chain(read, repeat(None, ahead)):
            if block is not None:
                passage = passage or Passage(self._options, log.source.name, self._date(log, block.data), write if self._lines else None)
                if threads and passage.tally.lines:
                    passage.begin(block, threads)
                waiting.append(block)
            if passage and waiting and (block is None or len(waiting) > ahead or not passage.tally.lines):
                self._write(passage.render(waiting.popleft()), passage.tally, write)
                self._watch(log.position)
        if passage is not None:
            log.tally.add(passage.take_tally())
        self._close(log)

    def _blocks(self, log: _Log) -> Iterator[Block]:
        """All blocks of a log; where it breaks off, they end and `log.broken` says why."""

        def chunks() -> Iterator[bytes]:
            try:
                yield from log.content.chunks()
            except ArchiveBroken as broken:
                log.archive = str(broken)
            except OSError as error:
                log.broken = (log.content.position, (error.strerror or str(error)).lower())
            else:
                if log.content.position < log.source.size:
                    log.broken = (log.content.position, "it became shorter while it was read")

        return portions(blocks(chunks(), max_line=self._options.max_line), self._options.twin)

    def _date(self, log: _Log, begin: bytes) -> tuple[int, int, int] | None:
        """By when the log was last written to: the date of a debug log's first line; for syslog stamps without a year, that of the last line
        (of a pipe: today)."""
        modified = log.content.modified or log.source.modified
        for octets in begin[:65536].split(b"\n", 50)[:50]:
            line = octets.decode("latin-1")
            if modified and (clock := time_of_day(line)):
                return debug_date(modified, self._options.zone or system_zone(), clock)
            if lacks_year(line):
                last = datetime.fromtimestamp(modified or self._options.observed / 1e9, self._options.zone or system_zone())
                return last.year, last.month, last.day
        return None

    def _plan(self, sources: Iterable[Source], pool: Pool) -> Iterator[Task]:
        """The tasks of all logs in order: ranges of plain files, and blocks of what has to be unpacked or decoded here."""
        for log in self._opened(sources):
            begin = os.pread(log.file, BEGIN, 0) if log.source.size else b""
            if begin and not kind_of(begin) and not begin.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                yield from self._ranges(log, begin, pool)
            else:
                yield from self._portions(log, pool)
            log.planned = True
            if log.done == log.tasks:  # none, or all are done already
                self._close(log)

    def _ranges(self, log: _Log, begin: bytes, pool: Pool) -> Iterator[Task]:
        """A plain file, cut at ends of lines; into smaller pieces near its end, so that all are at work until then."""
        name, size = log.source.name, log.source.size
        date = self._date(log, begin)
        pace = _Pace(pool, self._sizes.before, size > self._sizes.range and self._leans(begin))
        start, largest = 0, self._sizes.range
        while start < size:
            share = max(largest // 8, min(largest, (size - start) // (2 * self.account.jobs)))
            end = line_start(log.file, min(start + share, size), size)
            log.tasks += 1
            yield Task(log.number, name, date, start == 0, log.before + end, pace.alone(), log.file, start, end)
            start = end

    def _portions(self, log: _Log, pool: Pool) -> Iterator[Task]:
        """A stream, some blocks a task, and with it those before that the next lines may depend on."""
        given: list[Block] = []
        before: list[Block] = []
        pace = date = None
        size = 0
        enough = min(self._sizes.range, self._sizes.sent // self.account.jobs)
        for block in chain(self._blocks(log), (None,)):
            if block is not None:
                given.append(block)
                size += len(block.data)
            if not given or (block is not None and size < enough):
                continue
            if not log.tasks:
                date = self._date(log, given[0].data)
            elif pace is None:
                pace = _Pace(pool, self._sizes.before, self._leans(before[0].data[:BEGIN]))
            before = _last_lines(before, pace.before()) if pace else []
            log.tasks += 1
            alone = pace is not None and pace.alone()
            yield Task(log.number, log.source.name, date, log.tasks == 1, log.position, alone, given=given, before=before)
            before = before + given
            given, size = [], 0

    def _leans(self, begin: bytes) -> bool:
        """Whether the lines of a log lean on all those before them, by its beginning: they have no date, or no time at all."""
        records = Passage(self._options, "").show(Block(begin[: begin.rfind(b"\n")] if b"\n" in begin else begin, 0))
        return any(isinstance(record, Debug) for record in records) or not any(record.time for record in records)

    def _range_done(self, task: Task, tally: Tally, broken: tuple[int, str] | None) -> None:
        log = self._logs[task.log]
        log.tally.add(tally)
        log.broken = log.broken or broken
        log.done += 1
        self._done = task.position
        if log.planned and log.done == log.tasks:
            self._close(log)

    def _write(self, piece: Piece, tally: Tally, write: Write | None = None) -> None:
        lines = piece.lines
        if self._seen and piece.keys:
            lines = drop_repeated(piece, self._seen.repeats(piece.keys), tally)
        if lines:
            (write or self._output.write)(lines)

    def _close(self, log: _Log) -> None:
        """The end of a log: into the account with it."""
        account, name = self.account, log.source.name
        if log.file:
            os.close(log.file)
        del self._logs[log.number]
        account.logs += 1
        if not log.tally.lines:
            account.empty.append(name)
        for example in log.tally.examples[: EXAMPLES - len(account.examples)]:
            account.examples.append(Example(name, example.line + 1, example.offset, example.reason))
        account.tally.add(log.tally)
        notes = [f"its {log.tally.lines:,} lines before that were converted"]
        if log.archive:
            account.failures.append(Failure("I204", log.archive, notes=notes))
        elif log.broken:
            octet, why = log.broken
            account.failures.append(Failure("I205", f"'{name}' could not be read after octet {octet:,}: {why}", notes=notes))


class _Pace:
    """How a log is given to workers: on their own; after some ranges that had to be dropped, one goes on alone for a while."""

    def __init__(self, pool: Pool, first: int, leans: bool) -> None:
        self._pool = pool
        self._first = first
        self._leans = leans
        self._dropped = pool.dropped
        self._alone = 0

    def alone(self) -> bool:
        """Whether the next range is only for who did the one before."""
        if self._pool.dropped - self._dropped >= DROPS:
            self._dropped = self._pool.dropped
            self._alone = ALONE
        self._alone -= 1
        return self._leans or self._alone > 0

    def before(self) -> int:
        """Octets that a range of a stream is given of what is before it: more where less was not enough."""
        return int(0 if self._leans else self._first << 2 * (1 + min(2, self._pool.dropped - self._dropped)))


def _content(source: Source) -> int:
    """Octets of a log, of an archive about those of its content."""
    return source.size * (PACKED if source.path.endswith((".gz", ".bz2", ".xz", ".zst")) else 1)


def _last_lines(given: Sequence[Block], size: int) -> list[Block]:
    """The last blocks of these that have some octets together; the first of them without the lines that are too many."""
    kept: list[Block] = []
    for block in reversed(given):
        if size <= 0:
            break
        data = block.data
        if len(data) > size and not block.encoding and (end := data.find(b"\n", len(data) - size)) >= 0:
            block = block._replace(data=data[end + 1 :], offset=block.offset + end + 1)
        kept.insert(0, block)
        size -= len(block.data)
    return kept


class _Stream:
    """A descriptor, read up to the size that the file had when it was found; 0: to the end."""

    def __init__(self, file: int, size: int) -> None:
        self._file = file
        self._rest = size
        self._bounded = size > 0

    def read(self, size: int) -> bytes:
        if not self._bounded:
            return os.read(self._file, size)
        data = os.read(self._file, min(size, self._rest))
        self._rest -= len(data)
        return data
