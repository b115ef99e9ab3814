"""Snapshots in a real bucket: built, gone on from, raced for, swept."""

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from shared.database.index_rows import IndexRow
from shared.models.fields import timestamp
from shared.similarity.builder import SnapshotBuilder
from shared.similarity.objects import ObjectStore
from shared.similarity.snapshot import GRACE, SnapshotStore
from tests.contract.differences import DYNOXIDE_HAS_NO_S3, MOTO_IS_NOT_ATOMIC, unlike

pytestmark = unlike(DYNOXIDE_HAS_NO_S3)
DIMENSION = 16


@pytest.fixture
def store(objects: ObjectStore) -> SnapshotStore:
    return SnapshotStore(objects, str(uuid.uuid4()), "clip/v2")


class Rows:
    """A table that gives back all that it has, whatever it is asked for."""

    def __init__(self) -> None:
        self.rows: list[IndexRow] = []

    def put(self, *product_ids: str) -> None:
        for product_id in product_ids:
            vector = np.random.default_rng(len(self.rows)).random(DIMENSION, np.float32).tobytes()
            self.rows.append(IndexRow(product_id, timestamp(datetime.now(UTC)), vector, {"n": len(self.rows)}))

    def changes(self, since: str | None) -> Iterator[list[IndexRow]]:
        yield [row for row in self.rows if since is None or row.updated_at >= since]

    def newest(self) -> dict[str, bytes | None]:
        return {row.product_id: row.vector for row in self.rows}


def builder(store: SnapshotStore, rows: Rows) -> SnapshotBuilder:
    return SnapshotBuilder(store, rows.changes, DIMENSION, segment_rows=32)


def snapshot(store: SnapshotStore) -> dict[str, bytes | None]:
    manifest = store.read()
    assert manifest
    found: dict[str, bytes | None] = {}
    for ref in manifest.segments:
        segment, dead = store.segment(ref), ref.dead_rows
        live = range(ref.rows) if dead is None else np.flatnonzero(~dead).tolist()
        found |= {segment.ids[row]: segment.vectors[row].tobytes() for row in live}
    assert len(found) == manifest.live_count
    return found


def test_a_snapshot_and_the_next(store: SnapshotStore) -> None:
    rows = Rows()
    assert store.read() is None
    rows.put(*(f"p{number}" for number in range(100)))
    assert builder(store, rows).build()
    assert snapshot(store) == rows.newest()
    rows.put("p1", "p1", "q1")
    assert builder(store, rows).build()
    assert snapshot(store) == rows.newest()
    assert builder(store, rows).build(full=True)
    assert snapshot(store) == rows.newest()


def test_what_is_swept(store: SnapshotStore, objects: ObjectStore) -> None:
    rows = Rows()
    rows.put("p1", "p2")
    assert builder(store, rows).build()
    manifest = builder(store, rows).build(full=True)
    assert manifest
    assert store.sweep() == 0
    store.clock = lambda: datetime.now(UTC) + GRACE + timedelta(minutes=1)
    assert store.sweep() == 1
    assert snapshot(store) == rows.newest()


@unlike(MOTO_IS_NOT_ATOMIC)
def test_many_builders_at_once(store: SnapshotStore) -> None:
    """Whoever comes second publishes nothing; what is published is whole at any time."""
    rows = Rows()
    rows.put(*(f"p{number}" for number in range(40)))
    with ThreadPoolExecutor(8) as pool:
        built = list(pool.map(lambda _: builder(store, rows).build(), range(24)))
    assert any(built)
    assert snapshot(store) == rows.newest()
    store.clock = lambda: datetime.now(UTC) + GRACE + timedelta(minutes=1)
    store.sweep()
    assert snapshot(store) == rows.newest()
