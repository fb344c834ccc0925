"""A strict parser for JSON from clients (RFC 8259). It rejects NaN and infinity, which Python's `json` accepts."""

import json
from collections.abc import Mapping, Sequence
from typing import Never

type JSON = bool | int | float | str | Sequence[JSON] | Mapping[str, JSON] | None


def read_json(text: str | bytes | bytearray) -> JSON:
    """Parse JSON that a client sent.

    Raises:
        ValueError: the text has a syntax error, is not UTF-8, contains NaN or infinity, or is nested too deeply.
    """
    try:
        parsed: JSON = json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None
    return parsed


def _refuse(constant: str) -> Never:
    raise ValueError(f"{constant} is not a JSON value")
