"""Where the bucket keeps what is of one account.

What a user owns lies below prefixes that end with a slash after the user, percent-encoded or as a digest, so that no
user's is the beginning of another's. What is kept of an erasure lies under a digest of the user.
"""

import hashlib
from urllib.parse import quote

from ..avatars.names import avatar_prefix, upload_prefix

_MAX_KEY_BYTES = 1024
"""Of S3: what may keep an object is looked at, whatever room its kind leaves below its own prefix."""

ERASURES = "erasures/"
PENDING_ERASURES = "pending/erasures/"
PENDING_EXPORTS = "pending/exports/"


def owned_prefixes(user_id: str) -> list[str]:
    """What the keys of all objects of this user begin with. Where it is too long for a key, there are none."""
    owner = quote(user_id, safe="")
    quoted = [f"{kind}/{owner}/" for kind in ("exports", "pending/exports")]
    prefixes = (similarity_prefix(user_id), *quoted, upload_prefix(user_id), avatar_prefix(user_id))
    return [prefix for prefix in prefixes if len(prefix) < _MAX_KEY_BYTES]


def similarity_prefix(user_id: str) -> str:
    """Snapshots and matrices; what follows is the model version, percent-encoded."""
    return f"similarity/{quote(user_id, safe='')}/"


def account_digest(user_id: str) -> str:
    """The user in the record of an erasure, which outlives everything else of them."""
    return hashlib.sha256(b"erasure\0" + user_id.encode("utf-8", "surrogatepass")).hexdigest()


def erasure_key(account: str) -> str:
    return f"{ERASURES}{account}.json"


def pending_erasure_key(account: str, erasure_id: str) -> str:
    """Its marker, by which an erasure is found until it is done; of no content."""
    return f"{PENDING_ERASURES}{account}/{erasure_id}"
