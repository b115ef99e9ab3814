"""Digests: equal for what is equal, and for nothing else."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.migration.canonical import MultisetDigest, row_digest, source_digest
from shared.database.attributes import from_item, to_item


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": {"x": 1, "y": 2}}, {"a": {"y": 2, "x": 1}}),
        ({"a": {"b", "a"}}, {"a": {"a", "b"}}),
        ({"b": 1, "a": 2}, {"a": 2, "b": 1}),
    ],
)
def test_equal_rows_have_equal_digests(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert row_digest(one) == row_digest(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1}, {"a": "1"}),
        ({"a": 1}, {"a": True}),
        ({"a": None}, {}),
        ({"a": ""}, {"a": None}),
        ({"a": {"a"}}, {"a": ["a"]}),
        ({"a": b"ab"}, {"a": "ab"}),
        ({"a": b"ab"}, {"a": "YWI="}),
        ({"a": [1, 2]}, {"a": [2, 1]}),
        ({"a": {"b": {}}}, {"a": {"b": []}}),
        ({"a": 0.1}, {"a": Decimal("0.1000000000000000055511151231257827")}),
        ({"a": "é"}, {"a": "e\u0301"}),
        ({"ab": "c"}, {"a": "bc"}),
    ],
)
def test_rows_that_differ_have_other_digests(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert row_digest(one) != row_digest(other)


DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(min_size=1, max_size=4), DOCUMENTS, max_size=4))
def test_an_item_that_was_stored_and_read_has_its_digest_still(row: dict[str, Any]) -> None:
    once = from_item(to_item(row))
    assert row_digest(once) == row_digest(from_item(to_item(once)))


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=8), st.randoms())
def test_the_order_of_rows_does_not_matter_and_their_number_does(digests: list[bytes], random: Any) -> None:
    one, other = MultisetDigest(), MultisetDigest()
    one.add_all(digests)
    shuffled = list(digests)
    random.shuffle(shuffled)
    other.add_all(shuffled)
    assert one == other
    other.add(b"\x01" * 32)
    assert one != other


def test_the_same_row_twice_is_not_the_same_as_once_or_never() -> None:
    digests = [MultisetDigest() for _ in range(3)]
    for times, digest in enumerate(digests):
        digest.add_all([b"\x07" * 32] * times)
    assert len({digest.hex() for digest in digests}) == 3


def test_a_source_may_hold_what_no_item_can() -> None:
    values = {"a": float("nan"), "b": Decimal("NaN"), "c": "\ud800", "d": [b"x", {"y": None}]}
    assert source_digest("notes", "1", values) == source_digest("notes", "1", dict(reversed(values.items())))
    assert source_digest("notes", "1", values) != source_digest("notes", "2", values)
    assert source_digest("notes", "1", {"a": 1}) != source_digest("notes", "1", {"a": 1.0})
