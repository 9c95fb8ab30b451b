"""Personal data out of records, before they are rendered: addresses, user names and IP addresses as pseudonyms, masked, cut off or removed.

    amy@example.com from 192.0.2.7   ->   p:2026:mbswy3dpeblw64tm from 192.0.2.0       addresses: pseudonym, ips: truncate

A pseudonym is the HMAC-SHA-256 of what it stands for in small letters, 80 bits of it in base 32, behind the name of its key. So the same
person has the same one in every field, record and output with that key, and nobody without the key can try who it is.

What is looked for, in this order:
- the fields that are an address, a name or an IP address, and members of the log's own objects that are named so;
- what these fields have in them, wherever else in the record it stands as a word;
- what looks like an address or an IP address, and the owner of a mailbox (`user/amy/...`), in every other text.

The line itself (`raw`) is kept only where this is safe: every value that was found stands in it as it is, nothing in it is encoded, and
it could be read. Otherwise it is removed. A message id looks like an address, and is one here.
Kept as they are: times, codes, numbers, names of hosts, and the `id` unless it is to be a pseudonym, too.
"""

from __future__ import annotations

import re
from base64 import b32encode
from collections.abc import Callable, Sequence
from copy import copy
from functools import lru_cache
from hmac import digest
from ipaddress import IPv6Address
from operator import attrgetter
from typing import Any, Literal, get_type_hints

from shipper.record import KINDS, Envelope, Header, Record, Source, Unparsed

Method = Literal["keep", "pseudonym", "mask", "remove"]
IpMethod = Literal["keep", "pseudonym", "truncate", "remove"]

GONE = "***"
"""What stands in a text for what was removed."""

_ADDRESSES = frozenset("sender recipient original_recipient intermediate_address initial_address".split())
_MESSAGES = frozenset("message_id related_message_id envelope_id".split())
_NAMES = frozenset(("username", "user"))
_IPS = frozenset(("local_ip", "remote_ip", "client_ip"))
_CLOSED = frozenset("time time_zone_source event severity id raw".split())
"""Fields that are no text of the log, and the line itself."""

_KEYS = {
    **dict.fromkeys("from to sender recipient orcpt inter init rcpt mail".split(), "address"),
    **dict.fromkeys("msgid msgid-rel envid".split(), "message"),
    **dict.fromkeys("user username uid login owner account".split(), "name"),
    **dict.fromkeys("ip rip lip client clientip peer".split(), "ip"),
}
"""What members of objects are whose names are the log's own, our own syslog parameters among them."""

_PART = r"[^\s\x00-\x1f<>()\[\]{},;:\"=|@\\/&`]"
_ADDRESS = re.compile(
    rf"(?:(?<!{_PART}){_PART}+\"?|\"[^\"\n]{{1,64}}\")(?:(?:@|%40)(?:(?:(?!%40){_PART})+|\[[^\]\s]{{1,64}}\])?)+", re.IGNORECASE
)
"""A local part (what is not quoted begins where a word does, and may be the end of what was quoted), and a domain; several for what was routed in
the old way."""
_V4 = re.compile(r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}", re.ASCII)
_V6 = re.compile(r"(?:(?<=IPv6:)|(?<![\w:.]))(?=[0-9A-F]{0,4}:)[0-9A-F:.]{2,45}(?:%\w{1,16})?", re.IGNORECASE | re.ASCII)
_OWNER = re.compile(r"(?<![\w.-])(user/|(?:user|uid|username|login|owner)=)([^\s/|;,\"'<>&()\[\]]+)", re.IGNORECASE)
_ENCODED = re.compile(r"\\[ux]|&#|=\?", re.IGNORECASE)
"""Ways to write a character so that it is not found."""
_DOMAIN = re.compile(r"[\w-]+(?:\.[\w-]+)+")
_MOST = 20_000
"""Replacements that are remembered."""


