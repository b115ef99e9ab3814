"""One request through a handler and back, with handlers made up for it."""

import json
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from scripts.local.api import Api, HttpAnswer, read_response
from scripts.local.context import LambdaContext
from scripts.local.template import Cors, Route
from tests.unit.local.requests import http_request

RULES = Cors(("https://app",), ("GET",), ("authorization",), ("ETag",), 600)
ROUTES = [Route("GET", "/things/{id}", "made_up.things.handler", "Things", open=False, timeout=25)]

ApiOf = Callable[[Callable[[dict[str, Any], LambdaContext], Any]], Api]


@pytest.fixture
def api_of(monkeypatch: pytest.MonkeyPatch) -> ApiOf:
    def make(handler: Callable[[dict[str, Any], LambdaContext], Any]) -> Api:
        module = ModuleType("made_up.things")
        module.handler = handler  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "made_up", ModuleType("made_up"))
        monkeypatch.setitem(sys.modules, "made_up.things", module)
        return Api(ROUTES, RULES)

    return make


def test_the_handler_gets_event_and_context(api_of: ApiOf) -> None:
    def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        seen = [event["pathParameters"]["id"], context.function_name, context.aws_request_id]
        return {"statusCode": 200, "headers": {"ETag": '"1"'}, "body": json.dumps(seen)}

    answer = api_of(handler).answer(http_request("GET", "/things/a%20b"))
    assert answer == HttpAnswer(200, [("etag", '"1"')], b'["a b", "Things", "request-1"]')


def test_the_gateways_cors_replaces_the_handlers(api_of: ApiOf) -> None:
    api = api_of(lambda event, context: {"statusCode": 204, "headers": {"Access-Control-Allow-Origin": "*"}})
    answer = api.answer(http_request("GET", "/things/1", [("Origin", "https://app")]))
    assert dict(answer.headers)["access-control-allow-origin"] == "https://app"
    assert api.answer(http_request("GET", "/things/1")).headers == []


def test_an_unknown_route_is_a_404_problem(api_of: ApiOf) -> None:
    answer = api_of(lambda event, context: None).answer(http_request("POST", "/things/1"))
    assert answer.status == 404
    assert dict(answer.headers)["content-type"] == "application/problem+json"
    problem = json.loads(answer.body)
    assert (problem["type"], problem["instance"]) == ("urn:k9:problem:not-found", "/things/1")


@pytest.mark.parametrize("result", [None, {}, {"statusCode": "many"}, {"statusCode": 200, "body": {"a": 1}}])
def test_what_is_no_response_is_a_500(api_of: ApiOf, result: Any) -> None:
    answer = api_of(lambda event, context: result).answer(http_request("GET", "/things/1"))
    assert answer.status == 500


def test_a_failing_handler_is_a_500_that_tells_nothing(api_of: ApiOf) -> None:
    def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        raise ValueError("a secret")

    answer = api_of(handler).answer(http_request("GET", "/things/1"))
    assert answer.status == 500
    assert b"secret" not in answer.body


def test_preflights_never_reach_a_handler(api_of: ApiOf) -> None:
    api = api_of(lambda event, context: pytest.fail("called"))
    request = http_request("OPTIONS", "/any", [("Origin", "https://app"), ("Access-Control-Request-Method", "GET")])
    assert api.answer(request).status == 204


def test_a_broken_handler_stops_the_start() -> None:
    with pytest.raises(ModuleNotFoundError, match="made_up"):
        Api(ROUTES, RULES)


def test_binary_bodies_and_cookies() -> None:
    response = {"statusCode": 200, "body": "AAH/", "isBase64Encoded": True, "cookies": ["a=1", "b=2"]}
    assert read_response(response) == HttpAnswer(200, [("set-cookie", "a=1"), ("set-cookie", "b=2")], b"\x00\x01\xff")


def test_the_context_counts_down() -> None:
    context = LambdaContext("F", "id", timeout=25)
    assert 24_000 < context.get_remaining_time_in_millis() <= 25_000
    assert LambdaContext("F", "id", timeout=0).get_remaining_time_in_millis() == 0
    assert context.invoked_function_arn.endswith(":function:F")
