"""The ECS profile: records as Elastic Common Schema 9.4 documents; what ECS has no name for stands below `sunmsg`.

Which field goes where is in `fields` and, made from it, in docs/schema.md. The rules behind it:

- `email.from`, `.to` and `.sender` are envelope addresses. The null sender is left out, and `sunmsg.mta.null_sender` is true.
- The event decides `event.category`, `.type`, `.action` and `.outcome`; a type stands only beside a category that ECS expects it with.
- `source` is who called and `destination` who was called; `client` and `server` are their copies. Message records that do not say so
  themselves have a direction by their action: what is enqueued came in, what is dequeued goes out.
- Only an IP address goes into a field of type `ip`, only a date into one of type `date`, and no sum is larger than a `long`: Elasticsearch
  refuses a whole document for one wrong value. So a time with a leap second, or with seconds in its offset, is written in UTC.
- A record without a time has the time of reading as `@timestamp`, and the tag `time_unknown`.
- `message` is always there: the record's own, or a short summary.

This is the hot path of the default output. A document is built of structs, which msgspec encodes: it leaves out what
has its default, so that most absent fields cost nothing, and it does the escaping. Putting the same text together with f-strings took up to
40 % longer, dicts take longer still. `tests/profiles/test_ecs.py` holds it to a plain renderer that follows the table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypeVar

import msgspec

from shipper import events
from shipper.profiles.base import INBOUND, PROTOCOLS, Profile, encode, event_of, ip_version, json_lines, summary
from shipper.record import Connection, Debug, Envelope, Header, Mta, Record, Service, Store, Syslog, Text, Unparsed
from shipper.stamps import epoch_ns

VERSION = "9.4.0"

DATASETS: dict[type[Record], str] = {
    Mta: "sunmsg.mta",
    Connection: "sunmsg.mta",
    Header: "sunmsg.mta",
    Service: "sunmsg.service",
    Store: "sunmsg.store",
    Debug: "sunmsg.debug",
    Syslog: "sunmsg.other",
    Text: "sunmsg.other",
    Unparsed: "sunmsg.other",
}
"""`event.dataset` of each type of record, and so the data stream it goes to."""

_LONG = 2**63 - 1

SEVERITY_CODES = {keyword: code for code, keyword in enumerate(events.SEVERITIES)}
FACILITY_CODES = {keyword: code for code, keyword in enumerate(events.FACILITIES)}


class _Part(msgspec.Struct, omit_defaults=True, gc=False):
    """A part of a document: members in the order they are written; one with its default is left out."""


Part = _Part | msgspec.Raw | dict[str, Any] | None
"""`Raw` where it is the same for many documents, `dict` where it has one member or is rare."""


class _Document(_Part, kw_only=True, rename={"timestamp": "@timestamp"}):
    timestamp: str
    message: str
    event: _Event
    email: _Email | None = None
    user: Part = None
    source: _End | None = None
    destination: _End | None = None
    client: _End | None = None
    server: _End | None = None
    network: _Network | None = None
    tls: Part = None
    file: Part = None
    related: _Related | None = None
    error: dict[str, Any] | None = None
    tags: list[str] | None = None
    log: _Log | None = None
    host: Part = None
    process: Part = None
    service: Part = None
    observer: Part = None
    ecs: Part = None
    sunmsg: _Sunmsg


class _Event(_Part):
    kind: str = ""
    module: str = ""
    dataset: str = ""
    category: tuple[str, ...] = ()
    type: tuple[str, ...] = ()
    action: str = ""
    outcome: str = ""
    severity: int | None = None
    created: str = ""
    id: str = ""
    timezone: str = ""
    original: str = ""
    code: str = ""
    reason: str = ""
    start: str = ""
    duration: int | None = None


class _Email(_Part, rename={"from_": "from"}):
    from_: _Addresses | None = None
    sender: _Address | None = None
    to: _Addresses | None = None
    local_id: str = ""
    message_id: str = ""


class _Addresses(_Part):
    address: list[str]


class _Address(_Part):
    address: str


class _End(_Part):
    """One end of a connection. `ip` where `address` is one."""

    ip: str = ""
    address: str = ""
    port: int | None = None
    domain: str = ""
    bytes: int | None = None


class _Network(_Part):
    type: str = ""
    transport: str = ""
    protocol: str = ""
    direction: str = ""
    bytes: int | None = None


class _Related(_Part):
    user: list[str] | None = None
    hosts: list[str] | None = None
    ip: list[str] | None = None


class _Log(_Part):
    level: str = ""
    logger: str = ""
    file: Part = None
    offset: int | None = None
    source: Part = None
    syslog: Part = None


class _Syslog(_Part):
    """`log.syslog`."""

    priority: int | None = None
    facility: Part = None
    severity: Part = None
    version: str = ""
    hostname: str = ""
    appname: str = ""
    procid: str = ""
    msgid: str = ""
    structured_data: dict[str, Any] | None = None


_NO_HEADER = _Syslog()


class _Keyword(_Part):
    name: str = ""
    code: int | None = None


class _Sunmsg(_Part):
    kind: str = ""
    event: str = ""
    time: Part = None
    mta: _MtaPart | None = None
    smtp: _Smtp | None = None
    app: str = ""
    auth: Part = None
    session: Part = None
    store: Part = None
    service: Part = None
    syslog: Part = None
    extra: dict[str, Any] | None = None


class _MtaPart(_Part):
    """`sunmsg.mta`."""

    channel: Part = None
    entry: Part = None
    process: Part = None
    size: Part = None
    null_sender: bool = False
    recipient: Part = None
    attempt: int | None = None
    diagnostic_type: str = ""
    reason: str = ""
    tag: str = ""
    initial_host: str = ""
    dns_host: str = ""
    notary_flags: int | None = None
    envelope_id: str = ""
    related_message_id: str = ""
    intermediate_address: str = ""
    initial_address: str = ""
    filter: str = ""
    priority: str = ""
    sensitivity: str = ""
    queue_seconds: int | float | None = None
    remote_mta: str = ""
    header: Part = None


class _Process(_Part):
    """`process`."""

    name: str = ""
    pid: int | None = None
    thread: _Thread | None = None


class _Thread(_Part):
    id: int


class _Blocks(_Part):
    blocks: int


class _Counter(_Part):
    counter: int


class _Code(_Part):
    code: int


class _Path(_Part):
    path: str


class _Recipient(_Part):
    original: str = ""
    type: str = ""


class _Smtp(_Part):
    response: Part = None
    enhanced_code: str = ""
    banner: str = ""
    helo: str = ""
    bad_command: str = ""


_NO_MTA = _MtaPart()


class _Auth(_Part):
    method: str = ""
    account_state: str = ""
    authenticated: bool = False


class _Session(_Part):
    start: str = ""
    seconds: int | None = None
    mailboxes: int | None = None


class _Store(_Part):
    folder: str = ""
    size: int | None = None


class _Constant(msgspec.Struct, gc=False):
    """What the kind, event and severity of a record decide in its document; `failed`: the outcome is failure."""

    event: events.Event
    dataset: str
    category: tuple[str, ...]
    types: tuple[str, ...]
    action: str
    outcome: str
    severity: int | None
    failed: bool


_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class _Memo(dict[_Key, _Value]):
    """Makes what is asked for the first time. A dict, as a look-up in one is ten times as fast as a call."""

    def __init__(self, make: Callable[[_Key], _Value]) -> None:
        self.make = make

    def __missing__(self, key: _Key) -> _Value:
        value = self[key] = self.make(key)
        return value


class _Batch:
    """What the documents of one batch share."""

    __slots__ = (
        "channels",
        "constants",
        "ecs",
        "entries",
        "files",
        "hosts",
        "mta",
        "networks",
        "observed",
        "observer",
        "processes",
        "services",
        "zones",
    )

    def __init__(self, observed: int) -> None:
        self.observed = _utc(observed)
        self.ecs = _raw(version=VERSION)
        self.observer = _raw(vendor="Sun", product="Messaging Server")
        self.mta = _raw(name="mta", type="mta")
        self.channels = _Memo(_channel)
        self.constants = _Memo(_constant)
        self.entries = _Memo(_entry)
        self.files = _Memo(_file)
        self.hosts = _Memo(_host)
        self.networks = _Memo(_network)
        self.processes = _Memo(_process)
        self.services = _Memo(_service_name)
        self.zones = _Memo(_zone)


def render(records: Sequence[Record], observed: int) -> bytes:
    """One ECS document a line. `observed`: when the records were read, in nanoseconds since 1970 UTC; it is their `event.created`."""
    batch = _Batch(observed)
    return json_lines(records, _DOCUMENTS, batch)


PROFILE = Profile("ecs", f"Elastic Common Schema {VERSION} documents, with fields of our own below sunmsg", render)


class Fixed(NamedTuple):
    """What the code decides in the document of a straight record, for the compiled twin: its `event` up to the id, as JSON, what was done, and
    whether that failed."""

    event: str
    action: str
    failed: bool


def fixed(kind: type[Record], name: str, severity: str, user: bool, observed: int) -> Fixed:
    """For a record of this kind, event and severity; `user`: whether it names one."""
    constant = _constant((kind, name, severity, user))
    begun = _Event(
        kind="event",
        module=events.NAMESPACE,
        dataset=constant.dataset,
        category=constant.category,
        type=constant.types,
        action=constant.action,
        outcome=constant.outcome,
        severity=constant.severity,
        created=_utc(observed),
    )
    return Fixed(f'"event":{encode(begun).decode()[:-1]}', constant.event.action, constant.failed)


def fixed_tail(mta: bool | None) -> str:
    """Of the same, the members after `process` and before `sunmsg`, as JSON; those that all MTA records, or all records of services, have; None:
    those of other programs."""
    batch = _Batch(0)
    members = {"service": batch.mta} if mta else {}
    if mta is not None:
        members["observer"] = batch.observer
    return encode({**members, "ecs": batch.ecs}).decode()[1:-1]


def created(observed: int) -> bytes:
    """The member of an event that says when it was read, as JSON."""
    return b'"created":"%b"' % _utc(observed).encode()


def is_date(text: str) -> bool:
    """Whether Elasticsearch takes this for a date: ISO 8601 with an offset of hours and minutes, and no leap second."""
    return text[-6:-5] in _SIGNS and text[17:19] != "60" and epoch_ns(text) is not None


_SIGNS = ("+", "-")


def _begun(record: Record, batch: _Batch, constant: _Constant, text: str, code: str, reason: str, sunmsg: _Sunmsg) -> _Document:
    """A document with what a record of any kind has. `code` and `reason` are the event's."""
    time, zone, source = record.time, record.time_zone_source, record.source
    timezone = ""
    tags = None
    if time[-6:-5] in _SIGNS and time[17:19] != "60":
        if zone and zone != "record":
            timezone = time[-6:]
    else:
        time = _instant(time)
        if not time:
            time, tags = batch.observed, ["time_unknown"]
    if zone:
        sunmsg.time = batch.zones[zone]
    if source is None:
        log = _Log(record.severity) if record.severity else None
    else:
        log = _Log(
            record.severity,
            "",
            batch.files[source.file] if source.file else None,
            source.offset,
            _Address(source.peer) if source.peer else None,
        )
    event = _Event(
        kind="event",
        module=events.NAMESPACE,
        dataset=constant.dataset,
        category=constant.category,
        type=constant.types,
        action=constant.action,
        outcome=constant.outcome,
        severity=constant.severity,
        created=batch.observed,
        id=record.id,
        timezone=timezone,
        original=record.raw,
        code=code,
        reason=reason,
    )
    document = _Document(
        timestamp=time,
        message=text,
        event=event,
        sunmsg=sunmsg,
        tags=tags,
        log=log,
        host=batch.hosts[record.host] if record.host else None,
        process=batch.processes[record.process, record.pid, record.thread],
        ecs=batch.ecs,
    )
    if record.syslog is not None:
        _add_envelope(record.syslog, document)
    if record.error:
        event.kind = "pipeline_error"
        document.error = {"message": record.error}
        document.tags = [*(tags or ()), "parse_error"]
    return document


