"""A user as the token's claims describe them."""

from shared.auth import Caller
from shared.models.user import DBUser


def user_from_claims(caller: Caller) -> DBUser:
    """The profile that a user has before they ever changed it."""
    return DBUser(user_id=caller.user_id, name=caller.name, email=caller.email)
