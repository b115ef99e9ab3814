"""Texts in which everything is by another name that is another in each run: times by their order within a text, random
ids by where they appear.

Two sets of texts are alike, canonically, where one of them becomes the other by renaming ids, the same in all texts,
and moving times without changing their order within a text.
"""

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
_ID = re.compile(r"\b(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{46}|[0-9a-f]{32})\b")
"""UUIDs, whole or as digits alone, and the names of avatars and uploads."""

_OWN, _ANOTHERS = "<itself>", "<another>"


def canonical(texts: Iterable[str]) -> list[str]:
    """The texts under names that every run gives them, sorted."""
    timed = [_with_times_in_order(text) for text in texts]
    names = _names(timed)
    return sorted(_ID.sub(lambda found: names[found[0]], text) for text in timed)


def _with_times_in_order(text: str) -> str:
    order = {time: f"time {place}" for place, time in enumerate(sorted(set(_TIME.findall(text))))}
    return _TIME.sub(lambda found: order[found[0]], text)


def _names(texts: Sequence[str]) -> dict[str, str]:
    """A name for every id, made of the places where it is: of what is beside it, and not of what it is."""
    places: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for text in texts:
        for found in set(_ID.findall(text)):
            places[found][_seen_from(found, text)] += 1
    return {found: f"id {_digest(repr(sorted(counted.items())))}" for found, counted in places.items()}


def _seen_from(own: str, text: str) -> str:
    return _ID.sub(lambda found: _OWN if found[0] == own else _ANOTHERS, text)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
