"""Syslog from the network and from programs of this machine: UDP, TCP, TLS and Unix datagrams, RFC 3164 and RFC 5424.

Rooms: `address` says where to listen and binds; `datagrams` and `streams` read sockets into the one `inbox` of the input, as long as it has room;
`framer` cuts streams into messages; `tls` and `senders` say who may send. Here a batch is taken from the inbox, read into records, and handed on.

Syslog has no acknowledgement: what was read is ours; what the kernel holds, or the twin's thread, when the process is killed is lost. So
`receipt`s move no position, they only count; and a stop reads what has arrived before it ends.
"""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import time
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from ipaddress import ip_network
from typing import Any, Literal, Self

from loguru import logger
from pydantic import Field, field_validator, model_validator

from shipper.batch import Arrival, Batch, Receipt
from shipper.config.units import Duration, Size, Texts
from shipper.inputs.base import LINGER_RECORDS, Deliver, Places, Reading
from shipper.inputs.section import Common
from shipper.inputs.syslog.address import Address, bind, parse, remove_stale
from shipper.inputs.syslog.counts import Counts
from shipper.inputs.syslog.datagrams import Datagrams, Drained, unread
from shipper.inputs.syslog.inbox import Inbox, Taken
from shipper.inputs.syslog.senders import Senders
from shipper.inputs.syslog.streams import Connections, Limits, Listener
from shipper.inputs.syslog.tls import Certificates, Tls
from shipper.messages import Messages
from shipper.record import Record
from shipper.straight import apart

_LOOK_SECONDS = 1.0
"""How often connections are looked at for silence, and the kernel is asked for its drops."""


class Section(Common):
    """`type: syslog`. `host` is that of messages from a Unix socket: who sends over the network is another."""

    type: Literal["syslog"]
    listen: Texts = Field(
        ("udp://127.0.0.1:5514",), min_length=1, description="Where: udp://ADDRESS:PORT, tcp://…, tls://… or unix:///PATH, one or many."
    )
    tls: Tls | None = Field(None, description="Certificates, and who may connect; for tls:// addresses.")
    allow: Texts = Field((), description="Networks that may send, such as 192.0.2.0/24. Empty: everybody.")
    max_message: Size = Field(65536, ge=480, le=16 << 20, description="Octets of a message at most; a longer one is cut, and says so.")
    receive_buffer: Size = Field(4 << 20, ge=4096, le=1 << 30, description="Octets that the kernel may hold for each UDP socket.")
    max_connections: int = Field(1000, ge=1, description="Connections open at the same time at most.")
    max_connections_per_address: int = Field(100, ge=1, description="... and of one address.")
    idle_timeout: Duration = Field(86400.0, gt=0, description="A connection that is silent for so long is closed.")
    handshake_timeout: Duration = Field(10.0, gt=0, description="How long a TLS handshake may take.")
    socket_mode: str = Field("0660", pattern=r"^0?[0-7]{3}$", description="Permissions of a Unix socket, octal, in quotes.")
    colonless_tag: bool = Field(
        False, description="In `host word words…` without a colon the first word is the program, not a part of the message."
    )

    @field_validator("listen")
    @classmethod
    def _is_an_address(cls, listen: tuple[str, ...]) -> tuple[str, ...]:
        for text in listen:
            parse(text)
        return listen

    @field_validator("allow")
    @classmethod
    def _is_a_network(cls, allow: tuple[str, ...]) -> tuple[str, ...]:
        for text in allow:
            ip_network(text)
        return allow

    @model_validator(mode="after")
    def _has_its_certificates(self) -> Self:
        if (self.tls is None) == any(text.strip().startswith("tls:") for text in self.listen):
            raise ValueError("tls: and a tls:// address in listen belong together: one of them is missing")
        return self


