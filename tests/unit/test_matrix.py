"""The stored matrix: one build at a time, whoever is interrupted; rows read one by one; nothing damaged is believed."""

import json
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Conflict, NotFound, OutcomeUnknown, TooManyRequests, Unavailable
from shared.models.fields import new_id, timestamp
from shared.similarity import matrix, matrix_rows
from shared.similarity.matrix import Claim, ClaimLost, IdTables, MatrixStore
from shared.similarity.matrix_build import build
from shared.similarity.matrix_rows import IdTable, open_row, rows_per_object, seal
from shared.similarity.matrix_status import CorruptStatus, MatrixStatus, StoredMatrix
from shared.similarity.metrics import exact, squared_norms
from shared.similarity.neighbours import Block, Load
from tests.support.object_store import MemoryObjects

FOLDER = "similarity/owner/v1/matrix/"
STATUS = f"{FOLDER}status.json"
UUIDS = "/".join(["0" * 36] * 2)
WATERMARK = "2030-01-01T00:00:00.000000Z"

Vectors = npt.NDArray[np.float32]
T = TypeVar("T")


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.moment = datetime(2030, 1, 1, tzinfo=UTC)

    def __call__(self) -> str:
        return timestamp(self.moment)

    def pass_by(self, **lengths: float) -> None:
        self.moment += timedelta(**lengths)


class Crashed(BaseException):
    """The process ended: nothing may catch it."""


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def objects() -> MemoryObjects:
    return MemoryObjects()


@pytest.fixture
def store(objects: MemoryObjects, clock: Clock) -> MatrixStore:
    return store_over(objects, clock)


@pytest.fixture(autouse=True)
def every_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    """No heartbeat is left out for coming soon after the last."""
    monkeypatch.setattr(matrix, "HEARTBEAT_SECONDS", 0.0)


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    logged: list[str] = []
    monkeypatch.setattr(matrix, "log_warning", lambda message, **details: logged.append(message))
    return logged


def store_over(objects: MemoryObjects, clock: Callable[[], str]) -> MatrixStore:
    """As another process has it: with id tables of its own."""
    return MatrixStore(objects, "owner", "v1", clock=clock, tables=IdTables())


def vectors_of(rows: int, dimension: int = 6, seed: int = 0) -> Vectors:
    return np.random.default_rng(seed).standard_normal((rows, dimension), dtype=np.float32)


def in_blocks(ids: Sequence[str], vectors: Vectors, step: int = 20) -> list[Load]:
    def load_from(first: int) -> Load:
        return lambda: Block(ids[first : first + step], vectors[first : first + step])

    return [load_from(first) for first in range(0, len(ids), step)]


def catalogue(rows: int, seed: int = 0) -> tuple[list[str], list[Load]]:
    ids = [f"p{number:04d}é" for number in np.random.default_rng(seed).permutation(rows)]
    return ids, in_blocks(ids, vectors_of(rows, seed=seed))


def claimed(store: MatrixStore, k: int = 5) -> Claim:
    status, started = store.request_build(k)
    assert started
    claim = store.claim(str(status.build_id))
    assert claim is not None
    return claim


def built(store: MatrixStore, blocks: Sequence[Load], k: int = 5) -> StoredMatrix:
    status = build(claimed(store, k), blocks, watermark=WATERMARK)
    assert status == store.status()
    assert status.current is not None
    return status.current


def row(store: MatrixStore, product_id: str) -> list[tuple[str, float]] | None:
    found = store.read_row(product_id)
    return None if found is None else [(one.product_id, one.score) for one in found.neighbours]


def expected(ids: list[str], vectors: Vectors, k: int, product_id: str) -> list[tuple[str, float]]:
    query = vectors[ids.index(product_id)]
    scores = exact("cosine", vectors, query, squares=squared_norms(vectors)).tolist()
    others = sorted((-score, name) for score, name in zip(scores, ids, strict=True) if name != product_id)
    return [(name, -score) for score, name in others[:k]]


def folders(objects: MemoryObjects) -> set[str]:
    """The builds and attempts that have objects."""
    return {key.removeprefix(FOLDER).rpartition("/")[0] for key in objects.bodies if key != STATUS}


