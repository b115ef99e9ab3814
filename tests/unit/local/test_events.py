"""HTTP requests as payload 2.0 events."""

import base64
from typing import Any

import pytest

from scripts.local.events import build_event
from scripts.local.routing import Match
from scripts.local.template import Route
from shared.events import Request
from tests.unit.local.requests import http_request

REPORT = Route("GET", "/reports/{report_id}", "handler", "Function", open=False, timeout=25)


def event(
    target: str = "/reports/r%201?b=2&a=1&a=x%20y",
    headers: list[tuple[str, str]] | None = None,
    body: bytes = b"",
    parameters: dict[str, str] | None = None,
) -> dict[str, Any]:
    return build_event(http_request("GET", target, headers, body), Match(REPORT, parameters or {"report_id": "r 1"}))


def test_path_and_query() -> None:
    made = event()
    assert made["version"] == "2.0"
    assert made["routeKey"] == "GET /reports/{report_id}"
    assert made["rawPath"] == "/reports/r 1"
    assert made["rawQueryString"] == "b=2&a=1&a=x%20y"
    assert made["queryStringParameters"] == {"b": "2", "a": "1,x y"}
    assert made["pathParameters"] == {"report_id": "r 1"}


def test_request_context() -> None:
    context = event(headers=[("User-Agent", "curl"), ("Host", "localhost:3001")])["requestContext"]
    assert context["requestId"] == "request-1"
    assert context["routeKey"] == "GET /reports/{report_id}"
    assert context["domainName"] == "localhost:3001"
    assert context["http"] == {
        "method": "GET",
        "path": "/reports/r 1",
        "protocol": "HTTP/1.1",
        "sourceIp": "127.0.0.1",
        "userAgent": "curl",
    }
    assert "authorizer" not in context


def test_headers_are_lower_case_and_joined() -> None:
    made = event(headers=[("X-Thing", "1"), ("x-thing", "2"), ("Authorization", "Bearer t")])
    assert made["headers"] == {"x-thing": "1,2", "authorization": "Bearer t"}


def test_cookies_have_a_member_of_their_own() -> None:
    made = event(headers=[("Cookie", "a=1; b=2"), ("Host", "h")])
    assert made["cookies"] == ["a=1", "b=2"]
    assert "cookie" not in made["headers"]


@pytest.mark.parametrize("kind", ["application/json", "application/merge-patch+json; charset=utf-8", "text/plain"])
def test_text_bodies_are_text(kind: str) -> None:
    made = event(headers=[("Content-Type", kind)], body='{"é": 1}'.encode())
    assert (made["body"], made["isBase64Encoded"]) == ('{"é": 1}', False)


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ([("Content-Type", "application/x-www-form-urlencoded")], b'{"title": "Test Report"}'),
        ([("Content-Type", "image/png")], b"\x89PNG"),
        ([("Content-Type", "application/json")], b"\xff\xfe"),
        ([("Content-Type", "application/json"), ("Content-Encoding", "gzip")], b"{}"),
        ([], b"{}"),
    ],
)
def test_other_bodies_are_base64(headers: list[tuple[str, str]], body: bytes) -> None:
    made = event(headers=headers, body=body)
    assert made["isBase64Encoded"] is True
    assert base64.b64decode(made["body"]) == body


def test_what_has_no_value_is_left_out() -> None:
    made = event(target="/reports/r")
    assert not {"body", "cookies", "queryStringParameters"} & made.keys()
    assert made["isBase64Encoded"] is False
    assert made["rawQueryString"] == ""


def test_the_handlers_read_it_as_it_was_sent() -> None:
    headers = [("Content-Type", "application/x-www-form-urlencoded"), ("If-Match", '"1"')]
    request = Request.of(event(headers=headers, body=b"{}"), "request-1")
    assert request.body() == b"{}"
    assert request.path_parameters == {"report_id": "r 1"}
    assert request.query == {"b": ["2"], "a": ["1", "x y"]}
    assert request.header("if-match") == '"1"'
