"""Sections that exist only in tests: one type of input, one of output."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field, SecretStr

from shipper.config.sections import Kinds
from shipper.config.units import Duration, Part
from shipper.inputs.section import Common as CommonInput
from shipper.outputs.section import Common as CommonOutput


class Log(CommonInput):
    """Reads a file."""

    type: Literal["log"]
    path: str = Field(min_length=1, description="The file.")


class Tls(Part):
    """How TLS is spoken."""

    verify: bool = True
    key: SecretStr | None = None

    def doubts(self) -> Iterator[tuple[str, str]]:
        if not self.verify:
            yield "verify", "whoever answers gets the records"


class Web(CommonOutput):
    """Sends requests."""

    type: Literal["web"]
    url: str = Field(description="Where to.")
    port: int = Field(443, ge=1, le=65535)
    ratio: float = 1.0
    compress: bool = True
    wait: Duration | Literal["never"] = 5.0
    password: SecretStr | None = None
    headers: dict[str, SecretStr] = Field({})
    names: list[str] = Field([])
    tls: Tls = Tls()

    def doubts(self) -> Iterator[tuple[str, str]]:
        if self.url.startswith("http:"):
            yield "url", "records travel without TLS"


INPUTS = Kinds("input", {"log": Log})
OUTPUTS = Kinds("output", {"web": Web})
