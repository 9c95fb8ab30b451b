"""A reader that goes on in the middle of a log, as if it had read what comes before: the lines of the last seconds there are read for what
they leave behind, and for nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from shipper.framing import blocks
from shipper.passage import portions
from shipper.reader import Reader
from shipper.tail.marks import Read
from shipper.workers import CHUNK, SECONDS, line_start

BEFORE = 1 << 16
AT_MOST = 1 << 20
"""Octets read before the position, at first and at most: 50 ms of work."""


def warmed(anew: Callable[[], Reader], descriptor: int, position: int, max_line: int) -> Reader:
    """A reader that has seen the seconds before the position of a plain file. Raises OSError."""
    size = BEFORE
    while True:
        begin = line_start(descriptor, max(0, position - size), position)
        reader = anew()
        seconds: set[str] = set()
        for block in portions(blocks(_chunks(lambda offset, size: os.pread(descriptor, size, offset), begin, position), begin, max_line)):
            records = reader.read(block)
            if len(seconds) < SECONDS:
                seconds.update(record.time[:19] for record in records)
        if begin == 0 or size >= AT_MOST or len(seconds) >= SECONDS:
            return reader
        size *= 4


def _chunks(read: Read, position: int, end: int) -> Iterator[bytes]:
    while position < end and (octets := read(position, min(CHUNK, end - position))):
        yield octets
        position += len(octets)
