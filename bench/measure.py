"""What a child process cost: its wall time, CPU time and memory, from the kernel's account of it.

A program is measured from its start to its end, and what it takes for a single line is measured as well: the difference is what the lines cost.
A program that runs on and on is looked at twice.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, NamedTuple

POLL = 0.005
"""Seconds between two looks at the output of a program that does not end by itself."""
TICK = os.sysconf("SC_CLK_TCK")


class Cost(NamedTuple):
    """`wall` and `cpu` (user + system, of its own children too) in seconds, `rss` the largest resident set in bytes."""

    wall: float
    cpu: float
    rss: int

    def without(self, start: Cost) -> Cost:
        """What is left when the start is taken off; the memory stays."""
        return Cost(self.wall - start.wall, self.cpu - start.cpu, self.rss)


class Failed(Exception):
    """The child did not do its work; the message ends with what it said."""


def best(costs: Sequence[Cost]) -> Cost:
    """The least of each figure by itself: what others did on the machine meanwhile only adds. Of memory the most."""
    return Cost(min(c.wall for c in costs), min(c.cpu for c in costs), max(c.rss for c in costs))


class Child:
    """One process on these CPUs, with its own account. `stdin`, `stdout`: descriptors."""

    def __init__(
        self,
        argv: Sequence[str],
        cpus: set[int],
        env: Mapping[str, str] | None = None,
        *,
        stdin: int | IO[bytes] = subprocess.DEVNULL,
        stdout: int | IO[bytes] = subprocess.DEVNULL,
    ) -> None:
        self.argv = argv
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._most, self._last = 0, ""
        self.started = time.monotonic()
        self._process = subprocess.Popen(
            argv,
            stdin=stdin,
            stdout=stdout,
            stderr=self._said,
            env={**os.environ, "TZ": "UTC", **(env or {})},
            preexec_fn=lambda: os.sched_setaffinity(0, cpus),
        )

    def ended(self) -> bool:
        return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def kill(self) -> None:
        """At once; what memory it had is noted before, as the kernel's account begins with what our own process has."""
        self._most = _status(self._process.pid, "VmHWM")
        os.kill(self._process.pid, signal.SIGKILL)  # Popen's own would wait for one that has ended, and its account were gone

    def cpu(self) -> float:
        """CPU seconds so far, of its children too."""
        return sum(_ticks(pid) for pid in family(self._process.pid)) / TICK

    def memory(self) -> int:
        """Bytes that it and its children hold now; what they share counts once."""
        return sum(map(_share_of_memory, family(self._process.pid)))

    def resident(self) -> int:
        """Bytes that it holds now by itself, all of what it shares included."""
        return _status(self._process.pid, "VmRSS")

    def cost(self) -> Cost:
        """Waits for its end."""
        _, status, usage = os.wait4(self._process.pid, 0)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        self._last = self._words()
        self._said.close()
        return Cost(time.monotonic() - self.started, usage.ru_utime + usage.ru_stime, self._most or usage.ru_maxrss * 1024)

    def failed(self, why: str) -> Failed:
        return Failed(f"{' '.join(self.argv)}: {why}\n{self._last if self._said.closed else self._words()}")

    def _words(self) -> str:
        self._said.seek(0)
        return self._said.read().decode(errors="replace").strip()[-2000:]

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def code(self) -> int:
        return self._process.returncode


def family(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    for one in found:
        try:
            for thread in Path(f"/proc/{one}/task").iterdir():
                found += map(int, (thread / "children").read_text().split())
        except OSError:
            continue
    return found


def ticks(stat: str) -> int:
    """The CPU time in a line of /proc/PID/stat, that of children who have ended too. The name in it may hold anything."""
    fields = stat.rpartition(")")[2].split()
    return sum(map(int, fields[11:15]))


def _ticks(pid: int) -> int:
    try:
        return ticks(Path(f"/proc/{pid}/stat").read_text())
    except OSError:
        return 0


def _status(pid: int, name: str) -> int:
    """Octets of a line of /proc/PID/status; 0 where there is none."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def _share_of_memory(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


class Count:
    """How many times `mark` stands in a file that grows; the file need not be there yet."""

    def __init__(self, path: Path, mark: bytes = b"\n") -> None:
        self._path = path
        self._mark = mark
        self._stream: IO[bytes] | None = None
        self._end = b""
        self._seen = 0

    def now(self) -> int:
        if self._stream is None:
            try:
                self._stream = self._path.open("rb")
            except FileNotFoundError:
                return 0
        while new := self._stream.read(1 << 22):
            text = self._end + new
            self._seen += text.count(self._mark)
            self._end = text[len(text) - len(self._mark) + 1 :]
        return self._seen

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()


def to_the_end(argv: Sequence[str], *, cpus: set[int], output: Path | None = None, env: Mapping[str, str] | None = None) -> Cost:
    """Runs a program that ends by itself, on these CPUs, with standard output into `output`. Raises Failed unless it exits 0."""
    with open(output or os.devnull, "wb") as sink:
        child = Child(argv, cpus, env, stdout=sink)
        cost = child.cost()
    if child.code:
        raise child.failed(f"ended with {child.code}")
    return cost


def until_written(
    argv: Sequence[str],
    *,
    cpus: set[int],
    count: Count,
    wanted: int,
    env: Mapping[str, str] | None = None,
    feed: Sequence[str] = (),
    into: Path | None = None,
    patience: float = 60.0,
) -> Cost:
    """Runs a daemon until `count` is `wanted`, then kills it. `feed` is a program beside it whose output is the daemon's input: its standard
    input, or the file `into` that it follows. Raises Failed when nothing comes for `patience` seconds."""
    feeder: Child | None = None
    if feed and into is None:
        out, end = os.pipe()
        feeder = Child(feed, cpus, stdout=end)
        os.close(end)
        child = Child(argv, cpus, env, stdin=out)
        os.close(out)
    else:
        child = Child(argv, cpus, env)
        if into is not None:
            with into.open("wb") as sink:
                feeder = Child(feed, cpus, stdout=sink)
    seen, heard = 0, child.started
    try:
        while seen < wanted:
            new = count.now()
            if new > seen:
                seen, heard = new, time.monotonic()
            elif child.ended() or time.monotonic() - heard > patience:
                raise child.failed(f"wrote {seen} of {wanted} records")
            else:
                time.sleep(POLL)
    finally:
        child.kill()
        cost = child.cost()
        fed = feeder.cost() if feeder else Cost(0, 0, 0)
        count.close()
    return Cost(heard - child.started, cost.cpu + fed.cpu, max(cost.rss, fed.rss))
