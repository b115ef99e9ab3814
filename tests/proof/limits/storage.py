"""A tenant never has more rows than allowed; and after a recount the counters are what is stored, to the byte."""

from typing import Any
from unittest.mock import patch

from shared.config import TenantLimits
from shared.database import DatabaseManager, DBReport, ReportRepository, limit_counters
from shared.database.attributes import from_item, to_item
from shared.database.content import bytes_to_store, content_bytes
from shared.limits import recount as recounting
from shared.limits.recount import recount
from shared.scope import Growth
from tests.support.engines import Engine

from ..outcome import Options, Outcome
from .processes import Instance, Tally, run

ROWS = 30
LIMITS = TenantLimits({"writes": 100_000}, rows=ROWS, bytes=ROWS * 200)
"""Writes are limited too, so that what is freed waits for the next call."""

_ROOM_ALONE = TenantLimits({}, rows=ROWS, bytes=ROWS * 200)
"""What is deleted is given back by a call of its own."""

_RECOUNT_EVERY = 15


def prove(options: Options, engine: Engine, outcome: Outcome) -> None:
    manager = engine.manager()
    for number in range(2 if options.is_quick else 12):
        tenant = f"stores-{number}"
        where = f"seed {options.seed}, storage of {tenant}"
        _count_anew(manager, tenant)
        tally = _churn(options, engine, tenant, _ROOM_ALONE if number % 2 else LIMITS)
        outcome.cases += tally.asked.total()
        outcome.faults += tally.faults
        outcome.violations += [f"{where}: {note}" for note in tally.notes]
        _judge(manager, tenant, outcome, where)
        _fill(engine, tenant, outcome, where)
    _prove_that_it_sees(options, engine, outcome)


def _churn(options: Options, engine: Engine, tenant: str, limits: TenantLimits) -> Tally:
    count, requests = (3, 40) if options.is_quick else (6, 150)
    return run(_creates_and_deletes(engine, tenant, requests), count, engine, limits, options, tenant, one_in=8)


def _creates_and_deletes(engine: Engine, tenant: str, requests: int) -> Any:
    """Now and then all is counted anew, while processes have yet to give back what was freed before."""

    def job(instance: Instance, options: Options, number: int, barrier: Any) -> None:
        source = options.random("limits", "churn", tenant, number)
        reports, mine = ReportRepository(instance.manager), list[str]()
        barrier.wait()
        for step in range(requests):
            if source.random() < 0.05:
                instance.tally.faults["process ended"] += 1
                instance.restart()
            if mine and source.random() < 0.4:
                gone = mine.pop(source.randrange(len(mine)))
                instance.request(tenant, Growth(), lambda gone=gone: reports.delete_report(gone, tenant))  # type: ignore[misc]
            else:
                _create(instance, reports, tenant, f"{tenant}-{number}-{step}", mine, "t" * source.randrange(1, 150))
            if step % 10 == 0:
                stored = reports.count_reports(tenant)
                if stored > ROWS:
                    instance.tally.notes.append(f"{stored} rows of {ROWS}")
            if step % _RECOUNT_EVERY == _RECOUNT_EVERY - 1:
                barrier.wait()
                if number == 0:
                    _count_anew(engine.manager(), tenant)
                barrier.wait()

    return job


def _create(
    instance: Instance, reports: ReportRepository, tenant: str, report_id: str, mine: list[str], title: str
) -> bool:
    report = DBReport(id=report_id, user_id=tenant, title=title, author="a")

    def create() -> None:
        reports.create_report(report)
        mine.append(report_id)

    return instance.request(tenant, Growth(1, bytes_to_store(report.model_dump())), create)


def _judge(manager: DatabaseManager, tenant: str, outcome: Outcome, where: str) -> None:
    stored, counted = _stored(manager, tenant), _counted(manager, tenant)
    if stored.rows > ROWS:
        outcome.violations.append(f"{where}: {stored.rows} rows of {ROWS}")
    if counted.rows < stored.rows or counted.bytes < stored.bytes:
        outcome.violations.append(f"{where}: {counted} is less than {stored}")
    _count_anew(manager, tenant)
    if _counted(manager, tenant) != stored:
        outcome.violations.append(f"{where}: counted anew {_counted(manager, tenant)}, there is {stored}")


