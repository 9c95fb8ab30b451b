"""What an output is not to have is nowhere in what it gets: in no field, no text, no line, under no profile."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipper.config.load import load
from shipper.config.show import effective
from shipper.formats import Log
from shipper.framing import Block
from shipper.profiles import PROFILES
from shipper.profiles.otlp import payloads
from shipper.profiles.rfc5424 import Style
from shipper.profiles.rfc5424 import render as as_syslog
from shipper.reader import Reader
from shipper.record import KINDS, Connection, Envelope, Header, Mta, Record, Service, Source, Store, Syslog, Text, Unparsed
from shipper.redact import Redaction
from shipper.stamps import Clock
from tests.test_laws import EVERY, FILLERS, damaged

KEY = b"k" * 32
HIDING = {
    "pseudonyms": Redaction(addresses="pseudonym", names="pseudonym", ips="pseudonym", key=KEY, key_id="2026"),
    "domains": Redaction(addresses="pseudonym", names="mask", ips="truncate", keep_domains=True, key=KEY),
    "masks": Redaction(addresses="mask", names="mask", ips="truncate"),
    "nothing": Redaction(addresses="remove", names="remove", ips="remove", header_values=True, ids=True, key=KEY),
}
every_way = pytest.mark.parametrize("way", HIDING)

ADDRESS = re.compile(r"[A-Za-z0-9_.+-]*[A-Za-z0-9_+-]@[A-Za-z0-9.-]*[A-Za-z0-9]")
PSEUDONYM = re.compile(rb"p:[\w-]+:[a-z2-7]{16}")
V4 = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")


def strings(value: Any) -> Iterator[str]:
    """All texts in a record's native form."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)


def is_host(text: str) -> bool:
    """Whether it is the address of a host, and not of the network that truncation leaves."""
    try:
        return str(ip_address(text)) == text and not text.endswith((".0", "::"))
    except ValueError:
        return False


def personal(record: Record) -> set[str]:
    """The addresses and IP addresses of a record: what its fields have, and what anybody sees in its texts."""
    built = msgspec.to_builtins(record)
    texts = [text for name, value in built.items() if name not in ("id", "source") for text in strings(value)]
    found = {match for text in texts for match in ADDRESS.findall(text) if not match.rpartition("@")[2].isdecimal()}  # no SD-ID
    found |= {match for text in texts for match in V4.findall(text) if is_host(match)}
    for name in ("sender", "recipient", "original_recipient", "intermediate_address", "initial_address", "username", "user"):
        found |= {value for value in [getattr(record, name, "")] if "@" in value}
    for name in ("local_ip", "remote_ip", "client_ip"):
        found |= {value for value in [getattr(record, name, "")] if is_host(value)}
    return {value for value in found if len(value) > 4 and not value.startswith("@")}


def rendered(records: Sequence[Record]) -> bytes:
    """By every profile and as every form of syslog, with JSON's escapes undone."""
    pieces = [profile.render(records, 0) for profile in PROFILES.values()]
    pieces += [b"\n".join(as_syslog(records, 0, Style(form, "mail", "", 32473, 0))) for form in ("rfc5424", "rfc3164", "raw")]
    pieces += payloads(records, 0)
    return b"\n".join(pieces).replace(b"\\/", b"/")


def read(lines: Sequence[str], peer: str = "") -> list[Record]:
    reader = Reader(Log(Clock(ZoneInfo("UTC")), date=(2005, 3, 1)), file="" if peer else "mail.log", peer=peer, raw="always")
    return reader.read(Block("\n".join(lines).encode(errors="surrogateescape"), 0))


def check(way: str, records: list[Record]) -> None:
    before = [msgspec.json.encode(record) for record in records]
    redacted = HIDING[way](records)
    assert [msgspec.json.encode(record) for record in records] == before, "records are shared with other outputs"
    assert [type(record) for record in redacted] == [type(record) for record in records]
    for record, new in zip(records, redacted, strict=True):
        out = PSEUDONYM.sub(b"#", rendered([new]))  # its end and a domain that is kept could be read as somebody else's address
        # A local part of one character may be the length of a text in protobuf.
        left = [value for value in personal(record) if value.encode(errors="replace") in out and value.find("@") != 1]
        assert not left, (left, record, new)


@every_way
def test_nothing_of_the_golden_lines_is_left(way: str) -> None:
    """Every line that the formats are tested with, under every profile, with the line itself."""
    for line in EVERY:
        check(way, read([line], peer="198.51.100.77"))


@every_way
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_nothing_of_damaged_lines_is_left(way: str, data: st.DataObject) -> None:
    """Lines with pieces cut out, doubled and put in."""
    check(way, read([damaged(data, data.draw(st.sampled_from(EVERY))).replace("\n", " ")]))


