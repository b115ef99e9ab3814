"""Snapshots: whatever is late, interleaved, broken off or corrupt, no reader misses a row or sees half a snapshot."""

import hashlib
import json
import random
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import numpy as np
import pytest

from shared.database.index_rows import IndexRow
from shared.errors import OutcomeUnknown, Unavailable
from shared.models.fields import parse_timestamp, timestamp
from shared.similarity.builder import LONGEST_BUILD, SnapshotBuilder
from shared.similarity.manifest import CorruptManifest, Manifest, SegmentRef
from shared.similarity.segment import CorruptSegment, microseconds
from shared.similarity.snapshot import GRACE, MAX_AGE, OVERLAP, Published, SnapshotStore
from tests.support.changing_table import DIMENSION, START, ChangingTable, Clock, random_delay
from tests.support.logs import Logged
from tests.support.logs import logged as logged
from tests.support.object_store import MemoryObjects

SEGMENT_ROWS = 8
OWNER, MODEL = "alice", "v1"
PREFIX = "similarity/alice/v1/"
MANIFEST = f"{PREFIX}manifest.json"
State = dict[str, IndexRow]


class Crash(BaseException):
    """The process is gone."""


@dataclass
class Scene:
    """One table, one bucket, one clock."""

    clock: Clock
    table: ChangingTable
    objects: MemoryObjects

    @property
    def store(self) -> SnapshotStore:
        return SnapshotStore(self.objects, OWNER, MODEL, self.clock)

    def builder(self, **options: Callable[..., None]) -> SnapshotBuilder:
        return SnapshotBuilder(self.store, self.table.changes, DIMENSION, segment_rows=SEGMENT_ROWS, **options)

    def build(self, *, full: bool = False) -> Manifest:
        manifest = self.builder().build(full=full)
        assert manifest
        return manifest

    def put(self, *product_ids: str) -> None:
        for product_id in product_ids:
            self.table.put(product_id)

    def snapshot(self, manifest: Manifest | None = None) -> State:
        """The live rows of the snapshot; every product once."""
        manifest = manifest or self.store.read()
        assert manifest
        found: State = {}
        for ref in manifest.segments:
            segment, dead = self.store.segment(ref), ref.dead_rows
            for row in range(ref.rows):
                if dead is None or not dead[row]:
                    assert segment.ids[row] not in found
                    moment = timestamp(
                        START + timedelta(microseconds=int(segment.updated_at[row]) - microseconds(timestamp(START)))
                    )
                    found[segment.ids[row]] = IndexRow(
                        segment.ids[row], moment, segment.vectors[row].tobytes(), segment.documents.load(row)
                    )
        assert len(found) == manifest.live_count
        return found

    def search(self) -> State:
        """What a reader has: the snapshot, if there is one, and all that is newer than its watermark."""
        manifest = self.store.read()
        found = self.snapshot(manifest) if manifest else {}
        since = timestamp(manifest.watermark_time - OVERLAP) if manifest else None
        for page in self.table.changes(since):
            for row in page:
                if row.product_id not in found or found[row.product_id].updated_at < row.updated_at:
                    found[row.product_id] = row
        return {product_id: row for product_id, row in found.items() if row.vector is not None}

    def check_search(self) -> None:
        """Every product is as its last version of OVERLAP ago or as a later one.

        Where copies of the index differ, only those count that were not written since: such a one may be ahead of the
        walk on one page and, in an older copy, not there yet on the next.
        """
        found = self.search()
        assert found.keys() <= self.table.versions.keys()
        for product_id, versions in self.table.versions.items():
            if self.table.staleness is not timedelta and versions[-1].written_at > self.clock.now - OVERLAP:
                continue
            possible = [version.row for version in self.table.settled(versions)]
            is_missing_allowed = len(possible) == len(versions) and versions[0].written_at > self.clock.now - OVERLAP
            if product_id in found:
                assert found[product_id] in possible
            else:
                assert is_missing_allowed or any(row.vector is None for row in possible), product_id

    def check_whole(self) -> None:
        """Once nothing is late any more, the snapshot and what is newer give exactly the table."""
        self.clock.pass_by(seconds=OVERLAP.total_seconds())
        newest = {product_id: versions[-1].row for product_id, versions in self.table.versions.items()}
        assert self.search() == {name: row for name, row in newest.items() if row.vector is not None}

    def segments(self) -> set[str]:
        return {key.rpartition("/")[2] for key in self.objects.bodies if key != MANIFEST}


