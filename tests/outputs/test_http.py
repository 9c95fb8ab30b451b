"""The HTTP client: what it says of servers that do anything but answer, and what it never says."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from pathlib import Path

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, TypeAdapter, ValidationError

from shipper.outputs.base import TooLarge, Unavailable
from shipper.outputs.http import LONGEST_WAIT, MOST, Answer, Client, HeaderSecret, TlsSettings, Url, check_status, retry_after, told
from tests.outputs.bad_server import BadServer, Step, drips, hangs, is_cut, never_ends, resets, says

SECRET = "canary-7f3a"


def client(timeout: float = 5.0, tls: TlsSettings | None = None, proxy: str | None = "") -> Client:
    return Client({"Authorization": f"Bearer {SECRET}"}, timeout=timeout, tls=tls or TlsSettings(), proxy=proxy)


def post(url: str, body: bytes = b"octets", **settings: object) -> Answer:
    found = client(**settings)  # type: ignore[arg-type]
    try:
        return asyncio.run(found.post(url, body, "text/plain"))
    finally:
        found.close()


def failure(url: str, **settings: object) -> Unavailable:
    with pytest.raises(Unavailable) as caught:
        post(url, **settings)  # type: ignore[arg-type]
    assert SECRET not in caught.value.reason and "octets" not in caught.value.reason
    return caught.value


def test_an_answer_is_what_the_server_said() -> None:
    """Status, headers by lower-case names, body; of our request, the content type, gzip, who we are."""
    with BadServer([says(418, b"short and stout", "text/plain; charset=utf-8", Retry_After="7")]) as server:
        answer = post(server.url + "/pot")
        (request,) = server.requests
    assert (answer.status, answer.body, answer.kind, answer.whole, answer.retry_after()) == (418, b"short and stout", "text/plain", True, 7)
    assert (request.path, request.body) == ("/pot", b"octets")
    assert request.headers["Content-Type"] == "text/plain"
    assert request.headers["Content-Encoding"] == "gzip"
    assert request.headers["Authorization"] == f"Bearer {SECRET}"
    assert request.headers["User-Agent"].startswith("shipper/")


def test_one_connection_for_many_requests() -> None:
    """It is kept open."""
    with BadServer([says(204)]) as server:

        async def run() -> None:
            sender = client()
            for _ in range(5):
                assert (await sender.post(server.url, b"", "text/plain")).status == 204
            sender.close()

        asyncio.run(run())
        assert len({id(request) for request in server.requests}) == 1


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (resets, "connection"),
        (is_cut, "the connection ended before the answer did"),
        (hangs, "no answer in time"),
        (drips, "no answer in time"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_no_answer_is_unavailable(step: Step, words: str) -> None:
    """The connection breaks, or the time is over: come back later."""
    with BadServer([step]) as server:
        error = failure(server.url, timeout=0.3)
    assert words in error.reason and not error.misconfigured


def test_an_answer_without_end_is_not_read_to_its_end() -> None:
    """4 MiB of it, and the answer says that it is not whole."""
    with BadServer([never_ends]) as server:
        answer = post(server.url)
    assert (len(answer.body), answer.whole) == (MOST, False)


def test_nobody_there() -> None:
    """A closed port, and a name that does not exist."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert failure(f"http://127.0.0.1:{port}").reason == "connection refused"
    assert "name" in failure("http://no-such-host.invalid/").reason


def test_a_redirect_is_an_answer_and_not_followed() -> None:
    """The password was for the server that was named."""
    with BadServer([says(200)]) as other, BadServer([says(302, Location=other.url)]) as server:
        assert post(server.url).status == 302
        assert not other.requests


def test_who_is_cancelled_leaves_at_once() -> None:
    """A hanging request does not hold up the service, nor the end of the process."""
    with BadServer([hangs]) as server:

        async def run() -> None:
            task = asyncio.create_task(client(timeout=60).post(server.url, b"", "text/plain"))
            while not server.requests:
                await asyncio.sleep(0.005)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(run())
        assert all(thread.daemon for thread in threading.enumerate() if thread.name == "http")


# --- TLS ---


