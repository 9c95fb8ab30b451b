"""Octets of one connection, cut anywhere -> messages. How each is framed is seen from its beginning (RFC 6587).

    11 <13>message<13>message LF<13>message CR LF<13>message NUL          octet count · LF · LF with a CR before it · NUL

- A message that begins with digits and a blank is octet-counted; any other ends with LF, or with NUL as some senders have it: only in the first
  case may it hold them. A CR before the end, and empty lines, are nothing.
- A message longer than `max_message` octets is cut there, and the rest of it skipped: it never becomes a message of its own.
- A count of 0, or of more than `MAX_COUNT` and eight times `max_message`, is no count: octets and messages can no longer be told apart. The
  line that begins with it is the last message (`broken` says so), and whatever follows is not read.
- What stands behind the last LF when the connection ends is a message, and its error says that its end is missing.
- Memory is `max_message` octets and one piece; time is linear, however small the pieces are.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

MAX_COUNT = 1 << 20
"""Octet counts up to this are believed whatever `max_message` is."""

_COUNT = re.compile(rb"([0-9]{1,20}) ")
_MAYBE_COUNT = re.compile(rb"[0-9]{1,20}\Z")
_NOTHING = b"\r\n\0"
UNENDED = "no LF before the connection ended"


class Framed(NamedTuple):
    """A message without its framing. `error`: what is wrong with it, or `""`."""

    octets: bytes
    error: str = ""


class Framer:
    """One connection. `broken`: why it is not read on, or `""`; it is to be closed then. `twin`: the module that `compiled.find` found, or None."""

    __slots__ = ("_count", "_held", "_limit", "_no_count", "_searched", "_skipped", "_twin", "broken")

    def __init__(self, max_message: int, twin: Any = None) -> None:
        self.broken = ""
        self._twin = twin
        self._limit = max_message
        self._held = bytearray()  # from the beginning of a message on, without what was skipped
        self._count = 0  # octets of the counted message that has begun; -1: it ends with LF; 0: none has begun
        self._searched = 0  # where in `held` the search for its end goes on
        self._skipped = 0  # octets left out of it
        self._no_count = ""  # why what it begins with is no octet count

    def straight(self, octets: bytes) -> tuple[list[bytes], bytes]:
        """The next piece -> the messages that end in it, as far as nothing is wrong with one, and what is left for `feed`; without the twin that is
        all."""
        held, count = self._held, max(0, self._count)
        ends = len(held) + len(octets) >= count if self._count >= 0 else b"\n" in octets
        if self._twin is None or self._skipped or not ends:  # only where one ends, so that time stays linear
            return [], octets
        whole = bytes(held + octets) if held else octets
        messages, end = self._twin.framed(whole, self._limit, count)
        if not end:
            return [], octets
        held.clear()
        self._count = self._searched = 0
        return messages, whole[end:]

    def feed(self, octets: bytes) -> list[Framed]:
        """The next piece -> the messages that end in it, in order."""
        found: list[Framed] = []
        held = self._held
        held += octets
        at, end = 0, len(held)
        nul = -2  # where the next NUL is: -2 not looked for, -1 nowhere
        while at < end and not self.broken:
            if not self._count:
                if held[at] in _NOTHING:
                    at += 1
                    continue
                at = self._begin(at)
                if not self._count:
                    break
            if self._count > 0:
                whole = at + self._count - self._skipped
                if whole > end:
                    break
                found.append(self._framed(held[at : min(whole, at + self._limit)], self._count))
                at = whole
            else:
                if nul != -1 and nul < self._searched:
                    nul = held.find(0, self._searched)
                stop = held.find(10, self._searched, nul if nul >= 0 else end)
                stop = nul if stop < 0 else stop
                if stop < 0 and not (self._no_count and end - at > self._limit):
                    self._searched = end
                    break
                length = (stop if stop >= 0 else end) - at
                if length == self._limit + 1 and not self._skipped and held[stop - 1] == 13:
                    length -= 1
                found.append(self._framed(held[at : at + min(length, self._limit)], length + self._skipped))
                at = stop + 1
            self._count = self._skipped = 0
        if self.broken:
            held.clear()
            return found
        del held[:at]
        self._searched = max(0, self._searched - at)
        if self._count and len(held) > self._limit + 1:  # the one more may be the CR of an LF that is still to come
            self._skipped += len(held) - self._limit
            del held[self._limit :]
            self._searched = self._limit
        return found

    def close(self) -> list[Framed]:
        """The connection has ended -> the message that had not."""
        held, count, length = bytes(self._held), self._count, len(self._held) + self._skipped
        self._held.clear()
        self._count = self._skipped = 0
        if not held:
            return []
        if count > 0:
            return [Framed(held[: self._limit], f"the connection ended after {length} of the message's {count} octets")]
        message, error = self._framed(held[: self._limit], length)
        return [Framed(message, f"{error}; {UNENDED}" if error else UNENDED)]

    def _begin(self, at: int) -> int:
        """Sees how the message is framed that begins at `at`, if enough of it is there. Gives where its text begins."""
        if 48 <= self._held[at] <= 57:
            if count := _COUNT.match(self._held, at):
                number = int(count[1])
                if 0 < number <= max(MAX_COUNT, 8 * self._limit):
                    self._count = number
                    return count.end()
                self._no_count = f"column 1: {number} is no octet count; the connection was closed"
            elif _MAYBE_COUNT.match(self._held, at):
                return at
        self._count = -1
        self._searched = at
        return at

    def _framed(self, octets: bytes | bytearray, length: int) -> Framed:
        if self._no_count:
            self.broken = self._no_count
            return Framed(bytes(octets.rstrip(_NOTHING)), self._no_count)
        if length > self._limit:
            return Framed(bytes(octets), f"message of {length} octets, cut after {self._limit}")
        return Framed(bytes(octets.rstrip(_NOTHING)))
