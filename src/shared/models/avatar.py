"""Avatars: what an upload may be, the request for one, and the answer."""

from typing import Annotated, Literal, get_args

from pydantic import Field, StringConstraints

from .fields import RequestModel, ResponseModel

MAX_UPLOAD_BYTES = 2 * 1024 * 1024
AVATARS = "avatars/"
"""What the keys of all avatars begin with, and their paths, but for the slash before it."""

ImageType = Literal["image/png", "image/jpeg", "image/webp"]
IMAGE_TYPES: tuple[ImageType, ...] = get_args(ImageType)

AvatarOwner = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
AvatarId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{46}$")]


class RequestAvatar(RequestModel):
    """What the upload will be."""

    content_type: ImageType


class AvatarUpload(ResponseModel):
    """A form to be sent as multipart/form-data to `url`: these fields, then the image as `file`, last."""

    url: str
    fields: dict[str, str] = Field(repr=False)
    expires_at: str
    max_bytes: int


def absolute_avatar_url(stored: str | None, base_url: str) -> str | None:
    """The address of an avatar, where a path of this API is stored; an address that a client gave is one already."""
    return base_url + stored if stored is not None and stored.startswith(f"/{AVATARS}") else stored
