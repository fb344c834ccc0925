"""Script entries, and the rules for valid scripts (protocol.md section 8).

Every script is checked in its JSON form. All rules are checked for all entries, so that an error lists every fault, up
to `FAULT_LIMIT`. If several rules fail at the same path, only the first fault is reported.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from types import MappingProxyType
from typing import Any, Literal, TypeGuard, get_args

from odyssey_client.errors import FAULT_LIMIT, ImageError, ScriptError, ScriptFault, excerpt
from odyssey_client.media.image_source import ImageSource

type ScriptAction = Literal["start", "interact", "end"]
type TakeImage = Callable[[object], ImageSource]
"""Converts the ``image`` of a start to the value that the entry keeps; raises ``ImageError`` if it cannot be sent."""

ACTIONS: tuple[ScriptAction, ...] = get_args(ScriptAction.__value__)
FIELDS: Mapping[ScriptAction, tuple[str, ...]] = MappingProxyType(
    {"start": ("prompt", "image"), "interact": ("prompt",), "end": ()}
)
LATEST_MS = 2**53 - 1
"""The latest time of an entry: the largest integer that every JSON parser represents exactly."""

_IMAGE_HEAD = re.compile(r"data:image/[a-z0-9.+-]+;base64,")
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")

_SHOWN = 60
"""Maximum number of characters that a message shows of a value."""
_KEY_SHOWN = 200
"""Number of characters of an unknown key in the path of a fault."""


@dataclass(frozen=True, slots=True)
class ScriptEntry:
    """One entry of a script: an action and its time.

    Attributes:
        timestamp_ms: The time, in milliseconds from the start of the video.
        action: The action: ``start``, ``interact`` or ``end``.
        prompt: The prompt of a start or an interaction; empty for an end.
        image: The image that a start begins from, as it was given; None without an image.
    """

    timestamp_ms: int
    action: ScriptAction
    prompt: str = ""
    image: ImageSource | None = field(default=None, repr=False, hash=False)  # a PIL image has no hash

    def to_dict(self) -> dict[str, Any]:  # Any: an image may be of any type
        """Return the JSON form of the entry; the image is returned unchanged."""
        fields: dict[str, Any] = {}
        if self.prompt or self.action != "end":
            fields["prompt"] = self.prompt
        if self.image is not None:
            fields["image"] = self.image
        return {"timestamp_ms": self.timestamp_ms, self.action: fields}


class Faults:
    """Collects faults: only the first fault of each path, and the first `FAULT_LIMIT` faults. Others are counted."""

    def __init__(self) -> None:
        self._listed: list[ScriptFault] = []
        self._paths: set[str] = set()

    def add(self, path: str, expected: str, got: str) -> None:
        if path in self._paths:
            return
        self._paths.add(path)
        if len(self._listed) < FAULT_LIMIT:
            self._listed.append(ScriptFault(path, expected, got))

    def listed(self) -> tuple[ScriptFault, ...]:
        """Return the first faults, in the order in which they were found."""
        return tuple(self._listed)

    def check(self) -> None:
        """Raise `ScriptError` if there are faults."""
        if self._paths:
            raise ScriptError(self._listed, more_faults=len(self._paths) - len(self._listed))


def read_entries(value: object, path: str, take_image: TakeImage, faults: Faults) -> tuple[ScriptEntry, ...]:
    """Read a script in its JSON form, and add a fault to ``faults`` for each violated rule.

    The returned entries are complete and in order only if no fault was added.
    """
    if not is_array(value):
        hint = " (Script.load reads a file, Script.from_json reads text)" if isinstance(value, str | bytes) else ""
        faults.add(path, f"an array of entries{hint}", describe(value))
        return ()
    if not value:
        faults.add(path, "an array of entries, from a start to an end", "an empty array")
    entries: list[ScriptEntry] = []
    latest = 0
    for index, each in enumerate(value):
        at = f"{path}[{index}]"
        found = read_entry(each, at, take_image, faults)
        placed = _Placed(found.action, found.time, latest, is_first=index == 0, is_last=index == len(value) - 1)
        for rule in _RULES:
            if rule.is_broken(placed):
                got = f"{placed.time}" if rule.place else f"{_named(placed.action)}"
                faults.add(at + rule.place, rule.expected.format(latest=latest), got)
        latest = max(latest, found.time or 0)
        entries += found.entries()
    return tuple(entries)


@dataclass(frozen=True, slots=True)
class Found:
    """The valid parts of an entry. An invalid action or time is None; ``fields`` has no invalid field."""

    action: ScriptAction | None = None
    time: int | None = None
    fields: Mapping[str, Any] = MappingProxyType({})  # Any: checked prompts and images

    def entries(self) -> tuple[ScriptEntry, ...]:
        """Return a tuple with the entry as its only item; an empty tuple if the action or the time is invalid."""
        if self.action is None or self.time is None:
            return ()
        return (ScriptEntry(self.time, self.action, **self.fields),)


def read_entry(value: object, at: str, take_image: TakeImage, faults: Faults) -> Found:
    """Read the entry at the path ``at`` and return its valid parts; add a fault to ``faults`` for each violated rule.

    Only the rules that do not depend on other entries are checked.
    """
    if not isinstance(value, Mapping):
        faults.add(at, f"an object with timestamp_ms and one of {', '.join(ACTIONS)}", describe(value))
        return Found()
    present = [action for action in ACTIONS if action in value]
    if len(present) != 1:
        faults.add(at, f"exactly one of {', '.join(ACTIONS)}", " and ".join(present) or "none of them")
    _refuse_others(value, ("timestamp_ms", *ACTIONS), at, faults)
    timestamp = value.get("timestamp_ms", _NOTHING)
    time = _whole(timestamp)
    if time is None:
        faults.add(f"{at}.timestamp_ms", f"a whole number of milliseconds from 0 to {LATEST_MS}", describe(timestamp))
    fields: Mapping[str, Any] = {}
    for action in present:
        fields = _read_fields(action, value[action], f"{at}.{action}", take_image, faults)
    return Found(present[0], time, fields) if len(present) == 1 else Found(None, time)


def describe(value: object) -> str:
    """Describe a received value for a message, for example `'soon'`, `7`, `null` or `an array`."""
    if isinstance(value, str):
        return excerpt(repr(value[: 2 * _SHOWN]), _SHOWN)
    if isinstance(value, int) and value.bit_length() > 200:
        return "a very large number"  # Python raises an error for the `str` of very long integers
    if is_number(value):
        return excerpt(str(value), _SHOWN)
    if is_array(value):
        return "an array"
    if isinstance(value, Mapping):
        return "an object"
    return next((word for each, word in _WORDS if value is each), type(value).__name__)


def is_array(value: object) -> TypeGuard[Sequence[object]]:
    """Return whether ``value`` can represent a JSON array: any sequence except text and bytes."""
    return isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray | memoryview)


def is_number(value: object) -> bool:
    """Return whether ``value`` is a real number; a bool is not."""
    return isinstance(value, Real) and not isinstance(value, bool)


_NOTHING = object()
_WORDS = ((_NOTHING, "nothing"), (None, "null"), (True, "true"), (False, "false"))


@dataclass(frozen=True, slots=True)
class _Placed:
    """The input of `_RULES` for one entry: its action, time and position, and the latest time of earlier entries."""

    action: ScriptAction | None
    """The action, even if its fields are invalid; None unless the entry has exactly one action."""
    time: int | None
    """The time; None if it is invalid."""
    latest: int
    """The latest valid time of the earlier entries; 0 if there is none."""
    is_first: bool
    is_last: bool


@dataclass(frozen=True, slots=True)
class _Rule:
    place: Literal["", ".timestamp_ms"]
    expected: str
    is_broken: Callable[[_Placed], bool]


# A missing action breaks some of these rules too. It is a fault of the same path that was reported before. A missing
# time breaks none: if the entry is no object, the fault has the path of the entry.
_RULES: tuple[_Rule, ...] = (
    _Rule("", "a start, as the first entry", lambda it: it.is_first and it.action != "start"),
    _Rule(
        "",
        "no start after the first entry: a script describes one stream",
        lambda it: it.action == "start" and not it.is_first,
    ),
    _Rule("", "no end before the last entry", lambda it: it.action == "end" and not it.is_last),
    _Rule("", "an end, as the last entry", lambda it: it.is_last and it.action != "end"),
    _Rule(
        ".timestamp_ms",
        "0, the time of the first entry",
        lambda it: it.is_first and it.time is not None and it.time != 0,
    ),
    _Rule(
        ".timestamp_ms",
        "{latest} or more: times must not decrease",
        lambda it: it.time is not None and it.time < it.latest,
    ),
    _Rule(
        ".timestamp_ms",
        "more than 0, as the time of the end: a video has at least one frame",
        lambda it: it.is_last and it.action == "end" and it.time == 0,
    ),
)


def _read_fields(
    action: ScriptAction, value: object, at: str, take_image: TakeImage, faults: Faults
) -> dict[str, Any]:  # Any: see Found
    known = FIELDS[action]
    if not isinstance(value, Mapping):
        faults.add(at, f"an object with a {known[0]}" if known else "an empty object", describe(value))
        return {}
    _refuse_others(value, known, at, faults)
    good: dict[str, Any] = {}
    for name in known:
        if name == "image" and name not in value:
            continue
        try:
            given = value.get(name, _NOTHING)
            good[name] = take_image(_wire_image(given)) if name == "image" else _prompt(given)
        except _WrongError as wrong:
            faults.add(f"{at}.{name}", *wrong.args)
        except ImageError as wrong:
            faults.add(f"{at}.{name}", "an image that can be sent", f"one that cannot be sent: {wrong}")
    return good


def _wire_image(value: object) -> object:
    """Return ``value`` unchanged; if it is a ``data:`` URL, first check that it is a base64 image.

    Raises:
        _WrongError: the ``data:`` URL is not a base64 image.
    """
    if isinstance(value, str) and value[:5].lower() == "data:":
        head = _IMAGE_HEAD.match(value)
        if head is None or (len(value) - head.end()) % 4 or _BASE64.fullmatch(value, head.end()) is None:
            raise _WrongError(
                "a data: URL of an image in base64 (data:image/png;base64,...)", "a data: URL of another form"
            )
    return value


def _refuse_others(value: Mapping[object, object], known: Sequence[str], at: str, faults: Faults) -> None:
    expected = f"no keys except {', '.join(known)}" if known else "no keys"
    for key in value:
        if key not in known:
            name = key[:_KEY_SHOWN] if isinstance(key, str) else describe(key)
            faults.add(f"{at}.{name}", expected, "an unknown key")


class _WrongError(Exception):
    """A value is invalid. ``args`` contains descriptions of what was expected and of what was received."""


def _prompt(value: object) -> str:
    if not isinstance(value, str):
        raise _WrongError("text", describe(value))
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise _WrongError("text that UTF-8 can encode", f"a lone surrogate at index {error.start}") from None
    return value


def _whole(value: Any) -> int | None:  # Any: it may be a number of any type
    if not is_number(value):
        return None
    try:
        whole = int(value)
    except (OverflowError, ValueError):  # infinity or NaN
        return None
    return whole if whole == value and 0 <= whole <= LATEST_MS else None


def _named(action: ScriptAction | None) -> str:
    return f"an {action}" if action in {"interact", "end"} else f"a {action}"
