"""Single puts and batches when AWS throttles, fails or loses answers, and when somebody else writes in between."""

from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from scripts.migration.batches import Batches
from scripts.migration.calls import Caller, GaveUp
from scripts.migration.capacity import AdaptiveConcurrency, CapacityLimit
from scripts.migration.failure import MigrationError
from scripts.migration.journal import Outcome
from scripts.migration.puts import ConditionalPuts
from scripts.migration.sources.source import SourceRow
from scripts.migration.target import Target
from scripts.migration.target_rows import TargetRow
from scripts.migration.transform import Transformer
from shared.database import ReportRepository
from shared.database.attempts import current_attempts
from tests.support.faults import answering, faulty, raising, recorded
from tests.support.migrating import mapping, note, table_rows

LOST = raising(ReadTimeoutError(endpoint_url="http://127.0.0.1"))


def row(number: int = 1, **fields: Any) -> TargetRow:
    made = mapping()
    return Transformer("notes", made.collections["notes"], made).transform(SourceRow("here", note(number, **fields)))


@pytest.fixture
def caller() -> Caller:
    return Caller(CapacityLimit(None), AdaptiveConcurrency(4), sleep=lambda seconds: None, tries=4)


@pytest.fixture
def puts(target: Target, caller: Caller) -> ConditionalPuts:
    return ConditionalPuts(target.writer, target.reader, caller)


@pytest.fixture
def batches(target: Target, puts: ConditionalPuts, caller: Caller) -> Batches:
    return Batches(target.writer, puts, caller)


@pytest.mark.parametrize(
    "fault",
    [
        answering(400, "ProvisionedThroughputExceededException"),
        answering(400, "ThrottlingException"),
        answering(500, "InternalServerError"),
        answering(503, "ServiceUnavailable"),
        LOST,
    ],
)
def test_a_put_goes_through_in_the_end(fault: Any, target: Target, puts: ConditionalPuts) -> None:
    with faulty(target.writer, fault, times=3) as fired:
        assert puts.put(row()) is Outcome.WRITTEN
    assert fired.fired == 3
    assert len(table_rows(target, "reports")) == 1


def test_a_put_that_never_goes_through_is_given_up(target: Target, puts: ConditionalPuts) -> None:
    with faulty(target.writer, answering(500, "InternalServerError")) as fired, pytest.raises(GaveUp):
        puts.put(row())
    assert fired.fired == 4


def test_what_no_further_try_would_change_stops_the_run(target: Target, puts: ConditionalPuts) -> None:
    fault = answering(400, "AccessDeniedException", message="no")
    with faulty(target.writer, fault) as fired, pytest.raises(MigrationError, match="do not permit PutItem"):
        puts.put(row())
    assert fired.fired == 1


