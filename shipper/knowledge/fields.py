"""Fields of our records: what each is, and where ECS and OpenTelemetry have it (from the profiles' own table); the kinds of records."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from shipper.knowledge.base import CERTAIN, LIKELY, Meaning, Subject
from shipper.profiles.fields import FIELDS, Field
from shipper.record import KINDS, Envelope, Record, Source

_ENDS = {"@local.": ("destination.", "source."), "@remote.": ("source.", "destination.")}
_OTEL_ENDS = {"@local.": ("server.", "client."), "@remote.": ("client.", "server.")}
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


def _name(field: Field) -> str:
    """`syslog.hostname` and `source.offset` for the fields of the two objects in a record."""
    inside = "syslog." if field.of == (Envelope,) else "source." if field.of == (Source,) else ""
    return inside + field.name


def _places(paths: tuple[str, ...], ends: dict[str, tuple[str, str]]) -> str:
    """Where a value stands, in words: the ends of a connection are named as they are when the other side called, and when we did."""
    written = []
    for path in paths:
        for end, (inbound, outbound) in ends.items():
            if path.startswith(end):
                name = path.removeprefix(end)
                path = f"{inbound}{name} (outbound: {outbound}{name})"
        written.append(path.removesuffix("[]"))
    return ", ".join(written) or "-"


def _kinds(field: Field) -> str:
    kinds = [kind.kind for kind in KINDS if issubclass(kind, field.of)]
    return "all" if len(kinds) == len(KINDS) or Record not in field.of[0].__mro__ else ", ".join(kinds)


def _meaning(field: Field, asked: str) -> Meaning:
    facts = (("ECS", _places(field.ecs, _ENDS)), ("OTel", _places(field.otel, _OTEL_ENDS)), ("in records of kind", _kinds(field)))
    notes = (field.written[:1].upper() + field.written[1:] + ".",) if field.written else ()
    name = _name(field)
    text = field.text
    if text.startswith("... and "):  # goes on from the row before
        text = f"{FIELDS[FIELDS.index(field) - 1].text.partition(':')[0]}: {text.removeprefix('... and ')}"
    return Meaning("field of a record", name, text, notes, facts=facts, rank=CERTAIN if name == asked and "_" in name else LIKELY)


def meanings(word: str) -> list[Meaning]:
    name = word.lower()
    found = [_meaning(field, word) for field in FIELDS if name in (_name(field), field.name)]
    if name == "kind":
        found.append(Meaning("field of a record", name, "what kind of record it is", parts=tuple(_KINDS.items())))
    if name in _KINDS:
        shape = next(kind for kind in KINDS if kind.kind == name)
        own = [field.name for field in msgspec.structs.fields(shape)]
        found.append(Meaning("kind of record", name, _KINDS[name], facts=(("fields", ", ".join(own)),), rank=LIKELY))
    return found


def words() -> Iterable[str]:
    return ["kind", *(_name(field) for field in FIELDS), *_KINDS]


SUBJECT = Subject("fields and kinds of our records", ("queue_id", "remote_dns", "syslog.hostname", "mta"), meanings, words)
