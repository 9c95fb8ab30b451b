"""Datagrams taken by the compiled twin are the same as by Python: octets, senders, counts, what is said of long ones."""

from __future__ import annotations

import asyncio
import random
import socket
import subprocess
import sys
import time
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from shipper import compiled
from shipper.inputs.syslog.address import Address, bind, buffer
from shipper.inputs.syslog.counts import Counts
from shipper.inputs.syslog.datagrams import Datagrams, Drained
from shipper.inputs.syslog.inbox import Inbox, Taken
from shipper.inputs.syslog.senders import Senders

MODULE, WHY = compiled.find()
pytestmark = pytest.mark.skipif(MODULE is None, reason=f"no compiled twin: {WHY}")

LIMIT = 600


def read(
    address: Address, sent: list[bytes], senders: list[str], allow: str, twin: Any, *, in_thread: bool = False
) -> tuple[list[bytes], list[str], dict[int, str], Counts]:
    """What an inbox has, without what is framing, and what is counted, when these were sent to a socket by senders at these addresses, in turn."""
    sock = bind(address, receive_buffer=1 << 20, mode=0o600)
    inbox, counts = Inbox(), Counts()
    allowed = Senders([ip_network(allow)] if allow else [])
    told = (address, sock, inbox, counts, allowed, LIMIT)
    datagrams = Datagrams(*told) if twin is None else Drained(*told, twin=twin)
    family = sock.family
    with sock:
        made = []
        for sender in senders:
            made.append(socket.socket(family, socket.SOCK_DGRAM))
            if sender:
                made[-1].bind((sender, 0))
        for number, octets in enumerate(sent):
            made[number % len(made)].sendto(octets, sock.getsockname())
        for each in made:
            each.close()

        async def empty() -> list[Taken]:
            if in_thread:
                datagrams.start()
                await asyncio.wait_for(inbox.ready.wait(), 20)
                datagrams.stop()
            datagrams.empty()
            taken: list[Taken] = []
            while some := inbox.take():
                taken += some
            return taken

        every = asyncio.run(empty())
    found: tuple[list[bytes], list[str], dict[int, str]] = ([], [], {})
    for some in every:
        found[2].update({number + len(found[0]): error for number, error in some.wrong.items()})
        listed = (some.messages, some.peers) if isinstance(some.messages, list) else some.messages.part(0, len(some.messages))
        found[0].extend([message.rstrip(b"\r\n\0") for message in listed[0]])
        found[1].extend(listed[1])
    return *found, counts


def messages(seed: int) -> list[bytes]:
    """Datagrams of all lengths around those that matter."""
    rng = random.Random(seed)
    lengths = (0, 1, 2, 3, 4, 50, 300, LIMIT - 1, LIMIT, LIMIT + 1, 9000)
    some = [rng.randbytes(rng.choice(lengths)) for _ in range(300)]
    return (
        [*some, b"", b"\r\n", b"\0", b"\n\n\n", b"   ", b"abc", b"\r\n\0\n"]
        if seed % 2
        else [b"<22>Aug 30 16:53:05 mail imta[411]: text"] * 300
    )


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("allow", ["", "127.0.0.2/32", "127.0.0.0/8"])
def test_udp_is_the_same(seed: int, allow: str) -> None:
    """From senders that may send and others."""
    address = Address("udp", "127.0.0.1")
    sent, senders = messages(seed), ["127.0.0.2", "127.0.0.3"]
    plain = read(address, sent, senders, allow, None)
    assert read(address, sent, senders, allow, MODULE) == plain
    assert read(address, sent, senders, allow, MODULE, in_thread=True) == plain


def test_ipv6_is_the_same() -> None:
    """Addresses are written as Python writes them."""
    address = Address("udp", "::1")
    try:
        bind(address, receive_buffer=4096, mode=0).close()
    except Exception:
        pytest.skip("no IPv6 here")
    assert read(address, messages(1), ["::1"], "", MODULE) == read(address, messages(1), ["::1"], "", None)


@pytest.mark.parametrize("packed, interface", [("::1.2.3.4", 0), ("::ffff:1.2.3.4", 0), ("2001:db8:0:0:1::1", 0), ("fe80::1", 1)])
def test_a_name_is_what_python_says(packed: str, interface: int) -> None:
    """Also of an address that names its interface."""
    from shipper.inputs.syslog.datagrams import _name

    wanted = socket.getnameinfo((packed, 1, 0, interface), socket.NI_NUMERICHOST)[0]
    assert _name(socket.inet_pton(socket.AF_INET6, packed), interface) == wanted


def test_unix_is_the_same(tmp_path: Path) -> None:
    """Programs of this machine have no address, and a queue for few."""
    sent = [b"<22>Aug 30 16:53:05 mail imta[411]: text", b"", b"\0", b"abc", b"x" * LIMIT, b"x" * (LIMIT + 1), b"x" * 70000]
    found = [read(Address("unix", str(tmp_path / name)), sent, [""], "", twin) for name, twin in (("a", MODULE), ("b", None))]
    assert found[0] == found[1]
    assert set(found[0][1]) == {""}


