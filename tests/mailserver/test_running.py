"""The service and the mail server's own files: they are read when it starts, and again on HUP."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

from tests.service import append, numbers, running, shipper


def test_hup_reads_the_option_file_again(tmp_path: Path) -> None:
    """A changed option.dat rules from then on, a bad one changes nothing and is named with its line, and nothing is lost on the way."""
    options = tmp_path / "option.dat"
    options.write_text("LOG_MESSAGES_SYSLOG=0\n")
    extra = "telemetry: {http: off}\nmailserver: {option_file: option.dat}\n"
    with running(tmp_path, extra=extra) as service:
        append(service.log, 0, 10)
        service.until_written(10)
        options.write_text("! only to syslog\nLOG_MESSAGES_SYSLOG=-22\n")
        service.process.send_signal(signal.SIGHUP)
        assert "warnings, which `shipper check` shows" in service.until_told("configuration taken")  # no log file is written
        append(service.log, 10, 10)
        last = time.monotonic() + 15
        while json.loads(shipper("status", "--json", service.config).stdout)["ledger"]["read"] < 20:
            assert time.monotonic() < last, "was not read"
        options.write_text("\nLOG_MESSAGES_SYSLOG=-220\n")
        service.process.send_signal(signal.SIGHUP)
        said = service.until_told("not taken")
        assert f"{options}:2:21" in said
        service.told.clear()
        options.write_text("LOG_MESSAGES_SYSLOG=22\n")
        service.process.send_signal(signal.SIGHUP)
        service.until_told("configuration taken")
        append(service.log, 20, 10)
        service.until_written(20)
        assert service.stop() == 0
    assert numbers(service.out) == [*range(10), *range(20, 30)]


def test_an_input_takes_the_fields_of_the_option_file(tmp_path: Path) -> None:
    """A line whose optional fields could be read in two ways is read as option.dat has them."""
    (tmp_path / "option.dat").write_text("LOG_SENSITIVITY=1\nLOG_DIAGNOSTICS=0\n")
    with running(tmp_path, extra="telemetry: {http: off}\nmailserver: {option_file: option.dat}\n") as service:
        with service.log.open("a") as log:
            log.write(
                "02-Mar-2026 10:00:00.00 tcp_local    ims-ms       E 1 user1@example.com rfc822;bob@example.org bob@example.org normal\n"
            )
        service.until_written(1)
        assert service.stop() == 0
    assert json.loads(service.out.read_text())["sensitivity"] == "normal"
