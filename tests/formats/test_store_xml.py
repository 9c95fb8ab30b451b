"""The store's transaction log: the laws of its elements."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.formats import FORMATS, Log, mta_xml, store_xml, xml_element
from shipper.framing import Block
from shipper.reader import Reader
from shipper.record import Record, Store, Unparsed
from shipper.stamps import Clock

LINES = [line for path in sorted((Path(__file__).parent / "store_xml").glob("*/input.log")) for line in path.read_text().split("\n")[:-1]]
STAMPS = ["2014-06-02T22:02:15.03", "2014-06-02T22:02:15Z", "2014-06-02T22:02:15.03-07:00", "02/Jun/2014:22:02:15 -0700", "?", ""]

words = st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=12)
names = st.sampled_from([*store_xml.FIELDS, "zz", "a.b"])
values = words | st.sampled_from([*STAMPS, "4711", "<a@example.com>", "192.0.2.7", "2001:db8::7"])
elements = st.sampled_from([*store_xml.VERBS, "lo", "mailbox-list", "AP"])


def read(line: str) -> Record | None:
    """The one record of one line; None when the line is not the format's."""
    out: list[Record] = []
    reached = store_xml.parse_run([line], 0, Log(Clock(ZoneInfo("UTC"))), out)
    assert reached == len(out)
    return out[0] if out else None


@given(elements, st.sampled_from(STAMPS), st.lists(st.tuples(names, values)))
def test_what_was_read_is_written_and_read_the_same(element: str, stamp: str, pairs: list[tuple[str, str]]) -> None:
    """parse(render(record)) is the record, for whatever attributes a line has, also when they come twice; and none of them is lost."""
    record = read(xml_element.write(element, [("ts", stamp), ("sn", "imap"), *pairs]))
    assert isinstance(record, Store)
    assert record.severity == "info"
    assert read(store_xml.render(record)) == record
    unknown = [value for name, value in pairs if name not in store_xml.FIELDS]
    held = [each for name in ("zz", "a.b") for each in _list((record.extra or {}).get(name))]
    assert sorted(held) == sorted(unknown)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


@pytest.mark.parametrize("element", ["en", "co", "he", "EN"])
def test_an_element_of_the_mta_is_left_to_it(element: str) -> None:
    """Whatever attributes it has."""
    assert read(f'<{element} pi="1" sn="imap" ts="2014-06-02T22:02:15"/>') is None


@pytest.mark.parametrize("element", sorted(store_xml.VERBS))
def test_an_element_of_the_store_is_left_to_it(element: str) -> None:
    """The MTA's format does not take it; of all formats it is this one's."""
    line = f'<{element} pi="1" sn="imap" ts="2014-06-02T22:02:15"/>'
    assert mta_xml.parse_run([line], 0, Log(), []) == 0
    records = Reader(Log(Clock(ZoneInfo("UTC")))).read(Block(line.encode(), 0))
    assert [record.event for record in records] == [f"store.{store_xml.VERBS[element]}"]


@given(st.sampled_from(LINES), st.data())
def test_any_damage_is_one_record_or_not_ours(line: str, data: st.DataObject) -> None:
    """Golden lines with pieces cut out, doubled and put in: never an exception, and what is read comes back."""
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(line)))
        end = data.draw(st.integers(start, min(len(line), start + 12)))
        pieces = ["", '"', "'", "<", ">", "/>", "&", "&#", "=", " ", "\x00", "ü", line[start:end] * 2]
        line = line[:start] + data.draw(st.sampled_from(pieces)) + line[end:]
    record = read(line)
    if isinstance(record, Unparsed):
        assert record.error.startswith("column ")
    elif isinstance(record, Store):
        assert read(store_xml.render(record)) == record


def test_it_is_registered_between_the_mta_and_the_services() -> None:
    """So that neither is offered a line that is more surely another's."""
    assert [form.name for form in FORMATS].index("store_xml") < [form.name for form in FORMATS].index("service")
