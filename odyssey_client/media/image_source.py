"""Types of images that callers may pass, and functions that read such images and enforce the size limits.

To check the type, this module looks for numpy and Pillow in ``sys.modules`` and does not import them. A caller that has
an array or a PIL image has already imported them.
"""

from __future__ import annotations

import base64
import binascii
import inspect
import os
import re
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from odyssey_client.errors import ImageError, excerpt

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

type ImageSource = (
    str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | Image.Image | np.ndarray[Any, Any]
)
"""A path, a ``data:`` URL, the bytes of a file, a binary file object, a PIL image, or a uint8 array.

The shape of an array is ``(height, width)``, ``(height, width, 3)`` for RGB, or ``(height, width, 4)`` for RGBA.
"""

MAX_IMAGE_BYTES = 25 * 2**20
MAX_IMAGE_PIXELS = 64_000_000
"""Photos of phones have 12 to 50 megapixels. Decoding takes up to 8 bytes of memory per pixel."""
MAX_COSTLY_PIXELS = 32_000_000
"""The limit for formats whose decoders take more memory: WebP with 16 bytes per pixel, and AVIF with 11."""
_COSTLY = frozenset({"WEBP", "AVIF"})

_ACCEPTED = (
    "a path, the bytes of an image file, a data: URL, a binary file object, a PIL image or a numpy array "
    "(uint8, shape (height, width), (height, width, 3) or (height, width, 4))"
)
_DATA_URL = re.compile(r"data:(?P<type>[^;,]*)(?P<parameters>[^,]*),", re.IGNORECASE)


def hold_image(image: object) -> ImageSource:
    """Return ``image`` in a form that can be passed to `prepare_image` later, any number of times.

    A file object is read now, and an array is copied. A path is not opened yet. `prepare_image` checks the content.

    Raises:
        ImageError: ``image`` has an unsupported type, is too large, or is a file object that cannot be read.
    """
    if (array := as_array(image)) is not None:
        return from_array(array).copy()
    if (picture := as_picture(image)) is not None:
        return picture
    return image if isinstance(image, str | os.PathLike) else content_of(image)


def as_array(image: object) -> np.ndarray[Any, Any] | None:
    numpy = sys.modules.get("numpy")
    return image if numpy is not None and isinstance(image, numpy.ndarray) else None


def as_picture(image: object) -> Image.Image | None:
    pillow = sys.modules.get("PIL.Image")
    return image if pillow is not None and isinstance(image, pillow.Image) else None


def from_array(array: np.ndarray[Any, Any]) -> Image.Image:
    from PIL import Image  # noqa: PLC0415 - see _open

    if array.dtype != "uint8":
        hint = " (multiply an array of 0..1 by 255)" if array.dtype.kind == "f" else ""
        raise ImageError(
            f"a numpy array must be uint8, got {array.dtype}: scale it to 0..255{hint}, then .astype('uint8')"
        )
    if array.ndim != 2 and not (array.ndim == 3 and array.shape[2] in {3, 4}):
        raise ImageError(
            "a numpy array must have the shape (height, width), (height, width, 3) or (height, width, 4), "
            f"got {array.shape}"
        )
    check_size(array.shape[1], array.shape[0])
    return Image.fromarray(array)


def content_of(image: object) -> bytes:
    if isinstance(image, bytes | bytearray | memoryview):
        _check_bytes(memoryview(image).nbytes)
        return bytes(image)
    if isinstance(image, str) and image[:5].lower() == "data:":
        return _from_data_url(image)
    if isinstance(image, str | os.PathLike):
        return _from_path(image)
    read = getattr(image, "read", None)
    if not callable(read):
        raise ImageError(f"image must be {_ACCEPTED}, got {type(image).__name__}")
    try:
        content = _from_reader(read)
    except (OSError, ValueError) as error:  # ValueError: closed, or opened as text and not UTF-8
        if isinstance(error, ImageError):
            raise
        raise ImageError(
            f"the image cannot be read from the {type(image).__name__}: {excerpt(str(error))}. "
            "Pass a file opened in mode 'rb'."
        ) from error
    if not content:
        raise ImageError(f"the {type(image).__name__} is empty or at its end: call seek(0) before you pass it")
    return content


def _from_path(path: str | os.PathLike[str]) -> bytes:
    name = excerpt(str(path), 200)
    if re.match(r"(?i)https?://", name):
        raise ImageError("image must be a local file, got a web address: download it first and pass the bytes")
    try:
        status = Path(path).stat()
        if not stat.S_ISREG(status.st_mode):
            raise ImageError(f"image must be {_ACCEPTED}; {name!r} is not a regular file")
        _check_bytes(status.st_size)
        with Path(path).open("rb") as file:
            return _from_reader(file.read)
    except (OSError, ValueError) as error:  # ValueError: a path with a null character
        if isinstance(error, ImageError):
            raise
        why = getattr(error, "strerror", None) or str(error)
        raise ImageError(f"the image file {name!r} cannot be read: {why}") from error


def _from_reader(read: Callable[[int], object]) -> bytes:
    content = bytearray()
    # One call may return only a part of the data, for example for pipes and unbuffered files.
    while len(content) <= MAX_IMAGE_BYTES:
        part = read(MAX_IMAGE_BYTES + 1 - len(content))
        if not isinstance(part, bytes | bytearray | memoryview):
            raise ImageError(f"image must be {_ACCEPTED}; {_not_binary(part)}")
        if not part:
            break
        content += part
    _check_bytes(len(content))
    return bytes(content)


def _not_binary(part: object) -> str:
    if inspect.iscoroutine(part):
        part.close()  # otherwise Python warns that it was never awaited
    if inspect.isawaitable(part):
        return "got an asynchronous file object: read it with await and pass the bytes"
    return f"the file object returned {type(part).__name__}: open it in mode 'rb'"


def _from_data_url(url: str) -> bytes:
    head = _DATA_URL.match(url, 0, 200)
    if head is None or not head["parameters"].lower().endswith(";base64"):
        raise ImageError("a data: URL must look like data:image/png;base64,...; got one without ';base64,'")
    encoded = url[head.end() :]
    _check_bytes(len(encoded) // 4 * 3 - 2)  # before decoding; up to two bytes are padding
    try:
        content = base64.b64decode("".join(encoded.split()), validate=True)
    except (binascii.Error, ValueError) as error:  # ValueError: not ASCII
        raise ImageError(f"the data: URL is not valid base64: {error}") from None
    _check_bytes(len(content))
    return content


def _check_bytes(size: int) -> None:
    if size > MAX_IMAGE_BYTES:
        most = MAX_IMAGE_BYTES // 2**20
        raise ImageError(f"the image is too large: more than {most} MB; scale it down or save it as JPEG")


def check_size(width: int, height: int, kind: str = "") -> None:
    """Raise `ImageError` if an image in Pillow's format ``kind`` has no pixels, or too many."""
    if width < 1 or height < 1:
        raise ImageError(f"the image has no pixels ({width}x{height})")
    if width * height > (MAX_COSTLY_PIXELS if kind in _COSTLY else MAX_IMAGE_PIXELS):
        raise too_large(f"{width}x{height} is {width * height / 1e6:.0f} megapixels", kind)


def too_large(how: str, kind: str = "") -> ImageError:
    """Return the error for an image with too many pixels; ``how`` states its size, for the message."""
    most = f"{MAX_IMAGE_PIXELS / 1e6:.0f} megapixels"
    if kind in _COSTLY:
        most = f"{MAX_COSTLY_PIXELS / 1e6:.0f} megapixels in this format"
    return ImageError(f"the image is too large: {how}, expected at most {most}; scale it down")
