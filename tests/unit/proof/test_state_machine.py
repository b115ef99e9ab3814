"""The machine of two tenants must itself be right: its model, its brute force, its faults."""

from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest

from shared.database import DatabaseManager, DBReport, ReportRepository
from shared.errors import OutcomeUnknown, TooManyRequests, Unavailable
from shared.models.filters import matches, parse_filter
from tests.proof.state_machine import brute_force
from tests.proof.state_machine.broken import VARIANTS
from tests.proof.state_machine.clock import Clock, followed
from tests.proof.state_machine.faults import BROKEN_OFF, LAG, OF_REQUESTS, Injector, Killed, LaggingIndex, Plan
from tests.proof.state_machine.filters import FILTERS
from tests.proof.state_machine.model import Report, Slot
from tests.proof.state_machine.surroundings import Machine
from tests.proof.state_machine.violation import Violation

PRODUCTS: tuple[dict[str, Any], ...] = (
    {"kind": "dog", "price": 3, "tags": ["new", "red"], "seller": {"rating": 4}},
    {"kind": "cat", "price": 5.25, "tags": [], "seller": {}},
    {"kind": "cat", "price": 8, "tags": ["old"], "seller": {"rating": 0}},
)


@pytest.mark.parametrize(("document", "meaning"), FILTERS)
def test_filters_mean_what_the_product_makes_of_them(document: dict[str, Any], meaning: Any) -> None:
    wanted = parse_filter(document)
    assert [matches(wanted, product) for product in PRODUCTS] == [bool(meaning(product)) for product in PRODUCTS]


SCORES = {"a": 0.9, "b": 0.5, "c": 0.5, "d": -1.0}


class TestBruteForce:
    @pytest.mark.parametrize("ids", ["abc", "ab", "abcd"])
    def test_the_best_are_found(self, ids: str) -> None:
        self.check(ids, len(ids))

    @pytest.mark.parametrize(
        ("ids", "top"), [("ac", 3), ("acb", 3), ("bac", 3), ("abd", 3), ("aab", 3), ("abe", 3), ("abcd", 3)]
    )
    def test_anything_else_is_told(self, ids: str, top: int) -> None:
        with pytest.raises(Violation):
            self.check(ids, top)

    def test_a_wrong_score_is_told(self) -> None:
        with pytest.raises(Violation):
            brute_force.require_best([{"product_id": "a", "score": 0.9001}], SCORES, 1, "a search")

    def check(self, ids: str, top: int) -> None:
        found = [{"product_id": key, "score": SCORES.get(key, 0.5)} for key in ids]
        brute_force.require_best(found, SCORES, top, "a search")


class TestSlot:
    def test_a_read_settles_what_was_unknown(self) -> None:
        before, after = Report(title="old", register=("k",)), Report(version=2, title="new")
        slot = Slot([before])
        slot.maybe(after)
        assert not slot.is_settled
        slot.observe(Report(title="old"), "a report")
        assert slot.value is before

    def test_what_was_never_written_is_told(self) -> None:
        slot: Slot[Report] = Slot()
        slot.maybe(Report(title="lost"))
        with pytest.raises(Violation, match="a report"):
            slot.observe(Report(title="another's"), "a report")
        with pytest.raises(Violation, match="more than one state"):
            _ = slot.value

    def test_a_row_keeps_its_last_four_keys(self) -> None:
        report = Report()
        for key in ("a", "b", None, "c", "d"):
            report = report.changed(key)
        assert (report.version, report.register) == (6, ("d", "c", "", "b"))


class TestFaults:
    @pytest.fixture(autouse=True)
    def clock(self) -> Iterator[Clock]:
        """Nothing waits, and all rows are written by one clock."""
        clock = Clock()
        with followed(clock):
            yield clock

    @pytest.fixture
    def fired(self) -> Counter[str]:
        return Counter()

    @pytest.fixture
    def injector(self, manager: DatabaseManager, fired: Counter[str]) -> Injector:
        made = Injector(fired)
        made.install(manager.client, in_process=True)
        return made

    @pytest.fixture
    def report(self, injector: Injector) -> DBReport:
        return ReportRepository.create_report(DBReport(user_id="alice", title="old"))

    @pytest.mark.parametrize(
        ("kind", "error", "title"),
        [
            ("throttled, one try", None, "new"),
            ("throttled, all tries", TooManyRequests, "old"),
            ("timed out before it was applied, one try", None, "new"),
            ("timed out before it was applied, all tries", OutcomeUnknown, "old"),
            ("no connection", Unavailable, "old"),
            ("answer lost, one try", None, "new"),
            ("answers lost, all tries", OutcomeUnknown, "new"),
        ],
    )
    def test_each_kind_does_what_it_says(
        self, kind: str, error: type[Exception] | None, title: str, injector: Injector, report: DBReport
    ) -> None:
        injector.arm(Plan(kind))
        with pytest.raises(error) if error else nullcontext():
            ReportRepository.update_report(report.id, "alice", {"title": "new"})
        assert injector.disarm() == injector.fired[kind] == (1 if error is None else 3)
        found = ReportRepository.get_report(report.id, "alice")
        assert (found.title, found.version) == (title, 2 if title == "new" else 1)
        assert kind in OF_REQUESTS

    def test_the_worker_ends_at_a_call(self, injector: Injector, report: DBReport) -> None:
        injector.arm(Plan(BROKEN_OFF, skip=1))
        ReportRepository.get_report(report.id, "alice")
        with pytest.raises(Killed):
            ReportRepository.get_report(report.id, "alice")

    def test_another_writer_is_let_in_once(self, injector: Injector, report: DBReport) -> None:
        injector.between = lambda: ReportRepository.add_favorite(report.id, "alice", "b")
        found = ReportRepository.add_favorite(report.id, "alice", "a")
        assert (found.favorites, found.version) == ({"a", "b"}, 3)

    def test_an_index_that_lags_shows_what_was(
        self, manager: DatabaseManager, clock: Clock, fired: Counter[str], report: DBReport
    ) -> None:
        index = LaggingIndex(fired)
        index.install(manager.client)
        table = manager.settings.reports_table
        index.begin(clock.text(), manager.client.scan(TableName=table)["Items"])
        ReportRepository.update_report(report.id, "alice", {"title": "new"})
        ReportRepository.create_report(DBReport(user_id="alice", title="later"))
        assert [row.title for row in ReportRepository.list_reports("alice").reports] == ["old"]
        index.end()
        assert [row.title for row in ReportRepository.list_reports("alice").reports] == ["later", "new"]
        assert fired[LAG] == 2


def test_every_broken_variant_is_of_rules_that_there_are() -> None:
    names = {rule.function.__name__ for rule in Machine.setup_state().rules}
    assert {name for variant in VARIANTS for name in variant.rules} <= names
