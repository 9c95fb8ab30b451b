"""The three names of one MTA log: what is where, and where what was missed is found again.

    mail.log_current -> (at midnight) mail.log_yesterday -> (a day later) appended to mail.log, which only grows

`_current` and `_yesterday` are followed as any file is. `mail.log` has it all a second time, so it is not read, but for two things: at the
very first start it is the history; and when a content is gone that was not read to its end (nobody was there for a night, or many), what is
missing stands in `mail.log`, or in what a site has made of it (`mail.log.1`, `mail.log-20050307.gz`). There it is found by the octets before the
position up to which it was read, and read from there: up to the next content that was followed itself, up to `_yesterday`'s if that was
appended already, else to the end.

The same for `connection.log*`. Each family is read in order: history, then yesterday, then current.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, BinaryIO, Literal, NamedTuple

from shipper.archives import ArchiveBroken, Content, kind_of
from shipper.screen import escaped
from shipper.tail.follower import MISSING, Follower, Start, Tail
from shipper.tail.listing import Listing, Sight
from shipper.tail.marks import BEGIN, TAIL, Mark, Point, digest, heads_of

CHUNK = 1 << 20
Role = Literal["history", "yesterday", "current"]
_RANKS: dict[Role, int] = {"history": 0, "yesterday": 1, "current": 2}


def role(path: str) -> tuple[str, Role]:
    """`…/mail.log_yesterday` -> (`…/mail.log`, `yesterday`)."""
    directory, name = os.path.split(path)
    stem, found, rest = name.partition(".log")
    family = os.path.join(directory, stem + found)
    if rest.startswith("_current"):
        return family, "current"
    return family, "yesterday" if rest.startswith("_yesterday") else "history"


class Wanted(NamedTuple):
    """A content that is gone: its tail, and where it may be, the newest first."""

    tail: Tail
    where: Sequence[Sight]


class Place(NamedTuple):
    """Where a content was found: the file, what is behind the position there, and the digest before it. `kind` of an archive."""

    sight: Sight
    offset: int
    kind: str
    point: Point
    heads: tuple[str, ...]


class Family(Follower):
    """Follows the logs of one directory by their roles."""

    def __init__(self, marks: Iterable[Mark] = (), *, first: bool = True, start: Start = "beginning", **settings: Any) -> None:
        super().__init__(marks, first=first, start=start, **settings)
        self._history: Sequence[Sight] = ()
        self._now = self._wall = 0.0
        self._all = first and start == "beginning"
        self._begun = False

    def look(self, listing: Listing, now: float, wall: float) -> None:
        """Takes in what the files are now; of the history only what is wanted of it."""
        self._now, self._wall = now, wall
        self._history = [sight for sight in listing.sights if role(sight.path)[1] == "history"]
        others = [sight for sight in listing.sights if role(sight.path)[1] != "history"]
        ranges = [tail for tail in self.tails if role(tail.path)[1] == "history"]
        newest = {role(tail.path)[0] for tail in self.tails} - {role(tail.path)[0] for tail in self.tails if tail not in ranges}
        bound = {tail.key for tail in ranges}
        super().look(Listing([*others, *(sight for sight in self._history if sight.key in bound)], listing.troubles), now, wall)
        if not self._begun:
            self._begun = True
            for sight in self._history if self._all else ():
                if sight.size:
                    self._whole(sight, others)
            for tail in ranges:  # what was read last is history: what came after it is, too, as far as it is not there under its own name
                if tail.listed and tail.limit is not None and role(tail.path)[0] in newest:
                    tail.limit = max(tail.limit, _appended(Sight(tail.path, *tail.key, tail.size, tail.modified), others))
        known = {role(tail.path)[0] for tail in self.tails if role(tail.path)[1] != "history"}
        for tail in list(self.tails):
            done = tail.limit is not None and tail.settled.position >= tail.limit
            if done and role(tail.path)[0] in known:  # else it is all that says how far the family was read
                self._close(tail)
                self.tails.remove(tail)

    def _candidate(self, sight: Sight, now: float, wall: float) -> None:
        if role(sight.path)[1] != "history":
            super()._candidate(sight, now, wall)

    def _whole(self, sight: Sight, others: Iterable[Sight]) -> None:
        """The history, at the very first start."""
        with open(sight.path, "rb") as file:
            begin = file.read(BEGIN)
        kind = kind_of(begin)
        limit = None if kind else _appended(sight, others)
        self._new_range(Place(sight, 0, kind, Point(), heads_of(begin)), limit, "the history, at the first start")

    def _new_range(self, place: Place, limit: int | None, why: str) -> Tail:
        sight = place.sight
        tail = Tail(Mark(sight.path, sight.device, sight.inode, place.heads, limit=limit if not place.kind else None))
        tail.point = tail.settled = place.point
        tail.kind = place.kind
        tail.rolled = True
        self.tails.append(tail)
        self._seen(tail, sight, self._now, self._wall)
        tail.why = why
        return tail

    # --- what is gone ---

    def lost(self) -> list[Wanted]:
        """The contents to be looked for now (`find`): gone, and not known to have been read to their end."""
        found = []
        for tail in self.tails:
            family, its_role = role(tail.path)
            gone = not tail.listed and tail.descriptor < 0 and not tail.drained and tail.missing is not None
            if not gone or its_role == "history" or tail.counted or not tail.position or tail.retry_at > self._now:
                continue
            where = [sight for sight in self._history if role(sight.path)[0] == family and sight.size]
            where.sort(key=lambda sight: (sight.path != family, -sight.modified))
            found.append(Wanted(tail, where))
        return found

    def found(self, wanted: Sequence[Wanted], places: Sequence[Place | None]) -> None:
        """What came of it: each content that was found is read on there, up to the next one."""
        for (tail, _), place in zip(wanted, places, strict=True):
            if place is None:
                self._not_found(tail)
        known = [(tail, place) for (tail, _), place in zip(wanted, places, strict=True) if place is not None]
        known.sort(key=lambda pair: (pair[1].sight.path, pair[1].offset))
        for number, (tail, place) in enumerate(known):
            end = _appended(place.sight, [sight for sight in self._sights() if role(sight.path)[0] == role(tail.path)[0]])
            if number + 1 < len(known) and known[number + 1][1].sight.key == place.sight.key:
                after, its = known[number + 1]
                end = min(end, max(place.offset, its.offset - after.position))
            self.tails.remove(tail)
            alone = number + 1 == len(known) and not any(role(other.path)[0] == role(tail.path)[0] for other in self.tails)
            if place.kind or end > place.offset or alone:  # alone, it says how far the family was read
                why = f"the content of '{escaped(tail.path)}', which is gone: read on from octet {place.offset:,}"
                new = self._new_range(place, end, why)
                new.point = new.settled = place.point._replace(date=tail.point.date)
                self._notice(f"'{escaped(tail.path)}' was rolled over unseen: read on in '{escaped(place.sight.path)}'")

    def _sights(self) -> list[Sight]:
        return [Sight(tail.path, *tail.key, tail.size, tail.modified) for tail in self.tails if tail.listed and tail.limit is None]

    def _not_found(self, tail: Tail) -> None:
        tail.delay = min(30.0, max(1.0, tail.delay * 2))
        tail.retry_at = self._now + tail.delay
        tail.state = "missing"
        if tail.missing is not None and self._now - tail.missing > MISSING:
            tail.counted = True
            if not (tail.rolled and tail.behind == 0):
                self.losses += 1
                self.lost_octets += tail.behind
                self._notice(
                    f"'{escaped(tail.path)}' was rolled over unseen, and what came after octet {tail.position:,} of it is nowhere: lost"
                )


def order(tails: Iterable[Tail]) -> list[Tail]:
    """Of each family only what is oldest: the rest has its turn when that is read."""
    best: dict[str, list[Tail]] = {}
    for tail in tails:
        family, its_role = role(tail.path)
        rank = _RANKS[its_role]
        others = best.setdefault(family, [])
        if others and rank < _RANKS[role(others[0].path)[1]]:
            others.clear()
        if not others or rank == _RANKS[role(others[0].path)[1]]:
            others.append(tail)
    return [tail for tails in best.values() for tail in tails]


def find(wanted: Wanted) -> Place | None:
    """Looks for a content (may take its time: call it in a thread). Files that cannot be read are passed over."""
    for sight in wanted.where:
        try:
            place = _find(sight, wanted.tail.point)
        except (OSError, ArchiveBroken):
            continue
        if place:
            return place
    return None


def _find(sight: Sight, point: Point) -> Place | None:
    with open(sight.path, "rb") as file:
        begin = file.read(BEGIN)
        if kind := kind_of(begin):
            file.seek(0)
            there = _forwards(Content(file, sight.path).chunks(), point)
            return Place(sight, there.position, kind, there, ()) if there else None
        position = _backwards(lambda start, size: os.pread(file.fileno(), size, start), sight.size, point)
        if position is None:
            return None
        before = min(TAIL, position)
        octets = os.pread(file.fileno(), before, position - before)
        return Place(sight, position, "", Point(position, digest(octets)), heads_of(begin))


def _matches(octets: bytes, end: int, length: int, wanted: str) -> bool:
    """Whether the `length` octets before `end` are those of the digest."""
    return end >= length and digest(octets[end - length : end]) == wanted


def _backwards(read: Callable[[int, int], bytes], size: int, point: Point) -> int | None:
    """The last place between two lines before which stands what stood before the point."""
    length = min(TAIL, point.position)
    end = size
    while end > 0:
        start = max(0, end - CHUNK)
        lead = min(length, start)
        octets = read(start - lead, end - start + lead)
        at = octets.rfind(b"\n", lead) if lead < len(octets) else -1
        while at >= 0:
            if _matches(octets, at + 1, length, point.tail):
                return start - lead + at + 1
            at = octets.rfind(b"\n", lead, at)
        end = start
    return None


def _forwards(chunks: Iterable[bytes], point: Point) -> Point | None:
    """The same for an archive, which is only read forwards: the first such place, with the digest of what stands before it there."""
    length = min(TAIL, point.position)
    held, base = b"", 0  # octets from `base` on
    for chunk in chunks:
        new = len(held)
        held += chunk
        at = held.find(b"\n", new)
        while at >= 0:
            if _matches(held, at + 1, length, point.tail):
                return Point(base + at + 1, digest(held[max(0, at + 1 - TAIL) : at + 1]))
            at = held.find(b"\n", at + 1)
        drop = max(0, len(held) - TAIL)
        held, base = held[drop:], base + drop
    return None


def _appended(sight: Sight, others: Iterable[Sight]) -> int:
    """Where in the history the content of `_yesterday` begins, which is still there and read there: it was appended already, or is being. The
    end of the history where it does not."""
    end = sight.size
    for other in others:
        if role(other.path) == (role(sight.path)[0], "yesterday") and other.size:
            try:
                with open(other.path, "rb") as file:
                    begin = file.read(BEGIN)
                with open(sight.path, "rb") as file:
                    end = min(end, _first(file, max(0, sight.size - other.size), begin[: begin.rfind(b"\n") + 1], end))
            except OSError:
                continue  # it is gone by now: then it is all in the history
    return end


def _first(file: BinaryIO, start: int, begin: bytes, end: int) -> int:
    """Where lines that begin so stand for the first time at or after `start`; `end` when they do not, or `begin` is no whole line."""
    file.seek(start)
    held, base = b"", start
    while begin and base + len(held) < end and (chunk := file.read(CHUNK)):
        held += chunk
        at = held.find(begin)
        if at >= 0:
            return base + at
        drop = max(0, len(held) - len(begin))
        held, base = held[drop:], base + drop
    return end
