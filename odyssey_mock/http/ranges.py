"""Range requests and conditional requests for files (RFC 9110 sections 13 and 14)."""

import re
from collections.abc import Sequence

from starlette.datastructures import Headers

MOST_PARTS = 16
"""Maximum number of parts in one response; a request for more parts gets the whole file (RFC 9110 section 17.15)."""

_RANGES = re.compile(r"bytes=[\d\-, \t]+", re.ASCII | re.IGNORECASE)
_RANGE = re.compile(r"(?P<first>\d*)-(?P<last>\d*)", re.ASCII)
_TAG = re.compile(r'(?P<weak>W/)?(?P<tag>"[^"]*")')


class UnsatisfiableError(Exception):
    """No requested range contains a byte of the file."""


def wanted_parts(headers: Headers, etag: str, size: int) -> Sequence[range] | None:
    """Return the parts of a file that `Range` and `If-Range` request; None if the client gets the whole file.

    An invalid `Range` header is ignored, as RFC 9110 section 14.2 requires.

    Raises:
        UnsatisfiableError: the ranges are valid, but all of them are beyond the end of the file.
    """
    condition = headers.get("if-range")
    if condition is not None and condition.strip() != etag:
        return None
    asked = _parsed(headers.get("range", ""), size)
    if asked is None:
        return None
    parts = [part for part in asked if part]
    if not parts:
        raise UnsatisfiableError
    if len(parts) > MOST_PARTS or sum(map(len, parts)) > size:
        return None
    return parts


def is_other(headers: Headers, etag: str) -> bool:
    """Return whether `If-Match` is present but does not match `etag` (strong comparison, section 13.1.1)."""
    given = headers.getlist("if-match")
    return bool(given) and not _names(given, etag, weakly=False)


def is_known(headers: Headers, etag: str) -> bool:
    """Return whether `If-None-Match` matches `etag`, so that the client has the file (weak comparison, 13.1.2)."""
    return _names(headers.getlist("if-none-match"), etag, weakly=True)


def _names(given: Sequence[str], etag: str, *, weakly: bool) -> bool:
    tags = ", ".join(given)
    if tags.strip() == "*":
        return True
    return any(found["tag"] == etag and (weakly or not found["weak"]) for found in _TAG.finditer(tags))


def _parsed(value: str, size: int) -> list[range] | None:
    """Parse a `Range` header, and clip each range to the file; return None if the header is invalid or not in bytes."""
    if not _RANGES.fullmatch(value):
        return None
    parts = []
    for text in filter(None, (each.strip(" \t") for each in value[len("bytes=") :].split(","))):
        found = _RANGE.fullmatch(text)
        if found is None:
            return None
        first, last = _number(found["first"]), _number(found["last"])
        match first, last:
            case None, None:
                return None
            case None, int():
                parts.append(range(max(0, size - last), size))
            case int(), None:
                parts.append(range(first, size))
            case int(), int() if last < first:
                return None
            case int(), int():
                parts.append(range(first, min(last + 1, size)))
    return parts or None


def _number(digits: str) -> int | None:
    """Parse a number of a range; None if `digits` is empty.

    Only the first twenty digits count, because a longer number is beyond the end of every file.
    """
    return int(digits.lstrip("0")[:20] or "0") if digits else None
