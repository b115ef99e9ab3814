"""Files that are too large for an answer: put into the bucket for a while, behind an address that cannot be guessed."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from .models.fields import timestamp
from .similarity.objects import ObjectStore, export_prefix

DOWNLOAD_SECONDS = 300
_SECRET_BYTES = 16


@dataclass(frozen=True, slots=True)
class Download:
    """Where a file can be had until `expires_at` (RFC 3339); the address is a secret of its owner."""

    url: str
    expires_at: str


def offer(objects: ObjectStore, owner: str, folder: str, body: bytes, *, media_type: str, disposition: str) -> Download:
    """Put a file into the owner's folder of that name, and give its address. Raises as `ObjectStore.put` does.

    Type and name are part of what is signed: whoever has the address cannot have the file answered as another.
    """
    key = f"{export_prefix(owner)}{folder}/{secrets.token_hex(_SECRET_BYTES)}"
    objects.put(key, body)
    expires = datetime.now(UTC) + timedelta(seconds=DOWNLOAD_SECONDS)
    url = objects.presigned_get(key, seconds=DOWNLOAD_SECONDS, media_type=media_type, disposition=disposition)
    return Download(url, timestamp(expires))
