"""Erasing and copying whole accounts where the engines decide: every version in S3, thousands of rows, any crash."""

import random
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import MappingProxyType
from typing import Any

import boto3
import pytest
from botocore.model import OperationModel
from moto import mock_aws

from shared.account import sections
from shared.account.account_exports import ExportStore
from shared.account.erasing import erase
from shared.account.exporting import export
from shared.account.places import owned_prefixes
from shared.account.status_object import CLAIM
from shared.config import Settings
from shared.database import DatabaseManager, embedding_erasure, parallel
from shared.database.attributes import Row, from_item, to_item
from shared.models.fields import timestamp
from shared.models.vector import Vector
from shared.similarity.objects import ObjectStore
from tests.contract.differences import DYNOXIDE_HAS_NO_S3, unlike
from tests.support.accounts import Clock, Erasure, Killed, embed, every_version, keys_of, opened, settle_in, versioned
from tests.support.engines import Engine
from tests.support.sizes import size

ROWS = size(5_000, 1_250)
REPORTS = 40
PRODUCTS = ROWS - REPORTS
MOST_WORKERS = 1_000
PROGRESS = frozenset({"BatchWriteItem", "DeleteItem", "DeleteObjects", "AbortMultipartUpload"})
"""Changes that nobody makes again."""

ERASING = PROGRESS | {
    "GetItem",
    "GetObject",
    "ListMultipartUploads",
    "ListObjectVersions",
    "ListObjectsV2",
    "PutObject",
    "Query",
    "UpdateItem",
}
"""Every operation of an erasure."""


@unlike(DYNOXIDE_HAS_NO_S3)
class TestEngines:
    def test_an_account_goes_with_every_version_and_no_other_does(
        self, manager: DatabaseManager, objects: ObjectStore, alice: str, bob: str
    ) -> None:
        versioned(objects)
        settle_in(manager, objects, bob)
        before = [keys_of(objects, bob), rows_of(manager, bob)]
        settle_in(manager, objects, alice)
        objects.delete([f"similarity/{alice}/m/object"])
        erasure = Erasure(manager, objects, alice)
        erasure.request()
        erasure.finish()
        assert rows_of(manager, alice) == []
        assert keys_of(objects, alice) == []
        assert every_version(objects, "pending/erasures/") == []
        assert len(every_version(objects, f"erasures/{erasure.store.account}")) == 1
        assert [keys_of(objects, bob), rows_of(manager, bob)] == before

    def test_in_a_bucket_without_versions(self, manager: DatabaseManager, objects: ObjectStore, alice: str) -> None:
        settle_in(manager, objects, alice)
        erasure = Erasure(manager, objects, alice)
        erasure.request()
        erasure.finish()
        assert keys_of(objects, alice) == []
        assert erasure.stage() == "done"

    def test_a_copy_is_put_together_from_parts(
        self, manager: DatabaseManager, objects: ObjectStore, alice: str
    ) -> None:
        settle_in(manager, objects, alice)
        store = ExportStore(objects, alice)
        started = store.request()
        export(objects, owner=alice, export_id=started.id, check=lambda: None, manager=manager)
        status = store.status()
        assert status
        stored = objects.get(store.file_key(status.id))
        assert stored
        assert len(opened(stored.body)["embeddings-00001.ndjson"]) == 3


def every_row_of(manager: DatabaseManager) -> list[Any]:
    settings = manager.settings
    tables = (settings.users_table, settings.reports_table, settings.embeddings_table)
    return [from_item(row) for table in tables for row in scanned(manager, table)]


def rows_of(manager: DatabaseManager, owner: str) -> list[Any]:
    return sorted((row for row in every_row_of(manager) if row.get("user_id") == owner), key=_place)


def _place(row: Row) -> tuple[str, ...]:
    return tuple(str(row.get(name, "")) for name in ("id", "product_id", "owner_model"))


def scanned(manager: DatabaseManager, table: str) -> Iterator[Any]:
    position: Any = {}
    while True:
        page = manager.client.scan(TableName=table, ConsistentRead=True, **position)
        yield from page["Items"]
        if "LastEvaluatedKey" not in page:
            return
        position = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


