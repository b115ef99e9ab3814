"""Uploads on their way through the stack: who may bring one, what the bucket calls, and when what is left goes."""

import pytest

from scripts.local.template import Deployment
from tests.template.transformed import Stack, stack, transform

STACK = stack()
NAMED = stack(Deployment("dev", "us-east-1_Pool", ("one",), ("*",), parameters={"BucketName": "our-bucket"}))
CHECK = "arn:aws:lambda:us-east-1:000000000000:function:k9-check-avatar-dev:live"


def bucket_name(made: Stack) -> str:
    return str(made.properties("SimilarityBucket")["BucketName"])


@pytest.mark.parametrize("made", [STACK, NAMED], ids=["bucket by rule", "bucket by name"])
class TestNotification:
    def test_the_bucket_calls_the_check_for_uploads_alone(self, made: Stack) -> None:
        (asked,) = made.properties("SimilarityBucket")["NotificationConfiguration"]["LambdaConfigurations"]
        assert asked == {
            "Event": "s3:ObjectCreated:*",
            "Function": CHECK,
            "Filter": {"S3Key": {"Rules": [{"Name": "prefix", "Value": "uploads/"}]}},
        }
        assert made.properties("CheckAvatarFunction")["FunctionName"] == "k9-check-avatar-dev"

    def test_only_this_bucket_of_this_account_may(self, made: Stack) -> None:
        permission = made.properties("CheckAvatarPermission")
        alias = made.properties(permission["FunctionName"])
        assert (alias["FunctionName"], alias["Name"]) == ("CheckAvatarFunction", "live")
        assert permission["SourceAccount"] == "000000000000"
        assert permission["SourceArn"] == f"arn:aws:s3:::{bucket_name(made)}"

    def test_the_check_works_on_that_bucket(self, made: Stack) -> None:
        variables = made.properties("CheckAvatarFunction")["Environment"]["Variables"]
        assert variables["SIMILARITY_BUCKET"] == bucket_name(made)
        assert variables["DYNAMODB_USERS_TABLE"] == "k9-users-dev"
        (policy,) = made.properties("CheckAvatarRole")["Policies"]
        of_s3 = [item["Resource"] for item in policy["PolicyDocument"]["Statement"] if "s3:" in item["Action"][0]]
        assert [arn.split("/")[0] for arn in of_s3] == [f"arn:aws:s3:::{bucket_name(made)}"] * 3


def test_what_the_check_needs_is_there_before_the_bucket_and_needs_none() -> None:
    """Otherwise CloudFormation finds a circle, or S3 refuses to be told of a function that it may not call."""
    resources = transform()["Resources"]
    needed: set[str] = {"SimilarityBucket"}
    found: set[str] = set()
    while needed - found:
        name = (needed - found).pop()
        found.add(name)
        needed |= references(resources[name]) & resources.keys()
    assert {"CheckAvatarPermission", "CheckAvatarFunction", "CheckAvatarRole", "UsersTable"} <= found
    before = found - {"SimilarityBucket"}
    assert not any("SimilarityBucket" in references(resources[name]) for name in before)


def references(value: object) -> set[str]:
    """The logical ids that a resource mentions."""
    if isinstance(value, str):
        return {part.partition("}")[0].partition(".")[0] for part in value.split("${")[1:]}
    if isinstance(value, list):
        return {name for member in value for name in references(member)}
    if not isinstance(value, dict):
        return set()
    named = {name for key in ("Ref", "DependsOn") for name in listed(value.get(key))}
    if "Fn::GetAtt" in value:
        named.add(listed(value["Fn::GetAtt"])[0])
    return named | {name for member in value.values() for name in references(member)}


def listed(value: object) -> list[str]:
    return [value] if isinstance(value, str) else list(value) if isinstance(value, list) else []


def test_a_browser_of_an_allowed_origin_may_send_a_form_and_fetch_a_file() -> None:
    (rule,) = STACK.properties("SimilarityBucket")["CorsConfiguration"]["CorsRules"]
    assert (rule["AllowedMethods"], rule["AllowedOrigins"]) == (["GET", "POST"], ["https://app.example.com"])
    assert rule["ExposedHeaders"] == ["Content-Disposition"]


def test_what_is_left_of_uploads_and_avatars_goes_within_two_days() -> None:
    rules = STACK.properties("SimilarityBucket")["LifecycleConfiguration"]["Rules"]
    by_prefix = {rule["Prefix"]: rule for rule in rules if "Prefix" in rule}
    assert by_prefix["uploads/"]["ExpirationInDays"] == 1
    assert "ExpirationInDays" not in by_prefix["avatars/"]
    assert {rule["NoncurrentVersionExpiration"]["NoncurrentDays"] for rule in by_prefix.values()} == {1}
    assert all(rule["Status"] == "Enabled" for rule in rules)
