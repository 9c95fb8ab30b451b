"""What is in deploy/ does what its comments say: units as systemd reads them, and the container's command under the container's limits.

There is no container engine here, so the container's limits are made by hand: a mount namespace whose root is read-only, the numeric user, no
capability, no new rights. What is absent (systemd's tools, root) is skipped by name.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from shipper import __version__
from shipper.config.load import load
from shipper.config.problems import text

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
UNIT = DEPLOY / "systemd" / "shipper.service"
MANIFEST = DEPLOY / "kubernetes" / "sidecar.yaml"
CONTAINERFILE = DEPLOY / "container" / "Containerfile"
STORIES = ("elk", "otlp-collectors", "siem", "sidecar")
NUMBER = 10001
MIB = 1 << 20


def need(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not here")
    return found


def documents() -> dict[str, Any]:
    return {one["kind"]: one for one in yaml.safe_load_all(MANIFEST.read_text())}


def sidecar() -> dict[str, Any]:
    pod = documents()["StatefulSet"]["spec"]["template"]["spec"]
    (found,) = [one for one in pod["initContainers"] if one["name"] == "shipper"]
    return dict(found)


def environment() -> dict[str, str]:
    """The variables of the sidecar; what Kubernetes fills in is 192.0.2.1 and a name."""
    given = {one["name"]: one.get("value", "192.0.2.1") for one in sidecar()["env"]}
    return {name: re.sub(r"\$\((\w+)\)", lambda found: given[found[1]], value) for name, value in given.items()}


# systemd


def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    """`systemd-analyze verify`, with a program that is there."""
    analyze = need("systemd-analyze")
    unit = tmp_path / "shipper.service"
    unit.write_text(UNIT.read_text().replace("/opt/shipper/bin/shipper", sys.executable))
    done = subprocess.run([analyze, "verify", "--man=no", unit], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "shipper.service" not in done.stderr, done.stderr


def test_the_unit_exposes_little() -> None:
    """`systemd-analyze security`: 2.0 or less."""
    analyze = need("systemd-analyze")
    command = [analyze, "security", "--offline=true", "--threshold=20", "--no-pager", UNIT]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if "Unknown" in done.stderr or "unrecognized option" in done.stderr:
        pytest.skip("systemd-analyze knows no --offline")
    assert done.returncode == 0, done.stdout[-200:] + done.stderr


def test_the_unit_waits_longer_than_grace_and_restarts_for_what_a_restart_mends() -> None:
    """Its times and exit codes fit those of the program."""
    lines = UNIT.read_text().splitlines()
    said = dict(line.split("=", 1) for line in lines if re.match(r"[A-Z]\w+=", line))
    assert said["Type"] == "notify"
    assert float(said["TimeoutStopSec"]) >= 2 * 10
    assert set(said["RestartPreventExitStatus"].split()) == {"77", "78"}
    assert said["StateDirectory"] == "shipper", "`state` is /var/lib/shipper by default"


def test_sysusers_and_tmpfiles_make_what_the_unit_needs(tmp_path: Path) -> None:
    """On an empty root."""
    sysusers, tmpfiles = need("systemd-sysusers"), need("systemd-tmpfiles")
    if os.geteuid() != 0:
        pytest.skip("needs root")
    (tmp_path / "etc").mkdir()
    directory = DEPLOY / "systemd"
    subprocess.run([sysusers, f"--root={tmp_path}", directory / "sysusers.conf"], check=True, capture_output=True, timeout=60)
    entry = next(line for line in (tmp_path / "etc/passwd").read_text().splitlines() if line.startswith("shipper:"))
    assert entry.endswith(":/var/lib/shipper:/usr/sbin/nologin")
    subprocess.run([tmpfiles, f"--root={tmp_path}", "--create", directory / "tmpfiles.conf"], check=True, capture_output=True, timeout=60)
    gid = int(entry.split(":")[3])
    status = (tmp_path / "etc/shipper").stat()
    assert (status.st_mode & 0o777, status.st_uid, status.st_gid) == (0o750, 0, gid)
    assert (tmp_path / "etc/shipper/credentials").stat().st_mode & 0o777 == 0o700


def test_logrotate_reads_its_file(tmp_path: Path) -> None:
    """And never by copying and truncating."""
    source = (DEPLOY / "logrotate" / "shipper").read_text()
    assert not re.search(r"^\s*copytruncate", source, re.MULTILINE)
    logrotate = need("logrotate")
    (tmp_path / "log").mkdir()
    (tmp_path / "log/mail.jsonl").write_text("{}\n")
    ours = tmp_path / "rotate"
    ours.write_text(re.sub(r"^\s*su .*\n", "", source.replace("/var/log/shipper", f"{tmp_path}/log"), flags=re.MULTILINE))
    ours.chmod(0o644)
    done = subprocess.run([logrotate, "-d", ours], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 and "error" not in done.stderr.lower(), done.stderr


# The container and the pod


def test_the_image_runs_as_a_number_and_needs_no_shell() -> None:
    """Every command in the form of a list, a numeric user, and no file that the build context leaves out."""
    lines = [line for line in re.sub(r"\\\n", " ", CONTAINERFILE.read_text()).splitlines() if line and not line.startswith("#")]
    final = lines[max(number for number, line in enumerate(lines) if line.startswith("FROM ")) :]
    said = {line.split(None, 1)[0]: line.split(None, 1)[1] for line in final}
    assert said["USER"] == f"{NUMBER}:{NUMBER}"
    assert json.loads(said["ENTRYPOINT"]) == ["/opt/shipper/bin/shipper"]
    assert json.loads(said["CMD"])[0] == "run"
    assert json.loads(said["HEALTHCHECK"].partition("CMD ")[2])[1:3] == ["status", "--alive"]
    assert not any(line.startswith("RUN") for line in final)
    kept = {line[1:] for line in (ROOT / ".containerignore").read_text().splitlines() if line.startswith("!")}
    assert kept >= {"pyproject.toml", "README.md", "shipper", "conf", "dist/shipper_native-*.whl"}


def test_the_manifest_says_what_the_program_does() -> None:
    """Version, probes, times, rights, volumes; the configuration in it is conf/sidecar.yaml."""
    container, pod = sidecar(), documents()["StatefulSet"]["spec"]["template"]["spec"]
    assert container["image"] == f"shipper:{__version__}"
    assert container["restartPolicy"] == "Always"
    assert "readinessProbe" not in container
    rights = container["securityContext"]
    assert (rights["runAsUser"], rights["runAsNonRoot"], rights["readOnlyRootFilesystem"]) == (NUMBER, True, True)
    assert rights["capabilities"] == {"drop": ["ALL"]} and rights["allowPrivilegeEscalation"] is False
    volumes = {one["name"] for one in pod["volumes"]} | {
        one["metadata"]["name"] for one in documents()["StatefulSet"]["spec"]["volumeClaimTemplates"]
    }
    assert {mount["name"] for each in (*pod["containers"], container) for mount in each["volumeMounts"]} <= volumes
    example = [line for line in (ROOT / "conf/sidecar.yaml").read_text().splitlines() if "yaml-language-server" not in line]
    assert documents()["ConfigMap"]["data"]["shipper.yaml"].splitlines() == example
    loaded = load(ROOT / "conf" / "sidecar.yaml", environment())
    assert loaded.config is not None
    assert loaded.config.settings.grace * 2 < pod["terminationGracePeriodSeconds"]


NAMESPACE = """
set -e
mount -t tmpfs -o mode=0755 stage "$STAGE"
number=0
for kept in $KEPT; do
  number=$((number + 1)); mkdir "$STAGE/$number"; mount --rbind "$kept" "$STAGE/$number"
