"""The HTTP API: who may call, from where, and what is logged about it."""

import json
import re
from datetime import timedelta
from typing import Any

import pytest

from scripts.local.template import Deployment, Template
from shared.account.erasing import WORKER
from shared.account.status_object import CLAIM
from shared.http import EXPOSED_HEADERS

TEMPLATE = Template.load()
DEPLOYMENT = Deployment("prod", "eu-west-1_Pool", ("one", "two"), ("https://app.example.com",), "eu-west-1")
FUNCTIONS = TEMPLATE.resources("AWS::Serverless::Function")
EVENTS = [event for body in FUNCTIONS.values() for event in body["Properties"].get("Events", {}).values()]
API: dict[str, Any] = TEMPLATE.resolver(DEPLOYMENT).resolve(
    {name: TEMPLATE.api[name] for name in ("Auth", "CorsConfiguration", "DefaultRouteSettings")}
)


def test_the_default_authorizer_checks_the_pool_and_its_clients() -> None:
    auth = API["Auth"]
    assert auth["Authorizers"][auth["DefaultAuthorizer"]] == {
        "IdentitySource": "$request.header.Authorization",
        "JwtConfiguration": {
            "issuer": "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Pool",
            "audience": ["one", "two"],
        },
    }


OPEN = {"GET /health", "GET /openapi.json", "GET /docs", "GET /docs/{file}", "GET /avatars/{owner}/{avatar_id}"}


def test_only_these_are_open() -> None:
    assert {route.key for route in TEMPLATE.routes() if route.open} == OPEN


def test_no_event_chooses_another_authorizer() -> None:
    stated = [event["Properties"].get("Auth") for event in EVENTS]
    assert [auth for auth in stated if auth is not None] == [{"Authorizer": "NONE"}] * len(OPEN)


def test_every_event_belongs_to_the_one_api() -> None:
    assert all(event["Type"] == "HttpApi" for event in EVENTS)
    assert all(event["Properties"]["ApiId"] == {"Ref": "HttpApi"} for event in EVENTS)


def test_no_route_takes_a_preflight_from_the_api() -> None:
    assert not any(event["Properties"]["Method"].upper() in ("OPTIONS", "ANY") for event in EVENTS)


def test_a_function_ends_before_its_integration_and_that_before_the_gateway() -> None:
    timeouts = {event["Properties"]["TimeoutInMillis"] for event in EVENTS}
    assert timeouts == {29_000}
    assert {route.timeout for route in TEMPLATE.routes()} == {25}


