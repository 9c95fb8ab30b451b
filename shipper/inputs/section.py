"""The settings that every input has, whatever its kind: how its lines are read, where that differs from the rest of the configuration."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from shipper.config.units import Part, TimeZone


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
