"""Tests of image conversion: valid images become `data:` URLs of the stream's size, invalid ones raise an error."""

import base64
import io
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from odyssey_client.errors import ImageError
from odyssey_client.media import image as image_module
from odyssey_client.media import image_source as module
from odyssey_client.media.image import prepare_image
from tests.support.image_costs import check_at_once, memory_per_pixel, only_on_linux
from tests.support.image_files import mutated_files

FORMATS = ["JPEG", "PNG", "WEBP", "GIF", "BMP", "AVIF", "HEIF"]


def encoded(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    if kind == "HEIF":
        pillow_heif.from_pillow(picture).save(out, quality=90)
    else:
        picture.save(out, kind, **options)
    return out.getvalue()


def halves(size: tuple[int, int] = (300, 200), left: str = "red", right: str = "blue") -> Image.Image:
    """Return an image whose left half has the color `left`, and whose right half has the color `right`.

    The colors show how the client cropped or rotated the image.
    """
    picture = Image.new("RGB", size, left)
    picture.paste(right, (size[0] // 2, 0, size[0], size[1]))
    return picture


def decoded(url: str) -> Image.Image:
    head, _, body = url.partition(",")
    assert head.startswith("data:image/")
    assert head.endswith(";base64")
    picture = Image.open(io.BytesIO(base64.b64decode(body, validate=True)))
    assert f"data:{picture.get_format_mimetype()};base64" == head
    return picture


def color(picture: Image.Image, x: float, y: float) -> str:
    pixel = picture.convert("RGB").getpixel((int(x * picture.width), int(y * picture.height)))
    assert isinstance(pixel, tuple)
    names = {"red": (255, 0, 0), "blue": (0, 0, 255), "white": (255, 255, 255), "black": (0, 0, 0), "gray": (128,) * 3}
    near = [name for name, rgb in names.items() if max(abs(a - b) for a, b in zip(rgb, pixel, strict=True)) < 40]
    return near[0] if near else str(pixel)


@pytest.mark.parametrize("portrait", [True, False])
@pytest.mark.parametrize("kind", FORMATS)
def test_format_is_detected_from_content_and_fitted(kind: str, portrait: bool) -> None:
    picture = decoded(prepare_image(encoded(halves(), kind), portrait=portrait))
    assert picture.size == ((704, 1280) if portrait else (1280, 704))
    assert picture.format == "JPEG"
    assert (color(picture, 0.2, 0.5), color(picture, 0.8, 0.5)) == ("red", "blue")


def test_file_name_extension_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "picture.txt"
    path.write_bytes(encoded(halves()))
    expected = prepare_image(path.read_bytes(), portrait=True)
    assert prepare_image(path, portrait=True) == expected
    assert prepare_image(str(path), portrait=True) == expected


def test_same_file_in_any_form_gives_same_result() -> None:
    content = encoded(halves())
    expected = prepare_image(content, portrait=False)
    url = "data:image/png;name=a.png;base64," + base64.encodebytes(content).decode()
    for same in (bytearray(content), memoryview(content), io.BytesIO(content), url, url.replace("data:", "DATA:")):
        assert prepare_image(same, portrait=False) == expected


@pytest.mark.parametrize("shape", [(20, 30, 3), (20, 30, 4), (20, 30)])
def test_uint8_array_is_accepted(shape: tuple[int, ...]) -> None:
    array = np.full(shape, 255, np.uint8)
    array[:, 15:] = 0 if len(shape) == 2 else [0, 0, 255, 255][: shape[-1]]
    picture = decoded(prepare_image(array[:, ::1], portrait=False))
    assert (color(picture, 0.2, 0.5), color(picture, 0.8, 0.5)) == ("white", "black" if len(shape) == 2 else "blue")


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.zeros((4, 4, 3), np.float32), r"multiply an array of 0\.\.1 by 255"),
        (np.zeros((4, 4), np.uint16), "must be uint8, got uint16"),
        (np.zeros((4, 4, 2), np.uint8), r"got \(4, 4, 2\)"),
        (np.zeros((3,), np.uint8), r"got \(3,\)"),
        (np.zeros((0, 4, 3), np.uint8), "no pixels"),
    ],
)
def test_other_arrays_are_rejected(array: np.ndarray[Any, Any], says: str) -> None:
    with pytest.raises(ImageError, match=says):
        prepare_image(array, portrait=True)


