"""`shipper try` and `shipper explain` as a user runs them: processes, in a pipe and on a terminal of 80 columns."""

from __future__ import annotations

import gzip
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

LINE = "19-Jan-1998 19:16:57.64 l            tcp_local    E 1 adam@example.com rfc822;bob@example.org bob@example.org"
BAD = "19-Jan-1998 19:16:57.64 l            tcp_local    ?? 1 adam@example.com"
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR", "FORCE_COLOR", "TZ")},
    "TERM": "xterm",
    "TZ": "UTC",
    "LC_ALL": "C.UTF-8",
}


def shipper(*arguments: str | bytes, given: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "shipper", *arguments]
    done = subprocess.run(command, input=given, capture_output=True, env={**ENVIRONMENT, **environment}, timeout=60, check=False)
    assert b"Traceback" not in done.stdout + done.stderr
    return done


def on_a_terminal(*arguments: str, columns: int = 80) -> str:
    """What a terminal of so many columns is sent."""
    master, slave = pty.openpty()
    os.set_blocking(master, True)
    command = [sys.executable, "-m", "shipper", *arguments]
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env={**ENVIRONMENT, "COLUMNS": str(columns)})
    os.close(slave)
    sent = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        sent += piece
    os.close(master)
    process.wait(60)
    return sent.decode().replace("\r\n", "\n")


def widest(text: str) -> int:
    return max(len(line) for line in re.sub(r"\x1b\[[0-9;]*m", "", text).split("\n"))


def test_a_line_is_shown_with_its_fields() -> None:
    done = shipper("try", LINE)
    assert done.returncode == 0
    assert done.stderr == b""
    text = done.stdout.decode()
    assert text.startswith("format  mta_text: ")
    assert re.search(r"^ +55-70 +sender +adam@example.com$", text, re.MULTILINE)
    assert widest(text) <= 80


def test_nothing_but_text_goes_into_a_pipe_and_bold_print_to_a_terminal() -> None:
    """The same text, with emphasis only on a terminal that has it, and none where NO_COLOR is set."""
    for arguments in (("try", LINE), ("explain", "EEQ"), ("explain",)):
        piped = shipper(*arguments).stdout.decode()
        assert "\x1b" not in piped
        shown = on_a_terminal(*arguments)
        assert "\x1b[1m" in shown
        assert re.sub(r"\x1b\[[0-9;]*m", "", shown) == piped


@pytest.mark.parametrize("columns", [40, 200])
def test_lines_fit_the_terminal(columns: int) -> None:
    for arguments in (("try", BAD), ("explain", "DSA", "LOG_CONNECTION=163", "FFFFFFFF")):
        assert widest(on_a_terminal(*arguments, columns=columns)) <= columns


def test_a_line_that_cannot_be_read_makes_exit_1() -> None:
    """With where reading stopped, why, and what helps."""
    done = shipper("try", BAD)
    assert done.returncode == 1
    assert b"error: column" in done.stdout
    assert b"= help:" in done.stdout


def test_lines_come_from_standard_input() -> None:
    """As many as -n says; the others are not read."""
    done = shipper("try", "-", "-n", "2", "--json", given=(LINE + "\n" + BAD + "\n" + LINE + "\n").encode())
    assert done.returncode == 1
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["record"]["kind"] for answer in answers] == ["mta", "unparsed"]
    assert [answer["line_number"] for answer in answers] == [1, 2]
    assert answers[0]["spans"][0] == {"field": "time", "columns": [1, 23], "text": "19-Jan-1998 19:16:57.64", "exact": False}
    assert answers[1]["stopped"] is not None


def test_the_first_lines_of_a_file(tmp_path: Path) -> None:
    """Packed or not; what its name and date say helps: a debug log's lines get their date from it."""
    plain = tmp_path / "mail.log"
    plain.write_text((LINE + "\n") * 9)
    packed = tmp_path / "mail.log.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert shipper("try", "--file", str(plain), "-n", "3").stdout == shipper("try", "--file", str(packed), "-n", "3").stdout
    assert shipper("try", "--file", str(plain)).stdout.decode().count("kind    mta") == 5
    debug = tmp_path / "dispatcher.log-0DK00HV8RWFQC"
    debug.write_text("21:15:00.12: dispatcher: listening on port 25\n")
    os.utime(debug, (915_139_296, 915_139_296))
    done = shipper("try", "-f", str(debug), "--json", "--timezone", "UTC")
    assert json.loads(done.stdout)["record"]["time"] == "1998-12-31T21:15:00.12+00:00"
    assert json.loads(done.stdout)["record"]["service"] == "dispatcher"


