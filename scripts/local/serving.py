"""Serving until the user asks for an end: the part that the laptop stack and `--aws` share.

A front is what serves the routes before a store: the gateway of this process, or `sam local` (see `containers`).
"""

import contextlib
import gc
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from handlers import resume, worker
from scripts.local import clients, identity
from scripts.local.api import Api
from scripts.local.failure import LocalStackError
from scripts.local.folder import LocalFolder
from scripts.local.gateway import Gateway
from scripts.local.identity import Pool
from scripts.local.sign_in import SignIn
from scripts.local.signals import StopRequest
from scripts.local.template import Deployment, Template
from shared.tasks import set_local_worker, wait_for_local_tasks

_TASKS_SECONDS = 5.0
_RESUME_SECONDS = 30.0
_GC_THRESHOLD = (700, 10, 10)
"""Python's own."""

_LOG = logging.getLogger("k9.local")


@dataclass(frozen=True, slots=True)
class Backend:
    """What a front needs to know of the stack behind it; `port` is where it shall serve, 0 for a free one."""

    template: Template
    deployment: Deployment
    pool: Pool
    endpoint: str
    port: int
    folder: LocalFolder
    check: Callable[[], None]
    """Raises where the user asks for an end while the front is starting."""


@dataclass(frozen=True, slots=True)
class Served:
    """A front that serves; `log` is where the handlers' lines go."""

    port: int
    is_whole: Callable[[], bool]
    log: Path


Front = Callable[[Backend], contextlib.AbstractContextManager[Served]]


@contextlib.contextmanager
def in_process(backend: Backend) -> Iterator[Served]:
    """The handlers in this process, from the source."""
    log = backend.folder.root / "api.log"
    sign_in = SignIn(lambda name: identity.sign_in(clients.cognito(backend.endpoint), backend.pool.client_id, name))
    with gateway(backend.template, backend.deployment, backend.port, log, sign_in) as served, _resuming():
        yield Served(served.port, lambda: True, log)


@contextlib.contextmanager
def _resuming() -> Iterator[None]:
    """What the schedule does in the cloud: from time to time, erasures and exports that are due are gone on with."""
    ended = threading.Event()

    def resume_now_and_then() -> None:
        while not ended.wait(_RESUME_SECONDS):
            try:
                resume.handler({})
            except Exception:  # noqa: BLE001 - logged, and tried again, as the schedule would
                _LOG.exception("what is due could not be gone on with")

    thread = threading.Thread(target=resume_now_and_then, name="k9-resume", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(_TASKS_SECONDS)


@contextlib.contextmanager
def gateway(
    template: Template, deployment: Deployment, port: int, log: Path, sign_in: SignIn | None = None
) -> Iterator[Gateway]:
    """A serving gateway; the handlers' standard output goes to the log meanwhile."""
    with log.open("w", encoding="utf-8", buffering=1) as stream, contextlib.redirect_stdout(stream):
        set_local_worker(worker.handler)
        served = Gateway(Api(template.routes(), template.cors(deployment), sign_in), port)
        served.start()
        try:
            yield served
        finally:
            served.stop()
            if not wait_for_local_tasks(_TASKS_SECONDS):
                _LOG.warning("A snapshot or matrix was not finished. It is made again when it is asked for.")


def until_stopped(stop: StopRequest, is_whole: Callable[[], bool] = lambda: True) -> None:
    """Waits for the end. Raises LocalStackError where the stack lost a part of itself."""
    _LOG.setLevel(logging.INFO)
    # A function's process collects garbage rarely (see `handlers`), and serves one request at a time. Here, what many
    # threads leave would wait by the tens of megabytes. What starting has made stays, and need not be walked each time.
    gc.set_threshold(*_GC_THRESHOLD)
    gc.collect()
    gc.freeze()
    while not stop.wait(0.5):
        if not is_whole():
            raise LocalStackError("A part of the stack ended while it was needed.")


def log_to_terminal() -> None:
    """Failed invocations with their traceback; and, once the stack is up, one line for every request."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    _LOG.addHandler(handler)
    _LOG.setLevel(logging.WARNING)
    _LOG.propagate = False
