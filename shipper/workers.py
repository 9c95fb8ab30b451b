"""One conversion on several cores: ranges of logs out to worker processes, which write into one output in the order of the input.

The output is the same, octet for octet, as that of one process, and is proved to be for each run:

- What a line leaves behind for later ones (counts of identical lines, the repeated hour, the date of a debug log) reaches back some seconds.
  A worker that begins in the middle of a log first reads the lines before its range, until it has seen enough seconds.
- It then reports the digest of that state, and at the end of its range the digest of the state there. A range whose first digest is not
  the last one of the range before it is dropped, and the worker that has just ended the range before goes on with it instead.

Workers are forked, get ranges of a file by an open descriptor (a renamed file stays the same file) or blocks of an archive's content, and
hold what they render until it is their turn. Then they write it themselves: neither records nor lines travel, but for --dedupe, where the main
process has to look at them. A worker that dies is a failure; main dying ends the workers.
"""

from __future__ import annotations

import gc
import os
import pickle
import select
import signal
import socket
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, NoReturn, TypeVar

from shipper.dedupe import Keys
from shipper.errors import Failure
from shipper.framing import Block, blocks
from shipper.outfile import Output, OutputClosed
from shipper.passage import Options, Passage, Piece, Tally, portions
from shipper.record import Record

CHUNK = 1 << 18


@dataclass(frozen=True, slots=True)
class Sizes:
    """Octets: of a `range` of a file; of all that is `sent` of a stream and not done; rendered lines that a worker may have to `hold` (more
    than a range gives, or it waits for its turn in the middle); what is read `before` a range at first, and `at_most`."""

    range: int = 4 << 20
    sent: int = 12 << 20
    hold: int = 24 << 20
    before: int = 1 << 16
    at_most: int = 16 << 20


SECONDS = 18
"""Seconds that a worker wants to have seen before its range: twice what `identity` remembers, and two that it may have seen half of."""


@dataclass(slots=True)
class Task:
    """One range of one log: octets `start` to `end` of a file, or `given` blocks of a stream and some that come `before` them.

    `first`: the log begins here. `follows`: only who did the range before can do this one, as its lines lean on all before them.
    `position`: octets of all inputs done when this range is.
    """

    log: int
    name: str
    date: tuple[int, int, int] | None
    first: bool
    position: int
    follows: bool
    file: int = -1
    start: int = 0
    end: int = 0
    given: list[Block] = field(default_factory=list)
    before: list[Block] = field(default_factory=list)


class Done(NamedTuple):
    """A range at its end: what was in it, the state of its log there, and the octet at which its file ended too early or could not be read."""

    tally: Tally
    state: bytes
    broken: tuple[int, str] | None


Take = Callable[[Piece, Tally], None]
"""Called with every piece of output that may have repeats, in order; what it takes out of the piece goes into the tally."""
Finish = Callable[[Task, Tally, tuple[int, str] | None], None]
"""Called at the end of every range, in order."""

_TASK, _GO, _DROP = b"T", b"G", b"X"
_STARTED, _KEYS, _LINES, _WROTE, _DONE, _DROPPED, _FAILED, _CLOSED = b"S", b"K", b"L", b"W", b"D", b"A", b"F", b"C"
_HEAD = struct.Struct("<cI")
_WRITTEN = struct.Struct("<QQ")
"""Lines, and the octets of these."""
_IDLE, _DROPPING = -1, -2
"""Instead of the number of a task."""


class _Gone(Exception):
    """The other end of a channel is closed."""


