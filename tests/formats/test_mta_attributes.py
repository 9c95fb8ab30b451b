"""MTA records in XML and JSON: the laws of their attributes, whatever the syntax."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shipper.formats import FORMATS, Format, Log, mta_json, mta_text, mta_xml, xml_element
from shipper.record import Connection, Header, Mta, Record, Unparsed
from shipper.stamps import Clock

HERE = Path(__file__).parent
Rendered = Callable[[Mta | Connection | Header], str]
WAYS: dict[str, tuple[Format, Rendered]] = {
    "xml": (mta_xml.FORMAT, mta_xml.render),
    "json": (mta_json.FORMAT, lambda record: mta_json.render(record, nested=True)),
    "flat json": (mta_json.FORMAT, lambda record: mta_json.render(record, nested=False)),
}
LINES = {
    form.name: [line for path in sorted((HERE / form.name).glob("*/input.log")) for line in path.read_text("utf-8").split("\n")[:-1]]
    for form in (mta_xml.FORMAT, mta_json.FORMAT)
}


def read(line: str, form: Format, zone: str = "UTC") -> Record | None:
    """The one record of one line; None when the line is not the format's."""
    out: list[Record] = []
    reached = form.parse_run([line], 0, Log(Clock(ZoneInfo(zone))), out)
    assert reached == len(out)
    return out[0] if out else None


def xml(element: str, attributes: list[tuple[str, str]], quote: str = '"') -> str:
    escaped = ((name, value.replace("&", "&amp;").replace("<", "&lt;").replace(quote, f"&#{ord(quote)};")) for name, value in attributes)
    return f"<{element}" + "".join(f" {name}={quote}{value}{quote}" for name, value in escaped) + "/>"


words = st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=12)
hosts = st.sampled_from(["mail.example.com", "localhost", "a", "mx-1.example.org", "x.example.net."])
ips = st.sampled_from(["192.0.2.7", "198.51.100.1", "2001:db8::7"])
numbers = st.integers(0, 10**12).map(str)
transports = st.builds("TCP|{}|{}|{}|{}".format, ips, st.integers(1, 65535), ips, st.integers(1, 65535))
bracketed = st.one_of(st.builds("{} ({} [{}])".format, hosts, hosts, ips), st.builds("{} ([{}])".format, hosts, ips), hosts)
replies = st.sampled_from(
    ["250 2.1.5 Ok", "550 5.7.1 no", "421 x", "Illegal host/domain name found", "smtp;250 2.1.5 <bob@example.org> (ok)"]
)
deliveries = st.builds(
    "{}dns;{} {}{}smtp;{}".format,
    st.one_of(st.just(""), hosts.map("{} ".format)),
    hosts,
    st.one_of(st.just(""), transports.map("({}) ".format)),
    st.sampled_from(["", "(mx ESMTP) ", "(mx -- Server ESMTP (iMS [x]) 1) "]),
    replies,
)
VALUES: dict[str, st.SearchStrategy[str]] = {
    "ts": st.sampled_from(
        ["2014-06-02T22:02:13.94", "2014-06-02T22:02:13", "2014-06-02T22:02:13.940Z", "2014-06-02 22:02:13.9-07:00", "?", ""]
    ),
    "no": hosts,
    "pi": st.sampled_from(["72aa.17f0.25622", "1e488.0", "501d.0b.9", "5", "main", ""]),
    "sc": st.sampled_from(["tcp_local", "ims-ms", "tcp_ü", ""]),
    "dc": st.sampled_from(["tcp_local", "ims-ms", ""]),
    "dr": st.sampled_from("+-?"),
    "ac": st.sampled_from(["E", "EEA", "D", "J", "Q", "B", "O", "C", "U", "X", "G", "", "e!"]),
    "sz": numbers | st.sampled_from(["", "x", "-1", "9" * 5000]),
    "so": st.sampled_from(["adam@example.com", "", "<>", '"a b"@example.com', "ü@example.com"]),
    "od": st.sampled_from(["rfc822;bob@example.org", "rfc822;", "bob@example.org", "x400;/a;b", "<>", ""]),
    "de": st.sampled_from(["bob@example.org", "@a:b@c", "bob@ims-ms-daemon", "", "HELO x\ty"]),
    "rf": numbers,
    "fi": st.sampled_from(["/imta/queue/l/ZZ01IWFY9ELGWM00094D.00", "ZYx", "/q/", "x"]),
    "ei": words,
    "mi": st.sampled_from(["<a@example.com>", "<new@example.com>,<old@example.com>", "a@example.com", "<>", "Bad password", "a>,<b"]),
    "us": st.sampled_from(["mailsrv", "*bob", "*", ""]),
    "ss": bracketed | st.sampled_from(["a (b", "(b)", "([192.0.2.9])", ""]),
    "se": words,
    "pr": words,
    "in": words,
    "ia": words,
    "fl": words,
    "re": words,
    "di": deliveries | replies | st.sampled_from(["", "(x) y", "(TCP|1|2|3|4) dns;x", "dns;", "dns;x", "a dns;b", "(TCP|1|2|3|4) (a) b"]),
    "rm": hosts | deliveries | st.sampled_from(["dns;mx.example.org", "a b"]),
    "tr": transports | st.sampled_from(["", "TCP|a|b|c|d", "TCP|192.0.2.1||192.0.2.2|"]),
    "ap": st.sampled_from(["SMTP", "SMTP/TLS-128-RC4", "SMTP/a/b", "SMTP/a/b/TLS-256-AES", "/", ""]),
    "qt": st.sampled_from(["0", "12", "3.50", "-1", "0.000000001", "1e5", ""]),
    "va": st.sampled_from(["Subject: hello", "Subject:  two", "Subject:", "no header", ": x", ""]),
    "hn": st.sampled_from(["Subject", "Subject:", ""]),
    "hv": st.sampled_from(["hello", " hello", ""]),
    "zz": words,
    "x-y.z": words,
}