done
# A home that only root can enter is covered, and what is needed of it shown again.
for home in /root /home; do mount -t tmpfs -o mode=0755 home "$home"; done
mount -t tmpfs -o mode=1777 tmp /tmp
number=0
for kept in $KEPT; do
  number=$((number + 1)); mkdir -p "$kept"; mount --rbind "$STAGE/$number" "$kept"
done
for read_only in / /root /home $READ_ONLY; do mount -o remount,bind,ro "$read_only"; done
exec setpriv --reuid "$NUMBER" --regid "$NUMBER" --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all "$@"
"""
"""Runs "$@" as the container would: a mount namespace with a read-only root, of which $KEPT is seen as it is ($READ_ONLY of it read-only)."""


@pytest.fixture
def confined(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """How to run the sidecar's command under its limits: `command`, `environment`, and the `logs` and `state` it is given."""
    need("setpriv")
    unshare = need("unshare")
    if os.geteuid() != 0 or subprocess.run([unshare, "--mount", "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs root and mount namespaces")
    place = Path("/mnt") if os.access("/mnt", os.W_OK) else tmp_path
    base = place / f"shipper-test-{os.getpid()}"
    logs, state, configuration, stage = base / "logs", base / "state", base / "etc", place / f"{base.name}-stage"
    for directory in (logs, state, configuration, stage):
        directory.mkdir(parents=True)
    os.chown(state, 0, NUMBER)
    state.chmod(0o2770)  # as fsGroup makes it
    source = (ROOT / "conf/sidecar.yaml").read_text()
    (configuration / "shipper.yaml").write_text(source.replace('http: ":9600"', f'http: "127.0.0.1:{_free_port()}"'))
    prefixes = {Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve(), ROOT}
    read_only = [str(one) for one in sorted(prefixes, key=lambda path: len(path.parts)) if one.is_dir()]
    variables = {
        **environment(),
        "PATH": os.environ["PATH"],
        "LOG_DIRECTORY": str(logs),
        "STATE_DIRECTORY": str(state / "shipper"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "KEPT": " ".join([*read_only, str(base)]),
        "READ_ONLY": " ".join(read_only),
        "NUMBER": str(NUMBER),
        "STAGE": str(stage),
    }
    yield {
        "command": [unshare, "--mount", "--propagation", "private", "bash", "-c", NAMESPACE, "-"],
        "environment": variables,
        "logs": logs,
        "state": state / "shipper",
        "configuration": configuration / "shipper.yaml",
    }
    shutil.rmtree(base)
    stage.rmdir()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def _answer(address: str) -> int:
    try:
        return int(urllib.request.urlopen(address, timeout=2).status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def test_the_sidecar_runs_under_the_limits_of_its_manifest(confined: dict[str, Any], tmp_path: Path) -> None:
    """As user 10001, on a root that it cannot write, without a capability, less memory than its limit; with the collector away it is alive
    and not ready, writes nothing but its state, and TERM ends it within its grace with 0."""
    line = "22-Nov-2026 10:00:00.00 tcp_local    ims-ms       E 1 adam@example.com rfc822;bob@example.org bob@ims-ms-daemon\n"
    (confined["logs"] / "mail.log_current").write_text(line * 2000)
    shipper = Path(sys.executable).parent / "shipper"
    for elsewhere in (ROOT, "/usr", "/mnt", confined["logs"]):
        probe = [*confined["command"], "touch", f"{elsewhere}/probe"]
        assert subprocess.run(probe, env=confined["environment"], capture_output=True, timeout=60, check=False).returncode, elsewhere
    variables = {**confined["environment"], "OTLP_ENDPOINT": f"http://127.0.0.1:{_free_port()}"}
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [*confined["command"], shipper, "run", confined["configuration"]], env=variables, stdout=log, stderr=log, cwd="/"
        )
    try:
        port = re.search(r"127\.0\.0\.1:(\d+)", confined["configuration"].read_text())
        assert port is not None
        http = f"http://127.0.0.1:{port[1]}"
        last = time.monotonic() + 30
        while _answer(f"{http}/readyz") != 503:  # running, and the collector is known to be away
            assert process.poll() is None and time.monotonic() < last, (tmp_path / "log").read_text()
            time.sleep(0.05)
        assert _answer(f"{http}/healthz") == 200
        status = Path(f"/proc/{process.pid}/status").read_text()
        assert re.search(rf"^Uid:\s+{NUMBER}\s", status, re.MULTILINE)
        assert re.search(r"^CapBnd:\s+0+$", status, re.MULTILINE) and re.search(r"^NoNewPrivs:\s+1$", status, re.MULTILINE)
        while (told := json.load(urllib.request.urlopen(f"{http}/status")))["ledger"]["outputs"]["collector"]["waiting"] < 2000:
            assert time.monotonic() < last, told
            time.sleep(0.05)
        limit = sidecar()["resources"]["limits"]["memory"]
        assert told["memory"] < int(limit.removesuffix("Mi")) * MIB
        alive = [*confined["command"], shipper, "status", "--alive", confined["state"]]
        assert subprocess.run(alive, env=variables, capture_output=True, timeout=60, check=False).returncode == 0
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, (tmp_path / "log").read_text()
        assert time.monotonic() - begun < 20
    finally:
        process.kill()
        process.wait()
    assert confined["state"].stat().st_uid == NUMBER
    assert not [path for path in confined["logs"].iterdir() if path.name != "mail.log_current"]


# The stories


@pytest.mark.parametrize("story", STORIES)
def test_the_configuration_on_a_storys_page_is_complete(story: str, tmp_path: Path) -> None:
    """Saved as it stands, it loads without an error, and with no warning but those on what is of this machine."""
    blocks = re.findall(r"^( *)```yaml\n(.*?)^ *```$", (ROOT / "docs" / f"{story}.md").read_text(), re.MULTILINE | re.DOTALL)
    whole = [re.sub(rf"^{indent}", "", block, flags=re.MULTILINE) for indent, block in blocks]
    (page,) = [block for block in whole if re.search(r"^inputs:", block, re.MULTILINE)]
    (tmp_path / "shipper.yaml").write_text(page)
    loaded = load(tmp_path / "shipper.yaml", environment(), lenient=True)
    assert loaded.config, "\n".join(text(problem, loaded.sources) for problem in loaded.problems)
    assert not loaded.problems, "\n".join(text(problem, loaded.sources) for problem in loaded.problems)
