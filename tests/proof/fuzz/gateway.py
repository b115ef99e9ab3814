"""The text of an HTTP request becomes the event that API Gateway makes of it, in each of its three forms.

POST /reports/r1/search?a=b 2.0       or 1.0, an HTTP API's older form, or rest, a REST API's
content-type: application/json

{"model_version":"v1"}
"""

import base64
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

FORMS = ("2.0", "1.0", "rest")


@dataclass(slots=True)
class HttpRequest:
    """A request in parts; `target` is the path and the query, percent-encoded."""

    method: str
    target: str
    form: str
    headers: list[tuple[str, str]]
    body: bytes

    @classmethod
    def parse(cls, data: bytes) -> "HttpRequest":
        head, _, body = data.partition(b"\n\n")
        first, *lines = head.decode("utf-8", "replace").split("\n")
        method, target, form = [*first.split(" "), "", "", ""][:3]
        headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        return cls(method, target, form, headers, body)

    def dumps(self) -> bytes:
        lines = [" ".join((self.method, self.target, self.form)), *(": ".join(header) for header in self.headers)]
        return "\n".join(lines).encode("utf-8", "replace") + b"\n\n" + self.body


class Router:
    """The routes of an API, fixed words before parameters."""

    def __init__(self, routes: Collection[tuple[str, str]]) -> None:
        listed = sorted(routes, key=lambda route: (route[1].count("{"), route))
        self._patterns = [(route, re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", route[1]))) for route in listed]

    def event_of(self, request: HttpRequest) -> tuple[tuple[str, str], dict[str, Any]] | None:
        """The route that a request goes to, and its event; None where the gateway would answer it by itself."""
        path, _, query = request.target.partition("?")
        for route, pattern in self._patterns:
            match = pattern.fullmatch(path) if route[0] == request.method else None
            if match:
                make = _event_v2 if request.form == "2.0" else _event_v1
                return route, make(request, route, path, query, match.groupdict())
        return None


def _event_v2(
    request: HttpRequest, route: tuple[str, str], path: str, query: str, parameters: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "version": "2.0",
        "routeKey": " ".join(route),
        "rawPath": unquote(path),
        "rawQueryString": query,
        "headers": {name: ",".join(values) for name, values in _together(request.headers).items()},
        "pathParameters": {name: unquote(value) for name, value in parameters.items()},
        "requestContext": {"http": {"method": request.method, "path": path}, "domainName": "api.example.com"},
        **_body(request.body),
    }


def _event_v1(
    request: HttpRequest, route: tuple[str, str], path: str, query: str, parameters: Mapping[str, str]
) -> dict[str, Any]:
    is_rest = request.form == "rest"
    fields = _together(parse_qsl(query, keep_blank_values=True))
    headers = _together(request.headers)
    return {
        **({} if is_rest else {"version": "1.0"}),
        "resource": route[1],
        "path": path if is_rest else unquote(path),
        "httpMethod": request.method,
        "headers": {name: values[-1] for name, values in headers.items()},
        "multiValueHeaders": headers,
        "queryStringParameters": {name: values[-1] for name, values in fields.items()} or None,
        "multiValueQueryStringParameters": fields or None,
        "pathParameters": {name: value if is_rest else unquote(value) for name, value in parameters.items()} or None,
        "requestContext": {"httpMethod": request.method, "stage": "live"},
        **_body(request.body),
    }


def _together(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    together: dict[str, list[str]] = {}
    for name, value in pairs:
        together.setdefault(name, []).append(value)
    return together


def _body(body: bytes) -> dict[str, Any]:
    if not body:
        return {"body": None, "isBase64Encoded": False}
    try:
        return {"body": body.decode(), "isBase64Encoded": False}
    except UnicodeDecodeError:
        return {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}
