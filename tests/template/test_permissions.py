"""Every function has a role of its own, with exactly the actions and resources it uses."""

from typing import Any

import pytest

from tests.support.api import all_endpoints
from tests.template.transformed import stack

STACK = stack()
FUNCTIONS = STACK.of("AWS::Lambda::Function")
ROUTES = {route: STACK.function_of(route) for route in STACK.operations}

USERS, REPORTS, EMBEDDINGS, LIMITS = (
    f"arn:aws:dynamodb:us-east-1:000000000000:table/k9-{name}-dev"
    for name in ("users", "reports", "embeddings", "limits")
)
INDEX = f"{EMBEDDINGS}/index/ModelVersionIndex"
BUCKET = "arn:aws:s3:::k9-similarity-dev-000000000000"
OBJECTS = f"{BUCKET}/similarity/*"
EXPORTS = f"{BUCKET}/exports/*"
UPLOADS, AVATARS = f"{BUCKET}/uploads/*", f"{BUCKET}/avatars/*"
WORKER = "arn:aws:lambda:us-east-1:000000000000:function:k9-worker-dev:live"
DEAD_LETTERS = "arn:aws:sqs:us-east-1:000000000000:k9-worker-failures-dev"
Grants = dict[str, set[str]]
MANAGED = {"TelemetryPolicy", "LimitsPolicy", "StorageLimitsPolicy"}

DECLARES: Grants = {USERS: {"GetItem", "PutItem", "UpdateItem"}, EMBEDDINGS: {"UpdateItem"}}
READS_OBJECTS: Grants = {OBJECTS: {"s3:GetObject"}, BUCKET: {"s3:ListBucket"}}
ERASURES, COPIES = f"{BUCKET}/erasures/*", f"{BUCKET}/exports/*/account/*"
OF_ACCOUNTS = [f"{BUCKET}/{kind}/*" for kind in ("similarity", "exports", "uploads", "avatars", "pending", "erasures")]
ASKS: Grants = {WORKER: {"lambda:InvokeFunction"}}
SEARCHES: Grants = {USERS: {"GetItem"}, EMBEDDINGS: {"GetItem"}, INDEX: {"Query"}, **READS_OBJECTS, **ASKS}

GRANTS: dict[str, Grants] = {
    "GET /user/profile": {USERS: {"GetItem", "PutItem"}},
    "PATCH /user/profile": {
        USERS: {"GetItem", "PutItem", "UpdateItem"},
        AVATARS: {"s3:DeleteObject"},
        BUCKET: {"s3:ListBucket"},
    },
    "POST /user/avatar": {USERS: {"GetItem", "PutItem"}, UPLOADS: {"s3:PutObject"}},
    "GET /avatars/{owner}/{avatar_id}": {AVATARS: {"s3:GetObject"}, BUCKET: {"s3:ListBucket"}},
    "POST /reports": {USERS: {"GetItem"}, REPORTS: {"PutItem"}},
    "GET /reports": {f"{REPORTS}/index/UserReportsIndex": {"Query"}},
    "GET /reports/{report_id}": {REPORTS: {"GetItem"}},
    "PATCH /reports/{report_id}": {REPORTS: {"UpdateItem"}},
    "DELETE /reports/{report_id}": {REPORTS: {"DeleteItem"}},
    "GET /reports/{report_id}/favorites": {REPORTS: {"GetItem"}},
    "PUT /reports/{report_id}/favorites": {REPORTS: {"UpdateItem"}},
    "PUT /reports/{report_id}/favorites/{product_id}": {REPORTS: {"UpdateItem"}},
    "DELETE /reports/{report_id}/favorites/{product_id}": {REPORTS: {"UpdateItem"}},
    "POST /reports/{report_id}/search": {REPORTS: {"GetItem"}, **SEARCHES},
    "GET /reports/{report_id}/products/{product_id}": {
        REPORTS: {"GetItem"},
        USERS: {"GetItem"},
        EMBEDDINGS: {"GetItem"},
    },
    "GET /reports/{report_id}/export": {
        REPORTS: {"GetItem"},
        USERS: {"GetItem"},
        EMBEDDINGS: {"BatchGetItem"},
        EXPORTS: {"s3:GetObject", "s3:PutObject"},
    },
    "POST /embeddings": DECLARES,
    "POST /embeddings/batch": DECLARES,
    "GET /embeddings": {USERS: {"GetItem"}, INDEX: {"Query"}},
    "GET /embeddings/{product_id}": {EMBEDDINGS: {"GetItem"}},
    "PATCH /embeddings/{product_id}": {EMBEDDINGS: {"UpdateItem"}},
    "DELETE /embeddings/{product_id}": {EMBEDDINGS: {"UpdateItem"}},
    "POST /embeddings/delete": {USERS: {"GetItem"}, EMBEDDINGS: {"UpdateItem"}, INDEX: {"Query"}},
    "GET /embeddings/models": {USERS: {"GetItem"}, INDEX: {"Query"}, **READS_OBJECTS, **ASKS},
    "POST /embeddings/search": SEARCHES,
    "POST /embeddings/similarity": {
        USERS: {"GetItem"},
        INDEX: {"Query"},
        OBJECTS: {"s3:GetObject", "s3:PutObject"},
        BUCKET: {"s3:ListBucket"},
        **ASKS,
    },
    "GET /embeddings/similarity": {USERS: {"GetItem"}, INDEX: {"Query"}, **READS_OBJECTS},
    "GET /embeddings/similarity/{product_id}": {
        USERS: {"GetItem"},
        EMBEDDINGS: {"BatchGetItem"},
        **READS_OBJECTS,
    },
    "GET /docs": {},
    "GET /docs/{file}": {},
    "GET /openapi.json": {},
    "DELETE /user": {
        ERASURES: {"s3:GetObject", "s3:PutObject"},
        f"{BUCKET}/pending/erasures/*": {"s3:PutObject"},
        BUCKET: {"s3:ListBucket"},
        **ASKS,
    },
    "GET /user/erasure": {ERASURES: {"s3:GetObject"}, BUCKET: {"s3:ListBucket"}},
    "POST /user/export": {
        COPIES: {"s3:GetObject", "s3:PutObject"},
        f"{BUCKET}/pending/exports/*": {"s3:PutObject"},
        BUCKET: {"s3:ListBucket"},
        **ASKS,
    },
    "GET /user/export": {COPIES: {"s3:GetObject"}, BUCKET: {"s3:ListBucket"}},
    "GET /health": {USERS: {"GetItem"}, REPORTS: {"GetItem"}, EMBEDDINGS: {"GetItem"}},
}