class Syslog:
    """One input. `bind` may be called before `run`, with the rights that a port below 1024 needs; `close` after it."""

    def __init__(self, name: str, section: Section, reading: Reading) -> None:
        self.name = name
        self.counts = Counts()
        self._section = section
        self._addresses = [parse(text) for text in section.listen]
        log = reading.log()
        self._zone = log.clock.zone
        self._twin = reading.twin
        self._messages = Messages(log, raw=reading.raw, module=self._twin, profile=reading.profile, otlp=reading.otlp)
        self._sockets: dict[Address, socket.socket] = {}
        self._shared: set[Address] = set()
        self._handed_on: set[Address] = set()
        self._certificates: Certificates | None = None
        self._listening: list[Datagrams | Listener] = []
        # Who only holds connections open must not keep files from being read, and positions from being saved.
        most = max(2, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)
        self._connections = Connections(
            Limits(
                section.max_message,
                min(section.max_connections, most),
                min(section.max_connections_per_address, most // 2),
                section.idle_timeout,
                section.handshake_timeout,
            ),
            self._twin,
        )

    def bind(self, before: Syslog | None = None) -> None:
        """Opens the sockets. Those that `before` has open too (an input that is to be replaced by this one) are shared with it, so that nothing
        is lost that the kernel holds for them: `before` may run on until it is clear that this one will, and each closes its own.

        Raises Failure R507 (cannot listen there) or R509 (certificates); nothing is open then that was not before.
        """
        section = self._section
        if section.tls is not None:
            self._certificates = Certificates(section.tls)
        try:
            for address in self._addresses:
                if before is not None and address in before._sockets:
                    self._sockets[address] = before._sockets[address].dup()
                    self._shared.add(address)
                    before._handed_on.add(address)
                elif address not in self._sockets:
                    self._sockets[address] = bind(address, receive_buffer=section.receive_buffer, mode=int(section.socket_mode, 8))
        except BaseException:
            self.close()
            raise

    def give(self, user: int, group: int) -> None:
        """Gives Unix sockets to the user that root becomes, so that they can be removed in the end."""
        for address in self._sockets:
            if address.protocol == "unix":
                os.chown(address.host, user, group, follow_symlinks=False)

    def close(self) -> None:
        """Closes the sockets, and says how many datagrams are lost with them. Those of Unix go from the disk, where that is allowed and no other
        input has them too."""
        lost = sum(unread(sock) for address, sock in self._sockets.items() if self._listening and address not in self._handed_on)
        if lost:
            self.counts.lost += lost
            logger.warning("input '{}': {} messages are lost, they came while we stopped", self.name, lost)
        for address, sock in self._sockets.items():
            sock.close()
            if address.protocol == "unix":
                remove_stale(address.host)
        self._sockets = {}

    @property
    def addresses(self) -> list[str]:
        """Where it listens, while it runs, with the ports that the system gave."""
        return [str(each.address) for each in self._listening]

    async def run(self, deliver: Deliver, places: Places, stop: asyncio.Event) -> None:
        """See `Input.run`. Binds, if nobody did. The sockets stay open until `close`."""
        if not self._sockets:
            self.bind()
        inbox = Inbox() if self._twin is None else Inbox(2 * LINGER_RECORDS)
        self._open(inbox)
        background = [asyncio.create_task(self._look()), asyncio.create_task(_then(stop, inbox))]
        try:
            while not stop.is_set():
                await inbox.ready.wait()
                await self._deliver(inbox, deliver)
            for each in self._listening:
                each.stop()
            for datagrams in self._datagrams():
                datagrams.empty()
                datagrams.look(asyncio.get_running_loop().time())
            self._connections.empty()
            while await self._deliver(inbox, deliver):
                pass
        except asyncio.CancelledError:
            self._give_up(inbox)
            raise
        finally:
            for each in self._listening:
                each.stop()
            self._connections.stop()
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)

    def counters(self) -> dict[str, int]:
        """`Counts` by name, and `open`: the connections that are."""
        return {**{name: getattr(self.counts, name) for name in Counts.__slots__}, "open": len(self._connections.open)}

    def lag(self) -> list[dict[str, Any]]:
        """See `Input.lag`: one for each address."""
        return [each.lag() for each in self._listening]

    def _open(self, inbox: Inbox) -> None:
        senders = Senders([ip_network(text) for text in self._section.allow])
        self._listening = []
        for address, sock in self._sockets.items():
            if address.protocol in ("udp", "unix"):
                shared = address in self._shared
                kind = Datagrams if self._twin is None else partial(Drained, twin=self._twin)
                self._listening.append(kind(address, sock, inbox, self.counts, senders, self._section.max_message, shared=shared))
            else:
                certificates = self._certificates if address.protocol == "tls" else None
                self._listening.append(Listener(address, sock, inbox, self.counts, senders, self._connections, certificates))
        for each in self._listening:
            each.start()

    def _datagrams(self) -> list[Datagrams]:
        return [each for each in self._listening if isinstance(each, Datagrams)]

    async def _deliver(self, inbox: Inbox, deliver: Deliver) -> bool:
        """Hands over what the inbox gives, in batches; only the twin's thread reads meanwhile. Whether there was anything."""
        taken = inbox.take()
        some = bool(taken)
        while taken:
            now = time.time_ns()
            if not len((one := taken.popleft()).messages):
                continue  # nobody who may send
            records = self._read(one, now)
            try:
                await deliver(Batch(records, Arrival(self.name, now), Receipt(partial(self._settled, len(records)))))
            except asyncio.CancelledError:
                self.counts.lost += sum(len(each.messages) for each in taken)
                raise
        inbox.reopen()
        return some

    def _give_up(self, inbox: Inbox) -> None:
        """The end, before the outputs had room: what has arrived is read, to say how much is lost."""
        for each in self._listening:
            each.stop()
        for datagrams in self._datagrams():
            datagrams.empty()
            datagrams.look(asyncio.get_running_loop().time())
        self._connections.empty()
        while taken := inbox.take():
            self.counts.lost += sum(len(each.messages) for each in taken)
        if self.counts.lost:
            logger.warning("input '{}': {} messages are lost, no output had room for them before the end", self.name, self.counts.lost)

    def _read(self, taken: Taken, now: int) -> Sequence[Record]:
        received = datetime.fromtimestamp(now // 1_000_000_000, self._zone).date()
        records = self._messages.straight(
            taken.messages, received, taken.peers, taken.wrong, colonless_tag=self._section.colonless_tag, observed=now
        )  # fmt: skip
        counts = self.counts
        counts.received += len(records)
        counts.parsed += len(records)
        for record in apart(records):
            if record.error:
                counts.parsed -= 1
            if record.extra is not None and "pri_assumed" in record.extra:
                counts.assumed_pri += 1
        return records

    def _settled(self, records: int) -> None:
        self.counts.delivered += records

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        shortest = min(self._section.idle_timeout, self._section.handshake_timeout)
        while True:
            await asyncio.sleep(min(_LOOK_SECONDS, shortest / 4))
            self._connections.look(loop.time())
            for datagrams in self._datagrams():
                datagrams.look(loop.time())


async def _then(stop: asyncio.Event, inbox: Inbox) -> None:
    await stop.wait()
    inbox.ready.set()


def make(name: str, section: Section, reading: Reading) -> Syslog:
    """The input of a section."""
    return Syslog(name, section, reading)
