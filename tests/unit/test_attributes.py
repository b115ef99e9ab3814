"""Python values to DynamoDB attribute values and back, and the helpers of the same kind for people's scripts."""

from decimal import Decimal
from typing import Any

import pytest
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from hypothesis import example, given
from hypothesis import strategies as st

from shared.database import DatabaseManager
from shared.database.attributes import AttributeValue, from_attribute, from_item, simplify, to_attribute, to_item
from shared.models.json_value import MAX_DEPTH, MAX_DIGITS, significand
from tests.support.documents import documents, numbers


def normalised(number: float | Decimal) -> Decimal:
    return Decimal(repr(number)) if isinstance(number, float) else Decimal(number)


@given(document=documents())
def test_every_document_comes_back_equal(document: dict[str, Any]) -> None:
    assert alike(from_item(to_item(document)), document)


def alike(found: Any, sent: Any) -> bool:
    """Equal in value, and a boolean only where one was sent; Decimals compare by value with floats as they print."""
    if isinstance(sent, dict):
        return found.keys() == sent.keys() and all(alike(found[name], sent[name]) for name in sent)
    if isinstance(sent, list):
        return len(found) == len(sent) and all(map(alike, found, sent))
    if isinstance(sent, int | float | Decimal) and not isinstance(sent, bool):
        return not isinstance(found, bool) and normalised(found) == normalised(sent)
    return type(found) is type(sent) and bool(found == sent)


@given(document=documents())
def test_botos_own_deserializer_reads_the_same(document: dict[str, Any]) -> None:
    """The shape on the wire is DynamoDB's, not a private one."""
    attribute: Any = to_attribute(document)
    assert alike(TypeDeserializer().deserialize(attribute), document)


@given(number=numbers())
@example(Decimal("1.10000000000000000000000000000000000000000000000000"))
@example(Decimal("0." + "0" * 60 + "1"))
@example(int("9" * 38 + "0" * 80))
@example(Decimal("0E-99999"))
@example(-0.0)
def test_a_number_is_sent_in_digits_that_dynamodb_takes(number: float | Decimal) -> None:
    text = to_attribute(number)["N"]
    assert Decimal(text) == normalised(number)
    mantissa = text.lower().split("e")[0]
    assert len(mantissa.lstrip("-").replace(".", "").lstrip("0")) <= max(MAX_DIGITS, 21)
    assert significand(Decimal(text))[0] <= MAX_DIGITS


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (0.0, "0"),
        (-0.0, "0"),
        (Decimal("0E+9999"), "0"),
        (7, "7"),
        (-7, "-7"),
        (249.99, "249.99"),
        (1e30, "1e+30"),
        (10**20, "100000000000000000000"),
        (10**21, "1E21"),
        (-(10**30), "-1E30"),
        (int("123" + "0" * 50), "123E50"),
        (Decimal("0.00000000000000000000000001"), "1E-26"),
        (Decimal("1." + "0" * 40), "1E0"),
    ],
    ids=lambda value: repr(value)[:24],
)
def test_number_text(number: Any, text: str) -> None:
    assert to_attribute(number) == {"N": text}


def test_a_long_text_that_is_no_number() -> None:
    """It would otherwise be cut into one."""
    with pytest.raises(ValueError, match="is not a finite number"):
        to_attribute(Decimal("NaN" + "1" * 30))


@pytest.mark.parametrize(
    ("value", "attribute"),
    [
        ("", {"S": ""}),
        (True, {"BOOL": True}),
        (None, {"NULL": True}),
        (b"\x00", {"B": b"\x00"}),
        ({"a": [1]}, {"M": {"a": {"L": [{"N": "1"}]}}}),
        ((1,), {"L": [{"N": "1"}]}),
        ({"b", "a"}, {"SS": ["a", "b"]}),
        (frozenset({"a"}), {"SS": ["a"]}),
    ],
)
def test_kinds(value: object, attribute: dict[str, Any]) -> None:
    assert to_attribute(value) == attribute
    back = from_attribute(attribute)
    assert back == (list(value) if isinstance(value, tuple) else value)


@pytest.mark.parametrize("value", [object(), 1j, range(3)])
def test_a_type_that_dynamodb_lacks(value: object) -> None:
    with pytest.raises(TypeError, match=f"DynamoDB has no type for {type(value).__name__}"):
        to_attribute({"deep": [value]})


