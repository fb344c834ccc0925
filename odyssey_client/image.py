"""Making an image fit to start a stream with (protocol.md section 7).

Whatever kind it comes in, it leaves as a ``data:`` URL of a browser-safe image of exactly the stream's size:

- the format is told by the content, not by a name or a declared type: JPEG, PNG, WebP, GIF, BMP, HEIC, HEIF or AVIF;
- at most 25 MB as a file and 64 megapixels as a picture, the latter checked before anything is decoded;
- turned as its EXIF orientation says, the first frame of an animation, transparency laid on white;
- scaled to cover the stream's size, what juts out cut off evenly at both sides, and sent as JPEG of quality 90;
- but a JPEG, PNG or WebP that needs none of this is sent byte for byte.

Pillow is imported with the first image, not before.
"""

from __future__ import annotations

import base64
import binascii
import inspect
import io
import os
import re
import stat
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from odyssey_client.errors import ImageError, excerpt

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

type ImageSource = (
    str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | Image.Image | np.ndarray[Any, Any]
)
"""A path, a ``data:`` URL, the bytes of a file, a binary file object, a PIL image, or an array of uint8 in the shape
``(height, width)``, ``(height, width, 3)`` for RGB or ``(height, width, 4)`` for RGBA."""

MAX_IMAGE_BYTES = 25 * 2**20
MAX_IMAGE_PIXELS = 64_000_000
PORTRAIT_SIZE = (704, 1280)
LANDSCAPE_SIZE = (1280, 704)
JPEG_QUALITY = 90

_ACCEPTED = (
    "a path, the bytes of an image file, a data: URL, a binary file object, a PIL image or a numpy array "
    "(uint8, shape (height, width), (height, width, 3) or (height, width, 4))"
)
_FORMATS = "JPEG, PNG, WebP, GIF, BMP, HEIC, HEIF or AVIF"
_BROWSER_SAFE: Mapping[str, str] = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
_MAGIC: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (re.compile(rb"\xff\xd8\xff"), "JPEG"),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "PNG"),
    (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), "WEBP"),
    (re.compile(rb"GIF8[79]a"), "GIF"),
    (re.compile(rb"BM"), "BMP"),
)
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"})
_DATA_URL = re.compile(r"data:(?P<type>[^;,]*)(?P<parameters>[^,]*),", re.IGNORECASE)
_ORIENTATION = 0x0112  # the EXIF tag; 1 is upright


def prepare_image(image: ImageSource, *, portrait: bool) -> str:
    """Return ``image`` as a ``data:`` URL, 704x1280 pixels for ``portrait`` and 1280x704 otherwise.

    This takes CPU time, up to about a second for the largest images, and may read a file: call it in a thread
    (``asyncio.to_thread``) where an event loop must go on.

    Raises:
        ImageError: ``image`` is of no accepted kind, no readable image, or too large.
    """
    size = PORTRAIT_SIZE if portrait else LANDSCAPE_SIZE
    if (array := _as_array(image)) is not None:
        return _data_url("image/jpeg", _jpeg(_from_array(array), size))
    if (picture := _as_picture(image)) is not None:
        _check_pixels(picture)
        return _data_url("image/jpeg", _decoded(lambda: _jpeg(picture, size), "the PIL image"))
    content = _content(image)
    if not content:
        raise ImageError("the image is empty (0 bytes)")
    return _decoded(lambda: _from_file(content, size), f"the image ({len(content)} bytes)")


def hold_image(image: object) -> ImageSource:
    """Return what `prepare_image` can be given later, and again: a file object is read now, an array copied.

    A path is not looked at yet. Whether this is a good image, only `prepare_image` says.

    Raises:
        ImageError: ``image`` is of no accepted kind, too large as a file, or a file object that cannot be read.
    """
    if (array := _as_array(image)) is not None:
        return _from_array(array).copy()
    if (picture := _as_picture(image)) is not None:
        return picture
    return image if isinstance(image, str | os.PathLike) else _content(image)


def _from_file(content: bytes, size: tuple[int, int]) -> str:
    kind = _kind(content)
    if kind is None:
        came = f"{len(content)} bytes beginning {content[:8]!r}"
        raise ImageError(f"this is no image that can be sent: expected {_FORMATS}, got {came}")
    picture = _open(content, kind)
    _check_pixels(picture)
    picture.load()
    if kind in _BROWSER_SAFE and _may_go_as_it_is(picture, size):
        return _data_url(_BROWSER_SAFE[kind], content)
    return _data_url("image/jpeg", _jpeg(picture, size))


def _kind(content: bytes) -> str | None:
    """Tell the format, in Pillow's word for it, from the first bytes."""
    if content[4:8] != b"ftyp":
        return next((kind for magic, kind in _MAGIC if magic.match(content)), None)
    # ISO base media (ISO/IEC 14496-12 section 4.3): the size of the box, its type, the major brand, a version, then
    # compatible brands. The major brand may be one that AVIF and HEIC share.
    end = min(int.from_bytes(content[:4]), 1024)
    brands = {content[at : at + 4] for at in (8, *range(16, end, 4))}
    return "AVIF" if brands & _AVIF_BRANDS else "HEIF" if brands & _HEIF_BRANDS else None


