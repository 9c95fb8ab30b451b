"""What was created, renamed or deleted in a directory, made to outlast a power cut: the file's own `fsync` is for its content only."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def sync_names(directory: Path, sync: Callable[[int], object] = os.fsync) -> None:
    """Returns when the names in the directory are on the disk. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)
