"""Files that are too large for an answer: in the bucket for a while, behind an address that cannot be guessed."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from .models import fields
from .models.fields import parse_timestamp, timestamp
from .similarity.objects import ObjectStore, export_prefix

DOWNLOAD_SECONDS = 300
_SECRET_BYTES = 16


@dataclass(frozen=True, slots=True)
class Download:
    """Where a file can be had until `expires_at` (RFC 3339); the address is a secret of its owner."""

    url: str
    expires_at: str


def offer(objects: ObjectStore, owner: str, folder: str, body: bytes, *, media_type: str, disposition: str) -> Download:
    """Put a file into the owner's folder of that name, and give its address. Raises as `ObjectStore.put` does."""
    key = f"{export_prefix(owner)}{folder}/{secrets.token_hex(_SECRET_BYTES)}"
    objects.put(key, body)
    return download_of(objects, key, media_type=media_type, disposition=disposition)


def download_of(
    objects: ObjectStore, key: str, *, media_type: str, disposition: str, clock: Callable[[], str] = fields.now
) -> Download:
    """The address of a file that is there. `clock` gives the time as `models.fields.now` does.

    Type and name are part of what is signed: whoever has the address cannot have the file answered as another.
    """
    expires = parse_timestamp(clock()) + timedelta(seconds=DOWNLOAD_SECONDS)
    url = objects.presigned_get(key, seconds=DOWNLOAD_SECONDS, media_type=media_type, disposition=disposition)
    return Download(url, timestamp(expires))
