"""Any stage, over HTTP: every route, two users, every page, and what is refused."""

import asyncio
import uuid
from typing import Any

import pytest

from k9_api import AsyncClient, Client
from scripts.deployment.stage import Answer, Stage
from scripts.local.template import Template
from tests.e2e.conftest import Users
from tests.support.tokens import TokenFactory
from tests.support.tour import TITLE, Tour, until


def test_every_route_works(users: Users) -> None:
    with Tour(users.one) as tour:
        try:
            tour.take()
        finally:
            tour.leave()
    never_on_a_stage_that_may_be_anybodys = {"DELETE /user"}
    assert tour.called == {route.key for route in Template.load().routes()} - never_on_a_stage_that_may_be_anybodys


def test_nobody_sees_what_is_anothers(users: Users) -> None:
    made = new_report(users.one, "secret")
    path = made.headers["Location"]
    foreign, missing = users.other.call("GET", path), users.other.call("GET", f"/reports/{uuid.uuid4()}")
    assert without_ids(foreign) == without_ids(missing)
    users.other.call("PATCH", path, {"title": "Mine"}).expect(404)
    users.other.call("DELETE", path).expect(404)
    assert users.one.call("GET", path).expect(200).json == made.json
    with client_of(users.other) as other:
        assert made.json["id"] not in [report.id for report in other.reports.iterate()]
    users.one.call("DELETE", path).expect(204)


def new_report(stage: Stage, title: str) -> Answer:
    """One that a tour removes, should this test break off."""
    body = {"title": f"{TITLE}: {title}"}
    return stage.call("POST", "/reports", body, Idempotency_Key=str(uuid.uuid4())).expect(201)


def without_ids(answer: Answer) -> tuple[int, object]:
    problem = answer.json
    return answer.status, {name: problem[name] for name in problem.keys() - {"request_id", "instance"}}


def client_of(stage: Stage) -> Client:
    return Client(stage.url, token=stage.token)


def test_pages_are_walked_to_the_end(users: Users) -> None:
    with client_of(users.one) as client:
        made = {client.reports.create(f"{TITLE}: page {number}").id for number in range(5)}
        seen: list[str] = []

        def are_all_there() -> bool:
            seen[:] = [report.id for report in client.reports.iterate(limit=2)]
            return made <= set(seen)

        until(are_all_there)
        assert len(seen) == len(set(seen))
        assert client.reports.list(limit=1, include_total=True).total == len(seen)
        for report_id in made:
            client.reports.delete(report_id)


def test_asyncio_walks_them_as_well(users: Users) -> None:
    async def walked() -> list[str]:
        async with AsyncClient(users.one.url, token=users.one.token) as client:
            made = await asyncio.gather(*(client.reports.create(f"{TITLE}: task {number}") for number in range(3)))
            read = await asyncio.gather(*(client.reports.get(report.id) for report in made))
            assert read == made
            listed = [report.id async for report in client.reports.iterate(limit=4)]
            await asyncio.gather(*(client.reports.delete(report.id) for report in made))
            return listed

    listed = asyncio.run(walked())
    assert len(listed) == len(set(listed))


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status"),
    [
        ("GET", "/reports?cursor=x", None, {}, 400),
        ("GET", "/reports/none", None, {}, 404),
        ("POST", "/reports", {}, {"Content_Type": "image/png"}, 415),
        ("POST", "/reports", {"title": "", "user_id": "x"}, {}, 422),
        ("POST", "/reports", {"title": "x" * 1_100_000}, {}, 413),
        ("POST", "/embeddings/search", {"model_version": "none", "embedding_vector": [1]}, {}, 422),
    ],
)
def test_what_is_refused_is_a_problem_document(
    users: Users, method: str, path: str, body: Any, headers: dict[str, str], status: int
) -> None:
    answer = users.one.call(method, path, body, **headers).expect(status)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json["status"] == status
    assert answer.json["request_id"] == answer.headers["X-Request-Id"]


@pytest.mark.parametrize(
    ("path", "token"),
    [("/reports", None), ("/reports", TokenFactory().id_token()), ("/reports", "a.b.c"), ("/no/such/route", "")],
    ids=["no token", "a token of another pool", "no token at all", "no route"],
)
def test_who_and_what_is_unknown(users: Users, path: str, token: str | None) -> None:
    """These may be answered by what stands in front of the handlers, in words of its own."""
    answer = users.one.call("GET", path, token=token).expect(*((401,) if path == "/reports" else (403, 404)))
    assert "reports" not in answer.json


def test_a_browser_is_let_in_by_its_origin(users: Users, origin: str) -> None:
    allowed = users.one.call(
        "OPTIONS", "/reports", token=None, Origin=origin, Access_Control_Request_Method="POST"
    ).expect(200, 204)
    assert allowed.headers["Access-Control-Allow-Origin"] == origin
    assert "authorization" in allowed.headers["Access-Control-Allow-Headers"].lower()
    refused = users.one.call("GET", "/reports", token=None, Origin=origin).expect(401)
    assert refused.headers["Access-Control-Allow-Origin"] == origin
