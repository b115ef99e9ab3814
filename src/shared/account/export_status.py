"""How the copy of an account stands, and all that the next worker has to know to go on with it."""

import json
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from typing import Literal

from pydantic import NonNegativeInt, TypeAdapter, ValidationError

from ..models.fields import Moment, shifted
from ..process import per_process
from .status_object import CorruptStatus, is_taken
from .zip_archive import Entry

KEPT = timedelta(days=1)
"""The bucket's lifecycle deletes what is below `exports/` after that."""

MOST_TRIES = 5
"""Workers that one after another got no part done."""

State = Literal["queued", "running", "done", "failed"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where the next file begins: a section of the account, and how far into it."""

    section: NonNegativeInt = 0
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Archive:
    """What has been uploaded for good: the parts, the entries in them, and what comes next."""

    upload_id: str
    model_versions: tuple[str, ...]
    etags: tuple[str, ...] = ()
    entries: tuple[Entry, ...] = ()
    size: NonNegativeInt = 0
    next: Place = field(default_factory=Place)
    is_whole: bool = False
    """Whether nothing is left to do but to complete the upload."""


@dataclass(frozen=True, slots=True)
class ExportStatus:
    """One export. Times are texts of `models.fields.timestamp`."""

    id: str
    state: State
    requested_at: Moment
    attempt: str | None = None
    claimed_at: Moment | None = None
    tries: NonNegativeInt = 0
    archive: Archive | None = None
    finished_at: Moment | None = None
    error: str | None = None
    format: Literal[1] = 1

    @property
    def is_pending(self) -> bool:
        return self.state in ("queued", "running")

    @property
    def kept_until(self) -> str | None:
        """Until when the finished file can be had, or the failure is told.

        S3 counts the age of what was uploaded in parts from the upload's beginning, which is not before the request.
        """
        if self.finished_at is None:
            return None
        begins = self.requested_at if self.state == "done" else self.finished_at
        return shifted(begins, KEPT)

    def is_due(self, now: str) -> bool:
        """Whether a worker is to go on, as nobody is at it."""
        return self.state == "queued" or (self.state == "running" and not is_taken(self.claimed_at, now))

    def lines(self, kind: str) -> int:
        """How many rows of a kind are in the archive so far."""
        entries = self.archive.entries if self.archive else ()
        return sum(entry.lines for entry in entries if entry.name.startswith(f"{kind}-"))

    def claimed(self, attempt: str, now: str) -> "ExportStatus":
        return replace(self, state="running", attempt=attempt, claimed_at=now, tries=self.tries + 1)

    def released(self) -> "ExportStatus":
        """The worker cannot go on; another may at once."""
        return replace(self, state="queued", attempt=None, claimed_at=None)

    def with_archive(self, archive: Archive) -> "ExportStatus":
        """The worker has got further."""
        return replace(self, archive=archive, tries=0)

    def done(self, now: str) -> "ExportStatus":
        return replace(self, state="done", attempt=None, claimed_at=None, finished_at=now)

    def failed(self, error: str, now: str) -> "ExportStatus":
        return replace(self, state="failed", attempt=None, claimed_at=None, finished_at=now, error=error)

    def to_bytes(self) -> bytes:
        return json.dumps(asdict(self), separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, body: bytes) -> "ExportStatus":
        """The status that `to_bytes` wrote. Raises CorruptStatus for anything else."""
        try:
            return _adapter().validate_json(body, strict=True)
        except ValidationError as error:
            raise CorruptStatus("not the status of an export") from error


@per_process
def _adapter() -> TypeAdapter[ExportStatus]:
    return TypeAdapter(ExportStatus)
