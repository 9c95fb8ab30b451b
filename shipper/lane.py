"""One output's lane: renders, buffers, and sends to one receiver, in order, until it has taken everything.

    put ─▶ render ─▶ Buffer ─▶ take ─▶ send ─┬─ taken ───────────▶ done
                                ▲            ├─ Unavailable ──▶ wait, the same payloads again
                                └────────────┼─ TooLarge ─────▶ half as many; more again with every success
                                             └─ Refused ──────▶ dead letters, fsynced; the rest is done

Of a receiver that answers nothing (`Unanswered`) the last payloads are kept: when its connection breaks, what it may not have read is sent
again first. If that cannot be before we end, it goes to the dead letters.

One send at a time, so that the order holds. Whatever else goes wrong (a bug, a send that hangs) is `Unavailable`. Nothing is given up for
having waited too long. The books: `found + records_in = delivered + set aside + dropped + waiting`, after every step.
"""

from __future__ import annotations

import asyncio
import math
import time
import traceback
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from loguru import logger

from shipper.batch import Arrival, Receipt
from shipper.buffer import Buffer, Left, Taken
from shipper.deadletter import DeadLetters, Letter
from shipper.lines import size
from shipper.outputs.base import Findable, Limits, Output, Prioritized, Refused, Sender, TooLarge, Unanswered, Unavailable
from shipper.recent import Recent
from shipper.record import Record
from shipper.redact import Redaction
from shipper.retry import Backoff

State = Literal["idle", "connected", "waiting", "misconfigured"]

SEND_SECONDS = 30.0
_CLOSE_SECONDS = 2.0
_REASONS = 50
DAMAGED = "damaged in the spool"
TOO_LARGE = "too large by itself"
UNREAD = "sent, and perhaps not read when the receiver broke the connection"


@dataclass(slots=True)
class Counts:
    """Since the start of this process; `found` waited in the spool from before. `set_aside` is by reason, beyond fifty `other`. `resent`: those
    of the delivered that were sent a second time, as the receiver may not have read them."""

    found: int = 0
    records_in: int = 0
    octets_in: int = 0
    delivered: int = 0
    octets_delivered: int = 0
    set_aside: dict[str, int] = field(default_factory=dict)
    sends: int = 0
    retries: int = 0
    connects: int = 0
    resent: int = 0


class _Aside:
    """Letters on their way to the dead letters; when they are there, these indices of the taken payloads are settled."""

    def __init__(self, letters: list[Letter], indices: set[int], delivered: list[int], counted: dict[str, int]) -> None:
        self.letters = letters
        self.indices = indices
        self.delivered = delivered
        self.counted = counted
        self.writing: asyncio.Future[None] | None = None


