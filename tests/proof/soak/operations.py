"""What the clients of the soak do, each with the weight that it has in their mix.

An operation changes rows of its own client alone, of which it tells `kept`, and reads whatever the user has.
"""

import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from .client import Client

MODEL_VERSION = "soak-1"
PRODUCTS = 60
_MOST_REPORTS = 25
_PROFILE = "/user/profile"

Operation = Callable[["Client"], None]


def report_state(report: dict[str, Any]) -> dict[str, Any]:
    return {"title": report["title"], "favorites": sorted(report["favorites"])}


def embedding_state(embedding: dict[str, Any]) -> dict[str, Any]:
    return {"product": embedding["product"]}


def embedding_path(product_id: str) -> str:
    return f"/embeddings/{quote(product_id, safe='')}?model_version={MODEL_VERSION}"


def create_report(client: "Client") -> None:
    title = f"soak {client.name} {client.random.random()}"
    # Nobody knows the address of a report whose creation was not answered: the key would find it again.
    answer = client.call("POST", "/reports", {"title": title, "author": client.name}, 201, key=str(uuid.uuid4()))
    if answer is not None:
        client.kept.told(f"/reports/{answer['id']}", report_state(answer))


def read_report(client: "Client") -> None:
    for path in client.some("/reports/"):
        client.read(path, report_state)


def change_report(client: "Client") -> None:
    for path in client.some("/reports/"):
        (state,) = client.kept.rows[path]
        changed = {**state, "title": f"soak {client.name} {client.random.random()}"}
        client.change("PATCH", path, path, {"title": changed["title"]}, changed, report_state)


def add_favorite(client: "Client") -> None:
    for path in client.some("/reports/"):
        (state,) = client.kept.rows[path]
        favorite = f"p{client.random.randrange(20)}"
        changed = {**state, "favorites": sorted({*state["favorites"], favorite})}
        client.change("PUT", f"{path}/favorites/{favorite}", path, None, changed, None)


def remove_favorite(client: "Client") -> None:
    for path in client.some("/reports/"):
        (state,) = client.kept.rows[path]
        if state["favorites"]:
            favorite = client.random.choice(state["favorites"])
            changed = {**state, "favorites": [name for name in state["favorites"] if name != favorite]}
            client.change("DELETE", f"{path}/favorites/{favorite}", path, None, changed, None)


def delete_report(client: "Client") -> None:
    reports = client.kept.known("/reports/")
    if len(reports) > _MOST_REPORTS // 2:
        path = client.random.choice(reports)
        client.change("DELETE", path, path, None, None, None, 204)


def create_or_delete(client: "Client") -> None:
    (create_report if len(client.kept.known("/reports/")) < _MOST_REPORTS else delete_report)(client)


def list_reports(client: "Client") -> None:
    """Every page: no report twice, none of another user, and all that this client was told of."""
    seen: list[str] = []
    path: str | None = "/reports?limit=20"
    while path:
        page = client.call("GET", path, None, 200)
        if page is None:
            return
        seen += [f"/reports/{report['id']}" for report in page["reports"]]
        path = f"/reports?limit=20&cursor={page['next_cursor']}" if page["next_cursor"] else None
    if len(set(seen)) != len(seen):
        client.violated("GET /reports", "a report stands on two pages")
    missing = set(client.kept.known("/reports/")) - set(seen)
    if missing:
        client.violated("GET /reports", f"the pages lack {sorted(missing)[:3]}")


def store_embedding(client: "Client") -> None:
    body = client.embedding()
    path = embedding_path(body["product_id"])
    state = {"product": body["product"]}
    client.change("POST", "/embeddings", path, body, state, None, 201, 200)


def store_batch(client: "Client") -> None:
    items = {body["product_id"]: body for body in (client.embedding() for _ in range(5))}
    for body in items.values():
        client.kept.not_told(embedding_path(body["product_id"]), {"product": body["product"]})
    answer = client.call("POST", "/embeddings/batch", {"items": list(items.values())}, 200)
    if answer is not None:
        for body, result in zip(items.values(), answer["results"], strict=True):
            if result["status"] in (200, 201):
                client.kept.told(embedding_path(body["product_id"]), {"product": body["product"]})
            else:
                client.violated("POST /embeddings/batch", f"an item was answered {result}")


