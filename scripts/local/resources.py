"""The template's tables and bucket, made in a store that does not have them yet."""

from typing import TYPE_CHECKING

from scripts.local.template import Table, Template

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client


def create_tables(client: "DynamoDBClient", template: Template, environment: str) -> list[str]:
    """Creates what is missing; gives the names of the tables that are new."""
    present = set(client.list_tables()["TableNames"])
    missing = [table for table in template.tables(environment) if table.name not in present]
    for table in missing:
        _create_table(client, table)
    return [table.name for table in missing]


def _create_table(client: "DynamoDBClient", table: Table) -> None:
    client.create_table(**table.create)
    client.get_waiter("table_exists").wait(TableName=table.name, WaiterConfig={"Delay": 1, "MaxAttempts": 10})
    if table.time_to_live:
        client.update_time_to_live(TableName=table.name, TimeToLiveSpecification=table.time_to_live)  # type: ignore[arg-type]


def create_bucket(client: "S3Client", name: str) -> None:
    present = {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
    if name not in present:
        client.create_bucket(Bucket=name)
