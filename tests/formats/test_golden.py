"""Golden files: real-looking lines in, the records expected for each of them out.

    tests/formats/<format>/<case>/input.log        the lines, as they stand in a log
                                  expected.jsonl   one native record for each, without `source`
                                  options.json     optional, see `OPTIONS`

`python -m pytest tests/formats/test_golden.py --bless` writes what is read now as what is expected; whoever does that reads the difference.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from shipper.formats import BY_NAME, Log, names
from shipper.framing import blocks
from shipper.reader import Reader
from shipper.record import Record
from shipper.stamps import Clock

HERE = Path(__file__).resolve().parent
CASES = sorted(path.parent for path in HERE.glob("*/*/input.log"))

OPTIONS = {
    "timezone": "IANA zone of stamps that name none; UTC",
    "fields": "the optional fields of MTA text records in order; told by their shape",
    "file": "the log's own name, as it stands in the mail server's log directory; none",
    "date": "[year, month, day] of the first line, where it cannot be read in the log; none",
    "host": "the host of lines that name none; none",
    "raw": "which records keep their line: always, errors or never; errors",
    "format": "the only format to read; all, as the lines have them",
}
"""What `options.json` may say, and what holds without it."""

SIZES = (1, 2, 7, 61, 4096)
"""Octets a chunk: odd ones, so that lines, CR LF and characters are cut anywhere."""


def reader_of(case: Path) -> Reader:
    options: dict[str, Any] = {}
    if (path := case / "options.json").is_file():
        options = json.loads(path.read_text("utf-8"))
    assert options.keys() <= OPTIONS.keys(), f"{path}: unknown {sorted(options.keys() - OPTIONS.keys())}; known are {sorted(OPTIONS)}"
    file = options.get("file", "")
    log = Log(
        clock=Clock(ZoneInfo(options.get("timezone", "UTC"))),
        fields=tuple(options["fields"]) if "fields" in options else None,
        service=names.service_of(file),
        host=options.get("host", ""),
        date=tuple(options["date"]) if "date" in options else None,
    )
    return Reader(log, file=file, raw=options.get("raw", "errors"), only=BY_NAME[options["format"]] if "format" in options else None)


def read(case: Path, chunks: Iterable[bytes]) -> list[dict[str, Any]]:
    """The records of a case's log, that comes in these chunks, as the JSON objects that they are written as."""
    reader = reader_of(case)
    return [plain(record) for block in blocks(chunks) for record in reader.read(block)]


def plain(record: Record) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(msgspec.json.encode(record))
    decoded.pop("source", None)
    return decoded


def pieces(octets: bytes, size: int) -> Iterator[bytes]:
    return (octets[start : start + size] for start in range(0, len(octets), size))


def name(case: Path) -> str:
    return f"{case.parent.name}/{case.name}"


@pytest.fixture(params=CASES, ids=name)
def case(request: pytest.FixtureRequest) -> Path:
    path = request.param
    assert isinstance(path, Path)
    return path


def test_every_line_becomes_the_record_that_stands_beside_it(case: Path, request: pytest.FixtureRequest) -> None:
    """The records of input.log are those of expected.jsonl: field by field, one a line, in order."""
    found = read(case, [(case / "input.log").read_bytes()])
    path = case / "expected.jsonl"
    if request.config.getoption("--bless"):
        path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in found), "utf-8")
    expected = [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]
    for number, (is_, should_be) in enumerate(zip(found, expected, strict=False), 1):
        assert is_ == should_be, f"{case / 'input.log'}:{number}"
    assert len(found) == len(expected), f"{case}: {len(found)} records, {len(expected)} expected"


def test_where_the_stream_is_cut_makes_no_difference(case: Path) -> None:
    """One chunk, a chunk for each line, or chunks of any odd size: the same records, with the same ids."""
    octets = (case / "input.log").read_bytes()
    whole = read(case, [octets])
    assert read(case, octets.splitlines(keepends=True)) == whole
    for size in SIZES:
        assert read(case, pieces(octets, size)) == whole, f"chunks of {size} octets"


def test_a_line_that_damage_ends_early_is_still_one_record(case: Path) -> None:
    """Every line of the log cut after any of its characters, and what is left out in front, gives one record and no internal error."""
    octets = (case / "input.log").read_bytes()
    if octets[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        pytest.skip("its lines cannot be told apart by octets")
    for line in octets.split(b"\n"):
        if len(line) > 2000:
            continue
        damaged = [line[:end] for end in range(1, len(line))] + [line[start:] for start in range(1, len(line))]
        records = read(case, [b"\n".join(damaged)]) if damaged else []
        assert len(records) == len(damaged)
        assert not [record for record in records if "internal error" in record.get("error", "")], line


def test_only_cases_stand_in_the_directories() -> None:
    """No expected.jsonl without its input.log, no directory that the loader passes over."""
    for directory in HERE.glob("*/*/"):
        if directory.name != "__pycache__":
            assert (directory / "input.log").is_file(), directory
