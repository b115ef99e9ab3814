"""Vectors: what is packed comes back, and what float32 cannot hold is told by its place."""

import math
import struct
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.models import json_text
from shared.models.vector import MAX_DIMENSION, Vector

LARGEST = float(np.finfo(np.float32).max)
SMALLEST_NORMAL = float(np.finfo(np.float32).tiny)
SMALLEST = 2.0**-149
HALFWAY_UP = LARGEST + 2.0**103
"""The first number that would round to what is beyond float32."""

WORDS = st.integers(0, 2**32 - 1).map(lambda word: struct.pack("<I", word))
FINITE_WORDS = WORDS.filter(lambda word: math.isfinite(struct.unpack("<f", word)[0]))
FLOATS = st.floats(allow_nan=False, allow_infinity=False, width=32)
NUMBERS = FLOATS | st.floats(-1e38, 1e38) | st.integers(-(10**38), 10**38) | st.decimals(-(10**38), 10**38)


@given(words=st.lists(FINITE_WORDS, max_size=20))
@example([struct.pack("<f", number) for number in (0.0, -0.0, LARGEST, -LARGEST, SMALLEST, SMALLEST_NORMAL)])
@example([struct.pack("<f", number) for number in (0.1, 1 / 3, 16777216.0, 16777217.0, 8388608.5, 2.0**-126 * 1.5)])
def test_the_list_of_a_vector_reads_back_as_the_same_bytes(words: list[bytes]) -> None:
    vector = Vector(b"".join(words))
    assert Vector.of(vector.tolist()) == vector


@given(words=st.lists(FINITE_WORDS, max_size=20))
def test_so_does_its_json_text(words: list[bytes]) -> None:
    """Through the API: written by the answer, read exactly by the next request."""
    vector = Vector(b"".join(words))
    assert Vector.of(json_text.loads(json_text.dumps(vector.tolist()))) == vector


@given(words=st.lists(FINITE_WORDS, max_size=20))
def test_the_list_has_few_digits(words: list[bytes]) -> None:
    for number in Vector(b"".join(words)).tolist():
        assert len(Decimal(repr(number)).normalize().as_tuple().digits) <= 9


def test_a_short_number_stays_short() -> None:
    numbers = [0.1, -0.25, 3.14, 1e-30, 123456.7, 0.3333333, 1e30]
    assert Vector.of(numbers).tolist() == numbers


@pytest.mark.parametrize("number", [0.123456789, 8388608.5, 33554436.0, 1.0000001, 9.8765432e-20])
def test_eight_digits_where_they_are_enough(number: float) -> None:
    """The fewest that tell the float32 from its neighbours, as every printer of float32 gives them."""
    (shown,) = Vector.of([number]).tolist()
    assert shown == float(str(np.float32(number)))
    assert len(Decimal(repr(shown)).normalize().as_tuple().digits) <= 8


@given(words=st.lists(FINITE_WORDS, max_size=20))
def test_no_number_has_more_digits_than_it_needs(words: list[bytes]) -> None:
    for number in Vector(b"".join(words)).tolist():
        digits = len(Decimal(repr(number)).normalize().as_tuple().digits)
        fewer = [float(f"{number:.{count}g}") for count in range(7, digits)]
        assert not [short for short in fewer if Vector.of([short]) == Vector.of([number])]


def test_what_is_not_finite_is_listed_as_it_is() -> None:
    """Nobody shows such a vector, but asking for its components does not fail otherwise."""
    shown = Vector(struct.pack("<4f", math.nan, math.inf, -math.inf, 1)).tolist()
    assert math.isnan(shown[0])
    assert shown[1:] == [math.inf, -math.inf, 1]


def test_only_a_number_that_needs_them_has_nine_digits() -> None:
    """One that seven digits do not tell from its neighbour; the others of the vector stay short."""
    assert Vector.of([0.1, 16777218, 8.50000095]).tolist() == [0.1, 16777218, 8.500001]


@given(numbers=st.lists(NUMBERS, max_size=20))
def test_each_component_is_what_numpy_makes_of_it(numbers: list[Any]) -> None:
    vector = Vector.of(numbers)
    assert vector.data == np.array([float(number) for number in numbers], "<f4").tobytes()
    assert vector.dimension == len(numbers)
    assert vector.is_finite


