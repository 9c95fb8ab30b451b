"""The compiled twin against the Python: the same octets through both, and the same output and account expected."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from shipper import compiled
from shipper.formats import BY_NAME
from shipper.formats.mta_text import OPTIONAL
from shipper.framing import blocks
from shipper.mailserver.optionfile import optional_fields, parse
from shipper.passage import Options, Passage, Tally, portions
from shipper.profiles import PROFILES
from shipper.stamps import MONTHS, epoch_ns

FORMATS = Path(__file__).resolve().parent.parent / "formats"
GOLDEN = sorted(FORMATS.glob("*/*/input.log"))
OBSERVED = 1_700_000_000_123_456_789
FIELDS = (
    None,
    None,
    OPTIONAL,
    (),
    ("process", "filename", "message_id", "username", "connection", "diagnostic"),
    ("node", "notary", "envelope_id", "message_id", "connection", "sensitivity", "priority", "filter", "remote_mta", "application"),
    ("node", "process", "filename", "username", "connection", "intermediate", "initial", "reason", "transport", "queue_time"),
    ("process", "notary", "filename", "envelope_id", "username", "filter", "application", "queue_time"),
)
"""The optional fields that a log is said to have."""
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Africa/Monrovia")

SETTINGS = (
    "",
    "LOG_CONNECTION=255,LOG_NODE=1,LOG_PROCESS=1,LOG_NOTARY=1,LOG_FILENAME=1,LOG_MESSAGE_ID=1,LOG_USERNAME=1",
    "LOG_CONNECTION=7,LOG_PROCESS=0,LOG_FILENAME=0,LOG_MESSAGE_ID=1,LOG_USERNAME=0",
    "LOG_CONNECTION=3,LOG_SENSITIVITY=1,LOG_PRIORITY=1,LOG_INTERMEDIATE=1,LOG_INITIAL=1,LOG_FILTER=1,LOG_REASON=1,LOG_DIAGNOSTICS=1",
    "LOG_CONNECTION=0,LOG_PROCESS=1,LOG_FILENAME=1,LOG_MESSAGE_ID=0,LOG_ENVELOPE_ID=1,LOG_QUEUE_TIME=1,LOG_HEADER=1",
)
"""Settings of generated servers, as their option.dat has them."""


def options(module: Any = None, profile: str = "native", zone: str = "UTC", **others: Any) -> Options:
    return Options(PROFILES[profile], zone=ZoneInfo(zone), observed=OBSERVED, twin=module, **others)


def golden_options(case: Path) -> tuple[dict[str, Any], str]:
    """What a fixture's options.json asks for, as options, and the log's name."""
    path = case.with_name("options.json")
    told: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    named = tuple(told["fields"]) if "fields" in told else None
    only = BY_NAME[told["format"]] if "format" in told else None
    wanted = {
        "zone": told.get("timezone", "UTC"),
        "fields": named,
        "only": only,
        "host": told.get("host", ""),
        "raw": told.get("raw", "errors"),
    }
    return wanted, told.get("file", "")


class Made(NamedTuple):
    """What came out: lines, and what they are known by where repeats are looked for; the account; how many lines the twin did."""

    lines: bytes
    tally: Tally
    done: int
    ids: bytes
    minutes: list[int]
    kinds: bytes


def converted(data: bytes, wanted: Options, file: str, sizes: Iterable[int] = (1 << 18,)) -> Made:
    """What comes out of octets that are read in chunks of these sizes, over and over."""

    def chunks() -> Iterator[bytes]:
        position = 0
        while position < len(data):
            for size in sizes:
                yield data[position : position + size]
                position += size

    passage = Passage(wanted, file)
    pieces = [passage.render(block) for block in portions(blocks(chunks(), max_line=wanted.max_line))]
    tally = passage.take_tally()
    done, tally.compiled = tally.compiled, 0
    assert not tally.given_up, "the twin panicked"
    keys = [piece.keys for piece in pieces if piece.keys]
    return Made(
        b"".join([piece.lines for piece in pieces]),
        tally,
        done,
        b"".join([each.ids for each in keys]),
        [minute for each in keys for minute, count in each.runs for _ in range(count)],
        b"".join([piece.kinds for piece in pieces]),
    )


def differs(module: Any, data: bytes, file: str = "mail.log", sizes: Iterable[int] = (1 << 18,), **told: Any) -> str:
    """What is not the same with and without the twin, in words; "" when nothing is."""
    mine, its = converted(data, options(**told), file), converted(data, options(module, **told), file, sizes)
    assert mine.done == 0
    ours, theirs = mine.lines, its.lines
    if ours != theirs:
        pairs = enumerate(zip(ours.split(b"\n"), theirs.split(b"\n"), strict=False))
        number, (line, wrong) = next((number, pair) for number, pair in pairs if pair[0] != pair[1])
        lines = data.split(b"\n")
        return f"line {number + 1}: {lines[number]!r}\nPython {line!r}\n  twin {wrong!r}"
    if mine[3:] != its[3:]:
        return "not known by the same ids, minutes and kinds"
    return "" if mine.tally == its.tally else f"Python {mine.tally}\n  twin {its.tally}"


def window(rng: random.Random, data: bytes, **told: Any) -> dict[str, int | None]:
    """A time from which on and one until which records of a log are wanted, or one of them."""
    times = re.findall(r'^{"kind":"[^"]*","time":"([^"]*)"', converted(data, options(**told), "").lines.decode(), re.MULTILINE)
    instants = [at for time in rng.choices(times or [""], k=2) if (at := epoch_ns(time)) is not None]
    if len(instants) < 2:
        return {}
    since, until = sorted(at + rng.choice((0, 0, 1, -1, 10**9)) for at in instants)
    whole = rng.choice((1, 10**9, 3600 * 10**9))
    return {"since": rng.choice((None, since // whole * whole)), "until": rng.choice((None, until // whole * whole))}


def fields_of(directory: Path) -> tuple[str, ...]:
    """The optional fields of a generated server's lines."""
    (path,) = (directory / "config").glob("option.dat")
    return optional_fields(parse(path.read_text())[0])


