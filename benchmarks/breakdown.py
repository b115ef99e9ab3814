"""Where K9's own time goes: each part of the request timed where it runs, between all the others."""

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from inspect import ismethod
from statistics import median
from typing import Any

from benchmarks.stage import Context, divert_stdout, load_handler, set_up

REQUESTS = 4000
PARTS = {
    "token": ("shared.http:authenticate",),
    "event and arguments": ("shared.events:Request.of", "shared.binding:Binder.arguments"),
    "GetItem in botocore": ("shared.database.manager:DatabaseManager.call",),
    "attribute values to Python": ("shared.database.repository:from_item",),
    "entity and response model": (
        "shared.database.reports:_to_report",
        "shared.models.report:Report.of",
        "shared.models.report:Report.model_dump",
    ),
    "JSON text": ("shared.models.json_text:dumps",),
    "log line and metrics": ("shared.http:log_request",),
}
WHOLE = "whole"


@dataclass
class Stopwatch:
    """Nanoseconds of one request, by part. No part calls another, so none is counted twice."""

    parts: dict[str, int] = field(default_factory=dict)

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            started = time.perf_counter_ns()
            try:
                return function(*args, **kwargs)
            finally:
                self.parts[part] = self.parts.get(part, 0) + time.perf_counter_ns() - started

        return run

    def lap(self) -> dict[str, int]:
        parts, self.parts = self.parts, {}
        return parts


def run(scene_path: str) -> None:
    """Write the microseconds of each part, and of the whole request, to stdout as JSON."""
    results = divert_stdout()
    event = set_up(scene_path)
    watch = Stopwatch()
    handler = watch.timed(WHOLE, partial(load_handler("k9"), event, Context()))
    for part, places in PARTS.items():
        for place in places:
            _watch(watch, part, place)
    laps = [_lap(watch, handler) for _ in range(REQUESTS)]
    taken = {part: median(lap[part] for lap in laps) / 1000 for part in (WHOLE, *PARTS)}
    os.write(results, json.dumps(taken).encode())


def render(taken: Mapping[str, float]) -> str:
    parts = {name: spent for name, spent in taken.items() if name != WHOLE}
    parts["all the rest"] = taken[WHOLE] - sum(parts.values())
    lines = [f"  {name:<30}{spent:>6.0f} us{spent / taken[WHOLE]:>7.0%}" for name, spent in parts.items()]
    return "\n".join([f"\nWhere K9's {taken[WHOLE]:.0f} us go (wall time of a request, median):", *lines])


def _lap(watch: Stopwatch, handler: Callable[[], Any]) -> dict[str, int]:
    handler()
    return watch.lap()


def _watch(watch: Stopwatch, part: str, place: str) -> None:
    module, _, path = place.partition(":")
    *holders, name = path.split(".")
    holder: Any = import_module(module)
    for step in holders:
        holder = getattr(holder, step)
    function = getattr(holder, name)
    timed = watch.timed(part, function)
    # A class method is already bound to its class; what replaces it must not be bound once more.
    setattr(holder, name, staticmethod(timed) if ismethod(function) else timed)