def _fill(engine: Engine, tenant: str, outcome: Outcome, where: str) -> None:
    """Once it has been counted anew, all of the limit can be used, and no more."""
    instance = Instance(engine.manager(), LIMITS)
    reports = ReportRepository(instance.manager)
    for number in range(ROWS + 1):
        _create(instance, reports, tenant, f"{tenant}-filled-{number}", [], "t")
    outcome.cases += ROWS + 1
    if _stored(instance.manager, tenant).rows != ROWS:
        outcome.violations.append(f"{where}: filled up to {_stored(instance.manager, tenant).rows} rows of {ROWS}")


def _prove_that_it_sees(options: Options, engine: Engine, outcome: Outcome) -> None:
    with patch.object(limit_counters._Update, "_conditions", lambda self: []):
        tally = run(_creates_only("unheld"), 3, engine, LIMITS, options, "unheld")
    outcome.cases += tally.asked.total()
    if _stored(engine.manager(), "unheld").rows <= ROWS:
        outcome.violations.append(f"seed {options.seed}: storing without a condition was not caught")
    with patch.object(limit_counters._Update, "_conditions", _for_any_generation(limit_counters._Update._conditions)):
        manager = engine.manager()
        _frees_before_a_recount(manager, "twice")
    if _counted(manager, "twice").rows >= _stored(manager, "twice").rows:
        outcome.violations.append(f"seed {options.seed}: giving back after a recount was not caught")
    _frees_before_a_recount(manager, "once")
    outcome.cases += 8
    if _counted(manager, "once") != _stored(manager, "once"):
        outcome.violations.append(
            f"{_counted(manager, 'once')} after a recount, and there is {_stored(manager, 'once')}"
        )


def _for_any_generation(conditions: Any) -> Any:
    return lambda self: [found for found in conditions(self) if ":seen" not in found[1]]


def _frees_before_a_recount(manager: DatabaseManager, tenant: str) -> None:
    """What is deleted is given back by the request after the recount, which knows of it."""
    instance, reports = Instance(manager, LIMITS), ReportRepository(manager)
    mine: list[str] = []
    for number in range(2):
        _create(instance, reports, tenant, f"{tenant}-{number}", mine, "t")
    instance.request(tenant, Growth(), lambda: reports.delete_report(mine[0], tenant))
    _count_anew(manager, tenant)
    _create(instance, reports, tenant, f"{tenant}-after", mine, "t")


def _creates_only(tenant: str) -> Any:
    def job(instance: Instance, options: Options, number: int, barrier: Any) -> None:
        reports = ReportRepository(instance.manager)
        barrier.wait()
        for step in range(ROWS):
            _create(instance, reports, tenant, f"{tenant}-{number}-{step}", [], "t")

    return job


def _count_anew(manager: DatabaseManager, tenant: str) -> None:
    """At once, as nobody else is at work."""
    manager.call(
        "update_item",
        TableName=manager.settings.limits_table,
        Key=to_item({"user_id": tenant}),
        UpdateExpression="REMOVE recount_not_before",
    )
    with patch.object(recounting, "SETTLE_SECONDS", 0.0):
        objects: Any = None  # it reads none
        assert recount(objects, user_id=tenant, check=lambda: None, manager=manager)


def _stored(manager: DatabaseManager, tenant: str) -> Growth:
    """By a scan, which no request makes."""
    items: list[Any] = manager.client.scan(TableName=manager.settings.reports_table, ConsistentRead=True)["Items"]
    rows = [row for row in map(from_item, items) if row["user_id"] == tenant]
    return Growth(len(rows), sum(map(content_bytes, rows)))


def _counted(manager: DatabaseManager, tenant: str) -> Growth:
    key = to_item({"user_id": tenant})
    answer = manager.call("get_item", TableName=manager.settings.limits_table, Key=key, ConsistentRead=True)
    row = from_item(answer["Item"])
    return Growth(row["rows"], row["bytes"])
