"""The common schema: one record for each line of log, whatever its format.

The fields *are* the native profile: msgspec encodes a record to native JSON as it stands. A field that the line does not have keeps its
default and is left out of the JSON; nothing is ever written as `null` or `""`. The tag `kind` says which type a record is.

Rules:
- A format fills in what stands in the line; the reader adds `id`, `source` and `raw`, the same way for every format.
- Numbers are numbers (`pid` is decimal, also where the MTA writes hex); addresses, names and ids are the text between their delimiters.
- `error` says what could not be read. An `Unparsed` record always has one; any other record may.
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec


class Source(msgspec.Struct, omit_defaults=True, gc=False):
    """Where a line was read: a file and the byte offset of its first octet, or the peer that sent it."""

    file: str = ""
    offset: int | None = None
    peer: str = ""


class Envelope(msgspec.Struct, omit_defaults=True, gc=False):
    """The syslog header that a record came behind (RFC 3164 or RFC 5424).

    `facility` and `severity` are keywords (`mail`, `info`); `timestamp` is as the sender wrote it, made ISO 8601 where it was not;
    `structured_data` is {SD-ID: {PARAM-NAME: value}}; a name that came twice has a list of its values.
    """

    facility: str = ""
    severity: str = ""
    version: int | None = None
    timestamp: str = ""
    hostname: str = ""
    app_name: str = ""
    proc_id: str = ""
    msg_id: str = ""
    structured_data: dict[str, Any] | None = None
    peer: str = ""


class Record(msgspec.Struct, omit_defaults=True, gc=False, tag_field="kind"):
    """What every kind of record has.

    `time`: ISO 8601 with a UTC offset and the fraction as written, `""` where the line has none; `time_zone_source`: `record`, `config` or
    `system`; `severity`: syslog keyword; `id`: 32 hex digits, see `identity`.
    """

    kind: ClassVar[str]

    time: str = ""
    time_zone_source: str = ""
    event: str = ""
    severity: str = ""
    id: str = ""
    source: Source | None = None
    host: str = ""
    process: str = ""
    pid: int | None = None
    thread: int | None = None
    sequence: int | None = None

    syslog: Envelope | None = None
    error: str = ""
    raw: str = ""
    extra: dict[str, Any] | None = None


class _Wire(Record):
    """What message and connection records share: the channel, the code, and the two ends of a connection."""

    code: str = ""
    action: str = ""
    modifiers: str = ""
    source_channel: str = ""
    direction: str = ""
    diagnostic: str = ""
    smtp_code: int | None = None
    enhanced_status: str = ""
    username: str = ""
    authenticated: bool = False
    transport: str = ""
    local_ip: str = ""
    local_port: int | None = None
    remote_ip: str = ""
    remote_port: int | None = None
    remote_name: str = ""
    remote_dns: str = ""
    application: str = ""
    initial_host: str = ""
    dns_host: str = ""
    tls_cipher: str = ""
    tag: str = ""
    reason: str = ""


class Mta(_Wire, tag="mta"):
    """An MTA transaction record (codes E D J K Q R V W Z B)."""

    kind = "mta"

    destination_channel: str = ""
    size_blocks: int | None = None
    sender: str = ""
    null_sender: bool = False
    original_recipient: str = ""
    original_recipient_type: str = ""
    recipient: str = ""
    notary_flags: int | None = None
    queue_file: str = ""
    queue_id: str = ""
    attempt: int | None = None
    envelope_id: str = ""
    message_id: str = ""
    related_message_id: str = ""
    intermediate_address: str = ""
    initial_address: str = ""
    filter: str = ""
    priority: str = ""
    sensitivity: str = ""
    queue_seconds: int | float | None = None
    remote_mta: str = ""
    banner: str = ""
    bad_command: str = ""


class Connection(_Wire, tag="connection"):
    """An MTA connection record (codes O C X Y I U)."""

    kind = "connection"


class Header(Record, tag="header"):
    """A header line of a message, as LOG_HEADER writes it between the transaction records."""

    kind = "header"

    header_name: str = ""
    header_value: str = ""


class Service(Record, tag="service"):
    """An event of imap, pop, http, admin, default, imta, MMP."""

    kind = "service"

    service: str = ""
    category: str = ""
    level: str = ""
    message: str = ""
    client_ip: str = ""
    client_port: int | None = None
    user: str = ""
    auth_method: str = ""
    reason: str = ""
    account_state: str = ""
    session_start: str = ""
    session_seconds: int | None = None
    bytes_from_client: int | None = None
    bytes_to_client: int | None = None
    mailboxes: int | None = None
    folder: str = ""
    size_bytes: int | None = None
    message_id: str = ""
    attributes: dict[str, str] | None = None


class Store(Service, tag="store"):
    """A message store operation (append, fetch, expunge …), from the message trace or the store transaction log."""

    kind = "store"


class Debug(Record, tag="debug"):
    """A line of a dispatcher, job_controller or channel debug log. `service` is the log's component where it is known."""

    kind = "debug"

    service: str = ""
    category: str = ""
    level: str = ""
    message: str = ""


class Syslog(Record, tag="syslog"):
    """A syslog message whose body is none of the mail server's formats."""

    kind = "syslog"

    message: str = ""


class Text(Record, tag="text"):
    """A line of no known format."""

    kind = "text"

    message: str = ""


class Unparsed(Record, tag="unparsed"):
    """A line that begins as a known format does, and cannot be read as one. `error` says where reading stopped."""

    kind = "unparsed"


AnyRecord = Mta | Connection | Header | Service | Store | Debug | Syslog | Text | Unparsed
KINDS: tuple[type[Record], ...] = (Mta, Connection, Header, Service, Store, Debug, Syslog, Text, Unparsed)
