"""What an HTTP API with a CorsConfiguration does to preflights and answers."""

from scripts.local.events import HttpRequest
from scripts.local.template import Cors


def is_preflight(request: HttpRequest) -> bool:
    asked = request.header("access-control-request-method")
    return request.method == "OPTIONS" and bool(request.header("origin")) and bool(asked)


def preflight_headers(cors: Cors, request: HttpRequest) -> dict[str, str]:
    """The headers of a preflight's 204; a stranger gets none, so that the browser refuses."""
    origin = _allowed(cors, request)
    if origin is None:
        return {}
    return {
        "access-control-allow-origin": origin,
        "access-control-allow-methods": ",".join(cors.methods),
        "access-control-allow-headers": ",".join(cors.headers),
        "access-control-max-age": str(cors.max_age),
        "vary": "Origin",
    }


def answer_headers(cors: Cors, request: HttpRequest) -> dict[str, str]:
    """The headers of any other answer. API Gateway sets these itself and drops those of the handler."""
    origin = _allowed(cors, request)
    if origin is None:
        return {}
    return {"access-control-allow-origin": origin, "access-control-expose-headers": ",".join(cors.expose)}


def _allowed(cors: Cors, request: HttpRequest) -> str | None:
    origin = request.header("origin")
    if not origin:
        return None
    if "*" in cors.origins:
        return "*"
    return origin if origin in cors.origins else None
