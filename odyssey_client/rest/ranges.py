"""HTTP range requests (RFC 9110 sections 13 and 14): request headers, and the parsing of response headers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

_CONTENT_RANGE = re.compile(r"bytes (?:(?P<first>\d{1,18})-(?P<last>\d{1,18})|\*)/(?P<total>\d{1,18}|\*)")
_STRONG_TAG = re.compile(r'"[\x21\x23-\x7e]*"')
_LENGTH = re.compile(r"\d{1,18}")


class RangeError(ValueError):
    """The headers of a response contradict each other, the request, or an earlier response."""


@dataclass(frozen=True, slots=True)
class Body:
    """The position of a response body in the file.

    Attributes:
        start: The offset of the first byte.
        end: The offset after the last byte; None if it is unknown until the response ends.
        total: The size of the whole file; None if unknown.
        validator: The ``If-Range`` value for later requests; None if no header identifies this version of the file.
    """

    start: int
    end: int | None
    total: int | None
    validator: str | None


def range_headers(offset: int, validator: str) -> dict[str, str]:
    """Return the headers that request the bytes from ``offset`` on, or the whole file if it has changed."""
    return {"Range": f"bytes={offset}-", "If-Range": validator}


def validator_of(headers: Mapping[str, str]) -> str | None:
    """Return the ``If-Range`` value for later requests; None if the headers contain none.

    The value is a strong ETag or, without an ETag, a Last-Modified that counts as strong (RFC 9110 section 8.8.2.2).
    """
    if (tag := headers.get("ETag")) is not None:
        return tag if _STRONG_TAG.fullmatch(tag) else None
    modified, answered = headers.get("Last-Modified"), headers.get("Date")
    if modified is None or answered is None:
        return None
    try:
        # Last-Modified counts whole seconds: a file modified in the second of the response may change again unnoticed.
        age = parsedate_to_datetime(answered) - parsedate_to_datetime(modified)
    except (TypeError, ValueError):  # invalid dates, or only one of them has a time zone
        return None
    return modified if modified.isascii() and age.total_seconds() >= 1 else None


def whole_body(headers: Mapping[str, str]) -> Body:
    """Parse the headers of a 200 response, whose body is the whole file."""
    length = _content_length(headers)
    return Body(0, length, length, validator_of(headers))


def partial_body(headers: Mapping[str, str], offset: int, *, total: int | None, validator: str) -> Body:
    """Parse the headers of a 206 response to `range_headers`; ``total`` is the file size, if already known.

    Raises:
        RangeError: the body does not contain the requested bytes.
    """
    given = headers.get("Content-Range", "")
    found = _CONTENT_RANGE.fullmatch(given.strip())
    if found is None or found["first"] is None:
        raise RangeError(f"expected a Content-Range that starts at byte {offset}, got {given[:100]!r}")
    first, last = int(found["first"]), int(found["last"])
    size = total if found["total"] == "*" else int(found["total"])
    if first != offset or last < first or (size is not None and last >= size):
        raise RangeError(f"expected a valid Content-Range that starts at byte {offset}, got {given!r}")
    if total is not None and size != total:
        raise RangeError(f"expected a file of {total} bytes as in the earlier response, got Content-Range {given!r}")
    length = _content_length(headers)
    if length is not None and length != last - first + 1:
        raise RangeError(f"expected a Content-Length that matches Content-Range {given!r}, got Content-Length {length}")
    tag = headers.get("ETag")
    if tag is not None and validator.startswith('"') and tag != validator:
        raise RangeError("expected the ETag of the earlier response, got another ETag")
    return Body(first, last + 1, size, validator)


def is_past_end(headers: Mapping[str, str], offset: int) -> bool:
    """Return whether a 416 response to `range_headers` states that the file ends at ``offset``."""
    found = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", "").strip())
    return found is not None and found["first"] is None and found["total"] == str(offset)


def _content_length(headers: Mapping[str, str]) -> int | None:
    value = headers.get("Content-Length", "")
    return int(value) if _LENGTH.fullmatch(value) else None
