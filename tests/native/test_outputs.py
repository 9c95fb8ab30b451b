"""Many inputs, and outputs of several kinds at once: with the twin a service gives to each what it gives without it."""

from __future__ import annotations

import json
import random
import re
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from shipper import compiled
from tests.native.differ import Seeds, headed, log_of
from tests.outputs.bad_server import BadServer, Request
from tests.service import TELEMETRY, Running, free_port, status

MODULE, WHY = compiled.find()
pytestmark = pytest.mark.skipif(MODULE is None, reason=f"no compiled twin: {WHY}")

PARTS = 3
"""Portions of what comes by each input; each is a batch at least."""
NATIVE = "  native: {type: jsonl, path: HOME/native.jsonl, profile: native, takes: all}\n"
ECS = "  ecs: {type: jsonl, path: HOME/ecs.jsonl, profile: ecs, takes: all}\n"
REDACT = "{addresses: mask, names: mask, ips: truncate, headers: remove}"
REDACTED = f"  redacted: {{type: jsonl, path: HOME/redacted.jsonl, profile: native, takes: all, redact: {REDACT}}}\n"
OTLP = "  otlp: {type: otlp, endpoint: 'URL', compression: none, batch: {records: 700}, takes: all}\n"
RELAY = "  relay: {type: syslog, protocol: tcp, port: PORT, framing: lf, enterprise: 99999, host: localhost, takes: all}\n"
BY_FIELD = "routes:\n  - when: {code: [E, D, DE]}\n    to: [otlp, relay]\n  - when: {kind: connection}\n    drop: yes\n"
CHANGED = (
    "routes:\n  - when: {code: [D, J]}\n    set: {severity: err, tag: route}\n  - when: {kind: syslog}\n    to: [otlp, native, relay]\n"
)
SETTINGS = "mailserver: {settings: {LOG_MESSAGES_SYSLOG: -22, LOG_CONNECTIONS_SYSLOG: 20, logfile.imap.syslogfacility: local3}}\n"
PLANS = {
    "all": NATIVE + ECS + OTLP + RELAY,
    "ecs": ECS + OTLP + RELAY,
    "payloads": OTLP + RELAY,
    "redacted": REDACTED + NATIVE + OTLP,
    "changed": NATIVE + OTLP + RELAY,
    "settings": ECS + OTLP + RELAY.replace("takes: all", "takes: settings"),
}
MORE = {"ecs": BY_FIELD, "changed": CHANGED, "settings": SETTINGS}


