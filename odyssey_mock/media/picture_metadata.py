"""Removal of metadata from image files, and detection of files without their last bytes.

Decoders reject a file with metadata that they cannot read, though its pixels are intact. The mock decodes such a file
again, without metadata. A file may also lack last bytes on which no pixel depends, such as the end marker of JPEG.
`BareFile.endings` makes it possible to check this.
"""

import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

MAX_PROFILE_BYTES = 16 << 20
"""Maximum size of a color profile after decompression. Larger profiles are ignored."""

MAX_SCANS = 200
"""Maximum number of scans of a JPEG file. Encoders write at most about 100.

Decoding a scan takes up to 40 ms, even if it has 30 bytes, because it covers the whole image.
"""

_JPEG_END = b"\xff\xd9"
_OTHER_JPEG_END = b"\xff".join(bytes([marker]) + b"\xc3\x96\x69" for marker in range(0xCF, 0xD8))[1:] + _JPEG_END
"""Bits that begin with 1, eight restart markers, each followed by more such bits, and the end marker."""
_JPEG_MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")
"""The next marker, also behind a scan, where 0xFF 0x00 is a value and 0xFF 0xD0 to 0xFF 0xD7 are restarts."""
_JPEG_SEGMENT = re.compile(rb"\xff([\x02-\xcf\xd8-\xfe])")
"""As `_JPEG_MARKER`, without the marker TEM (0xFF 0x01), which decoders skip."""
_JPEG_FRAMES = {code: code in {0xC2, 0xC6, 0xCA, 0xCE} for code in range(0xC0, 0xD0) if code not in {0xC4, 0xC8, 0xCC}}
"""The codes of frame headers, with whether the frame is progressive."""
_ALL_BITS = {(coefficient, 0) for coefficient in range(64)}

_ISO_EXIF = re.compile(rb"(?s)(infe[\x02\x03]\0\0.(?:..|....)\0\0)Exif")
"""The description of the EXIF item: version, flags, number, protection, type."""


@dataclass(frozen=True, slots=True)
class BareFile:
    """An image file without metadata.

    Attributes:
        data: The file. An item of `endings` must be appended to it before it is decoded.
        endings: One empty ending for a file with all its bytes. For a file that lacks its last bytes, two alternatives:
            if both decode to the same pixels, no pixel is missing.
        info: The removed EXIF data (`exif`) and color profile (`icc_profile`), if any, as in `Image.info`.
    """

    data: bytes
    endings: tuple[bytes, ...] = (b"",)
    info: dict[str, bytes] = field(default_factory=dict)


def bare_file(data: bytes) -> BareFile | None:
    """Remove the metadata of an image file. Return None for a format whose metadata cannot make a file unreadable.

    Raises:
        ValueError: a scan of a JPEG file is missing, or the file has more than `MAX_SCANS` scans.
        struct.error: the file ends within a header.
    """
    return next((remove(data) for magic, remove in _FORMATS if magic.match(data)), None)


def check_scans(data: bytes) -> None:
    """Check the number of scans of a JPEG file, before it is decoded.

    Raises:
        ValueError: the file has more than `MAX_SCANS` scans.
    """
    scans, at = 0, 2
    while (marker := _JPEG_SEGMENT.search(data, at)) is not None and marker[1] != b"\xd9":
        scans += marker[1] == b"\xda"
        if scans > MAX_SCANS:
            raise ValueError(f"expected at most {MAX_SCANS} scans, got more")
        at = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2])


def _bare_png(data: bytes) -> BareFile:
    pixels, info = [data[:8]], dict[str, bytes]()
    at, name = 8, b""
    while at + 8 <= len(data) and name != b"IEND":
        length, name = struct.unpack_from(">I4s", data, at)
        chunk, content = data[at : at + length + 12], data[at + 8 : at + length + 8]
        at += len(chunk)
        if name in {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}:
            pixels.append(chunk)
        elif zlib.crc32(name + content).to_bytes(4) != chunk[-4:]:
            continue
        elif name == b"eXIf":
            info["exif"] = content
        elif name == b"iCCP" and "icc_profile" not in info:  # decompress only one
            info["icc_profile"] = _decompressed(content.partition(b"\0")[2][1:])
    return BareFile(b"".join(pixels), info=info)


