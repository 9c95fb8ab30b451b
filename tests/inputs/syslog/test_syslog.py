"""The syslog input on real sockets: what is sent is received, once, whole, with its sender; what is not is counted."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import resource
import socket
import stat
import struct
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from loguru import logger
from pydantic import ValidationError

from shipper.errors import Failure
from shipper.inputs.base import Reading
from shipper.inputs.syslog import Section, make
from shipper.inputs.syslog.address import Address, bind, kernel
from shipper.inputs.syslog.senders import Senders
from shipper.record import Mta, Service, Syslog
from tests.inputs.syslog.receiving import NoPlaces, Receiver, connected, receiving, tcp, udp

MTA = b"30-Aug-2004 16:53:05.12 tcp_local    ims-ms       E 1 adam@example.com rfc822;bob@example.org bob@example.org"
SERVICE = b"Account Notice: badlogin: [192.0.2.7:51234] plaintext adam authentication failure"


def numbered(count: int, start: int = 0) -> list[bytes]:
    return [b"<22>Aug 30 16:53:05 mail.example.com imapd[7]: number %d" % number for number in range(start, start + count)]


def test_udp_is_read_as_what_it_is() -> None:
    """An MTA record, a service record and another program's message in one batch; embedded LF kept, the sender's address in each."""

    async def main() -> None:
        async with receiving(zone="America/Los_Angeles") as receiver:
            udp(
                receiver.address(),
                b"<22>Aug 30 16:53:05 mail.example.com imta[411]: " + MTA + b"\n",
                b"<21>1 2004-08-30T16:53:05.5-07:00 mail.example.com imapd 4711 - - " + SERVICE + b"\0",
                b"<86>Aug 30 16:53:05 198.51.100.9 sshd[9]: one\ntwo\r\n",
                b"no header at all",
            )
            mta, service, other, bare = await receiver.wait(4)
        assert isinstance(mta, Mta) and (mta.recipient, mta.host, mta.time) == (
            "bob@example.org",
            "mail.example.com",
            "2004-08-30T16:53:05.12-07:00",
        )
        assert isinstance(service, Service) and (service.client_ip, service.time) == ("192.0.2.7", "2004-08-30T16:53:05.5-07:00")
        assert isinstance(other, Syslog) and (other.message, other.host, other.process) == ("one\ntwo", "198.51.100.9", "sshd")
        assert isinstance(bare, Syslog) and (bare.message, bare.host, bare.extra) == ("no header at all", "", {"pri_assumed": True})
        for record in (mta, service, other, bare):
            assert record.source is not None and record.source.peer == "127.0.0.1" and record.source.offset is None
            assert record.syslog is not None and record.syslog.peer == "127.0.0.1"
        assert bare.syslog is not None and (bare.syslog.facility, bare.syslog.severity) == ("user", "notice")
        counts = receiver.input.counts
        assert (counts.received, counts.parsed, counts.assumed_pri, counts.delivered) == (4, 4, 1, 4)

    asyncio.run(main())


def test_a_burst_is_received_in_order_without_loss() -> None:
    """20,000 datagrams as fast as one sender can, with the default buffer: each once, in order, in batches."""

    async def main() -> None:
        async with receiving() as receiver:
            for start in range(0, 20_000, 1000):
                await asyncio.to_thread(udp, receiver.address(), *numbered(1000, start))
                await receiver.wait(start)
            await receiver.wait(20_000)
        assert receiver.messages == [f"number {number}" for number in range(20_000)]
        assert max(len(batch.records) for batch in receiver.batches) <= 4096
        assert len(receiver.batches) < 4000
        assert receiver.input.counts.kernel_drops == 0

    asyncio.run(main())


def test_odd_datagrams_are_flagged_or_counted() -> None:
    """An empty one is none, one over the limit is cut and says so, the largest there can be is whole."""

    async def main() -> None:
        async with receiving(max_message=1000) as receiver:
            udp(receiver.address(), b"", b"\n", b"<13>" + b"x" * 996, b"<13>" + b"y" * 997)
            whole, cut = await receiver.wait(2)
        assert not whole.error and isinstance(cut, Syslog)
        assert cut.message == "y" * 996 and cut.error == "datagram of 1001, cut after 1000 octets"
        assert (receiver.input.counts.empty, receiver.input.counts.truncated) == (2, 1)
        async with receiving() as receiver:
            udp(receiver.address(), b"<13>" + b"x" * 65503)
            assert not (await receiver.wait(1))[0].error

    asyncio.run(main())


def test_what_the_kernel_drops_is_counted() -> None:
    """While the outputs let us wait nothing is read, and memory stays; what does not fit the buffer is counted to the datagram."""
    with bind(Address("udp", "127.0.0.1"), receive_buffer=4096, mode=0) as probe:
        if kernel(probe) is None:
            pytest.skip("this system does not tell what it dropped")

    async def main() -> None:
        async with receiving(receive_buffer=65536) as receiver:
            receiver.gate.clear()
            udp(receiver.address(), *numbered(1))
            await receiver.until(lambda: receiver.input.counts.received == 1)
            udp(receiver.address(), *numbered(2000, 1))
            await receiver.until(lambda: receiver.input.counts.kernel_drops > 0)
            assert receiver.input.counts.received == 1
            assert receiver.input.lag()[0]["state"] == "dropping"
            assert receiver.input.lag()[0]["octets"] > 0
            receiver.gate.set()
            await receiver.until(lambda: receiver.input.counts.received + receiver.input.counts.kernel_drops == 2001)
        assert len(receiver.records) == receiver.input.counts.received
        assert receiver.messages == [f"number {number}" for number in range(len(receiver.records))]

    asyncio.run(main())


def test_ipv6() -> None:
    """An IPv6 address in brackets, UDP and TCP."""

    async def main() -> None:
        try:
            async with receiving("udp://[::1]:0", "tcp://[::1]:0") as receiver:
                udp(receiver.address(0), b"<13>a")
                await tcp(receiver.address(1), b"<13>b\n")
                records = await receiver.wait(2)
        except Failure as failure:
            pytest.skip(str(failure))
        assert {record.source.peer for record in records if record.source} == {"::1"}

    asyncio.run(main())


def test_stop_hands_over_what_has_arrived() -> None:
    """What the kernel holds when we stop is handed over: datagrams, lines, and the beginning of one."""

    async def main() -> None:
        async with receiving("udp://127.0.0.1:0", "tcp://127.0.0.1:0") as receiver:
            with socket.create_connection(receiver.address(1)) as sender:
                await receiver.until(lambda: receiver.input.counters()["open"] == 1)
                receiver.stop.set()
                udp(receiver.address(0), *numbered(3000))
                sender.sendall(b"<13>tcp 0\n<13>tcp 1")
                await receiver.wait(3002)
        assert sorted(receiver.messages) == sorted([f"number {number}" for number in range(3000)] + ["tcp 0", "tcp 1"])
        assert [record.error for record in receiver.records if record.error] == ["no LF before the connection ended"]
        assert receiver.input.counts.delivered == 3002

    asyncio.run(main())


def test_sockets_live_on_in_the_next_input() -> None:
    """A reload shares the sockets: what was sent between the old input and the new one is not lost."""

    async def main() -> None:
        async with receiving() as old:
            sender = old.address()
            udp(sender, b"<13>one")
            await old.wait(1)
            new = make("net", Section(type="syslog", listen=("udp://127.0.0.1:0",)), Reading())
            new.bind(old.input)
        udp(sender, b"<13>two")
        receiver = Receiver(new)
        running = asyncio.create_task(new.run(receiver.deliver, None, receiver.stop))  # type: ignore[arg-type]
        await receiver.wait(1)
        assert receiver.messages == ["two"]
        receiver.stop.set()
        await running
        new.close()

    asyncio.run(main())


def test_tcp_frames_of_both_kinds_in_any_pieces() -> None:
    """Octet counts and LF on one connection; the last line without its LF is told apart."""

    async def main() -> None:
        stream = b"<13>one\n7 <13>two9 <13>a\nb!\n<13>three\r\n<13>four\0\n\n<13>last"
        async with receiving("tcp://127.0.0.1:0") as receiver:
            await tcp(receiver.address(), *[stream[at : at + 1] for at in range(len(stream))])
            await receiver.wait(6)
            await tcp(receiver.address(), stream)
            records = await receiver.wait(12)
        assert receiver.messages == ["one", "two", "a\nb!", "three", "four", "last"] * 2
        assert [record.error for record in records[:6]] == [""] * 5 + ["no LF before the connection ended"]
        assert (receiver.input.counts.unended, receiver.input.counts.connections) == (2, 2)

    asyncio.run(main())


def test_an_absurd_count_closes_the_connection_and_no_other() -> None:
    """What was read before it is kept, it is counted, and the sender sees the end."""

    async def main() -> None:
        async with (
            receiving("tcp://127.0.0.1:0") as receiver,
            connected(receiver.address()) as (reader, writer),
            connected(receiver.address()) as (_, other),
        ):
            writer.write(b"<13>one\n0 <13>two\n")
            assert await reader.read() == b""
            other.write(b"<13>three\n")
            await receiver.wait(3)
            assert receiver.messages == ["one", "0 <13>two", "three"]
            assert receiver.input.counts.broken == 1

    asyncio.run(main())


def test_a_slow_peer_holds_up_nobody() -> None:
    """One has sent half a message for good; another sends thousands."""

    async def main() -> None:
        async with receiving("tcp://127.0.0.1:0") as receiver:
            async with connected(receiver.address()) as (_, half):
                half.write(b"100 <13>half")
                await tcp(receiver.address(), *[line + b"\n" for line in numbered(5000)])
                await receiver.wait(5000)
                assert receiver.messages == [f"number {number}" for number in range(5000)]
            await receiver.wait(5001)

    asyncio.run(main())


def test_many_idle_connections_and_limits() -> None:
    """Idle connections cost nothing to the one that sends; those over a limit are closed at once and counted; room is given again."""

    async def main() -> None:
        async with receiving("tcp://127.0.0.1:0", max_connections=40, max_connections_per_address=30) as receiver:
            async with contextlib.AsyncExitStack() as stack:
                pairs = [await stack.enter_async_context(connected(receiver.address())) for _ in range(30)]
                await receiver.until(lambda: receiver.input.counters()["open"] == 30)
                async with connected(receiver.address()) as (reader, _):
                    assert await reader.read() == b""
                assert receiver.input.counts.refused == 1
                pairs[17][1].write(b"<13>still\n")
                await receiver.wait(1)
                pairs[3][1].close()
                await receiver.until(lambda: receiver.input.counters()["open"] == 29)
                await tcp(receiver.address(), b"<13>again\n")
                await receiver.wait(2)
            await receiver.until(lambda: receiver.input.counters()["open"] == 0)

    asyncio.run(main())


def test_a_silent_connection_is_closed_in_time() -> None:
    """After idle_timeout, not before; what had begun is delivered."""

    async def main() -> None:
        async with receiving("tcp://127.0.0.1:0", idle_timeout="1s") as receiver, connected(receiver.address()) as (reader, writer):
            for _ in range(12):
                writer.write(b"<13>")
                await asyncio.sleep(0.1)
            assert receiver.input.counts.idle == 0
            assert await reader.read() == b""
            await receiver.wait(1)
            assert receiver.input.counts.idle == 1

    asyncio.run(main())


def test_without_descriptors_it_rests_and_goes_on() -> None:
    """No descriptor left: no spinning, others are still read, and the connection is taken when there is one again."""

    async def main() -> None:
        async with receiving("tcp://127.0.0.1:0", "udp://127.0.0.1:0") as receiver:
            sockets = [socket.socket() for _ in range(2)]
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            spare = []
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (max(each.fileno() for each in sockets) + 20, hard))
                try:
                    while True:
                        spare.append(os.dup(0))
                except OSError as problem:
                    assert problem.errno == errno.EMFILE
                sockets[0].connect(receiver.address())
                sockets[0].sendall(b"<13>waits\n")
                before = os.times().user + os.times().system
                await receiver.until(lambda: receiver.input.counts.accept_failures > 0)
                await asyncio.sleep(0.5)
                assert os.times().user + os.times().system - before < 0.3
                assert receiver.input.counts.accept_failures == 1
                while spare:
                    os.close(spare.pop())
                await receiver.wait(1)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
                for descriptor in spare:
                    os.close(descriptor)
                for each in sockets:
                    each.close()

    asyncio.run(main())


def test_a_reset_connection_loses_nothing_that_was_read() -> None:
    """RST instead of FIN: the lines before it are there."""

    async def main() -> None:
        async with receiving("tcp://127.0.0.1:0") as receiver:
            with socket.create_connection(receiver.address()) as sender:
                sender.sendall(b"<13>one\n<13>tw")
                await receiver.wait(1)
                sender.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            await receiver.wait(2)
            assert receiver.messages == ["one", "tw"]

    asyncio.run(main())


def test_only_allowed_networks_may_send() -> None:
    """A datagram or connection from elsewhere is counted, and no record."""

    async def main() -> None:
        async with receiving("udp://127.0.0.1:0", "tcp://127.0.0.1:0", allow=["192.0.2.0/24", "::/0"]) as receiver:
            udp(receiver.address(0), b"<13>no")
            await tcp(receiver.address(1), b"<13>neither\n")
            await receiver.until(lambda: receiver.input.counts.denied == 2)
        assert receiver.records == []
        async with receiving(allow=["127.0.0.0/8"]) as receiver:
            udp(receiver.address(0), b"<13>yes")
            await receiver.wait(1)

    asyncio.run(main())


def test_strangers_cannot_fill_our_log() -> None:
    """Each refusal is said once, in one line whatever is in it; of very many, that there are others."""
    lines: list[str] = []
    sink = logger.add(lambda line: lines.append(str(line)), format="{message}")
    senders = Senders([ip_network("192.0.2.0/24")])
    for number in range(500):
        assert not senders.allowed(f"198.51.100.{number % 250}")
        senders.refused("198.51.100.7", "its certificate is not permitted: a\nb\x1b[31m")
    logger.remove(sink)
    assert 90 < len(lines) <= 101
    assert all(line.count("\n") == 1 and "\x1b" not in line for line in lines)
    assert "others" in lines[-1]


def test_unix_socket(tmp_path: Path) -> None:
    """Its mode is as configured, messages of its senders are this host's, and a stale one is replaced; one in use, or a file, is not."""
    path = tmp_path / "log"

    async def main() -> None:
        for _ in range(2):
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as killed:  # what a process leaves that is killed
                killed.bind(str(path))
            async with receiving(f"unix://{path}", host="here.example.com", socket_mode="0622") as receiver:
                assert stat.S_IMODE(path.stat().st_mode) == 0o622
                with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                    sender.connect(str(path))
                    sender.send(b"<22>Aug 30 16:53:05 imapd[7]: hello")
                    sender.send(b"<22>" + b"x" * 70_000)
                record, cut = await receiver.wait(2)
                assert (record.host, record.process, record.pid, record.source) == ("here.example.com", "imapd", 7, None)
                assert cut.error == "datagram cut after 65536 octets"
                with pytest.raises(Failure, match="in use"):
                    make("other", receiver.input._section, Reading()).bind()

    asyncio.run(main())
    path.write_text("mine")
    with pytest.raises(Failure, match="in use"):
        make("other", Section(type="syslog", listen=(f"unix://{path}",)), Reading()).bind()
    assert path.read_text() == "mine"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a socket to another user")
