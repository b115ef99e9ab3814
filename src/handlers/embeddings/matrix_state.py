"""The similarity matrix's status as an answer shows it."""

from shared.models.embedding import MatrixState
from shared.models.fields import now
from shared.similarity.matrix_status import MatrixStatus


def matrix_state(model_version: str, status: MatrixStatus, last_change: str | None) -> MatrixState:
    """The newest build, and the last finished matrix beside what has been stored since: `last_change` is its time."""
    is_broken_off = status.state in ("queued", "running") and not status.is_under_way(now())
    current = status.current
    return MatrixState(
        model_version=model_version,
        state="failed" if is_broken_off else status.state,
        k=status.k,
        progress=_progress(status),
        requested_at=status.requested_at,
        error="The build was broken off. Ask for it again." if is_broken_off else status.error,
        rows=current.rows if current else None,
        built_at=current.built_at if current else None,
        is_stale=(last_change or "") > (current.newest or "") if current else None,
    )


def _progress(status: MatrixStatus) -> float | None:
    """The share of the work that is done."""
    if status.state == "done":
        return 1.0
    return status.rows_done / status.rows if status.rows else 0.0 if status.state == "running" else None