@pytest.fixture
def scene() -> Scene:
    clock = Clock()
    return Scene(clock, ChangingTable(clock), MemoryObjects(clock))


def names(count: int) -> list[str]:
    return [f"p{number:03}" for number in range(count)]


def warnings(logged: Logged) -> list[str]:
    """What was logged since the last time that this was asked."""
    messages = [record["message"] for record in logged.records()]
    logged.stream.seek(0)
    logged.stream.truncate()
    return messages


def act_at_random(scene: Scene, source: random.Random, products: int = 40) -> None:
    """A few writes and deletions, in a few seconds."""
    for _ in range(source.randrange(12)):
        product_id = f"p{source.randrange(products):03}"
        if product_id in scene.table.versions and source.random() < 0.3:
            scene.table.delete(product_id)
        else:
            scene.table.put(product_id)
        scene.clock.pass_by(seconds=source.choice([0.0, 0.1, 3.0]))


class TestFirst:
    def test_an_empty_table(self, scene: Scene) -> None:
        manifest = scene.build()
        assert (manifest.segments, manifest.live_count) == ((), 0)
        assert scene.snapshot() == {}
        assert manifest.watermark == manifest.complete_at == timestamp(START)

    def test_every_row_in_segments_of_bounded_size(self, scene: Scene) -> None:
        scene.put(*names(20))
        manifest = scene.build()
        assert [ref.rows for ref in manifest.segments] == [8, 8, 4]
        assert scene.snapshot() == {row.product_id: row for row in scene.table.shown()}

    def test_the_newest_of_rows_that_moved_between_pages(self, scene: Scene) -> None:
        """Written again while the pages are read, a row is seen twice: in another segment, or in the same."""
        scene.put(*names(20))
        moving = iter(["p000", "p001", "p003", "p019", "p000"])
        scene.table.between = lambda: scene.put(*([name] if (name := next(moving, None)) else []))
        manifest = scene.build()
        assert manifest.live_count == 20
        assert next(moving, None) is None
        assert any(ref.dead for ref in manifest.segments)
        assert scene.snapshot() == {row.product_id: row for row in scene.table.shown()}

    def test_deletions_are_left_out(self, scene: Scene) -> None:
        scene.put(*names(10))
        scene.table.delete("p003")
        assert sorted(scene.snapshot(scene.build())) == [name for name in names(10) if name != "p003"]

    def test_vectors_that_cannot_be_searched_are_left_out_and_counted(self, scene: Scene) -> None:
        scene.put(*names(4))
        scene.build()
        for product_id, vector in {
            "p000": struct.pack("<3f", 1, 2, 3),
            "p001": struct.pack("<2f", 0, 0),
            "p002": struct.pack("<2f", float("nan"), 1),
            "p009": b"",
        }.items():
            scene.table.put_vector(product_id, vector)
        manifest = scene.build()
        assert manifest.skipped == 4
        assert list(scene.snapshot(manifest)) == ["p003"]

    def test_rows_in_any_order_and_repeated(self, scene: Scene) -> None:
        scene.put(*names(12), *names(12)[::-1])
        scene.table.delete("p005")
        rows = [version.row for versions in scene.table.versions.values() for version in versions] * 2
        random.Random(3).shuffle(rows)  # noqa: S311 - repeatable
        builder = SnapshotBuilder(
            scene.store, lambda since: iter([rows[:20], [], rows[20:]]), DIMENSION, segment_rows=3
        )
        manifest = builder.build()
        assert manifest
        assert scene.snapshot(manifest) == {row.product_id: row for row in scene.table.shown() if row.vector}


