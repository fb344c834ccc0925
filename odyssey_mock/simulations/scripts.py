"""Simulation scripts and their validation (`protocol.md` section 8)."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

type Kind = Literal["start", "interact", "end"]
type Place = tuple[str | int, ...]
"""The path from the request to a value in it, such as `("body", "script", 0, "timestamp_ms")`."""
type ScriptFault = dict[str, Any]  # Any: the loc is a list of text and numbers, the others are text
"""A validation error in FastAPI's format: `loc`, `msg` and `type`."""

LATEST_TIMESTAMP = 2**53 - 1
"""The largest integer that every JSON parser represents exactly."""

SHOWN = 40
"""Number of characters of an invalid value that a message shows."""
TEXT_LIMIT = 1000
"""Maximum length of the message of a `ScriptFaultsError`. Faults that do not fit are only counted."""
FAULT_LIMIT = 100
"""Maximum number of faults that an error lists, more than a person fixes at once. Further faults are only counted.

A script of 1 MB can have a million faults.
"""
KEY_SHOWN = 200
"""Number of characters of an unknown key that the `loc` of a fault shows."""

_IMAGE_HEAD = re.compile(r"data:image/[a-z0-9.+-]+;base64,")
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")


@dataclass(frozen=True, slots=True)
class ScriptAction:
    """One entry of a script."""

    timestamp_ms: int
    kind: Kind
    prompt: str = ""
    """The prompt of a `start` or an `interact`; empty for an `end`."""
    image: str | None = field(default=None, repr=False)
    """The first image of a `start`, as a base64 `data:` URL that is not decoded yet."""


@dataclass(frozen=True, slots=True)
class Script:
    """A valid script: a `start` at 0, interactions and an `end`, in order of time."""

    actions: tuple[ScriptAction, ...]

    @property
    def duration_ms(self) -> int:
        """Length of the video in milliseconds: the time of the `end`."""
        return self.actions[-1].timestamp_ms


class ScriptFaultsError(ValueError):
    """A script is invalid; `str()` lists its faults in one line."""

    def __init__(self, faults: Sequence[ScriptFault], more: int = 0) -> None:
        super().__init__(faults, more)
        self.faults = list(faults)
        """The first faults in the order of the script, each with `loc`, `msg` and `type`; at most `FAULT_LIMIT`, and
        at most one for each `loc`."""
        self.more = more
        """Number of further faults."""

    def __str__(self) -> str:
        line = ""
        total = len(self.faults) + self.more
        for count, fault in enumerate(self.faults):
            told = f"{'; ' if line else ''}{fault_line(fault)}"
            more = f"; and {total - count} more"
            if len(line) + len(told) + len(more) > TEXT_LIMIT:
                return line + more
            line += told
        return f"{line}; and {self.more} more" if self.more else line


class ScriptFaults:
    """Collects the faults of a script or a request: for each location (`loc`) the first one.

    Attributes:
        listed: the first `FAULT_LIMIT` faults.
    """

    def __init__(self) -> None:
        self.listed: list[ScriptFault] = []
        self._places: set[Place] = set()

    def __len__(self) -> int:
        return len(self._places)

    @property
    def more(self) -> int:
        """Number of faults that are not in `listed`."""
        return len(self) - len(self.listed)

    def add(self, place: Place, message: str, kind: str) -> None:
        """Add a fault with `place` as its `loc`; `kind` is pydantic's name for this type of error."""
        if place in self._places:
            return
        self._places.add(place)
        if len(self.listed) < FAULT_LIMIT:
            loc = [step[:KEY_SHOWN] if isinstance(step, str) else step for step in place]
            self.listed.append({"loc": loc, "msg": message, "type": kind})


def read_script(value: object, *loc: str | int) -> Script:
    """Parse decoded JSON as a script; `loc` is the path of the script in the request.

    Raises:
        ScriptFaultsError: the script is invalid; the error lists the first faults.
    """
    faults = ScriptFaults()
    script = script_in(value, loc, faults)
    if script is None:
        raise ScriptFaultsError(faults.listed, faults.more)
    return script


