"""Tests that the mock shows every start image whose pixels are complete, even with unreadable metadata."""

import re
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.media.picture import KEPT_BYTES, PictureError, fitted, kept
from odyssey_mock.media.timeline import Size
from tests.support.color_profiles import display_p3
from tests.support.image_files import (
    INTACT_FILES,
    PICTURE,
    PLAIN,
    encoded,
    jpeg_segment,
    jpeg_with,
    orientation,
    png_chunk,
    png_with,
)

SIZE = Size(176, 320)
TEXT = png_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**21)))


@pytest.mark.parametrize("name", INTACT_FILES)
def test_unreadable_metadata_changes_no_pixel(name: str) -> None:
    file = INTACT_FILES[name]
    assert fitted(file.content, SIZE).tobytes() == fitted(file.sound, SIZE).tobytes()


@pytest.mark.parametrize("kind", PLAIN)
def test_truncated_file_with_whole_pixels_is_shown(kind: str) -> None:
    content, whole = PLAIN[kind], fitted(PLAIN[kind], SIZE).tobytes()
    for end in range(len(content) - 60, len(content)):
        try:
            shown = fitted(content[:end], SIZE).tobytes()
        except PictureError:
            continue
        assert shown == whole, (
            "expected an error or the pixels of the whole file, got other pixels "
            f"from a file without its last {len(content) - end} bytes"
        )


@given(st.sampled_from(["RGB", "L", "CMYK"]), st.integers(20, 95), st.booleans(), st.integers(0, 3), st.data())
def test_truncated_jpeg_is_shown_only_with_all_pixels(
    mode: str, quality: int, is_progressive: bool, restarts: int, data: st.DataObject
) -> None:
    content = encoded(
        PICTURE.convert(mode), "JPEG", quality=quality, progressive=is_progressive, restart_marker_blocks=restarts
    )
    end = data.draw(st.integers(len(content) // 3, len(content) - 1))
    try:
        shown = fitted(content[:end], SIZE)
    except PictureError:
        assert end < len(content) - 2, "expected a JPEG file that lacks only its end marker to be shown, got an error"
        return
    assert shown.tobytes() == fitted(content, SIZE).tobytes()


def test_progressive_jpeg_without_later_scans_is_rejected() -> None:
    content = PLAIN["progressive JPEG"]
    scans = [scan.start() for scan in re.finditer(rb"\xff[\xc4\xda]", content)]
    assert len(scans) > 10
    for start in scans[1:]:
        with pytest.raises(PictureError, match="ends before its last scan"):
            fitted(content[:start], SIZE)


@pytest.mark.parametrize("before", [b"", b"\xff\x01\xff\xff"], ids=["plain", "after TEM"])
def test_intact_jpeg_with_many_scans_is_rejected(before: bytes) -> None:
    content = PLAIN["progressive JPEG"]
    last_scan = content[content.rindex(b"\xff\xda") : -2]
    few, many = (content[:-2] + before + number * last_scan + content[-2:] for number in (100, 200))
    assert fitted(few, SIZE).size == (SIZE.width, SIZE.height)
    with pytest.raises(PictureError, match="at most 200 scans, got more"):
        fitted(many, SIZE)


def test_truncated_jpeg_with_many_scans_is_rejected() -> None:
    scan = jpeg_segment(0xDA, b"\1\1\0\0\x3f\0")
    with pytest.raises(PictureError, match="at most 200 scans, got more"):
        fitted(jpeg_with(scan * 100_000)[:-9], SIZE)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_orientation_and_profile_are_not_lost(kind: str) -> None:
    options = {} if kind == "JPEG" else {"lossless": True}
    turned = encoded(PICTURE, kind, exif=orientation(6), icc_profile=display_p3(), **options)
    long = encoded(PICTURE, kind, exif=orientation(6), icc_profile=display_p3(), xmp=b"<x/>" * 50, **options)
    broken = {"PNG": png_with(TEXT, png=turned), "JPEG": turned[:-2], "WEBP": long[:-7]}[kind]
    assert fitted(broken, SIZE).tobytes() == fitted(turned, SIZE).tobytes()


def test_profile_above_one_megabyte_is_used() -> None:
    large = png_with(png_chunk(b"iCCP", b"P3\0\0" + zlib.compress(display_p3(padding=2**21))))
    small = encoded(PICTURE, "PNG", icc_profile=display_p3())
    assert fitted(large, SIZE).tobytes() == fitted(small, SIZE).tobytes()


def test_turned_file_with_long_metadata_is_stored_upright() -> None:
    text = png_chunk(b"tEXt", b"a\0" + b"b" * KEPT_BYTES)
    content = png_with(TEXT, text, png=encoded(PICTURE, "PNG", exif=orientation(6)))
    stored, _ = kept(content, SIZE)
    assert len(stored) < len(content)
    assert fitted(stored, SIZE).tobytes() == fitted(content, SIZE).tobytes()
