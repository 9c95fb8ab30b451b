"""Words of the MTA's configuration: channel keywords, the channels that every server has, mapping tables, and what the dispatcher counts with.

Sources: seed, "Enabling MTA Logging", "Enabling Dispatcher Debugging" and its examples; the configuration reference for the meanings.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from shipper.knowledge.base import CERTAIN, POSSIBLE, Meaning, Subject

KEYWORDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "logging": (
        "this channel's messages are logged",
        ("On the channel `defaults` it holds for all channels. Nothing is logged without it.",),
    ),
    "nologging": ("this channel's messages are not logged", ("The initial configuration logs on no channel.",)),
    "logheader": (
        "header lines of this channel's messages are logged",
        ("1: when a message is dequeued; 3: also when it is enqueued. It overrides LOG_HEADER for the channel.",),
    ),
    "master_debug": (
        "the channel's sending program writes a detailed log",
        ("To a file such as tcp_local_master.log-UNIQ; for finding a fault, not for every day.",),
    ),
    "nomaster_debug": ("the channel's sending program writes no detailed log", ()),
    "slave_debug": (
        "the channel's receiving program writes a detailed log",
        ("To a file such as tcp_local_slave.log-UNIQ; for an SMTP server tcp_smtp_server.log-UNIQ.",),
    ),
    "noslave_debug": ("the channel's receiving program writes no detailed log", ()),
    "single": ("a message file of its own for each recipient", ()),
    "single_sys": ("a message file of its own for each destination host", ("Recipients at the same host share it.",)),
    "notices": (
        "after how many days warnings are sent, and the message is returned",
        ("`notices 1 2 4 7`: a warning (W record) after 1, 2 and 4 days, and after 7 days the message goes back to its sender.",),
    ),
    "copywarnpost": ("the postmaster gets copies of warnings, unless they are about a message without a sender", ()),
    "copysendpost": ("the postmaster gets copies of failure notices, unless they are about a message without a sender", ()),
    "postheadonly": ("the postmaster gets only the header of a message, not its text", ()),
    "noswitchchannel": ("the server stays with this channel, wherever the client connects from", ()),
    "immnonurgent": ("delivery of urgent, normal and nonurgent messages starts at once", ()),
    "maxjobs": ("how many processes may serve the channel at the same time", ()),
    "defaulthost": ("the domain that completes addresses without one", ()),
    "defragment": ("messages that come in pieces (message/partial) are put together", ()),
    "charset7": ("the character set of text that names none and has only 7-bit characters", ()),
    "charset8": ("the character set of text that names none and has 8-bit characters", ()),
    "defaults": ("the block of imta.cnf whose keywords hold for all channels below it", ("`defaults logging` turns logging on for all.",)),
}
_IDENT = "what a record says of the client: {}"
IDENT: dict[str, str] = {
    "identnone": "its IP address and its name in the DNS; no IDENT query. The default",
    "identnonelimited": "like identnone; a channel switch goes by the IP address only",
    "identnonenumeric": "its IP address only; no query at all",
    "identnonesymbolic": "its name in the DNS only; no IDENT query",
    "identtcp": "its IP address, its name in the DNS, and what an IDENT query (RFC 1413) says",
    "identtcplimited": "like identtcp; a channel switch goes by the IP address only",
    "identtcpnumeric": "its IP address and what an IDENT query says",
    "identtcpsymbolic": "its name in the DNS and what an IDENT query says",
}
CHANNELS: dict[str, tuple[str, str]] = {
    "tcp_local": ("SMTP with the world", ""),
    "tcp_intranet": ("SMTP with hosts of the site's own network", ""),
    "tcp_internal": ("SMTP with hosts of the site's own network", "The seed's name in example 21-7; installations call it tcp_intranet."),
    "tcp_submit": ("submission of messages by users, on port 587", ""),
    "tcp_auth": ("SMTP clients that authenticated", ""),
    "l": ("the local channel: delivery on this host", ""),
    "ims-ms": ("delivery into the message store", "Recipients look like user@ims-ms-daemon."),
    "process": ("handles notifications before they are queued to where they belong", "Bounces pass through it."),
    "reprocess": ("handles messages once more, for example of deferred list expansion", ""),
    "conversion": (
        "messages on their way through the conversion channel",
        "The CONVERSIONS mapping table decides which. Such a message has two E and two D records.",
    ),
    "defragment": ("puts messages together that come in pieces", ""),
    "bitbucket": ("throws messages away", ""),
    "hold": ("keeps the messages of users whose mail is on hold", ""),
    "filter_discard": ("keeps for a while what Sieve filters discarded", ""),
    "pipe": ("gives messages to programs", ""),
    "native": ("delivery to UNIX mailboxes", ""),
    "autoreply": ("vacation answers", ""),
}
MAPPINGS: dict[str, tuple[str, str]] = {
    "ORIG_SEND_ACCESS": (
        "who may send to whom, judged by the addresses as they were given",
        "A line of it that refuses (for example `Relaying not permitted`) makes J records. Its key: source channel|sender|channel|recipient.",
    ),
    "SEND_ACCESS": ("who may send to whom, judged by the addresses after rewriting", "A refusal makes J records."),
    "MAIL_ACCESS": ("the same with IP addresses and ports in the key", "A refusal makes J records."),
    "ORIG_MAIL_ACCESS": ("the same with IP addresses and ports in the key, before rewriting", "A refusal makes J records."),
    "FROM_ACCESS": ("which senders are accepted", "A refusal makes J records."),
    "PORT_ACCESS": (
        "which hosts may connect",
        "A refusal makes X records; the bit 0x1000000 of the dispatcher's debug mask writes it to dispatcher.log.",
    ),
    "CONVERSIONS": (
        "which messages go through the conversion channel",
        "A line such as `IN-CHAN=tcp_local;OUT-CHAN=l;CONVERT Yes` sends messages from the one to the other channel through it.",
    ),
}
DISPATCHER: dict[str, tuple[str, str]] = {
    "STACKSIZE": ("the stack of one thread of a dispatcher service, in bytes", "STACKSIZE × MAX_CONNS, added up over all services and "
                  "doubled, is the least heap that the system has to allow."),
    "MAX_CONNS": ("how many connections one process of a dispatcher service handles at the same time", "See STACKSIZE."),
}  # fmt: skip


def meanings(word: str) -> list[Meaning]:
    name = word.strip().partition("=")[0]
    first = name.lower()
    found = []
    if first in KEYWORDS:
        title, notes = KEYWORDS[first]
        facts = (("stands in", "imta.cnf, in the line of a channel: CHANNEL keyword keyword …"),)
        found.append(Meaning("channel keyword", first, title, notes, facts=facts, rank=POSSIBLE if first in CHANNELS else CERTAIN))
    if first in IDENT:
        found.append(
            Meaning("channel keyword", first, _IDENT.format(IDENT[first]), ("It decides what stands in parentheses after the name of the client.",),
                    tuple(item for item in IDENT.items() if item[0] != first), see=("remote_dns", "LOG_CONNECTION"))
        )  # fmt: skip
    if first in CHANNELS:
        title, note = CHANNELS[first]
        found.append(Meaning("channel", first, title, (note,) if note else (), rank=CERTAIN if name == first else POSSIBLE))
    elif first.startswith("tcp_") and re.fullmatch(r"tcp_[a-z0-9_-]{1,28}", first) and "." not in first and "_server" not in first:
        found.append(Meaning("channel", first, "an SMTP channel of this site: all whose names begin with tcp_ are", rank=POSSIBLE))
    upper = name.upper()
    if upper in MAPPINGS:
        title, note = MAPPINGS[upper]
        found.append(Meaning("mapping table", upper, title, (note,), facts=(("stands in", "the mappings file"),)))
    if upper in DISPATCHER:
        title, note = DISPATCHER[upper]
        found.append(Meaning("dispatcher setting", upper, title, (note,), facts=(("stands in", "dispatcher.cnf"),)))
    return found


def words() -> Iterable[str]:
    return [*KEYWORDS, *IDENT, *CHANNELS, *MAPPINGS, *DISPATCHER]


SUBJECT = Subject("channels, channel keywords, mapping tables", ("logging", "tcp_local", "identnone", "PORT_ACCESS"), meanings, words)
