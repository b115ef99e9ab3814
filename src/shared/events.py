"""API Gateway events to one Request: HTTP APIs (payload 2.0 and 1.0) and REST APIs (1.0) alike.

Shapes: "AWS Lambda integrations for HTTP APIs" and "Input format of a Lambda function for proxy integration" in the
API Gateway developer guide.
"""

import binascii
import re
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, quote, unquote

from .errors import MalformedRequest, PayloadTooLarge

MAX_BODY_BYTES = 1024 * 1024
_MAX_QUERY_FIELDS = 50
_DEFAULT_STAGE = "$default"
_LOOPBACK = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:[0-9]+)?")
_PATH_CHARACTERS = "/:@!$&'()*+,;=~-._"  # RFC 3986, section 3.3, besides letters and digits

Event = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request; header names are lower-case, path parameters and query values percent-decoded."""

    method: str
    path: str
    path_parameters: Mapping[str, str]
    query: Mapping[str, list[str]]
    headers: Mapping[str, list[str]]
    request_id: str
    event: Event

    @classmethod
    def of(cls, event: Event, request_id: str) -> "Request":
        """The request of an event. Raises MalformedRequest for an unreadable query, PayloadTooLarge for a long body."""
        _check_size(len(event.get("body") or "") * (3 if event.get("isBase64Encoded") else 4) // 4 - 2)
        return _read_v2(event, request_id) if event.get("version") == "2.0" else _read_v1(event, request_id)

    def header(self, name: str) -> str | None:
        """The header's value, several joined as RFC 9110, section 5.3 allows; None where it is absent."""
        values = self.headers.get(name)
        return ", ".join(values) if values else None

    def body(self) -> bytes:
        """The decoded body. Raises PayloadTooLarge, or MalformedRequest for wrong base64."""
        raw = self.event.get("body") or ""
        content = _decoded(raw) if self.event.get("isBase64Encoded") else raw.encode("utf-8", "surrogatepass")
        _check_size(len(content))
        return content

    @property
    def base_url(self) -> str:
        """The address that the API was called at, without a slash at its end.

        The domain is the gateway's word (`requestContext.domainName`), not that of the Host header, which clients set,
        but for a gateway on a laptop, which speaks plain HTTP and may not name its port otherwise.
        """
        context = self.event.get("requestContext") or {}
        domain, stage = str(context.get("domainName") or "localhost"), context.get("stage") or _DEFAULT_STAGE
        if _LOOPBACK.fullmatch(domain):
            return f"http://{self.header('host') or domain}"
        # API Gateway's own domain has the stage as the first segment; a custom one maps stages to paths of its own.
        if ".execute-api." not in domain:
            return f"https://{domain}{_mapped_path(self.event)}"
        return f"https://{domain}/{stage}" if stage != _DEFAULT_STAGE else f"https://{domain}"


def event_path(event: Event) -> str:
    """The request's path, percent-encoded: HTTP APIs, whose events name a version, decode it, REST APIs do not."""
    path = str(event.get("rawPath") or event.get("path") or "/")
    return quote(path, safe=_PATH_CHARACTERS, errors="surrogatepass") if "version" in event else path


def _mapped_path(event: Event) -> str:
    """What the path has before the route's own, such as `/v1`: where a custom domain maps the API to.

    Only HTTP APIs tell it (payload 2.0: "API mappings", in the API Gateway developer guide). Path and parameters are
    decoded there alike.
    """
    route = str(event.get("routeKey") or "").partition(" ")[2]
    for name, value in (event.get("pathParameters") or {}).items():
        route = route.replace(f"{{{name}}}", value)
    path = str(event.get("rawPath") or "")
    return quote(path.removesuffix(route), safe=_PATH_CHARACTERS) if route and path.endswith(route) else ""


def gateway_request_id(event: Event) -> str | None:
    request_id = (event.get("requestContext") or {}).get("requestId")
    return request_id if isinstance(request_id, str) and request_id else None


def _read_v2(event: Event, request_id: str) -> Request:
    return Request(
        method=event["requestContext"]["http"]["method"],
        path=event_path(event),
        path_parameters=event.get("pathParameters") or {},
        query=_parse_query(event.get("rawQueryString") or ""),
        headers={name.lower(): [value] for name, value in (event.get("headers") or {}).items()},
        request_id=request_id,
        event=event,
    )


def _read_v1(event: Event, request_id: str) -> Request:
    """REST APIs pass path parameters still percent-encoded; HTTP APIs, which name a version, decode them."""
    parameters = event.get("pathParameters") or {}
    if "version" not in event:
        parameters = {name: unquote(value) for name, value in parameters.items()}
    return Request(
        method=event["httpMethod"],
        path=event_path(event),
        path_parameters=parameters,
        query=_multi(event, "multiValueQueryStringParameters", "queryStringParameters"),
        headers=_lower_names(_multi(event, "multiValueHeaders", "headers")),
        request_id=request_id,
        event=event,
    )


def _multi(event: Event, multiple: str, single: str) -> dict[str, list[str]]:
    values = event.get(multiple)
    if values:
        return {name: list(entries) for name, entries in values.items()}
    return {name: [value] for name, value in (event.get(single) or {}).items()}


def _lower_names(headers: Mapping[str, list[str]]) -> dict[str, list[str]]:
    lowered: dict[str, list[str]] = {}
    for name, values in headers.items():
        lowered.setdefault(name.lower(), []).extend(values)
    return lowered


def _parse_query(raw: str) -> dict[str, list[str]]:
    try:
        return parse_qs(raw, keep_blank_values=True, max_num_fields=_MAX_QUERY_FIELDS) if raw else {}
    except ValueError as error:
        raise MalformedRequest(f"The query has more than {_MAX_QUERY_FIELDS} fields.") from error


def _decoded(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedRequest("The body is not valid base64.") from error


def _check_size(size: int) -> None:
    if size > MAX_BODY_BYTES:
        raise PayloadTooLarge(f"The body is larger than {MAX_BODY_BYTES} bytes.")
