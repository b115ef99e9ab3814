"""The models of embeddings: what a client may send, what a row is, what an answer shows."""

import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from shared.models import DBProductEmbedding, json_text
from shared.models.embedding import (
    MAX_PRODUCT_BYTES,
    RESERVED_PRODUCT_IDS,
    BuildMatrix,
    DeleteEmbeddings,
    Embedding,
    EmbeddingKey,
    ItemResult,
    ListEmbeddings,
    ListModels,
    NewEmbedding,
    ScoreQuery,
    SearchEmbeddings,
    SearchHit,
    SearchOptions,
    StoreEmbedding,
    StoreEmbeddings,
    UpdateProduct,
)
from shared.models.vector import MAX_DIMENSION, Vector

KEY = {"product_id": "p", "model_version": "m"}
VALID: dict[type[BaseModel], dict[str, Any]] = {
    StoreEmbedding: {**KEY, "embedding_vector": [1]},
    StoreEmbeddings: {"items": [{}]},
    UpdateProduct: {"product": {}},
    EmbeddingKey: {"model_version": "m"},
    ListEmbeddings: {"model_version": "m"},
    ListModels: {},
    DeleteEmbeddings: {"model_version": "m", "filter": {}},
    SearchOptions: {"model_version": "m"},
    SearchEmbeddings: KEY,
    BuildMatrix: {"model_version": "m"},
    ScoreQuery: {"model_version": "m"},
}
NOT_A_CLIENTS = ("user_id", "owner_model", "created_at", "updated_at", "version", "deleted_at", "expires_at", "write_1")

Table = list[tuple[tuple[type[BaseModel], ...], str, list[object]]]
WITH_VECTOR = (StoreEmbedding, SearchOptions)
WITH_MODEL = (StoreEmbedding, EmbeddingKey, DeleteEmbeddings, SearchEmbeddings, BuildMatrix)
WITH_CATALOGUE = (StoreEmbedding, StoreEmbeddings, ListModels, DeleteEmbeddings, SearchEmbeddings, BuildMatrix)

ACCEPTED: Table = [
    (WITH_MODEL, "model_version", ["m", "0", "A" * 128, "v1.0_b:c@d/e+f-g", "9.-", "openai/text-embedding-3:large"]),
    (
        (StoreEmbedding, SearchEmbeddings),
        "product_id",
        ["p", "é" * 256, "a/b", "a#b", "Batch", "map ", " ", "...", ". ", "a..", "./."],
    ),
    (WITH_VECTOR, "embedding_vector", [[1], [0, 0.5], [Decimal("0.1"), -1], [1.0] * MAX_DIMENSION, [3.4e38]]),
    (WITH_VECTOR, "embedding_vector", [[1e-40], [Decimal("1E+30"), 10**38]]),
    ((StoreEmbedding, UpdateProduct), "product", [{}, {"a": None}, {"": {"b": [1, {"c": Decimal("249.99")}]}}]),
    (WITH_CATALOGUE, "catalogue", ["own", "shared"]),
    ((StoreEmbeddings,), "items", [[1], [None] * 100, [{"not": "checked here"}]]),
    ((ListEmbeddings,), "limit", [1, 100, "100"]),
    ((ListEmbeddings,), "cursor", ["x" * 8192, None]),
    ((ListEmbeddings, ScoreQuery), "include_vectors", ["true", "false", True]),
    ((DeleteEmbeddings,), "filter", [{}, {"a": 1}, {"a": {"$gt": Decimal("1.5")}}]),
    ((DeleteEmbeddings,), "dry_run", [True, False]),
    ((DeleteEmbeddings,), "continuation", ["x", None]),
    ((SearchOptions,), "top_k", [1, 100, Decimal("72.0"), Decimal("1E+2"), Decimal("7.2E1")]),
    ((SearchOptions,), "min_score", [0, -1, 0.5, Decimal("0.5"), Decimal("1E-999"), 10**30, None]),
    ((SearchOptions,), "diversity", [0, 1, 0.5, Decimal("0.25")]),
    ((SearchOptions,), "metric", ["cosine", "dot", "euclidean"]),
    ((SearchOptions,), "filter", [{}, None]),
    ((BuildMatrix,), "k", [1, 100, Decimal("12.0")]),
]

