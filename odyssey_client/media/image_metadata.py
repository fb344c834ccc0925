"""Separation of an image file into its pixel data and its metadata.

Decoders reject files with metadata that they cannot read. The functions of this module remove the metadata, so that
only the pixel data decides whether an image can be read:

- PNG (ISO/IEC 15948): all chunks except the header, the palette, the transparency and the pixel data.
- JPEG (ITU-T T.81): comments and application segments, except those that define how colors are stored (JFIF, Adobe).
- WebP (RFC 9649): the chunks EXIF, XMP and ICCP.
- HEIC, HEIF and AVIF (ISO/IEC 23008-12): the EXIF item.

A file may also lack its last bytes without damage to the pixels. If the missing bytes could matter, ``endings`` returns
the file with two different endings. If both decode to the same pixels, the pixels of the file are complete.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

MAX_PROFILE_BYTES = 16 * 2**20
"""Maximum size of a decompressed color profile. Larger profiles are ignored."""

MAX_SCANS = 200
"""Maximum number of scans of a JPEG file. Encoders write at most about 100.

Decoding a scan takes up to 40 ms, even if it has 30 bytes, because it covers the whole image.
"""

_EXIF = b"Exif\0\0"
_END_OF_JPEG = b"\xff\xd9"
_OTHER_END_OF_JPEG = b"".join(b"\xa5\x5a\xc3\xff" + bytes([marker]) for marker in (*range(0xD0, 0xD8), 0xD9))
"""Bits that begin with 1 in front of each restart marker, and in front of the end marker."""


@dataclass(frozen=True, slots=True)
class PixelData:
    """An image file without its metadata.

    Attributes:
        content: The file. One item of ``endings`` must be appended to it before it is decoded.
        endings: One empty ending for a file with all its bytes. For a file that lacks its last bytes, two alternatives:
            if both decode to the same pixels, no pixel is missing.
        info: The EXIF data (``exif``) and the color profile (``icc_profile``) that were removed, if any.
    """

    content: bytes
    endings: tuple[bytes, ...] = (b"",)
    info: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}))


def pixel_data(content: bytes, kind: str) -> PixelData | None:
    """Remove the metadata of an image file in Pillow's format ``kind``.

    Return None for a format whose metadata this module cannot remove.

    Raises:
        ValueError: The file is damaged, or parts of the image are missing.
        struct.error: The file ends within a header.
    """
    separate = _FORMATS.get(kind)
    return separate(content) if separate is not None else None


_PNG_PIXELS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})


def _png(content: bytes) -> PixelData:
    kept = [content[:8]]
    info: dict[str, bytes] = {}
    for name, chunk in _png_chunks(content):
        if name in _PNG_PIXELS:
            kept.append(chunk)
        elif zlib.crc32(chunk[4:-4]) != int.from_bytes(chunk[-4:]):
            continue  # damaged metadata is ignored, as in browsers
        elif name == b"eXIf":
            info["exif"] = _EXIF + chunk[8:-4]
        elif name == b"iCCP" and "icc_profile" not in info:  # decompress only one
            info["icc_profile"] = _png_profile(chunk[8:-4])
    return PixelData(b"".join(kept), info=info)


def _png_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the name and the bytes of each chunk. If the file is truncated, the last chunk is incomplete."""
    at = 8
    while at + 8 <= len(content):
        length, name = struct.unpack_from(">I4s", content, at)
        end = at + length + 12
        yield name, content[at:end]
        if name == b"IEND":
            return
        at = end


def _png_profile(data: bytes) -> bytes:
    """Return the decompressed profile in an iCCP chunk; empty if it is damaged or larger than `MAX_PROFILE_BYTES`."""
    _, _, compressed = data.partition(b"\0")
    decompressor = zlib.decompressobj()
    try:
        profile = decompressor.decompress(compressed[1:], MAX_PROFILE_BYTES)
    except zlib.error:
        return b""
    return profile if decompressor.eof else b""


_JPEG_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")
"""A marker of JPEG except a restart marker; in scans, 0xFF 0x00 represents the value 0xFF."""
_JPEG_SEGMENT = re.compile(rb"\xff([^\x00\x01\xff\xd0-\xd7])")
"""As `_JPEG_MARKER`, without the marker TEM (0xFF 0x01), which decoders skip."""
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_TABLES = frozenset({0xC4, 0xC8, 0xCC})  # the codes 0xC0 to 0xCF that are not a frame header


