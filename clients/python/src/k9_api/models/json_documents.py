"""Documents whose members are the user's own."""

from typing import Any

JsonObject = dict[str, Any]
"""A JSON object. Its numbers are int and float, or what the client's `parse_float` makes of them."""
