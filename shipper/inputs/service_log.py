"""Input `service_log`: the service logs of one directory (`imap`, `imap.63.915107696`, `pop`, …), by their sequence.

    imap                 the current file
    imap.64.915194096    rolled over; a higher number is newer; numbers never go back

The output `log_files` writes MTA records into such a family, too: `mail.log`, `mail.log.63.915107696`.

The server deletes old files by limits of its own. One that was deleted before it was read to its end is a loss: its number is missing between
the last that was seen and those that are there; it is counted, with the size of its neighbours as an estimate.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

from pydantic import Field

from shipper.formats.names import of_family
from shipper.framing import MAX_LINE
from shipper.inputs.base import Reading
from shipper.inputs.file import FileInput
from shipper.inputs.section import Common, MaxLine, Poll, unreadable
from shipper.screen import escaped
from shipper.tail import Follower, Listing, Start, Tail, listing

SERVICES = ("imap", "pop", "http", "admin", "default", "imta", "msgtrace", "ImapProxy", "PopProxy", "AService", "SubmitProxy")


class Section(Common):
    """Logs of the store and its services."""

    type: Literal["service_log"]
    directory: str = Field(min_length=1, description="Where the services' logs are.")
    services: list[str] = Field(list(SERVICES), min_length=1, description="Which services: the names of their current files.")
    start: Start = Field(
        "beginning",
        alias="from",
        description="At the very first start: all that is there, or only what comes after the `end`; `now` is the same.",
    )
    poll: Poll = 0.5
    max_line: MaxLine = MAX_LINE

    def patterns(self) -> list[str]:
        """The files that it reads, as globs."""
        return patterns(self.directory, self.services)

    def unreadable(self) -> Iterator[tuple[str, str]]:
        """(option, what `check` says of it) of what is not there, or is closed to us."""
        return unreadable("directory", self.directory, self.patterns())


def make(name: str, section: Section, reading: Reading) -> ServiceLogInput:
    """The input of a section."""
    return ServiceLogInput(
        name, section.directory, section.services, reading, start=section.start, poll=section.poll, max_line=section.max_line
    )


def patterns(directory: str, services: Iterable[str]) -> list[str]:
    """All files of these services."""
    return [os.path.join(directory, f"{service}{rest}") for service in services for rest in ("", ".[0-9]*.[0-9]*")]


def sequence(path: str) -> tuple[str, int | None]:
    """`…/imap.63.915107696` -> (`…/imap`, 63); (`…/imap`, None) of the current file."""
    directory, name = os.path.split(path)
    file = of_family(name)
    return (path, None) if file is None else (os.path.join(directory, file.family), file.rolled[0] if file.rolled else None)


def order(tails: Iterable[Tail]) -> list[Tail]:
    """Of each service only the oldest: the rest has its turn when that is read."""
    best: dict[str, Tail] = {}
    for tail in tails:
        service, _ = sequence(tail.path)
        if service not in best or _rank(tail) < _rank(best[service]):
            best[service] = tail
    return list(best.values())


def _rank(tail: Tail) -> float:
    number = sequence(tail.path)[1]
    return float("inf") if number is None else number


class Sequences(Follower):
    """Follows services' logs, and says which numbers it never saw. What is missing is looked for once, at the first look after a start: while
    it runs nothing is deleted unseen, but what is deleted unread, and that `Follower` says."""

    def look(self, listing: Listing, now: float, wall: float) -> None:
        if not self._looked and listing.sights:
            self._looked = True
            self._gaps(listing)
        super().look(listing, now, wall)

    _looked = False

    def _gaps(self, listing: Listing) -> None:
        last: dict[str, int] = {}
        for tail in self.tails:
            service, number = sequence(tail.path)
            if number is not None:
                last[service] = max(last.get(service, 0), number)
        for service, number in last.items():
            here = {
                found: sight.size for sight in listing.sights if (found := sequence(sight.path)[1]) and sequence(sight.path)[0] == service
            }
            missing = [each for each in range(number + 1, max(here, default=number) + 1) if each not in here]
            if missing:
                guess = len(missing) * (sum(here.values()) // max(1, len(here)))
                self.losses += 1
                self.lost_octets += guess
                numbers = f"{missing[0]} to {missing[-1]}" if len(missing) > 1 else str(missing[0])
                self._notice(
                    f"'{escaped(service)}' {numbers} deleted before it was read: {len(missing)} files, about {guess:,} octets are lost"
                )


class ServiceLogInput(FileInput):
    """Follows the service logs of one directory."""

    def __init__(self, name: str, directory: str, services: Sequence[str], reading: Reading, **settings: Any) -> None:
        wanted = set(services)
        named = patterns(directory, services)

        def look(known: Sequence[str]) -> Listing:
            found = listing(named, (), known)
            sights = [sight for sight in found.sights if os.path.basename(sequence(sight.path)[0]) in wanted]
            return Listing(sights, found.troubles)

        super().__init__(name, look, reading, order=order, follower=Sequences, **settings)
