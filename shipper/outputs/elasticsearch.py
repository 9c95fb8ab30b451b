"""Output `elasticsearch`: ECS documents into data streams of Elasticsearch or OpenSearch, by `_bulk`.

Each record goes to `logs-<event.dataset>-<namespace>`, such as `logs-sunmsg.mta-default`, with `create` and its own id: what is sent a second
time is there already (409), which is as good as taken. A payload is an action line and a document line; the request is one after the other.

The answer has a status for each payload:

    2xx, 409                          taken
    429, 5xx                          again, and only these
    401 403 404                       again, and rarely: a permission or the index is missing, or the index is closed for writing
    any other                         refused, with the kind of error and the field

The answer's own status is as for every HTTP receiver: 3xx and what is no answer of Elasticsearch take nothing, 413 halves, and 400 too, as one bad
line spoils a whole request.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, model_validator
from pydantic_core import PydanticCustomError

from shipper import straight
from shipper.batch import Arrival
from shipper.config.units import Duration
from shipper.outputs.base import Limits, Refused, TooLarge, Unavailable
from shipper.outputs.http import Answer, Client, HeaderName, HeaderSecret, TlsSettings, Url, check_status, told
from shipper.outputs.section import WHICH, Common
from shipper.profiles import ecs
from shipper.profiles.base import encode
from shipper.record import Record
from shipper.router import Takes
from shipper.straight import Straight

PATIENCE = 10
"""Answers of 500 in a row after which the fault is looked for in the records."""

_FILTER = "filter_path=errors,items.*.status,items.*.error.type,items.*.error.reason"
_FIELD = re.compile(r"""(?:field(?: name)?|introduction of|mapping for)[ =]?[\["]([\w.@-]{1,100})[\]"]""")
_TYPE = re.compile(r"[a-z_]{1,80}")


class Section(Common):
    """Elasticsearch or OpenSearch. `shipper assets elasticsearch` prints the templates that it should have first."""

    type: Literal["elasticsearch"]
    takes: Takes = Field("all", description=WHICH)
    url: Url = Field(description="Where it is: `https://host:9200`.")
    namespace: Annotated[str, Field(pattern=r"^[a-z0-9_.]{1,100}$")] = Field(
        "default", description="Last part of the data streams' names: `logs-sunmsg.mta-<namespace>`."
    )
    username: str | None = Field(None, description="User, for a password.")
    password: SecretStr | None = Field(None, description="The user's password.")
    api_key: HeaderSecret | None = Field(None, description="API key in the encoded form that Elasticsearch gives, instead of a password.")
    bearer: HeaderSecret | None = Field(None, description="Bearer token, instead of a password.")
    headers: dict[HeaderName, HeaderSecret] = Field({}, description="More headers of every request. Shown nowhere.")
    compression: Literal["gzip", "none"] = Field("gzip", description="Of requests.")
    timeout: Duration = Field(30.0, gt=0, description="How long to wait for a connection, and for an answer.")
    tls: TlsSettings = Field(TlsSettings(), description="Certificates, for `https`.")
    proxy: SecretStr | None = Field(None, description="Proxy; the usual variables if not given, none if empty.")

    @model_validator(mode="after")
    def _one_credential(self) -> Section:
        if (self.username is None) != (self.password is None):
            raise PydanticCustomError("credentials", "`username` and `password` go together")
        if [self.password, self.api_key, self.bearer].count(None) < 2:
            raise PydanticCustomError("credentials", "take one of `password`, `api_key` and `bearer`")
        return self

    def authorization(self) -> dict[str, str]:
        """The header that says who we are, if any."""
        if self.username is not None and self.password is not None:
            secret = f"{self.username}:{self.password.get_secret_value().strip()}"
            return {"Authorization": "Basic " + b64encode(secret.encode()).decode()}
        if self.api_key is not None:
            return {"Authorization": f"ApiKey {self.api_key.get_secret_value()}"}
        if self.bearer is not None:
            return {"Authorization": f"Bearer {self.bearer.get_secret_value()}"}
        return {}


class Elasticsearch:
    """One output of this kind."""

    def __init__(self, name: str, section: Section) -> None:
        self.name = name
        self.limits = Limits(section.batch.records, section.batch.size)
        self.section = section
        self.failures = 0
        self._actions = {
            kind: f'{{"create":{{"_index":"logs-{dataset}-{section.namespace}"'.encode() for kind, dataset in ecs.DATASETS.items()
        }
        self._begun = {dataset.encode(): self._actions[kind] for kind, dataset in ecs.DATASETS.items()}

    def render(self, records: Sequence[Record], arrival: Arrival) -> list[bytes]:
        """An action line and a document line for each record."""
        rendered = straight.rendered(records, ecs.PROFILE, arrival.observed)
        documents = rendered.splitlines(keepends=True)
        actions = self._actions
        if isinstance(records, Straight) and (told := [*map(_told, documents)]).count(None) == 0:  # nobody needs to make the records
            begun = self._begun
            return [b'%b,"_id":"%b"}}\n%b' % (begun[each[0]], each[1], line) for each, line in zip(told, documents, strict=True) if each]
        return [
            b'%b,"_id":%b}}\n%b' % (actions[record.__class__], encode(record.id), document)
            if record.id.isalnum() and record.id.isascii()
            else b"%b}}\n%b" % (actions[record.__class__], document)
            for record, document in zip(records, documents, strict=True)
        ]

    def ready(self) -> None:
        """Raises `Unavailable` when the certificates cannot be used."""
        self.section.tls.ready()

    def sender(self) -> _BulkSender:
        """A connection to the cluster."""
        return _BulkSender(self)


def make(name: str, section: Section) -> Elasticsearch:
    """The output that a section describes."""
    section.tls.warn(name)
    return Elasticsearch(name, section)


class _BulkSender:
    def __init__(self, output: Elasticsearch) -> None:
        section = output.section
        more = {name: value.get_secret_value() for name, value in section.headers.items()}
        self._output = output
        self._url = f"{section.url.rstrip('/')}/_bulk?{_FILTER}"
        self._client = Client(
            {**more, **section.authorization()},
            timeout=section.timeout,
            tls=section.tls,
            proxy=section.proxy.get_secret_value() if section.proxy is not None else None,
            compress=section.compression == "gzip",
        )

    async def __aenter__(self) -> _BulkSender:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._client.close()

    async def send(self, payloads: Sequence[bytes]) -> None:
        answer = await self._client.post(self._url, b"".join(payloads), "application/x-ndjson")
        reasons: dict[int, str] = {}
        again: dict[int, str] = {}
        settings = False
        for index, (status, reason) in enumerate(self._items(answer, len(payloads))):
            if 200 <= status < 300 or status == 409:
                continue
            if status == 429 or status >= 500 or status in (401, 403, 404):
                again[index] = reason
                settings = settings or status in (401, 403, 404)
            else:
                reasons[index] = reason
        self._output.failures = 0
        if again and settings and len(again) == len(payloads):
            raise Unavailable(_several(again.values()), misconfigured=True)
        if again or reasons:
            raise Refused(
                _several((reasons or again).values()), list(reasons), reasons=reasons, again=list(again), retry_after=answer.retry_after()
            )

    def _items(self, answer: Answer, payloads: int) -> list[tuple[int, str]]:
        """(status, reason) of each payload. Raises what the answer as a whole means."""
        if not 200 <= answer.status < 300:
            said = _error(answer)
            check_status(answer, said)
            reason = f"HTTP {answer.status}: {told(said)}" if said else f"HTTP {answer.status}"
            if answer.status == 400:
                raise TooLarge(reason)
            if answer.status < 500:
                raise Unavailable(reason, misconfigured=True)
            self._output.failures += 1
            raise Unavailable(reason) if self._output.failures <= PATIENCE else TooLarge(reason)
        try:
            found: Any = json.loads(answer.body) if answer.whole else None
            if found["errors"] is not False and found["errors"] is not True:
                raise TypeError
            items = [next(iter(item.values())) for item in found["items"]]
            if len(items) != payloads:
                raise TypeError
            return [(int(item["status"]), _reason(item)) for item in items]
        except (ValueError, TypeError, KeyError, AttributeError, StopIteration, RecursionError):
            raise Unavailable(f"HTTP {answer.status}, but the answer is not Elasticsearch's", misconfigured=True) from None


def _told(document: bytes) -> tuple[bytes, bytes] | None:
    """(dataset, id) that a document tells; None where the id is a rare one. What is looked for stands there once: quotes in texts are escaped."""
    dataset = document.index(b'"dataset":"') + 11
    created = document.index(b'"created":"', dataset) + 11
    id = document.index(b'"', created)
    if document[id : id + 8] != b'","id":"':
        return None
    found = document[id + 8 : document.index(b'"', id + 8)]
    return (document[dataset : document.index(b'"', dataset)], found) if found.isalnum() else None


def _several(reasons: Iterable[str]) -> str:
    """The first few that differ."""
    found = list(dict.fromkeys(reasons))
    return "; ".join(found[:3]) + (" …" if len(found) > 3 else "")


def _reason(item: Any) -> str:
    """`400 document_parsing_exception (field source.ip)`: never the words themselves, as they quote the document."""
    error = item.get("error")
    if not isinstance(error, dict):
        return str(int(item["status"]))
    kind, field = str(error.get("type", "")), _FIELD.search(str(error.get("reason", "")))
    return " ".join(
        part for part in (str(int(item["status"])), kind if _TYPE.fullmatch(kind) else "", f"(field {field[1]})" if field else "") if part
    )


def _error(answer: Answer) -> str:
    """The kind of error of an answer that is none for the payloads."""
    try:
        error = json.loads(answer.body)["error"]
        kind = str(error["type"])
        return kind if _TYPE.fullmatch(kind) else ""
    except (ValueError, TypeError, KeyError, RecursionError):
        return ""