FORMS = {"mta_text": 3, "service": 3, "mta_xml": 2, "mta_json": 2}
"""The formats that the twin reads, and how often a damaged log is of one."""


class Seeds(NamedTuple):
    """Lines to begin with, by their format: of generated logs, and of the fixtures; of all fixtures."""

    generated: dict[str, list[bytes]]
    fixtures: dict[str, list[bytes]]
    others: list[bytes]

    @property
    def mta(self) -> list[bytes]:
        return self.generated["mta_text"]

    @property
    def service(self) -> list[bytes]:
        return self.generated["service"]

    def any(self, rng: random.Random, odd: int, form: str) -> bytes:
        """A line; of all fixtures once in `odd` times."""
        if not rng.randrange(odd):
            return rng.choice(self.others)
        # A line of XML or JSON with no time at its beginning ends a run, and most of the fixtures are such.
        fixture = not rng.randrange(6 if form in ("mta_text", "service") else 150)
        return rng.choice((self.fixtures if fixture else self.generated)[form])


def seeds(directory: Path) -> Seeds:
    """The lines, some of which are generated in this directory, if they are not there yet."""
    generated: dict[str, list[bytes]] = {form: [] for form in FORMS}
    servers = [(settings, "mta_text") for settings in (*SETTINGS, *(f"LOG_FORMAT=3,{SETTINGS[number]}" for number in (1, 3)))]
    servers += [(f"LOG_FORMAT={log_format},{SETTINGS[number]}", form) for log_format, form in _LOG_FORMATS for number in (0, 1, 3, 4)]
    for number, (settings, form) in enumerate(servers):
        out = directory / str(number)
        more = ["--options", settings.rstrip(",")] if settings else []
        command = [sys.executable, "-m", "shipper", "generate", "--lines", "3000", "--rate", "20000", "--quiet", "--out", str(out)]
        if not out.exists():
            subprocess.run([*command, "--seed", str(number), *more], check=True)
        generated[form] += (out / "log" / "mail.log_current").read_bytes().split(b"\n") * (1 if settings else 8)
        if form == "mta_text":
            for name in ("imap", "pop", "http", "admin", "default", "imta"):
                generated["service"] += (out / "log" / name).read_bytes().split(b"\n")
    fixtures = {
        name: [line for path in GOLDEN if name in ("", path.parent.parent.name) for line in path.read_bytes().split(b"\n")]
        for name in (*FORMS, "")
    }
    for lines in (*generated.values(), *fixtures.values()):
        lines[:] = [line for line in lines if len(line) < 2000]
    return Seeds(generated, fixtures, fixtures[""])


