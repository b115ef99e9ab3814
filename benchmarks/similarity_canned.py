"""DynamoDB and S3 as canned answers, put in where botocore would read them from the socket.

Before and after, everything runs as ever: endpoint rules, serializer, signature, retries, parser; the network does not.
"""

import json
import os
import re
import zlib
from base64 import b64encode
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any
from urllib.parse import unquote, urlsplit

import botocore.handlers
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from shared.database.index_rows import IndexRow

PAGE_BYTES = 1024 * 1024
"""DynamoDB ends a query's page here, by the stored size of its rows."""

ENVIRONMENT = {
    "ENVIRONMENT": "bench",
    "DYNAMODB_USERS_TABLE": "k9-users-bench",
    "DYNAMODB_REPORTS_TABLE": "k9-reports-bench",
    "DYNAMODB_EMBEDDINGS_TABLE": "k9-embeddings-bench",
    "SIMILARITY_BUCKET": "k9-similarity-bench",
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLEEXAMPLE00",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMIexamplekeyexamplekeyexample",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "POWERTOOLS_SERVICE_NAME": "k9-api",
    "POWERTOOLS_METRICS_NAMESPACE": "K9",
}

_START_KEY = re.compile(rb'"ExclusiveStartKey": ?{"product_id": ?{"S": ?"([^"]+)"')


class Pages:
    """A query's answers, one after the other; each but the last ends with the key that the next is asked for by."""

    def __init__(self, pages: Sequence[bytes], last_ids: Sequence[str]) -> None:
        self._pages = pages
        self._page_after = {name.encode(): place + 1 for place, name in enumerate(last_ids)}

    @property
    def nbytes(self) -> int:
        return sum(map(len, self._pages))

    def respond(self, request: Any, **_: object) -> AWSResponse:
        start = _START_KEY.search(request.body)
        return _answer(request.url, self._pages[self._page_after[start[1]] if start else 0])


class Objects:
    """A bucket, by key; the objects may change."""

    def __init__(self, bodies: Mapping[str, bytes]) -> None:
        self.bodies = bodies

    def respond(self, request: Any, **_: object) -> AWSResponse:
        key = urlsplit(request.url).path
        body = next((body for name, body in self.bodies.items() if unquote(key).endswith(unquote(name))), None)
        if body is None:
            missing = b"<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>"
            return _answer(request.url, missing, status=404, kind="application/xml")
        return _answer(request.url, body, kind="binary/octet-stream")


def install(pages: Pages | None = None, objects: Objects | None = None) -> None:
    """Have every client that is made from now on get these answers, and the environment name made-up tables."""
    os.environ.update(ENVIRONMENT)
    for event, source in (("dynamodb.Query", pages), ("s3.GetObject", objects)):
        if source is not None:
            botocore.handlers.BUILTIN_HANDLERS.append((f"before-send.{event}", source.respond))


def pages_of(items: Sequence[dict[str, Any]], sizes: Sequence[int], limit: int | None = None) -> tuple[Pages, int]:
    """Items as pages of `limit`, or of as many as DynamoDB puts in one by their stored `sizes`; and how many pages."""
    groups: list[list[dict[str, Any]]] = [[]]
    filled = 0
    for item, size in zip(items, sizes, strict=True):
        if groups[-1] and (filled + size > PAGE_BYTES or len(groups[-1]) == limit):
            groups.append([])
            filled = 0
        groups[-1].append(item)
        filled += size
    last_ids = [group[-1]["product_id"]["S"] for group in groups[:-1]]
    return Pages([_page(group, group is not groups[-1]) for group in groups], last_ids), len(groups)


def attribute(value: Any) -> dict[str, Any]:
    """An attribute value as it is on the wire."""
    if isinstance(value, bytes):
        return {"B": b64encode(value).decode()}
    if isinstance(value, Mapping):
        return {"M": {name: attribute(member) for name, member in value.items()}}
    if isinstance(value, list):
        return {"L": [attribute(member) for member in value]}
    if isinstance(value, bool):
        return {"BOOL": value}
    return {"S": value} if isinstance(value, str) else {"N": repr(value)}


def index_item(row: IndexRow) -> dict[str, Any]:
    """A row as the reader of changes asks for it."""
    named = {"product_id": row.product_id, "updated_at": row.updated_at, "embedding_vector": row.vector}
    return {name: attribute(value) for name, value in {**named, "product": row.product}.items()}


def _page(items: list[dict[str, Any]], has_next: bool) -> bytes:
    page: dict[str, Any] = {"Count": len(items), "ScannedCount": len(items), "Items": items}
    page["ConsumedCapacity"] = {"TableName": "k9-embeddings-bench", "CapacityUnits": 128.0}
    if has_next:
        last = items[-1]
        page["LastEvaluatedKey"] = {
            "product_id": last["product_id"],
            "owner_model": {"S": "owner#model"},
            "updated_at": last["updated_at"],
        }
    return json.dumps(page, separators=(",", ":")).encode()


def _answer(url: str, content: bytes, status: int = 200, kind: str = "application/x-amz-json-1.0") -> AWSResponse:
    headers = HTTPHeaders()
    for name, value in {
        "Server": "Server",
        "Date": "Thu, 24 Sep 2026 08:01:11 GMT",
        "Content-Type": kind,
        "Content-Length": str(len(content)),
        "x-amzn-RequestId": "J8QK2V4L8M0N6P2R4T6V8X0Z2B4D6F8H0J2L4N6P8R0T2V4X6Z8",
    }.items():
        headers[name] = value
    if kind.startswith("application/x-amz-json"):
        headers["x-amz-crc32"] = str(zlib.crc32(content))
    else:
        headers["ETag"] = '"0123456789abcdef0123456789abcdef"'
    return AWSResponse(url, status, headers, _Raw(content))


class _Raw(BytesIO):
    """As much of urllib3's response as botocore reads."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self._content = content

    def stream(self) -> Any:
        yield self._content