def server_context(ca: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(*(names or ("127.0.0.1",))).configure_cert(context)
    return context


@pytest.fixture
def ca(tmp_path: Path) -> trustme.CA:
    found = trustme.CA()
    found.cert_pem.write_to_path(tmp_path / "ca.pem")
    return found


def test_tls_with_a_ca_of_ones_own(ca: trustme.CA, tmp_path: Path) -> None:
    """Trusted by its file; without it, or under another name, not."""
    with BadServer([says(200)], server_context(ca)) as server:
        assert post(server.url, tls=TlsSettings(ca_file=tmp_path / "ca.pem")).status == 200
        error = failure(server.url)
        assert error.misconfigured and error.reason.startswith("TLS: ") and "certificate" in error.reason
        assert post(server.url, tls=TlsSettings(verify=False)).status == 200
    with BadServer([says(200)], server_context(ca, "other.example.com")) as server:
        error = failure(server.url, tls=TlsSettings(ca_file=tmp_path / "ca.pem"))
        assert error.misconfigured and "mismatch" in error.reason


def test_plain_text_at_the_other_end_is_told(tmp_path: Path) -> None:
    """https to a server that speaks http."""
    with BadServer([says(200)]) as server:
        error = failure(server.url.replace("http:", "https:"))
    assert error.misconfigured and error.reason.startswith("TLS: ")


def test_certificates_are_read_again_when_they_change(ca: trustme.CA, tmp_path: Path) -> None:
    """Mutual TLS; the client's certificate is renewed on the disk, then broken, then good again."""
    context = server_context(ca)
    context.verify_mode = ssl.CERT_REQUIRED
    ca.configure_trust(context)
    pem = tmp_path / "client.pem"
    seen = []

    def look(request: object) -> None:
        seen.append(request.connection.getpeercert()["serialNumber"])  # type: ignore[attr-defined]
        request.answer(200)  # type: ignore[attr-defined]

    def renew() -> None:
        ca.issue_cert("shipper@example.com").private_key_and_cert_chain_pem.write_to_path(tmp_path / "new.pem")
        (tmp_path / "new.pem").replace(pem)

    with BadServer([look], context) as server:
        sender = client(tls=TlsSettings(ca_file=tmp_path / "ca.pem", cert_file=pem))

        async def run() -> None:
            for _ in range(2):
                renew()
                for _ in range(2):
                    await sender.post(server.url, b"", "text/plain")
            pem.write_text("broken")
            with pytest.raises(Unavailable, match="certificates cannot be used") as caught:
                await sender.post(server.url, b"", "text/plain")
            assert caught.value.misconfigured
            renew()
            await sender.post(server.url, b"", "text/plain")
            sender.close()

        asyncio.run(run())
    assert len(seen) == 5 and seen[0] == seen[1] != seen[2] == seen[3] != seen[4]


def test_a_certificate_that_is_not_there(tmp_path: Path) -> None:
    """The message names the file."""
    error = failure("https://127.0.0.1:1", tls=TlsSettings(cert_file=tmp_path / "none.pem"))
    assert error.misconfigured and "none.pem: no such file" in error.reason


# --- Proxies ---


def test_a_proxy_gets_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the settings or the environment, except for hosts in NO_PROXY; its password goes to it and into no message."""
    with BadServer([says(200)]) as server:
        address = f"http://user:{SECRET}@127.0.0.1:{server.port}"
        post("http://receiver.example.com/v1/logs", proxy=address)
        monkeypatch.setenv("http_proxy", address)
        post("http://receiver.example.com/v1/logs", proxy=None)
        assert [request.path for request in server.requests] == ["http://receiver.example.com/v1/logs"] * 2
        assert all(request.headers["Proxy-Authorization"].startswith("Basic ") for request in server.requests)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        post(server.url + "/direct", proxy=None)
        assert server.requests[-1].path == "/direct"
    assert failure("http://receiver.example.com", proxy=address).reason.startswith("proxy: ")
    assert failure("http://receiver.example.com", proxy=f"nonsense://{SECRET}").misconfigured


# --- Words ---


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        (" 120 ", 120.0),
        ("86400", LONGEST_WAIT),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 37.0),
        ("Sun, 06 Nov 1994 08:48:00 GMT", 0.0),
        ("Sun, 06 Nov 2094 08:49:37 GMT", LONGEST_WAIT),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("١٢", None),
        ("9" * 400, None),
        ("Sun, 99 Nov 1994 99:99:99 GMT", None),
    ],
)
def test_retry_after(text: str, seconds: float | None) -> None:
    """Seconds or a date; what is neither is not there; nobody keeps us away for a day."""
    assert retry_after(text, now=784111740.0) == seconds


@given(text=st.text(max_size=60))
def test_retry_after_of_anything(text: str) -> None:
    """Never an exception, never a time that is none."""
    found = retry_after(text, now=784111740.0)
    assert found is None or 0 <= found <= LONGEST_WAIT


def test_told_is_one_short_line_without_addresses() -> None:
    """What a receiver says goes into our log."""
    assert told("no\r\n\x1b[31m such\trecipient <adam@example.com>") == "no \\x1b[31m such recipient <(address)>"
    assert len(told("x" * 10_000)) < 250


@pytest.mark.parametrize("status", [301, 302, 307, 401, 403, 404, 405, 407, 415])
def test_statuses_that_waiting_does_not_mend(status: int) -> None:
    """Nothing taken; the output is misconfigured."""
    with pytest.raises(Unavailable) as caught:
        check_status(Answer(status, {}, b""))
    assert caught.value.misconfigured


@pytest.mark.parametrize("status", [408, 425, 429, 502, 503, 504])
def test_statuses_that_mean_later(status: int) -> None:
    """Nothing taken; the receiver's own time is told on."""
    with pytest.raises(Unavailable) as caught:
        check_status(Answer(status, {"retry-after": "9"}, b""))
    assert not caught.value.misconfigured and caught.value.retry_after == 9


def test_statuses_of_other_kinds() -> None:
    """413 is too large; what depends on the receiver is left to its output."""
    with pytest.raises(TooLarge):
        check_status(Answer(413, {}, b""))
    for status in (200, 204, 400, 500):
        check_status(Answer(status, {}, b""))


@pytest.mark.parametrize(
    "url", ["https://user:secret@h", "ftp://h", "h:4318", "http://", "http://h:99999", "http://h/a?b=c", "http://h/ x"]
)
def test_addresses_that_are_refused(url: str) -> None:
    """No other schemes, no secrets in what is shown."""
    with pytest.raises(ValidationError):
        TypeAdapter(Url).validate_python(url)


@pytest.mark.parametrize("text", ["a\r\nX-Evil: 1", "", " \n", "ä"])
def test_secrets_that_are_no_header(text: str) -> None:
    """They would end the header, and begin another."""
    with pytest.raises(ValidationError):
        TypeAdapter(HeaderSecret).validate_python(text)
    assert TypeAdapter(HeaderSecret).validate_python("token\n") == SecretStr("token")
