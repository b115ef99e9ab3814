"""What a request says about the answer it can use: the codings it takes, and the version it has (RFC 9110)."""

import re

from shared.events import Request

_WEIGHT = re.compile(r"\s*q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)\s*", re.IGNORECASE)


def accepts_gzip(request: Request) -> bool:
    """RFC 9110, section 12.5.3; without the header no coding is used, which any client can read."""
    weights = dict(map(_weighted, (request.header("accept-encoding") or "").split(",")))
    return weights.get("gzip", weights.get("*", 0.0)) > 0


def has_already(request: Request, tag: str) -> bool:
    """Whether `If-None-Match` names the entity tag, in whatever strength (RFC 9110, section 13.1.2)."""
    stated = [part.strip() for part in (request.header("if-none-match") or "").split(",")]
    return "*" in stated or tag in (part.removeprefix("W/") for part in stated)


def _weighted(part: str) -> tuple[str, float]:
    """A coding and how much it is wanted; a weight that cannot be read is none at all."""
    coding, has_weight, parameter = part.partition(";")
    stated = _WEIGHT.fullmatch(parameter)
    weight = float(stated[1]) if stated else 0.0 if has_weight else 1.0
    return coding.strip().lower(), weight
