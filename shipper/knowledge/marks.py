"""Marks inside a line: what stands for a direction, an empty address or an address type, and the two-letter names of LOG_FORMAT 4 to 6."""

from __future__ import annotations

from collections.abc import Iterable

from shipper.knowledge.base import CERTAIN, LIKELY, Meaning, Subject

MARKS: dict[str, tuple[str, str]] = {
    "+": ("instead of a destination channel: a client connected to us", "direction: in"),
    "-": ("instead of a destination channel: we connected to a server", "direction: out"),
    "<>": ("an empty envelope sender, as LOG_FORMAT=2 writes it; in LOG_FORMAT=1 it is nothing between two blanks", "null_sender: true"),
    "rfc822;": ("an Internet mail address follows: the recipient as it was first given. Alone: it was not known", "original_recipient_type: rfc822"),
    "dns;": ("the name in the DNS of the host that took the message follows", "remote_dns"),
    "smtp;": ("the answer of the remote SMTP server follows", "diagnostic, smtp_code, enhanced_status"),
    "*": ("before a user name: the user authenticated (SMTP AUTH)", "authenticated: true"),
    "[unauthenticated]": ("instead of a user name in a close event: nobody had logged in", "event: service.close, without user"),
    "tcp|": ("IP and port of our end, IP and port of the other end follow", "transport, local_ip …"),
    "ims-ms-daemon": ("the host in addresses of users of the message store", "recipient"),
    "notify=never": ("asked for by the sender (RFC 3461): no report whatever happens. A rejection is then a K record", "code: K"),
}  # fmt: skip
ELEMENTS = {
    "en": "a message record (enqueue, dequeue and the rest)",
    "co": "a connection record",
    "he": "a header line",
}
ATTRIBUTES: dict[str, tuple[str, str]] = {
    "ts": ("time, without a zone", "time"),
    "no": ("node (LOG_NODE)", "host"),
    "pi": ("process id, hexadecimal (LOG_PROCESS)", "pid, thread, sequence"),
    "sc": ("source channel", "source_channel"),
    "dc": ("destination channel", "destination_channel"),
    "ac": ("entry code", "code"),
    "sz": ("size in blocks", "size_blocks"),
    "so": ("envelope sender", "sender"),
    "od": ("original recipient", "original_recipient"),
    "de": ("recipient", "recipient"),
    "rf": ("NOTARY flags (LOG_NOTARY)", "notary_flags"),
    "fi": ("queue file (LOG_FILENAME)", "queue_file, queue_id, attempt"),
    "ei": ("envelope id (LOG_ENVELOPE_ID)", "envelope_id"),
    "mi": ("message id (LOG_MESSAGE_ID); in a connection record free text", "message_id; tag"),
    "us": ("user name (LOG_USERNAME)", "username"),
    "ss": ("source system (LOG_CONNECTION, bit 0)", "remote_name, remote_dns, remote_ip"),
    "se": ("sensitivity (LOG_SENSITIVITY)", "sensitivity"),
    "pr": ("priority (LOG_PRIORITY)", "priority"),
    "in": ("intermediate address (LOG_INTERMEDIATE)", "intermediate_address"),
    "ia": ("initial address (LOG_INTERMEDIATE)", "initial_address"),
    "fl": ("filter (LOG_FILTER)", "filter"),
    "re": ("reason (LOG_REASON)", "reason"),
    "di": ("diagnostic (LOG_DIAGNOSTICS)", "diagnostic, smtp_code, enhanced_status"),
    "tr": ("transport (LOG_CONNECTION, bit 5)", "transport, local_ip, local_port, remote_ip, remote_port"),
    "ap": ("application (LOG_CONNECTION, bit 6)", "application, initial_host, dns_host, tls_cipher"),
    "qt": ("time in the queue (LOG_QUEUE_TIME)", "queue_seconds"),
    "rm": ("remote MTA (LOG_REMOTE_MTA)", "remote_mta"),
    "dr": ("direction of a connection: + or -", "direction"),
    "va": ("the header line of a he element", "header_name, header_value"),
    "sn": ("store transaction log: the service, imap or pop", "service"),
}


def meanings(word: str) -> list[Meaning]:
    name = word.strip().lower()
    if name in MARKS:
        title, field = MARKS[name]
        return [Meaning("mark in a log line", name, title, facts=(("native", field),))]
    rank = CERTAIN if word == name else LIKELY
    name = name.strip("<>/")
    if name in ELEMENTS:
        return [Meaning("XML element of LOG_FORMAT=4", name, ELEMENTS[name], see=("LOG_FORMAT",), rank=rank)]
    if name in ATTRIBUTES:
        title, field = ATTRIBUTES[name]
        return [Meaning("attribute of LOG_FORMAT 4 to 6", name, title, facts=(("native", field),), see=("LOG_FORMAT",), rank=rank)]
    return []


def words() -> Iterable[str]:
    return [*MARKS, *ELEMENTS, *ATTRIBUTES]


SUBJECT = Subject("marks in a line, XML and JSON names", ("rfc822;", "+", "qt"), meanings, words)
