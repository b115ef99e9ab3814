"""The index cache: what it reads and when, what it keeps, and that no damage or lack of time makes an answer wrong."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from botocore.exceptions import ClientError, NoCredentialsError

from handlers import worker
from shared import tasks as shared_tasks
from shared.config import ConfigurationError, get_settings
from shared.database.attributes import to_item
from shared.database.embeddings import EmbeddingRepository
from shared.database.index_rows import IndexRow
from shared.database.manager import DatabaseManager
from shared.database.model_versions import ModelVersionRepository
from shared.errors import TooManyRequests, Unavailable
from shared.models.embedding import Metric
from shared.models.fields import timestamp
from shared.models.filters import Filter, parse_filter
from shared.scope import current_scope, request_scope
from shared.similarity import cache as module
from shared.similarity import jobs
from shared.similarity.builder import SnapshotBuilder
from shared.similarity.cache import IndexCache
from shared.similarity.index import Query, StreamedPart
from shared.similarity.loading import REBUILD_AFTER, Loader
from shared.similarity.manifest import Manifest
from shared.similarity.objects import ObjectStore, default_objects, object_prefix
from shared.similarity.snapshot import MAX_AGE, OVERLAP, SnapshotStore
from tests.support.faults import faulty, garbled, requests_sent
from tests.support.logs import Logged
from tests.support.logs import logged as logged
from tests.support.vectors import expected, live_rows

OWNER, MODEL, DIMENSION = "alice", "v1", 4
PLENTY = 1 << 30
SEGMENT_ROWS, SNAPSHOT_ROWS = 8, 20
LONG_AGO = timedelta(hours=1)
Call = tuple[str, dict[str, Any]]
Table = dict[str, IndexRow]


@dataclass
class Ticks:
    """Seconds that pass when they are told to."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Scene:
    """A table, a bucket, a clock, and what the worker was asked for."""

    manager: DatabaseManager
    objects: ObjectStore
    clock: Ticks = field(default_factory=Ticks)
    asked: list[dict[str, Any]] = field(default_factory=list)
    tables: dict[tuple[str, str], Table] = field(default_factory=dict)
    writes: int = 0

    def cache(self, limit: int = PLENTY) -> IndexCache:
        return IndexCache(self.objects, EmbeddingRepository(self.manager), limit, self.clock)

    def table(self, owner: str = OWNER, model: str = MODEL) -> Table:
        return self.tables.setdefault((owner, model), {})

    def put(
        self,
        *product_ids: str,
        age: timedelta = LONG_AGO,
        owner: str = OWNER,
        model: str = MODEL,
        dimension: int = DIMENSION,
        **product: Any,
    ) -> None:
        """Rows as the repository leaves them, last changed so long ago."""
        ModelVersionRepository(self.manager).declare(owner, model, dimension)
        for product_id in product_ids:
            self.writes += 1
            source = np.random.default_rng(self.writes)
            vector = source.standard_normal(dimension).astype(np.float32).tobytes()
            document = {"write": self.writes, "parity": self.writes % 2, **product}
            self._write(owner, model, IndexRow(product_id, _before(age, self.writes), vector, document))

    def delete(self, *product_ids: str, age: timedelta = timedelta(), owner: str = OWNER, model: str = MODEL) -> None:
        for product_id in product_ids:
            self.writes += 1
            self._write(owner, model, IndexRow(product_id, _before(age, self.writes), None, {}))

    def _write(self, owner: str, model: str, row: IndexRow) -> None:
        state = {"deleted_at": row.updated_at} if row.vector is None else {"embedding_vector": row.vector}
        item = {
            "product_id": row.product_id,
            "owner_model": f"{owner}#{model}",
            "user_id": owner,
            "updated_at": row.updated_at,
            "product": row.product,
            **state,
        }
        self.manager.client.put_item(TableName=self.manager.settings.embeddings_table, Item=to_item(item))
        self.table(owner, model)[row.product_id] = row

    def snapshot(self, *, full: bool = False, owner: str = OWNER, model: str = MODEL) -> Manifest:
        manifest = jobs.build_snapshot(self.objects, owner, model, full=full, check=lambda: None)
        assert manifest
        return manifest

    def work(self) -> None:
        """What the worker was asked for is done."""
        for task in self.asked:
            worker.handler(task)
        self.asked.clear()

    @property
    def full_asked(self) -> list[bool]:
        return [task["full"] for task in self.asked]

    @property
    def store(self) -> SnapshotStore:
        return SnapshotStore(self.objects, OWNER, MODEL)

    def key(self, name: str) -> str:
        return f"{object_prefix(OWNER, MODEL)}{name}"

    def damage(self, key: str) -> None:
        stored = self.objects.get(key)
        assert stored
        middle = len(stored.body) // 2
        changed = bytes([stored.body[middle] ^ 1])
        self.objects.put(key, stored.body[:middle] + changed + stored.body[middle + 1 :])

    def republish(self, **changes: Any) -> None:
        """The manifest with other contents."""
        base = self.store.current()
        assert base.manifest
        assert self.store.publish(base.manifest.model_copy(update=changes), base)

    @contextmanager
    def calls(self) -> Iterator[list[Call]]:
        """The calls of DynamoDB and S3 that the block makes."""
        made: list[Call] = []
        s3: Any = SimpleNamespace(client=self.objects.client)
        with ExitStack() as stack:
            both = [stack.enter_context(requests_sent(manager)) for manager in (self.manager, s3)]
            yield made
            made += both[1] + both[0]