class Redaction:
    """What one output does. `keep_domains`: an address keeps what is behind its `@`; `header_values`, `ids`: whether values of logged headers are
    removed, and ids pseudonyms. `key`, `key_id`: of the pseudonyms."""

    def __init__(
        self,
        *,
        addresses: Method = "keep",
        names: Method = "keep",
        ips: IpMethod = "keep",
        keep_domains: bool = False,
        header_values: bool = False,
        ids: bool = False,
        key: bytes = b"",
        key_id: str = "1",
    ) -> None:
        self._methods: dict[str, str] = {"address": addresses, "name": names, "ip": ips}
        self._hidden = {sort: method != "keep" for sort, method in self._methods.items()}
        self._personal = addresses != "keep" or names != "keep"
        self._keep_domains = keep_domains
        self._header_values = header_values
        self._ids = ids
        self._key = key
        self.prefix = f"p:{key_id}:"
        self._known: dict[tuple[str, str], str] = {}
        self._fields = {kind: _Fields(kind) for kind in KINDS}

    def __call__(self, records: Sequence[Record]) -> list[Record]:
        """The records, one for one; a record with nothing to hide is itself. None is changed in place."""
        return [self._record(record) for record in records]

    def _record(self, record: Record) -> Record:
        fields = self._fields[type(record)]
        found = _Found(self)
        own = [(name, sort, value) for (name, sort), value in zip(fields.own, fields.get_own(record), strict=True) if value]
        objects = [(name, value) for name, value in zip(fields.objects, fields.get_objects(record), strict=True) if value is not None]
        texts = fields.get_texts(record)
        for _, sort, value in own:
            found.note(sort, value)
        for _, value in objects:
            found.note_members(value)
        found.sort()
        changes: list[tuple[str, Any]] = [(name, new) for name, sort, value in own if (new := found.whole(sort, value)) != value]
        changes += [(name, new) for name, value in objects if (new := found.inside(value)) != value]
        if found.values or self.suspect("\0".join(texts)):
            changes += [
                (name, new) for name, value in zip(fields.texts, texts, strict=True) if value and (new := found.text(value)) != value
            ]
        if self._header_values and isinstance(record, Header):
            changes += [("header_value", ""), ("raw", "")]
        elif record.raw and (raw := self._raw(record, found)) != record.raw:
            changes.append(("raw", raw))
        if self._ids and record.id:
            changes.append(("id", digest(self._key, record.id.encode(errors="replace"), "sha256").hex()[:32]))
        if not changes:
            return record
        changed = copy(record)
        for name, new in changes:
            setattr(changed, name, new)
        return changed

    def _raw(self, record: Record, found: _Found) -> str:
        raw = record.raw
        if self._personal and (record.error or isinstance(record, Unparsed)):
            return ""
        new = found.text(raw)
        safe = not found.seen or (not _ENCODED.search(raw) and all(value in raw for value in found.seen))
        return new if safe else ""

    def suspect(self, text: str) -> bool:
        """Whether there is anything in a text that could be personal."""
        hidden = self._hidden
        if hidden["address"] and ("@" in text or "%40" in text):
            return True
        if hidden["ip"] and (text.count(".") > 2 or text.count(":") > 1):
            return True
        return hidden["name"] and ("/" in text or "=" in text)

    def replaced(self, sort: str, value: str, *, inside: bool = False) -> str:
        """What stands for a value; `inside` of a text, what was removed leaves a mark."""
        found = self._known.get((sort, value))
        if found is None:
            if len(self._known) >= _MOST:
                self._known.clear()
            found = self._known[sort, value] = self._made(sort, value)
        return found or GONE if inside else found

    def _made(self, sort: str, value: str) -> str:
        method = self._methods[sort]
        if method == "pseudonym":
            hashed = digest(self._key, value.lower().encode(errors="replace"), "sha256")[:10]
            return f"{self.prefix}{b32encode(hashed).decode().lower()}{self._domain(sort, value)}"
        if method == "mask":
            return f"{value[0] if len(value.partition('@')[0]) > 2 else ''}{GONE}{self._domain(sort, value)}"
        return _truncated(value) if method == "truncate" else ""

    def _domain(self, sort: str, value: str) -> str:
        """`@` and the domain of an address, where it is to be kept and is nothing else."""
        domain = value.rpartition("@")[2] if self._keep_domains and sort == "address" and "@" in value else ""
        return f"@{domain}" if domain and _DOMAIN.fullmatch(domain) and not _V4.search(domain) else ""

    def sort_of(self, sort: str, value: str) -> str:
        """As what a value is hidden: a name, or a message id, that looks like an address is one; `""` for what is a text like others."""
        if sort == "message" or (sort == "name" and "@" in value and self.hides("address")):
            return "address" if "@" in value and self.hides("address") else ""
        return sort if self.hides(sort) and (sort != "ip" or is_ip(value)) else ""

    def hides(self, sort: str) -> bool:
        """Whether such values are hidden at all."""
        return self._hidden[sort]


