"""Every command that README.md and docs/ show is run, and prints what the page says it prints.

A ```console block holds commands after `$ ` (a line that ends with a backslash goes on) and what they print, standard error too; `...` stands
for anything, and how many blanks there are does not matter. A page's blocks run one after another in an empty directory. A command ends with
0; one that is meant to fail is shown with `; echo $?`.
"""

from __future__ import annotations

import ctypes
import doctest
import fcntl
import os
import re
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OF_THE_CHECKOUT = ("make", "git", "pip", "cd")
"""Commands that build or install: CI runs them, not this test."""

LOOSE = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def console(page: Path) -> Iterator[tuple[int, str, str]]:
    """(line, command, what it prints) of every command of a page's ```console blocks."""
    text = page.read_text()
    for block in re.finditer(r"^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        first = text.count("\n", 0, block.start(1)) + 1
        for part in re.finditer(r"^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n)*)", block[1], re.MULTILINE):
            yield first + block[1].count("\n", 0, part.start()), part[1], part[2]


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """A terminal of 80 columns without colours, in UTC, with this Python's `shipper` first on the path."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "COLUMNS": "80", "NO_COLOR": "1", "TERM": "dumb", "TZ": "UTC", "LC_ALL": "C.UTF-8"}


def ports_of_its_own() -> None:
    """Before a command begins: a network in which no port is taken yet, where the system allows that (root, a name space of its own)."""
    new_network, set_flags, up = 0x40000000, 0x8914, 0x1 | 0x40
    if ctypes.CDLL(None).unshare(new_network) == 0:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            fcntl.ioctl(any_socket, set_flags, struct.pack("16sh14x", b"lo", up))


@pytest.mark.parametrize("page", [page for page in PAGES if any(console(page))], ids=lambda page: page.name)
def test_what_a_page_shows_is_what_happens(page: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    """The page's commands, in order, print what it says."""
    checker = doctest.OutputChecker()
    for line, command, expected in console(page):
        if command.split()[0] in OF_THE_CHECKOUT:
            continue
        place = f"{page.relative_to(ROOT)}:{line}: $ {command}"
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
            preexec_fn=ports_of_its_own,
        )
        assert done.returncode == 0, f"{place}\nended with {done.returncode}\n{done.stdout}"
        assert not expected or checker.check_output(expected, done.stdout, LOOSE), f"{place}\nprinted\n{done.stdout}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    """A relative link names a file that is there, and a heading that it has."""
    for label, target in re.findall(r"\[([^\]]+)\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        there = (page.parent / name) if name else page
        assert there.exists(), f"{page.name}: [{label}]({target})"
        if anchor:
            assert anchor in _anchors(there), f"{page.name}: [{label}]({target})"


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ +(.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
