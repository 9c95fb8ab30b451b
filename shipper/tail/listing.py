"""Globs -> the files that they name now, each with what the system says of it."""

from __future__ import annotations

import errno
import glob
import os
import stat
from collections.abc import Iterable, Sequence
from fnmatch import fnmatch
from typing import NamedTuple

_ABSENT = (errno.ENOENT, errno.ENOTDIR)


class Sight(NamedTuple):
    """A file as it was seen. `modified`: nanoseconds since 1970. `real`: where a symbolic link leads, `""` where there is none."""

    path: str
    device: int
    inode: int
    size: int
    modified: int
    real: str = ""

    @property
    def key(self) -> tuple[int, int]:
        return self.device, self.inode


class Listing(NamedTuple):
    """`sights`: by path. `troubles`: path -> why it cannot be looked at, of files that may well be there."""

    sights: Sequence[Sight]
    troubles: dict[str, str]


def listing(patterns: Iterable[str], exclude: Sequence[str] = (), known: Iterable[str] = ()) -> Listing:
    """What the patterns name, and the `known` paths that are there, without the `exclude` ones (patterns for a name or a path)."""
    sights: dict[str, Sight] = {}
    troubles: dict[str, str] = {}
    for pattern in patterns:
        paths = sorted(glob.glob(pattern, recursive=True)) if glob.has_magic(pattern) else [pattern]
        for path in paths:
            if path not in sights and not any(fnmatch(path, each) or fnmatch(os.path.basename(path), each) for each in exclude):
                _look(path, sights, troubles)
    for path in known:
        if path not in sights:
            _look(path, sights, troubles)
    return Listing(list(sights.values()), troubles)


def _look(path: str, sights: dict[str, Sight], troubles: dict[str, str]) -> None:
    try:
        found = os.stat(path)
    except OSError as error:
        if error.errno not in _ABSENT:
            troubles[path] = (error.strerror or str(error)).lower()
        return
    if stat.S_ISREG(found.st_mode):
        real = os.path.realpath(path) if os.path.islink(path) else ""
        sights[path] = Sight(path, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, real)
