"""The tailor file (imta_tailor): where the MTA has its files.

    IMTA_TABLE=/opt/SUNWmsgsr/config/
    IMTA_OPTION_FILE=IMTA_TABLE:option.dat

- `NAME=value` as in an option file. `IMTA_TABLE:` in front of a path stands for that setting, a prefix that ends in `/`.
- The tailor file stands in IMTA_TABLE's own directory. Where that directory is not on this machine, the files were copied from another one:
  what was in it is then looked for beside the tailor file.

Sources: the tailor file in the Messaging Server reference (acmlb). Prefixes other than IMTA_TABLE are taken in the same way. Values such
as `<msg.RootPath>/config/` are not filled in: such a path has to stand in our configuration.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from shipper.mailserver.lines import Assignment

FILES = {"option_file": "IMTA_OPTION_FILE", "channels": "IMTA_CONFIG_FILE", "dispatcher": "IMTA_DISPATCHER_CONFIG"}
"""What of our `mailserver:` section is named by which setting of the tailor file."""
USUAL = {"option_file": "option.dat", "channels": "imta.cnf", "dispatcher": "dispatcher.cnf"}
"""The names they have in IMTA_TABLE where the tailor file names none."""
UNIFIED = "config.xml"
"""The unified configuration, in place of all of them."""

_PREFIX = re.compile(r"(IMTA_\w+):(.*)", re.IGNORECASE | re.DOTALL)
_DEPTH = 8


class Tailor(NamedTuple):
    """`settings`: NAME -> how it is written; `folder`: where the file stands."""

    settings: Mapping[str, Assignment]
    folder: Path

    def named(self, kind: str) -> tuple[Path, Assignment] | None:
        """The path of a kind of `FILES`, and what names it; None when nothing does, or its path cannot be known here."""
        found = self.settings.get(FILES[kind])
        path = self.path(found.value) if found else None
        return (path, found) if path and found else None

    def path(self, written: str) -> Path | None:
        """A path with its prefix filled in; None for one with a prefix or placeholder that the file does not say."""
        whole = self._filled(written, 0)
        if whole is None or not whole or "<" in whole or "\0" in whole:
            return None
        path = self.folder / whole
        table = self._filled("IMTA_TABLE:", 0)
        if table and not is_here(table) and path.is_relative_to(table):
            return self.folder / path.relative_to(table)
        return path

    def beside(self, kind: str) -> Path:
        """Where the file usually stands."""
        table = self.path("IMTA_TABLE:")
        return (table if table and is_here(table) else self.folder) / USUAL[kind]

    def _filled(self, written: str, depth: int) -> str | None:
        shape = _PREFIX.fullmatch(written)
        if not shape:
            return written
        prefix = self.settings.get(shape[1].upper())
        front = self._filled(prefix.value, depth + 1) if prefix and depth < _DEPTH else None
        return None if front is None else front + shape[2]


def is_here(path: str | Path) -> bool:
    """Whether this machine has it. What this user may not look for is taken to be there: reading it says what is in the way, and nothing else is
    read in its place."""
    try:
        os.stat(path)
    except PermissionError:
        return True
    except (OSError, ValueError):
        return False
    return True
