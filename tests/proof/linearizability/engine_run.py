"""Histories of clients that run at once, against a real engine, behind a proxy that loses answers.

Nothing decides the order here but the machine, so a seed repeats what is asked, not what happens. Times are those of
one clock, taken before a request and after its answer.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import botocore.endpoint
from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError

from shared.database import DatabaseManager, reports, repository
from tests.support.api import Answer, Api
from tests.support.engines import Engine, dynoxide_engine
from tests.support.lossy_proxy import LossyProxy, lossy_proxy

from ..outcome import Options
from .client import Client
from .history import Call, History, Report
from .report import CAP, Kind, Request
from .shape import CHURN, MIXED

_CLIENTS = 4
_REQUESTS = 6
_LOSS_CHANCE = 0.2
_LONGEST_PAUSE = 0.02
_WRITES = ("UpdateItem", "UpdateItem", "UpdateItem", "PutItem", "DeleteItem")


@dataclass
class _Processes:
    """A manager for each thread, as each would be a process of its own."""

    engine: Engine
    proxy: LossyProxy
    made: list[DatabaseManager] = field(default_factory=list)
    current: threading.local = field(default_factory=threading.local)

    def __post_init__(self) -> None:
        for _ in range(_CLIENTS):
            manager = self.engine.manager(self.proxy.endpoint)
            manager.client.meta.events.register("response-received", self._count)
            self.made.append(manager)

    def manager(self) -> DatabaseManager:
        return self.made[getattr(self.current, "number", 0)]

    def send(self, call: Call, ask: Callable[[], Answer]) -> Answer:
        self.current.number, self.current.call = call.client, call
        return ask()

    def _count(self, response_dict: dict[str, Any] | None, exception: Exception | None, **_: object) -> None:
        """Count the tries that may have been applied, though no answer arrived."""
        call: Call | None = getattr(self.current, "call", None)
        if call is not None and exception is not None:
            call.unanswered_tries += not isinstance(exception, ConnectTimeoutError | EndpointConnectionError)
            call.notes.append("answer lost")


def engine_runs(users: tuple[Api, Api], options: Options, count: int) -> Iterator[History]:
    """So many histories, one after the other."""
    with ExitStack() as stack:
        engine = stack.enter_context(dynoxide_engine())
        assert engine.endpoint is not None
        proxy = stack.enter_context(lossy_proxy(engine.endpoint))
        processes = _Processes(engine, proxy)
        quick = SimpleNamespace(sleep=lambda seconds: time.sleep(min(seconds, _LONGEST_PAUSE)))
        stack.enter_context(patch.object(repository, "default_manager", processes.manager))
        stack.enter_context(patch.object(reports, "MAX_FAVORITES", CAP))
        stack.enter_context(patch.object(botocore.endpoint, "time", quick))
        for number in range(count):
            yield _run(users, options.random("engine", number), processes, f"run-{number}")


def _run(users: tuple[Api, Api], source: random.Random, processes: _Processes, key: str) -> History:
    created = users[0].post("/reports", {"title": "t", "author": "a"}, headers={"Idempotency-Key": key})
    report = Report(key, created.json()["id"])
    users[0].delete(f"/reports/{report.id}")
    history = History([report], is_made_again=True)
    kinds = source.choice((MIXED, CHURN))

    def client(number: int) -> Client:
        own = random.Random(source.random())  # noqa: S311 - to be repeated, not to be secret
        return Client(number, own, history, users, time.monotonic_ns, processes.send)

    with ThreadPoolExecutor(_CLIENTS + 1) as pool:
        works = [pool.submit(client(number).work, _REQUESTS, kinds) for number in range(_CLIENTS)]
        while not all(work.done() for work in works):
            if source.random() < _LOSS_CHANCE:
                history.lost += processes.proxy.fired
                processes.proxy.lose(source.choice(_WRITES), times=source.choice((1, 1, 1, 3)))
            time.sleep(0.005)
        for work in works:
            work.result()
    history.lost += processes.proxy.fired
    processes.proxy.lose("", 0)
    client(_CLIENTS - 1).ask(report, Request(Kind.GET))
    users[0].delete(f"/reports/{report.id}")  # the next history's lists are to be of its own report
    return history
