"""Users: the table's repository."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from ..errors import FieldError, InvalidRequest, PreconditionFailed, Unavailable
from ..models.json_value import JsonObject
from ..models.user import DBUser, Preferences, UpdateProfile
from . import conditions, writes
from .attributes import Row
from .model_versions import ERASING_UNTIL
from .repository import Repository, completed, operation
from .writes import Change, Guard, Target, Terms, WriteId

_MAX_MERGES = 10


class UserRepository(Repository):
    """The users table, keyed by the token's `sub`: a user reaches their own row and no other."""

    kind = "profile"

    @operation
    def create_user(self, user: DBUser, *, write: WriteId | None = None) -> DBUser:
        """Store a new user. Raises Conflict where there is one."""
        return _to_user(writes.create(self._manager, self._target(user.user_id), user.model_dump(), write or WriteId()))

    @operation
    def ensure_user(self, user: DBUser) -> DBUser:
        """Store the user unless there is one, and return the one that then is."""
        return _to_user(writes.ensure(self._manager, self._target(user.user_id), user.model_dump()))

    @operation
    def get_user(self, user_id: str) -> DBUser:
        """The user. Raises NotFound; the row at the end of an erasure, which is a fence, is nobody's profile."""
        target = self._target(user_id)
        row = self._read_own(target)
        if ERASING_UNTIL in row:
            raise target.missing()
        return _to_user(row)

    @operation
    def update_user(
        self, user_id: str, changes: UpdateProfile | Mapping[str, Any], terms: Terms | None = None
    ) -> DBUser:
        """Apply a merge patch (RFC 7396). Raises as `writes.update` does, ValidationError for a bad value.

        An `avatar_url` that is a path, hence that of an uploaded avatar, is taken only where that is the one shown.
        """
        if not isinstance(changes, UpdateProfile):
            changes = UpdateProfile.model_validate(dict(changes))
        given = terms or Terms()
        sets = {name: getattr(changes, name) for name in changes.model_fields_set}
        if not sets.get("preferences"):
            return self._update(user_id, _cleared(sets), given)
        return self._merge(user_id, sets, given)

    @operation
    def place_avatar(self, user_id: str, avatar_url: str, requested_at: str) -> DBUser:
        """Make an upload that was asked for at `requested_at` the avatar, and return the user as they then are.

        Nothing changes where an avatar is there that was asked for then or later, a client has changed the address
        since, or the user's row was made since: uploads may be checked in any order, and again. Raises NotFound, also
        at the end of an erasure: what was put behind it would outlive the account.
        """
        change = Change(sets={"avatar_url": avatar_url, "avatar_as_of": requested_at})
        return self._note_upload(user_id, change, requested_at, "avatar_as_of")

    @operation
    def refuse_avatar(self, user_id: str, reason: str, requested_at: str) -> DBUser:
        """Note why an upload was refused, unless a later one has been judged; else as `place_avatar`."""
        change = Change(sets={"avatar_error": reason, "avatar_error_as_of": requested_at})
        return self._note_upload(user_id, change, requested_at, "avatar_as_of", "avatar_error_as_of")

    @operation
    def delete_user(self, user_id: str, versions: Collection[int] | None = None) -> None:
        """Delete the user's row. Raises NotFound or PreconditionFailed."""
        writes.delete(self._manager, self._target(user_id), versions)

    def _merge(self, user_id: str, sets: Mapping[str, Any], terms: Terms) -> DBUser:
        """Merge preferences into those of the version that was read; another writer in between means reading again."""
        target = self._target(user_id)
        for _ in range(_MAX_MERGES):
            row = self._read_own(target)
            user = _to_user(row)
            if writes.has_made(row, terms.write):
                return user
            if terms.versions is not None and user.version not in terms.versions:
                raise target.stale()
            merged = _checked(merge_patch(user.preferences, sets["preferences"]))
            with suppress(PreconditionFailed):
                return self._update(user_id, {**sets, "preferences": merged}, replace(terms, versions=[user.version]))
        raise Unavailable("Too many others are changing this profile. Nothing was changed; try again.")

    def _update(self, user_id: str, sets: Mapping[str, Any], terms: Terms) -> DBUser:
        shown = sets.get("avatar_url") or ""
        if shown.startswith("/"):
            # As it was read: no change, so an upload that was asked for before may yet take its place.
            change, terms = Change(sets=sets), replace(terms, guard=_still_shown(shown))
        else:
            change = Change(sets=sets, clocked=["avatar_as_of"] if "avatar_url" in sets else [])
        return _to_user(writes.update(self._manager, self._target(user_id), change, terms))

    def _note_upload(self, user_id: str, change: Change, requested_at: str, *times: str) -> DBUser:
        """One change under the rule that each of these times of the row is earlier, and that of its making too."""
        target = self._target(user_id)
        condition = conditions.absent(ERASING_UNTIL) & conditions.before("created_at", requested_at)
        for name in times:
            condition &= conditions.before(name, requested_at)

        def is_settled(row: Row) -> bool:
            if ERASING_UNTIL in row:
                raise target.missing()
            return any(row.get(name, "") >= requested_at for name in ("created_at", *times))

        # The next change of the address takes a later time than this one, which must not be behind the request's.
        terms = Terms(guard=Guard(condition, is_settled), not_before=requested_at)
        return _to_user(writes.update(self._manager, target, change, terms))

    def _target(self, user_id: str) -> Target:
        return Target(self._manager.settings.users_table, {"user_id": user_id}, user_id, self.kind)


def merge_patch(target: object, patch: object) -> Any:
    """`target` with `patch` applied: the MergePatch function of RFC 7396, section 2."""
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


_PREFERENCES: TypeAdapter[JsonObject] = TypeAdapter(Preferences, config=ConfigDict(defer_build=True))


def _checked(preferences: JsonObject) -> JsonObject:
    """Two documents within the limits may merge into one beyond them."""
    try:
        return _PREFERENCES.validate_python(preferences)
    except ValidationError as error:
        reason = error.errors(include_url=False)[0]["msg"]
        raise InvalidRequest(
            "The merged preferences cannot be stored.", errors=[FieldError("/body/preferences", reason)]
        ) from error


def _cleared(sets: Mapping[str, Any]) -> dict[str, Any]:
    """`preferences: null` and `preferences: {}`: the first empties them, the second changes nothing."""
    kept = {name: value for name, value in sets.items() if name != "preferences"}
    return {**kept, "preferences": {}} if "preferences" in sets and sets["preferences"] is None else kept


def _to_user(row: Row) -> DBUser:
    missing: Row = {"name": None, "email": None, "avatar_url": None, "preferences": {}, "models": {}}
    return DBUser.model_construct(
        **{**missing, **completed(row), "avatar_as_of": row.get("avatar_as_of"), "avatar_error": _error_of(row)}
    )


def _still_shown(avatar_path: str) -> Guard:
    """The images of all other paths are gone, or about to go."""

    def is_settled(row: Row) -> bool:
        if row.get("avatar_url") != avatar_path:
            reason = "is the address of an image that is not your avatar any more; leave it out, or read it again"
            raise InvalidRequest("The body is invalid.", errors=[FieldError("/body/avatar_url", reason)])
        return False

    return Guard(conditions.shows(avatar_path), is_settled)


def _error_of(row: Row) -> str | None:
    """Why the newest upload was refused; None where a later one became the avatar, or the same form's second one."""
    is_newest = row.get("avatar_error_as_of", "") > row.get("avatar_as_of", "")
    return row.get("avatar_error") if is_newest else None
