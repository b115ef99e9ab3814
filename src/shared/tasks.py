"""Asking for what takes longer than a request: of the worker function, or on a laptop of a thread of this process."""

import contextvars
import threading
from collections.abc import Callable, Mapping
from typing import Any

from .config import ConfigurationError, get_settings
from .database.calls import CALL_ERRORS, counted_call, raise_translated
from .errors import ApiError
from .models import json_text
from .process import per_process
from .telemetry import describe_failure, log_warning

NOT_ASKED = (ApiError, *CALL_ERRORS, ConfigurationError)
"""What `request_task` raises, for those who go on without the worker."""

JSON = Any
Task = Mapping[str, JSON]
Worker = Callable[[dict[str, JSON]], object]


def request_task(task: Task) -> None:
    """Have the worker do the task, a JSON object, some time soon; returns at once. It may be done more than once.

    Raises TooManyRequests or Unavailable where it cannot be asked (where no answer comes it may do the task all the
    same), ConfigurationError where there is neither WORKER_FUNCTION nor a local worker.
    """
    payload = json_text.dumps(dict(sorted(task.items())))
    function = get_settings().worker_function
    if function is None:
        _local.request(payload)
        return
    with counted_call():
        try:
            _lambda_client().invoke(FunctionName=function, InvocationType="Event", Payload=payload.encode())
        except CALL_ERRORS as error:
            raise_translated(error, "worker")


def set_local_worker(worker: Worker | None) -> None:
    """Let tasks be done by this callable, each on a thread, where WORKER_FUNCTION is not set; None for by no one."""
    _local.worker = worker


def wait_for_local_tasks(timeout: float) -> bool:
    """Wait until no local task is left, at most `timeout` seconds; whether that is so."""
    return _local.wait(timeout)


class _LocalWorker:
    """One thread at most for each distinct task. Asked for again meanwhile, it is done again, since what it has read
    may be older than the request."""

    def __init__(self) -> None:
        self.worker: Worker | None = None
        self._asked_again: dict[str, bool] = {}
        """Each task at hand, as its JSON text, and whether it has been asked for since it was begun."""
        self._changed = threading.Condition()

    def request(self, payload: str) -> None:
        if self.worker is None:
            raise ConfigurationError("The environment variable WORKER_FUNCTION is not set. It names the worker.")
        with self._changed:
            if payload in self._asked_again:
                self._asked_again[payload] = True
                return
            # In a context of its own: the account of the request that asks must not bound it.
            arguments = (self._run, self.worker, payload)
            threading.Thread(target=contextvars.Context().run, args=arguments, name="k9-task", daemon=True).start()
            self._asked_again[payload] = False

    def wait(self, timeout: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: not self._asked_again, timeout)

    def _run(self, worker: Worker, payload: str) -> None:
        while True:
            _do(worker, payload)
            with self._changed:
                if not self._asked_again[payload]:
                    del self._asked_again[payload]
                    self._changed.notify_all()
                    return
                self._asked_again[payload] = False


_local = _LocalWorker()


def _do(worker: Worker, payload: str) -> None:
    """The end of every exception, as there is nobody above to tell: the log has its type and place."""
    try:
        worker(json_text.loads(payload))
    except Exception as error:  # noqa: BLE001 - logged; a task that failed must not end the thread with it
        log_warning("a task failed", **describe_failure(error))


@per_process
def _lambda_client() -> Any:
    from .database.client import new_lambda_client  # only those who ask for tasks pay for it

    return new_lambda_client(get_settings())