@st.composite
def some_attributes(draw: st.DrawFn) -> list[tuple[str, str]]:
    """Attributes of any names, each once, with values that fit them or nearly do."""
    names = draw(st.lists(st.sampled_from(sorted(VALUES)), unique=True))
    return [(name, draw(VALUES[name])) for name in names]


attributes = some_attributes()
elements = st.sampled_from(["en", "co", "he"])


def test_the_golden_files_are_there() -> None:
    """The laws below run over every line of the golden files."""
    assert all(len(lines) > 20 for lines in LINES.values())


@given(elements, attributes, st.randoms())
def test_the_order_of_attributes_is_irrelevant(element: str, pairs: list[tuple[str, str]], random: object) -> None:
    """The vendor re-orders them in any patch: the same attributes in another order, or in other quotes, are the same record."""
    record = read(xml(element, pairs), mta_xml.FORMAT)
    shuffled = list(pairs)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    again = read(xml(element, shuffled, "'"), mta_xml.FORMAT)
    assert again is not None
    assert record is not None
    assert (type(again), again.extra) == (type(record), record.extra)
    assert set(again.error.split("; ")) == set(record.error.split("; "))
    again.error = record.error
    assert again == record


@given(elements, attributes)
@example("en", [("ac", "D"), ("ss", "a (b [192.0.2.1])"), ("di", "dns;c (TCP|192.0.2.2|1|192.0.2.3|25) (x) smtp;250 ok")])
@example("en", [("ac", "D"), ("di", "dns;c (TCP|192.0.2.2|1|192.0.2.3|25) (x) smtp;250 ok"), ("tr", "TCP|192.0.2.2|1|192.0.2.4|25")])
def test_what_was_read_is_written_and_read_the_same(element: str, pairs: list[tuple[str, str]]) -> None:
    """parse(render(record)) is the record, in XML and in JSON, for whatever attributes a line has."""
    line = xml(element, pairs)
    record = read(line, mta_xml.FORMAT)
    assert isinstance(record, Mta | Connection | Header), line
    rendered = mta_xml.render(record)
    assert read(rendered, mta_xml.FORMAT) == record, rendered
    nested = mta_json.render(record, nested=True)
    assert read(nested, mta_json.FORMAT) == record, nested


@given(elements, attributes)
def test_xml_and_json_of_the_same_attributes_are_the_same_record(element: str, pairs: list[tuple[str, str]]) -> None:
    """LOG_FORMAT 4 and 5 differ in syntax alone."""
    record = read(xml(element, pairs), mta_xml.FORMAT)
    assert read(json.dumps({element: dict(pairs)}), mta_json.FORMAT) == record
    assert read(json.dumps({element: [dict(pairs)]}, ensure_ascii=False), mta_json.FORMAT) == record