class Relay:
    """Takes what comes by TCP, lines."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._reading: list[threading.Thread] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self._reading.append(threading.Thread(target=self._read, args=(connection,), daemon=True))
            self._reading[-1].start()

    def _read(self, connection: socket.socket) -> None:
        octets = b""
        with connection:
            while some := connection.recv(1 << 16):
                octets += some
        self.received += octets.splitlines(keepends=True)

    def end(self) -> None:
        """All that was sent is read."""
        for thread in self._reading:
            thread.join(10)

    def close(self) -> None:
        self._listening.close()


class Service(Running):
    """With inputs of all kinds that are read in order, and the outputs of a plan."""

    def __init__(self, home: Path, plan: str, inputs: str, native: str) -> None:
        self.home, self.plan, self.inputs = home, plan, inputs
        self.bodies: list[bytes] = []
        self.otlp = BadServer([self._taken]).__enter__()
        self.relay = Relay()
        self.port = free_port()
        super().__init__(home, self.config_of(plan), SHIPPER_NATIVE=native)

    def config_of(self, plan: str) -> str:
        outputs = PLANS[plan].replace("HOME", str(self.home)).replace("URL", self.otlp.url).replace("PORT", str(self.relay.port))
        files = f"  mail: {{type: file, paths: ['{self.home}/in/*'], poll: 50ms}}\n"
        net = f"  net: {{type: syslog, listen: ['tcp://127.0.0.1:{self.port}']}}\n  local: {{type: syslog, listen: ['unix://{self.home}/s']}}\n"
        return (
            f"state: {self.home}/state\ntimezone: Europe/Berlin\n{TELEMETRY}{MORE.get(plan, '')}"
            f"inputs:\n{files if self.inputs == 'files' else net}outputs:\n{outputs}"
        )

    def send(self, part: int, content: dict[str, list[list[bytes]]]) -> None:
        """A portion for each input."""
        if self.inputs == "files":
            for name in ("mail.log", "xml.log", "imap"):
                with (self.home / "in" / name).open("ab") as log:
                    log.write(b"\n".join(content[name][part]) + b"\n")
            return
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            for message in content["net"][part]:
                connection.sendall(b"%d %b" % (len(message), message))
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as local:
            for message in content["local"][part]:
                local.sendto(message, f"{self.home}/s")

    def _taken(self, request: Request) -> None:
        self.bodies.append(request.body)
        request.answer(200)

    def until_read(self, count: int) -> None:
        last = time.monotonic() + 60
        while (read := status(self.home / "state")["ledger"]["read"]) < count:
            assert time.monotonic() < last, f"{read} of {count}"
            time.sleep(0.02)
        assert read == count

    def received(self) -> dict[str, list[str]]:
        """What each output has got, sorted, without the times of reading; of a record that has no time itself, without any."""
        found: dict[str, list[str]] = {}
        for path in sorted(self.home.glob("*.jsonl")):
            found[path.name] = [self._same(line) for line in path.read_text("utf-8", "surrogatepass").splitlines()]
        timeless: set[str] = set()
        otlp = found["otlp"] = []
        for body in self.bodies:
            for logs in ExportLogsServiceRequest.FromString(body).resource_logs:
                for scope in logs.scope_logs:
                    for record in scope.log_records:
                        assert record.observed_time_unix_nano
                        record.observed_time_unix_nano = 0
                        if not record.time_unix_nano:
                            timeless.update(each.value.string_value for each in record.attributes if each.key == "log.record.uid")
                        otlp.append(self._same(f"{logs.resource} {record}"))
        self.relay.end()
        relay = found["relay"] = []
        for line in self.relay.received:
            uid = re.search(rb'uid="([^"]*)"', line)
            assert uid and line.endswith(b"\n"), line
            text = line.decode("utf-8", "backslashreplace")
            relay.append(self._same(re.sub(r"^(<\d+>1) \S+", r"\1 -", text) if uid[1].decode() in timeless else text))
        return {name: sorted(lines) for name, lines in found.items()}

    def _same(self, text: str) -> str:
        text = text.replace(str(self.home), "HOME")
        if '"created":"' not in text:
            return text
        document = json.loads(text)
        del document["event"]["created"]
        if "time_unknown" in document.get("tags", ()):
            del document["@timestamp"]
        return json.dumps(document)


def parts(lines: list[bytes]) -> list[list[bytes]]:
    size = len(lines) // PARTS + 1
    return [lines[begin : begin + size] for begin in range(0, len(lines), size)]


def content_of(pool: Seeds, seed: str) -> dict[str, list[list[bytes]]]:
    """Damaged lines for every input; of syslog behind headers, most of them, with identical ones."""
    rng = random.Random(seed)
    found: dict[str, list[list[bytes]]] = {"mail.log": parts(log_of(rng, pool, 2500).split(b"\n"))}
    found["xml.log"] = parts(rng.choices(pool.generated["mta_xml"], k=700))
    found["imap"] = parts(rng.choices(pool.service, k=900))
    for name in ("net", "local"):
        lines = [line for _ in range(3) for line in log_of(rng, pool, 600).split(b"\n")]
        form = rng.randrange(1, 5)
        lines += [headed(line, form if rng.randrange(20) else 1) for line in rng.sample(pool.mta, 900) + rng.sample(pool.service, 300)]
        lines += [b"<%d>Oct 30 12:00:%02d mail sshd[7]: session %d" % (rng.randrange(192), n % 60, n // 7) for n in range(400)]
        cut = [line.rstrip(b"\r\n\0")[:2000] for line in lines]
        found[name] = parts([line for line in cut if len(line) > 3])
    return found


@contextmanager
def short() -> Iterator[Path]:
    """A directory with a name that is short enough for a socket in it."""
    home = Path(tempfile.mkdtemp(prefix="s"))
    try:
        yield home
    finally:
        shutil.rmtree(home)


def through(plan: str, inputs: str, native: str, content: dict[str, list[list[bytes]]], then: str = "") -> dict[str, list[str]]:
    """What the outputs get. `then`: the plan that is taken after the first portion."""
    names = ("mail.log", "xml.log", "imap") if inputs == "files" else ("net", "local")
    with short() as home:
        service = Service(home, plan, inputs, native)
        try:
            service.until_told("running")
            sent = 0
            for part in range(PARTS):
                service.send(part, content)
                sent += sum(len(content[name][part]) for name in names)
                service.until_read(sent)
                if then and part == 0:
                    service.plan = then
                    service.config.write_text(service.config_of(then))
                    service.process.send_signal(signal.SIGHUP)
                    service.until_told("configuration taken")
            assert service.stop() == 0, service.told
            return service.received()
        finally:
            if service.process.poll() is None:
                service.stop(signal.SIGKILL)
            service.relay.close()
            service.otlp.__exit__()


@pytest.mark.parametrize("inputs", ["files", "syslog"])
@pytest.mark.parametrize("plan", ["all", "changed", "settings", "ecs, then redacted", "payloads, then all"])
def test_each_output_gets_the_same(plan: str, inputs: str, pool: Seeds) -> None:
    """Over several batches of each input, whatever else is rendered of them; also where another plan is taken between two batches."""
    first, _, then = plan.partition(", then ")
    content = content_of(pool, plan)
    with ThreadPoolExecutor(2) as side_by_side:
        python, twin = side_by_side.map(lambda native: through(first, inputs, native, content, then), ("0", "1"))
    assert python.keys() == twin.keys()
    for output, lines in python.items():
        more, fewer = Counter(twin[output]) - Counter(lines), Counter(lines) - Counter(twin[output])
        assert not (more or fewer), f"{output}: {more.total()} of {len(lines)}, {[*more][:1]}; and not {fewer.total()}, {[*fewer][:1]}"