REFUSED: Table = [
    (WITH_MODEL, "model_version", ["", "-a", ".a", "a b", "a#b", "a\n", "é", "A" * 129, "a%", "\u0661", 7, None]),
    ((StoreEmbedding, SearchEmbeddings), "product_id", ["", "x" * 257, "a\x00", "\u200b", "\ud800", 7, ["p"]]),
    ((StoreEmbedding, SearchEmbeddings), "product_id", [*RESERVED_PRODUCT_IDS, ".", ".."]),
    (WITH_VECTOR, "embedding_vector", [[], [1.0] * (MAX_DIMENSION + 1), "1", 1, {"0": 1}, (1,), True]),
    (WITH_VECTOR, "embedding_vector", [[True], ["1"], [None], [[1]], [1, False], [{}]]),
    (WITH_VECTOR, "embedding_vector", [[0], [0.0, -0.0], [Decimal("0E+9")], [1e-60, 0]]),
    (WITH_VECTOR, "embedding_vector", [[1, math.nan], [math.inf], [Decimal("NaN")], [Decimal("-Infinity")], [1e39]]),
    (WITH_VECTOR, "embedding_vector", [[10**400], [Decimal("1E+999999")], [Decimal("sNaN")]]),
    ((StoreEmbedding,), "embedding_vector", [None]),
    ((StoreEmbedding, UpdateProduct), "product", [None, [], "x", 1, {"a": math.nan}, {"a": Decimal("1E126")}]),
    ((StoreEmbedding, UpdateProduct), "product", [{"a": "x" * MAX_PRODUCT_BYTES}, {"a": "\ud800"}]),
    (WITH_CATALOGUE, "catalogue", ["", "other", "Own", None, 1]),
    ((StoreEmbeddings,), "items", [[], [1] * 101, None, "x", {"a": 1}, (1,)]),
    ((ListEmbeddings,), "limit", [0, 101, "x", 1.5, None]),
    ((ListEmbeddings,), "cursor", ["x" * 8193]),
    ((DeleteEmbeddings,), "filter", [None, [], "x", {"$where": 1}, {"a": {"$gt": None}}]),
    ((DeleteEmbeddings,), "dry_run", ["true", 1, None]),
    ((DeleteEmbeddings,), "continuation", ["x" * 8193, 7]),
    ((SearchOptions,), "top_k", [0, 101, "10", 1.5, True, None, Decimal("NaN"), Decimal("10.5")]),
    ((SearchOptions,), "top_k", [Decimal("Infinity"), Decimal("sNaN"), Decimal("1E+999999999"), Decimal("101.0")]),
    ((SearchOptions,), "min_score", [math.nan, math.inf, Decimal("NaN"), Decimal("1E+999"), "0.5", True]),
    ((SearchOptions,), "diversity", [-0.1, 1.1, Decimal("NaN"), Decimal("1.01"), "0.5", None]),
    ((SearchOptions,), "metric", ["Cosine", "", None]),
    ((SearchOptions,), "filter", [[], "x", {"a": {"$near": 1}}]),
    ((SearchOptions,), "include_vectors", ["true", 1, None]),
    ((BuildMatrix,), "k", [0, 101, "10", None]),
]


def each(table: Table) -> list[tuple[type[BaseModel], str, object]]:
    return [(model, member, value) for models, member, values in table for model in models for value in values]


def faults(model: type[BaseModel], document: object) -> list[dict[str, Any]]:
    with pytest.raises(ValidationError) as refused:
        model.model_validate(document)
    return [dict(fault) for fault in refused.value.errors(include_url=False, include_input=False)]


def short(value: object) -> str:
    return ascii(value)[:20]


