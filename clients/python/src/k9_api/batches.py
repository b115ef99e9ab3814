"""Storing any number of embeddings: sent batch after batch, and what became of each item told."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from .api import Api, Call
from .effects import Plan, sleep
from .errors import (
    FieldError,
    K9Error,
    NotSendable,
    OutcomeUnknown,
    ProblemError,
    TooManyRequests,
    Unavailable,
    UnexpectedAnswer,
)
from .models.embeddings import BatchResult, ItemResult, NewEmbedding
from .operations import STORE_EMBEDDINGS
from .problems import item_problem
from .splitting import Part, Splitter, batch_json, item_json, room_for_items

_ITEM_PAUSE = 1.0
"""Seconds that an item which was throttled waits at least, as the Retry-After of its own answer would have said."""


@dataclass(frozen=True, slots=True)
class FailedItem:
    """An item that is not stored, its place among those given, and why; OutcomeUnknown: it may be stored after all."""

    index: int
    item: NewEmbedding
    error: K9Error


@dataclass(frozen=True, slots=True)
class StoreReport:
    """What became of the items: how many are new, how many replaced another, and each that failed, in their order."""

    created: int = 0
    replaced: int = 0
    failed: tuple[FailedItem, ...] = ()

    @property
    def stored(self) -> int:
        return self.created + self.replaced

    def raise_for_failures(self) -> None:
        """Raises the error of the first item that failed, if one did."""
        if self.failed:
            first = self.failed[0]
            first.error.add_note(f"item {first.index}; {self.stored} items were stored, {len(self.failed)} were not")
            raise first.error


class StoreInterrupted(K9Error):
    """A batch failed as a whole, and no further one was sent; `__cause__` says why.

    `report` has all that is known. The items that had been taken, `taken` in number, are stored or among its `failed`;
    those after them were not looked at.
    """

    def __init__(self, report: StoreReport, taken: int) -> None:
        super().__init__(report, taken)
        self.report = report
        self.taken = taken

    def __str__(self) -> str:
        return f"stopped after {self.taken} items: {self.report.stored} stored, {len(self.report.failed)} not"


def store_all(api: Api, items: Iterable[NewEmbedding], catalogue: str) -> Plan[StoreReport]:
    """Raises StoreInterrupted where a batch fails as a whole, its retries included."""
    tally = _Tally()
    room = room_for_items(catalogue)
    batches = Splitter(_sendable(items, room, tally), room)
    for batch in batches:
        settled: dict[int, ItemResult] = {}
        try:
            yield from _settle(api, batch, catalogue, settled)
        except K9Error as error:
            unsent = [] if batches.held is None else [batches.held]
            tally.add([*batch, *unsent], settled, error)
            raise StoreInterrupted(tally.report(), tally.taken) from error
        tally.add(batch, settled)
    return tally.report()


class _Tally:
    """What became of the items so far."""

    def __init__(self) -> None:
        self.taken = 0
        self._created = self._replaced = 0
        self._failed: list[FailedItem] = []

    def fail(self, index: int, item: NewEmbedding, error: K9Error) -> None:
        self._failed.append(FailedItem(index, item, error))

    def add(self, parts: Sequence[Part], settled: Mapping[int, ItemResult], otherwise: K9Error | None = None) -> None:
        """The results of a batch; a part without one has failed for the reason that ended the batch."""
        for part in parts:
            result = settled.get(part.index)
            error = otherwise if result is None else _error_of(result)
            if error is not None:
                self.fail(part.index, part.item, error)
            elif result is not None and result.status == 201:
                self._created += 1
            else:
                self._replaced += 1

    def report(self) -> StoreReport:
        failed = tuple(sorted(self._failed, key=lambda failure: failure.index))
        return StoreReport(self._created, self._replaced, failed)


def _sendable(items: Iterable[NewEmbedding], room: int, tally: _Tally) -> Iterator[Part]:
    """The items that can be sent; the others fail here, and stop none."""
    for index, item in enumerate(items):
        tally.taken = index + 1
        try:
            part = Part(index, item, item_json(item))
        except NotSendable as error:
            tally.fail(index, item, error)
            continue
        if len(part.content) + 1 > room:
            size = f"the item takes {len(part.content)} bytes as JSON, and a body has room for {room - 1}"
            tally.fail(index, item, NotSendable(size))
            continue
        yield part


def _settle(api: Api, batch: Sequence[Part], catalogue: str, settled: dict[int, ItemResult]) -> Plan[None]:
    """Fills `settled` with each part's result; what failed for a passing reason is sent again, as the policy says.

    An item that was throttled is not stored, so it goes out again with its like alone. One whose outcome is unknown
    must meet its own write again: the API tells the writes of a batch apart by their places in it, hence the whole
    batch is repeated under its key, and every item that was stored is recognised.
    """
    sent, key = list(batch), api.runtime.new_key()
    started = api.runtime.clock()
    for number in count(1):
        call = Call(STORE_EMBEDDINGS, body=batch_json(sent, catalogue), idempotency_key=key)
        results = _in_order((yield from api.fetch(BatchResult, call)), len(sent))
        for part, result in zip(sent, results, strict=True):
            if part.index not in settled or _is_passing(settled[part.index]):
                settled[part.index] = result
        again = [part for part in sent if _is_passing(settled[part.index])]
        pause = api.policy.pause(number, _ITEM_PAUSE, api.runtime.jitter)
        is_late = api.runtime.clock() - started + pause > api.policy.deadline
        if not again or number >= api.policy.attempts or is_late:
            return
        if not any(isinstance(_error_of(settled[part.index]), OutcomeUnknown) for part in again):
            sent, key = again, api.runtime.new_key()
        yield from sleep(pause)


def _in_order(answer: BatchResult, expected: int) -> list[ItemResult]:
    """Raises UnexpectedAnswer where the answer does not speak of every item once."""
    results = sorted(answer.results, key=lambda result: result.index)
    if [result.index for result in results] != list(range(expected)):
        raise UnexpectedAnswer(f"the answer has not one result for each of the {expected} items")
    return results


def _is_passing(result: ItemResult) -> bool:
    return isinstance(_error_of(result), TooManyRequests | Unavailable | OutcomeUnknown)


def _error_of(result: ItemResult) -> ProblemError | None:
    if result.problem is None:
        return None
    faults = [FieldError(fault.pointer, fault.message) for fault in result.errors or ()]
    return item_problem(result.status, result.problem, result.detail, faults)
