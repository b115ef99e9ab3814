"""Is it the image that it claims to be? What is kept of one is drawn anew, so that nothing else of the file is left.

An upload is hostile until it is read: of another format, a page or script with an image in front (or the reverse),
cut off, damaged so as to break a decoder, or tiny and as large as a house once it is decoded. What is drawn anew has
no metadata either: photographs say where they were taken.
"""

import warnings
from io import BytesIO
from typing import Any

from PIL import Image, ImageOps

from ..models.avatar import ImageType

MAX_SIDE = 4096
"""Pixels; more are not decoded, however few bytes they take."""

KEPT_SIDE = 512
"""Pixels of the longer side of what is kept. Even without any compression it is smaller than an upload may be."""

_FORMATS: dict[ImageType, str] = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WEBP"}
_SAVED_WITH: dict[str, dict[str, Any]] = {
    "PNG": {"optimize": True},
    "JPEG": {"quality": 90, "optimize": True},
    "WEBP": {"quality": 90},
}
_PNG_END = b"IEND\xaeB`\x82"
"""The last chunk, with its checksum (PNG specification, section 11.2.5): Pillow does not miss it."""

_SEVERAL_PICTURES = "MPO"
"""A JPEG file with further pictures behind the one that is shown, such as a phone's depth map; Pillow calls it so."""

Image.MAX_IMAGE_PIXELS = MAX_SIDE * MAX_SIDE


class NotAnAvatar(Exception):
    """The upload cannot be an avatar. The message is for the user: what was wrong, and what to do."""


def checked_image(body: bytes, media_type: ImageType) -> bytes:
    """The image in `body`, drawn anew in its own format and at most KEPT_SIDE pixels high and wide, upright.

    Raises NotAnAvatar for everything but one still image of this type that can be decoded to its end.
    """
    declared = _FORMATS[media_type]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(BytesIO(body), formats=tuple(_FORMATS.values())) as image:
                _check_header(image, declared)
                return _encoded(_drawn_anew(image, body), declared)
    except NotAnAvatar:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large() from error
    except Exception as error:  # decoders fail in all the ways that Python can, and each means that it is no image
        raise NotAnAvatar(
            "The upload is no PNG, JPEG or WebP image that can be read to its end. Send the file as an image program "
            "saved it."
        ) from error


def _check_header(image: Image.Image, declared: str) -> None:
    """What the first bytes tell, before anything is decoded."""
    found = "JPEG" if image.format == _SEVERAL_PICTURES else image.format
    if found != declared:
        raise NotAnAvatar(
            f"The upload is a {found} image, and {declared} was declared. Ask for a form for what you send."
        )
    if max(image.size) > MAX_SIDE:
        raise _too_large()
    if image.format != _SEVERAL_PICTURES and getattr(image, "n_frames", 1) > 1:
        raise NotAnAvatar("The upload is animated. Send a still image.")


def _drawn_anew(image: Image.Image, body: bytes) -> Image.Image:
    """The decoded pixels alone, upright (EXIF orientation), within KEPT_SIDE."""
    if image.format == "PNG":
        _check_chunks(body)
    image.load()
    upright = _in_colour(ImageOps.exif_transpose(image))
    upright.thumbnail((KEPT_SIDE, KEPT_SIDE), Image.Resampling.LANCZOS)
    upright.info = {}  # else comments and profiles would be written again
    return upright


def _check_chunks(body: bytes) -> None:
    """The checksums of a PNG's chunks, up to the last: the decoder itself stops at the last pixel."""
    if _PNG_END not in body:
        raise EOFError
    with Image.open(BytesIO(body), formats=("PNG",)) as file:
        file.verify()


def _in_colour(image: Image.Image) -> Image.Image:
    """Eight bits each of red, green, blue, and of opacity where there is any; 16 bits of grey lose the lower eight."""
    if image.mode.startswith("I"):
        image = image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _encoded(image: Image.Image, image_format: str) -> bytes:
    buffer = BytesIO()
    image.save(buffer, image_format, **_SAVED_WITH[image_format])
    return buffer.getvalue()


def _too_large() -> NotAnAvatar:
    return NotAnAvatar(f"The image is larger than {MAX_SIDE} by {MAX_SIDE} pixels. Send a smaller one.")