class TestNext:
    def test_only_what_is_new_is_read(self, scene: Scene) -> None:
        scene.put(*names(30))
        scene.clock.pass_by(minutes=1)
        first = scene.build()
        scene.clock.pass_by(hours=1)
        scene.put("p031", "p002")
        asked: list[str | None] = []
        seen: list[int] = []

        def changes(since: str | None) -> Iterator[list[IndexRow]]:
            asked.append(since)
            return scene.table.changes(since)

        second = SnapshotBuilder(scene.store, changes, DIMENSION, segment_rows=8, progress=seen.append).build()
        assert second
        assert asked == [timestamp(parse_timestamp(first.watermark) - OVERLAP)]
        assert seen == [2]
        assert [ref.name for ref in second.segments[:-1]] == [ref.name for ref in first.segments]
        assert second.complete_at == first.complete_at
        assert second.watermark == timestamp(scene.clock.now)
        scene.check_whole()

    def test_nothing_new_moves_the_watermark_alone(self, scene: Scene) -> None:
        scene.put(*names(30))
        first = scene.build()
        scene.clock.pass_by(days=5)
        second = scene.build()
        assert second.segments == first.segments
        scene.clock.pass_by(days=5)
        scene.build()
        scene.check_whole()

    def test_a_row_that_shows_up_as_late_as_may_be_is_in_the_next(self, scene: Scene) -> None:
        scene.table.put("late", late=OVERLAP)
        scene.clock.pass_by(seconds=9.99)
        assert scene.snapshot(scene.build()) == {}
        scene.clock.pass_by(seconds=0.01)
        assert list(scene.snapshot(scene.build())) == ["late"]

    def test_a_row_that_shows_up_later_still_is_found_by_a_full_build(self, scene: Scene) -> None:
        scene.table.put("too late", late=3 * OVERLAP)
        scene.clock.pass_by(seconds=20)
        scene.build()
        scene.clock.pass_by(seconds=20)
        assert scene.snapshot(scene.build()) == {}
        assert list(scene.snapshot(scene.build(full=True))) == ["too late"]

    def test_an_older_version_does_not_bring_a_deleted_product_back(self, scene: Scene) -> None:
        """As a stale copy of the index shows it after the deletion."""
        before = scene.table.put("p")
        after = scene.table.delete("p")
        for rows in ([before, after], [after, before]):
            manifest = SnapshotBuilder(scene.store, lambda since, rows=rows: iter([rows]), DIMENSION).build(full=True)  # type: ignore[misc]
            assert manifest
            assert manifest.live_count == 0

    def test_a_clock_that_went_back_leaves_the_watermark(self, scene: Scene) -> None:
        scene.put(*names(3))
        first = scene.build()
        scene.clock.pass_by(seconds=-5)
        assert scene.build().watermark == first.watermark

    @pytest.mark.parametrize("seed", range(60))
    def test_histories_with_a_late_index(self, scene: Scene, logged: Logged, seed: int) -> None:
        """Late altogether, or in copies of which one is later than the other, so that a read may show less than one
        before."""
        source = random.Random(seed)  # noqa: S311 - repeatable
        scene.table.lag = random_delay(source, 0.5 if seed % 2 else 1.0)
        if seed % 2:
            scene.table.staleness = random_delay(source, 0.5)
        scene.table.between = lambda: act_at_random(scene, source) if source.random() < 0.3 else None
        for _ in range(12):
            act_at_random(scene, source)
            if source.random() < 0.8:
                scene.build(full=source.random() < 0.1)
            if source.random() < 0.2:
                scene.clock.pass_by(hours=source.random() * 3)
                scene.store.sweep()
            between, scene.table.between = scene.table.between, lambda: None
            scene.check_search()
            scene.table.between = between
        scene.table.between = lambda: None
        scene.check_whole()
        scene.build()
        assert scene.snapshot() == scene.search()
        assert warnings(logged) == []

    def test_small_segments_are_merged(self, scene: Scene) -> None:
        for number, name in enumerate(names(100)):
            scene.put(name)
            scene.clock.pass_by(minutes=1)
            manifest = scene.build()
            assert len(manifest.segments) <= 7 + number // (SEGMENT_ROWS // 2) + 1
        assert all(ref.rows <= SEGMENT_ROWS for ref in manifest.segments)
        scene.check_whole()

    def test_segments_of_dead_rows_go(self, scene: Scene) -> None:
        scene.put(*names(64))
        scene.build()
        scene.clock.pass_by(minutes=1)
        for name in names(64):
            if name not in ("p007", "p040"):
                scene.table.delete(name)
        manifest = scene.build()
        assert [ref.rows for ref in manifest.segments] == [2]
        assert sorted(scene.snapshot()) == ["p007", "p040"]
        assert scene.segments() >= {retired.name for retired in manifest.retired}
        assert len(manifest.retired) == 8

    def test_what_was_merged_at_once_is_not_left(self, scene: Scene) -> None:
        for name in names(8):
            scene.clock.pass_by(minutes=1)
            scene.put(name)
            manifest = scene.build()
        assert len(manifest.segments) == 1
        assert scene.segments() == manifest.names | {retired.name for retired in manifest.retired}


