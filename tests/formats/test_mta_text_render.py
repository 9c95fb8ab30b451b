"""MTA text both ways: the line of a record is read as that record."""

from __future__ import annotations

import json
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from shipper.formats import Log, mta_fields, mta_text
from shipper.formats.mta_text import OPTIONAL
from shipper.formats.mta_text_render import render, renderer
from shipper.record import Connection, Header, Mta, Record
from shipper.stamps import Clock

HERE = Path(__file__).parent
FORMATS = (1, 2, 3)

hosts = st.sampled_from(["mail.example.com", "mx1.harbor.example.net", "[192.0.2.7]", "pc7.example.org"])
addresses = st.sampled_from(
    ["adam@example.com", '"Mary Ann"@example.org', "adam", "@gw.example.net:bob@example.net", '"a \\" b"@example.com', "b+c=d@example.com"]
)
ids = st.sampled_from(["0IDC2K7F00A1@mail.example.com", "00$1c2e$0a@DESK12", "a b@example.com", "20050307.GA1@example.net"])
ips = st.sampled_from(["192.0.2.10", "198.51.100.7", "2001:db8::25"])
ports = st.integers(1, 65535)
words = st.sampled_from(["inetmail", "*anna.keller", "*anna@example.com"])
replies = st.sampled_from(
    ["smtp;250 2.1.5 adam@example.com and options OK.", "smtp;250 Ok", "smtp; 553 unknown or illegal user: a@b", "smtp;421 4.4.2 gone"]
)
refusals = st.sampled_from(["550 5.7.1 Relaying not permitted: a@example.net", "452 4.2.2 user over quota (last of this session)"])
banners = st.sampled_from(["All set, fire away", "mx.example.net ESMTP (Exim 4.50) [ready :)]", "THOR -- Server ESMTP [iMS V5.0 #8694]"])
failures = st.sampled_from(["Illegal host/domain name found", "TCP active open: Failed connect()    Error: no route to host"])
stamps = st.sampled_from(["2005-03-07T09:26:53.58+00:00", "1998-01-19T20:49:04+00:00", "2005-12-31T23:59:59.00+00:00"])
applications = st.sampled_from(
    ["SMTP", "SMTP/TLS-128-RC4", "SMTP/example.net/mx1.example.net", "SMTP/a.example.net/b.example.net/TLS-256-AES"]
)


def read(line: str, fields: tuple[str, ...] | None) -> Record:
    """The one record of one line."""
    out: list[Record] = []
    assert mta_text.parse_run([line], 0, Log(Clock(ZoneInfo("UTC")), fields=fields), out) == 1
    return out[0]


def transport(draw: st.DrawFn, record: Mta | Connection) -> None:
    mta_fields.transport(record, f"TCP|{draw(ips)}|{draw(ports)}|{draw(ips)}|{draw(ports)}")