PEOPLE = (
    "amy@example.com bob.jones+lists@mail.example.org o'neil@example.net @relay.example.com:joe@example.net postmaster ümit@example.com "
    "SRS0=a1=TT=example.org=amy@example.net x%example.org@example.com carol@[192.0.2.9] dave%40example.com"
).split()
PEOPLE.append('"amy smith"@example.com')
NETS = ["192.0.2.7", "198.51.100.254", "2001:db8:1:2::3", "::ffff:192.0.2.77", "fe80::1"]
USERS = ["amy", "Bob", "j.smith", "zoë", "user7", "ann-marie"]
MARKS = "< > [ ] = | : ; rfc822; user/ user= IPv6: %40 10:20:30 x @ \\".split()
PIECES = [*PEOPLE, *NETS, *USERS, *MARKS, " ", " ", ", "]
texts = st.lists(st.sampled_from(PIECES), max_size=8).map("".join)
people, nets, users = st.sampled_from(PEOPLE), st.sampled_from(NETS), st.sampled_from(USERS)
anything = st.dictionaries(texts, texts | st.lists(texts), max_size=2)
ours = st.fixed_dictionaries({"from": people, "user": st.lists(users), "rip": nets})
envelopes = st.builds(
    Envelope, hostname=st.just("mail") | nets, peer=nets, structured_data=st.fixed_dictionaries({"mta@32473": ours})
)  # fmt: skip
attributes = st.dictionaries(st.sampled_from(["user", "from", "ip", "n"]), texts, max_size=3)
records = st.one_of(
    st.builds(
        Mta, sender=people, recipient=people, username=st.just("") | users | people, diagnostic=texts, remote_ip=nets, reason=texts, filter=texts,
        raw=texts, extra=anything,
    ),
    st.builds(Connection, local_ip=nets, remote_ip=nets, remote_name=texts, username=users, raw=texts),
    st.builds(Service, user=users | people, client_ip=nets, message=texts, raw=texts, attributes=attributes),
    st.builds(Store, user=users, folder=users.map("user/{}/INBOX".format), message=texts, raw=texts),
    st.builds(Syslog, message=texts, raw=texts, syslog=envelopes),
    st.builds(Unparsed, error=texts.map("not read: {}".format), raw=texts),
    st.builds(Header, header_name=st.just("To"), header_value=texts, raw=texts),
)  # fmt: skip


@every_way
@settings(max_examples=400, deadline=None)
@given(record=records)
def test_fields_are_found_wherever_else_they_stand(way: str, record: Record) -> None:
    """Whatever texts have in them and around it; names too, as words, where a field has them."""
    check(way, [record])
    out = rendered(HIDING[way]([record])).decode(errors="replace")
    for name in {getattr(record, "username", ""), getattr(record, "user", "")} & {"amy", "Bob", "zoë", "user7"}:
        assert not re.search(rf"(?<!\w){name}(?!\w)", out), (name, out)


@settings(max_examples=300, deadline=None)
@given(record=records)
def test_twice_is_once(record: Record) -> None:
    """The same record gives the same, by another object with that key, too; and the fields that are nobody's stay."""
    again = Redaction(addresses="pseudonym", names="pseudonym", ips="pseudonym", key=KEY, key_id="2026")
    assert HIDING["pseudonyms"]([record, record]) == [*again([record]), *again([record])]
    for name in ("time", "event", "severity", "id", "code", "pid"):
        assert getattr(again([record])[0], name, None) == getattr(record, name, None)


def test_one_person_has_one_pseudonym() -> None:
    """In every field and text, whatever the capitals; another one with another key, and each says which."""
    record = Mta(sender="amy@example.com", recipient="Amy@Example.com", username="amy@example.com", diagnostic="for <AMY@example.com>.",
                 raw="E amy@example.com Amy@Example.com for <AMY@example.com>.")  # fmt: skip
    new = HIDING["pseudonyms"]([record])[0]
    assert isinstance(new, Mta)
    assert re.fullmatch("p:2026:[a-z2-7]{16}", new.sender)
    assert (new.recipient, new.username, new.diagnostic) == (new.sender, new.sender, f"for <{new.sender}>.")
    assert new.raw == f"E {new.sender} {new.sender} for <{new.sender}>."
    other = Redaction(addresses="pseudonym", key=b"l" * 32, key_id="2027")([record])[0]
    assert isinstance(other, Mta) and other.sender[7:] != new.sender[7:] and other.sender.startswith("p:2027:")


