"""Histories of clients on moto, in this process, in an order and at times that a seed decides."""

import itertools
import random
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from unittest.mock import patch

import boto3
from moto import mock_aws

from shared.database import DatabaseManager, reports, repository
from tests.support.api import Answer, Api
from tests.support.tables import create_tables

from .client import Client
from .clock import Clock, simulated
from .faults import SKEWED, draw
from .history import Call, History, Report
from .report import CAP, READS, Kind, Request
from .scheduler import Scheduler
from .shape import MOST_CLIENTS, Shape
from .transport import Asking, Died, Transport, through

_REPORT_KEYS = ("first", "second")


@dataclass
class Simulator:
    """Runs histories, each of which begins without reports.

    The clients' connections are made once: they take longer than a history.
    """

    apis: tuple[Api, Api]
    managers: list[DatabaseManager]
    ids: dict[str, str] = field(default_factory=dict)
    _number: threading.local = field(default_factory=threading.local)

    def run(self, source: random.Random, shape: Shape) -> History:
        """The history of this shape that `source` decides."""
        history = History([Report(key, self.ids[key]) for key in _REPORT_KEYS[: shape.reports]], shape.makes_again)
        clock = Clock()
        scheduler = Scheduler(source, clock, shape.longest_sleep)
        transport = Transport(scheduler, history.fired)
        times = itertools.count()

        def client(number: int) -> Client:
            own = random.Random(source.random())  # noqa: S311 - to be repeated, not to be secret
            send = _Sender(own, shape, clock, transport)
            return Client(number, own, history, self.apis, lambda: next(times), send)

        self._empty()
        with through(transport, self.managers), simulated(clock.now, scheduler.sleep):
            clients = [client(number) for number in range(shape.clients)]
            for requests, kinds in shape.phases():
                scheduler.run([self._as(worker, requests, kinds) for worker in clients])
                clock.pass_(shape.rest)
            scheduler.settle()
            self._read_all(client(shape.clients))
        return history

    def _as(self, client: Client, requests: int, kinds: Mapping[Kind, int]) -> Callable[[], None]:
        def work() -> None:
            self._number.value = client.number
            client.work(requests, kinds)

        return work

    def manager(self) -> DatabaseManager:
        """That of the process that the running thread stands for."""
        return self.managers[getattr(self._number, "value", 0)]

    def _empty(self) -> None:
        manager = self.managers[0]
        for report_id in self.ids.values():
            manager.call("delete_item", TableName=manager.settings.reports_table, Key={"id": {"S": report_id}})

    def _read_all(self, reader: Client) -> None:
        """What everything came to in the end."""
        for report in reader.history.reports:
            reader.ask(report, Request(Kind.GET))


@dataclass
class _Sender:
    """Sends a client's requests into the simulation, where faults await them."""

    source: random.Random
    shape: Shape
    clock: Clock
    transport: Transport

    def __call__(self, call: Call, ask: Callable[[], Answer]) -> Answer | None:
        self.clock.skew = self.source.choice(self.shape.skews)
        self.transport.fired[SKEWED] += bool(self.clock.skew) and call.request.kind not in READS
        self.transport.asking.current = Asking(call, draw(self.source, self.shape.fault_chance))
        try:
            return ask()
        except Died:
            return None
        finally:
            self.transport.asking.current = None


@contextmanager
def simulator(apis: tuple[Api, Api]) -> Iterator[Simulator]:
    """A simulator of clients that are these two users."""
    with ExitStack() as stack:
        stack.enter_context(mock_aws())
        made = Simulator(apis, [DatabaseManager() for _ in range(MOST_CLIENTS + 1)])
        stack.enter_context(patch.object(repository, "default_manager", made.manager))
        stack.enter_context(patch.object(reports, "MAX_FAVORITES", CAP))
        create_tables(boto3.client("dynamodb"))
        for key in _REPORT_KEYS:
            answer = apis[0].post("/reports", {"title": "t", "author": "a"}, headers={"Idempotency-Key": key})
            made.ids[key] = answer.json()["id"]
        yield made
