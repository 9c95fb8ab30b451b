"""`shipper convert` as a user runs it: processes, pipes, terminals, signals, full disks."""

from __future__ import annotations

import errno
import gzip
import json
import os
import pty
import re
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR", "FORCE_COLOR")},
    "TERM": "xterm",
    "TZ": "UTC",
    "LC_ALL": "C.UTF-8",
    "SOURCE_DATE_EPOCH": "1772500000",
}
COMMAND = [sys.executable, "-m", "shipper", "convert"]
LIMIT = 150 << 20


def line(number: int, text: str = "") -> str:
    clock = f"{number // 36000 % 24:02d}:{number // 600 % 60:02d}:{number // 10 % 60:02d}.{number % 10}0"
    return (
        f"02-Mar-2026 {clock} tcp_local    ims-ms       EE 1 user{number}@example.com rfc822;bob@example.org bob@example.org"
        f" /imta/queue/ims-ms/ZZ0{number:08x}.00 <{number}{text}@example.com> mailsrv\n"
    )


def log(path: Path, lines: int) -> Path:
    path.write_text("".join(map(line, range(lines))))
    return path


def shipper(*arguments: str | Path, given: bytes = b"", **more: object) -> subprocess.CompletedProcess[bytes]:
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)], input=given, capture_output=True, env=ENVIRONMENT, timeout=60, check=False, **more
    )  # type: ignore[call-overload]
    assert b"Traceback" not in done.stdout + done.stderr
    return done  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def long_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that takes some seconds."""
    return log(tmp_path_factory.mktemp("long") / "mail.log", 150_000)


def records(octets: bytes) -> list[dict[str, object]]:
    return [json.loads(one) for one in octets.splitlines()]


def limited(kind: int, octets: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(kind, (octets, octets))


def test_a_pipe_gets_records_and_nothing_else(tmp_path: Path) -> None:
    """Standard output has JSON lines only; standard error the account, its last line the sum, no control character in either."""
    source = log(tmp_path / "mail.log", 3)
    done = shipper("--profile", "native", source)
    assert [record["sender"] for record in records(done.stdout)] == [f"user{n}@example.com" for n in range(3)]
    assert done.returncode == 0
    told = done.stderr.decode().splitlines()
    assert told[-1] == "read 3 lines = 3 written + 0 set aside"
    assert "kinds: mta 3" in told
    assert "time: 2026-03-02T00:00:00.00+00:00 to 2026-03-02T00:00:00.20+00:00" in told
    assert re.fullmatch(r"1 file in [0-9.]+ s: [0-9,]+ lines/s, [0-9.]+ MB/s", told[-2])
    assert b"\x1b" not in done.stderr + done.stdout
    assert shipper("--quiet", source).stderr == b""


def test_ecs_is_the_default(tmp_path: Path) -> None:
    """The profile that most receivers know; otel and native by name, another name is refused with the names that there are."""
    source = log(tmp_path / "mail.log", 1)
    assert "@timestamp" in records(shipper(source).stdout)[0]
    assert "timeUnixNano" in records(shipper("--profile", "otel", source).stdout)[0]
    done = shipper("--profile", "esc", source)
    assert done.returncode == 2
    assert done.stderr.decode() == (
        "error[U106]: there is no profile 'esc'\n   = did you mean 'ecs'?\n   = the profiles: native, ecs, otel\n   = help: shipper explain U106\n"
    )


@pytest.mark.parametrize(
    ("arguments", "number", "said"),
    (
        (("--timezone", "berlin"), "U102", "did you mean 'Europe/Berlin'?"),
        (("--since", "31.3.2026"), "U103", "for example 2026-03-31"),
        (("--since", "2026-03-02", "--until", "2026-03-01"), "U109", "not before"),
        (("--fields", "proces"), "U104", "did you mean 'process'?"),
        (("--format", "mta_texd"), "U105", "did you mean 'mta_text'"),
        (("--max-line", "3"), "U108", "--max-line"),
        (("--option-file", "option.dat"), "U110", "option.dat:2"),
    ),
)
def test_wrong_use_is_explained(arguments: tuple[str, ...], number: str, said: str, tmp_path: Path) -> None:
    """A number, what is wrong, what may have been meant, exit code 2, before anything is read or written."""
    (tmp_path / "option.dat").write_text("LOG_PROCESS=1\nhello there\n")
    source = log(tmp_path / "mail.log", 1)
    done = shipper(*arguments, source, "-o", "out", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.decode().startswith(f"error[{number}]: ")
    assert said in done.stderr.decode()
    assert done.stderr.decode().endswith(f"   = help: shipper explain {number}\n")
    assert not (tmp_path / "out").exists()


def test_no_path_on_a_terminal_is_wrong_use() -> None:
    """Not a hang: an example. In a pipe it is standard input."""
    master, slave = pty.openpty()
    done = subprocess.run(COMMAND, stdin=slave, capture_output=True, env=ENVIRONMENT, timeout=30, check=False)
    os.close(slave)
    os.close(master)
    assert done.returncode == 2
    assert b"error[U101]" in done.stderr and b"shipper convert mail.log -o mail.jsonl" in done.stderr
    assert len(records(shipper(given=line(1).encode()).stdout)) == 1


def test_a_pipe_is_converted_as_it_comes() -> None:
    """`tail -f mail.log_current | shipper convert -`: a record comes out before the next line goes in."""
    process = subprocess.Popen([*COMMAND, "-q", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=ENVIRONMENT)
    assert process.stdin and process.stdout
    for number in range(3):
        process.stdin.write(line(number).encode())
        process.stdin.flush()
        assert select.select([process.stdout], [], [], 20)[0], "no record came out"
        assert f"user{number}@" in process.stdout.readline().decode()
    process.stdin.close()
    assert process.wait(20) == 0
    process.stdout.close()


def test_fields_and_option_file_say_what_stands_where(tmp_path: Path) -> None:
    """What a server's own option.dat turns on is what its records have."""
    (tmp_path / "option.dat").write_text("! more\nlog_process = 1\nLOG_USERNAME=1\nLOG_DIAGNOSTICS=0\n")
    text = "02-Mar-2026 10:00:00.00 1e4.2.1 tcp_local    ims-ms       E 1 a@example.com rfc822;b@example.org b@example.org 8bits\n"
    (tmp_path / "mail.log").write_text(text)
    by_file = shipper("-p", "native", "--option-file", tmp_path / "option.dat", tmp_path / "mail.log")
    by_name = shipper("-p", "native", "--fields", "process,username", tmp_path / "mail.log")
    assert by_file.stdout == by_name.stdout
    assert records(by_file.stdout)[0]["username"] == "8bits"


