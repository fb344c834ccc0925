"""Tests of the strategies for images: client and mock accept the valid ones and reject the invalid ones."""

import base64
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from PIL import Image

from odyssey_client import ImageError
from odyssey_client.media.image import prepare_image
from odyssey_client.media.image_source import ImageSource
from odyssey_mock.media.data_url import ImageRefusedError, decode_data_url
from odyssey_mock.media.picture import PictureError, fitted
from odyssey_mock.media.timeline import Size
from odyssey_mock.settings import Settings
from odyssey_mock.testing.strategies import IMAGE_FORMATS, IMAGE_KINDS, IMAGE_RULES, broken_images, image_urls, images
from odyssey_mock.testing.strategies.image import STREAM_SIZES, ImageFormat, ImageKind, encoded
from tests.support.drawing import FEW, any_of, drawn, smallest

SIZE = Size(*Settings().portrait_size)
MOST_BYTES = Settings().max_image_bytes

TYPES: dict[ImageKind, type] = {
    "bytes": bytes,
    "bytearray": bytearray,
    "memoryview": memoryview,
    "file": io.BytesIO,
    "data_url": str,
    "pil": Image.Image,
    "array": np.ndarray,
}


def shown(url: str) -> Image.Image:
    """Decode the image in a data URL, and fit it to the frame as the mock does with a start image."""
    return fitted(decode_data_url(url, MOST_BYTES), SIZE)


def size_of(image: ImageSource) -> tuple[int, int]:
    match image:
        case Image.Image():
            return image.size
        case np.ndarray():
            return (image.shape[1], image.shape[0])
        case io.BytesIO():
            return size_of(image.getvalue())
        case str():
            return size_of(base64.b64decode(image.partition(",")[2]))
        case bytes() | bytearray() | memoryview():
            with Image.open(io.BytesIO(image)) as opened:
                return opened.size
    raise AssertionError(f"expected a kind of image that the strategy draws, got {image!r}")


@FEW
@given(images())
def test_client_sends_and_mock_shows_every_image(image: ImageSource) -> None:
    assert shown(prepare_image(image, portrait=True)).size == (704, 1280)


@pytest.mark.parametrize("kind", IMAGE_KINDS)
def test_each_kind_has_its_type_and_size(kind: ImageKind) -> None:
    for image in drawn(images(kinds=[kind], max_side=9, stream_sizes=False), 10):
        assert isinstance(image, TYPES[kind])
        assert max(size_of(image)) <= 9


@pytest.mark.parametrize("kind", IMAGE_KINDS)
def test_every_kind_is_drawn(kind: ImageKind) -> None:
    any_of(images(), lambda image: isinstance(image, TYPES[kind]))


@pytest.mark.parametrize("name", IMAGE_FORMATS)
def test_files_have_requested_format(name: ImageFormat) -> None:
    for content in drawn(images(kinds=["bytes"], formats=[name], stream_sizes=False), 8):
        assert isinstance(content, bytes)
        assert Image.open(io.BytesIO(content)).format == name
        assert fitted(content, SIZE).size == (704, 1280)


def test_every_format_is_drawn() -> None:
    urls = drawn(image_urls(max_side=4), 60)
    heads = {url.partition(";")[0] for url in urls}
    assert heads == {f"data:image/{name}" for name in ("png", "jpeg", "webp", "gif", "bmp", "avif", "heif")}


def test_all_formats_of_service_are_listed() -> None:
    assert set(IMAGE_FORMATS) == {"PNG", "JPEG", "WEBP", "GIF", "BMP", "AVIF", "HEIF"}


