"""The peers: Debian's rsyslog and syslog-ng, unpacked beside each other, each reading the same file as their users would set it up.

A configuration is a template here; `@WORDS@` in it are filled in. Both are asked for one JSON object a line, in the order of the log.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent


class Peer(NamedTuple):
    """One installed peer and a way to use it. `template`: its configuration; `how`: by what means it reads a line, in a few words; `part`: of
    how many lines it is given one, as it would take minutes for all."""

    name: str
    program: str
    template: str
    how: str
    unpacked: Path
    version: str = ""
    part: int = 1

    def environment(self) -> dict[str, str]:
        lib = self.unpacked / "usr/lib"
        places = [f"{root}/{machine}" for machine in _machines(lib) for root in (lib, self.unpacked / "lib")]
        return {"LD_LIBRARY_PATH": ":".join([*places, f"{lib}/syslog-ng"])}

    def command(self, kind: str, log: Path, output: Path, state: Path) -> list[str]:
        """Writes the configuration for a log of this kind (`mta`, `service`) below `state`, and says how to start the peer with it."""
        state.mkdir(parents=True)
        patterns = (HERE / f"{kind}.patterns").read_text().splitlines()
        words = {
            "KIND": kind,
            "HERE": str(HERE),
            "INPUT": str(log),
            "OUTPUT": str(output),
            "STATE": str(state),
            "VERSION": ".".join(self.version.split(".")[:2]),
            "PATTERNS": "\n".join(f"      '{pattern}'" for pattern in patterns),
        }
        config = state / self.template
        config.write_text(re.sub("@([A-Z]+)@", lambda match: words[match[1]], (HERE / self.template).read_text()))
        program = str(self.unpacked / "usr/sbin" / self.program)
        if self.program == "rsyslogd":
            modules = next(self.unpacked.glob("usr/lib/*/rsyslog"))
            return [program, "-n", "-f", str(config), "-i", str(state / "pid"), "-M", str(modules)]
        modules = next(self.unpacked.glob("usr/lib/syslog-ng/[0-9]*"))
        files = ["-R", str(state / "persist"), "-p", str(state / "pid"), "-c", str(state / "control")]
        return [program, "-F", "--no-caps", "-f", str(config), f"--module-path={modules}", *files]


def cache() -> Path:
    """Where the peers are unpacked: outside the checkout, so that it stays there from run to run."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "shipper" / "peers"


def installed() -> tuple[list[Peer], str]:
    """The peers that can be run here, and why there are none."""
    found = subprocess.run([str(HERE / "install.sh"), str(cache())], capture_output=True, text=True, check=False)
    if found.returncode:
        return [], (found.stderr.strip().splitlines() or ["they could not be unpacked"])[-1]
    root = cache() / "root"
    peers = [
        Peer("rsyslog, rules", "rsyslogd", "rsyslog-rules.conf", "mmnormalize", root),
        Peer("rsyslog, regex", "rsyslogd", "rsyslog-expressions.conf", "re_extract, once for each field", root, part=20),
        Peer("syslog-ng, regex", "syslog-ng", "syslog-ng.conf", "regexp-parser", root),
    ]
    return [peer._replace(version=_version(peer)) for peer in peers], ""


def _version(peer: Peer) -> str:
    command = [str(peer.unpacked / "usr/sbin" / peer.program), "-v" if peer.program == "rsyslogd" else "-V"]
    environment = {**os.environ, **peer.environment()}
    said = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    match = re.search(r"\d+\.\d+\.\d+", said.stdout + said.stderr)
    return match[0] if match else "?"


def _machines(lib: Path) -> list[str]:
    return [path.name for path in lib.glob("*-linux-gnu*")]
