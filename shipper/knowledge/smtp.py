"""SMTP reply codes: three digits, or a class of them (`5xx`).

The sentences are ours; the numbers are those of RFC 5321, section 4.2, and of the RFC named with each.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from shipper.knowledge.base import CERTAIN, Meaning, Subject

CLASSES = {
    "2": ("success", "The command was carried out."),
    "3": ("go on", "The command is accepted so far, and the server waits for what has to follow: the message, or a step of a login."),
    "4": ("temporary failure", "The sender keeps the message and tries again; the mail server's log then has a Q record."),
    "5": (
        "permanent failure",
        "Sending the same again will not help; the mail server's log then has an R or K record (J where it said so itself).",
    ),
}
GROUPS = {
    "0": "about the syntax of the command",
    "1": "an answer to a request for information",
    "2": "about the connection",
    "3": "about authentication or encryption, as extensions use it",
    "5": "about the mail system: mailboxes, storage, policy",
}
REPLIES: dict[str, tuple[str, str]] = {
    "211": ("system status, or an answer to HELP", "RFC 5321"),
    "214": ("help text, for a human", "RFC 5321"),
    "220": ("ready: the greeting at the start of a session, or go ahead with TLS", "RFC 5321, RFC 3207"),
    "221": ("closing the connection, as asked with QUIT", "RFC 5321"),
    "235": ("authenticated", "RFC 4954"),
    "250": ("done: the command, the recipient or the message is accepted", "RFC 5321"),
    "251": ("not a user here, the server will forward it", "RFC 5321"),
    "252": ("cannot say whether the user exists, but will take the message and try", "RFC 5321"),
    "253": ("mail is waiting for this node, and its delivery was started (ETRN)", "RFC 1985"),
    "334": ("the next step of a login, in base64", "RFC 4954"),
    "354": ("send the message, and end it with a dot alone on a line", "RFC 5321"),
    "421": ("service not available; the server closes the connection. Overload, a limit reached, or a shutdown", "RFC 5321"),
    "432": ("a password has to be changed or set first, before this login mechanism can be used", "RFC 4954"),
    "450": ("mailbox not available now: busy, or held back by a policy such as greylisting", "RFC 5321"),
    "451": ("given up because of an error at the server", "RFC 5321"),
    "452": ("too little storage, or too many recipients at once", "RFC 5321"),
    "453": ("no mail is waiting (ATRN, ETRN), or the system takes none at present", "RFC 2645, RFC 5248"),
    "454": ("authentication or TLS is not to be had for the moment", "RFC 4954, RFC 3207"),
    "455": ("the server cannot honour the parameters of the command now", "RFC 5321"),
    "458": ("unable to queue the mail that waits for this node (ETRN)", "RFC 1985"),
    "459": ("the node is not allowed to ask for its mail (ETRN)", "RFC 1985"),
    "500": ("command not recognised, or the line is too long", "RFC 5321"),
    "501": ("the parameters are wrong", "RFC 5321"),
    "502": ("command known and not implemented", "RFC 5321"),
    "503": ("commands in the wrong order", "RFC 5321"),
    "504": ("a parameter of the command is not implemented", "RFC 5321"),
    "521": ("this host never accepts mail", "RFC 7504"),
    "523": ("the login mechanism would need encryption below it", "RFC 5248"),
    "525": ("the account is disabled", "RFC 5248"),
    "530": ("authentication, or TLS, is required first", "RFC 4954, RFC 3207"),
    "533": ("not allowed to do this", "RFC 5248"),
    "534": ("the login mechanism is too weak for this user", "RFC 4954"),
    "535": ("authentication failed: wrong name or password", "RFC 4954"),
    "538": ("this login mechanism needs an encrypted connection", "RFC 4954"),
    "550": ("mailbox not available: unknown, no access, or refused by policy (relaying, spam)", "RFC 5321"),
    "551": ("not a user here; the answer may name the address to try", "RFC 5321"),
    "552": ("more than the storage that is allowed: the mailbox is full, or the message is too big", "RFC 5321"),
    "553": ("the mailbox name is not allowed, mostly bad syntax", "RFC 5321"),
    "554": ("transaction failed; as a greeting: no service for this client", "RFC 5321"),
    "555": ("the parameters of MAIL or RCPT are not known here", "RFC 5321"),
    "556": ("the recipient's domain accepts no mail", "RFC 7504"),
}
_WORD = re.compile(r"(?:smtp;)?([2-5])([0-9xy])([0-9xyz])-?", re.IGNORECASE)


def reply(code: str) -> str:
    """What a reply code means, in a line: `250` -> `done: …`; its class where the code is not known; `""` for no reply code."""
    known = REPLIES.get(code)
    if known:
        return known[0]
    return CLASSES[code[0]][0] if _WORD.fullmatch(code) else ""


def meanings(word: str) -> list[Meaning]:
    shape = _WORD.fullmatch(word.replace(" ", ""))
    if not shape:
        return []
    first, second, third = (digit.lower() for digit in shape.groups())
    name, note = CLASSES[first]
    code = first + second + third
    if second in "xy":
        similar = [(known, text) for known, (text, _) in REPLIES.items() if known[0] == first]
        title = f"the class {first}xx: {name}"
        return [
            Meaning("class of SMTP replies", f"{first}xx", title, (note,), tuple(similar), see=(f"{first}.x.x",) if first != "3" else ())
        ]
    group = GROUPS.get(second, "of no group that RFC 5321 defines")
    if third in "xyz":
        similar = [(known, text) for known, (text, _) in REPLIES.items() if known[:2] == first + second]
        return [Meaning("group of SMTP replies", f"{first}{second}x", f"{name}, {group}", (note,), tuple(similar))]
    facts = (("ECS, OTel", f"sunmsg.smtp.response.code: {code}"), ("native", f"smtp_code: {code}"))
    known = REPLIES.get(code)
    if known is None:
        title = f"{name}, {group}; no standard gives this number a meaning of its own"
        return [Meaning("SMTP reply code", code, title, (note,), facts=facts, see=(f"{first}xx",))]
    text, source = known
    return [
        Meaning("SMTP reply code", code, text, (f"{name.capitalize()}, {group}. {note}",), facts=(("source", source), *facts), rank=CERTAIN)
    ]


def words() -> Iterable[str]:
    return [*REPLIES, *(f"{first}xx" for first in CLASSES)]


SUBJECT = Subject("SMTP reply codes", ("250", "550", "5xx"), meanings, words)
