"""One tenant's requests while another asks for ten times its rate: the p99 of its time in the handler, both ways.

    benchmarks/run.sh limits             a line
    benchmarks/run.sh limits --json      for programs

What is modelled: Lambda's instances are processes, each of which answers one request at a time. Two serve the tenant
that floods alone; the third serves all, so that the others' requests meet whatever the flood leaves in a process. The
flood is offered at a steady ten times the limit, a third to each instance, as reads of a report, against one DynamoDB
(dynoxide) for all. The others are ten tenants, each within its rate. What counts is their time within the handler:
not what they wait for an instance, of which Lambda starts as many as it needs, nor what the process waits for a
processor (Linux's run delay, /proc/thread-self/schedstat), as Lambda's instances share none. For the same reason the
flood's own instances have the lowest priority. What slows DynamoDB does count, though it is one process here: a machine
that is busy otherwise makes the figure worse than it is. The flood is there in every second second, so that whatever
else the machine does slows both alike; the figure is the p99 of all requests in seconds with it, over that of all
others.
"""

import argparse
import json
import multiprocessing
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from statistics import quantiles
from typing import Any
from unittest.mock import patch

from shared.database import DBReport, ReportRepository
from shared.database.manager import default_manager
from shared.telemetry import get_logger
from tests.support.api import Api, Context, find_endpoint
from tests.support.engines import Engine, dynoxide_engine
from tests.support.environment import AWS_IDENTITY
from tests.support.tokens import TokenFactory

RATE, TIMES = 5, 10
"""Requests a second that a tenant may make, and how many times that the flood is."""

_INSTANCES = 3
_CALM = tuple(f"calm-tenant-{number}" for number in range(10))
"""In turn, so that each keeps within its rate."""

_FLOODING = "flooding-tenant"
_CALM_EVERY_SECONDS = 0.024
_SPAN_SECONDS = 1.0
"""The flood is there in every second span."""

_FLOOD_EVERY_SECONDS = _INSTANCES / (RATE * TIMES)
"""In each instance."""

_SCHEDULER = Path("/proc/thread-self/schedstat")
_CONTEXT = multiprocessing.get_context("fork")


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure one tenant beside another's flood.")
    parser.add_argument("--rounds", type=int, default=80, help="seconds with the flood, and as many without")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    os.environ.update(AWS_IDENTITY)
    with dynoxide_engine() as engine:
        found = _measure(engine, options.rounds)
    if options.json:
        print(json.dumps(found))
    else:
        print("beside the flood {beside_ms:.2f} ms, alone {alone_ms:.2f} ms: {ratio:.2f} times".format(**found))


def _measure(engine: Engine, rounds: int) -> dict[str, Any]:
    assert _CALM_EVERY_SECONDS * len(_CALM) > 1 / RATE
    with _deployed(engine) as (flood, calm):
        ways, refused = _run(flood, calm, rounds)
    alone, beside = (quantiles(took, n=100)[98] for took in ways)
    return {
        "alone_ms": alone * 1000,
        "beside_ms": beside * 1000,
        "ratio": beside / alone,
        "rounds": rounds,
        "requests": sum(map(len, ways)),
        "refused": refused,
    }


@contextmanager
def _deployed(engine: Engine) -> Iterator[tuple[Any, list[Any]]]:
    """The handlers over the engine, with limits that both tenants have; the events of all, one report each."""
    variables = {**engine.settings(engine.endpoint).environ, "LIMIT_READS": str(RATE)}
    factory = TokenFactory()
    verifier = factory.verifier("id")
    with patch.dict(os.environ, variables), patch("shared.auth.get_verifier", lambda: verifier):
        get_logger().setLevel("CRITICAL")
        events = []
        for user in (_FLOODING, *_CALM):
            report = ReportRepository.create_report(DBReport(user_id=user, title="T"))
            api = Api.as_user(user, factory)
            events.append(api.event("GET", f"/reports/{report.id}"))
        default_manager.cache_clear()  # each process makes connections of its own
        yield events[0], events[1:]


def _run(flood_event: Any, calm_events: list[Any], rounds: int) -> tuple[list[list[float]], int]:
    """How long each request of the calm tenants took, alone and beside the flood, and how much of that was refused."""
    answers = _CONTEXT.Queue()
    start = time.monotonic() + 2 * _SPAN_SECONDS  # what comes before warms up
    clock = _Spans(start, start + 2 * rounds * _SPAN_SECONDS)
    processes = [_CONTEXT.Process(target=_flood, args=(flood_event, clock, answers)) for _ in range(_INSTANCES - 1)]
    processes.append(_CONTEXT.Process(target=_serve_all, args=(flood_event, calm_events, clock, answers)))
    for process in processes:
        process.start()
    ways: list[list[float]] = [[], []]
    refused = 0
    for _ in processes:
        answered = answers.get(timeout=2 * rounds * _SPAN_SECONDS + 60)
        if isinstance(answered, str):
            raise SystemExit(answered)
        ways, refused = [known + took for known, took in zip(ways, answered[0], strict=True)], refused + answered[1]
    for process in processes:
        process.join()
    return ways, refused


@dataclass(frozen=True)
class _Spans:
    """When the flood is there; `time.monotonic()` is one for all processes of a machine."""

    start: float
    end: float

    def floods(self) -> bool:
        return int((time.monotonic() - self.start) // _SPAN_SECONDS) % 2 == 1

    def is_warm(self) -> bool:
        return time.monotonic() >= self.start

    def is_over(self) -> bool:
        return time.monotonic() >= self.end


def _flood(event: Any, clock: _Spans, answers: Any) -> None:
    """A third of the flood, in a process that takes no processor from the others, as another instance would not."""
    os.nice(19)
    endpoint, _ = find_endpoint("GET", event["rawPath"])
    refused = 0
    while not clock.is_over():
        if clock.floods():
            refused += endpoint(event, Context())["statusCode"] == 429
        time.sleep(_FLOOD_EVERY_SECONDS)
    answers.put(([[], []], refused))


def _running_seconds() -> float:
    """A clock that stands still while this thread is kept from a processor by others."""
    delay = int(_SCHEDULER.read_text(encoding="ascii").split()[1])
    return time.perf_counter() - delay / 1e9


def _serve_all(flood_event: Any, calm_events: list[Any], clock: _Spans, answers: Any) -> None:
    """The instance that answers all: a third of the flood between the requests that are measured."""
    endpoint, _ = find_endpoint("GET", calm_events[0]["rawPath"])
    ways: list[list[float]] = [[], []]
    refused, next_flood = 0, 0.0
    for calm_event in cycle(calm_events):
        if clock.is_over():
            break
        time.sleep(_CALM_EVERY_SECONDS)
        if clock.floods() and time.monotonic() >= next_flood:
            refused += endpoint(flood_event, Context())["statusCode"] == 429
            next_flood = time.monotonic() + _FLOOD_EVERY_SECONDS
            time.sleep(_CALM_EVERY_SECONDS / 4)  # a request begins in a process that waits, as all others do
        floods, started = clock.floods(), _running_seconds()
        answer = endpoint(calm_event, Context())
        took = _running_seconds() - started
        if answer["statusCode"] != 200:
            answers.put(f"a request of a calm tenant was answered with {answer['body']}")
            return
        if clock.is_warm():
            ways[floods].append(took)
    answers.put((ways, refused))


if __name__ == "__main__":
    main()
