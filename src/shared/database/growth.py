"""What one write did to a tenant's stored data, told to the request's scope, where somebody there is limited.

It is told so that the sum is never less than what was stored: a write that may have been made counts as made, one that
may have deleted as not. A row that is replaced or changed grows by its new content at most; how large the old was is
not known, as nothing is read for it.
"""

from collections.abc import Mapping
from typing import Any

from ..scope import Growth, Scope, current_scope
from .content import CHANGEABLE, content_bytes

_KINDS = frozenset({"report", "embedding"})


def counting_scope(kind: str, user_id: str) -> Scope | None:
    """The request's scope, where rows of this kind and owner count in it."""
    scope = current_scope()
    return scope if scope is not None and scope.storage_of == user_id and kind in _KINDS else None


def note_made(kind: str, user_id: str, row: Mapping[str, Any]) -> None:
    """A row was made, or may have been."""
    if scope := counting_scope(kind, user_id):
        scope.count_growth(Growth(1, content_bytes(row)))


def note_changed(kind: str, user_id: str, sets: Mapping[str, Any], adds: Mapping[str, set[str]]) -> None:
    """A row that was there was changed or replaced, or may have been."""
    if scope := counting_scope(kind, user_id):
        scope.count_growth(Growth(0, content_bytes(sets, CHANGEABLE) + content_bytes(adds, CHANGEABLE)))


def note_deleted(kind: str, user_id: str, old: Mapping[str, Any]) -> None:
    """A row was deleted, which was this one."""
    if scope := counting_scope(kind, user_id):
        scope.count_growth(Growth(-1, -content_bytes(old)))
