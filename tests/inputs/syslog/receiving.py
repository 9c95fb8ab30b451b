"""An input of syslog that runs on real sockets, and what it has handed over."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from shipper import compiled
from shipper.batch import Batch
from shipper.inputs.base import Reading
from shipper.inputs.syslog import Section, Syslog, make
from shipper.record import Record


class NoPlaces:
    """Syslog has no place to remember."""

    def load(self) -> dict[str, Any]:
        raise AssertionError("asked for places")

    def save(self, places: dict[str, Any]) -> None:
        raise AssertionError(f"saved {places}")


class Receiver:
    """Takes batches. While `closed`, it takes none, and `deliver` waits."""

    def __init__(self, input: Syslog) -> None:
        self.input = input
        self.batches: list[Batch] = []
        self.stop = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self._arrived = asyncio.Condition()

    @property
    def records(self) -> list[Record]:
        return [record for batch in self.batches for record in batch.records]

    @property
    def messages(self) -> list[str]:
        return [str(getattr(record, "message", record.kind)) for record in self.records]

    def address(self, index: int = 0) -> tuple[str, int]:
        """(host, port) of the input's listening sockets, as they stand in the section."""
        host, _, port = self.input.addresses[index].partition("://")[2].rpartition(":")
        return host.strip("[]"), int(port)

    async def deliver(self, batch: Batch) -> None:
        await self.gate.wait()
        self.batches.append(batch)
        batch.receipt.settle()
        async with self._arrived:
            self._arrived.notify_all()

    async def wait(self, count: int) -> list[Record]:
        """The records, as soon as there are so many."""
        async with asyncio.timeout(20), self._arrived:
            await self._arrived.wait_for(lambda: len(self.records) >= count)
        return self.records

    async def until(self, true: Callable[[], bool]) -> None:
        """For what no record tells."""
        async with asyncio.timeout(20):
            while not true():
                await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def receiving(*listen: str, zone: str = "UTC", host: str = "", raw: Any = "errors", **settings: Any) -> AsyncIterator[Receiver]:
    """An input with these settings, from its start to its end."""
    section = Section.model_validate({"type": "syslog", "listen": list(listen or ("udp://127.0.0.1:0",)), **settings})
    input = make("net", section, Reading(ZoneInfo(zone), host, raw, twin=compiled.find().module))
    input.bind()
    receiver = Receiver(input)
    unexpected: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unexpected.append(context))
    running = asyncio.create_task(input.run(receiver.deliver, NoPlaces(), receiver.stop))
    try:
        await receiver.until(lambda: bool(input.addresses) or running.done())
        yield receiver
        receiver.stop.set()
        async with asyncio.timeout(20):
            await running
        assert not unexpected
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        input.close()


def udp(address: tuple[str, int], *datagrams: bytes) -> None:
    """Sends datagrams; loopback loses none as long as the buffer has room."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        for datagram in datagrams:
            sender.sendto(datagram, address)


@contextlib.asynccontextmanager
async def connected(address: tuple[str, int], **settings: Any) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection, closed in the end."""
    reader, writer = await asyncio.open_connection(*address, **settings)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def tcp(address: tuple[str, int], *pieces: bytes, **settings: Any) -> None:
    """Sends these pieces over one connection, and closes it."""
    async with connected(address, **settings) as (_, writer):
        for piece in pieces:
            writer.write(piece)
            await writer.drain()


class Authority:
    """A CA, and certificates of it as files."""

    def __init__(self, directory: Path) -> None:
        self.ca = trustme.CA()
        self.directory = directory
        self.file = str(directory / "ca.pem")
        self.ca.cert_pem.write_to_path(self.file)

    def revoke(self, *certificates: str, days: float = 1) -> str:
        """A list of the CA with these certificates (files), good for so many days, in a file that is replaced at once."""
        now = datetime.now(UTC)
        last = now + timedelta(days=days)
        issuer = x509.load_pem_x509_certificate(self.ca.cert_pem.bytes()).subject
        made = x509.CertificateRevocationListBuilder(issuer, min(now, last) - timedelta(days=1), last)
        for path in certificates:
            number = x509.load_pem_x509_certificate(Path(path).read_bytes()).serial_number
            made = made.add_revoked_certificate(x509.RevokedCertificateBuilder(number, now).build())
        key = load_pem_private_key(self.ca.private_key_pem.bytes(), None)
        assert isinstance(key, EllipticCurvePrivateKey)
        path_ = self.directory / "crl.pem"
        path_.with_suffix(".new").write_bytes(made.sign(key, SHA256()).public_bytes(Encoding.PEM))
        os.replace(path_.with_suffix(".new"), path_)
        return str(path_)

    def issue(self, name: str, *identities: str, common_name: str | None = None) -> tuple[str, str]:
        """(certificate, key) for these names, in files of this name, each of which is replaced at once."""
        certificate = self.ca.issue_cert(*identities, common_name=common_name)
        paths = []
        for kind, pem in (
            ("crt", b"".join(blob.bytes() for blob in certificate.cert_chain_pems)),
            ("key", certificate.private_key_pem.bytes()),
        ):
            path = self.directory / f"{name}.{kind}"
            path.with_suffix(".new").write_bytes(pem)
            os.replace(path.with_suffix(".new"), path)
            paths.append(str(path))
        return paths[0], paths[1]