def test_raw_host_format_and_strict(tmp_path: Path) -> None:
    """`--raw`, `--host`, `--format` reach the records, and --strict makes a line that cannot be read an exit code."""
    source = tmp_path / "mail.log"
    source.write_text(line(1) + "02-Mar-2026 10:00:0x no\n")
    first, second = records(shipper("-p", "native", source, "--host", "mail1").stdout)
    assert (first["host"], "raw" in first, second["raw"]) == ("mail1", False, "02-Mar-2026 10:00:0x no")
    assert all("raw" in record for record in records(shipper("-p", "native", source, "--raw", "always").stdout))
    assert not any("raw" in record for record in records(shipper("-p", "native", source, "--raw", "never").stdout))
    assert shipper(source).returncode == 0
    done = shipper(source, "--strict")
    assert done.returncode == 1
    assert f"{source}:2 (octet {len(line(1))}): column " in " ".join(done.stderr.decode().split())
    source.write_text(line(1) + "not of that format\n")
    assert shipper(source, "--strict").returncode == 0
    assert shipper(source, "--strict", "--format", "mta_text").returncode == 1


def test_what_a_log_says_cannot_move_the_cursor(tmp_path: Path) -> None:
    """Escapes of a hostile log, or file name, are shown as escapes."""
    source = tmp_path / "mail\x1b[2J.log"
    source.write_text("02-Mar-2026 10:00:00 \x1b]0;owned\x07\u202e\n")
    done = shipper(source, tmp_path / "no\x1b[2Jsuch")
    assert b"\x1b" not in done.stderr and b"\x07" not in done.stderr and "\u202e".encode() not in done.stderr
    assert b"\\x1b" in done.stderr


def test_missing_and_unreadable_inputs_do_not_stop_the_others(tmp_path: Path) -> None:
    """The rest is converted and written; the exit code is that of the worst: 74 before 77 before 66."""
    source = log(tmp_path / "mail.log", 5)
    out = tmp_path / "out"
    done = shipper(tmp_path / "mail.lgo", source, "-o", out)
    assert done.returncode == 66
    assert b"error[I201]" in done.stderr and f"did you mean '{source}'?".encode() in b" ".join(done.stderr.split())
    assert len(records(out.read_bytes())) == 5
    (tmp_path / "a.gz").write_bytes(gzip.compress(source.read_bytes())[:-20])
    done = shipper(tmp_path / "mail.lgo", source, tmp_path / "a.gz", "-o", out)
    assert done.returncode == 74
    assert b"error[I204]" in done.stderr and b"lines before that were converted" in done.stderr
    assert 5 < len(records(out.read_bytes())) <= 10


