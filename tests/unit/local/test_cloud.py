"""Where `--aws` learns the pool, the clients and the account."""

from typing import Any

import boto3
import botocore.client
import pytest
from botocore.exceptions import ClientError, NoCredentialsError

from scripts.local.cloud import CloudError, CloudOptions, find_deployment, split_list

STACK = {
    "Parameters": [
        {"ParameterKey": "UserPoolId", "ParameterValue": "us-east-1_Pool"},
        {"ParameterKey": "UserPoolClientIds", "ParameterValue": "one, two"},
    ]
}


class Aws:
    """Answers AWS calls in this process; `answers` holds a response or an exception for each operation."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {
            "GetCallerIdentity": {"Account": "123"},
            "DescribeStacks": {"Stacks": [STACK]},
        }
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def call(self, operation: str, arguments: dict[str, Any]) -> Any:
        self.asked.append((operation, arguments))
        answer = self.answers[operation]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Aws:
    fake = Aws()
    monkeypatch.setattr(
        botocore.client.BaseClient, "_make_api_call", lambda client, name, arguments: fake.call(name, arguments)
    )
    return fake


def test_the_pool_comes_from_the_stack(aws: Aws) -> None:
    deployment = find_deployment(CloudOptions("staging", region="eu-west-1"), ("http://localhost:3000",))
    assert deployment.user_pool_id == "us-east-1_Pool"
    assert deployment.client_ids == ("one", "two")
    assert (deployment.environment, deployment.region, deployment.account) == ("staging", "eu-west-1", "123")
    assert aws.asked[-1] == ("DescribeStacks", {"StackName": "k9-api-staging"})


def test_a_pool_that_the_stack_made_and_its_settings_come_from_the_stack_too(aws: Aws) -> None:
    parameters = {"UserPoolId": "", "UserPoolClientIds": "", "BucketName": "mine", "TokenUse": "access"}
    outputs = {"UserPoolId": "eu-west-1_Made", "UserPoolClientId": "made"}
    stack = {
        "Parameters": [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
        "Outputs": [{"OutputKey": name, "OutputValue": value} for name, value in outputs.items()],
    }
    aws.answers["DescribeStacks"] = {"Stacks": [stack]}
    deployment = find_deployment(CloudOptions("dev", region="eu-west-1"), ())
    assert (deployment.user_pool_id, deployment.client_ids) == ("eu-west-1_Made", ("made",))
    assert deployment.parameters == {"BucketName": "mine", "TokenUse": "access"}


def test_options_make_the_stack_unneeded(aws: Aws) -> None:
    options = CloudOptions("dev", region="eu-west-1", user_pool_id="eu-west-1_Mine", client_ids=("c",))
    assert find_deployment(options, ()).user_pool_id == "eu-west-1_Mine"
    assert [operation for operation, _ in aws.asked] == ["GetCallerIdentity"]


def test_a_missing_stack_is_named(aws: Aws) -> None:
    aws.answers["DescribeStacks"] = ClientError({"Error": {"Code": "ValidationError"}}, "DescribeStacks")
    with pytest.raises(CloudError, match="no CloudFormation stack k9-api-prod in eu-west-1"):
        find_deployment(CloudOptions("prod", region="eu-west-1"), ())


def test_a_stack_without_a_pool_is_refused(aws: Aws) -> None:
    aws.answers["DescribeStacks"] = {"Stacks": [{}]}
    with pytest.raises(CloudError, match="--user-pool-id"):
        find_deployment(CloudOptions("prod", region="eu-west-1"), ())


@pytest.mark.parametrize(
    ("operation", "failure"),
    [
        ("GetCallerIdentity", NoCredentialsError()),
        ("GetCallerIdentity", ClientError({"Error": {"Code": "ExpiredToken"}}, "GetCallerIdentity")),
        ("DescribeStacks", ClientError({"Error": {"Code": "AccessDenied"}}, "DescribeStacks")),
    ],
)
def test_refusals_say_how_to_sign_in(aws: Aws, operation: str, failure: Exception) -> None:
    aws.answers[operation] = failure
    with pytest.raises(CloudError, match="Sign in first"):
        find_deployment(CloudOptions("prod", region="eu-west-1"), ())


def test_an_unknown_profile_is_a_clear_refusal(aws: Aws) -> None:
    with pytest.raises(CloudError, match="nobody"):
        find_deployment(CloudOptions("prod", profile="nobody"), ())


def test_a_region_is_needed(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setattr(boto3.session.Session, "region_name", property(lambda session: None))
    with pytest.raises(CloudError, match="pass --region"):
        find_deployment(CloudOptions("prod"), ())


def test_lists_are_split_as_cloudformation_does() -> None:
    assert split_list("a, b,,c ") == ("a", "b", "c")