class Lane:
    """The lane of one output. `redact`: what takes personal data out of the records first; `send_seconds`: after that a send or a connect counts
    as hung; `now`: nanoseconds since 1970."""

    def __init__(
        self,
        output: Output,
        buffer: Buffer,
        dead_letters: DeadLetters,
        *,
        backoff: Backoff | None = None,
        redact: Redaction | None = None,
        send_seconds: float = SEND_SECONDS,
        now: Callable[[], int] = time.time_ns,
    ) -> None:
        self.name = output.name
        self.counts = Counts(found=buffer.waiting)
        self.state: State = "idle"
        self.last_error = ""
        self._output = output
        self._buffer = buffer
        self._dead_letters = dead_letters
        self._backoff = backoff or Backoff()
        self._redact = redact
        self._send_seconds = send_seconds
        self._now = now
        self._limits = output.limits
        self._too_large: Limits | None = None
        self._taken: Sequence[bytes] = ()
        self._open: Sequence[int] = ()
        self._done = 0
        self._aside: _Aside | None = None
        self._sender: Sender | None = None
        self._connection: Sender | None = None
        self._unanswered: Unanswered | None = None
        self._recent = Recent(0)
        self._connecting = True
        self._not_before = 0.0
        self._asked_before = 0.0
        self._given_up = 0
        self._halted = False
        self._deadline = math.inf
        self._patient = True
        self._cut: asyncio.Timeout | None = None
        self._pausing: asyncio.Future[None] | None = None
        self._running = asyncio.Lock()

    # What is seen from outside

    @property
    def waiting(self) -> int:
        """Records that were put and are neither delivered nor set aside."""
        return self._buffer.waiting - (len(self._taken) - len(self._open) - self._done) - self._given_up

    @property
    def dropped(self) -> int:
        """Records that found no room, where the configuration says `drop`."""
        return self._buffer.dropped + self._given_up

    @property
    def set_aside(self) -> dict[str, int]:
        """By reason: what was refused, and what was damaged in the spool."""
        return {**self.counts.set_aside, **({DAMAGED: self._buffer.lost} if self._buffer.lost else {})}

    @property
    def balanced(self) -> bool:
        """Whether the books agree. If not, it is an error of ours."""
        counts = self.counts
        return counts.found + counts.records_in == counts.delivered + sum(self.set_aside.values()) + self.dropped + self.waiting

    def status(self) -> dict[str, Any]:
        """Everything that is counted, and how it stands with the receiver."""
        counts = self.counts
        return {
            "state": self.state,
            "last_error": self.last_error,
            "spool": self._buffer.trouble,
            "found": counts.found,
            "records_in": counts.records_in,
            "octets_in": counts.octets_in,
            "delivered": counts.delivered,
            "octets_delivered": counts.octets_delivered,
            "set_aside": self.set_aside,
            "dropped": self.dropped,
            "waiting": self.waiting,
            "sends": counts.sends,
            "retries": counts.retries,
            "connects": counts.connects,
            "resent": counts.resent,
        }

    # In

    async def put(
        self, records: Sequence[Record], arrival: Arrival, receipt: Receipt, priorities: Sequence[int | None] | None = None
    ) -> None:
        """Renders and buffers them, and takes over one branch of the receipt. Waits while there is no room, unless the buffer drops. `priorities`:
        of a syslog output, the priority of each record; None: as the record has it."""
        if self._redact is not None:
            records = self._redact(records)
        if priorities is None:
            payloads = self._output.render(records, arrival)
        else:
            payloads = cast(Prioritized, self._output).render(records, arrival, priorities)
        await self.put_payloads(payloads, arrival.observed, receipt)

    async def put_payloads(self, payloads: Sequence[bytes], observed: int, receipt: Receipt) -> None:
        """The same for what is rendered already, as in a replay."""
        await self._buffer.put(payloads, receipt, observed)
        self.counts.records_in += len(payloads)
        self.counts.octets_in += size(payloads)

    def lose(self, records: int) -> None:
        """So many will never come, as whoever had them waits no longer; they count as dropped."""
        self.counts.records_in += records
        self._buffer.dropped += records

    def left(self) -> list[Left]:
        """After `drain`: what was put, and neither delivered nor kept on the disk."""
        return self._buffer.left()

    def take_over(self, left: Sequence[Left]) -> None:
        """What another lane of this output has left is the first that this one has; it counts as found."""
        self._buffer.adopt(left)
        self.counts.found += sum(len(each.payloads) for each in left)

    def gives_up(self, left: Sequence[Left]) -> None:
        """After `drain`: these will not be delivered by anyone. They are settled, and count as dropped."""
        for each in left:
            self._given_up += len(each.payloads)
            each.receipt.settle()

    def alike(self, other: Lane) -> bool:
        """Whether one can send what is rendered for the other."""
        return type(self._output) is type(other._output)

    # Out

    async def run(self, stop: asyncio.Event) -> None:
        """Sends until `stop` is set. A send that is under way then may still end; `drain` is to follow."""
        async with self._running:
            stopping = asyncio.ensure_future(stop.wait())
            stopping.add_done_callback(lambda _: self._halt())
            try:
                while not self._halted and await self._step():
                    pass
            except BaseException:
                await self._disconnect()
                raise
            finally:
                stopping.cancel()

    async def drain(self, seconds: float, *, patient: bool = True) -> None:
        """The last act, once the inputs have ended: sends what it can in this time, also cutting short what `run` has under way; not `patient`: only
        as long as the receiver takes it. What is left stays in the spool, or unsettled. Then closes connection and buffer."""
        loop = asyncio.get_running_loop()
        self._deadline = loop.time() + seconds
        self._patient = patient
        self._not_before = self._asked_before
        self._halt()
        if self._cut is not None and not self._cut.expired() and (when := self._cut.when()) is not None:
            self._cut.reschedule(min(when, self._deadline))
        try:
            async with asyncio.timeout_at(self._deadline), self._running:
                while await self._step():
                    pass
                while self._doubt():  # what is sent again can be in doubt again
                    await self._disconnect()
                    while await self._step():
                        pass
        except TimeoutError:
            pass
        try:
            async with asyncio.timeout(2 * _CLOSE_SECONDS):
                async with self._running:  # what `run` had under way is cut, and over in a moment
                    await self._disconnect()
                    await self._leave()
                await self._buffer.close()
        except TimeoutError:
            logger.warning("output '{}': the disk does not answer, what waits in the spool may be sent twice", self.name)
        self.state = "idle"

    def _halt(self) -> None:
        self._halted = True
        self._buffer.wake()
        if self._pausing and not self._pausing.done():
            self._pausing.set_result(None)

    async def _step(self) -> bool:
        """One wait, one connect or one send; False when it is stopped and there is nothing more to do."""
        if self._halted and not self._buffer.waiting and not self._recent.again:
            return False
        loop = asyncio.get_running_loop()
        if self._not_before:
            if self._not_before >= self._deadline:
                return False
            self._pausing = loop.create_future()
            await asyncio.wait([self._pausing], timeout=max(0.0, self._not_before - loop.time()))
            if not self._pausing.done():
                self._not_before = 0.0
        elif self._aside is not None:
            await self._set_aside(self._aside)
        elif self._connection is None:
            await self._connect()
        elif self._recent.again:
            await self._send_again(self._connection)
        else:
            if not self._open:
                taken = await self._take()
                if taken is None:
                    return bool(self._recent.again)
                self._taken = taken.payloads
                self._open = range(len(taken.payloads))
                self._done = 0
            await self._send(self._connection)
        return True

    async def _connect(self) -> None:
        sender = self._output.sender()
        try:
            async with asyncio.timeout(self._send_seconds) as self._cut:
                self._connection = await sender.__aenter__()
            self._sender = sender
            self._watch(self._connection)
            self.counts.connects += 1
            if self._connecting:
                self._is_connected()
        except Exception as error:
            self._connecting = True
            self._failed(_unavailable(error, self._send_seconds))
        finally:
            self._cut = None

    def _watch(self, connection: Sender) -> None:
        """Of a receiver without answers: keeps what is sent, from now on."""
        if isinstance(connection, Unanswered):
            self._unanswered = connection
            again, self._recent = self._recent.again, Recent(connection.keep)
            self._recent.again = again

    async def _take(self) -> Taken | None:
        """What waits first. None when there is nothing more, or the connection has ended and there is something to be sent again."""
        unanswered = self._unanswered
        if unanswered is None or self._buffer.waiting:
            return await self._buffer.take(self._limits)
        taking = asyncio.ensure_future(self._buffer.take(self._limits))
        ending = asyncio.ensure_future(unanswered.ended())
        try:
            await asyncio.wait([taking, ending], return_when=asyncio.FIRST_COMPLETED)
            while not taking.done():
                if self._doubt():
                    self._failed(Unavailable(UNREAD))
                    await self._disconnect()
                    return None
                await asyncio.wait([taking])
            return taking.result()
        finally:
            taking.cancel()
            ending.cancel()
            await asyncio.wait([taking, ending])

    def _doubt(self) -> int:
        """Of what was sent on the connection that is at its end: what is to be sent again, as it may not have been read."""
        if self._unanswered is None:
            return 0
        doubtful = self._recent.ended(self._unanswered.doubtful_since())
        self._unanswered = None
        return doubtful

    async def _send_again(self, connection: Sender) -> None:
        """Sends the first of what is in doubt."""
        sent = self._recent.again[0]
        answer = await self._sent(connection, sent.payloads)
        if answer != "away":
            self._recent.again.popleft()
        if answer == "taken":
            self._recent.add(sent.payloads, asyncio.get_running_loop().time(), sent.times + 1)
            self.counts.resent += len(sent.payloads)

    async def _sent(self, connection: Sender, payloads: Sequence[bytes]) -> Literal["taken", "away"] | Refused | TooLarge:
        """One send, and what the receiver said. `away`: it said nothing, or nothing that was expected; the connection is given up then."""
        self.counts.sends += 1
        try:
            async with asyncio.timeout(self._send_seconds) as self._cut:
                await connection.send(payloads)
        except (Refused, TooLarge) as said:
            return said
        except Exception as error:
            self._connecting = False
            self._failed(_unavailable(error, self._send_seconds))
            await self._disconnect()
            return "away"
        finally:
            self._cut = None
        self._backoff.succeeded()
        self._is_connected()
        return "taken"

    async def _leave(self) -> None:
        """At the end: what could not be sent again becomes letters, for a replay. It counts as delivered no more."""
        left = [payload for sent in self._recent.again for payload in sent.payloads]
        self._recent.again.clear()
        if not left:
            return
        now = self._now()
        letters = [Letter(payload, self.name, UNREAD, now) for payload in left]
        try:
            await asyncio.get_running_loop().run_in_executor(None, self._dead_letters.add, letters)
        except OSError as error:
            logger.warning(
                "output '{}': {} payloads may be lost, the dead letters cannot be written: {}", self.name, len(left), error.strerror
            )
            return
        self.counts.delivered -= len(left)
        self.counts.octets_delivered -= sum(map(len, left))
        self._count_aside(UNREAD, len(left))

    async def _disconnect(self) -> None:
        self._doubt()
        sender, self._sender, self._connection = self._sender, None, None
        if sender is not None:
            try:
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await sender.__aexit__(None, None, None)
            except Exception:
                pass  # it is left behind anyway

    async def _send(self, connection: Sender) -> None:
        """Sends what the limits allow of what is open, and does what the answer says."""
        chunk = self._chunk()
        payloads = self._payloads(chunk)
        if isinstance(connection, Findable):
            connection.about = self._buffer.about(len(chunk)) if chunk[-1] == self._done + len(chunk) - 1 else None
        answer = await self._sent(connection, payloads)
        if isinstance(answer, Refused):
            self._refused(answer, chunk)
        elif isinstance(answer, TooLarge):
            if len(chunk) == 1:
                self._refused(Refused(answer.reason or TOO_LARGE, (0,)), chunk)
                self._too_large = None  # perhaps it was this one all the time
            else:
                self._too_large = Limits(len(chunk), size(payloads))
                self._limits = Limits(len(chunk) // 2, max(1, self._too_large.octets // 2))
        elif answer == "taken":
            self._grow()
            self._delivered(chunk)
            self._settle(chunk)
            if self._unanswered is not None:
                self._recent.add(payloads, asyncio.get_running_loop().time())

    def _payloads(self, indices: Sequence[int]) -> Sequence[bytes]:
        return self._taken if len(indices) == len(self._taken) else [self._taken[index] for index in indices]

    def _chunk(self) -> Sequence[int]:
        """The first open indices, as many as one send may have."""
        if len(self._open) <= self._limits.payloads and size(self._payloads(self._open)) <= self._limits.octets:
            return self._open
        octets = 0
        for place, index in enumerate(self._open[: self._limits.payloads]):
            octets += len(self._taken[index])
            if place and octets > self._limits.octets:
                return self._open[:place]
        return self._open[: self._limits.payloads]

    def _grow(self) -> None:
        """Back towards the output's own limits: twice as many each time, up to what was too large the last time; from there so slowly that a
        send in fifty finds out whether more is taken by now."""
        if self._limits != (most := self._output.limits):
            payloads, octets = self._limits.payloads, self._limits.octets
            wall = self._too_large
            if wall is None or (2 * payloads < wall.payloads and 2 * octets < wall.octets):
                more = Limits(2 * payloads, 2 * octets)
            else:
                more = Limits(payloads + payloads // 64 + 1, octets + octets // 64 + 1)
            self._limits = Limits(min(most.payloads, more.payloads), min(most.octets, more.octets))

    def _refused(self, refused: Refused, chunk: Sequence[int]) -> None:
        """Some of this chunk will never be taken, or not now; the others are."""
        size = len(chunk)
        never = {place for place in refused.indices if 0 <= place < size}
        again = {place for place in refused.again if 0 <= place < size} - never
        if len(again) == size:
            self._failed(Unavailable(refused.reason, retry_after=refused.retry_after))
            return
        self._backoff.succeeded()
        self._is_connected()
        taken = [chunk[place] for place in range(size) if place not in never and place not in again]
        unnamed = min(refused.unnamed, len(taken))
        self.last_error = refused.reason
        reasons = {chunk[place]: refused.reasons.get(place, refused.reason) for place in sorted(never)}
        counted: dict[str, int] = {}
        for reason in reasons.values():
            counted[reason] = counted.get(reason, 0) + 1
        if unnamed:
            counted[refused.reason] = counted.get(refused.reason, 0) + unnamed
            reasons.update(dict.fromkeys(taken, f"{refused.reason} ({unnamed} of these {len(taken)}, the receiver does not say which)"))
        else:
            self._delivered(taken)
            self._settle(taken)
        if reasons:
            now = self._now()
            letters = [Letter(self._taken[index], self.name, reasons[index], now) for index in sorted(reasons)]
            self._aside = _Aside(letters, set(reasons), taken[unnamed:] if unnamed else [], counted)
        if again:
            self._wait(refused.retry_after)

    async def _set_aside(self, aside: _Aside) -> None:
        """Writes the letters, in a thread; a write that was begun is waited for, and not begun again."""
        if aside.writing is None:
            aside.writing = asyncio.get_running_loop().run_in_executor(None, self._dead_letters.add, aside.letters)
        try:
            await asyncio.shield(aside.writing)
        except OSError as error:
            aside.writing = None
            self._failed(Unavailable(f"the dead letters cannot be written: {(error.strerror or str(error)).lower()}"))
            return
        self._aside = None
        for reason, count in aside.counted.items():
            self._count_aside(reason, count)
        self._delivered(aside.delivered)
        self._settle(aside.indices)

    def _count_aside(self, reason: str, count: int) -> None:
        known = self.counts.set_aside
        if reason not in known:
            if len(known) >= _REASONS:
                reason = "other"
            if reason not in known:
                logger.warning("output '{}': payloads are refused for a reason that is new; see the dead letters", self.name)
        known[reason] = known.get(reason, 0) + count

    def _delivered(self, indices: Sequence[int]) -> None:
        self.counts.delivered += len(indices)
        self.counts.octets_delivered += size(self._payloads(indices))

    def _settle(self, indices: Collection[int]) -> None:
        """These are safe. The buffer is told of what is so from the front on; what comes behind an open one waits for that."""
        if len(indices) == len(self._open):  # they are all of these
            self._open = ()
        else:
            gone = set(indices)
            self._open = [index for index in self._open if index not in gone]
        front = self._open[0] if self._open else len(self._taken)
        if front > self._done:
            step, self._done = front - self._done, front
            self._buffer.done(step)
        if not self._open:
            self._taken, self._done = (), 0  # not kept in memory until there is something else

    def _failed(self, error: Unavailable) -> None:
        self.last_error = error.reason
        state: State = "misconfigured" if error.misconfigured else "waiting"
        if state != self.state:
            self.state = state
            logger.warning("output '{}': {}: {}", self.name, state, error.reason)
        self._wait(error.retry_after, rarely=error.misconfigured)
        if not self._patient:
            self._deadline = 0.0

    def _wait(self, retry_after: float | None, *, rarely: bool = False) -> None:
        self.counts.retries += 1
        wait = self._backoff.failed(retry_after, rarely=rarely)
        self._not_before = asyncio.get_running_loop().time() + wait
        self._asked_before = self._not_before if retry_after else 0.0

    def _is_connected(self) -> None:
        if self.state != "connected":
            self.state = "connected"
            logger.info("output '{}': connected", self.name)


def _unavailable(error: Exception, seconds: float) -> Unavailable:
    """What any failure is to a lane. The text of an exception that nobody expected may have anything in it, so that only its kind and place are
    told."""
    if isinstance(error, Unavailable):
        return error
    if isinstance(error, TimeoutError):
        return Unavailable(f"no answer within {seconds:g} s")
    place = traceback.extract_tb(error.__traceback__)[-1]
    return Unavailable(f"error in the sender: {type(error).__name__} in {place.name}, line {place.lineno}")
