"""Output `log_files`: log files as the mail server has them, one family for each service, under the limits of its settings.

A payload is the family's name, a blank, and the line. What is done to the files is `families`; limits and names are `mailserver.logfiles`. Where
nothing can be written, the lane keeps the records. What a service has left behind is looked at when it is written to, and once a minute.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from shipper.batch import Arrival
from shipper.config.units import Duration, Size
from shipper.errors import Failure
from shipper.formats.mta_text import OPTIONAL
from shipper.intents import About
from shipper.mailserver.logfiles import DEFAULT, OPTIONS, Limits, directory_of, family_of, is_family, limits_of
from shipper.mailserver.settings import MailServer
from shipper.outputs import base
from shipper.outputs.base import Refused, Unavailable
from shipper.outputs.families import Terms, free, is_others, locked, no_step
from shipper.outputs.section import Common, FileRetrySettings, no_directory
from shipper.outputs.sequences import Sequences
from shipper.profiles import PROFILES
from shipper.profiles.server_text import USUAL, lines
from shipper.record import Connection, Mta, Record
from shipper.straight import Straight, rendered

_SWEEP_SECONDS = 60.0

Limit = Annotated[Size | None, Field(ge=0)]
Seconds = Annotated[Duration | None, Field(ge=0)]


class Section(Common):
    """Log files as the mail server writes them: a family for each service, with its limits."""

    type: Literal["log_files"]
    retry: FileRetrySettings = Field(FileRetrySettings(), description="When to try again.")
    directory: str | None = Field(None, min_length=1, description="Where the files are; empty: `logdir` of the mail server's settings.")
    profile: Literal["ecs", "native", "otel", "text"] = Field(
        "ecs", description="How records are written: JSON lines of a profile, or `text`, the server's own format."
    )
    fields: list[Literal[OPTIONAL]] | None = Field(  # type: ignore[valid-type]
        None, description="Optional fields of MTA records in `text`; empty: those of the server's option file, else the usual ones."
    )
    maxlogfilesize: Limit = Field(
        None, description="Begin a new file before this one would become larger; empty: the server's setting, 0: never."
    )
    maxlogfiles: int | None = Field(
        None, ge=0, description="Files of a service, the current one too; empty: the server's setting, 0: any number."
    )
    maxlogsize: Limit = Field(None, description="Size of all files of a service; empty: the server's setting, 0: any.")
    minfreediskspace: Limit = Field(None, description="What must stay free on the disk; empty: the server's setting, 0: nothing.")
    rollovertime: Seconds = Field(None, description="Begin a new file when this one is older; empty: the server's setting, 0: never.")
    expirytime: Seconds = Field(None, description="Delete files that were done so long ago; empty: the server's setting, 0: never.")
    fsync: Literal["always", "never"] = Field("always", description="Whether lines count as delivered only when they are on the disk.")
    mode: Annotated[str, Field(pattern=r"^0?[0-7]{3}$")] = Field("0640", description="Permissions of a new file, in octal.")

    def limits(self, family: str, server: MailServer) -> Limits:
        """What holds for a family: what the section says, else the server's settings."""
        given = {name: value for name in OPTIONS if (value := getattr(self, name)) is not None}
        return limits_of(family, server)._replace(**given)

    def directory_of(self, family: str, server: MailServer) -> str:
        """Where the files of a family are; `""` where nobody says."""
        return self.directory or directory_of(family, server)

    def is_others(self, family: str, server: MailServer) -> bool:
        """Whether the mail server, or somebody else, has a file there that this output would never write to."""
        return is_others(self.directory_of(family, server), family)

    def missing(self) -> Iterator[tuple[str, str]]:
        """(option, what `check` says of it) of directories that are not there."""
        if self.directory:
            yield from no_directory("directory", Path(self.directory).absolute())

    def lacks(self, server: MailServer) -> Iterator[str]:
        """What neither the section nor the server's settings say."""
        if not self.directory and not directory_of(DEFAULT, server):
            yield "no 'directory', and the mail server's settings have no logdir"


