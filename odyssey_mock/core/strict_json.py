"""JSON text from clients, read as RFC 8259 has it: Python's own reader takes more than that."""

import json
from collections.abc import Mapping, Sequence
from typing import Never

type JSON = bool | int | float | str | Sequence[JSON] | Mapping[str, JSON] | None


def read_json(text: str | bytes | bytearray) -> JSON:
    """Read what a client sent.

    Raises:
        ValueError: it is no JSON text: a syntax error, not UTF-8, a NaN or infinity, or nested beyond what can be read.
    """
    try:
        parsed: JSON = json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return parsed


def _refuse(constant: str) -> Never:
    raise ValueError(f"{constant} is no JSON value")
