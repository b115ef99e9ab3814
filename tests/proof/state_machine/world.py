"""One example's world: an engine, three users, a clock, faults, the worker's queue, and what the model says."""

import json
import random
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from handlers import worker
from handlers.embeddings.catalogues import ADMINS
from shared import tasks
from shared.database import DatabaseManager
from shared.database.manager import default_manager
from shared.process import renew
from shared.similarity import loading, summary
from shared.similarity.objects import default_objects
from tests.support.api import Answer, Api, find_endpoint
from tests.support.tokens import TokenFactory

from . import storage
from .clock import Clock, followed
from .engine import Engine
from .faults import BROKEN_OFF, OF_REQUESTS, RESTART, TWICE, Injector, Killed, LaggingIndex, Plan
from .model import Tenant
from .told import Tally, Told, readable
from .violation import Violation, require

_TOKEN_SECONDS = 3000.0
_LAG_STEPS, _LAG_SECONDS = 8, 4.0
"""Well below what the product allows an index to lag (`shared.similarity.snapshot.OVERLAP`)."""

_CHECK_EVERY = 30
_SNAPSHOT_ROWS = 12
"""In place of 500, so that an example of a few products has snapshots as well."""

_LOGGED = 40


class World:
    """Everything of one example."""

    def __init__(self, engine: Engine, tally: Tally, example: int) -> None:
        self.engine, self.tally = engine, tally
        self.clock = Clock()
        # The name of each but the first begins with another's: what compares by beginnings mixes them up.
        self.alice = Tenant("alice", f"u{example}-a")
        self.bob = Tenant("bob", f"u{example}-ab")
        self.admin = Tenant("admin", f"u{example}-abc", (ADMINS,))
        self.shared = Tenant("shared", "shared")
        self.users = (self.alice, self.bob, self.admin)
        self.owners = (*self.users, self.shared)
        self.queue: list[dict[str, Any]] = []
        self.log: deque[str] = deque(maxlen=_LOGGED)
        self.faults = Injector(tally.faults)
        self.index = LaggingIndex(tally.faults)
        self._lag_steps, self._lag_until = 0, 0.0
        self._plan: Plan | None = None
        self._tokens: dict[str, tuple[float, Api]] = {}
        self._numbers = 0
        self._is_in_step = False
        self.has_failed = False
        self._open = ExitStack()
        self._start(example)

    def _start(self, example: int) -> None:
        self.tally.examples += 1
        tokens = TokenFactory(clock=self.clock.time)
        verifier = tokens.verifier()
        self.factory = tokens
        with ExitStack() as stack:
            stack.enter_context(self.engine.opened(example))
            stack.enter_context(followed(self.clock))
            stack.enter_context(patch("shared.auth.get_verifier", lambda: verifier))
            stack.enter_context(patch.object(tasks, "_lambda_client", lambda: self))
            for module in (loading, summary):
                stack.enter_context(patch.object(module, "SNAPSHOT_ROWS", _SNAPSHOT_ROWS))
            self._watch()
            self._open = stack.pop_all()

    def close(self) -> None:
        self._open.close()

    def invoke(self, *, Payload: bytes, **_: object) -> None:
        """What the product takes for Lambda's client: the worker is asked, and does it when its turn comes."""
        self.queue.append(json.loads(Payload))

    def number(self) -> int:
        self._numbers += 1
        return self._numbers

    # Steps

    @contextmanager
    def step(self, name: str, dice: random.Random) -> Iterator[None]:
        """One rule: it may meet a fault, and after some the tables are looked at."""
        if self._is_in_step:  # a rule that does what another does
            yield
            return
        self.tally.steps += 1
        self.tally.rules[name] += 1
        self.log.append(f"{self.tally.steps}: {name}")
        self.clock.pass_time(0.01)
        self._age_lag()
        self._plan = self._drawn(dice)
        with self._told():
            yield
            if self.tally.steps % _CHECK_EVERY == 0:
                storage.check_rows(self)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Note what the block raises, with what was done before."""
        self._is_in_step = True
        try:
            yield
        except Exception as error:
            self.has_failed = True
            kind = "" if isinstance(error, Violation) else f"{type(error).__name__}: "
            self.tally.found.append(f"{self.engine.name}: {kind}{error}"[:3000] + "\n    " + "\n    ".join(self.log))
            raise
        finally:
            self._is_in_step, self._plan = False, None
            self.faults.between = None

    def _drawn(self, dice: random.Random) -> Plan | None:
        if self.tally.wanted in OF_REQUESTS:
            return Plan(self.tally.wanted)
        return None if self.tally.is_completing else Plan.drawn(dice)

    def call(
        self,
        user: Tenant,
        method: str,
        path: str,
        body: object = None,
        *,
        query: str = "",
        headers: dict[str, str] | None = None,
        clean: bool = False,
        may_fail: bool = False,
    ) -> Told:
        """One request. The first of a step that is not `clean` meets the step's fault. Raises Violation for an answer
        that nothing explains, or that holds what is another's."""
        plan = None if clean else self._take_plan()
        self.faults.arm(plan)
        try:
            answer = self._api(user).request(method, path, body, query=query, headers=headers)
        except AssertionError as error:
            raise Violation(f"{method} {path}: {error}") from error
        finally:
            hits = self.faults.disarm()
        self._note(user, method, path, answer, plan if hits else None)
        told = Told(answer, hits)
        require(answer.status != 500, method, path, "is a 500:", answer.text, plan)
        require(hits or may_fail or not told.has_failed, method, path, "fails without a fault:", answer.text)
        return told

    def _note(self, user: Tenant, method: str, path: str, answer: Answer, plan: Plan | None) -> None:
        fault = f" ({plan.kind} after {plan.skip})" if plan else ""
        self.log.append(f"  {user.name} {method} {path} -> {answer.status}{fault}")
        endpoint, _ = find_endpoint(method, path)
        self.tally.asked[endpoint.method, endpoint.path] += 1
        self.tally.answered[endpoint.method, endpoint.path] += answer.status < 400
        self.require_own(user, readable(answer), f"the answer of {method} {path}")

    def require_own(self, user: Tenant, text: str, where: str) -> None:
        """Nothing in the text is another user's; what is in the shared catalogue may be."""
        for other in self.users:
            if other is not user:
                require(other.marker not in text, f"{where} to {user.name} holds a text of {other.name}: {text[:2000]}")
                own_aside = text.replace(user.sub, "") if user.sub.startswith(other.sub) else text
                require(other.sub not in own_aside, f"{where} to {user.name} names {other.name}: {text[:2000]}")

    def _take_plan(self) -> Plan | None:
        plan, self._plan = self._plan, None
        return plan

    def _api(self, user: Tenant) -> Api:
        made_at, api = self._tokens.get(user.name, (float("-inf"), None))
        if api is None or self.clock.time() - made_at > _TOKEN_SECONDS:
            claims = {"name": f"{user.marker} name", "email": f"{user.marker}@example.com"}
            api = Api.as_user(user.sub, self.factory, groups=list(user.groups), **claims)
            self._tokens[user.name] = (self.clock.time(), api)
        return api

    # Processes

    def restart(self) -> None:
        """Another process goes on: nothing is remembered but what is stored."""
        renew()
        self._watch()
        self.tally.faults[RESTART] += 1
        self.log.append("  the process was restarted")

    def _watch(self) -> None:
        clients: list[Any] = [default_manager().client, default_objects().client]
        for client in clients:
            self.faults.install(client, in_process=self.engine.is_in_process)
        self.index.install(clients[0])

    @property
    def manager(self) -> DatabaseManager:
        return default_manager()

    @property
    def lags(self) -> bool:
        return self.index.since is not None

    def begin_lag(self) -> None:
        reports = self.manager.client.scan(TableName=self.manager.settings.reports_table)["Items"]
        self.index.begin(self.clock.text(), reports)
        self._lag_steps, self._lag_until = 0, self.clock.time() + _LAG_SECONDS
        self.log.append("  the index lags")

    def end_lag(self) -> None:
        """The index has caught up; whoever reads it anew, a second later, sees all."""
        if self.lags:
            self.index.end()
            self.clock.pass_time(1.1)
            self.log.append("  the index has caught up")

    def _age_lag(self) -> None:
        self._lag_steps += 1
        if self.lags and (self._lag_steps > _LAG_STEPS or self.clock.time() > self._lag_until):
            self.end_lag()

    # The worker

    def work(self, task: dict[str, Any], dice: random.Random | None = None) -> bool:
        """Have the worker do a task as Lambda would: perhaps twice, perhaps cut off, anew where it fails. Whether it
        went to its end at the first try."""
        way = dice.choice(("well", "well", "faulty", "twice", "broken off")) if dice else "well"
        if dice and self.tally.wanted in (BROKEN_OFF, TWICE):
            way = "twice" if self.tally.wanted == TWICE else "broken off"
        plan = None
        if way == "faulty" and dice:
            plan = Plan(dice.choice(OF_REQUESTS), dice.randrange(12))
        elif way == "broken off" and dice:
            plan = Plan(BROKEN_OFF, dice.randrange(2 if self.tally.wanted else 12))
        self.log.append(f"  the worker: {task} {way} {plan}")
        went_well = self._run_worker(task, plan)
        if way == "twice":
            self.tally.faults[TWICE] += 1
        if way == "twice" or not went_well:
            self._run_worker(task, None)
        return went_well

    def _run_worker(self, task: dict[str, Any], plan: Plan | None) -> bool:
        self.faults.arm(plan)
        try:
            worker.handler(dict(task))
        except Killed:
            self.faults.disarm()
            return False
        except Exception:  # noqa: BLE001 - what ends the worker is Lambda's to repeat
            require(self.faults.disarm(), "the worker fails without a fault:", task)
            return False
        return self.faults.disarm() == 0

    def erase(self, account: str, ways: random.Random | None) -> None:
        """Have the worker go on with this account's erasure. Those of others are found again when it is their turn."""
        waiting = [task for task in self.queue if task["task"] == "erase"]
        self.queue = [task for task in self.queue if task["task"] != "erase"]
        for task in waiting:
            if task["account"] == account:
                self.work(task, ways)

    def finish_example(self) -> None:
        """At the end of an example, whatever is in tables and bucket must be as the model has it."""
        with self._told():
            self.end_lag()
            storage.check_rows(self)
            storage.check_objects(self)
