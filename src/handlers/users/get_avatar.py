"""GET /avatars/{owner}/{avatar_id}"""

from shared.errors import NotFound
from shared.http import Content, endpoint
from shared.models.avatar import AVATARS, IMAGE_TYPES, AvatarId, AvatarOwner
from shared.similarity.objects import default_objects

_HEADERS = {
    # What is shown under an address never changes; another image gets another address.
    "Cache-Control": "public, max-age=31536000, immutable",
    # Opened by itself it is a document: one that loads nothing and runs nothing.
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Content-Disposition": "inline",
    # Front ends of other sites show it in an <img>, also those that ask for isolation.
    "Cross-Origin-Resource-Policy": "cross-origin",
}


@endpoint(
    "GET",
    "/avatars/{owner}/{avatar_id}",
    is_open=True,
    media_types=IMAGE_TYPES,
    content_headers=("Cache-Control", "ETag"),
)
def handler(owner: AvatarOwner, avatar_id: AvatarId) -> Content:
    """An uploaded avatar, for whoever has its address."""
    stored = default_objects().get(f"{AVATARS}{owner}/{avatar_id}")
    if stored is None:
        raise NotFound("There is no such avatar.")
    return Content(stored.body, stored.media_type, headers={**_HEADERS, "ETag": stored.etag})
