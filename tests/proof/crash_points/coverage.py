"""Everything that makes AWS calls in production: each route, each task of the worker, each other function."""

import pkgutil
from collections.abc import Iterable, Iterator
from importlib import import_module

import handlers
from handlers import worker
from shared.http import Endpoint
from tests.support.api import all_endpoints

from .scenario import Scenario


def uncovered(scenarios: Iterable[Scenario]) -> list[str]:
    """What there is no scenario of."""
    covered = {scenario.covers for scenario in scenarios}
    return [f"there is no scenario of {name}" for name in (*routes(), *tasks(), *functions()) if name not in covered]


def routes() -> list[str]:
    return [f"{method} {path}" for method, path in all_endpoints()]


def tasks() -> list[str]:
    return [f"task {name}" for name in worker.tasks()]


def functions() -> Iterator[str]:
    """Functions without a route, but for the worker, whose tasks are listed."""
    for module in pkgutil.iter_modules(handlers.__path__, "handlers."):
        handler = getattr(import_module(module.name), "handler", None)
        if handler is not None and not isinstance(handler, Endpoint) and handler is not worker.handler:
            yield module.name
