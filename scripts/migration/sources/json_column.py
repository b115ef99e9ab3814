"""JSON that a database keeps as text."""

from typing import Any

from shared.models.json_text import loads


def parsed(text: str | None) -> Any:
    """The document, its numbers exact. Raises ValueError for what is not JSON or names a member twice."""
    if text is None:
        return None
    try:
        return loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
