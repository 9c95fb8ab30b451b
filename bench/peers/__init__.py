"""The peers: other log shippers that are installed here, each set up as its users would: the files beside this one are their configurations.

A configuration is a template; `@WORDS@` in it are filled in. rsyslog and syslog-ng are Debian's, unpacked beside each other; the others are
built by `build.sh`, or taken from the PATH. All are asked for the fields of a line as JSON, in the order of the log.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Literal, NamedTuple

HERE = Path(__file__).resolve().parent
Job = Literal["read", "archive", "tail", "otlp", "udp"]
"""A log once through; from a .gz; followed, with its positions kept; followed, and sent by OTLP; syslog by UDP."""


class Way(NamedTuple):
    """A peer at one job: its configuration; by what means it reads a line, in a few words; `into`: what an archive is unpacked into for it,
    nothing when it does that by itself."""

    config: str
    how: str
    into: Literal["", "stdin", "file"] = ""


class Program(NamedTuple):
    """What is the same of all uses of a program: its file below its place, and its arguments, with words as in a configuration."""

    file: str
    arguments: str
    version: str = "--version"


PROGRAMS = {
    "rsyslogd": Program("usr/sbin/rsyslogd", "-n -f @CONFIG@ -i @STATE@/pid -M @MODULES@", "-v"),
    "syslog-ng": Program(
        "usr/sbin/syslog-ng",
        "-F --no-caps -f @CONFIG@ --module-path=@MODULES@ -R @STATE@/persist -p @STATE@/pid -c @STATE@/control",
        "-V",
    ),
    "otelcol": Program("otelcol", "--config @CONFIG@"),
    "filebeat": Program("filebeat", "-c @CONFIG@ --path.home @STATE@ --strict.perms=false", "version"),
    "telegraf": Program("telegraf", "--config @CONFIG@ --non-strict-env-handling"),
    "fluent-bit": Program("fluent-bit", "--quiet -c @CONFIG@"),
    "vector": Program("vector", "--quiet --config @CONFIG@"),
}
MODULES = {"rsyslogd": "usr/lib/*/rsyslog", "syslog-ng": "usr/lib/syslog-ng/[0-9]*"}
"""Where the parts of Debian's are."""
FIELD = {"mta": "code", "service": "level"}
"""A field that every line of a log has."""


class Peer(NamedTuple):
    """One way to use an installed peer. `ways`: the jobs that it can do; `place`: the folder that it is in; `part`: of how many lines it is
    given one, as it would take minutes for all; `mark`: what its output has once for each record."""

    name: str
    program: str
    ways: dict[Job, Way]
    place: Path
    version: str = ""
    part: int = 1
    mark: bytes = b"\n"

    @property
    def file(self) -> Path:
        return self.place / PROGRAMS[self.program].file

    def environment(self) -> dict[str, str]:
        """What the unpacked programs need to find their libraries."""
        if self.program not in MODULES:
            return {}
        lib = self.place / "usr/lib"
        machines = [path.name for path in lib.glob("*-linux-gnu*")]
        places = [f"{root}/{machine}" for machine in machines for root in (lib, self.place / "lib")]
        return {"LD_LIBRARY_PATH": ":".join([*places, f"{lib}/syslog-ng"])}

    def command(self, job: Job, kind: str, state: Path, *, source: object = "", target: object = "", cpus: int = 1) -> list[str]:
        """Writes the configuration for a log of this kind (`mta`, `service`) below `state`, and says how to start the peer with it. `source`
        and `target` are files, or ports."""
        state.mkdir(parents=True)
        name = self.ways[job].config
        modules = next(self.place.glob(MODULES[self.program])) if self.program in MODULES else ""
        words = {
            "CONFIG": str(state / name),
            "MODULES": str(modules),
            "VERSION": ".".join(self.version.split(".")[:2]),
            "CPUS": str(cpus),
            "STATE": str(state),
            "INPUT": str(source),
            "OUTPUT": str(target),
            **words_of(kind),
        }
        for word in ("INPUT", "OUTPUT"):
            words[f"{word}FOLDER"], words[f"{word}NAME"] = str(Path(words[word]).parent), Path(words[word]).name
        (state / name).write_text(fill((HERE / name).read_text(), words))
        return [str(self.file), *[fill(argument, words) for argument in PROGRAMS[self.program].arguments.split()]]


