"""GET /user/export"""

from shared.auth import Caller
from shared.errors import Forbidden
from shared.http import endpoint
from shared.models.account import AccountExport

from .accounts import account_export, exports_of


@endpoint("GET", "/user/export", refusals=(Forbidden,))
def handler(caller: Caller) -> AccountExport:
    """How the copy of the caller's account stands, and where the file can be had."""
    store = exports_of(caller)
    return account_export(store, store.status())
