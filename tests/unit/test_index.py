"""The index finds exactly what a float64 search over a plain table finds, however it came to be."""

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.database.index_rows import IndexRow
from shared.models.filters import Filter, parse_filter
from shared.models.vector import Vector
from shared.similarity import index as index_module
from shared.similarity import parts as parts_module
from shared.similarity import scan as scan_module
from shared.similarity.index import TOMBSTONE_SECONDS, Metric, ModelIndex, Part, Query, StreamedPart
from shared.similarity.segment import Segment
from tests.support.vectors import (
    Float32s,
    at,
    expected,
    live_rows,
    matrices,
    random_vectors,
    row,
    rows_of,
)

METRICS: tuple[Metric, ...] = get_args(Metric)
FILTERS = [
    None,
    parse_filter({}),
    parse_filter({"n": {"$lt": 7}}),
    parse_filter({"even": True}),
    parse_filter({"n": {"$gte": 1000}}),
    parse_filter({"$not": {"n": 3}}),
]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows in segments of an index, of which some are dead."""

    index: ModelIndex
    live: list[IndexRow]


@pytest.fixture(params=["float32 first", "all exactly"], autouse=True)
def first_pass(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test runs with a first pass however small the index is, and with the exact pass that small ones get."""
    if request.param == "float32 first":
        monkeypatch.setattr(scan_module, "_EXACT_ITEMS", 0)


