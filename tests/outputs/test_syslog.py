"""Output syslog, against real sockets: framed, acknowledged, refused in words."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from shipper.batch import Arrival
from shipper.outputs.base import Refused, Unanswered, Unavailable
from shipper.outputs.syslog import Section, Syslog
from shipper.record import Mta

MESSAGES = [b"<22>1 - - - - - - one", b"<22>1 - - - - - - t\xc3\xbco"]


def output(**settings: Any) -> Syslog:
    return Syslog("siem", Section(type="syslog", **settings))


def send(out: Syslog, *batches: list[bytes]) -> None:
    async def run() -> None:
        async with out.sender() as sender:
            for batch in batches:
                await sender.send(batch)

    asyncio.run(run())


class Receiver:
    """A TCP server in a thread: what came on all its connections, until each is closed."""

    def __init__(self, context: ssl.SSLContext | None = None, *, close_after: int = -1) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.got: list[bytes] = []
        self.orderly: list[bool] = []
        self.errors: list[str] = []
        self._context, self._close_after = context, close_after
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                end, _ = self.socket.accept()
            except OSError:
                return
            data = b""
            try:
                if self._context:
                    end = self._context.wrap_socket(end, server_side=True, suppress_ragged_eofs=False)
                while len(data) != self._close_after:
                    piece = end.recv(65536 if self._close_after < 0 else self._close_after - len(data))
                    if not piece:
                        break
                    data += piece
                self.orderly.append(True)
            except (OSError, ssl.SSLError) as error:
                self.errors.append(str(error))
            self.got.append(data)
            end.close()

    def close(self) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self._thread.join(5)


@contextmanager
def receiver(*arguments: Any, **named: Any) -> Iterator[Receiver]:
    made = Receiver(*arguments, **named)
    try:
        yield made
    finally:
        made.close()


def wait_for(what: list[Any]) -> None:
    for _ in range(200):
        if what:
            return
        threading.Event().wait(0.01)


@pytest.mark.parametrize(
    ("framing", "expected"), [("octet", b"21 <22>1 - - - - - - one22 <22>1 - - - - - - t\xc3\xbco"), ("lf", b"\n".join([*MESSAGES, b""]))]
)
def test_tcp_in_both_framings(framing: str, expected: bytes) -> None:
    """Octets are counted, not characters; LF ends each."""
    with receiver() as there:
        send(output(protocol="tcp", port=there.port, framing=framing), MESSAGES)
        wait_for(there.got)
        assert there.got == [expected]


def test_a_closed_connection_is_noticed() -> None:
    """A receiver that goes away in the middle: the batch is not taken."""
    with receiver(close_after=10) as there, pytest.raises(Unavailable, match=r"closed by the receiver|reset|broken pipe"):
        send(output(protocol="tcp", port=there.port, timeout=5), *[[b"x" * 1000] * 50 for _ in range(50)])


def test_a_receiver_that_does_not_read_is_cut_off() -> None:
    """What its kernel does not acknowledge is not delivered; the wait has an end."""
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with pytest.raises(Unavailable, match="no answer in time"):
            send(output(protocol="tcp", port=deaf.getsockname()[1], timeout=0.5), [b"x" * 65536] * 200)


def test_nobody_there() -> None:
    """No listener, no name: unavailable, in words, with the place."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(Unavailable, match=rf"127.0.0.1 port {port}: "):
        send(output(protocol="tcp", port=port), MESSAGES)
    with pytest.raises(Unavailable):
        send(output(protocol="udp", host="no-such-host.invalid"), MESSAGES)


