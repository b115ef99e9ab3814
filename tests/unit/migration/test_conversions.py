"""A source's values to those of a type: exact, or refused."""

import struct
from base64 import b64encode
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from scripts.migration.conversions import converter
from scripts.migration.rules import FieldRule, Type


def rule(**stated: Any) -> FieldRule:
    return FieldRule.model_validate({"from": "x", **stated})


@pytest.mark.parametrize(
    ("type_", "value", "made"),
    [
        ("text", "", ""),
        ("text", 17, "17"),
        ("text", Decimal("17.0"), "17"),
        ("integer", "17", 17),
        ("integer", Decimal("17.0"), 17),
        ("integer", 17.0, 17),
        ("number", "12345678901234567890123456789012345678", 12345678901234567890123456789012345678),
        ("number", "0.1", Decimal("0.1")),
        ("number", 0.1, 0.1),
        ("boolean", "True", True),
        ("boolean", "f", False),
        ("boolean", False, False),
        ("json", '{"a": 1.50}', {"a": Decimal("1.50")}),
        ("json", {"a": [b"\x00", datetime(2021, 1, 1, tzinfo=UTC), date(2021, 1, 1)]},
         {"a": ["AA==", "2021-01-01T00:00:00.000000Z", "2021-01-01"]}),
        ("set", ["b", "a", "b", 3], {"a", "b", "3"}),
        ("set", '["a"]', {"a"}),
        ("vector", [1, 2.5], [1, 2.5]),
        ("vector", "[1, 2.5]", [1, Decimal("2.5")]),
        ("date", "2021-03-04", "2021-03-04"),
        ("timestamp", "2021-03-04T05:06:07+02:00", "2021-03-04T03:06:07.000000Z"),
    ],
)  # fmt: skip
def test_a_value_of_the_type_is_made(type_: Type, value: Any, made: Any) -> None:
    got = converter(type_, rule())(value)
    assert got == made
    assert type(got) is type(made)


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("text", Decimal("1.5")), ("text", Decimal("NaN")), ("text", Decimal("1E+999")),
        ("text", True), ("text", 1.5), ("text", None), ("text", b"a"), ("text", ["a"]),
        ("integer", "1.5"), ("integer", float("nan")), ("integer", True), ("integer", Decimal("1E+50")),
        ("number", "twelve"), ("number", None), ("number", "0x10"),
        ("boolean", 1), ("boolean", "yes"),
        ("json", "{'a': 1}"), ("json", '{"a": 1, "a": 2}'), ("json", "[" * 100_000),
        ("set", "a,b"), ("set", {"a": 1}), ("set", [1.5]),
        ("vector", "AAAA"), ("vector", b"\x00" * 8), ("vector", 1.0), ("vector", None),
        ("date", "04.03.2021"), ("timestamp", "2021-03-04T05:06:07"),
    ],
)  # fmt: skip
def test_any_other_value_is_refused(type_: Type, value: Any) -> None:
    with pytest.raises(ValueError, match=r"^is "):
        converter(type_, rule())(value)


def test_a_list_of_texts_may_have_a_separator() -> None:
    assert converter("set", rule(separator=","))("a, b,a") == {"a", "b"}
    assert converter("set", rule(separator=","))("") == set()


@pytest.mark.parametrize(("form", "code"), [("float32", "f"), ("float64", "d")])
def test_a_packed_vector_is_unpacked_in_its_stated_width(form: str, code: str) -> None:
    packed = struct.pack(f"<2{code}", 1.5, -2.0)
    convert = converter("vector", rule(form=form))
    assert convert(packed) == convert(b64encode(packed).decode()) == [1.5, -2.0]


@pytest.mark.parametrize("value", [b"\x00" * 7, b"", "no base64!"])
def test_a_packed_vector_that_does_not_fit_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"bytes|base64"):
        converter("vector", rule(form="float32"))(value)


@pytest.mark.parametrize("time", ["2021-03-04T23:30:00-02:00", "2021-03-04T00:30:00+02:00", "2021-03-04T12:00:00Z"])
def test_a_time_is_of_the_day_that_it_names_itself(time: str) -> None:
    assert converter("date", rule(form=["iso"]))(time) == "2021-03-04"


def test_a_local_time_is_of_the_day_in_its_zone() -> None:
    assert converter("date", rule(form=["iso-local"], zone="Asia/Tokyo"))("2021-03-04T00:30:00") == "2021-03-04"
