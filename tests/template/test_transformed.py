"""What SAM makes of the template: the routes that API Gateway gets, the functions, and how many resources."""

import pytest

from scripts.local.template import Deployment, Template
from tests.template.transformed import DEPLOYMENT, stack, transform

STACK = stack()
FUNCTIONS = STACK.of("AWS::Lambda::Function")
WITH_SNAPSHOTS = Deployment("dev", parameters={"SnapStart": "On", "Architecture": "arm64"})


def test_the_api_has_the_templates_routes() -> None:
    assert set(STACK.operations) == {route.key for route in Template.load().routes()}


@pytest.mark.parametrize(
    "route", ["GET /health", "GET /openapi.json", "GET /docs", "GET /docs/{file}", "GET /avatars/{owner}/{avatar_id}"]
)
def test_an_open_route_has_no_authorizer(route: str) -> None:
    assert STACK.operations[route]["security"] == [{"NONE": []}]


def test_every_other_route_has_the_authorizer() -> None:
    is_open = {route.key for route in Template.load().routes() if route.open}
    security = {key: body.get("security") for key, body in STACK.operations.items() if key not in is_open}
    assert all(scheme == [{"Cognito": []}] for scheme in security.values())


def test_no_route_answers_options_or_anything() -> None:
    methods = {route.split(" ")[0] for route in STACK.operations}
    assert methods == {"GET", "POST", "PUT", "PATCH", "DELETE"}
    assert not any("$default" in path for path in STACK.properties("HttpApi")["Body"]["paths"])


def test_the_authorizer_is_the_pools() -> None:
    schemes = STACK.properties("HttpApi")["Body"]["components"]["securitySchemes"]
    assert list(schemes) == ["Cognito"]
    assert schemes["Cognito"]["x-amazon-apigateway-authorizer"] == {
        "type": "jwt",
        "identitySource": "$request.header.Authorization",
        "jwtConfiguration": {
            "issuer": "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_Pool",
            "audience": ["one", "two"],
        },
    }


def test_cors_is_the_gateways_own_hence_on_its_errors_too() -> None:
    """With this an HTTP API answers preflights itself and adds the headers to every answer, its 401 and 5xx too."""
    cors = STACK.properties("HttpApi")["Body"]["x-amazon-apigateway-cors"]
    assert cors["allowOrigins"] == ["https://app.example.com"]
    assert "allowCredentials" not in cors


def test_each_route_invokes_the_alias_of_its_own_function() -> None:
    functions = {route: STACK.function_of(route) for route in STACK.operations}
    assert functions == {route.key: route.function for route in Template.load().routes()}


def test_the_gateway_may_invoke_aliases_and_nobody_else_may_anything_but_the_bucket() -> None:
    found = {name: body["Properties"] for name, body in STACK.of("AWS::Lambda::Permission").items()}
    assert found.pop("CheckAvatarPermission")["Principal"] == "s3.amazonaws.com"
    permissions = list(found.values())
    assert {(item["Action"], item["Principal"]) for item in permissions} == {
        ("lambda:InvokeFunction", "apigateway.amazonaws.com"),
        ("lambda:InvokeFunction", "events.amazonaws.com"),
    }
    invoked = {STACK.properties(item["FunctionName"])["FunctionName"] for item in permissions}
    assert invoked == set(FUNCTIONS) - {"WorkerFunction", "CheckAvatarFunction"}
    scheduled = [item for item in permissions if item["Principal"] == "events.amazonaws.com"]
    assert [STACK.properties(item["FunctionName"])["FunctionName"] for item in scheduled] == ["ResumeFunction"]
    assert [item["SourceArn"] for item in scheduled] == ["ResumeSchedule.Arn"]


def test_the_one_stage_has_limits_and_logs_and_neither_a_cache_nor_bodies_in_its_logs() -> None:
    ((name, body),) = STACK.of("AWS::ApiGatewayV2::Stage").items()
    stage = body["Properties"]
    assert (name, stage["StageName"]) == ("HttpApiApiGatewayDefaultStage", "$default")
    assert stage["AccessLogSettings"]["DestinationArn"] == "ApiAccessLogs.Arn"
    settings = [stage["DefaultRouteSettings"], *stage["RouteSettings"].values()]
    assert all(
        set(each) == {"DetailedMetricsEnabled", "ThrottlingRateLimit", "ThrottlingBurstLimit"} for each in settings
    )
    assert not STACK.of("AWS::ApiGateway::RestApi")  # the kind that has a cache


def test_what_costs_most_and_what_is_open_is_throttled_more() -> None:
    stage = STACK.properties("HttpApiApiGatewayDefaultStage")
    rates = {route: settings["ThrottlingRateLimit"] for route, settings in stage["RouteSettings"].items()}
    assert rates == {
        "POST /embeddings/search": 30,
        "POST /reports/{report_id}/search": 30,
        "POST /embeddings/batch": 20,
        "POST /embeddings/similarity": 2,
        "POST /embeddings/delete": 2,
        "DELETE /user": 2,
        "POST /user/export": 2,
        "GET /reports/{report_id}/export": 10,
        "POST /user/avatar": 5,
        "GET /avatars/{owner}/{avatar_id}": 50,
        "GET /health": 5,
        "GET /docs": 5,
        "GET /docs/{file}": 20,
        "GET /openapi.json": 10,
    }
    assert set(rates) <= set(STACK.operations)
    assert stage["DefaultRouteSettings"]["ThrottlingRateLimit"] == 100


