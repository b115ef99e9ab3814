"""Which rows of the tables a migration has written: they are signed with ids that follow from their keys."""

from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from scripts.deployment.failure import explain
from scripts.migration.failure import MigrationError
from scripts.migration.rules import Table
from scripts.migration.target import Target
from scripts.migration.target_rows import CREATED_BY, KEYS, derived_id
from shared.database.attributes import Row, from_item


def signed_rows(target: Target, table: Table) -> Iterator[Row]:
    """Key, owner and signature of every row that has one, whoever made it. Raises MigrationError.

    The scan is eventually consistent, which costs half: an index of who wrote what does not exist.
    """
    names = {f"#{place}": name for place, name in enumerate({*KEYS[table], "user_id", CREATED_BY, "deleted_at"})}
    request: dict[str, Any] = {
        "TableName": target.tables[table],
        "ProjectionExpression": ", ".join(names),
        "ExpressionAttributeNames": names,
    }
    while True:
        page = _scan(target, request)
        rows = (from_item(item) for item in page["Items"])
        yield from (row for row in rows if CREATED_BY in row and "user_id" in row)
        if "LastEvaluatedKey" not in page:
            return
        request["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def write_id(table: Table, row: Row, source: str) -> str:
    """What a migration of `source` signs the row with, as Transformer and Registry do."""
    if table == "embeddings":
        model_version = str(row["owner_model"]).partition("#")[2]
        return derived_id("write", source, table, row["user_id"], model_version, row["product_id"])
    return derived_id("write", source, table, row[KEYS[table][0]])


def _scan(target: Target, request: dict[str, Any]) -> Mapping[str, Any]:
    try:
        return target.reader.client.scan(**request)
    except (BotoCoreError, ClientError) as error:
        raise MigrationError(f"The table {request['TableName']} cannot be read. {explain(error)}") from error
