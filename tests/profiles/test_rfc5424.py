"""Records as syslog messages: read back they are the same, whole or cut; and no text in a record makes a second message."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from shipper.formats import syslog
from shipper.profiles.rfc5424 import PARAMETERS, Style, one_line, render
from shipper.record import KINDS, AnyRecord, Mta, Record, Service, Text

GOLDEN = sorted((Path(__file__).parent.parent / "formats").glob("*/*/expected.jsonl"))
RECORDS: list[Record] = [
    msgspec.json.decode(line, type=AnyRecord)
    for path in GOLDEN
    if path.parent.parent.name != "native"
    for line in path.read_bytes().splitlines()
]
hostile = st.text(st.sampled_from('\n\r\x00\x1b\x9b\u2028\u202e"\\] [a<22>1=ü😀'), max_size=30)

times = st.one_of(
    hostile,
    st.text(st.sampled_from("0#19-:T+.\n "), max_size=40),
    st.sampled_from(["2005-0#-07T00:00:19.94+00:00", "2005-13-07T\n0:00:1900+00:00"]),
)


@st.composite
def records(draw: st.DrawFn) -> Record:
    """A record of any kind with hostile text in any of its text fields."""
    kind = draw(st.sampled_from(KINDS))
    record = kind()
    for field in msgspec.structs.fields(kind):
        if field.type is str and draw(st.booleans()):
            setattr(record, field.name, draw(times if field.name == "time" else hostile))
    return record


def parameters(message: syslog.Message) -> dict[str, Any]:
    """Our own structured data."""
    data = message.envelope.structured_data or {}
    return next((value for name, value in data.items() if name.endswith("@32473")), {})


def test_golden_records_come_back() -> None:
    """Header, structured data and text of every golden record are what the record has, by our own parser."""
    for record, raw in zip(RECORDS, render(RECORDS, 0, Style()), strict=True):
        message = syslog.parse(raw.decode())
        assert not message.error, raw
        assert message.envelope.severity == record.severity
        assert message.envelope.msg_id == record.event[:32]
        found = parameters(message)
        assert found["uid"] == record.id
        if isinstance(record, Mta):
            assert found.get("from", "") == one_line(record.sender)
            assert found.get("to", "") == one_line(record.recipient)
            assert found.get("null-from") == ("1" if record.null_sender else None)
        if isinstance(record, Service):
            assert message.message == one_line(record.message)
        if record.time and record.time[17:19] != "60":
            assert message.envelope.timestamp == record.time


@given(st.lists(records(), max_size=4), st.sampled_from(["rfc5424", "rfc3164", "raw"]), st.integers(0, 700))
def test_one_record_is_one_message_whatever_it_holds(some: list[Record], form: str, most: int) -> None:
    """No control character gets out, nothing is longer than allowed, and it is UTF-8."""
    most = most and max(480, most)
    messages = render(some, 10**18, Style(form, most=most))
    assert len(messages) == len(some)
    for raw in messages:
        text = raw.decode()
        assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029]", text)
        assert not most or len(raw) <= most
        message = syslog.parse(text)
        assert message.envelope.facility == "mail"
        if form == "rfc5424":
            assert message.envelope.version == 1 and not message.error, text


@given(hostile)
def test_structured_data_is_escaped_as_the_rfc_says(text: str) -> None:
    """A value comes back as it was, but for its control characters."""
    (raw,) = render([Mta(sender=text, code="E", event="mta.enqueue")], 0, Style())
    assert parameters(syslog.parse(raw.decode())).get("from", "") == one_line(text)


def test_parameters_go_before_text_is_cut() -> None:
    """A message that is too long loses its least needed parameters first; the id and the text stay as long as they can."""
    record = next(record for record in RECORDS if isinstance(record, Mta) and record.banner and record.queue_file)
    (whole,) = render([record], 0, Style())
    (shorter,) = render([record], 0, Style(most=len(whole) - 60))
    (short,) = render([record], 0, Style(most=480))
    text = syslog.parse(whole.decode()).message
    assert syslog.parse(shorter.decode()).message == syslog.parse(short.decode()).message == text
    names = [list(parameters(syslog.parse(message.decode()))) for message in (whole, shorter, short)]
    assert len(names[0]) > len(names[1]) > len(names[2]) > 1
    assert [name for name in names[0] if name in names[2]] == names[2] and names[0][:3] == names[2][:3]
    assert parameters(syslog.parse(short.decode()))["uid"] == record.id
    (cut,) = render([Text(message="ü" * 1000)], 0, Style(most=480))
    assert 470 < len(cut) <= 480 and cut.decode().endswith("ü")


@given(records(), st.integers(480, 2000), st.sampled_from(["message", "diagnostic", "raw"]))
def test_a_long_record_keeps_its_id(record: Record, most: int, where: str) -> None:
    """Whatever is long in it, text or parameter: its id is in the message, and something of everything that fits."""
    record.id = "0123456789abcdef" * 2
    if hasattr(record, where):
        setattr(record, where, '"long" ü ' * 2000)
    (raw,) = render([record], 0, Style(most=most))
    message = syslog.parse(raw.decode())
    assert not message.error and len(raw) <= most
    assert parameters(message)["uid"] == record.id


def test_a_long_text_leaves_room_for_parameters() -> None:
    """A service's line of 60,000 octets: the user and the address are still told; a long diagnostic does not push out what is behind it."""
    line = Service(id="0" * 32, event="service.login", user="adam", client_ip="192.0.2.1", message="m" * 60_000)
    found = syslog.parse(render([line], 0, Style(most=1400))[0].decode())
    assert (parameters(found)["user"], parameters(found)["rip"]) == ("adam", "192.0.2.1") and len(found.message) > 1000
    mail = Mta(id="0" * 32, event="mta.dequeue", code="D", diagnostic="d" * 60_000, queue_file="ZZ01.00", raw="short")
    found = syslog.parse(render([mail], 0, Style(most=1400))[0].decode())
    assert (parameters(found)["qfile"], found.message) == ("ZZ01.00", "short") and "diag" not in parameters(found)


