"""Maximal marginal relevance, step by step as its paper writes it."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.similarity.diversity import pool_size, select
from shared.similarity.index import ModelIndex, Query
from tests.support.vectors import Float32s, matrices, random_vectors, row, rows_of, scores


def naive(
    ids: list[str], vectors: Float32s, relevance: npt.NDArray[np.float64], count: int, diversity: float
) -> list[int]:
    """The formula, over all pairs."""
    selected: list[int] = []
    like = np.array([scores("cosine", vectors, vector) for vector in vectors])
    while len(selected) < min(count, len(ids)):
        left = [place for place in range(len(ids)) if place not in selected]

        def value(place: int) -> float:
            if not selected:
                return float(relevance[place])
            return float((1 - diversity) * relevance[place] - diversity * max(like[place][other] for other in selected))

        selected.append(min(left, key=lambda place: (-value(place), ids[place])))
    return selected


@st.composite
def pools(draw: st.DrawFn) -> tuple[list[str], Float32s, npt.NDArray[np.float64]]:
    """Ids in no order, vectors of which some are alike, and their cosines with a query."""
    count, dimension = draw(st.integers(1, 8)), draw(st.integers(1, 3))
    distinct = draw(matrices(count, dimension, extreme=False))
    vectors = distinct[draw(st.lists(st.integers(0, count - 1), min_size=count, max_size=count))]
    ids = draw(st.permutations([f"p{number}" for number in range(count)]))
    return list(ids), vectors, scores("cosine", vectors, distinct[0])


@settings(deadline=None)
@given(pool=pools(), count=st.integers(1, 10), diversity=st.sampled_from([0.0, 0.25, 0.3, 0.5, 0.9, 1.0]))
def test_the_selection_is_that_of_the_formula(
    pool: tuple[list[str], Float32s, npt.NDArray[np.float64]], count: int, diversity: float
) -> None:
    assert select(*pool, count, diversity) == naive(*pool, count, diversity)


def test_nothing_is_selected_from_nothing() -> None:
    assert select([], np.empty((0, 3), np.float32), np.empty(0), 5, 0.5) == []


def test_the_pool_is_larger_than_what_is_selected() -> None:
    assert [pool_size(top_k) for top_k in (1, 25, 26, 100)] == [100, 100, 104, 400]


def test_no_diversity_is_the_plain_ranking() -> None:
    vectors = random_vectors(300, 8)
    index = ModelIndex(8).with_changes(rows_of(vectors), "")
    plain = index.search(Query(vectors[0], top_k=20))
    relevance = scores("cosine", vectors, vectors[0])
    assert [f"p{place}" for place in select([f"p{n}" for n in range(300)], vectors, relevance, 20, 0.0)] == [
        hit.product_id for hit in plain
    ]


def test_a_twin_comes_later_and_scores_stay_those_of_the_query() -> None:
    rows = [row("a", [1, 0.1]), row("b", [1, 0.1]), row("c", [1, -0.5])]
    index = ModelIndex(2).with_changes(rows, "")
    query = np.array([1, 0], np.float32)
    assert [hit.product_id for hit in index.search(Query(query, top_k=3))] == ["a", "b", "c"]
    diverse = index.search(Query(query, top_k=3, diversity=0.5))
    assert [hit.product_id for hit in diverse] == ["a", "c", "b"]
    assert {hit.product_id: hit.score for hit in diverse} == {
        hit.product_id: hit.score for hit in index.search(Query(query, top_k=3))
    }


@pytest.mark.parametrize("top_k", [1, 5, 60])
def test_a_search_selects_from_its_pool(top_k: int) -> None:
    vectors = random_vectors(500, 6, seed=3)
    index = ModelIndex(6).with_changes(rows_of(vectors), "")
    pool = index.search(Query(vectors[0], top_k=pool_size(top_k), exclude="p0", min_score=0.1))
    places = naive(
        [hit.product_id for hit in pool],
        np.array([hit.vector.tolist() for hit in pool], np.float32),
        np.array([hit.score for hit in pool]),
        top_k,
        0.4,
    )
    found = index.search(Query(vectors[0], top_k=top_k, exclude="p0", min_score=0.1, diversity=0.4))
    assert found == [pool[place] for place in places]


def test_nothing_found_is_nothing_to_choose_from() -> None:
    index = ModelIndex(2).with_changes([row("a", [1, 0])], "")
    assert index.search(Query(np.array([-1, 0], np.float32), min_score=0.5, diversity=0.5)) == []
