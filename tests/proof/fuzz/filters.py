"""The filter language: parsing, and what a search finds with it among a handful of products."""

import json
from functools import lru_cache
from random import Random
from typing import Any

import numpy as np

from shared.database.index_rows import IndexRow
from shared.models import json_text
from shared.models.filters import FilterError, matches, parse_filter, paths_of
from shared.models.json_value import find_fault
from shared.similarity.index import ModelIndex
from shared.similarity.parts import Part
from shared.similarity.query import Query
from shared.similarity.segment import Segment

from . import json_mutation
from .filter_rules import lets_through, size_of
from .target import Raw, Target

_MAX_PRODUCTS = 8
_TIME = "2026-01-01T00:00:00.000000Z"
_VECTORS = [np.array([1.0, 0.25 * place], np.float32) for place in range(_MAX_PRODUCTS)]
_QUERY = np.array([1.0, 0.0], np.float32)


def check(data: bytes) -> str:
    """An input is a filter and a list of products, a line each: parsed, tested on each product, and searched with."""
    first, _, second = data.partition(b"\n")
    document = _object(first)
    if document is None:
        return "refused: no object"
    try:
        parsed = parse_filter(document)
    except FilterError as error:
        if not _leads_somewhere(error.pointer, document):
            raise AssertionError(f"{error.pointer} leads nowhere") from error
        return "refused"
    _check_limits(document, [".".join(path) for path in paths_of(parsed)])
    products, segment = _products(second)
    expected = [lets_through(document, product) for product in products]
    assert [matches(parsed, product) for product in products] == expected, "a product is taken for another"
    if segment is not None:
        segment.drop_columns()
        assert segment.columns.mask(parsed).tolist() == expected, "columns tell otherwise than products"
        query = Query(_QUERY, top_k=_MAX_PRODUCTS, filter=parsed)
        found = ModelIndex(2, (Part(segment),)).search(query)
        # The vectors turn away from the query, row by row, so those found come in the order of rows.
        assert [hit.product_id for hit in found] == [f"p{row}" for row, holds in enumerate(expected) if holds]
        assert all(hit.product == products[int(hit.product_id[1:])] for hit in found), "a product came back otherwise"
    return "accepted: some found" if any(expected) else "accepted"


def _object(text: bytes) -> dict[str, Any] | None:
    try:
        value = json_text.loads(text.decode())
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


@lru_cache(maxsize=256)
def _products(text: bytes) -> tuple[list[dict[str, Any]], Segment | None]:
    """Those of a list of objects that could be stored, and the segment of them where there are any.

    Remembered, as most inputs have the products of another one: making them takes longer than all the rest.
    """
    try:
        value = json_text.loads(text.decode())
    except (ValueError, RecursionError):
        return [], None
    listed = value if isinstance(value, list) else [value]
    products = [each for each in listed if isinstance(each, dict) and find_fault(each) is None][:_MAX_PRODUCTS]
    return products, Segment.of(list(map(_row, range(len(products)), products)), 2) if products else None


def _row(place: int, product: dict[str, Any]) -> IndexRow:
    return IndexRow(f"p{place}", _TIME, _VECTORS[place].tobytes(), product)


def _check_limits(document: dict[str, Any], paths: list[str]) -> None:
    count, deepest = size_of(document)
    assert count <= 100, f"{count} conditions are accepted"
    assert deepest <= 10, f"{deepest} operators inside one another are accepted"
    assert all(0 < len(path) <= 256 for path in paths), "a path is too long"


def _leads_somewhere(pointer: str, document: object) -> bool:
    """Whether a JSON Pointer (RFC 6901) names something in the document."""
    here: Any = document
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(here, dict) and name in here:
            here = here[name]
        elif isinstance(here, list) and name.isdecimal() and int(name) < len(here):
            here = here[int(name)]
        else:
            return False
    return not pointer or pointer[0] == "/"


_OPERATORS = ("$eq", "$ne", "$in", "$nin", "$gt", "$gte", "$lt", "$lte", "$exists", "$not", "$and", "$or")
_PATHS = ("a", "b", "a.b", "a.b.c", "kind", "price", "", "a..b", "$a", "a.$b", "x" * 256)
_VALUES = (
    *(
        "1",
        "2",
        "1.0",
        "0.1",
        "10",
        "-1",
        "true",
        "false",
        "null",
        '"dog"',
        '"1"',
        '""',
        "[]",
        "{}",
        "[1,2]",
        '[{"b":1}]',
    ),
    *(
        '{"b":1}',
        '{"b":{"c":null}}',
        "[[1]]",
        '{"$gt":1}',
        '{"$exists":false}',
        '{"$not":{"$eq":1}}',
        '{"$in":[null,"dog"]}',
    ),
    '{"$or":[{"a":1},{"b":{"$lt":"z"}}]}',
    "[" + ",".join(map(str, range(101))) + "]",
)


def _seeds() -> list[bytes]:
    products = [
        {"kind": "dog", "price": 10, "a": {"b": [1, 2.5, {"c": None}]}},
        {"kind": "cat", "price": 10.5, "a": [{"b": 1}, {"b": "1"}, 3]},
        {"kind": None, "a": [], "b": True, "x": [[1]]},
        {},
    ]
    conditions: list[object] = [
        {},
        {"kind": "dog", "price": {"$gte": 10, "$lt": 50}, "$or": [{"a.b": 1}, {"a.b.c": {"$exists": True}}]},
        {"$not": {"kind": {"$in": ["dog", None]}}, "a.b": {"$ne": 1, "$not": {"$gt": 2}}},
        {"$and": [{"a": {"$nin": []}}, {"b": {"$exists": False}}, {"x": {"$lte": "z"}}]},
        {"a": {"$regex": "x"}},
        {"$nor": []},
        {"a": {"$in": list(range(101))}},
        {"~/": {"$eq": {}}},
        [],
    ]
    deep: dict[str, Any] = {"a": 1}
    for _ in range(10):
        deep = {"$not": deep}
    many = {"$or": [{"a": number} for number in range(100)]}
    listed = json.dumps(products).encode()
    return [json.dumps(condition).encode() + b"\n" + listed for condition in [*conditions, deep, {"$not": deep}, many]]


_GOOD = [seed.split(b"\n") for seed in _seeds()[:4]]
_OF_FILTERS = json_mutation.Vocabulary((*_OPERATORS, *_PATHS), _VALUES, [condition for condition, _ in _GOOD])
_OF_PRODUCTS = json_mutation.Vocabulary(_PATHS, _VALUES, [products for _, products in _GOOD])


def _mutate(data: bytes, source: Random, raw: Raw, longest: int) -> bytes:
    condition, _, products = data.partition(b"\n")
    if source.random() < 0.65:
        condition = json_mutation.mutate(condition, source, raw, longest, _OF_FILTERS).replace(b"\n", b" ")
    else:
        products = json_mutation.mutate(products, source, raw, longest, _OF_PRODUCTS)
    return condition + b"\n" + products


FILTERS = Target(
    "filter",
    ("refused: no object", "refused", "accepted", "accepted: some found"),
    check,
    _mutate,
    _seeds,
    runs=400_000,
    words=(*(f'"{operator}"'.encode() for operator in _OPERATORS), b'"a.b"'),
)
