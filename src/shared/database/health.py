"""Whether the tables answer: one cheap read each, of a key that no row has."""

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from ..errors import ApiError
from .manager import DatabaseManager

PROBE = {"S": "#health"}
"""The function's permissions allow this partition key alone, so that an open route can read no row."""


def failing_tables(manager: DatabaseManager) -> dict[str, Exception]:
    """The subjects (users, reports, embeddings) whose table does not answer, and why."""
    settings = manager.settings
    probes: dict[str, tuple[str, Mapping[str, Any]]] = {
        "users": (settings.users_table, {"user_id": PROBE}),
        "reports": (settings.reports_table, {"id": PROBE}),
        "embeddings": (settings.embeddings_table, {"product_id": PROBE, "owner_model": PROBE}),
    }
    faults = {subject: _fault(manager, table, key) for subject, (table, key) in probes.items()}
    return {subject: fault for subject, fault in faults.items() if fault is not None}


def _fault(manager: DatabaseManager, table: str, key: Mapping[str, Any]) -> Exception | None:
    try:
        manager.call("get_item", TableName=table, Key=key)
    except (ApiError, ClientError) as error:
        return error
    return None