def test_a_put_whose_answer_got_lost_counts_as_written(
    target: Target, puts: ConditionalPuts, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = losing(target, monkeypatch, "put_item", 1)
    assert puts.put(row()) is Outcome.WRITTEN
    assert lost == ["put_item"]


def test_a_put_that_was_applied_late_after_another_changed_the_row_leaves_the_row_alone(
    target: Target, puts: ConditionalPuts, monkeypatch: pytest.MonkeyPatch
) -> None:
    losing(
        target, monkeypatch, "put_item", 1, lambda: ReportRepository.update_report("note-1", "user-1", {"title": "M"})
    )
    assert puts.put(row()) is Outcome.KEPT
    assert ReportRepository.get_report("note-1", "user-1").title == "M"


def test_a_row_that_somebody_changes_just_before_it_is_replaced_stays_theirs(
    target: Target, puts: ConditionalPuts, monkeypatch: pytest.MonkeyPatch
) -> None:
    puts.put(row())
    better = row(author="Ann")
    seen = puts.existing([better])[better.key_bytes]
    ReportRepository.update_report("note-1", "user-1", {"title": "Mine"})
    assert puts.put_over(better, seen, may_replace=True) is Outcome.KEPT
    assert ReportRepository.get_report("note-1", "user-1").author == ""


def test_a_replacement_whose_answer_got_lost_counts_as_one(
    target: Target, puts: ConditionalPuts, monkeypatch: pytest.MonkeyPatch
) -> None:
    puts.put(row())
    better = row(author="Ann")
    seen = puts.existing([better])[better.key_bytes]
    losing(target, monkeypatch, "put_item", 1)
    assert puts.put_over(better, seen, may_replace=True) is Outcome.REPLACED
    assert ReportRepository.get_report("note-1", "user-1").author == "Ann"


def test_a_row_that_another_migration_of_the_same_name_wrote_stays(puts: ConditionalPuts) -> None:
    puts.put(row())
    other = row(author="of another old backend")
    assert puts.put(other) is Outcome.KEPT
    seen = puts.existing([other])[other.key_bytes]
    assert puts.put_over(other, seen, may_replace=False) is Outcome.KEPT
    assert ReportRepository.get_report("note-1", "user-1").author == ""


def test_an_older_state_never_replaces_a_newer_one(puts: ConditionalPuts) -> None:
    puts.put(row(updated="2023-01-01T00:00:00Z"))
    older = row(author="Ann", updated="2022-12-31T23:59:59Z")
    seen = puts.existing([older])[older.key_bytes]
    assert puts.put_over(older, seen, may_replace=True) is Outcome.KEPT


def test_rows_that_are_never_read_are_given_up(
    target: Target, puts: ConditionalPuts, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def unprocessed(operation: str, **parameters: Any) -> Any:
        asked.append(operation)
        return {"Responses": {}, "UnprocessedKeys": parameters["RequestItems"]}

    monkeypatch.setattr(target.reader, "call", unprocessed)
    with pytest.raises(GaveUp):
        puts.existing([row()])
    assert len(asked) == 12


TOO_LARGE = answering(400, "ValidationException", message="Item size has exceeded the maximum allowed size")


def test_an_item_that_dynamodb_finds_too_large_is_named(target: Target, puts: ConditionalPuts) -> None:
    with faulty(target.writer, TOO_LARGE), pytest.raises(MigrationError, match="The row note-1 of reports is larger"):
        puts.put(row())


def test_an_item_of_a_batch_that_dynamodb_finds_too_large_is_named(target: Target, batches: Batches) -> None:
    with faulty(target.writer, TOO_LARGE, times=1) as fired, recorded(target.writer) as sent:
        assert outcomes_of(batches, target, 3) == [Outcome.WRITTEN] * 3
    assert fired.fired == 1
    assert sent == ["BatchWriteItem", *["PutItem"] * 3]


def outcomes_of(batches: Batches, target: Target, count: int) -> list[Outcome | None]:
    """The outcomes of a batch of so many rows, in their order."""
    rows = [row(number) for number in range(count)]
    found = {written.key_bytes: outcome for written, outcome in batches.write(target.tables["reports"], rows)}
    return [found[one.key_bytes] for one in rows]


def test_what_is_there_is_read_in_as_many_calls_as_it_takes(
    target: Target, puts: ConditionalPuts, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [row(number) for number in range(10)]
    for number in range(0, 10, 2):
        puts.put(rows[number])
    monkeypatch.setattr(target.reader, "call", three_at_once(target.reader.call))
    found = puts.existing(rows)
    assert found.keys() == {rows[number].key_bytes for number in range(0, 10, 2)}


def three_at_once(call: Any) -> Any:
    """DynamoDB answers for three keys, and leaves the others unprocessed."""

    def limited(operation: str, **parameters: Any) -> Any:
        ((table, wanted),) = parameters["RequestItems"].items()
        answer = call(operation, RequestItems={table: {**wanted, "Keys": wanted["Keys"][:3]}})
        rest = wanted["Keys"][3:]
        return {**answer, "UnprocessedKeys": {table: {**wanted, "Keys": rest}} if rest else {}}

    return limited


def test_a_batch_is_one_call(target: Target, batches: Batches) -> None:
    with recorded(target.writer) as sent:
        outcomes = outcomes_of(batches, target, 25)
    assert sent == ["BatchWriteItem"]
    assert outcomes == [Outcome.WRITTEN] * 25
    assert len(table_rows(target, "reports")) == 25


def test_what_a_batch_leaves_unprocessed_is_sent_again(
    target: Target, batches: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = leaving_unprocessed(target, monkeypatch, keep=4)
    outcomes = outcomes_of(batches, target, 10)
    assert sizes == [10, 6, 2]
    assert outcomes == [Outcome.WRITTEN] * 10
    assert (len(table_rows(target, "reports")), batches.unprocessed) == (10, 8)


def test_what_stays_unprocessed_is_reported_row_by_row(
    target: Target, batches: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = leaving_unprocessed(target, monkeypatch, keep=4, calls_that_keep=1)
    outcomes = outcomes_of(batches, target, 10)
    assert (outcomes.count(Outcome.WRITTEN), outcomes.count(None)) == (4, 6)
    assert len(sizes) == 12


@pytest.mark.parametrize("code", ["ThrottlingException", "ProvisionedThroughputExceededException"])
def test_a_throttled_batch_is_sent_again_as_a_batch(code: str, target: Target, batches: Batches) -> None:
    with faulty(target.writer, answering(400, code), times=2) as fired, recorded(target.writer) as sent:
        assert outcomes_of(batches, target, 5) == [Outcome.WRITTEN] * 5
    assert fired.fired == 2
    assert set(sent) == {"BatchWriteItem"}


@pytest.mark.parametrize("fault", [answering(500, "InternalServerError"), LOST])
def test_a_batch_without_an_answer_goes_on_as_puts_on_a_condition(fault: Any, target: Target, batches: Batches) -> None:
    with faulty(target.writer, fault, times=1) as fired, recorded(target.writer) as sent:
        assert outcomes_of(batches, target, 5) == [Outcome.WRITTEN] * 5
    assert fired.fired == 1
    assert sent == ["BatchWriteItem", *["PutItem"] * 5]


def test_a_batch_that_was_applied_though_its_answer_got_lost_overwrites_nothing_since(
    target: Target, batches: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    losing(target, monkeypatch, "batch_write_item", 1,
           lambda: ReportRepository.update_report("note-1", "user-1", {"title": "Mine"}))  # fmt: skip
    outcomes = outcomes_of(batches, target, 3)
    assert outcomes == [Outcome.WRITTEN, Outcome.KEPT, Outcome.WRITTEN]
    assert ReportRepository.get_report("note-1", "user-1").title == "Mine"


def losing(
    target: Target, monkeypatch: pytest.MonkeyPatch, operation: str, times: int, between: Any = lambda: None
) -> list[str]:
    """The first calls of an operation are applied, `between` runs, and the answers get lost."""
    lost: list[str] = []
    client: Any = target.writer.client
    make = getattr(client, operation)

    def losing_call(**parameters: Any) -> Any:
        answer = make(**parameters)
        if len(lost) < times:
            lost.append(operation)
            between()
            attempts = current_attempts.get()
            assert attempts is not None
            attempts.ambiguous += 1
            raise ReadTimeoutError(endpoint_url="http://127.0.0.1")
        return answer

    monkeypatch.setattr(client, operation, losing_call)
    return lost


def leaving_unprocessed(
    target: Target, monkeypatch: pytest.MonkeyPatch, keep: int, calls_that_keep: int = 100
) -> list[int]:
    """Batches of which DynamoDB takes the first `keep` items; the sizes of all."""
    sizes: list[int] = []
    client: Any = target.writer.client
    make = client.batch_write_item

    def limited(RequestItems: Any, **parameters: Any) -> Any:
        ((table, requests),) = RequestItems.items()
        sizes.append(len(requests))
        taken = requests[:keep] if len(sizes) <= calls_that_keep else []
        answer = make(RequestItems={table: taken}, **parameters) if taken else {}
        rest = requests[len(taken) :]
        return {**answer, "UnprocessedItems": {table: rest} if rest else {}}

    monkeypatch.setattr(client, "batch_write_item", limited)
    return sizes
