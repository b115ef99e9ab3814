"""Storing any number of embeddings, and deleting what a filter matches."""

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import httpx
import pytest

from k9_api import (
    Forbidden,
    InvalidRequest,
    NewEmbedding,
    NotSendable,
    OutcomeUnknown,
    ProblemError,
    RetryPolicy,
    StoreInterrupted,
    StoreReport,
    TooManyRequests,
    TransportError,
    Unauthenticated,
    Unavailable,
    UnexpectedAnswer,
)
from k9_api.splitting import MAX_BODY_BYTES
from tests.unit.client.world import Surface, World, ok, problem


def item(product_id: str, vector: Any = (1.0, 0.5), **product: object) -> NewEmbedding:
    return NewEmbedding(product_id, "m", vector, product)


def many(count: int) -> Iterator[NewEmbedding]:
    return (item(f"p{number}") for number in range(count))


def stores(problems: Mapping[str, tuple[int, str]] | None = None, status: int = 201) -> Any:
    """An answer that stores every item of its request but those that have a problem."""

    def handle(request: httpx.Request) -> httpx.Response:
        given = json.loads(request.content)["items"]
        results = [_result(index, each["product_id"], problems or {}, status) for index, each in enumerate(given)]
        failed = sum("problem" in each for each in results)
        return ok({"results": results, "stored": len(results) - failed, "failed": failed})

    return handle


def _result(index: int, product_id: str, problems: Mapping[str, tuple[int, str]], status: int) -> dict[str, object]:
    if product_id not in problems:
        return {"index": index, "product_id": product_id, "status": status, "version": 1}
    code, slug = problems[product_id]
    fault = {"pointer": f"/body/items/{index}/x", "message": "is wrong"}
    return {
        "index": index,
        "product_id": product_id,
        "status": code,
        "problem": slug,
        "detail": "No.",
        "errors": [fault],
    }


def sent(world: World) -> list[list[str]]:
    return [[each["product_id"] for each in body["items"]] for body in world.bodies()]


def store(surface: Surface, items: Any, **options: Any) -> StoreReport:
    report: StoreReport = surface.run(lambda client: client.embeddings.store_many(items), **options)
    return report


class TestSplitting:
    def test_by_a_hundred(self, surface: Surface, world: World) -> None:
        world.says(stores(), stores(), stores(status=200))
        report = store(surface, many(250))
        assert [len(batch) for batch in sent(world)] == [100, 100, 50]
        assert (report.created, report.replaced, report.stored, report.failed) == (200, 50, 250, ())
        assert world.header("Idempotency-Key") == ["key-1", "key-2", "key-3"]

    def test_by_size(self, surface: Surface, world: World) -> None:
        world.says(*[stores()] * 10)
        store(surface, (item(f"p{number}", text="ü" * 60_000) for number in range(20)))
        assert [len(request.content) <= MAX_BODY_BYTES for request in world.requests] == [True] * 3
        assert [len(batch) for batch in sent(world)] == [8, 8, 4]

    def test_to_the_last_byte(self, surface: Surface, world: World) -> None:
        """Two items that fill a body exactly go together; one byte more, and they go apart."""
        world.says(stores(), stores(), stores())
        store(surface, [item("a"), item("b")])
        room = MAX_BODY_BYTES - len(world.requests[0].content)
        filler = len('"text":""')
        store(surface, [item("a", text="x" * (room - filler)), item("b")])
        assert len(world.requests[1].content) == MAX_BODY_BYTES
        world.says(stores())
        store(surface, [item("a", text="x" * (room - filler + 1)), item("b")])
        assert sent(world)[2:] == [["a"], ["b"]]

    def test_a_product_that_comes_twice_goes_in_two_batches(self, surface: Surface, world: World) -> None:
        world.says(stores(), stores())
        assert store(surface, [item("a"), item("b"), item("a", price=2)]).stored == 3
        assert sent(world) == [["a", "b"], ["a"]]

    def test_nothing_sends_nothing(self, surface: Surface, world: World) -> None:
        assert store(surface, []) == StoreReport()
        assert world.requests == []

    def test_the_catalogue_goes_along(self, surface: Surface, world: World) -> None:
        world.says(stores())
        surface.run(lambda client: client.embeddings.store_many(many(1), catalogue="shared"))
        assert world.bodies()[0]["catalogue"] == "shared"

    def test_items_are_taken_as_they_are_sent(self, surface: Surface, world: World) -> None:
        taken: list[int] = []

        def items() -> Iterator[NewEmbedding]:
            for number in range(300):
                taken.append(number)
                yield item(f"p{number}")

        world.says(stores(), problem(403, "forbidden"))
        with pytest.raises(StoreInterrupted):
            store(surface, items())
        assert len(taken) == 201

    def test_numbers_are_no_longer_than_float32_needs(self, surface: Surface, world: World) -> None:
        world.says(stores())
        store(surface, [item("a", [0.1, 1 / 3, Decimal("0.123456789"), 1e39, 1], price=Decimal("249.99"))])
        assert (
            b'"embedding_vector":[0.1,0.333333343,0.123456789,1e+39,1.0],"product":{"price":249.99}'
            in world.requests[0].content
        )