class TestFull:
    def test_it_replaces_everything(self, scene: Scene) -> None:
        scene.put(*names(20))
        before = scene.build()
        scene.table.expire("p003")  # a row that vanished without a trace
        scene.clock.pass_by(hours=1)
        after = scene.build(full=True)
        assert not before.names & after.names
        assert {retired.name for retired in after.retired} == before.names
        assert after.complete_at == timestamp(scene.clock.now)
        assert len(scene.snapshot()) == 19

    def test_an_old_snapshot_is_ignored(self, scene: Scene) -> None:
        """It may hold products whose deletions are gone by now."""
        scene.put(*names(3))
        old = scene.build()
        scene.table.delete("p001")
        scene.table.expire("p001")
        scene.clock.pass_by(seconds=(MAX_AGE - (scene.clock.now - START)).total_seconds())
        assert scene.store.read() == old
        scene.clock.pass_by(seconds=1)
        assert scene.store.read() is None
        assert scene.store.current().manifest == old
        assert sorted(scene.snapshot(scene.build())) == ["p000", "p002"]

    def test_a_snapshot_of_the_future_is_ignored(self, scene: Scene, logged: Logged) -> None:
        scene.put("p000")
        scene.clock.pass_by(hours=1)
        scene.build()
        scene.clock.pass_by(hours=-1)
        assert scene.store.read() is None
        assert warnings(logged) == ["a manifest is of the future"]
        assert scene.build().watermark == timestamp(scene.clock.now)

    def test_a_snapshot_of_another_dimension_is_replaced(self, scene: Scene) -> None:
        scene.put("p000")
        assert scene.build().dimension == 2
        manifest = SnapshotBuilder(scene.store, scene.table.changes, 3).build()
        assert manifest
        assert (manifest.dimension, manifest.live_count, manifest.skipped) == (3, 0, 1)


