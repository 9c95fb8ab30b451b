"""Lines to begin with, which most tests of the compiled twin damage."""

from __future__ import annotations

import fcntl
import os

import pytest

from tests.native.differ import Seeds, seeds


@pytest.fixture(scope="session")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Seeds:
    """They are generated once for all workers of a run."""
    directory = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        directory = directory.parent
    with (directory / "seeds.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return seeds(directory / "seeds")
