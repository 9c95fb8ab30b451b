"""Whether files of certificates can be used: what is wrong with each, before anything connects or listens.

A key with a passphrase cannot be used: nobody is there to give it.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from typing import NamedTuple

from shipper.screen import escaped


class Named(NamedTuple):
    """A file, and the option that names it. An empty `path` is none."""

    option: str
    path: str


NONE = Named("", "")


def wrong(*, trusted: Named = NONE, own: Named = NONE, key: Named = NONE, revoked: Named = NONE) -> Iterator[tuple[str, str]]:
    """(option, sentence) of each file that cannot be used: certificates to trust, our own certificate, its key (which may stand in the same
    file), revocation lists."""
    unread = {file: reason for file in (trusted, own, key, revoked) if file.path and (reason := _unread(file.path))}
    for file, reason in unread.items():
        yield file.option, f"'{escaped(file.path)}' cannot be read: {reason}"
    for file, what in ((trusted, "certificate"), (own, "certificate"), (revoked, "revocation list")):
        if file.path and file not in unread and not _has(file.path, "crl" if file is revoked else "x509"):
            yield file.option, f"'{escaped(file.path)}' has no {what} in PEM that can be read"
            unread[file] = what
    if own.path and own not in unread and key not in unread and (reason := _no_pair(own.path, key.path)):
        file = key if key.path else own
        yield file.option, f"'{escaped(file.path)}' {reason}"


def _unread(path: str) -> str:
    """Why the file cannot be read; `""` if it can be."""
    try:
        with open(path, "rb") as file:
            file.read(1)
    except (OSError, ValueError) as error:
        number = error.errno if isinstance(error, OSError) else None
        return os.strerror(number).lower() if number else "not a path"
    return ""


def _has(path: str, kind: str) -> bool:
    """Whether there is one of these in it, and everything else in it is sound."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(path)
    except OSError:
        return False
    return context.cert_store_stats()[kind] > 0


def _no_pair(certificate: str, key: str) -> str:
    """Why they cannot be used together; `""` if they can be."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key or None, _passphrase)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            return "has another key than that of the certificate"
        return f"cannot be used: {error.reason.replace('_', ' ').lower()}" if error.reason else "has no key in PEM that can be read"
    except (OSError, ValueError):
        return "has a key with a passphrase; take one without"
    return ""


def _passphrase() -> str:
    """Instead of OpenSSL's question on the terminal."""
    raise ValueError
