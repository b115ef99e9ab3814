"""Tables and buckets in moto: what counts as data, and that nothing foreign is removed."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from scripts.deployment import bucket, names, tables
from scripts.deployment.account import Account, sign_in
from scripts.deployment.failure import DeploymentError
from scripts.local import resources
from scripts.local.template import Template

TABLE = "k9-embeddings-dev"
KEY = {"product_id": {"S": "p"}, "owner_model": {"S": "u#m"}}


@pytest.fixture
def account() -> Iterator[Account]:
    with mock_aws():
        resources.create_tables(boto3.client("dynamodb"), Template.load(), "dev")
        yield sign_in(None, None)


@pytest.fixture
def s3(account: Account) -> Any:
    client = boto3.client("s3")
    client.create_bucket(Bucket="mine")
    client.put_bucket_versioning(Bucket="mine", VersioningConfiguration={"Status": "Enabled"})
    return client


def test_an_empty_table(account: Account) -> None:
    assert not tables.holds_data(account, TABLE)


def test_a_row_is_data(account: Account) -> None:
    boto3.client("dynamodb").put_item(TableName=TABLE, Item=KEY)
    assert tables.holds_data(account, TABLE)


def test_a_deleted_embedding_is_none(account: Account) -> None:
    boto3.client("dynamodb").put_item(TableName=TABLE, Item={**KEY, "deleted_at": {"S": "2026-01-01"}})
    assert not tables.holds_data(account, TABLE)


def test_pages_are_read_to_the_end(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    pages: list[dict[str, Any]] = [
        {"Count": 0, "LastEvaluatedKey": KEY},
        {"Count": 0, "LastEvaluatedKey": KEY},
        {"Count": 1},
    ]
    asked: list[dict[str, Any]] = []

    class Client:
        def scan(self, **question: Any) -> dict[str, Any]:
            asked.append(question)
            return pages[len(asked) - 1]

    monkeypatch.setattr(Account, "client", lambda account, service: Client())
    assert tables.holds_data(account, TABLE)
    assert [question.get("ExclusiveStartKey") for question in asked] == [None, KEY, KEY]
    assert all(question["ConsistentRead"] for question in asked)


def test_a_protected_table_is_deleted(account: Account) -> None:
    boto3.client("dynamodb").update_table(TableName=TABLE, DeletionProtectionEnabled=True)
    tables.delete(account, TABLE)
    assert not names.table_exists(account, TABLE)
    assert names.table_exists(account, "k9-users-dev")


def test_every_version_is_deleted(account: Account, s3: Any) -> None:
    for number in range(5):
        s3.put_object(Bucket="mine", Key=f"similarity/{number % 2}", Body=b"x")
    s3.delete_object(Bucket="mine", Key="similarity/0")
    bucket.ensure_ours(account, "mine")
    assert bucket.delete(account, "mine") == 6
    assert names.bucket_owner(account, "mine") == "nobody"


def test_an_empty_bucket(account: Account, s3: Any) -> None:
    bucket.ensure_ours(account, "mine")
    assert bucket.delete(account, "mine") == 0


@pytest.mark.parametrize("key", ["photo.jpg", "photos/cat.jpg", "similarity", "similarity2/x"])
def test_a_bucket_with_something_else(account: Account, s3: Any, key: str) -> None:
    s3.put_object(Bucket="mine", Key="similarity/a", Body=b"x")
    s3.put_object(Bucket="mine", Key=key, Body=b"x")
    with pytest.raises(DeploymentError, match="is not of K9 API: it is not emptied"):
        bucket.ensure_ours(account, "mine")


def test_something_else_that_was_deleted_counts(account: Account, s3: Any) -> None:
    s3.put_object(Bucket="mine", Key="photo.jpg", Body=b"x")
    s3.delete_object(Bucket="mine", Key="photo.jpg")
    with pytest.raises(DeploymentError, match=r"photo\.jpg"):
        bucket.ensure_ours(account, "mine")


def test_objects_that_cannot_be_deleted(account: Account, s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    s3.put_object(Bucket="mine", Key="similarity/a", Body=b"x")
    real = Account.client

    def client(one: Account, service: str) -> Any:
        made = real(one, service)
        denied = {"Errors": [{"Key": "similarity/a", "Code": "AccessDenied", "Message": "No."}]}
        monkeypatch.setattr(made, "delete_objects", lambda **arguments: denied)
        return made

    monkeypatch.setattr(Account, "client", client)
    with pytest.raises(DeploymentError, match="1 objects of mine could not be deleted"):
        bucket.delete(account, "mine")
    assert s3.list_objects_v2(Bucket="mine")["KeyCount"] == 1


def test_names_are_those_of_the_template(account: Account) -> None:
    assert names.table_names("prod") == ["k9-users-prod", "k9-reports-prod", "k9-embeddings-prod", "k9-limits-prod"]
    number = account.number
    assert names.default_bucket("prod", account) == Template.load().bucket("prod", account=number)
