"""The client is held to the API's OpenAPI document: operations, what they send, what they read, and problems.

A route, a parameter or a member that the document has and the client has not fails here, and the other way round.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints
from urllib.parse import parse_qs, unquote

import httpx
import pytest

from k9_api import NewEmbedding, ProblemError, models
from k9_api.decoding import FROM_HEADER
from k9_api.errors import PROBLEMS
from k9_api.operations import OPERATIONS
from k9_api.retries import Repeat
from tests.unit.client.described import Key, Schema, operations, problem_slugs, resolved, sample
from tests.unit.client.world import Surface, World

REPORT, PRODUCT = "report/1", "product 1?"
OF_MODEL = {"model_version": "m", "catalogue": "shared"}
ALL_OF_SEARCH = {
    "embedding_vector": [1, 0],
    "top_k": 3,
    "min_score": 0.5,
    "filter": {},
    "metric": "cosine",
    "diversity": 0.5,
    "include_vectors": True,
    **OF_MODEL,
}
ITEM = NewEmbedding("p", "m", [1.0, 0.5], {"price": 1})

CALLS: Mapping[Key, Callable[[Any], Any]] = {
    ("GET", "/health"): lambda c: c.health(),
    ("GET", "/openapi.json"): lambda c: c.openapi(),
    ("GET", "/docs"): lambda c: c.docs(),
    ("GET", "/docs/{file}"): lambda c: c.docs("page.js"),
    ("GET", "/avatars/{owner}/{avatar_id}"): lambda c: c.avatar("owner", "id"),
    ("GET", "/user/profile"): lambda c: c.user.profile(),
    ("PATCH", "/user/profile"): lambda c: c.user.update(
        name="N", email=None, avatar_url=None, preferences={"a": 1}, if_match=1
    ),
    ("POST", "/user/avatar"): lambda c: c.user.request_avatar_upload("image/png"),
    ("DELETE", "/user"): lambda c: c.user.erase(),
    ("GET", "/user/erasure"): lambda c: c.user.erasure(),
    ("POST", "/user/export"): lambda c: c.user.export(),
    ("GET", "/user/export"): lambda c: c.user.export_state(),
    ("POST", "/reports"): lambda c: c.reports.create("T", reference={}, author="A", date="2026-01-02"),
    ("GET", "/reports"): lambda c: c.reports.list(limit=1, cursor="c", include_total=True),
    ("GET", "/reports/{report_id}"): lambda c: c.reports.get(REPORT),
    ("PATCH", "/reports/{report_id}"): lambda c: c.reports.update(
        REPORT, title="T", author="A", date="2026-01-02", reference=None, if_match=1
    ),
    ("DELETE", "/reports/{report_id}"): lambda c: c.reports.delete(REPORT, if_match=1),
    ("GET", "/reports/{report_id}/favorites"): lambda c: c.reports.favorites(REPORT),
    ("PUT", "/reports/{report_id}/favorites"): lambda c: c.reports.replace_favorites(REPORT, ["a"], if_match=1),
    ("PUT", "/reports/{report_id}/favorites/{product_id}"): lambda c: c.reports.add_favorite(
        REPORT, PRODUCT, if_match=1
    ),
    ("DELETE", "/reports/{report_id}/favorites/{product_id}"): lambda c: c.reports.remove_favorite(
        REPORT, PRODUCT, if_match=1
    ),
    ("POST", "/reports/{report_id}/search"): lambda c: c.reports.search(REPORT, **ALL_OF_SEARCH),
    ("GET", "/reports/{report_id}/products/{product_id}"): lambda c: c.reports.score(
        REPORT, PRODUCT, metric="dot", include_vectors=True, **OF_MODEL
    ),
    ("GET", "/reports/{report_id}/export"): lambda c: c.reports.export(REPORT, format="zip", metric="dot", **OF_MODEL),
    ("POST", "/embeddings"): lambda c: c.embeddings.store(
        PRODUCT, embedding_vector=[1, 0.5], product={}, if_match=1, **OF_MODEL
    ),
    ("POST", "/embeddings/batch"): lambda c: c.embeddings.store_batch([ITEM], catalogue="shared"),
    ("GET", "/embeddings"): lambda c: c.embeddings.list(limit=1, cursor="c", include_vectors=True, **OF_MODEL),
    ("GET", "/embeddings/{product_id}"): lambda c: c.embeddings.get(PRODUCT, include_vectors=False, **OF_MODEL),
    ("PATCH", "/embeddings/{product_id}"): lambda c: c.embeddings.update(PRODUCT, product={}, if_match=1, **OF_MODEL),
    ("DELETE", "/embeddings/{product_id}"): lambda c: c.embeddings.delete(PRODUCT, if_match=1, **OF_MODEL),
    ("POST", "/embeddings/delete"): lambda c: c.embeddings.delete_step({}, dry_run=True, continuation="c", **OF_MODEL),
    ("GET", "/embeddings/models"): lambda c: c.embeddings.models(catalogue="shared"),
    ("POST", "/embeddings/search"): lambda c: c.embeddings.search(product_id=PRODUCT, **ALL_OF_SEARCH),
    ("POST", "/embeddings/similarity"): lambda c: c.similarity.build(k=3, **OF_MODEL),
    ("GET", "/embeddings/similarity"): lambda c: c.similarity.status(**OF_MODEL),
    ("GET", "/embeddings/similarity/{product_id}"): lambda c: c.similarity.neighbors(PRODUCT, limit=3, **OF_MODEL),
}
"""A call of every operation, with everything that it may send."""

KEYS = sorted(operations())


def named(key: Key) -> str:
    return " ".join(key)


def test_the_document_has_operations() -> None:
    assert len(KEYS) >= 27


def test_every_operation_has_a_method_and_every_method_an_operation() -> None:
    table = {(each.method, each.path) for each in OPERATIONS}
    assert len(table) == len(OPERATIONS)
    assert CALLS.keys() == table
    assert table == operations().keys()


@pytest.mark.parametrize("key", KEYS, ids=named)
def test_a_method_sends_what_its_operation_takes(surface: Surface, world: World, key: Key) -> None:
    described = operations()[key]
    answer(world, key)
    surface.run(CALLS[key])
    (request,) = world.requests
    assert request.method == key[0]
    assert path_of(request) == path_with_values(described.path)
    query = parse_qs(request.url.query.decode(), keep_blank_values=True)
    assert query.keys() == described.parameters("query")
    sent = {name for name in ("If-Match", "Idempotency-Key") if name in request.headers}
    assert sent == described.parameters("header") & {"If-Match", "Idempotency-Key"}
    assert ("Authorization" in request.headers) == (not described.is_open)
    body = world.bodies()[0] if request.content else None
    assert (None if body is None else body.keys()) == described.body_members


def answer(world: World, key: Key) -> None:
    described = operations()[key]
    status, success = described.success
    schema = described.answer_schema
    content = b"" if status == 204 else httpx.Response(200, json=sample(schema) if schema else {}).content
    media_type = min(success.get("content", {"": {}}), key=lambda kind: kind == "application/json")
    world.says(httpx.Response(status, content=content, headers={"ETag": '"1"', "Content-Type": media_type}))


def path_of(request: httpx.Request) -> str:
    raw = request.url.raw_path.decode().partition("?")[0].removeprefix("/dev")
    return "/".join(unquote(part) for part in raw.split("/"))


def path_with_values(path: str) -> str:
    values = {"report_id": REPORT, "product_id": PRODUCT, "owner": "owner", "avatar_id": "id", "file": "page.js"}
    return path.format(**values)


@pytest.mark.parametrize("key", KEYS, ids=named)
def test_a_keyed_operation_is_one_that_takes_a_key(key: Key) -> None:
    (operation,) = [each for each in OPERATIONS if (each.method, each.path) == key]
    assert (operation.repeat is Repeat.KEYED) == ("Idempotency-Key" in operations()[key].parameters("header"))
    assert operation.is_open == operations()[key].is_open


ANSWERED = [key for key in KEYS if operations()[key].answer_schema is not None]


@pytest.mark.parametrize("key", ANSWERED, ids=named)
def test_a_method_reads_the_answer_as_its_model(surface: Surface, world: World, key: Key) -> None:
    schema = operations()[key].answer_schema
    assert schema is not None
    answer(world, key)
    result = surface.run(CALLS[key])
    assert type(result).__name__ == name_of(schema)
    assert list(differences(type(result), schema)) == []


def test_the_comparison_of_models_sees_what_differs() -> None:
    """The test above would pass for one that sees nothing."""
    (schema,) = [operations()["GET", "/reports/{report_id}"].answer_schema]
    assert schema is not None
    known = resolved(schema)

    def changed(**members: Any) -> Schema:
        return {**known, "properties": {**known["properties"], **members}}

    without = {name: member for name, member in known["properties"].items() if name != "title"}
    assert list(differences(models.Report, changed(colour={"type": "string"}))) == ["Report has no colour"]
    assert list(differences(models.Report, {**known, "properties": without})) == ["Report.title is not described"]
    assert list(differences(models.Report, changed(title={"type": "integer"}))) == ["Report.title: str for integer"]
    assert list(differences(models.Report, changed(author={"anyOf": [{"type": "string"}, {"type": "null"}]}))) == [
        "Report.author: null"
    ]
    assert list(differences(models.Report, changed(favorites={"type": "array", "items": {"type": "number"}}))) == [
        "Report.favorites: str for number"
    ]
    assert list(differences(models.Report, {**known, "required": known["required"][1:]})) == ["Report.id: optional"]


def name_of(schema: Schema) -> str:
    return str(schema["$ref"]).rpartition("/")[2]


def differences(model: type, schema: Schema) -> Iterator[str]:
    """In what a model is not its schema: names, whether a member must be there, and JSON types."""
    described = resolved(schema)
    kinds = get_type_hints(model)
    known = {each.name: each for each in fields(model) if FROM_HEADER not in each.metadata}
    for name in sorted(described["properties"].keys() - known.keys()):
        yield f"{model.__name__} has no {name}"
    for name, each in known.items():
        where = f"{model.__name__}.{name}"
        if name not in described["properties"]:
            yield f"{where} is not described"
            continue
        is_required = name in described["required"]
        if is_required != (each.default is MISSING):
            yield f"{where}: {'required' if is_required else 'optional'}"
        yield from kind_differences(kinds[name], described["properties"][name], where, is_required)


def kind_differences(kind: Any, schema: Schema, where: str, is_required: bool = True) -> Iterator[str]:
    """A member that need not be there is None where it is not, whether or not null is allowed."""
    inner, may_be_none = without_none(kind)
    described = resolved(schema)
    options = [option for option in described.get("anyOf", [schema]) if resolved(option).get("type") != "null"]
    is_nullable = len(options) < len(described.get("anyOf", [schema]))
    if is_required and is_nullable != may_be_none:
        yield f"{where}: null"
    (option,) = options
    if is_dataclass(inner):
        assert isinstance(inner, type)
        yield from [] if inner.__name__ == name_of(option) else [f"{where}: {inner.__name__} for {name_of(option)}"]
        yield from differences(inner, option)
    elif get_origin(inner) is tuple:
        found = resolved(option)
        yield from [] if found["type"] == "array" else [f"{where}: a tuple for {found['type']}"]
        yield from kind_differences(get_args(inner)[0], found["items"], where)
    elif json_type(inner) != resolved(option)["type"]:
        yield f"{where}: {inner.__name__} for {resolved(option)['type']}"


def without_none(kind: Any) -> tuple[Any, bool]:
    if get_origin(kind) not in (Union, UnionType):
        return kind, False
    (inner,) = [each for each in get_args(kind) if each is not NoneType]
    return inner, True


def json_type(kind: Any) -> str:
    names = {str: "string", int: "integer", float: "number", bool: "boolean"}
    return "object" if get_origin(kind) is dict else names[kind]


def test_every_problem_has_its_exception() -> None:
    assert PROBLEMS.keys() == problem_slugs()
    assert all(kind.slug == slug for slug, kind in PROBLEMS.items())


def test_a_problem_has_the_documents_members() -> None:
    members = resolved({"$ref": "#/components/schemas/Problem"})["properties"].keys()
    assert {name.replace("-", "_") for name in members} <= vars(ProblemError(404, "", "")).keys()