def _add_envelope(syslog: Envelope, document: _Document) -> None:
    facility, severity = FACILITY_CODES.get(syslog.facility), SEVERITY_CODES.get(syslog.severity)
    header = _Syslog(
        priority=facility * 8 + severity if facility is not None and severity is not None else None,
        facility=_Keyword(syslog.facility, facility) if syslog.facility else None,
        severity=_Keyword(syslog.severity, severity) if syslog.severity else None,
        version="" if syslog.version is None else str(syslog.version),
        hostname=syslog.hostname,
        appname=syslog.app_name,
        procid=syslog.proc_id,
        msgid=syslog.msg_id,
        structured_data=syslog.structured_data,
    )
    if header != _NO_HEADER or syslog.peer:
        log = document.log = document.log or _Log()
        log.syslog = header if header != _NO_HEADER else None
        log.source = log.source or (_Address(syslog.peer) if syslog.peer else None)
    document.sunmsg.syslog = _raw(timestamp=syslog.timestamp, peer=syslog.peer)


def _mta(record: Mta, batch: _Batch) -> _Document:
    sender, recipient, username, queue_id, message_id = record.sender, record.recipient, record.username, record.queue_id, record.message_id
    original, kind, blocks = record.original_recipient, record.original_recipient_type, record.size_blocks
    users = [sender] if sender else []
    if recipient and recipient != sender:
        users.append(recipient)
    if username and username not in users:
        users.append(username)
    mta = _MtaPart(
        channel=batch.channels[record.source_channel, record.destination_channel],
        size=_Blocks(blocks) if blocks is not None else None,
        null_sender=record.null_sender,
        recipient=_Recipient(original, kind) if original or kind else None,
        attempt=record.attempt,
        notary_flags=record.notary_flags,
        envelope_id=record.envelope_id,
        related_message_id=record.related_message_id,
        intermediate_address=record.intermediate_address,
        initial_address=record.initial_address,
        filter=record.filter,
        priority=record.priority,
        sensitivity=record.sensitivity,
        queue_seconds=record.queue_seconds,
        remote_mta=record.remote_mta,
    )
    smtp = _Smtp(banner=record.banner, bad_command=record.bad_command) if record.banner or record.bad_command else None
    document = _wire(record, batch, record.direction or ("in" if record.action in INBOUND else "out"), mta, smtp, users)
    if sender or recipient or queue_id or message_id:
        document.email = _Email(
            _Addresses([sender]) if sender else None,
            _Address(sender) if sender else None,
            _Addresses([recipient]) if recipient else None,
            queue_id,
            message_id,
        )
    if record.queue_file:
        document.file = _Path(record.queue_file)
    return document


