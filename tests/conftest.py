"""Options of the test run."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

# Where a change is judged the drawn examples are always the same ones, so that it is judged by what it changes; everywhere else they are new
# each time, and find what nobody thought of. No deadlines: a busy machine is no bug.
settings.register_profile("always the same", deadline=None, derandomize=True)
settings.register_profile("always new", deadline=None)
settings.load_profile("always the same" if os.environ.get("CI") else "always new")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--bless`: write what is read now as what is expected. A human then reads the difference, line by line, before committing it."""
    parser.addoption("--bless", action="store_true", help="rewrite tests/formats/*/*/expected.jsonl; read the diff before you commit it")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest come first, so that no worker goes on for minutes when the others have ended."""
    items.sort(key=lambda item: not item.nodeid.startswith("tests/receivers/"))
