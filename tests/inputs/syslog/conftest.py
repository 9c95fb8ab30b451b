"""What the tests of the syslog input share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.inputs.syslog.receiving import Authority


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """A CA, with its certificates in files."""
    return Authority(tmp_path)
