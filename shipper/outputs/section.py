"""The settings that every output has, whatever its kind: what it keeps while its receiver is away, when it tries
again, and what it does not get of personal data."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, SecretStr, model_validator
from pydantic_core import PydanticCustomError

from shipper.config.units import Duration, Part, Size
from shipper.redact import IpMethod, Method, Redaction
from shipper.router import Role, Takes
from shipper.screen import escaped

KEY_LENGTH = 32
"""Characters that the key of pseudonyms has at least: as many octets as the hash, were they drawn from all."""


class BufferSettings(Part):
    """What waits for a receiver."""

    kind: Literal["disk", "memory"] = Field("disk", description="Where records wait: in files under `state`, or in memory only.")
    size: Size = Field(1 << 30, gt=0, description="How much may wait, in octets.")
    keep_free: Size = Field(0, ge=0, description="On disk: octets of the file system that are left to others; it counts as full before.")
    when_full: Literal["block", "drop_newest"] = Field(
        "block", description="When it is full: let the inputs wait, or drop what comes next (counted)."
    )


class RetrySettings(Part):
    """When to try again after a receiver could not take anything. Tries never end: what waits, waits in the buffer."""

    first: Duration = Field(1.0, gt=0, description="The wait after the first failure; it doubles from there, with some chance in it.")
    longest: Duration = Field(60.0, gt=0, description="The longest wait between two tries.")


class FileRetrySettings(RetrySettings):
    """When to try again after a file could not be written. A full disk is no receiver that many clients overwhelm: it is asked more often."""

    longest: Duration = Field(8.0, gt=0, description="The longest wait between two tries.")


class BatchSettings(Part):
    """How much is sent at a time."""

    records: int = Field(1000, ge=1, le=100_000, description="Records in one request at most.")
    size: Size = Field(4 << 20, ge=1024, description="Octets in one request at most; one record may be larger.")


class FileBatchSettings(BatchSettings):
    """How much is written at a time: each time the disk is waited for."""

    records: int = Field(10_000, ge=1, le=100_000, description="Records in one write at most.")
    size: Size = Field(4 << 20, ge=1024, description="Octets in one write at most; one record may be larger.")


def _long_enough(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value()) < KEY_LENGTH:
        raise PydanticCustomError("key", "must have {least} characters or more, as `openssl rand -hex 32` gives", {"least": KEY_LENGTH})
    return value


class RedactSettings(Part):
    """What of personal data this output does not get, and what it gets in its place. It is gone before a record is buffered."""

    addresses: Method = Field("keep", description="Mail addresses, also in texts, and message ids that look like one.")
    names: Method = Field("keep", description="User names, and owners of mailboxes, wherever else the record has them, too.")
    ips: IpMethod = Field("keep", description="IP addresses, also in texts; truncate: to /24, or /48.")
    domains: Literal["hide", "keep"] = Field("hide", description="Whether pseudonyms and masks of addresses keep the domain.")
    headers: Literal["keep", "remove"] = Field("keep", description="Values of logged header lines: subjects, people's real names.")
    id: Literal["keep", "pseudonym"] = Field("keep", description="The id of a record is a hash of its line; a pseudonym has a key.")
    key: Annotated[SecretStr, AfterValidator(_long_enough)] | None = Field(
        None, description="The key of pseudonyms, as ${file:/etc/shipper/pseudonym.key}: 32 characters or more."
    )
    key_id: str = Field("1", pattern="^[A-Za-z0-9_-]{1,16}$", description="The name of the key, which every pseudonym shows.")

    @model_validator(mode="after")
    def _has_key(self) -> RedactSettings:
        if self.key is None and "pseudonym" in (self.addresses, self.names, self.ips, self.id):
            raise PydanticCustomError("key", "has no 'key', which pseudonyms need")
        return self

    def doubts(self) -> Iterator[tuple[str, str]]:
        """(option, what `check` says of it)."""
        hidden = [self.addresses != "keep", self.names != "keep"]
        if not any(hidden) and self.ips == "keep" and self.headers == "keep" and self.id == "keep":
            yield "addresses", "`redact` hides nothing: say what becomes of `addresses`, `names` or `ips`"
        elif any(hidden) and not all(hidden):
            kept = "names" if hidden[0] else "addresses"
            yield kept, f"`{kept}` are kept, and often say who somebody is as well"

    def redaction(self) -> Redaction:
        """What does so."""
        return Redaction(
            addresses=self.addresses,
            names=self.names,
            ips=self.ips,
            keep_domains=self.domains == "keep",
            header_values=self.headers == "remove",
            ids=self.id == "pseudonym",
            key=self.key.get_secret_value().encode() if self.key else b"",
            key_id=self.key_id,
        )


WHICH = "Which records: those that the mail server's settings send to an output of this type, or all; routes come before it."


class Common(Part):
    """On top of this an output defines its `Section`. `role`: what it is to the mail server's settings, a syslog server or a log file."""

    role: ClassVar[Role] = "files"

    takes: Takes = Field("settings", description=WHICH)
    redact: RedactSettings | None = Field(None, description="What of personal data the output does not get.")
    required: bool = Field(
        True, description="Positions move only when this output has the records; no: they move without it, and its losses are counted."
    )
    buffer: BufferSettings = Field(BufferSettings(), description="What waits for the receiver.")
    retry: RetrySettings = Field(RetrySettings(), description="When to try again.")
    batch: BatchSettings = Field(BatchSettings(), description="How much is sent at a time.")


def no_directory(option: str, directory: Path) -> Iterator[tuple[str, str]]:
    """(option, what `check` says) when a directory for files is none."""
    if not directory.is_dir():
        yield (
            option,
            f"'{escaped(str(directory))}' is {'no directory' if directory.exists() else 'not there'}: nothing can be written until it is made",
        )
