"""What a statement leads to expect of an observed value, with words for it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from odyssey_client.redaction import MASK, names_secret
from odyssey_mock.verification.masking import masked

if TYPE_CHECKING:
    from odyssey_client.models import JSON

_LONGEST = 160
"""Number of characters of a value in a finding."""


@dataclass(frozen=True, slots=True)
class Absent:
    """The value of a field that an object does not have.

    Attributes:
        fields: the fields that the object has; None if the value is not an object.
    """

    fields: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """One observed value.

    Attributes:
        value: the value.
        where: where it was observed, such as `POST /auth/token -> 200`.
        path: its JSON path in the body or the message; `[]` stands for every entry of a list.
        expected: what was expected of this value in particular; empty if a check describes it.
    """

    value: JSON | Absent = field(repr=False)
    where: str
    path: str = "$"
    expected: str = ""

    @property
    def text(self) -> str:
        """The value as text for people, without secrets. A value with an expectation of its own is such a text."""
        if not isinstance(self.value, Absent) and is_secret(self.path, self.value):
            return MASK
        return str(self.value) if self.expected else shown(self.value)


@dataclass(frozen=True, slots=True)
class Expectation:
    """What is expected of a value.

    Attributes:
        text: what is expected, as in `expected 3600`.
        holds: whether a value is as expected. It is not called with an `Absent` value.
    """

    text: str
    holds: Callable[[JSON], bool] = field(repr=False)


def is_secret(path: str, value: JSON) -> bool:
    """Return whether a value is, or contains, a secret: its JSON path ends with a name such as `credential`.

    Numbers, such as the status in `changed_signature`, and values that say that there is no secret, are evidence.
    """
    is_evidence = isinstance(value, int | float) or not value
    return not is_evidence and names_secret(path.rpartition(".")[2].removesuffix("[]"))


def shown(value: JSON | Absent) -> str:
    """Return a value as short text, without secrets and addresses: text that is cut would not show their forms."""
    if isinstance(value, Absent):
        return "no JSON object" if value.fields is None else f"the fields {', '.join(value.fields) or '(none)'}"
    text = json.dumps(masked(value), ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def equals(value: JSON) -> Expectation:
    """Expect exactly a value, of the same JSON type."""
    return Expectation(shown(value), lambda got: type(got) is type(value) and got == value)


def one_of(*values: JSON) -> Expectation:
    """Expect one of some values."""
    return Expectation(" or ".join(map(shown, values)), lambda got: got in values)


def between(low: float, high: float, unit: str = "") -> Expectation:
    """Expect a number in a range, which includes its ends."""
    text = f"{low:g} to {high:g}{f' {unit}' if unit else ''}"
    return Expectation(text, lambda got: is_number(got) and low <= float(str(got)) <= high)


def matches(pattern: str, text: str) -> Expectation:
    """Expect text that a regular expression matches as a whole; ``text`` says what that is."""
    return Expectation(text, lambda got: isinstance(got, str) and re.fullmatch(pattern, got, re.DOTALL) is not None)


def is_number(value: JSON) -> bool:
    """Return whether a value is a finite JSON number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


TEXT = Expectation("text that is not empty", lambda got: isinstance(got, str) and bool(got))
FLAG = Expectation("true or false", lambda got: isinstance(got, bool))
COUNT = Expectation("a whole number, 0 or more", lambda got: type(got) is int and got >= 0)
NUMBER = Expectation("a number, 0 or more", lambda got: is_number(got) and float(str(got)) >= 0)
OPTIONAL_NUMBER = Expectation("a number, or null", lambda got: got is None or is_number(got))
OPTIONAL_TEXT = Expectation("text, or null", lambda got: got is None or isinstance(got, str))
LIST = Expectation("a list", lambda got: isinstance(got, list))
HTTP_URL = matches(r"https?://[^\s/]+.*", "an HTTP URL")
OPTIONAL_URL = Expectation("an HTTP URL, or null", lambda got: got is None or HTTP_URL.holds(got))
SUCCESS = Expectation("a status of 200 to 299", lambda got: isinstance(got, int) and 200 <= got < 300)
TRUE = Expectation("yes", lambda got: got is True)


def _is_timestamp(value: JSON) -> bool:
    if not isinstance(value, str):
        return False
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


TIMESTAMP = Expectation("a time in RFC 3339 with an offset", _is_timestamp)
OPTIONAL_TIMESTAMP = Expectation(f"{TIMESTAMP.text}, or null", lambda got: got is None or _is_timestamp(got))


def field_of(value: JSON, path: str) -> list[tuple[str, JSON | Absent]]:
    """Return the values at a path such as `regions[].id`, each with its JSON path."""
    found: list[tuple[str, JSON | Absent]] = [("$", value)]
    for name in path.split("."):
        key, entries = name.removesuffix("[]"), name.endswith("[]")
        taken: list[tuple[str, JSON | Absent]] = []
        for place, each in found:
            if isinstance(each, Absent):
                taken.append((place, each))
                continue
            child = _child(each, key)
            if entries and isinstance(child, list):
                taken += [(f"{place}.{key}[]", entry) for entry in child]
            else:
                taken.append((f"{place}.{key}", child))
        found = taken
    return found


def _child(value: JSON, key: str) -> JSON | Absent:
    if not isinstance(value, Mapping):
        return Absent()
    return value[key] if key in value else Absent(tuple(value))