class _Found:
    """What was found in one record. `values`: what fields had and what stands for it in a text; `seen`: everything that was replaced and should
    stand in the line as well."""

    __slots__ = ("_addresses", "_ips", "_lower", "_names", "_redaction", "seen", "values")

    def __init__(self, redaction: Redaction) -> None:
        self._redaction = redaction
        self._addresses: list[tuple[str, str]] = []
        self._ips: list[tuple[str, str]] = []
        self._names: list[tuple[str, str]] = []
        self.values: list[tuple[str, str]] = []
        self.seen: set[str] = set()
        self._lower: set[str] = set()  # the values, in lower case

    def sort(self) -> None:
        """When all are noted: the longer goes before the shorter that may be a part of it."""
        self._lower = {value.lower() for value, _ in self.values}
        for values in (self._addresses, self._ips, self._names):
            if len(values) > 1:
                values.sort(key=_longest_first)

    def note(self, sort: str, value: str) -> None:
        """Remembers what a field has that is an address, a name or an IP address."""
        if sort == "folder":
            owner = _OWNER.match(value)
            sort, value = "name", owner[2] if owner else ""
        if value and (as_what := self._redaction.sort_of(sort, value)):
            instead = self._redaction.replaced(as_what, value, inside=True)
            self.values.append((value, instead))
            (self._addresses if "@" in value else self._ips if is_ip(value) else self._names).append((value, instead))
            self.seen.add(value)

    def note_members(self, value: Any) -> None:
        """The same for what is in an object whose names are the log's own."""
        if isinstance(value, Envelope):
            value = value.structured_data
        if isinstance(value, list):
            for one in value:
                self.note_members(one)
        elif isinstance(value, dict):
            for name, one in value.items():
                sort = _KEYS.get(name.lower())
                for text in one if isinstance(one, list) else [one]:
                    if sort and isinstance(text, str):
                        self.note(sort, text)
                    else:
                        self.note_members(text)

    def whole(self, sort: str, value: str) -> str:
        """What stands for a field that is an address, a name or an IP address; what only should be one is a text."""
        as_what = "" if sort == "folder" else self._redaction.sort_of(sort, value)
        return self._redaction.replaced(as_what, value) if as_what else self.text(value)

    def inside(self, value: Any) -> Any:
        """An object of a record, or what is in one whose names are the log's own; None for one of which nothing is left."""
        if isinstance(value, Source) and not value.peer:
            return value  # the name of our own file stays
        if isinstance(value, Envelope | Source):
            changed = copy(value)
            for name in value.__struct_fields__:
                held = getattr(value, name)
                if name == "peer":
                    held = self.whole("ip", held) if held else ""
                elif name != "file" and isinstance(held, str | dict):
                    held = self.inside(held)
                setattr(changed, name, held)
            return changed
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.inside(one) for one in value]
        if not isinstance(value, dict):
            return value
        held = {self.text(name): self._member(name, one) for name, one in value.items()}
        return {name: one for name, one in held.items() if one != ""} or None

    def _member(self, name: str, value: Any) -> Any:
        sort = _KEYS.get(name.lower())
        if sort is None:
            return self.inside(value)
        if isinstance(value, list):
            return [new for one in value if (new := self._member(name, one)) != ""]
        return self.whole(sort, value) if isinstance(value, str) and value else self.inside(value)

    def text(self, text: str) -> str:
        """A text without what was found before, and without what looks as if it should be."""
        if not self._redaction.suspect(text):
            low = text.lower()
            for value in self._lower:
                if value in low:
                    break
            else:
                return text
        done = first = self._done(text, 0)
        for value, instead in self.values:
            if len(value) > 5 and value in done and value not in instead and ("@" in value or is_ip(value)):
                done = done.replace(value, GONE)  # as a part of a word that is no address
        return done if done == first else self._done(done, 0)  # what stood against it may be a name by itself now

    def _done(self, text: str, step: int) -> str:
        """What is left after the steps from this one on: each finds some of the text, and the others go on with what is between."""
        for number in range(step, len(_STEPS)):
            pieces = _STEPS[number](self, text)
            if len(pieces) > 1:
                return "".join([piece if place % 2 else self._done(piece, number + 1) for place, piece in enumerate(pieces) if piece])
        return text

    # The steps. Each gives the text in pieces: kept, replaced, kept, ...; one piece when there is nothing for it

    def known_addresses(self, text: str) -> list[str]:
        return self._noted(self._addresses, text)

    def known_ips(self, text: str) -> list[str]:
        return self._noted(self._ips, text)

    def known_names(self, text: str) -> list[str]:
        return self._noted(self._names, text)

    def _noted(self, values: Sequence[tuple[str, str]], text: str) -> list[str]:
        pieces = [text]
        for value, instead in values:
            for place in range(len(pieces) - 1, -1, -2):
                if len(split := _split(pieces[place], value)) > 1:
                    pieces[place : place + 1] = [piece for one in split for piece in (instead, one)][1:]
        return pieces

    def addresses(self, text: str) -> list[str]:
        if not self._redaction.hides("address") or ("@" not in text and "%40" not in text):
            return [text]
        pieces, start = [], 0
        for match in _ADDRESS.finditer(text):
            whole = match[0]
            value = whole.lstrip("'*.-+!?#$~^").rstrip(".!?*'") or whole
            value = whole if value[0] in "@%" else value
            if value.partition("@")[2].isdecimal():
                continue  # the name of a structured data element
            at = match.start() + whole.index(value)
            self.seen.add(value)
            pieces += [text[start:at], self._redaction.replaced("address", value.replace("%40", "@"), inside=True)]
            start = at + len(value)
        return [*pieces, text[start:]]

    def ips_6(self, text: str) -> list[str]:
        return self._shaped(_V6, text) if self._redaction.hides("ip") and text.count(":") > 1 else [text]

    def ips_4(self, text: str) -> list[str]:
        return self._shaped(_V4, text) if self._redaction.hides("ip") and text.count(".") > 2 else [text]

    def _shaped(self, shape: re.Pattern[str], text: str) -> list[str]:
        pieces, start = [], 0
        for match in shape.finditer(text):
            value = match[0] if is_ip(match[0]) else match[0].rstrip(":.")
            if is_ip(value):
                self.seen.add(value)
                pieces += [text[start : match.start()], self._redaction.replaced("ip", value, inside=True)]
                start = match.start() + len(value)
        return [*pieces, text[start:]]

    def owners(self, text: str) -> list[str]:
        if not self._redaction.hides("name") or ("/" not in text and "=" not in text):
            return [text]
        pieces, start = [], 0
        for match in _OWNER.finditer(text):
            self.seen.add(match[2])
            pieces += [text[start : match.start(2)], self._redaction.replaced("name", match[2], inside=True)]
            start = match.end()
        return [*pieces, text[start:]]


