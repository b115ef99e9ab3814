"""How the erasure of one account stands: an object that outlives everything else of the account.

While it is pending it names the user and their model versions, as somebody has to know what to erase. Once it is done
it holds times and counts alone, and goes after a month by the bucket's lifecycle.
"""

import json
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Literal

from pydantic import NonNegativeInt, TypeAdapter, ValidationError

from ..models.fields import Moment, shifted
from ..process import per_process
from .status_object import CorruptStatus, is_taken

SLACK = timedelta(minutes=2)
"""What a token may be used beyond its life: the leeway of its check, and the time that a request takes."""

State = Literal["queued", "running", "waiting", "done"]
Stage = Literal["bury", "fence", "clear", "lift"]
"""What is to be done next (see `erasing`)."""


@dataclass(frozen=True, slots=True)
class ErasureStatus:
    """One erasure. Times are texts of `models.fields.timestamp`; each step is counted once it is done.

    `due_at` is when a worker may go on; `fence` is what the user's row says once nothing can be declared any more.
    """

    id: str
    state: State
    stage: Stage
    requested_at: Moment
    final_pass_at: Moment
    due_at: Moment
    user_id: str | None = None
    model_versions: tuple[str, ...] = ()
    fence: str | None = None
    attempt: str | None = None
    claimed_at: Moment | None = None
    finished_at: Moment | None = None
    reports: NonNegativeInt = 0
    embeddings: NonNegativeInt = 0
    objects: NonNegativeInt = 0
    format: Literal[1] = 1

    @classmethod
    def requested(cls, erasure_id: str, user_id: str, now: str, token_life: timedelta) -> "ErasureStatus":
        """A new erasure. A token that was given before `now` is of no use any more at `final_pass_at`."""
        final = shifted(now, token_life + SLACK)
        return cls(erasure_id, "queued", "bury", now, final, now, user_id)

    @property
    def is_pending(self) -> bool:
        return self.state != "done"

    @property
    def is_ending(self) -> bool:
        """Whether the last pass has begun, which may have been where something was stored since."""
        return self.stage == "lift" or (self.stage == "clear" and self.state != "waiting")

    def is_due(self, now: str) -> bool:
        """Whether a worker is to go on: nobody is at it, and it need not wait."""
        if self.state == "running":
            return not is_taken(self.claimed_at, now)
        return self.is_pending and self.due_at <= now

    def claimed(self, attempt: str, now: str) -> "ErasureStatus":
        return replace(self, state="running", attempt=attempt, claimed_at=now)

    def released(self, now: str) -> "ErasureStatus":
        """The worker cannot go on; another may at once."""
        return replace(self, state="queued", attempt=None, claimed_at=None, due_at=now)

    def waiting(self, stage: Stage, due_at: str) -> "ErasureStatus":
        return replace(self, state="waiting", stage=stage, due_at=due_at, attempt=None, claimed_at=None)

    def done(self, now: str) -> "ErasureStatus":
        """Nothing personal is left."""
        return ErasureStatus(
            self.id,
            "done",
            "lift",
            self.requested_at,
            self.final_pass_at,
            now,
            finished_at=now,
            reports=self.reports,
            embeddings=self.embeddings,
            objects=self.objects,
        )

    def to_bytes(self) -> bytes:
        return json.dumps(asdict(self), separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, body: bytes) -> "ErasureStatus":
        """The status that `to_bytes` wrote. Raises CorruptStatus for anything else."""
        try:
            return _adapter().validate_json(body, strict=True)
        except ValidationError as error:
            raise CorruptStatus("not the status of an erasure") from error


@per_process
def _adapter() -> TypeAdapter[ErasureStatus]:
    return TypeAdapter(ErasureStatus)
