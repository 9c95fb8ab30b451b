"""`shipper assets`: what it prints can be put into a console, or sent by curl."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from shipper.cli import app
from shipper.profiles.ecs_mapping import requests


def printed(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["assets", *arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.parametrize("options", [[], ["--opensearch"]])
def test_all_requests_in_order(options: list[str]) -> None:
    """`PUT path`, and its JSON."""
    found = []
    for block in printed("elasticsearch", *options).strip().split("\n\n"):
        head, _, body = block.partition("\n")
        assert head.startswith("PUT ")
        found.append((head.removeprefix("PUT "), json.loads(body)))
    assert found == requests(opensearch=bool(options))


@pytest.mark.parametrize(("part", "number"), [("policy", 0), ("component", 1), ("template", 2)])
def test_one_part_alone_is_json(part: str, number: int) -> None:
    """For curl."""
    assert json.loads(printed("elasticsearch", "--part", part)) == requests()[number][1]


def test_other_receivers_are_refused() -> None:
    """With the exit code of wrong use."""
    assert CliRunner().invoke(app, ["assets", "mongodb"]).exit_code == 2
