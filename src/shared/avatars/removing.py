"""Removing avatars that are no longer shown, so that their addresses end."""

from ..models.user import DBUser
from ..similarity.objects import ObjectStore
from .names import avatar_prefix, key_of, requested_at


def remove_former(objects: ObjectStore, user: DBUser) -> None:
    """Remove every avatar of the user that is not the one shown and can no longer become it.

    One that was asked for later than what the row says is spared: its check is about to put it in the row.
    """
    shown = key_of(user.avatar_url or "")
    decided = max(user.avatar_as_of or "", user.created_at)
    _remove(objects, user.user_id, decided, shown)


def remove_of_nobody(objects: ObjectStore, user_id: str, until: str) -> None:
    """Remove every avatar that was asked for until then, of a user who has no row any more."""
    _remove(objects, user_id, until, shown=None)


def _remove(objects: ObjectStore, user_id: str, until: str, shown: str | None) -> None:
    found = [info.key for info in objects.list(avatar_prefix(user_id))]
    objects.delete(key for key in found if key != shown and requested_at(key.rpartition("/")[2]) <= until)
