"""What happened: one row for each entry code of the MTA and each event of the services, and what the outside schemas call it.

A parser takes `name` and `severity` from here, a profile the rest; `shipper explain` prints it all. The MTA writes no severities: these are
ours. The level of a service record maps one to one to a syslog severity.
"""

from __future__ import annotations

from typing import NamedTuple

NAMESPACE = "sunmsg"
"""The prefix of every name of ours in ECS, OTel and OCSF output."""

SEVERITIES = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
FACILITIES = (
    "kern user mail daemon auth syslog lpr news uucp cron authpriv ftp ntp audit console clock "
    "local0 local1 local2 local3 local4 local5 local6 local7"
).split()

OTEL_SEVERITY = {"emerg": 21, "alert": 19, "crit": 18, "err": 17, "warning": 13, "notice": 10, "info": 9, "debug": 5}
"""syslog keyword -> OTel SeverityNumber (logs data model, appendix B)."""

LEVELS = {
    "nolog": "debug",
    "emergency": "emerg",
    "alert": "alert",
    "critical": "crit",
    "error": "err",
    "warning": "warning",
    "notice": "notice",
    "information": "info",
    "debug": "debug",
}
"""Level of a service record, in lower case -> syslog keyword (seed table 21-4, and the three that later versions add)."""


class Event(NamedTuple):
    """`name` is the record's `event`; `category` and `types` are ECS's allowed values; `ocsf` is class / activity / status in words."""

    name: str
    meaning: str
    severity: str
    category: tuple[str, ...]
    types: tuple[str, ...]
    action: str
    outcome: str
    ocsf: str
    cim: str
    cef_severity: int


EMAIL = ("email",)
NETWORK = ("network",)
INFO = ("info",)

MTA_EVENTS: dict[str, Event] = {
    "E": Event("mta.enqueue", "enqueued: accepted and written to a queue", "info", EMAIL, INFO, "enqueue", "success",
               "4009 Email Activity / 2 Receive from a network channel, else 5 MTA Relay / 1 Success", "Email", 3),
    "D": Event("mta.dequeue", "dequeued: delivered or handed on", "info", EMAIL, INFO, "deliver", "success",
               "4009 Email Activity / 1 Send to a network channel, else 5 MTA Relay / 1 Success", "Email.Delivery action=delivered", 3),
    "J": Event("mta.reject", "attempted enqueue rejected by the slave channel program", "notice", ("email", "network"), ("info", "denied"),
               "reject", "failure", "4009 Email Activity / 2 Receive / 2 Failure, disposition 25 Rejected", "Email action=blocked", 5),
    "K": Event("mta.fail_silent", "recipient rejected or timed out, and no notification sent", "warning", EMAIL, INFO, "fail", "failure",
               "4009 Email Activity / 1 Send / 2 Failure", "Email recipient_status=failed", 5),
    "R": Event("mta.bounce", "recipient rejected on attempted dequeue, or a failure notification generated", "warning", EMAIL, INFO,
               "bounce", "failure", "4009 Email Activity / 1 Send / 2 Failure", "Email recipient_status=bounced", 5),
    "Q": Event("mta.defer", "temporary failure to dequeue; it will be tried again", "warning", EMAIL, INFO, "defer", "failure",
               "4009 Email Activity / 1 Send / 99 Deferred, disposition 14 Delayed", "Email recipient_status=deferred retries", 4),
    "Z": Event("mta.defer_partial", "this recipient failed for now while others succeeded; re-enqueued in a new message file", "warning",
               EMAIL, INFO, "defer", "failure", "4009 Email Activity / 1 Send / 99 Deferred", "Email recipient_status=deferred", 4),
    "W": Event("mta.warn", "warning sent: not delivered yet, still being tried", "warning", EMAIL, INFO, "warn", "unknown",
               "4009 Email Activity / 5 MTA Relay / 99 Other, disposition 14 Delayed", "Email", 4),
    "V": Event("mta.abort", "SMTP transaction aborted", "warning", EMAIL, INFO, "abort", "failure",
               "4009 Email Activity / 2 Receive / 2 Failure", "Email recipient_status=failed", 4),
    "B": Event("mta.bad_command", "bad command sent to the SMTP server", "notice", NETWORK, ("protocol", "denied"), "bad-command",
               "failure",
               "4001 Network Activity / 99 Other / 2 Failure", "Network_Traffic", 5),
}
CONNECTION_EVENTS: dict[str, Event] = {
    "O": Event("mta.connection.open", "connection opened", "info", NETWORK, ("connection", "start"), "connection-open", "success",
               "4001 Network Activity / 1 Open / 1 Success", "Network_Sessions", 2),
    "C": Event("mta.connection.close", "connection closed; the diagnostic says why", "info", NETWORK, ("connection", "end"),
               "connection-close", "success", "4001 Network Activity / 2 Close / 1 Success", "Network_Sessions", 2),
    "X": Event("mta.connection.reject", "connection rejected", "notice", NETWORK, ("connection", "denied"), "connection-reject", "failure",
               "4001 Network Activity / 5 Refuse / 2 Failure", "Network_Traffic action=blocked", 5),
    "Y": Event("mta.connection.fail", "connection attempt failed before being established", "warning", NETWORK, ("connection", "end"),
               "connection-fail", "failure", "4001 Network Activity / 4 Fail / 2 Failure", "Network_Traffic", 4),
    "U": Event("mta.auth", "SMTP authentication succeeded", "info", ("authentication",), ("start",), "smtp-auth", "success",
               "3002 Authentication / 1 Logon / 1 Success", "Authentication action=success app=smtp", 3),
    "I": Event("mta.etrn", "ETRN command received", "info", NETWORK, ("protocol", "info"), "etrn", "success",
               "4001 Network Activity / 99 Other / 1 Success", "Network_Traffic", 2),
}
AUTH_FAILED = CONNECTION_EVENTS["U"]._replace(
    meaning="SMTP authentication failed", severity="notice", outcome="failure",
    ocsf="3002 Authentication / 1 Logon / 2 Failure", cim="Authentication action=failure app=smtp", cef_severity=6,
)  # fmt: skip
"""The `U` record whose text tells of a failure: same name, other outcome and severity."""

