"""Answers that are no success, as exceptions."""

import pickle
from typing import Any

import httpx
import pytest

import k9_api
from k9_api import (
    Conflict,
    FieldError,
    Forbidden,
    GatewayError,
    InvalidRequest,
    K9Error,
    MalformedRequest,
    NotFound,
    PayloadTooLarge,
    ProblemError,
    RetryPolicy,
    StoreInterrupted,
    StoreReport,
    TooManyRequests,
    TransportError,
    UnexpectedAnswer,
)
from k9_api.errors import PROBLEMS
from tests.unit.client.world import Surface, World, ok, problem, report

ONCE = RetryPolicy(attempts=1)


def failing(surface: Surface, world: World, answer: httpx.Response) -> ProblemError:
    world.says(answer)
    with pytest.raises(ProblemError) as caught:
        surface.run(lambda client: client.reports.get("r1"), retries=ONCE)
    return caught.value


@pytest.mark.parametrize("slug", sorted(PROBLEMS))
def test_every_type_has_its_exception(surface: Surface, world: World, slug: str) -> None:
    error = failing(surface, world, problem(418, slug, "Because."))
    assert type(error) is PROBLEMS[slug]
    assert (error.status, error.type, error.detail) == (418, f"urn:k9:problem:{slug}", "Because.")


def test_a_problem_tells_all_it_says(surface: Surface, world: World) -> None:
    errors = [{"pointer": "/body/title", "message": "is too long"}]
    error = failing(surface, world, problem(422, "invalid-request", "The body is invalid.", errors=errors))
    assert isinstance(error, InvalidRequest)
    assert error.errors == (FieldError("/body/title", "is too long"),)
    assert (error.title, error.request_id, error.instance) == ("Invalid request", "request-1", "/x")
    assert str(error) == "422 Invalid request: The body is invalid. [/body/title: is too long] (request request-1)"


def test_a_type_of_a_newer_api(surface: Surface, world: World) -> None:
    error = failing(surface, world, problem(402, "payment-required"))
    assert (type(error), error.type) == (ProblemError, "urn:k9:problem:payment-required")


@pytest.mark.parametrize("errors", ["x", [1], [{"pointer": 1}]], ids=str)
def test_faults_of_another_form_hide_nothing(surface: Surface, world: World, errors: Any) -> None:
    assert isinstance(failing(surface, world, problem(409, "conflict", "Full.", errors=errors)), Conflict)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ProblemError),
        (403, Forbidden),
        (404, NotFound),
        (413, PayloadTooLarge),
        (429, TooManyRequests),
        (500, GatewayError),
        (503, GatewayError),
        (302, ProblemError),
    ],
)
@pytest.mark.parametrize(
    "answer",
    [{"json": {"message": "In words of its own"}}, {"text": "<html>"}, {"json": ["x"]}, {}],
    ids=["JSON", "a page", "a list", "nothing"],
)
def test_what_the_gateway_says_by_itself(
    surface: Surface, world: World, status: int, kind: type[ProblemError], answer: dict[str, Any]
) -> None:
    error = failing(surface, world, httpx.Response(status, **answer))
    assert (type(error), error.status, error.type) == (kind, status, "about:blank")
    assert error.detail == ("In words of its own" if "message" in answer.get("json", ()) else "")


def test_a_redirect_is_not_followed(surface: Surface, world: World) -> None:
    """The token goes nowhere else."""
    failing(surface, world, httpx.Response(307, headers={"Location": "https://elsewhere.example.com"}))
    assert len(world.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, text="<html>"),
        httpx.Response(200),
        ok([]),
        ok(report(version="1")),
        ok(report(version=True)),
        ok(report(favorites="a")),
        ok(report(favorites=[1])),
        ok(report(reference=[])),
        ok(report(title=None)),
        ok({"id": "r1"}),
    ],
    ids=lambda answer: answer.text[-60:],
)
def test_an_answer_that_is_not_as_promised(surface: Surface, world: World, answer: httpx.Response) -> None:
    world.says(answer)
    with pytest.raises(UnexpectedAnswer, match=r"^the answer (is not JSON|has )"):
        surface.run(lambda client: client.reports.get("r1"))


@pytest.mark.parametrize("headers", [{}, {"ETag": '"x"'}], ids=["none", "of another form"])
def test_favorites_without_a_version(surface: Surface, world: World, headers: dict[str, str]) -> None:
    world.says(httpx.Response(200, json={"favorites": []}, headers=headers))
    with pytest.raises(UnexpectedAnswer, match="no ETag"):
        surface.run(lambda client: client.reports.favorites("r1"))


@pytest.mark.parametrize(
    "error",
    [
        MalformedRequest(400, "t", "T", "d", [FieldError("/p", "m")], "r", 1.5, "/i"),
        TransportError("no answer", True),
        StoreInterrupted(StoreReport(1, 2), 3),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_go_from_process_to_process(error: K9Error) -> None:
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert (type(copy), str(copy), copy.args) == (type(error), str(error), error.args)


def test_every_error_is_one_of_ours_and_public() -> None:
    def below(kind: type[K9Error]) -> set[type[K9Error]]:
        return {kind}.union(*map(below, kind.__subclasses__()))

    assert {kind.__name__ for kind in below(K9Error) if kind.__module__.startswith("k9_api")} <= set(k9_api.__all__)
    assert {K9Error, ProblemError, NotFound, TransportError} <= below(K9Error)