_STEPS = (_Found.known_addresses, _Found.addresses, _Found.known_ips, _Found.ips_6, _Found.ips_4, _Found.known_names, _Found.owners)


class _Fields:
    """The fields of a kind of record: its `own` ones that are something personal, its other `texts`, and its `objects`."""

    def __init__(self, kind: type[Record]) -> None:
        hints = get_type_hints(kind)
        groups = ((_ADDRESSES, "address"), (_MESSAGES, "message"), (_NAMES, "name"), (_IPS, "ip"), (["folder"], "folder"))
        sorts = {name: sort for names, sort in groups for name in names}
        names = [name for name in kind.__struct_fields__ if hints[name] is str and name not in _CLOSED]
        self.own = [(name, sorts[name]) for name in names if name in sorts]
        self.texts = [name for name in names if name not in sorts]
        self.objects = [name for name in ("source", "syslog", "extra", "attributes") if name in kind.__struct_fields__]
        self.get_own = _getter([name for name, _ in self.own])
        self.get_texts = _getter(self.texts)
        self.get_objects = _getter(self.objects)


def _getter(names: Sequence[str]) -> Callable[[Record], tuple[Any, ...]]:
    if not names:
        return lambda record: ()
    get = attrgetter(*names)
    return get if len(names) > 1 else lambda record: (get(record),)


def _split(text: str, value: str) -> list[str]:
    """A text at each place where a value stands in it as a word, however it is written in capitals."""
    low, lower = text.lower(), value.lower()
    if len(low) != len(text) or len(lower) != len(value):
        low, lower = text, value
    at = low.find(lower)
    if at < 0:
        return [text]
    pieces, start = [], 0
    first, last = _in_a_word(value[0]), _in_a_word(value[-1])
    while at >= 0:
        end = at + len(value)
        # An address that goes on, routed over another domain, is a longer one, which the next step finds whole.
        routed = "@" in value and text.startswith("@", end)
        if routed or (first and at and _in_a_word(text[at - 1])) or (last and end < len(text) and _in_a_word(text[end])):
            at = low.find(lower, at + 1)
            continue
        pieces.append(text[start:at])
        start, at = end, low.find(lower, end)
    return [*pieces, text[start:]]


def _longest_first(pair: tuple[str, str]) -> int:
    return -len(pair[0])


def _in_a_word(character: str) -> bool:
    return character.isalnum() or character == "_"


@lru_cache(maxsize=8192)
def is_ip(text: str) -> bool:
    """Whether it is an address, or looks like one of IPv4."""
    if ":" not in text:
        return _V4.fullmatch(text) is not None
    if "::" not in text and text.count(":") < 6:
        return False
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True


def _truncated(text: str) -> str:
    """The network of an address: /24, or /48."""
    if "." in text and ":" not in text:
        return f"{text.rpartition('.')[0]}.0"
    address = IPv6Address(text.partition("%")[0])
    if address.ipv4_mapped:
        return f"::ffff:{str(address.ipv4_mapped).rpartition('.')[0]}.0"
    return str(IPv6Address(int(address) >> 80 << 80))
