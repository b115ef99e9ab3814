"""A tenant at many times its rate: its refused requests cost no AWS call, and another's are what they were."""

import json
import os
import subprocess
import sys
from pathlib import Path

from shared.config import TenantLimits
from shared.scope import Growth
from tests.support.engines import Engine
from tests.support.faults import recorded

from ..outcome import Outcome
from .processes import Instance

_ROOT = Path(__file__).parents[3]
MOST = 1.2
"""How many times its p99 another tenant's may be beside the flood."""

_QUOTA = 10


def count(engine: Engine, outcome: Outcome) -> None:
    """Calls, not times: twenty times the quota of one, and a request of the other in between."""
    instance = Instance(engine.manager(), TenantLimits({"writes": _QUOTA}))
    with recorded(instance.manager) as alone:
        instance.request("calm-before", Growth())
    calls: dict[str, list[str]] = {"flooding": [], "calm": []}
    for _ in range(20 * _QUOTA):
        with recorded(instance.manager) as asked:
            instance.request("flooding", Growth())
        calls["flooding"] += asked
    with recorded(instance.manager) as asked:
        instance.request("calm", Growth())
    calls["calm"] = asked
    outcome.cases += 20 * _QUOTA + 2
    if len(calls["flooding"]) > _QUOTA:
        outcome.violations.append(f"a flood of {20 * _QUOTA} made {len(calls['flooding'])} calls for {_QUOTA} let in")
    if calls["calm"] != alone:
        outcome.violations.append(f"beside a flood a request made the calls {calls['calm']}, alone {alone}")
    refused = 20 * _QUOTA - len(calls["flooding"])
    outcome.figures["AWS calls of refused requests"] = f"{len(calls['flooding']) - _QUOTA} for {refused}"
    _count_for_room(engine, outcome)


def _count_for_room(engine: Engine, outcome: Outcome) -> None:
    """The flood of a tenant for whom there is no room, in requests that need less and less."""
    instance = Instance(engine.manager(), TenantLimits({"writes": _QUOTA}, bytes=1000))
    instance.request("full", Growth(1, 900))
    asked = 20 * _QUOTA
    with recorded(instance.manager) as calls:
        admitted = sum(instance.request("full", Growth(1, 900 - number)) for number in range(asked))
    outcome.cases += asked
    if admitted or len(calls) > _QUOTA:
        outcome.violations.append(f"a flood of {asked} without room made {len(calls)} calls, {admitted} were let in")
    outcome.figures["AWS calls of requests without room"] = f"{len(calls)} for {asked}"


def time(outcome: Outcome) -> None:
    """The benchmark's figure, and whether it is above what is allowed."""
    ended = subprocess.run(
        [sys.executable, "-m", "benchmarks.limits", "--json"],
        cwd=_ROOT,
        env={**os.environ, "PYTHONPATH": f"{_ROOT}/src:{_ROOT}"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found = json.loads(ended.stdout)
    outcome.cases += found["requests"]
    outcome.figures["p99 beside a flood, against alone"] = (
        f"{found['ratio']:.2f} ({found['beside_ms']:.2f} ms, {found['alone_ms']:.2f} ms; {found['rounds']} rounds)"
    )
    if found["ratio"] > MOST:
        outcome.violations.append(
            f"another tenant's p99 is {found['ratio']:.2f} times what it is alone (at most {MOST})"
        )
