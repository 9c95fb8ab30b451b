"""Debug masks of the dispatcher: 32 bits in hexadecimal (`FFFFFFFF`, `0x1004`, `1004`), `-1` for all (seed, table 21-3)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from shipper.knowledge.base import CERTAIN, ELSE, LIKELY, Meaning, Subject

BITS: dict[int, str] = {
    0x1: "main module of the dispatcher, basic",
    0x2: "main module of the dispatcher, extra",
    0x4: "the dispatcher's configuration file",
    0x8: "miscellany of the dispatcher, basic",
    0x10: "services, basic",
    0x20: "services, extra",
    0x40: "services: what concerns processes",
    0x80: "not used",
    0x100: "talk between dispatcher and processes, basic",
    0x200: "talk between dispatcher and processes, extra",
    0x400: "communication, packet by packet",
    0x800: "not used",
    0x1000: "worker processes, basic",
    0x2000: "worker processes, extra",
    0x4000: "worker processes: above all the handing over of connections",
    0x8000: "not used",
    0x10000: "input and output between worker processes and dispatcher, basic",
    0x20000: "input and output between worker processes and dispatcher, extra",
    0x100000: "statistics, basic",
    0x200000: "statistics, extra",
    0x1000000: "connections that PORT_ACCESS refuses are written to dispatcher.log",
}
_ALL = 0xFFFFFFFF
_WORD = re.compile(r"(?:0x|x ?(?=[0-9a-f]{5}))?([0-9a-f]+)", re.IGNORECASE)
"""The table itself writes `x 00001`; a shorter `x401` is an error number of ours."""
_SETTING = re.compile(r"(?:IMTA_DISPATCHER_DEBUG|DEBUG)\s*=\s*(.*)", re.IGNORECASE)


def mask_of(word: str) -> int | None:
    """`FFFFFFFF`, `0x1004`, `x 00001`, `-1` -> the mask; None when it is not written like one or has more than 32 bits."""
    if re.fullmatch(r"-[0-9]{1,10}", word) and word.isascii():
        number = int(word)
        return number & _ALL if -0x80000000 <= number < 0 else None
    shape = _WORD.fullmatch(word)
    if not shape or not word.isascii() or len(shape[1].lstrip("0")) > 8:
        return None
    return int(shape[1], 16)


def _bits(mask: int) -> tuple[tuple[str, str], ...]:
    if mask == _ALL:
        return tuple((f"0x{bit:x}", text) for bit, text in BITS.items())
    set_ = [1 << shift for shift in range(32) if mask >> shift & 1]
    return tuple((f"0x{bit:x}", BITS.get(bit, "not in the table of bits")) for bit in set_)


def meanings(word: str) -> list[Meaning]:
    setting = _SETTING.fullmatch(word)
    value = setting[1].strip() if setting else word
    if word.upper() in ("DEBUG", "IMTA_DISPATCHER_DEBUG"):
        file = word.upper() == "DEBUG"
        title = "option of dispatcher.cnf: how much the dispatcher tells" if file else "environment variable: the dispatcher's debug mask"
        about = (
            "A mask of 32 bits; `DEBUG=-1` in dispatcher.cnf, or FFFFFFFF in the variable IMTA_DISPATCHER_DEBUG, sets all of them.",
            "The output goes to dispatcher.log in the MTA's log directory.",
        )
        rank = CERTAIN if word.isupper() else LIKELY + 1
        return [Meaning("dispatcher setting", word.upper(), title, about, _bits(_ALL), see=("DEBUG=-1", "0x1004"), rank=rank)]
    mask = mask_of(value)
    if mask is None:
        if setting:
            return [Meaning("dispatcher setting", word, "not a mask: up to 8 hexadecimal digits, or -1, are expected")]
        return []
    count = mask.bit_count()
    amount = "everything" if mask == _ALL else "nothing" if not mask else "one bit" if count == 1 else f"{count} bits"
    title = f"{amount}; as 32 bits 0x{mask:08X}"
    notes = ["The digits are read as hexadecimal, as the variable IMTA_DISPATCHER_DEBUG has them."]
    if value.startswith("-"):
        notes = ["As a number of 32 bits with a sign, as the option DEBUG of dispatcher.cnf takes it."]
    unknown = [f"0x{bit:x}" for bit in _set(mask) if bit not in BITS]
    if mask == _ALL:
        notes.append("The table names 21 of the 32 bits, three of them as not used; the rest have no meaning there.")
    elif unknown:
        plural = "s" if len(unknown) > 1 else ""
        notes.append(f"The table has no bit{plural} {', '.join(unknown)}.")
    # A bare word of a few hexadecimal digits is a mask only if it is nothing else: `EEC` and `250` are better known as something else.
    certain = setting or value[:1] in "xX-" or value[:2] in ("0x", "0X") or len(value) == 8
    rank = CERTAIN if certain else LIKELY if len(value) > 3 and value.isdigit() else ELSE
    return [Meaning("dispatcher debug mask", word, title, tuple(notes), _bits(mask), see=("DEBUG",), rank=rank)]


def _set(mask: int) -> list[int]:
    return [1 << shift for shift in range(32) if mask >> shift & 1]


def words() -> Iterable[str]:
    return ["FFFFFFFF", "DEBUG=-1", "IMTA_DISPATCHER_DEBUG", "DEBUG"]


SUBJECT = Subject("dispatcher debug masks", ("FFFFFFFF", "-1", "0x1004", "DEBUG=-1"), meanings, words)
