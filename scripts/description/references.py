"""References within a document (OpenAPI 3.1, section 4.8.23)."""

from collections.abc import Mapping
from typing import Any


def reference_of(stated: Any) -> str | None:
    """Where an object only refers to another, that reference."""
    return str(stated["$ref"]) if isinstance(stated, Mapping) and "$ref" in stated else None


def resolved(document: Mapping[str, Any], stated: Any) -> Any:
    """What a reference leads to, with what stands beside it; anything else is itself. Raises KeyError for nothing."""
    reference = reference_of(stated)
    if reference is None:
        return stated
    found: Any = document
    for step in reference.removeprefix("#/").split("/"):
        found = found[step.replace("~1", "/").replace("~0", "~")]
    beside = {keyword: value for keyword, value in stated.items() if keyword != "$ref"}
    return {**resolved(document, found), **beside}
