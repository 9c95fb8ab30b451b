"""docs/schema.md and native.schema.json are what the tables in the code say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("made")
    environment = {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, ROOT / "docs" / "make_schema.py", directory], check=True, env=environment)
    return directory


@pytest.mark.parametrize("name", ["docs/schema.md", "shipper/profiles/native.schema.json"])
def test_what_is_committed_is_what_is_made(name: str, made: Path) -> None:
    """Run `python docs/make_schema.py` after a change of the tables."""
    assert (ROOT / name).read_text("utf-8") == (made / name).read_text("utf-8")
