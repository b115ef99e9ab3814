"""How the matrix of one model version stands: the one that can be read, and the build that is to replace it."""

import json
import re
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, StringConstraints, TypeAdapter, ValidationError

from ..models.fields import Moment, parse_timestamp
from ..process import per_process

RUNNING_IS_STALE_AFTER = timedelta(seconds=60)
"""Several times what a worker lets pass between two signs of life."""

QUEUED_IS_STALE_AFTER = timedelta(minutes=15)
"""An asynchronous invocation may wait this long for a free worker."""

ENTRY_BYTES = 12
"""One neighbour in a row: its row number, uint32, and its score, float64."""

CHECKSUM_BYTES = 4

State = Literal["absent", "queued", "running", "done", "failed"]


_FOLDER = re.compile(r"\A[0-9a-f-]{36}/[0-9a-f-]{36}\Z")
_Neighbours = Annotated[int, Field(ge=1, le=100)]
_Folder = Annotated[str, StringConstraints(pattern=_FOLDER)]


class CorruptStatus(ValueError):
    """These bytes are not what `MatrixStatus.to_bytes` makes."""


@dataclass(frozen=True, slots=True)
class StoredMatrix:
    """A finished matrix: where its objects are and how they are laid out (see `matrix_rows`)."""

    build_id: str
    folder: _Folder
    k: _Neighbours
    rows: NonNegativeInt
    rows_per_object: Annotated[int, Field(ge=1)]
    ids_digest: str
    """SHA-256 of the id table, in hex."""
    built_at: Moment
    watermark: Moment
    """What the table's index showed by then is in the matrix."""
    newest: Moment | None = None
    """When the newest change in it was made; None where it holds none."""

    @property
    def row_bytes(self) -> int:
        return self.k * ENTRY_BYTES + CHECKSUM_BYTES


@dataclass(frozen=True, slots=True)
class MatrixStatus:
    """The newest build, and `current`: the newest finished matrix, which is read while another is built.

    Times are texts of `models.fields.timestamp`. `rows` is known once the build has counted them; `error` says why it
    failed. `attempt` tells the worker that has the build from those that had it before.
    """

    state: State = "absent"
    build_id: str | None = None
    k: _Neighbours | None = None
    rows: NonNegativeInt | None = None
    rows_done: NonNegativeInt = 0
    requested_at: Moment | None = None
    started_at: Moment | None = None
    heartbeat_at: Moment | None = None
    error: str | None = None
    attempt: str | None = None
    current: StoredMatrix | None = None
    format: Literal[1] = 1

    def is_under_way(self, now: str) -> bool:
        """Whether a build is queued or running, and not for so long without a sign of life that it must be dead.

        A sign of life from the future is as dead: a clock that was wrong must not hold up builds until it is right.
        """
        if self.state == "queued":
            return _is_within(QUEUED_IS_STALE_AFTER, self.requested_at, now)
        return self.state == "running" and _is_within(RUNNING_IS_STALE_AFTER, self.heartbeat_at, now)

    def queued(self, build_id: str, k: int, now: str) -> "MatrixStatus":
        """A new build is wanted."""
        return MatrixStatus("queued", build_id, k, requested_at=now, current=self.current)

    def claimed(self, attempt: str, now: str) -> "MatrixStatus":
        """A worker begins."""
        return replace(self, state="running", attempt=attempt, started_at=now, heartbeat_at=now, rows=None, rows_done=0)

    def alive(self, rows_done: int, rows: int, now: str) -> "MatrixStatus":
        """The worker has got so far."""
        return replace(self, rows=rows, rows_done=rows_done, heartbeat_at=now)

    def done(self, matrix: StoredMatrix, now: str) -> "MatrixStatus":
        """The worker has written a matrix, which takes the place of the one before."""
        return replace(self.alive(matrix.rows, matrix.rows, now), state="done", current=matrix)

    def failed(self, error: str, now: str) -> "MatrixStatus":
        """The worker gives up."""
        return replace(self, state="failed", error=error, heartbeat_at=now)

    def to_bytes(self) -> bytes:
        return json.dumps(asdict(self), separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, body: bytes) -> "MatrixStatus":
        """The status that `to_bytes` wrote. Raises CorruptStatus for anything else."""
        try:
            return _adapter().validate_json(body, strict=True)
        except ValidationError as error:
            raise CorruptStatus("not the status of a matrix") from error


@per_process
def _adapter() -> TypeAdapter[MatrixStatus]:
    return TypeAdapter(MatrixStatus)


def _is_within(limit: timedelta, moment: str | None, now: str) -> bool:
    return moment is not None and abs(parse_timestamp(now) - parse_timestamp(moment)) <= limit
