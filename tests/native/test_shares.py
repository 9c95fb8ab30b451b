"""What users feed in goes through the compiled twin, as far as it does today: nothing falls back to Python unnoticed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench import shares
from shipper import compiled

MODULE, WHY = compiled.find()
pytestmark = pytest.mark.skipif(MODULE is None, reason=f"no compiled twin: {WHY}")


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> shares.Logs:
    return shares.Logs((sys.executable, "-m", "shipper"), tmp_path_factory.mktemp("shares"), 4000)


@pytest.mark.parametrize("kind", shares.KINDS, ids=lambda kind: kind.name)
def test_the_twin_does_its_share(kind: shares.Kind, logs: shares.Logs) -> None:
    """Of each kind of input, option, output and route, of hundreds of lines; what it leaves to Python today may become less."""
    found = shares.measured(kind, logs, MODULE)
    assert 100 * found.share >= kind.least, f"{found.share:.2%} of {found.lines} lines"


def test_what_is_counted_as_the_twin_s_is_not_python_s(logs: shares.Logs) -> None:
    """Without it there is none."""
    assert {shares.measured(kind, logs, None).share for kind in (shares.KINDS[0], *(kind for kind in shares.KINDS if kind.plan))} == {0}


def test_the_page_has_all_of_them() -> None:
    """docs/performance.md says of every kind what it costs."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "performance.md").read_text("utf-8")
    assert [kind.name for kind in shares.KINDS if f"| {kind.name} " not in page] == []
