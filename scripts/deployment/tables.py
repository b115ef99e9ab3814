"""The tables of an environment that is taken down: looked into, and deleted once they are known to be empty."""

from typing import Any

from scripts.deployment.account import Account


def holds_data(account: Account, table: str) -> bool:
    """Whether there is a row now. The count that AWS shows for a table is hours old.

    Embeddings that were deleted stay as rows with `deleted_at` for some days; they are nobody's data.
    """
    client = account.client("dynamodb")
    question: dict[str, Any] = {
        "TableName": table,
        "ConsistentRead": True,
        "Select": "COUNT",
        "FilterExpression": "attribute_not_exists(deleted_at)",
    }
    while True:
        page = client.scan(**question)
        if page["Count"]:
            return True
        if "LastEvaluatedKey" not in page:  # an empty page is not the end
            return False
        question["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def delete(account: Account, table: str) -> None:
    """For a table without data alone: the caller has looked."""
    client = account.client("dynamodb")
    client.update_table(TableName=table, DeletionProtectionEnabled=False)
    client.get_waiter("table_exists").wait(TableName=table)
    client.delete_table(TableName=table)
    client.get_waiter("table_not_exists").wait(TableName=table)