def _open(content: bytes, kind: str) -> Image.Image:
    """Read the header, with the one decoder that the content calls for."""
    from PIL import Image  # noqa: PLC0415 - only who sends an image needs it

    if kind != "HEIF":
        return Image.open(io.BytesIO(content), formats=[kind])
    import pillow_heif  # noqa: PLC0415 - likewise

    file = pillow_heif.open_heif(io.BytesIO(content))
    _check_size(*file.size)  # before to_pillow decodes it
    picture: Image.Image = file.to_pillow()
    return picture


def _may_go_as_it_is(picture: Image.Image, size: tuple[int, int]) -> bool:
    return (
        picture.size == size
        and picture.mode in {"RGB", "L"}
        and "transparency" not in picture.info
        and getattr(picture, "n_frames", 1) == 1
        and picture.getexif().get(_ORIENTATION, 1) == 1
    )


def _jpeg(picture: Image.Image, size: tuple[int, int]) -> bytes:
    from PIL import Image, ImageOps  # noqa: PLC0415 - see _open

    upright = ImageOps.exif_transpose(picture)
    fitted = ImageOps.fit(_rgb(upright), size, method=Image.Resampling.LANCZOS)
    out = io.BytesIO()
    fitted.save(out, "JPEG", quality=JPEG_QUALITY)
    return out.getvalue()


def _rgb(picture: Image.Image) -> Image.Image:
    from PIL import Image  # noqa: PLC0415 - see _open

    if picture.mode in {"I", "F"}:
        raise ImageError(
            f"a PIL image of mode {picture.mode!r} does not say which numbers are black and white: "
            "scale it to 0..255 and convert it to 'L' or 'RGB' first"
        )
    if picture.mode.startswith("I;16"):
        return picture.convert("I").point(lambda value: value * (1 / 256)).convert("L").convert("RGB")
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    rgba = picture.convert("RGBA")
    white = Image.new("RGBA", rgba.size, "white")
    return Image.alpha_composite(white, rgba).convert("RGB")


def _decoded[T](decode: Callable[[], T], what: str) -> T:
    try:
        return decode()
    except ImageError:
        raise
    except Exception as error:  # decoders raise whatever they like on broken files; all of it is said
        why = excerpt(str(error)) or type(error).__name__
        raise ImageError(
            f"{what} cannot be read: {why}. Check that the file is whole and opens in a viewer."
        ) from error


def _check_pixels(picture: Image.Image) -> None:
    _check_size(picture.width, picture.height)


def _check_size(width: int, height: int) -> None:
    if width < 1 or height < 1:
        raise ImageError(f"the image has no pixels ({width}x{height})")
    if width * height > MAX_IMAGE_PIXELS:
        raise ImageError(
            f"the image is too large: {width}x{height} is {width * height / 1e6:.0f} megapixels, "
            f"and at most {MAX_IMAGE_PIXELS / 1e6:.0f} are taken; scale it down"
        )


# What the caller gave, by kind. Neither numpy nor Pillow is imported to find out: who has such an object has done it.


def _as_array(image: object) -> np.ndarray[Any, Any] | None:
    numpy = sys.modules.get("numpy")
    return image if numpy is not None and isinstance(image, numpy.ndarray) else None


def _as_picture(image: object) -> Image.Image | None:
    pillow = sys.modules.get("PIL.Image")
    return image if pillow is not None and isinstance(image, pillow.Image) else None


def _from_array(array: np.ndarray[Any, Any]) -> Image.Image:
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
    _check_size(array.shape[1], array.shape[0])
    return Image.fromarray(array)


def _content(image: object) -> bytes:
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
    except (OSError, ValueError) as error:  # ValueError: closed, or opened as text and no UTF-8
        if isinstance(error, ImageError):
            raise
        raise ImageError(
            f"the image cannot be read from the {type(image).__name__}: {excerpt(str(error))}. "
            "Give a file that is open in mode 'rb'."
        ) from error
    if not content:
        raise ImageError(f"the {type(image).__name__} is empty, or at its end: seek(0) goes back to its beginning")
    return content


def _from_path(path: str | os.PathLike[str]) -> bytes:
    name = excerpt(str(path), 200)
    if re.match(r"(?i)https?://", name):
        raise ImageError("image must be a local file, got a web address: download it first and give the bytes")
    try:
        status = Path(path).stat()
        if not stat.S_ISREG(status.st_mode):
            raise ImageError(f"image must be {_ACCEPTED}; {name!r} is a path, but not of a regular file")
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
    # One call may give less than there is, as those of pipes and unbuffered files do.
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
        part.close()  # or Python warns that nobody has awaited it
    if inspect.isawaitable(part):
        return "the file object is an asynchronous one: read it with await, and give the bytes"
    return f"the file object gave {type(part).__name__}: open it in mode 'rb'"


def _from_data_url(url: str) -> bytes:
    head = _DATA_URL.match(url, 0, 200)
    if head is None or not head["parameters"].lower().endswith(";base64"):
        raise ImageError("a data: URL must look like data:image/png;base64,...; this one does not")
    encoded = url[head.end() :]
    _check_bytes(len(encoded) // 4 * 3 - 2)  # before decoding; padding may take two bytes off
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


def _data_url(media_type: str, content: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"
