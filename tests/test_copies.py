"""The same record by two ways is delivered once, and loops end."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.batch import Receipt
from shipper.copies import COPY, KEPT_SECONDS, LOOP, Copies
from shipper.record import Connection, Envelope, Mta, Record, Service, Syslog

TIMES = ["2026-11-22T10:00:00.64+00:00", "2026-11-22T10:00:00.65+00:00"]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def receipt() -> Receipt:
    return Receipt(lambda: None)


def by_file(**fields: object) -> Mta:
    return Mta(time=TIMES[0], event="mta.enqueue", code="E", id="f" * 32, sender="a@example.com", **fields)  # type: ignore[arg-type]


def by_syslog(record: Record, peer: str = "192.0.2.1", **structured: object) -> Record:
    """The same line behind a syslog header, which names a host."""
    import msgspec

    copy = msgspec.structs.replace(record, id="e" * 32, host="mail", source=None)
    copy.syslog = Envelope(facility="mail", severity="info", hostname="mail", peer=peer, structured_data=structured or None)
    return copy


def check(
    copies: Copies, *records: Record, syslog: bool, both: bool = True, relays: frozenset[str] | None = None, of: Receipt | None = None
) -> tuple[int, dict[str, int], int]:
    done = copies.check(records, of or receipt(), by_syslog=syslog, both=both, relays=relays)
    return len(done.records), done.left_out, len(done.wait_for)


@pytest.mark.parametrize("file_first", [True, False])
def test_one_of_two_copies_is_delivered_whichever_comes_first(file_first: bool) -> None:
    """And the other one waits for its receipt."""
    copies, record = Copies(Clock()), by_file()
    first, second = (record, by_syslog(record)) if file_first else (by_syslog(record), record)
    assert check(copies, first, syslog=not file_first) == (1, {}, 0)
    assert check(copies, second, syslog=file_first) == (0, {COPY: 1}, 1)


def test_a_copy_waits_only_for_what_is_not_settled() -> None:
    """And is settled with it."""
    copies, record, original = Copies(Clock()), by_file(), receipt()
    check(copies, record, syslog=False, of=original)
    done = copies.check([by_syslog(record)], receipt(), by_syslog=True, both=True, relays=None)
    settled: list[str] = []
    for each in done.wait_for:
        each.after(lambda: settled.append("copy"))
    assert settled == []
    original.settle()
    assert settled == ["copy"]
    assert check(copies, by_syslog(by_file(recipient="b")), syslog=True) == (1, {}, 0)
    check(copies, record, syslog=False)
    assert check(copies, by_syslog(record), syslog=True) == (0, {COPY: 1}, 1)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 2)), max_size=40))
def test_of_identical_lines_as_many_come_out_as_the_richer_way_has(arrivals: list[tuple[bool, int]]) -> None:
    """Law: in any order, max(by file, by syslog) of each line; and all of them where one way is silent."""
    copies = Copies(Clock())
    out: dict[int, int] = {}
    came: dict[tuple[int, bool], int] = {}
    for syslog, which in arrivals:
        record = by_file(recipient=f"{which}@example.org")
        passed, _, _ = check(copies, by_syslog(record) if syslog else record, syslog=syslog)
        out[which] = out.get(which, 0) + passed
        came[which, syslog] = came.get((which, syslog), 0) + 1
    for which, number in out.items():
        assert number == max(came.get((which, True), 0), came.get((which, False), 0))


def test_what_differs_in_any_field_of_the_line_is_no_copy() -> None:
    """Time, kind, code, queue file; other programs' messages are never copies."""
    copies = Copies(Clock())
    check(copies, by_file(), syslog=False)
    other = by_file()
    other.time = TIMES[1]
    different = [other, by_file(queue_file="ZZ"), Connection(time=TIMES[0], event="mta.enqueue", code="E"), Service(message="x")]
    assert check(copies, *map(by_syslog, different), syslog=True) == (4, {}, 0)
    text = Syslog(message="x", time=TIMES[0])
    check(copies, text, syslog=False)
    assert check(copies, by_syslog(text), syslog=True) == (1, {}, 0)


def test_memory_is_of_minutes() -> None:
    """What came twice the time ago is new again."""
    clock = Clock()
    copies, record = Copies(clock), by_file()
    check(copies, record, syslog=False)
    for _ in range(2):
        clock.now += KEPT_SECONDS + 1
        check(copies, syslog=False)
    assert check(copies, by_syslog(record), syslog=True) == (1, {}, 0)


def ours(uid: str) -> dict[str, object]:
    return {"origin": {"software": "shipper"}, "mta@32473": {"uid": uid}}


@pytest.mark.parametrize("structured", [ours, lambda uid: {**ours(uid), "timeQuality": {"tzKnown": "1"}}])
def test_our_own_message_that_comes_back_is_stopped_the_first_time(structured: Callable[[str], dict[str, object]]) -> None:
    """By its uid; another shipper's message, or one of ours of long ago, is not."""
    copies = Copies(Clock())
    check(copies, by_file(), syslog=False, relays=frozenset())
    back = by_syslog(Syslog(message="enqueue"), **structured("f" * 32))
    assert check(copies, back, syslog=True, relays=frozenset()) == (0, {LOOP: 1}, 0)
    strange = by_syslog(Syslog(message="enqueue"), **structured("a" * 32))
    assert check(copies, strange, syslog=True, relays=frozenset()) == (1, {}, 0)
    assert check(copies, back, syslog=True, relays=None) == (1, {}, 0)


def test_our_own_message_behind_a_relays_header_is_stopped() -> None:
    """A relay that puts a header of its own before it makes text of ours."""
    copies = Copies(Clock())
    check(copies, by_file(), syslog=False, relays=frozenset())
    text = '<22>1 2026-11-22T10:00:00Z mail mta - - [origin software="shipper" swVersion="0.1.0"][mta@32473 uid="{}" code="E"] x'
    assert check(copies, by_syslog(Syslog(message=text.format("f" * 32))), syslog=True, relays=frozenset()) == (0, {LOOP: 1}, 0)
    assert check(copies, by_syslog(Syslog(message=text.format("0" * 32))), syslog=True, relays=frozenset()) == (1, {}, 0)


def test_a_loop_without_marks_ends(peer: str = "192.0.2.9") -> None:
    """From the address that we send to, with every field the same, again and again for seconds; what comes from elsewhere, or all at once, is
    just what somebody said many times."""
    clock = Clock()
    copies = Copies(clock)
    message = Syslog(message="deliver a -> b", time=TIMES[0])
    relays = frozenset([peer])

    def came(number: int, sender: str) -> int:
        return sum(check(copies, by_syslog(message, sender), syslog=True, relays=relays)[0] for _ in range(number))

    assert came(3000, peer) == 3000
    clock.now += 6
    assert came(10, peer) == 0
    assert came(10, "192.0.2.1") == 10
    copies = Copies(clock)
    turns = 0
    for _ in range(100):
        clock.now += 0.1
        turns += came(1, peer)
    assert turns == 51
