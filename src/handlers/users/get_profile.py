"""GET /user/profile"""

from shared.auth import Caller
from shared.errors import OutcomeUnknown
from shared.events import Request
from shared.http import endpoint
from shared.models.user import Profile

from .own import own_user


@endpoint("GET", "/user/profile", refusals=(OutcomeUnknown,))
def handler(caller: Caller, request: Request) -> Profile:
    """The caller's profile; the first sight of a caller creates it from the token's claims."""
    return Profile.of(own_user(caller), request.base_url)