@given(attributes)
def test_flat_json_comes_back(pairs: list[tuple[str, str]]) -> None:
    """LOG_FORMAT 6: a record that was read from a flat object is written as one and read the same."""
    record = read(json.dumps(dict(pairs)), mta_json.FORMAT)
    if record is not None:
        assert isinstance(record, Mta | Connection | Header)
        assert read(mta_json.render(record, nested=False), mta_json.FORMAT) == record


@given(elements, attributes, st.lists(st.tuples(st.sampled_from(["sc", "zz", "no", "sz"]), words), min_size=1, max_size=3))
def test_an_attribute_that_comes_twice_is_kept_twice(element: str, pairs: list[tuple[str, str]], more: list[tuple[str, str]]) -> None:
    """The first is the field's, every other one stands in extra."""
    held = [(name, value) for name, value in pairs if value or name not in ("sc", "no", "sz")]
    record = read(xml(element, [*held, *more]), mta_xml.FORMAT)
    assert isinstance(record, Mta | Connection | Header)
    assert read(mta_xml.render(record), mta_xml.FORMAT) == record
    kept = json.dumps(record.extra, ensure_ascii=False) if record.extra else ""
    for name, value in more:
        if name in dict(held):
            assert json.dumps(value, ensure_ascii=False) in kept


@pytest.mark.parametrize("form", [mta_xml.FORMAT, mta_json.FORMAT], ids=lambda form: form.name)
@given(st.data())
def test_any_damage_is_one_record_or_not_ours(form: Format, data: st.DataObject) -> None:
    """Golden lines with pieces cut out, doubled and put in: never an exception, one record, an error in what is unparsed."""
    line = data.draw(st.sampled_from(LINES[form.name]))
    pieces = [
        "",
        '"',
        "'",
        "<",
        ">",
        "/>",
        "&",
        "&#",
        ";",
        "=",
        " ",
        "\t",
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\\",
        "\\ud800",
        "\x00",
        "ü",
        "null",
    ]
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(line)))
        end = data.draw(st.integers(start, min(len(line), start + 12)))
        line = line[:start] + data.draw(st.sampled_from([*pieces, line[start:end] * 2])) + line[end:]
    record = read(line, form)
    if isinstance(record, Unparsed):
        assert record.error.startswith("column ")
    elif isinstance(record, Mta | Connection | Header):
        msgspec.json.encode(record)
        ways = [way for way in WAYS.values() if way[0] is form][:1]
        for _, render in ways:
            assert read(render(record), form) == record


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
@given(st.text(), st.sampled_from(["", "<en ", "<co a=", "<", "{", '{"en":', '{"kind":"mta",', '{"ts":', '<ap pi="1"']))
def test_any_text_is_one_record_or_not_ours(form: Format, text: str, begin: str) -> None:
    """Whatever follows the beginning of a line of ours."""
    read(begin + text.replace("\n", " "), form)


@pytest.mark.parametrize("name", WAYS)
def test_every_golden_line_comes_back(name: str) -> None:
    """parse(render(record)) is the record, for every record of the golden files in its own syntax."""
    form, render = WAYS[name]
    written = 0
    for line in LINES[form.name]:
        record = read(line, form)
        flat = form is mta_json.FORMAT and not line.lstrip().startswith(('{"en"', '{"co"', '{"he"'))
        if isinstance(record, Mta | Connection | Header) and flat == (name == "flat json"):
            assert read(render(record), form) == record, line
            written += 1
    assert written > 3


def test_a_record_of_the_text_format_is_the_same_in_xml_and_json() -> None:
    """A server whose LOG_FORMAT is changed goes on writing the same records: text -> record -> XML or JSON -> the record."""
    lines = [line for path in sorted(HERE.glob("mta_text/*/input.log")) for line in path.read_text("utf-8").split("\n")]
    compared = 0
    for line in lines:
        record = read(line, mta_text.FORMAT)
        if isinstance(record, Mta | Connection | Header) and not record.error:
            for name, (form, render) in WAYS.items():
                assert read(render(record), form) == record, (name, line)
            compared += 1
    assert compared > 80


@given(st.sampled_from(["mta_xml", "mta_json"]).flatmap(lambda name: st.lists(st.sampled_from(LINES[name]), max_size=20)), st.data())
def test_where_a_run_is_cut_makes_no_difference(lines: list[str], data: st.DataObject) -> None:
    """Lines read in two runs give the records that one run gives."""
    for form in (mta_xml.FORMAT, mta_json.FORMAT):
        whole: list[Record] = []
        parts: list[Record] = []
        reached = form.parse_run(lines, 0, Log(Clock(ZoneInfo("Europe/Berlin"))), whole)
        log = Log(Clock(ZoneInfo("Europe/Berlin")))
        cut = data.draw(st.integers(0, reached))
        form.parse_run(lines[:cut], 0, log, parts)
        form.parse_run(lines, cut, log, parts)
        assert parts == whole


