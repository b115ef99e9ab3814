"""Deleting by filter in steps: what a step counts, and where the next one goes on."""

from collections.abc import Callable, Sequence
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.database import DBProductEmbedding, EmbeddingRepository, Terms
from shared.database.cursors import Position, decode_cursor, encode_cursor
from shared.database.embedding_deletion import STEP_ROWS, DeletionStep, delete_step
from shared.database.embeddings import EmbeddingPage
from shared.errors import (
    ApiError,
    Conflict,
    InvalidRequest,
    MalformedRequest,
    NotFound,
    OutcomeUnknown,
    PreconditionFailed,
    TooManyRequests,
    Unavailable,
)
from shared.models.fields import timestamp
from shared.models.filters import parse_filter
from shared.models.vector import Vector
from tests.support.changing_table import Clock

EVERY = parse_filter({})
WANTED = parse_filter({"wanted": True})


def failing_once(*errors: ApiError) -> Callable[[], None]:
    """Raises each of the errors once, and nothing from then on."""
    left = list(errors)

    def fail() -> None:
        if left:
            raise left.pop(0)

    return fail


class Table:
    """The rows of one model version, oldest change first; `faults` are what a delete of a product runs into."""

    def __init__(self, products: Sequence[str], wanted: Sequence[str] | None = None) -> None:
        self.clock = Clock()
        self.rows: list[DBProductEmbedding] = []
        self.faults: dict[str, Callable[[], None]] = {}
        self.deletes: list[str] = []
        for product_id in products:
            self.store(product_id, wanted=wanted is None or product_id in wanted)

    def store(self, product_id: str, *, wanted: bool = True) -> None:
        version = max([row.version for row in self.rows if row.product_id == product_id], default=0) + 1
        self.rows = [row for row in self.rows if row.product_id != product_id]
        self.clock.pass_by(microseconds=1)
        row = DBProductEmbedding(
            product_id=product_id,
            user_id="alice",
            model_version="m",
            embedding_vector=Vector.of([1]),
            product={"wanted": wanted},
            created_at=timestamp(self.clock.now),
            version=version,
        )
        self.rows.append(row)

    def list_embeddings(
        self,
        user_id: str,
        model_version: str,
        limit: int,
        cursor: str | None,
        *,
        newest_first: bool,
        include_vectors: bool,
    ) -> EmbeddingPage:
        assert (user_id, model_version, newest_first, include_vectors) == ("alice", "m", False, False)
        start = decode_cursor(cursor) if cursor is not None else Position("", "")
        left = [row for row in self.rows if (row.updated_at, row.product_id) > (start.time, start.id)]
        page, more = left[:limit], left[limit:]
        return EmbeddingPage(page, encode_cursor(Position(page[-1].updated_at, page[-1].product_id)) if more else None)

    def delete_embedding(self, product_id: str, user_id: str, model_version: str, terms: Terms) -> None:
        assert (user_id, model_version) == ("alice", "m")
        self.deletes.append(product_id)
        self.faults.get(product_id, lambda: None)()
        row = next((row for row in self.rows if row.product_id == product_id), None)
        if row is None:
            raise NotFound("There is no such embedding.")
        assert terms.versions is not None
        if row.version not in terms.versions:
            raise PreconditionFailed("The embedding has changed.")
        self.rows = [row for row in self.rows if row.product_id != product_id]

    @property
    def ids(self) -> list[str]:
        return [row.product_id for row in self.rows]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Throttled calls are reported at once."""
    monkeypatch.setattr("shared.database.parallel._THROTTLED_FOR_SECONDS", -1.0)


def step(table: Table, continuation: str | None = None, *, is_dry_run: bool = False) -> DeletionStep:
    repository = cast(EmbeddingRepository, table)
    return delete_step(repository, "alice", "m", WANTED, continuation, is_dry_run=is_dry_run)


def all_steps(table: Table, *, is_dry_run: bool = False) -> list[DeletionStep]:
    done = [step(table, is_dry_run=is_dry_run)]
    while done[-1].continuation is not None:
        assert len(done) < 50, "the steps did not end"
        done.append(step(table, done[-1].continuation, is_dry_run=is_dry_run))
    return done


def ids(count: int) -> list[str]:
    return [f"p{number:03}" for number in range(count)]


class TestSteps:
    def test_nothing_there(self) -> None:
        assert step(Table([])) == DeletionStep(examined=0, matched=0, deleted=0, continuation=None)

    def test_what_matches_is_deleted_and_the_rest_is_not(self) -> None:
        table = Table(ids(5), wanted=["p001", "p004"])
        assert step(table) == DeletionStep(examined=5, matched=2, deleted=2, continuation=None)
        assert table.ids == ["p000", "p002", "p003"]
        assert sorted(table.deletes) == ["p001", "p004"]

    def test_a_step_examines_so_many_and_the_next_goes_on(self) -> None:
        table = Table(ids(STEP_ROWS + 3), wanted=ids(1) + ids(STEP_ROWS + 3)[-1:])
        first = step(table)
        assert (first.examined, first.matched, first.deleted) == (STEP_ROWS, 1, 1)
        assert first.continuation is not None
        assert step(table, first.continuation) == DeletionStep(examined=3, matched=1, deleted=1, continuation=None)

    def test_exactly_one_step_full_is_the_last(self) -> None:
        assert step(Table(ids(STEP_ROWS))).continuation is None

    def test_a_dry_run_walks_alike_and_deletes_nothing(self) -> None:
        table = Table(ids(2 * STEP_ROWS + 1), wanted=ids(2 * STEP_ROWS + 1)[::2])
        steps = all_steps(table, is_dry_run=True)
        assert [(one.examined, one.matched, one.deleted) for one in steps] == [(200, 100, 0), (200, 100, 0), (1, 1, 0)]
        assert table.deletes == []
        assert len(table.rows) == 2 * STEP_ROWS + 1

    def test_a_continuation_that_is_none_of_ours(self) -> None:
        table = Table(ids(2))
        with pytest.raises(MalformedRequest):
            step(table, "nonsense")
        assert table.deletes == []

    @given(wanted=st.sets(st.integers(0, 29)), size=st.integers(1, 12))
    @settings(max_examples=50)
    def test_whatever_the_size_of_a_step_all_that_match_are_gone(self, wanted: set[int], size: int) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("shared.database.embedding_deletion.STEP_ROWS", size)
            table = Table(ids(30), wanted=[f"p{number:03}" for number in wanted])
            steps = all_steps(table)
        assert table.ids == [f"p{number:03}" for number in range(30) if number not in wanted]
        assert (sum(one.examined for one in steps), sum(one.deleted for one in steps)) == (30, len(wanted))


class TestMeanwhile:
    def test_a_row_that_changed_is_left_to_a_later_step(self) -> None:
        """It moved to the end, where it is met again and judged as it then is."""
        table = Table(ids(4), wanted=["p000", "p001", "p002"])
        table.faults = {
            "p000": lambda: table.store("p000", wanted=False),
            "p001": lambda: table.store("p001", wanted=True),
        }
        first = step(table)
        assert (first.examined, first.matched, first.deleted, first.continuation) == (4, 3, 1, None)
        table.faults = {}
        assert step(table).deleted == 1
        assert table.ids == ["p003", "p000"]

    def test_a_row_that_another_deleted_is_not_counted(self) -> None:
        table = Table(ids(3))
        table.faults = {"p001": failing_once(NotFound("There is no such embedding."))}
        first = step(table)
        assert (first.matched, first.deleted, first.continuation) == (3, 2, None)

    def test_a_change_during_a_walk_is_met_further_on(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("shared.database.embedding_deletion.STEP_ROWS", 2)
        table = Table(ids(5))
        table.faults = {"p000": lambda: table.store("p000") if table.deletes.count("p000") == 1 else None}
        assert [one.deleted for one in all_steps(table)] == [1, 2, 2]
        assert table.ids == []


FAILURES: list[ApiError] = [TooManyRequests(), Unavailable("Down."), OutcomeUnknown()]


@pytest.mark.parametrize("error", FAILURES, ids=lambda error: type(error).__name__)
class TestFailures:
    @pytest.mark.parametrize("failing", ["p000", "p001", "p003", "p004"])
    def test_the_next_step_begins_before_the_first_of_them(self, error: ApiError, failing: str) -> None:
        table = Table(ids(5), wanted=["p000", "p001", "p003", "p004"])
        table.faults = {failing: failing_once(error)}
        first = step(table)
        assert (first.examined, first.matched, first.deleted) == (5, 4, 3)
        assert first.continuation is not None
        assert table.ids == sorted({"p002", failing})
        last = step(table, first.continuation)
        assert (last.matched, last.deleted, last.continuation) == (1, 1, None)
        assert table.ids == ["p002"]

    def test_of_several_the_first_decides(self, error: ApiError) -> None:
        table = Table(ids(6))
        table.faults = {product_id: failing_once(error) for product_id in ("p002", "p004", "p005")}
        steps = all_steps(table)
        assert [one.deleted for one in steps] == [3, 3]
        assert table.ids == []

    def test_the_first_row_of_a_later_step(self, error: ApiError, monkeypatch: pytest.MonkeyPatch) -> None:
        """There the step goes on where it went on itself."""
        monkeypatch.setattr("shared.database.embedding_deletion.STEP_ROWS", 3)
        table = Table(ids(6))
        first = step(table)
        table.faults = {"p003": failing_once(error)}
        second = step(table, first.continuation)
        assert second.continuation == first.continuation
        assert step(table, second.continuation).deleted == 1
        assert table.ids == []

    def test_a_step_that_deleted_nothing_is_that_error(self, error: ApiError) -> None:
        table = Table(ids(3))
        table.faults = {product_id: failing_once(error) for product_id in table.ids}
        with pytest.raises(type(error)) as raised:
            step(table)
        assert raised.value is error
        assert table.ids == ids(3)
        assert step(table).deleted == 3

    def test_what_changed_meanwhile_is_no_deletion(self, error: ApiError) -> None:
        table = Table(ids(2))
        table.faults = {"p000": lambda: table.store("p000"), "p001": failing_once(error)}
        with pytest.raises(type(error)):
            step(table)

    def test_a_dry_run_cannot_fail_so(self, error: ApiError) -> None:
        table = Table(ids(2))
        table.faults = {"p000": failing_once(error)}
        assert step(table, is_dry_run=True).matched == 2


@pytest.mark.parametrize("error", [Conflict("No time."), InvalidRequest("No.")], ids=lambda error: type(error).__name__)
def test_what_can_never_be_deleted_holds_up_nothing(error: ApiError) -> None:
    """Were it a failure to come back to, no step would ever get past it."""

    def fail() -> None:
        raise error

    table = Table(ids(4))
    table.faults = {"p001": fail}
    assert [one.deleted for one in all_steps(table)] == [3]
    assert [one.deleted for one in all_steps(table)] == [0]
    assert table.ids == ["p001"]


def test_a_defect_is_no_outcome() -> None:
    def fail() -> None:
        raise LookupError

    table = Table(ids(2))
    table.faults = {"p001": fail}
    with pytest.raises(LookupError):
        step(table)


def test_the_filter_sees_the_product_alone() -> None:
    table = Table(ids(2))
    repository = cast(EmbeddingRepository, table)
    assert delete_step(repository, "alice", "m", parse_filter({"product_id": "p000"})).matched == 0
    assert delete_step(repository, "alice", "m", EVERY).deleted == 2