@given(numbers=st.lists(st.floats() | st.decimals() | st.integers(), max_size=12))
@example([10**400])
@example([-(10**400)])
@example([Decimal("sNaN")])
@example([Decimal("1E+999999")])
@example([1.0, HALFWAY_UP])
def test_of_anything_else_the_first_fault_is_named(numbers: list[Any]) -> None:
    """Overflow, NaN and infinity, of any type and in any place; never another error."""
    faults = [index for index, number in enumerate(numbers) if not fits(number)]
    if not faults:
        assert Vector.of(numbers).dimension == len(numbers)
        return
    with pytest.raises(ValueError, match=rf"^component {faults[0]} is not "):
        Vector.of(numbers)


def fits(number: Any) -> bool:
    try:
        return abs(float(number)) < HALFWAY_UP
    except (OverflowError, ValueError):
        return False


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (math.nan, "is not finite"),
        (math.inf, "is not finite"),
        (-math.inf, "is not finite"),
        (Decimal("NaN"), "is not finite"),
        (Decimal("-Infinity"), "is not finite"),
        (Decimal("1e400"), "is not finite"),
        (1e39, "is not a number that float32 can hold"),
        (-HALFWAY_UP, "is not a number that float32 can hold"),
        (10**39, "is not a number that float32 can hold"),
        (10**400, "is not a number that float32 can hold"),
        (Decimal("sNaN"), "is not a number that float32 can hold"),
        ("1", "is not a number that float32 can hold"),
        (None, "is not a number that float32 can hold"),
        ([1.0], "is not a number that float32 can hold"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_what_is_no_component(number: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^component 2 {reason}$"):
        Vector.of([1, 2.5, number, number])


class TestTheEdges:
    def test_the_largest(self) -> None:
        below = math.nextafter(HALFWAY_UP, 0)
        assert Vector.of([LARGEST, -LARGEST, below]).data == np.array([LARGEST, -LARGEST, LARGEST], "<f4").tobytes()

    def test_the_smallest(self) -> None:
        """Denormals are kept; what is at most half of the smallest is zero, with its sign."""
        vector = Vector.of([SMALLEST, SMALLEST / 2, math.nextafter(SMALLEST / 2, 1), -SMALLEST / 4, 5e-324, 1e-400])
        assert vector.data == struct.pack("<6f", SMALLEST, 0.0, SMALLEST, -0.0, 0.0, 0.0)

    def test_a_decimal_beyond_a_float_is_zero_or_refused(self) -> None:
        assert Vector.of([Decimal("1e-999")]).is_zero
        assert Vector.of([Decimal(0)]).data == b"\x00\x00\x00\x00"

    def test_the_longest(self) -> None:
        vector = Vector.of(range(1, MAX_DIMENSION + 1))
        assert vector.dimension == MAX_DIMENSION
        assert vector.tolist() == list(range(1, MAX_DIMENSION + 1))

    def test_an_empty_one(self) -> None:
        """It stands for a vector that was not read."""
        assert (Vector(b"").dimension, Vector(b"").tolist(), Vector.of([])) == (0, [], Vector(b""))


class TestZero:
    @pytest.mark.parametrize("numbers", [[0], [0.0, -0.0], [Decimal(0), 0], [1e-50, -1e-300]])
    def test_all_zero(self, numbers: list[Any]) -> None:
        """As float32, which is what is stored."""
        assert Vector.of(numbers).is_zero

    @pytest.mark.parametrize("numbers", [[0, 1], [SMALLEST, 0], [-SMALLEST]])
    def test_not_all_zero(self, numbers: list[Any]) -> None:
        assert not Vector.of(numbers).is_zero


def test_bytes_that_hold_no_numbers_are_told() -> None:
    assert not Vector(struct.pack("<2f", 1, math.nan)).is_finite
    assert not Vector(struct.pack("<2f", math.inf, 1)).is_finite


def test_a_vector_is_a_value() -> None:
    assert Vector.of([1, 2]) == Vector.of((1.0, Decimal(2)))
    assert hash(Vector.of([1, 2])) == hash(Vector.of([1, 2]))
    with pytest.raises(AttributeError):
        Vector.of([1]).data = b""  # type: ignore[misc]