@st.composite
def messages(draw: st.DrawFn, fields: tuple[str, ...]) -> Mta:
    """A message record with what a server can know that logs these optional fields."""
    code = draw(st.sampled_from(["E", "EE", "EESA", "EEQ", "D", "DE", "J", "JE", "Q", "R", "W", "K", "Z", "V", "VE", "B"]))
    action, modifiers, event = mta_fields.code_parts(code)
    sender = "" if action == "B" else draw(addresses | st.just(""))
    record = Mta(
        time=draw(stamps),
        time_zone_source="config",
        event=event.name,
        severity=event.severity,
        code=code,
        action=action,
        modifiers=modifiers,
        source_channel=draw(st.sampled_from(["l", "tcp_local", "tcp_partner_gateway"])),
        destination_channel=draw(st.sampled_from(["ims-ms", "l", "tcp_partner_gateway"])) if action == "E" else "",
        size_blocks=draw(st.integers(0, 99999)),
        sender=sender,
        null_sender=not sender,
        original_recipient_type="rfc822",
    )
    if "node" in fields:
        record.host = draw(st.sampled_from(["mail", "hosta"]))
    if "process" in fields:
        mta_fields.process(record, draw(st.sampled_from(["1e488.0", "2e2d.2.1", "72aa.17f0.25622"])))
    if action == "B":
        record.bad_command = draw(st.sampled_from(["HELP", "GET / HTTP/1.0", "EXPN staff"]))
        if "diagnostic" in fields:
            mta_fields.status(record, "502 5.5.1 Unimplemented command.")
        return record
    record.recipient = draw(addresses)
    if action not in "JV":
        record.original_recipient = draw(addresses)
    kept = draw(st.sets(st.sampled_from(OPTIONAL))) if action in "ED" else set(OPTIONAL)
    queued = action not in "JV"
    client_side = action not in "EJV"

    def has(name: str) -> bool:
        return name in fields and name in kept

    if queued and "notary" in fields:
        # Of a Q record `276 ENVELOPE-ID` looks like an SMTP reply, unless a queue file or a message id comes after the number.
        record.notary_flags = draw(st.sampled_from([0, 1, 22, 276] if has("filename") or not has("envelope_id") else [0, 1, 22]))
    if queued and has("filename"):
        mta_fields.queue_file(record, draw(st.sampled_from(["/imta/queue/l/ZZ01IWFY9ELGWM00094D.00", "/q/tcp_local/002/ZX0IDC.01"])))
    if queued and has("envelope_id"):
        record.envelope_id = draw(st.sampled_from(["0IDC2K7F00A1@mail.example.com", "E123"]))
    if queued and has("message_id"):
        record.message_id = draw(ids)
        record.related_message_id = draw(ids | st.just(""))
    if has("username"):
        mta_fields.username(record, draw(words))
    if not client_side and has("connection"):
        name, dns, ip = draw(hosts), draw(hosts | st.just("")), draw(ips)
        mta_fields.source_system(record, f"{name} ({dns} [{ip}])" if dns else f"{name} ([{ip}])")
    if queued and "sensitivity" in fields:
        record.sensitivity = draw(st.sampled_from("012"))
    if queued and "priority" in fields:
        record.priority = draw(st.sampled_from("0123"))
    if action in "ED" and has("intermediate") and "initial" in fields:
        record.intermediate_address = draw(st.just("mid@example.com"))
        record.initial_address = draw(st.sampled_from(["", "first@example.com"]))
    if not client_side and "connection" in fields and has("transport") and record.remote_ip:
        remote = record.remote_ip
        transport(draw, record)
        record.remote_ip = remote
        if has("application"):
            mta_fields.application(record, draw(applications))
    if "diagnostic" in fields:
        if action in "JV":
            mta_fields.status(record, draw(refusals))
        elif client_side and (action != "D" or has("diagnostic")):
            if action == "D" or draw(st.booleans()):
                record.remote_dns, record.banner = draw(st.just("mx1.example.net")), draw(banners)
                transport(draw, record)
                record.remote_mta = draw(st.sampled_from(["", "mx1.example.net"]))
                mta_fields.status(record, draw(replies))
            else:
                mta_fields.status(record, draw(failures))
    if client_side and "queue_time" in fields:
        record.queue_seconds = draw(st.integers(0, 300_000))
    return record


@st.composite
def connections(draw: st.DrawFn, fields: tuple[str, ...]) -> Connection:
    """A connection record."""
    code = draw(st.sampled_from("OCXYIU"))
    _, _, event = mta_fields.code_parts(code)
    record = Connection(
        time=draw(stamps), time_zone_source="config", event=event.name, severity=event.severity, code=code, action=code,
        source_channel=draw(st.sampled_from(["tcp_local", "tcp_partner_gateway"])), direction=draw(st.sampled_from(["in", "out"])),
    )  # fmt: skip
    if "node" in fields:
        record.host = "mail"
    if "process" in fields:
        mta_fields.process(record, draw(st.sampled_from(["1e488.0", "2e2d.2.1"])))
    transport(draw, record)
    mta_fields.application(record, draw(applications))
    if code == "U":
        mta_fields.username(record, draw(st.sampled_from(["*anna.keller", "*anna@example.com"])))
        mta_fields.status(record, "235 2.7.0 LOGIN authentication successful.")
    elif draw(st.booleans()):
        mta_fields.status(record, draw(st.sampled_from(["421 4.3.2 No resources, try again later", "550 5.7.1 refused"])))
    return record


