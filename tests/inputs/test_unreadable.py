"""Inputs whose directory or files are not there, or are closed to this user: a warning of `check`, at the option that names them."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from shipper.config.load import load
from shipper.config.problems import text

OUT = "outputs:\n  out: {type: jsonl, path: x}\n"


def said(folder: Path, section: str, *, lenient: bool = False) -> list[str]:
    """What is said of an input, with its column, and DIR for the directory."""
    (folder / "shipper.yaml").write_text(f"inputs:\n  in: {section.replace('DIR', str(folder))}\n{OUT}")
    loaded = load(folder / "shipper.yaml", {}, lenient=lenient)
    assert loaded.config and not loaded.errors
    found = [problem for problem in loaded.warnings if problem.number == "C159"]
    assert all(text(problem, loaded.sources) for problem in found)
    return [f"{problem.place.line}:{problem.place.column} {problem.message}".replace(str(folder), "DIR") for problem in found]


ABSENT = " is not there: nothing is read until it is"


@pytest.mark.parametrize(
    ("section", "messages"),
    [
        ("{type: mta_log, directory: DIR/gone}", ["2:34 input 'in': 'DIR/gone'" + ABSENT]),
        ("{type: service_log, directory: DIR/gone}", ["2:38 input 'in': 'DIR/gone'" + ABSENT]),
        ("{type: mta_log, directory: DIR/file}", ["2:34 input 'in': 'DIR/file' is no directory: nothing is read"]),
        ("{type: file, paths: [DIR/gone/*.log, DIR/gone/*.txt]}", ["2:27 input 'in': 'DIR/gone'" + ABSENT]),
        ("{type: file, paths: DIR/gone/*/*.log}", ["2:27 input 'in': 'DIR/gone'" + ABSENT]),
        ("{type: file, paths: ['DIR/file', DIR/gone.log]}", ["2:27 input 'in': 'DIR/gone.log'" + ABSENT]),
        ("{type: file, paths: [DIR/file/x]}", ["2:27 input 'in': 'DIR/file/x' cannot be read: not a directory"]),
        ("{type: mta_log, directory: DIR}", []),
        ("{type: service_log, directory: DIR}", []),
        ("{type: file, paths: ['DIR/*.log', 'DIR/*/*.log', 'DIR/**', '*.log']}", []),
        ("{type: stdin}", []),
    ],
)
def test_what_is_not_there_is_said(tmp_path: Path, section: str, messages: list[str]) -> None:
    """Not of files that a glob will find one day, and never with `--no-env`, which is for another machine."""
    (tmp_path / "file").write_text("x")
    assert said(tmp_path, section) == messages
    assert said(tmp_path, section, lenient=True) == []


CHECK = """
import os, sys
import shipper.inputs.mta_log, shipper.inputs.service_log, shipper.outputs.jsonl  # Python itself may be closed to others
from shipper.config.load import load
if os.geteuid() == 0:
    os.setgroups([]), os.setgid(65534), os.setuid(65534)
print(*(f"{problem.number} {problem.place.line}:{problem.place.column} {problem.message}" for problem in load(sys.argv[1], {}).problems), sep="\\n")
"""


@pytest.fixture
def home() -> Iterator[Path]:
    """A directory that other users can come to."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def test_what_this_user_may_not_read_is_said(home: Path) -> None:
    """A directory without leave to look into it, and files: the first, and how many more; none that is left out."""
    closed, logs = home / "closed", home / "logs"
    for directory in (closed, logs):
        directory.mkdir()
    for name in ("imap", "imap.1.1700000000", "pop", "mail.log_current"):
        (logs / name).write_text("x\n")
        (logs / name).chmod(0 if name != "pop" else 0o644)
    (home / "shipper.yaml").write_text(
        f"inputs:\n  a: {{type: mta_log, directory: {closed}}}\n  b: {{type: service_log, directory: {logs}}}\n"
        f"  c: {{type: file, paths: ['{logs}/*', '{closed}/x'], exclude: ['imap*']}}\n  d: {{type: file, paths: ['{logs}/p*']}}\n" + OUT
    )
    closed.chmod(0)
    home.chmod(0o755)
    done = subprocess.run([sys.executable, "-c", CHECK, home / "shipper.yaml"], capture_output=True, text=True, check=False, cwd=Path.cwd())
    closed.chmod(0o700)
    if "PermissionError" in done.stderr or "ModuleNotFoundError" in done.stderr:
        pytest.skip("the checkout, or the directory of tests, is closed to others")
    assert done.stdout.replace(str(home), "DIR").splitlines() == [
        "C159 2:33 input 'a': 'DIR/closed' cannot be read by this user",
        "C159 3:37 input 'b': 'DIR/logs/imap' and 1 more cannot be read by this user",
        "C159 4:26 input 'c': 'DIR/logs/mail.log_current' cannot be read by this user",
        "C159 4:26 input 'c': 'DIR/closed/x' cannot be read: permission denied",
    ]
