"""The floor: one `get_item` of a boto3 client as it comes; no token, no model, no web layer."""

import os
from typing import Any

import boto3

client = boto3.client("dynamodb")


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    key = {"id": {"S": event["pathParameters"]["report_id"]}}
    answer = client.get_item(TableName=os.environ["DYNAMODB_REPORTS_TABLE"], Key=key, ConsistentRead=True)
    return {"statusCode": 200 if "Item" in answer else 404}