class _Channel:
    """Messages over a socket: one octet that says what it is, and a body."""

    def __init__(self, end: socket.socket) -> None:
        self.socket = end
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            end.setsockopt(socket.SOL_SOCKET, option, 1 << 20)

    def send(self, kind: bytes, body: bytes | bytearray = b"", descriptor: int = -1) -> None:
        try:
            self.socket.sendall(_HEAD.pack(kind, len(body)))
            if body:
                self.socket.sendall(body)
            if descriptor >= 0:
                socket.send_fds(self.socket, [b"."], [descriptor])
        except (BrokenPipeError, ConnectionResetError) as error:
            raise _Gone from error

    def receive(self) -> tuple[bytes, bytearray]:
        kind, size = _HEAD.unpack(self._exactly(_HEAD.size))
        return kind, self._exactly(size)

    def receive_file(self) -> int:
        _, descriptors, _, _ = socket.recv_fds(self.socket, 1, 1)
        if not descriptors:
            raise _Gone
        return descriptors[0]

    def waiting(self) -> bool:
        looking = select.poll()
        looking.register(self.socket, select.POLLIN)
        return bool(looking.poll(0))

    def _exactly(self, size: int) -> bytearray:
        data = bytearray(size)
        rest = memoryview(data)
        while rest:
            try:
                count = self.socket.recv_into(rest)
            except ConnectionResetError:
                count = 0
            if not count:
                raise _Gone
            rest = rest[count:]
        return data


# --- in the worker ---


def _work(channel: _Channel, options: Options, sizes: Sizes, output: Output) -> None:
    """Does the tasks that come until the channel is closed."""
    passage: Passage | None = None
    while True:
        try:
            kind, body = channel.receive()
        except _Gone:
            return
        assert kind == _TASK, kind
        task, go_on = pickle.loads(body)
        del body
        if task.file >= 0:
            task.file = channel.receive_file()
        try:
            if not go_on or passage is None:
                passage = _passage(task, options, sizes)
            if not _do(channel, task, passage, options, sizes.hold, output):
                passage = None
        finally:
            if task.file >= 0:
                os.close(task.file)


def _do(channel: _Channel, task: Task, passage: Passage, options: Options, hold: int, output: Output) -> bool:
    """Renders one range; whether it was wanted."""
    channel.send(_STARTED, passage.state())
    held: list[Piece] = []
    size = 0
    ours = False
    chunks = _Range(task.file, task.start, task.end)
    for block in portions(blocks(chunks, task.start, options.max_line) if task.file >= 0 else iter(task.given), options.twin):
        piece = passage.render(block)
        if ours:
            _give(channel, piece, output)
            continue
        held.append(piece)
        size += len(piece.lines)
        if size > hold or channel.waiting():
            if channel.receive()[0] == _DROP:
                channel.send(_DROPPED)
                return False
            ours = True
            for piece in held:
                _give(channel, piece, output)
            held.clear()
    if not ours and channel.receive()[0] == _DROP:
        channel.send(_DROPPED)
        return False
    for piece in held:
        _give(channel, piece, output)
    channel.send(_DONE, pickle.dumps(Done(passage.take_tally(), passage.state(), chunks.broken)))
    return True


def _give(channel: _Channel, piece: Piece, output: Output) -> None:
    """Writes a piece of output, or hands it to the main process where that has to look for repeats."""
    if piece.keys is not None:
        channel.send(_KEYS, pickle.dumps((piece.keys, piece.kinds)))
        channel.send(_LINES, piece.lines)
    elif piece.lines:
        lines, octets = output.lines, output.octets
        try:
            output.write(piece.lines)
        finally:
            channel.send(_WROTE, _WRITTEN.pack(output.lines - lines, output.octets - octets))


def _passage(task: Task, options: Options, sizes: Sizes) -> Passage:
    """A passage that has seen what comes before the task: enough of it, as far as that can be known."""
    if task.first or task.file < 0:
        passage = Passage(options, task.name, task.date)
        for block in portions(iter(task.before)):
            passage.show(block)
        return passage

    def anew() -> tuple[Passage, Callable[[Block], Sequence[Record]]]:
        passage = Passage(options, task.name, task.date)
        return passage, passage.show

    return warmed(anew, task.file, task.start, sizes.before, sizes.at_most, options.max_line)


Shown = TypeVar("Shown")


