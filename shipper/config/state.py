"""Where a service keeps its state, and what stands there under which name. Loads nothing, as `shipper status` asks for this alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shipper.config.sections import Settings

SPOOLS = "spool"
DEAD_LETTERS = "dead-letters"
"""Directories in the state directory that have one for each output."""

SEQUENCES = "sequences"
"""The file in the state directory that has the highest numbers of the log files that we write."""

CONTROL = "control"
"""The Unix socket in the state directory that `shipper status` and `shipper tap` ask."""


def state_path(settings: Settings) -> Path:
    """The state directory: as configured, or as systemd has made it for us."""
    return Path(settings.state if "state" in settings.model_fields_set else os.environ.get("STATE_DIRECTORY") or settings.state)