_LOG_FORMATS = ((4, "mta_xml"), (5, "mta_json"), (6, "mta_json"))
_BITS = (
    b" ", b"  ", b"\r", b"\t", b'"', b"\\", b"<", b">", b"<>", b"(", b")", b"[", b"]", b"|", b";", b":", b",", b"/", b".", b"*", b"=", b"+", b"-",
    b"0", b"7", b"250", b" 250 2.1.5 ok", b"E", b"DS", b"B", b"\xc3\xa9", b"\xe2\x80\xa8", b"\xc2\x85", b"\xff", b"\x00", b"\x1f", b"\xef\xbb\xbf",
    b"rfc822;", b"dns;", b"smtp;", b"(TCP|", b" TCP|", b") smtp;", b") lmtp;", b"TLS", b"SMTP/", b"mailsrv", b" normal ", b"@", b"127.0.0.1",
    b"2001:db8::1", b"::ffff:192.0.2.1", b"01.2.3.4", b"login [", b"close [", b"badlogin: [", b"append:", b":<", b":user/", b"|a=b", b" (x)",
    b"2005/2/29 1:02:03 0:00:00", b" 1 2 3", b"192.0.2.1:143] ", b"[unauthenticated]", b"Account Disabled (off)", b"Plaintext", b"Error:",
    b"&lt;", b"&amp;", b"&quot;", b"&#10;", b"&#xe9;", b"&#xD800;", b"&", b'/>', b'"/>', b' xx="1"', b' so=""', b' ts="1"', b' rm="mx.example.net"',
    b' dr="+"', b' pi="1.2"', b'>', b"'", b'","', b'":"', b'":', b",", b"{", b"}", b'"ts":"1",', b'"dr":"+",', b'"so":"",', b'"xx":1,', b"null",
    b"\\n", b"\\u00e9", b"\\ud83d", b"\\ud83d\\ude00", b"\\u0000", b"\\/", b'\\"', b"true", b"1.5",
)  # fmt: skip


KINDS = [form for form, share in FORMS.items() for _ in range(share)]


def mutated(rng: random.Random, line: bytes, pool: Seeds) -> bytes:
    """The line with some damage: octets flipped, cut, doubled, blanks more or fewer, a piece of another line."""
    for _ in range(rng.choice((0, 0, 1, 1, 1, 2))):
        at = rng.randrange(min(24, len(line)) if rng.randrange(200) else 0, len(line) + 1)
        to = min(len(line), at + rng.choice((0, 1, 1, 2, 5, 20)))
        kind = rng.randrange(9)
        if kind == 0 and line:
            at = min(at, len(line) - 1)
            line = line[:at] + bytes([rng.randrange(256)]) + line[at + 1 :]
        elif kind == 1:
            line = line[:at]
        elif kind == 2:
            line = line[:at] + line[to:]
        elif kind == 3:
            line = line[:to] + line[at:]
        elif kind == 4:
            other = pool.any(rng, 5, rng.choice(KINDS))
            cut = rng.randrange(len(other) + 1)
            line = line[:at] + other[cut : cut + rng.choice((1, 5, 20, 400))]
        elif kind == 5:
            words = line.split(b" ")
            del words[rng.randrange(len(words))]
            line = b" ".join(words)
        elif kind == 6:
            words = line.split(b" ")
            words.insert(rng.randrange(len(words) + 1), rng.choice(pool.any(rng, 5, rng.choice(KINDS)).split(b" ")))
            line = b" ".join(words)
        else:
            line = line[:at] + rng.choice(_BITS) + line[at if kind == 7 else to :]
    return line.replace(b"\n", b" ")


_DAYS = (b"27-Mar-2005", b"30-Oct-2005", b"30-oct-2005", b"03-Apr-2005", b"31-Dec-1999", b"30-Feb-2005", b"01-Jan-0001")


_ISO = re.compile(rb'(?:<\w\w ts=|(?:{"\w\w":)?{"ts":)"')


