"""Pictures as files, and files as pictures."""

from io import BytesIO
from typing import Any

from PIL import Image

FORMATS = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WEBP"}


def image(media_type: str = "image/png", size: tuple[int, int] = (24, 16), colour: Any = "red") -> bytes:
    """A picture of one colour."""
    return encoded(Image.new("RGB", size, colour), FORMATS[media_type])


def encoded(picture: Image.Image, image_format: str, **options: Any) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, image_format, **options)
    return buffer.getvalue()


def decoded(body: bytes) -> Image.Image:
    with Image.open(BytesIO(body)) as picture:
        picture.load()
        return picture