ERASES_VERSIONS = {"s3:DeleteObjectVersion", "s3:AbortMultipartUpload"}
READS_AND_WRITES = {"s3:GetObject", "s3:PutObject"}
WORKER_GRANTS: Grants = {
    USERS: {"GetItem", "UpdateItem", "DeleteItem"},
    REPORTS: {"DeleteItem"},
    f"{REPORTS}/index/UserReportsIndex": {"Query"},
    EMBEDDINGS: {"BatchWriteItem"},
    INDEX: {"Query"},
    LIMITS: {"UpdateItem", "DeleteItem"},
    **dict.fromkeys(OF_ACCOUNTS, ERASES_VERSIONS),
    AVATARS: {"s3:GetObject", *ERASES_VERSIONS},
    OBJECTS: {*READS_AND_WRITES, "s3:DeleteObject", *ERASES_VERSIONS},
    ERASURES: {*READS_AND_WRITES, *ERASES_VERSIONS},
    COPIES: READS_AND_WRITES,
    BUCKET: {"s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads"},
    DEAD_LETTERS: {"sqs:SendMessage"},
}


CHECK_GRANTS: Grants = {
    USERS: {"GetItem", "UpdateItem"},
    UPLOADS: {"s3:GetObject", "s3:DeleteObject", "s3:DeleteObjectVersion"},
    AVATARS: {"s3:PutObject", "s3:DeleteObject"},
    BUCKET: {"s3:ListBucket"},
    DEAD_LETTERS: {"sqs:SendMessage"},
}
RESUME_GRANTS: Grants = {
    ERASURES: {"s3:GetObject"},
    COPIES: {"s3:GetObject"},
    BUCKET: {"s3:ListBucket"},
    **ASKS,
}
WITHOUT_ROUTE = {
    "WorkerFunction": WORKER_GRANTS,
    "CheckAvatarFunction": CHECK_GRANTS,
    "ResumeFunction": RESUME_GRANTS,
}


def role_name(function: str) -> str:
    return str(FUNCTIONS[function]["Properties"]["Role"]).removesuffix(".Arn")


def statements(function: str) -> list[dict[str, Any]]:
    documents = [policy["PolicyDocument"] for policy in STACK.properties(role_name(function)).get("Policies", [])]
    return [statement for document in documents for statement in document["Statement"]]


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def grants(function: str) -> Grants:
    found: Grants = {}
    for statement in statements(function):
        for resource in listed(statement["Resource"]):
            actions = {action.removeprefix("dynamodb:") for action in listed(statement["Action"])}
            found[resource] = found.get(resource, set()) | actions
    return found