def test_a_flood_waits_in_the_kernel() -> None:
    """While nobody takes what the thread has read, it reads no more than some batches; then it goes on, in order, and nothing is lost or twice."""
    sock = bind(Address("udp", "127.0.0.1"), receive_buffer=128 << 20, mode=0)
    if buffer(sock) < 128 << 20:
        pytest.skip("the kernel's buffer is too small")
    inbox, counts = Inbox(), Counts()
    drained = Drained(Address("udp", "127.0.0.1"), sock, inbox, counts, Senders(), LIMIT, twin=MODULE)
    sent = 100_000

    async def main() -> list[bytes]:
        drained.start()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.connect(sock.getsockname())
            for number in range(sent):
                sender.send(b"%d" % number)
        last = time.monotonic() + 20
        while drained.waiting()[0] <= 16 * 4096 and time.monotonic() < last:
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.2)
        assert 16 * 4096 < drained.waiting()[0] < 20 * 4096
        found: list[bytes] = []
        while len(found) < sent:
            await asyncio.wait_for(inbox.ready.wait(), 20)
            taken = inbox.take()
            assert len(taken) <= 1, "what is taken is not what waits, and the thread reads on"
            for some in taken:
                assert not isinstance(some.messages, list)
                assert len(some.messages) <= 4096
                found += some.messages.part(0, len(some.messages))[0]
            inbox.reopen()
        drained.stop()
        return found

    with sock:
        assert asyncio.run(main()) == [b"%d" % number for number in range(sent)]


UNREAD = """
import asyncio, resource, socket, sys
from shipper import compiled
from shipper.inputs.syslog.address import Address, bind
from shipper.inputs.syslog.counts import Counts
from shipper.inputs.syslog.datagrams import Drained
from shipper.inputs.syslog.inbox import Inbox
from shipper.inputs.syslog.senders import Senders
import os

sock = bind(Address("udp", "127.0.0.1"), receive_buffer=1 << 20, mode=0)
inbox = Inbox()
drained = Drained(Address("udp", "127.0.0.1"), sock, inbox, Counts(), Senders(), 600, twin=compiled.find().module)
limits = resource.getrlimit(resource.RLIMIT_NPROC)
resource.setrlimit(resource.RLIMIT_NPROC, (0, limits[1]))
if os.getuid() == 0:
    os.setresuid(65534, 65534, 0)  # root has no limit; it comes back by its saved id

async def main():
    drained.start()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for number in range(6):
            sender.sendto(b"text %d" % number, sock.getsockname())
            if number == 3:
                if os.getresuid()[2] == 0:
                    os.setresuid(0, 0, 0)
                resource.setrlimit(resource.RLIMIT_NPROC, limits)
            await asyncio.wait_for(inbox.ready.wait(), 20)
            while taken := inbox.take():
                for some in taken:
                    packed = not isinstance(some.messages, list)
                    print(packed, *(some.messages.part(0, len(some.messages))[0] if packed else some.messages))
            inbox.reopen()
    drained.stop()

asyncio.run(main())
"""


def test_without_a_thread_the_loop_reads() -> None:
    """Where the system gives none, as the limit of processes is reached: every datagram comes, what the reason is, is said once; and the thread
    reads when there is one again."""
    done = subprocess.run([sys.executable, "-c", UNREAD], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines == [f"{number >= 3} b'text {number}'" for number in range(6)]
    assert done.stderr.count("Resource temporarily unavailable") == 1 and "udp://127.0.0.1" in done.stderr


def test_who_asks_what_waits_keeps_nothing_from_the_loop() -> None:
    """Status and metrics ask between what the thread says and the loop that hears it: what was read is delivered, and what comes then is read."""
    address = Address("udp", "127.0.0.1")
    sock = bind(address, receive_buffer=1 << 20, mode=0)
    inbox = Inbox()
    drained = Drained(address, sock, inbox, Counts(), Senders(), LIMIT, twin=MODULE)

    async def main() -> None:
        drained.start()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for _ in range(3):
                sender.sendto(b"text", sock.getsockname())
                for _ in range(2):
                    await asyncio.sleep(0)  # the loop sees that there is something
                last = time.monotonic() + 20
                while drained.waiting() != (1, 4):
                    assert time.monotonic() < last
                    time.sleep(0.01)
                time.sleep(0.1)  # the thread has found nothing more, and has said so
                assert drained.waiting() == (1, 4)
                await asyncio.wait_for(inbox.ready.wait(), 20)
                assert [len(some.messages) for some in inbox.take()] == [1]
                inbox.reopen()
        drained.stop()

    with sock:
        asyncio.run(main())