def words_of(kind: str) -> dict[str, str]:
    """The expressions of a log, as the configurations have them: in a list; in the dialect of Go and Rust; for JavaScript, without names."""
    patterns = (HERE / f"{kind}.patterns").read_text().splitlines()
    words = {"KIND": kind, "HERE": str(HERE), "PATTERNS": "\n".join(f"      '{pattern}'" for pattern in patterns)}
    for word, pattern in zip(("FIRST", "SECOND"), patterns, strict=True):
        words[f"{word}BARE"] = json.dumps(re.sub(r"\(\?<\w+>", "(", pattern))
        words[f"{word}NAMES"] = json.dumps(re.findall(r"\(\?<(\w+)>", pattern))
        words[f"{word}ONIGMO"] = pattern
        words[word] = pattern.replace("(?<", "(?P<")
    return words


def fill(template: str, words: dict[str, str]) -> str:
    """A configuration, or an argument, with its words filled in."""
    return re.sub("@([A-Z]+)@", lambda match: words[match[1]], template)


def share_read(output: Path, kind: str, records: int) -> float:
    """The share of records that have a field of their line: a line that was not read is written without, or with empty ones. The Collector has
    many records in a line, and fields as OTLP has them."""
    name = re.escape(FIELD[kind]).encode()
    field = re.compile(rb'"%b": ?"[^"]|"key":"%b"' % (name, name))
    with output.open("rb") as stream:
        read = sum(len(field.findall(line)) for line in stream)
    return read / records if records else 0.0


def cache() -> Path:
    """Where Debian's are unpacked: outside the checkout, so that it stays there from run to run."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "shipper" / "peers"


def built(folder: str) -> Path:
    """Where `build.sh` puts a program of this name and version."""
    return Path(os.environ.get("SHIPPER_CI_CACHE") or Path.home() / ".cache" / "shipper-ci") / folder


def installed() -> tuple[list[Peer], list[str]]:
    """The peers that can be run here, and which cannot, each with why."""
    peers: list[Peer] = []
    missing: list[str] = []
    unpacked = subprocess.run([str(HERE / "install.sh"), str(cache())], capture_output=True, text=True, check=False)
    if unpacked.returncode:
        why = (unpacked.stderr.strip().splitlines() or ["they could not be unpacked"])[-1]
        missing.append(f"rsyslog, syslog-ng: {why}")
    else:
        peers += debian(cache() / "root")
    for peer, folder in [(collector, "otelcol-peer-0.160.0"), (filebeat, "filebeat-7.17.28"), (telegraf, "telegraf-1.37.2")]:
        one = peer(built(folder))
        if one.file.exists():
            peers.append(one)
        else:
            missing.append(f"{title(one)}: bench/peers/build.sh {one.program} builds it, where there is Go")
    for peer in (fluent_bit, vector):
        one = peer(Path())
        found = shutil.which(one.program)
        if found:
            peers.append(one._replace(place=Path(found).parent))
        else:
            missing.append(f"{title(one)}: it is not on the PATH")
    versions = [peer._replace(version=_version(peer)) for peer in peers]
    return [peer for peer in versions if peer.version], missing + [
        f"{peer.name}: it does not run here" for peer in versions if not peer.version
    ]


def title(peer: Peer) -> str:
    """The program's name, without the way in which it is used."""
    return peer.name.partition(",")[0]


