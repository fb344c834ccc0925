"""Functions that decode the start image of a stream, and scale and crop it to the size of the frames.

An image is accepted if its pixels are complete. Metadata that cannot be read is ignored. A missing end is accepted if
no pixel depends on it: the end marker of JPEG, the end chunk of PNG, the padding of BMP. A file that ends before its
last pixel is rejected, even if only one row or one scan is incomplete.
"""

import io

from PIL import Image, ImageChops, ImageOps, UnidentifiedImageError
from pillow_heif import register_heif_opener

from odyssey_mock.media.color_profiles import srgb_transform
from odyssey_mock.media.picture_metadata import BareFile, bare_file
from odyssey_mock.media.timeline import Size
from odyssey_mock.settings import StartImageFit

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "HEIF", "AVIF")
"""Formats that the service accepts (`protocol.md` section 7), by Pillow's names; HEIF includes HEIC."""

SERVICE_SHARE = 0.35
"""Share of a start image's area that `service_crop` shows: users report that the service cuts off 60 to 70 %."""

_GROUND = (24, 26, 34)
"""Background of transparent images."""
_BARS = (0, 0, 0)
"""Color of the bars beside a start image that does not fill the frame."""

MAX_PIXELS = 89_478_485
"""Maximum number of pixels of an image, above which Pillow warns of a decompression bomb."""

KEPT_BYTES = 1 << 20
"""Image files of at most this many bytes are stored unchanged; `kept` tries to make larger files smaller."""

_ORIENTATION = 0x0112
"""The EXIF tag whose value is a key of `_TURNS`, or 1 for an upright image."""
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

register_heif_opener()


class PictureError(ValueError):
    """An image file cannot be decoded. The message states the formats that were expected, and the reason."""


def fitted(data: bytes, size: Size, fit: StartImageFit = "crop") -> Image.Image:
    """Decode an image file and return it as an RGB image of `size`.

    The image is turned upright (EXIF), scaled and cropped around its center as `fit` says, and converted to sRGB:

    - `crop` covers the frame with as much of the image as possible.
    - `letterbox` shows the whole image, between black bars.
    - `service_crop` shows `SERVICE_SHARE` of the image's area, or the largest share that covers the frame if that is
      smaller.

    Raises:
        PictureError: the format is not one of `FORMATS`, the file is damaged, or it has more than `MAX_PIXELS` pixels.
    """
    try:
        image = _decoded(data, _decoding_size(size, fit))
        transform = srgb_transform(image)
        solid = _solid(_upright(image), "RGB" if transform is None else transform.input_mode)
        shown = _scaled(solid, size, fit)
        shown = shown if transform is None else transform.apply(shown)
        return shown if fit != "letterbox" else _between_bars(shown, size)
    except UnidentifiedImageError:
        # Leave out Pillow's message, which contains a memory address.
        raise PictureError(
            f"expected an image ({', '.join(FORMATS)}), got {len(data)} bytes that cannot be decoded"
        ) from None
    except Exception as error:
        # The decoders of the seven formats raise many exceptions for damaged bytes (OSError, SyntaxError, EOFError,
        # RuntimeError and more), and the code above only decodes.
        raise PictureError(
            f"expected an image ({', '.join(FORMATS)}), got {len(data)} bytes that cannot be decoded: {error}"
        ) from error


def kept(data: bytes, size: Size, fit: StartImageFit = "crop") -> tuple[bytes, StartImageFit]:
    """Return the image file to store for a stream of `size`, and how it fills the frame.

    The result is `data` and `fit`, or a smaller file that produces the same frames: an image that already has the size
    of the frame.

    Raises:
        PictureError: the format is not one of `FORMATS`, the file is damaged, or it has more than `MAX_PIXELS` pixels.
    """
    picture = fitted(data, size, fit)
    if len(data) <= KEPT_BYTES:
        return data, fit
    file = io.BytesIO()
    # Fast compression, because a client waits for the stream. No color profile, because the picture is in sRGB.
    picture.save(file, "PNG", compress_level=1, icc_profile=None)
    return (data, fit) if len(data) <= file.tell() else (file.getvalue(), "crop")


def _decoding_size(size: Size, fit: StartImageFit) -> int:
    """Return the minimum width and height in pixels at which an image can be decoded without visible loss of detail."""
    longest = max(size.width, size.height)
    return longest if fit != "service_crop" else round(longest / SERVICE_SHARE)


def _scaled(image: Image.Image, size: Size, fit: StartImageFit) -> Image.Image:
    """Scale and crop `image` to `size`; with `letterbox`, scale it to fit into `size` without cropping."""
    frame = size.width, size.height
    if fit == "letterbox":
        return ImageOps.contain(image, frame, Image.Resampling.LANCZOS)
    if fit == "service_crop":
        image = _center(image, size.width / size.height)
    return ImageOps.fit(image, frame, Image.Resampling.LANCZOS)


def _center(image: Image.Image, ratio: float) -> Image.Image:
    """Return the middle of `image` that has `ratio` (width to height) and `SERVICE_SHARE` of the image's area.

    If a part of this size does not fit into the image, return the largest part of this ratio.
    """
    height = min((SERVICE_SHARE * image.width * image.height / ratio) ** 0.5, image.height, image.width / ratio)
    width, height = max(1, round(height * ratio)), max(1, round(height))
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


def _between_bars(image: Image.Image, size: Size) -> Image.Image:
    frame = Image.new("RGB", (size.width, size.height), _BARS)
    frame.paste(image, ((size.width - image.width) // 2, (size.height - image.height) // 2))
    return frame


def _decoded(data: bytes, side: int) -> Image.Image:
    """Decode the pixels of a file. The image may be reduced, but not below `side` pixels in width or height."""
    try:
        return _loaded(data, side)
    except Exception:  # pixels or metadata are damaged: the second attempt shows which
        bare = bare_file(data)
        if bare is None:
            raise
        return _from_bare(bare)


def _from_bare(bare: BareFile) -> Image.Image:
    image, *others = [_loaded(bare.data + ending) for ending in bare.endings]
    if any(ImageChops.difference(image, other).getbbox(alpha_only=False) is not None for other in others):
        raise ValueError("the file ends before its last pixel")
    image.info.update(bare.info)
    return image


def _loaded(data: bytes, side: int | None = None) -> Image.Image:
    image = Image.open(io.BytesIO(data), formats=FORMATS)
    if image.width * image.height > MAX_PIXELS:
        raise ValueError(f"expected at most {MAX_PIXELS:,} pixels, got {image.width}x{image.height}")
    if side is not None:
        # Decode a large JPEG at a reduced size, which is faster but large enough.
        image.draft("RGB", (side, side))
    image.load()
    return image


def _upright(image: Image.Image) -> Image.Image:
    try:
        turn = _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # Pillow raises many exceptions for damaged EXIF data, which has no orientation
        turn = None
    return image if turn is None else image.transpose(turn)


def _solid(image: Image.Image, mode: str) -> Image.Image:
    """Convert an image to `mode`, which is `RGB`, `L` or `CMYK`, on a dark background if it is transparent."""
    if image.mode.startswith("I"):
        # 16-bit gray: Pillow would clip values above 255, so the image would become white.
        image = image.convert("I").point(lambda level: level * (1 / 257)).convert("L")
    if not image.has_transparency_data:
        return image.convert(mode)
    ground = Image.new("RGBA", image.size, (*_GROUND, 255))
    return Image.alpha_composite(ground, image.convert("RGBA")).convert("RGB").convert(mode)
