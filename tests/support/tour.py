"""Every route once, in an order that makes sense, against a stage that may be anywhere: a laptop's, or a deployed one.

What the caller has besides stays as it is. The tour removes what it makes, but for one model version without products,
which the API keeps for good; every tour uses the same.
"""

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from scripts.deployment.stage import Answer, Stage

MODEL_VERSION = "k9-e2e"
TITLE = "k9-e2e"
"""What the titles of a tour's reports begin with."""

DOCUMENT = {"name": "Rex", "price": 249.99, "tags": ["a", None, {"": "\U0001f436"}], "exact": 12345678901234567890123}

_FRESH_SECONDS = 20.0
"""For a list that lags, a search that rests on what was read a second before, and a container that is cold."""

_MATRIX_SECONDS = 120.0


class Tour:
    """What was called is kept, so that no route is forgotten."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.called: set[str] = set()
        self.run = uuid.uuid4().hex[:12]
        self.report = ""
        self.author = ""

    def call(self, route: str, path: str, body: Mapping[str, Any] | None = None, **headers: str) -> Answer:
        """A request that changes something carries a key: the stage repeats what was not answered."""
        self.called.add(route)
        if body is not None:
            headers.setdefault("Idempotency_Key", str(uuid.uuid4()))
        return self.stage.call(route.split()[0], path, body, **headers)

    def take(self) -> None:
        """Leaves one report behind, and one product with its embedding, which `leave` removes."""
        self.leave()
        self.visit_profile()
        self.report = self.visit_report()
        self.visit_favorites()
        self.delete_one()
        self.visit_embeddings()
        self.visit_similarity()
        self.search_from_report()
        self.delete_embeddings()
        self.visit_account()
        assert self.call("GET /health", "/health").json["status"] == "ok"

    def leave(self) -> None:
        """Removes what tours have made, one that was broken off included."""
        for report in self.reports():
            if report["title"].startswith(TITLE):
                self.stage.call("DELETE", f"/reports/{report['id']}").expect(204, 404)
        versions = self.stage.call("GET", "/embeddings/models").expect(200).json["models"]
        if any(version["model_version"] == MODEL_VERSION for version in versions):
            self.delete_all_products()
        self.stage.call("PATCH", "/user/profile", {"preferences": {"k9-e2e": None}}).expect(200, 404)

    def reports(self) -> Iterator[dict[str, Any]]:
        """All that the caller has."""
        query = "limit=100"
        while True:
            page = self.stage.call("GET", f"/reports?{query}").expect(200).json
            yield from page["reports"]
            if not page["has_more"]:
                return
            query = f"limit=100&cursor={page['next_cursor']}"

    def delete_all_products(self) -> None:
        body: dict[str, Any] = {"model_version": MODEL_VERSION, "filter": {}}
        while (answer := self.stage.call("POST", "/embeddings/delete", body).expect(200).json)["continuation"]:
            body["continuation"] = answer["continuation"]

    def visit_profile(self) -> None:
        profile = self.call("GET /user/profile", "/user/profile").expect(200)
        self.author = profile.json["name"]
        preferences = {"k9-e2e": {"theme": "dark"}}
        changed = self.call(
            "PATCH /user/profile", "/user/profile", {"preferences": preferences}, If_Match=profile.headers["ETag"]
        ).expect(200)
        assert changed.json["preferences"] == {**profile.json["preferences"], **preferences}

    def visit_account(self) -> None:
        """A copy is made; nothing is erased: the caller's account may be somebody's."""
        self.call("GET /user/erasure", "/user/erasure").expect(200)
        asked = self.call("POST /user/export", "/user/export").expect(202)

        def ended() -> bool:
            state = self.call("GET /user/export", asked.headers["Location"]).expect(200).json["state"]
            return state not in ("queued", "running")

        until(ended, _MATRIX_SECONDS)
        copy = self.call("GET /user/export", asked.headers["Location"]).json
        assert (copy["state"], copy["error"], bool(copy["url"])) == ("done", None, True)
        assert copy["reports"] >= 1

    def visit_report(self) -> str:
        wanted = {"title": f"{TITLE}: mine", "reference": DOCUMENT}
        made = self.call("POST /reports", "/reports", wanted, Idempotency_Key=self.run).expect(201)
        assert made.json["author"] == self.author
        path = made.headers["Location"]
        again = self.call("POST /reports", "/reports", wanted, Idempotency_Key=self.run).expect(201)
        assert again.content == made.content
        until(lambda: self.call("GET /reports", "/reports?limit=1").expect(200).json["reports"] == [made.json])
        assert self.call("GET /reports/{report_id}", path).json["reference"] == DOCUMENT
        route = "PATCH /reports/{report_id}"
        patched = self.call(route, path, {"title": f"{TITLE}: ours"}, If_Match=made.headers["ETag"]).expect(200)
        assert patched.json["title"] == f"{TITLE}: ours"
        self.call(route, path, {"title": f"{TITLE}: no"}, If_Match=made.headers["ETag"]).expect(412)
        return str(made.json["id"])

    def visit_favorites(self) -> None:
        path, route = f"/reports/{self.report}/favorites", "/reports/{report_id}/favorites"
        assert self.call(f"PUT {route}", path, {"favorites": ["b", "a"]}).json == {"favorites": ["a", "b"]}
        assert self.call(f"PUT {route}/{{product_id}}", f"{path}/c%20%25").json["favorites"] == ["a", "b", "c %"]
        assert self.call(f"DELETE {route}/{{product_id}}", f"{path}/a").json["favorites"] == ["b", "c %"]
        near = self.product("b")
        self.call(f"PUT {route}/{{product_id}}", f"{path}/{near}").expect(200)
        assert self.call(f"GET {route}", path).json == {"favorites": sorted(["b", "c %", near])}

    def product(self, name: str) -> str:
        """An id of this tour: one of an earlier tour would bring the past of its row along."""
        return f"{name}-{self.run}"

    def embedding(self, name: str, vector: list[float], **product: float) -> dict[str, Any]:
        keys = {"product_id": self.product(name), "model_version": MODEL_VERSION}
        return {**keys, "embedding_vector": vector, "product": product}

    def visit_embeddings(self) -> None:
        made = self.call("POST /embeddings", "/embeddings", self.embedding("a", [1, 0, 0.1], price=249.99)).expect(201)
        assert made.json["vector_dimension"] == 3
        path = made.headers["Location"]
        one = self.call("GET /embeddings/{product_id}", path)
        assert (one.json["embedding_vector"], one.json["product"]) == ([1.0, 0.0, 0.1], {"price": 249.99})
        self.store_batch()
        patched = self.call("PATCH /embeddings/{product_id}", path, {"product": {"price": 5}}, If_Match='"1"')
        assert patched.expect(200).json["product"] == {"price": 5}
        self.see_lists()
        self.finds(["b", "c/d"], {"product_id": self.product("a"), "filter": {"price": {"$gt": 5}}})

    def store_batch(self) -> None:
        items = [
            self.embedding("b", [1, 0.1, 0], price=10),
            self.embedding("c/d", [0, 1, 0], price=20),
            self.embedding("e", [1]),
        ]
        batch = self.call("POST /embeddings/batch", "/embeddings/batch", {"items": items}).json
        assert [result["status"] for result in batch["results"]] == [201, 201, 422]

    def see_lists(self) -> None:
        expected = [self.product(name) for name in ("a", "b", "c/d")]

        def listed() -> bool:
            rows = self.call("GET /embeddings", f"/embeddings?model_version={MODEL_VERSION}").json["embeddings"]
            return [row["product_id"] for row in rows][:1] + sorted(row["product_id"] for row in rows)[1:] == expected

        def counted() -> bool:
            models = self.call("GET /embeddings/models", "/embeddings/models").json["models"]
            (model,) = [model for model in models if model["model_version"] == MODEL_VERSION]
            return (model["vector_dimension"], model["count"]) == (3, 3)

        until(listed)
        until(counted)

    def finds(self, names: list[str], search: dict[str, Any]) -> None:
        expected = [self.product(name) for name in names]

        def found() -> bool:
            wanted = {"model_version": MODEL_VERSION, **search}
            hits = self.call("POST /embeddings/search", "/embeddings/search", wanted).expect(200).json["hits"]
            return [hit["product_id"] for hit in hits] == expected

        until(found)

    def visit_similarity(self) -> None:
        route = "/embeddings/similarity"
        asked = self.call(f"POST {route}", route, {"model_version": MODEL_VERSION, "k": 2}).expect(202)

        def ended() -> bool:
            return self.call(f"GET {route}", asked.headers["Location"]).json["state"] not in ("queued", "running")

        until(ended, _MATRIX_SECONDS)
        status = self.call(f"GET {route}", asked.headers["Location"]).json
        assert (status["state"], status["rows"], status["error"]) == ("done", 3, None)
        path = f"{route}/{self.product('a')}?model_version={MODEL_VERSION}"
        row = self.call(f"GET {route}/{{product_id}}", path).expect(200).json
        near = [neighbor["product_id"] for neighbor in row["neighbors"]]
        assert near == [self.product("b"), self.product("c/d")]

    def search_from_report(self) -> None:
        path = f"/reports/{self.report}"
        reference = {"reference": {"product_id": self.product("a")}}
        self.call("PATCH /reports/{report_id}", path, reference).expect(200)
        wanted = {"model_version": MODEL_VERSION}
        hits = self.call("POST /reports/{report_id}/search", f"{path}/search", wanted).expect(200).json["hits"]
        favorites = [(hit["product_id"], hit["is_favorite"]) for hit in hits]
        assert favorites == [(self.product("b"), True), (self.product("c/d"), False)]
        route = "GET /reports/{report_id}/products/{product_id}"
        scored = self.call(route, f"{path}/products/{self.product('b')}?model_version={MODEL_VERSION}").expect(200)
        assert scored.json["score"] == hits[0]["score"]
        self.call("PATCH /reports/{report_id}", path, {"reference": DOCUMENT}).expect(200)

    def delete_embeddings(self) -> None:
        wanted = {"model_version": MODEL_VERSION, "filter": {"price": {"$gte": 20}}}
        dry = self.call("POST /embeddings/delete", "/embeddings/delete", {**wanted, "dry_run": True}).json
        assert (dry["matched"], dry["deleted"], dry["continuation"]) == (1, 0, None)
        assert self.call("POST /embeddings/delete", "/embeddings/delete", wanted).json["deleted"] == 1
        path = f"/embeddings/{self.product('b')}?model_version={MODEL_VERSION}"
        self.call("DELETE /embeddings/{product_id}", path).expect(204)
        self.finds(["a"], {"embedding_vector": [1, 0, 0]})

    def delete_one(self) -> None:
        path = (
            self.call("POST /reports", "/reports", {"title": f"{TITLE}: short-lived"}).expect(201).headers["Location"]
        )
        self.call("DELETE /reports/{report_id}", path).expect(204)
        self.stage.call("GET", path).expect(404)


def until(is_so: Callable[[], bool], seconds: float = _FRESH_SECONDS) -> None:
    """Waits for what a stage shows a moment later. AssertionError where it never does."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"not so after {seconds:.0f} s"
        time.sleep(0.2)
