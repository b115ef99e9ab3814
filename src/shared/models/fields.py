"""Constrained field types and model bases that all subjects share.

Models build their validators on first use (`defer_build`): a function imports every model and needs two or three.
"""

import re
import uuid
from datetime import UTC, date, datetime
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, model_validator

MAX_NAME = 200
MAX_PRODUCT_ID = 256
_TIMESTAMP_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


class RequestModel(BaseModel):
    """A request body: no coercion, no member that is not declared (which closes mass assignment)."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, defer_build=True)


class PatchModel(RequestModel):
    """A body that changes what it names, and names something."""

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError(f"names nothing to change; it may name {', '.join(type(self).model_fields)}")
        return self


class ResponseModel(BaseModel):
    """A response body, built from values that are known to be valid."""

    model_config = ConfigDict(frozen=True, defer_build=True)


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be blank")
    return text


def printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must hold printable characters only")
    return text


def _calendar_date(text: str) -> str:
    if not _DATE.fullmatch(text):
        raise ValueError("must be a date written YYYY-MM-DD")
    date.fromisoformat(text)
    return text


Name = Annotated[str, StringConstraints(min_length=1, max_length=MAX_NAME), AfterValidator(_not_blank)]
ProductId = Annotated[str, StringConstraints(min_length=1, max_length=MAX_PRODUCT_ID), AfterValidator(printable)]
CalendarDate = Annotated[str, AfterValidator(_calendar_date)]
"""A date as ISO 8601 writes it, YYYY-MM-DD."""


def timestamp(moment: datetime) -> str:
    """`moment` in UTC with microseconds, fixed width, so that text order is time order (RFC 3339)."""
    return moment.astimezone(UTC).strftime(_TIMESTAMP_FORMAT)


def parse_timestamp(text: str) -> datetime:
    """The moment that `timestamp` wrote. Raises ValueError for any other text."""
    return datetime.strptime(text, _TIMESTAMP_FORMAT).replace(tzinfo=UTC)


def now() -> str:
    return timestamp(datetime.now(UTC))


def today() -> str:
    return datetime.now(UTC).date().isoformat()


def new_id() -> str:
    return str(uuid.uuid4())
