"""Jobs beside each other: snapshots and matrices of several workers at once, and what each leaves to the others."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest

from shared.database.embeddings import EmbeddingRepository
from shared.database.manager import DatabaseManager
from shared.errors import Unavailable
from shared.models.embedding import DBProductEmbedding
from shared.models.fields import now, parse_timestamp, timestamp
from shared.models.vector import Vector
from shared.similarity import jobs
from shared.similarity.lease import Lease, Taken, take_lease
from shared.similarity.manifest import Manifest
from shared.similarity.matrix import MatrixStore
from shared.similarity.objects import ObjectStore, default_objects, object_prefix
from shared.similarity.segment import CorruptSegment
from shared.similarity.snapshot import SnapshotStore

OWNER, MODEL = "alice", "v1"
WORKERS = 4

T = TypeVar("T")


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


def snapshots() -> SnapshotStore:
    return SnapshotStore(default_objects(), OWNER, MODEL)


def refresh(*, full: bool = False, asked_at: str | None = None, check: Callable[[], None] = lambda: None) -> bool:
    """Whether there is another snapshot now."""
    before = snapshots().read()
    jobs.refresh_snapshot(default_objects(), OWNER, MODEL, full=full, asked_at=asked_at, check=check)
    return snapshots().read() != before


def shifted(moment: str, microseconds: int) -> str:
    return timestamp(parse_timestamp(moment) + timedelta(microseconds=microseconds))


@contextmanager
def during_a_build(monkeypatch: pytest.MonkeyPatch, act: Callable[[], T]) -> Iterator[list[T]]:
    """Each build begins with this act; what came of it."""
    build, outcomes = jobs.build_snapshot, list[T]()

    def noted(*arguments: Any, **options: Any) -> Manifest | None:
        outcomes.append(act())
        return build(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(jobs, "build_snapshot", noted)
        yield outcomes


class TestRefreshing:
    def test_what_was_asked_for_before_the_newest_was_begun_is_done_already(self) -> None:
        first = build_snapshot()
        assert first
        assert not refresh(asked_at=shifted(first.watermark, -1))
        assert not refresh(asked_at=first.watermark)
        assert refresh(asked_at=shifted(first.watermark, 1))

    def test_a_full_one_is_not_done_by_an_ordinary_one(self) -> None:
        whole = build_snapshot(full=True)
        assert whole
        newest = build_snapshot()
        assert newest
        assert newest.complete_at == whole.complete_at < newest.watermark
        assert not refresh(full=True, asked_at=whole.complete_at)
        assert not refresh(asked_at=newest.watermark)
        assert refresh(full=True, asked_at=shifted(whole.complete_at, 1))
        third = snapshots().read()
        assert third
        assert third.complete_at > newest.watermark

    @pytest.mark.parametrize("full", [False, True])
    def test_one_that_does_not_say_when_it_was_asked_for_is_made(self, full: bool) -> None:
        assert [refresh(full=full) for _ in range(3)] == [True] * 3

    @pytest.mark.parametrize("full", [False, True])
    def test_the_first_is_made_whenever_it_was_asked_for(self, full: bool) -> None:
        assert refresh(full=full, asked_at="2000-01-01T00:00:00.000000Z")
        assert live() == {f"p{number}" for number in range(10)}

    def test_many_that_were_asked_for_at_the_same_time_are_made_once(self) -> None:
        asked_at = now()
        assert [refresh(asked_at=asked_at) for _ in range(5)] == [True, False, False, False, False]

    @pytest.mark.parametrize("is_missing", [False, True])
    def test_a_corrupt_segment_is_replaced_however_new_its_snapshot_is(self, is_missing: bool) -> None:
        manifest = build_snapshot(full=True)
        assert manifest
        key = f"{object_prefix(OWNER, MODEL)}segments/{manifest.segments[0].name}"
        if is_missing:
            default_objects().delete([key])
        else:
            default_objects().put(key, b"not a segment")
        with pytest.raises(CorruptSegment):
            live()
        asked_at = now()
        assert refresh(full=True, asked_at=asked_at)
        assert live() == {f"p{number}" for number in range(10)}
        assert not refresh(full=True, asked_at=asked_at)

    def test_a_corrupt_manifest_is_replaced(self) -> None:
        build_snapshot()
        default_objects().put(f"{object_prefix(OWNER, MODEL)}manifest.json", b"{")
        assert refresh(full=True, asked_at="2000-01-01T00:00:00.000000Z")
        assert live() == {f"p{number}" for number in range(10)}

    @pytest.mark.parametrize(("made", "asked"), [(False, False), (True, False), (True, True)])
    def test_while_one_is_being_made_no_other_is_begun(
        self, monkeypatch: pytest.MonkeyPatch, made: bool, asked: bool
    ) -> None:
        with during_a_build(monkeypatch, lambda: refresh(full=asked, asked_at=now())) as outcomes:
            assert refresh(full=made)
        assert outcomes == [False]

    def test_a_full_one_is_not_given_up_for_a_lesser_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked_at = now()

        def try_full() -> None:
            with pytest.raises(Unavailable):
                refresh(full=True, asked_at=asked_at)

        with during_a_build(monkeypatch, try_full) as outcomes:
            assert refresh()
        assert outcomes == [None]
        build_snapshot()
        assert refresh(full=True, asked_at=now())

    @pytest.mark.parametrize("full", [False, True])
    def test_of_many_workers_at_once_one_makes_it(self, monkeypatch: pytest.MonkeyPatch, full: bool) -> None:
        build, builders, barrier = jobs.build_snapshot, list[str](), threading.Barrier(WORKERS)
        others_are_done = threading.Semaphore(0)

        def noted(*arguments: Any, **options: Any) -> Manifest | None:
            builders.append(threading.current_thread().name)
            for _ in range(WORKERS - 1):
                assert others_are_done.acquire(timeout=10)
            return build(*arguments, **options)

        def work() -> None:
            barrier.wait(10)
            with suppress(Unavailable):  # a full one that lost the race cannot know what it lost to, and comes again
                refresh(full=full, asked_at=now())
            others_are_done.release()

        monkeypatch.setattr(jobs, "build_snapshot", noted)
        with ThreadPoolExecutor(WORKERS) as pool:
            for future in [pool.submit(work) for _ in range(WORKERS)]:
                future.result()
        assert len(builders) == 1
        assert live() == {f"p{number}" for number in range(10)}

    def test_the_lease_is_renewed_while_it_is_made_and_given_back(self, monkeypatch: pytest.MonkeyPatch) -> None:
        moment = datetime.now(UTC)
        seen: list[Lease | Taken] = []

        def take(objects: ObjectStore, owner: str, model_version: str, *, is_full: bool = False) -> Lease | Taken:
            return take_lease(objects, owner, model_version, is_full=is_full, clock=lambda: moment)

        def check() -> None:
            """Most of a minute has passed since the last one."""
            nonlocal moment
            seen.append(take(default_objects(), OWNER, MODEL))
            moment += timedelta(seconds=59)

        monkeypatch.setattr(jobs, "take_lease", take)
        assert refresh(full=True, check=check)
        assert len(seen) >= 2
        assert seen == [Taken(is_full=True)] * len(seen)
        assert isinstance(take(default_objects(), OWNER, MODEL), Lease)

    @pytest.mark.parametrize("error", [InterruptedError, Unavailable])
    def test_one_that_is_stopped_gives_the_lease_back(self, error: type[Exception]) -> None:
        def stop() -> None:
            raise error("Out of time.")

        with pytest.raises(error):
            refresh(check=stop)
        assert snapshots().read() is None
        assert refresh()

    def test_one_that_another_took_over_is_finished_and_leaves_the_lease_to_them(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        moment = datetime.now(UTC)
        rivals: list[Lease | Taken] = []

        def take(objects: ObjectStore, owner: str, model_version: str, *, is_full: bool = False) -> Lease | Taken:
            return take_lease(objects, owner, model_version, is_full=is_full, clock=lambda: moment)

        def check() -> None:
            nonlocal moment
            if not rivals:
                moment += timedelta(seconds=61)
                rivals.append(take(default_objects(), OWNER, MODEL))

        monkeypatch.setattr(jobs, "take_lease", take)
        assert refresh(check=check)
        assert [type(rival) for rival in rivals] == [Lease]
        assert isinstance(take(default_objects(), OWNER, MODEL), Taken)
