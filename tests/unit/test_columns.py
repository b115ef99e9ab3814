"""Filters on columns: the same verdicts as document by document, built once, and bounded."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.models.filters import matches, parse_filter
from shared.models.json_value import JsonObject
from shared.similarity.columns import MAX_COLUMNS, Columns
from shared.similarity.documents import Documents
from tests.unit.test_filters import DOCUMENTS, EXAMPLES, FILTERS, ORDERS, SCALARS, plainly


def columns_of(documents: Sequence[JsonObject]) -> Columns:
    return Columns(Documents.of(documents))


def masked(columns: Columns, filter: JsonObject) -> list[bool]:
    mask = columns.mask(parse_filter(filter))
    assert mask.dtype == np.bool_
    assert mask.ndim == 1
    verdicts: list[bool] = mask.tolist()
    return verdicts


@given(filters=st.lists(FILTERS, min_size=1, max_size=3), documents=st.lists(DOCUMENTS, max_size=8))
def test_a_mask_says_what_the_filter_says_of_each(filters: list[JsonObject], documents: list[JsonObject]) -> None:
    columns = columns_of(documents)
    for filter in filters:
        assert masked(columns, filter) == [plainly(filter, document) for document in documents]


@pytest.mark.parametrize("filter", [filter for filter, _, _ in EXAMPLES], ids=str)
def test_the_examples_all_together(filter: JsonObject) -> None:
    documents = [document for _, document, _ in EXAMPLES]
    assert masked(columns_of(documents), filter) == [plainly(filter, document) for document in documents]


@pytest.mark.parametrize(("filter", "document", "expected"), EXAMPLES, ids=str)
def test_an_example_alone(filter: JsonObject, document: JsonObject, expected: bool) -> None:
    assert masked(columns_of([document]), filter) == [expected]


@pytest.mark.parametrize("wrapped", [lambda value: value, lambda value: [value], lambda value: ["x", value, 7]])
def test_every_pair_of_values(wrapped: Any) -> None:
    documents = [{"a": wrapped(value)} for value in SCALARS]
    columns = columns_of(documents)
    for operand in SCALARS:
        ordered = operand is not None and not isinstance(operand, bool)
        for sign in ["$eq", "$ne", *(ORDERS if ordered else ())]:
            filter: JsonObject = {"a": {sign: operand}}
            assert masked(columns, filter) == [plainly(filter, document) for document in documents], filter


def test_numbers_that_are_one_float_stay_apart() -> None:
    numbers = [Decimal("0.1") + Decimal(step).scaleb(-27) for step in range(-5, 6)]
    columns = columns_of([{"a": number} for number in numbers])
    for place, number in enumerate(numbers):
        assert float(number) == 0.1
        assert masked(columns, {"a": {"$lt": number}}) == [index < place for index in range(11)]
        assert masked(columns, {"a": number}) == [index == place for index in range(11)]


@pytest.mark.parametrize("count", [0, 1, 255, 256, 257, 1000])
def test_any_number_of_documents(count: int) -> None:
    """Some of them span what is parsed at a time."""
    documents = [{"n": index % 300, "tags": ["even", "all"] if index % 2 == 0 else []} for index in range(count)]
    columns = columns_of(documents)
    filters: list[JsonObject] = [{}, {"n": {"$gte": 255}}, {"tags": "even"}, {"tags": {"$ne": "all"}, "n": 257}]
    for filter in filters:
        assert masked(columns, filter) == [plainly(filter, document) for document in documents]


def test_documents_that_floats_were_written_to() -> None:
    """What a search reads from columns is what the walk over the table reads from its rows."""
    documents = [{"a": 249.99}, {"a": 1e22}, {"a": 5e-7}, {"a": -0.0}]
    columns = columns_of(documents)
    for operand in (Decimal("249.99"), 10**22, Decimal("0.0000005"), 0):
        filter = parse_filter({"a": operand})
        assert columns.mask(filter).tolist() == [matches(filter, document) for document in documents]
        assert columns.mask(filter).sum() == 1


def test_a_mask_is_the_callers_own() -> None:
    columns = columns_of([{"a": 1}, {"a": 2}])
    for filter in ({}, {"a": 1}, {"$not": {"a": 1}}):
        mask = columns.mask(parse_filter(filter))
        expected = mask.tolist()
        mask[:] = ~mask
        assert masked(columns, filter) == expected


def test_a_column_is_built_once() -> None:
    documents = Documents.of([{"a": 1, "b": [1, 2]}, {"a": 2}])
    columns = Columns(documents)
    assert masked(columns, {"a": 1, "b": {"$exists": True}}) == [True, False]
    documents.blob = b"not JSON"
    assert masked(columns, {"$or": [{"a": 2}, {"b": 2}]}) == [True, True]
    with pytest.raises(ValueError, match="Expecting"):
        columns.mask(parse_filter({"c": 1}))


def test_documents_are_left_alone_by_a_filter_of_no_path() -> None:
    documents = Documents.of([{"a": 1}])
    documents.blob = b"not JSON"
    assert masked(Columns(documents), {}) == [True]


def test_columns_are_bounded_and_those_not_asked_for_go_first() -> None:
    documents = Documents.of([{"a": 1}, {}])
    columns = Columns(documents)
    columns.mask(parse_filter({"a": 1}))
    columns.mask(parse_filter({"x": 1}))
    for index in range(MAX_COLUMNS - 1):
        columns.mask(parse_filter({f"path{index}": 1}))
        columns.mask(parse_filter({"a": 1}))
    full = columns.nbytes
    columns.mask(parse_filter({"y": 1}))
    assert columns.nbytes == full
    documents.blob = b"not JSON"
    assert masked(columns, {"a": 1, "y": None}) == [True, False]
    for gone in ("x", "path0"):
        with pytest.raises(ValueError, match="Expecting"):
            columns.mask(parse_filter({gone: 1}))


def test_a_filter_may_ask_for_more_columns_than_are_kept() -> None:
    columns = columns_of([{f"f{index}": index for index in range(100)}, {}])
    assert masked(columns, {f"f{index}": index for index in range(100)}) == [True, False]
    assert masked(columns, {"$and": [{f"f{index}": None} for index in range(100)]}) == [False, True]


class TestBytes:
    def test_nothing_is_taken_before_a_filter_asks(self) -> None:
        assert columns_of([{"a": 1}]).nbytes == 0

    def test_codes_take_four_bytes_a_document(self) -> None:
        assert self.taken({"a": True}, 1000) - self.taken({"a": True}, 500) == 4 * 500

    def test_entries_of_arrays_take_eight_bytes_each(self) -> None:
        assert self.taken({"a": [True, False]}, 1000) - self.taken({"a": [True, False]}, 500) == 2 * 8 * 500

    def test_distinct_values_count(self) -> None:
        assert self.taken({"a": "x" * 10_000}, 10) - self.taken({"a": "x"}, 10) == 9_999

    def test_columns_add_up(self) -> None:
        columns = columns_of([{"a": 1, "b": 1}])
        columns.mask(parse_filter({"a": 1}))
        one = columns.nbytes
        columns.mask(parse_filter({"b": 1}))
        assert columns.nbytes == 2 * one > 0

    @staticmethod
    def taken(document: JsonObject, count: int) -> int:
        columns = columns_of([document] * count)
        columns.mask(parse_filter({"a": 1}))
        return columns.nbytes


def test_threads_may_share_columns() -> None:
    documents = [{f"f{name}": index % (name + 2) for name in range(20)} for index in range(500)]
    filters: list[JsonObject] = [{f"f{name % 20}": {"$gte": name % 3}, f"f{name % 7}": 1} for name in range(80)]
    columns = columns_of(documents)
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda filter: masked(columns, filter), filters))
    assert found == [[plainly(filter, document) for document in documents] for filter in filters]
