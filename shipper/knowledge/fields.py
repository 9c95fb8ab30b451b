"""Fields of our records: what each is, and its names in ECS and OpenTelemetry; the kinds of records."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from shipper.knowledge.base import CERTAIN, LIKELY, Meaning, Subject
from shipper.record import KINDS


class _Field(NamedTuple):
    title: str
    ecs: str = ""
    otel: str = ""


FIELDS: dict[str, _Field] = {
    "time": _Field("when it happened: ISO 8601 with a UTC offset, the fraction as in the log", "@timestamp", "Timestamp"),
    "time_zone_source": _Field("where the offset of `time` is from: record, config or system", "event.timezone", "sunmsg.time.zone_source"),
    "kind": _Field("what kind of record it is", "event.dataset", "sunmsg.kind"),
    "event": _Field("what happened, as a name: mta.enqueue, service.login …", "event.action, event.dataset", "EventName"),
    "severity": _Field("syslog severity; of MTA records by our own table", "log.syslog.severity", "SeverityNumber"),
    "id": _Field("the same for the same line in every file and copy", "event.id", "log.record.uid"),
    "source": _Field("where it was read: file and offset, or peer", "log.file.path, log.offset", "log.file.path, sunmsg.log.offset"),
    "host": _Field("the host that wrote the line", "host.name, host.hostname", "host.name"),
    "process": _Field("the program that wrote the line: imapd, ims_master", "process.name", "process.executable.name"),
    "pid": _Field("process id, decimal; the MTA writes it in hexadecimal", "process.pid", "process.pid"),
    "thread": _Field("thread of the process, decimal", "process.thread.id", "thread.id"),
    "sequence": _Field("the count after pid and thread", "sunmsg.mta.process.counter", "sunmsg.mta.process.counter"),
    "syslog": _Field("the syslog header that the line came behind", "log.syslog.*", "syslog.*"),
    "error": _Field("what could not be read, and where", "error.message", "sunmsg.parse.error"),
    "raw": _Field("the line itself", "event.original", "log.record.original"),
    "extra": _Field("attributes of XML and JSON formats that are not known", "sunmsg.extra", "sunmsg.extra"),
    "code": _Field("the entry code as written, with its modifiers: EEQ", "event.code", "sunmsg.mta.entry.code"),
    "action": _Field("the first letter of the entry code: what happened", "event.action (in words)", "EventName (in words)"),
    "modifiers": _Field("the other letters of the entry code", "tls.established, sunmsg.mta.entry.sasl", "tls.established, sunmsg.mta.entry.sasl"),
    "source_channel": _Field("the channel that the message came from", "sunmsg.mta.channel.source", "sunmsg.mta.channel.source"),
    "destination_channel": _Field("the channel that the message goes to", "sunmsg.mta.channel.destination", "sunmsg.mta.channel.destination"),
    "size_blocks": _Field("size in blocks of BLOCK_SIZE bytes, rounded up", "sunmsg.mta.size.blocks", "sunmsg.mta.size.blocks"),
    "sender": _Field("envelope sender", "email.from.address, email.sender.address", "email.from.address"),
    "null_sender": _Field("true when the envelope sender is empty, as in bounces", "sunmsg.mta.null_sender", "sunmsg.mta.null_sender"),
    "original_recipient": _Field("envelope recipient as it was first given", "sunmsg.mta.recipient.original", "sunmsg.mta.recipient.original"),
    "original_recipient_type": _Field("its address type: rfc822", "sunmsg.mta.recipient.type", "sunmsg.mta.recipient.type"),
    "recipient": _Field("envelope recipient as it is now", "email.to.address", "email.to.address"),
    "notary_flags": _Field("which delivery reports were asked for, as bits", "sunmsg.mta.notary_flags", "sunmsg.mta.notary_flags"),
    "queue_file": _Field("the message's file in the queue", "file.path", "file.path"),
    "queue_id": _Field("its name without directory and retry prefix: the same at every attempt", "email.local_id", "email.local_id"),
    "attempt": _Field("which delivery attempt, from the prefix: ZZ 1, ZY 2", "sunmsg.mta.attempt", "sunmsg.mta.attempt"),
    "envelope_id": _Field("envelope id (ENVID)", "sunmsg.mta.envelope_id", "sunmsg.mta.envelope_id"),
    "message_id": _Field("message id, without angle brackets", "email.message_id", "email.message_id"),
    "related_message_id": _Field("the message that a notification is about", "sunmsg.mta.related_message_id", "sunmsg.mta.related_message_id"),
    "username": _Field("the user or account that enqueued the message", "user.name", "user.name"),
    "authenticated": _Field("true when that user authenticated (asterisk)", "sunmsg.mta.authenticated", "sunmsg.mta.authenticated"),
    "intermediate_address": _Field("the recipient between original and current form",
                                   "sunmsg.mta.recipient.intermediate", "sunmsg.mta.recipient.intermediate"),
    "initial_address": _Field("the recipient as it first reached the MTA", "sunmsg.mta.recipient.initial", "sunmsg.mta.recipient.initial"),
    "filter": _Field("Sieve filters that acted on the message", "sunmsg.mta.filter", "sunmsg.mta.filter"),
    "reason": _Field("why it was rejected; of a failed login, why it failed", "event.reason", "sunmsg.mta.reason, sunmsg.auth.reason"),
    "priority": _Field("the message's priority", "email.x_priority or sunmsg.mta.priority", "sunmsg.mta.priority"),
    "sensitivity": _Field("the message's sensitivity", "sunmsg.mta.sensitivity", "sunmsg.mta.sensitivity"),
    "queue_seconds": _Field("how long it was in the queue, in seconds", "sunmsg.mta.queue_seconds", "sunmsg.mta.queue_seconds"),
    "remote_mta": _Field("the MTA that was talked to", "sunmsg.mta.remote_mta", "sunmsg.mta.remote_mta"),
    "diagnostic": _Field("the delivery status, or why a connection ended", "event.reason", "sunmsg.mta.diagnostic"),
    "smtp_code": _Field("SMTP reply code in the diagnostic", "sunmsg.smtp.response.code", "sunmsg.smtp.response.code"),
    "enhanced_status": _Field("enhanced status code in the diagnostic",
                              "error.code, sunmsg.smtp.enhanced_code", "error.type, sunmsg.smtp.enhanced_code"),
    "banner": _Field("greeting of the remote SMTP server", "sunmsg.smtp.banner", "sunmsg.smtp.banner"),
    "bad_command": _Field("the command that was refused (B records)", "sunmsg.smtp.bad_command", "sunmsg.smtp.bad_command"),
    "direction": _Field("in: a client connected to us (+); out: we connected (-)", "network.direction", "sunmsg.connection.direction"),
    "transport": _Field("transport protocol", "network.transport", "network.transport"),
    "local_ip": _Field("our end's IP address", "source.ip if outbound, else destination.ip", "network.local.address"),
    "local_port": _Field("our end's port", "source.port if outbound, else destination.port", "network.local.port"),
    "remote_ip": _Field("the other end's IP address", "destination.ip if outbound, else source.ip", "network.peer.address"),
    "remote_port": _Field("the other end's port", "destination.port if outbound, else source.port", "network.peer.port"),
    "remote_name": _Field("what the other side called itself (HELO, EHLO)", "sunmsg.smtp.helo", "sunmsg.smtp.helo"),
    "remote_dns": _Field("the other side's name in the DNS", "source.domain or destination.domain", "client.address or server.address"),
    "application": _Field("the protocol spoken, with hosts and TLS as written", "network.protocol, sunmsg.app", "network.protocol.name, sunmsg.app"),
    "initial_host": _Field("the host that was asked for", "sunmsg.mta.initial_host", "sunmsg.mta.initial_host"),
    "dns_host": _Field("the host that the DNS (MX) gave for it", "destination.domain", "server.address"),
    "tls_cipher": _Field("TLS and its cipher", "tls.cipher", "sunmsg.tls.cipher"),
    "tag": _Field("what a connection record of LOG_FORMAT=4 says in mi", "sunmsg.mta.tag", "sunmsg.mta.tag"),
    "header_name": _Field("name of a logged header", "sunmsg.header.name", "sunmsg.header.name"),
    "header_value": _Field("value of a logged header", "sunmsg.header.value", "sunmsg.header.value"),
    "service": _Field("which service's log it is: imap, pop, http …", "service.name", "service.name"),
    "category": _Field("category of a service event: Account, Store …", "log.logger", "sunmsg.service.category"),
    "level": _Field("level of a service event, as written", "log.level", "SeverityText"),
    "message": _Field("the text after the level", "message", "Body"),
    "client_ip": _Field("the client's IP address", "source.ip, client.ip", "client.address"),
    "client_port": _Field("the client's port", "source.port, client.port", "client.port"),
    "user": _Field("the user of the session", "user.name", "user.name"),
    "auth_method": _Field("how the user logged in: plaintext, cram-md5", "sunmsg.auth.method", "sunmsg.auth.method"),
    "account_state": _Field("why an account is disabled: hold or inactive", "sunmsg.auth.account_state", "sunmsg.auth.account_state"),
    "session_start": _Field("when the session began", "event.start", "sunmsg.session.start"),
    "session_seconds": _Field("how long it lasted, in seconds", "event.duration (ns)", "sunmsg.session.duration"),
    "bytes_from_client": _Field("bytes that the client sent", "source.bytes", "sunmsg.session.bytes_received"),
    "bytes_to_client": _Field("bytes that the server sent", "destination.bytes", "sunmsg.session.bytes_sent"),
    "mailboxes": _Field("mailboxes selected in the session; 1 for POP", "sunmsg.session.mailboxes", "sunmsg.session.mailboxes"),
    "folder": _Field("the folder of a store operation", "sunmsg.store.folder", "sunmsg.store.folder"),
    "size_bytes": _Field("the size of a stored message", "sunmsg.store.size", "sunmsg.store.size"),
    "attributes": _Field("what a message of the form k=v|k=v says", "sunmsg.attributes.*", "sunmsg.attributes.*"),
}  # fmt: skip
_KINDS = {
    "mta": "a message record of the MTA: codes E D J K Q R V W Z B",
    "connection": "a connection record of the MTA: codes O C X Y I U",
    "header": "a header line that LOG_HEADER wrote",
    "service": "an event of imap, pop, http, admin, default, imta or the MMP",
    "store": "an operation of the message store: append, fetch, expunge",
    "debug": "a line of a dispatcher, job_controller or channel debug log",
    "syslog": "a syslog message of another program",
    "text": "a line of no known format",
    "unparsed": "a line that begins like a known format and could not be read",
}


def kinds_with(name: str) -> list[str]:
    """The kinds of records that have this field: `queue_id` -> [`mta`]."""
    return [kind.kind for kind in KINDS if name in kind.__struct_fields__]


def meanings(word: str) -> list[Meaning]:
    name = word.lower()
    found = []
    field = FIELDS.get(name)
    if field:
        kinds = kinds_with(name)
        every = len(kinds) == len(KINDS) or name == "kind"
        facts = [("ECS", field.ecs), ("OTel", field.otel), ("in records of kind", "all" if every else ", ".join(kinds))]
        rank = CERTAIN if name == word and "_" in name else LIKELY
        found.append(Meaning("field of a record", name, field.title, facts=tuple(facts), rank=rank))
    if name in _KINDS:
        shape = next(kind for kind in KINDS if kind.kind == name)
        own = [field.name for field in msgspec.structs.fields(shape)]
        found.append(Meaning("kind of record", name, _KINDS[name], facts=(("fields", ", ".join(own)),), rank=LIKELY))
    return found


def words() -> Iterable[str]:
    return [*FIELDS, *_KINDS]


SUBJECT = Subject("fields and kinds of our records", ("queue_id", "remote_dns", "mta"), meanings, words)
