"""Tables and bucket made from the template, in moto."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import boto3
import pytest
from moto import mock_aws

from scripts.local import demo, resources
from scripts.local.template import Template

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TEMPLATE = Template.load()


@pytest.fixture
def client() -> Iterator["DynamoDBClient"]:
    with mock_aws():
        yield boto3.client("dynamodb", region_name="us-east-1")


def test_what_is_missing_is_made_once(client: "DynamoDBClient") -> None:
    made = resources.create_tables(client, TEMPLATE, "dev")
    assert made == ["k9-users-dev", "k9-reports-dev", "k9-embeddings-dev", "k9-limits-dev"]
    assert resources.create_tables(client, TEMPLATE, "dev") == []


def test_embeddings_expire(client: "DynamoDBClient") -> None:
    resources.create_tables(client, TEMPLATE, "dev")
    found = client.describe_time_to_live(TableName="k9-embeddings-dev")["TimeToLiveDescription"]
    assert found == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires_at"}


def test_the_bucket_is_made_once() -> None:
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        resources.create_bucket(client, "k9-similarity-dev-1")
        resources.create_bucket(client, "k9-similarity-dev-1")
        assert [bucket["Name"] for bucket in client.list_buckets()["Buckets"]] == ["k9-similarity-dev-1"]


def test_the_store_remembers_its_demo_data(client: "DynamoDBClient") -> None:
    resources.create_tables(client, TEMPLATE, "dev")
    assert not demo.is_loaded(client, "k9-reports-dev")
    demo.mark_loaded(client, "k9-reports-dev")
    assert demo.is_loaded(client, "k9-reports-dev")