def debian(root: Path) -> list[Peer]:
    rules: dict[Job, Way] = {
        "read": Way("rsyslog-rules.conf", "mmnormalize"),
        "archive": Way("rsyslog-rules.conf", "zcat into a file that imfile follows", "file"),
        "tail": Way("rsyslog-tail.conf", "mmnormalize"),
        "udp": Way("rsyslog-udp.conf", "imudp, fields of the header"),
    }
    regex: dict[Job, Way] = {
        "read": Way("syslog-ng.conf", "regexp-parser"),
        "archive": Way("syslog-ng-archive.conf", "zcat piped into stdin()", "stdin"),
        "tail": Way("syslog-ng-tail.conf", "regexp-parser"),
        "udp": Way("syslog-ng-udp.conf", "network(udp), fields of the header"),
    }
    expressions: dict[Job, Way] = {"read": Way("rsyslog-expressions.conf", "re_extract, once for each field")}
    patterndb: dict[Job, Way] = {"read": Way("syslog-ng-patterndb.conf", "db-parser")}
    return [
        Peer("rsyslog, rules", "rsyslogd", rules, root, part=2),
        Peer("rsyslog, regex", "rsyslogd", expressions, root, part=100),
        Peer("syslog-ng, regex", "syslog-ng", regex, root, part=8),
        Peer("syslog-ng, rules", "syslog-ng", patterndb, root, part=8),
    ]


def collector(place: Path) -> Peer:
    ways: dict[Job, Way] = {
        "read": Way("otelcol-read.yaml", "regex_parser"),
        "archive": Way("otelcol-archive.yaml", "compression: gzip"),
        "tail": Way("otelcol-tail.yaml", "regex_parser"),
        "otlp": Way("otelcol-otlp.yaml", "regex_parser"),
        "udp": Way("otelcol-udp.yaml", "syslog, fields of the header"),
    }
    return Peer("OTel Collector, regex", "otelcol", ways, place, part=8, mark=b'"observedTimeUnixNano"')


def filebeat(place: Path) -> Peer:
    ways: dict[Job, Way] = {
        "read": Way("filebeat-read.yml", "filestream, script"),
        "archive": Way("filebeat-archive.yml", "zcat piped into stdin, script", "stdin"),
        "tail": Way("filebeat-read.yml", "filestream, script"),
        "udp": Way("filebeat-udp.yml", "syslog, fields of the header"),
    }
    return Peer("Filebeat, regex", "filebeat", ways, place, part=50)


def telegraf(place: Path) -> Peer:
    ways: dict[Job, Way] = {
        "read": Way("telegraf-read.conf", "tail, grok"),
        "archive": Way("telegraf-archive.conf", "zcat piped into tail, grok", "stdin"),
        "tail": Way("telegraf-tail.conf", "tail, grok"),
        "udp": Way("telegraf-udp.conf", "syslog, fields of the header"),
    }
    return Peer("Telegraf, regex", "telegraf", ways, place, part=20)


def fluent_bit(place: Path) -> Peer:
    """Written from its documentation, and never run: it could not be had where this was written."""
    ways: dict[Job, Way] = {
        "read": Way("fluent-bit-read.yaml", "tail, parser"),
        "tail": Way("fluent-bit-tail.yaml", "tail, parser"),
        "udp": Way("fluent-bit-udp.yaml", "syslog, fields of the header"),
    }
    return Peer("Fluent Bit, regex", "fluent-bit", ways, place, part=8)


def vector(place: Path) -> Peer:
    """Written from its documentation, and never run: it could not be had where this was written."""
    ways: dict[Job, Way] = {
        "read": Way("vector-read.yaml", "file, parse_regex"),
        "tail": Way("vector-read.yaml", "file, parse_regex"),
        "udp": Way("vector-udp.yaml", "syslog, fields of the header"),
    }
    return Peer("Vector, regex", "vector", ways, place, part=20)


def _version(peer: Peer) -> str:
    """Empty where it does not run."""
    command = [str(peer.file), PROGRAMS[peer.program].version]
    said = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **peer.environment()})
    match = re.search(r"\d+\.\d+\.\d+", said.stdout + said.stderr)
    return match[0] if match and not said.returncode else ""
