"""The headers of requests and answers."""

from typing import Any

from shared.binding import IDEMPOTENCY_KEY, MAX_TAGS
from shared.errors import ApiError, TooManyRequests, Unauthenticated, Unavailable

Object = dict[str, Any]

_TAG = r'(W/)?"[!#-~]*"'
_LIMITS = '^"[a-z]+";{parameters}(, "[a-z]+";{parameters})*$'

PARAMETERS: dict[str, Object] = {
    "If-Match": {
        "name": "If-Match",
        "in": "header",
        "required": False,
        "description": (
            "Change or delete the resource at this version only, as its ETag names it; else 412. Up to"
            f" {MAX_TAGS} tags may be listed; `*` is any version."
        ),
        "schema": {"type": "string", "pattern": rf"^(\*|{_TAG}( *, *{_TAG}){{0,{MAX_TAGS - 1}}})$"},
        "example": '"1"',
    },
    "Idempotency-Key": {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "description": (
            "Makes a retry safe: a repeat with the same key and content changes nothing more, the same key with other"
            " content is a 422."
        ),
        "schema": {"type": "string", "pattern": f"^{IDEMPOTENCY_KEY.pattern}$"},
        "example": "5c1f7d0a-3a0e-4d9b-9a57-1f6f8f1c2b11",
    },
    "If-None-Match": {
        "name": "If-None-Match",
        "in": "header",
        "required": False,
        "description": "The ETags that the caller has; 304 where the answer is still one of them.",
        "schema": {"type": "string"},
    },
}
"""The request headers that `Terms` are read from, and that of whoever has an answer already, by name."""

HEADERS: dict[str, Object] = {
    "Cache-Control": {
        "description": "Answers are not to be kept.",
        "required": True,
        "schema": {"const": "no-store"},
    },
    "CacheableFor": {
        "description": "How long the answer may be kept.",
        "required": True,
        "schema": {"type": "string", "minLength": 1},
    },
    "Content-Disposition": {
        "description": "What to call the file (RFC 6266); not where the answer is a link to it.",
        "schema": {"type": "string", "pattern": "^attachment; filename="},
        "example": "attachment; filename=\"Beds 2026-03-14.csv\"; filename*=UTF-8''Beds%202026-03-14.csv",
    },
    "ETag": {
        "description": "The version of the resource, for If-Match; it counts up by one with every change.",
        "required": True,
        "schema": {"type": "string", "pattern": '^"[1-9][0-9]*"$'},
        "example": '"3"',
    },
    "Location": {
        "description": "Where the resource is, or the state of what was begun.",
        "required": True,
        "schema": {"type": "string", "format": "uri-reference", "pattern": "^/"},
    },
    "Retry-After": {
        "description": "Seconds to wait before trying again.",
        "schema": {"type": "integer", "minimum": 0},
        "example": 1,
    },
    "RateLimit": {
        "description": (
            "What is left of the caller's own limits (draft-ietf-httpapi-ratelimit-headers-10): `r` requests, rows or"
            " bytes, and `t` seconds until the window ends. Only where such limits are on."
        ),
        "schema": {"type": "string", "pattern": _LIMITS.format(parameters="r=[0-9]+(;t=[0-9]+)?")},
        "example": '"writes";r=12;t=7, "rows";r=840',
    },
    "RateLimit-Policy": {
        "description": (
            "The caller's own limits that the request counts in: a quota `q`, of a window of `w` seconds where it is of"
            " requests. Only where such limits are on."
        ),
        "schema": {"type": "string", "pattern": _LIMITS.format(parameters='q=[0-9]+(;w=[0-9]+)?(;qu="[a-z-]+")?')},
        "example": '"writes";q=50;w=10, "rows";q=1000',
    },
    "WWW-Authenticate": {
        "description": "The scheme to authenticate with (RFC 6750, section 3).",
        "required": True,
        "schema": {"type": "string", "pattern": "^Bearer"},
        "example": 'Bearer error="invalid_token"',
    },
    "X-Request-Id": {
        "description": "Names the request in our log; quote it when you report a problem.",
        "required": True,
        "schema": {"type": "string", "minLength": 1},
    },
    "GatewayRequestId": {
        "description": "Names the request in our log; API Gateway's own answers have none.",
        "schema": {"type": "string", "minLength": 1},
    },
    "Representation": {
        "description": "Names this representation, for If-None-Match.",
        "required": True,
        "schema": {"type": "string", "pattern": '^(W/)?"[!#-~]*"$'},
    },
}
"""Response headers, as components."""


LIMIT_HEADERS = ("RateLimit", "RateLimit-Policy")


def header(name: str) -> Object:
    return {"$ref": f"#/components/headers/{name}"}


_OF_CONTENT = {"Cache-Control": "CacheableFor", "ETag": "Representation"}
"""What a header means where bytes have it, and not a resource of ours."""


def content_header(name: str) -> Object:
    """A header that bytes have."""
    return header(_OF_CONTENT.get(name, name))


def usual_headers(*, is_limited: bool = False) -> Object:
    """What every answer of a handler has, but where it gives bytes of its own; those of limits where they are on."""
    usual = {"X-Request-Id": header("X-Request-Id"), "Cache-Control": header("Cache-Control")}
    return usual | {name: header(name) for name in LIMIT_HEADERS if is_limited}


def answer_headers(error: type[ApiError], *, is_certain: bool) -> Object:
    """The headers of an error; those of one that may be the gateway's own are not certain."""
    headers: Object = {"X-Request-Id": header("X-Request-Id" if is_certain else "GatewayRequestId")}
    if issubclass(error, TooManyRequests | Unavailable):
        headers["Retry-After"] = header("Retry-After")
    if issubclass(error, Unauthenticated):
        headers["WWW-Authenticate"] = header("WWW-Authenticate")
        return headers
    return headers | {name: header(name) for name in LIMIT_HEADERS}
