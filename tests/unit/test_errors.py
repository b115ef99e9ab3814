"""Errors carry their status, and one function renders them."""

from collections.abc import Iterator

import pytest

from shared import errors
from shared.errors import (
    ApiError,
    FieldError,
    InternalError,
    InvalidRequest,
    NotFound,
    OutcomeUnknown,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    render_problem,
)
from tests.support.problems import PROBLEMS


def kinds(of: type[ApiError] = ApiError) -> Iterator[type[ApiError]]:
    for kind in of.__subclasses__():
        if kind.__module__ == errors.__name__:
            yield kind
            yield from kinds(kind)


def test_every_kind_of_error_is_a_documented_problem() -> None:
    assert {kind.slug: (kind.status, kind.title) for kind in kinds()} == PROBLEMS


def test_every_kind_says_its_status_in_its_docstring() -> None:
    assert [kind for kind in kinds() if not (kind.__doc__ or "").startswith(f"{kind.status}: ")] == []


def test_a_problem_document() -> None:
    error = InvalidRequest(
        "It is wrong.", errors=[FieldError("/body/a~1b", "is odd"), FieldError("/query/c", "is even")]
    )
    assert render_problem(error, instance="/reports", request_id="r-1") == {
        "type": "urn:k9:problem:invalid-request",
        "title": "Invalid request",
        "status": 422,
        "detail": "It is wrong.",
        "instance": "/reports",
        "request_id": "r-1",
        "errors": [{"pointer": "/body/a~1b", "message": "is odd"}, {"pointer": "/query/c", "message": "is even"}],
    }


def test_without_faults_there_is_no_list_of_them() -> None:
    assert "errors" not in render_problem(NotFound("Gone."), instance="/", request_id="r")


def test_an_unauthenticated_answer_tells_nothing_of_its_reason() -> None:
    expired, forged = Unauthenticated("expired"), Unauthenticated("signature")
    assert (expired.reason, forged.reason) == ("expired", "signature")
    assert render_problem(expired, instance="/", request_id="r") == render_problem(forged, instance="/", request_id="r")
    assert expired.headers == forged.headers == {"WWW-Authenticate": 'Bearer error="invalid_token"'}


@pytest.mark.parametrize(
    ("error", "headers"),
    [
        (NotFound("Gone."), {}),
        (NotFound("Gone.", retry_after=3), {"Retry-After": "3"}),
        (TooManyRequests(), {"Retry-After": "1"}),
        (Unavailable("Not now."), {"Retry-After": "1"}),
        (Unavailable("Not now.", retry_after=30), {"Retry-After": "30"}),
        (OutcomeUnknown(), {"Retry-After": "1"}),
        (InternalError(), {}),
    ],
    ids=lambda value: value.slug if isinstance(value, ApiError) else "",
)
def test_when_to_try_again(error: ApiError, headers: dict[str, str]) -> None:
    assert error.headers == headers


def test_an_unknown_outcome_never_claims_that_nothing_happened() -> None:
    assert "may or may not" in OutcomeUnknown().detail
    assert "nothing was changed" in TooManyRequests().detail
