"""Names of events: those of our records (`mta.enqueue`, `service.login`), and the verbs that service logs write (`badlogin`, `expunge`)."""

from __future__ import annotations

from collections.abc import Iterable

from shipper import events
from shipper.knowledge.base import CERTAIN, LIKELY, Meaning, Subject

_ALL: dict[str, tuple[events.Event, str]] = {
    **{event.name: (event, f"entry code {code}") for code, event in {**events.MTA_EVENTS, **events.CONNECTION_EVENTS}.items()},
    **{event.name: (event, f"'{verb}' in a service log") for verb, event in events.SERVICE_EVENTS.items()},
    **{event.name: (event, "") for event in (events.OTHER_CODE, events.HEADER, events.DEBUG, events.SYSLOG, events.TEXT, events.UNPARSED)},
}
_VERBS = {event.name.rpartition(".")[2]: event.name for event in events.SERVICE_EVENTS.values()}
_NOTES = {
    "service.login": ("`login [ip:port] user method`, at level Information.",),
    "service.badlogin": (
        "`badlogin: [ip:port] method user reason`. The log has the true reason; the client is told less.",
        "An account that is disabled says (hold) or (inactive).",
    ),
    "service.close": (
        "`close [ip:port] user date time duration` and three numbers: bytes from the client, bytes to it, mailboxes selected (POP: 1).",
        "[unauthenticated] instead of a user: nobody logged in.",
    ),
    "store.append": ("`append:user:folder:size:<message id>`: the message is in the user's folder.",),
    "store.fetch": ("`fetch:user:folder:<message id>`: a client read at least one part of the body.",),
    "store.expunge": ("`expunge:folder:<message id>`: removed from the folder, by the user or a tool; not yet from the disk.",),
    "service.log_created": ("`Log created (seconds since 1970)`: the first line of every log file of a service.",),
}


def meanings(word: str) -> list[Meaning]:
    asked = word.lower().rstrip(":")
    name = asked.removeprefix(f"{events.NAMESPACE}.")
    name = _VERBS.get(name, name)
    if name not in _ALL:
        return []
    event, where = _ALL[name]
    ecs = [f"event.action: {event.action}"] if event.action else []
    ecs += [f"event.outcome: {event.outcome}"]
    ecs += [f"event.category: {', '.join(event.category)}", f"event.type: {', '.join(event.types)}"] if event.category else []
    facts = [
        ("event", f"{name}, severity {event.severity}"),
        ("ECS", "; ".join(ecs)),
        ("OTel", f"EventName {events.NAMESPACE}.{name}, SeverityNumber {events.OTEL_SEVERITY[event.severity]}"),
        ("OCSF", event.ocsf),
        ("CIM", event.cim),
    ]
    if where:
        facts.insert(0, ("written as", where))
    code = where.removeprefix("entry code ") if where.startswith("entry code") else ""
    rank = LIKELY if asked == "text" else CERTAIN
    return [Meaning("event", name, event.meaning, _NOTES.get(name, ()), facts=tuple(facts), see=(code,) if code else (), rank=rank)]


def words() -> Iterable[str]:
    return [*_ALL, *_VERBS]


SUBJECT = Subject("events", ("mta.enqueue", "badlogin", "expunge"), meanings, words)