def _connection(record: Connection, batch: _Batch) -> _Document:
    mta = _MtaPart(channel=batch.channels[record.source_channel, ""])
    return _wire(record, batch, record.direction, mta, None, [record.username] if record.username else [])


def _wire(record: Mta | Connection, batch: _Batch, direction: str, mta: _MtaPart, smtp: _Smtp | None, users: list[str]) -> _Document:
    """What message and connection records have in common."""
    constant = batch.constants[record.__class__, record.event, record.severity, True]
    diagnostic, reason, modifiers, enhanced, application = (
        record.diagnostic,
        record.reason,
        record.modifiers,
        record.enhanced_status,
        record.application,
    )
    mta.entry = batch.entries[record.action, modifiers]
    if diagnostic[:5] == "smtp;":
        mta.diagnostic_type = "smtp"
    elif diagnostic[:4] == "dns;":
        mta.diagnostic_type = "dns"
    if reason:
        mta.reason = reason
    if record.tag:
        mta.tag = record.tag
    if record.sequence is not None:
        mta.process = _Counter(record.sequence)
    if record.smtp_code is not None or enhanced or record.remote_name:
        smtp = smtp or _Smtp()
        smtp.response = _Code(record.smtp_code) if record.smtp_code is not None else None
        smtp.enhanced_code = enhanced
        smtp.helo = record.remote_name
    sunmsg = _Sunmsg(kind=record.kind, event=record.event, mta=mta, smtp=smtp, app=application, extra=record.extra)
    if record.authenticated:
        sunmsg.auth = _Auth(authenticated=True)

    document = _begun(record, batch, constant, summary(record, constant.event), record.code, diagnostic or reason, sunmsg)
    document.service = batch.mta
    document.observer = batch.observer
    if enhanced and constant.failed:
        document.error = {**(document.error or {}), "code": enhanced}
    if record.username:
        document.user = {"name": record.username}
    if record.tls_cipher:
        document.tls = {"cipher": record.tls_cipher, "established": True}
    elif "S" in modifiers:
        document.tls = {"established": True}
    hosts = [record.host] if record.host else None
    ips = None
    if (
        record.transport
        or record.remote_ip
        or application
        or record.remote_dns
        or record.local_ip
        or record.dns_host
        or record.initial_host
        or record.remote_port is not None
        or record.local_port is not None
        or record.__class__ is Connection
    ):
        hosts, ips = _add_ends(record, batch, direction, document, mta)
    if users or hosts or ips:
        document.related = _Related(users or None, hosts or None, ips or None)
    if mta.entry is None and mta == _NO_MTA:
        sunmsg.mta = None
    return document


