"""PATCH /user/profile"""

from shared.auth import Caller
from shared.avatars.names import own_avatar_path
from shared.avatars.removing import remove_former
from shared.database import Terms, UserRepository
from shared.errors import Conflict, NotFound, OutcomeUnknown, PreconditionFailed, TooManyRequests, Unavailable
from shared.events import Request
from shared.http import endpoint
from shared.models.user import DBUser, Profile, UpdateProfile
from shared.similarity.objects import default_objects

from .claims import user_from_claims


@endpoint("PATCH", "/user/profile", refusals=(Conflict,))
def handler(caller: Caller, body: UpdateProfile, terms: Terms, request: Request) -> Profile:
    """Apply a merge patch (RFC 7396) to the caller's profile, which is created first where there is none.

    One that names `avatar_url` removes the avatars that were uploaded before, but for the one that it may name.
    """
    names_avatar = "avatar_url" in body.model_fields_set
    if names_avatar:
        stored = own_avatar_path(body.avatar_url, caller.user_id) or body.avatar_url
        body = body.model_copy(update={"avatar_url": stored})
    user = _update(caller, body, terms)
    if names_avatar:
        _remove_former(user)
    return Profile.of(user, request.base_url)


def _update(caller: Caller, body: UpdateProfile, terms: Terms) -> DBUser:
    try:
        return UserRepository.update_user(caller.user_id, body, terms)
    except NotFound:
        if terms.versions is not None:
            raise PreconditionFailed("There is no profile yet, hence no version of it. Read it first.") from None
        UserRepository.ensure_user(user_from_claims(caller))
        return UserRepository.update_user(caller.user_id, body, terms)


def _remove_former(user: DBUser) -> None:
    """The caller asked for the picture to go: an answer that it did is given when it has.

    Raises OutcomeUnknown where it has not: any other 503 says that nothing was changed, and the profile was.
    """
    try:
        remove_former(default_objects(), user)
    except (TooManyRequests, Unavailable) as error:
        raise OutcomeUnknown(
            "The profile was changed, but the picture that was uploaded before is not removed yet. Repeat the request"
            " with the same Idempotency-Key if it had one; otherwise without If-Match, as the version is another now."
        ) from error
