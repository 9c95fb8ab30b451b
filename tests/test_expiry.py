"""When our own certificates end: read from the files as they are, and said in time."""

from __future__ import annotations

import json
import os
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st
from loguru import logger

from shipper.expiry import Expiry, Own, ends, not_after
from tests.service import free_port, running

NOW = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.fixture
def said() -> Any:
    """The lines of our own log."""
    lines: list[str] = []
    sink = logger.add(lambda line: lines.append(str(line).strip()), format="{message}")
    yield lines
    logger.remove(sink)


def issued(authority: trustme.CA, end: datetime) -> trustme.LeafCert:
    return authority.issue_cert("mail.example.com", not_after=end)


@pytest.mark.parametrize("end", [NOW, datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC), datetime(2051, 1, 2, tzinfo=UTC)])
def test_the_end_is_what_the_certificate_says(tmp_path: Path, end: datetime) -> None:
    """As another implementation reads it, in both ways that a time is written in; behind a key, and of a chain the first to end."""
    leaf = issued(trustme.CA(), end)
    pem = leaf.cert_chain_pems[0].bytes()
    assert x509.load_pem_x509_certificate(pem).not_valid_after_utc == end
    assert not_after(pem.decode()) == end.timestamp()
    leaf.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "all.pem"))
    assert ends(str(tmp_path / "all.pem")) == end.timestamp()
    (tmp_path / "two.pem").write_bytes(issued(trustme.CA(), end + timedelta(days=1)).cert_chain_pems[0].bytes() + pem)
    assert ends(str(tmp_path / "two.pem")) == end.timestamp()


def test_what_is_no_certificate_has_no_end(tmp_path: Path) -> None:
    """No file, no certificate in it, a damaged one."""
    (tmp_path / "x.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    for name in ("none.pem", "x.pem", "."):
        assert ends(str(tmp_path / name)) is None


def test_a_file_is_read_again_when_it_has_changed(tmp_path: Path) -> None:
    """Renewed certificates are seen at once, by another file of the name or by another time in the same one; what says that nothing has changed
    is not read, however often somebody asks; and one that is gone has no end."""
    expiry, path = Expiry(), tmp_path / "own.pem"
    for end in (NOW, NOW + timedelta(days=90)):
        (tmp_path / "new.pem").write_bytes(issued(trustme.CA(), end).cert_chain_pems[0].bytes())
        (tmp_path / "new.pem").rename(path)
        assert expiry.ends(str(path)) == end.timestamp()
    before = path.stat()
    path.write_bytes(b"-" * before.st_size)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert expiry.ends(str(path)) == end.timestamp()
    os.utime(path)
    assert expiry.ends(str(path)) is None
    path.unlink()
    assert expiry.ends(str(path)) is None


PEM = issued(trustme.CA(), NOW).cert_chain_pems[0].bytes().decode()


@given(at=st.integers(30, len(PEM) - 30), text=st.text("ABCxyz019+/=\n", max_size=5))
def test_damage_is_no_error(at: int, text: str) -> None:
    """Whatever the octets: an end or none."""
    end = not_after(PEM[:at] + text + PEM[at + len(text) :])
    assert end is None or isinstance(end, float)


def test_it_is_said_thirty_days_before_once_a_day(said: list[str]) -> None:
    """Not earlier; then each day, and when it is over."""
    expiry, now, day = Expiry(), NOW.timestamp(), 86400
    own = Own("input 'net'", "/etc/shipper/server.pem", now)
    for at in (-31.0, -29.5, -29.4, -28.0, 0.5):
        expiry.look([own, Own("output 'siem'", "other.pem", None)], now + at * day)
    assert said == [
        "input 'net': the certificate in '/etc/shipper/server.pem' ends on 2026-11-22, in 29 days",
        "input 'net': the certificate in '/etc/shipper/server.pem' ends on 2026-11-22, in 28 days",
        "input 'net': the certificate in '/etc/shipper/server.pem' has ended on 2026-11-22",
    ]


def test_a_certificate_that_ends_soon_is_warned_about_and_shown(tmp_path: Path) -> None:
    """In the log at the start, in `/status` and `/metrics`."""
    port, end = free_port(), datetime.now(UTC).replace(microsecond=0) + timedelta(days=20)
    issued = trustme.CA().issue_cert("mail.example.com", not_after=end)
    issued.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "own.pem"))
    tls = f"tls: {{certificate: '{tmp_path}/own.pem'}}"
    outputs = f"  siem: {{type: syslog, takes: all, protocol: tls, host: 127.0.0.1, port: {free_port()}, {tls}}}\n"
    with running(tmp_path, extra=f"telemetry: {{http: '127.0.0.1:{port}'}}\n", outputs=outputs) as service:
        assert "output 'siem'" in service.until_told(f"ends on {end.date()}, in 19 days")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/status") as answer:
            (shown,) = json.load(answer)["certificates"]
        assert shown == {"of": "output 'siem'", "file": f"{tmp_path}/own.pem", "ends": end.isoformat().replace("+00:00", "Z")}
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            assert 'shipper_certificate_end_time_seconds{output="siem"} 1.' in answer.read().decode()
