"""Tests of the forms in which callers pass images, and of the limits that apply before an image is decoded."""

import base64
import gc
import io
from array import array
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from odyssey_client.errors import ImageError
from odyssey_client.media import image_source
from odyssey_client.media.image_source import check_size, content_of, from_array, hold_image

ACCEPTED = (
    "a path, the bytes of an image file, a data: URL, a binary file object, a PIL image or a numpy array "
    "(uint8, shape (height, width), (height, width, 3) or (height, width, 4))"
)


class Source:
    """A file object that returns `parts` one after the other, and remembers how many bytes it was asked for."""

    def __init__(self, *parts: object) -> None:
        self.parts = list(parts)
        self.asked: list[int] = []

    def read(self, size: int) -> object:
        self.asked.append(size)
        part = self.parts.pop(0) if self.parts else b""
        if isinstance(part, Exception):
            raise part
        return part


def data_url(content: bytes, parameters: str = ";base64") -> str:
    return f"data:image/png{parameters},{base64.b64encode(content).decode()}"


def message(action: Callable[[], object]) -> str:
    with pytest.raises(ImageError) as raised:
        action()
    return str(raised.value)


@given(st.binary(min_size=1, max_size=50))
def test_content_is_the_same_in_any_form(content: bytes) -> None:
    for image in (
        content,
        bytearray(content),
        memoryview(content),
        data_url(content),
        data_url(content)[:-2] + "\r\n " + data_url(content)[-2:],
        data_url(content, ";charset=x;BASE64").replace("data:", "DATA:"),
        io.BytesIO(content),
        Source(bytearray(content[:1]), memoryview(content[1:])),
    ):
        assert content_of(image) == content
        if not isinstance(image, io.BytesIO | Source):
            held = hold_image(image)
            assert (held if isinstance(held, bytes) else content_of(held)) == content


def test_path_is_opened_only_when_content_is_needed(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    assert hold_image(path) is path
    assert hold_image(str(path)) == str(path)
    path.write_bytes(b"content")
    assert content_of(path) == content_of(str(path)) == b"content"


def test_bytes_of_larger_items_count_as_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_source, "MAX_IMAGE_BYTES", 7)
    message(lambda: content_of(memoryview(array("q", [1]))))


def test_held_objects_do_not_change_later() -> None:
    file = io.BytesIO(b"content")
    assert hold_image(file) == b"content"
    pixels = np.zeros((2, 3), np.uint8)
    held = hold_image(pixels)
    pixels[:] = 9
    assert isinstance(held, Image.Image)
    assert (held.size, held.getpixel((0, 0))) == ((3, 2), 0)
    picture = Image.new("RGB", (2, 2))
    assert hold_image(picture) is picture


@pytest.mark.parametrize("limit", [2**20, 2 * 2**20])
def test_content_is_accepted_up_to_its_limit(limit: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_source, "MAX_IMAGE_BYTES", limit)
    path = tmp_path / "image.png"
    path.write_bytes(bytes(limit))
    for accepted in (bytes(limit), io.BytesIO(bytes(limit)), data_url(bytes(limit)), path):
        assert len(content_of(accepted)) == limit
    path.write_bytes(bytes(limit + 1))
    for large in (bytes(limit + 1), io.BytesIO(bytes(limit + 1)), data_url(bytes(limit + 1)), path):
        assert message(lambda large=large: content_of(large)) == (  # type: ignore[misc]
            f"the image is too large: more than {limit // 2**20} MB; scale it down or save it as JPEG"
        )


def test_large_content_is_not_read_beyond_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_source, "MAX_IMAGE_BYTES", 10)
    source = Source(b"x" * 4, b"x" * 6, b"x", b"never read")
    message(lambda: content_of(source))
    assert source.asked == [11, 7, 1]
    path = tmp_path / "image.png"
    path.write_bytes(bytes(11))
    monkeypatch.setattr(Path, "open", lambda *_: pytest.fail("expected the file not to be opened"))
    message(lambda: content_of(path))


def test_large_data_url_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_source, "MAX_IMAGE_BYTES", 10)
    assert "too large" in message(lambda: content_of("data:image/png;base64," + "@" * 20))
    assert "not valid base64" in message(lambda: content_of("data:image/png;base64," + "@" * 16))


