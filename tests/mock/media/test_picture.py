"""Tests that start images are recognized by their content, fitted to the frame, or rejected with a reason."""

import io
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from odyssey_client.media import image_source
from odyssey_mock.media import picture
from odyssey_mock.media.picture import KEPT_BYTES, PictureError, fitted, kept
from odyssey_mock.media.timeline import Size
from odyssey_mock.settings import Settings, StartImageFit
from tests.support.image_costs import check_at_once, memory_per_pixel, only_on_linux
from tests.support.image_files import mutated_files, png_chunk, png_with

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
    with pytest.raises(PictureError, match="expected at most 1,000 pixels, got 48x32"):
        fitted(image("PNG"), SIZE)


@pytest.mark.parametrize("form", ["WEBP", "AVIF"])
def test_formats_with_costly_decoders_have_a_lower_limit(monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    monkeypatch.setattr(picture, "MAX_COSTLY_PIXELS", 1000)
    with pytest.raises(PictureError, match="expected at most 1,000 pixels, got 48x32"):
        fitted(image(form), SIZE)
    assert fitted(image("PNG"), SIZE).size == (176, 320)


def test_limits_are_those_of_the_client() -> None:
    ours = picture.MAX_PIXELS, picture.MAX_COSTLY_PIXELS, Settings().max_image_bytes
    assert ours == (image_source.MAX_IMAGE_PIXELS, image_source.MAX_COSTLY_PIXELS, image_source.MAX_IMAGE_BYTES)


@only_on_linux
def test_memory_per_pixel_of_large_image_is_bounded() -> None:
    imports = "from odyssey_mock.media.picture import kept; from odyssey_mock.media.timeline import Size"
    per_pixel = memory_per_pixel(imports, "kept(content, Size(704, 1280))")
    assert per_pixel < 8, f"expected less than 8 bytes of memory per pixel, got {per_pixel:.1f}"


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_large_image_is_shown_as_a_small_one(form: str) -> None:
    ramp = np.linspace(0, 255, 1400, dtype=np.uint8)
    pixels = np.stack(np.broadcast_arrays(ramp[:, None], ramp[None, :], np.uint8(60)), axis=-1)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form)
    small = Image.fromarray(pixels).resize((320, 320), Image.Resampling.LANCZOS).crop((72, 0, 248, 320))
    shown = np.asarray(fitted(buffer.getvalue(), SIZE)).astype(int)
    assert np.abs(shown - np.asarray(small)).mean() < 6


def test_two_images_are_decoded_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    check_at_once(monkeypatch, picture, "_fitted", lambda: fitted(b"", SIZE), most=2)


@given(mutated_files(), st.sampled_from(get_args(StartImageFit.__value__)))
def test_mutated_file_is_shown_or_raises_picture_error(content: bytes, fit: StartImageFit) -> None:
    try:
        shown = fitted(content, SIZE, fit)
    except PictureError:
        return
    assert (shown.size, shown.mode) == ((176, 320), "RGB")


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
    left, _ = kept(data, SIZE)
    assert len(data) > KEPT_BYTES
    assert len(left) < 3 * SIZE.width * SIZE.height * 1.1
    assert np.array_equal(np.asarray(fitted(left, SIZE)), np.asarray(fitted(data, SIZE))), (
        "expected the image that the mock stores to give the same frame as the original, got another frame"
    )


def test_image_is_kept_unchanged_unless_fitting_saves_bytes() -> None:
    assert kept(image("PNG"), SIZE) == (image("PNG"), "crop")
    large = noise("JPEG", (1500, 1500))
    assert kept(large, Size(1408, 2560)) == (large, "crop")


def bands(size: tuple[int, int]) -> bytes:
    """Return an image whose red value grows from left to right, and whose green value grows from top to bottom."""
    across = np.linspace(0, 255, size[0], dtype=np.uint8)
    down = np.linspace(0, 255, size[1], dtype=np.uint8)
    pixels = np.stack(np.broadcast_arrays(across, down[:, None], np.uint8(0)), axis=-1)
    buffer = io.BytesIO()
    Image.fromarray(pixels, "RGB").save(buffer, "PNG")
    return buffer.getvalue()


