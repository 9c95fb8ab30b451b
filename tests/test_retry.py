"""Back-off: between nothing and a bound that doubles, never sooner than the receiver asked."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.retry import Backoff


@given(st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=100))
def test_waits_lie_under_a_bound_that_doubles(chances: list[float]) -> None:
    """Full jitter: chance times half a second, one, two, four … and sixty seconds at most."""
    draw = iter(chances)
    backoff = Backoff(first=0.5, cap=60.0, chance=lambda: next(draw))
    for failures, chance in enumerate(chances):
        assert backoff.failed() == pytest.approx(chance * min(60.0, 0.5 * 2.0**failures))


def test_a_success_begins_anew() -> None:
    """The first failure after one waits as the very first."""
    backoff = Backoff(first=1.0, chance=lambda: 0.5)
    waits = [backoff.failed() for _ in range(4)]
    backoff.succeeded()
    assert (waits, backoff.failed()) == ([0.5, 1.0, 2.0, 4.0], 0.5)


@given(st.floats(0, 1, exclude_max=True), st.floats(allow_nan=True, allow_infinity=True), st.integers(0, 2000))
def test_the_receivers_wish_is_a_lower_bound(chance: float, wish: float, failures: int) -> None:
    """As far as it is a time at all, and up to the longest that we grant; a day is cut to that."""
    backoff = Backoff(most=600.0, chance=lambda: chance)
    backoff.failures = failures
    wait = backoff.failed(wish)
    if math.isfinite(wish) and wish > 0:
        assert min(wish, 600.0) <= wait <= min(wish, 600.0) + 0.5
    else:
        assert 0 <= wait <= 60.0


def test_what_waiting_does_not_mend_is_tried_rarely() -> None:
    """A wrong password: half a minute to a minute from the first time on."""
    assert Backoff(chance=lambda: 0.0).failed(rarely=True) == 30.0
    assert Backoff(chance=lambda: 0.999).failed(rarely=True) == pytest.approx(60.0, abs=0.1)
