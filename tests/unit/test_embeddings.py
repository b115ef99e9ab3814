"""The embeddings repository where an engine alone does not show it: leftovers, bounds, and what it asks for."""

import json
import time
import uuid
from collections.abc import Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import pytest

from shared.database import DatabaseManager, DBProductEmbedding, EmbeddingRepository, Terms, WriteId
from shared.database.attributes import to_item
from shared.database.embeddings import SEND_WITHIN_SECONDS
from shared.database.writes import has_made
from shared.errors import ApiError, OutcomeUnknown, PreconditionFailed, TooManyRequests, Unavailable
from shared.models.vector import Vector
from shared.scope import request_scope
from shared.similarity.snapshot import OVERLAP
from tests.conftest import ALICE
from tests.support.faults import answering, faulty, garbled, recorded, requests_sent

MODEL = "model-1"


def embedding(product_id: str = "p", owner: str = ALICE, **fields: Any) -> DBProductEmbedding:
    vector = Vector.of([1, 2])
    return DBProductEmbedding(
        product_id=product_id, user_id=owner, **{"model_version": MODEL, "embedding_vector": vector, **fields}
    )


@pytest.fixture
def embeddings(manager: DatabaseManager) -> EmbeddingRepository:
    return EmbeddingRepository(manager)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pauses that take no time; throttled calls of a batch are reported at once."""
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    monkeypatch.setattr("shared.database.parallel._THROTTLED_FOR_SECONDS", -1.0)
    return slept


class Batches:
    """A manager that answers a batch read with so many of the keys, and leaves the others unprocessed."""

    def __init__(self, *answered: int) -> None:
        self.settings = SimpleNamespace(embeddings_table="t")
        self.answered = list(answered)
        self.asked: list[list[str]] = []

    def call(self, operation: str, *, RequestItems: dict[str, Any]) -> dict[str, Any]:
        assert operation == "batch_get_item"
        wanted = RequestItems["t"]
        assert wanted["ConsistentRead"]
        keys = wanted["Keys"]
        self.asked.append([key["product_id"]["S"] for key in keys])
        count = self.answered.pop(0) if self.answered else len(keys)
        rows = [{**key, **to_item({"product": {}})} for key in keys[:count]]
        answer: dict[str, Any] = {"Responses": {"t": rows} if rows else {}}
        if keys[count:]:
            answer["UnprocessedKeys"] = {"t": {**wanted, "Keys": keys[count:]}}
        return answer

    def repository(self) -> EmbeddingRepository:
        return EmbeddingRepository(cast(DatabaseManager, self))


class TestBatchReads:
    def test_what_was_left_out_is_asked_for_again(self, pauses: list[float]) -> None:
        batches = Batches(1, 0, 1)
        found = batches.repository().get_products(["a", "b", "c"], ALICE, MODEL)
        assert found == {"a": {}, "b": {}, "c": {}}
        assert batches.asked == [["a", "b", "c"], ["b", "c"], ["b", "c"], ["c"]]
        assert len(pauses) == 3

    def test_nothing_is_paused_for_where_nothing_was_left_out(self, pauses: list[float]) -> None:
        batches = Batches()
        wanted = [f"p{number}" for number in range(250)]
        assert list(batches.repository().get_products(wanted, ALICE, MODEL)) == wanted
        assert [len(asked) for asked in batches.asked] == [100, 100, 50]
        assert pauses == []

    def test_each_hundred_has_leftovers_of_its_own(self, pauses: list[float]) -> None:
        batches = Batches(99)
        wanted = [f"p{number}" for number in range(101)]
        assert batches.repository().get_products(wanted, ALICE, MODEL).keys() == set(wanted)
        assert [len(asked) for asked in batches.asked] == [100, 1, 1]

    def test_whole_rows_are_read_in_smaller_batches_side_by_side(self, pauses: list[float]) -> None:
        batches = Batches()
        wanted = [f"p{number}" for number in range(60)]
        assert list(batches.repository().find_embeddings([*wanted, "p0"], ALICE, MODEL)) == wanted
        assert sorted(len(asked) for asked in batches.asked) == [10, 25, 25]
        assert batches.repository().find_embeddings([], ALICE, MODEL) == {}
        assert pauses == []

    def test_what_was_left_out_of_whole_rows_is_asked_for_again(self, pauses: list[float]) -> None:
        batches = Batches(1, 0, 1)
        found = batches.repository().find_embeddings(["a", "b", "c"], ALICE, MODEL)
        assert found.keys() == {"a", "b", "c"}
        assert batches.asked == [["a", "b", "c"], ["b", "c"], ["b", "c"], ["c"]]

    def test_a_batch_of_whole_rows_that_fails_fails_them_all(
        self, embeddings: EmbeddingRepository, manager: DatabaseManager, pauses: list[float]
    ) -> None:
        with faulty(manager, answering(400, "ThrottlingException"), after=1) as fault, pytest.raises(TooManyRequests):
            embeddings.find_embeddings([f"p{number}" for number in range(30)], ALICE, MODEL)
        assert fault.fired

    def test_a_request_does_not_go_on_for_ever(
        self, embeddings: EmbeddingRepository, manager: DatabaseManager, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        passed = 0.0

        def sleep(_: float) -> None:
            nonlocal passed
            passed += 1

        key = to_item({"product_id": "p", "owner_model": f"{ALICE}#{MODEL}"})
        left = {"Responses": {}, "UnprocessedKeys": {manager.settings.embeddings_table: {"Keys": [key]}}}
        with request_scope() as scope, faulty(manager, garbled(text=json.dumps(left))) as fault:
            monkeypatch.setattr("shared.scope.time", SimpleNamespace(monotonic=lambda: time.monotonic() + passed))
            monkeypatch.setattr("time.sleep", sleep)
            with pytest.raises(Unavailable, match="ran out of time"):
                embeddings.get_products(["p"], ALICE, MODEL)
        assert fault.fired == scope.aws_calls == 9

    @pytest.mark.usefixtures("pauses")
    def test_throttling_is_told(self, embeddings: EmbeddingRepository, manager: DatabaseManager) -> None:
        throttled = answering(400, "ProvisionedThroughputExceededException")
        with faulty(manager, throttled), pytest.raises(TooManyRequests):
            embeddings.get_products(["p"], ALICE, MODEL)


class TestBatchWrites:
    @pytest.mark.usefixtures("pauses")
    def test_what_was_throttled_is_reported_and_can_be_repeated(
        self, embeddings: EmbeddingRepository, manager: DatabaseManager
    ) -> None:
        embeddings.store_embedding(embedding("first"))
        given, write = [embedding(f"p{number}") for number in range(6)], WriteId(fingerprint="f" * 32)
        with faulty(manager, answering(400, "ThrottlingException"), times=4) as fault:
            outcomes = embeddings.store_embeddings(given, write)
        assert fault.fired == 4
        again = embeddings.store_embeddings(given, write)
        assert [type(outcome) for outcome in again] == [DBProductEmbedding] * 6
        for before, after in zip(outcomes, again, strict=True):
            assert isinstance(before, TooManyRequests) or before == after
        assert {row.version for row in embeddings.get_embeddings_by_model(ALICE, MODEL)} == {1}

    @pytest.mark.usefixtures("pauses")
    def test_all_of_them(self, embeddings: EmbeddingRepository, manager: DatabaseManager) -> None:
        embeddings.store_embedding(embedding("first"))
        with faulty(manager, answering(400, "ThrottlingException")):
            outcomes = embeddings.store_embeddings([embedding("a"), embedding("b")])
        assert [type(outcome) for outcome in outcomes] == [TooManyRequests] * 2
        with faulty(manager, answering(500, "InternalServerError")):
            outcomes = embeddings.store_embeddings([embedding("a"), embedding("b")])
        assert [type(outcome) for outcome in outcomes] == [OutcomeUnknown] * 2

    def test_each_item_has_a_write_id_of_its_own(
        self, embeddings: EmbeddingRepository, manager: DatabaseManager
    ) -> None:
        """A repeat derives the same ones; of two batches none is alike; none is the batch's own."""
        embeddings.store_embeddings([embedding("a"), embedding("b")])
        ids = []
        for write in (WriteId(), WriteId()):
            for _ in range(2):
                with requests_sent(manager) as sent:
                    embeddings.store_embeddings([embedding("a"), embedding("b")], write)
                values = [parameters["ExpressionAttributeValues"] for _, parameters in sent]
                ids.append({value[":write_1"]["S"].split(" ")[1] for value in values})
            assert write.id not in ids[-1]
        assert ids[0] == ids[1] != ids[2] == ids[3]
        assert len(ids[0] | ids[2]) == 4
        assert {uuid.UUID(one).version for one in ids[0]} == {5}