class TestFailedItems:
    def test_are_reported_with_their_problem(self, surface: Surface, world: World) -> None:
        world.says(stores({"p1": (422, "invalid-request")}))
        report = store(surface, many(3))
        (failed,) = report.failed
        assert (report.stored, failed.index, failed.item.product_id) == (2, 1, "p1")
        assert isinstance(failed.error, InvalidRequest)
        assert failed.error.errors[0].pointer == "/body/items/1/x"
        assert world.slept == []
        with pytest.raises(InvalidRequest) as caught:
            report.raise_for_failures()
        assert caught.value.__notes__ == ["item 1; 2 items were stored, 1 were not"]

    def test_nothing_failed_raises_nothing(self) -> None:
        StoreReport(1, 2).raise_for_failures()

    def test_a_problem_of_a_newer_api_is_a_problem(self, surface: Surface, world: World) -> None:
        world.says(stores({"p0": (418, "teapot")}))
        error = store(surface, many(1)).failed[0].error
        assert isinstance(error, ProblemError)
        assert (type(error), error.type) == (ProblemError, "urn:k9:problem:teapot")

    @pytest.mark.parametrize("passing", [(429, "too-many-requests"), (503, "unavailable")])
    def test_what_passes_is_sent_again_alone(self, surface: Surface, world: World, passing: tuple[int, str]) -> None:
        world.says(stores({"p1": passing, "p2": (422, "invalid-request")}), stores())
        report = store(surface, many(4))
        assert sent(world) == [["p0", "p1", "p2", "p3"], ["p1"]]
        assert world.header("Idempotency-Key") == ["key-1", "key-2"]
        assert (report.stored, [failed.index for failed in report.failed]) == (3, [2])
        assert world.slept == [1.25]

    def test_an_unknown_outcome_repeats_the_batch_under_its_key(self, surface: Surface, world: World) -> None:
        """The API derives each item's write from the key and its place: alone it would be another write."""
        world.says(stores({"p1": (503, "outcome-unknown"), "p2": (429, "too-many-requests")}), stores(status=200))
        report = store(surface, many(4))
        assert sent(world) == [["p0", "p1", "p2", "p3"]] * 2
        assert world.header("Idempotency-Key") == ["key-1", "key-1"]
        assert world.requests[0].content == world.requests[1].content
        assert (report.created, report.replaced, report.failed) == (2, 2, ())

    def test_a_result_that_is_settled_stays(self, surface: Surface, world: World) -> None:
        """What a repeat says of an item that was stored is not asked for."""
        world.says(stores({"p0": (503, "outcome-unknown")}), stores({"p1": (422, "invalid-request")}))
        assert store(surface, many(2)).stored == 2

    @pytest.mark.parametrize(
        ("slug", "kind"),
        [("unavailable", Unavailable), ("outcome-unknown", OutcomeUnknown), ("too-many-requests", TooManyRequests)],
    )
    def test_what_does_not_pass_in_the_end_is_told(
        self, surface: Surface, world: World, slug: str, kind: type[ProblemError]
    ) -> None:
        world.says(*[stores({"p1": (503, slug)})] * 3, stores())
        report = store(surface, many(101), retries=RetryPolicy(attempts=3))
        assert (report.stored, [type(failed.error) for failed in report.failed]) == (100, [kind])

    def test_nor_later_than_the_deadline(self, surface: Surface, world: World) -> None:
        world.says(*[stores({"p0": (429, "too-many-requests")})] * 2)
        report = store(surface, many(1), retries=RetryPolicy(attempts=99, deadline=2.0))
        assert len(report.failed) == 1
        assert len(world.requests) == 2

    def test_what_cannot_be_sent_stops_nothing(self, surface: Surface, world: World) -> None:
        world.says(stores())
        bad = [
            item("nan", [float("nan")]),
            item("good"),
            item("surrogate", text="\ud800"),
            item("huge", text="x" * MAX_BODY_BYTES),
            item("infinite", price=Decimal("Infinity")),
        ]
        report = store(surface, bad)
        assert sent(world) == [["good"]]
        assert [(failed.index, type(failed.error)) for failed in report.failed] == [
            (0, NotSendable),
            (2, NotSendable),
            (3, NotSendable),
            (4, NotSendable),
        ]
        assert "a body has room for" in str(report.failed[2].error)


