"""What each command has in memory: only what it needs. Starts are not timed, as this would be another time on each machine: what takes the time, and
the memory of a service, is what is imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

LINE = "01-Mar-2005 08:00:00.00 tcp_intranet ims-ms       E 4 sender@example.com rfc822;bob@example.org bob@example.org\n"

HEAVY = (
    "asyncio", "email", "grpc", "h11", "html.entities", "http.client", "isal", "loguru", "msgpack", "multiprocessing", "opentelemetry",
    "prometheus_client", "pydantic", "rich", "shipper.doctor", "shipper.formats", "shipper.generate", "shipper.inputs",
    "shipper.inputs.syslog", "shipper.knowledge", "shipper.mailserver", "shipper.outputs", "shipper.profiles", "shipper.service", "sqlite3",
    "ssl", "starlette", "urllib3", "uvicorn", "yaml",
)  # fmt: skip
"""What takes a millisecond or more to import, or 300 KiB of memory."""

_READING = frozenset(("shipper.formats", "shipper.profiles"))
_CONFIGURED = _READING | {
    "asyncio",
    "email",
    "loguru",
    "pydantic",
    "shipper.inputs",
    "shipper.mailserver",
    "shipper.outputs",
    "ssl",
    "yaml",
}
_SERVING = _CONFIGURED | {"h11", "http.client", "msgpack", "shipper.service", "starlette", "uvicorn"}
_ANY = frozenset(("multiprocessing",))  # whoever has loguru or uvicorn

NEEDED = {
    "--help": ("--help", frozenset[str]()),
    "--version": ("--version", _READING),
    "convert": ("convert LINE -o OUT -q", _READING | {"sqlite3"}),
    "try": ("try -- LINE", _READING | {"shipper.knowledge", "shipper.mailserver"}),
    "explain": ("explain LOG_CONNECTION", _READING | {"shipper.knowledge", "shipper.mailserver"}),
    "status": ("status STATE", {"email", "http.client", "ssl"}),
    "check": ("check CONFIG", _CONFIGURED | _ANY),
    "generate": ("generate --help", frozenset[str]()),
    "doctor": ("doctor --help", frozenset[str]()),
}
"""Command -> how it is called, and what of the heavy it may have in memory in the end. Less is better: take it out here as well."""

CALLED = """
import sys
from shipper.__main__ import main
sys.argv = ["shipper", *sys.argv[1:]]
try:
    main()
except SystemExit:
    pass
print("\\nmodules:", *sys.modules)
"""

SERVED = """
import os, sys, threading, time
sys.argv = ["shipper", *sys.argv[1:]]

def watch():
    while not os.path.exists("out.jsonl") or not os.path.getsize("out.jsonl"):
        time.sleep(0.05)
    with open("modules", "w") as out:
        print("modules:", *list(sys.modules), file=out)
    os.kill(os.getpid(), 15)

from shipper.__main__ import main
threading.Thread(target=watch, daemon=True).start()
main()
"""

CONFIG = """
state: state
telemetry: {http: "127.0.0.1:0"}
inputs: {mail: {type: mta_log, directory: logs}}
outputs: {out: {type: jsonl, path: out.jsonl}}
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with a log, and the configuration of a service that follows it."""
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "mail.log_current").write_text(LINE)
    (tmp_path / "conf.yaml").write_text(CONFIG)
    return tmp_path


def heavy(text: str) -> set[str]:
    """What of `HEAVY` is among the modules that were told in the last line."""
    loaded = text.rpartition("modules:")[2].split()
    assert "sys" in loaded
    return {name for name in HEAVY if any(module == name or module.startswith(f"{name}.") for module in loaded)}


@pytest.mark.parametrize("command", NEEDED)
def test_a_command_loads_only_what_it_needs(command: str, place: Path) -> None:
    """By the table."""
    called, needed = NEEDED[command]
    names = {"LINE": str(place / "logs" / "mail.log_current"), "CONFIG": "conf.yaml", "STATE": "logs", "OUT": "out"}
    arguments = [names.get(word, word) for word in called.split()]
    if command == "try":
        arguments[-1] = LINE.rstrip()
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [sys.executable, "-c", CALLED, *arguments], cwd=place, env=environment, capture_output=True, timeout=60, check=True
    )
    assert heavy(done.stdout.decode()) <= needed


def test_the_service_loads_no_more_than_its_inputs_and_outputs_need(place: Path) -> None:
    """One that nobody has asked for metrics, and that sends nothing by HTTP."""
    done = subprocess.Popen([sys.executable, "-c", SERVED, "run", "conf.yaml", "--allow-root"], cwd=place, stderr=subprocess.PIPE)
    said = done.communicate(timeout=60)[1].decode()
    assert done.returncode == 0, said
    assert heavy((place / "modules").read_text()) <= _SERVING | _ANY
