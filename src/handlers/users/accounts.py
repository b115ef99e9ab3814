"""What the routes about a whole account share."""

from shared.account.account_exports import ExportStore
from shared.account.erasure_status import ErasureStatus
from shared.account.export_status import ExportStatus
from shared.auth import Caller
from shared.errors import ApiError, Forbidden
from shared.models.account import AccountExport, ErasureState
from shared.models.embedding import SHARED_OWNER
from shared.similarity.objects import default_objects
from shared.tasks import Task, request_task
from shared.telemetry import log_warning


def own_account(caller: Caller) -> str:
    """The caller's user id. Raises Forbidden for one who would pass for the shared catalogue's owner."""
    if caller.user_id == SHARED_OWNER:
        raise Forbidden(f"The account {SHARED_OWNER!r} is reserved.")
    return caller.user_id


def exports_of(caller: Caller) -> ExportStore:
    """The caller's exports. Raises Forbidden as `own_account`, and for an id that no file's key could hold."""
    try:
        return ExportStore(default_objects(), own_account(caller))
    except ValueError as error:
        raise Forbidden("This account cannot be exported: its id cannot be part of a file's name.") from error


def ask_worker(task: Task) -> None:
    """Have the worker begin at once. Where it cannot be asked, what was put down is begun within minutes all the same,
    so that nothing is lost but time."""
    try:
        request_task(task)
    except ApiError as error:
        log_warning("the worker could not be asked", task=task["task"], exception=type(error).__name__)


def erasure_state(status: ErasureStatus | None) -> ErasureState:
    """An erasure as an answer shows it."""
    if status is None:
        return ErasureState(state="absent")
    return ErasureState(
        state=status.state,
        requested_at=status.requested_at,
        final_pass_at=status.final_pass_at,
        finished_at=status.finished_at,
        reports=status.reports,
        embeddings=status.embeddings,
        objects=status.objects,
    )


def account_export(store: ExportStore, status: ExportStatus | None) -> AccountExport:
    """An export as an answer shows it, with an address where there is a file."""
    if status is None:
        return AccountExport(state="absent")
    is_done = status.state == "done"
    download = store.download(status) if is_done else None
    return AccountExport(
        state=status.state,
        requested_at=status.requested_at,
        finished_at=status.finished_at,
        kept_until=status.kept_until if is_done else None,
        reports=status.lines("reports"),
        embeddings=status.lines("embeddings"),
        bytes=status.archive.size if is_done and status.archive else None,
        url=download.url if download else None,
        expires_at=download.expires_at if download else None,
        error=status.error,
    )
