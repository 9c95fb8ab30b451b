"""`shipper check` and `shipper test` as processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import yaml

GOOD = """
timezone: UTC
inputs:
  app: {type: file, paths: [app.log*]}
outputs:
  siem: {type: syslog, enterprise: 99999, takes: all}
  web: {type: elasticsearch, url: "https://example.com", api_key: "${KEY}"}
routes:
  - when: {kind: text}
    drop: yes
"""


def shipper(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    known = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **environment}
    command = [sys.executable, "-m", "shipper", *words]
    return subprocess.run(command, cwd=folder, env=known, capture_output=True, text=True, timeout=60, check=False)


def test_a_good_configuration(tmp_path: Path) -> None:
    """Exit code 0, one line; --print is YAML without the secret; the check needs no network and opens nothing."""
    (tmp_path / "a.yaml").write_text(GOOD)
    done = shipper(tmp_path, "check", "a.yaml", KEY="canary")
    assert (done.returncode, done.stdout, done.stderr) == (0, "a.yaml: good\n", "")
    done = shipper(tmp_path, "check", "--print", "a.yaml", KEY="canary")
    assert done.returncode == 0 and "canary" not in done.stdout
    assert yaml.safe_load(done.stdout)["outputs"]["web"]["api_key"] == "${KEY}"
    assert [path.name for path in tmp_path.iterdir()] == ["a.yaml"]


def test_all_files_are_checked(tmp_path: Path) -> None:
    """Exit code 78 when one is bad; each has its verdict; without the environment a variable is no error."""
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / "b.yaml").write_text(GOOD.replace("paths", "pahts"))
    done = shipper(tmp_path, "check", "a.yaml", "b.yaml", "none.yaml")
    assert done.returncode == 78
    assert done.stdout == "a.yaml: not good, 1 error\nb.yaml: not good, 2 errors\nnone.yaml: not good, 1 error\n"
    assert done.stderr.count("error[") == 4 and "did you mean 'paths'?" in done.stderr and "--> none.yaml\n" in done.stderr
    assert shipper(tmp_path, "check", "--no-env", "a.yaml").returncode == 0


def test_warnings_are_errors_only_when_asked(tmp_path: Path) -> None:
    """--strict: 78."""
    (tmp_path / "a.yaml").write_text(GOOD.replace("enterprise: 99999, ", ""))
    for words, code, verdict in ((["--no-env"], 0, "good"), (["--no-env", "--strict"], 78, "not good")):
        done = shipper(tmp_path, "check", *words, "a.yaml")
        assert (done.returncode, done.stdout) == (code, f"a.yaml: {verdict}, 1 warning\n")
        assert done.stderr.startswith("warning[C154]: output 'siem': enterprise number 32473")


def test_wrong_use(tmp_path: Path) -> None:
    """Without a file: 2."""
    assert shipper(tmp_path, "check").returncode == 2


def test_the_schema_is_the_committed_one(tmp_path: Path) -> None:
    """--schema prints conf/shipper.schema.json."""
    done = shipper(tmp_path, "check", "--schema")
    committed = Path(__file__).resolve().parent.parent.parent / "conf" / "shipper.schema.json"
    assert done.stdout == committed.read_text() and json.loads(done.stdout)["title"] == "shipper"


def test_tests_beside_a_configuration(tmp_path: Path) -> None:
    """0 when all pass, 1 when one fails, 66 without tests or configuration, 78 when one of them cannot be read."""
    (tmp_path / "tests").mkdir()
    assert shipper(tmp_path, "test", "tests").returncode == 66
    (tmp_path / "shipper.yaml").write_text(GOOD)
    assert shipper(tmp_path, "test", "tests").returncode == 66
    case = tmp_path / "tests" / "a.yaml"
    case.write_text("tests:\n  - lines: [hello]\n    records: [{kind: text}]\n    routes: dropped\n")
    done = shipper(tmp_path, "test", "tests")
    assert (done.returncode, done.stdout, done.stderr) == (0, "1 test, 0 failed\n", "")
    case.write_text("tests:\n  - lines: [hello]\n    records: [{kind: mta}]\n    routes: siem\n")
    done = shipper(tmp_path, "test", "tests")
    assert (done.returncode, done.stdout) == (1, "1 test, 1 failed\n")
    assert "--> tests/a.yaml:3:22" in done.stderr and "shipper.yaml:9 says" in done.stderr
    case.write_text("tests:\n  - lines: [hello]\n    recrods: []\n")
    assert shipper(tmp_path, "test", "tests").returncode == 78
    (tmp_path / "other.yaml").write_text("inputs:\n")
    assert shipper(tmp_path, "test", "tests", "--config", "other.yaml").returncode == 78