class TestCorrupt:
    @pytest.mark.parametrize(
        "spoil",
        [
            lambda body: b"",
            lambda body: body[:-1],
            lambda body: body + b" ",
            lambda body: b"null",
            lambda body: b"\xff\x00",
            lambda body: body.replace(b'"rows":8', b'"rows":9'),
            lambda body: body.replace(b'"watermark":"2026', b'"watermark":"2027'),
        ],
    )
    def test_a_manifest(self, scene: Scene, logged: Logged, spoil: Callable[[bytes], bytes]) -> None:
        scene.put(*names(20))
        scene.build()
        assert spoil(scene.objects.bodies[MANIFEST]) != scene.objects.bodies[MANIFEST]
        scene.objects.bodies[MANIFEST] = spoil(scene.objects.bodies[MANIFEST])
        assert scene.store.read() is None
        assert warnings(logged) == ["a manifest is corrupt"]
        scene.clock.pass_by(hours=2)
        assert scene.store.sweep() == 0  # a later release may be able to read it
        scene.build()
        scene.check_whole()

    @pytest.mark.parametrize(
        "change",
        [
            {"format": 2},
            {"dimension": 0},
            {"dimension": 5000},
            {"watermark": "yesterday"},
            {"watermark": "2026-01-01"},
            {"unheard": "of"},
            {"segments": None},
            {"segments": [{}]},
            {"skipped": -1},
        ],
        ids=str,
    )
    def test_a_manifest_that_was_signed_and_is_not_ours(self, scene: Scene, change: dict[str, object]) -> None:
        content = {**json.loads(scene.build().to_bytes())["manifest"], **change}
        with pytest.raises(CorruptManifest):
            Manifest.from_bytes(framed(content))

    @pytest.mark.parametrize(
        "change",
        [
            {"name": "../../../bob/v1/segments/x"},
            {"name": "A" * 32},
            {"rows": 0},
            {"rows": True},
            {"dead": "AA=="},
            {"dead": "?"},
            {"size": -1},
            {"crc32": ""},
            {"crc32": -1},
            {"crc32": 1 << 32},
            {"crc32": None},
        ],
        ids=str,
    )
    def test_a_segments_entry_that_was_signed_and_is_not_ours(self, scene: Scene, change: dict[str, object]) -> None:
        scene.put(*names(9))
        content = json.loads(scene.build().to_bytes())["manifest"]
        Manifest.from_bytes(framed(content))
        content["segments"][0] |= {"rows": 9} | change
        with pytest.raises(CorruptManifest):
            Manifest.from_bytes(framed(content))

    def test_a_segment_named_twice(self, scene: Scene) -> None:
        scene.put(*names(9))
        content = json.loads(scene.build().to_bytes())["manifest"]
        content["segments"].append(content["segments"][0])
        with pytest.raises(CorruptManifest):
            Manifest.from_bytes(framed(content))

    def test_every_bit_of_a_manifest_counts(self, scene: Scene) -> None:
        scene.put(*names(9))
        body = scene.build().to_bytes()
        for position in range(len(body)):
            spoilt = bytearray(body)
            spoilt[position] ^= 1 << (position % 8)
            with pytest.raises(CorruptManifest):
                Manifest.from_bytes(bytes(spoilt))

    @pytest.mark.parametrize("where", ["keys", "vectors", "end", "missing", "short", "empty", "another"])
    def test_a_segment(self, scene: Scene, logged: Logged, where: str) -> None:
        scene.put(*names(20))
        first, second, _ = scene.build().segments
        key, bodies = f"{PREFIX}segments/{first.name}", scene.objects.bodies
        body = bytearray(bodies[key])
        if where in ("keys", "vectors", "end"):
            body[{"keys": 60, "vectors": first.keys_bytes + 1, "end": -1}[where]] ^= 4
            bodies[key] = bytes(body)
        elif where == "missing":
            del bodies[key]
        else:
            other = bodies[f"{PREFIX}segments/{second.name}"]
            bodies[key] = {"short": bytes(body[:-8]), "empty": b"", "another": other}[where]
        with pytest.raises(CorruptSegment):
            scene.store.segment(first)
        scene.clock.pass_by(minutes=1)
        scene.put("p001", "p050")
        scene.build()
        seen_by_the_builder = where in ("keys", "missing", "empty", "another")
        assert warnings(logged) == (["a segment is corrupt"] if seen_by_the_builder else [])
        if not seen_by_the_builder:  # who reads the values, and cannot, asks for a full one
            scene.build(full=True)
        scene.check_whole()

    def test_a_segment_that_turns_out_corrupt_when_it_is_merged(self, scene: Scene, logged: Logged) -> None:
        for name in names(7):
            scene.put(name)
            scene.clock.pass_by(minutes=1)
            manifest = scene.build()
        key = f"{PREFIX}segments/{manifest.segments[2].name}"
        scene.objects.bodies[key] = scene.objects.bodies[key][:-1] + b"]"
        scene.put("p050")
        after = scene.build()
        assert warnings(logged) == ["a segment is corrupt"]
        assert not after.names & manifest.names
        assert scene.segments() == after.names | {retired.name for retired in after.retired}
        scene.check_whole()

    def test_keys_that_do_not_fit_the_manifest(self, scene: Scene) -> None:
        scene.put(*names(9))
        ref = scene.build().segments[0]
        for change in ({"rows": 7}, {"keys_bytes": ref.keys_bytes - 1}):
            with pytest.raises(CorruptSegment):
                scene.store.keys(ref.model_copy(update=change))

    def test_a_segment_of_other_rows_than_the_manifest_says(self, scene: Scene) -> None:
        """Which of its rows are dead is told for so many, so that a search would fail, or find the wrong ones."""
        scene.put(*names(9))
        ref = scene.build().segments[0]
        with pytest.raises(CorruptSegment, match="has not as many rows as the manifest says"):
            scene.store.segment(ref.model_copy(update={"rows": ref.rows - 1}))

    def test_a_product_that_lives_in_two_segments(self, scene: Scene, logged: Logged) -> None:
        scene.put(*names(3))
        first = scene.build()
        scene.clock.pass_by(minutes=1)
        scene.put("p001")
        scene.build()
        current = scene.store.current()
        assert current.manifest
        revived = [ref.model_copy(update={"dead": None}) for ref in current.manifest.segments]
        spoilt = current.manifest.model_copy(update={"segments": tuple(revived)})
        assert scene.store.publish(spoilt, current)
        assert not scene.build().names & first.names
        assert warnings(logged) == ["a segment is corrupt"]
        scene.check_whole()


