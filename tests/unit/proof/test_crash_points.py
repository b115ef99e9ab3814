"""What crash points are judged by: a process that dies as a whole, and states that are told apart or are not."""

import contextvars
from collections.abc import Callable
from threading import Thread
from typing import Any

import pytest

from shared.similarity.manifest import Manifest
from tests.proof.crash_points import state
from tests.proof.crash_points.broken import BROKEN
from tests.proof.crash_points.canonical import canonical
from tests.proof.crash_points.coverage import functions, tasks, uncovered
from tests.proof.crash_points.deaths import Calls, Death, Died, Moment, Process
from tests.proof.crash_points.leftovers import FILE, MATRIX, SEGMENT, excuse_of_another, gives_up_uploads, unnamed
from tests.proof.crash_points.requests import scenarios_of_requests
from tests.proof.crash_points.routes import scenarios_of_cases
from tests.proof.crash_points.scenario import Scenario
from tests.proof.crash_points.tasks import scenarios_of_tasks

A, B = "0f7e5a0c-8d0f-4a37-9a0e-3f1f8f6a2b11", "5c1f7d0a-3a0e-4d9b-9a57-1f6f8f1c2b11"
EARLY, LATE = "2026-03-14T09:00:00.000001Z", "2026-03-14T09:00:00.000002Z"


class Engine:
    """Counts what reaches it."""

    def __init__(self) -> None:
        self.calls = Calls(self.send)
        self.reached: list[str] = []
        Process().begin()

    def send(self, event_name: str, request: Any, **context: Any) -> Any:
        self.reached.append(event_name)
        return "an answer"

    def call(self, operation: str = "PutItem") -> Any:
        return self.calls._make(f"before-send.dynamodb.{operation}", None)  # type: ignore[arg-type]


@pytest.fixture
def engine() -> Engine:
    return Engine()


class TestDeaths:
    @pytest.mark.parametrize(("moment", "reached"), [("before", 1), ("after", 2)])
    def test_at_a_call(self, engine: Engine, moment: Moment, reached: int) -> None:
        engine.calls.watch([Death(2, moment)])
        engine.call()
        with pytest.raises(Died):
            engine.call("Query")
        assert len(engine.reached) == reached
        (fired,) = engine.calls.fired
        assert str(fired) == f"{moment} call 2 (Query)"

    def test_nothing_gets_through_on_the_way_out_nor_from_another_thread(self, engine: Engine) -> None:
        engine.calls.watch([Death(1, "before")])
        with pytest.raises(Died):
            engine.call()
        with pytest.raises(Died):
            engine.call()
        assert in_a_thread(engine.call) == [Died]
        assert engine.reached == []

    def test_one_in_a_thread_is_that_of_the_process(self, engine: Engine) -> None:
        engine.calls.watch([Death(1, "after")])
        assert in_a_thread(engine.call) == [Died]
        with pytest.raises(Died):
            engine.call()
        assert engine.calls.fired[0].is_of_a_thread
        Process().begin()
        assert engine.call() == "an answer"

    def test_the_next_is_counted_from_the_one_before(self, engine: Engine) -> None:
        engine.calls.watch([Death(1, "before"), Death(2, "before")])
        with pytest.raises(Died):
            engine.call()
        Process().begin()
        engine.call()
        with pytest.raises(Died):
            engine.call()
        assert len(engine.calls.fired) == 2

    def test_what_is_not_watched_kills_nobody_and_is_not_counted(self, engine: Engine) -> None:
        engine.calls.watch([Death(1, "before")])
        with engine.calls.unwatched():
            engine.call()
        assert engine.calls.made == []
        engine.calls.stop_watching()
        engine.call()
        assert len(engine.reached) == 2


def in_a_thread(act: Callable[[], object]) -> list[type[BaseException]]:
    """What it raised, in a thread that has this context, as the product's have."""
    raised: list[type[BaseException]] = []

    def run() -> None:
        try:
            act()
        except BaseException as error:  # noqa: BLE001 - told to the test
            raised.append(type(error))

    thread = Thread(target=contextvars.copy_context().run, args=[run])
    thread.start()
    thread.join()
    return raised


