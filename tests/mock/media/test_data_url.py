"""Tests that image data URLs are decoded, or rejected with a reason."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock.media.data_url import ImageRefusedError, decode_data_url

LIMIT = 25 * 2**20


def data_url(data: bytes, mime: str = "image/png") -> str:
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"


@given(st.binary(), st.sampled_from(["image/png", "image/svg+xml", "application/octet-stream", "IMAGE/JPEG"]))
def test_bytes_are_decoded_for_any_media_type(data: bytes, mime: str) -> None:
    assert decode_data_url(data_url(data, mime), LIMIT) == data


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("", "expected a data: URL with base64"),
        ("https://example.com/cat.png", "got 'https://example.com/cat.png'"),
        ("data:image/png,raw", "expected a data: URL with base64"),
        ("data:image/png;base64,****", "not valid base64"),
        ("data:image/png;base64,abc", "not valid base64"),
    ],
)
def test_invalid_data_url_is_rejected_with_a_reason(url: str, fault: str) -> None:
    with pytest.raises(ImageRefusedError) as raised:
        decode_data_url(url, LIMIT)
    assert fault in str(raised.value)


@given(st.integers(0, 100), st.integers(0, 100))
def test_only_data_above_the_limit_is_rejected(size: int, limit: int) -> None:
    url = data_url(b"x" * size)
    if size <= limit:
        assert decode_data_url(url, limit) == b"x" * size
    else:
        with pytest.raises(ImageRefusedError, match=r"expected an image of at most .* MB, got .* MB; send a smaller"):
            decode_data_url(url, limit)
