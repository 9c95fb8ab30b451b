"""Our own errors, by number: what it is, why it comes, how to solve it, and the exit code.

A `Failure` is one such error as it happened: `shipper` prints it, and `shipper explain I201` prints its row here. A number is never used
for something else later. `U` wrong use, `I` input, `O` output, `C` configuration, `R` the running service, `X` the program itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

EX_STRICT = 1
EX_USAGE = 2
EX_NOINPUT = 66
EX_SOFTWARE = 70
EX_IOERR = 74
EX_TEMPFAIL = 75
EX_NOPERM = 77
EX_CONFIG = 78
EX_INTERRUPTED = 130
"""Exit codes, after sysexits.h where it has one; 130 is what a shell reports for SIGINT."""


class ErrorKind(NamedTuple):
    """One numbered error. `what`, `why` and `solve` are sentences for the user; `exit` is the process's exit code."""

    what: str
    why: str
    solve: str
    exit: int


ERRORS: dict[str, ErrorKind] = {
    "U101": ErrorKind(
        "No PATH, and standard input is the terminal.",
        "Without a PATH the command reads standard input, and nobody types logs.",
        "Name files, directories or globs, pipe something in, or say `-` to type lines and end them with Ctrl-D.",
        EX_USAGE,
    ),
    "U102": ErrorKind(
        "The time zone is not known.",
        "MTA stamps have no zone, so the log's own is needed, as an IANA name: an abbreviation such as CEST says no rule for summer time.",
        "Give a name such as Europe/Berlin, America/New_York or UTC, with its capitals; `timedatectl list-timezones` lists them.",
        EX_USAGE,
    ),
    "U103": ErrorKind(
        "A value is not a date or a time.",
        "--since and --until take ISO 8601 dates and times and the words today and yesterday.",
        "Write 2026-03-31, 2026-03-31T10:20, '2026-03-31 10:20:30', 2026-03-31T10:20:30+02:00, today or yesterday.",
        EX_USAGE,
    ),
    "U104": ErrorKind(
        "A name in --fields is not an optional field of MTA records.",
        "The names are those of the LOG_ options of the MTA, in the order in which the fields stand in a record.",
        "Take names from the list in the message; --option-file option.dat finds them by itself.",
        EX_USAGE,
    ),
    "U105": ErrorKind(
        "The format is not known.",
        "--format takes the name of one line format, and then reads nothing else.",
        "Leave it out: the format is found for every line. The message lists the names.",
        EX_USAGE,
    ),
    "U106": ErrorKind(
        "The profile is not known.",
        "--profile says in which schema records are written.",
        "Take ecs (the default), native or otel.",
        EX_USAGE,
    ),
    "U107": ErrorKind(
        "The output file is one of the inputs.",
        "It would be replaced by its own conversion.",
        "Give another name with -o, or leave the file out of the inputs.",
        EX_USAGE,
    ),
    "U108": ErrorKind(
        "A value is not a size.",
        "--max-line takes octets, as a number or with K, M or G (1024, 1024 x 1024, ...), from 1K to 1G.",
        "Write for example 65536, 64K or 4M.",
        EX_USAGE,
    ),
    "U109": ErrorKind(
        "--since is not before --until.",
        "No record can be after the one and before the other.",
        "Swap them. A date alone as --until includes that whole day.",
        EX_USAGE,
    ),
    "U110": ErrorKind(
        "A line of the option file cannot be read.",
        "A line of an MTA option file is `name=value`, a comment that begins with !, ; or #, or goes on from a line that ends in \\.",
        "Correct the line, or give the fields by --fields.",
        EX_USAGE,
    ),
    "U111": ErrorKind(
        "A value is not a time.",
        "--outage takes a number with a unit: s, m, h or d.",
        "Write for example 12h, 3d or 1d12h.",
        EX_USAGE,
    ),
    "U112": ErrorKind(
        "A receiver has no host, or no port.",
        "--syslog takes a name or an address and a port from 1 to 65535; without one it is 514. An IPv6 address stands in brackets.",
        "Write for example siem.example.com:514 or [2001:db8::1]:514.",
        EX_USAGE,
    ),
    "U121": ErrorKind(
        "A setting of the server to be played cannot be.",
        "`generate` takes the options of option.dat (LOG_FORMAT=4) and those of the service logs (logfile.imap.loglevel=Debug), with values "
        "that the product knows.",
        "Correct it; `shipper explain NAME` says what an option means.",
        EX_USAGE,
    ),
    "U122": ErrorKind(
        "There are files already where logs are to be generated.",
        "`generate` makes DIR/log and DIR/config and never writes over files, nor among them.",
        "Name another directory, or remove what is there.",
        EX_USAGE,
    ),
    "I201": ErrorKind(
        "There is no such file.",
        "A PATH names nothing, or a glob in quotes matches nothing; what else was named is read nevertheless.",
        "Look at the spelling and at the directory that relative names start from.",
        EX_NOINPUT,
    ),
    "I202": ErrorKind(
        "There is nothing to read.",
        "A directory has no file in it that could be read, at any depth.",
        "Name the directory that has the logs; the message lists what was left out and why.",
        EX_NOINPUT,
    ),
    "I203": ErrorKind(
        "A file or directory may not be read.",
        "Its permissions, or those of a directory above it, keep this user out; mail logs often belong to the mail server's user.",
        "Run as a user or group that may read them, or copy them; being root is not needed.",
        EX_NOPERM,
    ),
    "I204": ErrorKind(
        "An archive is broken.",
        "A gzip, bzip2, xz or zstd file ends too early, fails its own checksum, or has something else behind its end.",
        "All lines before the break were converted. Fetch the file again, or compare it with its source: `gzip -t`, `xz -t`, `zstd -t`.",
        EX_IOERR,
    ),
    "I205": ErrorKind(
        "A file could not be read to its end.",
        "The disk or the network file system reported an error, or the file became shorter while it was read.",
        "All lines before that place were converted. Look at the system's own log, or convert a copy of the file.",
        EX_IOERR,
    ),
    "I206": ErrorKind(
        "This is nothing that can be read as a log.",
        "It is a socket, a disk or another device.",
        "Name a file, a directory, a named pipe or `-`.",
        EX_NOINPUT,
    ),
    "I207": ErrorKind(
        "Nothing of a mail server is there.",
        "`doctor` looks for option.dat, imta_tailor, imta.cnf, dispatcher.cnf, what configutil printed, and logs, three directories deep.",
        "Name the server's directory, or the files themselves: --option-file, --configutil, --logs.",
        EX_NOINPUT,
    ),
    "O301": ErrorKind(
        "The disk is full.",
        "There was no room for the next lines of the output, or for a temporary file.",
        "Make room or take another disk, and start again: FILE.partial has whole lines only, but not all of them. Without -o, pipe the "
        "output into a compressor.",
        EX_IOERR,
    ),
    "O302": ErrorKind(
        "The output file cannot be made.",
        "Its directory does not exist, or may not be written to; a new file is made beside the old one and takes its name at the end.",
        "Make the directory, or take another one.",
        EX_IOERR,
    ),
    "O303": ErrorKind(
        "The output could not be written.",
        "The system reported an error for a write.",
        "Look at the system's own log. FILE.partial, if there is one, has whole lines only, but not all of them.",
        EX_IOERR,
    ),
    "O304": ErrorKind(
        "The file is there already.",
        "`doctor --write-config` writes over nothing that somebody may have changed.",
        "Name another file, or say --force.",
        EX_USAGE,
    ),
    "C101": ErrorKind(
        "A configuration file cannot be read.",
        "It does not exist, its permissions keep this user out, or it is too large to be a configuration.",
        "Look at the path and the permissions; the service's user needs to read it, and every file in conf.d beside it.",
        EX_CONFIG,
    ),
    "C102": ErrorKind(
        "A configuration file is not YAML.",
        "A configuration is one YAML document in UTF-8: options as `name: value`, sections by indentation with blanks.",
        "Look at the place, and at the line before it: a missing quote or a wrong indentation shows late.",
        EX_CONFIG,
    ),
    "C103": ErrorKind(
        "The same option is given twice in one section.",
        "Only one of the two could hold, and which one is not to be guessed.",
        "Remove one of them.",
        EX_CONFIG,
    ),
    "C104": ErrorKind(
        "An option is not known.",
        "Nothing is skipped in silence: an option that is misspelt, or stands in the wrong section, would have no effect.",
        "Take the name that the message offers, or one of the list in docs/configuration.md; look at the indentation.",
        EX_CONFIG,
    ),
    "C105": ErrorKind(
        "Something is missing.",
        "A section has an option that has no default, or the configuration has no input or no output.",
        "Add it; docs/configuration.md has every option.",
        EX_CONFIG,
    ),
    "C106": ErrorKind(
        "The value of an option cannot be taken.",
        "It is no number, size, duration or word of those that the option takes, or is outside its bounds.",
        "The message says what the option takes.",
        EX_CONFIG,
    ),
    "C107": ErrorKind(
        "A variable or a file has no value.",
        "`${VAR}` needs VAR in the environment of the process that reads the configuration, `${file:PATH}` a file that it may read.",
        "Set it, give a default as `${VAR:-default}`, or write `$$` for a dollar sign. `shipper check --no-env` looks at the rest without them.",
        EX_CONFIG,
    ),
    "C108": ErrorKind(
        "There is no input or output of this type.",
        "`type` says what an input or output is, and which options it has.",
        "Take one of the types that the message lists.",
        EX_CONFIG,
    ),
    "C109": ErrorKind(
        "The same name stands in two files.",
        "Files of conf.d add inputs, outputs and routes; none of them replaces what another one says.",
        "Rename one of the two, or remove it. The message has both places.",
        EX_CONFIG,
    ),
    "C110": ErrorKind(
        "A name refers to nothing.",
        "A route names an output, an input or a field that there is not.",
        "Take the name that the message offers; fields are those of the native profile in docs/schema.md.",
        EX_CONFIG,
    ),
    "C111": ErrorKind(
        "The configuration is too deep, or repeats itself without end.",
        "Sections are nested too deep, an alias stands inside of what it repeats, or aliases of aliases grow out of all measure.",
        "Write it out where an alias is not worth it.",
        EX_CONFIG,
    ),
    "C112": ErrorKind(
        "A YAML tag is not allowed.",
        "Tags (`!something`) ask a program to make things of a value. What type a value has is said by its option.",
        "Write the value without the tag; a text that begins with ! needs quotes.",
        EX_CONFIG,
    ),
    "C113": ErrorKind(
        "A test of the configuration failed.",
        "A line became another record, or went to other outputs, than the test expects.",
        "The message says what it became. `shipper try LINE` shows how a line is read.",
        EX_STRICT,
    ),
    "C114": ErrorKind(
        "A file of the mail server cannot be read.",
        "A path under 'mailserver:', or one that the mail server's own tailor file or imta.cnf names, leads to nothing that this user can read.",
        "Look at the path and the permissions; relative paths start at the directory of the configuration, or of the file that names them.",
        EX_CONFIG,
    ),
    "C115": ErrorKind(
        "A setting of the mail server cannot be read or taken.",
        "A line of one of its files is not written as such files are, or a value is none that the setting has: what the server logs where "
        "would be a guess.",
        "The message says what the setting takes; `shipper explain NAME` says what it does.",
        EX_CONFIG,
    ),
    "C116": ErrorKind(
        "An output of log files does not know its directory.",
        "It has no `directory`, and the mail server's settings name none: no `logfile.SERVICE.logdir` stands there.",
        "Give the output a `directory`, best one of its own: the mail server writes files of the same names.",
        EX_CONFIG,
    ),
    "C117": ErrorKind(
        "A syslog output sends to a syslog input of the same configuration.",
        "What comes in there goes out there: every record would go round for ever.",
        "Name another receiver, or keep the records of that input from that output by a route.",
        EX_CONFIG,
    ),
    "C118": ErrorKind(
        "A file of certificates cannot be used.",
        "It cannot be read by this user, has no certificate or key in it, or certificate and key do not belong together. `check`, `run` and a "
        "reload say the same; `check --no-env` does not look.",
        "Look at the file that the message names: `openssl x509 -in FILE -noout -subject -enddate`, `openssl pkey -in FILE -noout`.",
        EX_CONFIG,
    ),
    "C119": ErrorKind(
        "An output of log files writes where an input reads.",
        "The mail server's own files have the names that the output writes: it never touches a file that is not its own, and would wait for ever. "
        "What it did write there the input would read, again and again. Without a `directory`, the output takes the server's `logdir`.",
        "Give the output a `directory` of its own, which the mail server does not write to.",
        EX_CONFIG,
    ),
    "C151": ErrorKind(
        "Something has no effect.",
        "A route stands behind one that fits everything or asks for fields that no kind of record has together, or an output gets no records.",
        "Move, mend or remove it.",
        EX_STRICT,
    ),
    "C152": ErrorKind(
        "Everyone on this machine can read a secret.",
        "A password or token stands in a file that all users may read.",
        "`chmod 640`, or better: take it from the environment (`${VAR}`) or a file of its own (`${file:PATH}`).",
        EX_STRICT,
    ),
    "C153": ErrorKind(
        "A file in conf.d is not read.",
        "Only files whose names end in .yaml are.",
        "Rename it, or move it away.",
        EX_STRICT,
    ),
    "C154": ErrorKind(
        "A setting works, but hardly as it is meant.",
        "An input or output has doubts about what it was told.",
        "The message says what to change; if it is meant so, leave it.",
        EX_STRICT,
    ),
    "C155": ErrorKind(
        "Settings of the mail server contradict each other.",
        "One of the two has no effect, or not the one that it seems to have.",
        "The message has both places. Remove one of them, or make them say the same.",
        EX_STRICT,
    ),
    "C156": ErrorKind(
        "Something in a file of the mail server is not known.",
        "It is kept, and rules nothing here: the name may be misspelt, or belong to another version.",
        "Correct it if it is meant to be one of the settings that docs/mailserver.md lists.",
        EX_STRICT,
    ),
    "C157": ErrorKind(
        "The mail server's settings leave an output without records, or records without an output.",
        "LOG_MESSAGES_SYSLOG and logfile.SERVICE.syslogfacility say what is for syslog outputs and what for log files; by default all is for files.",
        "Set what the message names under `mailserver`, or name the server's own files there; `takes: all` gives an output everything. "
        "`shipper routes CONFIG` shows what goes where, and which setting says so.",
        EX_STRICT,
    ),
    "C158": ErrorKind(
        "A directory is not there.",
        "An output writes its files into a directory that somebody else has to make; until then its records wait.",
        "Make it, for the service's user; under systemd with `LogsDirectory=` or tmpfiles.d.",
        EX_STRICT,
    ),
    "C159": ErrorKind(
        "What an input reads is not there, or this user cannot read it.",
        "The directory or file that it names does not exist, or its permissions keep this user out: nothing is read until that changes. `check` says "
        "what holds for who runs it: `sudo -u shipper shipper check CONFIG` says it for the service's user.",
        "Look at the path, and give the service's user the right to read: its group, or `setfacl -m u:shipper:rX DIR`.",
        EX_STRICT,
    ),
    "R501": ErrorKind(
        "Another shipper uses the state directory.",
        "Two services on one state directory would each forget what the other has read. The lock ends with the process that holds it.",
        "Stop the other one, or give this one a `state` directory of its own.",
        EX_TEMPFAIL,
    ),
    "R502": ErrorKind(
        "The state directory was written by a newer release.",
        "This release does not know that format, and leaves it as it is.",
        "Run the newer release again, or give this one another `state` directory: it then begins from the start of every input.",
        EX_CONFIG,
    ),
    "R503": ErrorKind(
        "The state directory cannot be used.",
        "It cannot be made, written to or locked by this user, or its disk reports errors.",
        "Give it to the service's user (`chown`, mode 0700), or name another one as `state`.",
        EX_NOPERM,
    ),
    "R504": ErrorKind(
        "The service does not run as root.",
        "It reads what strangers send, and needs no rights but those to read the logs.",
        "Start it as another user, or name one as `user` in the configuration: it binds its ports and then becomes that user. "
        "`--allow-root` runs it as root nevertheless.",
        EX_NOPERM,
    ),
    "R505": ErrorKind(
        "The service cannot become the configured user.",
        "There is no such user or group, or the service was not started as root and is somebody else.",
        "Correct `user` and `group` in the configuration, or leave them out and start the service as that user.",
        EX_CONFIG,
    ),
    "R506": ErrorKind(
        "A part of the service failed.",
        "An input or output ended with an error that is not one of its receiver's or file's: an error of ours.",
        "The service has stopped in order, and nothing is lost. Please report it, with the line of the service's own log.",
        EX_SOFTWARE,
    ),
    "R507": ErrorKind(
        "The service cannot listen where it should.",
        "Another program listens there, the address is none of this machine, or a port below 1024 needs CAP_NET_BIND_SERVICE.",
        "Take another address or port, or stop the other program: `ss -lntup` names it.",
        EX_TEMPFAIL,
    ),
    "R508": ErrorKind(
        "No running service can be reached.",
        "There is no service on this configuration's state directory, or it belongs to another user.",
        "Start `shipper run` with it, or ask as the service's user or as root.",
        EX_TEMPFAIL,
    ),
    "R509": ErrorKind(
        "The certificates of an input or output cannot be used.",
        "A PEM file cannot be read by the service's user, is none, or certificate and key do not belong together.",
        "Look at the file that the message names: `openssl x509 -in FILE -noout -subject -enddate`, `openssl pkey -in FILE -noout`.",
        EX_CONFIG,
    ),
    "R510": ErrorKind(
        "There is nothing to replay, or no output for it.",
        "The file or directory has no dead letters that wait, or the configuration has no output of the name that they were for.",
        "Name a file of STATE/dead-letters/OUTPUT, or another output with --to.",
        EX_NOINPUT,
    ),
    "R511": ErrorKind(
        "Our own metrics cannot go out by OTLP.",
        "`telemetry.otlp` is set, and OpenTelemetry's exporter is not installed: it is an extra.",
        "Install it with `pip install 'shipper[telemetry]'`, or take `telemetry.otlp` out.",
        EX_CONFIG,
    ),
    "X401": ErrorKind(
        "A worker process ended before its work was done.",
        "It was killed, most often by the system for want of memory, or by hand.",
        "Start again with fewer workers, for example --jobs 1.",
        EX_IOERR,
    ),
    "X402": ErrorKind(
        "The account does not balance.",
        "Lines read and records written or set aside are counted apart from each other, and did not agree: an error of ours.",
        "Nothing was written under the final name. Please report it, with the smallest input that shows it.",
        EX_SOFTWARE,
    ),
    "X499": ErrorKind(
        "An error inside the program.",
        "Something happened that we did not think of.",
        "Please report it, with what SHIPPER_TRACEBACK=1 in the environment makes it print.",
        EX_SOFTWARE,
    ),
}


class Failure(Exception):
    """A numbered error as it happened: `message` names the thing, `place` the file (`file:line:column`), `notes` what else helps."""

    def __init__(self, number: str, message: str, *, place: str = "", notes: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.number = number
        self.message = message
        self.place = place
        self.notes = tuple(notes)

    @property
    def exit(self) -> int:
        """The exit code of the process that ends with it."""
        return ERRORS[self.number].exit


@dataclass(frozen=True, slots=True)
class Place:
    """A stretch of one line of a file. `line` and `column` begin with 1; `column` counts characters. Line 0 is the file as such."""

    file: str
    line: int
    column: int
    length: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Problem:
    """`number`: in `shipper.errors`; `label`: what stands under the line; `notes`: what helps; `warning`: it works nevertheless."""

    number: str
    message: str
    place: Place
    label: str = ""
    notes: tuple[str, ...] = ()
    warning: bool = False
    hidden: bool = False
    """The value at the place may be a secret, whatever its name."""
