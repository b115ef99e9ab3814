"""The k nearest neighbours of all rows equal those of a float64 computation over all pairs, ties included."""

import tracemalloc
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.similarity.metrics import exact, squared_norms
from shared.similarity.neighbour_candidates import SLACK, margin
from shared.similarity.neighbour_rows import cosines_of
from shared.similarity.neighbours import Block, Load, Neighbours, nearest_neighbours
from shared.similarity.segment import Segment
from tests.support.vectors import rows_of

Vectors = npt.NDArray[np.float32]
Found = list[list[tuple[str, float]]]


def random_vectors(rows: int, dimension: int, seed: int = 0) -> Vectors:
    return np.random.default_rng(seed).standard_normal((rows, dimension), dtype=np.float32)


def named(vectors: Vectors, seed: int = 1) -> list[str]:
    """Ids whose order is not that of the rows."""
    return [f"p{number:05d}" for number in np.random.default_rng(seed).permutation(len(vectors))]


def in_blocks(ids: list[str], vectors: Vectors, sizes: Sequence[int]) -> list[Load]:
    edges = np.cumsum([0, *sizes]).tolist()
    assert edges[-1] == len(ids)
    made = [Block(ids[first:last], vectors[first:last]) for first, last in pairwise(edges)]
    return [lambda one=one: one for one in made]  # type: ignore[misc]


def reference(ids: list[str], vectors: Vectors, k: int) -> Found:
    squares = squared_norms(vectors)
    found: dict[str, list[tuple[str, float]]] = {}
    for row, product_id in enumerate(ids):
        scores = exact("cosine", vectors, vectors[row], squares=squares).tolist()
        others = sorted((-score, name) for score, name in zip(scores, ids, strict=True) if name != product_id)
        found[product_id] = [(name, -score) for score, name in others[:k]]
    return [found[product_id] for product_id in sorted(ids)]


def plain(result: Neighbours) -> Found:
    numbers, scores = result.rows(0, len(result))
    return [
        [(result.ids[number], score) for number, score in zip(*row, strict=True)]
        for row in zip(numbers.tolist(), scores.tolist(), strict=True)
    ]


def assert_exact(vectors: Vectors, k: int, sizes: Sequence[int], tile: int = 64) -> None:
    ids = named(vectors)
    result = nearest_neighbours(in_blocks(ids, vectors, sizes), k, tile=tile)
    assert result.ids == sorted(ids)
    assert plain(result) == reference(ids, vectors, k)


@pytest.mark.parametrize("k", [1, 10, 100])
@pytest.mark.parametrize("sizes", [[500], [200, 100, 200], [1, 498, 1], [0, 250, 0, 250]])
def test_random_rows(k: int, sizes: list[int]) -> None:
    assert_exact(random_vectors(500, 24), k, sizes)


@pytest.mark.parametrize("tile", [1, 7, 64, 300, 1024])
def test_any_tile(tile: int) -> None:
    assert_exact(random_vectors(130, 16), 12, [70, 60], tile)


