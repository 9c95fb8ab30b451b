"""`shipper convert`: logs of the mail server as JSON lines."""

from __future__ import annotations

import os
import signal
import stat
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from shipper.cli import messages, reading
from shipper.errors import EX_INTERRUPTED, EX_IOERR, EX_NOINPUT, EX_NOPERM, EX_STRICT, Failure
from shipper.screen import escaped

if TYPE_CHECKING:
    from shipper.convert import Account, Watch
    from shipper.outfile import Output
    from shipper.passage import Options
    from shipper.sources import LeftOut, Source


SHOWN = 20
"""Errors, and things that were not read, that are listed one by one."""


class Raw(StrEnum):
    """When a record keeps its line."""

    always = "always"
    errors = "errors"
    never = "never"


def convert(
    paths: Annotated[list[str] | None, typer.Argument(metavar="PATH", help="Files, directories, globs; - is standard input.")] = None,
    output: Annotated[str, typer.Option("--output", "-o", metavar="FILE", help="Where to; without it, standard output.")] = "-",
    profile: Annotated[str, typer.Option("--profile", "-p", metavar="NAME", help="Schema: ecs, native or otel.")] = "ecs",
    timezone: Annotated[str, typer.Option(metavar="IANA", help="Zone of stamps without one; else the system's.")] = "",
    since: Annotated[str, typer.Option(metavar="TIME", help="Only records from this time on.")] = "",
    until: Annotated[str, typer.Option(metavar="TIME", help="Only records before it; a date includes its day.")] = "",
    dedupe: Annotated[bool, typer.Option("--dedupe", help="A record that stands in several logs comes out once.")] = False,
    raw: Annotated[Raw, typer.Option(metavar="WHEN", help="Keep the line in the record: always, never, errors.")] = Raw.errors,
    format: Annotated[str, typer.Option(metavar="NAME", help="Read all lines as this format.")] = "",
    fields: Annotated[str, typer.Option(metavar="NAME,...", help="The optional fields that the MTA writes, in order.")] = "",
    option_file: Annotated[str, typer.Option(metavar="FILE", help="An option.dat that says which those are.")] = "",
    host: Annotated[str, typer.Option(metavar="NAME", help="Host of records that name none.")] = "",
    max_line: Annotated[str, typer.Option(metavar="SIZE", help="A longer line is cut there.")] = "1M",
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=0, metavar="N", help="Processes or threads; 0: as many as pay.")] = 0,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 when a line could not be read.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no account, only errors.")] = False,
) -> None:
    """Convert logs to JSON lines: one record for each line, whatever its format.

    Formats are found line by line, archives (gzip, bzip2, xz, zstd) unpacked,
    directories read with all in them. The account at the end says what became
    of every line.

    \b
    Examples:
      shipper convert mail.log* -o mail.jsonl
      shipper convert --profile native --timezone Europe/Berlin mail.log
      shipper convert /var/opt/mail/log --dedupe -o all.jsonl
      shipper convert 'archive/**/*.gz' --since 2026-03-01 --until 2026-03-31
      zcat mail.log.gz | grep bob@example.com | shipper convert -

    TIME: 2026-03-31, 2026-03-31T10:20, '2026-03-31 10:20:30+02:00', today,
    yesterday. SIZE: octets, or with K, M, G.

    Exit code: 0; 1 with --strict; 2 wrong use; 66 no such input; 74 broken
    archive, disk full; 77 no permission; 130 Ctrl-C. An input that cannot be
    read does not keep the others from being converted.
    """
    import gc

    from shipper.convert import Conversion, jobs_for
    from shipper.outfile import OutputClosed, open_output
    from shipper.sources import STDIN, find

    if not paths:
        if sys.stdin is None or sys.stdin.isatty():
            raise Failure("U101", "no PATH was given", notes=["for example: shipper convert mail.log -o mail.jsonl"])
        paths = [STDIN]
    options = _options(profile, timezone, since, until, dedupe, raw, format, fields, option_file, host, max_line)
    sources, left = find(paths)
    sources, left = _without_output(sources, left, output)
    if not sources:
        failures = [one.failure for one in left if one.failure]
        _print(failures)
        raise typer.Exit(_exit_code(failures) or EX_NOINPUT)
    gc.freeze()
    gc.set_threshold(50_000)  # records are in no cycles: looking for some takes a fifth of the time otherwise
    _keep_memory()
    sink = open_output(output)
    begin = time.monotonic()
    try:
        with _stopped_by_signals(), _progress(sources, sink, quiet) as watch:
            account = Conversion(options, sink, jobs or jobs_for(sources), watch).run(sources, left)
            if account.logs:
                sink.finish()
            else:
                sink.discard()
    except OutputClosed:
        from shipper.cli import die_of

        die_of(signal.SIGPIPE)
    except Failure as failure:
        failure.notes += _what_is_kept(sink)
        raise
    except BaseException as error:
        sink.discard()
        if isinstance(error, KeyboardInterrupt):
            what = "not all was printed" if output == "-" else f"nothing was written to {output}"
            messages.write(f"interrupted: {escaped(what)}\n")
            raise typer.Exit(EX_INTERRUPTED) from None
        raise
    _print(account.failures)
    if not quiet:
        messages.write(_told(account, time.monotonic() - begin, output))
    code = _exit_code(account.failures)
    if not code and strict and account.tally.kinds["unparsed"]:
        code = EX_STRICT
    if code:
        raise typer.Exit(code)


