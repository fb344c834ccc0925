"""Hypothesis strategies for valid and invalid simulation scripts as decoded JSON (protocol.md section 8).

The strategies use no code of client or mock, because they serve to test both.
"""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

type Entry = dict[str, Any]  # Any: decoded JSON, valid or invalid

IMAGE = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mNoAAAAggCB2kUIOwAAAABJRU5ErkJggg=="
)
"""A PNG image of one gray pixel as a `data:` URL."""

NO_IMAGES = (
    "",
    "cat.png",
    "http://localhost/cat.png",
    "data:",
    "data:image/png",
    "data:image/png,abc",
    "data:image/png;base64,@@@",
    "data:text/plain,hello",
    "data:image/png;base64,",
    IMAGE.replace("image/png", "text/plain"),
    IMAGE.replace("image/png", "image/PNG"),
    IMAGE.replace("data:", "DATA:"),
    IMAGE.replace(";base64", ";charset=x;base64"),
    IMAGE.replace("base64,", "base64,\n"),
    IMAGE.rstrip("="),
)
"""Texts that are neither a base64 `data:` URL of an image nor the path of an image."""

_HALF_A_PAIR = "A \ud800 cat"
_ODD: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 3000, 3000.0, -0.0, 0.5, -1e-9, 1e300, 2**53 - 1, 2**53, 2.0**53, 10**400),
    *("", "3000", "start", _HALF_A_PAIR, IMAGE, *NO_IMAGES),
    *([], {}, [[]], [{}], {"prompt": "A cat"}, {"prompt": None}, {"end": {}}),
)
_KEYS = ("timestamp_ms", "start", "interact", "end", "prompt", "image", "Start", "foo", "", "a.b", "[0]", _HALF_A_PAIR)


def json_values() -> st.SearchStrategy[Any]:  # Any: any JSON
    """Draw decoded JSON of any type and nesting, including unusual values that may break parsers."""
    leaves = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=20),
        st.sampled_from(_ODD).map(deepcopy),
    )
    keys = st.one_of(st.sampled_from(_KEYS), st.text(max_size=5))
    return st.recursive(
        leaves, lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(keys, inner, max_size=4))
    )


@st.composite
def valid_scripts(draw: st.DrawFn) -> list[Entry]:
    """Draw valid scripts."""
    start: Entry = {"prompt": draw(_PROMPTS)}
    if draw(st.integers(0, 4)) == 4:  # seldom, because images take time to decode
        start["image"] = IMAGE
    gaps = draw(st.lists(st.integers(0, 10_000), max_size=4))
    times = [sum(gaps[: index + 1]) for index in range(len(gaps))]
    end = (times[-1] if times else 0) + draw(st.integers(1, 10_000))
    entries: list[Entry] = [
        {"timestamp_ms": 0, "start": start},
        *({"timestamp_ms": time, "interact": {"prompt": draw(_PROMPTS)}} for time in times),
        {"timestamp_ms": end, "end": {}},
    ]
    whole = draw(st.booleans())
    return entries if whole else [{**entry, "timestamp_ms": float(entry["timestamp_ms"])} for entry in entries]


@st.composite
def broken_scripts(draw: st.DrawFn) -> Any:
    """Draw a valid script and make one to three changes to it. Nearly all results are invalid scripts."""
    script: Any = draw(valid_scripts())
    for _ in range(draw(st.integers(1, 3))):
        if not isinstance(script, list) or not script:
            break
        script = draw(st.sampled_from(_MISHAPS))(draw, script)
    return script


_PROMPTS = st.one_of(st.sampled_from(["A cat", "It looks out", ""]), st.text(max_size=20))

type _Mishap = Callable[[st.DrawFn, list[Any]], Any]  # the script may already be mutated


def _entry_lost(draw: st.DrawFn, script: list[Any]) -> Any:
    del script[draw(_index(script))]
    return script


def _entry_twice(draw: st.DrawFn, script: list[Any]) -> Any:
    return [*script, deepcopy(draw(st.sampled_from(script)))]


def _entry_added(draw: st.DrawFn, script: list[Any]) -> Any:
    time = draw(st.one_of(st.integers(0, 20_000), st.sampled_from(_ODD)))
    action = draw(st.sampled_from(["start", "interact", "end"]))
    script.insert(draw(st.integers(0, len(script))), {"timestamp_ms": time, action: {"prompt": "A dog"}})
    return script


def _entries_swapped(draw: st.DrawFn, script: list[Any]) -> Any:
    one, other = draw(_index(script)), draw(_index(script))
    script[one], script[other] = script[other], script[one]
    return script


def _times_swapped(draw: st.DrawFn, script: list[Any]) -> Any:
    one, other = draw(st.sampled_from(script)), draw(st.sampled_from(script))
    if isinstance(one, dict) and isinstance(other, dict):
        one["timestamp_ms"], other["timestamp_ms"] = other.get("timestamp_ms"), one.get("timestamp_ms")
    return script


def _key_lost(draw: st.DrawFn, script: list[Any]) -> Any:
    objects = [each for each in _objects(script) if each]
    if objects:
        within = draw(st.sampled_from(objects))
        del within[draw(st.sampled_from(sorted(within)))]
    return script


def _key_added(draw: st.DrawFn, script: list[Any]) -> Any:
    objects = _objects(script)
    if objects:
        key = draw(st.one_of(st.sampled_from(_KEYS), st.text(max_size=5)))
        draw(st.sampled_from(objects))[key] = draw(json_values())
    return script


def _value_changed(draw: st.DrawFn, script: list[Any]) -> Any:
    objects = [each for each in _objects(script) if each]
    if objects:
        within = draw(st.sampled_from(objects))
        within[draw(st.sampled_from(sorted(within)))] = draw(json_values())
    return script


def _image_broken(draw: st.DrawFn, script: list[Any]) -> Any:
    for each in script:
        if isinstance(each, dict) and isinstance(each.get("start"), dict):
            each["start"]["image"] = draw(st.one_of(st.sampled_from(NO_IMAGES), json_values()))
    return script


def _entry_changed(draw: st.DrawFn, script: list[Any]) -> Any:
    script[draw(_index(script))] = draw(json_values())
    return script


def _all_changed(draw: st.DrawFn, script: list[Any]) -> Any:
    return draw(json_values())


_MISHAPS: tuple[_Mishap, ...] = (
    _entry_lost,
    _entry_twice,
    _entry_added,
    _entries_swapped,
    _times_swapped,
    _key_lost,
    _key_added,
    _value_changed,
    _image_broken,
    _entry_changed,
    _all_changed,
)


def _index(script: list[Any]) -> st.SearchStrategy[int]:
    return st.integers(0, len(script) - 1)


def _objects(script: list[Any]) -> list[Entry]:
    """Return the JSON objects among the entries of a script and among the values of these entries."""
    entries = [each for each in script if isinstance(each, dict)]
    return entries + [value for entry in entries for value in entry.values() if isinstance(value, dict)]
