"""Reports and their favourites. Times are RFC 3339 in UTC, as the API writes them."""

from dataclasses import dataclass, field

from ..decoding import FROM_HEADER
from .json_documents import JsonObject


@dataclass(frozen=True, slots=True)
class Report:
    id: str
    title: str
    author: str
    date: str
    reference: JsonObject | None
    favorites: tuple[str, ...]
    created_at: str
    updated_at: str
    version: int


@dataclass(frozen=True, slots=True)
class ReportList:
    """One page of reports, newest first; `total` only where it was asked for."""

    reports: tuple[Report, ...]
    next_cursor: str | None
    has_more: bool
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Favorites:
    """The ids of a report's favourite products, sorted; `version` is the report's."""

    favorites: tuple[str, ...]
    version: int = field(metadata={FROM_HEADER: "ETag"})
