"""Parsing of JSON that was received, with limits on its cost."""

from __future__ import annotations

import json
from typing import NoReturn

from odyssey_client.errors import PicklableError
from odyssey_client.models import JSON

MAX_VALUES = 100_000
"""Maximum number of values in one JSON text.

Parsing this many takes up to 50 ms, during which the event loop does nothing else. The largest responses of the
service, such as the details of a job with 1,000 streams, have about 10,000 values.
"""

MAX_DIGITS = 1000
"""Maximum number of digits of an integer, because the cost of its conversion grows with the square of the number."""


class JSONLimitError(PicklableError, ValueError):
    """A JSON text exceeds a limit.

    Attributes:
        expected: The limit, such as ``at most 100000 JSON values``.
        got: What was received instead.
    """

    def __init__(self, expected: str, got: str) -> None:
        super().__init__(f"expected {expected}, got {got}")
        self.expected = expected
        self.got = got


def parse_json(content: bytes | str) -> JSON:
    """Parse JSON that was received. The caller limits the size of ``content``.

    Raises:
        JSONLimitError: ``content`` has too many values or too long integers. It may not be valid JSON.
        ValueError: ``content`` is not JSON (RFC 8259), or is nested too deeply.
    """
    # Each value but the outermost follows a comma or an opening bracket. Commas and brackets in strings count as well.
    if isinstance(content, bytes):
        values = 1 + sum(content.count(mark) for mark in b",[{")
    else:
        values = 1 + sum(content.count(mark) for mark in ",[{")
    if values > MAX_VALUES:
        raise JSONLimitError(f"JSON of at most {MAX_VALUES} values", f"up to {values}")
    try:
        value: JSON = json.loads(content, parse_int=_integer, parse_constant=_rejected)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None
    return value


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise JSONLimitError(f"integers of at most {MAX_DIGITS} digits", f"one of {len(digits)}")
    return int(digits)


def _rejected(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not valid in JSON")