class LogFiles:
    """One output of this kind. `now`, `free`, `written`: `families.Terms`; `sweep`: seconds between two looks at what has expired."""

    def __init__(
        self,
        name: str,
        section: Section,
        server: MailServer,
        *,
        sequences: Sequences | None = None,
        now: Callable[[], float] = time.time,
        free: Callable[[int], int] = free,
        written: Callable[[str], None] = no_step,
        sweep: float = _SWEEP_SECONDS,
    ) -> None:
        self.name = name
        self.sweep = sweep
        self.limits = base.Limits(section.batch.records, section.batch.size)
        self.section = section
        self.server = server
        self.terms = Terms(
            lambda family: section.limits(family, server),
            sequences or Sequences(),
            durable=section.fsync == "always",
            mode=int(section.mode, 8),
            heads=section.profile == "text",
            now=now,
            free=free,
            step=written,
        )
        self.families: dict[str, set[str]] = {}
        """Directory -> the families that were written there."""
        self._separate = server.number("SEPARATE_CONNECTION_LOG") != 0
        self._profile = PROFILES.get(section.profile)
        self._text = lines(server.number("LOG_FORMAT"), section.fields if section.fields is not None else server.fields or USUAL)

    def render(self, records: Sequence[Record], arrival: Arrival) -> list[bytes]:
        """`family line` for each record, with its LF."""
        if self._profile is None:
            written = self._text(records)
        else:
            written = rendered(records, self._profile, arrival.observed).splitlines(keepends=True)
        return [b"%b %b" % (family.encode(), line) for family, line in zip(self._families(records), written, strict=True)]

    def _families(self, records: Sequence[Record]) -> list[str]:
        """Of each record. Where the twin has read nothing but transactions and connections their kind tells it, and nobody makes the records."""
        if isinstance(records, Straight) and records.kinds <= {Mta, Connection}:
            of_kinds = {family_of(kind(), self._separate) for kind in records.kinds}
            if len(of_kinds) == 1:
                families = [*of_kinds] * len(records)
                for number, record in records.apart.items():
                    families[number] = family_of(record, self._separate)
                return families
        return [family_of(record, self._separate) for record in records]

    def sender(self) -> _Sender:
        return _Sender(self)


def make(name: str, section: Section, server: MailServer, sequences: Sequences | None = None) -> LogFiles:
    """The output that a section describes. Raises `Failure` C116 where nobody says in which directory."""
    for lack in section.lacks(server):
        raise Failure("C116", f"output '{name}': {lack}")
    return LogFiles(name, section, server, sequences=sequences)


class _Sender:
    """Writes in a thread, as a disk can be slow. `about`: is told where the payloads of a send are going to stand, if that is one stretch."""

    def __init__(self, output: LogFiles) -> None:
        self._output = output
        self.about: About | None = None
        self._sweeping: asyncio.Task[None] | None = None

    async def __aenter__(self) -> _Sender:
        self._sweeping = asyncio.create_task(self._sweep_on())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._sweeping:
            self._sweeping.cancel()

    async def send(self, payloads: Sequence[bytes]) -> None:
        await asyncio.to_thread(self._send, payloads)

    def _send(self, payloads: Sequence[bytes]) -> None:
        """Writes each family's lines; what one of them does not take now is all that is to come again."""
        strangers: list[int] = []
        families: dict[str, list[int]] = {}
        for index, payload in enumerate(payloads):
            family = payload[: max(0, payload.find(b" ", 0, 80))].decode("ascii", "replace")
            if is_family(family) and payload.endswith(b"\n"):
                families.setdefault(family, []).append(index)
            else:
                strangers.append(index)
        directories: dict[str, dict[str, list[int]]] = {}
        for family, indices in families.items():
            directories.setdefault(self._output.section.directory_of(family, self._output.server), {})[family] = indices
        left: list[int] = []
        failure: Unavailable | None = None
        for path, wanted in directories.items():
            try:
                with locked(path, self._output.terms) as directory:
                    for family, indices in directory.by_family(wanted).items():
                        taken = 0
                        try:
                            cut = [payloads[index][payloads[index].index(b" ") + 1 :] for index in indices]
                            for count in directory.write(family, cut, self.about if len(indices) == len(payloads) else None):
                                taken += count
                        except Unavailable as error:
                            failure = error
                            left += indices[taken:]
                        self._output.families.setdefault(path, set()).add(family)
            except Unavailable as error:
                failure = error
                left += [index for indices in wanted.values() for index in indices]
        if failure and len(left) == len(payloads):
            raise failure
        if strangers or left:
            reason = failure.reason if failure and not strangers else "no line of a log file: it has no family before it"
            raise Refused(reason, strangers, again=sorted(left))

    async def _sweep_on(self) -> None:
        """Also when nothing is written: what has expired goes."""
        while True:
            await asyncio.sleep(self._output.sweep)
            await asyncio.to_thread(self._sweep)

    def _sweep(self) -> None:
        """The limits of all families that were written to."""
        for path, families in list(self._output.families.items()):
            try:
                with locked(path, self._output.terms) as directory:
                    for family in list(families):
                        directory.trim(family)
            except Unavailable:
                pass  # whoever writes there finds out