@pytest.mark.parametrize("mode", ["RGB", "L", "1", "P", "CMYK", "YCbCr", "RGBA", "LA", "HSV"])
def test_pil_image_is_accepted_and_not_modified(mode: str) -> None:
    source = halves(left="black", right="white").convert("RGB").convert(mode)
    before = source.tobytes()
    picture = decoded(prepare_image(source, portrait=True))
    assert (color(picture, 0.2, 0.5), color(picture, 0.8, 0.5)) == ("black", "white")
    assert (source.mode, source.tobytes()) == (mode, before)


@pytest.mark.parametrize("mode", ["I", "F"])
def test_pil_image_without_value_range_is_rejected(mode: str) -> None:
    with pytest.raises(ImageError, match="convert it"):
        prepare_image(Image.new(mode, (10, 10)), portrait=True)


def test_sixteen_bit_gray_keeps_its_shades() -> None:
    source = Image.fromarray(np.full((20, 20), 0x8000, np.uint16))
    assert color(decoded(prepare_image(encoded(source), portrait=True)), 0.5, 0.5) == "gray"


def test_transparency_becomes_white() -> None:
    source = halves().convert("RGBA")
    source.paste((0, 0, 0, 0), (0, 0, 150, 200))
    for same in (source, encoded(source, "PNG"), encoded(source, "WEBP", lossless=True), encoded(source, "GIF")):
        assert color(decoded(prepare_image(same, portrait=True)), 0.2, 0.5) == "white"


