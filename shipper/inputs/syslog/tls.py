"""TLS for syslog over TCP (RFC 5425): our certificate, and who may connect.

- TLS 1.2 and 1.3; no session tickets, so that every connection shows its certificate.
- `clients` must be said: `anon` takes anybody (the line is encrypted, the sender is not known), `certificate` whoever has a certificate of
  `client_ca`, `permitted` of those only the ones in the list `permitted`.
- A peer is permitted by its certificate's SHA-256 fingerprint, or by a name in its subjectAltName: dNSName or iPAddress. The common name is no
  name. `*` stands for one whole label, the left-most, and only before two others.
- `crl`: a client's certificate that is on its issuer's list is not accepted; nor is any, while that list is missing or out of date.
- Certificates that were renewed on disk are taken for the next connection. While they do not fit each other (one is written, the other not
  yet) the old ones serve on.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Iterator, Sequence
from hashlib import sha256
from ipaddress import ip_address
from typing import Any, Literal, Self

from loguru import logger
from pydantic import Field, field_validator, model_validator

from shipper.certificates import Named, wrong
from shipper.config.units import Part, Texts
from shipper.errors import Failure

_FINGERPRINT = re.compile(r"(?:sha-?256:)?((?:[0-9a-f]{2}:?){31}[0-9a-f]{2})", re.IGNORECASE)
_NAME = re.compile(r"(?:\*\.)?(?:[\w-]+\.)*[\w-]+", re.ASCII)


class Tls(Part):
    """The `tls:` part of a syslog input."""

    certificate: str = Field(description="PEM file with the server's certificate, and those between it and its CA.")
    key: str = Field(description="PEM file with its key, without a passphrase.")
    clients: Literal["anon", "certificate", "permitted"] = Field(
        description="Who may connect: anybody, who has a certificate of `client_ca`, or of those who is in `permitted`."
    )
    client_ca: str = Field("", description="PEM file with the CA certificates of clients, or with self-signed ones.")
    crl: str = Field(
        "", description="PEM file with the revocation lists of the CAs that issue clients' certificates; empty: none is asked."
    )
    permitted: Texts = Field(
        (), description="Permitted clients: DNS name (*.example.com is one label more), IP address, or SHA256: and a fingerprint."
    )

    def doubts(self) -> Iterator[tuple[str, str]]:
        """(option, what `check` says of it) of settings that work, but hardly as they are meant."""
        if self.clients == "anon":
            yield "clients", "anybody may send: with `clients: anon` nobody knows who does"

    def on_disk(self) -> Iterator[tuple[str, str]]:
        """(option, what `check` says of it) of files that cannot be used."""
        yield from wrong(
            trusted=Named("client_ca", self.client_ca),
            own=Named("certificate", self.certificate),
            key=Named("key", self.key),
            revoked=Named("crl", self.crl),
        )

    @field_validator("permitted")
    @classmethod
    def _is_a_peer(cls, permitted: tuple[str, ...]) -> tuple[str, ...]:
        for peer in permitted:
            if not (_FINGERPRINT.fullmatch(peer) or _ip(peer) or (_NAME.fullmatch(peer) and peer.count(".") > peer.startswith("*"))):
                raise ValueError(f"{peer!r} is no DNS name, IP address or SHA-256 fingerprint")
        return permitted

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.clients != "anon" and not self.client_ca:
            raise ValueError(f"clients: {self.clients} needs client_ca")
        if self.crl and self.clients == "anon":
            raise ValueError("crl is about clients' certificates: clients: anon asks for none")
        if (self.clients == "permitted") != bool(self.permitted):
            raise ValueError("permitted is for clients: permitted, and not empty there")
        return self


class Certificates:
    """The files of a `Tls` section, read again when they change."""

    def __init__(self, section: Tls) -> None:
        """Raises Failure R509 when they cannot be used."""
        self._section = section
        self._files = [section.certificate, section.key, *filter(None, (section.client_ca, section.crl))]
        self._seen = self._state()
        try:
            self._context = _context(section)
        except (OSError, ValueError) as problem:
            raise Failure("R509", f"{_where(problem, self._files)}: {_why(problem)}") from None

    def context(self) -> ssl.SSLContext:
        """For a new connection."""
        state = self._state()
        if state != self._seen:
            self._seen = state
            try:
                self._context = _context(self._section)
            except (OSError, ValueError) as problem:
                logger.warning("{}: changed, and not taken: {}", _where(problem, self._files), _why(problem))
            else:
                logger.info("{}: certificates read again", self._section.certificate)
        return self._context

    def refusal(self, sock: ssl.SSLSocket) -> str:
        """Why a client whose handshake succeeded may not come in; `""` if it may."""
        if self._section.clients != "permitted":
            return ""
        encoded = sock.getpeercert(binary_form=True)
        if not encoded:
            return "no client certificate"
        return refusal(self._section.permitted, sha256(encoded).hexdigest(), names(sock.getpeercert() or {}))

    def _state(self) -> list[tuple[int, ...]]:
        found: list[tuple[int, ...]] = []
        for name in self._files:
            try:
                status = os.stat(name)
                found.append((status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns))
            except OSError:
                found.append(())
        return found


def names(certificate: dict[str, Any]) -> list[str]:
    """The names in a certificate as `ssl` gives it: dNSName as they are, iPAddress in their canonical form."""
    found = []
    for kind, name in certificate.get("subjectAltName", ()):
        if kind == "DNS":
            found.append(str(name))
        elif kind == "IP Address" and (address := _ip(str(name).strip())):
            found.append(address)
    return found


def refusal(permitted: Sequence[str], fingerprint: str, names: Sequence[str]) -> str:
    """Why a certificate with this SHA-256 fingerprint (64 hex digits) and these names is not permitted; `""` if it is."""
    for peer in permitted:
        if (digits := _FINGERPRINT.fullmatch(peer)) and digits[1].replace(":", "").lower() == fingerprint:
            return ""
        if any(_same(peer, name) for name in names):
            return ""
    return f"its certificate is not permitted: {', '.join(names[:5]) or 'no name'}, SHA256:{fingerprint}"


def _same(permitted: str, presented: str) -> bool:
    """Whether two names are the same, one of which may begin with `*.`; addresses only match themselves."""
    one, other = _ip(permitted), _ip(presented)
    if one or other:
        return one == other
    left, right = permitted.lower().rstrip(".").split("."), presented.lower().rstrip(".").split(".")
    if left == right:
        return True
    wild = left[0] == "*" or right[0] == "*"
    return wild and left[1:] == right[1:] and len(left) > 2 and all("*" not in label for label in left[1:])


def _ip(text: str) -> str:
    """An IP address in its canonical form; `""` when it is none."""
    try:
        return str(ip_address(text))
    except ValueError:
        return ""


def _context(section: Tls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_COMPRESSION | getattr(ssl, "OP_NO_RENEGOTIATION", 0)
    context.num_tickets = 0
    context.load_cert_chain(section.certificate, section.key, password=_no_passphrase)
    if section.clients != "anon":
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(section.client_ca)
        if section.crl:
            context.load_verify_locations(section.crl)
            if not context.cert_store_stats()["crl"]:
                raise ValueError(f"no revocation list in {section.crl}")
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    return context


def _no_passphrase() -> str:
    """Instead of OpenSSL's question on the terminal."""
    raise ValueError("the key has a passphrase; take one without")


def _where(problem: Exception, files: Sequence[str]) -> str:
    """The file that an error is about: OpenSSL does not name it."""
    if isinstance(problem, ssl.SSLError) and len(files) > 2 and "X509" in (problem.reason or ""):
        return files[0]
    for name in files:
        try:
            with open(name, "rb"):
                pass
        except OSError:
            return name
    return files[0]


def _why(problem: Exception) -> str:
    if isinstance(problem, ssl.SSLError):
        return (problem.reason or str(problem)).replace("_", " ").lower()
    return (os.strerror(problem.errno) if isinstance(problem, OSError) and problem.errno else "") or str(problem)
