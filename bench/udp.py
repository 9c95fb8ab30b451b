"""How many syslog datagrams a second a program turns into JSON lines without losing one, and what one costs it, beside the peers.

The sender is this process, on another CPU than the receiver where there is one, and even in time; the receiver is a whole program on one CPU, with
a buffer of four MiB in the kernel where it can be set, and writes to a file. The largest rate without loss is searched by halving.
"""

from __future__ import annotations

import argparse
import os
import socket
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from bench import corpus, following, report
from bench.measure import POLL, Child, Count
from bench.peers import Peer, title

HEADER = b"<22>Aug 30 16:53:05 mail.example.com imta[411]: "
OTHER = b"<86>Aug 30 16:53:05 mail.example.com sshd[911]: Accepted publickey for adam from 192.0.2.7 port 51234 ssh2: " + b"x" * 190
SLOWEST, FASTEST = 4_000.0, 300_000.0
"""Datagrams a second between which the rate is searched."""
QUIET = 1.2
"""Seconds without another line after which none comes any more: some programs look at their output once a second."""


class Receiver(NamedTuple):
    """One program: `start(folder, port, output)` writes its configuration into the folder and says how it is started."""

    name: str
    how: str
    start: Callable[[Path, int, Path], Sequence[str]]
    env: dict[str, str] = {}  # noqa: RUF012
    mark: bytes = b"\n"


class Probe(NamedTuple):
    """One rate: datagrams sent and turned into lines; seconds from the first sent to the last line written, as what a program only holds in
    its memory is not done; CPU seconds of the receiver."""

    sent: int
    read: int
    seconds: float
    cpu: float

    @property
    def rate(self) -> float:
        return self.sent / self.seconds

    @property
    def held(self) -> bool:
        return self.read >= self.sent


class Found(NamedTuple):
    """The fastest probe without loss, None if there was none; `limited`: the sender could not send faster."""

    name: str
    how: str
    best: Probe | None
    limited: bool
    rss: int


def ours(profile: str) -> Receiver:
    def start(folder: Path, port: int, output: Path) -> Sequence[str]:
        target: dict[str, object] = {"type": "jsonl", "path": str(output), "profile": profile, "buffer": {"kind": "memory"}}
        return following.run_command(folder, {"type": "syslog", "listen": [f"udp://127.0.0.1:{port}"]}, target)

    return Receiver(f"shipper, {profile}", "run, all fields of the record", start)


def theirs(peer: Peer) -> Receiver:
    def start(folder: Path, port: int, output: Path) -> Sequence[str]:
        return peer.command("udp", "mta", folder / "state", source=port, target=output)

    return Receiver(title(peer), peer.ways["udp"].how, start, peer.environment(), peer.mark)


def receivers(peers: Sequence[Peer]) -> list[Receiver]:
    return [ours("native"), *[theirs(peer) for peer in peers if "udp" in peer.ways]]


def messages(log: Path, count: int) -> list[bytes]:
    """MTA records behind a header of RFC 3164."""
    with log.open("rb") as source:
        return [HEADER + source.readline().rstrip(b"\n") for _ in range(count)]


def search(holds: Callable[[float], bool], low: float, high: float, steps: int) -> None:
    """Looks for the largest rate that holds, between these two, by halving the octaves that are left; `holds` notes what it saw."""
    for _ in range(steps):
        middle = (low * high) ** 0.5
        if holds(middle):
            low = middle
        else:
            high = middle


def send(sender: socket.socket, bodies: Sequence[bytes], rate: float, seconds: float) -> int:
    """Sends at this rate, in time as even as a process can, and never more than a hundredth of a second's worth at once; or as fast as it can.
    Returns how many were sent."""
    put, kinds, sent = sender.send, len(bodies), 0
    most = max(1, int(rate / 100))
    wanted = max(1, int(rate * seconds))
    began = time.perf_counter()
    while sent < wanted:
        passed = time.perf_counter() - began
        if passed > 2 * seconds:
            break
        due = min(wanted, int(passed * rate) + 1, sent + most)
        for index in range(sent, due):
            put(bodies[index % kinds])
        sent = max(sent, due)
    return sent


