"""The tables of the shipped template, made in any engine that speaks the DynamoDB protocol."""

from functools import lru_cache
from typing import TYPE_CHECKING

from scripts.local.template import Table, Template
from tests.support.environment import ENVIRONMENT

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


def create_tables(client: "DynamoDBClient", environment: str = ENVIRONMENT) -> None:
    for table in _tables(environment):
        client.create_table(**table.create)


@lru_cache
def _tables(environment: str) -> list[Table]:
    return Template.load().tables(environment)
