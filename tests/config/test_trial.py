"""Tests of configurations: what they find, and what they let pass."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipper.config.load import load
from shipper.config.problems import text
from shipper.config.sections import Config
from shipper.config.trial import Trial, run
from tests.config.sections import INPUTS, OUTPUTS

CONFIG = """
timezone: Europe/Berlin
inputs:
  mta: {type: log, path: x}
  other: {type: log, path: x, timezone: UTC, host: other.example.com}
outputs:
  archive: {type: web, url: a}
  siem: {type: web, url: b}
routes:
  - when: {input: other, kind: mta}
    to: siem
  - when: {code: E}
    to: [archive, siem]
  - when: {kind: text}
    drop: yes
"""
LINE = "19-Jan-1998 19:16:57.64 l            tcp_local    E 1 bob@example.com rfc822;amy@example.org amy@example.org"


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    path = tmp_path_factory.mktemp("config") / "shipper.yaml"
    path.write_text(CONFIG)
    found = load(path, {}, inputs=INPUTS, outputs=OUTPUTS).config
    assert found
    return found


def tried(folder: Path, config: Config, content: str) -> Trial:
    path = folder / "test.yaml"
    path.write_text(content)
    return run(path, config)


def messages(trial: Trial) -> list[str]:
    assert all(text(problem, trial.sources) for problem in trial.problems)
    return [f"{problem.place.line}:{problem.place.column} {problem.message}" for problem in trial.problems]


def test_what_is_expected_passes(tmp_path: Path, config: Config) -> None:
    """Fields as text, whatever their type; absent ones; nested ones; zone and host of the input; routes of all and of each."""
    trial = tried(
        tmp_path,
        config,
        f"""
tests:
  - name: one
    lines: |
      {LINE}
      hello
      <22>Jan 19 19:16:57 mail imapd[12]: what
    records:
      - {{kind: mta, size_blocks: 1, time: 1998-01-19T19:16:57.64+01:00, host: , error: ~}}
      - {{}}
      - {{syslog: {{facility: mail, severity: info, proc_id: 12, peer: }}}}
    routes: [[siem, archive], dropped, [archive, siem]]
  - lines: [hello, "no"]
    records: [{{message: hello}}, {{message: no}}]
    routes: dropped
  - lines: ["{LINE}"]
    input: other
    records: [{{host: other.example.com, time: "1998-01-19T19:16:57.64+00:00"}}]
    routes: [siem]
""",
    )
    assert messages(trial) == [] and (trial.count, trial.failed, trial.readable) == (3, [], True)


def test_what_is_not_expected_is_told(tmp_path: Path, config: Config) -> None:
    """Every field and route by itself, at its place; the other tests of the file are run nevertheless."""
    trial = tried(
        tmp_path,
        config,
        f"""
tests:
  - name: fields
    lines: ["{LINE}"]
    records:
      - {{kind: text, size_blocks: 2, sender: , recipeint: x, null_sender: yes}}
  - name: number
    lines: [a, b]
    records: [{{}}]
  - name: routes
    lines: ["{LINE}", hello]
    routes: [siem, siem]
  - name: each
    lines: [hello]
    routes: [dropped, dropped]
  - name: names
    lines: [hello]
    input: mtb
  - name: outputs
    lines: [hello]
    routes: archiv
  - lines: [hello]
    routes: dropped
""",
    )
    assert messages(trial) == [
        "6:16 fields: record 1: kind is 'mta'",
        "6:35 fields: record 1: size_blocks is 1",
        "6:45 fields: record 1: sender is 'bob@example.com'",
        "6:59 fields: record 1 has no recipeint",
        "6:75 fields: record 1 has no null_sender",
        "9:14 number: 2 lines, 1 record expected",
        f"12:13 routes: record 1 goes to archive and siem, as the route at {config.rules[1].place} says",
        f"12:13 routes: record 2 is dropped, as the route at {config.rules[2].place} says",
        "15:13 each: 1 record, routes of 2",
        "18:12 names: there is no input 'mtb'",
        "21:13 outputs: there is no output 'archiv'",
    ]
    assert (trial.count, trial.failed) == (7, ["fields", "number", "routes", "each", "names", "outputs"])
    assert trial.readable


def test_priorities_are_expected_too(tmp_path: Path) -> None:
    """Of all records or of each, in words or as the number; what is none is said, and which setting decides."""
    (tmp_path / "shipper.yaml").write_text(
        "mailserver: {settings: {LOG_MESSAGES_SYSLOG: 20}}\ninputs: {a: {type: file, paths: [x]}}\noutputs: {b: {type: syslog, enterprise: 9}}\n"
    )
    config = load(tmp_path / "shipper.yaml", {}).config
    assert config
    test = f"""
tests:
  - lines: ["{LINE}", hello]
    priority: PRIORITY
"""
    for good in ("[mail.warning, as it is]", "['20', as it is]"):
        assert messages(tried(tmp_path, config, test.replace("PRIORITY", good))) == []
    said = f"as LOG_MESSAGES_SYSLOG=20 ({tmp_path}/shipper.yaml:1:25) says"
    for bad, expected in (
        ("[mail.info, as it is]", [f"4:16 test 1: record 1 goes to syslog as mail.warning, {said}"]),
        ("as it is", [f"4:15 test 1: record 1 goes to syslog as mail.warning, {said}"]),
        ("[mail.warning, mail.info]", ["4:30 test 1: record 2 goes to syslog as it is"]),
        ("[mail.warn, as it is]", ["4:16 test 1: 'mail.warn' is no priority"]),
        ("[mail.warning]", ["4:15 test 1: 2 records, priorities of 1"]),
    ):
        assert messages(tried(tmp_path, config, test.replace("PRIORITY", bad))) == expected


@pytest.mark.parametrize(
    "content", ["", "x", "tests:", "tests: []", "tests: [{lines: [a], recrods: []}]", "tests: [{lines: }]", "a: [", "tests: {a: b}"]
)
def test_a_file_that_is_none_is_no_passed_test(content: str, tmp_path: Path, config: Config) -> None:
    """Said as an error of the file."""
    trial = tried(tmp_path, config, content)
    assert trial.problems and not trial.readable and not trial.count


VALUES = st.recursive(
    st.sampled_from(["mta", "", "~", "1", "yes", "dropped", "archive", "'a'", "é"]),
    lambda inner: st.lists(inner, max_size=2).map(lambda values: f"[{', '.join(values)}]"),
)


@settings(max_examples=100, deadline=None)
@given(VALUES, VALUES, VALUES, st.text(max_size=20).filter(lambda t: t.isprintable()))
def test_no_test_raises(config: Config, tmp_path_factory: pytest.TempPathFactory, lines: str, value: str, routes: str, line: str) -> None:
    """Whatever is expected of whatever."""
    quoted = '"' + line.replace("\\", "\\\\").replace('"', '\\"') + '"'
    for first in (lines, f"[{quoted}]"):
        body = f"tests: [{{lines: {first}, records: [{{message: {value}, kind: {value}}}], routes: {routes}}}]"
        messages(tried(tmp_path_factory.getbasetemp(), config, body))
