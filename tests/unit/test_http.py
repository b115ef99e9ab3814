"""The one decorator: tokens, arguments, answers, headers and errors of every route."""

import json
import re
import uuid
from base64 import b64decode
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from pydantic import BaseModel

from shared import http
from shared.auth import Caller
from shared.config import ConfigurationError, get_settings
from shared.database import DatabaseManager
from shared.errors import (
    ApiError,
    Conflict,
    FieldError,
    Forbidden,
    InternalError,
    InvalidRequest,
    MalformedRequest,
    NotFound,
    OutcomeUnknown,
    PayloadTooLarge,
    PreconditionFailed,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    UnsupportedMediaType,
)
from shared.events import MAX_BODY_BYTES
from shared.http import EXPOSED_HEADERS, Endpoint, endpoint
from tests.support.api import Answer, Api, Context, all_endpoints, find_endpoint, http_api_event
from tests.support.environment import ORIGIN
from tests.support.faults import Fault, answering, faulty
from tests.support.logs import Logged
from tests.support.logs import logged as logged
from tests.support.problems import PROBLEMS, assert_problem
from tests.support.recorded import recorded_event
from tests.support.tokens import TokenFactory


class Thing(BaseModel):
    id: str = "t-1"
    version: int | str = 7


class Unserialisable(BaseModel):
    value: object = object()


ERRORS = [
    MalformedRequest("Bad."),
    Unauthenticated("expired"),
    Forbidden("No."),
    NotFound("Gone."),
    Conflict("Taken."),
    PreconditionFailed("Stale."),
    PayloadTooLarge("Big."),
    UnsupportedMediaType("Odd."),
    InvalidRequest("Wrong.", errors=[FieldError("/body/a", "is wrong"), FieldError("/body/b", "too")]),
    TooManyRequests(),
    InternalError(),
    Unavailable("Down."),
    OutcomeUnknown(),
]


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], Endpoint]:
    """A registry of this test's own, so that its made-up routes never count as routes of the API."""
    all_endpoints()  # imports the real handlers, which register themselves once per process
    routes: dict[tuple[str, str], Endpoint] = {}
    monkeypatch.setattr(http, "ENDPOINTS", routes)
    return routes


def route(result: object = None, **options: Any) -> Endpoint:
    """An open route that returns `result`, or raises it where it is an exception."""

    def handler() -> BaseModel | http.Answer[Any] | http.Content | None:
        if isinstance(result, BaseException):
            raise result
        assert result is None or isinstance(result, BaseModel | http.Answer | http.Content)
        return result

    return endpoint("GET", "/probe", **{"is_open": True, **options})(handler)


def signed_in_route(check: Callable[[Caller], None] = lambda caller: None) -> Endpoint:
    def handler(caller: Caller) -> Thing:
        check(caller)
        return Thing(id=caller.user_id)

    return endpoint("GET", "/probe")(handler)


def call(target: Endpoint, headers: Mapping[str, str] | None = None, **changes: object) -> Answer:
    event = {**http_api_event(target, "/probe", {}, "", headers or {}, None), **changes}
    return Answer(target(event, Context()))


