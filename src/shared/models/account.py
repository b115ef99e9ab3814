"""What concerns a whole account: the answers about its erasure, and about the copy of all that it owns."""

from typing import Literal

from .fields import ResponseModel


class ErasureState(ResponseModel):
    """How the erasure of the caller's account stands; what a worker erased just before it ended may not be counted."""

    state: Literal["absent", "queued", "running", "waiting", "done"]
    requested_at: str | None = None
    final_pass_at: str | None = None
    """What was stored before goes again then: no token that was given before the request is good any more."""

    finished_at: str | None = None
    reports: int = 0
    embeddings: int = 0
    objects: int = 0


class AccountExport(ResponseModel):
    """How the copy of the caller's account stands. `url` is good until `expires_at`, the file until `kept_until`."""

    state: Literal["absent", "queued", "running", "done", "failed"]
    requested_at: str | None = None
    finished_at: str | None = None
    kept_until: str | None = None
    reports: int = 0
    embeddings: int = 0
    bytes: int | None = None
    url: str | None = None
    expires_at: str | None = None
    error: str | None = None
