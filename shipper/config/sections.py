"""The sections of a configuration that belong to no single input or output, and where those of inputs and outputs are found."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, SecretStr, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from shipper.config.problems import Place
from shipper.config.units import Duration, Part, Share, TimeZone
from shipper.inputs import KINDS as INPUTS
from shipper.mailserver.settings import MailServer, priority_of
from shipper.outputs import KINDS as OUTPUTS
from shipper.router import Router, Rule, Taker


def _address(value: object) -> object:
    """`127.0.0.1:9600`, `[::1]:9600`, `:9600`; `no`, `off` and nothing are `""`."""
    if value is None or (isinstance(value, str) and value.lower() in ("", "no", "off", "false")):
        return ""
    if not isinstance(value, str):
        return value
    shape = re.fullmatch(r"(?:\[[0-9A-Fa-f:.%\w]+\]|[\w.-]*):([0-9]{1,5})", value, re.ASCII)
    if shape is None or int(shape[1]) > 65535:
        raise PydanticCustomError("address", "must be an address and a port as 127.0.0.1:9600, or off")
    return value


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


Address = Annotated[str, BeforeValidator(_address)]
"""A host and a port to listen on, or `""`."""
Names = Annotated[
    list[str], BeforeValidator(_listed), WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]})
]
"""One name, or a list of them."""
_SCALAR = {"type": ["string", "number", "boolean"]}
_VALUES = {"anyOf": [_SCALAR, {"type": "array", "items": _SCALAR, "minItems": 1}]}
_OPERATORS: dict[str, Any] = {
    "equal": {**_SCALAR, "description": "It is this."},
    "in": {**_VALUES, "description": "It is one of these."},
    "prefix": {**_VALUES, "description": "It begins with this, or with one of these."},
    "regex": {"type": "string", "description": "This regular expression of Python is found in it."},
    "range": {
        "type": "object",
        "properties": {"min": _SCALAR, "max": _SCALAR},
        "additionalProperties": False,
        "minProperties": 1,
        "description": "It is not below `min`, and not above `max`.",
    },
    "present": {"type": ["boolean", "string"], "description": "Whether the record has it."},
    "not": {"description": "What stands here does not fit."},
}
Conditions = Annotated[
    dict[str, Any],
    WithJsonSchema(
        {
            "type": "object",
            "properties": {"not": {"type": "object", "minProperties": 1, "description": "These do not all fit."}},
            "additionalProperties": {
                "anyOf": [
                    *_VALUES["anyOf"],
                    {"type": "object", "properties": _OPERATORS, "additionalProperties": False, "minProperties": 1, "maxProperties": 1},
                ]
            },
        }
    ),
]
"""Fields, and what is asked of each; `shipper.config.routes` reads them."""
Fields = Annotated[dict[str, Any], WithJsonSchema({"type": "object", "additionalProperties": _SCALAR})]
"""Fields and their values."""
Written = Annotated[dict[str, str], WithJsonSchema({"type": "object", "additionalProperties": _SCALAR})]
"""Settings and their values, as they are written."""


class OtlpTelemetry(Part):
    """Our own metrics by OTLP."""

    endpoint: str = Field(min_length=1, description="The collector, as http://127.0.0.1:4318.")
    headers: dict[str, SecretStr] = Field({}, description="Headers of every request.")
    interval: Duration = Field(60.0, ge=1, description="How often metrics are sent.")


class Telemetry(Part):
    """What the service shows of itself."""

    http: Address = Field(
        "127.0.0.1:9600", description="Where /healthz, /readyz, /metrics and /status answer; `off`: nowhere.", validate_default=True
    )
    otlp: OtlpTelemetry | None = Field(None, description="Our own metrics by OTLP as well.")


class OwnLog(Part):
    """What the service says of itself, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="What is said: this and what is worse.")
    format: Literal["auto", "text", "json"] = Field("auto", description="Text or JSON lines; auto: text on a terminal, else JSON.")


class Route(Part):
    """Records that fit `when` go to the outputs in `to`, or are dropped: the first such route decides. One with neither changes records, or keeps
    a share of them, and the routes after it are tried."""

    when: Conditions = Field({}, description="Field of the record: the value or values that fit, or a test; without it every record fits.")
    to: Names = Field([], description="The outputs that get these records.")
    drop: bool = Field(False, description="These records go nowhere, and are counted.")
    sample: Share | None = Field(None, description="Only so many of them, as 10 (one in ten) or 10%; the others are dropped, and counted.")
    set: Fields = Field(
        {}, description="Field of the record: the value that it gets; `facility` and `severity` are those of a syslog output."
    )

    @model_validator(mode="after")
    def _one_of_them(self) -> Route:
        if self.drop and (other := next((name for name in ("to", "set", "sample") if getattr(self, name)), "")):
            raise PydanticCustomError("route", "has both '{other}' and 'drop'", {"other": other})
        if not (self.drop or self.to or self.set or self.sample):
            raise PydanticCustomError("route", "says neither 'to', 'set' or 'sample' nor 'drop: yes'")
        return self


