"""`shipper convert`: logs as JSON lines."""

from __future__ import annotations


def convert() -> None:
    """Logs to JSON lines, one record for each line."""
