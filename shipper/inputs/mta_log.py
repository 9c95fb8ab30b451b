"""Input `mta_log`: the MTA's logs of one directory, `mail.log*` and `connection.log*`, each record once over every roll-over.

Named by the directory alone: which file has what, and where what was missed while nobody was there is found, is known (`shipper.tail.family`).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from pydantic import Field

from shipper.framing import MAX_LINE
from shipper.inputs.base import Reading
from shipper.inputs.file import FileInput
from shipper.inputs.section import Common, MaxLine, Poll, unreadable
from shipper.tail import Follower, Start, listing
from shipper.tail.family import Family, find, order
from shipper.tail.follower import FORGET

STEMS = ("mail.log", "connection.log")


class Section(Common):
    """The MTA's transaction and connection logs."""

    type: Literal["mta_log"]
    directory: str = Field(min_length=1, description="Where `mail.log_current` is: the MTA's log directory.")
    start: Start = Field(
        "beginning",
        alias="from",
        description="At the very first start: all that is there, `mail.log` too; or only what comes after the `end`; `now` is the same.",
    )
    poll: Poll = 0.5
    max_line: MaxLine = MAX_LINE

    def patterns(self) -> list[str]:
        """The files that it reads, as globs."""
        return patterns(self.directory)

    def unreadable(self) -> Iterator[tuple[str, str]]:
        """(option, what `check` says of it) of what is not there, or is closed to us."""
        return unreadable("directory", self.directory, self.patterns())


def make(name: str, section: Section, reading: Reading) -> MtaLogInput:
    """The input of a section."""
    return MtaLogInput(name, section.directory, reading, start=section.start, poll=section.poll, max_line=section.max_line)


def patterns(directory: str) -> list[str]:
    """All files of the MTA's families."""
    return [os.path.join(directory, f"{stem}{rest}") for stem in STEMS for rest in ("", "_*", ".*", "-*")]


class MtaLogInput(FileInput):
    """Follows the families of one directory."""

    def __init__(self, name: str, directory: str, reading: Reading, **settings: Any) -> None:
        named = patterns(directory)

        def look(known: Sequence[str]) -> Any:
            return listing(named, (), known)

        super().__init__(name, look, reading, order=order, follower=Family, forget=settings.pop("forget", FORGET), **settings)

    async def _look(self, follower: Follower, stop: asyncio.Event) -> None:
        await super()._look(follower, stop)
        assert isinstance(follower, Family)
        wanted = follower.lost()
        if wanted and not stop.is_set():
            places = [await asyncio.to_thread(find, each) for each in wanted]
            follower.found(wanted, places)
