"""In no window are more requests let in than its quota, and no fewer than were asked, up to it."""

from typing import Any
from unittest.mock import patch

from shared.config import TenantLimits
from shared.database import limit_counters
from shared.database.attributes import from_item, to_item
from shared.database.limit_counters import LimitCounters, OverLimit, Use, Used, count_name
from shared.scope import Growth
from tests.support.engines import Engine

from ..outcome import Options, Outcome
from .processes import Instance, Tally, run

QUOTA = 40
LIMITS = TenantLimits({"writes": QUOTA})
_SHARE = 24
"""Requests of each process in each window: two of them ask for more than the quota, one for less."""


def prove(options: Options, engine: Engine, outcome: Outcome) -> None:
    count, windows = (3, 4) if options.is_quick else (6, 40)
    for one_in in (0, 6):
        tally = run(_hammer(f"all-{one_in}", windows), count, engine, LIMITS, options, "rates", one_in, one_in=one_in)
        _judge(tally, outcome, f"seed {options.seed}, rates, one fault in {one_in}")
        if not one_in:
            _compare(tally, outcome, f"seed {options.seed}, rates without faults")
    _prove_that_it_sees(options, engine, outcome)


def _hammer(tenant: str, windows: int) -> Any:
    def job(instance: Instance, options: Options, number: int, barrier: Any) -> None:
        for window in range(windows):
            barrier.wait()
            instance.window = 1000 + window * (1 if window % 3 else 7)
            if options.random("limits", tenant, number, window).random() < 0.25:
                instance.tally.faults["process ended"] += 1
                instance.restart()
            # In every fourth window less is asked for than there is.
            for _ in range(_SHARE // 4 if window % 4 == 3 else _SHARE):
                instance.request(tenant, Growth())

    return job


def _judge(tally: Tally, outcome: Outcome, where: str) -> None:
    outcome.cases += tally.asked.total()
    outcome.faults += tally.faults
    outcome.violations += [f"{where}: {note}" for note in tally.notes]
    for window, admitted in sorted(tally.admitted.items()):
        if admitted > QUOTA:
            outcome.violations.append(f"{where}: {admitted} of {QUOTA} were let in in window {window}")
    failures = sum(tally.faults[kind] for kind in ("throttled", "not reached", "answer lost"))
    if tally.uncounted.total() > failures:
        outcome.violations.append(f"{where}: {tally.uncounted.total()} uncounted, for {failures} faults")


def _compare(tally: Tally, outcome: Outcome, where: str) -> None:
    """Without faults the count is exact."""
    for window, asked in sorted(tally.asked.items()):
        if tally.admitted[window] < min(asked, QUOTA):
            outcome.violations.append(f"{where}: {tally.admitted[window]} of {asked} let in in window {window}")


def _prove_that_it_sees(options: Options, engine: Engine, outcome: Outcome) -> None:
    """Two wrong ways to count must let too many in."""
    for name, breakage in (("no condition", _without_conditions()), ("read, then write", _read_then_write())):
        with breakage:
            tally = run(_hammer(name.replace(" ", "-"), 2), 3, engine, LIMITS, options, "rates", name)
        outcome.cases += tally.asked.total()
        if all(admitted <= QUOTA for admitted in tally.admitted.values()):
            outcome.violations.append(f"seed {options.seed}: counting with {name!r} was not caught")


def _without_conditions() -> Any:
    return patch.object(limit_counters._Update, "_conditions", lambda self: [])


def _read_then_write() -> Any:
    def use(self: LimitCounters, use: Use, limits: TenantLimits) -> Used:
        key = to_item({"user_id": use.user_id})
        answer = self._manager.call("get_item", TableName=self._table, Key=key, ConsistentRead=True)
        row = from_item(answer.get("Item", key))
        assert use.route_class is not None
        name = count_name(use.route_class, use.window)
        if row.get(name, 0) >= limits.quotas[use.route_class]:
            raise OverLimit(Used(row))
        row[name] = row.get(name, 0) + 1
        self._manager.call("put_item", TableName=self._table, Item=to_item(row))
        return Used(row)

    return patch.object(LimitCounters, "use", use)
