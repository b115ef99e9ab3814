"""Every few minutes: have the worker go on with erasures and exports that are due, or that a worker has left."""

from collections.abc import Mapping
from typing import Any

from shared.account.resuming import due_tasks
from shared.errors import ApiError
from shared.models.fields import now
from shared.similarity.objects import default_objects
from shared.tasks import request_task
from shared.telemetry import log_warning


def handler(event: Mapping[str, Any], context: Any = None) -> None:
    """Ask for each task that is due. Raises the last error of asking, once all have been asked for."""
    failure: ApiError | None = None
    late = 0
    for resumption in due_tasks(default_objects(), now()):
        late += resumption.is_late
        try:
            request_task(resumption.task)
        except ApiError as error:
            failure = error
    if late:
        log_warning("erasures are late", late_erasures=late)  # an alarm counts these lines
    if failure is not None:
        raise failure
