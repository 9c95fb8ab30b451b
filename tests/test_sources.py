"""Which files a command line names, in which order, and what is said of the others."""

from __future__ import annotations

import os
import random
import socket
from pathlib import Path

import pytest

from shipper.sources import find, order, total

IN_ORDER = """
connection.log connection.log_yesterday connection.log_current
dispatcher.log-0DK00HV8RWFQC dispatcher.log-0DK00HV8RWFQD
http.9.915000000 http.10.915000001 http
imap.62.915000000.gz imap.63.915107696 imap.100.915107698 imap
mail.log-20260301.gz mail.log-20260302 mail.log.10.gz mail.log.2.gz mail.log.1 mail.log.gz mail.log mail.log_yesterday mail.log_current
""".split()


def names(paths: list[str]) -> list[str]:
    return [source.path for source in find(paths)[0]]


@pytest.mark.parametrize("seed", range(5))
def test_parts_of_a_log_from_old_to_new(seed: int) -> None:
    """The server's roll-over, logrotate's numbers and dates, and the MTA's three names."""
    shuffled = random.Random(seed).sample(IN_ORDER, len(IN_ORDER))
    assert sorted(shuffled, key=order) == IN_ORDER


def test_directories_and_globs_are_sorted_and_arguments_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory is read with all in it, a quoted glob as the shell's would be but in the logs' order; arguments stay as they are given."""
    for name in ("mail.log", "mail.log_current", "mail.log_yesterday", "sub/imap", "sub/imap.2.3", ".hidden"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    monkeypatch.chdir(tmp_path)
    family = ["mail.log", "mail.log_yesterday", "mail.log_current"]
    assert names(["."]) == ["./.hidden", *(f"./{name}" for name in family), "./sub/imap.2.3", "./sub/imap"]
    assert names(["mail*"]) == family
    assert names(["**/imap*"]) == ["sub/imap.2.3", "sub/imap"]
    assert names(["mail.log_current", "-", "mail.log"]) == ["mail.log_current", "-", "mail.log"]


def test_a_name_with_glob_signs_is_a_name(tmp_path: Path) -> None:
    """A file that exists is not taken for a pattern."""
    path = tmp_path / "mail[1].log"
    path.write_text("x")
    assert names([str(path)]) == [str(path)]


def test_nothing_is_left_out_in_silence(tmp_path: Path) -> None:
    """What a directory has besides files is listed; what was named and cannot be read is a failure with its number."""
    (tmp_path / "a").write_text("x")
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "gone").symlink_to("nowhere")
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("empty")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        found, left = find(
            [str(tmp_path), str(tmp_path / "a"), str(tmp_path / "mail.lgo"), str(tmp_path / "socket"), "no*such", str(tmp_path / "empty")]
        )
    assert [source.path for source in found] == [str(tmp_path / "a")]
    said = {
        (os.path.relpath(one.path, tmp_path) if one.path != "no*such" else one.path, one.failure.number if one.failure else "")
        for one in left
    }
    assert said == {
        ("b", ""), ("pipe", ""), ("gone", ""), ("link", ""), ("socket", ""), ("a", ""),
        ("mail.lgo", "I201"), ("socket", "I206"), ("no*such", "I201"), ("empty", "I202"),
    }  # fmt: skip
    assert all(one.reason for one in left)


def test_the_nearest_name_is_offered(tmp_path: Path) -> None:
    """Two letters changed places."""
    (tmp_path / "mail.log").write_text("x")
    failure = find([str(tmp_path / "mail.lgo")])[1][0].failure
    assert failure is not None and failure.notes == (f"did you mean '{tmp_path}/mail.log'?",)


def test_a_name_that_is_no_text_is_shown(tmp_path: Path) -> None:
    """Any octets make a file name; ours are JSON."""
    path = os.fsencode(tmp_path) + b"/m\xe4il.log"
    with open(path, "wb") as file:
        file.write(b"x")
    assert find([os.fsdecode(path)])[0][0].name == f"{tmp_path}/m\\xe4il.log"


def test_total_is_unknown_with_a_pipe(tmp_path: Path) -> None:
    """The bar can only be honest about what it knows."""
    (tmp_path / "a").write_text("four")
    assert total(find([str(tmp_path / "a")])[0]) == 4
    assert total(find([str(tmp_path / "a"), "-"])[0]) == 0
