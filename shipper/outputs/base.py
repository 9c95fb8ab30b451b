"""What an output is: records made into payloads, and a Sender that hands payloads to a receiver.

A payload is octets that stand for one record, complete in themselves: they can wait in a spool, be set aside, and be sent a year later by
another process. `render` gives one payload for each record, in order, and never fails; the payloads of a batch keep their order and their
number from there to the Sender, so that an index is enough to name one.

A Sender is an async context manager around one connection. `send` returns when the receiver has *taken* all payloads, and raises

- `Unavailable`: not now. Keep them, come back later, not before `retry_after` seconds if the receiver named a time. `misconfigured` when
  waiting alone will not help (a redirect, a page of HTML, a wrong password): the data still waits, readiness says so, and tries are rare.
- `Refused`: these will never be taken, for this reason; all others are taken. They go to the dead letters.
- `TooLarge`: taken none of; fewer at a time may do. Of a single payload it is the same as refused.

Any other exception is a bug, and treated as `Unavailable`. Reconnecting, waiting and halving belong to the lane, not to the Sender.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from shipper.batch import Arrival
from shipper.intents import About
from shipper.record import Record


class Unavailable(Exception):
    """The receiver cannot take anything now. `reason` is for people: no payload, no secret in it."""

    def __init__(self, reason: str, *, retry_after: float | None = None, misconfigured: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after
        self.misconfigured = misconfigured


class Refused(Exception):
    """The receiver will never take the payloads with these indices; the others it took.

    `unnamed`: how many more it refused without saying which (OTLP's partial success). They are counted as set aside, and all payloads of this
    `send` go to the dead letters as well, with the reason, as the refused ones are among them. Nothing of it is sent again.
    `reasons`: those of single payloads that have one of their own, by index.
    `again`: indices that it did not take *now* (an item with 429): the lane sends these and no others again, after `retry_after` or its own
    back-off. They may stand without any refusal.
    """

    def __init__(
        self,
        reason: str,
        indices: Sequence[int] = (),
        *,
        unnamed: int = 0,
        reasons: Mapping[int, str] | None = None,
        again: Sequence[int] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.indices = tuple(indices)
        self.unnamed = unnamed
        self.reasons = dict(reasons or {})
        self.again = tuple(again)
        self.retry_after = retry_after


class TooLarge(Exception):
    """The request was too large; nothing of it was taken."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Sender(AbstractAsyncContextManager["Sender"], Protocol):
    """One connection to a receiver. Entering may raise `Unavailable`."""

    async def send(self, payloads: Sequence[bytes]) -> None: ...


@runtime_checkable
class Unanswered(Protocol):
    """A Sender of a protocol without answers: what it calls taken is with the receiver's system, and may be lost with the receiver's program.

    The lane keeps the last `keep` octets that were sent on the connection. When it is over, it asks `doubtful_since` and sends the rest of that
    again, before anything else, on the next one. It also waits for `ended` while it has nothing to send.
    """

    keep: int

    def doubtful_since(self) -> float | None:
        """What was sent since then (seconds of the loop's clock) may not have been read; None: nothing is in doubt."""
        ...

    async def ended(self) -> None:
        """Returns when the other side has ended the connection."""
        ...


@runtime_checkable
class Findable(Protocol):
    """A Sender whose payloads can be looked for after a kill, as they stand in a file: before it writes those of a `send` it tells `about`,
    which was set for this send, where they will stand."""

    about: About | None


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one `send` is given at most: payloads, and octets of them together (one payload may be larger)."""

    payloads: int = 1000
    octets: int = 4 << 20


class Output(Protocol):
    """One output of the configuration. Beside what every output has, one may have

    - `reopen()`: HUP came; a file may have been renamed, and the next payloads go to one of its name.
    - `ready()`: raises `Unavailable` for what shows only when it is used, such as a certificate; a reload asks before it takes the configuration.
    """

    name: str
    limits: Limits

    def render(self, records: Sequence[Record], arrival: Arrival) -> Sequence[bytes]:
        """One payload for each record, in order. Pure; never raises."""
        ...

    def sender(self) -> Sender:
        """A new connection, not yet entered."""
        ...


class Prioritized(Output, Protocol):
    """An output whose payloads carry a syslog priority."""

    def render(self, records: Sequence[Record], arrival: Arrival, priorities: Sequence[int | None] | None = None) -> Sequence[bytes]:
        """`priorities`: what the mail server's settings say that each has, facility × 8 + severity; None: as the record has it."""
        ...
