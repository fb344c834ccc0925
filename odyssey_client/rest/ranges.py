"""Parts of a file over HTTP (RFC 9110 sections 13 and 14): what to ask for, and where the bytes of an answer belong."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

_CONTENT_RANGE = re.compile(r"bytes (?:(?P<first>\d{1,18})-(?P<last>\d{1,18})|\*)/(?P<total>\d{1,18}|\*)")
_STRONG_TAG = re.compile(r'"[\x21\x23-\x7e]*"')
_LENGTH = re.compile(r"\d{1,18}")


class RangeError(ValueError):
    """The headers of an answer contradict themselves, the question, or what an earlier answer said."""


@dataclass(frozen=True, slots=True)
class Body:
    """Where the bytes of an answer belong.

    Attributes:
        start: The offset of the first, in bytes.
        end: The offset after the last; None where only the end of the answer tells.
        total: The size of the whole file, as far as it is known.
        validator: What names this very file in a later question, for ``If-Range``; None where nothing does so surely.
    """

    start: int
    end: int | None
    total: int | None
    validator: str | None


def range_headers(offset: int, validator: str) -> dict[str, str]:
    """Ask for the bytes from ``offset`` on, or for all of them should the file be another by now."""
    return {"Range": f"bytes={offset}-", "If-Range": validator}


def validator_of(headers: Mapping[str, str]) -> str | None:
    """Return what can stand in ``If-Range``: a strong entity tag, else a date that is strong (section 8.8.2.2)."""
    if (tag := headers.get("ETag")) is not None:
        return tag if _STRONG_TAG.fullmatch(tag) else None
    modified, answered = headers.get("Last-Modified"), headers.get("Date")
    if modified is None or answered is None:
        return None
    try:
        # Within the same second the file may have been changed once more.
        age = parsedate_to_datetime(answered) - parsedate_to_datetime(modified)
    except (TypeError, ValueError):  # no dates, or only one of them with a time zone
        return None
    return modified if modified.isascii() and age.total_seconds() >= 1 else None


def whole_body(headers: Mapping[str, str]) -> Body:
    """Read the headers of a 200: all of the file, from its beginning."""
    length = _content_length(headers)
    return Body(0, length, length, validator_of(headers))


def partial_body(headers: Mapping[str, str], offset: int, *, total: int | None, validator: str) -> Body:
    """Read the headers of a 206 to `range_headers`; ``total`` is the size that is known from before.

    Raises:
        RangeError: these are not the bytes that were asked for.
    """
    given = headers.get("Content-Range", "")
    found = _CONTENT_RANGE.fullmatch(given.strip())
    if found is None or found["first"] is None:
        raise RangeError(f"expected a Content-Range of bytes from {offset} on, got {given[:100]!r}")
    first, last = int(found["first"]), int(found["last"])
    size = total if found["total"] == "*" else int(found["total"])
    if first != offset or last < first or (size is not None and last >= size):
        raise RangeError(f"expected a Content-Range of bytes from {offset} on, got {given!r}")
    if total is not None and size != total:
        raise RangeError(f"expected a file of {total} bytes, as before, got Content-Range {given!r}")
    length = _content_length(headers)
    if length is not None and length != last - first + 1:
        raise RangeError(f"expected as many bytes as Content-Range {given!r} says, got Content-Length {length}")
    tag = headers.get("ETag")
    if tag is not None and validator.startswith('"') and tag != validator:
        raise RangeError("expected a part of the same file as before, got one with another ETag")
    return Body(first, last + 1, size, validator)


def is_past_end(headers: Mapping[str, str], offset: int) -> bool:
    """Tell of a 416 to `range_headers` whether it says that the file ends at ``offset``: nothing is missing."""
    found = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", "").strip())
    return found is not None and found["first"] is None and found["total"] == str(offset)


def _content_length(headers: Mapping[str, str]) -> int | None:
    value = headers.get("Content-Length", "")
    return int(value) if _LENGTH.fullmatch(value) else None
