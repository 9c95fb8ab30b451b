"""A foreign sender: loggen of syslog-ng, over every transport. Skipped where it is not; `bench/peers/install.sh` unpacks it."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from pathlib import Path

import pytest

from shipper.record import Syslog
from tests.inputs.syslog.receiving import Authority, receiving

MESSAGES = 5000
UNPACKED = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "shipper" / "peers" / "root"


def loggen() -> tuple[str, dict[str, str]]:
    """The program, and what it needs in its environment."""
    if installed := shutil.which("loggen"):
        return installed, {}
    program = UNPACKED / "usr/bin/loggen"
    if not program.exists():
        pytest.skip("loggen is not here: bench/peers/install.sh DIR unpacks it")
    libraries = [UNPACKED / "usr/lib/syslog-ng", *(UNPACKED / "usr/lib").glob("*-linux-gnu"), *(UNPACKED / "lib").glob("*-linux-gnu")]
    return str(program), {"LD_LIBRARY_PATH": ":".join(map(str, libraries)), "SYSLOGNG_PREFIX": str(UNPACKED / "usr")}


@pytest.mark.parametrize(
    ("transport", "options"),
    [
        ("udp", ["-i", "-D", "-r", "5000", "-F"]),
        ("udp", ["-i", "-D", "-r", "5000", "-P", "-F"]),
        ("tcp", ["-i", "-S", "-r", "50000"]),
        ("tcp", ["-i", "-S", "-r", "50000", "-P", "--idle-connections=90"]),
        ("tls", ["-U", "-r", "50000", "-P"]),
        ("unix", ["-x", "-D", "-r", "50000", "-F"]),
    ],
    ids=["udp-3164", "udp-5424", "tcp-lf", "tcp-octets-and-90-idle", "tls", "unix"],
)
def test_every_message_of_loggen_arrives_once(transport: str, options: list[str], authority: Authority, tmp_path: Path) -> None:
    """5,000 numbered messages: each number is there once, in order, each message read to its end."""
    program, environment = loggen()
    listen = f"unix://{tmp_path}/log" if transport == "unix" else f"{transport}://127.0.0.1:0"
    settings = {}
    if transport == "tls":
        certificate, key = authority.issue("server", "127.0.0.1")
        settings["tls"] = {"certificate": certificate, "key": key, "clients": "anon"}

    async def main() -> None:
        async with receiving(listen, **settings) as receiver:
            where = [f"{tmp_path}/log"] if transport == "unix" else list(map(str, receiver.address()))
            process = await asyncio.create_subprocess_exec(
                program, *options, "-n", str(MESSAGES), "-s", "300", "-I", "30", "-Q", *where,
                env={**os.environ, **environment}, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
            _, said = await process.communicate()
            assert process.returncode == 0, said.decode()
            await receiver.wait(MESSAGES)
            await asyncio.sleep(0.1)
        counts = receiver.input.counts
        assert (counts.received, counts.parsed, counts.kernel_drops) == (MESSAGES, MESSAGES, 0)
        numbers = []
        for record in receiver.records:
            assert (
                isinstance(record, Syslog)
                and record.process == "prg00000"
                and record.syslog is not None
                and record.syslog.facility == "auth"
            )
            found = re.match(r"seq: (\d+), thread: 0000, ", record.message)
            assert found is not None
            numbers.append(int(found[1]))
        assert numbers == list(range(MESSAGES))

    asyncio.run(main())
