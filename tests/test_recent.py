"""What was sent last and may not have been read: kept for the next connections, but not for ever."""

from __future__ import annotations

from shipper.recent import MOST_TIMES, Recent


def test_a_payload_is_sent_again_so_often_and_no_more() -> None:
    """As often as the documents say; then it is let go, and what was sent after it for the first time is not."""
    recent = Recent(1000)
    recent.add([b"old"], 0.0)
    for times in range(MOST_TIMES):
        assert recent.ended(float("-inf")) == 1
        (sent,) = recent.again
        assert (sent.payloads, sent.times) == ((b"old",), times)
        recent.again.clear()
        recent.add(sent.payloads, 0.0, sent.times + 1)
    recent.add([b"new"], 0.0)
    assert recent.ended(float("-inf")) == 1
    assert [sent.payloads for sent in recent.again] == [(b"new",)]
    assert MOST_TIMES == 10, "docs/syslog-receivers.md"


def test_the_newest_are_kept() -> None:
    """No more octets than allowed, and of those only what is in doubt, in order; an end without doubt keeps nothing."""
    recent = Recent(4)
    for number in range(6):
        recent.add([b"%d" % number], float(number))
    assert recent.ended(4.0) == 2
    assert [sent.payloads for sent in recent.again] == [(b"4",), (b"5",)]
    recent = Recent(4)
    recent.add([b"a", b"b", b"c", b"d", b"e", b"f"], 0.0)
    assert recent.ended(0.0) == 4 and recent.again[0].payloads == (b"c", b"d", b"e", b"f")
    recent.add([b"g"], 0.0)
    assert recent.ended(None) == 0
