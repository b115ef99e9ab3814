"""Scores are those of the textbook in float64, and the first pass never claims to know more than it does."""

import math
from fractions import Fraction
from typing import get_args

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.models.embedding import Metric
from shared.similarity.first_pass import NORMS, cosines, is_bounded, margin
from shared.similarity.metrics import blocks, bound, exact, squared_norms
from tests.support.vectors import Float32s, matrices, random_vectors, scores

METRICS: tuple[Metric, ...] = get_args(Metric)
LARGEST, SMALLEST = float(np.finfo(np.float32).max), float(np.finfo(np.float32).smallest_subnormal)
EXPONENTS = (-60, -30, 0, 56)
"""Of the largest component, for norms within `NORMS` up to 130 dimensions."""

metrics = st.sampled_from(METRICS)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Float32s, Float32s]:
    """Some rows and a query, of any magnitude; half the time the query is one of the rows, or the contrary of one."""
    count, dimension = draw(st.integers(1, 6)), draw(st.sampled_from([1, 2, 3, 8, 9, 130]))
    drawn = draw(matrices(count + 1, dimension, extreme=draw(st.booleans())))
    rows, query = drawn[:-1], drawn[-1]
    return rows, draw(st.sampled_from([query, query, rows[0], -rows[-1]]))


def scored(metric: Metric, rows: Float32s, query: Float32s) -> npt.NDArray[np.float64]:
    return exact(metric, rows, query, squares=squared_norms(rows))


@st.composite
def bounded_cases(draw: st.DrawFn) -> tuple[Float32s, Float32s]:
    """As `cases`, with rows of norms that a first pass takes, mostly near an end of them."""
    rows, query = draw(cases())
    exponents = draw(st.lists(st.sampled_from(EXPONENTS), min_size=len(rows), max_size=len(rows)))
    return with_largest(rows, exponents), query


def with_largest(rows: Float32s, exponents: npt.ArrayLike) -> Float32s:
    """These rows with a largest component of 2 to the power of such an exponent each; much else becomes denormal."""
    wide = rows.astype(np.float64)
    scaled: npt.NDArray[np.float64] = np.ldexp(wide / np.abs(wide).max(axis=1, keepdims=True), np.c_[exponents])
    return scaled.astype(np.float32)


def estimated(rows: Float32s, query: Float32s, places: npt.NDArray[np.intp] | None = None) -> Float32s:
    """The first pass of these rows with the query over its norm."""
    wide, norms = query.astype(np.float64), np.sqrt(squared_norms(rows))
    assert is_bounded(norms)
    unit = (wide / np.sqrt((wide**2).sum())).astype(np.float32)
    return cosines(rows, (1 / norms).astype(np.float32), unit, places)


@settings(deadline=None)
@given(case=cases(), metric=metrics)
def test_scores_are_those_of_the_textbook(case: tuple[Float32s, Float32s], metric: Metric) -> None:
    assert scored(metric, *case).tolist() == scores(metric, *case).tolist()


@settings(deadline=None)
@given(case=cases(), metric=metrics)
def test_scores_are_symmetric(case: tuple[Float32s, Float32s], metric: Metric) -> None:
    rows, query = case
    backwards = [scored(metric, query[np.newaxis], row)[0] for row in rows]
    assert scored(metric, rows, query).tolist() == backwards


@settings(deadline=None)
@given(case=cases())
def test_a_vector_is_exactly_like_itself(case: tuple[Float32s, Float32s]) -> None:
    rows, _ = case
    for row in rows:
        assert scored("cosine", rows, row).max() == 1.0
        assert scored("euclidean", rows, row).max() == 0.0
        assert math.copysign(1, scored("euclidean", row[np.newaxis], row)[0]) == 1.0


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dimension", [1, 7, 512, 4096])
def test_a_score_does_not_depend_on_where_the_row_is(metric: Metric, dimension: int) -> None:
    rows = random_vectors(300, dimension)
    query, together = rows[7], scored(metric, rows, rows[7])
    alone = [scored(metric, rows[place : place + 1], query)[0] for place in range(len(rows))]
    order = np.random.default_rng(1).permutation(len(rows))
    assert together.tolist() == alone
    assert scored(metric, rows[order], query).tolist() == together[order].tolist()


@pytest.mark.parametrize("metric", METRICS)
def test_a_zero_query_divides_by_nothing(metric: Metric) -> None:
    rows = random_vectors(3, 4)
    assert scored(metric, rows, np.zeros(4, np.float32)).tolist() == scores_with_zero(metric, rows)


def scores_with_zero(metric: Metric, rows: Float32s) -> list[float]:
    return (-np.sqrt(squared_norms(rows))).tolist() if metric == "euclidean" else [0.0] * len(rows)


def test_no_score_is_a_negative_zero() -> None:
    rows, query = np.array([[-1, 0]], np.float32), np.array([0, -1], np.float32)
    assert [math.copysign(1, scored(metric, rows, query)[0]) for metric in ("cosine", "dot")] == [1.0, 1.0]


@settings(deadline=None)
@given(case=bounded_cases(), metric=metrics)
def test_bounds_enclose_the_score(case: tuple[Float32s, Float32s], metric: Metric) -> None:
    assert_enclosed(metric, *case)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dimension", [1, 2, 100, 512, 4096])
@pytest.mark.parametrize("exponent", [-60, 0, 54])
@pytest.mark.parametrize("factor", [1.0, 1e-38, 1e37])
def test_bounds_enclose_the_score_of_long_vectors(metric: Metric, dimension: int, exponent: int, factor: float) -> None:
    """Queries may be of any norm."""
    rows = with_largest(random_vectors(200, dimension), [exponent] * 200)
    for query in queries_near(with_largest(rows, [0] * 200)):
        assert_enclosed(metric, rows, (query * factor).astype(np.float32))