class TestRows:
    @pytest.mark.parametrize("rows_each", [7, 1_000_000])
    def test_every_row_is_what_search_gives(
        self, store: MatrixStore, monkeypatch: pytest.MonkeyPatch, rows_each: int
    ) -> None:
        monkeypatch.setattr("shared.similarity.matrix_build.rows_per_object", lambda k: rows_each)
        ids, vectors = [f"p{number}" for number in range(50)], vectors_of(50)
        vectors[10:30] = vectors[10]
        current = built(store, in_blocks(ids, vectors))
        assert (current.rows, current.k, current.watermark) == (50, 5, WATERMARK)
        for product_id in ids:
            assert row(store, product_id) == expected(ids, vectors, 5, product_id)

    @pytest.mark.parametrize("state", ["absent", "queued", "running", "failed"])
    def test_before_the_first_matrix(self, store: MatrixStore, state: str) -> None:
        claim = None
        if state == "queued":
            store.request_build(5)
        elif state != "absent":
            claim = claimed(store)
        if claim and state == "failed":
            claim.fail("It went wrong.")
        assert store.status().state == state
        with pytest.raises(NotFound, match="POST /embeddings/similarity"):
            row(store, "p1")

    def test_a_product_that_is_not_there(self, store: MatrixStore) -> None:
        built(store, catalogue(30)[1])
        for stranger in ("", "p", "p0000", "p0029éé", "zzz", "\ud800"):
            assert row(store, stranger) is None

    @pytest.mark.parametrize("rows", [1, 2, 4])
    def test_fewer_products_than_neighbours(self, store: MatrixStore, rows: int) -> None:
        ids, vectors = [f"p{number}" for number in range(rows)], vectors_of(rows)
        assert built(store, in_blocks(ids, vectors), k=100).k == 100
        for product_id in ids:
            assert row(store, product_id) == expected(ids, vectors, 100, product_id)

    def test_no_products(self, store: MatrixStore) -> None:
        assert built(store, []).rows == 0
        assert row(store, "p1") is None

    def test_a_row_is_one_ranged_read_of_its_own_size(self, store: MatrixStore, objects: MemoryObjects) -> None:
        ids, blocks = catalogue(60)
        current = built(store, blocks, k=7)
        row(store, ids[0])
        reads = reads_of(objects)
        row(store, ids[1])
        place = sorted(ids).index(ids[1]) * current.row_bytes
        assert reads == [
            (STATUS, None),
            (f"{FOLDER}{current.folder}/rows-00000", (place, place + 7 * 12 + 4)),
        ]
        assert len(objects.bodies[f"{FOLDER}{current.folder}/rows-00000"]) == 60 * (7 * 12 + 4)

    def test_an_object_of_rows_stays_below_16_mib(self) -> None:
        for k in (1, 10, 100):
            assert 15 * 2**20 < rows_per_object(k) * (12 * k + 4) <= 16 * 2**20


def reads_of(objects: MemoryObjects) -> list[tuple[str, tuple[int, int] | None]]:
    """What is read from now on."""
    reads: list[tuple[str, tuple[int, int] | None]] = []
    plain = objects.get

    def get(key: str, byte_range: tuple[int, int] | None = None, etag: str | None = None) -> object:
        reads.append((key, byte_range))
        return plain(key, byte_range, etag)

    objects.get = get  # type: ignore[method-assign, assignment]
    return reads


