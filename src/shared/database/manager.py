"""The connection to DynamoDB: which tables, through which client, with every call counted and bounded."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from decimal import Decimal
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from ..config import Settings, get_settings
from ..models.json_value import find_fault
from ..process import before_snapshot, per_process
from ..scope import current_scope
from .attempts import TooLateToSend, watch_attempts
from .attributes import simplify
from .calls import counted_call
from .failures import raise_client_error, raise_transport_error
from .settled import Settled

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource, Table

Operation = Literal["get_item", "batch_get_item", "put_item", "update_item", "delete_item", "batch_write_item", "query"]
_READS = frozenset({"get_item", "batch_get_item", "query"})


class DatabaseManager:
    """Access to the three tables. The client is made on first use and shared by all threads.

    `get_users_table` and its siblings give boto3's own Table objects, for scripts; the repositories use `call`.
    """

    def __init__(self, settings: Settings | None = None, client: DynamoDBClient | None = None) -> None:
        self._settings = settings
        self._client = client
        self._resource: DynamoDBServiceResource | None = None
        self._lock = threading.Lock()
        self.settled = Settled()
        if client is not None:
            watch_attempts(client.meta.events)

    @property
    def settings(self) -> Settings:
        return self._settings or get_settings()

    @property
    def client(self) -> DynamoDBClient:
        if self._client is None:
            with self._lock:
                if self._client is None:
                    from .client import new_client  # the SDK takes as long to import as all the rest

                    self._client = new_client(self.settings)
        return self._client

    def call(
        self, operation: Operation, *, send_by: float | None = None, is_once: bool = False, **parameters: Any
    ) -> dict[str, Any]:
        """One DynamoDB call, its time checked and its cost entered into the request's scope.

        No try of it is sent after `send_by` (`time.monotonic()`, seconds), nor, where it `is_once`, after one that may
        have been applied. Raises ConditionRefused, PayloadTooLarge, TooManyRequests, Unavailable or OutcomeUnknown (a
        write whose answer is lost); any other AWS error as it is.
        """
        with counted_call(send_by, is_once=is_once) as attempts:
            try:
                answer: dict[str, Any] = getattr(self.client, operation)(ReturnConsumedCapacity="TOTAL", **parameters)
            except ClientError as error:
                raise_client_error(error, attempts, is_write=operation not in _READS)
            except (BotoCoreError, ResponseParserError, TooLateToSend) as error:
                raise_transport_error(error, attempts, is_write=operation not in _READS)
        scope = current_scope()
        if scope:
            scope.count_capacity(_capacity(answer))
        return answer

    def get_users_table(self) -> Table:
        return self._table(self.settings.users_table)

    def get_reports_table(self) -> Table:
        return self._table(self.settings.reports_table)

    def get_embeddings_table(self) -> Table:
        return self._table(self.settings.embeddings_table)

    @staticmethod
    def convert_decimals(value: Any) -> Any:
        """`value` with every Decimal made an int or a float, unless only the Decimal holds it exactly."""
        if isinstance(value, list):
            return [DatabaseManager.convert_decimals(member) for member in value]
        if isinstance(value, Mapping):
            return {name: DatabaseManager.convert_decimals(member) for name, member in value.items()}
        return simplify(value) if isinstance(value, Decimal) else value

    @staticmethod
    def prepare_for_dynamodb(value: Any) -> Any:
        """`value` as boto3's Table objects take it: floats become the Decimal that prints alike.

        Raises ValueError, with a JSON Pointer, for what DynamoDB cannot hold.
        """
        fault = find_fault(_as_json(value), is_item=isinstance(value, Mapping))
        if fault:
            raise ValueError(f"{fault.pointer or 'the value'} {fault.reason}")
        return _with_decimals(value)

    def _table(self, name: str) -> Table:
        if self._resource is None:
            import boto3  # only scripts come here; the request path never pays for boto3's resource layer

            self._resource = boto3.resource(
                "dynamodb", region_name=self.settings.dynamodb_region, endpoint_url=self.settings.dynamodb_endpoint
            )
        return self._resource.Table(name)


@before_snapshot
def _import_client() -> None:
    import_module(".client", __package__)


@per_process
def default_manager() -> DatabaseManager:
    """The process's own manager, configured by the environment."""
    return DatabaseManager()


def _capacity(answer: Mapping[str, Any]) -> float:
    """Capacity units of an answer; those of a batch come table by table."""
    stated = answer.get("ConsumedCapacity", {})
    return float(sum(entry.get("CapacityUnits", 0) for entry in (stated if isinstance(stated, list) else [stated])))


def _as_json(value: Any) -> Any:
    """`value` with DynamoDB's own types in JSON's clothes: a set as a list, a binary as text."""
    if isinstance(value, Mapping):
        return {name: _as_json(member) for name, member in value.items()}
    if isinstance(value, list | set | frozenset):
        return [_as_json(member) for member in value]
    return "" if isinstance(value, bytes) else value


def _with_decimals(value: Any) -> Any:
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, Mapping):
        return {name: _with_decimals(member) for name, member in value.items()}
    if isinstance(value, set | frozenset):
        return {_with_decimals(member) for member in value}
    return [_with_decimals(member) for member in value] if isinstance(value, list) else value
