"""Which bytes of a file a request wants, and whether it wants them still (RFC 9110 sections 13 and 14)."""

import re
from collections.abc import Sequence

from starlette.datastructures import Headers

MOST_PARTS = 16
"""Parts of a file in one answer; who asks for more gets the whole (RFC 9110 section 17.15)."""

_RANGES = re.compile(r"bytes=[\d\-, \t]+", re.ASCII | re.IGNORECASE)
_RANGE = re.compile(r"(?P<first>\d*)-(?P<last>\d*)", re.ASCII)
_TAG = re.compile(r'(?P<weak>W/)?(?P<tag>"[^"]*")')


class UnsatisfiableError(Exception):
    """No byte of the file is in any of the ranges."""


def wanted_parts(headers: Headers, etag: str, size: int) -> Sequence[range] | None:
    """Read `Range` and `If-Range` of a GET for a file of `size` bytes; None where the whole file is to be sent.

    What is no valid `Range` in bytes is passed over, as section 14.2 demands.

    Raises:
        UnsatisfiableError: the ranges are valid, and all of them beyond the end of the file.
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
    """Say whether `If-Match` asks for another file than this (strong comparison, section 13.1.1)."""
    given = headers.getlist("if-match")
    return bool(given) and not _names(given, etag, weakly=False)


def is_known(headers: Headers, etag: str) -> bool:
    """Say whether the client has this file already, by `If-None-Match` (weak comparison, section 13.1.2)."""
    return _names(headers.getlist("if-none-match"), etag, weakly=True)


def _names(given: Sequence[str], etag: str, *, weakly: bool) -> bool:
    tags = ", ".join(given)
    if tags.strip() == "*":
        return True
    return any(found["tag"] == etag and (weakly or not found["weak"]) for found in _TAG.finditer(tags))


def _parsed(value: str, size: int) -> list[range] | None:
    """The ranges of a `Range` header, each as far as it is in the file; None where it is no valid one in bytes."""
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
    """Read a position; one of more than twenty digits is beyond every file, whatever the rest of them."""
    return int(digits.lstrip("0")[:20] or "0") if digits else None
