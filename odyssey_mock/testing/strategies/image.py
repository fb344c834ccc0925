"""Valid start images for streams, in every kind and format that `start_stream` accepts."""

import base64
import io
from collections.abc import Callable, Collection, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, Literal, get_args

import numpy as np
import pillow_heif
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from PIL import Image

from odyssey_client.media.image_source import ImageSource

type ImageKind = Literal["bytes", "bytearray", "memoryview", "file", "data_url", "pil", "array"]
"""How an image is passed to `start_stream`."""
type ImageFormat = Literal["PNG", "JPEG", "WEBP", "GIF", "BMP", "AVIF", "HEIF"]
"""File formats, by their names in Pillow; HEIF includes HEIC."""

IMAGE_KINDS: tuple[ImageKind, ...] = get_args(ImageKind.__value__)
IMAGE_FORMATS: tuple[ImageFormat, ...] = get_args(ImageFormat.__value__)

MIME_TYPES: Mapping[ImageFormat, str] = MappingProxyType(
    {
        "PNG": "image/png",
        "JPEG": "image/jpeg",
        "WEBP": "image/webp",
        "GIF": "image/gif",
        "BMP": "image/bmp",
        "AVIF": "image/avif",
        "HEIF": "image/heif",
    }
)
STREAM_SIZES = ((704, 1280), (1280, 704))
"""Portrait and landscape sizes in pixels. The client may send files of these sizes unchanged."""

_FILE_MODES: Mapping[ImageFormat, tuple[str, ...]] = MappingProxyType(
    {
        "PNG": ("RGB", "L", "1", "P", "LA", "RGBA", "I;16"),
        "JPEG": ("RGB", "L", "CMYK"),
        "WEBP": ("RGB", "RGBA"),
        "GIF": ("RGB", "L", "P", "RGBA"),
        "BMP": ("RGB", "L", "1", "P"),
        "AVIF": ("RGB", "RGBA"),
        "HEIF": ("RGB", "RGBA", "L"),
    }
)
"""Pillow's pixel modes that are drawn for each format."""
_PICTURE_MODES = ("RGB", "L", "1", "P", "LA", "RGBA", "CMYK", "YCbCr", "HSV", "I;16")
_ARRAY_CHANNELS = (None, 3, 4)

type _Size = tuple[int, int]

LARGEST_SIDE = 4000


def images(
    *,
    kinds: Collection[ImageKind] = IMAGE_KINDS,
    formats: Collection[ImageFormat] = IMAGE_FORMATS,
    max_side: int = 64,
    stream_sizes: bool = True,
) -> SearchStrategy[ImageSource]:
    """Draw an image as `start_stream(image=...)` accepts it, without files on disk.

    An image that is an open file is a new file in each example; the test can read it once.

    ::

        @given(images(kinds=["bytes", "pil"]))
        def test_my_preview_shows_every_image(image): ...

    Args:
        kinds: How the image may be passed, from `IMAGE_KINDS`.
        formats: The formats of files, from `IMAGE_FORMATS`; PIL images and arrays have no format.
        max_side: Maximum width and height in pixels.
        stream_sizes: Whether the image may also have the size of a stream, even above `max_side`.

    Raises:
        ValueError: a kind or format is unknown, `kinds` or `formats` is empty, or `max_side` is not from 1 to
            `LARGEST_SIDE`.
    """
    _check("kind", kinds, IMAGE_KINDS)
    _check("format", formats, IMAGE_FORMATS)
    if not 1 <= max_side <= LARGEST_SIDE:
        raise ValueError(f"max_side must be from 1 to {LARGEST_SIDE} pixels, got {max_side}")
    sizes = _sizes(max_side, stream_sizes=stream_sizes)
    by_format = {each: _files(each, sizes) for each in IMAGE_FORMATS if each in formats}
    files = st.sampled_from(list(by_format)).flatmap(by_format.__getitem__)
    by_kind = {each: _KINDS[each](files, sizes) for each in IMAGE_KINDS if each in kinds}
    return st.sampled_from(list(by_kind)).flatmap(by_kind.__getitem__)


