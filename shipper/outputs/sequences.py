"""The highest number that each family of log files got, kept in the state directory: it is known when the files' directory is gone.

    sequences              {"/var/log/mailserver": {"imap": 64}}: directory -> family -> number

A lower bound: the files themselves say how far it was, and a number is here only when it is on the disk there. So this is written whole, by
another name, and without fsync; one that cannot be read, or written, says nothing.
"""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

from loguru import logger


class Sequences:
    """What the outputs of one process share. `path`: the file; None: what this process has seen, and nothing more. Any thread may ask and tell."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._failing = False
        self._turn = threading.Lock()
        self._numbers = _read(path) if path else {}

    def of(self, directory: str, family: str) -> int:
        """The highest number that was given there; 0 where none is known."""
        return self._numbers.get(os.path.abspath(directory), {}).get(family, 0)

    def took(self, directory: str, family: str, number: int) -> None:
        """This one is given now."""
        with self._turn:
            families = self._numbers.setdefault(os.path.abspath(directory), {})
            if number > families.get(family, 0):
                families[family] = number
                if self._path:
                    self._write(self._path)

    def _write(self, path: Path) -> None:
        new = path.with_name(f"{path.name}.new")
        try:
            new.write_text(json.dumps(self._numbers, separators=(",", ":")))
            new.replace(path)
            self._failing = False
        except OSError as error:
            if not self._failing:
                logger.warning("the numbers of log files cannot be kept in the state directory: {}", (error.strerror or str(error)).lower())
            self._failing = True


def _read(path: Path) -> dict[str, dict[str, int]]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return {
        directory: {family: number for family, number in families.items() if type(number) is int}
        for directory, families in (found.items() if isinstance(found, dict) else ())
        if isinstance(families, dict)
    }