def test_a_host_is_a_name_or_an_address() -> None:
    """syslog-ng refuses a message with a bracket in its host: whatever is none of a name's characters is `_`."""
    (raw,) = render(
        [
            Text(host="[evil] mail\n1"),
        ],
        0,
        Style(),
    )
    assert raw.split()[2] == b"_evil__mail_1"
    (raw,) = render([Text(host="2001:db8::1%eth0")], 0, Style())
    assert raw.split()[2] == b"2001:db8::1%eth0"


def test_no_kind_has_a_parameter_twice() -> None:
    """A name stands for one field of each kind, so that no element has it twice."""
    for kind in KINDS:
        names = [name for name, field in PARAMETERS if field in kind.__struct_fields__]
        assert len(names) == len(set(names)), kind


def test_the_page_has_every_parameter() -> None:
    """docs/syslog-receivers.md: each name with its fields and the kinds of record that have it, in the order in which they are given up."""
    fields: dict[str, list[str]] = {}
    for name, field in PARAMETERS:
        fields.setdefault(name, []).append(field)
    rows = []
    for name, those in fields.items():
        kinds = [kind.kind for kind in KINDS if set(those) & set(kind.__struct_fields__)]
        of = "all" if len(kinds) == len(KINDS) else ", ".join(kinds)
        rows.append(f"| `{name}` | {', '.join(f'`{field}`' for field in those)} | {of} |")
    page = (Path(__file__).parents[2] / "docs" / "syslog-receivers.md").read_text()
    assert [line for line in page.splitlines() if line.startswith("| `")][-len(rows) :] == rows, "the table should be:\n" + "\n".join(rows)


def test_facility_of_what_came_by_syslog_is_kept() -> None:
    """A record that came behind a header goes on with its facility; others get the configured one."""
    relayed = next(record for record in RECORDS if record.syslog)
    (raw,) = render([relayed], 0, Style(facility="local7"))
    assert relayed.syslog
    assert syslog.parse(raw.decode()).envelope.facility == (relayed.syslog.facility or "local7")
