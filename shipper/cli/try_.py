"""`shipper try`: how one line, or the first lines of a file, are read."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shipper.cli import reading, terminal
from shipper.errors import EX_STRICT, Failure

if TYPE_CHECKING:
    from shipper.formats import Log


def try_(
    line: Annotated[str | None, typer.Argument(metavar="LINE", help="The line, in quotes; - reads lines from standard input.")] = None,
    file: Annotated[str, typer.Option("--file", "-f", metavar="FILE", help="Try the first lines of this file instead.")] = "",
    number: Annotated[int, typer.Option("-n", metavar="N", min=1, help="How many lines of a file or of standard input.")] = 5,
    timezone: Annotated[str, typer.Option(metavar="IANA", help="Zone of stamps without one; else the system's.")] = "",
    fields: Annotated[str, typer.Option(metavar="NAME,...", help="The optional fields that the MTA writes, in order.")] = "",
    option_file: Annotated[str, typer.Option(metavar="FILE", help="An option.dat that says which those are.")] = "",
    format: Annotated[str, typer.Option(metavar="NAME", help="Read as this format, whatever the line begins like.")] = "",
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line, for machines.")] = False,
) -> None:
    """Show how a LINE is read: its format, each field with its columns, the codes in words.

    Of a line that cannot be read it shows where reading stopped, and why.

    \b
    Examples:
      shipper try "$(head -1 mail.log_current)"
      shipper try --file imap.63.915107696 -n 3
      grep badlogin imap | shipper try -
      shipper try --timezone Europe/Berlin --file mail.log --json

    Exit code: 0, or 1 when a line could not be read.
    """
    import msgspec

    from shipper.formats import Log
    from shipper.record import Unparsed
    from shipper.stamps import Clock
    from shipper.tryline import as_data, as_text, try_lines

    if bool(file) == (line is not None):
        raise typer.BadParameter("give a LINE, or --file FILE" if not file else "give a LINE or --file FILE, not both")
    log = Log(Clock(reading.zone_of(timezone)), reading.fields_of(fields, option_file))
    only = reading.format_of(format)
    chunks: Iterable[bytes]
    if file:
        chunks = _content(file, log)
    elif line == "-":
        chunks = iter(lambda: sys.stdin.buffer.readline(1 << 20), b"")
    else:
        chunks, number = [os.fsencode((line or "").removesuffix("\n")) + b"\n"], sys.maxsize
    terminal.be_lenient()
    width, emphasis = terminal.width(), terminal.emphasis()
    tried = unread = 0
    for one in islice(try_lines(chunks, log, only), number):
        if json:
            sys.stdout.write(msgspec.json.encode(as_data(one)).decode() + "\n")
        else:
            heading = emphasis(f"line {one.number}") + "\n" if file or line == "-" else ""
            sys.stdout.write(("\n" if tried else "") + heading + as_text(one, width, emphasis))
        tried += 1
        unread += isinstance(one.record, Unparsed)
    if not tried:
        raise Failure("I202", "there is no line to try")
    if unread:
        raise typer.Exit(EX_STRICT)


def _content(path: str, log: Log) -> Iterator[bytes]:
    """A file's content, unpacked; what its name and date say of its lines goes into the log."""
    from shipper.archives import ArchiveBroken, Content
    from shipper.formats import debug, names
    from shipper.sources import path_text, unopened

    log.service = names.service_of(path_text(path))
    try:
        with Path(path).open("rb", buffering=0) as stream:
            modified = os.fstat(stream.fileno()).st_mtime
            first = True
            for chunk in Content(stream, path_text(path)).chunks():
                if first:
                    time_of_day = debug.time_of_day(chunk[:64].decode(errors="replace"))
                    log.date = names.debug_date(modified, log.clock.zone, time_of_day) if time_of_day else None
                    first = False
                yield chunk
    except ArchiveBroken as broken:
        raise Failure("I204", f"{broken.name}: {broken}") from None
    except OSError as error:
        raise unopened(path, error) from None
