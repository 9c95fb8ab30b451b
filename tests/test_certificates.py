"""What is said of files of certificates that cannot be used: the same by `check`, `run` and a reload."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from shipper.certificates import Named, wrong
from shipper.config.load import load


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two certificates with their keys, and files that are none."""
    directory = tmp_path_factory.mktemp("files")
    for name in ("one", "two"):
        made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem"]
        subprocess.run(["openssl", *made], cwd=directory, check=True, capture_output=True)
    subprocess.run(
        ["openssl", "rsa", "-aes128", "-passout", "pass:abcd", "-in", "one.key", "-out", "locked.key"],
        cwd=directory,
        check=True,
        capture_output=True,
    )
    (directory / "both.pem").write_text((directory / "one.key").read_text() + (directory / "one.pem").read_text())
    (directory / "text.pem").write_text("no certificate\n")
    (directory / "empty.pem").touch()
    (directory / "cut.pem").write_text((directory / "one.pem").read_text()[:300])
    return directory


@pytest.mark.parametrize(
    ("own", "key", "said"),
    [
        ("one.pem", "one.key", ""),
        ("both.pem", "", ""),
        ("both.pem", "one.key", ""),
        ("one.pem", "two.key", "key: 'two.key' has another key than that of the certificate"),
        ("one.pem", "", "own: 'one.pem' has no key in PEM that can be read"),
        ("one.pem", "text.pem", "key: 'text.pem' has no key in PEM that can be read"),
        ("one.pem", "locked.key", "key: 'locked.key' has a key with a passphrase; take one without"),
        ("one.pem", "gone.key", "key: 'gone.key' cannot be read: no such file or directory"),
        ("gone.pem", "one.key", "own: 'gone.pem' cannot be read: no such file or directory"),
        ("text.pem", "one.key", "own: 'text.pem' has no certificate in PEM that can be read"),
        ("empty.pem", "one.key", "own: 'empty.pem' has no certificate in PEM that can be read"),
        ("cut.pem", "one.key", "own: 'cut.pem' has no certificate in PEM that can be read"),
        (".", "one.key", "own: '.' cannot be read: is a directory"),
        ("one.key", "one.key", "own: 'one.key' has no certificate in PEM that can be read"),
    ],
)
def test_what_is_wrong_with_a_certificate_and_its_key(files: Path, monkeypatch: pytest.MonkeyPatch, own: str, key: str, said: str) -> None:
    """One sentence, for the option whose file it is; nobody is asked for a passphrase."""
    monkeypatch.chdir(files)
    assert [f"{option}: {sentence}" for option, sentence in wrong(own=Named("own", own), key=Named("key", key))] == ([said] if said else [])


def test_what_is_wrong_with_what_is_trusted(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Certificates of CAs and lists of revoked ones; a list is no certificate."""
    monkeypatch.chdir(files)
    assert not list(wrong(trusted=Named("ca", "one.pem")))
    assert list(wrong(trusted=Named("ca", "text.pem"), revoked=Named("crl", "one.pem"))) == [
        ("ca", "'text.pem' has no certificate in PEM that can be read"),
        ("crl", "'one.pem' has no revocation list in PEM that can be read"),
    ]


SECTIONS = {
    "syslog input": "inputs:\n  net: {{type: syslog, listen: 'tls://127.0.0.1:0', tls: {{certificate: {own}, key: {key}, clients: anon}}}}\n{out}",
    "syslog": "{log}outputs:\n  siem: {{type: syslog, takes: all, protocol: tls, tls: {{certificate: {own}, key: {key}}}}}\n",
    "otlp": "{log}outputs:\n  col: {{type: otlp, endpoint: 'https://127.0.0.1:1', tls: {{cert_file: {own}, key_file: {key}}}}}\n",
    "elasticsearch": "{log}outputs:\n  elk: {{type: elasticsearch, url: 'https://127.0.0.1:1', tls: {{cert_file: {own}, key_file: {key}}}}}\n",
}


@pytest.mark.parametrize("kind", SECTIONS)
def test_check_and_a_start_say_the_same(files: Path, tmp_path: Path, kind: str) -> None:
    """An error at the option, exit code 78 of both; `--no-env` does not look; with the right files nothing is said."""
    path = tmp_path / "shipper.yaml"
    log = f"inputs:\n  mta: {{type: mta_log, directory: {tmp_path}}}\n"
    out = "outputs:\n  out: {type: jsonl, path: '-'}\n"

    def write(key: str) -> None:
        said = SECTIONS[kind].format(own=files / "one.pem", key=files / key, log=log, out=out)
        path.write_text(f"state: {tmp_path}/state\n{said}")

    write("gone.key")
    column = next(line for line in path.read_text().splitlines() if "gone.key" in line).index(str(files / "gone.key")) + 1
    (problem,) = load(path, {}).errors
    assert (problem.number, problem.place.column) == ("C118", column)
    for command in ("check", "run --allow-root"):
        ended = subprocess.run([sys.executable, "-m", "shipper", *command.split(), str(path)], capture_output=True, text=True, timeout=60)
        assert ended.returncode == 78, ended.stderr
        assert f"'{files / 'gone.key'}' cannot be read: no such file or directory" in ended.stderr
    assert load(path, {}, lenient=True).config
    write("one.key")
    assert not load(path, {}).errors


def test_a_directory_that_has_to_be_made_is_a_warning(tmp_path: Path) -> None:
    """For outputs that write files: they wait for it."""
    path = tmp_path / "shipper.yaml"
    path.write_text(
        f"inputs:\n  mta: {{type: mta_log, directory: {tmp_path}}}\noutputs:\n  a: {{type: jsonl, path: {tmp_path}/none/mail.jsonl}}\n"
        f"  b: {{type: log_files, directory: {tmp_path}/shipper.yaml}}\n  c: {{type: jsonl, path: {tmp_path}/mail.jsonl}}\n"
        "  d: {type: jsonl, path: '-'}\n"
    )
    loaded = load(path, {})
    assert loaded.config
    assert [(problem.number, problem.place.line) for problem in loaded.problems] == [("C158", 4), ("C158", 5)]
    assert "not there" in loaded.problems[0].message and "no directory" in loaded.problems[1].message
