"""What every engine must do for the model versions of an owner: one dimension each, fixed by the first vector."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from shared.database import (
    DatabaseManager,
    DBProductEmbedding,
    DBUser,
    EmbeddingRepository,
    ModelVersionRepository,
    UserRepository,
)
from shared.database.attributes import to_item
from shared.database.model_versions import MAX_MODEL_VERSIONS
from shared.errors import ApiError, Conflict, InvalidRequest
from shared.models.vector import Vector
from tests.contract.differences import MOTO_HAS_NO_SIZE_OF_NOTHING, MOTO_IS_NOT_ATOMIC, unlike
from tests.support.engines import Engine
from tests.support.faults import recorded

MODEL = "model-1"


def embedding(owner: str, dimension: int, product_id: str = "p", model_version: str = MODEL) -> DBProductEmbedding:
    return DBProductEmbedding(
        user_id=owner,
        product_id=product_id,
        model_version=model_version,
        embedding_vector=Vector.of([1.0] * dimension),
    )


def put_user(manager: DatabaseManager, user_id: str, **attributes: Any) -> None:
    row = to_item({"user_id": user_id, **attributes})
    manager.call("put_item", TableName=manager.settings.users_table, Item=row)


def test_the_first_vector_fixes_the_dimension(
    embeddings: EmbeddingRepository, models: ModelVersionRepository, alice: str, bob: str
) -> None:
    assert models.dimension_of(alice, MODEL) is None
    embeddings.store_embedding(embedding(alice, 3))
    assert models.dimension_of(alice, MODEL) == 3
    with pytest.raises(InvalidRequest) as refused:
        embeddings.store_embedding(embedding(alice, 4, "other"))
    (fault,) = refused.value.errors
    assert fault.pointer == "/body/embedding_vector"
    assert fault.message == "has 4 components; the vectors of model-1 have 3"
    embeddings.store_embedding(embedding(alice, 4, model_version="model-2"))
    embeddings.store_embedding(embedding(bob, 5))
    assert models.list_model_versions(alice) == {"model-1": 3, "model-2": 4}
    assert models.list_model_versions(bob) == {"model-1": 5}


def test_it_stays_after_everything_was_deleted(
    embeddings: EmbeddingRepository, models: ModelVersionRepository, alice: str
) -> None:
    embeddings.store_embedding(embedding(alice, 3))
    embeddings.delete_embedding("p", alice, MODEL)
    with pytest.raises(InvalidRequest):
        embeddings.store_embedding(embedding(alice, 4))
    assert models.list_model_versions(alice) == {MODEL: 3}


def test_another_process_is_told_the_same(engine: Engine, models: ModelVersionRepository, alice: str) -> None:
    """Each manager has a memory of its own."""
    models.declare(alice, MODEL, 3)
    other = ModelVersionRepository(engine.manager())
    assert other.dimension_of(alice, MODEL) == 3
    with pytest.raises(InvalidRequest):
        ModelVersionRepository(engine.manager()).declare(alice, MODEL, 4)
    ModelVersionRepository(engine.manager()).declare(alice, MODEL, 3)


def test_a_dimension_once_known_is_not_asked_for_again(
    manager: DatabaseManager, models: ModelVersionRepository, alice: str
) -> None:
    with recorded(manager) as calls:
        assert models.dimension_of(alice, MODEL) is None
        assert models.dimension_of(alice, MODEL) is None
        assert calls == ["GetItem"] * 2
        models.declare(alice, MODEL, 3)
        calls.clear()
        models.declare(alice, MODEL, 3)
        assert models.require_dimension(alice, MODEL, "/body/model_version") == 3
        assert calls == []


def test_an_unknown_model_version_is_named(models: ModelVersionRepository, users: UserRepository, alice: str) -> None:
    for _ in range(2):
        with pytest.raises(InvalidRequest) as refused:
            models.require_dimension(alice, MODEL, "/query/model_version")
        assert [fault.pointer for fault in refused.value.errors] == ["/query/model_version"]
        users.ensure_user(DBUser(user_id=alice))
    assert models.list_model_versions(alice) == {}


@unlike(MOTO_IS_NOT_ATOMIC)
@pytest.mark.parametrize("known", ["no row", "a row", "a row without the map"])
def test_of_many_first_vectors_at_once_one_decides(
    engine: Engine, manager: DatabaseManager, embeddings: EmbeddingRepository, alice: str, known: str
) -> None:
    """As many processes, each with a memory of its own."""
    if known == "a row":
        UserRepository(manager).create_user(DBUser(user_id=alice))
    elif known == "a row without the map":
        put_user(manager, alice, name="Alice")
    repositories = [EmbeddingRepository(engine.manager()) for _ in range(20)]

    def store(number: int) -> DBProductEmbedding | ApiError:
        try:
            return repositories[number].store_embedding(embedding(alice, number % 5 + 1, f"p{number}"))
        except ApiError as error:
            return error

    with ThreadPoolExecutor(20) as pool:
        outcomes = list(pool.map(store, range(20)))
    stored = [outcome for outcome in outcomes if isinstance(outcome, DBProductEmbedding)]
    refused = [outcome for outcome in outcomes if not isinstance(outcome, DBProductEmbedding)]
    assert (len(stored), {type(outcome) for outcome in refused}) == (4, {InvalidRequest})
    (dimension,) = {one.vector_dimension for one in stored}
    assert ModelVersionRepository(engine.manager()).list_model_versions(alice) == {MODEL: dimension}
    found = embeddings.get_embeddings_by_model(alice, MODEL)
    assert {one.product_id: one.embedding_vector.dimension for one in found} == {
        one.product_id: dimension for one in stored
    }


@unlike(MOTO_IS_NOT_ATOMIC)
def test_many_first_model_versions_at_once_are_all_kept(engine: Engine, alice: str) -> None:
    def declare(number: int) -> None:
        ModelVersionRepository(engine.manager()).declare(alice, f"m{number}", number + 1)

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(declare, range(20)))
    expected = {f"m{number}": number + 1 for number in range(20)}
    assert ModelVersionRepository(engine.manager()).list_model_versions(alice) == expected


class TestTheOwnersRow:
    def test_it_is_made_from_the_profile(
        self, models: ModelVersionRepository, users: UserRepository, alice: str
    ) -> None:
        models.declare(alice, MODEL, 3, DBUser(user_id=alice, name="Alice", email="alice@example.com"))
        user = users.get_user(alice)
        assert (user.name, user.email, user.version) == ("Alice", "alice@example.com", 1)
        assert user.models[MODEL]["dimension"] == 3

    def test_without_a_profile_it_is_bare(
        self, models: ModelVersionRepository, users: UserRepository, alice: str
    ) -> None:
        models.declare(alice, MODEL, 3)
        assert users.get_user(alice).name is None

    def test_one_that_exists_is_left_as_it_is(
        self, models: ModelVersionRepository, users: UserRepository, alice: str
    ) -> None:
        before = users.create_user(DBUser(user_id=alice, name="Mine", preferences={"a": 1}))
        models.declare(alice, MODEL, 3, DBUser(user_id=alice, name="From the token"))
        after = users.get_user(alice)
        assert after.model_copy(update={"models": {}}) == before
        assert after.models[MODEL]["dimension"] == 3

    @unlike(MOTO_HAS_NO_SIZE_OF_NOTHING)
    def test_one_without_the_map_is_given_it(
        self, manager: DatabaseManager, models: ModelVersionRepository, users: UserRepository, alice: str
    ) -> None:
        put_user(manager, alice, name="From before")
        assert models.dimension_of(alice, MODEL) is None
        assert models.list_model_versions(alice) == {}
        models.declare(alice, MODEL, 3)
        assert models.list_model_versions(alice) == {MODEL: 3}
        assert users.get_user(alice).name == "From before"

    def test_a_patch_of_the_profile_keeps_the_models(
        self, models: ModelVersionRepository, users: UserRepository, alice: str
    ) -> None:
        models.declare(alice, MODEL, 3)
        users.update_user(alice, {"name": "New", "preferences": {"a": 1}})
        assert models.list_model_versions(alice) == {MODEL: 3}

    def test_what_is_refused_leaves_no_row(self, engine: Engine, models: ModelVersionRepository, alice: str) -> None:
        models.declare(alice, "other", 1)
        with pytest.raises(InvalidRequest):
            models.require_dimension(alice, MODEL, "/body/model_version")
        assert ModelVersionRepository(engine.manager()).list_model_versions(alice) == {"other": 1}


class TestNames:
    def test_any_that_is_allowed_is_a_member_of_the_map(self, models: ModelVersionRepository, alice: str) -> None:
        """Dots, slashes and reserved words are no path and no keyword in an expression."""
        names = ["a.b.c", "a/b", "a:b@c+d-e_f", "size", "NULL", "models", "0", "x" * 128, "A", "a", "user_id"]
        for number, name in enumerate(names, 1):
            models.declare(alice, name, number)
        assert models.list_model_versions(alice) == {name: number for number, name in enumerate(names, 1)}

    def test_the_list_is_in_order(self, models: ModelVersionRepository, alice: str) -> None:
        for name in ("b", "a", "C"):
            models.declare(alice, name, 1)
        assert list(models.list_model_versions(alice)) == ["C", "a", "b"]


class TestTheMost:
    @pytest.fixture
    def full(self, manager: DatabaseManager, alice: str) -> None:
        entries = {f"m{number}": {"dimension": 2} for number in range(MAX_MODEL_VERSIONS)}
        put_user(manager, alice, models=entries)

    @pytest.mark.usefixtures("full")
    def test_one_more_is_refused(
        self, embeddings: EmbeddingRepository, models: ModelVersionRepository, alice: str
    ) -> None:
        with pytest.raises(Conflict, match="100 model versions"):
            embeddings.store_embedding(embedding(alice, 2))
        assert len(models.list_model_versions(alice)) == MAX_MODEL_VERSIONS
        assert embeddings.last_change(alice, MODEL) is None

    @pytest.mark.usefixtures("full")
    def test_those_that_are_there_are_used_on(self, embeddings: EmbeddingRepository, alice: str) -> None:
        assert embeddings.store_embedding(embedding(alice, 2, model_version="m99")).is_new
        with pytest.raises(InvalidRequest):
            embeddings.store_embedding(embedding(alice, 3, model_version="m99"))

    @unlike(MOTO_IS_NOT_ATOMIC)
    def test_many_at_once_do_not_pass_it(self, engine: Engine, manager: DatabaseManager, alice: str) -> None:
        entries = {f"m{number}": {"dimension": 2} for number in range(MAX_MODEL_VERSIONS - 3)}
        put_user(manager, alice, models=entries)

        def declare(number: int) -> bool:
            try:
                ModelVersionRepository(engine.manager()).declare(alice, f"new{number}", 2)
            except Conflict:
                return False
            return True

        with ThreadPoolExecutor(10) as pool:
            assert sum(pool.map(declare, range(10))) == 3
        assert len(ModelVersionRepository(manager).list_model_versions(alice)) == MAX_MODEL_VERSIONS