def script_in(value: object, loc: Place, faults: ScriptFaults) -> Script | None:
    """Parse decoded JSON as a script; return None, and add its faults to `faults`, if it is invalid."""
    before = len(faults)
    actions: list[ScriptAction] = []
    if not isinstance(value, list):
        faults.add(loc, f"expected an array of entries, got {describe(value)}", "list_type")
    elif not value:
        faults.add(loc, "expected at least a start and an end, got an empty array", "too_short")
    else:
        actions = _read_entries(value, loc, faults)
    return Script(tuple(actions)) if len(faults) == before else None


def _read_entries(entries: list[object], loc: Place, faults: ScriptFaults) -> list[ScriptAction]:
    """Return the actions of the valid entries; add all faults to `faults`."""
    actions: list[ScriptAction] = []
    latest = 0
    for index, entry in enumerate(entries):
        place = (*loc, index)
        is_first, is_last = index == 0, index == len(entries) - 1
        if not isinstance(entry, dict):
            faults.add(
                place, f"expected an object with timestamp_ms and one action, got {describe(entry)}", "dict_type"
            )
            continue
        for key in entry:
            if key != "timestamp_ms" and key not in _FIELDS:
                message = f"expected timestamp_ms and one of {ACTIONS}, got an unknown key"
                faults.add((*place, key), message, "extra_forbidden")
        time = _read_time(entry, (*place, "timestamp_ms"), faults)
        kind, fields = _read_action(entry, place, faults)
        if kind is not None:
            _check_order(kind, place, is_first=is_first, is_last=is_last, faults=faults)
        if time is not None:
            ends = is_last and kind == "end"
            _check_time(time, (*place, "timestamp_ms"), latest, is_first=is_first, ends=ends, faults=faults)
            latest = max(latest, time)
        if kind is not None and time is not None:
            actions.append(ScriptAction(time, kind, **fields))
    return actions


def _read_time(entry: Mapping[str, object], place: Place, faults: ScriptFaults) -> int | None:
    expected = f"expected a whole number of milliseconds from 0 to {LATEST_TIMESTAMP}"
    if "timestamp_ms" not in entry:
        faults.add(place, f"{expected}, got nothing", "missing")
        return None
    value = entry["timestamp_ms"]
    if isinstance(value, bool) or not isinstance(value, int | float):
        faults.add(place, f"{expected}, got {describe(value)}", "int_type")
    elif isinstance(value, float) and not value.is_integer():
        faults.add(place, f"{expected}, got {describe(value)}", "int_from_float")
    elif value < 0:
        faults.add(place, f"{expected}, got {describe(value)}", "greater_than_equal")
    elif value > LATEST_TIMESTAMP:
        faults.add(place, f"{expected}, got {describe(value)}", "less_than_equal")
    else:
        return int(value)
    return None


def _read_action(entry: Mapping[str, object], place: Place, faults: ScriptFaults) -> tuple[Kind | None, dict[str, str]]:
    """Return the entry's action and its valid fields; None and no fields unless the entry has exactly one action.

    If the entry has several actions, the fields of each action are checked too. All faults are added to `faults`.
    """
    present = [kind for kind in _FIELDS if kind in entry]
    if len(present) != 1:
        found = " and ".join(present) or "none"
        faults.add(place, f"expected exactly one of {ACTIONS}, got {found}", "value_error")
    fields: dict[str, str] = {}
    for kind in present:
        fields = _read_fields(entry[kind], _FIELDS[kind], (*place, kind), faults)
    return (present[0], fields) if len(present) == 1 else (None, {})


