"""Tests that image files are read if their pixels are complete, even with unreadable metadata."""

import base64
import io
import re
import zlib
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from odyssey_client.media.image import prepare_image
from odyssey_client.media.image_file import decode_file, orientation
from tests.support.color_profiles import display_p3
from tests.support.image_files import (
    INTACT_FILES,
    PICTURE,
    PLAIN,
    encoded,
    jpeg_segment,
    jpeg_with,
    png_chunk,
    png_with,
)
from tests.support.image_files import orientation as exif_with

TEXT = png_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**21)))


def pixels(content: bytes) -> bytes:
    picture = decode_file(content).picture
    return repr(picture.size).encode() + picture.convert("RGB").tobytes()


@cache
def prepared(content: bytes) -> str:
    """Return what the client sends for a file. There are only a few different files without damage."""
    return prepare_image(content, portrait=True)


@pytest.mark.parametrize("name", INTACT_FILES)
def test_unreadable_metadata_changes_no_pixel(name: str) -> None:
    file = INTACT_FILES[name]
    assert pixels(file.content) == pixels(file.sound)
    assert prepare_image(file.content, portrait=True) == prepared(file.sound)


@pytest.mark.parametrize("kind", PLAIN)
def test_truncated_file_with_whole_pixels_is_read(kind: str) -> None:
    content, whole = PLAIN[kind], pixels(PLAIN[kind])
    for end in range(len(content) - 60, len(content)):
        try:
            read = pixels(content[:end])
        except Exception:  # decoders raise exceptions of any type for damaged files
            continue
        assert read == whole, (
            "expected an error or the pixels of the whole file, got other pixels "
            f"from a file without its last {len(content) - end} bytes"
        )


