"""The output `elasticsearch`: what each item of an answer means, and that no record can be anything but a document."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shipper.batch import Arrival
from shipper.outputs.base import Refused, TooLarge, Unavailable
from shipper.outputs.elasticsearch import PATIENCE, Elasticsearch, Section, make
from shipper.record import KINDS, Mta, Service, Store, Text
from tests.outputs.bad_server import BadServer, Request, Step, hangs, is_cut, never_ends, resets, says

JSON = "application/json; charset=UTF-8"
ARRIVAL = Arrival("test", 1_116_028_800_000_000_000)


def output(url: str = "http://h:9200", **settings: Any) -> Elasticsearch:
    return make("o", Section.model_validate({"type": "elasticsearch", "url": url, "proxy": "", **settings}))


def payloads(count: int = 4) -> list[bytes]:
    return output().render([Text(message=f"line {number}", id=f"{number:032x}") for number in range(count)], ARRIVAL)


def items(*statuses: int, error: Any = None) -> Step:
    """An answer with these statuses."""
    told = [{"create": {"status": status, **({"error": error} if error and status >= 400 else {})}} for status in statuses]
    return says(200, json.dumps({"errors": any(status >= 300 for status in statuses), "items": told}).encode(), JSON)


async def send(found: Elasticsearch, waiting: Sequence[bytes]) -> None:
    async with found.sender() as sender:
        await sender.send(waiting)


def outcome(found: Elasticsearch, waiting: Sequence[bytes] | None = None) -> Exception | None:
    """What a send raises; None if all is taken."""
    try:
        asyncio.run(send(found, payloads() if waiting is None else waiting))
    except (Unavailable, Refused, TooLarge) as error:
        return error
    return None


def answered(step: Step, **settings: Any) -> Exception | None:
    with BadServer([step]) as server:
        return outcome(output(server.url, **settings))


def actions(body: bytes) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """(action, document) of a bulk request."""
    assert body.endswith(b"\n")
    lines = [json.loads(line) for line in body[:-1].split(b"\n")]
    return list(zip(lines[::2], lines[1::2], strict=True))


def test_a_request_has_an_action_and_a_document_for_each_record() -> None:
    """`create` under our id, in the data stream of the record's dataset."""
    records = [Mta(id="a" * 32), Service(id="b" * 32), Store(id="c" * 32), Text()]
    with BadServer([items(201, 201, 201, 201)]) as server:
        found = output(server.url + "/es/", namespace="prod")
        assert outcome(found, found.render(records, ARRIVAL)) is None
        (request,) = server.requests
    assert request.path.startswith("/es/_bulk?")
    assert request.headers["Content-Type"] == "application/x-ndjson"
    names = [(action["create"]["_index"], action["create"].get("_id")) for action, _ in actions(request.body)]
    assert names == [
        ("logs-sunmsg.mta-prod", "a" * 32),
        ("logs-sunmsg.service-prod", "b" * 32),
        ("logs-sunmsg.store-prod", "c" * 32),
        ("logs-sunmsg.other-prod", None),
    ]


@given(text=st.text(), name=st.text(), kind=st.sampled_from(KINDS))
def test_no_record_can_forge_an_action(text: str, name: str, kind: Any) -> None:
    """Whatever stands in it: one action, one document."""
    record = kind(raw=f'{text}\n{{"delete":{{"_id":"1"}}}}\r\n', host=name, id=name, extra={name: text})
    ((action, document),) = actions(b"".join(output().render([record], ARRIVAL)))
    assert list(action) == ["create"] and document["event"]["kind"]


@pytest.mark.parametrize(
    ("settings", "header"),
    [
        ({"username": "u", "password": "pä:ss"}, "Basic"),
        ({"api_key": "a2V5"}, "ApiKey a2V5"),
        ({"bearer": "token\n"}, "Bearer token"),
        ({}, None),
    ],
)
def test_credentials(settings: dict[str, Any], header: str | None) -> None:
    """One kind of them, and none of it shown."""
    with BadServer([items(201, 201, 201, 201)]) as server:
        assert outcome(output(server.url, **settings)) is None
        given_header = str(server.requests[0].headers.get("Authorization"))
    if header == "Basic":
        assert b64decode(given_header.removeprefix("Basic ")).decode() == "u:pä:ss"
    else:
        assert given_header == str(header)
    section = Section.model_validate({"type": "elasticsearch", "url": "http://h", **settings})
    for secret in ("pä:ss", "a2V5", "token"):
        assert secret not in repr(section) + section.model_dump_json()


@pytest.mark.parametrize("settings", [{"username": "u"}, {"password": "p"}, {"api_key": "a", "bearer": "b"}, {"namespace": "A-b"}])
def test_credentials_that_contradict(settings: dict[str, Any]) -> None:
    """Errors of the configuration."""
    with pytest.raises(ValidationError):
        Section.model_validate({"type": "elasticsearch", "url": "http://h", **settings})


