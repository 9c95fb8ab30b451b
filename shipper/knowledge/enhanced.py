"""Enhanced mail system status codes (`5.7.1`): class, subject and detail.

The scheme is RFC 3463's, the register is IANA's (RFC 5248); the sentences are ours. Where the detail is not registered, the class and the
subject still say something.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from shipper.knowledge.base import CERTAIN, Meaning, Subject

CLASSES = {
    "2": ("success", "What was asked for was done; the rest tells about it."),
    "4": ("temporary failure", "The message is good and stays queued; it is tried again."),
    "5": ("permanent failure", "Sending the same again will not help: the message, the address or a setting has to change."),
}
SUBJECTS = {
    0: ("unspecified", "The server had nothing more exact to say."),
    1: ("addresses", "Something about the sender's or the recipient's address."),
    2: ("mailbox", "Something about the recipient's mailbox, which its owner or provider can change."),
    3: ("mail system", "Something about the receiving system as a whole."),
    4: ("network and routing", "Something on the way there: network, name service, routing."),
    5: ("mail protocol", "Something about the SMTP dialogue itself."),
    6: ("content", "Something about what the message consists of and whether it can be converted."),
    7: ("security and policy", "Something that a policy, authentication or encryption forbids."),
}
DETAILS: dict[tuple[int, int], tuple[str, str]] = {
    (0, 0): ("nothing known beyond the class", "RFC 3463"),
    (1, 0): ("some other trouble with an address", "RFC 3463"),
    (1, 1): ("no such mailbox at the recipient's domain: the part left of the @", "RFC 3463"),
    (1, 2): ("no such domain, or it cannot take mail: the part right of the @", "RFC 3463"),
    (1, 3): ("the recipient's address is not written as an address has to be", "RFC 3463"),
    (1, 4): ("the recipient's address fits several mailboxes", "RFC 3463"),
    (1, 5): ("the recipient's address is valid", "RFC 3463"),
    (1, 6): ("the mailbox has moved, and it is not known where to", "RFC 3463"),
    (1, 7): ("the sender's address is not written as an address has to be", "RFC 3463"),
    (1, 8): ("the sender's domain does not exist or cannot take replies", "RFC 3463"),
    (1, 9): ("passed on to a mailer that does not speak the protocol needed for further reports", "RFC 3886"),
    (1, 10): ("the recipient's domain says in the DNS that it takes no mail (null MX)", "RFC 7505"),
    (2, 0): ("some other trouble with the mailbox", "RFC 3463"),
    (2, 1): ("the mailbox exists and is disabled", "RFC 3463"),
    (2, 2): ("the mailbox is full", "RFC 3463"),
    (2, 3): ("the message is longer than this mailbox may get", "RFC 3463"),
    (2, 4): ("the address is a mailing list that could not be expanded", "RFC 3463"),
    (3, 0): ("some other trouble with the mail system", "RFC 3463"),
    (3, 1): ("the mail system's storage is full", "RFC 3463"),
    (3, 2): ("the system takes no mail at present: shutdown, maintenance, load", "RFC 3463"),
    (3, 3): ("the system lacks a feature that the message needs", "RFC 3463"),
    (3, 4): ("the message is bigger than the system takes", "RFC 3463"),
    (3, 5): ("the system is not configured in a way that lets it take this message", "RFC 3463"),
    (3, 6): ("accepted with another priority than was asked for", "RFC 6710"),
    (4, 0): ("some other trouble on the way", "RFC 3463"),
    (4, 1): ("the host did not answer", "RFC 3463"),
    (4, 2): ("the connection was made and broke off, or is too bad to use", "RFC 3463"),
    (4, 3): ("a directory or name server could not be asked", "RFC 3463"),
    (4, 4): ("no route: the next host for the message could not be found", "RFC 3463"),
    (4, 5): ("the mail system is congested", "RFC 3463"),
    (4, 6): ("the message goes round in a loop", "RFC 3463"),
    (4, 7): ("the message became too old before it could be delivered", "RFC 3463"),
    (5, 0): ("some other trouble with the protocol", "RFC 3463"),
    (5, 1): ("a command that is not known, or not allowed at this point", "RFC 3463"),
    (5, 2): ("a syntax error in a command", "RFC 3463"),
    (5, 3): ("too many recipients", "RFC 3463"),
    (5, 4): ("wrong parameters of a command", "RFC 3463"),
    (5, 5): ("the two sides speak different versions of the protocol", "RFC 3463"),
    (5, 6): ("a line of the login dialogue is too long", "RFC 4954"),
    (6, 0): ("some other trouble with the content", "RFC 3463"),
    (6, 1): ("this kind of content is not supported", "RFC 3463"),
    (6, 2): ("it would have to be converted, and that is forbidden", "RFC 3463"),
    (6, 3): ("it would have to be converted, and that is not possible", "RFC 3463"),
    (6, 4): ("it was converted, and something was lost by that", "RFC 3463"),
    (6, 5): ("it should have been converted, and that failed", "RFC 3463"),
    (6, 6): ("a part of the content that is only referred to could not be fetched", "RFC 4468"),
    (6, 7): ("an address with other than ASCII characters is not allowed here", "RFC 6531"),
    (6, 8): ("the answer would need UTF-8, which the client did not allow", "RFC 6531"),
    (6, 9): ("headers in UTF-8 cannot be passed on to a recipient", "RFC 6531"),
    (6, 10): ("the same as x.6.8, and out of use", "RFC 6531"),
    (7, 0): ("some other matter of security or policy", "RFC 3463"),
    (7, 1): ("refused by policy: not authorised, relaying not permitted, or judged to be spam", "RFC 3463"),
    (7, 2): ("the sender may not write to this mailing list", "RFC 3463"),
    (7, 3): ("it would have to be converted between security protocols, and that is not possible", "RFC 3463"),
    (7, 4): ("a security feature that the message asks for is not supported", "RFC 3463"),
    (7, 5): ("encryption or a signature failed", "RFC 3463"),
    (7, 6): ("the algorithm or key is not supported", "RFC 3463"),
    (7, 7): ("the message was changed on the way or is damaged", "RFC 3463"),
    (7, 8): ("authentication failed: wrong name or password", "RFC 4954"),
    (7, 9): ("the login mechanism is too weak for this user", "RFC 4954"),
    (7, 10): ("encryption is needed first", "RFC 5248"),
    (7, 11): ("this login mechanism needs an encrypted connection", "RFC 4954"),
    (7, 12): ("a password has to be set or changed before this login mechanism works", "RFC 4954"),
    (7, 13): ("the account is disabled", "RFC 5248"),
    (7, 14): ("the servers would have to trust each other first", "RFC 5248"),
    (7, 15): ("the priority of the message is too low to be taken now", "RFC 6710"),
    (7, 16): ("the message is too big for its priority", "RFC 6710"),
    (7, 17): ("the mailbox belongs to somebody else by now", "RFC 7293"),
    (7, 18): ("the domain belongs to somebody else by now", "RFC 7293"),
    (7, 19): ("it could not be checked whether the recipient is still the same", "RFC 7293"),
    (7, 20): ("no DKIM signature is valid", "RFC 7372"),
    (7, 21): ("DKIM signatures are valid, but none that this server accepts", "RFC 7372"),
    (7, 22): ("no valid DKIM signature is by the author's domain", "RFC 7372"),
    (7, 23): ("SPF: the host may not send for this domain", "RFC 7372"),
    (7, 24): ("SPF could not be evaluated", "RFC 7372"),
    (7, 25): ("the sending host's address has no fitting name in the DNS", "RFC 7372"),
    (7, 26): ("several checks of who the sender is failed", "RFC 7372"),
    (7, 27): ("the sender's domain says that it takes no mail (null MX)", "RFC 7505"),
    (7, 28): ("the message seems to be one of a flood", "IANA register"),
    (7, 29): ("the ARC chain is not valid", "RFC 8617"),
    (7, 30): ("the message demands TLS all the way, and the next server does not offer that", "RFC 8689"),
}
_WORD = re.compile(r"[#(]?([245xy])\.([0-9]{1,3}|[xy]+)(?:\.([0-9]{1,3}|[xyz]+))?[):,;]?", re.IGNORECASE)


def status(code: str) -> str:
    """What a code means, in a line: `5.7.1` -> `permanent failure: refused by policy …`; `""` when it is none."""
    found = meanings(code)
    return found[0].title if found else ""


def meanings(word: str) -> list[Meaning]:
    shape = _WORD.fullmatch(word)
    if not shape or not word.isascii():
        return []
    first, subject_text, detail_text = shape[1].lower(), shape[2], shape[3] or "x"
    class_name, class_note = CLASSES.get(first, ("success or failure, as the first digit says", ""))
    if not subject_text.isdigit():
        if first not in CLASSES:
            return []
        parts = tuple((f"{first}.{number}.x", name) for number, (name, _) in SUBJECTS.items())
        return [Meaning("class of enhanced status codes", f"{first}.x.x", class_name, (class_note,), parts, see=(f"{first}xx",))]
    subject = int(subject_text)
    subject_name, subject_note = SUBJECTS.get(subject, ("a subject that is not registered", ""))
    notes = tuple(note for note in (class_note, subject_note) if note)
    if not detail_text.isdigit():
        listed = [(f"{first}.{subject}.{number}", text) for (group, number), (text, _) in DETAILS.items() if group == subject]
        title = f"{class_name}: {subject_name}" if first in CLASSES else f"{subject_name}: {class_name}"
        return [Meaning("group of enhanced status codes", f"{first}.{subject}.x", title, notes, tuple(listed))]
    detail = int(detail_text)
    code = f"{first}.{subject}.{detail}"
    text, source = DETAILS.get((subject, detail), ("", ""))
    if text:
        title = f"{class_name}: {text}" if first in CLASSES else text
    else:
        title = f"{class_name}, {subject_name}; the detail {detail} is not registered"
    parts = ((first, class_name), (str(subject), subject_name), (str(detail), text or "not registered"))
    facts = [("source", source)] if source else []
    if first in CLASSES:
        facts.append(("ECS, OTel", f"sunmsg.smtp.enhanced_code: {code}"))
    if first in "45":
        facts.append(("on failures", f"ECS error.code: {code}; OTel error.type: {code}; OCSF status_code: {code}"))
    return [Meaning("enhanced status code", code, title, notes, parts, tuple(facts), rank=CERTAIN)]


def words() -> Iterable[str]:
    codes = [f"{first}.{subject}.{detail}" for first in CLASSES for subject, detail in DETAILS]
    return [*codes, *(f"{first}.x.x" for first in CLASSES)]


SUBJECT = Subject("enhanced status codes", ("5.7.1", "4.4.1", "x.7.1", "5.7.x"), meanings, words)