class TestTwoWriters:
    @pytest.mark.parametrize("is_full", [False, True])
    @pytest.mark.parametrize("has_snapshot", [False, True])
    def test_one_wholly_between_two_calls_of_the_other(self, scene: Scene, is_full: bool, has_snapshot: bool) -> None:
        scene.put(*names(20))
        if has_snapshot:
            scene.build()
            scene.clock.pass_by(minutes=1)
        scene.put("p001", "p030")
        calls = 60
        fired = 0
        for number in range(calls):
            fired += self._interrupt(scene, number, is_full=is_full)
        assert 3 <= fired < calls

    def _interrupt(self, scene: Scene, number: int, *, is_full: bool) -> bool:
        """Let one builder get to its call of this number, and another do all of its work then."""
        scene.table.put(f"q{number:03}")
        scene.table.delete(f"q{number - 1:03}") if f"q{number - 1:03}" in scene.table.versions else None
        seen = 0

        def before(operation: str, key: str) -> None:
            nonlocal seen
            seen += 1
            if seen == number + 1:
                scene.objects.before = lambda operation, key: None
                scene.table.put(f"r{number:03}")
                assert scene.builder().build(full=is_full)

        scene.objects.before = before
        manifest = scene.builder().build()
        scene.objects.before = lambda operation, key: None
        current = scene.store.read()
        assert current
        if manifest is not None:
            assert manifest == current
        assert scene.segments() >= current.names
        scene.snapshot()
        scene.check_whole()
        return seen > number

    @pytest.mark.parametrize("seed", range(40))
    def test_any_order_of_their_calls(self, scene: Scene, seed: int) -> None:
        """Three rounds of two builders, with writes and sweeps in between, in an order that the seed gives."""
        source = random.Random(seed)  # noqa: S311 - repeatable
        scene.table.lag = random_delay(source)
        act_at_random(scene, source)
        turns = Turns(source, 2, lambda: act_at_random(scene, source) if source.random() < 0.2 else scene.store.sweep())
        scene.objects.before = turns.take
        outcomes: list[Manifest | None] = []

        def work() -> None:
            for _ in range(3):
                outcomes.append(scene.builder().build(full=source.random() < 0.2))

        turns.run(work)
        scene.objects.before = lambda operation, key: None
        assert len(outcomes) == 6
        assert any(outcomes)
        scene.check_whole()
        scene.clock.pass_by(hours=2)
        scene.store.sweep()
        manifest = scene.store.read()
        assert manifest
        assert scene.segments() == manifest.names

    def test_the_loser_takes_its_segments_along(self, scene: Scene) -> None:
        scene.put(*names(20))
        winner = scene.builder()

        def before(operation: str, key: str) -> None:
            if (operation, key) == ("put", MANIFEST):
                scene.objects.before = lambda operation, key: None
                assert winner.build()

        scene.objects.before = before
        assert scene.builder().build() is None
        current = scene.store.read()
        assert current
        assert scene.segments() == current.names

    def test_a_publication_of_unknown_outcome_leaves_its_segments(self, scene: Scene) -> None:
        """Another may have seen the manifest, and gone on from it."""
        scene.put(*names(20))

        def after(operation: str, key: str) -> None:
            if (operation, key) == ("put", MANIFEST):
                scene.objects.after = lambda operation, key: None
                scene.put("p050")
                scene.build()
                raise OutcomeUnknown

        scene.objects.after = after
        with pytest.raises(OutcomeUnknown):
            scene.build()
        scene.check_whole()


