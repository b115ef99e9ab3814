"""The caller's own profile, which there always is."""

from shared.auth import Caller
from shared.database import UserRepository
from shared.errors import NotFound
from shared.models.user import DBUser

from .claims import user_from_claims


def own_user(caller: Caller) -> DBUser:
    """The caller's profile; the first sight of a caller creates it from the token's claims."""
    try:
        return UserRepository.get_user(caller.user_id)
    except NotFound:
        return UserRepository.ensure_user(user_from_claims(caller))
