"""Requests to every route: the event, its headers, path, query and body, up to the handler's arguments."""

import importlib
import json
import math
import pkgutil
import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import BaseModel

import handlers
from handlers.embeddings.batch import read_items, results
from shared.auth import Caller
from shared.database.attributes import from_attribute, to_attribute
from shared.database.writes import Terms
from shared.errors import ApiError
from shared.events import Request
from shared.http import ENDPOINTS, _failed, _render
from shared.models import json_text
from shared.models.embedding import StoreEmbeddings

from .gateway import HttpRequest, Router
from .json_texts import plain
from .request_mutation import mutate
from .target import Target, from_file

_ROUTELESS = ("avatar_uploads", "worker", "resume")
_CALLER = Caller("alice")
_REFUSALS = (400, 415, 422)
_PARTS = ("body", "query", "path", "header")


def _routes() -> list[tuple[str, str]]:
    """Every route, without what takes a layer of its own to import."""
    for module in pkgutil.walk_packages(handlers.__path__, "handlers."):
        if module.name.removeprefix("handlers.") not in _ROUTELESS:
            importlib.import_module(module.name)
    return sorted(
        route for route, endpoint in ENDPOINTS.items() if endpoint.function.__module__.startswith("handlers.")
    )


_ROUTES = _routes()
_ROUTER = Router(_ROUTES)


def check(data: bytes) -> str:
    """A request is bound to its handler's arguments, all of which can be stored and told again, or refused in words."""
    routed = _ROUTER.event_of(HttpRequest.parse(data))
    if routed is None:
        return "refused: no route"
    route, event = routed
    try:
        request = Request.of(event, "an id")
        arguments = ENDPOINTS[route]._binder.arguments(request, _CALLER)
    except ApiError as error:
        _check_refusal(error, event)
        return f"refused: {error.status}"
    assert request.base_url.startswith("http")
    for value in arguments.values():
        _check_bound(value, request)
    return f"accepted: {' '.join(route)}"


def _check_refusal(error: ApiError, event: Mapping[str, Any]) -> None:
    """The answer can be sent, and says of each fault which part of the request it is in."""
    assert error.status in _REFUSALS, f"a request is answered with {error.status}"
    response = _render(_failed(error, event, "an id"), event, "an id")
    problem = json.loads(json.dumps(response).encode())["body"].encode()
    assert json.loads(problem)["status"] == error.status
    assert not any(re.search(r"[\r\n]", value) for value in response["headers"].values()), "a header has two lines"
    for fault in error.errors:
        assert fault.pointer.split("/")[1] in _PARTS, fault.pointer
        assert not re.search(r"~(?![01])", fault.pointer), fault.pointer


def _check_bound(value: object, request: Request) -> None:
    if isinstance(value, Terms):
        _check_terms(value, request)
    elif isinstance(value, StoreEmbeddings):
        _check_items(value)
    elif isinstance(value, BaseModel):
        for member in vars(value).values():
            _check_storable(member)
    elif isinstance(value, str):
        value.encode()


def _check_terms(terms: Terms, request: Request) -> None:
    """The key is one that is allowed, and the versions are those of the strong tags that this service gives."""
    key, condition = request.header("idempotency-key"), request.header("if-match")
    assert terms.write.is_keyed == (key is not None)
    assert key is None or (1 <= len(key) <= 255 and all("!" <= character <= "~" for character in key))
    if condition is None or condition.strip() == "*":
        assert terms.versions is None
        return
    tags = re.findall(r'(W/)?"([^"]*)"', condition)
    known = {int(tag) for weak, tag in tags if not weak and re.fullmatch("[1-9][0-9]{0,15}", tag, re.ASCII)}
    assert 1 <= len(tags) <= 100
    assert set(terms.versions or ()) == known, "If-Match names other versions"
    assert terms.versions is not None, "If-Match counts for nothing"


def _check_items(batch: StoreEmbeddings) -> None:
    """Each item of a batch is an embedding or has an error, and the answer to all of them can be sent."""
    items = read_items(batch.items, "alice")
    assert len(items) == len(batch.items)
    for item in items:
        if isinstance(item, ApiError):
            assert item.status == 422
        else:
            _check_storable(item.product)
            assert item.embedding_vector.is_finite
            assert not item.embedding_vector.is_zero
    json_text.dumps(results(batch.items, items, {}).model_dump()).encode()


def _check_storable(value: object) -> None:
    """It is text in valid Unicode, a finite number, or what comes back from the table as it is."""
    if isinstance(value, str):
        value.encode()
    elif isinstance(value, float | Decimal):
        assert math.isfinite(value)
    elif isinstance(value, dict):
        assert plain(from_attribute(to_attribute(value))) == plain(value), "a document is stored as another"
        json_text.dumps(value).encode()
    elif isinstance(value, list | set | frozenset):
        for member in value:
            _check_storable(member)


def _seeds() -> list[bytes]:
    """A request for each route that is accepted, and some that are not."""
    fields = "&".join(f"a{number}=" for number in range(51))
    return [
        *from_file(Path(__file__).with_suffix(".txt")),
        b"GET /nowhere 2.0\n\n",
        f"GET /reports?{fields} 2.0\n\n".encode(),
        b"GET /reports?limit=1&limit=2 1.0\n\n",
        b"POST /reports 2.0\ncontent-type: text/html\n\n<p>",
        b"POST /reports rest\ncontent-type: application/json\n\n" + b"[" * 3000,
        b"POST /reports 2.0\ncontent-type: application/json\n\n\xff",
        b'PATCH /reports/r1 2.0\nif-match: W/"1", "2"\nidempotency-key: k\n\n{"title":"T"}',
        b'PATCH /reports/r1 rest\nif-match: "1"\nif-match: "2"\nidempotency-key: a b\n\n{"title":"T"}',
    ]


REQUESTS = Target(
    "request",
    (
        "refused: no route",
        *(f"refused: {status}" for status in _REFUSALS),
        *(f"accepted: {' '.join(route)}" for route in _ROUTES),
    ),
    check,
    mutate,
    _seeds,
    runs=700_000,
    max_length=4096,
    words=(b"application/json", b"if-match: ", b"idempotency-key: ", b"?limit=", b"&"),
)
