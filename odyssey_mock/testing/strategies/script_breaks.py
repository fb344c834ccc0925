"""Functions that break a valid script, each in exactly one place."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from odyssey_mock.testing.strategies.prompt import PLAIN

type Place = tuple[str | int, ...]
"""A place in a script, such as `(1, "interact", "prompt")`."""
type JSONScript = list[dict[str, Any]]  # Any: decoded JSON, valid or not
type Break = Callable[[st.DrawFn, JSONScript], tuple[Any, Place]]  # Any: the result may be any JSON
"""A function that breaks a valid script, which it may modify.

It returns the broken script and the place where the error is reported.
"""

PROMPTS = st.sampled_from(PLAIN)
_ACTIONS = ("start", "interact", "end")


def _action(entry: Mapping[str, Any]) -> str:
    return next(action for action in _ACTIONS if action in entry)


def _index(script: JSONScript) -> SearchStrategy[int]:
    return st.integers(0, len(script) - 1)


def _with_prompt(script: JSONScript) -> SearchStrategy[int]:
    return st.integers(0, len(script) - 2)  # without the end, which has no prompt


# The whole script.


def no_array(draw: st.DrawFn, script: JSONScript) -> tuple[Any, Place]:
    # Without None, which the client treats as a missing argument.
    return draw(st.sampled_from([{"script": script}, script[0], {}, "script.json", "", 7, 0.5, True, False])), ()


def empty(_draw: st.DrawFn, _script: JSONScript) -> tuple[Any, Place]:
    return [], ()


# One entry.


def entry_no_object(draw: st.DrawFn, script: JSONScript) -> tuple[Any, Place]:
    index = draw(_index(script))
    wrong: list[Any] = [None, True, 7, "end", [], [script[index]]]
    return [*script[:index], draw(st.sampled_from(wrong)), *script[index + 1 :]], (index,)


def no_action(draw: st.DrawFn, script: JSONScript) -> tuple[Any, Place]:
    index = draw(_index(script))
    del script[index][_action(script[index])]
    return script, (index,)


def two_actions(draw: st.DrawFn, script: JSONScript) -> tuple[Any, Place]:
    index = draw(_index(script))
    other = draw(st.sampled_from([action for action in _ACTIONS if action not in script[index]]))
    script[index][other] = {} if other == "end" else {"prompt": draw(PROMPTS)}
    return script, (index,)


def unknown_key(draw: st.DrawFn, script: JSONScript) -> tuple[Any, Place]:
    index = draw(_index(script))
    key = draw(st.sampled_from(["foo", "", "Start", "prompt", "timestamp", "timestamp_ms "]))
    script[index][key] = draw(st.sampled_from([None, 0, {}]))
    return script, (index, key)


def fields_no_object(draw: st.DrawFn, script: JSONScript) -> tuple[Any, Place]:
    index = draw(_index(script))
    action = _action(script[index])
    script[index][action] = draw(st.sampled_from([None, True, 7, "A cat", [], [{"prompt": "A cat"}]]))
    return script, (index, action)


def unknown_field(draw: st.DrawFn, script: JSONScript) -> tuple[Any, Place]:
    index = draw(_index(script))
    action = _action(script[index])
    keys = [key for key in ("prompt", "image", "Prompt", "text", "") if key not in _KNOWN_FIELDS[action]]
    key = draw(st.sampled_from(keys))
    script[index][action][key] = draw(st.sampled_from([None, "A cat"]))
    return script, (index, action, key)


_KNOWN_FIELDS: Mapping[str, frozenset[str]] = MappingProxyType(
    {"start": frozenset({"prompt", "image"}), "interact": frozenset({"prompt"}), "end": frozenset()}
)


def no_prompt(draw: st.DrawFn, script: JSONScript) -> tuple[Any, Place]:
    index = draw(_with_prompt(script))
    action = _action(script[index])
    del script[index][action]["prompt"]
    return script, (index, action, "prompt")


def prompt_is(*values: object) -> Break:
    def break_it(draw: st.DrawFn, script: JSONScript) -> tuple[Any, Place]:
        index = draw(_with_prompt(script))
        action = _action(script[index])
        script[index][action]["prompt"] = draw(st.sampled_from(values))
        return script, (index, action, "prompt")

    return break_it


def image_is(*values: object) -> Break:
    def break_it(draw: st.DrawFn, script: JSONScript) -> tuple[Any, Place]:
        script[0]["start"]["image"] = draw(st.sampled_from(values))
        return script, (0, "start", "image")

    return break_it


# Times.


def no_time(draw: st.DrawFn, script: JSONScript) -> tuple[Any, Place]:
    index = draw(_index(script))
    del script[index]["timestamp_ms"]
    return script, (index, "timestamp_ms")


def time_is(values: SearchStrategy[Any]) -> Break:
    def break_it(draw: st.DrawFn, script: JSONScript) -> tuple[Any, Place]:
        index = draw(_index(script))
        script[index]["timestamp_ms"] = draw(values)
        return script, (index, "timestamp_ms")

    return break_it


def first_time(draw: st.DrawFn, script: JSONScript) -> tuple[Any, Place]:
    late = draw(st.integers(1, 5000))
    for entry in script:
        entry["timestamp_ms"] += late
    return script, (0, "timestamp_ms")


def time_goes_back(draw: st.DrawFn, script: JSONScript) -> tuple[Any, Place]:
    index = draw(st.integers(1, len(script) - 1))
    latest = script[index - 1]["timestamp_ms"] + draw(st.integers(1, 3000))
    back = {**script[index], "timestamp_ms": draw(st.integers(0, int(latest) - 1))}
    before = {"timestamp_ms": latest, "interact": {"prompt": draw(PROMPTS)}}
    later = [{**entry, "timestamp_ms": entry["timestamp_ms"] + latest} for entry in script[index + 1 :]]
    return [*script[:index], before, back, *later], (index + 1, "timestamp_ms")


def no_length(_draw: st.DrawFn, script: JSONScript) -> tuple[Any, Place]:
    return [{**entry, "timestamp_ms": 0} for entry in script], (len(script) - 1, "timestamp_ms")


# Order.


def no_start(draw: st.DrawFn, script: JSONScript) -> tuple[Any, Place]:
    first: dict[str, Any] = draw(st.sampled_from([{"interact": {"prompt": "It looks out"}}, {"end": {}}]))
    return [{"timestamp_ms": 0, **first}, *script[1:]], (0,)


def second_start(draw: st.DrawFn, script: JSONScript) -> tuple[Any, Place]:
    return _put_in(draw, script, {"start": {"prompt": draw(PROMPTS)}})


def early_end(draw: st.DrawFn, script: JSONScript) -> tuple[Any, Place]:
    return _put_in(draw, script, {"end": {}})


def _put_in(draw: st.DrawFn, script: JSONScript, action: dict[str, Any]) -> tuple[Any, Place]:
    """Insert an entry with `action` between the first and the last entry. Return the script and the place of the entry.

    The new entry has the time of the preceding entry.
    """
    index = draw(st.integers(1, len(script) - 1))
    script.insert(index, {"timestamp_ms": script[index - 1]["timestamp_ms"], **action})
    return script, (index,)


def no_end(_draw: st.DrawFn, script: JSONScript) -> tuple[Any, Place]:
    return script[:-1], (len(script) - 2,)
