"""`shipper generate` as a person or a script calls it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ENVIRONMENT = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1", "TERM": "dumb", "TZ": "UTC", "LC_ALL": "C.UTF-8"}


def shipper(*arguments: str, place: Path) -> subprocess.CompletedProcess[str]:
    """Runs the command in a directory of its own."""
    command = [sys.executable, "-m", "shipper", "generate", *arguments]
    return subprocess.run(command, cwd=place, env=ENVIRONMENT, capture_output=True, text=True, check=False)


def test_a_day_of_logs_and_an_account_of_it(tmp_path: Path) -> None:
    """The answer says how many lines each log has, when, and where they are; nothing is on standard error."""
    done = shipper("--rate", "200", "--out", "demo", place=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    lines = (tmp_path / "demo" / "log" / "mail.log_current").read_text().count("\n")
    assert re.search(rf"^mail\.log +{lines:,} lines +[0-9.]+ MB$", done.stdout, re.MULTILINE)
    together = re.search(r"^together +([0-9,]+) lines", done.stdout, re.MULTILINE)
    every = sum(path.read_text().count("\n") for path in (tmp_path / "demo" / "log").iterdir())
    assert together and together[1] == f"{every:,}"
    assert "2005-03-07 00:00 to 2005-03-07 23:5" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_quiet_is_quiet(tmp_path: Path) -> None:
    """Nothing at all is printed."""
    done = shipper("--lines", "500", "--quiet", "--out", "demo", place=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_same_command_makes_the_same_logs_on_any_day(tmp_path: Path) -> None:
    """Nothing depends on the clock, on where DIR is, or on the machine's time zone."""
    for name in ("a", "b"):
        assert shipper("--lines", "800", "--seed", "4", "--out", name, place=tmp_path).returncode == 0
    for path in (tmp_path / "a" / "log").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / "log" / path.name).read_bytes()


def test_settings_come_from_the_file_then_the_option_then_the_format(tmp_path: Path) -> None:
    """--options stands above --option-file, --log-format above both."""
    (tmp_path / "option.dat").write_text("! ours\nLOG_NODE=1\nlog_filename=0\nLOG_FORMAT=2\nLOG_SOMETHING_ELSE=yes\n")
    arguments = ["--option-file", "option.dat", "--options", "LOG_FILENAME=1,LOG_NODE=0,LOG_FORMAT=3", "--log-format", "4"]
    assert shipper(*arguments, "--lines", "300", "--out", "demo", place=tmp_path).returncode == 0
    written = (tmp_path / "demo" / "config" / "option.dat").read_text().splitlines()
    assert {"LOG_NODE=0", "LOG_FILENAME=1", "LOG_FORMAT=4"} <= set(written)
    line = (tmp_path / "demo" / "log" / "mail.log_current").read_text().splitlines()[0]
    assert line.startswith("<") and " no=" not in line


@pytest.mark.parametrize(
    ("arguments", "number", "code"),
    [
        (["--out", "x", "--options", "LOG_FORMAT=9"], "U121", 2),
        (["--out", "x", "--options", "LOG_FORMAT"], "U110", 2),
        (["--out", "x", "--option-file", "missing.dat"], "I201", 66),
        (["--out", "x", "--timezone", "Mars/Olympus"], "U102", 2),
        (["--out", "x", "--start", "yesterday"], "U103", 2),
        (["--out", "full"], "U122", 2),
        (["--out", "file"], "O302", 74),
    ],
)
def test_wrong_use_is_told_in_a_line(arguments: list[str], number: str, code: int, tmp_path: Path) -> None:
    """A number, a sentence, the exit code; no traceback, and nothing is written."""
    (tmp_path / "full" / "log").mkdir(parents=True)
    (tmp_path / "full" / "log" / "mail.log").write_text("mine")
    (tmp_path / "file").write_text("mine")
    done = shipper(*arguments, place=tmp_path)
    assert done.returncode == code
    assert done.stderr.startswith(f"error[{number}]: ") and "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not (tmp_path / "x").exists()


def test_a_directory_is_needed(tmp_path: Path) -> None:
    """Without --out nothing is written anywhere."""
    done = shipper(place=tmp_path)
    assert done.returncode == 2 and "--out" in done.stderr
    assert not list(tmp_path.iterdir())


def test_the_help_fits_and_its_examples_run(tmp_path: Path) -> None:
    """80 columns; each example is a command that works (made small here)."""
    text = shipper("--help", place=tmp_path).stdout
    assert max(map(len, text.splitlines())) <= 80
    examples = re.findall(r"^ +shipper generate ((?:.*\\\s*\n)*.*)$", text, re.MULTILINE)
    assert len(examples) == 5
    for example in examples:
        arguments = example.replace("\\", " ").split()
        if "--lines" in arguments:
            arguments[arguments.index("--lines") + 1] = "300"
        else:
            arguments += ["--lines", "300"]
        done = shipper(*arguments, place=tmp_path)
        assert done.returncode == 0, done.stderr
