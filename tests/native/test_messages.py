"""Syslog messages through the compiled twin are the Python's: the same lines in every profile, the same records, octet for octet."""

from __future__ import annotations

import ast
import random
from collections.abc import Sequence
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from shipper import compiled
from shipper.batch import Receipt
from shipper.copies import Copies
from shipper.formats import Log
from shipper.messages import Messages
from shipper.profiles import PROFILES, otlp, rfc5424
from shipper.reader import RawPolicy, Reader
from shipper.record import Record
from shipper.stamps import Clock
from shipper.straight import Straight, apart, payloads, rendered
from tests.native.differ import FIELDS, OBSERVED, Seeds, mutated
from tests.native.test_payloads import PRIORITIES, STYLES

MODULE, WHY = compiled.find()
pytestmark = pytest.mark.skipif(MODULE is None, reason=f"no compiled twin: {WHY}")

RECEIVED = date(2005, 10, 30)
PROFILES_READ = [*sorted(compiled.PROFILES), compiled.BARE]
"""By what messages are read: for lines of a profile, or for payloads alone."""
TESTS = Path(__file__).resolve().parent.parent
_HEADERS = (
    b"<%d>Oct 30 %s mail.example.com imta[411]: ",
    b"<%d>Oct 30 %s mail imta: ",
    b"<%d>Oct  1 %s 192.0.2.7 /usr/sbin/imta[4]: ",
    b"<%d>Nov  9 %s mail imapd[27]: ",
    b"<%d>Feb 29 %s mail imapd[27]: ",
    b"<%d>2005-10-30T%s.123456+01:00 mail.example.com imta[411]: ",
    b"<%d>2005-10-30T%sZ mail imta[411]: ",
    b"<%d>2005-10-30T%s.5 mail imta[411]: ",
    b"<%d>1 2005-10-30T%s.003Z mail.example.com imta 411 ID47 - ",
    b"<%d>1 2005-10-30T%s+01:00 mail imta - - - ",
    b"<%d>1 2005-10-30T%s mail imta - - - ",
    b"<%d>1 - mail imta 411 - - ",
    b'<%d>1 2005-10-30T%s.003Z mail imta 411 - [meta sequenceId="29"] ',
    b'<%d>1 2005-10-30T%s.003Z mail imta 411 - [timeQuality tzKnown="1"][x@32473 a="b] c" d="e\xc3\xa9=" f-g="\t/&\x1f"] ',
    b'<%d>1 2005-10-30T%s.003Z mail imta 411 ID47 [origin ip="192.0.2.7" swVersion="8"] ',
    b'<%d>1 2005-10-30T%s.003Z mail imta 411 - [a b="c\\"d\\\\e\\]f\\g"] ',
    b'<%d>1 2005-10-30T%s.003Z mail imta 411 - [a][a b="1" b="2"][c  d="" e="1" ][a b="3"] ',
    b'<%d>1 2005-10-30T%s mail imta 411 - [a\\b c"="d"]x ',
    b"<%d>1 2005-10-30T%s.003Z - - - - - ",
    b"<%d>Oct 30 %s mail imapd[27]: [ID 702911 mail.notice] ",
    b"<%d>Oct 30 %s last message repeated 2 times: ",
    b"Oct 30 %s mail imta[411]: ",
    b"<%d>",
    b"",
)
_BODIES = (
    b"Accepted publickey for adam from 192.0.2.7 port 51234 ssh2",
    b"pam_unix(sshd:session): session opened for user adam",
    b"error: 5 times",
    b"login: [192.0.2.7]",
    b"Account Notice: badlogin: [192.0.2.7:40718] plaintext user1 authentication failure",
    b"account notice: login [192.0.2.7:40718] user1 plaintext",
    b"General Notice text",
    b"May Information: no month",
    b"mail.log:30-Oct-2005 12:00:00.12 tcp_local    ims-ms       E 1 a@example.com rfc822;b@example.org b@example.org",
    b"a-Oct 30 12:00:00 relay imta: text",
    b"Oct 30 12:00:00 relay imta[7]: text",
    b"Oct 30 12:00:00 relay imta[7]: 30-Oct-2005 12:00:00.12 tcp_local    ims-ms       E 1 a@example.com rfc822;b@example.org b@example.org",
    b"(root) CMD (run-parts)",
    b'\xc3\xa9t\xc3\xa9 "quoted" back\\slash',
    b"not \xff UTF-8",
    b"two\nlines",
    b"\xef\xbb\xbfmarked",
    b"ends in a blank ",
    b"x",
    b"",
)
PEERS = ("192.0.2.1", "2001:db8::1", "fe80::1%eth0", "")