def _priority(value: object) -> object:
    """`mail.info`, `22`."""
    if isinstance(value, str) and priority_of(value) is None:
        raise PydanticCustomError("priority", "must be a syslog priority as mail.info, or its number as 22")
    return value


class MailServerFiles(Part):
    """The mail server's own settings: where they stand, and those by hand, which win. Paths begin where this file stands."""

    tailor: str = Field("", description="imta_tailor: names the option file, imta.cnf and dispatcher.cnf; those named below win over it.")
    option_file: str = Field("", description="option.dat: options of the MTA, as LOG_MESSAGES_SYSLOG.")
    channels: str = Field("", description="imta.cnf: which channels have the keyword logging.")
    dispatcher: str = Field("", description="dispatcher.cnf: what the dispatcher writes into its log.")
    configutil: str = Field("", description="A dump by configutil, or by msconfig show: the options of the service logs.")
    mta_priority: Annotated[str, BeforeValidator(_priority)] = Field(
        "mail.info", description="What LOG_MESSAGES_SYSLOG=1 is sent to syslog as."
    )
    settings: Written = Field({}, description="Settings by hand, in any spelling; they win over the files.")


class Settings(Part):
    """The configuration without its inputs and outputs."""

    state: str = Field("/var/lib/shipper", min_length=1, description="Directory of positions, spools and dead letters; one service each.")
    timezone: TimeZone | None = Field(None, description="Zone of stamps that name none, as Europe/Berlin; else this machine's.")
    host: str = Field("", description="Host of records that name none.")
    raw: Literal["always", "errors", "never"] = Field("errors", description="When a record keeps the line that it was read from.")
    grace: Duration = Field(10.0, description="How long what was read may take to be delivered when the service is stopped.")
    user: str = Field("", description="The user to become after the ports are bound, when started as root.")
    group: str = Field("", description="The group to become; else that of the user.")
    telemetry: Telemetry = Field(Telemetry(), description="What the service shows of itself.")
    log: OwnLog = Field(OwnLog(), description="What the service says of itself.")
    mailserver: MailServerFiles = Field(MailServerFiles(), description="The mail server's own settings, which say what goes to syslog.")
    routes: list[Route] = Field(
        [], description="Which records go where; one that no route fits goes where the mail server's settings send it."
    )


@dataclass(frozen=True)
class Config:
    """A whole configuration that was understood. `rules`: its routes; `places`: `inputs.NAME` and `outputs.NAME` -> where that section begins;
    `server`: the mail server's own settings, in its files or ours."""

    settings: Settings
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]
    rules: tuple[Rule, ...] = ()
    places: Mapping[str, Place] = field(default_factory=dict)
    server: MailServer = field(default_factory=MailServer)

    def fields_of(self, section: Any) -> tuple[str, ...] | None:
        """The optional fields of MTA text that an input reads: those that it names, else those that the server's option file says."""
        named = getattr(section, "fields", None)
        return self.server.fields if named is None else tuple(named)

    def unread(self) -> list[str]:
        """The mail server's files that are named and were not read, as this is not their machine: what they set is not known."""
        named = self.settings.mailserver
        paths = [Path(path) for path in (named.tailor, named.option_file, named.channels, named.dispatcher, named.configutil) if path]
        read = [Path(file).parts for file in self.server.files]
        return [str(path) for path in paths if not any(parts[-len(path.parts) :] == path.parts for parts in read)]

    def router(self) -> Router:
        """Which records go to which of its outputs."""
        takers = [Taker(name, section.role, section.takes) for name, section in self.outputs.items()]
        return Router(self.rules, takers, self.server)


@dataclass(frozen=True)
class Kinds:
    """The types of inputs, or of outputs: name -> module of `shipper.inputs` that has the `Section`, or the section itself."""

    what: str
    modules: Mapping[str, str | type[BaseModel]]

    def section(self, kind: str) -> type[BaseModel]:
        """The section of a type. Raises ImportError where something that it needs is not installed."""
        found = self.modules[kind]
        if not isinstance(found, str):
            return found
        section: type[BaseModel] = import_module(f"shipper.{self.what}s.{found}").Section
        return section


def known_inputs() -> Kinds:
    """The inputs of the registry."""
    return Kinds("input", INPUTS)


def known_outputs() -> Kinds:
    """The outputs of the registry."""
    return Kinds("output", OUTPUTS)
