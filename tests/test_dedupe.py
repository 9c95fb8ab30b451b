"""What came before is known, exactly, however little memory there is."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import closing

from hypothesis import given, settings
from hypothesis import strategies as st

from shipper.dedupe import ID_SIZE, Keys, Minutes, Seen
from shipper.record import Record, Text


def key(number: int) -> bytes:
    return hashlib.blake2b(b"%d" % number, digest_size=ID_SIZE).digest()


BATCHES = st.lists(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 30)), max_size=40), max_size=12)


@settings(max_examples=150, deadline=None)
@given(BATCHES, st.integers(1, 40), st.integers(1, 20))
def test_the_same_as_a_set(batches: list[list[tuple[int, int]]], in_memory: int, in_minute: int) -> None:
    """Whatever is put away, fetched again or has a row of its own: a record is a repeat exactly when its minute and id came before."""
    seen = Seen(in_memory, in_minute)
    model: set[tuple[int, int]] = set()
    for batch in batches:
        batch.sort(key=lambda pair: pair[0] // 3)
        expected = []
        for number, pair in enumerate(batch):
            if pair in model:
                expected.append(number)
            model.add(pair)
        keys = Keys(b"".join(key(number) for _, number in batch), [(minute, 1) for minute, _ in batch])
        assert seen.repeats(keys) == expected
    seen.close()


def records(*pairs: tuple[str, str]) -> list[Text]:
    return [Text(time=time, id=hashlib.blake2b(line.encode(), digest_size=16).hexdigest()) for time, line in pairs]


def keys_of(log: Sequence[Record], minutes: Minutes | None = None) -> Keys:
    return (minutes or Minutes()).keys([record.time for record in log], bytes.fromhex("".join(record.id for record in log)))


def test_runs_are_minutes() -> None:
    """Records in a row of one minute are one run; one without a time goes with the one before it."""
    keys = keys_of(
        records(
            ("", "a"),
            ("2026-03-01T10:20:30+01:00", "b"),
            ("2026-03-01T10:20:59.99+01:00", "c"),
            ("", "d"),
            ("2026-03-01T10:21:00+01:00", "e"),
        )
    )
    assert keys.runs == [(0, 1), (202603011020, 3), (202603011021, 1)]
    assert len(keys.ids) == 5 * ID_SIZE


def test_a_line_without_time_is_known_by_the_second_before_it() -> None:
    """A line `--` under every stamp is not a repeat of the others; in a copy of the log it is."""
    log = records(("2026-03-01T10:20:30Z+00", "a"), ("", "--"), ("2026-03-01T10:20:31Z+00", "b"), ("", "--"))
    with closing(Seen()) as seen:
        assert seen.repeats(keys_of(log)) == []
        assert seen.repeats(keys_of(log)) == [0, 1, 2, 3]


def test_a_line_without_date_is_known_by_its_date() -> None:
    """`12:00:01.00: text` of two days has one id, and is two records."""
    monday, tuesday = records(("2026-03-02T12:00:01+00:00", "x"), ("2026-03-03T12:00:01+00:00", "x"))
    assert monday.id == tuesday.id
    with closing(Seen()) as seen:
        assert seen.repeats(keys_of([monday, tuesday])) == []


def test_batches_make_no_difference() -> None:
    """Keys of many records at once are those of the same records one by one."""
    log = records(*((f"2026-03-01T10:{n // 60:02d}:{n % 60:02d}+00:00" if n % 3 else "", f"{n % 7}") for n in range(400)))
    minutes = Minutes()
    single = [keys_of([record], minutes) for record in log]
    whole = keys_of(log)
    assert whole.ids == b"".join(keys.ids for keys in single)
    assert [minute for minute, count in whole.runs for _ in range(count)] == [keys.runs[0][0] for keys in single]
