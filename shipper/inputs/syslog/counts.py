"""What an input of syslog counts, from its start on. received = delivered + waiting; everything else that came is under its reason."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Counts:
    """`received`: messages taken; each is a record. Of these `parsed` have no error, `assumed_pri` had no PRI, `truncated` were longer than
    `max_message`, `unended` ended with their connection. `delivered`: settled by every output. `lost`: had come, and no output had room for them
    before the end, or came too late.

    No messages: `empty` ones, datagrams the kernel dropped (`kernel_drops`), those of senders that are not allowed (`denied`; connections too).
    `connections` were taken, `refused` over a limit, `failed` in their TLS handshake or by their certificate, `idle` closed for silence,
    `broken` for their framing; `accept_failures`: times that the system had no descriptor or memory for one.
    """

    received: int = 0
    parsed: int = 0
    assumed_pri: int = 0
    truncated: int = 0
    unended: int = 0
    delivered: int = 0
    lost: int = 0
    empty: int = 0
    kernel_drops: int = 0
    denied: int = 0
    connections: int = 0
    refused: int = 0
    failed: int = 0
    idle: int = 0
    broken: int = 0
    accept_failures: int = 0
