"""The object store when S3 fails: what each failure means, and that a put that happened is never called refused."""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from itertools import chain, repeat
from types import SimpleNamespace
from typing import Any
from urllib.parse import SplitResult, parse_qs, urlsplit

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws
from moto.core.models import botocore_stubber

from shared.config import Settings, get_settings
from shared.database.client import MAX_ATTEMPTS
from shared.errors import ApiError, OutcomeUnknown, TooManyRequests, Unavailable
from shared.scope import LAST_CALL_STARTS_BY_SECONDS, current_scope, request_scope
from shared.similarity.objects import (
    MAX_PRESIGNED_SECONDS,
    ObjectChanged,
    ObjectStore,
    default_objects,
    export_prefix,
    object_prefix,
)
from tests.support.faults import Fault, Fired, faulty, garbled, raising

URL = "https://k9.s3.amazonaws.com/"
KEY = "similarity/alice/v1/object"
Put = Callable[[ObjectStore, bytes], str]


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)


@pytest.fixture
def objects() -> Iterator[ObjectStore]:
    with mock_aws():
        store = ObjectStore()
        store.client.create_bucket(Bucket=get_settings().similarity_bucket)
        yield store


def answering(status: int, code: str) -> Fault:
    """S3's own error answer."""
    return garbled(status, f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>k9-similarity</Message></Error>")


def failing(objects: ObjectStore, *faults: Fault, times: int | None = None) -> Any:
    """Each try meets the next of these faults, the last one for ever; after `times` tries, moto."""
    sequence = chain(faults, repeat(faults[-1]))
    manager: Any = SimpleNamespace(client=objects.client)
    return faulty(manager, lambda request: next(sequence)(request), times=times)


def applied_and_lost(objects: ObjectStore, between: Callable[[], object] = lambda: None) -> Fault:
    """The put happens, `between` too, and its answer gets lost."""

    def apply(request: AWSPreparedRequest) -> AWSResponse:
        assert botocore_stubber("before-send.s3.PutObject", request) is not None
        between()
        raise ReadTimeoutError(endpoint_url=URL)

    return apply


def body_of(objects: ObjectStore, key: str = KEY) -> bytes | None:
    stored = objects.get(key)
    return stored.body if stored else None


SLOW_DOWN = answering(503, "SlowDown")
NO_ANSWER = raising(ReadTimeoutError(endpoint_url=URL))


def test_a_read_is_of_the_object_that_was_asked_for_and_no_later_one(objects: ObjectStore) -> None:
    old = objects.put(KEY, b"one")
    new = objects.put(KEY, b"two")
    with pytest.raises(ObjectChanged):
        objects.get(KEY, etag=old)
    stored = objects.get(KEY, etag=new)
    assert stored is not None
    assert stored.body == b"two"


@dataclass(frozen=True)
class Failure:
    """A fault of every try, what all but a conditional put raise, what that raises, and how often the SDK tries."""

    fault: Fault
    raised: type[Exception]
    conditional: type[Exception]
    tries: int = MAX_ATTEMPTS


FAILURES = {
    "slow down": Failure(SLOW_DOWN, TooManyRequests, TooManyRequests),
    "throttled": Failure(answering(400, "ThrottlingException"), TooManyRequests, TooManyRequests),
    "internal error": Failure(answering(500, "InternalError"), Unavailable, OutcomeUnknown),
    "unavailable": Failure(answering(503, "ServiceUnavailable"), Unavailable, OutcomeUnknown),
    "bad gateway": Failure(garbled(502), Unavailable, OutcomeUnknown),
    "too slow a request": Failure(answering(400, "RequestTimeout"), Unavailable, Unavailable),
    "no answer": Failure(NO_ANSWER, Unavailable, OutcomeUnknown),
    "no ETag": Failure(garbled(), Unavailable, OutcomeUnknown, tries=1),
    "connect timeout": Failure(raising(ConnectTimeoutError(endpoint_url=URL)), Unavailable, Unavailable),
    "no connection": Failure(
        raising(EndpointConnectionError(endpoint_url=URL, error=OSError())), Unavailable, Unavailable
    ),
    "denied": Failure(answering(403, "AccessDenied"), ClientError, ClientError, tries=1),
    "no bucket": Failure(answering(404, "NoSuchBucket"), ClientError, ClientError, tries=1),
    "no credentials": Failure(raising(NoCredentialsError()), NoCredentialsError, NoCredentialsError, tries=1),
}


class TestFailures:
    @pytest.mark.parametrize("name", FAILURES)
    def test_of_a_read(self, objects: ObjectStore, name: str) -> None:
        self._check(objects, FAILURES[name], FAILURES[name].raised, lambda: objects.get(KEY))

    @pytest.mark.parametrize("name", FAILURES)
    def test_of_a_listing(self, objects: ObjectStore, name: str) -> None:
        self._check(objects, FAILURES[name], FAILURES[name].raised, lambda: list(objects.list(KEY)))

    @pytest.mark.parametrize("name", set(FAILURES) - {"no ETag"})
    def test_of_a_deletion(self, objects: ObjectStore, name: str) -> None:
        self._check(objects, FAILURES[name], FAILURES[name].raised, lambda: objects.delete([KEY]))

    @pytest.mark.parametrize("name", FAILURES)
    def test_of_a_put(self, objects: ObjectStore, name: str) -> None:
        """It may be repeated whatever happened, so nothing is unknown."""
        self._check(objects, FAILURES[name], FAILURES[name].raised, lambda: objects.put(KEY, b"x"))

    @pytest.mark.parametrize("name", FAILURES)
    def test_of_a_conditional_put(self, objects: ObjectStore, name: str) -> None:
        failure = FAILURES[name]
        self._check(objects, failure, failure.conditional, lambda: objects.put(KEY, b"x", if_absent=True))
        self._check(objects, failure, failure.conditional, lambda: objects.put(KEY, b"x", if_match='"tag"'))
        assert body_of(objects) is None

    @pytest.mark.parametrize("name", FAILURES)
    def test_after_a_lost_answer(self, objects: ObjectStore, name: str) -> None:
        """Whatever the next try is told, an earlier one may have been applied."""
        with failing(objects, NO_ANSWER, FAILURES[name].fault), pytest.raises(OutcomeUnknown):
            objects.put(KEY, b"x", if_absent=True)

    def _check(
        self, objects: ObjectStore, failure: Failure, raised: type[Exception], action: Callable[[], Any]
    ) -> None:
        fired: Fired
        with failing(objects, failure.fault) as fired, pytest.raises(raised) as caught:
            action()
        assert fired.fired == failure.tries
        if isinstance(caught.value, ApiError):
            assert caught.type is raised
            assert "k9-similarity" not in caught.value.detail

    @pytest.mark.parametrize("fault", [SLOW_DOWN, NO_ANSWER, answering(500, "InternalError")])
    def test_one_that_passes_is_not_noticed(self, objects: ObjectStore, fault: Fault) -> None:
        for action in (
            lambda: objects.put(KEY, b"x", if_absent=True),
            lambda: objects.get(KEY),
            lambda: list(objects.list(KEY)),
            lambda: objects.delete([KEY]),
        ):
            with failing(objects, fault, times=MAX_ATTEMPTS - 1) as fired:
                assert action() != []
            assert fired.fired == MAX_ATTEMPTS - 1


CONDITIONAL: dict[str, Put] = {
    "first": lambda objects, body: objects.put(KEY, body, if_absent=True),
    "next": lambda objects, body: objects.put(KEY, body, if_match=objects.put(KEY, b"base")),
}


@pytest.mark.parametrize("put", CONDITIONAL.values(), ids=CONDITIONAL)
class TestLostAnswers:
    def test_ones_own_success_is_recognised(self, objects: ObjectStore, put: Put) -> None:
        self._base(objects, put)
        with failing(objects, applied_and_lost(objects), times=1) as fired:
            etag = self._put(objects, put, b"mine")
        assert fired.fired == 1
        stored = objects.get(KEY)
        assert stored
        assert (stored.body, stored.etag) == (b"mine", etag)

    def test_anothers_put_over_it_leaves_the_outcome_unknown(self, objects: ObjectStore, put: Put) -> None:
        """Were it called refused, its segments would be deleted, and the other's manifest may name them."""
        self._base(objects, put)
        other = ObjectStore(client=new_client())
        lost = applied_and_lost(objects, lambda: other.put(KEY, b"theirs"))
        with failing(objects, lost, times=1) as fired, pytest.raises(OutcomeUnknown):
            self._put(objects, put, b"mine")
        assert fired.fired == 1
        assert body_of(objects) == b"theirs"

    def test_so_does_a_deletion(self, objects: ObjectStore, put: Put) -> None:
        self._base(objects, put)
        other = ObjectStore(client=new_client())

        def replace() -> None:
            other.delete([KEY])
            other.put(KEY, b"theirs")

        with failing(objects, applied_and_lost(objects, replace), times=1), pytest.raises(OutcomeUnknown):
            self._put(objects, put, b"mine")

    def test_a_read_back_that_fails_does(self, objects: ObjectStore, put: Put) -> None:
        self._base(objects, put)
        faults = (applied_and_lost(objects), answering(412, "PreconditionFailed"), SLOW_DOWN)
        with failing(objects, *faults) as fired, pytest.raises(OutcomeUnknown):
            self._put(objects, put, b"mine")
        assert fired.fired == 2 + MAX_ATTEMPTS

    @pytest.mark.parametrize(
        "harmless", [SLOW_DOWN, raising(ConnectTimeoutError(endpoint_url=URL))], ids=["throttled", "never sent"]
    )
    @pytest.mark.parametrize(
        "refusal",
        [
            answering(412, "PreconditionFailed"),
            answering(409, "ConditionalRequestConflict"),
            answering(404, "NoSuchKey"),
        ],
        ids=["changed", "changing", "gone"],
    )
    def test_a_refusal_is_one_where_no_try_can_have_been_applied(
        self, objects: ObjectStore, put: Put, harmless: Fault, refusal: Fault
    ) -> None:
        self._base(objects, put)
        with failing(objects, harmless, refusal) as fired, pytest.raises(ObjectChanged):
            self._put(objects, put, b"mine")
        assert fired.fired == 2

    def _base(self, objects: ObjectStore, put: Put) -> None:
        """What `next` is put over, before anything fails."""
        self._etag = objects.put(KEY, b"base") if put is CONDITIONAL["next"] else None

    def _put(self, objects: ObjectStore, put: Put, body: bytes) -> str:
        return objects.put(KEY, body, if_match=self._etag, if_absent=self._etag is None)


def new_client() -> Any:
    return ObjectStore().client


class Breaking(BytesIO):
    """A body that ends too soon, or in an exception."""

    def __init__(self, content: bytes, error: Exception | None = None) -> None:
        super().__init__(content)
        self._error = error

    def read(self, amount: int | None = -1) -> bytes:
        found = super().read(amount)
        if not found and self._error:
            raise self._error
        return found

    def readinto(self, buffer: Any) -> int:
        count = super().readinto(buffer)
        if not count and self._error:
            raise self._error
        return count


def broken_off(error: Exception | None = None, length: int = 100) -> Fault:
    headers: Any = {"content-length": str(length), "etag": '"tag"'}
    return lambda request: AWSResponse(request.url, 200, headers, Breaking(b"half", error))


class TestBodies:
    @pytest.mark.parametrize("error", [None, ConnectionResetError(), TimeoutError()])
    def test_one_that_breaks_off_is_read_again(self, objects: ObjectStore, error: Exception | None) -> None:
        objects.put(KEY, b"whole")
        with failing(objects, broken_off(error), times=2) as fired, request_scope() as scope:
            assert body_of(objects) == b"whole"
        assert fired.fired == 2
        assert scope.aws_calls == 3

    @pytest.mark.parametrize("length", [0, 1, 3, 5])
    def test_one_of_another_length_than_was_said_is_read_again(self, objects: ObjectStore, length: int) -> None:
        objects.put(KEY, b"whole")
        with failing(objects, broken_off(length=length), times=1) as fired:
            assert body_of(objects) == b"whole"
        assert fired.fired == 1

    def test_one_that_comes_in_small_pieces(self, objects: ObjectStore) -> None:
        class Dripping(BytesIO):
            def readinto(self, buffer: Any) -> int:
                return super().readinto(memoryview(buffer)[:7])

        content = bytes(range(100))
        headers: Any = {"content-length": "100", "etag": '"tag"'}
        with failing(objects, lambda request: AWSResponse(request.url, 200, headers, Dripping(content)), times=1):
            stored = objects.get(KEY)
        assert stored
        assert stored.body == content
        assert type(stored.body) is bytes

    def test_one_of_no_length_is_none_of_s3(self, objects: ObjectStore) -> None:
        objects.put(KEY, b"whole")
        headers: Any = {"etag": '"tag"'}
        endless: Fault = lambda request: AWSResponse(request.url, 200, headers, Breaking(b"whole"))  # noqa: E731
        with failing(objects, endless) as fired, pytest.raises(Unavailable):
            objects.get(KEY)
        assert fired.fired == 1

    def test_one_that_always_breaks_off(self, objects: ObjectStore) -> None:
        with failing(objects, broken_off()) as fired, pytest.raises(Unavailable):
            objects.get(KEY)
        assert fired.fired == 3

    def test_one_that_was_spoilt_on_its_way(self, objects: ObjectStore) -> None:
        headers: Any = {"content-length": "4", "etag": '"tag"', "x-amz-checksum-crc32": "AAAAAA=="}
        spoilt: Fault = lambda request: AWSResponse(request.url, 200, headers, Breaking(b"half"))  # noqa: E731
        objects.put(KEY, b"whole")
        with failing(objects, spoilt, times=1) as fired:
            assert body_of(objects) == b"whole"
        assert fired.fired == 1

    def test_one_that_takes_longer_than_the_request_has(self, objects: ObjectStore) -> None:
        objects.put(KEY, b"x" * 3_000_000)

        def drip(request: AWSPreparedRequest) -> AWSResponse:
            scope = current_scope()
            assert scope
            scope.started = time.monotonic() - LAST_CALL_STARTS_BY_SECONDS - 1
            answer = botocore_stubber("before-send.s3.GetObject", request)
            assert answer
            return answer

        with failing(objects, drip), request_scope(), pytest.raises(Unavailable, match="ran out of time"):
            objects.get(KEY)


class TestAccount:
    def test_calls_and_tries_are_counted(self, objects: ObjectStore) -> None:
        with request_scope() as scope:
            objects.put(KEY, b"x")
            with failing(objects, SLOW_DOWN, times=2):
                objects.get(KEY)
            list(objects.list(KEY))
            objects.delete([KEY])
        assert (scope.aws_calls, scope.retries) == (4, 2)

    def test_a_late_request_makes_no_call(self, objects: ObjectStore) -> None:
        for action in (
            lambda: objects.put(KEY, b"x"),
            lambda: objects.get(KEY),
            lambda: list(objects.list(KEY)),
            lambda: objects.delete([KEY]),
        ):
            with failing(objects, NO_ANSWER) as fired, request_scope() as scope:
                scope.started -= LAST_CALL_STARTS_BY_SECONDS + 1
                with pytest.raises(Unavailable, match="ran out of time"):
                    action()
            assert fired.fired == 0

    def test_the_process_has_one_store(self) -> None:
        default_objects.cache_clear()
        assert default_objects() is default_objects()
        default_objects.cache_clear()


@pytest.mark.parametrize(
    ("code", "raised"), [("SlowDown", TooManyRequests), ("InternalError", Unavailable), ("AccessDenied", ClientError)]
)
def test_a_deletion_that_left_something(objects: ObjectStore, code: str, raised: type[Exception]) -> None:
    left = f"<DeleteResult><Error><Key>{KEY}</Key><Code>{code}</Code><Message>m</Message></Error></DeleteResult>"
    with failing(objects, garbled(200, left)) as fired, pytest.raises(raised):
        objects.delete([KEY])
    assert fired.fired == 1


def test_a_call_that_makes_no_sense(objects: ObjectStore) -> None:
    with pytest.raises(ValueError, match="not on both"):
        objects.put(KEY, b"", if_match='"tag"', if_absent=True)
    for start, stop in ((1, 1), (2, 1), (-1, 4)):
        with pytest.raises(ValueError, match="no range"):
            objects.get(KEY, (start, stop))


class TestPresigned:
    def address(self, **environment: str) -> SplitResult:
        store = ObjectStore(Settings({**get_settings().environ, **environment}))
        return urlsplit(
            store.presigned_get(
                KEY, seconds=60, media_type="text/csv", disposition="attachment; filename*=UTF-8''%C3%A9"
            )
        )

    def test_it_is_signed_by_version_4_for_its_region_object_and_headers(self) -> None:
        address = self.address(AWS_REGION="eu-central-1", AWS_SESSION_TOKEN="session")
        assert address.scheme == "https"
        assert address.hostname == f"{get_settings().similarity_bucket}.s3.eu-central-1.amazonaws.com"
        assert address.path == f"/{KEY}"
        query = {name: value for name, (value,) in parse_qs(address.query).items()}
        assert query["X-Amz-Algorithm"] == "AWS4-HMAC-SHA256"
        assert re.fullmatch(r"[^/]+/\d{8}/eu-central-1/s3/aws4_request", query["X-Amz-Credential"])
        assert (query["X-Amz-Expires"], query["X-Amz-SignedHeaders"]) == ("60", "host")
        assert re.fullmatch(r"[0-9a-f]{64}", query["X-Amz-Signature"])
        assert query["response-content-type"] == "text/csv"
        assert query["response-content-disposition"] == "attachment; filename*=UTF-8''%C3%A9"
        assert query["response-cache-control"] == "no-store"

    def test_elsewhere_the_bucket_is_a_folder(self) -> None:
        address = self.address(AWS_ENDPOINT_URL_S3="http://127.0.0.1:4566")
        assert (address.netloc, address.path) == ("127.0.0.1:4566", f"/{get_settings().similarity_bucket}/{KEY}")

    def test_it_asks_nothing_of_s3(self, objects: ObjectStore) -> None:
        with request_scope() as scope:
            objects.presigned_get(KEY, seconds=1, media_type="a/b", disposition="attachment")
        assert scope.aws_calls == 0

    @pytest.mark.parametrize("seconds", [0, -1, MAX_PRESIGNED_SECONDS + 1])
    def test_it_is_good_for_minutes_at_most(self, objects: ObjectStore, seconds: int) -> None:
        with pytest.raises(ValueError, match="good for 1 to 300 s"):
            objects.presigned_get(KEY, seconds=seconds, media_type="a/b", disposition="attachment")


class TestPrefix:
    def test_that_of_downloads(self) -> None:
        assert export_prefix("a/b") == "exports/a%2Fb/"
        for owner in ("", ".", "..", "x" * 1025):
            with pytest.raises(ValueError, match=r"cannot be part|would begin with"):
                export_prefix(owner)

    def test_its_form(self) -> None:
        assert object_prefix("alice", "clip-v2.1") == "similarity/alice/clip-v2.1/"
        assert object_prefix("a/b", "../é%") == "similarity/a%2Fb/..%2F%C3%A9%25/"

    @pytest.mark.parametrize("part", ["", ".", "..", "x" * 1025, "é" * 200, "\ud800"])
    def test_what_cannot_be_part_of_a_key(self, part: str) -> None:
        for owner, model_version in ((part, "v1"), ("alice", part)):
            with pytest.raises(ValueError, match=r"cannot be part|would begin with|surrogates"):
                object_prefix(owner, model_version)

    @given(st.tuples(st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20)), st.data())
    def test_no_prefix_begins_with_another(self, pair: tuple[str, str], data: st.DataObject) -> None:
        other = data.draw(st.tuples(st.sampled_from([pair[0], pair[0] + "/", "x"]), st.text(min_size=1, max_size=20)))
        try:
            one, two = object_prefix(*pair), object_prefix(*other)
        except ValueError:
            return
        assert (one == two) == (pair == other)
        assert one == two or not (one.startswith(two) or two.startswith(one))
        assert one.count("/") == 3
        assert one.isascii()
        assert one.isprintable()