class Both:
    """One input, read in both ways."""

    def __init__(self, profile: str, zone: str, host: str, raw: RawPolicy, fields: tuple[str, ...] | None = None) -> None:
        self.profile = PROFILES[profile]
        self.clocks = Clock(ZoneInfo(zone)), Clock(ZoneInfo(zone))
        self.plain = Reader(Log(clock=self.clocks[0], fields=fields, host=host), raw=raw)
        log = Log(clock=self.clocks[1], fields=fields, host=host)
        self.messages = Messages(log, raw=raw, module=MODULE, profile=profile, observed=OBSERVED)
        self.headers = self.plain.headers, self.messages._reader.headers
        self.compiled = 0

    def differs(self, messages: list[bytes], peers: list[str], wrong: dict[int, str], **told: Any) -> str:
        """What is not the same for a batch, in words; "" when nothing is."""
        ours = self.profile.render(self.plain.read_messages(messages, RECEIVED, peers, wrong, **told), OBSERVED).splitlines(keepends=True)
        theirs: list[bytes] = []
        for part in self.messages.read(messages, RECEIVED, peers, wrong, **told):
            if isinstance(part, list):
                theirs += self.profile.render(part, OBSERVED).splitlines(keepends=True)
            else:
                assert not part.panics, "the twin panicked"
                lines = self.messages.written().splitlines(keepends=True)
                assert len(lines) == part.messages == sum(part.kinds)
                theirs += lines
                self.compiled += part.messages
        for message, line, wrongly in zip(messages, ours, theirs, strict=True):
            if line != wrongly:
                return f"{message!r}\nPython {line!r}\n  twin {wrongly!r}"
        for plain, twin in (self.clocks, self.headers):
            if plain.state() != twin.state():
                return f"clock: Python {plain.state()}, twin {twin.state()}"
        return ""


