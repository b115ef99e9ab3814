"""The object store, as S3 has it: conditions, ranges, keys and listings."""

import random
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from shared.config import Settings
from shared.similarity.objects import ObjectChanged, ObjectStore, object_prefix
from tests.contract.differences import DYNOXIDE_HAS_NO_S3, MOTO_IS_NOT_ATOMIC, unlike

pytestmark = unlike(DYNOXIDE_HAS_NO_S3)
WRITERS = 12


@pytest.fixture
def key() -> str:
    return f"{object_prefix(str(uuid.uuid4()), 'v1')}object"


def test_an_object_is_read_as_it_was_put(objects: ObjectStore, key: str) -> None:
    assert objects.get(key) is None
    etag = objects.put(key, b"\x00one\xff")
    stored = objects.get(key)
    assert stored
    assert (stored.body, stored.etag) == (b"\x00one\xff", etag)
    assert objects.put(key, b"two") != etag
    stored = objects.get(key)
    assert stored
    assert stored.body == b"two"


def test_an_empty_object_is_one(objects: ObjectStore, key: str) -> None:
    etag = objects.put(key, b"")
    stored = objects.get(key)
    assert stored
    assert (stored.body, stored.etag) == (b"", etag)


def test_a_large_object(objects: ObjectStore, key: str) -> None:
    body = random.Random(1).randbytes(12_000_000)  # noqa: S311 - repeatable
    etag = objects.put(key, body, if_absent=True)
    whole, part = objects.get(key), objects.get(key, (11_000_000, 11_000_100), etag)
    assert whole
    assert whole.body == body
    assert part
    assert part.body == body[11_000_000:11_000_100]


@pytest.mark.parametrize(("start", "stop"), [(0, 1), (0, 11), (2, 5), (10, 11), (9, 40)])
def test_a_range_is_that_of_a_slice(objects: ObjectStore, key: str, start: int, stop: int) -> None:
    etag = objects.put(key, b"hello world")
    stored = objects.get(key, (start, stop), etag)
    assert stored
    assert (stored.body, stored.etag) == (b"hello world"[start:stop], etag)


@pytest.mark.parametrize("body", [b"", b"hello"])
def test_a_range_beyond_the_end(objects: ObjectStore, key: str, body: bytes) -> None:
    objects.put(key, body)
    with pytest.raises(ObjectChanged):
        objects.get(key, (5, 6))
    assert objects.get(f"{key}-that-is-missing", (5, 6)) is None


def test_a_read_of_another_etag(objects: ObjectStore, key: str) -> None:
    old = objects.put(key, b"one")
    new = objects.put(key, b"two")
    for byte_range in (None, (0, 2)):
        with pytest.raises(ObjectChanged):
            objects.get(key, byte_range, old)
        assert objects.get(key, byte_range, new)
    assert objects.get(f"{key}-that-is-missing", etag=old) is None


def test_a_put_that_must_be_the_first(objects: ObjectStore, key: str) -> None:
    objects.put(key, b"one", if_absent=True)
    with pytest.raises(ObjectChanged):
        objects.put(key, b"two", if_absent=True)
    with pytest.raises(ObjectChanged):
        objects.put(key, b"one", if_absent=True)
    stored = objects.get(key)
    assert stored
    assert stored.body == b"one"


def test_a_put_over_an_etag(objects: ObjectStore, key: str) -> None:
    first = objects.put(key, b"one")
    second = objects.put(key, b"two", if_match=first)
    with pytest.raises(ObjectChanged):
        objects.put(key, b"three", if_match=first)
    objects.put(key, b"four", if_match=second)
    stored = objects.get(key)
    assert stored
    assert stored.body == b"four"


def test_a_put_over_what_is_gone(objects: ObjectStore, key: str) -> None:
    etag = objects.put(key, b"one")
    objects.delete([key])
    with pytest.raises(ObjectChanged):
        objects.put(key, b"two", if_match=etag)
    assert objects.get(key) is None
    objects.put(key, b"three", if_absent=True)


@unlike(MOTO_IS_NOT_ATOMIC)
@pytest.mark.parametrize("is_first", [True, False])
def test_of_concurrent_conditional_puts_one_wins(objects: ObjectStore, key: str, is_first: bool) -> None:
    base = None if is_first else objects.put(key, b"base")
    together = threading.Barrier(WRITERS)

    def put(number: int) -> bytes | None:
        together.wait(10)
        body = f"writer {number}".encode()
        try:
            objects.put(key, body, if_match=base, if_absent=is_first)
        except ObjectChanged:
            return None
        return body

    with ThreadPoolExecutor(WRITERS) as pool:
        (winner,) = [body for body in pool.map(put, range(WRITERS)) if body is not None]
    stored = objects.get(key)
    assert stored
    assert stored.body == winner


def test_a_deletion_of_many(objects: ObjectStore, key: str) -> None:
    """More than one request takes; also of what is not there."""
    keys = [f"{key}/{number}" for number in range(1005)]
    for there in (keys[0], keys[999], keys[1000], keys[1004]):
        objects.put(there, b"x")
    objects.put(f"{key}/kept", b"x")
    objects.delete(keys)
    assert [info.key for info in objects.list(key)] == [f"{key}/kept"]
    objects.delete([])


def test_a_listing(objects: ObjectStore, key: str) -> None:
    keys = [f"{key}/{number}" for number in range(5)]
    for number, name in enumerate(keys):
        objects.put(name, b"x" * number)
    objects.put(f"{key}-beside", b"x")
    listed = list(objects.list(f"{key}/"))
    assert [(info.key, info.size) for info in listed] == [(name, number) for number, name in enumerate(keys)]
    assert all(abs(datetime.now(UTC) - info.modified) < timedelta(minutes=1) for info in listed)
    assert list(objects.list(f"{key}/none")) == []


def test_a_listing_of_several_pages(objects: ObjectStore, key: str) -> None:
    keys = [f"{key}/{number}" for number in range(5)]
    for name in keys:
        objects.put(name, b"x")
    objects.client.meta.events.register("provide-client-params.s3.ListObjectsV2", _two_at_once)
    assert [info.key for info in objects.list(f"{key}/")] == keys


def _two_at_once(params: dict[str, Any], **_: object) -> None:
    params["MaxKeys"] = 2


@pytest.mark.parametrize("part", ["a/b", "../x", "%2e%2e", "é ü+?#&=", "a:b@c~d", "*'()!", "\x00\n", "-" * 200])
def test_any_owner_and_model_version_has_keys_of_its_own(objects: ObjectStore, key: str, part: str) -> None:
    prefix = object_prefix(part, key)
    objects.put(f"{prefix}manifest.json", part.encode())
    stored = objects.get(f"{prefix}manifest.json")
    assert stored
    assert stored.body == part.encode()
    assert [info.key for info in objects.list(prefix)] == [f"{prefix}manifest.json"]
    objects.delete([f"{prefix}manifest.json"])
    assert list(objects.list(prefix)) == []


def test_a_bucket_that_is_missing_is_not_a_missing_object(objects: ObjectStore, key: str) -> None:
    elsewhere = ObjectStore(Settings({**objects.settings.environ, "SIMILARITY_BUCKET": "k9-no-such-bucket"}))
    with pytest.raises(ClientError, match="NoSuchBucket"):
        elsewhere.get(key)
    with pytest.raises(ClientError, match="NoSuchBucket"):
        list(elsewhere.list(key))
