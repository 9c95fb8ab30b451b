"""The settings that every input has, whatever its kind: how its lines are read, where that differs from the rest of the configuration."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from pydantic import Field

from shipper.config.units import Duration, Part, Size, TimeZone
from shipper.screen import escaped
from shipper.tail import listing


class Common(Part):
    """On top of this an input defines its `Section`."""

    timezone: TimeZone | None = Field(None, description="Zone of stamps that name none; else that of the whole configuration.")
    host: str | None = Field(None, min_length=1, description="Host of records that name none; else that of the whole configuration.")
    raw: Literal["always", "errors", "never"] | None = Field(
        None, description="When a record keeps its line; else as the whole configuration says."
    )
    fields: list[str] | None = Field(
        None,
        description="The optional fields that the MTA writes, in order; else those of mailserver's option file, or told by their shape.",
    )


Poll = Annotated[Duration, Field(gt=0, description="Seconds between two looks at what files there are.")]
MaxLine = Annotated[Size, Field(ge=1024, description="Octets of a line that are read; the rest is cut, and the record says so.")]
"""Options that inputs of files have, and inputs of lines."""


def unreadable(option: str, directory: str, patterns: Sequence[str], exclude: Sequence[str] = ()) -> Iterator[tuple[str, str]]:
    """(option, what `check` says) of a directory, and of those files in it that globs name, as far as this user cannot read them."""
    if why := _against(directory or os.curdir, os.R_OK | os.X_OK):
        yield option, why
        return
    found = listing(patterns, exclude)
    closed = sorted({*found.troubles, *(sight.path for sight in found.sights if _against(sight.path, os.R_OK))})
    if closed:
        more = f" and {len(closed) - 1} more" if len(closed) > 1 else ""
        yield option, f"'{escaped(closed[0])}'{more} cannot be read by this user"


def unreadable_file(option: str, path: str) -> Iterator[tuple[str, str]]:
    """The same of one file."""
    if why := _against(path, os.R_OK):
        yield option, why


def _against(path: str, access: int) -> str:
    """Why a file, or a directory if it is to be looked into, cannot be read; `""` where it can."""
    try:
        os.stat(path)
    except FileNotFoundError:
        return f"'{escaped(path)}' is not there: nothing is read until it is"
    except OSError as error:
        return f"'{escaped(path)}' cannot be read: {(error.strerror or str(error)).lower()}"
    if access & os.X_OK and not os.path.isdir(path):
        return f"'{escaped(path)}' is no directory: nothing is read"
    return "" if os.access(path, access, effective_ids=True) else f"'{escaped(path)}' cannot be read by this user"
