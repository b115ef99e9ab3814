"""The time that a file carries, in place of the time at which it was made."""

from datetime import UTC, datetime

from ..models.fields import parse_timestamp
from ..models.report import Report

_UNKNOWN = datetime(1980, 1, 1, tzinfo=UTC)


def changed_at(report: Report) -> datetime:
    """When the report last changed, in UTC; 1980 for a row of another origin that says it in another way."""
    try:
        return parse_timestamp(report.updated_at)
    except ValueError:
        return _UNKNOWN
