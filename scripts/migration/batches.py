"""Unconditional batches, for a table that was found empty under the lock: 25 rows a call.

What DynamoDB leaves unprocessed is sent again. A call without an answer is not: whether it was applied, and whether
somebody has changed a row since, is not known then, so its rows go on as puts on a condition.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from scripts.migration.calls import Caller, GaveUp, units_of
from scripts.migration.journal import Outcome
from scripts.migration.puts import ConditionalPuts
from scripts.migration.target_rows import KEYS, TargetRow, key_bytes
from shared.database.attributes import Item, from_item
from shared.database.calls import counted_call
from shared.database.failures import raise_client_error, raise_transport_error
from shared.database.manager import DatabaseManager
from shared.errors import OutcomeUnknown, PayloadTooLarge

MOST_ITEMS = 25
MOST_BYTES = 1024 * 1024
"""DynamoDB takes 16 MB in a request; but many requests wait at once, and memory is to stay flat with large rows too."""

_ROUNDS = 12

Written = tuple[TargetRow, Outcome | None]


class Batches:
    """Writes batches of rows of one table with different keys."""

    def __init__(self, manager: DatabaseManager, puts: ConditionalPuts, caller: Caller) -> None:
        self._manager = manager
        self._puts = puts
        self._caller = caller
        self.unprocessed = 0

    def write(self, table: str, rows: Sequence[TargetRow]) -> Iterator[Written]:
        """Every row with its outcome, as soon as it is known; None for one that could not be written after all rounds.

        Raises Stopped or MigrationError.
        """
        waiting = {row.key_bytes: row for row in rows}
        for attempt in range(_ROUNDS):
            self._caller.pause(attempt)
            try:
                left = self._send(table, list(waiting.values()))
            except GaveUp:
                break
            if left is None:
                yield from self._put_singly(list(waiting.values()))
                return
            yield from ((waiting[key], Outcome.WRITTEN) for key in waiting.keys() - left)
            waiting = {key: waiting[key] for key in left}
            if not waiting:
                return
            self.unprocessed += len(waiting)
            self._caller.concurrency.throttled()
        yield from ((row, None) for row in waiting.values())

    def _send(self, table: str, rows: Sequence[TargetRow]) -> set[bytes] | None:
        """The keys of the rows that were left unprocessed; None where there was no answer. Raises GaveUp."""
        requests = {table: [{"PutRequest": {"Item": row.item}} for row in rows]}
        estimate = sum(row.write_units for row in rows)
        answer = self._caller.call(lambda: self._call(requests), estimate, lambda got: units_of(got or {}))
        if answer is None:
            return None
        left = answer.get("UnprocessedItems", {}).get(table, [])
        return {_key_of(request["PutRequest"]["Item"], rows[0]) for request in left}

    def _call(self, requests: Mapping[str, Any]) -> dict[str, Any] | None:
        """The answer; None where it is not known what was applied, or which item is too large. Raises as `failures`."""
        with counted_call() as attempts:
            try:
                client: Any = self._manager.client
                answer: dict[str, Any] = client.batch_write_item(RequestItems=requests, ReturnConsumedCapacity="TOTAL")
                return answer
            except ClientError as error:
                with suppress(OutcomeUnknown, PayloadTooLarge):
                    raise_client_error(error, attempts, is_write=True)
            except (BotoCoreError, ResponseParserError) as error:
                with suppress(OutcomeUnknown):
                    raise_transport_error(error, attempts, is_write=True)
        return None

    def _put_singly(self, rows: Sequence[TargetRow]) -> Iterator[Written]:
        for row in rows:
            try:
                outcome = self._puts.put(row)
            except GaveUp:
                yield row, None
            else:
                yield row, Outcome.WRITTEN if outcome is Outcome.PRESENT else outcome


def _key_of(item: Item, like: TargetRow) -> bytes:
    return key_bytes(like.table, from_item({name: item[name] for name in KEYS[like.table]}))