def test_cors() -> None:
    cors = TEMPLATE.cors(DEPLOYMENT)
    assert cors.origins == ("https://app.example.com",)
    assert set(cors.methods) == {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
    assert set(cors.headers) == {"authorization", "content-type", "if-match", "idempotency-key"}
    assert set(cors.expose) == set(EXPOSED_HEADERS.split(", "))


def test_cors_never_allows_credentials() -> None:
    assert "AllowCredentials" not in API["CorsConfiguration"]


def test_requests_are_throttled() -> None:
    assert API["DefaultRouteSettings"]["ThrottlingRateLimit"] > 0
    assert API["DefaultRouteSettings"]["ThrottlingBurstLimit"] > 0


def test_access_logs_are_json_without_tokens_paths_or_callers() -> None:
    text = TEMPLATE.api["AccessLogSettings"]["Format"]
    assert set(re.findall(r"\$context\.([\w.]+)", text)) == {
        "requestId",
        "requestTimeEpoch",
        "routeKey",
        "status",
        "responseLength",
        "responseLatency",
        "integrationLatency",
        "integrationStatus",
        "error.responseType",
    }
    assert json.loads(text)["route"] == "$context.routeKey"


def test_logs_are_kept_for_a_limited_time() -> None:
    groups = TEMPLATE.resources("AWS::Logs::LogGroup").values()
    assert [group["Properties"]["RetentionInDays"] for group in groups] == [90, 90]


def test_every_function_is_traced_and_logs_to_the_shared_group() -> None:
    shared = TEMPLATE.document["Globals"]["Function"]
    assert shared["Tracing"] == "Active"
    assert shared["LoggingConfig"] == {"LogGroup": {"Ref": "FunctionLogs"}}
    assert not any({"Tracing", "LoggingConfig"} & body["Properties"].keys() for body in FUNCTIONS.values())


@pytest.mark.parametrize("function", sorted(FUNCTIONS))
def test_every_function_runs_the_shared_code(function: str) -> None:
    own = {"Handler", "Role", "AutoPublishCodeSha256", "Events", "Layers", "MemorySize", "Environment"}
    if function in ("WorkerFunction", "CheckAvatarFunction"):
        own = own - {"Events"} | {"FunctionName", "EventInvokeConfig"}
    if function == "ResumeFunction":
        own = own - {"Events"} | {"Timeout"}
    if function == "WorkerFunction":
        own |= {"Timeout"}
    assert {"Handler", "Role", "AutoPublishCodeSha256"} <= set(FUNCTIONS[function]["Properties"]) <= own


def test_the_functions_that_search_keep_indexes_that_fit_their_memory() -> None:
    settings = {name: body["Properties"] for name, body in FUNCTIONS.items() if "Environment" in body["Properties"]}
    assert set(settings) == {
        "CheckAvatarFunction",
        "GetPageFunction",
        "SearchEmbeddingsFunction",
        "SearchReportFunction",
    }
    searching = {name: properties for name, properties in settings.items() if name.startswith("Search")}
    for properties in searching.values():
        variables = properties["Environment"]["Variables"]
        assert set(variables) == {"INDEX_CACHE_MEGABYTES"}
        # What a search needs besides: the interpreter with its packages, and a page of rows while they are read.
        assert int(variables["INDEX_CACHE_MEGABYTES"]) + 500 < properties["MemorySize"]


def test_the_worker_is_called_by_its_name_and_by_nobody_from_outside() -> None:
    worker = TEMPLATE.resolver(DEPLOYMENT).resolve(FUNCTIONS["WorkerFunction"]["Properties"]["FunctionName"])
    assert f"{worker}:live" == TEMPLATE.environment_variables(DEPLOYMENT)["WORKER_FUNCTION"]
    assert "Events" not in FUNCTIONS["WorkerFunction"]["Properties"]
    permitted = {name: body["Properties"] for name, body in TEMPLATE.resources("AWS::Lambda::Permission").items()}
    assert permitted.keys() == {"CheckAvatarPermission", "ResumePermission"}
    assert permitted["ResumePermission"]["FunctionName"] == {"Ref": "ResumeFunction.Alias"}


def test_what_is_to_be_gone_on_with_is_looked_for_every_few_minutes() -> None:
    rule = TEMPLATE.resources("AWS::Events::Rule")["ResumeSchedule"]["Properties"]
    assert rule["ScheduleExpression"] == "rate(5 minutes)"
    assert [target["Arn"] for target in rule["Targets"]] == [{"Ref": "ResumeFunction.Alias"}]
    permission = TEMPLATE.resources("AWS::Lambda::Permission")["ResumePermission"]["Properties"]
    assert permission["Principal"] == "events.amazonaws.com"
    assert permission["SourceArn"] == {"Fn::GetAtt": ["ResumeSchedule", "Arn"]}


def test_no_worker_outlives_its_claim_nor_what_an_erasure_waits_for() -> None:
    worker = FUNCTIONS["WorkerFunction"]["Properties"]
    assert worker["Timeout"] < CLAIM.total_seconds()
    assert timedelta(seconds=worker["Timeout"]) == WORKER


def test_environment_of_the_functions() -> None:
    assert TEMPLATE.environment_variables(DEPLOYMENT) == {
        "ENVIRONMENT": "prod",
        "DYNAMODB_USERS_TABLE": "k9-users-prod",
        "DYNAMODB_REPORTS_TABLE": "k9-reports-prod",
        "DYNAMODB_EMBEDDINGS_TABLE": "k9-embeddings-prod",
        "SIMILARITY_BUCKET": "k9-similarity-prod-000000000000",
        "WORKER_FUNCTION": "k9-worker-prod:live",
        "COGNITO_USER_POOL_ID": "eu-west-1_Pool",
        "COGNITO_CLIENT_IDS": "one,two",
        "COGNITO_TOKEN_USE": "id",
        "TOKEN_LIFE_MINUTES": "1440",
        "ALLOWED_ORIGINS": "https://app.example.com",
        "DYNAMODB_LIMITS_TABLE": "k9-limits-prod",
        **dict.fromkeys(("LIMIT_READS", "LIMIT_WRITES", "LIMIT_SEARCHES", "LIMIT_ROWS", "LIMIT_BYTES"), "0"),
    }
