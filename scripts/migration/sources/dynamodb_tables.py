"""DynamoDB tables of an older layout, such as embeddings that are keyed by product_id alone, read by consistent scans.

DynamoDB has no snapshot of a table: nothing may write to it meanwhile, and a reading that gives other rows than the one
before it ends with an error. Where it cannot be still, its export to S3 can be read instead.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from scripts.deployment.failure import explain
from scripts.migration.sources.dynamodb_values import plain_item
from scripts.migration.sources.key_text import key_text
from scripts.migration.sources.options import Options
from scripts.migration.sources.source import SourceError, SourceRow, UnreadableRow

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_CONFIG = Config(connect_timeout=5, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 10})
_ITEMS_AT_A_TIME = 1000
"""DynamoDB itself ends a page at one megabyte, other stores may not."""

_MASK = 2**128 - 1


@dataclass(slots=True)
class _Content:
    """What a reading gave, whatever its order."""

    rows: int = 0
    digest: int = 0

    def add(self, row: dict[str, Any]) -> None:
        text = json.dumps(row, sort_keys=True, default=repr)
        self.rows += 1
        self.digest = (self.digest + int.from_bytes(blake2b(text.encode(), digest_size=16).digest())) & _MASK


@dataclass(frozen=True, slots=True)
class DynamoDbTables:
    client: "DynamoDBClient"
    region: str
    tables: list[str]
    read: dict[str, _Content] = field(default_factory=dict)

    def collections(self) -> list[str]:
        return self.tables

    def rows(self, collection: str) -> Iterator[SourceRow | UnreadableRow]:
        if collection not in self.tables:
            there = ", ".join(self.tables) or "none of those that the mapping names"
            raise SourceError(f"There is no table {collection} in {self.region}; there is {there}.")
        return self._rows(collection)

    def left_out(self) -> dict[str, int]:
        return {}

    def close(self) -> None:
        self.client.close()

    def _rows(self, table: str) -> Iterator[SourceRow | UnreadableRow]:
        content = _Content()
        try:
            key = self._key(table)
            for item in self._items(table):
                row = plain_item(item)
                content.add(row)
                yield SourceRow(f"{table}/{key_text([row[name] for name in key])}", row)
        except (BotoCoreError, ClientError) as error:
            raise SourceError(f"The table {table} cannot be read. {explain(error)}") from error
        if self.read.setdefault(table, content) != content:
            raise SourceError(
                f"The table {table} was written to since it was first read: stop what writes to it and start again, or "
                "export it to S3 and migrate that (dynamodb-export:FOLDER)."
            )

    def _items(self, table: str) -> Iterator[dict[str, Any]]:
        pages = self.client.get_paginator("scan").paginate(
            TableName=table, ConsistentRead=True, PaginationConfig={"PageSize": _ITEMS_AT_A_TIME}
        )
        for page in pages:
            yield from page["Items"]

    def _key(self, table: str) -> list[str]:
        schema = self.client.describe_table(TableName=table)["Table"]["KeySchema"]
        return [part["AttributeName"] for part in schema]


def open_source(place: str, options: Options) -> DynamoDbTables:
    """The tables of a region that the mapping names; AWS_ENDPOINT_URL_DYNAMODB leads to another DynamoDB than AWS's."""
    if not place:
        raise SourceError("The address of DynamoDB tables is dynamodb:REGION, such as dynamodb:us-east-1.")
    client = boto3.session.Session(region_name=place).client("dynamodb", config=_CONFIG)
    try:
        pages = client.get_paginator("list_tables").paginate()
        tables = [name for page in pages for name in page["TableNames"] if options.wants(name)]
    except (BotoCoreError, ClientError) as error:
        raise SourceError(f"{explain(error)} The source takes the profile that AWS_PROFILE names.") from error
    return DynamoDbTables(client, place, tables)
