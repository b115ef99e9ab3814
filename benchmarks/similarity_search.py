"""Search beside faiss, usearch, scikit-learn and plain numpy, and with filters: one process, one thread."""

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any
from unittest.mock import patch

import numpy as np
import numpy.typing as npt

from benchmarks.similarity_data import (
    DATA,
    DIMENSION,
    Floats,
    cpu_milliseconds,
    index_of,
    index_rows,
    middle,
    product_id,
    ratio,
    table,
    take_turns,
    units,
    vectors,
)
from shared.models.filters import matches, parse_filter
from shared.similarity import metrics, scan
from shared.similarity.index import ModelIndex, Query

TOP_K = 10
_QUERIES = 24
_FILTERS: dict[str, dict[str, Any]] = {
    "90 %": {"percentile": {"$lt": 90}},
    "50 %": {"price": {"$lt": 50}},
    "10 %": {"kind": "dog"},
    "5 %": {"price": {"$lt": 50}, "kind": "dog"},
    "1 %": {"percentile": {"$lt": 1}},
}
"""By the share of the products that they let through."""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Measure search beside its peers.")
    parser.add_argument("what", choices=("search", "filter"))
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--data", nargs="+", choices=DATA, default=DATA)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args(arguments)
    for rows in options.rows:
        for data in options.data:
            matrix = vectors(data, rows)
            index = index_of(index_rows(matrix))
            queries = vectors(data, _QUERIES, seed=2)
            print(f"\n{rows:,} rows of {DIMENSION}, {data}")
            if options.what == "search":
                print(measure_search(index, matrix, queries, options.rounds))
            else:
                print(measure_filters(index, matrix, queries, options.rounds))