@pytest.fixture
def scene(manager: DatabaseManager, monkeypatch: pytest.MonkeyPatch) -> Scene:
    scene = Scene(manager, default_objects())
    monkeypatch.setattr("shared.similarity.asking.request_task", scene.asked.append)
    monkeypatch.setattr("shared.similarity.loading.SNAPSHOT_ROWS", SNAPSHOT_ROWS)
    monkeypatch.setattr(jobs, "SnapshotBuilder", partial(SnapshotBuilder, segment_rows=SEGMENT_ROWS))
    return scene


def _before(age: timedelta, microseconds: int = 0) -> str:
    return timestamp(datetime.now(UTC) - age + timedelta(microseconds=microseconds))


def ids(count: int, prefix: str = "p") -> list[str]:
    return [f"{prefix}{number}" for number in range(count)]


def query(
    metric: Metric = "cosine", top_k: int = 1000, wanted: Filter | None = None, dimension: int = DIMENSION
) -> Query:
    vector = np.arange(1, dimension + 1, dtype=np.float32)
    return Query(vector, metric, top_k, filter=wanted)


def found(cache: IndexCache, given: Query | None = None, owner: str = OWNER, model: str = MODEL) -> list[str]:
    """Ids, writes and all: what a search of everything finds, best first, as `product write`."""
    asked = given or query()
    hits = cache.search(owner, model, len(asked.vector), asked)
    return [f"{hit.product_id} {hit.product['write']}" for hit in hits]


def right(scene: Scene, given: Query | None = None, owner: str = OWNER, model: str = MODEL) -> list[str]:
    """What a search must find."""
    table = scene.table(owner, model)
    ranked = expected(given or query(), live_rows(table))
    return [f"{product_id} {table[product_id].product['write']}" for product_id, _ in ranked]


@contextmanager
def pages_of_five(scene: Scene) -> Iterator[None]:
    """Queries give five rows a page."""

    def cut(params: dict[str, Any], **_: object) -> None:
        params.setdefault("Limit", 5)

    events: Any = scene.manager.client.meta.events
    events.register("provide-client-params.dynamodb.Query", cut)
    yield
    events.unregister("provide-client-params.dynamodb.Query", cut)


def is_streamed(cache: IndexCache) -> bool:
    return any(isinstance(part, StreamedPart) for part in cache.index_of(OWNER, MODEL, DIMENSION).parts)


def names(calls: Sequence[Call]) -> list[str]:
    return [name for name, _ in calls]


def since(calls: Sequence[Call]) -> list[str | None]:
    """From when on each query asked for rows; None for all."""
    return [
        parameters["ExpressionAttributeValues"].get(":since", {}).get("S") for name, parameters in calls if "Q" in name
    ]


