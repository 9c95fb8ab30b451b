"""rsyslog and syslog-ng as the tests have them: one process each that listens by every transport and writes what it read as JSON lines."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import trustme

from tests.receivers.running import CACHE, Program, installed
from tests.service import free_port

PEERS = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "shipper" / "peers" / "root"
INSTALL = "tests/receivers/syslogd/install.sh"
MOST = 65536
"""Octets of a message that both are told to take."""


class Message(NamedTuple):
    """One message as the receiver has understood it; `sd`: parameters by SD-ID, each name with its values."""

    host: str
    app: str
    pid: str
    msgid: str
    facility: int
    severity: int
    time: str
    text: str
    sd: dict[str, dict[str, list[str]]]

    @property
    def uid(self) -> str:
        """The record's id, from whichever element is ours."""
        return next((found["uid"][0] for name, found in self.sd.items() if "uid" in found and name.endswith("@32473")), "")


class Certificates(NamedTuple):
    """Files of one authority: a server's for 127.0.0.1, a client's."""

    ca: str
    server: tuple[str, str]
    client: tuple[str, str]

    @classmethod
    def make(cls, folder: Path) -> Certificates:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(folder / "ca.pem"))
        pairs = []
        for name, identity in (("server", "127.0.0.1"), ("client", "shipper.example.com")):
            issued = authority.issue_cert(identity)
            certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
            certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
            issued.private_key_pem.write_to_path(str(key))
            pairs.append((str(certificate), str(key)))
        return cls(str(folder / "ca.pem"), pairs[0], pairs[1])


class Daemon:
    """What both have in common. `mutual`: clients must have a certificate. `glibc`: its Unix socket expects messages as glibc writes them, without
    a host, as both do unless they are told. The ports stay the same when it is started again."""

    def __init__(self, folder: Path, certificates: Certificates, *, mutual: bool = False, glibc: bool = False, most: int = MOST) -> None:
        installed("syslogd", "complete", INSTALL)
        installed(str(PEERS.parent), "complete", INSTALL)
        self.folder, self.certificates, self.mutual, self.glibc, self.most = folder, certificates, mutual, glibc, most
        self.udp, self.tcp, self.lf, self.tls = (free_port() for _ in range(4))
        self.unix = folder / "log"
        self.file = folder / "messages.jsonl"
        self.log = folder / "daemon.log"
        lib = PEERS / "usr/lib"
        machines = [path.name for path in lib.glob("*-linux-gnu*")]
        places = [f"{root}/{machine}" for machine in machines for root in (lib, PEERS / "lib")]
        libraries = {"LD_LIBRARY_PATH": ":".join([*places, f"{lib}/syslog-ng"])}
        self.program = Program(self.command(), self.lf, self.log, libraries, file=self.file)

    def command(self) -> list[str]:
        """Writes the configuration, and says how to start the daemon with it."""
        raise NotImplementedError

    def message(self, line: bytes) -> Message:
        """One line of its file."""
        raise NotImplementedError

    def port(self, protocol: str, framing: str = "octet") -> int:
        return {"udp": self.udp, "tls": self.tls}.get(protocol, self.lf if framing == "lf" else self.tcp)

    def lines(self) -> list[bytes]:
        """What is written by now, whole lines."""
        return self.file.read_bytes().rpartition(b"\n")[0].splitlines() if self.file.exists() else []

    def messages(self) -> Iterator[Message]:
        return map(self.message, self.lines())

    def uids(self) -> list[str]:
        """Of the messages, in the order of arrival: by a search, as 100,000 times JSON takes its time."""
        return [found.decode() for found in re.findall(rb'\[(?:mta|conn|svc|log)@32473 uid=\\"([0-9a-f]{32})\\"', b"\n".join(self.lines()))]

    def dropped(self) -> int:
        """Datagrams that the kernel has dropped because the daemon did not read them in time."""
        for line in Path("/proc/net/udp").read_text().splitlines()[1:]:
            fields = line.split()
            if int(fields[1].partition(":")[2], 16) == self.udp:
                return int(fields[12])
        return 0