def _add_ends(record: Mta | Connection, batch: _Batch, direction: str, document: _Document, mta: _MtaPart) -> tuple[list[str], list[str]]:
    """The two ends of the connection and the network between them. Returns the hosts and the addresses that the record names."""
    host, remote_ip, local_ip, remote_port, local_port = (
        record.host,
        record.remote_ip,
        record.local_ip,
        record.remote_port,
        record.local_port,
    )
    domain, dns_host, version = record.remote_dns, record.dns_host, ""
    hosts = [host] if host else []
    ips: list[str] = []
    remote = local = None
    if domain and domain != host:
        hosts.append(domain)
    if dns_host:
        mta.dns_host = dns_host
        domain = domain or dns_host
        if dns_host not in hosts:
            hosts.append(dns_host)
    if record.initial_host:
        mta.initial_host = record.initial_host
    if remote_ip:
        version = batch.networks[remote_ip]
        if version:
            remote = _End(remote_ip, "", remote_port, domain)
            ips.append(remote_ip)
        else:
            remote = _End("", remote_ip, remote_port, domain)
    elif domain or remote_port is not None:
        remote = _End("", "", remote_port, domain)
    if local_ip:
        local_version = batch.networks[local_ip]
        if local_version:
            version = version or local_version
            local = _End(local_ip, "", local_port)
            if local_ip != remote_ip:
                ips.append(local_ip)
        else:
            local = _End("", local_ip, local_port)
    elif local_port is not None:
        local = _End("", "", local_port)
    if direction == "out":
        document.source = document.client = local
        document.destination = document.server = remote
        direction = "outbound"
    else:
        document.source = document.client = remote
        document.destination = document.server = local
        direction = direction and "inbound"
    protocol = record.application.partition("/")[0].lower()
    if version or record.transport or protocol or direction:
        document.network = _Network(version, record.transport, protocol, direction)
    return hosts, ips


