"""Syslog over TLS: who may connect, who may not and why, and certificates that are renewed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
import ssl
import struct
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from shipper.errors import Failure
from shipper.inputs.base import Reading
from shipper.inputs.syslog import Section, make
from shipper.inputs.syslog.tls import refusal
from tests.inputs.syslog.receiving import Authority, Receiver, connected, receiving, tcp

TLS = "tls://127.0.0.1:0"


@pytest.fixture
def said() -> Any:
    """The lines of our own log."""
    lines: list[str] = []
    sink = logger.add(lambda line: lines.append(str(line)), format="{message}")
    yield lines
    logger.remove(sink)


def settings(authority: Authority, clients: str, *permitted: str) -> dict[str, Any]:
    certificate, key = authority.issue("server", "127.0.0.1")
    found: dict[str, Any] = {"certificate": certificate, "key": key, "clients": clients}
    if clients != "anon":
        found["client_ca"] = authority.file
    if permitted:
        found["permitted"] = list(permitted)
    return found


def client(authority: Authority, certificate: tuple[str, str] | None = None, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authority.file)
    if certificate:
        context.load_cert_chain(*certificate)
    if version:
        context.minimum_version = context.maximum_version = version
    return context


async def sent(receiver: Receiver, context: ssl.SSLContext, text: bytes) -> str:
    """Sends a line. Gives the error that the sender got, as far as it got one."""
    try:
        async with connected(receiver.address(), ssl=context) as (reader, writer):
            writer.write(text)
            await writer.drain()
            writer.write_eof() if writer.can_write_eof() else None
            await asyncio.wait_for(reader.read(), 0.05)
    except TimeoutError:
        return ""
    except OSError as problem:
        return str(problem) or "closed"
    return "closed"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_anonymous_clients_where_that_is_said(authority: Authority, version: ssl.TLSVersion) -> None:
    """Both framings, many records, one connection; the sender of each is its address."""

    async def main() -> None:
        async with receiving(TLS, tls=settings(authority, "anon")) as receiver:
            lines = b"".join(b"<13>number %d\n" % number for number in range(20_000))
            await tcp(receiver.address(), lines, b"8 <13>last", ssl=client(authority, version=version))
            await receiver.wait(20_001)
        assert receiver.messages == [*(f"number {number}" for number in range(20_000)), "last"]

    asyncio.run(main())


def test_old_versions_and_plain_text_are_refused(authority: Authority, said: list[str]) -> None:
    """Not TLS at all: counted, said once, and no record."""

    async def main() -> None:
        async with receiving(TLS, tls=settings(authority, "anon")) as receiver:
            for _ in range(3):
                async with connected(receiver.address()) as (reader, writer):
                    writer.write(b"<13>plain text\n")
                    with contextlib.suppress(ConnectionError):
                        await reader.read()
            await receiver.until(lambda: receiver.input.counts.failed == 3)
        assert receiver.records == []
        assert len([line for line in said if "refused" in line]) == 1

    asyncio.run(main())


def test_a_handshake_that_never_comes_is_ended(authority: Authority) -> None:
    """Whoever connects and says nothing is closed after handshake_timeout; others shake hands meanwhile."""

    async def main() -> None:
        async with (
            receiving(TLS, tls=settings(authority, "anon"), handshake_timeout="300ms") as receiver,
            connected(receiver.address()) as (reader, _),
        ):
            await tcp(receiver.address(), b"<13>one\n", ssl=client(authority))
            await receiver.wait(1)
            assert await reader.read() == b""
            assert receiver.input.counts.failed == 1

    asyncio.run(main())


def test_a_valid_certificate_is_asked_for(authority: Authority, tmp_path: Path, said: list[str]) -> None:
    """One of the CA comes in; none, and one of another CA, do not, and our log says why."""
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other")

    async def main() -> None:
        async with receiving(TLS, tls=settings(authority, "certificate")) as receiver:
            await tcp(receiver.address(), b"<13>in\n", ssl=client(authority, authority.issue("mail", "mail.example.com")))
            await receiver.wait(1)
            assert await sent(receiver, client(authority), b"<13>none\n")
            stranger = client(authority, other.issue("mail", "mail.example.com"))
            assert await sent(receiver, stranger, b"<13>other\n")
            await receiver.until(lambda: receiver.input.counts.failed == 2)
        assert receiver.messages == ["in"]
        refusals = [line for line in said if "refused" in line]
        assert len(refusals) == 2
        assert "did not return a certificate" in refusals[0] and "certificate is not accepted" in refusals[1]

    asyncio.run(main())


def test_a_revoked_certificate_is_not_accepted(authority: Authority, said: list[str]) -> None:
    """One on the CA's list is refused, another comes in; a new list is taken with the next connection; one that is out of date lets nobody in."""
    one, two = authority.issue("one", "one.example.com"), authority.issue("two", "two.example.com")
    tls = {**settings(authority, "certificate"), "crl": authority.revoke(one[0])}

    async def main() -> None:
        async with receiving(TLS, tls=tls) as receiver:
            assert await sent(receiver, client(authority, one), b"<13>one\n")
            await tcp(receiver.address(), b"<13>two\n", ssl=client(authority, two))
            await receiver.wait(1)
            authority.revoke(two[0])
            assert await sent(receiver, client(authority, two), b"<13>two\n")
            await tcp(receiver.address(), b"<13>one\n", ssl=client(authority, one))
            await receiver.wait(2)
            authority.revoke(days=-0.5)
            assert await sent(receiver, client(authority, one), b"<13>one\n")
            await receiver.until(lambda: receiver.input.counts.failed == 3)
        assert receiver.messages == ["two", "one"]
        assert "its certificate is not accepted: certificate revoked" in "".join(said)
        assert "its certificate is not accepted: CRL has expired" in "".join(said)

    asyncio.run(main())