@pytest.mark.parametrize(("model", "valid"), VALID.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_no_request_takes_a_member_that_it_does_not_declare(model: type[BaseModel], valid: dict[str, Any]) -> None:
    model.model_validate(valid)
    for member in NOT_A_CLIENTS:
        assert [fault["loc"] for fault in faults(model, {**valid, member: "x"})] == [(member,)]


@pytest.mark.parametrize(("model", "member", "value"), each(ACCEPTED), ids=short)
def test_accepted(model: type[BaseModel], member: str, value: object) -> None:
    assert member in model.model_validate({**VALID[model], member: value}).model_fields_set


@pytest.mark.parametrize(("model", "member", "value"), each(REFUSED), ids=short)
def test_refused(model: type[BaseModel], member: str, value: object) -> None:
    """And told by its member, in words of our own or pydantic's, never by another error."""
    found = faults(model, {**VALID[model], member: value})
    assert {fault["loc"][0] for fault in found} == {member}
    assert all(fault["msg"] for fault in found)


@pytest.mark.parametrize("model", VALID)
def test_what_is_needed_is_told(model: type[BaseModel]) -> None:
    needed = {name for name, field in model.model_fields.items() if field.is_required()}
    if needed:
        assert {fault["loc"][0] for fault in faults(model, {})} == needed


class TestVectors:
    def test_the_component_is_named(self) -> None:
        (fault,) = faults(StoreEmbedding, {**KEY, "embedding_vector": [1, 2, Decimal("NaN"), math.inf]})
        assert (fault["loc"], fault["msg"]) == (("embedding_vector",), "component 2 is not finite")

    @given(numbers=st.lists(st.floats(-1e30, 1e30), min_size=1, max_size=8))
    def test_one_of_a_json_body_is_that_of_its_numbers(self, numbers: list[float]) -> None:
        """The body's numbers are Decimals by then: the same float32 all the same."""
        text = json_text.dumps({**KEY, "embedding_vector": numbers})
        if Vector.of(numbers).is_zero:
            assert [fault["msg"] for fault in faults(NewEmbedding, json_text.loads(text))] == ["must not be all zero"]
        else:
            assert NewEmbedding.model_validate(json_text.loads(text)).embedding_vector == Vector.of(numbers)

    def test_one_that_is_one_already_is_taken_as_it_is(self) -> None:
        vector = Vector.of([1, 2])
        row = DBProductEmbedding(product_id="p", user_id="a", model_version="m", embedding_vector=vector)
        assert row.embedding_vector is vector


class TestSearches:
    def test_one_reference_and_no_more(self) -> None:
        search = SearchEmbeddings.model_validate({"model_version": "m", "embedding_vector": [1]})
        assert (search.product_id, search.top_k, search.metric, search.diversity) == (None, 10, "cosine", 0.0)
        for document in ({"model_version": "m"}, {**KEY, "embedding_vector": [1]}):
            (fault,) = faults(SearchEmbeddings, document)
            assert fault["loc"] == ()
            assert "exactly one of embedding_vector and product_id" in fault["msg"]

    @pytest.mark.parametrize("metric", ["dot", "euclidean"])
    def test_diversity_goes_with_cosines_alone(self, metric: str) -> None:
        SearchEmbeddings.model_validate({**KEY, "metric": metric, "diversity": 0})
        SearchEmbeddings.model_validate({**KEY, "metric": "cosine", "diversity": 1})
        (fault,) = faults(SearchEmbeddings, {**KEY, "metric": metric, "diversity": Decimal("0.1")})
        assert "cosine alone" in fault["msg"]

    def test_numbers_are_floats(self) -> None:
        search = SearchEmbeddings.model_validate({**KEY, "min_score": Decimal("0.1"), "diversity": 1})
        assert (search.min_score, search.diversity) == (0.1, 1.0)
        assert {type(search.min_score), type(search.diversity)} == {float}


class TestRows:
    def test_a_new_one_becomes_its_owners_row(self) -> None:
        given = NewEmbedding.model_validate({**KEY, "embedding_vector": [1, 2], "product": {"a": 1}})
        row = given.stored_by("alice")
        assert (row.product_id, row.user_id, row.model_version) == ("p", "alice", "m")
        assert (row.embedding_vector, row.product, row.vector_dimension) == (Vector.of([1, 2]), {"a": 1}, 2)
        assert row.version == 1

    def test_new_is_what_the_repository_says_is(self) -> None:
        """The times of a row do not tell: others may have changed it between a store and its repeat."""
        row = NewEmbedding.model_validate({**KEY, "embedding_vector": [1]}).stored_by("alice")
        assert row.created_at == row.updated_at
        assert not row.is_new
        later = row.model_copy(update={"is_new": True, "updated_at": "2999-01-01T00:00:00.000000Z"})
        assert later.is_new

    @pytest.mark.parametrize(
        "bad",
        [
            {"user_id": ""},
            {"user_id": "x" * 129},
            {"product_id": "batch"},
            {"model_version": "a#b"},
            {"embedding_vector": [0]},
            {"product": {"a": math.nan}},
            {"write_1": "w"},
            {"created_at": "yesterday"},
        ],
        ids=short,
    )
    def test_what_no_row_may_be(self, bad: dict[str, Any]) -> None:
        good: dict[str, Any] = {**KEY, "user_id": "alice", "embedding_vector": [1]}
        DBProductEmbedding(**good)
        with pytest.raises(ValidationError):
            DBProductEmbedding(**{**good, **bad})


class TestAnswers:
    ROW = NewEmbedding.model_validate({**KEY, "embedding_vector": [0.1, 2]}).stored_by("alice")

    def test_an_embedding_shows_no_owner(self) -> None:
        shown = Embedding.of(self.ROW).model_dump()
        assert shown.keys() == DBProductEmbedding.model_fields.keys() - {"user_id", "embedding_vector", "is_new"}
        assert shown["vector_dimension"] == 2

    def test_the_vector_is_shown_where_it_was_asked_for(self) -> None:
        shown = Embedding.of(self.ROW, include_vector=True).model_dump()
        assert shown["embedding_vector"] == [0.1, 2.0]
        assert json_text.dumps(shown["embedding_vector"]) == "[0.1,2.0]"

    def test_what_is_not_known_is_left_out(self) -> None:
        stored = ItemResult(index=0, product_id="p", status=201, version=1)
        assert stored.model_dump() == {"index": 0, "product_id": "p", "status": 201, "version": 1}
        refused = ItemResult(index=1, product_id=None, status=422, problem="invalid-request", detail="No.")
        assert refused.model_dump().keys() == {"index", "product_id", "status", "problem", "detail"}
        assert SearchHit(product_id="p", score=1.0, product={}).model_dump() == {
            "product_id": "p",
            "score": 1.0,
            "product": {},
        }
        assert SearchHit(product_id="p", score=1.0, product={}, is_favorite=False).model_dump()["is_favorite"] is False


def test_every_word_of_a_route_is_reserved() -> None:
    assert {"batch", "delete", "map", "models", "search", "similarity"} == RESERVED_PRODUCT_IDS