def _keep_memory() -> None:
    """The C library gives the memory of every block back to the system, which then clears it for the next: a sixth of the time, when that is
    short. Up to 64 MB it shall keep it."""
    import ctypes

    m_trim_threshold, m_mmap_threshold = -1, -3
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return  # not the GNU C library
    mallopt(m_trim_threshold, 64 << 20)
    mallopt(m_mmap_threshold, 32 << 20)


def _options(
    profile: str,
    timezone: str,
    since: str,
    until: str,
    dedupe: bool,
    raw: Raw,
    format: str,
    fields: str,
    option_file: str,
    host: str,
    max_line: str,
) -> Options:
    """The options of the engine. Raises `Failure` for what is wrong with them."""
    from datetime import datetime

    from shipper import compiled, window
    from shipper.passage import Options
    from shipper.profiles import PROFILES
    from shipper.stamps import system_zone

    if profile not in PROFILES:
        notes = [*reading.did_you_mean(profile, PROFILES), f"the profiles: {', '.join(PROFILES)}"]
        raise Failure("U106", f"there is no profile '{profile}'", notes=notes)
    zone = reading.zone_of(timezone)
    now = datetime.now(zone or system_zone())
    ends: list[int | None] = []
    for name, text, read in (("--since", since, window.since), ("--until", until, window.until)):
        end = read(text, now.tzinfo or system_zone(), now.date()) if text else None
        if text and end is None:
            raise Failure("U103", f"'{text}' is not a date or time", place=name, notes=["for example 2026-03-31 or 2026-03-31T10:20"])
        ends.append(end)
    first, last = ends
    if first is not None and last is not None and first >= last:
        raise Failure("U109", f"--since {since} is not before --until {until}")
    return Options(
        profile=PROFILES[profile],
        zone=zone,
        fields=reading.fields_of(fields, option_file),
        only=reading.format_of(format),
        host=host,
        raw=raw.value,
        since=first,
        until=last,
        dedupe=dedupe,
        max_line=_size(max_line),
        observed=_observed(),
        twin=compiled.find().module,
    )


def _size(text: str) -> int:
    """`65536`, `64K`, `4M`, `1G` -> octets."""
    number, unit = text.strip().upper().removesuffix("B").removesuffix("I"), 1
    for letter, factor in (("K", 1 << 10), ("M", 1 << 20), ("G", 1 << 30)):
        if number.endswith(letter):
            number, unit = number[:-1], factor
    if not (number.isdecimal() and len(number) < 12 and 1 << 10 <= int(number) * unit <= 1 << 30):
        raise Failure("U108", f"'{text}' is not a size from 1K to 1G", place="--max-line")
    return int(number) * unit


def _observed() -> int:
    """When the records are read, for the profiles that write it. SOURCE_DATE_EPOCH makes two conversions the same."""
    fixed = os.environ.get("SOURCE_DATE_EPOCH", "")
    return int(fixed) * 1_000_000_000 if fixed.isdecimal() and len(fixed) < 11 else time.time_ns()


