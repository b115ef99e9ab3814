"""smoke.sh's command without a stage: how a run is told, and how calls are repeated. The routes are run elsewhere."""

from collections.abc import Callable
from email.message import Message
from typing import Any

import pytest

from scripts.deployment import smoke
from scripts.deployment.smoke import Embeddings, Part, Reports, Step, run_part
from scripts.deployment.stage import Answer, Stage, StageError, read_stage

STAGE = Stage("https://api.example.com", "a.b.c")


def answer(status: int, content: bytes = b"", **headers: str) -> Answer:
    made = Message()
    for name, value in headers.items():
        made[name.replace("_", "-")] = value
    return Answer(status, made, content)


class Replies:
    """Stands in for the network: gives one reply after the other, and keeps what was sent."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *replies: Answer | BaseException) -> None:
        self.left = list(replies)
        self.sent: list[tuple[str, str, dict[str, str]]] = []
        self.pauses: list[float] = []
        monkeypatch.setattr(Stage, "_send", lambda stage, *request: self._reply(*request))
        monkeypatch.setattr("scripts.deployment.stage.time.sleep", self.pauses.append)

    def _reply(self, method: str, path: str, content: bytes | None, headers: dict[str, str]) -> Answer:
        self.sent.append((method, path, headers))
        reply = self.left.pop(0)
        if isinstance(reply, BaseException):
            raise reply
        return reply


def test_a_call_carries_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    replies = Replies(monkeypatch, answer(200, b"{}"))
    STAGE.call("POST", "/reports", {"title": "x"}, Idempotency_Key="k")
    headers = {"Idempotency-Key": "k", "Authorization": "Bearer a.b.c", "Content-Type": "application/json"}
    assert replies.sent == [("POST", "/reports", headers)]


def test_a_call_without_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    replies = Replies(monkeypatch, answer(200))
    STAGE.call("GET", "/health", token=None)
    assert replies.sent == [("GET", "/health", {})]


@pytest.mark.parametrize(
    ("first", "pause"),
    [
        (answer(503, Retry_After="2"), 2.0),
        (answer(429), 1.0),
        (answer(503, Retry_After="600"), 5.0),
        (answer(503, Retry_After="Fri, 20 Nov 2026 00:00:00 GMT"), 1.0),
        (ConnectionResetError(), 1.0),
        (TimeoutError(), 1.0),
    ],
)
def test_a_busy_stage_is_asked_again(monkeypatch: pytest.MonkeyPatch, first: Answer | Exception, pause: float) -> None:
    replies = Replies(monkeypatch, first, answer(200))
    assert STAGE.call("GET", "/reports").status == 200
    assert replies.pauses == [pause]


def test_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    Replies(monkeypatch, *[answer(503)] * 3)
    assert STAGE.call("GET", "/reports").status == 503
    Replies(monkeypatch, *[ConnectionRefusedError()] * 3)
    with pytest.raises(StageError, match="does not answer: ConnectionRefusedError"):
        STAGE.call("GET", "/reports")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (answer(500, b'{"detail": "Broken."}', X_Request_Id="r1"), "expected 200, got 500: Broken. (request r1)"),
        (answer(403, b'{"message":"Forbidden"}', Apigw_Requestid="r2"), "got 403: Forbidden (request r2)"),
        (answer(502, b"<html>"), "expected 200, got 502"),
        (answer(404, b"[]"), "expected 200, got 404"),
    ],
)
def test_another_status_is_explained(given: Answer, said: str) -> None:
    with pytest.raises(StageError) as told:
        given.expect(200)
    assert said in str(told.value)


def test_a_body_that_is_not_json() -> None:
    with pytest.raises(StageError, match="not JSON"):
        _ = answer(200, b"<html>").json


@pytest.mark.parametrize(
    ("url", "token", "kept"),
    [
        ("https://x.example.com/", "a.b.c", Stage("https://x.example.com", "a.b.c")),
        ("https://x.example.com/stage/", " Bearer a.b.c\n", Stage("https://x.example.com/stage", "a.b.c")),
        ("http://localhost:3001", "a.b.c", Stage("http://localhost:3001", "a.b.c")),
        ("http://[::1]:3001", "a.b.c", Stage("http://[::1]:3001", "a.b.c")),
    ],
)
def test_addresses_and_tokens(url: str, token: str, kept: Stage) -> None:
    assert read_stage(url, token) == kept


@pytest.mark.parametrize("token", ["", "a.b", "a..c", "a.b.c.d", "ä.b.c", "a.b.c\nX: y", "Bearer "])
def test_what_is_no_token(token: str) -> None:
    with pytest.raises(StageError, match="not a token"):
        read_stage("https://x.example.com", token)


def test_a_token_is_in_no_representation() -> None:
    assert "a.b.c" not in repr(STAGE)


def failing() -> None:
    raise StageError("no")


class Steps(Part):
    """Three steps, the second of the test's own; the third never runs after a failure."""

    def __init__(self, second: Callable[[], None], cleaning: Callable[[], None] = lambda: None) -> None:
        super().__init__(STAGE)
        self.second, self.cleaning, self.ran = second, cleaning, False

    def steps(self) -> list[Step]:
        return [("first", lambda: None), ("second", self.second), ("third", self._third)]

    def _third(self) -> None:
        self.ran = True

    def clean_up(self) -> None:
        self.cleaning()


