"""Which records came before: ids seen, by minute, in bounded memory.

A record's `id` says which line it is, and not when a line without a date in it was written; so a record is known by its minute and its id, and
one without a time by the second of the record before it as well. Copies of a log come as whole stretches of time: the ids of the minutes
read last are in memory as sets, those of all others as one row a minute in a temporary SQLite file (16 octets a record). That is 0.5 µs a
record, where a row for each id takes 2.5.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import NamedTuple

ID_SIZE = 16
IN_MEMORY = 200_000
"""Ids held in memory, about 100 octets each."""
IN_MINUTE = 50_000
"""Ids of one minute kept as a set; more (a file without any time stamps has one endless minute) get a row each."""


class Keys(NamedTuple):
    """What some records are known by: `ids`, 16 octets each; `runs`, (minute, how many records in a row)."""

    ids: bytes
    runs: list[tuple[int, int]]


class Minutes:
    """Makes the keys of one log's records; called for all of them, in order."""

    __slots__ = ("second",)

    def __init__(self) -> None:
        self.second = ""

    def keys(self, times: Sequence[str], ids: bytes) -> Keys:
        """The keys of records with these times and ids."""
        runs: list[tuple[int, int]] = []
        untimed: list[int] = []
        seconds: list[str] = []
        second = self.second
        begin = 0
        for number, time in enumerate(times):
            if not time:
                untimed.append(number)
                seconds.append(second)
            elif time[:19] != second:
                if time[:16] != second[:16]:
                    if number > begin:
                        runs.append((_minute(second), number - begin))
                    begin = number
                second = time[:19]
        if len(times) > begin:
            runs.append((_minute(second), len(times) - begin))
        self.second = second
        if untimed:
            mutable = bytearray(ids)
            for number, before in zip(untimed, seconds, strict=True):
                place = slice(number * ID_SIZE, (number + 1) * ID_SIZE)
                mutable[place] = blake2b(ids[place] + before.encode(), digest_size=ID_SIZE).digest()
            ids = bytes(mutable)
        return Keys(ids, runs)


def _minute(second: str) -> int:
    """`2026-03-01T10:20:30` -> 202603011020; 0 when nothing with a time came yet."""
    return int(second[:16].translate(_NO_MARKS)) if second else 0


_NO_MARKS = str.maketrans("", "", "-T:")


class Seen:
    """The ids of one conversion. Raises `sqlite3.Error` when there is no room for its temporary file."""

    def __init__(self, in_memory: int = IN_MEMORY, in_minute: int = IN_MINUTE) -> None:
        import sqlite3  # loaded here, as whoever imports this for its types would have it in memory: the service, a megabyte

        self._in_memory = in_memory
        self._in_minute = in_minute
        self._minutes: OrderedDict[int, set[bytes]] = OrderedDict()
        self._changed: set[int] = set()
        self._held = 0
        self._file = sqlite3.connect("", isolation_level=None)
        for pragma in ("journal_mode=off", "synchronous=off", "cache_size=-8000"):
            self._file.execute(f"pragma {pragma}")
        self._file.execute("create table minutes (minute integer primary key, ids blob)")
        self._file.execute("create table others (minute integer, id blob, primary key (minute, id)) without rowid")
        self._file.execute("begin")

    def repeats(self, keys: Keys) -> list[int]:
        """The numbers of those of these records that were seen before; all of them are seen from now on."""
        ids = keys.ids
        found: list[int] = []
        begin = 0
        for minute, count in keys.runs:
            known = self._minute(minute)
            before = len(known)
            for number in range(begin, begin + count):
                key = ids[number * ID_SIZE : (number + 1) * ID_SIZE]
                if key in known:
                    found.append(number)
                elif len(known) < self._in_minute:
                    known.add(key)
                elif not self._file.execute("insert or ignore into others values (?, ?)", (minute, key)).rowcount:
                    found.append(number)
            begin += count
            if len(known) > before:
                self._changed.add(minute)
                self._held += len(known) - before
        return found

    def close(self) -> None:
        """Forgets everything; the temporary file goes with it."""
        self._file.close()

    def _minute(self, minute: int) -> set[bytes]:
        """The set of one minute, fetched from the file if it is there; others are put there to make room."""
        known = self._minutes.get(minute)
        if known is not None:
            self._minutes.move_to_end(minute)
            return known
        while self._held > self._in_memory:
            self._put_away(*self._minutes.popitem(last=False))
        row = self._file.execute("select ids from minutes where minute = ?", (minute,)).fetchone()
        stored: bytes = row[0] if row else b""
        known = {stored[place : place + ID_SIZE] for place in range(0, len(stored), ID_SIZE)}
        self._minutes[minute] = known
        self._held += len(known)
        return known

    def _put_away(self, minute: int, ids: Iterable[bytes]) -> None:
        blob = b"".join(ids)
        self._held -= len(blob) // ID_SIZE
        if minute in self._changed:
            self._changed.discard(minute)
            self._file.execute("insert or replace into minutes values (?, ?)", (minute, blob))