def _read_fields(value: object, known: Mapping[str, "_Field"], place: Place, faults: ScriptFaults) -> dict[str, str]:
    names = " and ".join(known) or "no keys"
    if not isinstance(value, dict):
        faults.add(place, f"expected an object with {names} in it, got {describe(value)}", "dict_type")
        return {}
    for key in value:
        if key not in known:
            faults.add((*place, key), f"expected {names}, got an unknown key", "extra_forbidden")
    good: dict[str, str] = {}
    for name, each in known.items():
        if name not in value:
            if each.is_required:
                faults.add((*place, name), f"expected {each.expected}, got nothing", "missing")
            continue
        fault = each.fault(value[name])
        if fault is None:
            good[name] = value[name]
        else:
            faults.add((*place, name), f"expected {each.expected}, got {describe(value[name])}", fault)
    return good


def _check_order(kind: Kind, place: Place, *, is_first: bool, is_last: bool, faults: ScriptFaults) -> None:
    expected = {
        "a start, as the first entry": is_first and kind != "start",
        "an end, as the last entry": is_last and kind != "end",
        "no start after the first entry: a script describes one stream": kind == "start" and not is_first,
        "no end before the last entry": kind == "end" and not is_last,
    }
    for what, is_broken in expected.items():
        if is_broken:
            faults.add(place, f"expected {what}; got {kind}", "value_error")


def _check_time(time: int, place: Place, latest: int, *, is_first: bool, ends: bool, faults: ScriptFaults) -> None:
    """Check the time of one entry; add faults to `faults`.

    `latest` is the greatest time of the earlier entries. `ends` is true if the entry is the last one and contains the
    `end`.
    """
    expected = {
        "0, the time of the first entry": is_first and time != 0,
        f"{latest} or later: times must not decrease": time < latest,
        "a time above 0: a video has at least one frame": ends and time == 0,
    }
    for what, is_broken in expected.items():
        if is_broken:
            faults.add(place, f"expected {what}; got {time}", "value_error")


def _prompt_fault(value: object) -> str | None:
    if not isinstance(value, str):
        return "string_type"
    return None if is_utf8(value) else "string_unicode"


def is_utf8(text: str) -> bool:
    """Return whether `text` has no lone surrogates, which JSON strings may contain but UTF-8 cannot encode."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _image_fault(value: object) -> str | None:
    """Return the error type of a value that is not a base64 `data:` URL; None if the value is valid.

    The image is decoded only when the job runs.
    """
    if not isinstance(value, str):
        return "string_type"
    head = _IMAGE_HEAD.match(value)
    if head is None:
        return "string_pattern_mismatch"
    whole = (len(value) - head.end()) % 4 == 0 and _BASE64.fullmatch(value, head.end()) is not None
    return None if whole else "value_error"


@dataclass(frozen=True, slots=True)
class _Field:
    """A field of an action; `fault(value)` returns the error type of an invalid value, None for a valid one."""

    expected: str
    fault: Callable[[object], str | None]
    is_required: bool = True


_PROMPT = _Field("text that UTF-8 can encode", _prompt_fault)
_IMAGE = _Field("a data: URL of an image in base64 (data:image/png;base64,...)", _image_fault, is_required=False)

_FIELDS: Mapping[Kind, Mapping[str, _Field]] = {
    "start": {"prompt": _PROMPT, "image": _IMAGE},
    "interact": {"prompt": _PROMPT},
    "end": {},
}
"""The fields of each action."""

ACTIONS = ", ".join(_FIELDS)


def describe(value: object) -> str:
    """Describe a received value briefly, for an error message."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case dict():
            return "an object"
        case list():
            return "an array"
        case str() if len(value) > SHOWN:
            return f"{value[:SHOWN]!r} and {len(value) - SHOWN} characters more"
        case str():
            return repr(value)
        case int() if value.bit_length() > 1024:
            return "a very large number"
        case _:
            return str(value)[:SHOWN]


def fault_line(fault: ScriptFault) -> str:
    """Return a fault as one line: `script[1].interact.prompt: expected ...`."""
    steps = [f"[{step}]" if isinstance(step, int) else f".{_short_key(step)}" for step in fault["loc"]]
    return f"{''.join(steps).removeprefix('.')}: {fault['msg']}"


def _short_key(key: str) -> str:
    """Return a key as a short, printable string, because a client may send any string as a key."""
    return key if len(key) <= SHOWN and key.isprintable() else describe(key)
