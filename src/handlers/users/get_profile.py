"""GET /user/profile"""

from shared.auth import Caller
from shared.database import UserRepository
from shared.errors import NotFound, OutcomeUnknown
from shared.http import endpoint
from shared.models.user import Profile

from .claims import user_from_claims


@endpoint("GET", "/user/profile", refusals=(OutcomeUnknown,))
def handler(caller: Caller) -> Profile:
    """The caller's profile; the first sight of a caller creates it from the token's claims."""
    try:
        user = UserRepository.get_user(caller.user_id)
    except NotFound:
        user = UserRepository.ensure_user(user_from_claims(caller))
    return Profile.of(user)
