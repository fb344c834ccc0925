"""A strict parser for JSON from clients (RFC 8259). It rejects NaN and infinity, which Python's `json` accepts."""

import json
from collections.abc import Mapping, Sequence
from typing import Never

from odyssey_mock.core.redaction import without_keys

type JSON = bool | int | float | str | Sequence[JSON] | Mapping[str, JSON] | None

ITEM_LIMIT = 100_000
"""Maximum number of commas and opening brackets in a JSON text, which bounds the number of its values.

Python parses such a text in about 20 ms. A script of an hour with an action every second has 15,000. Long strings, such
as images, do not count, because parsing them costs little time.
"""

DEPTH_LIMIT = 100
"""Maximum depth of arrays and objects in each other; the deepest request has 5. Python parses thousands of levels, but
its recursion limit ends functions that copy them.
"""

DIGIT_LIMIT = 500
"""Maximum number of digits of an integer, more than the 309 of the largest float.

Conversion takes quadratic time: 10,000 integers with the 4,300 digits that Python allows take a second.
"""

_TOO_DEEP = f"the JSON is nested too deeply: expected at most {DEPTH_LIMIT} levels of arrays and objects, got more"


def read_json(text: str | bytes | bytearray, *, unique: bool = False) -> JSON:
    """Parse JSON that a client sent.

    Args:
        text: the JSON.
        unique: whether an object that has a name twice is an error. Otherwise its last value counts, as in the service.

    Raises:
        ValueError: the text has a syntax error, is not UTF-8, contains NaN or infinity, or exceeds
            `ITEM_LIMIT`, `DEPTH_LIMIT` or `DIGIT_LIMIT`. With `unique`, also if an object has a name twice.
    """
    items = items_in(text)
    if items > ITEM_LIMIT:
        raise ValueError(f"expected at most {ITEM_LIMIT} commas and opening brackets, got {items}")
    if not isinstance(text, str):
        text = text.decode(json.detect_encoding(text), "surrogatepass")
    try:
        parsed: JSON = (_UNIQUE_DECODER if unique else _DECODER).decode(text)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    if _brackets_in(text) > DEPTH_LIMIT and _is_deeper(parsed, DEPTH_LIMIT):
        raise ValueError(_TOO_DEEP)
    return parsed


def items_in(text: str | bytes | bytearray) -> int:
    """Return an upper bound of the number of values in a JSON text, without parsing it."""
    commas = text.count(",") if isinstance(text, str) else text.count(b",")
    return commas + _brackets_in(text)


def _brackets_in(text: str | bytes | bytearray) -> int:
    """Return an upper bound of the number of arrays and objects in a JSON text."""
    if isinstance(text, str):
        return text.count("[") + text.count("{")
    return text.count(b"[") + text.count(b"{")


def _is_deeper(value: JSON, depth: int) -> bool:
    """Return whether a value has more than `depth` levels of arrays and objects in each other."""
    level = [value]
    for _ in range(depth + 1):
        inner = [
            list(each.values()) if isinstance(each, dict) else each for each in level if isinstance(each, dict | list)
        ]
        if not inner:
            return False
        level = [item for items in inner for item in items]
    return True


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


def _integer(digits: str) -> int:
    if len(digits) > DIGIT_LIMIT:
        raise ValueError(f"expected an integer of at most {DIGIT_LIMIT} digits, got {len(digits)} digits")
    return int(digits)


def _refuse(constant: str) -> Never:
    raise ValueError(f"expected a number that JSON allows, got {constant}")


_DECODER = json.JSONDecoder(parse_constant=_refuse, parse_int=_integer)
_UNIQUE_DECODER = json.JSONDecoder(parse_constant=_refuse, parse_int=_integer, object_pairs_hook=unique_names)
# `json.loads` would create a decoder for each text.