def test_the_hour_that_comes_twice_is_told_by_the_order_of_the_lines() -> None:
    """And it is written as it was: local, without a zone."""
    lines = [f'<en ts="2014-10-26T{stamp}" ac="E" sc="l"/>' for stamp in ("02:59:58.10", "02:59:59", "02:00:01.5", "03:00:00")]
    out: list[Record] = []
    assert mta_xml.parse_run(lines, 0, Log(Clock(ZoneInfo("Europe/Berlin"))), out) == 4
    assert [record.time[19:] for record in out] == [".10+02:00", "+02:00", ".5+01:00", "+01:00"]
    rendered = [mta_xml.render(record) for record in out if isinstance(record, Mta)]
    again: list[Record] = []
    mta_xml.parse_run(rendered, 0, Log(Clock(ZoneInfo("Europe/Berlin"))), again)
    assert again == out


@pytest.mark.parametrize("piece", ["<", '"', "&", "&#", "{", "[", " ", "'", "=", "a=", 'a="" ', '{"a":', "\\", '"\\', ",", "en", "\t"])
def test_a_line_of_a_megabyte_is_read_in_linear_time(piece: str) -> None:
    """Of any character that means something, behind any beginning of ours: a fraction of a second."""
    begins = ["", "<en ", '<en ac="E" a="', "<en a='", '{"en":{"ac":"', '{"ts":"', '{"kind":"mta","raw":"', '<ap ts="x" pi="']
    for begin in begins:
        for end in ("", '"/>', '"}}'):
            line = begin + piece * (1_000_000 // len(piece)) + end
            for form in FORMATS:
                before = time.process_time()
                read(line, form)
                assert time.process_time() - before < 2, (form.name, begin, piece)


def test_entities_are_characters_and_nothing_more() -> None:
    """The five names and numbers are decoded once; what names no character stays."""
    element = xml_element.scan('<en a="&lt;&#65;&#x42;&amp;lt;&quot;&apos;&gt;" b="&#xD800;&#1114112;&e;&" c="&#10;"/>')
    assert element is not None
    assert element.values == ["<AB&lt;\"'>", "&#xD800;&#1114112;&e;&", "\n"]


@given(st.lists(st.tuples(st.from_regex(r"[a-z][a-z0-9_.:-]{0,5}", fullmatch=True), st.text(st.characters(codec="utf-8")))))
def test_an_element_comes_back_whole_and_on_one_line(pairs: list[tuple[str, str]]) -> None:
    """scan(write(name, attributes)) is what was written, whatever the values hold; and nothing in it ends a line."""
    line = xml_element.write("en", pairs)
    assert len(line.splitlines()) == 1
    element = xml_element.scan(line)
    assert element is not None
    assert (element.name, element.column) == ("en", 0)
    assert list(zip(element.names, element.values, strict=True)) == pairs


@given(st.lists(st.tuples(st.sampled_from(["a", "b.c", "d"]), st.text(max_size=4)), max_size=5), st.sampled_from(["", " ", "\t"]))
def test_the_straight_element_is_read_as_any_other(pairs: list[tuple[str, str]], blank: str) -> None:
    """The fast case is no second opinion: what it takes is what the long way reads."""
    line = xml_element.write("en", pairs)
    for text in (line, f"{line[:-2]}{blank}/>{blank}"):
        found = xml_element.straight(text)
        element = xml_element.scan(text)
        assert element is not None
        assert found is None or [found[0], list(found[1]), found[2]] == [element.name, element.names, element.values]
    assert xml_element.straight(line) is not None or not pairs


@pytest.mark.parametrize("length", range(1, 7))
def test_nothing_but_a_straight_element_is_taken_for_one(length: int) -> None:
    """Every short arrangement of the characters that mean something."""
    for middle in itertools.product(("a", " ", "=", '"', ' b="', "&lt;", "'"), repeat=length):
        line = f"<en{''.join(middle)}/>"
        found = xml_element.straight(line)
        if found is not None:
            element = xml_element.scan(line)
            assert element is not None
            assert element.column == 0, line
            assert [found[0], list(found[1]), found[2]] == [element.name, element.names, element.values], line