some_fields = st.sets(st.sampled_from(OPTIONAL)).map(lambda chosen: tuple(name for name in OPTIONAL if name in chosen))


@given(st.data())
def test_a_line_of_known_options_is_read_as_the_record_it_was_made_of(data: st.DataObject) -> None:
    """parse(render(record)) is the record, in each text format, with any set of optional fields that the reader knows."""
    fields, log_format = data.draw(some_fields), data.draw(st.sampled_from(FORMATS))
    record: Mta | Connection = data.draw(messages(fields) | connections(fields))
    line = render(record, log_format, fields)
    assert read(line, fields) == record, line


USUAL = ("process", "filename", "message_id", "username", "connection", "diagnostic")


@given(st.data())
def test_a_line_of_the_usual_options_is_read_by_shape_as_well(data: st.DataObject) -> None:
    """With the options that most sites have, nobody has to say which they are."""
    log_format = data.draw(st.sampled_from(FORMATS))
    record: Mta | Connection = data.draw(messages(USUAL) | connections(USUAL))
    line = render(record, log_format, USUAL)
    assert read(line, None) == record, line


@pytest.mark.parametrize("path", sorted((HERE / "mta_text").glob("*/input.log")), ids=lambda path: path.parent.name)
def test_golden_lines_are_read_the_same_when_written_anew(path: Path) -> None:
    """What was read from a line of the fixtures, written with all optional fields and read again, is the same record."""
    options = path.with_name("options.json")
    named = json.loads(options.read_text()).get("fields") if options.exists() else None
    fields = tuple(name for name in OPTIONAL if name != "reason")  # its text cannot be told from the diagnostic's
    for line in path.read_text(errors="surrogateescape").split("\n"):
        first: list[Record] = []
        mta_text.parse_run([line], 0, Log(Clock(ZoneInfo("UTC")), fields=tuple(named) if named else None), first)
        if first and isinstance(first[0], Mta | Connection | Header) and not first[0].error:
            assert read(render(first[0], 1, fields), fields) == first[0], line


def test_the_forms_of_the_three_formats() -> None:
    """One record, three ways: an empty sender is nothing, `<>`, or a text of length 0."""
    record = Mta(
        time="2005-03-07T09:26:53.58+01:00", code="D", action="D", source_channel="process", size_blocks=3, null_sender=True,
        original_recipient="adam@example.com", original_recipient_type="rfc822", recipient="adam", message_id="1@example.com",
    )  # fmt: skip
    start = "07-Mar-2005 09:26:53.58 process                   D 3"
    fields = ("filename", "message_id")
    assert render(record, 1, fields) == f"{start}  rfc822;adam@example.com adam  <1@example.com>"
    assert render(record, 2, fields) == f"{start} <> rfc822;adam@example.com adam  <1@example.com>"
    assert render(record, 3, fields) == f"{start} 0: 23:rfc822;adam@example.com 4:adam 0: 15:<1@example.com>"
    assert render(replace(record, message_id="", recipient="")) == f"{start}  rfc822;adam@example.com"


def test_a_name_longer_than_its_column_pushes_the_rest() -> None:
    """Channels have twelve columns; a longer one takes what it needs, and is read so."""
    record = Mta(
        time="2005-03-07T09:26:53.58+00:00", code="E", action="E", source_channel="tcp_partner_gateway", destination_channel="ims-ms",
        size_blocks=1, sender="a@example.com", original_recipient_type="rfc822", original_recipient="b@example.com", recipient="b@example.com",
    )  # fmt: skip
    line = render(record)
    assert line[24:].startswith("tcp_partner_gateway ims-ms       E 1 ")
    again = read(line, None)
    assert isinstance(again, Mta)
    assert (again.source_channel, again.destination_channel, again.code) == ("tcp_partner_gateway", "ims-ms", "E")


def test_what_is_no_text_format_is_refused() -> None:
    """A wrong LOG_FORMAT or field name is the caller's error."""
    with pytest.raises(ValueError, match="LOG_FORMAT=4"):
        renderer(4)
    with pytest.raises(ValueError, match="colour"):
        renderer(1, ("colour",))