@pytest.mark.parametrize(
    ("way", "sender", "username", "remote_ip", "local_ip"),
    [
        ("domains", "p:1:", "c***", "192.0.2.0", "2001:db8:1::"),
        ("masks", "a***", "c***", "192.0.2.0", "2001:db8:1::"),
        ("nothing", "", "", "", ""),
    ],
)
def test_what_stands_in_their_place(way: str, sender: str, username: str, remote_ip: str, local_ip: str) -> None:
    """The first letter, the network, or nothing; a domain that is kept."""
    record = Mta(
        sender="amy@example.com", username="carol", remote_ip="192.0.2.77", local_ip="2001:db8:1:2::3", diagnostic="of <dan@example.com>"
    )
    new = HIDING[way]([record])[0]
    assert isinstance(new, Mta)
    assert (new.sender[:4], new.username, new.remote_ip, new.local_ip) == (sender, username, remote_ip, local_ip)
    assert new.sender.endswith("@example.com") == (way == "domains")
    assert new.diagnostic != record.diagnostic and (way != "nothing" or new.diagnostic == "of <***>")


def test_the_line_is_kept_only_where_that_is_safe() -> None:
    """Not when it could not be read, or something in it is written otherwise than in its field."""
    hide = Redaction(addresses="mask")
    assert hide([Mta(sender="amy@example.com", raw="E amy@example.com")])[0].raw == "E a***"
    assert hide([Mta(sender="amy@example.com", raw='<en sender="amy&#64;example.com"/>')])[0].raw == ""
    assert hide([Mta(sender="amy@example.com", raw='{"from":"amy@example.com","to":"amy\\u0040example.com"}')])[0].raw == ""
    assert hide([Mta(sender="a&b@example.com", raw='<en sender="a&amp;b@example.com"/>')])[0].raw == ""
    assert hide([Unparsed(error="no time", raw="x")])[0].raw == ""
    assert hide([Mta(error="odd", raw="x")])[0].raw == ""
    assert Redaction(ips="truncate")([Unparsed(error="no time", raw="from 192.0.2.7")])[0].raw == "from 192.0.2.0"


def test_an_address_that_goes_on_is_another_one() -> None:
    """Routed over a second domain it is hidden as a whole: half of it as a pseudonym would leave what looks like an address."""
    way = Redaction(addresses="pseudonym", keep_domains=True, key=b"k" * 32)
    (new,) = way([Service(message="amy@example.com@relay.example.com, amy@example.com", user="amy@example.com")])
    assert isinstance(new, Service)
    assert re.fullmatch("p:1:[a-z2-7]{16}@relay.example.com, p:1:[a-z2-7]{16}@example.com", new.message)
    assert new.message.endswith(new.user)


def test_what_has_nothing_personal_is_as_it_was() -> None:
    """The record itself; so is every record where nothing is to be hidden."""
    empty = [kind() for kind in KINDS]
    assert all(way([record])[0] in (record, Header()) for way in HIDING.values() for record in empty)
    harmless = [
        Text(message="10:20:30 started 1.2.3, std::vector a/b=c", raw="\\u0041"),
        Service(service="imap", message="a::b::c d:e", extra={"n": 1.5}),
        Mta(code="E", host="mail.example.com", queue_file="/q/ZZ.00"),
        Syslog(syslog=Envelope(structured_data={"mta@32473": {"code": "E"}}), raw="[mta@32473 a=b]", source=Source("mail.log", 7)),
    ]
    for way in HIDING.values():
        assert all(new is record for new, record in zip(way(harmless), harmless, strict=True))
    people = [Mta(sender="amy@example.com", remote_ip="192.0.2.7", username="amy", raw="x")]
    assert Redaction()(people)[0] is people[0]


def test_each_class_by_itself() -> None:
    """What is kept is kept: a name that is an address is hidden with the addresses, and with the names."""
    record = Service(user="amy@example.com", client_ip="192.0.2.7", message="bob user/carol/INBOX 192.0.2.7 dan@example.com")
    assert Redaction(ips="remove")([record]) == [
        Service(user="amy@example.com", message="bob user/carol/INBOX *** dan@example.com"),
    ]  # fmt: skip
    assert Redaction(names="mask")([record]) == [
        Service(user="a***", client_ip="192.0.2.7", message="bob user/c***/INBOX 192.0.2.7 dan@example.com"),
    ]  # fmt: skip
    assert Redaction(addresses="mask")([record]) == [
        Service(user="a***", client_ip="192.0.2.7", message="bob user/carol/INBOX 192.0.2.7 d***"),
    ]  # fmt: skip


def test_the_end_of_a_quoted_address_is_one() -> None:
    """Where a text was cut inside the quotation marks."""
    texts = ['amy smith"@example.com is over quota', 'said "amy smith"@example.com', 'a="b" said "no" at @x']
    new = [record.message for record in Redaction(addresses="remove")([Text(message=text) for text in texts])]
    assert new == ["amy *** is over quota", "said ***", texts[2]]


