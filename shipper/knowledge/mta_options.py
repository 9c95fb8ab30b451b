"""Options of the MTA: the logging options of option.dat with what each value means, those of a TCP/IP channel's option file, and where the
option file is named.

Both spellings are known: `LOG_CONNECTION` (option.dat) and `mta.log_connection` (unified configuration). Sources: seed, "Specifying
Additional MTA Logging Options" and the settings under its examples; the 6.3 guide and the options' own reference pages for the rest.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from shipper import events
from shipper.knowledge.base import CERTAIN, LIKELY, Meaning, Subject
from shipper.knowledge.logfile_options import size_text
from shipper.mailserver.optionfile import integer

_OPTION_DAT = "the MTA option file (option.dat)"
_CHANNEL = "the option file of a TCP/IP channel (tcp_local_option)"
_TAILOR = "the tailor file (imta_tailor)"

CONNECTION_BITS = {
    1: "message records say who sent: the name given with HELO, the name in the DNS, the IP address",
    2: "connection records: opened, closed, rejected, failed (O, C, X, Y)",
    4: "records of ETRN commands (I)",
    8: "no public description says what it is",
    16: "no public description says what it is",
    32: "transport: protocol, IP addresses and ports of both ends",
    64: "application: the protocol spoken, the host asked for and the host reached, TLS",
    128: "records of SMTP authentication, successes and failures (U)",
}
_EXTRA_BITS = {
    1: "log it in the record",
    2: "give it to LOG_ACTION mapping probes",
    4: "XML and JSON: write the attribute even when it is empty",
}
_SYSLOG_SIGN = {
    "0": "off: log files only",
    "20": "on: log files, and syslog as mail.warning",
    "22": "on: log files, and syslog as mail.info",
    "-22": "syslog only, as mail.info: no log file is written",
}


def _syslog(value: int, files: str = "the mail.log files") -> tuple[str, ...]:
    """What LOG_MESSAGES_SYSLOG and LOG_CONNECTIONS_SYSLOG mean with this value, for syslog and for the log files."""
    if value == 0:
        return (f"Off: records go to {files} only.",)
    number = abs(value)
    if number > 191:
        return (f"{number} is more than 191, the highest syslog priority (local7.debug): nobody can say what the server makes of it.",)
    facility, severity = events.FACILITIES[number >> 3], events.SEVERITIES[number & 7]
    notes = []
    if number < 8:
        notes.append(
            f"{number} has no facility: severity {severity}, and the facility that the system takes by itself, usually user: user.{severity}."
        )
    else:
        notes.append(f"{number} = {number >> 3} × 8 + {number & 7}: facility {facility}, severity {severity}: {facility}.{severity}.")
    if value > 0:
        notes.append(f"Positive: each record goes to syslog and to {files}. Reading both gives every record twice.")
    else:
        notes.append(f"Negative: each record goes to syslog only; {files} stay empty. Only a syslog receiver sees them.")
    if number == 1:
        notes.append("The guide says 1 to mean 'on', and the server then sends every record as user.alert.")
        notes.append(
            "shipper reads 1 as 'on' and sends such records as mail.info, or as the configured mta_priority. 22 says what is meant."
        )
    elif number > 127:
        notes.append("SNDOPR_PRIORITY, which has the same form, is documented from 0 to 127 only; whether more works here was not found.")
    notes.append("The severity is the same for every record: a bounce looks like a delivery.")
    return tuple(notes)


class _Option(NamedTuple):
    """`values` are the values it can have, each with what it does; `bits` those that add up; `decode` gives sentences for any number."""

    title: str
    default: str
    file: str = _OPTION_DAT
    notes: tuple[str, ...] = ()
    values: dict[str, str] | None = None
    bits: dict[int, str] | None = None
    decode: Callable[[int], tuple[str, ...]] | None = None
    field: str = ""
    see: tuple[str, ...] = ()


def _switch(text: str) -> dict[str, str]:
    return {"0": "off", "1": text}


_ON_WITH_XML = "From 6.3p1 on it is on by default when LOG_FORMAT is 4 or more."

OPTIONS: dict[str, _Option] = {
    "LOG_MESSAGES_SYSLOG": _Option(
        "send message records to syslog",
        "0",
        notes=("The absolute value is the syslog priority, facility × 8 + severity; the sign says whether the log files are written too.",),
        values=_SYSLOG_SIGN,
        decode=_syslog,
        see=("LOG_CONNECTIONS_SYSLOG", "LOG_SNDOPR", "mail.info"),
    ),
    "LOG_CONNECTIONS_SYSLOG": _Option(
        "send connection records to syslog",
        "as LOG_MESSAGES_SYSLOG",
        notes=("The same numbers as LOG_MESSAGES_SYSLOG, for connection records.",),
        values=_SYSLOG_SIGN,
        decode=lambda value: _syslog(value, "the connection log files"),
        see=("LOG_MESSAGES_SYSLOG", "SEPARATE_CONNECTION_LOG"),
    ),
    "LOG_CONNECTION": _Option(
        "log connections, and who sent a message",
        "0",
        notes=("A sum of bits. 3 is usual; 163 adds transport and authentication.",),
        bits=CONNECTION_BITS,
        field="remote_name, remote_dns, remote_ip; connection records",
        see=("SEPARATE_CONNECTION_LOG", "LOG_PROCESS"),
    ),
    "SEPARATE_CONNECTION_LOG": _Option(
        "where connection records are written",
        "0",
        values={
            "0": "into the mail.log files, between the message records",
            "1": "into files of their own: connection.log_current and so on",
        },
        see=("LOG_CONNECTION", "connection.log_current"),
    ),
    "LOG_MESSAGE_ID": _Option(
        "log the message id",
        "0",
        notes=("With it the records of one message can be told from those of others, over all channels.", _ON_WITH_XML),
        values=_switch("the message id, in angle brackets; of a notification also the id of the message it is about"),
        field="message_id, related_message_id",
    ),
    "LOG_FILENAME": _Option(
        "log the name of the message's file in the queue",
        "0",
        notes=("The first two letters count the attempts: ZZ first, ZY second, ZX third.", _ON_WITH_XML),
        values=_switch("the file's name"),
        field="queue_file, queue_id, attempt",
        see=("ZZ",),
    ),
    "LOG_PROCESS": _Option(
        "log the process id",
        "0",
        notes=(
            "pid.sequence, or pid.thread.sequence where there are threads, in hexadecimal.",
            "With LOG_CONNECTION it tells which messages came over which connection.",
            _ON_WITH_XML,
        ),
        values=_switch("the process id before the source channel"),
        field="pid, thread, sequence",
    ),
    "LOG_USERNAME": _Option(
        "log the user name of the process that enqueues",
        "0",
        notes=("The account the server runs under; with an asterisk before it, the user who authenticated with SMTP AUTH.", _ON_WITH_XML),
        values=_switch("the user name"),
        field="username, authenticated",
    ),
    "LOG_NOTARY": _Option(
        "log the NOTARY flags: which delivery reports the sender asked for",
        "0",
        notes=("An integer of bits after the recipient; the public guides do not list the bits.", _ON_WITH_XML),
        values=_switch("the flags, as an integer"),
        field="notary_flags",
    ),
    "LOG_NODE": _Option(
        "log the name of the node the channel runs on",
        "0",
        notes=("On UNIX before 6.3 it adds an empty field: one more blank after the time.",),
        values=_switch("the node name after the time"),
        field="host",
    ),
    "LOG_FORMAT": _Option(
        "the form of the records",
        "1",
        notes=("Values above 3 also turn several LOG_ options on by default.",),
        values={
            "1": "text in columns, the standard",
            "2": "the same, with <> for an empty address",
            "3": "the same, with each field of variable length counted: 16:adam@example.com",
            "4": "XML: one element a line, its fields as attributes of two letters (from 6.3)",
            "5": "JSON (from 8.0.2.3)",
            "6": "JSON, flat (from 8.1.0.2)",
        },
        see=("en", "sc", "qt"),
    ),
    "BLOCK_SIZE": _Option(
        "how many bytes a block is: the unit of message sizes in the log",
        "1024",
        notes=("Sizes are rounded up to whole blocks.",),
        decode=lambda value: (
            (f"A size of 3 in the log is then at most {size_text(3 * value)}.",) if value > 0 else ("It must be more than 0.",)
        ),
        field="size_blocks",
    ),
    "MAX_B_ENTRIES": _Option(
        "how many bad commands (B records) are logged in one session",
        "10",
        _CHANNEL,
        decode=lambda value: (f"After {value} bad commands of a session no more are logged.",),
        see=("B",),
    ),
    "LOG_BANNER": _Option(
        "log the greeting of the other SMTP server, in the diagnostic",
        "0",
        _CHANNEL,
        values=_switch("the greeting, in parentheses"),
        field="banner",
    ),
    "LOG_TRANSPORTINFO": _Option(
        "log IP addresses and ports of both ends, in the diagnostic",
        "0",
        _CHANNEL,
        values=_switch("(TCP|local IP|local port|remote IP|remote port)"),
        field="transport, local_ip, local_port, remote_ip, remote_port",
    ),
    "LOG_INTERMEDIATE": _Option(
        "log what the recipient's address was on the way from the original to the current one",
        "0",
        bits={1: "the intermediate and the initial address", 2: "give them to LOG_ACTION mapping probes"},
        field="intermediate_address, initial_address",
    ),
    "LOG_FILTER": _Option(
        "log the Sieve filters that acted on the message",
        "0",
        notes=(_ON_WITH_XML,),
        values=_switch("the filters, where there were any"),
        field="filter",
    ),
    "LOG_REASON": _Option(
        "log the reason text of rejections (R and K records)",
        "0",
        notes=("From 6.3 on. It stands before the diagnostic.", _ON_WITH_XML),
        bits=_EXTRA_BITS,
        field="reason",
    ),
    "LOG_DIAGNOSTICS": _Option(
        "log the delivery status that the other side or the channel gave",
        "1",
        bits=_EXTRA_BITS,
        field="diagnostic, smtp_code, enhanced_status",
    ),
    "LOG_REMOTE_MTA": _Option(
        "log the remote MTA's name in a field of its own",
        "0",
        notes=("From 8.x on. It then no longer stands in the diagnostic.",),
        bits=_EXTRA_BITS,
        field="remote_mta",
    ),
    "LOG_QUEUE_TIME": _Option(
        "log how long the message has been in the queue",
        "0",
        notes=(_ON_WITH_XML,),
        values=_switch("the time in seconds, as the last field"),
        field="queue_seconds",
    ),
    "LOG_SENSITIVITY": _Option("log the message's Sensitivity header", "0", values=_switch("the sensitivity"), field="sensitivity"),
    "LOG_PRIORITY": _Option("log the message's priority", "0", notes=(_ON_WITH_XML,), values=_switch("the priority"), field="priority"),
    "LOG_ENVELOPE_ID": _Option(
        "log the envelope id (ENVID) that the sender gave or the MTA made", "0", values=_switch("the envelope id"), field="envelope_id"
    ),
    "LOG_HEADER": _Option(
        "log header lines of the message after its record",
        "0",
        notes=("log_headers.opt says which. The channel keyword logheader overrides it for one channel.",),
        bits={1: "when the message is dequeued", 2: "when it is enqueued, with 1"},
        field="header_name, header_value",
        see=("logheader",),
    ),
    "LOG_SNDOPR": _Option(
        "tell syslog when writing the log, or updating counters, fails",
        "0",
        notes=("Not about the records themselves: those are LOG_MESSAGES_SYSLOG's.",),
        values=_switch("such trouble is reported to syslog"),
        see=("SNDOPR_PRIORITY", "LOG_MESSAGES_SYSLOG"),
    ),
    "SNDOPR_PRIORITY": _Option(
        "the syslog priority of event notices: trouble with queue files, logs and counters",
        "5 (notice, with the system's own facility)",
        notes=("From 0 to 127. It does not touch the copies of records that LOG_MESSAGES_SYSLOG sends.",),
        decode=lambda value: (
            (f"{value} is {events.FACILITIES[value >> 3]}.{events.SEVERITIES[value & 7]}.",)
            if 8 <= value <= 127
            else (f"{value} is severity {events.SEVERITIES[value]}, with the facility that the system takes by itself, usually user.",)
            if 0 <= value < 8
            else ("It must be from 0 to 127.",)
        ),
    ),
    "LOG_ACTION": _Option(
        "a mapping table that is asked about each record, and can send a notice of its own",
        "no such table",
        "the mappings file",
        notes=("What LOG_REASON, LOG_DIAGNOSTICS and LOG_REMOTE_MTA add to its probes, bit 1 of each decides.",),
    ),
    "LOG_ALQ": _Option("how many disk blocks the log file takes at first (OpenVMS)", "2000"),
    "LOG_DEQ": _Option("by how many disk blocks the log file grows (OpenVMS)", "1000"),
    "LOG_PAGE_COUNT": _Option(
        "an SMS channel's size field: the message's size or the number of pages",
        "0",
        "the option file of an SMS channel",
        values={"0": "the size in blocks", "1": "the number of pages", "2": "the number of pages, too"},
    ),
    "IMTA_OPTION_FILE": _Option(
        "which file is the MTA option file",
        "option.dat in the configuration directory",
        _TAILOR,
        notes=("All LOG_ options stand in the file that it names: read the tailor file before believing an option.dat.",),
        see=("option.dat", "imta_tailor"),
    ),
    "MM_DEBUG": _Option(
        "how much the MTA's message manager tells in channel debug logs", "0", notes=("Used with master_debug, slave_debug.",)
    ),
    "OS_DEBUG": _Option("whether channel debug logs tell about calls of the operating system", "0"),
    "DEQUEUE_DEBUG": _Option("how much is told about the dequeuing of messages in channel debug logs", "0"),
    "USE_NSLOG": _Option(
        "whether dispatcher and job_controller write the grammar of service logs",
        "0",
        "the unified configuration",
        notes=("From 8.0 on; for the MMP it is 1 by default.",),
        values={"0": "their own debug grammar: hh:mm:ss.cc: text", "1": "[date] host process[pid]: Category Level: text"},
    ),
    "LOCAL.MSGTRACE.ACTIVE": _Option(
        "the message trace of the store",
        "no",
        "configutil",
        notes=("Every append, fetch and expunge makes a line: a lot of disk. The unified configuration calls it messagetrace.activate.",),
        values={
            "no": "off",
            "yes": "on, into the services' own logs",
            "msgtrace": "on, into one log named msgtrace; logins then stand in both",
            "transactlog": "on, as XML (from 8.0)",
        },
    ),
}
_ALIASES = {"MESSAGETRACE.ACTIVATE": "LOCAL.MSGTRACE.ACTIVE"}
_ANY_DEBUG = re.compile(r"[A-Z]+_DEBUG")


def _name_of(word: str) -> str:
    name = word.strip().upper()
    name = name.removeprefix("MTA.") if name != "MTA." else name
    name = name.rpartition(".")[2] if name.endswith((".USE_NSLOG",)) else name
    return _ALIASES.get(name, name)


def _with_value(option: _Option, value: str) -> tuple[list[str], list[tuple[str, str]]]:
    """(sentences, the parts that the value consists of)."""
    if option.values and value.lower() in option.values and option.decode is None:
        return [], [(value, option.values[value.lower()])]
    number = integer(value) if value.isascii() and len(value) < 20 else None
    if number is None or abs(number) >= 1 << 32:
        return [f"'{value}' is not one of its values." if option.values else f"'{value}' is not a number that it can have."], []
    if option.decode:
        return list(option.decode(number)), []
    if option.bits:
        if number == -1:
            return ["-1 sets every bit."], [(f"bit {bit.bit_length() - 1} ({bit})", text) for bit, text in option.bits.items()]
        if number < 0:
            return [f"{number} is negative; a sum of bits is expected."], []
        set_ = [1 << shift for shift in range(number.bit_length()) if number >> shift & 1]
        parts = [(f"bit {bit.bit_length() - 1} ({bit})", option.bits.get(bit, "not a bit that we know")) for bit in set_]
        sum_ = " + ".join(str(bit) for bit in set_)
        return [
            f"{number} = {sum_}." if len(set_) > 1 else f"{number}: off, no bit is set." if not number else f"{number} is one bit."
        ], parts
    if option.values:
        return [f"'{value}' is not one of its values: {', '.join(option.values)}."], []
    return [], []


def meanings(word: str) -> list[Meaning]:
    setting, equals, value = word.partition("=")
    name = _name_of(setting)
    option = OPTIONS.get(name)
    if option is None:
        if _ANY_DEBUG.fullmatch(name) and name not in ("IMTA_DISPATCHER_DEBUG", "MASTER_DEBUG", "SLAVE_DEBUG"):
            note = "Such options of option.dat set how much a part of the MTA tells in the debug logs of channels."
            return [Meaning("MTA option", name, "a debug option; we have no description of this one", (note,), rank=LIKELY + 1)]
        return []
    notes: list[str] = []
    parts: list[tuple[str, str]] = []
    if equals:
        notes, parts = _with_value(option, value.strip())
    elif option.bits:
        parts = [(f"bit {bit.bit_length() - 1} ({bit})", text) for bit, text in option.bits.items()]
    elif option.values:
        parts = [(f"{value}", text) for value, text in option.values.items()]
    shown = "local.msgtrace.active" if name == "LOCAL.MSGTRACE.ACTIVE" else name
    facts = [("stands in", option.file), ("default", option.default)]
    if option.file == _OPTION_DAT:
        facts.append(("also written", f"mta.{name.lower()} (unified configuration)"))
    if option.field:
        facts.append(("fields", option.field))
    kind = "channel option" if option.file == _CHANNEL else "mapping table" if name == "LOG_ACTION" else "MTA option"
    return [
        Meaning(kind, shown + (f"={value.strip()}" if equals else ""), option.title, (*notes, *option.notes), tuple(parts), tuple(facts),
                option.see, CERTAIN)
    ]  # fmt: skip


def words() -> Iterable[str]:
    return [name if name != "LOCAL.MSGTRACE.ACTIVE" else name.lower() for name in OPTIONS]


SUBJECT = Subject("MTA options, with a value or without", ("LOG_CONNECTION=3", "LOG_MESSAGES_SYSLOG=-22", "LOG_FORMAT=4"), meanings, words)