def test_wide_image_is_cropped_to_its_middle() -> None:
    wide = Image.new("RGB", (3000, 1280), "blue")
    wide.paste("red", (3000 // 2 - 352, 0, 3000 // 2 + 352, 1280))
    picture = decoded(prepare_image(wide, portrait=True))
    assert {color(picture, x, y) for x in (0.02, 0.5, 0.98) for y in (0.02, 0.98)} == {"red"}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_exif_orientation_is_applied(kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn clockwise: left becomes top
    content = encoded(halves((400, 400)), kind, exif=exif)
    picture = decoded(prepare_image(content, portrait=True))
    assert (color(picture, 0.5, 0.1), color(picture, 0.5, 0.9)) == ("red", "blue")


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_only_first_frame_of_animation_is_sent(kind: str) -> None:
    frames = [Image.new("RGB", (704, 1280), name) for name in ("red", "blue")]
    content = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    picture = decoded(prepare_image(content, portrait=True))
    assert picture.format == "JPEG"
    assert color(picture, 0.5, 0.5) == "red"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_browser_safe_image_of_right_size_is_unchanged(kind: str) -> None:
    content = encoded(halves((1280, 704)), kind)
    url = prepare_image(content, portrait=False)
    assert base64.b64decode(url.partition(",")[2]) == content
    assert url.startswith(f"data:image/{kind.lower()};base64,")


def test_rotated_image_of_right_size_is_turned() -> None:
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    picture = decoded(prepare_image(encoded(halves((704, 1280)), "JPEG", exif=exif), portrait=True))
    assert (color(picture, 0.2, 0.5), color(picture, 0.8, 0.5)) == ("blue", "red")


def test_transparent_color_of_right_size_becomes_white() -> None:
    content = encoded(halves((704, 1280)), "PNG", transparency=(255, 0, 0))
    picture = decoded(prepare_image(content, portrait=True))
    assert (color(picture, 0.2, 0.5), color(picture, 0.8, 0.5)) == ("white", "blue")


@pytest.mark.parametrize(("kind", "mode"), [("JPEG", "CMYK"), ("PNG", "RGBA"), ("PNG", "P"), ("BMP", "RGB")])
def test_image_that_browsers_may_misrender_is_converted(kind: str, mode: str) -> None:
    content = encoded(halves((1280, 704)).convert(mode), kind)
    assert decoded(prepare_image(content, portrait=False)).mode == "RGB"
    assert base64.b64decode(prepare_image(content, portrait=False).partition(",")[2]) != content


def png_header(width: int, height: int) -> bytes:
    """Return a PNG file, as bytes, whose header states this size, but which contains no pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(8001, 8001), (10_000, 10_000), (60_000, 60_000)])
def test_decompression_bomb_is_rejected_before_decoding(size: tuple[int, int]) -> None:
    with pytest.raises(ImageError, match=r"too large: .* expected at most 64 megapixels; scale it down"):
        prepare_image(png_header(*size), portrait=True)


def test_truncated_header_error_hides_the_decoders_message() -> None:
    with pytest.raises(
        ImageError,
        match=r"^the image \(8 bytes\) cannot be read: the content begins like PNG, but the rest is invalid\. Check",
    ):
        prepare_image(b"\x89PNG\r\n\x1a\n", portrait=True)


def test_pixel_limit_applies_to_images_and_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_IMAGE_PIXELS", 99)
    for large in (Image.new("RGB", (10, 10)), np.zeros((10, 10), np.uint8), encoded(halves((10, 10)), "HEIF")):
        with pytest.raises(ImageError, match="megapixels"):
            prepare_image(large, portrait=True)


@pytest.mark.parametrize("kind", ["WEBP", "AVIF"])
def test_formats_with_costly_decoders_have_a_lower_limit(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(module, "MAX_COSTLY_PIXELS", 1_000_000)
    size = (1000, 1001)
    with pytest.raises(ImageError, match=r"1000x1001 .* expected at most 1 megapixels in this format"):
        prepare_image(encoded(halves(size), kind), portrait=True)
    assert prepare_image(encoded(halves(size), "PNG"), portrait=True)


@only_on_linux
def test_memory_per_pixel_of_large_image_is_bounded() -> None:
    imports = "from PIL import Image, ImageOps; from odyssey_client.media.image import prepare_image"
    per_pixel = memory_per_pixel(imports, "prepare_image(content, portrait=True)")
    assert per_pixel < 8, f"expected less than 8 bytes of memory per pixel, got {per_pixel:.1f}"


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_large_image_is_reduced_and_turned(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(image_module, "_OVERSIZE", 1)  # otherwise only images above 5120 pixels are reduced
    exif = Image.Exif()
    exif[0x0112] = 3  # turned by 180 degrees
    content = encoded(halves((2600, 2600)), kind, exif=exif.tobytes())
    shown = decoded(prepare_image(content, portrait=True))
    assert shown.size == (704, 1280)
    assert [color(shown, x, y) for x in (0.1, 0.45, 0.55, 0.9) for y in (0.01, 0.99)] == ["blue"] * 4 + ["red"] * 4


def test_transparency_of_a_reduced_image_is_white(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_module, "_OVERSIZE", 1)
    picture = Image.new("RGBA", (2600, 2600), (255, 0, 0, 0))
    picture.paste((255, 0, 0, 255), (0, 1300, 2600, 2600))
    shown = decoded(prepare_image(encoded(picture), portrait=False))
    assert (color(shown, 0.5, 0.4), color(shown, 0.5, 0.6)) == ("white", "red")


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_large_jpeg_without_its_last_rows_is_rejected(options: dict[str, Any]) -> None:
    content = encoded(halves((2600, 2600)), "JPEG", **options)
    with pytest.raises(ImageError, match="cannot be read"):
        prepare_image(content[: -len(content) // 10], portrait=True)
    assert decoded(prepare_image(content[:-2], portrait=True)).size == (704, 1280)


def test_two_images_are_prepared_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    check_at_once(monkeypatch, image_module, "_prepared", lambda: prepare_image(b"", portrait=True), most=2)


@given(mutated_files())
def test_mutated_file_is_prepared_or_raises_image_error(content: bytes) -> None:
    try:
        url = prepare_image(content, portrait=True)
    except ImageError:
        return
    assert url.startswith("data:image/")


def test_heif_size_is_checked_before_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    def must_not_be_called(file: pillow_heif.HeifFile) -> None:
        raise AssertionError("expected the client to reject the image before decoding, but the decoder was called")

    content = encoded(halves((20, 10)), "HEIF")
    monkeypatch.setattr(module, "MAX_IMAGE_PIXELS", 199)
    monkeypatch.setattr(pillow_heif.HeifFile, "to_pillow", must_not_be_called)
    with pytest.raises(ImageError, match="megapixels"):
        prepare_image(content, portrait=True)


def test_more_than_25_mb_is_always_rejected(tmp_path: Path) -> None:
    large = tmp_path / "large.png"
    with large.open("wb") as file:
        file.truncate(25 * 2**20 + 1)
    content = large.read_bytes()
    for same in (large, content, large.open("rb"), "data:image/png;base64," + base64.b64encode(content).decode()):
        with pytest.raises(ImageError, match="more than 25 MB"):
            prepare_image(same, portrait=True)
        if isinstance(same, io.BufferedReader):
            same.close()


def test_exactly_25_mb_is_accepted() -> None:
    content = encoded(halves(), "BMP")
    content += bytes(25 * 2**20 - len(content))
    for same in (content, "data:image/bmp;base64," + base64.b64encode(content).decode()):
        assert prepare_image(same, portrait=True)


@pytest.mark.parametrize("value", [None, 7, 3.5, True, ["a"], {"path": "a"}, object()])
def test_unsupported_type_error_lists_supported_types(value: Any) -> None:
    with pytest.raises(ImageError, match=rf"a path, the bytes of.*numpy array.*got {type(value).__name__}$"):
        prepare_image(value, portrait=True)


def test_text_file_error_asks_for_binary_mode() -> None:
    with pytest.raises(ImageError, match="returned str: open it in mode 'rb'"):
        prepare_image(io.StringIO("abc"), portrait=True)  # type: ignore[arg-type]


def test_unreadable_file_object_error_states_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    path.write_bytes(encoded(halves(), "PNG"))
    with path.open(encoding="utf-8") as text, pytest.raises(ImageError, match="opened in mode 'rb'"):
        prepare_image(text, portrait=True)  # type: ignore[arg-type]
    with path.open("rb") as closed:
        pass
    with pytest.raises(ImageError, match="closed file"):
        prepare_image(closed, portrait=True)
    at_its_end = io.BytesIO(path.read_bytes())
    at_its_end.read()
    with pytest.raises(ImageError, match=r"seek\(0\)"):
        prepare_image(at_its_end, portrait=True)


def test_async_file_error_asks_to_await_read() -> None:
    class Asynchronous:
        async def read(self, size: int) -> bytes:
            return bytes(size)

    with pytest.raises(ImageError, match="read it with await"):
        prepare_image(Asynchronous(), portrait=True)  # type: ignore[arg-type]


def test_file_object_may_return_short_reads() -> None:
    class Trickling(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(min(size or 0, 100))

    content = encoded(halves(), "PNG")
    assert prepare_image(Trickling(content), portrait=True) == prepare_image(content, portrait=True)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("/no/such/file.png", "'/no/such/file.png' cannot be read: No such file"),
        ("nul\0.png", "cannot be read"),
        ("x" * 100_000, "cannot be read"),
        ("https://host/a.png", "download it first"),
        ("data:image/png,abc", "must look like"),
        ("data:image/png;base64", "must look like"),
        ("data:image/png;base64,@@@", "not valid base64"),
        ("data:image/png;base64,é", "not valid base64"),
        ("data:image/png;base64,", "is empty: expected the content of an image file, got 0 bytes"),
        ("data:text/plain;base64,aGVsbG8=", "unsupported image format"),
    ],
)
def test_error_for_text_states_the_reason(text: str, says: str) -> None:
    with pytest.raises(ImageError, match=says) as caught:
        prepare_image(text, portrait=True)
    assert len(str(caught.value)) < 500


def test_special_files_are_rejected_without_reading(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(ImageError, match="is not a regular file"):
            prepare_image(path, portrait=True)


@pytest.mark.parametrize("kind", FORMATS)
def test_truncated_file_is_rejected(kind: str) -> None:
    content = encoded(halves(), kind)
    with pytest.raises(ImageError, match=r"cannot be read: .+ Check that the file is complete"):
        prepare_image(content[: len(content) // 2], portrait=True)


@given(st.sampled_from(FORMATS), st.data())
def test_broken_file_raises_only_image_errors(kind: str, data: st.DataObject) -> None:
    content = bytearray(SMALL[kind])
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        url = prepare_image(bytes(content), portrait=True)
    except ImageError:
        return
    assert decoded(url).size == (704, 1280)


SMALL = {kind: encoded(halves((16, 16)), kind) for kind in FORMATS}


@given(st.binary(max_size=100))
@example(b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom")
def test_bytes_without_an_image_are_rejected(content: bytes) -> None:
    with pytest.raises(ImageError):
        prepare_image(content, portrait=True)
