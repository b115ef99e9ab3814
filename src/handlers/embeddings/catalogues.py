"""Whose products a request is about, and who may write them."""

from urllib.parse import quote, urlencode

from shared.auth import Caller
from shared.database.embeddings import require_owner
from shared.errors import Forbidden
from shared.models.embedding import SHARED_OWNER, Catalogue
from shared.models.user import DBUser

from ..users.claims import user_from_claims

ADMINS = "k9-admins"


def owner_to_read(caller: Caller, catalogue: Catalogue) -> str:
    """The owner of the catalogue. Raises Forbidden for a caller who would pass for the shared one's, or another's."""
    require_owner(caller.user_id)
    if caller.user_id == SHARED_OWNER:
        raise Forbidden(f"The account {SHARED_OWNER!r} is reserved.")
    return SHARED_OWNER if catalogue == "shared" else caller.user_id


def owner_to_write(caller: Caller, catalogue: Catalogue) -> str:
    """As `owner_to_read`. Raises Forbidden unless the caller may write: the shared catalogue is the admins' alone."""
    if catalogue == "shared":
        caller.require_group(ADMINS)
    return owner_to_read(caller, catalogue)


def profile_of(caller: Caller, owner: str) -> DBUser:
    """The owner's row of users, for an owner who has none yet."""
    return DBUser(user_id=owner) if owner == SHARED_OWNER else user_from_claims(caller)


def query_of(model_version: str, catalogue: Catalogue) -> str:
    """The query that names a model version of a catalogue, for a Location header."""
    named = {"model_version": model_version}
    return urlencode(named if catalogue == "own" else {**named, "catalogue": catalogue}, quote_via=quote, safe="")
