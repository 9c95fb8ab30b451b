"""The compiled twin of the straight case: whether it is here, and what it is told.

Python is the definition of what is read and written: `formats/mta_straight.py` and what that uses. `native/` is the same in Rust, for lines of MTA
text to native and ECS JSON: octets of a log in, lines of output out, without a Python object for a line and without the interpreter's lock. It never
decides anything on its own. What it does not know it leaves to Python line by line (`fused`), and names and events it is told from here.
`tests/native/` holds it to the Python, octet for octet.

To change how a line is read: change the Python first; the tests of `tests/native/` then fail; then change the twin.

It is a package of its own, `shipper-native`, of the same version as this one; one of another version is not used. `SHIPPER_NATIVE=0` turns it
off.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from importlib import import_module
from string import ascii_uppercase
from typing import Any, NamedTuple

from shipper import __version__, events
from shipper.formats import mta_fields
from shipper.identity import LINES_KEPT, SECONDS_KEPT, content_of
from shipper.profiles import ecs
from shipper.profiles.base import INBOUND
from shipper.reader import RawPolicy
from shipper.record import Connection, Mta, Record

INTERFACE = 3
"""Of the calls between the two; one more with each change of them, here and in `native/src/lib.rs`."""
PROFILES = frozenset(("native", "ecs"))
"""The profiles that the twin renders."""


class Found(NamedTuple):
    """The twin's module, None where it is not used; `why` says so in few words."""

    module: Any
    why: str


def find() -> Found:
    """Looks for the twin. What is installed and does not fit is not used, whatever is wrong with it."""
    if os.environ.get("SHIPPER_NATIVE", "") == "0":
        return Found(None, "turned off by SHIPPER_NATIVE=0")
    try:
        module = import_module("shipper_native")
    except ImportError as error:
        return Found(None, "not installed" if isinstance(error, ModuleNotFoundError) else f"cannot be loaded: {error}")
    version = getattr(module, "VERSION", "?")
    if version != __version__ or getattr(module, "INTERFACE", 0) != INTERFACE:
        return Found(None, f"built for another state of shipper (version {version}), so not used")
    return Found(module, version)


def line_ends(module: Any, octets: bytes | bytearray) -> int:
    """How many lines end in these octets; with the twin in a tenth of the time."""
    if module is not None and type(octets) is bytes:
        count: int = module.line_ends(octets)
        return count
    return octets.count(b"\n")


class Run(NamedTuple):
    """What a run of the twin gives.

    `out`: the lines of output, None while there are gaps; `gaps`: lines that it left out, as (number in the run, first octet, octet after it);
    `hour`: whether it stopped for a stamp of another hour; `next`: where the next line begins, one octet after the end at the end;
    `lines`: that it went through, of which `mta` and `connection` are rendered; `panics`: lines at which it gave up; `first` and `last`: the
    smallest and the largest time of the lines rendered, as text.
    """

    out: bytes | None
    gaps: list[tuple[int, int, int]]
    hour: bool
    next: int
    lines: int
    mta: int
    connection: int
    panics: int
    first: str
    last: str


class Twin:
    """The twin at work on one log. It is what gives ids there, too, as it has the count of identical lines."""

    def __init__(self, module: Any, *, zone_source: str, file: str, host: str, raw: RawPolicy, profile: str, observed: int) -> None:
        told = [events.code_event(letter) for letter in ascii_uppercase]
        documents = [[tuple(ecs.fixed(kind, event, observed)) for event in told] for kind in (Mta, Connection)]
        self._twin = module.Twin(
            events=[(event.name, event.severity) for event in told],
            messages="".join(events.MTA_EVENTS),
            accounts=sorted(mta_fields.ACCOUNTS),
            words=sorted(mta_fields.WORDS),
            zone_source=zone_source,
            file=file,
            host=host,
            raw=raw == "always",
            seconds_kept=SECONDS_KEPT,
            lines_kept=LINES_KEPT,
            ecs=(*documents, "".join(INBOUND), ecs.fixed_tail()) if profile == "ecs" else None,
        )

    def run(self, data: bytes, start: int, offset: int, hour: tuple[str, str, str]) -> Run:
        """Renders lines of MTA text from octet `start` of `data` on, as far as their stamps are of this hour (`Clock.hour`). `offset`: of `data`
        in the log."""
        return Run(*self._twin.run(data, start, offset, hour))

    def filled(self, lines: bytes) -> bytes:
        """The output of a run that had gaps, with the rendered records of these in it. They must have got their ids before, all together."""
        whole: bytes = self._twin.filled(lines)
        return whole

    def assign(self, records: Sequence[Record], lines: Sequence[str]) -> None:
        """See `identity.Ids`."""
        ids = self._twin.assign([(record.time[:19], content_of(record, line)) for record, line in zip(records, lines, strict=True)])
        for record, known in zip(records, ids, strict=True):
            record.id = known

    def state(self) -> Iterator[bytes]:
        """See `identity.Ids`."""
        yield self._twin.state()
