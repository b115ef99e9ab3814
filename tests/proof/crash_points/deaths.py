"""Processes that die at an AWS call: before it is sent, or once it is applied and before its answer is seen.

A process dies as a whole: whichever of its threads made the call, no other of them gets another call through, and
nothing that it does on its way out (`finally`) reaches an engine either.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Literal

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from moto.core.models import botocore_stubber

Moment = Literal["before", "after"]
MOMENTS: tuple[Moment, ...] = ("before", "after")

Send = Callable[..., AWSResponse]


class Died(BaseException):
    """The process is gone: nothing of the product can hold this up, as it holds up no exception of the system's."""


@dataclass(frozen=True, slots=True)
class Death:
    """At which call, counted from 1 since the death before, and on which side of it."""

    call: int
    moment: Moment

    def __str__(self) -> str:
        return f"{self.moment} call {self.call}"


@dataclass(frozen=True, slots=True)
class Fired:
    """A death that happened, and what the process was about."""

    death: Death
    operation: str
    is_of_a_thread: bool

    def __str__(self) -> str:
        return f"{self.death} ({self.operation})"


class Process:
    """One process, as far as AWS sees it. The context tells whose a call is: the product hands it to its threads."""

    def __init__(self) -> None:
        self.is_dead = False

    @staticmethod
    def current() -> "Process":
        return _current.get()

    def begin(self) -> None:
        """Be the one that runs in this context from now on."""
        _current.set(self)


_current: ContextVar[Process] = ContextVar("k9_process")


@dataclass
class Calls:
    """All AWS calls, one after the other, and the deaths that are planned among them."""

    send: Send
    made: list[str] = field(default_factory=list)
    """The operations, since the watch began."""

    fired: list[Fired] = field(default_factory=list)
    _planned: deque[Death] = field(default_factory=deque)
    _since_death: int = 0
    _is_watched: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def watch(self, deaths: Iterable[Death]) -> None:
        """Count from here, and kill as planned."""
        self.made, self.fired, self._planned, self._since_death = [], [], deque(deaths), 0
        self._is_watched = True

    def stop_watching(self) -> None:
        self._is_watched = False

    @contextmanager
    def unwatched(self) -> Iterator[None]:
        """Neither count nor kill meanwhile."""
        was_watched, self._is_watched = self._is_watched, False
        yield
        self._is_watched = was_watched

    def take(self, client: Any) -> Any:
        """Have every call of the client made here, and by nobody else: botocore asks all hooks."""
        client.meta.events.unregister("before-send", botocore_stubber)
        client.meta.events.register("before-send", self._make)
        return client

    def _make(self, event_name: str, request: AWSPreparedRequest, **context: Any) -> AWSResponse:
        """One call, unless its process is dead, or dies of it."""
        process = Process.current()
        with self._lock:
            if process.is_dead:
                raise Died
            operation = event_name.rpartition(".")[2]
            if self._is_watched:
                self.made.append(operation)
                self._since_death += 1
            self._die_if_planned("before", process, operation)
            answer = self.send(event_name, request, **context)
            self._die_if_planned("after", process, operation)
            return answer

    def _die_if_planned(self, moment: Moment, process: Process, operation: str) -> None:
        if not self._is_watched or not self._planned or self._planned[0] != Death(self._since_death, moment):
            return
        is_of_a_thread = threading.current_thread() is not threading.main_thread()
        self.fired.append(Fired(self._planned.popleft(), operation, is_of_a_thread))
        self._since_death = 0
        process.is_dead = True
        raise Died