def _without_output(sources: list[Source], left: list[LeftOut], output: str) -> tuple[list[Source], list[LeftOut]]:
    """The sources without the output; one that would be replaced is refused, what a shell has just made for us is only left out."""
    from shipper.sources import LeftOut

    try:
        status = os.fstat(1) if output == "-" else os.stat(output)
    except OSError:
        return sources, left
    identity = (status.st_dev, status.st_ino)
    for source in sources:
        if source.identity == identity:
            if output != "-" or source.size:
                raise Failure("U107", f"'{source.name}' is an input and the output")
            left = [*left, LeftOut(source.path, "it is the output")]
    return [source for source in sources if source.identity != identity], left


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """TERM and HUP end the conversion as Ctrl-C does, with their own exit codes."""

    def stop(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _progress(sources: Sequence[Source], sink: Output, quiet: bool) -> Iterator[Watch]:
    """A bar on standard error, where that is a terminal, and the records do not go there too or to a program that may write there."""
    through = sink.name == "standard output" and not stat.S_ISREG(os.fstat(1).st_mode)
    if quiet or through or sys.stderr is None or not sys.stderr.isatty():
        yield lambda position: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    from shipper.sources import total

    columns = (BarColumn(bar_width=None), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn(compact=True))
    with Progress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False, expand=True) as bar:
        task = bar.add_task("", total=total(sources) or None)
        shown = 0.0

        def watch(position: int) -> None:
            nonlocal shown
            now = time.monotonic()
            if now - shown > 0.1:
                shown = now
                bar.update(task, completed=position, refresh=True)

        yield watch


def _what_is_kept(sink: Output) -> tuple[str, ...]:
    """Says what there is of an output that could not be finished."""
    kept = sink.keep()
    if kept:
        return (f"{sink.lines:,} records, whole lines, were kept in {kept}",)
    if sink.lines and sink.name == "standard output":
        return (f"{sink.lines:,} records, whole lines, were written to standard output",)
    return ("nothing was written",)


def _print(failures: Sequence[Failure]) -> None:
    """The first failures; of very many the others are counted."""
    for failure in failures[:SHOWN]:
        messages.print_failure(failure)
    if len(failures) > SHOWN:
        messages.write(f"and {len(failures) - SHOWN:,} more errors\n")


def _exit_code(failures: Sequence[Failure]) -> int:
    """Of several failures, the worst: an I/O error, then permission, then a missing file."""
    codes = {failure.exit for failure in failures}
    return next((code for code in (EX_IOERR, EX_NOPERM, EX_NOINPUT) if code in codes), max(codes, default=0))


def _told(account: Account, seconds: float, output: str) -> str:
    """The account, in lines of 80 columns: the last one has the sum."""
    tally = account.tally
    lines = []
    left = [one for one in account.left if not one.failure]
    lines += [f"not read: {escaped(one.path)} ({escaped(one.reason)})" for one in left[:SHOWN]]
    if len(left) > SHOWN:
        lines.append(f"not read: {len(left) - SHOWN:,} more")
    if account.empty:
        names = ", ".join(escaped(name) for name in account.empty[:3])
        lines.append(f"empty ({len(account.empty):,}): {names}{', ...' if len(account.empty) > 3 else ''}")
    if tally.kinds["unparsed"]:
        lines.append(f"could not be read ({tally.kinds['unparsed']:,}, kept as kind unparsed), the first of them:")
        for example in account.examples[: tally.kinds["unparsed"]]:
            at = f" (octet {example.offset:,})" if example.offset is not None else ""
            lines.append(messages.wrapped(f"  {escaped(example.file)}:{example.line}{at}: {escaped(example.reason)}", "    "))
    if tally.given_up:
        lines.append(f"the compiled path failed at {tally.given_up:,} lines, which were read in Python; please report that")
    others = tally.errors - tally.kinds["unparsed"]
    if others > 0:
        lines.append(f"read in part: {others:,}; their field error says what is wrong")
    kinds = ", ".join(f"{kind} {count:,}" for kind, count in sorted(tally.kinds.items(), key=lambda kind: (-kind[1], kind[0])) if count)
    if kinds:
        lines.append(messages.wrapped(f"kinds: {kinds}"))
    if tally.first and tally.last:
        lines.append(f"time: {tally.first[1]} to {tally.last[1]}")
    files = f"{account.logs:,} file{'s' if account.logs != 1 else ''}"
    processes = f", {account.jobs} {'threads' if account.threads else 'processes'}" if account.jobs > 1 else ""
    rate = f"{tally.lines / seconds:,.0f} lines/s, {tally.octets / seconds / 1e6:,.1f} MB/s" if seconds > 0 else ""
    where = "" if output == "-" else f", to {escaped(output)}"
    lines.append(messages.wrapped(f"{files} in {seconds:,.1f} s: {rate}{processes}{where}"))
    aside = tally.outside + tally.repeated
    reasons = [f"{tally.repeated:,} repeated"] * bool(tally.repeated) + [f"{tally.outside:,} outside the time"] * bool(tally.outside)
    why = f" ({', '.join(reasons)})" if reasons else ""
    lines.append(f"read {tally.lines:,} lines = {tally.written:,} written + {aside:,} set aside{why}")
    return "\n".join(lines) + "\n"