def warmed(
    anew: Callable[[], tuple[Shown, Callable[[Block], Sequence[Record]]]], file: int, start: int, before: int, at_most: int, max_line: int
) -> Shown:
    """Something that reads blocks, as if it had read a plain file up to octet `start`: what a line leaves behind reaches back some seconds, and
    so many are shown to it. `anew` gives a new one, and how it is shown a block; `before` and `at_most`: octets, at first and at most."""
    while True:
        begin = line_start(file, max(0, start - before), start)
        shown, show = anew()
        seconds: set[str] = set()
        for block in portions(blocks(_Range(file, begin, start), begin, max_line)):
            records = show(block)
            if len(seconds) < SECONDS:
                seconds.update(record.time[:19] for record in records)
        if begin == 0 or before >= at_most or len(seconds) >= SECONDS:
            return shown
        before *= min(16, 1 + 2 * SECONDS // max(1, len(seconds)))


def line_start(file: int, position: int, end: int) -> int:
    """The first octet at or after `position` that begins a line; `end` when there is none before it."""
    if position == 0:
        return 0
    position -= 1
    while position < end and (data := os.pread(file, min(CHUNK, end - position), position)):
        found = data.find(b"\n")
        if found >= 0:
            return position + found + 1
        position += len(data)
    return end


class _Range:
    """Chunks of a part of a file. `broken`: (octet, why) where it could not be read to its end."""

    def __init__(self, file: int, start: int, end: int) -> None:
        self.file, self.start, self.end = file, start, end
        self.broken: tuple[int, str] | None = None

    def __iter__(self) -> Iterator[bytes]:
        position = self.start
        while position < self.end:
            try:
                data = os.pread(self.file, min(CHUNK, self.end - position), position)
            except OSError as error:
                self.broken = (position, (error.strerror or str(error)).lower())
                return
            if not data:
                self.broken = (position, "it became shorter while it was read")
                return
            yield data
            position += len(data)


# --- in the main process ---


class _Worker:
    """One worker process as the main process sees it. `state`: of its task's begin, once it has reported that."""

    def __init__(self, options: Options, sizes: Sizes, output: Output, others: Iterable[_Worker]) -> None:
        ours, theirs = socket.socketpair()
        self.channel: _Channel
        self.pid = os.fork()
        if not self.pid:
            _child(theirs, (ours, *(worker.channel.socket for worker in others)), options, sizes, output.shared())
        theirs.close()
        self.channel = _Channel(ours)
        self.number = _IDLE  # of its task
        self.state = b""
        self.ours = False  # whether its task has its turn
        self.keys: tuple[Keys, bytes] | None = None


def _child(end: socket.socket, foreign: Iterable[socket.socket], options: Options, sizes: Sizes, output: Output) -> NoReturn:
    """The life of a worker process."""
    status = 1
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # to all of the group: it is the main process that ends us
            signal.signal(number, signal.SIG_IGN)
        for other in foreign:
            other.close()
        gc.freeze()
        channel = _Channel(end)
        try:
            _work(channel, options, sizes, output)
            status = 0
        except Failure as failure:
            channel.send(_FAILED, pickle.dumps((failure.number, failure.message)))
        except OutputClosed:
            channel.send(_CLOSED)
        except _Gone:
            pass
        except BaseException as error:
            channel.send(_FAILED, pickle.dumps(("X499", f"{type(error).__name__}: {error}")))
    finally:
        os._exit(status)


class Pool:
    """Worker processes, and the order of what they give. Use as a context: leaving it ends them all."""

    def __init__(self, jobs: int, options: Options, sizes: Sizes, output: Output) -> None:
        self._output = output
        self._workers: list[_Worker] = []
        for number in range(jobs):
            try:
                self._workers.append(_Worker(options, sizes, output, self._workers))
            except OSError as error:
                self.__exit__()
                raise Failure("X401", f"worker process {number + 1} of {jobs} cannot be started: {error.strerror}") from error
        self._tasks: dict[int, Task] = {}
        self._head = 0  # the number of the task whose turn it is
        self._count = 0  # tasks given out
        self._last: _Worker | None = None  # who did the task before it, and is there to go on
        self._state = b""  # of the log at that task's end
        self._taken = Tally()  # what was taken out of the output of the task whose turn it is
        self.dropped = 0

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        alive = [worker for worker in self._workers if worker.pid]
        for worker in alive:
            os.kill(worker.pid, signal.SIGKILL)
        for worker in alive:
            os.waitpid(worker.pid, 0)
        for worker in self._workers:
            worker.channel.socket.close()

    def run(self, plan: Iterator[Task], take: Take, finish: Finish, wake: Callable[[], None]) -> None:
        """Does all tasks. `wake` is called now and then. Raises what `take` raises, `OutputClosed`, and `Failure` when a worker fails."""
        by_socket = {worker.channel.socket.fileno(): worker for worker in self._workers}
        poll = select.poll()
        for descriptor in by_socket:
            poll.register(descriptor, select.POLLIN)
        more, kept = True, None
        while True:
            self._turn()
            while more and (worker := self._free()) is not None:
                task = kept or next(plan, None)
                kept = None
                if task is None:
                    more = False
                    break
                if task.follows and not task.first and not (worker is self._last and self._count == self._head):
                    kept = task
                    break
                self._tasks[self._count] = task
                self._give(worker, self._count, go_on=worker is self._last and self._count == self._head and not task.first)
                self._count += 1
                self._turn()
            if self._head == self._count and not more:
                return
            for descriptor, _ in poll.poll(200):
                worker = by_socket[descriptor]
                try:
                    self._message(worker, take, finish)
                except _Gone:
                    raise _death(worker) from None
            wake()

    def _turn(self) -> None:
        """Lets the task whose turn it is give its output, when it is sure to be right; else has it done again."""
        task = self._tasks.get(self._head)
        if task is None:
            return
        worker = next(worker for worker in self._workers if worker.number == self._head)
        if worker.ours:
            return
        if not task.first and worker is not self._last:
            if not worker.state:
                return
            if worker.state != self._state:
                assert self._last is not None
                if not self._told(worker, _DROP):
                    return
                worker.number = _DROPPING
                self.dropped += 1
                self._give(self._last, self._head, go_on=True)
                worker = self._last
        if not self._told(worker, _GO):
            return
        worker.ours = True
        self._last = None

    def _told(self, worker: _Worker, what: bytes) -> bool:
        """Whether the worker is there to be told. When it is not, its last message, or its end, is still to be read, and says why."""
        try:
            worker.channel.send(what)
        except _Gone:
            return False
        return True

    def _free(self) -> _Worker | None:
        """A worker without a task, best the one that can go on with the next; the one that may have to is kept for that."""
        last = self._last
        if last is not None and self._head == self._count:
            return last
        return next((worker for worker in self._workers if worker.number == _IDLE and worker is not last), None)

    def _give(self, worker: _Worker, number: int, go_on: bool) -> None:
        task = self._tasks[number]
        worker.number, worker.state, worker.ours = number, b"", False
        try:
            worker.channel.send(_TASK, pickle.dumps((task, go_on)), task.file)
        except _Gone:
            raise _death(worker) from None

    def _message(self, worker: _Worker, take: Take, finish: Finish) -> None:
        kind, body = worker.channel.receive()
        if kind == _DROPPED:
            worker.number = _IDLE
        elif kind == _STARTED:
            worker.state = bytes(body)
        elif kind == _WROTE:
            self._output.written(*_WRITTEN.unpack(body))
        elif kind == _CLOSED:
            raise OutputClosed
        elif kind == _FAILED:
            raise Failure(*pickle.loads(body))
        elif kind == _KEYS:
            worker.keys = pickle.loads(body)
        elif kind == _LINES:
            keys, kinds = worker.keys or (None, b"")
            worker.keys = None
            take(Piece(body, keys, kinds), self._taken)
        elif kind == _DONE:
            done: Done = pickle.loads(body)
            done.tally.add(self._taken)
            self._taken = Tally()
            finish(self._tasks.pop(self._head), done.tally, done.broken)
            worker.number = _IDLE
            self._last, self._state = worker, done.state
            self._head += 1


def _death(worker: _Worker) -> Failure:
    """The failure of a worker that closed its channel, and its process taken in."""
    pid, status = os.waitpid(worker.pid, 0)
    worker.pid = 0
    code = os.waitstatus_to_exitcode(status)
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    return Failure("X401", f"worker process {pid} {how}")
