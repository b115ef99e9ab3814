"""GET /user/erasure"""

from shared.account.erasures import ErasureStore
from shared.auth import Caller
from shared.errors import Forbidden
from shared.http import endpoint
from shared.models.account import ErasureState
from shared.similarity.objects import default_objects

from .accounts import erasure_state, own_account


@endpoint("GET", "/user/erasure", refusals=(Forbidden,), limited_as="none")
def handler(caller: Caller) -> ErasureState:
    """How the erasure of the caller's account stands."""
    return erasure_state(ErasureStore.of_user(default_objects(), own_account(caller)).status())
