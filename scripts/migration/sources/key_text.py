"""A row's key as part of its position."""

import json
from collections.abc import Sequence
from typing import Any


def key_text(values: Sequence[Any]) -> str:
    """Another text for every other key, also of several parts."""
    if len(values) == 1:
        return str(values[0])
    return json.dumps([str(value) for value in values], ensure_ascii=False, separators=(",", ":"))
