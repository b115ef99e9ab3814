"""Tasks: asked of the worker function, or of a thread of this process, once at a time and with nothing lost."""

import json
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ClientError, ConnectTimeoutError, ReadTimeoutError

from shared import tasks
from shared.config import ConfigurationError
from shared.database.client import MAX_ATTEMPTS
from shared.errors import ApiError, TooManyRequests, Unavailable
from shared.scope import current_scope, request_scope
from tests.support.faults import Fault, answering, faulty, garbled, raising
from tests.support.logs import Logged
from tests.support.logs import logged as logged

URL = "https://lambda.us-east-1.amazonaws.com"
SECONDS = 10.0


@pytest.fixture(autouse=True)
def no_worker() -> Iterator[None]:
    tasks._lambda_client.cache_clear()
    yield
    assert tasks.wait_for_local_tasks(SECONDS)
    tasks.set_local_worker(None)
    tasks._lambda_client.cache_clear()


class TestFunction:
    @pytest.fixture(autouse=True)
    def function(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WORKER_FUNCTION", "k9-worker-test")
        monkeypatch.setattr("time.sleep", lambda seconds: None)

    @pytest.fixture
    def caller(self) -> Any:
        """What `faulty` makes fail, in place of a manager."""
        return SimpleNamespace(client=tasks._lambda_client())

    def test_it_is_invoked_asynchronously(self, caller: Any) -> None:
        sent: list[Any] = []
        tasks.set_local_worker(lambda task: pytest.fail("done here"))

        def accept(request: AWSPreparedRequest) -> AWSResponse:
            sent.append(request)
            return garbled(202, "")(request)

        with faulty(caller, accept), request_scope() as scope:
            tasks.request_task({"task": "snapshot", "owner": "a", "rows": 3})
        (request,) = sent
        assert request.url == f"{URL}/2015-03-31/functions/k9-worker-test/invocations"
        assert request.headers["X-Amz-Invocation-Type"] == b"Event"
        assert json.loads(request.body) == {"task": "snapshot", "owner": "a", "rows": 3}
        assert (scope.aws_calls, scope.retries) == (1, 0)

    @pytest.mark.parametrize(
        ("fault", "error"),
        [
            (answering(429, "TooManyRequestsException"), TooManyRequests),
            (answering(500, "ServiceException"), Unavailable),
            (garbled(502), Unavailable),
            (raising(ReadTimeoutError(endpoint_url=URL)), Unavailable),
            (raising(ConnectTimeoutError(endpoint_url=URL)), Unavailable),
        ],
        ids=["throttled", "fault", "bad gateway", "no answer", "no connection"],
    )
    def test_a_worker_that_cannot_be_asked(self, caller: Any, fault: Fault, error: type[ApiError]) -> None:
        with faulty(caller, fault) as fired, pytest.raises(error):
            tasks.request_task({"task": "t"})
        assert fired.fired == MAX_ATTEMPTS

    def test_any_other_error_stays_as_it_is(self, caller: Any) -> None:
        unknown = answering(404, "ResourceNotFoundException")
        with faulty(caller, unknown) as fired, pytest.raises(ClientError, match="ResourceNotFoundException"):
            tasks.request_task({"task": "t"})
        assert fired.fired == 1

    def test_a_late_request_asks_for_nothing(self, caller: Any) -> None:
        with faulty(caller, answering(500, "ServiceException")) as fired, request_scope() as scope:
            scope.started -= 3600
            with pytest.raises(Unavailable):
                tasks.request_task({"task": "t"})
        assert fired.fired == 0


class TestThread:
    def test_it_runs_beside_the_request_and_is_not_bounded_by_it(self) -> None:
        done: list[Any] = []
        tasks.set_local_worker(lambda task: done.append((task, current_scope(), threading.current_thread())))
        with request_scope():
            tasks.request_task({"task": "t", "number": 1})
        assert tasks.wait_for_local_tasks(SECONDS)
        ((task, scope, thread),) = done
        assert task == {"task": "t", "number": 1}
        assert scope is None
        assert thread.daemon
        assert thread is not threading.current_thread()

    def test_one_thread_for_each_task_that_differs(self) -> None:
        busy, go = threading.Barrier(3), threading.Event()
        seen: list[str] = []

        def work(task: dict[str, Any]) -> None:
            seen.append(task["task"])
            busy.wait(SECONDS)
            go.wait(SECONDS)

        tasks.set_local_worker(work)
        tasks.request_task({"task": "a"})
        tasks.request_task({"task": "b"})
        busy.wait(SECONDS)
        assert not tasks.wait_for_local_tasks(0.01)
        assert sorted(seen) == ["a", "b"]
        go.set()

    def test_a_task_asked_for_again_is_done_again_and_never_twice_at_once(self) -> None:
        begun, go = threading.Semaphore(0), threading.Semaphore(0)
        running: list[int] = []
        at_once: list[int] = []

        def work(task: dict[str, Any]) -> None:
            running.append(1)
            at_once.append(len(running))
            begun.release()
            go.acquire(timeout=SECONDS)
            running.pop()

        tasks.set_local_worker(work)
        tasks.request_task({"task": "a", "of": 1})
        assert begun.acquire(timeout=SECONDS)
        for _ in range(5):
            tasks.request_task({"of": 1, "task": "a"})
        go.release()
        assert begun.acquire(timeout=SECONDS)
        go.release()
        assert tasks.wait_for_local_tasks(SECONDS)
        assert at_once == [1, 1]

    def test_an_exception_is_logged_and_ends_nothing(self, logged: Logged) -> None:
        def work(task: dict[str, Any]) -> None:
            raise LookupError("a secret")

        tasks.set_local_worker(work)
        tasks.request_task({"task": "t"})
        assert tasks.wait_for_local_tasks(SECONDS)
        (entry,) = logged.records()
        assert (entry["level"], entry["message"], entry["exception"]) == ("WARNING", "a task failed", ["LookupError"])
        assert "secret" not in logged.text
        done: list[Any] = []
        tasks.set_local_worker(done.append)
        tasks.request_task({"task": "t"})
        assert tasks.wait_for_local_tasks(SECONDS)
        assert done == [{"task": "t"}]

    def test_where_nobody_works_that_is_said(self) -> None:
        with pytest.raises(ConfigurationError, match="WORKER_FUNCTION"):
            tasks.request_task({"task": "t"})

    def test_waiting_for_nothing_takes_no_time(self) -> None:
        assert tasks.wait_for_local_tasks(0)
