"""The report as a configuration that `check` takes and `run` runs, with a comment for whatever somebody has to decide.

It reads every log that the server writes, receives what goes to syslog only, and writes JSON lines. Without a receiver for syslog its one output
takes everything, whatever the settings say: what no receiver is named for is not dropped.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from shipper.doctor.examine import Report
from shipper.mailserver.destinations import CONNECTIONS, MESSAGES

RECEIVE = "127.0.0.1:5514"
"""Where the configuration listens for what the server sends to syslog."""
_PLAIN = re.compile(r"[A-Za-z/][\w./+@-]*", re.ASCII)


def configuration(report: Report, *, state: Path, output: Path, user: str = "", syslog: str = "") -> str:
    """The text. `state` and `output`: the service's directory and the file with the records; `user`: to become, `""` for none; `syslog`: HOST:PORT
    of who receives syslog, `""` for nobody yet."""
    return "\n".join(_lines(report, state, output, user, syslog)) + "\n"


def _lines(report: Report, state: Path, output: Path, user: str, syslog: str) -> Iterator[str]:
    found = report.found
    yield "# Made by `shipper doctor` from the mail server's own settings, which are read again at each start and on HUP."
    yield "# shipper check says whether it is good, shipper routes what goes where, shipper run runs it. Every option: conf/shipper.yaml."
    yield ""
    yield f"state: {_text(state)}"
    if report.zone:
        yield f"timezone: {_text(report.zone)}     # of the MTA's stamps, which name none"
    else:
        yield "# The zone of the MTA's stamps, which name none; without it this machine's is taken."
        yield "#timezone: Europe/Berlin"
    if named := report.server.settings.get("local.hostname"):
        yield f"host: {_text(named.value)}     # of records that name none, as the MTA's"
    if user:
        yield f"user: {_text(user)}     # to become when started as root: the owner of the logs"
    yield ""
    if found.settings:
        yield "mailserver:"
        for option, path in found.settings.items():
            yield f"  {option}: {_text(path.absolute())}"
        yield ""
    yield "inputs:"
    yield from _inputs(report)
    yield ""
    yield "outputs:"
    yield "  records:"
    yield "    type: jsonl"
    yield f"    path: {_text(output)}"
    if report.facilities() and syslog:
        yield "    # It follows the settings: what goes to syslog only is not in it."
    else:
        if report.facilities():
            yield "    # The settings send some of it to syslog only; as no receiver is named, everything is written here."
        yield "    takes: all"
    yield "    rotate_size: 256MB"
    if report.facilities():
        host, _, port = (syslog or "siem.example.com:514").rpartition(":")
        comment = "" if syslog else "#"
        yield "" if syslog else "  # Who receives what the settings send to syslog; see shipper doctor --syslog HOST:PORT."
        yield f"{comment}  syslog:"
        yield f"{comment}    type: syslog"
        yield f"{comment}    host: {_text(host.strip('[]'))}"
        yield f"{comment}    port: {port}"


def _inputs(report: Report) -> Iterator[str]:
    found = report.found
    directory = found.directory.absolute() if found.directory else None
    any_input = False
    if directory is not None:
        if found.of("mta") or report.server.number(MESSAGES) >= 0 or report.server.number(CONNECTIONS) >= 0:
            any_input = True
            yield "  mta:"
            yield "    type: mta_log"
            yield f"    directory: {_text(directory)}"
        if found.of("service"):
            any_input = True
            yield "  services:"
            yield "    type: service_log"
            yield f"    directory: {_text(directory)}"
        if families := sorted({log.family for log in found.of("debug")}):
            any_input = True
            yield "  debug:     # of the dispatcher, the job controller, channels"
            yield "    type: file"
            yield "    paths:"
            for family in families:
                yield f"      - {_text(directory / f'{family}.log')}*"
    if report.facilities() or not any_input:
        rule = ";".join(f"{facility}.*" for facility in report.facilities() or ["mail"])
        yield f"  # What goes to syslog comes by syslog: have the server's syslogd forward it by a line `{rule} @{RECEIVE}`."
        yield "  syslog:"
        yield "    type: syslog"
        yield f"    listen: [udp://{RECEIVE}]"


def _text(value: object) -> str:
    """A YAML scalar that is read as this text."""
    text = str(value).replace("$", "$$")
    return (
        text
        if _PLAIN.fullmatch(text) and text.lower() not in ("yes", "no", "on", "off", "true", "false", "null", "y", "n")
        else json.dumps(text)
    )