@cache
def vectors() -> list[bytes]:
    """Every text in the tests of syslog that may be a message."""
    found: list[bytes] = []
    for path in (TESTS / "formats" / "test_syslog.py", TESTS / "inputs" / "syslog" / "test_syslog.py", TESTS / "test_reader.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
                value = node.value if isinstance(node.value, bytes) else node.value.encode(errors="replace")
                found += [value, *(b"<22>" + value, HEADER + value)] if len(value) < 3000 else []
    return found


HEADER = b"<22>Oct 30 12:00:00 mail imta[411]: "


def headed(rng: random.Random, body: bytes, second: int, straight: bool) -> bytes:
    """A body behind a header."""
    header = rng.choice(_HEADERS[:10] if straight else _HEADERS)
    clock = b"%02d:%02d:%02d" % (second // 3600 % 24, second // 60 % 60, second % 60)
    priority = rng.choice((22, 0, 13, 86, 191) if straight else (192, 999, 22, 22, 22))
    header = header.replace(b"%d", str(priority).encode()).replace(b"%s", clock)
    if body[2:3] == b"-" and body[6:7] == b"-" and rng.randrange(100):
        body = b"30-Oct-2005 " + clock + body[20:]
    return header + body


def damaged(rng: random.Random, message: bytes, pool: Seeds) -> bytes:
    """With octets flipped, cut, doubled, put in, mostly in the header."""
    if not rng.randrange(4):
        message = mutated(rng, message, pool)
    for _ in range(rng.choice((0, 0, 0, 1, 2))):
        at = rng.randrange(min(len(message), 90) + 1)
        kind = rng.randrange(4)
        if kind == 0:
            message = message[:at] + bytes([rng.randrange(256)]) + message[at + 1 :]
        elif kind == 1:
            message = message[:at] + message[at + rng.choice((1, 1, 4)) :]
        elif kind == 2:
            message = (
                message[:at]
                + rng.choice((b": ", b"1 ", b"\xef\xbb\xbf", *(b' :[]<>-\0\n9J."=\\'[at : at + 1] for at in range(15))))
                + message[at:]
            )
        else:
            message = message[:at] + message[max(0, at - 3) :]
    return message + rng.choice((b"", b"", b"", b"\n", b"\r\n", b"\0", b" "))


def batches(rng: random.Random, pool: Seeds, count: int) -> tuple[list[bytes], list[str], dict[int, str]]:
    """Messages of one input, mostly straight in some and mostly not in others."""
    odd, second = rng.choice((2, 20, 1000)), rng.randrange(0, 80_000)
    messages: list[bytes] = []
    while len(messages) < count:
        second += rng.choice((0, 0, 0, 1, 1, 0 if rng.randrange(40) else rng.choice((-3600, 3600, 900))))
        straight = bool(rng.randrange(odd))
        body = (
            pool.any(rng, 100 if straight else 3, rng.choice(("mta_text", "mta_text", "service")))
            if rng.randrange(5)
            else rng.choice(_BODIES)
        )
        message = headed(rng, body, second % 86_400, straight)
        if not straight:
            message = damaged(rng, message, pool) if rng.randrange(3) else rng.choice(vectors())
        messages += [message] * rng.choice((1, 1, 1, 2))
    del messages[count:]
    wrong = {number: "datagram cut" for number in range(count) if not rng.randrange(200)}
    return messages, [rng.choice(PEERS) for _ in messages], wrong


def test_what_the_tests_of_syslog_have_is_the_same() -> None:
    """Every message of theirs, bare and behind a header, in every profile."""
    messages = vectors()
    for profile in sorted(compiled.PROFILES):
        for raw in ("always", "errors"):
            for told in ({}, {"colonless_tag": True}):
                both = Both(profile, "UTC", "", raw)
                assert not both.differs(messages, [PEERS[0]] * len(messages), {}, **told)


def test_damaged_messages_are_the_same(pool: Seeds) -> None:
    """Records and texts behind headers of all kinds, octets flipped, cut and moved, over the hour that comes twice, with all options."""
    compiled_ones = done = 0
    for number in range(8):
        found, messages, by_twin = batches_differ(pool, f"messages {number}")
        assert not found
        done += messages
        compiled_ones += by_twin
    assert compiled_ones > done / 5


def test_structured_data_is_read_by_the_twin() -> None:
    """Any number of elements with any number of parameters; what is escaped, empty or there twice is Python's, and so is what may be ours."""
    header, body = b"<22>1 2005-10-30T12:00:00.003Z mail imta 411 - %b ", b"text of another program"
    read = (
        b'[a b="c"]',
        b'[meta sequenceId="29" sysUpTime="5"][timeQuality tzKnown="1"][x@32473 k="v" l=" ] "]',
        b'[a\\b c\\d="\xe2\x82\xac\x7f\t"]',
        b'[a b="%b"]' % (b"x" * 300),
    )
    left = (
        b"[a]", b'[a b=""]', b'[a b="c" b="d"]', b'[a b="c"][a d="e"]', b'[a b="\\""]', b'[a  b="c"]', b'[a b="c" ]', b'[a b="c"',
        b'[a b=c]', b'[=a b="c"]', b'[a "b"="c"]', b'[a b="c"]x', b'[origin software="shipper"]', b'[\xc3\xa9 b="c"]', b"[]", b'[a ="b"]',
    )  # fmt: skip
    for data in (read, left):
        for profile in sorted(compiled.PROFILES):
            both = Both(profile, "UTC", "", "always")
            assert not both.differs([header % each + body for each in data], [PEERS[0]] * len(data), {})
            assert both.compiled == (len(data) if data is read else 0)


def batches_differ(pool: Seeds, name: str) -> tuple[str, int, int]:
    """(what differs of some batches of this name, messages, those that the twin has read)."""
    rng = random.Random(name)
    zone = rng.choice(("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"))
    raw: RawPolicy = rng.choice(("always", "errors", "never"))
    both = Both(rng.choice(sorted(compiled.PROFILES)), zone, rng.choice(("", "mx.example.com")), raw, rng.choice(FIELDS))
    for _ in range(3):
        if found := both.differs(*batches(rng, pool, 1000)):
            return found, 3000, both.compiled
    return "", 3000, both.compiled


@pytest.mark.parametrize("seed", range(6))
def test_batches_make_no_difference(seed: int, pool: Seeds) -> None:
    """The same lines, over the hour that comes twice and with damaged messages, whether Python has all at once or the twin has some at a time."""
    rng = random.Random(seed)
    messages, peers, _ = batches(rng, pool, 600)
    hours = [10_000 + 7 * number % 7_000 for number in range(300)]
    messages += [headed(rng, rng.choice(_BODIES), second, True) for second in hours]
    peers += [PEERS[0]] * len(hours)
    profile = PROFILES[sorted(compiled.PROFILES)[seed % 2]]
    plain = Reader(Log(clock=Clock(ZoneInfo("Europe/Berlin"))))
    wanted = profile.render(plain.read_messages(messages, RECEIVED, peers), OBSERVED)
    twin, found, start = Messages(Log(clock=Clock(ZoneInfo("Europe/Berlin"))), module=MODULE, profile=profile.name), b"", 0
    while start < len(messages):
        end = start + rng.choice((1, 2, 7, 40, 300))
        some = twin.straight(messages[start:end], RECEIVED, peers[start:end], {}, observed=OBSERVED)
        found += rendered(some, profile, OBSERVED)
        start = end
    assert found == wanted


def test_the_straight_ones_are_done_by_the_twin() -> None:
    """MTA text, service logs and text of other programs, behind both headers."""
    bodies = (
        b"30-Oct-2005 12:%02d:%02d.64 2e2d.2.1 tcp_local    ims-ms       E 1 adam@example.com rfc822;bob@example.org bob@example.org",
        b"[30/Oct/2005:12:%02d:%02d +0100] mail imapd[27]: Account Information: login [192.0.2.7:1234] adam plaintext",
        b"Accepted publickey for adam at %d %d",
    )
    headers = (HEADER, b"<22>1 2005-10-30T12:00:00.003Z mail.example.com imta 411 - - ")
    messages = [headers[number % 2] + bodies[number % 3] % (number // 60, number % 60) for number in range(600)]
    both = Both("native", "UTC", "", "errors")
    assert not both.differs(messages, ["192.0.2.1"] * 600, {})
    assert both.compiled == 600
    plain = Reader(Log(clock=Clock(ZoneInfo("UTC")))).read_messages(messages, RECEIVED, ["192.0.2.1"] * 600)
    for profile in sorted(compiled.PROFILES):
        records = Messages(Log(clock=Clock(ZoneInfo("UTC"))), module=MODULE, profile=profile).straight(
            messages, RECEIVED, ["192.0.2.1"] * 600, {}, observed=OBSERVED
        )  # fmt: skip
        assert isinstance(records, Straight)
        assert records.octets == PROFILES[profile].render(plain, OBSERVED)
        assert list(records) == plain
    assert (
        list(
            Messages(Log(clock=Clock(ZoneInfo("UTC"))), module=MODULE, profile=compiled.BARE).straight(
                messages, RECEIVED, ["192.0.2.1"] * 600, {}
            )
        )
        == plain
    )


def test_records_are_those_of_python_when_somebody_looks(pool: Seeds) -> None:
    """Lines with the time of reading put in, and records made afterwards, are what Python makes; in every profile."""
    for number in range(12):
        rng = random.Random(number)
        log, other = (Log(clock=Clock(ZoneInfo("Europe/Berlin"))) for _ in range(2))
        profile = sorted(compiled.PROFILES)[number % 2]
        plain, twin = Reader(log), Messages(other, module=MODULE, profile=profile)
        for _ in range(2):
            messages, peers, wrong = batches(rng, pool, 500)
            wanted = plain.read_messages(messages, RECEIVED, peers, wrong)
            found = twin.straight(messages, RECEIVED, peers, wrong)
            assert rendered(found, PROFILES[profile], OBSERVED) == PROFILES[profile].render(wanted, OBSERVED)
            assert [record for record in apart(found) if record.error] == [record for record in wanted if record.error]
            assert list(found) == wanted


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("profile", PROFILES_READ)
def test_payloads_are_those_of_python(profile: str, at_once: bool, pool: Seeds) -> None:
    """OTLP and syslog of each form, whole and cut, of messages with all kinds of headers and bodies, with priorities for some; also where those
    of OTLP are made when a message is read."""
    for number in range(2):
        found, _ = payloads_differ(profile, at_once, pool, f"{profile} {number}")
        assert not found


def payloads_differ(profile: str, at_once: bool, pool: Seeds, name: str) -> tuple[str, int]:
    """(what differs of a batch of this name, messages)."""
    rng = random.Random(name)
    left = 0
    zone, host = ZoneInfo(rng.choice(("UTC", "Europe/Berlin", "Asia/Kathmandu"))), rng.choice(("", "mx.example.com"))
    raw: RawPolicy = rng.choice(("always", "errors", "never"))
    plain = Reader(Log(clock=Clock(zone), host=host), raw=raw)
    twin = Messages(Log(clock=Clock(zone), host=host), raw=raw, module=MODULE, profile=profile, otlp=at_once)
    messages, peers, wrong = batches(rng, pool, 800)
    wanted = plain.read_messages(messages, RECEIVED, peers, wrong)
    found = twin.straight(messages, RECEIVED, peers, wrong, observed=OBSERVED)
    assert not isinstance(found, Straight) or all((spell.ahead is not None) == at_once for _, spell in found.stretches)
    given = [rng.choice(PRIORITIES) for _ in wanted]

    def python(some: Sequence[Record], _: Any) -> list[bytes]:
        nonlocal left
        left += len(some)
        return otlp.payloads(some, OBSERVED)

    pairs = {"otlp": (otlp.payloads(wanted, OBSERVED), payloads(found, None, python, OBSERVED))}
    for style in STYLES:
        made = payloads(found, style, lambda some, its, style=style: rfc5424.render(some, OBSERVED, style, its), OBSERVED, given)
        pairs[str(style)] = rfc5424.render(wanted, OBSERVED, style, given), made
    for kind, (ours, theirs) in pairs.items():
        for message, mine, its in zip(messages, ours, theirs, strict=True):
            if mine != its:
                return f"{kind}: {message!r}\nPython {mine!r}\n  twin {its!r}", len(messages)
    unseen = left - len([*apart(found)])
    return f"the twin left {unseen} to Python that it has read" if unseen else "", len(messages)


@pytest.mark.parametrize("relays", [frozenset[str](), frozenset(["192.0.2.1"])])
def test_loops_are_stopped_as_of_records(relays: frozenset[str], pool: Seeds) -> None:
    """Our own messages that come back, with structured data and inside of a text, and what comes from a relay; and nobody looks at a record where
    there is nothing of that."""
    rng = random.Random(1)
    plain, twin = Reader(Log(clock=Clock(ZoneInfo("UTC")))), Messages(Log(clock=Clock(ZoneInfo("UTC"))), module=MODULE, profile="native")
    now = [0.0]
    copies = [Copies(lambda: now[0]) for _ in range(2)]
    uid, stopped, unseen = "0" * 32, 0, 0
    for number in range(16):
        messages, peers, wrong = batches(rng, pool, 200)
        messages += [b"<22>Oct 30 12:00:00 mail imta[411]: said again"] * (2 if number % 2 else 40)
        peers += ["192.0.2.1" if number % 4 == 2 else "192.0.2.2"] * (len(messages) - len(peers))
        if number % 4 == 3:
            messages[3] = b'<22>Oct 30 12:00:00 mail imta: <22>1 - [origin software="shipper"][mta@32473 uid="%b"] x' % uid.encode()
            messages[9] = b'<22>1 - mail imta 4 - [origin software="shipper"][mta@32473 uid="%b"] x' % uid.encode()
        elif number % 4 == 0:
            peers = ["192.0.2.3"] * len(messages)
        wanted = plain.read_messages(messages, RECEIVED, peers, wrong)
        found = twin.straight(messages, RECEIVED, peers, wrong)
        now[0] += 2
        ours, its = (
            each.check(records, Receipt(lambda: None), by_syslog=True, both=False, relays=relays)
            for each, records in zip(copies, (wanted, found), strict=True)
        )
        unseen += isinstance(found, Straight) and found._records is None
        assert list(ours.records) == list(its.records) and ours.left_out == its.left_out
        uid = wanted[-1].id
        stopped += sum(ours.left_out.values())
    assert stopped > 5 and unseen > 3
