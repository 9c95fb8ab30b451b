"""The pieces of an MTA record that its text, XML and JSON formats share, each taken apart into the record's fields.

Every function fills in the record it is given and never raises; a piece that has not the shape it should have is kept whole in the field
that it was meant for. Sources: seed, "Understanding the MTA Log Entry Format" and the numbered notes under its examples.
"""

from __future__ import annotations

from functools import lru_cache

from shipper import events
from shipper.record import Connection, Mta, Record

_HEX = frozenset("0123456789abcdefABCDEF")
ACCOUNTS = frozenset(("mailsrv", "inetmail", "inetuser", "mailuser", "mailadmin", "mta", "pmdf", "root", "system", "nobody", "daemon"))
"""Executing accounts that installations use: what tells a user name from the first word of a diagnostic."""
SENSITIVITIES = frozenset(("personal", "private", "company-confidential"))
PRIORITIES = frozenset(("nonurgent", "non-urgent", "normal", "urgent"))
WORDS = SENSITIVITIES | PRIORITIES
STATUS_TYPES = ("smtp;", "lmtp;")
"""What stands before the reply of the other side; LMTP's replies are SMTP's (RFC 2033)."""
FAILURES = ("fail", "bad password", "invalid", "denied", "reject", "no such user", "unknown", "disabled")
"""What texts of failed logins have in them."""
_IP = frozenset("0123456789abcdefABCDEF.:%")


@lru_cache(maxsize=1024)
def code_parts(code: str) -> tuple[str, str, events.Event]:
    """`EEA` -> (action `E`, modifiers `EA`, its event)."""
    return code[:1], code[1:], events.code_event(code)


def is_code(text: str) -> bool:
    """Whether this can stand where an entry code does: one to eight capital letters. Modifiers are an open set."""
    return len(text) < 9 and _is_code(text)


@lru_cache(maxsize=1024)
def _is_code(text: str) -> bool:
    return text.isalpha() and text.isupper() and text.isascii()


def is_process(text: str) -> bool:
    """`1e488.0`, `2e2d.2.1`: two or three hexadecimal numbers."""
    parts = text.split(".")
    return 2 <= len(parts) <= 3 and all(part and len(part) < 17 and _HEX.issuperset(part) for part in parts)


def process(record: Record, text: str) -> None:
    """`pid.thread.sequence` or `pid.sequence` in hexadecimal -> decimal `pid`, `thread`, `sequence`; anything else -> `process`."""
    numbers = process_numbers(text) if len(text) < 52 else None
    if numbers is None:
        record.process = text
    else:
        record.pid, record.thread, record.sequence = numbers


@lru_cache(maxsize=2048)
def process_numbers(text: str) -> tuple[int, int | None, int | None] | None:
    """`715d.1f.0` -> (pid, thread, sequence), None when it is no such thing. Threads come again and again, with small sequence numbers."""
    parts = text.split(".")
    if len(parts) > 3 or not all(part and len(part) < 17 and _HEX.issuperset(part) for part in parts):
        return None
    numbers = [int(part, 16) for part in parts]
    return numbers[0], numbers[1] if len(numbers) == 3 else None, numbers[-1] if len(numbers) > 1 else None


def queue_file(record: Mta, text: str) -> None:
    """`/imta/queue/l/ZZ01IWFY9ELGWM00094D.00` -> the file, its id without the prefix, and the attempt that ZZ, ZY, ZX … count."""
    record.queue_file = text
    name = text[text.rfind("/") + 1 :]
    if name[:1] == "Z" and "A" <= name[1:2] <= "Z" and len(name) > 2:
        record.attempt = 91 - ord(name[1])
        name = name[2:]
    record.queue_id = name


def message_id(record: Mta, text: str) -> None:
    """`<id>`, or `<new>,<original>` of a notification."""
    if text[:1] == "<" and text[-1:] == ">":
        new, comma, original = text[1:-1].partition(">,<")
        record.message_id = new
        if comma:
            record.related_message_id = original
    else:
        record.message_id = text


def username(record: Mta | Connection, text: str) -> None:
    """The executing account, or with an asterisk before it the user that SASL authenticated."""
    if text[:1] == "*":
        record.authenticated = True
        record.username = text[1:]
    else:
        record.username = text


def is_ip(text: str) -> bool:
    """Whether this is an address as the log writes it between brackets; empty where a copy lost it."""
    return _IP.issuperset(text.removeprefix("IPv6:"))


def source_system(record: Mta | Connection, text: str) -> None:
    """`helo-name (dns-name [ip])`, `helo-name ([ip])`, or only a name -> `remote_name`, `remote_dns`, `remote_ip`."""
    open_ = text.find("(")
    if open_ < 0 or text[-1:] != ")":
        record.remote_name = text.strip(" ")
        return
    record.remote_name = text[:open_].rstrip(" ")
    inner = text[open_ + 1 : -1].strip(" ")
    bracket = inner.rfind("[")
    if bracket < 0 or inner[-1:] != "]" or not is_ip(inner[bracket + 1 : -1]):
        record.remote_dns = inner.strip(" ")
        return
    record.remote_dns = inner[:bracket].rstrip(" ")
    record.remote_ip = inner[bracket + 1 : -1].removeprefix("IPv6:")


