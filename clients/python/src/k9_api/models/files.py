"""Files that the API makes of a report."""

from dataclasses import dataclass, field
from typing import Literal

ExportFormat = Literal["zip", "csv", "xlsx", "pdf"]


@dataclass(frozen=True, slots=True)
class ExportLink:
    """Where a file is that is too large for an answer, until `expires_at`."""

    url: str
    expires_at: str
    bytes: int
    file_name: str


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """A report's file in memory."""

    file_name: str
    media_type: str
    content: bytes = field(repr=False)