def read_embedding(client: "Client") -> None:
    for path in client.some("/embeddings/"):
        client.read(path, embedding_state)


def change_product(client: "Client") -> None:
    for path in client.some("/embeddings/"):
        changed = {"product": {"price": client.random.randrange(1000)}}
        client.change("PATCH", path, path, changed, changed, embedding_state)


def delete_embedding(client: "Client") -> None:
    embeddings = client.kept.known("/embeddings/")
    if len(embeddings) > PRODUCTS // 2:
        path = client.random.choice(embeddings)
        client.change("DELETE", path, path, None, None, None, 204)


def search(client: "Client") -> None:
    """The nearest of a product is itself, and the products of the client are as it was told."""
    for path in client.some("/embeddings/"):
        product_id = client.product_of(path)
        body = {"model_version": MODEL_VERSION, "product_id": product_id, "top_k": 5}
        client.call("POST", "/embeddings/search", body, 200)


def search_shared(client: "Client") -> None:
    body = {"model_version": "pets-1", "product_id": "1", "top_k": 5, "catalogue": "shared"}
    client.call("POST", "/embeddings/search", {**body, "filter": {"price": {"$lt": 200}}}, 200)


def list_embeddings(client: "Client") -> None:
    client.call("GET", f"/embeddings?model_version={MODEL_VERSION}&limit=20", None, 200)


def list_models(client: "Client") -> None:
    client.call("GET", "/embeddings/models", None, 200)


def read_matrix(client: "Client") -> None:
    client.call("GET", f"/embeddings/similarity?model_version={MODEL_VERSION}", None, 200)


def build_matrix(client: "Client") -> None:
    client.call("POST", "/embeddings/similarity", {"model_version": MODEL_VERSION, "k": 5}, 202)


def read_neighbors(client: "Client") -> None:
    for path in client.some("/embeddings/"):
        product_id = quote(client.product_of(path), safe="")
        client.call("GET", f"/embeddings/similarity/{product_id}?model_version={MODEL_VERSION}", None, 200, 404)


def export_report(client: "Client") -> None:
    for path in client.some("/reports/"):
        client.fetch(f"{path}/export?format={client.random.choice(('csv', 'xlsx', 'pdf', 'zip'))}")


def read_profile(client: "Client") -> None:
    client.call("GET", _PROFILE, None, 200)


def change_profile(client: "Client") -> None:
    """One member of the preferences is this client's; those of the user's other clients stay."""
    mine = f"soak-{client.number}"
    value = client.random.randrange(10**6)
    answer = client.call("PATCH", _PROFILE, {"preferences": {mine: value}}, 200, key=str(uuid.uuid4()))
    if answer is not None and answer["preferences"].get(mine) != value:
        client.violated(f"PATCH {_PROFILE}", f"{mine} is {answer['preferences'].get(mine)}, not {value}")


def open_page(client: "Client") -> None:
    client.fetch("/docs")
    client.fetch("/openapi.json")
    client.call("GET", "/health", None, 200)


MIX: tuple[tuple[Operation, int], ...] = (
    (create_or_delete, 8),
    (read_report, 14),
    (change_report, 8),
    (add_favorite, 8),
    (remove_favorite, 4),
    (delete_report, 3),
    (list_reports, 6),
    (store_embedding, 6),
    (store_batch, 4),
    (read_embedding, 8),
    (change_product, 4),
    (delete_embedding, 3),
    (search, 10),
    (search_shared, 4),
    (list_embeddings, 3),
    (list_models, 1),
    (read_matrix, 1),
    (build_matrix, 1),
    (read_neighbors, 2),
    (export_report, 1),
    (read_profile, 4),
    (change_profile, 3),
    (open_page, 1),
)
