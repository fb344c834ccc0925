"""Reading the fields of a success answer, with an error that names the one that is wrong."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from enum import StrEnum

from odyssey_client.errors import UnexpectedResponseError
from odyssey_client.models import JSON


class Fields:
    """One JSON object of an answer. Every reader raises `UnexpectedResponseError` naming path, expected and got.

    Values never come into the message, only their kinds: an answer may hold tokens.
    """

    def __init__(self, value: JSON, call: str, path: str = "") -> None:
        """``call`` is what was asked, such as ``POST /auth/token``; ``path`` where in its answer ``value`` is."""
        self._call = call
        self._path = path
        if not isinstance(value, dict):
            raise self._wrong(path, "a JSON object", value)
        self._values = value

    def text(self, name: str) -> str:
        """Return a string that is not empty."""
        if self._values.get(name) == "":
            raise self._wrong(self._at(name), "a non-empty string", "")
        return self.any_text(name, expected="a non-empty string")

    def any_text(self, name: str, *, expected: str = "a string") -> str:
        """Return a string, perhaps an empty one."""
        value = self._values.get(name)
        if not isinstance(value, str):
            raise self._wrong(self._at(name), expected, value)
        if _SURROGATE.search(value):
            raise self._wrong(self._at(name), "text that UTF-8 can hold", value)
        return value

    def number(self, name: str) -> float:
        """Return a finite number that is not negative."""
        value = self._values.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
            raise self._wrong(self._at(name), "a number, 0 or more", value)
        return float(value) if value < _LARGEST else _LARGEST

    def count(self, name: str) -> int:
        """Return a whole number that is not negative; JSON may write one as ``3.0``."""
        value = self.number(name)
        if not value.is_integer():
            raise self._wrong(self._at(name), "a whole number, 0 or more", self._values.get(name))
        return int(value)

    def choice[E: StrEnum](self, name: str, of: type[E]) -> E:
        """Return the member of an enumeration whose string is there."""
        value = self._values.get(name)
        if not isinstance(value, str) or value not in of:
            raise self._wrong(self._at(name), f"one of {', '.join(of)}", value)
        return of(value)

    def optional[T](self, read: Callable[[str], T], name: str) -> T | None:
        """Return what ``read``, a reader of these fields, returns; None where there is nothing or null."""
        return None if self._values.get(name) is None else read(name)

    def flag(self, name: str) -> bool:
        value = self._values.get(name)
        if not isinstance(value, bool):
            raise self._wrong(self._at(name), "true or false", value)
        return value

    def object(self, name: str) -> Fields | None:
        """Return an object, or None where there is none."""
        value = self._values.get(name)
        return None if value is None else Fields(value, self._call, self._at(name))

    def objects(self, name: str) -> Iterator[Fields]:
        """Go through an array of objects."""
        value = self._values.get(name)
        if not isinstance(value, list):
            raise self._wrong(self._at(name), "an array", value)
        for index, item in enumerate(value):
            yield Fields(item, self._call, f"{self._at(name)}[{index}]")

    def wrong(self, name: str, expected: str) -> UnexpectedResponseError:
        """Make the error for a field whose content does not do, for a rule that the readers do not know."""
        return self._wrong(self._at(name), expected, self._values.get(name))

    def _at(self, name: str) -> str:
        return f"{self._path}.{name}" if self._path else name

    def _wrong(self, path: str, expected: str, value: JSON) -> UnexpectedResponseError:
        got = kind_of(value)
        where = f"{path} must be" if path else "it must be"
        return UnexpectedResponseError(
            f"The answer to {self._call} is not what this client understands: {where} {expected}, got {got}. "
            "Check that the API URL is that of an Odyssey service, and that this client is not older than it.",
            path=path,
            expected=expected,
            got=got,
        )


_SURROGATE = re.compile("[\\ud800-\\udfff]")
"""Half a pair: JSON can write one (RFC 8259 section 8.2), but no URL and no socket takes it."""

_LARGEST = 2.0**53
"""JSON integers have no bound, and a float does; up to here it has all of them exactly."""

_KINDS: tuple[tuple[type, str], ...] = (
    (bool, "a boolean"),
    (int, "a number"),
    (float, "a number"),
    (list, "an array"),
    (dict, "an object"),
)


def kind_of(value: JSON) -> str:
    """Say what kind of JSON ``value`` is, without saying what it is."""
    if value is None:
        return "nothing or null"
    if isinstance(value, str):
        return "a string" if value else "an empty string"
    return next(name for kind, name in _KINDS if isinstance(value, kind))
