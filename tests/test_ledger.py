"""Receipts and the ledger: a position is passed when all before it is durable, and never sooner."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.batch import Receipt
from shipper.ledger import Ledger


@given(st.lists(st.integers(1, 4), min_size=1, max_size=12), st.data())
def test_the_position_is_the_longest_settled_beginning(branches: list[int], data: st.DataObject) -> None:
    """Branches settled in any order: after each step the position is the end of the longest run of settled receipts from the start."""
    seen: list[int] = []
    ledger: Ledger[int] = Ledger(seen.append)
    receipts = [ledger.receipt(number, weight=number + 1) for number in range(len(branches))]
    for receipt, count in zip(receipts, branches, strict=True):
        for _ in range(count - 1):
            receipt.branch()
    steps = [number for number, count in enumerate(branches) for _ in range(count)]
    left = dict(enumerate(branches))
    for number in data.draw(st.permutations(steps)):
        receipts[number].settle()
        left[number] -= 1
        passed = 0
        while passed < len(branches) and not left[passed]:
            passed += 1
        assert (seen[-1] if seen else -1) == passed - 1
        assert ledger.waiting == sum(range(passed + 1, len(branches) + 1))
    assert seen == sorted(set(seen))


def test_a_forgotten_branch_holds_the_position() -> None:
    """Who takes a batch and never says anything keeps it from being passed, and all after it."""
    seen: list[str] = []
    ledger: Ledger[str] = Ledger(seen.append)
    first, second = ledger.receipt("a"), ledger.receipt("b")
    first.branch()
    first.settle()
    second.settle()
    assert seen == []


def test_a_receipt_is_settled_once() -> None:
    """Settling more often than there are branches is a bug of ours, and said at once."""
    receipt = Receipt(lambda: None)
    receipt.settle()
    with pytest.raises(AssertionError):
        receipt.settle()
    with pytest.raises(AssertionError):
        receipt.branch()