def test_a_failed_step_ends_its_part(capsys: pytest.CaptureFixture[str]) -> None:
    part = Steps(failing)
    assert run_part(part) == 1
    assert not part.ran
    first, second, third = capsys.readouterr().out.splitlines()
    assert first.startswith("ok        first (")
    assert (second, third) == ("FAILED    second: no", "left out  third")


def test_a_failed_clean_up_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_part(Steps(lambda: None, failing)) == 1
    assert "FAILED    clean-up: no" in capsys.readouterr().out


def test_an_answer_that_lacks_something_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    nothing: dict[str, None] = {}
    assert run_part(Steps(lambda: nothing["id"])) == 1
    assert "FAILED    second: the answer lacks 'id'" in capsys.readouterr().out


def test_an_interruption_cleans_up() -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    cleaned: list[bool] = []
    with pytest.raises(KeyboardInterrupt):
        run_part(Steps(interrupt, lambda: cleaned.append(True)))
    assert cleaned == [True]


def test_an_interrupted_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    Replies(monkeypatch, KeyboardInterrupt())
    assert smoke.main(["https://x.example.com", "a.b.c"]) == 130
    assert "Interrupted." in capsys.readouterr().out


@pytest.mark.parametrize("lost", [answer(500), answer(503)])
def test_a_report_that_may_have_been_made_is_told(monkeypatch: pytest.MonkeyPatch, lost: Answer) -> None:
    Replies(monkeypatch, lost, lost, lost)
    part = Reports(STAGE, "run")
    with pytest.raises(StageError):
        part.create()
    with pytest.raises(StageError, match="'Smoke test run' may have been made"):
        part.clean_up()


def test_a_report_that_was_refused_is_not_cleaned_up(monkeypatch: pytest.MonkeyPatch) -> None:
    replies = Replies(monkeypatch, answer(422))
    part = Reports(STAGE, "run")
    with pytest.raises(StageError):
        part.create()
    part.clean_up()
    assert len(replies.sent) == 1


def test_half_stored_embeddings_are_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    replies = Replies(monkeypatch, answer(201), answer(500), answer(404), answer(204))
    part = Embeddings(STAGE, "run")
    with pytest.raises(StageError):
        part.store()
    part.clean_up()
    assert [(method, path.split("?")[0]) for method, path, _ in replies.sent[2:]] == [
        ("DELETE", "/embeddings/smoke-run-near"),
        ("DELETE", "/embeddings/smoke-run-far"),
    ]


def test_a_search_that_never_finds_them_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    moments: Any = iter(range(0, 1000, 6))
    Replies(monkeypatch, *[answer(200, b'{"hits": []}')] * 9)
    monkeypatch.setattr("scripts.deployment.smoke.time.monotonic", lambda: next(moments))
    with pytest.raises(StageError, match=r"found \[\] instead of \['smoke-run-near', 'smoke-run-far'\]"):
        Embeddings(STAGE, "run").search()