def _jpeg(content: bytes) -> PixelData:
    """Separate the pixel data and the metadata of a JPEG file.

    A file without an end marker may lack the end of its last scan. Two ``endings`` show whether it does: with the first
    one, a decoder reads missing bits as 0; with the second one, the first missing bit is 1. If both result in the same
    pixels, no bit is missing.

    Raises:
        ValueError: The file ends before its last scan.
    """
    kept: list[bytes] = []
    profile: dict[int, bytes] = {}
    info: dict[str, bytes] = {}
    scans = _Scans()
    done = at = 2
    while (marker := _JPEG_MARKER.search(content, at)) is not None:
        code, start, at = marker[1][0], marker.start(), marker.end()
        if code == 0xD9:
            break
        (length,) = struct.unpack_from(">H", content, at)
        data = content[at + 2 : at + length]
        at += length
        if code == 0xDA:
            scans.add_scan(data)
        elif 0xC0 <= code <= 0xCF and code not in _TABLES:
            scans.set_frame(data, is_progressive=code in _PROGRESSIVE)
        elif (0xE0 <= code <= 0xEF or code == 0xFE) and not _defines_colors(code, data):
            kept.append(content[done:start])
            done = at
            if code == 0xE1 and data.startswith(_EXIF):
                info.setdefault("exif", data)
            elif code == 0xE2 and data.startswith(b"ICC_PROFILE\0") and len(data) > 14:
                profile[data[12]] = data[14:]
                if len(profile) == data[13]:
                    info["icc_profile"] = b"".join(profile[number] for number in sorted(profile))
    kept.append(content[done:])
    separated = content[:2] + b"".join(kept)
    if marker is not None:
        return PixelData(separated, info=info)
    if not scans.are_complete():
        raise ValueError("the file ends before its last scan")
    # A single 0xFF at the end is half a marker.
    return PixelData(separated.rstrip(b"\xff"), (_END_OF_JPEG, _OTHER_END_OF_JPEG), info)


def _defines_colors(code: int, data: bytes) -> bool:
    is_jfif = code == 0xE0 and data.startswith(b"JFIF\0") and len(data) >= 14
    return is_jfif or (code == 0xEE and data.startswith(b"Adobe") and len(data) >= 12)


def check_scans(content: bytes) -> None:
    """Check the number of scans of a JPEG file, before it is decoded.

    Raises:
        ValueError: The file has more than `MAX_SCANS` scans.
    """
    scans, at = 0, 2
    while (marker := _JPEG_SEGMENT.search(content, at)) is not None and marker[1] != b"\xd9":
        scans += marker[1] == b"\xda"
        if scans > MAX_SCANS:
            raise ValueError(f"expected at most {MAX_SCANS} scans, got more")
        at = marker.end() + int.from_bytes(content[marker.end() : marker.end() + 2])


class _Scans:
    """A record of the coefficients that the scans of a JPEG file contain, read from the headers of the scans."""

    def __init__(self) -> None:
        self._components: bytes = b""
        self._is_progressive = False
        self._count = 0
        self._missing_bits: dict[tuple[int, int], int] = {}
        """For each component and coefficient, the number of low bits that no scan contained yet."""

    def set_frame(self, header: bytes, *, is_progressive: bool) -> None:
        self._components = header[6::3]
        self._is_progressive = is_progressive

    def add_scan(self, header: bytes) -> None:
        self._count += 1
        if self._count > MAX_SCANS:
            raise ValueError(f"expected at most {MAX_SCANS} scans, got more")
        (count,) = struct.unpack_from("B", header)
        first, last, approximation = struct.unpack_from("3B", header, 1 + 2 * count)
        if not self._is_progressive:
            first, last, approximation = 0, 63, 0  # the only valid values, which decoders do not check
        for component in header[1 : 1 + 2 * count : 2]:
            for coefficient in range(first, last + 1):
                self._missing_bits[component, coefficient] = approximation & 15

    def are_complete(self) -> bool:
        """Return whether the scans contain every bit of every coefficient."""
        return bool(self._components) and all(
            self._missing_bits.get((component, coefficient)) == 0
            for component in self._components
            for coefficient in range(64)
        )


def _webp(content: bytes) -> PixelData:
    kept = [b"WEBP"]
    info: dict[str, bytes] = {}
    at = 12
    while at + 8 <= len(content):
        name, length = struct.unpack_from("<4sI", content, at)
        chunk = content[at : at + 8 + length + length % 2]
        at += 8 + length + length % 2
        if name == b"EXIF":
            info["exif"] = chunk[8 : 8 + length]
        elif name == b"ICCP":
            info["icc_profile"] = chunk[8 : 8 + length]
        elif name == b"VP8X":
            # The flags say which chunks follow; keep those of transparency and animation.
            kept.append(chunk[:8] + bytes([chunk[8] & 0x12]) + chunk[9:])
        elif name != b"XMP ":
            kept.append(chunk)
    data = b"".join(kept)
    return PixelData(b"RIFF" + struct.pack("<I", len(data)) + data, info=info)


_EXIF_ITEM = re.compile(rb"(infe[\x02\x03]\0\0.(?:..|....)\0\0)Exif", re.DOTALL)
"""The entry of the EXIF data in the list of items: version, flags, number, protection, type."""


def _iso_media(content: bytes) -> PixelData:
    return PixelData(_EXIF_ITEM.sub(rb"\1free", content))


def _bmp(content: bytes) -> PixelData:
    # Each row is padded to a multiple of four bytes. The padding of the last row has no meaning.
    return PixelData(content, (bytes(3), b"\xff" * 3))


_FORMATS: Mapping[str, Callable[[bytes], PixelData]] = MappingProxyType(
    {"PNG": _png, "JPEG": _jpeg, "WEBP": _webp, "AVIF": _iso_media, "HEIF": _iso_media, "BMP": _bmp}
)