def test_nothing_to_read_makes_no_file(tmp_path: Path) -> None:
    """The output of an earlier conversion is not replaced by nothing."""
    out = tmp_path / "out"
    out.write_text("earlier\n")
    (tmp_path / "empty").mkdir()
    for path in ("no.log", "empty", "no*.log"):
        done = shipper(tmp_path / path, "-o", out)
        assert done.returncode == 66
        assert out.read_text() == "earlier\n"
    assert sorted(os.listdir(tmp_path)) == ["empty", "out"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_what_may_not_be_read_is_a_permission_error(tmp_path: Path) -> None:
    """A file of the mail server's user: exit code 77, by number and name."""
    source = log(tmp_path / "mail.log", 1)
    secret = log(tmp_path / "secret.log", 1)
    secret.chmod(0)
    script = f"""
import os, sys
import shipper.cli
def run(*arguments):
    sys.argv = ["shipper", "convert", *arguments]
    try:
        shipper.cli.main()
    except SystemExit as ended:
        return ended.code
run({str(source)!r}, "-q", "-o", "/dev/null")  # what is imported when it is needed, this user may not read
os.setuid(65534)
sys.exit(run({str(source)!r}, {str(secret)!r}))
"""
    for directory in (tmp_path, *tmp_path.parents):
        if directory.owner() == "root" and "pytest-of-" in str(directory):
            directory.chmod(directory.stat().st_mode | 0o055)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, env=ENVIRONMENT, timeout=30, check=False)
    assert done.returncode == 77, done.stderr
    assert b"error[I203]" in done.stderr and b"secret.log' may not be read" in done.stderr
    assert len(records(done.stdout)) == 1


def test_an_input_is_never_the_output(tmp_path: Path) -> None:
    """By name, by a link, in a directory; what the shell has just made for `>` is left out, and said."""
    source = log(tmp_path / "mail.log", 2)
    (tmp_path / "link").symlink_to(source)
    before = source.read_bytes()
    for arguments in ((source, "-o", source), (source, "-o", tmp_path / "link"), (tmp_path, "-o", source)):
        done = shipper(*arguments)
        assert done.returncode == 2 and b"error[U107]" in done.stderr
        assert source.read_bytes() == before
    (tmp_path / "link").unlink()
    with (tmp_path / "out.jsonl").open("wb") as out:
        done = subprocess.run([*COMMAND, str(tmp_path)], stdout=out, stderr=subprocess.PIPE, env=ENVIRONMENT, timeout=30, check=False)
    assert done.returncode == 0
    assert f"not read: {tmp_path}/out.jsonl (it is the output)" in done.stderr.decode()
    assert len(records((tmp_path / "out.jsonl").read_bytes())) == 2


def test_a_new_output_replaces_the_old_one_at_once(tmp_path: Path) -> None:
    """A file keeps its permissions, a link stays a link to it, a new file has those that the user's files get."""
    source = log(tmp_path / "mail.log", 2)
    out = tmp_path / "out"
    assert shipper(source, "-o", out, umask=0o027).returncode == 0
    assert out.stat().st_mode & 0o777 == 0o640
    out.chmod(0o604)
    (tmp_path / "link").symlink_to(out)
    out.write_text("earlier")
    assert shipper(source, "-o", tmp_path / "link").returncode == 0
    assert (tmp_path / "link").is_symlink()
    assert out.stat().st_mode & 0o777 == 0o604
    assert len(records(out.read_bytes())) == 2
    done = shipper(source, "-o", tmp_path / "no" / "out")
    assert done.returncode == 74 and b"error[O302]" in done.stderr


