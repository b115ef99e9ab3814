"""The API as a client sees it: requests become API Gateway events and go to the very handlers that Lambda runs."""

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode

import handlers
from shared.events import Event
from shared.http import ENDPOINTS, Endpoint, Response
from tests.support.description import check_answer
from tests.support.tokens import TokenFactory


@lru_cache(maxsize=1)
def all_endpoints() -> dict[tuple[str, str], Endpoint]:
    handlers.load_all()
    return dict(ENDPOINTS)


@dataclass(frozen=True)
class Answer:
    """One answer; `raw` is what the handler gave to API Gateway."""

    raw: Response

    @property
    def status(self) -> int:
        return int(self.raw["statusCode"])

    @property
    def headers(self) -> dict[str, str]:
        return dict(self.raw["headers"])

    @property
    def text(self) -> str:
        return str(self.raw["body"])

    def json(self) -> Any:
        return json.loads(self.text)

    def without_request_id(self) -> str:
        """Everything the client sees but the one thing that always differs."""
        return json.dumps(self.raw, sort_keys=True).replace(self.headers["X-Request-Id"], "-")


@dataclass(frozen=True)
class Context:
    """Lambda's context, as far as a handler may look at it."""

    aws_request_id: str = "lambda-request-id"
    function_name: str = "test"


@dataclass(frozen=True)
class Api:
    """A client of the API. `token` None sends no Authorization header."""

    token: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def as_user(cls, sub: str, tokens: TokenFactory | None = None, **claims: object) -> "Api":
        return cls((tokens or TokenFactory()).id_token(sub, **claims))

    def get(self, path: str, **options: Any) -> Answer:
        return self.request("GET", path, **options)

    def post(self, path: str, body: object = None, **options: Any) -> Answer:
        return self.request("POST", path, body, **options)

    def put(self, path: str, body: object = None, **options: Any) -> Answer:
        return self.request("PUT", path, body, **options)

    def patch(self, path: str, body: object = None, **options: Any) -> Answer:
        return self.request("PATCH", path, body, **options)

    def delete(self, path: str, **options: Any) -> Answer:
        return self.request("DELETE", path, **options)

    def request(self, method: str, path: str, body: object = None, **options: Any) -> Answer:
        """`options` are those of `event`. Raises AssertionError for an answer that the OpenAPI document lacks."""
        endpoint, _ = find_endpoint(method, path)
        response = endpoint(self.event(method, path, body, **options), Context())
        check_answer(endpoint, response)
        return Answer(response)

    def event(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: Mapping[str, str] | str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Event:
        """What API Gateway makes of a request.

        `body` goes as JSON, text and bytes as they are; `path` is percent-encoded as on the wire.
        """
        sent = {"content-type": "application/json", **self.headers, **(headers or {})}
        if self.token is not None:
            sent["authorization"] = f"Bearer {self.token}"
        endpoint, parameters = find_endpoint(method, path)
        text = body if isinstance(body, str) else None if body is None else json.dumps(body)
        raw_query = query if isinstance(query, str) else urlencode(query)
        return http_api_event(endpoint, path, parameters, raw_query, sent, text)


def find_endpoint(method: str, path: str) -> tuple[Endpoint, dict[str, str]]:
    """The endpoint of a request, fixed words before parameters, and its path parameters, decoded."""
    candidates = sorted(all_endpoints().items(), key=lambda entry: entry[0][1].count("{"))
    for (route_method, route_path), endpoint in candidates:
        pattern = re.sub(r"{(\w+)}", r"(?P<\1>[^/]*)", route_path)
        match = re.fullmatch(pattern, path)
        if match and route_method == method:
            return endpoint, {name: unquote(value) for name, value in match.groupdict().items()}
    raise LookupError(f"no route for {method} {path}")


def http_api_event(
    endpoint: Endpoint,
    path: str,
    parameters: Mapping[str, str],
    query: str,
    headers: Mapping[str, str],
    body: str | None,
) -> Event:
    """An HTTP API event, payload format 2.0."""
    return {
        "version": "2.0",
        "routeKey": endpoint.route,
        "rawPath": unquote(path),
        "rawQueryString": query,
        "headers": {name.lower(): value for name, value in headers.items()},
        "queryStringParameters": dict(parse_qsl(query, keep_blank_values=True)),
        "pathParameters": dict(parameters),
        "requestContext": {"http": {"method": endpoint.method, "path": path}, "requestId": str(uuid.uuid4())},
        "body": body,
        "isBase64Encoded": False,
    }


def encoded(product_id: str) -> str:
    return quote(product_id, safe="")
