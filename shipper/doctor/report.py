"""The report as text: what was read, what goes where, and the findings, each with its place and the line to add."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from shipper.doctor.examine import Finding, Report
from shipper.mailserver.settings import Setting
from shipper.screen import escaped

SECTIONS = (
    ("nothing", "Nothing is logged"),
    ("questions", "What cannot be answered"),
    ("twice or never", "What comes twice, or only once"),
    ("alarm", "What means an alarm"),
    ("retention", "How long logs stay"),
    ("files", "Files and zone"),
)
ROLES = {
    "tailor": "tailor file",
    "option_file": "MTA options",
    "channels": "channels",
    "dispatcher": "dispatcher",
    "configutil": "store and services",
}


def lines(report: Report, width: int) -> Iterator[str]:
    """The text, line by line; `width`: cells of a line. Paths, and lines to add, stay in one piece."""
    yield "Read"
    for option, title in ROLES.items():
        path = report.found.settings.get(option)
        yield f"  {title:<20} {escaped(str(path)) if path else 'not found'}"
    logs = report.found.logs
    total = sum(log.size for log in logs)
    where = f"{escaped(str(report.found.directory))}: {len(logs)} files, {total:,} octets" if report.found.directory else "not found"
    yield f"  {'logs':<20} {where}"
    if report.zone:
        yield f"  {'zone of the stamps':<20} {escaped(report.zone)}"
    yield ""
    yield "What is logged where"
    for row in report.rows:
        yield from _wrapped(f"{row.what:<20} {escaped(row.where)}", 2, width, 23)
        yield from _wrapped(escaped(", ".join(map(short, row.by))), 25, width)
    for about, title in SECTIONS:
        findings = [finding for finding in report.findings if finding.about == about]
        if findings:
            yield ""
            yield title
            for finding in findings:
                yield from _finding(finding, width)
    yield ""
    yield _verdict(report.findings)


def _wrapped(text: str, indent: int, width: int, further: int | None = None) -> list[str]:
    """Lines of at most `width` cells where their words allow it; those after the first begin at `further`."""
    first, rest = " " * indent, " " * (indent if further is None else further)
    return textwrap.wrap(text, width, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False)


def short(setting: Setting) -> str:
    """`LOG_MESSAGES_SYSLOG=22 (option.dat:9)`: the file's name is enough where all files are listed above."""
    place = setting.place
    where = f"{place.file.rpartition('/')[2]}:{place.line}" if place and place.line else "default"
    return f"{setting.name}={setting.written or setting.value} ({where})"


def _finding(finding: Finding, width: int) -> Iterator[str]:
    yield from _wrapped(f"{finding.level}: {escaped(finding.what)}", 2, width, 4)
    yield from _wrapped(escaped(finding.why), 4, width)
    if finding.place:
        yield f"    --> {escaped(finding.place)}"
    for line in finding.fix:
        yield f"      + {escaped(line)}"


def _verdict(findings: Sequence[Finding]) -> str:
    words = (("error", "error", "errors"), ("warning", "warning", "warnings"), ("advice", "piece of advice", "pieces of advice"))
    counts = []
    for level, one, more in words:
        if number := sum(finding.level == level for finding in findings):
            counts.append(f"{number} {one if number == 1 else more}")
    return ", ".join(counts) if counts else "Nothing to add: every question that these logs can answer, they do."


def document(report: Report) -> dict[str, Any]:
    """The same for programs."""
    return {
        "settings": {name: str(path) for name, path in report.found.settings.items()},
        "logs": str(report.found.directory) if report.found.directory else None,
        "timezone": report.zone or None,
        "records": [{"what": row.what, "where": row.where, "by": [str(setting) for setting in row.by]} for row in report.rows],
        "findings": [
            {
                "level": finding.level,
                "about": finding.about,
                "what": finding.what,
                "why": finding.why,
                "add": list(finding.fix),
                "place": finding.place,
            }
            for finding in report.findings
        ],
        "settings_problems": [
            {
                "level": "warning" if problem.warning else "error",
                "number": problem.number,
                "what": problem.message,
                "notes": list(problem.notes),
                "place": str(problem.place),
            }
            for problem in (*report.server.problems, *report.server.warnings)
        ],
    }
