"""The compiled twin is the Python: the same output and the same account, octet for octet."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from shipper import compiled
from shipper.formats.mta_attributes import KNOWN
from shipper.framing import Block
from shipper.passage import Passage
from shipper.stamps import epoch_ns
from tests.native.differ import (
    GOLDEN,
    SETTINGS,
    ZONES,
    Seeds,
    converted,
    differs,
    fields_of,
    golden_options,
    headed,
    log_differs,
    options,
    window,
)  # fmt: skip
from tests.service import running

MODULE, WHY = compiled.find()
pytestmark = pytest.mark.skipif(MODULE is None, reason=f"no compiled twin: {WHY}")
PROFILES = sorted(compiled.PROFILES)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: f"{path.parent.parent.name}/{path.parent.name}")
def test_golden_lines_are_the_same(path: Path) -> None:
    """Every fixture, with its own options, in every profile, with and without `raw`, in odd portions."""
    data = path.read_bytes()
    told, file = golden_options(path)
    for profile in PROFILES:
        assert not differs(MODULE, data, file, profile=profile, **told)
        assert not differs(MODULE, data, file, (61, 7, 4096), profile=profile, **told)
        for raw in ("always", "never"):
            assert not differs(
                MODULE, data, "a/mail.log", profile=profile, **{**told, "raw": raw, "host": told["host"] or "mta1.example.com"}
            )


@pytest.mark.parametrize("log_format", range(1, 7))
@pytest.mark.parametrize("settings", SETTINGS, ids=range(len(SETTINGS)))
def test_generated_logs_are_the_same(log_format: int, settings: str, tmp_path: Path) -> None:
    """Logs of a server of each LOG_FORMAT, with few and with many of the optional fields, which are told or not."""
    more = ["--options", settings] if settings else []
    command = [sys.executable, "-m", "shipper", "generate", "--lines", "2500", "--rate", "20000", "--quiet", "--out", str(tmp_path)]
    subprocess.run([*command, "--seed", str(log_format), "--log-format", str(log_format), *more], check=True)
    zone = ZONES[log_format % len(ZONES)]
    for path in sorted((tmp_path / "log").iterdir()):
        for profile in PROFILES:
            for fields in (None, fields_of(tmp_path)):
                assert not differs(MODULE, path.read_bytes(), path.name, zone=zone, profile=profile, fields=fields), path
        some = window(random.Random(log_format), path.read_bytes(), zone=zone)
        assert not differs(MODULE, path.read_bytes(), path.name, (100_000,), zone=zone, dedupe=True, **some), path


@pytest.mark.parametrize("log_format", [1, 2, 3])
@pytest.mark.parametrize("settings", SETTINGS, ids=range(len(SETTINGS)))
def test_it_does_lines_whose_fields_are_told(log_format: int, settings: str, tmp_path: Path) -> None:
    """All but header lines, and some of one in a hundred others."""
    more = ["--options", settings] if settings else []
    command = [sys.executable, "-m", "shipper", "generate", "--lines", "2500", "--rate", "20000", "--quiet", "--out", str(tmp_path)]
    subprocess.run([*command, "--seed", str(log_format), "--log-format", str(log_format), *more], check=True)
    lines = [line for line in (tmp_path / "log" / "mail.log_current").read_bytes().rstrip(b"\n").split(b"\n") if line[24:25] != b">"]
    _, tally, done, *_ = converted(b"\n".join(lines), options(MODULE, fields=fields_of(tmp_path)), "mail.log")
    assert done > 0.96 * tally.lines


def test_damaged_lines_are_the_same(pool: Seeds) -> None:
    """Lines of the fixtures with octets flipped, cut, doubled and moved, over hours that come twice, with all options."""
    for number in range(15):
        found, _ = log_differs(MODULE, pool, f"1 {number}")
        assert not found


def test_it_does_the_straight_lines_itself() -> None:
    """Else everything would be the same, and nothing faster."""
    data = b"\n".join(LINE % (number // 60, number % 60) for number in range(1000))
    _, tally, done, *_ = converted(data, options(MODULE), "mail.log")
    assert done == tally.lines == 1000


@pytest.mark.parametrize("form", range(5))
def test_lines_behind_a_syslog_header_too(form: int) -> None:
    """Of RFC 3164 as daemons write it, with a PRI and without, of RFC 5424; but not a program's own line, whose level stands where a host would."""
    data = b"\n".join(headed(LINE % (number // 60, number % 60), form) for number in range(1000))
    for profile in PROFILES:
        for raw in ("errors", "always"):
            assert not differs(MODULE, data, profile=profile, raw=raw)
    done = converted(data, options(MODULE), "mail.log").done
    assert done == (0 if form == 3 else 999)


@pytest.mark.parametrize("form", [0, 1, 2, 4])
def test_service_lines_behind_a_syslog_header_too(form: int) -> None:
    """Of one day and the next, of one zone and another, alone and between lines of the MTA."""
    line = b"[%02d/Aug/2004:16:%02d:%02d %b] vadar imapd[13027]: Account Notice: badlogin: [192.0.2.7:40718] plaintext user1 authentication failure"
    mta = [LINE % (number // 60, number % 60) for number in range(20)]
    lines = [
        line % (day, number // 60, number % 60, zone)
        for day, zone in ((30, b"-0700"), (31, b"-0700"), (31, b"+0530"))
        for number in range(300)
    ]
    for some in (lines, [each for pair in zip(lines, 45 * mta, strict=True) for each in pair], mta + lines):
        data = b"\n".join([headed(each, form) for each in some])
        for profile in PROFILES:
            assert not differs(MODULE, data, "maillog", profile=profile)
    assert converted(b"\n".join([headed(each, form) for each in lines]), options(MODULE), "maillog").done == len(lines)


def test_it_does_those_between_two_times_and_those_that_did_not_come_before() -> None:
    """With --since, --until and --dedupe."""
    data = b"\n".join(LINE % (number // 60, number % 60) for number in range(1000))
    since, until = (epoch_ns(f"1998-01-19T19:{minute:02d}:00+00:00") for minute in (5, 10))
    made = converted(data, options(MODULE, since=since, until=until, dedupe=True), "mail.log", (10_000,))
    assert made.done == made.tally.written == len(made.kinds) == made.lines.count(b"\n") == 300
    assert made.tally.outside == 700


@pytest.mark.parametrize("profile", PROFILES)
def test_service_logs_too(profile: str) -> None:
    """All but the first line, by which the format is found."""
    line = b"[30/Aug/2004:16:%02d:%02d -0700] vadar imapd[13027]: Account Notice: badlogin: [192.0.2.7:40718] plaintext user1 authentication failure"
    data = b"\n".join(line % (number // 60, number % 60) for number in range(1000))
    _, tally, done, *_ = converted(data, options(MODULE, profile), "imap")
    assert done == tally.lines - 1 == 999


XML = (
    b'<en ts="2014-06-02T22:%02d:%02d.94" pi="72a9.3b4.2" sc="tcp_local" dc="ims-ms" ac="EE" sz="3" so="adam@example.org" '
    b'od="rfc822;bob@example.com" de="bob@ims-ms-daemon" mi="&lt;n1@example.org&gt;" ss="mx.example.org (mx.example.org [198.51.100.9])" qt="0"/>'
)
NESTED = XML.replace(b"<en ", b'{"en":{"').replace(b'="', b'":"').replace(b'" ', b'","').replace(b"/>", b"}}")
FLAT = NESTED.replace(b'{"en":', b"")[:-1]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("line", [XML, NESTED, FLAT], ids=["xml", "nested", "flat"])
def test_xml_and_json_too(line: bytes, profile: str) -> None:
    """All but the first line, by which the format and the hour are found."""
    data = b"\n".join(line % (number // 60, number % 60) for number in range(1000))
    _, tally, done, *_ = converted(data, options(MODULE, profile), "mail.log")
    assert done == tally.lines - 1 == 999
    assert tally.kinds == {"mta": 1000}


@pytest.mark.parametrize("element", ["en", "co"])
def test_every_attribute_is_known_to_it(element: str) -> None:
    """A line that has them all is read by it, with a value for each that says so."""
    values = {
        "ts": "2014-06-02T22:02:10.94", "pi": "72a9.3b4.2", "dr": "+", "ac": "E" if element == "en" else "O", "sz": "3", "rf": "1", "qt": "2",
        "ss": "mx.example.org (mx.example.org [198.51.100.9])", "tr": "TCP|192.0.2.25|25|198.51.100.9|59762", "ap": "SMTP/TLS-128-RC4",
    }  # fmt: skip
    names = ["ts", *sorted(KNOWN[element] - {"ts"})]
    line = f"<{element} {' '.join(f'{name}={chr(34)}{values.get(name, name)}{chr(34)}' for name in names)}/>".encode()
    lines, _, done, *_ = converted(b"\n".join([line] * 3), options(MODULE), "mail.log")
    assert done == 2
    assert not differs(MODULE, b"\n".join([line] * 3))
    record = json.loads(lines.split(b"\n")[1])
    assert all(name in record.values() for name in set(names) - set(values) - {"di", "so"} if name != "no")


@pytest.mark.parametrize("word", [b"(TCP|opt/queue/l/ZZ01IWFY9ELGWM00094D.00", b"(TCP|192.0.2.10|2788|198.51.100.25|25@example.com"])
def test_a_cut_diagnostic_is_no_file_and_no_address(word: bytes) -> None:
    """Nor in Python, whichever of its two ways reads the line."""
    for more in (b" <1@example.com> inetmail", b" rfc822;bob@example.org bob@example.org"):
        line = LINE.replace(b" E ", b" D ") % (0, 0) + b" " + word + more
        assert not differs(MODULE, line)
        (made,) = converted(line, options(), "mail.log").lines.splitlines()
        assert json.loads(made)["diagnostic"].encode() == word + more


@pytest.mark.parametrize(
    "rest",
    [
        b" mailsrv ims-ms-daemon 2 i@example.com",
        b" mailsrv mx.example.net 77",
        b" mailsrv 5.1.1 77 x",
        b" queue/a ([192.0.2.1])",
        b" q/queue/tcp/ZZ0A.01",
        b" C:\\x\\queue\\ZZ0A.01 ([192.0.2.1])",
        b" 276 ([192.0.2.1])",
    ],
)
def test_a_line_is_read_alike_by_columns_of_any_width(rest: bytes) -> None:
    """The twin's straight case knows channels that push what follows; that of Python does not, and goes the long way."""
    line = LINE.replace(b" E ", b" Q ") % (0, 0) + rest
    lines = [line, line.replace(b"tcp_local   ", b"tcp_local_with_a_long_name")]
    assert not differs(MODULE, b"\n".join(lines * 2))
    short, long = [json.loads(record) for record in converted(b"\n".join(lines), options(), "mail.log").lines.splitlines()]
    same = dict.fromkeys(("source_channel", "id", "source"))
    assert {**short, **same} == {**long, **same}


@pytest.mark.parametrize("fields", [None, ("process", "username", "application")])
def test_a_field_that_comes_twice_leaves_the_same(fields: tuple[str, ...] | None) -> None:
    """A lone asterisk and then a name; an application among the fields and one behind the transport."""
    counted = LINE[: LINE.index(b"adam@")] % (0, 0) + b"16:adam@example.com 22:rfc822;bob@example.org 15:bob@example.org 1:* 4:adam"
    twice = LINE.replace(b" E ", b" Q ") % (0, 0) + b" *adam SMTP/a/b TCP|192.0.2.1|25|192.0.2.2|40 SMTP"
    assert not differs(MODULE, b"\n".join([counted, counted, twice, twice]), fields=fields)


LINE = b"19-Jan-1998 19:%02d:%02d.64 2e2d.2.1 tcp_local    ims-ms       E 1 adam@example.com rfc822;bob@example.org bob@example.org"


def test_what_the_next_lines_depend_on_is_the_same_wherever_it_is_cut() -> None:
    """Passages that will go on alike have the same state: workers are compared by it."""
    lines = [LINE % (number // 100, number // 7 % 60) for number in range(600)] + [b"a text", b"a text"]
    whole, parts = (Passage(options(MODULE), "mail.log") for _ in range(2))
    whole.render(Block(b"\n".join(lines), 0))
    offset = 0
    for line in lines:
        parts.render(Block(line, offset))
        offset += len(line) + 1
    assert whole.state() == parts.state()
    parts.render(Block(lines[-3], offset))
    assert whole.state() != parts.state()


def test_one_of_another_version_is_not_used(tmp_path: Path) -> None:
    """And says so, `--version` as the log of a service, which would be slower without a word else."""
    (other := tmp_path / "other").mkdir()
    (other / "shipper_native.py").write_text("VERSION = '0.0.0'\n")
    why = "built for another state of shipper (version 0.0.0), so not used"
    assert why in _told({"PYTHONPATH": str(other)})
    with running(tmp_path, PYTHONPATH=str(other)) as service:
        service.until_told(f"the compiled twin is not in use, which makes this slower: {why}")
        assert service.stop() == 0


def test_it_can_be_turned_off() -> None:
    """SHIPPER_NATIVE=0."""
    assert "turned off" in _told({"SHIPPER_NATIVE": "0"})


def _told(environment: dict[str, Any]) -> str:
    command = [sys.executable, "-c", "from shipper import compiled; print(compiled.find())"]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=True).stdout
