"""Model versions where an engine alone does not show it: what is asked for, remembered and given up."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.database import DatabaseManager, ModelVersionRepository, settled
from shared.database.attempts import Attempts
from shared.database.failures import ConditionRefused
from shared.database.model_versions import MAX_MODEL_VERSIONS, check_dimension
from shared.database.settled import Declaration, Settled
from shared.errors import Conflict, InvalidRequest, TooManyRequests, Unavailable
from shared.models.fields import now
from tests.conftest import ALICE, BOB
from tests.support.faults import answering, faulty, recorded, requests_sent

MODEL = "model-1"


@pytest.fixture
def models(manager: DatabaseManager) -> ModelVersionRepository:
    return ModelVersionRepository(manager)


def test_a_first_declaration_makes_the_row_and_the_entry(
    models: ModelVersionRepository, manager: DatabaseManager
) -> None:
    with recorded(manager) as calls:
        models.declare(ALICE, MODEL, 3)
    assert calls == ["GetItem", "UpdateItem", "PutItem", "UpdateItem"]
    with recorded(manager) as calls:
        models.declare(ALICE, "model-2", 3)
    assert calls == ["GetItem", "UpdateItem"]


def test_reads_are_of_the_latest(models: ModelVersionRepository, manager: DatabaseManager) -> None:
    with requests_sent(manager) as sent:
        models.dimension_of(ALICE, MODEL)
        models.list_model_versions(ALICE)
    assert [parameters["ConsistentRead"] for _, parameters in sent] == [True, True]
    assert [parameters["ProjectionExpression"] for _, parameters in sent] == ["#models.#model", "#models"]


class TestMemory:
    def test_it_is_by_owner_and_model(self, models: ModelVersionRepository) -> None:
        models.declare(ALICE, "m", 3)
        models.declare(BOB, "m", 4)
        models.declare(ALICE, "n", 5)
        found = [models.dimension_of(*of) for of in ((ALICE, "m"), (BOB, "m"), (ALICE, "n"), (BOB, "n"))]
        assert found == [3, 4, 5, None]

    def test_what_is_not_there_is_not_remembered(
        self, models: ModelVersionRepository, manager: DatabaseManager
    ) -> None:
        assert models.dimension_of(ALICE, MODEL) is None
        other = DatabaseManager(manager.settings, manager.client)
        ModelVersionRepository(other).declare(ALICE, MODEL, 3)
        assert models.dimension_of(ALICE, MODEL) == 3

    def test_it_is_bounded(self, models: ModelVersionRepository, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(settled, "_MAX_SETTLED", 3)
        for number in range(8):
            models.declare(ALICE, f"m{number}", number + 1)
        assert len(models._manager.settled) <= 3
        assert [models.dimension_of(ALICE, f"m{number}") for number in range(8)] == list(range(1, 9))

    def test_a_refusal_is_remembered_as_who_was_first(
        self, models: ModelVersionRepository, manager: DatabaseManager
    ) -> None:
        """Somebody else decides between the read and the write."""
        other = ModelVersionRepository(DatabaseManager(manager.settings, manager.client))
        other.declare(ALICE, "other", 1)
        models.declare(ALICE, "other", 1)

        class Late(ModelVersionRepository):
            def _settle(self, *given: Any) -> Declaration:
                other.declare(ALICE, MODEL, 7)
                return super()._settle(*given)

        with pytest.raises(InvalidRequest, match="does not fit"):
            Late(manager).declare(ALICE, MODEL, 3)
        with recorded(manager) as calls:
            assert models.dimension_of(ALICE, MODEL) == 7
        assert calls == []


class TestFailures:
    @pytest.mark.parametrize(
        ("status", "code", "error"),
        [(400, "ThrottlingException", TooManyRequests), (500, "InternalServerError", Unavailable)],
    )
    def test_they_are_told_and_not_remembered(
        self,
        models: ModelVersionRepository,
        manager: DatabaseManager,
        monkeypatch: pytest.MonkeyPatch,
        status: int,
        code: str,
        error: type[Exception],
    ) -> None:
        monkeypatch.setattr("time.sleep", lambda seconds: None)
        with faulty(manager, answering(status, code)), pytest.raises(error):
            models.declare(ALICE, MODEL, 3)
        assert models.dimension_of(ALICE, MODEL) is None
        models.declare(ALICE, MODEL, 4)
        assert models.dimension_of(ALICE, MODEL) == 4

    def test_a_row_that_refuses_for_no_reason_of_ours_is_no_endless_loop(self) -> None:
        """It has room and lacks the model: an engine that says so all the same is not asked for ever."""
        row = {"user_id": ALICE, "models": {}}
        calls: list[str] = []

        def call(operation: str, **_: object) -> dict[str, Any]:
            calls.append(operation)
            if operation == "update_item":
                raise ConditionRefused(row, Attempts())
            return {}

        fake = SimpleNamespace(call=call, settings=SimpleNamespace(users_table="t"), settled=Settled())
        with pytest.raises(Conflict):
            ModelVersionRepository(cast(DatabaseManager, fake)).declare(ALICE, MODEL, 3)
        assert len(calls) <= 4


@given(dimension=st.integers(1, 5), expected=st.integers(1, 5))
def test_dimensions_are_compared(dimension: int, expected: int) -> None:
    if dimension == expected:
        check_dimension(dimension, expected, MODEL)
        return
    with pytest.raises(InvalidRequest) as refused:
        check_dimension(dimension, expected, MODEL)
    (fault,) = refused.value.errors
    assert fault.message == f"has {dimension} components; the vectors of {MODEL} have {expected}"


def test_an_owners_profile_holds_the_most_there_may_be(
    models: ModelVersionRepository, manager: DatabaseManager
) -> None:
    """Names of the longest kind, all of them: the row stays far below what an item may hold."""
    names = [f"{number:03}".ljust(128, "x") for number in range(MAX_MODEL_VERSIONS)]
    entry = {"dimension": 4096, "created_at": now()}
    manager.get_users_table().put_item(Item={"user_id": ALICE, "models": dict.fromkeys(names[1:], entry)})
    models.declare(ALICE, names[0], 4096)
    with pytest.raises(Conflict, match="There are 100 model versions, which is the most"):
        models.declare(ALICE, "one-more", 1)
    assert len(models.list_model_versions(ALICE)) == MAX_MODEL_VERSIONS