def image_urls(*, formats: Collection[ImageFormat] = IMAGE_FORMATS, max_side: int = 64) -> SearchStrategy[str]:
    """Draw an image as a `data:` URL, the form of images in JSON scripts.

    ::

        @given(image_urls(formats=["PNG"]))
        def test_page_accepts_dropped_image(url): ...

    Raises:
        ValueError: a format is unknown, `formats` is empty, or `max_side` is not from 1 to `LARGEST_SIDE`.
    """
    return images(kinds=["data_url"], formats=formats, max_side=max_side, stream_sizes=False).map(str)


def _check(what: str, given: Collection[str], known: Collection[str]) -> None:
    if not given:
        raise ValueError(f"expected at least one image {what}, got none; known: {', '.join(known)}")
    if unknown := [each for each in given if each not in known]:
        raise ValueError(f"unknown image {what} {unknown[0]!r}; known: {', '.join(known)}")


def _sizes(max_side: int, *, stream_sizes: bool) -> SearchStrategy[_Size]:
    side = st.integers(1, max_side)
    # Stream sizes are rare: large images are slow to draw and to encode.
    return st.builds(_size, side, side, st.integers(0, 15) if stream_sizes else st.just(0))


def _size(width: int, height: int, number: int) -> _Size:
    return {14: STREAM_SIZES[0], 15: STREAM_SIZES[1]}.get(number, (width, height))


def _files(kind: ImageFormat, sizes: SearchStrategy[_Size]) -> SearchStrategy[tuple[ImageFormat, bytes]]:
    return st.builds(lambda size, mode: (kind, encoded(kind, size, mode)), sizes, st.sampled_from(_FILE_MODES[kind]))


@cache
def encoded(kind: ImageFormat, size: tuple[int, int], mode: str = "RGB") -> bytes:
    """Encode a picture of this size and Pillow mode as a file. The same arguments always give the same bytes."""
    out = io.BytesIO()
    picture = _picture(size, mode)
    if kind == "HEIF":
        pillow_heif.from_pillow(picture).save(out, quality=50)
    else:
        picture.save(out, kind)
    return out.getvalue()


def _picture(size: _Size, mode: str) -> Image.Image:
    """Draw a picture with a red upper half and a blue lower half, so that its orientation is visible."""
    if mode == "I;16":
        return Image.fromarray(np.full((size[1], size[0]), 0x8000, np.uint16))
    picture = Image.new("RGBA", size, (0, 0, 255, 128))
    picture.paste((255, 0, 0, 255), (0, 0, size[0], (size[1] + 1) // 2))
    # Pillow converts into some modes only from RGB.
    return picture.convert(mode) if mode in {"RGBA", "LA"} else picture.convert("RGB").convert(mode)


def _pixels(size: _Size, channels: int | None, is_view: bool) -> np.ndarray[Any, Any]:
    shape = (size[1], size[0]) if channels is None else (size[1], size[0], channels)
    array = np.full(shape, 200, np.uint8)
    array[: (size[1] + 1) // 2] = 40
    return array[::-1, ::-1] if is_view else array


def _data_url(kind: ImageFormat, content: bytes) -> str:
    return f"data:{MIME_TYPES[kind]};base64,{base64.b64encode(content).decode()}"


type _Files = SearchStrategy[tuple[ImageFormat, bytes]]

_KINDS: Mapping[ImageKind, Callable[[_Files, SearchStrategy[_Size]], SearchStrategy[ImageSource]]] = MappingProxyType(
    {
        "bytes": lambda files, _: files.map(lambda file: file[1]),
        "bytearray": lambda files, _: files.map(lambda file: bytearray(file[1])),
        "memoryview": lambda files, _: files.map(lambda file: memoryview(file[1])),
        "file": lambda files, _: files.map(lambda file: io.BytesIO(file[1])),
        "data_url": lambda files, _: files.map(lambda file: _data_url(*file)),
        "pil": lambda _, sizes: st.builds(_picture, sizes, st.sampled_from(_PICTURE_MODES)),
        "array": lambda _, sizes: st.builds(_pixels, sizes, st.sampled_from(_ARRAY_CHANNELS), st.booleans()),
    }
)
