"""Options that several commands have, and that say how logs are read: words of the user -> what the engines take, or a `Failure`."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from shipper.errors import Failure

if TYPE_CHECKING:
    from datetime import tzinfo

    from shipper.formats import Format


def zone_of(name: str) -> tzinfo | None:
    """The time zone of this IANA name; None for `""`."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        names = sorted(available_timezones())
        city = name.rpartition("/")[2].lower().replace(" ", "_")
        near = [known for known in names if known.lower() == name.lower() or known.rpartition("/")[2].lower() == city]
        raise Failure("U102", f"there is no time zone '{name}'", notes=did_you_mean(name, names, near)) from None


def fields_of(names: str, option_file: str) -> tuple[str, ...] | None:
    """The optional fields that were named, or that an option file turns on; None when neither was given."""
    if names:
        from shipper.formats.mta_text import OPTIONAL

        chosen = tuple(names.replace(",", " ").split())
        for name in chosen:
            if name not in OPTIONAL:
                notes = [*did_you_mean(name, OPTIONAL), f"the names: {', '.join(OPTIONAL)}"]
                raise Failure("U104", f"'{name}' is not an optional field", notes=notes)
        return chosen
    if not option_file:
        return None
    from shipper.mailserver import optionfile
    from shipper.sources import path_text, unopened

    try:
        options, problems = optionfile.parse(Path(option_file).read_bytes().decode(errors="replace"))
    except OSError as error:
        raise unopened(option_file, error) from None
    if problems:
        place = f"{path_text(option_file)}:{problems[0].place.line}"
        raise Failure("U110", f"this line of the option file cannot be read: {problems[0].message}", place=place)
    return optionfile.optional_fields(options)


def format_of(name: str) -> Format | None:
    """The format of this name; None for `""`."""
    from shipper.formats import BY_NAME

    if name and name not in BY_NAME:
        notes = [*did_you_mean(name, BY_NAME), f"the formats: {', '.join(BY_NAME)}"]
        raise Failure("U105", f"there is no format '{name}'", notes=notes)
    return BY_NAME.get(name)


def did_you_mean(word: str, known: Iterable[str], certain: Iterable[str] = ()) -> list[str]:
    """A note with the names that are nearest to a word, or none."""
    near = list(certain) or get_close_matches(word, list(known), 3, 0.6)
    return [f"did you mean {' or '.join(repr(name) for name in near[:3])}?"] if near else []
