"""CORS as an HTTP API does it."""

from scripts.local import cors
from scripts.local.events import HttpRequest
from scripts.local.template import Cors
from tests.unit.local.requests import http_request

RULES = Cors(("https://app",), ("GET", "POST"), ("authorization",), ("ETag", "Location"), 600)
ANYONE = Cors(("*",), ("GET",), ("authorization",), ("ETag",), 600)


def preflight(origin: str = "https://app") -> HttpRequest:
    return http_request("OPTIONS", "/reports", [("Origin", origin), ("Access-Control-Request-Method", "POST")])


def call(origin: str | None) -> HttpRequest:
    return http_request("GET", "/reports", [("Origin", origin)] if origin else [])


def test_a_preflight_states_origin_and_wanted_method() -> None:
    assert cors.is_preflight(preflight())
    assert not cors.is_preflight(http_request("OPTIONS", "/reports", [("Origin", "https://app")]))
    assert not cors.is_preflight(http_request("GET", "/reports", list(preflight().headers)))


def test_an_allowed_origin_learns_the_rules() -> None:
    assert cors.preflight_headers(RULES, preflight()) == {
        "access-control-allow-origin": "https://app",
        "access-control-allow-methods": "GET,POST",
        "access-control-allow-headers": "authorization",
        "access-control-max-age": "600",
        "vary": "Origin",
    }


def test_a_stranger_learns_nothing() -> None:
    assert cors.preflight_headers(RULES, preflight("https://app.evil")) == {}
    assert cors.answer_headers(RULES, call("https://app.evil")) == {}


def test_answers_expose_headers_to_an_allowed_origin() -> None:
    assert cors.answer_headers(RULES, call("https://app")) == {
        "access-control-allow-origin": "https://app",
        "access-control-expose-headers": "ETag,Location",
    }


def test_without_an_origin_there_is_nothing_to_say() -> None:
    assert cors.answer_headers(RULES, call(None)) == {}


def test_a_star_allows_anyone() -> None:
    assert cors.answer_headers(ANYONE, call("https://any"))["access-control-allow-origin"] == "*"
