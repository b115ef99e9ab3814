"""When a request is sent again, after how long, and under which key."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest

from k9_api import (
    Conflict,
    GatewayError,
    InternalError,
    InvalidRequest,
    K9Error,
    NotFound,
    NotSendable,
    OutcomeUnknown,
    PreconditionFailed,
    RetryPolicy,
    Runtime,
    TooManyRequests,
    TransportError,
    Unavailable,
)
from k9_api.api import Api, Call
from k9_api.drivers import Driver
from k9_api.operations import OPERATIONS, Operation
from k9_api.retries import Repeat, may_repeat, read_retry_after
from tests.unit.client.world import TOKEN, URL, Surface, World, embedding, ok, problem, report

GATEWAY_503 = httpx.Response(503, json={"message": "Service Unavailable"})


def get(client: Any) -> Any:
    return client.reports.get("r1")


def create(client: Any) -> Any:
    return client.reports.create("T")


@pytest.mark.parametrize(
    "failure",
    [
        httpx.ConnectError("refused"),
        httpx.ConnectTimeout("slow"),
        httpx.ReadTimeout("slow"),
        httpx.RemoteProtocolError("broken off"),
        problem(429, "too-many-requests"),
        problem(503, "unavailable"),
        problem(503, "outcome-unknown"),
        httpx.Response(429, json={"message": "Too Many Requests"}),
        httpx.Response(502, text="Bad Gateway"),
        GATEWAY_503,
        httpx.Response(504, json={"message": "Endpoint request timed out"}),
    ],
    ids=lambda failure: str(failure),
)
@pytest.mark.parametrize("call", [get, create], ids=["a read", "a write with a key"])
def test_what_passes_is_tried_again(
    surface: Surface, world: World, failure: httpx.Response | Exception, call: Callable[[Any], Any]
) -> None:
    world.says(failure, ok(report()))
    assert surface.run(call).id == "r1"
    assert len(world.requests) == 2


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (problem(409, "conflict"), Conflict),
        (problem(412, "precondition-failed"), PreconditionFailed),
        (problem(422, "invalid-request"), InvalidRequest),
        (problem(404, "not-found"), NotFound),
        (problem(500, "internal-error"), InternalError),
        (httpx.Response(500, json={"message": "Internal Server Error"}), GatewayError),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_what_does_not_pass_is_not(
    surface: Surface, world: World, failure: httpx.Response, kind: type[K9Error]
) -> None:
    world.says(failure)
    with pytest.raises(kind) as caught:
        surface.run(create)
    assert len(world.requests) == 1
    assert caught.value.attempts == 1


def test_one_call_has_one_key_in_all_its_tries(surface: Surface, world: World) -> None:
    world.says(httpx.ReadTimeout("slow"), problem(503, "outcome-unknown"), ok(report()), ok(report()))

    surface.run(create)
    assert world.header("Idempotency-Key") == ["key-1"] * 3
    assert len({request.content for request in world.requests}) == 1

    surface.run(lambda client: client.reports.create("T", idempotency_key="mine"))
    assert world.header("Idempotency-Key")[-1] == "mine"


def test_two_calls_have_two_keys(world: World) -> None:
    world.says(ok(report()), ok(report()))
    driver = Driver(httpx.Client(transport=world.transport), TOKEN, world.runtime)
    api = Api(URL, RetryPolicy(), float, world.runtime)
    call = Call(next(each for each in OPERATIONS if each.path == "/reports" and each.method == "POST"), body={})
    driver.run(api.send(call))
    driver.run(api.send(call))
    assert world.header("Idempotency-Key") == ["key-1", "key-2"]
    driver.http.close()


def test_a_key_is_one_that_nobody_guesses() -> None:
    keys = {Runtime().new_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(len(key) == 36 and key.isascii() for key in keys)


@pytest.mark.parametrize("key", ["", " ", "a b", "ü", "x" * 256, "a\nb"], ids=repr)
def test_a_key_that_the_api_does_not_take_is_not_sent(surface: Surface, world: World, key: str) -> None:
    with pytest.raises(NotSendable, match="idempotency_key"):
        surface.run(lambda client: client.reports.create("T", idempotency_key=key))
    assert world.requests == []


def test_a_read_has_no_key(surface: Surface, world: World) -> None:
    world.says(ok(report()))
    surface.run(get)
    assert world.header("Idempotency-Key") == [None]


def test_the_error_in_the_end_has_the_key_and_the_number_of_tries(surface: Surface, world: World) -> None:
    world.says(*[httpx.ReadTimeout("slow")] * 4)
    with pytest.raises(TransportError) as caught:
        surface.run(create)
    assert (caught.value.idempotency_key, caught.value.attempts, caught.value.is_unsent) == ("key-1", 4, False)
    assert "POST https://api.example.com/dev/reports was not answered: ReadTimeout" in str(caught.value)


def test_outcome_unknown_is_told_apart(surface: Surface, world: World) -> None:
    world.says(*[problem(503, "outcome-unknown")] * 4)
    with pytest.raises(OutcomeUnknown) as caught:
        surface.run(create)
    assert caught.value.idempotency_key == "key-1"
    assert not isinstance(caught.value, Unavailable)


class TestPauses:
    def test_they_double_up_to_a_limit(self) -> None:
        policy = RetryPolicy(base=0.5, longest=3.0)
        assert [policy.pause(number, None, lambda least, most: most) for number in range(1, 6)] == [0.5, 1, 2, 3, 3]

    def test_they_are_drawn_from_zero_on(self) -> None:
        drawn: list[tuple[float, float]] = []

        def jitter(least: float, most: float) -> float:
            drawn.append((least, most))
            return least

        assert RetryPolicy().pause(3, None, jitter) == 0.0
        assert drawn == [(0.0, 1.0)]

    def test_a_large_number_of_tries_overflows_nothing(self) -> None:
        assert RetryPolicy(longest=8).pause(10_000, None, max) == 8

    def test_retry_after_comes_on_top(self, surface: Surface, world: World) -> None:
        world.says(problem(429, "too-many-requests", retry_after="7"), ok(report()))
        surface.run(get)
        assert world.slept == [7.25]

    @pytest.mark.parametrize("stated", ["", "soon", "-1", "1.5", "²"])
    def test_a_retry_after_that_cannot_be_read_is_none(self, stated: str) -> None:
        assert read_retry_after({"Retry-After": stated}) is None

    def test_retry_after_may_be_a_date(self) -> None:
        later = datetime.now(UTC) + timedelta(seconds=100)
        stated = format_datetime(later, usegmt=True)
        assert 90 < (read_retry_after({"Retry-After": stated}) or 0) <= 100
        past = format_datetime(datetime(2020, 1, 1, tzinfo=UTC), usegmt=True)
        assert read_retry_after({"Retry-After": past}) == 0.0


class TestBounds:
    def test_so_many_tries(self, surface: Surface, world: World) -> None:
        world.says(*[problem(503, "unavailable")] * 2)
        with pytest.raises(Unavailable) as caught:
            surface.run(get, retries=RetryPolicy(attempts=2))
        assert caught.value.attempts == 2
        assert len(world.slept) == 1

    def test_no_try_begins_after_the_deadline(self, surface: Surface, world: World) -> None:
        world.takes = 4.0
        world.says(*[httpx.ReadTimeout("slow")] * 3)
        with pytest.raises(TransportError):
            surface.run(get, retries=RetryPolicy(attempts=100, deadline=9.5, base=1.0, longest=1.0))
        assert len(world.requests) == 2  # 4 + 1 + 4 = 9 seconds, and a third would begin at 10
        assert world.answers

    def test_a_retry_after_beyond_the_deadline_ends_it_at_once(self, surface: Surface, world: World) -> None:
        world.says(problem(429, "too-many-requests", retry_after="3600"))
        with pytest.raises(TooManyRequests) as caught:
            surface.run(get)
        assert caught.value.retry_after == 3600
        assert world.slept == []

    def test_a_try_waits_no_longer_than_what_is_left(self, surface: Surface, world: World) -> None:
        world.takes = 8.0
        world.says(GATEWAY_503, ok(report()))
        surface.run(get, retries=RetryPolicy(deadline=10.0, base=0.0))
        waits = [request.extensions["timeout"]["read"] for request in world.requests]
        assert waits == [10.0, 2.0]

    @pytest.mark.parametrize("wrong", [{"attempts": 0}, {"deadline": -1.0}, {"base": -1.0}, {"longest": -0.1}])
    def test_a_policy_that_cannot_be(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match=r"at least 1|cannot be negative"):
            RetryPolicy(**wrong)


class TestWhatIsRepeated:
    """Of all that may be sent again, what an operation allows."""

    UNKNOWN = (TransportError("timeout"), OutcomeUnknown(503, "", ""), GatewayError(504, "", ""))
    NOTHING_DONE = (TransportError("refused", True), TooManyRequests(429, "", ""), Unavailable(503, "", ""))

    @pytest.mark.parametrize("error", UNKNOWN, ids=repr)
    def test_an_unknown_outcome_is_repeated_where_that_is_safe(self, error: K9Error) -> None:
        assert may_repeat(error, Repeat.SAFE)
        assert may_repeat(error, Repeat.KEYED)
        assert not may_repeat(error, Repeat.NEVER)

    @pytest.mark.parametrize("error", NOTHING_DONE, ids=repr)
    def test_what_did_nothing_is_always(self, error: K9Error) -> None:
        assert all(may_repeat(error, repeat) for repeat in Repeat)

    def test_every_write_of_a_row_is_safe_or_has_a_key(self) -> None:
        unkeyed = {
            (each.method, each.path) for each in OPERATIONS if each.repeat is Repeat.SAFE and each.method != "GET"
        }
        assert unkeyed == {
            ("POST", "/embeddings/delete"),
            ("POST", "/embeddings/search"),
            ("POST", "/embeddings/similarity"),
            ("POST", "/reports/{report_id}/search"),
            ("DELETE", "/reports/{report_id}"),
            ("POST", "/user/avatar"),
            ("POST", "/user/export"),
            ("DELETE", "/user"),
        }
        assert not [each for each in OPERATIONS if each.method == "GET" and each.repeat is not Repeat.SAFE]

    def test_one_that_may_never_be_repeated_is_not(self, world: World) -> None:
        """No operation is of this kind today; the rule is there for one that will be."""
        world.says(httpx.ReadTimeout("slow"))
        driver = Driver(httpx.Client(transport=world.transport), TOKEN, world.runtime)
        once = Call(Operation("POST", "/pay", Repeat.NEVER))
        with pytest.raises(TransportError):
            driver.run(Api(URL, RetryPolicy(), float, world.runtime).send(once))
        driver.http.close()
        assert world.paths == ["POST /pay"]


class TestDeletes:
    """A repeat may find that the first try has deleted the row."""

    def test_a_404_after_a_lost_answer_is_a_success(self, surface: Surface, world: World) -> None:
        world.says(httpx.ReadTimeout("slow"), problem(404, "not-found"))
        assert surface.run(lambda client: client.reports.delete("r1")) is None
        assert len(world.requests) == 2

    def test_a_404_after_a_refusal_is_none(self, surface: Surface, world: World) -> None:
        world.says(problem(503, "unavailable"), problem(404, "not-found"))
        with pytest.raises(NotFound):
            surface.run(lambda client: client.reports.delete("r1"))

    def test_a_404_at_once_is_none(self, surface: Surface, world: World) -> None:
        world.says(problem(404, "not-found"))
        with pytest.raises(NotFound):
            surface.run(lambda client: client.embeddings.delete("p", model_version="m"))

    def test_a_404_after_no_token_came_is_none(self, surface: Surface, world: World) -> None:
        """Nothing had been sent: the source of tokens was slow, not the API."""
        outcomes: list[Any] = [TransportError("cognito is slow"), TOKEN]

        class Source:
            def token(self, rejected: str | None = None) -> str:
                outcome = outcomes.pop(0)
                if isinstance(outcome, Exception):
                    raise outcome
                return str(outcome)

        world.says(problem(404, "not-found"))
        with pytest.raises(NotFound):
            surface.run(lambda client: client.reports.delete("r1"), token=Source())
        assert outcomes == []

    def test_an_embedding_is_deleted_under_a_key(self, surface: Surface, world: World) -> None:
        world.says(GATEWAY_503, httpx.Response(204))
        surface.run(lambda client: client.embeddings.delete("p", model_version="m", if_match=3))
        assert world.header("Idempotency-Key") == ["key-1", "key-1"]
        assert world.header("If-Match") == ['"3"', '"3"']


class TestVersions:
    def test_a_model_is_its_version(self, surface: Surface, world: World) -> None:
        world.says(ok(embedding(version=7)), ok(embedding(version=8)))
        read = surface.run(lambda client: client.embeddings.get("p", model_version="m"))
        surface.run(lambda client: client.embeddings.update("p", model_version="m", product={}, if_match=read))
        assert world.header("If-Match") == [None, '"7"']

    def test_favorites_have_the_reports_version(self, surface: Surface, world: World) -> None:
        world.says(ok({"favorites": ["a"]}, ETag='"4"'))
        favorites = surface.run(lambda client: client.reports.replace_favorites("r1", {"a"}, if_match=3))
        assert (favorites.favorites, favorites.version) == (("a",), 4)
        assert world.header("If-Match") == ['"3"']
