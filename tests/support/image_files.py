"""Image files whose pixels are intact, but whose metadata or last bytes are not."""

import io
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import pillow_heif
from hypothesis import strategies as st
from PIL import Image

PICTURE = Image.fromarray(np.random.default_rng(16).integers(0, 256, (6, 5, 3), np.uint8).repeat(8, 0).repeat(9, 1))
"""A picture of 45x48 pixels: blocks of random colors."""


def encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    if kind == "HEIF":
        pillow_heif.from_pillow(picture).save(out, quality=95, **options)
    else:
        picture.save(out, kind, **options)
    return out.getvalue()


@dataclass(frozen=True, slots=True)
class IntactFile:
    """A file with complete pixels.

    Attributes:
        content: The file.
        sound: A file with the same pixels, and without metadata.
    """

    content: bytes
    sound: bytes


def png_chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I4s", len(data), name) + data + struct.pack(">I", zlib.crc32(name + data))


def png_with(*chunks: bytes, png: bytes | None = None) -> bytes:
    """Return a PNG file with these chunks after its header."""
    content = PLAIN["PNG"] if png is None else png
    return content[:33] + b"".join(chunks) + content[33:]


def jpeg_segment(code: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, code, len(data) + 2) + data


def jpeg_with(*segments: bytes, jpeg: bytes | None = None) -> bytes:
    """Return a JPEG file with these segments after its start."""
    content = PLAIN["JPEG"] if jpeg is None else jpeg
    return content[:2] + b"".join(segments) + content[2:]


def with_exif(kind: str, exif: bytes) -> bytes:
    """Return a file with `exif` as its EXIF data, which may be invalid."""
    if kind == "PNG":
        return png_with(png_chunk(b"eXIf", exif))
    if kind != "AVIF":
        return encoded(PICTURE, kind, exif=b"Exif\0\0" + exif)
    # Pillow refuses to write invalid EXIF data into AVIF: write valid data of the same length, and replace it.
    valid = Image.Exif()
    valid[0x010E] = "x" * len(exif)
    content = encoded(PICTURE, kind, exif=valid.tobytes())
    written = valid.tobytes().removeprefix(b"Exif\0\0")
    assert content.count(written) == 1
    return content.replace(written, exif.ljust(len(written), b"\0"))


PLAIN: Mapping[str, bytes] = MappingProxyType(
    {kind: encoded(PICTURE, kind) for kind in ("PNG", "JPEG", "WEBP", "AVIF", "HEIF", "GIF", "BMP")}
    | {
        "progressive JPEG": encoded(PICTURE, "JPEG", progressive=True),
        "JPEG with restarts": encoded(PICTURE, "JPEG", restart_marker_blocks=2),
        "gray JPEG": encoded(PICTURE.convert("L"), "JPEG"),
        "lossless WEBP": encoded(PICTURE, "WEBP", lossless=True),
    }
)

_ZIPPED = zlib.compress(bytes(2**20 + 1))

_INVALID_EXIF: Mapping[str, bytes] = MappingProxyType(
    {
        "not TIFF": b" no tiff here",
        "ends in its header": b"II*\0",
        "points behind its end": b"II*\0\xff\xff\xff\x7f",
        "ends in an entry": b"MM\0*\0\0\0\x08\0\x05\x01\x12\0\x03",
    }
)

_PNG: Mapping[str, Callable[[], bytes]] = MappingProxyType(
    {
        "zTXt above 1 MB": lambda: png_with(png_chunk(b"zTXt", b"a\0\0" + _ZIPPED)),
        "zTXt behind the pixels": lambda: PLAIN["PNG"][:-12] + png_chunk(b"zTXt", b"a\0\0" + _ZIPPED) + png_end(),
        "iTXt above 1 MB": lambda: png_with(png_chunk(b"iTXt", b"a\0\1\0\0\0" + _ZIPPED)),
        "XMP above 1 MB": lambda: png_with(png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + _ZIPPED)),
        "70 MB of text": lambda: png_with(*[png_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**20)))] * 70),
        "unknown compression": lambda: png_with(png_chunk(b"zTXt", b"a\0\1abc")),
        "ICC profile above 1 MB": lambda: png_with(png_chunk(b"iCCP", b"a\0\0" + _ZIPPED)),
        "ICC profile of 0 bytes": lambda: png_with(png_chunk(b"iCCP", b"")),
        "ICC profile that is not compressed": lambda: png_with(png_chunk(b"iCCP", b"a\0\0abc")),
        "wrong checksum of a text": lambda: png_with(png_chunk(b"tEXt", b"a\0b")[:-4] + bytes(4)),
        "wrong checksum of EXIF": lambda: png_with(png_chunk(b"eXIf", b"II*\0")[:-4] + bytes(4)),
        "gamma of 1 byte": lambda: png_with(png_chunk(b"gAMA", b"a")),
        "resolution of 1 byte": lambda: png_with(png_chunk(b"pHYs", b"a")),
        "animation header of 1 byte": lambda: png_with(png_chunk(b"acTL", b"a")),
        "EXIF as text that is not hexadecimal": lambda: png_with(
            png_chunk(b"tEXt", b"Raw profile type exif\0\na\n1\nz")
        ),
        "no end chunk": lambda: PLAIN["PNG"][:-12],
        "half an end chunk": lambda: PLAIN["PNG"][:-6],
    }
)


def png_end() -> bytes:
    return png_chunk(b"IEND", b"")


