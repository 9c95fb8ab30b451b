"""Blocks of one log -> records: which format each line has, and what every record gets whatever its format.

The format that read the last line is asked first, then the others in the order of the registry. A line that no format takes may stand
behind an envelope (a syslog header, a `file:` prefix): what is inside is read the same way, and the envelope goes into the record. What is
left is `Text`.

Messages from the network are read by the same rules, each by itself: one may hold LF, has its syslog header whatever it looks like, and leaves
nothing for the next one, which may be another sender's. A time of day alone is no debug line there, as there is no date before it. Headers' stamps
have a clock of their own: bodies of several messages are read before the headers they came behind, and how many that are must say nothing about the
hour that comes twice.

This is the one place that sees octets: a line that is not UTF-8 is read as Latin-1 and says so in `error`, so that every record is text and
every octet can be had back (`octets`).
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import accumulate
from typing import Literal

from shipper import events
from shipper.formats import FORMATS, Format, Log, Opened, begins_as_syslog, debug, native, open_envelope, syslog
from shipper.formats.base import unparsed
from shipper.formats.envelope import SyslogHeader
from shipper.framing import Block
from shipper.identity import Identity, Ids
from shipper.record import Envelope, Record, Source, Text

RawPolicy = Literal["always", "errors", "never"]

NOT_UTF8 = "not UTF-8, read as Latin-1"
_BOM = "\ufeff".encode()
_PRI = re.compile(r"<[0-9]{1,3}>")
_MESSAGE_FORMATS = tuple(form for form in FORMATS if form is not debug.FORMAT)
_BODY_BEGINS = frozenset("0123456789 \t[<{")
"""How a record of ours can begin in a message: most messages of other programs need not be offered to every format."""
_BEGINS = _BODY_BEGINS | frozenset("Dd")
"""The same in a file, which can be a debug log."""
_MAX_ENVELOPES = 4
"""A `file:` prefix, a syslog header, and the same once more from a relay; deeper nesting is text."""


class Reader:
    """Reads one log. `file` or `peer` says where from; `raw` when a record keeps its line; `only` forces one format; `ids` gives the ids.
    `headers`: the clock of messages' headers."""

    def __init__(
        self, log: Log, *, file: str = "", peer: str = "", raw: RawPolicy = "errors", only: Format | None = None, ids: Ids | None = None
    ) -> None:
        self.log = log
        self.file = file
        self.peer = peer
        self.raw = raw
        self._formats = (only,) if only else FORMATS
        self._forced = only
        log.keeps_ids = only is native.FORMAT
        self._latest = self._formats[0]
        self._identity = ids or Identity()
        self.headers = log.clock.another()

    @property
    def latest(self) -> Format:
        """The format of the line before, which is asked first."""
        return self._latest

    def took(self, form: Format) -> None:
        """Somebody else has read lines, the last of which is of this format."""
        self._latest = form

    def read(self, block: Block) -> list[Record]:
        """One record for each line of the block, in order."""
        wrong: dict[int, str] = {}
        if block.data.isascii():
            raws = block.data.decode("ascii").split("\n")
            lengths = [len(raw) for raw in raws]
        else:
            frames = block.lines()
            raws = [_decode(frame, wrong, number) for number, frame in enumerate(frames)]
            lengths = [len(frame) for frame in frames]
        lines = _bare(raws) if block.data.find(b"\r") >= 0 or block.data.find(_BOM) >= 0 else raws
        if block.cut:
            wrong[0] = f"line of {len(block.data) + block.cut} octets, cut after {len(block.data)}"
        records, contents = self._records(lines)
        if block.encoding:
            starts = _offsets([len(raw.encode(block.encoding)) // 2 for raw in raws], block.offset, 2)
        else:
            starts = _offsets(lengths, block.offset, 1)
        self._finish(records, contents, raws, starts, wrong)
        return records

    def read_apart(self, frames: Sequence[bytes], starts: Sequence[int]) -> list[Record]:
        """One record for each of these lines of one block, between which others stand; `starts` are their offsets."""
        wrong: dict[int, str] = {}
        raws = [_decode(frame, wrong, number) for number, frame in enumerate(frames)]
        records, contents = self._records(_bare(raws))
        self._finish(records, contents, raws, starts, wrong)
        return records

    def read_messages(
        self,
        messages: Sequence[bytes],
        received: date,
        peers: Sequence[str],
        wrong: Mapping[int, str] | None = None,
        *,
        colonless_tag: bool = False,
    ) -> list[Record]:
        """One record for each syslog message, in order; `peers` are the addresses of their senders, `""` for a program of this machine.

        `received`: today, in the log's zone. `wrong`: what befell the message of that index on its way, for its `error`. `colonless_tag`: see
        `syslog.parse`. CR, LF and NUL at the end of a message are its framing's, and no part of it.
        """
        said = dict(wrong) if wrong else {}
        notes: dict[int, str] = {}
        texts = [_decode(message.rstrip(b"\r\n\0"), notes, number) for number, message in enumerate(messages)]
        for number, note in notes.items():
            said[number] = f"{said[number]}; {note}" if number in said else note
        read = [syslog.parse(text, received, assume_pri=True, colonless_tag=colonless_tag) for text in texts]
        headers = [SyslogHeader(message, self.log, self.headers) for message in read]
        records, contents = self._messages(headers, texts)
        sources: dict[str, Source] = {}
        for record, message, peer in zip(records, read, peers, strict=True):
            if message.pri_assumed:
                record.extra = {**(record.extra or {}), "pri_assumed": True}
            if peer:
                if record.syslog is None:
                    record.syslog = Envelope()
                record.syslog.peer = peer
            elif not record.host:
                record.host = self.log.host
            record.source = sources.get(peer) or sources.setdefault(peer, Source(peer=peer)) if peer else None
        self._settle(records, contents, texts, said)
        return records

    def _messages(self, headers: Sequence[SyslogHeader], texts: Sequence[str]) -> tuple[list[Record], Sequence[str]]:
        """The records of these messages, and what of each its id is made of: its body where that is a record, else all but its PRI, which the
        copy of the message in a file does not have.
        """
        records: list[Record] = []
        bodies = [header.inner if header.inner[:1] in _BODY_BEGINS else "" for header in headers]
        contents = list(bodies)
        position, count = 0, len(bodies)
        while position < count:
            reached = position
            if bodies[position]:
                reached = self._run(self._latest, bodies, position, records)
                if reached == position:
                    for form in _MESSAGE_FORMATS:
                        if form is not self._latest and (reached := self._run(form, bodies, position, records)) > position:
                            self._latest = form
                            break
            if reached == position:
                record, contents[position] = self._foreign(headers[position], texts[position])
                records.append(record)
                position += 1
            else:
                for index in range(position, reached):
                    headers[index].attach(records[index])
                position = reached
        return records, contents

    def _foreign(self, header: SyslogHeader, text: str) -> tuple[Record, str]:
        """A message whose body no format took by itself."""
        pri = _PRI.match(text)
        content = text[pri.end() :] if pri else text
        if body := header.body():
            return _attached(body, [header]), content
        if header.inner and open_envelope(header.inner, self.log):
            record, inner = self._enveloped(
                header.inner, self.log, _MESSAGE_FORMATS
            )  # from a relay that put a header of its own before the sender's
            if record.kind not in ("syslog", "text"):
                return _attached(record, [header]), inner
        return header.record(), content

    def state(self) -> Iterator[bytes]:
        """All that the records of the next lines can depend on, in pieces for a digest; the same for readers that will go on alike."""
        log = self.log
        plain = [getattr(log, each.name) for each in dataclasses.fields(log) if each.name != "clock"]
        yield repr((plain, log.clock.state(), self._latest.name)).encode()
        yield from self._identity.state()

    def _records(self, lines: Sequence[str]) -> tuple[list[Record], Sequence[str]]:
        """The records of these lines, and what of each line its id is made of."""
        records: list[Record] = []
        contents = lines
        position, count, log = 0, len(lines), self.log
        while position < count:
            reached = self._run(self._latest, lines, position, records)
            if reached == position and not begins_as_syslog(lines[position]):
                for form in self._formats:
                    if form is not self._latest and (reached := self._run(form, lines, position, records)) > position:
                        self._latest = form
                        break
            if reached == position:
                record, content = self._enveloped(lines[position], log)
                records.append(record)
                if content is not lines[position]:
                    if contents is lines:
                        contents = list(lines)
                    contents[position] = content  # type: ignore[index]
                reached = position + 1
            position = reached
        return records, contents

    def _run(self, form: Format, lines: Sequence[str], start: int, records: list[Record]) -> int:
        """A run of one format. A parser that raises is our bug, never the log's end: that line is set down as unparsed."""
        done = len(records)
        try:
            return form.parse_run(lines, start, self.log, records)
        except Exception as failure:
            reached = start + len(records) - done
            records.append(unparsed(f"internal error in format '{form.name}': {failure!r}"))
            return reached + 1

    def _enveloped(self, line: str, log: Log, formats: Sequence[Format] = ()) -> tuple[Record, str]:
        """A line that no format took by itself: what is inside its envelopes, and the innermost line."""
        inner = line
        opened: list[Opened] = []
        while len(opened) < _MAX_ENVELOPES and (envelope := open_envelope(inner, log)) is not None:
            opened.append(envelope)
            whole, inner = inner, envelope.inner
            found: list[Record] = []
            begins = inner[:1] in _BEGINS
            if begins and any(self._run(form, (inner,), 0, found) for form in (self._latest, *(formats or self._formats))):
                return _attached(found[0], opened), inner
            if (self._forced is None or self._forced.name == "service") and (body := envelope.body()):
                return _attached(body, opened), whole  # without its header it has no time, and its id would be that of others
        if self._forced:
            return unparsed(f"column 1: not a line of format '{self._forced.name}'"), line
        inner = line
        for envelope in opened:  # the outermost that says something, so that nothing of the line is lost
            if record := envelope.record():
                return record, inner
            inner = envelope.inner
        return Text(event=events.TEXT.name, severity=events.TEXT.severity, message=line), line

    def _finish(
        self, records: list[Record], contents: Sequence[str], raws: Sequence[str], starts: Sequence[int], wrong: dict[int, str]
    ) -> None:
        """Adds what every record has: host, source, and then as `_settle`."""
        if host := self.log.host:
            for record in records:
                record.host = record.host or host
        file, peer = self.file, self.peer
        kept = self.log.keeps_ids
        if file or peer:
            for record, start in zip(records, starts, strict=True):
                if not (kept and record.source):
                    record.source = Source(file, start if file else None, peer)
        self._settle(records, contents, raws, wrong)

    def _settle(self, records: list[Record], contents: Sequence[str], raws: Sequence[str], wrong: Mapping[int, str]) -> None:
        """Adds what went wrong before reading, the id, and the line itself where it is to be kept."""
        for number, reason in wrong.items():
            record = records[number]
            record.error = f"{record.error}; {reason}" if record.error else reason
        self._identity.assign(records, contents)
        kept = self.log.keeps_ids
        if self.raw != "never":
            always = self.raw == "always"
            for record, line in zip(records, raws, strict=True):
                if (record.error or always) and not (kept and record.raw):
                    record.raw = line


def octets(record: Record) -> bytes:
    """The octets of a record's line, from a record that has `raw`: the LF at the end (and, of a UTF-16 file, the encoding) is not in it."""
    return record.raw.encode("latin-1" if NOT_UTF8 in record.error else "utf-8")


def _attached(record: Record, opened: Sequence[Opened]) -> Record:
    """The record with what its envelopes say; the inmost first, as that is the nearest to the line."""
    for envelope in reversed(opened):
        envelope.attach(record)
    return record


def _decode(frame: bytes, wrong: dict[int, str], number: int) -> str:
    try:
        return frame.decode()
    except UnicodeDecodeError as problem:
        wrong[number] = f"octet {problem.start + 1}: {NOT_UTF8}"
        return frame.decode("latin-1")


def _bare(raws: Sequence[str]) -> list[str]:
    """Lines without the CR at their end, and without the byte order mark that a file can have been joined to another with."""
    return [raw.rstrip("\r").removeprefix("\ufeff") for raw in raws]


def _offsets(lengths: Sequence[int], first: int, unit: int) -> list[int]:
    """Offsets of lines of these lengths, in units of so many octets, each with an LF of one unit after it."""
    return list(accumulate([(length + 1) * unit for length in lengths[:-1]], initial=first))