@pytest.mark.parametrize("function", sorted(FUNCTIONS))
def test_every_function_is_traced_bounded_and_logs_to_the_group_with_retention(function: str) -> None:
    properties = STACK.properties(function)
    assert properties["TracingConfig"] == {"Mode": "Active"}
    assert properties["LoggingConfig"] == {"LogGroup": "FunctionLogs"}
    assert STACK.properties("FunctionLogs")["RetentionInDays"] == 90
    assert properties["Timeout"] == {"WorkerFunction": 900, "ResumeFunction": 240}.get(function, 25)
    assert properties["Runtime"] == "python3.13"


def test_sam_adds_no_role_of_its_own() -> None:
    assert set(STACK.of("AWS::IAM::Role")) == set(Template.load().resources("AWS::IAM::Role"))


def test_every_alias_leads_to_the_version_of_its_function() -> None:
    for body in STACK.of("AWS::Lambda::Alias").values():
        alias = body["Properties"]
        version = alias["FunctionVersion"].removesuffix(".Version")
        assert alias["Name"] == "live"
        assert STACK.properties(version)["FunctionName"] == alias["FunctionName"]
    assert {body["Properties"]["FunctionName"] for body in STACK.of("AWS::Lambda::Alias").values()} == set(FUNCTIONS)


def test_a_release_publishes_every_function_anew() -> None:
    def versions(release: str) -> set[str]:
        return {
            name for name, body in transform(release)["Resources"].items() if body["Type"] == "AWS::Lambda::Version"
        }

    assert len(versions("one")) == len(FUNCTIONS)
    assert versions("one") == versions("one")
    assert not versions("one") & versions("two")


def test_an_old_version_goes_and_with_it_the_cost_of_its_snapshot() -> None:
    assert {body["DeletionPolicy"] for body in STACK.of("AWS::Lambda::Version").values()} == {"Delete"}


@pytest.mark.parametrize(
    ("deployment", "applied", "architecture"),
    [(DEPLOYMENT, "None", "x86_64"), (WITH_SNAPSHOTS, "PublishedVersions", "arm64")],
)
def test_snap_start_and_architecture_are_parameters(deployment: Deployment, applied: str, architecture: str) -> None:
    made = stack(deployment)
    functions = made.of("AWS::Lambda::Function").values()
    layers = made.of("AWS::Lambda::LayerVersion").values()
    assert {body["Properties"]["SnapStart"]["ApplyOn"] for body in functions} == {applied}
    assert all(body["Properties"]["Architectures"] == [architecture] for body in functions)
    assert all(body["Properties"]["CompatibleArchitectures"] == [architecture] for body in layers)


def test_layers_are_built_for_the_same_architecture() -> None:
    layers = Template.load().resources("AWS::Serverless::LayerVersion").values()
    assert all(layer["Metadata"]["BuildArchitecture"] == {"Ref": "Architecture"} for layer in layers)


def test_the_stack_is_far_from_cloudformations_limit_of_500_resources() -> None:
    assert len(transform()["Resources"]) < 260


TAGGED_BY_LIST = {
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::Dashboard",
    "AWS::DynamoDB::Table",
    "AWS::Events::Rule",
    "AWS::IAM::Role",
    "AWS::KMS::Key",
    "AWS::Lambda::Function",
    "AWS::Logs::LogGroup",
    "AWS::S3::Bucket",
    "AWS::SNS::Topic",
    "AWS::SQS::Queue",
}
NOT_TAGGABLE = {
    "AWS::Cognito::UserPoolClient",
    "AWS::Cognito::UserPoolDomain",
    "AWS::Cognito::UserPoolGroup",
    "AWS::IAM::ManagedPolicy",
    "AWS::Lambda::Alias",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::Lambda::LayerVersion",
    "AWS::Lambda::Permission",
    "AWS::Lambda::Version",
    "AWS::Logs::MetricFilter",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Subscription",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::QueuePolicy",
}
TAGGED_BY_NAME = {
    "AWS::ApiGatewayV2::Api",
    "AWS::ApiGatewayV2::Stage",
    "AWS::Budgets::Budget",
    "AWS::Cognito::UserPool",
}
EVERYTHING = stack(
    Deployment(
        "dev",
        "",
        (),
        parameters={"MonthlyBudget": "9", "AlarmEmail": "ops@example.com", "PublicUrl": "https://api.example.com"},
    ),
    release="r",
)


def test_every_kind_of_resource_is_known_to_take_tags_or_not() -> None:
    kinds = {body["Type"] for body in EVERYTHING.resources.values()}
    assert kinds == TAGGED_BY_LIST | NOT_TAGGABLE | TAGGED_BY_NAME


@pytest.mark.parametrize(
    "logical_id", sorted(name for name, body in EVERYTHING.resources.items() if body["Type"] in TAGGED_BY_LIST)
)
def test_what_can_be_tagged_says_whose_cost_it_is(logical_id: str) -> None:
    tags = {tag["Key"]: tag["Value"] for tag in EVERYTHING.properties(logical_id)["Tags"]}
    assert (tags["Application"], tags["Environment"]) == ("k9-api", "dev")


def test_what_has_tags_in_a_form_of_its_own_says_so_too() -> None:
    tagged = {"Application": "k9-api", "Environment": "dev"}
    assert EVERYTHING.properties("UserPool")["UserPoolTags"] == tagged
    assert EVERYTHING.properties("HttpApiApiGatewayDefaultStage")["Tags"].items() >= tagged.items()
    api = {
        tag["name"]: tag["x-amazon-apigateway-tag-value"] for tag in EVERYTHING.properties("HttpApi")["Body"]["tags"]
    }
    assert api.items() >= tagged.items()
    assert {tag["Key"]: tag["Value"] for tag in EVERYTHING.properties("Budget")["ResourceTags"]} == tagged
