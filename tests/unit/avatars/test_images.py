"""What is taken for an image, and what is left of one."""

import random
import struct
import zlib
from typing import Any

import pytest
from PIL import Image

from shared.avatars.images import KEPT_SIDE, MAX_SIDE, NotAnAvatar, checked_image
from shared.models.avatar import IMAGE_TYPES, MAX_UPLOAD_BYTES, ImageType
from tests.support.images import FORMATS, decoded, encoded, image

CANARY = b"52.5200N 13.4050E"
PAGE = b"<html><script>alert(1)</script></html>"


def noise(size: tuple[int, int] = (60, 40)) -> Image.Image:
    return Image.effect_noise(size, 90).convert("RGB")


def refusal(body: bytes, media_type: ImageType) -> str:
    with pytest.raises(NotAnAvatar) as refused:
        checked_image(body, media_type)
    return str(refused.value)


def bomb(side: int) -> bytes:
    """A PNG that says it has `side` by `side` pixels, in a few bytes."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("media_type", IMAGE_TYPES)
class TestEveryFormat:
    def test_it_stays_what_it_is(self, media_type: ImageType) -> None:
        kept = decoded(checked_image(image(media_type, (24, 16), (200, 30, 30)), media_type))
        assert (kept.format, kept.size, kept.mode) == (FORMATS[media_type], (24, 16), "RGB")
        pixel = kept.getpixel((12, 8))
        assert isinstance(pixel, tuple)
        assert all(abs(found - given) < 8 for found, given in zip(pixel, (200, 30, 30), strict=True))

    def test_the_same_image_is_drawn_the_same(self, media_type: ImageType) -> None:
        """So that a check that is repeated ends at the same address."""
        body = encoded(noise(), FORMATS[media_type])
        assert checked_image(body, media_type) == checked_image(body, media_type)

    def test_one_that_claims_to_be_another_is_refused(self, media_type: ImageType) -> None:
        for other in set(IMAGE_TYPES) - {media_type}:
            told = refusal(image(media_type), other)
            assert f"is a {FORMATS[media_type]} image, and {FORMATS[other]} was declared" in told

    @pytest.mark.parametrize("missing", [0.95, 0.5, 40, 12, 3])
    def test_a_truncated_one_is_refused(self, media_type: ImageType, missing: float) -> None:
        body = encoded(noise(), FORMATS[media_type])
        cut = int(len(body) * missing) if missing < 1 else int(missing)
        if FORMATS[media_type] == "JPEG" and cut < 12:
            return  # all pixels are there: what is drawn anew is whole
        assert "read to its end" in refusal(body[:-cut], media_type)

    def test_what_lies_behind_or_in_it_is_gone(self, media_type: ImageType) -> None:
        exif = Image.Exif()
        exif[0x010E], exif[0x8825] = CANARY.decode(), {1: "N", 2: (52.0, 31.0, 12.0)}
        options: dict[str, Any] = {"exif": exif, "icc_profile": CANARY * 9}
        if media_type == "image/jpeg":
            options["comment"] = CANARY
        body = encoded(noise(), FORMATS[media_type], **options) + PAGE
        assert CANARY in body
        kept = checked_image(body, media_type)
        assert CANARY not in kept
        assert b"script" not in kept
        assert not decoded(kept).getexif()
        assert not {"exif", "icc_profile", "comment"} & decoded(kept).info.keys()

    def test_a_photograph_is_turned_upright(self, media_type: ImageType) -> None:
        """EXIF orientation 6: the top is at the right."""
        exif = Image.Exif()
        exif[0x0112] = 6
        sideways = Image.new("RGB", (40, 20), "white")
        sideways.paste((0, 0, 0), (0, 0, 20, 20))
        kept = decoded(checked_image(encoded(sideways, FORMATS[media_type], exif=exif), media_type)).convert("L")
        assert kept.size == (20, 40)
        top, bottom = kept.getpixel((10, 5)), kept.getpixel((10, 35))
        assert isinstance(top, int | float)
        assert isinstance(bottom, int | float)
        assert top < 20
        assert bottom > 235

    def test_a_large_one_is_made_smaller_in_proportion(self, media_type: ImageType) -> None:
        assert decoded(checked_image(image(media_type, (1200, 600)), media_type)).size == (KEPT_SIDE, KEPT_SIDE // 2)

    def test_the_largest_that_is_taken(self, media_type: ImageType) -> None:
        assert checked_image(image(media_type, (MAX_SIDE, 8)), media_type)
        assert f"larger than {MAX_SIDE} by {MAX_SIDE}" in refusal(image(media_type, (MAX_SIDE + 1, 8)), media_type)

    def test_what_is_kept_is_never_larger_than_an_upload_may_be(self, media_type: ImageType) -> None:
        worst = Image.merge("RGBA", [Image.effect_noise((KEPT_SIDE, KEPT_SIDE), 200)] * 4)
        if media_type == "image/jpeg":
            worst = worst.convert("RGB")
        body = encoded(worst, FORMATS[media_type])
        assert len(checked_image(body, media_type)) < MAX_UPLOAD_BYTES

    def test_damage_is_refused_or_drawn_over_and_never_breaks_anything(self, media_type: ImageType) -> None:
        body, chance, refused = encoded(noise((32, 32)), FORMATS[media_type]), random.Random(7), 0  # noqa: S311
        for _ in range(150):
            damaged = bytearray(body)
            for _ in range(chance.randint(1, 8)):
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
            try:
                assert decoded(checked_image(bytes(damaged), media_type)).format == FORMATS[media_type]
            except NotAnAvatar:
                refused += 1
        assert refused > 5


@pytest.mark.parametrize("media_type", IMAGE_TYPES)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        PAGE,
        b"GIF89a/*" + PAGE,
        b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        b"%PDF-1.7\n" + PAGE,
        b"\x89PNG\r\n\x1a\n" + PAGE,
        b"\xff\xd8\xff\xe0" + PAGE,
        b"RIFF\x40\x00\x00\x00WEBPVP8 " + PAGE,
        bytes(1000),
        PAGE + image("image/png"),
        encoded(Image.new("RGB", (9, 9)), "GIF"),
        encoded(Image.new("RGB", (9, 9)), "BMP"),
        encoded(Image.new("RGB", (9, 9)), "TIFF"),
    ],
    ids=lambda body: repr(body[:12]),
)
def test_what_is_no_image_of_these_formats_is_refused(body: bytes, media_type: ImageType) -> None:
    assert "no PNG, JPEG or WebP image" in refusal(body, media_type)


@pytest.mark.parametrize("side", [MAX_SIDE + 1, 5000, 60_000])
def test_a_bomb_is_refused_before_it_is_decoded(side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    body = bomb(side)
    assert len(body) < 100
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda image: pytest.fail("it was decoded"))
    assert f"larger than {MAX_SIDE} by {MAX_SIDE} pixels" in refusal(body, "image/png")


@pytest.mark.parametrize("media_type", ["image/png", "image/webp"])
def test_an_animation_is_refused(media_type: ImageType) -> None:
    frames = [Image.new("RGB", (9, 9), colour) for colour in ("red", "blue")]
    body = encoded(frames[0], FORMATS[media_type], save_all=True, append_images=frames[1:])
    assert refusal(body, media_type) == "The upload is animated. Send a still image."


def test_a_telephones_jpeg_with_a_second_picture_is_its_first() -> None:
    """As cameras add a depth map or a larger preview; the file says image/jpeg all the same."""
    first, second = Image.new("RGB", (30, 20), "red"), Image.new("RGB", (60, 40), "blue")
    kept = decoded(checked_image(encoded(first, "MPO", save_all=True, append_images=[second]), "image/jpeg"))
    assert (kept.format, kept.size, getattr(kept, "n_frames", 1)) == ("JPEG", (30, 20), 1)


def test_a_picture_for_print_gets_the_colours_of_a_screen() -> None:
    kept = decoded(checked_image(encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG"), "image/jpeg"))
    assert kept.mode == "RGB"
    assert kept.getpixel((4, 4)) in [(254, 0, 0), (255, 0, 0)]


@pytest.mark.parametrize(
    ("mode", "colour", "kept_mode", "pixel"),
    [
        ("1", 1, "RGB", (255, 255, 255)),
        ("L", 100, "RGB", (100, 100, 100)),
        ("LA", (100, 50), "RGBA", (100, 100, 100, 50)),
        ("P", 0, "RGB", (0, 0, 0)),
        ("RGBA", (1, 2, 3, 4), "RGBA", (1, 2, 3, 4)),
        ("I;16", 40_000, "RGB", (156, 156, 156)),
    ],
)
def test_every_kind_of_png(mode: str, colour: Any, kept_mode: str, pixel: tuple[int, ...]) -> None:
    kept = decoded(checked_image(encoded(Image.new(mode, (6, 6), colour), "PNG"), "image/png"))
    assert (kept.mode, kept.getpixel((3, 3))) == (kept_mode, pixel)
