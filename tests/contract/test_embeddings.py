"""What every engine must do for the embeddings repository."""

import itertools
import random
import struct
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from shared.database import (
    DatabaseManager,
    DBProductEmbedding,
    EmbeddingRepository,
    ModelVersionRepository,
    Terms,
    WriteId,
)
from shared.database.attributes import from_item, to_item
from shared.database.embedding_deletion import delete_step
from shared.database.embeddings import TOMBSTONE_SECONDS
from shared.database.index_rows import IndexRow
from shared.errors import (
    Conflict,
    Forbidden,
    InvalidRequest,
    MalformedRequest,
    NotFound,
    OutcomeUnknown,
    PreconditionFailed,
)
from shared.models import json_text
from shared.models.fields import now
from shared.models.filters import parse_filter
from shared.models.vector import Vector
from tests.contract.conftest import as_read
from tests.contract.differences import MOTO_IS_NOT_ATOMIC, unlike
from tests.support.engines import Engine
from tests.support.faults import requests_sent

MODEL = "model-1"
LATER = "2999-01-01T00:00:00.000000Z"
Row = dict[str, Any]

MALFORMED: list[object] = [
    *(["a", 1], [], "text", 7, True, {"a": 1}, [[1.0]], [1e39], b"abc", b"abcde", [None], ["NaN"]),
    {"a", "b"},
]
"""What a row may have for a vector that is none."""

EPOCH = "1970-01-01T00:00:00.000000Z"
TIMES = {
    "2025-06-01T12:00:00": "2025-06-01T12:00:00.000000Z",
    "2025-06-01 12:00:00.5": "2025-06-01T12:00:00.500000Z",
    "2025-06-01T12:00:00+02:00": "2025-06-01T10:00:00.000000Z",
    "2025-06-01T12:00:00Z": "2025-06-01T12:00:00.000000Z",
    "2025-06-01T12:00:00.123456Z": "2025-06-01T12:00:00.123456Z",
    "2025-06-01": "2025-06-01T00:00:00.000000Z",
    "garbage": EPOCH,
    "1748779200": EPOCH,
    "2025-13-01T00:00:00.000000Z": EPOCH,
    "0001-01-01T00:00:00+05:00": EPOCH,
    "9999-12-31T23:59:59-05:00": EPOCH,
    "0200-01-01": EPOCH,
    "0200-01-01T00:00:00.000000Z": EPOCH,
}
"""What a row may have for the time of its last change, and what it is taken for."""

Put = Callable[..., None]


def embedding(owner: str, product_id: str = "p", *components: float, **fields: Any) -> DBProductEmbedding:
    vector = Vector.of(components or (1.0, 2.0))
    return DBProductEmbedding(
        user_id=owner,
        product_id=product_id,
        **{"model_version": MODEL, "embedding_vector": vector, **fields},
    )


def stored_row(manager: DatabaseManager, owner: str, product_id: str = "p") -> Row:
    """The row as the table has it."""
    key = to_item({"product_id": product_id, "owner_model": f"{owner}#{MODEL}"})
    answer = manager.call("get_item", TableName=manager.settings.embeddings_table, Key=key, ConsistentRead=True)
    return from_item(answer["Item"])


@pytest.fixture
def put(manager: DatabaseManager, alice: str) -> Put:
    """Puts a row of another origin; None leaves an attribute out."""

    def put_row(product_id: str, **attributes: Any) -> None:
        key = {"product_id": product_id, "owner_model": f"{alice}#{MODEL}"}
        usual = {"user_id": alice, "model_version": MODEL, "embedding_vector": [1, 2.5], "updated_at": now()}
        row = {name: value for name, value in {**key, **usual, **attributes}.items() if value is not None}
        manager.call("put_item", TableName=manager.settings.embeddings_table, Item=to_item(row))

    return put_row


def listed(repository: EmbeddingRepository, owner: str, limit: int, **options: Any) -> list[str]:
    """The ids of every embedding, page by page; fails rather than walk for ever."""
    found: list[str] = []
    cursor = None
    for _ in range(200):
        page = repository.list_embeddings(owner, MODEL, limit, cursor, **options)
        assert len(page.embeddings) <= limit
        found += [row.product_id for row in page.embeddings]
        cursor = page.next_cursor
        if cursor is None:
            return found
    raise AssertionError("the walk did not end")


def changes(repository: EmbeddingRepository, owner: str, since: str | None = None) -> list[IndexRow]:
    return list(itertools.chain.from_iterable(repository.changes_since(owner, MODEL, since)))