def test_a_unix_socket_is_given_to_the_user_that_root_becomes(tmp_path: Path) -> None:
    """With its mode; the user can remove it at the stop, also where only owners can, as in /tmp."""
    here = tmp_path
    while here != here.parent:  # pytest makes these for root alone
        here.chmod(here.stat().st_mode | 0o011)
        here = here.parent
    tmp_path.chmod(0o1777)
    for given in (True, False):
        path = tmp_path / f"log-{given}"
        input = make("net", Section(type="syslog", listen=(f"unix://{path}",), socket_mode="0620"), Reading())
        input.bind()
        if given:
            input.give(65534, 65533)
            status = path.stat()
            assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (65534, 65533, 0o620)
        for sock in input._sockets.values():
            sock.close()
        if (child := os.fork()) == 0:
            try:
                os.setgroups([])
                os.setgid(65533)
                os.setuid(65534)
                input.close()
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        assert path.exists() is not given


def test_a_unix_socket_goes_with_its_input(tmp_path: Path) -> None:
    """Unless another input has it too."""
    path = tmp_path / "log"
    section = Section(type="syslog", listen=(f"unix://{path}",))
    first, second = make("net", section, Reading()), make("net", section, Reading())
    first.bind()
    second.bind(first)
    first.close()
    assert path.is_socket()
    second.close()
    assert not path.exists()