_MONTHS = b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
_HEADS: tuple[Callable[[bytes, bytes, bytes, bytes], bytes], ...] = (
    lambda year, month, day, clock: b"%b %2d %b mail imta[411]: " % (_MONTHS[int(month) - 1], int(day), clock),
    lambda year, month, day, clock: b"<22>%b %2d %b mail.example.com imapd[7]: " % (_MONTHS[int(month) - 1], int(day), clock),
    lambda year, month, day, clock: b"%b-%b-%bT%b.123456+01:00 mail imta: " % (year, month, day, clock),
    lambda year, month, day, clock: b"%b-%b-%bT%bZ error imta[2]: " % (year, month, day, clock),
    lambda year, month, day, clock: b"<22>1 %b-%b-%bT%b+01:00 mail imta 411 - - " % (year, month, day, clock),
)


def headed(line: bytes, form: int) -> bytes:
    """The line behind a syslog header of the same second, if it is MTA text or a service log's."""
    found = re.match(rb"\[?(\d\d)[-/]([A-Z][a-z]{2})[-/](\d{4})[ :]([\d:]{8})", line)
    if found is None or found[2] not in _MONTHS:
        return line
    return _HEADS[form](found[3], b"%02d" % (_MONTHS.index(found[2]) + 1), found[1], found[4]) + line


def log_of(rng: random.Random, pool: Seeds, lines: int) -> bytes:
    """A log of damaged lines whose stamps go on slowly, in some over an hour that comes twice, with repeats; other formats' lines in many or
    in few; in some behind syslog headers."""
    made: list[bytes] = []
    day, second, odd = rng.choice(_DAYS), rng.randrange(0, 90_000), rng.choice((20, 2000, 20_000))
    leap, form, zone, calm = rng.choice((0, 700, 3600)), rng.choice(KINDS), b"-0700", rng.choice((1, 4, 16))
    head = rng.randrange(len(_HEADS)) if not rng.randrange(6) else None
    iso = b"%b-%02d-%b" % (day[7:], MONTHS[day[3:6].decode().lower()], day[:2])
    while len(made) < lines:
        second += rng.choice((0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0 if rng.randrange(50) else rng.choice((leap, -leap, -3))))
        line = pool.any(rng, odd, form)
        if line[2:3] == b"-" and line[6:7] == b"-" and rng.randrange(1000):
            clock = b"%02d:%02d:%02d" % (second // 3600 % 24, second // 60 % 60, second % 60)
            line = day + b" " + clock + line[20:]
        elif line[:1] == b"[" and line[13:14] == b":" and rng.randrange(500):
            zone = zone if rng.randrange(500) else rng.choice((b"+0000", b"+0530", b"-0700", b"+2400"))
            clock = b"%02d:%02d:%02d" % (second // 3600 % 24, second // 60 % 60, second % 60)
            line = b"[" + day.replace(b"-", b"/") + b":" + clock + b" " + zone + line[27:]
        elif (found := _ISO.match(line)) and rng.randrange(500):
            clock = b"%02d:%02d:%02d" % (second // 3600 % 24, second // 60 % 60, second % 60)
            line = line[: found.end()] + iso + b"T" + clock + line[found.end() + 19 :]
        if head is not None and rng.randrange(50):
            line = headed(line, head)
        line = line if rng.randrange(calm) else mutated(rng, line, pool)
        made += [line] * rng.choice((1, 1, 1, 1, 2, 3))
    return b"\n".join(made[:lines])


def told_of(rng: random.Random) -> dict[str, Any]:
    """Options at random."""
    return {
        "file": rng.choice(("", "mail.log", 'a "b"/é')),
        "zone": rng.choice(ZONES),
        "raw": rng.choice(("always", "errors", "errors", "never")),
        "host": rng.choice(("", "", "mta1.example.com")),
        "profile": rng.choice(sorted(compiled.PROFILES)),
        "fields": rng.choice(FIELDS),
        "dedupe": not rng.randrange(4),
        "max_line": rng.choice((1024, 1 << 20)),
        "sizes": rng.choice(((1 << 18,), (1 << 18,), (4096, 700), (100_000, 1))),
    }


def log_differs(module: Any, pool: Seeds, name: str) -> tuple[str, int]:
    """(what differs of the log of this name, lines)."""
    rng = random.Random(name)
    data = log_of(rng, pool, 4000)
    told = told_of(rng)
    if not rng.randrange(3):
        told |= window(rng, data, zone=told["zone"], fields=told["fields"])
    found = differs(module, data, **told)
    return f"{told}: {found}" if found else "", 4000