class TestStoring:
    def test_a_new_one_is_at_the_first_version(self, embeddings: EmbeddingRepository, alice: str) -> None:
        before = now()
        stored = embeddings.store_embedding(embedding(alice, "p", 1, -2.5, product={"price": 249.99}))
        assert before <= stored.created_at == stored.updated_at <= now()
        assert (stored.version, stored.is_new, stored.vector_dimension) == (1, True, 2)
        assert stored.product == {"price": 249.99}
        assert stored.embedding_vector.tolist() == [1, -2.5]
        assert embeddings.get_embedding("p", alice, MODEL) == as_read(stored)

    def test_another_replaces_it_whole(self, embeddings: EmbeddingRepository, alice: str) -> None:
        first = embeddings.store_embedding(embedding(alice, "p", 1, 2, product={"a": 1}))
        second = embeddings.store_embedding(embedding(alice, "p", 3, 4, product={"b": 2}))
        assert (second.version, second.is_new, second.created_at) == (2, False, first.created_at)
        assert second.updated_at > first.updated_at
        assert (second.product, second.embedding_vector.tolist()) == ({"b": 2}, [3, 4])
        assert embeddings.get_embedding("p", alice, MODEL) == second

    def test_the_same_again_is_a_replacement_too(self, embeddings: EmbeddingRepository, alice: str) -> None:
        given = embedding(alice)
        assert [embeddings.store_embedding(given).is_new for _ in range(3)] == [True, False, False]

    @pytest.mark.parametrize("dimension", [1, 3, 512, 4096])
    def test_a_vector_comes_back_byte_for_byte(
        self, embeddings: EmbeddingRepository, manager: DatabaseManager, alice: str, dimension: int
    ) -> None:
        source = random.Random(dimension)  # noqa: S311 - not a secret
        vector = Vector.of([source.uniform(-1, 1) * 10.0 ** source.randint(-40, 37) for _ in range(dimension)])
        stored = embeddings.store_embedding(embedding(alice, embedding_vector=vector))
        assert stored.embedding_vector == vector
        assert embeddings.get_embedding("p", alice, MODEL).embedding_vector == vector
        assert stored_row(manager, alice)["embedding_vector"] == vector.data
        assert [row.vector for row in changes(embeddings, alice)] == [vector.data]
        assert [row.embedding_vector for row in embeddings.get_embeddings_by_model(alice, MODEL)] == [vector]

    def test_every_byte_comes_back(self, embeddings: EmbeddingRepository, alice: str) -> None:
        """Each of the 256 in each place of a component, as far as the number is finite."""
        words = [bytes((byte + 64 * place) % 256 for place in range(4)) for byte in range(256)]
        finite = [word for word in words if word[3] & 0x7F != 0x7F or not word[2] & 0x80]
        vector = Vector(b"".join(finite))
        assert vector.is_finite
        embeddings.store_embedding(embedding(alice, embedding_vector=vector))
        assert embeddings.get_embedding("p", alice, MODEL).embedding_vector == vector

    def test_odd_ids_are_other_products(self, embeddings: EmbeddingRepository, alice: str) -> None:
        ids = ["a", "A", "a#b", "a/b", "a b", "%2F", "é", "e\u0301", "\U0001f436" * 64, "x" * 256, '"', "{}", "0"]
        for product_id in ids:
            embeddings.store_embedding(embedding(alice, product_id, product={"id": product_id}))
        assert sorted(listed(embeddings, alice, 2)) == sorted(ids)
        for product_id in ids:
            assert embeddings.get_embedding(product_id, alice, MODEL).product == {"id": product_id}

    def test_owners_and_models_are_apart(self, embeddings: EmbeddingRepository, alice: str, bob: str) -> None:
        mine = embeddings.store_embedding(embedding(alice))
        others = [
            embeddings.store_embedding(embedding(bob, "p", 9, 9)),
            embeddings.store_embedding(embedding(alice, "p", 9, 9, 9, model_version="model-2")),
        ]
        assert [other.version for other in others] == [1, 1]
        for owner, model in ((bob, MODEL), (alice, "model-2")):
            embeddings.delete_embedding("p", owner, model)
        assert embeddings.get_embedding("p", alice, MODEL) == as_read(mine)
        assert listed(embeddings, alice, 10) == ["p"]
        for operation in (embeddings.get_embedding, embeddings.delete_embedding):
            with pytest.raises(NotFound):
                operation("p", bob, MODEL)

    @unlike(MOTO_IS_NOT_ATOMIC)
    def test_concurrent_writers_of_one_key_are_all_counted(self, embeddings: EmbeddingRepository, alice: str) -> None:
        writers = 12
        start = [embedding(alice, "p", 1, number + 1, product={"n": number}) for number in range(writers)]
        with ThreadPoolExecutor(writers) as pool:
            stored = list(pool.map(embeddings.store_embedding, start))
        assert sorted(one.version for one in stored) == list(range(1, writers + 1))
        assert len({one.updated_at for one in stored}) == writers
        assert [one.version for one in stored if one.is_new] == [1]
        assert len({one.created_at for one in stored}) == 1
        by_version = sorted(stored, key=lambda one: one.version)
        assert [one.updated_at for one in by_version] == sorted(one.updated_at for one in stored)
        assert embeddings.get_embedding("p", alice, MODEL) == by_version[-1]
        assert sorted(one.product["n"] for one in stored) == list(range(writers))


class TestDeleting:
    def test_a_tombstone_is_left_for_a_week(
        self, embeddings: EmbeddingRepository, manager: DatabaseManager, alice: str
    ) -> None:
        stored = embeddings.store_embedding(embedding(alice, product={"secret": "x"}))
        begun = time.time()
        embeddings.delete_embedding("p", alice, MODEL)
        row = stored_row(manager, alice)
        assert stored.updated_at < row["deleted_at"] <= row["updated_at"] <= now()
        assert begun - 1 <= row["expires_at"] - 7 * 24 * 3600 <= time.time() + 1
        assert TOMBSTONE_SECONDS == 7 * 24 * 3600
        assert isinstance(row["expires_at"], int)
        assert not {"embedding_vector", "vector_dimension", "product", "created_at"} & row.keys()
        assert (row["version"], row["user_id"]) == (2, alice)

    def test_it_is_in_no_answer_but_the_changes(self, embeddings: EmbeddingRepository, alice: str) -> None:
        embeddings.store_embedding(embedding(alice))
        embeddings.delete_embedding("p", alice, MODEL)
        with pytest.raises(NotFound):
            embeddings.get_embedding("p", alice, MODEL)
        assert listed(embeddings, alice, 10) == []
        assert embeddings.get_products(["p"], alice, MODEL) == {}
        assert list(embeddings.get_embeddings_by_model(alice, MODEL)) == []
        assert list(embeddings.changed_ids_since(alice, MODEL, None)) == [("p", False)]
        (change,) = changes(embeddings, alice)
        assert (change.product_id, change.vector, change.product) == ("p", None, {})
        assert embeddings.last_change(alice, MODEL) == change.updated_at

    def test_what_is_not_there_cannot_be_changed(
        self, embeddings: EmbeddingRepository, manager: DatabaseManager, alice: str
    ) -> None:
        embeddings.store_embedding(embedding(alice, "deleted"))
        embeddings.delete_embedding("deleted", alice, MODEL)
        tombstone = stored_row(manager, alice, "deleted")
        for product_id, versions in itertools.product(["deleted", "never"], [None, [1], [2], []]):
            terms = Terms(versions=versions)
            with pytest.raises(NotFound):
                embeddings.delete_embedding(product_id, alice, MODEL, terms)
            with pytest.raises(NotFound):
                embeddings.update_product(product_id, alice, MODEL, {"a": 1}, terms)
        assert stored_row(manager, alice, "deleted") == tombstone
        assert [change.product_id for change in changes(embeddings, alice)] == ["deleted"]

    def test_a_store_over_a_tombstone_is_a_new_one(
        self, embeddings: EmbeddingRepository, manager: DatabaseManager, alice: str
    ) -> None:
        first = embeddings.store_embedding(embedding(alice, product={"a": 1}))
        embeddings.delete_embedding("p", alice, MODEL)
        again = embeddings.store_embedding(embedding(alice, "p", 5, 6))
        assert again.is_new
        assert again.created_at == again.updated_at > first.updated_at
        assert (again.version, again.product) == (3, {})
        assert not {"deleted_at", "expires_at"} & stored_row(manager, alice).keys()
        assert embeddings.get_embedding("p", alice, MODEL) == as_read(again)
        assert embeddings.store_embedding(embedding(alice)).created_at == again.created_at

    def test_a_delete_keeps_to_the_version(self, embeddings: EmbeddingRepository, alice: str) -> None:
        embeddings.store_embedding(embedding(alice))
        embeddings.store_embedding(embedding(alice))
        for versions in ([1], [], [3]):
            with pytest.raises(PreconditionFailed):
                embeddings.delete_embedding("p", alice, MODEL, Terms(versions=versions))
        embeddings.delete_embedding("p", alice, MODEL, Terms(versions=[1, 2]))
        with pytest.raises(NotFound):
            embeddings.delete_embedding("p", alice, MODEL, Terms(versions=[1, 2]))

    @unlike(MOTO_IS_NOT_ATOMIC)
    def test_of_concurrent_deletes_one_succeeds(
        self, embeddings: EmbeddingRepository, manager: DatabaseManager, alice: str
    ) -> None:
        embeddings.store_embedding(embedding(alice))

        def delete(_: int) -> bool:
            try:
                embeddings.delete_embedding("p", alice, MODEL)
            except NotFound:
                return False
            return True

        with ThreadPoolExecutor(10) as pool:
            assert sum(pool.map(delete, range(10))) == 1
        assert stored_row(manager, alice)["version"] == 2


