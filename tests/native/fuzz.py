"""`python -m tests.native.fuzz`: damaged lines and messages through the compiled twin and through Python, on all CPUs, until they differ.

Every log and batch is known by the seed and a number, so that what was found can be found again: `--seed SEED --number NUMBER`.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from queue import Empty
from typing import Any, NamedTuple

from shipper import compiled
from tests.native import differ, test_messages, test_payloads

MODULE, WHY = compiled.find()
SHARES = {"lines": 17, "payloads of lines": 2, "messages": 2, "payloads of messages": 2}
"""How many logs and batches of each there are in a round. Payloads take Python ten times as long as lines."""
ROUND = [job for job, share in SHARES.items() for _ in range(share)]
ROUND_LINES = 80_000
"""Lines and messages of a round, about."""
SILENCE = 120.0
"""Seconds in which some log is done."""


class Found(NamedTuple):
    """Of one log or batch: lines or messages, and what differs, "" when nothing does."""

    number: int
    job: str
    lines: int
    differs: str


def one(pool: differ.Seeds, seed: int, number: int) -> Found:
    """The log or batch of this number."""
    job, name = ROUND[number % len(ROUND)], f"{seed} {number}"
    rng = random.Random(name)
    jobs: dict[str, Callable[[], tuple[Any, ...]]] = {
        "lines": lambda: differ.log_differs(MODULE, pool, name),
        "payloads of lines": lambda: test_payloads.log_differs(pool, name),
        "messages": lambda: test_messages.batches_differ(pool, name),
        "payloads of messages": lambda: test_messages.payloads_differ(
            rng.choice(test_messages.PROFILES_READ), rng.random() < 0.5, pool, name
        ),
    }
    try:
        differs, lines, *_ = jobs[job]()
    except Exception:
        differs, lines = traceback.format_exc(), 0
    return Found(number, job, lines, differs)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.native.fuzz", description="Damaged lines through Python and its compiled twin.")
    parser.add_argument("--lines", type=int, default=5_000_000, help="how many in all, about (default %(default)s)")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--number", type=int, help="only the log or batch of this number")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    wanted = parser.parse_args()
    if MODULE is None:
        sys.exit(f"no compiled twin: {WHY}")
    with tempfile.TemporaryDirectory() as directory:
        pool = differ.seeds(Path(directory))
    if wanted.number is not None:
        sys.exit(one(pool, wanted.seed, wanted.number).differs or None)

    context = get_context("fork")  # the lines that there are to begin with need not be copied
    told = context.Queue()
    total = max(1, wanted.lines // ROUND_LINES) * len(ROUND)

    def work(first: int) -> None:
        for number in range(first, total, wanted.processes):
            told.put(one(pool, wanted.seed, number))

    workers = [context.Process(target=work, args=(first,), daemon=True) for first in range(wanted.processes)]
    for worker in workers:
        worker.start()
    began, done = time.monotonic(), Counter[str]()
    for count in range(1, total + 1):
        try:
            found: Found = told.get(timeout=SILENCE)
        except Empty:
            sys.exit(f"seed {wanted.seed}: a process has ended, or hangs: exit codes {[worker.exitcode for worker in workers]}")
        done[found.job] += found.lines
        if found.differs:
            sys.exit(f"--seed {wanted.seed} --number {found.number} ({found.job}): {found.differs}")
        if count % (10 * len(ROUND)) == 0 or count == total:
            said = ", ".join(f"{lines:,} {job}" for job, lines in done.items())
            print(f"seed {wanted.seed}, {time.monotonic() - began:.0f} s: {said}: no difference", flush=True)


if __name__ == "__main__":
    main()