def test_sets_of_rows_of_another_origin() -> None:
    assert from_attribute({"NS": ["1", "2.5"]}) == {1, 2.5}
    assert from_attribute({"BS": ["YQ==", b"b"]}) == {b"a", b"b"}


def test_inside_a_document_sets_and_binaries_are_what_json_has_for_them() -> None:
    stored: AttributeValue = {
        "M": {
            "texts": {"SS": ["b", "a"]},
            "numbers": {"NS": ["2", "1.5"]},
            "binary": {"B": b"a"},
            "plain": {"L": [{"B": "YQ=="}, {"BS": ["Yg==", b"a"]}]},
        }
    }
    document = {"texts": ["a", "b"], "numbers": [1.5, 2], "binary": "YQ==", "plain": ["YQ==", ["YQ==", "Yg=="]]}
    assert from_attribute(stored) == document


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", 7),
        ("-7", -7),
        ("249.99", 249.99),
        ("1E+2", 100),
        ("123456789012345678901", 123456789012345678901),
        ("1E30", 1e30),
        ("12345678901234567890123456789012345678", 12345678901234567890123456789012345678),
        ("0.1234567890123456789", Decimal("0.1234567890123456789")),
        ("1E-130", 1e-130),
        ("1.5E125", 1.5e125),
    ],
)
def test_a_stored_number_is_the_plainest_of_its_value(text: str, value: Any) -> None:
    found = from_attribute({"N": text})
    assert (found, type(found)) == (value, type(value))


@given(number=st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**40), max_value=10**40))
def test_simplifying_never_changes_a_value(number: Decimal) -> None:
    assert normalised(simplify(number)) == number


class TestForScripts:
    """`DatabaseManager.convert_decimals` and `prepare_for_dynamodb`, used with boto3's own Table objects."""

    @given(document=documents())
    def test_what_is_prepared_is_what_boto3_takes_and_gives_back(self, document: dict[str, Any]) -> None:
        wire = TypeSerializer().serialize(DatabaseManager.prepare_for_dynamodb(document))
        assert alike(DatabaseManager.convert_decimals(TypeDeserializer().deserialize(wire)), document)

    def test_sets_and_binaries_pass(self) -> None:
        row = {"tags": {"a", "b"}, "weights": {0.5, 2}, "blob": b"\x00", "nested": [{"f": 0.1}]}
        prepared = DatabaseManager.prepare_for_dynamodb(row)
        assert prepared == {
            "tags": {"a", "b"},
            "weights": {Decimal("0.5"), 2},
            "blob": b"\x00",
            "nested": [{"f": Decimal("0.1")}],
        }
        assert TypeSerializer().serialize(prepared)["M"]["weights"]["NS"]

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            ({"a": [float("nan")]}, "/a/0 is not a number"),
            ({"a": {"b": Decimal("1E126")}}, "/a/b is outside the range"),
            ({"a": "\ud800"}, "/a holds half of a surrogate pair"),
            ({"tags": {"\ud800"}}, "/tags/0 holds half of a surrogate pair"),
            (float("inf"), "the value is outside the range"),
            ({"a": object()}, "/a is a object, which JSON does not have"),
        ],
    )
    def test_what_dynamodb_cannot_hold_is_named(self, value: object, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            DatabaseManager.prepare_for_dynamodb(value)

    def test_an_items_own_members_are_no_level_of_nesting(self) -> None:
        deepest: Any = "leaf"
        for _ in range(MAX_DEPTH):
            deepest = {"inner": deepest}
        assert DatabaseManager.prepare_for_dynamodb({"attribute": deepest}) == {"attribute": deepest}
        with pytest.raises(ValueError, match="is nested deeper than"):
            DatabaseManager.prepare_for_dynamodb({"attribute": [deepest]})

    def test_decimals_become_plain_numbers(self) -> None:
        value = {"n": Decimal("1"), "l": [Decimal("0.5"), "1"], "d": Decimal("0.1234567890123456789"), "b": True}
        assert DatabaseManager.convert_decimals(value) == {
            "n": 1,
            "l": [0.5, "1"],
            "d": Decimal("0.1234567890123456789"),
            "b": True,
        }
        assert type(DatabaseManager.convert_decimals(Decimal("2.0"))) is int
