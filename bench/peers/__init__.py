"""The peers: other log shippers that are installed here, each set up as its users would: the files beside this one are their configurations.

A configuration is a template; `@WORDS@` in it are filled in. rsyslog and syslog-ng are Debian's, unpacked beside each other; the OpenTelemetry
Collector is built by `otelcol/install.sh`. All are asked for the fields of a line as JSON, in the order of the log.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Literal, NamedTuple

HERE = Path(__file__).resolve().parent
Job = Literal["read", "archive", "tail", "otlp", "udp"]
"""A log once through; from a .gz; followed, with its positions kept; followed, and sent by OTLP; syslog by UDP."""


class Peer(NamedTuple):
    """One way to use an installed peer. `jobs`: the configuration for each job that it can do; `how`: by what means it reads a line, in a few
    words; `part`: of how many lines it is given one, as it would take minutes for all; `mark`: what its output has once for each record."""

    name: str
    program: Literal["rsyslogd", "syslog-ng", "otelcol"]
    how: str
    jobs: dict[Job, str]
    place: Path
    version: str = ""
    part: int = 1
    mark: bytes = b"\n"

    def environment(self) -> dict[str, str]:
        """What the unpacked programs need to find their libraries."""
        if self.program == "otelcol":
            return {}
        lib = self.place / "usr/lib"
        machines = [path.name for path in lib.glob("*-linux-gnu*")]
        places = [f"{root}/{machine}" for machine in machines for root in (lib, self.place / "lib")]
        return {"LD_LIBRARY_PATH": ":".join([*places, f"{lib}/syslog-ng"])}

    def command(self, job: Job, kind: str, state: Path, *, source: object = "", target: object = "", cpus: int = 1) -> list[str]:
        """Writes the configuration for a log of this kind (`mta`, `service`) below `state`, and says how to start the peer with it. `source`
        and `target` are files, or ports."""
        state.mkdir(parents=True)
        config = state / self.jobs[job]
        config.write_text(
            fill((HERE / self.jobs[job]).read_text(), kind, source=source, target=target, state=state, cpus=cpus, version=self.version)
        )
        if self.program == "otelcol":
            return [str(self.place / self.program), "--config", str(config)]
        program = str(self.place / "usr/sbin" / self.program)
        if self.program == "rsyslogd":
            modules = next(self.place.glob("usr/lib/*/rsyslog"))
            return [program, "-n", "-f", str(config), "-i", str(state / "pid"), "-M", str(modules)]
        modules = next(self.place.glob("usr/lib/syslog-ng/[0-9]*"))
        files = ["-R", str(state / "persist"), "-p", str(state / "pid"), "-c", str(state / "control")]
        return [program, "-F", "--no-caps", "-f", str(config), f"--module-path={modules}", *files]

    def read(self, kind: str, output: Path, records: int) -> float:
        """The share of the records in its output whose line it could read."""
        return share_read(output, self.program, kind, records)


def fill(template: str, kind: str, *, source: object, target: object, state: Path, cpus: int, version: str) -> str:
    """A configuration with its words filled in."""
    patterns = (HERE / f"{kind}.patterns").read_text().splitlines()
    words = {
        "KIND": kind,
        "HERE": str(HERE),
        "INPUT": str(source),
        "FOLDER": str(Path(str(source)).parent),
        "OUTPUT": str(target),
        "PORT": str(source),
        "STATE": str(state),
        "CPUS": str(cpus),
        "VERSION": ".".join(version.split(".")[:2]),
        "PATTERNS": "\n".join(f"      '{pattern}'" for pattern in patterns),
        "FIRST": patterns[0].replace("(?<", "(?P<"),
        "SECOND": patterns[1].replace("(?<", "(?P<"),
    }
    return re.sub("@([A-Z]+)@", lambda match: words[match[1]], template)


def share_read(output: Path, program: str, kind: str, records: int) -> float:
    """The share of records that have a field of their line: the Collector keeps a line without its fields, the others write an empty object,
    or say that it was not read."""
    with output.open("rb") as stream:
        if program == "otelcol":
            field = b'"key":"code"' if kind == "mta" else b'"key":"level"'
            read = sum(line.count(field) for line in stream)
        else:
            read = sum(not any(mark in line for mark in (b"{}\n", b'"unparsed-data"', b'"time":""')) for line in stream)
    return read / records if records else 0.0


def cache() -> Path:
    """Where the peers are unpacked: outside the checkout, so that it stays there from run to run."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "shipper" / "peers"


def installed() -> tuple[list[Peer], list[str]]:
    """The peers that can be run here, and which cannot, each with why."""
    peers: list[Peer] = []
    missing: list[str] = []
    unpacked = subprocess.run([str(HERE / "install.sh"), str(cache())], capture_output=True, text=True, check=False)
    if unpacked.returncode:
        why = (unpacked.stderr.strip().splitlines() or ["they could not be unpacked"])[-1]
        missing.append(f"rsyslog, syslog-ng: {why}")
    else:
        peers += _debian(cache() / "root")
    built = Path(os.environ.get("SHIPPER_CI_CACHE") or Path.home() / ".cache" / "shipper-ci") / "otelcol-peer-0.160.0"
    if (built / "otelcol").exists():
        peers.append(_collector(built))
    else:
        missing.append("OpenTelemetry Collector: bench/peers/otelcol/install.sh builds it, where there is Go")
    found = [peer._replace(version=_version(peer)) for peer in peers]
    return [peer for peer in found if peer.version], missing + [f"{peer.name}: it does not run here" for peer in found if not peer.version]


def _debian(root: Path) -> list[Peer]:
    rules: dict[Job, str] = {
        "read": "rsyslog-rules.conf",
        "archive": "rsyslog-rules.conf",
        "tail": "rsyslog-tail.conf",
        "udp": "rsyslog-udp.conf",
    }
    regex: dict[Job, str] = {
        "read": "syslog-ng.conf", "archive": "syslog-ng-archive.conf", "tail": "syslog-ng-tail.conf", "udp": "syslog-ng-udp.conf",
    }  # fmt: skip
    return [
        Peer("rsyslog, rules", "rsyslogd", "mmnormalize", rules, root, part=2),
        Peer("rsyslog, regex", "rsyslogd", "re_extract, once for each field", {"read": "rsyslog-expressions.conf"}, root, part=100),
        Peer("syslog-ng, regex", "syslog-ng", "regexp-parser", regex, root, part=8),
        Peer("syslog-ng, rules", "syslog-ng", "db-parser", {"read": "syslog-ng-patterndb.conf"}, root, part=8),
    ]


def _collector(place: Path) -> Peer:
    jobs: dict[Job, str] = {
        "read": "otelcol-read.yaml",
        "archive": "otelcol-archive.yaml",
        "tail": "otelcol-tail.yaml",
        "otlp": "otelcol-otlp.yaml",
        "udp": "otelcol-udp.yaml",
    }
    return Peer("OTel Collector, regex", "otelcol", "regex_parser", jobs, place, part=8, mark=b'"observedTimeUnixNano"')


def _version(peer: Peer) -> str:
    """Empty where it does not run."""
    if peer.program == "otelcol":
        command = [str(peer.place / peer.program), "--version"]
    else:
        command = [str(peer.place / "usr/sbin" / peer.program), "-v" if peer.program == "rsyslogd" else "-V"]
    said = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **peer.environment()})
    match = re.search(r"\d+\.\d+\.\d+", said.stdout + said.stderr)
    return match[0] if match and not said.returncode else ""
