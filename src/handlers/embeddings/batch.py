"""The items of a batch: each read on its own, and answered as a request of its own would have been."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from shared.binding import invalid
from shared.database import DBProductEmbedding
from shared.errors import ApiError, FieldError, InvalidRequest
from shared.models.embedding import BatchResult, ItemFault, ItemResult, NewEmbedding

Item = DBProductEmbedding | ApiError


def read_items(documents: Sequence[Any], owner: str) -> list[Item]:
    """Each item as the embedding it is, or as the error it has."""
    items: list[Item] = []
    keys: set[tuple[str, str]] = set()
    for index, document in enumerate(documents):
        items.append(_read_item(document, index, owner, keys))
    return items


def results(documents: Sequence[Any], items: Sequence[Item], outcomes: Mapping[int, Item]) -> BatchResult:
    """The answer: `outcomes` has what became of the items that could be read."""
    listed = [
        _result(index, outcomes.get(index, item), _id_of(document))
        for index, (document, item) in enumerate(zip(documents, items, strict=True))
    ]
    stored = sum(result.problem is None for result in listed)
    return BatchResult(results=listed, stored=stored, failed=len(listed) - stored)


def _read_item(document: Any, index: int, owner: str, keys: set[tuple[str, str]]) -> Item:
    """A product may be in a batch once: its writes go out at the same time, in no order."""
    try:
        item = NewEmbedding.model_validate(document)
    except ValidationError as error:
        return invalid("item", error)
    key = (item.product_id, item.model_version)
    if key in keys:
        reason = "is in an earlier item of this batch, under the same model_version"
        return InvalidRequest("The item is invalid.", errors=[FieldError("/item/product_id", reason)])
    keys.add(key)
    return item.stored_by(owner)


def _id_of(document: Any) -> str | None:
    """What the item calls itself, whatever else is wrong with it."""
    product_id = document.get("product_id") if isinstance(document, dict) else None
    if not isinstance(product_id, str):
        return None
    try:
        product_id.encode()
    except UnicodeEncodeError:
        return None
    return product_id


def _result(index: int, outcome: Item, product_id: str | None) -> ItemResult:
    if isinstance(outcome, ApiError):
        return ItemResult(
            index=index,
            product_id=product_id,
            status=outcome.status,
            problem=outcome.slug,
            detail=outcome.detail,
            errors=[_fault(fault, index) for fault in outcome.errors] or None,
        )
    status = 201 if outcome.is_new else 200
    return ItemResult(index=index, product_id=product_id, status=status, version=outcome.version)


def _fault(fault: FieldError, index: int) -> ItemFault:
    """`/body/x` and `/item/x` of an item are `/body/items/{index}/x` of the batch; a header is the batch's own."""
    _, part, *steps = fault.pointer.split("/")
    if part not in ("body", "item"):
        return ItemFault(pointer=fault.pointer, message=fault.message)
    return ItemFault(pointer="/".join(["", "body", "items", str(index), *steps]), message=fault.message)