class TestReading:
    def test_cold_without_a_snapshot_the_table_is_read(self, scene: Scene) -> None:
        scene.put(*ids(5))
        scene.delete("p2")
        with scene.calls() as calls:
            assert found(scene.cache()) == right(scene)
        assert names(calls) == ["GetObject", "Query"]
        assert since(calls) == [None]
        assert len(right(scene)) == 4

    def test_cold_with_a_snapshot_only_what_changed_since_is_read(self, scene: Scene) -> None:
        scene.put(*ids(20))
        manifest = scene.snapshot()
        scene.put("p1", "new", age=timedelta())
        scene.delete("p2", "p3")
        with scene.calls() as calls:
            assert found(scene.cache()) == right(scene)
        assert names(calls) == ["GetObject"] * (1 + len(manifest.segments)) + ["Query"]
        assert since(calls) == [timestamp(manifest.watermark_time - OVERLAP)]

    def test_what_is_unchanged_is_not_read_from_the_table(self, scene: Scene) -> None:
        scene.put(*ids(10))
        scene.snapshot()
        for product_id in ids(10):
            key = to_item({"product_id": product_id, "owner_model": f"{OWNER}#{MODEL}"})
            scene.manager.client.delete_item(TableName=scene.manager.settings.embeddings_table, Key=key)
        assert found(scene.cache()) == right(scene)

    def test_warm_the_delta_is_read_once_a_second_at_most(self, scene: Scene) -> None:
        scene.put(*ids(5))
        cache = scene.cache()
        before = found(cache)
        scene.put("new", age=timedelta())
        scene.delete("p0")
        scene.clock.now += 0.99
        with scene.calls() as calls:
            assert [found(cache) for _ in range(3)] == [before] * 3
        assert calls == []
        scene.clock.now += 0.01
        with scene.calls() as calls:
            assert [found(cache) for _ in range(3)] == [right(scene)] * 3
        assert names(calls) == ["Query"]
        (start,) = since(calls)
        assert start is not None
        assert _before(OVERLAP + timedelta(seconds=60)) < start < _before(OVERLAP)

    def test_a_row_that_is_late_within_the_overlap_is_found(self, scene: Scene) -> None:
        scene.put(*ids(3))
        cache = scene.cache()
        found(cache)
        for late in range(1, 4):
            scene.clock.now += 1
            found(cache)
            scene.put(f"late{late}", age=OVERLAP - timedelta(seconds=2))
            scene.delete(f"p{late - 1}", age=OVERLAP - timedelta(seconds=2))
            scene.clock.now += 1
            assert found(cache) == right(scene)

    def test_a_row_that_is_stored_during_a_long_read_is_found_by_the_next(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        minutes = iter(range(10, 0, -1))
        monkeypatch.setattr("shared.similarity.loading.now", lambda: _before(timedelta(minutes=next(minutes))))
        scene.put(*ids(3))
        cache = scene.cache()
        found(cache)
        scene.put("during", age=timedelta(minutes=9, seconds=59))
        scene.clock.now += 1
        assert found(cache) == right(scene)

    def test_a_row_later_than_the_overlap_is_found_after_a_full_rebuild(self, scene: Scene) -> None:
        scene.put(*ids(3))
        scene.snapshot()
        cache = scene.cache()
        before = found(cache)
        scene.put("late", age=LONG_AGO)
        for _ in range(2):
            scene.clock.now += 1
            assert found(cache) == before
            scene.snapshot()
        assert found(scene.cache()) == before
        scene.snapshot(full=True)
        assert found(scene.cache()) == right(scene)
        scene.clock.now += REBUILD_AFTER.total_seconds() + 1
        assert found(cache) == right(scene)

    def test_an_index_in_memory_is_read_anew_after_a_while(self, scene: Scene) -> None:
        scene.put(*ids(3))
        scene.snapshot()
        cache = scene.cache()
        found(cache)
        scene.clock.now += REBUILD_AFTER.total_seconds() - 1
        with scene.calls() as calls:
            found(cache)
        assert names(calls) == ["Query"]
        scene.clock.now += 2
        with scene.calls() as calls:
            found(cache)
        assert names(calls) == ["GetObject", "GetObject", "Query"]

    def test_a_snapshot_of_long_ago_is_used_and_a_full_one_asked_for(self, scene: Scene) -> None:
        scene.put(*ids(3))
        scene.snapshot()
        scene.republish(complete_at=_before(REBUILD_AFTER + timedelta(minutes=1)))
        with scene.calls() as calls:
            assert found(scene.cache()) == right(scene)
        assert since(calls) != [None]
        assert scene.full_asked == [True]
        scene.work()
        found(scene.cache())
        assert scene.asked == []

    def test_a_snapshot_that_may_miss_deletions_is_ignored(self, scene: Scene) -> None:
        scene.put(*ids(3))
        scene.snapshot()
        scene.republish(watermark=_before(MAX_AGE + timedelta(minutes=1)))
        with scene.calls() as calls:
            assert found(scene.cache()) == right(scene)
        assert since(calls) == [None]
        assert scene.asked
        scene.work()
        with scene.calls() as calls:
            found(scene.cache())
        assert since(calls) != [None]

    def test_a_snapshot_of_another_dimension_is_ignored_and_replaced(self, scene: Scene) -> None:
        scene.put(*ids(3))
        scene.snapshot()
        scene.republish(dimension=DIMENSION + 1)
        assert found(scene.cache()) == right(scene)
        assert scene.asked
        scene.work()
        with scene.calls() as calls:
            assert found(scene.cache()) == right(scene)
        assert since(calls) != [None]

    def test_a_model_version_without_products(self, scene: Scene) -> None:
        cache = scene.cache()
        assert found(cache) == []
        scene.put("first", age=timedelta())
        scene.delete("first")
        scene.clock.now += 1
        assert found(cache) == []
        scene.snapshot()
        assert found(scene.cache()) == []

    def test_a_row_whose_vector_cannot_be_searched_keeps_no_other_from_being_found(self, scene: Scene) -> None:
        scene.put(*ids(3))
        scene.put("odd", dimension=DIMENSION)
        odd = scene.table()["odd"]
        scene._write(OWNER, MODEL, IndexRow("odd", odd.updated_at, b"\0" * 4 * DIMENSION, {}))
        scene._write(OWNER, MODEL, IndexRow("short", odd.updated_at, b"\0\0\x80\x3f", {}))
        del scene.table()["odd"], scene.table()["short"]
        assert found(scene.cache()) == right(scene)


class TestAsking:
    def test_for_few_rows_no_snapshot_is_asked_for(self, scene: Scene) -> None:
        scene.put(*ids(SNAPSHOT_ROWS - 1))
        found(scene.cache())
        assert scene.asked == []

    def test_for_many_rows_one_is(self, scene: Scene) -> None:
        scene.put(*ids(SNAPSHOT_ROWS))
        found(scene.cache())
        ((task, asked_at),) = [(task, task.pop("asked_at")) for task in map(dict, scene.asked)]
        assert task == {"task": "snapshot", "owner": OWNER, "model_version": MODEL, "full": False}
        assert _before(timedelta(minutes=1)) < asked_at <= _before(timedelta())
        scene.work()
        assert found(scene.cache()) == right(scene)
        assert scene.asked == []

    def test_the_changes_of_a_warm_index_add_up(self, scene: Scene) -> None:
        scene.put(*ids(SNAPSHOT_ROWS - 3))
        scene.snapshot()
        cache = scene.cache()
        found(cache)
        rounds = 0
        while not scene.asked:
            rounds += 1
            scene.put(*ids(5, f"new{rounds}-"), age=timedelta())
            scene.clock.now += 1
            found(cache)
        assert rounds == SNAPSHOT_ROWS // 5

    def test_of_a_large_index_a_tenth_has_to_be_new(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("shared.similarity.loading.SNAPSHOT_ROWS", 2)
        scene.put(*ids(50))
        scene.snapshot()
        cache = scene.cache()
        scene.put(*ids(4, "new"), age=timedelta())
        found(cache)
        assert scene.asked == []
        scene.put(*ids(4, "newer"), age=timedelta())
        scene.clock.now += 1
        found(cache)
        assert scene.full_asked == [False]

    def test_it_is_asked_once_a_minute_at_most(self, scene: Scene) -> None:
        scene.put(*ids(SNAPSHOT_ROWS))
        cache = scene.cache()
        found(cache)
        for seconds in (10, 20, 20, 9.9):
            scene.put(*ids(SNAPSHOT_ROWS, f"{seconds}-"), age=timedelta())
            scene.clock.now += seconds
            found(cache)
        assert len(scene.asked) == 1
        for seconds in (1, 1):
            scene.put(*ids(SNAPSHOT_ROWS, f"{seconds}-"), age=timedelta())
            scene.clock.now += seconds
            found(cache)
        assert len(scene.asked) == 2

    def test_a_full_one_that_is_due_is_asked_for_right_after_an_ordinary_one(self, scene: Scene) -> None:
        scene.put(*ids(SNAPSHOT_ROWS))
        scene.snapshot()
        scene.put(*ids(SNAPSHOT_ROWS, "new"), age=timedelta())
        cache = scene.cache()
        found(cache)
        assert scene.full_asked == [False]
        scene.republish(complete_at=_before(REBUILD_AFTER + timedelta(seconds=1)))
        cache._forget((OWNER, MODEL))
        for _ in range(2):
            assert found(cache) == right(scene)
            assert scene.full_asked == [False, True]
            cache._forget((OWNER, MODEL))
        scene.work()
        manifest = scene.store.read()
        assert manifest
        assert manifest.complete_at > _before(timedelta(minutes=1))
        assert found(scene.cache()) == right(scene)
        assert scene.asked == []

    @pytest.mark.parametrize(
        "error",
        [
            Unavailable("no worker"),
            TooManyRequests(),
            ClientError({"Error": {"Code": "AccessDeniedException"}}, "Invoke"),
            NoCredentialsError(),
            ConfigurationError("WORKER_FUNCTION"),
        ],
        ids=lambda error: type(error).__name__,
    )
    def test_a_search_does_not_fail_because_nobody_can_be_asked(
        self, scene: Scene, logged: Logged, monkeypatch: pytest.MonkeyPatch, error: Exception
    ) -> None:
        def fail(task: object) -> None:
            raise error

        monkeypatch.setattr("shared.similarity.asking.request_task", fail)
        scene.put(*ids(SNAPSHOT_ROWS))
        assert found(scene.cache()) == right(scene)
        (record,) = logged.records()
        assert (record["level"], record["exception"]) == ("WARNING", type(error).__name__)


class TestClock:
    def test_it_is_the_wall_s(self, scene: Scene) -> None:
        cache = IndexCache(scene.objects, EmbeddingRepository(scene.manager), PLENTY)
        assert cache._clock is time.time

    @pytest.mark.parametrize("back", [0.5, 60.0, 1_000_000.0])
    def test_where_it_is_set_back_the_index_is_read_anew(self, scene: Scene, back: float) -> None:
        scene.put(*ids(3))
        cache = scene.cache()
        found(cache)
        scene.put("new", age=timedelta())
        scene.delete("p1")
        scene.clock.now -= back
        with scene.calls() as calls:
            assert found(cache) == right(scene)
        assert (names(calls), since(calls)) == (["GetObject", "Query"], [None])
        with scene.calls() as calls:
            assert found(cache) == right(scene)
        assert calls == []
        scene.put("newer", age=timedelta())
        scene.clock.now += 1.1
        assert found(cache) == right(scene)

    def test_where_it_is_set_back_a_snapshot_is_asked_for_again(self, scene: Scene) -> None:
        scene.put(*ids(SNAPSHOT_ROWS))
        cache = scene.cache()
        for _ in range(2):
            found(cache)
            scene.clock.now -= 3600
        assert scene.full_asked == [False, False]


class TestMemory:
    def size_of(self, scene: Scene, model: str = MODEL) -> int:
        cache = scene.cache()
        found(cache, model=model)
        return cache.nbytes

    def test_what_was_not_used_for_longest_makes_room(self, scene: Scene) -> None:
        models = ["v1", "v2", "v3"]
        for model in models:
            scene.put(*ids(10), model=model)
        size = self.size_of(scene)
        cache = scene.cache(2 * size + size // 2)
        for model in ("v1", "v2", "v1", "v3"):
            scene.clock.now += 0.1
            assert found(cache, model=model) == right(scene, model=model)
            assert 0 < cache.nbytes <= 2 * size + size // 2
        with scene.calls() as calls:
            found(cache, model="v1")
            found(cache, model="v3")
        assert calls == []
        with scene.calls() as calls:
            assert found(cache, model="v2") == right(scene, model="v2")
        assert names(calls) == ["GetObject", "Query"]

    def test_the_cap_holds_while_indexes_grow_and_filters_make_columns(self, scene: Scene) -> None:
        models = ["v1", "v2", "v3"]
        for model in models:
            scene.put(*ids(12), model=model, text="x" * 50)
        limit = int(2.2 * self.size_of(scene))
        cache = scene.cache(limit)
        filters = [
            parse_filter({"parity": 0}),
            parse_filter({"text": {"$ne": "y"}}),
            parse_filter({"write": {"$gt": 3}}),
        ]
        for step in range(30):
            model = models[step * 7 % 3]
            scene.put(f"new{step}", model=model, age=timedelta(), text=f"{step}" * 40)
            scene.clock.now += 1
            given = query(wanted=filters[step % 3])
            assert found(cache, given, model=model) == right(scene, given, model=model)
            assert cache.nbytes <= limit

    def test_an_index_whose_columns_do_not_fit_beside_it_is_searched_all_the_same(self, scene: Scene) -> None:
        for number in range(15):
            scene.put(f"p{number}", text=f"{number}" * 200)
        cache = scene.cache(self.size_of(scene) + 100)
        given = query(wanted=parse_filter({"text": {"$gt": "2"}}))
        for _ in range(4):
            assert found(cache, given) == right(scene, given)
            assert cache.nbytes <= self.size_of(scene) + 100
            scene.clock.now += 1
        assert right(scene, given)

    def test_columns_make_way_for_rows(self, scene: Scene) -> None:
        for number in range(15):
            scene.put(f"p{number}", text=f"{number}" * 200)
        scene.snapshot()
        given, reader = query(wanted=parse_filter({"text": {"$gt": "2"}})), scene.cache()
        assert found(reader, given) == right(scene, given)
        cache = scene.cache(reader.nbytes + 10)
        for step in range(4):
            assert found(cache, given) == right(scene, given)
            scene.put(f"new{step}", age=timedelta())
            scene.clock.now += 1
        assert found(cache, given) == right(scene, given)
        assert not is_streamed(cache)

    def test_room_is_made_while_an_index_is_being_read(self, scene: Scene) -> None:
        scene.put(*ids(SNAPSHOT_ROWS))
        rooms, wanted = list[int](), list[bool]()
        loader = Loader(scene.objects, EmbeddingRepository(scene.manager), PLENTY)
        with pages_of_five(scene):
            index, _ = loader.load((OWNER, MODEL), DIMENSION, wanted.append, rooms.append, streamed=False)
        assert len(rooms) >= 4
        assert rooms == sorted(rooms)
        assert rooms[0] < rooms[-1] == index.nbytes
        assert wanted == [False]

    def changed(self, scene: Scene) -> None:
        """Sixty products in a snapshot, some of which were replaced and deleted before and after it."""
        scene.put(*ids(60))
        scene.delete("p7", "p8", age=LONG_AGO / 2)
        scene.snapshot()
        scene.put("p1", "p9", "p17", age=LONG_AGO / 4)
        scene.delete("p2", age=LONG_AGO / 4)
        scene.snapshot(full=True)
        scene.put("p1", "p3", "p7", "new", age=timedelta(seconds=1))
        scene.delete("p4", "p59", age=timedelta(seconds=1))
        scene.put("p59", age=timedelta())
        scene.delete("p5", "p3")

    def small_cache(self, scene: Scene, share: float = 0.5) -> IndexCache:
        return scene.cache(int(self.size_of(scene) * share))

    @pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
    def test_a_model_larger_than_the_cap_is_streamed_with_the_same_answers(self, scene: Scene, metric: Metric) -> None:
        self.changed(scene)
        large, small = scene.cache(), self.small_cache(scene)
        filters = [None, parse_filter({"parity": 1}), parse_filter({"write": {"$lt": 20}}), parse_filter({"no": 1})]
        for _ in range(3):
            for wanted in filters:
                for top_k in (1, 5, 1000):
                    given = query(metric, top_k, wanted)
                    assert found(small, given) == found(large, given) == right(scene, given)
            assert is_streamed(small)
            scene.put("p1", "p6", f"new{scene.writes}", age=timedelta())
            scene.delete(f"p{scene.writes % 60}", "p10")
            scene.clock.now += 1

    def test_scores_and_products_and_vectors_are_the_same_too(self, scene: Scene) -> None:
        self.changed(scene)
        large, small = scene.cache(), self.small_cache(scene)
        diverse = Query(query().vector, top_k=7, diversity=0.4)
        for given in (query(), diverse):
            hits = [cache.search(OWNER, MODEL, DIMENSION, given) for cache in (large, small)]
            assert hits[0] == hits[1]
        assert len(hits[0]) == 7

    def test_between_the_guess_and_the_truth_of_its_size_it_is_searched_too(self, scene: Scene) -> None:
        scene.put(*ids(40))
        manifest = scene.snapshot()
        guess, size = int(1.5 * sum(ref.size for ref in manifest.segments)), self.size_of(scene)
        for limit in range(min(guess, size) - 100, max(guess, size) + 200, 400):
            cache = scene.cache(limit)
            for _ in range(2):
                assert found(cache) == right(scene)
                assert cache.nbytes <= limit
                scene.clock.now += 1

    def test_one_that_grows_beyond_the_cap_while_it_is_kept_is_streamed_from_then_on(self, scene: Scene) -> None:
        scene.put(*ids(40))
        scene.snapshot()
        limit = self.size_of(scene) + 1000
        cache = scene.cache(limit)
        for step in range(12):
            assert found(cache) == right(scene)
            assert cache.nbytes <= limit
            scene.put(f"new{step}", age=timedelta())
            scene.clock.now += 1
        assert is_streamed(cache)

    def test_one_that_has_shrunk_is_kept_whole_again(self, scene: Scene) -> None:
        scene.put(*ids(40))
        scene.snapshot()
        cache = self.small_cache(scene)
        found(cache)
        assert is_streamed(cache)
        scene.delete(*ids(35), age=LONG_AGO / 2)
        scene.snapshot(full=True)
        scene.clock.now += REBUILD_AFTER.total_seconds() + 1
        assert found(cache) == right(scene)
        assert not is_streamed(cache)

    @pytest.mark.parametrize("rows", [SNAPSHOT_ROWS // 2, 2 * SNAPSHOT_ROWS])
    def test_larger_than_the_cap_without_a_snapshot_it_is_found_once_the_worker_has_made_one(
        self, scene: Scene, rows: int
    ) -> None:
        scene.put(*ids(rows))
        cache = self.small_cache(scene, 0.6)
        scene.asked.clear()
        for _ in range(3):
            with pytest.raises(Unavailable) as refusal:
                found(cache)
            assert refusal.value.headers["Retry-After"] == "10"
            assert cache.nbytes == 0
            scene.clock.now += 1
        assert len(scene.asked) == 1
        scene.work()
        scene.clock.now += 10
        assert found(cache) == right(scene)

    def test_changes_that_alone_are_larger_than_the_cap_wait_for_the_worker_too(self, scene: Scene) -> None:
        scene.put(*ids(30))
        scene.snapshot()
        cache = self.small_cache(scene, 0.3)
        assert found(cache) == right(scene)
        scene.put(*ids(SNAPSHOT_ROWS // 2, "new"), age=timedelta(seconds=11))
        scene.republish(watermark=_before(timedelta(seconds=20)))
        scene.clock.now += REBUILD_AFTER.total_seconds() + 1
        with pytest.raises(Unavailable):
            found(cache)
        assert scene.asked
        scene.work()
        assert found(scene.cache(int(self.size_of(scene) * 0.3))) == right(scene)

    def test_a_streamed_index_outlives_the_segments_that_it_was_made_of(self, scene: Scene) -> None:
        scene.put(*ids(40))
        first = scene.snapshot()
        cache = self.small_cache(scene)
        found(cache)
        scene.put(*ids(30), age=LONG_AGO / 2)
        second = scene.snapshot(full=True)
        gone = first.names - second.names
        scene.objects.delete(scene.key(f"segments/{name}") for name in gone)
        assert gone
        scene.clock.now += 1
        assert found(cache) == right(scene)
        assert scene.asked == []


class TestDamage:
    def test_a_corrupt_manifest(self, scene: Scene, logged: Logged) -> None:
        scene.put(*ids(5))
        scene.snapshot()
        scene.damage(scene.key("manifest.json"))
        self.is_got_over(scene, logged)

    def test_a_corrupt_segment(self, scene: Scene, logged: Logged) -> None:
        scene.put(*ids(20))
        manifest = scene.snapshot()
        scene.damage(scene.key(f"segments/{manifest.segments[1].name}"))
        self.is_got_over(scene, logged)

    def test_a_segment_that_is_missing(self, scene: Scene, logged: Logged) -> None:
        scene.put(*ids(20))
        manifest = scene.snapshot()
        scene.objects.delete([scene.key(f"segments/{manifest.segments[0].name}")])
        self.is_got_over(scene, logged)

    def is_got_over(self, scene: Scene, logged: Logged) -> None:
        """With a warning, a right answer from the table, and a new snapshot that is whole."""
        scene.put("p0", age=timedelta())
        scene.delete("p1")
        cache = scene.cache()
        with scene.calls() as calls:
            assert found(cache) == right(scene)
        assert since(calls) == [None]
        assert [record["level"] for record in logged.records()] == ["WARNING"]
        assert scene.full_asked == [True]
        scene.work()
        with scene.calls() as calls:
            assert found(scene.cache()) == right(scene)
        assert since(calls) != [None]
        assert scene.asked == []

    @pytest.mark.parametrize("is_missing", [False, True])
    def test_a_streamed_segment_that_is_damaged(self, scene: Scene, logged: Logged, is_missing: bool) -> None:
        scene.put(*ids(40))
        manifest = scene.snapshot()
        reader = scene.cache()
        found(reader)
        cache = scene.cache(reader.nbytes // 2)
        key = scene.key(f"segments/{manifest.segments[2].name}")
        if is_missing:
            scene.objects.delete([key])
        else:
            scene.damage(key)
        for _ in range(3):
            with pytest.raises(Unavailable) as refusal:
                found(cache)
            assert refusal.value.headers["Retry-After"] == "10"
            scene.clock.now += 1
        assert scene.full_asked == [True]
        assert {record["level"] for record in logged.records()} == {"WARNING"}
        scene.work()
        scene.clock.now += 10
        assert found(cache) == right(scene)


class TestTime:
    @contextmanager
    def slow(self, scene: Scene, pages: int) -> Iterator[None]:
        """Queries give five rows a page, and the request's time is up after so many pages."""
        events: Any = scene.manager.client.meta.events
        left = pages

        def wait(**_: object) -> None:
            nonlocal left
            left -= 1
            scope = current_scope()
            if left == 0 and scope:
                scope.started -= 3600

        events.register("after-call.dynamodb.Query", wait)
        with pages_of_five(scene):
            yield
        events.unregister("after-call.dynamodb.Query", wait)

    def test_an_index_that_cannot_be_read_in_time_is_asked_for_and_never_searched_in_part(self, scene: Scene) -> None:
        scene.put(*ids(2 * SNAPSHOT_ROWS))
        cache = scene.cache()
        pages = SNAPSHOT_ROWS // 5 + 1
        for _ in range(2):
            with self.slow(scene, pages), request_scope(), pytest.raises(Unavailable) as refusal:
                found(cache)
            assert refusal.value.retry_after
            assert cache.nbytes == 0
        assert scene.full_asked == [False]
        scene.work()
        with self.slow(scene, pages), request_scope():
            assert found(cache) == right(scene)

    def test_the_worker_function_is_invoked_while_there_is_time(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("WORKER_FUNCTION", "k9-worker-test")
        get_settings.cache_clear()
        shared_tasks._lambda_client.cache_clear()
        monkeypatch.setattr("shared.similarity.asking.request_task", shared_tasks.request_task)
        scene.put(*ids(2 * SNAPSHOT_ROWS))
        lambda_: Any = SimpleNamespace(client=shared_tasks._lambda_client())
        pages = SNAPSHOT_ROWS // 5 + 1
        with faulty(lambda_, garbled(202, "")) as invoked, self.slow(scene, pages), request_scope():  # noqa: SIM117
            with pytest.raises(Unavailable):
                found(scene.cache())
        assert invoked.fired == 1
        shared_tasks._lambda_client.cache_clear()

    def test_a_delta_that_cannot_be_read_in_time_leaves_the_index_as_it_was(self, scene: Scene) -> None:
        scene.put(*ids(5))
        cache = scene.cache()
        found(cache)
        scene.put(*ids(20, "new"), age=timedelta())
        scene.clock.now += 1
        with self.slow(scene, 2), request_scope(), pytest.raises(Unavailable):
            found(cache)
        with request_scope():
            assert found(cache) == right(scene)

    def test_a_streamed_search_that_runs_out_of_time_gives_no_part_of_an_answer(self, scene: Scene) -> None:
        scene.put(*ids(40))
        segments = len(scene.snapshot().segments)
        reader = scene.cache()
        found(reader)
        cache = scene.cache(reader.nbytes // 2)
        found(cache)
        assert is_streamed(cache)
        read = 0

        def wait(**_: object) -> None:
            nonlocal read
            read += 1
            scope = current_scope()
            if read == allowed and scope:
                scope.started -= 3600

        events: Any = scene.objects.client.meta.events
        events.register("after-call.s3.GetObject", wait)
        for allowed in range(1, segments + 1):
            read = 0
            with request_scope(), pytest.raises(Unavailable):
                found(cache)
            assert read == allowed
        events.unregister("after-call.s3.GetObject", wait)
        with request_scope():
            assert found(cache) == right(scene)
        assert scene.asked == []

    def test_another_thread_is_not_waited_for_without_end(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "_WAIT_SECONDS", 0.05)
        scene.put(*ids(5))
        cache, reading, go_on = scene.cache(), threading.Event(), threading.Event()

        def hold(**_: object) -> None:
            reading.set()
            go_on.wait(10)

        events: Any = scene.manager.client.meta.events
        events.register("before-call.dynamodb.Query", hold)
        with ThreadPoolExecutor(1) as pool:
            slow = pool.submit(found, cache)
            assert reading.wait(10)
            for model in (MODEL, "v2"):  # the same model, and one that must not be loaded beside it
                with pytest.raises(Unavailable) as refusal:
                    found(cache, model=model)
                assert refusal.value.retry_after
            go_on.set()
            assert slow.result(10) == right(scene)
        events.unregister("before-call.dynamodb.Query", hold)
        assert found(cache) == right(scene)

    def test_no_part_is_left_out_of_a_search_that_runs_out_of_time(self, scene: Scene) -> None:
        scene.put(*ids(20))
        cache = scene.cache()
        found(cache)
        with request_scope() as scope:
            scope.started -= 3600
            with pytest.raises(Unavailable):
                found(cache)
        assert found(cache) == right(scene)

    def test_a_throttled_read_is_a_429_and_nothing_is_kept(self, scene: Scene) -> None:
        scene.put(*ids(5))
        cache = scene.cache()

        def throttled(*_: object) -> Iterator[list[IndexRow]]:
            raise TooManyRequests

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(EmbeddingRepository, "changes_since", throttled)
            with pytest.raises(TooManyRequests):
                found(cache)
        assert found(cache) == right(scene)


def at_once(calls: Sequence[Callable[[], list[str]]]) -> list[list[str]]:
    """What these return when they are all begun at the same moment."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], list[str]]) -> list[str]:
        barrier.wait(10)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


class TestThreads:
    def test_many_at_a_cold_model_read_it_once(self, scene: Scene) -> None:
        scene.put(*ids(20))
        scene.snapshot()
        cache = scene.cache()
        with scene.calls() as calls:
            answers = at_once([partial(found, cache)] * 8)
        assert answers == [right(scene)] * 8
        assert names(calls).count("Query") == 1

    @pytest.mark.parametrize("share", [10.0, 2.2, 0.6], ids=["all fit", "two fit", "none fits"])
    def test_many_at_several_models_while_they_change(self, scene: Scene, share: float) -> None:
        models = ["v1", "v2", "v3"]
        for model in models:
            scene.put(*ids(24), model=model)
            scene.snapshot(model=model)
        reader = scene.cache()
        found(reader)
        limit = int(reader.nbytes * share)
        cache = scene.cache(limit)
        filters = [None, parse_filter({"parity": 0}), parse_filter({"write": {"$gt": 30}})]
        for step in range(6):
            for model in models:
                scene.put(f"new{step}", age=timedelta(), model=model)
                scene.delete(f"p{step}", model=model)
            scene.clock.now += 1
            asked = [(model, query(wanted=wanted)) for wanted in filters for model in models]
            answers = at_once([partial(found, cache, given, OWNER, model) for model, given in asked])
            assert answers == [right(scene, given, model=model) for model, given in asked]
            assert cache.nbytes <= limit


class TestTenants:
    def test_the_same_products_of_others_are_never_mixed_in(self, scene: Scene) -> None:
        places = [
            ("alice", "v1"),
            ("bob", "v1"),
            ("alice", "v2"),
            ("alice", "v1/v2"),
            ("alicev1", "v"),
            ("shared", "v1"),
        ]
        for owner, model in places:
            scene.put(*ids(4), owner=owner, model=model)
        scene.snapshot()
        scene.snapshot(owner="bob")
        cache = scene.cache()
        for _ in range(2):
            for owner, model in places:
                scene.put("p1", "new", owner=owner, model=model, age=timedelta())
                scene.delete("p2", owner=owner, model=model)
            scene.clock.now += 1
            for owner, model in places:
                assert found(cache, owner=owner, model=model) == right(scene, owner=owner, model=model)
        every = [{hit.split()[1] for hit in right(scene, owner=owner, model=model)} for owner, model in places]
        assert len(set.union(*every)) == sum(map(len, every))

    def test_models_of_several_dimensions(self, scene: Scene) -> None:
        scene.put(*ids(3), model="v1")
        scene.put(*ids(3), model="wide", dimension=9)
        cache, wide = scene.cache(), query(dimension=9)
        assert found(cache) == right(scene)
        assert found(cache, wide, model="wide") == right(scene, wide, model="wide")
        assert found(cache) == right(scene)


def test_the_process_has_one_cache_of_the_size_that_the_environment_says(
    manager: DatabaseManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INDEX_CACHE_MEGABYTES", "3")
    get_settings.cache_clear()
    cache = module.default_cache()
    assert cache is module.default_cache()
    assert cache._limit == 3 * 1024 * 1024
