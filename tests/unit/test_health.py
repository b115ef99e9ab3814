"""The open health check: what it asks, what it tells, and that it can read no row."""

import pytest

from shared import __version__
from shared.database import DatabaseManager
from shared.database.health import PROBE, failing_tables
from tests.support.api import Api
from tests.support.faults import answering, faulty, raising, recorded
from tests.support.problems import assert_problem

TABLES = {"users": "k9-users-test", "reports": "k9-reports-test", "embeddings": "k9-embeddings-test"}


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)


def test_all_is_well(manager: DatabaseManager) -> None:
    with recorded(manager) as operations:
        answer = Api().get("/health")
    assert (answer.status, answer.json()) == (200, {"status": "ok", "version": __version__})
    assert operations == ["GetItem"] * 3


def test_it_takes_no_token_and_minds_none(manager: DatabaseManager) -> None:
    assert Api(token="garbage").get("/health").status == 200


@pytest.mark.parametrize("gone", [["users"], ["reports"], ["embeddings"], ["users", "embeddings"]])
def test_a_table_that_is_gone_is_named(manager: DatabaseManager, gone: list[str]) -> None:
    for subject in gone:
        manager.client.delete_table(TableName=TABLES[subject])
    answer = Api().get("/health")
    assert_problem(answer, 503, "unavailable", pointers=[f"/tables/{subject}" for subject in gone], instance="/health")
    assert __version__ in answer.json()["detail"]


@pytest.mark.parametrize("code", ["ThrottlingException", "AccessDeniedException", "ResourceNotFoundException"])
def test_any_answered_error_is_not_an_answer(manager: DatabaseManager, code: str) -> None:
    with faulty(manager, answering(400, code)) as fault:
        assert list(failing_tables(manager)) == list(TABLES)
    assert fault.fired >= 3


def test_an_open_route_reads_a_key_that_no_user_can_own(manager: DatabaseManager) -> None:
    """`sub` is a UUID; the function's permissions allow this key alone."""
    assert PROBE == {"S": "#health"}


def test_a_defect_is_not_passed_off_as_an_outage(manager: DatabaseManager) -> None:
    with faulty(manager, raising(RuntimeError("canary"))) as fault:
        answer = Api().get("/health")
    assert fault.fired == 1
    assert_problem(answer, 500, "internal-error")
