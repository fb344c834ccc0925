"""Python values as JSON, for arguments, results and events in traces.

The JSON is for reading: it shows text, numbers and the fields of dataclasses. Of images and other objects, it shows the
type and the size. Fields that a dataclass leaves out of its repr are secrets, and are left out.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum

from odyssey_client.models import JSON

LONGEST_TEXT = 1 << 16
"""Number of characters of one text that are recorded: more than any prompt, and less than any image in base64."""
_DEPTH = 6
_ITEMS = 100
"""Number of items of a collection that are shown."""


def described(value: object, depth: int = _DEPTH) -> JSON:
    """Return ``value`` as JSON. The function never raises an exception."""
    try:
        return _described(value, depth)
    except Exception:  # a property of a caller's object may raise anything
        return {"type": type(value).__name__}


def shortened(text: str) -> str:
    """Return the first `LONGEST_TEXT` characters of ``text``, and its length if it has more."""
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}… ({len(text):,} characters)"


def _described(value: object, depth: int) -> JSON:
    match value:
        case None | bool() | int():
            return value
        case float():
            return value if abs(value) < float("inf") else str(value)  # JSON has no NaN and no infinity
        case Enum():
            return described(value.value, depth)
        case str() if value.startswith("data:"):
            return {"type": "data URL", "size": len(value)}
        case str():
            return shortened(value)
        case bytes() | bytearray() | memoryview():
            return {"type": type(value).__name__, "size": len(value)}
        case os.PathLike():
            return str(os.fspath(value))
        case BaseException():
            return error_text(value)
    if depth == 0:
        return {"type": type(value).__name__}
    if is_dataclass(value) and not isinstance(value, type):
        shown = {each.name: getattr(value, each.name) for each in fields(value) if each.repr}
        return {name: described(each, depth - 1) for name, each in shown.items()}
    match value:
        case Mapping():
            return {str(key): described(each, depth - 1) for key, each in list(value.items())[:_ITEMS]}
        case list() | tuple():
            return [described(each, depth - 1) for each in value[:_ITEMS]]
    return _object(value)


def _object(value: object) -> JSON:
    if isinstance(value, Callable):  # type: ignore[arg-type]
        return getattr(value, "__qualname__", type(value).__name__)
    kind: dict[str, JSON] = {"type": type(value).__name__}
    size = getattr(value, "size", None)  # of a PIL image: width and height
    shape = getattr(value, "shape", size)  # of an array of pixels
    if isinstance(shape, Sequence) and all(isinstance(each, int) for each in shape):
        kind["size"] = list(shape)
    return kind


def set_fields(value: object) -> dict[str, object]:
    """Return the fields of a dataclass that are not None, by name; nothing for other values."""
    if not is_dataclass(value) or isinstance(value, type):
        return {}
    given = {each.name: getattr(value, each.name) for each in fields(value)}
    return {name: each for name, each in given.items() if each is not None}


def why(event: object) -> str:
    """Return an event of a state machine as one line: its class, and the error or the reason that it contains."""
    name = type(event).__name__
    for attribute in ("error", "reason", "message"):
        if text := getattr(event, attribute, None):
            return shortened(f"{name}: {message(text) if isinstance(text, BaseException) else text}")
    return name


def error_text(error: BaseException) -> str:
    """Return an exception as one line: its class and its message."""
    text = message(error)
    return shortened(f"{type(error).__name__}: {text}" if text else type(error).__name__)


def message(error: BaseException) -> str:
    """Return the message of an exception; an empty text if its ``__str__`` raises an exception."""
    try:
        return str(error)
    except Exception:  # a caller's class may raise anything
        return ""
