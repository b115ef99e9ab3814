"""PATCH /user/profile"""

from shared.auth import Caller
from shared.database import Terms, UserRepository
from shared.errors import Conflict, NotFound, PreconditionFailed
from shared.http import endpoint
from shared.models.user import Profile, UpdateProfile

from .claims import user_from_claims


@endpoint("PATCH", "/user/profile", refusals=(Conflict,))
def handler(caller: Caller, body: UpdateProfile, terms: Terms) -> Profile:
    """Apply a merge patch (RFC 7396) to the caller's profile, which is created first where there is none."""
    try:
        user = UserRepository.update_user(caller.user_id, body, terms)
    except NotFound:
        if terms.versions is not None:
            raise PreconditionFailed("There is no profile yet, hence no version of it. Read it first.") from None
        UserRepository.ensure_user(user_from_claims(caller))
        user = UserRepository.update_user(caller.user_id, body, terms)
    return Profile.of(user)
