"""A world in which processes die: the product's own handlers, an engine, a clock, a client who repeats its requests,
Lambda, which repeats its events, and the schedule.
"""

import json
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from io import BytesIO
from typing import Any
from unittest.mock import patch

from botocore.awsrequest import AWSPreparedRequest, AWSResponse

from handlers import resume, worker
from shared import process
from shared.config import Settings
from shared.database import client as clients
from shared.similarity.objects import _forgive_throttles
from tests.support.api import Answer, Api
from tests.support.environment import function_environment
from tests.support.tokens import TokenFactory

from .answers import Seen, seen
from .clock import Clock, ruling
from .deaths import Calls, Died, Process
from .engine import MotoEngine, Saved, moto_engine
from .small import small_sizes

USER = "somebody"
KEY = {"Idempotency-Key": "the-same-key"}
_WAITS = (61, 121)
"""Seconds after which Lambda repeats an asynchronous invocation that failed: "Retries" in its developer guide."""

_SETTINGS = {"WORKER_FUNCTION": "k9-worker", "TOKEN_LIFE_MINUTES": "60"}
_LIFE = 10_000_000
_ROUND_MINUTES = 70
"""Longer than a worker's claim, than the wait between two passes of an erasure, and than a stray marker stays."""

_ROUNDS = 8
_ACCEPTED = 202

Handler = Callable[[dict[str, Any], Any], object]


class _Body(BytesIO):
    def stream(self) -> Iterator[bytes]:
        yield self.read()


@dataclass
class World:
    """Everything around the product. `asked` are the worker's tasks that Lambda has taken and not yet begun."""

    engine: MotoEngine
    clock: Clock
    api: Api
    calls: Calls = field(init=False)
    answers: list[Seen] = field(default_factory=list)
    asked: deque[dict[str, Any]] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.calls = Calls(self._send)
        self.restart()

    def restart(self) -> None:
        """Another process takes over: nothing is remembered. (The SDK's own clients keep nothing but connections, which
        there are none of here, and take longer to make than a request.)"""
        Process().begin()
        process.renew()

    def bring_back(self, saved: Saved, moment: Any) -> None:
        """Begin as it was then, with no deaths planned."""
        self.calls.stop_watching()
        self.engine.restore(saved)
        self.clock.moment = moment
        self.answers.clear()
        self.asked.clear()
        self.restart()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Look at something without being part of what is watched."""
        with self.calls.unwatched():
            yield

    def pass_time(self, **time: float) -> None:
        """Lambda keeps no process for so long."""
        self.clock.pass_time(**time)
        self.restart()

    def request(self, send: Callable[[Api], Answer]) -> Answer:
        """What a client does: the very request again, until there is an answer."""
        is_repeated = False
        while True:
            try:
                answer = send(self.api)
            except Died:
                is_repeated = True
                self.restart()
            else:
                self.answers.append(seen(answer, is_repeated=is_repeated))
                return answer

    def invoke(self, handler: Handler, event: Mapping[str, Any]) -> None:
        """What Lambda does with an event: twice again where the function ended before it was through with it."""
        for wait in (*_WAITS, None):
            try:
                handler(dict(event), None)
            except Died:
                if wait is None:
                    self.restart()
                    return  # the event is lost, but for the queue of failures, which nobody reads by themselves
                self.pass_time(seconds=wait)
            else:
                return

    def work(self) -> None:
        """The worker does what it was asked for, and what that asks for."""
        while self.asked:
            self.invoke(worker.handler, self.asked.popleft())

    def settle(self) -> None:
        """Let the worker, and the schedule, do what is to be done, until there is nothing left. Raises AssertionError
        where that never comes."""
        self.work()
        for _ in range(_ROUNDS):
            if not any(key.startswith("pending/") for key in self.engine.objects()):
                return
            self.pass_time(minutes=_ROUND_MINUTES)
            self.invoke(resume.handler, {})
            self.work()
        raise AssertionError(f"something is pending for {_ROUNDS * _ROUND_MINUTES} minutes, and goes on being so")

    def _send(self, event_name: str, request: AWSPreparedRequest, **context: Any) -> AWSResponse:
        if not event_name.startswith("before-send.lambda."):
            return self.engine.send(event_name, request, **context)
        body: Any = request.body
        self.asked.append(json.loads(body))
        return AWSResponse(request.url, _ACCEPTED, {}, _Body())  # type: ignore[arg-type]


@contextmanager
def a_world() -> Iterator[World]:
    """A world without a row or an object, in which limits are so low that little is much."""
    with ExitStack() as stack:
        stack.enter_context(patch.dict(os.environ, {**function_environment(), **_SETTINGS}))
        process.renew()
        engine = stack.enter_context(moto_engine())
        clock = Clock()
        stack.enter_context(ruling(clock))
        stack.enter_context(small_sizes())
        stack.callback(process.renew)
        tokens = TokenFactory(lifetime=_LIFE)
        verifier = tokens.verifier()
        stack.enter_context(patch("shared.auth.get_verifier", lambda: verifier))
        world = World(engine, clock, Api.as_user(USER, tokens, name="Some Body", email="somebody@example.com"))
        for name, value in _clients(world).items():
            stack.enter_context(patch(name, value))
        yield world


def _clients(world: World) -> dict[str, Any]:
    """One client of each service, whose calls the world makes."""
    names = ("new_client", "new_s3_client", "new_lambda_client")
    makers: dict[str, Any] = {f"shared.database.client.{name}": _once(world, getattr(clients, name)) for name in names}
    return {**makers, "shared.similarity.objects._forgive_throttles": lru_cache(_forgive_throttles)}


def _once(world: World, make: Callable[[Settings], Any]) -> Callable[[Settings], Any]:
    made: list[Any] = []

    def client(settings: Settings) -> Any:
        if not made:
            made.append(world.calls.take(make(settings)))
        return made[0]

    return client
