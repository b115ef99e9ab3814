"""The most that a request about reports may store more, where that is limited."""

from typing import Any

from shared.auth import Caller
from shared.database.content import bytes_to_store
from shared.models.fields import MAX_NAME
from shared.models.report import CreateReport, ReplaceFavorites, UpdateReport
from shared.scope import Growth

_DATE_BYTES = len("2026-03-14")
_MOST_BYTES_OF_CHARACTER = 4


def of_create(caller: Caller, body: CreateReport, **_: Any) -> Growth:
    """A report, whose author and date are yet to be found out where the body does not have them."""
    author = MAX_NAME * _MOST_BYTES_OF_CHARACTER if body.author is None else 0
    date = _DATE_BYTES if body.date is None else 0
    return Growth(1, bytes_to_store(dict(body)) + author + date)


def of_update(body: UpdateReport, **_: Any) -> Growth:
    """The new members: how large the old ones are is not known."""
    return Growth(0, bytes_to_store({name: getattr(body, name) for name in body.model_fields_set}))


def of_favorites(body: ReplaceFavorites, **_: Any) -> Growth:
    return Growth(0, bytes_to_store({"favorites": set(body.favorites)}) if body.favorites else 0)


def of_favorite(product_id: str, **_: Any) -> Growth:
    return Growth(0, bytes_to_store({"favorites": {product_id}}))