def test_what_finds_no_room_before_the_end_is_counted() -> None:
    """A stop that is cut short while the outputs take nothing: what was read and not handed over, and what waits in the kernel, of datagrams and
    of connections, is counted; what was in a batch is for the outputs to count."""

    async def main() -> None:
        input = make("net", Section(type="syslog", listen=("udp://127.0.0.1:0", "tcp://127.0.0.1:0")), Reading())
        input.bind()
        receiver = Receiver(input)
        receiver.gate.clear()
        running = asyncio.create_task(input.run(receiver.deliver, NoPlaces(), receiver.stop))
        await receiver.until(lambda: len(input.addresses) == 2)
        udp(receiver.address(), *numbered(1))
        await receiver.until(lambda: input.counts.received == 1)
        udp(receiver.address(), *numbered(150, 1))
        async with connected(receiver.address(1)) as (_, writer):
            writer.write(b"".join(message + b"\n" for message in numbered(50, 151)))
            await writer.drain()
            await asyncio.sleep(1)  # it has read them; what of TCP is not read is no one's loss
            receiver.stop.set()
            running.cancel()
            await asyncio.wait([running])
        assert (input.counts.received, input.counts.lost) == (1, 200)
        input.close()

    said: list[str] = []
    heard = logger.add(lambda line: said.append(str(line)), format="{message}")
    try:
        asyncio.run(main())
    finally:
        logger.remove(heard)
    assert any("input 'net': 200 messages are lost" in one for one in said), said