class TestCalls:
    def test_a_store(self, embeddings: EmbeddingRepository, manager: DatabaseManager) -> None:
        with recorded(manager) as calls:
            embeddings.store_embedding(embedding())
            first = list(calls)
            calls.clear()
            embeddings.store_embedding(embedding())
        assert first == ["GetItem", "UpdateItem", "PutItem", "UpdateItem", "UpdateItem"]
        assert calls == ["UpdateItem"]

    def test_reads(self, embeddings: EmbeddingRepository, manager: DatabaseManager) -> None:
        embeddings.store_embedding(embedding())
        for call, expected in (
            (partial(embeddings.get_embedding, "p", ALICE, MODEL), ["GetItem"]),
            (partial(embeddings.list_embeddings, ALICE, MODEL), ["Query"]),
            (partial(embeddings.last_change, ALICE, MODEL), ["Query"]),
            (partial(embeddings.get_products, ["p"], ALICE, MODEL), ["BatchGetItem"]),
            (partial(embeddings.update_product, "p", ALICE, MODEL, {}), ["UpdateItem"]),
            (partial(embeddings.delete_embedding, "p", ALICE, MODEL), ["UpdateItem"]),
        ):
            with recorded(manager) as calls:
                call()
            assert calls == expected

    @pytest.mark.parametrize("limit", [1, 2, 3, 100])
    def test_a_page_is_one_call(self, embeddings: EmbeddingRepository, manager: DatabaseManager, limit: int) -> None:
        """Also one that is full exactly at the end: a row more is asked for, which would tell of a successor."""
        for product_id in ("a", "b", "c"):
            embeddings.store_embedding(embedding(product_id))
        with recorded(manager) as calls:
            page = embeddings.list_embeddings(ALICE, MODEL, limit)
        assert (len(page.embeddings), page.next_cursor is None) == (min(limit, 3), limit >= 3)
        assert calls == ["Query"]

    def test_it_works_on_the_class(self, manager: DatabaseManager) -> None:
        stored = EmbeddingRepository.store_embedding(embedding())
        assert EmbeddingRepository.get_embedding("p", ALICE, MODEL) == stored.model_copy(update={"is_new": False})

    def test_a_page_takes_ever_longer_ones_where_rows_are_left_out(
        self, embeddings: EmbeddingRepository, manager: DatabaseManager, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One tombstone in the way costs little, many take few calls; and no page of the table is longer than so."""
        monkeypatch.setattr("shared.database.embeddings._MOST_ROWS", 10)
        for number in range(40):
            embeddings.store_embedding(embedding(f"p{number}"))
        for number in range(39, 4, -1):
            embeddings.delete_embedding(f"p{number}", ALICE, MODEL)
        with requests_sent(manager) as sent:
            page = embeddings.list_embeddings(ALICE, MODEL, 1)
        assert [row.product_id for row in page.embeddings] == ["p4"]
        assert [parameters["Limit"] for _, parameters in sent] == [2, 4, 8, 10, 10, 10]

    def test_one_tombstone_among_them_costs_a_second_short_page(
        self, embeddings: EmbeddingRepository, manager: DatabaseManager
    ) -> None:
        for number in range(30):
            embeddings.store_embedding(embedding(f"p{number}"))
        embeddings.delete_embedding("p7", ALICE, MODEL)
        with requests_sent(manager) as sent:
            page = embeddings.list_embeddings(ALICE, MODEL, 20)
        assert len(page.embeddings) == 20
        assert [parameters["Limit"] for _, parameters in sent] == [21, 42]

    def test_a_page_ends_after_so_many_of_the_tables(
        self, embeddings: EmbeddingRepository, manager: DatabaseManager, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("shared.database.embeddings._MOST_ROWS", 2)
        monkeypatch.setattr("shared.database.embeddings._MAX_PAGES", 3)
        for number in range(8):
            embeddings.store_embedding(embedding(f"p{number}"))
        for number in range(7, 0, -1):
            embeddings.delete_embedding(f"p{number}", ALICE, MODEL)
        with recorded(manager) as calls:
            page = embeddings.list_embeddings(ALICE, MODEL, 1)
        assert (page.embeddings, page.next_cursor is None, calls) == ([], False, ["Query"] * 3)
        rest = embeddings.list_embeddings(ALICE, MODEL, 1, page.next_cursor)
        assert [row.product_id for row in rest.embeddings] == ["p0"]

    def test_a_dimension_is_asked_for_where_a_row_does_not_state_it(
        self, embeddings: EmbeddingRepository, manager: DatabaseManager
    ) -> None:
        embeddings.store_embedding(embedding())
        row = {
            "product_id": "q",
            "owner_model": f"{ALICE}#{MODEL}",
            "user_id": ALICE,
            "updated_at": "2025-01-01T00:00:00.000000Z",
            "embedding_vector": [3, 4],
        }
        manager.call("put_item", TableName=manager.settings.embeddings_table, Item=to_item(row))
        for known, expected in ((True, ["Query"]), (False, ["Query", "GetItem"])):
            if not known:
                manager.settled.clear()
            with recorded(manager) as calls:
                page = embeddings.list_embeddings(ALICE, MODEL, include_vectors=False)
            assert [row.vector_dimension for row in page.embeddings] == [2, 2]
            assert calls == expected

    def test_a_store_of_a_version_declares_nothing(
        self, embeddings: EmbeddingRepository, manager: DatabaseManager
    ) -> None:
        with recorded(manager) as calls, pytest.raises(PreconditionFailed):
            embeddings.store_embedding(embedding(), Terms(versions=[1]))
        assert calls == ["GetItem"]
        embeddings.store_embedding(embedding())
        with recorded(manager) as calls:
            assert embeddings.store_embedding(embedding(), Terms(versions=[1])).version == 2
        assert calls == ["UpdateItem"]

    def test_iterators_ask_as_they_go(self, embeddings: EmbeddingRepository, manager: DatabaseManager) -> None:
        with recorded(manager) as calls:
            found: Iterator[Any] = embeddings.get_embeddings_by_model(ALICE, MODEL)
            changes = embeddings.changes_since(ALICE, MODEL, None)
            assert calls == []
            assert (list(found), list(changes)) == ([], [[]])
            assert calls == ["Query"] * 2


class TestTime:
    def test_a_reader_looks_back_further_than_a_try_may_be_late(self) -> None:
        """With seconds to spare for clocks that differ and an index that lags."""
        assert OVERLAP.total_seconds() >= 2 * SEND_WITHIN_SECONDS

    def test_every_write_is_sent_within_that_time(
        self, embeddings: EmbeddingRepository, manager: DatabaseManager, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[float | None] = []
        call = manager.call

        def watched(operation: Any, *, send_by: float | None = None, **parameters: Any) -> dict[str, Any]:
            asked.append(send_by)
            return call(operation, send_by=send_by, **parameters)

        embeddings.store_embedding(embedding())
        monkeypatch.setattr(manager, "call", watched)
        begun = time.monotonic()
        embeddings.store_embedding(embedding())
        embeddings.update_product("p", ALICE, MODEL, {})
        embeddings.delete_embedding("p", ALICE, MODEL)
        assert len(asked) == 3
        assert all(
            send_by is not None and begun < send_by - SEND_WITHIN_SECONDS <= time.monotonic() for send_by in asked
        )


class TestWhereOthersWriteAllTheTime:
    @pytest.mark.usefixtures("pauses")
    def test_it_gives_up_and_has_changed_nothing(
        self, embeddings: EmbeddingRepository, manager: DatabaseManager, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each time this clock is set beyond the row's, another writer is later still."""
        other, monotonous = EmbeddingRepository(manager), iter(range(10_000))
        monkeypatch.setattr(
            "shared.database.writes.now", lambda: f"2030-01-01T00:00:00.{999_999 - next(monotonous):06}Z"
        )
        embeddings.store_embedding(embedding(product={"n": 0}))
        call = manager.call

        def meanwhile(operation: Any, **parameters: Any) -> dict[str, Any]:
            monkeypatch.setattr(manager, "call", call)
            if operation == "update_item":
                other.update_product("p", ALICE, MODEL, {"theirs": 1})
            monkeypatch.setattr(manager, "call", meanwhile)
            return call(operation, **parameters)

        monkeypatch.setattr(manager, "call", meanwhile)
        with pytest.raises(Unavailable, match="Too many others"):
            embeddings.store_embedding(embedding(product={"mine": 1}))
        monkeypatch.setattr(manager, "call", call)
        found = embeddings.get_embedding("p", ALICE, MODEL)
        assert (found.product, found.version) == ({"theirs": 1}, 21)


class TestReserved:
    def test_nothing_of_the_write_path_is_shown(
        self, embeddings: EmbeddingRepository, manager: DatabaseManager
    ) -> None:
        stored = embeddings.store_embedding(embedding())
        shown = set(vars(stored)) | set(vars(embeddings.get_embedding("p", ALICE, MODEL)))
        assert shown == DBProductEmbedding.model_fields.keys()

    def test_the_register_is_kept_in_a_tombstone(
        self, embeddings: EmbeddingRepository, manager: DatabaseManager
    ) -> None:
        terms = [Terms() for _ in range(4)]
        for number in range(3):
            embeddings.store_embedding(embedding(), terms[number])
        embeddings.delete_embedding("p", ALICE, MODEL, terms[3])
        key = {"product_id": "p", "owner_model": f"{ALICE}#{MODEL}"}
        row = cast(dict[str, Any], manager.get_embeddings_table().get_item(Key=key)["Item"])
        assert all(has_made(row, one.write) for one in terms)


def test_an_error_is_told_by_its_kind(embeddings: EmbeddingRepository) -> None:
    for call in (
        partial(embeddings.get_embedding, "p", ALICE, MODEL),
        partial(embeddings.delete_embedding, "p", ALICE, MODEL),
        partial(embeddings.update_product, "p", ALICE, MODEL, {}),
    ):
        with pytest.raises(ApiError, match=r"^There is no such embedding\.$"):
            call()
