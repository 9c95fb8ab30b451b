"""`python -m bench.service`: the running service: a log followed into JSON lines and to an OTLP receiver, with checkpoints and all guarantees
on, and its memory with many records waiting for a receiver that is not there.

The receiver is a process of its own that answers every request at once and looks at none of it. The service is one process on one CPU; its CPU
time and memory are the kernel's account of it, its start included.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from bench import corpus, report
from bench.measure import Cost, Failed

SHIPPER = [sys.executable, "-m", "shipper"]


class Sink(BaseHTTPRequestHandler):
    """Takes everything."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return None


@contextmanager
def sink() -> Iterator[int]:
    """The port of a receiver that runs in a process of its own."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    child = os.fork()
    if not child:
        server.serve_forever()
        os._exit(0)
    server.socket.close()
    try:
        yield server.server_port
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as end:
        return int(end.getsockname()[1])


def status(port: int) -> dict[str, Any]:
    """What the service says of itself; `{}` while it does not answer."""
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", "/status")
        return dict(json.loads(connection.getresponse().read()))
    except (OSError, ValueError):
        return {}


def follow(log: Path, lines: int, output: Mapping[str, object], scratch: Path, cpus: set[int], *, waiting: bool = False) -> Cost:
    """Runs the service until all lines are delivered (or, `waiting`, in its buffer), and stops it. Raises Failed."""
    port = free_port()
    folder = Path(tempfile.mkdtemp(dir=scratch))
    config = folder / "shipper.yaml"
    config.write_text(
        json.dumps(
            {
                "state": str(folder / "state"),
                "timezone": "UTC",
                "inputs": {"log": {"type": "file", "paths": [str(log)]}},
                "outputs": {"out": output},
                "telemetry": {"http": f"127.0.0.1:{port}"},
            }
        )
    )
    said = (folder / "said").open("wb")
    began = time.monotonic()
    child = subprocess.Popen(
        [*SHIPPER, "run", str(config), "--allow-root"], stdin=subprocess.DEVNULL, stdout=said, stderr=said,
        preexec_fn=lambda: os.sched_setaffinity(0, cpus),
    )  # fmt: skip
    try:
        while True:
            time.sleep(0.25)
            if child.poll() is not None:
                raise Failed(f"the service ended with {child.returncode}\n{(folder / 'said').read_text()[-2000:]}")
            books = [each.get("books", each) for each in status(port).get("outputs", {}).values()] if port else []
            done = sum(int(each.get("waiting" if waiting else "delivered", 0)) for each in books)
            if done >= lines:
                break
            if time.monotonic() - began > 600:
                raise Failed(f"{done:,} of {lines:,} lines after ten minutes")
        wall = time.monotonic() - began
    finally:
        child.send_signal(signal.SIGTERM if not waiting else signal.SIGKILL)
        _, _, usage = os.wait4(child.pid, 0)
        child.returncode = 0
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.service", description="How fast the running service follows a log.")
    parser.add_argument("--lines", type=int, default=200_000, help="lines of the log (default %(default)s)")
    parser.add_argument("--waiting", type=int, default=1_000_000, help="records waiting for a dead receiver (default %(default)s)")
    options = parser.parse_args()
    one = {max(os.sched_getaffinity(0))}
    with tempfile.TemporaryDirectory(prefix="shipper-bench-") as name:
        scratch = Path(name)
        report.progress("generating a log")
        log = scratch / "cut.log"
        lines = corpus.head(corpus.generated(SHIPPER, scratch, options.lines)["mta"], log, options.lines)
        memory = {"kind": "memory"}
        rows: list[tuple[str, int, Cost]] = []
        for profile in ("native", "ecs"):
            report.progress(f"log -> JSON lines, {profile}")
            target: Mapping[str, object] = {
                "type": "jsonl",
                "path": str(scratch / f"{profile}.jsonl"),
                "profile": profile,
                "buffer": memory,
            }
            rows.append((f"log -> JSON lines, {profile}", lines, follow(log, lines, target, scratch, one)))
        for kind in ("memory", "disk"):
            report.progress(f"log -> OTLP, buffer in {kind}")
            with sink() as port:
                target = {"type": "otlp", "endpoint": f"http://127.0.0.1:{port}", "buffer": {"kind": kind}}
                rows.append((f"log -> OTLP, buffer: {kind}", lines, follow(log, lines, target, scratch, one)))
        many = corpus.repeated(log, scratch / "many", max(1, options.waiting // lines))
        count = lines * max(1, options.waiting // lines)
        report.progress(f"{count:,} records for a receiver that is not there")
        dead = {"type": "otlp", "endpoint": f"http://127.0.0.1:{free_port()}", "buffer": {"kind": "disk", "size": "16GiB"}}
        rows.append((f"{count:,} waiting, buffer: disk", count, follow(many, count, dead, scratch, one, waiting=True)))
    print(f"{'':34}{'lines/s':>10}{'CPU µs/line':>13}{'MB':>6}")
    for title, count, cost in rows:
        print(f"{title:34}{count / cost.wall:>10,.0f}{cost.cpu / count * 1e6:>13.1f}{cost.rss / 1e6:>6.0f}")


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(f"bench: {failure}")
    except KeyboardInterrupt:
        sys.exit(130)