VARIANTS: dict[str, Callable[[Any], bool]] = {  # Any: images of every kind
    "one pixel": lambda image: size_of(image) == (1, 1),
    "portrait": lambda image: size_of(image) == STREAM_SIZES[0],
    "landscape": lambda image: size_of(image) == STREAM_SIZES[1],
    "a transparent picture": lambda image: isinstance(image, Image.Image) and image.mode == "RGBA",
    "a CMYK picture": lambda image: isinstance(image, Image.Image) and image.mode == "CMYK",
    "a palette picture": lambda image: isinstance(image, Image.Image) and image.mode == "P",
    "a 16-bit gray picture": lambda image: isinstance(image, Image.Image) and image.mode == "I;16",
    "a gray array": lambda image: isinstance(image, np.ndarray) and image.ndim == 2,
    "a transparent array": lambda image: isinstance(image, np.ndarray) and image.shape[2:] == (4,),
    "a view of an array": lambda image: isinstance(image, np.ndarray) and image.strides[0] < 0,
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_is_drawn(variant: str) -> None:
    any_of(images(kinds=["array", "pil"]), VARIANTS[variant])


def test_file_of_stream_size_is_sent_unchanged() -> None:
    def goes_as_it_is(content: Any) -> bool:  # Any: bytes
        sent = prepare_image(content, portrait=True) if size_of(content) == STREAM_SIZES[0] else ""
        return base64.b64decode(sent.partition(",")[2]) == bytes(content)

    any_of(images(kinds=["bytes"], formats=["PNG"]), goes_as_it_is)


def test_open_file_is_unread_in_every_example() -> None:
    for file in drawn(images(kinds=["file"], formats=["GIF"]), 30):
        assert isinstance(file, io.BytesIO)
        assert file.read()


def test_simplest_image_has_one_pixel() -> None:
    assert smallest(images(kinds=["bytes", "file"])) == encoded("PNG", (1, 1))


# Invalid images.


@pytest.mark.parametrize("rule", IMAGE_RULES)
def test_client_rejects_invalid_image_with_reason(rule: str) -> None:
    for broken in drawn(broken_images([rule]), 4 if rule == "few_bytes" else 8):
        with pytest.raises(ImageError, match=broken.says):
            prepare_image(broken.image, portrait=True)


@pytest.mark.parametrize("rule", [rule for rule in IMAGE_RULES if IMAGE_RULES[rule].on_the_wire])
def test_mock_rejects_invalid_file_content(rule: str) -> None:
    for broken in drawn(broken_images([rule]), 2 if rule == "few_bytes" else 8):
        url = f"data:image/png;base64,{base64.b64encode(broken.image).decode()}"
        with pytest.raises((ImageRefusedError, PictureError)):
            shown(url)


@pytest.mark.parametrize("rule", ["data_url", "base64", "url_content"])
def test_mock_rejects_invalid_data_urls(rule: str) -> None:
    for broken in drawn(broken_images([rule]), 8):
        with pytest.raises((ImageRefusedError, PictureError)):
            shown(broken.image)


def test_all_rules_are_drawn_with_short_reprs() -> None:
    examples = drawn(broken_images(), 150)
    seen = {broken.rule for broken in examples}
    for rule in set(IMAGE_RULES) - seen:
        any_of(broken_images(), lambda broken, rule=rule: broken.rule == rule)  # type: ignore[misc]  # bound in this iteration
    assert max(len(repr(broken)) for broken in examples) < 100


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: images(kinds=["path"]), "unknown image kind 'path'; known: bytes"),  # type: ignore[list-item]  # invalid on purpose
        (lambda: images(formats=["TIFF"]), "unknown image format 'TIFF'; known: PNG"),  # type: ignore[list-item]  # invalid on purpose
        (lambda: images(kinds=[]), "expected at least one image kind, got none; known: bytes"),
        (lambda: images(max_side=0), "got 0"),
        (lambda: image_urls(formats=[]), "expected at least one image format, got none; known: PNG"),
        (lambda: broken_images(["formats"]), "unknown image rule 'formats'; known: some_bytes"),
        (lambda: broken_images([]), "at least one image rule, got none; known: some_bytes"),
    ],
)
def test_invalid_arguments_are_rejected_at_once(wrong: Callable[[], object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        wrong()
