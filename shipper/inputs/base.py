"""What an input is: it reads, makes batches, and remembers how far it was when they were safe.

An input is given `deliver` and runs until it is told to stop. `deliver` takes a batch and returns when there is room for the next one: an
input that awaits it cannot run ahead of the outputs, and what it does not read waits where it is (in a file, in the kernel). It passes its
positions to `Places` when the ledger says they may be passed; `Places` makes them durable a moment later, all of an input together.

Rules: what arrives lingers to 500 records or 50 ms, whatever comes first; of what waits in files up to 2000 records go together. No record is
handed over twice by the same run. After `stop` is set an input hands over what it has already read, reads no more, and returns; what it did not
read is still there for the next run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any, Protocol

from shipper.batch import Batch
from shipper.formats import Log
from shipper.reader import RawPolicy
from shipper.stamps import Clock

Deliver = Callable[[Batch], Awaitable[None]]

LINGER_RECORDS = 500
LINGER_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Reading:
    """How the lines of an input are read. `zone`: of stamps that name none (None: this machine's). `host`: of lines that name none. `raw`: when
    a record keeps its line. `fields`: the optional fields of MTA text records, where the user said which (None: told by their shape).
    `twin`: the module that `compiled.find` found (None: all is done in Python), the `profile` of which most lines are wanted, and whether
    payloads of `otlp` are.
    """

    zone: tzinfo | None = None
    host: str = ""
    raw: RawPolicy = "errors"
    fields: tuple[str, ...] | None = None
    twin: Any = None
    profile: str = "native"
    otlp: bool = field(default=False, compare=False)  # an input that has it otherwise does the same, and no reload begins it anew

    def log(self, service: str = "") -> Log:
        """What is known of one log; `service`: what its file's name says."""
        return Log(clock=Clock(self.zone), fields=self.fields, service=service, host=self.host)


class Places(Protocol):
    """What one input remembers over restarts: a JSON object of its own making, small, replaced as a whole."""

    def load(self) -> dict[str, Any]:
        """What was remembered last; `{}` on the first start, or when it was lost. After a kill, "ahead" is a list of the `places` of batches that
        were delivered, in order, though they were not noted as settled."""
        ...

    def save(self, places: dict[str, Any]) -> None:
        """Remember this instead. Returns at once; it is durable a second later at most, and when the service stops."""
        ...


class Input(Protocol):
    """One input of the configuration. Beside what every input has, one may have

    - `bind(before)`: opens its sockets, before root is given up and before a reload takes effect; those of the same address it takes over from
      `before`, an input of its own class that still runs, or None. Raises `Failure` R507 or R509.
    - `close()`: closes them, once `run` has returned; without it, or where `bind` failed for another input of the plan, nothing stays open.
    - `counters()`: event -> how often since the start, beside records; for `status`.
    """

    name: str

    async def run(self, deliver: Deliver, places: Places, stop: asyncio.Event) -> None:
        """Reads until `stop` is set (or, of an input that ends, to its end). Raises only what should end the service."""
        ...

    def lag(self) -> list[dict[str, Any]]:
        """For `status`: of each file or socket what is not yet read (`octets`, `seconds`), and its state."""
        ...