class Turns:
    """Threads that make their calls one at a time, in an order drawn from a seed; `between` runs before each."""

    def __init__(self, source: random.Random, threads: int, between: Callable[[], object]) -> None:
        self._source = source
        self._between = between
        self._waiting: dict[int, threading.Event] = {}
        self._threads = threads
        self._lock = threading.Lock()
        self._is_between = False
        self._failures: list[BaseException] = []

    def take(self, operation: str, key: str) -> None:
        if self._is_between:
            return
        event = threading.Event()
        with self._lock:
            self._waiting[threading.get_ident()] = event
            self._go_on()
        assert event.wait(10)

    def run(self, work: Callable[[], None]) -> None:
        threads = [threading.Thread(target=self._until_done, args=(work,)) for _ in range(self._threads)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert not self._failures, self._failures

    def _until_done(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - told to the test
            self._failures.append(error)
        with self._lock:
            self._threads -= 1
            self._go_on()

    def _go_on(self) -> None:
        """Let one go once all are waiting: no two ever run at the same time."""
        if self._threads and len(self._waiting) == self._threads:
            self._is_between = True
            self._between()
            self._is_between = False
            self._waiting.pop(self._source.choice(sorted(self._waiting))).set()


class TestCrash:
    @pytest.mark.parametrize("is_done", [False, True], ids=["before the call", "after the call"])
    @pytest.mark.parametrize("is_full", [False, True], ids=["incremental", "full"])
    def test_after_every_call(self, is_full: bool, is_done: bool) -> None:
        crashes = 0
        for number in range(200):
            scene = self._scene()
            if not self._crash(scene, number, is_full=is_full, is_done=is_done):
                break
            crashes += 1
            self._check(scene)
        assert crashes >= (5 if is_full else 10)

    def _scene(self) -> Scene:
        """Seven small segments, a large one and half of its rows deleted: what comes next also merges."""
        clock = Clock()
        scene = Scene(clock, ChangingTable(clock), MemoryObjects(clock))
        scene.put(*names(8))
        for number in range(7):
            scene.build()
            clock.pass_by(minutes=1)
            scene.put(f"q{number}")
        for name in names(5):
            scene.table.delete(name)
        scene.put("p007", "q3", *[f"r{number}" for number in range(9)])
        return scene

    def _crash(self, scene: Scene, number: int, *, is_full: bool, is_done: bool) -> bool:
        remaining = number

        def hook(operation: str, key: str) -> None:
            nonlocal remaining
            if operation == "list":
                return
            remaining -= 1
            if remaining < 0:
                raise Crash

        setattr(scene.objects, "after" if is_done else "before", hook)
        try:
            scene.builder().build(full=is_full)
        except Crash:
            return True
        finally:
            scene.objects.before = scene.objects.after = lambda operation, key: None
        return False

    def _check(self, scene: Scene) -> None:
        """At once, after the next build, and when all that was left is swept."""
        scene.check_search()
        scene.snapshot()
        scene.clock.pass_by(minutes=1)
        scene.put("s")
        manifest = scene.build()
        scene.check_whole()
        scene.clock.pass_by(hours=2)
        scene.store.sweep()
        assert scene.segments() == manifest.names
        scene.check_whole()

    def test_an_object_store_that_does_not_answer(self, scene: Scene) -> None:
        scene.put(*names(20))
        manifest = scene.build()
        scene.put("p001")

        def fail(operation: str, key: str) -> None:
            if operation == "put":
                raise Unavailable("no answer")

        scene.objects.before = fail
        with pytest.raises(Unavailable):
            scene.build()
        scene.objects.before = lambda operation, key: None
        assert scene.store.read() == manifest

    def test_clearing_away_that_fails_is_left_to_a_sweep(self, scene: Scene) -> None:
        for name in names(7):
            scene.put(name)
            scene.clock.pass_by(minutes=1)
            scene.build()
        scene.put("p007")
        failed = []

        def fail(operation: str, key: str) -> None:
            if operation == "delete":
                failed.append(key)
                raise Unavailable("no answer")

        scene.objects.before = fail
        manifest = scene.build()
        assert failed
        scene.objects.before = lambda operation, key: None
        scene.clock.pass_by(hours=2)
        scene.store.sweep()
        assert scene.segments() == manifest.names

    @pytest.mark.parametrize("is_full", [False, True])
    def test_a_check_that_raises_ends_the_build(self, scene: Scene, is_full: bool) -> None:
        scene.put(*names(20))
        manifest = scene.build()
        scene.put(*names(20))
        for number in range(20):
            remaining = iter(range(number))

            def check(remaining: Iterator[int] = remaining) -> None:
                if next(remaining, None) is None:
                    raise TimeoutError

            try:
                scene.builder(check=check).build(full=is_full)
            except TimeoutError:
                assert scene.store.read() == manifest
            else:
                break
        assert 3 <= number < 19
        scene.check_whole()


class TestSweep:
    def test_a_reader_of_the_manifest_before_has_an_hour(self, scene: Scene) -> None:
        scene.put(*names(20))
        before = scene.build()
        scene.clock.pass_by(days=1)
        scene.build(full=True)
        assert scene.store.sweep() == 0
        scene.clock.pass_by(seconds=GRACE.total_seconds())
        assert scene.store.sweep() == 0
        assert len(scene.snapshot(before)) == 20
        scene.clock.pass_by(seconds=1)
        assert scene.store.sweep() == 3
        scene.check_whole()

    def test_it_is_an_hour_from_the_last_manifest_that_named_it(self, scene: Scene) -> None:
        """Also where others were put since."""
        scene.put(*names(20))
        before = scene.build()
        scene.clock.pass_by(days=1)
        scene.build(full=True)
        scene.clock.pass_by(minutes=40)
        scene.build()
        scene.clock.pass_by(minutes=15)
        scene.build()
        assert scene.store.sweep() == 0
        assert len(scene.snapshot(before)) == 20
        scene.clock.pass_by(minutes=10)
        scene.build()
        assert scene.store.sweep() == 3

    def test_sweeps_all_along_a_long_build_take_nothing_of_it(self, scene: Scene) -> None:
        scene.put(*names(60))
        scene.build()
        scene.put(*names(60))

        def before(operation: str, key: str) -> None:
            scene.objects.before = lambda operation, key: None
            scene.clock.pass_by(minutes=3)
            scene.store.sweep()
            scene.objects.before = before

        scene.objects.before = before
        assert scene.builder().build(full=True)
        scene.objects.before = lambda operation, key: None
        assert scene.clock.now - START > LONGEST_BUILD / 2
        scene.check_whole()

    def test_a_build_that_took_too_long_publishes_nothing(self, scene: Scene, logged: Logged) -> None:
        scene.put(*names(20))
        manifest = scene.build()
        scene.table.between = partial(scene.clock.pass_by, minutes=LONGEST_BUILD.total_seconds() / 60 / 3)
        assert scene.builder().build(full=True) is None
        assert warnings(logged) == ["a build took too long"]
        assert scene.store.read() == manifest
        assert scene.segments() == manifest.names

    def test_without_a_manifest_the_young_are_left(self, scene: Scene) -> None:
        """A first build may be under way."""
        scene.put("p000")
        scene.build()
        del scene.objects.bodies[MANIFEST]
        scene.clock.pass_by(minutes=59)
        assert scene.store.sweep() == 0
        scene.clock.pass_by(minutes=2)
        assert scene.store.sweep() == 1

    def test_it_never_leaves_the_prefix(self, scene: Scene) -> None:
        others = {"similarity/alice/v1/matrix/x", "similarity/alice/v10/segments/x", "similarity/alice2/v1/segments/x"}
        for key in others:
            scene.objects.put(key, b"x")
        scene.clock.pass_by(days=9)
        scene.store.sweep()
        assert scene.objects.bodies.keys() == others


class TestManifest:
    def test_it_comes_back_as_it_was(self, scene: Scene) -> None:
        scene.put(*names(20))
        scene.build()
        scene.clock.pass_by(minutes=1)
        scene.put("p001")
        manifest = scene.build()
        assert Manifest.from_bytes(manifest.to_bytes()) == manifest
        assert json.loads(manifest.to_bytes())["manifest"]["id"] == manifest.id

    @pytest.mark.parametrize("rows", [1, 7, 8, 9, 1000])
    def test_dead_rows_come_back_as_they_were(self, rows: int) -> None:
        ref = SegmentRef(name="0" * 32, rows=rows, size=1, keys_bytes=1, crc32=0)
        assert ref.dead_rows is None
        assert ref.with_dead(np.zeros(rows, np.bool_)).dead is None
        for seed in range(5):
            dead = np.random.default_rng(seed).random(rows) < 0.5
            marked = ref.with_dead(dead)
            if dead.any():
                assert marked.dead_rows is not None
                assert np.array_equal(marked.dead_rows, dead)
            assert marked.live_count == rows - dead.sum()

    def test_publishing_over_what_one_has_not_read(self, scene: Scene) -> None:
        manifest = scene.build()
        assert not scene.store.publish(manifest, Published(None, None))
        assert not scene.store.publish(manifest, Published(None, '"other"'))
        assert scene.store.publish(manifest, scene.store.current())


def framed(content: object) -> bytes:
    """The bytes of a manifest of this content, with the right digest."""
    text = json.dumps(content).encode()
    return b'{"digest":"%b","manifest":%b}' % (hashlib.sha256(text).hexdigest().encode(), text)


def test_the_longest_build_and_the_grace_leave_room_for_skew() -> None:
    assert LONGEST_BUILD + timedelta(minutes=10) < GRACE
