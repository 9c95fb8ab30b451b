"""The HTTP client of all outputs: one POST at a time, in a thread of its own, with an answer that is never taken for more than it is.

- No redirect is followed: the octets and the password were for the server that was named.
- An answer is read up to `MOST` octets, and within the timeout; a longer one is not `whole`.
- What goes wrong below HTTP is `Unavailable`, with a reason that has neither the request nor a header in it.
- Certificates are read again when their files change: the next request is on a new connection.
- A proxy is taken from the settings, else from HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY.
"""

from __future__ import annotations

import asyncio
import os
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from loguru import logger
from pydantic import AfterValidator, Field, SecretStr, model_validator
from pydantic_core import PydanticCustomError

from shipper import __version__
from shipper.certificates import Named, wrong
from shipper.config.units import Part
from shipper.outputs.base import TooLarge, Unavailable
from shipper.screen import escaped

try:
    from isal.igzip import compress as gzip_compress
except ImportError:
    from gzip import compress as gzip_compress  # type: ignore[assignment,unused-ignore]

MOST = 4 << 20
"""Octets of an answer that are read (the OTLP specification asks for a limit, and for this one)."""

LONGEST_WAIT = 3600.0
"""Seconds that a receiver may ask us to stay away; what asks for more is asked again after this."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ADDRESS = re.compile(r"[^\s<>\"'(),;:]+@[^\s<>\"'(),;:]+")


def _checked_url(url: str) -> str:
    """An http(s) address without name and password, query and fragment."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or _CONTROL.search(url) or " " in url:
        raise PydanticCustomError("url", "must be an address such as https://host:port")
    if parts.username is not None or parts.password is not None:
        raise PydanticCustomError("url", "must not have a name and a password in it: they have settings of their own")
    if parts.query or parts.fragment:
        raise PydanticCustomError("url", "must end before any ? or #")
    return url


def _checked_secret(value: SecretStr) -> SecretStr:
    """Fit for a header: blanks and line ends around it, as files have them, go away; control characters inside are an error."""
    text = value.get_secret_value().strip()
    if not text or _CONTROL.search(text) or not text.isascii():
        raise PydanticCustomError("secret", "must be one line of ASCII text")
    return SecretStr(text)


