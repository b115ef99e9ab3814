"""What becomes of an upload that has arrived: the user's avatar, or nothing but the reason.

The bucket tells of an upload at least once, and of several in any order; this may be ended between any two AWS calls
and begun again. So the checked image goes to an address of its own first, then the row says which one is shown (of all
uploads the one that was asked for last, see `UserRepository.place_avatar`), then all others go, and the upload last:
while it is there, everything may be done once more, to the same end.
"""

from ..database.users import UserRepository
from ..errors import NotFound
from ..models.avatar import IMAGE_TYPES, MAX_UPLOAD_BYTES, ImageType
from ..models.user import DBUser
from ..similarity.objects import ObjectChanged, ObjectStore, StoredObject
from ..telemetry import digest, log_warning
from .images import NotAnAvatar, checked_image
from .names import Upload, key_of
from .removing import remove_former, remove_of_nobody

_EMPTY = StoredObject(b"", "")


def check_upload(objects: ObjectStore, users: UserRepository, upload: Upload) -> None:
    """Make the upload its user's avatar, or note why it cannot be one; either way it is gone afterwards.

    Where it is gone already another run has checked it, perhaps beside one that was ended: what such a one left goes.
    Of a user who has no row (any more) nothing is kept. Raises as the stores do; then it is to be called again.
    """
    stored = _read(objects, upload)
    try:
        user = _judge(objects, users, upload, stored) if stored else users.get_user(upload.user_id)
    except NotFound:
        log_warning("an upload of nobody was removed", caller=digest(upload.user_id))
        remove_of_nobody(objects, upload.user_id, upload.requested_at)
    else:
        remove_former(objects, user)
    if stored:
        objects.delete_version(upload.key, stored.version)


def _read(objects: ObjectStore, upload: Upload) -> StoredObject | None:
    """The upload, or as much of it as shows that it is too large: the form bounds it, but this relies on nobody."""
    try:
        return objects.get(upload.key, byte_range=(0, MAX_UPLOAD_BYTES + 1))
    except ObjectChanged:  # an empty object has no first byte
        return _EMPTY


def _judge(objects: ObjectStore, users: UserRepository, upload: Upload, stored: StoredObject) -> DBUser:
    """Raises NotFound where the user has no row."""
    try:
        media_type = _declared(stored)
        image = checked_image(stored.body, media_type)
    except NotAnAvatar as refusal:
        cause = type(refusal.__cause__).__name__ if refusal.__cause__ else None
        log_warning("an upload was refused", caller=digest(upload.user_id), cause=cause)
        return users.refuse_avatar(upload.user_id, str(refusal), upload.requested_at)
    path = upload.avatar_path(image)
    objects.put(key_of(path), image, media_type=media_type)
    return users.place_avatar(upload.user_id, path, upload.requested_at)


def _declared(stored: StoredObject) -> ImageType:
    if not stored.body:
        raise NotAnAvatar("The upload is empty. Send an image.")
    if len(stored.body) > MAX_UPLOAD_BYTES:
        raise NotAnAvatar(f"The upload is larger than {MAX_UPLOAD_BYTES} bytes. Send a smaller image.")
    for media_type in IMAGE_TYPES:
        if media_type == stored.media_type:
            return media_type
    raise NotAnAvatar("The upload does not say that it is a PNG, JPEG or WebP image. Send it with the form's fields.")