def test_options_are_those_of_convert(tmp_path: Path) -> None:
    """Zone, fields, an option file, a forced format."""
    done = shipper("try", "--timezone", "America/New_York", "--json", LINE)
    assert json.loads(done.stdout)["record"]["time"] == "1998-01-19T19:16:57.64-05:00"
    (tmp_path / "option.dat").write_text("LOG_PRIORITY=1\nLOG_DIAGNOSTICS=0\n")
    for option in (("--fields", "priority"), ("--option-file", str(tmp_path / "option.dat"))):
        done = shipper("try", *option, "--json", f"{LINE} 2")
        assert json.loads(done.stdout)["record"]["priority"] == "2"
    done = shipper("try", "--format", "service", LINE)
    assert done.returncode == 1


@pytest.mark.parametrize(
    "arguments, code, said",
    [
        (("try",), 2, b"--file"),
        (("try", LINE, "--file", "x"), 2, b"not both"),
        (("try", LINE, "--timezone", "CEST/Nowhere"), 2, b"CEST/Nowhere"),
        (("try", LINE, "--timezone", "../../etc/passwd"), 2, b"error[U102]"),
        (("try", LINE, "--fields", "colour"), 2, b"colour"),
        (("try", LINE, "--format", "xml"), 2, b"error[U105]"),
        (("try", LINE, "--option-file", "/no/such/file"), 66, b"error[I201]"),
        (("try", "--file", "/no/such/file"), 66, b"error[I201]"),
        (("try", "--file", "/"), 74, b"error["),
        (("try", "-", "--json"), 66, b"no line"),
        (("explain", "--jsno"), 2, b"--jsno"),
        (("explain", "LOG_CONECTION=3"), 1, b"LOG_CONNECTION=3"),
        (("explain", "", "C"), 1, b"none of the words"),
    ],
)
def test_wrong_use_says_what_is_wrong(arguments: tuple[str, ...], code: int, said: bytes) -> None:
    """A message on standard error and the exit code that README promises; never a traceback."""
    done = shipper(*arguments)
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr


EVIL: list[str | bytes] = ["", "\x1b[2J\x1b]0;title\x07", "\u202eevil", "a\rb", b"\xff\xfe", b"\xc3(", "x" * 100_000]


@pytest.mark.parametrize("line", EVIL, ids=range(len(EVIL)))
def test_any_line_is_shown_and_nothing_of_it_commands_the_terminal(line: str | bytes) -> None:
    done = shipper("try", line)
    assert done.returncode in (0, 1)
    assert all(sign.isprintable() for row in done.stdout.decode().split("\n") for sign in row)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_that_cannot_show_a_character_gets_its_escape(encoding: str) -> None:
    """Also in what `explain` says of words that it does not know."""
    done = shipper("try", "19-Jan-1998 19:16:57.64 grüße \u20ac \x1b", PYTHONIOENCODING=encoding)
    assert all(sign.isprintable() for row in done.stdout.decode(encoding).split("\n") for sign in row)
    done = shipper("explain", "--", *EVIL, PYTHONIOENCODING=encoding)
    assert all(sign.isprintable() for row in (done.stdout + done.stderr).decode(encoding).split("\n") for sign in row)


def test_several_words_are_explained_in_turn() -> None:
    """Masks and marks that begin with a dash are words; the exit code tells that one was not known."""
    done = shipper("explain", "5.7.1", "-1", "nobody-knows-this", "-")
    assert done.returncode == 1
    text = done.stdout.decode()
    assert text.index("5.7.1") < text.index("dispatcher debug mask") < text.index("mark in a log line")
    assert b"nobody-knows-this" in done.stderr


def test_explain_for_machines() -> None:
    """One object a word, with the nearest names where there is no meaning."""
    done = shipper("explain", "--json", "C", "expung")
    known, unknown = [json.loads(line) for line in done.stdout.splitlines()]
    assert [meaning["kind"] for meaning in known["meanings"]] == ["entry code of a connection record", "modifier of an entry code"]
    assert unknown == {"word": "expung", "meanings": [], "nearest": ["expunge", "store.expunge"]}


@pytest.mark.parametrize("command", ["try", "explain"])
def test_help_has_examples_and_fits(command: str) -> None:
    done = shipper(command, "--help", COLUMNS="80")
    text = done.stdout.decode()
    assert f"shipper {command} " in text.split("Examples:")[1]
    assert widest(text) <= 80


def test_a_reader_that_goes_away_is_no_error() -> None:
    """`shipper try -f mail.log -n 1000 | head -1` ends quietly."""
    command = f"for i in $(seq 2000); do echo '{LINE}'; done | '{sys.executable}' -m shipper try - -n 2000 | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, env=ENVIRONMENT, timeout=60, check=False)
    assert done.stderr == b""
