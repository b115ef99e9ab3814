"""The reports table through `boto3.resource`, and the response model, for the peers."""

import os
from decimal import Decimal
from typing import Any

import boto3
from pydantic import BaseModel

table = boto3.resource("dynamodb").Table(os.environ["DYNAMODB_REPORTS_TABLE"])


class Report(BaseModel):
    id: str
    title: str
    author: str
    date: str
    reference: dict[str, Any] | None
    favorites: list[str]
    created_at: str
    updated_at: str
    version: int


def find_report(report_id: str, user_id: str) -> Report | None:
    """The user's report, or None where it is missing or another's."""
    item: dict[str, Any] | None = table.get_item(Key={"id": report_id}, ConsistentRead=True).get("Item")
    if item is None or item["user_id"] != user_id:
        return None
    return Report.model_validate({**_plain(item), "favorites": sorted(item.get("favorites", ()))})


def _plain(value: Any) -> Any:
    """boto3 makes every number a Decimal, which JSON would show as text."""
    if isinstance(value, dict):
        return {name: _plain(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_plain(member) for member in value]
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value