def test_head_ends_it_without_a_word(long_log: Path) -> None:
    """`shipper convert mail.log | head -1` ends as other programs do then: by SIGPIPE, silent, and soon."""
    for jobs in ("1", "2"):
        process = subprocess.Popen([*COMMAND, "-j", jobs, str(long_log)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT)
        assert process.stdout and process.stderr
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(20) == -signal.SIGPIPE
        process.stderr.close()


@pytest.mark.parametrize("jobs", ("1", "3"))
def test_a_pipe_that_does_not_wait_gets_all(jobs: str, tmp_path: Path) -> None:
    """Standard output may be a pipe that is full and says so at once."""
    source = log(tmp_path / "mail.log", 90_000)
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    process = subprocess.Popen([*COMMAND, "-j", jobs, str(source)], stdout=theirs, stderr=subprocess.PIPE, env=ENVIRONMENT)
    os.close(theirs)
    time.sleep(0.5)
    with open(ours, "rb") as pipe:
        found = pipe.read()
    assert process.communicate()[1].endswith(b"read 90,000 lines = 90,000 written + 0 set aside\n")
    assert found == shipper(source).stdout and found.count(b"\n") == 90_000


def running(pid: int) -> list[int]:
    """The child processes of a process."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def started(source: Path, tmp_path: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """A conversion, when it has begun to write; by Python alone, so that it takes a while."""
    process = subprocess.Popen(
        [*COMMAND, str(source), "-o", str(tmp_path / "out"), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**ENVIRONMENT, "SHIPPER_NATIVE": "0"},
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # it is ignored where a shell runs the tests in the background
    )
    until = time.monotonic() + 20
    while not any(path.stat().st_size for path in tmp_path.glob(".out.*")):
        assert time.monotonic() < until and process.poll() is None
        time.sleep(0.01)
    return process


@pytest.mark.parametrize("jobs", ("1", "3"))
@pytest.mark.parametrize(("number", "code"), ((signal.SIGINT, 130), (signal.SIGTERM, 143)))
def test_interrupted_leaves_nothing(jobs: str, number: signal.Signals, code: int, long_log: Path, tmp_path: Path) -> None:
    """Ctrl-C or TERM in the middle, to all of the group as a terminal or a supervisor sends it: quick, no traceback, no file, no process left."""
    process = started(long_log, tmp_path, "-j", jobs)
    children = running(process.pid)
    begun = time.monotonic()
    os.killpg(process.pid, number)
    _, told = process.communicate(timeout=20)
    assert process.returncode == code
    assert time.monotonic() - begun < 12
    assert b"Traceback" not in told
    if number == signal.SIGINT:
        assert told.decode() == f"interrupted: nothing was written to {tmp_path}/out\n"
    assert os.listdir(tmp_path) == []
    assert len(children) == (3 if jobs == "3" else 0)
    assert not any(Path(f"/proc/{child}").exists() for child in children)


def test_killed_leaves_nothing_under_the_final_name(long_log: Path, tmp_path: Path) -> None:
    """SIGKILL: the earlier output is as it was, the workers end by themselves."""
    (tmp_path / "out").write_text("earlier\n")
    process = started(long_log, tmp_path, "-j", "2")
    children = running(process.pid)
    process.kill()
    process.communicate(timeout=20)
    assert (tmp_path / "out").read_text() == "earlier\n"
    until = time.monotonic() + 10
    while any(Path(f"/proc/{child}").exists() for child in children):
        assert time.monotonic() < until, "a worker outlives its main process"
        time.sleep(0.05)
    left = [path.name for path in tmp_path.iterdir() if path.name.startswith(".out.")]
    assert len(left) == 1
    (tmp_path / ".out.another.partial").touch()
    (tmp_path / left[0]).write_bytes(b"")
    process = started(long_log, tmp_path, "-j", "2")
    process.send_signal(signal.SIGSTOP)  # it still writes, for as long as the other one takes
    assert left[0] not in os.listdir(tmp_path), "the next conversion removes it"
    assert shipper(log(tmp_path / "small.log", 10), "-o", tmp_path / "out").returncode == 0
    assert len([path for path in tmp_path.iterdir() if path.name.startswith(".out.")]) == 2, "and nothing that one still writes"
    process.kill()
    process.communicate(timeout=20)


@pytest.mark.parametrize(("jobs", "lines"), (("1", 3000), ("2", 3000), ("3", 90_000)))
def test_a_full_disk_keeps_whole_lines(jobs: str, lines: int, tmp_path: Path) -> None:
    """No room (a limit on the size of files): exit code 74, nothing under the final name, whole lines in FILE.partial, and how many; of one
    process, of several, of threads where these are; of a log that Python and the compiled twin read in turns."""
    source = tmp_path / "mail.log"
    source.write_text("".join([line(number) + "neither of them\n" * (number % 70 == 0) for number in range(lines)]))
    out = tmp_path / "out"
    done = shipper(source, "-o", out, "-j", jobs, preexec_fn=limited(resource.RLIMIT_FSIZE, 1_000_001))
    assert done.returncode == 74
    said = " ".join(done.stderr.decode().replace("     ", " ").split())
    assert "error[O301]" in said
    assert not out.exists()
    kept = (tmp_path / "out.partial").read_bytes()
    assert kept.endswith(b"}\n") and len(kept) <= 1_000_001
    assert f"{kept.count(10):,} records, whole lines, were kept in {out}.partial" in said
    assert len(records(kept)) == kept.count(b"\n")
    assert sorted(os.listdir(tmp_path)) == ["mail.log", "out.partial"]


def test_hours_in_turns_take_no_more_room(tmp_path: Path) -> None:
    """Every line of another hour than the one before, read by threads where these are: as little address space as any log, and the same octets."""
    source = tmp_path / "mail.log"
    source.write_text("".join([f"02-Mar-2026 0{number % 2}:{line(number, 'x' * 400)[15:]}" for number in range(16_000)]))
    done = [shipper(source, "-j", jobs, preexec_fn=limited(resource.RLIMIT_AS, 2 << 30)) for jobs in ("1", "3")]
    assert [one.returncode for one in done] == [0, 0]
    assert done[0].stdout == done[1].stdout and done[0].stdout.count(b"\n") == 16_000


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_really_full_disk(tmp_path: Path) -> None:
    """A file system of one megabyte: the same, for a file and for a redirected standard output."""
    source = log(tmp_path / "mail.log", 3000)
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True, check=False).returncode:
        pytest.skip("mount is not allowed here")
    try:
        done = shipper(source, "-o", disk / "out")
        assert done.returncode == 74 and b"error[O301]" in done.stderr
        assert os.strerror(errno.ENOSPC).lower().encode() in done.stderr
        assert (disk / "out.partial").read_bytes().endswith(b"}\n")
        (disk / "out.partial").unlink()
        with (disk / "out").open("wb") as out:
            failed = subprocess.run([*COMMAND, str(source)], stdout=out, stderr=subprocess.PIPE, env=ENVIRONMENT, timeout=30, check=False)
        assert failed.returncode == 74
        assert (disk / "out").read_bytes().endswith(b"}\n")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def peak(*arguments: str | Path) -> tuple[subprocess.CompletedProcess[bytes], int]:
    """A conversion, and the most memory that one of its processes had, in octets."""
    script = (
        "import resource, subprocess, sys\n"
        "code = subprocess.run(sys.argv[1:]).returncode\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024, file=sys.stderr)\n"
        "sys.exit(code)\n"
    )
    command = [sys.executable, "-c", script, *COMMAND, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, env=ENVIRONMENT, timeout=60, check=False)
    return done, int(done.stderr.splitlines()[-1])


@pytest.mark.parametrize("jobs", ("1", "2"))
def test_memory_is_bounded(jobs: str, tmp_path: Path) -> None:
    """A bomb of zeros, a line of 100 MB, a hundred thousand empty lines in a block: under 150 MB, and the next line is whole."""
    bomb = tmp_path / "zeros.gz"
    with gzip.open(bomb, "wb", 1) as packed:
        for _ in range(300):
            packed.write(bytes(1 << 20))
        packed.write(b"\n" + line(1).encode())
    long = tmp_path / "long"
    with long.open("wb") as file:
        for _ in range(100):
            file.write(b"x" * 1_000_000)
        file.write(b"\n" + line(2).encode() + b"\n" * 100_000)
    done, octets = peak("-p", "native", "-j", jobs, "-o", tmp_path / "out", bomb, long)
    assert done.returncode == 0
    assert octets < LIMIT
    with (tmp_path / "out").open("rb") as out:
        first, second, third, fourth = (json.loads(next(out)) for _ in range(4))
    assert first["error"] == f"line of {300 << 20} octets, cut after 1048576"
    assert third["error"] == "line of 100000000 octets, cut after 1048576"
    assert (second["sender"], fourth["sender"]) == ("user1@example.com", "user2@example.com")


def test_max_line(tmp_path: Path) -> None:
    """--max-line says where a line is cut."""
    source = tmp_path / "a"
    source.write_bytes(b"x" * 5000 + b"\n")
    (record,) = records(shipper("-p", "native", "--max-line", "2k", source).stdout)
    assert record["error"] == "line of 5000 octets, cut after 2048"


def on_a_terminal(*arguments: str | Path, columns: int = 80, output_too: bool = False) -> str:
    """What a terminal of so many columns is sent on standard error."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=slave if output_too else subprocess.DEVNULL,
        stderr=slave,
        env={**ENVIRONMENT, "COLUMNS": str(columns)},
    )
    os.close(slave)
    sent = b""
    while True:
        try:
            data = os.read(master, 65536)
        except OSError:  # EIO: the other side is closed
            break
        if not data:
            break
        sent += data
    assert process.wait(30) == 0
    os.close(master)
    return sent.decode()


