"""The configurations in conf/, and what is made from the sections: the sample, the JSON Schema, the reference."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml
from pydantic import BaseModel

from shipper.config.load import load
from shipper.config.problems import text
from shipper.config.schema import schema
from shipper.config.sections import Settings, known_inputs, known_outputs
from shipper.config.trial import run
from shipper.config.validate import sections_in

ROOT = Path(__file__).resolve().parent.parent.parent
CONF = ROOT / "conf"
ENVIRONMENT = {
    "ELASTIC_API_KEY": "bm90OmFrZXk=",
    "ENTERPRISE_NUMBER": "99999",
    "OTLP_ENDPOINT": "http://192.0.2.1:4318",
    "NODE_NAME": "node1.example.com",
}
"""What the examples need."""

SECTIONS = [
    pytest.param(kinds.section(kind), kind, id=f"{kinds.what}-{kind}")
    for kinds in (known_inputs(), known_outputs())
    for kind in kinds.modules
]


@pytest.mark.parametrize("path", sorted(CONF.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_example_loads_without_a_warning(path: Path) -> None:
    """With the environment that it needs, but for files and directories that this machine does not have; without one, `--no-env` finds nothing
    wrong; editors find nothing wrong either."""
    loaded = load(path, ENVIRONMENT)
    wrong = [problem for problem in loaded.problems if problem.number not in ("C118", "C152", "C158", "C159")]
    assert not wrong, "\n".join(text(problem, loaded.sources) for problem in wrong)
    assert load(path, ENVIRONMENT, lenient=True).config
    assert not load(path, {}, lenient=True).problems
    jsonschema.Draft202012Validator(schema()).validate(yaml.load(path.read_text(), Loader=yaml.SafeLoader))


def test_what_is_made_from_the_sections_is_current(tmp_path: Path) -> None:
    """Run `python docs/make_configuration.py` after a change of a section."""
    subprocess.run([sys.executable, ROOT / "docs" / "make_configuration.py", tmp_path], check=True, cwd=ROOT)
    for name in ("conf/shipper.yaml", "conf/shipper.schema.json", "docs/configuration.md"):
        assert (tmp_path / name).read_text() == (ROOT / name).read_text(), name


def test_the_sample_has_every_option_and_knows_no_other(tmp_path: Path) -> None:
    """With all that is commented out in force, no option is unknown and no value is wrong."""
    whole = re.sub(r"^( *)#(?! \S)", r"\1", (CONF / "shipper.yaml").read_text(), flags=re.MULTILINE)
    (tmp_path / "shipper.yaml").write_text(whole)
    loaded = load(tmp_path / "shipper.yaml", {})
    wrong = [problem for problem in loaded.errors if "belong together" not in problem.message]
    assert not wrong, "\n".join(text(problem, loaded.sources) for problem in wrong)
    for section in [Settings, *(parameter.values[0] for parameter in SECTIONS)]:
        for name, info in section.model_fields.items():
            assert re.search(rf"^ *{info.alias or name}:", whole, re.MULTILINE), name


@pytest.mark.parametrize(("section", "kind"), SECTIONS)
def test_a_section_is_one(section: type[BaseModel], kind: str) -> None:
    """Unknown options are errors on every level, each option says what it is, and `type` is the name in the registry."""
    assert section.model_json_schema()["properties"]["type"]["const"] == kind
    seen: list[type[BaseModel]] = []
    waiting = [section]
    while waiting:
        model = waiting.pop()
        seen.append(model)
        assert model.model_config.get("extra") == "forbid", model
        for name, info in model.model_fields.items():
            assert info.description or name == "type", f"{model.__name__}.{name} says nothing of itself"
            waiting += [inner for inner in sections_in(info.annotation) if inner not in seen]


def test_the_schema_refuses_what_check_refuses(tmp_path: Path) -> None:
    """Unknown options, wrong types; variables may stand anywhere."""
    validator = jsonschema.Draft202012Validator(schema())
    validator.check_schema(json.loads((CONF / "shipper.schema.json").read_text()))
    good = {
        "inputs": {"a": {"type": "file", "paths": ["x"], "max_open": "${N}", "idle_flush": "1h30m"}},
        "outputs": {"b": {"type": "jsonl", "path": "-", "keep": "${KEEP:-3}", "rotate_size": "10MB", "required": "${R}"}},
        "routes": [{"when": {"kind": "mta"}, "to": "b"}, {"drop": True}],
    }
    validator.validate(good)
    for change in (
        {"timezome": "UTC"},
        {"grace": "10 potatoes"},
        {"inputs": {}},
        {"inputs": {"a": {"type": "fiel", "paths": ["x"]}}},
        {"outputs": {"b": {"type": "jsonl", "path": "-", "keep": "many"}}},
        {"outputs": {"b": {"type": "jsonl", "path": "-", "buffer": {"kind": "dsik"}}}},
    ):
        assert not validator.is_valid(good | change), change
        (tmp_path / "c.yaml").write_text(yaml.safe_dump(good | change))
        assert load(tmp_path / "c.yaml", {"N": "1", "R": "no"}).errors, change
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(good))
    assert not load(tmp_path / "c.yaml", {"N": "1", "R": "no"}).errors


def test_real_sections_have_doubts(tmp_path: Path) -> None:
    """What weakens the transport is a warning at the option: no check of certificates, senders without one, the number of examples."""
    path = tmp_path / "shipper.yaml"
    path.write_text(
        "inputs:\n  a:\n    type: syslog\n    listen: [tls://127.0.0.1:6514]\n    tls: {certificate: a, key: b, clients: anon}\n"
        "outputs:\n  b:\n    type: elasticsearch\n    url: https://example.com\n    tls:\n      verify: no\n  c: {type: syslog, takes: all}\n"
    )
    loaded = load(path, {}, lenient=True)
    assert loaded.config
    assert [(problem.number, problem.place.line, problem.place.column) for problem in loaded.problems] == [
        ("C154", 5, 44),
        ("C154", 11, 15),
        ("C154", 12, 3),
    ]


def test_the_tests_of_the_examples_pass() -> None:
    """`shipper test conf/tests --config conf/NAME.yaml`, for each file of tests."""
    for path in sorted((CONF / "tests").glob("*.yaml")):
        config = load(CONF / path.name, ENVIRONMENT, lenient=True).config
        assert config
        trial = run(path, config)
        assert trial.count and not trial.problems, "\n".join(text(problem, trial.sources) for problem in trial.problems)
