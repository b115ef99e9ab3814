"""The tables and the bucket: the shapes that the design names, and what guards their data."""

from typing import Any

import pytest

from scripts.local.template import Table, Template
from shared.account.export_status import KEPT
from shared.similarity.objects import export_prefix
from tests.template.transformed import stack

TEMPLATE = Template.load()
STACK = stack()
COUNTING = "LimitsTable"
"""It holds what is counted anew where it is lost."""

GUARDED = sorted(set(STACK.of("AWS::DynamoDB::Table")) - {COUNTING})


def table(name: str) -> Table:
    return next(table for table in TEMPLATE.tables("dev") if table.name == f"k9-{name}-dev")


def keys(schema: list[dict[str, str]]) -> list[tuple[str, str]]:
    return [(part["AttributeName"], part["KeyType"]) for part in schema]


def test_the_tables_are_named_after_the_environment() -> None:
    assert {table.name for table in TEMPLATE.tables("prod")} == {
        "k9-users-prod",
        "k9-reports-prod",
        "k9-embeddings-prod",
        "k9-limits-prod",
    }


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("users", [("user_id", "HASH")]),
        ("reports", [("id", "HASH")]),
        ("embeddings", [("product_id", "HASH"), ("owner_model", "RANGE")]),
        ("limits", [("user_id", "HASH")]),
    ],
)
def test_keys(name: str, key: list[tuple[str, str]]) -> None:
    assert keys(table(name).create["KeySchema"]) == key


@pytest.mark.parametrize(
    ("name", "index", "key"),
    [
        ("reports", "UserReportsIndex", [("user_id", "HASH"), ("created_at", "RANGE")]),
        ("embeddings", "ModelVersionIndex", [("owner_model", "HASH"), ("updated_at", "RANGE")]),
    ],
)
def test_indexes(name: str, index: str, key: list[tuple[str, str]]) -> None:
    (found,) = table(name).create["GlobalSecondaryIndexes"]
    assert found["IndexName"] == index
    assert keys(found["KeySchema"]) == key
    assert found["Projection"] == {"ProjectionType": "ALL"}


def test_users_have_no_index() -> None:
    assert "GlobalSecondaryIndexes" not in table("users").create


@pytest.mark.parametrize("name", ["users", "reports", "embeddings", "limits"])
def test_every_declared_attribute_is_a_string_and_part_of_a_key(name: str) -> None:
    create = table(name).create
    schemas = [create["KeySchema"], *(index["KeySchema"] for index in create.get("GlobalSecondaryIndexes", []))]
    used = {attribute for schema in schemas for attribute, _ in keys(schema)}
    declared = {item["AttributeName"]: item["AttributeType"] for item in create["AttributeDefinitions"]}
    assert declared == dict.fromkeys(used, "S")


def test_only_embeddings_expire() -> None:
    expiring = {table.name: table.time_to_live for table in TEMPLATE.tables("dev") if table.time_to_live}
    assert expiring == {"k9-embeddings-dev": {"AttributeName": "expires_at", "Enabled": True}}


def resource(logical_id: str) -> dict[str, Any]:
    return STACK.resources[logical_id]


@pytest.mark.parametrize("logical_id", GUARDED)
def test_tables_survive_mistakes(logical_id: str) -> None:
    body = resource(logical_id)
    assert (body["DeletionPolicy"], body["UpdateReplacePolicy"]) == ("Retain", "Retain")
    properties = body["Properties"]
    assert properties["DeletionProtectionEnabled"] is True
    assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert properties["SSESpecification"] == {"SSEEnabled": True}
    assert properties["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}
    assert properties["BillingMode"] == "PAY_PER_REQUEST"


def test_what_is_counted_anew_goes_with_the_stack_and_is_encrypted_all_the_same() -> None:
    body = resource(COUNTING)
    assert (body["DeletionPolicy"], body["UpdateReplacePolicy"]) == ("Delete", "Delete")
    properties = body["Properties"]
    assert not {"DeletionProtectionEnabled", "StreamSpecification"} & properties.keys()
    assert properties["SSESpecification"] == {"SSEEnabled": True}
    assert properties["BillingMode"] == "PAY_PER_REQUEST"


def test_bucket_is_private_encrypted_and_versioned() -> None:
    body = resource("SimilarityBucket")
    assert (body["DeletionPolicy"], body["UpdateReplacePolicy"]) == ("Retain", "Retain")
    properties = body["Properties"]
    assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(properties["PublicAccessBlockConfiguration"]) == 4
    assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
    assert properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]


def test_nothing_else_is_a_table_or_a_bucket() -> None:
    assert GUARDED == ["EmbeddingsTable", "ReportsTable", "UsersTable"]
    assert list(STACK.of("AWS::S3::Bucket")) == ["SimilarityBucket"]


def test_bucket_drops_unfinished_uploads() -> None:
    rules = resource("SimilarityBucket")["Properties"]["LifecycleConfiguration"]["Rules"]
    assert any("AbortIncompleteMultipartUpload" in rule and rule["Status"] == "Enabled" for rule in rules)


def test_bucket_drops_what_was_made_for_a_while_with_all_its_versions() -> None:
    rules = resource("SimilarityBucket")["Properties"]["LifecycleConfiguration"]["Rules"]
    made_for_a_while = {rule["Prefix"]: rule for rule in rules if "ExpirationInDays" in rule}
    days = {prefix: rule["ExpirationInDays"] for prefix, rule in made_for_a_while.items()}
    assert days == {export_prefix("o").removesuffix("o/"): KEPT.days, "uploads/": 1, "erasures/": 30}
    for rule in made_for_a_while.values():
        assert (rule["Status"], rule["NoncurrentVersionExpiration"]) == ("Enabled", {"NoncurrentDays": 1})


def test_bucket_refuses_requests_without_tls() -> None:
    (statement,) = resource("SimilarityBucketPolicy")["Properties"]["PolicyDocument"]["Statement"]
    name = "arn:aws:s3:::k9-similarity-dev-000000000000"
    assert statement["Effect"] == "Deny"
    assert statement["Resource"] == [name, f"{name}/*"]
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