class TestAnswers:
    def test_a_model(self) -> None:
        answer = call(route(Thing()))
        assert answer.raw == {
            "statusCode": 200,
            "headers": {
                "X-Request-Id": answer.headers["X-Request-Id"],
                "Cache-Control": "no-store",
                "X-Content-Type-Options": "nosniff",
                "Vary": "Origin",
                "Content-Type": "application/json",
                "ETag": '"7"',
            },
            "body": '{"id":"t-1","version":7}',
            "isBase64Encoded": False,
        }

    def test_only_a_number_is_a_version(self) -> None:
        assert "ETag" not in call(route(Thing(version="0.1.0"))).headers

    def test_a_status_and_a_location(self) -> None:
        answer = call(route(Thing(), status=201, location="/things/{id}"))
        assert (answer.status, answer.headers["Location"]) == (201, "/things/t-1")

    def test_an_answer_of_its_own_status_and_place(self) -> None:
        """The place is taken as it is: whoever gives it has encoded it, braces and all."""
        target = route(http.Answer(Thing(), 200, "/things/a%2Fb?x={id}"), status=201, location="/things/{id}")
        answer = call(target)
        assert (answer.status, answer.headers["Location"]) == (200, "/things/a%2Fb?x={id}")
        assert (answer.headers["ETag"], answer.json()) == ('"7"', {"id": "t-1", "version": 7})
        assert answer.headers["Content-Type"] == "application/json"

    def test_content_is_sent_byte_for_byte_under_its_own_headers(self) -> None:
        content = http.Content(b"\x89PNG\r\n", "image/png", headers={"Cache-Control": "public, max-age=60"})
        raw = call(route(content, status=201)).raw
        assert (raw["statusCode"], raw["isBase64Encoded"], b64decode(raw["body"])) == (200, True, b"\x89PNG\r\n")
        assert (raw["headers"]["Content-Type"], raw["headers"]["Cache-Control"]) == ("image/png", "public, max-age=60")
        assert raw["headers"]["X-Content-Type-Options"] == "nosniff"

    def test_content_that_has_not_changed(self) -> None:
        raw = call(route(http.Content(status=304, headers={"ETag": '"a"'}))).raw
        assert (raw["statusCode"], raw["body"], raw["headers"]["ETag"]) == (304, "", '"a"')
        assert "Content-Type" not in raw["headers"]

    def test_an_answer_without_a_place_has_none(self) -> None:
        answer = call(route(http.Answer(Thing(), 202), location="/things/{id}"))
        assert answer.status == 202
        assert "Location" not in answer.headers

    def test_none_is_no_content(self) -> None:
        answer = call(route(None))
        assert (answer.status, answer.text) == (204, "")
        assert not {"Content-Type", "ETag", "Location"} & answer.headers.keys()
        assert answer.headers["Cache-Control"] == "no-store"

    def test_an_answer_is_text_that_lambda_can_encode(self, alice: Api) -> None:
        """Lambda's runtime writes the response as UTF-8: half a surrogate pair in it would fail the invocation."""
        for body in ('{"title": "\\ud800"}', '{"\\ud800": 1}', '{"title": "t", "reference": {"a": {"\\udfff": 1}}}'):
            answer = alice.post("/reports", body)
            assert answer.status == 422
            json.dumps(answer.raw, ensure_ascii=False).encode()

    def test_a_row_of_another_origin_is_shown_without_a_warning(
        self, alice: Api, manager: DatabaseManager, logged: Logged
    ) -> None:
        """Pydantic's warning would print the value to the log."""
        manager.get_reports_table().put_item(
            Item={"id": "odd", "user_id": "11111111-1111-4111-8111-111111111111", "title": 987654, "created_at": "2020"}
        )
        endpoint, _ = find_endpoint("GET", "/reports/odd")  # directly: the document promises no such title
        assert Answer(endpoint(alice.event("GET", "/reports/odd"), Context())).json()["title"] == 987654
        assert "987654" not in logged.everything()


class TestRequestId:
    def test_it_is_the_gateways(self) -> None:
        event = recorded_event("http_api_v2_list")
        answer = Answer(route(Thing())(event, Context()))
        assert answer.headers["X-Request-Id"] == "JKJaXmPLvHcESHA="

    @pytest.mark.parametrize("context", [{"http": {"method": "GET"}}, {"http": {"method": "GET"}, "requestId": ""}])
    def test_else_lambdas(self, context: object) -> None:
        assert call(route(Thing()), requestContext=context).headers["X-Request-Id"] == "lambda-request-id"

    def test_else_a_new_one(self) -> None:
        target = route(Thing())
        event = {**http_api_event(target, "/probe", {}, "", {}, None), "requestContext": {"http": {"method": "GET"}}}
        ids = {Answer(target(event, None)).headers["X-Request-Id"] for _ in range(2)}
        assert len({uuid.UUID(request_id) for request_id in ids}) == 2

    def test_a_clients_own_is_not_taken_over(self) -> None:
        assert call(route(Thing()), {"x-request-id": "mine"}).headers["X-Request-Id"] != "mine"


