"""Building a matrix: the neighbours of all rows, written as they will be read."""

import hashlib
from collections.abc import Iterator, Sequence
from itertools import count

import numpy as np

from ..errors import ApiError
from .matrix import Claim, ClaimLost
from .matrix_rows import NOBODY, IdTable, rows_per_object, seal
from .matrix_status import MatrixStatus, StoredMatrix
from .neighbour_rows import Check
from .neighbours import Load, Neighbours, nearest_neighbours, no_check

_ENTRY = np.dtype([("number", "<u4"), ("score", "<f8")])


def build(
    claim: Claim, blocks: Sequence[Load], *, watermark: str, newest: str | None = None, check: Check = no_check
) -> MatrixStatus:
    """Compute and store the matrix of the rows in `blocks`, as the index was at `watermark`; `newest` is the time of
    the newest change among them.

    Nothing that can be read changes before the end, so it can be broken off anywhere and begun again. `check` is called
    between steps and stops the build by raising. Raises ClaimLost where another worker or build took over; any other
    ApiError or ValueError is told in the status first. What else is raised leaves the build to be taken for dead.
    """
    try:
        return _build(claim, blocks, watermark, newest, check)
    except (ApiError, ValueError) as error:
        _tell(claim, error)
        raise


def _tell(claim: Claim, error: ApiError | ValueError) -> None:
    """Put the failure into the status, unless that fails too: the first error is the one to raise."""
    try:
        claim.fail(error.detail if isinstance(error, ApiError) else "The stored embeddings could not be read.")
    except (ApiError, ClaimLost):
        return


def _build(claim: Claim, blocks: Sequence[Load], watermark: str, newest: str | None, check: Check) -> MatrixStatus:
    neighbours = nearest_neighbours(blocks, claim.k, progress=claim.progress, check=check)
    store, rows = claim.store, len(neighbours)
    table = IdTable.of(neighbours.ids)
    store.objects.put(store.ids_key(claim.folder), table.data)
    for place, body in zip(count(), _bodies(neighbours, claim.k), strict=False):
        check()
        store.objects.put(store.rows_key(claim.folder, place), body)
        claim.progress(rows, rows)
    return claim.finish(
        StoredMatrix(
            build_id=str(claim.status.build_id),
            folder=claim.folder,
            k=claim.k,
            rows=rows,
            rows_per_object=rows_per_object(claim.k),
            ids_digest=hashlib.sha256(table.data).hexdigest(),
            built_at=store.clock(),
            watermark=watermark,
            newest=newest,
        )
    )


def _bodies(neighbours: Neighbours, k: int) -> Iterator[bytes]:
    """The objects of rows, one at a time."""
    step = rows_per_object(k)
    for first in range(0, len(neighbours), step):
        yield b"".join(_sealed_rows(neighbours, k, first, min(first + step, len(neighbours))))


def _sealed_rows(neighbours: Neighbours, k: int, first: int, last: int, chunk: int = 1024) -> Iterator[bytes]:
    for start in range(first, last, chunk):
        numbers, scores = neighbours.rows(start, min(start + chunk, last))
        entries = np.zeros((len(numbers), k), _ENTRY)
        entries["number"] = NOBODY
        entries["number"][:, : numbers.shape[1]] = numbers
        entries["score"][:, : scores.shape[1]] = scores
        for place, row in enumerate(entries):
            yield seal(row.tobytes(), start + place)