def test_what_is_there_already_is_taken() -> None:
    """409: it was sent before, and the answer was lost."""
    assert answered(items(201, 409, 200, 409)) is None


def test_items_that_are_not_taken_now_are_sent_again_and_only_these() -> None:
    """429, 5xx; others of the same request are refused."""
    error = answered(items(429, 503, 400, 201))
    assert isinstance(error, Refused)
    assert (error.indices, error.again, error.reasons) == ((2,), (0, 1), {2: "400"})
    error = answered(items(201, 503, 201, 201))
    assert isinstance(error, Refused) and (error.indices, error.again) == ((), (1,))


def test_a_refusal_names_the_field_and_not_its_value() -> None:
    """The receiver's words quote the document, which has addresses in it."""
    error = {
        "type": "document_parsing_exception",
        "reason": "[1:9] failed to parse field [source.ip] of type [ip] in document with id '7'. Preview of field's value: 'adam@example.com'",
    }
    found = answered(items(201, 400, 201, 400, error=error))
    assert isinstance(found, Refused)
    assert found.reason == "400 document_parsing_exception (field source.ip)"
    assert found.reasons == dict.fromkeys((1, 3), found.reason)


def test_missing_permission_is_no_fault_of_the_records() -> None:
    """Index closed for writing, no privilege, no index: they wait."""
    error = answered(items(403, 403, 403, 403, error={"type": "cluster_block_exception", "reason": "index read-only"}))
    assert isinstance(error, Unavailable) and error.misconfigured and error.reason == "403 cluster_block_exception"
    error = answered(items(404, 201, 201, 201))
    assert isinstance(error, Refused) and (error.indices, error.again) == ((), (0,))


@pytest.mark.parametrize(
    "step",
    [
        says(200, b"<html>log in</html>", "text/html"),
        says(200, b"", JSON),
        says(200, b"{}", JSON),
        says(200, b'{"errors":false,"items":[]}', JSON),
        says(200, b'{"errors":false,"items":[{"create":{"status":201}}]}', JSON),
        says(200, b'{"errors":"no","items":7}', JSON),
        says(200, b"[" * 100_000, JSON),
        says(200, b'{"errors":false,"items":[{},{},{},{}]}', JSON),
        says(204),
        never_ends,
        says(302, Location="http://elsewhere.example.com/"),
        says(401),
        says(403),
        says(404),
        says(406),
    ],
)
def test_what_is_no_answer_of_elasticsearch_takes_nothing(step: Step) -> None:
    """Another server, a page, an answer for fewer items than were sent."""
    error = answered(step)
    assert isinstance(error, Unavailable) and error.misconfigured, error


def test_answers_for_the_whole_request() -> None:
    """429 and its like: later; 413 and 400: smaller, as one bad line spoils a request."""
    error = answered(
        says(429, b'{"error":{"type":"circuit_breaking_exception","reason":"adam@example.com"},"status":429}', JSON, Retry_After="3")
    )
    assert isinstance(error, Unavailable) and not error.misconfigured
    assert (error.retry_after, error.reason) == (3, "HTTP 429: circuit_breaking_exception")
    assert isinstance(answered(says(413)), TooLarge)
    assert isinstance(answered(says(400, b'{"error":{"type":"illegal_argument_exception"},"status":400}', JSON)), TooLarge)


@pytest.mark.parametrize("step", [resets, is_cut, hangs])
def test_no_answer_is_later(step: Step) -> None:
    """What was stored nevertheless is 409 the next time."""
    error = answered(step, timeout="300ms")
    assert isinstance(error, Unavailable) and not error.misconfigured


def test_500_is_the_receivers_fault_for_a_while() -> None:
    """As of every HTTP receiver."""
    with BadServer([says(500)] * (PATIENCE + 1) + [items(201, 201, 201, 201), says(500)]) as server:
        found = output(server.url)
        kinds = [type(outcome(found)) for _ in range(PATIENCE + 3)]
    assert kinds == [Unavailable] * PATIENCE + [TooLarge, type(None), Unavailable]


def test_a_lost_answer_costs_nothing() -> None:
    """Stored, and the connection broke before the answer: sent again under the same ids, it is there once."""
    stored: dict[str, dict[str, Any]] = {}

    def stores(request: Request) -> list[int]:
        found = []
        for action, document in actions(request.body):
            name = action["create"]["_id"]
            found.append(409 if name in stored else 201)
            stored.setdefault(name, document)
        return found

    def loses(request: Request) -> None:
        stores(request)
        resets(request)

    with BadServer([loses, lambda request: items(*stores(request))(request)]) as server:
        found = output(server.url)
        assert isinstance(outcome(found), Unavailable)
        assert outcome(found) is None
    assert len(stored) == 4