def queries_near(rows: Float32s) -> tuple[Float32s, ...]:
    near = (rows[0] + rows[1] * 1e-3).astype(np.float32)
    return rows[0], near, -rows[1], np.ones(rows.shape[1], np.float32)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dimension", [1, 3, 4096])
def test_bounds_hold_at_both_ends(metric: Metric, dimension: int) -> None:
    """Of what a first pass takes, with queries at both ends of float32."""
    least, largest = NORMS
    each = largest / 2 ** math.ceil(math.log2(dimension) / 2)
    rows, queries = np.zeros((8, dimension), np.float32), np.zeros((5, dimension), np.float32)
    rows[0], rows[1, 0], rows[2, 0], rows[3], rows[4] = each, least, -largest, SMALLEST, np.float32(2**-127)
    rows[3, 0], rows[4, -1] = least, -least
    rows[5, -1], rows[5, 0], rows[6, -1], rows[6, 0], rows[7] = SMALLEST, largest / 2, -least, least, rows[0]
    queries[0], queries[1], queries[2, 0], queries[3, 0] = LARGEST, SMALLEST, SMALLEST, -LARGEST
    queries[4, 0], queries[4, -1] = LARGEST, SMALLEST
    for query in (*queries, *rows):
        assert_enclosed(metric, rows, query)


@pytest.mark.parametrize("dimension", [1, 2, 4096])
def test_what_may_overflow_or_get_lost_is_not_bounded(dimension: int) -> None:
    least, largest = NORMS
    row = np.zeros((1, dimension), np.float32)
    for component, wanted in {
        SMALLEST: False,
        float(np.nextafter(np.float32(least), np.float32(0))): False,
        least: True,
        largest: True,
        float(np.nextafter(np.float32(largest), np.float32(np.inf))): False,
        LARGEST: False,
    }.items():
        row[0, 0] = component
        assert is_bounded(np.sqrt(squared_norms(row))) is wanted
        assert not is_bounded(np.array([1.0, component * 2, component / 2]))
    assert not is_bounded(np.sqrt(squared_norms(np.full((1, 4), largest, np.float32))))


def assert_enclosed(metric: Metric, rows: Float32s, query: Float32s) -> None:
    norms, query_norm = np.sqrt(squared_norms(rows)), float(np.sqrt(squared_norms(query[np.newaxis])[0]))
    backwards = np.arange(len(rows))[::-1]
    for about in (estimated(rows, query), estimated(rows, query, backwards)[backwards]):
        upper = bound(metric, about + margin(rows.shape[1]), norms, query_norm, 1)
        lower = bound(metric, about - margin(rows.shape[1]), norms, query_norm, -1)
        true = scored(metric, rows, query)
        assert (lower <= true).all()
        assert (true <= upper).all()


@settings(deadline=None)
@given(case=bounded_cases())
def test_the_margin_holds_in_exact_arithmetic(case: tuple[Float32s, Float32s]) -> None:
    """With room for what comes after; no float64 sum has a say in it."""
    rows, query = case
    least = Fraction(float(margin(rows.shape[1]))) - Fraction(5, 10**7)
    for row, cosine in zip(rows, estimated(rows, query), strict=True):
        assert abs(Fraction(float(cosine)) - true_cosine(row, query)) <= least


@settings(deadline=None)
@given(case=bounded_cases(), seed=st.integers(0, 9))
def test_the_margin_holds_for_sums_in_any_order(case: tuple[Float32s, Float32s], seed: int) -> None:
    """Not only in the one that this machine's BLAS takes: here one term after the other, in a random order."""
    rows, query = case
    wide, norms = query.astype(np.float64), np.sqrt(squared_norms(rows))
    unit = (wide / np.sqrt((wide**2).sum())).astype(np.float32)
    order = np.random.default_rng(seed).permutation(len(query))
    sums = np.cumsum((rows * unit)[:, order], axis=1, dtype=np.float32)[:, -1] * (1 / norms).astype(np.float32)
    least = Fraction(float(margin(rows.shape[1]))) - Fraction(5, 10**7)
    for row, cosine in zip(rows, sums, strict=True):
        assert abs(Fraction(float(cosine)) - true_cosine(row, query)) <= least


def true_cosine(row: Float32s, query: Float32s) -> Fraction:
    """To about thirty digits."""
    x, q = ([Fraction(component) for component in vector.tolist()] for vector in (row, query))
    dot = sum((a * b for a, b in zip(x, q, strict=True)), Fraction(0))
    squares = sum((a * a for a in x), Fraction(0)) * sum((b * b for b in q), Fraction(0))
    return dot / root(squares)


def root(square: Fraction) -> Fraction:
    digits = 10**30
    scale = 1
    while square * scale * scale < digits:
        scale *= digits
    return Fraction(math.isqrt(math.floor(square * scale * scale * digits * digits)), scale * digits)


def test_the_margin_is_small() -> None:
    """It holds, but would as well if it were 1; then the first pass were of no use."""
    assert margin(1) < 2e-6
    assert margin(512) < 4e-5
    assert margin(4096) < 3e-4


@settings(deadline=None)
@given(rows=st.integers(0, 50), dimension=st.integers(1, 20), items=st.integers(1, 60))
def test_blocks_cover_every_row_once(rows: int, dimension: int, items: int) -> None:
    covered = [list(range(rows)[block]) for block in blocks(rows, dimension, items)]
    assert [row for block in covered for row in block] == list(range(rows))
    assert all(len(block) * dimension <= items or len(block) == 1 for block in covered)