class TestInterrupted:
    def test_nothing_is_lost_of_what_is_known(self, surface: Surface, world: World) -> None:
        world.says(stores({"p3": (422, "invalid-request")}), problem(401, "unauthenticated"))
        with pytest.raises(StoreInterrupted) as caught:
            store(surface, many(250))
        report = caught.value.report
        assert isinstance(caught.value.__cause__, Unauthenticated)
        assert (report.stored, caught.value.taken) == (99, 201)
        assert [failed.index for failed in report.failed] == [3, *range(100, 201)]
        assert str(caught.value) == "stopped after 201 items: 99 stored, 102 not"

    def test_a_batch_that_was_stored_in_part(self, surface: Surface, world: World) -> None:
        world.says(stores({"p0": (429, "too-many-requests")}), problem(403, "forbidden"))
        with pytest.raises(StoreInterrupted) as caught:
            store(surface, many(2))
        report = caught.value.report
        assert (report.stored, [type(failed.error) for failed in report.failed]) == (1, [TooManyRequests])

    def test_an_answer_that_never_came(self, surface: Surface, world: World) -> None:
        world.says(*[httpx.ReadTimeout("slow")] * 4)
        with pytest.raises(StoreInterrupted) as caught:
            store(surface, many(1))
        assert world.header("Idempotency-Key") == ["key-1"] * 4
        assert isinstance(caught.value.report.failed[0].error, TransportError)

    @pytest.mark.parametrize("results", [[], [{"index": 1, "product_id": "p0", "status": 201}]], ids=["none", "other"])
    def test_an_answer_that_does_not_speak_of_every_item(
        self, surface: Surface, world: World, results: list[dict[str, object]]
    ) -> None:
        world.says(ok({"results": results, "stored": 1, "failed": 0}))
        with pytest.raises(StoreInterrupted) as caught:
            store(surface, many(1))
        assert isinstance(caught.value.__cause__, UnexpectedAnswer)


def step(deleted: int, continuation: str | None, dry_run: bool = False) -> httpx.Response:
    return ok(
        {"dry_run": dry_run, "examined": 200, "matched": deleted, "deleted": deleted, "continuation": continuation}
    )


class TestDeleteMatching:
    def test_follows_the_continuation(self, surface: Surface, world: World) -> None:
        world.says(step(3, "c1"), step(0, "c2"), step(2, None))
        report = surface.run(lambda client: client.embeddings.delete_matching({"price": 1}, model_version="m"))
        assert (report.examined, report.matched, report.deleted) == (600, 5, 5)
        assert [body.get("continuation") for body in world.bodies()] == [None, "c1", "c2"]
        assert all(body["filter"] == {"price": 1} for body in world.bodies())

    def test_a_step_is_repeated_as_it_is(self, surface: Surface, world: World) -> None:
        world.says(httpx.ReadTimeout("slow"), step(1, None))
        surface.run(lambda client: client.embeddings.delete_matching({}, model_version="m", dry_run=True))
        assert world.bodies()[0] == world.bodies()[1] == {"model_version": "m", "filter": {}, "dry_run": True}

    def test_going_back_is_fine_while_something_is_deleted(self, surface: Surface, world: World) -> None:
        world.says(step(3, "c1"), step(1, "c1"), step(1, "c1"), step(0, None))
        report = surface.run(lambda client: client.embeddings.delete_matching({}, model_version="m"))
        assert report.deleted == 5

    def test_going_back_for_nothing_is_not(self, surface: Surface, world: World) -> None:
        world.says(step(3, "c1"), step(0, "c1"))
        with pytest.raises(UnexpectedAnswer, match="leads back"):
            surface.run(lambda client: client.embeddings.delete_matching({}, model_version="m"))

    def test_a_failure_says_what_was_deleted(self, surface: Surface, world: World) -> None:
        world.says(step(3, "c1"), problem(403, "forbidden"))
        with pytest.raises(Forbidden) as caught:
            surface.run(lambda client: client.embeddings.delete_matching({}, model_version="m"))
        assert caught.value.__notes__ == ["3 products had been deleted before; the same call goes on"]