def shown_share(shown: Image.Image) -> tuple[float, float]:
    """Return the fractions of the width and the height of an image of `bands` that are visible in `shown`."""
    pixels = np.asarray(shown).astype(float)
    across = pixels[:, -1, 0].mean() - pixels[:, 0, 0].mean()
    down = pixels[-1, :, 1].mean() - pixels[0, :, 1].mean()
    return across / 255, down / 255


@pytest.mark.parametrize(
    ("fit", "image_size", "across", "down"),
    [
        ("crop", (352, 640), 1, 1),
        ("crop", (640, 352), 0.3025, 1),  # the width of a portrait frame, from an image with its sides swapped
        ("crop", (400, 400), 0.55, 1),
        ("crop", (100, 1000), 1, 0.1818),
        ("service_crop", (352, 640), 0.5916, 0.5916),  # 0.35 of the area
        ("service_crop", (640, 352), 0.3025, 1),  # no more than 0.3025 of the area covers the frame
        ("service_crop", (400, 400), 0.4387, 0.7977),
        ("service_crop", (300, 400), 0.5066, 0.6909),
        ("service_crop", (100, 1000), 1, 0.1818),
    ],
)
def test_fit_shows_the_middle_of_the_image(
    fit: StartImageFit, image_size: tuple[int, int], across: float, down: float
) -> None:
    shown = fitted(bands(image_size), SIZE, fit)
    assert shown.size == (176, 320)
    assert shown_share(shown) == pytest.approx((across, down), abs=0.03)
    middle = np.asarray(shown)[160, 88]
    assert np.abs(middle.astype(int) - (127, 127, 0)).max() <= 4


@pytest.mark.parametrize(
    ("image_size", "box"),
    [
        ((640, 352), (0, 111, 176, 208)),
        ((352, 640), (0, 0, 176, 320)),
        ((100, 1000), (72, 0, 104, 320)),
        ((8, 4), (0, 116, 176, 204)),
    ],
)
def test_letterbox_shows_the_whole_image_between_black_bars(
    image_size: tuple[int, int], box: tuple[int, int, int, int]
) -> None:
    shown = fitted(bands(image_size), SIZE, "letterbox")
    assert shown.size == (176, 320)
    left, top, right, bottom = box
    assert shown_share(shown.crop(box)) == pytest.approx((1, 1), abs=0.05 if min(image_size) > 8 else 0.3)
    bars = np.asarray(shown).copy()
    bars[top:bottom, left:right] = 0
    assert not bars.any(), f"expected black outside {box}, got colors up to {bars.max()}"


@pytest.mark.parametrize(
    ("form", "mode"),
    [("JPEG", "RGB"), ("JPEG", "CMYK"), ("PNG", "RGBA"), ("PNG", "P"), ("PNG", "L"), ("PNG", "I;16"), ("PNG", "1")],
)
@pytest.mark.parametrize("has_profile", [True, False])
def test_bars_are_black_for_every_color_mode(form: str, mode: str, has_profile: bool) -> None:
    buffer = io.BytesIO()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes() if has_profile else None
    Image.new(mode, (320, 176), 1 if mode == "1" else 200).save(buffer, form, icc_profile=profile)
    shown = fitted(buffer.getvalue(), SIZE, "letterbox")
    assert shown.mode == "RGB"
    assert {shown.getpixel((88, y)) for y in (0, 100, 220, 319)} == {(0, 0, 0)}