class TestManyRows:
    """On the strictest engine, which is the fastest as well; the bucket is this process's own."""

    @pytest.fixture
    def strictest(self, environment: None, request: pytest.FixtureRequest) -> Engine:
        """Started in a function's environment."""
        engine: Engine = request.getfixturevalue("dynoxide")
        return engine

    @pytest.fixture
    def strict(self, strictest: Engine) -> DatabaseManager:
        return strictest.manager()

    @pytest.fixture
    def bucket(self, strictest: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
        monkeypatch.setattr("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", 1)
        with mock_aws():
            store = ObjectStore(Settings(MappingProxyType(dict(strictest.settings(None).environ))))
            boto3.client("s3").create_bucket(Bucket=store.settings.similarity_bucket)
            yield versioned(store)

    @pytest.fixture
    def large(self, strict: DatabaseManager, bucket: ObjectStore, alice: str, bob: str) -> str:
        """Alice has all these rows; so has nobody else, but Bob has what most have."""
        settle_in(strict, bucket, bob)
        embed(strict, alice, "p-0")
        for prefix in owned_prefixes(alice):
            bucket.put(f"{prefix}m/object", b"x")
        bucket.call("create_multipart_upload", Key=f"{owned_prefixes(alice)[0]}unfinished")
        settings = strict.settings
        put_all(strict, settings.embeddings_table, (product(alice, number) for number in range(1, PRODUCTS)))
        put_all(strict, settings.reports_table, (report(alice, number) for number in range(REPORTS)))
        return alice

    @pytest.mark.parametrize("spared", [frozenset(), PROGRESS], ids=["every call", "those between its changes"])
    def test_an_erasure_that_is_killed_after_every_call(
        self,
        strict: DatabaseManager,
        bucket: ObjectStore,
        large: str,
        bob: str,
        spared: frozenset[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Each worker is killed after the first call that none before it has made, and the next goes on with what is
        left. One that never outlives a change never notes how many it made: hence once more, killed between them alone.
        """
        monkeypatch.setattr(embedding_erasure, "_PAGE_ROWS", ROWS // 10)  # a worker that is killed at once reads less
        if not spared:
            monkeypatch.setattr(parallel, "_THREADS", 1)  # nor do threads start to be killed
        others = rows_of(strict, bob), keys_of(bucket, bob)
        erasure = Erasure(strict, bucket, large)
        erasure_id = erasure.request()
        known: set[str] = set()
        killed: list[str] = []
        is_killed = True
        while is_killed or erasure.stage() != "done":
            assert len(killed) < MOST_WORKERS, killed[-20:]
            erasure.clock.pass_time(minutes=65)  # no claim is held, and no stage waits, for longer
            with killed_after_a_new_call(known, spared, strict, bucket) as calls, suppress(Killed):
                erase(
                    bucket,
                    account=erasure.store.account,
                    erasure_id=erasure_id,
                    check=lambda: None,
                    manager=strict,
                    clock=erasure.clock,
                )
            killed += calls
            is_killed = bool(calls)
        assert rows_of(strict, large) == []
        assert keys_of(bucket, large) == []
        assert every_version(bucket, "pending/erasures/") == []
        assert (rows_of(strict, bob), keys_of(bucket, bob)) == others
        assert set(killed) == ERASING - spared
        if not spared:
            assert killed.count("BatchWriteItem") >= 2 * PRODUCTS // 25
            assert killed.count("DeleteItem") == REPORTS + 3  # and the row of users, its fence, and the item of limits
        else:
            status = erasure.store.status()
            assert status
            assert (status.reports, status.embeddings) == (REPORTS, PRODUCTS)
            assert killed.count("PutObject") > PRODUCTS // (ROWS // 10)

    def test_a_copy_that_is_killed_after_every_call(
        self, strict: DatabaseManager, bucket: ObjectStore, large: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Of a first worker the first call counts, of a second the first two, and so on, until one is not killed; each
        is followed by one that finishes."""
        monkeypatch.setattr(sections, "FILE_BYTES", 80 * ROWS)
        clock = Clock()
        store = ExportStore(bucket, large, clock=clock)
        work: Callable[[], None] = lambda: export(  # noqa: E731 - one call, often
            bucket,
            owner=large,
            export_id=store.request().id,
            check=lambda: None,
            manager=strict,
            clock=clock,
            part_bytes=4 * ROWS,
        )
        calls, is_killed = 0, True
        while is_killed:
            store.request()
            is_killed = killed_after(calls, work, strict, bucket)
            calls += 1
            clock.pass_time(seconds=CLAIM.total_seconds() + 1)
            status = store.status()
            assert status
            if status.is_pending:
                work()
            status = store.status()
            assert status
            assert status.state == "done"
            assert (status.lines("reports"), status.lines("embeddings")) == (REPORTS, PRODUCTS)
            assert status.archive
            assert len(status.archive.etags) >= 3
        assert calls > 20
        status = store.status()
        assert status
        stored = bucket.get(store.file_key(status.id))
        assert stored
        files = opened(stored.body)
        products = [row["product_id"] for name, rows in files.items() if name.startswith("embed") for row in rows]
        assert sorted(products) == sorted({"p-0", *(f"p-{number}" for number in range(PRODUCTS))})


def put_all(manager: DatabaseManager, table: str, rows: Iterator[dict[str, Any]]) -> None:
    requests = [{"PutRequest": {"Item": to_item(row)}} for row in rows]
    for start in range(0, len(requests), 25):
        manager.call("batch_write_item", RequestItems={table: requests[start : start + 25]})


def product(owner: str, number: int) -> dict[str, Any]:
    moment = _moment(number)
    components = [random.Random(number).random(), 1.0]  # noqa: S311 - repeatable
    return {
        "product_id": f"p-{number}",
        "owner_model": f"{owner}#m",
        "user_id": owner,
        "model_version": "m",
        "embedding_vector": Vector.of(components).data,
        "vector_dimension": 2,
        "product": {"price": number},
        "created_at": moment,
        "updated_at": moment,
        "version": 1,
    }


def report(owner: str, number: int) -> dict[str, Any]:
    moment = _moment(number)
    return {"id": f"{owner}-{number}", "user_id": owner, "title": "T", "created_at": moment, "updated_at": moment}


def _moment(number: int) -> str:
    from datetime import UTC, datetime, timedelta

    return timestamp(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number))


@contextmanager
def killed_after_a_new_call(known: set[str], spared: frozenset[str], *sources: Any) -> Iterator[list[str]]:
    """The first call that is not like a known one (nor of a spared operation) is made; every call after it kills. It is
    known from then on, and is what the list then holds."""
    made: list[str] = []
    lock = threading.Lock()

    def before_call(params: dict[str, Any], model: OperationModel, **_: object) -> None:
        with lock:
            if made:
                raise Killed
            call = _alike(model.name, params)
            if call not in known and model.name not in spared:
                known.add(call)
                made.append(model.name)

    with _hooked(before_call, sources):
        yield made


_PASSING = re.compile(r"\b[0-9a-f]{8}-[0-9a-f-]{27}\b|\d{4}-\d\d-\d\dT[\d:.]+Z")


def _alike(operation: str, params: dict[str, Any]) -> str:
    """The call without what is another at each try: times, and the ids of workers."""
    body = params["Body"].getvalue() if "Body" in params else b""
    lasting = {name: value for name, value in params.items() if name != "IfMatch"}
    return _PASSING.sub("*", f"{operation} { {**lasting, 'Body': body} }")


def killed_after(calls: int, work: Callable[[], None], *sources: Any) -> bool:
    """Whether the work was killed, after so many calls."""
    made = 0

    def before_call(**_: object) -> None:
        nonlocal made
        if made >= calls:
            raise Killed
        made += 1

    with _hooked(before_call, sources):
        try:
            work()
        except Killed:
            return True
    return False


@contextmanager
def _hooked(hook: Callable[..., None], sources: Any) -> Iterator[None]:
    for source in sources:
        source.client.meta.events.register("provide-client-params", hook)
    try:
        yield
    finally:
        for source in sources:
            source.client.meta.events.unregister("provide-client-params", hook)
