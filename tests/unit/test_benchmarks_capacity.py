"""The rules that consumed capacity is compared with."""

import re
from typing import Any

import pytest

from benchmarks.capacity_rules import (
    index_write_units,
    item_size,
    number_size,
    read_units,
    table_write_units,
    write_units,
)
from scripts.local.folder import PROJECT
from tests.support.api import all_endpoints

INDEX = {"KeySchema": [{"AttributeName": "owner", "KeyType": "HASH"}, {"AttributeName": "at", "KeyType": "RANGE"}]}


def row(at: str = "1", fill: int = 0) -> dict[str, Any]:
    return {"id": {"S": "a"}, "owner": {"S": "o"}, "at": {"S": at}, "fill": {"S": "x" * fill}}


def test_the_size_of_an_item() -> None:
    assert item_size({"id": {"S": "é"}}) == 4
    assert item_size({"v": {"B": b"\x00" * 8}}) == item_size({"v": {"B": "AAAAAAAAAAA="}}) == 9
    assert item_size({"l": {"L": [{"N": "1"}, {"BOOL": True}]}}) == 1 + 3 + (1 + 2) + (1 + 1)
    assert item_size({"m": {"M": {"ab": {"NULL": True}}}}) == 1 + 3 + 1 + 2 + 1
    assert item_size({"s": {"SS": ["ab", "c"]}}) == 4


@pytest.mark.parametrize(("text", "size"), [("7", 2), ("-7", 3), ("0.0125", 3), ("1200", 2), ("123.45", 4), ("0", 1)])
def test_a_number_takes_a_byte_for_two_digits(text: str, size: int) -> None:
    assert number_size(text) == size


def test_units_are_rounded_up() -> None:
    assert [write_units(size) for size in (0, 1, 1024, 1025)] == [1, 1, 1, 2]
    assert [read_units(size, consistent=True) for size in (0, 4096, 4097)] == [1, 1, 2]
    assert [read_units(size, consistent=False) for size in (0, 4096, 4097)] == [0.5, 0.5, 1]


def test_a_write_takes_the_larger_of_before_and_after() -> None:
    assert table_write_units(row(fill=3000), row()) == table_write_units(None, row(fill=3000)) == 3
    assert table_write_units(None, None) == 1


@pytest.mark.parametrize(
    ("before", "after", "units"),
    [
        (None, row(fill=3000), 3),
        (row(fill=3000), None, 3),
        (row(fill=3000), row(), 3),
        (row("1", 3000), row("2", 3000), 6),
        (row("1", 3000), row("2"), 4),
        (row(), row(), 0),
        (None, {"id": {"S": "a"}}, 0),
    ],
)
def test_an_index_pays_twice_where_its_key_changes(before: Any, after: Any, units: int) -> None:
    assert index_write_units(before, after, INDEX) == units


def test_every_route_is_measured() -> None:
    """By what is written, as the measurement itself takes a store: it refuses to end without one of them."""
    written = (PROJECT / "benchmarks" / "capacity.py").read_text(encoding="utf-8")
    steps = {name.partition(":")[0] for name in re.findall(r'Step\(\s*"([A-Z]+ /[^"]*)"', written)}
    assert steps == {f"{method} {path}" for method, path in all_endpoints()}
