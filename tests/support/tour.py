"""Every route once, in an order that makes sense, against a stage that may be anywhere: a laptop's, or a deployed one.

The calls go through the Python client, as a user's program would make them. What the caller has besides stays as it
is. The tour removes what it makes, but for one model version without products, which the API keeps for good; every
tour uses the same.
"""

import gzip
import re
import time
import uuid
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import pytest

from k9_api import NewEmbedding, NotFound, PreconditionFailed
from scripts.deployment.stage import Answer, Stage
from tests.support.images import decoded, image
from tests.support.routed import routed_client

MODEL_VERSION = "k9-e2e"
TITLE = "k9-e2e"
"""What the titles of a tour's reports begin with."""

DOCUMENT = {"name": "Rex", "price": 249.99, "tags": ["a", None, {"": "\U0001f436"}], "exact": 12345678901234567890123}

_FRESH_SECONDS = 20.0
"""For a list that lags, a search that rests on what was read a second before, and a container that is cold."""

_MATRIX_SECONDS = 120.0
_CHECKED_SECONDS = 60.0


class Tour:
    """What was called is kept, so that no route is forgotten. It is to be closed, as a context manager does."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.called: set[str] = set()
        self.client = routed_client(stage, self.called)
        self.run = uuid.uuid4().hex[:12]
        self.report = ""
        self.author = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.client.close()

    def call(self, route: str, path: str, body: Mapping[str, Any] | None = None, **headers: str) -> Answer:
        """A request as it goes over the wire, for what the client does not show.

        One that changes something carries a key: the stage repeats what was not answered.
        """
        self.called.add(route)
        if body is not None:
            headers.setdefault("Idempotency_Key", str(uuid.uuid4()))
        return self.stage.call(route.split()[0], path, body, **headers)

    def take(self) -> None:
        """Leaves one report behind, and one product with its embedding, which `leave` removes."""
        self.leave()
        self.visit_profile()
        self.visit_avatar()
        self.report = self.visit_report()
        self.visit_favorites()
        self.delete_one()
        self.visit_embeddings()
        self.visit_similarity()
        self.search_from_report()
        self.delete_embeddings()
        self.visit_account()
        assert self.client.health().status == "ok"
        self.open_page()
        assert self.client.openapi()["openapi"] == "3.1.0"

    def open_page(self) -> None:
        """As a browser does, with every file that the page names."""
        page = self.call("GET /docs", "/docs").expect(200)
        files = re.findall(r'(?:src|href)="(docs/[^"]+)"', page.content.decode())
        assert len(files) == 6
        for name in files:
            file = self.call("GET /docs/{file}", f"/{name}", Accept_Encoding="gzip").expect(200)
            assert file.headers["Content-Encoding"] == "gzip"
            assert gzip.decompress(file.content)

    def leave(self) -> None:
        """Removes what tours have made, one that was broken off included."""
        for report in list(self.client.reports.iterate()):
            if report.title.startswith(TITLE):
                self.delete_report(report.id)
        versions = self.client.embeddings.models().models
        if any(version.model_version == MODEL_VERSION for version in versions):
            self.client.embeddings.delete_matching({}, model_version=MODEL_VERSION)
        self.client.user.update(preferences={"k9-e2e": None})

    def delete_report(self, report_id: str) -> None:
        """A list lags: the report may be gone."""
        try:
            self.client.reports.delete(report_id)
        except NotFound:
            return

    def visit_profile(self) -> None:
        profile = self.client.user.profile()
        self.author = profile.name or ""
        preferences = {"k9-e2e": {"theme": "dark"}}
        changed = self.client.user.update(preferences=preferences, if_match=profile)
        assert changed.preferences == {**profile.preferences, **preferences}

    def visit_avatar(self) -> None:
        """The address of an avatar that the caller gave is there again afterwards; one that was uploaded is not."""
        user, former = self.client.user, self.client.user.profile().avatar_url
        url = user.upload_avatar(image("image/webp"), "image/webp", timeout=_CHECKED_SECONDS).avatar_url or ""
        path = urlsplit(url).path.removeprefix(urlsplit(self.stage.url).path)
        self.called.add("GET /avatars/{owner}/{avatar_id}")
        shown = self.stage.call("GET", path, token=None).expect(200)
        assert (shown.headers["Content-Type"], decoded(shown.content).size) == ("image/webp", (24, 16))
        user.update(avatar_url=None if "/avatars/" in (former or "") else former)
        self.stage.call("GET", path, token=None).expect(404)

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
        reports = self.client.reports
        title = f"{TITLE}: mine"
        made = reports.create(title, reference=DOCUMENT, idempotency_key=self.run)
        assert made.author == self.author
        assert reports.create(title, reference=DOCUMENT, idempotency_key=self.run) == made
        until(lambda: reports.list(limit=1).reports == (made,))
        assert reports.get(made.id).reference == DOCUMENT
        raw = self.call("GET /reports/{report_id}", f"/reports/{made.id}").expect(200)
        assert (raw.headers["ETag"], raw.headers["Content-Type"]) == (f'"{made.version}"', "application/json")
        assert reports.update(made.id, title=f"{TITLE}: ours", if_match=made).title == f"{TITLE}: ours"
        with pytest.raises(PreconditionFailed):
            reports.update(made.id, title=f"{TITLE}: no", if_match=made)
        return made.id

    def visit_favorites(self) -> None:
        reports = self.client.reports
        assert reports.replace_favorites(self.report, ["b", "a"]).favorites == ("a", "b")
        assert reports.add_favorite(self.report, "c %").favorites == ("a", "b", "c %")
        assert reports.remove_favorite(self.report, "a").favorites == ("b", "c %")
        near = self.product("b")
        changed = reports.add_favorite(self.report, near)
        assert reports.favorites(self.report) == changed
        assert changed.favorites == tuple(sorted(["b", "c %", near]))

    def product(self, name: str) -> str:
        """An id of this tour: one of an earlier tour would bring the past of its row along."""
        return f"{name}-{self.run}"

    def embedding(self, name: str, vector: list[float], **product: float) -> NewEmbedding:
        return NewEmbedding(self.product(name), MODEL_VERSION, vector, product)

    def visit_embeddings(self) -> None:
        embeddings, a = self.client.embeddings, self.product("a")
        made = embeddings.store(a, model_version=MODEL_VERSION, embedding_vector=[1, 0, 0.1], product={"price": 249.99})
        assert made.vector_dimension == 3
        one = embeddings.get(a, model_version=MODEL_VERSION)
        assert (one.embedding_vector, one.product) == ((1.0, 0.0, 0.1), {"price": 249.99})
        self.store_batch()
        patched = embeddings.update(a, model_version=MODEL_VERSION, product={"price": 5}, if_match=made)
        assert patched.product == {"price": 5}
        self.see_lists()
        self.finds(["b", "c/d"], product_id=a, filter={"price": {"$gt": 5}})

    def store_batch(self) -> None:
        items = [
            self.embedding("b", [1, 0.1, 0], price=10),
            self.embedding("c/d", [0, 1, 0], price=20),
            self.embedding("e", [1]),
        ]
        stored = self.client.embeddings.store_many(items)
        assert (stored.created, [failed.index for failed in stored.failed]) == (2, [2])

    def see_lists(self) -> None:
        expected = [self.product(name) for name in ("a", "b", "c/d")]

        def is_listed() -> bool:
            ids = [row.product_id for row in self.client.embeddings.iterate(model_version=MODEL_VERSION)]
            return ids[:1] + sorted(ids[1:]) == expected

        def is_counted() -> bool:
            (model,) = [
                model for model in self.client.embeddings.models().models if model.model_version == MODEL_VERSION
            ]
            return (model.vector_dimension, model.count) == (3, 3)

        until(is_listed)
        until(is_counted)

    def finds(self, names: list[str], **search: Any) -> None:
        expected = [self.product(name) for name in names]

        def is_found() -> bool:
            hits = self.client.embeddings.search(model_version=MODEL_VERSION, **search).hits
            return [hit.product_id for hit in hits] == expected

        until(is_found)

    def visit_similarity(self) -> None:
        similarity = self.client.similarity
        similarity.build(model_version=MODEL_VERSION, k=2)
        state = similarity.wait(model_version=MODEL_VERSION, timeout=_MATRIX_SECONDS)
        assert (state.rows, state.error) == (3, None)
        row = similarity.neighbors(self.product("a"), model_version=MODEL_VERSION)
        assert [neighbor.product_id for neighbor in row.neighbors] == [self.product("b"), self.product("c/d")]

    def search_from_report(self) -> None:
        reports = self.client.reports
        reports.update(self.report, reference={"product_id": self.product("a")})
        hits = reports.search(self.report, model_version=MODEL_VERSION).hits
        favorites = [(hit.product_id, hit.is_favorite) for hit in hits]
        assert favorites == [(self.product("b"), True), (self.product("c/d"), False)]
        scored = reports.score(self.report, self.product("b"), model_version=MODEL_VERSION)
        assert scored.score == hits[0].score
        self.export_report(f"/reports/{self.report}")
        reports.update(self.report, reference=DOCUMENT)

    def export_report(self, path: str) -> None:
        """Every format's libraries are there, and its bytes come through the gateway as they are."""
        route, query = "GET /reports/{report_id}/export", f"model_version={MODEL_VERSION}"
        for file_format, start in (("zip", b"PK"), ("csv", b"\xef\xbb\xbf"), ("xlsx", b"PK"), ("pdf", b"%PDF-")):
            file = self.call(route, f"{path}/export?format={file_format}&{query}").expect(200)
            assert file.content.startswith(start)
            assert file.headers["Content-Disposition"].startswith("attachment; ")
        rows = self.call(route, f"{path}/export?format=csv&{query}").content.decode("utf-8-sig").splitlines()
        assert rows[0].startswith("product_id,score")
        assert [row.split(",")[0] for row in rows[1:]] == [self.product("b"), "b", "c %"]

    def delete_embeddings(self) -> None:
        embeddings, dear = self.client.embeddings, {"price": {"$gte": 20}}
        dry = embeddings.delete_matching(dear, model_version=MODEL_VERSION, dry_run=True)
        assert (dry.matched, dry.deleted) == (1, 0)
        assert embeddings.delete_matching(dear, model_version=MODEL_VERSION).deleted == 1
        embeddings.delete(self.product("b"), model_version=MODEL_VERSION)
        self.finds(["a"], embedding_vector=[1, 0, 0])

    def delete_one(self) -> None:
        report = self.client.reports.create(f"{TITLE}: short-lived")
        self.client.reports.delete(report.id)
        with pytest.raises(NotFound):
            self.client.reports.get(report.id)


def until(is_so: Callable[[], bool], seconds: float = _FRESH_SECONDS) -> None:
    """Waits for what a stage shows a moment later. AssertionError where it never does."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"not so after {seconds:.0f} s"
        time.sleep(0.2)
