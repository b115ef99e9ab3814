"""Rows for the similarity index, and what a search among them must find."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_st

from shared.database.index_rows import IndexRow
from shared.models.fields import timestamp
from shared.models.filters import matches
from shared.models.json_value import JsonObject
from shared.similarity.query import Query

Float32s = npt.NDArray[np.float32]

START = datetime(2030, 1, 1, tzinfo=UTC)


def at(seconds: float) -> str:
    """The timestamp so long after `START`."""
    return timestamp(START + timedelta(seconds=seconds))


def row(product_id: str, vector: npt.ArrayLike | None, seconds: float = 0, **product: object) -> IndexRow:
    """A row of the table; a vector of None is a deleted one."""
    data = None if vector is None else np.asarray(vector, dtype=np.float32).tobytes()
    return IndexRow(product_id, at(seconds), data, dict(product))


def rows_of(vectors: Float32s, products: Sequence[JsonObject] | None = None) -> list[IndexRow]:
    """One row of each vector of (n, d), called p0, p1, ..."""
    documents = [{"n": number} for number in range(len(vectors))] if products is None else products
    return [
        IndexRow(f"p{number}", at(number), vector.tobytes(), document)
        for number, (vector, document) in enumerate(zip(vectors, documents, strict=True))
    ]


def random_vectors(count: int, dimension: int, seed: int = 0) -> Float32s:
    return np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)


def matrices(count: int, dimension: int, *, extreme: bool) -> st.SearchStrategy[Float32s]:
    """Matrices (count, dimension) of rows that are not all zero; extreme ones use the whole range of float32."""
    limit = float(np.finfo(np.float32).max) if extreme else 8.0
    components = st.floats(-limit, limit, width=32) | st.sampled_from([0.0, 1.0, -1.0, 3.0])
    matrix = numpy_st.arrays(np.float32, (count, dimension), elements=components, fill=st.nothing())
    return matrix.map(_without_zero_rows)


def _without_zero_rows(matrix: Float32s) -> Float32s:
    matrix = matrix.copy()
    matrix[~matrix.any(axis=1), 0] = 1.0
    return matrix


def scores(metric: str, vectors: Float32s, query: Float32s) -> npt.NDArray[np.float64]:
    """The textbook formulas, in float64."""
    rows, wide = vectors.astype(np.float64), query.astype(np.float64)
    dots, squares, square = (rows * wide).sum(axis=1), (rows**2).sum(axis=1), (wide**2).sum()
    found: dict[str, npt.NDArray[np.float64]] = {
        "dot": dots,
        "euclidean": -np.sqrt(((rows - wide) ** 2).sum(axis=1)),
        "cosine": np.clip(dots / np.sqrt(squares * square), -1, 1) if square else np.zeros(len(rows)),
    }
    return found[metric] + 0.0


def expected(query: Query, rows: Iterable[IndexRow]) -> list[tuple[str, float]]:
    """(product id, score) of what a search must find among these live rows, in order."""
    live = [row for row in rows if row.product_id != query.exclude]
    if query.filter is not None:
        live = [row for row in live if matches(query.filter, row.product)]
    vectors = np.frombuffer(b"".join(row.vector or b"" for row in live), np.float32).reshape(-1, len(query.vector))
    found = zip([row.product_id for row in live], scores(query.metric, vectors, query.vector).tolist(), strict=True)
    ranked = sorted(found, key=lambda pair: (-pair[1], pair[0]))
    least = -np.inf if query.min_score is None else query.min_score
    return [pair for pair in ranked if pair[1] >= least][: query.top_k]


def live_rows(model: Mapping[str, IndexRow]) -> list[IndexRow]:
    """The rows of a table, held as a dict, that are not deleted."""
    return [row for row in model.values() if row.vector is not None]