def test_what_comes_after_the_last_look_is_counted() -> None:
    """Datagrams that arrive while the last batch is handed over are lost with the socket, and counted; what another input has too is not."""

    async def main() -> None:
        for handed_on in (False, True):
            input = make("net", Section(type="syslog", listen=("udp://127.0.0.1:0",)), Reading())
            input.bind()
            receiver = Receiver(input)
            running = asyncio.create_task(input.run(receiver.deliver, NoPlaces(), receiver.stop))
            await receiver.until(lambda: bool(input.addresses))  # noqa: B023
            udp(receiver.address(), *numbered(3))
            await receiver.wait(3)
            receiver.stop.set()
            await running
            other = make("net", input._section, Reading())
            if handed_on:
                other.bind(input)
            udp(receiver.address(), *numbered(5, 3))
            input.close()
            assert (input.counts.received, input.counts.lost) == (3, 0 if handed_on else 5)
            other.close()

    asyncio.run(main())


def test_a_taken_port_is_a_failure_before_anything_runs() -> None:
    """`bind` says which address cannot be had, and leaves no socket open."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        input = make("net", Section(type="syslog", listen=("udp://127.0.0.1:0", f"tcp://127.0.0.1:{port}")), Reading())
        with pytest.raises(Failure, match=f"tcp://127.0.0.1:{port}") as failure:
            input.bind()
        assert failure.value.number == "R507"
        assert not input._sockets


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"listen": ["udp://localhost:514"]}, "ADDRESS is an IP address"),
        ({"listen": ["udp://127.0.0.1:65536"]}, "65535"),
        ({"listen": ["udp://1.2.3:514"]}, "no IP address"),
        ({"listen": ["unix://relative"]}, "unix:///PATH"),
        ({"listen": []}, "at least 1"),
        ({"listen": ["tls://127.0.0.1:6514"]}, "belong together"),
        ({"tls": {"certificate": "c", "key": "k", "clients": "anon"}}, "belong together"),
        ({"listen": ["tls://127.0.0.1:6514"], "tls": {"certificate": "c", "key": "k"}}, "clients"),
        ({"listen": ["tls://127.0.0.1:6514"], "tls": {"certificate": "c", "key": "k", "clients": "certificate"}}, "client_ca"),
        ({"listen": ["tls://127.0.0.1:1"], "tls": {"certificate": "c", "key": "k", "clients": "permitted", "client_ca": "a"}}, "permitted"),
        ({"allow": ["192.0.2.1/24"]}, "host bits"),
        ({"max_mesage": 1}, "Extra inputs"),
    ],
)
def test_a_wrong_section_is_refused(settings: dict[str, Any], said: str) -> None:
    """Each mistake is told in words."""
    with pytest.raises(ValidationError, match=said):
        Section.model_validate({"type": "syslog", **settings})


def test_the_default_is_not_open_to_the_network() -> None:
    """Without `listen` it is UDP on the loopback address."""
    assert Section(type="syslog").listen == ("udp://127.0.0.1:5514",)


def test_one_address_needs_no_list() -> None:
    """A single text is a list of one."""
    assert Section(type="syslog", listen="udp://127.0.0.1:5514", allow="192.0.2.0/24") == Section(  # type: ignore[arg-type]
        type="syslog", listen=("udp://127.0.0.1:5514",), allow=("192.0.2.0/24",)
    )