@pytest.mark.parametrize("fit", get_args(StartImageFit.__value__))
@pytest.mark.parametrize("orientation", [1, 6])
def test_kept_image_gives_the_same_frame(fit: StartImageFit, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    pixels = np.random.default_rng(1).integers(0, 256, (900, 1400, 3), np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG", exif=exif)
    stored, stored_fit = kept(buffer.getvalue(), SIZE, fit)
    assert len(stored) < len(buffer.getvalue())
    assert fitted(stored, SIZE, stored_fit).tobytes() == fitted(buffer.getvalue(), SIZE, fit).tobytes()


def test_service_crop_of_a_jpeg_is_sharp() -> None:
    """A JPEG is decoded at a reduced size, which must be large enough for the part that is shown."""
    lines = np.zeros((2560, 1408, 3), np.uint8)
    lines[::8] = lines[1::8] = lines[2::8] = lines[3::8] = 255
    shown = np.asarray(fitted(_encoded(Image.fromarray(lines)), Size(704, 1280), "service_crop")).astype(int)
    contrast = shown[:, 352, 0].std()
    assert contrast > 90, f"expected sharp lines, with a standard deviation above 90, got {contrast:.0f}"


def test_text_is_not_kept_as_image() -> None:
    with pytest.raises(PictureError, match="expected an image"):
        kept(b"no picture", SIZE)


def test_truncated_image_is_not_kept() -> None:
    with pytest.raises(PictureError, match="expected an image"):
        kept(noise("PNG", (1500, 1500))[:-100_000], SIZE)


def _encoded(image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=95, **options)
    return buffer.getvalue()


@given(st.binary(max_size=300))
def test_arbitrary_bytes_raise_only_picture_error(data: bytes) -> None:
    with pytest.raises(PictureError):
        fitted(data, SIZE)


def test_error_lists_the_formats_and_the_reason() -> None:
    formats = "JPEG, PNG, WEBP, GIF, BMP, HEIF, AVIF"
    with pytest.raises(PictureError) as refused:
        fitted(b"no picture", SIZE)
    assert str(refused.value) == f"expected an image ({formats}), got 10 bytes that cannot be decoded"
    cut = noise("JPEG", (1200, 1200))[:-20_000]  # the last rows are missing
    with pytest.raises(PictureError) as refused:
        fitted(cut, SIZE)
    assert str(refused.value) == (
        f"expected an image ({formats}), got {len(cut)} bytes that cannot be decoded: "
        "the file ends before its last pixel"
    )


def test_image_of_exactly_the_most_pixels_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "MAX_PIXELS", 1536)
    assert fitted(image("PNG"), SIZE).size == (176, 320)
    with pytest.raises(PictureError, match="expected at most 1,536 pixels, got 49x32"):
        fitted(image("PNG", (49, 32)), SIZE)


@pytest.mark.parametrize("fit", ["crop", "letterbox"])
def test_image_of_the_frame_size_is_unchanged(fit: StartImageFit) -> None:
    data = noise("PNG", (176, 320))
    assert fitted(data, SIZE, fit).tobytes() == Image.open(io.BytesIO(data)).tobytes()


@pytest.mark.parametrize("size", [(1, 1000), (1000, 1), (1401, 1401), (1999, 2311), (1000, 3000)])
@pytest.mark.parametrize("fit", ["crop", "service_crop"])
def test_image_of_one_color_fills_the_frame(size: tuple[int, int], fit: StartImageFit) -> None:
    shown = fitted(image("PNG", size), SIZE, fit)
    assert shown.getcolors() == [(176 * 320, RED)]


CORNERS = {"a": (220, 30, 30), "b": (30, 220, 30), "c": (30, 30, 220), "d": (220, 220, 30)}


@pytest.mark.parametrize(
    ("orientation", "corners"),
    [
        (0, "abcd"),
        (1, "abcd"),
        (2, "badc"),  # mirrored
        (3, "cdab"),  # upside down
        (4, "dcba"),
        (5, "adcb"),
        (6, "dabc"),  # turned to the right
        (7, "cbad"),
        (8, "bcda"),  # turned to the left
        (9, "abcd"),
    ],
)
def test_image_is_turned_by_each_orientation(orientation: int, corners: str) -> None:
    width, height = (320, 176) if 5 <= orientation <= 8 else (176, 320)
    lying = Image.new("RGB", (width, height))
    for corner, place in zip(
        "abcd", [(0, 0), (width // 2, 0), (width // 2, height // 2), (0, height // 2)], strict=True
    ):
        lying.paste(CORNERS[corner], (*place, place[0] + width // 2, place[1] + height // 2))
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    lying.save(buffer, "PNG", exif=exif)
    shown = fitted(buffer.getvalue(), SIZE)
    places = [(40, 40), (130, 40), (130, 280), (40, 280)]
    assert [shown.getpixel(place) for place in places] == [CORNERS[corner] for corner in corners]


@pytest.mark.parametrize(
    ("mode", "color", "shown"),
    [
        ("RGBA", (255, 0, 0, 0), (24, 26, 34)),
        ("RGBA", (255, 0, 0, 255), (255, 0, 0)),
        ("RGBA", (255, 0, 0, 51), (70, 21, 27)),  # one fifth of red, four fifths of the background
        ("LA", (200, 0), (24, 26, 34)),
        ("I;16", 65535, (255, 255, 255)),
        ("L", 200, (200, 200, 200)),
    ],
)
def test_transparent_image_has_a_dark_background(
    mode: str, color: int | tuple[int, ...], shown: tuple[int, int, int]
) -> None:
    buffer = io.BytesIO()
    Image.new(mode, (176, 320), color).save(buffer, "PNG")
    assert fitted(buffer.getvalue(), SIZE).getcolors() == [(176 * 320, shown)]


def padded(data: bytes, size: int) -> bytes:
    """Return a PNG file with a text of such a length that the file has `size` bytes."""
    return png_with(png_chunk(b"tEXt", b"a\0" + b"b" * (size - len(data) - 14)), png=data)


def test_file_of_a_mebibyte_is_kept_unchanged() -> None:
    whole, longer = padded(image("PNG"), 1048576), padded(image("PNG"), 1048577)
    assert (len(whole), len(longer)) == (1048576, 1048577)
    assert kept(whole, SIZE, "letterbox") == (whole, "letterbox")
    stored, fit = kept(longer, SIZE, "letterbox")
    assert len(stored) < 10_000
    assert fit == "crop"


def test_file_that_becomes_no_smaller_is_kept_unchanged() -> None:
    size = Size(704, 1280)
    pixels = np.random.default_rng(1).integers(0, 32, (1280, 704, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    data = buffer.getvalue()
    smaller, _ = kept(padded(data, 4 << 20), size)
    assert (1 << 20) < len(smaller) < (4 << 20)
    equal = padded(data, len(smaller))
    assert len(equal) == len(smaller)
    assert kept(equal, size, "letterbox") == (equal, "letterbox")


@pytest.mark.parametrize("size", [(3000, 400), (320, 400)])
def test_lines_of_an_image_stay_sharp(size: tuple[int, int]) -> None:
    lines = np.zeros((size[1], size[0], 3), np.uint8)
    lines[::4] = lines[1::4] = 255
    buffer = io.BytesIO()
    Image.fromarray(lines).save(buffer, "PNG")
    contrast = np.asarray(fitted(buffer.getvalue(), SIZE)).astype(int)[:, 88, 0].std()
    assert contrast > 70, f"expected sharp lines, with a standard deviation above 70, got {contrast:.0f}"


@pytest.mark.parametrize(
    ("fit", "size", "frame"),
    [
        ("crop", (700, 352), SIZE),
        ("letterbox", (352, 700), Size(320, 176)),
        ("service_crop", (640, 640), Size(320, 320)),
    ],
)
def test_jpeg_is_not_reduced_below_the_frame(fit: StartImageFit, size: tuple[int, int], frame: Size) -> None:
    jpeg, png = noise("JPEG", size), io.BytesIO()
    Image.open(io.BytesIO(jpeg)).save(png, "PNG")
    assert fitted(jpeg, frame, fit).tobytes() == fitted(png.getvalue(), frame, fit).tobytes()


def test_pixels_that_look_like_scans_are_shown() -> None:
    """Only the scans of a JPEG are counted. The pixels of this BMP contain the marker of a scan 1200 times."""
    pixels = np.frombuffer(b"\xff\xda\0\2" * 1200, np.uint8).reshape(40, 40, 3)
    buffer = io.BytesIO()
    Image.fromarray(pixels[:, :, ::-1]).save(buffer, "BMP")
    assert buffer.getvalue().count(b"\xff\xda\0\2") == 1200
    assert fitted(buffer.getvalue(), SIZE).size == (176, 320)
