"""`shipper run` when what is around it fails: its disk, its clock, its state, its descriptors. Nothing is lost, nothing spins, all of it heals."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.service import TELEMETRY, Running, append, free_port, numbers, running, shipper

GOLDEN = Path(__file__).parent / "state"

SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
/* While the file $FAULT_WHILE is there, calls on paths that begin with $FAULT_ON fail; a write does half of its work before it does.
   The wall clock goes wrong by as many seconds as the file $CLOCK says. */
static int fails(int fd) {
  char link[64], path[4096]; const char *on = getenv("FAULT_ON"), *flag = getenv("FAULT_WHILE");
  if (!on || !flag) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, path, sizeof path - 1); if (n < 0) return 0;
  path[n] = 0; return !strncmp(path, on, strlen(on)) && !access(flag, F_OK);
}
ssize_t write(int fd, const void *p, size_t n) {
  ssize_t (*real)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
  if (fails(fd)) { if (n > 1) real(fd, p, n / 2); errno = ENOSPC; return -1; }
  return real(fd, p, n);
}
int fsync(int fd) { int (*real)(int) = dlsym(RTLD_NEXT, "fsync"); if (fails(fd)) { errno = EIO; return -1; } return real(fd); }
int fdatasync(int fd) { int (*real)(int) = dlsym(RTLD_NEXT, "fdatasync"); if (fails(fd)) { errno = EIO; return -1; } return real(fd); }
int clock_gettime(clockid_t c, struct timespec *t) {
  static int (*real)(clockid_t, struct timespec *); if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
  int answer = real(c, t); long off = 0; const char *name = getenv("CLOCK");
  if (name && c == CLOCK_REALTIME) { FILE *f = fopen(name, "r"); if (f) { if (fscanf(f, "%ld", &off) != 1) off = 0; fclose(f); } }
  t->tv_sec += off; return answer;
}
"""


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A library that lets calls of the service fail."""
    if not shutil.which("cc"):
        pytest.skip("no C compiler here")
    home = tmp_path_factory.mktemp("shim")
    (home / "shim.c").write_text(SHIM)
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", "shim.so", "shim.c", "-ldl"], cwd=home, check=True)
    return str(home / "shim.so")


@contextmanager
def mounted(*command: str, at: Path) -> Iterator[None]:
    """A file system of the test's own."""
    at.mkdir(exist_ok=True)
    if os.geteuid() != 0 or subprocess.run(["mount", *command, str(at)], capture_output=True, check=False).returncode:
        pytest.skip("no file systems can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(at)], check=True)


def cpu(service: Running) -> float:
    """Seconds that the process has worked."""
    fields = Path(f"/proc/{service.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def until_all(service: Running, count: int, seconds: float = 15) -> None:
    """Waits for every record, however often."""
    last = time.monotonic() + seconds
    while set(numbers(service.out)) != set(range(count)):
        assert time.monotonic() < last, f"{count - len(set(numbers(service.out)))} records are missing"
        assert service.process.poll() is None, service.rest()
        time.sleep(0.05)


@pytest.mark.parametrize("where", ["state/checkpoints", "state/spool", "out.jsonl", "state"])
def test_a_disk_that_fails_and_heals(tmp_path: Path, shim: str, where: str) -> None:
    """Half a write and then no room, EIO of fsync: for checkpoints, spool, output, and all of the state. It stays, waits without spinning,
    says so in a line or two, and goes on within 10 s after; every record is there once."""
    flag = tmp_path / "broken"
    with running(tmp_path, LD_PRELOAD=shim, FAULT_ON=f"{tmp_path}/{where}", FAULT_WHILE=str(flag)) as service:
        append(service.log, 0, 100)
        service.until_written(100)
        flag.touch()
        before = cpu(service)
        append(service.log, 100, 500)
        time.sleep(1.5)
        assert cpu(service) - before < 0.6
        flag.unlink()
        append(service.log, 600, 100)
        until_all(service, 700, 10)
        assert service.stop() == 0
    assert len([one for one in service.told if " INFO " not in one]) <= 2
    assert numbers(service.out) == list(range(700))


@pytest.mark.parametrize("full", ["state", "output"])
def test_a_full_disk(tmp_path: Path, full: str) -> None:
    """A real file system without room, for the state or for the output: nothing is lost and nothing comes twice when there is room again."""
    disk = tmp_path / "disk"
    with mounted("-t", "tmpfs", "-o", "size=1m", "none", at=disk):
        out = disk / "out.jsonl" if full == "output" else tmp_path / "out.jsonl"
        config = (
            f"state: {disk if full == 'state' else tmp_path}/state\n{TELEMETRY}"
            f"inputs:\n  mail: {{type: file, paths: ['{tmp_path}/in/*.log'], poll: 50ms}}\n"
            f"outputs:\n  out: {{type: jsonl, path: {out}, profile: native}}\n"
        )
        with running(tmp_path, config=config) as service:
            service.out = out
            append(service.log, 0, 100)
            service.until_written(100)
            (disk / "filler").write_bytes(b"")
            with (disk / "filler").open("wb", buffering=0) as filler:
                try:
                    while filler.write(bytes(1 << 16)):
                        pass
                except OSError:
                    pass
            append(service.log, 100, 500)
            service.until_told("no room" if full == "state" else "no space")
            assert service.process.poll() is None
            (disk / "filler").unlink()
            until_all(service, 600, 12)
            assert service.stop() == 0
        assert numbers(out) == list(range(600))


def test_power_cuts(tmp_path: Path) -> None:
    """What the disk holds at any moment is enough to go on from: no record is lost. What was delivered more than two seconds before the cut
    does not come again."""
    image, disk = tmp_path / "image.0", tmp_path / "disk"
    image.write_bytes(b"")
    os.truncate(image, 32 << 20)
    if not shutil.which("mkfs.ext4") or subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=False).returncode:
        pytest.skip("no mkfs.ext4 here")
    config = (
        f"state: {disk}/state\n{TELEMETRY}inputs:\n  mail: {{type: file, paths: ['{tmp_path}/in/*.log'], poll: 50ms}}\n"
        f"outputs:\n  out: {{type: jsonl, path: {disk}/out.jsonl, profile: native}}\n"
    )
    written = 0
    for cut in range(3):
        with mounted("-o", "loop,data=writeback,noauto_da_alloc", str(image), at=disk), running(tmp_path, config=config) as service:
            service.out = disk / "out.jsonl"
            append(service.log, written, 400)
            written += 400
            until_all(service, written)
            if cut == 0:
                time.sleep(2.2)
            service.process.send_signal(signal.SIGSTOP)
            image = tmp_path / f"image.{cut + 1}"
            subprocess.run(["cp", "--sparse=always", tmp_path / f"image.{cut}", image], check=True)
    with mounted("-o", "loop", str(image), at=disk), running(tmp_path, config=config) as service:
        service.out = disk / "out.jsonl"
        service.until_told("running")
        until_all(service, written)
        assert service.stop() == 0
        seen = Counter(numbers(service.out))
    assert all(seen[number] == 1 for number in range(400)), "the cut came 2 s after"


def test_the_clock_goes_wrong(tmp_path: Path, shim: str) -> None:
    """An hour back, a year forth, and to before 2026: nothing stalls, nothing spins, every record comes once."""
    clock = tmp_path / "clock"
    clock.write_text("0")
    with running(tmp_path, LD_PRELOAD=shim, CLOCK=str(clock)) as service:
        for round, off in enumerate((0, -3600, 365 * 86400, -400 * 86400, 0)):
            (tmp_path / "new").write_text(str(off))
            (tmp_path / "new").rename(clock)
            before, begin = cpu(service), time.monotonic()
            append(service.log, round * 100, 100)
            service.until_written(round * 100 + 100)
            assert time.monotonic() - begin < 14
            if round:
                time.sleep(0.3)
                assert cpu(service) - before < 0.5
        assert service.stop() == 0
    assert numbers(service.out) == list(range(500))


@pytest.mark.parametrize("damage", ["flipped", "zero", "empty", "gone"])
def test_state_that_is_damaged(tmp_path: Path, damage: str) -> None:
    """Whatever is left of the checkpoints, all copies alike, it starts, loses nothing, and keeps what was damaged."""
    with running(tmp_path) as service:
        append(service.log, 0, 300)
        service.until_written(300)
        assert service.stop() == 0
    for path in (tmp_path / "state").glob("checkpoints*"):
        octets = bytearray(path.read_bytes())
        octets[len(octets) // 2] ^= 1
        if damage == "gone":
            path.unlink()
        else:
            path.write_bytes({"flipped": bytes(octets), "zero": bytes(len(octets)), "empty": b""}[damage])
    with running(tmp_path) as service:
        append(service.log, 300, 10)
        service.until_told("running")
        until_all(service, 310)
        assert service.stop() == 0
    kept = list((tmp_path / "state").glob("checkpoints.corrupt-*"))
    assert len(kept) == (damage != "gone")
    assert any("begins from its start" in one for one in service.told) == (damage != "gone")


def test_a_spool_that_is_damaged(tmp_path: Path) -> None:
    """One octet of what waits: that record is lost, said, counted as set aside, and kept; everything else is delivered."""
    with socket.create_server(("127.0.0.1", 0)) as receiver:
        receiver.settimeout(15)
        siem = "  siem: {{type: syslog, takes: all, protocol: tcp, host: 127.0.0.1, port: {}}}\n"
        with running(tmp_path, outputs=siem.format(free_port())) as service:
            for number in range(10):
                append(service.log, number * 10, 10)
                service.until_written(number * 10 + 10)
            assert service.stop() == 0
        (segment,) = (tmp_path / "state" / "spool" / "siem").glob("*.spool")
        octets = bytearray(segment.read_bytes())
        octets[octets.index(b"user50@")] ^= 1
        segment.write_bytes(octets)
        service.config.write_text(service.yaml(outputs=siem.format(receiver.getsockname()[1])))
        with running(tmp_path) as service:
            connection, _ = receiver.accept()
            with connection:
                connection.settimeout(15)
                got = b""
                while b"user99@" not in got:
                    got += connection.recv(1 << 16)
                lost = int(re.search(r"output 'siem': (\d+) records", service.until_told("damaged or cut off"))[1])  # type: ignore[index]
                assert service.stop() == 0
    found = [int(number) for number in re.findall(rb'from="user(\d+)@', got)]
    assert len(found) == len(set(found)) == 100 - lost
    assert lost == 1 and 50 not in found
    assert list(segment.parent.glob("*.corrupt-*"))


@pytest.mark.parametrize("release", sorted(path.name for path in GOLDEN.iterdir()))
def test_the_state_of_an_earlier_release(tmp_path: Path, release: str) -> None:
    """Forty records were read, one output had them all, for the other thirty wait: it goes on exactly there, although the log has moved to
    another place and another inode."""
    shutil.copytree(GOLDEN / release / "state", tmp_path / "state")
    (tmp_path / "in").mkdir()
    shutil.copy(GOLDEN / release / "mail.log", tmp_path / "in" / "mail.log")
    with socket.create_server(("127.0.0.1", 0)) as receiver:
        receiver.settimeout(15)
        siem = f"  siem: {{type: syslog, takes: all, protocol: tcp, host: 127.0.0.1, port: {receiver.getsockname()[1]}}}\n"
        with running(tmp_path, outputs=siem) as service:
            append(service.log, 40, 5)
            connection, _ = receiver.accept()
            with connection:
                connection.settimeout(15)
                octets = b""
                while b"user44@" not in octets:
                    octets += connection.recv(1 << 16)
                service.until_written(5)
                assert service.stop() == 0
                while more := connection.recv(1 << 16):
                    octets += more
    assert numbers(service.out) == list(range(40, 45))
    assert [int(number) for number in re.findall(rb'from="user(\d+)@', octets)] == list(range(10, 45))


def test_the_state_of_a_later_release(tmp_path: Path) -> None:
    """It does not start, says why, and leaves the files as they are."""
    from shipper.checkpoints import encoded

    with running(tmp_path) as service:
        service.until_told("running")
        assert service.stop() == 0
    path = tmp_path / "state" / "checkpoints"
    path.write_bytes(encoded(b'{"number":99,"inputs":{}}', version=2))
    before = {each: each.read_bytes() for each in (tmp_path / "state").glob("checkpoints*")}
    refused = shipper("run", service.config, "--allow-root")
    assert refused.returncode == 78
    assert "newer release" in refused.stderr
    assert {each: each.read_bytes() for each in (tmp_path / "state").glob("checkpoints*")} == before


def test_a_start_right_after_a_kill(tmp_path: Path) -> None:
    """While the killed process is still a zombie: its lock is gone with it."""
    for round in range(3):
        first = Running(tmp_path)
        first.until_told("running")
        append(first.log, round * 100, 100)
        first.process.kill()
        with running(tmp_path) as second:
            second.until_told("running")
            until_all(second, round * 100 + 100)
            assert second.stop() == 0
        first.ended()


def test_few_descriptors_and_many_who_want_some(tmp_path: Path) -> None:
    """With 48 descriptors: sixty files are all read, a peer that only holds connections open keeps neither files from being read nor positions
    from being saved, and another peer gets through."""
    port = free_port()
    config = (
        f"state: {tmp_path}/state\n{TELEMETRY}inputs:\n  mail: {{type: file, paths: ['{tmp_path}/in/*.log'], poll: 50ms}}\n"
        f"  net: {{type: syslog, listen: ['tcp://127.0.0.1:{port}']}}\n"
        f"outputs:\n  out: {{type: jsonl, path: {tmp_path}/out.jsonl, profile: native}}\n"
    )
    with running(tmp_path, config=config, wrapper=("sh", "-c", 'ulimit -n 48; exec "$@"', "sh")) as service:
        service.until_told("running")
        silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(60)]
        try:
            for number in range(60):
                append(tmp_path / "in" / f"{number}.log", number * 10, 10)
            until_all(service, 600)
            before = cpu(service)
            time.sleep(0.5)
            assert cpu(service) - before < 0.25
            with socket.create_connection(("127.0.0.1", port), source_address=("127.0.0.2", 0)) as good:
                good.sendall(b"<22>Mar  2 10:00:00 mailhost app: good\n")
                last = time.monotonic() + 5
                while b'"good"' not in service.out.read_bytes():
                    assert time.monotonic() < last
                    time.sleep(0.05)
        finally:
            for each in silent:
                each.close()
        assert service.stop() == 0
    assert not [one for one in service.told if "too many open files" in one.lower()]


def test_certificates_that_are_not_there_are_a_bad_configuration(tmp_path: Path) -> None:
    """At a reload: the output that works runs on, and the file is named."""
    for output, certificates in (
        ("type: syslog, protocol: tls, host: 127.0.0.1", "tls: {ca: /nonexistent/ca.pem}"),
        ("type: otlp, endpoint: 'https://127.0.0.1:1'", "tls: {ca_file: /nonexistent/ca.pem}"),
        ("type: elasticsearch, url: 'https://127.0.0.1:1'", "tls: {ca_file: /nonexistent/ca.pem}"),
    ):
        (tmp_path / "shipper.yaml").unlink(missing_ok=True)
        with running(tmp_path) as service:
            service.until_told("running")
            service.config.write_text(service.yaml(outputs=f"  siem: {{{output}, {certificates}}}\n"))
            service.process.send_signal(signal.SIGHUP)
            assert "/nonexistent/ca.pem" in service.until_told("not taken")
            assert service.stop() == 0


def test_many_reloads_cost_nothing(tmp_path: Path) -> None:
    """Thirty under load, half of them with another output: descriptors and memory stay flat, every record comes once."""
    with running(tmp_path) as service:
        service.until_told("running")
        opened, sizes = [], []
        for round in range(30):
            append(service.log, round * 50, 50)
            service.config.write_text(service.yaml().replace("profile: native", f"profile: native, keep: {round // 2 + 1}"))
            service.told.clear()
            service.process.send_signal(signal.SIGHUP)
            service.until_told("configuration taken")
            opened.append(len(os.listdir(f"/proc/{service.process.pid}/fd")))
            sizes.append(int(Path(f"/proc/{service.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"))
        service.until_written(1500)
        assert service.stop() == 0
    assert min(opened[20:]) <= max(opened[:10]), "some are open for a moment"
    assert sizes[-1] - sizes[5] < 8 << 20
    assert numbers(service.out) == list(range(1500))