class TestErrors:
    def test_every_kind_is_listed(self) -> None:
        assert {error.slug for error in ERRORS} == PROBLEMS.keys()

    @pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.slug)
    def test_its_answer(self, error: ApiError) -> None:
        pointers = [fault.pointer for fault in error.errors]
        answer = call(route(error))
        assert_problem(answer, error.status, error.slug, pointers=pointers, instance="/probe")
        assert answer.json()["detail"] == error.detail

    @pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.slug)
    def test_its_line_has_the_kind(self, error: ApiError, logged: Logged) -> None:
        call(route(error))
        (record,) = logged.records()
        assert (record["status"], record["problem"]) == (error.status, error.slug)
        assert record.get("reason") == ("expired" if isinstance(error, Unauthenticated) else None)

    @pytest.mark.parametrize("error", [RuntimeError("canary"), KeyError("canary"), RecursionError(), MemoryError()])
    def test_an_unexpected_exception_tells_nothing(self, error: Exception, logged: Logged) -> None:
        answer = call(route(error))
        assert_problem(answer, 500, "internal-error", instance="/probe")
        (record,) = logged.records()
        assert record["exception"] == [type(error).__name__]
        assert "canary" not in answer.text + logged.everything()

    def test_what_cannot_be_serialised_is_a_defect_too(self) -> None:
        assert_problem(call(route(Unserialisable())), 500, "internal-error")

    def test_a_wrong_configuration_is_told_to_the_log_alone(self, logged: Logged) -> None:
        answer = call(route(ConfigurationError("ENVIRONMENT is not set")))
        assert_problem(answer, 500, "internal-error")
        (record,) = logged.records()
        assert record["configuration"] == "ENVIRONMENT is not set"
        assert "ENVIRONMENT" not in answer.text

    def test_a_lacking_variable_ends_there(
        self, monkeypatch: pytest.MonkeyPatch, manager: DatabaseManager, alice: Api, logged: Logged
    ) -> None:
        alice.get("/user/profile")
        monkeypatch.delenv("DYNAMODB_REPORTS_TABLE")
        get_settings.cache_clear()
        assert_problem(alice.get("/reports"), 500, "internal-error")
        assert "DYNAMODB_REPORTS_TABLE" in logged.records()[-1]["configuration"]

    @pytest.mark.parametrize("event", [{}, {"version": "2.0"}, {"requestContext": None, "headers": None}])
    def test_an_event_that_is_no_request(self, event: dict[str, object]) -> None:
        assert_problem(Answer(route(Thing())(event, Context())), 500, "internal-error", instance="/")

    def test_interrupts_are_not_swallowed(self) -> None:
        with pytest.raises(KeyboardInterrupt):
            call(route(KeyboardInterrupt()))


