"""HTTP requests as API Gateway hands them to Lambda: HTTP API, payload format 2.0."""

import base64
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

from scripts.local.routing import Match

_API_ID = "local"
_ACCOUNT = "000000000000"
_TEXT_TYPES = ("application/json", "application/xml", "application/javascript")


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request as it came over the wire; `target` is the path with its query, still encoded."""

    method: str
    target: str
    headers: Sequence[tuple[str, str]]
    body: bytes
    source_ip: str
    request_id: str

    @property
    def raw_path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def path(self) -> str:
        """As API Gateway writes it into `rawPath`, which is decoded despite its name."""
        return unquote(self.raw_path, errors="replace")

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]

    def header(self, name: str) -> str | None:
        values = [value for key, value in self.headers if key.lower() == name]
        return ",".join(values) if values else None


def build_event(request: HttpRequest, match: Match) -> dict[str, Any]:
    """The event of a request; members without a value are left out, as API Gateway leaves them out."""
    body, encoded = _body(request)
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": match.route.key,
        "rawPath": request.path,
        "rawQueryString": request.query,
        "cookies": _cookies(request),
        "headers": _headers(request),
        "queryStringParameters": _query(request.query),
        "requestContext": _request_context(request, match),
        "pathParameters": match.parameters,
        "body": body,
        "isBase64Encoded": encoded,
    }
    return {name: value for name, value in event.items() if value not in (None, {}, [])}


def _headers(request: HttpRequest) -> dict[str, str]:
    """Lower-case names, repeated ones joined; cookies have a member of their own."""
    joined: dict[str, str] = {}
    for name, value in request.headers:
        key = name.lower()
        joined[key] = f"{joined[key]},{value}" if key in joined else value
    joined.pop("cookie", None)
    return joined


def _cookies(request: HttpRequest) -> list[str]:
    stated = [value for name, value in request.headers if name.lower() == "cookie"]
    return [cookie.strip() for value in stated for cookie in value.split(";") if cookie.strip()]


def _query(query: str) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True, errors="replace"):
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined


def _body(request: HttpRequest) -> tuple[str | None, bool]:
    """Text arrives as it is, anything else (a form too) as base64."""
    if not request.body:
        return None, False
    if _is_text(request):
        try:
            return request.body.decode("utf-8"), False
        except UnicodeDecodeError:
            return base64.b64encode(request.body).decode("ascii"), True
    return base64.b64encode(request.body).decode("ascii"), True


def _is_text(request: HttpRequest) -> bool:
    if request.header("content-encoding"):
        return False
    media_type = (request.header("content-type") or "").partition(";")[0].strip().lower()
    return media_type.startswith("text/") or media_type in _TEXT_TYPES or media_type.endswith("+json")


def _request_context(request: HttpRequest, match: Match) -> dict[str, Any]:
    now = time.time()
    return {
        "accountId": _ACCOUNT,
        "apiId": _API_ID,
        "domainName": request.header("host") or "localhost",
        "domainPrefix": _API_ID,
        "http": {
            "method": request.method,
            "path": request.path,
            "protocol": "HTTP/1.1",
            "sourceIp": request.source_ip,
            "userAgent": request.header("user-agent") or "",
        },
        "requestId": request.request_id,
        "routeKey": match.route.key,
        "stage": "$default",
        "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)),
        "timeEpoch": int(now * 1000),
    }