def measure_search(index: ModelIndex, matrix: Floats, queries: Floats, rounds: int) -> str:
    """CPU per search, the bytes read in it per second, and how much of the true answer was found."""
    scaled, small = units(matrix), np.ones(matrix.size // 8, np.int64)
    contenders = {"K9": _k9(index, queries), **_peers(scaled, units(queries))}
    truth = [_reference(matrix, query) for query in queries]
    recalls = {name: _recall(answer, truth) for name, answer in contenders.items()}
    assert recalls["K9"] == 1.0
    assert [contenders["K9"](number) for number in range(_QUERIES)] == truth  # in the same order, too
    readers: dict[str, Callable[[int], object]] = {
        "numpy vecdot alone, float32": lambda number: np.vecdot(scaled, queries[number % _QUERIES]),
        "numpy sum, float32": lambda _: scaled.sum(),
        "numpy sum, a byte each": lambda _: small.sum(),
    }
    turns = take_turns({**contenders, **readers}, rounds, 8 if len(matrix) < 50_000 else 3)
    sizes = dict.fromkeys((*contenders, *readers), scaled.nbytes)
    sizes["K9"] = _first_pass_bytes(index)
    sizes["numpy sum, a byte each"] = small.nbytes
    lines = [
        (
            name,
            f"{middle(turns, name):.2f}",
            f"{ratio(turns, name, 'K9'):.2f}",
            f"{sizes[name] / middle(turns, name) / 1e6:.1f}",
            f"{recalls[name]:.3f}" if name in recalls else "",
        )
        for name in (*contenders, *readers)
    ]
    peers = [name for name in contenders if name != "K9"]
    fastest = min(peers, key=lambda name: middle(turns, name))
    return "\n".join(
        [
            table(("", "CPU ms", "times K9's", "GB/s", "recall"), lines),
            f"  fastest peer: {fastest}, {ratio(turns, fastest, 'K9'):.2f} times K9's CPU (goal at 100,000: 1.5)",
            f"  of {len(matrix):,} rows K9 scored {_exactly_scored(index, queries):.0f} in float64, on average",
        ]
    )


def measure_filters(index: ModelIndex, matrix: Floats, queries: Floats, rounds: int) -> str:
    """CPU of a filtered search beside the unfiltered one, and of the first with a filter, which builds columns."""
    parsed = {name: parse_filter(document) for name, document in _FILTERS.items()}
    products = [part.segment.documents.load(row) for part in _parts(index) for row in range(len(part.segment))]
    shares = {name: sum(matches(wanted, each) for each in products) / len(matrix) for name, wanted in parsed.items()}
    del products

    def searching(wanted: Any) -> Callable[[int], object]:
        return lambda number: index.search(Query(queries[number % _QUERIES], top_k=TOP_K, filter=wanted))

    calls = {"none": searching(None), **{name: searching(wanted) for name, wanted in parsed.items()}}
    turns = take_turns(calls, rounds, 3)
    colds = {name: _cold(index, calls[name]) for name in parsed}
    lines = [("none", "", f"{middle(turns, 'none'):.2f}", "", "")]
    lines += [
        (
            str(_FILTERS[name]).replace("'", '"'),
            f"{shares[name]:.1%}",
            f"{middle(turns, name):.2f}",
            f"{ratio(turns, name, 'none'):.2f}",
            f"{colds[name]:.0f}",
        )
        for name in parsed
    ]
    return table(("filter", "lets through", "CPU ms", "times none's", "first, ms"), lines)


def _k9(index: ModelIndex, queries: Floats) -> Callable[[int], list[str]]:
    def answer(number: int) -> list[str]:
        return [hit.product_id for hit in index.search(Query(queries[number % _QUERIES], top_k=TOP_K))]

    return answer


def _peers(scaled: Floats, queries: Floats) -> dict[str, Callable[[int], list[str]]]:
    """Each over rows of length one, made beforehand: the product of two is their cosine."""
    faiss, usearch = import_module("faiss"), import_module("usearch.index")
    faiss.omp_set_num_threads(1)
    flat = faiss.IndexFlatIP(scaled.shape[1])
    flat.add(scaled)
    brute = import_module("sklearn.neighbors").NearestNeighbors(n_neighbors=TOP_K, algorithm="brute", n_jobs=1)
    brute.fit(scaled)

    def exact_search(query: Floats) -> Any:
        return usearch.search(scaled, query, TOP_K, usearch.MetricKind.IP, exact=True, threads=1).keys

    def multiply(query: Floats) -> Any:
        scores = scaled @ query
        best = np.argpartition(scores, -TOP_K)[-TOP_K:]
        return best[np.argsort(-scores[best])]

    found: dict[str, Callable[[Floats], Any]] = {
        "faiss IndexFlatIP": lambda query: flat.search(query[np.newaxis], TOP_K)[1][0],
        "usearch, exact": exact_search,
        "scikit-learn, brute": lambda query: brute.kneighbors(query[np.newaxis], return_distance=False)[0],
        "numpy X @ q": multiply,
    }
    return {name: _naming(answer, queries) for name, answer in found.items()}


def _naming(answer: Callable[[Floats], Any], queries: Floats) -> Callable[[int], list[str]]:
    return lambda number: [product_id(int(row)) for row in answer(queries[number % _QUERIES])]


def _reference(matrix: Floats, query: Floats) -> list[str]:
    """The answer by a plain float64 computation over all rows, ties by id."""
    wide = query.astype(np.float64)
    scores = np.empty(len(matrix))
    for start in range(0, len(matrix), 10_000):
        rows = matrix[start : start + 10_000].astype(np.float64)
        scores[start : start + 10_000] = (rows * wide).sum(axis=1) / np.sqrt((rows * rows).sum(axis=1))
    order = np.lexsort((np.arange(len(matrix)), -scores))[:TOP_K]
    return [product_id(int(row)) for row in order]


def _recall(answer: Callable[[int], list[str]], truth: list[list[str]]) -> float:
    found = sum(len(set(answer(number)) & set(names)) for number, names in enumerate(truth))
    return found / (len(truth) * TOP_K)


def _exactly_scored(index: ModelIndex, queries: Floats) -> float:
    with _counted() as counter:
        for query in queries:
            index.search(Query(query, top_k=TOP_K))
    return counter.rows / len(queries)


@dataclass
class _Counter:
    rows: int = 0


@contextmanager
def _counted() -> Iterator[_Counter]:
    counter = _Counter()

    def counting(metric: Any, rows: Floats, query: Floats, *, squares: npt.NDArray[np.float64]) -> Any:
        counter.rows += len(rows)
        return metrics.exact(metric, rows, query, squares=squares)

    with patch.object(scan, "exact", counting):
        yield counter


def _cold(index: ModelIndex, search: Callable[[int], object]) -> float:
    """CPU milliseconds of the first search that needs these columns."""
    for part in _parts(index):
        vars(part.segment).pop("columns", None)
    return cpu_milliseconds(lambda: search(0))


def _first_pass_bytes(index: ModelIndex) -> int:
    """What a search reads of every row."""
    return sum(part.segment.vectors.nbytes for part in _parts(index))


def _parts(index: ModelIndex) -> list[Any]:
    return list(index.parts)


if __name__ == "__main__":
    main()
