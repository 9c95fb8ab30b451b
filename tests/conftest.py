"""Options of the test run."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--bless`: write what is read now as what is expected. A human then reads the difference, line by line, before committing it."""
    parser.addoption("--bless", action="store_true", help="rewrite tests/formats/*/*/expected.jsonl; read the diff before you commit it")
