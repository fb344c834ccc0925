"""Tests of the headers of HTTP range requests and their responses."""

import pytest

from odyssey_client.rest.ranges import (
    Body,
    RangeError,
    is_past_end,
    partial_body,
    range_headers,
    validator_of,
    whole_body,
)

MODIFIED = "Sat, 21 Nov 2026 10:00:00 GMT"
LATER = "Sat, 21 Nov 2026 10:00:01 GMT"


def test_range_request_has_if_range_condition() -> None:
    assert range_headers(100, '"v1"') == {"Range": "bytes=100-", "If-Range": '"v1"'}


@pytest.mark.parametrize(
    ("headers", "validator"),
    [
        ({"ETag": '"v1"'}, '"v1"'),
        ({"ETag": 'W/"v1"'}, None),
        ({"ETag": '"vé"'}, None),
        ({"ETag": '"v1'}, None),
        ({"ETag": 'W/"v1"', "Last-Modified": MODIFIED, "Date": LATER}, None),
        ({"ETag": "", "Last-Modified": MODIFIED, "Date": LATER}, None),
        ({"Last-Modified": MODIFIED, "Date": LATER}, MODIFIED),
        ({"Last-Modified": MODIFIED, "Date": MODIFIED}, None),
        ({"Last-Modified": MODIFIED}, None),
        ({"Last-Modified": "yesterday", "Date": LATER}, None),
        ({"Last-Modified": MODIFIED, "Date": "Sat, 21 Nov 2026 10:00:01"}, None),
        ({}, None),
    ],
)
def test_validator_is_strong_etag_or_date(headers: dict[str, str], validator: str | None) -> None:
    assert validator_of(headers) == validator


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"Content-Length": "10", "ETag": '"v1"'}, Body(0, 10, 10, '"v1"')),
        ({}, Body(0, None, None, None)),
        ({"Content-Length": "ten"}, Body(0, None, None, None)),
        ({"Content-Length": "9" * 30}, Body(0, None, None, None)),
    ],
)
def test_whole_body_has_content_length(headers: dict[str, str], body: Body) -> None:
    assert whole_body(headers) == body


@pytest.mark.parametrize(
    ("headers", "total", "body"),
    [
        ({"Content-Range": "bytes 4-9/10"}, None, Body(4, 10, 10, '"v1"')),
        ({"Content-Range": "bytes 4-9/10", "Content-Length": "6", "ETag": '"v1"'}, 10, Body(4, 10, 10, '"v1"')),
        ({"Content-Range": "bytes 4-6/10"}, 10, Body(4, 7, 10, '"v1"')),
        ({"Content-Range": "bytes 4-6/*"}, 10, Body(4, 7, 10, '"v1"')),
        ({"Content-Range": " bytes 4-6/* "}, None, Body(4, 7, None, '"v1"')),
    ],
)
def test_partial_body_has_content_range_position(headers: dict[str, str], total: int | None, body: Body) -> None:
    assert partial_body(headers, 4, total=total, validator='"v1"') == body


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, "Content-Range that starts at byte 4, got ''"),
        ({"Content-Type": "multipart/byteranges"}, "Content-Range that starts at byte 4"),
        ({"Content-Range": "bytes */10"}, "starts at byte 4"),
        ({"Content-Range": "seconds 4-9/10"}, "starts at byte 4"),
        ({"Content-Range": "bytes 5-9/10"}, "starts at byte 4"),
        ({"Content-Range": "bytes 0-9/10"}, "starts at byte 4"),
        ({"Content-Range": "bytes 4-3/10"}, "starts at byte 4"),
        ({"Content-Range": "bytes 4-10/10"}, "starts at byte 4"),
        ({"Content-Range": "bytes 4-9/11"}, "a file of 10 bytes as in the earlier response"),
        ({"Content-Range": "bytes 4-9/10", "Content-Length": "5"}, "got Content-Length 5"),
        ({"Content-Range": "bytes 4-9/10", "ETag": '"v2"'}, "another ETag"),
        ({"Content-Range": "bytes 4-9/" + "9" * 40}, "starts at byte 4"),
    ],
)
def test_unrequested_part_is_rejected(headers: dict[str, str], expected: str) -> None:
    with pytest.raises(RangeError, match=expected.replace("(", r"\(")):
        partial_body(headers, 4, total=10, validator='"v1"')


@pytest.mark.parametrize(
    ("content_range", "whole"), [("bytes */10", True), ("bytes */11", False), ("bytes */*", False), ("", False)]
)
def test_416_means_complete_if_sizes_match(content_range: str, whole: bool) -> None:
    assert is_past_end({"Content-Range": content_range}, 10) is whole