def test_a_bar_on_a_terminal(tmp_path: Path) -> None:
    """Octets, rate and time left, in 80 columns; gone when it is done, so that the account stands alone."""
    source = log(tmp_path / "mail.log", 20_000)
    packed = tmp_path / "mail.log.gz"
    packed.write_bytes(gzip.compress(source.read_bytes(), 1))
    for arguments in ((source,), (packed, "-j", "2")):
        sent = on_a_terminal(*arguments, "-o", tmp_path / "out")
        shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", sent)
        assert re.search(r"[0-9.]+/[0-9.]+ [kMG]?B", shown), shown
        assert "B/s" in shown
        assert all(len(part) <= 80 for part in re.split(r"[\r\n]+", shown))
        assert shown.rstrip().splitlines()[-1] == "read 20,000 lines = 20,000 written + 0 set aside"
    assert "B/s" not in re.sub(r"MB/s", "", on_a_terminal("-p", "native", tmp_path / "mail.log", "-q", "-o", tmp_path / "out"))


def test_no_bar_across_records(tmp_path: Path) -> None:
    """When records go to the same terminal, a bar would run through them."""
    sent = on_a_terminal("-p", "native", log(tmp_path / "mail.log", 2), output_too=True)
    assert "\x1b" not in sent
    assert sent.count('"kind":"mta"') == 2


