"""Searching for a caller: what is refused and how it is told, and what is left out."""

from typing import Any

import pytest

from shared.database.embeddings import EmbeddingRepository
from shared.database.manager import DatabaseManager
from shared.errors import InvalidRequest
from shared.models.embedding import DBProductEmbedding, Metric, SearchOptions
from shared.models.vector import Vector
from shared.similarity.search import Reference, score, search

OWNER, MODEL = "alice", "v1"
VECTORS = {"a": [1.0, 0.0], "b": [1.0, 0.1], "c": [0.0, 1.0], "d": [-1.0, 0.0]}


@pytest.fixture(autouse=True)
def products(manager: DatabaseManager) -> None:
    for product_id, vector in VECTORS.items():
        store(product_id, vector, name=product_id)


def store(product_id: str, vector: list[float], owner: str = OWNER, model: str = MODEL, **product: Any) -> None:
    EmbeddingRepository.store_embedding(
        DBProductEmbedding(
            product_id=product_id,
            user_id=owner,
            model_version=model,
            embedding_vector=Vector.of(vector),
            product=product,
        )
    )


def options(**given: Any) -> SearchOptions:
    return SearchOptions.model_validate({"model_version": MODEL, **given})


def ids(reference: Reference, owner: str = OWNER, **given: Any) -> list[str]:
    return [hit.product_id for hit in search(owner, options(**given), reference)]


def vector(*components: float) -> Reference:
    return Reference(Vector.of(components))


def refused(reference: Reference, owner: str = OWNER, **given: Any) -> tuple[str, str]:
    with pytest.raises(InvalidRequest) as refusal:
        ids(reference, owner, **given)
    (error,) = refusal.value.errors
    return error.pointer, error.message


def test_by_a_vector_the_best_come_first() -> None:
    assert ids(vector(1, 0)) == ["a", "b", "c", "d"]
    assert ids(vector(1, 0), top_k=2) == ["a", "b"]
    assert ids(vector(1, 0), min_score=0.0) == ["a", "b", "c"]
    assert ids(vector(1, 0), filter={"name": {"$in": ["b", "d"]}}) == ["b", "d"]
    assert ids(vector(0, 2), metric="dot") == ["c", "b", "a", "d"]
    assert ids(vector(-1, 0.1), metric="euclidean") == ["d", "c", "b", "a"]


def test_a_product_does_not_find_itself() -> None:
    assert ids(Reference(product_id="a")) == ["b", "c", "d"]
    assert ids(Reference(product_id="a"), top_k=1) == ["b"]


def test_a_product_that_stands_for_another_vector_is_found() -> None:
    assert ids(Reference(Vector.of([1, 0]), "a")) == ["a", "b", "c", "d"]


def test_diversity_prefers_what_is_unlike_the_first() -> None:
    assert ids(vector(1, 0.05), top_k=2, diversity=0.9) != ids(vector(1, 0.05), top_k=2)


def test_a_hit_has_its_product_and_its_vector() -> None:
    hit = search(OWNER, options(top_k=1), vector(1, 0.1))[0]
    assert (hit.product_id, hit.product, hit.vector.tolist()) == ("b", {"name": "b"}, [1.0, 0.1])
    assert hit.score == pytest.approx(1.0)


@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
def test_a_score_of_its_own_is_that_of_a_search(metric: Metric) -> None:
    reference = Vector.of([0.3, -0.7])
    for hit in search(OWNER, options(metric=metric), Reference(reference)):
        assert score(metric, Vector.of(VECTORS[hit.product_id]), reference) == hit.score


def test_an_unknown_model_version() -> None:
    pointer, message = refused(vector(1, 0), model_version="v2")
    assert pointer == "/body/model_version"
    assert "no model version" in message
    assert refused(vector(1, 0), owner="bob")[0] == "/body/model_version"


def test_an_unknown_product() -> None:
    assert refused(Reference(product_id="x"))[0] == "/body/product_id"
    assert refused(Reference(product_id="x", pointer="/report/reference"))[0] == "/report/reference"


def test_a_product_that_was_deleted_or_is_anothers() -> None:
    EmbeddingRepository.delete_embedding("a", OWNER, MODEL)
    assert refused(Reference(product_id="a"))[0] == "/body/product_id"
    store("x", [1.0, 1.0], owner="bob")
    assert refused(Reference(product_id="x"))[0] == "/body/product_id"
    assert ids(Reference(product_id="x"), owner="bob") == []


def test_a_vector_of_another_dimension() -> None:
    pointer, message = refused(vector(1, 0, 0))
    assert pointer == "/body/embedding_vector"
    assert "3" in message
    assert "2" in message