def test_udp_and_unix(tmp_path: Path) -> None:
    """A message a datagram; one that no datagram can hold is refused by its number, and the others are sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as unix:
        udp.bind(("127.0.0.1", 0))
        unix.bind(str(tmp_path / "log"))
        with pytest.raises(Refused) as refusal:
            send(output(protocol="udp", port=udp.getsockname()[1]), [MESSAGES[0], b"x" * 70000, MESSAGES[1]])
        assert refusal.value.indices == (1,)
        assert [udp.recv(2000) for _ in range(2)] == MESSAGES
        send(output(protocol="unix", path=str(tmp_path / "log")), MESSAGES)
        assert [unix.recv(2000) for _ in range(2)] == MESSAGES


class Authority:
    """A certificate authority, and files as an operator has them."""

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA()
        self.folder = folder
        self.ca = str(folder / "ca.pem")
        self.authority.cert_pem.write_to_path(self.ca)

    def file(self, *names: str) -> str:
        path = str(self.folder / f"{names[0]}.pem")
        if os.path.exists(path):
            os.unlink(path)
        self.authority.issue_cert(*names).private_key_and_cert_chain_pem.write_to_path(path)
        return path

    def server(self, *names: str, clients: bool = False, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.file(*names))
        if clients:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.ca)
        if version:
            context.minimum_version = context.maximum_version = version
        return context


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_keeps_all_it_sent(authority: Authority, version: ssl.TLSVersion) -> None:
    """Many messages and an orderly end: the receiver has every octet."""
    with receiver(authority.server("logs.example.com", version=version)) as there:
        out = output(protocol="tls", port=there.port, tls={"ca": authority.ca, "name": "logs.example.com"}, framing="lf")
        batches = [[b"%08d" % (number * 500 + index) for index in range(500)] for number in range(20)]
        send(out, *batches)
        wait_for(there.got)
        assert there.got == [b"".join(message + b"\n" for batch in batches for message in batch)]
        assert there.orderly == [True]


def test_a_wrong_name_or_authority_is_refused(authority: Authority, tmp_path: Path) -> None:
    """Nothing is sent to a receiver that is not the one: another name, an unknown authority, plain text."""
    other = Authority(tmp_path)
    with receiver(authority.server("logs.example.com")) as there:
        for tls in ({"ca": authority.ca, "name": "other.example.com"}, {"ca": other.ca, "name": "logs.example.com"}):
            with pytest.raises(Unavailable, match="certificate refused") as refusal:
                send(output(protocol="tls", port=there.port, tls=tls), MESSAGES)
            assert refusal.value.misconfigured
    with receiver(close_after=1) as plain, pytest.raises(Unavailable):
        send(output(protocol="tls", port=plain.port, tls={"ca": authority.ca}, timeout=2), MESSAGES)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_certificate_that_is_missing_is_noticed_before_sending(authority: Authority, version: ssl.TLSVersion) -> None:
    """With TLS 1.3 the receiver objects after the handshake: we wait for that, and nothing is lost. With the certificate all is well."""
    with receiver(authority.server("logs.example.com", clients=True, version=version)) as there:
        tls = {"ca": authority.ca, "name": "logs.example.com"}
        with pytest.raises(Unavailable) as refusal:
            send(output(protocol="tls", port=there.port, tls=tls), MESSAGES)
        assert refusal.value.misconfigured
        send(
            output(protocol="tls", port=there.port, tls={**tls, "certificate": authority.file("shipper.example.com")}, framing="lf"),
            MESSAGES,
        )
        wait_for(there.orderly)
        assert there.got[-1] == b"\n".join([*MESSAGES, b""])


def doubt_after(how: str, idle: float = 0.0) -> float | None:
    """What a sender says of what it sent `idle` seconds before the receiver ended the connection: by a reset, or in order, or not at all."""

    async def run() -> float | None:
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as there, ExitStack() as stack:
            async with output(protocol="tcp", port=there.getsockname()[1]).sender() as sender:
                assert isinstance(sender, Unanswered) and sender.keep == 16 << 20
                end, _ = there.accept()
                await sender.send(MESSAGES)
                sent = loop.time()
                if how == "reset":  # what a kernel does for a program that ended and had not read everything
                    end.recv(1)
                    end.close()
                elif how == "orderly":
                    end.recv(1000)
                    await asyncio.sleep(idle)
                    end.close()
                else:
                    stack.callback(end.close)
                if how != "stands":
                    async with asyncio.timeout(5):
                        await sender.ended()
                since = sender.doubtful_since()
                return None if since is None else sent - since
        return None

    return asyncio.run(run())


def test_what_is_in_doubt_when_a_connection_ends() -> None:
    """A reset: everything, however old. An orderly end: what was sent in the five seconds before it. While it stands, or we end it: nothing."""
    assert doubt_after("reset") == float("inf")
    orderly = doubt_after("orderly", 0.3)
    assert orderly is not None and 4.5 < orderly <= 4.7
    assert doubt_after("stands") is None


def test_messages_by_udp_fit_into_a_packet() -> None:
    """The default limit of UDP is less than that of TCP; the section may say another."""
    record = Mta(code="E", event="mta.enqueue", sender="a@example.com", recipient="b" * 2000)
    for settings, most in (({"protocol": "udp"}, 1400), ({"protocol": "udp", "max_size": 600}, 600), ({"protocol": "tcp"}, 8192)):
        (message,) = output(**settings).render([record], Arrival("in", 0))
        assert len(message) <= most
    assert len(message) > 2000


def test_the_number_for_examples_is_warned_about() -> None:
    """Structured data under RFC 5612's number is no one's: said once, not when a number of one's own is set."""

    def doubts(**settings: Any) -> list[tuple[str, str]]:
        return list(Section(type="syslog", **settings).doubts())

    assert doubts() and not doubts(enterprise=99999) and not doubts(format="rfc3164")


def test_to_the_socket_of_the_own_machine_without_a_host() -> None:
    """RFC 3164 as programs write it to /dev/log: daemons would take a host there for the program. RFC 5424 there is doubted."""
    record = Mta(code="D", event="mta.dequeue", host="mail", process="imta", time="2005-05-13T00:00:00+02:00", raw="line")
    for protocol, head in (("unix", b"<22>May 13 00:00:00 imta: line"), ("tcp", b"<22>May 13 00:00:00 mail imta: line")):
        assert output(protocol=protocol, path="/dev/log", format="rfc3164").render([record], Arrival("in", 0)) == [head]
    doubts = {form: [name for name, _ in section(form).doubts()] for form in ("rfc3164", "rfc5424")}
    assert doubts == {"rfc3164": [], "rfc5424": ["path"]}


def section(form: Any) -> Section:
    return Section(type="syslog", protocol="unix", path="/dev/log", format=form, enterprise=99999)