_JPEG: Mapping[str, Callable[[], bytes]] = MappingProxyType(
    {
        "no end marker": lambda: PLAIN["JPEG"][:-2],
        "half an end marker": lambda: PLAIN["JPEG"][:-1],
        "zeros instead of the end marker": lambda: PLAIN["JPEG"][:-2] + bytes(100),
        "no end marker, but a long text": lambda: jpeg_with(jpeg_segment(0xFE, bytes(60_000)))[:-2],
        "invalid list of pictures": lambda: jpeg_with(jpeg_segment(0xE2, b"MPF\0junk")),
        "JFIF header of 5 bytes": lambda: jpeg_with(jpeg_segment(0xE0, b"JFIF\0")),
        "Adobe header of 5 bytes": lambda: jpeg_with(jpeg_segment(0xEE, b"Adobe")),
        "Photoshop data that ends early": lambda: jpeg_with(jpeg_segment(0xED, b"Photoshop 3.0\x008BIM")),
        "ICC profile without a number": lambda: jpeg_with(jpeg_segment(0xE2, b"ICC_PROFILE\0")),
        "ICC profile that lacks its second part": lambda: jpeg_with(jpeg_segment(0xE2, b"ICC_PROFILE\0\1\2abc")),
        "invalid XMP": lambda: encoded(PICTURE, "JPEG", xmp=b"\xff\xfe" * 100),
    }
)

_OTHER: Mapping[tuple[str, str], Callable[[], bytes]] = MappingProxyType(
    {
        ("progressive JPEG", "no end marker"): lambda: PLAIN["progressive JPEG"][:-2],
        ("JPEG with restarts", "no end marker"): lambda: PLAIN["JPEG with restarts"][:-2],
        ("gray JPEG", "no end marker"): lambda: PLAIN["gray JPEG"][:-2],
        ("WEBP", "EXIF that is cut off"): lambda: with_exif("WEBP", b"II*\0\0\0\0\0")[:-3],
        ("WEBP", "XMP that is cut off"): lambda: encoded(PICTURE, "WEBP", xmp=b"<x/>" * 99)[:-9],
        ("WEBP", "invalid XMP"): lambda: encoded(PICTURE, "WEBP", xmp=b"\xff\xfe" * 100),
        ("WEBP", "ICC profile of 2 MB"): lambda: encoded(PICTURE, "WEBP", icc_profile=bytes(2**21)),
        ("AVIF", "invalid XMP"): lambda: encoded(PICTURE, "AVIF", xmp=b"\xff\xfe" * 100),
        ("HEIF", "invalid XMP"): lambda: encoded(PICTURE, "HEIF", xmp=b"\xff\xfe" * 100),
        ("GIF", "no trailer"): lambda: PLAIN["GIF"][:-1],
        ("GIF", "comment of 70,000 bytes"): lambda: encoded(PICTURE, "GIF", comment=b"a" * 70_000),
        ("GIF", "extension that is cut off"): lambda: PLAIN["GIF"][:-1] + b"!\xff\x0bNETSC",
        ("GIF", "second image that is cut off"): lambda: PLAIN["GIF"][:-1] + b"!\xf9\4\0\0\0\0\0,\0\0\0\0",
        ("BMP", "no padding of the last row"): lambda: PLAIN["BMP"][:-1],
    }
)


def _intact() -> Mapping[str, IntactFile]:
    files = {f"PNG: {name}": IntactFile(make(), PLAIN["PNG"]) for name, make in _PNG.items()}
    files |= {f"JPEG: {name}": IntactFile(make(), PLAIN["JPEG"]) for name, make in _JPEG.items()}
    files |= {f"{kind}: {name}": IntactFile(make(), PLAIN[kind]) for (kind, name), make in _OTHER.items()}
    for kind in ("PNG", "JPEG", "WEBP", "AVIF", "HEIF"):
        for name, exif in _INVALID_EXIF.items():
            files[f"{kind}: EXIF: {name}"] = IntactFile(with_exif(kind, exif), PLAIN[kind])
        if kind == "HEIF":
            continue
        for value in (0, 9, 65_535):
            content = encoded(PICTURE, kind, exif=orientation(value))
            files[f"{kind}: orientation {value}"] = IntactFile(content, PLAIN[kind])
    return MappingProxyType(files)


def orientation(value: int) -> bytes:
    """Return EXIF data with this orientation."""
    exif = Image.Exif()
    exif[0x0112] = value
    return exif.tobytes()


INTACT_FILES = _intact()
"""Files with complete pixels that decoders reject, or could reject, by name."""


def large_png(width: int, height: int, *, is_transparent: bool) -> bytes:
    """Return a PNG file of black pixels, created in strips, so that it takes little memory."""
    row = b"\0" + bytes((4 if is_transparent else 3) * width)
    compressor = zlib.compressobj(1)
    data = b"".join(compressor.compress(row) for _ in range(height)) + compressor.flush()
    head = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6 if is_transparent else 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + png_chunk(b"IDAT", data) + png_end()


@st.composite
def mutated_files(draw: st.DrawFn) -> bytes:
    """Draw an image file in which some bytes were overwritten, removed or repeated."""
    content = bytearray(PLAIN[draw(st.sampled_from(sorted(PLAIN)))])
    for _ in range(draw(st.integers(1, 4))):
        # Headers are at the beginning, so half of the changes are there.
        at = draw(st.integers(0, min(64, len(content))) | st.integers(0, len(content)))
        end = at + draw(st.integers(0, 8))
        content[at:end] = draw(
            st.binary(max_size=8) | st.sampled_from([b"\xff\xff\xff\xff", bytes(4), bytes(content[at : at + 40])])
        )
    return bytes(content)
