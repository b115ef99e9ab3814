"""One valid request for every route, keyed as the routes are: what the two-tenant tests run over.

A route without a case fails `tests/security/test_tenants.py`; so does a case without a route.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

from handlers.documentation.assets import assets
from shared.avatars.names import avatar_owner
from shared.database import (
    DatabaseManager,
    DBProductEmbedding,
    DBReport,
    EmbeddingRepository,
    ReportRepository,
)
from shared.events import Event
from shared.http import Endpoint
from shared.models.vector import Vector
from shared.similarity import jobs
from shared.similarity.matrix import MatrixStore
from shared.similarity.objects import default_objects
from tests.support.api import Answer, Api, all_endpoints, encoded

Key = tuple[str, str]

REPORT = "3f0e9a52-7a5c-4b63-8d0f-0d4d1f2a9c11"
PRODUCT = "product 1/ü"
OTHER_PRODUCT = "product 2"
NEW_PRODUCT = "product 3?"
MODEL = "model:1/a"
VECTOR = [1.0, 0.5]
OTHER_VECTOR = [0.5, 1.0]
AVATAR = {"owner": avatar_owner("somebody"), "avatar_id": "00064a1f0c3b55" + 2 * "0123456789abcdef"}
"""One that is nobody's among the users of the tests: avatars are open to all."""


@dataclass(frozen=True)
class Case:
    """A request that succeeds with `status` for a signed-in user for whom `prepare` has been called."""

    method: str
    path: str
    status: int = 200
    body: Any = None
    writes: bool = False
    query: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> Key:
        return self.method, self.path

    @property
    def names_a_report(self) -> bool:
        return "{report_id}" in self.path

    @property
    def names_a_row(self) -> bool:
        """A report, or an embedding; a report's favourite products are part of it."""
        return self.names_a_report or "{product_id}" in self.path

    @property
    def is_about_embeddings(self) -> bool:
        """It reads or writes embeddings, in the end."""
        return self.path.startswith("/embeddings") or self.key in _OF_REPORTS_AND_EMBEDDINGS

    @property
    def asks_aws(self) -> bool:
        """It takes an answer of AWS; the others answer from what is deployed with them."""
        return self.path not in ("/openapi.json", "/docs", "/docs/{file}")

    @property
    def is_of_an_avatar(self) -> bool:
        return self.path.startswith("/avatars/")

    @property
    def is_about_accounts(self) -> bool:
        """It reads or writes the state of what is done with a whole account, which objects hold."""
        return self.path in ("/user", "/user/erasure", "/user/export")

    @property
    def needs_a_matrix(self) -> bool:
        return self.key == ("GET", "/embeddings/similarity/{product_id}")

    @property
    def endpoint(self) -> Endpoint:
        return all_endpoints()[self.key]

    def send(self, api: Api, report_id: str = REPORT, *, product_id: str = PRODUCT, **options: Any) -> Answer:
        """`query` comes on top of the case's own, and in place of what it names anew."""
        query = self._with_query(options.pop("query", ""))
        path = self._path(report_id, product_id)
        return api.request(self.method, path, **{"body": self.body, "query": query, **options})

    def event(self, api: Api) -> Event:
        """The case's own request, as API Gateway hands it over."""
        return api.event(self.method, self._path(REPORT, PRODUCT), self.body, query=self._with_query(""))

    def _path(self, report_id: str, product_id: str) -> str:
        names = {"report_id": encoded(report_id), "product_id": encoded(product_id), **AVATAR}
        if "{file}" in self.path:
            names["file"] = assets()["page.css"].name
        return self.path.format(**names)

    def with_body(self, **members: Any) -> "Case":
        return replace(self, body={**(self.body or {}), **members})

    def in_catalogue(self, catalogue: str) -> "Case":
        if self.body is not None and not self.query:
            return self.with_body(catalogue=catalogue)
        return replace(self, query={**self.query, "catalogue": catalogue})

    def _with_query(self, more: Mapping[str, str] | str) -> str:
        text = more if isinstance(more, str) else urlencode(more)
        named = {name for name, _ in parse_qsl(text, keep_blank_values=True)}
        own = urlencode({name: value for name, value in self.query.items() if name not in named})
        return "&".join(part for part in (own, text) if part)