class TestUpdating:
    def test_the_vector_stays(self, embeddings: EmbeddingRepository, alice: str) -> None:
        stored = embeddings.store_embedding(embedding(alice, "p", 1, 2, product={"a": 1}))
        changed = embeddings.update_product("p", alice, MODEL, {"b": None})
        assert (changed.version, changed.product, changed.created_at) == (2, {"b": None}, stored.created_at)
        assert changed.embedding_vector == stored.embedding_vector
        assert changed.updated_at > stored.updated_at
        assert embeddings.get_embedding("p", alice, MODEL) == changed
        assert [change.product for change in changes(embeddings, alice)] == [{"b": None}]

    def test_it_keeps_to_the_version(self, embeddings: EmbeddingRepository, alice: str) -> None:
        embeddings.store_embedding(embedding(alice))
        assert embeddings.update_product("p", alice, MODEL, {"n": 1}, Terms(versions=[1])).version == 2
        for versions in ([1], [], [3]):
            with pytest.raises(PreconditionFailed):
                embeddings.update_product("p", alice, MODEL, {"n": 2}, Terms(versions=versions))
        assert embeddings.get_embedding("p", alice, MODEL).product == {"n": 1}


class TestVersionsOfAStore:
    def test_one_that_holds(self, embeddings: EmbeddingRepository, alice: str) -> None:
        embeddings.store_embedding(embedding(alice))
        assert embeddings.store_embedding(embedding(alice), Terms(versions=[1])).version == 2

    def test_one_that_does_not(self, embeddings: EmbeddingRepository, alice: str) -> None:
        stored = embeddings.store_embedding(embedding(alice))
        for versions in ([2], []):
            with pytest.raises(PreconditionFailed):
                embeddings.store_embedding(embedding(alice, "p", 9, 9), Terms(versions=versions))
        assert embeddings.get_embedding("p", alice, MODEL) == as_read(stored)

    def test_a_missing_row_has_none(self, embeddings: EmbeddingRepository, alice: str) -> None:
        with pytest.raises(PreconditionFailed):
            embeddings.store_embedding(embedding(alice), Terms(versions=[1]))
        assert changes(embeddings, alice) == []

    @pytest.mark.parametrize("versions", [[1], [1, 2, 3], []])
    def test_a_missing_model_version_has_none_and_is_not_made(
        self, engine: Engine, embeddings: EmbeddingRepository, alice: str, versions: list[int]
    ) -> None:
        """Nor is its dimension fixed, for any process."""
        with pytest.raises(PreconditionFailed):
            embeddings.store_embedding(embedding(alice), Terms(versions=versions))
        assert ModelVersionRepository(engine.manager()).list_model_versions(alice) == {}
        assert embeddings.store_embedding(embedding(alice, "p", 1, 2, 3)).is_new
        assert ModelVersionRepository(engine.manager()).list_model_versions(alice) == {MODEL: 3}

    def test_another_dimension_is_told_before_the_version(self, embeddings: EmbeddingRepository, alice: str) -> None:
        stored = embeddings.store_embedding(embedding(alice))
        for versions in ([1], [2]):
            with pytest.raises(InvalidRequest) as refused:
                embeddings.store_embedding(embedding(alice, "p", 1, 2, 3), Terms(versions=versions))
            assert [fault.pointer for fault in refused.value.errors] == ["/body/embedding_vector"]
        assert embeddings.get_embedding("p", alice, MODEL) == as_read(stored)

    def test_a_tombstone_has_none(self, embeddings: EmbeddingRepository, alice: str) -> None:
        embeddings.store_embedding(embedding(alice))
        embeddings.delete_embedding("p", alice, MODEL)
        for versions in ([1], [2], [1, 2, 3], []):
            with pytest.raises(PreconditionFailed):
                embeddings.store_embedding(embedding(alice), Terms(versions=versions))
        assert listed(embeddings, alice, 10) == []