class TestIdTable:
    @given(ids=st.sets(st.text(st.characters(exclude_categories=["Cs"]), max_size=6), max_size=20), other=st.text())
    def test_every_id_is_found_and_no_other(self, ids: set[str], other: str) -> None:
        table = IdTable.of(sorted(ids))
        assert [table.id(number) for number in range(len(table))] == sorted(ids)
        assert [table.number(product_id) for product_id in sorted(ids)] == list(range(len(ids)))
        assert (table.number(other) is None) == (other not in ids)

    @pytest.mark.parametrize("number", [-1, 2, matrix_rows.NOBODY])
    def test_a_row_that_is_not_there(self, number: int) -> None:
        with pytest.raises(matrix_rows.CorruptMatrix):
            IdTable.of(["a", "b"]).id(number)

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"\0\0\0",
            b"\0\0\0\0",
            struct.pack("<I", 1),
            struct.pack("<III", 2, 0, 0),
            struct.pack("<III", 1, 0, 2) + b"a",
            struct.pack("<III", 1, 0, 1) + b"ab",
            struct.pack("<I", 0xC1FFFFFF) + b"an id, where there should be offsets",
        ],
    )
    def test_what_is_as_long_as_no_table(self, data: bytes) -> None:
        with pytest.raises(matrix_rows.CorruptMatrix):
            IdTable.read(data)

    @pytest.mark.parametrize("offsets", [(0, 9, 2), (1, 0, 2), (2**32 - 1, 0, 2)])
    def test_ids_that_lie_nowhere(self, offsets: tuple[int, ...]) -> None:
        table = IdTable.read(struct.pack("<IIII", 2, *offsets) + b"ab")
        with pytest.raises(matrix_rows.CorruptMatrix):
            table.id(0)
        with pytest.raises(matrix_rows.CorruptMatrix):
            table.number("a")

    def test_an_id_that_is_no_text(self) -> None:
        with pytest.raises(matrix_rows.CorruptMatrix):
            IdTable.read(struct.pack("<III", 1, 0, 1) + b"\xff").id(0)

    def test_the_empty_table(self) -> None:
        table = IdTable.read(IdTable.of([]).data)
        assert (len(table), table.number("a")) == (0, None)

    def test_tables_are_dropped_by_bytes_the_least_recently_used_first(self) -> None:
        table = IdTable.of(["a" * 84])
        assert len(table.data) == 96
        tables = IdTables(max_bytes=200)
        tables.keep("one", table)
        tables.keep("two", table)
        assert tables.get("one") is table
        tables.keep("three", table)
        assert [tables.get(key) is table for key in ("one", "two", "three")] == [True, False, True]
        assert tables.nbytes == 192

    def test_a_table_beyond_the_limit_is_not_kept(self) -> None:
        tables = IdTables(max_bytes=50)
        tables.keep("one", IdTable.of(["a" * 84]))
        assert tables.get("one") is None
        assert tables.nbytes == 0

    def test_a_table_is_read_once(self, store: MatrixStore, objects: MemoryObjects) -> None:
        ids, blocks = catalogue(30)
        built(store, blocks)
        reads = reads_of(objects)
        for product_id in ids:
            row(store, product_id)
        assert sum(key.endswith("/ids") for key, _ in reads) == 1