_OF_REPORTS_AND_EMBEDDINGS = frozenset(
    {
        ("POST", "/reports/{report_id}/search"),
        ("GET", "/reports/{report_id}/products/{product_id}"),
        ("GET", "/reports/{report_id}/export"),
    }
)
_OF_MODEL = {"model_version": MODEL}
_NEW = {"product_id": NEW_PRODUCT, "model_version": MODEL, "embedding_vector": [0.25, -1.0], "product": {"price": 2.5}}
_ALL = [
    Case("GET", "/health"),
    Case("GET", "/docs"),
    Case("GET", "/docs/{file}"),
    Case("GET", "/openapi.json"),
    Case("GET", "/user/profile", writes=True),
    Case("PATCH", "/user/profile", body={"name": "A", "preferences": {"theme": "dark"}}, writes=True),
    Case("POST", "/user/avatar", 201, {"content_type": "image/png"}, writes=True),
    Case("GET", "/avatars/{owner}/{avatar_id}"),
    Case("DELETE", "/user", 202, writes=True),
    Case("GET", "/user/erasure"),
    Case("POST", "/user/export", 202, writes=True),
    Case("GET", "/user/export"),
    Case("POST", "/reports", 201, {"title": "T", "reference": {"name": "Rex", "price": 249.99}}, writes=True),
    Case("GET", "/reports"),
    Case("GET", "/reports/{report_id}"),
    Case("PATCH", "/reports/{report_id}", body={"title": "U", "reference": None}, writes=True),
    Case("DELETE", "/reports/{report_id}", 204, writes=True),
    Case("GET", "/reports/{report_id}/favorites"),
    Case("PUT", "/reports/{report_id}/favorites", body={"favorites": ["a", "b"]}, writes=True),
    Case("PUT", "/reports/{report_id}/favorites/{product_id}", writes=True),
    Case("DELETE", "/reports/{report_id}/favorites/{product_id}", writes=True),
    Case("POST", "/reports/{report_id}/search", body={**_OF_MODEL, "filter": {"price": {"$gt": 0}}}),
    Case("GET", "/reports/{report_id}/products/{product_id}", query=_OF_MODEL),
    Case("GET", "/reports/{report_id}/export", query={"format": "csv", **_OF_MODEL}),
    Case("POST", "/embeddings", 201, _NEW, writes=True),
    Case("POST", "/embeddings/batch", body={"items": [_NEW]}, writes=True),
    Case("GET", "/embeddings", query=_OF_MODEL),
    Case("GET", "/embeddings/{product_id}", query=_OF_MODEL),
    Case("PATCH", "/embeddings/{product_id}", body={"product": {"price": 3}}, writes=True, query=_OF_MODEL),
    Case("DELETE", "/embeddings/{product_id}", 204, writes=True, query=_OF_MODEL),
    Case("POST", "/embeddings/delete", body={**_OF_MODEL, "filter": {"price": {"$gt": 0}}}, writes=True),
    Case("GET", "/embeddings/models"),
    Case("POST", "/embeddings/search", body={**_OF_MODEL, "product_id": PRODUCT, "filter": {"price": {"$gt": 0}}}),
    Case("POST", "/embeddings/similarity", 202, {**_OF_MODEL, "k": 3}, writes=True),
    Case("GET", "/embeddings/similarity", query=_OF_MODEL),
    Case("GET", "/embeddings/similarity/{product_id}", query=_OF_MODEL),
]
CASES: Mapping[Key, Case] = {case.key: case for case in _ALL}
OPEN = frozenset({"/health", "/openapi.json", "/docs", "/docs/{file}", "/avatars/{owner}/{avatar_id}"})
SIGNED_IN = [case for case in _ALL if case.path not in OPEN]
EMBEDDINGS = [case for case in SIGNED_IN if case.is_about_embeddings]
ACCOUNTS = [case for case in SIGNED_IN if case.is_about_accounts]


def case_id(case: Case) -> str:
    return f"{case.method} {case.path}"


def every_row(manager: DatabaseManager) -> dict[str, list[Any]]:
    """Every table's rows as they are stored. Tests alone scan."""
    settings = manager.settings
    tables = (settings.users_table, settings.reports_table, settings.embeddings_table)
    return {table: sorted(manager.client.scan(TableName=table)["Items"], key=repr) for table in tables}


def rows_of(manager: DatabaseManager, owner: str, table: str | None = None) -> list[Any]:
    tables = every_row(manager)
    chosen = tables.values() if table is None else [tables[table]]
    return [row for rows in chosen for row in rows if row.get("user_id") == {"S": owner}]


def every_object() -> dict[str, bytes]:
    """Every object of the bucket, by its key."""
    objects = default_objects()
    found = {info.key: objects.get(info.key) for info in objects.list("")}
    return {key: stored.body for key, stored in found.items() if stored is not None}


def insert(owner: str, report_id: str = REPORT, **fields: Any) -> DBReport:
    """A report of `owner` under that very id, put there behind the API's back."""
    row = {
        "title": "Secret title",
        "author": "Secret author",
        "reference": {"product_id": PRODUCT},
        "favorites": {PRODUCT, "secret product"},
        **fields,
    }
    return ReportRepository.create_report(DBReport(id=report_id, user_id=owner, **row))


def embed(
    owner: str,
    product_id: str = PRODUCT,
    vector: Sequence[float] = VECTOR,
    product: Mapping[str, Any] | None = None,
    model_version: str = MODEL,
) -> DBProductEmbedding:
    """A product of `owner` with its vector, put there behind the API's back."""
    row = DBProductEmbedding(
        user_id=owner,
        product_id=product_id,
        model_version=model_version,
        embedding_vector=Vector.of(vector),
        product={"name": "Secret product", "price": 1} if product is None else dict(product),
    )
    return EmbeddingRepository.store_embedding(row)


def build_matrix(owner: str, model_version: str = MODEL, k: int = 3) -> None:
    """The similarity matrix (and the snapshot) of what is stored, built as the worker would."""
    status, _ = MatrixStore(default_objects(), owner, model_version).request_build(k)
    assert status.build_id is not None
    jobs.build_matrix(default_objects(), owner, model_version, build_id=status.build_id, check=lambda: None)


def prepare(owner: str, case: Case | None = None) -> None:
    """Everything that `case` (None: any case) needs to succeed for this owner."""
    if case is None or case.names_a_report or case.is_about_accounts:
        insert(owner)
    if case is None or case.is_about_embeddings or case.is_about_accounts:
        embed(owner)
        embed(owner, OTHER_PRODUCT, OTHER_VECTOR)
    if case is None or case.is_of_an_avatar:
        key = f"avatars/{AVATAR['owner']}/{AVATAR['avatar_id']}"
        default_objects().put(key, b"an image", media_type="image/png")
    if case is None or case.needs_a_matrix:
        build_matrix(owner)
