"""Values of a product's metadata as texts, and what a text must not do to the program that opens it."""

from decimal import Decimal

from ..models import json_text

CUT = " [...]"
"""What stands at the end of a text that was cut off."""

_FORMULA_STARTS = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
"""How a cell begins that a spreadsheet may take for a formula (OWASP, "CSV Injection"), the full-width forms too."""


def as_text(value: object) -> str:
    """A text as it is, null as nothing, and anything else as compact JSON, with all digits of its numbers."""
    if value is None:
        return ""
    return valid(value if isinstance(value, str) else json_text.dumps(value))


def valid(text: str) -> str:
    """The text without halves of surrogate pairs, which no encoding has; rows of another origin might hold some."""
    return text.encode("utf-8", "replace").decode()


def is_number(value: object) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def looks_like_a_formula(text: str) -> bool:
    """Whether a spreadsheet could take the text for a formula."""
    return text.startswith(_FORMULA_STARTS)


def cut(text: str, length: int) -> str:
    """The text in at most `length` characters; what is cut off leaves a mark."""
    return text if len(text) <= length else text[: max(0, length - len(CUT))] + CUT