class Rsyslog(Daemon):
    """rsyslogd: imudp, imtcp, imtcp with OpenSSL, mmpstrucdata."""

    def command(self) -> list[str]:
        certificate, key = self.certificates.server
        properties = {
            "host": "hostname", "app": "app-name", "pid": "procid", "msgid": "msgid", "facility": "syslogfacility",
            "severity": "syslogseverity", "text": "msg", "raw": "structured-data",
        }  # fmt: skip
        listed = "\n".join(f'  property(outname="{name}" name="{of}" format="jsonf")' for name, of in properties.items())
        tls = (
            f'streamDriver.name="ossl" streamDriver.mode="1" streamDriver.authMode="{"x509/certvalid" if self.mutual else "anon"}"'
            f' streamDriver.CAFile="{self.certificates.ca}" streamDriver.CertFile="{certificate}" streamDriver.KeyFile="{key}"'
        )
        special = "" if self.glibc else ' useSpecialParser="off" parseHostname="on"'
        path = self.folder / "rsyslog.conf"
        path.write_text(
            f"""
global(workDirectory="{self.folder}" maxMessageSize="{self.most}" net.enableDNS="off" processInternalMessages="off")
module(load="imudp")
module(load="imtcp")
module(load="imuxsock" sysSock.use="off")
module(load="mmpstrucdata")
template(name="line" type="list" option.jsonf="on") {{
{listed}
  property(outname="time" name="timereported" dateFormat="rfc3339" format="jsonf")
  property(outname="sd" name="$!rfc5424-sd" format="jsonf")
}}
ruleset(name="write" queue.type="FixedArray" queue.size="50000" queue.timeoutShutdown="5000") {{
  action(type="mmpstrucdata" sd_name.lowercase="off")
  action(type="omfile" file="{self.file}" template="line" ioBufferSize="256k" flushOnTXEnd="on")
}}
input(type="imudp" address="127.0.0.1" port="{self.udp}" rcvbufSize="16m" ruleset="write")
input(type="imtcp" address="127.0.0.1" port="{self.tcp}" ruleset="write")
input(type="imtcp" address="127.0.0.1" port="{self.lf}" ruleset="write")
input(type="imtcp" address="127.0.0.1" port="{self.tls}" ruleset="write" {tls})
input(type="imuxsock" socket="{self.unix}" ruleset="write" rateLimit.interval="0"{special})
"""
        )
        modules = [next(PEERS.glob("usr/lib/*/rsyslog")), *(CACHE / "syslogd" / "root").glob("usr/lib/*/rsyslog")]
        return [
            str(PEERS / "usr/sbin/rsyslogd"), "-n", "-f", str(path), "-i", str(self.folder / "pid"), "-M", ":".join(map(str, modules)),
        ]  # fmt: skip

    def message(self, line: bytes) -> Message:
        found: dict[str, Any] = json.loads(line)
        return Message(
            found["host"],
            found["app"],
            found["pid"],
            found["msgid"],
            int(found["facility"]),
            int(found["severity"]),
            found["time"],
            found["text"],
            {
                name: {key: value if isinstance(value, list) else [value] for key, value in parameters.items()}
                for name, parameters in json.loads(found["sd"] or "{}").items()
            },
        )


class SyslogNg(Daemon):
    """syslog-ng: the `syslog` source by every transport, and `network` for RFC 5424 in lines."""

    def command(self) -> list[str]:
        certificate, key = self.certificates.server
        peers = "required-trusted" if self.mutual else "optional-untrusted"
        path = self.folder / "syslog-ng.conf"
        flags = "" if self.glibc else " flags(syslog-protocol, expect-hostname)"
        window = "max-connections(20) log-iw-size(20000) log-fetch-limit(1000)"
        path.write_text(
            f"""
@version: 3.38
options {{
  stats-freq(0); log-msg-size({self.most}); keep-hostname(yes); chain-hostnames(no); use-dns(no); keep-timestamp(yes);
  trim-large-messages(no); frac-digits(6);
}};
source s_all {{
  syslog(ip("127.0.0.1") port({self.udp}) transport("udp") so-rcvbuf(16777216) log-iw-size(20000));
  syslog(ip("127.0.0.1") port({self.tcp}) transport("tcp") {window});
  network(ip("127.0.0.1") port({self.lf}) transport("tcp") flags(syslog-protocol) {window});
  syslog(ip("127.0.0.1") port({self.tls}) transport("tls") {window}
    tls(key-file("{key}") cert-file("{certificate}") ca-file("{self.certificates.ca}") peer-verify({peers})));
  unix-dgram("{self.unix}" so-rcvbuf(4194304) log-iw-size(20000){flags});
}};
destination d_file {{
  file("{self.file}" log-fifo-size(200000) flush-lines(100) template("$(format-json host=$HOST app=$PROGRAM pid=$PID msgid=$MSGID
    facility=int64($FACILITY_NUM) severity=int64($LEVEL_NUM) time=$ISODATE text=$MESSAGE raw=$SDATA --key .SDATA.*)\\n"));
}};
log {{ source(s_all); destination(d_file); flags(flow-control); }};
"""
        )
        files = ["-R", str(self.folder / "persist"), "-p", str(self.folder / "pid"), "-c", str(self.folder / "control")]
        modules = next(PEERS.glob("usr/lib/syslog-ng/[0-9]*"))
        return [str(PEERS / "usr/sbin/syslog-ng"), "-F", "--no-caps", "-f", str(path), f"--module-path={modules}", *files]

    def message(self, line: bytes) -> Message:
        found: dict[str, Any] = json.loads(line)
        return Message(
            found["host"],
            found["app"],
            found["pid"],
            found["msgid"],
            found["facility"],
            found["severity"],
            found["time"],
            found["text"],
            {name: {key: [value] for key, value in parameters.items()} for name, parameters in found.get("_SDATA", {}).items()},
        )


DAEMONS = {"rsyslog": Rsyslog, "syslog-ng": SyslogNg}
