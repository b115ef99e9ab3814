"""Deleting what a filter matches, in bounded steps: each examines so many rows and says where the next goes on."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from ..errors import ApiError, TooManyRequests, Unavailable
from ..models.embedding import DBProductEmbedding
from ..models.filters import Filter, matches
from .cursors import Position, encode_cursor
from .embeddings import EmbeddingRepository
from .parallel import run_all
from .repository import EPOCH
from .writes import Terms

STEP_ROWS = 200
_BEGINNING = encode_cursor(Position(EPOCH, "-"))
"""Before every row there can be."""


@dataclass(frozen=True, slots=True)
class DeletionStep:
    """What one step did; `continuation` is None once every row has been examined."""

    examined: int
    matched: int
    deleted: int
    continuation: str | None


def delete_step(
    repository: EmbeddingRepository,
    user_id: str,
    model_version: str,
    wanted: Filter,
    continuation: str | None = None,
    *,
    is_dry_run: bool = False,
) -> DeletionStep:
    """Delete what matches among the next STEP_ROWS rows, oldest change first.

    A row is deleted at the version that matched. One that changed meanwhile is left to a later step, which meets it
    again further on; where calls failed, the next step begins before the first of them. Raises the error of a step
    that deleted nothing for failures, MalformedRequest for a continuation that is not one of ours.
    """
    page = repository.list_embeddings(
        user_id, model_version, STEP_ROWS, continuation, newest_first=False, include_vectors=False
    )
    found = [row for row in page.embeddings if matches(wanted, row.product)]
    if is_dry_run:
        return DeletionStep(len(page.embeddings), len(found), 0, page.next_cursor)
    outcomes = _delete(repository, found)
    deleted = sum(outcome is None for outcome in outcomes)
    failed = next((index for index, outcome in enumerate(outcomes) if _is_failure(outcome)), None)
    if failed is None:
        return DeletionStep(len(page.embeddings), len(found), deleted, page.next_cursor)
    _raise_if_nothing_was_done(deleted, outcomes[failed])
    going_on = _just_before(page.embeddings, found[failed]) or continuation or _BEGINNING
    return DeletionStep(len(page.embeddings), len(found), deleted, going_on)


def _delete(repository: EmbeddingRepository, rows: Sequence[DBProductEmbedding]) -> list[ApiError | None]:
    calls = [
        partial(
            repository.delete_embedding, row.product_id, row.user_id, row.model_version, Terms(versions=[row.version])
        )
        for row in rows
    ]
    return run_all(calls)


def _is_failure(outcome: ApiError | None) -> bool:
    """Whether it is worth coming back to; a row that cannot be deleted must not hold up those after it."""
    return isinstance(outcome, TooManyRequests | Unavailable)


def _raise_if_nothing_was_done(deleted: int, error: ApiError | None) -> None:
    if not deleted and error is not None:
        raise error


def _just_before(rows: Sequence[DBProductEmbedding], row: DBProductEmbedding) -> str | None:
    place = rows.index(row)
    return encode_cursor(Position(rows[place - 1].updated_at, rows[place - 1].product_id)) if place else None
