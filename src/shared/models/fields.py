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
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")


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


class QueryModel(BaseModel):
    """A query: values come as text, and are converted; no name that is not declared."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


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


def _without_controls(text: str) -> str:
    if _CONTROLS.search(text):
        raise ValueError("must hold no control characters")
    return text


def _normal_timestamp(text: str) -> str:
    return timestamp(datetime.fromisoformat(text))


def _calendar_date(text: str) -> str:
    if not _DATE.fullmatch(text):
        raise ValueError("must be a date written YYYY-MM-DD")
    date.fromisoformat(text)
    return text


Name = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_NAME),
    AfterValidator(_not_blank),
    AfterValidator(_without_controls),
]
ProductId = Annotated[str, StringConstraints(min_length=1, max_length=MAX_PRODUCT_ID), AfterValidator(printable)]
CalendarDate = Annotated[str, AfterValidator(_calendar_date)]
"""A date as ISO 8601 writes it, YYYY-MM-DD."""
Timestamp = Annotated[str, AfterValidator(_normal_timestamp)]
"""A moment that ISO 8601 can write, kept as `timestamp` writes it; without an offset it is taken for UTC."""


def timestamp(moment: datetime) -> str:
    """`moment` in UTC with microseconds, fixed width, so that text order is time order (RFC 3339)."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
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