def test_a_revocation_list_needs_clients_and_a_list(authority: Authority) -> None:
    """It is for clients' certificates; a file without a list is a failure at the start."""
    with pytest.raises(ValueError, match="clients: anon asks for none"):
        Section(type="syslog", listen=(TLS,), tls={**settings(authority, "anon"), "crl": authority.file})
    wrong = Section(type="syslog", listen=(TLS,), tls={**settings(authority, "certificate"), "crl": authority.file})
    with pytest.raises(Failure, match="no revocation list in"):
        make("net", wrong, Reading()).bind()


def test_only_permitted_names_and_fingerprints(authority: Authority, said: list[str]) -> None:
    """By dNSName, iPAddress or SHA-256; never by common name."""
    finger = authority.issue("finger", "whatever.example.org")
    digest = sha256(
        ssl.PEM_cert_to_DER_cert(Path(finger[0]).read_text().split("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----\n")
    ).hexdigest()
    colons = ":".join(digest[at : at + 2] for at in range(0, 64, 2)).upper()

    async def main() -> None:
        async with receiving(TLS, tls=settings(authority, "permitted", "*.example.com", "192.0.2.7", f"SHA256:{colons}")) as receiver:
            good = [authority.issue("a", "mail.example.com"), authority.issue("b", "192.0.2.7"), finger]
            bad = [authority.issue("c", "a.mail.example.com"), authority.issue("d", "example.org", common_name="mail.example.com")]
            for certificate in good:
                await tcp(receiver.address(), b"<13>in\n", ssl=client(authority, certificate))
            await receiver.wait(3)
            for certificate in bad:
                assert await sent(receiver, client(authority, certificate), b"<13>out\n")
            await receiver.until(lambda: receiver.input.counts.failed == 2)
        assert receiver.messages == ["in"] * 3
        assert ["a.mail.example.com" in line or "example.org" in line for line in said if "not permitted" in line] == [True, True]

    asyncio.run(main())


@pytest.mark.parametrize(
    ("permitted", "presented", "good"),
    [
        ("mail.example.com", "mail.example.com", True),
        ("mail.example.com", "MAIL.example.com.", True),
        ("*.example.com", "mail.example.com", True),
        ("mail.example.com", "*.example.com", True),
        ("*.example.com", "*.example.com", True),
        ("*.example.com", "example.com", False),
        ("*.example.com", "mail.example.org", False),
        ("*.example.com", "mail.invalid.com", False),
        ("mail.example.com", "mail.example.org", False),
        ("*.example.com", "a.b.example.com", False),
        ("a.b.example.com", "*.example.com", False),
        ("mail.example.com", "m*.example.com", False),
        ("mail.example.com", "mail.*.com", False),
        ("example.com", "*.com", False),
        ("mail.example.com", "*", False),
        ("192.0.2.7", "192.0.2.7", True),
        ("2001:db8::1", "2001:DB8:0:0:0:0:0:1", True),
        ("192.0.2.7", "*.0.2.7", False),
    ],
)
def test_names_are_the_same_or_not(permitted: str, presented: str, good: bool) -> None:
    """A wildcard is one whole label, the left-most; an address is only itself."""
    assert (refusal([permitted], "0" * 64, [presented]) == "") == good


def test_a_renewed_certificate_is_taken_without_a_drop(authority: Authority, said: list[str]) -> None:
    """A new connection sees the new certificate, an open one goes on; half-written files change nothing."""

    async def serial(receiver: Receiver) -> int:
        async with connected(receiver.address(), ssl=client(authority)) as (_, writer):
            return int(writer.get_extra_info("peercert")["serialNumber"], 16)

    async def main() -> None:
        section = settings(authority, "anon")
        async with (
            receiving(TLS, tls=section) as receiver,
            connected(receiver.address(), ssl=client(authority)) as (_, open_before),
        ):
            first = await serial(receiver)
            assert first == await serial(receiver)
            Path(section["key"]).write_text("half a k")
            assert first == await serial(receiver)
            authority.issue("server", "127.0.0.1")
            second = await serial(receiver)
            assert second != first
            os.unlink(section["certificate"])
            assert second == await serial(receiver)
            open_before.write(b"<13>still here\n")
            await receiver.wait(1)
        assert [line.split(": ")[1].strip() for line in said if "certificates read again" in line or "not taken" in line] == [
            "changed, and not taken", "certificates read again", "changed, and not taken",
        ]  # fmt: skip

    asyncio.run(main())


@pytest.mark.parametrize("protocol", ["tcp", "tls"])
def test_junk_and_resets_do_no_harm(protocol: str, authority: Authority) -> None:
    """Hundreds of connections with random octets, ended in order or reset, before, in and after the handshake: the next line is received."""
    chance = random.Random(7)

    async def main() -> None:
        tls = settings(authority, "anon") if protocol == "tls" else None
        async with receiving(f"{protocol}://127.0.0.1:0", tls=tls, max_connections_per_address=1000) as receiver:
            context = client(authority) if tls else None
            for number in range(300):
                with socket.create_connection(receiver.address()) as junk:
                    if number % 2:
                        junk.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    with contextlib.suppress(OSError):
                        junk.sendall(chance.choice([b"", b"\x16\x03\x01", b"<13>"]) + chance.randbytes(chance.randrange(200)))
                if number % 10 == 0:
                    await asyncio.sleep(0)
            for _ in range(20):
                _, writer = await asyncio.open_connection(*receiver.address(), ssl=context)
                writer.write(b"<13>whole\n<13>ha")
                await writer.drain()
                writer.transport.abort()
            await tcp(receiver.address(), b"<13>good\n", ssl=context)
            await receiver.until(lambda: "good" in receiver.messages)
            await receiver.until(lambda: receiver.input.counters()["open"] == 0)

    asyncio.run(main())


def test_backpressure_reaches_a_tls_sender(authority: Authority) -> None:
    """While deliver waits, the sender is slowed down, memory stays, and nothing is lost after it."""

    async def main() -> None:
        async with receiving(TLS, tls=settings(authority, "anon")) as receiver:
            receiver.gate.clear()
            async with connected(receiver.address(), ssl=client(authority)) as (_, writer):
                total = 0
                with contextlib.suppress(TimeoutError):
                    while True:
                        writer.write(b"".join(b"<13>%07d %s\n" % (total + number, b"x" * 1000) for number in range(100)))
                        total += 100
                        await asyncio.wait_for(writer.drain(), 0.5)
                assert receiver.input.counts.received <= 1000
                receiver.gate.set()
                await receiver.wait(total)
            assert [message[:7] for message in receiver.messages] == [f"{number:07d}" for number in range(total)]

    asyncio.run(main())


def test_certificates_that_cannot_be_used_are_a_failure_at_the_start(authority: Authority, tmp_path: Path) -> None:
    """Which file it is, and no traceback."""
    section = settings(authority, "anon")
    for change in (
        {"key": authority.issue("other", "x.example.com")[1]},
        {"certificate": str(tmp_path / "none.pem")},
        {"key": authority.file},
    ):
        with pytest.raises(Failure, match=r"\.(crt|pem|key): ") as failure:
            make("net", Section.model_validate({"type": "syslog", "listen": [TLS], "tls": {**section, **change}}), Reading()).bind()
        assert failure.value.number == "R509"