def _header(record: Header, batch: _Batch) -> _Document:
    constant = batch.constants[Header, record.event, record.severity, True]
    header = _raw(name=record.header_name, value=record.header_value)
    sunmsg = _sunmsg(record, _MtaPart(header=header) if header else None)
    document = _begun(record, batch, constant, summary(record, constant.event), "", "", sunmsg)
    document.service = batch.mta
    document.observer = batch.observer
    if record.host:
        document.related = _Related(None, [record.host])
    return document


def _service(record: Service, batch: _Batch) -> _Document:
    """A record of a service log or of the message store."""
    user, host, start, client_ip, port = record.user, record.host, record.session_start, record.client_ip, record.client_port
    received, sent = record.bytes_from_client, record.bytes_to_client
    constant = batch.constants[record.__class__, record.event, record.severity, user != ""]
    sunmsg = _sunmsg(record)
    document = _begun(record, batch, constant, record.message or summary(record, constant.event), "", record.reason, sunmsg)
    _add_service(record, batch, document)
    if record.reason and constant.failed:
        document.error = {"message": record.reason, **(document.error or {})}

    ips = None
    if client_ip or port is not None:
        version = batch.networks[client_ip]
        document.source = document.client = _End(client_ip, "", port) if version or not client_ip else _End("", client_ip, port)
        if version:
            ips = [client_ip]
        protocol = PROTOCOLS.get(record.service, "")
        if version or protocol:
            document.network = _Network(version, "", protocol)
    if received is not None:
        client = document.client or _End()
        document.source = _End(client.ip, client.address, port, "", received)
    if sent is not None:
        document.destination = _End("", "", None, "", sent)
        if received is not None and received + sent <= _LONG:
            network = document.network = document.network or _Network()
            network.bytes = received + sent
    if user:
        document.user = {"name": user}
    if record.message_id:
        document.email = _Email(message_id=record.message_id)
    if user or host or ips:
        document.related = _Related([user] if user else None, [host] if host else None, ips)

    seconds = record.session_seconds
    if seconds is not None and seconds * 1_000_000_000 <= _LONG:
        document.event.duration, seconds = seconds * 1_000_000_000, None
    dated = is_date(start)
    if dated:
        document.event.start = start
    if record.mailboxes is not None or seconds is not None or (start and not dated):
        sunmsg.session = _Session("" if dated else start, seconds, record.mailboxes)
    if record.auth_method or record.account_state:
        sunmsg.auth = _Auth(record.auth_method, record.account_state)
    if record.folder or record.size_bytes is not None:
        sunmsg.store = _Store(record.folder, record.size_bytes)
    if record.attributes is not None:
        sunmsg.service = {"attributes": record.attributes}
    return document