def test_closed_descriptors(tmp_path: Path) -> None:
    """Started without standard output or error, as some supervisors do: an error where it can be told, and never a log that is written to."""
    source = log(tmp_path / "mail.log", 2)
    before = source.read_bytes()
    for closing, code in ((">&-", 74), ("2>&- >/dev/null", 0), (f"2>&- >&- -o {tmp_path}/out", 0), ("2>&- no.log >&- -o /dev/null", 66)):
        done = subprocess.run(
            f"{' '.join(COMMAND)} {source} {closing}", shell=True, capture_output=True, env=ENVIRONMENT, timeout=30, check=False
        )
        assert done.returncode == code, closing
        assert (b"error[O302]: standard output is closed" in done.stderr) == (closing == ">&-")
        assert b"Traceback" not in done.stderr
        assert source.read_bytes() == before
    assert len(records((tmp_path / "out").read_bytes())) == 2


def test_very_many_errors_are_counted(tmp_path: Path) -> None:
    """A thousand missing files are not a thousand messages."""
    told = shipper(*(f"no{number}" for number in range(1000))).stderr.decode()
    assert told.count("error[I201]") == 20
    assert told.endswith("and 980 more errors\n")


def test_help_fits_eighty_columns() -> None:
    """Examples, exit codes, every option with a text."""
    done = shipper("--help")
    assert done.returncode == 0
    text = done.stdout.decode()
    assert all(len(one) <= 80 for one in text.splitlines())
    assert "shipper convert mail.log* -o mail.jsonl" in text and "Exit code" in text


def test_a_syslog_file_without_years_has_those_of_its_date(tmp_path: Path) -> None:
    """Stamps without a year take it from when the file was last written to, over New Year too, and the records say that it was assumed."""
    log = tmp_path / "messages"
    log.write_text("Nov 19 10:11:12 mail sshd[1]: hello\nJan  3 10:11:12 mail imapd[2]: Account Notice: badlogin: [] plaintext u no\n")
    os.utime(log, (1105315200, 1105315200))  # 10 January 2005
    done = subprocess.run(
        [sys.executable, "-m", "shipper", "convert", str(log), "--profile", "native", "--timezone", "UTC", "-q"],
        capture_output=True,
        check=True,
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [record["time"] for record in found] == ["2004-11-19T10:11:12+00:00", "2005-01-03T10:11:12+00:00"]
    assert all(record["extra"] == {"year_assumed": True} for record in found)
