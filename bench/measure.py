"""What a child process cost: its wall time, CPU time and memory, from the kernel's own account of it.

Everything is measured on a child from its start to its end, interpreter start included: what a user waits for.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

POLL = 0.005
"""Seconds between two looks at the output of a program that does not end by itself."""


class Cost(NamedTuple):
    """`wall` and `cpu` (user + system, of its own children too) in seconds, `rss` the largest resident set in bytes."""

    wall: float
    cpu: float
    rss: int


class Failed(Exception):
    """The child did not do its work; the message ends with what it said."""


def middle(costs: Sequence[Cost]) -> Cost:
    """The median of each figure by itself."""
    return Cost(median(c.wall for c in costs), median(c.cpu for c in costs), int(median(c.rss for c in costs)))


class _Child:
    """One process on these CPUs, with its own account."""

    def __init__(self, argv: Sequence[str], cpus: set[int], env: dict[str, str] | None, stdout: int = subprocess.DEVNULL) -> None:
        self.argv = argv
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self.started = time.monotonic()
        self._process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=self._stderr,
            env={**os.environ, "TZ": "UTC", **(env or {})},
            preexec_fn=lambda: os.sched_setaffinity(0, cpus),
        )

    def ended(self) -> bool:
        return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def kill(self) -> None:
        self._process.kill()

    def cost(self) -> Cost:
        """Waits for its end."""
        _, status, usage = os.wait4(self._process.pid, 0)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        return Cost(time.monotonic() - self.started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)

    def failed(self, why: str) -> Failed:
        self._stderr.seek(0)
        said = self._stderr.read().decode(errors="replace").strip()
        return Failed(f"{' '.join(self.argv)}: {why}\n{said[-2000:]}")

    @property
    def code(self) -> int:
        return self._process.returncode


def to_the_end(argv: Sequence[str], *, cpus: set[int], output: Path | None = None, env: dict[str, str] | None = None) -> Cost:
    """Runs a program that ends by itself, on these CPUs, with standard output into `output`. Raises Failed unless it exits 0."""
    with open(output or os.devnull, "wb") as sink:
        child = _Child(argv, cpus, env, sink.fileno())
        cost = child.cost()
    if child.code:
        raise child.failed(f"ended with {child.code}")
    return cost


def until_written(
    argv: Sequence[str], *, cpus: set[int], output: Path, lines: int, env: dict[str, str] | None = None, patience: float = 60.0
) -> Cost:
    """Runs a daemon until `output` has so many lines, then kills it. Raises Failed when no line comes for `patience` seconds."""
    output.unlink(missing_ok=True)
    output.touch()
    child = _Child(argv, cpus, env)
    seen, heard = 0, child.started
    try:
        with output.open("rb") as stream:
            while seen < lines:
                new = stream.read()
                if new:
                    seen, heard = seen + new.count(b"\n"), time.monotonic()
                elif child.ended() or time.monotonic() - heard > patience:
                    raise child.failed(f"wrote {seen} of {lines} lines")
                else:
                    time.sleep(POLL)
    finally:
        child.kill()
        cost = child.cost()
    return cost._replace(wall=heard - child.started)
