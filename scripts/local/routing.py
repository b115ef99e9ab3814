"""Which route of the template serves a request."""

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote

from scripts.local.template import Route


@dataclass(frozen=True, slots=True)
class Match:
    """A route, and its path parameters as API Gateway hands them on: percent-decoded."""

    route: Route
    parameters: dict[str, str]


class Router:
    """Matches as an HTTP API does: segment by segment, before decoding, a fixed segment before a parameter."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = sorted(routes, key=lambda route: route.path.count("{"))

    def match(self, method: str, raw_path: str) -> Match | None:
        for route in self.routes:
            parameters = _parameters(route.path, raw_path) if route.method == method else None
            if parameters is not None:
                return Match(route, parameters)
        return None


def _parameters(pattern: str, raw_path: str) -> dict[str, str] | None:
    expected, given = pattern.split("/"), raw_path.split("/")
    if len(expected) != len(given):
        return None
    found: dict[str, str] = {}
    for part, value in zip(expected, given, strict=True):
        if not part.startswith("{"):
            if part != value:
                return None
        elif value:
            found[part[1:-1]] = unquote(value, errors="surrogateescape")
        else:
            return None
    return found
