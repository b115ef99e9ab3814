"""What tells the tables of a migration from others of the same names."""

from datetime import UTC, datetime
from typing import Any

import boto3
import pytest

from scripts.migration.failure import MigrationError
from scripts.migration.target import Target
from tests.support.faults import answering, faulty
from tests.support.tables import create_tables


def again(target: Target) -> Target:
    return Target(target.settings, connections=1)


def test_the_same_tables_are_known_again(target: Target) -> None:
    assert again(target).identity == target.identity


def test_a_table_that_was_made_anew_is_another(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    before = target.identity
    client = boto3.client("dynamodb")
    for table in client.list_tables()["TableNames"]:
        client.delete_table(TableName=table)
    create_tables(client, "test")
    assert again(target).identity != before


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"TableId": "1"}, {"TableId": "2"}),
        ({"TableArn": "of:1"}, {"TableArn": "of:2"}),
        (
            {"CreationDateTime": datetime(2026, 1, 1, tzinfo=UTC)},
            {"CreationDateTime": datetime(2026, 1, 2, tzinfo=UTC)},
        ),
    ],
)
def test_a_table_of_another_account_is_another(
    one: dict[str, Any], other: dict[str, Any], target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    def identity(own: dict[str, Any]) -> str:
        made = again(target)
        plain = {"TableArn": "of:1", "CreationDateTime": datetime(2026, 1, 1, tzinfo=UTC)}
        client: Any = made.reader.client
        with monkeypatch.context() as patch:
            patch.setattr(client, "describe_table", lambda TableName: {"Table": {**plain, **own}})
            return made.identity

    assert identity(one) == identity(one)
    assert identity(one) != identity(other)


def test_tables_that_cannot_be_described_are_told(target: Target) -> None:
    fault = answering(400, "AccessDeniedException", message="no")
    with faulty(target.reader, fault), pytest.raises(MigrationError, match="k9-users-test cannot be described"):
        assert target.identity