def _debug(record: Debug, batch: _Batch) -> _Document:
    constant = batch.constants[Debug, record.event, record.severity, True]
    document = _begun(record, batch, constant, record.message or summary(record, constant.event), "", "", _sunmsg(record))
    _add_service(record, batch, document)
    if record.host:
        document.related = _Related(None, [record.host])
    return document


def _add_service(record: Service | Debug, batch: _Batch, document: _Document) -> None:
    """What the service is called, and the category and level that only its logs have."""
    document.observer = batch.observer
    document.service = batch.services[record.process or record.service, record.service]
    if record.level or record.category:
        log = document.log = document.log or _Log()
        log.logger = record.category
        log.level = record.level or log.level


def _line(record: Syslog | Text | Unparsed, batch: _Batch) -> _Document:
    """A record of which nothing is known but its text; only an unparsed one is known to be of our product."""
    constant = batch.constants[record.__class__, record.event, record.severity, True]
    text = record.message if isinstance(record, Syslog | Text) else ""
    document = _begun(record, batch, constant, text or summary(record, constant.event), "", "", _sunmsg(record))
    document.service = batch.services[record.process, ""]
    if isinstance(record, Unparsed):
        document.observer = batch.observer
    if record.host:
        document.related = _Related(None, [record.host])
    return document


def _sunmsg(record: Record, mta: _MtaPart | None = None) -> _Sunmsg:
    """What of `sunmsg` every kind of record has."""
    if record.sequence is not None:
        mta = mta or _MtaPart()
        mta.process = _Counter(record.sequence)
    return _Sunmsg(kind=record.kind, event=record.event, mta=mta, extra=record.extra)


_DOCUMENTS: dict[type[Record], Callable[[Any, _Batch], _Document]] = {
    Mta: _mta,
    Connection: _connection,
    Header: _header,
    Service: _service,
    Store: _service,
    Debug: _debug,
    Syslog: _line,
    Text: _line,
    Unparsed: _line,
}


def _constant(key: tuple[type[Record], str, str, bool]) -> _Constant:
    kind, name, severity, user = key
    event = event_of(name, severity, user)
    types, code = event.types, SEVERITY_CODES.get(severity)
    if not types and issubclass(kind, Service | Debug) and code is not None and code <= SEVERITY_CODES["err"]:
        types = ("error",)
    return _Constant(event, DATASETS[kind], event.category, types, event.action, event.outcome, code, event.outcome == "failure")


def _entry(code: tuple[str, str]) -> msgspec.Raw | None:
    """`sunmsg.mta.entry` of an action and its modifiers."""
    return _raw(action=code[0], modifiers=code[1], sasl="A" in code[1])


def _channel(names: tuple[str, str]) -> msgspec.Raw | None:
    return _raw(source=names[0], destination=names[1])


def _process(process: tuple[str, int | None, int | None]) -> _Process | None:
    name, pid, thread = process
    if not name and pid is None and thread is None:
        return None
    return _Process(name, pid, None if thread is None else _Thread(thread))  # a third of them comes once, so it is not encoded ahead


def _service_name(names: tuple[str, str]) -> msgspec.Raw | None:
    """`service` of its name and type."""
    return _raw(name=names[0], type=names[1])


def _network(ip: str) -> str:
    """`network.type`; `""` for what is no IP address."""
    version = ip_version(ip)
    return f"ipv{version}" if version else ""


def _file(path: str) -> msgspec.Raw | None:
    return _raw(path=path)


def _host(name: str) -> msgspec.Raw | None:
    return _raw(name=name, hostname=name)


def _zone(source: str) -> msgspec.Raw | None:
    return _raw(zone_source=source)


def _raw(**members: object) -> msgspec.Raw | None:
    """An object of the members that say something, encoded; None when none does."""
    present = {name: value for name, value in members.items() if value is not None and value is not False and value != ""}
    return msgspec.Raw(encode(present)) if present else None


def _instant(time: str) -> str:
    """The same instant in UTC, for a time that Elasticsearch does not read; `""` where there is none."""
    nanoseconds = epoch_ns(time)
    return "" if nanoseconds is None else _utc(nanoseconds)


def _utc(nanoseconds: int) -> str:
    """Nanoseconds since 1970 -> `2026-11-22T12:59:00.123456Z`; `""` outside the years 1 to 9999."""
    try:
        return (datetime(1970, 1, 1) + timedelta(microseconds=nanoseconds // 1000)).isoformat(timespec="microseconds") + "Z"
    except OverflowError:
        return ""