class TestOneBuildAtATime:
    def test_nothing_was_ever_asked_for(self, store: MatrixStore) -> None:
        assert store.status() == MatrixStatus()
        assert store.status().state == "absent"

    def test_a_request_is_queued(self, store: MatrixStore, clock: Clock) -> None:
        status, started = store.request_build(10)
        assert started
        assert (status.state, status.k, status.requested_at) == ("queued", 10, clock())
        assert store.status() == status

    def test_the_same_request_joins_the_build(self, store: MatrixStore) -> None:
        first, _ = store.request_build(10)
        assert store.request_build(10) == (first, False)
        claim = store.claim(str(first.build_id))
        assert claim is not None
        assert store.request_build(10) == (claim.status, False)

    def test_another_k_is_refused_until_it_is_done(self, store: MatrixStore) -> None:
        claim = claimed(store, 10)
        with pytest.raises(Conflict, match="k = 10 is being built"):
            store.request_build(11)
        build(claim, catalogue(5)[1], watermark=WATERMARK)
        assert store.request_build(11)[1]

    @pytest.mark.parametrize(("seconds", "is_replaced"), [(59, False), (61, True), (-61, True)])
    def test_a_worker_without_a_sign_of_life(
        self, store: MatrixStore, clock: Clock, seconds: float, is_replaced: bool
    ) -> None:
        claim = claimed(store)
        clock.pass_by(seconds=seconds)
        status, started = store.request_build(5)
        assert started is is_replaced
        assert (status.build_id != claim.status.build_id) is is_replaced

    @pytest.mark.parametrize(("minutes", "is_replaced"), [(14, False), (16, True)])
    def test_a_request_that_no_worker_took(
        self, store: MatrixStore, clock: Clock, minutes: float, is_replaced: bool
    ) -> None:
        store.request_build(5)
        clock.pass_by(minutes=minutes)
        assert store.request_build(5)[1] is is_replaced

    def test_a_heartbeat_keeps_a_build_alive(self, store: MatrixStore, clock: Clock) -> None:
        claim = claimed(store)
        for beat in range(10):
            clock.pass_by(seconds=50)
            claim.progress(beat, 100)
        claim.beat()
        assert not store.request_build(5)[1]
        assert (store.status().rows_done, store.status().rows) == (9, 100)

    def test_two_requests_at_once_begin_one_build(
        self, store: MatrixStore, objects: MemoryObjects, clock: Clock
    ) -> None:
        other = store_over(objects, clock)
        mine, theirs = interleaved(objects, lambda: other.request_build(5), lambda: store.request_build(5))
        assert (mine[1], theirs[1]) == (False, True)
        assert mine[0] == theirs[0]

    def test_a_status_that_never_stands_still(self, store: MatrixStore, objects: MemoryObjects) -> None:
        def change(operation: str, key: str) -> None:
            if operation == "put":
                objects.bodies[key] = replace(MatrixStatus(), error=new_id()).to_bytes()

        objects.before = change
        with pytest.raises(Unavailable, match="Try again"):
            store.request_build(5)

    def test_a_build_without_a_worker_is_withdrawn(self, store: MatrixStore) -> None:
        status, _ = store.request_build(5)
        store.withdraw(status, "No worker.")
        assert (store.status().state, store.status().error) == ("failed", "No worker.")
        assert store.claim(str(status.build_id)) is None

    def test_a_build_that_a_worker_has_is_not_withdrawn(self, store: MatrixStore) -> None:
        status, _ = store.request_build(5)
        claim = store.claim(str(status.build_id))
        store.withdraw(status, "No worker.")
        assert claim is not None
        assert store.status() == claim.status


def interleaved(objects: MemoryObjects, theirs: Callable[[], T], mine: Callable[[], T]) -> tuple[T, T]:
    """The results of mine and theirs, where theirs happens whole between my read and my put."""
    results: list[T] = []

    def intrude(operation: str, key: str) -> None:
        if operation == "put" and not results:
            objects.before = lambda operation, key: None
            results.append(theirs())

    objects.before = intrude
    result = mine()
    assert results
    return result, results[0]


