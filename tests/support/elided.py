"""Whether what was said is what a page shows, where `...` in the page stands for anything.

In a text, `...` is anything within a line, and a line of it alone any lines. In JSON, a string that has it is matched
as a text is; "..." alone is any value at all, as the last element any more elements, and as a member's name (with any
value) any more members.
"""

import json
import re
from typing import Any

_ANYTHING = "..."


def fits_text(shown: str, said: str) -> bool:
    """Blanks at the ends do not count."""
    parts = [
        r"(?:.*\n)*" if line.strip() == _ANYTHING else _pattern(line.rstrip()) + r"[ \t]*\n"
        for line in shown.strip().splitlines()
    ]
    return re.fullmatch("".join(parts), said.strip() + "\n") is not None


def fits_json(shown: str, said: str) -> bool:
    """Raises ValueError where the page shows no JSON."""
    wanted = json.loads(shown)
    try:
        return fits(wanted, json.loads(said))
    except ValueError:
        return False


def fits(shown: Any, said: Any) -> bool:
    if isinstance(shown, str):
        return shown == _ANYTHING or (isinstance(said, str) and re.fullmatch(_pattern(shown), said, re.S) is not None)
    if isinstance(shown, dict):
        return isinstance(said, dict) and _fits_object(shown, said)
    if isinstance(shown, list):
        return isinstance(said, list) and _fits_list(shown, said)
    return type(shown) is type(said) and bool(shown == said)


def _fits_object(shown: dict[str, Any], said: dict[str, Any]) -> bool:
    named = {name: value for name, value in shown.items() if name != _ANYTHING}
    if not named.keys() <= said.keys() or (len(named) == len(shown) and named.keys() != said.keys()):
        return False
    return all(fits(value, said[name]) for name, value in named.items())


def _fits_list(shown: list[Any], said: list[Any]) -> bool:
    if shown and shown[-1] == _ANYTHING:
        shown, said = shown[:-1], said[: len(shown) - 1]
    return len(shown) == len(said) and all(map(fits, shown, said))


def _pattern(text: str) -> str:
    return ".*?".join(map(re.escape, text.split(_ANYTHING)))
