"""What the process is to its system: its own log, in a process of its own."""

from __future__ import annotations

import ctypes
import json
import os
import re
import subprocess
import sys

import pytest

from shipper.errors import Failure
from shipper.process import identity, resident

SAYS = r"""
import logging, sys
from loguru import logger
from shipper.process import open_log

open_log(sys.argv[1], "info")
logger.debug("not this")
logger.info("file {!r}", "a\x1b[31m\nb\u202e{x}")
logging.getLogger("urllib3").warning("from a library, 100 %s", "%")
logging.getLogger("urllib3").info("nor this")

def failing(password):
    return 1 / 0

try:
    failing("hunter2")
except ZeroDivisionError as error:
    logger.opt(exception=error).error("it failed")
"""


def said(form: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", SAYS, form], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert "hunter2" not in done.stderr.replace("\\", "").replace('failing("hunter2")', ""), "a traceback shows no values"
    return done.stderr.splitlines()


def test_json_is_one_object_a_line() -> None:
    """With time, level, message; a traceback in a field of its own; what libraries warn of too. That is what a pipe gets by default."""
    for form in ("json", "auto"):
        entries = [json.loads(line) for line in said(form)]
        assert [entry["level"] for entry in entries] == ["info", "warning", "error"]
        assert entries[0]["message"] == "file 'a\\x1b[31m\\nb\\u202e{x}'"
        assert entries[1]["message"] == "from a library, 100 %"
        assert "ZeroDivisionError" in entries[2]["trace"]
        assert all(re.match(r"\d{4}-\d\d-\d\dT.*[+-]\d\d:\d\d$", entry["time"]) for entry in entries)


def test_text_cannot_move_the_cursor() -> None:
    """Control characters and direction marks are shown as escapes; a message is a line."""
    lines = said("text")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} INFO     file 'a\\x1b\[31m\\nb\\u202e\{x\}'", lines[0])
    assert "WARNING  from a library, 100 %" in lines[1]
    assert "ERROR    it failed" in lines[2]
    assert lines[-1] == "ZeroDivisionError: division by zero"
    assert all(line.isprintable() for line in lines)


def test_users_are_found_by_name_or_number() -> None:
    """Without a group it is the user's; what there is not is a failure that says so."""
    assert identity("root", "") == (0, 0)
    assert identity("0", "12345") == (0, 12345)
    assert identity("54321", "") == (54321, 54321)
    for user, group in (("no-such-user", ""), ("root", "no-such-group")):
        with pytest.raises(Failure, match="no-such"):
            identity(user, group)


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="no /proc")
def test_memory_is_known() -> None:
    """Octets, not pages and not kilobytes."""
    assert 10 << 20 < resident() < 4 << 30


RUSH = """
from threading import Thread
from shipper.process import give_memory_back, hold_little_memory, resident

hold_little_memory()
kept = []

def rush():
    taken = [bytes(1000) for _ in range(20_000)]
    kept.append(bytes(1000))  # lies behind what is free, which so is no end that could be cut off

before = resident()
for _ in range(3):
    thread = Thread(target=rush)
    thread.start()
    thread.join()
after = resident()
give_memory_back()
print(before, after, resident())
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="not glibc")
def test_the_memory_of_a_rush_is_given_back() -> None:
    """Of 20 MB that several threads took one after another less than 2 are left, and they never took more at a time."""
    done = subprocess.run([sys.executable, "-c", RUSH], capture_output=True, check=True, timeout=30)
    before, after, left = map(int, done.stdout.split())
    assert after - before < 40 << 20
    assert left - before < 2 << 20