@given(st.sampled_from(["RGB", "L", "CMYK"]), st.integers(20, 95), st.booleans(), st.integers(0, 3), st.data())
def test_truncated_jpeg_is_read_only_with_all_pixels(
    mode: str, quality: int, is_progressive: bool, restarts: int, data: st.DataObject
) -> None:
    content = encoded(
        PICTURE.convert(mode), "JPEG", quality=quality, progressive=is_progressive, restart_marker_blocks=restarts
    )
    end = data.draw(st.integers(len(content) // 3, len(content) - 1))
    try:
        read = pixels(content[:end])
    except Exception:  # decoders raise exceptions of any type for damaged files
        assert end < len(content) - 2, "expected a JPEG file that lacks only its end marker to be read, got an error"
        return
    assert read == pixels(content)


def test_progressive_jpeg_without_later_scans_is_rejected() -> None:
    content = PLAIN["progressive JPEG"]
    scans = [scan.start() for scan in re.finditer(rb"\xff[\xc4\xda]", content)]
    assert len(scans) > 10
    for start in scans[1:]:
        with pytest.raises(ValueError, match="ends before its last scan"):
            decode_file(content[:start])


@pytest.mark.parametrize("before", [b"", b"\xff\x01\xff\xff"], ids=["plain", "after TEM"])
def test_intact_jpeg_with_many_scans_is_rejected(before: bytes) -> None:
    content = PLAIN["progressive JPEG"]
    last_scan = content[content.rindex(b"\xff\xda") : -2]
    few, many = (content[:-2] + before + number * last_scan + content[-2:] for number in (100, 200))
    assert decode_file(few).picture.size == decode_file(content).picture.size
    with pytest.raises(ValueError, match="at most 200 scans, got more"):
        decode_file(many)


def test_truncated_jpeg_with_many_scans_is_rejected() -> None:
    scan = jpeg_segment(0xDA, b"\1\1\0\0\x3f\0")
    with pytest.raises(ValueError, match="at most 200 scans, got more"):
        decode_file(jpeg_with(scan * 100_000)[:-9])


def test_unreadable_text_keeps_orientation_and_profile() -> None:
    turned = encoded(PICTURE, "PNG", exif=exif_with(6), icc_profile=display_p3())
    for content in (png_with(TEXT, png=turned), png_with(png_chunk(b"pHYs", b"a"), png=turned)):
        picture = decode_file(content).picture
        assert (orientation(picture), picture.info["icc_profile"]) == (6, display_p3())
        assert prepare_image(content, portrait=True) == prepare_image(turned, portrait=True)


def test_jpeg_without_end_keeps_orientation_and_profile() -> None:
    large = display_p3(padding=200_000)  # in four segments
    turned = encoded(PICTURE, "JPEG", exif=exif_with(6), icc_profile=large)
    picture = decode_file(turned[:-2]).picture
    assert (orientation(picture), picture.info["icc_profile"]) == (6, large)
    assert prepare_image(turned[:-2], portrait=True) == prepare_image(turned, portrait=True)


def test_webp_with_truncated_metadata_keeps_profile() -> None:
    content = encoded(PICTURE, "WEBP", icc_profile=display_p3(), xmp=b"<x/>" * 50, lossless=True)
    read = decode_file(content[:-7])
    assert read.picture.info["icc_profile"] == display_p3()
    assert not read.is_sound


def test_profile_above_one_megabyte_is_used() -> None:
    large = display_p3(padding=2**21)
    content = png_with(png_chunk(b"iCCP", b"P3\0\0" + zlib.compress(large)))
    assert decode_file(content).picture.info["icc_profile"] == large
    small = encoded(PICTURE, "PNG", icc_profile=display_p3())
    assert prepare_image(content, portrait=True) == prepare_image(small, portrait=True)


def test_profile_above_sixteen_megabytes_is_ignored() -> None:
    content = png_with(png_chunk(b"iCCP", b"P3\0\0" + zlib.compress(bytes(2**24 + 1))))
    assert not decode_file(content).picture.info["icc_profile"]


def test_transparency_and_palette_are_no_metadata() -> None:
    source = PICTURE.quantize(8)
    content = encoded(source, "PNG", transparency=3)
    plain = decode_file(content).picture.convert("RGBA")
    assert plain.getchannel("A").getextrema() == (0, 255)
    assert decode_file(png_with(TEXT, png=content)).picture.convert("RGBA").tobytes() == plain.tobytes()


def test_adobe_segment_of_cmyk_is_no_metadata() -> None:
    content = encoded(PICTURE.convert("CMYK"), "JPEG")
    assert pixels(jpeg_with(jpeg_segment(0xE2, b"MPF\0junk"), jpeg=content)) == pixels(content)
    assert pixels(content[:-2]) == pixels(content)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_unreadable_file_of_stream_size_is_converted(kind: str) -> None:
    whole = encoded(PICTURE.resize((704, 1280)), kind)
    broken = {"PNG": png_with(TEXT, png=whole), "JPEG": whole[:-2], "WEBP": webp_with_exif(whole)}[kind]
    assert prepare_image(whole, portrait=True).startswith(f"data:image/{kind.lower()};")
    sent = prepare_image(broken, portrait=True)
    assert sent.startswith("data:image/jpeg;")


def webp_with_exif(content: bytes) -> bytes:
    with Image.open(io.BytesIO(content)) as picture:
        return encoded(picture, "WEBP", exif=b"Exif\0\0no tiff")


@pytest.mark.parametrize(("value", "turned"), [(0, 1), (1, 1), (2, 2), (8, 8), (9, 1), (65_535, 1)])
def test_undefined_orientation_is_upright(value: int, turned: int) -> None:
    assert orientation(decode_file(encoded(PICTURE, "JPEG", exif=exif_with(value))).picture) == turned


@pytest.mark.parametrize("value", range(1, 9))
def test_each_orientation_is_applied(value: int) -> None:
    upright = np.zeros((1280, 704, 3), np.uint8)
    upright[:640, :352], upright[:640, 352:], upright[640:, :352] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    # EXIF 2.32, tag 274: the sides of the picture that row 0 and column 0 of the stored image show.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: upright.transpose(1, 0, 2)[::-1],
        7: upright.transpose(1, 0, 2)[::-1, ::-1],
        8: upright.transpose(1, 0, 2)[:, ::-1],
    }[value]
    content = encoded(Image.fromarray(np.ascontiguousarray(stored)), "PNG", exif=exif_with(value))
    url = prepare_image(content, portrait=True)
    shown = np.asarray(decode_file(base64.b64decode(url.partition(",")[2])).picture)
    seen = shown[[100, 100, 1200, 1200], [100, 600, 100, 600]].astype(int)
    assert np.abs(seen - [(255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 0, 0)]).max() < 9


def test_picture_with_unreadable_exif_is_accepted() -> None:
    picture = PICTURE.copy()
    picture.info["exif"] = b"Exif\0\0no tiff"
    assert prepare_image(picture, portrait=True) == prepare_image(PICTURE, portrait=True)
    assert picture.info == {"exif": b"Exif\0\0no tiff"}