class TestRepeats:
    """Of a request with an Idempotency-Key: its write has an identity that the repeat shares."""

    @pytest.fixture
    def terms(self) -> Terms:
        return Terms(WriteId(fingerprint="f" * 32))

    def test_of_a_store(self, embeddings: EmbeddingRepository, alice: str, terms: Terms) -> None:
        first = embeddings.store_embedding(embedding(alice), terms)
        assert embeddings.store_embedding(embedding(alice), terms) == first
        assert first.is_new

    def test_of_a_store_of_a_version(self, embeddings: EmbeddingRepository, alice: str, terms: Terms) -> None:
        embeddings.store_embedding(embedding(alice))
        versioned = Terms(terms.write, versions=[1])
        first = embeddings.store_embedding(embedding(alice, "p", 3, 4), versioned)
        assert embeddings.store_embedding(embedding(alice, "p", 3, 4), versioned) == first

    def test_of_a_store_that_others_changed(self, embeddings: EmbeddingRepository, alice: str, terms: Terms) -> None:
        embeddings.store_embedding(embedding(alice), terms)
        theirs = embeddings.update_product("p", alice, MODEL, {"theirs": 1})
        again = embeddings.store_embedding(embedding(alice), terms)
        assert (as_read(again), again.is_new) == (theirs, True)
        assert embeddings.get_embedding("p", alice, MODEL) == theirs

    def test_of_a_store_that_others_replaced(self, embeddings: EmbeddingRepository, alice: str, terms: Terms) -> None:
        """It made the row all the same; it is theirs that replaced it, whoever asks."""
        given = Terms(WriteId(fingerprint="a" * 32))
        embeddings.store_embedding(embedding(alice), terms)
        for _ in range(2):
            assert not embeddings.store_embedding(embedding(alice, "p", 3, 4), given).is_new
            again = embeddings.store_embedding(embedding(alice), terms)
            assert (again.is_new, again.version, again.embedding_vector.tolist()) == (True, 2, [3, 4])

    def test_of_a_store_over_a_tombstone(self, embeddings: EmbeddingRepository, alice: str, terms: Terms) -> None:
        embeddings.store_embedding(embedding(alice))
        embeddings.delete_embedding("p", alice, MODEL)
        for version in (3, 4, 5):
            again = embeddings.store_embedding(embedding(alice), terms)
            assert (again.is_new, again.version) == (True, version)
            embeddings.update_product("p", alice, MODEL, {"n": version})

    def test_of_a_store_that_was_deleted_since(
        self, embeddings: EmbeddingRepository, manager: DatabaseManager, alice: str, terms: Terms
    ) -> None:
        """It answers what it stored, and brings nothing back."""
        given = embedding(alice, "p", 1, 2, product={"a": 1})
        first = embeddings.store_embedding(given, terms)
        embeddings.delete_embedding("p", alice, MODEL)
        tombstone = stored_row(manager, alice)
        again = embeddings.store_embedding(given, terms)
        assert again.model_copy(update={"version": 1}) == first
        assert again.is_new
        assert stored_row(manager, alice) == tombstone

    def test_of_a_store_of_a_version_that_was_deleted_since(
        self, embeddings: EmbeddingRepository, alice: str, terms: Terms
    ) -> None:
        embeddings.store_embedding(embedding(alice))
        versioned = Terms(terms.write, versions=[1])
        first = embeddings.store_embedding(embedding(alice, "p", 3, 4), versioned)
        embeddings.delete_embedding("p", alice, MODEL)
        again = embeddings.store_embedding(embedding(alice, "p", 3, 4), versioned)
        assert (again.embedding_vector, again.updated_at) == (first.embedding_vector, first.updated_at)
        assert listed(embeddings, alice, 10) == []

    def test_of_a_patch(self, embeddings: EmbeddingRepository, alice: str, terms: Terms) -> None:
        embeddings.store_embedding(embedding(alice))
        first = embeddings.update_product("p", alice, MODEL, {"n": 1}, terms)
        assert embeddings.update_product("p", alice, MODEL, {"n": 1}, terms) == first

    def test_of_a_patch_of_what_was_deleted_since_is_unknown(
        self, embeddings: EmbeddingRepository, alice: str, terms: Terms
    ) -> None:
        """It was made, but nothing is left to answer it with."""
        embeddings.store_embedding(embedding(alice))
        embeddings.update_product("p", alice, MODEL, {"n": 1}, terms)
        embeddings.delete_embedding("p", alice, MODEL)
        with pytest.raises(OutcomeUnknown):
            embeddings.update_product("p", alice, MODEL, {"n": 1}, terms)

    def test_of_a_delete(
        self, embeddings: EmbeddingRepository, manager: DatabaseManager, alice: str, terms: Terms
    ) -> None:
        embeddings.store_embedding(embedding(alice))
        embeddings.delete_embedding("p", alice, MODEL, terms)
        tombstone = stored_row(manager, alice)
        embeddings.delete_embedding("p", alice, MODEL, terms)
        assert stored_row(manager, alice) == tombstone

    def test_of_a_delete_of_what_was_stored_again_since(
        self, embeddings: EmbeddingRepository, alice: str, terms: Terms
    ) -> None:
        embeddings.store_embedding(embedding(alice))
        embeddings.delete_embedding("p", alice, MODEL, terms)
        again = embeddings.store_embedding(embedding(alice, "p", 7, 8))
        embeddings.delete_embedding("p", alice, MODEL, terms)
        assert embeddings.get_embedding("p", alice, MODEL) == as_read(again)

    def test_with_other_content_is_refused(
        self, embeddings: EmbeddingRepository, manager: DatabaseManager, alice: str, terms: Terms
    ) -> None:
        embeddings.store_embedding(embedding(alice), terms)
        misused = Terms(WriteId(terms.write.id, "0" * 32))
        row = stored_row(manager, alice)
        for call in (
            lambda: embeddings.store_embedding(embedding(alice, "p", 9, 9), misused),
            lambda: embeddings.update_product("p", alice, MODEL, {"n": 1}, misused),
            lambda: embeddings.delete_embedding("p", alice, MODEL, misused),
        ):
            with pytest.raises(InvalidRequest) as refused:
                call()
            assert [fault.pointer for fault in refused.value.errors] == ["/header/idempotency-key"]
        assert stored_row(manager, alice) == row


class TestBatches:
    def test_the_outcomes_are_in_order(self, embeddings: EmbeddingRepository, alice: str) -> None:
        outcomes = embeddings.store_embeddings([embedding(alice, f"p{number}") for number in range(30)])
        assert [outcome.product_id for outcome in outcomes if isinstance(outcome, DBProductEmbedding)] == [
            f"p{number}" for number in range(30)
        ]
        assert sorted(listed(embeddings, alice, 7)) == sorted(f"p{number}" for number in range(30))

    def test_a_bad_one_stops_no_other(self, embeddings: EmbeddingRepository, alice: str) -> None:
        embeddings.store_embedding(embedding(alice, "first", 1, 2))
        outcomes = embeddings.store_embeddings(
            [embedding(alice, "a", 1, 2), embedding(alice, "b", 1, 2, 3), embedding(alice, "c", 3, 4)]
        )
        assert [type(outcome) for outcome in outcomes] == [DBProductEmbedding, InvalidRequest, DBProductEmbedding]
        assert sorted(listed(embeddings, alice, 10)) == ["a", "c", "first"]

    def test_none_at_all(self, embeddings: EmbeddingRepository) -> None:
        assert embeddings.store_embeddings([]) == []

    def test_a_repeat_is_recognised_row_by_row(self, embeddings: EmbeddingRepository, alice: str) -> None:
        given = [embedding(alice, f"p{number}") for number in range(5)]
        write = WriteId(fingerprint="f" * 32)
        part = embeddings.store_embeddings(given[:3], write)
        whole = embeddings.store_embeddings(given, write)
        assert whole[:3] == part
        assert embeddings.store_embeddings(given, write) == whole
        assert {row.version for row in whole if isinstance(row, DBProductEmbedding)} == {1}


