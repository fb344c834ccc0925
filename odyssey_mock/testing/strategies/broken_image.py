"""Invalid start images for streams, each with the rule that it breaks."""

import base64
import io
import struct
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from PIL import Image

from odyssey_mock.testing.strategies.image import IMAGE_FORMATS, encoded

_MOST_BYTES = 25 * 2**20
_DATA = "data:image/png;base64,"


@dataclass(frozen=True, slots=True)
class BrokenImage:
    """A value that `start_stream(image=...)` rejects with an `ImageError`.

    Attributes:
        rule: Name in `IMAGE_RULES` of the rule that the value breaks.
        image: The invalid value.
    """

    rule: str
    image: Any = field(repr=False)  # Any: values of every type; some are too long for `repr`

    @property
    def says(self) -> str:
        """A regular expression that matches the message of the client's `ImageError`."""
        return IMAGE_RULES[self.rule].says


@dataclass(frozen=True, slots=True)
class ImageRule:
    """One reason to reject an image.

    Attributes:
        means: A description of what is wrong.
        says: A regular expression that matches the message of the client's error.
        broken: Draws values that break the rule.
        on_the_wire: Whether the value can be sent to the service as the content of a file, and is rejected there too.
    """

    means: str
    says: str
    broken: SearchStrategy[Any]
    on_the_wire: bool = False


def broken_images(rules: Iterable[str] | None = None) -> SearchStrategy[BrokenImage]:
    """Draw a value that is not a valid start image, with the rule that it breaks.

    ::

        @given(broken_images())
        def test_upload_form_shows_why_image_is_rejected(broken):
            with pytest.raises(ImageError, match=broken.says): ...

    Args:
        rules: Names in `IMAGE_RULES` of the rules to break; None for all.

    Raises:
        ValueError: a name in `rules` is unknown, or `rules` is empty.
    """
    wanted = list(IMAGE_RULES) if rules is None else list(rules)
    if not wanted:
        raise ValueError(f"rules must contain at least one image rule, got none; known: {', '.join(IMAGE_RULES)}")
    if unknown := [rule for rule in wanted if rule not in IMAGE_RULES]:
        raise ValueError(f"unknown image rule {unknown[0]!r}; known: {', '.join(IMAGE_RULES)}")
    return st.sampled_from(wanted).flatmap(
        lambda rule: IMAGE_RULES[rule].broken.map(lambda image: BrokenImage(rule, image))
    )


def _cut(content: bytes) -> SearchStrategy[bytes]:
    """Draw the beginning of a file, long enough to identify its format."""
    return st.integers(12, len(content) // 2).map(lambda end: content[:end])


def _huge_png(size: tuple[int, int]) -> bytes:
    """Make a PNG file that declares a size but contains no pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def _closed_file() -> io.BytesIO:
    file = io.BytesIO(encoded("PNG", (1, 1)))
    file.close()
    return file


def _read_file() -> io.BytesIO:
    file = io.BytesIO(encoded("PNG", (1, 1)))
    file.read()
    return file


IMAGE_RULES: Mapping[str, ImageRule] = MappingProxyType(
    {
        "some_bytes": ImageRule("the image is empty", "is empty", st.just(b""), on_the_wire=True),
        "known_format": ImageRule(
            "the image is a file of an unsupported format",
            "unsupported image format: expected JPEG",
            st.sampled_from(
                [b"no picture", b"%PDF-1.7\n", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"II*\x00", b"\0"]
            )
            | st.binary(min_size=1, max_size=20).map(lambda content: b"\0\0" + content),
            on_the_wire=True,
        ),
        "whole": ImageRule(
            "the image is truncated",
            "cannot be read",
            st.sampled_from(IMAGE_FORMATS).flatmap(lambda it: _cut(encoded(it, (64, 64)))),
            on_the_wire=True,
        ),
        "few_pixels": ImageRule(
            "the image has more than 64 megapixels",
            "too large.*megapixels",
            st.sampled_from([(10_000, 10_000), (100_000, 900), (2**31 - 1, 2**31 - 1)]).map(_huge_png),
            on_the_wire=True,
        ),
        "few_bytes": ImageRule(
            "the image has more than 25 MB",
            "too large: more than 25 MB",
            # Zeros are fast to create, and the `repr` of a memoryview is short.
            st.integers(1, 100).map(lambda more: memoryview(bytes(_MOST_BYTES + more))),
            on_the_wire=True,
        ),
        "data_url": ImageRule(
            "the image is a data: URL without base64",
            "must look like data:image/png;base64",
            st.sampled_from(["data:", "data:image/png", "data:image/png,A", "data:image/svg+xml;utf8,<svg/>"]),
        ),
        "base64": ImageRule(
            "the image is a data: URL with invalid base64",
            "not valid base64",
            st.sampled_from(["@@@@", "A", "QQ=", "QQ-_", "é"]).map(lambda text: _DATA + text),
        ),
        "url_content": ImageRule(
            "the image is a data: URL of another type of data",
            "unsupported image format: expected JPEG",
            st.binary(min_size=1, max_size=20).map(lambda it: _DATA + base64.b64encode(b"\0\0" + it).decode()),
        ),
        "local": ImageRule(
            "the image is a web address",
            "got a web address",
            st.sampled_from(["https://example.com/cat.png", "HTTP://localhost/cat.png"]),
        ),
        "found": ImageRule(
            "the image is the path of a missing file",
            "cannot be read: ",
            st.sampled_from(["no/such/cat.png", "cat\x00.png", "n" * 5000]),
        ),
        "regular": ImageRule(
            "the image is the path of a directory",
            "is not a regular file",
            st.sampled_from(["/", ""]).map(lambda p: p or "."),
        ),
        "open_file": ImageRule("the image is a closed file", "cannot be read from", st.builds(_closed_file)),
        "unread_file": ImageRule("the image is a file that was read to its end", "at its end", st.builds(_read_file)),
        "binary_file": ImageRule(
            "the image is a file opened in text mode", "open it in mode 'rb'", st.text(max_size=9).map(io.StringIO)
        ),
        "type": ImageRule(
            "the image has an unsupported type",
            "image must be a path",
            st.sampled_from([7, 0.5, True, (), [[0, 0], [0, 0]], {"url": "cat.png"}, object()]),
        ),
        "array_type": ImageRule(
            "the image is an array whose dtype is not uint8",
            "must be uint8",
            st.sampled_from(["float32", "float64", "uint16", "int64", "bool"]).map(lambda it: np.zeros((4, 4, 3), it)),
        ),
        "array_shape": ImageRule(
            "the image is an array of an unsupported shape",
            "must have the shape",
            st.sampled_from([(4,), (4, 4, 1), (4, 4, 2), (3, 4, 4, 3), ()]).map(lambda it: np.zeros(it, np.uint8)),
        ),
        "pixels": ImageRule(
            "the image has no pixels",
            "no pixels",
            st.sampled_from([(0, 4), (4, 0, 3), (0, 0, 4)]).map(lambda it: np.zeros(it, np.uint8)),
        ),
        "picture_range": ImageRule(
            "the image is a PIL image whose mode does not define black and white",
            "convert it to 'L' or 'RGB'",
            st.sampled_from(["I", "F"]).map(lambda mode: Image.new(mode, (2, 2))),
        ),
    }
)
"""All rules that `broken_images` can break, by name."""
