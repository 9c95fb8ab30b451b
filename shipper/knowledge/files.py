"""Log files and settings files of the mail server by name (`mail.log_current`, `imap.63.915107696`), and the services and programs behind them.

A name may have its directory before it. Source: seed, table 21-1 and the paragraphs after it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from shipper.formats.names import of_family
from shipper.knowledge.base import CERTAIN, LIKELY, Meaning, Subject

_ROLLOVER = (
    "About midnight the return job appends *.log_yesterday to *.log, renames *.log_current to *.log_yesterday, and starts a new *.log_current.",
    "So every record is in two files in turn, and in the cumulative one for good: read one of them, or use convert --dedupe.",
)
MTA_FILES = {
    "mail.log_current": "the MTA's records since the last midnight",
    "mail.log_yesterday": "the MTA's records of the day before",
    "mail.log": "the MTA's records of all days before yesterday; it is never made smaller by the MTA itself",
    "connection.log_current": "connection records since the last midnight (SEPARATE_CONNECTION_LOG=1)",
    "connection.log_yesterday": "connection records of the day before (SEPARATE_CONNECTION_LOG=1)",
    "connection.log": "connection records of all days before yesterday (SEPARATE_CONNECTION_LOG=1)",
}
SERVICES = {
    "imap": "events of the IMAP4 service",
    "pop": "events of the POP3 service",
    "http": "events of the HTTP service: webmail",
    "admin": "events between Console and Messaging Server, by way of the Administration Server",
    "default": "events of command line tools and other processes",
    "imta": "events of ims_master and the LMTP server: delivery into the store",
    "msgtrace": "the message trace of the store: append, fetch, expunge; it grows fast",
    "mmp": "events of the Message Multiplexor, the IMAP, POP and SMTP proxy",
    "watcher": "processes that failed and services that do not answer",
}
OTHER_FILES: dict[str, tuple[str, str]] = {
    "dispatcher.log": ("errors of the dispatcher, and its debug output", "How much it tells, a debug mask decides."),
    "job_controller.log": ("what the job controller, and the master, sender and dequeue programs of channels say", ""),
    "tcp_smtp_server.log": ("the SMTP server's debug log", "The dialogue with each client, when slave_debug is on."),
    "counters": ("counters of messages by channel", "Trends of what was sent and received."),
    "option.dat": ("the MTA option file: all LOG_ options", "The option IMTA_OPTION_FILE in imta_tailor may name another file."),
    "imta_tailor": ("says where the MTA's files are, the option file among them", ""),
    "imta.cnf": ("the MTA's configuration: rewrite rules and channels", "The keyword logging stands here."),
    "mappings": ("the mapping tables: ORIG_SEND_ACCESS, PORT_ACCESS, CONVERSIONS …", ""),
    "dispatcher.cnf": ("the dispatcher's configuration", "The option DEBUG stands here."),
    "configutil": ("the tool that shows and sets the store's and services' options, logfile.* among them", "configutil -o NAME -v VALUE"),
    "daily_cleanup": ("a site's own procedure that the nightly return job runs", "For example to rename mail.log once a week."),
    "log_headers.opt": ("which headers LOG_HEADER logs", ""),
}
PROGRAMS = {
    "imapd": "the IMAP server",
    "popd": "the POP server",
    "mshttpd": "the webmail (HTTP) server",
    "httpd": "the webmail (HTTP) server",
    "ims_master": "the program that delivers into the store (channel ims-ms)",
    "tcp_lmtp_server": "the LMTP server: delivery into the store from another host",
    "tcp_smtp_server": "the SMTP server",
    "imexpire": "removes old messages from folders",
    "impurge": "takes expunged messages off the disk",
    "imdbverify": "checks and copies the store's databases",
    "reconstruct": "repairs mailboxes",
    "stored": "looks after the store's databases",
    "msprobe": "asks the services whether they answer, and writes to `default`",
    "imsimta": "the MTA's command line tool",
    "qm": "imsimta qm: manages the message queue; its delete and return make K records",
    "dispatcher": "takes connections and hands them to server processes",
    "job_controller": "starts the programs that deliver what is queued",
    "cgi_store": "a program of the Administration Server",
    "cgi_service": "a program of the Administration Server",
}
_SECONDS = range(10**7, 10**11)
"""What stands behind two dots is a time: later than some months after 1970."""
_DEBUG_LOG = re.compile(r"([A-Za-z0-9_-]+)\.log-(\S{1,60})")
_QUEUE_FILE = re.compile(r"Z([A-Z])([0-9A-Za-z]{8,40})\.([0-9A-Z]{2,5})(?:_[A-Za-z0-9]+)?")
_PREFIX = re.compile(r"Z[A-Z]")


def _rolled(service: str, sequence: int, seconds: int, name: str) -> Meaning:
    created = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    known = SERVICES.get(service.lower(), "")
    notes = [
        f"File number {sequence} of this service since the server was installed; the numbers never start over: a higher one is a later file.",
        f"Created at {seconds} seconds since 1970: {created:%A %d %B %Y %H:%M:%S} UTC.",
    ]
    parts = (
        (service, known or "a service of this site"),
        (str(sequence), "sequence number"),
        (str(seconds), f"{created:%Y-%m-%dT%H:%M:%SZ}"),
    )
    return Meaning(
        "log file of a service", name, known or f"a log file of the service {service}", tuple(notes), parts, see=("maxlogfiles",)
    )


def meanings(word: str) -> list[Meaning]:
    name = word.strip().rstrip("/").rpartition("/")[2]
    lower = name.lower()
    found: list[Meaning] = []
    file = of_family(name)
    if file and file.rolled and file.rolled[1] in _SECONDS:
        found.append(_rolled(file.family, *file.rolled, name))
    base = re.sub(r"\.(gz|bz2|xz|zst)$", "", lower)
    if base in MTA_FILES:
        found.append(
            Meaning("log file of the MTA", base, MTA_FILES[base], _ROLLOVER, see=("LOG_MESSAGES_SYSLOG", "SEPARATE_CONNECTION_LOG"))
        )
    if base in SERVICES:
        see = (f"logfile.{base}.loglevel", f"logfile.{base}.syslogfacility")
        note = f"The current file is `{base}`; older ones are {base}.SEQUENCE.SECONDS, such as {base}.63.915107696."
        rank = CERTAIN if base not in ("default", "admin") else LIKELY
        found.append(Meaning("service, and its log file", base, SERVICES[base], (note,), see=see, rank=rank))
    if base in OTHER_FILES:
        title, note = OTHER_FILES[base]
        found.append(Meaning("file or tool of the mail server", base, title, (note,) if note else ()))
    if base in PROGRAMS:
        found.append(Meaning("program", base, PROGRAMS[base], facts=(("native", f"process: {base}"),)))
    debug = _DEBUG_LOG.fullmatch(name)
    if debug and not found:
        component = debug[1].lower()
        title, note = OTHER_FILES.get(f"{component}.log", ("", ""))
        if not title and component.endswith(("_master", "_slave")):
            channel, _, side = component.rpartition("_")
            doing = "sending" if side == "master" else "receiving"
            title = f"debug log of the {doing} program of channel {channel}"
            note = f"Written when {side}_debug is on for the channel."
        notes = [note] if note else []
        notes.append(f"'{debug[2]}' only makes the name unique; imsimta purge removes old ones.")
        found.append(Meaning("debug log", name, title or f"debug log of {component}", tuple(notes)))
    queued = _QUEUE_FILE.fullmatch(name)
    prefix = _PREFIX.fullmatch(name)
    if (queued or prefix) and name.isascii():
        attempt = 91 - ord(name[1])
        notes = ["The prefix goes back by one letter with each attempt: ZZ, ZY, ZX. What follows it stays the same."]
        facts = [("native", f"attempt: {attempt}" + (f", queue_id: {name[2:]}" if queued else ""))]
        kind = "message file in the queue" if queued else "prefix of a message file in the queue"
        title = f"waiting for, or in, delivery attempt {attempt}"
        found.append(Meaning(kind, name, title, tuple(notes), facts=tuple(facts), see=("LOG_FILENAME",)))
    return found


def words() -> Iterable[str]:
    return [*MTA_FILES, *SERVICES, *OTHER_FILES, *PROGRAMS, "ZZ"]


SUBJECT = Subject("log files, services and programs", ("mail.log_current", "imap.63.915107696", "imapd"), meanings, words)
