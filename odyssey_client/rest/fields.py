"""Validated access to the fields of a JSON response."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from enum import StrEnum

from odyssey_client.errors import UnexpectedResponseError
from odyssey_client.models import JSON


class Fields:
    """One JSON object of a response.

    If a field is invalid, each method raises `UnexpectedResponseError`. The error names the path of the field, and the
    expected and the actual kind of value. It never contains the value itself, because a response may contain tokens.
    """

    def __init__(self, value: JSON, call: str, path: str = "") -> None:
        """Check that ``value`` is an object.

        Args:
            value: The JSON value.
            call: The request, such as ``POST /auth/token``.
            path: The path of ``value`` in the response.
        """
        self._call = call
        self._path = path
        if not isinstance(value, dict):
            raise self._wrong(path, "a JSON object", value)
        self._values = value

    def text(self, name: str) -> str:
        """Return the value of the field ``name``, a non-empty string."""
        if self._values.get(name) == "":
            raise self._wrong(self._at(name), "a non-empty string", "")
        return self.any_text(name, expected="a non-empty string")

    def any_text(self, name: str, *, expected: str = "a string") -> str:
        """Return the value of the field ``name``, a string that may be empty."""
        value = self._values.get(name)
        if not isinstance(value, str):
            raise self._wrong(self._at(name), expected, value)
        if _SURROGATE.search(value):
            raise self._wrong(self._at(name), "text that UTF-8 can encode", value)
        return value

    def number(self, name: str) -> float:
        """Return the value of the field ``name``, a finite number, 0 or more."""
        value = self._values.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
            raise self._wrong(self._at(name), "a number, 0 or more", value)
        return float(value) if value < _LARGEST else _LARGEST

    def count(self, name: str) -> int:
        """Return the value of the field ``name``, a whole number, 0 or more. A number such as ``3.0`` is accepted."""
        value = self.number(name)
        if not value.is_integer():
            raise self._wrong(self._at(name), "a whole number, 0 or more", self._values.get(name))
        return int(value)

    def choice[E: StrEnum](self, name: str, of: type[E]) -> E:
        """Return the value of the field ``name``, a string, as a member of the enumeration ``of``."""
        value = self._values.get(name)
        if not isinstance(value, str) or value not in of:
            raise self._wrong(self._at(name), f"one of {', '.join(of)}", value)
        return of(value)

    def optional[T](self, read: Callable[[str], T], name: str) -> T | None:
        """Return the result of ``read``, a method of this object; None if the field is missing or null."""
        return None if self._values.get(name) is None else read(name)

    def flag(self, name: str) -> bool:
        """Return the value of the field ``name``, a boolean."""
        value = self._values.get(name)
        if not isinstance(value, bool):
            raise self._wrong(self._at(name), "true or false", value)
        return value

    def object(self, name: str) -> Fields | None:
        """Return the fields of the object in the field ``name``; None if the field is missing or null."""
        value = self._values.get(name)
        return None if value is None else Fields(value, self._call, self._at(name))

    def objects(self, name: str) -> Iterator[Fields]:
        """Yield the fields of each object in the field ``name``, an array."""
        value = self._values.get(name)
        if not isinstance(value, list):
            raise self._wrong(self._at(name), "an array", value)
        for index, item in enumerate(value):
            yield Fields(item, self._call, f"{self._at(name)}[{index}]")

    def wrong(self, name: str, expected: str) -> UnexpectedResponseError:
        """Return the error for a field whose value the caller found invalid."""
        return self._wrong(self._at(name), expected, self._values.get(name))

    def _at(self, name: str) -> str:
        return f"{self._path}.{name}" if self._path else name

    def _wrong(self, path: str, expected: str, value: JSON) -> UnexpectedResponseError:
        got = kind_of(value)
        where = f"{path} must be" if path else "the body must be"
        return UnexpectedResponseError(
            f"Unexpected response to {self._call}: {where} {expected}, got {got}. "
            "Check that the API URL points to an Odyssey service and that this client is up to date.",
            path=path,
            expected=expected,
            got=got,
        )


_SURROGATE = re.compile("[\\ud800-\\udfff]")
"""Lone surrogates: valid in JSON (RFC 8259 section 8.2), but not encodable as UTF-8."""

_LARGEST = 2.0**53
"""The largest integer up to which floats are exact; larger JSON numbers are capped to it."""

_KINDS: tuple[tuple[type, str], ...] = (
    (bool, "a boolean"),
    (int, "a number"),
    (float, "a number"),
    (list, "an array"),
    (dict, "an object"),
)


def kind_of(value: JSON) -> str:
    """Return the kind of a JSON value for messages, such as ``a string``."""
    if value is None:
        return "nothing or null"
    if isinstance(value, str):
        return "a string" if value else "an empty string"
    return next(name for kind, name in _KINDS if isinstance(value, kind))