def transport(record: Mta | Connection, text: str) -> bool:
    """`TCP|local ip|local port|remote ip|remote port`, in parentheses or not. False, and nothing changed, when it is not that."""
    if text[:1] == "(" and text[-1:] == ")":
        text = text[1:-1]
    parts = text.split("|")
    if len(parts) != 5:
        return False
    name, local_ip, local_port, remote_ip, remote_port = parts
    if not (local_port.isdecimal() or not local_port) or not (remote_port.isdecimal() or not remote_port):
        return False
    if len(local_port) > 5 or len(remote_port) > 5 or not name.isalnum():
        return False
    record.transport = name.lower()
    record.local_ip = local_ip
    record.remote_ip = remote_ip
    if local_port:
        record.local_port = int(local_port)
    if remote_port:
        record.remote_port = int(remote_port)
    return True


def application(record: Mta | Connection, text: str) -> None:
    """`SMTP`, `SMTP/TLS-128-RC4`, `SMTP/initial-host/dns-host`, `SMTP/initial-host/dns-host/TLS-128-RC4`."""
    record.application = text
    if "/" not in text:
        return
    parts = text.split("/")[1:]
    if parts[-1].startswith("TLS"):
        record.tls_cipher = parts.pop()
    if parts:
        record.initial_host = parts[0]
        if len(parts) > 1:
            record.dns_host = parts[1]


def is_enhanced(text: str) -> bool:
    """`2.1.5`: an enhanced status code (RFC 3463)."""
    if text[:2] not in ("2.", "4.", "5."):
        return False
    subject, dot, detail = text[2:].partition(".")
    return bool(dot) and subject.isdecimal() and detail.isdecimal() and len(subject) < 4 and len(detail) < 4 and text.isascii()


def status(record: Mta | Connection, text: str) -> None:
    """`smtp;250 2.1.5 Ok` or `550 5.7.1 Relaying not permitted` -> `diagnostic`, with its code and enhanced status where it has them."""
    record.diagnostic = text
    reply = text[5:].lstrip(" ") if text[:5] in STATUS_TYPES else text
    code = reply[:3]
    if len(code) == 3 and code.isdecimal() and code.isascii() and "2" <= code[0] <= "5" and reply[3:4] in ("", " ", "-"):
        record.smtp_code = int(code)
        word = reply[4:15].lstrip(" ").partition(" ")[0]
    else:
        word = reply[:12].partition(" ")[0]
    word = word.rstrip(":,;")
    if word[1:2] == "." and is_enhanced(word):
        record.enhanced_status = word


def diagnostic(record: Mta | Connection, text: str) -> None:
    """`[HOST ]dns;HOST (TCP|…|…|…|…) (banner) smtp;250 2.1.5 …`, each part optional -> the fields; what is left is the status text.

    A banner may hold parentheses and brackets of its own: it ends before ` smtp;` or ` lmtp;` where that follows, else where its parentheses balance.
    """
    rest = text
    if rest[:4] != "dns;":
        first, _, after = rest.partition(" ")
        if after[:4] == "dns;" and ";" not in first and "(" not in first:
            if isinstance(record, Mta):
                record.remote_mta = first
            rest = after
    delivered = False
    if rest[:4] == "dns;":
        delivered = True
        host, _, rest = rest[4:].partition(" ")
        record.remote_dns = host
        rest = rest.lstrip(" ")
    if rest[:5] == "(TCP|":
        end = rest.find(")")
        if end > 0 and transport(record, rest[1:end]):
            delivered = True
            rest = rest[end + 1 :].lstrip(" ")
    if rest[:1] == "(" and isinstance(record, Mta):
        end = rest.find(") smtp;")
        if end < 0:
            end = rest.find(") lmtp;")
        if end < 0 and delivered:
            end = _balanced(rest)
        if end > 0:
            record.banner = rest[1:end]
            rest = rest[end + 1 :].lstrip(" ")
    if rest:
        status(record, rest)


def _balanced(text: str) -> int:
    """The index of the parenthesis that closes the one `text` begins with; of the last one when they do not balance; -1 without any."""
    depth = position = 0
    while True:
        close = text.find(")", position)
        if close < 0:
            return text.rfind(")")
        depth += text.count("(", position, close) - 1
        position = close + 1
        if depth <= 0:
            return close


def is_reply(text: str) -> bool:
    """Whether the text begins with an SMTP reply: 2 to 5, 0 to 5, a digit, and then more (RFC 5321, 4.2)."""
    return "2" <= text[:1] <= "5" and "0" <= text[1:2] <= "5" and "0" <= text[2:3] <= "9" and text[3:4] in (" ", "-") and text[4:5] != " "


def auth_failed(record: Connection) -> bool:
    """Whether a U record tells of a failure: by the server's reply, else by the words of its text or tag."""
    if record.smtp_code is not None:
        return record.smtp_code >= 400
    words = f"{record.tag} {record.diagnostic}".lower()
    return any(word in words for word in FAILURES)
