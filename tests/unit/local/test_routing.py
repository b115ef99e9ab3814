"""Which route serves a path, and with which parameters."""

import pytest

from scripts.local.routing import Router
from scripts.local.template import Method, Route


def route(method: Method, path: str) -> Route:
    return Route(method, path, "handler", "Function", open=False, timeout=25)


ROUTER = Router(
    [
        route("GET", "/reports/{report_id}"),
        route("GET", "/reports/latest"),
        route("GET", "/reports"),
        route("POST", "/reports"),
        route("PUT", "/reports/{report_id}/favorites/{product_id}"),
    ]
)


@pytest.mark.parametrize(
    ("method", "path", "key", "parameters"),
    [
        ("GET", "/reports", "GET /reports", {}),
        ("POST", "/reports", "POST /reports", {}),
        ("GET", "/reports/latest", "GET /reports/latest", {}),
        ("GET", "/reports/r-1", "GET /reports/{report_id}", {"report_id": "r-1"}),
        ("GET", "/reports/a%2Fb%20%C3%A9", "GET /reports/{report_id}", {"report_id": "a/b é"}),
        ("GET", "/reports/a+b", "GET /reports/{report_id}", {"report_id": "a+b"}),
    ],
)
def test_matches(method: str, path: str, key: str, parameters: dict[str, str]) -> None:
    match = ROUTER.match(method, path)
    assert match is not None
    assert (match.route.key, match.parameters) == (key, parameters)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/reports"),
        ("GET", "/reports/"),
        ("GET", "/Reports"),
        ("GET", "/reports/a/b"),
        ("HEAD", "/reports"),
        ("PUT", "/reports/r/favorites/"),
        ("GET", "/"),
        ("GET", ""),
    ],
)
def test_does_not_match(method: str, path: str) -> None:
    assert ROUTER.match(method, path) is None
