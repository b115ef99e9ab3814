"""Asking for an upload: a form that the bucket takes, for one object and a few minutes."""

from datetime import UTC, datetime, timedelta

from ..errors import Conflict
from ..models.avatar import MAX_UPLOAD_BYTES, AvatarUpload, ImageType
from ..models.fields import now, shifted, timestamp
from ..models.user import DBUser
from ..similarity.objects import ObjectStore
from .names import Upload

FORM_SECONDS = 300


def request_upload(objects: ObjectStore, user: DBUser, media_type: ImageType) -> AvatarUpload:
    """A form for this user's next avatar. It is signed here; nothing is stored and no AWS call is made."""
    expires_at = timestamp(datetime.now(UTC) + timedelta(seconds=FORM_SECONDS))
    upload = Upload.new(user.user_id, _next_time(user))
    form = objects.presign(upload.key, media_type, (1, MAX_UPLOAD_BYTES), FORM_SECONDS)
    return AvatarUpload.model_construct(
        url=form.url, fields=form.fields, expires_at=expires_at, max_bytes=MAX_UPLOAD_BYTES
    )


def _next_time(user: DBUser) -> str:
    """Now, or just after the row was made and its avatar decided, where this clock is behind those that wrote it.

    Raises Conflict for a row of another origin whose times are none.
    """
    current, last = now(), max(user.created_at, user.avatar_as_of or "")
    if current > last:
        return current
    try:
        return shifted(last, timedelta(microseconds=1))
    except (ValueError, OverflowError) as error:
        raise Conflict("This profile takes no avatar: its created_at is no time of this service.") from error
