"""Tests that start images are recognized by their content, fitted to the frame, or rejected with a reason."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from odyssey_mock.media import picture
from odyssey_mock.media.picture import KEPT_BYTES, PictureError, fitted, kept
from odyssey_mock.media.timeline import Size

SIZE = Size(176, 320)
RED = (200, 30, 30)


def image(form: str, size: tuple[int, int] = (48, 32)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, RED).save(buffer, form)
    return buffer.getvalue()


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "HEIF", "AVIF"])
def test_each_format_of_the_protocol_is_decoded(form: str) -> None:
    shown = fitted(image(form), SIZE)
    assert shown.size == (176, 320)
    assert np.abs(np.asarray(shown).astype(int) - RED).max() < 12


def test_unlisted_format_is_rejected() -> None:
    with pytest.raises(
        PictureError, match=r"expected an image \(JPEG, PNG, .*\), got \d+ bytes that cannot be decoded"
    ):
        fitted(image("TIFF"), SIZE)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "BMP", "AVIF"])
def test_truncated_image_is_rejected(form: str) -> None:
    data = image(form, (300, 300))
    with pytest.raises(PictureError):
        fitted(data[: len(data) // 2], SIZE)


def test_error_message_contains_no_memory_address() -> None:
    with pytest.raises(PictureError) as refused:
        fitted(b"no picture", SIZE)
    assert " at 0x" not in str(refused.value), f"expected no memory address in the message, got {refused.value}"


def test_16_bit_gray_keeps_its_shades() -> None:
    ramp = np.tile(np.linspace(0, 65535, SIZE.width, dtype=np.uint16), (SIZE.height, 1))
    buffer = io.BytesIO()
    Image.fromarray(ramp).save(buffer, "PNG")
    shown = np.asarray(fitted(buffer.getvalue(), SIZE))[:, :, 0]
    assert np.abs(shown.astype(int) - ramp // 257).max() <= 2


def test_image_with_too_many_pixels_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "MAX_PIXELS", 1000)
    with pytest.raises(PictureError, match="48x32 is above 1,000 pixels"):
        fitted(image("PNG"), SIZE)


def test_image_is_turned_upright_and_center_cropped() -> None:
    wide = Image.new("RGB", (600, 200), (0, 0, 0))
    wide.paste(RED, (250, 0, 350, 200))
    shown = np.asarray(fitted(_encoded(wide), SIZE))
    assert np.abs(shown[160, 88].astype(int) - RED).max() < 12, (
        f"expected the center of the frame to be red {RED}, as in the image, got {shown[160, 88]}"
    )
    exif = Image.Exif()
    exif[0x0112] = 6  # EXIF orientation: turn by 90 degrees
    lying = Image.new("RGB", (320, 176), (0, 0, 0))
    lying.paste(RED, (0, 0, 40, 176))
    turned = np.asarray(fitted(_encoded(lying, exif=exif), SIZE))
    assert np.abs(turned[10, 88].astype(int) - RED).max() < 40, (
        f"expected the top of the frame to show the red left edge after the EXIF rotation, got {turned[10, 88]}"
    )


def noise(form: str, size: tuple[int, int], mode: str = "RGB") -> bytes:
    """Return an encoded image of random pixels, which cannot be compressed."""
    channels = len(mode) if mode != "L" else 1
    pixels = np.random.default_rng(1).integers(0, 256, (size[1], size[0], channels), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels.squeeze(), mode).save(buffer, form)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("form", "mode"), [("JPEG", "RGB"), ("PNG", "RGB"), ("PNG", "RGBA"), ("PNG", "L"), ("BMP", "RGB")]
)
def test_large_image_is_kept_at_shown_size(form: str, mode: str) -> None:
    data = noise(form, (1500, 1500), mode)
    left = kept(data, SIZE)
    assert len(data) > KEPT_BYTES
    assert len(left) < 3 * SIZE.width * SIZE.height * 1.1
    assert np.array_equal(np.asarray(fitted(left, SIZE)), np.asarray(fitted(data, SIZE))), (
        "expected the image that the mock stores to give the same frame as the original, got another frame"
    )


def test_image_is_kept_unchanged_unless_fitting_saves_bytes() -> None:
    assert kept(image("PNG"), SIZE) == image("PNG")
    large = noise("JPEG", (1500, 1500))
    assert kept(large, Size(2816, 5120)) is large


@pytest.mark.parametrize("data", [b"no picture", noise("PNG", (1500, 1500))[:-100_000]], ids=["text", "truncated"])
def test_invalid_image_is_not_kept(data: bytes) -> None:
    with pytest.raises(PictureError, match="expected an image"):
        kept(data, SIZE)


def _encoded(image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=95, **options)
    return buffer.getvalue()


@given(st.binary(max_size=300))
def test_arbitrary_bytes_raise_only_picture_error(data: bytes) -> None:
    with pytest.raises(PictureError):
        fitted(data, SIZE)
