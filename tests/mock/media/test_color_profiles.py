"""Tests that the mock converts start images to sRGB by their color profile, and ignores invalid profiles."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from odyssey_mock.media.color_profiles import srgb_transform
from odyssey_mock.media.picture import KEPT_BYTES, fitted, kept
from odyssey_mock.media.timeline import Size
from tests.support.color_profiles import adobe_rgb, display_p3, linear_gray, p3_in_srgb, profile, red_cyan
from tests.support.image_files import encoded

SIZE = Size(176, 320)
RED = (200, 60, 60)

type Color = tuple[int, ...]


def uniform(color: Color | int, mode: str = "RGB", size: tuple[int, int] = (120, 90)) -> Image.Image:
    return Image.new(mode, size, color)


def shown(content: bytes) -> Color:
    color = fitted(content, SIZE).getpixel((88, 160))
    assert isinstance(color, tuple)
    return color


@pytest.mark.parametrize("size", [(176, 320), (120, 90), (1000, 1000)])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "HEIF"])
def test_display_p3_photo_is_shown_in_srgb(kind: str, size: tuple[int, int]) -> None:
    options = {} if kind in {"HEIF", "PNG"} else {"quality": 95}
    content = encoded(uniform(RED, size=size), kind, icc_profile=display_p3(), **options)
    assert shown(content) == pytest.approx((217, 42, 52), abs=5)


@pytest.mark.parametrize(
    ("kind", "mode", "color", "icc", "expected"),
    [
        ("PNG", "RGB", RED, adobe_rgb(), (231, 57, 57)),
        ("PNG", "RGBA", (*RED, 255), display_p3(), (217, 42, 52)),
        ("PNG", "L", 64, linear_gray(), (137, 137, 137)),
        ("PNG", "LA", (64, 255), linear_gray(), (137, 137, 137)),
        ("PNG", "I;16", 64 * 257, linear_gray(), (137, 137, 137)),
        ("PNG", "L", 20, adobe_rgb(), (12, 12, 12)),
        ("JPEG", "L", 64, linear_gray(), (137, 137, 137)),
        ("JPEG", "CMYK", (255, 0, 0, 0), red_cyan(), (253, 7, 10)),
        ("JPEG", "CMYK", (0, 0, 0, 0), red_cyan(), (255, 255, 255)),
    ],
)
def test_file_of_each_mode_is_shown_in_srgb(
    kind: str, mode: str, color: Color | int, icc: bytes, expected: Color
) -> None:
    assert shown(encoded(uniform(color, mode), kind, icc_profile=icc)) == pytest.approx(expected, abs=4)


@pytest.mark.parametrize(
    "icc",
    [b"no profile" * 20, display_p3()[:300], profile(b"RGB ", {}), red_cyan(), linear_gray()],
    ids=["damaged", "cut off", "without colors", "for CMYK", "for gray"],
)
def test_unusable_profile_keeps_the_colors(icc: bytes) -> None:
    assert shown(encoded(uniform(RED), "PNG", icc_profile=icc)) == RED


def test_stored_picture_has_the_same_colors() -> None:
    noise = Image.fromarray(np.random.default_rng(4).integers(0, 256, (900, 900, 3), np.uint8))
    content = encoded(noise, "PNG", icc_profile=display_p3())
    stored, _ = kept(content, SIZE)
    assert len(stored) < KEPT_BYTES < len(content)
    assert "icc_profile" not in Image.open(io.BytesIO(stored)).info
    assert fitted(stored, SIZE).tobytes() == fitted(content, SIZE).tobytes()


@given(st.tuples(*[st.integers(0, 255)] * 3))
def test_display_p3_follows_its_definition(color: tuple[int, int, int]) -> None:
    picture = uniform(color, size=(1, 1))
    picture.info["icc_profile"] = display_p3()
    transform = srgb_transform(picture)
    assert transform is not None
    assert transform.apply(picture).getpixel((0, 0)) == pytest.approx(tuple(p3_in_srgb(color)), abs=1)


@given(st.sampled_from([display_p3(), linear_gray(), red_cyan()]), st.data())
def test_broken_profile_never_rejects_an_image(icc: bytes, data: st.DataObject) -> None:
    broken = bytearray(icc)
    for _ in range(data.draw(st.integers(1, 4))):
        broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    for mode in ("RGB", "L", "CMYK"):
        picture = uniform(0, mode, (2, 2))
        picture.info["icc_profile"] = bytes(broken[: data.draw(st.integers(0, len(broken)))])
        transform = srgb_transform(picture)
        if transform is not None:
            assert transform.apply(picture.convert(transform.input_mode)).mode == "RGB"