class TestErrorsOfTheRoutes:
    """Each status once, from a real route, in the one shape."""

    def test_400(self, alice: Api) -> None:
        assert_problem(alice.post("/reports", "{"), 400, "malformed-request", instance="/reports")
        assert_problem(alice.get("/reports", query={"cursor": "?"}), 400, "malformed-request")
        assert_problem(
            alice.patch("/reports/r", {"title": "t"}, headers={"if-match": "3"}),
            400,
            "malformed-request",
            pointers=["/header/if-match"],
        )

    def test_401(self, alice: Api) -> None:
        assert_problem(Api().get("/reports"), 401, "unauthenticated", instance="/reports")

    def test_404(self, alice: Api) -> None:
        assert_problem(alice.get("/reports/a%20b"), 404, "not-found", instance="/reports/a%20b")

    def test_409(self, alice: Api) -> None:
        report = alice.post("/reports", {"title": "T"}).json()["id"]
        alice.put(f"/reports/{report}/favorites", {"favorites": [f"p{number}" for number in range(500)]})
        assert_problem(alice.put(f"/reports/{report}/favorites/more"), 409, "conflict")

    def test_412(self, alice: Api) -> None:
        path = alice.post("/reports", {"title": "T"}).headers["Location"]
        assert_problem(alice.patch(path, {"title": "U"}, headers={"if-match": '"2"'}), 412, "precondition-failed")
        assert_problem(alice.delete(path, headers={"if-match": 'W/"1"'}), 412, "precondition-failed")

    def test_413(self, alice: Api) -> None:
        body = json.dumps({"title": "T", "reference": {"text": "x" * MAX_BODY_BYTES}})
        assert_problem(alice.post("/reports", body), 413, "payload-too-large")

    def test_413_of_an_item(self, alice: Api) -> None:
        path = alice.post("/reports", {"title": "T", "reference": {"text": "x" * 250_000}}).headers["Location"]
        favorites = [f"{number:03}" + "\U0001f436" * 250 for number in range(200)]
        assert_problem(alice.put(f"{path}/favorites", {"favorites": favorites}), 413, "payload-too-large")

    def test_415(self, alice: Api) -> None:
        answer = alice.post("/reports", "{}", headers={"content-type": "image/png"})
        assert_problem(answer, 415, "unsupported-media-type")

    def test_422(self, alice: Api) -> None:
        answer = alice.post("/reports", {"title": "", "colour": "red"})
        assert_problem(answer, 422, "invalid-request", pointers=["/body/title", "/body/colour"])
        assert_problem(alice.get("/reports", query="limit=0"), 422, "invalid-request", pointers=["/query/limit"])
        assert_problem(alice.get("/reports/%00"), 422, "invalid-request", pointers=["/path/report_id"])

    def test_422_of_a_number_that_json_does_not_have(self, alice: Api) -> None:
        """Not 400: many an encoder writes NaN, and its author is told where it is."""
        answer = alice.post("/reports", '{"title": "T", "reference": {"price": NaN}}')
        assert_problem(answer, 422, "invalid-request", pointers=["/body/reference/price"])
        answer = alice.patch("/user/profile", '{"preferences": {"a": [1, -Infinity]}}')
        assert_problem(answer, 422, "invalid-request", pointers=["/body/preferences/a/1"])

    def test_422_of_two_documents_that_are_too_large_together(self, alice: Api) -> None:
        halves = [{"preferences": {name: "x" * 40_000}} for name in ("one", "other")]
        alice.get("/user/profile")
        assert alice.patch("/user/profile", halves[0]).status == 200
        answer = alice.patch("/user/profile", halves[1])
        assert_problem(answer, 422, "invalid-request", pointers=["/body/preferences"])

    def test_429_and_503(self, alice: Api, manager: DatabaseManager, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("time.sleep", lambda seconds: None)
        with faulty(manager, answering(400, "ThrottlingException")):
            assert_problem(alice.get("/reports"), 429, "too-many-requests")
        with faulty(manager, answering(500, "InternalServerError")):
            assert_problem(alice.get("/reports"), 503, "unavailable")
            assert_problem(alice.post("/reports", {"title": "T", "author": "A"}), 503, "outcome-unknown")


class TestTokens:
    def test_the_caller_is_the_tokens(self, tokens: TokenFactory) -> None:
        answer = call(signed_in_route(), {"authorization": tokens.bearer("carol")})
        assert answer.json()["id"] == "carol"

    def test_without_one_the_handler_is_not_reached(self) -> None:
        def never(caller: Caller) -> None:
            raise AssertionError("the handler ran")

        assert_problem(call(signed_in_route(never)), 401, "unauthenticated")

    def test_a_group_that_is_lacking(self, tokens: TokenFactory) -> None:
        target = signed_in_route(lambda caller: caller.require_group("k9-admins"))
        admin = {"authorization": tokens.bearer("carol", ["k9-admins"])}
        assert call(target, admin).status == 200
        for groups in (["Admins"], ["k9-admins "], []):
            assert_problem(call(target, {"authorization": tokens.bearer("carol", groups)}), 403, "forbidden")

    def test_two_authorization_headers_are_refused(self, tokens: TokenFactory) -> None:
        """Also where the second differs in the case of its name alone."""
        token = tokens.bearer("carol")
        event = recorded_event("rest_api_update", multiValueHeaders={"Authorization": [token, token]})
        assert_problem(Answer(signed_in_route()(event, Context())), 401, "unauthenticated")
        event["multiValueHeaders"] = {"Authorization": [token], "authorization": [token]}
        assert_problem(Answer(signed_in_route()(event, Context())), 401, "unauthenticated")
        event["multiValueHeaders"] = {"AUTHORIZATION": [token]}
        assert Answer(signed_in_route()(event, Context())).status == 200


class TestCors:
    def cors(self, origin: str | None, allowed: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
        monkeypatch.setenv("ALLOWED_ORIGINS", allowed)
        get_settings.cache_clear()
        headers = call(route(Thing()), {} if origin is None else {"Origin": origin}).headers
        return {name: value for name, value in headers.items() if name.startswith("Access-Control") or name == "Vary"}

    def test_an_allowed_origin(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.cors(ORIGIN, f"https://other.example.com,{ORIGIN}", monkeypatch) == {
            "Access-Control-Allow-Origin": ORIGIN,
            "Access-Control-Expose-Headers": EXPOSED_HEADERS,
            "Vary": "Origin",
        }

    @pytest.mark.parametrize(
        "origin",
        [None, "", "null", "https://evil.example", f"{ORIGIN}.evil.example", ORIGIN.upper(), f"{ORIGIN}/", "*"],
    )
    def test_any_other_origin(self, origin: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.cors(origin, ORIGIN, monkeypatch) == {"Vary": "Origin"}

    @pytest.mark.parametrize("origin", [None, "https://anyone.example"])
    def test_all_origins(self, origin: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.cors(origin, "*", monkeypatch) == {
            "Access-Control-Allow-Origin": "*",
            "Access-Control-Expose-Headers": EXPOSED_HEADERS,
        }

    def test_no_origins(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.cors(ORIGIN, "", monkeypatch) == {}

    @pytest.mark.parametrize("error", [Unauthenticated("expired"), RuntimeError()], ids=["401", "500"])
    def test_an_error_is_readable_by_the_browser_too(self, error: Exception) -> None:
        assert call(route(error), {"origin": ORIGIN}).headers["Access-Control-Allow-Origin"] == ORIGIN

    def test_credentials_are_never_allowed(self) -> None:
        """Tokens come in a header that scripts set; cookies play no part."""
        assert "Access-Control-Allow-Credentials" not in call(route(Thing()), {"origin": ORIGIN}).headers

    def test_what_a_script_may_read_is_what_answers_carry(self) -> None:
        assert set(re.split(", ", EXPOSED_HEADERS)) == {
            "Content-Disposition",
            "ETag",
            "Location",
            "RateLimit",
            "RateLimit-Policy",
            "Retry-After",
            "X-Request-Id",
        }


class TestEvents:
    @pytest.mark.parametrize("name", ["http_api_v2_list", "http_api_v1_list"])
    def test_a_recorded_event_of_either_payload_reaches_the_handler(self, name: str, tokens: TokenFactory) -> None:
        event = recorded_event(name)
        event["headers"] = {"Authorization": tokens.bearer("carol")}
        event.pop("multiValueHeaders", None)
        assert Answer(signed_in_route()(event, Context())).json()["id"] == "carol"


class TestRegistry:
    def test_a_decorated_function_is_its_routes_endpoint(self, registry: dict[tuple[str, str], Endpoint]) -> None:
        target = route(Thing(), status=202)
        assert registry == {("GET", "/probe"): target}
        assert (target.method, target.path, target.route) == ("GET", "/probe", "GET /probe")
        assert (target.status, target.is_open) == (202, True)

    def test_it_keeps_its_documentation_and_types(self) -> None:
        def handler(caller: Caller) -> None:
            """What it does."""

        target = endpoint("GET", "/probe")(handler)
        assert target.__doc__ == "What it does."
        assert dict(target.types) == {"caller": Caller}
        assert target.is_open is False

    def test_a_module_may_be_imported_again(self) -> None:
        route(Thing())
        assert call(route(Thing(id="again"))).json()["id"] == "again"

    def test_a_second_handler_of_one_route_is_refused(self) -> None:
        def elsewhere() -> None: ...

        elsewhere.__module__ = "elsewhere"
        route(Thing())
        with pytest.raises(ValueError, match="GET /probe already has a handler"):
            endpoint("GET", "/probe")(elsewhere)

    def test_a_signature_that_the_route_cannot_fill_is_refused(self) -> None:
        def handler(event: dict[str, Any]) -> None: ...

        with pytest.raises(TypeError, match="nothing in a request is called 'event'"):
            endpoint("GET", "/probe")(handler)

    def test_a_path_parameter_that_nobody_takes_is_refused(self) -> None:
        def handler() -> None: ...

        with pytest.raises(TypeError, match="takes no report_id"):
            endpoint("GET", "/reports/{report_id}")(handler)


@pytest.mark.parametrize(
    ("fault", "status", "logged_as"),
    [
        (answering(400, "ThrottlingException"), 429, "ThrottlingException"),
        (answering(500, "InternalServerError"), 503, "InternalServerError"),
        (answering(400, "AccessDeniedException"), 500, "AccessDeniedException"),
    ],
)
def test_the_log_tells_what_a_failure_came_from(
    manager: DatabaseManager,
    alice: Api,
    logged: Logged,
    monkeypatch: pytest.MonkeyPatch,
    fault: Fault,
    status: int,
    logged_as: str,
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with faulty(manager, fault) as fired:
        assert alice.get("/reports/some-report").status == status
        assert Api().get("/health").status == 503
    assert fired.fired
    assert [record["error_code"] for record in logged.records()] == [logged_as, logged_as]
