"""The tables of the shipped template, made in any engine that speaks the DynamoDB protocol."""

from typing import TYPE_CHECKING

from scripts.local.template import Template
from tests.support.environment import ENVIRONMENT

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


def create_tables(client: "DynamoDBClient", environment: str = ENVIRONMENT) -> None:
    for table in Template.load().tables(environment):
        client.create_table(**table.create)


def delete_tables(client: "DynamoDBClient", environment: str = ENVIRONMENT) -> None:
    for table in Template.load().tables(environment):
        client.delete_table(TableName=table.name)
