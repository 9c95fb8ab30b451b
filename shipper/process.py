"""What the process is to its system: its user, what it tells systemd, its own log, its memory.

The log has one line for each change of state and never one for a record: text where a person reads it, one JSON object a line elsewhere. What
it quotes cannot move a cursor, and tracebacks show no values.
"""

from __future__ import annotations

import ctypes
import gc
import grp
import json
import logging
import os
import pwd
import resource
import socket
import sys
import time
from typing import TYPE_CHECKING, Literal

from loguru import logger

from shipper.errors import Failure
from shipper.screen import escaped

if TYPE_CHECKING:
    from loguru import Message

_PR_SET_NO_NEW_PRIVS = 38
_DESCRIPTORS = 65_536
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
"""Numbers of malloc.h."""
_LARGE = 16 << 20
LogFormat = Literal["auto", "text", "json"]


def open_log(form: LogFormat, level: str) -> bool:
    """Sends our own log, and what libraries warn of, to standard error. `auto`: text on a terminal, JSON elsewhere. Returns whether it is text."""
    as_text = form == "text" or (form == "auto" and sys.stderr.isatty())
    logger.remove()
    logger.add(_write_text if as_text else _write_json, level=level.upper(), format="{message}", diagnose=False, backtrace=False)
    logging.basicConfig(handlers=[_Forward()], level=logging.WARNING, force=True)
    return as_text


class _Forward(logging.Handler):
    """What libraries write by the standard `logging`."""

    def emit(self, entry: logging.LogRecord) -> None:
        logger.opt(exception=entry.exc_info).log(entry.levelname if entry.levelno >= logging.WARNING else "DEBUG", "{}", entry.getMessage())


def _write_text(message: Message) -> None:
    entry = message.record
    # What follows the first line is a traceback, ours to format.
    head, _, trace = str(message).rstrip("\n").partition("\n")
    lines = [escaped(line) for line in trace.split("\n")] if trace else []
    _write("\n".join([f"{entry['time']:YYYY-MM-DD HH:mm:ss.SSS} {entry['level'].name:<8} {escaped(head)}", *lines]))


def _write_json(message: Message) -> None:
    entry = message.record
    document = {"time": entry["time"].isoformat(), "level": entry["level"].name.lower(), "message": entry["message"], **entry["extra"]}
    if entry["exception"]:
        document["trace"] = str(message).rstrip("\n").partition("\n")[2]
    _write(json.dumps(document, default=str))


def _write(line: str) -> None:
    try:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        pass  # nobody listens: no reason to stop delivering


class Systemd:
    """What the service tells systemd (sd_notify); nothing where systemd did not start it."""

    def __init__(self, environment: dict[str, str]) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        theirs = environment.get("WATCHDOG_PID", "") in ("", str(os.getpid()))
        interval = environment.get("WATCHDOG_USEC", "")
        self.watchdog = int(interval) / 1e6 if theirs and interval.isdecimal() else 0.0

    def tell(self, *lines: str) -> None:
        """Such as READY=1, STATUS=text."""
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
            try:
                out.sendto("\n".join(lines).encode(), self._address)
            except OSError:
                pass  # it has gone: there is no one to tell

    def reloading(self) -> None:
        """A reload begins; READY=1 ends it."""
        self.tell("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")


def identity(user: str, group: str) -> tuple[int, int]:
    """(uid, gid) of these names or numbers; without a group, the user's own. Raises `Failure` R505."""
    try:
        entry = pwd.getpwuid(int(user)) if user.isdecimal() else pwd.getpwnam(user)
        uid, gid = entry.pw_uid, entry.pw_gid
    except KeyError:
        if not user.isdecimal():
            raise Failure("R505", f"there is no user '{user}'") from None
        uid = gid = int(user)
    if group:
        try:
            gid = int(group) if group.isdecimal() else grp.getgrnam(group).gr_gid
        except KeyError:
            raise Failure("R505", f"there is no group '{group}'") from None
    return uid, gid


def become(user: str, group: str) -> None:
    """Gives up root for good: groups, group, user, and no new rights by any program that is started. Raises `Failure` R505."""
    uid, gid = identity(user, group)
    try:
        name = pwd.getpwuid(uid).pw_name
        groups = os.getgrouplist(name, gid)
    except KeyError:
        groups = [gid]
    if os.geteuid() != 0:
        if (os.geteuid(), os.getegid()) == (uid, gid):
            return
        raise Failure("R505", f"only root can become user '{user}'")
    os.setgroups(groups)
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    no_new_rights()


def no_new_rights() -> None:
    """Nothing this process starts can gain rights (PR_SET_NO_NEW_PRIVS); where the system knows that."""
    try:
        ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    except (OSError, AttributeError):
        pass


def more_descriptors() -> None:
    """Lets the process have as many files and connections open as it may: the lower limit that most systems begin with is for those who use
    `select`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < most:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        except (OSError, ValueError):
            pass  # it goes with fewer


def hold_little_memory() -> None:
    """Has the C library give blocks larger than any of ours back as soon as they are free, and use one pool for all threads. By itself it has one
    for each thread, and learns from large blocks to keep them: an idle service then holds 20 MiB of the last rush. What is smaller is used again
    while there is a rush, as a new page costs more than what is written into it. Elsewhere than with glibc: nothing."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    for name, value in ((_M_ARENA_MAX, 1), (_M_MMAP_THRESHOLD, _LARGE), (_M_TRIM_THRESHOLD, _LARGE)):
        mallopt(name, value)


def give_memory_back() -> None:
    """Lets go of what only refers to itself, and gives the system what lies free between what is in use; some milliseconds. The latter only
    with glibc."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError):
        pass


def resident() -> int:
    """Octets of memory that the process has now; 0 where the system does not say."""
    try:
        with open("/proc/self/statm", "rb") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0
