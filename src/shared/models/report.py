"""Reports: the stored row, the requests that change it, and the answers."""

from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from .fields import (
    OPAQUE,
    CalendarDate,
    Name,
    PatchModel,
    Printable,
    ProductId,
    QueryModel,
    RequestModel,
    ResponseModel,
    Timestamp,
    new_id,
    now,
    today,
)
from .json_value import JsonObject, storable_within

MAX_REFERENCE_BYTES = 256 * 1024
MAX_FAVORITES = 500
MAX_PAGE = 100

Reference = Annotated[JsonObject, AfterValidator(storable_within(MAX_REFERENCE_BYTES))]
FavoriteSet = Annotated[set[ProductId], Field(max_length=MAX_FAVORITES)]
ReportId = Annotated[Printable, StringConstraints(min_length=1, max_length=128)]


class DBReport(BaseModel):
    """A row of the reports table. Timestamps are RFC 3339 in UTC; `version` counts the changes, from 1."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    id: ReportId = Field(default_factory=new_id)
    user_id: Annotated[str, Field(min_length=1, max_length=128)]
    title: Name
    author: str = Field(default="", max_length=200)
    date: CalendarDate = Field(default_factory=today)
    reference: Reference | None = None
    favorites: FavoriteSet = Field(default_factory=set)
    created_at: Timestamp = Field(default_factory=now)
    updated_at: Timestamp = Field(default_factory=lambda fields: fields["created_at"])
    version: int = 1


class CreateReport(RequestModel):
    title: Name
    author: Name | None = None
    date: CalendarDate | None = None
    reference: Reference | None = None


class UpdateReport(PatchModel):
    """What a PATCH changes: the members that are present. `reference: null` removes the reference."""

    title: Name = Field(default="")
    author: Name = Field(default="")
    date: CalendarDate = Field(default="")
    reference: Reference | None = None


class ReplaceFavorites(RequestModel):
    favorites: Annotated[list[ProductId], Field(max_length=MAX_FAVORITES)]


class Report(ResponseModel):
    """A report as its owner sees it."""

    id: str
    title: str
    author: str
    date: str
    reference: JsonObject | None
    favorites: list[str]
    created_at: str
    updated_at: str
    version: int

    @classmethod
    def of(cls, row: DBReport) -> Self:
        return cls.model_construct(
            id=row.id,
            title=row.title,
            author=row.author,
            date=row.date,
            reference=row.reference,
            favorites=sorted(row.favorites),
            created_at=row.created_at,
            updated_at=row.updated_at,
            version=row.version,
        )


class ReportList(ResponseModel):
    """One page of reports, newest first; `total` only where it was asked for."""

    reports: list[Report]
    next_cursor: str | None
    has_more: bool
    total: int | None = Field(default=None, exclude_if=lambda total: total is None)


class Favorites(ResponseModel):
    """The ids of a report's favourite products, sorted."""

    favorites: list[str]
    version: int = Field(exclude=True)

    @classmethod
    def of(cls, row: DBReport) -> Self:
        return cls.model_construct(favorites=sorted(row.favorites), version=row.version)


class ListReports(QueryModel):
    """The query of `GET /reports`."""

    limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] = 20
    cursor: Annotated[str, StringConstraints(max_length=1024), OPAQUE] | None = None
    include_total: bool = False