OTHER_CODE = Event("mta.other", "an entry code that the manuals do not list", "info", EMAIL, INFO, "other", "unknown",
                   "4009 Email Activity / 99 Other / 0 Unknown", "Email", 3)  # fmt: skip
HEADER = Event("mta.header", "a header line of the message being logged", "info", EMAIL, INFO, "header", "unknown",
               "4009 Email Activity / 99 Other / 0 Unknown", "Email", 2)  # fmt: skip
DEBUG = Event("mta.debug", "a line of a debug log", "debug", (), (), "", "unknown", "0 Base Event", "-", 1)

SERVICE_EVENTS: dict[str, Event] = {
    "login": Event("service.login", "login to imap, pop or http", "info", ("authentication", "session"), ("start",), "login", "success",
                   "3002 Authentication / 1 Logon / 1 Success", "Authentication action=success app=imap|pop|http", 3),
    "badlogin": Event("service.badlogin", "login failed", "notice", ("authentication",), ("start",), "login", "failure",
                      "3002 Authentication / 1 Logon / 2 Failure", "Authentication action=failure", 6),
    "close": Event("service.close", "session closed", "notice", ("session", "network"), ("end", "connection"), "logout", "success",
                   "3002 Authentication / 2 Logoff / 1 Success", "Network_Sessions", 2),
    "append": Event("store.append", "message appended to a folder", "info", EMAIL, INFO, "append", "success",
                    "6005 Datastore Activity / 6 Create", "Email", 2),
    "fetch": Event("store.fetch", "message retrieved by a client", "info", EMAIL, INFO, "fetch", "success",
                   "6005 Datastore Activity / 1 Read", "Email", 2),
    "expunge": Event("store.expunge", "message removed from a folder", "info", EMAIL, INFO, "expunge", "success",
                     "6005 Datastore Activity / 7 Delete", "Email action=deleted", 2),
    "created": Event("service.log_created", "a new log file begins", "notice", (), (), "log-created", "unknown", "0 Base Event", "-", 1),
    "message": Event("service.message", "any other event of a service", "info", (), (), "", "unknown",
                     "0 Base Event, or 6008 Application Error from Error up", "-", 2),
}
CLOSE_UNAUTHENTICATED = SERVICE_EVENTS["close"]._replace(
    meaning="connection closed before anyone logged in", category=NETWORK, action="connection-close",
    ocsf="4001 Network Activity / 2 Close / 1 Success",
)  # fmt: skip
SYSLOG = Event("syslog.message", "a syslog message of another program", "info", (), (), "", "unknown", "0 Base Event", "-", 2)
TEXT = Event("text", "a line of no known format", "info", (), (), "", "unknown", "0 Base Event", "-", 1)
UNPARSED = Event("parse_error", "a line that begins as a known format and could not be read", "warning", (), (), "parse-error", "unknown",
                 "0 Base Event", "-", 4)  # fmt: skip

MODIFIERS = {
    "A": "with SASL authentication",
    "S": "with TLS",
    "E": "with ESMTP (EHLO)",
    "C": "with chunking (BDAT)",
    "L": "with LMTP",
    "P": "through a proxy",
    "Q": "seen in logs of 7u4; no manual says what it means",
}
"""Letters after the entry code. An open set: their order is not fixed, an unknown one is kept."""


def code_event(code: str) -> Event:
    """The event of an entry code with its modifiers (`EEA` -> enqueue)."""
    return MTA_EVENTS.get(code[:1]) or CONNECTION_EVENTS.get(code[:1]) or OTHER_CODE
