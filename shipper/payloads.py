"""Payloads by the compiled twin: what it is told of OTLP and of syslog, and lines that are kept for it to render for outputs of these kinds.

The Python of both is `profiles/otlp.py` and `profiles/rfc5424.py`; `native/src/otlp.rs` and `native/src/rfc5424.rs` follow it, and
`tests/native/` compares each octet. A line is rendered as often as there are outputs, with the id that its run gave it (`Twin.payloads`).

A `Stretch` are the lines that one run of the twin went through, a `Spell` the syslog messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, NamedTuple

from shipper import events
from shipper.compiled import ACTIONS, Hours, Packed, Payloads, Twin, service_cases
from shipper.profiles import otel, otlp
from shipper.profiles.base import INBOUND, event_of
from shipper.profiles.rfc5424 import ORIGIN, PARAMETERS, Style, element_id, head
from shipper.record import Connection, Envelope, Mta, Service, Source, Syslog
from shipper.stamps import MONTH_NAMES

_ATTRIBUTES = (
    "time_zone_source", "code", "action", "modifiers", "source_channel", "direction", "smtp_code", "enhanced_status", "authenticated",
    "transport", "local_ip", "local_port", "application", "tls_cipher", "destination_channel", "null_sender", "original_recipient_type",
    "notary_flags", "attempt", "filter", "priority", "sensitivity", "id", "pid", "thread", "sequence", "diagnostic", "username",
    "remote_ip", "remote_port", "remote_name", "initial_host", "dns_host", "tag", "reason", "size_blocks", "sender", "original_recipient",
    "recipient", "queue_file", "queue_id", "envelope_id", "message_id", "related_message_id", "intermediate_address", "initial_address",
    "queue_seconds", "remote_mta", "banner", "bad_command", "offset", "peer",
)  # fmt: skip
"""Fields of the MTA's records and of `Source`, in the order of `native/src/otlp.rs`. Those of services follow, those of a syslog header, and
attributes that are of several fields together, or the resource's."""
_OF_SERVICES = (
    "process", "service", "category", "auth_method", "account_state", "reason", "session_start", "session_seconds", "bytes_from_client",
    "bytes_to_client", "mailboxes", "folder", "size_bytes", "attributes",
)  # fmt: skip
_OF_HEADERS = ("facility", "severity", "version", "hostname", "app_name", "timestamp", "proc_id", "msg_id", "structured_data", "peer")
_TOGETHER = (
    "client.address", "client.port", "server.address", "server.port", "network.type", "network.protocol.name", "sunmsg.mta.entry.sasl",
    "tls.established", "sunmsg.mta.diagnostic_type", "error.type", "log.record.original", "service.name", "host.name",
)  # fmt: skip
_PARAMETERS = (
    "id", "code", "sender", "null_sender", "recipient", "source_channel", "destination_channel", "direction", "username", "authenticated",
    "remote_ip", "remote_port", "local_ip", "local_port", "message_id", "related_message_id", "smtp_code", "enhanced_status", "diagnostic", "reason",
    "account_state", "auth_method", "original_recipient", "original_recipient_type", "size_blocks", "size_bytes", "folder", "queue_file", "attempt",
    "envelope_id", "remote_name", "remote_dns", "remote_mta", "initial_host", "dns_host", "application", "tls_cipher", "transport", "tag",
    "bad_command", "notary_flags", "queue_seconds", "intermediate_address", "initial_address", "filter", "priority", "sensitivity", "banner",
    "service", "category", "level", "session_start", "session_seconds", "bytes_from_client", "bytes_to_client", "mailboxes", "thread", "sequence",
)  # fmt: skip
"""Fields, in the order of `native/src/rfc5424.rs`."""


class Writers:
    """The twin of one log, and what renders its lines for outputs, made when it is first asked for: in a style of syslog, or (None) of OTLP."""

    def __init__(self, module: Any, twin: Twin, *, zone_source: str, file: str, host: str) -> None:
        self.twin = twin
        self._module = module
        self._zone_source = zone_source
        self._file = file
        self._host = host
        self._made: dict[Style | None, Any] = {}

    def of(self, style: Style | None) -> Any:
        """The writer for `Twin.payloads`."""
        if style not in self._made:
            self._made[style] = (
                otlp_writer(self._module, zone_source=self._zone_source, file=self._file)
                if style is None
                else syslog_writer(self._module, zone_source=self._zone_source, host=self._host, style=style)
            )
        return self._made[style]


