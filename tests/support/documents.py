"""Hypothesis strategies for the JSON documents that clients may send."""

from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from shared.models.json_value import MAX_DIGITS

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def numbers() -> st.SearchStrategy[int | float | Decimal]:
    """Numbers that can be kept: up to 38 significant digits, magnitudes from 1E-130 to 9.99E125, and zero."""
    digits = st.integers(min_value=-(10**MAX_DIGITS) + 1, max_value=10**MAX_DIGITS - 1)
    floats = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e125, max_value=1e125)
    return (
        digits
        | floats.filter(lambda number: number == 0 or abs(number) >= 1e-130)
        | st.builds(lambda number, shift: Decimal(number).scaleb(shift), digits, st.integers(-130, 80))
    )


def documents(names: st.SearchStrategy[str] = _TEXT) -> st.SearchStrategy[dict[str, Any]]:
    """JSON objects with awkward members at every depth."""
    leaves = st.none() | st.booleans() | numbers() | _TEXT
    values = st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4), max_leaves=12
    )
    return st.dictionaries(names, values, max_size=5)
