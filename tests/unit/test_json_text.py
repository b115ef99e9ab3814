"""JSON text to Python and back: every digit kept, nothing accepted that is not JSON."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.models import json_text
from shared.models.json_text import dumps, loads
from tests.support.documents import documents


def same(one: Any, other: Any) -> bool:
    """Equal, and alike in kind: JSON tells true from 1, and neither is a container."""
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other) and isinstance(one, bool) is isinstance(other, bool)


@given(document=documents())
def test_every_document_round_trips(document: dict[str, Any]) -> None:
    assert same(loads(dumps(document)), as_exact(document))


@given(document=documents())
def test_what_is_written_is_plain_json(document: dict[str, Any]) -> None:
    """Python's own parser, which rounds, reads the same text."""
    assert json.loads(dumps(document), parse_constant=pytest.fail).keys() == document.keys()


def as_exact(value: Any) -> Any:
    """Floats as the Decimal that prints alike: a text does not tell 0.5 of one type from 0.5 of the other."""
    if isinstance(value, dict):
        return {name: as_exact(member) for name, member in value.items()}
    if isinstance(value, list):
        return [as_exact(member) for member in value]
    return Decimal(repr(value)) if isinstance(value, float) else value


@given(number=st.decimals(allow_nan=False, allow_infinity=False))
@example(Decimal("0E-999"))
@example(Decimal("-0"))
@example(Decimal("1E+400"))
@example(Decimal("249.990"))
def test_a_decimal_is_written_with_its_own_digits(number: Decimal) -> None:
    text = dumps({"n": number})
    assert loads(text)["n"] == number
    assert text == f'{{"n":{number}}}'


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("-0", 0),
        ("12345678901234567890123456789012345678", 12345678901234567890123456789012345678),
        ("9" * 39, Decimal("9" * 39)),
        ("9" * 5000, Decimal("9" * 5000)),
        ("1.10", Decimal("1.10")),
        ("0.1", Decimal("0.1")),
        ("1e2", Decimal("1e2")),
        ("1E-130", Decimal("1E-130")),
        ("1e999999999999999999999", Decimal("Infinity")),
        ("-1e999999999999999999999", Decimal("Infinity")),
        ("Infinity", Decimal("Infinity")),
        ("-Infinity", Decimal("-Infinity")),
        ("true", True),
        ("null", None),
        ('"\\u00e9\\ud83d\\udc36"', "é\U0001f436"),
        ('"\\ud800"', "\ud800"),
        ("[]", []),
        (" {} ", {}),
    ],
    ids=lambda value: repr(value)[:24],
)
def test_reading(text: str, value: object) -> None:
    found = loads(text)
    assert same(found, value)
    assert not isinstance(found, float)


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "nan", "inf", "+Infinity", "[-NaN]", "01", "1.", ".5", "+1", "0x1", "1e", "'a'", "[1,]", "{a: 1}",
        '{"a": 1 "b": 2}', "true false", "nul", '"\n"', '{"a": 1, "a": 1}', '[{"b": {"a": 1, "a": 2}}]', "\ufeff{}",
    ],
)  # fmt: skip
def test_what_is_not_json(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the message is the parser's
        loads(text)


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_nesting_without_end(opening: str) -> None:
    with pytest.raises(RecursionError):
        loads(opening * 100_000)


class TestWriting:
    def test_compact_and_not_escaped(self) -> None:
        assert dumps({"a": [1, "é", None, True]}) == '{"a":[1,"é",null,true]}'

    def test_a_decimal_among_texts_that_look_like_one(self) -> None:
        value = {"a": Decimal("1.50"), "b": "1.50", "c": '"1.50"', "d": ["", Decimal("-1E+30")]}
        assert dumps(value) == r'{"a":1.50,"b":"1.50","c":"\"1.50\"","d":["",-1E+30]}'

    def test_the_mark_of_numbers_cannot_be_guessed(self) -> None:
        """It is random per process: a text that holds a known mark would come out as a bare number."""
        assert len(json_text._mark().text) == 32
        assert dumps({"a": Decimal(1)}) == '{"a":1}'

    @pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
    @pytest.mark.parametrize("kind", [float, Decimal])
    def test_a_number_that_is_not_finite_is_never_written(self, kind: type[float | Decimal], value: str) -> None:
        """No reader of JSON takes the whole text then: an error is better."""
        for document in (kind(value), {"score": kind(value)}, [1, [kind(value)]]):
            with pytest.raises(ValueError):  # noqa: PT011 - the message is the encoder's
                dumps(document)

    @pytest.mark.parametrize("value", [{1, 2}, b"x", object()])
    def test_what_json_does_not_have(self, value: object) -> None:
        with pytest.raises(TypeError, match=f"{type(value).__name__} is not a JSON value"):
            dumps([value])
