"""Jobs beside each other: snapshots and matrices of several workers at once, and what each leaves to the others."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from shared.database.embeddings import EmbeddingRepository
from shared.database.manager import DatabaseManager
from shared.models.embedding import DBProductEmbedding
from shared.models.vector import Vector
from shared.similarity import jobs
from shared.similarity.manifest import Manifest
from shared.similarity.matrix import MatrixStore
from shared.similarity.objects import default_objects, object_prefix
from shared.similarity.snapshot import SnapshotStore

OWNER, MODEL = "alice", "v1"
WORKERS = 4


@pytest.fixture(autouse=True)
def products(manager: DatabaseManager) -> None:
    for number in range(10):
        store(f"p{number}", number)


def store(product_id: str, number: int) -> None:
    EmbeddingRepository.store_embedding(
        DBProductEmbedding(
            product_id=product_id, user_id=OWNER, model_version=MODEL, embedding_vector=Vector.of([1, number])
        )
    )


def build_snapshot(*, full: bool = False, check: Callable[[], None] = lambda: None) -> Manifest | None:
    return jobs.build_snapshot(default_objects(), OWNER, MODEL, full=full, check=check)


def segments() -> set[str]:
    infos = default_objects().list(f"{object_prefix(OWNER, MODEL)}segments/")
    return {info.key.rpartition("/")[2] for info in infos}


def live() -> set[str]:
    snapshots = SnapshotStore(default_objects(), OWNER, MODEL)
    manifest = snapshots.read()
    assert manifest
    found = set()
    for ref in manifest.segments:
        dead = ref.dead_rows
        found |= {name for row, name in enumerate(snapshots.segment(ref).ids) if dead is None or not dead[row]}
    return found


@pytest.mark.parametrize("full", [False, True])
def test_of_many_snapshots_at_once_one_is_published_and_none_leaves_anything(full: bool) -> None:
    barrier = threading.Barrier(WORKERS)
    waited = threading.local()

    def meet() -> None:
        if not hasattr(waited, "once"):
            waited.once = True
            barrier.wait(10)

    with ThreadPoolExecutor(WORKERS) as pool:
        futures = [pool.submit(build_snapshot, full=full, check=meet) for _ in range(WORKERS)]
    manifests = [future.result() for future in futures]
    published = [manifest for manifest in manifests if manifest]
    assert published
    assert live() == {f"p{number}" for number in range(10)}
    current = SnapshotStore(default_objects(), OWNER, MODEL).read()
    assert current in published
    assert segments() == set.union(*(manifest.names for manifest in published))


def test_what_no_snapshot_has_needed_for_long_is_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    first = build_snapshot(full=True)
    second = build_snapshot(full=True)
    assert first
    assert second
    assert segments() == first.names | second.names
    monkeypatch.setattr("shared.similarity.snapshot.GRACE", timedelta(days=-1))
    third = build_snapshot()
    assert third
    assert segments() == third.names


def test_a_snapshot_that_is_stopped_is_not_published() -> None:
    def stop() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        build_snapshot(check=stop)
    assert SnapshotStore(default_objects(), OWNER, MODEL).read() is None


def test_of_many_workers_at_one_matrix_one_builds_it() -> None:
    matrices = MatrixStore(default_objects(), OWNER, MODEL)
    status, _ = matrices.request_build(3)
    barrier = threading.Barrier(WORKERS)
    begun: list[str] = []

    def work() -> None:
        barrier.wait(10)
        build_id = str(status.build_id)
        name = threading.current_thread().name
        jobs.build_matrix(default_objects(), OWNER, MODEL, build_id=build_id, check=lambda: begun.append(name))

    with ThreadPoolExecutor(WORKERS) as pool:
        for future in [pool.submit(work) for _ in range(WORKERS)]:
            future.result()
    assert len(set(begun)) == 1
    assert matrices.status().state == "done"
    row = matrices.read_row("p5")
    assert row
    assert {neighbour.product_id for neighbour in row.neighbours} <= {f"p{number}" for number in range(10)}
    assert len(row.neighbours) == 3


def test_a_matrix_leaves_out_the_dead_rows_of_its_snapshot() -> None:
    build_snapshot()
    EmbeddingRepository.delete_embedding("p4", OWNER, MODEL)
    store("p5", 1000)
    matrices = MatrixStore(default_objects(), OWNER, MODEL)
    status, _ = matrices.request_build(9)
    jobs.build_matrix(default_objects(), OWNER, MODEL, build_id=str(status.build_id), check=lambda: None)
    assert matrices.status().rows == 9
    row = matrices.read_row("p9")
    assert row
    assert {neighbour.product_id for neighbour in row.neighbours} == {
        f"p{number}" for number in (0, 1, 2, 3, 5, 6, 7, 8)
    }
    assert row.neighbours[0].product_id == "p8"
    assert matrices.read_row("p4") is None
