"""Constrained field types and model bases that all subjects share.

Models build their validators on first use (`defer_build`): a function imports every model and needs two or three.
"""

import re
import uuid
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

MAX_NAME = 200
MAX_PRODUCT_ID = 256
TIMESTAMP = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z", re.ASCII)
"""How `timestamp` writes a moment, to be matched in full."""

_TIMESTAMP_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_CONTROLS = r"\x00-\x1f\x7f"
_SPACES = r"\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
"""What `str.strip` takes off, but for control characters."""

UNPRINTABLE = (
    r"\x00-\x1f\x7f-\xa0\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u1680\u180e\u2000-\u200f\u2028-\u202f"
    r"\u205f-\u206f\u3000\ue000-\uf8ff\ufeff\ufff0-\ufffb\ufffe\uffff"
)
"""Of the Basic Multilingual Plane: controls, formats, separators but for the space, and what is for private use
(Unicode's Cc, Cf, Zl, Zp, Zs and Co), as the inside of a regular expression's character class.

Written out, since JSON Schema has no words for it, and `str.isprintable` is different in every Python's Unicode.
"""

_NO_PRINT = re.compile(rf"[{UNPRINTABLE}\ud800-\udfff]")
_CONTROL = re.compile(rf"[{_CONTROLS}]")


class RequestModel(BaseModel):
    """A request body: no coercion, no member that is not declared (which closes mass assignment)."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, defer_build=True)


class PatchModel(RequestModel):
    """A body that changes what it names, and names something."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

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
    if _NO_PRINT.search(text):
        raise ValueError("must hold printable characters only")
    return text


def _without_controls(text: str) -> str:
    if _CONTROL.search(text):
        raise ValueError("must hold no control characters")
    return text


def _normal_timestamp(text: str) -> str:
    try:
        return timestamp(datetime.fromisoformat(text))
    except OverflowError as error:  # which pydantic would not take for a fault of the value
        raise ValueError("must be within the years 1 to 9999 in UTC") from error


def _canonical_timestamp(text: str) -> str:
    parse_timestamp(text)
    return text


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
    Field(json_schema_extra={"pattern": rf"^[^{_CONTROLS}]*[^{_CONTROLS}{_SPACES}][^{_CONTROLS}]*$"}),
]
Printable = Annotated[str, AfterValidator(printable), Field(json_schema_extra={"pattern": f"^[^{UNPRINTABLE}]*$"})]
ProductId = Annotated[Printable, StringConstraints(min_length=1, max_length=MAX_PRODUCT_ID)]
CalendarDate = Annotated[
    str,
    AfterValidator(_calendar_date),
    Field(json_schema_extra={"format": "date", "pattern": "^(?!0000)[0-9]{4}-[0-9]{2}-[0-9]{2}$"}),
]
"""A date as ISO 8601 writes it, YYYY-MM-DD."""
OPAQUE = Field(json_schema_extra={"pattern": "^[A-Za-z0-9_-]+$"})
"""How a text of ours looks that clients hand back as it is."""

Timestamp = Annotated[str, AfterValidator(_normal_timestamp)]
"""A moment that ISO 8601 can write, kept as `timestamp` writes it; without an offset it is taken for UTC."""

Moment = Annotated[str, AfterValidator(_canonical_timestamp)]
"""A moment as `timestamp` writes it, and no other text."""


def timestamp(moment: datetime) -> str:
    """`moment` in UTC with microseconds, fixed width, so that text order is time order (RFC 3339)."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    # Not strftime, which writes the year 1 as `1` on Linux.
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def parse_timestamp(text: str) -> datetime:
    """The moment that `timestamp` wrote. Raises ValueError for any other text."""
    # strptime takes `2026-1-1t0:0:0.5z` too, and digits of other scripts, which sort elsewhere.
    if not TIMESTAMP.fullmatch(text):
        raise ValueError("not a moment in UTC with microseconds")
    return datetime.strptime(text, _TIMESTAMP_FORMAT).replace(tzinfo=UTC)


def shifted(moment: str, by: timedelta) -> str:
    """The moment so much later. Raises ValueError for a text that is none, OverflowError for a result that is none."""
    return timestamp(parse_timestamp(moment) + by)


def now() -> str:
    return timestamp(datetime.now(UTC))


def today() -> str:
    return datetime.now(UTC).date().isoformat()


def new_id() -> str:
    return str(uuid.uuid4())