class Stretch(NamedTuple):
    """So many lines; `ahead`: OTLP payloads that are there (`Twin.ahead`); the rest is as for `Twin.payloads`."""

    lines: int
    writers: Writers
    data: bytes
    start: int
    offset: int
    hour: tuple[str, str, str] | None
    ids: bytes
    ahead: Any = None

    def rendered(
        self, writer: Any, observed: int, priorities: Sequence[int | None] | None, made: Sequence[tuple[int, bytes]]
    ) -> Payloads:  # fmt: skip
        """A payload of each line."""
        twin = self.writers.twin
        return twin.payloads(writer, self.data, self.start, self.offset, self.hour, self.ids, observed, priorities, made)


class Spell(NamedTuple):
    """The same of so many messages; the rest is as for `Twin.message_payloads`."""

    lines: int
    writers: Writers
    messages: Packed
    start: int
    hours: Hours
    limit: date
    ids: bytes
    ahead: Any = None

    def rendered(
        self, writer: Any, observed: int, priorities: Sequence[int | None] | None, made: Sequence[tuple[int, bytes]]
    ) -> Payloads:  # fmt: skip
        """A payload of each message."""
        twin = self.writers.twin
        return twin.message_payloads(writer, self.messages, self.start, self.hours, self.limit, self.ids, observed, priorities, made)


def payloads_of(
    part: Stretch | Spell,
    style: Style | None,
    observed: int,
    priorities: Sequence[int | None] | None,
    made: Sequence[tuple[int, bytes]],
) -> Payloads:
    """A payload of each line or message, in a style, or (None) OTLP: those that are there, else rendered now."""
    if style is None and part.ahead is not None and part.ahead.observed == observed:
        return Payloads(*part.ahead.filled(list(made)))
    return part.rendered(part.writers.of(style), observed, priorities, made)


def otlp_writer(module: Any, *, zone_source: str, file: str) -> Any:
    """The twin's renderer of OTLP payloads for one log. Raises UnicodeEncodeError for half a character in its name."""
    rows = [{**dict(otel.ROWS[Mta]), **dict(otel.ROWS[Source])}, dict(otel.ROWS[Service]), dict(otel.ROWS[Envelope])]
    return module.Writer.otlp(
        events=[
            (
                otlp.fixed_fields(event.name, event.severity),
                event.action,
                event_of(event.name, event.severity, True).outcome == "failure",
                letter in INBOUND,
            )
            for letter, event in ACTIONS
        ],
        cases=(
            [
                (otlp.fixed_fields(event, severity), event_of(event, severity, user).outcome == "failure")
                for _, event, severity, user in service_cases()
            ],
            [otlp.fixed_fields(events.SYSLOG.name, severity) for severity in events.SEVERITIES],
        ),
        resource=(otlp.fixed_resource("mta"), otlp.fixed_resource("")),
        file=otlp.fixed_file(file),
        names=[
            *(names[field] for names, fields in zip(rows, (_ATTRIBUTES, _OF_SERVICES, _OF_HEADERS), strict=True) for field in fields),
            *_TOGETHER,
        ],
        zone_source=zone_source,
    )


def syslog_writer(module: Any, *, zone_source: str, host: str, style: Style) -> Any:
    """The twin's renderer of syslog messages for one log. `host`: of its lines that name none."""
    names = {field: name for name, field in PARAMETERS}
    records = [Mta(event=event.name, severity=event.severity, host=host, time_zone_source=zone_source) for _, event in ACTIONS]
    heads = [head(record, style) for record in records]
    actions = [(event, event_of(event, severity, user).action) for _, event, severity, user in service_cases()]
    return module.Writer.syslog(
        events=[(each.priority, each.application, each.id, event.action) for each, (_, event) in zip(heads, ACTIONS, strict=True)],
        cases=(
            [(head(Service(event=event), style).id, f' act="{action}"' if action else "") for event, action in actions],
            head(Syslog(event=events.SYSLOG.name), style).id,
        ),
        names=[names[field] for field in _PARAMETERS],
        head=(heads[0].host, heads[0].quality, head(Service(time_zone_source="record"), style).quality, ORIGIN),
        priorities=[head(Service(severity=severity), style).priority for severity in events.SEVERITIES],
        elements=tuple(element_id(kind, style) for kind in (Mta, Connection, Service, Syslog)),
        most=style.most,
        form=(style.form != "rfc5424", style.local, style.form == "raw"),
        months=list(MONTH_NAMES),
    )
