"""DELETE /user"""

from shared.account.erasures import ErasureStore
from shared.auth import Caller
from shared.config import get_settings
from shared.errors import Forbidden, OutcomeUnknown
from shared.http import Answer, endpoint
from shared.models.account import ErasureState
from shared.similarity.objects import default_objects

from .accounts import ask_worker, erasure_state, own_account


@endpoint("DELETE", "/user", status=202, refusals=(Forbidden, OutcomeUnknown), limited_as="none")
def handler(caller: Caller) -> Answer[ErasureState]:
    """Erase everything that the caller owns. Whoever asks again while that is under way joins it."""
    store = ErasureStore.of_user(default_objects(), own_account(caller))
    status = store.request(caller.user_id, get_settings().token_life)
    if status.state == "queued":  # also by another, whose own asking may have failed
        ask_worker({"task": "erase", "account": store.account, "erasure_id": status.id})
    return Answer(erasure_state(status), 202, "/user/erasure")
