"""One valid request for every route, keyed as the routes are: what the two-tenant tests run over.

A route without a case fails `tests/security/test_tenants.py`; so does a case without a route.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from shared.database import DatabaseManager, DBReport, ReportRepository
from shared.http import Endpoint
from tests.support.api import Answer, Api, all_endpoints, encoded

Key = tuple[str, str]

REPORT = "3f0e9a52-7a5c-4b63-8d0f-0d4d1f2a9c11"
PRODUCT = "product 1/ü"


@dataclass(frozen=True)
class Case:
    """A request that succeeds with `status` for a signed-in user who owns the report it names, if it names one."""

    method: str
    path: str
    status: int = 200
    body: Any = None
    writes: bool = False

    @property
    def key(self) -> Key:
        return self.method, self.path

    @property
    def names_a_row(self) -> bool:
        return "{report_id}" in self.path

    @property
    def endpoint(self) -> Endpoint:
        return all_endpoints()[self.key]

    def send(self, api: Api, report_id: str = REPORT, *, product_id: str = PRODUCT, **options: Any) -> Answer:
        path = self.path.format(report_id=encoded(report_id), product_id=encoded(product_id))
        return api.request(self.method, path, **{"body": self.body, **options})

    def with_body(self, **members: Any) -> "Case":
        return replace(self, body={**(self.body or {}), **members})


_ALL = [
    Case("GET", "/health"),
    Case("GET", "/user/profile", writes=True),
    Case("PATCH", "/user/profile", body={"name": "A", "preferences": {"theme": "dark"}}, writes=True),
    Case("POST", "/reports", 201, {"title": "T", "reference": {"name": "Rex", "price": 249.99}}, writes=True),
    Case("GET", "/reports"),
    Case("GET", "/reports/{report_id}"),
    Case("PATCH", "/reports/{report_id}", body={"title": "U", "reference": None}, writes=True),
    Case("DELETE", "/reports/{report_id}", 204, writes=True),
    Case("GET", "/reports/{report_id}/favorites"),
    Case("PUT", "/reports/{report_id}/favorites", body={"favorites": ["a", "b"]}, writes=True),
    Case("PUT", "/reports/{report_id}/favorites/{product_id}", writes=True),
    Case("DELETE", "/reports/{report_id}/favorites/{product_id}", writes=True),
]
CASES: Mapping[Key, Case] = {case.key: case for case in _ALL}
SIGNED_IN = [case for case in _ALL if case.path != "/health"]


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


def insert(owner: str, report_id: str = REPORT, **fields: Any) -> DBReport:
    """A report of `owner` under that very id, put there behind the API's back."""
    row = {"title": "Secret title", "author": "Secret author", "favorites": {PRODUCT, "secret product"}, **fields}
    return ReportRepository.create_report(DBReport(id=report_id, user_id=owner, **row))
