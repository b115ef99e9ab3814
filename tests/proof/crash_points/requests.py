"""Requests that make many calls: of several rows, pages, threads or objects, or of a caller seen for the first time."""

from typing import Any
from urllib.parse import urlsplit

from shared.avatars.names import Upload, key_of
from shared.database import UserRepository
from shared.database.manager import default_manager
from shared.models.fields import now
from shared.models.user import DBUser
from shared.similarity.objects import default_objects
from tests.support.accounts import settle_in
from tests.support.cases import MODEL, REPORT, build_matrix, embed, insert

from .answers import Seen
from .scenario import Scenario
from .world import KEY, USER, World

_OF_MODEL = {"model_version": MODEL}
PRODUCTS = [f"p{number}" for number in range(8)]


def scenarios_of_requests() -> list[Scenario]:
    return [
        Scenario("first sight of a caller", "GET /user/profile", lambda world: _get(world, "/user/profile")),
        Scenario(
            "profile made by its first change",
            "PATCH /user/profile",
            lambda world: _patch(world, "/user/profile", {"name": "N", "preferences": {"a": {"b": 1}}}),
        ),
        Scenario(
            "profile at a version",
            "PATCH /user/profile",
            lambda world: _patch(world, "/user/profile", {"preferences": {"a": None, "c": 2}}, {"If-Match": '"1"'}),
            lambda world: UserRepository.create_user(DBUser(user_id=USER, name="N", preferences={"a": 1, "b": 1})),
        ),
        Scenario("avatar taken away", "PATCH /user/profile", _take_avatar_away, _with_avatar),
        Scenario("report of a caller seen first", "POST /reports", _create),
        Scenario(
            "report changed at a version",
            "PATCH /reports/{report_id}",
            lambda world: _patch(world, f"/reports/{REPORT}", {"title": "V"}, {"If-Match": '"1"'}),
            lambda world: insert(USER),
        ),
        Scenario(
            "report deleted at a version",
            "DELETE /reports/{report_id}",
            lambda world: world.request(lambda api: api.delete(f"/reports/{REPORT}", headers={"If-Match": '"1"'})),
            lambda world: insert(USER),
            may_answer=frozenset({404}),
        ),
        Scenario("export of a report as a file", "GET /reports/{report_id}/export", _export_report, with_products),
        Scenario(
            "search that has a snapshot built", "POST /reports/{report_id}/search", _search, with_products, World.settle
        ),
        Scenario("first product of a caller seen first", "POST /embeddings", _store),
        Scenario(
            "product replaced at a version",
            "POST /embeddings",
            lambda world: _store(world, {"If-Match": '"1"'}, product_id="p1"),
            with_products,
        ),
        Scenario("first batch of a caller seen first", "POST /embeddings/batch", _store_batch),
        Scenario("batch that replaces", "POST /embeddings/batch", _store_batch, with_products),
        Scenario("delete by filter, page by page", "POST /embeddings/delete", _delete_all, with_products),
        Scenario("matrix of several parts", "POST /embeddings/similarity", _build_matrix, with_products, World.settle),
        Scenario(
            "matrix in place of another",
            "POST /embeddings/similarity",
            _build_matrix,
            with_matrix,
            World.settle,
        ),
        Scenario("whole account erased", "DELETE /user", _erase, with_account, World.settle, goes_on=True),
        Scenario("whole account copied", "POST /user/export", _export, with_account, World.settle, goes_on=True),
    ]


def _get(world: World, path: str, query: dict[str, str] | None = None) -> None:
    world.request(lambda api: api.get(path, query=query or {}))


def _patch(world: World, path: str, body: object, headers: dict[str, str] | None = None) -> None:
    world.request(lambda api: api.patch(path, body, headers={**KEY, **(headers or {})}))


def _post(world: World, path: str, body: object, headers: dict[str, str]) -> Any:
    return world.request(lambda api: api.post(path, body, headers=headers))


def _create(world: World) -> None:
    _post(world, "/reports", {"title": "T"}, KEY)


def _store(world: World, headers: dict[str, str] | None = None, product_id: str = "new") -> None:
    _post(world, "/embeddings", _item(product_id), {**KEY, **(headers or {})})


def _store_batch(world: World) -> None:
    """New ones, old ones, of another model version, of a wrong dimension, and none at all."""
    items = [_item("p1"), _item("new"), _item("n1", "another"), _item("p2"), {**_item("long"), "embedding_vector": [0]}]
    _post(world, "/embeddings/batch", {"items": items}, KEY)


def _item(product_id: str, model_version: str = MODEL) -> dict[str, Any]:
    return {
        "product_id": product_id,
        "model_version": model_version,
        "embedding_vector": [0.25, -1.0],
        "product": {"n": 1},
    }


def _delete_all(world: World) -> None:
    """The client's own loop; how many each step deleted is not compared, as one that is repeated finds fewer."""
    continuation = None
    while True:
        body = {**_OF_MODEL, "filter": {"price": {"$gt": 2}}, "continuation": continuation}
        answer = _post(world, "/embeddings/delete", body, {})
        continuation = answer.json()["continuation"]
        world.answers.pop()
        if continuation is None or answer.status != 200:
            world.answers.append(Seen(answer.status, "the last step"))
            return


def _search(world: World) -> None:
    _post(world, f"/reports/{REPORT}/search", {**_OF_MODEL, "filter": {"price": {"$gt": 1}}}, {})


def _export_report(world: World) -> None:
    """The file has to be where the answer says."""
    answer = world.request(lambda api: api.get(f"/reports/{REPORT}/export", query={"format": "zip", **_OF_MODEL}))
    key = urlsplit(answer.json()["url"]).path.removeprefix("/")
    world.answers.append(Seen(200, world.engine.objects()[key].hex()))


def _build_matrix(world: World) -> None:
    _post(world, "/embeddings/similarity", {**_OF_MODEL, "k": 2}, {})


def _erase(world: World) -> None:
    world.request(lambda api: api.delete("/user"))


def _export(world: World) -> None:
    _post(world, "/user/export", None, {})


def _take_avatar_away(world: World) -> None:
    _patch(world, "/user/profile", {"avatar_url": None})


def _with_avatar(world: World) -> None:
    UserRepository.create_user(DBUser(user_id=USER, name="N"))
    upload = Upload.new(USER, now())
    path = upload.avatar_path(b"shown")
    default_objects().put(key_of(path), b"shown", media_type="image/png")
    UserRepository.place_avatar(USER, path, upload.requested_at)


def with_products(world: World) -> None:
    insert(USER, reference={"product_id": "p1"}, favorites={"p2", "p3", "gone"})
    for number, product_id in enumerate(PRODUCTS):
        embed(USER, product_id, [1.0, number / 4], {"price": number})


def with_matrix(world: World) -> None:
    with_products(world)
    build_matrix(USER)
    embed(USER, "later", [0.5, -0.5], {"price": 9})


def with_account(world: World) -> None:
    """Rows and objects of every kind, and of another who keeps theirs."""
    settle_in(default_manager(), default_objects(), USER, reports=3, products=3)
    settle_in(default_manager(), default_objects(), "another", reports=1, products=1)
