"""When our own certificates end: read off their files, and warned about thirty days before, once a day.

A PEM file may hold a key and a chain as well; the certificate in it that ends first counts. What cannot be read has no end here: who uses the
file says what is wrong with it.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from loguru import logger

from shipper.screen import escaped

_WARNED_BEFORE = 30 * 86400
_DAY = 86400
_LARGEST = 1 << 20
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----[^-]{1,65536}-----END CERTIFICATE-----")


class Own(NamedTuple):
    """A certificate of ours: whose it is (`input 'net'`), its file, and when it ends (seconds since 1970; None: not known)."""

    whose: str
    path: str
    ends: float | None


class Expiry:
    """Says what ends soon. It remembers what it has said, and what it has read: a file is read again when it has changed."""

    def __init__(self) -> None:
        self._said: dict[str, float] = {}
        self._read: dict[str, tuple[tuple[int, ...], float | None]] = {}

    def ends(self, path: str) -> float | None:
        """When the first of the certificates in this file ends."""
        try:
            status = os.stat(path)
        except OSError:
            return None
        stamp = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        read = self._read.get(path)
        if read is None or read[0] != stamp:
            read = self._read[path] = stamp, ends(path)
        return read[1]

    def look(self, owns: Iterable[Own], now: float) -> None:
        """`now`: seconds since 1970."""
        for whose, path, ends in owns:
            if ends is None or ends - now > _WARNED_BEFORE or now - self._said.get(path, -_DAY) < _DAY:
                continue
            self._said[path] = now
            day = datetime.fromtimestamp(ends, UTC).date()
            if ends <= now:
                logger.warning("{}: the certificate in '{}' has ended on {}", whose, escaped(path), day)
            else:
                logger.warning("{}: the certificate in '{}' ends on {}, in {:.0f} days", whose, escaped(path), day, (ends - now) // _DAY)


def ends(path: str) -> float | None:
    """When the first of the certificates in this file ends."""
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            text = file.read(_LARGEST)
    except OSError:
        return None
    found = [end for pem in _PEM.findall(text) if (end := not_after(pem)) is not None]
    return min(found, default=None)


def not_after(pem: str) -> float | None:
    """The end of one certificate in PEM: TBSCertificate.validity.notAfter (RFC 5280, 4.1), seconds since 1970."""
    try:
        certificate = _parts(ssl.PEM_cert_to_DER_cert(pem))
        fields = list(_parts(next(_parts(next(certificate)[1]))[1]))
        validity = fields[4 if fields[0][0] == 0xA0 else 3][1]  # version, if there, stands before serial, signature, issuer
        kind, text = list(_parts(validity))[1]
        digits = text.decode("ascii").removesuffix("Z")
        if kind == 0x17:  # UTCTime has two digits of the year: 50 to 99 are 19xx
            digits = ("19" if digits >= "50" else "20") + digits
        return datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=UTC).timestamp()
    except (ValueError, IndexError, StopIteration):
        return None


def _parts(der: bytes) -> Iterator[tuple[int, bytes]]:
    """(tag, content) of the elements of DER that stand one behind the other."""
    at = 0
    while at < len(der):
        tag, size = der[at], der[at + 1]
        at += 2
        if size > 127:
            width = size & 127
            size = int.from_bytes(der[at : at + width], "big")
            at += width
        if at + size > len(der):
            raise ValueError("cut short")
        yield tag, der[at : at + size]
        at += size
