"""`shipper assets`: what a receiver has to know before our records come."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from typing import Annotated

import typer


class Receiver(StrEnum):
    """Whose assets."""

    elasticsearch = "elasticsearch"


class Part(StrEnum):
    """One of the requests, without its first line."""

    policy = "policy"
    component = "component"
    template = "template"


def assets(
    receiver: Annotated[Receiver, typer.Argument(metavar="RECEIVER", help="elasticsearch")],
    opensearch: Annotated[bool, typer.Option("--opensearch", help="For OpenSearch instead.")] = False,
    part: Annotated[Part | None, typer.Option("--part", help="Only the body of this one, for curl.")] = None,
) -> None:
    """Print what a RECEIVER has to know before our records come.

    For Elasticsearch: how long data stays (ILM), the types of the fields, and
    the template of the data streams, as requests that its console takes.

    \b
    Examples:
      shipper assets elasticsearch
      shipper assets elasticsearch --opensearch
      shipper assets elasticsearch --part template | curl -T - -H 'Content-Type: application/json' \\
        https://es.example.com:9200/_index_template/logs-sunmsg
    """
    from shipper.profiles.ecs_mapping import requests

    found = dict(zip(Part, requests(opensearch=opensearch), strict=True))
    if part is not None:
        sys.stdout.write(json.dumps(found[part][1], indent=2) + "\n")
        return
    for path, body in found.values():
        sys.stdout.write(f"PUT {path}\n{json.dumps(body, indent=2)}\n\n")