@pytest.fixture
def tiny_parts() -> Iterator[None]:
    """Parts of a few rows, so that few changes fill, seal, merge and cut them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index_module, "SEALED_ROWS", 3)
        patch.setattr(parts_module, "SEGMENT_ROWS", 8)
        patch.setattr(parts_module, "SMALL_ROWS", 4)
        patch.setattr(parts_module, "MOST_SMALL_PARTS", 2)
        yield


def products(count: int) -> list[dict[str, object]]:
    return [{"n": number, "even": number % 2 == 0} for number in range(count)]


def table_of(rows: Sequence[IndexRow], dimension: int, starts: Sequence[int], dead: Sequence[bool]) -> Table:
    parts = []
    for start, end in zip([0, *starts], [*starts, len(rows)], strict=True):
        mask = np.array(dead[start:end], dtype=np.bool_)
        parts.append(Part(Segment.of(rows[start:end], dimension), mask if mask.any() else None))
    live = [row for row, is_dead in zip(rows, dead, strict=True) if not is_dead]
    return Table(ModelIndex(dimension, tuple(parts)), live)


@st.composite
def tables(draw: st.DrawFn) -> tuple[Table, Float32s]:
    """A table, many of whose vectors are alike or multiples of each other, and the query.

    Of extreme magnitudes, the vectors are left as they are or brought near an end of what a first pass takes.
    """
    dimension, distinct = draw(st.sampled_from([1, 2, 5, 33])), draw(st.integers(1, 5))
    drawn = draw(matrices(distinct + 1, dimension, extreme=draw(st.booleans())))
    exponents = draw(st.none() | st.lists(st.sampled_from([-60, 0, 57]), min_size=distinct + 1, max_size=distinct + 1))
    if exponents is not None:
        drawn = np.ldexp(drawn / np.abs(drawn).max(axis=1, keepdims=True), np.array(exponents)[:, np.newaxis])
    places = draw(st.lists(st.integers(0, distinct - 1), min_size=1, max_size=24))
    starts = sorted(draw(st.lists(st.integers(0, len(places)), max_size=3)))
    dead = draw(st.lists(st.booleans(), min_size=len(places), max_size=len(places)))
    names = draw(st.permutations([f"p{number}" for number in range(len(places))]))
    rows = rows_of(drawn[places], products(len(places)))
    rows = [replace(row, product_id=name) for row, name in zip(rows, names, strict=True)]
    return table_of(rows, dimension, starts, dead), drawn[draw(st.integers(0, distinct))]


def found(index: ModelIndex, query: Query) -> list[tuple[str, float]]:
    return [(hit.product_id, hit.score) for hit in index.search(query)]


@settings(max_examples=300, deadline=None)
@given(
    drawn=tables(),
    metric=st.sampled_from(METRICS),
    top_k=st.integers(1, 30),
    min_score=st.none() | st.sampled_from([-1e30, -1.0, 0.0, 0.5, 1.0, 1e30]),
    filter_=st.sampled_from(FILTERS),
    exclude=st.none() | st.sampled_from(["p0", "p3", "elsewhere"]),
)
def test_a_search_finds_what_a_float64_search_finds(
    drawn: tuple[Table, Float32s],
    metric: Metric,
    top_k: int,
    min_score: float | None,
    filter_: Filter | None,
    exclude: str | None,
) -> None:
    table, vector = drawn
    query = Query(vector, metric, top_k, min_score, filter_, exclude)
    assert found(table.index, query) == expected(query, table.live)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("count", "dimension"), [(1, 1), (1, 4096), (3000, 1), (30, 4096), (4000, 48)])
@pytest.mark.parametrize("top_k", [1, 10, 100])
def test_many_rows_of_several_shapes(metric: Metric, count: int, dimension: int, top_k: int) -> None:
    vectors = random_vectors(count, dimension)
    vectors *= np.random.default_rng(1).lognormal(0, 2, (count, 1)).astype(np.float32)
    vectors[::3] = vectors[0]
    rows = rows_of(vectors, products(count))
    table = table_of(rows, dimension, [count // 3, count // 2], [number % 7 == 3 for number in range(count)])
    for vector in (vectors[0], vectors[-1], random_vectors(1, dimension, seed=5)[0]):
        for filter_ in FILTERS:
            query = Query(vector, metric, top_k, filter=filter_, exclude="p3")
            assert found(table.index, query) == expected(query, table.live)


@pytest.mark.parametrize("metric", METRICS)
def test_neighbours_closer_than_float32_can_tell(metric: Metric) -> None:
    """Thousands of rows within the margin of each other: the exact pass alone tells them apart."""
    vectors = (random_vectors(1, 64) + random_vectors(3000, 64, seed=2) * 1e-7).astype(np.float32)
    table = table_of(rows_of(vectors), 64, [1000], [False] * 3000)
    for vector in vectors[:5]:
        query = Query(vector, metric, 50)
        assert found(table.index, query) == expected(query, table.live)


def test_rows_of_every_magnitude_in_one_index() -> None:
    vectors = random_vectors(400, 16)
    vectors /= np.abs(vectors).max()
    vectors *= np.float32(10) ** np.linspace(-44, 38, 400, dtype=np.float32)[:, np.newaxis]
    table = table_of(rows_of(vectors[vectors.any(axis=1)]), 16, [100], [False] * int(vectors.any(axis=1).sum()))
    for metric in METRICS:
        for vector in (vectors[0], vectors[200], vectors[399]):
            if vector.any() or metric != "cosine":
                query = Query(vector, metric, 20)
                assert found(table.index, query) == expected(query, table.live)


def test_a_hit_has_its_product_and_its_vector() -> None:
    index = ModelIndex(2).with_changes([row("a", [1, 2], 0, price=249), row("b", [3, 4], 0, kind="x")], at(1))
    (hit,) = index.search(Query(np.array([1, 2], np.float32), top_k=1))
    assert (hit.product_id, hit.score, hit.product, hit.vector.tolist()) == ("a", 1.0, {"price": 249}, [1, 2])
    assert index.vector_of("b") == Vector.of([3, 4])
    assert index.vector_of("c") is None


def test_an_empty_index_finds_nothing() -> None:
    index = ModelIndex(3)
    assert (len(index), index.search(Query(np.ones(3, np.float32))), index.vector_of("a")) == (0, [], None)


@pytest.mark.parametrize("metric", METRICS)
def test_a_zero_query_warns_of_nothing(metric: Metric) -> None:
    index = ModelIndex(2).with_changes([row("b", [1, 2]), row("a", [0, 1])], "")
    assert [hit.product_id for hit in index.search(Query(np.zeros(2, np.float32), metric))] == ["a", "b"]


def test_a_query_of_another_dimension_is_refused() -> None:
    with pytest.raises(ValueError, match=re.escape("the index has 3 dimensions, the query 2")):
        ModelIndex(3).search(Query(np.ones(2, np.float32)))


def test_a_search_can_be_stopped_between_parts() -> None:
    class OutOfTimeError(Exception):
        pass

    looks = iter([None, OutOfTimeError])

    def check() -> None:
        if (error := next(looks)) is not None:
            raise error

    rows = rows_of(random_vectors(9, 2))
    index = table_of(rows, 2, [3, 6], [False] * 9).index
    with pytest.raises(OutOfTimeError):
        index.search(Query(np.ones(2, np.float32)), check)


def test_searches_in_several_threads_do_not_disturb_each_other() -> None:
    vectors = random_vectors(6000, 96)
    index = table_of(rows_of(vectors, products(6000)), 96, [2500], [False] * 6000).index
    queries = [Query(vectors[n], METRICS[n % 3], 5, filter=FILTERS[n % 2 * 3]) for n in range(60)]
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(lambda query: found(index, query), queries * 3))
    assert together == [found(index, query) for query in queries] * 3


NAMES = [f"p{number}" for number in range(12)]


@st.composite
def changes(draw: st.DrawFn, seconds: st.SearchStrategy[int]) -> IndexRow:
    """A new or older version of one of a few rows; its vector follows from its time, as no two versions share that."""
    second = draw(seconds)
    name = draw(st.sampled_from(NAMES))
    kind = (second * 7 + int(name[1:])) % 10
    if kind < 3:
        return row(name, None, second)
    if kind == 3:
        unusable: list[list[float]] = [[0, 0, 0], [1, 2], [1, 2, float("nan")]]
        return row(name, unusable[second % 3], second)
    vector = np.random.default_rng(second * 100 + int(name[1:])).choice([0.5, -1, 3e38, 1e-44], 3)
    return row(name, vector, second, n=second)


BATCHES = st.lists(st.lists(changes(st.integers(0, 40)), max_size=8), max_size=12)


def is_searchable(row: IndexRow) -> bool:
    vector = Vector(row.vector or b"")
    return vector.dimension == 3 and vector.is_finite and not vector.is_zero


def applied(model: dict[str, IndexRow], batch: Sequence[IndexRow]) -> None:
    for change in batch:
        known = model.get(change.product_id)
        if known is None or known.updated_at < change.updated_at:
            model[change.product_id] = change


def assert_is(index: ModelIndex, model: dict[str, IndexRow], metric: Metric) -> None:
    live = [row for row in live_rows(model) if is_searchable(row)]
    query = Query(np.array([1, -0.5, 0.25], np.float32), metric, 20, filter=FILTERS[2])
    for asked in (query, replace(query, filter=None)):
        assert found(index, asked) == expected(asked, live)
    assert index.skipped == len(live_rows(model)) - len(live)
    for name in NAMES:
        known = model.get(name)
        vector = index.vector_of(name)
        assert (vector and vector.data) == (known.vector if known and known in live else None)


@pytest.mark.usefixtures("tiny_parts")
@settings(max_examples=120, deadline=None)
@given(batches=BATCHES, metric=st.sampled_from(METRICS))
def test_changes_in_any_order_leave_the_newest_of_each_row(batches: list[list[IndexRow]], metric: Metric) -> None:
    index, model = ModelIndex(3), dict[str, IndexRow]()
    for number, batch in enumerate(batches):
        before = found(index, Query(np.ones(3, np.float32), metric, 20))
        changed = index.with_changes(batch, at(number))
        assert found(index, Query(np.ones(3, np.float32), metric, 20)) == before
        index = changed
        applied(model, batch)
        assert_is(index, model, metric)
        assert len(index) == sum(map(is_searchable, live_rows(model)))
        assert index.watermark == at(number)
        parts = [part for part in index.parts if isinstance(part, Part)]
        assert all(0 < len(part) <= 8 for part in parts)
        assert sum(len(part) < 4 for part in parts) <= 3


@pytest.mark.usefixtures("tiny_parts")
@settings(max_examples=100, deadline=None)
@given(
    base=st.lists(changes(st.integers(0, 40)), max_size=20),
    dead=st.integers(0, 3),
    batches=BATCHES,
    metric=st.sampled_from(METRICS),
)
def test_streamed_parts_show_the_newest_of_each_row(
    base: list[IndexRow], dead: int, batches: list[list[IndexRow]], metric: Metric
) -> None:
    """Also where a change is older than the row in the snapshot, as a late read of the table may bring it."""
    model: dict[str, IndexRow] = {}
    applied(model, base)
    rows = [row for row in live_rows(model) if is_searchable(row)]
    model = {row.product_id: row for row in rows[dead:]}
    mask = np.array([number < dead for number in range(len(rows))], dtype=np.bool_)
    data = Segment.of(rows, 3).to_bytes()
    streamed = StreamedPart(lambda: Segment.from_bytes(data), len(rows), mask if mask.any() else None)
    index = ModelIndex(3, (streamed,), at(0))
    assert len(index) == len(model)
    for number, batch in enumerate(batches):
        index = index.with_changes(batch, at(number * 2 * TOMBSTONE_SECONDS))
        applied(model, batch)
        query = Query(np.array([1, -0.5, 0.25], np.float32), metric, 20)
        assert found(index, query) == expected(query, [row for row in live_rows(model) if is_searchable(row)])
        assert index.parts[0] is streamed


def test_a_repeat_changes_nothing() -> None:
    rows = [row("a", [1, 2], 5), row("b", None, 5), row("c", [0, 0], 5)]
    index = ModelIndex(2).with_changes(rows, at(5))
    again = index.with_changes([*rows, row("a", [9, 9], 5), row("b", [9, 9], 4)], at(3))
    assert again.overlay is index.overlay
    assert (again.watermark, again.tombstones, again.skipped, len(again)) == (at(5), index.tombstones, 1, 1)


def test_a_bad_vector_takes_its_product_away_until_a_good_one_comes() -> None:
    index = ModelIndex(2).with_changes([row("a", [1, 2], 1)], at(1))
    index = index.with_changes([row("a", [1, 2, 3], 2)], at(2))
    assert (len(index), index.skipped, index.vector_of("a")) == (0, 1, None)
    index = index.with_changes([row("a", [3, 4], 3)], at(3))
    assert (len(index), index.skipped, index.vector_of("a")) == (1, 0, Vector.of([3, 4]))
    assert index.with_changes([row("a", None, 4)], at(4)).skipped == 0


def test_a_deletion_is_remembered_for_an_hour() -> None:
    index = ModelIndex(2).with_changes([row("a", [1, 2], 0), row("b", [1, 2], 0)], at(0))
    index = index.with_changes([row("a", None, 10)], at(10))
    assert len(index.with_changes([row("a", [1, 2], 0)], at(TOMBSTONE_SECONDS))) == 1
    later = index.with_changes([row("b", [1, 3], 20)], at(TOMBSTONE_SECONDS + 11))
    assert index.tombstones.keys() == {"a"}
    assert later.tombstones == {}


def test_a_dead_row_keeps_its_own_older_versions_out() -> None:
    """As after a snapshot, which says that a row died but not when."""
    index = table_of(rows_of(random_vectors(2, 2)), 2, [], [True, False]).index
    assert len(index.with_changes([row("p0", [1, 1], 0)], at(5))) == 1
    assert len(index.with_changes([row("p0", [1, 1], 1)], at(5))) == 2


def test_many_rows_at_once_are_cut_into_segments() -> None:
    rows = rows_of(random_vectors(20_000, 2))
    index = ModelIndex(2).with_changes(rows, at(0))
    assert [len(part) for part in index.parts] == [8192, 8192, 3616]
    assert index.overlay is None


def test_changes_share_what_they_leave_alone() -> None:
    index = ModelIndex(2).with_changes(rows_of(random_vectors(2000, 2)), at(0))
    changed = index.with_changes([row("new", [1, 2], 1e6)], at(1))
    assert changed.parts[0] is index.parts[0]
    deleted = changed.with_changes([row("p5", None, 2e6)], at(2))
    (old,), (new,) = index.parts, deleted.parts
    assert isinstance(old, Part)
    assert isinstance(new, Part)
    assert new.segment is old.segment
    assert (len(old), len(new), len(index), len(deleted)) == (2000, 1999, 2000, 2000)


def test_memory_grows_with_the_rows() -> None:
    small, large = (ModelIndex(64).with_changes(rows_of(random_vectors(count, 64)), "") for count in (1000, 2000))
    assert 1.9 < large.nbytes / small.nbytes < 2.1
    gone = large.with_changes([row("p1", None, 1e6)], "")
    assert gone.nbytes > large.nbytes
    assert ModelIndex(2, (StreamedPart(lambda: Segment.of([], 2), 1000),)).nbytes == 0


def test_columns_that_filters_made_can_be_dropped() -> None:
    index = ModelIndex(2).with_changes(rows_of(random_vectors(2000, 2), products(2000)), "")
    query = Query(np.ones(2, np.float32), filter=FILTERS[2])
    before, hits = index.nbytes, index.search(query)
    assert index.nbytes > before
    index.drop_columns()
    assert index.nbytes == before
    assert index.search(query) == hits