def test_the_table_of_grants_names_every_route() -> None:
    assert set(GRANTS) == set(ROUTES)


@pytest.mark.parametrize("route", sorted(GRANTS))
def test_grants(route: str) -> None:
    assert grants(ROUTES[route]) == GRANTS[route]


@pytest.mark.parametrize("route", sorted(GRANTS))
def test_a_function_may_count_where_its_route_is_limited_and_ask_for_a_recount_where_it_stores(route: str) -> None:
    method, _, path = route.partition(" ")
    endpoint = all_endpoints()[method, path]
    expected = ["TelemetryPolicy"]
    expected += ["LimitsPolicy"] if endpoint.route_class else []
    expected += ["StorageLimitsPolicy"] if endpoint.may_grow else []
    assert STACK.properties(role_name(ROUTES[route]))["ManagedPolicyArns"] == expected


@pytest.mark.parametrize("function", WITHOUT_ROUTE)
def test_what_has_no_route_counts_no_requests(function: str) -> None:
    assert STACK.properties(role_name(function))["ManagedPolicyArns"] == ["TelemetryPolicy"]


def test_what_limits_take() -> None:
    policies = {name: STACK.properties(name)["PolicyDocument"]["Statement"] for name in MANAGED - {"TelemetryPolicy"}}
    assert {name: [(item["Action"], item["Resource"]) for item in items] for name, items in policies.items()} == {
        "LimitsPolicy": [(["dynamodb:UpdateItem"], LIMITS)],
        "StorageLimitsPolicy": [(["lambda:InvokeFunction"], WORKER)],
    }


@pytest.mark.parametrize("route", sorted(route for route in GRANTS if GRANTS[route]))
def test_statements_only_allow(route: str) -> None:
    assert {statement["Effect"] for statement in statements(ROUTES[route])} == {"Allow"}


@pytest.mark.parametrize("function", WITHOUT_ROUTE)
def test_the_grants_of_functions_without_a_route(function: str) -> None:
    assert grants(function) == WITHOUT_ROUTE[function]


def test_every_function_has_a_route_but_those_that_nobody_calls_by_http() -> None:
    assert set(FUNCTIONS) == {*ROUTES.values(), *WITHOUT_ROUTE}


def test_a_profiles_change_lists_avatars_alone() -> None:
    (statement,) = [item for item in statements(ROUTES["PATCH /user/profile"]) if item["Action"] == ["s3:ListBucket"]]
    assert statement["Condition"] == {"StringLike": {"s3:prefix": "avatars/*"}}


def test_no_two_functions_share_a_role() -> None:
    roles = [role_name(function) for function in (*ROUTES.values(), *WITHOUT_ROUTE)]
    assert len(set(roles)) == len(roles)


def test_health_reads_only_its_reserved_key() -> None:
    (statement,) = statements(ROUTES["GET /health"])
    assert statement["Condition"] == {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["#health"]}}


def test_only_lambda_may_take_the_roles() -> None:
    for body in STACK.of("AWS::IAM::Role").values():
        (statement,) = body["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        assert statement == {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }


def test_roles_have_no_managed_policy_but_the_templates_own() -> None:
    roles = STACK.of("AWS::IAM::Role").values()
    assert {policy for role in roles for policy in role["Properties"]["ManagedPolicyArns"]} == MANAGED
    assert set(STACK.of("AWS::IAM::ManagedPolicy")) == MANAGED
    assert not STACK.of("AWS::IAM::Policy")


def test_every_role_is_a_functions() -> None:
    assert set(STACK.of("AWS::IAM::Role")) == {role_name(function) for function in FUNCTIONS}


def test_telemetry_goes_to_the_functions_log_group_and_to_x_ray_alone() -> None:
    policy = STACK.properties("TelemetryPolicy")
    assert [(item["Action"], item["Resource"]) for item in policy["PolicyDocument"]["Statement"]] == [
        (["logs:CreateLogStream", "logs:PutLogEvents"], "FunctionLogs.Arn"),
        (["xray:PutTelemetryRecords", "xray:PutTraceSegments"], "*"),  # X-Ray knows no resources
    ]


def test_nothing_else_has_a_wildcard_and_nobody_may_scan() -> None:
    everywhere = [grant for function in FUNCTIONS for grant in grants(function).items()]
    # Objects have no names that the template could know: below these prefixes, each owner's own begin with the owner.
    below = {*OF_ACCOUNTS, COPIES, f"{BUCKET}/pending/erasures/*", f"{BUCKET}/pending/exports/*"}
    assert {resource for resource, _ in everywhere if "*" in resource} == below
    assert not any("*" in action or action == "Scan" for _, actions in everywhere for action in actions)
