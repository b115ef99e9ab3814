"""POST /user/export"""

from shared.auth import Caller
from shared.errors import Forbidden, OutcomeUnknown
from shared.http import Answer, endpoint
from shared.models.account import AccountExport

from .accounts import account_export, ask_worker, exports_of


@endpoint("POST", "/user/export", status=202, refusals=(Forbidden, OutcomeUnknown), limited_as="searches")
def handler(caller: Caller) -> Answer[AccountExport]:
    """Have a copy made of everything that the caller owns. Whoever asks again while one is being made joins it."""
    store = exports_of(caller)
    status = store.request()
    if status.state == "queued":  # also by another, whose own asking may have failed
        ask_worker({"task": "export", "owner": caller.user_id, "export_id": status.id})
    return Answer(account_export(store, status), 202, "/user/export")
