"""The settings that every output has, whatever its kind: what it keeps while its receiver is away, and when it tries again."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from shipper.config.units import Duration, Part, Size
from shipper.router import Role, Takes


class BufferSettings(Part):
    """What waits for a receiver."""

    kind: Literal["disk", "memory"] = Field("disk", description="Where records wait: in files under `state`, or in memory only.")
    size: Size = Field(1 << 30, gt=0, description="How much may wait, in octets.")
    when_full: Literal["block", "drop_newest"] = Field(
        "block", description="When it is full: let the inputs wait, or drop what comes next (counted)."
    )


class RetrySettings(Part):
    """When to try again after a receiver could not take anything. Tries never end: what waits, waits in the buffer."""

    first: Duration = Field(1.0, gt=0, description="The wait after the first failure; it doubles from there, with some chance in it.")
    longest: Duration = Field(60.0, gt=0, description="The longest wait between two tries.")


class BatchSettings(Part):
    """How much is sent at a time."""

    records: int = Field(1000, ge=1, le=100_000, description="Records in one request at most.")
    size: Size = Field(4 << 20, ge=1024, description="Octets in one request at most; one record may be larger.")


WHICH = "Which records: those that the mail server's settings send to an output of this type, or all; routes come before it."


class Common(Part):
    """On top of this an output defines its `Section`. `role`: what it is to the mail server's settings, a syslog server or a log file."""

    role: ClassVar[Role] = "files"

    takes: Takes = Field("settings", description=WHICH)
    required: bool = Field(
        True, description="Positions move only when this output has the records; no: they move without it, and its losses are counted."
    )
    buffer: BufferSettings = Field(BufferSettings(), description="What waits for the receiver.")
    retry: RetrySettings = Field(RetrySettings(), description="When to try again.")
    batch: BatchSettings = Field(BatchSettings(), description="How much is sent at a time.")
