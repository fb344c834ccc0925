"""Tests that the client converts colors to sRGB by the profile of an image, and ignores unusable profiles."""

import base64
import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from odyssey_client.media.color_profiles import srgb_transform
from odyssey_client.media.image import prepare_image
from tests.support.color_profiles import adobe_rgb, display_p3, linear_gray, p3_in_srgb, profile, red_cyan
from tests.support.image_files import encoded, png_chunk

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
STREAM, OTHER = (704, 1280), (120, 90)
RED = (200, 60, 60)

type Color = tuple[int, ...]


def uniform(color: Color | int, mode: str = "RGB", size: tuple[int, int] = OTHER, icc: bytes = b"") -> Image.Image:
    picture = Image.new(mode, size, color)
    if icc:
        picture.info["icc_profile"] = icc
    return picture


def sent(image: bytes | Image.Image) -> bytes:
    return base64.b64decode(prepare_image(image, portrait=True).partition(",")[2])


def shown(image: bytes | Image.Image) -> Color:
    """Convert `image` as the client does; return the color in the middle. The result must have no color profile."""
    with Image.open(io.BytesIO(sent(image))) as picture:
        assert "icc_profile" not in picture.info
        color = picture.convert("RGB").getpixel((300, 600))
    assert isinstance(color, tuple)
    return color


@pytest.mark.parametrize("size", [STREAM, OTHER])
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {"quality": 95}),
        ("PNG", {}),
        ("WEBP", {"lossless": True}),
        ("AVIF", {"quality": 95}),
        ("HEIF", {}),
    ],
)
def test_display_p3_file_is_converted(kind: str, options: dict[str, object], size: tuple[int, int]) -> None:
    content = encoded(uniform(RED, size=size), kind, icc_profile=display_p3(), **options)
    assert shown(content) == pytest.approx((217, 42, 52), abs=4)


@pytest.mark.parametrize("size", [STREAM, OTHER])
@pytest.mark.parametrize(
    ("mode", "color", "icc", "expected"),
    [
        ("RGB", RED, display_p3(), (217, 42, 52)),
        ("RGB", RED, adobe_rgb(), (231, 57, 57)),
        ("RGBA", (*RED, 255), display_p3(), (217, 42, 52)),
        ("RGBA", (*RED, 0), display_p3(), (255, 255, 255)),
        ("L", 64, linear_gray(), (137, 137, 137)),
        ("LA", (64, 255), linear_gray(), (137, 137, 137)),
        ("I;16", 64 * 257, linear_gray(), (137, 137, 137)),
        ("L", 20, adobe_rgb(), (12, 12, 12)),
        ("CMYK", (255, 0, 0, 0), red_cyan(), (253, 7, 10)),
        ("CMYK", (0, 0, 0, 0), red_cyan(), (255, 255, 255)),
    ],
)
def test_picture_of_each_mode_is_converted(
    mode: str, color: Color | int, icc: bytes, expected: Color, size: tuple[int, int]
) -> None:
    assert shown(uniform(color, mode, size, icc)) == pytest.approx(expected, abs=4)
    if mode != "CMYK":
        assert shown(encoded(uniform(color, mode, size), "PNG", icc_profile=icc)) == pytest.approx(expected, abs=4)


@pytest.mark.parametrize("ending", [2, 0], ids=["without end", "whole"])
def test_cmyk_jpeg_is_converted(ending: int) -> None:
    content = encoded(uniform((255, 0, 0, 0), "CMYK"), "JPEG", quality=95, icc_profile=red_cyan())
    assert shown(content[: len(content) - ending]) == pytest.approx((253, 7, 10), abs=6)


def test_palette_is_converted() -> None:
    content = encoded(uniform(RED).quantize(4), "PNG", icc_profile=display_p3())
    assert shown(content) == pytest.approx((217, 42, 52), abs=4)


def test_sixteen_bit_color_is_converted() -> None:
    row = b"\0" + struct.pack(">3H", *(level * 257 for level in RED)) * 8
    chunks = {
        b"IHDR": struct.pack(">2I5B", 8, 8, 16, 2, 0, 0, 0),
        b"iCCP": b"P3\0\0" + zlib.compress(display_p3()),
        b"IDAT": zlib.compress(row * 8),
        b"IEND": b"",
    }
    content = b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks.items())
    assert shown(content) == pytest.approx((217, 42, 52), abs=4)


UNUSABLE = {
    "damaged": b"no profile" * 20,
    "cut off": display_p3()[:300],
    "without colors": profile(b"RGB ", {}),
    "of no device": profile(b"RGB ", {}, kind=b"link"),
    "for CMYK": red_cyan(),
    "for gray": linear_gray(),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_unusable_profile_keeps_the_pixels(name: str) -> None:
    picture = Image.fromarray(np.random.default_rng(3).integers(0, 256, (90, 120, 3), np.uint8))
    assert sent(encoded(picture, "PNG", icc_profile=UNUSABLE[name])) == sent(picture)


def test_rgb_profile_of_cmyk_keeps_the_pixels() -> None:
    assert sent(uniform((255, 0, 0, 0), "CMYK", icc=display_p3())) == sent(uniform((255, 0, 0, 0), "CMYK"))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("icc", [SRGB, b"", b"no profile"], ids=["sRGB", "no profile", "damaged"])
def test_srgb_file_of_stream_size_is_unchanged(kind: str, icc: bytes) -> None:
    gradient = Image.linear_gradient("L").resize(STREAM)
    picture = Image.merge("RGB", (gradient, gradient.rotate(180), Image.radial_gradient("L").resize(STREAM)))
    content = encoded(picture, kind, **({"icc_profile": icc} if icc else {}))
    assert sent(content) == content


def test_gray_file_of_stream_size_is_unchanged() -> None:
    content = encoded(uniform((90, 90, 90), size=STREAM), "PNG", icc_profile=display_p3())
    assert sent(content) == content


@given(st.tuples(*[st.integers(0, 255)] * 3))
def test_display_p3_follows_its_definition(color: tuple[int, int, int]) -> None:
    picture = uniform(color, size=(1, 1), icc=display_p3())
    transform = srgb_transform(picture)
    assert transform is not None
    assert transform.apply(picture).getpixel((0, 0)) == pytest.approx(tuple(p3_in_srgb(color)), abs=1)


@given(st.sampled_from([display_p3(), adobe_rgb(), linear_gray(), red_cyan(), SRGB]), st.data())
def test_broken_profile_never_rejects_an_image(icc: bytes, data: st.DataObject) -> None:
    broken = bytearray(icc)
    for _ in range(data.draw(st.integers(1, 4))):
        broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    for mode in ("RGB", "L", "CMYK", "RGBA"):
        picture = uniform(0, mode, (2, 2), icc=bytes(broken[: data.draw(st.integers(0, len(broken)))]))
        transform = srgb_transform(picture)
        if transform is not None:
            assert transform.apply(picture.convert(transform.input_mode)).mode == "RGB"
