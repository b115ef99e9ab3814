"""Serving until the user asks for an end: the part that the laptop stack and `--aws` share."""

import contextlib
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from handlers import worker
from scripts.local.api import Api
from scripts.local.failure import LocalStackError
from scripts.local.gateway import Gateway
from scripts.local.signals import StopRequest
from scripts.local.template import Deployment, Template
from shared.tasks import set_local_worker, wait_for_local_tasks

_TASKS_SECONDS = 5.0
_LOG = logging.getLogger("k9.local")


@contextlib.contextmanager
def gateway(template: Template, deployment: Deployment, port: int, log: Path) -> Iterator[Gateway]:
    """A serving gateway; the handlers' standard output goes to the log meanwhile."""
    with log.open("w", encoding="utf-8", buffering=1) as stream, contextlib.redirect_stdout(stream):
        set_local_worker(worker.handler)
        served = Gateway(Api(template.routes(), template.cors(deployment)), port)
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
    while not stop.wait(0.5):
        if not is_whole():
            raise LocalStackError("The store ended while it was needed.")


def log_to_terminal() -> None:
    """Failed invocations with their traceback; and, once the stack is up, one line for every request."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    _LOG.addHandler(handler)
    _LOG.setLevel(logging.WARNING)
    _LOG.propagate = False
