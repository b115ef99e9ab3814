"""The one shape of every error answer (RFC 9457), asserted in one place for every test."""

import re
from collections.abc import Sequence

from tests.support.api import Answer

PROBLEMS = {
    "malformed-request": (400, "Malformed request"),
    "unauthenticated": (401, "Unauthenticated"),
    "forbidden": (403, "Forbidden"),
    "not-found": (404, "Not found"),
    "conflict": (409, "Conflict"),
    "precondition-failed": (412, "Precondition failed"),
    "payload-too-large": (413, "Payload too large"),
    "unsupported-media-type": (415, "Unsupported media type"),
    "invalid-request": (422, "Invalid request"),
    "too-many-requests": (429, "Too many requests"),
    "internal-error": (500, "Internal error"),
    "unavailable": (503, "Service unavailable"),
    "outcome-unknown": (503, "Outcome unknown"),
}
"""Every kind of problem that the API documents: its status and title."""

_MEMBERS = {"type", "title", "status", "detail", "instance", "request_id"}
_INTERNAL = re.compile(r"arn:|k9-(users|reports|embeddings)|Traceback|botocore|boto3|Exception|\.py\b", re.IGNORECASE)


def assert_problem(
    answer: Answer, status: int, slug: str, *, pointers: Sequence[str] = (), instance: str | None = None
) -> None:
    """That `answer` is exactly the problem named `slug`, naming the faults at `pointers` and nothing internal."""
    assert (answer.status, answer.headers["Content-Type"]) == (status, "application/problem+json"), answer.raw
    problem = answer.json()
    assert problem.keys() == (_MEMBERS | {"errors"} if pointers else _MEMBERS), problem
    assert problem["type"] == f"urn:k9:problem:{slug}", problem
    assert (problem["status"], problem["title"]) == PROBLEMS[slug] == (status, problem["title"])
    assert problem["detail"].endswith(".")
    assert problem["request_id"] == answer.headers["X-Request-Id"]
    assert problem["instance"] == instance if instance is not None else problem["instance"].startswith("/")
    errors = problem.get("errors", [])
    assert [error["pointer"] for error in errors] == list(pointers)
    assert all(error.keys() == {"pointer", "message"} and error["message"] for error in errors)
    assert not _INTERNAL.search(answer.text), answer.text
    _assert_headers(answer, status)


def _assert_headers(answer: Answer, status: int) -> None:
    assert answer.raw["isBase64Encoded"] is False
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert ("Retry-After" in answer.headers) is (status in (429, 503))
    assert answer.headers.get("WWW-Authenticate") == ('Bearer error="invalid_token"' if status == 401 else None)
    assert not {"ETag", "Location"} & answer.headers.keys()
