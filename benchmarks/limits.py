"""One tenant's requests while another asks for ten times its rate: the p99 of its time in the handler, both ways.

    benchmarks/run.sh limits             a line
    benchmarks/run.sh limits --json      for programs

What is modelled: Lambda's instances are processes, each of which answers one request at a time. Two serve the tenant
that floods alone; the third serves both, so that the other's requests meet whatever the flood leaves in a process. The
flood is offered at a steady ten times the limit, a third to each instance, as reads of a report, against one DynamoDB
(dynoxide) for all. The others are ten tenants, each within its
rate. What counts is their time within the handler, not what it waits for an instance, of
which Lambda starts as many as it needs. All share this machine's processors, which Lambda's instances do not. Rounds
with and without the flood take turns; the figure is the ratio of the medians of their p99.
"""

import argparse
import json
import multiprocessing
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median, quantiles
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
_CALM_REQUESTS, _WARM_UP, _CALM_EVERY_SECONDS = 200, 10, 0.024
_FLOOD_EVERY_SECONDS = _INSTANCES / (RATE * TIMES)
"""In each instance."""

_CONTEXT = multiprocessing.get_context("fork")


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure one tenant beside another's flood.")
    parser.add_argument("--rounds", type=int, default=12, help="rounds with the flood, and as many without")
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
    with _deployed(engine) as (flood, calm):
        assert _CALM_EVERY_SECONDS * len(_CALM) > 1 / RATE
        ways: dict[str, list[float]] = {"alone": [], "beside": []}
        refused = 0
        for number in range(2 * rounds + 2):
            way = ("alone", "beside")[number % 2]
            p99, turned_away = _round(flood, calm, floods=way == "beside")
            if number >= 2:  # the first two warm everything up
                ways[way].append(p99)
                refused += turned_away
    alone, beside = median(ways["alone"]), median(ways["beside"])
    return {
        "alone_ms": alone * 1000,
        "beside_ms": beside * 1000,
        "ratio": beside / alone,
        "rounds": rounds,
        "requests": 2 * rounds * _CALM_REQUESTS,
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


def _round(flood_event: Any, calm_events: list[Any], *, floods: bool) -> tuple[float, int]:
    """The calm tenants' p99 in seconds, and how many of the flood's requests were refused."""
    seconds = (_CALM_REQUESTS + _WARM_UP) * _CALM_EVERY_SECONDS
    answers = _CONTEXT.Queue()
    flooding = [
        _CONTEXT.Process(target=_flood, args=(flood_event, seconds, answers))
        for _ in range(_INSTANCES - 1 if floods else 0)
    ]
    for process in flooding:
        process.start()
    both = _CONTEXT.Process(target=_serve_both, args=(flood_event if floods else None, calm_events, answers))
    both.start()
    refused, p99 = 0, 0.0
    for _ in range(len(flooding) + 1):
        answered = answers.get(timeout=120)
        if isinstance(answered, str):
            raise SystemExit(answered)
        found, turned_away = answered
        p99, refused = max(p99, found), refused + turned_away
    for process in (*flooding, both):
        process.join()
    return p99, refused


def _flood(event: Any, seconds: float, answers: Any) -> None:
    """A third of the flood, at a steady rate, a little longer than it is measured."""
    endpoint, _ = find_endpoint("GET", event["rawPath"])
    refused = _flood_until(endpoint, event, time.monotonic(), time.monotonic() + seconds + 0.5)[0]
    answers.put((0.0, refused))


def _flood_until(endpoint: Any, event: Any, due: float, end: float) -> tuple[int, float]:
    """How many were refused of the requests that were due before the end, and when the next is due."""
    refused = 0
    while due < end:
        time.sleep(max(0.0, due - time.monotonic()))
        refused += endpoint(event, Context())["statusCode"] == 429
        due = max(due + _FLOOD_EVERY_SECONDS, time.monotonic())  # what an instance cannot take, Lambda gives to another
    time.sleep(max(0.0, end - time.monotonic()))
    return refused, due


def _serve_both(flood_event: Any, calm_events: list[Any], answers: Any) -> None:
    """The instance that answers both: the flood's requests between those that are measured."""
    endpoint, _ = find_endpoint("GET", calm_events[0]["rawPath"])
    took: list[float] = []
    refused, due = 0, time.monotonic()
    for number in range(_CALM_REQUESTS + _WARM_UP):
        end = time.monotonic() + _CALM_EVERY_SECONDS
        if flood_event is None:
            time.sleep(_CALM_EVERY_SECONDS)
        else:
            turned_away, due = _flood_until(endpoint, flood_event, due, end)
            refused += turned_away
        started = time.perf_counter()
        answer = endpoint(calm_events[number % len(calm_events)], Context())
        took.append(time.perf_counter() - started)
        if answer["statusCode"] != 200:
            answers.put(f"a request of a calm tenant was answered with {answer['body']}")
            return
    answers.put((quantiles(took[_WARM_UP:], n=100)[98], refused))


if __name__ == "__main__":
    main()