def _decompressed(profile: bytes) -> bytes:
    """Decompress a color profile; return no bytes if it is damaged or larger than `MAX_PROFILE_BYTES`."""
    decompressor = zlib.decompressobj()
    try:
        decompressed = decompressor.decompress(profile, MAX_PROFILE_BYTES)
    except zlib.error:
        return b""
    return decompressed if decompressor.eof else b""


def _bare_jpeg(data: bytes) -> BareFile:
    kept: list[bytes] = [data[:2]]
    info: dict[str, bytes] = {}
    profile: dict[int, bytes] = {}
    missing: dict[int, set[tuple[int, int]]] = {}
    is_progressive, scans, at, done = False, 0, 2, 2
    while (marker := _JPEG_MARKER.search(data, at)) is not None and marker[1] != b"\xd9":
        code = marker[1][0]
        (length,) = struct.unpack_from(">H", data, marker.end())
        content = data[marker.end() + 2 : marker.end() + length]
        at = marker.end() + length
        if code in _JPEG_FRAMES:
            is_progressive = _JPEG_FRAMES[code]
            missing = {component: set(_ALL_BITS) for component in content[6::3]}
        elif code == 0xDA:
            scans += 1
            if scans > MAX_SCANS:
                raise ValueError(f"expected at most {MAX_SCANS} scans, got more")
            (count,) = struct.unpack_from("B", content)
            first, last, bits = struct.unpack_from("3B", content, 1 + 2 * count) if is_progressive else (0, 63, 0)
            for component in content[1 : 1 + 2 * count : 2]:
                missing.get(component, set()).difference_update((each, bits & 15) for each in range(first, last + 1))
        elif 0xE0 <= code <= 0xEF or code == 0xFE:
            # JFIF and Adobe segments define how the colors are stored.
            if (code == 0xE0 and content[:5] == b"JFIF\0" and len(content) >= 14) or (
                code == 0xEE and content[:5] == b"Adobe" and len(content) >= 12
            ):
                continue
            kept.append(data[done : marker.start()])
            done = at
            if content[:6] == b"Exif\0\0":
                info.setdefault("exif", content)
            elif content[:12] == b"ICC_PROFILE\0" and len(content) > 14:
                profile[content[12]] = content[14:]
                if len(profile) == content[13]:
                    info["icc_profile"] = b"".join(profile[number] for number in sorted(profile))
    kept.append(data[done:])
    bare = b"".join(kept)
    if marker is not None:
        return BareFile(bare, info=info)
    if not missing or any(missing.values()):
        raise ValueError("the file ends before its last scan")
    # A 0xFF at the end is half a marker. If the last scan is too short, the decoder reads zero bits after it with the
    # first ending, and bits that begin with 1 with the second.
    return BareFile(bare.rstrip(b"\xff"), (_JPEG_END, _OTHER_JPEG_END), info)


def _bare_webp(data: bytes) -> BareFile:
    chunks, info, at = bytearray(b"WEBP"), dict[str, bytes](), 12
    while at + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, at)
        end = at + 8 + length
        chunk = data[at : end + length % 2]
        at += len(chunk)
        match name:
            case b"EXIF":
                info["exif"] = chunk[8 : 8 + length]
            case b"ICCP":
                info["icc_profile"] = chunk[8 : 8 + length]
            case b"VP8X":  # with the flags for transparency and animation; the others announce metadata
                chunks += chunk[:8] + bytes([chunk[8] & 0b10010]) + chunk[9:]
            case b"XMP ":
                pass
            case _:
                chunks += chunk
    return BareFile(b"RIFF" + len(chunks).to_bytes(4, "little") + chunks, info=info)


def _bare_iso(data: bytes) -> BareFile:
    return BareFile(_ISO_EXIF.sub(rb"\1free", data))


def _bare_bmp(data: bytes) -> BareFile:
    return BareFile(data, endings=(bytes(3), b"\xff" * 3))  # the last row may lack up to three bytes of padding


_FORMATS: tuple[tuple[re.Pattern[bytes], Callable[[bytes], BareFile]], ...] = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), _bare_png),
    (re.compile(rb"\xff\xd8\xff"), _bare_jpeg),
    (re.compile(rb"(?s)RIFF....WEBP"), _bare_webp),
    (re.compile(rb"(?s)....ftyp"), _bare_iso),
    (re.compile(rb"BM"), _bare_bmp),
)
