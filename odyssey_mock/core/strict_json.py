"""A strict parser for JSON from clients (RFC 8259). It rejects NaN and infinity, which Python's `json` accepts."""

import json
from collections.abc import Mapping, Sequence
from typing import Never

from odyssey_mock.core.api_keys import without_keys

type JSON = bool | int | float | str | Sequence[JSON] | Mapping[str, JSON] | None


def read_json(text: str | bytes | bytearray, *, unique: bool = False) -> JSON:
    """Parse JSON that a client sent.

    Args:
        text: the JSON.
        unique: whether an object that has a name twice is an error. Otherwise its last value counts, as in the service.

    Raises:
        ValueError: the text has a syntax error, is not UTF-8, contains NaN or infinity, is nested too deeply, or, with
            `unique`, has an object with a name twice.
    """
    try:
        parsed: JSON = json.loads(text, parse_constant=_refuse, object_pairs_hook=unique_names if unique else None)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None
    return parsed


def unique_names(pairs: Sequence[tuple[str, JSON]]) -> dict[str, JSON]:
    """Return the object with these names and values; a hook for `json.loads`.

    Raises:
        ValueError: a name stands twice. The message contains no API key.
    """
    found: dict[str, JSON] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(without_keys(f"an object must have each name once, got {name!r} twice"))
        found[name] = value
    return found


def _refuse(constant: str) -> Never:
    raise ValueError(f"expected a number that JSON allows, got {constant}")