class TestClaims:
    def test_a_claim_is_running(self, store: MatrixStore, clock: Clock) -> None:
        status = claimed(store).status
        assert (status.state, status.started_at, status.heartbeat_at) == ("running", clock(), clock())

    def test_two_workers_of_one_build(self, store: MatrixStore, objects: MemoryObjects, clock: Clock) -> None:
        """An asynchronous invocation may run twice, and at once."""
        build_id = str(store.request_build(5)[0].build_id)
        other = store_over(objects, clock)
        mine, theirs = interleaved(objects, lambda: other.claim(build_id), lambda: store.claim(build_id))
        assert mine is None
        assert theirs is not None
        assert store.status() == theirs.status

    def test_nothing_to_claim(self, store: MatrixStore) -> None:
        assert store.claim(new_id()) is None
        claim = claimed(store)
        assert store.claim(str(claim.status.build_id)) is None
        build(claim, catalogue(5)[1], watermark=WATERMARK)
        assert store.claim(str(claim.status.build_id)) is None

    def test_a_build_that_was_superseded(self, store: MatrixStore, clock: Clock) -> None:
        first, _ = store.request_build(5)
        clock.pass_by(minutes=16)
        store.request_build(5)
        assert store.claim(str(first.build_id)) is None

    def test_a_dead_worker_is_followed_by_another_and_stops(
        self, store: MatrixStore, objects: MemoryObjects, clock: Clock
    ) -> None:
        first = claimed(store)
        clock.pass_by(seconds=61)
        second = store.claim(str(first.status.build_id))
        assert second is not None
        assert second.folder != first.folder
        for step in (lambda: first.progress(1, 2), first.beat, lambda: first.fail("no")):
            with pytest.raises(ClaimLost):
                step()
        assert store.status() == second.status

    def test_a_late_worker_does_no_harm(
        self, store: MatrixStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It was taken for dead, and wakes when all its work is done but for the end."""
        ids, blocks = catalogue(30)
        slow = claimed(store)
        clock.pass_by(seconds=61)
        quick = store.claim(str(slow.status.build_id))
        assert quick is not None
        done = build(quick, blocks, watermark=WATERMARK)
        rows = [row(store, product_id) for product_id in ids]
        slow_blocks = in_blocks(ids, vectors_of(30, seed=99))
        monkeypatch.setattr(matrix, "HEARTBEAT_SECONDS", 1e9)
        with pytest.raises(ClaimLost):
            build(slow, slow_blocks, watermark=WATERMARK)
        assert store.status() == done
        assert [row(store, product_id) for product_id in ids] == rows

    def test_a_heartbeat_that_cannot_be_given_is_left_out(self, store: MatrixStore, objects: MemoryObjects) -> None:
        claim = claimed(store)
        for error in (TooManyRequests(), Unavailable("no answer")):
            objects.before = raising(error)
            claim.progress(1, 2)
        objects.before = lambda operation, key: None
        claim.progress(2, 2)
        assert store.status().rows_done == 2

    def test_heartbeats_are_ten_seconds_apart(self, store: MatrixStore, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.undo()
        claim = claimed(store)
        claim.progress(1, 2)
        assert store.status().rows_done == 0
        moment = time.monotonic() + 10.1
        monkeypatch.setattr(time, "monotonic", lambda: moment)
        claim.progress(1, 2)
        assert store.status().rows_done == 1

    @pytest.mark.parametrize("is_applied", [True, False])
    def test_a_put_whose_answer_is_lost(self, store: MatrixStore, objects: MemoryObjects, is_applied: bool) -> None:
        claim = claimed(store)
        losses = iter([OutcomeUnknown()])

        def lose(operation: str, key: str) -> None:
            if operation == "put" and (error := next(losses, None)):
                raise error

        setattr(objects, "after" if is_applied else "before", lose)
        claim.progress(3, 4)
        assert next(losses, None) is None
        assert store.status() == claim.status
        assert claim.status.rows_done == 3
        claim.progress(4, 4)
        assert store.status().rows_done == 4

    def test_a_put_that_is_applied_late(self, store: MatrixStore, objects: MemoryObjects, clock: Clock) -> None:
        """The worker saw it fail, and it took place after that: it is still this worker's build."""
        claim = claimed(store)
        clock.pass_by(seconds=5)
        objects.bodies[STATUS] = claim.status.alive(1, 9, clock()).to_bytes()
        claim.progress(2, 9)
        assert store.status() == claim.status

    def test_a_worker_does_not_undo_its_own_end(self, store: MatrixStore, objects: MemoryObjects, clock: Clock) -> None:
        """It put the end of the build, and never learned that this took place."""
        current = built(store, catalogue(5)[1])
        claim = claimed(store)
        done = claim.status.done(current, clock())
        objects.bodies[STATUS] = done.to_bytes()
        with pytest.raises(ClaimLost):
            claim.fail("no")
        assert store.status() == done

    def test_no_answer_at_all(self, store: MatrixStore, objects: MemoryObjects) -> None:
        claim = claimed(store)
        objects.before = raising(OutcomeUnknown(), "put")
        with pytest.raises(OutcomeUnknown):
            claim.fail("no")
        objects.before = lambda operation, key: None
        assert store.status() == claim.status


def raising(error: Exception, what: str | None = None) -> Callable[[str, str], None]:
    """A fault of every call, or of every call of one operation."""

    def fault(operation: str, key: str) -> None:
        if what in (None, operation):
            raise error

    return fault


class TestBuilding:
    def test_the_last_matrix_is_read_while_the_next_is_built(self, store: MatrixStore) -> None:
        ids, blocks = catalogue(30)
        current = built(store, blocks, k=3)
        before = row(store, ids[0])
        claim = claimed(store, 4)
        assert row(store, ids[0]) == before
        assert (store.status().state, store.status().current) == ("running", current)
        claim.fail("It went wrong.")
        assert (store.status().state, store.status().error) == ("failed", "It went wrong.")
        assert row(store, ids[0]) == before
        built(store, blocks, k=4)
        assert len(row(store, ids[0]) or []) == 4

    def test_old_builds_are_deleted_but_for_the_one_just_replaced(
        self, store: MatrixStore, objects: MemoryObjects
    ) -> None:
        done = [built(store, catalogue(12)[1]).folder for _ in range(4)]
        assert folders(objects) == set(done[-2:])

    def test_a_reader_that_is_overtaken_twice_reads_again(self, store: MatrixStore, objects: MemoryObjects) -> None:
        ids, blocks = catalogue(12)
        built(store, blocks)
        expected_row = row(store, ids[0])

        def overtake(operation: str, key: str) -> None:
            if operation == "get" and key.endswith("rows-00000"):
                objects.before = lambda operation, key: None
                for _ in range(2):
                    built(store, blocks)

        objects.before = overtake
        assert row(store, ids[0]) == expected_row
        assert len(folders(objects)) == 2

    def test_what_a_later_build_writes_is_not_deleted(
        self, store: MatrixStore, objects: MemoryObjects, clock: Clock
    ) -> None:
        """A build that begins as soon as this one is done, before this one's worker has cleared up."""
        built(store, catalogue(12)[1])
        built(store, catalogue(12)[1])
        later = f"{FOLDER}{new_id()}/{new_id()}/ids"

        def write(operation: str, key: str) -> None:
            if operation == "put" and MatrixStatus.from_bytes(objects.bodies[STATUS]).state == "done":
                objects.bodies[later], objects.modified[later] = b"", datetime.now(UTC)

        objects.after = write
        built(store, catalogue(12)[1])
        assert later in objects.bodies

    def test_leftovers_that_cannot_be_deleted_do_not_fail_it(
        self, store: MatrixStore, objects: MemoryObjects, warnings: list[str]
    ) -> None:
        for _ in range(2):
            built(store, catalogue(12)[1])

        objects.before = raising(Unavailable("no answer"), "delete")
        built(store, catalogue(12)[1])
        assert warnings == ["matrix_leftovers"]
        assert len(folders(objects)) == 3

    def test_a_failure_is_told(self, store: MatrixStore) -> None:
        def fail() -> Block:
            raise ValueError("secret detail")

        with pytest.raises(ValueError, match="secret detail"):
            build(claimed(store), [fail], watermark=WATERMARK)
        assert store.status().state == "failed"
        assert "secret" not in str(store.status().error)

    def test_a_failure_that_cannot_be_told_is_raised(self, store: MatrixStore, objects: MemoryObjects) -> None:
        claim = claimed(store)
        objects.before = raising(Unavailable("the first"))
        with pytest.raises(Unavailable, match="the first"):
            build(claim, catalogue(12)[1], watermark=WATERMARK)

    def test_a_check_stops_it(self, store: MatrixStore) -> None:
        def check() -> None:
            raise Unavailable("Out of time.")

        with pytest.raises(Unavailable):
            build(claimed(store), catalogue(12)[1], watermark=WATERMARK, check=check)
        assert (store.status().state, store.status().error) == ("failed", "Out of time.")

    def test_another_build_stops_it(self, store: MatrixStore, objects: MemoryObjects, clock: Clock) -> None:
        claim = claimed(store)
        clock.pass_by(seconds=61)
        newer, _ = store.request_build(7)
        with pytest.raises(ClaimLost):
            build(claim, catalogue(12)[1], watermark=WATERMARK)
        assert store.status() == newer

    def test_a_crash_after_any_call_is_got_over(self, clock: Clock) -> None:
        """The matrix from before is read until the new one is, and a new worker finishes the build that broke off."""
        calls = 0
        while self._crash_after(calls + 1, clock):
            calls += 1
        assert calls > 8

    def _crash_after(self, calls: int, clock: Clock) -> bool:
        objects = MemoryObjects()
        store = store_over(objects, clock)
        ids, blocks = catalogue(12)
        built(store, blocks, k=3)
        old, (status, _) = row(store, ids[0]), store.request_build(4)
        left = iter(range(calls - 1))

        def crash(operation: str, key: str) -> None:
            if next(left, None) is None:
                raise Crashed

        objects.after = crash
        has_crashed = not self._finishes(store, str(status.build_id), blocks)
        objects.after = lambda operation, key: None
        survivor = store_over(objects, clock)
        is_done = survivor.status().state == "done"
        found = row(survivor, ids[0])
        assert len(found or []) == 4 if is_done else found == old
        clock.pass_by(seconds=61)
        assert is_done or self._finishes(survivor, str(status.build_id), blocks)
        assert [len(row(survivor, product_id) or []) for product_id in ids] == [4] * 12
        built(survivor, blocks, k=5)
        assert len(folders(objects)) == 2
        return has_crashed

    def _finishes(self, store: MatrixStore, build_id: str, blocks: Sequence[Load]) -> bool:
        try:
            claim = store.claim(build_id)
            assert claim is not None
            build(claim, blocks, watermark=WATERMARK)
        except Crashed:
            return False
        return True


class TestDamage:
    @pytest.mark.parametrize("name", ["ids", "rows-00000"])
    @pytest.mark.parametrize("damage", ["gone", "empty", "cut", "flipped", "longer"])
    def test_a_damaged_object_is_no_matrix(
        self, store: MatrixStore, objects: MemoryObjects, warnings: list[str], name: str, damage: str
    ) -> None:
        ids, blocks = catalogue(30)
        key = f"{FOLDER}{built(store, blocks).folder}/{name}"
        last = sorted(ids)[-1]
        body = objects.bodies[key]
        damaged = {"empty": b"", "cut": body[:-1], "flipped": body[:-3] + b"\x00" + body[-2:], "longer": body + b"x"}
        assert damaged["flipped"] != body
        if damage == "gone":
            del objects.bodies[key]
        else:
            objects.bodies[key] = damaged[damage]
        if (name, damage) == ("rows-00000", "longer"):
            assert row(store, last) is not None  # the row itself is whole
        else:
            with pytest.raises(Unavailable, match="damaged"):
                row(store, last)
            assert warnings == ["matrix_corrupt"]
            built(store, blocks)
            assert row(store, last) is not None

    def test_a_row_in_anothers_place(self) -> None:
        one = seal(b"\x00" * 24, 1)
        assert open_row(one, 1, len(one)) == [(0, 0.0), (0, 0.0)]
        with pytest.raises(matrix_rows.CorruptMatrix):
            open_row(one, 2, len(one))

    @pytest.mark.parametrize(
        "body",
        [b"", b"null", b"[]", b"{", b'{"state":"new"}', b'{"rows":-1}', b'{"k":101}', b'{"format":2}', b"\xff"],
    )
    def test_a_damaged_status_is_absent_and_replaced(
        self, store: MatrixStore, objects: MemoryObjects, warnings: list[str], body: bytes
    ) -> None:
        ids, blocks = catalogue(12)
        objects.put(STATUS, body)
        assert store.status() == MatrixStatus()
        with pytest.raises(NotFound):
            row(store, ids[0])
        assert set(warnings) == {"matrix_status_corrupt"}
        built(store, blocks)
        assert row(store, ids[0]) is not None

    @pytest.mark.parametrize(
        "folder", ["", "..", "a/b", f"../{UUIDS}", f"{UUIDS}/..", f"{UUIDS}\n", UUIDS.replace("/", "\0")]
    )
    def test_a_status_names_no_folder_elsewhere(self, store: MatrixStore, objects: MemoryObjects, folder: str) -> None:
        built(store, catalogue(12)[1])
        document = json.loads(objects.bodies[STATUS])
        document["current"]["folder"] = folder
        with pytest.raises(CorruptStatus):
            MatrixStatus.from_bytes(json.dumps(document).encode())

    def test_a_status_comes_back(self, store: MatrixStore) -> None:
        built(store, catalogue(12)[1])
        built(store, catalogue(12)[1])
        status = claimed(store).status
        assert MatrixStatus.from_bytes(status.to_bytes()) == status