def test_data_url_has_200_characters_before_its_data() -> None:
    head = f"data:image/png;name={'x' * 172};base64,"
    assert len(head) == 200
    assert content_of(f"{head}YQ==") == b"a"
    assert "must look like" in message(lambda: content_of(f"{head.replace('name', 'names')}YQ=="))


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (7, f"image must be {ACCEPTED}, got int"),
        (Source("text"), f"image must be {ACCEPTED}; the file object returned str: open it in mode 'rb'"),
        (Source(), "the Source is empty or at its end: call seek(0) before you pass it"),
        (
            Source(OSError("the disk is gone")),
            "the image cannot be read from the Source: the disk is gone. Pass a file opened in mode 'rb'.",
        ),
        (
            Source(ValueError("closed")),
            "the image cannot be read from the Source: closed. Pass a file opened in mode 'rb'.",
        ),
        (
            "HTTPS://host/a.png",
            "image must be a local file, got a web address: download it first and pass the bytes",
        ),
        ("/no/such/file.png", "the image file '/no/such/file.png' cannot be read: No such file or directory"),
        (
            "data:image/png,abc",
            "a data: URL must look like data:image/png;base64,...; got one without ';base64,'",
        ),
        (
            f"data:{'x' * 200};base64,abc",
            "a data: URL must look like data:image/png;base64,...; got one without ';base64,'",
        ),
        ("data:image/png;base64,ab@c", "the data: URL is not valid base64: Only base64 data is allowed"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_error_states_what_was_expected(image: object, expected: str) -> None:
    assert message(lambda: content_of(image)) == expected


@pytest.mark.parametrize(("length", "shown"), [(200, "x" * 200), (201, "x" * 199 + "…")])
def test_long_path_is_cut(length: int, shown: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert message(lambda: content_of("x" * length)).startswith(f"the image file '{shown}' cannot be read: ")


def test_path_with_null_character_cannot_be_read() -> None:
    assert message(lambda: content_of("nul\0.png")).startswith("the image file 'nul .png' cannot be read: ")


def test_folder_is_no_image_file(tmp_path: Path) -> None:
    assert message(lambda: content_of(tmp_path)).endswith(" is not a regular file")


def test_asynchronous_file_is_rejected_without_warning(recwarn: pytest.WarningsRecorder) -> None:
    async def read() -> bytes:
        return b""

    assert message(lambda: content_of(Source(read()))) == (
        f"image must be {ACCEPTED}; got an asynchronous file object: read it with await and pass the bytes"
    )
    gc.collect()  # Python warns when the coroutine is collected
    assert recwarn.list == []


@pytest.mark.parametrize(
    ("shape", "size"), [((2, 5), (5, 2)), ((2, 5, 3), (5, 2)), ((2, 5, 4), (5, 2)), ((1, 1), (1, 1))]
)
def test_array_has_rows_of_pixels(shape: tuple[int, ...], size: tuple[int, int]) -> None:
    assert from_array(np.zeros(shape, np.uint8)).size == size


@pytest.mark.parametrize("shape", [(4,), (4, 4, 2), (4, 4, 5), (4, 4, 3, 3)])
def test_array_of_another_shape_is_rejected(shape: tuple[int, ...]) -> None:
    assert message(lambda: from_array(np.zeros(shape, np.uint8))) == (
        f"a numpy array must have the shape (height, width), (height, width, 3) or (height, width, 4), got {shape}"
    )


def test_array_without_pixels_is_rejected() -> None:
    assert message(lambda: from_array(np.zeros((0, 4), np.uint8))) == "the image has no pixels (4x0)"


@pytest.mark.parametrize(
    ("kind", "hint"), [("float32", " (multiply an array of 0..1 by 255)"), ("int16", ""), ("bool", "")]
)
def test_array_of_another_type_is_rejected(kind: str, hint: str) -> None:
    assert message(lambda: from_array(np.zeros((4, 4), kind))) == (
        f"a numpy array must be uint8, got {kind}: scale it to 0..255{hint}, then .astype('uint8')"
    )


@pytest.mark.parametrize("size", [(0, 4), (4, 0), (-1, 4)])
def test_image_without_pixels_is_rejected(size: tuple[int, int]) -> None:
    assert message(lambda: check_size(*size)) == f"the image has no pixels ({size[0]}x{size[1]})"


@pytest.mark.parametrize(
    ("kind", "pixels", "limit"),
    [
        ("", 64_000_000, "64 megapixels"),
        ("JPEG", 64_000_000, "64 megapixels"),
        ("WEBP", 32_000_000, "32 megapixels in this format"),
        ("AVIF", 32_000_000, "32 megapixels in this format"),
    ],
)
def test_number_of_pixels_is_limited(kind: str, pixels: int, limit: str) -> None:
    check_size(pixels, 1, kind)
    check_size(1, pixels, kind)
    assert message(lambda: check_size(1, pixels + 1_000_000, kind)) == (
        f"the image is too large: 1x{pixels + 1_000_000} is {pixels // 1_000_000 + 1} megapixels, "
        f"expected at most {limit}; scale it down"
    )
    message(lambda: check_size(pixels + 1, 1, kind))


def test_limits_are_in_megabytes_and_pixels() -> None:
    assert image_source.MAX_IMAGE_BYTES == 25 * 1024 * 1024
    assert (image_source.MAX_IMAGE_PIXELS, image_source.MAX_COSTLY_PIXELS) == (64_000_000, 32_000_000)