def test_headers_and_ids() -> None:
    """Values of headers are gone, with the line; an id is another one, always the same, and still an id."""
    header = Header(header_name="Subject", header_value="Divorce", raw="H Subject: Divorce", id="0" * 32)
    new = HIDING["nothing"]([header])[0]
    assert isinstance(new, Header) and (new.header_name, new.header_value, new.raw) == ("Subject", "", "")
    assert re.fullmatch("[0-9a-f]{32}", new.id) and new.id != header.id
    assert HIDING["nothing"]([header])[0].id == new.id
    assert HIDING["pseudonyms"]([header])[0].id == header.id


@pytest.mark.parametrize("filler", [*FILLERS, "@", "a@", "user/", "192.", "::", "1:", "%40", "a.", "'", '"a'])
def test_linear_time(filler: str) -> None:
    """A long text of anything."""
    for hide in (HIDING["pseudonyms"], HIDING["nothing"]):
        started = time.process_time()
        hide([Text(message=filler * (200_000 // len(filler)), raw=filler * (200_000 // len(filler)))])
        assert time.process_time() - started < 2


@pytest.mark.parametrize(
    "redact", ["", f"    redact: {{addresses: pseudonym, names: mask, ips: truncate, headers: remove, key: {'k' * 32}}}\n"]
)
def test_nothing_is_on_the_disk(tmp_path: Path, redact: str) -> None:
    """A service with an output that writes and one that waits: neither the file, the spool nor what the service says has anything of it."""
    log = tmp_path / "mail.log"
    log.write_text(
        "02-Mar-2026 10:00:00.00 tcp_local    ims-ms       EE 1 amy@example.com rfc822;bob@example.org bob@example.org\n"
        "02-Mar-2026 10:00:01.00 tcp_local    +            O TCP|192.0.2.1|25|203.0.113.9|4711 SMTP\n"
        "02-Mar-2026 10:00:02.00 tcp_local    damaged from carol@example.net by 203.0.113.9\n"
    )
    config = tmp_path / "shipper.yaml"
    config.write_text(
        f"state: {tmp_path}/state\ntimezone: UTC\ntelemetry: {{http: off}}\nraw: always\ninputs:\n  mta: {{type: file, paths: [{log}]}}\noutputs:\n"
        f"  file:\n    type: jsonl\n    path: {tmp_path}/out.jsonl\n    takes: all\n{redact}"
        f"  siem:\n    type: syslog\n    protocol: tcp\n    port: 1\n    takes: all\n    enterprise: 99999\n{redact}"
    )
    config.chmod(0o600)
    command = [sys.executable, "-m", "shipper", "run", config, "--allow-root"]
    with (tmp_path / "stderr").open("wb") as told, subprocess.Popen(command, stderr=told, stdout=subprocess.DEVNULL) as service:
        out, deadline = tmp_path / "out.jsonl", time.monotonic() + 30
        while time.monotonic() < deadline and not (out.exists() and out.read_bytes().count(b"\n") == 3):
            time.sleep(0.05)
        service.terminate()
        assert service.wait(30) == 0
    for folder, name in ((tmp_path, "out.jsonl"), (tmp_path / "state" / "spool" / "siem", "*.spool")):
        written = b"".join(path.read_bytes() for path in folder.glob(name))
        there = [word in written for word in (b"amy@", b"bob@", b"carol@", b"203.0.113.9", b"192.0.2.1")]
        assert there == [not redact] * 5
        assert written
    everything = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path not in (log, config))
    assert b"k" * 32 not in everything
    assert redact == "" or not any(word in everything for word in (b"amy@", b"bob@", b"carol@", b"203.0.113.9"))


def test_what_the_page_shows_is_good(tmp_path: Path) -> None:
    """The configuration of docs/privacy.md is one, and says nothing that `check` doubts."""
    page = (Path(__file__).parent.parent / "docs" / "privacy.md").read_text()
    (example,) = re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    key = tmp_path / "pseudonym.key"
    key.write_text("0123456789abcdef" * 4)
    path = tmp_path / "shipper.yaml"
    path.write_text(example.replace("/etc/shipper/pseudonym.key", str(key)))
    loaded = load(path, {})
    assert loaded.config and not [problem for problem in loaded.problems if "redact" in problem.message], loaded.problems
    hidden = {name for name, section in loaded.config.outputs.items() if section.redact}
    assert hidden and hidden != set(loaded.config.outputs)
    assert "0123456789abcdef" not in effective(loaded.config, loaded.tree) + repr(loaded.config)  # type: ignore[arg-type]