Url = Annotated[str, AfterValidator(_checked_url)]
HeaderSecret = Annotated[SecretStr, AfterValidator(_checked_secret)]
HeaderName = Annotated[str, Field(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")]


class TlsSettings(Part):
    """TLS to a receiver. Files that are replaced are read again."""

    ca_file: Path | None = Field(None, description="Certificates to trust, PEM; the system's if none is given.")
    cert_file: Path | None = Field(None, description="Our own certificate, PEM, for receivers that ask for one.")
    key_file: Path | None = Field(None, description="Its private key, PEM, if it is not in `cert_file`.")
    verify: bool = Field(
        True, description="Whether the receiver's certificate and name are checked. `false` gives every record to whoever answers."
    )

    @model_validator(mode="after")
    def _key_with_certificate(self) -> TlsSettings:
        if self.key_file is not None and self.cert_file is None:
            raise PydanticCustomError("tls", "`key_file` needs a `cert_file`")
        return self

    def doubts(self) -> Iterator[tuple[str, str]]:
        """(option, what `check` says of it) of settings that work, but hardly as they are meant."""
        if not self.verify:
            yield "verify", "whoever answers gets the records: certificates are not checked"

    def on_disk(self) -> Iterator[tuple[str, str]]:
        """(option, what `check` says of it) of files that cannot be used."""
        ca_file, cert_file, key_file = (str(path or "") for path in (self.ca_file, self.cert_file, self.key_file))
        yield from wrong(trusted=Named("ca_file", ca_file), own=Named("cert_file", cert_file), key=Named("key_file", key_file))

    def warn(self, name: str) -> None:
        """Says at the start what is not safe."""
        if not self.verify:
            logger.warning("output '{}': `verify: false`: whoever answers gets the records", name)

    def ready(self) -> None:
        """Raises `Unavailable` when the files cannot be used."""
        try:
            self.stamps()  # names the file that is not there
            tls_context(self)
        except OSError as error:
            raise bad_certificates(error) from None

    def stamps(self) -> list[tuple[int, int, int]]:
        """What changes when one of the files is replaced. Raises OSError."""
        found = [os.stat(path) for path in (self.ca_file, self.cert_file, self.key_file) if path is not None]
        return [(status.st_mtime_ns, status.st_size, status.st_ino) for status in found]


def tls_context(settings: TlsSettings) -> ssl.SSLContext:
    """TLS 1.2 and later. Raises OSError (ssl.SSLError is one) for files that cannot be read or are none."""
    context = ssl.create_default_context(cafile=settings.ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if settings.cert_file is not None:
        context.load_cert_chain(settings.cert_file, settings.key_file)
    return context


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said. `headers` by names in lower case; `whole`: the body was read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    whole: bool = True

    @property
    def kind(self) -> str:
        """The content type without its parameters, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def retry_after(self, now: float | None = None) -> float | None:
        """Seconds to stay away, if the server named them."""
        return retry_after(self.headers.get("retry-after", ""), time.time() if now is None else now)


def retry_after(text: str, now: float) -> float | None:
    """`120` or an HTTP date -> seconds from `now` (seconds since 1970), between 0 and `LONGEST_WAIT`; None for what is neither."""
    text = text.strip()
    if re.fullmatch("[0-9]{1,15}", text, re.ASCII):
        return min(float(text), LONGEST_WAIT)
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return min(max(moment.timestamp() - now, 0.0), LONGEST_WAIT)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def told(text: str) -> str:
    """What a receiver says, fit for our log: one short line, no control characters, no mail addresses."""
    text = " ".join(_ADDRESS.sub("(address)", text[:2000]).split())
    return escaped(text if len(text) <= 200 else text[:200] + "…")


def check_status(answer: Answer, said: str = "") -> None:
    """Returns for 2xx, 400, 500 and what has no meaning for all receivers; raises what the other statuses mean. `said`: the receiver's words."""
    status = answer.status
    reason = f"HTTP {status}: {told(said)}" if said else f"HTTP {status}"
    if 300 <= status < 400:
        raise Unavailable(f"{reason}, a redirect, which is not followed", misconfigured=True)
    if status in (401, 403, 404, 405, 407, 415):
        raise Unavailable(reason, retry_after=answer.retry_after(), misconfigured=True)
    if status == 413:
        raise TooLarge(reason)
    if status in (408, 425, 429, 502, 503, 504):
        raise Unavailable(reason, retry_after=answer.retry_after())


class Client:
    """POSTs to one server. `timeout` in seconds: to connect, and again for each wait on the answer; a whole exchange gets three of them.

    One request at a time: who is cancelled while it waits must not use the client again.
    """

    def __init__(
        self, headers: Mapping[str, str], *, timeout: float, tls: TlsSettings, proxy: str | None = None, compress: bool = True
    ) -> None:
        self._headers = {"User-Agent": f"shipper/{__version__}", "Accept-Encoding": "identity", **headers}
        self._timeout = timeout
        self._tls = tls
        self._proxy = proxy
        self._compress = compress
        self._pool: urllib3.PoolManager | None = None
        self._pool_of: object = None

    async def post(self, url: str, body: bytes, kind: str) -> Answer:
        """Sends `body`, of content type `kind`. Raises `Unavailable`; any status is an answer."""
        try:
            async with asyncio.timeout(3 * self._timeout):
                return await in_thread(lambda: self._post(url, body, kind))
        except TimeoutError:
            raise Unavailable(f"no whole answer within {3 * self._timeout:g} s") from None

    def close(self) -> None:
        """Ends the connection."""
        if self._pool is not None:
            self._pool.clear()
            self._pool = None

    def _post(self, url: str, body: bytes, kind: str) -> Answer:
        headers = {**self._headers, "Content-Type": kind}
        if self._compress:
            body = gzip_compress(body, 1)  # more would cost the processor, which is scarcer than the network
            headers["Content-Encoding"] = "gzip"
        pool = self._current_pool(url)
        limits = urllib3.Timeout(connect=self._timeout, read=self._timeout)
        try:
            response: Any = pool.urlopen(
                "POST", url, body=body, headers=headers, retries=False, redirect=False, preload_content=False, timeout=limits
            )
            try:
                found, whole = _read(response, time.monotonic() + self._timeout)
            finally:
                if not response.closed:
                    response.close()
                response.release_conn()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise _unavailable(error) from None
        return Answer(response.status, {name.lower(): value for name, value in response.headers.items()}, found, whole)

    def _current_pool(self, url: str) -> urllib3.PoolManager:
        """The connections to use: new ones after a certificate's file has changed."""
        try:
            stamps = self._tls.stamps()
            if self._pool is None or stamps != self._pool_of:
                context = tls_context(self._tls) if url.startswith("https:") else None
                self.close()
                self._pool, self._pool_of = self._new_pool(url, context), stamps
        except OSError as error:
            raise bad_certificates(error) from None
        return self._pool

    def _new_pool(self, url: str, context: ssl.SSLContext | None) -> urllib3.PoolManager:
        parts = urlsplit(url)
        proxy = self._proxy
        if proxy is None and not proxy_bypass(parts.netloc):
            found = getproxies()
            proxy = found.get(parts.scheme) or found.get("all")
        if not self._tls.verify:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)  # said once at the start, by us
        options: dict[str, Any] = {"num_pools": 1, "maxsize": 1, "ssl_context": context}
        if not proxy:
            return urllib3.PoolManager(**options)
        server = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        headers = None
        if server.username is not None:
            secret = f"{unquote(server.username)}:{unquote(server.password or '')}"
            headers = urllib3.make_headers(proxy_basic_auth=secret)
        try:
            return urllib3.ProxyManager(f"{server.scheme}://{server.netloc.rpartition('@')[2]}", proxy_headers=headers, **options)
        except (AssertionError, ValueError, urllib3.exceptions.HTTPError):
            raise Unavailable("the proxy's address cannot be used", misconfigured=True) from None


def _read(response: Any, deadline: float) -> tuple[bytes, bool]:
    """The body, and whether that is all of it. `deadline` in seconds of the monotonic clock."""
    found: list[bytes] = []
    length = 0
    while length <= MOST:
        if time.monotonic() > deadline:
            raise TimeoutError
        piece = response.read1(1 << 16)
        if not piece:
            return b"".join(found), True
        found.append(piece)
        length += len(piece)
    return b"".join(found)[:MOST], False


def _unavailable(error: Exception) -> Unavailable:
    """What went wrong below HTTP, in words of ours: those of the library name the request."""
    seen: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in seen:
        seen.append(cause)
        inner = cause.args[-1] if cause.args else None
        inner = inner if isinstance(inner, BaseException) else getattr(cause, "reason", None)
        cause = inner if isinstance(inner, BaseException) else cause.__cause__ or cause.__context__
    through = "proxy: " if any(isinstance(each, urllib3.exceptions.ProxyError) for each in seen) else ""
    for each in seen:
        if isinstance(each, ssl.SSLCertVerificationError):
            return Unavailable(f"{through}TLS: {each.verify_message}", misconfigured=True)
    for each in seen:
        if isinstance(each, ssl.SSLError):
            word = str(each.reason or "failed").lower().replace("_", " ")
            return Unavailable(f"{through}TLS: {word}", misconfigured=each.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST"))
    for each in seen:
        if isinstance(each, urllib3.exceptions.NameResolutionError):
            return Unavailable(f"{through}the host's name is not known")
    if any(isinstance(each, TimeoutError | urllib3.exceptions.TimeoutError) for each in seen) and not any(
        isinstance(each, OSError) and each.errno for each in seen
    ):
        return Unavailable(f"{through}no answer in time")
    for each in reversed(seen):
        if isinstance(each, OSError) and each.errno:
            return Unavailable(f"{through}{_plain(each)}")
    if any(isinstance(each, urllib3.exceptions.ProtocolError) for each in seen):
        return Unavailable(f"{through}the connection ended before the answer did")
    return Unavailable(f"{through}{type(error).__name__}")


def bad_certificates(error: OSError) -> Unavailable:
    """Files of certificates that cannot be read, or hold none."""
    name = f"{error.filename}: " if error.filename else ""
    return Unavailable(f"certificates cannot be used: {name}{_plain(error)}", misconfigured=True)


def _plain(error: OSError) -> str:
    """`connection refused`."""
    if isinstance(error, ssl.SSLError):
        return str(error.reason or "TLS error").lower().replace("_", " ")
    return (error.strerror or type(error).__name__).lower()


_Found = TypeVar("_Found")


async def in_thread(call: Callable[[], _Found]) -> _Found:
    """Runs what blocks. The thread is a daemon's: who is cancelled leaves it behind, and the end of the process does not wait for it."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[_Found] = loop.create_future()

    def settle(found: _Found | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(found)  # type: ignore[arg-type]

    def run() -> None:
        found, failed = None, None
        try:
            found = call()
        except BaseException as error:
            failed = error
        try:
            loop.call_soon_threadsafe(settle, found, failed)
        except RuntimeError:  # the loop is closed: nobody waits any more
            pass

    threading.Thread(target=run, name="http", daemon=True).start()
    return await future