class TestCanonical:
    def test_other_ids_and_times_in_the_same_order_are_alike(self) -> None:
        assert canonical([f"row {A} made {EARLY} changed {LATE}", f"names {A}"]) == canonical(
            [f"names {B}", f"row {B} made 2025-01-01T00:00:00.000000Z changed {EARLY}"]
        )

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ([f"made {EARLY} changed {LATE}"], [f"made {LATE} changed {EARLY}"]),
            ([f"made {EARLY} changed {LATE}"], [f"made {EARLY} changed {EARLY}"]),
            ([f"row {A}", f"names {A}"], [f"row {A}", f"names {B}"]),
            ([f"row {A} by {A}"], [f"row {A} by {B}"]),
            ([f"row {A}"], [f"row {A}", f"row {B}"]),
            (["version 2"], ["version 3"]),
        ],
    )
    def test_anything_else_is_another(self, one: list[str], other: list[str]) -> None:
        assert canonical(one) != canonical(other)


class TestState:
    def test_sets_have_no_order_and_a_machines_clock_does_not_count(self) -> None:
        row = {"favorites": {"SS": ["b", "a"]}, "expires_at": {"N": "1"}}
        assert state.row_text("t", row) == state.row_text(
            "t", {"favorites": {"SS": ["a", "b"]}, "expires_at": {"N": "2"}}
        )

    def test_a_segment_that_is_missing_is_told(self) -> None:
        manifest = a_manifest()
        assert '"missing": true' in state.object_text("x/manifest.json", manifest, {})
        assert '"broken": true' in state.object_text("x/manifest.json", manifest, {f"x/segments/{'0' * 32}": b"y"})

    def test_what_erasures_count_is_added_up(self) -> None:
        body = b'{"reports": 2, "embeddings": 0, "objects": 1, "state": "done"}'
        assert state.erased({"erasures/a.json": body, "erasures/b.json": body}) == {
            "reports": 4,
            "embeddings": 0,
            "objects": 2,
        }


class TestLeftovers:
    def test_what_no_snapshot_names(self) -> None:
        objects = {"x/manifest.json": a_manifest(), f"x/segments/{'0' * 32}": b"", "x/segments/other": b""}
        assert unnamed(objects) == {"x/segments/other": SEGMENT}

    def test_what_no_status_names(self) -> None:
        status = b'{"current": {"folder": "b/a"}}'
        objects = {"x/matrix/status.json": status, "x/matrix/b/a/ids": b"", "x/matrix/b/dead/ids": b""}
        assert unnamed(objects) == {"x/matrix/b/dead/ids": MATRIX}

    def test_what_the_lifecycle_ends(self) -> None:
        assert excuse_of_another("exports/u/reports/1 digest") == FILE
        assert excuse_of_another("exports/u/account/1.zip digest") is None
        assert excuse_of_another("k9-reports-test {}") is None
        assert gives_up_uploads()


def a_manifest() -> bytes:
    ref = {"name": "0" * 32, "rows": 1, "size": 1, "keys_bytes": 1, "crc32": 0}
    times = dict.fromkeys(("watermark", "complete_at"), EARLY)
    return Manifest.model_validate({"dimension": 2, "segments": (ref,), **times}).to_bytes()


class TestCoverage:
    def test_everything_has_a_scenario(self) -> None:
        scenarios = [*scenarios_of_cases(), *scenarios_of_requests(), *scenarios_of_tasks()]
        assert uncovered(scenarios) == []
        names = [scenario.name for scenario in scenarios]
        assert len(set(names)) == len(names)
        assert {broken.scenario for broken in BROKEN} <= set(names)

    def test_what_has_none_is_told(self) -> None:
        told = uncovered([Scenario("s", "task matrix", lambda world: None)])
        assert "there is no scenario of task erase" in told
        assert "there is no scenario of POST /reports" in told
        assert "there is no scenario of handlers.resume" in told
        assert "there is no scenario of task matrix" not in told
        assert sorted(functions()) == ["handlers.avatar_uploads", "handlers.resume"]
        assert sorted(tasks()) == ["task erase", "task export", "task matrix", "task recount", "task snapshot"]
