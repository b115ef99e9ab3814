"""A migrated product is found at once, though its time is that of long ago."""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scripts.migration.failure import MigrationError
from scripts.migration.journal import Journal
from scripts.migration.run import is_finished
from scripts.migration.snapshots import discard_snapshots
from scripts.migration.target import Target
from scripts.migration.work import WorkFolder
from shared.config import get_settings
from shared.database import EmbeddingRepository
from shared.database.index_rows import IndexRow
from shared.models.embedding import DBProductEmbedding
from shared.models.vector import Vector
from shared.similarity.builder import SnapshotBuilder
from shared.similarity.cache import IndexCache
from shared.similarity.lease import Lease, Taken, take_lease
from shared.similarity.objects import ObjectStore, default_objects
from shared.similarity.snapshot import SnapshotStore
from tests.support.faults import answering_as_s3, faulty
from tests.support.migrating import Migration, vector
from tests.unit.migration.conftest import Rows

Making = Callable[[Rows], Migration]


def store_own(number: int) -> None:
    own = DBProductEmbedding(
        product_id=f"own-{number}", user_id="user-1", model_version="m-1", embedding_vector=Vector.of([1.0, 0.5])
    )
    EmbeddingRepository.store_embedding(own)


def build_snapshot() -> None:
    store = SnapshotStore(default_objects(), "user-1", "m-1")
    changes = EmbeddingRepository().changes_since
    assert SnapshotBuilder(store, lambda since: changes("user-1", "m-1", since), 2).build()


def found() -> set[str]:
    """The products that a process which starts now finds."""
    cache = IndexCache(default_objects(), EmbeddingRepository(), get_settings().index_cache_bytes)
    index = cache.index_of("user-1", "m-1", 2)
    return {f"p{number}" for number in range(1, 4) if index.vector_of(f"p{number}") is not None}


@pytest.fixture
def searched(migration: Making) -> Migration:
    """A model version with a snapshot, and a migration of older rows into it."""
    store_own(1)
    build_snapshot()
    return migration({"vectors": [vector(number) for number in range(1, 4)]})


def test_without_discarding_a_snapshot_would_hide_what_was_migrated(
    searched: Migration, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rule that this is about: should it ever change, discarding is needless."""
    monkeypatch.setattr("scripts.migration.run.discard_snapshots", lambda *arguments: None)
    searched.apply()
    assert found() == set()


def test_what_was_migrated_is_found(searched: Migration) -> None:
    searched.apply()
    assert found() == {"p1", "p2", "p3"}


def test_what_was_migrated_is_found_after_a_resumed_run(searched: Migration) -> None:
    searched.apply()
    build_snapshot_without_migrated_rows()
    assert found() == set()
    searched.write(resumed=True)
    assert found() == {"p1", "p2", "p3"}


def build_snapshot_without_migrated_rows() -> None:
    store = SnapshotStore(default_objects(), "user-1", "m-1")
    changes = EmbeddingRepository().changes_since

    def own_changes(since: str | None) -> Iterator[list[IndexRow]]:
        for page in changes("user-1", "m-1", since):
            yield [row for row in page if row.product_id == "own-1"]

    assert SnapshotBuilder(store, own_changes, 2).build()


def test_a_second_run_that_writes_nothing_leaves_the_snapshot(searched: Migration) -> None:
    searched.apply()
    build_snapshot()
    searched.apply()
    assert SnapshotStore(default_objects(), "user-1", "m-1").read() is not None


def test_who_is_building_is_waited_for(target: Target) -> None:
    objects = default_objects()
    lease = take_lease(objects, "user-1", "m-1", is_full=True)
    assert isinstance(lease, Lease)
    waited: list[float] = []

    def build_meanwhile(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            build_snapshot()
            lease.release()

    discard_snapshots(objects, "user-1", "m-1", sleep=build_meanwhile)
    assert len(waited) == 3
    assert SnapshotStore(objects, "user-1", "m-1").read() is None
    assert not isinstance(take_lease(objects, "user-1", "m-1", is_full=True), Taken)


def test_who_builds_for_ever_is_not_waited_for_for_ever(target: Target) -> None:
    objects = default_objects()
    now = datetime.now(UTC)

    def clock() -> datetime:
        return now

    lease = take_lease(objects, "user-1", "m-1", is_full=True, clock=clock)
    assert isinstance(lease, Lease)

    def sleep(seconds: float) -> None:
        nonlocal now
        now += timedelta(seconds=30)
        lease.renew()

    with pytest.raises(MigrationError, match="building a snapshot of m-1 of user-1"):
        discard_snapshots(objects, "user-1", "m-1", sleep=sleep, clock=clock)


def test_what_cannot_be_discarded_is_named_and_resume_tries_it_again(
    migration: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    discarded: list[str] = []

    def refuse(objects: ObjectStore, owner: str, model_version: str) -> None:
        discarded.append(model_version)
        if model_version != "m-2":
            raise MigrationError(f"{model_version} of {owner}")

    made = migration({"vectors": [vector(number, model=f"m-{number}") for number in range(1, 4)]})
    with monkeypatch.context() as patch:
        patch.setattr("scripts.migration.run.discard_snapshots", refuse)
        with pytest.raises(MigrationError, match="m-1 of user-1\nm-3 of user-1"):
            made.apply()
    assert sorted(discarded) == ["m-1", "m-2", "m-3"]
    assert not finished(made)
    made.write(resumed=True)
    assert finished(made)


def finished(made: Migration) -> bool:
    with closing(Journal(made.folder.journal)) as journal:
        return is_finished(journal)


@pytest.mark.parametrize("is_other_folder", [True, False])
def test_what_a_killed_run_wrote_is_found_after_a_run_that_starts_over(
    is_other_folder: bool, searched: Migration, tmp_path: Path
) -> None:
    searched.apply()
    build_snapshot_without_migrated_rows()
    if is_other_folder:
        searched.folder = WorkFolder(tmp_path / "other")
        searched.folder.root.mkdir()
    else:
        with closing(Journal(searched.folder.journal)) as journal:
            journal.put(phase="writing")
    assert searched.apply() == {"PRESENT": 3}
    assert found() == {"p1", "p2", "p3"}


def test_what_a_killed_run_of_another_folder_wrote_is_found_too(
    searched: Migration, target: Target, tmp_path: Path
) -> None:
    searched.apply()
    rows: Rows = {"vectors": [vector(number) for number in range(1, 5)]}
    other = Migration(WorkFolder(tmp_path / "other"), target, rows)
    other.folder.root.mkdir()
    other.apply()
    build_snapshot_without_migrated_rows()
    searched.rows = rows
    assert searched.apply() == {"PRESENT": 4}
    assert found() == {"p1", "p2", "p3"}


def test_a_bucket_that_does_not_answer_is_told(target: Target) -> None:
    objects = ObjectStore(get_settings())
    with faulty(objects, answering_as_s3(503, "SlowDown")) as fired, pytest.raises(MigrationError, match="resume"):
        discard_snapshots(objects, "user-1", "m-1")
    assert fired.fired