@pytest.mark.parametrize("rows", [2, 3, 10, 11, 12])
def test_fewer_rows_than_neighbours(rows: int) -> None:
    assert_exact(random_vectors(rows, 8), 10, [rows // 2, rows - rows // 2])


def test_one_row_has_no_neighbours() -> None:
    result = nearest_neighbours(in_blocks(["a"], random_vectors(1, 8), [1]), 10)
    assert (result.ids, result.k, plain(result)) == (["a"], 0, [[]])


@pytest.mark.parametrize("sizes", [[], [0], [0, 0]])
def test_no_rows(sizes: list[int]) -> None:
    result = nearest_neighbours(in_blocks([], np.empty((0, 8), np.float32), sizes), 10)
    assert (len(result), result.k, plain(result)) == (0, 0, [])


@pytest.mark.parametrize("copies", [2, 30, 5 + SLACK, 7 + SLACK, 200])
def test_copies_of_one_vector_come_in_the_order_of_ids(copies: int) -> None:
    """Below and above the number of candidates that are kept beside the k best."""
    vectors = random_vectors(300, 16)
    vectors[50 : 50 + copies] = vectors[50]
    assert_exact(vectors, 5, [100, 100, 100])


@pytest.mark.parametrize("k", [1, 20, 100])
def test_all_rows_the_same(k: int) -> None:
    assert_exact(np.ones((260, 4), np.float32), k, [130, 130])


def test_several_tiles_of_copies() -> None:
    """Rows in the block's own order and the reverse, so that the first by id come last in one of them."""
    vectors = np.repeat(random_vectors(2, 3), 1300, axis=0)
    ids = [f"p{number:05d}" for number in range(2600)]
    for order in (slice(None), slice(None, None, -1)):
        loads = in_blocks(ids[order], vectors[order], [2600])
        numbers, scores = nearest_neighbours(loads, 3).rows(0, 2600)
        assert numbers[[0, 1, 3, 1299]].tolist() == [[1, 2, 3], [0, 2, 3], [0, 1, 2], [0, 1, 2]]
        assert numbers[[1300, 1301, 2599]].tolist() == [[1301, 1302, 1303], [1300, 1302, 1303], [1300, 1301, 1302]]
        assert (scores == 1).all()


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_few_directions_of_many_lengths(dimension: int) -> None:
    """Ties that are ties in float64, or only but for its last bit."""
    vectors = np.random.default_rng(3).integers(1, 4, (220, dimension)).astype(np.float32)
    vectors *= np.random.default_rng(4).choice([0.1, 1, 3, 1e15, 1e-15], (220, 1)).astype(np.float32)
    assert_exact(vectors, 15, [110, 110])


def test_rows_closer_to_each_other_than_float32_can_tell() -> None:
    vectors = np.repeat(random_vectors(1, 64), 260, axis=0)
    vectors += random_vectors(260, 64, seed=5) * np.float32(1e-5)
    assert_exact(vectors, 10, [130, 130])


def test_opposite_rows_and_extreme_lengths() -> None:
    vectors = random_vectors(90, 8)
    vectors[30:60] = -vectors[:30]
    vectors[::3] *= np.float32(1e37)
    vectors[1::3] *= np.float32(1e-38)
    assert_exact(vectors, 60, [45, 45])


def test_scores_are_those_of_search_to_the_last_bit() -> None:
    """Beyond 1 by rounding, and zeros that would come out negative, included."""
    some = random_vectors(60, 2)
    vectors = np.concatenate([some, some * np.float32(0.3), np.array([[-1, 0], [0, -1]], np.float32)])
    block, rows = Block((), vectors), np.arange(len(vectors))
    for row in rows:
        wanted = exact("cosine", vectors, vectors[row], squares=squared_norms(vectors))
        assert cosines_of(block, np.full(len(rows), row), block, rows).tobytes() == wanted.tobytes()


@settings(max_examples=60, deadline=None)
@given(data=st.data(), rows=st.integers(1, 60), dimension=st.integers(1, 6), k=st.integers(1, 20))
def test_any_small_catalogue(data: st.DataObject, rows: int, dimension: int, k: int) -> None:
    component = st.sampled_from([-2.0, -1.0, 0.0, 0.5, 1.0, 3.0])
    row = st.lists(component, min_size=dimension, max_size=dimension).filter(any)
    vectors = np.array(data.draw(st.lists(row, min_size=rows, max_size=rows)), np.float32)
    cut = data.draw(st.integers(0, rows))
    assert_exact(vectors, k, [cut, rows - cut], data.draw(st.integers(1, 40)))


def test_the_order_of_blocks_does_not_matter() -> None:
    vectors = random_vectors(300, 12)
    vectors[100:180] = vectors[7]
    ids = named(vectors)
    loads = in_blocks(ids, vectors, [120, 80, 100])
    one, other = nearest_neighbours(loads, 9, tile=50), nearest_neighbours(loads[::-1], 9, tile=33)
    assert plain(one) == plain(other)


@pytest.mark.parametrize("dimension", [1, 7, 128, 1024, 4096])
def test_the_margin_covers_what_float32_errs(dimension: int) -> None:
    vectors = np.abs(random_vectors(60, dimension))  # no sum cancels, which is when rounding weighs most
    squares = squared_norms(vectors)
    units = (vectors / np.sqrt(squares)[:, np.newaxis]).astype(np.float32)
    exactly = np.array([exact("cosine", vectors, vector, squares=squares) for vector in vectors])
    assert np.abs(units @ units.T - exactly).max() < margin(dimension)


@pytest.mark.parametrize("dead", [None, [], [0, 2], [0, 1, 2, 3]])
def test_a_block_is_what_is_alive_of_a_segment(dead: list[int] | None) -> None:
    vectors = random_vectors(4, 3)
    mask = None if dead is None else np.isin(np.arange(4), dead)
    found = Block.of(Segment.of(rows_of(vectors), 3), mask)
    live = [row for row in range(4) if row not in (dead or [])]
    assert list(found.ids) == [f"p{row}" for row in live]
    assert np.array_equal(found.vectors, vectors[live])


class TestLoading:
    def test_two_blocks_are_held_and_each_pair_is_met_once(self) -> None:
        vectors = random_vectors(60, 8)
        loads, counts = counted(in_blocks(named(vectors), vectors, [10] * 6))
        nearest_neighbours(loads, 5)
        pairs = 6 * 5 // 2
        assert sum(counts) <= 6 + 2 * (pairs + 1)
        assert min(counts) >= 2

    def test_a_single_block_is_loaded_twice_at_most(self) -> None:
        vectors = random_vectors(60, 8)
        loads, counts = counted(in_blocks(named(vectors), vectors, [60]))
        nearest_neighbours(loads, 5)
        assert sum(counts) <= 2

    def test_memory_does_not_grow_with_the_square(self) -> None:
        rows, k = 3000, 10
        vectors = random_vectors(rows, 8)
        loads = in_blocks(named(vectors), vectors, [500] * 6)
        tracemalloc.start()
        try:
            nearest_neighbours(loads, k, tile=128)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < rows * rows * 4 / 4


def counted(loads: list[Load]) -> tuple[list[Load], list[int]]:
    counts = [0] * len(loads)

    def watch(place: int) -> Load:
        def load() -> Block:
            counts[place] += 1
            return loads[place]()

        return load

    return [watch(place) for place in range(len(loads))], counts


class TestRefusals:
    @pytest.mark.parametrize("k", [-1, 0, 101])
    def test_a_k_out_of_range(self, k: int) -> None:
        with pytest.raises(ValueError, match="k must be 1 to 100"):
            nearest_neighbours([], k)

    def test_an_id_twice(self) -> None:
        loads = in_blocks(["a", "b", "a"], random_vectors(3, 4), [2, 1])
        with pytest.raises(ValueError, match="same id"):
            nearest_neighbours(loads, 1)

    def test_two_dimensions(self) -> None:
        loads = [lambda: Block(["a"], random_vectors(1, 4)), lambda: Block(["b"], random_vectors(1, 5))]
        with pytest.raises(ValueError, match=r"different dimensions: \[4, 5\]"):
            nearest_neighbours(loads, 1)

    def test_a_block_that_changes(self) -> None:
        sizes = iter([3, 2])

        def load() -> Block:
            rows = next(sizes)
            return Block([f"p{row}" for row in range(rows)], random_vectors(rows, 4))

        with pytest.raises(ValueError, match="changed between two loads"):
            nearest_neighbours([load], 1)


class TestProgress:
    def test_it_rises_to_all_rows(self) -> None:
        vectors, seen = random_vectors(200, 8), []
        loads = in_blocks(named(vectors), vectors, [100, 100])
        nearest_neighbours(loads, 5, tile=20, progress=lambda done, rows: seen.append((done, rows)))
        assert [done for done, _ in seen] == sorted(done for done, _ in seen)
        assert {rows for _, rows in seen if rows > 100} == {200}
        assert seen[-1] == (200, 200)
        assert len(seen) > 20

    def test_a_check_stops_it_between_tiles(self) -> None:
        checks = iter([None] * 8)

        def check() -> None:
            next(checks)

        vectors = random_vectors(200, 8)
        with pytest.raises(StopIteration):
            nearest_neighbours(in_blocks(named(vectors), vectors, [200]), 5, tile=20, check=check)