class TestPages:
    def test_every_limit_walks_all_of_them_once_either_way(self, embeddings: EmbeddingRepository, alice: str) -> None:
        ids = [f"p{number}" for number in range(9)]
        for product_id in ids:
            embeddings.store_embedding(embedding(alice, product_id))
        for gone in (ids[0], ids[4], ids[5], ids[8]):
            embeddings.delete_embedding(gone, alice, MODEL)
        embeddings.update_product(ids[2], alice, MODEL, {})
        oldest_first = [ids[1], ids[3], ids[6], ids[7], ids[2]]
        for limit in (*range(1, 12), 100, 200):
            assert listed(embeddings, alice, limit) == oldest_first[::-1]
            assert listed(embeddings, alice, limit, newest_first=False) == oldest_first
            assert listed(embeddings, alice, limit, include_vectors=False) == oldest_first[::-1]
        assert [row.product_id for row in embeddings.get_embeddings_by_model(alice, MODEL)] == oldest_first
        assert len(changes(embeddings, alice)) == 9

    @pytest.mark.parametrize("newest_first", [True, False])
    def test_one_that_is_full_exactly_at_the_end_is_the_last(
        self, embeddings: EmbeddingRepository, alice: str, newest_first: bool
    ) -> None:
        for number in range(4):
            embeddings.store_embedding(embedding(alice, f"p{number}"))
        first = embeddings.list_embeddings(alice, MODEL, 4, newest_first=newest_first)
        assert (len(first.embeddings), first.next_cursor) == (4, None)
        half = embeddings.list_embeddings(alice, MODEL, 2, newest_first=newest_first)
        assert half.next_cursor is not None
        rest = embeddings.list_embeddings(alice, MODEL, 2, half.next_cursor, newest_first=newest_first)
        assert (len(rest.embeddings), rest.next_cursor) == (2, None)

    def test_tombstones_alone_are_no_endless_walk(
        self, embeddings: EmbeddingRepository, alice: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A page may be empty and have a successor: the walk goes on, and ends."""
        monkeypatch.setattr("shared.database.embeddings._MOST_ROWS", 2)
        monkeypatch.setattr("shared.database.embeddings._MAX_PAGES", 10)
        for number in range(22):
            embeddings.store_embedding(embedding(alice, f"p{number}"))
            embeddings.delete_embedding(f"p{number}", alice, MODEL)
        page = embeddings.list_embeddings(alice, MODEL, 1)
        assert page.embeddings == []
        assert page.next_cursor is not None
        assert listed(embeddings, alice, 1) == []

    def test_many_tombstones_in_the_way_take_few_calls(
        self, embeddings: EmbeddingRepository, manager: DatabaseManager, alice: str
    ) -> None:
        """Each page of the table may be twice as long as the one before."""
        ids = [f"p{number}" for number in range(60)]
        embeddings.store_embedding(embedding(alice, "first"))
        embeddings.store_embeddings([embedding(alice, product_id) for product_id in ids])
        for product_id in ids:
            embeddings.delete_embedding(product_id, alice, MODEL)
        with requests_sent(manager) as sent:
            page = embeddings.list_embeddings(alice, MODEL, 1)
        assert [row.product_id for row in page.embeddings] == ["first"]
        assert [parameters["Limit"] for _, parameters in sent[:5]] == [2, 4, 8, 16, 32]
        assert len(sent) <= 6

    def test_an_unknown_model_is_an_empty_last_page(self, embeddings: EmbeddingRepository, alice: str) -> None:
        page = embeddings.list_embeddings(alice, "never", 20)
        assert (page.embeddings, page.next_cursor) == ([], None)
        assert list(embeddings.get_embeddings_by_model(alice, "never")) == []
        assert embeddings.last_change(alice, "never") is None

    def test_without_vectors_all_else_is_there(self, embeddings: EmbeddingRepository, alice: str) -> None:
        stored = embeddings.store_embedding(embedding(alice, "p", 1, 2, 3, product={"a": [1]}))
        (shown,) = embeddings.list_embeddings(alice, MODEL, include_vectors=False).embeddings
        assert shown == as_read(stored).model_copy(update={"embedding_vector": Vector(b"")})
        assert shown.vector_dimension == 3
        (whole,) = embeddings.list_embeddings(alice, MODEL).embeddings
        assert whole == as_read(stored)

    def test_vectors_are_not_read_where_they_are_not_wanted(
        self, embeddings: EmbeddingRepository, manager: DatabaseManager, alice: str
    ) -> None:
        embeddings.store_embedding(embedding(alice))
        with requests_sent(manager) as sent:
            embeddings.list_embeddings(alice, MODEL, include_vectors=False)
            list(embeddings.changed_ids_since(alice, MODEL, None))
            embeddings.last_change(alice, MODEL)
            embeddings.get_products(["p"], alice, MODEL)
        asked = [str(parameters) for _, parameters in sent]
        assert len(asked) == 4
        assert not [text for text in asked if "embedding_vector" in text or "ProjectionExpression" not in text]

    def test_rows_of_one_instant_are_all_listed(self, embeddings: EmbeddingRepository, alice: str, put: Put) -> None:
        for number in range(7):
            put(f"p{number}", updated_at="2026-01-01T00:00:00.000000Z")
        for limit, newest_first in itertools.product((1, 2, 3, 7), (True, False)):
            found = listed(embeddings, alice, limit, newest_first=newest_first)
            assert sorted(found) == [f"p{number}" for number in range(7)]

    def test_a_cursor_moves_its_holder_within_their_own_rows(
        self, embeddings: EmbeddingRepository, alice: str, bob: str
    ) -> None:
        for owner in (alice, bob, alice, bob):
            embeddings.store_embedding(embedding(owner, f"{owner}-{now()}"))
        cursor = embeddings.list_embeddings(alice, MODEL, 1).next_cursor
        assert cursor is not None
        for newest_first in (True, False):
            page = embeddings.list_embeddings(bob, MODEL, 10, cursor, newest_first=newest_first)
            assert {row.user_id for row in page.embeddings} <= {bob}
        with pytest.raises(MalformedRequest):
            embeddings.list_embeddings(bob, MODEL, 10, cursor + "A")

    def test_a_cursor_outlives_the_row_it_points_at(self, embeddings: EmbeddingRepository, alice: str) -> None:
        for number in range(3):
            embeddings.store_embedding(embedding(alice, f"p{number}"))
        page = embeddings.list_embeddings(alice, MODEL, 1)
        embeddings.delete_embedding("p2", alice, MODEL)
        rest = embeddings.list_embeddings(alice, MODEL, 5, page.next_cursor)
        assert [row.product_id for row in rest.embeddings] == ["p1", "p0"]

    def test_large_rows_are_walked_whole(self, embeddings: EmbeddingRepository, alice: str) -> None:
        """45 of 120 KB: more than one page of DynamoDB's (1 MB), and more than one answer of ours."""
        products = [embedding(alice, f"p{number}", product={"text": "x" * 120_000}) for number in range(45)]
        assert all(isinstance(one, DBProductEmbedding) for one in embeddings.store_embeddings(products))
        page = embeddings.list_embeddings(alice, MODEL, 100)
        assert page.next_cursor is not None
        assert 30 < len(page.embeddings) < 40
        for newest_first in (True, False):
            found = listed(embeddings, alice, 100, newest_first=newest_first)
            assert sorted(found) == sorted(one.product_id for one in products)
        assert len(changes(embeddings, alice)) == 45


class TestChanges:
    def test_the_given_time_is_included(self, embeddings: EmbeddingRepository, alice: str) -> None:
        times = [embeddings.store_embedding(embedding(alice, f"p{number}")).updated_at for number in range(4)]
        for number, since in enumerate(times):
            assert [row.product_id for row in changes(embeddings, alice, since)] == [
                f"p{later}" for later in range(number, 4)
            ]
            assert [found for found, _ in embeddings.changed_ids_since(alice, MODEL, since)] == [
                f"p{later}" for later in range(number, 4)
            ]
        assert changes(embeddings, alice, LATER) == []
        assert [row.updated_at for row in changes(embeddings, alice)] == times

    def test_each_product_is_there_once_as_it_is_now(self, embeddings: EmbeddingRepository, alice: str) -> None:
        embeddings.store_embedding(embedding(alice, "a", 1, 2))
        embeddings.store_embedding(embedding(alice, "b", 3, 4, product={"n": 1}))
        embeddings.store_embedding(embedding(alice, "c", 5, 6))
        embeddings.update_product("a", alice, MODEL, {"n": 2})
        embeddings.delete_embedding("b", alice, MODEL)
        found = [(row.product_id, row.vector, row.product) for row in changes(embeddings, alice)]
        assert found == [
            ("c", struct.pack("<2f", 5, 6), {}),
            ("a", struct.pack("<2f", 1, 2), {"n": 2}),
            ("b", None, {}),
        ]

    def test_the_last_change_is_of_any_kind(self, embeddings: EmbeddingRepository, alice: str) -> None:
        assert embeddings.last_change(alice, MODEL) is None
        embeddings.store_embedding(embedding(alice, "a"))
        stored = embeddings.store_embedding(embedding(alice, "b"))
        assert embeddings.last_change(alice, MODEL) == stored.updated_at
        changed = embeddings.update_product("a", alice, MODEL, {})
        assert embeddings.last_change(alice, MODEL) == changed.updated_at
        embeddings.delete_embedding("b", alice, MODEL)
        last = embeddings.last_change(alice, MODEL)
        assert last is not None
        assert last > changed.updated_at


class TestProducts:
    def test_more_than_one_call_can_ask_for(self, embeddings: EmbeddingRepository, alice: str, bob: str) -> None:
        given = [embedding(alice, f"p{number}", product={"n": number}) for number in range(115)]
        assert all(isinstance(one, DBProductEmbedding) for one in embeddings.store_embeddings(given))
        embeddings.delete_embedding("p7", alice, MODEL)
        wanted = [*(f"p{number}" for number in range(114, -1, -1)), "never"]
        found = embeddings.get_products(wanted, alice, MODEL)
        assert found == {f"p{number}": {"n": number} for number in range(115) if number != 7}
        assert embeddings.get_products(wanted, bob, MODEL) == {}

    def test_whole_rows_are_as_each_is_read_alone(self, embeddings: EmbeddingRepository, alice: str, bob: str) -> None:
        given = [embedding(alice, f"p{number}", product={"n": number}) for number in range(30)]
        embeddings.store_embeddings(given)
        embeddings.delete_embedding("p7", alice, MODEL)
        found = embeddings.find_embeddings([*(f"p{number}" for number in range(30)), "never", "p1"], alice, MODEL)
        alone = {f"p{n}": embeddings.get_embedding(f"p{n}", alice, MODEL) for n in range(30) if n != 7}
        assert found == alone
        assert embeddings.find_embeddings(list(found), bob, MODEL) == {}

    def test_none(self, embeddings: EmbeddingRepository, manager: DatabaseManager, alice: str) -> None:
        with requests_sent(manager) as sent:
            assert embeddings.get_products([], alice, MODEL) == {}
        assert sent == []

    def test_one_that_is_named_twice(self, embeddings: EmbeddingRepository, alice: str) -> None:
        """DynamoDB refuses a batch that names a key twice."""
        embeddings.store_embedding(embedding(alice, "p", product={"n": 1}))
        assert embeddings.get_products(["p", "p", "q", "q"], alice, MODEL) == {"p": {"n": 1}}


class TestDeletionInSteps:
    def test_all_that_match_are_gone_after_the_last_step(
        self, embeddings: EmbeddingRepository, alice: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("shared.database.embedding_deletion.STEP_ROWS", 10)
        given = [embedding(alice, f"p{number}", product={"even": number % 2 == 0}) for number in range(24)]
        assert all(isinstance(one, DBProductEmbedding) for one in embeddings.store_embeddings(given))
        wanted = parse_filter({"even": True})
        dry = list(self._steps(embeddings, alice, wanted, is_dry_run=True))
        assert sum(dry) == 0
        steps = list(self._steps(embeddings, alice, wanted))
        assert (len(steps), sum(steps)) == (3, 12)
        left = sorted(listed(embeddings, alice, 100))
        assert left == sorted(one.product_id for one in given if not one.product["even"])
        assert sum(self._steps(embeddings, alice, wanted)) == 0

    @staticmethod
    def _steps(embeddings: EmbeddingRepository, owner: str, wanted: Any, **options: bool) -> Iterator[int]:
        continuation = None
        for _ in range(20):
            step = delete_step(embeddings, owner, MODEL, wanted, continuation, **options)
            yield step.deleted
            continuation = step.continuation
            if continuation is None:
                return
        raise AssertionError("the steps did not end")


class TestRowsOfAnotherOrigin:
    """From before vectors were packed, or written by other programs."""

    def test_a_vector_as_a_list_of_numbers(self, embeddings: EmbeddingRepository, alice: str, put: Put) -> None:
        put("p", embedding_vector=[0.1, -2, 3e30], product={"a": 1})
        expected = Vector.of([0.1, -2, 3e30])
        found = embeddings.get_embedding("p", alice, MODEL)
        assert (found.embedding_vector, found.vector_dimension) == (expected, 3)
        assert [row.vector for row in changes(embeddings, alice)] == [expected.data]
        assert [row.embedding_vector for row in embeddings.list_embeddings(alice, MODEL).embeddings] == [expected]

    def test_what_they_lack(self, embeddings: EmbeddingRepository, alice: str, put: Put) -> None:
        put("p", product=None, updated_at="2025-01-01T00:00:00.000000Z")
        found = embeddings.get_embedding("p", alice, MODEL)
        assert (found.product, found.version, found.created_at) == ({}, 1, "1970-01-01T00:00:00.000000Z")
        assert found.vector_dimension == 2
        assert [row.product for row in changes(embeddings, alice)] == [{}]
        assert embeddings.get_products(["p"], alice, MODEL) == {"p": {}}
        assert [row.product for row in embeddings.list_embeddings(alice, MODEL, include_vectors=False).embeddings] == [
            {}
        ]

    def test_whose_they_are_is_known_from_their_key(
        self, embeddings: EmbeddingRepository, alice: str, put: Put
    ) -> None:
        """As the model version is, and both whatever else the row says of them."""
        put("bare", model_version=None)
        put("other", model_version="elsewhere")
        for include_vectors in (True, False):
            page = embeddings.list_embeddings(alice, MODEL, include_vectors=include_vectors)
            assert {(row.user_id, row.model_version) for row in page.embeddings} == {(alice, MODEL)}
        assert {row.model_version for row in embeddings.get_embeddings_by_model(alice, MODEL)} == {MODEL}
        assert embeddings.get_embedding("other", alice, MODEL).model_version == MODEL
        step = delete_step(embeddings, alice, MODEL, parse_filter({}))
        assert (step.examined, step.deleted, step.continuation) == (2, 2, None)
        assert listed(embeddings, alice, 10) == []

    def test_one_that_names_no_owner_or_another_is_nobodys(
        self, embeddings: EmbeddingRepository, manager: DatabaseManager, alice: str, bob: str, put: Put
    ) -> None:
        """In every read of the index, and in each of one row."""
        stored = embeddings.store_embedding(embedding(alice, "mine"))
        for number in range(6):
            put(f"a{number}", user_id=None, updated_at="2025-01-01T00:00:00.000000Z")
            put(f"z{number}", user_id=bob if number % 2 else None, updated_at=LATER)
        for limit, newest_first in itertools.product((1, 2, 100), (True, False)):
            assert listed(embeddings, alice, limit, newest_first=newest_first) == ["mine"]
        assert [row.product_id for row in embeddings.get_embeddings_by_model(alice, MODEL)] == ["mine"]
        assert [row.product_id for row in changes(embeddings, alice)] == ["mine"]
        assert [row.product_id for row in changes(embeddings, alice, stored.updated_at)] == ["mine"]
        assert list(embeddings.changed_ids_since(alice, MODEL, None)) == [("mine", True)]
        assert embeddings.last_change(alice, MODEL) == stored.updated_at
        before = [stored_row(manager, alice, product_id) for product_id in ("a0", "z0", "z1")]
        step = delete_step(embeddings, alice, MODEL, parse_filter({}))
        assert (step.examined, step.deleted, step.continuation) == (1, 1, None)
        for product_id in ("a0", "z0", "z1"):
            with pytest.raises(NotFound):
                embeddings.get_embedding(product_id, alice, MODEL)
        assert [stored_row(manager, alice, product_id) for product_id in ("a0", "z0", "z1")] == before

    def test_the_dimension_that_they_do_not_state(
        self, engine: Engine, embeddings: EmbeddingRepository, alice: str, put: Put
    ) -> None:
        """Is the model version's where the vector is not read, also for a process that does not know it yet."""
        embeddings.store_embedding(embedding(alice, "stated"))
        put("p", embedding_vector=[1, 2.5])
        put("odd", embedding_vector=[1, 2.5, 3])
        for repository in (embeddings, EmbeddingRepository(engine.manager())):
            page = repository.list_embeddings(alice, MODEL, include_vectors=False)
            assert {row.product_id: row.vector_dimension for row in page.embeddings} == {"stated": 2, "p": 2, "odd": 2}
            page = repository.list_embeddings(alice, MODEL, include_vectors=True)
            assert {row.product_id: row.vector_dimension for row in page.embeddings} == {"stated": 2, "p": 2, "odd": 3}

    def test_they_are_changed_as_any_other(self, embeddings: EmbeddingRepository, alice: str, put: Put) -> None:
        put("p")
        changed = embeddings.update_product("p", alice, MODEL, {"a": 1}, Terms(versions=[1]))
        assert (changed.version, changed.product) == (2, {"a": 1})
        assert changed.embedding_vector.tolist() == [1, 2.5]
        embeddings.delete_embedding("p", alice, MODEL, Terms(versions=[2]))
        assert listed(embeddings, alice, 10) == []

    def test_a_store_over_one_without_a_version_moves_it_on(
        self, embeddings: EmbeddingRepository, alice: str, put: Put
    ) -> None:
        """It has been at the first version: a client that has seen that one must not overwrite what came after."""
        embeddings.store_embedding(embedding(alice, "other"))
        put("p", created_at="2025-01-01T00:00:00.000000Z")
        stored = embeddings.store_embedding(embedding(alice, "p", 3, 4), Terms(versions=[1]))
        assert (stored.version, stored.is_new) == (2, False)
        with pytest.raises(PreconditionFailed):
            embeddings.store_embedding(embedding(alice, "p", 5, 6), Terms(versions=[1]))

    def test_a_malformed_vector_keeps_nothing_else_from_being_found(
        self, embeddings: EmbeddingRepository, alice: str, put: Put
    ) -> None:
        bad = [f"bad{number}" for number in range(len(MALFORMED))]
        for product_id, vector in zip(bad, MALFORMED, strict=True):
            put(product_id, embedding_vector=vector)
        embeddings.store_embedding(embedding(alice, "good"))
        assert [row.vector for row in changes(embeddings, alice)] == [*(b"" for _ in bad), struct.pack("<2f", 1, 2)]
        for include_vectors in (True, False):
            page = embeddings.list_embeddings(alice, MODEL, 100, include_vectors=include_vectors)
            assert [row.product_id for row in page.embeddings] == ["good", *bad[::-1]]
        assert [row.product_id for row in embeddings.get_embeddings_by_model(alice, MODEL)] == [*bad, "good"]
        for product_id in bad:
            assert embeddings.get_embedding(product_id, alice, MODEL).embedding_vector.tolist() == []
            embeddings.delete_embedding(product_id, alice, MODEL)
        assert listed(embeddings, alice, 100) == ["good"]

    def test_a_product_that_is_none_keeps_nothing_else_from_being_found(
        self, embeddings: EmbeddingRepository, manager: DatabaseManager, alice: str, put: Put
    ) -> None:
        """Whatever it is, it is shown as an object that is JSON."""
        products: list[dict[str, Any]] = [
            {"S": "text"},
            {"N": "7"},
            {"NULL": True},
            {"L": [{"S": "a"}]},
            {"M": {"a": {"SS": ["x", "y"]}}},
            {"M": {"a": {"NS": ["1", "2.5"]}}},
            {"M": {"a": {"L": [{"B": b"bytes"}]}}},
        ]
        for number, product in enumerate(products):
            key = {"product_id": f"bad{number}", "owner_model": f"{alice}#{MODEL}"}
            row = {**key, "user_id": alice, "updated_at": now(), "embedding_vector": struct.pack("<2f", 1, 2)}
            item = {**to_item(row), "product": product}
            manager.call("put_item", TableName=manager.settings.embeddings_table, Item=item)
        embeddings.store_embedding(embedding(alice, "good", product={"n": 1}))
        ids = [*(f"bad{number}" for number in range(len(products))), "good"]
        found = {
            "index": {row.product_id: row.product for row in changes(embeddings, alice)},
            "list": {row.product_id: row.product for row in embeddings.list_embeddings(alice, MODEL, 100).embeddings},
            "each": {product_id: embeddings.get_embedding(product_id, alice, MODEL).product for product_id in ids},
            "batch": embeddings.get_products(ids, alice, MODEL),
        }
        for shown in found.values():
            assert sorted(shown) == ids
            assert all(isinstance(json_text.loads(json_text.dumps(product)), dict) for product in shown.values())
            assert shown["good"] == {"n": 1}

    def test_times_of_other_forms(self, embeddings: EmbeddingRepository, alice: str, put: Put) -> None:
        for number, written in enumerate(TIMES):
            put(f"p{number}", updated_at=written)
        found = {row.product_id: row.updated_at for row in changes(embeddings, alice)}
        assert found == {f"p{number}": read for number, read in enumerate(TIMES.values())}
        for limit in (1, 100):
            assert sorted(listed(embeddings, alice, limit)) == sorted(found)

    def test_a_row_of_any_time_before_now_can_be_changed(
        self, embeddings: EmbeddingRepository, alice: str, put: Put
    ) -> None:
        for product_id in ("patched", "stored", "deleted"):
            put(product_id, updated_at="2025-06-01T12:00:00")
        assert embeddings.update_product("patched", alice, MODEL, {"a": 1}).product == {"a": 1}
        assert embeddings.store_embedding(embedding(alice, "stored", 3, 4)).embedding_vector.tolist() == [3, 4]
        embeddings.delete_embedding("deleted", alice, MODEL)
        assert sorted(listed(embeddings, alice, 10)) == ["patched", "stored"]

    def test_one_whose_time_is_later_than_now_and_is_no_time_is_told(
        self, embeddings: EmbeddingRepository, alice: str, put: Put
    ) -> None:
        for written in ("garbage", "2999-01-01", "2999-01-01T00:00:00+02:00", "9999-12-31T23:59:59.999999Z"):
            put("p", updated_at=written)
            for call in (
                lambda: embeddings.update_product("p", alice, MODEL, {"a": 1}),
                lambda: embeddings.store_embedding(embedding(alice, "p", 3, 4)),
                lambda: embeddings.delete_embedding("p", alice, MODEL),
            ):
                with pytest.raises(Conflict, match="no time of this service"):
                    call()
            assert embeddings.get_embedding("p", alice, MODEL).embedding_vector.tolist() == [1, 2.5]

    def test_one_that_cannot_be_deleted_does_not_hold_up_the_others(
        self, embeddings: EmbeddingRepository, alice: str, put: Put
    ) -> None:
        put("first", updated_at="2025-01-01")
        put("stuck", updated_at="2999-01-01")
        put("last", updated_at="2999-01-01T00:00:00.000000Z")
        step = delete_step(embeddings, alice, MODEL, parse_filter({}))
        assert (step.examined, step.deleted, step.continuation) == (3, 2, None)
        step = delete_step(embeddings, alice, MODEL, parse_filter({}))
        assert (step.examined, step.deleted, step.continuation) == (1, 0, None)

    def test_a_row_from_a_clock_ahead_of_ours_is_changed_after_it(
        self, embeddings: EmbeddingRepository, alice: str, put: Put
    ) -> None:
        put("p", updated_at=LATER)
        changed = embeddings.update_product("p", alice, MODEL, {})
        assert changed.updated_at == "2999-01-01T00:00:00.000001Z"
        assert embeddings.store_embedding(embedding(alice, "p", 3, 4)).updated_at == "2999-01-01T00:00:00.000002Z"


class TestOwners:
    def test_one_who_could_reach_into_anothers_rows_is_refused_before_any_call(
        self, embeddings: EmbeddingRepository, manager: DatabaseManager
    ) -> None:
        for owner in (*"#", "a#b", "a#model-1", "", " ", "a b", "a\n", "é", "a\x00", "-a", "_", "\u0661", "a" * 129):
            with requests_sent(manager) as sent:
                self._assert_refused(embeddings, owner)
            assert sent == []

    @staticmethod
    def _assert_refused(embeddings: EmbeddingRepository, owner: str) -> None:
        given = DBProductEmbedding.model_construct(
            **{**embedding("alice").model_dump(), "embedding_vector": Vector.of([1, 2]), "user_id": owner}
        )
        calls: list[Callable[[], object]] = [
            lambda: embeddings.store_embedding(given),
            lambda: embeddings.get_embedding("p", owner, MODEL),
            lambda: embeddings.get_products(["p"], owner, MODEL),
            lambda: embeddings.update_product("p", owner, MODEL, {}),
            lambda: embeddings.delete_embedding("p", owner, MODEL),
            lambda: list(embeddings.get_embeddings_by_model(owner, MODEL)),
            lambda: embeddings.list_embeddings(owner, MODEL),
            lambda: list(embeddings.changes_since(owner, MODEL, None)),
            lambda: list(embeddings.changed_ids_since(owner, MODEL, None)),
            lambda: embeddings.last_change(owner, MODEL),
        ]
        for call in calls:
            with pytest.raises(Forbidden):
                call()
        (outcome,) = embeddings.store_embeddings([given])
        assert isinstance(outcome, Forbidden)

    def test_any_other_is_kept_apart(self, embeddings: EmbeddingRepository) -> None:
        for owner in ("shared", "A", "7", "us-east-1:1b6e", "a" * 128, 'a"b|c'):
            embeddings.store_embedding(embedding(owner, "p"))
            assert embeddings.get_embedding("p", owner, MODEL).user_id == owner
            embeddings.delete_embedding("p", owner, MODEL)