class Running:
    """A program that receives, and what sends to it. Raises Failed when it receives nothing."""

    def __init__(self, one: Receiver, bodies: Sequence[bytes], cpus: set[int], scratch: Path) -> None:
        self.name, self.probes = one.name, list[Probe]()
        folder = Path(tempfile.mkdtemp(dir=scratch))
        self._bodies, self._output = bodies, folder / "output"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as place:
            place.bind(("127.0.0.1", 0))
            port = int(place.getsockname()[1])
        self._child = Child(one.start(folder, port, self._output), cpus, one.env)
        self._count = Count(self._output, one.mark)
        self._sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._sender.connect(("127.0.0.1", port))
            _wake(self._child, self._sender, bodies[0], self._count)
        except BaseException:
            self.close()
            raise

    def probe(self, rate: float, seconds: float) -> Probe:
        """Sends for so long."""
        report.progress(f"UDP: {self.name} at {rate:,.0f} a second")
        before, cpu = self._count.now(), self._child.cpu()
        began = time.monotonic()
        sent = send(self._sender, self._bodies, rate, seconds)
        seen, last = _settled(self._count, before + sent)
        self.probes.append(Probe(sent, seen - before, last - began, self._child.cpu() - cpu))
        return self.probes[-1]

    def close(self) -> int:
        """Ends it; the largest memory it had, in octets."""
        self._child.kill()
        rss = self._child.cost().rss
        self._count.close()
        self._sender.close()
        self._output.unlink(missing_ok=True)
        return rss


def measure(one: Receiver, bodies: Sequence[bytes], seconds: float, steps: int, cpus: set[int], scratch: Path) -> Found:
    """Starts the program, and searches its rate. Raises Failed when it receives nothing."""
    running = Running(one, bodies, cpus, scratch)
    try:
        search(lambda rate: running.probe(rate, seconds).held, SLOWEST, FASTEST, steps)
    finally:
        rss = running.close()
    good = [probe for probe in running.probes if probe.held]
    best = max(good, key=lambda probe: probe.rate, default=None)
    limited = best is not None and len(good) == len(running.probes)
    return Found(one.name, one.how, best, limited, rss)


def _wake(child: Child, sender: socket.socket, body: bytes, count: Count) -> None:
    """Sends one now and then until it comes out."""
    end = time.monotonic() + 30
    while not count.now():
        if child.ended() or time.monotonic() > end:
            raise child.failed("received nothing")
        try:
            sender.send(body)
        except ConnectionRefusedError:
            pass
        time.sleep(0.1)
    _settled(count, 1 << 62)


def _settled(count: Count, wanted: int) -> tuple[int, float]:
    """The records in the output, when there are so many, or when no more come; and when the last of them came."""
    seen, heard = count.now(), time.monotonic()
    while seen < wanted and time.monotonic() - heard < QUIET:
        time.sleep(POLL)
        new = count.now()
        if new > seen:
            seen, heard = new, time.monotonic()
    return seen, heard


def main() -> None:
    """`python -m bench.udp`: us alone at these rates, and of each run what was lost and what a datagram cost."""
    parser = argparse.ArgumentParser(description="UDP syslog to JSON lines, at some rates")
    parser.add_argument("--rate", type=float, nargs="+", default=[50_000.0, 100_000.0, 150_000.0, 200_000.0], help="datagrams a second")
    parser.add_argument("--seconds", type=float, default=2.0, help="for how long each")
    parser.add_argument("--runs", type=int, default=3, help="how often")
    parser.add_argument("--profile", default="native", help="how records are written")
    parser.add_argument("--others", action="store_true", help="messages of another program, and not of the MTA")
    parser.add_argument("--cpus", type=int, default=1, help="how many CPUs it has")
    told = parser.parse_args()
    have = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as scratch:
        bodies = [OTHER] if told.others else messages(corpus.generated(following.SHIPPER, Path(scratch), 5000)["mta"], 5000)
        os.sched_setaffinity(0, set(have[: -told.cpus]) or set(have))
        running = Running(ours(told.profile), bodies, set(have[-told.cpus :]), Path(scratch))
        try:
            for rate in told.rate * told.runs:
                probe = running.probe(rate, told.seconds)
                lost, each = probe.sent - probe.read, probe.cpu / max(1, probe.read) * 1e6
                print(f"{rate:9,.0f} wanted {probe.rate:9,.0f} a second {lost:9,} lost {each:6.2f} µs of CPU", flush=True)
        finally:
            print(f"{running.close() >> 20} MiB")


if __name__ == "__main__":
    main()
